"""What is dear is done once: a worker imports Torch once, and where nothing is to do, no process is started."""

import subprocess
import sys

import pytest

from medaug_keras import engine, worker
from medaug_keras.data import phantom_fingerprint
from medaug_keras.store import Store
from studies import PHANTOM, environment, make_up, planned, tiny, written


@pytest.fixture
def started(monkeypatch) -> list[list[str]]:
    """The commands of the processes that were started since."""
    found = []
    start = worker._started
    monkeypatch.setattr(
        worker, "_started", lambda command, **words: (found.append(command), start(command, **words))[1]
    )
    return found


def todo(replicates: int):
    sizes = {split: PHANTOM[split] for split in ("train", "validation", "test")}
    found = {"grey": phantom_fingerprint("phantom-ultrasound", seed=0, **sizes)}
    return planned(tiny(replicates=replicates), found)


def test_a_run_starts_a_worker_once_and_not_for_every_task(started, tmp_path):
    many = todo(4)
    assert len(many.tasks) == 9
    summary = engine.run(many, Store(tmp_path), workers=2, listen=lambda event: None)
    assert len(summary.done) == 9
    assert len(started) == 2


def test_a_run_with_less_to_do_than_workers_starts_only_those_it_needs(started, tmp_path):
    few, store = todo(1), Store(tmp_path)
    *done, last = few.tasks.values()
    for task in done[:1]:
        engine.attempt(task, store, lambda what, content: None)
    for task in done[1:]:
        make_up(store, task)
    summary = engine.run(few, store, workers=8, listen=lambda event: None)
    assert summary.done == [last.id]
    assert len(started) == 1


def test_a_run_of_what_is_done_starts_no_process_and_imports_neither_torch_nor_keras(started, tmp_path):
    many, store = todo(4), Store(tmp_path / "results")
    for task in many.tasks.values():
        make_up(store, task)
    assert engine.run(many, store, workers=2, listen=lambda event: None).done == []
    assert started == []
    written(tmp_path, tiny(replicates=4))
    script = (
        "import sys\n"
        "from unittest import mock\n"
        "from medaug_keras import cli\nfrom medaug_keras.cli import verbs\n"
        "with mock.patch.object(verbs, 'render', return_value=''):\n"  # made-up records have nothing to show
        "    code = cli.main(['tiny.yaml', '--quiet'])\n"
        "print(code, sorted({'keras', 'torch'} & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.stdout == "0 []\n", done.stderr
