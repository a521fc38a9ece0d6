"""The primary test: crossed replicates x images analysis of one arm against the baseline.

"Training with X helps" has two random factors: training runs and test images. Radiology has this
design already, multi-reader multi-case (MRMC): readers are our replicates, cases the test images,
treatments the arms (Dorfman, Berbaum & Metz 1992; Obuchowski & Rockette 1995; Hillis 2007).

For two arms the analysis is that of their difference D, which has one value per replicate and image:

    D[s, i] = mean + replicate[s] + image[i] + residual[s, i]
    Var(mean of D) = var_replicate / S + var_image / n + var_residual / (S n)

Images that belong together (of one patient, slide or scan) are no independent cases. Where it is known
which do, the groups take the place of the images: a group's value is the sum over its images times G / n, so
that the mean over groups stays the mean over images, and G takes the place of n everywhere else.

In a cross-validation images are tested by networks that were trained on one another. What it does to the score of image
i to have image j in training it does, by and large, to the score of j to have i: D is alike where images are tied, and
the mean square of images takes one such tie for two independent ones. Var(mean of D) has it twice. So the variance
between images counts twice there (`mutual`), which is exact if all of it comes of such ties, and cautious otherwise.

Where the runs of the two sides share nothing (`unpaired`), no run of the one belongs to a run of the other, and D has
no rows. Images are paired as before; what runs and residual add is taken from each side:

    Var = var_replicate / S + var_replicate' / S' + var_image / n + var_residual / (S n) + var_residual' / (S' n)

Letters: S replicates, n test images, G groups of them. All effects are fractions in [-1, 1], not percent.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Counts = NDArray[np.int64]
Mask = NDArray[np.bool_]

NO_REPLICATE = "no replicate that both arms have finished"
ONE_REPLICATE = "one replicate: how much a repeated training run would differ is unknown, so there is no test"
NO_RUN = "one of the two has no run that can be compared"
ONE_RUN = "one run of one of the two: how much a repeated one would differ is unknown, so there is no test"
FEW = 10  # images or groups that carry a difference: with fewer, intervals cover 80 to 92 % instead of 95
NOTHING_DIFFERED = "no test image told the two apart in any replicate, so there is no variance to make an interval of"


@dataclass(frozen=True)
class Components:
    """Three numbers of a two-way layout: mean squares, or variances of one value of D.

    With groups, `image` is that of groups, and `residual` of replicates and groups.
    """

    replicate: float
    image: float
    residual: float


@dataclass(frozen=True)
class Unpaired:
    """What adds to SE^2 where the runs of two sides share nothing: values (...), of one comparison or of many.

    replicates: S of either side. units: n test images, or groups of them.
    runs: of either side MS_replicate / (S n). residual: of either side MS_residual / (S n).
    image: the variance between images of the difference of the two sides' means, over n. It has the residuals in it.
    """

    replicates: tuple[int, int]
    units: int
    runs: tuple[Array, Array]
    image: Array
    residual: tuple[Array, Array]

    def standard_error(self) -> tuple[Array, Array]:
        """SE (...) of the difference and Satterthwaite's df (...): SE^2 is the runs and the image less the residuals,
        not below the residuals, and df not below the fewest of runs and images, as in `standard_error`."""
        n, floor = self.units, sum(self.residual)
        total = np.maximum(sum(self.runs) + self.image - floor, floor)
        spread = self.image**2 / (n - 1)
        for S, run, residual in zip(self.replicates, self.runs, self.residual, strict=True):
            spread = spread + run**2 / (S - 1) + residual**2 / ((S - 1) * (n - 1))
        return np.sqrt(total), np.maximum(total**2 / spread, min(*self.replicates, n) - 1)

    def family_p(self, effect: ArrayLike, *, nodes: int = 101) -> Array:
        """`family_p` with a chi^2 of its own for either side's runs, since they may vary unlike."""
        spread, weight = self._spread(nodes)
        return averaged_p(effect, spread, weight, self.units - 1)

    def family_half_width(self, level: float, *, nodes: int = 101) -> Array:
        """The effect (...) at which `family_p` comes down to `level`."""
        spread, weight = self._spread(nodes)
        return averaged_half_width(spread, weight, self.units - 1, level)

    def _spread(self, nodes: int) -> tuple[Array, Array]:
        """SE (..., nodes²) over all that the two variances between runs may be, and how much each counts (nodes²,)."""
        nu, other_nu = (S - 1 for S in self.replicates)
        (chi, weight), (other_chi, other_weight) = (chi_squared(df, nodes=nodes) for df in (nu, other_nu))
        run, other_run = (np.asarray(of, dtype=np.float64)[..., None, None] for of in self.runs)
        image, floor = (np.asarray(of, dtype=np.float64)[..., None, None] for of in (self.image, sum(self.residual)))
        runs = nu * run / chi[:, None] + other_nu * other_run / other_chi
        spread = np.sqrt(np.maximum(runs + image - floor, floor))
        return spread.reshape(*spread.shape[:-2], -1), np.outer(weight, other_weight).ravel()


@dataclass(frozen=True)
class Crossed:
    """What the crossed analysis of one cell found. Where `reason` is set, there is no interval.

    effect: mean of D; None where the metric is undefined or the arms share no replicate.
    se, t, df, p, low, high: standard error, Student's t, Satterthwaite's degrees of freedom, the
        two-sided p of this one comparison and its interval (95 % unless asked otherwise). With two
        replicates p is p_family, and the interval the one that agrees with it.
    p_family: the p to hand to `holm` and `benjamini_hochberg`; never below p. See `family_p`.
    mean_squares: of replicates, images and residual.
    variances: of replicates, images and residual, negative estimates set to 0.
    raw_variances: the same as estimated, possibly negative.
    replicates, planned: how many were compared, and how many the study asked for.
    unpaired: the parts of SE^2 where the runs of the two sides share nothing; `replicates` is then those of the first,
        and there are neither mean squares nor variances of D.
    images, groups: test images, and groups of images that belong together; None where each image was
        taken as a group of its own.
    carried_by: how many images (or groups) as good as make up the variance between images; see
        `effective_number`.

    Where nothing differed anywhere, p is 1 and there is neither standard error nor interval: no variance
    was seen, and that does not mean that there is none.
    """

    effect: float | None
    replicates: int
    planned: int
    images: int
    groups: int | None = None
    se: float | None = None
    t: float | None = None
    df: float | None = None
    p: float | None = None
    p_family: float | None = None
    low: float | None = None
    high: float | None = None
    mean_squares: Components | None = None
    variances: Components | None = None
    raw_variances: Components | None = None
    carried_by: float | None = None
    reason: str | None = None
    unpaired: Unpaired | None = None

    @property
    def few(self) -> bool:
        """Whether so few test images (or groups) carry the difference that its interval is too narrow."""
        return self.carried_by is not None and self.carried_by < FEW

    @property
    def units(self) -> int:
        """What the test takes as independent: groups where they are known, else images."""
        return self.images if self.groups is None else self.groups


def crossed(
    difference: ArrayLike,
    *,
    groups: ArrayLike | None = None,
    folds: bool = False,
    images: int | None = None,
    planned: int | None = None,
    confidence: float = 0.95,
    besides: tuple[float, float] = (0.0, 1.0),
) -> Crossed:
    """Is the mean of D (S, n), arm minus baseline, different from zero?

    SE^2 = (MS_replicate + MS_image - MS_residual) / (S n), not below MS_residual / (S n); t with
    Satterthwaite's degrees of freedom. `planned` is the number of replicates that the study asked
    for, where some failed. D is correctness by the arm minus correctness by the baseline, or the
    same of pseudo-values (`pseudo_values`).

    groups (n,): a label for each image; images with the same label belong together, and the groups
    take the place of the images. Pseudo-values by group are (S, G) already: hand over their D with
    `images`, how many images these groups have.

    besides: a variance of the mean that D does not show, such as that of thresholds that all runs chose on the same
    images, and its degrees of freedom. It is added to SE^2.

    folds: whether D is of a cross-validation, each image tested by networks that were trained on the others. The
    variance between images then counts twice, in everything that the result says.

    At a nominal 5 % it rejects true nulls in 3 to 6 % of simulated studies, with two exceptions
    (benchmarks/statistics.py). Where neither runs nor images add much variance, as on 156 images,
    the floor makes it cautious: 2 to 3 %. With S = 3, many images, and both adding variance: 7 to
    8 % (its interval covers 93 %), because two degrees of freedom say little about the runs. With
    S = 2 it would be up to 11 %, so p and interval are those of `family_p` there. Far out in its
    tail, where corrections for many arms look, it rejects too often: see `family_p`.
    """
    D = np.asarray(difference, dtype=np.float64)
    if D.ndim != 2:
        raise ValueError(f"D has shape {D.shape}; expected (replicates, images)")
    if not np.isfinite(D).all():
        raise ValueError("D has values that are not finite; leave failed replicates out of it")
    if groups is not None and D.size:
        images, D = D.shape[1], group_sums(D, groups)
    S, n = D.shape
    planned = S if planned is None else planned
    many, units = (n, None) if images is None else (images, n)
    if D.size == 0:
        return Crossed(None, S, planned, many, units, reason=NO_REPLICATE)
    effect = float(D.mean())
    if S == 1:
        return Crossed(effect, S, planned, many, units, reason=ONE_REPLICATE)
    if n == 1:
        reason = f"one {'test image' if units is None else 'group of test images'}: there is no test"
        return Crossed(effect, S, planned, many, units, reason=reason)
    if np.ptp(D) == 0:
        if effect == 0:
            return Crossed(0.0, S, planned, many, units, p=1.0, p_family=1.0, reason=NOTHING_DIFFERED)
        reason = "the same difference on every image in every replicate: no variance to test against"
        return Crossed(effect, S, planned, many, units, reason=reason)

    from scipy.special import stdtr, stdtrit

    if folds:
        D = mutual(D)
    _, replicate, image, residual = (float(x) for x in mean_squares(D))
    se, df = (float(x) for x in standard_error(replicate, image, residual, S, n))
    more, more_df = besides
    if more:
        total = se**2 + more
        se, df = total**0.5, total**2 / (se**4 / df + more**2 / more_df)
    p = float(2 * stdtr(df, -abs(effect) / se))
    guarded = max(p, float(family_p(effect, replicate, image, residual, S, n, more)))
    half_width = float(stdtrit(df, (1 + confidence) / 2)) * se
    if S == 2:
        p = guarded
        guarded_width = family_half_width(replicate, image, residual, S, n, 1 - confidence, more)
        half_width = max(half_width, float(guarded_width))
    raw = Components((replicate - residual) / n, (image - residual) / S, residual)
    return replace(
        _tested(Crossed(effect, S, planned, many, units), effect, se, df, half_width),
        p=p,
        p_family=guarded,
        mean_squares=Components(replicate, image, residual),
        variances=Components(max(raw.replicate, 0.0), max(raw.image, 0.0), residual),
        raw_variances=raw,
        carried_by=float(effective_number(D)),
    )


def unpaired(
    arm: ArrayLike,
    baseline: ArrayLike,
    *,
    images: int | None = None,
    planned: int | None = None,
    confidence: float = 0.95,
) -> Crossed:
    """Does the mean of an arm (S, n) differ from that of a baseline (T, n) whose runs share nothing with the arm's?

    Both are values of the same n test images (or groups: then `images` says how many images these have), with any
    numbers of runs, all of which count. To pair such runs would make the test depend on which are paired. With
    MS of either side's own table of runs and images, and V the variance between images of the difference of the means,

        SE^2 = MS_replicate / (S n) + MS_replicate' / (T n) + V / n - MS_residual / (S n) - MS_residual' / (T n)

    not below the two residual terms; t with Satterthwaite's degrees of freedom, of two variances between runs that need
    not be alike (Satterthwaite 1946; Welch 1947). Where readers are nested in treatments and cases are crossed with
    both, mean squares are combined alike (Hillis 2014, on designs that are not wholly crossed). `p_family` averages
    over both variances between runs. Where either side has two runs, p and interval are the guarded ones.

    The order of runs changes no bit of the result.
    """
    A, B = (np.asarray(values, dtype=np.float64) for values in (arm, baseline))
    if A.ndim != 2 or B.ndim != 2 or (A.size and B.size and A.shape[1] != B.shape[1]):
        raise ValueError(f"the sides have shapes {A.shape} and {B.shape}; expected (runs, images) of the same images")
    if not (np.isfinite(A).all() and np.isfinite(B).all()):
        raise ValueError("there are values that are not finite; leave failed runs out")
    S, n = A.shape
    planned = S if planned is None else planned
    many, units = (n, None) if images is None else (images, n)
    if A.size == 0 or B.size == 0:
        return Crossed(None, S, planned, many, units, reason=NO_RUN)
    A, B = _in_order(A), _in_order(B)
    by_image = A.mean(0) - B.mean(0)
    effect = float(by_image.mean())
    if min(len(A), len(B)) == 1:
        return Crossed(effect, S, planned, many, units, reason=ONE_RUN)
    if n == 1:
        reason = f"one {'test image' if units is None else 'group of test images'}: there is no test"
        return Crossed(effect, S, planned, many, units, reason=reason)
    if not (np.ptp(A, axis=0).any() or np.ptp(B, axis=0).any() or np.ptp(A[0] - B[0])):
        effect = float(A[0, 0] - B[0, 0])  # a mean of unlike numbers of runs would not be 0 to the last bit
        if effect == 0:
            return Crossed(0.0, S, planned, many, units, p=1.0, p_family=1.0, reason=NOTHING_DIFFERED)
        reason = "the same difference on every image in every replicate: no variance to test against"
        return Crossed(effect, S, planned, many, units, reason=reason)

    from scipy.special import stdtr, stdtrit

    parts = unpaired_parts(A, B)
    se, df = (float(x) for x in parts.standard_error())
    p = float(2 * stdtr(df, -abs(effect) / se))
    guarded = max(p, float(parts.family_p(effect)))
    half_width = float(stdtrit(df, (1 + confidence) / 2)) * se
    if min(parts.replicates) == 2:
        p, half_width = guarded, max(half_width, float(parts.family_half_width(1 - confidence)))
    return replace(
        _tested(Crossed(effect, S, planned, many, units), effect, se, df, half_width),
        p=p,
        p_family=guarded,
        carried_by=float(effective_number(by_image[None])),
        unpaired=parts,
    )


def _tested(found: Crossed, effect: float, se: float, df: float, half_width: float) -> Crossed:
    """With t and the interval."""
    return replace(found, se=se, t=effect / se, df=df, low=effect - half_width, high=effect + half_width)


def _in_order(values: Array) -> Array:
    """Runs (S, n) in an order that they alone decide: the last bits of a sum depend on that of its terms."""
    return values[sorted(range(len(values)), key=lambda s: values[s].tobytes())]


def unpaired_parts(arm: Array, baseline: Array) -> Unpaired:
    """(..., S, n) and (..., T, n) values of the same images -> what adds to SE^2."""
    n = arm.shape[-1]
    sizes = arm.shape[-2], baseline.shape[-2]
    squares = [mean_squares(of) for of in (arm, baseline)]
    run, other_run = (of[1] / (S * n) for of, S in zip(squares, sizes, strict=True))
    rest, other_rest = (of[3] / (S * n) for of, S in zip(squares, sizes, strict=True))
    image = (arm.mean(-2) - baseline.mean(-2)).var(-1, ddof=1) / n
    return Unpaired(sizes, n, (run, other_run), np.asarray(image), (rest, other_rest))


def group_sums(values: ArrayLike, groups: ArrayLike) -> Array:
    """(..., n) values and (n,) labels -> (..., G) sums over groups times G / n, in the order of the labels.

    Their mean is the mean over images.
    """
    x, (place, G) = np.asarray(values, dtype=np.float64), numbered(groups)
    if place.shape != x.shape[-1:]:
        raise ValueError(f"groups have shape {place.shape}; expected one label for each of {x.shape[-1]} images")
    order = np.argsort(place, kind="stable")
    starts = np.searchsorted(place[order], np.arange(G))
    return np.asarray(np.add.reduceat(x[..., order], starts, axis=-1) * (G / x.shape[-1]))


def numbered(groups: ArrayLike) -> tuple[Counts, int]:
    """(n,) labels of any kind -> (n,) numbers from 0 in the order of the labels, and how many groups there are."""
    labels, place = np.unique(np.asarray(groups), return_inverse=True)
    return place.reshape(np.shape(groups)).astype(np.int64), len(labels)


def mutual(D: Array) -> Array:
    """(..., S, n) -> the same with the images' deviations from the mean so much larger that their variance is doubled.

    MS_image becomes 2 MS_image - MS_residual, where that is more; the other mean squares and the mean stay. For images
    that were tested by networks trained on one another; see above.
    """
    if D.shape[-2] < 2 or D.shape[-1] < 2:
        return D
    mean, _, image, residual = mean_squares(D)
    ratio = np.divide(residual, image, out=np.ones_like(image), where=image > 0)
    further = np.sqrt(np.maximum(2 - ratio, 1)) - 1
    return np.asarray(D + further[..., None, None] * (D.mean(-2) - mean[..., None])[..., None, :])


def family_p_of_each(differences: Array, *, folds: bool = False) -> list[float | None]:
    """`crossed(D, folds=folds).p_family` of each D of (k, S, n), all at once."""
    k, S, n = differences.shape
    if S < 2 or n < 2:
        return [None] * k
    from scipy.special import stdtr

    found: list[float | None] = [None] * k
    varies = np.ptp(differences, axis=(1, 2)) > 0
    for i in np.flatnonzero(~varies):
        found[i] = 1.0 if differences[i].mean() == 0 else None
    if not varies.any():
        return found
    some = differences[varies]
    effect, replicate, image, residual = mean_squares(mutual(some) if folds else some)
    se, df = standard_error(replicate, image, residual, S, n)
    p = 2 * stdtr(df, -np.abs(effect) / se)
    guarded = np.maximum(p, family_p(effect, replicate, image, residual, S, n))
    for i, value in zip(np.flatnonzero(varies), guarded, strict=True):
        found[i] = float(value)
    return found


def paired(arm: Mapping[int, ArrayLike], baseline: Mapping[int, ArrayLike]) -> Array:
    """D (S, n) over the replicates that both have, in order: {replicate: (n,) values} of each.

    Replicates are paired because the arms of a replicate share their initial weights. A replicate
    that failed in one arm cannot be paired and is left out; hand the planned number to `crossed`.
    Without a common replicate D is empty, (0, 0), of which `crossed` says so.
    """
    common = sorted(arm.keys() & baseline.keys())
    if not common:
        return np.empty((0, 0))
    return np.stack([np.asarray(arm[s], float) - np.asarray(baseline[s], float) for s in common])


def mean_squares(D: Array) -> tuple[Array, Array, Array, Array]:
    """(..., S, n) -> mean, MS_replicate, MS_image and MS_residual, each (...): two-way, balanced."""
    S, n = D.shape[-2:]
    by_replicate = D.mean(-1, keepdims=True)  # (..., S, 1)
    by_image = D.mean(-2, keepdims=True)  # (..., 1, n)
    mean = by_image.mean(-1, keepdims=True)  # (..., 1, 1)
    replicate = n * ((by_replicate - mean) ** 2).sum((-2, -1)) / (S - 1)
    image = S * ((by_image - mean) ** 2).sum((-2, -1)) / (n - 1)
    residual = ((D - by_replicate - by_image + mean) ** 2).sum((-2, -1)) / ((S - 1) * (n - 1))
    return mean[..., 0, 0], replicate, image, residual


def effective_number(D: Array) -> Array:
    """(..., S, n) -> (...): how many images carry the variance between images, from 1 to n.

    (sum of d^2)^2 / sum of d^4 over the images' mean differences, less their mean: n if all deviate alike, k if k of
    them do and the others do not. AUC near 1 with ten positives is a matter of three or four images; Student's t does
    not know that, and that such a distribution is skewed.
    """
    by_image = D.mean(-2)
    squares = (by_image - by_image.mean(-1, keepdims=True)) ** 2
    fourth = (squares**2).sum(-1)
    return np.asarray(np.divide(squares.sum(-1) ** 2, fourth, out=np.full(fourth.shape, 1.0), where=fourth > 0))


def standard_error(replicate: ArrayLike, image: ArrayLike, residual: ArrayLike, S: int, n: int) -> tuple[Array, Array]:
    """Mean squares (...) -> SE (...) of the mean of D and Satterthwaite's df (...).

    Satterthwaite (1946) of the combination MS_replicate + MS_image - MS_residual; floored at
    MS_residual, which is what it estimates when neither replicates nor images add variance. Degrees of
    freedom are not below the fewer of S - 1 and n - 1: where MS_image is by chance below MS_residual, the
    formula has less, and an interval with S = 3 is up to four times as wide as Student's over the replicates. In
    simulations this adds 0.5 points at most to the share of true nulls that are rejected at 5 %.
    """
    R, image_, E = (np.asarray(x, dtype=np.float64) for x in (replicate, image, residual))
    total = np.maximum(R + image_ - E, E)
    spread = R**2 / (S - 1) + image_**2 / (n - 1) + E**2 / ((S - 1) * (n - 1))
    return np.sqrt(total / (S * n)), np.maximum(total**2 / spread, min(S, n) - 1)


def family_p(
    effect: ArrayLike,
    replicate: ArrayLike,
    image: ArrayLike,
    residual: ArrayLike,
    S: int,
    n: int,
    besides: float = 0.0,
) -> Array:
    """Two-sided p (...) that stays honest far below 5 %, for corrections over many comparisons.

    With few replicates MS_replicate is now and then tiny by chance; Satterthwaite's df are then
    large, and the test forgets that it does not know the run-to-run variance. At 5 % this
    averages out. At 0.05 / 9 and S = 3 it rejects true nulls up to five times too often, so that
    Holm over nine arms has a family-wise error of 15 to 18 % on many images (S = 5: up to 8 %).
    Here p is averaged over all that the run-to-run variance may be, given S - 1 degrees of freedom
    (a generalised p-value: Tsui & Weerahandi 1989; the Behrens-Fisher solution of this design):

        p = E_chi [ 2 T_{n-1}( -|effect| / SE(chi) ) ],   chi ~ chi^2_{S-1},
        SE(chi)^2 = max( (S-1) MS_replicate / chi + MS_image - MS_residual, MS_residual ) / (S n).

    Without variance between images it is Student's t over replicates, without variance between
    replicates the test over images. It errs on the safe side, most of all with S = 3. `besides` is a variance of the
    mean that is added to SE(chi)^2.
    """
    nu = S - 1
    chi, weight = chi_squared(nu, nodes=101)
    R, image_, E = (np.asarray(v, dtype=np.float64)[..., None] for v in (replicate, image, residual))
    variance = np.maximum(nu * R / chi + image_ - E, E) / (S * n) + besides
    return averaged_p(effect, np.sqrt(variance), weight, n - 1)


def averaged_p(effect: ArrayLike, spread: Array, weight: Array, df: int) -> Array:
    """Two-sided p (...) of Student's t, averaged over the standard errors (..., nodes) that there may be."""
    from scipy.special import stdtr

    size = np.abs(np.asarray(effect, dtype=np.float64))[..., None]
    p = (2 * stdtr(df, -size / spread)) @ weight
    return np.asarray(np.minimum(p, 1.0))  # the weights sum to 1 only up to rounding


def family_half_width(
    replicate: ArrayLike,
    image: ArrayLike,
    residual: ArrayLike,
    S: int,
    n: int,
    level: float,
    besides: float = 0.0,
) -> Array:
    """The effect (...) at which `family_p` comes down to `level`: half of the interval that agrees with it."""
    nu = S - 1
    chi, weight = chi_squared(nu, nodes=101)
    R, image_, E = (np.asarray(v, dtype=np.float64)[..., None] for v in (replicate, image, residual))
    spread = np.sqrt(np.maximum(nu * R / chi + image_ - E, E) / (S * n) + besides)  # (..., nodes)
    return averaged_half_width(spread, weight, n - 1, level)


def averaged_half_width(spread: Array, weight: Array, df: int, level: float) -> Array:
    """The effect (...) at which `averaged_p` comes down to `level`."""
    from scipy.special import stdtr, stdtrit

    quantile = stdtrit(df, 1 - level / 2)
    low, high = quantile * spread.min(-1), quantile * spread.max(-1)  # on either side of what is sought
    effect = quantile * spread[..., len(weight) // 2]
    for _ in range(100):  # Newton's steps in log effect and log p, halving where they lead outside
        t = effect[..., None] / spread
        p = (2 * stdtr(df, -t)) @ weight
        slope = (2 * t * _t_density(t, df)) @ weight
        low, high = np.where(p > level, effect, low), np.where(p > level, high, effect)
        with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
            following = effect * np.exp(p * np.log(p / level) / slope)
        moved = ~(np.abs(following - effect) <= 1e-7 * effect)
        inside = (following > low) & (following < high)
        effect = np.where(moved, np.where(inside, following, np.sqrt(low * high)), effect)
        if not moved.any():
            break
    return np.asarray(effect)


def _t_density(t: Array, df: int) -> Array:
    """Student's density."""
    from scipy.special import betaln

    return np.asarray((1 + t**2 / df) ** (-(df + 1) / 2) / (np.sqrt(df) * np.exp(betaln(df / 2, 0.5))))


@cache
def chi_squared(df: int, *, nodes: int) -> tuple[Array, Array]:
    """Values (nodes,) of chi^2 and their weights: a quadrature even in log chi^2, sum 1."""
    from scipy.special import gammainccinv, gammaincinv

    edge = 1e-12  # probability left out at either end
    x = np.linspace(np.log(2 * gammaincinv(df / 2, edge)), np.log(2 * gammainccinv(df / 2, edge)), nodes)
    log_density = df / 2 * x - np.exp(x) / 2  # of log chi^2, up to a constant
    weight = np.exp(log_density - log_density.max())
    return np.exp(x), weight / weight.sum()
