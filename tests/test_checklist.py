"""The checklists have the published numbers, and say nothing that the records do not."""

import csv
import io
import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from report_records import ARMS, SIZES, fake_results, fake_study
from test_checks_page import leaking

from medaug_keras import data
from medaug_keras.report.format import plural
from medaug_keras.report.numbers.checklist import ANSWERS, CHECKLISTS, Answer, Checklist, Item, answers
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables.checklist import NOTHING, SAYS, checklist
from medaug_keras.spec import FolderData

CLAIM, TRIPOD = CHECKLISTS


def files(root, *, leave_out=lambda task: False, audit=None, **more):
    study = fake_study(datasets=("breastmnist",), arms={name: ARMS[name] for name in ("baseline", "gda")}, **more)
    plan, store = fake_results(study, root, leave_out=leave_out)
    results = Results(study, plan, store)
    if audit is not None:
        record = results.data("breastmnist").record
        object.__setattr__(record, "values", json.loads(json.dumps(record.values)) | audit)
    return Pages(results).all()


def said(made, name="claim"):
    return {row["item"]: row for row in csv.DictReader(io.StringIO(made[f"data/checklist-{name}.csv"].decode()))}


def test_the_lists_have_every_published_number_once():
    assert [item.number for item in CLAIM.items] == [str(n) for n in range(1, 45)]
    before = [int(item.before) for item in CLAIM.items if item.before]
    assert sorted(before) == [n for n in range(1, 43) if n != 11]
    parts = {"3": "abc", "5": "ab", "6": "abc", "8": "abc", "9": "abc", "12": "abcdefg", "18": "abcdef", "20": "abc"}
    parts |= {"23": "ab", "27": "abc"}
    wanted = [f"{n}{letter}" for n in range(1, 28) for letter in parts.get(str(n), [""])]
    assert [item.number for item in TRIPOD.items] == wanted
    assert len(wanted) == 52


def test_every_answer_is_given_to_an_item_and_every_item_has_an_answer_or_something_to_write():
    items = [item for listed in CHECKLISTS for item in listed.items]
    assert {name for item in items for name in item.answers} == set(ANSWERS)
    assert all(item.answers or item.left for item in items)


def test_answers_have_the_numbers_of_the_records(tmp_path):
    made = files(tmp_path, replicates=4, classifier={"epochs": 31})
    rows = said(made)
    for item, words in {
        "4": "Does this page show what its records say?",
        "19": "546 training, 78 validation and 156 test images",
        "22": "2,121 parameters",
        "23": "keras 3.15.0",
        "25": "31 epochs",
        "28": "Primary: accuracy",
        "30": "4 replicates",
        "36": "malignant 52",
        "37": "(n = 4; 95 % interval ",
    }.items():
        assert words in rows[item]["records"], item
    assert rows["20"]["records"] == ""  # these records were not audited
    for name in ("claim", "tripod-ai"):
        pages = {f"{page}.md" for page in made_pages(made)}
        table = json.loads(made[f"data/checklist-{name}.json"])
        led = {row["page"]["page"].partition(".")[0] for row in table["rows"] if "page" in row["page"]}
        assert {f"{page}.md" for page in led} <= pages
        titles = {row["page"]["value"] for row in table["rows"]} - {None}
        assert titles <= set(json.loads(made["data/study.json"])["pages"].values())


def made_pages(made):
    return [name.removesuffix(".md") for name in made if name.endswith(".md")]


@pytest.mark.parametrize("replicates", [1, 2])
def test_tests_and_intervals_are_named_only_where_they_were_made(replicates, tmp_path):
    rows = said(files(tmp_path, replicates=replicates))
    assert ("95 % intervals" in rows["38"]["records"]) == (replicates > 1)
    assert bool(rows["30"]["records"]) == (replicates > 1)


def test_of_a_study_that_has_not_run_only_its_settings_are_said(tmp_path):
    made = files(tmp_path, leave_out=lambda task: True)
    rows = said(made)
    assert {item for item, row in rows.items() if row["records"]} == {
        *("1", "4", "6", "22", "24", "25", "26", "27", "28", "42")
    }
    assert "fulfilled" in made["checklist.md"].decode()


def test_whether_parts_are_disjoint_is_what_the_checks_found(tmp_path):
    some = leaking()
    audit = some.summary() | {"audit": data.audit(some)}
    rows = said(files(tmp_path, audit=audit))
    row = rows["20"]
    levels = [check.level for check in data.checks(audit)]
    fails, warns = plural(levels.count("fail"), "fail"), plural(levels.count("warn"), "warning")
    assert f" {plural(len(levels), 'check')} of the images: {fails}, {warns}." in rows["9"]["records"]
    assert fails.split()[0] != warns.split()[0]
    assert "1 of 10 (10.0 %) test images is identical to a training image" in row["records"]
    assert "Which images belong together" in row["records"]


def test_a_row_of_a_list_has_what_its_answers_say_and_the_page_of_the_first():
    items = (
        Item("1", "Topic", ("a", "b"), "Write this.", "key", "7"),
        Item("2", "Not run", ("c",)),
        Item("3", "Not of records"),
    )
    said = {"a": Answer("Is it?", "index.html#it"), "b": Answer("It is", "runs.html")}
    table = checklist(Checklist("own", "OWN", "2026", items, "2020"), said, {"index": "Summary", "runs": "Runs"})
    found = [{c.key: e for c, e in zip(table.columns, row.entries, strict=True)} for row in table.rows]
    assert [[entry.value for entry in row.values()] for row in found] == [
        ["1", "7", "Topic", "Is it? It is.", "Summary", "Write this.", "key"],
        ["2", None, "Not run", None, None, None, None],
        ["3", None, "Not of records", None, None, None, None],
    ]
    assert [row["page"].href for row in found] == ["index.html#it", "", ""]
    assert [row["records"].missing for row in found[1:]] == ["not known yet", "not in the records"]
    assert not [entry for row in found for entry in row.values() if entry.value is not None and entry.missing]
    assert [row.factors["records"] for row in table.rows] == [SAYS, NOTHING, NOTHING]


def answers_of(root, *, leave_out=lambda task: False, groups=None, away=(), **more):
    """Name → text, of a study with made-up records."""
    study = fake_study(**more)
    plan, store = fake_results(study, root, leave_out=leave_out, groups=groups, held_out=lambda *cell: 0.1)
    sources = {name: replace(one, away="gone" if name in away else "") for name, one in plan.sources.items()}
    results = Results(study, replace(plan, sources=sources), store)
    found = results.data("phantom-histology").record
    if found is not None:
        object.__setattr__(found, "values", {**found.values, "image_shape": [28, 14, 3], "left_out": {"blank": 3}})
        trained = results.runs[0].outcome.record
        object.__setattr__(trained, "values", {**trained.values, "parameters": 1121})
    return {name: answer.text for name, answer in answers(results, Inference(results)).items()}


def test_answers_are_those_of_the_settings_and_the_records_word_for_word(tmp_path, monkeypatch):
    """Of four data sets, one of which is away now and misses runs; three are named."""
    monkeypatch.setattr(sys.modules[answers.__module__], "_NAMED", 3)
    focal = {"classifier": {"loss": {"focal_gamma": 2.0, "class_weights": "balanced"}}}
    found = answers_of(
        tmp_path,
        datasets=("phantom-histology", "octmnist", "breastmnist", "pneumoniamnist"),
        arms={"baseline": {}, "cgan": ARMS["cgan"], "focal": focal},
        replicates=2,
        leave_out=lambda task: task.kind == "classifier" and task.replicate == 1 and task.dataset == "octmnist",
        groups=lambda name: np.arange(min(SIZES[name][2], 400)) // 2,
        away=["octmnist"],
    )
    for name, words in {
        "goal": "5 arms compared with baseline, on 4 data sets.",
        "technology": "Deep learning: a classifier of kind cnn; images made by Conditional GAN.",
        "left out": "Phantom histology: 3 blank",
        "initial": "Random weights, drawn from seed 0 and the replicate; arms of a replicate begin with the same ones.",
        "selection": "Scores are those of the epoch with the best validation accuracy, chosen in each run without the "
        "test images.",
        "ensembles": "None: every score is that of a single network, and means are over scores.",
        "network": "A network of kind cnn with 1,121 to 2,121 parameters; its layers are on the page.",
        "metrics": "Primary: accuracy on the test images. Exploratory: AUC, balanced accuracy and macro F1.",
        "repeated": "2 replicates of every arm with other chance planned, 1 or more done. The same comparisons by 3 "
        "other metrics.",
        "protocol": "The study file with every setting is among the pages (data/study.yaml).",
        "warnings": "Phantom histology: simulated and BreastMNIST: unverified copy. What these results cannot show is "
        "on the page.",
        "imbalance": "In some arms or all: weighted batches, to which each class is drawn alike, classes weighted in "
        "the loss and focal loss. Probabilities were not recalibrated afterwards.",
    }.items():
        assert found[name] == words
    for name, words in {
        "sources": "Phantom histology: phantom, simulated, license CC BY 4.0. OctMNIST: MedMNIST data set, the "
        "official file, license CC BY 4.0. BreastMNIST: MedMNIST data set, an unverified copy, license CC BY 4.0. ",
        "classes": "Classes. Phantom histology: malignant, normal, benign, third and fourth. OctMNIST: ",
        "pixels": "Phantom histology: 28 × 14 pixels, color. OctMNIST: 28 × 28 pixels, gray. ",
        "splits": "Phantom histology: 600 training, 100 validation and 200 test images, simulated as such. "
        "OctMNIST: 97,477 training, 10,832 validation and 1,000 test images, as the file has them. ",
        "size": "Phantom histology: 200 test images. OctMNIST: 1,000 test images. BreastMNIST: 156 test images. ",
        "per class": "Test images by class. Phantom histology: malignant 20; normal, benign 40; third 60; fourth 80. ",
        "scores": "Test accuracy of the baseline, ± standard deviation of replicates. Phantom histology: 8",
        "units": "Images of one group count as one unit in tests. Phantom histology: 100 groups of 200 test images. ",
    }.items():
        assert found[name].startswith(words)
        assert "BreastMNIST: " in found[name]
        assert "PneumoniaMNIST" not in found[name]
        assert "1 more data set on the page" in found[name]
    assert found["pixels"].endswith("The network sees values in [−1, 1].")
    assert found["tests"].startswith("15 differences to the baseline with 95 % intervals")


def test_images_that_were_left_out_are_counted_where_splits_are_said_to_be_the_files(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms=ARMS, replicates=2)
    results = Results(study, *fake_results(study, tmp_path))
    record = results.data("breastmnist").record
    object.__setattr__(record, "values", {**record.values, "left_out": {"images of the file that `drop` names": 1120}})
    assert answers(results, Inference(results))["splits"].text == (
        "BreastMNIST: 546 training, 78 validation and 156 test images, as the file has them, but for 1,120 that were "
        "left out"
    )


def test_answers_of_another_study_are_others(tmp_path):
    found = answers_of(
        tmp_path,
        datasets=("phantom-histology",),
        arms={"baseline": {}, "drawn": {"always_weighted": True}},
        replicates=1,
        samplings=["shuffle"],
        ensemble=True,
        classifier={"select": "last", "tune": {"learning_rate": [0.1, 0.01]}, "input": {"normalise": "imagenet"}},
    )
    for name, words in {
        "goal": "1 arm compared with baseline, on 1 data set.",
        "technology": "Deep learning: a classifier of kind cnn.",
        "selection": "Scores are those of the last epoch of each run. Learning rates were chosen on validation images, "
        "for each arm and data set.",
        "ensembles": "The mean of the replicates’ probabilities is scored too, arm by arm.",
        "imbalance": "In some arms or all: weighted batches, to which each class is drawn alike. Probabilities were "
        "not recalibrated afterwards.",
        "units": "Which images belong together is not known, so each counts as one unit.",
        "sources": "Phantom histology: phantom, simulated, license CC BY 4.0",
        "size": "Phantom histology: 200 test images.",
    }.items():
        assert found[name] == words
    assert found["pixels"].endswith("The network sees values normalized by ImageNet’s mean and standard deviation.")
    assert not found.keys() & {"repeated", "tests"}


@pytest.mark.parametrize(("size", "said"), [(None, "gray."), (28, "gray, resized or windowed as the study file says.")])
def test_only_images_of_a_folder_that_were_changed_are_said_to_be(size, said, tmp_path):
    folder = FolderData.model_validate_json(json.dumps({"kind": "folder", "path": "images", "size": size}))
    study = fake_study(datasets=("breastmnist",), arms={"baseline": {}}, replicates=1)
    plan, store = fake_results(study, tmp_path, leave_out=lambda task: task.kind != "data")
    results = Results(study.model_copy(update={"datasets": {"breastmnist": folder}}), plan, store)
    found = answers(results, Inference(results))
    assert found["pixels"].text.startswith(f"BreastMNIST: 28 × 28 pixels, {said} The network")
    assert found["splits"].text.endswith("156 test images, as the folders have them")
