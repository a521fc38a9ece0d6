"""Which test images an arm repairs or breaks: against a count by hand, and as a reader sees them."""

import csv
import io
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_records import ARMS, fake_results, fake_study

from medaug_keras import data, report
from medaug_keras.report.numbers.changes import between_runs, changes, hardest, strongest
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages import images as page
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.study import Pages

SET = "phantom-ultrasound"
BASE, FLIPS = (SET, "baseline", "shuffle"), (SET, "gda", "shuffle")


def phantom(room=None):
    return data.load_phantom(SET, train=546, validation=78, test=156, seed=0, room=room)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("images")
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=(SET,), arms=arms, replicates=3, samplings=["shuffle"])
    plan, store = fake_results(study, root / "results")
    data.unpacked(store.root / "unpacked" / plan.data[SET], phantom)
    return study, plan, store


@pytest.fixture(scope="module")
def results(made):
    return Results(*made)


def right(results, cell):
    """(S, n): which images each run has right, read from the files themselves."""
    found = []
    for run in results.groups[cell].runs:
        with np.load(run.record.folder / "predictions.npz") as file:
            found.append(file[f"test_{run.selected(results.select)}"].argmax(1) == file["test_labels"])
    return found


def test_repaired_and_broken_images_are_those_of_a_count_by_hand(results):
    found = changes(Inference(results), FLIPS)
    ours, theirs = right(results, FLIPS), right(results, BASE)
    assert found.of == 3
    for i in range(156):
        assert found.repaired[i] == sum(a[i] and not b[i] for a, b in zip(ours, theirs, strict=True))
        assert found.broken[i] == sum(b[i] and not a[i] for a, b in zip(ours, theirs, strict=True))


def test_repaired_less_broken_images_are_the_difference_in_accuracy(results):
    found = changes(Inference(results), FLIPS)
    scores = [results.groups[cell].estimate(results.select, "test", "accuracy").mean for cell in (FLIPS, BASE)]
    assert (found.repaired.sum() - found.broken.sum()) / found.of / 156 == pytest.approx(scores[0] - scores[1])


def test_what_two_runs_of_the_baseline_differ_by_is_that_of_a_count_by_hand(results):
    a, b, c = right(results, BASE)
    pairs = [(a, b), (b, a), (a, c), (c, a), (b, c), (c, b)]
    by_hand = sum(sum(x[i] and not y[i] for i in range(156)) for x, y in pairs) / 6
    assert between_runs(Inference(results), SET) == pytest.approx(by_hand)


def test_the_hardest_images_are_wrong_in_as_many_runs_as_a_count_by_hand_says(results):
    found = hardest(Inference(results), SET)
    every = [*right(results, BASE), *right(results, FLIPS)]
    assert found.of == 6
    assert found.wrong.tolist() == [sum(not run[i] for run in every) for i in range(156)]
    labels = Inference(results).labels[SET]
    assert ((found.taken_for == labels) == (found.wrong == 0)).all()


@given(
    st.lists(st.tuples(st.integers(-2, 3), st.integers(0, 2), st.integers(-2, 2)), min_size=1, max_size=30),
    st.integers(1, 12),
)
def test_the_strongest_images_have_changed_and_each_class_has_its_strongest(drawn, most):
    amount, labels, by = (np.array(column) for column in zip(*drawn, strict=True))
    chosen = strongest(amount, by, labels, most)
    assert chosen == sorted(chosen, key=lambda i: (-amount[i], -by[i], i))
    assert len(chosen) == min(most, (amount > 0).sum())
    assert (amount[chosen] > 0).all()
    assert (np.diff(amount[chosen]) <= 0).all()
    changed = {k for k in labels if (amount[labels == k] > 0).any()}
    if most >= len(changed):
        for k in changed:
            mine = [i for i in chosen if labels[i] == k]
            assert mine[0] == min(np.flatnonzero(labels == k), key=lambda i: (-amount[i], -by[i], i))


def test_a_hard_image_is_taken_for_what_most_of_its_wrong_runs_name_and_likely_as_all_say(results):
    inference = Inference(results)
    found, labels = hardest(inference, SET), inference.labels[SET]
    runs = [run for cell in (BASE, FLIPS) for run in inference.tested[cell].values()]
    for i in range(156):
        wrong = Counter(int(run.predicted[i]) for run in runs if run.predicted[i] != labels[i])
        most = max(wrong.values(), default=0)
        assert found.taken_for[i] == min((k for k in wrong if wrong[k] == most), default=labels[i])
        assert found.likely[i] == pytest.approx(np.mean([run.likely[i] for run in runs]))


def test_only_replicates_that_both_have_are_compared_and_two_make_a_spread(made):
    study, plan, store = made
    inference = Inference(Results(study, plan, store))
    inference.tested[BASE].pop(0)
    found, (ours, theirs) = changes(inference, FLIPS), (inference.tested[cell] for cell in (FLIPS, BASE))
    assert found.of == 2
    np.testing.assert_allclose(found.before, np.mean([theirs[s].likely for s in (1, 2)], axis=0), rtol=1e-6)
    np.testing.assert_allclose(found.after, np.mean([ours[s].likely for s in (1, 2)], axis=0), rtol=1e-6)
    assert between_runs(inference, SET) is not None
    inference.tested[BASE].pop(1)
    assert between_runs(inference, SET) is None
    inference.tested[BASE].pop(2)
    assert changes(inference, FLIPS) is None


# --- what the page shows ---------------------------------------------------------------------------


def section_of(results, inference=None):
    """What the page lays out of the data set, and its files."""
    book = Book(results, inference=inference)
    content = page.images(book)
    (section,) = content["sections"]
    return content, section, book.files


def number_of(card):
    return int(card.file.removesuffix(".png").rpartition("-")[2])


def test_the_cards_of_an_arm_say_how_often_and_by_how_much_and_stand_in_that_order(results):
    inference = Inference(results)
    found, classes = changes(inference, FLIPS), results.classes(SET)
    (arm,) = section_of(results, inference)[1]["arms"]
    for word, back, there, other in (
        ("repaired", "broken", found.repaired, found.broken),
        ("broken", "repaired", found.broken, found.repaired),
    ):
        numbers = [number_of(card) for card in arm[word]]
        net, gain = there - other, (found.after - found.before) * (1 if word == "repaired" else -1)
        assert len(numbers) == page.MOST_CHANGED
        assert numbers == sorted(numbers, key=lambda i: (-net[i], -gain[i], i))
        assert net[numbers[0]] == net.max()
        for i, card in zip(numbers, arm[word], strict=True):
            name = classes[inference.labels[SET][i]]
            also = f", {back} in {other[i]}" if other[i] else ""
            moved = f"{100 * found.before[i]:.0f} → {100 * found.after[i]:.0f} % for the true class"
            assert card.lines == (name, f"{word} in {there[i]} of 3{also}", moved)
            assert card.alt == f"Test image {i + 1}, {name}: {', '.join(card.lines[1:])}"
            assert card.label == inference.labels[SET][i]


def test_an_image_that_is_broken_as_often_as_it_is_repaired_is_shown_as_neither(results):
    inference = Inference(results)
    found = changes(inference, FLIPS)
    (arm,) = section_of(results, inference)[1]["arms"]
    even = set(np.flatnonzero((found.repaired == found.broken) & (found.repaired > 0)).tolist())
    assert even
    assert not even & {number_of(card) for word in ("repaired", "broken") for card in arm[word]}


def test_the_hardest_cards_are_of_the_most_wrong_runs_and_the_least_likely_of_those(results):
    inference = Inference(results)
    found, classes = hardest(inference, SET), results.classes(SET)
    section = section_of(results, inference)[1]
    numbers = [number_of(card) for card in section["hard"]]
    assert numbers == sorted(range(156), key=lambda i: (-found.wrong[i], found.likely[i], i))[: page.MOST_HARD]
    for i, card in zip(numbers, section["hard"], strict=True):
        assert card.lines[1:3] == (
            f"wrong in {found.wrong[i]} of 6 runs",
            f"mostly called {classes[found.taken_for[i]]}",
        )
        assert card.lines[3] == f"{100 * found.likely[i]:.0f} % for the true class"
    cards = [*section["hard"], *section["arms"][0]["repaired"], *section["arms"][0]["broken"]]
    assert section["classes"] == [(k, classes[k]) for k in sorted({card.label for card in cards})]


def test_many_arms_show_fewer_pictures_each_and_many_data_sets_pages_of_their_own(results, monkeypatch):
    for pairs, shown in ((2, page.MOST_CHANGED), (1, page.FEWER_CHANGED)):  # it has two pairs of data set and arm
        monkeypatch.setattr(page, "MANY_ARMS", pairs)
        content, section, _ = section_of(results)
        assert {len(section["arms"][0][word]) for word in ("repaired", "broken")} == {shown}
        assert not content["apart"]
    for most, apart in ((1, False), (0, True)):
        monkeypatch.setattr(page, "MANY", most)
        assert section_of(results)[0]["apart"] is apart


def test_unpacked_images_that_are_of_another_number_are_not_shown(made, tmp_path):
    study, plan, store = made
    shutil.copytree(store.root, tmp_path / "results", ignore=shutil.ignore_patterns("unpacked"))
    other = type(store)(tmp_path / "results")
    fewer = lambda room=None: data.load_phantom(SET, train=200, validation=78, test=100, seed=0, room=room)  # noqa: E731
    data.unpacked(other.root / "unpacked" / plan.data[SET], fewer)
    assert "no longer unpacked" in section_of(Results(study, plan, other))[1]["reason"]


def test_of_folds_the_images_are_those_that_are_cut(made, tmp_path):
    """Every image is a test image of some fold; unpacked, they lie as training images."""

    class Folded(Results):
        def folds(self, dataset):
            return 3

    study, plan, store = made
    shutil.copytree(store.root, tmp_path / "results", ignore=shutil.ignore_patterns("unpacked"))
    other = type(store)(tmp_path / "results")
    whole = lambda room=None: data.load_phantom(SET, train=156, validation=78, test=100, seed=0, room=room)  # noqa: E731
    data.unpacked(other.root / "unpacked" / plan.data[SET], whole)
    _, section, files = section_of(Folded(study, plan, other))
    images = whole().train.images
    assert section["hard"]
    for card in section["hard"]:
        shown = np.asarray(Image.open(io.BytesIO(files[card.file])))
        np.testing.assert_array_equal(shown, images[number_of(card), ..., 0])


def test_the_csv_has_every_image_that_an_arm_changes_with_the_counts_by_hand(results):
    text = Pages(results).all()[f"data/images-of-{SET}.csv"].decode()
    rows = {int(row["test_image"]): row for row in csv.DictReader(io.StringIO(text)) if row["arm"] == "gda"}
    ours, theirs, labels = right(results, FLIPS), right(results, BASE), Inference(results).labels[SET]
    wanted = [i for i in range(156) if any(a[i] != b[i] for a, b in zip(ours, theirs, strict=True))]
    assert list(rows) == wanted
    for i, row in rows.items():
        assert int(row["repaired"]) == sum(a[i] and not b[i] for a, b in zip(ours, theirs, strict=True))
        assert int(row["broken"]) == sum(b[i] and not a[i] for a, b in zip(ours, theirs, strict=True))
        assert row["class"] == results.classes(SET)[labels[i]]


def test_a_picture_is_the_test_image_whose_number_it_has(results):
    files = Pages(results).all()
    pictures = {name: content for name, content in files.items() if name.startswith(f"figures/test-{SET}-")}
    assert pictures
    images = phantom().test.images
    for name, content in pictures.items():
        number = int(name.removesuffix(".png").rpartition("-")[2])
        np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(content))), images[number, ..., 0])


def test_without_the_images_the_page_says_so_and_keeps_its_table(made, tmp_path):
    study, plan, store = made
    shutil.copytree(store.root, tmp_path / "results")
    folder = tmp_path / "results" / "unpacked" / plan.data[SET]
    with open(folder / "test_images.npy", "r+b") as file:
        file.seek(-1, 2)
        file.write(b"\xff" if file.read(1) != b"\xff" else b"\x00")
    for gone in (False, True):
        if gone:
            shutil.rmtree(folder)
        page = Pages(Results(study, plan, type(store)(tmp_path / "results"))).all()["images.md"].decode()
        assert "no longer unpacked" in page
        assert "another run" in page
        assert "<img" not in page


def test_a_class_is_chosen_without_a_script_and_with_one_stands_in_the_address(made, tmp_path):
    sync_api = pytest.importorskip("playwright.sync_api")
    if not Path("/usr/bin/chromium").exists():
        pytest.skip("no chromium on this machine (Debian: apt install chromium)")
    docs = tmp_path / "docs"
    shutil.copytree(Path(__file__).parent.parent / "docs", docs, ignore=shutil.ignore_patterns("studies"))
    report.render(*made, docs)
    report.build_site(docs, tmp_path / "site")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_context(java_script_enabled=False).new_page()
        page.goto(f"{(tmp_path / 'site').as_uri()}/studies/fake/images.html")
        shown = page.locator(".ma-gallery details[open] figure:visible")
        every = shown.count()
        page.get_by_label("malignant").check()
        some = shown.count()
        assert 0 < some < every
        assert page.locator(".ma-gallery details[open] figure:visible b").all_inner_texts() == ["malignant"] * some
        page = browser.new_context().new_page()
        page.goto(f"{(tmp_path / 'site').as_uri()}/studies/fake/images.html")
        page.get_by_label("malignant").check()
        assert page.url.endswith("images.html?phantom-ultrasound.class=0")
        page.goto(page.url)
        assert page.get_by_label("malignant").is_checked()
        assert page.locator(".ma-gallery details[open] figure:visible").count() == some
        browser.close()
