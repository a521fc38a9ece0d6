"""A kind is one entry of one table: a made-up kind of each sort, added as CONTRIBUTING says, runs and is reported.

They are added to a copy of the program, so that its own processes know them too. Nothing else of the program changes.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import get_args

import pytest
import yaml
from pydantic import BaseModel

from medaug_keras import spec
from medaug_keras.architectures import ARCHITECTURES
from medaug_keras.data import KINDS
from medaug_keras.generators import GENERATORS

PROJECT = Path(__file__).parent.parent

ADDED = {
    "data/stripes.py": '''"""Stripes: horizontal ones are class 0, vertical ones class 1."""

import hashlib

import numpy as np

from medaug_keras.data.dataset import Dataset, Sizes, Split


def stripes_sizes(*, each: int) -> Sizes:
    return Sizes((28, 28, 1), ("horizontal", "vertical"), each, each, each)


def stripes_fingerprint(*, each: int) -> str:
    return hashlib.md5(f"stripes {each}".encode(), usedforsecurity=False).hexdigest()


def load_stripes(name: str, *, each: int) -> Dataset:
    splits = {}
    for number, split in enumerate(("train", "validation", "test")):
        rng = np.random.default_rng(number)
        labels = np.arange(each) % 2
        images = rng.integers(0, 60, (each, 28, 28, 1), dtype=np.uint8)
        for image, label in zip(images, labels, strict=True):
            (image if label == 0 else image.swapaxes(0, 1))[::4] += 150
        splits[split] = Split(images, labels.astype(np.int64))
    return Dataset(
        name=name,
        title="Stripes",
        classes=("horizontal", "vertical"),
        source="simulated",
        licence="CC0",
        citation="none",
        md5=stripes_fingerprint(each=each),
        official_md5=None,
        homepage="",
        description="Stripes.",
        **splits,
    )
''',
    "architectures/linear.py": '''"""Every pixel has a weight for each class."""

from keras import layers


def build(image, *, num_outputs):
    return layers.Dense(num_outputs, name="logits")(layers.Flatten(name="flatten")(image))
''',
    "generators/mean_image.py": '''"""Mean images: of each class, with noise. Kingdom 2026, for a test."""

import keras
import numpy as np

from medaug_keras.generators.fitting import Trained, image_function


def fit(data, recipe, *, seed, on_epoch, strength, checkpoint=None):
    shape = data.images.shape[1:]
    means = [data.images[data.labels == k].mean(0).ravel() for k in range(data.num_classes)]
    noise, label = keras.Input(shape, name="noise"), keras.Input((), dtype="int32", name="label")
    table = keras.layers.Embedding(data.num_classes, int(np.prod(shape)), name="means")
    mean = keras.layers.Reshape(shape, name="mean")(table(label))
    sampler = keras.Model([noise, label], keras.layers.Add(name="add")([mean, noise]), name="mean_image_sampler")
    table.set_weights([np.array(means, np.float32)])
    for epoch in range(1, recipe.epochs + 1):
        on_epoch(epoch, {"loss": 1 / epoch})
    history = {"loss": [1 / epoch for epoch in range(1, recipe.epochs + 1)]}
    return Trained(history, recipe.epochs, {"loss": history["loss"][-1]}, sampler, {"table of means": sampler})


def sample(sampler, labels, *, seed):
    noise = np.random.default_rng(seed).normal(0, 9, (len(labels), *sampler.output_shape[1:])).astype(np.float32)
    return image_function(sampler)(noise, labels.astype(np.int64))
''',
    "generators/turned.py": '''"""Turned images: every image by half a turn. Kingdom 2026, for a test."""

import keras

from medaug_keras.generators.fitting import Trained, image_function


def fit(data, recipe, *, seed, on_epoch, checkpoint=None):
    image = keras.Input(data.images.shape[1:], name="image")
    sampler = keras.Model(image, keras.layers.Rescaling(1.0, name="same")(image), name="turned_sampler")
    on_epoch(1, {"loss": 0.5, "val_loss": 0.5})
    losses = {"loss": 0.5, "val_loss": 0.5}
    return Trained({name: [value] for name, value in losses.items()}, 1, losses, sampler, {"turning": sampler})


def reconstruct(sampler, images, labels, *, seed, mode):
    return image_function(sampler)(images.astype("float32"))[:, ::-1, ::-1].copy()
''',
}

# file → what stands there, and what is put in its place: where CONTRIBUTING says, by as few characters as do not change
# when a real kind is added
LINES = {
    "spec.py": [
        (
            "Data = Annotated[",
            '''class StripesData(_Data):
    """Stripes."""

    kind: Literal["stripes"]
    each: PositiveInt = 24
    """Images of each split."""
    called: ClassVar[str] = "set of stripes"


Data = Annotated[StripesData | ''',
        ),
        (
            "Generator = Annotated[",
            '''class MeanImage(_Generator):
    """Mean images."""

    kind: Literal["mean_image"]
    epochs: PositiveInt = 2
    patience: PositiveInt | None = None
    keep: Literal["best", "last"] = "last"
    optimizer: Adam = Adam()
    strength: PositiveFloat = 2.0
    """Of nothing."""


class Turned(_Generator):
    """Turned images."""

    kind: Literal["turned"]
    epochs: PositiveInt = 1
    patience: PositiveInt | None = None
    keep: Literal["best", "last"] = "last"
    optimizer: Adam = Adam()


Generator = Annotated[MeanImage | Turned | ''',
        ),
        (
            "Step = Annotated[\n    ",
            '''class Negative(_Part):
    """Turn dark into bright."""

    layer: Literal["negative"]
    probability: Probability = 0.5


Step = Annotated[
    Negative | ''',
        ),
        (
            "Classifier = Annotated[",
            '''class Linear(_Classifier):
    """Every pixel has a weight for each class."""

    kind: Literal["linear"]


Classifier = Annotated[
    Annotated[Linear, Tag("linear")] | ''',
        ),
    ],
    "data/kinds.py": [
        ("from medaug_keras.data import ", "from medaug_keras.data import stripes, "),
        (
            "KINDS: dict[str, Kind] = {",
            """KINDS: dict[str, Kind] = {
    "stripes": Kind(
        load=lambda section, tell, room: stripes.load_stripes(section["dataset"], each=section["each"]),
        sizes=lambda section: stripes.stripes_sizes(each=section["each"]),
        fingerprint=lambda section, _: stripes.stripes_fingerprint(each=section["each"]),
    ),""",
        ),
    ],
    "generators/__init__.py": [
        (
            "GENERATORS: dict[str, Kind] = {",
            """GENERATORS: dict[str, Kind] = {
    "mean_image": Kind("Mean image", "medaug_keras.generators.mean_image"),
    "turned": Kind("Half a turn", "medaug_keras.generators.turned", reconstructs=True),""",
        )
    ],
    "augmentation.py": [
        (
            "_OURS: dict[str, Callable[..., Any]] = {",
            """def _negative(rng: torch.Generator, *, probability: float) -> Any:
    return _sometimes(rng, probability, lambda images: 1 - images)


_OURS: dict[str, Callable[..., Any]] = {
    "negative": _negative,""",
        )
    ],
    "architectures/__init__.py": [
        (
            "ARCHITECTURES: dict[str, Architecture] = {",
            """ARCHITECTURES: dict[str, Architecture] = {
    "linear": Architecture("medaug_keras.architectures.linear"),""",
        )
    ],
}

STUDY = {
    "name": "made-up",
    "title": "Made-up kinds",
    "question": "Does every kind of a table run, and is it reported?",
    "samplings": ["shuffle"],
    "datasets": {"stripes": {"kind": "stripes"}},
    "classifier": {"kind": "linear", "epochs": 2, "batch_size": 8},
    "generators": {"mean": {"kind": "mean_image"}, "turned": {"kind": "turned"}, "cvae": {"kind": "cvae", "epochs": 1}},
    "arms": {
        "baseline": {},
        "negative": {"augment": [{"layer": "negative"}]},
        "mean": {"add": {"generator": "mean", "amount": {"fraction": 0.5}}},
        "turned": {"interleave": {"generator": "turned"}},
        "cvae": {"add": {"generator": "cvae", "amount": {"fraction": 0.5}}},
    },
}


@pytest.mark.parametrize(
    ("named", "table"),
    [
        (get_args(get_args(spec.Data)[0]), KINDS),
        (get_args(get_args(spec.Generator)[0]), GENERATORS),
        ([get_args(part)[0] for part in get_args(get_args(spec.Classifier)[0])], ARCHITECTURES),
    ],
    ids=["data", "generators", "classifiers"],
)
def test_a_table_has_the_kinds_that_a_study_can_name(named: Sequence[type[BaseModel]], table: Mapping[str, object]):
    assert sorted(kind for part in named for kind in get_args(part.model_fields["kind"].annotation)) == sorted(table)


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the program and these kinds, and a study of them."""
    folder = tmp_path_factory.mktemp("grown")
    package = folder / "program" / "medaug_keras"
    shutil.copytree(PROJECT / "medaug_keras", package, ignore=shutil.ignore_patterns("__pycache__"))
    for name, text in ADDED.items():
        (package / name).write_text(text, encoding="utf-8")
    for name, changes in LINES.items():
        text = (package / name).read_text("utf-8")
        for old, new in changes:
            assert text.count(old) == 1, (name, old)
            text = text.replace(old, new)
        (package / name).write_text(text, encoding="utf-8")
    (folder / "study.yaml").write_text(yaml.safe_dump(STUDY, sort_keys=False), encoding="utf-8")
    return folder


def program(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-P", "-m", "medaug_keras", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder / "program")},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert not done.returncode, done.stdout + done.stderr
    return done


@pytest.fixture(scope="module")
def pages(grown: Path) -> dict[str, str]:
    """The pages of the study by name, after it ran; every task was done, in processes of their own."""
    program(grown, "check", "study.yaml")
    assert "18 tasks done" in program(grown, "study.yaml", "--workers", "1").stdout
    folder = grown / "docs" / "studies" / "made-up"
    return {path.stem: path.read_text("utf-8") for path in folder.glob("*.md")}


def test_a_study_of_made_up_kinds_runs_to_its_end(grown: Path, pages: dict[str, str]):
    records = [json.loads(path.read_bytes()) for path in (grown / "results").glob("*/record.json")]
    kinds = [record["kind"] for record in records]
    assert {kind: kinds.count(kind) for kind in sorted(set(kinds))} == {
        "classifier": 5,
        "data": 1,
        "generator": 3,
        "quality": 3,
        "synthesis": 3,
        "usefulness": 3,
    }


@pytest.mark.parametrize("title", ["Mean image", "Half a turn", "Conditional VAE"])
def test_every_kind_of_generator_of_the_study_has_its_networks_losses_and_images_on_the_pages(
    pages: dict[str, str], title: str
):
    assert title in pages["models"]
    assert title in pages["generators"]


@pytest.mark.parametrize("network", ["table of means", "turning", "means", "logits"])
def test_layers_of_made_up_networks_are_listed(pages: dict[str, str], network: str):
    assert network in pages["models"]


def test_kinds_that_the_study_does_not_have_are_on_no_page(pages: dict[str, str]):
    assert "Joint VAE" not in "".join(pages.values())
    assert "Conditional GAN" not in "".join(pages.values())


def test_the_schema_knows_made_up_kinds_and_their_settings(grown: Path):
    parts = json.loads(program(grown, "schema").stdout)["$defs"]
    assert parts["MeanImage"]["properties"]["strength"]["description"] == "Of nothing."
    assert parts["StripesData"]["properties"]["each"]["default"] == 24
    assert {"Turned", "Negative"} <= parts.keys()


def test_an_arm_cannot_add_images_of_a_made_up_generator_that_reconstructs(grown: Path):
    wrong = STUDY | {"arms": {"baseline": {}, "turned": {"add": {"generator": "turned"}}}}
    (grown / "wrong.yaml").write_text(yaml.safe_dump(wrong), encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-P", "-m", "medaug_keras", "check", "wrong.yaml"],
        cwd=grown,
        env=os.environ | {"PYTHONPATH": str(grown / "program")},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert "turned is a turned; it makes new versions of given images" in done.stderr
