"""Two one-sided tests: is a true difference smaller than a margin that was declared beforehand?

Schuirmann (1987), on the crossed analysis: the differences -margin and +margin are each taken for the truth, and both
must be rejected by a one-sided test. The larger of the two p is the one of "different by the margin or more". That
there are two needs no correction, since the truth can be at one of them only.
"""

from medaug_keras.stats.crossed import Crossed, family_p


def equivalence_p(result: Crossed, margin: float) -> float | None:
    """One-sided p that the true difference is `margin` (a fraction above 0) or more, in either direction.

    The effect lies margin - |effect| from the margin. That distance is judged by the standard error, the degrees of
    freedom and the guard for families (`family_p`) by which a difference is judged, so p can be handed to `holm`.
    None where there was no test, or where no variance was seen: two arms that agreed on all images in these runs may
    differ in others.

    Where few images carry the difference (`Crossed.carried_by` below FEW), it claims too much: do not use it there.
    """
    if not margin > 0:
        raise ValueError(f"a margin is above 0, got {margin}")
    mean, n = result.mean_squares, result.units
    if result.effect is None or result.se is None or result.df is None:
        return None
    from scipy.special import stdtr

    distance = margin - abs(result.effect)
    plain = 2 * stdtr(result.df, -abs(distance) / result.se)
    if result.unpaired is not None:
        family = result.unpaired.family_p(distance)
    elif mean is not None:
        family = family_p(distance, mean.replicate, mean.image, mean.residual, result.replicates, n)
    else:
        return None
    one_sided = max(float(plain), float(family)) / 2
    return one_sided if distance > 0 else 1 - one_sided
