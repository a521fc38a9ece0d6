"""Whether a difference between arms is another in one subgroup of the test images than in the others.

The measure is the mean of D over the one subgroup less that over the other. It is no mean over images, so its jackknife
pseudo-values go into the crossed analysis, as those of AUC do. Leaving out a unit (an image, or a group of images that
belong together) takes it from whichever subgroup has it, or from both.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def apart(here: ArrayLike, there: ArrayLike, units_here: ArrayLike, units_there: ArrayLike) -> Array:
    """D of two subgroups -> (S, U) pseudo-values of the mean of the first less that of the second, for `crossed`.

    here (S, G1), there (S, G2): one value for each unit of the subgroup, whose mean over units is what is measured of
    it, such as `pseudo_values` of the arm less those of the baseline. units_here (G1,), units_there (G2,): the unit of
    each value, no unit twice in a subgroup; U is how many there are in both together.

    Raises ValueError where a subgroup has fewer than two units, so that none could be left out.
    """
    first, second = np.asarray(here, np.float64), np.asarray(there, np.float64)
    labels = np.concatenate([np.asarray(units_here), np.asarray(units_there)])
    if first.shape[-1] + second.shape[-1] != len(labels):
        raise ValueError(
            f"there are {first.shape[-1]} and {second.shape[-1]} values, and {len(np.asarray(units_here))} and "
            f"{len(np.asarray(units_there))} units; expected a unit for each value"
        )
    if min(first.shape[-1], second.shape[-1]) < 2:
        raise ValueError("a subgroup has fewer than two units; none can be left out")
    known, places = np.unique(labels, return_inverse=True)
    own, other = np.split(places.reshape(-1), [first.shape[-1]])
    if len(np.unique(own)) < len(own) or len(np.unique(other)) < len(other):
        raise ValueError("a unit has two values in a subgroup; expected one")
    U, mean, mean_there = len(known), first.mean(-1, keepdims=True), second.mean(-1, keepdims=True)
    values = np.repeat(mean - mean_there, U, axis=-1)
    values[:, own] += (U - 1) / (first.shape[-1] - 1) * (first - mean)
    values[:, other] -= (U - 1) / (second.shape[-1] - 1) * (second - mean_there)
    return values
