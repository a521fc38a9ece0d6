"""Metrics as one value per image, so that all of them go through the same crossed analysis.

Accuracy is a mean over images already. AUC, macro-F1 and balanced accuracy are not; their jackknife
pseudo-values over images take the place of correctness (Dorfman, Berbaum & Metz 1992). With theta
the metric on all n images and theta_(i) without image i,

    Y[i] = n theta - (n - 1) theta_(i),  shifted so that the mean of Y is theta

("normalised" pseudo-values, Hillis, Obuchowski, Schartz & Berbaum 2005), so that the effect in a
test equals the difference of the means in a table.

Letters: S replicates, n test images, K classes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from .crossed import Array, Counts, Crossed, Mask, crossed

Metric = Literal["accuracy", "auc", "balanced_accuracy", "macro_f1"]


def compare(
    metric: Metric,
    arm: ArrayLike,
    baseline: ArrayLike,
    labels: ArrayLike,
    *,
    planned: int | None = None,
    confidence: float = 0.95,
) -> Crossed:
    """Crossed analysis of a metric: probabilities (S, n, K) of both arms and labels (n,).

    Replicate s of the arm is paired with replicate s of the baseline. A metric that these labels
    do not define gives a result without effect, whose `reason` says why.
    """
    arm, baseline, labels = np.asarray(arm), np.asarray(baseline), np.asarray(labels)
    if arm.shape != baseline.shape:
        raise ValueError(f"arm has shape {arm.shape}, baseline {baseline.shape}; expected the same")
    S, n, K = arm.shape
    reason = why_undefined(metric, labels, K)
    if reason is not None:
        return Crossed(None, S, S if planned is None else planned, n, reason=reason)
    difference = pseudo_values(metric, arm, labels) - pseudo_values(metric, baseline, labels)
    return crossed(difference, planned=planned, confidence=confidence)


def why_undefined(metric: Metric, labels: ArrayLike, num_classes: int) -> str | None:
    """Why the metric or its jackknife is not defined on these labels (n,); None where it is.

    Every class needs two images, so that one is left when the other is left out.
    """
    if metric not in get_args(Metric):
        raise ValueError(f"{metric!r} is not a metric; expected one of {list(get_args(Metric))}")
    if metric == "accuracy":
        return None
    counts = np.bincount(np.asarray(labels), minlength=num_classes)
    few = [str(k) for k in range(num_classes) if counts[k] < 2]
    if not few:
        return None
    return f"{metric} needs two test images of every class; class {', '.join(few)} has fewer"


def pseudo_values(metric: Metric, probabilities: ArrayLike, labels: ArrayLike) -> Array:
    """(S, n, K) probabilities and (n,) labels -> (S, n) pseudo-values; a row's mean is the metric.

    Accuracy: 1 where the most probable class is the label, else 0. AUC: of class 1 for K = 2, else
    the mean over classes of one against the rest, ties counting half. Costs a sort per class and
    replicate for AUC, and less for the others.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if probabilities.ndim != 3 or labels.shape != probabilities.shape[1:2]:
        raise ValueError(
            f"probabilities have shape {probabilities.shape} and labels {labels.shape}; "
            "expected (replicates, images, classes) and (images,)"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities have values that are not finite; leave failed replicates out of them")
    K = probabilities.shape[2]
    reason = why_undefined(metric, labels, K)
    if reason is not None:
        raise ValueError(reason)
    if metric == "auc":
        classes = [1] if K == 2 else range(K)
        return np.stack(
            [np.mean([_auc_pseudo_values(p[:, k], labels == k) for k in classes], axis=0) for p in probabilities]
        )
    predicted = probabilities.argmax(-1)  # (S, n)
    if metric == "accuracy":
        return (predicted == labels).astype(np.float64)
    score = {"balanced_accuracy": _balanced_accuracy, "macro_f1": _macro_f1}[metric]
    return np.stack([_confusion_pseudo_values(score, labels, row, K) for row in predicted])


def _auc_pseudo_values(scores: Array, positive: Mask) -> Array:
    """(n,) scores and (n,) bool -> (n,). Leaving one out of a Mann-Whitney statistic, closed form.

    The placement V of a positive is the share of negatives below it, of a negative the share of
    positives above it; AUC is the mean of either (DeLong, DeLong & Clarke-Pearson 1988). Without
    positive i, AUC_(i) = (n1 AUC - V_i) / (n1 - 1), and likewise for negatives.
    """
    order = np.argsort(scores)  # looking sorted values up in sorted values is three times as fast
    ordered, is_positive = scores[order], positive[order]
    positives, negatives = ordered[is_positive], ordered[~is_positive]
    placements = np.empty(len(scores))
    placements[order[is_positive]] = _share_below(positives, negatives)
    placements[order[~is_positive]] = 1 - _share_below(negatives, positives)
    auc = placements[positive].mean()
    group_size = np.where(positive, len(positives), len(negatives))
    return np.asarray(auc + (len(scores) - 1) / (group_size - 1) * (placements - auc))


def _share_below(x: Array, ordered: Array) -> Array:
    """Share of `ordered` that lies below each x, ties counting half."""
    return (np.searchsorted(ordered, x, "left") + np.searchsorted(ordered, x, "right")) / (2 * len(ordered))


def _confusion_pseudo_values(score: Callable[[Counts], float], labels: Counts, predicted: Counts, K: int) -> Array:
    """(n,) each -> (n,): what leaving an image out does depends only on its cell of the confusion."""
    n = len(labels)
    confusion = np.bincount(labels * K + predicted, minlength=K * K).reshape(K, K)
    theta = score(confusion)
    without = np.full((K, K), np.nan)
    for true, guess in np.argwhere(confusion):
        confusion[true, guess] -= 1
        without[true, guess] = score(confusion)
        confusion[true, guess] += 1
    values = n * theta - (n - 1) * without[labels, predicted]
    return np.asarray(values + (theta - values.mean()))


def _balanced_accuracy(confusion: Counts) -> float:
    return float(np.mean(np.diag(confusion) / confusion.sum(1)))


def _macro_f1(confusion: Counts) -> float:
    return float(np.mean(2 * np.diag(confusion) / (confusion.sum(0) + confusion.sum(1))))
