"""The log of looks: which studies were rendered with which results, and which were registered before.

Who drops arms until a test finds something, or looks after every replicate, finds differences by chance more often than
the tests say. A log that only grows lets pages tell. It is `looks.jsonl` in the results folder, a line a look:

    {"what": "look", "time": …, "study": …, "families": [{"against": …, "arms": […], "done": …}],
     "verdicts": {"breastmnist/flips/shuffle": "better"}, …}

A *family* is what Holm corrects together: the arms of a data set that are compared with its baseline, each named by the
task of its first replicate. Lines that cannot be read are passed over and counted; a line is written by one append, so
that reports made side by side keep theirs apart.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from medaug_keras.plan import Plan
from medaug_keras.spec import Metric, Select, Study

NAME = "looks.jsonl"
_BEGINNING = b'{"done":'  # of every line, also of one that was torn
_WORDS = {
    "what": "look|registered",
    "study": "[0-9a-f]{64}",
    "results": "[0-9a-f]{64}",
    "name": "[a-z0-9][a-z0-9_-]{0,39}",
    "primary": "|".join(get_args(Metric)),
    "select": "|".join(get_args(Select)),
}
"""Texts of a line, and what they look like."""
_CELL = "[a-z0-9_-]{1,40}/[a-z0-9._-]{1,40}/[a-z]{1,20}"
CLAIMS = ("better", "worse", "equivalent")


@dataclass(frozen=True)
class Family:
    """The arms that a study compares with the baseline of one data set, by the tasks of their first replicates."""

    against: str
    arms: tuple[str, ...]
    done: int
    """Runs of the baseline and of these arms that had a result."""


@dataclass(frozen=True)
class Line:
    """One line of the log."""

    what: str
    """look or registered."""
    time: float
    """Seconds since 1970."""
    study: str
    """Hash of everything about the study that decides its tests."""
    results: str
    """Hash of the names of the classifiers that had a result."""
    name: str
    primary: str
    select: str
    done: int
    """Runs that had a result."""
    runs: int
    families: tuple[Family, ...]
    verdicts: Mapping[str, str] | None = None
    """DATASET/ARM/SAMPLING → better or worse than the baseline, or equivalent to it, by the tests of then; None where
    that is not known."""
    others: int | None = None
    """Of a registration: trained classifiers of the results folder that were none of this study's; None where that is
    not known."""


@dataclass(frozen=True)
class Looks:
    """What the log says of a study."""

    now: Line
    """This look."""
    before: tuple[Line, ...]
    """The others at results of the same baselines, or of these arms with another baseline, in order; none twice."""
    last: Line | None
    """The one before this of a study of this name, with what its pages said."""
    noted: bool
    """Whether this look is in the log."""
    largest: Mapping[str, int]
    """Task of a baseline → most arms that were ever compared with it, in one metric and by one rule for epochs."""
    registered: Line | None
    """The first registration of just this study."""
    first_looks: tuple[Line, ...]
    """Looks at results of it, or of other designs of it, that are in the log above its registration; none twice."""
    earlier: tuple[Line, ...]
    """Registrations of other designs of it above its own, in order; all where it has none of its own. A design is
    everything that decides a study's tests. It is one of the same study where it has its name, or compares arms with
    the same baseline, or these arms with another."""
    later: tuple[Line, ...]
    """Those below its own."""
    strangers: int
    """Registrations of studies that are no designs of it."""
    elsewhere: tuple[Line, ...]
    """Looks at results of other designs of its name that are none of `before`; none twice."""
    unreadable: int
    """Lines of the log that say nothing."""

    @property
    def count(self) -> int:
        """How many different looks there were, this one among them."""
        return len(self.before) + 1


def line(
    what: str,
    study: Study,
    plan: Plan,
    done: Iterable[str],
    verdicts: Mapping[str, str] | None = None,
    others: int | None = None,
) -> Line:
    """What the log keeps of a study; `done` has the tasks that have a result."""
    there, families = set(done), []
    for dataset in plan.data:
        mine = [run for run in plan.runs if run.dataset == dataset]
        reference = (study.baseline.arm, study.baseline.sampling)
        first = {(run.arm, run.sampling): run.task for run in mine if run.replicate == 0}
        if reference in first:
            arms = tuple(task for pair, task in first.items() if pair != reference)
            families.append(Family(first[reference], arms, len({run.task for run in mine} & there)))
    runs = sorted((plan.data[c.dataset], (c.arm, c.sampling) == reference, c.task) for c in plan.runs)
    finished = sorted({run.task for run in plan.runs} & there)
    return Line(
        what,
        time.time(),
        _hash([study.primary, study.select, runs, *([] if study.margin is None else [study.margin])]),
        _hash(finished),
        study.name,
        study.primary,
        study.select,
        sum(run.task in there for run in plan.runs),
        len(plan.runs),
        tuple(families),
        verdicts,
        others,
    )


def read(root: Path) -> tuple[list[Line], int]:
    """All lines of a results folder's log that can be read, and how many cannot."""
    try:
        content = (root / NAME).read_bytes()
    except OSError:
        return [], 0
    found, unreadable = [], 0
    for text in content.split(b"\n"):
        if text.strip():
            try:
                found.append(_line(json.loads(text)))
            except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError):
                unreadable += 1
    return found, unreadable


def looked(root: Path, study: Study, plan: Plan, done: Iterable[str]) -> Looks:
    """What the log says of a study whose results are about to be shown."""
    lines, unreadable = read(root)
    now = line("look", study, plan, done)
    mine = {family.against for family in now.families}
    different = _different(one for one in lines if one.what == "look" and _compares_alike(one, now))
    noted = different.pop((now.study, now.results), None) is not None
    entries = [i for i, one in enumerate(lines) if one.what == "registered"]
    own = next((i for i in entries if lines[i].study == now.study), None)
    designs = [i for i in entries if lines[i].study != now.study and _same_question(lines[i], now)]
    end = len(lines) if own is None else own  # clocks differ, and lines stay where they are
    named = [one for one in lines if one.what == "look" and one.name == now.name]
    same = [i for i, one in enumerate(named) if (one.study, one.results) == (now.study, now.results)]
    earlier = named[: same[0]] if same else named
    return Looks(
        now=now,
        before=tuple(different.values()),
        last=earlier[-1] if earlier else None,
        noted=noted,
        largest=_largest([*lines, now], mine),
        registered=None if own is None else lines[own],
        first_looks=() if own is None else tuple(_different(_looks_at(lines[:end], now)).values()),
        earlier=tuple(lines[i] for i in designs if i < end),
        later=tuple(lines[i] for i in designs if i > end),
        strangers=sum(lines[i].study != now.study for i in entries) - len(designs),
        elsewhere=tuple(_different(one for one in _looks_at(lines, now) if not _compares_alike(one, now)).values()),
        unreadable=unreadable,
    )


def _different(found: Iterable[Line]) -> dict[tuple[str, str], Line]:
    """The first look of each study at each set of results, in order."""
    different: dict[tuple[str, str], Line] = {}
    for one in found:
        different.setdefault((one.study, one.results), one)
    return different


def _looks_at(lines: Iterable[Line], now: Line) -> list[Line]:
    """Looks at results of this study or of other designs of it."""
    return [one for one in lines if one.what == "look" and one.done and _same_question(one, now)]


def _same_question(one: Line, now: Line) -> bool:
    """Whether a line is of a design of this study: of its name, or with arms that it compares too."""
    return one.name == now.name or _compares_alike(one, now)


def _compares_alike(one: Line, now: Line) -> bool:
    """Whether it has results of the baseline of this study, or of these arms with another; if registered, asks for."""
    return any((family.done or one.what == "registered") and _shared(family, now) for family in one.families)


def _shared(family: Family, now: Line) -> bool:
    """Whether it and a study have the same baseline, or one that the other compares with its own."""
    return any(mine.against in (family.against, *family.arms) or family.against in mine.arms for mine in now.families)


def _largest(lines: Iterable[Line], baselines: Iterable[str]) -> dict[str, int]:
    arms: dict[tuple[str, str, str], set[str]] = {}
    for one in lines:
        for family in one.families:
            if family.done or one.what == "registered":
                arms.setdefault((family.against, one.primary, one.select), set()).update(family.arms)
    sizes = {
        name: [len(found) for (against, *_), found in arms.items() if against == name] for name in sorted(baselines)
    }
    return {name: max(found, default=0) for name, found in sizes.items()}


def note(root: Path, one: Line) -> str:
    """Append a line unless its like is there. Returns why it could not be written; empty where it is there now.

    A look is like another of the same study at the same results; of registrations of a study the first counts.
    """
    lines, _ = read(root)
    like = [other for other in lines if (other.what, other.study) == (one.what, one.study)]
    if any(one.what == "registered" or other.results == one.results for other in like):
        return ""
    text = json.dumps(_plain(one), sort_keys=True, separators=(",", ":")).encode() + b"\n"
    try:
        handle = os.open(root / NAME, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o666)
        try:
            size = os.fstat(handle).st_size
            if size and not lines and os.pread(handle, len(_BEGINNING), 0) != _BEGINNING:
                return f"{NAME} has no line that this program wrote, so it is somebody's file"
            torn = size and os.pread(handle, 1, size - 1) != b"\n"  # what a power cut left of a line ends here
            os.write(handle, b"\n" + text if torn else text)
        finally:
            os.close(handle)
    except OSError as error:
        return str(error.strerror or error)
    return ""


def _plain(one: Line) -> dict[str, Any]:
    return {**vars(one), "families": [vars(family) for family in one.families]}


def _line(content: Mapping[str, Any]) -> Line:
    """A line of the log. Raises ValueError, TypeError or KeyError where it is none."""
    families = tuple(
        Family(str(f["against"]), tuple(str(arm) for arm in f["arms"]), int(f["done"])) for f in content["families"]
    )
    words = {name: str(content[name]) for name in _WORDS}
    numbers = {name: int(content[name]) for name in ("done", "runs")}
    when = float(content["time"])
    tasks = [task for family in families for task in (family.against, *family.arms)]
    if not (0 <= when < 2**32 and all(re.fullmatch(p, words[name]) for name, p in _WORDS.items())):
        raise ValueError("not a line that this program writes")
    if not all(re.fullmatch(r"[a-z]+-[0-9a-f]{16}", task) for task in tasks):
        raise ValueError("not the names of tasks")
    verdicts = content.get("verdicts")
    if verdicts is not None and not all(
        re.fullmatch(_CELL, cell) and word in CLAIMS for cell, word in verdicts.items()
    ):
        raise ValueError("not the verdicts of tests")
    others = content.get("others")
    if others is not None and int(others) < 0:
        raise ValueError("not a number of classifiers")
    return Line(
        **words,  # type: ignore[arg-type]
        **numbers,  # type: ignore[arg-type]
        time=when,
        families=families,
        verdicts=verdicts,
        others=None if others is None else int(others),
    )


def _hash(content: Any) -> str:
    return hashlib.sha256(json.dumps(content, separators=(",", ":")).encode()).hexdigest()
