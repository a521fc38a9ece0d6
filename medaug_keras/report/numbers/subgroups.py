"""Every arm on some of the test images, such as those of one sex: exploratory, from the predictions kept."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.data import FEW_IMAGES
from medaug_keras.labels import several
from medaug_keras.report.numbers.inference import Cell, Inference, Predictions, possible
from medaug_keras.report.numbers.results import Group, Results
from medaug_keras.stats import (
    Crossed,
    Estimate,
    apart,
    benjamini_hochberg,
    crossed,
    estimate,
    findings_left_out,
    paired,
    pseudo_values,
    why_undefined,
)
from medaug_keras.store import Record

Mask = NDArray[np.bool_]
Values = dict[int, NDArray[np.float64]]
"""Replicate → one value for each image (or group) of a subgroup, whose mean is the metric there."""

TOO_FEW = "it needs two test images, or two groups of them, in the subgroup and two with another value"


@dataclass(frozen=True)
class Subgroup:
    """Some of a data set's test images, by the value of one column."""

    dataset: str
    column: str
    name: str
    images: int
    groups: int | None
    """Groups of the images, such as patients; None where they are not known."""

    @property
    def small(self) -> bool:
        """Whether it has so few images, or groups of them, that little can be said of it."""
        return (self.images if self.groups is None else self.groups) < FEW_IMAGES


@dataclass(frozen=True)
class OfSubgroup:
    """One group of runs on one subgroup: the primary metric and recall, and what the arm changes there."""

    group: Group
    subgroup: Subgroup
    value: Estimate
    """Of the primary metric."""
    recall: Estimate
    """Of the positive class, where the data set has one, else the mean over the classes that the subgroup has."""
    reason: str = ""
    """Why there is no value."""
    result: Crossed | None = None
    """The difference in the primary metric, arm less baseline; None of the baseline itself."""
    apart: Crossed | None = None
    """That difference less the one on the test images with another value of the column."""
    runs: tuple[float, ...] = ()
    """The difference of each replicate that both have."""
    fdr: float | None = None
    """The difference's p, corrected over all subgroups, arms and data sets (Benjamini and Hochberg)."""
    apart_fdr: float | None = None
    """The same of the difference of differences."""


@dataclass(frozen=True)
class _Values:
    """What the runs of one group say of some of the test images."""

    values: Values
    units: NDArray[Any]
    """The image (or group) of each value."""
    reason: str
    """Why there are none."""
    left_out: Sequence[int]
    """Of several findings, those that are in no mean."""


def missing_subgroups(results: Results) -> dict[str, str]:
    """Data set that names subgroups → why it is not known which image is in which."""
    found = {name: results.outcomes[task] for name, task in results.plan.subgroups.items()}
    return {name: outcome.reason for name, outcome in found.items() if outcome.record is None}


def of_subgroups(inference: Inference) -> list[OfSubgroup]:
    """By data set, column, subgroup and arm, the baseline first: in the order of the study, never by what was found."""
    results, found = inference.results, list[OfSubgroup]()
    for dataset in results.datasets:
        task = results.plan.subgroups.get(dataset)
        record = results.outcomes[task].record if task is not None else None
        if record is not None:
            found += _of_dataset(inference, dataset, record)
    rates = benjamini_hochberg([one.result.p_family if one.result else None for one in found])
    others = benjamini_hochberg([one.apart.p_family if one.apart else None for one in found])
    return [replace(one, fdr=p, apart_fdr=q) for one, p, q in zip(found, rates, others, strict=True)]


def _of_dataset(inference: Inference, dataset: str, record: Record) -> Iterator[OfSubgroup]:
    results = inference.results
    pairs = sorted(results.variants(dataset), key=lambda pair: pair != results.reference)
    cells = [(dataset, *pair) for pair in pairs]
    run = next((run for cell in cells for run in results.groups[cell].done), None)
    if run is None:
        return
    with np.load(run.record.folder / "predictions.npz", allow_pickle=False) as kept:
        tested = kept["test_ids"].tolist()  # in the order of every run's test images
    with np.load(record.folder / "subgroups.npz", allow_pickle=False) as kept:
        row = {name: number for number, name in enumerate(kept["ids"].tolist())}
        places = [kept[f"places_{c}"][[row[name] for name in tested]] for c in range(len(record.values["columns"]))]
    for said, of in zip(record.values["columns"], places, strict=True):
        for number, name in enumerate(said["subgroups"]):
            here, there = of == number, (of >= 0) & (of != number)
            groups = None if said["groups"] is None else said["groups"][number]
            subgroup = Subgroup(dataset, said["column"], name, said["images"][number], groups)
            base = (dataset, *results.reference)
            ours = _values(inference, base, here) if base in results.groups else None
            others = _values(inference, base, there) if base in results.groups else None
            for cell in cells:
                yield _of_subgroup(inference, cell, subgroup, (here, there), ours, others)


def _of_subgroup(
    inference: Inference,
    cell: Cell,
    subgroup: Subgroup,
    parts: tuple[Mask, Mask],
    base: _Values | None,
    base_there: _Values | None,
) -> OfSubgroup:
    group = inference.results.groups[cell]
    here, planned = _values(inference, cell, parts[0]), len(group.runs)
    means = [float(of.mean()) for of in here.values.values()]
    recall = estimate(_recall(inference, cell, parts[0]), planned=planned)
    one = OfSubgroup(group, subgroup, estimate(means, planned=planned), recall, here.reason)
    if base is None or base_there is None or cell[1:] == inference.results.reference:
        return one
    folds, of_dataset = cell[0] in inference.folded, inference.grouped.get(cell[0])
    difference = paired(here.values, base.values)
    images = None if of_dataset is None else subgroup.images
    result = _tested(difference, here.reason, folds=folds, images=images, planned=planned)
    there = _values(inference, cell, parts[1])
    beside = paired(there.values, base_there.values)
    both = sorted(here.values.keys() & base.values.keys() & there.values.keys() & base_there.values.keys())
    if here.reason or there.reason or here.left_out != there.left_out or min(difference.size, beside.size) == 0:
        reason = here.reason or there.reason or "its means are over other findings than those of the other images"
        between = Crossed(None, 0, planned, subgroup.images, reason=reason)
    elif min(difference.shape[1], beside.shape[1]) < 2:
        between = Crossed(None, 0, planned, subgroup.images, reason=TOO_FEW)
    else:
        first, second = (
            paired({s: arm.values[s] for s in both}, {s: other.values[s] for s in both})
            for arm, other in ((here, base), (there, base_there))
        )
        together = None if of_dataset is None else int(parts[0].sum() + parts[1].sum())
        values = apart(first, second, here.units, there.units)
        between = crossed(values, folds=folds, images=together, planned=planned)
    runs = tuple(float(np.mean(run)) for run in difference)
    return replace(one, result=result, apart=between, runs=runs)


def _tested(difference: NDArray[np.float64], reason: str, **words: Any) -> Crossed:
    result = crossed(difference, **words)
    if result.effect is None and reason:
        result = replace(result, reason=reason)
    return replace(result, low=possible(result.low), high=possible(result.high))


def _values(inference: Inference, cell: Cell, there: Mask) -> _Values:
    metric: Any = inference.results.study.primary
    values, units, reason, left_out = Values(), np.array([]), "", list[int]()
    if not there.any():
        return _Values(values, units, "no test image is in it", left_out)
    for of in inference.predictions[cell]:
        labels, p, groups, folds = _some(of, there)
        why = why_undefined(metric, labels, p.shape[-1], groups, folds)
        if why is not None:
            reason = why
            continue
        values.update(zip(of.replicates, pseudo_values(metric, p, labels, groups, folds), strict=True))
        units = np.flatnonzero(there) if groups is None else np.unique(groups)
        left_out = findings_left_out(labels, groups) if several(labels) else []
    return _Values(values, units, reason, left_out)


def _some(of: Predictions, there: Mask) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]:
    groups = None if of.groups is None else of.groups[there]
    return of.labels[there], of.probabilities[:, there], groups, None if of.folds is None else of.folds[:, there]


def _recall(inference: Inference, cell: Cell, there: Mask) -> list[float]:
    """Of each run, of the positive class or the mean over the classes that are there; of several findings, nothing."""
    positive, found = inference.results.positive(cell[0]), list[float]()
    for of in inference.predictions[cell]:
        labels, p, _, _ = _some(of, there)
        if several(labels):
            continue
        wanted = [k for k in np.unique(labels).tolist() if positive in (None, k)]
        if wanted:
            named = p.argmax(-1)
            found += np.mean([(named[:, labels == k] == k).mean(-1) for k in wanted], axis=0).tolist()
    return found
