"""The study's tests: every arm against the declared baseline, corrected for how many there are.

Statistics come from `medaug_keras.stats`; here it is decided which runs are compared with which, and over what is
corrected: Holm over the arms of a data set (confirmatory), Benjamini and Hochberg over all cells (exploratory).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from medaug_keras.stats import (
    Components,
    Crossed,
    Friedman,
    MetaAnalysis,
    Metric,
    Outlook,
    Reach,
    Verdict,
    benjamini_hochberg,
    best_arms,
    chance_to_beat,
    crossed,
    friedman,
    holm,
    outlook,
    paired,
    pseudo_values,
    random_effects,
    reach,
    two_level_bootstrap,
    verdict,
    why_undefined,
)

from .results import METRICS, Group, Results

ALPHA = 0.05
_BOOTSTRAP_DRAWS = 1000

Cell = tuple[str, str, str]
"""Data set, arm, sampling."""


@dataclass(frozen=True)
class Comparison:
    """One group against another on one metric."""

    group: Group
    base: Group
    metric: str
    result: Crossed
    bootstrap: tuple[float, float] | None = None
    chance: float | None = None
    holm: float | None = None
    fdr: float | None = None

    @property
    def word(self) -> Verdict:
        """better, worse, not distinguishable, or not tested: by the p that Holm corrected."""
        return verdict(self.result.effect, self.holm, alpha=ALPHA)

    @property
    def outlook(self) -> Outlook | None:
        """What this comparison could have shown."""
        return outlook(self.result)


@dataclass(frozen=True)
class Across:
    """One arm over all data sets."""

    arm: str
    sampling: str
    meta: MetaAnalysis
    holm: float | None = None


class Inference:
    """All tests of a study. Predictions are read once, a data set at a time."""

    def __init__(self, results: Results) -> None:
        self.results = results
        self._values: dict[tuple[Cell, str], dict[int, NDArray[np.float64]]] = {}
        self._reasons: dict[tuple[str, str], str] = {}
        for dataset in results.datasets:
            self._read(dataset)

    def _read(self, dataset: str) -> None:
        for cell, group in self.results.groups.items():
            if cell[0] != dataset:
                continue
            found: dict[str, dict[int, NDArray[np.float64]]] = {metric: {} for metric in METRICS}
            for run in group.done:
                with np.load(run.record.folder / "predictions.npz", allow_pickle=False) as file:
                    probabilities, labels = file[f"{self.results.epoch}_test"], file["test_labels"]
                for metric in METRICS:
                    reason = why_undefined(_metric(metric), labels, probabilities.shape[1])
                    if reason is None:
                        values = pseudo_values(_metric(metric), probabilities[None], labels)[0]
                        found[metric][run.replicate] = values
                    else:
                        self._reasons[dataset, metric] = reason
            for metric in METRICS:
                self._values[cell, metric] = found[metric]

    def compare(self, group: Group, base: Group, metric: str, *, check: bool = False) -> Comparison:
        """The crossed analysis of two groups of a data set; `check` adds the bootstrap and the chance to win."""
        arm, other = (self._values[(g.dataset, g.arm, g.sampling), metric] for g in (group, base))
        difference = paired(arm, other)
        result = crossed(difference, planned=len(group.runs))
        undefined = self._reasons.get((group.dataset, metric))
        if undefined and result.effect is None:
            result = replace(result, reason=undefined)
        if not check or not difference.size:
            return Comparison(group, base, metric, result)
        scores = [g.values(self.results.epoch, "test", metric) for g in (group, base)]
        return Comparison(
            group,
            base,
            metric,
            result,
            bootstrap=two_level_bootstrap(difference, seed=self.results.study.seed, draws=_BOOTSTRAP_DRAWS),
            chance=chance_to_beat(*scores),
        )

    @cached_property
    def tests(self) -> Mapping[Cell, Comparison]:
        """Every arm against the baseline on the primary metric: the confirmatory tests."""
        return self._against_baseline(self.results.study.primary, check=True)

    @cached_property
    def exploratory(self) -> Mapping[str, Mapping[Cell, Comparison]]:
        """The same on the other metrics."""
        return {m: self._against_baseline(m, check=False) for m in METRICS if m != self.results.study.primary}

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
            corrected = holm([comparison.result.p_family for _, comparison in here])
            found.update({cell: replace(c, holm=p) for (cell, c), p in zip(here, corrected, strict=True)})
        rates = benjamini_hochberg([comparison.result.p_family for comparison in found.values()])
        return {cell: replace(c, fdr=p) for (cell, c), p in zip(found.items(), rates, strict=True)}

    @cached_property
    def controls(self) -> Mapping[Cell, Comparison]:
        """Every arm that adds new images against the control that adds copies, with the same sampling."""
        results = self.results
        copies = next((name for name in results.arms if results.study.arms[name].duplicate is not None), None)
        found: dict[Cell, Comparison] = {}
        for dataset in results.datasets if copies else ():
            here = [
                (cell, self.compare(group, results.groups[dataset, str(copies), cell[2]], results.study.primary))
                for cell, group in results.groups.items()
                if cell[0] == dataset and results.generator(cell[1]) and (dataset, copies, cell[2]) in results.groups
            ]
            corrected = holm([comparison.result.p_family for _, comparison in here])
            found.update({cell: replace(c, holm=p) for (cell, c), p in zip(here, corrected, strict=True)})
        return found

    def leaders(self, dataset: str, pairs: Sequence[tuple[str, str]], metric: str) -> frozenset[tuple[str, str]]:
        """Those of some arms that a corrected test does not tell from the best of them, without the best itself."""
        there = {f"{arm} {s}": v for arm, s in pairs if (v := self._values.get(((dataset, arm, s), metric)))}
        if len(there) < 2:
            return frozenset()
        best = best_arms(there, alpha=ALPHA)
        names = {f"{arm} {s}": (arm, s) for arm, s in pairs}
        return frozenset(names[name] for name in best.not_distinguishable)

    def best_over(self, dataset: str, pairs: Sequence[tuple[str, str]], base: tuple[str, str]) -> Comparison | None:
        """The arm of `pairs` with the highest mean primary metric against `base`, corrected for the choice (Holm)."""
        results, metric = self.results, self.results.study.primary
        other = results.groups.get((dataset, *base))
        groups = [g for pair in pairs if (g := results.groups.get((dataset, *pair))) is not None and g.done]
        if other is None or not other.done or not groups:
            return None
        every = [self.compare(group, other, metric) for group in groups]
        corrected = holm([comparison.result.p_family for comparison in every])
        found = [group.estimate(results.epoch, "test", metric).mean for group in groups]
        means = [-1.0 if mean is None else mean for mean in found]  # below any metric
        best = means.index(max(means))
        return replace(every[best], holm=corrected[best])

    # --- across data sets ---

    @cached_property
    def across(self) -> list[Across]:
        """Random-effects mean of every arm's differences over the data sets, corrected over the arms (Holm)."""
        results = self.results
        found = []
        for arm, sampling in results.variants():
            if (arm, sampling) == results.reference:
                continue
            here = [c.result for (_, *pair), c in self.tests.items() if tuple(pair) == (arm, sampling)]
            tested = [(r.effect, r.se) for r in here if r.effect is not None and r.se is not None]
            meta = random_effects([e for e, _ in tested], [s for _, s in tested], planned=len(results.datasets))
            found.append(Across(arm, sampling, meta))
        corrected = holm([one.meta.p for one in found])
        return [replace(one, holm=p) for one, p in zip(found, corrected, strict=True)]

    @cached_property
    def ranks(self) -> tuple[list[tuple[str, str]], Friedman]:
        """Friedman's test over the data sets, of the mean primary metric of all arms that are on each of them."""
        results, nan = self.results, float("nan")
        variants = results.variants()
        scores = []
        for dataset in results.datasets:
            row = []
            for pair in variants:
                group = results.groups.get((dataset, *pair))
                mean = group.estimate(results.epoch, "test", results.study.primary).mean if group else None
                row.append(nan if mean is None else mean)
            scores.append(row)
        return variants, friedman(scores, alpha=ALPHA)

    @property
    def reach(self) -> Reach:
        """Whether an arm that wins on every data set could be called significant by counting wins."""
        return reach(len(self.results.datasets), max(1, len(self.results.variants()) - 1), alpha=ALPHA)

    def variances(self, dataset: str) -> Components | None:
        """Variance components of one image's difference, mean over the data set's comparisons."""
        found = [c.result.variances for (name, *_), c in self.tests.items() if name == dataset and c.result.variances]
        if not found:
            return None
        return Components(
            *(float(np.mean([getattr(v, part) for v in found])) for part in ("replicate", "image", "residual"))
        )


def _metric(name: str) -> Metric:
    return name  # type: ignore[return-value]
