"""Classifier metrics: against closed forms, scikit-learn and medmnist itself."""

import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn_metrics

from medaug_keras import evaluation

MEDMNIST = Path(os.environ.get("MEDMNIST_ROOT", Path(__file__).parents[2] / "shared" / "medmnist"))


def draw(task, images, seed, classes=4):
    """Labels with every class present, and float32 probabilities with some ties among them."""
    classes = 2 if task == "binary-class" else classes
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.arange(images) % classes)
    logits = np.round(rng.normal(size=(images, classes)) + np.eye(classes)[labels], 1)
    odds = np.exp(logits)
    return labels, (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)


def pairs_won(labels, score):
    """The definition of the AUC: how often an image of the class outscores one of the others."""
    gaps = score[labels == 1][:, None] - score[labels == 0][None, :]
    return np.mean((gaps > 0) + 0.5 * (gaps == 0))


@settings(max_examples=25)
@given(
    task=st.sampled_from(["binary-class", "multi-class"]),
    images=st.integers(8, 60),
    seed=st.integers(0, 10_000),
)
def test_auc_is_the_mean_share_of_pairs_in_the_right_order(task, images, seed):
    labels, probabilities = draw(task, images, seed)
    columns = [1] if task == "binary-class" else range(probabilities.shape[1])
    expected = np.mean([pairs_won((labels == c).astype(int), probabilities[:, c]) for c in columns])
    assert evaluation.auc(labels, probabilities) == pytest.approx(expected, abs=1e-12)


@settings(max_examples=25)
@given(
    task=st.sampled_from(["binary-class", "multi-class"]),
    images=st.integers(8, 60),
    seed=st.integers(0, 10_000),
)
def test_scores_agree_with_sklearn_and_with_their_own_confusion_matrix(task, images, seed):
    labels, probabilities = draw(task, images, seed)
    predicted = evaluation.predicted_classes(probabilities)
    values = evaluation.scores(labels, probabilities)
    confusion = np.array(values["confusion"])
    np.testing.assert_array_equal(confusion, sklearn_metrics.confusion_matrix(labels, predicted))
    assert values["accuracy"] == pytest.approx(np.trace(confusion) / images)
    assert values["balanced_accuracy"] == evaluation.balanced_accuracy(labels, probabilities)
    assert values["balanced_accuracy"] == pytest.approx(sklearn_metrics.balanced_accuracy_score(labels, predicted))
    assert values["macro_f1"] == pytest.approx(sklearn_metrics.f1_score(labels, predicted, average="macro"))
    np.testing.assert_allclose(values["recall"], sklearn_metrics.recall_score(labels, predicted, average=None))
    assert json.loads(json.dumps(values)) == values


def test_a_binary_probability_of_exactly_one_half_is_class_0():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.4, 0.6]])
    assert evaluation.predicted_classes(probabilities).tolist() == [0, 0, 1]
    assert evaluation.accuracy(np.array([0, 1, 1]), probabilities) == 2 / 3


def test_a_binary_task_is_judged_by_its_last_column_alone():
    labels = np.array([0, 1, 0, 1])
    honest = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.3, 0.7]])
    odd = np.column_stack([[0.0, 1.0, 1.0, 0.0], honest[:, 1]])
    assert evaluation.scores(labels, odd) == evaluation.scores(labels, honest)


def test_a_class_without_images_makes_auc_undefined_and_leaves_the_rest_defined():
    labels = np.array([0, 0, 1, 1])
    probabilities = np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.2, 0.7, 0.1], [0.1, 0.2, 0.7]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = evaluation.scores(labels, probabilities)
    assert values["auc"] is None
    assert values["recall"] == [0.5, 0.5, None]
    assert values["balanced_accuracy"] == values["accuracy"] == 0.5
    assert evaluation.balanced_accuracy(labels, probabilities) == 0.5
    assert evaluation.balanced_accuracy(np.array([0, 0, 2, 2]), probabilities) == 0.5
    assert evaluation.balanced_accuracy(np.array([0, 1, 1, 0]), probabilities) == 0.75
    assert evaluation.balanced_accuracy(np.array([0, 0, 1, 2]), probabilities) == pytest.approx(2.5 / 3)
    assert values["macro_f1"] == pytest.approx((2 / 3 + 0.5) / 2)  # F1 of class 0 and of class 1
    assert evaluation.auc(np.array([1, 1]), np.full((2, 2), 0.5)) is None


@pytest.mark.parametrize(
    ("labels", "probabilities", "message"),
    [
        ([[0], [1]], [[0.5, 0.5]] * 2, "expected labels"),
        ([0, 1], [0.5, 0.5], "expected labels"),
        ([0, 1, 1], [[0.5, 0.5]] * 2, "expected labels"),
        ([0, 0], [[1.0]] * 2, "two classes at least, got 1"),
        ([-1, 1], [[0.5, 0.5]] * 2, r"labels must be in 0\.\.1"),
        ([0, 2], [[0.5, 0.5]] * 2, r"labels must be in 0\.\.1"),
        ([0, 1], [[0.5, float("nan")]] * 2, "not finite"),
        ([0], [[0.5, 0.5]], "at least 2 images"),
    ],
)
def test_arrays_that_cannot_be_scored_are_refused_saying_why(labels, probabilities, message):
    for measure in (evaluation.scores, evaluation.auc, evaluation.accuracy, evaluation.balanced_accuracy):
        with pytest.raises(ValueError, match=message):
            measure(np.array(labels), np.array(probabilities))


# Runs medmnist's command line; only its data set classes are replaced, for they need torchvision.
EVALUATE = """
import runpy, sys
from unittest import mock
sys.modules["medmnist.dataset"] = mock.MagicMock()
sys.argv = ["medmnist", "evaluate", "--path=" + sys.argv[1]]
runpy.run_module("medmnist", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("name", "task", "classes"),
    [("breastmnist", "binary-class", 2), ("threemnist", "multi-class", 3)],
)
@pytest.mark.parametrize("split", ["validation", "test"])
def test_medmnist_accepts_our_evaluation_file_and_finds_the_same_scores(name, task, classes, split, tmp_path):
    home = tmp_path / ".medmnist"
    home.mkdir()
    word = {"validation": "val", "test": "test"}[split]
    if name == "breastmnist":
        if not (MEDMNIST / "breastmnist.npz").exists():
            pytest.skip(f"no breastmnist.npz in {MEDMNIST}")
        (home / "breastmnist.npz").symlink_to(MEDMNIST / "breastmnist.npz")
        labels = np.load(MEDMNIST / "breastmnist.npz")[f"{word}_labels"][:, 0].astype(int)
    else:
        name = "bloodmnist"  # its flag, with labels of our own in its file
        labels = np.arange(40) % classes
        np.savez(home / "bloodmnist.npz", **{f"{word}_labels": labels[:, None]})
    rng = np.random.default_rng(0)
    odds = np.exp(rng.normal(size=(len(labels), classes)) + np.eye(classes)[labels])
    probabilities = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
    auc = evaluation.auc(labels, probabilities)
    accuracy = evaluation.accuracy(labels, probabilities)

    path = evaluation.write_medmnist_csv(tmp_path, name, split, probabilities, auc, accuracy, "gda-weighted-0")
    printed = subprocess.run(
        [sys.executable, "-c", EVALUATE, str(path)],
        env={**os.environ, "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert printed.returncode == 0, printed.stderr
    found = eval(printed.stdout.strip().splitlines()[-1], {"Metrics": dict, "np": np})
    assert found["AUC"] == pytest.approx(auc, abs=1e-12)
    assert found["ACC"] == accuracy
    # medmnist writes the file again under the name it would have given: there is still only ours.
    assert [p.name for p in tmp_path.glob("*.csv")] == [path.name]
    assert path.name == f"{name}_{word}_[AUC]{auc:.3f}_[ACC]{accuracy:.3f}@gda-weighted-0.csv"


def test_probabilities_in_an_evaluation_file_are_exactly_those_given(tmp_path):
    _, probabilities = draw("multi-class", 50, seed=1)
    for given_type in (np.float32, np.float64):
        exact = probabilities.astype(given_type) / 3
        path = evaluation.write_medmnist_csv(tmp_path, "x", "test", exact, None, 0.5, "a")
        table = np.loadtxt(path, delimiter=",")
        np.testing.assert_array_equal(table[:, 0], np.arange(50))
        np.testing.assert_array_equal(table[:, 1:].astype(given_type), exact)


def test_a_run_name_that_medmnist_would_misread_is_refused(tmp_path):
    with pytest.raises(ValueError, match="run is part of"):
        evaluation.write_medmnist_csv(tmp_path, "x", "test", np.eye(2), 1.0, 1.0, "v1.2")


def test_scoring_leaves_no_half_imported_medmnist_behind():
    code = """
import sys
from medaug_keras import evaluation
heavy = {"keras", "torch", "sklearn", "pandas", "medmnist"}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
import numpy as np
evaluation.scores(np.array([0, 1]), np.array([[0.9, 0.1], [0.2, 0.8]]))
assert not [name for name in sys.modules if name.split(".")[0] == "medmnist"]
assert "torchvision" not in sys.modules
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")


def test_auc_by_fold_is_the_mean_of_the_folds_and_nothing_where_a_fold_has_one_class():
    labels, folds = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 1, 1, 1, 1])
    chance = np.array([0.1, 0.9, 0.8, 0.3, 0.2, 0.7])
    probabilities = np.stack([1 - chance, chance], axis=1)
    assert evaluation.scores(labels, probabilities, folds)["auc"] == np.mean([1.0, 0.5])
    assert evaluation.scores(labels, probabilities, np.array([0, 0, 1, 2, 1, 2]))["auc"] is None
