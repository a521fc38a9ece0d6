"""What a study's records say, in the order in which pages show it. No number is made up or left out here.

A *run* is one cell of the plan, done or not; a *group* is the runs of one data set, arm and sampling: the replicates.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from statistics import median
from typing import Any, get_args

from medaug_keras import references
from medaug_keras.data import KINDS, checks, learnt, rarest_share, warnings
from medaug_keras.data.medmnist import TITLES as MEDMNIST_TITLES
from medaug_keras.data.phantoms import TITLES as PHANTOM_TITLES
from medaug_keras.labels import SEVERAL, row_names
from medaug_keras.looks import Looks, line, looked, note
from medaug_keras.measures import MEASURES
from medaug_keras.plan import Making, Plan, Pretraining, Task, trained_images, training_set, updates
from medaug_keras.report.format import count, distinct, in_sentence, percent, together
from medaug_keras.report.numbers import published
from medaug_keras.spec import Metric, Study, place_of_test
from medaug_keras.stats import Estimate, estimate
from medaug_keras.store import STATES, Outcome, Record, Store

LEAK = "test images in training"
NEAR = "test images nearly in training"
PARTED = "test groups in training"
_LEARNT = {"images": LEAK, "near": NEAR, "groups": PARTED}
METRICS = {metric: MEASURES[metric].label for metric in get_args(Metric)}
"""Metric → how it is called."""
STATE_WORDS: dict[str, str] = {
    **{state: state for state in STATES},
    "running": "being made",
    "pending": "not run yet",
}
"""State of a task → its words."""
SAMPLINGS = {"shuffle": "shuffled", "weighted": "weighted"}

AWAY = "cannot be read now"
"""Mark of a data set that is no longer where it was when its tasks ran."""
DEGENERATE = {
    "one class": "one class for every test image",
    "first epoch": "network of the first epoch",
    "majority": "no more accurate than always naming the largest class",
}
"""Sign that a run's accuracy says little about what the network learned → its words."""
SELECT_WORDS = {
    "best_validation_accuracy": "best validation accuracy",
    "best_validation_auc": "best validation AUC",
    "best_validation_balanced_accuracy": "best validation balanced accuracy",
    "best_validation_loss": "lowest validation loss",
    "last": "last epoch",
}
"""Rule for choosing an epoch → its words."""


_TITLES = {**MEDMNIST_TITLES, **PHANTOM_TITLES}
"""Titles of data sets that the study gives none."""
MANY_RUNS = 800
"""With more runs than this, the replicates of an arm share a page, and a row in the table of runs."""
TRIED = ("done", "failed", "damaged")
"""States of a run that has a page."""


@dataclass(frozen=True)
class Run:
    """One classifier run of the study, done or not."""

    dataset: str
    arm: str
    sampling: str
    replicate: int
    task: str
    outcome: Outcome
    shared: bool = False
    """Whether it shares a page with the other replicates."""
    parts: tuple[Outcome, ...] = ()
    """Of the classifiers of its folds."""
    tests: Mapping[str, Outcome] = field(default_factory=dict)
    """Further test set → what became of the task that tries the classifier on it."""

    @property
    def name(self) -> str:
        """Name of the run's page. The parts are checked names without dots."""
        return f"{self.dataset}.{self.arm}.{self.sampling}.{self.replicate}"

    @property
    def tried(self) -> bool:
        """Whether it has a page."""
        return self.outcome.state in TRIED

    @property
    def page(self) -> str:
        """The run's page, from the study's folder; empty if it has none."""
        if not self.tried:
            return ""
        return f"runs/{self.name.rpartition('.')[0]}.html#{self.anchor}" if self.shared else f"runs/{self.name}.html"

    @property
    def anchor(self) -> str:
        """Its anchor on a shared page."""
        return f"replicate-{self.replicate}"

    @property
    def done(self) -> bool:
        """Whether there is a record."""
        return self.outcome.state == "done"

    @property
    def record(self) -> Record:
        """The record of a run that is done."""
        if self.outcome.record is None:
            raise ValueError(f"{self.name} has no record: {self.outcome.reason}")
        return self.outcome.record

    def times(self, of: Callable[[Record], float | None]) -> list[float]:
        """A time of all records that made a done run: of its folds, too. Empty where one of them has none."""
        records = [self.record, *(one.record for one in self.parts if one.record is not None)]
        found = [float(time) for record in records if (time := of(record)) is not None]
        return found if len(found) == 1 + len(self.parts) else []

    @property
    def folds(self) -> Sequence[Mapping[str, Any]]:
        """What each fold of a done run measured; empty where it has no folds."""
        found: Sequence[Mapping[str, Any]] = self.record.values.get("folds", ())
        return found

    @property
    def tuned(self) -> Sequence[Mapping[str, Any]]:
        """How the learning rate of a done run was chosen, of each of its folds; empty where it was not tuned."""
        return [one["tuned"] for one in self.folds or (self.record.values,) if "tuned" in one]

    def epoch(self, select: str) -> int | None:
        """The epoch of a done run, from 1, that a rule chooses; None where every fold has one of its own."""
        return None if self.folds else int(self.record.values["selected"][select])

    def epochs(self, select: str) -> list[int]:
        """The epochs that a rule chooses: one, or one of each fold."""
        return [int(one["selected"][select]) for one in self.folds or (self.record.values,)]

    def selected(self, select: str) -> str:
        """By what scores and predictions of a done run are named, where a rule chooses: the epoch, or the rule where
        there are folds."""
        return str(self.record.values["selected"][select])

    def scores(self, select: str, split: str) -> Mapping[str, Any]:
        """Everything measured of a done run at the epoch that a rule chooses."""
        found: Mapping[str, Any] = self.record.values["scores"][self.selected(select)][split]
        return found

    def metric(self, select: str, split: str, metric: str) -> float | None:
        """A metric of a done run, or least_recall, at the epoch that a rule chooses; None where it is not defined."""
        found = self.scores(select, split)
        value = least_recall(found) if metric == "least_recall" else found[metric]
        return None if value is None else float(value)

    def degenerate(self, select: str) -> tuple[str, ...]:
        """Signs that a done run's accuracy says little about what the network learned: keys of `DEGENERATE`."""
        first = median(self.epochs(select)) == 1 < int(self.record.values["epochs"])
        confusion = self.confusion(select)
        if confusion is None:  # a network that names none of several rare findings may order the images well
            return ("first epoch",) if first else ()
        return degenerate(confusion, first_epoch=first)

    def confusion(self, select: str) -> Sequence[Sequence[int]] | None:
        """(K, K) counts of a done run's test images, a row for each true class; None where images have several
        findings."""
        found: Sequence[Sequence[int]] | None = self.scores(select, "test").get("confusion")
        return found


def degenerate(confusion: Sequence[Sequence[int]], *, first_epoch: bool = False) -> tuple[str, ...]:
    """Signs that an accuracy says little, by its (K, K) confusion matrix, a row for each true class."""
    right = sum(row[k] for k, row in enumerate(confusion))
    signs = {
        "one class": sum(any(column) for column in zip(*confusion, strict=True)) == 1,
        "first epoch": first_epoch,
        "majority": right <= max(map(sum, confusion)),
    }
    return tuple(sign for sign, there in signs.items() if there)


@dataclass(frozen=True)
class Group:
    """The replicates of one data set, arm and sampling."""

    dataset: str
    arm: str
    sampling: str
    runs: tuple[Run, ...]
    table: str = "runs.html"
    """The page with their rows in the table of runs."""

    @property
    def name(self) -> str:
        """Anchor of the group in the table of runs, and name of the page that its runs share where they do."""
        return f"{self.dataset}.{self.arm}.{self.sampling}"

    @property
    def tried(self) -> bool:
        """Whether any of them has a page."""
        return any(run.tried for run in self.runs)

    @property
    def page(self) -> str:
        """Where the runs of this group are: a page of their own, or their rows in the table of runs."""
        if self.tried and (self.runs[0].shared or len(self.runs) == 1):
            return self.runs[0].page if len(self.runs) == 1 else f"runs/{self.name}.html"
        return f"{self.table}#{self.name}"

    @property
    def done(self) -> tuple[Run, ...]:
        """The replicates that have a record."""
        return tuple(run for run in self.runs if run.done)

    @property
    def reason(self) -> str:
        """Why replicates are missing, in words; empty where none is."""
        missing = [run.outcome for run in self.runs if not run.done]
        words = []
        for state in reversed(STATES):
            here = [outcome for outcome in missing if outcome.state == state]
            if here:
                count = f"{len(here)} of {len(self.runs)} " if len(self.runs) > 1 else ""
                words.append(f"{count}{state}: {here[0].reason}")
        return "; ".join(words)

    def degenerate(self, select: str) -> tuple[Run, ...]:
        """The done runs whose network is degenerate."""
        return tuple(run for run in self.done if run.degenerate(select))

    def signs(self, select: str) -> dict[str, int]:
        """Sign of `DEGENERATE` → number of done runs with it; only signs that occur."""
        found = Counter(sign for run in self.done for sign in run.degenerate(select))
        return {sign: found[sign] for sign in DEGENERATE if found[sign]}

    def values(self, select: str, split: str, metric: str) -> list[float]:
        """The metric of every done run in which it is defined."""
        if (select, split, metric) not in self._values:
            found = [run.metric(select, split, metric) for run in self.done]
            self._values[select, split, metric] = [value for value in found if value is not None]
        return self._values[select, split, metric]

    @cached_property
    def _values(self) -> dict[tuple[str, str, str], list[float]]:
        return {}

    def estimate(self, select: str, split: str, metric: str) -> Estimate:
        """Mean, spread and number of replicates of a metric."""
        return estimate(self.values(select, split, metric), planned=len(self.runs))


class Results:
    """A study, its plan, and the outcome of every task."""

    def __init__(self, study: Study, plan: Plan, store: Store) -> None:
        self.study, self.plan, self.root = published.study(study), plan, store.root
        self.predictions: Mapping[str, str] = study.predictions
        """Where prediction files of others lie, by reference: no page says it."""
        # What was changed or lost since it was made must not reach a table.
        found = store.outcomes(plan, check_files=True)
        self.outcomes: Mapping[str, Outcome] = {
            task: published.outcome(outcome, plan.tasks[task], store.root) for task, outcome in found.items()
        }
        self.select: str = study.select
        """The rule that chooses the epochs whose metrics the tables show."""

    @cached_property
    def looks(self) -> Looks:
        """Earlier looks at these results, and what was declared then."""
        done = [task for task, outcome in self.outcomes.items() if outcome.state == "done"]
        return looked(self.root, self.study, self.plan, done)

    def largest_family(self, dataset: str) -> int:
        """The largest number of arms ever compared with this data set's baseline, according to the log."""
        base = self.baseline(dataset)
        return self.looks.largest.get(base.runs[0].task, 0) if base else 0

    # --- what was asked ---

    @cached_property
    def references(self) -> tuple[references.Reference, ...]:
        """Publications, with those of their printed values that stand beside ours."""
        networks = {name: (arm.classifier or self.study.classifier).kind for name, arm in self.study.arms.items()}
        sizes = {name: data.side for name, data in self.study.datasets.items()}
        return tuple(references.load(name).beside(networks, sizes) for name in self.study.shown_references)

    @cached_property
    def by_look(self) -> tuple[str, ...]:
        """All arms of the study file in the order that gives them their colors and marks: the baseline first."""
        base = self.study.baseline.arm
        return (base, *(arm for arm in self.study.arms if arm != base))

    @cached_property
    def datasets(self) -> tuple[str, ...]:
        """In the order of the study file."""
        return tuple(name for name in self.study.datasets if name in self.plan.data)

    @cached_property
    def arms(self) -> tuple[str, ...]:
        """In the order of the study file."""
        used = {run.arm for run in self.plan.runs}
        return tuple(name for name in self.study.arms if name in used)

    @cached_property
    def samplings(self) -> tuple[str, ...]:
        """Shuffled before weighted."""
        used = {run.sampling for run in self.plan.runs}
        return tuple(name for name in SAMPLINGS if name in used)

    @cached_property
    def replicates(self) -> int:
        """Number of replicates in the plan."""
        return len({run.replicate for run in self.plan.runs})

    def title(self, dataset: str) -> str:
        """A data set's display name, unique within the study."""
        return self._titles[dataset]

    def title_of(self, dataset: str) -> str:
        """The same of a data set that the study may not have."""
        return self._titles.get(dataset) or _TITLES.get(dataset, dataset)

    def label(self, arm: str) -> str:
        """An arm's display name, unique within the study."""
        return self._labels[arm]

    def variant(self, arm: str, sampling: str) -> str:
        """Display name of an arm with its sampling, unique within the study."""
        return self._variants.get((arm, sampling)) or self._cell_label(arm, sampling)

    @cached_property
    def _titles(self) -> Mapping[str, str]:
        own = {name: getattr(spec, "title", None) for name, spec in self.study.datasets.items()}
        return distinct({name: title or _TITLES.get(name, name) for name, title in own.items()})

    @cached_property
    def _labels(self) -> Mapping[str, str]:
        arms = self.study.arms.items()
        return distinct({name: spec.label or name for name, spec in arms})

    @cached_property
    def _variants(self) -> Mapping[tuple[str, str], str]:
        pairs = {(run.arm, run.sampling) for run in self.plan.runs}
        return distinct({pair: self._cell_label(*pair) for pair in pairs}, lambda pair: pair[0])

    def _cell_label(self, arm: str, sampling: str) -> str:
        return f"{self.label(arm)} (weighted)" if sampling == "weighted" else self.label(arm)

    def generative(self, arm: str) -> bool:
        """Whether the arm trains on images besides the training images (a generator's, or copies)."""
        return self.study.arms[arm].how is not None

    def generator(self, arm: str) -> str | None:
        """The study's name of the generator that makes the arm's images."""
        return self.study.arms[arm].generator

    def control(self, arm: str) -> str | None:
        """The arm that adds copies of real images, as many and in the same shares as this one adds generated ones."""
        spec = self.study.arms[arm]
        for name in self.arms:
            other = self.study.arms[name]
            alike = other.duplicate and spec.add and other.duplicate.amount == spec.add.amount
            if alike and (other.augment, other.classifier) == (spec.augment, spec.classifier):
                return name
        return None

    def is_copies(self, arm: str) -> bool:
        """Whether an arm is a control that adds copies of real images."""
        return self.study.arms[arm].duplicate is not None

    def unfiltered(self, arm: str) -> str | None:
        """The arm that takes as many images of the same generator as they come, where this one filters them."""
        spec = self.study.arms[arm]
        if spec.source is None or spec.filter is None:
            return None
        shown = {"label": None, "samplings": None}
        wanted = spec.model_copy(update={str(spec.how): spec.source.model_copy(update={"filter": None}), **shown})
        return next((name for name in self.arms if self.study.arms[name].model_copy(update=shown) == wanted), None)

    @cached_property
    def doses(self) -> Mapping[str, list[str]]:
        """Setting → the series of arms that differ in it and have numbers as values.

        Series of generated images and series of copies stand together: amount.fraction, whatever they are.
        """
        found: dict[str, list[str]] = {}
        for name, series in self.study.series.items():
            if not any(isinstance(value, bool | str) for value in series.arms.values()):
                how, _, rest = series.setting.partition(".")
                setting = rest if how in ("add", "duplicate") or rest.startswith("amount.") else series.setting
                found.setdefault(setting, []).append(name)
        return found

    def series_label(self, name: str) -> str:
        """What arms of a series are called together: what their labels have in common, or its name."""
        labels = [self.study.arms[arm].label or "" for arm in self.study.series[name].arms]
        heads = {label.rpartition(", ")[0] for label in labels}
        return heads.pop() or name if len(heads) == 1 else name

    def same_images(self, arm: str) -> list[str]:
        """The arms of its series that have more or fewer images of the same generator, itself among them; else it
        alone."""
        spec = self.study.arms[arm]
        for series in self.study.series.values():
            if arm in series.arms and re.fullmatch(r"\w+\.amount\.(fraction|images)", series.setting):
                others = {name: self.study.arms[name] for name in self.arms if name in series.arms}
                return [n for n, o in others.items() if (o.generator, o.filter) == (spec.generator, spec.filter)]
        return [arm]

    def own_fractions(self, arm: str, setting: str) -> Iterable[str]:
        """Data sets whose fraction of added images is said for themselves, so that `amount.fraction` is not theirs."""
        amount = self.study.arms[arm].amount
        return amount.fractions if amount is not None and setting == "amount.fraction" else ()

    @cached_property
    def longer(self) -> Mapping[str, tuple[float, float]]:
        """Arm → by which part more (or less) images it is trained with than the baseline, the least and the most of all
        data sets; only arms where it differs, and not by patience, which is not known before."""
        planned = {run.task: self._planned(run.task) for run in self.plan.runs}
        base = {c.dataset: planned[c.task] for c in self.plan.runs if (c.arm, c.sampling) == self.reference}
        found: dict[str, list[float]] = {}
        for run in self.plan.runs:
            if base.get(run.dataset):  # 0 where data are away and their size is not known
                found.setdefault(run.arm, []).append(planned[run.task] / base[run.dataset] - 1)
        # an added image or a batch that is not full is no other treatment
        return {arm: (min(f), max(f)) for arm in self.arms if max(map(abs, f := found.get(arm, [0.0]))) > 0.005}

    def training(self, task: str) -> Task:
        """The task that trains a run's classifier; of a run with folds, the first of them, whose settings all have."""
        return self.plan.tasks[self.plan.tasks[task].needs.get("fold 0", task)]

    def training_set(self, task: str) -> tuple[int, int]:
        """Real images that a run is trained on, 0 where they are not known or none, and those that its arm adds."""
        real, added = self._images(task)
        return 0 if self.training(task).params.get("replace") else real, added

    def _images(self, task: str) -> tuple[int, int]:
        made = self.training(task)
        added = self.plan.tasks[made.needs["synthesis"]].images if "synthesis" in made.needs else 0
        return self.plan.sources[made.dataset].train, added

    def _stages(self, task: str) -> tuple[int, Pretraining]:
        """Images that a run is trained on, and how its first epochs are where these have others."""
        return training_set(self.training(task).params, *self._images(task))

    def pretraining(self, task: str) -> int:
        """Epochs at first in which a run trains on generated images; 0 of those that do not pretrain."""
        first: Mapping[str, int] = self.training(task).params.get("pretrain", {"epochs": 0})
        return first["epochs"]

    def updates(self, task: str) -> int:
        """Steps of the optimizer that a run takes, at most."""
        return updates(self.training(task).params["settings"], *self._stages(task))

    def _planned(self, task: str) -> int:
        """Images that a run is trained with, each as often as it is."""
        settings = self.training(task).params["settings"]
        train, pretraining = self._stages(task)
        return trained_images(settings, train, settings["epochs"], pretraining)

    # --- what there is ---

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every cell of the plan, sorted as the tables are."""
        order = [self.datasets, self.arms, self.samplings]
        cells = sorted(
            self.plan.runs,
            key=lambda c: (
                *(o.index(w) for o, w in zip(order, (c.dataset, c.arm, c.sampling), strict=True)),
                c.replicate,
            ),
        )
        return tuple(
            Run(
                c.dataset,
                c.arm,
                c.sampling,
                c.replicate,
                c.task,
                self.outcomes[c.task],
                self.shared,
                tuple(self.outcomes[need] for word, need in self.plan.tasks[c.task].needs.items() if "fold" in word),
                {name: self.outcomes[task] for name, task in c.tests.items()},
            )
            for c in cells
        )

    @property
    def shared(self) -> bool:
        """Whether the replicates of an arm share a page, because there are too many runs for a page each."""
        return len(self.plan.runs) > MANY_RUNS

    def runs_page(self, dataset: str) -> str:
        """The page with a data set's rows of the table of runs."""
        return f"runs/{dataset}.html" if self.runs_apart else "runs.html"

    @cached_property
    def runs_apart(self) -> bool:
        """Whether the table of runs is so long that each data set has its own."""
        return self.shared and len({(c.dataset, c.arm, c.sampling) for c in self.plan.runs}) > MANY_RUNS

    @cached_property
    def groups(self) -> Mapping[tuple[str, str, str], Group]:
        """(data set, arm, sampling) → its replicates."""
        found: dict[tuple[str, str, str], list[Run]] = {}
        for run in self.runs:
            found.setdefault((run.dataset, run.arm, run.sampling), []).append(run)
        return {key: Group(*key, tuple(runs), self.runs_page(key[0])) for key, runs in found.items()}

    @property
    def reference(self) -> tuple[str, str]:
        """Arm and sampling that the others are compared with."""
        return self.study.baseline.arm, self.study.baseline.sampling

    def baseline(self, dataset: str) -> Group | None:
        """The group that the others of the data set are compared with."""
        return self.groups.get((dataset, *self.reference))

    def variants(self, dataset: str | None = None) -> list[tuple[str, str]]:
        """All pairs of arm and sampling, of one data set or of any."""
        return list(self._compared.get(dataset, ()))

    @cached_property
    def _compared(self) -> Mapping[str | None, list[tuple[str, str]]]:
        found: dict[str | None, dict[tuple[str, str], None]] = {}
        for dataset, *pair in self.groups:
            for key in (dataset, None):
                found.setdefault(key, {})[pair[0], pair[1]] = None
        arms, samplings = ({name: i for i, name in enumerate(names)} for names in (self.arms, self.samplings))
        return {key: sorted(pairs, key=lambda p: (arms[p[0]], samplings[p[1]])) for key, pairs in found.items()}

    @cached_property
    def begun(self) -> frozenset[str]:
        """Data sets with a run that finished, failed or is blocked."""
        return frozenset(run.dataset for run in self.runs if run.outcome.state not in ("pending", "running"))

    @cached_property
    def best(self) -> Mapping[str, Group]:
        """Data set → the group with the highest mean validation metric (the study's primary one), first on ties."""
        return {d: group for d in self.datasets if (group := self._highest(d, "validation")) is not None}

    @cached_property
    def best_on_test(self) -> Mapping[str, Group]:
        """The same, chosen on the test set, which inflates its score."""
        return {d: group for d in self.datasets if (group := self._highest(d, "test")) is not None}

    def _highest(self, dataset: str, split: str) -> Group | None:
        metric = self.study.primary
        groups = [group for (name, *_), group in self.groups.items() if name == dataset]
        means = [(group.estimate(self.select, split, metric).mean, group) for group in groups]
        there = [(mean, group) for mean, group in means if mean is not None]
        return max(there, key=lambda pair: pair[0])[1] if there else None

    def largest_class(self, dataset: str) -> float | None:
        """Test accuracy of always predicting the largest class; of several findings, of always saying of each what is
        true of more images. None before the data are read."""
        record = self.data(dataset).record
        if record is None:
            return None
        split = record.values["splits"]["train" if self.folds(dataset) else "test"]
        counts = split["per_class"]
        if self.several(dataset):
            return float(sum(max(n, split["images"] - n) for n in counts) / (len(counts) * split["images"]))
        return float(max(counts) / sum(counts))

    def majority(self, dataset: str, metric: str) -> float | None:
        """The test metric of always predicting the largest class. None before the data are read."""
        share, classes = self.largest_class(dataset), len(self.classes(dataset))
        if share is None:
            return None
        if self.several(dataset):
            return {"accuracy": share, "auc": 0.5, "balanced_accuracy": 0.5}.get(metric)
        values = {
            "accuracy": share,
            "auc": 0.5,
            "balanced_accuracy": 1 / classes,
            "macro_f1": 2 * share / (1 + share) / classes,  # its precision is its share, its recall 1
        }
        return values[metric]

    @property
    def further_tests(self) -> list[tuple[str, str]]:
        """(data set, further test set), in the order of the study file."""
        return [(dataset, name) for dataset in self.datasets for name in self.study.datasets[dataset].tests]

    @property
    def outside(self) -> list[tuple[str, str, str]]:
        """(data set, further test set from elsewhere, its name in the plan), in the order of the study file."""
        return [
            (dataset, name, place_of_test(dataset, name))
            for dataset in self.datasets
            for name in self.study.datasets[dataset].outside
        ]

    def overlap(self, place: str) -> Outcome:
        """Outcome of the task that looked for the images of a further test set among those of its data set."""
        return self.outcomes[self.plan.overlaps[place]]

    def folds(self, dataset: str) -> int:
        """The number of folds of a data set; 0 where it has none."""
        split = self.study.datasets[dataset].folds
        return (split.folds or 0) if split is not None else 0

    def rarest_class(self, dataset: str) -> float | None:
        """Share of the training images that the rarest class (or finding) has, where it is rare."""
        record = self.data(dataset).record
        if record is None:
            return None
        split = record.values["splits"]["train"]
        return rarest_share(split["per_class"], split["images"])

    def data(self, dataset: str) -> Outcome:
        """Outcome of the data set's own task."""
        return self.outcomes[self.plan.data[dataset]]

    def classes(self, dataset: str) -> list[str]:
        """Names of the classes; empty before the data are read."""
        record = self.data(dataset).record
        return list(record.values["classes"]) if record else []

    def row_names(self, dataset: str) -> list[str]:
        """What images are shown by: the classes; or the findings, and none. Empty before the data are read."""
        return row_names(found, findings=self.several(dataset)) if (found := self.classes(dataset)) else []

    def several(self, dataset: str) -> bool:
        """Whether images have several findings, which `classes` then names; not known before the data are read."""
        record = self.data(dataset).record
        return self.plan.sources[dataset].several if record is None else bool(record.values.get("task") == SEVERAL)

    @property
    def of_classes(self) -> tuple[str, ...]:
        """The data sets whose images have one class each, as far as that is known."""
        return tuple(name for name in self.datasets if not self.several(name))

    @property
    def of_findings(self) -> tuple[str, ...]:
        """The others."""
        return tuple(name for name in self.datasets if self.several(name))

    def positive(self, dataset: str) -> int | None:
        """The number of the class that is looked for, of two; None where none is said, or before the data are read."""
        if self.several(dataset):
            return None
        return self.study.datasets[dataset].positive_class(dataset, self.classes(dataset))

    def grades(self, dataset: str) -> bool:
        """Whether the classes are grades in their order."""
        return not self.several(dataset) and self.study.datasets[dataset].grades(dataset)

    def makings(self, kind: str, dataset: str, name: str) -> list[tuple[Making, Outcome]]:
        """All replicates of a generator's ("generators") or an arm's ("synthesis", "quality", "usefulness") task;
        of folds, the first."""
        return [(m, self.outcomes[m.task]) for m in self._makings.get((kind, dataset, name), ())]

    @cached_property
    def _makings(self) -> Mapping[tuple[str, str, str], Sequence[Making]]:
        found: dict[tuple[str, str, str], list[Making]] = {}
        for kind in ("generators", "synthesis", "quality", "usefulness"):
            for making in getattr(self.plan, kind):
                if making.fold:
                    continue
                found.setdefault((kind, making.dataset, making.name), []).append(making)
        return found

    def marks(self, dataset: str) -> list[str]:
        """Warnings that stand wherever the data set appears."""
        record = self.data(dataset).record
        away = [AWAY] if self.plan.sources[dataset].away else []
        if KINDS[self.study.datasets[dataset].kind].simulated:
            return ["simulated", *away]
        if record is None:
            return away
        source = record.values["source"]
        known = [str(source)] if source in ("simulated", "unverified copy") else []
        return [*known, *self.leaks(dataset), *away]

    def leaks(self, dataset: str) -> dict[str, str]:
        """Mark → how many test images, or groups, are also in the training set, in a sentence. Empty if none are, or if
        the data were not audited."""
        record = self.data(dataset).record
        if record is None or not record.values.get("audit"):
            return {}
        return {_LEARNT[what]: said for what, said in learnt(record.values).items()}

    def known(self, dataset: str) -> tuple[int, int, str]:
        """Test images that training knows, all, and their share and how: identical or nearly so, or of a group where
        those are more."""
        record = self.data(dataset).record
        assert record is not None
        found = record.values["audit"]["test"]
        same, near, grouped = found["in_train"], found.get("near_in_train", 0), found.get("group_in_train", 0)
        size = record.values["splits"]["test"]["images"]
        ways = {"identical": same, "nearly identical": near}
        known, how = same + near, together(f"{count(n)} {way}" for way, n in ways.items() if n)
        if grouped > known:
            known, how = grouped, "of groups, as patients, that are in the training data too"
        return known, size, f"{percent(known / size, 1)} %: {how}"

    def failed_checks(self, dataset: str) -> int:
        """Checks of the data set that failed, as the page of checks counts them."""
        return self._failed_checks[dataset]

    @cached_property
    def _failed_checks(self) -> Mapping[str, int]:
        records = {dataset: self.data(dataset).record for dataset in self.datasets}
        return {
            dataset: sum(check.level == "fail" for check in checks(record.values))
            if record is not None and record.values.get("audit")
            else 0
            for dataset, record in records.items()
        }

    def odd(self, dataset: str) -> list[str] | None:
        """What the audit found odd about a data set, in sentences; None if it was not audited."""
        record = self.data(dataset).record
        return warnings(record.values) if record and "audit" in record.values else None

    @cached_property
    def states(self) -> Mapping[str, int]:
        """State → number of tasks of the plan, only those that occur."""
        return self.states_of(self.plan.tasks)

    def states_of(self, tasks: Iterable[str]) -> dict[str, int]:
        """The same of some tasks."""
        counts: Counter[str] = Counter(self.outcomes[task].state for task in tasks)
        return {state: counts[state] for state in STATES if counts[state]}


def least_recall(scores: Mapping[str, Any]) -> float | None:
    """The lowest recall of a class that has images, from what a record keeps of one set of predictions."""
    return min((recall for recall in scores["recall"] if recall is not None), default=None)


def tuning_measure(select: str) -> str:
    """By what learning rates are compared, in the middle of a sentence: validation AUC."""
    measure = select.removeprefix("best_validation_")
    return f"validation {in_sentence(METRICS[measure]) if measure in METRICS else measure}"


def select_words(select: str) -> str:
    """The epoch that a rule chooses, in the middle of a sentence."""
    return "the last epoch" if select == "last" else f"the epoch with the {SELECT_WORDS[select]}"


def which(making: Making) -> str:
    """The replicate of a task, and its fold where there are folds."""
    return f"replicate {making.replicate}" + ("" if making.fold is None else f", fold {making.fold}")


def typical(group: Group, results: Results) -> Run:
    """The done run whose test metric is nearest to the group's mean, the first on ties: neither best nor worst."""
    metric = results.study.primary
    mean = group.estimate(results.select, "test", metric).mean or 0.0
    return min(group.done, key=lambda run: abs((run.metric(results.select, "test", metric) or 0.0) - mean))


def note_look(results: Results, claims: Callable[[], Mapping[str, str]]) -> None:
    """Record this look in the log, before pages read it; if that fails, they say so.

    `claims` tests every arm, and is called only where the look is new.
    """
    if results.looks.noted or not any(run.done for run in results.runs):
        return
    done = [run.task for run in results.runs if run.done]
    note(results.root, line("look", results.study, results.plan, done, claims()))
    del results.looks  # is read again, with this line


def histories(run: Run) -> list[Mapping[str, Sequence[float | None]]]:
    """Name → values by epoch of a done run's training, or of that of each fold."""
    found = read_json(run.record, "history.json")
    return list(found) if run.folds else [found]


def read_json(record: Record, name: str) -> Any:
    """A JSON file of a finished task."""
    return json.loads((record.folder / name).read_bytes())
