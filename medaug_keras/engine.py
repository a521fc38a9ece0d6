"""Runs the tasks of a plan in worker processes of this machine.

A worker imports Torch once, computes with one thread and runs one task after the other. The parent assigns tasks in
the plan's order as soon as their needs are done, and computes nothing itself. A task that fails blocks the tasks that
need it and nothing else; a worker that dies or hangs costs its own task, which is retried once. A disk that cannot be
written to is no task's fault: it ends the run.

`Dispatcher` decides all that. Its subclasses run the tasks: `_LocalDispatcher` in processes here,
`cluster._ClusterDispatcher` on Dask.
"""

import contextlib
import errno
import os
import platform
import sys
import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from medaug_keras import __version__
from medaug_keras.counts import plural
from medaug_keras.plan import Plan, Task
from medaug_keras.store import Failure, Store, StoreError, disk_trouble
from medaug_keras.worker import BEAT, Death, Worker

CRASHES_ALLOWED = 1  # retries of a task whose worker died, and of a worker's start; an error is never retried
BUSY_PAUSE = 1.0  # seconds until a task that another run is making is tried again


@dataclass(frozen=True)
class Event:
    """What happened to a task, for a listener to show."""

    what: Literal["start", "epoch", "message", "silent", "done", "busy", "found", "failed", "blocked", "stopped"]
    """silent: its worker may hang. busy: another run on this results folder is making it. found: another run has made
    it. stopped: the disk cannot be written to."""
    task: Task
    epoch: int = 0
    logs: Mapping[str, float] = field(default_factory=dict)
    text: str = ""


Listener = Callable[[Event], None]


@dataclass
class Summary:
    """The outcome of a run: ids of tasks."""

    done: list[str] = field(default_factory=list)
    """Made by this run."""
    already: list[str] = field(default_factory=list)
    """Done before, or by another run."""
    failed: dict[str, str] = field(default_factory=dict)
    """Task → the error in one line."""
    blocked: list[str] = field(default_factory=list)
    interrupted: bool = False
    stopped: str = ""
    """Why the run stopped early; empty where it did not."""
    notes: list[str] = field(default_factory=list)
    """Remarks for the user."""


def run(
    plan: Plan, store: Store, *, workers: int, listen: Listener, command: str = "", gpus: Sequence[str] = ()
) -> Summary:
    """Make every task of the plan that is not finished. KeyboardInterrupt ends it early and leaves nothing half-made.

    `command` runs the study; a failure records it with `--only task=ID`, which runs just that task again.
    `gpus` are values of CUDA_VISIBLE_DEVICES, one for each GPU; workers are spread over them evenly.
    """
    return _LocalDispatcher(plan, store, workers, listen, command, gpus).run()


class Dispatcher(ABC):
    """Decides which task runs when, and keeps count. A subclass starts tasks and receives their messages."""

    def __init__(self, plan: Plan, store: Store, listen: Listener, command: str) -> None:
        self.plan, self.store, self.listen, self.command = plan, store, listen, command
        self.summary = Summary()
        self.waiting: dict[str, Task] = {}
        self.crashes: dict[str, int] = {}
        self.not_before: dict[str, float] = {}
        self.finished: set[str] = set()
        self.bad = 0  # how many tasks had failed or were blocked when `_block` last ran

    @abstractmethod
    def _assign_ready(self) -> None:
        """Start as many of the `_ready()` tasks as possible, and remove them from `waiting`."""

    @abstractmethod
    def _busy(self) -> bool:
        """Whether a task that was started has not ended."""

    @abstractmethod
    def _receive(self, seconds: float | None) -> None:
        """Wait for messages, at most `seconds`, and pass each on to `_handle`."""

    @abstractmethod
    def _end_all(self) -> None:
        """End all workers, whatever they do."""

    def run(self) -> Summary:
        """Run what is not done. KeyboardInterrupt ends it early and leaves nothing half-made."""
        self.store.tidy()  # what a killed run left
        try:
            self._work()
        except KeyboardInterrupt:
            self.summary.interrupted = True
        finally:
            self._end_all()
            self.store.tidy()
        return self.summary

    def _work(self) -> None:
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
                self._assign_ready()
            if not self._busy() and (not self.waiting or self.summary.stopped):
                return
            self._receive(BUSY_PAUSE if self.waiting else None)

    def _block(self) -> None:
        """Remove from `waiting` the tasks whose needs have failed."""
        bad = set(self.summary.failed) | set(self.summary.blocked)
        if len(bad) == self.bad:  # nearly always, and there may be ten thousand tasks
            return
        for name, task in list(self.waiting.items()):  # needs come first, so one pass reaches the end of a chain
            if any(need in bad for need in task.needs.values()):
                del self.waiting[name]
                bad.add(name)
                self.summary.blocked.append(name)
                self.listen(Event("blocked", task))
        self.bad = len(bad)

    def _ready(self) -> list[Task]:
        """The tasks that can start now, in the plan's order."""
        now = time.monotonic()
        return [
            task
            for name, task in self.waiting.items()
            if self.not_before.get(name, 0) <= now and all(need in self.finished for need in task.needs.values())
        ]

    def _handle(self, task: Task, what: str, content: Any) -> None:
        """Act on a message or result of `attempt`, or on ("died", Death)."""
        if what == "epoch":
            self.listen(Event("epoch", task, epoch=content[0], logs=content[1]))
        elif what in ("message", "silent"):
            self.listen(Event("message" if what == "message" else "silent", task, text=content))
        elif what in ("done", "found"):
            self.finished.add(task.id)
            (self.summary.done if what == "done" else self.summary.already).append(task.id)
            self.listen(Event("done" if what == "done" else "found", task))
        elif what == "busy":  # another run is making it; ask again later, when it may be done
            self.waiting[task.id] = task
            self.not_before[task.id] = time.monotonic() + BUSY_PAUSE
            self.listen(Event("busy", task))
        elif what == "stop":
            self._stop(task, content)
        elif what == "died":
            if self._died(task, content):
                self.waiting = {task.id: task, **self.waiting}
        else:
            self._failed(task, content)

    def _died(self, task: Task, death: Death) -> bool:
        """Count a worker that died while it ran the task; returns whether the task is retried."""
        count = self.crashes[task.id] = self.crashes.get(task.id, 0) + 1
        if count <= CRASHES_ALLOWED:
            return True
        error = f"WorkerDied: {death.how}, {plural(count, 'time')}" + (
            "; the machine may have run out of memory" if death.killed else ""
        )
        self._failed(task, Failure(task.kind, task.key, error, death.words, death.run))
        return False

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
        """Start nothing more; tasks that are running may finish."""
        self.summary.stopped = self.summary.stopped or f"{why} ({task.title})"
        self.listen(Event("stopped", task, text=why))


# --- processes of this machine ---------------------------------------------------------------------


class _LocalDispatcher(Dispatcher):
    """Runs tasks in at most `size` worker processes of this machine, on the given GPUs if there are any."""

    def __init__(
        self, plan: Plan, store: Store, size: int, listen: Listener, command: str, gpus: Sequence[str]
    ) -> None:
        super().__init__(plan, store, listen, command)
        self.size, self.gpus = size, gpus
        self.workers: list[Worker] = []
        self.failed_starts = 0  # in a row: a worker that becomes ready resets it

    def _start_workers(self) -> None:
        """Start as many workers as there is work for, all at once: each needs seconds to import Torch."""
        busy = sum(worker.task is not None for worker in self.workers)
        while len(self.workers) < min(self.size, busy + len(self.waiting)):
            load = Counter(worker.gpu for worker in self.workers)
            try:
                self.workers.append(Worker(min(self.gpus, key=lambda gpu: load[gpu], default=None)))
            except OSError as error:
                another = "another" if self.workers else "a"
                self._reduce_to(len(self.workers), f"The machine refuses to start {another} process ({error})")

    def _reduce_to(self, size: int, why: str) -> None:
        """Continue with fewer workers; with none, the run ends."""
        self.size = size
        if size:
            self.summary.notes.append(f"{why}; the run had {plural(size, 'worker')}.")
        else:
            self.summary.stopped = f"{why}. Close other programs, or ask for fewer --workers."

    def _assign_ready(self) -> None:
        self._start_workers()
        idle = [worker for worker in self.workers if worker.ready and worker.task is None]
        for task, worker in zip(self._ready() if idle else [], idle, strict=False):
            try:
                worker.give(task, self.store)
            except OSError:  # it died while it was idle; another takes its place
                self._remove(worker)
                continue
            del self.waiting[task.id]
            self.listen(Event("start", task))

    def _busy(self) -> bool:
        return any(worker.task is not None for worker in self.workers)

    def _receive(self, seconds: float | None) -> None:
        at_work = {worker.pipe: worker for worker in self.workers if worker.task is not None or not worker.ready}
        for pipe in wait(list(at_work), timeout=BEAT if seconds is None else min(seconds, BEAT)):
            self._handle_worker(at_work[pipe], *at_work[pipe].receive())  # type: ignore[index]
        for worker in at_work.values():
            if worker in self.workers and (worker.task is not None or not worker.ready):
                self._handle_worker(worker, *worker.look())

    def _handle_worker(self, worker: Worker, what: str, content: Any) -> None:
        task = worker.task
        if what == "died":
            self._remove(worker)
        if what == "ready":
            self.failed_starts = 0
        elif task is not None and what != "beat":
            if what not in ("epoch", "message", "silent"):
                worker.task = None
            self._handle(task, what, content)
        elif what == "died":
            self._not_started(content)
        elif what == "silent" and self.waiting:
            self.listen(Event("silent", next(iter(self.waiting.values())), text=f"waits for a worker: {content}"))

    def _not_started(self, death: Death) -> None:
        """Count a worker that died or hung before it was ready for a task."""
        self.failed_starts += 1
        if self.failed_starts > CRASHES_ALLOWED:
            last = f" ({death.words.strip().splitlines()[-1]})" if death.words.strip() and not death.hung else ""
            why = f"A worker cannot start: {death.how}, {plural(self.failed_starts, 'time')}{last}"
            self._reduce_to(sum(worker.ready for worker in self.workers), why)

    def _remove(self, worker: Worker) -> None:
        worker.end()
        self.workers.remove(worker)

    def _end_all(self) -> None:
        for worker in self.workers:
            worker.end()


# --- in the worker ---------------------------------------------------------------------------------


def work(handle: int) -> None:
    """Run tasks until the parent is gone. `handle` is this process's end of the pipe."""
    pipe, turn, at_work = Connection(handle), threading.Lock(), threading.Event()

    def tell(what: str, content: Any) -> None:
        try:
            with turn:
                pipe.send((what, content))
        except OSError:  # the parent is gone
            os._exit(1)

    def beat() -> None:
        while True:
            at_work.wait()
            tell("beat", time.process_time())
            time.sleep(BEAT)

    threading.Thread(target=beat, daemon=True).start()
    with contextlib.suppress(Exception):  # the first task says what is wrong
        from medaug_keras import tasks, training  # noqa: F401 - takes seconds, so it starts before the first task

        training.keep_memory()
    tell("ready", None)
    while True:
        at_work.clear()
        try:
            task, store = pipe.recv()
        except (EOFError, OSError):
            sys.exit(0)
        at_work.set()
        for printed in (sys.stdout, sys.stderr):
            printed.flush()
        os.ftruncate(1, 0)  # the log explains a death, so it holds this task's output only
        os.lseek(1, 0, os.SEEK_SET)
        tell(*attempt(task, store, tell))


def attempt(task: Task, store: Store, tell: Callable[[str, Any], None]) -> tuple[str, Any]:
    """Make one task unless it is finished or being made elsewhere.

    Returns ("done", None), ("found", None) where it was finished, ("busy", None), ("failed", Failure), or ("stop", why)
    where the disk cannot be written to.
    """
    started, earlier = time.time(), 0.0

    def told(what: str, content: Any) -> None:
        nonlocal earlier
        if what == "resumed":
            earlier = content
        else:
            tell(what, content)

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
            values = tasks.make(task, store, folder, told)
            store.commit(task, folder, values, _circumstances(started) | ({"earlier": earlier} if earlier else {}))
    except Exception as error:  # noqa: BLE001 - whatever went wrong is this task's record; the study goes on
        trouble = disk_trouble(error)
        if trouble is not None:
            return "stop", trouble
        lacks_memory = isinstance(error, OSError) and error.errno == errno.ENOMEM  # a file could not be mapped
        why = f"{'MemoryError' if lacks_memory else type(error).__name__}: {error}"
        own = getattr(error, "own", False)  # a mistake in the user's code, of which the message says all
        details = why if own else "".join(traceback.format_exception(error)[-6:])
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

    names = ("keras", "torch", "numpy", "scikit-learn", "medmnist")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return _moment(started) | {
        "processor": _processor(),
        "device": gpu or "CPU",
        "threads": torch.get_num_threads(),
        "packages": {"medaug-keras": __version__} | {name: version(name) for name in names},
    }


def _processor() -> str:
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
