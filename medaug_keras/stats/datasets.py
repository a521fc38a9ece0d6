"""Across data sets: one effect with its spread, ranks, and whether the design can say anything.

Letters: m data sets, k arms.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, factorial, log2

import numpy as np
from numpy.typing import ArrayLike

from medaug_keras.counts import plural
from medaug_keras.stats.crossed import Crossed, crossed


@dataclass(frozen=True)
class MetaAnalysis:
    """Mean effect of an arm over data sets, each counting the same. Where `reason` is set, there is no analysis.

    effect, se, low, high, p: of the mean. p is `Crossed.p_family`, the one for corrections.
    tau: standard deviation of the true effects between data sets; None where a standard error is not known.
    prediction_low, prediction_high: where the effect on one more data set would lie; needs three.
    replicates: those that all these data sets have.
    datasets, planned: how many went in, and how many the study asked for.
    analysis: the crossed analysis behind it, with data sets in the place of images.
    """

    datasets: int
    planned: int
    replicates: int = 0
    effect: float | None = None
    se: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    tau: float | None = None
    prediction_low: float | None = None
    prediction_high: float | None = None
    analysis: Crossed | None = None
    reason: str | None = None


def mean_over_datasets(
    differences: ArrayLike,
    standard_errors: Sequence[float | None],
    *,
    planned: int | None = None,
    confidence: float = 0.95,
) -> MetaAnalysis:
    """Mean over data sets of the differences (S, m) of replicates; standard errors (m,) of its columns' means.

    The crossed analysis again, with data sets in the place of images: another data set would come out differently,
    and so would another replicate. Data sets share a replicate's initial weights, so a replicate may move all of them
    together, and nothing is taken as independent that is not. Standard errors describe only: with few replicates
    they have few degrees of freedom, and a random-effects mean that takes them as known (Paule & Mandel with Hartung
    & Knapp's interval) makes false claims in 25 to 29 % of studies of two replicates after Holm over eleven arms.

    tau^2 is the variance of the effects less the mean squared standard error, not below 0 (Hedges & Olkin 1985).
    Prediction interval by Higgins, Thompson & Spiegelhalter (2009), t with m - 2 df.
    """
    Y = np.asarray(differences, dtype=np.float64)
    S, m = Y.shape
    planned = m if planned is None else planned
    if m < 2:
        reason = f"{plural(m, 'data set')}: nothing to combine"
        return MetaAnalysis(m, planned, S, reason=reason)
    if S < 2:
        return MetaAnalysis(m, planned, S, reason="the data sets have no two replicates in common")
    found = crossed(Y, confidence=confidence)
    if found.se is None or found.effect is None:
        reason = "the same difference on every data set: no variance to test against"
        return MetaAnalysis(m, planned, S, reason=reason)

    from scipy.special import stdtrit

    known = [e for e in standard_errors if e is not None]
    tau2 = max(0.0, float(Y.mean(0).var(ddof=1) - np.mean(np.square(known)))) if len(known) == m else None
    prediction = None
    if m > 2 and tau2 is not None:
        prediction = float(stdtrit(m - 2, (1 + confidence) / 2)) * float(np.sqrt(tau2 + found.se**2))
    return MetaAnalysis(
        datasets=m,
        planned=planned,
        replicates=S,
        effect=found.effect,
        se=found.se,
        low=found.low,
        high=found.high,
        p=found.p_family,
        tau=None if tau2 is None else float(np.sqrt(tau2)),
        prediction_low=None if prediction is None else found.effect - prediction,
        prediction_high=None if prediction is None else found.effect + prediction,
        analysis=found,
    )


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
