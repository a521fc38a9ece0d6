"""Data sets: what is read is right, and what is wrong is said in one message."""

import hashlib
import io
import itertools
import json
import os
import pickle
import random
import re
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from medaug_keras import data
from medaug_keras.data import DataError, checksums, dataset, medmnist, npz
from medaug_keras.data.dataset import SPLITS

REAL = Path(os.environ.get("MEDMNIST_ROOT", Path(__file__).parents[2] / "shared" / "medmnist"))
needs_real_images = pytest.mark.skipif(not (REAL / "breastmnist.npz").exists(), reason=f"no MedMNIST files at {REAL}")
ARRAYS = [f"{split}_{what}" for split in ("train", "val", "test") for what in ("images", "labels")]


def arrays(**changed):
    """A good .npz file's content: 6 + 4 + 4 grey images of two classes."""
    rng = np.random.default_rng(0)
    good = {}
    for split, n in (("train", 6), ("val", 4), ("test", 4)):
        good[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        good[f"{split}_labels"] = np.arange(n, dtype=np.uint8)[:, None] % 2
    good.update(changed)
    return {name: array for name, array in good.items() if array is not None}


def saved(path, **changed):
    np.savez_compressed(path, **arrays(**changed))
    return path


def load(path, **settings):
    return data.load_npz(path, **({"name": "mine", "title": "Mine", "classes": None, "size": None} | settings))


def npy(header, payload=b"", version=(1, 0)):
    """Bytes of an array file with exactly this header text."""
    text = header.encode("latin-1") + b"\n"
    length = struct.pack("<H" if version == (1, 0) else "<I", len(text))
    return b"\x93NUMPY" + bytes(version) + length + text + payload


def with_member(path, name, content, **zip_settings):
    """The good file with one member replaced by raw bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for other, array in arrays().items():
            if other != name:
                buffer = io.BytesIO()
                np.save(buffer, array)
                archive.writestr(f"{other}.npy", buffer.getvalue())
        archive.writestr(f"{name}.npy", content, **zip_settings)
    return path


def said(error):
    """The message, which must be one paragraph that a person can act on."""
    text = str(error.value)
    assert 30 < len(text) < 900
    assert "\n" not in text
    assert "Traceback" not in text
    return text


# --- MedMNIST --------------------------------------------------------------------------------------


def test_our_names_are_all_the_2d_sets_that_medmnist_knows():
    info = medmnist.part("info").INFO
    assert set(data.MEDMNIST_NAMES) == {name for name in info if not name.endswith("3d")}


@pytest.mark.parametrize("name", data.MEDMNIST_NAMES)
def test_planning_knows_each_set_without_a_file(name, tmp_path):
    sizes = data.medmnist_sizes(name)
    info = data.medmnist_info(name)
    assert sizes.image_shape == (28, 28, info["n_channels"])
    assert (sizes.train, sizes.validation, sizes.test) == tuple(info["n_samples"].values())
    assert len(sizes.classes) == len(info["label"])
    assert data.medmnist_fingerprint(name, root=tmp_path / "absent", cache=None) == info["MD5"]


def test_classes_stand_in_the_order_of_their_numbers():
    assert data.medmnist_sizes("organamnist").classes[::10] == ("bladder", "spleen")


def test_one_set_is_known_to_have_several_findings_an_image():
    assert [name for name in data.MEDMNIST_NAMES if data.medmnist_sizes(name).several] == ["chestmnist"]
    assert data.medmnist_sizes("chestmnist").classes[::13] == ("atelectasis", "hernia")


def test_a_name_that_medmnist_does_not_have_is_answered_with_those_it_has():
    for name in ("brestmnist", "brestmnist3d"):
        with pytest.raises(DataError, match=f"{name} is not a MedMNIST data set.*breastmnist"):
            data.medmnist_info(name)
    with pytest.raises(DataError, match="organmnist3d is one of MedMNIST's 3-D sets"):
        data.medmnist_info("organmnist3d")


def test_every_supported_set_cites_the_benchmark_and_its_source_images():
    for name in data.MEDMNIST_NAMES:
        assert medmnist._ORIGINS[name], name
        for entry in (medmnist._BENCHMARK, *medmnist._ORIGINS[name]):
            assert entry.count("{") == entry.count("}"), name


def test_every_supported_set_says_what_is_known_of_images_that_belong_together():
    assert set(medmnist.BELONGING) == set(data.MEDMNIST_NAMES)
    assert all("https://doi.org/" in said for said in medmnist.BELONGING.values())
    path = Path(__file__).parents[2] / "shared" / "medmnist" / "dermamnist_ids.csv"
    if not path.exists():
        pytest.skip("the identifiers of DermaMNIST's lesions are not here")
    lesions = [line.split(",") for line in path.read_text().splitlines()[1:]]
    known = {lesion for split, _, _, lesion, *_ in lesions if split == "train"}
    test = [lesion for split, _, _, lesion, *_ in lesions if split == "test"]
    numbers = f"{100 * np.mean([lesion in known for lesion in test]):.1f} %", f"{len(set(test)):,} lesions"
    assert all(number in medmnist.BELONGING["dermamnist"] for number in numbers)


def test_parts_of_medmnist_come_without_the_rest_of_it_and_leave_no_stand_in():
    code = (
        "import sys; from medaug_keras.data.medmnist_package import part; "
        "assert 'breastmnist' in part('info').INFO and callable(part('evaluator').getAUC); "
        "bad = {'medmnist', 'medmnist.info', 'torch', 'torchvision'}; "
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


def test_importing_data_imports_no_network_library_and_no_table_library():
    code = (
        "import sys, medaug_keras.data; "
        "bad = {'keras', 'torch', 'sklearn', 'pandas', 'PIL', 'medmnist', 'torchvision', 'http.client'}; "
        "sys.exit(', '.join(bad & set(sys.modules)) or 0)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@needs_real_images
def test_breastmnist_has_the_published_numbers():
    breast = data.load_medmnist("breastmnist", root=REAL, accept_unverified=True, report=None)
    assert breast.title == "BreastMNIST"
    assert breast.source == "unverified copy"
    assert breast.md5 != breast.official_md5 == "750601b1f35ba3300ea97c75c52ff8f6"
    assert breast.train.images.shape == (546, 28, 28, 1)
    assert breast.train.images.dtype == np.uint8
    assert breast.train.labels.dtype == np.int64
    assert [breast.per_class(split) for split in SPLITS] == [[147, 399], [21, 57], [42, 114]]
    with np.load(REAL / "breastmnist.npz", allow_pickle=False) as file:
        assert np.array_equal(breast.test.images[..., 0], file["test_images"])
        assert np.array_equal(breast.test.labels, file["test_labels"][:, 0])


@needs_real_images
@pytest.mark.parametrize("name", ["breastmnist", "pneumoniamnist"])
def test_plan_and_reading_agree(name):
    dataset = data.load_medmnist(name, root=REAL, accept_unverified=True, report=None)
    sizes = data.medmnist_sizes(name)
    assert dataset.image_shape == sizes.image_shape
    assert dataset.classes == sizes.classes
    assert [len(getattr(dataset, s).labels) for s in SPLITS] == [sizes.train, sizes.validation, sizes.test]
    assert dataset.md5 == data.medmnist_fingerprint(name, root=REAL, cache=None)


@needs_real_images
def test_a_copy_that_is_not_the_official_file_is_refused_with_both_sums():
    with pytest.raises(DataError, match="but the official") as error:
        data.load_medmnist("breastmnist", root=REAL, accept_unverified=False, report=None)
    found = data.md5_of_file(REAL / "breastmnist.npz", cache=None)
    for part in (found, "750601b1f35ba3300ea97c75c52ff8f6", "accept_unverified: true", "--unverified-data"):
        assert part in said(error)


def test_a_file_with_another_sum_is_refused_and_used_only_as_an_unverified_copy_where_that_is_asked_for(tmp_path):
    path = saved(tmp_path / "breastmnist.npz")
    official, md5 = medmnist.part("info").INFO["breastmnist"]["MD5"], hashlib.md5(path.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="but the official") as error:
        data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=False, report=None)
    for part in (md5, official, "accept_unverified: true", "--unverified-data"):
        assert part in said(error)
    breast = data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)
    assert (breast.source, breast.md5, breast.official_md5) == ("unverified copy", md5, official)
    assert breast.licence == medmnist.part("info").INFO["breastmnist"]["license"]


def test_a_file_with_far_more_than_the_official_images_is_not_read(tmp_path, monkeypatch):
    for n, read in ((19, True), (20, False)):  # 14 images are official here, so 28 with their labels are too many
        saved(tmp_path / "breastmnist.npz", train_images=np.zeros((n, 28, 28), np.uint8), train_labels=np.arange(n) % 2)
        few = {"train": 6, "val": 4, "test": 4}
        monkeypatch.setitem(medmnist.part("info").INFO["breastmnist"], "n_samples", few)
        if read:
            found = data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)
            assert len(found.train.labels) == n
        else:
            with pytest.raises(DataError, match="more than the limit"):
                data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)


def test_the_largest_images_under_the_name_of_the_smallest_are_told_their_place(tmp_path, monkeypatch):
    monkeypatch.setitem(medmnist.part("info").INFO["breastmnist"], "n_samples", {"train": 6, "val": 4, "test": 4})
    large = {
        f"{split}_images": np.zeros((n, 224, 224), np.uint8) for split, n in (("train", 6), ("val", 4), ("test", 4))
    }
    saved(tmp_path / "breastmnist.npz", **large)
    with pytest.raises(DataError, match="holds images of 224 x 224 x 1, but breastmnist has 28 x 28 x 1"):
        data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)


def test_the_splits_of_a_file_are_those_of_their_names_and_in_the_plans_order(tmp_path):
    sizes = medmnist.part("info").INFO["breastmnist"]["n_samples"]
    found = data.medmnist_sizes("breastmnist")
    assert (found.train, found.validation, found.test) == (sizes["train"], sizes["val"], sizes["test"])
    path = saved(tmp_path / "mine.npz", val_images=np.full((4, 28, 28), 7, np.uint8))
    mine = load(path)
    assert (mine.validation.images == 7).all()
    assert not (mine.test.images == 7).all()
    assert mine.summary()["splits"]["validation"]["per_class"] == [2, 2]


def test_the_official_sum_makes_a_file_official(tmp_path, monkeypatch):
    path = saved(tmp_path / "breastmnist.npz")
    md5 = hashlib.md5(path.read_bytes()).hexdigest()
    monkeypatch.setitem(medmnist.part("info").INFO["breastmnist"], "MD5", md5)
    breast = data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=False, report=None)
    assert breast.source == "official"
    assert breast.md5 == breast.official_md5 == md5


def test_retinamnist_says_that_its_grades_are_treated_as_classes(tmp_path):
    many = {
        name: np.repeat(array, 5, axis=0) if "images" in name else np.arange(5 * len(array)) % 5
        for name, array in arrays().items()
    }
    many = {name: np.stack([a] * 3, -1) if "images" in name else a for name, a in many.items()}
    np.savez(tmp_path / "retinamnist.npz", **many)
    retina = data.load_medmnist("retinamnist", root=tmp_path, accept_unverified=True, report=None)
    assert retina.label_kind == "multi-class"
    assert "here the grades are plain classes" in retina.description


def test_a_medmnist_file_without_a_training_image_of_a_class_is_refused(tmp_path):
    saved(tmp_path / "breastmnist.npz", train_labels=np.ones(6, np.uint8))
    with pytest.raises(DataError, match="no training image of class 0"):
        data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)


def test_an_official_name_does_not_excuse_other_channels(tmp_path):
    saved(tmp_path / "bloodmnist.npz")
    with pytest.raises(DataError, match="28 x 28 x 1, but bloodmnist has 28 x 28 x 3 at this size"):
        data.load_medmnist("bloodmnist", root=tmp_path, accept_unverified=True, report=None)


def test_a_label_beyond_medmnists_classes_is_refused(tmp_path):
    saved(tmp_path / "breastmnist.npz", val_labels=np.array([0, 1, 2, 1]))
    with pytest.raises(
        DataError,
        match=r"validation split: 1 of 4 labels are outside 0\.\.1 .* 1 \(2 images\), 2 \(1 image\)",
    ):
        data.load_medmnist("breastmnist", root=tmp_path, accept_unverified=True, report=None)


# --- own .npz files --------------------------------------------------------------------------------


def test_a_good_file_is_read_as_it_is(tmp_path):
    path = saved(tmp_path / "mine.npz")
    mine = load(path, classes=["cat", "dog"], licence="CC0")
    assert np.array_equal(mine.train.images[..., 0], arrays()["train_images"])
    assert mine.validation.labels.tolist() == [0, 1, 0, 1]
    assert mine.classes == ("cat", "dog")
    assert mine.source == "own"
    assert mine.official_md5 is None
    assert mine.md5 == data.npz_fingerprint(path, cache=None)
    assert json.loads(json.dumps(mine.summary()))["splits"]["train"] == {"images": 6, "per_class": [3, 3]}


def test_a_plan_knows_an_own_files_sizes(tmp_path):
    path = saved(tmp_path / "mine.npz")
    sizes = data.npz_sizes(path, classes=None, size=None)
    assert sizes == data.Sizes((28, 28, 1), ("0", "1"), 6, 4, 4)


@pytest.mark.parametrize("dtype", [np.int8, np.uint64, np.float16, np.float64, ">i4", bool])
def test_labels_of_every_numeric_type_mean_the_same(tmp_path, dtype):
    path = saved(tmp_path / "mine.npz", train_labels=np.array([0, 1, 0, 1, 0, 1]).astype(dtype))
    assert load(path).train.labels.tolist() == [0, 1, 0, 1, 0, 1]


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_order_in_memory_does_not_turn_images(tmp_path, order):
    images = arrays()["train_images"]
    path = saved(tmp_path / "mine.npz", train_images=np.asarray(images, order=order))
    assert np.array_equal(load(path).train.images[..., 0], images)


def test_larger_images_are_resized_only_when_asked(tmp_path):
    flat = {
        f"{s}_images": np.full((n, 56, 56, 3), 40 * n, np.uint8) for s, n in (("train", 6), ("val", 4), ("test", 4))
    }
    path = saved(tmp_path / "mine.npz", **flat)
    with pytest.raises(DataError, match=r"56 x 56.*`size: 28`, or any size .* such as the 56"):
        load(path)
    with pytest.raises(DataError, match=r"56 x 56.*`size: 28`, or any size .* such as the 56"):
        data.npz_sizes(path, classes=None, size=None)
    mine = load(path, size=28)
    assert mine.train.images.shape == (6, 28, 28, 3)
    assert np.all(mine.train.images == 240)
    assert data.npz_sizes(path, classes=None, size=28).image_shape == (28, 28, 3)


def test_resizing_averages_blocks_of_pixels(tmp_path):
    """Half a side with a triangle filter: a linear ramp stays linear (borders aside)."""
    ramp = np.broadcast_to(np.arange(56, dtype=np.uint8) * 4, (56, 56))
    images = {f"{s}_images": np.stack([ramp] * n) for s, n in (("train", 6), ("val", 4), ("test", 4))}
    small = load(saved(tmp_path / "mine.npz", **images), size=28).train.images[0, :, :, 0]
    assert np.all(small == small[0])
    assert np.all(np.diff(small[0, 1:-1].astype(int)) == 8)


def test_a_class_may_be_absent_from_validation_and_test(tmp_path):
    path = saved(tmp_path / "mine.npz", val_labels=np.zeros(4, int), test_labels=np.ones(4, int))
    assert load(path).per_class("validation") == [4, 0]
    assert load(path).per_class("test") == [0, 4]


IMAGES = np.zeros((6, 28, 28), np.uint8)
WRONG_ARRAYS = {
    "an array is missing": ({"val_labels": None}, "no array val_labels; it has test_images"),
    "all arrays are missing": (dict.fromkeys(ARRAYS) | {"x": np.zeros(1)}, "it has x"),
    "images are floats": ({"train_images": IMAGES / 255}, "float64, but images are uint8"),
    "images are 16-bit": ({"train_images": IMAGES.astype(np.uint16)}, "uint16, but images are uint8"),
    "images are flat": ({"train_images": IMAGES.reshape(6, -1)}, r"shape \(6, 784\)"),
    "channels come first": ({"train_images": np.zeros((6, 3, 28, 28), np.uint8)}, r"transpose\(0, 2, 3, 1\)"),
    "four channels": ({"train_images": np.zeros((6, 28, 28, 4), np.uint8)}, r"\(6, 28, 28, 4\)"),
    "volumes": ({"train_images": np.zeros((6, 28, 28, 28, 1), np.uint8)}, r"\(6, 28, 28, 28, 1\)"),
    "no images": (
        {"train_images": np.zeros((0, 28, 28), np.uint8), "train_labels": np.zeros(0, int)},
        "holds no image",
    ),
    "images without pixels": ({"val_images": np.zeros((4, 0, 28), np.uint8)}, "holds no image"),
    "splits differ in size": ({"test_images": np.zeros((4, 32, 32), np.uint8)}, r"test_images \(32, 32, 1\)"),
    "splits differ in channels": ({"test_images": np.zeros((4, 28, 28, 3), np.uint8)}, r"test_images \(28, 28, 3\)"),
    "one label too few": ({"train_labels": np.zeros(5, int)}, "holds 6 images, but train_labels 5 labels"),
    "labels are text": ({"train_labels": np.array(list("abcdef"))}, "type <U1, but labels are"),
    "labels are dates": ({"train_labels": np.zeros(6, "M8[D]")}, r"datetime64\[D\], but labels are"),
    "labels are complex": ({"train_labels": np.zeros(6, complex)}, "complex128, but labels are"),
    "labels are one-hot": (
        {"train_labels": np.eye(3, dtype=int)[[0, 1, 2, 0, 1, 2]]}
        | {f"{split}_labels": np.eye(3, dtype=int)[[0, 1, 2, 0]] for split in ("val", "test")},
        r"exactly one of the 3 columns.*one-hot.*labels\.argmax\(axis=1\)",
    ),
    "findings in training alone": (
        {"train_labels": np.ones((6, 3), int)},
        "labels differ in columns: train_labels 3, val_labels 1, test_labels 1",
    ),
    "labels are cubes": ({"train_labels": np.ones((6, 3, 2), int)}, r"shape \(6, 3, 2\), but labels are"),
    "labels without columns": ({"train_labels": np.ones((6, 0), int)}, r"shape \(6, 0\), but labels are"),
    "a single label": ({"train_labels": np.array(1)}, r"shape \(\)"),
    "labels are records": ({"train_labels": np.zeros(6, [("a", int)])}, "does not begin as a plain NumPy array"),
    "a label is NaN": ({"train_labels": np.array([0, 1, np.nan, 1, 0, 1])}, "1 of 6 labels .* first is nan"),
    "a label is infinite": ({"train_labels": np.array([0, 1, np.inf, 1, 0, 1])}, "first is inf"),
    "a label is a half": ({"train_labels": np.array([0, 1, 0.5, 1, 0, 1])}, "first is 0.5"),
    "a label is negative": ({"train_labels": np.array([0, 1, -1, 1, 0, 1])}, "first is -1"),
    "a label is huge": ({"train_labels": np.array([0, 1, 2**63, 1, 0, 1], np.uint64)}, "outside"),
    "a label is wild": (
        {"train_labels": np.array([0, 1, 10**8, 1, 0, 1])},
        r"100000000 \(1 image\), but the labels of 3 classes are 0 to 2",
    ),
    "a label is too large": ({"test_labels": np.array([0, 1, 2, 1])}, r"test split: 1 of 4 .* 0\.\.1"),
    "a class is never shown": ({"train_labels": np.array([0, 2, 0, 2, 0, 2])}, "without gaps, alike in all splits"),
    "labels begin at 1": ({"train_labels": np.array([1, 2, 1, 2, 1, 2])}, r"found are 1 \(3 images\).*subtract 1"),
    "labels are -1 and 1": ({"train_labels": np.array([-1, 1, 1, 1, -1, 1])}, r"-1 \(2 images\).*Replace -1 by 0"),
    "labels are 0 and 255": ({"train_labels": np.array([0, 255, 0, 0, 0, 0], np.uint8)}, "255.*Divide them by 255"),
    "labels are 3 and 7": ({"train_labels": np.array([3, 7, 3, 3, 7, 7])}, "Write 0 in place of 3 and 1 in place of 7"),
    "labels are years": ({"train_labels": 2000 + np.arange(6)}, r"2005 \(1 image\).*without gaps"),
    "one class only": ({"train_labels": np.zeros(6, int)}, "one class only"),
}


FEW = {"train": 6, "val": 4, "test": 4}


def graded(low, high, kind) -> np.ndarray:
    """Six images whose values go from one to the other, the least and the greatest in the midst."""
    values = np.roll(np.linspace(low, high, 6 * 784), 2000)
    return values.astype(kind).reshape(6, 28, 28)


ADVICE = {
    "black and white": (graded(0, 1, bool), "save images.astype(np.uint8) * 255."),
    "0 to 1": (graded(0, 1, np.float32), r"from 0 to 1: if 1 is white, save np.round(images * 255).astype(np.uint8)."),
    "-1 to 1": (graded(-1, 1, np.float64), "from -1 to 1: if -1 is black and 1 white, save np.round((images + 1) *"),
    "-1 to 0.5": (graded(-1, 0.5, np.float64), "from -1 to 0.5: if -1 is black"),
    "whole numbers of 0 to 255": (
        graded(0, 255, np.int16),
        "from 0 to 255: if all lie in 0 to 255, save images.astype",
    ),
    "whole numbers of 0 and 1": (graded(0, 1, np.int16), "from 0 to 1: if all lie in 0 to 255, save images.astype"),
    "floats of 0 to 255": (
        graded(0, 255, np.float32),
        "from 0 to 255: if all lie in 0 to 255, save np.round(images).as",
    ),
    "0 to 256": (
        graded(0, 256, np.int32),
        "from 0 to 256. Which range of them is to become 0 to 255 is a medical choice",
    ),
    "below 0": (graded(-2, 1, np.float32), "from -2 to 1. Which range of them"),
    "words": (np.full((6, 28, 28), "a"), "Save plain numbers."),
    "no pixels": (np.zeros((6, 0, 28), np.int16), "Save plain numbers."),
}


@pytest.mark.parametrize("values", ADVICE)
def test_how_to_make_eight_bits_of_other_values_depends_on_their_range(tmp_path, values):
    images, advice = ADVICE[values]
    with pytest.raises(DataError, match=re.escape(advice)) as error:
        load(saved(tmp_path / "mine.npz", train_images=images))
    assert f"train_images has type {images.dtype}, but images are uint8, 0 to 255. " in said(error)


@pytest.mark.parametrize(("kind", "payload"), [("<u2", bytes(2 * 4704)), ("|u1", bytes(4703)), ("|u1", bytes(4705))])
def test_an_array_of_another_length_than_its_header_says_is_refused_before_it_is_read(tmp_path, kind, payload):
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': (6, 28, 28), }}"
    path = with_member(tmp_path / "mine.npz", "train_images", npy(header, payload))
    found = "has type uint16" if kind == "<u2" else f"should have 4,704 bytes, but has {len(payload):,}"
    with open(path, "rb") as file, pytest.raises(DataError, match=f"train_images {found}"):
        npz.read_headers(file, where="mine.npz", max_bytes=10**9)


def test_an_array_of_a_type_that_is_none_is_refused(tmp_path):
    header = "{'descr': '<i3', 'fortran_order': False, 'shape': (6,), }"
    with pytest.raises(DataError, match=r"mine\.npz is not a complete \.npz file"):
        load(with_member(tmp_path / "mine.npz", "train_labels", npy(header, bytes(18))))


@pytest.mark.parametrize(("others", "end"), [(7, "val_images, val_labels. Exp"), (8, "val_images and 1 more. Exp")])
def test_of_the_arrays_that_are_there_at_most_twelve_are_named(tmp_path, others, end):
    more = {f"a{number}": np.zeros(1) for number in range(others)}
    with pytest.raises(DataError, match=re.escape(end)):
        load(saved(tmp_path / "mine.npz", test_labels=None, **more))


@pytest.mark.parametrize(("channels", "right"), [(1, True), (2, False), (3, True), (4, False)])
def test_images_have_one_channel_or_three(tmp_path, channels, right):
    path = saved(
        tmp_path / "mine.npz",
        **{f"{split}_images": np.ones((n, 28, 28, channels), np.uint8) for split, n in FEW.items()},
    )
    if right:
        assert load(path).image_shape == (28, 28, channels)
        return
    with pytest.raises(DataError, match=r"images are \(N, H, W\), \(N, H, W, 1\) or \(N, H, W, 3\)"):
        load(path)


@pytest.mark.parametrize(("shape", "told"), [((6, 3, 28, 28), True), ((6, 1, 28, 28), True), ((6, 28, 3, 28), False)])
def test_channels_that_come_first_are_told_to_move(tmp_path, shape, told):
    with pytest.raises(DataError, match="train_images has the shape") as error:
        load(saved(tmp_path / "mine.npz", train_images=np.zeros(shape, np.uint8)))
    assert ("Move the channels to the end" in said(error)) == told


def test_a_pipe_is_not_waited_for_and_a_missing_file_is_missing_whatever_its_letters(tmp_path):
    os.mkfifo(tmp_path / "pipe.npz")
    with pytest.raises(DataError, match=r"is a pipe, socket or device, but an \.npz file is expected"):
        load(tmp_path / "pipe.npz")
    for name in ("gone.npz", "bénin.npz"):
        with pytest.raises(DataError, match=r"does not exist\. Check the path"):
            load(tmp_path / name)


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([1, 2, 3], "subtract 1"),
        ([1, 3, 4], "without gaps, alike"),
        (np.arange(6) + 1, "6 (1 image), but the labels of 6"),
        (np.arange(7) + 1, "6 (1 image) and 1 other values, but the labels of 7 classes are 0 to 6"),
    ],
)
def test_labels_that_are_no_class_numbers_are_told_how_to_become_some(labels, message):
    with pytest.raises(DataError, match=re.escape(message)):
        dataset.numbered_classes(np.array(labels), where="mine.npz")


def test_labels_of_named_classes_that_begin_at_1_are_told_so():
    for labels, message in (([1, 2, 3], "begin at 1: subtract 1"), ([1, 2, 4], "numbered from 0, and there are 3")):
        with pytest.raises(DataError, match=message):
            dataset.class_numbers(np.array(labels), classes=3, where="mine.npz")


@pytest.mark.parametrize(
    ("names", "shown"),
    [("abcdef", "6 names (a, b, c, d, e, f), but the labels"), ("abcdefg", "7 names (a, b, c, d, e, f, ...), but")],
)
def test_of_names_that_do_not_fit_at_most_six_are_shown(tmp_path, names, shown):
    with pytest.raises(DataError, match=re.escape(shown)):
        load(saved(tmp_path / "mine.npz"), classes=list(names))


def test_a_named_class_may_be_absent_from_validation_and_test(tmp_path):
    mine = load(saved(tmp_path / "mine.npz", train_labels=np.arange(6) % 3), classes=["a", "b", "c"])
    assert [mine.per_class(split) for split in SPLITS] == [[2, 2, 2], [2, 2, 0], [2, 2, 0]]


@pytest.mark.parametrize("wrong", WRONG_ARRAYS)
def test_wrong_arrays_are_one_message(tmp_path, wrong):
    changed, message = WRONG_ARRAYS[wrong]
    with pytest.raises(DataError, match=message) as error:
        load(saved(tmp_path / "mine.npz", **changed))
    assert "mine.npz" in said(error)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (["cat"], r"one class only \(cat\)"),
        (["cat", "dog", "eel"], r"3 names \(cat, dog, eel\), but the labels are 0 to 1"),
        (["cat", "cat"], "same name: cat"),
        (["cat", " "], "empty name"),
        (["cat", "\udcff"], r"b'\\xff' is not UTF-8"),
        (["cat", "\ud800"], r"b'\\xed\\xa0\\x80' is not UTF-8"),
        ([*"dcbadcba", "e"], "same name: a, b, c, d"),
        ([], r"one class only \(none\)"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(tmp_path, classes, message):
    with pytest.raises(DataError, match=message) as error:
        load(saved(tmp_path / "mine.npz"), classes=classes)
    said(error)


class Evil:
    def __reduce__(self):
        return os.mkdir, (self.folder,)


@pytest.mark.parametrize("name", ARRAYS)
def test_pickles_are_refused_and_never_run(tmp_path, name):
    evil = Evil()
    evil.folder = str(tmp_path / "pwned")
    array = np.empty(6, object)
    array[:] = [evil] * 6
    path = saved(tmp_path / "mine.npz", **{name: array})
    for read in (load, lambda p: data.npz_sizes(p, classes=None, size=None)):
        with pytest.raises(DataError, match="holds Python objects"):
            read(path)
    assert not (tmp_path / "pwned").exists()
    assert pickle.dumps(evil)  # it would have run


def test_a_bare_pickle_is_no_data_set(tmp_path):
    path = tmp_path / "mine.npz"
    path.write_bytes(pickle.dumps({"train_images": 1}))
    with pytest.raises(DataError, match=r"mine.npz is a Python pickle, but an \.npz file is expected"):
        load(path)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    zeros = np.zeros((200_000, 28, 28), np.uint8)  # 150 MB that pack into 150 kB
    path = saved(tmp_path / "mine.npz", train_images=zeros, train_labels=np.zeros(200_000, np.uint8))
    del zeros
    assert path.stat().st_size < 10**6
    with pytest.raises(DataError, match=r"157,\d+,\d+ bytes in memory, more than the limit of 10,000,000"):
        load(path, max_bytes=10**7)


@pytest.mark.parametrize(
    "header",
    [
        "{'descr': '|u1', 'fortran_order': False, 'shape': (99999999999, 28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (-6, -28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (True, 28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (6.0, 28, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (6, 28), }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': " + "(" * 300 + ")" * 300 + ", }",
        "{'descr': '|u1', 'fortran_order': False, 'shape': (" + "-" * 3000 + "6,), }",
        "{'descr': ('|u1', (28, 28)), 'fortran_order': False, 'shape': (6,), }",
        "{'descr': '|V0', 'fortran_order': False, 'shape': (6, 28, 28), }",
        "{'descr': __import__('os').mkdir('pwned'), 'fortran_order': False, 'shape': (6, 28, 28), }",
        "{'descr': '|u1', 'shape': (6L, 28L, 28L), 'fortran_order': 'maybe', }",
        "{'descr': '|u1",
        "'''",
        "",
        "[" * 9000,
    ],
)
@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0), (9, 9)])
def test_headers_that_lie_are_refused(tmp_path, header, version):
    content = npy(header, bytes(6 * 28 * 28), version)
    with pytest.raises(DataError, match=r"mine\.npz.*train_images") as error:
        load(with_member(tmp_path / "mine.npz", "train_images", content))
    said(error)


def test_a_zip_that_lies_about_sizes_is_refused(tmp_path):
    """The zip directory promises few bytes, the array's header many, and the stream gives many."""
    path = saved(tmp_path / "mine.npz")
    content = bytearray(path.read_bytes())
    entry = content.rindex(b"PK\x01\x02", 0, content.rindex(b"train_images.npy"))
    content[entry + 24 : entry + 28] = struct.pack("<I", 200)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"not a complete \.npz file"):
        load(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_packing_that_numpy_does_not_write_is_refused(tmp_path, method):
    path = with_member(tmp_path / "mine.npz", "train_images", b"x", compress_type=method)
    with pytest.raises(DataError, match="packed by a method"):
        load(path)


def test_an_encrypted_array_is_refused(tmp_path):
    path = saved(tmp_path / "mine.npz")
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1  # of the first array, as the zip file's directory describes it
    path.write_bytes(content)
    with pytest.raises(DataError, match="train_images is encrypted"):
        load(path)


def test_a_damaged_byte_is_found_by_the_zips_checksum(tmp_path):
    path = tmp_path / "mine.npz"
    np.savez(path, **arrays())  # stored: pixels stand there as they are
    content = bytearray(path.read_bytes())
    place = content.index(arrays()["train_images"][2].tobytes())
    content[place] ^= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="Bad CRC"):
        load(path)


def test_each_cut_off_file_is_refused(tmp_path):
    content = saved(tmp_path / "mine.npz").read_bytes()
    path = tmp_path / "cut.npz"
    for length in [*range(0, len(content), 97), len(content) - 1]:
        path.write_bytes(content[:length])
        with pytest.raises(DataError, match=r"cut.npz is (not a complete|an empty file, but an) \.npz file"):
            load(path)


def test_paths_that_are_no_file_are_named(tmp_path):
    with pytest.raises(DataError, match="is a folder"):
        load(tmp_path)
    with pytest.raises(DataError, match="does not exist"):
        load(tmp_path / "absent.npz")
    with pytest.raises(DataError, match="null"):
        load(Path("a\0b.npz"))


def test_a_link_that_leads_nowhere_is_told_from_one_that_leads_to_itself(tmp_path):
    (tmp_path / "lost.npz").symlink_to(tmp_path / "nowhere.npz")
    with pytest.raises(DataError, match=r"lost\.npz is a link to .*nowhere\.npz, which is not there"):
        load(tmp_path / "lost.npz")
    (tmp_path / "round.npz").symlink_to(tmp_path / "round.npz")
    with pytest.raises(DataError, match=r"round\.npz cannot be read .*symbolic links"):
        load(tmp_path / "round.npz")


def test_a_process_that_takes_names_for_ascii_is_told_so_of_a_file_it_cannot_find(tmp_path):
    saved(tmp_path / "Müller.npz")
    code = (
        "import pathlib\nfrom medaug_keras.data import DataError, npz\n"
        f"try:\n    npz.opened(pathlib.Path({str(tmp_path)!a}, 'M\\xfcller.npz')).__enter__()\n"
        "except DataError as error:\n    print(ascii(str(error)))"
    )
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    found = subprocess.run([sys.executable, "-c", code], env=os.environ | ascii_only, capture_output=True, text=True)
    assert "Set PYTHONUTF8=1" in found.stdout, found.stderr


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_an_unreadable_file_is_named(tmp_path):
    path = saved(tmp_path / "mine.npz")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        load(path)


def read_or_refuse(path, content):
    """Either a data set whose arrays keep the promise, or a DataError; nothing else."""
    path.write_bytes(content)
    try:
        mine = load(path, max_bytes=10**6)
    except DataError:
        return False
    for split in SPLITS:
        images, labels = getattr(mine, split).images, getattr(mine, split).labels
        assert images.dtype == np.uint8
        assert images.shape == (len(labels), 28, 28, images.shape[3])
        assert labels.min() >= 0
        assert labels.max() < len(mine.classes)
    return True


def test_files_with_wrong_bytes_are_read_or_refused(tmp_path):
    """Seeded, so that a failure can be repeated; the zip's checksums are left wrong."""
    good = saved(tmp_path / "good.npz").read_bytes()
    rng = random.Random(0)
    for _ in range(400):
        content = bytearray(good)
        # Half of the changes go to the directory at the end, which is where a zip file is fragile.
        start = len(content) - 900 if rng.random() < 0.5 else 0
        for _ in range(rng.randint(1, 8)):
            content[rng.randrange(start, len(content))] = rng.randrange(256)
        read_or_refuse(tmp_path / "bad.npz", bytes(content))


HEADER_PIECES = st.one_of(
    st.sampled_from(("'descr'", "'shape'", "'fortran_order'", "'|u1'", "'<i8'", "'|O'", "28", "True")),
    st.sampled_from(":,{}()[]-0L \n\\'\"#\0\xff"),
)


@settings(max_examples=150)
@given(
    name=st.sampled_from(ARRAYS),
    header=st.one_of(
        st.lists(HEADER_PIECES, max_size=30).map("".join),
        st.builds(
            "{{'descr': {}, 'fortran_order': {}, 'shape': ({},), }}".format,
            st.sampled_from(["'|u1'", "'<i8'", "'|O'", "'<f2'", "'|V0'", "'?'", "'zz'", "[('a', '|u1')]", "['', 3]"]),
            st.sampled_from(["True", "False", "0", "None"]),
            st.lists(st.integers(-3, 2**70), max_size=5).map(lambda n: ", ".join(map(str, n)) or "6"),
        ),
    ),
    payload=st.binary(max_size=40),
)
@example("train_images", "{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }", b"")
def test_fuzzed_array_headers_are_read_or_refused(tmp_path_factory, name, header, payload):
    path = tmp_path_factory.getbasetemp() / "fuzz.npz"
    with_member(path, name, npy(header, payload))
    assert not read_or_refuse(path, path.read_bytes())


@settings(max_examples=150)
@given(st.binary(max_size=400), st.booleans())
def test_fuzzed_bytes_are_refused(tmp_path_factory, content, like_a_zip):
    path = tmp_path_factory.getbasetemp() / "fuzz.npz"
    assert not read_or_refuse(path, b"PK\x03\x04" + content + b"PK\x05\x06" + bytes(18) if like_a_zip else content)


# --- own folders -----------------------------------------------------------------------------------


def folder(root, *, validation="val", suffix=".png", mode="L", size=(28, 28)):
    """3 + 1 + 1 images of two classes, each of one brightness."""
    value = itertools.count(10, 10)
    for split, n in (("train", 3), (validation, 1), ("test", 1)):
        for kind in ("benign", "malignant"):
            place = root / split / kind
            place.mkdir(parents=True)
            for i in range(n):
                Image.new(mode, size, next(value) if mode == "L" else (next(value), 0, 0)).save(place / f"{i}{suffix}")
    return root


def load_folder(root, **settings):
    return data.load_folder(root, **({"name": "mine", "title": "Mine", "size": None, "colour": None} | settings))


@pytest.mark.parametrize("validation", ["val", "validation"])
def test_a_folder_is_read_in_the_order_of_its_names(tmp_path, validation):
    root = folder(tmp_path / "mine", validation=validation)
    mine = load_folder(root)
    assert mine.classes == ("benign", "malignant")
    assert mine.train.images[:, 5, 5, 0].tolist() == [10, 20, 30, 40, 50, 60]
    assert mine.train.labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert mine.md5 == data.folder_fingerprint(root, cache=None)
    assert data.folder_sizes(root, size=None, colour=None) == data.Sizes((28, 28, 1), ("benign", "malignant"), 6, 2, 2)


def test_rgb_jpegs_are_read_in_colour(tmp_path):
    mine = load_folder(folder(tmp_path / "mine", suffix=".JPG", mode="RGB"))
    assert mine.image_shape == (28, 28, 3)
    assert np.all(np.ptp(mine.train.images[..., 0], axis=(1, 2)) <= 1)


def test_a_folder_is_resized_and_converted_only_when_asked(tmp_path):
    root = folder(tmp_path / "mine", size=(40, 40))
    Image.new("RGB", (56, 56), (9, 9, 9)).save(root / "train" / "benign" / "zz.png")
    with pytest.raises(DataError, match=r"40 x 40.*`size: 28`"):
        load_folder(root)
    with pytest.raises(DataError, match=r"zz.png is 28 x 28 RGB, but .* grey.*`colour: grey`"):
        load_folder(root, size=28)
    mine = load_folder(root, size=28, colour="grey")
    assert mine.image_shape == (28, 28, 1)
    assert load_folder(root, size=28, colour="rgb").image_shape == (28, 28, 3)
    assert data.folder_sizes(root, size=28, colour="rgb").image_shape == (28, 28, 3)


def test_what_systems_leave_in_folders_is_not_read(tmp_path):
    root = folder(tmp_path / "mine")
    before = data.folder_fingerprint(root, cache=None)
    (root / ".DS_Store").write_bytes(b"x")
    (root / "train" / "benign" / "Thumbs.db").write_bytes(b"x")
    (root / "notes.txt").write_text("beside the splits, so not of them")
    assert data.folder_fingerprint(root, cache=None) == before
    assert len(load_folder(root).train.labels) == 6


def test_the_fingerprint_of_a_folder_follows_names_and_contents(tmp_path):
    root = folder(tmp_path / "mine")
    seen = {data.folder_fingerprint(root, cache=None)}
    file = root / "train" / "benign" / "0.png"
    file.rename(file.with_name("9.png"))
    seen.add(data.folder_fingerprint(root, cache=None))
    file.with_name("9.png").rename(root / "train" / "malignant" / "9.png")
    seen.add(data.folder_fingerprint(root, cache=None))
    Image.new("L", (28, 28), 11).save(root / "train" / "malignant" / "9.png")
    seen.add(data.folder_fingerprint(root, cache=None))
    assert len(seen) == 4


def _not_png(root):
    (root / "train" / "benign" / "0.gif").write_bytes(b"GIF89a")


def _cut_off(root):
    file = root / "train" / "benign" / "1.png"
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), np.uint8)
    Image.fromarray(noise).save(file)
    file.write_bytes(file.read_bytes()[:300])


def _huge(root):
    content = bytearray((root / "train" / "benign" / "0.png").read_bytes())
    content[16:24] = struct.pack(">II", 60_000, 60_000)
    content[29:33] = struct.pack(">I", __import__("zlib").crc32(content[12:29]))
    (root / "train" / "benign" / "0.png").write_bytes(content)


def _remove(*names):
    def remove(root):
        for name in names:
            place = root / name
            for file in sorted(place.rglob("*"), reverse=True):
                file.rmdir() if file.is_dir() else file.unlink()
            place.rmdir()

    return remove


WRONG_FOLDERS = {
    "no test split": (_remove("test"), "Found are train, val; missing: test"),
    "two validation splits": (lambda root: (root / "validation").mkdir(), "validation and val are both there"),
    "a class without training images": (
        lambda root: (root / "train" / "normal").mkdir(),
        r"no training image of class 2 \(normal\)",
    ),
    "a class that training has not": (
        lambda root: (root / "test" / "norml").mkdir(),
        "class norml, which train has not",
    ),
    "one class only": (_remove("train/malignant", "val/malignant", "test/malignant"), "one class only"),
    "an empty split": (_remove("test/malignant", "test/benign"), "test holds no image"),
    "a file outside a class": (
        lambda root: (root / "train" / "a.png").write_bytes(b""),
        r"mine/train/a.png is an empty file, but not in a class's folder",
    ),
    "another kind of file": (_not_png, "0.gif is a GIF image, not an image file"),
    "a link to a folder in a class": (
        lambda root: (root / "train" / "benign" / "more").symlink_to(root),
        "more is a folder behind a link",
    ),
    "no image at all": (
        lambda root: (root / "train" / "benign" / "1.png").write_bytes(b"<html>"),
        "train/benign/1.png is an HTML page",
    ),
    "a cut-off image": (_cut_off, "train/benign/1.png is not a complete image"),
    "an image that claims to be huge": (_huge, "more than .* pixels"),
    "sizes differ": (
        lambda root: Image.new("L", (32, 32)).save(root / "test" / "benign" / "0.png"),
        "test/benign/0.png: the images are 32 x 32",
    ),
    "an oblong image": (
        lambda root: Image.new("L", (28, 32)).save(root / "test" / "benign" / "0.png"),
        "32 x 28",
    ),
    "16 bits": (
        lambda root: Image.new("I;16", (28, 28)).save(root / "test" / "benign" / "0.png"),
        "16 bits a value .*window and level",
    ),
    "transparent": (
        lambda root: Image.new("RGBA", (28, 28)).save(root / "test" / "benign" / "0.png"),
        "784 of its 784 pixels are not opaque",
    ),
    "grey and colour mixed": (
        lambda root: Image.new("RGB", (28, 28)).save(root / "test" / "benign" / "0.png"),
        "test/benign/0.png is 28 x 28 RGB, but 9 of 10 images are 28 x 28 grey",
    ),
}


@pytest.mark.parametrize("wrong", WRONG_FOLDERS)
def test_wrong_folders_are_one_message(tmp_path, wrong):
    spoil, message = WRONG_FOLDERS[wrong]
    root = folder(tmp_path / "mine")
    spoil(root)
    with pytest.raises(DataError, match=message) as error:
        load_folder(root)
    said(error)


def test_a_folder_that_is_none_is_named(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    for name, found in (("file", "an empty file"), ("absent", "not there")):
        for read in (load_folder, lambda p: data.folder_fingerprint(p, cache=None)):
            with pytest.raises(DataError, match=f"{name} is {found}, but a folder"):
                read(tmp_path / name)


def test_damaged_images_are_read_or_refused(tmp_path):
    root = folder(tmp_path / "mine")
    noise = np.random.default_rng(0).integers(0, 256, (28, 28, 3), np.uint8)
    file = root / "train" / "benign" / "0.png"
    goods = []
    for kind in ("PNG", "JPEG"):
        Image.fromarray(noise).convert("L").save(file, kind)
        goods.append(file.read_bytes())
    rng = random.Random(0)
    for _ in range(200):
        content = bytearray(rng.choice(goods))
        for _ in range(rng.randint(1, 4)):
            content[rng.randrange(len(content))] = rng.randrange(256)
        file.write_bytes(content[: rng.randint(1, 2 * len(content))])
        try:
            assert load_folder(root).train.images.shape == (6, 28, 28, 1)
        except DataError as error:
            assert "0.png" in str(error)  # noqa: PT017 (either outcome is right)


def test_a_folder_that_would_not_fit_is_refused(tmp_path):
    with pytest.raises(DataError, match="7,840 bytes in memory, more than the limit of 1,000"):
        load_folder(folder(tmp_path / "mine"), max_bytes=1000)


# --- phantoms --------------------------------------------------------------------------------------

PHANTOM = {"train": 120, "validation": 20, "test": 20, "seed": 0}


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
def test_a_phantom_is_the_same_every_time_and_other_with_another_seed(name):
    one, two = data.load_phantom(name, **PHANTOM), data.load_phantom(name, **PHANTOM)
    other = data.load_phantom(name, **(PHANTOM | {"seed": 1}))
    assert np.array_equal(one.train.images, two.train.images)
    assert not np.array_equal(one.train.images, other.train.images)
    assert one.md5 == two.md5 == data.phantom_fingerprint(name, **PHANTOM)
    assert one.md5 != other.md5


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("phantom-ultrasound", "cca1dce1af757981a74d5890a294705c"),
        ("phantom-histology", "48ef6481234d8f8b7954f744a2cd2bd6"),
        ("phantom-planted", "88bd8d127bc2f7519b55f18d1878ebff"),
    ],
)
def test_a_phantoms_bytes_change_only_with_its_version(name, digest):
    """If this fails after a change to the generator, raise its _VERSION, or old results pass for new ones."""
    images = data.load_phantom(name, **PHANTOM)
    content = b"".join(getattr(images, s).images.tobytes() + getattr(images, s).labels.tobytes() for s in SPLITS)
    assert hashlib.md5(content).hexdigest() == digest


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
def test_no_phantom_image_is_in_two_splits_or_twice_in_one(name):
    phantom = data.load_phantom(name, **PHANTOM)
    images = [image.tobytes() for s in SPLITS for image in getattr(phantom, s).images]
    assert len(set(images)) == len(images)


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
def test_phantoms_say_that_they_are_simulated(name):
    phantom = data.load_phantom(name, **PHANTOM)
    assert phantom.source == "simulated"
    for text in (phantom.title, phantom.description, phantom.licence, phantom.citation):
        assert "simulated" in text.lower()
    assert "not patients" in phantom.description


def test_the_ultrasound_phantom_is_as_unbalanced_as_breastmnist():
    phantom = data.load_phantom("phantom-ultrasound", train=546, validation=78, test=156, seed=3)
    assert [phantom.per_class(split) for split in SPLITS] == [[147, 399], [21, 57], [42, 114]]
    assert phantom.image_shape == (28, 28, 1)
    assert phantom.label_kind == "binary-class"


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
@settings(max_examples=15)
@given(train=st.integers(4, 300))
def test_every_phantom_split_has_the_asked_size_and_every_class(name, train):
    phantom = data.load_phantom(name, train=train, validation=4, test=5, seed=0)
    assert sum(phantom.per_class("train")) == train == len(phantom.train.images)
    assert all(min(phantom.per_class(split)) > 0 for split in SPLITS)
    sizes = data.phantom_sizes(name, train=train, validation=4, test=5)
    assert sizes == data.Sizes(phantom.image_shape, phantom.classes, train, 4, 5)


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
def test_phantom_pixels_use_the_range_without_sticking_to_its_ends(name):
    images = data.load_phantom(name, **PHANTOM).train.images
    assert np.ptp(images) > 200
    assert np.mean((images == 0) | (images == 255)) < 0.02


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
def test_pixels_alone_tell_something_of_the_class_but_not_all(name):
    """A linear classifier on pixels is better than guessing the frequent class and far from perfect."""
    from sklearn.linear_model import LogisticRegression

    phantom = data.load_phantom(name, train=546, validation=8, test=400, seed=0)
    flat = [split.images.reshape(len(split.labels), -1) / 255 for split in (phantom.train, phantom.test)]
    linear = LogisticRegression(C=0.02, max_iter=1000).fit(flat[0], phantom.train.labels)
    accuracy = linear.score(flat[1], phantom.test.labels)
    assert np.bincount(phantom.test.labels).max() / 400 + 0.05 < accuracy < 0.93


def test_the_planted_spot_is_on_the_left_in_training_and_on_either_side_in_test_images():
    phantom = data.load_phantom("phantom-planted", train=200, validation=60, test=200, seed=1)

    def on_the_left(split):
        images = getattr(phantom, split).images[..., 0].astype(float)
        return np.mean(images[:, :, :14].max(axis=(1, 2)) > images[:, :, 14:].max(axis=(1, 2)))

    assert on_the_left("train") == on_the_left("validation") == 1
    assert 0.4 < on_the_left("test") < 0.6


def test_the_planted_class_is_where_the_trail_points():
    """Brightness below the middle less brightness above it tells the classes apart."""
    phantom = data.load_phantom("phantom-planted", train=400, validation=10, test=10, seed=1)
    images = phantom.train.images[..., 0].astype(float)
    below = images[:, 16:].mean(axis=(1, 2)) - images[:, :12].mean(axis=(1, 2))
    down = phantom.train.labels == 1
    assert below[down].mean() > 0 > below[~down].mean()


def test_a_phantom_needs_an_image_of_each_class_and_the_plan_says_so():
    sizes = {"train": 100, "validation": 3, "test": 10}
    with pytest.raises(DataError, match="validation has 3 images, but 4 classes"):
        data.phantom_sizes("phantom-histology", **sizes)
    with pytest.raises(DataError, match="validation has 3 images, but 4 classes"):
        data.load_phantom("phantom-histology", seed=0, **sizes)


def test_a_phantom_that_does_not_exist_is_answered_with_those_that_do():
    with pytest.raises(DataError, match=r"phantom-xray is not a phantom.*phantom-ultrasound"):
        data.phantom_sizes("phantom-xray", train=9, validation=9, test=9)


# --- what pages show, and checksums ----------------------------------------------------------------


def test_examples_are_training_images_with_their_labels():
    phantom = data.load_phantom("phantom-histology", train=300, validation=9, test=9, seed=0)
    shown = data.examples(phantom, seed=5)
    labels = {image.tobytes(): label for image, label in zip(phantom.train.images, phantom.train.labels, strict=True)}
    assert shown["montage"].shape == (200, 28, 28, 3)
    assert [labels[i.tobytes()] for i in shown["montage"]] == shown["montage_labels"].tolist()
    assert len({i.tobytes() for i in shown["montage"]}) == 200
    assert shown["by_class"].shape == (4, 10, 28, 28, 3)
    for k in range(4):
        assert {labels[i.tobytes()] for i in shown["by_class"][k]} == {k}
    again = data.examples(phantom, seed=5)
    assert all(np.array_equal(shown[name], again[name]) for name in shown)
    assert not np.array_equal(shown["montage"], data.examples(phantom, seed=6)["montage"])


def test_examples_of_a_small_set_show_all_and_leave_the_rest_black():
    phantom = data.load_phantom("phantom-histology", train=12, validation=9, test=9, seed=0)
    shown = data.examples(phantom, seed=0)
    assert len(shown["montage"]) == 12
    assert shown["by_class_count"].tolist() == phantom.per_class("train")
    for k, count in enumerate(shown["by_class_count"]):
        assert not shown["by_class"][k, count:].any()
        assert shown["by_class"][k, :count].any(axis=(1, 2, 3)).all()


def settled(path, content):
    path.write_bytes(content)
    return path


@pytest.fixture
def unsettled_is_fine(monkeypatch):
    monkeypatch.setattr(checksums, "_SETTLED", -1.0)


@pytest.mark.usefixtures("unsettled_is_fine")
def test_a_remembered_sum_is_used_only_while_the_file_is_unchanged(tmp_path, monkeypatch):
    path, cache = settled(tmp_path / "a", b"one"), tmp_path / "cache" / "md5.json"
    reads = []
    original = checksums.md5_of_stream
    monkeypatch.setattr(checksums, "md5_of_stream", lambda f: reads.append(f.name) or original(f))
    assert data.md5_of_file(path, cache=cache) == hashlib.md5(b"one").hexdigest()
    assert data.md5_of_file(path, cache=cache) == hashlib.md5(b"one").hexdigest()
    assert len(reads) == 1
    times = path.stat()
    settled(path, b"two")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # same size, same time of change
    assert data.md5_of_file(path, cache=cache) == hashlib.md5(b"two").hexdigest()
    assert len(reads) == 2


@pytest.mark.usefixtures("unsettled_is_fine")
def test_a_sum_that_is_remembered_forgets_no_other(tmp_path, monkeypatch):
    paths, cache = [settled(tmp_path / name, name.encode()) for name in "ab"], tmp_path / "md5.json"
    sums = [data.md5_of_file(path, cache=cache) for path in paths]
    monkeypatch.setattr(checksums, "md5_of_stream", lambda file: pytest.fail(f"{file.name} is read again"))
    assert [data.md5_of_file(path, cache=cache) for path in paths] == sums


def test_a_file_that_may_still_be_changing_is_not_remembered(tmp_path):
    path, cache = settled(tmp_path / "a", b"one"), tmp_path / "md5.json"
    data.md5_of_file(path, cache=cache)
    assert not cache.exists()
    os.utime(path, (1, 1))  # as of a copy that keeps the times
    data.md5_of_file(path, cache=cache)
    assert not cache.exists()


@pytest.mark.usefixtures("unsettled_is_fine")
def test_of_a_cache_that_cannot_be_put_in_its_place_nothing_is_left(tmp_path, monkeypatch):
    def refuses(*_) -> None:
        raise OSError("no")

    path, cache = settled(tmp_path / "a", b"one"), tmp_path / "cache" / "md5.json"
    monkeypatch.setattr(os, "replace", refuses)
    assert data.md5_of_file(path, cache=cache) == hashlib.md5(b"one").hexdigest()
    assert list(cache.parent.iterdir()) == []


def test_a_file_whose_bytes_cannot_be_had_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone cannot be read \(No such file or directory\)"):
        data.md5_of_file(tmp_path / "gone", cache=None)
    with pytest.raises(DataError, match=r"cannot be read \(Is a directory\)"):
        data.md5_of_file(tmp_path, cache=None)


@pytest.mark.usefixtures("unsettled_is_fine")
@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b"\xff\xfe", b'{"a": 3}', b"[" * 100_000, b'{"%s": [1]}'])
def test_a_file_of_the_caches_name_that_is_no_cache_is_ignored_and_stays(tmp_path, damage):
    path, cache = settled(tmp_path / "a", b"one"), tmp_path / "md5.json"
    content = damage.replace(b"%s", str(path).encode())
    cache.write_bytes(content)
    for _ in range(2):
        assert data.md5_of_file(path, cache=cache) == hashlib.md5(b"one").hexdigest()
    assert cache.read_bytes() == content
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "md5.json"]


@pytest.mark.usefixtures("unsettled_is_fine")
def test_a_cache_that_cannot_be_written_is_no_error(tmp_path):
    path = settled(tmp_path / "a", b"one")
    assert data.md5_of_file(path, cache=path / "md5.json") == hashlib.md5(b"one").hexdigest()


@pytest.mark.usefixtures("unsettled_is_fine")
def test_many_at_once_do_not_tear_the_cache(tmp_path):
    cache = tmp_path / "md5.json"
    files = [settled(tmp_path / f"f{i}", bytes([i])) for i in range(20)]
    threads = [threading.Thread(target=data.md5_of_file, args=(f,), kwargs={"cache": cache}) for f in files]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert json.loads(cache.read_text())
    assert [data.md5_of_file(f, cache=cache) for f in files] == [hashlib.md5(bytes([i])).hexdigest() for i in range(20)]
