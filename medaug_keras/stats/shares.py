"""Shares such as sensitivity and predictive values: one value an image, and an interval of the share itself.

Letters: S replicates, n test images, G groups of them.
"""

import numpy as np
from numpy.typing import ArrayLike

from medaug_keras.stats.crossed import Array, Crossed, group_sums


def share_values(hit: ArrayLike, counted: ArrayLike, groups: ArrayLike | None = None) -> Array:
    """(S, n) bool each -> (S, n) values whose mean is the share of the counted images that are hits.

    With groups (n,) -> (S, G). Which images count, and so how many, may differ from run to run, as of predictive
    values: the share is a ratio of two means, and its values are linearized (Woodruff 1971),

        share + n / (images that count) * (hit - share) of an image that counts, and share of any other.

    Where as many images count in every group, this is what `group_sums` has of hits; elsewhere large groups do not
    count as a departure from the mean for being large. Raises ValueError for a run in which no image counts.
    """
    right, those = np.asarray(hit, bool), np.asarray(counted, bool)
    right, those = np.broadcast_arrays(right, those)
    many = those.sum(-1, keepdims=True)
    if not many.all():
        raise ValueError("there is a run in which no image counts; leave it out")
    share = (right & those).sum(-1, keepdims=True) / many
    apart = np.where(those, right - share, 0.0) * (those.shape[-1] / many)
    return np.asarray(share + (apart if groups is None else group_sums(apart, groups)))


def share_interval(found: Crossed, *, confidence: float = 0.95) -> tuple[float, float] | None:
    """Interval of a share from the crossed analysis of its values alone; None where that has fewer than two replicates.

    A symmetric interval ends beyond 1 or covers too little where a share is near 1. So (Korn & Graubard 1998) the exact
    interval of Clopper and Pearson, for as many independent images as would give the standard error that the analysis
    found; never more than there are units, and fewer for the degrees of freedom that were few. Where nothing varied,
    that many units.
    """
    from scipy.special import betaincinv, stdtrit

    share, units = found.effect, found.units
    if share is None or found.replicates < 2 or units < 2:
        return None
    share, size, tail = min(max(share, 0.0), 1.0), float(units), (1 - confidence) / 2
    if found.se and found.df and 0 < share < 1:
        size = min(size, share * (1 - share) / found.se**2)
        size *= min(1.0, float(stdtrit(units - 1, 1 - tail) / stdtrit(found.df, 1 - tail)) ** 2)
    hits = share * size
    low = 0.0 if share == 0 else float(betaincinv(hits, size - hits + 1, tail))
    high = 1.0 if share == 1 else float(betaincinv(hits + 1, size - hits, 1 - tail))
    return low, high


def shared_variance(deviations: ArrayLike) -> float:
    """(S, B) what B draws of the images that thresholds are chosen on make of each of S runs -> the variance that the
    mean over the runs has of these images: the mean covariance of two runs.

    What a draw does to one run alone is no part of it, for it is in the variance between runs already.
    """
    x = np.asarray(deviations, np.float64)
    S = len(x)
    if min(x.shape) < 2:
        return 0.0
    of_mean, of_runs = x.mean(0).var(ddof=1), x.var(-1, ddof=1).mean()
    return max(0.0, float((S * of_mean - of_runs) / (S - 1)))
