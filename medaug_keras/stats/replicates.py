"""Replicates of one arm: means, intervals, how often it beats another, how much selection inflates a score.

The intervals here are descriptions or checks; the test of a difference is `crossed`.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike

from medaug_keras.stats.crossed import Array, Counts, Mask, group_sums, mutual


@dataclass(frozen=True)
class Estimate:
    """Mean of n of `planned` replicates; sd needs two, and half_width two that differ."""

    mean: float | None
    sd: float | None
    half_width: float | None
    n: int
    planned: int


def estimate(values: Sequence[float], *, planned: int | None = None, confidence: float = 0.95) -> Estimate:
    """Mean of replicates (n,) with Student's t interval, mean +- half_width.

    It covers the mean over training runs on these very test images; other images would move it
    too. estimate([0.70, 0.72, 0.74]) is 0.72 +- 0.0497.
    """
    x = np.asarray(values, dtype=np.float64)
    n = len(x)
    planned = n if planned is None else planned
    if n == 0:
        return Estimate(None, None, None, 0, planned)
    mean = float(x.mean())
    if n == 1:
        return Estimate(mean, None, None, 1, planned)
    from scipy.special import stdtrit

    rounding = 1e-12 * float(np.abs(x).max())  # values that are equal but for this have no spread
    sd = float(x.std(ddof=1)) if np.ptp(x) > rounding else 0.0
    half_width = float(stdtrit(n - 1, (1 + confidence) / 2)) * sd / np.sqrt(n)
    return Estimate(mean, sd, float(half_width) if sd > 0 else None, n, planned)


_DRAWN_AT_ONCE = 50_000  # images
_KEPT = 1_000_000  # images: 8 MB


def _drawn(seed: int, S: int, n: int, draws: int) -> Iterator[tuple[Counts, Array]]:
    """How often each replicate (b, S) and each image (b, n) is drawn, some draws at a time."""
    chance = np.random.default_rng(seed)
    replicates = chance.multinomial(S, np.full(S, 1 / S), size=draws)  # (draws, S)
    many = max(1, _DRAWN_AT_ONCE // n)  # (draws, n) would not fit for large test sets
    for first in range(0, draws, many):
        some = replicates[first : first + many]
        drawn = chance.integers(n, size=(len(some), n)) + n * np.arange(len(some))[:, None]
        images = np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape)
        yield some, images.astype(np.float64)


@lru_cache(maxsize=1)
def _kept(seed: int, S: int, n: int, draws: int) -> list[tuple[Counts, Array]]:
    """The same, at once: all arms of a data set are asked about the same draws."""
    return list(_drawn(seed, S, n, draws))


def two_level_bootstrap(
    difference: ArrayLike,
    *,
    seed: int,
    groups: ArrayLike | None = None,
    folds: bool = False,
    draws: int = 2000,
    confidence: float = 0.95,
) -> tuple[float, float] | None:
    """Percentile interval of the mean of D (S, n), replicates and images both drawn anew.

    With groups (n,), whole groups of images are drawn; `folds` as in `crossed`.

    A check beside `crossed`, not a test: it counts the residual variance three times (too wide on
    few images), and with few replicates it cannot see their whole variance (too narrow on many
    images). For pseudo-values it resamples the metric's linear part. None for one replicate, and where
    all values are the same.
    """
    D = np.asarray(difference, dtype=np.float64)
    if groups is not None:
        D = group_sums(D, groups)
    S, n = D.shape
    if S < 2 or np.ptp(D) == 0:
        return None
    if folds:
        D = mutual(D)
    by_image = np.ascontiguousarray(D.T)  # (n, S)
    drawn = _kept if draws * n <= _KEPT else _drawn
    means = np.concatenate(
        [((images @ by_image) * replicates).sum(1) / (S * n) for replicates, images in drawn(seed, S, n, draws)]
    )
    tail = (1 - confidence) / 2
    low, high = np.quantile(means, [tail, 1 - tail])
    return float(low), float(high)


def chance_to_beat(arm: Sequence[float], baseline: Sequence[float]) -> float | None:
    """P(a run of the arm scores above a run of the baseline); ties count half.

    Over all S x S pairs of runs, not only those of the same replicate: the question is about two
    people who train once each and share no seed, and it uses all that the runs say (the
    Mann-Whitney estimate). On these test images; None where an arm has no run.
    """
    a, b = np.asarray(arm, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if not len(a) or not len(b):
        return None
    return float(np.mean((np.sign(a[:, None] - b) + 1) / 2))


@dataclass(frozen=True)
class Selection:
    """How much choosing the best arm on the test set inflates its score. Arms by index; metrics as fractions.

    by_validation, by_test: the arm with the highest mean on either (the first one on ties).
    validation_choice, test_choice: their means on the test set.
    optimism: test_choice - validation_choice, never negative: how far "the best arm's test score"
        lies above the score of the arm that one could have chosen without the test set.
    single_run: the same for a study of one replicate. In each replicate the arm with the highest
        test score is chosen; this is how far its score there lies above its mean in the other
        replicates. Its interval is rough, because replicates share what they are held against;
        without a mean with fewer than two replicates.
    """

    by_validation: int
    by_test: int
    validation_choice: float
    test_choice: float
    optimism: float
    single_run: Estimate


def selection(validation: ArrayLike, test: ArrayLike) -> Selection | None:
    """Metric per arm and replicate (A, S) on validation and test; NaN where a run failed.

    An arm without any run is not a candidate; None if there is none at all.
    """
    v, t = np.asarray(validation, dtype=np.float64), np.asarray(test, dtype=np.float64)
    if v.shape != t.shape or v.ndim != 2:
        raise ValueError(f"validation {v.shape} and test {t.shape}; expected the same (arms, runs)")
    there = np.isfinite(v) & np.isfinite(t)
    if not there.any():
        return None
    v_mean, t_mean = _mean_where(v, there), _mean_where(t, there)
    by_validation, by_test = int(np.nanargmax(v_mean)), int(np.nanargmax(t_mean))
    excess = []
    for s in range(t.shape[1]):
        if not there[:, s].any():
            continue
        chosen = int(np.nanargmax(np.where(there[:, s], t[:, s], np.nan)))
        others = [t[chosen, r] for r in range(t.shape[1]) if r != s and there[chosen, r]]
        if others:
            excess.append(t[chosen, s] - np.mean(others))
    return Selection(
        by_validation=by_validation,
        by_test=by_test,
        validation_choice=float(t_mean[by_validation]),
        test_choice=float(t_mean[by_test]),
        optimism=float(t_mean[by_test] - t_mean[by_validation]),
        single_run=estimate(excess, planned=t.shape[1]),
    )


def _mean_where(values: Array, there: Mask) -> Array:
    """(A, S) -> (A,) means over the runs that are there, NaN for an arm without any."""
    count = there.sum(1)
    total = np.where(there, values, 0.0).sum(1)
    means = np.full(len(total), np.nan)
    np.divide(total, count, out=means, where=count > 0)
    return means
