"""Are the tests of `medaug_keras.stats` honest? Error rates by simulation, as a Markdown table.

    python -m benchmarks.statistics [--repeats N] [--small]

Probit model. Each test image has a difficulty that all arms share; an arm may move single images
up or down without moving their average; each training run has a level of its own, with a standard
deviation of 1 point of the metric; what is left is noise per run and image. There are a baseline, nine
arms that truly do nothing on average, and one arm that gains 3 points.
"""

import argparse
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, fields
from itertools import product

import numpy as np
from scipy.special import ndtr, ndtri, stdtr, stdtrit

from medaug_keras.stats import (
    Components,
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


def accuracy_values(chance: np.random.Generator, repeats: int, S: int, n: int, moved_sd: float) -> Iterator[np.ndarray]:
    """Correctness (repeats, S, n) of the baseline, the null arms, the arm with the gain."""
    image_sd = math.sqrt(1 + DIFFICULTY_SD**2 + moved_sd**2)
    slope = math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)
    run_sd = RUN_SD / slope * image_sd
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    for level in [LEVEL] * (1 + NULL_ARMS) + [LEVEL + GAIN]:
        latent = difficulty + _normal(chance, repeats, 1, n) * moved_sd
        latent = latent + _normal(chance, repeats, S, 1) * run_sd + _normal(chance, repeats, S, n)
        yield (latent > -ndtri(level) * math.hypot(image_sd, run_sd)).astype(np.float64)


def auc_values(chance: np.random.Generator, repeats: int, S: int, n: int, moved_sd: float) -> Iterator[np.ndarray]:
    """Pseudo-values of AUC (repeats, S, n); a run's level moves the positives' scores."""
    image_sd = math.sqrt(2 * (1 + DIFFICULTY_SD**2 + moved_sd**2))  # of a positive less a negative
    slope = math.exp(-(ndtri(LEVEL) ** 2) / 2) / math.sqrt(2 * math.pi)
    run_sd = RUN_SD / slope * image_sd
    labels = (np.arange(n) < round(POSITIVES * n)).astype(np.int64)
    difficulty = _normal(chance, repeats, 1, n) * DIFFICULTY_SD
    for level in [LEVEL] * (1 + NULL_ARMS) + [LEVEL + GAIN]:
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
    variances = [
        Components(max((r - e) / n, 0.0), max((i - e) / S, 0.0), e) for r, i, e in zip(R, image, E, strict=True)
    ]
    return np.array([power_to_detect(GAIN, v, S, n, alpha=ALPHA) for v in variances])


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
}


NAMES = [field.name for field in fields(Row)]


def line(row: Row) -> str:
    """A row of the Markdown table; rates in percent."""

    def cell(value: object) -> str:
        if isinstance(value, bool):
            return "yes" if value else "no"
        return f"{100 * value:.1f}" if isinstance(value, float) else str(value)

    return "| " + " | ".join(cell(getattr(row, name)) for name in NAMES) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=1000, help="simulated studies per design")
    parser.add_argument("--small", action="store_true", help="one image count, in seconds")
    arguments = parser.parse_args()
    start = time.perf_counter()
    sizes = (156,) if arguments.small else (156, 624, 7180)
    print("| " + " | ".join(HEADS[name] for name in NAMES) + " |")
    print("|---" * len(NAMES) + "|")
    for metric, moved, n, S in product(VALUES, (False, True), sizes, (3, 5, 10)):
        print(line(simulate(metric, moved, n, S, repeats=arguments.repeats, seed=n * 100 + S)), flush=True)
    error = 100 * math.sqrt(ALPHA * (1 - ALPHA) / arguments.repeats)
    print(
        f"\nPercent of {arguments.repeats} simulated studies a row; a true 5 % is known to "
        f"+- {error:.1f} (one standard error) or better. {time.perf_counter() - start:.0f} s."
    )


if __name__ == "__main__":
    main()
