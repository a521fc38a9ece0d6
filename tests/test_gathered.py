"""Images of several arrays are drawn as if they were one array, which is never made."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from test_classifiers import trained

from medaug_keras import classifiers, data
from medaug_keras.training import Gathered, by_index
from studies import environment

rng = np.random.default_rng(0)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=4).filter(any), st.data())
def test_any_places_give_what_one_array_of_all_images_has_there(sizes, draw):
    parts = [rng.integers(0, 256, (size, 3, 2, 1), dtype=np.uint8) for size in sizes]
    whole, gathered = np.concatenate(parts), Gathered(*parts)
    index = draw.draw(arrays(np.int64, st.integers(0, 9), elements=st.integers(0, len(whole) - 1)))
    assert (gathered.shape, gathered.dtype, len(gathered)) == (whole.shape, whole.dtype, len(whole))
    np.testing.assert_array_equal(gathered[index], whole[index])
    drawn = by_index(gathered, torch.device("cpu"))(torch.from_numpy(index))
    np.testing.assert_array_equal(drawn.numpy(), whole[index])
    np.testing.assert_array_equal(by_index(whole, torch.device("cpu"))(torch.from_numpy(index)).numpy(), whole[index])


def test_images_of_two_shapes_cannot_be_gathered():
    with pytest.raises(ValueError, match=r"one shape and type, found .*\(2, 3, 3, 1\).*\(2, 4, 3, 1\)"):
        Gathered(np.zeros((2, 3, 3, 1), np.uint8), np.zeros((2, 4, 3, 1), np.uint8))


def test_images_of_two_types_cannot_be_gathered():
    with pytest.raises(ValueError, match=r"one shape and type, found .*'uint8'.*'float32'"):
        Gathered(np.zeros((2, 3, 3, 1), np.uint8), np.zeros((2, 3, 3, 1), np.float32))


def test_training_on_gathered_images_gives_the_weights_of_training_on_one_array(monkeypatch):
    once, _ = trained(augment=[{"layer": "horizontal_flip", "probability": 0.5}])
    monkeypatch.setattr(classifiers, "by_index", lambda images, device: by_index(parted(images), device))
    again, _ = trained(augment=[{"layer": "horizontal_flip", "probability": 0.5}])
    assert once.history == again.history
    for one, other in zip(once.model.get_weights(), again.model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def parted(images):
    return Gathered(images[:40], images[40:41], images[41:])


# --- images that an arm adds -----------------------------------------------------------------------

IMAGES = rng.integers(0, 256, (50, 5, 5, 3), dtype=np.uint8)
LABELS = np.arange(50) % 4


@pytest.mark.parametrize("block", [1, 200, 2**24])
@pytest.mark.parametrize("order", [None, np.array([3, 3, 49, 0]), np.empty(0, np.int64)])
def test_what_is_saved_plain_is_what_numpy_reads_whatever_is_written_at_once(tmp_path, monkeypatch, block, order):
    monkeypatch.setattr("medaug_keras.data.plain._BLOCK", block)
    expected = IMAGES if order is None else IMAGES[order]
    labels = LABELS[: len(expected)]
    data.save_plain(tmp_path / "a.npz", images=IMAGES, labels=labels, order=order)
    mapped = data.load_plain(tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz", allow_pickle=False) as read:
        assert sorted(read) == sorted(mapped) == ["images", "labels"]
        for found in (read, mapped):
            np.testing.assert_array_equal(found["images"], expected)
            np.testing.assert_array_equal(found["labels"], labels)
            assert (found["images"].dtype, found["labels"].dtype) == (np.uint8, labels.dtype)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_what_numpy_saves_is_loaded_too_compressed_as_earlier_results_are_or_not(tmp_path, save):
    save(tmp_path / "a.npz", images=IMAGES, labels=LABELS, turned=IMAGES.T, none=IMAGES[:0])
    found = data.load_plain(tmp_path / "a.npz")
    np.testing.assert_array_equal(found["images"], IMAGES)
    np.testing.assert_array_equal(found["labels"], LABELS)
    np.testing.assert_array_equal(found["turned"], IMAGES.T)
    assert found["none"].shape == (0, 5, 5, 3)


def test_python_objects_are_never_unpickled(tmp_path):
    np.savez(tmp_path / "a.npz", images=np.array([{}], object))
    with pytest.raises(ValueError, match="allow_pickle"):
        data.load_plain(tmp_path / "a.npz")


def test_writing_to_a_loaded_array_changes_no_file(tmp_path):
    data.save_plain(tmp_path / "a.npz", images=IMAGES, labels=LABELS)
    before = (tmp_path / "a.npz").read_bytes()
    data.load_plain(tmp_path / "a.npz")["images"][:] = 0
    assert (tmp_path / "a.npz").read_bytes() == before


DRAWER = """
import sys
from pathlib import Path
import numpy as np
import torch
from medaug_keras import data
from medaug_keras.training import Gathered, by_index

def own():
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["RssAnon"].split()[0]) * 1024

before, last = own(), None
real, added = (data.load_plain(Path(name))["images"] for name in sys.argv[1:])
draw = by_index(Gathered(real, added), torch.device("cpu"))
for some in torch.randperm(len(real) + len(added)).split(64):
    last = draw(some)
print(own() - before)
"""


def test_a_process_that_draws_all_images_has_one_batch_of_them_in_memory_of_its_own(tmp_path):
    images = np.ones((1500, 64, 64, 3), np.uint8)
    for name in ("real", "added"):
        data.save_plain(tmp_path / name, images=images, labels=np.zeros(len(images), np.int64))
    words = [sys.executable, "-c", DRAWER, str(tmp_path / "real"), str(tmp_path / "added")]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=True)
    assert int(done.stdout) < 0.25 * 2 * images.nbytes
