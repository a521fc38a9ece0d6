"""Are the tests of `medaug_keras.stats` honest? Error rates by simulation, as Markdown tables.

    python -m benchmarks.statistics [errors|two|groups|across|announced|rare|folds|equivalence|forecasts|thresholds|
        subgroups|measures|unpaired] [--repeats N] [--small]

Probit model. Each test image has a difficulty that all arms share; an arm may move single images
up or down without moving their average; each training run has a level of its own, with a standard
deviation of 1 point of the metric; what is left is noise per run and image. There are a baseline, nine
arms that truly do nothing on average, and one arm that gains 3 points.

errors: false positives, coverage and power of the crossed test and of more familiar ones. two: the same with two
replicates. groups: test images that belong together. across: the mean over eight data sets, with and without
replicates that move all data sets together. equivalence: how often arms are called equivalent whose true difference
is the margin, or zero. forecasts: differences in calibration and PR-AUC between arms that are alike. thresholds:
sensitivity and specificity at thresholds that are chosen on validation images. subgroups: whether an arm's difference
is another one in a subgroup of the images than in the others. measures: what pages show besides the primary metric of
one class an image, with patients: the mean AUC over findings, calibration, grades, operating points, AUC in subgroups.
unpaired: two sides whose runs share nothing, such as ours and another laboratory's.
announced: what studies say they could have found, and what they
could. rare: AUC near 1 with few positives. folds: cross-validation, with classifiers that are really trained on sets
that overlap.
"""

import argparse
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import chain, product

import numpy as np
from scipy.special import expit, ndtr, ndtri, stdtr, stdtrit

from medaug_keras.evaluation.calibration import (
    average_precision_values,
    brier_values,
    calibration_values,
    log_loss_values,
)
from medaug_keras.evaluation.thresholds import Point, rates, resampled, thresholds
from medaug_keras.stats import (
    FEW,
    Components,
    Crossed,
    apart,
    crossed,
    detectable_difference,
    detectable_range,
    effective_number,
    equivalence_p,
    family_half_width,
    family_p,
    grade_values,
    group_sums,
    holm,
    mean_squares,
    mutual,
    power_to_detect,
    pseudo_values,
    share_interval,
    share_values,
    shared_variance,
    standard_error,
    unpaired_parts,
    why_undefined,
)

LEVEL = 0.85  # accuracy or AUC of the baseline
GAIN = 0.03
RUN_SD = 0.01
DIFFICULTY_SD = 1.5  # of the images, where a run's noise on an image has 1
MOVED_SD = 0.5  # of an arm's own changes to single images
NULL_ARMS = 9
GAINS = (0.0,) * NULL_ARMS + (GAIN,)
POSITIVES = 0.27  # share of the smaller class, where the metric is AUC
ALPHA = 0.05
BOOTSTRAP_DRAWS = 400
DRAWS = 100  # of validation images


@dataclass(frozen=True)
class Row:
    """One design; all rates are shares of the repeats."""

    metric: str
    moved: bool
    images: int
    replicates: int
    crossed: float  # false positives of Crossed.p
    family: float  # of Crossed.p_family
    paired_t: float
    one_run: float  # McNemar, or for AUC DeLong's test, on the first replicate
    images_only: float  # bootstrap, or for AUC the jackknife, over images, replicates pooled
    coverage: float  # of the 95 % interval, where the truth is GAIN
    power: float
    announced: float  # power as stated from each repeat's own variance components
    holm: float  # any of the nine null arms called different, Holm on p_family
    holm_plain: float  # the same on Satterthwaite's p


@dataclass(frozen=True)
class Two:
    """One design with two replicates; all rates are shares of the repeats."""

    metric: str
    moved: bool
    images: int
    plain: float  # false positives of Satterthwaite's p
    crossed: float  # of Crossed.p, which is the guarded one
    coverage: float  # of the 95 % interval, where the truth is GAIN
    power: float
    holm: float  # any of the nine null arms called different, Holm on p_family
    holm_plain: float  # the same on Satterthwaite's p


def accuracy_values(
    chance: np.random.Generator,
    repeats: int,
    S: int,
    n: int,
    moved_sd: float,
    gains: Sequence[float] = GAINS,
    own: float = 1.0,
) -> Iterator[np.ndarray]:
    """Correctness (repeats, S, n) of the baseline, then of an arm for each gain. `own` times as much as usually is what
    arms and runs have of their own."""
    moved_sd = own * moved_sd
    image_sd = math.sqrt(own**2 + DIFFICULTY_SD**2 + moved_sd**2)
    slope = math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)
    run_sd = own * RUN_SD / slope * image_sd
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    for level in (LEVEL, *(LEVEL + gain for gain in gains)):
        latent = difficulty + _normal(chance, repeats, 1, n) * moved_sd
        latent = latent + _normal(chance, repeats, S, 1) * run_sd + own * _normal(chance, repeats, S, n)
        yield (latent > -ndtri(level) * math.hypot(image_sd, run_sd)).astype(np.float64)


def auc_values(
    chance: np.random.Generator,
    repeats: int,
    S: int,
    n: int,
    moved_sd: float,
    gains: Sequence[float] = GAINS,
    own: float = 1.0,
) -> Iterator[np.ndarray]:
    """The same as pseudo-values of AUC (repeats, S, n); a run's level moves the positives' scores."""
    moved_sd = own * moved_sd
    image_sd = math.sqrt(2 * (own**2 + DIFFICULTY_SD**2 + moved_sd**2))  # of a positive less a negative
    slope = math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)
    run_sd = own * RUN_SD / slope * image_sd
    labels = (np.arange(n) < round(POSITIVES * n)).astype(np.int64)
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    for level in (LEVEL, *(LEVEL + gain for gain in gains)):
        lift = ndtri(level) * math.hypot(image_sd, run_sd) + _normal(chance, repeats, S, 1) * run_sd
        scores = difficulty + _normal(chance, repeats, 1, n) * moved_sd + labels * lift
        scores = ndtr(scores + own * _normal(chance, repeats, S, n)).reshape(-1, n)
        both = np.stack([1 - scores, scores], -1)  # (repeats * S, n, 2)
        yield pseudo_values("auc", both, labels).reshape(repeats, S, n)


VALUES = {"accuracy": accuracy_values, "auc": auc_values}


def simulate(metric: str, moved: bool, n: int, S: int, *, repeats: int, seed: int) -> Row:
    """Error rates of one design."""
    rate = _simulated(metric, moved, n, S, repeats=repeats, seed=seed)
    return Row(metric, moved, n, S, **{field.name: rate[field.name] for field in fields(Row)[4:]})


def two(metric: str, moved: bool, n: int, *, repeats: int, seed: int) -> Two:
    """Error rates of one design with two replicates."""
    rate = _simulated(metric, moved, n, 2, repeats=repeats, seed=seed)
    return Two(metric, moved, n, **{field.name: rate[field.name] for field in fields(Two)[3:]})


def _simulated(metric: str, moved: bool, n: int, S: int, *, repeats: int, seed: int) -> dict[str, float]:
    """Error rates of one design by the names of columns."""
    chance = np.random.default_rng(seed)
    chunk = max(1, min(repeats, 1_000_000 // (S * n)))
    counts: list[dict[str, np.ndarray]] = []
    for start in range(0, repeats, chunk):
        arms = VALUES[metric](chance, min(chunk, repeats - start), S, n, MOVED_SD if moved else 0.0)
        baseline = next(arms)
        null = [_decisions(next(arms) - baseline, metric, chance, resample=i == 0) for i in range(NULL_ARMS)]
        gain = _decisions(next(arms) - baseline, metric, chance, gained=True)
        counts.append(
            {name: np.concatenate([d[key] for d in null]) < ALPHA for name, key in CLAIMED.items()}
            | {"images_only": null[0]["images_only"]}
            | {"holm": _any_significant([d["p_family"] for d in null])}
            | {"holm_plain": _any_significant([d["satterthwaite"] for d in null])}
            | {"coverage": np.abs(gain["effect"] - GAIN) <= gain["half_width"]}
            | {"power": gain["p"] < ALPHA, "announced": gain["announced"]}
        )
    return {key: float(np.concatenate([c[key] for c in counts]).mean()) for key in counts[0]}


CLAIMED = {"crossed": "p", "plain": "satterthwaite", "family": "p_family", "paired_t": "t", "one_run": "one_run"}


def _decisions(
    D: np.ndarray, metric: str, chance: np.random.Generator, *, resample: bool = False, gained: bool = False
) -> dict[str, np.ndarray]:
    """(repeats, S, n) differences -> what each method says of them, (repeats,) each."""
    _, S, n = D.shape
    effect, replicate, image, residual = mean_squares(D)
    se, df = standard_error(replicate, image, residual, S, n)
    p = 2 * stdtr(df, -np.abs(effect) / se)
    guarded = np.maximum(p, family_p(effect, replicate, image, residual, S, n))
    by_run = D.mean(-1)
    with np.errstate(divide="ignore", invalid="ignore"):  # runs that agree exactly
        t = np.abs(effect) / (by_run.std(-1, ddof=1) / math.sqrt(S))
    first = D[:, 0]
    if metric == "accuracy":
        discordant = np.maximum((first != 0).sum(-1), 1)
        z = first.sum(-1) / np.sqrt(discordant)
    else:
        z = first.mean(-1) / (first.std(-1, ddof=1) / math.sqrt(n))
    found = {
        "effect": effect,
        "satterthwaite": p,
        "p": guarded if S == 2 else p,
        "half_width": _half_width(replicate, image, residual, S, n),
        "p_family": guarded,
        "t": 2 * stdtr(S - 1, -t),
        "one_run": 2 * ndtr(-np.abs(z)),
    }
    if gained:
        found["announced"] = _announced(replicate, image, residual, S, n)
    if resample:
        found["images_only"] = _images_only(D, metric, chance)
    return found


def _announced(R: np.ndarray, image: np.ndarray, E: np.ndarray, S: int, n: int) -> np.ndarray:
    return np.array([power_to_detect(GAIN, v, S, n, alpha=ALPHA) for v in _variances(R, image, E, S, n)])


def _variances(R: np.ndarray, image: np.ndarray, E: np.ndarray, S: int, n: int) -> list[Components]:
    return [Components(max((r - e) / n, 0.0), max((i - e) / S, 0.0), e) for r, i, e in zip(R, image, E, strict=True)]


def _half_width(R: np.ndarray, image: np.ndarray, E: np.ndarray, S: int, n: int) -> np.ndarray:
    """Half of the 95 % interval (repeats,), as `crossed` makes it."""
    se, df = standard_error(R, image, E, S, n)
    half = stdtrit(df, 1 - ALPHA / 2) * se
    return half if S > 2 else np.maximum(half, family_half_width(R, image, E, S, n, ALPHA))


# --- images that belong together ---

GROUP_SHARE = 0.5  # of the images' difficulty, where groups matter; an arm then moves whole groups


@dataclass(frozen=True)
class Grouped:
    """One design with test images that belong together; all rates are shares of the repeats."""

    metric: str
    sizes: str  # of the groups
    effect: bool  # whether images of a group are alike
    replicates: int
    by_image: float  # false positives of each image as a patient of its own
    by_group: float
    coverage: float  # of the interval by group
    holm: float | None  # any of nine null arms called different, by group; of AUC only one arm is simulated


def group_sizes(kind: str, chance: np.random.Generator) -> np.ndarray:
    """Sizes of the groups of one test set."""
    if kind == "1 to 4":
        return chance.integers(1, 5, size=60)
    if kind == "20":
        return np.full(60, 20)
    sizes = [66]  # one patient has 66 of the 181 images
    while sum(sizes) < 181:
        sizes.append(min(int(chance.integers(1, 5)), 181 - sum(sizes)))
    return np.array(sizes)


def grouped(metric: str, kind: str, effect: bool, S: int, *, repeats: int, seed: int) -> Grouped:
    """Error rates of one design, over twenty test sets."""
    chance = np.random.default_rng(seed)
    arms = NULL_ARMS if metric == "accuracy" else 1
    found: dict[str, list[np.ndarray]] = {"by_image": [], "by_group": [], "coverage": [], "holm": []}
    for _ in range(20):
        place = np.repeat(np.arange(len(sizes := group_sizes(kind, chance))), sizes)
        many = max(1, repeats // 20)
        values = _grouped_values(metric, chance, many, S, place, effect, (0.0,) * arms + (GAIN,))
        images, groups = next(values)
        p = []
        for gain, (other, of_groups) in zip((0.0,) * arms + (GAIN,), values, strict=True):
            alone, together = _decisions(other - images, metric, chance), _decisions(of_groups - groups, metric, chance)
            if gain:
                found["coverage"].append(np.abs(together["effect"] - gain) <= together["half_width"])
            else:
                p.append(together["p_family"])
                found["by_image"].append(alone["p"] < ALPHA)
                found["by_group"].append(together["p"] < ALPHA)
        found["holm"].append(_any_significant(p))
    rate = {key: float(np.concatenate(values_).mean()) for key, values_ in found.items()}
    holm = rate["holm"] if arms == NULL_ARMS else None
    return Grouped(metric, kind, effect, S, rate["by_image"], rate["by_group"], rate["coverage"], holm)


def _grouped_values(
    metric: str,
    chance: np.random.Generator,
    repeats: int,
    S: int,
    place: np.ndarray,
    effect: bool,
    gains: Sequence[float],
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """By image (repeats, S, n) and by group (repeats, S, G): the baseline, then an arm for each gain."""
    n, G = len(place), int(place[-1]) + 1
    both = 2 if metric == "auc" else 1
    sd = math.sqrt(both * (1 + DIFFICULTY_SD**2 + MOVED_SD**2))
    run_sd = RUN_SD / (math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)) * sd
    labels = (chance.random(n) < POSITIVES).astype(np.int64)
    labels[:2], labels[-2:] = (0, 1), (1, 0)  # a class of one group has no AUC
    share = GROUP_SHARE if effect else 0.0
    difficulty = math.sqrt(share) * _normal(chance, repeats, 1, G)[..., place]
    difficulty = DIFFICULTY_SD * (difficulty + math.sqrt(1 - share) * _normal(chance, repeats, 1, n))
    for level in (LEVEL, *(LEVEL + gain for gain in gains)):
        moved = _normal(chance, repeats, 1, G)[..., place] if effect else _normal(chance, repeats, 1, n)
        lift = ndtri(level) * math.hypot(sd, run_sd) + _normal(chance, repeats, S, 1) * run_sd
        latent = difficulty + MOVED_SD * moved + _normal(chance, repeats, S, n)
        if metric == "accuracy":
            right = (latent + lift > 0).astype(np.float64)
            yield right, group_sums(right, place)
        else:
            scores = ndtr(latent + labels * lift).reshape(-1, n)
            p = np.stack([1 - scores, scores], -1)
            alone, together = pseudo_values("auc", p, labels), pseudo_values("auc", p, labels, place)
            yield alone.reshape(repeats, S, n), together.reshape(repeats, S, G)


# --- subgroups ---

ALONE = 400  # images, where each is a group of its own


@dataclass(frozen=True)
class Parted:
    """One design whose arm truly gains GAIN in a subgroup and in the others; all rates are shares of the repeats."""

    sizes: str  # of the groups
    across: bool  # whether a group may have images in the subgroup and in the others
    share: float  # of the images (or groups) that are in the subgroup
    replicates: int
    crossed: float  # called different, by p
    family: float  # by p_family
    coverage: float  # of the 95 % interval, where the arm gains GAIN in the other subgroup alone
    one_of_two: float  # how often the interval of exactly one of the two subgroups excludes 0


def parted(sizes: str, across: bool, share: float, S: int, *, repeats: int, seed: int) -> Parted:
    """Error rates of the difference of an arm's differences between a subgroup and the others, of accuracy."""
    chance = np.random.default_rng(seed)
    found: dict[str, list[bool]] = {"p": [], "family": [], "coverage": [], "one": []}
    for _ in range(repeats):
        place = np.arange(ALONE) if sizes == "–" else np.repeat(np.arange(60), group_sizes(sizes, chance))
        units = len(place) if across else int(place[-1]) + 1
        inside = chance.permutation(np.arange(units) < round(share * units))
        inside = inside if across else inside[place]
        values = _grouped_values("accuracy", chance, 1, S, place, sizes != "–", (GAIN, 0.0, GAIN))
        base, arm, idle, better = (right[0] for right, _ in values)
        null, alone = _apart(arm - base, inside, place)
        found["p"].append(null.p is not None and null.p < ALPHA)
        found["family"].append(null.p_family is not None and null.p_family < ALPHA)
        found["one"].append(sum(one.low is not None and one.low * one.high > 0 for one in alone) == 1)
        true, _ = _apart(np.where(inside, idle, better) - base, inside, place)
        found["coverage"].append(true.low is not None and true.low <= -GAIN <= true.high)
    rate = {key: float(np.mean(of)) for key, of in found.items()}
    return Parted(sizes, across, share, S, rate["p"], rate["family"], rate["coverage"], rate["one"])


def _apart(D: np.ndarray, inside: np.ndarray, place: np.ndarray) -> tuple[Crossed, list[Crossed]]:
    """The difference of D (S, n) between the images inside and the others; and the test of each."""
    parts = [(group_sums(D[:, of], place[of]), np.unique(place[of])) for of in (inside, ~inside)]
    (here, units), (there, others) = parts
    return crossed(apart(here, there, units, others)), [crossed(values) for values, _ in parts]


# --- runs that share nothing ---

SIMULATED_NODES = 51  # of 101 on either side: p is then known to half a percent of itself, in a quarter of the time


@dataclass(frozen=True)
class Apart:
    """One design of two sides whose runs share nothing; all rates are shares of the repeats."""

    metric: str
    moved: bool
    images: int
    replicates: int
    theirs: int  # runs of the other side
    crossed: float  # false positives of `unpaired`, by p
    family: float  # by p_family
    paired: float | None  # of `crossed` on runs paired as they come, by p; None with other numbers of runs
    coverage: float  # of the 95 % interval, where the truth is GAIN
    power: float  # by p_family
    power_paired: float | None


def unpaired_runs(metric: str, moved: bool, n: int, S: int, T: int, *, repeats: int, seed: int) -> Apart:
    """Error rates of one design. The other side is the baseline; one arm is alike, and one gains."""
    chance = np.random.default_rng(seed)
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, repeats, 50):
        many = min(50, repeats - start)
        values = VALUES[metric](chance, many, max(S, T), n, MOVED_SD if moved else 0.0, (0.0, GAIN))
        theirs, alike, better = (of[:, :runs] for of, runs in zip(values, (T, S, S), strict=True))
        for name, arm in (("null", alike), ("gain", better)):
            parts, effect = unpaired_parts(arm, theirs), arm.mean((1, 2)) - theirs.mean((1, 2))
            se, df = parts.standard_error()
            p = 2 * stdtr(df, -np.abs(effect) / se)
            guarded = np.maximum(p, parts.family_p(effect, nodes=SIMULATED_NODES))
            half = stdtrit(df, 1 - ALPHA / 2) * se
            if min(S, T) == 2:
                p, half = guarded, np.maximum(half, parts.family_half_width(ALPHA, nodes=SIMULATED_NODES))
            of = {"p": p < ALPHA, "family": guarded < ALPHA, "covers": np.abs(effect - GAIN) <= half}
            if S == T:
                pairs = _decisions(arm - theirs, metric, chance)
                of |= {"paired": pairs["p"] < ALPHA, "paired_family": pairs["p_family"] < ALPHA}
            for key, each in of.items():
                found.setdefault(f"{name} {key}", []).append(each)
    rate = {key: float(np.concatenate(each).mean()) for key, each in found.items()}
    return Apart(
        metric,
        moved,
        n,
        S,
        T,
        crossed=rate["null p"],
        family=rate["null family"],
        paired=rate.get("null paired"),
        coverage=rate["gain covers"],
        power=rate["gain family"],
        power_paired=rate.get("gain paired_family"),
    )


# --- equivalence ---

LITTLE = 0.2  # own variation of networks that have hardly learnt: they rank images nearly alike


@dataclass(frozen=True)
class Equivalence:
    """One design whose arms truly differ from the baseline by the margin, and what is called equivalent."""

    metric: str
    sizes: str  # of the groups of images that belong together
    images: int
    replicates: int
    margin: float
    own: float  # how much arms and runs have of their own, 1 as everywhere else: little, where training is short
    alone: float  # arms at the margin called equivalent, by p of the single comparison
    holm: float  # studies in which any of four such arms is, by Holm
    one_null: float  # of arms that do nothing


def equivalence(
    metric: str, sizes: str, n: int, S: int, margin: float, own: float = 1.0, *, repeats: int, seed: int
) -> Equivalence:
    """By `crossed`, `equivalence_p` and `holm`, as a report calls them. Two arms gain the margin, two lose it."""
    chance = np.random.default_rng(seed)
    gains = (margin, -margin, margin, -margin, 0.0)
    grouped_ = sizes != "–"
    chunk = max(1, min(repeats if not grouped_ else max(1, repeats // 20), 1_000_000 // (S * n)))
    found: list[list[bool]] = []
    while len(found) < repeats:
        many = min(chunk, repeats - len(found))
        if grouped_:
            place = np.repeat(np.arange(len(of := group_sizes(sizes, chance))), of)
            values = (by_group for _, by_group in _grouped_values(metric, chance, many, S, place, True, gains))
            n = len(place)
        else:
            values = VALUES[metric](chance, many, S, n, MOVED_SD, gains, own)
        baseline = next(values)
        p = [[_equivalence_p(D, margin) for D in arm - baseline] for arm in values]
        for *at, null in zip(*p, strict=True):
            corrected = [q for q in holm(at) if q is not None]
            alone = [q is not None and q <= ALPHA for q in (*at, null)]
            found.append([*alone, min(corrected, default=1.0) <= ALPHA])
    rates = np.mean(found, axis=0)
    return Equivalence(metric, sizes, n, S, margin, own, float(rates[:4].mean()), float(rates[5]), float(rates[4]))


def _equivalence_p(D: np.ndarray, margin: float) -> float | None:
    result = crossed(D)
    few = result.carried_by is not None and result.carried_by < FEW
    return None if few else equivalence_p(result, margin)


# --- calibration and PR-AUC ---


@dataclass(frozen=True)
class Forecast:
    """One design of two arms that are alike but for single images; shares of the repeats called different."""

    images: int
    replicates: int
    ece: float
    brier: float
    log_loss: float
    pr_auc: float


def forecast(n: int, S: int, *, repeats: int, seed: int) -> Forecast:
    """By `crossed` on one value an image. Scores as those of `auc_values`; too sure by half, as networks are."""
    chance = np.random.default_rng(seed)
    labels = (np.arange(n) < round(POSITIVES * n)).astype(np.int64)
    called: list[list[bool]] = []
    for _ in range(repeats):
        difficulty, arms = _normal(chance, 1, n) * DIFFICULTY_SD, []
        for _ in range(2):
            latent = difficulty + _normal(chance, 1, n) * MOVED_SD + labels * 3 - 1.5 + 0.2 * _normal(chance, S, 1)
            positive = expit(1.5 * (latent + _normal(chance, S, n)))
            arms.append([np.stack([1 - row, row], -1) for row in positive])
        p = []
        for values in (calibration_values, brier_values, log_loss_values, average_precision_values):
            ours, theirs = (np.stack([values(labels, one) for one in arm]) for arm in arms)
            p.append(crossed(ours - theirs).p)
        called.append([q is not None and q < ALPHA for q in p])
    return Forecast(n, S, *map(float, np.mean(called, axis=0)))


# --- operating points ---


@dataclass(frozen=True)
class Threshold:
    """Two arms that are alike but for single images, at thresholds chosen on validation images; shares of the repeats.

    called: that are called different; fixed: if the validation images were taken as fixed. covers: intervals of the
    share that cover its mean over new runs, validation and test images.
    """

    point: str
    sizes: str  # of groups
    validation: int
    images: int
    replicates: int
    sensitivity: float  # its mean over new images
    sensitivity_called: float
    sensitivity_fixed: float
    sensitivity_covers: float
    specificity: float
    specificity_called: float
    specificity_fixed: float
    specificity_covers: float


def chosen(point: Point, size: int, held_out: int, n: int, S: int, *, repeats: int, seed: int) -> Threshold:
    """By `crossed` with the variance of the choice. Scores as those of `forecast`; the images of a group, `size` of
    them, share class and difficulty."""
    chance = np.random.default_rng(seed)
    new = []
    for _ in range(200):
        held, test, arms = _scored(chance, size, held_out, 2000, S)
        new += [
            np.mean(rates(test, scores, thresholds(held, known, [point])[0]), axis=(1, 2)) for known, scores in arms
        ]
    truth, found = np.mean(new, axis=0), []
    for _ in range(repeats):
        held, test, arms = _scored(chance, size, held_out, n, S)
        weights = resampled(held, np.arange(held_out) // size, draws=DRAWS, seed=int(chance.integers(2**31)))
        weights = np.concatenate([np.ones((1, held_out)), weights])
        at = [thresholds(held, known, [point], weights)[0] for known, _ in arms]
        by_draw = [rates(test, scores, t) for (_, scores), t in zip(arms, at, strict=True)]
        fewest = min(held.sum(), (~held).sum()) // size
        for k, those in enumerate((test, ~test)):
            right = [(scores >= t[:, :1])[:, those] == (k == 0) for (_, scores), t in zip(arms, at, strict=True)]
            values = [share_values(one, True, (np.arange(n) // size)[those]) for one in right]
            draws = [one[k][:, 1:] - one[k][:, :1] for one in by_draw]
            p = crossed(values[0] - values[1], besides=(shared_variance(draws[0] - draws[1]), fewest - 1)).p
            fixed = crossed(values[0] - values[1]).p
            interval = share_interval(crossed(values[0], besides=(shared_variance(draws[0]), fewest - 1)))
            covers = interval is not None and interval[0] <= truth[k] <= interval[1]
            found.append([p is not None and p < ALPHA, fixed is not None and fixed < ALPHA, covers])
    each = np.mean(np.reshape(found, (repeats, 2, 3)), axis=0)
    words = point if isinstance(point, str) else f"{point[0]} {100 * point[1]:.0f} %"
    (one, *ours), (other, *theirs) = [(float(truth[k]), *map(float, each[k])) for k in (0, 1)]
    return Threshold(words, str(size) if size > 1 else "–", held_out, n, S, one, *ours, other, *theirs)


def _scored(
    chance: np.random.Generator, size: int, held_out: int, n: int, S: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[np.ndarray, np.ndarray]]]:
    """Which validation and which test images are positive, and the scores (S, images) of both by two arms."""
    labels = [np.repeat(np.arange(m // size) < round(POSITIVES * m / size), size) for m in (held_out, n)]
    difficulty = [np.repeat(_normal(chance, len(own) // size), size) * DIFFICULTY_SD for own in labels]
    arms = []
    for _ in range(2):
        level = 0.2 * _normal(chance, S, 1)
        known, scores = (
            hard + _normal(chance, 1, len(own)) * MOVED_SD + own * (3 + level) - 1.5 + _normal(chance, S, len(own))
            for own, hard in zip(labels, difficulty, strict=True)
        )
        arms.append((known, scores))
    return labels[0], labels[1], arms


# --- what pages show besides the primary metric ---

PREVALENCES = (0.4, 0.2, 0.1, 0.05)  # of findings
GRADES = (0.45, 0.65, 0.8, 0.92)  # where a grade ends and the next begins: shares of the images
RUN_LEVEL_SD = 0.2  # where an image's noise in a run has 1

Pair = tuple[Crossed, Crossed]
"""An arm that is worth what the baseline is, and one that is better, each less the baseline."""
Model = Callable[[np.random.Generator, str, int], Mapping[str, Pair]]
"""Chance, sizes of the groups, replicates -> measure -> what one study finds."""


@dataclass(frozen=True)
class Measured:
    """One measure in one design; all rates are shares of the repeats."""

    measure: str
    sizes: str  # of the groups
    replicates: int
    crossed: float  # an arm that is alike called different, by p
    family: float  # by p_family
    coverage: float  # of the 95 % interval of an arm that is better: of its mean difference over studies
    true: float  # this difference
    found: float  # how often it is, by p


def measured(model: Model, sizes: str, S: int, *, repeats: int, seed: int) -> Iterator[Measured]:
    """Error rates of the measures of a model."""
    chance, found = np.random.default_rng(seed), dict[str, list[Pair]]()
    for _ in range(repeats):
        for name, pair in model(chance, sizes, S).items():
            found.setdefault(name, []).append(pair)
    for name, pairs in found.items():
        truth = float(np.mean([better.effect for _, better in pairs if better.effect is not None]))
        yield Measured(
            name,
            sizes,
            S,
            crossed=_share(alike.p is not None and alike.p < ALPHA for alike, _ in pairs),
            family=_share(alike.p_family is not None and alike.p_family < ALPHA for alike, _ in pairs),
            coverage=_share(_covers(better, truth) for _, better in pairs),
            true=truth,
            found=_share(better.p is not None and better.p < ALPHA for _, better in pairs),
        )


def _share(of: Iterator[bool]) -> float:
    return float(np.mean(list(of)))


def _covers(result: Crossed, truth: float) -> bool:
    return result.low is not None and result.high is not None and result.low <= truth <= result.high


def _place(sizes: str, chance: np.random.Generator) -> np.ndarray:
    """(n,) groups of the images of one test set."""
    return np.arange(ALONE) if sizes == "–" else np.repeat(np.arange(60), group_sizes(sizes, chance))


def _of_images(chance: np.random.Generator, place: np.ndarray, *shape: int) -> np.ndarray:
    """(*shape, n) of variance 1, of which groups share GROUP_SHARE where they have more than one image."""
    n, groups = len(place), int(place[-1]) + 1
    share = GROUP_SHARE if groups < n else 0.0
    together = _normal(chance, *shape, groups)[..., place]
    return math.sqrt(share) * together + math.sqrt(1 - share) * _normal(chance, *shape, n)


def _moved(chance: np.random.Generator, place: np.ndarray, *shape: int) -> np.ndarray:
    """(*shape, n) an arm's own changes to images: to whole groups, where there are groups."""
    return MOVED_SD * _normal(chance, *shape, int(place[-1]) + 1)[..., place]


def _against(base: np.ndarray, alike: np.ndarray, better: np.ndarray) -> Pair:
    return crossed(alike - base), crossed(better - base)


def _by_unit(values: np.ndarray, place: np.ndarray) -> np.ndarray:
    """Values of images as pages take them: summed over groups, where images have such."""
    return group_sums(values, place) if int(place[-1]) + 1 < len(place) else values


def findings(chance: np.random.Generator, sizes: str, S: int) -> Mapping[str, Pair]:
    """The mean AUC over four findings, of which patients share some. The better arm gains GAIN of each."""
    place, F = _place(sizes, chance), len(PREVALENCES)
    labels = (_of_images(chance, place, F) < ndtri(PREVALENCES)[:, None]).astype(np.int64)
    difficulty = DIFFICULTY_SD * _of_images(chance, place, F)
    sd = math.sqrt(2 * (1 + DIFFICULTY_SD**2 + MOVED_SD**2))
    run_sd = RUN_SD / (math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)) * sd
    values = []
    for level in (LEVEL, LEVEL, LEVEL + GAIN):
        lift = ndtri(level) * math.hypot(sd, run_sd) + run_sd * _normal(chance, S, 1, 1)
        scores = difficulty + _moved(chance, place, F) + labels * lift + _normal(chance, S, F, len(place))
        p = ndtr(scores).transpose(0, 2, 1)
        values.append(pseudo_values("auc", p, labels.T, None if sizes == "–" else place))
    return {"mean AUC of 4 findings": _against(*values)}


def calibration(chance: np.random.Generator, sizes: str, S: int) -> Mapping[str, Pair]:
    """Measures of probabilities too sure by half. The better arm tells the classes better, and is less sure."""
    place = _place(sizes, chance)
    labels = (_of_images(chance, place) < ndtri(POSITIVES)).astype(np.int64)
    latent, both = _two_classes(chance, place, labels, S), []
    for arm, sureness in zip(latent, (1.5, 1.5, 1.0), strict=True):
        p = expit(sureness * arm)
        both.append(np.stack([1 - p, p], -1))
    every = {
        "calibration error": calibration_values,
        "Brier score": brier_values,
        "log loss": log_loss_values,
        "PR-AUC": average_precision_values,
    }
    return {name: _against(*(_by_unit(of(labels, p), place) for p in both)) for name, of in every.items()}


def _two_classes(chance: np.random.Generator, place: np.ndarray, labels: np.ndarray, S: int) -> list[np.ndarray]:
    """Scores (S, n) of the baseline, of an arm that is alike and of a better one."""
    difficulty = DIFFICULTY_SD * _of_images(chance, place)
    return [
        difficulty
        + _moved(chance, place)
        + labels * (lift + RUN_LEVEL_SD * _normal(chance, S, 1))
        - 1.5
        + _normal(chance, S, len(place))
        for lift in (3.0, 3.0, 3.6)
    ]


def grades(chance: np.random.Generator, sizes: str, S: int) -> Mapping[str, Pair]:
    """Five grades, of which patients share some. The better arm is off by three quarters as much."""
    place, cuts = _place(sizes, chance), ndtri(GRADES)
    true, difficulty = _of_images(chance, place), _of_images(chance, place)
    named = []
    for size in (1.0, 1.0, 0.75):
        off = 0.6 * difficulty + MOVED_SD / 2 * _moved(chance, place) + 0.1 * _normal(chance, S, 1)
        named.append(np.digitize(true + size * (off + 0.4 * _normal(chance, S, len(place))), cuts))
    labels, groups = np.digitize(true, cuts), None if sizes == "–" else place
    return {
        "error in grades": _against(*(grade_values("absolute_error", of, labels, 5, groups) for of in named)),
        "kappa": _against(*(grade_values("quadratic_kappa", of, labels, 5, groups) for of in named)),
    }


def operating(chance: np.random.Generator, sizes: str, S: int) -> Mapping[str, Pair]:
    """Sensitivity and specificity at the thresholds that reach a sensitivity of 90 % on as many validation images."""
    held, test = _place(sizes, chance), _place(sizes, chance)
    place, m = np.concatenate([held, test + held[-1] + 1]), len(held)
    labels = (_of_images(chance, place) < ndtri(POSITIVES)).astype(np.int64)
    known, positive = labels[:m] == 1, labels[m:] == 1
    weights = resampled(known, held, draws=DRAWS, seed=int(chance.integers(2**31)))
    weights = np.concatenate([np.ones((1, m)), weights])  # the first as they are
    fewest = min(len(np.unique(held[of])) for of in (known, ~known))
    arms = _two_classes(chance, place, labels, S)
    at = [thresholds(known, arm[:, :m], [("sensitivity", 0.9)], weights)[0] for arm in arms]
    drawn = [rates(positive, arm[:, m:], t) for arm, t in zip(arms, at, strict=True)]
    found = {}
    for k, (name, those) in enumerate((("sensitivity", positive), ("specificity", ~positive))):
        right = [(arm[:, m:] >= t[:, :1])[:, those] == (k == 0) for arm, t in zip(arms, at, strict=True)]
        values = [share_values(of, True, test[those]) for of in right]
        draws = [of[k][:, 1:] - of[k][:, :1] for of in drawn]
        alike, better = (
            crossed(values[i] - values[0], besides=(shared_variance(draws[i] - draws[0]), fewest - 1)) for i in (1, 2)
        )
        found[f"{name} at 90 % sensitivity"] = alike, better
    return found


def in_subgroups(chance: np.random.Generator, sizes: str, S: int) -> Mapping[str, Pair]:
    """AUC: an arm's difference in a third of the images (or groups) less that in the others. The first arm gains GAIN
    in both, the other in that third alone. A study in which one of the two has no AUC tells nothing."""
    place = _place(sizes, chance)
    groups = int(place[-1]) + 1
    inside = chance.permutation(np.arange(groups) < round(groups / 3))[place]
    labels = (_of_images(chance, place) < ndtri(POSITIVES)).astype(np.int64)
    if any(why_undefined("auc", labels[of], 2, place[of]) for of in (inside, ~inside)):
        return {}
    difficulty = DIFFICULTY_SD * _of_images(chance, place)
    sd = math.sqrt(2 * (1 + DIFFICULTY_SD**2 + MOVED_SD**2))
    run_sd = RUN_SD / (math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)) * sd
    both = []
    for here, there in ((0.0, 0.0), (GAIN, GAIN), (GAIN, 0.0)):
        lift = ndtri(LEVEL + np.where(inside, here, there)) * math.hypot(sd, run_sd) + run_sd * _normal(chance, S, 1)
        p = ndtr(difficulty + _moved(chance, place) + labels * lift + _normal(chance, S, len(place)))
        p = np.stack([1 - p, p], -1)
        both.append([pseudo_values("auc", p[:, of], labels[of], place[of]) for of in (inside, ~inside)])
    units = [np.unique(place[of]) for of in (inside, ~inside)]
    base, *arms = both
    same, other = (crossed(apart(*(one - of for one, of in zip(arm, base, strict=True)), *units)) for arm in arms)
    return {"AUC in a subgroup less that in the others": (same, other)}


MODELS: tuple[Model, ...] = (findings, calibration, grades, operating, in_subgroups)


# --- across data sets ---

IMAGES = np.array([7180, 2005, 1000, 624, 400, 156, 3421, 17778])
ARMS = 11
MOVED_VARIANCE, RESIDUAL_VARIANCE = 0.002, 0.10  # of one image's difference


@dataclass(frozen=True)
class OverSets:
    """The mean over eight data sets, eleven arms of which none does anything; shares of the repeats."""

    replicates: int
    tau: float  # standard deviation of an arm's true effects between data sets
    together: float  # correlation of a replicate's runs over the data sets
    alone: float  # false positives of one arm
    holm: float  # any of eleven arms called different
    coverage: float
    power: float  # after Holm, of a mean gain of 2 points
    independent: float  # false positives of Student's t over data sets, which takes them as independent
    independent_holm: float
    random_holm: float  # the same of a random-effects mean, which takes standard errors as known


def over_sets(S: int, tau: float, together: float, *, repeats: int, seed: int) -> OverSets:
    """Error rates of one design. Differences of replicates are normal, with the variances of the probit model."""
    chance = np.random.default_rng(seed)
    Y = _over_sets(chance, repeats, S, tau, together)
    m = len(IMAGES)
    mean, R, between, E = mean_squares(Y)
    se, df = standard_error(R, between, E, S, m)
    p = np.maximum(2 * stdtr(df, -np.abs(mean) / se), family_p(mean, R, between, E, S, m))
    covered = np.abs(mean) <= _half_width(R, between, E, S, m)
    gain = 0.02
    found = (
        np.maximum(2 * stdtr(df, -np.abs(mean + gain) / se), family_p(mean + gain, R, between, E, S, m)) <= ALPHA / ARMS
    )
    by_set = Y.mean(-2)
    t = 2 * stdtr(m - 1, -np.abs(by_set.mean(-1)) / (by_set.std(-1, ddof=1) / math.sqrt(m)))
    return OverSets(
        S,
        tau,
        together,
        alone=float((p < ALPHA).mean()),
        holm=float((p.min(-1) * ARMS <= ALPHA).mean()),
        coverage=float(covered.mean()),
        power=float(found.mean()),
        independent=float((t < ALPHA).mean()),
        independent_holm=float((t.min(-1) * ARMS <= ALPHA).mean()),
        random_holm=float((_random_effects(by_set, _known(Y, chance)).min(-1) * ARMS <= ALPHA).mean()),
    )


def _known(Y: np.ndarray, chance: np.random.Generator) -> np.ndarray:
    """Squared standard errors (repeats, arms, data sets) as `standard_error` finds them on the images of each."""
    (repeats, arms, S, m), n = Y.shape, IMAGES
    rest = RESIDUAL_VARIANCE / (S * n)
    of_images, of_rest = n - 1, (S - 1) * (n - 1)
    image = (MOVED_VARIANCE / n + rest) * chance.chisquare(of_images, (repeats, arms, m)) / of_images
    residual = rest * chance.chisquare(of_rest, (repeats, arms, m)) / of_rest
    return np.maximum(Y.var(-2, ddof=1) / S + image - residual, residual)


def _random_effects(effects: np.ndarray, variances: np.ndarray) -> np.ndarray:
    """(..., m) each -> two-sided p (...): Paule and Mandel's variance between data sets (1982), the interval of Hartung
    and Knapp (2001)."""
    m = effects.shape[-1]

    def weighed(tau2: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        weights = 1 / (variances + tau2[..., None])
        mean = (weights * effects).sum(-1) / weights.sum(-1)
        return weights, mean, (weights * (effects - mean[..., None]) ** 2).sum(-1)

    low, high = np.zeros(effects.shape[:-1]), np.full(effects.shape[:-1], 1.0)  # of a fraction's variance
    for _ in range(50):
        middle = (low + high) / 2
        above = weighed(middle)[2] > m - 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    weights, mean, q = weighed(low)
    return 2 * stdtr(m - 1, -np.abs(mean) / np.sqrt(q / ((m - 1) * weights.sum(-1))))


def _over_sets(chance: np.random.Generator, repeats: int, S: int, tau: float, together: float) -> np.ndarray:
    """Differences to a shared baseline (repeats, arms, S, data sets)."""
    m = len(IMAGES)
    runs = math.sqrt(together) * chance.standard_normal((repeats, ARMS + 1, S, 1))
    runs = RUN_SD * (runs + math.sqrt(1 - together) * chance.standard_normal((repeats, ARMS + 1, S, m)))
    images = chance.standard_normal((repeats, ARMS + 1, 1, m)) * np.sqrt(MOVED_VARIANCE / 2 / IMAGES)
    rest = chance.standard_normal((repeats, ARMS + 1, S, m)) * np.sqrt(RESIDUAL_VARIANCE / 2 / IMAGES)
    values = runs + images + rest
    return values[:, 1:] - values[:, :1] + tau * chance.standard_normal((repeats, ARMS, 1, m))


# --- what is announced ---


@dataclass(frozen=True)
class Announced:
    """What studies of a design announce as found with 80 % power among nine arms (or alone), and the real power there.

    Differences are medians over studies. Power in percent at what 10, 50 and 90 % of the studies announce from the
    variances as estimated, and from their upper limits; `kept` is the share of studies that find what they announce
    as the upper end with at least 80 %.
    """

    metric: str
    moved: bool
    images: int
    replicates: int
    tests: int
    low: float
    estimated: float
    high: float
    real_estimated: str
    real_high: str
    kept: float


def announced(metric: str, moved: bool, n: int, S: int, tests: int, *, repeats: int, seed: int) -> Announced:
    """The variances are those of the probit model; each study draws its mean squares from their chi^2 distributions."""
    chance = np.random.default_rng(seed)
    true = _true_variances(metric, moved, n, S, chance)
    sizes = np.array([_says(true, n, S, tests, chance) for _ in range(min(repeats, 200))])  # low, estimated, high
    where = np.unique(np.quantile(sizes[:, 1:], np.linspace(0, 1, 25)))
    real = [_found(size, true, n, S, tests, chance, repeats) for size in where]
    power = np.interp(sizes[:, 1:], where, real)  # (studies, 2)

    def quantiles(values: np.ndarray) -> str:
        return " / ".join(f"{100 * q:.0f}" for q in np.quantile(values, [0.1, 0.5, 0.9]))

    low, estimated, high = (float(x) for x in np.median(sizes, axis=0))
    kept = float((power[:, 1] >= 0.8 - 0.02).mean())  # power is known to +- 0.013
    return Announced(
        metric, moved, n, S, tests, low, estimated, high, quantiles(power[:, 0]), quantiles(power[:, 1]), kept
    )


def _true_variances(metric: str, moved: bool, n: int, S: int, chance: np.random.Generator) -> Components:
    """Mean of the unbiased estimates of 200 studies in which nothing differs."""
    parts = []
    for start in range(0, 200, chunk := max(1, min(200, 1_000_000 // (S * n)))):
        baseline, arm = VALUES[metric](chance, min(chunk, 200 - start), S, n, MOVED_SD if moved else 0.0, (0.0,))
        _, R, image, E = mean_squares(arm - baseline)
        parts.append(np.stack([(R - E) / n, (image - E) / S, E]))
    replicate, image_, residual = np.maximum(np.concatenate(parts, axis=1).mean(1), 0.0)
    return Components(float(replicate), float(image_), float(residual))


def _drawn(v: Components, n: int, S: int, chance: np.random.Generator, many: int) -> tuple[np.ndarray, ...]:
    """Mean squares of as many studies (many,) each, and their standard normal effects."""
    expected = n * v.replicate + v.residual, S * v.image + v.residual, v.residual
    sizes = S - 1, n - 1, (S - 1) * (n - 1)
    R, image, E = (e * chance.chisquare(df, many) / df for e, df in zip(expected, sizes, strict=True))
    sd = math.sqrt((expected[0] + expected[1] - expected[2]) / (S * n))
    return R, image, E, sd * chance.standard_normal(many)


def _says(v: Components, n: int, S: int, tests: int, chance: np.random.Generator) -> tuple[float, float, float]:
    """The lower end, the estimate and the upper end that one study announces."""
    R, image, E, _ = (float(x[0]) for x in _drawn(v, n, S, chance, 1))
    (mine,) = _variances(np.array([R]), np.array([image]), np.array([E]), S, n)
    study = Crossed(0.0, S, S, n, p=1.0, mean_squares=Components(R, image, E), variances=mine)
    found = detectable_range(study, tests=tests)
    assert found is not None
    return found.low, detectable_difference(mine, S, n, tests=tests), found.high


def _found(size: float, v: Components, n: int, S: int, tests: int, chance: np.random.Generator, many: int) -> float:
    """Share of studies that find a true difference of this size."""
    R, image, E, noise = _drawn(v, n, S, chance, many)
    se, df = standard_error(R, image, E, S, n)
    p = 2 * stdtr(df, -np.abs(size + noise) / se)
    if tests > 1 or S == 2:
        p = np.maximum(p, family_p(size + noise, R, image, E, S, n))
    return float((p <= ALPHA / tests).mean())


# --- AUC near 1 ---


@dataclass(frozen=True)
class Rare:
    """AUC where positives are few; an arm gains half of what is missing to 1."""

    images: int
    positives: int
    level: float  # AUC of the baseline
    replicates: int
    false: float  # false positives of an arm that gains nothing
    coverage: float
    warned: float  # share of the studies whose interval is marked as too narrow
    kept: float | None  # coverage of the others; None where there are fewer than fifty
    equal: float  # an arm that gains just the margin called equivalent, as pages do: not where it is marked
    equal_marked: float  # the same if that were no reason


def rare(n: int, positives: int, level: float, S: int, *, repeats: int, seed: int) -> Rare:
    """Error rates of one design."""
    chance = np.random.default_rng(seed)
    gain = (1 - level) / 2
    sd = math.sqrt(2 * (1 + DIFFICULTY_SD**2 + MOVED_SD**2))
    run_sd = 0.05 * sd
    labels = (np.arange(n) < positives).astype(np.int64)
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    arms = []
    for of in (level, level, level + gain):
        lift = ndtri(of) * math.hypot(sd, run_sd) + _normal(chance, repeats, S, 1) * run_sd
        scores = difficulty + _normal(chance, repeats, 1, n) * MOVED_SD + labels * lift
        scores = ndtr(scores + _normal(chance, repeats, S, n)).reshape(-1, n)
        arms.append(pseudo_values("auc", np.stack([1 - scores, scores], -1), labels).reshape(repeats, S, n))
    rates = []
    for other, truth in ((arms[1], 0.0), (arms[2], gain)):
        D = other - arms[0]
        D = D[np.ptp(D, axis=(-2, -1)) > 0]  # where nothing differs there is neither interval nor claim
        effect, R, image, E = mean_squares(D)
        p = _equal(effect, R, image, E, S, n, gain)
        rates.append((np.abs(effect - truth) <= _half_width(R, image, E, S, n), effective_number(D) < FEW, p <= ALPHA))
    (null, _, _), (covered, few, equal) = rates
    others = covered[~few]
    return Rare(
        n,
        positives,
        level,
        S,
        false=float((~null).sum() / repeats),
        coverage=float(covered.mean()),
        warned=float(few.mean()),
        kept=float(others.mean()) if len(others) >= 50 else None,
        equal=float((equal & ~few).sum() / repeats),
        equal_marked=float(equal.sum() / repeats),
    )


def _equal(
    effect: np.ndarray, R: np.ndarray, image: np.ndarray, E: np.ndarray, S: int, n: int, margin: float
) -> np.ndarray:
    """`equivalence_p` (repeats,) of many studies."""
    distance = margin - np.abs(effect)
    se, df = standard_error(R, image, E, S, n)
    p = np.maximum(2 * stdtr(df, -np.abs(distance) / se), family_p(distance, R, image, E, S, n)) / 2
    return np.where(distance > 0, p, 1 - p)


# --- cross-validation ---

CUTS = (3, 5, 10)  # replicates, of which each cuts anew
OTHER_CUTS = 15  # that no study sees: what these images can teach
SEPARATION = 1.8  # of the two classes, in standard deviations
OWN = 1 / 3  # share of an arm's features that an arm of another view does not see
SHARED_BY_A_GROUP = 0.5  # of the variance of its images
RIDGE, WISER_RIDGE = 0.05, 3.0  # the second is closer to the truth: features do not correlate


@dataclass(frozen=True)
class Folded:
    """One design, k folds; all rates are shares of the repeats, each of which is a data set of its own.

    Linear discriminants are trained on randomly weighted images. alike: false positives of an arm of the same kind.
    unlike: of an arm that sees other features, worth as much; once: the same if folds were taken for a test set;
    paired_t, corrected_t: Student's t over replicates, and over folds with the correction of Nadeau and Bengio.
    gain: of an arm that regularizes more, mean over data sets; power: how often it is found, and if folds were taken
    for a test set. coverage: of the mean over new data sets, in the worse of unlike and gain; here: of the mean over
    new cuts and new test images, trained on these very images.
    """

    metric: str
    images: int
    sizes: str  # of groups
    features: int
    folds: int
    replicates: int
    alike: float
    unlike: float
    once: float
    paired_t: float
    corrected_t: float | None
    coverage: float
    here: float
    gain: float
    power: float
    power_once: float


def folded(n: int, features: int, k: int, *, together: bool, repeats: int, seed: int) -> Iterator[Folded]:
    """Error rates of one design, for both metrics and every number of replicates."""
    chance = np.random.default_rng(seed)
    place = _in_groups(n, chance) if together else np.arange(n)
    found: dict[tuple[str, str], list[tuple[np.ndarray, ...]]] = {}
    for start in range(0, repeats, 20):
        for name, metric, *of in _folded(chance, min(20, repeats - start), place, features, k, together):
            found.setdefault((name, metric), []).append(tuple(of))
    for metric in VALUES:
        whole = {
            name: tuple(np.concatenate(parts) for parts in zip(*found[name, metric], strict=True))
            for name in ("alike", "unlike", "gain")
        }
        for S in CUTS:
            yield _folded_row(whole, metric, S, n, features, k, "1 to 4" if together else "–")


def _folded_row(
    whole: dict[str, tuple[np.ndarray, ...]], metric: str, S: int, n: int, features: int, k: int, sizes: str
) -> Folded:
    def around(name: str, truth: np.ndarray | float, twice: bool = True) -> np.ndarray:
        D = whole[name][0][:, :S]
        effect, R, image, E = mean_squares(mutual(D) if twice else D)
        return np.abs(effect - truth) <= _half_width(R, image, E, S, D.shape[-1])

    D, _, by_fold = whole["unlike"]
    by_run, each = D[:, :S].mean(-1), by_fold[:, :S].reshape(len(D), -1)
    t = np.abs(by_run.mean(-1)) / np.maximum(by_run.std(-1, ddof=1) / math.sqrt(S), 1e-12)
    shared = np.sqrt(1 / (k * S) + 1 / (k - 1)) * each.std(-1, ddof=1)
    corrected = np.abs(each.mean(-1)) > stdtrit(k * S - 1, 1 - ALPHA / 2) * shared
    gain = float(whole["gain"][1].mean())
    return Folded(
        metric,
        n,
        sizes,
        features,
        k,
        S,
        alike=float(1 - around("alike", 0).mean()),
        unlike=float(1 - around("unlike", 0).mean()),
        once=float(1 - around("unlike", 0, twice=False).mean()),
        paired_t=float((2 * stdtr(S - 1, -t) < ALPHA).mean()),
        corrected_t=float(corrected.mean()) if metric == "accuracy" else None,
        coverage=float(min(around("unlike", 0).mean(), around("gain", gain).mean())),
        here=float(min(around(name, whole[name][1]).mean() for name in ("unlike", "gain"))),
        gain=gain,
        power=float(1 - around("gain", 0).mean()),
        power_once=float(1 - around("gain", 0, twice=False).mean()),
    )


def _in_groups(n: int, chance: np.random.Generator) -> np.ndarray:
    sizes: list[int] = []
    while sum(sizes) < n:
        sizes.append(min(int(chance.integers(1, 5)), n - sum(sizes)))
    return np.repeat(np.arange(len(sizes)), sizes)


def _folded(
    chance: np.random.Generator, repeats: int, place: np.ndarray, features: int, k: int, together: bool
) -> Iterator[tuple[str, str, np.ndarray, np.ndarray, np.ndarray]]:
    """Arm, metric; D (repeats, replicates, units), the true difference on these data (repeats,), D by fold."""
    G, own = int(place[-1]) + 1, round(OWN * features)
    label_of = (np.arange(G) % 10 < 3).astype(np.int64)
    labels, place_or_none = label_of[place], place if together else None
    shift = np.full(features + own, SEPARATION / math.sqrt(features))
    share = SHARED_BY_A_GROUP if together else 0.0
    images = math.sqrt(share) * chance.standard_normal((repeats, G, len(shift)))[:, place]
    images += math.sqrt(1 - share) * chance.standard_normal((repeats, len(place), len(shift)))
    images += labels[:, None] * shift
    seen, unseen = (_cuts(chance, repeats, S, label_of, k)[..., place] for S in (max(CUTS), OTHER_CUTS))

    def values(columns: np.ndarray, ridge: float) -> dict[str, tuple[np.ndarray, ...]]:
        x, mu = images[..., columns], shift[columns]
        scores, _, _ = _discriminants(chance, x, labels, seen, k, mu, ridge)
        _, accuracy, auc = _discriminants(chance, x, labels, unseen, k, mu, ridge)
        right = ((scores > 0) == labels).astype(np.float64)
        p = expit(scores).reshape(-1, len(place))
        of = pseudo_values("auc", np.stack([1 - p, p], -1), labels, place_or_none, seen.reshape(-1, len(place)))
        by_fold = np.stack([(right * (seen == f)).sum(-1) / (seen == f).sum(-1) for f in range(k)], -1)
        return {
            "accuracy": (group_sums(right, place) if together else right, accuracy, by_fold),
            "auc": (of.reshape(repeats, max(CUTS), -1), auc, by_fold),
        }

    usual, other = np.arange(features), np.r_[0 : features - own, features : features + own]
    baseline = values(usual, RIDGE)
    for name, columns, ridge in (("alike", usual, RIDGE), ("unlike", other, RIDGE), ("gain", usual, WISER_RIDGE)):
        for metric, found in values(columns, ridge).items():
            yield name, metric, *(mine - theirs for mine, theirs in zip(found, baseline[metric], strict=True))


def _cuts(chance: np.random.Generator, repeats: int, S: int, labels: np.ndarray, k: int) -> np.ndarray:
    """Folds (repeats, S, G) of groups, the classes spread evenly."""
    folds = np.empty((repeats, S, len(labels)), np.int64)
    for c in (0, 1):
        dealt = chance.random((repeats, S, int((labels == c).sum()))).argsort(-1) % k
        folds[..., labels == c] = dealt if c else k - 1 - dealt
    return folds


def _discriminants(
    chance: np.random.Generator,
    x: np.ndarray,
    labels: np.ndarray,
    folds: np.ndarray,
    k: int,
    shift: np.ndarray,
    ridge: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images (repeats, n, p) and folds (repeats, S, n) -> scores (repeats, S, n) and true accuracy and AUC (repeats,).

    Out-of-fold scores, above 0 for class 1; of new images, mean over folds and replicates. Each discriminant is trained
    on the images of the other folds, weighted at random: what the chance of a training run is here.
    """
    p = x.shape[-1]
    above = np.triu_indices(p)
    moments = np.concatenate([np.ones((*x.shape[:2], 1)), x, x[..., above[0]] * x[..., above[1]]], -1)
    scores, accuracy, auc = np.empty(folds.shape), [], []
    for fold in range(k):
        weights = chance.exponential(size=folds.shape) * (folds != fold)
        ones, zeros = (weights * labels) @ moments, (weights * (1 - labels)) @ moments
        many1, many0 = ones[..., :1], zeros[..., :1]
        mean1, mean0 = ones[..., 1 : p + 1] / many1, zeros[..., 1 : p + 1] / many0
        within = np.empty((*folds.shape[:2], p, p))
        within[..., above[0], above[1]] = within[..., above[1], above[0]] = (ones + zeros)[..., p + 1 :]
        for many, mean in ((many1, mean1), (many0, mean0)):
            within -= many[..., None] * mean[..., None] * mean[..., None, :]
        within /= (many1 + many0)[..., None]
        w = np.linalg.solve(within + ridge * np.eye(p), (mean1 - mean0)[..., None])[..., 0] * (1 + ridge)
        b = np.log(many1 / many0)[..., 0] - (w * (mean1 + mean0)).sum(-1) / 2
        np.copyto(scores, w @ np.swapaxes(x, 1, 2) + b[..., None], where=folds == fold)
        length, between = np.sqrt((w**2).sum(-1)), (w * shift).sum(-1)
        positives = labels.mean()
        accuracy.append(positives * ndtr((between + b) / length) + (1 - positives) * ndtr(-b / length))
        auc.append(ndtr(between / length / math.sqrt(2)))
    return scores, np.mean(accuracy, axis=(0, 2)), np.mean(auc, axis=(0, 2))


def _images_only(D: np.ndarray, metric: str, chance: np.random.Generator) -> np.ndarray:
    """Whether resampling images alone, replicates pooled, calls a difference (repeats,)."""
    _, S, n = D.shape
    if metric == "auc":
        pooled = D.mean(1)
        z = pooled.mean(-1) / (pooled.std(-1, ddof=1) / math.sqrt(n))
        return 2 * ndtr(-np.abs(z)) < ALPHA
    sums = D.sum(1).astype(int)  # (repeats, n), -S ... S: a bootstrap draw is a multinomial of these
    steps = np.arange(-S, S + 1)
    found = []
    for row in sums:
        shares = np.bincount(row + S, minlength=2 * S + 1) / n
        means = chance.multinomial(n, shares, size=BOOTSTRAP_DRAWS) @ steps
        low, high = np.quantile(means, [ALPHA / 2, 1 - ALPHA / 2])
        found.append(low > 0 or high < 0)
    return np.array(found)


def _any_significant(p: list[np.ndarray]) -> np.ndarray:
    """Holm rejects something exactly if the smallest p times their number is at most alpha."""
    return np.min(p, axis=0) * len(p) <= ALPHA


def _normal(chance: np.random.Generator, *shape: int) -> np.ndarray:
    return chance.standard_normal(shape, dtype=np.float32)


HEADS = {
    "metric": "metric",
    "moved": "images moved",
    "images": "n",
    "replicates": "S",
    "crossed": "crossed",
    "family": "family p",
    "paired_t": "paired t",
    "one_run": "one run",
    "images_only": "images only",
    "coverage": "coverage",
    "power": "power",
    "announced": "announced",
    "holm": "Holm",
    "holm_plain": "Holm, plain p",
    "sizes": "sizes of groups",
    "effect": "images of a group alike",
    "by_image": "each image a patient",
    "by_group": "groups",
    "tau": "tau",
    "together": "replicates together",
    "alone": "one arm",
    "independent": "t over data sets",
    "independent_holm": "t over data sets, Holm",
    "tests": "arms",
    "low": "from",
    "estimated": "estimated",
    "high": "to",
    "real_estimated": "real power at estimated",
    "real_high": "real power at to",
    "kept": "kept",
    "positives": "positives",
    "level": "AUC",
    "false": "false positives",
    "warned": "marked",
    "features": "features",
    "folds": "folds",
    "alike": "alike",
    "unlike": "unlike",
    "once": "unlike, as a test set",
    "power_once": "power, as a test set",
    "corrected_t": "corrected t",
    "here": "coverage, these data",
    "gain": "gain",
    "margin": "margin",
    "across": "groups in both",
    "share": "share",
    "one_of_two": "one of two",
    "ece": "calibration error",
    "brier": "Brier score",
    "log_loss": "log loss",
    "pr_auc": "PR-AUC",
    "one_null": "no difference",
    "point": "threshold for",
    "validation": "validation images",
    "sensitivity": "sensitivity",
    "sensitivity_called": "called different",
    "sensitivity_fixed": "fixed",
    "sensitivity_covers": "coverage",
    "specificity": "specificity",
    "specificity_called": "called different, specificity",
    "specificity_fixed": "fixed, specificity",
    "specificity_covers": "coverage, specificity",
    "measure": "measure",
    "true": "true difference",
    "found": "found",
    "plain": "plain p",
    "random_holm": "random effects, Holm",
    "own": "own variation",
    "equal": "equivalent",
    "equal_marked": "equivalent, with marked ones",
    "theirs": "S of the other side",
    "paired": "paired as they come",
    "power_paired": "power, paired",
}

Table = tuple[type, Iterator[object]]


def line(row: object) -> str:
    """A row of the Markdown table; rates in percent, differences in points."""

    def cell(name: str, value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        if name == "together":
            return f"{value}"
        if isinstance(value, float):
            return f"{round(100 * value, 1) + 0:.1f}"  # 0.0, not -0.0
        return "–" if value is None else str(value)

    return "| " + " | ".join(cell(name, value) for name, value in vars(row).items()) + " |"


def table(name: str, *, repeats: int, small: bool) -> Table:
    """What a row is, and the rows."""
    sizes = (156,) if small else (156, 624, 7180)
    how = {"repeats": repeats}
    if name == "errors":
        designs = product(VALUES, (False, True), sizes, (3, 5, 10))
        return Row, (simulate(m, moved, n, S, seed=n * 100 + S, **how) for m, moved, n, S in designs)
    if name == "two":
        of_two_replicates = [of for of in product(VALUES, (False, True), sizes) if (of[0], of[2]) != ("auc", 7180)]
        return Two, (two(m, moved, n, seed=n * 100 + 2, **how) for m, moved, n in of_two_replicates)
    if name == "groups":
        few = [("accuracy", *g) for g in product(("1 to 4", "20", "66 of 181"), (False, True), (3, 5, 10))]
        if not small:
            few += [("auc", *g) for g in product(("1 to 4", "20", "66 of 181"), (False, True), (5,))]
        return Grouped, (grouped(m, kind, e, S, seed=S, **how) for m, kind, e, S in few)
    if name == "across":
        studies = product((2, 3, 5, 10), (0.0, 0.01), (0.0, 0.1, 0.5, 1.0))
        return OverSets, (over_sets(S, tau, rho, seed=S, **how) for S, tau, rho in studies)
    if name == "announced":
        said = product(("accuracy",), (True,), sizes, (2, 3, 5, 10), (1, NULL_ARMS))
        return Announced, (announced(m, v, n, S, k, seed=n + S, **how) for m, v, n, S, k in said)
    if name == "forecasts":
        pairs_ = product((156,) if small else (156, 624), (3, 5, 10))
        return Forecast, (forecast(n, S, seed=n + S, **how) for n, S in pairs_)
    if name == "thresholds":
        at: tuple[Point, ...] = (("sensitivity", 0.95), ("specificity", 0.9), "youden")
        few_ = ((1, 78, 156),) if small else ((1, 78, 156), (1, 524, 624), (4, 312, 624))
        asked = product(at, few_, (3, 5, 10))
        return Threshold, (chosen(q, g, v, n, S, seed=n + S, **how) for q, (g, v, n), S in asked)
    if name == "equivalence":
        many: list[tuple[str, str, int, float, float]] = [("accuracy", "–", 624, 0.05, 1.0)]
        if not small:
            many += [(m, "–", n, d, 1.0) for m, n, d in (("accuracy", 156, 0.05), ("accuracy", 7180, 0.02))]
            many += [("auc", "–", 624, 0.05, 1.0), *(("auc", "–", 156, 0.02, own) for own in (1.0, LITTLE))]
            grouped_sizes = ("accuracy", "20", 1200, 0.05), ("accuracy", "1 to 4", 150, 0.1), ("auc", "20", 1200, 0.05)
            many += [(*of, 1.0) for of in grouped_sizes]
        rows_ = product(many, (2, 3, 5, 10))
        return Equivalence, (equivalence(m, g, n, S, d, own, seed=n + S, **how) for (m, g, n, d, own), S in rows_)
    if name == "unpaired":
        of_two = ((3, 3),) if small else ((2, 2), (3, 3), (10, 10), (3, 10), (10, 3), (2, 10))
        sides = product(VALUES, (False, True), (156,) if small else (156, 624), of_two)
        return Apart, (unpaired_runs(m, v, n, S, T, seed=n + 10 * S + T, **how) for m, v, n, (S, T) in sides)
    if name == "subgroups":
        shapes = [("–", True, 0.5), ("–", True, 0.1), ("1 to 4", False, 0.5), ("1 to 4", True, 0.5), ("20", False, 0.3)]
        return Parted, (parted(*g, S, seed=S, **how) for g, S in product(shapes[: 1 if small else None], (3, 10)))
    if name == "measures":
        each = product(MODELS, ("1 to 4",) if small else ("–", "1 to 4", "20"), (3,) if small else (3, 10))
        return Measured, chain.from_iterable(measured(of, g, S, seed=S, **how) for of, g, S in each)
    if name == "folds":
        cut = [(100, 12, 5, False), (100, 12, 10, False), (100, 30, 5, False), (300, 12, 5, False), (300, 12, 5, True)]
        rows = (folded(n, p, k, together=g, seed=n + p + k, **how) for n, p, k, g in cut[: 1 if small else None])
        return Folded, chain.from_iterable(rows)
    auc = product(((156, 10), (156, 40), (624, 40)), (0.85, 0.95, 0.985), (5, 10))
    return Rare, (rare(n, k, level, S, seed=n + S, **how) for (n, k), level, S in auc)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = [
        "errors",
        "two",
        "groups",
        "across",
        "announced",
        "rare",
        "folds",
        "equivalence",
        "forecasts",
        "thresholds",
        "subgroups",
        "measures",
        "unpaired",
    ]
    parser.add_argument("table", nargs="?", choices=names, default="errors", help="which table (default: errors)")
    parser.add_argument("--repeats", type=int, default=1000, help="simulated studies per design")
    parser.add_argument("--small", action="store_true", help="one image count, in seconds")
    arguments = parser.parse_args()
    start = time.perf_counter()
    kind, rows = table(arguments.table, repeats=arguments.repeats, small=arguments.small)
    heads = [HEADS[field.name] for field in fields(kind)]
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for row in rows:
        print(line(row), flush=True)
    error = 100 * math.sqrt(ALPHA * (1 - ALPHA) / arguments.repeats)
    print(
        f"\nPercent of {arguments.repeats} simulated studies a row; a true 5 % is known to "
        f"+- {error:.1f} (one standard error) or better. {time.perf_counter() - start:.0f} s."
    )


if __name__ == "__main__":
    main()
