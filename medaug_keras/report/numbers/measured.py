"""Measures besides the study's own, each less the baseline's: exploratory, from the predictions kept."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medaug_keras.report.numbers.inference import Cell, Pair, Predictions
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
    predictions: Mapping[Cell, Sequence[Predictions]],
    here: Mapping[Cell, tuple[Measured, Values]],
    base: Values | None,
    reference: Pair,
) -> None:
    """Fill in the differences of every measure of the arms of a data set to the values of the baseline, `reference`.

    `predictions`: those that the values are of.
    """
    for cell, (one, values) in here.items():
        if base is None or cell[1:] == reference:
            continue
        of = predictions[cell][0]
        images = None if of.groups is None else len(of.labels)
        for measure in one.means:
            result = crossed(
                paired(values[measure], base[measure]),
                folds=of.folds is not None,
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
