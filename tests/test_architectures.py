"""Laws of every kind of classifier, and what becomes of an image before it enters a network."""

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from keras.src.applications import imagenet_utils
from PIL import Image
from test_any_model import compare, in_double_precision

from medaug_keras import classifiers
from medaug_keras.architectures import ARCHITECTURES, applications, networks_of_keras
from medaug_keras.networks import fuse
from medaug_keras.networks.preparing import IMAGENET_DEVIATION, IMAGENET_MEAN, prepared
from medaug_keras.reading import StudyError, problems, read
from medaug_keras.spec import Study
from studies import PHANTOM, cli_here, recipe, tiny, written

OWN = """
import keras
from keras import layers

def net(image_shape, num_outputs):
    image = keras.Input(image_shape)
    x = layers.BatchNormalization()(layers.Conv2D(4, 3, padding="same", activation="gelu")(image))
    shared = layers.Conv2D(4, 1)
    x = layers.Add()([shared(x), shared(shared(x))])
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(3, 3, 2)(x))
    return keras.Model(image, layers.Dense(num_outputs)(x))
"""
KINDS: dict[str, tuple[int, dict[str, Any]]] = {  # one of every kind: pixels a side and settings, as small as can be
    "cnn": (16, {}),
    "resnet18": (8, {"stem": None, "input": {"size": 11, "resize": "pad", "channels": "rgb", "normalise": "imagenet"}}),
    "resnet50": (
        8,
        {"stem": "standard", "input": {"size": 20, "resize": "nearest", "channels": "as_is", "normalise": "none"}},
    ),
    "applications": (
        28,
        {"name": "MobileNetV3Small", "weights": None, "train": "all", "input": {"size": 32, "resize": "bilinear"}},
    ),
    "python": (8, {"builder": "my_models:net", "source": OWN, "input": {"size": 12, "resize": "nearest"}}),
}


UNFUSED: dict[str, list[str]] = {}  # kind → its layers that run as Keras has them, slower


def built(kind: str, *, channels: int = 1, classes: int = 3, seed: int = 0) -> keras.Model:
    size, settings = KINDS[kind]
    return classifiers.build(
        kind, image_shape=(size, size, channels), num_classes=classes, head="softmax", seed=seed, **settings
    )


def images(kind: str, count: int = 12, channels: int = 1) -> np.ndarray:
    size = KINDS[kind][0]
    return np.random.default_rng(0).integers(0, 256, (count, size, size, channels), dtype=np.uint8)


def test_every_kind_has_its_case_here() -> None:
    assert KINDS.keys() == ARCHITECTURES.keys()


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_a_kind_has_keras_s_output_gradients_and_moving_means(
    kind: str, training: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    with in_double_precision(monkeypatch):
        compare(built(kind), torch.from_numpy(images(kind)).double() / 127.5 - 1, training)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "applications"])
def test_every_layer_of_a_kind_is_fused_or_known_to_run_as_keras_has_it(kind: str) -> None:
    assert fuse(built(kind)).unfused == UNFUSED.get(kind, [])


@pytest.mark.parametrize("kind", KINDS)
def test_initial_weights_are_those_of_the_seed_whatever_was_drawn_before(kind: str) -> None:
    def weights(seed: int) -> np.ndarray:
        return np.concatenate([weight.ravel() for weight in built(kind, seed=seed).get_weights()])

    first = weights(3)
    torch.rand(5), np.random.rand(5)
    np.testing.assert_array_equal(first, weights(3))
    assert not np.array_equal(first, weights(4))


LOADS = """
import sys, numpy as np, keras
for path in sys.argv[1:]:
    images = np.load(path + ".npy").astype("float32") / 127.5 - 1
    np.save(path + ".found.npy", keras.models.load_model(path).predict(images, verbose=0))
assert not any(name.startswith("medaug_keras") for name in sys.modules)
"""


def test_a_saved_classifier_of_any_kind_loads_without_this_package(tmp_path: Path) -> None:
    expected = {}
    for kind in KINDS:
        path = tmp_path / f"{kind}.keras"
        model = built(kind)
        np.save(f"{path}.npy", images(kind))
        expected[path] = classifiers.predict(model, images(kind), head="softmax")
        model.save(path)
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, "-I", "-c", LOADS, *map(str, expected)], env=environment, capture_output=True, text=True
    )
    assert not done.returncode, done.stderr
    for path, probabilities in expected.items():
        logits = torch.from_numpy(np.load(f"{path}.found.npy"))
        np.testing.assert_allclose(torch.softmax(logits, 1).numpy(), probabilities, atol=1e-4)


@pytest.mark.parametrize("kind", KINDS)
def test_features_are_what_the_logits_are_made_of(kind: str) -> None:
    model = built(kind)
    hidden = classifiers.features(model, images(kind))
    kernel, bias = model.get_layer("logits").get_weights()
    probabilities = torch.softmax(torch.from_numpy(hidden @ kernel + bias), 1).numpy()
    np.testing.assert_allclose(probabilities, classifiers.predict(model, images(kind), head="softmax"), atol=1e-5)


def test_a_residual_network_learns_what_is_plain() -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(32) % 2
    dots = (rng.integers(0, 60, (32, 8, 8, 1)) + 150 * labels[:, None, None, None]).astype(np.uint8)
    split = dots, labels
    trained = classifiers.fit(
        built("resnet18", classes=2),
        split,
        {"validation": split, "test": split},
        num_classes=2,
        sampling="shuffle",
        augment=[],
        seed=0,
        on_epoch=lambda epoch, logs: None,
        **recipe(epochs=3, batch_size=8, optimizer={"learning_rate": 0.01}),
    )
    assert (trained.chosen("best_validation_loss")["test"].argmax(1) == labels).mean() == 1


# --- residual networks -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "stem", "classes", "published"),
    [
        ("resnet18", "standard", 1000, 11_689_512),  # torchvision's, which are the paper's
        ("resnet50", "standard", 1000, 25_557_032),
        ("resnet18", "small", 10, 11_173_962),  # the usual ResNet-18 of CIFAR-10
    ],
)
def test_a_residual_network_has_the_published_number_of_parameters(
    kind: str, stem: str, classes: int, published: int
) -> None:
    model = classifiers.build(kind, image_shape=(32, 32, 3), num_classes=classes, head="softmax", seed=0, stem=stem)
    assert sum(int(np.prod(weight.shape)) for weight in model.trainable_weights) == published


@pytest.mark.parametrize(("side", "left"), [(95, 12), (96, 3)])
def test_the_stem_is_the_standard_one_from_96_pixels_up(side: int, left: int) -> None:
    model = classifiers.build("resnet18", image_shape=(side, side, 1), num_classes=2, head="softmax", seed=0, stem=None)
    assert model.get_layer("mean").input.shape == (None, left, left, 512)


def test_initial_weights_are_those_of_he() -> None:
    model = built("resnet18")
    for name in ("stage1_block1_conv1", "stage2_block1_conv1", "stage4_block2_conv2"):  # in one, more goes out than in
        kernel = model.get_layer(name).kernel.numpy()
        expected = np.sqrt(2 / (9 * kernel.shape[-1]))
        assert kernel.std() == pytest.approx(expected, rel=0.02)
        assert abs(kernel.mean()) < 0.02 * expected


# --- Keras's own networks --------------------------------------------------------------------------

SMALL = {"image_shape": (32, 32, 1), "num_classes": 2, "head": "softmax", "seed": 0}


def test_all_of_keras_s_networks_can_be_named() -> None:
    of_keras = {name for name, made in vars(keras.applications).items() if inspect.isfunction(made)}
    assert set(networks_of_keras()) == of_keras - {"NASNetMobile"}
    with pytest.raises(ValueError, match="not available with the torch backend"):  # says Keras
        keras.applications.NASNetMobile(weights=None)


@pytest.mark.parametrize("name", ["DenseNet121", "EfficientNetB0", "MobileNetV2", "ResNet50"])
def test_a_network_of_keras_gets_images_as_its_preprocessing_makes_them(name: str) -> None:
    make = getattr(keras.applications, name)
    image = keras.Input((12, 12, 3))
    found = keras.Model(image, applications.scaled_as_it_wants(image, make))(COLOR.astype(np.float32) / 127.5 - 1)
    expected = sys.modules[make.__module__].preprocess_input(COLOR.astype(np.float32))
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-4)


def test_a_frozen_body_stays_as_it_is_and_its_head_learns() -> None:
    model = classifiers.build("applications", **SMALL, name="MobileNetV3Small", weights=None, train="head")
    before = {weight.path: weight.numpy().copy() for weight in model.weights}
    labels = np.arange(16) % 2
    split = RNG.integers(0, 256, (16, 32, 32, 1), np.uint8), labels
    held_out = {"validation": split, "test": split}
    how = recipe(epochs=1, batch_size=8, optimizer={"learning_rate": 0.1})
    classifiers.fit(
        model, split, held_out, num_classes=2, sampling="shuffle", augment=[], seed=0, on_epoch=lambda *_: None, **how
    )
    moved = {weight.path for weight in model.weights if not np.array_equal(weight.numpy(), before[weight.path])}
    # of what a random body that is frozen makes of noise, hardly anything reaches the kernel
    assert moved | {"logits/kernel"} == {"logits/kernel", "logits/bias"}


def test_a_network_begins_with_the_weights_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file stands for the one that would be downloaded."""
    keras.utils.set_random_seed(7)
    body = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=(32, 32, 3))
    body.save_weights(tmp_path / "some.weights.h5")
    monkeypatch.setattr(applications, "_get_file", lambda *args, **how: str(tmp_path / "some.weights.h5"))
    monkeypatch.setenv("MEDAUG_KERAS_HOME", str(tmp_path))
    model = classifiers.build("applications", **SMALL, name="MobileNetV3Small", weights="imagenet", train="all")
    np.testing.assert_array_equal(model.get_layer("conv").kernel.numpy(), body.get_layer("conv").kernel.numpy())


def test_without_a_network_the_file_and_its_folder_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDAUG_KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # nobody listens there
    named = rf"weights_mobilenet_v3_small.*\.h5 is not in {tmp_path}/keras/models, and https://.* cannot be downloaded"
    with pytest.raises(ValueError, match=named):
        classifiers.build("applications", **SMALL, name="MobileNetV3Small", weights="imagenet", train="all")
    path = tmp_path / "study.yaml"
    study = tiny(classifier={"kind": "applications", "name": "MobileNetV3Small", "weights": "imagenet"})
    study["datasets"]["grey"] = {**PHANTOM, "size": 32}
    path.write_text(json.dumps(study), encoding="utf-8")
    done = cli_here("check", path, "--results", tmp_path / "results", cwd=tmp_path)
    assert done.returncode == 2
    assert re.search(named, done.stderr)
    assert "Traceback" not in done.stderr


def test_a_study_of_a_network_of_keras_runs_and_its_pages_say_which_layers_are_not_fused(tmp_path: Path) -> None:
    study = tiny(classifier={"kind": "applications", "name": "MobileNetV3Small", "train": "head", "epochs": 1})
    study |= {"datasets": {"grey": {**PHANTOM, "size": 32}}, "arms": {"baseline": {}}}
    done = cli_here(written(tmp_path, study), "--workers", "1", "--no-site", cwd=tmp_path)
    assert not done.returncode, done.stderr
    (record,) = (json.loads(path.read_text()) for path in tmp_path.glob("results/classifier-*/record.json"))
    assert "multiply_8" in record["values"]["unfused"]
    assert record["values"]["parameters"] == 576 * 2 + 2
    pages = tmp_path / "docs" / "studies" / "tiny"
    assert "expanded_conv_project" in (pages / "models.md").read_text("utf-8")
    (run,) = (text for path in pages.rglob("*.md") if "Make it again" in (text := path.read_text("utf-8")))
    assert "multiply_8" in run.partition("Layers that ran as Keras has them")[2].partition("</p>")[0]


# --- before the network ----------------------------------------------------------------------------

ASKED = {"size": None, "resize": "bilinear", "channels": "as_is", "normalise": "half"}
RNG = np.random.default_rng(1)
GRAY, COLOR = RNG.integers(0, 256, (2, 12, 12, 1), np.uint8), RNG.integers(0, 256, (2, 12, 12, 3), np.uint8)


def seen(pictures: np.ndarray, **changes: Any) -> np.ndarray:
    """What a network gets of images, by Keras and by the fused function."""
    image = keras.Input(pictures.shape[1:])
    model = keras.Model(image, prepared(image, **(ASKED | changes)))
    values = torch.from_numpy(pictures).float() / 127.5 - 1
    found = model(values).numpy()
    np.testing.assert_allclose(fuse(model)(values, training=False).numpy(), found, atol=1e-4)
    return found


@pytest.mark.parametrize(
    ("resize", "filter_", "size"),
    [("nearest", Image.NEAREST, 28), ("bilinear", Image.BILINEAR, 28), ("bilinear", Image.BILINEAR, 9)],
)
def test_images_are_resized_as_pillow_does(resize: str, filter_: int, size: int) -> None:
    floats = [Image.fromarray(picture[..., 0].astype(np.float32)) for picture in GRAY]
    expected = [np.asarray(picture.resize((size, size), filter_)) for picture in floats]
    found = (seen(GRAY, size=size, resize=resize)[..., 0] + 1) * 127.5
    np.testing.assert_allclose(found, expected, atol=0.01)


@pytest.mark.parametrize("normalise", ["half", "imagenet", "none"])
def test_padding_is_zeros_around_the_normalized_image(normalise: str) -> None:
    found = seen(COLOR, size=17, resize="pad", normalise=normalise)
    inner = found[:, 2:14, 2:14]
    np.testing.assert_allclose(inner, seen(COLOR, normalise=normalise), atol=1e-6)
    assert np.abs(found).sum() == pytest.approx(np.abs(inner).sum(), rel=1e-6)


def test_values_are_scaled_by_their_closed_forms() -> None:
    np.testing.assert_allclose(seen(COLOR), COLOR / 127.5 - 1, atol=1e-6)
    np.testing.assert_allclose(seen(COLOR, normalise="none"), COLOR, atol=1e-4)
    expected = (COLOR / 255 - np.array(IMAGENET_MEAN)) / np.array(IMAGENET_DEVIATION)
    np.testing.assert_allclose(seen(COLOR, normalise="imagenet"), expected, atol=1e-5)
    gray = (GRAY / 255 - np.mean(IMAGENET_MEAN)) / np.mean(IMAGENET_DEVIATION)
    np.testing.assert_allclose(seen(GRAY, normalise="imagenet"), gray, atol=1e-5)


def test_the_mean_of_imagenet_is_that_of_kerass_networks_from_torch() -> None:
    expected = keras.applications.imagenet_utils.preprocess_input(COLOR.astype(np.float32), mode="torch")
    np.testing.assert_allclose(seen(COLOR, normalise="imagenet"), expected, atol=1e-5)


def test_gray_images_repeat_their_channel_and_color_stays() -> None:
    np.testing.assert_array_equal(seen(GRAY, channels="rgb"), np.repeat(seen(GRAY), 3, axis=-1))
    np.testing.assert_array_equal(seen(COLOR, channels="rgb"), seen(COLOR))


def test_an_image_of_the_asked_size_is_not_padded() -> None:
    np.testing.assert_array_equal(seen(COLOR, size=12, resize="pad"), seen(COLOR))


def test_an_image_is_not_padded_to_less_than_it_has() -> None:
    with pytest.raises(ValueError, match="images of 12 x 12 pixels cannot be padded to 8 x 8"):
        seen(GRAY, size=8, resize="pad")


# --- what a study may say --------------------------------------------------------------------------


def said_of(tmp_path: Path, classifier: str, size: int) -> str:
    path = tmp_path / "study.yaml"
    data = f"datasets: {{phantom-ultrasound: {{kind: phantom, size: {size}}}}}"
    path.write_text(f"name: a\ntitle: a\nquestion: a\n{data}\nclassifier: {classifier}\narms: {{baseline: {{}}}}\n")
    with pytest.raises(StudyError, match="is not a study") as error:
        read(path)
    return str(error.value)


@pytest.mark.parametrize(
    ("classifier", "size", "says"),
    [
        ("resnet18", 28, r"write \{kind: resnet18\}"),
        ("{kind: resnet34}", 28, "classifier.kind: got 'resnet34'; did you mean resnet"),
        ("{stem: small}", 28, "classifier.stem: not a setting"),
        ("{kind: resnet50, stem: large}", 28, "classifier.stem: Input should be 'small' or 'standard', got 'large'"),
        ("{kind: applications, name: EfficientNetB9}", 64, "Keras has no network EfficientNetB9; did you mean Eff"),
        ("{kind: applications}", 64, "classifier.name: is missing"),
        ("{kind: applications, name: ResNet50}", 28, "applications ResNet50 needs images of at least 32 x 32 pixels"),
        ("{kind: applications, name: Xception}", 64, "applications Xception needs images of at least 71 x 71 pixels"),
        ("{input: {size: 12}}", 28, "cnn needs images of at least 16 x 16 pixels, and classifier.input makes them 12"),
        ("{input: {size: 20, resize: pad}}", 28, "images of 28 x 28 cannot be padded to the 20 x 20"),
    ],
)
def test_what_a_kind_cannot_do_is_said(classifier: str, size: int, says: str, tmp_path: Path) -> None:
    assert re.search(says, said_of(tmp_path, classifier, size))


@pytest.mark.parametrize("name", networks_of_keras())
def test_the_least_size_of_a_network_of_keras_is_keras_own(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Smaller images are refused before any layer is made; these pass that check, and no layer is made either."""

    class PassedError(Exception):
        pass

    asked = imagenet_utils.obtain_input_shape

    def checked(*args: Any, **how: Any) -> None:
        asked(*args, **how)
        raise PassedError("large enough")

    def make(size: int) -> None:
        getattr(keras.applications, name)(include_top=False, weights=None, input_shape=(size, size, 3))

    monkeypatch.setattr(imagenet_utils, "obtain_input_shape", checked)
    least = ARCHITECTURES["applications"].least(name)
    with pytest.raises(ValueError, match=f"Input size must be at least {least}x{least}"):
        make(least - 1)
    if not name.startswith("MobileNetV3"):  # checks by itself, and goes on
        with pytest.raises(PassedError, match="large enough"):
            make(least)


def test_a_small_image_can_be_enlarged_for_a_network(tmp_path: Path) -> None:
    assert "16 x 16" in said_of(tmp_path, "{kind: cnn}", 12)
    study = Study.model_validate_json(
        json.dumps(tiny(datasets={"grey": {**PHANTOM, "size": 12}}, classifier={"input": {"size": 28}}))
    )
    assert problems(study) == []
