"""Whether probabilities are what they say, and precision beside recall: from probabilities and labels alone.

Every measure is also one value an image whose mean is the measure, so that it goes through the same analysis as
accuracy. Brier score and log loss are such means; of the others the values are jackknife pseudo-values, as in
`stats.metrics`.

Shapes: N images, K classes, P points of a curve. `labels` is (N,) int, `probabilities` (..., N, K) in [0, 1]: of one
run, or of any number that tested the same images, which takes little longer where they are few.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINS = 10
"""Bins of the calibration error, each with as many images as the next."""
TEMPERATURES = (0.05, 20.0)
"""Between which `temperature` looks."""
_EPSILON = float(np.finfo(np.float32).eps)  # a probability of 0 would make the log loss infinite


def brier_values(labels: NDArray[Any], probabilities: NDArray[Any]) -> Array:
    """(..., N) squared errors of the probabilities: of class 1 for K = 2, else summed over the classes (Brier 1950)."""
    p = np.asarray(probabilities, np.float64)
    if p.shape[-1] == 2:
        return np.asarray((p[..., 1] - (labels == 1)) ** 2)
    return np.asarray(((p - np.eye(p.shape[-1])[labels]) ** 2).sum(-1))


def log_loss_values(labels: NDArray[Any], probabilities: NDArray[Any]) -> Array:
    """(..., N) negative logarithms of the probability of the true class, which counts as 1.2e-7 where it is less."""
    p = np.asarray(probabilities, np.float64)[..., np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.clip(p, _EPSILON, 1 - _EPSILON)))


def reliability(labels: NDArray[Any], probabilities: NDArray[Any], bins: int = BINS) -> tuple[Array, Array, Array]:
    """Mean probability of the predicted class and share that is right, (..., bins), and images (bins,): equal-mass.

    Images are sorted by that probability and cut into bins whose sizes differ by one at most; of equal probabilities
    the order of the images decides. Fewer bins where there are fewer images.
    """
    confidence, right, order, first = _binned(labels, probabilities, bins)
    images = np.diff(np.append(first, len(labels))).astype(np.float64)

    def means(of: Array) -> Array:
        return np.asarray(np.add.reduceat(np.take_along_axis(of, order, -1), first, axis=-1) / images)

    return means(confidence), means(right), images


def calibration_values(labels: NDArray[Any], probabilities: NDArray[Any], bins: int = BINS) -> Array:
    """(..., N) pseudo-values of the expected calibration error: the mean of |confidence - accuracy| over bins, by size.

    With the bins as they are, an image less takes its own difference from that of its bin.
    """
    confidence, right, order, first = _binned(labels, probabilities, bins)
    apart = np.take_along_axis(confidence - right, order, -1)
    total = np.add.reduceat(apart, first, axis=-1)
    of_bin = np.repeat(total, np.diff(np.append(first, len(labels))), axis=-1)
    values = np.empty_like(apart)
    np.put_along_axis(values, order, np.abs(of_bin) - np.abs(of_bin - apart), -1)
    error = np.abs(total).sum(-1, keepdims=True) / len(labels)
    return np.asarray(values - values.mean(-1, keepdims=True) + error)


def temperature(labels: NDArray[Any], probabilities: NDArray[Any]) -> float:
    """The T that makes the log loss of `scaled` probabilities (N, K) of these images least (Guo et al. 2017).

    The images are others than those whose probabilities are scaled with it: validation images. Between the ends of
    `TEMPERATURES`; at one of them where the loss falls beyond, as it does where every image is right.
    """
    from scipy.optimize import minimize_scalar

    logits = _logits(probabilities)
    ends = np.log(TEMPERATURES)

    def loss(log_t: float) -> float:
        return float(-_log_softmax(logits / np.exp(log_t))[np.arange(len(labels)), labels].mean())

    found = minimize_scalar(loss, bounds=tuple(ends), method="bounded", options={"xatol": 1e-8})
    best = min((found.x, *ends), key=loss)
    return float(np.exp(best))


def at_limit(temperature: float) -> bool:
    """Whether it is an end of `TEMPERATURES`, beyond which the log loss falls further."""
    return any(np.isclose(temperature, end, rtol=1e-6, atol=0) for end in TEMPERATURES)


def scaled(probabilities: NDArray[Any], temperature: float) -> Array:
    """(..., N, K): the softmax of the probabilities' logarithms divided by T: of logits, the same as of logits / T.

    Above 1 they are less sure, below 1 more; the class that is named stays. A probability below 1.2e-7 counts as that.
    """
    return np.asarray(np.exp(_log_softmax(_logits(probabilities) / temperature)))


def _logits(probabilities: NDArray[Any]) -> Array:
    return np.asarray(np.log(np.maximum(np.asarray(probabilities, np.float64), _EPSILON)))


def _log_softmax(logits: Array) -> Array:
    logits = logits - logits.max(-1, keepdims=True)
    return np.asarray(logits - np.log(np.exp(logits).sum(-1, keepdims=True)))


def _binned(
    labels: NDArray[Any], probabilities: NDArray[Any], bins: int
) -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:
    """Probability of the predicted class, whether it is right, and the images' order by it, all (..., N).

    Last, the place (bins,) in that order at which each bin begins.
    """
    n = len(labels)
    confidence = np.asarray(probabilities, np.float64).max(-1)
    right = (np.argmax(probabilities, -1) == labels).astype(np.float64)
    used = min(bins, n)
    return confidence, right, np.argsort(confidence, axis=-1, kind="stable"), -(-np.arange(used) * n // used)


def average_precision_values(labels: NDArray[Any], probabilities: NDArray[Any]) -> Array | None:
    """(..., N) pseudo-values of the average precision (PR-AUC): of class 1 for K = 2, else the mean over the classes.

    None where a class has fewer than two images, so that none could be left out.
    """
    p = np.asarray(probabilities)
    if np.bincount(labels, minlength=p.shape[-1]).min() < 2:
        return None
    each = [_average_precision(labels == k, p[..., k]) for k in _chosen(p)]
    return np.asarray(np.mean(each, axis=0))


def _average_precision(positive: NDArray[np.bool_], scores: NDArray[Any]) -> Array:
    """Pseudo-values (..., N) for one class. Sorts; no image is left out one by one.

    Positive i adds a_i / b_i: positives and images with scores of its own or above. Leaving out j takes one from the b
    of every positive not above j, and from its a, too, where j is a positive.
    """
    n, P = scores.shape[-1], int(positive.sum())
    ranked = _ranked(positive, scores)
    a, b, ours = ranked.positives, ranked.images, ranked.positive
    fewer = np.maximum(b - 1, 1)
    above = _before(np.where(ours, a / b, 0.0), ranked.first)  # of positives above each image
    rest, rest_less = (_from(np.where(ours, part, 0.0), ranked.first) for part in (a / fewer, (a - 1) / fewer))
    whole = np.where(ours, a / b, 0.0).sum(-1, keepdims=True) / P
    without = np.where(ours, (above + rest_less - (a - 1) / fewer) / (P - 1), (above + rest) / P)
    values = np.empty(scores.shape)
    np.put_along_axis(values, ranked.order, n * whole - (n - 1) * without, -1)
    return np.asarray(values - values.mean(-1, keepdims=True) + whole)


def _before(values: Array, first: NDArray[np.int64]) -> Array:
    """(..., N) sums of what comes before the place `first` of each."""
    sums = np.cumsum(values, axis=-1)
    return np.asarray(np.take_along_axis(sums - values, first, -1))


def _from(values: Array, first: NDArray[np.int64]) -> Array:
    """(..., N) sums from the place `first` of each to the end."""
    return np.asarray(np.take_along_axis(np.cumsum(values[..., ::-1], axis=-1)[..., ::-1], first, -1))


def curves(labels: NDArray[Any], probabilities: NDArray[Any], at: Array) -> tuple[Array, Array]:
    """Sensitivity at false positive rates `at`, and precision at the first threshold of at least the recall `at`.

    Both (..., P). Of class 1 for K = 2, else means over one class against the rest.
    """
    p = np.asarray(probabilities)
    found = [_curves(_ranked(labels == k, p[..., k]), at) for k in _chosen(p)]
    sensitivity, precision = (np.asarray(np.mean(part, axis=0)) for part in zip(*found, strict=True))
    return sensitivity, precision


def _curves(ranked: "_Ranked", at: Array) -> tuple[Array, Array]:
    shape = ranked.positives.shape
    hits, above = ranked.positives.reshape(-1, shape[-1]), ranked.images.reshape(-1, shape[-1])
    misses, wanted = above - hits, np.maximum(at, 2e-12) - 1e-12
    sensitivity, precision = np.empty((len(hits), len(at))), np.empty((len(hits), len(at)))
    for s in range(len(hits)):
        recall = np.append(0.0, hits[s] / hits[s, -1])
        sensitivity[s] = np.interp(at, np.append(0.0, misses[s] / misses[s, -1]), recall)
        precision[s] = (hits[s] / above[s])[np.minimum(np.searchsorted(recall[1:], wanted), shape[-1] - 1)]
    return sensitivity.reshape(*shape[:-1], -1), precision.reshape(*shape[:-1], -1)


def _chosen(probabilities: NDArray[Any]) -> range:
    """The classes that are told from the rest."""
    K = probabilities.shape[-1]
    return range(1, 2) if K == 2 else range(K)


class _Ranked(NamedTuple):
    """Images from the highest score on, all (..., N)."""

    order: NDArray[np.int64]
    """The image at each place."""
    positive: NDArray[np.bool_]
    """Whether it is one."""
    first: NDArray[np.int64]
    """The first place with its score."""
    positives: Array
    """Positives with its score or above."""
    images: Array
    """Images with its score or above."""


def _ranked(positive: NDArray[np.bool_], scores: NDArray[Any]) -> _Ranked:
    order = np.argsort(-scores, axis=-1, kind="stable")
    ordered, ours = np.take_along_axis(scores, order, -1), positive[order]
    place = np.arange(scores.shape[-1])
    starts, ends = np.ones(scores.shape, bool), np.ones(scores.shape, bool)
    starts[..., 1:] = ends[..., :-1] = ordered[..., 1:] != ordered[..., :-1]
    first = np.maximum.accumulate(np.where(starts, place, 0), axis=-1)
    last = np.minimum.accumulate(np.where(ends, place, place[-1])[..., ::-1], axis=-1)[..., ::-1]
    hits = np.take_along_axis(np.cumsum(ours, axis=-1), last, -1).astype(np.float64)
    return _Ranked(order, ours, first, hits, (last + 1).astype(np.float64))
