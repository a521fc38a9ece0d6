"""Before a study runs: which differences it could show, from variances that are known from elsewhere.

Variances of one image's difference hardly depend on which arms are compared, and carry over to other numbers of
replicates and test images. They are taken from the first of these that knows any: the study's own runs, other studies
of the same data in the results folder, and those that are shipped with the program (`typical.json`).
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from statistics import fmean

from medaug_keras.report.format import together
from medaug_keras.report.numbers.inference import ALPHA, Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.stats import (
    Components,
    Crossed,
    Range,
    detectable_difference,
    replicates_needed,
    variance_limits,
)

TYPICAL = Path(__file__).with_name("typical.json")
"""Variances of the project's own studies, by data set and metric; made by `python -m benchmarks.typical`."""


@dataclass(frozen=True)
class Precedent:
    """What finished runs say of the variances of a difference: mean squares, averaged over their comparisons."""

    named: str
    """In words: whose runs these are."""
    result: Crossed

    @property
    def limits(self) -> tuple[Components, ...]:
        """Variances at the lower and the upper 90 % limit; none where runs did not vary."""
        return variance_limits(self.result) or ()


@dataclass(frozen=True)
class Prospect:
    """What one data set of a study could show, by the corrected verdict, with 80 % power. Differences are fractions.

    images: test images, or groups of them where records name those.
    arms: comparisons with the baseline that are corrected together.
    detectable: smallest true difference found with the planned replicates; None with one replicate, or no precedent.
    difference, fewest, most: replicates that show this difference, at the lower and upper limits of the variances;
        None where no number does.
    """

    dataset: str
    precedents: tuple[Precedent, ...]
    images: int
    replicates: int
    arms: int
    detectable: Range | None
    difference: float
    fewest: int | None
    most: int | None

    @property
    def source(self) -> str:
        """Where the variances are from."""
        return together(dict.fromkeys(one.named for one in self.precedents))


def prospects(
    results: Results, inference: Inference, others: Iterable[Inference] = (), *, difference: float | None = None
) -> list[Prospect]:
    """One for each data set. `difference` is the wanted one: by default the study's margin, or 1 point."""
    study, others = results.study, list(others)
    wanted = difference or (0.01 if study.margin is None else study.margin / 100)
    found = []
    for dataset in results.datasets:
        there = _own(inference, dataset) or _elsewhere(results, others, dataset) or _shipped(results, dataset)
        arms = len([pair for pair in results.variants(dataset) if pair != results.reference])
        _, groups = inference.grouped.get(dataset, (0, 0))
        images = groups or _tested(results, dataset)
        limits = tuple(dict.fromkeys(v for one in there for v in one.limits))
        sizes, needed = _outlook(limits, images, results.replicates, max(arms, 1), wanted)
        found.append(Prospect(dataset, there, images, results.replicates, arms, sizes, wanted, *needed))
    return found


def _tested(results: Results, dataset: str) -> int:
    """Test images; with folds, every image is one."""
    source = results.plan.sources[dataset]
    return source.train + source.validation + source.test if results.folds(dataset) else source.test


@cache
def _outlook(
    limits: tuple[Components, ...], images: int, S: int, arms: int, wanted: float
) -> tuple[Range | None, tuple[int | None, int | None]]:
    """The detectable differences, and the fewest and most replicates that show the wanted one."""
    if not limits or images < 2 or not arms:
        return None, (None, None)
    sizes = [detectable_difference(v, S, images, alpha=ALPHA, tests=arms) for v in limits] if S > 1 else []
    needed = [replicates_needed(wanted, v, images, alpha=ALPHA, tests=arms) for v in limits]
    known = [one for one in needed if one is not None]
    most = max(known) if len(known) == len(needed) else None
    return Range(min(sizes), max(sizes)) if sizes else None, (min(known, default=None), most)


def _own(inference: Inference, dataset: str) -> tuple[Precedent, ...]:
    found = averaged(inference, dataset, inference.results.study.primary)
    return () if found is None else (Precedent(f"this study's first {found.replicates} replicates", found),)


def _elsewhere(results: Results, others: Sequence[Inference], dataset: str) -> tuple[Precedent, ...]:
    """From other studies in the results folder of the very same test images."""
    found = []
    for other in others:
        for name, task in other.results.plan.data.items():
            if task == results.plan.data[dataset]:
                there = averaged(other, name, results.study.primary)
                if there is not None:
                    words = f"the study {other.results.study.name}, {there.replicates} replicates"
                    found.append(Precedent(words, there))
    return tuple(found)


def averaged(inference: Inference, dataset: str, metric: str) -> Crossed | None:
    """One analysis with the mean squares of all comparisons of a data set that have the most replicates."""
    base = inference.results.baseline(dataset)
    if base is None:
        return None
    tested = [
        c
        for cell, group in inference.results.groups.items()
        if cell[0] == dataset
        and group is not base
        and (c := inference.compare(group, base, metric).result).mean_squares is not None
    ]
    most = max((c.replicates for c in tested), default=0)
    parts = [c.mean_squares for c in tested if c.replicates == most and c.mean_squares is not None]
    if not parts:
        return None
    mean = Components(*(fmean(getattr(p, name) for p in parts) for name in ("replicate", "image", "residual")))
    return replace(next(c for c in tested if c.replicates == most), mean_squares=mean)


def _shipped(results: Results, dataset: str) -> tuple[Precedent, ...]:
    """Of the same published set where it is among those shipped, else of all of them."""
    every = json.loads(TYPICAL.read_text("utf-8"))["datasets"]
    section = results.study.datasets[dataset]
    name = (getattr(section, "name", None) or dataset) if section.kind == "medmnist" else ""
    chosen = {name: every[name]} if name in every else every
    found = []
    for one, values in chosen.items():
        squares = Components(**values["mean_squares"][results.study.primary])
        if results.folds(dataset):  # their variance between images counts twice
            squares = replace(squares, image=max(2 * squares.image - squares.residual, squares.image))
        S = values["replicates"]
        result = Crossed(None, replicates=S, planned=S, images=values["images"], mean_squares=squares)
        found.append(Precedent(f"{results.title_of(one)} (shipped)", result))
    return tuple(found)
