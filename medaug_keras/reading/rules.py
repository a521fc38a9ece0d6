"""What the sections of a study must agree on: rules that no single section can check."""

import re
from collections.abc import Iterator
from typing import get_args

from medaug_keras import references
from medaug_keras.architectures import ARCHITECTURES, networks_of_keras
from medaug_keras.generators import GENERATORS
from medaug_keras.reading.strict_yaml import Keys
from medaug_keras.reading.words import did_you_mean, of_two
from medaug_keras.spec import (
    RECIPE,
    Applications,
    Arm,
    Classifier,
    Cosine,
    Data,
    Files,
    FolderData,
    MedMnistName,
    Select,
    Study,
    TableData,
)

# What is wrong where an arm asks a generator that reconstructs for images of given classes, and the other way round.
_RECONSTRUCTS = "it makes new versions of given images, so it cannot {} images of given classes: use interleave"
_SAMPLES = "it makes images of given classes and reconstructs none, so there are none to interleave: use add"


def problems(study: Study) -> list[tuple[Keys, str]]:
    """Where sections contradict each other: the keys that lead to the mistake, what is wrong and how to mend it."""
    found: list[tuple[Keys, str]] = []
    if len(set(study.samplings)) < len(study.samplings):
        found.append((("samplings",), "names a sampling twice; keep one"))
    for name, data in study.datasets.items():
        found += [(("datasets", name, *keys), message) for keys, message in _data(name, data, study)]
    for name, arm in study.arms.items():
        found += [(("arms", name, *keys), message) for keys, message in _arm(arm, study)]
    found += [(("classifier", *keys), message) for keys, message in _recipe(study.classifier, study.select)]
    found += [
        (("series", name, "arms", arm), f"there is no arm {arm}{did_you_mean(arm, study.arms)}")
        for name, series in study.series.items()
        for arm in series.arms
        if arm not in study.arms
    ]
    for part in (_generators, _network, _baseline, _references, _points):
        found += part(study)
    return found


def _data(name: str, data: Data, study: Study) -> Iterator[tuple[Keys, str]]:
    called = getattr(data, "name", None) or name
    yield from _section(name, data)
    if isinstance(data, TableData) and data.split is None:
        yield ("split",), f"is missing; add it: {TableData.model_fields['split'].description}"
    for test, part in data.outside.items():
        yield from ((("tests", test, *keys), message) for keys, message in _outside(test, part, name, data))
    window = getattr(data, "window", None)
    if data.folds is not None and window is not None and window.percentiles is not None:
        yield (
            ("window", "percentiles"),
            "are of the training images, and with folds there are others in each fold: give low and high",
        )
    if data.tests and data.folds is not None:
        yield (
            ("tests",),
            "are tried on one network a run, and with folds there is one for each: split the images once, or leave "
            "tests out",
        )
    names = getattr(data, "classes", None)
    size = data.side
    if data.sizes and size not in data.sizes:
        those = ", ".join(map(str, data.sizes))
        yield ("size",), f"there is no {name} of {size} x {size} pixels: give it a size of its own, one of {those}"
    seen = study.classifier.side(size)
    kind, network = study.classifier.kind, getattr(study.classifier, "name", None)
    if seen < (least := ARCHITECTURES[kind].least(network)):
        at = f", and classifier.input makes them {seen} x {seen}" if seen != size else ""
        called = f"{kind} {network}" if network else kind
        yield ("size",), f"classifier {called} needs images of at least {least} x {least} pixels{at}"
    if seen < size and study.classifier.input.resize == "pad":
        yield ("size",), f"images of {size} x {size} cannot be padded to the {seen} x {seen} of classifier.input.size"
    for sizes, stuck in _stuck(study, size).items():
        arms = [arm for arm, use in _uses(study) if use in stuck]
        made = " or ".join(f"{one} x {one}" for one in sizes)
        yield (
            ("size",),
            f"has images of {size} x {size}, and these generators make {made} only: {', '.join(stuck)}. Set "
            f"size: {' or '.join(map(str, sizes))}, or leave out the arms that use them ({', '.join(arms)})",
        )
    if data.positive is not None and data.many_classes(called):
        mend = of_two(data.positive, table=isinstance(data, TableData))
        yield ("positive",), f"is for two classes, and {name} has more: {mend}"
    elif data.positive is None or isinstance(data, TableData):
        pass  # of a table either positive or classes may be the slip: its column tells, when it is read
    elif names and data.positive_class(name, names) is None:
        yield ("positive",), f"no class is called {data.positive}{did_you_mean(data.positive, names)}"
    if study.classifier.head == "sigmoid" and data.many_classes(called):
        yield (), f"{name} has more than two classes, and classifier.head sigmoid is for two: use softmax"


def _section(name: str, data: Data) -> Iterator[tuple[Keys, str]]:
    """What is wrong with where images come from, of a data set or a further test set."""
    called = getattr(data, "name", None) or name
    refused = data.refused(called)
    if refused is not None:
        yield (), refused
    elif data.published() and called not in data.published():
        yield (), f"{name} is not a {data.called}: say which with name{did_you_mean(name, data.published())}"
    if isinstance(data, FolderData) and data.split is not None and data.split.column is not None:
        yield ("split", "column"), "is of a table, which a folder has not: give fractions, folds or a file"
    names = getattr(data, "classes", None)
    if names is not None and len(set(names)) < max(2, len(names)):
        yield ("classes",), "needs two or more different names, in the order of the labels"


_OF_DATA_SETS = {
    "tests": "are of data sets, and this is a further test set itself: leave them out here",
    "positive": "is said by the data set, whose classes these are: leave it out here",
    "ordinal": "is said by the data set, whose classes these are: leave it out here",
    "publish_split": "is of data sets, and of this one set no image is trained on: leave it out here",
}
"""Settings of a data set that a further test set from elsewhere has not."""


def _outside(test: str, part: Data, name: str, data: Data) -> Iterator[tuple[Keys, str]]:
    """What is wrong with images from elsewhere as a further test set of the data set `name`."""
    yield from _section(test, part)
    for setting, message in _OF_DATA_SETS.items():
        if getattr(part, setting, None):
            yield (setting,), message
    if part.folds is not None:
        yield ("split", "folds"), "are of data sets that are trained on: leave split out, and all its images are tried"
    window = getattr(part, "window", None)
    if window is not None and window.percentiles is not None:
        yield ("window", "percentiles"), "are of training images, and on these none is trained: give low and high"
    if part.sizes and data.side not in part.sizes:
        yield ("size",), f"there is no {test} of {data.side} x {data.side} pixels, as those of {name} are"
    elif part.side != data.side:
        yield ("size",), f"its images are made {data.side} x {data.side}, as those of {name}: leave it out here"


def _recipe(classifier: Classifier, select: Select) -> Iterator[tuple[Keys, str]]:
    schedule, tune = classifier.schedule, classifier.tune
    rate = classifier.optimizer.learning_rate if tune is None else min(tune.learning_rate)
    if schedule.warm_up >= classifier.epochs:
        yield ("schedule", "warm_up"), f"{schedule.warm_up:g} epochs are not less than all {classifier.epochs}"
    if classifier.patience is not None and select == "last":
        yield ("patience",), "has nothing to wait for, since select is last: select a best epoch, or leave patience out"
    budget, size = classifier.budget, classifier.batch_size
    if budget is not None and (budget.steps or -(-(budget.images or 0) // size)) < classifier.epochs:
        yield ("budget",), f"has fewer steps of {size} images than there are epochs, {classifier.epochs}"
    if isinstance(schedule, Cosine) and schedule.end >= rate:
        yield ("schedule", "end"), f"{schedule.end:g} is not below the learning rate, {rate:g}, from which it falls"


def _network(study: Study) -> Iterator[tuple[Keys, str]]:
    if isinstance(study.classifier, Applications) and study.classifier.name not in networks_of_keras():
        asked = study.classifier.name
        yield ("classifier", "name"), f"Keras has no network {asked}{did_you_mean(asked, networks_of_keras())}"


def _uses(study: Study) -> list[tuple[str, str]]:
    """Arms that use a generator, each with its name."""
    uses = [(name, arm.generator) for name, arm in study.arms.items()]
    return [(name, generator) for name, generator in uses if generator is not None and generator in study.generators]


def _stuck(study: Study, size: int) -> dict[tuple[int, ...], list[str]]:
    """The generators in use that make images of other sizes alone, by these sizes."""
    found: dict[tuple[int, ...], list[str]] = {}
    for name in dict.fromkeys(generator for _, generator in _uses(study)):
        sizes = GENERATORS[study.generators[name].kind].sizes
        if sizes is not None and size not in sizes:
            found.setdefault(sizes, []).append(name)
    return found


def _generators(study: Study) -> Iterator[tuple[Keys, str]]:
    """What does not suit the images of some data set."""
    sides = sorted({data.side for data in study.datasets.values()})
    for name in dict.fromkeys(generator for _, generator in _uses(study)):
        generator = study.generators[name]
        if isinstance(generator, Files):
            yield from ((("generators", name, "path"), message) for message in _pattern(generator, study))
        sizes = GENERATORS[generator.kind].sizes
        refused = (generator.refuses(side) for side in sides if sizes is None or side in sizes)
        message = next((message for message in refused if message is not None), None)
        if message is not None:
            yield ("generators", name), message


def _pattern(part: Files, study: Study) -> Iterator[str]:
    """What is wrong with the pattern of files of images that were made elsewhere."""
    words = set(re.findall(r"\{[^{}]*\}", part.path))
    for word in sorted(words - {"{dataset}", "{replicate}", "{fold}"}):
        yield f"{word} is no part of a pattern: {{dataset}}, {{replicate}} and {{fold}} are"
    if len(study.datasets) > 1 and "{dataset}" not in words:
        yield f"is one place for {len(study.datasets)} data sets; put {{dataset}} into it"
    if part.trained_on == "train" and any(data.folds is not None for data in study.datasets.values()):
        missing = [word for word in ("{fold}", *(["{replicate}"] if study.replicates > 1 else [])) if word not in words]
        if missing:
            yield (
                f"needs {' and '.join(missing)}: with folds, what one fold trains on another tests, and every "
                "replicate cuts anew"
            )


def _arm(arm: Arm, study: Study) -> Iterator[tuple[Keys, str]]:
    word, name = arm.how or "", arm.generator
    if name is not None:
        generator = study.generators.get(name)
        if generator is None:
            known = did_you_mean(name, study.generators) or "; add it to generators"
            yield (word, "generator"), f"there is no generator {name}{known}"
        elif GENERATORS[generator.kind].reconstructs is not (word == "interleave"):
            advice = _SAMPLES if word == "interleave" else _RECONSTRUCTS.format(word)
            yield (word, "generator"), f"{name} is a {generator.kind}; {advice}"
    epochs = (arm.classifier or study.classifier).epochs
    if arm.pretrain is not None and arm.pretrain.epochs >= epochs:
        yield (
            ("pretrain", "epochs"),
            f"{arm.pretrain.epochs} leaves none of the classifier's {epochs} epochs for the real images: give fewer",
        )
    if arm.filter is not None:
        yield from (((word, "filter"), message) for message in _filter(study))
    for dataset in arm.amount.fractions if arm.amount is not None else ():
        # MedMNIST's own names may stay when a study that extends another drops data sets.
        if dataset not in study.datasets and dataset not in get_args(MedMnistName):
            yield (
                (word, "amount", "fractions", dataset),
                f"there is no data set {dataset}{did_you_mean(dataset, study.datasets)}",
            )
    if arm.classifier is not None:
        for setting in type(study.classifier).model_fields:
            same = getattr(arm.classifier, setting, None) == getattr(study.classifier, setting)
            if setting not in RECIPE and not same:
                yield (
                    ("classifier", setting),
                    "is the same in all arms, which differ in how the network is trained: here, leave it out",
                )
        yield from ((("classifier", *keys), message) for keys, message in _recipe(arm.classifier, study.select))
    if arm.samplings is not None:
        if not arm.samplings or len(set(arm.samplings)) < len(arm.samplings):
            yield ("samplings",), "names every sampling once, and at least one; leave it out for all"
        for sampling in set(arm.samplings) - set(study.samplings):
            yield ("samplings",), f"{sampling} is not among the study's samplings: add it there"


def _filter(study: Study) -> Iterator[str]:
    """Why the networks that a filter asks, the baseline's of other replicates, cannot be asked."""
    base = study.arms.get(study.baseline.arm)
    if base is not None and base.how is not None:
        yield (
            f"asks the networks of the baseline, and {study.baseline.arm} trains them on other images than the real "
            "ones: compare with an arm that does not"
        )
    folded = [name for name, part in study.datasets.items() if part.folds is not None]
    if folded:
        yield (
            f"asks the networks of other replicates, which have seen what a fold of {', '.join(folded)} tests: leave "
            "it out, or split the images once"
        )


def _references(study: Study) -> Iterator[tuple[Keys, str]]:
    for place, name in enumerate(study.references):
        if name in study.predictions and name not in references.names():
            yield (
                ("references", place),
                f"{name} has prediction files alone, which need no reference: leave it out here",
            )
        elif name not in references.names():
            yield ("references", place), f"there is no reference {name}{did_you_mean(name, references.names())}"
    if len(set(study.references)) < len(study.references):
        yield ("references",), "names a reference twice; keep one"
    for name in study.predictions:
        if name in references.names() and name not in study.shown_references:
            yield ("predictions", name), f"{name} is none of the study's references: add it to them"


def _points(study: Study) -> Iterator[tuple[Keys, str]]:
    points = study.operating_points
    if any(point in points[:place] for place, point in enumerate(points)):
        yield ("operating_points",), "names a point twice; keep one"
    if points and all(data.many_classes(getattr(data, "name", None) or name) for name, data in study.datasets.items()):
        yield (
            ("operating_points",),
            "are for two classes, and all data sets of the study have more: leave them out",
        )


def _baseline(study: Study) -> Iterator[tuple[Keys, str]]:
    arm = study.arms.get(study.baseline.arm)
    if arm is None:
        known = did_you_mean(study.baseline.arm, study.arms)
        yield ("baseline", "arm"), f"there is no arm {study.baseline.arm} to compare with{known}"
    elif study.baseline.sampling not in (arm.samplings or study.samplings):
        wanted = f"{study.baseline.arm} is not trained with {study.baseline.sampling}"
        yield ("baseline", "sampling"), f"{wanted}: choose a sampling that it is trained with"
