"""Runs the tasks of a plan in worker processes of this machine.

A worker imports Torch once, computes with one thread and makes one task after the other. The parent hands out tasks in
the plan's order as soon as what they need is there, and never touches a number. A task that fails blocks what needs it
and nothing else; a worker that dies costs its own task, which is tried once more. A disk that cannot be written to is
no task's fault: it ends the run.
"""

import contextlib
import faulthandler
import multiprocessing
import os
import platform
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from medaug_keras.plan import Plan, Task
from medaug_keras.store import Failure, Outcome, Store, StoreError, disk_trouble

CRASHES_ALLOWED = 1  # a task whose worker died is tried again this many times; an error never is
BUSY_PAUSE = 1.0  # seconds until a task that another run is making is asked for again


@dataclass(frozen=True)
class Event:
    """Something a listener may show."""

    what: Literal["start", "epoch", "message", "done", "busy", "found", "failed", "blocked", "stopped"]
    """busy: another run on this results folder is making it. found: it has. stopped: the disk refused it."""
    task: Task
    epoch: int = 0
    logs: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


Listener = Callable[[Event], None]


@dataclass
class Summary:
    """What came of a run: ids of tasks."""

    done: list[str] = field(default_factory=list)
    """Made now."""
    already: list[str] = field(default_factory=list)
    """Found finished."""
    failed: dict[str, str] = field(default_factory=dict)
    """Task → one line of why."""
    blocked: list[str] = field(default_factory=list)
    interrupted: bool = False
    stopped: str = ""
    """Why the run could not go on, where it could not."""
    notes: list[str] = field(default_factory=list)
    """What else the user should know."""


def run(plan: Plan, store: Store, *, workers: int, listen: Listener, command: str = "") -> Summary:
    """Make every task of the plan that is not finished. KeyboardInterrupt ends it early and leaves nothing half-made.

    `command` runs the study; with `--only task=ID` behind it, it is kept with a failure, to run just that task again.
    """
    crew = _Crew(plan, store, workers, listen, command)
    store.tidy()  # what a killed run left
    try:
        crew.work()
    except KeyboardInterrupt:
        crew.summary.interrupted = True
    finally:
        crew.dismiss()
        store.tidy()
    return crew.summary


class _Worker:
    """One process, the pipe to it, and the file that has what it prints."""

    def __init__(self, store: Store) -> None:
        context = multiprocessing.get_context("spawn")
        self.log = tempfile.NamedTemporaryFile(prefix="medaug-worker-")  # noqa: SIM115 - closed in end()
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, store, self.log.name), daemon=True)
        resource_tracker.ensure_running()  # it changes the mask too
        # Ctrl-C reaches every process of a terminal; the parent decides, so a worker never listens to it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self.process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        self.task: Task | None = None
        self.since = 0.0

    def give(self, task: Task) -> None:
        self.pipe.send(task)
        self.task, self.since = task, time.time()

    def end(self) -> None:
        self.process.terminate()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()
        self.log.close()

    def last_words(self) -> str:
        return "".join(Path(self.log.name).read_text(errors="replace").splitlines(keepends=True)[-20:])


class _Crew:
    def __init__(self, plan: Plan, store: Store, size: int, listen: Listener, command: str) -> None:
        self.plan, self.store, self.size, self.listen, self.command = plan, store, size, listen, command
        self.summary = Summary()
        self.workers: list[_Worker] = []
        self.waiting: dict[str, Task] = {}
        self.crashes: dict[str, int] = {}
        self.not_before: dict[str, float] = {}
        self.finished: set[str] = set()

    def work(self) -> None:
        for name, task in self.plan.tasks.items():
            if not self.store.is_done(name):
                self.waiting[name] = task
                continue
            try:
                self.store.record(name)
            except StoreError as error:
                self._give_up(task, str(error))
            else:
                self.finished.add(name)
                self.summary.already.append(name)
        while True:
            self._block()
            if not self.summary.stopped:
                self._recruit()
                self._hand_out()
            busy = [worker for worker in self.workers if worker.task is not None]
            if not busy and (not self.waiting or self.summary.stopped):
                return
            signs: dict[Any, _Worker] = {
                sign: worker for worker in busy for sign in (worker.pipe, worker.process.sentinel)
            }
            for sign in wait(list(signs), timeout=BUSY_PAUSE if self.waiting else None):
                if signs[sign] in self.workers:
                    self._hear(signs[sign])

    def dismiss(self) -> None:
        for worker in self.workers:
            worker.end()

    def _block(self) -> None:
        """Take out of the queue what can no longer be made."""
        bad = set(self.summary.failed) | set(self.summary.blocked)
        for name, task in list(self.waiting.items()):  # needs come first, so one pass reaches the end of a chain
            if any(need in bad for need in task.needs.values()):
                del self.waiting[name]
                bad.add(name)
                self.summary.blocked.append(name)
                self.listen(Event("blocked", task))

    def _recruit(self) -> None:
        """As many workers as there is work for, at once: each needs seconds to import Torch."""
        busy = sum(worker.task is not None for worker in self.workers)
        while len(self.workers) < min(self.size, busy + len(self.waiting)):
            try:
                self.workers.append(_Worker(self.store))
            except OSError as error:
                refused = f"The machine refuses to start {'another' if self.workers else 'a'} process ({error})"
                if not self.workers:
                    self.summary.stopped = f"{refused}. Close other programs, or ask for fewer --workers."
                    return
                self.size = len(self.workers)
                self.summary.notes.append(f"{refused}; the run had {self.size} workers.")

    def _hand_out(self) -> None:
        now = time.monotonic()
        ready = [
            task
            for name, task in self.waiting.items()
            if self.not_before.get(name, 0) <= now and all(need in self.finished for need in task.needs.values())
        ]
        idle = [worker for worker in self.workers if worker.task is None]
        for task, worker in zip(ready, idle, strict=False):
            try:
                worker.give(task)
            except OSError:  # it died while it had nothing to do; another takes its place
                self._bury(worker)
                continue
            del self.waiting[task.id]
            self.listen(Event("start", task))

    def _hear(self, worker: _Worker) -> None:
        task = worker.task
        if task is None:  # told to the end and died after it, both since we last looked
            return
        try:
            if not worker.pipe.poll():
                raise EOFError
            what, content = worker.pipe.recv()
        except (EOFError, OSError):
            self._died(worker, task)
            return
        if what == "epoch":
            self.listen(Event("epoch", task, epoch=content[0], logs=content[1]))
            return
        if what == "message":
            self.listen(Event("message", task, text=content))
            return
        worker.task = None
        if what in ("done", "found"):
            self.finished.add(task.id)
            (self.summary.done if what == "done" else self.summary.already).append(task.id)
            self.listen(Event(what, task))
        elif what == "busy":  # another run is making it; ask again later, when it may be done
            self.waiting[task.id] = task
            self.not_before[task.id] = time.monotonic() + BUSY_PAUSE
            self.listen(Event("busy", task))
        elif what == "stop":
            self._stop(task, content)
        else:
            self._failed(task, content)

    def _died(self, worker: _Worker, task: Task) -> None:
        worker.process.join()
        code = worker.process.exitcode
        words = worker.last_words()
        self._bury(worker)
        count = self.crashes[task.id] = self.crashes.get(task.id, 0) + 1
        if count <= CRASHES_ALLOWED:
            self.waiting = {task.id: task, **self.waiting}
            return
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        error = f"WorkerDied: the process ended with {how}, {count} times" + (
            "; the machine may have run out of memory" if code == -signal.SIGKILL else ""
        )
        self._failed(task, Failure(task.kind, task.key, error, words, _moment(worker.since)))

    def _bury(self, worker: _Worker) -> None:
        worker.end()
        self.workers.remove(worker)

    def _failed(self, task: Task, failure: Failure) -> None:
        again = f"{self.command} --only task={task.id}" if self.command else ""
        try:
            self.store.fail(task, replace(failure, again=again))
        except OSError as error:
            self._stop(task, f"the failure could not be recorded: {error}")
        self._give_up(task, failure.error)

    def _give_up(self, task: Task, why: str) -> None:
        self.summary.failed[task.id] = why
        self.listen(Event("failed", task, text=why))

    def _stop(self, task: Task, why: str) -> None:
        """Start nothing more; what is running may end."""
        self.summary.stopped = self.summary.stopped or f"{why} ({task.title})"
        self.listen(Event("stopped", task, text=why))


# --- in the worker ---------------------------------------------------------------------------------


def _work(pipe: Connection, store: Store, log: str) -> None:
    """Make tasks until the parent is gone."""
    parent = multiprocessing.parent_process()
    assert parent is not None

    def leave() -> None:
        Path(log).unlink(missing_ok=True)
        os._exit(1)

    def follow() -> None:
        parent.join()
        leave()

    threading.Thread(target=follow, daemon=True).start()
    with open(
        log, "ab"
    ) as file:  # what libraries print would tear the parent's lines, and is a dead worker's last word
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    faulthandler.enable()
    os.environ["KERAS_BACKEND"] = "torch"
    with contextlib.suppress(Exception):  # the first task says what is wrong
        from medaug_keras import tasks  # noqa: F401 - takes seconds, best while there is no task yet

    def tell(what: str, content: Any) -> None:
        try:
            pipe.send((what, content))
        except OSError:  # the parent is gone
            leave()

    while True:
        try:
            task = pipe.recv()
        except (EOFError, OSError):
            sys.exit(0)
        os.truncate(log, 0)
        tell(*attempt(task, store, tell))


def attempt(task: Task, store: Store, tell: Callable[[str, Any], None]) -> tuple[str, Any]:
    """Make one task unless it is finished or being made elsewhere.

    Returns ("done", None), ("found", None) where it was finished, ("busy", None), ("failed", Failure), or ("stop", why)
    where the disk cannot be written to.
    """
    started = time.time()
    try:
        with store.claim(task.id) as folder:
            if folder is None:
                return "busy", None
            if store.is_done(task.id):
                return "found", None
            import torch

            from medaug_keras import tasks

            torch.set_num_threads(1)
            for need in task.needs.values():
                store.verify(need)
            values = tasks.make(task, store, folder, tell)
            store.commit(task, folder, values, _circumstances(started))
    except Exception as error:  # whatever went wrong is this task's record; the study goes on
        trouble = disk_trouble(error)
        if trouble is not None:
            return "stop", trouble
        why = f"{type(error).__name__}: {error}"
        details = "".join(traceback.format_exception(error)[-6:])
        return "failed", Failure(task.kind, task.key, why, details, _moment(started))
    return "done", None


def _moment(started: float) -> dict[str, Any]:
    return {
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "host": platform.node(),
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _circumstances(started: float) -> dict[str, Any]:
    """When, where and with what: the part of a record that is not compared."""
    from importlib.metadata import version

    import torch

    names = ("medaug-keras", "keras", "torch", "numpy", "scikit-learn", "medmnist")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return _moment(started) | {
        "processor": _processor(),
        "device": gpu or "CPU",
        "threads": torch.get_num_threads(),
        "packages": {name: version(name) for name in names},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# --- how long it takes -----------------------------------------------------------------------------


def seconds_per_image(plan: Plan, outcomes: Mapping[str, Outcome]) -> dict[str, float]:
    """Pace of each kind of work, from the finished tasks of this plan; a kind without one is left out."""
    spent: dict[str, list[float]] = {}
    for name, task in plan.tasks.items():
        record = outcomes[name].record
        if record is not None:
            entry = spent.setdefault(pace_of(task), [0.0, 0.0])
            entry[0] += record.run["seconds"]
            entry[1] += max(task.images, 1)
    return {kind: seconds / images for kind, (seconds, images) in spent.items()}


def pace_of(task: Task) -> str:
    """Tasks with equal names here take about equally long an image."""
    settings = task.params.get("settings")
    kind = settings.get("kind", "") if isinstance(settings, dict) else ""
    return f"{task.kind} {kind}".strip()


def expected_seconds(tasks: Mapping[str, Task], pace: Mapping[str, float]) -> float | None:
    """Work in these tasks, in seconds of one worker; None where a kind has not been seen yet."""
    total = 0.0
    for task in tasks.values():
        kind = pace_of(task)
        if kind not in pace:
            return None
        total += pace[kind] * max(task.images, 1)
    return total
