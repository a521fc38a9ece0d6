"""`check` reads the data, and `run` refuses what it refuses, in the same words."""

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from medaug_keras.cli import main
from medaug_keras.data import KINDS, load, load_phantom, medmnist
from studies import PHANTOM, cli_here, tiny, written

COUNTS = {"train": 32, "val": 12, "test": 12}


def arrays(**changed) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    good: dict[str, np.ndarray] = {}
    for split, n in COUNTS.items():
        good[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        good[f"{split}_labels"] = np.arange(n) % 2
    return good | changed


def npz(path: Path, **changed) -> dict[str, object]:
    """A file of one's own and its section."""
    np.savez_compressed(path.with_suffix(".npz"), **arrays(**changed))
    return {"kind": "npz", "path": path.with_suffix(".npz").name}


def folder(path: Path, classes=("benign", "malignant"), **counts: int) -> dict[str, object]:
    """A folder of one's own and its section."""
    rng = np.random.default_rng(0)
    for split, n in ({"train": 10, "val": 3, "test": 3} | counts).items():
        for name in classes:
            (path / split / name).mkdir(parents=True)
            for i in range(n):
                Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(path / split / name / f"{i}.png")
    return {"kind": "folder", "path": path.name}


def spoilt(path: Path, *files: tuple[str, bytes | Image.Image]) -> dict[str, object]:
    section = folder(path)
    for name, content in files:
        if isinstance(content, bytes):
            (path / name).write_bytes(content)
        else:
            content.save(path / name)
    return section


def flipped(path: Path) -> dict[str, object]:
    """One bit of a packed pixel is another."""
    section = folder(path)
    file = path / "test" / "malignant" / "2.png"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    return section


def lied(path: Path) -> dict[str, object]:
    """The same in an .npz file."""
    section = npz(path)
    file = path.with_suffix(".npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 3] ^= 1
    file.write_bytes(content)
    return section


LABELS = np.arange(32) % 2
BAD: dict[str, tuple[Callable[[Path], dict[str, object]], list[str]]] = {
    "labels-from-one": (lambda p: npz(p, train_labels=LABELS + 1) | {"classes": ["a", "b"]}, ["subtract 1"]),
    "a-test-label-of-7": (lambda p: npz(p, test_labels=np.array([7, *LABELS[1:12]])), ["7 (1 image)", "test split"]),
    "a-label-of-nan": (lambda p: npz(p, val_labels=np.array([np.nan, *LABELS[1:12]])), ["validation", "first is nan"]),
    "three-names": (lambda p: npz(p) | {"classes": ["a", "b", "c"]}, ["3 names (a, b, c)", "0 to 1"]),
    "a-flipped-bit": (flipped, ["test/malignant/2.png", "checksum"]),
    "a-flipped-bit-in-npz": (lied, ["is not a complete .npz file"]),
    "empty-files": (
        lambda p: spoilt(p, ("train/benign/3.png", b""), ("val/benign/0.png", b"")),
        ["train/benign/3.png is an empty file", "val/benign/0.png is an empty file"],
    ),
    "one-of-another-size": (
        lambda p: spoilt(p, ("train/malignant/9.png", Image.new("L", (28, 30)))),
        ["train/malignant/9.png: the images are 30 x 28"],
    ),
    "one-in-colour": (
        lambda p: spoilt(p, ("test/benign/1.png", Image.new("RGB", (28, 28)))),
        ["test/benign/1.png is 28 x 28 RGB, but 31 of 32 images are 28 x 28 grey"],
    ),
    "sixteen-bits": (
        lambda p: spoilt(p, ("train/benign/1.png", Image.new("I;16", (28, 28)))),
        ["train/benign/1.png has 16 bits a value"],
    ),
    "half-a-jpeg": (
        lambda p: spoilt(p, ("train/benign/z.jpg", jpeg()[:400])),
        ["train/benign/z.jpg is not a complete image (its end is missing)"],
    ),
    "int64-images": (
        lambda p: npz(p, train_images=arrays()["train_images"].astype(np.int64)),
        ["train_images has type int64", "from 0 to 255", "images.astype(np.uint8), which changes none"],
    ),
    "float-images": (
        lambda p: npz(p, test_images=arrays()["test_images"] / 255),
        ["test_images has type float64", "np.round(images * 255).astype(np.uint8)"],
    ),
    "wide-images": (
        lambda p: npz(p, val_images=arrays()["val_images"].astype(np.int16) * 16 - 1024),
        ["val_images has type int16", "window and level"],
    ),
    "hdf5": (lambda p: other(p, b"\x89HDF\r\n\x1a\n" + bytes(99)), ["is an HDF5 file", "np.savez_compressed"]),
    "matlab": (lambda p: other(p, b"MATLAB 5.0 MAT-file" + bytes(199)), ["is a MATLAB file", "np.savez_compressed"]),
    "volume": (lambda p: other(p, bytes(344) + b"n+1\0" + bytes(99)), ["is a NIfTI volume", "Choose the slices"]),
    "pointer": (
        lambda p: other(p, b"version https://git-lfs.github.com/spec/v1\n"),
        ["git-lfs pointer", "git lfs pull"],
    ),
    "html": (lambda p: other(p, b"<!DOCTYPE html>"), ["is an HTML page"]),
    "a-folder-in-place-of-a-file": (lambda p: {**npz(p), "path": made(p)}, ["is a folder, but an .npz file"]),
    "a-dangling-link": (lambda p: linked(p), ["is a link to", "which is not there"]),
    "no-file": (lambda p: {"kind": "npz", "path": "none.npz"}, ["does not exist"]),
}


def jpeg() -> bytes:
    import io

    buffer = io.BytesIO()
    Image.fromarray(arrays()["train_images"][0]).save(buffer, "JPEG")
    return buffer.getvalue()


def other(path: Path, content: bytes) -> dict[str, object]:
    path.with_suffix(".npz").write_bytes(content)
    return {"kind": "npz", "path": path.with_suffix(".npz").name}


def made(path: Path) -> str:
    path.mkdir()
    return path.name


def linked(path: Path) -> dict[str, object]:
    path.with_suffix(".npz").symlink_to("/nowhere/else.npz")
    return {"kind": "npz", "path": path.with_suffix(".npz").name}


def checked(*words: str) -> tuple[int, str]:
    """Exit code and standard error of `check`."""
    import io

    said = io.StringIO()
    with contextlib.redirect_stderr(said), contextlib.redirect_stdout(io.StringIO()):
        code = main(["check", "tiny.yaml", *words])
    return code, said.getvalue()


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_check_names_all_bad_data_sets_at_once(here):
    sections = {name: make(here / name) for name, (make, _) in BAD.items()}
    written(here, tiny(datasets={**sections, "good": npz(here / "good"), "also": folder(here / "also")}))
    code, said = checked()
    assert code == 1  # as a run would, which uses the good ones
    for name, (_, words) in BAD.items():
        mine = [line for line in said.splitlines() if line.startswith(f"tiny.yaml: datasets.{name}: ")]
        assert mine, name
        for word in words:
            assert any(word in line for line in mine), (name, word, mine)
    assert "datasets.good" not in said
    assert "datasets.also" not in said
    assert "Traceback" not in said


def test_a_run_refuses_what_check_refuses_and_does_the_rest(here):
    chosen = ("a-flipped-bit", "a-flipped-bit-in-npz", "empty-files", "labels-from-one", "half-a-jpeg", "html")
    sections = {name: BAD[name][0](here / name) for name in chosen}
    good = {**PHANTOM, "name": "phantom-ultrasound"}
    written(here, tiny(datasets={**sections, "good": good}, arms={"baseline": {}}))
    code, said = checked()
    run = cli_here("tiny.yaml", "--no-site", "--workers", "1", cwd=here)
    assert run.returncode == code == 1, run.stderr
    for line in said.splitlines():
        if line.startswith("tiny.yaml: datasets."):
            assert line.split(": ", 2)[2] in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr
    assert "2 tasks done" in run.stdout


@pytest.mark.parametrize(
    "names", [("a-flipped-bit", "a-flipped-bit-in-npz"), ("no-file",)], ids=["images-are-damaged", "nothing-is-there"]
)
def test_check_and_run_end_alike_where_no_data_set_can_be_used(here, names):
    sections = {name: BAD[name][0](here / name) for name in names}
    written(here, tiny(datasets=sections, arms={"baseline": {}}))
    code, _ = checked("--results", "elsewhere")  # what check keeps is not there for the run
    assert code == 2
    assert cli_here("tiny.yaml", "--no-site", "--workers", "1", cwd=here).returncode == code


def test_bad_files_are_at_most_twenty_lines_a_data_set(here):
    section = spoilt(here / "many", *((f"train/benign/x{i:03}.png", b"") for i in range(50)))
    written(here, tiny(datasets={"many": section}))
    code, said = checked()
    assert code == 2
    assert said.count("is an empty file") == 20
    assert said.endswith("datasets.many: ... and 30 more\n")


# --- MedMNIST --------------------------------------------------------------------------------------


def official(monkeypatch, path: Path, name: str = "breastmnist") -> None:
    import hashlib

    monkeypatch.setitem(medmnist.part("info").INFO[name], "MD5", hashlib.md5(path.read_bytes()).hexdigest())


def test_check_compares_the_md5_of_medmnist_files_that_are_there(here, monkeypatch):
    np.savez(here / "breastmnist.npz", **arrays())
    written(here, tiny(datasets={"breastmnist": {"kind": "medmnist"}}))
    code, said = checked("--data", ".")
    assert code == 2
    assert "has the MD5 sum" in said
    assert checked("--data", ".", "--unverified-data")[0] == 0
    official(monkeypatch, here / "breastmnist.npz")
    assert checked("--data", ".") == (0, "")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>Sign in</html>", "is an HTML page"),
        (b"", "is an empty file"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:1", "is a git-lfs pointer"),
        (b"\x1f\x8b\x08" + bytes(30), "is a gzip file"),
        (b"PK\x05\x06" + bytes(18), "is an empty zip file"),
        (b"PK\x03\x04" + bytes(40), "is not a complete .npz file"),
        (bytes(5000), "is a file of zeros"),
    ],
)
def test_check_names_what_lies_in_the_place_of_a_medmnist_file(here, content, words):
    (here / "breastmnist.npz").write_bytes(content)
    written(here, tiny(datasets={"breastmnist": {"kind": "medmnist"}}))
    for words_again in ((), ("--unverified-data",)):
        code, said = checked("--data", ".", *words_again)
        assert code == 2
        assert words in said


@pytest.mark.parametrize("size", [64, 128])
def test_check_names_a_medmnist_file_of_another_size(here, size):
    np.savez(
        here / "breastmnist.npz",
        **arrays(**{f"{s}_images": np.zeros((n, size, size), "u1") for s, n in COUNTS.items()}),
    )
    written(here, tiny(datasets={"breastmnist": {"kind": "medmnist"}}))
    code, said = checked("--data", ".")
    assert code == 2
    assert f"holds images of {size} x {size} x 1, but breastmnist has 28 x 28 x 1" in said


def test_a_medmnist_file_that_is_not_there_is_no_mistake(here):
    written(here, tiny(datasets={"breastmnist": {"kind": "medmnist"}}))
    assert checked("--data", ".") == (0, "tiny.yaml: datasets.breastmnist: not in . yet; a run downloads it\n")


@pytest.mark.parametrize("name", ["organmnist3d", "nodulemnist3d", "adrenalmnist3d"])
def test_a_set_of_volumes_is_called_one(here, name):
    written(here, tiny(datasets={name: {"kind": "medmnist"}}))
    code, said = checked()
    assert code == 2
    assert "3-D" in said
    assert "did you mean" not in said
    written(here, tiny(datasets={"mine": {"kind": "medmnist", "name": name}}))
    code, said = checked()
    assert code == 2
    assert "3-D" in said
    assert "did you mean" not in said


# --- what a data set is too small for --------------------------------------------------------------

ADDS = {"baseline": {}, "copies": {"duplicate": {}}, "cvae": {"add": {"generator": "cvae"}}}
GENERATORS = {"cvae": {"kind": "cvae", "epochs": 1}}


@pytest.mark.parametrize("verb", ["check", "run", "plan"])
@pytest.mark.parametrize("train", [4, 9])
def test_a_fraction_that_is_less_than_an_image_is_a_mistake(here, capsys, verb, train):
    small = {**PHANTOM, "train": train}
    written(here, tiny(datasets={"small": small}, generators=GENERATORS, arms=ADDS))
    assert main([verb, "tiny.yaml"]) == 2
    said = capsys.readouterr().err
    assert f"arms.copies.duplicate.amount: 0.1 of the {train} training images of small is less than one image" in said
    assert "arms.cvae.add.amount: 0.1 of" in said
    assert not (here / "results").exists()


def test_an_amount_that_fits_each_data_set_is_none(here):
    arms = {
        "baseline": {},
        "a": {"duplicate": {"amount": {"fractions": {"small": 0.5}}}},
        "b": {"duplicate": {"amount": {"images": 1}}},
    }
    written(here, tiny(datasets={"small": {**PHANTOM, "train": 4}, "grey": PHANTOM}, arms=arms))
    assert checked() == (0, "")


@pytest.mark.parametrize("classes", [("a", "b"), ("a", "b", "c")])
def test_one_logit_is_for_two_classes_of_ones_own_too(here, capsys, classes):
    written(here, tiny(datasets={"mine": folder(here / "mine", classes)}, classifier={"epochs": 1, "head": "sigmoid"}))
    code, said = checked()
    assert code == (2 if len(classes) == 3 else 0)
    assert ("has 3 classes, and classifier.head sigmoid is for two" in said) == (len(classes) == 3)
    if len(classes) == 3:
        assert main(["run", "tiny.yaml"]) == 2
        assert "has 3 classes" in capsys.readouterr().err


@pytest.mark.parametrize(("train", "val"), [(1, 3), (2, 0), (2, 1)])
def test_a_generator_for_each_class_needs_images_of_each(here, train, val):
    section = folder(here / "mine")
    for split, kept in (("train", train), ("val", val)):
        for file in sorted((here / "mine" / split / "malignant").iterdir())[kept:]:
            file.unlink()
    generators = {"jvae": {"kind": "joint_vae", "per_class": True}}
    arms = {"baseline": {}, "jvae": {"interleave": {"generator": "jvae"}}}
    written(here, tiny(datasets={"mine": section}, generators=generators, arms=arms))
    code, said = checked()
    wrong = train < 2 or val < 1
    assert code == (2 if wrong else 0)
    words = f"a validation image of every class, but mine has {train} and {val} of class 1"
    assert (f"generators.jvae.per_class: needs 2 training images and {words}" in said) == wrong


# --- what is odd -----------------------------------------------------------------------------------


def test_check_and_run_say_what_is_odd_and_go_on(here, capsys):
    section = folder(here / "mine")
    for i in range(2):
        shutil.copy(here / f"mine/train/benign/{i}.png", here / f"mine/test/malignant/{i}.png")
    written(here, tiny(datasets={"mine": section}, arms={"baseline": {}}))
    code, said = checked()
    assert code == 0
    words = "fail: 2 of 6 (33.3 %) test images are identical to a training image; 2 are of another class there"
    assert f"tiny.yaml: datasets.mine: {words}" in said
    advice = "    What to do: Leave them out: check with --audit writes the list."
    assert said.partition(words)[2].splitlines()[1] == advice
    run = cli_here("tiny.yaml", "--no-site", "--workers", "1", cwd=here)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count(f"mine: {words}") == 1
    pages = {path.name: path.read_text() for path in (here / "docs/studies/tiny").glob("*.md")}
    for name in ("significance.md", "data-sets.md", "results.md"):
        assert "Test images known from training</strong>: <bdi>mine</bdi> 2 of 6" in pages[name], name
    assert "Test images known from training: mine 2 of 6 (33.3 %: 2 identical)." in pages["index.md"]
    assert "2 of 6 (33.3 %) test images are identical to a training image" in pages["checks.md"]
    assert "test images in training" in pages["results.md"]
    assert main(["run", "tiny.yaml", "--no-site"]) == 0  # what is found done is said again
    assert capsys.readouterr().err.count(f"mine: {words}") == 1


def test_check_plan_and_run_name_a_forgotten_group_and_none_that_is_given(here, capsys):
    (here / "images").mkdir()
    rng, rows = np.random.default_rng(0), ["file,dx,lesion,age"]
    for i in range(24):
        Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(here / f"images/{i:02}.png")
        rows.append(f"{i:02}.png,{'ab'[i // 2 % 2]},L{i // 2},{50 + i // 2}")
    (here / "mine.csv").write_text("\n".join(rows))
    section = {"kind": "table", "path": "mine.csv", "image": "images/{file}", "label": "dx"}
    section |= {"split": {"train": 0.5, "validation": 0.25, "test": 0.25}}
    words = "tiny.yaml: datasets.mine: warning: no group is given, and the column lesion has 12 values in 24 rows"
    written(here, tiny(datasets={"mine": section}, arms={"baseline": {}}))
    code, said = checked()
    assert (code, said.count(words)) == (0, 1)
    assert main(["plan", "tiny.yaml"]) == 0
    assert capsys.readouterr().out.count(words.removeprefix("tiny.yaml: ")) == 1
    run = cli_here("tiny.yaml", "--no-site", "--workers", "1", cwd=here)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count(words.removeprefix("tiny.yaml: ")) == 1
    written(here, tiny(datasets={"mine": section | {"group": "lesion"}}, arms={"baseline": {}}))
    assert "no group is given" not in checked()[1]


def leaking(path: Path) -> dict[str, object]:
    """A file of one's own of which test images are in training: one moved, one as it is."""
    views = load_phantom("phantom-ultrasound", train=56, validation=8, test=8, seed=0).train.images[..., 0]
    parts = dict(zip(COUNTS, np.split(views, [32, 44]), strict=True))
    parts["test"][0], parts["test"][1] = np.roll(parts["train"][4], 2, axis=0), parts["train"][3]
    return npz(path, **{f"{split}_images": images for split, images in parts.items()})


def test_what_check_says_to_leave_out_heals_the_data(here):
    section = leaking(here / "mine")
    written(here, tiny(datasets={"mine": section}, arms={"baseline": {}}))
    code, said = checked("--audit", "audits")
    assert code == 0
    assert said.count("datasets.mine: fail: ") == 2
    assert said.count("\n    What to do: ") == 2  # each its own
    assert "names what to leave out so that no split knows another: 2 train." in said
    (line,) = (text for text in said.split("\n") if "drop: " in text)
    drop = line.partition("drop: ")[2]
    assert drop == "audits/mine.csv"
    rows = (here / drop).read_text().split("\n")
    assert rows[0] == "image,split,class,reason,of,of_split,of_class"
    assert rows[1:-1] == ["train/3,train,1,identical,test/1,test,1", "train/4,train,0,nearly the same,test/0,test,0"]
    written(here, tiny(datasets={"mine": section | {"drop": drop}}, arms={"baseline": {}}))
    code, said = checked("--audit", "audits")
    assert code == 0
    assert "fail" not in said
    assert "no image of a split is related to one of another" in said
    run = cli_here("tiny.yaml", "--no-site", "--workers", "1", cwd=here)
    assert run.returncode == 0, run.stderr
    record = next(
        content
        for path in (here / "results").glob("data*/record.json")
        if (content := json.loads(path.read_text()))["values"]
    )
    assert record["values"]["splits"]["train"]["images"] == 30
    assert record["values"]["left_out"] == {"images of the file that `drop` names": 2}
    assert "2 images of the file that" in (here / "docs/studies/tiny/data-sets.md").read_text()


def test_check_lists_the_images_of_two_classes_that_it_counts_although_no_split_knows_another(here):
    """Their names stand nowhere else: pages name no image."""
    section = leaking(here / "mine")
    with np.load(here / section["path"]) as kept:
        arrays = {name: kept[name].copy() for name in kept.files}
    rng = np.random.default_rng(7)
    for name in ("val_images", "test_images"):
        arrays[name] = rng.integers(0, 256, arrays[name].shape, np.uint8)  # so that these are related to none
    arrays["train_images"][8] = np.roll(arrays["train_images"][5], 2, axis=0)
    arrays["train_labels"].flat[[5, 8]] = 0, 1
    np.savez(here / section["path"], **arrays)
    written(here, tiny(datasets={"mine": section}, arms={"baseline": {}}))
    code, said = checked("--audit", "audits")
    assert code == 0
    assert "images of all splits are nearly the same as one of another class: is one of them wrong?" in said
    assert "    What to do: Look at them, and correct the class: check with --audit writes the list." in said
    assert "no image of a split is related to one of another" in said
    assert "audits/mine.classes.csv names the pair of images that is the same, or nearly, and has different cl" in said
    rows = (here / "audits" / "mine.classes.csv").read_text().split("\n")
    assert rows[0] == "image,split,class,how,of,of_split,of_class,same_group"
    assert rows[1:] == ["train/5,train,0,nearly the same,train/8,train,1,not known", ""]
    (here / "audits" / "mine.classes.csv").write_text("image,why\n")
    code, said = checked("--audit", "audits")
    assert code == 2
    assert "mine.classes.csv is there and no list of this kind; it stays" in said


def test_what_can_be_done_is_said_once_for_each_data_set(here):
    section = leaking(here / "mine")
    written(here, tiny(datasets={"mine": section, "again": section}, arms={"baseline": {}}))
    code, said = checked()
    assert code == 0
    assert said.count("    What to do: Leave them out: check with --audit writes the list.\n") == 2


def test_a_list_of_images_to_leave_out_keeps_what_was_left_out_before_and_overwrites_nothing_else(here):
    section = leaking(here / "mine")
    (here / "drop.csv").write_text("image\ntrain/7\n")
    written(here, tiny(datasets={"mine": section | {"drop": "drop.csv"}}, arms={"baseline": {}}))
    assert checked("--audit", ".")[0] == 0
    rows = (here / "mine.csv").read_text().split("\n")
    assert rows[1] == "train/7,,,left out before,,,"
    assert [row.partition(",")[0] for row in rows[2:-1]] == ["train/3", "train/4"]
    assert checked("--audit", ".")[0] == 0  # its own list is replaced
    (here / "mine.csv").write_text("image,why\n")
    code, said = checked("--audit", ".")
    assert code == 2
    assert "mine.csv is there and no list of this kind; it stays" in said
    assert (here / "mine.csv").read_text() == "image,why\n"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("image\ntrain/32\n", "row 2 names an image that the data set has not (the first is train/32"),
        ("image\n" + "".join(f"test/{i}\n" for i in range(12)), "no image is left in test"),
        ("image\n" + "".join(f"train/{i}\n" for i in range(0, 32, 2)), "no training image of class 0"),
        ("name\ntrain/1\n", "there is no column 'image', which `drop` names"),
    ],
)
def test_a_wrong_list_is_one_message(here, content, words):
    section = npz(here / "mine")
    (here / "drop.csv").write_text(content)
    written(here, tiny(datasets={"mine": section | {"drop": "drop.csv"}}, arms={"baseline": {}}))
    code, said = checked()
    assert code != 0
    assert words in said


def test_what_is_known_before_reading_is_what_is_read_where_images_are_left_out(here):
    npz(here / "mine")
    (here / "ids.csv").write_text(
        "split,index,who,name\n"
        + "".join(f"{split},{i},p{i // 2},{split}{i}\n" for split, n in COUNTS.items() for i in range(n))
    )
    for ids, names in ((None, ("train/1", "test/0")), ({"image": "name"}, ("train1", "test0"))):
        (here / "drop.csv").write_text("image\n" + "".join(f"{name}\n" for name in names))
        table = ids and {"path": "ids.csv", "group": "who", "split": "split", "index": "index"} | ids
        words = dict.fromkeys(("classes", "title", "licence", "citation", "fit", "size", "window"))
        section = words | {"kind": "npz", "dataset": "mine", "path": "mine.npz", "ids": table, "drop": "drop.csv"}
        section["filter"] = "bilinear"
        kind, some = KINDS["npz"], load(section, None)
        sizes = kind.sizes(section)
        assert (sizes.train, sizes.validation, sizes.test) == (31, 12, 11)
        assert [len(getattr(some, split).labels) for split in ("train", "validation", "test")] == [31, 12, 11]
        assert kind.fingerprint(section, None) == some.fingerprint
        assert kind.fingerprint(section, None) != kind.fingerprint(section | {"drop": None}, None)
        assert list(kind.class_counts(section)) == some.per_class("train") == [16, 15]
        assert some.train.ids[:2] == (("train/0", "train/2") if ids is None else ("train0", "train2"))
        assert some.train.groups == (() if ids is None else ("p0", *(f"p{i // 2}" for i in range(2, 32))))


def test_reading_stops_for_no_pipe_and_no_endless_file(here):
    os.mkfifo(here / "pipe.npz")
    (here / "zero.npz").symlink_to("/dev/zero")
    sections = {name: {"kind": "npz", "path": f"{name}.npz"} for name in ("pipe", "zero")}
    written(here, tiny(datasets={**sections, "breastmnist": {"kind": "medmnist"}}))
    os.mkfifo(here / "breastmnist.npz")
    code, said = checked("--data", ".")
    assert code == 2
    assert said.count("is a pipe, socket or device") == 3


def test_plan_reads_no_pixels(here, capsys):
    """A damaged pixel is found by check, and is no concern of plan's."""
    written(here, tiny(datasets={"mine": flipped(here / "mine")}))
    assert checked()[0] == 2
    assert main(["plan", "tiny.yaml"]) == 0
