"""Every kind of data: what a study says of a data set is what is read, and can be asked without reading it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from medaug_keras import data
from medaug_keras.data.dataset import SPLITS
from medaug_keras.plan import located
from medaug_keras.spec import Study
from studies import PHANTOM, tiny

TRAIN = [0, 0, 0, 1, 1, 2]


def section(root: Path, **spec: Any) -> dict[str, Any]:
    study = Study.model_validate_json(json.dumps(tiny(datasets={"mine": spec})))
    return located(study, "mine", str(root))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    arrays = {}
    for split, labels in (("train", TRAIN), ("val", [0, 1, 2]), ("test", [0, 1, 2])):
        arrays[f"{split}_images"] = np.random.default_rng(len(labels)).integers(
            0, 256, (len(labels), 28, 28, 1), np.uint8
        )
        arrays[f"{split}_labels"] = np.array(labels)
    np.savez(tmp_path / "mine.npz", **arrays)
    return tmp_path / "mine.npz"


def test_what_a_study_says_of_an_npz_file_is_what_its_data_set_has(path):
    words = {"title": "My images", "licence": "CC0", "citation": "Me", "classes": ["a", "b", "c"]}
    mine = section(path.parent, kind="npz", path=str(path), **words)
    kind = data.KINDS["npz"]
    whole = kind.load(mine, None, None)
    assert (whole.name, whole.title, whole.licence, whole.citation) == ("mine", "My images", "CC0", "Me")
    assert whole.classes == kind.sizes(mine).classes == ("a", "b", "c")
    assert whole.image_shape == kind.sizes(mine).image_shape == (28, 28, 1)
    assert kind.fingerprint(mine, None) == whole.md5
    assert kind.place(mine) == path
    assert list(kind.class_counts(mine)) == whole.per_class("train") == [3, 2, 1]
    plain = kind.load(section(path.parent, kind="npz", path=str(path)), None, None)
    assert (plain.title, plain.classes) == ("mine", ("0", "1", "2"))


def test_a_phantom_has_the_images_that_a_study_says_and_lies_nowhere(tmp_path):
    mine, kind = section(tmp_path, **PHANTOM), data.KINDS["phantom"]
    whole = kind.load(mine, None, None)
    assert [len(getattr(whole, split).labels) for split in SPLITS] == [PHANTOM[split] for split in SPLITS]
    assert kind.fingerprint(mine, None) == whole.md5
    assert kind.fingerprint(section(tmp_path, **PHANTOM | {"seed": 7}), None) != whole.md5
    assert kind.place(mine) is None


def test_the_classes_of_a_medmnist_file_are_counted_only_where_it_is(path):
    mine, kind = section(path.parent, kind="medmnist", name="bloodmnist"), data.KINDS["medmnist"]
    assert list(kind.class_counts(mine)) == []
    assert kind.fingerprint(mine, None) == kind.official(mine) == data.medmnist_info("bloodmnist")["MD5"]
    path.rename(kind.place(mine))
    assert list(kind.class_counts(mine)) == [3, 2, 1]
    assert kind.fingerprint(mine, None) == hashlib.md5(kind.place(mine).read_bytes()).hexdigest()


def test_a_medmnist_file_of_another_size_is_known_by_its_own_sum(tmp_path):
    mine, kind = section(tmp_path, kind="medmnist", name="bloodmnist", size=64), data.KINDS["medmnist"]
    assert kind.fingerprint(mine, None) == kind.official(mine) == data.medmnist_info("bloodmnist")["MD5_64"]


def test_a_folder_of_colors_read_as_gray_has_one_channel_before_and_after_it_is_read(tmp_path):
    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for label in "ab":
            (tmp_path / split / label).mkdir(parents=True)
            Image.fromarray(rng.integers(0, 256, (28, 28, 3), np.uint8)).save(tmp_path / split / label / "0.png")
    for colour, channels in (("grey", 1), ("rgb", 3)):
        mine, kind = section(tmp_path, kind="folder", path=str(tmp_path), colour=colour), data.KINDS["folder"]
        assert kind.sizes(mine).image_shape == kind.load(mine, None, None).image_shape == (28, 28, channels)
