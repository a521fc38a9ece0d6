"""By how many grades arms are off, where classes are grades in their order: exploratory, from the predictions kept."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from medaug_keras.report.numbers.inference import Cell, Inference, Predictions
from medaug_keras.report.numbers.measured import Measured, Values, compare, correct
from medaug_keras.report.numbers.results import Group
from medaug_keras.stats import grade_values, why_no_kappa

MEASURES = {"absolute_error": "Error in grades", "quadratic_kappa": "Quadratic-weighted kappa"}
"""Measure → how it is called."""


@dataclass
class Graded(Measured):
    """One arm on one data set."""

    means: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})


def graded(inference: Inference) -> Mapping[Cell, Graded]:
    """Every arm with a finished run, of data sets whose classes are grades, the baseline first.

    p is corrected over both measures, arms and data sets (Benjamini and Hochberg).
    """
    results, found = inference.results, dict[Cell, Graded]()
    for dataset in filter(results.grades, results.datasets):
        pairs = sorted(results.variants(dataset), key=lambda pair: pair != results.reference)
        groups = {(dataset, *pair): results.groups[dataset, *pair] for pair in pairs}
        here = {
            cell: _graded(group, inference.predictions[cell], len(results.classes(dataset)))
            for cell, group in groups.items()
            if group.done
        }
        _, base = here.get((dataset, *results.reference), (None, None))
        compare(inference.predictions, here, base, results.reference)
        found |= {cell: one for cell, (one, _) in here.items()}
    correct(found.values())
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
