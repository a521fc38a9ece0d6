"""Across data sets: one effect with its spread, ranks, and whether the design can say anything.

Letters: m data sets, k arms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, factorial, log2

import numpy as np
from numpy.typing import ArrayLike

from .crossed import Array


@dataclass(frozen=True)
class MetaAnalysis:
    """Mean effect of an arm over data sets. Where `reason` is set, there is no analysis.

    effect, se, low, high, p: Hartung-Knapp, Student's t with m - 1 df.
    tau: standard deviation of the true effects between data sets.
    i2: share of the spread that is between data sets rather than noise, in [0, 1].
    prediction_low, prediction_high: where the effect on one more data set would lie; needs three.
    datasets, planned: how many went in, and how many the study asked for.
    """

    datasets: int
    planned: int
    effect: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    tau: float | None = None
    i2: float | None = None
    prediction_low: float | None = None
    prediction_high: float | None = None
    reason: str | None = None


def random_effects(
    effects: Sequence[float],
    standard_errors: Sequence[float],
    *,
    planned: int | None = None,
    confidence: float = 0.95,
) -> MetaAnalysis:
    """Random-effects meta-analysis of effects (m,) with standard errors (m,).

    Between-data-set variance by Paule & Mandel (1982; DerSimonian & Kacker 2007): it needs no
    normality and no iteration that can fail, and is among the least biased with few studies.
    Interval by Hartung & Knapp (2001), its variance factor not below 1 (Roever, Knapp & Friede
    2015), so that agreement by chance never narrows it. Prediction interval by Higgins, Thompson &
    Spiegelhalter (2009), t with m - 2 df.
    """
    y, se = np.asarray(effects, dtype=np.float64), np.asarray(standard_errors, dtype=np.float64)
    m = len(y)
    planned = m if planned is None else planned
    if m < 2:
        reason = f"{m} data set{'' if m == 1 else 's'}: nothing to combine"
        return MetaAnalysis(m, planned, reason=reason)
    tau2 = _paule_mandel(y, se)
    if tau2 == 0 and (se == 0).any():
        reason = "a data set without any variance would get all the weight"
        return MetaAnalysis(m, planned, reason=reason)

    from scipy.special import stdtr, stdtrit

    weight = 1 / (tau2 + se**2)
    effect = float(weight @ y / weight.sum())
    factor = max(1.0, float(weight @ (y - effect) ** 2 / (m - 1)))
    error = float(np.sqrt(factor / weight.sum()))
    half_width = float(stdtrit(m - 1, (1 + confidence) / 2)) * error
    prediction = None
    if m > 2:
        prediction = float(stdtrit(m - 2, (1 + confidence) / 2)) * float(np.sqrt(tau2 + error**2))
    return MetaAnalysis(
        datasets=m,
        planned=planned,
        effect=effect,
        se=error,
        low=effect - half_width,
        high=effect + half_width,
        p=float(2 * stdtr(m - 1, -abs(effect) / error)),
        tau=float(np.sqrt(tau2)),
        i2=_i_squared(y, se),
        prediction_low=None if prediction is None else effect - prediction,
        prediction_high=None if prediction is None else effect + prediction,
    )


def _paule_mandel(y: Array, se: Array) -> float:
    """tau^2 at which the weighted squared deviations sum to m - 1, or 0 if they are below it."""
    m = len(y)

    def excess(tau2: float) -> float:
        weight = 1 / (tau2 + se**2)
        mean = weight @ y / weight.sum()
        return float(weight @ (y - mean) ** 2) - (m - 1)

    upper = float(y.var(ddof=1))  # the solution if all se were 0, and never below the solution
    lower = 0.0 if (se > 0).all() else upper * 1e-12
    if upper == 0 or excess(lower) <= 0:
        return 0.0
    if excess(upper) >= 0:  # all se are 0, up to rounding
        return upper
    from scipy.optimize import brentq

    return float(brentq(excess, lower, upper, xtol=1e-15))


def _i_squared(y: Array, se: Array) -> float | None:
    """Higgins & Thompson (2002), from Cochran's Q; None where a standard error is 0."""
    if (se == 0).any():
        return None
    weight = 1 / se**2
    q = float(weight @ (y - weight @ y / weight.sum()) ** 2)
    return max(0.0, 1 - (len(y) - 1) / q) if q > 0 else 0.0


@dataclass(frozen=True)
class Friedman:
    """Ranks of k arms over m data sets, and the critical-difference diagram's numbers.

    average_ranks: (k,), 1 is best, ties share. statistic, p: Friedman's chi^2, and the p of Iman
    & Davenport's F. critical_difference: Nemenyi's. groups: maximal sets of arms (indices, best
    first) that it does not tell apart; they may overlap. reachable: whether even the first and the
    last arm of a unanimous ranking would differ by the critical difference.
    datasets, planned: data sets with all arms, and all that were given.
    """

    datasets: int
    planned: int
    arms: int
    average_ranks: tuple[float, ...] | None = None
    statistic: float | None = None
    p: float | None = None
    critical_difference: float | None = None
    groups: tuple[tuple[int, ...], ...] = ()
    reachable: bool = False
    reason: str | None = None


def friedman(scores: ArrayLike, *, alpha: float = 0.05) -> Friedman:
    """Friedman's test of scores (m, k), higher is better; a data set with a NaN is left out.

    Demsar (2006): Iman & Davenport's F because chi^2 is too cautious, then Nemenyi's critical
    difference. p is not let below that of m unanimous rankings under permutation, k!^(1 - m).
    """
    given = np.asarray(scores, dtype=np.float64)
    table = given[~np.isnan(given).any(1)]
    m, k = table.shape
    if m < 2 or k < 3:
        reason = f"ranks need two data sets on which every arm has a result, and three arms; here are {m} and {k}"
        return Friedman(m, len(given), k, reason=reason)

    from scipy.special import fdtrc
    from scipy.stats import rankdata

    ranks = rankdata(-table, axis=1)  # (m, k)
    average = ranks.mean(0)
    spread = float(((ranks - (k + 1) / 2) ** 2).sum())  # m k (k^2 - 1) / 12 without ties
    chi2 = 0.0
    if spread > 0:
        chi2 = m * (k - 1) * float(((average - (k + 1) / 2) ** 2).sum()) * m / spread
    rest = m * (k - 1) - chi2
    p = float(factorial(k)) ** (1 - m)
    if rest > 1e-9 * m * k:
        p = max(p, float(fdtrc(k - 1, (k - 1) * (m - 1), (m - 1) * chi2 / rest)))
    cd = critical_difference(k, m, alpha=alpha)
    return Friedman(
        datasets=m,
        planned=len(given),
        arms=k,
        average_ranks=tuple(float(r) for r in average),
        statistic=chi2,
        p=p,
        critical_difference=cd,
        groups=rank_groups(average, cd),
        reachable=k - 1 >= cd,
    )


def critical_difference(arms: int, datasets: int, *, alpha: float = 0.05) -> float:
    """Nemenyi's critical difference of average ranks: q sqrt(k (k + 1) / (6 m)) (Demsar 2006).

    q is the studentized range's quantile with infinite df, divided by sqrt 2.
    """
    from scipy.stats import studentized_range

    q = float(studentized_range.ppf(1 - alpha, arms, np.inf)) / np.sqrt(2)
    return float(q * np.sqrt(arms * (arms + 1) / (6 * datasets)))


def rank_groups(average_ranks: ArrayLike, difference: float) -> tuple[tuple[int, ...], ...]:
    """Maximal groups of two or more arms whose average ranks lie within less than `difference`.

    Indices, best first. These are the bars of the diagram: none lies within another.
    """
    ranks = np.asarray(average_ranks, dtype=np.float64)
    order = np.argsort(ranks, kind="stable")
    ordered = ranks[order]
    groups = []
    covered = 0  # arms up to here are in a group already
    for first in range(len(order)):
        last = int(np.searchsorted(ordered, ordered[first] + difference, "left"))
        if last > covered and last - first > 1:
            groups.append(tuple(int(i) for i in order[first:last]))
            covered = last
    return tuple(groups)


@dataclass(frozen=True)
class Reach:
    """Whether a sign or signed-rank test could reach significance if an arm won every time.

    smallest_p: two-sided, for `pairs` pairs all of one sign. corrected: times `tests`.
    pairs_needed: the fewest pairs for which `corrected` would not exceed alpha.
    """

    pairs: int
    tests: int
    smallest_p: float
    corrected: float
    reachable: bool
    pairs_needed: int


def reach(pairs: int, tests: int = 1, *, alpha: float = 0.05) -> Reach:
    """Smallest p that a sign-flip test over `pairs` data sets (or replicates) can give.

    Of 2^pairs equally likely signs two are as extreme as all alike, so p >= 2 / 2^pairs, for
    Wilcoxon's signed ranks too; Holm's first step multiplies it by the number of tests. With 8 data
    sets and 9 arms that is 0.070: an arm that wins on all 8 cannot be called significant.
    """
    smallest = min(1.0, 2.0 ** (1 - pairs))
    corrected = min(1.0, smallest * tests)
    needed = ceil(1 + log2(tests / alpha))
    return Reach(pairs, tests, smallest, corrected, corrected <= alpha, needed)
