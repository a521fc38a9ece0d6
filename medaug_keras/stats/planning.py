"""What a design can show: power, the smallest detectable difference, replicates needed.

All follow from the variances of one value of D (`Crossed.variances`): with S replicates and n
images the mean squares are expected to be

    n var_replicate + var_residual,   S var_image + var_residual,   var_residual

MS_replicate has few degrees of freedom, so power is averaged over its chi^2 distribution; the other
two have many and are taken as expected. n counts images, or groups where `Crossed.groups` says so.

What a study knows of its variances is little: with five replicates, the run-to-run standard deviation
is known to a factor of two. `outlook` therefore gives no number but a range, from the lower to the
upper 90 % confidence limit of the variances: the smallest detectable difference lies below its upper end
in nine of ten studies. Where nothing varied between runs there is no range at all.

`tests` = 1 is the plain p of one comparison at `alpha`. With more, it is the first step of Holm's
correction over that many: `Crossed.p_family` at alpha / tests.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import ArrayLike

from medaug_keras.stats.crossed import Array, Components, Crossed, family_half_width, standard_error

QUANTILES = 64  # of MS_replicate, over which power is averaged
LIMIT = 0.9  # confidence of each of the two limits of a variance
NO_VARIANCE = "nothing varied between runs: no power follows from a variance of zero"


@dataclass(frozen=True)
class Range:
    """A quantity at the lower and at the upper limits of the variances."""

    low: float
    high: float


@dataclass(frozen=True)
class Outlook:
    """What a cell's design can show, at the limits of what is known of its variances. Differences are fractions.

    detectable: smallest true difference found with the power asked for.
    with_one_more: the same with one more replicate.
    floor: the same with any number of replicates; the test images alone set it.
    difference, fewest, most: replicates that make `difference` detectable, at the lower and at the upper
        limits; None where the floor is above it, so that no number of them will do.
    """

    detectable: Range
    with_one_more: Range
    floor: Range
    difference: float
    fewest: int | None
    most: int | None


def outlook(
    result: Crossed, *, difference: float = 0.01, power: float = 0.8, alpha: float = 0.05, tests: int = 1
) -> Outlook | None:
    """What this cell's design can show; None where nothing is known about its variances."""
    limits = variance_limits(result)
    if limits is None:
        return None
    S, n = result.replicates, result.units

    def detectable(replicates: int) -> Range:
        return _range(_detectable(limits, replicates, n, power, alpha, tests))

    floor = [image_floor(v, n, power=power, alpha=alpha, tests=tests) for v in limits]
    needed = (replicates_needed(difference, v, n, power=power, alpha=alpha, tests=tests) for v in limits)
    return Outlook(detectable(S), detectable(S + 1), _range(floor), difference, *needed)


def detectable_range(result: Crossed, *, power: float = 0.8, alpha: float = 0.05, tests: int = 1) -> Range | None:
    """The detectable difference of `outlook` alone."""
    limits = variance_limits(result)
    if limits is None:
        return None
    return _range(_detectable(limits, result.replicates, result.units, power, alpha, tests))


def _range(ends: Sequence[float]) -> Range:
    """In order: with three replicates, less variance between images can mean fewer degrees of freedom, too."""
    return Range(*sorted(ends))


def variance_limits(result: Crossed, *, confidence: float = LIMIT) -> tuple[Components, Components] | None:
    """Variances of one value of D at their lower and at their upper one-sided confidence limits.

    From the chi^2 distribution of MS_replicate and MS_image, with S - 1 and n - 1 degrees of freedom; the
    residual has more and is taken as it is. None where there was no test, or where the runs did not vary.
    """
    from scipy.special import chdtri

    mean = result.mean_squares
    if mean is None or mean.replicate + mean.residual <= 1e-12 * mean.image:  # none but for rounding
        return None
    S, n = result.replicates, result.units

    def at(tail: float) -> Components:
        replicate = (S - 1) * mean.replicate / float(chdtri(S - 1, tail))
        image = (n - 1) * mean.image / float(chdtri(n - 1, tail))
        return Components(
            max((replicate - mean.residual) / n, 0.0), max((image - mean.residual) / S, 0.0), mean.residual
        )

    return at(1 - confidence), at(confidence)


def power_to_detect(
    difference: ArrayLike, variances: Components, replicates: int, images: int, *, alpha: float = 0.05, tests: int = 1
) -> Array:
    """Chance that a true difference (...) is found, with either sign. Raises ValueError without any variance."""
    from scipy.special import ndtr

    ((critical,), (sd,)) = _critical([variances], replicates, images, alpha, tests)
    true = np.asarray(difference, dtype=np.float64)[..., None]
    return np.asarray((ndtr((true - critical) / sd) + ndtr((-true - critical) / sd)).mean(-1))


def detectable_difference(
    variances: Components,
    replicates: int,
    images: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tests: int = 1,
) -> float:
    """Smallest true difference that is found with this power. Raises ValueError without any variance."""
    return _detectable([variances], replicates, images, power, alpha, tests)[0]


def _detectable(variances: Sequence[Components], S: int, n: int, power: float, alpha: float, tests: int) -> list[float]:
    """`detectable_difference` for each of the variances, by Newton's steps, halved where they lead outside."""
    from scipy.special import ndtr, ndtri

    critical, sd = _critical(variances, S, n, alpha, tests)
    scaled = critical / sd[:, None]  # in standard deviations of the effect
    low, high = np.zeros(len(sd)), scaled.max(-1) + 10
    size = scaled.mean(-1) + ndtri(power)
    for _ in range(100):
        above, below = size[:, None] - scaled, -size[:, None] - scaled
        lacking = (ndtr(above) + ndtr(below)).mean(-1) - power
        slope = (np.exp(-(above**2) / 2) - np.exp(-(below**2) / 2)).mean(-1) / np.sqrt(2 * np.pi)
        low, high = np.where(lacking < 0, size, low), np.where(lacking < 0, high, size)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            following = size - lacking / slope
        inside = (following > low) & (following < high)
        following = np.where(inside, following, (low + high) / 2)
        moved, size = np.abs(following - size) > 1e-9 * size, following
        if not moved.any():
            break
    return [float(one) for one in size * sd]


def image_floor(
    variances: Components, images: int, *, power: float = 0.8, alpha: float = 0.05, tests: int = 1
) -> float:
    """Smallest true difference detectable with ever more replicates on these test images."""
    from scipy.special import ndtri, stdtrit

    se = np.sqrt(variances.image / images)
    return float(se * (stdtrit(images - 1, 1 - alpha / tests / 2) + ndtri(power)))


def replicates_needed(
    difference: float,
    variances: Components,
    images: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
    tests: int = 1,
) -> int | None:
    """Fewest replicates, at least 2, that make the difference detectable; None if none will do."""
    if image_floor(variances, images, power=power, alpha=alpha, tests=tests) >= difference:
        return None

    def enough(S: int) -> bool:
        return float(power_to_detect(difference, variances, S, images, alpha=alpha, tests=tests)) >= power

    high = 4
    while not enough(high):
        high *= 2
        if high > 2**16:  # so close to the floor that no practical number suffices
            return None
    low = high // 2 if high > 4 else 1  # not enough
    while high - low > 1:
        middle = (low + high + 1) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _critical(variances: Sequence[Components], S: int, n: int, alpha: float, tests: int) -> tuple[Array, Array]:
    """Smallest significant effects (V, Q) at Q equally likely values of MS_replicate, and SD of the effect (V,).

    For each of V variances; a row costs little more than one.
    """
    from scipy.special import stdtrit

    if any(max(v.replicate, v.image, v.residual) <= 0 for v in variances):
        raise ValueError(NO_VARIANCE)
    residual = np.array([[v.residual] for v in variances])
    expected = n * np.array([[v.replicate] for v in variances]) + residual
    image = S * np.array([[v.image] for v in variances]) + residual
    quantiles, knots, between = _quantiles(S - 1)
    se, df = standard_error(expected * quantiles, image, residual, S, n)
    critical = stdtrit(df, 1 - alpha / tests / 2) * se
    if tests > 1 or S == 2:  # with two replicates p is the family's anyway
        there = family_half_width(expected * knots, image, residual, S, n, alpha / tests)
        critical = np.maximum(critical, np.exp(np.log(there) @ between))
    return critical, np.sqrt((expected + image - residual) / (S * n))[:, 0]


@cache
def _quantiles(df: int) -> tuple[Array, Array, Array]:
    """Equally likely values (Q,) of chi^2 / df, a few that span them (k,), and the spline through these (k, Q).

    What is smooth in the logarithm is within 3 % of what it is when computed at every value.
    """
    from scipy.interpolate import CubicSpline
    from scipy.special import chdtri

    values = np.asarray(chdtri(df, (np.arange(QUANTILES) + 0.5) / QUANTILES)) / df
    knots = np.geomspace(values.min(), values.max(), 8)
    return values, knots, CubicSpline(np.log(knots), np.eye(len(knots)))(np.log(values)).T
