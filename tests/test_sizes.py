"""Image size is a value: what a study says of it, what keys it makes, and what there is at each size."""

import hashlib
import sys
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
from PIL import Image
from test_augmentation import KERAS_STEPS, OF_COLOUR

from medaug_keras import cli, data
from medaug_keras.architectures import ARCHITECTURES
from medaug_keras.data import DataError, medmnist, npz
from medaug_keras.data.balance import npz_class_counts
from medaug_keras.data.dataset import SPLITS
from medaug_keras.evaluation import copying, quality
from medaug_keras.plan import Source, plan
from medaug_keras.reading import StudyError, read
from medaug_keras.spec import Step, Study, dump

SHARED = Path(__file__).parents[2] / "shared"

HEAD = "name: a\ntitle: A\nquestion: Q?\n"
ARMS = "arms: {baseline: {}}\n"
KINDS = {
    "medmnist": "breastmnist: {kind: medmnist%s}",
    "phantom": "phantom-planted: {kind: phantom%s}",
    "npz": "mine: {kind: npz, path: a.npz%s}",
    "folder": "mine: {kind: folder, path: a%s}",
}


def study(tmp_path: Path, text: str, **settings) -> Study:
    path = tmp_path / "study.yaml"
    path.write_text(text, encoding="utf-8")
    return read(path, **settings)


def refused(tmp_path: Path, text: str) -> list[str]:
    with pytest.raises(StudyError, match="is not a study") as error:
        study(tmp_path, text)
    return str(error.value).splitlines()[1:]


def keys(one: Study) -> list[str]:
    source = Source("bytes", 100, 10, 20)
    return [task.key for task in plan(one, dict.fromkeys(one.datasets, source)).tasks.values()]


# --- what a study says -----------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_size_means_the_same_wherever_it_is_said(tmp_path, kind):
    inside = study(tmp_path, HEAD + "datasets:\n  " + KINDS[kind] % ", size: 64" + "\n" + ARMS)
    on_top = study(tmp_path, HEAD + "size: 64\ndatasets:\n  " + KINDS[kind] % "" + "\n" + ARMS)
    option = study(tmp_path, HEAD + "datasets:\n  " + KINDS[kind] % "" + "\n" + ARMS, overrides=["size=64"])
    unsaid = study(tmp_path, HEAD + "datasets:\n  " + KINDS[kind] % "" + "\n" + ARMS)
    assert keys(inside) == keys(on_top) == keys(option)
    assert not set(keys(inside)) & set(keys(unsaid))


def test_a_data_sets_own_size_goes_before_the_studys(tmp_path):
    text = HEAD + "size: 64\ndatasets:\n  breastmnist: {kind: medmnist, size: 28}\n  phantom-planted: {kind: phantom}\n"
    found = study(tmp_path, text + ARMS).datasets
    assert {name: part.size for name, part in found.items()} == {"breastmnist": 28, "phantom-planted": 64}


def test_a_study_with_a_size_means_the_same_after_it_was_kept(tmp_path):
    one = study(tmp_path, HEAD + "size: 64\ndatasets:\n  breastmnist: {kind: medmnist}\n" + ARMS)
    assert Study.model_validate_json(one.model_dump_json()) == one


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [7, 513, 0, -1, 2.5, "large"])
def test_a_size_that_is_none_is_refused_at_its_line(tmp_path, kind, size):
    for text, line in (
        (HEAD + "datasets:\n  " + KINDS[kind] % f", size: {size}" + "\n" + ARMS, 5),
        (HEAD + f"size: {size}\ndatasets:\n  " + KINDS[kind] % "" + "\n" + ARMS, 4),
    ):
        found = refused(tmp_path, text)
        assert all(f"study.yaml:{line}: " in one and "size" in one for one in found), found


def test_medmnist_has_four_sizes_and_another_is_refused_with_them(tmp_path):
    for text in (
        HEAD + "size: 100\ndatasets:\n  breastmnist: {kind: medmnist}\n" + ARMS,
        HEAD + "datasets:\n  breastmnist: {kind: medmnist, size: 100}\n" + ARMS,
    ):
        (line,) = refused(tmp_path, text)
        assert "study.yaml:" in line
        assert all(str(size) in line for size in medmnist.SIZES)


def test_a_generator_at_a_size_that_it_has_not_is_refused_with_its_arms(tmp_path):
    text = (
        HEAD
        + "datasets:\n  breastmnist: {kind: medmnist, size: 224}\n  phantom-planted: {kind: phantom}\n"
        + "generators: {flow: {kind: flow}, vae: {kind: cvae}, unused: {kind: flow}}\n"
        + "arms: {baseline: {}, more: {add: {generator: flow}}, other: {add: {generator: vae}}}\n"
    )
    (line,) = refused(tmp_path, text)
    assert "study.yaml:5: datasets.breastmnist.size: " in line
    assert "make 28 x 28 or 64 x 64 or 128 x 128 only: flow. Set size: 28 or 64 or 128, or leave out the arms" in line
    assert "(more)" in line
    study(tmp_path, text.replace("add: {generator: flow}", "duplicate: {}"))


def test_a_flow_whose_grids_cannot_be_halved_at_a_size_is_refused(tmp_path):
    text = (
        HEAD
        + "datasets:\n  one: {kind: phantom, name: phantom-planted, size: 64}\n  phantom-planted: {kind: phantom}\n"
        + "generators: {flow: {kind: flow, widths: [16, 32, 32]}}\n"
        + "arms: {baseline: {}, more: {add: {generator: flow}}}\n"
    )
    (line,) = refused(tmp_path, text)
    assert "generators.flow: widths has 3 grids, so 28 pixels in patches of 2 would be halved 2 times" in line
    study(tmp_path, text.replace("16, 32, 32", "16, 32"))
    study(tmp_path, text.replace("widths:", "patch: 1, widths:"))
    (line,) = refused(tmp_path, text.replace("widths: [16, 32, 32]", "patch: 4"))  # those that a study need not name
    assert "widths has 2 grids, so 28 pixels in patches of 4 would be halved 1 times" in line
    study(tmp_path, text.replace("widths: [16, 32, 32]", "patch: 4").replace("phantom-planted: {kind: phantom}", ""))


def test_a_size_that_leaves_the_network_no_image_is_refused(tmp_path):
    text = HEAD + "datasets:\n  phantom-planted: {kind: phantom, size: %d}\n" + ARMS
    (line,) = refused(tmp_path, text % 15)
    assert "needs images of at least 16 x 16 pixels" in line
    study(tmp_path, text % 16)


# --- what there is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", data.MEDMNIST_NAMES)
@pytest.mark.parametrize("size", medmnist.SIZES)
def test_every_medmnist_set_has_a_file_of_every_size(tmp_path, name, size):
    info = data.medmnist_info(name)
    flag = "" if size == 28 else f"_{size}"
    file = medmnist.medmnist_file(name, size)
    assert file == f"{name}{flag}.npz"
    assert f"/{file}?" in info[f"url{flag}"]
    assert data.medmnist_fingerprint(name, size=size, root=tmp_path, cache=None) == info[f"MD5{flag}"]
    assert data.medmnist_sizes(name, size=size).image_shape == (size, size, info["n_channels"])
    sums = {data.medmnist_fingerprint(name, size=other, root=tmp_path, cache=None) for other in medmnist.SIZES}
    assert len(sums) == len(medmnist.SIZES)


def test_a_medmnist_file_of_another_size_is_refused(tmp_path):
    arrays = {}
    for split, n in (("train", 6), ("val", 4), ("test", 4)):
        arrays[f"{split}_images"] = np.zeros((n, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n)[:, None] % 2
    np.savez(tmp_path / "breastmnist_64.npz", **arrays)
    with pytest.raises(DataError, match=r"28 x 28 x 1, but breastmnist has 64 x 64 x 1 .*breastmnist_64.npz"):
        data.load_medmnist("breastmnist", size=64, root=tmp_path, accept_unverified=True, report=None)
    with pytest.raises(DataError, match="28, 64, 128, 224 pixels a side, not 65"):
        data.medmnist_fingerprint("breastmnist", size=65, root=tmp_path, cache=None)


COUNTS = {"train": 12, "validation": 6, "test": 8}


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
@pytest.mark.parametrize("size", [8, 29, 64, 200])
def test_a_phantom_of_another_size_is_of_that_size_and_other_data(name, size):
    one = data.load_phantom(name, seed=0, size=size, **COUNTS)
    assert one.image_shape[:2] == (size, size)
    assert data.phantom_sizes(name, size=size, **COUNTS).image_shape == one.image_shape
    assert one.md5 == data.phantom_fingerprint(name, seed=0, size=size, **COUNTS)
    assert one.md5 != data.phantom_fingerprint(name, seed=0, **COUNTS)
    assert one.train.images.std() > 10
    again = data.load_phantom(name, seed=0, size=size, **COUNTS)
    assert np.array_equal(one.test.images, again.test.images)


KEPT = {
    "phantom-ultrasound": "2f593fb1bfaaa8a27332d5c84b2e1352",
    "phantom-histology": "72fc8735c7f205896e6d29681fc83e77",
    "phantom-planted": "c6d2091fdba4829b1584ab57fa2aea32",
}


@pytest.mark.parametrize("name", KEPT)
def test_the_phantoms_of_28_pixels_keep_their_bytes(name):
    one = data.load_phantom(name, seed=0, **COUNTS)
    images = b"".join(split.images.tobytes() for split in (one.train, one.validation, one.test))
    assert hashlib.md5(images, usedforsecurity=False).hexdigest() == KEPT[name]


def oblong_folder(root: Path) -> Path:
    noise = np.random.default_rng(0)
    for split, n in {"train": 3, "val": 2, "test": 2}.items():
        for name in ("a", "b"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                kind = (".PNG", ".jpg", ".tif", ".BMP")[i % 4]
                image = Image.fromarray(noise.integers(0, 256, (60, 80), np.uint8))
                image.save(root / split / name / f"{i}{kind}")
    return root


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_a_folder_gives_what_the_same_images_in_one_file_give(tmp_path, fit):
    """Of any format, and endings in capitals."""
    root = oblong_folder(tmp_path / "mine")
    settings = {"name": "m", "title": "M", "size": 48, "fit": fit, "filter": "box"}
    files = data.load_folder(root, colour=None, **settings)
    arrays = {}
    for split, short in (("train", "train"), ("validation", "val"), ("test", "test")):
        paths = sorted((root / short).rglob("*.*"))
        arrays[f"{short}_images"] = np.stack([np.asarray(Image.open(path)) for path in paths])
        arrays[f"{short}_labels"] = getattr(files, split).labels
    np.savez(tmp_path / "mine.npz", **arrays)
    one = data.load_npz(tmp_path / "mine.npz", classes=["a", "b"], **settings)
    for split in ("train", "validation", "test"):
        assert getattr(files, split).images.shape[1:] == (48, 48, 1)
        assert np.array_equal(getattr(files, split).images, getattr(one, split).images)
    assert data.folder_sizes(root, size=48, colour=None, fit=fit).image_shape == (48, 48, 1)
    assert data.npz_sizes(tmp_path / "mine.npz", classes=None, size=48, fit=fit).image_shape == (48, 48, 1)


def test_oblong_images_are_refused_wherever_they_are_with_the_ways_named(tmp_path):
    root = oblong_folder(tmp_path / "mine")
    for ask in (
        lambda: data.load_folder(root, name="m", title="M", size=48, colour=None),
        lambda: data.folder_sizes(root, size=48, colour=None),
    ):
        with pytest.raises(DataError, match=r"60 x 80, which is not square\. .*crop.*pad.*stretch"):
            ask()


@pytest.mark.skipif(not SHARED.exists(), reason=f"no real images at {SHARED}")
def test_real_oblong_photographs_become_squares(tmp_path):
    """HAM10000's, of 200 x 150 pixels."""
    files = sorted((SHARED / "data" / "ham10000").rglob("*.jpg"))[:12]
    for i, path in enumerate(files):
        place = tmp_path / "mine" / ("train", "val", "test")[i % 3] / "ab"[i // 3 % 2]
        place.mkdir(parents=True, exist_ok=True)
        (place / path.name).symlink_to(path)
    some = data.load_folder(tmp_path / "mine", name="m", title="M", size=64, fit="crop", colour=None)
    assert some.image_shape == (64, 64, 3)
    whole = {path.name: np.asarray(Image.open(path)) for path in files}
    first = sorted((tmp_path / "mine" / "train" / "a").iterdir())[0]
    middle = whole[first.name][:, 25:175].mean(axis=(0, 1))
    assert np.abs(some.train.images[0].mean(axis=(0, 1)) - middle).max() < 2


# --- what is said of it ----------------------------------------------------------------------------


@pytest.mark.parametrize("size", [16, 17, 28, 31, 64, 128])
def test_the_dense_layer_is_as_large_as_check_says(size):
    """And below the least size there is no network."""
    from medaug_keras import classifiers

    made = classifiers.build("cnn", image_shape=(size, size, 1), num_classes=2, head="softmax", seed=0)
    weights = made.get_layer("dense1").kernel.shape
    assert int(np.prod(weights)) == ARCHITECTURES["cnn"].dense_weights(size)


def test_check_says_how_the_network_grows(tmp_path, capsys):
    path = tmp_path / "study.yaml"
    path.write_text(HEAD + "datasets:\n  phantom-planted: {kind: phantom, size: 64}\n" + ARMS, encoding="utf-8")
    assert cli.main(["check", str(path), "--results", str(tmp_path / "results")]) == cli.DONE
    said = capsys.readouterr().err
    assert "at 64 x 64 the first dense layer of cnn has 1,384,448 weights; at 28 x 28 it has 131,072" in said


@pytest.mark.parametrize(
    ("name", "size", "why"),
    [
        ("tissuemnist", 64, "have 32 x 32 pixels"),
        ("bloodmnist", 224, "cropped to 200 x 200"),
        ("bloodmnist", 128, None),
        ("pneumoniamnist", 128, "127 pixels wide"),
        ("pneumoniamnist", 64, None),
        ("breastmnist", 224, None),
    ],
)
def test_a_size_that_holds_nothing_new_is_said_of_the_official_set_alone(name, size, why):
    some = data.load_phantom("phantom-histology", seed=0, size=size, **COUNTS)
    summary = replace(some, name=name, official_md5="x").summary() | {"audit": data.audit(some)}
    found = [text for text in data.warnings(summary) if "nothing that smaller ones do not" in text]
    assert bool(found) == (why is not None)
    assert why is None or why in found[0]
    assert not any("smaller ones" in text for text in data.warnings(summary | {"official_md5": None}))


# --- windows ---------------------------------------------------------------------------------------


def deep_folder(root: Path) -> Path:
    for split, n in {"train": 4, "val": 2, "test": 2}.items():
        for number, name in enumerate("ab"):
            (root / split / name).mkdir(parents=True)
            for i in range(n):
                ramp = np.arange(28 * 28).reshape(28, 28) + (50_000 if split == "test" else 1000 * number + i)
                Image.fromarray(ramp.astype(np.uint16)).save(root / split / name / f"{i}.png")
    return root


def test_percentiles_are_those_of_the_training_images_and_are_kept_in_the_record(tmp_path):
    root = deep_folder(tmp_path / "mine")
    settings = {"name": "m", "title": "M", "size": None, "colour": None}
    some = data.load_folder(root, window={"percentiles": [0, 100]}, **settings)
    assert some.description.endswith("Values from 0 to 1786 became 0 to 255 (window).")
    assert (some.train.images.min(), some.train.images.max()) == (0, 255)
    assert (some.test.images == 255).all()
    told = data.load_folder(root, window={"low": 0, "high": 1786}, **settings)
    assert np.array_equal(some.train.images, told.train.images)
    with pytest.raises(DataError, match="16 bits a value") as error:
        data.load_folder(root, window=None, **settings)
    assert len(str(error.value).splitlines()) == 16
    (root / "train" / "a" / "0.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"train/a/0.png is an empty file"):
        data.load_folder(root, window={"percentiles": [0, 100]}, **settings)


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
@pytest.mark.parametrize(
    "window", [{"low": 100, "high": 3000}, {"centre": 900, "width": 700}, {"percentiles": [2, 98]}]
)
def test_values_of_16_bits_in_one_file_give_what_the_same_images_in_a_folder_give(tmp_path, window, fit):
    rng, arrays = np.random.default_rng(0), {}
    for split, n in {"train": 4, "val": 2, "test": 2}.items():
        images = rng.integers(0, 4096, (2 * n, 40, 30)).astype(np.uint16)
        for i, image in enumerate(images):
            (tmp_path / "mine" / split / "ab"[i // n]).mkdir(parents=True, exist_ok=True)
            Image.fromarray(image).save(tmp_path / "mine" / split / "ab"[i // n] / f"{i}.png")
        arrays |= {f"{split}_images": images, f"{split}_labels": np.arange(2 * n) // n}
    np.savez(tmp_path / "mine.npz", **arrays)
    settings = {"name": "m", "title": "M", "size": 20, "fit": fit, "filter": "box", "window": window}
    files = data.load_folder(tmp_path / "mine", colour=None, **settings)
    one = data.load_npz(tmp_path / "mine.npz", classes=["a", "b"], **settings)
    for split in SPLITS:
        assert np.array_equal(getattr(files, split).images, getattr(one, split).images)
    assert one.description == files.description.replace("the folder mine", "mine.npz")
    assert data.npz_sizes(tmp_path / "mine.npz", classes=None, size=20, fit=fit, window=window).train == 8


NUMBERS = ["int16", "uint16", "int32", "int64", "float16", "float32", "float64", ">i2", ">f4"]


@pytest.mark.parametrize("blocks", [2**24, 3000], ids=["at once", "in blocks"])
@pytest.mark.parametrize("kind", NUMBERS)
def test_a_window_maps_every_value_of_an_array_to_the_nearest_of_8_bits(tmp_path, monkeypatch, kind, blocks):
    monkeypatch.setattr(npz, "_BLOCK", blocks)
    values = (np.random.default_rng(0).normal(0, 600, (12, 28, 28)) * (1 if "u" not in kind else 0)).astype(kind)
    values = values if "u" not in kind else np.arange(12 * 784).reshape(12, 28, 28).astype(kind)
    arrays = {
        f"{split}_{what}": some[part]
        for split, part in PARTS.items()
        for what, some in {"images": values, "labels": np.arange(12) % 2}.items()
    }
    np.savez_compressed(tmp_path / "mine.npz", **arrays)
    settings = {"name": "m", "title": "M", "size": None, "classes": None}
    some = data.load_npz(tmp_path / "mine.npz", window={"low": -1000, "high": 400}, **settings)
    expected = np.clip((values.astype(np.float64) + 1000) * 255 / 1400, 0, 255)
    assert np.abs(some.train.images[..., 0] - expected[:8]).max() <= 0.5
    assert np.abs(some.test.images[..., 0] - expected[10:]).max() <= 0.5
    wide = data.load_npz(tmp_path / "mine.npz", window={"percentiles": [0, 100]}, **settings)
    assert (wide.train.images.min(), wide.train.images.max()) == (0, 255)
    assert npz_class_counts(tmp_path / "mine.npz") == [4, 4]
    with pytest.raises(DataError, match="Which range of them"):
        data.load_npz(tmp_path / "mine.npz", **settings)


PARTS = {"train": slice(8), "val": slice(8, 10), "test": slice(10, 12)}


def of_values(images: np.ndarray, path: Path) -> Path:
    labels = np.arange(12) % 2
    np.savez(
        path,
        **{f"{s}_images": images[part] for s, part in PARTS.items()},
        **{f"{s}_labels": labels[part] for s, part in PARTS.items()},
    )
    return path


def with_one(value: float) -> np.ndarray:
    images = np.zeros((12, 28, 28), np.float32)
    images[5, 3, 3] = value
    return images


@pytest.mark.parametrize(
    ("images", "window", "why"),
    [
        (np.zeros((12, 28, 28), np.uint8), {"low": 0, "high": 9}, "8 bits a value, so the range of `window`"),
        (np.zeros((12, 28, 28, 3), np.uint16), {"low": 0, "high": 9}, "`window` is for grey images"),
        (np.zeros((12, 28, 28), np.uint16), {"dicom": True}, "no DICOM file, so it names no window"),
        (np.zeros((12, 28, 28), bool), {"low": 0, "high": 1}, "save images.astype.np.uint8. . 255"),
        (np.zeros((12, 28, 28), "S2"), {"low": 0, "high": 1}, "Save plain numbers"),
        (with_one(np.nan), {"low": 0, "high": 1}, "train_images holds values that are no numbers .* first in image 5"),
        (with_one(-np.inf), {"percentiles": [1, 99]}, "train_images holds values that are no numbers"),
        (np.ones((12, 28, 28), np.int16), {"percentiles": [1, 99]}, "percentiles 1 and 99 .* are both 1"),
    ],
)
def test_a_window_that_does_not_fit_an_array_is_refused(tmp_path, images, window, why):
    path = of_values(images, tmp_path / "mine.npz")
    with pytest.raises(DataError, match=why):
        data.load_npz(path, name="m", title="M", size=None, classes=None, window=window)


WINDOWS = {
    "{low: 0}": "one of the four",
    "{}": "one of the four",
    "{low: 0, high: 9, centre: 4}": "one of the four",
    "{centre: 4}": "one of the four",
    "{dicom: true, low: 1}": "one of the four",
    "{dicom: false}": "one of the four",
    "{low: 9, high: 9}": "ends before it begins",
    "{percentiles: [99, 1]}": "ends before it begins",
    "{percentiles: [0.5, 101]}": "less than or equal to 100",
    "{centre: 0, width: -5}": "greater than 0",
    "lung": "mapping",
}


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_that_is_none_is_refused_at_its_line(tmp_path, window):
    for kind in ("folder", "npz"):
        found = refused(tmp_path, f"{HEAD}datasets:\n  mine: {{kind: {kind}, path: a, window: {window}}}\n{ARMS}")
        assert any("study.yaml:5: datasets.mine.window" in line and WINDOWS[window] in line for line in found), found
        text = HEAD + "datasets:\n  mine: {kind: " + kind + ", path: a%s}\n" + ARMS
        without, some = (study(tmp_path, text % more) for more in ("", ", window: {low: 0, high: 4095}"))
        assert not set(keys(without)) & set(keys(some))


# --- memory ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", [28, 64, 224])
def test_a_batch_of_predictions_takes_the_memory_of_one_of_28_pixels(size, monkeypatch):
    from medaug_keras import classifiers

    seen = []

    def fused(model):
        def network(x, training):
            seen.append(tuple(x.shape))
            return x.mean(dim=(1, 2))

        return network

    monkeypatch.setattr(classifiers, "fuse", fused)
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    images = np.random.default_rng(0).integers(0, 256, (150, size, size, 1), np.uint8)
    found = classifiers._passed(model, images, lambda outputs: outputs)
    assert np.allclose(found[:, 0], (images.mean(axis=(1, 2))[:, 0] / 255 - 0.5) / 0.5, atol=1e-5)
    assert sum(shape[0] for shape in seen) == 150
    assert seen[0][0] == {28: 128, 64: 24, 224: 8}[size]


def test_the_search_for_copies_takes_no_more_memory_for_larger_images():
    """Of 1,000 color images of 128 x 128, which as floats would take twice 200 MB at once."""
    images = np.random.default_rng(0).integers(0, 256, (1000, 128, 128, 3), np.uint8)
    images[7] = images[900]
    rows = images.reshape(len(images), -1)
    tracemalloc.start()
    found = copying.nearest(rows[:20], None, rows, itself=np.arange(20))
    thumbs = copying.thumbnails(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (found.index[7], found.distance[7]) == (900, 0)
    assert len(thumbs) == len(images)
    assert peak < 260e6


def test_quality_of_large_images_makes_no_copy_of_a_set_of_them(monkeypatch):
    """Of 800 color images of 64 x 64: 10 MB, as floats 39 MB."""
    monkeypatch.setattr(copying, "_VALUES", 600)
    monkeypatch.setattr(copying, "_COLUMNS", copying._ROWS)
    monkeypatch.setattr(copying, "_ALIGNED", 4)
    for module in ("chosen", "quality"):
        monkeypatch.setattr(sys.modules[f"medaug_keras.evaluation.{module}"], "BLOCK_BYTES", 2**20)
    rng = np.random.default_rng(0)
    train, test, made = (rng.integers(0, 256, (count, 64, 64, 3), np.uint8) for count in (800, 60, 60))
    classes = [np.arange(len(images)) % 2 for images in (train, test, made)]
    made[5] = train[41, :, ::-1]
    tracemalloc.start()
    values, arrays = quality(
        train_images=train,
        train_labels=classes[0],
        test_images=test,
        test_labels=classes[1],
        synthetic_images=made,
        synthetic_labels=classes[2],
        extractors={"means": lambda images: images.mean(axis=(1, 2), dtype=np.float32)},
        synthetic_probabilities=[np.eye(2)[classes[2]]],
        test_probabilities=[np.eye(2)[classes[1]]],
        components=8,
        neighbours=3,
        draws=1,
        limit=800,
        seed=0,
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert values["spaces"]["pixels"]["copying"]["identical"] == 1
    assert np.array_equal(arrays["pixels_train"][0], train[41])
    assert peak < 2 * train.nbytes  # half of what their floats take


# --- the whole way ---------------------------------------------------------------------------------

STEPS = [
    dump(section.model_validate({"layer": layer} | ({"factor": 0.1} if "factor" in section.model_fields else {})))
    for section in get_args(get_args(Step)[0])
    for layer in get_args(section.model_fields["layer"].annotation)
    if layer.islower() and layer != "python"  # ours; Keras's have arguments of their own
] + KERAS_STEPS


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step["layer"])
@pytest.mark.parametrize("shape", [(16, 16, 1), (64, 64, 3), (128, 128, 1)], ids=str)
def test_every_step_changes_images_of_any_size_and_keeps_their_shape_and_range(step, shape):
    import torch

    from medaug_keras.augmentation import augmentation

    images = torch.from_numpy(np.random.default_rng(0).uniform(0.2, 0.8, (12, *shape)).astype(np.float32))
    targets = torch.eye(2).repeat(6, 1)
    changed, mixed = augmentation([step], seed=0)(images.clone(), targets)
    assert changed.shape == images.shape
    assert mixed.shape == targets.shape
    assert 0 <= float(changed.min()) <= float(changed.max()) <= 1
    assert torch.allclose(mixed.sum(1), torch.ones(12), atol=1e-5)
    assert torch.equal(changed, images) == (step["layer"] in {"hue", *OF_COLOUR} and shape[2] == 1)
