"""A result is whole or absent; what was changed afterwards is named and never used."""

import errno
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from medaug_keras.plan import VERSIONS, Plan, Task
from medaug_keras.store import Failure, Store, StoreError, disk_trouble
from studies import PHANTOM, environment, make_up, planned, tiny, whole


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return Store(tmp_path / "results")


@pytest.fixture
def plan() -> Plan:
    return planned(tiny())


@pytest.fixture
def task(plan: Plan) -> Task:
    return next(iter(plan.tasks.values()))


def in_a_process(code: str, *words: object, **options: Any) -> subprocess.Popen[str]:
    """A Python process that has the imports it needs and prints a line when it is ready."""
    head = "import sys, time, os\nfrom pathlib import Path\nfrom medaug_keras.store import Store\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + code, *map(str, words)],
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        **options,
    )


HOLD = """
with Store(Path(sys.argv[1])).claim(sys.argv[2]) as folder:
    (folder / "predictions.npz").write_bytes(b"half")
    print("ready", flush=True)
    time.sleep(60)
"""


# --- whole or absent -------------------------------------------------------------------------------


def test_a_record_comes_back_as_it_was_written(store: Store, task: Task):
    make_up(store, task, seconds=2.5)
    record = store.record(task.id)
    assert (record.kind, record.key, record.params, record.needs) == (task.kind, task.key, task.keyed, task.needs)
    assert record.values == {"number": len(task.id)}
    assert record.run["seconds"] == 2.5
    assert record.folder == store.folder(task.id)
    store.verify(task.id)


def test_a_record_has_the_version_of_its_kind(store: Store, task: Task, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(VERSIONS, task.kind, 7)
    make_up(store, task)
    assert store.record(task.id).version == 7


def test_a_result_gets_its_name_when_its_files_its_record_and_its_folder_are_on_the_disk(
    store: Store, task: Task, monkeypatch: pytest.MonkeyPatch
):
    """After a power cut there is a whole result or none; at last the name itself is on the disk."""
    done: list[tuple[str, str]] = []
    fsync, rename = os.fsync, os.rename

    def noted(handle: int) -> None:
        path = os.readlink(f"/proc/self/fd/{handle}")
        there = sorted(os.listdir(path)) if os.path.isdir(path) else None
        done.append(("kept", path) if there is None else ("kept", f"{path} with {', '.join(there)}"))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", noted)
    monkeypatch.setattr(os, "rename", lambda old, new: (rename(old, new), done.append(("named", str(new))))[0])
    make_up(store, task, files={"a.bin": b"a", "b.bin": b"b"})
    made, target = store.root / "unfinished" / task.id, store.folder(task.id)
    assert done == [
        ("kept", f"{made}/a.bin"),
        ("kept", f"{made}/b.bin"),
        ("kept", f"{made}/record.json"),
        ("kept", f"{made} with a.bin, b.bin, record.json"),
        ("named", str(target)),
        ("kept", f"{store.root} with {task.id}, unfinished"),
    ]


def test_a_result_is_never_replaced_by_another_of_the_same_task(store: Store, task: Task):
    make_up(store, task, files={"made.bin": b"first"})
    with pytest.raises(OSError, match="not empty"), store.claim(task.id) as folder:  # noqa: PT012 - the error must leave the claim
        assert folder is not None
        (folder / "made.bin").write_bytes(b"second")
        store.commit(task, folder, {}, {})
    store.verify(task.id)
    assert (store.folder(task.id) / "made.bin").read_bytes() == b"first"


def test_files_in_folders_have_checksums_too(store: Store, task: Task):
    with store.claim(task.id) as folder:
        assert folder is not None
        (folder / "medmnist").mkdir()
        (folder / "medmnist" / "scores.csv").write_bytes(b"1")
        store.commit(task, folder, {}, {})
    store.verify(task.id)
    (store.folder(task.id) / "medmnist" / "scores.csv").write_bytes(b"2")
    with pytest.raises(StoreError, match=r"scores\.csv was changed"):
        store.verify(task.id)


def test_nothing_has_its_name_before_it_is_whole(store: Store, task: Task):
    with pytest.raises(RuntimeError, match="in the middle"), store.claim(task.id) as folder:  # noqa: PT012 - the error must leave the claim
        assert folder is not None
        (folder / "half.bin").write_bytes(b"half")
        assert not store.folder(task.id).exists()
        raise RuntimeError("in the middle")
    assert not store.is_done(task.id)
    assert list(store.root.rglob("*")) == [store.root / "unfinished"]


def test_a_value_that_is_no_number_is_refused_and_leaves_nothing(store: Store, task: Task):
    with pytest.raises(ValueError, match="JSON compliant"), store.claim(task.id) as folder:  # noqa: PT012
        assert folder is not None
        store.commit(task, folder, {"loss": float("nan")}, {})
    assert not store.folder(task.id).exists()


def test_a_folder_without_a_record_is_no_result_and_gives_way(store: Store, task: Task):
    store.folder(task.id).mkdir(parents=True)
    (store.folder(task.id) / "old.bin").write_bytes(b"old")
    assert not store.is_done(task.id)
    make_up(store, task)
    assert sorted(path.name for path in store.folder(task.id).iterdir()) == ["made.bin", "record.json"]


def test_a_killed_process_leaves_no_result_and_its_claim_ends(store: Store, task: Task):
    process = in_a_process(HOLD, store.root, task.id)
    assert process.stdout is not None
    process.stdout.readline()
    assert store.is_claimed(task.id)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not store.is_claimed(task.id)
    assert not store.is_done(task.id)
    with store.claim(task.id) as folder:
        assert folder is not None
        assert not list(folder.iterdir())


def test_tidying_removes_what_the_dead_left_and_nothing_of_the_living(store: Store, plan: Plan):
    dead, living = list(plan.tasks)[:2]
    process = in_a_process(HOLD, store.root, dead)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    with store.claim(living) as folder:
        assert folder is not None
        store.tidy()
        names = sorted(path.name for path in (store.root / "unfinished").iterdir())
        assert names == [living, f"{living}.lock"]


# --- checkpoints -----------------------------------------------------------------------------------


HOLD_WITH_CHECKPOINT = """
store = Store(Path(sys.argv[1]))
with store.claim(sys.argv[2]) as folder:
    (folder / "predictions.npz").write_bytes(b"half")
    store.checkpoint(sys.argv[2]).write_bytes(b"so far")
    print("ready", flush=True)
    time.sleep(60)
"""


def left(store: Store) -> list[str]:
    return sorted(path.name for path in (store.root / "unfinished").iterdir())


def test_what_a_killed_process_leaves_is_its_checkpoint_and_nothing_else(store: Store, task: Task):
    process = in_a_process(HOLD_WITH_CHECKPOINT, store.root, task.id)
    assert process.stdout is not None
    process.stdout.readline()
    process.kill()
    process.wait()
    for _ in range(2):  # however often a run begins and ends
        store.tidy()
        assert left(store) == [f"{task.id}.checkpoint"]
    with store.claim(task.id) as folder:
        assert folder is not None
        assert not list(folder.iterdir())
        assert store.checkpoint(task.id).read_bytes() == b"so far"


def test_a_finished_task_has_no_checkpoint_and_none_in_its_files(store: Store, task: Task):
    with store.claim(task.id) as folder:
        assert folder is not None
        store.checkpoint(task.id).write_bytes(b"so far")
        store.commit(task, folder, {}, {})
    assert left(store) == []
    assert [path.name for path in store.folder(task.id).iterdir()] == ["record.json"]


def test_tidying_removes_the_checkpoint_of_a_process_that_was_killed_just_after_it_had_finished(
    store: Store, task: Task
):
    make_up(store, task)
    store.checkpoint(task.id).write_bytes(b"so far")
    store.tidy()
    assert left(store) == []


@pytest.mark.parametrize(
    ("error", "stays"),
    [
        (ValueError("an error would only come again"), False),
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), True),
        (KeyboardInterrupt(), True),
    ],
)
def test_an_error_ends_a_checkpoint_and_a_full_disk_or_an_interrupt_does_not(
    error: BaseException, stays: bool, store: Store, task: Task
):
    with pytest.raises(type(error), match=f"^{re.escape(str(error))}$"), store.claim(task.id):  # noqa: PT012 - the error must leave the claim
        store.checkpoint(task.id).write_bytes(b"so far")
        raise error
    assert left(store) == ([f"{task.id}.checkpoint"] if stays else [])


# --- one at a time ---------------------------------------------------------------------------------


def test_a_task_is_held_against_other_processes(store: Store, task: Task):
    process = in_a_process(HOLD, store.root, task.id)
    try:
        assert process.stdout is not None
        process.stdout.readline()
        with store.claim(task.id) as folder:
            assert folder is None
        assert (store.root / "unfinished" / task.id / "predictions.npz").exists()
    finally:
        process.kill()
        process.wait()


def test_many_claimants_never_hold_a_task_together(store: Store, task: Task):
    """The lock file is unlinked by each holder: a claim on the unlinked file must not count."""
    holders, wrong, held = [0], [], [0]
    guard = threading.Lock()

    def compete() -> None:
        for _ in range(200):
            with store.claim(task.id) as folder:
                if folder is None:
                    continue
                with guard:
                    holders[0] += 1
                    held[0] += 1
                    if holders[0] > 1 or list(folder.iterdir()):
                        wrong.append(holders[0])
                (folder / "mine").touch()
                with guard:
                    holders[0] -= 1

    threads = [threading.Thread(target=compete) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong
    assert held[0] > 0


def test_claims_of_different_tasks_do_not_meet(store: Store, plan: Plan):
    one, other = list(plan.tasks)[:2]
    with store.claim(one) as first, store.claim(other) as second:
        assert first is not None
        assert second is not None
        assert first != second


# --- damage ----------------------------------------------------------------------------------------


def edited(**changes: Any) -> Callable[[Path], None]:
    def edit(path: Path) -> None:
        path.write_text(json.dumps(json.loads(path.read_text()) | changes))

    return edit


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "truncated": (lambda path: os.truncate(path, 100), "cannot be read"),
    "empty": (lambda path: os.truncate(path, 0), "cannot be read"),
    "not JSON": (lambda path: path.write_text("values: 1"), "cannot be read"),
    "not text": (lambda path: path.write_bytes(b"\xff\xfe\x00"), "cannot be read"),
    "a list": (lambda path: path.write_text("[1]"), "cannot be read"),
    "a number": (lambda path: path.write_text("1"), "cannot be read"),
    "nested for ever": (lambda path: path.write_text("[" * 200_000), "cannot be read"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "cannot be read"),
    "other format": (edited(format=2), "has format 2, but this version reads 1"),
    "no format": (lambda path: path.write_text("{}"), "has format None"),
    "edited value": (edited(values={"number": 99}), "was changed after it was written"),
    "edited need": (edited(needs={"data": "data-0000000000000000"}), "was changed after it was written"),
    "not a number": (edited(values={"number": float("nan")}), "cannot be read"),
    "no checksum": (edited(sha256=None), "was changed after it was written"),
    "foreign key": (edited(more=1), "was changed after it was written"),
}


@pytest.mark.parametrize("how", DAMAGE)
def test_a_damaged_record_is_named_and_never_used(how: str, store: Store, plan: Plan, task: Task):
    make_up(store, task)
    damage, message = DAMAGE[how]
    damage(store.folder(task.id) / "record.json")
    with pytest.raises(StoreError, match=message) as error:
        store.record(task.id)
    assert str(store.folder(task.id) / "record.json") in str(error.value)
    assert "--repair" in str(error.value)
    outcomes = store.outcomes(plan)
    assert outcomes[task.id].state == "damaged"
    assert outcomes[task.id].record is None
    assert {outcome.state for name, outcome in outcomes.items() if name != task.id} == {"blocked"}


def test_a_record_under_the_name_of_another_task_is_not_used(store: Store, plan: Plan):
    one, other = list(plan.tasks.values())[:2]
    make_up(store, one)
    os.rename(store.folder(one.id), store.folder(other.id))
    with pytest.raises(StoreError, match=f"is the record of {one.id}"):
        store.record(other.id)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b"other"), "was changed after it was written"),
        (lambda path: os.truncate(path, 3), "was changed after it was written"),
        (lambda path: path.unlink(), "cannot be read"),
    ],
)
def test_a_damaged_file_is_found_by_its_checksum(
    damage: Callable[[Path], Any], message: str, store: Store, plan: Plan, task: Task
):
    make_up(store, task)
    damage(store.folder(task.id) / "made.bin")
    with pytest.raises(StoreError, match=rf"made\.bin {message}"):
        store.verify(task.id)
    alone = replace(plan, tasks={task.id: task})
    assert store.outcomes(alone)[task.id].state == "done"
    checked = store.outcomes(alone, check_files=True)[task.id]
    assert (checked.state, checked.record) == ("damaged", None)


def test_repair_sets_aside_what_is_damaged_and_nothing_else(store: Store, plan: Plan):
    good, bad = list(plan.tasks.values())[:2]
    for _ in range(2):  # a second time too: what was set aside first is kept
        for task in (good, bad):
            if not store.is_done(task.id):
                make_up(store, task)
        (store.folder(bad.id) / "made.bin").write_bytes(b"other")
        assert store.repair(good.id) is None
        said = store.repair(bad.id)
        assert said is not None
        assert "made.bin was changed after it was written" in said
        assert store.is_done(good.id)
        assert not store.folder(bad.id).exists()
    assert sorted(path.name for path in (store.root / "damaged").iterdir()) == [f"{bad.id}-1", f"{bad.id}-2"]


def test_repair_leaves_alone_what_another_process_makes(store: Store, task: Task):
    make_up(store, task)
    os.truncate(store.folder(task.id) / "record.json", 5)
    with store.claim(task.id):
        assert store.repair(task.id) is None
    assert store.repair(task.id) is not None


# --- failures --------------------------------------------------------------------------------------


def test_a_failure_is_kept_until_the_task_is_done(store: Store, plan: Plan, task: Task):
    failure = Failure(task.kind, task.key, "ValueError: no", "line 1\nline 2", {"host": "here"}, "again")
    store.fail(task, failure)
    assert store.failure(task.id) == failure
    outcomes = store.outcomes(plan)
    assert (outcomes[task.id].state, outcomes[task.id].reason) == ("failed", "ValueError: no")
    assert {outcome.state for name, outcome in outcomes.items() if name != task.id} == {"blocked"}
    make_up(store, task)
    assert store.failure(task.id) is None
    assert [path.name for path in (store.root / "failures").iterdir()] == []


def test_what_needs_a_blocked_task_is_blocked_and_a_failure_of_its_own_comes_first(store: Store):
    plan = planned(whole(replicates=1, datasets={"small": PHANTOM}))
    data = next(iter(plan.tasks.values()))
    made = next(m for m in plan.generators if m.name == "cvae")
    generator = plan.tasks[made.task]
    store.fail(generator, Failure(generator.kind, generator.key, "E: generator", "", {}))
    arm = {run.task for run in plan.runs if run.arm == "cvae"}  # they need its images, which nobody can make
    outcomes = store.outcomes(plan)
    assert {outcomes[name].state for name in arm} == {"blocked"}
    assert {o.state for name, o in outcomes.items() if plan.tasks[name].kind == "data"} == {"pending"}
    store.fail(data, Failure(data.kind, data.key, "E: data", "", {}))
    outcomes = store.outcomes(plan)
    assert outcomes[generator.id].reason == "E: generator"
    assert {o.state for o in outcomes.values()} == {"failed", "blocked"}


def test_a_failure_with_what_is_no_number_is_refused_and_leaves_nothing(store: Store, task: Task):
    with pytest.raises(ValueError, match="JSON compliant"):
        store.fail(task, Failure(task.kind, task.key, "E", "", {"seconds": float("nan")}))
    assert list((store.root / "failures").iterdir()) == []


@pytest.mark.parametrize("content", ["", "{", "[]", "1", '{"kind": 1}', "[" * 200_000])
def test_an_unreadable_failure_is_still_a_failure(content: str, store: Store, task: Task):
    path = store.root / "failures" / f"{task.id}.json"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    found = store.failure(task.id)
    assert found is not None
    assert "cannot be read" in found.error


def test_outcomes_tell_apart_pending_running_failed_blocked_and_done(store: Store, plan: Plan):
    data, one, other = plan.tasks.values()
    assert {outcome.state for outcome in store.outcomes(plan).values()} == {"pending"}
    with store.claim(data.id):
        assert store.outcomes(plan)[data.id].state == "running"
    make_up(store, data)
    make_up(store, one)
    assert [outcome.state for outcome in store.outcomes(plan).values()] == ["done", "done", "pending"]
    store.fail(other, Failure(other.kind, other.key, "E: no", "", {}))
    with store.claim(other.id):  # tried again
        assert store.outcomes(plan)[other.id].state == "running"
    assert store.outcomes(plan)[other.id].state == "failed"


def test_records_kept_frugally_are_the_records_with_or_without_their_values(store: Store, plan: Plan):
    for task in plan.tasks.values():
        make_up(store, task, seconds=2.5)
    whole, short = store.outcomes(plan), store.outcomes(plan, values=False)
    for name in plan.tasks:
        assert whole[name].record == store.record(name)
        told = short[name].record
        assert told is not None
        run = {word: value for word, value in store.record(name).run.items() if word != "files"}
        assert told == replace(store.record(name), values={}, run=run)
    changed = store.folder(next(iter(plan.tasks))) / "record.json"
    changed.write_text(changed.read_text().replace('"number": ', '"number": 1'))
    assert store.outcomes(plan, values=False)[changed.parent.name].state == "damaged"


# --- a disk that cannot be written to --------------------------------------------------------------


COMMIT = """
from studies import planned, tiny
plan, store = planned(tiny()), Store(Path(sys.argv[1]))
task = next(iter(plan.tasks.values()))
from medaug_keras.store import disk_trouble
try:
    with store.claim(task.id) as folder:
        (folder / "big.bin").write_bytes(bytes(int(sys.argv[2])))
        store.commit(task, folder, {}, {})
except Exception as error:
    print("said:", disk_trouble(error))
"""


@pytest.mark.parametrize("size", [2000, 100], ids=["in a file", "in the record"])
def test_a_disk_that_fills_while_writing_leaves_no_half_result(size: int, store: Store, task: Task):
    """A limit on the size of files stands for the full disk: both refuse the write in the middle."""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200))  # noqa: E731
    process = in_a_process(COMMIT, store.root, size, cwd=Path(__file__).parent, preexec_fn=limit)
    said, _ = process.communicate(timeout=60)
    assert "said: " in said
    assert os.strerror(errno.EFBIG) in said
    assert not store.is_done(task.id)
    assert [path.name for path in store.root.rglob("*")] == ["unfinished"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG])
def test_disk_trouble_is_recognised_behind_the_error_of_closing_the_file(number: int):
    with pytest.raises(ValueError, match="close") as error:  # noqa: PT012 - the second error needs the first
        try:
            raise OSError(number, os.strerror(number), "x.npz")
        finally:
            raise ValueError("cannot close the archive")
    assert disk_trouble(error.value) == f"x.npz: {os.strerror(number)}"


def test_an_error_that_was_put_into_other_words_is_no_trouble_of_the_results():
    with pytest.raises(ValueError, match="fit") as error:  # noqa: PT012 - the second error needs the first
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as first:
            raise ValueError("the download does not fit on the disk") from first
    assert disk_trouble(error.value) is None


@pytest.mark.parametrize(
    "error",
    [ValueError("no"), ValueError(os.strerror(errno.ENOSPC)), FileNotFoundError(errno.ENOENT, "no"), MemoryError()],
)
def test_other_errors_are_no_trouble_of_the_disk(error: Exception):
    assert disk_trouble(error) is None
