"""Why a task would run: what differs between it and the nearest result that is there."""

from collections.abc import Iterator, Mapping
from typing import Any

from medaug_keras.plan import VERSIONS, Plan, Task
from medaug_keras.store import Record, Store, StoreError


def explain(task: Task, plan: Plan, store: Store) -> str:
    """A few lines for a person."""
    outcome = store.outcomes(plan)[task.id]
    head = f"{task.title} ({task.id})"
    if outcome.state == "done":
        return f"{head}\n  would not run: it is done, in {store.folder(task.id)}."
    if outcome.state == "damaged":
        return f"{head}\n  has a result that cannot be used: {outcome.reason}"
    lines = [head, "  would run: there is no result under its key."]
    if outcome.failure is not None:
        lines.append(f"  The last attempt failed: {outcome.failure.error}")
    lines += [f"  {line}" for line in _why(task, plan, store)]
    return "\n".join(lines)


def _why(task: Task, plan: Plan, store: Store) -> list[str]:
    nearest = _nearest(task, plan, store)
    if nearest is None:
        return [f"No {task.kind} task of {task.dataset} was run before."]
    record, differences = nearest
    lines = [f"The nearest result is {record.folder.name}. What differs:"]
    section = _section(task, plan)
    for name, (old, new) in differences.items():
        place = name.replace("settings", section, 1) if name.startswith("settings") else name
        lines.append(f"- {place}: {_shown(old)} there, {_shown(new)} now")
    for word, need in task.needs.items():
        if record.needs.get(word) != need:
            lines.append(
                f"- it needs {plan.tasks[need].title} ({need}); that result used {record.needs.get(word, '-')}"
            )
            if not store.is_done(need):
                lines += [f"  {line}" for line in _why(plan.tasks[need], plan, store)]
    if record.version != VERSIONS[task.kind]:
        lines.append(
            f"- this version makes {task.kind} tasks another way ({record.version} there, {VERSIONS[task.kind]} now)"
        )
    return lines


def _nearest(task: Task, plan: Plan, store: Store) -> tuple[Record, dict[str, tuple[Any, Any]]] | None:
    """The record of the same kind that differs in the fewest parameters and needs; of this data set, where one is."""
    best: tuple[tuple[bool, int, str], Record, dict[str, tuple[Any, Any]]] | None = None
    data = task.needs.get("data")
    for folder in sorted(store.root.glob(f"{task.kind}-*")):
        try:
            record = store.record(folder.name)
        except StoreError:
            continue
        differences = _differences(record.params, task.params)
        others = sum(record.needs.get(word) != need for word, need in task.needs.items())
        rank = (record.needs.get("data") != data, len(differences) + others, folder.name)
        if best is None or rank < best[0]:
            best = rank, record, differences
    return None if best is None else best[1:]


def _differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    before, after = dict(_leaves(old)), dict(_leaves(new))
    names = [*after, *(name for name in before if name not in after)]
    return {n: (before.get(n), after.get(n)) for n in names if before.get(n) != after.get(n)}


def _section(task: Task, plan: Plan) -> str:
    """Where the study keeps the settings of this kind of task."""
    if task.kind == "generator":
        return "generators." + next(making.name for making in plan.generators if making.task == task.id)
    return task.kind


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted path and value of everything that is not a mapping."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(inner, f"{path}.{name}" if path else name)
    else:
        yield path, value


def _shown(value: Any) -> str:
    return "nothing" if value is None or value == [] else str(value)
