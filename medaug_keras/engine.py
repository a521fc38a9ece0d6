"""Runs the tasks of a plan in worker processes of this machine.

A worker imports Torch once, computes with one thread and makes one task after the other. The parent hands out tasks in the
plan's order as soon as what they need is there, and never touches a number. A task that fails blocks what needs it and
nothing else; a worker that dies costs its own task, which is tried once more.
"""

import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from typing import Any, Literal

from medaug_keras.plan import Plan, Task
from medaug_keras.store import Failure, Record, Store, StoreError

CRASHES_ALLOWED = 1  # a task whose worker died is tried again this many times; an error never is
BUSY_PAUSE = 1.0  # seconds until a task that another run is making is asked for again


@dataclass(frozen=True)
class Event:
    """Something a listener may show."""

    what: Literal["start", "epoch", "message", "done", "failed", "blocked"]
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


def run(plan: Plan, store: Store, *, workers: int, listen: Listener) -> Summary:
    """Make every task of the plan that is not finished. SIGINT and SIGTERM end it early and leave nothing half-made."""
    with _interruptible():
        crew = _Crew(plan, store, workers, listen)
        try:
            crew.work()
        except KeyboardInterrupt:
            crew.summary.interrupted = True
        finally:
            crew.dismiss()
    return crew.summary


@contextmanager
def _interruptible() -> Iterator[None]:
    """SIGTERM is as good as SIGINT."""

    def stop(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, store: Store) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_work, args=(theirs, store), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None

    def give(self, task: Task) -> None:
        self.task = task
        self.pipe.send(task)

    def end(self) -> None:
        self.process.terminate()
        self.process.join(2)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.pipe.close()


class _Crew:
    def __init__(self, plan: Plan, store: Store, size: int, listen: Listener) -> None:
        self.plan, self.store, self.size, self.listen = plan, store, size, listen
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
                self._failed(task, str(error))
            else:
                self.finished.add(name)
                self.summary.already.append(name)
        while True:
            self._block()
            self._hand_out()
            busy = [worker for worker in self.workers if worker.task is not None]
            if not busy and not self.waiting:
                return
            pipes = {worker.pipe: worker for worker in busy}
            deaths = {worker.process.sentinel: worker for worker in busy}
            for signalled in wait([*pipes, *deaths], timeout=BUSY_PAUSE if self.waiting else None):
                worker = pipes.get(signalled) or deaths[signalled]  # type: ignore[call-overload]
                if worker in self.workers:
                    self._hear(worker)

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

    def _hand_out(self) -> None:
        now = time.monotonic()
        ready = [
            task
            for name, task in self.waiting.items()
            if self.not_before.get(name, 0) <= now and all(need in self.finished for need in task.needs.values())
        ]
        for task in ready:
            idle = next((worker for worker in self.workers if worker.task is None), None)
            if idle is None:
                if len(self.workers) == self.size:
                    return
                idle = _Worker(self.store)
                self.workers.append(idle)
            del self.waiting[task.id]
            idle.give(task)
            self.listen(Event("start", task))

    def _hear(self, worker: _Worker) -> None:
        task = worker.task
        assert task is not None
        try:
            if not worker.pipe.poll():
                raise EOFError
            what, content = worker.pipe.recv()
        except (EOFError, ConnectionResetError):
            self._buried(worker, task)
            return
        if what == "epoch":
            self.listen(Event("epoch", task, epoch=content[0], logs=content[1]))
            return
        if what == "message":
            self.listen(Event("message", task, text=content))
            return
        worker.task = None
        if what == "done":
            self.finished.add(task.id)
            self.summary.done.append(task.id)
            self.listen(Event("done", task))
        elif what == "busy":  # another run is making it; ask again later, when it may be done
            self.waiting[task.id] = task
            self.not_before[task.id] = time.monotonic() + BUSY_PAUSE
        else:
            self._failed(task, content)

    def _buried(self, worker: _Worker, task: Task) -> None:
        worker.process.join()
        code = worker.process.exitcode
        worker.end()
        self.workers.remove(worker)
        count = self.crashes[task.id] = self.crashes.get(task.id, 0) + 1
        if count <= CRASHES_ALLOWED:
            self.waiting = {task.id: task, **self.waiting}
            return
        how = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        error = f"WorkerDied: the process ended with {how}, {count} times" + (
            "; the machine may have run out of memory" if code == -signal.SIGKILL else ""
        )
        self.store.fail(task, Failure(task.kind, task.key, error, "", {}))
        self._failed(task, error)

    def _failed(self, task: Task, why: str) -> None:
        self.summary.failed[task.id] = why
        self.listen(Event("failed", task, text=why))


# --- in the worker ---------------------------------------------------------------------------------


def _work(pipe: Connection, store: Store) -> None:
    """Make tasks until the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    parent = multiprocessing.parent_process()
    assert parent is not None
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()
    os.environ["KERAS_BACKEND"] = "torch"
    import torch

    torch.set_num_threads(1)
    while True:
        try:
            task = pipe.recv()
        except EOFError:
            sys.exit(0)
        pipe.send(attempt(task, store, lambda what, content: pipe.send((what, content))))


def attempt(task: Task, store: Store, tell: Callable[[str, Any], None]) -> tuple[str, str]:
    """Make one task unless it is finished or being made elsewhere; ("done" | "busy" | "failed", why)."""
    from medaug_keras import tasks

    with store.claim(task.id) as folder:
        if folder is None:
            return "busy", ""
        if store.is_done(task.id):
            return "done", ""
        started = time.time()
        try:
            for need in task.needs.values():
                store.verify(need)
            values = tasks.make(task, store, folder, tell)
            store.commit(task, folder, values, _circumstances(started))
        except Exception as error:  # whatever went wrong is this task's record; the study goes on
            why = f"{type(error).__name__}: {error}"
            details = "".join(traceback.format_exception(error)[-6:])
            store.fail(task, Failure(task.kind, task.key, why, details, _circumstances(started)))
            return "failed", why
    return "done", ""


def _circumstances(started: float) -> dict[str, Any]:
    """When, where and with what: the part of a record that is not compared."""
    import platform
    from importlib.metadata import version

    import torch

    names = ("medaug-keras", "keras", "torch", "numpy", "scikit-learn", "medmnist")
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    return {
        "started": round(started, 3),
        "seconds": round(time.time() - started, 3),
        "host": platform.node(),
        "system": platform.platform(),
        "processor": _processor(),
        "device": gpu or "CPU",
        "threads": torch.get_num_threads(),
        "python": platform.python_version(),
        "packages": {name: version(name) for name in names},
    }


def _processor() -> str:
    import platform

    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next(line.split(":", 1)[1].strip() for line in file if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


# --- how long it takes -----------------------------------------------------------------------------


def seconds_per_image(plan: Plan, store: Store) -> dict[str, float]:
    """Pace of each kind of work, from the finished tasks of this plan; a kind without one is left out."""
    spent: dict[str, list[float]] = {}
    for name, task in plan.tasks.items():
        if store.is_done(name):
            record = _readable(store, name)
            if record is not None:
                entry = spent.setdefault(pace_of(task), [0.0, 0.0])
                entry[0] += record.run["seconds"]
                entry[1] += max(task.images, 1)
    return {kind: seconds / images for kind, (seconds, images) in spent.items()}


def _readable(store: Store, name: str) -> Record | None:
    try:
        return store.record(name)
    except StoreError:
        return None


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
