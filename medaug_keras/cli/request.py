"""Which study is meant, its plan, and the part of it that is asked for."""

import argparse
import os
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from medaug_keras import data, looks
from medaug_keras.counts import first_of, plural
from medaug_keras.generators import GENERATORS
from medaug_keras.plan import Plan, Source, Task, added_images, classes_of_test, located, plan
from medaug_keras.reading import read, words
from medaug_keras.spec import Amount, Study, TableData, place_of_test
from medaug_keras.store import Store, StoreError

from . import memory
from .mistakes import RequestError
from .options import DEFAULTS, FILTERS

_MOST_NAMES = 12  # of classes, in one message
Counts = Mapping[str, Sequence[int]]
"""Split → images of each class."""


def read_study(options: argparse.Namespace) -> Study:
    """The study of the file, with what the command line changes. Raises StudyError."""
    return read(
        options.study,
        overrides=options.set,
        replicates=options.replicates,
        accept_unverified=options.unverified_data,
    )


def study_by_name(options: argparse.Namespace) -> Study | None:
    """The study that the results folder knows by the name that stands for a file; its --data too, unless one is said.

    None where the word is a file, or no name. Raises RequestError.
    """
    name = str(options.study)
    if options.study.exists() or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name):
        return None
    known = memory.recall(options.results, name)
    if known is None:
        names = ", ".join(memory.names(options.results)) or "none"
        raise RequestError(
            f"{name} is no file, and {options.results} knows no study of that name (it knows {names}). "
            "Give the study's file, or say with --results where its results are."
        )
    if options.set or options.replicates is not None or options.unverified_data:
        raise RequestError(
            f"{name} is the study as its report was made last, with every setting. To change any, give its file."
        )
    if options.data == DEFAULTS["data"]():
        options.data = Path(known.data_root)
    return known.study


def planned(options: argparse.Namespace, study: Study | None = None) -> tuple[Study, Plan, Plan]:
    """The study, its whole plan, and the part that --only leaves. Says which data cannot be read now.

    Raises RequestError where none can be read, and nothing is known of any.
    """
    study = study or read_study(options)
    if options.verb in ("run", "reproduce"):  # the other verbs run none
        for line in code_not_allowed(study, options):
            raise RequestError(f"{options.study}: {line}")
    found = sources(study, options)
    if not any(found[name].fingerprint for name in study.datasets):
        raise RequestError("\n".join(f"{name}: {source.away}" for name, source in found.items() if source.away))
    if options.verb in ("run", "plan"):  # what is finished is shown and explained all the same
        said = misfits(study, found)
        if said:
            raise RequestError("\n".join(f"{options.study}: {line}" for line in said))
    whole = plan(study, found, data_root=str(options.data.resolve()), allow_code=options.allow_code)
    _say_away(str(options.study), whole, Store(options.results))
    return study, whole, narrowed(whole, options.only)


def code_not_allowed(study: Study, options: argparse.Namespace) -> list[str]:
    """Why a run refuses the study's own code, where it has some and the user has not allowed it; a line at the most."""
    if not study.builders or options.allow_code:
        return []
    return [
        f"{words.dotted(next(iter(study.builders)))}: {own_functions(study)} Python code, "
        "which can do all that you can do on this machine. Read it; if you trust it, add --allow-code."
    ]


def own_functions(study: Study) -> str:
    """The functions of the study's own code and their files, with the verb: "the function net of nets.py is"."""
    named = [builder.partition(":") for builder in dict.fromkeys(study.builders.values())]
    said = " and ".join(f"{function} of {file}.py" for file, _, function in named)
    return f"the functions {said} are" if len(named) > 1 else f"the function {said} is"


def _say_away(said: str, whole: Plan, store: Store) -> None:
    """Name the data sets that cannot be read now on the standard error stream, with what is shown of them."""
    for name, source in whole.sources.items():
        if not source.away:
            continue
        tasks = [run.task for run in whole.runs if run.dataset == name]
        tasks += [
            task for run in whole.runs for test, task in run.tests.items() if place_of_test(run.dataset, test) == name
        ]
        finished = sum(map(store.is_done, tasks))
        shown = (
            f"Its {plural(finished, 'finished result')} {'is' if finished == 1 else 'are'} shown from the last known "
            "fingerprint."
            if source.fingerprint
            else f"{store.root} knows nothing of it, so none of its runs has a result."
        )
        print(f"{said}: datasets.{name} cannot be read now: {source.away}\n  {shown}", file=sys.stderr)


def narrowed(whole: Plan, only: Sequence[str]) -> Plan:
    """The part of a plan that filters such as `dataset=breastmnist` leave. Raises RequestError."""
    filters: dict[str, list[str]] = {}
    for text in only:
        name, sign, value = text.partition("=")
        if not sign or name not in FILTERS:
            raise RequestError(f"--only {text}: expected NAME=VALUE with NAME one of {', '.join(FILTERS)}")
        if name == "task":
            filters.setdefault(name, []).append(find_task(whole, value).id)
            continue
        known = dict.fromkeys(str(getattr(run, name)) for run in whole.runs)
        if value not in known:
            raise RequestError(f"--only {text}: the study has no {name} {value!r}; it has {', '.join(known)}")
        filters.setdefault(name, []).append(value)
    if "task" in filters and len(filters) > 1:
        raise RequestError("--only task= names the very tasks, so no other --only can narrow them")
    chosen = whole.only(filters) if filters else whole
    if not chosen.tasks:
        raise RequestError(f"--only {' --only '.join(only)}: no run of the study matches all of these")
    return chosen


def sources(study: Study, options: argparse.Namespace) -> dict[str, Source]:
    """What the plan must know of each data set, and of each further test set from elsewhere.

    One that cannot be read now is planned as the results folder knew it last, so that its finished results are found;
    where that knows nothing, without a fingerprint. Either way `away` says why; tasks that need the data say it again.
    """
    known = memory.recall(options.results, study.name)
    found = {}
    for name in study.sets:
        last = known.source(study, name) if known is not None else None
        try:
            found[name] = _gone(study, name, options, last) or source(study, name, options)
        except data.DataError as error:
            found[name] = replace(last or Source("", 0, 0, 0), away=str(error))
    return found


def _gone(study: Study, name: str, options: argparse.Namespace, last: Source | None) -> Source | None:
    """A published file that is not there now, and was an unverified copy: the official one would be other data."""
    section = located(study, name, str(options.data))
    kind = data.KINDS[section["kind"]]
    path, official = kind.place(section), kind.official(section)
    if last is None or path is None or path.exists() or official in (None, last.fingerprint):
        return None
    if not section["accept_unverified"]:
        return None
    return replace(last, away=f"{path} is not there, and the official file is not the one that was used. Say --data.")


def source(study: Study, name: str, options: argparse.Namespace) -> Source:
    """Fingerprint and sizes of a data set, without reading its images. Raises DataError."""
    section = located(study, name, str(options.data))
    kind = data.KINDS[section["kind"]]
    cache = options.results / "fingerprints.json" if options.results.is_dir() else None
    if (kind.place(section) or Path()).is_relative_to(os.devnull):
        raise RequestError("There is no home folder (HOME) for MedMNIST's files: name another with --data DIR")
    fingerprint, sizes = kind.fingerprint(section, cache), kind.sizes(section)
    names, parted = tuple(map(str, sizes.classes)), kind.subgroups(section)
    return Source(
        fingerprint,
        sizes.train,
        sizes.validation,
        sizes.test,
        len(names),
        class_names=names,
        several=sizes.several,
        subgroups=parted.md5 if parted is not None else "",
        channels=sizes.image_shape[2],
    )


def misfits(study: Study, found: Mapping[str, Source], counts: Mapping[str, Counts] | None = None) -> list[str]:
    """What the study asks of data sets (those that could be read) that are too small for it, or of other classes.

    `counts` has the images of each class in each split of the data sets that were read whole.
    """
    said = []
    for name, splits in (counts or {}).items():
        for generator, made in study.generators.items():
            few = [k for k, n in enumerate(splits["train"]) if n < 2 or not splits["validation"][k]]
            if made.needs_every_class and few:
                said.append(
                    f"generators.{generator}.per_class: needs 2 training images and a validation image of every class, "
                    f"but {name} has {splits['train'][few[0]]} and {splits['validation'][few[0]]} of class {few[0]}"
                )
    own = {name: source for name, source in found.items() if name in study.datasets}
    if study.operating_points and own and all(source.several for source in own.values()):
        said.append("operating_points: are for two classes, and all images have several findings: leave them out")
    for name, source in own.items():
        for test in study.datasets[name].outside:
            place = place_of_test(name, test)
            if place in found:
                said += [f"datasets.{place}: {line}" for line in unlike(name, source, found[place])]
        if source.several:
            said += [f"{keys}: {line}" for keys, line in _of_findings(study, name)]
        elif study.classifier.head == "sigmoid" and source.classes > 2:
            said.append(
                f"datasets.{name}: has {source.classes} classes, and classifier.head sigmoid is for two: use softmax"
            )
        said += [f"datasets.{name}.positive: {line}" for line in _positive(study, name, source)]
        for arm, spec in study.arms.items():
            if spec.amount is None or not source.train:
                continue
            if not asked_images(spec.amount, name, source):
                said.append(
                    f"arms.{arm}.{spec.how}.amount: {_fraction(spec.amount, name):g} of the {source.train} training "
                    f"images of {name} is less than one image: raise the fraction, for this data set alone with "
                    "`fractions`, or give a number with `images`"
                )
    return said


def unlike(name: str, own: Source, source: Source) -> Iterator[str]:
    """Why the networks of a data set cannot be tried on a further test set from elsewhere."""
    if not (own.class_names and source.class_names):
        return  # one of them cannot be read
    if own.several is not source.several:
        one, other = ("several findings an image" if some.several else "one class an image" for some in (source, own))
        yield f"has {one}, and {name} has {other}: networks of one cannot be tried on the other"
    elif classes_of_test(source, own) is None:
        what = "findings" if own.several else "classes"
        yield (
            f"its {what} are {_names(source.class_names)}, and those of {name} are {_names(own.class_names)}: give "
            "them the same names, in whatever order"
        )
    if own.channels and source.channels and own.channels != source.channels:
        kinds = {1: "grey", 3: "rgb"}
        yield (
            f"its images are {kinds[source.channels]}, and those of {name} are {kinds[own.channels]}: set colour: "
            f"{kinds[own.channels]} where its kind has it, or give images that are alike"
        )


def _names(classes: Sequence[str]) -> str:
    return first_of([repr(name) for name in classes], _MOST_NAMES)


def _of_findings(study: Study, name: str) -> Iterator[tuple[str, str]]:
    """What of the study is for images of one class each, and not for those of this data set: keys and message."""
    has = f"{name} has several findings an image"
    if study.classifier.head == "sigmoid":
        yield "classifier.head", f"{has}, each with a sigmoid of its own: leave head out"
    if study.datasets[name].positive is not None:
        yield f"datasets.{name}.positive", "is for two classes, and these images have several findings: leave it out"
    if study.datasets[name].ordinal:
        yield f"datasets.{name}.ordinal", "is for classes that are grades, and these are findings: leave it out"
    for arm, spec in study.arms.items():
        made = study.generators.get(spec.generator or "")
        if made is not None and not GENERATORS[made.kind].several:
            yield (
                f"arms.{arm}.{spec.how}",
                f"{has}, and a generator of kind {made.kind} gives images of one class each: take one of another kind, "
                f"or leave out the arm or {name}",
            )
        if spec.filter is not None:
            yield (
                f"arms.{arm}.{spec.how}.filter",
                f"keeps images whose class is recognized, and {has}: leave filter out",
            )
    for generator, made in study.generators.items():
        if made.needs_every_class and any(spec.generator == generator for spec in study.arms.values()):
            yield f"generators.{generator}.per_class", f"trains one for each class, and {has}: leave it out"


def _fraction(amount: Amount, name: str) -> float:
    """Which fraction of a data set's training images is asked for."""
    return amount.fractions.get(name, amount.fraction)


def asked_images(amount: Amount, name: str, source: Source) -> int:
    """How many images are asked for on a data set."""
    return added_images({"images": amount.images, "fraction": _fraction(amount, name)}, source.train)


def _positive(study: Study, name: str, source: Source) -> Iterator[str]:
    """What is wrong with the class that is looked for in a data set whose classes are known."""
    data, classes = study.datasets[name], source.class_names
    if source.several:
        return  # `_of_findings` says it
    if data.positive is not None and len(classes) > 2:
        mend = words.of_two(data.positive, table=isinstance(data, TableData))
        yield f"is for two classes, and {name} has {len(classes)}: {mend}"
    elif data.positive is not None and len(classes) == 2 and data.positive_class(name, classes) is None:
        yield f"no class is called {data.positive}{words.did_you_mean(data.positive, classes)}"
    elif study.operating_points and len(classes) == 2 and data.positive_class(name, classes) is None:
        yield f"is missing; operating_points need to know which class is looked for: {' or '.join(classes)}"


def registered(study: Study, whole: Plan, done: Sequence[str], options: argparse.Namespace) -> str:
    """Write a study into the log of its results folder, unless it is there, and say how it stands there.

    Raises RequestError where a data set cannot be read, as its bytes belong to the study, or nothing can be written.
    """
    for name in study.datasets:
        try:
            source(study, name, options)
        except data.DataError as error:
            raise RequestError(f"--register: {name}: {error}") from None
    check_results(options.results)
    others = len(Store(options.results).finished("classifier") - whole.tasks.keys())
    failed = looks.note(options.results, looks.line("registered", study, whole, done, others=others))
    if failed:
        raise RequestError(f"--results {options.results}: {looks.NAME} cannot be written ({failed})")
    from medaug_keras.report.numbers.circumstances import how_registered, moment, others_registered

    found = looks.looked(options.results, study, whole, done)
    one = found.registered
    if one is None:
        raise RequestError(f"--results {options.results}: {looks.NAME} does not keep what is written to it")
    said = [f"Registered {how_registered(one)}, {moment(one.time)}: study {one.study}", *others_registered(found)]
    return "\n".join([*said, *(["Pages say so."] if len(said) > 1 else [])])


def rare_classes(study: Study, whole: Plan, options: argparse.Namespace) -> str:
    """A warning where accuracy is the primary metric and a class is known to be rare; empty elsewhere."""
    if study.primary != "accuracy":
        return ""
    store, shares = Store(options.results), {}
    for name in study.datasets:
        with suppress(data.DataError, StoreError):
            counts = _class_counts(study, name, options)
            share = data.rarest_share(counts) if counts else _rarest_done(store, whole.data[name])
            if share is not None:
                shares[name] = share
    return words.rare_classes(shares) if shares else ""


def _class_counts(study: Study, name: str, options: argparse.Namespace) -> list[int]:
    """Training images of each class, as far as a file that is there tells them without an image being read."""
    section = located(study, name, str(options.data))
    return list(data.KINDS[section["kind"]].class_counts(section))


def _rarest_done(store: Store, task: str) -> float | None:
    """Share of the rarest class (or finding) in a finished data task, where it is rare."""
    if not store.is_done(task):
        return None
    train = store.record(task).values["splits"]["train"]
    return data.rarest_share(train["per_class"], train["images"])


def find_task(whole: Plan, text: str) -> Task:
    """A task by its id, the beginning of its id, or DATASET/ARM/SAMPLING/REPLICATE."""
    found = [task for name, task in whole.tasks.items() if name.startswith(text)]
    parts = text.split("/")
    if len(parts) == 4:
        runs = [c for c in whole.runs if [c.dataset, c.arm, c.sampling, str(c.replicate)] == parts]
        found = [whole.tasks[run.task] for run in runs]
    if len(found) == 1:
        return found[0]
    what = "several tasks begin so" if found else "the study has no such task"
    raise RequestError(
        f"{text}: {what}. Give a task's id (`plan --json` lists them) or DATASET/ARM/SAMPLING/REPLICATE, "
        "such as breastmnist/gda/weighted/0."
    )


def check_results(folder: Path) -> None:
    """Raises RequestError where nothing can be written into the results folder."""
    try:
        (folder / "unfinished").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "unfinished") as file:
            file.write(b"room for a byte?")
    except OSError as error:
        raise RequestError(f"--results {folder}: nothing can be written here ({error.strerror})") from None


def study_beside(study: Study, options: argparse.Namespace) -> tuple[Study, Plan] | None:
    """The study that the report shows beside this one, and its plan."""
    if study.beside is None:
        return None
    other = read(Path(study.beside), replicates=options.replicates, accept_unverified=options.unverified_data)
    whole = plan(other, sources(other, options), data_root=str(options.data.resolve()))
    _say_away(study.beside, whole, Store(options.results))
    return other, whole
