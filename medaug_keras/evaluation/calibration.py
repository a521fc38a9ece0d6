"""Whether probabilities are what they say, and precision beside recall: from probabilities and labels alone.

Every measure is also one value an image whose mean is the measure, so that it goes through the same analysis as
accuracy. Brier score and log loss are such means; of the others the values are jackknife pseudo-values, as in
`stats.metrics`.

Shapes: N images, K classes, P points of a curve. `labels` is (N,) int, `probabilities` (N, K) in [0, 1].
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINS = 10
"""Bins of the calibration error, each with as many images as the next."""
_EPSILON = float(np.finfo(np.float32).eps)  # a probability of 0 would make the log loss infinite


def brier_values(labels: NDArray[Any], probabilities: NDArray[Any]) -> Array:
    """(N,) squared errors of the probabilities: of class 1 for K = 2, else summed over the classes (Brier 1950)."""
    p = np.asarray(probabilities, np.float64)
    if p.shape[1] == 2:
        return np.asarray((p[:, 1] - (labels == 1)) ** 2)
    return np.asarray(((p - np.eye(p.shape[1])[labels]) ** 2).sum(1))


def log_loss_values(labels: NDArray[Any], probabilities: NDArray[Any]) -> Array:
    """(N,) negative logarithms of the probability of the true class, which counts as 1.2e-7 where it is less."""
    p = np.asarray(probabilities, np.float64)[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(p, _EPSILON, 1 - _EPSILON)))


def reliability(labels: NDArray[Any], probabilities: NDArray[Any], bins: int = BINS) -> tuple[Array, Array, Array]:
    """Mean probability of the predicted class, share that is right, and images, each (bins,): equal-mass bins.

    Images are sorted by that probability and cut into bins whose sizes differ by one at most; of equal probabilities
    the order of the images decides. Fewer bins where there are fewer images.
    """
    confidence, right, place = _binned(labels, probabilities, bins)
    images = np.bincount(place)
    return (
        np.bincount(place, confidence) / images,
        np.bincount(place, right) / images,
        images.astype(np.float64),
    )


def calibration_values(labels: NDArray[Any], probabilities: NDArray[Any], bins: int = BINS) -> Array:
    """(N,) pseudo-values of the expected calibration error: the mean over bins, by size, of |confidence - accuracy|.

    With the bins as they are, an image less takes its own difference from that of its bin.
    """
    confidence, right, place = _binned(labels, probabilities, bins)
    apart = confidence - right
    total = np.bincount(place, apart)
    values = np.abs(total[place]) - np.abs(total[place] - apart)
    return np.asarray(values - values.mean() + np.abs(total).sum() / len(labels))


def _binned(labels: NDArray[Any], probabilities: NDArray[Any], bins: int) -> tuple[Array, Array, NDArray[np.int64]]:
    """Probability of the predicted class, whether it is right, and the bin of each image, all (N,)."""
    n = len(labels)
    confidence = np.asarray(probabilities, np.float64).max(1)
    right = (np.argmax(probabilities, 1) == labels).astype(np.float64)
    place = np.empty(n, np.int64)
    place[np.argsort(confidence, kind="stable")] = np.arange(n) * min(bins, n) // n
    return confidence, right, place


def average_precision_values(labels: NDArray[Any], probabilities: NDArray[Any]) -> Array | None:
    """(N,) pseudo-values of the average precision (PR-AUC): of class 1 for K = 2, else the mean over the classes.

    None where a class has fewer than two images, so that none could be left out.
    """
    K = probabilities.shape[1]
    if np.bincount(labels, minlength=K).min() < 2:
        return None
    each = [_average_precision(labels == k, np.asarray(probabilities)[:, k]) for k in _chosen(probabilities)]
    return np.asarray(np.mean(each, axis=0))


def _average_precision(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Array:
    """Pseudo-values (N,) for one class. Sorts; no image is left out one by one.

    Positive i adds a_i / b_i: positives and images with scores of its own or above. Leaving out j takes one from the b
    of every positive not above j, and from its a, too, where j is a positive.
    """
    n, P = len(scores), int(positive.sum())
    everyone, own = np.sort(scores), np.sort(scores[positive])[::-1]  # positives from the highest on
    a = P - np.searchsorted(own[::-1], own, side="left")
    b = n - np.searchsorted(everyone, own, side="left")
    above = np.concatenate([[0.0], np.cumsum(a / b)])
    fewer = np.maximum(b - 1, 1)
    rest = _tails(a / fewer)  # of positives from this one on, when an image less is not below them
    rest_less = _tails((a - 1) / fewer)
    k = P - np.searchsorted(own[::-1], scores, side="right")  # positives above each image
    whole = above[-1] / P
    without = (above[k] + rest[k]) / P
    j = np.flatnonzero(positive)
    at = P - np.searchsorted(own[::-1], scores[j], side="left") - 1  # a place with this score
    without[j] = (above[k[j]] + rest_less[k[j]] - (a[at] - 1) / fewer[at]) / (P - 1)
    values = n * whole - (n - 1) * without
    return np.asarray(values - values.mean() + whole)


def _tails(values: Array) -> Array:
    """(P,) -> (P + 1,) sums from each place to the end."""
    return np.concatenate([np.cumsum(values[::-1])[::-1], [0.0]])


def curves(labels: NDArray[Any], probabilities: NDArray[Any], at: Array) -> tuple[Array, Array]:
    """Sensitivity (P,) at false positive rates `at`; precision (P,) at the first threshold of at least the recall `at`.

    Of class 1 for K = 2, else means over one class against the rest.
    """
    sensitivity, precision = [], []
    for k in _chosen(probabilities):
        hits, misses, above = _thresholds(labels == k, np.asarray(probabilities)[:, k])
        recall = hits / hits[-1]
        sensitivity.append(np.interp(at, misses / misses[-1], recall))
        first = np.searchsorted(recall[1:], np.maximum(at, 2e-12) - 1e-12)
        precision.append((hits[1:] / above[1:])[np.minimum(first, len(recall) - 2)])
    return np.asarray(np.mean(sensitivity, axis=0)), np.asarray(np.mean(precision, axis=0))


def _chosen(probabilities: NDArray[Any]) -> range:
    """The classes that are told from the rest."""
    K = probabilities.shape[1]
    return range(1, 2) if K == 2 else range(K)


def _thresholds(positive: NDArray[np.bool_], scores: NDArray[Any]) -> tuple[Array, Array, Array]:
    """Positives, negatives and images at or above each threshold: none, then every score from the highest on."""
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))  # of equal scores
    found = np.concatenate([[0], hits[last]]).astype(np.float64)
    above = np.concatenate([[0], last + 1]).astype(np.float64)
    return found, above - found, above
