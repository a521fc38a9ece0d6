"""Measures besides the study's own, each less the baseline's: exploratory, from the predictions kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medaug_keras.report.numbers.inference import Cell, Inference, Predictions
from medaug_keras.report.numbers.results import Group
from medaug_keras.stats import Crossed, Estimate, benjamini_hochberg, crossed, estimate, paired

Values = dict[str, dict[int, NDArray[np.float64]]]
"""Measure → replicate → (n,), one value an image or a group, whose mean is the measure."""


@dataclass
class Measured:
    """One arm on one data set.

    means: measure → of every replicate; reasons: why there are none.
    differences: measure → the crossed analysis of the difference to the baseline; rates: its p, corrected.
    """

    group: Group
    means: dict[str, list[float]] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)
    differences: dict[str, Crossed] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)

    def estimate(self, measure: str) -> Estimate:
        """Mean and spread over the replicates."""
        return estimate(self.means[measure], planned=len(self.group.runs))


def compare(
    inference: Inference,
    here: Mapping[Cell, tuple[Measured, Values]],
    base: Values | None,
    *,
    there: Predictions | None = None,
) -> None:
    """Fill in the differences of every measure of the arms of a data set to the baseline's values.

    `there`: what some arm says of the images, where these are of a test set from elsewhere.
    """
    for cell, (one, values) in here.items():
        if base is None or cell[1:] == inference.results.reference:
            continue
        images, _ = inference.grouped.get(cell[0], (None, None))
        if there is not None:
            images = None if there.groups is None else len(there.labels)
        for measure in one.means:
            result = crossed(
                paired(values[measure], base[measure]),
                folds=there is None and cell[0] in inference.folded,
                images=images,
                planned=len(one.group.runs),
            )
            if result.effect is None and measure in one.reasons:
                result = replace(result, reason=one.reasons[measure])
            one.differences[measure] = result


def correct(found: Collection[Measured]) -> None:
    """Fill in p of all differences, corrected over all of them (Benjamini and Hochberg)."""
    tests = [(one, measure) for one in found for measure in one.differences]
    rates = benjamini_hochberg([one.differences[measure].p_family for one, measure in tests])
    for (one, measure), rate in zip(tests, rates, strict=True):
        one.rates[measure] = rate
