"""What a design can show: power, the smallest detectable difference, replicates needed.

All follow from the variances of one value of D (`Crossed.variances`): with S replicates and n
images the mean squares are expected to be

    n var_replicate + var_residual,   S var_image + var_residual,   var_residual

and the test of `crossed` on them is taken as Student's t, noncentral under the difference asked
about. With few replicates the variances themselves are rough estimates, and so is what is said here.

All is for one comparison at `alpha`. After Holm over m arms the smallest difference is larger: at
least that for alpha / m.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .crossed import Array, Components, Crossed, standard_error


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


def outlook(result: Crossed, *, difference: float = 0.01, power: float = 0.8, alpha: float = 0.05) -> Outlook | None:
    """What this cell's design can show; None where nothing is known about its variances."""
    if result.variances is None or result.replicates < 2:
        return None
    v, S, n = result.variances, result.replicates, result.images
    return Outlook(
        detectable=float(detectable_difference(v, S, n, power=power, alpha=alpha)),
        with_one_more=float(detectable_difference(v, S + 1, n, power=power, alpha=alpha)),
        floor=image_floor(v, n, power=power, alpha=alpha),
        difference=difference,
        replicates_needed=replicates_needed(difference, v, n, power=power, alpha=alpha),
    )


def power_to_detect(
    difference: ArrayLike, variances: Components, replicates: int, images: int, *, alpha: float = 0.05
) -> Array:
    """Chance that `crossed` finds a true difference (...) at level alpha, either sign."""
    from scipy.special import nctdtr, stdtrit

    se, df = _expected(variances, replicates, images)
    if se == 0:
        return (np.asarray(difference) != 0).astype(np.float64)
    critical = stdtrit(df, 1 - alpha / 2)
    shift = np.abs(np.asarray(difference)) / se
    # SciPy gives NaN for probabilities below rounding
    missed = np.nan_to_num(nctdtr(df, shift, critical), nan=0.0)
    wrong_sign = np.nan_to_num(nctdtr(df, shift, -critical), nan=0.0)
    return np.asarray(1 - missed + wrong_sign)


def detectable_difference(
    variances: Components,
    replicates: int,
    images: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> Array:
    """Smallest true difference that `crossed` finds with this power.

    SE times the noncentrality of t that leaves 1 - power below the critical value (the chance of a
    significant result of the wrong sign is neglected, as usual).
    """
    se, df = _expected(variances, replicates, images)
    return np.asarray(se * _noncentrality(df, power, alpha))


def image_floor(variances: Components, images: int, *, power: float = 0.8, alpha: float = 0.05) -> float:
    """Smallest true difference detectable with ever more replicates on these test images."""
    se = np.sqrt(variances.image / images)
    return float(se * _noncentrality(np.asarray(images - 1.0), power, alpha))


def replicates_needed(
    difference: float,
    variances: Components,
    images: int,
    *,
    power: float = 0.8,
    alpha: float = 0.05,
) -> int | None:
    """Fewest replicates, at least 2, that make the difference detectable; None if none will do."""
    if image_floor(variances, images, power=power, alpha=alpha) >= difference:
        return None

    def enough(S: int) -> bool:
        found = detectable_difference(variances, S, images, power=power, alpha=alpha)
        return bool(found <= difference)

    high = 2
    while not enough(high):
        high *= 2
        if high > 2**20:  # within rounding of the floor: a million replicates are none
            return None
    low = high // 2  # not enough, unless 2 were
    while high - low > 1 and high > 2:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _expected(v: Components, S: int, n: int) -> tuple[Array, Array]:
    """SE and df of `crossed` at the expected mean squares; a design without variance has SE 0."""
    if v.replicate == v.image == v.residual == 0:
        return np.asarray(0.0), np.asarray(float(S - 1))
    replicate, image = n * v.replicate + v.residual, S * v.image + v.residual
    return standard_error(replicate, image, v.residual, S, n)


def _noncentrality(df: Array, power: float, alpha: float) -> Array:
    from scipy.special import nctdtrinc, stdtrit

    return np.asarray(nctdtrinc(df, 1 - power, stdtrit(df, 1 - alpha / 2)))
