"""The methods to paste say what the study file and the records say, and cite only what has an entry."""

import re

import numpy as np
import pytest
from report_records import ARMS, RUN, fake_results, fake_study

from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.methods import methods_text
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages


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
    }
    arms = ("baseline", "jvae", "cvae", "duplicate")
    text = said(tmp_path, arms=arms, also=also, replicates=2, samplings=["shuffle"]).partition("Arms: ")[2]
    text = text.partition(". The others")[0]
    found = dict(one.partition(" – ")[::2] for one in text.split("; "))
    assert found["Even"] == "weighted batches, to which each class is drawn alike"
    assert found["Longer"] == "a recipe of its own"
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
