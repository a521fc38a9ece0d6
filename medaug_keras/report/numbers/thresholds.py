"""Operating points: thresholds that every run chooses on its validation images, and what they do on test images, those
from elsewhere included."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from medaug_keras.evaluation.thresholds import Point, rates, resampled, thresholds
from medaug_keras.report.numbers.inference import Cell, HeldOut, Inference, Predictions, possible
from medaug_keras.report.numbers.results import Group, Results
from medaug_keras.spec import OperatingPoint, Study
from medaug_keras.stats import (
    Crossed,
    Estimate,
    benjamini_hochberg,
    crossed,
    estimate,
    paired,
    share_interval,
    share_values,
    shared_variance,
)

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MEASURES = {
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
}
"""Measure → how it is called."""
DRAWS = 100
"""Bootstrap draws of the validation images: what another choice of them would do to the thresholds."""
CLEARLY, LEAST = 2.576, 0.02
"""Prevalences differ clearly by this many standard errors (p < 0.01) and by this share at least."""
FOLDS_GONE = "what its folds say of their validation images is no longer in the results folder"
ONE_CLASS = "its validation images are not of both classes"


@dataclass
class AtPoint:
    """One arm on one data set at one operating point.

    tried: runs of which there are predictions.
    thresholds: of every run, and every fold. means: measure → of every replicate.
    shares: measure → the crossed analysis of its values; intervals: measure → of the share itself.
    differences: measure → the crossed analysis of the difference to the baseline; rates: its p, corrected; runs: of
    every replicate that both have.
    """

    group: Group
    point: OperatingPoint
    tried: int = 0
    why: str = ""
    """Why there is no threshold."""
    thresholds: list[float] = field(default_factory=list)
    means: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in MEASURES})
    shares: dict[str, Crossed] = field(default_factory=dict)
    intervals: dict[str, tuple[float, float] | None] = field(default_factory=dict)
    differences: dict[str, Crossed] = field(default_factory=dict)
    rates: dict[str, float | None] = field(default_factory=dict)
    runs: dict[str, tuple[float, ...]] = field(default_factory=dict)

    def estimate(self, measure: str) -> Estimate:
        """Mean and spread over the replicates."""
        return estimate(self.means[measure], planned=len(self.group.runs))

    def reason(self, measure: str) -> str:
        """Why there is no value, or why there are fewer replicates than planned; empty where neither is so."""
        if not self.why and len(self.means[measure]) < self.tried:
            return f"in some run no test image is called {'positive' if measure == 'ppv' else 'negative'}"
        return self.why or self.group.reason


@dataclass(frozen=True)
class Prevalence:
    """How many of a data set's validation and test images are positive."""

    validation: tuple[int, int]
    """Positive images, and all."""
    test: tuple[int, int]
    differ: bool
    """Whether the shares differ clearly."""


class _Run(NamedTuple):
    """One measure of one run: (units,) values whose mean it is, and (B,) what draws of the validation images change."""

    values: Array
    draws: Array


_Runs = dict[str, dict[int, _Run]]
"""Measure → replicate → its values."""


def point_words(point: OperatingPoint) -> str:
    """An operating point in a few words: sensitivity of 95 %."""
    if point == "youden":
        return "Youden’s index"
    sought = "specificity" if point.sensitivity is None else "sensitivity"
    return f"{sought} of {100 * getattr(point, sought):.6g} %"


def _point(point: OperatingPoint) -> Point:
    if point == "youden":
        return "youden"
    if point.sensitivity is not None:
        return "sensitivity", point.sensitivity
    assert point.specificity is not None
    return "specificity", point.specificity


def operating_points(inference: Inference) -> Mapping[tuple[Cell, int], AtPoint]:
    """Every arm with a finished run at every operating point, by the point's place in the study.

    p is corrected over all points, measures, arms and data sets (Benjamini and Hochberg).
    """
    found = _every(inference, inference.predictions)
    _correct(found.values())
    return found


def has_points_elsewhere(results: Results) -> bool:
    """Whether a test set from elsewhere is tried at operating points."""
    return bool(results.study.operating_points) and any(results.positive(d) is not None for d, *_ in results.outside)


def points_elsewhere(inference: Inference) -> Mapping[str, Mapping[tuple[Cell, int], AtPoint]]:
    """The same on test sets from elsewhere, by their names in the plan: at the thresholds that the runs chose on the
    validation images of their own data set.

    p is corrected over all of these, and those of the own test images stay as they are.
    """
    found = {place: _every(inference, said) for place, said in inference.predictions_elsewhere.items()}
    _correct(one for points in found.values() for one in points.values())
    return found


def _every(inference: Inference, predictions: Mapping[Cell, Sequence[Predictions]]) -> dict[tuple[Cell, int], AtPoint]:
    """Every arm with predictions at every operating point, p not yet corrected."""
    results, found = inference.results, {}
    for dataset in results.datasets:
        positive = results.positive(dataset)
        if positive is None or not results.study.operating_points:
            continue
        every = {cell: batches for cell, batches in predictions.items() if cell[0] == dataset and batches}
        runs = {cell: _at_points(results.study, batches, positive) for cell, batches in every.items()}
        base = runs.get((dataset, *results.reference))
        for cell, batches in every.items():
            tried = sum(len(of.replicates) for of in batches)
            for place, point in enumerate(results.study.operating_points):
                found[cell, place] = one = AtPoint(results.groups[cell], point, tried)
                of = runs[cell]
                if isinstance(of, str):
                    one.why = of
                    continue
                one.thresholds = of[place][1]
                theirs = base[place][0] if isinstance(base, list) and cell[1:] != results.reference else None
                _compare(one, batches[0], of[place][0], theirs, positive)
    return found


def _correct(found: Iterable[AtPoint]) -> None:
    """Correct p of all differences (Benjamini and Hochberg)."""
    tests = [(one, measure) for one in found for measure in one.differences]
    corrected = benjamini_hochberg([one.differences[measure].p_family for one, measure in tests])
    for (one, measure), p in zip(tests, corrected, strict=True):
        one.rates[measure] = p


def prevalence(inference: Inference, dataset: str) -> Prevalence | None:
    """Of a data set with a finished run whose validation and test images differ; None with folds, or without one.

    Shares differ clearly where chance alone would make them differ so in less than 1 % of draws of images (or groups),
    and by 2 points at least.
    """
    positive = inference.results.positive(dataset)
    cells = (batches for cell, batches in inference.predictions.items() if cell[0] == dataset and batches)
    of = next((batches[0] for batches in cells), None)
    if positive is None or of is None or of.folds is not None or not of.validation:
        return None
    parts = [(one.labels == positive, one.groups) for one in (of.validation[0], of)]
    shares = [float(there.mean()) for there, _ in parts]
    variance = 0.0
    for there, groups in parts:
        values = share_values(there[None], True, groups)[0]
        variance += float(values.var(ddof=1)) / len(values) if len(values) > 1 else 0.0
    apart = abs(shares[0] - shares[1])
    counts = [(int(there.sum()), len(there)) for there, _ in parts]
    return Prevalence(counts[0], counts[1], apart >= LEAST and apart > CLEARLY * variance**0.5)


def _at_points(study: Study, batches: Sequence[Predictions], positive: int) -> list[tuple[_Runs, list[float]]] | str:
    """At each point what the runs of a cell measure, and their thresholds; or why there are none."""
    points = [_point(point) for point in study.operating_points]
    found: list[tuple[_Runs, list[float]]] = [({name: {} for name in MEASURES}, []) for _ in points]
    for of in batches:
        ours: Mask = np.asarray(of.labels == positive)
        scores = of.probabilities[..., positive].astype(np.float64)
        if not of.validation:
            return FOLDS_GONE
        if any(len(np.unique(one.labels)) < 2 for one in of.validation):
            return ONE_CLASS
        chosen = [
            thresholds(one.labels == positive, one.probabilities[..., positive], points)[..., 0]
            for one in of.validation
        ]  # one, or one of each fold: (points, S)
        fold = np.zeros(len(ours), np.int64) if of.folds is None else of.folds[0]
        at = np.stack(chosen)[fold].transpose(1, 2, 0)  # (points, S, n)
        drawn = _drawn(of, ours, scores, points, positive, study.seed)
        for i, (runs, thresholds_) in enumerate(found):
            thresholds_ += [float(t) for one in chosen for t in one[i]]
            called = scores >= at[i]
            for measure, (hit, counted, those) in _parts(called, ours).items():
                used: Mask = np.asarray(counted.any(-1))
                groups = None if of.groups is None else of.groups[those]
                values = iter(share_values(hit[used], counted[used], groups))
                for s, replicate in enumerate(of.replicates):
                    if used[s]:
                        runs[measure][replicate] = _Run(next(values), drawn[measure][i, s])
    return found


def _parts(called: Mask, ours: Mask) -> dict[str, tuple[Mask, Mask, Mask]]:
    """Measure → which images are hits and which count, (S, of those), and those images, (n,), that could count.

    `called` is (S, n): which images are called positive; `ours` (n,): which are.
    """
    every = np.ones(len(ours), bool)
    found = {}
    for name, positive in (("sensitivity", True), ("specificity", False)):
        those = np.asarray(ours == positive)
        found[name] = (called == positive)[:, those], np.ones((len(called), int(those.sum())), bool), those
    for name, positive in (("ppv", True), ("npv", False)):
        found[name] = np.broadcast_to(ours == positive, called.shape), called == positive, every
    return found


def _drawn(
    of: Predictions, ours: Mask, scores: Array, points: list[Point], positive: int, seed: int
) -> dict[str, Array]:
    """Measure → (points, S, B) what draws of the validation images make of it, less what it is.

    Nothing with folds: every replicate cuts anew, so what the choice of validation images does is in the variance
    between replicates.
    """
    if of.folds is not None:
        return dict.fromkeys(MEASURES, np.zeros((len(points), len(scores), 1)))
    held = of.validation[0]
    truth = held.labels == positive
    weights = resampled(truth, held.groups, draws=DRAWS, seed=seed)
    weights = np.concatenate([np.ones_like(weights[:1]), weights])  # the first as they are
    hit, passed = rates(ours, scores, thresholds(truth, held.probabilities[..., positive], points, weights))
    P, N = int(ours.sum()), int((~ours).sum())
    with np.errstate(invalid="ignore"):  # a draw at which no image is called so says nothing
        every = {
            "sensitivity": hit,
            "specificity": passed,
            "ppv": P * hit / (P * hit + N * (1 - passed)),
            "npv": N * passed / (N * passed + P * (1 - hit)),
        }
    return {name: np.nan_to_num(part[..., 1:] - part[..., :1]) for name, part in every.items()}


def _compare(one: AtPoint, of: Predictions, ours: _Runs, theirs: _Runs | None, positive: int) -> None:
    """Fill in what an arm's runs say of the shares, and of their differences to the baseline's."""
    planned, folds = len(one.group.runs), of.folds is not None
    df = float(min(_fewest(held, positive) for held in of.validation) - 1)
    counts = {"sensitivity": int((of.labels == positive).sum()), "specificity": int((of.labels != positive).sum())}

    def analysed(values: Array, draws: list[Array], measure: str) -> Crossed:
        besides = (shared_variance(draws), df) if len(draws) > 1 and df > 0 else (0.0, 1.0)
        images = None if of.groups is None else counts.get(measure, len(of.labels))
        return crossed(values, folds=folds, images=images, planned=planned, besides=besides)

    for measure in MEASURES:
        mine = ours[measure]
        one.means[measure] = [float(run.values.mean()) for run in mine.values()]
        values = np.stack([run.values for run in mine.values()]) if mine else np.empty((0, 0))
        one.shares[measure] = analysed(values, [run.draws for run in mine.values()], measure)
        one.intervals[measure] = share_interval(one.shares[measure])
        if theirs is None:
            continue
        base = theirs[measure]
        both = sorted(mine.keys() & base.keys())
        difference = paired({s: mine[s].values for s in both}, {s: base[s].values for s in both})
        result = analysed(difference, [mine[s].draws - base[s].draws for s in both], measure)
        one.differences[measure] = replace(result, low=possible(result.low), high=possible(result.high))
        one.runs[measure] = tuple(float(run.mean()) for run in difference)


def _fewest(held: HeldOut, positive: int) -> int:
    """Of the two classes, the fewer images (or groups with such an image)."""
    truth = held.labels == positive
    names = np.arange(len(truth)) if held.groups is None else held.groups
    return min(len(np.unique(names[truth])), len(np.unique(names[~truth])))
