"""Arrays are shared between processes, not copied; what is large is never copied to a larger type."""

import dataclasses
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import tracemalloc
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch

from medaug_keras import data, engine, tasks
from medaug_keras.plan import Plan, Source, plan
from medaug_keras.spec import Study
from medaug_keras.store import Store
from studies import PHANTOM, environment, planned, results, tiny

FEW = {split: PHANTOM[split] for split in ("train", "validation", "test")}
SIZES = {"train": 40, "validation": 12, "test": 16}
ARRAYS = [f"{split}_{what}.npy" for split in SIZES for what in ("images", "labels")]


def phantom(room: data.Room | None = None) -> data.Dataset:
    return data.load_phantom("phantom-histology", seed=0, room=room, **SIZES)


def test_names_and_groups_are_unpacked_with_their_images(tmp_path: Path):
    def load(room: data.Room | None = None) -> data.Dataset:
        named = dataclasses.replace(phantom().test, ids=("a", "\u00e9", "c", "d") * 4, groups=("p",) * 16)
        return dataclasses.replace(phantom(), test=named, left_out={"rows without a file": 3})

    unpacked = data.unpacked(tmp_path / "set", load)
    assert (unpacked.test.ids, unpacked.test.groups) == (load().test.ids, load().test.groups)
    assert (unpacked.train.ids, unpacked.left_out) == ((), {"rows without a file": 3})


def never(room: data.Room) -> data.Dataset:
    raise AssertionError("it is there already")


def arrays(dataset: data.Dataset) -> list[np.ndarray]:
    return [np.asarray(values) for split in SIZES for values in vars(getattr(dataset, split)).values()]


def same(first: data.Dataset, second: data.Dataset) -> bool:
    pairs = zip(arrays(first), arrays(second), strict=True)
    return first.summary() == second.summary() and all(a.dtype == b.dtype and np.array_equal(a, b) for a, b in pairs)


# --- data sets on disk -----------------------------------------------------------------------------


def test_an_unpacked_data_set_is_the_one_that_was_loaded(tmp_path):
    assert same(data.unpacked(tmp_path / "it", phantom), phantom())
    assert same(data.unpacked(tmp_path / "it", never), phantom())


def test_only_one_of_many_who_ask_loads(tmp_path):
    loads, found = [], []

    def load(room: data.Room | None = None) -> data.Dataset:
        loads.append(threading.get_ident())
        return phantom()

    askers = [threading.Thread(target=lambda: found.append(data.unpacked(tmp_path / "it", load))) for _ in range(8)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert len(loads) == 1
    assert len(found) == 8
    assert all(same(one, found[0]) for one in found)


def test_writing_to_a_mapped_array_changes_neither_the_file_nor_what_others_see(tmp_path):
    mine, other = data.unpacked(tmp_path / "it", phantom), data.unpacked(tmp_path / "it", never)
    mine.train.images[:] = 0
    mine.train.labels[:] = 0
    assert same(other, phantom())
    assert same(data.unpacked(tmp_path / "it", never), phantom())


def test_torch_takes_mapped_images_as_they_are_without_a_warning(tmp_path):
    images = data.unpacked(tmp_path / "it", phantom).train.images
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = torch.from_numpy(images)
    assert tensor.data_ptr() == images.ctypes.data
    np.testing.assert_array_equal(tensor[torch.tensor([3, 1])].numpy(), phantom().train.images[[3, 1]])


def break_off(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 1)


def turn_a_bit(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def append(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b"\0")


@pytest.mark.parametrize("harm", [break_off, turn_a_bit, append, Path.unlink])
@pytest.mark.parametrize("name", ARRAYS)
def test_a_damaged_array_is_never_used(tmp_path, name, harm):
    data.unpacked(tmp_path / "it", phantom)
    harm(tmp_path / "it" / name)
    assert same(data.unpacked(tmp_path / "it", phantom), phantom())
    assert same(data.unpacked(tmp_path / "it", never), phantom())


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", "null", '{"dataset": {}, "files": {}}', '{"dataset": [], "files": []}', "[" * 100_000]
)
def test_a_damaged_description_is_made_anew(tmp_path, text):
    data.unpacked(tmp_path / "it", phantom)
    (tmp_path / "it" / "dataset.json").write_text(text)
    assert same(data.unpacked(tmp_path / "it", phantom), phantom())


def test_an_array_of_objects_is_never_unpickled_even_where_its_checksum_fits(tmp_path):
    class Ran:
        def __reduce__(self):
            return os.mkdir, (str(tmp_path / "ran"),)

    data.unpacked(tmp_path / "it", phantom)
    path, note = tmp_path / "it" / "test_labels.npy", tmp_path / "it" / "dataset.json"
    np.save(path, np.array([Ran()], object), allow_pickle=True)
    content = json.loads(note.read_bytes())
    content["files"][path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    note.write_text(json.dumps(content))
    assert same(data.unpacked(tmp_path / "it", phantom), phantom())
    assert not (tmp_path / "ran").exists()


def test_a_disk_that_does_not_keep_what_is_written_is_an_error_and_folders_on_the_way_are_made(tmp_path, monkeypatch):
    assert same(data.unpacked(tmp_path / "a" / "b" / "it", phantom), phantom())
    monkeypatch.setattr(sys.modules[data.unpacked.__module__], "_write", lambda *arguments: None)
    with pytest.raises(OSError, match="does not hold what was just written to it"):
        data.unpacked(tmp_path / "c" / "it", phantom)


def test_what_a_killed_process_left_half_written_is_no_data_set(tmp_path):
    data.unpacked(tmp_path / "it", phantom)
    (tmp_path / "it").rename(tmp_path / "it.part")
    assert same(data.unpacked(tmp_path / "it", phantom), phantom())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["it", "it.lock"]


def test_a_data_set_that_cannot_be_loaded_leaves_no_folder(tmp_path):
    def wrong(room: data.Room) -> data.Dataset:
        raise data.DataError("no images")

    with pytest.raises(data.DataError, match="no images"):
        data.unpacked(tmp_path / "it", wrong)
    assert not (tmp_path / "it").exists()
    assert same(data.unpacked(tmp_path / "it", phantom), phantom())


def test_arrays_stay_readable_when_the_folder_is_deleted(tmp_path):
    dataset = data.unpacked(tmp_path / "it", phantom)
    shutil.rmtree(tmp_path / "it")
    assert same(dataset, phantom())


# --- processes -------------------------------------------------------------------------------------


USER = """
import sys
from pathlib import Path
from medaug_keras import data

images = data.unpacked(Path(sys.argv[1]), lambda room: sys.exit("it is there already")).train.images
print(images.sum(dtype="int64"), flush=True)  # every page is in memory now
sys.stdin.readline()
found, inside = {}, False
for line in Path("/proc/self/smaps").read_text().splitlines():
    name, *values = line.split()
    if not name.endswith(":"):
        inside = "train_images.npy" in line
    elif inside and values[-1] == "kB":
        found[name] = found.get(name, 0) + int(values[0])
print(*(found[name] for name in ("Rss:", "Pss:", "Private_Dirty:")), flush=True)
sys.stdin.readline()
"""


def test_two_processes_have_the_images_once_between_them(tmp_path):
    """Each has all pages in memory, counts for half of them, and has none of its own."""
    images = np.random.default_rng(0).integers(0, 256, (2000, 28, 28, 1), dtype=np.uint8)
    large = data.Dataset(**{**vars(phantom()), "train": data.Split(images, np.zeros(2000, np.int64))})
    data.unpacked(tmp_path / "it", lambda room: large)
    words = [sys.executable, "-c", USER, str(tmp_path / "it")]
    users = [
        subprocess.Popen(words, env=environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    for user in users:
        assert int(user.stdout.readline()) == images.sum(dtype=np.int64)
    size = images.nbytes / 1024
    for user in users:
        print(file=user.stdin, flush=True)
        resident, own_share, private = map(int, user.stdout.readline().split())
        assert resident >= size
        assert own_share <= 0.6 * size
        assert private == 0
    for user in users:
        user.communicate("\n", timeout=60)
        assert user.returncode == 0


LOADER = """
import ctypes, sys
from pathlib import Path
import numpy as np
from medaug_keras import data

library = ctypes.CDLL(None)
library.mallopt(-4, 0), library.mallopt(-1, 2**31 - 1)  # as workers do: keep what is freed

def own():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0])

def load(room):
    some = data.load_phantom("phantom-ultrasound", train=40, validation=12, test=16, seed=0)
    images = np.ones((100_000, 28, 28, 1), np.uint8)
    after.append(np.ones(10))  # something small behind it, so that it is not the heap's end
    return data.Dataset(**{**vars(some), "train": data.Split(images, np.zeros(len(images), np.int64))})

after, before = [], own()
data.unpacked(Path(sys.argv[1]), load)
print(own() - before)
"""


def test_the_process_that_loads_keeps_no_copy_of_its_own(tmp_path):
    words = [sys.executable, "-c", LOADER, str(tmp_path / "it")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.1 * 100_000 * 784 / 1024


# --- tasks -----------------------------------------------------------------------------------------


@pytest.fixture
def own_images(tmp_path, monkeypatch) -> tuple[Path, Plan]:
    """An .npz of own images, and the plan of a study of it: the data, and two classifiers."""
    made = data.load_phantom("phantom-ultrasound", train=48, validation=16, test=16, seed=0)
    path = tmp_path / "own.npz"
    content = {}
    for prefix, split in (("train", made.train), ("val", made.validation), ("test", made.test)):
        content |= {f"{prefix}_images": split.images, f"{prefix}_labels": split.labels}
    np.savez_compressed(path, **content)
    study = Study.model_validate_json(json.dumps(tiny(datasets={"own": {"kind": "npz", "path": str(path)}})))
    monkeypatch.setattr(tasks, "_last", None)
    return path, plan(study, {"own": Source(data.npz_fingerprint(path, cache=None), 48, 16, 16)})


def classifiers_of(todo: Plan, store: Store) -> list[dict]:
    """What the classifiers' records say, after the tasks were made in the plan's order."""
    for task in todo.tasks.values():
        what, content = engine.attempt(task, store, lambda what, content: None)
        assert what == "done", content
    found = results(store.root)
    return [found[run.task] for run in todo.runs]


def test_mapped_arrays_give_the_same_records_as_loaded_ones(own_images, tmp_path, monkeypatch):
    _, todo = own_images
    mapped = classifiers_of(todo, Store(tmp_path / "mapped"))
    monkeypatch.setattr(tasks, "_last", None)
    monkeypatch.setattr(data, "unpacked", lambda folder, load, **_: load(None))
    assert classifiers_of(todo, Store(tmp_path / "loaded")) == mapped
    assert not (tmp_path / "loaded" / "unpacked").exists()


def test_a_worker_reads_the_images_that_another_unpacked(own_images, tmp_path, monkeypatch):
    """Whoever comes later needs the file no more; a copy that was deleted is made again."""
    path, todo = own_images
    store = Store(tmp_path / "results")
    data_task, first, second = todo.tasks.values()
    assert engine.attempt(data_task, store, lambda what, content: None)[0] == "done"
    shutil.rmtree(store.root / "unpacked")
    monkeypatch.setattr(tasks, "_last", None)
    assert engine.attempt(first, store, lambda what, content: None)[0] == "done"
    assert (store.root / "unpacked" / data_task.id / "train_images.npy").exists()
    path.unlink()
    monkeypatch.setattr(tasks, "_last", None)  # as in another process
    assert engine.attempt(second, store, lambda what, content: None)[0] == "done"


def test_bytes_that_are_not_those_planned_are_not_unpacked(own_images, tmp_path):
    path, todo = own_images
    store = Store(tmp_path / "results")
    data_task, first, _ = todo.tasks.values()
    assert engine.attempt(data_task, store, lambda what, content: None)[0] == "done"
    shutil.rmtree(store.root / "unpacked")
    with np.load(path) as arrays:
        np.savez(path, **{**arrays, "train_images": 255 - arrays["train_images"]})
    what, failure = engine.attempt(first, store, lambda what, content: None)
    assert what == "failed"
    assert "the data changed while the study ran" in failure.error
    assert not (store.root / "unpacked" / data_task.id).exists()


@pytest.mark.parametrize("count", [12, pytest.param(150, marks=pytest.mark.slow)])
def test_a_worker_stays_as_large_as_it_is_however_many_tasks_it_makes(tmp_path, count, started):
    """It grows over its first fifty tasks, by what the C library keeps, and then no more."""
    fingerprint = data.phantom_fingerprint(PHANTOM["name"], seed=0, **FEW)
    todo = planned(tiny(arms={"baseline": {}}, replicates=count), {"grey": fingerprint})
    memory, files = [], []  # in kB, and open files, after each task

    def listen(event: engine.Event) -> None:
        if event.what == "done":
            (process,) = (Path("/proc") / str(child) for child in started())
            status = dict(line.split(":", 1) for line in (process / "status").read_text().splitlines())
            memory.append(int(status["VmRSS"].split()[0]))
            files.append(len(list((process / "fd").iterdir())))

    summary = engine.run(todo, Store(tmp_path), workers=1, listen=listen)
    assert len(summary.done) == len(memory) == count + 1
    warm = len(memory) // 2
    assert set(files[warm:]) == {files[warm]}
    assert max(memory[warm:]) < 1.1 * max(memory[:warm])


# --- copies ----------------------------------------------------------------------------------------


def test_pixel_std_is_numpys():
    rng = np.random.default_rng(0)
    for shape in [(1, 28, 28, 1), (3, 28, 28, 3), (3000, 28, 28, 1)]:
        images = rng.integers(0, 256, shape, dtype=np.uint8)
        assert data.pixel_std(images) == pytest.approx(images.std(), rel=1e-12)
    assert data.pixel_std(np.full((5, 2, 2, 1), 7, np.uint8)) == 0
    assert data.pixel_std(np.array([0, 255], np.uint8)) == 127.5


def test_pixel_std_takes_no_more_memory_for_more_images():
    peaks = []
    for count in (3_000, 30_000):
        images = np.ones((count, 28, 28, 1), np.uint8)
        tracemalloc.start()
        data.pixel_std(images)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < 1.2 * peaks[0]
    assert peaks[1] < 30_000 * 784
