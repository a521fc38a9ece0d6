"""The page of checks: a table for each data set, related images side by side, and nothing that names an image."""

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study
from test_duplicates import encoded, phantoms

from medaug_keras import data
from medaug_keras.cli.check import odd
from medaug_keras.data.audit import Found
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages import checks
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables import checks as check_tables


def leaking() -> data.Dataset:
    """Of the test images one is in training with another class, one nearly; all have names."""
    views, some = phantoms(count=60), data.load_phantom("phantom-ultrasound", train=40, validation=10, test=10, seed=3)
    parts = dict(zip(("train", "validation", "test"), np.split(views, [40, 50]), strict=True))
    parts["test"][0], parts["test"][1] = parts["train"][0], encoded(parts["train"][1])
    labels = {split: getattr(some, split).labels.copy() for split in parts}
    labels["test"][0] = 1 - labels["train"][0]
    splits = {
        split: data.Split(images, labels[split], tuple(f"Zsmith{split}{i}" for i in range(len(images))))
        for split, images in parts.items()
    }
    return data.Dataset(**{name: getattr(some, name) for name in some.__dataclass_fields__} | splits)


@pytest.fixture
def made(tmp_path: Path):
    """A study whose data task found this, and where its record is."""
    study = fake_study(
        datasets=("breastmnist",), arms={"baseline": ARMS["baseline"]}, replicates=2, samplings=["shuffle"]
    )
    plan, store = fake_results(study, tmp_path)
    return study, plan, store, store.folder(plan.data["breastmnist"])


def pages_of(made, audit: dict, kept: dict | None) -> dict[str, bytes]:
    study, plan, store, folder = made
    results = Results(study, plan, store)
    record = results.data("breastmnist").record
    values = json.loads(json.dumps(record.values)) | audit
    object.__setattr__(record, "values", values)
    if kept is not None:
        np.savez_compressed(folder / "audit.npz", **kept)
    return Pages(results).all()


def said(page: bytes) -> list[list[str]]:
    """The cells of a page's rows, without tags."""
    rows = re.findall(r"<tr[^>]* data-result.*?</tr>", page.decode(), re.DOTALL)
    return [[re.sub(r"<[^>]+>", "", cell).strip() for cell in re.split(r"</t[hd]>", row)][:-1] for row in rows]


def test_checks_stand_in_a_table_with_their_numbers_and_related_images_side_by_side(made):
    some = leaking()
    relations = data.related(some)
    audit = some.summary() | {"audit": data.audit(some, relations)}
    pages = pages_of(made, audit, data.pairs_to_show(relations))
    page = pages["checks.md"]
    rows = {row[0]: row[1:] for row in said(page)}
    assert rows["Identical images in two splits"][0] == "fail"
    assert "1 of 10 (10.0 %) test images is identical to a training image" in rows["Identical images in two splits"][1]
    assert rows["Nearly the same images in two splits"][0] == "fail"
    assert "1 of 10 (10.0 %) test images is nearly the same" in rows["Nearly the same images in two splits"][1]
    assert rows["One image, two classes"][0] == "fail"
    assert rows["Empty images"][0] == "pass"
    assert "3 fails" in page.decode()
    assert "drop: audits/breastmnist.csv" in page.decode()
    for check in ("identical", "near", "labels"):
        assert pages[f"figures/checks-breastmnist-{check}.png"].startswith(b"\x89PNG")
        assert f"figures/checks-breastmnist-{check}.png" in page.decode()
    assert pages["data/checks-breastmnist.csv"].count(b"\n") == len(rows) + 1


def test_a_page_says_in_one_line_how_many_test_images_training_knows_and_the_first_page_in_its_answer(made):
    some = leaking()
    found = data.audit(some, data.related(some))
    pages = pages_of(made, some.summary() | {"audit": found}, None)
    same, near = found["test"]["in_train"], found["test"]["near_in_train"]
    ways = " and ".join(f"{n} {word}" for n, word in ((same, "identical"), (near, "nearly identical")) if n)
    how = f"{10 * (same + near)}.0 %: {ways}"
    for name, box, title in (("index.md", "answer", "BreastMNIST"), ("results.md", "marks", "BreastMNIST</bdi>")):
        text = pages[name].decode()
        (banner,) = re.findall(rf'<div class="ma-{box}".*?</div>', text, re.DOTALL)
        assert f"{title} {same + near} of 10 ({how}). Scores count them" in banner
        assert 'href="checks.html"' in banner
        assert text.count("known from training") == 1
    assert "3 failed checks" in pages["results.md"].decode()  # the page of checks: 3 fails
    assert "3 fails" in pages["checks.md"].decode()
    assert b'href="checks.html"' in pages["index.md"]
    assert not [name for name, content in pages.items() if b"Zsmith" in content]


def test_a_record_of_an_earlier_version_is_shown_with_what_was_not_looked_for(made):
    some = leaking()
    summary = some.summary()
    old = {
        split: {what: n for what, n in found.items() if "near" not in what}
        for split, found in data.audit(some).items()
        if isinstance(found, dict)
    }
    pages = pages_of(made, summary | {"audit": old}, None)
    rows = {row[0]: row[1:] for row in said(pages["checks.md"])}
    assert rows["Identical images in two splits"][0] == "fail"
    assert rows["Nearly the same images in two splits"][0] == rows["Enlarged images"][0] == "not looked for"
    assert not [name for name in pages if name.startswith("figures/checks-")]


def test_a_record_without_an_audit_says_so(made):
    page = pages_of(made, {}, None)["checks.md"].decode()
    assert "not looked for: made by an earlier version; check looks" in page


def test_two_classes_of_a_pair_without_splits_have_a_line_each():
    assert checks._lines([], ["benign", "malignant"], False) == ("benign", "malignant")
    assert checks._lines([], ["benign", "benign"], False) == ("", "benign")
    assert checks._lines([0, 2], ["benign", "malignant"], True) == ("training and test, mirrored", "benign | malignant")


def test_a_list_to_drop_is_offered_where_images_are_nearly_in_two_splits_and_not_where_nothing_leaks(made):
    some = leaking()
    test = data.Split(some.test.images[1:], some.test.labels[1:], some.test.ids[1:])  # the one that is nearly a copy
    near = dataclasses.replace(some, test=test)
    alone = dataclasses.replace(some, test=data.Split(test.images[1:], test.labels[1:], test.ids[1:]))
    for dataset, offered in ((near, True), (alone, False)):
        page = pages_of(made, dataset.summary() | {"audit": data.audit(dataset)}, None)["checks.md"].decode()
        assert ("drop: audits/breastmnist.csv" in page) == offered
        assert ("1 fail, " in page) == offered
        assert "0 fails" not in page


def test_pairs_of_images_that_folds_divide_name_no_split(made, monkeypatch):
    shown = []
    monkeypatch.setattr(checks.figures, "twins", lambda twins, what: shown.extend(twins) or b"")
    some = data.Dataset(**{name: getattr(leaking(), name) for name in data.Dataset.__dataclass_fields__})
    none = data.Split(some.test.images[:0], some.test.labels[:0])
    images = np.concatenate([some.train.images, some.test.images])
    labels = np.concatenate([some.train.labels, some.test.labels])
    whole = dataclasses.replace(some, train=data.Split(images, labels), validation=none, test=none)
    relations = data.related(whole)
    record = type("Record", (), {"values": whole.summary(), "folder": made[3]})()
    np.savez_compressed(made[3] / "audit.npz", **data.pairs_to_show(relations))
    book = type("Book", (), {"results": Results(*made[:3]), "figure": lambda self, name, drawn, text: text})()
    assert any("there twice" in text for text in checks._figures(book, "breastmnist", "BreastMNIST", record))
    assert shown
    assert not [one for one in shown if "training" in str(one) or "test" in str(one)]


def test_where_a_check_found_several_things_the_page_says_how_many_as_check_and_the_first_page_count_them(made):
    some = leaking()
    labels = some.test.labels.copy()
    labels[1] = 1 - some.train.labels[1]
    many = dataclasses.replace(some, test=dataclasses.replace(some.test, labels=labels))
    summary = many.summary() | {"audit": data.audit(many)}
    found = data.checks(summary)
    things = len([one for check in found for one in check.found if one.level in ("fail", "warn")])
    assert things == len(data.warnings(summary)) == len(list(odd("x", summary)))
    levels = [check.level for check in found]
    assert things > levels.count("fail") + levels.count("warn")
    pages = pages_of(made, summary, None)
    assert f": {things} things are odd</p>" in pages["checks.md"].decode()
    (others,) = re.findall(r"\((\d+) more remarks?\)", pages["index.md"].decode())
    on_top_of_every_page = len(data.learnt(summary))
    assert int(others) == things - on_top_of_every_page - 1
    assert "breastmnist.classes.csv" in pages["checks.md"].decode()
    one = data.Check("near", "Near", (Found("warn", "One."),), "Look.")
    assert checks._counts([one, data.Check("a", "A", (Found("pass", "None."),))]) == "1 warning, 1 pass"
    both = data.Check("near", "Near", (Found("fail", "One."), Found("warn", "Two.")), "Look.")
    assert checks._counts([one, both]) == "1 fail, 1 warning: 3 things are odd"
    unrelated = data.load_phantom("phantom-ultrasound", train=60, validation=20, test=20, seed=3)
    plain = pages_of(made, unrelated.summary() | {"audit": data.audit(unrelated)}, None)["checks.md"].decode()
    assert "classes.csv" not in plain


def test_a_row_says_the_worst_level_all_that_was_found_and_what_to_do():
    found = (Found("fail", "One."), Found("warn", "Two."))
    odd, fine = data.Check("near", "Near", found, "Look."), data.Check("labels", "Labels", (Found("pass", "None."),))
    table = check_tables.checks("own", "Own", [odd, fine])
    rows = [[entry.value if entry.value is not None else entry.missing for entry in row.entries] for row in table.rows]
    assert rows == [["Near", "fail", "One. Two.", "Look."], ["Labels", "pass", "None.", "nothing"]]
    assert [row.factors["result"] for row in table.rows] == ["fail", "pass"]
