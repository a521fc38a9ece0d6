"""Images are read once, by several threads, straight into files that all workers map."""

import io
import json
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from medaug_keras import data
from medaug_keras.data import DataError, files, npz, pixels
from medaug_keras.data.room import Memory, counting
from studies import environment

UNPACKED = sys.modules[data.unpacked.__module__]
rng = np.random.default_rng(0)


def folder(root: Path, each: int = 8, side: int = 20) -> Path:
    for split in ("train", "val", "test"):
        for name in ("benign", "malignant"):
            (root / split / name).mkdir(parents=True)
            for i in range(each):
                suffix = (".png", ".jpg", ".bmp", ".tif")[i % 4]
                image = Image.fromarray(rng.integers(0, 256, (side, side + i, 3), dtype=np.uint8))
                image.save(root / split / name / f"{i:02}{suffix}")
    return root


def load(root: Path, room: data.Room | None = None, **changes) -> data.Dataset:
    said = {"name": "mine", "title": "Mine", "size": 16, "fit": "crop", "colour": None}
    return data.load_folder(root, room=room, **said | changes)


def same(one: data.Dataset, other: data.Dataset) -> bool:
    pairs = [(getattr(one, split), getattr(other, split)) for split in ("train", "validation", "test")]
    return one.summary() == other.summary() and all(
        np.array_equal(a.images, b.images) and np.array_equal(a.labels, b.labels) and a.ids == b.ids for a, b in pairs
    )


# --- threads ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("threads", [1, 2, 7])
def test_the_number_of_threads_changes_nothing(tmp_path, monkeypatch, threads):
    root = folder(tmp_path / "mine")
    once = load(root)
    monkeypatch.setattr(files, "THREADS", threads)
    assert same(load(root), once)
    assert same(data.unpacked(tmp_path / "it", lambda room: load(root, room)), once)


@pytest.mark.parametrize("threads", [1, 5])
def test_all_that_is_wrong_is_said_in_the_order_of_the_files_whatever_the_number_of_threads(
    tmp_path, monkeypatch, threads
):
    root = folder(tmp_path / "mine")
    wrong = ["train/benign/00.png", "train/malignant/01.jpg", "val/benign/04.png", "test/malignant/07.tif"]
    for name in wrong:
        (root / name).write_bytes((root / name).read_bytes()[:-20])
    monkeypatch.setattr(files, "THREADS", threads)
    with pytest.raises(DataError, match="not a complete") as error:
        load(root)
    assert [line.partition(" ")[0] for line in error.value.args] == wrong


def test_where_no_image_can_be_read_each_is_named(tmp_path):
    root = folder(tmp_path / "mine", each=2)
    for path in root.rglob("*.*"):
        path.write_bytes(b"nothing")
    with pytest.raises(DataError, match="is expected") as error:
        load(root)
    assert len(error.value.args) == 12


@given(st.integers(0, 40), st.integers(1, 5))
def test_what_threads_make_comes_in_turn(count, threads):
    assert list(files.in_turn(lambda n: n * n, range(count), threads)) == [n * n for n in range(count)]


def test_results_do_not_pile_up_before_who_is_slow_to_take_them():
    made = []
    found = files.in_turn(lambda n: made.append(n) or n, range(1000), 2)
    assert [next(found) for _ in range(3)] == [0, 1, 2]
    assert len(made) < 100
    found.close()


def test_reading_is_told_once_a_second_at_most_and_as_often_as_fits_a_log(monkeypatch):
    said, now = [], [0.0]
    monkeypatch.setattr("medaug_keras.data.room.time.monotonic", lambda: now[0])
    count = counting(said.append, "HAM10000", 10_015)
    for done in range(1, 10_016):
        now[0] += 0.5
        count(done)
    assert said[0].startswith("Reading HAM10000: ")
    assert said[0].endswith(" of 10,015 images")
    assert 45 <= len(said) <= 50
    said.clear()
    count = counting(said.append, "few", 10)
    for done in range(1, 11):
        now[0] += 1
        count(done)
    assert len(said) == 10
    monkeypatch.setattr("medaug_keras.data.room.time.monotonic", lambda: 0.0)
    said.clear()
    count = counting(said.append, "HAM10000", 10_015)
    count(10_015)
    assert said == []


# --- PNG -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "RGBA", "LA", "1", "I;16"])
@pytest.mark.parametrize("side", [1, 13, 300])
def test_a_png_whose_pixels_are_unpacked_once_is_the_same_image(mode, side):
    values = rng.integers(0, 256, (side, side + 1, 4), dtype=np.uint8)
    image = (
        Image.fromarray(values).convert(mode) if mode != "I;16" else Image.fromarray(values[..., 0] * np.uint16(257))
    )
    file = io.BytesIO()
    image.save(file, "PNG")
    again = pixels.header(file.getvalue(), "it.png").unpacked
    with Image.open(io.BytesIO(again)) as found:
        assert found.mode == Image.open(io.BytesIO(file.getvalue())).mode
        np.testing.assert_array_equal(np.asarray(found.convert("RGBA")), np.asarray(Image.open(file).convert("RGBA")))
    assert zlib.crc32(again[-8:-4]) == int.from_bytes(again[-4:], "big")


def test_of_a_very_large_png_no_second_copy_is_kept(monkeypatch):
    monkeypatch.setattr(pixels, "_KEPT", 100)
    file = io.BytesIO()
    Image.fromarray(rng.integers(0, 256, (40, 40), dtype=np.uint8)).save(file, "PNG")
    assert pixels.header(file.getvalue(), "it.png").unpacked is None


# --- .npz ------------------------------------------------------------------------------------------


def saved(path: Path, images: np.ndarray, save=np.savez_compressed) -> Path:
    content = {}
    for prefix, count in (("train", len(images)), ("val", 5), ("test", 7)):
        content |= {f"{prefix}_images": images[:count], f"{prefix}_labels": np.arange(count) % 2}
    save(path, **content)
    return path


@pytest.mark.parametrize("block", [1, 3000, 2**24])
@pytest.mark.parametrize("turn", [np.ascontiguousarray, np.asfortranarray])
@pytest.mark.parametrize("shape", [(30, 28, 28), (30, 28, 28, 3), (30, 20, 24, 1)])
def test_how_much_of_an_npz_is_unpacked_at_once_changes_nothing(tmp_path, monkeypatch, block, turn, shape):
    images = rng.integers(0, 256, shape, dtype=np.uint8)
    path = saved(tmp_path / "a.npz", turn(images))
    monkeypatch.setattr(npz, "_BLOCK", block)
    said = {"name": "mine", "title": "Mine", "classes": None, "fit": "pad"}
    same_size = data.load_npz(path, size=28, **said)
    if shape[1] == 28:
        np.testing.assert_array_equal(same_size.train.images, images.reshape(30, 28, 28, -1))
    there = data.unpacked(tmp_path / "it", lambda room: data.load_npz(path, size=28, room=room, **said))
    assert same(there, same_size)


LARGE = """
import sys
from pathlib import Path
from medaug_keras import data

path, folder = map(Path, sys.argv[1:])
said = {"name": "mine", "title": "Mine", "classes": None, "size": 224}
images = data.unpacked(folder, lambda room: data.load_npz(path, room=room, **said)).train.images
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]), *images.shape)
"""


@pytest.mark.parametrize("count", [2000, pytest.param(10_000, marks=pytest.mark.slow)])
def test_a_process_that_unpacks_a_large_npz_stays_small(tmp_path, count):
    """300 MB of images, or 1.5 GB; the process has some 120 MB before it begins."""
    path = saved(tmp_path / "a.npz", np.zeros((count, 224, 224, 3), np.uint8))
    words = [sys.executable, "-c", LARGE, str(path), str(tmp_path / "it")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    peak, *shape = map(int, done.stdout.split())
    assert shape == [count, 224, 224, 3]
    assert peak < 300_000


# --- room ------------------------------------------------------------------------------------------


def test_a_disk_without_enough_room_is_one_message_before_anything_is_read(tmp_path, monkeypatch):
    path = saved(tmp_path / "a.npz", np.zeros((30, 28, 28), np.uint8))
    few = shutil._ntuple_diskusage(10**12, 10**12, 40 * 28 * 28)
    monkeypatch.setattr(UNPACKED.shutil, "disk_usage", lambda place: few)
    monkeypatch.setattr(npz, "read_images", lambda *arguments, **more: pytest.fail("images were read"))
    with pytest.raises(DataError, match="take 0 MB") as error:
        data.unpacked(
            tmp_path / "it",
            lambda room: data.load_npz(path, name="mine", title="Mine", classes=None, size=None, room=room),
        )
    (line,) = error.value.args
    assert line.startswith(
        "a.npz: 42 images of 28 x 28 x 1 take 0 MB of disk, unpacked for all workers to share, but only"
    )
    assert "--results" in line
    assert sorted(found.name for found in tmp_path.iterdir()) == ["a.npz", "it.lock"]


def test_how_much_disk_a_large_data_set_takes_is_told_before_it_is_read(tmp_path, monkeypatch):
    path, said = saved(tmp_path / "a.npz", np.zeros((30, 28, 28), np.uint8)), []
    more = {"name": "mine", "title": "Mine", "classes": None, "size": None}
    data.unpacked(tmp_path / "small", lambda room: data.load_npz(path, room=room, **more), report=said.append)
    assert said == []
    monkeypatch.setattr(UNPACKED, "SAID", 42 * 28 * 28)
    data.unpacked(tmp_path / "large", lambda room: data.load_npz(path, room=room, **more), report=said.append)
    (line,) = said
    assert line.startswith("a.npz: 42 images of 28 x 28 x 1 take 0 MB of disk in ")


def test_images_that_a_loader_keeps_elsewhere_are_written_too(tmp_path):
    root = folder(tmp_path / "mine")

    def turned(room: data.Room) -> data.Dataset:
        found = load(root, room)
        return data.Dataset(**{**vars(found), "train": data.Split(found.train.images[::-1], found.train.labels[::-1])})

    there = data.unpacked(tmp_path / "it", turned)
    np.testing.assert_array_equal(there.train.images, load(root).train.images[::-1])
    np.testing.assert_array_equal(there.test.images, load(root).test.images)


def test_no_file_of_an_unpacked_data_set_stays_open(tmp_path):
    root = folder(tmp_path / "mine")
    data.unpacked(tmp_path / "it", lambda room: load(root, room))
    opened = [file.resolve() for file in Path("/proc/self/fd").iterdir()]
    assert opened
    assert not [file for file in opened if file.is_relative_to(tmp_path)]


def test_a_reading_that_fails_leaves_nothing_behind(tmp_path):
    root = folder(tmp_path / "mine")
    (root / "test" / "malignant" / "03.tif").write_bytes(b"II*\0")
    with pytest.raises(DataError, match=r"03\.tif"):
        data.unpacked(tmp_path / "it", lambda room: load(root, room))
    assert sorted(found.name for found in tmp_path.iterdir()) == ["it.lock", "mine"]


def test_a_data_set_that_is_described_otherwise_is_read_again_only_for_who_asks(tmp_path):
    root = folder(tmp_path / "mine")

    def titled(title: str):
        return lambda room: load(root, room, title=title)

    first = data.unpacked(tmp_path / "it", titled("One"), section={"title": "One"})
    assert first.title == "One"
    assert data.unpacked(tmp_path / "it", titled("Two")).title == "One"
    assert data.unpacked(tmp_path / "it", titled("Two"), section={"title": "One"}).title == "One"
    assert data.unpacked(tmp_path / "it", titled("Two"), section={"title": "Two"}).title == "Two"
    assert json.loads((tmp_path / "it" / "dataset.json").read_bytes())["section"] == {"title": "Two"}


def test_memory_has_a_limit():
    shapes = {"train": (3, 2, 2, 1), "validation": (1, 2, 2, 1), "test": (1, 2, 2, 1)}
    places = Memory(20)(shapes, "mine")
    places["train"].put(1, np.full((2, 2, 2, 1), 7, np.uint8))
    assert places["train"].images()[1:].min() == 7
    with pytest.raises(DataError, match=r"mine: 5 images of \(2, 2, 1\) would take 20 bytes"):
        Memory(19)(shapes, "mine")
