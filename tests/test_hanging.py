"""Workers that hang, in native code or because somebody stopped them, and that outlive nothing: real processes."""

import os
import re
import resource
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from medaug_keras import engine, worker
from medaug_keras.data import phantom_fingerprint
from medaug_keras.plan import Plan
from medaug_keras.store import Store
from studies import PHANTOM, PROJECT, alive, children, command, environment, planned, results, tiny, written

RUN = ("tiny.yaml", "--no-site")
SPIN = """
import re
re.match("(a+)+$", "a" * 64 + "b")  # ages, in native code that lets no other thread have its turn
"""
# Python runs a sitecustomize.py on its path when it starts. In a worker, this one spins in the first classifier.
SPINS_ONCE = """
import os, sys
if any(word.endswith("child.py") for word in sys.orig_argv):
    from medaug_keras import tasks
    make, spun = tasks.make, os.environ["SPUN"]
    def make_or_spin(task, *others):
        if task.kind == "classifier" and not os.path.exists(spun):
            open(spun, "w").close()
            import spin
        return make(task, *others)
    tasks.make = make_or_spin
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A parent that waits for seconds, not minutes."""
    monkeypatch.setattr(worker, "SAY_AFTER", 3.0)
    monkeypatch.setattr(worker, "END_AFTER", 6.0)


def plan_of(study: dict[str, Any]) -> Plan:
    sizes = {split: PHANTOM[split] for split in ("train", "validation", "test")}
    return planned(study, {"grey": phantom_fingerprint("phantom-ultrasound", seed=0, **sizes)})


BASELINE = tiny(arms={"baseline": {}})


def test_a_stopped_worker_is_named_and_left_alone_and_goes_on_when_it_may(
    tmp_path: Path, impatient: None, started: Callable[[], list[int]]
):
    plan, store = plan_of(BASELINE), Store(tmp_path / "results")
    events: list[str] = []
    said: list[str] = []

    def listen(event: engine.Event) -> None:
        if event.task.kind != "classifier":
            return
        events.append(event.what)
        (process,) = started()
        if event.what == "epoch":
            os.kill(process, signal.SIGSTOP)
            # until long after a worker that is silent in any other way is ended
            threading.Timer(1.5 * worker.END_AFTER, os.kill, (process, signal.SIGCONT)).start()
        if event.what == "silent":
            said.append(event.text)
            assert re.match(rf"its process {process} has been stopped \(SIGSTOP\) since \d\d:", said[-1])
            assert said[-1].endswith(f"kill -CONT {process} lets it go on")

    summary = engine.run(plan, store, workers=1, listen=listen)
    assert len(said) == 1
    assert summary.done == list(plan.tasks)
    assert events == ["start", "epoch", "silent", "done"]


def test_a_worker_that_spins_in_native_code_is_named_and_ended_and_another_makes_its_task(
    tmp_path: Path, impatient: None, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "spin.py").write_text(SPIN)
    (tmp_path / "sitecustomize.py").write_text(SPINS_ONCE)
    monkeypatch.setenv("SPUN", str(tmp_path / "spun"))
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{PROJECT}")
    plan, store = plan_of(BASELINE), Store(tmp_path / "results")
    events: list[engine.Event] = []
    summary = engine.run(plan, store, workers=1, listen=events.append)
    assert summary.done == list(plan.tasks)
    of_classifier = [event for event in events if event.task.kind == "classifier"]
    assert [event.what for event in of_classifier] == ["start", "silent", "start", "epoch", "done"]
    since = r"\d\d:\d\d:\d\d"
    assert re.fullmatch(
        rf"its process \d+ gives no sign of life since {since}; after 6 s it is ended", of_classifier[1].text
    )
    assert list((store.root / "unfinished").iterdir()) == []


def test_workers_that_hang_while_they_start_end_the_run_with_a_message_that_says_where(
    tmp_path: Path, impatient: None, started: Callable[[], list[int]], monkeypatch: pytest.MonkeyPatch
):
    """Torch spins when it is imported, as a library did that was refused memory."""
    monkeypatch.setattr(worker, "SLOW_AFTER", 2.0)
    monkeypatch.setattr(worker, "READY_WITHIN", 5.0)
    (tmp_path / "torch.py").write_text(SPIN)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{PROJECT}")
    said: list[engine.Event] = []
    summary = engine.run(plan_of(BASELINE), Store(tmp_path / "results"), workers=1, listen=said.append)
    assert [event.what for event in said] == ["silent", "silent"], said
    assert all(re.match(r"waits for a worker: its process \d+ was started at ", event.text) for event in said)
    how = r"the process was not ready after 5 s \(in .*, line \d+\) and was ended, 2 times"
    assert re.match(f"A worker cannot start: {how}\\. Close other programs", summary.stopped)
    assert not summary.failed
    assert started() == []


def news(of: worker.Worker) -> tuple[str, Any]:
    """The first thing that it says, or that is said of it."""
    said = of.next(1)
    while said[0] in ("beat", "silent"):
        said = of.next(1)
    return said


def test_a_hanging_process_is_ended_and_says_where_it_hung(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "torch.py").write_text(f"import os\nopen(f'{{os.getpid()}}.spins', 'w').close()\n{SPIN}")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{PROJECT}")
    monkeypatch.chdir(tmp_path)
    hangs = worker.Worker()
    while not list(tmp_path.glob("*.spins")):
        assert hangs.next(0.1)[0] == "beat"
    monkeypatch.setattr(worker, "READY_WITHIN", 2.0)
    what, death = news(hangs)
    hangs.end()
    assert what == "died"
    assert "was not ready after 2 s (in " in death.how
    assert f'File "{tmp_path}/torch.py", line 5 in <module>' in death.words
    assert not death.killed


def worker_that(does: str, monkeypatch: pytest.MonkeyPatch) -> worker.Worker:
    """A worker whose process runs these lines, with `pipe` to its parent, and imports nothing of ours."""
    lines = "import os, signal, sys\nfrom multiprocessing.connection import Connection\n"
    lines += f"pipe = Connection(int(sys.argv[1]))\n{does}"
    monkeypatch.setattr(worker, "command", lambda what, pipe: [sys.executable, "-c", lines, pipe])
    return worker.Worker(gpu="7")


@pytest.mark.parametrize(("number", "killed"), [(signal.SIGKILL, True), (signal.SIGTERM, False)])
def test_a_death_says_its_signal_and_the_last_lines_and_only_a_kill_may_be_of_memory(number, killed, monkeypatch):
    dies = worker_that(
        f"print('x' * 70_000, *range(50), sep='\\n', flush=True)\nos.kill(os.getpid(), {number})", monkeypatch
    )
    what, death = news(dies)
    dies.end()
    assert (what, death.how, death.killed) == ("died", f"the process ended with signal {number}", killed)
    assert death.words.split() == [str(line) for line in range(30, 50)]
    assert not death.hung


def test_a_worker_has_one_thread_its_gpu_and_no_settings_of_keras_and_leaves_nothing_open(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    monkeypatch.setenv("KERAS_HOME", "/home/me/keras")
    monkeypatch.delenv("MEDAUG_KERAS_HOME", raising=False)
    lives = worker_that("pipe.send(('environment', dict(os.environ)))\nsignal.pause()", monkeypatch)
    what, found = news(lives)
    expected = {
        "OMP_NUM_THREADS": "1",
        "CUDA_VISIBLE_DEVICES": "7",
        "KERAS_BACKEND": "torch",
        "KERAS_HOME": "/dev/null/keras",
        "MEDAUG_KERAS_HOME": "/home/me/keras",
    }
    assert what == "environment"
    assert {name: found.get(name) for name in expected} == expected
    lives.end()
    assert (lives.process.returncode, lives.pipe.closed, lives.log.closed) == (-signal.SIGTERM, True, True)


def test_no_worker_outlives_a_run_that_is_killed_not_even_one_that_hangs_in_native_code(tmp_path: Path):
    written(tmp_path, tiny())
    (tmp_path / "torch.py").write_text(f"import os\nopen(f'{{os.getpid()}}.spins', 'w').close()\n{SPIN}")
    process = subprocess.Popen(
        command(*RUN, "--workers", 2),
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": f"{tmp_path}:{PROJECT}"},
        stderr=subprocess.DEVNULL,
    )
    while len(spinning := [int(path.stem) for path in tmp_path.glob("*.spins")]) < 2:
        assert process.poll() is None
        time.sleep(0.05)
    assert sorted(children(process.pid)) == sorted(spinning)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while alive(spinning) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert alive(spinning) == []


def test_a_worker_whose_parent_is_gone_before_it_can_ask_for_its_death_signal_leaves():
    words = worker.command("worker", "0")
    words[words.index(str(os.getpid()))] = "1"  # as if another had started it, and this process only inherited it
    gone = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, timeout=60)
    assert (gone.returncode, gone.stdout, gone.stderr) == (1, b"", b"")


def test_a_worker_outlives_the_thread_that_asked_for_it():
    """Linux kills a child when the thread ends that started it."""
    started: list[worker.Worker] = []
    thread = threading.Thread(target=lambda: started.append(worker.Worker()))
    thread.start()
    thread.join()
    try:
        assert news(started[0]) == ("ready", None)
    finally:
        started[0].end()


@pytest.mark.parametrize("megabytes", [900, *(pytest.param(n, marks=pytest.mark.slow) for n in (300, 700, 1100))])
def test_a_limit_on_the_memory_of_workers_ends_a_run_in_words_or_leaves_it_whole(
    tmp_path: Path, megabytes: int, monkeypatch: pytest.MonkeyPatch
):
    """Libraries that are refused memory raise, crash or spin; seen at 900 MB: Python's own import, in its locks."""
    monkeypatch.setattr(worker, "READY_WITHIN", 8.0)
    limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes * 2**20,) * 2)  # noqa: E731
    start = worker._started
    monkeypatch.setattr(worker, "_started", lambda words, **more: start(words, preexec_fn=limit, **more))
    plan, store = plan_of(BASELINE), Store(tmp_path / "results")
    summary = engine.run(plan, store, workers=1, listen=lambda event: None)
    made = len(results(store.root))
    assert made == len(summary.done)
    if made < len(plan.tasks):
        assert summary.stopped.startswith("A worker cannot start: the process ") or summary.failed
