"""How well predicted probabilities fit the true classes; AUC and accuracy by MedMNIST's own code.

Shapes: N images, K classes or findings. `labels` is (N,) int in 0..K-1 and `probabilities` (N, K) float in
[0, 1]. With K = 2 MedMNIST judges by the last column alone.

Of images with several findings `labels` is (N, K) of 0 and 1, and a finding is named where its probability is above
0.5. Every metric is then a mean over the findings. Those that no image has, or every image, are left out of the mean
where the metric needs both (`defined`).
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras import labels as labels_of
from medaug_keras.data.medmnist_package import part

# Our word for a split -> the word in the name of a MedMNIST evaluation file.
MEDMNIST_SPLITS = {"train": "train", "validation": "val", "test": "test"}


def auc(labels: NDArray[Any], probabilities: NDArray[Any]) -> float | None:
    """Area under the ROC curve by medmnist's getAUC: one against the rest, mean over the classes.

    None where it is undefined, which is when one of the K classes has no image. Of several findings, the mean over
    those that are defined; None where none is.
    """
    labels, probabilities = _checked(labels, probabilities)
    if labels_of.several(labels):
        each = [found for found in auc_by_finding(labels, probabilities) if found is not None]
        return float(np.mean(each)) if each else None
    if np.any(np.bincount(labels, minlength=probabilities.shape[1]) == 0):
        return None
    return _medmnist("getAUC", labels, probabilities)


def accuracy(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Fraction of the images whose class is predicted, by medmnist's getACC; of several findings, the mean over all of
    the fraction of the images of which it is rightly said whether they have it.
    """
    return _medmnist("getACC", *_checked(labels, probabilities))


def defined(labels: NDArray[Any]) -> NDArray[np.int64]:
    """The findings of (N, K) that some images have, and others have not."""
    return np.flatnonzero(labels.any(axis=0) & ~labels.all(axis=0))


def balanced_accuracy(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """Mean over the classes that have images of the fraction of them whose class is predicted.

    Of several findings, the mean over those that are defined of that of two classes, without it and with it; 0.5, as by
    chance, where none is.
    """
    labels, probabilities = _checked(labels, probabilities)
    if labels_of.several(labels):
        rates = _rates(labels, predicted_findings(probabilities))
        both = [(one, other) for one, other in rates if one is not None and other is not None]
        return float(np.mean(both)) if both else 0.5
    hits = labels[predicted_classes(probabilities) == labels]
    actual = np.bincount(labels)
    present = actual > 0
    return float((np.bincount(hits, minlength=len(actual))[present] / actual[present]).mean())


def predicted_classes(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """(N, K) -> (N,) classes as getACC decides them.

    K = 2: class 1 where its probability is above 0.5, strictly. Else the most probable, the first
    of them on ties.
    """
    if probabilities.shape[1] == 2:
        return np.asarray(probabilities[:, -1] > 0.5, dtype=np.int64)
    return np.asarray(np.argmax(probabilities, axis=-1), dtype=np.int64)


def predicted_findings(probabilities: NDArray[Any]) -> NDArray[np.int64]:
    """(N, K) -> (N, K) of 0 and 1, as getACC decides them: 1 above 0.5, strictly."""
    return np.asarray(probabilities > 0.5, dtype=np.int64)


def auc_by_fold(labels: NDArray[Any], probabilities: NDArray[Any], folds: NDArray[Any]) -> float | None:
    """Mean over `folds` (N,) of the AUC of the images of each; None where one of them has none.

    A fold is a network of its own, and a score of one network says nothing about its rank among another's. The AUC of
    all images together would compare them.
    """
    found = [auc(labels[folds == fold], probabilities[folds == fold]) for fold in np.unique(folds)]
    there = [value for value in found if value is not None]
    return float(np.mean(there)) if len(there) == len(found) else None


def scores(labels: NDArray[Any], probabilities: NDArray[Any], folds: NDArray[Any] | None = None) -> dict[str, Any]:
    """All that a record keeps about one set of predictions, as plain numbers in [0, 1].

    auc, accuracy: see above; with `folds` (N,) of the images, AUC is the mean of that of each fold.
    recall: one for each class, None for a class without images.
    balanced_accuracy: mean recall, macro_f1: mean F1, both over the classes that have images
    (so they always exist). confusion: K x K counts, a row for each true class.

    Of several findings, recall has the sensitivity to each, macro_f1 is the mean F1 of those that some image has, and
    in the place of the confusion stands auc_by_finding, None for a finding that is not defined. They are not cut into
    folds.
    """
    labels, probabilities = _checked(labels, probabilities)
    if labels_of.several(labels):
        return _scores_of_findings(labels, probabilities)
    classes = probabilities.shape[1]
    confusion = np.zeros((classes, classes), np.int64)
    np.add.at(confusion, (labels, predicted_classes(probabilities)), 1)

    hits, actual, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    present = actual > 0
    recall = hits[present] / actual[present]
    f1 = 2 * hits[present] / (actual + predicted)[present]
    recall_by_class: list[float | None] = [None] * classes
    for index, value in zip(np.flatnonzero(present), recall, strict=True):
        recall_by_class[index] = float(value)
    return {
        "auc": auc(labels, probabilities) if folds is None else auc_by_fold(labels, probabilities, folds),
        "accuracy": accuracy(labels, probabilities),
        "balanced_accuracy": float(recall.mean()),
        "macro_f1": float(f1.mean()),
        "recall": recall_by_class,
        "confusion": confusion.tolist(),
    }


def _scores_of_findings(labels: NDArray[np.int64], probabilities: NDArray[Any]) -> dict[str, Any]:
    named = predicted_findings(probabilities)
    hits, actual, predicted = (labels & named).sum(axis=0), labels.sum(axis=0), named.sum(axis=0)
    f1 = [2 * hits[k] / (actual[k] + predicted[k]) for k in range(labels.shape[1]) if actual[k]]
    return {
        "auc": auc(labels, probabilities),
        "accuracy": accuracy(labels, probabilities),
        "balanced_accuracy": balanced_accuracy(labels, probabilities),
        "macro_f1": float(np.mean(f1)) if f1 else 0.0,
        "recall": [found for _, found in _rates(labels, named)],
        "auc_by_finding": auc_by_finding(labels, probabilities),
    }


def auc_by_finding(labels: NDArray[np.int64], probabilities: NDArray[Any]) -> list[float | None]:
    """medmnist's getAUC of each finding as two classes; None where it is not defined."""
    there = set(defined(labels).tolist())
    return [
        _medmnist("getAUC", labels[:, k], np.stack([1 - p, p], axis=1)) if k in there else None
        for k, p in enumerate(probabilities.T)
    ]


def _rates(labels: NDArray[np.int64], named: NDArray[np.int64]) -> list[tuple[float | None, float | None]]:
    """Specificity and sensitivity to each finding; None where no image is without it, or with it."""

    def rate(k: int, there: int) -> float | None:
        some = labels[:, k] == there
        return float((named[some, k] == there).mean()) if some.any() else None

    return [(rate(k, 0), rate(k, 1)) for k in range(labels.shape[1])]


def write_medmnist_csv(
    folder: Path,
    name: str,
    split: str,
    probabilities: NDArray[Any],
    auc: float | None,
    accuracy: float,
    run: str,
) -> Path:
    """Write a MedMNIST standard evaluation file, which `python -m medmnist evaluate` accepts.

    name: a MedMNIST flag such as "breastmnist"; split: "train", "validation" or "test"; run: what
    tells this file from other runs. The images are in the order of the split. Returns the path.
    """
    if any(mark in run for mark in "@./\\"):  # medmnist reads the run between the "@" and the "."
        raise ValueError(f"run is part of a MedMNIST file name: no '@', '.' or '/', got {run!r}")
    shown = float("nan") if auc is None else auc
    path = folder / (f"{name}_{MEDMNIST_SPLITS[split]}_[AUC]{shown:.3f}_[ACC]{accuracy:.3f}@{run}.csv")
    digits = "%.9g" if probabilities.dtype == np.float32 else "%.17g"  # read back as they were
    table = np.column_stack([np.arange(len(probabilities)), probabilities.astype(np.float64)])
    np.savetxt(path, table, fmt=["%d"] + [digits] * probabilities.shape[1], delimiter=",")
    return path


def _medmnist(function: str, labels: NDArray[np.int64], probabilities: NDArray[Any]) -> float:
    task = labels_of.kind(labels, probabilities.shape[1])
    return float(getattr(part("evaluator"), function)(labels, probabilities, task))


def _checked(labels: NDArray[Any], probabilities: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The arrays if they are what this module says they are, else ValueError saying what is not."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if labels_of.several(labels):
        return _checked_findings(labels, probabilities)
    if labels.ndim != 1 or probabilities.ndim != 2 or len(labels) != len(probabilities):
        raise _of_other_shapes(labels, probabilities)
    classes = probabilities.shape[1]
    if classes < 2:
        raise ValueError(f"probabilities need two classes at least, got {classes}")
    if len(labels) < 2:
        raise ValueError(f"at least 2 images are needed to judge a classifier, got {len(labels)}")
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(f"labels must be in 0..{classes - 1}, got {labels.min()}..{labels.max()}")
    if not np.all(np.isfinite(probabilities)):
        raise ValueError("some probabilities are not finite: the training has diverged")
    return labels.astype(np.int64), probabilities


def _of_other_shapes(labels: NDArray[Any], probabilities: NDArray[Any]) -> ValueError:
    return ValueError(
        "expected labels (N,), or findings (N, K), and probabilities (N, K), "
        f"got shapes {labels.shape} and {probabilities.shape}"
    )


def _checked_findings(labels: NDArray[Any], probabilities: NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    if labels.shape != probabilities.shape:
        raise _of_other_shapes(labels, probabilities)
    if len(labels) < 2:
        raise ValueError(f"at least 2 images are needed to judge a classifier, got {len(labels)}")
    if not np.isin(labels, (0, 1)).all():
        raise ValueError("findings must be 0 or 1")
    if not np.all(np.isfinite(probabilities)):
        raise ValueError("some probabilities are not finite: the training has diverged")
    return labels.astype(np.int64), probabilities
