"""YAML → Study: reads a file, what it extends and what the command line sets, and says every mistake at once."""

import json
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import partial, reduce
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from medaug_keras.counts import plural
from medaug_keras.reading.builders import BuilderError, source_of
from medaug_keras.reading.predicted import PredictedError, predicted_sums
from medaug_keras.reading.rules import problems
from medaug_keras.reading.schema import schema
from medaug_keras.reading.strict_yaml import (
    MAX_DEPTH,
    Keys,
    Node,
    Place,
    YamlError,
    compose_file,
    compose_value,
    node_of,
    place_of,
    plain,
)
from medaug_keras.reading.vary import expanded
from medaug_keras.reading.weights import MadeError, WeightsError, made_sum, sum_of
from medaug_keras.reading.words import TAGS, dotted, in_words
from medaug_keras.spec import Data, Files, MedMnistData, Study, files, with_files

__all__ = ["StudyError", "problems", "read", "schema"]

MAX_EXTENDS = 10
MAX_SHOWN = 50
_MOST_FILES = 5  # that are named in one message
DICTIONARY = "the dictionary"
"""What messages call a study that is in no file."""

# Sections whose keys are names that the user chose: there, null in an extending file drops the entry.
_NAMED = {("datasets",), ("generators",), ("arms",)}


class StudyError(Exception):
    """Not a study. `mistakes` are (place, message), sorted by place; the text lists them all."""

    def __init__(self, name: str, mistakes: Iterable[tuple[Place, str]]) -> None:
        self.mistakes = sorted(set(mistakes), key=lambda m: (m[0].line is None, m[0].name, m[0].line or 0, m[1]))
        count = len(self.mistakes)
        lines = [f"  {_line(place, message)}" for place, message in self.mistakes[:MAX_SHOWN]]
        if count > MAX_SHOWN:
            lines.append(f"  and {count - MAX_SHOWN:,} more")
        super().__init__("\n".join([f"{name} is not a study ({plural(count, 'mistake')}):", *lines]))


def read(
    path: Path | Mapping[str, Any],
    *,
    overrides: Sequence[str] = (),
    replicates: int | None = None,
    accept_unverified: bool = False,
) -> Study:
    """The study that a file says, or a dictionary that says what a file would.

    An override `classifier.epochs=2` means what a file would that extends this one and says `classifier: {epochs: 2}`.
    `replicates` is an override too. `accept_unverified` lets every MedMNIST data set use a file whose checksum is not
    the official one. Relative paths of data start at the folder of the file that names them, those of a dictionary or
    an override at the working directory, and are absolute in the study.

    Raises StudyError with all mistakes, each with file and line.
    """
    name = DICTIONARY if isinstance(path, Mapping) else str(path)
    first = partial(_dictionary, path) if isinstance(path, Mapping) else partial(_file, path)
    mistakes: list[tuple[Place, str]] = []
    layers = []
    for layer in [first, *(partial(_override, text) for text in overrides)]:
        try:
            layers.append(layer())
        except YamlError as error:
            mistakes += error.mistakes
    if mistakes:
        raise StudyError(name, mistakes)
    if replicates is not None:
        place = Place(f"--replicates {replicates}")
        layers.append(Node(place, {"replicates": Node(place, replicates)}))
    try:
        tree, origins = expanded(reduce(_merged, layers))
    except YamlError as error:
        raise StudyError(name, error.mistakes) from None
    tree = _with_recipes(tree)
    study = _validated(tree, name, origins)
    datasets: dict[str, Any] = dict(study.datasets)
    for dataset, data in datasets.items():
        paths = {keys: _whole_path(path, place_of(tree, ("datasets", dataset, *keys))) for keys, path in files(data)}
        if paths:
            datasets[dataset] = data = with_files(data, paths)
        if accept_unverified:
            datasets[dataset] = _unverified(data)
    beside = study.beside and _whole_path(study.beside, place_of(tree, ("beside",)))
    study = study.model_copy(update={"datasets": datasets, "beside": beside})
    study = _with_made(_with_weights(study, tree, mistakes), tree, mistakes).with_code(_code(study, tree, mistakes))
    study = _with_predictions(study, tree, mistakes)
    if mistakes:
        raise StudyError(name, mistakes)
    return study


def _unverified(data: Data) -> Data:
    """A data set that may be a copy that is not official, and so may its further test sets."""
    more: dict[str, Any] = {"accept_unverified": True} if isinstance(data, MedMnistData) else {}
    if data.outside:
        more["tests"] = {**data.tests, **{test: _unverified(part) for test, part in data.outside.items()}}
    return data.model_copy(update=more)


def _with_weights(study: Study, tree: Node, mistakes: list[tuple[Place, str]]) -> Study:
    """The study with the whole path and the sum of the file of weights that it names."""
    named, keys = study.classifier.weights_file, ("classifier", "weights")
    if named is None:
        return study
    place = place_of(tree, keys)
    path = _whole_path(named, place)
    try:
        return study.with_weights(path, {path: sum_of(Path(path))})
    except WeightsError as error:
        mistakes.append((place, f"{dotted(keys)}: {error}"))
        return study


def _with_made(study: Study, tree: Node, mistakes: list[tuple[Place, str]]) -> Study:
    """The study with the whole paths and the sums of images that were made elsewhere, of the generators in use."""
    used = {arm.generator for arm in study.arms.values()}
    generators, sums = dict(study.generators), dict[str, str]()
    for name, part in study.generators.items():
        if not isinstance(part, Files):
            continue
        keys = ("generators", name, "path")
        place = place_of(tree, keys)
        generators[name] = part = part.model_copy(update={"path": _whole_path(part.path, place)})
        if name not in used:
            continue
        wrong = []
        places = {
            part.place(dataset, replicate, fold)
            for dataset, data in study.datasets.items()
            for replicate in range(study.replicates)
            for fold in range(data.folds.folds or 1 if data.folds is not None else 1)
        }
        for path in sorted(places):
            try:
                sums[path] = made_sum(Path(path))
            except MadeError as error:
                wrong.append(str(error))
        if wrong:
            count = f"{len(wrong):,} of {len(places):,} cannot be used: " if len(places) > 1 else ""
            mistakes.append((place, f"{dotted(keys)}: {count}{'; '.join(wrong[:_MOST_FILES])}"))
    return study.model_copy(update={"generators": generators}).with_sums(sums)


def _with_predictions(study: Study, tree: Node, mistakes: list[tuple[Place, str]]) -> Study:
    """The study with the whole paths and the sums of the prediction files that it names."""
    patterns, sums = dict(study.predictions), dict[str, str]()
    for name, pattern in study.predictions.items():
        keys = ("predictions", name)
        place = place_of(tree, keys)
        patterns[name] = _whole_path(pattern, place)
        try:
            sums |= predicted_sums(patterns[name], study)
        except PredictedError as error:
            mistakes.append((place, f"{dotted(keys)}: {error}"))
    return study.model_copy(update={"predictions": patterns}).with_sums(sums)


def _code(study: Study, tree: Node, mistakes: list[tuple[Place, str]]) -> dict[str, str]:
    """The texts of the files beside the study that have functions of the user's own."""
    texts: dict[str, str] = {}
    for keys, builder in study.builders.items():
        place = place_of(tree, keys)
        try:
            text = source_of(builder, Path(_whole_path(".", place)))
            if texts.setdefault(builder, text) != text:
                raise BuilderError(f"{builder} is in another file for another part of the study: rename one")
        except BuilderError as error:
            mistakes.append((place, f"{dotted(keys)}: {error}"))
    return texts


def _whole_path(path: str, place: Place) -> str:
    """A path that starts at the folder of the file that says it, or at the working directory for an option."""
    folder = os.path.dirname(place.name) if place.line is not None else ""
    return os.path.abspath(os.path.join(folder, os.path.expanduser(path)))


def _line(place: Place, message: str) -> str:
    """`study.yaml:12: classifier.epochs: Input ...`; an option that is the key itself does not say it twice."""
    message = " ".join(message.split())
    message = message if len(message) <= 400 else message[:397] + "..."
    key, _, rest = message.partition(": ")
    repeats = place.line is None and place.name.startswith((f"--set {key}=", f"--{key} "))
    return f"{place}: {rest if repeats else message}"


def _file(path: Path, chain: tuple[str, ...] = ()) -> Node:
    """A file merged onto those that it extends. `chain` holds the files that led here."""
    return _extended(compose_file(path, str(path)), str(path), chain)


def _dictionary(content: Mapping[str, Any]) -> Node:
    """The same of a dictionary; the file that it extends is found from the working directory."""
    return _extended(node_of(content, Place(DICTIONARY)), DICTIONARY, ())


def _extended(tree: Node, name: str, chain: tuple[str, ...]) -> Node:
    assert isinstance(tree.value, dict)
    entries = dict(tree.value)
    base = entries.pop("extends", None)
    tree = tree._replace(value=entries)
    if base is None:
        return tree
    chain = (*chain, name)
    if not isinstance(base.value, str) or not base.value.strip():
        raise YamlError([(base.place, "extends: takes the name of one study file")])
    base_name = os.path.normpath(os.path.join(os.path.dirname(name), base.value))
    route = " → ".join([*chain, base_name])
    if any(os.path.realpath(base_name) == os.path.realpath(other) for other in chain):
        raise YamlError([(base.place, f"extends: goes round in a circle: {route}")])
    if len(chain) > MAX_EXTENDS:
        raise YamlError([(base.place, f"extends: more than {MAX_EXTENDS} files: {route}")])
    if not os.path.isfile(base_name):
        raise YamlError([(base.place, f"extends: no such file: {base_name} ({route})")])
    return _merged(_file(Path(base_name), chain), tree)


def _merged(base: Node, over: Node, keys: Keys = ()) -> Node:
    """`over` onto `base`: mappings merge key by key, everything else replaces.

    A section of another kind replaces too, for settings of the old kind mean nothing to the new one.
    """
    if not isinstance(base.value, dict) or not isinstance(over.value, dict):
        return over
    for tag in TAGS:
        if tag in base.value and tag in over.value and base.value[tag].value != over.value[tag].value:
            return over
    entries = dict(base.value)
    for key, child in over.value.items():
        if key not in entries:
            entries[key] = child
        elif child.value is None and (keys in _NAMED or keys[-1:] == ("fractions",)):
            del entries[key]
        else:
            entries[key] = _merged(entries[key], child, (*keys, key))
    place = base.place if over.place.line is None else over.place  # what is missing is missing in the file
    return Node(place, entries)


def _with_recipes(tree: Node) -> Node:
    """The tree in which what an arm says of its classifier is merged onto the study's."""
    assert isinstance(tree.value, dict)
    study, arms = tree.value.get("classifier", Node(tree.place, {})), tree.value.get("arms")
    if arms is None or not isinstance(arms.value, dict):
        return tree
    merged = dict(arms.value)
    for name, arm in arms.value.items():
        if isinstance(arm.value, dict) and isinstance(getattr(arm.value.get("classifier"), "value", None), dict):
            own = _merged(study, arm.value["classifier"], ("classifier",))
            merged[name] = arm._replace(value={**arm.value, "classifier": own})
    return tree._replace(value={**tree.value, "arms": arms._replace(value=merged)})


def _override(text: str) -> Node:
    """`classifier.epochs=2` as the tree of an extending file."""
    key, equals, value = text.partition("=")
    shown = " ".join(text.split())
    place = Place(f"--set {shown if len(shown) <= 80 else shown[:77] + '...'}")
    keys = key.strip().split(".")
    if not equals or not all(keys) or len(keys) > MAX_DEPTH:
        raise YamlError([(place, "write KEY=VALUE, as in --set classifier.epochs=2")])
    if keys[0] == "extends":
        raise YamlError([(place, "extends stands in a file; make one that extends yours")])
    node = compose_value(value, place)
    for name in reversed(keys):
        node = Node(place, {name: node})
    return node


def _validated(tree: Node, name: str, origins: Mapping[Keys, Keys]) -> Study:
    data = plain(tree)
    assert isinstance(data, dict)
    try:
        study = Study.model_validate_json(json.dumps(data))
    except ValidationError as error:
        found = [in_words(dict(single)) for single in error.errors(include_url=False)]
        found += _problems_of_the_rest(data, [keys for keys, _ in found])
    else:
        found = problems(study)
        if not found:
            return study
    # what is wrong in the study's classifier is wrong in every arm that changes it, and said once
    known = {(keys, message) for keys, message in found if keys[:1] == ("classifier",)}
    found = [(keys, message) for keys, message in found if (keys[2:], message) not in known or keys[:1] != ("arms",)]
    mistakes = [
        (place_of(tree, keys), f"{dotted(said)}: {message}")
        for (keys, message), (said, _) in zip(found, _said(found, origins), strict=True)
    ]
    raise StudyError(name, mistakes) from None


def _said(found: Sequence[tuple[Keys, str]], origins: Mapping[Keys, Keys]) -> list[tuple[Keys, str]]:
    """The mistakes, one that all arms of a series share as one of the arm that varies."""
    sizes = Counter(origins.values())
    moved = [((*origins.get(keys[:2], keys[:2]), *keys[2:]), message) for keys, message in found]
    shared = Counter(moved)
    return [other if shared[other] == sizes[other[0][:2]] > 1 else one for one, other in zip(found, moved, strict=True)]


def _problems_of_the_rest(data: dict[str, Any], wrong: list[Keys]) -> list[tuple[Keys, str]]:
    """Contradictions between the sections, where the study is whole without the settings that are wrong."""
    rest = json.loads(json.dumps(data))
    for keys in wrong:
        around = _at(rest, keys[:-1])
        if isinstance(around, dict):
            around.pop(keys[-1], None)
    try:
        found = problems(Study.model_validate_json(json.dumps(rest)))
    except ValidationError:
        return []
    return [(keys, message) for keys, message in found if _at(rest, keys) is not None]


def _at(data: Any, keys: Keys) -> Any:
    for key in keys:
        if isinstance(data, dict):
            data = data.get(key)
        elif isinstance(data, list) and isinstance(key, int):
            data = data[key]
        else:
            return None
    return data
