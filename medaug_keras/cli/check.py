"""What is wrong or odd with a study and its data: found here, printed by the verb `check`, and shown in a notebook."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests

from medaug_keras import data, gpus
from medaug_keras.architectures import ARCHITECTURES
from medaug_keras.counts import plural
from medaug_keras.plan import Plan, Source, classes_of_test, data_task, located, plan, replicate_seed
from medaug_keras.reading.words import SLOW_PRECISION, weighted_twice
from medaug_keras.spec import IMAGENET, Applications, Files, Python, PythonStep, Study, deciding, place_of_test

from .audit import write_audit
from .request import Counts, asked_images, code_not_allowed, misfits, rare_classes, source, study_beside, unlike

Severity = Literal["refused", "unreadable", "fail", "warning", "note"]


@dataclass(frozen=True)
class Remark:
    """One thing that `check` found."""

    where: str
    """The key of the study, such as datasets.mine."""
    severity: Severity
    """refused: nothing is run before it is mended; unreadable: the data set is left out, and the rest is made; fail:
    training goes on, but scores of test images mean less than they seem to; warning: likewise, of less weight; note:
    nothing is wrong."""
    what: str
    """What was found and, of what is refused or unreadable, what is expected."""
    mend: str = ""
    """What can be done; empty where `what` says it, or nothing need be done."""

    def __str__(self) -> str:
        """The line that a terminal shows."""
        level = f"{self.severity}: " if self.severity in ("fail", "warning") else ""
        return f"{self.where}: {level}{self.what}"


def examine(study: Study, options: argparse.Namespace, tell: Callable[[Remark], None]) -> Plan | None:
    """Tell all that is wrong or odd with a study and its data, each when it is found.

    Returns the plan; None where something is refused or cannot be read. Images of the user's are read whole, as a run
    would. Raises StudyError, RequestError and DataError of the study beside it, and RequestError of --audit.
    """
    study_beside(study, options)
    found: dict[str, Source] = {}
    counts: dict[str, Counts] = {}

    def unreadable(name: str, error: data.DataError) -> None:
        for line in str(error).split("\n"):
            tell(Remark(f"datasets.{name}", "unreadable", line))

    for name in study.datasets:
        try:
            found[name], of_classes = _examined(study, name, options, tell)
        except data.DataError as error:
            unreadable(name, error)
        else:
            if of_classes is not None:
                counts[name] = of_classes
        for test in study.datasets[name].outside:
            place = place_of_test(name, test)
            try:
                found[place] = _examined_outside(study, name, test, found.get(name), options, tell)
            except data.DataError as error:
                unreadable(place, error)
    missing, notes = _weights(study)
    trained_on = {name: known for name, known in found.items() if name in study.datasets}
    refused = [*misfits(study, found, counts), *_made_elsewhere(study, trained_on, options)]
    refused += [*code_not_allowed(study, options), *_own_parts(study, trained_on, options), *missing]
    for line in refused:
        tell(_remark("refused", line))
    for line in notes:
        tell(_remark("note", line))
    if refused or found.keys() != study.sets.keys():
        return None
    whole = plan(study, found)
    for where, said in (("primary", rare_classes(study, whole, options)), ("arms", weighted_twice(study))):
        if said:
            tell(Remark(where, "warning", said))
    if said := slow_precision(study):
        tell(_remark("warning", said))
    return whole


def conclusion(study: Study, remarks: Sequence[Remark], whole: Plan | None) -> str:
    """What comes of the remarks, in a sentence."""
    away = without(remarks)
    if any(one.severity == "refused" for one in remarks):
        many = sum(one.severity in ("refused", "unreadable") for one in remarks)  # all of them stand above this
        return f"a run would refuse it; {plural(many, 'thing is', 'things are')} to be mended."
    if whole is None and none_left(study, remarks):
        return "no data set can be used, so a run would refuse it."
    if whole is None:
        return f"a run would leave out {', '.join(away)}, and make the rest."
    odd = sum(one.severity in ("fail", "warning") for one in remarks)
    said = f"can be run; {plural(odd, 'thing is', 'things are')} odd" if odd else "nothing wrong"
    counted = ((len(study.datasets), "data set"), (len(study.arms), "arm"), (len(whole.runs), "run"))
    return f"{said}; " + ", ".join(plural(n, word) for n, word in counted) + "."


def without(remarks: Sequence[Remark]) -> list[str]:
    """The keys of data sets, and of further test sets, that cannot be read."""
    return list(dict.fromkeys(one.where for one in remarks if one.severity == "unreadable"))


def none_left(study: Study, remarks: Sequence[Remark]) -> bool:
    """Whether no data set can be read."""
    away = without(remarks)
    return all(f"datasets.{name}" in away for name in study.datasets)


def odd(name: str, summary: Mapping[str, Any], *, outside: bool = False) -> Iterator[Remark]:
    """What is odd in the summary of a data set, with its `audit`; or of a further test set `outside` it, beside it."""
    levels: dict[str, Severity] = {"fail": "fail", "warn": "warning"}
    for check in data.checks_outside(summary) if outside else data.checks(summary):
        for one in check.found:
            if one.level in levels:
                yield Remark(f"datasets.{name}", levels[one.level], one.text, check.advice)


def forgotten_groups(study: Study, options: argparse.Namespace) -> Iterator[Remark]:
    """The data sets whose images may belong together by a column that no setting names, without an image being read."""
    for name in study.datasets:
        section = located(study, name, str(options.data))
        with suppress(data.DataError):  # whoever reads it says what is wrong with it
            if said := data.KINDS[section["kind"]].forgotten_group(section):
                yield Remark(f"datasets.{name}", "warning", said)


def before_training(study: Study, options: argparse.Namespace) -> Iterator[str]:
    """What is to be known before anything is trained, in lines."""
    if options.scheduler is None and (said := slow_precision(study)):
        yield said
    yield from map(str, forgotten_groups(study, options))


def slow_precision(study: Study) -> str:
    """A warning of a precision that this machine computes slowly; empty elsewhere."""
    return SLOW_PRECISION if study.precision == "bfloat16" and gpus.bfloat16_is_slow() else ""


def _remark(severity: Severity, line: str) -> Remark:
    """A line that begins with the key of the study."""
    where, _, what = line.partition(": ")
    return Remark(where, severity, what)


def _made_elsewhere(study: Study, found: Mapping[str, Source], options: argparse.Namespace) -> list[str]:
    """What is wrong in the files of images that were made elsewhere, for any data set that can be read."""
    said: dict[str, None] = {}  # a set that keeps its order
    for name, known in found.items():
        section = located(study, name, str(options.data.resolve()))
        sizes = data.KINDS[section["kind"]].sizes(section)
        folds = study.datasets[name].folds
        for generator, part in study.generators.items():
            arms = {arm: spec for arm, spec in study.arms.items() if spec.generator == generator}
            if not isinstance(part, Files) or not arms:
                continue
            places = {
                part.place(name, replicate, fold): None
                for replicate in range(study.replicates)
                for fold in range((folds.folds if folds is not None else None) or 1)
            }
            for place in places:
                try:
                    _, labels = data.load_made(Path(place), classes=sizes.classes, image_shape=sizes.image_shape)
                except data.DataError as error:
                    said |= dict.fromkeys(f"generators.{generator}.path: {line}" for line in str(error).split("\n"))
                    continue
                for arm, spec in arms.items():
                    asked = asked_images(spec.amount, name, known) if spec.amount is not None else 0
                    if asked > len(labels):
                        said[
                            f"arms.{arm}.{spec.how}.amount: asks for {plural(asked, 'image')} of {name}, and {place} "
                            f"has {len(labels):,}: lower it, or make more"
                        ] = None
    return list(said)


def _larger_network(study: Study, name: str) -> list[str]:
    """What to say of a classifier that is larger than the one at 28 x 28, because the images are."""
    size, kind = study.classifier.side(study.datasets[name].side), study.classifier.kind
    dense_weights = ARCHITECTURES[kind].dense_weights
    if size == data.IMAGE_SIZE or dense_weights is None:
        return []
    weights, usual = dense_weights(size), dense_weights(data.IMAGE_SIZE)
    return [
        f"at {size} x {size} the first dense layer of {kind} has {weights:,} weights; at 28 x 28 it has {usual:,}. "
        "The size of a resnet18 does not depend on the images"
    ]


def _weights(study: Study) -> tuple[list[str], list[str]]:
    """What is wrong with the weights that the classifier begins with, and what to say of them."""
    asked = study.classifier
    if not isinstance(asked, Applications) or asked.weights != IMAGENET:
        return [], []
    from medaug_keras.architectures.applications import away, weights_file

    path, origin = weights_file(asked.name)
    if path.is_file():
        return [], []
    try:
        requests.head(origin, timeout=10, allow_redirects=True).raise_for_status()
    except requests.RequestException as error:
        return [f"classifier.weights: {away(path, origin, type(error).__name__)}"], []
    return [], [f"classifier.weights: {path.name} is not in {path.parent} yet; a run downloads it"]


def _own_parts(study: Study, found: Mapping[str, Source], options: argparse.Namespace) -> list[str]:
    """What is wrong with a network, its weights or steps of the user's own, for any data set that can be read.

    Runs the user's code only where it is allowed.
    """
    file, code = study.classifier.weights_file, options.allow_code
    network = code if isinstance(study.classifier, Python) else file is not None
    if not network and not (study.builders and code):
        return []
    from medaug_keras import augmentation, classifiers
    from medaug_keras.own_code import OwnCodeError

    settings, _ = classifiers.split(deciding(study.classifier))
    if isinstance(study.classifier, Python):
        settings["source"] = study.code[study.classifier.builder]
    if file is not None:
        settings["weights"] = {"file": file, "sha256": study.sums[file]}
    steps: dict[str, Any] = {}  # of those that are alike, the first
    for name, arm in study.arms.items():
        for number, step in enumerate(arm.augment):
            if code and isinstance(step, PythonStep) and step not in steps.values():
                steps[f"arms.{name}.augment.{number}.builder"] = step
    said: dict[str, None] = {}  # a set that keeps its order
    for name, known in found.items():
        section = located(study, name, str(options.data.resolve()))
        place = data.KINDS[section["kind"]].place(section)
        if place is not None and not os.path.lexists(place):
            continue  # a run downloads it
        dataset = data.load(section, lambda text: None, None) if place is None else _read(study, name, known, options)
        shape, classes = dataset.image_shape, len(dataset.classes)
        if network:
            try:
                classifiers.build(**settings, image_shape=shape, num_classes=classes, seed=study.seed)
            except ValueError as error:
                key = "builder" if isinstance(error, OwnCodeError) else "weights"
                said[f"classifier.{key}: {error}"] = None
        for keys, step in steps.items():
            try:
                augmentation.tried({**deciding(step), "source": study.code[step.builder]}, shape, seed=study.seed)
            except ValueError as error:
                said[f"{keys}: {error}"] = None
    return list(said)


def _examined(
    study: Study, name: str, options: argparse.Namespace, tell: Callable[[Remark], None]
) -> tuple[Source, Counts | None]:
    """A data set read whole, as a run would, and its images of each class (the fewest in any fold).

    Tells what is odd. Raises DataError.
    """

    def say(severity: Severity, what: str) -> None:
        tell(Remark(f"datasets.{name}", severity, what))

    found = source(study, name, options)
    section = located(study, name, str(options.data.resolve()))
    kind = data.KINDS[section["kind"]]
    place = kind.place(section)
    for text in _larger_network(study, name):
        say("note", text)
    if place is None:  # made from a seed, so nothing can be wrong with it
        return found, None
    if _to_download(study, name, options):
        say("note", f"not in {options.data} yet; a run downloads it")
        return found, None
    dataset = _read(study, name, found, options)
    cut = data.folds_of(section)
    counts = {split: dataset.per_class(split) for split in ("train", "validation")}
    if cut is not None:
        seeds = [replicate_seed(study.seed, replicate) for replicate in range(study.replicates)]
        counts = data.examined(dataset, cut, seeds=seeds)
        if few := data.sparse(dataset, cut):
            say("warning", few)
    relations = data.related(dataset)
    for remark in odd(name, dataset.summary() | {"audit": data.audit(dataset, relations)}):
        tell(remark)
    if said := kind.forgotten_group(section):
        say("warning", said)
    parted = kind.subgroups(section)
    for text in data.odd_subgroups(parted) if parted is not None else ():
        say("warning", text)
    if options.audit is not None:
        for text in write_audit(relations, section, name=name, folder=options.audit, study=options.study):
            say("note", text)
    return found, counts


def _examined_outside(
    study: Study, name: str, test: str, own: Source | None, options: argparse.Namespace, tell: Callable[[Remark], None]
) -> Source:
    """A further test set from elsewhere, read whole, beside its data set where that could be read (`own`).

    Tells what is odd. Raises DataError.
    """
    place = place_of_test(name, test)

    def note(what: str) -> None:
        tell(Remark(f"datasets.{place}", "note", what))

    found = source(study, place, options)
    if _to_download(study, place, options):
        note(f"not in {options.data} yet; a run downloads it")
        return found
    outside = _read(study, place, found, options)
    if own is None or any(unlike(name, own, found)):
        return found
    if _to_download(study, name, options):
        note(f"which of its images {name} has is looked for when {name} is there")
        return found
    both = data.beside(_read(study, name, own, options), outside, classes_of_test(found, own))
    relations = data.related(both)
    for remark in odd(place, both.summary() | {"audit": data.audit(both, relations)}, outside=True):
        tell(remark)
    section = located(study, place, str(options.data.resolve()))
    parted = data.KINDS[section["kind"]].subgroups(section)
    for text in data.odd_subgroups(parted) if parted is not None else ():
        tell(Remark(f"datasets.{place}", "warning", text))
    if options.audit is not None and "drop" in section:
        for text in write_audit(relations, section, name=place, folder=options.audit, study=options.study):
            note(text)
    return found


def _to_download(study: Study, name: str, options: argparse.Namespace) -> bool:
    """Whether a published set is not there yet."""
    section = located(study, name, str(options.data.resolve()))
    kind = data.KINDS[section["kind"]]
    place = kind.place(section)
    return place is not None and kind.official(section) is not None and not os.path.lexists(place)


def _read(study: Study, name: str, found: Source, options: argparse.Namespace) -> data.Dataset:
    """A data set, in files of the results folder, where a run finds it; in memory where nothing can be written."""
    task = data_task(study, name, found, data_root=str(options.data.resolve()))
    folder = options.results / "unpacked"

    def tell(text: str) -> None:
        print(f"datasets.{name}: {text}", file=sys.stderr)

    def load(room: data.Room | None) -> data.Dataset:
        dataset = data.load(task.local, tell, room)
        if dataset.fingerprint != found.fingerprint:
            raise data.DataError("the images changed while they were read; check again")
        return dataset

    try:
        folder.mkdir(parents=True, exist_ok=True)
        usable = os.access(folder, os.W_OK)
    except OSError:
        usable = False
    if not usable:
        return load(None)
    return data.unpacked(folder / task.id, load, section=task.local, report=tell)
