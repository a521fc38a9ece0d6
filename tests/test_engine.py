"""Real runs of tiny studies: killed, doubled, on a full disk. What is finished is whole, and the same every time."""

import contextlib
import errno
import json
import os
import random
import re
import resource
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from medaug_keras import engine
from medaug_keras.cli import options, request
from medaug_keras.data import phantom_fingerprint
from medaug_keras.plan import Plan, Task
from medaug_keras.store import Failure, Store
from studies import (
    PHANTOM,
    PROJECT,
    alive,
    children,
    cli,
    command,
    environment,
    make_up,
    planned,
    results,
    start,
    tiny,
    written,
)

STUDY = tiny(
    samplings=["shuffle", "weighted"],
    classifier={"epochs": 2, "batch_size": 16},
    generators={"cvae": {"kind": "cvae", "epochs": 2, "latent_dim": 4, "batch_size": 16}},
    arms={
        "baseline": {},
        "flip": {"augment": [{"layer": "horizontal_flip"}]},
        "cvae": {"add": {"generator": "cvae"}},
        "copies": {"duplicate": {"amount": {"fraction": 0.5}}},
    },
    quality={"enabled": False},
)
TASKS = 1 + 1 + 2 + 4 * 2
RUN = ("tiny.yaml", "--no-site")


def said_done(text: str) -> list[str]:
    """The tasks that a run says it has made."""
    return re.findall(r"^\[ *\d+/\d+\] (.*): done in ", text, re.MULTILINE)


def until(process: subprocess.Popen[str], done: int) -> str:
    """Read what a run says until it has made so many tasks."""
    text = ""
    assert process.stderr is not None
    while len(said_done(text)) < done:
        line = process.stderr.readline()
        assert line, f"the run ended:\n{text}"
        text += line
    return text


def half_made(folder: Path) -> list[str]:
    return [path.name for path in (folder / "unfinished").iterdir()]


def tiny_plan(study: dict[str, Any]) -> Plan:
    """The plan of a study of one phantom, with its real fingerprint."""
    sizes = {split: PHANTOM[split] for split in ("train", "validation", "test")}
    return planned(study, {"grey": phantom_fingerprint("phantom-ultrasound", seed=0, **sizes)})


def planned_here(folder: Path) -> list[Task]:
    """The tasks of tiny.yaml in a folder, as the command line plans them."""
    asked = options.parser().parse_args(["plan", str(folder / "tiny.yaml")])
    return list(request.planned(asked)[1].tasks.values())


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The results of a run with two workers that nobody disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    written(folder, STUDY)
    run = cli(*RUN, "--workers", 2, cwd=folder)
    assert run.returncode == 0, run.stderr
    assert len(said_done(run.stderr)) == TASKS
    assert half_made(folder / "results") == []
    found = results(folder / "results")
    assert len(found) == TASKS
    return found


# --- the parent is killed --------------------------------------------------------------------------


def test_a_run_goes_on_after_every_way_to_end_it_and_its_results_are_those_of_an_undisturbed_run(
    undisturbed: dict[str, Any], tmp_path: Path
):
    """Ended three times, then finished by two runs at once, each with one worker."""
    written(tmp_path, STUDY)
    folder, finished = tmp_path / "results", 0
    for signal_number, done in ((signal.SIGINT, 2), (signal.SIGTERM, 0), (signal.SIGKILL, 2)):
        before = {path: path.stat().st_mtime_ns for path in folder.glob("*-*/*")}
        process = start(*RUN, "--workers", 1, cwd=tmp_path)
        assert process.stderr is not None
        assert process.stderr.readline().endswith(f"{TASKS} tasks, {finished} done already\n")
        until(process, done)
        time.sleep(0.3)  # in the middle of a task, or of a worker's start
        workers = children(process.pid)
        assert workers
        process.send_signal(signal_number)
        rest = process.communicate(timeout=60)[1]
        deadline = time.monotonic() + 10
        while alive(workers) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert alive(workers) == [], "a worker outlived its run"
        if signal_number != signal.SIGKILL:
            assert process.returncode == 130
            assert rest.splitlines()[-1].startswith("Interrupted after")
            assert "the same command goes on" in rest
            assert half_made(folder) == []
        assert "Traceback" not in rest
        assert not list(folder.glob("failures/*"))
        finished = len(results(folder))  # verifies every checksum
        assert {path: path.stat().st_mtime_ns for path in before} == before

    assert 4 <= finished < TASKS
    runs = [start(*RUN, "--workers", 1, "--docs", f"docs{number}", cwd=tmp_path) for number in range(2)]
    texts = [run.communicate(timeout=900)[1] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], texts
    made = [said_done(text) for text in texts]
    assert len(made[0]) + len(made[1]) == TASKS - finished, "two runs at once make nothing twice"
    assert not set(made[0]) & set(made[1])
    assert half_made(folder) == []
    assert results(folder) == undisturbed


def killed_at_random(
    folder: Path, study: tuple[str, ...], kills: int, draw: random.Random, log: Callable[[str], None], life: float
) -> None:
    """Run a study to its end through so many kills of the run or of one of its processes, at random moments.

    No process lives longer than `life` seconds before one is killed.
    """
    command = (*study, "--no-site", "--workers", 2, "--results", folder / "results", "--docs", folder / "docs")
    for number in range(kills):
        process = start(*command, cwd=PROJECT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(draw.uniform(1, life))
        workers = children(process.pid)
        victim = draw.choice([process.pid, *workers])
        what = "the run" if victim == process.pid else role(victim)
        with contextlib.suppress(ProcessLookupError):
            os.kill(victim, signal.SIGKILL)
        if victim != process.pid:  # sometimes there is time to begin its task again
            alone = draw.choice([draw.uniform(0, 3), draw.uniform(life / 2, life)])
            what += f", and the run {alone:.0f} s later"
            time.sleep(alone)
            process.kill()
        process.wait()
        time.sleep(1)
        log(f"kill {number + 1}: {what}; {len(results(folder / 'results'))} tasks are done")
    end = cli(*command, cwd=PROJECT, timeout=1800)
    assert end.returncode == 0, end.stderr


def role(process: int) -> str:
    """What a process of a run is for."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_text()
    except OSError:
        return "a process that had ended"
    roles = {"worker": "a worker", "report": "the report"}
    return next((name for word, name in roles.items() if f"\0{word}\0" in words), "a process of it")


@pytest.mark.slow
def test_the_demo_study_survives_20_random_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    seed = int(os.environ.get("KILL_SEED", random.randrange(10**6)))

    def log(line: str) -> None:
        with capsys.disabled():
            print(line, flush=True)

    log(f"\nKILL_SEED={seed}")
    # few epochs, so that a run lives long enough to finish tasks
    few = {"classifier": 3, "generators.cvae": 2, "generators.jvae": 2, "generators.cgan": 2, "generators.flow": 2}
    short = [*(f"{name}.epochs={n}" for name, n in few.items()), "generators.flow.images=960"]
    demo = ("studies/demo.yaml", *(word for setting in short for word in ("--set", setting)))
    calm = ("--no-site", "--results", tmp_path / "calm" / "results", "--docs", tmp_path / "calm" / "docs")
    began = time.monotonic()
    run = subprocess.run(command(*demo, *calm), cwd=PROJECT, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    life = 8 + (time.monotonic() - began) / 20  # a run begins in some 6 s, so that most kills fall into work
    killed_at_random(tmp_path / "killed", demo, 20, random.Random(seed), log, life)
    assert results(tmp_path / "killed" / "results") == results(tmp_path / "calm" / "results")


# --- a worker is killed ----------------------------------------------------------------------------


def test_a_dead_worker_costs_its_own_task_which_is_tried_once_more(tmp_path: Path, started: Callable[[], list[int]]):
    """Killed while it is idle, in the middle of a task, and whenever it gets one task."""
    plan, store = tiny_plan(tiny()), Store(tmp_path / "results")
    data, once, always = plan.tasks
    events: list[tuple[str, str]] = []

    def kill(event: engine.Event) -> None:
        events.append((event.what, event.task.id))
        first = events.count((event.what, event.task.id)) == 1
        if ((event.what, event.task.id) in (("done", data), ("epoch", once)) and first) or (
            (event.what, event.task.id) == ("start", always)
        ):
            for child in started():
                os.kill(child, signal.SIGKILL)
            while started():
                time.sleep(0.01)

    summary = engine.run(plan, store, workers=1, listen=kill, command="python -m medaug_keras tiny.yaml")
    assert events.count(("start", data)) == 1, "a worker that dies while idle costs nothing"
    assert events.count(("start", once)) == 2
    assert events.count(("start", always)) == 2
    assert summary.done == [data, once]
    assert list(summary.failed) == [always]
    failure = store.failure(always)
    assert failure is not None
    assert failure.error == (
        "WorkerDied: the process ended with signal 9, 2 times; the machine may have run out of memory"
    )
    assert failure.again == f"python -m medaug_keras tiny.yaml --only task={always}"
    assert failure.run["host"]
    assert half_made(store.root) == []
    assert started() == []


# --- a training goes on ----------------------------------------------------------------------------

TRAINING = tiny(
    classifier={"epochs": 7, "batch_size": 16},
    generators={"cvae": {"kind": "cvae", "epochs": 7, "latent_dim": 4, "batch_size": 16, "patience": None}},
    arms={"baseline": {}, "cvae": {"add": {"generator": "cvae"}}},
)

KILLING = """
import json, os, signal, sys
from pathlib import Path
from medaug_keras import engine
from medaug_keras.store import Store
from studies import children
from test_engine import training_plan

kills = [("epoch", "usefulness", 3)]

def listen(event):
    print(json.dumps([event.what, event.task.kind, event.epoch, event.text]), flush=True)
    if (event.what, event.task.kind, event.epoch) in kills:
        kills.clear()
        for child in children(os.getpid()):
            os.kill(child, signal.SIGKILL)

engine.run(training_plan(), Store(Path(sys.argv[1])), workers=1, listen=listen)
"""

# Python runs a sitecustomize.py on its path when it starts. In workers, this one has a checkpoint written every epoch.
IN_WORKERS = """
import sys
if any(word.endswith("child.py") for word in sys.orig_argv):
"""
CAREFUL = (
    IN_WORKERS
    + """
    from medaug_keras.training import checkpoints
    checkpoints.EVERY = 0
"""
)


def training_plan() -> Plan:
    return tiny_plan(TRAINING)


def test_a_training_that_is_killed_goes_on_from_its_last_epoch_and_its_record_is_the_same(tmp_path: Path):
    """The run is killed while a generator is trained; then a worker, in the classifier of a usefulness task."""
    (tmp_path / "sitecustomize.py").write_text(CAREFUL)
    words = [sys.executable, "-c", KILLING, str(tmp_path / "killed")]
    folders = {"PYTHONPATH": os.pathsep.join(map(str, (tmp_path, PROJECT, PROJECT / "tests")))}

    def begun() -> subprocess.Popen[str]:
        return subprocess.Popen(words, env=environment() | folders, stdout=subprocess.PIPE, text=True)

    first = begun()
    assert first.stdout is not None
    while json.loads(first.stdout.readline())[:3] != ["epoch", "generator", 3]:
        pass
    workers = children(first.pid)
    first.kill()
    first.communicate()
    deadline = time.monotonic() + 10
    while alive(workers) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert any(name.endswith(".checkpoint") for name in half_made(tmp_path / "killed"))

    events = [json.loads(line) for line in begun().communicate(timeout=300)[0].splitlines()]
    epochs = {
        kind: [epoch for what, task, epoch, _ in events if (what, task) == ("epoch", kind)]
        for kind in ("generator", "usefulness")
    }
    again = epochs["generator"][0]
    assert again >= 3
    assert epochs["generator"] == list(range(again, 8))
    assert epochs["usefulness"].count(1) == epochs["usefulness"].count(2) == 1
    assert epochs["usefulness"][-1] == 7
    assert [text for what, _, _, text in events if what == "message"] == ["resumes from its checkpoint"] * 2
    assert half_made(tmp_path / "killed") == []
    killed = Store(tmp_path / "killed")
    records = [killed.record(name) for name in training_plan().tasks]
    resumed = [record for record in records if "earlier" in record.run]
    assert [record.kind for record in resumed] == ["generator", "usefulness"]
    assert all(record.spent == record.run["seconds"] + record.run["earlier"] for record in resumed)
    assert min(record.run["earlier"] for record in resumed) > 0

    calm = Store(tmp_path / "calm")
    for task in training_plan().tasks.values():
        assert engine.attempt(task, calm, lambda *words: None)[0] == "done"
    assert results(tmp_path / "killed") == results(tmp_path / "calm")


# --- tasks that fail -------------------------------------------------------------------------------


def test_one_failure_blocks_what_needs_it_and_nothing_else(tmp_path: Path):
    (tmp_path / "mine.npz").write_bytes(b"PK\x03\x04 this was an archive once")
    bad = {"kind": "cvae", "epochs": 2, "latent_dim": 4, "batch_size": 16, "optimizer": {"learning_rate": 1e30}}
    written(
        tmp_path,
        tiny(
            datasets={"grey": PHANTOM, "mine": {"kind": "npz", "path": "mine.npz"}},
            generators={"cvae": bad},
            arms={"baseline": {}, "cvae": {"add": {"generator": "cvae"}}},
        ),
    )
    run = cli(*RUN, "--workers", 1, cwd=tmp_path)
    assert run.returncode == 1, run.stderr
    assert "Traceback" not in run.stderr + run.stdout
    plan = json.loads(cli("plan", "tiny.yaml", "--json", cwd=tmp_path).stdout)["plan"]
    assert {task["title"]: task["state"] for task in plan} == {
        "grey: data": "done",
        "mine: data": "failed",
        "grey: generator cvae, replicate 0": "failed",
        "mine: generator cvae, replicate 0": "blocked",
        "grey: images for arm cvae, replicate 0": "blocked",
        "mine: images for arm cvae, replicate 0": "blocked",
        "grey: baseline, shuffle, replicate 0": "done",
        "mine: baseline, shuffle, replicate 0": "blocked",
        "grey: cvae, shuffle, replicate 0": "blocked",
        "mine: cvae, shuffle, replicate 0": "blocked",
        "grey: quality of cvae's images, replicate 0": "blocked",
        "mine: quality of cvae's images, replicate 0": "blocked",
        "grey: usefulness of cvae's images, replicate 0": "blocked",
        "mine: usefulness of cvae's images, replicate 0": "blocked",
    }
    store = Store(tmp_path / "results")
    failed = {task["title"]: store.failure(task["task"]) for task in plan if task["state"] == "failed"}
    diverged, unreadable = failed["grey: generator cvae, replicate 0"], failed["mine: data"]
    assert diverged is not None
    assert diverged.error.startswith("DivergedError: ")
    assert "loop.py" in diverged.details
    assert "DivergedError: " in diverged.details.splitlines()[-1]
    assert unreadable is not None
    assert unreadable.error.startswith("DataError: ")
    assert "mine.npz" in unreadable.error
    assert f"alone: {diverged.again}" in run.stdout

    words = shlex.split(diverged.again)
    assert words[:4] == ["python", "-m", "medaug_keras", "tiny.yaml"]
    alone = json.loads(cli("plan", *words[3:], "--json", cwd=tmp_path).stdout)["plan"]
    assert [task["title"] for task in alone] == ["grey: data", "grey: generator cvae, replicate 0"]


@pytest.fixture
def half_done(tmp_path: Path) -> tuple[Plan, Store, Task]:
    """A tiny study whose data task is finished, and a classifier that needs it."""
    plan, store = planned(tiny()), Store(tmp_path / "results")
    data, task, _ = plan.tasks.values()
    make_up(store, data)
    return plan, store, task


def made_by(monkeypatch: pytest.MonkeyPatch, make: Callable[..., Any]) -> None:
    from medaug_keras import tasks

    monkeypatch.setattr(tasks, "make", make)


def test_a_failure_says_what_where_and_the_last_lines(half_done, monkeypatch: pytest.MonkeyPatch):
    def deep_inside(*words: Any) -> None:
        raise RuntimeError("the image is upside down")

    _, store, task = half_done
    made_by(monkeypatch, deep_inside)
    what, failure = engine.attempt(task, store, lambda *words: None)
    assert what == "failed"
    assert failure.error == "RuntimeError: the image is upside down"
    assert "in deep_inside" in failure.details
    assert failure.details.splitlines()[-1] == "RuntimeError: the image is upside down"
    assert failure.run["host"]
    assert half_made(store.root) == []


def test_running_out_of_memory_is_a_failure_of_that_task(half_done, monkeypatch: pytest.MonkeyPatch):
    def greedy(*words: Any) -> None:
        bytearray(2**62)

    _, store, task = half_done
    made_by(monkeypatch, greedy)
    what, failure = engine.attempt(task, store, lambda *words: None)
    assert (what, failure.error.split(":")[0]) == ("failed", "MemoryError")


def test_a_full_disk_is_no_failure_of_a_task(half_done, monkeypatch: pytest.MonkeyPatch):
    def fill(task: Task, store: Store, out: Path, tell: Any) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(out / "x.npz"))

    _, store, task = half_done
    made_by(monkeypatch, fill)
    what, why = engine.attempt(task, store, lambda *words: None)
    assert what == "stop"
    assert why.endswith("x.npz: No space left on device")
    assert store.failure(task.id) is None


def test_what_a_task_needs_is_checked_before_it_is_used(half_done, monkeypatch: pytest.MonkeyPatch):
    _, store, task = half_done
    made_by(monkeypatch, lambda *words: pytest.fail("made from damaged files"))
    (store.folder(task.needs["data"]) / "made.bin").write_bytes(b"other")
    what, failure = engine.attempt(task, store, lambda *words: None)
    assert what == "failed"
    assert "made.bin was changed after it was written" in failure.error
    assert "--repair" in failure.error


def test_what_another_run_makes_or_has_made_is_not_made_again(half_done, monkeypatch: pytest.MonkeyPatch):
    _, store, task = half_done
    made_by(monkeypatch, lambda *words: pytest.fail("made twice"))
    with store.claim(task.id):
        assert engine.attempt(task, store, lambda *words: None) == ("busy", None)
    make_up(store, task)
    assert engine.attempt(task, store, lambda *words: None) == ("found", None)


def test_a_damaged_result_counts_as_failed_and_repair_makes_it_anew(tmp_path: Path):
    written(tmp_path, tiny(arms={"baseline": {}}))
    store, task = Store(tmp_path / "results"), planned_here(tmp_path)[0]
    make_up(store, task)
    (store.folder(task.id) / "record.json").write_text("{}")
    run = cli(*RUN, cwd=tmp_path)
    assert run.returncode == 1
    assert f"{task.id}/record.json has format None" in run.stderr
    assert "--repair" in run.stderr
    run = cli(*RUN, "--repair", "--workers", 1, cwd=tmp_path)
    assert run.returncode == 0, run.stderr
    assert f"It is in results/damaged/{task.id}-1 now" in run.stderr
    assert len(said_done(run.stderr)) == 2


# --- a machine that refuses ------------------------------------------------------------------------


def test_a_disk_that_fills_ends_the_run_with_one_clear_message(tmp_path: Path):
    """A limit on the size of files stands for the full disk."""
    written(tmp_path, tiny())
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))  # noqa: E731
    run = cli(*RUN, "--workers", 1, cwd=tmp_path, preexec_fn=limit)
    assert run.returncode == 1, run.stderr
    assert "Stopped after" in run.stderr
    assert "File too large" in run.stderr
    assert "the same command goes on" in run.stderr
    assert "Traceback" not in run.stderr
    assert half_made(tmp_path / "results") == []
    assert not list((tmp_path / "results").glob("failures/*"))
    assert all(name.startswith("data-") for name in results(tmp_path / "results"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A results folder on a file system of its own with room for 200 kB."""
    folder = tmp_path / "results"
    folder.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=200k", "tmpfs", folder], capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_small_disk_ends_the_run_with_one_clear_message(small_disk: Path, tmp_path: Path):
    written(tmp_path, tiny())
    run = cli(*RUN, "--workers", 1, cwd=tmp_path)
    assert run.returncode == 1, run.stderr
    assert "No space left on device" in run.stderr
    assert "Traceback" not in run.stderr
    assert half_made(small_disk) == []
    assert all(name.startswith("data-") for name in results(small_disk))


def test_a_read_only_results_folder_is_said_before_any_work(small_disk: Path, tmp_path: Path):
    written(tmp_path, tiny(arms={"baseline": {}}))
    tasks = planned_here(tmp_path)
    make_up(Store(small_disk), tasks[0])
    remount = ["mount", "-o", "remount,ro", str(small_disk)]
    subprocess.run(remount, check=True)
    run = cli(*RUN, cwd=tmp_path)
    assert run.returncode == 2
    assert run.stderr == "--results results: nothing can be written here (Read-only file system)\n"
    assert cli("plan", "tiny.yaml", cwd=tmp_path).returncode == 0


def test_a_machine_that_refuses_every_process_ends_the_run_with_a_message(tmp_path: Path, monkeypatch):
    def refuse(*words: Any) -> None:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(engine, "Worker", refuse)
    plan = planned(tiny())
    summary = engine.run(plan, Store(tmp_path / "results"), workers=2, listen=lambda event: None)
    assert summary.stopped.startswith("The machine refuses to start a process ([Errno 11]")
    assert not summary.done
    assert not summary.failed


def test_a_machine_that_refuses_some_processes_works_with_the_others(tmp_path: Path, monkeypatch):
    class Few:
        task = None
        made = 0

        def __init__(self, gpu: str | None) -> None:
            self.gpu = gpu
            Few.made += 1
            if Few.made > 2:
                raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(engine, "Worker", Few)
    plan = planned(tiny(replicates=5))
    crew = engine._LocalDispatcher(plan, Store(tmp_path / "results"), 8, lambda event: None, "", ())
    crew.waiting = dict(plan.tasks)
    crew._start_workers()
    crew._start_workers()
    assert len(crew.workers) == crew.size == 2
    assert len(crew.summary.notes) == 1
    assert "the run had 2 workers" in crew.summary.notes[0]


def test_a_failure_that_cannot_be_recorded_ends_the_run(tmp_path: Path, monkeypatch):
    plan, store = planned(tiny()), Store(tmp_path / "results")
    crew = engine._LocalDispatcher(plan, store, 1, lambda event: None, "", ())

    def refuse(*words: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(store, "fail", refuse)
    task = next(iter(plan.tasks.values()))
    crew._failed(task, Failure(task.kind, task.key, "ValueError: no", "", {}))
    assert crew.summary.failed == {task.id: "ValueError: no"}
    assert "Read-only file system" in crew.summary.stopped
