"""Runs the tasks of a plan on a Dask cluster, whose machines share the results folder.

The engine decides which task runs when; here each ready task becomes one Dask future. A Dask worker runs it as the
engine does: in a process that runs one task at a time with one thread, so that a Dask worker may have many threads and
survives a task that runs out of memory. Only tasks, epochs and statuses are sent; images and models are files.
"""

import contextlib
import json
import logging
import platform
import queue
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Client, Future, KilledWorker, get_worker
from distributed.comm import get_address_host_port
from distributed.core import Status

from medaug_keras import __version__
from medaug_keras.data import KINDS
from medaug_keras.engine import Dispatcher, Event, Listener, Summary
from medaug_keras.plan import Plan, Task
from medaug_keras.store import Store
from medaug_keras.worker import Death, Worker

CONNECT_SECONDS = 10.0
FETCH_SECONDS = 10.0  # to fetch a result; if its worker is lost meanwhile, the task is submitted again
IDLE_SECONDS = 60.0  # an idle process ends after this, and frees its memory
ON_GPU = ("generator", "classifier", "test", "quality", "usefulness")

# Text and plain values only: a Dask worker that cannot unpickle what it is sent closes without a reason.
CALL = "__import__('medaug_keras.cluster', fromlist=['make']).make(**order)"


class ClusterError(Exception):
    """The cluster cannot be used; the message says why."""


def connect(address: str) -> Client:
    """A cluster by the address of its scheduler, or by the scheduler's file (.json). Raises ClusterError."""
    for name in ("distributed", "distributed.client"):  # silences their tracebacks; the error below says what matters
        logging.getLogger(name).setLevel(logging.CRITICAL)
    try:
        if address.endswith(".json"):
            address = json.loads(Path(address).read_bytes())["address"]
        get_address_host_port(address)  # raises ValueError; Client does too, but prints a traceback at the end
        return Client(address, timeout=CONNECT_SECONDS, set_as_default=False, name="medaug-keras")
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise ClusterError(
            f"no scheduler answers there ({str(error) or type(error).__name__}). "
            "Start one with `dask scheduler`; it says its address."
        ) from None


def threads(client: Client) -> int:
    """How many tasks the cluster can run at once now."""
    return sum(worker["nthreads"] for worker in workers(client))


def workers(client: Client) -> list[Mapping[str, Any]]:
    """What the scheduler knows of each worker now; empty where it does not answer.

    Asks the scheduler itself: `Client.scheduler_info` is a cache that is cleared every two seconds, so a read can find
    it empty (distributed 2026.8).
    """
    try:
        return list(client.sync(client.scheduler.identity, n_workers=-1)["workers"].values())
    except OSError:
        return []


def run(plan: Plan, store: Store, *, client: Client, listen: Listener, command: str = "") -> Summary:
    """Make every task of the plan that is not finished, as `engine.run` does. Closes the client."""
    name = f"run-{uuid.uuid4().hex[:12]}"
    with contextlib.closing(client), store.claim(name):  # workers look whether they see this claim
        return _ClusterDispatcher(plan, store, listen, command, client, name).run()


@dataclass
class _Submission:
    """A task that was submitted to Dask, and where it was last started."""

    task: Task
    future: Future
    starts: int = 0
    host: str = ""
    since: float = 0.0


class _ClusterDispatcher(Dispatcher):
    """Submits every ready task to Dask, which chooses the workers."""

    def __init__(self, plan: Plan, store: Store, listen: Listener, command: str, client: Client, name: str) -> None:
        super().__init__(plan, store, listen, command)
        self.client, self.name = client, name
        self.address = client.scheduler.address
        self.rank = {task: number for number, task in enumerate(plan.tasks)}
        self.submitted: dict[str, _Submission] = {}
        self.count = 0
        self.gpus = False
        self.said_waiting = False
        self.news: queue.SimpleQueue[tuple[str, str, str, Any]] = queue.SimpleQueue()
        client.subscribe_topic(name, lambda event: self.news.put(tuple(event[1])))

    def _assign_ready(self) -> None:
        ready = self._ready()
        if not ready:
            return
        if self.client.status != "running":
            self._stop(ready[0], f"the scheduler {self.address} is gone")
            return
        known = workers(self.client)
        if any("GPU" in worker["resources"] for worker in known) and not self.gpus:
            self.gpus = True
            self._cancel_unstarted()
            ready = self._ready()
        if not known:  # one task is enough to make an adaptive cluster grow
            if not self.said_waiting:
                self.listen(Event("message", ready[0], text=f"waits for a worker to join {self.address}"))
            self.said_waiting = True
            ready = [] if self.submitted else ready[:1]
        for task in ready:
            self._give(task)

    def _give(self, task: Task) -> None:
        self.count += 1
        order = {
            "version": __version__,
            "run": self.name,
            "results": str(self.store.root.resolve()),
            "files": {what: str(path) for what, path in _files(task).items() if path.exists()},
            "task": vars(task),
        }
        future = self.client.submit(
            eval,
            CALL,
            {"order": order},
            key=f"{task.id}-{self.name}-{self.count}",
            resources={"GPU": 1} if self.gpus and task.kind in ON_GPU else None,
            priority=-self.rank[task.id],
            pure=False,
        )
        del self.waiting[task.id]
        self.submitted[task.id] = _Submission(task, future)
        future.add_done_callback(lambda ended: self.news.put((task.id, ended.key, "end", None)))

    def _cancel_unstarted(self) -> None:
        """Cancel tasks that have not started; they wait again."""
        back = {name: submission for name, submission in self.submitted.items() if not submission.starts}
        if back:
            self.client.cancel([self.submitted.pop(name).future for name in back])
        self.waiting = {name: self.plan.tasks[name] for name in self.plan.tasks if name in self.waiting or name in back}

    def _busy(self) -> bool:
        return bool(self.submitted)

    def _receive(self, seconds: float | None) -> None:
        with contextlib.suppress(queue.Empty):
            self._handle_news(*self.news.get(timeout=seconds))
            while True:
                self._handle_news(*self.news.get_nowait())

    def _handle_news(self, name: str, key: str, what: str, content: Any) -> None:
        """Act on one message: what a worker sent, or that a future ended."""
        submission = self.submitted.get(name)
        if submission is None or submission.future.key != key:  # of a submission that was cancelled
            return
        if what == "start":
            self._started(submission, *content)
        elif what == "end":
            del self.submitted[name]
            self._ended(submission)
        else:
            self._handle(submission.task, what, content)

    def _started(self, submission: _Submission, host: str, since: float) -> None:
        submission.starts += 1
        if submission.starts == 1:
            self.listen(Event("start", submission.task))
        elif not self._died(submission.task, _lost(submission)):  # Dask restarted it, because it lost the worker
            del self.submitted[submission.task.id]
            self.client.cancel([submission.future])
        submission.host, submission.since = host, since

    def _ended(self, submission: _Submission) -> None:
        task = submission.task
        if submission.future.cancelled():
            self.submitted.clear()
            self._stop(task, f"the scheduler {self.address} is gone, or was told to forget its tasks")
            return
        try:
            what, content = submission.future.result(timeout=FETCH_SECONDS)
        except TimeoutError:
            self.client.cancel([submission.future])
            self.waiting[task.id] = task
        except KilledWorker:
            if submission.starts:
                self._handle(task, "died", _lost(submission))
            else:  # its workers were killed by other tasks
                self.waiting[task.id] = task
        except Exception as error:  # noqa: BLE001 - what keeps a worker from starting is no fault of the task
            said = str(error).partition("\n")[0]
            self._refused(
                task,
                f"a worker cannot begin ({type(error).__name__}: {said}). "
                f"Every worker needs medaug-keras {__version__}, as it is installed here",
            )
        else:
            if what == "refused":
                self._refused(task, content)
                return
            if not submission.starts:  # the end can arrive before the start
                self.listen(Event("start", task))
            self._handle(task, what, content)

    def _refused(self, task: Task, why: str) -> None:
        if not self.summary.stopped:  # once, not for each task
            self._stop(task, why)

    def _stop(self, task: Task, why: str) -> None:
        super()._stop(task, why)
        self._cancel_unstarted()

    def _end_all(self) -> None:
        """Cancel everything; workers check every second whether their task is still wanted."""
        running = [name for name, submission in self.submitted.items() if submission.starts]
        if self.submitted:
            self.client.cancel([submission.future for submission in self.submitted.values()])
        patience = time.monotonic() + 5
        while any(map(self.store.is_claimed, running)) and time.monotonic() < patience:
            time.sleep(0.1)


def _files(task: Task) -> dict[str, Path]:
    """The user's files that a task reads: data that are not simulated, weights, and images that were made elsewhere."""
    data = KINDS[task.local["kind"]].place(task.local)
    found = {"data": data} if data else {}
    beside = task.local.get("beside")
    other = KINDS[beside["kind"]].place(beside) if beside else None
    if other:
        found["data of the further test set"] = other
    weights = task.params.get("settings", {}).get("weights")
    if isinstance(weights, Mapping):
        found["weights"] = Path(weights["file"])
    if "files" in task.params:
        found["images made elsewhere"] = Path(task.params["files"]["path"])
    return found


def _lost(submission: _Submission) -> Death:
    now = time.time()
    run = {"started": round(submission.since, 3), "seconds": round(now - submission.since, 3), "host": submission.host}
    return Death("the cluster lost the worker", True, "", run)


# --- on a Dask worker ------------------------------------------------------------------------------


def make(*, version: str, run: str, results: str, files: Mapping[str, str], task: Mapping[str, Any]) -> tuple[str, Any]:
    """Run a task in a process of this machine.

    `version` is the parent's. `run` is the claim that the parent holds in the results folder, and the topic that it
    subscribes to. `files` are those that the parent sees and the task will read, by what they are.

    Returns what `engine.attempt` returns, ("died", Death), or ("refused", reason) where this worker can run no task.
    """
    worker = get_worker()
    key = worker.get_current_task()
    refusal = _refusal(version, run, Path(results), files)
    if refusal:
        return "refused", f"the worker {worker.address} on {platform.node()} {refusal}"

    todo, store = Task(**task), Store(Path(results))

    def tell(what: str, content: Any) -> None:
        worker.log_event(run, [todo.id, key, what, content])

    tell("start", [platform.node(), time.time()])
    try:
        process = _process_for(todo, store)
    except OSError as error:
        return "refused", f"the worker {worker.address} on {platform.node()} cannot start a process ({error})"
    while _wanted(worker, key):
        what, content = process.next(1)
        if what in ("beat", "ready"):
            continue
        if what == "epoch":
            number, logs = content
            tell("epoch", [number, {name: float(value) for name, value in logs.items()}])
        elif what in ("message", "silent"):
            tell(what, content if what == "message" else f"on {platform.node()}, {content}")
        elif what == "died":
            process.end()
            return what, content
        else:
            _keep_idle(process)
            return what, content
    process.end()
    return "busy", None  # the task was cancelled


def _refusal(version: str, run: str, results: Path, files: Mapping[str, str]) -> str:
    """Why this worker cannot run the task; empty where it can."""
    if version != __version__:
        return f"has medaug-keras {__version__}, but this run has {version}. Install the same version everywhere"
    if not (results / "unfinished" / f"{run}.lock").exists():
        return (
            f"does not see the results folder {results}"
            + (": it has another folder of that name" if results.is_dir() else "")
            + ". Give --results a folder on a file system that all workers share"
        )
    if not Store(results).is_claimed(run):
        return (
            f"sees the results folder {results}, but not the locks of other machines in it. "
            "Give --results a folder on a file system with locks (flock) that hold on all machines"
        )
    for what, path in files.items():
        if not Path(path).exists():
            return f"does not see the {what} {path}. Put them on a file system that all workers share"
    return ""


def _wanted(worker: Any, key: str) -> bool:
    """Whether Dask still wants the task from this worker: neither was cancelled or closed."""
    state = worker.state.tasks.get(key)
    leaves = worker.status in (Status.closing, Status.closed, Status.failed)
    return state is not None and state.state == "executing" and not leaves


_idle: list[Worker] = []  # idle processes of this Dask worker
_idle_lock = threading.Lock()


def _process_for(task: Task, store: Store) -> Worker:
    """A process, idle or new, that has been given the task. Raises OSError where none can be started."""
    with _idle_lock:
        process = _idle.pop() if _idle else None
    if process is not None and process.process.poll() is not None:
        process.end()
        process = None
    if process is None:
        process = Worker()
    process.give(task, store)
    return process


def _keep_idle(process: Worker) -> None:
    """Keep a process for the next task for a while: it has imported Torch and read the data."""
    with _idle_lock:
        _idle.append(process)
    timer = threading.Timer(IDLE_SECONDS, _end_idle, [process])
    timer.daemon = True
    timer.start()


def _end_idle(process: Worker) -> None:
    with _idle_lock:
        if process not in _idle:
            return
        _idle.remove(process)
    process.end()
