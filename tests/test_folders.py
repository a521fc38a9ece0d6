"""Folders of images: how they are laid out and named, and that all that is wrong is said at once."""

import os
import random
import subprocess
import sys
import unicodedata
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaug_keras import data
from medaug_keras.data import DataError
from medaug_keras.data.dataset import LINES

COUNTS = {"train": 6, "val": 2, "test": 2}


def folders(root: Path, classes=("benign", "malignant"), **counts: int) -> Path:
    """A good folder of random grey images."""
    rng = np.random.default_rng(0)
    for split, n in (COUNTS | counts).items():
        for name in classes:
            place = root / split / name
            place.mkdir(parents=True)
            for i in range(n):
                Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(place / f"{i}.png")
    return root


def load(root: Path, **settings) -> data.Dataset:
    return data.load_folder(root, **({"name": "mine", "title": "Mine", "size": None, "colour": None} | settings))


def refused(root: Path, **settings) -> list[str]:
    """The lines of the refusal."""
    with pytest.raises(DataError, match=r"mine|train|val|test") as error:
        load(root, **settings)
    return str(error.value).split("\n")


def renamed(root: Path, **names: str) -> Path:
    for old, new in names.items():
        (root / old).rename(root / new)
    return root


# --- everything at once ----------------------------------------------------------------------------


def test_all_bad_images_of_all_splits_are_named_at_once(tmp_path):
    root = folders(tmp_path / "mine")
    Image.new("L", (30, 28)).save(root / "train" / "benign" / "1.png")
    Image.new("RGB", (28, 28)).save(root / "train" / "malignant" / "2.png")
    (root / "val" / "benign" / "0.png").write_bytes(b"")
    (root / "val" / "benign" / "1.png").write_bytes(b"<html>")
    good = (root / "test" / "benign" / "0.png").read_bytes()
    (root / "test" / "benign" / "0.png").write_bytes(good[:200] + bytes([good[200] ^ 4]) + good[201:])
    found = refused(root)
    for name, what in {
        "train/benign/1.png": "28 x 30",
        "train/malignant/2.png": "is 28 x 28 RGB, but 15 of 16 images are 28 x 28 grey",
        "val/benign/0.png": "is an empty file",
        "val/benign/1.png": "is an HTML page",
        "test/benign/0.png": "checksum",
    }.items():
        assert any(line.startswith(name) and what in line for line in found), (name, found)
    assert len(found) == 5


@pytest.mark.parametrize("extra", [-1, 0, 1, 30])
def test_the_first_twenty_are_named_and_the_others_are_counted(tmp_path, extra):
    root = folders(tmp_path / "mine")
    for i in range(LINES + extra):
        (root / "train" / "benign" / f"bad{i:02}.png").write_bytes(b"")
    found = refused(root)
    assert found[:2] == [line for line in found if "bad00" in line or "bad01" in line]
    assert len(found) == min(LINES + extra, LINES + 1)
    assert (found[-1] == f"... and {extra} more") == (extra > 0)


def test_all_entries_that_do_not_belong_are_named_at_once(tmp_path):
    root = folders(tmp_path / "mine")
    (root / "train" / "notes.txt").write_text("hello")
    (root / "val" / "benign" / "new.png").symlink_to(tmp_path / "nowhere.png")
    (root / "test" / "benign" / "scan.nii").write_bytes(bytes(344) + b"n+1\0")
    os.mkfifo(root / "test" / "benign" / "pipe.png")
    expected = {
        "mine/train/notes.txt": "is a text file, but not in a class's folder",
        "mine/val/benign/new.png": f"is a link to {tmp_path / 'nowhere.png'}, which is not there",
        "mine/test/benign/scan.nii": "is a NIfTI volume",
        "mine/test/benign/pipe.png": "is a pipe",
    }
    for read in (load, lambda path: data.folder_fingerprint(path, cache=None)):
        with pytest.raises(DataError, match="mine/") as error:
            read(root)
        found = str(error.value).split("\n")
        assert len(found) == len(expected)
        for name, what in expected.items():
            assert any(line.startswith(f"{name} {what}") for line in found), (name, found)


@pytest.mark.parametrize(
    ("name", "content", "what"),
    [
        ("0.png", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git lfs pull"),
        ("0.jpg", b"RIFF\0\0\0\0WEBPVP8 ", "a WebP image"),
        ("0.jpeg", b"<!doctype html><title>Sign in</title>", "an HTML page"),
        ("0.png", b"GIF89a" + bytes(30), "a GIF image"),
    ],
)
def test_a_file_that_is_no_image_is_named_by_what_it_is(tmp_path, name, content, what):
    root = folders(tmp_path / "mine")
    (root / "val" / "malignant" / name).write_bytes(content)
    (line,) = refused(root)
    assert line.startswith(f"val/malignant/{name} is ")
    assert what in line


# --- how it is laid out ----------------------------------------------------------------------------

LAYOUTS = {
    "capitals": ({"train": "Train", "val": "Val", "test": "Test"}, ["Train to train", "Val to val", "Test to test"]),
    "shouted": ({"train": "TRAIN", "val": "VALIDATION"}, ["TRAIN to train", "VALIDATION to validation"]),
    "valid": ({"val": "valid"}, ["Found are test, train, valid", "missing: validation or val", "valid to val"]),
    "dev": ({"val": "dev", "train": "training"}, ["dev to val", "training to train"]),
    "no validation": ({"val": "more"}, ["Found are more, test, train", "missing: validation or val"]),
    "other words": (
        {"train": "a", "val": "b", "test": "c"},
        ["Found are a, b, c", "missing: train, validation or val"],
    ),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_that_is_not_ours_is_answered_with_what_is_there_and_what_is_expected(tmp_path, layout):
    names, said = LAYOUTS[layout]
    (line,) = refused(renamed(folders(tmp_path / "mine"), **names))
    for words in ("expected are the folders train, validation (or val) and test", *said):
        assert words in line


@pytest.mark.parametrize("splits", [("train", "val", "test"), ("Train", "Valid", "Test"), ("train", "test")])
def test_classes_before_splits_are_told_to_turn(tmp_path, splits):
    for name in ("benign", "malignant"):
        for split in splits:
            (tmp_path / "mine" / name / split).mkdir(parents=True)
    (line,) = refused(tmp_path / "mine")
    assert "Found are benign, malignant" in line
    assert "turn CLASS/train into train/CLASS" in line


def test_an_empty_folder_and_a_folder_of_files_are_told_what_is_expected(tmp_path):
    (tmp_path / "mine").mkdir()
    assert "Found are no folders; missing: train, validation or val, test" in refused(tmp_path / "mine")[0]
    (tmp_path / "mine" / "0.png").write_bytes(b"")
    assert "Found are no folders" in refused(tmp_path / "mine")[0]


def test_two_folders_of_one_split_are_named(tmp_path):
    root = folders(tmp_path / "mine")
    (root / "validation").mkdir()
    (line,) = refused(root)
    assert line.endswith("validation and val are both there; keep one of them.")


@pytest.mark.parametrize(("many", "end"), [(12, "l12; missing"), (13, "l12 and 1 more; missing")])
def test_at_most_twelve_folders_are_listed(tmp_path, many, end):
    for number in range(1, many + 1):
        (tmp_path / "mine" / f"l{number:02}").mkdir(parents=True)
    assert f"Found are l01, l02, l03, l04, l05, l06, l07, l08, l09, l10, l11, {end}" in refused(tmp_path / "mine")[0]


def test_what_is_no_folder_is_named_by_what_it_is(tmp_path):
    (tmp_path / "file").write_bytes(b"%PDF")
    (tmp_path / "link").symlink_to("nowhere")
    for name, what in {"file": "a PDF document", "gone": "not there", "link": "a link to "}.items():
        (line,) = refused(tmp_path / name)
        assert line.startswith(f"{tmp_path / name} is {what}")
        assert "but a folder of images is expected" in line


def test_a_split_without_images_is_named_unless_its_classes_are_what_is_wrong(tmp_path):
    root = folders(tmp_path / "mine", val=0)
    (line,) = refused(root)
    assert line.startswith("mine/val holds no image (.png, .jpg, .jpeg, .tif, .tiff, .bmp, .dcm) in a class folder")
    renamed(root / "val", benign="first", malignant="second")
    assert [line.partition(" has the class ")[0] for line in refused(root)] == ["mine/val"] * 2


def test_what_other_programs_leave_in_folders_is_passed_over(tmp_path):
    root = folders(tmp_path / "mine")
    before = load(root).md5
    for place in (root, root / "train", root / "val" / "benign"):
        for name in (".DS_Store", "Thumbs.db", "desktop.ini", "._0.png"):
            (place / name).write_bytes(b"x")
        (place / ".cache").mkdir()
    assert load(root).md5 == before == data.folder_fingerprint(root, cache=None)


def test_images_that_do_not_fit_into_memory_are_refused_before_they_are_read(tmp_path):
    root = folders(tmp_path / "mine")
    needed = 20 * 28 * 28
    assert len(load(root, max_bytes=needed).train.labels) == 12
    (line,) = refused(root, max_bytes=needed - 1)
    assert "20 images of (28, 28, 1) would take 15,680 bytes in memory, more than the limit of 15,679" in line


@pytest.mark.parametrize("step", ["iterdir", "open"])
def test_what_may_not_be_read_is_named(tmp_path, monkeypatch, step):
    """By a stand-in, since root may read everything."""
    root = folders(tmp_path / "mine")
    if step == "open":
        (root / "val" / "benign" / "scan.gif").write_bytes(b"x")
    whole, closed = getattr(Path, step), root / "val" / "benign"

    def refuses(path: Path, *more):
        if path.is_relative_to(closed):
            raise PermissionError(13, "Permission denied")
        return whole(path, *more)

    monkeypatch.setattr(Path, step, refuses)
    said = (
        f"{closed} cannot be read (Permission denied)."
        if step == "iterdir"
        else ("mine/val/benign/scan.gif is a file that cannot be read (Permission denied), not an image file")
    )
    assert any(line.startswith(said) for line in refused(root))


# --- names -----------------------------------------------------------------------------------------

NFC, NFD = (unicodedata.normalize(form, "bénin") for form in ("NFC", "NFD"))
ALIKE = {
    "accents": (NFC, NFD, "only in how an accent is stored (Unicode's NFC and NFD)"),
    "a blank at the end": ("benign", "benign ", "only by a blank"),
    "a no-break blank": ("lung tissue", "lung\u00a0tissue", "only by a blank"),
    "a zero-width blank": ("benign", "be\u200bnign", "a character that cannot be seen"),
    "capitals": ("benign", "Benign", "only by capitals"),
}


@pytest.mark.parametrize("names", ALIKE)
def test_a_class_folder_that_only_looks_the_same_is_told_from_its_twin(tmp_path, names):
    ours, theirs, difference = ALIKE[names]
    root = folders(tmp_path / "mine", classes=(ours, "malignant"))
    (root / "test" / ours).rename(root / "test" / theirs)
    (line,) = refused(root)
    assert difference in line
    assert ascii(ours) in line
    assert ascii(theirs) in line


@pytest.mark.parametrize("names", [name for name in ALIKE if name != "capitals"])
def test_two_training_classes_that_look_the_same_are_refused(tmp_path, names):
    ours, theirs, difference = ALIKE[names]
    assert any(difference in line for line in refused(folders(tmp_path / "mine", classes=(ours, theirs))))


def test_classes_that_differ_by_capitals_are_two_classes(tmp_path):
    assert load(folders(tmp_path / "mine", classes=("a", "A"))).classes == ("A", "a")


@pytest.mark.parametrize("locale", ["C", "POSIX"])
def test_names_are_utf_8_whatever_the_locale(tmp_path, locale):
    root = folders(tmp_path / "mine", classes=("bénin", "malin"))
    code = (
        "import sys; from pathlib import Path; from medaug_keras import data\n"
        "assert sys.getfilesystemencoding() != 'utf-8'\n"
        "mine = data.load_folder(Path(sys.argv[1]), name='m', title='M', size=None, colour=None)\n"
        "print(ascii(mine.classes), mine.md5)\n"
        "try:\n"
        "    data.folder_sizes(Path('b\\xe9nin'), size=None, colour=None)\n"
        "except data.DataError as error:\n"
        "    print(ascii(str(error)))\n"
    )
    environment = {**os.environ, "LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    (tmp_path / "bénin").mkdir()
    run = subprocess.run(
        [sys.executable, "-c", code, str(root)], env=environment, cwd=tmp_path, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stderr
    classes, message = run.stdout.splitlines()
    assert classes == f"{('bénin', 'malin')!a} {data.folder_fingerprint(root, cache=None)}"
    assert "Set PYTHONUTF8=1" in message


def test_the_order_in_which_a_folder_lists_its_files_decides_nothing(tmp_path):
    first = load(folders(tmp_path / "first"))
    files = list((tmp_path / "first").rglob("*.png"))
    for seed in range(3):
        random.Random(seed).shuffle(files)
        root = tmp_path / str(seed)
        for path in files:
            copy = root / path.relative_to(tmp_path / "first")
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
        again = load(root)
        assert again.md5 == first.md5 == data.folder_fingerprint(root, cache=None)
        assert again.classes == first.classes
        assert np.array_equal(again.train.images, first.train.images)
        assert np.array_equal(again.train.labels, first.train.labels)
