"""Where training computes: what a GPU needs of a step is held on the CPU; the rest where a GPU is."""

import numpy as np
import pytest
import torch
from test_augmentation import OTHERS
from test_classifiers import bright_and_dark, trained
from test_generators import SETTINGS, fit
from torch.utils._python_dispatch import TorchDispatchMode

from medaug_keras import classifiers, policies
from medaug_keras.generators import cgan, flow, vae
from medaug_keras.networks import device_of, fuse
from medaug_keras.training import arithmetic, recorded, recording
from studies import recipe

GEOMETRIC = [
    {"layer": "sharpness", "factor": 2.0, "probability": 0.5},
    {"layer": "autocontrast", "probability": 0.5},
    {"layer": "hue", "delta": 0.05},
    {"layer": "horizontal_flip", "probability": 0.5},
]
WAITS = ("_local_scalar_dense", "nonzero", "masked_select", "_unique2", "lift_fresh")
on_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU here")


class Guard(TorchDispatchMode):
    """Refuses what waits for a device, or copies from the host to it."""

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        name = operation.overloadpacket.__name__
        by_mask = name == "index" and any(i is not None and i.dtype == torch.bool for i in args[1])
        if name in WAITS or by_mask:
            raise AssertionError(f"a training step calls {name}")
        return operation(*args, **(kwargs or {}))


@pytest.fixture
def steps(monkeypatch):
    """Every step that would be recorded on a GPU runs under a guard; returns how many did."""
    made = []

    def guarded(step, **_):
        def run(index):
            made.append(len(index))
            with Guard():
                return step(index)

        return run

    monkeypatch.setattr(policies, "_finds_chosen", lambda images: False)  # as on a GPU
    for module in (classifiers, vae, cgan, flow):
        monkeypatch.setattr(module, "recorded", guarded)
    return made


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augment": GEOMETRIC, "sampling": "weighted"},
        {"augment": OTHERS},
        {"head": "sigmoid"},
        {"loss": {"class_weights": "balanced", "label_smoothing": 0.1, "focal_gamma": 2.0}},
    ],
)
def test_a_classifiers_step_asks_nothing_of_the_device_and_brings_nothing_to_it(steps, changes):
    trained(**changes)
    assert sum(steps) == 2 * 96


@pytest.mark.parametrize("name", SETTINGS)
def test_a_generators_step_asks_nothing_of_the_device_and_brings_nothing_to_it(steps, name):
    fit(name, 16, epochs=2)
    assert sum(steps) == 2 * 16


def test_the_guard_notices_a_question_and_a_copy():
    for wrong in (lambda x: x.sum().item(), lambda x: x[x > 0], lambda x: x + torch.tensor(1.0)):
        with pytest.raises(AssertionError, match="a training step calls"), Guard():
            wrong(torch.ones(3))


def test_steps_that_cannot_be_recorded_are_not(steps):
    trained(augment=[{"layer": "RandomErasing", "factor": 0.5}])  # Keras asks the device for its seed
    assert steps == []


def test_without_a_gpu_a_step_is_left_as_it_is():
    def step(index):
        return index

    assert recorded(step, size=4, device=torch.device("cpu")) is step


def test_biases_that_batch_norm_takes_out_again_stay_and_the_others_move():
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    before = {layer.name: layer.bias.numpy().copy() for layer in model.layers if hasattr(layer, "bias")}
    after = {layer.name: layer.bias for layer in trained()[0].model.layers if hasattr(layer, "bias")}
    still = {name for name, bias in after.items() if np.array_equal(bias.numpy(), before[name])}
    assert still == {"conv1", "conv2", "conv3", "conv4", "conv5"}
    assert all(bias.value.requires_grad for bias in after.values())


def test_a_bias_before_batch_norm_has_no_gradient_to_speak_of():
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    images, labels = bright_and_dark(64, 0)
    logits = fuse(model)(torch.from_numpy(images).float() / 255, training=True)
    torch.nn.functional.cross_entropy(logits, torch.from_numpy(labels)).backward()
    for number in range(1, 6):
        layer = model.get_layer(f"conv{number}")
        assert layer.bias.value.grad.abs().max() < 1e-4 * layer.kernel.value.grad.abs().max()


def test_bfloat16_multiplies_matrices_with_less_and_judges_with_all():
    x = torch.randn(16, 64)
    with arithmetic("bfloat16"):
        rough = x @ x.t()
        model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
        images, _ = bright_and_dark(20, 0)
        judged = classifiers.predict(model, images, head="softmax")
    assert rough.dtype == torch.bfloat16
    assert np.array_equal(judged, classifiers.predict(model, images, head="softmax"))
    assert (x @ x.t()).dtype == torch.float32


@pytest.mark.parametrize(("precision", "fraction"), [("float32", "ieee"), ("tf32", "tf32"), ("bfloat16", "ieee")])
def test_only_tf32_rounds_what_is_float32(precision, fraction):
    with arithmetic("tf32" if precision == "float32" else "float32"):
        pass
    with arithmetic(precision):
        assert torch.backends.cuda.matmul.fp32_precision == fraction
        assert torch.backends.cudnn.conv.fp32_precision == fraction
    with arithmetic("float32"):
        pass


def test_a_weight_that_a_step_changes_is_what_the_next_step_multiplies_with():
    weight, ones = torch.nn.Parameter(torch.ones(8, 8)), torch.ones(8, 8)
    with arithmetic("bfloat16"):
        before = ones @ weight
        with torch.no_grad():
            weight.mul_(2)
        assert torch.equal(ones @ weight, 2 * before)


def test_a_classifier_learns_in_bfloat16_and_keeps_its_weights_in_float32():
    with arithmetic("bfloat16"):
        found, held_out = trained(epochs=4)
    exact, _ = trained(epochs=4)
    assert all(weight.value.dtype == torch.float32 for weight in found.model.weights)
    assert (found.chosen("best_validation_auc")["test"].argmax(1) == held_out["test"][1]).mean() > 0.9
    assert found.history["loss"] != exact.history["loss"]
    np.testing.assert_allclose(found.history["loss"], exact.history["loss"], rtol=0.1)


@pytest.mark.parametrize("name", SETTINGS)
def test_a_generator_learns_in_bfloat16(name):
    with arithmetic("bfloat16"):
        found = fit(name, 16, epochs=2)
    assert all(np.isfinite(values).all() for values in found.history.values())


def test_float32_is_exact_on_a_gpu_too():
    with arithmetic("float32"):
        assert torch.backends.cudnn.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "ieee"
    with arithmetic("tf32"):
        assert torch.backends.cudnn.conv.fp32_precision == torch.backends.cuda.matmul.fp32_precision == "tf32"


# --- on a GPU --------------------------------------------------------------------------------------


FALLING = {"schedule": {"kind": "cosine", "warm_up": 0.5, "end": 0.0}}  # the recording reads the rate of each step


@on_gpu
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"augment": GEOMETRIC},
        {"augment": OTHERS},
        FALLING,
        {**FALLING, "optimizer": recipe(optimizer={"kind": "adamw"})["optimizer"]},
    ],
)
def test_a_recorded_classifier_is_the_one_that_is_not(monkeypatch, changes):
    found, _ = trained(batch_size=8, **changes)
    monkeypatch.setattr(recording, "WARM_UP", 10**9)
    plain, _ = trained(batch_size=8, **changes)
    np.testing.assert_allclose(found.history["loss"], plain.history["loss"], rtol=1e-4)
    np.testing.assert_allclose(found.chosen("last")["test"], plain.chosen("last")["test"], atol=1e-3)


@on_gpu
@pytest.mark.parametrize("name", SETTINGS)
def test_a_recorded_generator_is_the_one_that_is_not(monkeypatch, name):
    found = fit(name, 48, epochs=3)
    monkeypatch.setattr(recording, "WARM_UP", 10**9)
    plain = fit(name, 48, epochs=3)
    for loss, values in found.history.items():
        np.testing.assert_allclose(values, plain.history[loss], rtol=1e-3)


@on_gpu
def test_an_epoch_on_a_gpu_agrees_with_one_on_the_cpu_from_the_same_weights_and_order():
    import keras

    with keras.device("cpu"):
        model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
        weights = model.get_weights()
        on_cpu = _one_epoch(model)
    other = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="softmax", seed=0)
    other.set_weights(weights)
    with arithmetic("float32"):
        there = _one_epoch(other)
    assert device_of(other).type == "cuda"
    np.testing.assert_allclose(there.chosen("last")["test"], on_cpu.chosen("last")["test"], atol=1e-4)


def _one_epoch(model):
    held_out = {"validation": bright_and_dark(30, 1), "test": bright_and_dark(40, 2)}
    others = {"sampling": "shuffle", "augment": [], "seed": 0, "on_epoch": lambda epoch, logs: None, "num_classes": 2}
    return classifiers.fit(model, bright_and_dark(96, 0), held_out, **recipe(epochs=1, batch_size=16), **others)
