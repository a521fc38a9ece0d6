"""The methods to paste say what the study file and the records say, and cite only what has an entry."""

import json
import re

import numpy as np
import pytest
from pydantic import TypeAdapter
from report_records import ARMS, RUN, fake_results, fake_study

from medaug_keras.report.numbers import methods
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages
from medaug_keras.spec import Data


def files(root, *, leave_out=lambda task: False, **more):
    study = fake_study(datasets=("breastmnist",), arms={name: ARMS[name] for name in more.pop("arms", ARMS)}, **more)
    plan, store = fake_results(study, root, leave_out=leave_out)
    return Pages(Results(study, plan, store)).all()


def text_of(made):
    return made["cite.md"].decode().partition("Methods, to paste")[2].partition("## Data")[0]


def test_the_methods_have_the_numbers_of_the_study_and_its_records(tmp_path):
    made = files(tmp_path, replicates=4, classifier={"epochs": 31, "batch_size": 48})
    text = text_of(made)
    for words in (
        "546 training, 78 validation and 156 test images",
        "28 × 28 pixels",
        "2 classes",
        "31 epochs in batches of 48",
        "4 replicates",
        "keras 3.15.0",
        "copies of real training images added",
        "horizontal flip of each training image, by a draw of its own (probability 0.5)",
    ):
        assert words in text


def test_everything_that_the_methods_cite_has_an_entry_and_each_entry_is_there_once(tmp_path):
    made = files(tmp_path)
    keys = re.findall(r"@\w+\{([^,]+),", made["data/references.bib"].decode())
    assert len(keys) == len(set(keys))
    cited = {key for found in re.findall(r"\[([\w, ]+)\]", text_of(made)) for key in found.split(", ")}
    assert {"obuchowski1995", "tsui1989", "holm1979", "medaug_keras"} <= cited
    assert cited <= set(keys)


@pytest.mark.parametrize("replicates", [1, 2])
def test_a_test_is_claimed_only_where_one_was_made(replicates, tmp_path):
    text = text_of(files(tmp_path, replicates=replicates))
    assert ("were tested" in text) == (replicates > 1)


def test_methods_of_a_study_that_is_not_finished_say_so(tmp_path):
    text = text_of(files(tmp_path, leave_out=lambda task: task.kind == "classifier"))
    assert "not complete: 0 of" in text
    assert "were tested" not in text
    assert "not read yet" in text_of(files(tmp_path / "none", leave_out=lambda task: True))


def said(root, *, datasets=("breastmnist",), arms=ARMS, groups=None, **more):
    study = fake_study(datasets=datasets, arms={name: ARMS[name] for name in arms} | more.pop("also", {}), **more)
    results = Results(study, *fake_results(study, root, groups=groups))
    return "\n".join(methods_text(results, Inference(results)))


def test_data_are_called_gray_or_color_and_simulated_where_they_are(tmp_path):
    text = said(tmp_path, datasets=("breastmnist", "phantom-histology"), arms=("baseline", "gda"), replicates=2)
    mine, simulated = (sentence for sentence in text.partition("Data: ")[2].partition("Classifier:")[0].split("; "))
    assert "gray" in mine
    assert "color" not in mine
    assert "simulated" not in mine
    assert "(simulated, 600 training, 100 validation and 200 test images" in simulated
    assert "color" in simulated


def test_the_family_of_a_test_is_the_arms_of_one_data_set(tmp_path):
    sets = ("breastmnist", "phantom-ultrasound")
    text = said(tmp_path, datasets=sets, arms=("baseline", "gda", "duplicate"), replicates=2, samplings=["shuffle"])
    assert "(2 comparisons)" in text
    assert "The study is not complete" not in text


def test_what_trains_otherwise_than_by_default_is_said_and_nothing_else_is(tmp_path):
    few = {"arms": ("baseline", "gda"), "replicates": 2}
    plain = said(tmp_path / "plain", **few)
    words = {
        "stopped after 3 epochs without improvement": {"patience": 3},
        "every arm with as many images as the others": {"budget": {"images": 9600}},
        "the cross-entropy with label smoothing 0.1": {"loss": {"label_smoothing": 0.1}},
    }
    assert "minimizing the cross-entropy." in plain
    for number, (text, classifier) in enumerate(words.items()):
        assert text not in plain
        assert text in said(tmp_path / str(number), classifier=classifier, **few)
    for known in ("none", "None", "False", "decay", "warm up"):
        assert known not in plain.partition("Classifier:")[2].partition("Arms:")[0]


def test_an_arm_is_described_by_all_that_it_changes(tmp_path):
    also = {
        "even": {"label": "Even", "always_weighted": True},
        "longer": {"label": "Longer", "classifier": {"epochs": 40}},
        "turned": {"label": "Turned", "augment": [{"layer": "RandomRotation", "factor": 0.05}]},
    }
    arms = ("baseline", "jvae", "cvae", "duplicate")
    text = said(tmp_path, arms=arms, also=also, replicates=2, samplings=["shuffle"]).partition("Arms: ")[2]
    text = text.partition(". The others")[0]
    found = dict(one.partition(" – ")[::2] for one in text.split("; "))
    assert found["Even"] == "weighted batches, to which each class is drawn alike"
    assert found["Longer"] == "networks trained by a recipe of their own (epochs is 40, elsewhere 20)"
    assert ", up to 18 degrees either way)" in found["Turned"]
    assert found["No augmentation"] == "nothing is changed"
    assert found["Joint VAE"].startswith("a reconstruction of every training image by a Joint VAE [")
    assert found["Conditional VAE"].startswith("images of a Conditional VAE [")
    assert text.count("copies of real training images added") == 1


def test_weighted_batches_are_said_once_where_every_arm_has_them_and_else_of_each(tmp_path):
    few = {"arms": ("baseline", "gda"), "replicates": 2}
    both = said(tmp_path / "both", **few)
    assert both.count("weighted batches, to which each class is drawn alike") == both.count("horizontal flip") == 1
    alone = said(tmp_path / "alone", samplings=["weighted"], baseline={"arm": "gda", "sampling": "weighted"}, **few)
    assert alone.count("weighted batches, to which each class is drawn alike") == 2
    assert "trained again" not in alone


def test_images_of_one_patient_are_said_to_count_as_one_only_where_they_do(tmp_path):
    few = {"arms": ("baseline", "gda"), "replicates": 2}
    assert "count as one unit" not in said(tmp_path / "none", **few)
    text = said(tmp_path / "some", groups=lambda dataset: np.arange(156) // 4, **few)
    assert "Images of one group (such as a patient) count as one unit in BreastMNIST." in text


def test_versions_are_all_named_of_which_results_were_made(tmp_path, monkeypatch):
    study = fake_study(datasets=("breastmnist",), arms={"baseline": {}}, replicates=2)
    fake_results(study, tmp_path, leave_out=lambda task: task.replicate > 0)
    monkeypatch.setitem(RUN["packages"], "keras", "3.16.0")
    results = Results(study, *fake_results(study, tmp_path))
    assert "keras 3.15.0 and 3.16.0, " in methods_text(results, Inference(results))[-1]


TABLE = {"kind": "table", "path": "reads.csv", "image": "file", "label": "read", "group": "patient"}
FRACTIONS = {"train": 0.7, "validation": 0.1, "test": 0.2, "seed": 3}
PER_SPLIT = {"train": (30, {}), "validation": (8, {"group_in_train": 0}), "test": (20, {"group_in_train": 0})}


def how_made(root, section, splits=PER_SPLIT, **record):
    """What is said of a data set of the user's with so many groups in each split."""
    study = fake_study(datasets=("breastmnist",), arms={"baseline": ARMS["baseline"]}, replicates=2)
    results = Results(study, *fake_results(study, root))
    values = results.data("breastmnist").record.values
    audit = {split: {"groups": n, **more} if n else {} for split, (n, more) in splits.items()}
    object.__setattr__(results.data("breastmnist").record, "values", {**values, "audit": audit, **record})
    part = TypeAdapter(Data).validate_json(json.dumps(section))
    object.__setattr__(results, "study", study.model_copy(update={"datasets": {"breastmnist": part}}))
    return " ".join(methods._how_made(results, "breastmnist")).replace("BreastMNIST", "X")


def test_what_was_left_out_is_said(tmp_path):
    left_out = {"images of the file that `drop` names": 1120, "images without a class": 3}
    said = how_made(tmp_path, TABLE, {}, left_out=left_out)
    assert "Left out of X: 1,120 images of the file that `drop` names and 3 images without a class." in said
    assert "Left out" not in how_made(tmp_path, TABLE, {})


def test_groups_their_split_and_the_window_are_said_as_the_study_and_its_records_have_them(tmp_path):
    said = how_made(tmp_path, TABLE | {"split": FRACTIONS, "window": {"dicom": True}})
    assert said == (
        "The images of X are of 58 groups (such as patients): 30 in training, 8 in validation and 20 in test. "
        "The images of X were split into 70 % training, 10 % validation and 20 % test images by a random draw (seed 3) "
        "that parts no group and divides classes as evenly as groups allow. "
        "Values of X became 0 to 255 as each DICOM file says of its own display (its first table of values of "
        "interest, or its first window)."
    )


@pytest.mark.parametrize(
    ("window", "words"),
    [
        ({"low": -1000, "high": 400}, "Values of X from -1000 to 400 became 0 to 255."),
        ({"centre": -300, "width": 1400}, "Values of X from -1000 to 400 became 0 to 255."),
        (
            {"percentiles": [0.5, 99]},
            "Values of X from the 0.5 to the 99 percentile of all training pixels became 0 to",
        ),
        (None, ""),
    ],
)
def test_a_window_is_said_by_its_ends_however_it_was_given(window, words, tmp_path):
    said = how_made(tmp_path, TABLE | {"split": FRACTIONS} | ({"window": window} if window else {}))
    assert words in said
    assert ("became" in said) == bool(window)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"size": 64}, "resized to 64 × 64 pixels (bilinear filter)"),
        (
            {"size": 64, "fit": "crop", "filter": "box"},
            "cropped to their middle square and resized to 64 × 64 pixels (box filter)",
        ),
        ({"fit": "pad"}, "padded with black to squares"),
        ({}, ""),
    ],
)
def test_how_images_became_squares_of_one_size_is_said_where_the_study_says_it(how, words, tmp_path):
    said = how_made(tmp_path, TABLE | {"split": FRACTIONS} | how)
    assert said.count("that were of another shape or size") == bool(words)
    assert f" Images of X that were of another shape or size were {words}." in said or not words


def test_classes_are_named_where_they_are_few(tmp_path):
    text = said(tmp_path, arms=("baseline", "gda"), replicates=2)
    assert "2 classes: malignant and “normal, benign”" in text


def test_of_splits_only_what_is_known_is_said(tmp_path):
    none = dict.fromkeys(PER_SPLIT, (0, {}))
    ungrouped = how_made(tmp_path / "a", {k: v for k, v in TABLE.items() if k != "group"} | {"split": FRACTIONS}, none)
    assert "group" not in ungrouped
    assert "(seed 3) that divides classes as evenly as it can." in ungrouped
    by_column = how_made(tmp_path / "b", TABLE | {"split": {"column": "part"}})
    assert "were split as a column of its table says." in by_column
    assert "random" not in by_column
    assert "58 groups" in by_column
    by_file = how_made(tmp_path / "c", TABLE | {"split": {"file": "/parts.csv"}}, none)
    assert by_file == "The images of X were split as a file says."
    parted = how_made(
        tmp_path / "d", TABLE | {"split": {"column": "part"}}, PER_SPLIT | {"test": (20, {"group_in_train": 2})}
    )
    assert "58" not in parted  # nobody knows how many there are in all
    assert "30 in training, 8 in validation and 20 in test, some of them in more than one." in parted
    whole = {"train": (44, {}), "validation": (0, {}), "test": (0, {})}
    folds = how_made(tmp_path / "e", TABLE | {"split": {"folds": 5, "validation": 0.2, "seed": 4}}, whole)
    assert "are of 44 groups (such as patients)." in folds
    assert "cut into folds anew in every replicate, by a random draw (seed 4 and the replicate) that parts no" in folds
    assert "in each fold 20 % of all images were for validation." in folds


def test_of_published_sets_nothing_is_said_that_their_authors_decided(tmp_path):
    text = said(tmp_path, arms=("baseline", "gda"), replicates=2)
    data = text.partition("Data: ")[2].partition("Classifier:")[0]
    assert "random" not in data
    assert "became" not in data
