"""The command line: `python -m medaug_keras STUDY.yaml` and its other verbs.

Checking, planning and help import neither Keras nor Torch, so that they answer at once.
"""

import argparse
import errno
import io
import json
import os
import platform
import shlex
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

from medaug_keras import __version__, data, gpus
from medaug_keras.plan import Plan, Source, Task, plan
from medaug_keras.reading import StudyError, read, schema
from medaug_keras.reading.words import did_you_mean
from medaug_keras.spec import Study, dump
from medaug_keras.store import Store, disk_trouble

DONE, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130
FILTERS = ("dataset", "arm", "sampling", "replicate", "task")


class RequestError(Exception):
    """What is asked cannot be done; the message says why and what to ask instead."""


class ReportError(Exception):
    """The report could not be made from results that are there; the message says how to go on. Its cause is why."""


class SiteError(Exception):
    """MkDocs does not build the site, because of its settings; the pages are there."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; returns the exit code."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    options = argparse.Namespace()
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that has not every letter shows the others by number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        _parser().parse_args(_with_verb(words), namespace=options)
        with _terminable():
            return VERBS[options.verb](options)
    except (StudyError, RequestError, data.DataError) as error:
        print(error, file=sys.stderr)
        return WRONG_REQUEST
    except SiteError as error:
        print(error, file=sys.stderr)
        return SOME_FAILED
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output is gone, as after `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except Exception as error:
        refusal = _refusal(error)
        if refusal is not None:
            print(f"{refusal}. What is finished stays; mend this, and the same command goes on.", file=sys.stderr)
        elif os.environ.get("MEDAUG_DEBUG"):
            raise
        else:
            print(_apology(error, words, options), file=sys.stderr)
        return SOME_FAILED


_NO_PLACE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def _refusal(error: BaseException) -> str | None:
    """What a disk or a path said that refused us; None for all other errors."""
    trouble = disk_trouble(error)
    if trouble is None and isinstance(error, OSError) and error.errno in _NO_PLACE:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return trouble


def _apology(error: Exception, words: Sequence[str], options: argparse.Namespace) -> str:
    """What a user needs to know of a mistake of ours; its traceback goes to a file."""
    said, name = f"The program failed: {_named(error)}\nWhat is finished stays.", getattr(options, "verb", "command")
    cause: BaseException = error
    if isinstance(error, ReportError):
        said, name, cause = str(error), "report", error.__cause__ or error
    content = (
        f"{shlex.join(['python', '-m', 'medaug_keras', *words])}\n"
        f"medaug-keras {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
        + "".join(traceback.format_exception(cause))
    )
    report = "This is a mistake in medaug-keras, not in your study. Please report it"
    try:
        results: Path | None = getattr(options, "results", None)
        if results is not None and results.is_dir():
            path = results / "failures" / f"{name}.txt"
            path.parent.mkdir(exist_ok=True)
        else:
            handle, kept = tempfile.mkstemp(prefix="medaug-", suffix=".txt")
            os.close(handle)
            path = Path(kept)
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"{said}\n{report}:\n\n{content}"
    return f"{said}\n{report} with the file {path}, which says where it happened."


def _named(error: BaseException) -> str:
    """The error's name and message, on one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:300]}" if said else type(error).__name__


def _with_verb(words: list[str]) -> list[str]:
    """`run` is understood where no verb is said."""
    if not words or words[0] in VERBS or words[0] in ("-h", "--help"):
        return words
    known = Path(words[0]).suffix in (".yaml", ".yml") or os.path.exists(words[0])
    if not words[0].startswith("-") and not known:
        raise RequestError(
            f"{words[0][:80]} is neither a verb nor the .yaml file of a study{did_you_mean(words[0], VERBS)}\n"
            "python -m medaug_keras -h shows examples."
        )
    return ["run", *words]


@contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM, as batch systems send it, is as good as Ctrl-C."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only the main thread may say so
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


# --- verbs -----------------------------------------------------------------------------------------


def _run(options: argparse.Namespace) -> int:
    study, whole, chosen = _planned(options)
    beside = _beside(study, options)
    store = Store(options.results)
    os.environ["OMP_NUM_THREADS"] = "1"  # of every worker: two tasks side by side beat one on two cores
    from medaug_keras import engine
    from medaug_keras.progress import Progress, duration

    if options.repair:
        _repair(chosen, store)
    outcomes = store.outcomes(whole)
    done = {name for name in chosen.tasks if outcomes[name].state == "done"}
    if len(done) < len(chosen.tasks):
        _check_results(options.results)
    hands, workers = _hands(options, work=len(done) < len(chosen.tasks))
    pages = _Pages(options)
    started = time.monotonic()
    progress = Progress(
        chosen,
        done=done,
        pace=engine.seconds_per_image(whole, outcomes),
        workers=workers,
        quiet=options.quiet,
        out=sys.stderr,
    )
    if not options.quiet:
        print(f"{study.title}: {len(chosen.tasks)} tasks, {len(done)} done already", file=sys.stderr)

    def listen(event: engine.Event) -> None:
        progress(event)
        if event.what in ("done", "found", "failed"):
            pages.changed()

    command = shlex.join(["python", "-m", "medaug_keras", str(options.study), *_said(options)])
    try:
        with progress:
            summary = hands(chosen, store, listen=listen, command=command)
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
        _say_end(options, summary, spent, command)
    report = _render(options, study, whole, store, beside, anew=False)
    if not options.quiet:
        print(report)
        print(f"Next: python -m medaug_keras plan {options.study}, or change the study and run it again.")
    return SOME_FAILED if summary.failed or summary.blocked else DONE


def _hands(options: argparse.Namespace, *, work: bool) -> tuple[Callable[..., Any], int]:
    """What makes the tasks, processes of this machine or a cluster, and how many it makes at once."""
    if options.scheduler is None:
        from medaug_keras import engine

        here = gpus.found() if work else []
        workers = (
            options.workers or len(here) * (options.workers_per_gpu or gpus.WORKERS_PER_GPU) or os.cpu_count() or 1
        )
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
            f'--scheduler needs Dask, which is not installed ({error}): pip install -c constraints.txt -e ".[cluster]"'
        ) from None
    try:
        client = cluster.connect(options.scheduler)
    except cluster.ClusterError as error:
        raise RequestError(f"--scheduler {options.scheduler}: {error}") from None
    return partial(cluster.run, client=client), max(1, cluster.threads(client))


def _repair(chosen: Plan, store: Store) -> None:
    """Check every file of what is done, and set aside what does not fit its checksums."""
    for name in chosen.tasks:
        wrong = store.repair(name) if store.is_done(name) else None
        if wrong:
            print(wrong, file=sys.stderr)


def _check(options: argparse.Namespace) -> int:
    study = _read(options)
    _beside(study, options)
    problems = []
    for name in study.datasets:
        try:
            _source(study, name, options)
        except data.DataError as error:
            problems.append(f"{options.study}: datasets.{name}: {error}")
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return WRONG_REQUEST
    runs = len(plan(study, _sources(study, options)).cells)
    print(f"{options.study}: nothing wrong; {len(study.datasets)} data sets, {len(study.arms)} arms, {runs} runs.")
    return DONE


def _plan(options: argparse.Namespace) -> int:
    from medaug_keras import engine
    from medaug_keras.progress import duration

    study, whole, chosen = _planned(options)
    store = Store(options.results)
    outcomes = store.outcomes(whole)
    pace = engine.seconds_per_image(whole, outcomes)
    to_do = {name: task for name, task in chosen.tasks.items() if outcomes[name].state != "done"}
    seconds = engine.expected_seconds(to_do, pace)
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
                "seconds": engine.expected_seconds({name: task}, pace),
                "needs": list(task.needs.values()),
            }
            for name, task in chosen.tasks.items()
        ]
        total = {"tasks": len(tasks), "to_do": len(to_do), "seconds_of_one_worker": seconds}
        print(json.dumps({"study": study.name, **total, "plan": tasks}, indent=1))
        return DONE
    print(f"{study.title}")
    of_kinds: dict[str, dict[str, Task]] = {}
    for name, task in chosen.tasks.items():
        of_kinds.setdefault(engine.pace_of(task), {})[name] = task
    states = ("done", "pending", "running", "failed", "blocked", "damaged")
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
    if not to_do:
        print("Nothing to do.")
    elif seconds is None:
        new = sorted({engine.pace_of(task) for task in to_do.values()} - pace.keys())
        print(f"Expected time: not known before the first task of each kind was run ({', '.join(new)}).")
    else:
        print(f"Expected time: {duration(seconds / options.workers)} with {options.workers} workers.")
    return DONE


def _explain(options: argparse.Namespace) -> int:
    from medaug_keras.explain import explain

    _, whole, _ = _planned(options)
    task = _find_task(whole, options.task)
    print(explain(task, whole, Store(options.results)))
    return DONE


def _report(options: argparse.Namespace) -> int:
    study, whole, _ = _planned(options)
    print(_render(options, study, whole, Store(options.results), _beside(study, options), anew=True))
    return DONE


def _schema(options: argparse.Namespace) -> int:
    print(json.dumps(schema(), indent=2))
    return DONE


VERBS: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "check": _check,
    "plan": _plan,
    "explain": _explain,
    "report": _report,
    "schema": _schema,
}


# --- what is asked ---------------------------------------------------------------------------------


def _read(options: argparse.Namespace) -> Study:
    return read(
        options.study,
        overrides=options.set,
        replicates=options.replicates,
        accept_unverified=options.unverified_data,
    )


def _planned(options: argparse.Namespace) -> tuple[Study, Plan, Plan]:
    """The study, its whole plan, and the part that --only leaves."""
    study = _read(options)
    whole = plan(study, _sources(study, options), data_root=str(options.data.resolve()))
    return study, whole, _narrowed(whole, options.only)


def _narrowed(whole: Plan, only: Sequence[str]) -> Plan:
    filters: dict[str, list[str]] = {}
    for text in only:
        name, sign, value = text.partition("=")
        if not sign or name not in FILTERS:
            raise RequestError(f"--only {text}: expected NAME=VALUE with NAME one of {', '.join(FILTERS)}")
        if name == "task":
            filters.setdefault(name, []).append(_find_task(whole, value).id)
            continue
        known = dict.fromkeys(str(getattr(cell, name)) for cell in whole.cells)
        if value not in known:
            raise RequestError(f"--only {text}: the study has no {name} {value!r}; it has {', '.join(known)}")
        filters.setdefault(name, []).append(value)
    if "task" in filters and len(filters) > 1:
        raise RequestError("--only task= names the very tasks, so no other --only can narrow them")
    chosen = whole.only(filters) if filters else whole
    if not chosen.tasks:
        raise RequestError(f"--only {' --only '.join(only)}: no run of the study matches all of these")
    return chosen


def _sources(study: Study, options: argparse.Namespace) -> dict[str, Source]:
    """What the plan must know of each data set. One that cannot be read is planned all the same: its task says why."""
    found = {}
    errors = []
    for name in study.datasets:
        try:
            found[name] = _source(study, name, options)
        except data.DataError as error:
            errors.append(f"{name}: {error}")
            found[name] = Source("unreadable", 0, 0, 0)
    if len(errors) == len(study.datasets):
        raise RequestError("\n".join(errors))
    return found


def _source(study: Study, name: str, options: argparse.Namespace) -> Source:
    """Fingerprint and sizes of a data set, without reading its images. Raises DataError."""
    spec = dump(study.datasets[name])
    cache = options.results / "fingerprints.json" if options.results.is_dir() else None
    kind, own_name = spec["kind"], spec.get("name") or name
    if kind == "medmnist":
        fingerprint = data.medmnist_fingerprint(own_name, root=options.data, cache=cache)
        sizes = data.medmnist_sizes(own_name)
    elif kind == "phantom":
        counts = {split: spec[split] for split in ("train", "validation", "test")}
        fingerprint = data.phantom_fingerprint(own_name, seed=spec["seed"], **counts)
        sizes = data.phantom_sizes(own_name, **counts)
    elif kind == "npz":
        fingerprint = data.npz_fingerprint(Path(spec["path"]), cache=cache)
        sizes = data.npz_sizes(Path(spec["path"]), classes=spec["classes"], size=spec["size"])
    else:
        fingerprint = data.folder_fingerprint(Path(spec["path"]), cache=cache)
        sizes = data.folder_sizes(Path(spec["path"]), size=spec["size"], colour=spec["colour"])
    return Source(fingerprint, sizes.train, sizes.validation, sizes.test)


def _find_task(whole: Plan, text: str) -> Task:
    """A task by its id, the beginning of its id, or DATASET/ARM/SAMPLING/REPLICATE."""
    found = [task for name, task in whole.tasks.items() if name.startswith(text)]
    parts = text.split("/")
    if len(parts) == 4:
        cells = [c for c in whole.cells if [c.dataset, c.arm, c.sampling, str(c.replicate)] == parts]
        found = [whole.tasks[cell.task] for cell in cells]
    if len(found) == 1:
        return found[0]
    what = "several tasks begin so" if found else "the study has no such task"
    raise RequestError(
        f"{text}: {what}. Give a task's id (`plan --json` lists them) or DATASET/ARM/SAMPLING/REPLICATE, "
        "such as breastmnist/gda/weighted/0."
    )


def _check_results(folder: Path) -> None:
    try:
        (folder / "unfinished").mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder / "unfinished") as file:
            file.write(b"room for a byte?")
    except OSError as error:
        raise RequestError(f"--results {folder}: nothing can be written here ({error.strerror})") from None


# --- pages -----------------------------------------------------------------------------------------


def _beside(study: Study, options: argparse.Namespace) -> tuple[Study, Plan] | None:
    """The study that the report shows beside this one, and its plan."""
    if study.beside is None:
        return None
    other = read(Path(study.beside), replicates=options.replicates, accept_unverified=options.unverified_data)
    return other, plan(other, _sources(other, options), data_root=str(options.data.resolve()))


def _render(
    options: argparse.Namespace,
    study: Study,
    whole: Plan,
    store: Store,
    beside: tuple[Study, Plan] | None,
    *,
    anew: bool,
) -> str:
    """Write the pages, build the site unless told not to, and say where they are. Raises ReportError.

    Unless `anew`, pages are left alone whose inputs are what they were.
    """
    from medaug_keras import report

    with _explained("The report could not be made", options):
        pages = report.render(study, whole, store, options.docs, beside=beside, anew=anew)
    if options.no_site:
        said = f"Pages: {pages}"
    else:
        from mkdocs.exceptions import MkDocsException

        site = options.docs.resolve().parent / "site"
        there = f"The pages are in {pages}, but the site could not be built from them"
        with _explained(there, options):
            try:
                report.build_site(options.docs, site, anew=anew)
            except MkDocsException as error:
                raise SiteError(f"{there}. MkDocs says: {error}\nLook at mkdocs.yml, or use --no-site.") from error
        said = f"Report: {_shown(site)}/studies/{study.name}/index.html (double-click it, or: mkdocs serve)"
    with suppress(OSError):
        (options.results / "failures" / "report.txt").unlink()  # of an earlier attempt
    return said


@contextmanager
def _explained(what: str, options: argparse.Namespace) -> Iterator[None]:
    """Turns a mistake of ours into a ReportError."""
    try:
        yield
    except SiteError:
        raise
    except Exception as error:
        if _refusal(error) is not None:
            raise
        again = shlex.join(["python", "-m", "medaug_keras", "report", str(options.study), *_said(options)])
        raise ReportError(
            f"{what}: {_named(error)}\nNo result is lost: they are in {options.results}. To try again: {again}"
        ) from error


def _shown(path: Path) -> str:
    """A path as short as it can be from here."""
    here = Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)


class _Pages:
    """Renders the pages while the study runs, in a process of its own, never more than a tenth of the time."""

    def __init__(self, options: argparse.Namespace) -> None:
        words = ["report", str(options.study), *_said(options), "--no-site"]
        self.command = [sys.executable, "-m", "medaug_keras", *words]
        self.process: subprocess.Popen[bytes] | None = None
        self.started, self.next = 0.0, time.monotonic() + 10

    def changed(self) -> None:
        now = time.monotonic()
        if self.process is not None:
            if self.process.poll() is None:
                return
            self.next = now + 9 * (now - self.started)
            self.process = None
        if now >= self.next:
            self.started = now
            self.process = subprocess.Popen(self.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def finish(self) -> None:
        if self.process is not None:
            self.process.terminate()
            self.process.wait()


def _said(options: argparse.Namespace) -> list[str]:
    """What was said on the command line that decides which study is meant and where things are."""
    words = []
    for name in ("data", "results", "docs"):
        if getattr(options, name) != _DEFAULTS[name]():
            words += [f"--{name}", str(getattr(options, name))]
    for override in options.set:
        words += ["--set", override]
    if options.replicates is not None:
        words += ["--replicates", str(options.replicates)]
    return words + (["--unverified-data"] if options.unverified_data else [])


def _say_end(options: argparse.Namespace, summary: Any, spent: str, command: str) -> None:
    made, already = len(summary.done), len(summary.already)
    print(f"{made} tasks done in {spent}, {already} were done already.")
    if summary.failed or summary.blocked:
        print(
            f"{len(summary.failed)} failed and {len(summary.blocked)} could not run; the same command tries them again."
        )
        for name, why in summary.failed.items():
            print(f"  {why}\n    alone: {command} --only task={name}")
        print(f"The last lines of each are in {options.results / 'failures'}.")


# --- options ---------------------------------------------------------------------------------------

_EXAMPLES = """examples:
  python -m medaug_keras studies/demo.yaml                    a small study without a network
  python -m medaug_keras study.yaml                           the paper's study
  python -m medaug_keras study.yaml --only dataset=breastmnist --only arm=gda
  python -m medaug_keras study.yaml --set classifier.epochs=2 --replicates 1
  python -m medaug_keras plan study.yaml                      what is done, what is to do, how long it takes
  python -m medaug_keras explain study.yaml breastmnist/gda/weighted/0

exit codes: 0 all done; 1 some tasks failed; 2 the request is wrong; 130 interrupted"""


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m medaug_keras",
        description="Does this data augmentation help, on my medical images, by how much, and how sure can I be?",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    def verb(name: str, text: str, example: str) -> argparse.ArgumentParser:
        added = verbs.add_parser(
            name,
            help=text,
            description=text[0].upper() + text[1:] + ".",
            epilog=f"example:\n  python -m medaug_keras {example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name != "schema":
            _study_options(added)
        return added

    run = verb("run", "run a study and make its report (the verb may be left out)", "study.yaml --replicates 1")
    run.add_argument("--only", action="append", default=[], metavar="NAME=VALUE", help=_ONLY)
    run.add_argument("--workers", type=_positive, help="processes (default: one a core; with GPUs, see the next)")
    run.add_argument(
        "--workers-per-gpu",
        type=_positive,
        metavar="N",
        help=f"processes that share a GPU, where there are GPUs (default: {gpus.WORKERS_PER_GPU})",
    )
    run.add_argument(
        "--scheduler", metavar="ADDRESS", help="use a Dask cluster, as tcp://host:8786, or its scheduler's file (.json)"
    )
    run.add_argument(
        "--repair", action="store_true", help="check every file of what is done; set aside and remake what was changed"
    )
    run.add_argument("--no-site", action="store_true", help="write the pages but do not build the site")
    run.add_argument("--quiet", action="store_true", help="print errors only")
    verb("check", "say what is wrong with a study", "check study.yaml")
    planned = verb("plan", "say what is done, what is to do and how long it takes", "plan study.yaml --json")
    planned.add_argument("--json", action="store_true", help="every task, for scripts")
    planned.add_argument("--only", action="append", default=[], metavar="NAME=VALUE", help=_ONLY)
    planned.add_argument("--workers", type=_positive, default=os.cpu_count() or 1, help="for the expected time")
    why = verb("explain", "say why a task would run", "explain study.yaml breastmnist/gda/weighted/0")
    why.add_argument("task", metavar="TASK", help="a task's id, or DATASET/ARM/SAMPLING/REPLICATE")
    rendered = verb("report", "make the pages and the site from what is there", "report study.yaml")
    rendered.add_argument("--no-site", action="store_true", help="write the pages but do not build the site")
    verb("schema", "print the JSON Schema of a study", "schema > study.schema.json")
    return parser


_ONLY = "narrow to dataset=, arm=, sampling= or replicate=, or to the very task=; repeatable"
_DEFAULTS: dict[str, Callable[[], Path]] = {
    "data": lambda: Path(os.path.expanduser(os.environ.get("MEDMNIST_ROOT") or "~/.medmnist")),
    "results": lambda: Path("results"),
    "docs": lambda: Path("docs"),
}


def _study_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", type=Path, metavar="STUDY.yaml")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="change a setting; repeatable")
    parser.add_argument("--replicates", type=_positive, metavar="N", help="instead of the study's number")
    parser.add_argument(
        "--data",
        type=_folder,
        default=_DEFAULTS["data"](),
        metavar="DIR",
        help="MedMNIST's files (default: $MEDMNIST_ROOT or ~/.medmnist)",
    )
    parser.add_argument(
        "--results", type=_folder, default=_DEFAULTS["results"](), metavar="DIR", help="default: results"
    )
    parser.add_argument("--docs", type=_folder, default=_DEFAULTS["docs"](), metavar="DIR", help="default: docs")
    parser.add_argument(
        "--unverified-data", action="store_true", help="accept MedMNIST files whose MD5 is not the official one"
    )
    parser.set_defaults(only=[])


def _folder(text: str) -> Path:
    folder = Path(os.path.expanduser(text))
    try:
        is_folder = stat.S_ISDIR(folder.stat().st_mode)
    except FileNotFoundError:
        return folder
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text[:80]}: {error.strerror}") from None
    if not is_folder:
        raise argparse.ArgumentTypeError(f"{text} is a file, not a folder")
    return folder


def _positive(text: str) -> int:
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"expected a whole number from 1, got {text!r}")
    return number
