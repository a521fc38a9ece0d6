"""Are the tests of `medaug_keras.stats` honest? Error rates by simulation, as a Markdown table.

    python -m benchmarks.statistics [--repeats N] [--small] [--detectable]

Probit model. Each test image has a difficulty that all arms share; an arm may move single images
up or down without moving their average; each training run has a level of its own, with a standard
deviation of 1 point of the metric; what is left is noise per run and image. There are a baseline, nine
arms that truly do nothing on average, and one arm that gains 3 points.

With --detectable another table: how often a gain is found that is as large as the smallest detectable
difference which studies of that design announce.
"""

import argparse
import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from medaug_keras.stats import (
    Components,
    detectable_difference,
    family_p,
    mean_squares,
    power_to_detect,
    pseudo_values,
    standard_error,
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
    holm_plain: float  # the same on p


def accuracy_values(
    chance: np.random.Generator,
    repeats: int,
    S: int,
    n: int,
    moved_sd: float,
    gains: Sequence[float] = GAINS,
) -> Iterator[np.ndarray]:
    """Correctness (repeats, S, n) of the baseline, then of an arm for each gain."""
    image_sd = math.sqrt(1 + DIFFICULTY_SD**2 + moved_sd**2)
    slope = math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)
    run_sd = RUN_SD / slope * image_sd
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    for level in (LEVEL, *(LEVEL + gain for gain in gains)):
        latent = difficulty + _normal(chance, repeats, 1, n) * moved_sd
        latent = latent + _normal(chance, repeats, S, 1) * run_sd + _normal(chance, repeats, S, n)
        yield (latent > -ndtri(level) * math.hypot(image_sd, run_sd)).astype(np.float64)


def auc_values(
    chance: np.random.Generator,
    repeats: int,
    S: int,
    n: int,
    moved_sd: float,
    gains: Sequence[float] = GAINS,
) -> Iterator[np.ndarray]:
    """The same as pseudo-values of AUC (repeats, S, n); a run's level moves the positives' scores."""
    image_sd = math.sqrt(2 * (1 + DIFFICULTY_SD**2 + moved_sd**2))  # of a positive less a negative
    slope = math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)
    run_sd = RUN_SD / slope * image_sd
    labels = (np.arange(n) < round(POSITIVES * n)).astype(np.int64)
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    for level in (LEVEL, *(LEVEL + gain for gain in gains)):
        lift = ndtri(level) * math.hypot(image_sd, run_sd) + _normal(chance, repeats, S, 1) * run_sd
        scores = difficulty + _normal(chance, repeats, 1, n) * moved_sd + labels * lift
        scores = ndtr(scores + _normal(chance, repeats, S, n)).reshape(-1, n)
        both = np.stack([1 - scores, scores], -1)  # (repeats * S, n, 2)
        yield pseudo_values("auc", both, labels).reshape(repeats, S, n)


VALUES = {"accuracy": accuracy_values, "auc": auc_values}


def simulate(metric: str, moved: bool, n: int, S: int, *, repeats: int, seed: int) -> Row:
    """Error rates of one design."""
    chance = np.random.default_rng(seed)
    chunk = max(1, min(repeats, 1_000_000 // (S * n)))
    counts: list[dict[str, np.ndarray]] = []
    for start in range(0, repeats, chunk):
        arms = VALUES[metric](chance, min(chunk, repeats - start), S, n, MOVED_SD if moved else 0.0)
        baseline = next(arms)
        null = [_decisions(next(arms) - baseline, metric, chance, resample=i == 0) for i in range(NULL_ARMS)]
        gain = _decisions(next(arms) - baseline, metric, chance, gained=True)
        counts.append(
            {key: np.concatenate([d[key] for d in null]) < ALPHA for key in ("p", "t", "one_run")}
            | {"family": np.concatenate([d["p_family"] for d in null]) < ALPHA}
            | {"images_only": null[0]["images_only"]}
            | {"holm": _any_significant([d["p_family"] for d in null])}
            | {"holm_plain": _any_significant([d["p"] for d in null])}
            | {"coverage": np.abs(gain["effect"] - GAIN) <= gain["half_width"]}
            | {"power": gain["p"] < ALPHA, "announced": gain["announced"]}
        )
    rate = {key: float(np.concatenate([c[key] for c in counts]).mean()) for key in counts[0]}
    return Row(
        metric,
        moved,
        n,
        S,
        crossed=rate["p"],
        family=rate["family"],
        paired_t=rate["t"],
        one_run=rate["one_run"],
        images_only=rate["images_only"],
        coverage=rate["coverage"],
        power=rate["power"],
        announced=rate["announced"],
        holm=rate["holm"],
        holm_plain=rate["holm_plain"],
    )


def _decisions(
    D: np.ndarray, metric: str, chance: np.random.Generator, *, resample: bool = False, gained: bool = False
) -> dict[str, np.ndarray]:
    """(repeats, S, n) differences -> what each method says of them, (repeats,) each."""
    _, S, n = D.shape
    effect, replicate, image, residual = mean_squares(D)
    se, df = standard_error(replicate, image, residual, S, n)
    p = 2 * stdtr(df, -np.abs(effect) / se)
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
        "p": p,
        "half_width": stdtrit(df, 1 - ALPHA / 2) * se,
        "p_family": np.maximum(p, family_p(effect, replicate, image, residual, S, n)),
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


@dataclass(frozen=True)
class Detectable:
    """One design: the smallest difference that is announced as found with 80 % power, and how often it is found."""

    metric: str
    moved: bool
    images: int
    replicates: int
    alone: float  # announced for one comparison, median over studies
    found_alone: float | None  # share of studies in which a true gain of that size has p < 5 %; None beyond 100 %
    corrected: float  # announced for the verdict among nine arms
    found_corrected: float | None


def detectable(metric: str, moved: bool, n: int, S: int, *, repeats: int, seed: int, asked: int = 200) -> Detectable:
    """What `asked` studies of a design announce, and what `repeats` studies with such a gain find."""
    chance = np.random.default_rng(seed)
    announced: dict[int, list[float]] = {1: [], NULL_ARMS: []}
    for D in _differences(metric, moved, n, S, 0.0, chance, asked):
        _, R, image, E = mean_squares(D)
        for v in _variances(R, image, E, S, n):
            for tests, found in announced.items():
                found.append(detectable_difference(v, S, n, alpha=ALPHA, tests=tests))
    sizes = {tests: float(np.median(found)) for tests, found in announced.items()}
    rates: dict[int, float | None] = {}
    for tests, size in sizes.items():
        if LEVEL + size > 0.999:
            rates[tests] = None
            continue
        p = []
        for D in _differences(metric, moved, n, S, size, chance, repeats):
            effect, R, image, E = mean_squares(D)
            se, df = standard_error(R, image, E, S, n)
            plain = 2 * stdtr(df, -np.abs(effect) / se)
            p.append(plain if tests == 1 else np.maximum(plain, family_p(effect, R, image, E, S, n)))
        rates[tests] = float((np.concatenate(p) <= ALPHA / tests).mean())
    return Detectable(metric, moved, n, S, sizes[1], rates[1], sizes[NULL_ARMS], rates[NULL_ARMS])


def _differences(
    metric: str, moved: bool, n: int, S: int, gain: float, chance: np.random.Generator, repeats: int
) -> Iterator[np.ndarray]:
    """D (some, S, n) of an arm that gains this much, until there are enough studies."""
    chunk = max(1, min(repeats, 1_000_000 // (S * n)))
    for start in range(0, repeats, chunk):
        some = min(chunk, repeats - start)
        baseline, arm = VALUES[metric](chance, some, S, n, MOVED_SD if moved else 0.0, (gain,))
        yield arm - baseline


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
    "alone": "detectable alone",
    "found_alone": "found",
    "corrected": "detectable, nine arms",
    "found_corrected": "found",
}


def line(row: Row | Detectable) -> str:
    """A row of the Markdown table; rates in percent, differences in points."""

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{100 * value:.1f}" if isinstance(value, float) else "–" if value is None else str(value)

    return "| " + " | ".join(cell(value) for value in vars(row).values()) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000, help="simulated studies per design")
    parser.add_argument("--small", action="store_true", help="one image count, in seconds")
    parser.add_argument("--detectable", action="store_true", help="plant what is announced as detectable instead")
    arguments = parser.parse_args()
    start = time.perf_counter()
    sizes = (156,) if arguments.small else (156, 624, 7180)
    make, kind = (detectable, Detectable) if arguments.detectable else (simulate, Row)
    heads = [HEADS[field.name] for field in fields(kind)]
    print("| " + " | ".join(heads) + " |")
    print("|---" * len(heads) + "|")
    for metric, moved, n, S in product(VALUES, (False, True), sizes, (3, 5, 10)):
        print(line(make(metric, moved, n, S, repeats=arguments.repeats, seed=n * 100 + S)), flush=True)
    error = 100 * math.sqrt(ALPHA * (1 - ALPHA) / arguments.repeats)
    print(
        f"\nPercent of {arguments.repeats} simulated studies a row; a true 5 % is known to "
        f"+- {error:.1f} (one standard error) or better. {time.perf_counter() - start:.0f} s."
    )


if __name__ == "__main__":
    main()
