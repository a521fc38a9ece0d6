"""What pages may say of a study and of what went wrong: they are made to be put on the web.

The one place that decides it. A study names its own files and folders by its own names, not by where they are. The
message of a failed task may contain anything: a file's name may be a patient's. It is published only if it can name no
file, folder, person or machine; otherwise pages give the kind of error and where to read the message. All of it stays
in the results folder.
"""

import contextlib
import getpass
import os
import platform
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from medaug_keras.plan import Task
from medaug_keras.spec import Data, Files, Study, TableData, files, with_files
from medaug_keras.store import Failure, Outcome

_KIND = re.compile(r"[A-Za-z_]\w*(?:Error|Exception|Exit|Died)")
_ABOUT_FILES = re.compile(r"DataError|StoreError|Unicode\w*|.*(?:OS|IO|File|Permission|Directory)\w*Error")
_NAMING = re.compile(r"[/\\'\"`@\N{LEFT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}]|\w\.[^\W\d]")
"""Marks of paths, quoted names and addresses, and a dot in a word, as before the ending of a file's name."""
_ORDINARY = frozenset(
    {"data", "dataset", "datasets", "docs", "home", "images", "media", "medmnist", "project", "projects", "results"}
    | {"root", "shared", "site", "studies", "study", "test", "train", "user", "users", "validation", "work"}
)
"""Parts of paths that name nobody."""
_COLUMN = re.compile(r"\{[^{}]*\}")
_FRAME = re.compile(r'File "(?:[^"\n]*/)?(medaug_keras/[\w/]+\.py)", line (\d+)(?:, in ([\w<>]+))?')


def study(whole: Study) -> Study:
    """The study, its own files and folders named as if they lay beside it: data by the names of the data sets, weights
    by the file's name. It names no prediction files of others, and no study beside it."""
    named = {name: _named(name, data) for name, data in whole.datasets.items()}
    made = {
        name: part.model_copy(update={"path": _pattern(name, part)}) if isinstance(part, Files) else part
        for name, part in whole.generators.items()
    }
    found = whole.model_copy(update={"datasets": named, "generators": made, "beside": None, "predictions": {}})
    file = whole.classifier.weights_file
    return found.with_weights(Path(file).name, {Path(file).name: whole.sums.get(file, "")}) if file else found


def _pattern(name: str, part: Files) -> str:
    """Where images made elsewhere lie, called after the generator; of a pattern only the words stay."""
    words = dict.fromkeys(_COLUMN.findall(part.path))
    return "-".join([name, *words]) + (".npz" if part.path.endswith(".npz") else "")


def settings(of_task: Mapping[str, Any]) -> dict[str, Any]:
    """A classifier's settings as a task has them, a file of weights by its name alone."""
    weights = of_task.get("weights")
    if not isinstance(weights, Mapping):
        return dict(of_task)
    return {**of_task, "weights": {**weights, "file": Path(weights["file"]).name}}


def _named(name: str, data: Data) -> Data:
    """A data set's section, its files called after the data set; of a table's pattern only the columns stay."""
    own = (keys for keys, _ in files(data) if keys[0] != "tests")
    paths = {keys: f"{name}{data.ending}" if keys == ("path",) else f"{name}-{keys[0]}.csv" for keys in own}
    found: Data = with_files(data, paths)
    if data.outside:
        tests = {test: _named(f"{name}-tests-{test}", part) for test, part in data.outside.items()}
        found = found.model_copy(update={"tests": {**data.tests, **tests}})
    if isinstance(found, TableData):
        found = found.model_copy(update={"image": "/".join(_COLUMN.findall(found.image)) or found.image})
    return found


def outcome(found: Outcome, task: Task, root: Path) -> Outcome:
    """How a task stands, in words that name no file, folder, person or machine. `root` is the results folder."""
    reason, failure = found.reason, found.failure
    if failure is not None:
        failure = replace(failure, error=_error(failure, task), details=_frames(failure.details), run={}, again="")
    if found.state == "failed" and failure is not None:
        reason = failure.error
    elif found.state == "damaged":
        reason = reason.replace(f"{root}{os.sep}", "results/")
    return replace(found, reason=reason, failure=failure)


def _error(failure: Failure, task: Task) -> str:
    kind, colon, message = failure.error.partition(": ")
    known = _KIND.fullmatch(kind)
    if known and not colon:
        return kind
    if known and not (_ABOUT_FILES.fullmatch(kind) or _NAMING.search(message) or _telling(message, failure, task)):
        return failure.error
    return (
        f"{kind if known else 'An error'}. Its words may name files or people, so they are not on this page but in "
        f"failures/{task.id}.json of the results folder."
    )


def _telling(message: str, failure: Failure, task: Task) -> bool:
    """Whether a message has a word of this machine, its user, its environment, or the way to the data."""
    words = {str(failure.run.get("host", "")), *_of_this_machine()}
    for section in (task.local, task.local.get("beside", {})):
        for way in (section.get("path"), section.get("root")):
            words |= set(Path(str(way or "")).parts)
    low = message.lower()
    return any(len(word) > 3 and word.lower() not in _ORDINARY and word.lower() in low for word in words)


@cache
def _of_this_machine() -> frozenset[str]:
    """Names of the user and the machine, parts of its working and home folders, what environment variables say."""
    words = {platform.node(), *Path.cwd().parts, *Path(os.path.expanduser("~")).parts}
    with contextlib.suppress(OSError, KeyError):  # a user without a name
        words.add(getpass.getuser())
    return frozenset(words | {value for value in os.environ.values() if len(value) >= 8})


def _frames(details: str) -> str:
    """Where in this package an error came from; the rest of the message is not published."""
    return "\n".join(
        f"{file}, line {line}" + (f", in {function}" if function else "")
        for file, line, function in _FRAME.findall(details)
    )
