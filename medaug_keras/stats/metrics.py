"""Metrics as one value per image, so that all of them go through the same crossed analysis.

Accuracy is a mean over images already. AUC, macro-F1 and balanced accuracy are not; their jackknife
pseudo-values over images take the place of correctness (Dorfman, Berbaum & Metz 1992). With theta
the metric on all n images and theta_(i) without image i,

    Y[i] = n theta - (n - 1) theta_(i),  shifted so that the mean of Y is theta

("normalised" pseudo-values, Hillis, Obuchowski, Schartz & Berbaum 2005), so that the effect in a
test equals the difference of the means in a table.

Where images belong together, a whole group is left out, and G groups take the place of the n images in the formula.
Of accuracy, which is a mean, the sums over groups say the same (`group_sums`). Weighing groups by their size (Busing,
Meijer & van der Leeden 1999) makes less of the largest, and too many false claims where one group outweighs the rest.

Where every image was tested by the network of its fold (cross-validation), AUC is the mean of the folds' AUCs,
because scores of different networks are not on one scale: a positive of one fold and a negative of another make no
pair. Leaving an image out changes its own fold only. The other metrics count right images, and take all together.

Where images have several findings, each is two classes, without it and with it, and the metric is the mean over the
findings. Those of which one of the two has too few images to leave one out are left out of the mean
(`findings_left_out`).

Letters: S replicates, n test images, K classes or findings, G groups. labels are (n,) classes, or (n, K) findings of 0
and 1.
"""

from collections.abc import Callable
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from medaug_keras.labels import several
from medaug_keras.stats.crossed import Array, Counts, Crossed, Mask, crossed, group_sums, numbered

Metric = Literal["accuracy", "auc", "balanced_accuracy", "macro_f1"]


def compare(
    metric: Metric,
    arm: ArrayLike,
    baseline: ArrayLike,
    labels: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
    planned: int | None = None,
    confidence: float = 0.95,
) -> Crossed:
    """Crossed analysis of a metric: probabilities (S, n, K) of both arms, labels, groups (n,) and folds (S, n).

    Replicate s of the arm is paired with replicate s of the baseline, and both are cut into the same folds. A metric
    that these labels do not define gives a result without effect, whose `reason` says why. With two folds or more the
    variance between images counts twice (`crossed`).
    """
    arm, baseline, labels = np.asarray(arm), np.asarray(baseline), np.asarray(labels)
    if arm.shape != baseline.shape:
        raise ValueError(f"arm has shape {arm.shape}, baseline {baseline.shape}; expected the same")
    S, n, K = arm.shape
    reason = why_undefined(metric, labels, K, groups, folds)
    if reason is not None:
        units = None if groups is None else numbered(groups)[1]
        return Crossed(None, S, S if planned is None else planned, n, units, reason=reason)
    ours, theirs = (pseudo_values(metric, p, labels, groups, folds) for p in (arm, baseline))
    difference = ours - theirs
    return crossed(
        difference,
        folds=folds is not None and bool((np.asarray(folds) != np.asarray(folds)[:, :1]).any()),
        images=None if groups is None else n,
        planned=planned,
        confidence=confidence,
    )


def why_undefined(
    metric: Metric,
    labels: ArrayLike,
    num_classes: int,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
) -> str | None:
    """Why the metric or its jackknife is not defined on these labels; None where it is.

    Every class needs two images, in two groups, so that one is left when the other is left out; for AUC in every fold
    of every replicate, folds (S, n). A group in two folds of a replicate is an error. Of several findings, which are
    not cut into folds, one at least must be so.
    """
    if metric not in get_args(Metric):
        raise ValueError(f"{metric!r} is not a metric; expected one of {list(get_args(Metric))}")
    labels = np.asarray(labels)
    if several(labels):
        if folds is not None:
            raise ValueError("images with several findings are not cut into folds")
        if metric == "accuracy" or len(findings_left_out(labels, groups)) < num_classes:
            return None
        what = "test images" if groups is None else "groups of test images"
        return f"{metric} needs a finding that two {what} have, and two have not; there is none"
    parts = np.zeros((1, len(labels)), np.int64) if folds is None else _within_folds(folds, len(labels), groups)
    if metric == "accuracy":
        return None
    if metric != "auc":  # over all images
        parts = np.zeros_like(parts[:1])
    place = np.arange(len(labels)) if groups is None else numbered(groups)[0]
    counts = []  # of images, or of groups once for each class that they have
    for part in parts:
        fold, label, _ = np.unique(np.stack([part, labels.astype(np.int64), place]), axis=1)
        counts.append(np.bincount(fold * num_classes + label, minlength=(part.max() + 1) * num_classes))
    fewest = np.concatenate(counts).reshape(-1, num_classes).min(0)
    few = [str(k) for k in range(num_classes) if fewest[k] < 2]
    if not few:
        return None
    what = "test images" if groups is None else "groups of test images with images"
    where, there = (" in every fold", " in some fold") if metric == "auc" and folds is not None else ("", "")
    return f"{metric} needs two {what} of every class{where}; class {', '.join(few)} has fewer{there}"


def findings_left_out(labels: ArrayLike, groups: ArrayLike | None = None) -> list[int]:
    """The findings of labels (n, K) that fewer than two images, in two groups, have, or have not.

    AUC, balanced accuracy and macro F1 are means over the others in all tests.
    """
    columns = np.asarray(labels).T
    return [k for k, of in enumerate(columns) if why_undefined("auc", of, 2, groups) is not None]


def _within_folds(folds: ArrayLike, n: int, groups: ArrayLike | None) -> Counts:
    """(S, n) folds of any name -> the same numbered from 0 in each replicate. ValueError where a group is in two."""
    given = np.asarray(folds)
    if given.ndim != 2 or given.shape[1] != n:
        raise ValueError(
            f"folds have shape {given.shape}; expected (replicates, images), a fold for each of {n} images"
        )
    parts = np.stack([numbered(row)[0] for row in given])
    if groups is not None:
        place, G = numbered(groups)
        for s, part in enumerate(parts):
            if len(np.unique(place * (part.max() + 1) + part)) > G:
                raise ValueError(
                    f"a group has images in two folds of replicate {s}; the images of a group share a fold"
                )
    return parts


def pseudo_values(
    metric: Metric,
    probabilities: ArrayLike,
    labels: ArrayLike,
    groups: ArrayLike | None = None,
    folds: ArrayLike | None = None,
) -> Array:
    """(S, n, K) probabilities and labels -> (S, n) pseudo-values; a row's mean is the metric.

    With groups (n,) of images that belong together -> (S, G), in the order of the groups' labels.

    folds (S, n): the fold of each image in each replicate, by any names, where the network that tested an image is that
    of its fold. AUC is then the mean over folds; the other metrics are what they are without.

    Accuracy: 1 where the most probable class is the label, else 0; of a group `group_sums`. AUC: of
    class 1 for K = 2, else the mean over classes of one against the rest, ties counting half. Costs a
    sort per class and replicate for AUC (with groups two), and less for the others.

    Of several findings, the mean over them of what they are as two classes; of macro F1, that of the images with the
    finding counts alone. A finding is named where its probability is above 0.5.
    """
    probabilities, labels = np.asarray(probabilities), np.asarray(labels)
    if several(labels):
        return _of_findings(metric, probabilities, labels, groups, folds)
    if groups is not None and np.shape(groups) != labels.shape:
        raise ValueError(f"groups have shape {np.shape(groups)}; expected one label for each image, {labels.shape}")
    if probabilities.ndim != 3 or labels.shape != probabilities.shape[1:2]:
        raise ValueError(
            f"probabilities have shape {probabilities.shape} and labels {labels.shape}; "
            "expected (replicates, images, classes) and (images,)"
        )
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities have values that are not finite; leave failed replicates out of them")
    S, n, K = probabilities.shape
    if folds is not None and np.shape(folds) != (S, n):
        raise ValueError(f"folds have shape {np.shape(folds)}; expected one for each replicate and image, {(S, n)}")
    reason = why_undefined(metric, labels, K, groups, folds)
    if reason is not None:
        raise ValueError(reason)
    place, G = numbered(groups) if groups is not None else (None, 0)
    if metric == "auc":
        classes = [1] if K == 2 else range(K)

        cuts = None if folds is None else np.asarray(folds)

        def auc(scores: Array, positive: Mask) -> Array:
            if cuts is not None:
                own = np.arange(n) if place is None else place
                return np.stack([_auc_by_fold(*row, positive, own) for row in zip(scores, cuts, strict=True)])
            if place is None:
                return _auc_pseudo_values(scores, positive)
            return np.stack([_normalized(*_auc_without(row, positive, place, G)) for row in scores])

        return np.asarray(sum(auc(probabilities[..., k], labels == k) for k in classes) / len(classes))
    predicted = probabilities.argmax(-1)  # (S, n)
    if metric == "accuracy":
        right = (predicted == labels).astype(np.float64)
        return right if groups is None else group_sums(right, groups)
    score = {"balanced_accuracy": _balanced_accuracy, "macro_f1": _macro_f1}[metric]
    if place is None:
        step = max(1, 2**20 // (min(n, K * K) * K * K))  # replicates at once: within 8 MiB
        return np.concatenate(
            [_confusion_pseudo_values(score, labels, predicted[s : s + step], K) for s in range(0, S, step)]
        )
    return np.stack([_confusion_by_group(score, labels * K + row, place, G, K) for row in predicted])


def _of_findings(
    metric: Metric, probabilities: Array, labels: Counts, groups: ArrayLike | None, folds: ArrayLike | None
) -> Array:
    if probabilities.ndim != 3 or labels.shape != probabilities.shape[1:]:
        raise ValueError(
            f"probabilities have shape {probabilities.shape} and labels {labels.shape}; "
            "expected (replicates, images, findings) and (images, findings)"
        )
    K = labels.shape[1]
    reason = why_undefined(metric, labels, K, groups, folds)
    if reason is not None:
        raise ValueError(reason)
    left_out = [] if metric == "accuracy" else findings_left_out(labels, groups)
    every = [_of_finding(metric, probabilities[..., k], labels[:, k], groups) for k in range(K) if k not in left_out]
    return np.asarray(np.mean(every, axis=0))


def _of_finding(metric: Metric, scores: Array, labels: Counts, groups: ArrayLike | None) -> Array:
    """(S, n) probabilities of one finding, and (n,) of 0 and 1."""
    if metric == "auc":
        return pseudo_values(metric, np.stack([-scores, scores], axis=-1), labels, groups)
    named = (scores > 0.5).astype(np.float64)  # as MedMNIST decides, ties included
    if metric != "macro_f1":
        return pseudo_values(metric, np.stack([1 - named, named], axis=-1), labels, groups)
    cells = labels * 2 + named.astype(np.int64)
    if groups is None:
        return _confusion_pseudo_values(_f1, labels, named.astype(np.int64), 2)
    place, G = numbered(groups)
    return np.stack([_confusion_by_group(_f1, row, place, G, 2) for row in cells])


Grades = Literal["absolute_error", "quadratic_kappa"]
"""Measures of classes that are grades in their order, of the grades that are named."""


def why_no_kappa(labels: ArrayLike, groups: ArrayLike | None = None) -> str | None:
    """Why quadratic-weighted kappa or its jackknife is not defined on labels (n,); None where it is.

    Two grades need two images, in two groups each, so that two grades stay whichever is left out.
    """
    grades = np.asarray(labels)
    place = np.arange(len(grades)) if groups is None else numbered(groups)[0]
    some, _ = np.unique(np.stack([grades, place]), axis=1)
    if np.count_nonzero(np.unique(some, return_counts=True)[1] > 1) > 1:
        return None
    return f"it needs two grades that two {'test images' if groups is None else 'groups of test images'} have"


def grade_values(
    measure: Grades, predicted: ArrayLike, labels: ArrayLike, num_classes: int, groups: ArrayLike | None = None
) -> Array:
    """(S, n) grades named and (n,) true ones, from 0 -> (S, n) values whose mean over a row is the measure.

    With groups (n,) of images that belong together -> (S, G). absolute_error: by how many grades an image is off.
    quadratic_kappa: jackknife pseudo-values of Cohen's kappa (1968) with weights that grow with the square of that
    number: 1 where all are right, 0 of a chance that names grades as often. Raises ValueError where it is not defined.
    """
    named, true, K = np.asarray(predicted).astype(np.int64), np.asarray(labels).astype(np.int64), num_classes
    if named.ndim != 2 or named.shape[1:] != true.shape:
        raise ValueError(f"grades have shape {named.shape} and labels {true.shape}; expected (replicates, images)")
    if measure == "absolute_error":
        off = np.abs(named - true).astype(np.float64)
        return off if groups is None else group_sums(off, groups)
    reason = why_no_kappa(true, groups)
    if reason is not None:
        raise ValueError(reason)
    if groups is None:
        return _confusion_pseudo_values(_quadratic_kappa, true, named, K)
    place, G = numbered(groups)
    return np.stack([_confusion_by_group(_quadratic_kappa, true * K + row, place, G, K) for row in named])


def _auc_pseudo_values(scores: Array, positive: Mask) -> Array:
    """(S, n) scores and (n,) bool -> (S, n). Leaving one out of a Mann-Whitney statistic, closed form.

    Without positive i, AUC_(i) = (n1 AUC - V_i) / (n1 - 1), and likewise for negatives; V: `_placements`.
    """
    placements = _placements(scores, positive)
    auc = placements[:, positive].mean(-1, keepdims=True)
    of_class = np.where(positive, positive.sum(), (~positive).sum())
    return np.asarray(auc + (len(positive) - 1) / (of_class - 1) * (placements - auc))


def _placements(scores: Array, positive: Mask) -> Array:
    """(S, n) scores and (n,) bool -> (S, n): the share of the other class that each image is on the right side of.

    Of a positive the negatives below it, of a negative the positives above it, ties counting half; AUC is the mean of
    either (DeLong, DeLong & Clarke-Pearson 1988).
    """
    order = np.argsort(scores, axis=-1)
    ordered, is_positive = np.take_along_axis(scores, order, -1), positive[order]
    first = np.ones(scores.shape, bool)
    first[:, 1:] = ordered[:, 1:] != ordered[:, :-1]
    run = np.cumsum(first) - 1  # of equal scores; all rows in one, which takes a quarter of the time

    def share_below(of: Mask) -> Array:
        total, here = of[0].sum(), np.bincount(run, of.ravel())
        twice = (2 * np.cumsum(here) - here)[run].reshape(of.shape)
        return np.asarray((twice - 2 * total * np.arange(len(of))[:, None]) / (2 * total))

    placements = np.empty(scores.shape)
    shares = np.where(is_positive, share_below(~is_positive), 1 - share_below(is_positive))
    np.put_along_axis(placements, order, shares, -1)
    return placements


def _auc_by_fold(scores: Array, fold: Counts, positive: Mask, place: Counts) -> Array:
    """(n,) each, with images of a group in one fold -> (G,) pseudo-values of the mean over folds of AUC.

    What goes with a group is lost by its own fold's AUC, one k-th of the mean.
    """
    aucs, lost = [], np.empty(int(place.max()) + 1)
    names = np.unique(fold)
    for name in names:
        here = fold == name
        groups, of_fold = np.unique(place[here], return_inverse=True)
        auc, without = _auc_without(scores[here], positive[here], of_fold, len(groups))
        aucs.append(auc)
        lost[groups] = auc - without
    theta = float(np.mean(aucs))
    return _normalized(theta, theta - lost / len(names))


def _auc_without(scores: Array, positive: Mask, place: Counts, G: int) -> tuple[float, Array]:
    """AUC, and (G,) what it is when all images of a group are left out at once.

    The pairs of a positive and a negative that go with a group are those of its positives, those of its negatives, and
    less those that it has both of, which were counted twice.
    """
    n, n1 = len(scores), int(positive.sum())
    n0 = n - n1
    placements = _placements(scores[None], positive)[0]
    auc = placements[positive].mean()
    pairs = np.bincount(place, placements * np.where(positive, n0, n1), G)  # right ones with an image of the group
    ours = np.bincount(place, positive, G)
    others = np.bincount(place, ~positive, G)
    left = (n1 - ours) * (n0 - others)
    without = (auc * n1 * n0 - pairs + _pairs_within(scores, positive, place, G)) / left
    return auc, without


def _pairs_within(scores: Array, positive: Mask, place: Counts, G: int) -> Array:
    """(G,): the right pairs of a positive and a negative within each group, ties counting half, from midranks."""
    order = np.lexsort((scores, place))
    group, score = place[order], scores[order]
    first = np.concatenate([[True], (group[1:] != group[:-1]) | (score[1:] != score[:-1])])  # of equal scores
    run = np.cumsum(first) - 1
    size = np.bincount(run)
    middle = np.flatnonzero(first) + (size + 1) / 2  # midrank among all
    rank = middle[run] - np.searchsorted(group, np.arange(G))[group]  # among the group, from 1
    ours = np.bincount(place, positive, G)
    return np.asarray(np.bincount(group, rank * positive[order], G) - ours * (ours + 1) / 2)


def _confusion_pseudo_values(score: Callable[[Counts], Array], labels: Counts, predicted: Counts, K: int) -> Array:
    """(n,) and (S, n) -> (S, n): what leaving an image out does depends only on its cell of the confusion."""
    cells = labels * K + predicted
    place = cells + np.arange(len(predicted))[:, None] * (K * K)
    confusion = np.bincount(place.ravel(), minlength=len(predicted) * K * K).reshape(-1, K * K)
    row, cell = np.nonzero(confusion)
    less = confusion[row]
    less[np.arange(len(row)), cell] -= 1
    without = np.full(confusion.shape, np.nan)
    without[row, cell] = score(less.reshape(-1, K, K))
    theta = score(confusion.reshape(-1, K, K))
    return _normalized(theta[:, None], np.take_along_axis(without, cells, axis=1))


def _normalized(theta: float | Array, without: Array) -> Array:
    """The metric, and (..., n) what it is without each image or group -> pseudo-values whose mean is the metric."""
    return np.asarray(theta + (without.shape[-1] - 1) * (without.mean(-1, keepdims=True) - without))


def _confusion_by_group(score: Callable[[Counts], Array], cell: Counts, place: Counts, G: int, K: int) -> Array:
    """(n,) cells of the confusion and (n,) groups -> (G,)."""
    whole = np.bincount(cell, minlength=K * K)
    groups, where = np.unique(place * (K * K) + cell, return_counts=True)
    without = np.tile(whole, (G, 1))
    without[groups // (K * K), groups % (K * K)] -= where
    return _normalized(float(score(whole.reshape(K, K))), score(without.reshape(G, K, K)))


def _balanced_accuracy(confusion: Counts) -> Array:
    """(..., K, K) -> (...)."""
    return np.asarray(np.mean(np.diagonal(confusion, axis1=-2, axis2=-1) / confusion.sum(-1), axis=-1))


def _macro_f1(confusion: Counts) -> Array:
    """(..., K, K) -> (...)."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return np.asarray(np.mean(2 * right / (confusion.sum(-2) + confusion.sum(-1)), axis=-1))


def _f1(confusion: Counts) -> Array:
    """(..., 2, 2) -> (...): of the second class."""
    return np.asarray(2 * confusion[..., 1, 1] / (confusion[..., 1, :].sum(-1) + confusion[..., :, 1].sum(-1)))


def _quadratic_kappa(confusion: Counts) -> Array:
    """(..., K, K) -> (...)."""
    K = confusion.shape[-1]
    weights = (np.arange(K)[:, None] - np.arange(K)) ** 2
    true, named, n = confusion.sum(-1), confusion.sum(-2), confusion.sum((-1, -2))
    by_chance = np.einsum("...i,ij,...j->...", true, weights, named) / n
    return np.asarray(1 - (confusion * weights).sum((-1, -2)) / by_chance)
