"""How far the probabilities of every arm can be believed, and its curves: exploratory, from the predictions kept."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from medaug_keras.evaluation import calibration
from medaug_keras.report.numbers.inference import Cell, Inference, Predictions, held_out
from medaug_keras.report.numbers.measured import Measured, Values, compare, correct
from medaug_keras.report.numbers.results import Group
from medaug_keras.stats import Estimate, estimate, group_sums

Array = NDArray[np.float64]
_Measured = TypeVar("_Measured", bound=Measured)

MEASURES = {
    "ece": "Calibration error",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "pr_auc": "PR-AUC",
}
"""Measure → how it is called."""
SCALED = ("ece", "brier", "log_loss")
"""Those that temperature scaling changes."""
NO_VALIDATION = "the validation predictions of its folds are gone"
AT = np.linspace(0.0, 1.0, 51)
"""Where curves have their points."""
ONE_FOLD = "images of different folds were scored by different networks, whose scores do not compare"
FEW_OF_A_CLASS = "it needs two test images of every class"


@dataclass
class Judged(Measured):
    """One arm on one data set: what every replicate says of the test images.

    reliability: of every replicate (2, bins), mean probability of the predicted class and share that is right.
    roc, precision: of every replicate (len(AT),), sensitivity and precision at AT; empty with folds.
    """

    means: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    reliability: list[Array] = field(default_factory=list)
    roc: list[Array] = field(default_factory=list)
    precision: list[Array] = field(default_factory=list)


def judged(inference: Inference) -> Mapping[Cell, Judged]:
    """Every arm with a finished run, where images have one class each.

    p is corrected over all measures, arms and data sets (Benjamini and Hochberg).
    """
    results = inference.results
    found: dict[Cell, Judged] = {}
    for dataset in results.of_classes:  # one after the other, since the values of all images are large
        first = results.positive(dataset) == 0
        here = {
            cell: _judged(group, inference.predictions[cell], first=first)
            for cell, group in results.groups.items()
            if cell[0] == dataset
        }
        _, base = here.get((dataset, *results.reference), (None, None))
        done = {cell: one for cell, one in here.items() if one[0].group.done}
        compare(inference.predictions, done, base, results.reference)
        found |= {cell: one for cell, (one, _) in done.items()}
    correct(found.values())
    return found


def judged_elsewhere(inference: Inference) -> Mapping[str, Mapping[Cell, Judged]]:
    """The same on test sets from elsewhere, by their names in the plan. p is corrected over these."""
    results = inference.results
    return _elsewhere(
        inference, lambda cell, of: _judged(results.groups[cell], of, first=results.positive(cell[0]) == 0)
    )


def _elsewhere(
    inference: Inference, values_of: Callable[[Cell, Sequence[Predictions]], tuple[_Measured, Values]]
) -> Mapping[str, Mapping[Cell, _Measured]]:
    """`values_of` every arm on every test set from elsewhere, with differences and p, which is corrected over these."""
    results = inference.results
    found: dict[str, Mapping[Cell, _Measured]] = {}
    for dataset, _, place in results.outside:
        if dataset not in results.of_classes:
            continue
        said = inference.predictions_elsewhere[place]
        here = {cell: values_of(cell, of) for cell, of in said.items() if of}
        _, base = here.get((dataset, *results.reference), (None, None))
        compare(said, here, base, results.reference)
        found[place] = {cell: one for cell, (one, _) in here.items()}
    correct([one for here in found.values() for one in here.values()])
    return found


@dataclass
class Scaled(Measured):
    """One arm on one data set after temperature scaling: each run with a temperature of its own.

    fitted: replicate → the temperature of its network, or of that of each of its folds; empty where it is not known.
    temperatures: of every replicate, the mean of its folds where there are folds. reliability: as of `Judged`.
    reason: why some run has no temperature. Differences are to the scaled probabilities of the baseline.
    """

    means: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in SCALED})
    fitted: Mapping[int, Sequence[float]] = field(default_factory=dict)
    temperatures: list[float] = field(default_factory=list)
    reliability: list[Array] = field(default_factory=list)
    reason: str = ""

    @property
    def temperature(self) -> Estimate:
        """The same of the temperatures."""
        return estimate(self.temperatures, planned=len(self.group.runs))

    @property
    def at_limit(self) -> int:
        """Replicates with a temperature beyond which the log loss of the validation images falls further."""
        return sum(any(map(calibration.at_limit, fitted)) for fitted in self.fitted.values())


def scaled(inference: Inference) -> Mapping[Cell, Scaled]:
    """Every arm with a finished run, where images have one class each, after temperature scaling.

    The temperature of a run (or of each of its folds) is fitted on its validation images. p is corrected over all
    measures, arms and data sets (Benjamini and Hochberg).
    """
    results = inference.results
    found: dict[Cell, Scaled] = {}
    for dataset in results.of_classes:
        here = {
            cell: _scaled(group, inference.predictions[cell], _fitted(group, results.select))
            for cell, group in results.groups.items()
            if cell[0] == dataset and group.done
        }
        _, base = here.get((dataset, *results.reference), (None, None))
        compare(inference.predictions, here, base, results.reference)
        found |= {cell: one for cell, (one, _) in here.items()}
    correct(found.values())
    return found


def scaled_elsewhere(inference: Inference, home: Mapping[Cell, Scaled]) -> Mapping[str, Mapping[Cell, Scaled]]:
    """The same on test sets from elsewhere, by their names in the plan, with the temperatures of `home`: those that the
    validation images of the runs' own data set give. p is corrected over these.
    """
    groups = inference.results.groups
    return _elsewhere(inference, lambda cell, of: _scaled(groups[cell], of, home[cell].fitted))


def _fitted(group: Group, select: str) -> Mapping[int, Sequence[float]]:
    return {run.replicate: [calibration.temperature(*known) for known in held_out(run, select)] for run in group.done}


def _scaled(
    group: Group, predictions: Sequence[Predictions], at_home: Mapping[int, Sequence[float]]
) -> tuple[Scaled, Values]:
    one, values = Scaled(group, fitted=at_home), Values({measure: {} for measure in SCALED})
    for of in predictions:
        for replicate, p in zip(of.replicates, of.probabilities, strict=True):
            fitted = at_home[replicate]
            if not fitted:
                one.reason = NO_VALIDATION
                continue
            after = np.empty(p.shape)
            parts = np.zeros(len(p), np.int64) if of.folds is None or len(fitted) == 1 else of.folds[0]
            for number, at in enumerate(fitted):
                after[parts == number] = calibration.scaled(p[parts == number], at)
            one.temperatures.append(float(np.mean(fitted)))
            one.reliability.append(np.stack(calibration.reliability(of.labels, after)[:2]))
            every = {
                "ece": calibration.calibration_values(of.labels, after),
                "brier": calibration.brier_values(of.labels, after),
                "log_loss": calibration.log_loss_values(of.labels, after),
            }
            for measure, of_images in every.items():
                of_units = of_images if of.groups is None else group_sums(of_images, of.groups)
                values[measure][replicate] = of_units
                one.means[measure].append(float(of_units.mean()))
    return one, values


def _judged(group: Group, predictions: Sequence[Predictions], *, first: bool) -> tuple[Judged, Values]:
    """`first`: whether of two classes the first is positive, where curves and PR-AUC take the second for it."""
    one = Judged(group)
    values: Values = {measure: {} for measure in MEASURES}
    for of in predictions:
        labels, p = of.labels, of.probabilities
        every: dict[str, Any] = {
            "ece": calibration.calibration_values(labels, p),
            "brier": calibration.brier_values(labels, p),
            "log_loss": calibration.log_loss_values(labels, p),
        }
        one.reliability.extend(np.stack(calibration.reliability(labels, p)[:2], axis=1))
        if first:
            labels, p = 1 - labels, p[..., ::-1]
        if of.folds is not None:
            one.reasons["pr_auc"] = ONE_FOLD
        elif (precise := calibration.average_precision_values(labels, p)) is None:
            one.reasons["pr_auc"] = FEW_OF_A_CLASS
        else:
            every["pr_auc"] = precise
            sensitivity, precision = calibration.curves(labels, p, AT)
            one.roc.extend(sensitivity)
            one.precision.extend(precision)
        for measure, of_images in every.items():
            of_units = of_images if of.groups is None else group_sums(of_images, of.groups)
            values[measure].update(zip(of.replicates, of_units, strict=True))
            one.means[measure].extend(of_units.mean(-1).tolist())
    return one, values
