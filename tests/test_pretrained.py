"""Training that begins with the weights of a file: what is taken from it, what is refused, what is published of it."""

import hashlib
import json
import re
import shutil
import zipfile
from pathlib import Path
from typing import Any

import h5py
import keras
import numpy as np
import pytest
import torch
from keras import layers
from test_architectures import KINDS, OWN, images

from medaug_keras import classifiers
from medaug_keras.cli import main
from medaug_keras.cli.mistakes import WRONG_REQUEST
from medaug_keras.networks import saved as saved_weights
from medaug_keras.plan import Plan, Source, plan
from medaug_keras.reading import StudyError, read
from medaug_keras.reading.weights import WeightsError, sum_of
from studies import PHANTOM, PROJECT, cli_here, recipe, tiny, written

PAGE = (PROJECT / "docs" / "how-to" / "pretrained.md").read_text(encoding="utf-8")
FIRST, SECOND = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def built(
    kind: str = "cnn", *, classes: int = 3, seed: int = 0, size: int = 0, channels: int = 1, **changes: Any
) -> Any:
    side, settings = KINDS[kind]
    shape = (size or side, size or side, channels)
    return classifiers.build(
        kind, image_shape=shape, num_classes=classes, head="softmax", seed=seed, **{**settings, **changes}
    )


def of(path: Path) -> dict[str, str]:
    return {"file": str(path), "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def saved(model: keras.Model, path: Path) -> dict[str, str]:
    """The model's file, as `build` takes it."""
    (model.save if path.suffix == ".keras" else model.save_weights)(path)
    return of(path)


def values(model: keras.Model) -> dict[str, np.ndarray]:
    """Layer and place → weight; a body's before the last layer's."""
    return {f"{layer.name} {i}": w for layer in model.layers for i, w in enumerate(layer.get_weights())}


def assert_same(found: keras.Model, body: keras.Model, head: keras.Model) -> None:
    """All but the last layer as in one model, the last as in another."""
    last, rest, expected = values(head), values(body), values(found)
    assert expected.keys() == rest.keys()
    for name, value in expected.items():
        np.testing.assert_array_equal(value, (last if name.startswith("logits ") else rest)[name], err_msg=name)


# --- what is taken from the file -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "ending"),
    [("cnn", ".weights.h5"), ("resnet50", ".weights.h5"), *((kind, ".keras") for kind in KINDS if kind != "resnet50")],
)
def test_a_network_of_any_kind_begins_with_the_file_and_a_last_layer_of_the_seed(
    kind: str, ending: str, tmp_path: Path
) -> None:
    other = built(kind, seed=5)
    other.set_weights([w + 1 for w in other.get_weights()])  # means and deviations of batch norm, too
    found = built(kind, classes=4, weights=saved(other, tmp_path / f"other{ending}"))
    assert_same(found, other, built(kind, classes=4))


def test_the_last_layer_is_the_files_where_it_has_as_many_outputs(tmp_path: Path) -> None:
    other = built(seed=5)
    assert_same(built(weights=saved(other, tmp_path / "a.keras")), other, other)


def test_layers_are_found_by_name_whatever_their_order(tmp_path: Path) -> None:
    """Two layers of one class and one shape, in the other order: by their order alone they would be confused."""
    image = keras.Input((8, 8, 1))
    texts = {}
    for first, second in (("a", "b"), ("b", "a")):
        x = layers.Conv2D(1, 3, name=second)(layers.Conv2D(1, 3, name=first)(image))
        texts[first] = keras.Model(image, layers.Dense(2, name="logits")(layers.Flatten()(x)))
    text = (
        "import keras\nfrom keras import layers\ndef net(image_shape, num_outputs):\n"
        "    image = keras.Input(image_shape)\n"
        "    x = layers.Conv2D(1, 3, name='b')(layers.Conv2D(1, 3, name='a')(image))\n"
        "    return keras.Model(image, layers.Dense(num_outputs)(layers.Flatten()(x)))\n"
    )
    for other in texts.values():
        weights = saved(other, tmp_path / "a.weights.h5")
        found = built("python", size=8, classes=2, input=None, builder="my:net", source=text, weights=weights)
        assert_same(found, other, other)


def test_layers_without_names_are_found_in_their_order(tmp_path: Path) -> None:
    """Keras numbers them by what was built before in the process that saved the file."""
    other = built("python", seed=5)
    before = "\n    layers.Conv2D(1, 1), layers.BatchNormalization(), layers.Dense(1)\n    image ="
    renamed = built("python", seed=5, source=OWN.replace("\n    image =", before))
    assert {layer.name for layer in renamed.layers} != {layer.name for layer in other.layers}
    found = built("python", weights=saved(renamed, tmp_path / "a.keras"))
    for ours, theirs in zip(found.get_weights(), renamed.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_the_body_of_a_users_own_model_of_keras_is_taken_with_another_head(tmp_path: Path) -> None:
    keras.utils.set_random_seed(3)
    body = keras.applications.MobileNetV3Small(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling="avg", include_preprocessing=True
    )
    image = keras.Input((32, 32, 3))
    theirs = keras.Model(image, layers.Dense(7, name="mine")(layers.Dropout(0.5)(body(image))))
    found = built("applications", weights=saved(theirs, tmp_path / "a.keras"))
    for layer in body.layers[1:]:  # after the input
        for ours, expected in zip(found.get_layer(layer.name).get_weights(), layer.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, expected)


def test_layers_inside_a_layer_are_taken_too(tmp_path: Path) -> None:
    text = (
        "import keras\nfrom keras import layers\ndef net(image_shape, num_outputs):\n"
        "    image = keras.Input(image_shape)\n"
        "    x = layers.Reshape((16, -1))(image)\n"
        "    x = layers.MultiHeadAttention(2, 4)(x, x)\n"
        "    x = layers.MultiHeadAttention(2, 4)(x, x)\n"
        "    return keras.Model(image, layers.Dense(num_outputs)(layers.Flatten()(x)))\n"
    )
    how = {"size": 8, "input": None, "builder": "my:net", "source": text}
    other = built("python", seed=5, **how)
    assert_same(built("python", weights=saved(other, tmp_path / "a.keras"), **how), other, other)


def test_a_layer_of_the_same_place_goes_before_one_inside_another_layer(tmp_path: Path) -> None:
    image = keras.Input((8, 8, 1))
    body = keras.Sequential([keras.Input((6, 6, 1)), layers.Conv2D(1, 3, padding="same", name="a")], name="body")
    found, theirs = (
        keras.Model(
            image, layers.Dense(2, name="logits")(layers.Flatten()(inside(layers.Conv2D(1, 3, name="a")(image))))
        )
        for inside in (lambda x: x, body)
    )
    weights = saved(theirs, tmp_path / "a.weights.h5")
    saved_weights.assign_saved(found, last=found.get_layer("logits"), **weights)
    np.testing.assert_array_equal(found.get_layer("a").kernel, theirs.get_layer("a").kernel)


def test_weights_of_an_earlier_keras_and_of_bfloat16_are_read(tmp_path: Path) -> None:
    other, path = built(seed=5), tmp_path / "a.weights.h5"
    saved(other, path)
    bits = np.asarray(other.get_layer("conv1").kernel.value.detach().bfloat16().view(torch.int16)).view("V2")
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars"].create_dataset("0", data=bits).attrs["dtype"] = "bfloat16"
        file.move("layers", "_layer_checkpoint_dependencies")
    found = built(weights=of(path))
    kernel = other.get_layer("conv1").kernel.value.detach()
    np.testing.assert_array_equal(found.get_layer("conv1").kernel.value.detach(), kernel.bfloat16().float())
    np.testing.assert_array_equal(found.get_layer("conv2").kernel, other.get_layer("conv2").kernel)


@pytest.mark.parametrize("kind", ["cnn", "python"])
def test_only_the_last_layer_learns_where_the_study_says_so(kind: str, tmp_path: Path) -> None:
    weights = saved(built(kind, seed=5), tmp_path / "a.keras")
    model = built(kind, classes=2, weights=weights, train="head")
    before = values(model)
    split = images(kind, 16), np.arange(16) % 2
    held_out = {"validation": split, "test": split}
    how = recipe(epochs=2, batch_size=8, optimizer={"learning_rate": 0.5})
    classifiers.fit(
        model, split, held_out, num_classes=2, sampling="shuffle", augment=[], seed=0, on_epoch=lambda *_: None, **how
    )
    moved = {name for name, value in values(model).items() if not np.array_equal(value, before[name])}
    assert moved == {"logits 0", "logits 1"}


# --- what is refused -------------------------------------------------------------------------------


def test_what_does_not_fit_is_named_with_its_shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cnn, color = saved(built(), tmp_path / "cnn.keras"), saved(built(channels=3), tmp_path / "color.keras")
    with pytest.raises(ValueError, match=r"conv1 has \(3, 3, 1, 16\), in the file \(3, 3, 3, 16\)\. "):
        built(weights=color)
    with pytest.raises(ValueError, match=r"cnn.keras does not fit .* 28 x 28 x 1.* 1 cannot .* dense1 has"):
        built(size=28, weights=cnn)
    with pytest.raises(ValueError, match=r"40 cannot .*: stem is not in the file; .*; and 32 more") as found:
        built("resnet18", weights=cnn)
    assert str(found.value).count("is not in the file") == 8
    monkeypatch.setattr(saved_weights, "SHOWN", 1)
    with pytest.raises(ValueError, match=r"in the file \(3, 3, 3, 16\)\. "):
        built(weights=color)


def link_elsewhere(path: Path, folder: Path) -> None:
    with h5py.File(folder / "secret.h5", "w") as file:
        file["kernel"] = np.zeros((3, 3, 1, 16), np.float32)
    with h5py.File(path, "r+") as file:
        del file["layers/conv2d/vars/0"]
        file["layers/conv2d/vars/0"] = h5py.ExternalLink(str(folder / "secret.h5"), "kernel")


def layers_elsewhere(path: Path, folder: Path) -> None:
    shutil.copy(path, folder / "secret.h5")
    with h5py.File(path, "r+") as file:
        del file["layers"]
        file["layers"] = h5py.ExternalLink(str(folder / "secret.h5"), "layers")


def data_elsewhere(path: Path, folder: Path) -> None:
    (folder / "secret.bin").write_bytes(bytes(3 * 3 * 16 * 4))
    with h5py.File(path, "r+") as file:
        group = file["layers/conv2d/vars"]
        del group["0"]
        group.create_dataset("0", (3, 3, 1, 16), "f4", external=[(str(folder / "secret.bin"), 0, h5py.h5f.UNLIMITED)])


def diverged(path: Path, folder: Path) -> None:
    with h5py.File(path, "r+") as file:
        file["layers/conv2d/vars/0"][0] = np.nan


def of_keras_2(path: Path, folder: Path) -> None:
    with h5py.File(path, "r+") as file:
        file.move("layers", "conv1")


def cut_off(path: Path, folder: Path) -> None:
    path.write_bytes(path.read_bytes()[:5000])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (link_elsewhere, "conv1 has"),
        (layers_elsewhere, "conv1 is not in the file"),
        (data_elsewhere, "weights in other files, which are not read"),
        (diverged, "not finite numbers"),
        (of_keras_2, "no layers as Keras 3 saves them"),
        (cut_off, "is damaged"),
    ],
)
def test_a_hostile_or_damaged_file_is_one_message(change: Any, why: str, tmp_path: Path) -> None:
    path = tmp_path / "a.weights.h5"
    saved(built(), path)
    change(path, tmp_path)
    with pytest.raises(ValueError, match=why):
        built(weights=of(path))


def test_nothing_that_a_file_says_is_run(tmp_path: Path) -> None:
    """The archive's own description of layers is not even read: here it is none."""
    path = tmp_path / "a.keras"
    other = built(seed=5)
    other.save(path)
    with zipfile.ZipFile(path) as archive:
        content = archive.read("model.weights.h5")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("config.json", "import os; os.abort()")
        archive.writestr("model.weights.h5", content)
    assert_same(built(weights=of(path)), other, other)


def test_a_file_that_was_changed_or_taken_away_since_is_no_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.keras"
    weights = saved(built(), path)
    saved(built(seed=1), path)
    with pytest.raises(ValueError, match="was changed since the study was read"):
        built(weights=weights)
    path.unlink()
    with pytest.raises(ValueError, match="cannot be read"):
        built(weights=weights)


@pytest.mark.parametrize(
    ("path", "why"), [("/dev/null", "is no regular file"), ("/proc/self/mem", "cannot be read (Input/output error)")]
)
def test_a_file_of_weights_that_is_none_or_cannot_be_read_is_said(path: str, why: str) -> None:
    with pytest.raises(WeightsError, match=re.escape(f"{path} {why}")):
        sum_of(Path(path))


def study_with(folder: Path, weights: str | None, **changes: Any) -> Path:
    classifier = {"kind": "cnn", "epochs": 1, "batch_size": 16, **changes} | ({"weights": weights} if weights else {})
    return written(folder, tiny(classifier=classifier))


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("away.keras", None, "no such file"),
        ("folder.keras", "folder", "is a folder"),
        ("a.keras", b"version https://git-lfs.github.com/spec/v1\n", "git-lfs pointer"),
        ("a.weights.h5", b"<!DOCTYPE html><html>", "an HTML page"),
        ("a.keras", b"", "an empty file"),
        ("a.keras", b"PK\x03\x04 and no more", "cut off or damaged"),
        ("a.keras", "zip", "without Keras's model.weights.h5"),
        ("a.weights.h5", b"PK\x03\x04", "a zip file; as Keras saves it, it is an HDF5 file"),
        ("a.pth", b"", "ends in .keras or .weights.h5"),
        ("imagenet", None, "kind: applications alone"),
    ],
)
def test_what_is_no_file_of_weights_is_refused_where_the_study_names_it(
    name: str, content: Any, why: str, tmp_path: Path
) -> None:
    if content == "folder":
        (tmp_path / name).mkdir()
    elif content == "zip":
        with zipfile.ZipFile(tmp_path / name, "w") as archive:
            archive.writestr("something", "else")
    elif content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(StudyError, match=rf"(?s)tiny\.yaml:\d+: classifier\.weights: .*{re.escape(why)}"):
        read(study_with(tmp_path, name))


def test_check_names_the_layers_that_do_not_fit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    saved(built(), tmp_path / "a.keras")
    monkeypatch.chdir(tmp_path)
    assert main(["check", str(study_with(tmp_path, "a.keras"))]) == WRONG_REQUEST
    (line,) = (line for line in capsys.readouterr().err.splitlines() if "classifier.weights: " in line)
    assert re.search(r"classifier\.weights: a\.keras does not fit .* dense1 has", line)


# --- keys, pages and runs --------------------------------------------------------------------------


def planned(path: Path) -> Plan:
    return plan(read(path), {"grey": Source("bytes", 48, 16, 16)})


def keys(path: Path) -> list[str]:
    return [task.key for task in planned(path).tasks.values() if task.kind == "classifier"]


def test_the_key_has_what_is_in_the_file_and_not_where_it_is(tmp_path: Path) -> None:
    saved(built(), tmp_path / "a.keras")
    first = keys(study_with(tmp_path, "a.keras"))
    (tmp_path / "elsewhere").mkdir()
    shutil.copy(tmp_path / "a.keras", tmp_path / "elsewhere" / "b.keras")
    assert keys(study_with(tmp_path, "elsewhere/b.keras")) == first
    assert keys(study_with(tmp_path, str(tmp_path / "elsewhere" / "b.keras"))) == first
    assert keys(study_with(tmp_path, "a.keras", train="head")) != first
    without = keys(study_with(tmp_path, None))
    assert without != first
    assert without == keys(study_with(tmp_path, None, train="all"))
    saved(built(seed=1), tmp_path / "a.keras")
    assert not set(keys(study_with(tmp_path, "a.keras"))) & set(first)


def test_arms_of_a_study_share_the_file_and_cannot_have_another(tmp_path: Path) -> None:
    saved(built(), tmp_path / "a.keras")
    saved(built(seed=1), tmp_path / "b.keras")
    study = tiny(classifier={"epochs": 1, "batch_size": 16, "weights": "a.keras"})
    study["arms"]["flip"]["classifier"] = {"epochs": 2}
    tasks = planned(written(tmp_path, study)).tasks.values()
    files = [task.params["settings"]["weights"]["file"] for task in tasks if task.kind == "classifier"]
    assert files == [str(tmp_path / "a.keras")] * 2
    study["arms"]["flip"]["classifier"] = {"weights": "b.keras"}
    with pytest.raises(StudyError, match="is the same in all arms"):
        read(written(tmp_path, study))


def test_the_example_of_the_page_runs_and_is_reproduced_and_no_page_says_where_the_file_was(tmp_path: Path) -> None:
    """X-rays, then ultrasound: here both are phantoms, of three and of two classes, smaller and shorter."""
    for name, text in (("first", FIRST), ("second", SECOND)):
        (tmp_path / f"{name}.yaml").write_text(text, encoding="utf-8")
    small = ["size=8", "replicates=1", "classifier.epochs=1", "classifier.batch_size=16"]
    histology = {**PHANTOM, "name": "phantom-histology", "size": 8}
    begun = [*small, f"datasets={json.dumps({'pneumoniamnist': histology})}", "classifier.input.channels=rgb"]
    goes_on = [
        *small,
        f"datasets={json.dumps({'breastmnist': {**PHANTOM, 'size': 8}})}",
        "classifier.input.channels=rgb",
    ]

    def words(settings: list[str]) -> list[str]:
        return [word for setting in settings for word in ("--set", setting)] + ["--workers", "1"]

    done = cli_here("first.yaml", *words(begun), "--no-site", cwd=tmp_path)
    assert not done.returncode, done.stderr
    (file,) = tmp_path.glob("results/classifier-*/classifier-1.keras")
    (tmp_path / "my secrets").mkdir()
    shutil.move(shutil.copy(file, tmp_path), tmp_path / "my secrets" / "pneumonia.keras")
    goes_on += ["classifier.weights=my secrets/pneumonia.keras", "arms.flips=null"]
    done = cli_here("second.yaml", *words(goes_on), "--no-site", cwd=tmp_path)
    assert not done.returncode, done.stderr
    begin = keras.models.load_model(file)
    assert begin.output.shape[-1] > 2
    pages = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "docs" / "studies").rglob("*.md"))
    sum_ = of(file)["sha256"]
    assert f"begins with the weights of the file <code>pneumonia.keras</code> (SHA-256 <code>{sum_}</code>)" in pages
    assert "beginning with the weights of pneumonia.keras" in pages
    everything = pages + "".join(
        path.read_text(encoding="utf-8")
        for path in (tmp_path / "docs" / "studies" / "second").rglob("*.*")
        if path.suffix in (".yaml", ".csv", ".json", ".tex")
    )
    assert "classifier.weights=WHERE" in everything
    assert "secrets" not in everything
    assert str(tmp_path) not in everything
    done = cli_here("reproduce", "second", "breastmnist/baseline/shuffle/0", "--workers", "1", cwd=tmp_path)
    assert "Identical" in done.stdout, done.stderr + done.stdout
