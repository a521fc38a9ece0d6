"""What a design can show: power, the smallest detectable difference, replicates needed.

All follow from the variances of one value of D (`Crossed.variances`): with S replicates and n
images the mean squares are expected to be

    n var_replicate + var_residual,   S var_image + var_residual,   var_residual

MS_replicate has few degrees of freedom, so power is averaged over its chi^2 distribution; the other
two have many and are taken as expected. With few replicates the variances are rough
estimates themselves, and so is what is said here (with S = 3, power is announced too high by up to
12 points on average).

`tests` = 1 is the plain p of one comparison at `alpha`. With more, it is the first step of Holm's
correction over that many: `Crossed.p_family` at alpha / tests.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .crossed import Array, Components, Crossed, family_p, standard_error

QUANTILES = 64  # of MS_replicate, over which power is averaged


@dataclass(frozen=True)
class Outlook:
    """What a cell's design can show. Differences are fractions.

    detectable: smallest true difference found with the power asked for.
    with_one_more: the same with one more replicate.
    floor: the same with any number of replicates; the test images alone set it.
    difference, replicates_needed: replicates that make `difference` detectable; None where the
        floor is above it, so that no number of them will do.
    """

    detectable: float
    with_one_more: float
    floor: float
    difference: float
    replicates_needed: int | None


def outlook(
    result: Crossed, *, difference: float = 0.01, power: float = 0.8, alpha: float = 0.05, tests: int = 1
) -> Outlook | None:
    """What this cell's design can show; None where nothing is known about its variances."""
    if result.variances is None or result.replicates < 2:
        return None
    v, S, n = result.variances, result.replicates, result.images
    return Outlook(
        detectable=detectable_difference(v, S, n, power=power, alpha=alpha, tests=tests),
        with_one_more=detectable_difference(v, S + 1, n, power=power, alpha=alpha, tests=tests),
        floor=image_floor(v, n, power=power, alpha=alpha, tests=tests),
        difference=difference,
        replicates_needed=replicates_needed(difference, v, n, power=power, alpha=alpha, tests=tests),
    )


def power_to_detect(
    difference: ArrayLike, variances: Components, replicates: int, images: int, *, alpha: float = 0.05, tests: int = 1
) -> Array:
    """Chance that a true difference (...) is found, with either sign."""
    true = np.asarray(difference, dtype=np.float64)
    if not _varies(variances):
        return (true != 0).astype(np.float64)
    from scipy.special import ndtr

    critical, sd = _critical(variances, replicates, images, alpha, tests)
    true = true[..., None]
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
    """Smallest true difference that is found with this power."""
    if not _varies(variances):
        return 0.0
    from scipy.optimize import brentq
    from scipy.special import ndtr

    critical, sd = _critical(variances, replicates, images, alpha, tests)

    def lacking(difference: float) -> float:
        found = ndtr((difference - critical) / sd) + ndtr((-difference - critical) / sd)
        return float(found.mean()) - power

    return float(brentq(lacking, 0.0, float(critical.max() + 10 * sd), rtol=1e-9))


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
        return detectable_difference(variances, S, images, power=power, alpha=alpha, tests=tests) <= difference

    high = 2
    while not enough(high):
        high *= 2
        if high > 2**16:  # next to the floor: tens of thousands of replicates are none
            return None
    if high == 2:
        return 2
    low = high // 2  # not enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _varies(v: Components) -> bool:
    return max(v.replicate, v.image, v.residual) > 0


def _critical(v: Components, S: int, n: int, alpha: float, tests: int) -> tuple[Array, float]:
    """Smallest significant effects (Q,) at Q equally likely values of MS_replicate; SD of the effect."""
    from scipy.special import chdtri, stdtrit

    chi = chdtri(S - 1, (np.arange(QUANTILES) + 0.5) / QUANTILES)
    expected, image, residual = n * v.replicate + v.residual, S * v.image + v.residual, v.residual
    replicate = expected * chi / (S - 1)
    se, df = standard_error(replicate, image, residual, S, n)
    critical = stdtrit(df, 1 - alpha / tests / 2) * se
    if tests > 1:
        critical = _family_critical(critical, replicate, image, residual, S, n, alpha / tests)
    return critical, float(np.sqrt((expected + image - residual) / (S * n)))


def _family_critical(low: Array, R: Array, image: float, residual: float, S: int, n: int, level: float) -> Array:
    """The effects (Q,), not below `low`, at which `family_p` comes down to the level."""
    from scipy.optimize.elementwise import find_root

    def above(effect: Array, replicate: Array) -> Array:
        return family_p(effect, replicate, image, residual, S, n) - level

    already = above(low, R) <= 0
    high = 2 * low
    while (above(high, R) > 0).any():
        high = 2 * high
    root = find_root(above, (low, high), args=(R,), tolerances={"xrtol": 1e-6}).x
    return np.asarray(np.where(already, low, root))
