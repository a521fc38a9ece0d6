"""What each verb does."""

import argparse
import json
import shlex
import sys
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from medaug_keras import gpus
from medaug_keras.counts import part, plural
from medaug_keras.durations import Durations, counted, duration, kind_of, work_of
from medaug_keras.ownership import NotOursError
from medaug_keras.plan import Plan, Task
from medaug_keras.reading import schema
from medaug_keras.store import STATES, Store, StoreError

from .check import Remark, before_training, conclusion, examine, forgotten_groups, none_left, odd
from .init import init
from .memory import remember
from .mistakes import DONE, INTERRUPTED, SOME_FAILED, WRONG_REQUEST, RequestError
from .options import report_words, words_again
from .pages import LivePages, check_report, fewer_than_shown, render
from .reproduce import reproduce
from .request import (
    check_results,
    code_not_allowed,
    find_task,
    own_functions,
    planned,
    rare_classes,
    read_study,
    registered,
    study_beside,
)


def _run(options: argparse.Namespace) -> int:
    study, whole, chosen = planned(options)
    check_report(options, study)
    beside = study_beside(study, options)
    store = Store(options.results)
    from medaug_keras import engine
    from medaug_keras.progress import Progress

    if options.repair:
        _repair(chosen, store)
    outcomes = store.outcomes(whole, values=False)
    done = {name for name in chosen.tasks if outcomes[name].state == "done"}
    if len(done) < len(chosen.tasks):
        check_results(options.results)
    fuller = "" if options.replace else fewer_than_shown(options, study, whole)
    if fuller:
        print(f"{fuller} They stay as they are until this run has as many, or --replace is given.", file=sys.stderr)
    else:  # what is remembered is the study of the pages
        remember(options.results, study, whole, data_root=str(options.data.resolve()))
    execute, workers = executor(options, work=len(done) < len(chosen.tasks))
    if len(done) < len(chosen.tasks) and not options.quiet:
        for warning in before_training(study, options):
            print(warning, file=sys.stderr)
    pages = LivePages(options)
    started = time.monotonic()
    progress = Progress(
        chosen,
        done=done,
        durations=Durations.of(whole, outcomes),
        workers=workers,
        quiet=options.quiet,
        out=sys.stderr,
    )
    if not options.quiet:
        print(f"{study.title}: {plural(len(chosen.tasks), 'task')}, {len(done):,} done already", file=sys.stderr)

    for name in (*chosen.data.values(), *chosen.overlaps.values()):
        if name in done:
            _warn(chosen.tasks[name], store, options)

    def listen(event: engine.Event) -> None:
        progress(event)
        if event.task.kind in ("data", "overlap") and event.what in ("done", "found"):
            _warn(event.task, store, options)
        if event.what in ("done", "found", "failed"):
            pages.changed()

    command = _command(options)
    try:
        with progress:
            summary = execute(chosen, store, listen=listen, command=command)
    finally:
        pages.finish()
    spent = duration(time.monotonic() - started)
    if summary.interrupted:
        print(f"Interrupted after {spent}. What is finished stays; the same command goes on.", file=sys.stderr)
        return INTERRUPTED
    for note in summary.notes:
        print(note, file=sys.stderr)
    if summary.stopped:
        print(
            f"Stopped after {spent}: {summary.stopped}\n"
            "What is finished stays; mend this, and the same command goes on.",
            file=sys.stderr,
        )
        return SOME_FAILED
    if not options.quiet:
        _print_summary(options, summary, spent, command)
        if len(chosen.tasks) < len(whole.tasks):
            print(_remaining(whole, chosen, store, workers))
    fuller = "" if options.replace else fewer_than_shown(options, study, whole)
    if fuller:
        again = shlex.join(["python", "-m", "medaug_keras", *report_words(options)])
        print(f"{fuller} They are left as they are. To replace them: {again} --replace", file=sys.stderr)
        return SOME_FAILED
    remember(options.results, study, whole, data_root=str(options.data.resolve()))
    report = render(options, study, whole, chosen, store, beside, anew=False)
    if not options.quiet:
        print(report)
        print(f"Next: change the study and run it again; what that costs: {_command(options, 'plan')}")
    if all(summary.failed.get(name, "").startswith("DataError") for name in chosen.data.values()):
        return WRONG_REQUEST  # no data set can be used, as `check` says with the same code
    return SOME_FAILED if summary.failed or summary.blocked else DONE


def _command(options: argparse.Namespace, *verb: str) -> str:
    """The command for this study with the same data and folders."""
    return shlex.join(["python", "-m", "medaug_keras", *verb, str(options.study), *words_again(options)])


def executor(options: argparse.Namespace, *, work: bool) -> tuple[Callable[..., Any], int]:
    """The function that runs the tasks, in processes of this machine or on a cluster, and how many run at once."""
    if options.scheduler is None:
        from medaug_keras import engine

        here = gpus.found() if work else []
        workers = options.workers or len(here) * (options.workers_per_gpu or gpus.WORKERS_PER_GPU) or gpus.CORES
        if here and not options.quiet:
            print(gpus.said(here, workers), file=sys.stderr)
        return partial(engine.run, workers=workers, gpus=[gpu.visible for gpu in here]), workers
    given = [name for name in ("workers", "workers_per_gpu") if getattr(options, name) is not None]
    if given:
        word = "--" + given[0].replace("_", "-")
        raise RequestError(
            f"{word} is for this machine; a cluster with --scheduler makes as many tasks at once as its workers have "
            f"threads. Leave {word} out."
        )
    try:
        from medaug_keras import cluster
    except ModuleNotFoundError as error:
        raise RequestError(
            f'--scheduler needs Dask, which is not installed ({error}): pip install "medaug-keras[cluster]"'
        ) from None
    try:
        client = cluster.connect(options.scheduler)
    except cluster.ClusterError as error:
        raise RequestError(f"--scheduler {options.scheduler}: {error}") from None
    return partial(cluster.run, client=client), max(1, cluster.threads(client))


def _warn(task: Task, store: Store, options: argparse.Namespace) -> None:
    """Print the warnings of a data set that was read; of a further test set, when it was compared with its data set."""
    if task.kind == "data" and task.local.get("outside"):
        return
    values: Mapping[str, Any] = {}
    with suppress(StoreError):  # whoever needs it says what is wrong with it
        values = store.record(task.id).values
    if "audit" in values and not options.quiet:
        for remark in odd(task.dataset, values, outside=task.kind == "overlap"):
            print(remark, file=sys.stderr)


def _repair(chosen: Plan, store: Store) -> None:
    """Check every file of the tasks that are done; results that do not match their checksums are set aside."""
    for name in chosen.tasks:
        wrong = store.repair(name) if store.is_done(name) else None
        if wrong:
            print(wrong, file=sys.stderr)


def _check(options: argparse.Namespace) -> int:
    study = read_study(options)
    found: list[Remark] = []

    def tell(remark: Remark) -> None:
        new = remark.mend and all((one.where, one.mend) != (remark.where, remark.mend) for one in found)
        found.append(remark)
        print(f"{options.study}: {remark}", file=sys.stderr)
        if new:  # once for all that it mends
            print(f"    What to do: {remark.mend}", file=sys.stderr)

    try:
        check_report(options, study)
    except NotOursError as error:
        for line in str(error).split("\n"):
            tell(Remark("report", "refused", line))
    whole = examine(study, options, tell)
    print(f"{options.study}: {conclusion(study, found, whole)}")
    if any(remark.severity == "refused" for remark in found) or none_left(study, found):
        return WRONG_REQUEST
    return SOME_FAILED if whole is None else DONE


def _plan(options: argparse.Namespace) -> int:
    study, whole, chosen = planned(options)
    if options.difference is not None and not options.power:
        raise RequestError("--difference is the wanted difference of --power; add --power.")
    if options.power and options.json:
        raise RequestError("--power is a table for people; leave --json out.")
    store = Store(options.results)
    outcomes = store.outcomes(whole, values=False)
    durations = Durations.of(whole, outcomes)
    to_do = {name: task for name, task in chosen.tasks.items() if outcomes[name].state != "done"}
    work = counted(to_do.values())
    if options.register:
        done = [name for name, outcome in outcomes.items() if outcome.state == "done"]
        print(registered(study, whole, done, options), file=sys.stderr if options.json else sys.stdout)
    if options.json:
        tasks = [
            {
                "task": name,
                "kind": task.kind,
                "title": task.title,
                "dataset": task.dataset,
                "replicate": task.replicate,
                "state": outcomes[name].state,
                "reason": outcomes[name].reason,
                "images": task.images,
                "seconds": durations.seconds(kind_of(task), work_of(task)),
                "needs": list(task.needs.values()),
            }
            for name, task in chosen.tasks.items()
        ]
        total = {"tasks": len(tasks), "to_do": len(to_do), "seconds_of_one_worker": durations.total(work)}
        print(json.dumps({"study": study.name, **total, "plan": tasks}, indent=1))
        return DONE
    print(f"{study.title}")
    warning = rare_classes(study, whole, options)
    if warning:
        print(warning)
    for remark in forgotten_groups(study, options):
        print(remark)
    of_kinds: dict[str, dict[str, Task]] = {}
    for name, task in chosen.tasks.items():
        of_kinds.setdefault(kind_of(task), {})[name] = task
    there = {outcomes[name].state for name in chosen.tasks}
    states = [state for state in STATES if state in there]
    rows: list[tuple[str, ...]] = [("", *states, "images to process")]
    for kind, of_kind in of_kinds.items():
        counts = [sum(outcomes[name].state == state for name in of_kind) for state in states]
        images = sum(task.images for name, task in of_kind.items() if name in to_do)
        rows.append((kind, *(str(count or "") for count in counts), f"{images:,}"))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join([row[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]))
    for name, task in chosen.tasks.items():
        if outcomes[name].state in ("failed", "damaged"):
            print(f"{outcomes[name].state}: {task.title}: {outcomes[name].reason}")
    seconds = durations.left(work, options.workers)
    if not to_do:
        print("Nothing to do.")
    elif seconds is None:
        new = sorted({kind for kind, _ in work} - durations.seen.keys())
        print(f"Expected time: not known before the first task of each kind was run ({', '.join(new)}).")
        first = [f"--only=task={name}" for name in _first_of_each(new, to_do, whole)]
        print(f"Next: make those, which count, and ask again; to make them: {_command(options)} {shlex.join(first)}")
    else:
        print(f"Expected time: {duration(seconds)} with {plural(options.workers, 'worker')}.")
    if to_do and code_not_allowed(study, options):
        print(f"To run it, add --allow-code: {own_functions(study)} Python code.")
    if options.power:
        from .power import power  # it needs SciPy, which the others do without

        print(power(options, study, whole, durations))
    return DONE


def _first_of_each(kinds: Collection[str], to_do: Mapping[str, Task], whole: Plan) -> list[str]:
    """The fewest of these tasks with which, and with what they need, one of each of these kinds is made."""
    first: dict[str, str] = {}
    for name, task in to_do.items():
        first.setdefault(kind_of(task), name)
    found: list[str] = []
    made: set[str] = set()
    for kind in reversed(first):  # what needs others stands below them
        if kind in kinds and kind not in made:
            found.append(first[kind])
            made |= {kind_of(task) for task in whole.only({"task": [first[kind]]}).tasks.values()}
    return found[::-1]


def _explain(options: argparse.Namespace) -> int:
    from medaug_keras.explain import explain

    _, whole, _ = planned(options)
    task = find_task(whole, options.task)
    print(explain(task, whole, Store(options.results)))
    return DONE


def _report(options: argparse.Namespace) -> int:
    study, whole, chosen = planned(options)
    check_report(options, study)
    fuller = "" if options.replace else fewer_than_shown(options, study, whole)
    if fuller:
        raise RequestError(
            f"{fuller} They are left as they are. Are --results, --data, --set and --replicates those of the run? To "
            "replace the pages all the same, add --replace."
        )
    if options.results.is_dir():
        remember(options.results, study, whole, data_root=str(options.data.resolve()))
    print(render(options, study, whole, chosen, Store(options.results), study_beside(study, options), anew=True))
    return DONE


def _reproduce(options: argparse.Namespace) -> int:
    return reproduce(options, executor)


def _schema(options: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return DONE


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "check": _check,
    "plan": _plan,
    "explain": _explain,
    "report": _report,
    "reproduce": _reproduce,
    "init": init,
    "schema": _schema,
}


def _remaining(whole: Plan, chosen: Plan, store: Store, workers: int) -> str:
    """How much of the rest of the study is done, in one line."""
    rest = {name: task for name, task in whole.tasks.items() if name not in chosen.tasks}
    outcomes = store.outcomes(whole)
    to_do = {name: task for name, task in rest.items() if outcomes[name].state != "done"}
    seconds = Durations.of(whole, outcomes).left(counted(to_do.values()), workers)
    long = f", about {duration(seconds)} with {plural(workers, 'worker')}" if to_do and seconds is not None else ""
    return f"The rest of the study: {part(len(rest) - len(to_do), len(rest), 'task')} done{long}."


def _print_summary(options: argparse.Namespace, summary: Any, spent: str, command: str) -> None:
    made, already = len(summary.done), len(summary.already)
    print(f"{plural(made, 'task')} done in {spent}, {already:,} {'was' if already == 1 else 'were'} done already.")
    if summary.failed or summary.blocked:
        print(
            f"{len(summary.failed)} failed and {len(summary.blocked)} could not run; the same command tries them again."
        )
        for name, why in summary.failed.items():
            print(f"  {why}\n    alone: {command} --only task={name}")
        print(f"The last lines of each are in {options.results / 'failures'}.")
