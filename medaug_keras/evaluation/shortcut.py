"""The source shortcut: whether a classifier could take "looks generated" for a class.

Where added images can be told from real ones of the same class, and most of them belong to few classes, a network can
learn the source in place of the class (https://arxiv.org/abs/2407.21674). Real test images have no such source.

Shapes: n images (n, H, W, C) uint8 with labels (n,) int in 0..K-1; D features an image. Of several
findings an image, (n, K) of 0 and 1, an image counts for the rarest finding that it has, by the training images, and
as class K without one.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras import labels as labels_of
from medaug_keras.evaluation.similarity import LEAST_IMAGES, too_few

FOLDS = 5
_BANDS = 8
_RIDGE = 0.1  # times the number of images; features have a standard deviation of 1


def source_shortcut(
    *,
    train_images: NDArray[np.uint8],
    train_labels: NDArray[np.int64],
    train_groups: Sequence[str] | None,
    added_images: NDArray[np.uint8],
    added_labels: NDArray[np.int64],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.int64],
    rebuilt: bool,
    looks: Sequence[Callable[[NDArray[np.uint8]], NDArray[Any]]],
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """How well added images can be told from training images of the same class, and what that tells of the class.

    Of each class, at most `limit` / 2K images of each source are drawn. A linear classifier sees what `looks` make of
    them, and their spectrum; it is tested on images that it was not fitted to. Images of a group, and where `rebuilt` a
    training image and the added image at its place, which was made of it, are never parted.

    {"auc": mean over the classes, each weighing as many as it has added images; None where no class has enough,
    "auc_test": the same of test images in place of added ones, "class_told": the part of the classes' entropy in the
    whole training set that the source tells, from 0 to 1, "by_class": [{"class", "added", "auc", "auc_test",
    "reason"}]}
    """
    rng = np.random.default_rng(seed)
    train_labels, added_labels, test_labels = (
        labels_of.rarest(labels, among=train_labels) for labels in (train_labels, added_labels, test_labels)
    )
    classes = 1 + int(max(train_labels.max(), added_labels.max()))
    most = max(LEAST_IMAGES, limit // (2 * classes))
    belong = np.unique(train_groups, return_inverse=True)[1] if train_groups else np.arange(len(train_labels))
    found = []
    for number in range(classes):
        real, added, test = (
            np.sort(rng.permutation(np.flatnonzero(labels == number))[:most])
            for labels in (train_labels, added_labels, test_labels)
        )
        rows = [
            _rows(images[some], looks) if len(some) else np.zeros((0, 1))
            for images, some in ((train_images, real), (added_images, added), (test_images, test))
        ]
        apart = belong[added] if rebuilt else -1 - added
        few = min(len(real), len(added)) < LEAST_IMAGES
        found.append(
            {
                "class": number,
                "added": int(np.sum(added_labels == number)),
                "auc": told_apart(rows[0], rows[1], (belong[real], apart), seed=seed),
                "auc_test": told_apart(rows[0], rows[2], (belong[real], -1 - np.arange(len(test))), seed=seed),
                "reason": too_few(min(len(real), len(added))) if few else None,
            }
        )
    return {
        "auc": _mean(found, "auc"),
        "auc_test": _mean(found, "auc_test"),
        "class_told": class_told(train_labels, added_labels),
        "by_class": found,
    }


def told_apart(
    real: NDArray[Any], other: NDArray[Any], groups: tuple[NDArray[Any], NDArray[Any]], *, seed: int
) -> float | None:
    """AUC with which a linear classifier tells rows (n, D) from rows (m, D) that it was not fitted to; mean over folds.

    groups: (n,) and (m,), of what must be in one fold. None with fewer than LEAST_IMAGES of either. 0.5: not at all.
    """
    if min(len(real), len(other)) < LEAST_IMAGES:
        return None
    rows = np.concatenate([real, other]).astype(np.float64)
    source = np.repeat([0.0, 1.0], [len(real), len(other)])
    folds = _folds(*groups, seed=seed)
    found = []
    for fold in range(FOLDS):
        there = folds == fold
        if all(0 < source[part].mean() < 1 for part in (there, ~there) if part.any()) and there.any():
            scores = _fitted(rows[~there], source[~there], rows[there])
            found.append(_auc(scores, source[there]))
    return float(np.mean(found)) if found else None


def class_told(real: NDArray[np.int64], added: NDArray[np.int64]) -> float:
    """The mutual information of class and source in a training set, as a part of the classes' entropy: 0 to 1.

    It is 0 where the classes of added images are as those of real ones.
    """
    classes = 1 + int(max(real.max(), added.max()))
    joint = np.stack([np.bincount(labels, minlength=classes) for labels in (real, added)]) / (len(real) + len(added))
    whole = _entropy(joint.sum(axis=0))
    shared = whole + _entropy(joint.sum(axis=1)) - _entropy(joint.ravel())
    return float(np.clip(shared / whole, 0, 1)) if whole > 0 else 0.0


def spectrum(images: NDArray[np.uint8]) -> NDArray[np.float64]:
    """(n, H, W, C) -> (n, 8 C): the logarithm of each channel's power in bands of spatial frequency.

    Generators leave traces in fine detail, which principal components and a classifier's features ignore.
    """
    height, width = images.shape[1:3]
    waves = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    bands = np.minimum((waves / waves.max() * _BANDS).astype(int), _BANDS - 1)
    pixels = images.astype(np.float32) - images.mean(axis=(1, 2), keepdims=True, dtype=np.float32)
    power = np.abs(np.fft.rfft2(pixels, axes=(1, 2))) ** 2
    means = [power[:, bands == band].mean(axis=1) for band in range(_BANDS)]
    return np.asarray(np.log1p(np.concatenate(means, axis=1)), np.float64)


def _rows(images: NDArray[np.uint8], looks: Sequence[Callable[[NDArray[np.uint8]], NDArray[Any]]]) -> NDArray[Any]:
    return np.concatenate([look(images) for look in (*looks, spectrum)], axis=1)


def _folds(real: NDArray[Any], other: NDArray[Any], *, seed: int) -> NDArray[np.int64]:
    """(n + m,) the fold of each row: each source's groups in turn, so that every fold has as many of either."""
    rng = np.random.default_rng(seed)
    fold: dict[Any, int] = {}
    for groups in (real, other):
        new = [group for group in np.unique(groups).tolist() if group not in fold]
        fold |= {new[place]: turn % FOLDS for turn, place in enumerate(rng.permutation(len(new)))}
    return np.array([fold[group] for groups in (real, other) for group in groups.tolist()])


def _fitted(rows: NDArray[Any], source: NDArray[Any], others: NDArray[Any]) -> NDArray[Any]:
    """Scores of other rows by a ridge regression of the source, which for two classes is a linear discriminant."""
    mean, spread = rows.mean(axis=0), rows.std(axis=0)
    spread = np.where(spread > 1e-9 * (1 + np.abs(mean)), spread, np.inf)  # what does not vary tells nothing
    rows, others = (rows - mean) / spread, (others - mean) / spread
    products, ridge = rows @ rows.T, _RIDGE * len(rows)
    weights = rows.T @ np.linalg.solve(products + ridge * np.eye(len(rows)), source - source.mean())
    return np.asarray(others @ weights)


def _auc(scores: NDArray[Any], source: NDArray[Any]) -> float:
    from scipy.stats import rankdata  # as in `copying`: reports load this module and do without it

    ones = source > 0
    n, m = int(ones.sum()), int(np.sum(~ones))
    return float((rankdata(scores)[ones].sum() - n * (n + 1) / 2) / (n * m))


def _entropy(shares: NDArray[Any]) -> float:
    there = shares[shares > 0]
    return float(-np.sum(there * np.log2(there)))


def _mean(classes: Sequence[Mapping[str, Any]], name: str) -> float | None:
    there = [(one[name], one["added"]) for one in classes if one["auc"] is not None and one[name] is not None]
    if not there:
        return None
    values, weights = zip(*there, strict=True)
    return float(np.average(values, weights=weights))
