"""Every arm on some of the test images, here or elsewhere, such as those of one sex: exploratory, from what is kept."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.data import FEW_IMAGES
from medaug_keras.labels import several
from medaug_keras.report.numbers.inference import Cell, Inference, Predictions, possible, tried_on
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
    """Some of the test images of a data set, or of a further test set, by the value of one column."""

    place: str
    """The data set or further test set, by its name in the plan."""
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
    """The difference's p, corrected over all subgroups, arms and data sets, or test sets from elsewhere (Benjamini
    and Hochberg)."""
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
    """Data set (or further test set, by its name in the plan) that names subgroups → why it is not known which image is
    in which."""
    found = {name: results.outcomes[task] for name, task in results.plan.subgroups.items()}
    return {name: outcome.reason for name, outcome in found.items() if outcome.record is None}


def has_subgroups(results: Results) -> bool:
    """Whether the study asks for subgroups of its own test images."""
    return any(dataset in results.plan.subgroups for dataset in results.datasets)


def of_subgroups(inference: Inference) -> list[OfSubgroup]:
    """By data set, column, subgroup and arm, the baseline first: in the order of the study, never by what was found."""
    found = list[OfSubgroup]()
    for dataset in inference.results.datasets:
        groups = _groups(inference.results, dataset)
        records = (run.record for group in groups for run in group.done)
        found += _of_images(inference, groups, dataset, inference.predictions, next(records, None))
    return _corrected(found)


def subgroups_elsewhere(inference: Inference) -> Mapping[str, Sequence[OfSubgroup]]:
    """The same of test sets from elsewhere that name subgroups, by their names in the plan, corrected over these."""
    results, found = inference.results, dict[str, list[OfSubgroup]]()
    for dataset, name, place in results.outside:
        if place in results.plan.subgroups:
            groups = _groups(results, dataset)
            records = (record for group in groups for run in group.done if (record := tried_on(run, name)))
            said = inference.predictions_elsewhere[place]
            found[place] = list(_of_images(inference, groups, place, said, next(records, None)))
    corrected = iter(_corrected([one for here in found.values() for one in here]))
    return {place: [next(corrected) for _ in here] for place, here in found.items()}


def _groups(results: Results, dataset: str) -> list[Group]:
    """Of a data set, the baseline first."""
    pairs = sorted(results.variants(dataset), key=lambda pair: pair != results.reference)
    return [results.groups[dataset, *pair] for pair in pairs]


def _corrected(found: Sequence[OfSubgroup]) -> list[OfSubgroup]:
    rates = benjamini_hochberg([one.result.p_family if one.result else None for one in found])
    others = benjamini_hochberg([one.apart.p_family if one.apart else None for one in found])
    return [replace(one, fdr=p, apart_fdr=q) for one, p, q in zip(found, rates, others, strict=True)]


def _of_images(
    inference: Inference,
    groups: Sequence[Group],
    place: str,
    predictions: Mapping[Cell, Sequence[Predictions]],
    tried: Record | None,
) -> Iterator[OfSubgroup]:
    """Every group of runs of a data set on its test images, or on a further test set: `place`, by its name in the plan.

    tried: a record with the predictions of one of the runs, whose images are those of all.
    """
    task = inference.results.plan.subgroups.get(place)
    record = inference.results.outcomes[task].record if task is not None else None
    if record is None or tried is None:
        return
    with np.load(tried.folder / "predictions.npz", allow_pickle=False) as kept:
        tested = kept["test_ids"].tolist()  # in the order of every run's test images
    with np.load(record.folder / "subgroups.npz", allow_pickle=False) as kept:
        row = {name: number for number, name in enumerate(kept["ids"].tolist())}
        places = [kept[f"places_{c}"][[row[name] for name in tested]] for c in range(len(record.values["columns"]))]
    metric, reference = inference.results.study.primary, inference.results.reference
    for said, of in zip(record.values["columns"], places, strict=True):
        for number, name in enumerate(said["subgroups"]):
            parts = of == number, (of >= 0) & (of != number)
            count = None if said["groups"] is None else said["groups"][number]
            subgroup = Subgroup(place, said["column"], name, said["images"][number], count)
            base: tuple[_Values, _Values] | None = None
            for group in groups:
                pair = group.arm, group.sampling
                here = predictions.get((group.dataset, *pair), ())
                values = _values(metric, here, parts[0]), _values(metric, here, parts[1])
                base = values if pair == reference else base
                recall = _recall(here, parts[0], inference.results.positive(group.dataset))
                one = _of_subgroup(group, subgroup, values[0], recall)
                yield one if base is None or pair == reference else _compared(one, here, parts, values, base)


def _of_subgroup(group: Group, subgroup: Subgroup, here: _Values, recall: Sequence[float]) -> OfSubgroup:
    planned, means = len(group.runs), [float(of.mean()) for of in here.values.values()]
    return OfSubgroup(group, subgroup, estimate(means, planned=planned), estimate(recall, planned=planned), here.reason)


def _compared(
    one: OfSubgroup,
    predictions: Sequence[Predictions],
    parts: tuple[Mask, Mask],
    values: tuple[_Values, _Values],
    base: tuple[_Values, _Values],
) -> OfSubgroup:
    """With the difference to the baseline on the images of the subgroup, and that less the one on the others."""
    (here, there), (base_here, base_there) = values, base
    planned, subgroup = len(one.group.runs), one.subgroup
    folds = any(of.folds is not None for of in predictions)
    grouped = any(of.groups is not None for of in predictions)
    difference, beside = paired(here.values, base_here.values), paired(there.values, base_there.values)
    images = subgroup.images if grouped else None
    result = _tested(difference, here.reason, folds=folds, images=images, planned=planned)
    both = sorted(set.intersection(*(set(of.values) for of in (*values, *base))))
    if here.reason or there.reason or here.left_out != there.left_out or min(difference.size, beside.size) == 0:
        reason = here.reason or there.reason or "its means are over other findings than those of the other images"
        between = Crossed(None, 0, planned, subgroup.images, reason=reason)
    elif min(difference.shape[1], beside.shape[1]) < 2:
        between = Crossed(None, 0, planned, subgroup.images, reason=TOO_FEW)
    else:
        first, second = (
            paired({s: arm.values[s] for s in both}, {s: other.values[s] for s in both})
            for arm, other in zip(values, base, strict=True)
        )
        together = int(parts[0].sum() + parts[1].sum()) if grouped else None
        between = crossed(apart(first, second, here.units, there.units), folds=folds, images=together, planned=planned)
    runs = tuple(float(np.mean(run)) for run in difference)
    return replace(one, result=result, apart=between, runs=runs)


def _tested(difference: NDArray[np.float64], reason: str, **words: Any) -> Crossed:
    result = crossed(difference, **words)
    if result.effect is None and reason:
        result = replace(result, reason=reason)
    return replace(result, low=possible(result.low), high=possible(result.high))


def _values(name: str, predictions: Sequence[Predictions], there: Mask) -> _Values:
    metric: Any = name
    values, units, reason, left_out = Values(), np.array([]), "", list[int]()
    if not there.any():
        return _Values(values, units, "no test image is in it", left_out)
    for of in predictions:
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


def _recall(predictions: Sequence[Predictions], there: Mask, positive: int | None) -> list[float]:
    """Of each run, of the positive class or the mean over the classes that are there; of several findings, nothing."""
    found = list[float]()
    for of in predictions:
        labels, p, _, _ = _some(of, there)
        if several(labels):
            continue
        wanted = [k for k in np.unique(labels).tolist() if positive in (None, k)]
        if wanted:
            named = p.argmax(-1)
            found += np.mean([(named[:, labels == k] == k).mean(-1) for k in wanted], axis=0).tolist()
    return found
