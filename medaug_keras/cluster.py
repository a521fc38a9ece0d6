"""Runs the tasks of a plan on a Dask cluster, whose machines share the results folder.

What is made when is the engine's decision; here each ready task becomes one Dask future. On the worker it is made as
everywhere: by a process that does one task at a time with one thread, so that a Dask worker may have many threads, and
outlives a task that runs out of memory. Only tasks, epochs and statuses travel; images and models are files.
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
FETCH_SECONDS = 10.0  # for a status to travel; when its worker was lost in between, the task is asked for again
IDLE_SECONDS = 60.0  # a worker's process without a task leaves after them, and frees its memory
ON_GPU = ("generator", "classifier", "quality")

# Dask carries text and plain values: a worker that cannot load what it is sent closes, and does not say why.
ERRAND = "__import__('medaug_keras.cluster', fromlist=['make']).make(**order)"


class ClusterError(Exception):
    """The cluster cannot be used; the message says why."""


def connect(address: str) -> Client:
    """A cluster by the address of its scheduler, or by the scheduler's file (.json). Raises ClusterError."""
    for name in ("distributed", "distributed.client"):  # their tracebacks; what matters of them is said here
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
    """Tasks that the cluster can make at once, now."""
    return sum(worker["nthreads"] for worker in workers(client))


def workers(client: Client) -> list[Mapping[str, Any]]:
    """What the scheduler knows of each worker now; none where it does not answer.

    Asked of the scheduler itself: `Client.scheduler_info` hands out notes that a timer empties every two seconds, now
    and then just before they are read (distributed 2026.8).
    """
    try:
        return list(client.sync(client.scheduler.identity, n_workers=-1)["workers"].values())
    except OSError:
        return []


def run(plan: Plan, store: Store, *, client: Client, listen: Listener, command: str = "") -> Summary:
    """Make every task of the plan that is not finished, as `engine.run` does. Closes the client."""
    name = f"run-{uuid.uuid4().hex[:12]}"
    with contextlib.closing(client), store.claim(name):  # workers look whether they see this claim
        return _Cluster(plan, store, listen, command, client, name).run()


@dataclass
class _Flight:
    """A task that Dask has, and where it was last started."""

    task: Task
    future: Future
    starts: int = 0
    host: str = ""
    since: float = 0.0


class _Cluster(Dispatcher):
    """All that is ready is given to Dask, which chooses the workers."""

    def __init__(self, plan: Plan, store: Store, listen: Listener, command: str, client: Client, name: str) -> None:
        super().__init__(plan, store, listen, command)
        self.client, self.name = client, name
        self.address = client.scheduler.address
        self.rank = {task: number for number, task in enumerate(plan.tasks)}
        self.flights: dict[str, _Flight] = {}
        self.orders = 0
        self.gpus = False
        self.said_waiting = False
        self.news: queue.SimpleQueue[tuple[str, str, str, Any]] = queue.SimpleQueue()
        client.subscribe_topic(name, lambda event: self.news.put(tuple(event[1])))

    def _hand_out(self) -> None:
        ready = self._ready()
        if not ready:
            return
        if self.client.status != "running":
            self._stop(ready[0], f"the scheduler {self.address} is gone")
            return
        known = workers(self.client)
        if any("GPU" in worker["resources"] for worker in known) and not self.gpus:
            self.gpus = True
            self._recall()
            ready = self._ready()
        if not known:  # one task is enough for a cluster that grows when there is work
            if not self.said_waiting:
                self.listen(Event("message", ready[0], text=f"waits for a worker to join {self.address}"))
            self.said_waiting = True
            ready = [] if self.flights else ready[:1]
        for task in ready:
            self._give(task)

    def _give(self, task: Task) -> None:
        self.orders += 1
        data = _data(task)
        order = {
            "version": __version__,
            "run": self.name,
            "results": str(self.store.root.resolve()),
            "data": str(data) if data and data.exists() else None,
            "task": vars(task),
        }
        future = self.client.submit(
            eval,
            ERRAND,
            {"order": order},
            key=f"{task.id}-{self.name}-{self.orders}",
            resources={"GPU": 1} if self.gpus and task.kind in ON_GPU else None,
            priority=-self.rank[task.id],
            pure=False,
        )
        del self.waiting[task.id]
        self.flights[task.id] = _Flight(task, future)
        future.add_done_callback(lambda ended: self.news.put((task.id, ended.key, "end", None)))

    def _recall(self) -> None:
        """Take back what has not started."""
        back = {name: flight for name, flight in self.flights.items() if not flight.starts}
        if back:
            self.client.cancel([self.flights.pop(name).future for name in back])
        self.waiting = {name: self.plan.tasks[name] for name in self.plan.tasks if name in self.waiting or name in back}

    def _busy(self) -> bool:
        return bool(self.flights)

    def _hear(self, seconds: float | None) -> None:
        with contextlib.suppress(queue.Empty):
            self._take(*self.news.get(timeout=seconds))
            while True:
                self._take(*self.news.get_nowait())

    def _take(self, name: str, key: str, what: str, content: Any) -> None:
        """Take note of one piece of news: what a worker told, or that a future ended."""
        flight = self.flights.get(name)
        if flight is None or flight.future.key != key:  # of an order that was taken back
            return
        if what == "start":
            self._started(flight, *content)
        elif what == "end":
            del self.flights[name]
            self._ended(flight)
        else:
            self._heard(flight.task, what, content)

    def _started(self, flight: _Flight, host: str, since: float) -> None:
        flight.starts += 1
        if flight.starts == 1:
            self.listen(Event("start", flight.task))
        elif not self._died(flight.task, _lost(flight)):  # Dask starts it again, for it has lost the worker
            del self.flights[flight.task.id]
            self.client.cancel([flight.future])
        flight.host, flight.since = host, since

    def _ended(self, flight: _Flight) -> None:
        task = flight.task
        if flight.future.cancelled():
            self.flights.clear()
            self._stop(task, f"the scheduler {self.address} is gone, or was told to forget its tasks")
            return
        try:
            what, content = flight.future.result(timeout=FETCH_SECONDS)
        except TimeoutError:
            self.client.cancel([flight.future])
            self.waiting[task.id] = task
        except KilledWorker:
            if flight.starts:
                self._heard(task, "died", _lost(flight))
            else:  # others brought its workers down
                self.waiting[task.id] = task
        except Exception as error:  # noqa: BLE001 - whatever keeps a worker from beginning, it is no fault of the task
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
            if not flight.starts:  # its end came before the news of its start
                self.listen(Event("start", task))
            self._heard(task, what, content)

    def _refused(self, task: Task, why: str) -> None:
        if not self.summary.stopped:  # said once, not by each task
            self._stop(task, why)

    def _stop(self, task: Task, why: str) -> None:
        super()._stop(task, why)
        self._recall()

    def _dismiss(self) -> None:
        """Workers look every second whether their task is still wanted."""
        running = [name for name, flight in self.flights.items() if flight.starts]
        if self.flights:
            self.client.cancel([flight.future for flight in self.flights.values()])
        patience = time.monotonic() + 5
        while any(map(self.store.is_claimed, running)) and time.monotonic() < patience:
            time.sleep(0.1)


def _data(task: Task) -> Path | None:
    """The file or folder of a task's images, where they are not simulated."""
    return KINDS[task.local["kind"]].place(task.local)


def _lost(flight: _Flight) -> Death:
    now = time.time()
    run = {"started": round(flight.since, 3), "seconds": round(now - flight.since, 3), "host": flight.host}
    return Death("the cluster lost the worker", True, "", run)


# --- on a Dask worker ------------------------------------------------------------------------------


def make(*, version: str, run: str, results: str, data: str | None, task: Mapping[str, Any]) -> tuple[str, Any]:
    """Have a process of this machine make a task.

    `version` is the parent's. `run` is the claim that it holds in the results folder, and the topic under which it
    listens. `data` is a file or folder that it sees and the task will read.

    Returns what `engine.attempt` does, ("died", Death), or ("refused", why) where this worker can make none.
    """
    worker = get_worker()
    key = worker.get_current_task()
    refusal = _refusal(version, run, Path(results), data)
    if refusal:
        return "refused", f"the worker {worker.address} on {platform.node()} {refusal}"

    todo, store = Task(**task), Store(Path(results))

    def tell(what: str, content: Any) -> None:
        worker.log_event(run, [todo.id, key, what, content])

    tell("start", [platform.node(), time.time()])
    try:
        hand = _hand(todo, store)
    except OSError as error:
        return "refused", f"the worker {worker.address} on {platform.node()} cannot start a process ({error})"
    while _wanted(worker, key):
        what, content = hand.next(1)
        if what in ("beat", "ready"):
            continue
        if what == "epoch":
            number, logs = content
            tell("epoch", [number, {name: float(value) for name, value in logs.items()}])
        elif what in ("message", "silent"):
            tell(what, content if what == "message" else f"on {platform.node()}, {content}")
        elif what == "died":
            hand.end()
            return what, content
        else:
            _rest(hand)
            return what, content
    hand.end()
    return "busy", None  # nobody asked any more


def _refusal(version: str, run: str, results: Path, data: str | None) -> str:
    """Why this worker cannot make the task; empty where it can."""
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
    if data is not None and not Path(data).exists():
        return f"does not see the data {data}. Put them on a file system that all workers share"
    return ""


def _wanted(worker: Any, key: str) -> bool:
    """Whether Dask still wants the task of this worker, which is so while the run and the worker go on."""
    state = worker.state.tasks.get(key)
    leaves = worker.status in (Status.closing, Status.closed, Status.failed)
    return state is not None and state.state == "executing" and not leaves


_idle: list[Worker] = []  # processes of this Dask worker that wait for their next task
_door = threading.Lock()


def _hand(task: Task, store: Store) -> Worker:
    """A process that has begun with a task. Raises OSError where the machine refuses to start one."""
    with _door:
        hand = _idle.pop() if _idle else None
    if hand is not None and hand.process.poll() is not None:
        hand.end()
        hand = None
    if hand is None:
        hand = Worker()
    hand.give(task, store)
    return hand


def _rest(hand: Worker) -> None:
    """Keep a process for the next task, for a while: it has imported Torch and read the data."""
    with _door:
        _idle.append(hand)
    timer = threading.Timer(IDLE_SECONDS, _leave, [hand])
    timer.daemon = True
    timer.start()


def _leave(hand: Worker) -> None:
    with _door:
        if hand not in _idle:
            return
        _idle.remove(hand)
    hand.end()
