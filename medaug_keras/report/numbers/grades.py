"""By how many grades arms are off, where classes are grades in their order: exploratory, from the predictions kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from medaug_keras.report.numbers.inference import Cell, Inference, Predictions
from medaug_keras.report.numbers.results import Group
from medaug_keras.stats import (
    Crossed,
    Estimate,
    benjamini_hochberg,
    crossed,
    estimate,
    grade_values,
    paired,
    why_no_kappa,
)

MEASURES = {"absolute_error": "Error in grades", "quadratic_kappa": "Quadratic-weighted kappa"}
"""Measure → how it is called."""

Values = dict[str, dict[int, NDArray[np.float64]]]
"""Measure → replicate → one value for each image (or group), whose mean is the measure."""


@dataclass
class Graded:
    """One arm on one data set.

    means: measure → of every replicate; reasons: why there are none.
    differences: measure → the crossed analysis of the difference to the baseline; rates: its p, corrected.
    """

    group: Group
    means: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    reasons: dict[str, str] = field(default_factory=dict)
    differences: dict[str, Crossed] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)

    def estimate(self, measure: str) -> Estimate:
        """Mean and spread over the replicates."""
        return estimate(self.means[measure], planned=len(self.group.runs))


def graded(inference: Inference) -> Mapping[Cell, Graded]:
    """Every arm with a finished run, of data sets whose classes are grades, the baseline first.

    p is corrected over both measures, arms and data sets (Benjamini and Hochberg).
    """
    results, found = inference.results, dict[Cell, Graded]()
    tests: list[tuple[Graded, str]] = []
    for dataset in filter(results.grades, results.datasets):
        pairs = sorted(results.variants(dataset), key=lambda pair: pair != results.reference)
        groups = {(dataset, *pair): results.groups[dataset, *pair] for pair in pairs}
        here = {
            cell: _graded(group, inference.predictions[cell], len(results.classes(dataset)))
            for cell, group in groups.items()
            if group.done
        }
        _, base = here.get((dataset, *results.reference), (None, None))
        images, _ = inference.grouped.get(dataset, (None, None))
        for cell, (one, values) in here.items():
            found[cell] = one
            if base is None or cell[1:] == results.reference:
                continue
            for measure in MEASURES:
                result = crossed(
                    paired(values[measure], base[measure]),
                    folds=dataset in inference.folded,
                    images=images,
                    planned=len(one.group.runs),
                )
                if result.effect is None and measure in one.reasons:
                    result = replace(result, reason=one.reasons[measure])
                one.differences[measure] = result
                tests.append((one, measure))
    rates = benjamini_hochberg([one.differences[measure].p_family for one, measure in tests])
    for (one, measure), rate in zip(tests, rates, strict=True):
        one.rates[measure] = rate
    return found


def _graded(group: Group, predictions: Sequence[Predictions], classes: int) -> tuple[Graded, Values]:
    one, values = Graded(group), Values({measure: {} for measure in MEASURES})
    for of in predictions:
        named = of.probabilities.argmax(-1)
        reason = why_no_kappa(of.labels, of.groups)
        every = {"absolute_error": grade_values("absolute_error", named, of.labels, classes, of.groups)}
        if reason is None:
            every["quadratic_kappa"] = grade_values("quadratic_kappa", named, of.labels, classes, of.groups)
        else:
            one.reasons["quadratic_kappa"] = reason
        for measure, of_units in every.items():
            values[measure].update(zip(of.replicates, of_units, strict=True))
            one.means[measure].extend(of_units.mean(-1).tolist())
    return one, values
