"""Labels: one class an image, or several findings. The only place that knows which.

One class: (N,) class numbers in 0..K-1. Several findings: (N, K) of 0 and 1, a column for each finding; an image may
have any number of them, or none.

Shapes: N images, K classes or findings.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Kind = Literal["binary-class", "multi-class", "multi-label, binary-class"]
SEVERAL: Kind = "multi-label, binary-class"
"""MedMNIST's word for several findings an image."""
NONE = "no finding"
FINDINGS = "findings"
"""The head of a network with a logit for each finding."""


def several(labels: NDArray[Any]) -> bool:
    """Whether images have several findings."""
    return labels.ndim == 2


def kind(labels: NDArray[Any], num_classes: int) -> Kind:
    """MedMNIST's word for the kind of labels."""
    if several(labels):
        return SEVERAL
    return "binary-class" if num_classes == 2 else "multi-class"


def counts(labels: NDArray[Any], num_classes: int) -> list[int]:
    """Images of each class, or with each finding."""
    found = labels.sum(axis=0) if several(labels) else np.bincount(labels, minlength=num_classes)
    return [int(n) for n in found]


def together(labels: NDArray[Any]) -> list[list[int]]:
    """(K, K) images that have both of two findings; on the diagonal, those that have the one."""
    whole = labels.astype(np.int64)
    return [[int(n) for n in row] for row in whole.T @ whole]


def sorts(labels: NDArray[Any]) -> NDArray[np.int64]:
    """(N,) numbers from 0 of the sort that each image counts for where images are drawn or copied.

    Its class; of several findings, the rarest that it has (by the images given, the first of equally rare ones). Images
    without a finding are a sort of their own, the last. A finding that is the rarest of no image is no sort.
    """
    if not several(labels):
        return labels
    _, numbered = np.unique(rarest(labels, among=labels), return_inverse=True)
    return numbered.astype(np.int64)


def rarest(labels: NDArray[Any], *, among: NDArray[Any]) -> NDArray[np.int64]:
    """(N,) what each image counts for where sets of images are compared, in 0..K.

    Its class; of several findings, the rarest that it has by the labels `among` (the first of equally rare ones), and K
    without a finding.
    """
    if not several(labels):
        return labels
    chosen = np.where(labels > 0, among.sum(axis=0), np.inf).argmin(axis=1)
    return np.asarray(np.where(labels.any(axis=1), chosen, labels.shape[1]), dtype=np.int64)


def row_names(classes: Sequence[str], *, findings: bool) -> list[str]:
    """What images are shown by: the classes; the findings, and none."""
    return [*classes, NONE] if findings else list(classes)


def members(labels: NDArray[Any], number: int) -> NDArray[np.bool_]:
    """(N,) which images are of the class of this number; which have this finding, or none of them where it is K."""
    if not several(labels):
        return np.asarray(labels == number)
    return np.asarray(labels[:, number] > 0 if number < labels.shape[1] else ~labels.any(axis=1))


def columns(labels: NDArray[Any]) -> NDArray[np.float64]:
    """(N, C) of 0 and 1: what splits share out alike, a column for each class; or for each finding and for none."""
    if several(labels):
        return np.column_stack([labels, ~labels.any(axis=1)]).astype(np.float64)
    return np.asarray(np.eye(int(labels.max()) + 1)[labels])


def targets(labels: NDArray[Any], num_classes: int) -> NDArray[np.float32]:
    """(N, K): what a network is to say."""
    return labels.astype(np.float32) if several(labels) else np.eye(num_classes, dtype=np.float32)[labels]


def head(labels: NDArray[Any], asked: str) -> str:
    """The head of a network for such labels: of several findings, a sigmoid each, whatever is asked for."""
    return FINDINGS if several(labels) else asked


def codes(labels: NDArray[Any]) -> NDArray[np.int64]:
    """(N,) numbers that are equal where labels are."""
    if not several(labels):
        return labels
    return np.unique(labels, axis=0, return_inverse=True)[1].reshape(-1).astype(np.int64)


def words(labels: NDArray[Any], classes: Sequence[str]) -> list[str]:
    """What each image shows: its class, or all its findings."""
    if not several(labels):
        return [classes[k] for k in labels]
    return [", ".join(classes[k] for k in np.flatnonzero(row).tolist()) or NONE for row in labels]
