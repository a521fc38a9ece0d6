"""The verb `reproduce`: makes one run again in a place of its own, and says whether it is the one that is kept."""

import argparse
import contextlib
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from medaug_keras.counts import part
from medaug_keras.durations import Durations, duration
from medaug_keras.plan import Plan, Task
from medaug_keras.store import Store

from .mistakes import DONE, INTERRUPTED, SOME_FAILED, RequestError
from .request import check_results, find_task, planned, study_by_name

Executor = Callable[..., tuple[Callable[..., Any], int]]


def reproduce(options: argparse.Namespace, executor: Executor) -> int:
    """Make a run, and what it needs, again from the data; `executor` returns what runs the tasks.

    Nothing of the results folder is changed: what is made is in a folder of its own.
    """
    from medaug_keras.progress import Progress

    options.only = []
    _, whole, _ = planned(options, study_by_name(options))
    task = find_task(whole, options.run)
    kept = Store(options.results)
    if not kept.is_done(task.id):
        raise RequestError(
            f"{task.title} has no result in {options.results} to compare with. Run it first, or say with --results "
            "where it is kept."
        )
    part = whole.only({"task": [task.id]})
    for one in [task] if options.kept_needs else part.tasks.values():
        away = whole.sources[one.dataset].away
        if away:
            raise RequestError(f"{task.title} cannot be made again: its data cannot be read now. {away}")
    with _place(options) as place:
        print(f"{task.title} is made again in {place}, {_until(options)}.", file=sys.stderr)
        again = Store(place)
        check_results(place)
        compared = list(part.tasks.values())
        if options.kept_needs:
            compared = [task]
            _take_over(part, task, kept, again)
        made, workers = executor(options, work=True)
        done = {name for name in part.tasks if again.is_done(name)}
        durations = Durations.of(whole, kept.outcomes(whole))
        progress = Progress(part, done=done, durations=durations, workers=workers, quiet=options.quiet, out=sys.stderr)
        started = time.monotonic()
        with progress:
            summary = made(part, again, listen=progress)
        spent = duration(time.monotonic() - started)
        if summary.interrupted:
            print(f"Interrupted after {spent}. Nothing of {options.results} was changed.", file=sys.stderr)
            return INTERRUPTED
        if summary.failed or summary.stopped:
            print("\n".join([*summary.failed.values(), *filter(None, [summary.stopped])]), file=sys.stderr)
            print(f"{task.title} could not be made again.", file=sys.stderr)
            return SOME_FAILED
        return _verdict(task, compared, kept, again, spent)


def _verdict(task: Task, compared: list[Task], kept: Store, again: Store, spent: str) -> int:
    """Print what is identical and what differs, and by how much; the exit code."""
    from medaug_keras.reproduction import differences

    worst: tuple[float, str] | None = None
    differing = 0
    for one in compared:
        if one is not task and not kept.folder(one.id).exists():
            print(f"not compared: {one.title}: it is not kept any more")
            continue
        found = differences(one.id, kept, again)
        print(f"{'differs' if found else 'identical'}: {one.title} ({one.id})")
        for difference in found[:20]:
            print(f"  {difference.where}: {difference.said}")
            if difference.amount is not None and (worst is None or not difference.amount <= worst[0]):
                worst = difference.amount, difference.where
        if len(found) > 20:
            print(f"  and {len(found) - 20:,} more")
        differing += bool(found)
    if not differing:
        print(f"Identical: record, predictions and images of {task.title} are those that are kept (made in {spent}).")
        return DONE
    most = f" The largest absolute difference of two numbers is {worst[0]:.6g} ({worst[1]})." if worst else ""
    differ = f"{part(differing, len(compared), 'task')} {'differs' if differing == 1 else 'differ'}"
    print(f"Not identical: {differ} (made in {spent}).{most}")
    for line in _circumstances(task, kept, again):
        print(line)
    return SOME_FAILED


def _circumstances(task: Task, kept: Store, again: Store) -> Iterator[str]:
    """What was otherwise when the kept task was made: another machine or version rounds differently."""
    with contextlib.suppress(Exception):  # a kept record that cannot be read was said above
        old, new = kept.record(task.id).run, again.record(task.id).run
        then, now = ({**run.get("packages", {}), "Python": run.get("python")} for run in (old, new))
        facts = [(word, old.get(word), new.get(word)) for word in ("device", "processor")]
        facts += [(word, then.get(word), now[word]) for word in now]
        other = [f"{word} {before}, now {after}" for word, before, after in facts if before != after]
        if other:
            yield f"It was made with {'; '.join(other)}. Other machines and versions round differently."


@contextlib.contextmanager
def _place(options: argparse.Namespace) -> Iterator[Path]:
    """An empty folder to make the run in: temporary and removed at the end, or the one that is asked for."""
    if options.keep is None:
        with tempfile.TemporaryDirectory(prefix="medaug-reproduce-", ignore_cleanup_errors=True) as folder:
            yield Path(folder)
        return
    folder = options.keep.resolve()
    for word in ("results", "docs", "data"):
        other = getattr(options, word).resolve()
        if folder.is_relative_to(other):
            raise RequestError(f"--keep {options.keep} lies in --{word} {getattr(options, word)}: name another folder")
    if folder.exists() and any(folder.iterdir()):
        raise RequestError(f"--keep {options.keep} is not empty: name a folder that is, or that is not there yet")
    folder.mkdir(parents=True, exist_ok=True)
    yield folder


def _until(options: argparse.Namespace) -> str:
    return "which is removed at the end" if options.keep is None else "which stays"


def _take_over(part: Plan, task: Task, kept: Store, again: Store) -> None:
    """Copies of what the task needs, as it is kept."""
    for name, need in part.tasks.items():
        if name == task.id:
            continue
        if not kept.is_done(name):
            raise RequestError(f"{need.title} is not kept in {kept.root}: leave out --kept-needs to make it again")
        shutil.copytree(kept.folder(name), again.folder(name))
