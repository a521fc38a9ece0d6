"""Study → tasks, in the order in which they are best done.

A *task* is one piece of work; its key is a hash of what decides its result and of nothing else. A *run* is one trained
classifier: a data set, an arm, a sampling and a replicate, and the task that trains it. Where the data set has folds,
it is one classifier a fold, and the task that puts their predictions together. A *cell* is the runs of all replicates:
one number of a table.
"""

import functools
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, Literal

from pydantic import BaseModel

from medaug_keras.spec import (
    Arm,
    Classifier,
    Corruptions,
    Files,
    Python,
    PythonStep,
    Step,
    Study,
    born,
    deciding,
    dump,
    of_synthesis,
    place_of_test,
)

Kind = Literal[
    "data",
    "subgroups",
    "overlap",
    "generator",
    "synthesis",
    "tuning",
    "classifier",
    "folds",
    "test",
    "quality",
    "usefulness",
]

# Raised when a kind's results mean something else than before: its old records are then no longer found.
VERSIONS: dict[Kind, int] = {
    "data": 1,
    "subgroups": 1,
    "overlap": 1,
    "generator": 1,
    "synthesis": 1,
    "tuning": 1,
    "classifier": 2,
    "folds": 1,
    "test": 1,
    "quality": 3,  # training on the images alone is a task of its own; whether they can be told from real ones is added
    "usefulness": 1,
}

# The epoch of the baseline's classifier that judges synthetic images: whatever a study shows, so that showing something
# else makes no new work; by AUC, because by accuracy a rare class can leave the network of the first epoch.
JUDGES_RULE = "best_validation_auc"
# Settings of the study that decide the result of every task but reading the data, and what is said of them.
_EVERYWHERE = ("precision",)


@dataclass(frozen=True)
class Task:
    """One piece of work. `key` covers kind, version, `keyed` and the keys of its needs; the rest is for people."""

    kind: Kind
    key: str
    params: Mapping[str, Any]
    """All that decides the result."""
    keyed: Mapping[str, Any]
    """`params` without the settings that are at their birth value: what the key covers, and what its record keeps."""
    needs: Mapping[str, str]
    """Word by which the task knows it → id of the task that makes it."""
    dataset: str
    title: str
    replicate: int
    images: int
    """Images that pass through a network, training and evaluation together: what the time depends on."""
    local: Mapping[str, Any] = field(default_factory=dict)
    """The data set's section of the study: where it lies on this machine and how it is called. Not in the key."""

    @property
    def id(self) -> str:
        """Name of the task's folder."""
        return task_id(self.kind, self.key)


@dataclass(frozen=True)
class Run:
    """One classifier run of the study."""

    dataset: str
    arm: str
    sampling: str
    replicate: int
    task: str
    tests: Mapping[str, str] = field(default_factory=dict)
    """Further test set → the task that tries the classifier on it."""


@dataclass(frozen=True)
class Making:
    """One generator (or synthesis, quality, usefulness) task as the study names it."""

    dataset: str
    name: str
    """Of the generator, or of the arm for the others."""
    replicate: int
    task: str
    fold: int | None = None
    """None where the data set has no folds."""


@dataclass(frozen=True)
class Plan:
    """All tasks of a study, each before those that need it, and what they are for."""

    tasks: Mapping[str, Task]
    runs: Sequence[Run]
    data: Mapping[str, str]
    """Data set → id of its data task; of further test sets from elsewhere too, as DATASET.tests.NAME."""
    subgroups: Mapping[str, str]
    """Data set with subgroups → id of the task that reads which image is in which; of further test sets too, as in
    `data`."""
    generators: Sequence[Making]
    synthesis: Sequence[Making]
    quality: Sequence[Making]
    usefulness: Sequence[Making]
    """Of arms with one generator, whatever each adds of its images, the task is the same."""
    sources: Mapping[str, "Source"]
    """Data set → what was known of it when this was planned."""
    overlaps: Mapping[str, str] = field(default_factory=dict)
    """Further test set from elsewhere → id of the task that compares its images with those of its data set."""

    def only(self, filters: Mapping[str, Iterable[str]]) -> "Plan":
        """The part of the plan whose runs match every filter (`dataset`, `arm`, `sampling`, `replicate`).

        The filter `task` (ids) leaves those tasks and what they need, and narrows no further.
        """
        wanted = {name: {str(value) for value in values} for name, values in filters.items()}
        if "task" in wanted:
            return self._part(self._with_needs(wanted["task"]))
        runs = [c for c in self.runs if all(str(getattr(c, n)) in v for n, v in wanted.items())]
        arms = {(c.dataset, c.arm, c.replicate) for c in runs}
        judged = (*self.quality, *self.usefulness)
        quality = [m.task for m in judged if (m.dataset, m.name, m.replicate) in arms]
        trained = [task for c in runs for task in (c.task, *c.tests.values())]
        of_sets = [*self.subgroups.items(), *self.overlaps.items()]
        known = [i for name, i in of_sets if any(f"{name}.".startswith(f"{c.dataset}.") for c in runs)]
        return replace(self._part(self._with_needs([*trained, *quality, *known])), runs=runs)

    def _part(self, keep: set[str]) -> "Plan":
        return Plan(
            tasks={i: t for i, t in self.tasks.items() if i in keep},
            runs=[
                replace(c, tests={name: task for name, task in c.tests.items() if task in keep})
                for c in self.runs
                if c.task in keep
            ],
            data={name: i for name, i in self.data.items() if i in keep},
            subgroups={name: i for name, i in self.subgroups.items() if i in keep},
            generators=[m for m in self.generators if m.task in keep],
            synthesis=[m for m in self.synthesis if m.task in keep],
            quality=[m for m in self.quality if m.task in keep],
            usefulness=[m for m in self.usefulness if m.task in keep],
            sources=self.sources,
            overlaps={name: i for name, i in self.overlaps.items() if i in keep},
        )

    def _with_needs(self, ids: Iterable[str]) -> set[str]:
        found: set[str] = set()
        waiting = list(ids)
        while waiting:
            current = waiting.pop()
            if current not in found:
                found.add(current)
                waiting.extend(self.tasks[current].needs.values())
        return found


@dataclass(frozen=True)
class Source:
    """What must be known of a data set before its images are read."""

    fingerprint: str
    """MD5 of the bytes that will be used (of the file there, or of the official one that will be downloaded); empty
    where it is not known."""
    train: int
    """Images; of a fold, on average, where there are folds."""
    validation: int
    test: int
    classes: int = 0
    """0 where it is not known."""
    away: str = ""
    """Why the data cannot be read now, in words; the rest is then what was known last."""
    class_names: tuple[str, ...] = ()
    """Empty where they are not known."""
    several: bool = False
    """Whether images have several findings, which these names are then of."""
    subgroups: str = ""
    """MD5 of which image is in which subgroup; empty where there are none."""
    channels: int = 0
    """1 of grey images, 3 of colour; 0 where it is not known."""


def task_id(kind: str, key: str) -> str:
    """Folder name of a task."""
    return f"{kind}-{key[:16]}"


def task_key(kind: Kind, keyed: Mapping[str, Any], needs: Mapping[str, str]) -> str:
    """Hash (hex, SHA-256) of everything that decides a task's result."""
    content = {"kind": kind, "version": VERSIONS[kind], "params": keyed, "needs": needs}
    return hashlib.sha256(_as_text(content).encode()).hexdigest()


_as_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


@functools.cache
def replicate_seed(seed: int, replicate: int) -> int:
    """The seed that all tasks of one replicate share, so that arms are paired; below 2**31."""
    digest = hashlib.sha256(f"{seed}/replicate {replicate}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def added_images(amount: Mapping[str, Any], train: int) -> int:
    """How many images an arm adds to `train` images: the fixed number, or the fraction rounded down.

    The fraction is taken as the decimal that was written: 0.29 of 100 is 29, not 28.
    """
    if amount["images"] is not None:
        return int(amount["images"])
    return int(Fraction(str(amount["fraction"])) * train)


Pretraining = tuple[int, int]
"""How many epochs are trained on other images first, and on how many."""


def training_set(params: Mapping[str, Any], real: int, made: int) -> tuple[int, Pretraining]:
    """How many images a classifier with these params trains on, of so many real ones and those made for it, and how its
    first epochs do."""
    if params.get("replace"):
        return made, (0, 0)
    if "pretrain" in params:
        return real, (params["pretrain"]["epochs"], made)
    return real + made, (0, 0)


def trained_images(settings: Mapping[str, Any], train: int, epochs: int, pretraining: Pretraining = (0, 0)) -> int:
    """Images that pass through a classifier in so many epochs of training, each as often as it does.

    `settings` are the classifier's, `train` the images of its training set.
    """
    budget, batch = settings["budget"], settings["batch_size"]
    if budget is None:
        first = min(pretraining[0], epochs)
        return int(train * (epochs - first) + pretraining[1] * first)
    steps = budget["steps"] or -(-budget["images"] // batch)
    return int(epochs * steps // settings["epochs"] * batch)


def updates(settings: Mapping[str, Any], train: int, pretraining: Pretraining = (0, 0)) -> int:
    """Steps of the optimizer in all epochs of a classifier whose training set has `train` images, at most."""
    budget, batch = settings["budget"], settings["batch_size"]
    if budget is None:
        first, images = pretraining
        return int((settings["epochs"] - first) * -(-train // batch) + first * -(-images // batch))
    return int(budget["steps"] or -(-budget["images"] // batch))


def plan(study: Study, sources: Mapping[str, Source], *, data_root: str = "", allow_code: bool = False) -> Plan:
    """All tasks of a study: replicate 0 of everything first, the cheapest data sets first.

    `sources` has an entry for every data set of the study; `data_root` is where MedMNIST's files lie. Only where the
    user allows code of the study's own to be run, tasks have its text; without it, no worker can run any.
    """
    return _Planner(study, sources, data_root, allow_code).plan()


def located(study: Study, dataset: str, data_root: str) -> dict[str, Any]:
    """A data set's section with all that is needed to read it."""
    spec = dump(study.sets[dataset])
    del spec["tests"]  # nothing is read for them
    called = dataset.rpartition(".")[2]
    more = {} if dataset in study.datasets else {"outside": True}
    return {**spec, "name": spec.get("name") or called, "dataset": called, "root": data_root, **more}


def classes_of_test(source: Source, own: Source) -> list[int] | None:
    """The number that each class (or finding) of a further test set from elsewhere has in its data set, by its name;
    None where they do not all have the same names."""
    if source.several is not own.several or sorted(source.class_names) != sorted(own.class_names):
        return None
    return [own.class_names.index(name) for name in source.class_names]


def data_task(study: Study, dataset: str, source: Source, *, data_root: str) -> Task:
    """The task that reads one data set of a study."""
    planner = _Planner(study, {dataset: source}, data_root)
    return planner.tasks[planner.data_task(dataset)]


class _Planner:
    def __init__(self, study: Study, sources: Mapping[str, Source], data_root: str, allow_code: bool = False) -> None:
        self.study, self.sources, self.data_root, self.allow_code = study, sources, data_root, allow_code
        self.tasks: dict[str, Task] = {}
        self.data: dict[str, str] = {}
        self.sets = study.sets
        self.local = {name: located(study, name, data_root) for name in self.sets}
        self.known: dict[int, tuple[dict[str, Any], dict[str, Any]]] = {}
        everywhere = {name: getattr(study, name) for name in _EVERYWHERE}
        self.everywhere = everywhere, born(study, everywhere)

    def plan(self) -> Plan:
        study = self.study
        names = sorted(study.datasets, key=lambda name: self.sources[name].train)  # stable: ties keep the YAML's order
        runs: list[Run] = []
        synthesis: list[Making] = []
        quality: list[Making] = []
        usefulness: list[Making] = []
        generators: dict[Making, None] = {}  # a set that keeps its order
        tuned: dict[tuple[str, str, str, int | None], dict[str, str]] = {}
        self.data = {name: self.data_task(name) for name in names}
        overlaps = {}
        for name in names:
            for test in study.datasets[name].outside:
                place = place_of_test(name, test)
                self.data[place] = self.data_task(place)
                overlaps[place] = self._overlap(name, place)
        subgroups = {name: self._subgroups(name) for name in self.data if self.local[name].get("subgroups")}
        for replicate in range(study.replicates):
            for dataset in names:
                baseline = None
                begin = len(synthesis)
                for name, arm in study.arms.items():
                    made = {}  # fold → the task of its images
                    for fold in self._folds(dataset):
                        images = self._synthesis(dataset, name, arm, replicate, fold)
                        if images is None:
                            continue
                        made[fold] = images
                        synthesis.append(Making(dataset, name, replicate, images, fold))
                        generator = self.tasks[images].needs.get("generator")
                        if generator is not None:
                            assert arm.generator is not None
                            making = Making(dataset, arm.generator, replicate, generator, fold)
                            generators[making] = None
                    for sampling in arm.samplings or study.samplings:
                        trained = []
                        for fold in self._folds(dataset):
                            cell = dataset, name, arm, sampling, replicate, made.get(fold), fold
                            # Folds are cut anew in each replicate, so what one replicate trains on, another tests.
                            if fold is not None or replicate == 0:
                                tuned[dataset, name, sampling, fold] = self._tuning(*cell)
                            trained.append(self._classifier(*cell, tuned[dataset, name, sampling, fold]))
                        task = trained[0]
                        if (name, sampling) == (study.baseline.arm, study.baseline.sampling):
                            baseline = task
                        if study.datasets[dataset].folds is not None:
                            title = f"{dataset}: {name}, {sampling}, replicate {replicate}"
                            task = self._joined(dataset, title, replicate, trained)
                        tests = self._tests(dataset, f"{name}, {sampling}", replicate, task)
                        runs.append(Run(dataset, name, sampling, replicate, task, tests))
                if study.quality.enabled and baseline is not None:
                    for making in synthesis[begin:]:
                        if not making.fold:  # of folds, the images of the first are judged
                            judged = self._quality(dataset, making, baseline)
                            quality.append(Making(dataset, making.name, replicate, judged, making.fold))
                            useful = self._usefulness(dataset, making, baseline)
                            if useful is not None:
                                usefulness.append(Making(dataset, making.name, replicate, useful, making.fold))
        return Plan(
            self.tasks,
            runs,
            self.data,
            subgroups,
            list(generators),
            synthesis,
            quality,
            usefulness,
            self.sources,
            overlaps,
        )

    def _add(
        self,
        kind: Kind,
        content: Callable[[bool], dict[str, Any]],
        needs: Mapping[str, str],
        *,
        dataset: str,
        title: str,
        replicate: int,
        images: int,
    ) -> str:
        """The id of a task, which is new unless it is there already: two arms that ask for the same work share it.

        `content` gives its params; of True, what the key covers of them.
        """
        params, keyed = content(False), content(True)
        if kind not in ("data", "subgroups", "overlap"):
            params |= self.everywhere[False]
            keyed |= self.everywhere[True]
        key = task_key(kind, keyed, {word: self.tasks[need].key for word, need in needs.items()})
        name = task_id(kind, key)
        if name not in self.tasks:
            local = self.local[dataset]
            self.tasks[name] = Task(kind, key, params, keyed, needs, dataset, title, replicate, images, local)
        return name

    def _settings(self, part: BaseModel, keyed: bool) -> dict[str, Any]:
        """What decides the result of a part's task; `keyed`: what the key covers of it."""
        if id(part) not in self.known:  # thousands of tasks have the same parts
            settings = deciding(part)
            self.known[id(part)] = settings, born(part, settings)
        return self.known[id(part)][keyed]

    def _recipe(self, classifier: Classifier, keyed: bool, learning_rate: float | None = None) -> dict[str, Any]:
        """The same of a classifier; where the rule that selects epochs decides when training stops, it is in it.

        Where the learning rate is tuned, it has none, or the one given.
        """
        settings = self._settings(classifier, keyed)
        if classifier.tune is not None:
            optimizer = {name: value for name, value in settings["optimizer"].items() if name != "learning_rate"}
            tried = {} if learning_rate is None else {"learning_rate": learning_rate}
            settings = {**settings, "optimizer": {**optimizer, **tried}}
        if isinstance(classifier, Python):
            settings = {**settings, **self._code(classifier.builder, keyed)}
        if classifier.weights_file is not None:
            settings = {**settings, "weights": self._weights(classifier.weights_file, keyed)}
        return settings if classifier.patience is None else {**settings, "select": self.study.select}

    def _step(self, step: Step, keyed: bool) -> dict[str, Any]:
        settings = self._settings(step, keyed)
        return {**settings, **self._code(step.builder, keyed)} if isinstance(step, PythonStep) else settings

    def _code(self, builder: str, keyed: bool) -> dict[str, Any]:
        """A function of the user's own: its text where it may be run; the key has its name and its text's hash."""
        text = self.study.code.get(builder, "")
        if keyed:
            return {"builder": builder.partition(":")[2], "source": hashlib.sha256(text.encode()).hexdigest()}
        return {"source": text if self.allow_code else None}

    def _weights(self, file: str, keyed: bool) -> dict[str, str]:
        """The file of weights that a network begins with: the key has its bytes' hash, not its place."""
        found = {"sha256": self.study.sums.get(file, "")}
        return found if keyed else {"file": file, **found}

    def data_task(self, dataset: str) -> str:
        """The id of the task that reads a data set, or a further test set from elsewhere."""
        part = self.sets[dataset]
        fingerprint = self.sources[dataset].fingerprint
        return self._add(
            "data",
            lambda keyed: {**self._settings(part, keyed), "fingerprint": fingerprint},
            {},
            dataset=dataset,
            title=f"{dataset}: data",
            replicate=0,
            images=0,
        )

    def _subgroups(self, dataset: str) -> str:
        """The id of the task that reads which image is in which subgroup: of its own, so that nothing else needs it."""
        said = {"subgroups": self.local[dataset]["subgroups"], "values": self.sources[dataset].subgroups}
        return self._add(
            "subgroups",
            lambda keyed: dict(said),
            {"data": self.data[dataset]},
            dataset=dataset,
            title=f"{dataset}: subgroups",
            replicate=0,
            images=0,
        )

    def _overlap(self, dataset: str, place: str) -> str:
        """The id of the task that looks for a further test set's images among those of its data set."""
        classes = classes_of_test(self.sources[place], self.sources[dataset])
        name = self._add(
            "overlap",
            lambda keyed: {"classes": classes},
            {"data": self.data[dataset], "outside": self.data[place]},
            dataset=place,
            title=f"{place}: images that {dataset} has too",
            replicate=0,
            images=0,
        )
        self.tasks[name] = replace(self.tasks[name], local={**self.local[dataset], "beside": self.local[place]})
        return name

    def _folds(self, dataset: str) -> Sequence[int | None]:
        """The folds of a data set; None, once, where it has none."""
        split = self.study.datasets[dataset].folds
        return range(split.folds or 0) if split is not None else [None]

    def _cut(self, dataset: str, fold: int | None) -> dict[str, Any]:
        """What decides which images a task of a fold sees, besides the data and the replicate's seed."""
        split = self.study.datasets[dataset].folds
        if split is None:
            return {}
        whole = {"folds": {"number": split.folds, "validation": split.validation, "seed": split.seed}}
        return whole if fold is None else {**whole, "fold": fold}

    def _generator(self, dataset: str, name: str, replicate: int, fold: int | None) -> str:
        part = self.study.generators[name]
        seed = replicate_seed(self.study.seed, replicate)
        source = self.sources[dataset]

        def content(keyed: bool) -> dict[str, Any]:
            settings = self._settings(part, keyed)
            if isinstance(part, Files):  # no chance is in reading them: replicates that have the same files share them
                place = part.place(dataset, replicate, fold)
                found = {"sha256": self.study.sums.get(place, "")}
                return {"settings": settings, "files": found if keyed else {"path": place, **found}}
            return {"settings": settings, "seed": seed, **self._cut(dataset, fold)}

        return self._add(
            "generator",
            content,
            {"data": self.data[dataset]},
            dataset=dataset,
            title=f"{dataset}: generator {name}, {_of(replicate, fold)}",
            replicate=replicate,
            images=part.passes(source.train, source.validation),
        )

    def _synthesis(self, dataset: str, name: str, arm: Arm, replicate: int, fold: int | None) -> str | None:
        use = arm.source
        if use is None:
            return None
        # the same images, of which the classifier makes another use
        how = "add" if arm.how in ("replace", "pretrain") else arm.how
        seed, needs = replicate_seed(self.study.seed, replicate), {"data": self.data[dataset]}
        word, chosen_by = arm.generator, arm.filter
        generator = self.study.generators[word] if word else None
        if word:
            needs["generator"] = self._generator(dataset, word, replicate, fold)
        if chosen_by is not None:
            needs |= self._judges(dataset, replicate, chosen_by.classifiers)

        def content(keyed: bool) -> dict[str, Any]:
            found = {"how": how, **self._use(use, dataset, keyed), "seed": seed, **self._cut(dataset, fold)}
            if chosen_by is not None:
                found["filter"] = {**found["filter"], "head": self.study.classifier.head}
            if generator is not None:
                later = of_synthesis(generator)
                found["kind"] = generator.kind
                if how == "add" or later:  # the keys of reconstructions have had no settings
                    found["settings"] = born(generator, later) if keyed else later
            return found

        return self._add(
            "synthesis",
            content,
            needs,
            dataset=dataset,
            title=f"{dataset}: images for arm {name}, {_of(replicate, fold)}",
            replicate=replicate,
            images=self._added(content(False), dataset),
        )

    def _judges(self, dataset: str, replicate: int, number: int) -> dict[str, str]:
        """Word → the task that trains one of the networks that a filter asks: the baseline's of the next replicates.

        They are the same however many replicates the study has, so that more of them leave results as they are; those
        beyond the last are trained for the filter alone.
        """
        name, sampling = self.study.baseline.arm, self.study.baseline.sampling
        cell = dataset, name, self.study.arms[name], sampling
        tuning = self._tuning(*cell, 0, None, None)
        others = [replicate + later for later in range(1, number + 1)]
        return {
            judge_word(place): self._classifier(*cell, other, None, None, tuning) for place, other in enumerate(others)
        }

    def _use(self, use: BaseModel, dataset: str, keyed: bool) -> dict[str, Any]:
        """What an arm says of its images; a fraction for this data set alone in place of the others'."""
        others = ("generator", "epochs")  # a need, and what the classifier does with them
        values = {name: value for name, value in self._settings(use, keyed).items() if name not in others}
        if "amount" in values:
            amount = dict(values["amount"])
            special = amount.pop("fractions")
            values["amount"] = {**amount, "fraction": special.get(dataset, amount["fraction"])}
        return values

    def _added(self, params: Mapping[str, Any], dataset: str) -> int:
        train = self.sources[dataset].train
        return train if params["how"] == "interleave" else added_images(params["amount"], train)

    def _classifier(
        self,
        dataset: str,
        name: str,
        arm: Arm,
        sampling: str,
        replicate: int,
        synthesis: str | None,
        fold: int | None,
        tuning: Mapping[str, str],
    ) -> str:
        """`tuning`: the training runs by which its learning rate is chosen."""
        classifier = arm.classifier or self.study.classifier

        def content(keyed: bool) -> dict[str, Any]:
            return {
                "settings": self._recipe(classifier, keyed),
                **self._tune(classifier, keyed),
                "augment": [self._step(step, keyed) for step in arm.augment],
                "sampling": "weighted" if arm.always_weighted else sampling,
                "seed": replicate_seed(self.study.seed, replicate),
                # Duplicates in the published code; they get distinct keys only in that case.
                "stream": sampling if arm.always_weighted else "",
                **_use_of_images(arm),
                **self._cut(dataset, fold),
            }

        source = self.sources[dataset]
        needs = {"data": self.data[dataset]}
        if synthesis is not None:
            needs["synthesis"] = synthesis
        needs |= tuning
        return self._add(
            "classifier",
            content,
            needs,
            dataset=dataset,
            title=f"{dataset}: {name}, {sampling}, {_of(replicate, fold)}",
            replicate=replicate,
            images=self._passed(classifier, source, arm, synthesis) + 2 * source.test,
        )

    def _tune(self, classifier: Classifier, keyed: bool) -> dict[str, Any]:
        """How the learning rate is chosen, where it is."""
        if classifier.tune is None:
            return {}
        tune = self._settings(classifier.tune, keyed)
        return {"tune": {**tune, "select": self.study.select, "by": self.study.tuned_by}}

    def _tuning(
        self, dataset: str, name: str, arm: Arm, sampling: str, replicate: int, synthesis: str | None, fold: int | None
    ) -> dict[str, str]:
        """Word → the task that trains with one learning rate and one seed, as the arm trains; empty without `tune`.

        It evaluates on no test image.
        """
        classifier = arm.classifier or self.study.classifier
        if classifier.tune is None:
            return {}
        source, needs = self.sources[dataset], {"data": self.data[dataset]}
        if synthesis is not None:
            needs["synthesis"] = synthesis
        found = {}
        for rate in classifier.tune.learning_rate:
            for number in range(classifier.tune.seeds):

                def content(keyed: bool, rate: float = rate, number: int = number) -> dict[str, Any]:
                    return {
                        "settings": self._recipe(classifier, keyed, rate),
                        "augment": [self._step(step, keyed) for step in arm.augment],
                        "sampling": "weighted" if arm.always_weighted else sampling,
                        "seed": replicate_seed(self.study.seed, replicate),
                        "number": number,
                        **_use_of_images(arm),
                        **self._cut(dataset, fold),
                    }

                found[tuning_word(rate, number)] = self._add(
                    "tuning",
                    content,
                    needs,
                    dataset=dataset,
                    title=f"{dataset}: {name}, {sampling}, learning rate {rate:g}, tuning seed {number}"
                    + ("" if fold is None else f", {_of(replicate, fold)}"),
                    replicate=replicate,
                    images=self._passed(classifier, source, arm, synthesis),
                )
        return found

    def _joined(self, dataset: str, title: str, replicate: int, trained: Sequence[str]) -> str:
        """The task that makes one run of the classifiers of all folds."""
        seed = replicate_seed(self.study.seed, replicate)
        return self._add(
            "folds",
            lambda keyed: {"seed": seed, **self._cut(dataset, None)},
            {"data": self.data[dataset], **{f"fold {fold}": task for fold, task in enumerate(trained)}},
            dataset=dataset,
            title=title,
            replicate=replicate,
            images=0,
        )

    def _tests(self, dataset: str, cell: str, replicate: int, classifier: str) -> dict[str, str]:
        """Further test set of the data set → the task that tries a run's classifier on it.

        The chance of corruptions is the study's seed, not the replicate's: all arms and replicates see the same pixels.
        """
        found, own = {}, self.sources[dataset]
        for name, part in self.study.datasets[dataset].tests.items():
            if isinstance(part, Corruptions):
                place, images = dataset, own.test * len(part.kinds)
                content = functools.partial(self._corrupted, part)
            else:
                place = place_of_test(dataset, name)
                source = self.sources[place]
                images = source.test or source.train
                content = functools.partial(self._elsewhere, classes_of_test(source, own))
            found[name] = self._add(
                "test",
                content,
                {"data": self.data[place], "classifier": classifier},
                dataset=place,
                title=f"{dataset}: {cell}, replicate {replicate}, tried on {name}",
                replicate=replicate,
                images=images,
            )
        return found

    def _corrupted(self, part: Corruptions, keyed: bool) -> dict[str, Any]:
        head, seed = self.study.classifier.head, self.study.seed
        return {"corruptions": self._settings(part, keyed), "head": head, "seed": seed}

    def _elsewhere(self, classes: list[int] | None, keyed: bool) -> dict[str, Any]:
        return {"classes": classes, "head": self.study.classifier.head}

    def _passed(
        self, classifier: Classifier, source: Source, arm: Arm | None = None, synthesis: str | None = None
    ) -> int:
        """Images that pass through a network in training and validation, where no patience ends it."""
        epochs, made = classifier.epochs, self.tasks[synthesis].images if synthesis is not None else 0
        train, pretraining = training_set(_use_of_images(arm) if arm is not None else {}, source.train, made)
        passed = trained_images(self._settings(classifier, False), train, epochs, pretraining)
        return passed + epochs * source.validation

    def _quality(self, dataset: str, making: Making, baseline: str) -> str:
        """`baseline`: the classifier of the same fold."""
        name, replicate, synthesis, fold = making.name, making.replicate, making.task, making.fold
        made = self.tasks[synthesis]

        def content(keyed: bool) -> dict[str, Any]:
            return {
                "settings": self._settings(self.study.quality, keyed),
                "head": self.study.classifier.head,
                "how": made.params["how"],
                "seed": replicate_seed(self.study.seed, replicate),
                **self._cut(dataset, fold),
            }

        source = self.sources[dataset]
        return self._add(
            "quality",
            content,
            {"data": self.data[dataset], "synthesis": synthesis, "classifier": baseline},
            dataset=dataset,
            title=f"{dataset}: quality of {name}'s images, {_of(replicate, fold)}",
            replicate=replicate,
            images=source.train + source.test + made.images,
        )

    def _usefulness(self, dataset: str, making: Making, baseline: str) -> str | None:
        """The task that trains on a generator's images alone; None for copies of real images, which have none.

        Reconstructions are taken as they are; of other generators, as many images as there are real ones, so that it
        is the same task for every amount. `baseline`: the classifier of the same fold, whose learning rate is used
        where it was tuned.
        """
        replicate, fold, classifier = making.replicate, making.fold, self.study.classifier
        made = self.tasks[making.task]
        how = made.params["how"]
        if how == "duplicate":
            return None
        needs = {"data": self.data[dataset]}
        if how == "interleave":
            needs["synthesis"] = making.task
        else:
            needs["generator"] = made.needs["generator"]
        if classifier.tune is not None:
            needs["classifier"] = baseline

        def content(keyed: bool) -> dict[str, Any]:
            said = made.keyed if keyed else made.params
            return {
                "settings": self._recipe(classifier, keyed),
                "synthesis": {word: said[word] for word in ("how", "kind", "settings") if word in said},
                "seed": replicate_seed(self.study.seed, replicate),
                **self._cut(dataset, fold),
            }

        source = self.sources[dataset]
        word = making.name if how == "interleave" else self._generator_of(making.name)
        return self._add(
            "usefulness",
            content,
            needs,
            dataset=dataset,
            title=f"{dataset}: usefulness of {word}'s images, {_of(replicate, fold)}",
            replicate=replicate,
            images=self._passed(classifier, source) + 2 * source.test,
        )

    def _generator_of(self, arm: str) -> str:
        """The study's name of the generator whose images an arm adds."""
        return self.study.arms[arm].generator or arm


def _use_of_images(arm: Arm) -> dict[str, Any]:
    """What a training run does with generated images where it does not add them to the real ones."""
    if arm.pretrain is not None:
        return {"pretrain": {"epochs": arm.pretrain.epochs}}
    return {"replace": True} if arm.replace is not None else {}


def judge_word(place: int) -> str:
    """By which a synthesis task knows one of the networks that its filter asks."""
    return f"judge {place}"


def tuning_word(learning_rate: float, number: int) -> str:
    """By which a classifier's task knows one of the training runs that its learning rate is chosen by."""
    return f"learning rate {learning_rate!r}, seed {number}"


def _of(replicate: int, fold: int | None) -> str:
    return f"replicate {replicate}" if fold is None else f"replicate {replicate}, fold {fold}"
