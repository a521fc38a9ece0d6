"""Tiny studies on a real Dask cluster of this machine. Workers are killed, lost and wrong, and no number changes."""

import importlib
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import medaug_keras
from medaug_keras import cli, cluster, engine
from medaug_keras.data import phantom_fingerprint
from medaug_keras.plan import Plan, Source, plan
from medaug_keras.spec import Study
from medaug_keras.store import Store
from studies import PHANTOM, PROJECT, alive, children, planned, results, start, tiny, whole, written

BYTES = phantom_fingerprint("phantom-ultrasound", seed=0, **{s: PHANTOM[s] for s in ("train", "validation", "test")})
TINY, LONG = tiny(arms={"baseline": {}}), tiny(classifier={"epochs": 20, "batch_size": 16})


class Machines:
    """A scheduler and workers, each a process as users start them."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.processes: dict[str, subprocess.Popen[bytes]] = {}
        place = ("--host", "127.0.0.1", "--port", "0", "--dashboard-address", "127.0.0.1:0")
        self.start("scheduler", *place, "--scheduler-file", str(self.file))
        patience = time.monotonic() + 60
        while not (self.file.exists() and self.file.read_text().endswith("}")) and time.monotonic() < patience:
            time.sleep(0.1)

    def start(self, role: str, *words: str, name: str = "scheduler") -> None:
        with open(self.folder / f"{name}.log", "wb") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, "-m", "dask", role, *words],
                cwd=self.folder,
                env={**os.environ, "PYTHONPATH": str(PROJECT)},
                stdout=log,
                stderr=log,
            )

    def worker(self, name: str, *words: str) -> None:
        place = ("--scheduler-file", str(self.file), "--local-directory", str(self.folder), "--no-dashboard")
        self.start("worker", *place, "--name", name, "--nthreads", "1", *words, name=name)

    def client(self) -> cluster.Client:
        return cluster.connect(str(self.file))

    def ready(self, *names: str) -> None:
        """Wait for the workers of these names."""
        patience = time.monotonic() + 60
        with self.client() as client:
            while not set(names) <= {worker["name"] for worker in cluster.workers(client)}:
                assert time.monotonic() < patience
                time.sleep(0.1)

    def end(self) -> None:
        """Workers first: one that is told to end by its scheduler and by a signal at once may not end at all."""
        for names in (self.processes.keys() - {"scheduler"}, {"scheduler"}):
            for name in names:
                self.processes[name].terminate()
            for name in names:
                try:
                    self.processes[name].wait(20)
                except subprocess.TimeoutExpired:
                    self.processes[name].kill()
                    self.processes[name].wait()


@pytest.fixture(scope="module")
def machines(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machines]:
    made = Machines(tmp_path_factory.mktemp("cluster"))
    made.worker("plain", "--no-nanny")
    made.worker("nursed")  # by a nanny, as is Dask's default
    made.ready("plain", "nursed")
    yield made
    made.end()


def plan_of(study: dict[str, Any]) -> Plan:
    return planned(study, {"grey": BYTES})


def busy_worker(client: cluster.Client, task: str) -> str:
    """The name of the Dask worker that has a task, empty where it has just ended."""
    return client.run_on_scheduler(
        lambda dask_scheduler: next(
            (
                state.processing_on.name
                for key, state in dask_scheduler.tasks.items()
                if key.startswith(task) and state.processing_on
            ),
            "",
        )
    )


def addresses(client: cluster.Client) -> set[str]:
    """Of the cluster's workers; one that died and was started again has another."""
    return client.run_on_scheduler(lambda dask_scheduler: set(dask_scheduler.workers))


def hand(process: int) -> int:
    """The process under a Dask worker that makes its task."""
    (found,) = [child for child in children(process) if b"/child.py" in Path(f"/proc/{child}/cmdline").read_bytes()]
    return found


# --- what is made, and what is lost ----------------------------------------------------------------


def test_code_of_the_user_s_own_runs_where_its_file_is_not_and_only_if_it_is_allowed_and_rates_are_tuned_there(
    machines: Machines, tmp_path: Path
):
    net = (
        "import keras\ndef net(image_shape, num_outputs):\n    return keras.Sequential("
        "[keras.Input(image_shape), keras.layers.Flatten(), keras.layers.Dense(num_outputs)])"
    )
    step = "def darker():\n    return lambda images, rng: images / 2"
    own = {"kind": "python", "builder": "my_models:net", "epochs": 1, "batch_size": 16}
    own["tune"] = {"learning_rate": [0.1, 0.001], "seeds": 1}
    arms = {"baseline": {"augment": [{"layer": "python", "builder": "my_steps:darker"}]}}
    study = Study.model_validate_json(json.dumps(tiny(classifier=own, arms=arms))).with_code(
        {"my_models:net": net, "my_steps:darker": step}
    )
    for allowed in (False, True):
        todo = plan(study, {"grey": Source(BYTES, 48, 16, 16)}, allow_code=allowed)
        store = Store(tmp_path / "results")
        summary = cluster.run(todo, store, client=machines.client(), listen=lambda event: None)
        assert sorted(map(store.is_done, todo.tasks)) == [allowed] * 3 + [True]  # the data are read all the same
        assert ["--allow-code" in why for why in summary.failed.values()] == [True] * (0 if allowed else 2)
    (run,) = todo.runs
    assert store.record(run.task).values["tuned"]["learning_rate"] in (0.1, 0.001)


def test_records_are_those_of_a_local_run_though_a_worker_is_killed_in_mid_task(machines: Machines, tmp_path: Path):
    plan = plan_of(LONG)
    here = engine.run(plan, Store(tmp_path / "here"), workers=1, listen=lambda event: None)
    store, client = Store(tmp_path / "there"), machines.client()
    killed: list[str] = []

    def listen(event: engine.Event) -> None:
        if event.what == "epoch" and not killed and busy_worker(client, event.task.id) == "plain":
            killed.append(event.task.id)
            own = children(machines.processes["plain"].pid)
            assert own
            machines.processes["plain"].send_signal(signal.SIGKILL)
            time.sleep(1)
            assert alive(own) == [], "a process outlived its worker"
            assert not store.is_done(event.task.id)

    summary = cluster.run(plan, store, client=client, listen=listen)
    assert len(killed) == 1
    assert sorted(summary.done) == sorted(here.done) == sorted(plan.tasks)
    assert results(store.root) == results(tmp_path / "here")
    assert nothing_half_made(store)


def nothing_half_made(store: Store) -> bool:
    return list((store.root / "unfinished").iterdir()) == []


def test_an_interrupted_run_ends_its_tasks_and_a_dead_process_costs_its_task_one_attempt(
    machines: Machines, tmp_path: Path
):
    plan, store = plan_of(LONG).only({"arm": ["flip"]}), Store(tmp_path / "results")
    data, task = plan.tasks

    def interrupt(event: engine.Event) -> None:
        if event.what == "epoch":
            raise KeyboardInterrupt

    summary = cluster.run(plan, store, client=machines.client(), listen=interrupt)
    assert summary.interrupted
    assert summary.done == [data]
    assert nothing_half_made(store)

    client, starts = machines.client(), []
    before = addresses(client)

    def kill(event: engine.Event) -> None:
        if event.what == "start":
            starts.append(event.task.id)
        if event.what == "epoch" and len(starts) == 1 and (busy := busy_worker(client, task)):
            starts.append("killed")
            os.kill(hand(machines.processes[busy].pid), signal.SIGKILL)

    summary = cluster.run(plan, store, client=client, listen=kill)
    assert starts == [task, "killed", task]
    assert summary.done == [task]
    assert summary.already == [data]
    with machines.client() as client:
        assert addresses(client) == before, "a Dask worker outlives the process of its task"


def test_only_what_trains_asks_for_a_gpu_and_only_where_a_worker_has_one(machines: Machines, tmp_path: Path):
    plan, asked = plan_of(TINY), {}

    def listen(event: engine.Event) -> None:
        if event.what == "start":
            asked[event.task.kind] = client.run_on_scheduler(
                lambda dask_scheduler: [
                    dict(task.resource_restrictions or {}) for task in dask_scheduler.tasks.values()
                ]
            )

    client = machines.client()
    cluster.run(plan, Store(tmp_path / "none"), client=client, listen=listen)
    assert asked == {"data": [{}], "classifier": [{}]}
    machines.worker("gpu", "--resources", "GPU=1")
    machines.ready("gpu")
    client = machines.client()
    cluster.run(plan, Store(tmp_path / "one"), client=client, listen=listen)
    assert asked == {"data": [{}], "classifier": [{"GPU": 1}]}
    assert results(tmp_path / "none") == results(tmp_path / "one")


def test_no_worker_is_overlooked_while_dask_empties_its_notes(machines: Machines):
    async def hurry() -> None:
        timer = client._periodic_callbacks["scheduler-info"]
        timer.stop()
        timer.callback_time = 0.1  # ms
        timer.start()

    with machines.client() as client:
        client.sync(hurry)
        assert any(not client.scheduler_info()["workers"] for _ in range(10_000)), "Dask is mended: ask it as all do"
        assert 0 not in {len(cluster.workers(client)) for _ in range(200)}


# --- what goes wrong -------------------------------------------------------------------------------


def test_an_error_is_not_tried_again_and_blocks_what_needs_it(machines: Machines, tmp_path: Path):
    plan, store, said = planned(TINY, {"grey": "other bytes"}), Store(tmp_path / "results"), []
    data, task = plan.tasks
    summary = cluster.run(
        plan, store, client=machines.client(), listen=lambda e: said.append((e.what, e.task.id)), command="python x"
    )
    assert said == [("start", data), ("failed", data), ("blocked", task)]
    assert summary.blocked == [task]
    failure = store.failure(data)
    assert failure is not None
    assert failure.error.startswith("DataError: grey: the data changed")
    assert failure.again == f"python x --only task={data}"


def test_a_worker_of_another_version_is_one_message_and_no_failure(
    machines: Machines, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(cluster, "__version__", "0.0.1")
    store, said = Store(tmp_path / "results"), []
    plan = planned(tiny(datasets={"grey": PHANTOM, "other": PHANTOM}))
    summary = cluster.run(plan, store, client=machines.client(), listen=lambda event: said.append(event.what))
    assert said == ["stopped"]
    assert not summary.failed
    assert f"has medaug-keras {medaug_keras.__version__}, but this run has 0.0.1" in summary.stopped


def test_a_worker_without_this_software_is_one_message_and_lives_on(machines: Machines, tmp_path: Path):
    name = "medaug_keras.cluster"
    with machines.client() as client:
        client.run(lambda: sys.modules.update({"hidden": importlib.import_module(name), name: None}))
    said: list[str] = []
    plan = planned(tiny(datasets={"grey": PHANTOM, "other": PHANTOM}))
    try:
        summary = cluster.run(
            plan, Store(tmp_path / "results"), client=machines.client(), listen=lambda event: said.append(event.what)
        )
    finally:
        with machines.client() as client:
            client.run(lambda: sys.modules.update({name: sys.modules.pop("hidden")}))
    assert said == ["stopped"]
    assert not summary.failed
    assert "a worker cannot begin (ModuleNotFoundError: " in summary.stopped


def test_a_worker_says_what_it_does_not_see(tmp_path: Path):
    store, other = Store(tmp_path / "results"), tmp_path / "other"
    other.mkdir()

    def refusal(results: Path = store.root, data: Path = other) -> str:
        return cluster._refusal(medaug_keras.__version__, "run-1", results, {"data": str(data)})

    with store.claim("run-1"):
        assert refusal() == ""
        assert f"does not see the data {other}/x.npz" in refusal(data=other / "x.npz")
        assert f"does not see the results folder {other}: it has another" in refusal(other)
        assert refusal(other / "x").startswith(f"does not see the results folder {other}/x. ")
        files = {"data": str(other), "weights": str(other / "x.keras")}
        said = cluster._refusal(medaug_keras.__version__, "run-1", store.root, files)
        assert f"does not see the weights {other}/x.keras" in said
    (store.root / "unfinished" / "run-1.lock").touch()
    assert "but not the locks of other machines" in refusal()


def test_every_task_that_trains_from_a_file_says_so_to_its_worker(tmp_path: Path):
    study = Study.model_validate_json(
        json.dumps(whole(classifier={"tune": {"learning_rate": [0.1, 0.01], "seeds": 1}}))
    )
    named = study.with_weights("/a/b.keras", {"/a/b.keras": "its sum"})
    tasks = plan(named, {name: Source(name, 48, 16, 16) for name in study.datasets}).tasks.values()
    assert {task.kind for task in tasks if cluster._files(task) == {"weights": Path("/a/b.keras")}} == {
        "tuning",
        "classifier",
        "usefulness",
    }


class Deaf:
    """A client whose cluster says nothing by itself."""

    status = "running"

    def __init__(self) -> None:
        self.scheduler = SimpleNamespace(address="tcp://nowhere:1", identity=None)
        self.cancelled: list[str] = []
        self.sent: list[Any] = []

    def subscribe_topic(self, *words: Any) -> None:
        pass

    def sync(self, asked: None, **words: Any) -> dict[str, Any]:
        return {"workers": {}}

    def submit(self, *words: Any, key: str, **others: Any) -> Any:
        self.sent.append(words)
        return SimpleNamespace(key=key, add_done_callback=lambda call: None)

    def cancel(self, futures: list[Any]) -> None:
        self.cancelled += [future.key for future in futures]


def test_a_task_whose_workers_are_lost_twice_has_failed(tmp_path: Path):
    plan, store, said = plan_of(TINY), Store(tmp_path / "results"), []
    client = Deaf()
    run = cluster._ClusterDispatcher(
        plan, store, lambda event: said.append((event.what, event.text)), "", client, "run-1"
    )
    run.waiting = dict(plan.tasks)
    run._assign_ready()
    run._assign_ready()
    (submission,) = run.submitted.values()
    assert b"medaug_keras." not in pickle.dumps(client.sent).replace(cluster.CALL.encode(), b""), "plain values"
    for host in ("a", "b", "c"):
        run._handle_news(submission.task.id, submission.future.key, "start", [host, time.time()])
    why = "WorkerDied: the cluster lost the worker, 2 times; the machine may have run out of memory"
    assert said == [("message", "waits for a worker to join tcp://nowhere:1"), ("start", ""), ("failed", why)]
    assert client.cancelled == [submission.future.key]
    assert not run.submitted
    failure = store.failure(submission.task.id)
    assert failure is not None
    assert failure.run["host"] == "b"


# --- what is asked ---------------------------------------------------------------------------------


@pytest.mark.parametrize("address", ["tcp://127.0.0.1:1", "nonsense://x", "127.0.0.1", "no-such-file.json"])
def test_a_scheduler_that_does_not_answer_is_one_message(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(cluster, "CONNECT_SECONDS", 0.5)
    written(tmp_path, TINY)
    assert cli.main(["tiny.yaml", "--scheduler", address]) == cli.WRONG_REQUEST
    said = capsys.readouterr().err
    assert said.startswith(f"--scheduler {address}: no scheduler answers there (")
    assert said.count("\n") == 1


def test_workers_are_the_clusters_to_say(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    written(tmp_path, TINY)
    assert cli.main(["tiny.yaml", "--scheduler", "tcp://127.0.0.1:1", "--workers", "2"]) == cli.WRONG_REQUEST
    assert "Leave --workers out" in capsys.readouterr().err


def test_without_dask_the_message_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.delitem(sys.modules, "medaug_keras.cluster")
    monkeypatch.delattr("medaug_keras.cluster")
    written(tmp_path, TINY)
    assert cli.main(["tiny.yaml", "--scheduler", "tcp://127.0.0.1:1"]) == cli.WRONG_REQUEST
    assert 'pip install "medaug-keras[cluster]"' in capsys.readouterr().err


def test_a_lost_scheduler_ends_the_run_with_one_message(machines: Machines, tmp_path: Path):
    """The command line, from the scheduler's file."""
    written(tmp_path, tiny(classifier={"epochs": 200, "batch_size": 16}))
    run = start("tiny.yaml", "--no-site", "--scheduler", machines.file, cwd=tmp_path)
    assert run.stderr is not None
    said = [run.stderr.readline() for _ in range(2)]
    assert "grey: data: done" in said[1]
    time.sleep(2)
    own = [process for name in machines.processes for process in children(machines.processes[name].pid)]
    machines.processes["scheduler"].kill()
    said += run.communicate(timeout=60)[1].splitlines()
    assert run.returncode == cli.SOME_FAILED
    assert "is gone, or was told to forget its tasks" in said[-2]
    assert "the same command goes on" in said[-1]
    assert len(said) == 5, said
    deadline = time.monotonic() + 20
    while alive(own) and time.monotonic() < deadline:
        time.sleep(0.2)
    assert alive(own) == [], "a process outlived its cluster"
