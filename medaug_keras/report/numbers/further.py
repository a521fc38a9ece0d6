"""Further test sets: what every arm does on images that differ from those of the data set, beside its own test images.

A corrupted test set has every test image once for each corruption. The score of a run is the mean over corruptions of
the metric, so one value for each image (or group) is the mean of its values over corruptions, and the crossed analysis
of replicates and images holds as it does on the test images: an image enters once, with all that became of it.

On images from elsewhere the metric and its analysis are those of the test images. They are other images than these, so
how far a score is from that on the test images has no interval.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.report.numbers.inference import Cell, Comparison, Inference, corrected, predicted, tried_on
from medaug_keras.report.numbers.results import Group
from medaug_keras.spec import Corruptions, Further
from medaug_keras.stats import Crossed, Estimate, estimate, paired, pseudo_values, why_undefined

Values = dict[int, NDArray[np.float64]]
"""Replicate → (n,) one value for each image or group, whose mean is the metric."""

WORDS = {
    "noise": "Gaussian noise",
    "shot_noise": "shot noise",
    "impulse_noise": "salt-and-pepper noise",
    "blur": "blur",
    "brightness": "brightness",
    "contrast": "low contrast",
    "jpeg": "JPEG compression",
}
"""Corruption → how it is called in a sentence."""
OTHER_IMAGES = "no interval: these are other images"


@dataclass
class Tried:
    """One arm on one further test set, on the primary metric.

    images, units: test images, and groups of them where there are groups.
    runs: replicate → the metric, of corruptions the mean; of_kind: corruption → the metric of every replicate.
    change: the metric there less that on the test images, of the same networks; of the same images where they are
        corrupted, else without an interval.
    difference: to the baseline; None of the baseline itself.
    """

    group: Group
    name: str
    images: int = 0
    units: int | None = None
    values: Values = field(default_factory=dict)
    of_kind: dict[str, list[float]] = field(default_factory=dict)
    pixels: dict[str, float] = field(default_factory=dict)
    """Corruption → mean absolute difference that it makes, of 255."""
    change: Crossed | None = None
    difference: Comparison | None = None
    less_baseline: list[float] = field(default_factory=list)
    """Of each replicate that both have."""
    reason: str = ""
    """Why values are missing."""

    @property
    def runs(self) -> Mapping[int, float]:
        """Replicate → the score."""
        return {s: float(one.mean()) for s, one in self.values.items()}

    @property
    def score(self) -> Estimate:
        """Mean and spread over replicates."""
        return estimate(list(self.runs.values()), planned=len(self.group.runs))

    def of_corruption(self, kind: str) -> Estimate:
        """The same on one corruption."""
        return estimate(self.of_kind.get(kind, []), planned=len(self.group.runs))


def corruption_words(part: Corruptions) -> list[str]:
    """The corruptions of a test set, as sentences name them."""
    return [WORDS[kind] for kind in part.kinds]


def further_tests(inference: Inference) -> Mapping[tuple[Cell, str], Tried]:
    """Every arm on every further test set of its data set.

    p is corrected over the arms of each test set (Holm), and over as many as were ever compared on the data set.
    """
    results = inference.results
    found: dict[tuple[Cell, str], Tried] = {}
    for dataset, name in results.further_tests:
        part = results.study.datasets[dataset].tests[name]
        here = {
            cell: _tried(inference, group, name, part) for cell, group in results.groups.items() if cell[0] == dataset
        }
        base = here.get((dataset, *results.reference))
        others = [one for one in here.values() if base is not None and one is not base]
        compared = [_compared(inference, one, base) for one in others if base is not None]
        for one, comparison in zip(others, corrected(compared, results.largest_family(dataset)), strict=True):
            one.difference = comparison
            one.less_baseline = [run - base.runs[s] for s, run in one.runs.items() if base and s in base.runs]
        found |= {(cell, name): one for cell, one in here.items()}
    return found


def _tried(inference: Inference, group: Group, name: str, part: Further) -> Tried:
    results = inference.results
    kinds: Sequence[str] = part.kinds if isinstance(part, Corruptions) else ("test",)
    metric: Any = results.study.primary
    one = Tried(group, name, reason=_reason(group, name))
    for run in group.runs:
        record = tried_on(run, name)
        if record is None:
            continue
        labels, groups, p = predicted(record, results.select, kinds)
        one.images, one.units = len(labels), None if groups is None else len(np.unique(groups))
        one.pixels = dict(record.values["pixels_changed"])
        undefined = why_undefined(metric, labels, p.shape[-1], groups)
        if undefined is not None:
            one.reason = undefined
            continue
        of_kinds = pseudo_values(metric, p, labels, groups)
        one.values[run.replicate] = of_kinds.mean(axis=0)
        for kind, of_images in zip(kinds, of_kinds, strict=True):
            one.of_kind.setdefault(kind, []).append(float(of_images.mean()))
    own = inference.values(group, metric)
    if isinstance(part, Corruptions):
        one.change = inference.analysis(paired(one.values, own), group)
    else:
        both = sorted(one.values.keys() & own.keys())
        apart = [one.runs[replicate] - float(own[replicate].mean()) for replicate in both]
        reason = OTHER_IMAGES if apart else one.reason
        one.change = Crossed(
            float(np.mean(apart)) if apart else None, len(apart), len(group.runs), one.images, reason=reason
        )
    return one


def _reason(group: Group, name: str) -> str:
    """Why a replicate was not tried on a test set: the first such reason; empty where all were."""
    outcomes = [run.tests[name] for run in group.runs if name in run.tests]
    return next((f"{one.state}: {one.reason}" for one in outcomes if one.record is None), "")


def _compared(inference: Inference, one: Tried, base: Tried) -> Comparison:
    images = None if one.units is None else one.images
    result = inference.elsewhere(paired(one.values, base.values), one.group, images=images)
    if result.effect is None and (reason := one.reason or base.reason):
        result = replace(result, reason=reason)
    return Comparison(one.group, base.group, inference.results.study.primary, result, margin=inference.margin)
