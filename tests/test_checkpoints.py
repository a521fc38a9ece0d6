"""A training run that is interrupted resumes after its last epoch, and ends with the bytes of an undisturbed one."""

import errno
import hashlib
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import torch
from test_generators import SETTINGS, two_tones

from medaug_keras import classifiers
from medaug_keras.classifiers import Pretraining
from medaug_keras.generators import GENERATORS
from medaug_keras.generators.fitting import Recipe, TrainingData
from medaug_keras.networks import fuse
from medaug_keras.store import disk_trouble
from medaug_keras.training import Checkpoint, OnEpoch, TrainingState, arithmetic, checkpoints, file_checkpoint
from studies import recipe

GEOMETRIC = [
    {"layer": "sharpness", "factor": 2.0, "probability": 0.5},
    {"layer": "autocontrast", "probability": 0.5},
    {"layer": "hue", "delta": 0.3},
    {"layer": "horizontal_flip", "probability": 0.5},
]
POLICIES = [
    {"layer": "elastic", "strength": 0.05, "smoothness": 0.2, "probability": 0.5},
    {"layer": "augmix", "width": 2, "depth": 2, "severity": 3.0},
    {"layer": "trivial_augment"},
]
KERAS = [{"layer": "RandAugment"}, {"layer": "MixUp", "alpha": 0.2}]
AS_IS = {"resize": "bilinear", "channels": "as_is", "normalise": "half"}
DECAYING = {"learning_rate_decay": 0.9, "epochs": 3}
TRAININGS: dict[str, dict[str, Any]] = {
    **{kind: {**settings, **DECAYING} for kind, settings in SETTINGS.items()},
    "cvae of findings": {**SETTINGS["cvae"], **DECAYING},
    "cgan of findings": {**SETTINGS["cgan"], **DECAYING, "class_head": True},
    "flow of findings": {**SETTINGS["flow"], **DECAYING, "batch_size": 8, "images": 60},
    "cvae with patience": {**SETTINGS["cvae"], "patience": 2, "epochs": 9, "seed": 1},  # ends after 3 epochs
    "joint_vae": {**SETTINGS["joint_vae"], **DECAYING, "capacity_steps": 8, "keep": "last"},
    "joint_vae per class": {**SETTINGS["joint_vae"], **DECAYING, "per_class": True, "capacity_steps": 8},
    "cgan": {**SETTINGS["cgan"], **DECAYING, "class_head": True},
    "flow": {**SETTINGS["flow"], **DECAYING, "batch_size": 8, "images": 60},  # passes over 26 images end within epochs
    "classifier": {"sampling": "weighted", "augment": GEOMETRIC, "head": "softmax"},
    "classifier in bfloat16": {
        "sampling": "weighted",
        "augment": GEOMETRIC,
        "head": "softmax",
        "precision": "bfloat16",
    },
    "classifier resnet18": {"sampling": "shuffle", "augment": GEOMETRIC, "head": "softmax"},
    "classifier of a file, its head alone": {"sampling": "shuffle", "augment": GEOMETRIC, "head": "softmax"},
    "classifier that drops": {"sampling": "shuffle", "augment": [], "head": "softmax"},
    "classifier with Keras's steps": {"sampling": "shuffle", "augment": KERAS, "head": "sigmoid"},
    "classifier that drops, with another recipe": {
        "sampling": "weighted",
        "augment": GEOMETRIC,
        "head": "softmax",
        "optimizer": {**recipe(optimizer={"kind": "adamw"})["optimizer"], "weight_decay": 0.05},
        "schedule": {"kind": "cosine", "warm_up": 1.5, "end": 1e-4},
        "loss": {"class_weights": "balanced", "label_smoothing": 0.1, "focal_gamma": 1.0},
    },
    "classifier with a budget": {
        "sampling": "shuffle",
        "augment": POLICIES,
        "head": "softmax",
        "budget": {"images": 60, "steps": None},  # 8 steps of 8 in 3 parts: passes over 26 images end within them
    },
}
PRETRAINS = {"sampling": "weighted", "augment": GEOMETRIC, "head": "softmax", "pretraining": Pretraining(2, 11)}
TRAININGS |= {
    "classifier that pretrains": PRETRAINS | {"loss": {**recipe()["loss"], "class_weights": "balanced"}},
    "classifier that pretrains, with a budget": PRETRAINS | {"budget": {"images": 60, "steps": None}},
}
COLOUR, HELD = two_tones(26, channels=3), two_tones(14, channels=3, seed=1)


def dropping() -> keras.Model:
    """Its layers draw at every step, by two ways of Keras's; initial weights always the same."""
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((28, 28, 3))
    x = keras.layers.SpatialDropout2D(0.2)(keras.layers.Conv2D(4, 3, 2, "same", activation="gelu")(x))
    x = keras.layers.GaussianNoise(0.1)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, keras.layers.Dense(2, name="logits")(keras.layers.Dropout(0.5)(x)))


def train(name: str, on_epoch: OnEpoch, checkpoint: Checkpoint | None) -> dict[str, Any]:
    """Train with one of the settings; everything that came of it, arrays as bytes."""
    settings, kind = dict(TRAININGS[name]), name.split(" ")[0]
    with arithmetic(settings.pop("precision", "float32")):
        return made_with(name, kind, settings, on_epoch, checkpoint)


def made_with(
    name: str, kind: str, settings: dict[str, Any], on_epoch: OnEpoch, checkpoint: Checkpoint | None
) -> dict[str, Any]:
    if kind in GENERATORS:
        shared, own = Recipe.split(settings)
        data = TrainingData(*COLOUR, *HELD, num_classes=2)
        if name.endswith("of findings"):
            vectors = [np.stack([labels, np.arange(len(labels)) % 3 == 0], axis=1) for _, labels in (COLOUR, HELD)]
            data = TrainingData(COLOUR[0], vectors[0], HELD[0], vectors[1], num_classes=2)
        made = GENERATORS[kind].fit(data, shared, on_epoch=on_epoch, checkpoint=checkpoint, **own)
        weights = [weight for network in (made.sampler, *made.networks.values()) for weight in network.get_weights()]
        found = {"losses": made.losses, "history": made.history, "best_epoch": made.best_epoch}
    else:
        made_of = {"kind": "cnn"}
        if name == "classifier resnet18":
            made_of = {"kind": "resnet18", "stem": None, "input": {**AS_IS, "size": 9}}
        shape = {"image_shape": (28, 28, 3), "num_classes": 2, "head": settings["head"]}
        if name == "classifier of a file, its head alone":
            with tempfile.TemporaryDirectory() as folder:
                file = Path(folder, "other.keras")
                classifiers.build("cnn", **shape, seed=1).save(file)
                weights = {"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}
                model = classifiers.build("cnn", **shape, seed=0, weights=weights, train="head")
        else:
            model = classifiers.build(**made_of, **shape, seed=0)
        if name.startswith("classifier that drops"):
            model = dropping()
        made = classifiers.fit(
            model,
            COLOUR,
            {"validation": HELD, "test": two_tones(10, channels=3, seed=2)},
            num_classes=2,
            seed=3,
            on_epoch=on_epoch,
            checkpoint=checkpoint,
            **recipe(epochs=3, batch_size=8, optimizer={"learning_rate": 0.01}) | settings,
        )
        weights = [array for epoch in made.kept for array in made.at(epoch).get_weights()]
        weights += [array for one in made.kept.values() for array in one.probabilities.values()]
        found = {"history": made.history, "selected": made.selected}
    return {**found, "weights": [weight.tobytes() for weight in weights]}


class KilledError(Exception):
    """Stands for the signal."""


def kept(folder: Path, key: str = "key", said: list[str] | None = None) -> Checkpoint:
    on_message = [].append if said is None else said.append
    return file_checkpoint(folder / "x.checkpoint", scratch=folder, key=key, on_message=on_message)


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoints, "EVERY", 0)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("name", TRAININGS)
def test_a_training_that_is_killed_in_every_epoch_ends_as_an_undisturbed_one(name: str, tmp_path: Path):
    """Killed in its second epoch, then, going on after the first, in its third, and so on to the end."""
    shown: dict[int, dict[str, float]] = {}
    undisturbed = train(name, shown.__setitem__, None)
    reported: dict[int, dict[str, float]] = {}
    for last in range(2, len(shown) + 1):
        epochs: list[int] = []

        def report(epoch: int, logs: dict[str, float], last: int = last, epochs: list[int] = epochs) -> None:
            epochs.append(epoch)
            reported.setdefault(epoch, logs)
            assert reported[epoch] == logs
            if epoch == last:
                raise KilledError("killed")

        with pytest.raises(KilledError, match="killed"):
            train(name, report, kept(tmp_path))
        assert epochs == ([1, 2] if last == 2 else [last - 1, last])
    said: list[str] = []
    assert train(name, reported.__setitem__, kept(tmp_path, said=said)) == undisturbed
    assert reported == shown
    assert len(shown) == (6 if "per class" in name else 3)
    assert said == ["resumes from its checkpoint"]


# --- the file --------------------------------------------------------------------------------------

STATE = {"epoch": 3, "best": (0.5, [torch.arange(6.0).reshape(2, 3).t()]), "history": {"auc": [None, 0.5]}}


def loaded(folder: Path, **changes: Any) -> tuple[Any, list[str]]:
    said: list[str] = []
    return kept(folder, said=said, **changes).load(), said


@pytest.mark.usefixtures("at_once")
def test_a_state_comes_back_as_it_was_with_the_order_of_its_memory(tmp_path: Path):
    assert loaded(tmp_path) == (None, [])
    kept(tmp_path).save(lambda: STATE)
    state, _ = loaded(tmp_path)
    tensor, expected = state["best"][1].pop(), STATE["best"][1][0]
    assert torch.equal(tensor, expected)
    assert tensor.stride() == expected.stride() == (1, 3)
    assert state == STATE | {"best": (0.5, [])}
    assert [path.name for path in tmp_path.iterdir()] == ["x.checkpoint"]


def test_a_checkpoint_is_written_when_it_is_time_and_not_collected_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now, collected = [100.0], []
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = kept(tmp_path)
    for second in (129.9, 130.0, 140.0, 159.9, 160.1):
        now[0] = second
        checkpoint.save(lambda second=second: collected.append(second) or {})
    assert collected == [130.0, 160.1]


@pytest.mark.usefixtures("at_once")
def test_a_run_that_goes_on_is_told_the_seconds_that_were_spent_before_however_often_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def go_on(begins: float, ends: float) -> list[float]:
        told: list[float] = []
        now[0] = begins
        path = tmp_path / "x.checkpoint"
        checkpoint = file_checkpoint(path, scratch=tmp_path, key="x", on_message=print, on_resume=told.append)
        checkpoint.load()
        now[0] = ends
        checkpoint.save(lambda: STATE)
        return told

    assert go_on(100.0, 130.5) == []
    assert go_on(1000.0, 1060.0) == [30.5]
    assert go_on(5.0, 15.0) == [90.5]
    rewritten(lambda about: about.pop("seconds"))(tmp_path / "x.checkpoint")  # as earlier versions wrote it
    assert go_on(0.0, 1.0) == [0.0]


def rewritten(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def rewrite(path: Path) -> None:
        header, _, content = path.read_bytes().partition(b"\n")
        about = json.loads(header)
        change(about)
        path.write_bytes(json.dumps(about).encode() + b"\n" + content)

    return rewrite


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)


DAMAGE: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn": (lambda path: os.truncate(path, path.stat().st_size // 2), "its checksum does not fit"),
    "torn in the first line": (lambda path: os.truncate(path, 50), ""),
    "empty": (lambda path: os.truncate(path, 0), ""),
    "one bit": (flipped, "its checksum does not fit"),
    "no checkpoint": (lambda path: path.write_bytes(b"\x80\x04\xff" * 1000), ""),
    "a list": (lambda path: path.write_bytes(b"[]\n"), ""),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "Is a directory"),
    "other format": (rewritten(lambda about: about.update(format=1)), "format was 1"),
    "other Torch": (rewritten(lambda about: about.update(torch="1.0")), "torch was 1.0"),
    "other processor": (rewritten(lambda about: about.update(processor="ABACUS")), "processor was ABACUS"),
    "other number of threads": (rewritten(lambda about: about.update(threads=99)), "threads was 99"),
    "other Keras": (rewritten(lambda about: about.update(keras="1.0")), "keras was 1.0"),
    "other device": (rewritten(lambda about: about.update(device="ABACUS")), "device was ABACUS"),
    "no number of seconds": (rewritten(lambda about: about.update(seconds="soon")), "could not convert"),
    "no version": (rewritten(lambda about: about.pop("numpy")), "numpy was None"),
}


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("how", DAMAGE)
def test_what_is_torn_damaged_or_made_otherwise_is_not_used_and_this_is_said(how: str, tmp_path: Path):
    kept(tmp_path).save(lambda: STATE)
    damage, message = DAMAGE[how]
    damage(tmp_path / "x.checkpoint")
    state, (said,) = loaded(tmp_path)
    assert state is None
    assert said.startswith("its checkpoint cannot be used (")
    assert message in said
    assert said.endswith("so it starts from scratch")


@pytest.mark.usefixtures("at_once")
def test_the_checkpoint_of_another_training_is_not_used(tmp_path: Path):
    kept(tmp_path).save(lambda: STATE)
    state, (said,) = loaded(tmp_path, key="other")
    assert state is None
    assert "key was key" in said


class Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return pytest.fail, ("a checkpoint ran code",)


@pytest.mark.usefixtures("at_once")
def test_reading_a_checkpoint_runs_no_code(tmp_path: Path):
    kept(tmp_path).save(lambda: {"bomb": Bomb()})
    state, (said,) = loaded(tmp_path)
    assert state is None
    assert "cannot be used" in said


@pytest.mark.usefixtures("at_once")
def test_a_disk_that_fills_while_writing_leaves_the_checkpoint_before(tmp_path: Path):
    """A limit on the size of files stands for the full disk."""
    checkpoint = kept(tmp_path)
    checkpoint.save(lambda: STATE)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError, match=os.strerror(errno.EFBIG)) as error:
            checkpoint.save(lambda: {"epoch": 4, "weights": torch.zeros(10_000)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert disk_trouble(error.value)
    assert loaded(tmp_path)[0]["epoch"] == 3


@pytest.mark.usefixtures("at_once")
def test_values_go_into_the_memory_that_is_there(tmp_path: Path):
    """`fuse` changes the order of a kernel's memory; a tensor in their place would be rounded otherwise."""
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    fuse(model)
    state = TrainingState([model], [], [])
    before = [(weight.value.data_ptr(), weight.value.stride()) for weight in model.weights]
    values = state.state_dict()
    values["tensors"] = [torch.full_like(tensor, 7).contiguous() for tensor in values["tensors"]]
    state.load_state_dict(values)
    assert [(weight.value.data_ptr(), weight.value.stride()) for weight in model.weights] == before
    assert all((weight.numpy() == 7).all() for weight in model.weights)
