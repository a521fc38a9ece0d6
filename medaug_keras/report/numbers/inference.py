"""The study's tests: every arm against the declared baseline, corrected for how many there are.

Statistics come from `medaug_keras.stats`. This module decides which runs are compared, and over which family p-values
are corrected: Holm over the arms of a data set (confirmatory), Benjamini and Hochberg over all cells (exploratory).
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from medaug_keras.data import DataError, load_predicted, predicted_files
from medaug_keras.labels import several
from medaug_keras.looks import CLAIMS
from medaug_keras.report.numbers.results import METRICS, Group, Results, Run
from medaug_keras.spec import MedMnistData
from medaug_keras.stats import (
    Components,
    Crossed,
    Estimate,
    Friedman,
    MetaAnalysis,
    Metric,
    Outlook,
    Range,
    Reach,
    Verdict,
    benjamini_hochberg,
    best_arms,
    chance_to_beat,
    crossed,
    detectable_range,
    equivalence_p,
    estimate,
    findings_left_out,
    friedman,
    holm,
    mean_over_datasets,
    outlook,
    paired,
    pseudo_values,
    reach,
    two_level_bootstrap,
    unpaired,
    verdict,
    why_undefined,
)
from medaug_keras.store import Record

ALPHA = 0.05
NO_CONTROL = "no control arm adds as many copies as this arm adds images"
NOT_UNFILTERED = "no arm takes as many images of its generator as they come"
NO_COPIES = {
    "replace": "it trains on no real image: the baseline is its control",
    "pretrain": "the baseline, which trains on real images for as many epochs, is its control",
}
_BOOTSTRAP_DRAWS = 1000

OTHER_IMAGES = "the two studies tested other images, or the same at another size"

Cell = tuple[str, str, str]
"""Data set, arm, sampling."""
Pair = tuple[str, str]
"""Arm, sampling."""


class _Corrected:
    """What has p corrected over two families: those of today, and the largest that there ever was."""

    holm: float | None
    holm_ever: float | None
    equivalence: float | None
    equivalence_ever: float | None

    @property
    def p_difference(self) -> float | None:
        """The corrected p of a difference: the larger of those of the two families."""
        return _larger(self.holm, self.holm_ever)

    @property
    def p_equivalence(self) -> float | None:
        """The corrected p of equivalence, likewise; None where no margin was declared."""
        return _larger(self.equivalence, self.equivalence_ever)

    def verdict(self, effect: float | None) -> Verdict:
        """What these say of a difference."""
        return verdict(effect, self.p_difference, equivalent=self.p_equivalence, alpha=ALPHA)

    def behind(self, word: Verdict) -> float | None:
        """The p that makes this the verdict."""
        return self.p_equivalence if word == "equivalent" else self.p_difference


@dataclass(frozen=True)
class Comparison(_Corrected):
    """One group against another on one metric."""

    group: Group
    base: Group
    metric: str
    result: Crossed
    bootstrap: tuple[float, float] | None = None
    chance: float | None = None
    holm: float | None = None
    fdr: float | None = None
    family: int = 1
    """Size of the family that Holm's method corrects over, tested or not."""
    holm_ever: float | None = None
    """The same over the largest family ever declared."""
    family_ever: int = 1
    margin: float | None = None
    """Smaller differences do not matter (a fraction); None where none was declared."""
    equivalence: float | None = None
    """p of two one-sided tests of equivalence within the margin, corrected over the same family (Holm)."""
    equivalence_ever: float | None = None

    @property
    def p(self) -> float | None:
        """The corrected p behind the verdict: of equivalence where it says so, else of a difference."""
        return self.behind(self.word)

    @property
    def word(self) -> Verdict:
        """The verdict, the same wherever the comparison is shown: better, worse, equivalent, not distinguishable, not
        tested."""
        return self.verdict(self.result.effect)

    @property
    def today(self) -> Verdict:
        """What the verdict would be among today's comparisons alone."""
        return verdict(self.result.effect, self.holm, equivalent=self.equivalence, alpha=ALPHA)

    @property
    def sign(self) -> Verdict:
        """The verdict without a margin: whether the difference is shown to be above or below 0."""
        return verdict(self.result.effect, self.p_difference, alpha=ALPHA)

    @property
    def excludes_zero(self) -> bool:
        """Whether the 95 % interval of the comparison alone excludes 0."""
        low, high = self.result.low, self.result.high
        return low is not None and high is not None and (low > 0 or high < 0)

    @property
    def guarded(self) -> bool:
        """Whether p is above 5 % before any correction: it allows for how little few replicates say of their spread."""
        return self.result.p_family is not None and self.result.p_family > ALPHA

    @property
    def few(self) -> bool:
        """Whether so few test images (or groups) carry the difference that its interval is too narrow."""
        return self.result.few

    @cached_property
    def p_equivalent(self) -> float | None:
        """p of two one-sided tests, uncorrected; None where few images carry the difference, or without a margin."""
        return None if self.margin is None or self.few else equivalence_p(self.result, self.margin)

    @cached_property
    def outlook(self) -> Outlook | None:
        """What this comparison could have shown by its own p, uncorrected."""
        return outlook(self.result)

    @property
    def largest_family(self) -> int:
        """For how many comparisons the verdict is corrected: today's, or more that there ever were."""
        return max(self.family, self.family_ever)

    @cached_property
    def detectable(self) -> Range | None:
        """Smallest true difference that the verdict would have shown with 80 % power, if known."""
        return detectable_range(self.result, alpha=ALPHA, tests=self.largest_family)


@dataclass(frozen=True)
class Tested:
    """What one run says of the n test images."""

    predicted: NDArray[np.integer[Any]]
    """(n,) the class that it names."""
    likely: NDArray[np.float32]
    """(n,) the probability that it gives the true class."""


@dataclass(frozen=True)
class HeldOut:
    """What S runs say of the V validation images that they have in common."""

    labels: NDArray[np.int64]
    """(V,)"""
    probabilities: NDArray[np.float32]
    """(S, V, K)"""
    groups: NDArray[Any] | None


@dataclass(frozen=True)
class Predictions:
    """What those runs of a group say that tested the same n images, S runs and K classes.

    groups are the images' patients, slides ..., and folds (1, n) the folds of the networks that tested them, or None.
    """

    replicates: tuple[int, ...]
    labels: NDArray[np.int64]
    """(n,) classes, or (n, K) findings."""
    probabilities: NDArray[np.float32]
    """(S, n, K)"""
    groups: NDArray[Any] | None
    folds: NDArray[Any] | None
    validation: tuple[HeldOut, ...] = ()
    """Where the study chooses by them: one, or one of each fold, by its number; empty where the folds' are gone."""


def tried_on(run: Run, name: str) -> Record | None:
    """The record of a run on a further test set; None where it was not tried there."""
    return run.tests[name].record if name in run.tests else None


def predicted(
    record: Record, select: str, kinds: Sequence[str] = ("test",)
) -> tuple[NDArray[np.int64], NDArray[Any] | None, NDArray[np.float32]]:
    """Labels, groups, and (kinds, n, K) probabilities of the images of a further test set, corrupted or as they are."""
    epoch = record.values["selected"][select]
    with np.load(record.folder / "predictions.npz", allow_pickle=False) as file:
        p = np.stack([file[f"{kind}_{epoch}"] for kind in kinds])
        return file["test_labels"].astype(np.int64), file.get("test_groups"), p


@dataclass(frozen=True)
class OfClass:
    """One group on the test images of one class: recall and precision, and both less the baseline's."""

    group: Group
    number: int
    """Of the class."""
    images: int
    """Test images of the class."""
    recall: Estimate
    precision: Estimate
    """Over the replicates that name the class at least once."""
    result: Crossed | None = None
    """The difference in recall, None of the baseline itself."""
    precision_difference: float | None = None
    runs: tuple[float, ...] = ()
    """The difference in recall of each replicate that both have."""
    fdr: float | None = None
    """The difference's p, corrected over all classes, arms and data sets (Benjamini and Hochberg)."""


@dataclass(frozen=True)
class OfFinding:
    """One group on one of several findings: its AUC, and that less the baseline's."""

    group: Group
    number: int
    """Of the finding."""
    auc: Estimate
    result: Crossed | None = None
    """The difference, None of the baseline itself."""
    runs: tuple[float, ...] = ()
    """The difference of each replicate that both have."""
    holm: float | None = None
    """The difference's p, corrected over all findings and arms of the data set (Holm)."""


@dataclass(frozen=True)
class Across(_Corrected):
    """One arm over all data sets."""

    arm: str
    sampling: str
    meta: MetaAnalysis
    holm: float | None = None
    holm_ever: float | None = None
    """The same over the largest family that was ever declared on a data set."""
    equivalence: float | None = None
    """p of equivalence within the study's margin, corrected as `holm` is."""
    equivalence_ever: float | None = None

    @property
    def p(self) -> float | None:
        """The corrected p behind the verdict: the larger of those of the two families."""
        return self.behind(self.word)

    @property
    def word(self) -> Verdict:
        """The verdict on the mean."""
        return self.verdict(self.meta.effect)


@dataclass(frozen=True)
class ArmResult:
    """What a study says of one arm: on its data set, or on average over all that have a value.

    effect, low, high: the difference to the baseline, and its 95 % interval where there is one.
    word: the verdict on it, corrected over the arms.
    replicates, planned: that both arms have (on all data sets of the mean), and how many the study asks for.
    counts: on how many data sets each verdict was given; datasets: how many went into the mean.
    """

    arm: str
    sampling: str
    effect: float | None
    low: float | None
    high: float | None
    word: Verdict
    counts: Mapping[Verdict, int]
    datasets: int
    reason: str = ""
    replicates: int | None = None
    planned: int | None = None

    @property
    def tested(self) -> int:
        """Data sets with a test."""
        return sum(number for word, number in self.counts.items() if word != "not tested")


def _larger(*p: float | None) -> float | None:
    return max((one for one in p if one is not None), default=None)


def _rows(values: Mapping[int, NDArray[np.float64]]) -> NDArray[np.float64]:
    """Run → (n,) as (runs, n), in the order of their numbers."""
    return np.stack([values[run] for run in sorted(values)]) if values else np.empty((0, 0))


@dataclass(frozen=True)
class Theirs:
    """Our baseline on one data set less what others' networks say of the same test images."""

    dataset: str
    runs: tuple[str, ...]
    """Theirs, by what their files differ by."""
    scores: tuple[float, ...]
    """The primary metric of each of them; empty where it is not defined, or the images are others."""
    comparison: Comparison
    """Its `base` is ours too: theirs is no group of the study."""


class Inference:
    """All tests of a study. Predictions are read once, a data set at a time."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._values: dict[tuple[Cell, str], dict[int, NDArray[np.float64]]] = {}
        self._reasons: dict[tuple[str, str], str] = {}
        self.grouped: dict[str, tuple[int, int]] = {}
        """Data set → numbers of test images and of their groups (patients, slides ...), where records name groups."""
        self.folded: dict[str, int] = {}
        """Data set → number of folds, where every image was tested by the network of its fold."""
        self.labels: dict[str, NDArray[np.int64]] = {}
        """Data set → (n,) classes of its test images, where a run is done and images have one class each."""
        self.left_out: dict[str, list[int]] = {}
        """Data set whose images have several findings → those that the tests leave out of all means."""
        self.tested: dict[Cell, dict[int, Tested]] = {}
        """Cell → replicate → what that run says of each test image; of several findings, nothing."""
        self.predictions: dict[Cell, list[Predictions]] = {}
        """Cell → what its runs say of the test images."""
        self._groups: dict[str, NDArray[Any]] = {}
        self._pairs: dict[str, dict[tuple[Pair, Pair], Comparison]] = {}
        for dataset in results.datasets:
            self._read(dataset)

    def _read(self, dataset: str) -> None:
        known: dict[bytes, NDArray[np.int64]] = {}
        undefined: dict[Any, str | None] = {}
        chooses = bool(self.results.study.operating_points) and self.results.positive(dataset) is not None
        for cell, group in self.results.groups.items():
            if cell[0] != dataset:
                continue
            found: dict[str, dict[int, NDArray[np.float64]]] = {metric: {} for metric in METRICS}
            self.tested[cell] = {}
            batches: dict[Any, tuple[Any, Any, Any, dict[int, NDArray[Any]]]] = {}  # runs of the same images
            held: dict[int, Sequence[_HeldOut]] = {}
            for run in group.done:
                with np.load(run.record.folder / "predictions.npz", allow_pickle=False) as file:
                    epoch = run.selected(self.results.select)
                    probabilities = file[f"test_{epoch}"]
                    truth = file.zip.read("test_labels.npy")  # the same bytes in nearly all runs, parsed once
                    groups, folds = file.get("test_groups"), file.get("test_folds")
                    if truth not in known:
                        known[truth] = file["test_labels"].astype(np.int64)
                    held[run.replicate] = [_held_out(file, epoch)] if chooses and folds is None else []
                if chooses and folds is not None:
                    held[run.replicate] = _of_folds(run, self.results.select)
                labels = known[truth]
                if not several(labels):
                    self.labels[dataset] = labels
                    self.tested[cell][run.replicate] = Tested(
                        probabilities.argmax(1).astype(np.int16), probabilities[np.arange(len(labels)), labels]
                    )
                elif dataset not in self.left_out:
                    self.left_out[dataset] = findings_left_out(labels, groups)
                if groups is not None:
                    self._groups[dataset] = groups
                    self.grouped[dataset] = len(labels), len(np.unique(groups))
                if folds is not None:
                    self.folded[dataset] = len(np.unique(folds))
                cut = None if folds is None else folds[None]
                same = (
                    truth,
                    *(None if of is None else of.tobytes() for of in (groups, cut)),
                    cut is None or run.replicate,
                    *(labels.tobytes() for labels, *_ in held[run.replicate]),
                )
                batches.setdefault(same, (labels, groups, cut, {}))[-1][run.replicate] = probabilities
            self.predictions[cell] = [
                Predictions(
                    tuple(runs),
                    labels,
                    np.stack(list(runs.values())),
                    groups,
                    cut,
                    tuple(_together(each) for each in zip(*(held[s] for s in runs), strict=True)),
                )
                for labels, groups, cut, runs in batches.values()
            ]
            for same, of in zip(batches, self.predictions[cell], strict=True):
                for metric in METRICS:
                    labels, p = of.labels, of.probabilities
                    if (metric, same) not in undefined:  # nearly all arms have the same labels
                        reason = why_undefined(_metric(metric), labels, p.shape[-1], of.groups, of.folds)
                        undefined[metric, same] = reason
                    if (reason := undefined[metric, same]) is None:
                        values = pseudo_values(_metric(metric), p, labels, of.groups, of.folds)
                        found[metric].update(zip(of.replicates, values, strict=True))
                    else:
                        self._reasons[dataset, metric] = reason
            for metric in METRICS:
                self._values[cell, metric] = found[metric]

    @cached_property
    def predictions_elsewhere(self) -> Mapping[str, Mapping[Cell, list[Predictions]]]:
        """Test set from elsewhere, by its name in the plan → cell → what its runs say of it, with the validation images
        where the study chooses by them."""
        return {
            place: {cell: self._elsewhere(cell, name) for cell in self.predictions if cell[0] == dataset}
            for dataset, name, place in self.results.outside
        }

    def _elsewhere(self, cell: Cell, name: str) -> list[Predictions]:
        found = []
        records = {run.replicate: tried_on(run, name) for run in self.results.groups[cell].runs}
        for of in self.predictions[cell]:
            tried = {s: record for s, replicate in enumerate(of.replicates) if (record := records[replicate])}
            if not tried:
                continue
            said = [predicted(record, self.results.select) for record in tried.values()]
            labels, groups, _ = said[0]
            held = tuple(replace(one, probabilities=one.probabilities[list(tried)]) for one in of.validation)
            replicates = tuple(of.replicates[s] for s in tried)
            found.append(Predictions(replicates, labels, np.concatenate([p for *_, p in said]), groups, None, held))
        return found

    def compare(self, group: Group, base: Group, metric: str, *, check: bool = False) -> Comparison:
        """The crossed analysis of two groups of a data set; `check` adds the bootstrap and the chance to win."""
        arm, other = (self._values[(g.dataset, g.arm, g.sampling), metric] for g in (group, base))
        difference = paired(arm, other)
        folds = group.dataset in self.folded
        result = self.analysis(difference, group)
        undefined = self._reasons.get((group.dataset, metric))
        if undefined and result.effect is None:
            result = replace(result, reason=undefined)
        margin = self.margin if metric == self.results.study.primary else None
        if not check or not difference.size:
            return Comparison(group, base, metric, result, margin=margin)
        scores = [g.values(self.results.select, "test", metric) for g in (group, base)]
        return Comparison(
            group,
            base,
            metric,
            result,
            bootstrap=two_level_bootstrap(
                difference, seed=self.results.study.seed, folds=folds, draws=_BOOTSTRAP_DRAWS
            ),
            chance=chance_to_beat(*scores),
            margin=margin,
        )

    @property
    def margin(self) -> float | None:
        """The study's margin as a fraction."""
        margin = self.results.study.margin
        return None if margin is None else margin / 100

    def analysis(self, difference: NDArray[np.float64], group: Group) -> Crossed:
        """The crossed analysis of differences (S, n) on the test images (or groups) of a group's data set."""
        images, _ = self.grouped.get(group.dataset, (None, None))
        return self.elsewhere(difference, group, images=images)

    def elsewhere(self, difference: NDArray[np.float64], group: Group, *, images: int | None) -> Crossed:
        """The same of differences (S, n) on other images; of groups of them, `images` in all."""
        folds = group.dataset in self.folded
        result = crossed(difference, folds=folds, images=images, planned=len(group.runs))
        return replace(result, low=possible(result.low), high=possible(result.high))

    def _unpaired(
        self, ours: Mapping[int, NDArray[np.float64]], theirs: Mapping[int, NDArray[np.float64]], group: Group
    ) -> Crossed:
        """The same of runs that share nothing, {run: (n,) values} of either side."""
        images, _ = self.grouped.get(group.dataset, (None, None))
        result = unpaired(_rows(ours), _rows(theirs), images=images, planned=len(group.runs))
        return replace(result, low=possible(result.low), high=possible(result.high))

    @cached_property
    def tests(self) -> Mapping[Cell, Comparison]:
        """Every arm against the baseline on the primary metric: the confirmatory tests."""
        return self._against_baseline(self.results.study.primary, check=True)

    @property
    def claims(self) -> dict[str, str]:
        """DATASET/ARM/SAMPLING → better, worse or equivalent, of the arms of which sentences say so."""
        return {"/".join(cell): c.word for cell, c in self.tests.items() if c.word in CLAIMS}

    @cached_property
    def exploratory(self) -> Mapping[str, Mapping[Cell, Comparison]]:
        """The same for the other metrics, corrected together (Benjamini and Hochberg)."""
        found = {m: self._against_baseline(m, check=False) for m in METRICS if m != self.results.study.primary}
        together = {(m, cell): c for m, cells in found.items() for cell, c in cells.items()}
        shared = _explored(together)
        return {m: {cell: shared[m, cell] for cell in cells} for m, cells in found.items()}

    def _against_baseline(self, metric: str, *, check: bool) -> dict[Cell, Comparison]:
        results = self.results
        found: dict[Cell, Comparison] = {}
        for dataset in results.datasets:
            base = results.baseline(dataset)
            here = [
                (cell, self.compare(group, base, metric, check=check))
                for cell, group in results.groups.items()
                if base is not None and cell[0] == dataset and cell[1:] != results.reference
            ]
            family = corrected([comparison for _, comparison in here], results.largest_family(dataset))
            found.update({cell: c for (cell, _), c in zip(here, family, strict=True)})
        return _explored(found)

    @cached_property
    def by_class(self) -> Mapping[tuple[Cell, int], OfClass]:
        """Cell and class → its recall and precision, beside the baseline's: exploratory.

        The primary test's crossed analysis, on the images of the class alone: recall is the mean of what is right
        there. Precision has no such images, as those that a run names differ from run to run, so it has no interval.
        """
        results, found = self.results, dict[tuple[Cell, int], OfClass]()
        for dataset, labels in self.labels.items():
            base = results.baseline(dataset)
            for cell, group in results.groups.items():
                if cell[0] == dataset:
                    for number in range(len(results.classes(dataset))):
                        found[cell, number] = self._of_class(group, base, number, labels == number)
        rates = benjamini_hochberg([one.result.p_family if one.result else None for one in found.values()])
        return {key: replace(one, fdr=p) for (key, one), p in zip(found.items(), rates, strict=True)}

    def _of_class(self, group: Group, base: Group | None, number: int, there: NDArray[np.bool_]) -> OfClass:
        cell, images = (group.dataset, group.arm, group.sampling), int(there.sum())
        ours, planned = self.tested[cell], len(group.runs)
        precision = _precision(ours, number, there)
        one = OfClass(
            group,
            number,
            images,
            estimate(
                [float(np.mean(run.predicted[there] == number)) for run in ours.values()] if images else [],
                planned=planned,
            ),
            estimate(list(precision.values()), planned=planned),
        )
        if base is None or base is group:
            return one
        if not images:
            return replace(one, result=Crossed(None, 0, planned, 0, reason="no test image of this class"))
        theirs = self.tested[base.dataset, base.arm, base.sampling]
        groups = self._groups.get(group.dataset)
        difference = paired(_found(ours, number, there), _found(theirs, number, there))
        result = crossed(
            difference,
            groups=None if groups is None else groups[there],
            folds=group.dataset in self.folded,
            planned=planned,
        )
        named = _precision(theirs, number, there)
        both = [precision[s] - named[s] for s in precision.keys() & named.keys()]
        return replace(
            one,
            result=replace(result, low=possible(result.low), high=possible(result.high)),
            precision_difference=float(np.mean(both)) if both else None,
            runs=tuple(float(np.mean(run)) for run in difference),
        )

    @cached_property
    def by_finding(self) -> Mapping[tuple[Cell, int], OfFinding]:
        """Cell and finding → its AUC beside the baseline's, of data sets whose images have several: exploratory.

        The primary test's crossed analysis, of the finding as two classes.
        """
        results, found = self.results, dict[tuple[Cell, int], OfFinding]()
        for dataset in results.of_findings:
            base = results.baseline(dataset)
            here = {
                (cell, number): self._of_finding(group, base, number)
                for cell, group in results.groups.items()
                if cell[0] == dataset
                for number in range(len(results.classes(dataset)))
            }
            compared = {key: one.result.p_family for key, one in here.items() if one.result is not None}
            corrected = dict(zip(compared, holm(list(compared.values())), strict=True))
            found |= {key: replace(one, holm=corrected.get(key)) for key, one in here.items()}
        return found

    def _of_finding(self, group: Group, base: Group | None, number: int) -> OfFinding:
        planned = len(group.runs)
        ours, reason = self._finding_values(group, number)
        scores = [run.scores(self.results.select, "test")["auc_by_finding"][number] for run in group.done]
        one = OfFinding(group, number, estimate([score for score in scores if score is not None], planned=planned))
        if base is None or base is group:
            return one
        theirs, _ = self._finding_values(base, number)
        difference = paired(ours, theirs)
        result = self.analysis(difference, group)
        if result.effect is None and reason:
            result = replace(result, reason=reason)
        return replace(one, result=result, runs=tuple(float(np.mean(run)) for run in difference))

    def _finding_values(self, group: Group, number: int) -> tuple[dict[int, NDArray[np.float64]], str]:
        """Replicate → one value for each test image (or group), whose mean is a finding's AUC; why there is none."""
        found: dict[int, NDArray[np.float64]] = {}
        why = ""
        for of in self.predictions[group.dataset, group.arm, group.sampling]:
            there, p = of.labels[:, number], of.probabilities[..., number]
            reason = why_undefined("auc", there, 2, of.groups)
            if reason is not None:
                units = "test images" if of.groups is None else "groups of test images"
                why = f"it needs two {units} with the finding, and two without"
                continue
            values = pseudo_values("auc", np.stack([-p, p], axis=-1), there, of.groups)
            found.update(zip(of.replicates, values, strict=True))
        return found, why

    @cached_property
    def controls(self) -> Mapping[Cell, Comparison]:
        """Every arm that adds new images against the control that adds as many copies, with the same sampling."""
        results = self.results
        if not any(results.study.arms[name].duplicate for name in results.arms):
            return {}

        def missing(arm: str) -> str:
            return NO_COPIES.get(results.study.arms[arm].how or "", NO_CONTROL)

        return self._against([arm for arm in results.arms if results.generator(arm)], results.control, missing)

    @cached_property
    def unfiltered(self) -> Mapping[Cell, Comparison]:
        """Every arm that filters its images against the one that takes as many as they come, with the same sampling."""
        results = self.results
        filtering = [arm for arm in results.arms if results.study.arms[arm].filter is not None]
        return self._against(filtering, results.unfiltered, lambda arm: NOT_UNFILTERED)

    def _against(
        self, arms: Sequence[str], control: Callable[[str], str | None], missing: Callable[[str], str]
    ) -> dict[Cell, Comparison]:
        """These arms, each against its control, corrected for those of a data set; without one, why it is missing."""
        results, primary = self.results, self.results.study.primary
        found: dict[Cell, Comparison] = {}
        for dataset in results.datasets:
            here: dict[Cell, Comparison] = {}
            for cell, group in results.groups.items():
                if cell[0] != dataset or cell[1] not in arms:
                    continue
                other = results.groups.get((dataset, control(cell[1]) or "", cell[2]))
                if other is None:
                    nothing = Crossed(None, 0, len(group.runs), 0, reason=missing(cell[1]))
                    found[cell] = Comparison(group, group, primary, nothing)
                else:
                    found[cell] = here[cell] = self.compare(group, other, primary)
            found.update(zip(here, corrected(list(here.values())), strict=True))
        return found

    def leaders(self, dataset: str, pairs: Sequence[tuple[str, str]], metric: str) -> frozenset[tuple[str, str]]:
        """Arms of `pairs` that a corrected test cannot distinguish from the best of them, without the best itself."""
        there = {f"{arm} {s}": v for arm, s in pairs if (v := self._values.get(((dataset, arm, s), metric)))}
        if len(there) < 2:
            return frozenset()
        best = best_arms(there, folds=dataset in self.folded, alpha=ALPHA)
        names = {f"{arm} {s}": (arm, s) for arm, s in pairs}
        tied = {names[name] for name in best.not_distinguishable}
        for pair in pairs if metric == self.results.study.primary else ():
            own = self._declared.get(
                _both(self.results.groups[dataset, *pair], self.results.groups[dataset, *names[best.best]])
            )
            if own is not None:
                tied = tied | {pair} if own.sign == "not distinguishable" else tied - {pair}
        return frozenset(tied)

    @cached_property
    def _declared(self) -> Mapping[frozenset[str], Comparison]:
        """The comparisons that the study makes by itself, with its baseline and controls, by the two groups."""
        made = [*self.unfiltered.values(), *self.controls.values(), *self.tests.values()]
        return {_both(c.group, c.base): c for c in made}

    def against(self, dataset: str, base: Pair) -> dict[Pair, Comparison]:
        """Every other arm of a data set against this one on the primary metric, corrected for all of them (Holm).

        Against the baseline these are the study's tests. Empty where the data set has no such arm.
        """
        results = self.results
        other = results.groups.get((dataset, *base))
        if other is None:
            return {}
        if base == results.reference:
            return {cell[1:]: c for cell, c in self.tests.items() if cell[0] == dataset}
        chosen = [pair for pair in results.variants(dataset) if pair != base]
        groups = {pair: results.groups[dataset, *pair] for pair in chosen if (dataset, *pair) in results.groups}
        every = {pair: self.compare(group, other, results.study.primary) for pair, group in groups.items()}
        return dict(zip(every, corrected(list(every.values())), strict=True))

    def pairs(self, dataset: str) -> dict[tuple[Pair, Pair], Comparison]:
        """Every arm of a data set against every other on the primary metric.

        A comparison that the study makes anyway, with its baseline or with copies, has the p of its own family there.
        Every other is corrected for all pairs of the data set (Holm).
        """
        if dataset not in self._pairs:
            self._pairs[dataset] = self._compared(dataset)
        return self._pairs[dataset]

    def between(self, dataset: str, arm: Pair, base: Pair) -> Comparison | None:
        """One arm less another as `pairs` has it; less the baseline, the study's test. None without one of them."""
        if base == self.results.reference:
            return self.tests.get((dataset, *arm))
        every = self.pairs(dataset)
        found, back = every.get((arm, base)), every.get((base, arm))
        if found is None and back is not None:
            result = self.compare(back.base, back.group, back.metric).result
            found = replace(back, group=back.base, base=back.group, result=result)
        return found

    def _compared(self, dataset: str) -> dict[tuple[Pair, Pair], Comparison]:
        groups = {pair: self.results.groups[dataset, *pair] for pair in self.results.variants(dataset)}
        found = {
            (one, other): self.compare(groups[one], groups[other], self.results.study.primary)
            for one, other in combinations(groups, 2)
        }
        every = {}
        for pair, c in zip(found, corrected(list(found.values())), strict=True):
            own = self._declared.get(_both(c.group, c.base), c)  # perhaps the other way round, with the same p
            every[pair] = replace(
                own, group=c.group, base=c.base, result=c.result, bootstrap=None, chance=None, fdr=None
            )
        return every

    def beside(self, other: "Inference") -> dict[Cell, Comparison]:
        """The cells that another study has too, less what it found, on the primary metric, corrected for all (Holm).

        Tested where both studies tested the same images. With one seed replicates of one number are paired, as those of
        two arms are. With two seeds runs share nothing, and none are; but with folds, where `unpaired` has no form.
        """
        results, theirs, primary = self.results, other.results, self.results.study.primary
        seeds = {results.study.seed, theirs.study.seed}
        found: dict[Cell, Comparison] = {}
        for cell, group in results.groups.items():
            base = theirs.groups.get(cell)
            if base is None:
                continue
            if results.plan.data[cell[0]] == theirs.plan.data[cell[0]]:
                one, two = self._values[cell, primary], other._values[cell, primary]
                if len(seeds) == 1 or cell[0] in self.folded:
                    result = self.analysis(paired(one, two), group)
                else:
                    result = self._unpaired(one, two, group)
            else:
                result = Crossed(None, 0, len(group.runs), 0, reason=OTHER_IMAGES)
            found[cell] = Comparison(group, base, primary, result, margin=self.margin)
        return dict(zip(found, corrected(list(found.values())), strict=True))

    def theirs(self, name: str) -> list["Theirs"]:
        """The baseline of each data set less the runs of others of which the study names prediction files.

        On the primary metric, corrected over the data sets (Holm). Their runs share nothing with our replicates: none
        is paired with another, and the order of their files decides nothing.
        """
        found = []
        for dataset, part in self.results.study.datasets.items():
            group = self.results.baseline(dataset)
            if group is None or not isinstance(part, MedMnistData):
                continue
            if files := predicted_files(self.results.predictions[name], part.name or dataset):
                found.append(self._theirs(group, files))
        family = corrected([one.comparison for one in found])
        return [replace(one, comparison=c) for one, c in zip(found, family, strict=True)]

    def _theirs(self, group: Group, files: Mapping[str, Path]) -> "Theirs":
        cell, metric = (group.dataset, group.arm, group.sampling), self.results.study.primary
        ours = self._values[cell, metric]
        reason, values = "", np.empty((0, 0))
        if not self.predictions[cell]:
            reason = group.reason or "no run of ours is done"
        else:
            of = self.predictions[cell][0]
            read = [_predicted(path, of) for path in files.values()]
            there = [probabilities for probabilities in read if probabilities is not None]
            if len(there) < len(read):
                reason = "their files are of other test images, or cannot be read any more"
            else:
                reason = self._reasons.get((group.dataset, metric), "")
            if not reason:
                values = pseudo_values(_metric(metric), np.stack(there), of.labels, of.groups)
        result = self._unpaired(ours, dict(enumerate(values)), group)
        if result.effect is None and reason:
            result = replace(result, reason=reason)
        comparison = Comparison(group, group, metric, result, margin=self.margin)
        return Theirs(group.dataset, tuple(files), tuple(float(run.mean()) for run in values), comparison)

    def best_over(self, dataset: str, pairs: Sequence[Pair], base: Pair) -> Comparison | None:
        """Of `pairs`, the arm with the highest mean primary metric, against `base`: as `against` has it."""
        every = self.against(dataset, base)
        chosen = [every[pair] for pair in pairs if pair in every]
        found = [(c.group.estimate(self.results.select, "test", c.metric).mean, c) for c in chosen]
        there = [(mean, c) for mean, c in found if mean is not None]
        return max(there, key=lambda pair: pair[0])[1] if there else None

    # --- across data sets ---

    @cached_property
    def across(self) -> list[Across]:
        """Mean of every arm's differences over the data sets, corrected over the arms (Holm)."""
        results = self.results
        found = []
        for arm, sampling in results.variants():
            if (arm, sampling) == results.reference:
                continue
            here = {d: c for (d, *pair), c in self.tests.items() if tuple(pair) == (arm, sampling)}
            found.append(Across(arm, sampling, self.mean_over(here)))
        largest = max((results.largest_family(dataset) for dataset in results.datasets), default=0)
        tests = _holm([one.meta.p for one in found], largest)
        margin, means = self.margin, [one.meta.analysis for one in found]
        same = _holm([equivalence_p(mean, margin) if mean and margin else None for mean in means], largest)
        return [
            replace(one, holm=p, holm_ever=ever, equivalence=q, equivalence_ever=q_ever)
            for one, (p, ever), (q, q_ever) in zip(found, tests, same, strict=True)
        ]

    def mean_over(self, found: Mapping[str, Comparison]) -> MetaAnalysis:
        """The mean of one arm's differences to another over the data sets by which the comparisons are listed."""
        # By replicate, over the replicates that all data sets with a test have.
        runs = {d: self.by_replicate(c) for d, c in found.items() if c.result.replicates > 1}
        shared = sorted(set.intersection(*(set(of) for of in runs.values()))) if runs else []
        meta = mean_over_datasets(
            np.array([[runs[d][s] for d in runs] for s in shared]).reshape(len(shared), len(runs)),
            [found[d].result.se for d in runs],
            planned=len(self.results.datasets),
        )
        return replace(
            meta,
            low=possible(meta.low),
            high=possible(meta.high),
            prediction_low=possible(meta.prediction_low),
            prediction_high=possible(meta.prediction_high),
        )

    @cached_property
    def by_effect(self) -> list[ArmResult]:
        """Every arm but the baseline, and the controls that copy real images after the others. Of both the largest
        difference first, those without a value last."""
        found = []
        for one in self.across:
            cell = one.arm, one.sampling
            here = [c for (_, *pair), c in self.tests.items() if tuple(pair) == cell]
            counts = Counter(c.word for c in here)
            effects = [c.result.effect for c in here if c.result.effect is not None]
            if len(self.results.datasets) == 1:
                r = here[0].result
                word, why = here[0].word, r.reason or ""
                one_arm = ArmResult(*cell, r.effect, r.low, r.high, word, counts, 1, why, r.replicates)
            elif one.meta.effect is not None:
                m = one.meta
                one_arm = ArmResult(*cell, m.effect, m.low, m.high, one.word, counts, m.datasets, "", m.replicates)
            else:
                mean = float(np.mean(effects)) if effects else None
                reason = one.meta.reason or ""
                one_arm = ArmResult(*cell, mean, None, None, "not tested", counts, len(effects), reason)
            found.append(replace(one_arm, planned=max((len(c.group.runs) for c in here), default=None)))
        is_copies = self.results.is_copies
        return sorted(found, key=lambda one: (is_copies(one.arm), one.effect is None, -(one.effect or 0.0)))

    def by_replicate(self, c: Comparison) -> dict[int, float]:
        """Replicate → the metric of the one group less that of the other, where both have it."""
        arm, base = (self.of_runs(group, c.metric) for group in (c.group, c.base))
        return {s: arm[s] - base[s] for s in sorted(arm.keys() & base.keys())}

    def of_runs(self, group: Group, metric: str) -> dict[int, float]:
        """Replicate → the metric as the tests have it, mean of one value for each test image (or group of them)."""
        return {s: float(one.mean()) for s, one in self.values(group, metric).items()}

    def values(self, group: Group, metric: str) -> Mapping[int, NDArray[np.float64]]:
        """Replicate → (n,) one value for each test image (or group of them), whose mean is the metric."""
        return self._values[(group.dataset, group.arm, group.sampling), metric]

    def level(self, group: Group, metric: str) -> Crossed:
        """The crossed analysis of its metric itself: how far it may be off, for other runs and other test images."""
        return self.analysis(_rows(self.values(group, metric)), group)

    @cached_property
    def ranks(self) -> tuple[list[tuple[str, str]], Friedman]:
        """Friedman's test over the data sets, on the mean primary metric of arms that every data set has."""
        results, nan = self.results, float("nan")
        variants = results.variants()
        scores = []
        for dataset in results.datasets:
            row = []
            for pair in variants:
                group = results.groups.get((dataset, *pair))
                mean = group.estimate(results.select, "test", results.study.primary).mean if group else None
                row.append(nan if mean is None else mean)
            scores.append(row)
        return variants, friedman(scores, alpha=ALPHA)

    @property
    def reach(self) -> Reach:
        """Whether an arm that wins on every data set could be called significant by counting wins."""
        return reach(len(self.results.datasets), max(1, len(self.results.variants()) - 1), alpha=ALPHA)

    def variances(self, dataset: str) -> Components | None:
        """Variance components of the difference of one image (or group), mean over the data set's comparisons."""
        found = [c.result.variances for (name, *_), c in self.tests.items() if name == dataset and c.result.variances]
        if not found:
            return None
        return Components(
            *(float(np.mean([getattr(v, part) for v in found])) for part in ("replicate", "image", "residual"))
        )


_HeldOut = tuple[NDArray[np.int64], NDArray[np.float32], NDArray[Any] | None]
"""Labels, probabilities and groups of one run's validation images."""


def held_out(run: Run, select: str) -> Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]]:
    """Labels and probabilities of a run's validation images, or of those of each of its folds; empty where a fold's
    classifier is gone."""
    if run.folds:
        return [(labels, p) for labels, p, _ in _of_folds(run, select)]
    with np.load(run.record.folder / "predictions.npz", allow_pickle=False) as file:
        labels, p, _ = _held_out(file, run.selected(select))
    return [(labels, p)]


def _held_out(file: Any, epoch: str) -> _HeldOut:
    return file["validation_labels"].astype(np.int64), file[f"validation_{epoch}"], file.get("validation_groups")


def _of_folds(run: Run, select: str) -> list[_HeldOut]:
    """Of each fold of a run, from the classifiers of the folds; empty where one of them is gone."""
    found = []
    for part in run.parts:
        if part.record is None:
            return []
        with np.load(part.record.folder / "predictions.npz", allow_pickle=False) as file:
            found.append(_held_out(file, str(part.record.values["selected"][select])))
    return found


def _together(runs: Sequence[_HeldOut]) -> HeldOut:
    labels, _, groups = runs[0]
    return HeldOut(labels, np.stack([probabilities for _, probabilities, _ in runs]), groups)


def _both(one: Group, other: Group) -> frozenset[str]:
    return frozenset((one.name, other.name))


def _found(runs: Mapping[int, Tested], number: int, there: NDArray[np.bool_]) -> dict[int, NDArray[np.bool_]]:
    """Replicate → which of the class's images it names as the class."""
    return {s: run.predicted[there] == number for s, run in runs.items()}


def _precision(runs: Mapping[int, Tested], number: int, there: NDArray[np.bool_]) -> dict[int, float]:
    """Replicate → the share of the images named as the class that are of it; not where none is named so."""
    named = {s: run.predicted == number for s, run in runs.items()}
    return {s: np.count_nonzero(some & there) / np.count_nonzero(some) for s, some in named.items() if some.any()}


def possible(edge: float | None) -> float | None:
    """An interval's end, clipped to -1..1: metrics lie in 0..1, but few replicates can give wider intervals."""
    return None if edge is None else min(max(edge, -1.0), 1.0)


def _explored(family: Mapping[Any, Comparison]) -> dict[Any, Comparison]:
    """The comparisons with p corrected over all of them (Benjamini and Hochberg)."""
    rates = benjamini_hochberg([comparison.result.p_family for comparison in family.values()])
    return {key: replace(c, fdr=p) for (key, c), p in zip(family.items(), rates, strict=True)}


def corrected(family: Sequence[Comparison], ever: int = 0) -> list[Comparison]:
    """Comparisons that belong together, each with its p by Holm; and by Holm among `ever`, where those are more.

    Of comparisons that are no longer there the p is not known. It is taken for large, which is the safe side.
    """
    ever = max(ever, len(family))
    tests = _holm([comparison.result.p_family for comparison in family], ever)
    same = _holm([comparison.p_equivalent for comparison in family], ever)
    return [
        replace(c, holm=p, family=len(family), holm_ever=most, family_ever=ever, equivalence=q, equivalence_ever=q_most)
        for c, (p, most), (q, q_most) in zip(family, tests, same, strict=True)
    ]


def _holm(p: Sequence[float | None], ever: int) -> list[tuple[float | None, float | None]]:
    """Each p by Holm, and by Holm among `ever` where those are more."""
    most = holm([*p, *[None] * (ever - len(p))])[: len(p)]
    return list(zip(holm(p), most, strict=True))


def _predicted(path: Path, ours: Predictions) -> NDArray[np.float64] | None:
    """What a file of others says of the images of ours; None where it is of other images, or cannot be read now."""
    n, classes = ours.probabilities.shape[1:]
    try:
        return load_predicted(path, images=n, classes=classes, several=several(ours.labels))
    except DataError:
        return None


def _metric(name: str) -> Metric:
    return name  # type: ignore[return-value]
