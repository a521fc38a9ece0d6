"""Names and groups of the images of an .npz file: in the key by what they say, refused where they do not fit."""

from pathlib import Path

import numpy as np
import pytest

from medaug_keras import data
from medaug_keras.data import DataError, Ids, named
from medaug_keras.data.ids import fingerprint_with

ROWS = [f"{split},{i},p{i // 2},{split}{i}" for split, n in (("train", 4), ("val", 2), ("test", 2)) for i in range(n)]


@pytest.fixture
def arrays(tmp_path: Path) -> data.Dataset:
    """Four training images and two of each other split."""
    rng = np.random.default_rng(0)
    counts = {"train": 4, "val": 2, "test": 2}
    images = {f"{split}_images": rng.integers(0, 256, (n, 28, 28), np.uint8) for split, n in counts.items()}
    labels = {f"{split}_labels": np.arange(n) % 2 for split, n in counts.items()}
    np.savez(tmp_path / "mine.npz", **images, **labels)
    return data.load_npz(tmp_path / "mine.npz", name="m", title="M", classes=None, size=None)


def written(folder: Path, rows: list[str], header: str = "split,index,who,file") -> Ids:
    (folder / "ids.csv").write_text("\n".join([header, *rows]))
    return Ids(path=folder / "ids.csv", group="who", image="file")


def test_every_image_gets_its_name_and_group_whatever_the_order_of_rows(tmp_path, arrays):
    for rows in (ROWS, ROWS[::-1]):
        some = named(arrays, written(tmp_path, rows))
        assert some.train.groups == ("p0", "p0", "p1", "p1")
        assert some.test.ids == ("test0", "test1")
        assert some.fingerprint == fingerprint_with(arrays.md5, written(tmp_path, ROWS), None) != arrays.fingerprint


def test_another_group_is_another_fingerprint_and_another_column_is_not(tmp_path, arrays):
    before = fingerprint_with(arrays.md5, written(tmp_path, ROWS), None)
    assert (
        fingerprint_with(arrays.md5, written(tmp_path, [row + ",x" for row in ROWS], "split,index,who,file,age"), None)
        == before
    )
    assert fingerprint_with(arrays.md5, written(tmp_path, [ROWS[0].replace("p0", "p9"), *ROWS[1:]]), None) != before


WRONG = {
    "a row too few": (ROWS[:-1], "test split has 2 images, and the table 1 rows of it, none of index 1"),
    "a row too many": ([*ROWS, "train,4,p9,x"], "train split has 4 images, and the table 5 rows of it, one of index 4"),
    "a row twice": ([*ROWS, ROWS[0]], "row 10 with a split and index that an earlier row has"),
    "an index from 1": ([row.replace("train,0", "train,4") for row in ROWS], "none of index 0"),
    "an index that is none": ([row.replace("train,0", "train,-1") for row in ROWS], "row 2 with an index .*'-1'"),
    "a split that is none": ([row.replace("val", "vla") for row in ROWS], "'vla' in rows 6 and 7"),
    "a missing group": ([row.replace("p1", "") for row in ROWS], "rows 4 and 5 without a value of `ids.group`"),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_a_table_that_does_not_fit_the_images_is_refused(tmp_path, arrays, wrong):
    rows, message = WRONG[wrong]
    with pytest.raises(DataError, match=message):
        named(arrays, written(tmp_path, rows))
    with pytest.raises(DataError, match="no column 'who'"):
        named(arrays, written(tmp_path, rows, "split,index,whom,file"))
