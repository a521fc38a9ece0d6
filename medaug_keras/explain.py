"""Why a task would run: what differs between it and the nearest result that is there."""

from collections.abc import Callable
from functools import cache
from typing import Any

from medaug_keras.plan import VERSIONS, Plan, Task
from medaug_keras.spec import differences
from medaug_keras.store import Record, Store, StoreError


def explain(task: Task, plan: Plan, store: Store) -> str:
    """A few lines for a person."""
    outcome = store.outcomes(plan.only({"task": [task.id]}))[task.id]
    head = f"{task.title} ({task.id})"
    if outcome.state == "done":
        return f"{head}\n  would not run: it is done, in {store.folder(task.id)}."
    if outcome.state == "damaged":
        return f"{head}\n  has a result that cannot be used: {outcome.reason}"
    if outcome.state == "running":
        return f"{head}\n  is being made by a run that goes on now."
    lines = [head, "  would run: there is no result under its key."]
    if outcome.state == "blocked":
        lines[1] = f"  cannot run before what it {outcome.reason}."
    if outcome.failure is not None:
        lines.append(f"  The last attempt failed: {outcome.failure.error}")
    lines += [f"  {line}" for line in _why(task, plan, store)]
    return "\n".join(lines)


def _why(task: Task, plan: Plan, store: Store) -> list[str]:
    """The nearest result has the same kinds of needs and the fewest lines of differences."""

    @cache
    def read(name: str) -> Record | None:
        try:
            return store.record(name)
        except StoreError:  # deleted or damaged since
            return None

    nearest: tuple[tuple[bool, int], str, list[str]] | None = None
    for folder in sorted(store.root.glob(f"{task.kind}-*")):
        record = read(folder.name)
        if record is not None:
            lines = _compared(task, record, plan, read)
            rank = (record.needs.keys() != task.needs.keys(), len(lines))
            if nearest is None or rank < nearest[0]:
                nearest = rank, folder.name, lines
    if nearest is None:
        return [f"No {task.kind} task was run before in {store.root}."]
    return [f"The nearest result is {nearest[1]}. What differs:", *nearest[2]]


def _compared(task: Task, record: Record, plan: Plan, read: Callable[[str], Record | None]) -> list[str]:
    """One line for each difference; the differences of a need are below the line of the need."""
    lines = []
    if record.version != VERSIONS[task.kind]:
        lines.append(
            f"- this version makes {task.kind} tasks another way ({record.version} there, {VERSIONS[task.kind]} now)"
        )
    for name, (old, new) in differences(record.params, task.keyed).items():
        lines.append(f"- {_place(name, task, plan)}: {_shown(old)} there, {_shown(new)} now")
    for word, need in task.needs.items():
        used = record.needs.get(word)
        if used == need:
            continue
        lines.append(f"- it needs {plan.tasks[need].title} ({need}); that result used {used or 'none'}")
        before = read(used) if used else None
        if before is not None:
            lines += [f"  {line}" for line in _compared(plan.tasks[need], before, plan, read)]
    return lines


def _place(name: str, task: Task, plan: Plan) -> str:
    """The setting of the study that a task's parameter of this name comes from."""
    if name == "seed" and task.kind != "data":
        return "the replicate, or the study's seed"
    if name == "fingerprint":
        return f"the bytes of {task.dataset} (MD5)"
    section, _, rest = name.partition(".")
    if section == "settings":
        return f"{_section(task, plan)}.{rest}"
    if section == "tune":
        return "classifier.select, or primary" if rest in ("select", "by") else f"classifier.{name}"
    if section == "folds":
        return f"datasets.{task.dataset}.split.{'folds' if rest == 'number' else rest}"
    if task.kind == "subgroups":
        return f"{'the values of ' if name == 'values' else ''}datasets.{task.dataset}.subgroups"
    if section == "corruptions":
        tests = (test for run in plan.runs for test, made in run.tests.items() if made == task.id)
        return f"datasets.{task.dataset}.tests.{next(tests)}.{rest}"
    if task.kind == "data":
        return f"datasets.{task.dataset}.{name}"
    if name == "classes" and task.kind in ("test", "overlap"):
        return f"the classes of datasets.{task.dataset}, by their numbers in its data set"
    return name


def _section(task: Task, plan: Plan) -> str:
    """Where the study keeps the settings of this task."""
    if task.kind in ("generator", "synthesis"):
        generator = task.id if task.kind == "generator" else task.needs["generator"]
        return "generators." + next(making.name for making in plan.generators if making.task == generator)
    return "classifier" if task.kind in ("tuning", "usefulness") else task.kind


def _shown(value: Any) -> str:
    return "nothing" if value is None or value == [] else str(value)
