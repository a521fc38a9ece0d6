"""Laws of the generators: sizes, losses, chance, and that they paint what they are asked for."""

import functools
import math
import re
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from medaug_keras.generators import GENERATORS, cgan, cvae, flow, joint_vae
from medaug_keras.generators.fitting import Outcome, Recipe, Trained, TrainingData, train_generator
from medaug_keras.generators.per_class import combined
from medaug_keras.generators.vae import gaussian_kl, kl_scale, squared_error
from medaug_keras.networks import fuse, grid_side, vae_side, vae_widths
from medaug_keras.networks.scaling import to_bytes
from medaug_keras.training import DivergedError, TrainingState

ADAM = {"kind": "adam", "learning_rate": 1e-3, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8}
COMMON = {"seed": 0, "sampling": "weighted", "learning_rate_decay": 1.0}
VAE = {
    **COMMON,
    "patience": None,
    "keep": "best",
    "optimizer": ADAM,
    "reconstruction": "sum",
    "latent_dim": 8,
    "kl_by_area": True,
}
SETTINGS = {
    "cvae": {**VAE, "batch_size": 8, "epochs": 8, "kl_weight": 64.0},  # samples are good only with a heavy KL
    "joint_vae": {
        **VAE,
        "batch_size": 16,
        "epochs": 10,
        "kl_weight": 0.005,
        "categories": 4,
        "temperature": 0.5,
        "alpha": 30.0,
        "continuous_gamma": 30.0,
        "categorical_gamma": 30.0,
        "continuous_capacity": 25.0,
        "categorical_capacity": 25.0,
        "capacity_steps": 25_000,
        "per_class": False,
    },
    "cgan": {
        **COMMON,
        "latent_dim": 8,
        "batch_size": 6,
        "epochs": 7,
        "patience": None,
        "keep": "last",
        "optimizer": {**ADAM, "learning_rate": 4e-3, "beta_1": 0.5},
        "loss": "relativistic_average",
        "class_head": False,
        "class_head_weight": 1.0,
    },
    "flow": {
        **COMMON,
        "batch_size": 16,
        "epochs": 13,
        "patience": None,
        "keep": "best",
        "optimizer": {**ADAM, "learning_rate": 5e-3},
        "warm_up": 0.1,
        "patch": 4,
        "widths": (16,),
        "blocks": 1,
        "dropout": 0.1,
        "time": "uniform",
        "label_drop": 0.1,
        "average_half_life": 0.05,
    },
}
HEUN = {"solver": "heun", "steps": 25, "guidance": 1.0}
EULER = {"solver": "euler", "steps": 10, "guidance": 1.0}
SYNTHESIS = {"cvae": {"sampling_statistics": "batch"}, "flow": EULER}
IMAGES = 96  # enough to learn two tones


def two_tones(count: int, channels: int = 1, seed: int = 0, side: int = 28) -> tuple[np.ndarray, np.ndarray]:
    """Dark images of class 0 and bright ones of class 1, with a soft disc somewhere in each."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    rows, columns = np.mgrid[:side, :side] * 28 / side
    centres = rng.uniform(8, 20, (count, 2, 1, 1))
    discs = np.exp(-((rows - centres[:, 0]) ** 2 + (columns - centres[:, 1]) ** 2) / 20)
    tones = np.where(labels, 180, 50)[:, None, None] + 30 * discs + rng.normal(0, 8, (count, side, side))
    return np.repeat(np.clip(tones, 0, 255).astype(np.uint8)[..., None], channels, axis=-1), labels


def fit(name: str, count: int, **changes: object) -> Trained:
    settings = {**SETTINGS[name], **changes}
    if name == "flow":
        settings.setdefault("images", settings["epochs"] * max(count, settings["batch_size"]))  # passes
    on_epoch = settings.pop("on_epoch", lambda epoch, logs: None)
    channels, classes, side = settings.pop("channels", 1), settings.pop("num_classes", 2), settings.pop("side", 28)
    train, validation = two_tones(count, channels, 0, side), two_tones(16, channels, 1, side)
    data = TrainingData(*train, *validation, num_classes=classes)
    recipe, own = Recipe.split(settings)
    return GENERATORS[name].fit(data, recipe, on_epoch=on_epoch, **own)


@functools.cache
def once(name: str) -> Trained:
    """A generator that has learnt the two tones."""
    return fit(name, IMAGES)


def make(name: str, sampler: keras.Model, labels: np.ndarray, seed: int = 3, side: int = 28) -> np.ndarray:
    """Images by any of the generators; one that reconstructs rebuilds real ones."""
    kind, settings = GENERATORS[name], SYNTHESIS.get(name, {})
    if kind.reconstructs:
        images, labels = two_tones(len(labels), seed=2, side=side)
        return kind.reconstruct(sampler, images, labels, seed=seed, mode="sample", **settings)
    return kind.sample(sampler, labels, seed=seed, **settings)


LABELS = np.arange(80) % 2
TRAINED = [name for name, kind in GENERATORS.items() if not kind.foreign]


@pytest.fixture(scope="module", params=TRAINED)
def trained(request, tmp_path_factory) -> tuple[str, Trained]:
    return request.param, once(request.param)


# --- sizes -----------------------------------------------------------------------------------------


def count(model: keras.Model) -> int:
    return sum(math.prod(weight.shape) for weight in model.trainable_weights)


@pytest.mark.parametrize(
    ("channels", "classes", "encoder", "output", "whole"),
    [
        (3, 9, 1_570_848, 19_491, 3_647_931),
        (3, 7, 1_570_848, 19_491, 3_642_267),
        (1, 4, 1_570_272, 18_913, 3_632_607),
        (1, 2, 1_570_272, 18_913, 3_626_943),
        (1, 11, 1_570_272, 18_913, 3_652_431),
    ],
)
def test_the_cvae_has_the_printed_numbers_of_parameters(channels, classes, encoder, output, whole):
    parts = cvae.build(image_shape=(28, 28, channels), num_classes=classes, latent_dim=150)
    assert [count(parts[name]) for name in ("encoder", "decoder hidden", "decoder output", "whole")] == [
        encoder,
        1_568_160,
        output,
        whole,
    ]


@pytest.mark.parametrize(
    ("channels", "categories", "encoder", "whole"),
    [(3, 50, 1_570_560, 3_595_709), (1, 50, 1_569_984, 3_594_555), (3, 10, 1_570_560, 3_493_269)],
)
def test_the_joint_vae_has_the_printed_numbers_of_parameters(channels, categories, encoder, whole):
    parts = joint_vae.build(
        image_shape=(28, 28, channels), latent_dim=100, categories=categories, temperature=0.5, name="sampler"
    )
    assert [count(parts[name]) for name in ("encoder", "decoder hidden", "whole")] == [encoder, 1_568_160, whole]


@pytest.mark.parametrize(
    ("channels", "classes", "latent_dim", "parameters"),
    [
        (3, 9, 100, 1_076_547),
        (3, 9, 128, 1_191_235),
        (3, 7, 128, 1_189_443),
        (1, 4, 128, 1_184_705),
        (1, 2, 128, 1_182_913),
        (1, 11, 128, 1_190_977),
    ],
)
def test_the_generator_has_the_printed_number_of_parameters(channels, classes, latent_dim, parameters):
    for spectral in (True, False):
        model = cgan.build_generator(channels=channels, num_classes=classes, latent_dim=latent_dim, spectral=spectral)
        assert count(model) == parameters


@pytest.mark.parametrize(
    ("channels", "classes", "class_head", "parameters"),
    [
        (3, 9, False, 735_553 + 1),  # Fig. 25 does not count the attention's scale
        (3, 9, True, 772_426 + 1),
        (3, 7, False, 727_362),
        (1, 4, False, 714_498),
        (1, 2, False, 706_306),
        (1, 11, False, 743_170),
    ],
)
def test_the_discriminator_has_the_printed_number_of_parameters(channels, classes, class_head, parameters):
    model = cgan.build_discriminator(channels=channels, num_classes=classes, class_head=class_head)
    assert count(model) == parameters


def rows(model: keras.Model, kind: type) -> list[tuple[tuple[int, ...], int]]:
    """Output shape and parameters of each layer of a kind, as a figure prints them."""
    return [
        (layer.output.shape[1:], count(layer))
        for layer in model.layers
        if isinstance(layer, kind) and not isinstance(layer, keras.layers.InputLayer)
    ]


def test_the_layers_have_the_printed_shapes_and_sizes():
    parts = cvae.build(image_shape=(28, 28, 3), num_classes=9, latent_dim=100)
    convolutions = (keras.layers.Conv2D, keras.layers.Conv2DTranspose)
    assert rows(parts["encoder"], convolutions) == [
        ((14, 14, 32), 1_184),
        ((7, 7, 64), 18_496),
        ((4, 4, 128), 73_856),
        ((2, 2, 256), 295_168),
        ((1, 1, 512), 1_180_160),
    ]
    assert parts["decoder input"].input_shape == (None, 109)  # Fig. 19
    hidden = parts["decoder hidden"]
    assert [size for _, size in rows(hidden, convolutions)] == [1_179_904, 295_040, 73_792, 18_464]
    assert [shape for shape, _ in rows(hidden, keras.layers.LeakyReLU)] == [
        (4, 4, 256),
        (8, 8, 128),
        (16, 16, 64),
        (32, 32, 32),
    ]
    output = parts["decoder output"]
    assert [size for _, size in rows(output, convolutions)] == [9_248, 9_248, 867]
    assert [shape for shape, _ in rows(output, keras.layers.LeakyReLU)] == [(61, 61, 32), (30, 30, 32)]
    assert output.output_shape == (None, 28, 28, 3)

    generator = cgan.build_generator(channels=3, num_classes=9, latent_dim=100, spectral=True)
    assert rows(generator, convolutions) == [
        ((4, 4, 256), 409_856),
        ((8, 8, 128), 524_416),
        ((16, 16, 64), 131_136),
        ((32, 32, 3), 3_075),
    ]
    assert [size for _, size in rows(generator, keras.layers.Embedding)] == [2_304, 2_304, 1_152, 1_152, 576, 576]
    discriminator = cgan.build_discriminator(channels=3, num_classes=9, class_head=True)
    assert rows(discriminator, keras.layers.Conv2D) == [
        ((32, 32, 32), 896),
        ((16, 16, 64), 32_832),
        ((16, 16, 8), 512),
        ((16, 16, 8), 512),
        ((16, 16, 64), 4_096),
        ((8, 8, 128), 131_200),
        ((4, 4, 256), 524_544),
    ]
    assert rows(discriminator, keras.layers.Dense) == [((1,), 4_097), ((9,), 36_873)]
    assert rows(discriminator, keras.layers.Embedding) == [((4096,), 36_864)]


# --- losses ----------------------------------------------------------------------------------------


def test_gaussian_kl_is_zero_at_the_prior_and_pytorchs_elsewhere():
    zeros = torch.zeros(3, 5)
    assert torch.equal(gaussian_kl(zeros, zeros), torch.zeros(3))
    mean, log_variance = torch.randn(3, 5), torch.randn(3, 5)
    normal = torch.distributions.Normal
    expected = torch.distributions.kl_divergence(normal(mean, (log_variance / 2).exp()), normal(0.0, 1.0)).sum(1)
    assert torch.allclose(gaussian_kl(mean, log_variance), expected, atol=1e-5)


def test_categorical_kl_is_zero_for_equal_logits_and_ln_q_for_certainty():
    assert torch.allclose(joint_vae.categorical_kl(torch.full((2, 50), 3.0)), torch.zeros(2), atol=1e-4)
    certain = torch.zeros(1, 50)
    certain[0, 7] = 100
    assert joint_vae.categorical_kl(certain).item() == pytest.approx(math.log(50), abs=1e-4)


def test_capacity_grows_in_a_straight_line_and_stops():
    grown = [float(joint_vae.capacity(torch.tensor(step), steps=100, maximum=25.0)) for step in (0, 50, 100, 1000)]
    assert grown == [0, 12.5, 25, 25]


@pytest.mark.parametrize("loss", ["relativistic_average", "relativistic_pairwise"])
def test_both_gan_losses_are_ln_2_at_zero_logits(loss):
    zeros = torch.zeros(4, 1)
    assert cgan.discriminator_loss(zeros, zeros, loss).item() == pytest.approx(math.log(2))
    assert cgan.generator_loss(zeros, zeros, loss).item() == pytest.approx(math.log(2))


def test_gan_losses_are_the_published_cross_entropies():
    real, fake = torch.randn(6, 1), torch.randn(6, 1)

    def entropy(logit: torch.Tensor, target: float) -> torch.Tensor:
        return F.binary_cross_entropy_with_logits(logit, torch.full_like(logit, target))

    expected = {
        ("relativistic_average", "discriminator"): (entropy(real - fake.mean(), 1) + entropy(fake - real.mean(), 0))
        / 2,
        ("relativistic_average", "generator"): (entropy(real - fake.mean(), 0) + entropy(fake - real.mean(), 1)) / 2,
        ("relativistic_pairwise", "discriminator"): entropy(real - fake, 1),
        ("relativistic_pairwise", "generator"): entropy(fake - real, 1),
    }
    for (loss, network), value in expected.items():
        ours = {"discriminator": cgan.discriminator_loss, "generator": cgan.generator_loss}[network]
        assert torch.allclose(ours(real, fake, loss), value, atol=1e-6)


# --- the networks against plain PyTorch --------------------------------------------------------------


def kernel(layer: keras.Layer) -> torch.Tensor:
    return torch.tensor(layer.kernel.numpy().transpose(3, 2, 0, 1))


def test_the_discriminator_is_plain_pytorchs():
    model = cgan.build_discriminator(channels=3, num_classes=5, class_head=True)
    model.get_layer("attention").gamma.assign(0.7)
    images, labels = torch.rand(4, 32, 32, 3) * 2 - 1, torch.tensor([4, 0, 2, 2])
    for _ in range(3):
        model([images, labels], training=True)

    def conv(name: str, x: torch.Tensor, stride: int) -> torch.Tensor:
        layer = model.get_layer(name)
        weight = kernel(layer)
        u, v = torch.tensor(layer.u.numpy()), torch.tensor(layer.v.numpy())
        folded = weight.permute(0, 2, 3, 1).flatten(1)
        return F.leaky_relu(F.conv2d(x, weight / (u @ folded @ v), layer.bias.value, stride, 1), 0.2)

    with torch.no_grad():
        x = conv("conv2", conv("conv1", images.permute(0, 3, 1, 2), 1), 2)
        query, key, value = (F.conv2d(x, kernel(model.get_layer(n))).flatten(2) for n in ("query", "key", "value"))
        weights = torch.einsum("bdi,bdj->bij", query, key).softmax(-1)
        x = x + 0.7 * torch.einsum("bij,bdj->bdi", weights, value).view_as(x)
        features = conv("conv4", conv("conv3", x, 2), 2).permute(0, 2, 3, 1).flatten(1)
        score, projection = (model.get_layer(name).normalized(False) for name in ("score", "projection"))
        logit = (features @ score).squeeze(1) + (projection[labels] * features).sum(1)
        head = model.get_layer("class_head")
        classes = features @ head.kernel.value + head.bias.value
        for ours in (model([images, labels], training=False), fuse(model)(images, labels, training=False)):
            assert torch.allclose(ours[0].squeeze(1), logit, atol=1e-4)
            assert torch.allclose(ours[1], classes, atol=1e-4)


@pytest.mark.parametrize("training", [False, True])
def test_the_generator_trains_as_the_keras_model_that_is_shown(training):
    model = cgan.build_generator(channels=3, num_classes=5, latent_dim=16, spectral=True)
    noise, labels = torch.randn(6, 16), torch.tensor([4, 0, 2, 2, 1, 3])
    model([noise, labels], training=True)
    before = model.get_weights()
    expected = model([noise, labels], training=training)
    model.set_weights(before)
    assert torch.allclose(fuse(model)(noise, labels, training=training), expected, atol=1e-4)


def test_the_cvae_takes_the_gradient_of_its_published_loss():
    keras.utils.set_random_seed(3)
    model = cvae.build(image_shape=(28, 28, 1), num_classes=2, latent_dim=4)["whole"]
    images, labels, noise = torch.rand(4, 28, 28, 1) * 2 - 1, torch.tensor([0, 1, 1, 0]), torch.randn(4, 4)
    gradients = []
    for call in (fuse(model), lambda *inputs, training: model(list(inputs), training=training)):
        rebuilt, mean, log_variance = call(images, labels, noise, training=True)
        kl = -0.5 * torch.mean(torch.sum(1 + log_variance - mean**2 - torch.exp(log_variance), dim=1))
        loss = F.mse_loss(rebuilt, images, reduction="sum") + 0.005 * kl
        gradients.append(torch.autograd.grad(loss, [weight.value for weight in model.trainable_weights]))
    for ours, expected in zip(*gradients, strict=True):
        # rounding turns a few leaky units from one side of zero to the other: 2e-4 to 1e-2, by the seed
        assert torch.linalg.vector_norm(ours - expected) < 0.02 * (1 + torch.linalg.vector_norm(expected))


# --- what is trained -------------------------------------------------------------------------------


def test_a_generator_paints_the_class_it_is_asked_for(trained):
    name, result = trained
    real, labels = two_tones(200, seed=5)
    brightness = real.mean((1, 2, 3))
    threshold = (brightness[labels == 0].mean() + brightness[labels == 1].mean()) / 2  # never saw a synthetic image
    painted = make(name, result.sampler, LABELS).mean((1, 2, 3)) > threshold
    assert (painted == LABELS).mean() >= 0.95


COMBINATIONS = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])


def two_halves(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images whose left half is bright where they have the first finding, and the right one where the second."""
    rng = np.random.default_rng(seed)
    labels = COMBINATIONS[np.arange(count) % 4]
    tones = np.where(np.repeat(labels, 14, axis=1), 180, 50)[:, None, :]
    return np.clip(tones + rng.normal(0, 8, (count, 28, 28)), 0, 255).astype(np.uint8)[..., None], labels


def halves(images: np.ndarray) -> np.ndarray:
    """(n, 2): whether each half is nearer to bright than to dark."""
    return np.stack([half.mean((1, 2, 3)) > 115 for half in np.split(images, 2, axis=2)], axis=1)


def fit_findings(name: str, data: TrainingData, **changes: object) -> Trained:
    settings = {**SETTINGS[name], **changes}
    if name == "flow":
        settings.setdefault("images", settings["epochs"] * len(data.labels))  # passes
    recipe, own = Recipe.split(settings)
    return GENERATORS[name].fit(data, recipe, **own)


def of_halves(name: str, count: int, epochs: int) -> tuple[keras.Model, np.ndarray]:
    """The sampler of a generator that saw so many images, and 80 of its own: of none, the first, the second, both."""
    data = TrainingData(*two_halves(count), *two_halves(16, 1), num_classes=2)
    sampler = fit_findings(name, data, epochs=epochs).sampler
    return sampler, make(name, sampler, COMBINATIONS[np.arange(80) % 4])


@pytest.mark.parametrize(("name", "count", "epochs"), [("cvae", 48, 8), ("flow", 96, 12)])
def test_each_finding_brightens_its_own_half_whatever_the_other_and_in_the_saved_file_too(
    name, count, epochs, tmp_path
):
    sampler, made = of_halves(name, count, epochs)
    for side, half in enumerate(np.split(made.astype(float), 2, axis=2)):
        tones = np.array([half[i::4].mean() for i in range(4)])
        bright = COMBINATIONS[:, side] == 1
        assert tones[bright].min() - tones[~bright].max() > 10
    sampler.save(tmp_path / "sampler.keras")
    again = make(name, keras.models.load_model(tmp_path / "sampler.keras"), COMBINATIONS[np.arange(80) % 4])
    assert np.array_equal(again, made)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "epochs"), [("cvae", 12), ("cgan", 24), ("flow", 20)])
def test_every_combination_of_findings_and_none_is_painted(name, epochs):
    _, made = of_halves(name, IMAGES, epochs)
    right = (halves(made) == COMBINATIONS[np.arange(80) % 4]).all(axis=1)
    assert all(right[i::4].mean() >= 0.95 for i in range(4))


@pytest.mark.parametrize("name", ["cvae", "joint_vae", "flow"])
def test_of_one_finding_an_image_a_generator_is_that_of_one_class_an_image(name):
    (images, labels), (others, held_out) = two_tones(24), two_tones(8, seed=1)
    vectors = np.eye(2, dtype=np.int64)
    classes = fit_findings(name, TrainingData(images, labels, others, held_out, num_classes=2), epochs=2)
    findings = fit_findings(
        name, TrainingData(images, vectors[labels], others, vectors[held_out], num_classes=2), epochs=2
    )
    for loss, values in classes.history.items():
        np.testing.assert_allclose(findings.history[loss], values, rtol=1e-5)
    made = make(name, findings.sampler, vectors[LABELS])
    assert np.abs(made.astype(int) - make(name, classes.sampler, LABELS)).max() <= 1


def test_each_finding_adds_its_own_to_scale_shift_and_projection_of_a_gan():
    rng = np.random.default_rng(0)
    generator = cgan.build_generator(channels=1, num_classes=3, latent_dim=4, spectral=True, several=True)
    for number in (1, 2, 3):
        for what, start in (("gamma", 1), ("beta", 0)):
            layer = generator.get_layer(f"norm{number}_{what}")
            assert (layer.bias.numpy() == start).all()
            assert not layer.kernel.numpy().any()
            layer.kernel.assign(rng.normal(size=layer.kernel.shape))
    of = keras.Model(generator.inputs, [generator.get_layer(f"norm2_{what}").output for what in ("gamma", "beta")])
    noise, asked = np.zeros((8, 4), "float32"), np.array([[a, b, c] for a in (0, 1) for b in (0, 1) for c in (0, 1)])
    for found in of([noise, asked]):
        none, third, second, both = (found[row] for row in range(4))
        assert torch.allclose(both - none, (second - none) + (third - none), atol=1e-5)
        assert not torch.allclose(second, third)
    model = cgan.build_discriminator(channels=1, num_classes=3, class_head=True, several=True)
    images = torch.rand(1, 32, 32, 1).expand(8, -1, -1, -1)
    for call in (fuse(model), lambda *inputs, training: model(list(inputs), training=training)):
        with torch.no_grad():
            logit, head = call(images, torch.from_numpy(asked), training=False)
            features = keras.Model(model.inputs[0], model.get_layer("features").output)(images)
            score, projection = (model.get_layer(layer).normalized(False) for layer in ("score", "projection"))
        assert head.shape == (8, 3)
        expected = features @ score + model.get_layer("score").bias.value
        expected = expected[:, 0] + (torch.from_numpy(asked).float() @ projection * features).sum(1)
        assert torch.allclose(logit[:, 0], expected, atol=1e-4)


def test_a_gans_images_are_asked_for_the_findings_of_the_real_ones_of_their_batch(monkeypatch):
    seen = []

    def watched(model: keras.Model) -> Callable[..., object]:
        call = fuse(model)

        def run(*inputs: torch.Tensor, training: bool) -> object:
            if model.name == "discriminator":
                seen.append(inputs[1].tolist())
            return call(*inputs, training=training)

        return run

    monkeypatch.setattr(cgan, "fuse", watched)
    images, labels = two_halves(24)
    fit_findings("cgan", TrainingData(images, labels, images, labels, num_classes=2), epochs=1, batch_size=12)
    assert len(seen) == 2 * 4  # of each batch real and fake ones, once for either network
    for batch in (seen[:4], seen[4:]):
        assert all(asked == batch[0] for asked in batch)
    assert seen[0] != seen[4]


def test_a_gans_class_head_of_findings_is_trained_by_binary_cross_entropy():
    data = TrainingData(*two_halves(24), *two_halves(8, 1), num_classes=2)
    how = {"epochs": 1, "batch_size": 24, "class_head": True}
    without, with_head = (
        fit_findings("cgan", data, **how, class_head_weight=weight).history["discriminator_loss"][0]
        for weight in (0.0, 1.0)
    )
    assert with_head - without == pytest.approx(math.log(2), abs=0.1)  # of two new logits near 0


def test_no_finding_is_a_condition_and_not_that_nothing_is_said():
    asked = torch.from_numpy(flow.asked_for(COMBINATIONS))
    assert asked.tolist() == [[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0]]
    assert flow.nothing_said(asked, 2).tolist() == [[0, 0, 1]] * 4
    many = asked.repeat(5000, 1)
    known = flow.with_dropped(many, 0.1, 2, rng_of(0))
    dropped = known[:, 2] == 1
    assert torch.equal(known[~dropped], many[~dropped])
    assert not known[dropped, :2].any()
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=0.01)
    assert torch.equal(flow.with_dropped(many, 0.0, 2, rng_of(0)), many)

    def velocity(x: torch.Tensor, when: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (labels @ torch.tensor([1, 10, 100])).float()[:, None, None, None].expand_as(x)

    for guidance in (0.0, 1.0, 2.0):
        made = flow.follow(
            velocity, torch.zeros(4, 1, 1, 1), asked, solver="euler", steps=4, guidance=guidance, no_class=2
        )
        said = torch.tensor([0.0, 1.0, 10.0, 11.0])
        assert torch.allclose(made.flatten(), 100 + guidance * (said - 100))


def test_a_flows_condition_is_the_sum_of_its_findings():
    model = flow.build(
        image_shape=(28, 28, 1), num_classes=2, patch=4, widths=(16,), blocks=1, dropout=0.0, several=True
    )
    embed = keras.Model(model.inputs[2], model.get_layer("classes").output)
    none, first, second, both, unsaid = embed(np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [1, 1, 0], [0, 0, 1]]))
    assert not none.any()
    assert torch.allclose(both, first + second)
    assert not torch.allclose(unsaid, none)


def test_images_are_bytes_of_the_size_asked_for(trained):
    name, result = trained
    made = make(name, result.sampler, LABELS)
    assert made.shape == (80, 28, 28, 1)
    assert made.dtype == np.uint8


def test_the_same_seed_gives_the_same_images_and_another_gives_others(trained):
    name, result = trained
    first = make(name, result.sampler, LABELS)
    assert np.array_equal(first, make(name, result.sampler, LABELS))
    assert not np.array_equal(first, make(name, result.sampler, LABELS, seed=4))


def test_a_saved_sampler_gives_the_same_images(trained, tmp_path):
    name, result = trained
    result.sampler.save(tmp_path / "sampler.keras")
    again = keras.models.load_model(tmp_path / "sampler.keras")
    assert np.array_equal(make(name, again, LABELS), make(name, result.sampler, LABELS))


def test_saved_samplers_need_no_code_of_ours(tmp_path):
    shape, rng = (28, 28, 1), np.random.default_rng(0)
    gan = cgan.build_generator(channels=1, num_classes=2, latent_dim=4, spectral=True)
    larger = cgan.build_generator(channels=1, num_classes=2, latent_dim=4, spectral=True, side=40)
    one, two = (
        joint_vae.build(image_shape=shape, latent_dim=4, categories=3, temperature=0.5, name=f"class_{k}")
        for k in (0, 1)
    )
    of_findings = cgan.build_generator(channels=1, num_classes=2, latent_dim=4, spectral=True, several=True)
    small = {"patch": 2, "widths": (8, 16), "blocks": 1, "dropout": 0.1}
    moving = flow.build(image_shape=shape, num_classes=2, **small)
    last = moving.get_layer("velocity").kernel  # a new one stands still
    last.assign(rng.normal(size=last.shape))
    samplers = {
        "cvae": cvae.build(image_shape=shape, num_classes=2, latent_dim=4)["sampler"],
        "joint_vae": one["sampler"],
        "one_a_class": combined([one["sampler"], two["sampler"]], "both"),
        "cgan": cgan.build_sampler(gan, 28),
        "flow": moving,
        "cvae at 40": cvae.build(image_shape=(40, 40, 1), num_classes=2, latent_dim=4)["sampler"],
        "cgan at 40": cgan.build_sampler(larger, 40),
        "cvae of findings": cvae.build(image_shape=shape, num_classes=2, latent_dim=4, several=True)["sampler"],
        "cgan of findings": cgan.build_sampler(of_findings, 28),
        "flow of findings": flow.build(image_shape=shape, num_classes=2, several=True, **small),
    }
    assert samplers.keys() >= {name for name in TRAINED if not GENERATORS[name].reconstructs}
    for name, sampler in samplers.items():
        inputs = [rng.normal(size=(5, *given.shape[1:])).astype("float32") for given in sampler.inputs]
        inputs = [
            rng.integers(0, 2, (5, *given.shape[1:])) if given.dtype == "int32" else array
            for given, array in zip(sampler.inputs, inputs, strict=True)
        ]
        sampler.save(tmp_path / f"{name}.keras")
        np.savez(tmp_path / f"{name}.npz", *inputs, images=sampler.predict(inputs, verbose=0))
    stranger = """
        import pathlib, sys, keras, numpy as np
        for path in pathlib.Path().glob("*.keras"):
            stored = dict(np.load(path.with_suffix(".npz")))
            expected = stored.pop("images")
            images = keras.models.load_model(path).predict(list(stored.values()), verbose=0)
            side = 40 if "40" in path.stem else 28
            assert images.shape == (5, side, side, 1) and np.array_equal(images, expected), path
        assert not any(name.startswith("medaug_keras") for name in sys.modules)
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(stranger)], cwd=tmp_path, check=True, timeout=300)


def test_every_part_that_the_report_names_has_a_network_to_be_shown(trained):
    name, result = trained
    assert result.networks
    for part, networks in (GENERATORS[name].networks or {}).items():
        assert set(networks) & result.networks.keys(), part


def test_losses_are_those_of_the_kept_epoch(trained):
    _, result = trained
    assert {len(values) for values in result.history.values()} == {len(result.history[next(iter(result.history))])}
    assert result.losses == {name: values[result.best_epoch - 1] for name, values in result.history.items()}


@pytest.mark.parametrize("name", TRAINED)
def test_chance_comes_from_the_seed_alone(name):
    def run(seed: int) -> tuple[list[np.ndarray], dict[str, list[float]]]:
        result = fit(name, count=17, epochs=2, seed=seed, batch_size=8)  # 17: the last batch would be one image
        return [weight.numpy() for weight in result.sampler.weights], result.history

    weights, history = run(0)
    np.random.default_rng(9), torch.manual_seed(9), keras.utils.set_random_seed(9)
    again, history_again = run(0)
    assert history == history_again
    assert all(np.array_equal(a, b) for a, b in zip(weights, again, strict=True))
    assert run(1)[1] != history


@pytest.mark.parametrize("name", TRAINED)
def test_a_generator_reports_every_epoch_and_takes_colour(name):
    seen = []
    result = fit(name, count=8, epochs=2, channels=3, on_epoch=lambda epoch, logs: seen.append((epoch, logs)))
    assert [epoch for epoch, _ in seen] == [1, 2]
    assert [logs for _, logs in seen] == [
        {loss: values[epoch] for loss, values in result.history.items()} for epoch in range(2)
    ]
    assert result.sampler.output_shape == (None, 28, 28, 3)


@pytest.mark.parametrize("name", TRAINED)
def test_one_image_cannot_train_a_generator(name):
    with pytest.raises(ValueError, match="at least 2 training images, found 1"):
        fit(name, count=1, epochs=1, sampling="shuffle")


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("cvae", {"reconstruction": "mean", "kl_weight": 0.00025, "learning_rate_decay": 0.95, "patience": None}),
        ("joint_vae", {"reconstruction": "mean", "alpha": 10.0, "sampling": "shuffle", "keep": "last"}),
        ("cgan", {"loss": "relativistic_pairwise"}),
        ("cgan", {"class_head": True}),
        ("flow", {"time": "skewed", "label_drop": 0.0, "dropout": 0.0, "learning_rate_decay": 0.9}),
        ("flow", {"average_half_life": 0.0, "sampling": "shuffle", "keep": "last"}),
    ],
)
def test_every_other_setting_trains_and_changes_what_is_trained(name, changes):
    history = fit(name, count=16, epochs=2, **changes).history
    assert all(math.isfinite(value) for values in history.values() for value in values)
    assert history != fit(name, count=16, epochs=2).history


# --- the loop --------------------------------------------------------------------------------------


def loop(
    losses: list[float], optimizer: torch.optim.Optimizer | None = None, **changes: object
) -> tuple[Outcome, keras.Model]:
    """A training run with given validation losses; the weight is the number of the epoch."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1, use_bias=False)])

    def train_epoch(epoch: int) -> dict[str, float]:
        model.set_weights([np.full((1, 1), epoch)])
        return {"loss": 0.0}

    remaining = iter(losses)
    settings = {"epochs": len(losses), "patience": 2, "keep": "best", "learning_rate_decay": 1.0}
    outcome = train_generator(
        model,
        Recipe(batch_size=1, sampling="shuffle", optimizer={}, **settings | changes),
        train_epoch=train_epoch,
        validate=lambda: {"val_loss": next(remaining)},
        state=TrainingState([model], [optimizer] if optimizer else [], []),
        on_epoch=lambda epoch, logs: None,
        checkpoint=None,
    )
    return outcome, model


@pytest.mark.parametrize(
    ("changes", "epochs", "weight"),
    [({}, 4, 2), ({"keep": "last"}, 4, 4), ({"patience": None}, 6, 6), ({"patience": None, "keep": "last"}, 6, 6)],
)
def test_training_stops_after_patience_epochs_and_the_kept_weights_come_back(changes, epochs, weight):
    outcome, model = loop([3.0, 2.0, 2.0, 2.5, 1.5, 1.0], **changes)
    assert len(outcome.history["val_loss"]) == epochs
    assert outcome.best_epoch == (2 if epochs == 4 else 6)
    assert model.get_weights()[0].item() == weight
    assert outcome.losses["val_loss"] == outcome.history["val_loss"][weight - 1]


def test_a_loss_that_is_no_number_stops_training():
    with pytest.raises(DivergedError, match="val_loss is nan after epoch 2"):
        loop([1.0, math.nan, 1.0])


def test_the_learning_rate_decays_by_its_factor_before_each_further_epoch():
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], 1.0)
    loop([3.0, 2.0, 1.0], optimizer, learning_rate_decay=0.5)
    assert optimizer.param_groups[0]["lr"] == 0.25


# --- one kind at a time ----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def rebuilder() -> Trained:
    return once("joint_vae")


def test_moving_statistics_make_the_same_image_whatever_else_is_asked_for():
    sampler = cvae.build(image_shape=(28, 28, 1), num_classes=2, latent_dim=4)["sampler"]
    alone = cvae.sample(sampler, np.array([1]), seed=0, sampling_statistics="moving")
    assert alone.shape == (1, 28, 28, 1)
    batch = cvae.sample(sampler, np.array([1]), seed=0, sampling_statistics="batch")
    assert batch.shape == (1, 28, 28, 1)


def test_sampling_with_batch_statistics_leaves_the_sampler_as_it_was():
    sampler = cvae.build(image_shape=(28, 28, 1), num_classes=2, latent_dim=4)["sampler"]
    before = [weight.numpy().copy() for weight in sampler.weights]
    cvae.sample(sampler, np.arange(300) % 2, seed=0, sampling_statistics="batch")
    assert all(np.array_equal(a, b.numpy()) for a, b in zip(before, sampler.weights, strict=True))


def test_the_mean_reconstruction_draws_nothing(rebuilder):
    images, labels = two_tones(6)
    first, second = (
        joint_vae.reconstruct(rebuilder.sampler, images, labels, seed=seed, mode="mean") for seed in (0, 1)
    )
    assert np.array_equal(first, second)


def test_reconstructing_pairs_in_training_mode_forgets_the_image(rebuilder):
    images, labels = two_tones(8)
    forgotten = joint_vae.reconstruct(rebuilder.sampler, images, labels, seed=0, mode="train_pair")
    swapped = joint_vae.reconstruct(rebuilder.sampler, images[::-1].copy(), labels, seed=0, mode="train_pair")
    assert np.abs(forgotten.astype(int) - swapped).max() <= 1  # the same noise, other images: nothing changes
    kept = joint_vae.reconstruct(rebuilder.sampler, images, labels, seed=0, mode="mean")
    other = joint_vae.reconstruct(rebuilder.sampler, images[::-1].copy(), labels, seed=0, mode="mean")
    assert np.abs(kept.astype(int) - other).max() > 30


def test_one_joint_vae_a_class_is_chosen_by_the_label():
    epochs = []
    result = fit("joint_vae", count=32, epochs=2, per_class=True, on_epoch=lambda epoch, logs: epochs.append(epoch))
    assert epochs == [1, 2, 3, 4]
    assert 1 <= result.best_epoch <= 2
    images, labels = two_tones(6)
    made = joint_vae.reconstruct(result.sampler, images, labels, seed=0, mode="mean")
    noise, gumbel = np.zeros((6, 8), "float32"), np.zeros((6, 4), "float32")
    whole = result.sampler.predict([images.astype("float32"), noise, gumbel, labels], verbose=0)
    assert np.abs(whole - made).max() <= 0.51  # rounding to bytes
    other = joint_vae.reconstruct(result.sampler, images, 1 - labels, seed=0, mode="mean")
    assert not np.array_equal(made, other)


def test_one_joint_vae_a_class_needs_images_of_every_class():
    with pytest.raises(ValueError, match=r"every class, found \[64, 64, 0\] and \[8, 8, 0\]"):
        fit("joint_vae", 128, num_classes=3, per_class=True)


def test_upscaling_is_bilinear_without_antialiasing_there_and_back():
    images = torch.rand(2, 28, 28, 3)
    larger = cgan.resized(images, 32)
    assert larger.shape == (2, 32, 32, 3)
    back = keras.layers.Resizing(28, 28, interpolation="bilinear", antialias=False)(larger)
    expected = F.interpolate(larger.permute(0, 3, 1, 2), (28, 28), mode="bilinear", align_corners=False)
    assert torch.allclose(back, expected.permute(0, 2, 3, 1), atol=1e-6)


def test_the_gan_sampler_is_the_generator_with_its_kernels_folded():
    model = cgan.build_generator(channels=1, num_classes=3, latent_dim=8, spectral=True)
    noise, labels = torch.randn(64, 8), torch.arange(64) % 3
    for _ in range(20):
        model([noise, labels], training=True)
    large = model([noise, labels], training=False)
    small = F.interpolate(large.permute(0, 3, 1, 2), (28, 28), mode="bilinear", align_corners=False)
    expected = small.permute(0, 2, 3, 1) * 127.5 + 127.5
    assert torch.allclose(cgan.build_sampler(model, 28)([noise, labels], training=False), expected, atol=1e-3)


# --- other sizes than 28 x 28 ----------------------------------------------------------------------

SIDES = {8: 32, 28: 32, 32: 32, 33: 64, 64: 64, 65: 128, 224: 256, 512: 512}


@pytest.mark.parametrize(("side", "expected"), SIDES.items())
def test_networks_work_at_the_next_32_times_a_power_of_two(side, expected):
    assert grid_side(side) == expected
    assert vae_side(side) == (28 if side == 28 else expected)
    assert len(vae_widths(side)) - 5 == math.log2(expected / 32)


def parts_of(side: int) -> dict[str, dict[str, keras.Model]]:
    return {
        "cvae": cvae.build(image_shape=(side, side, 3), num_classes=9, latent_dim=150),
        "joint_vae": joint_vae.build(
            image_shape=(side, side, 3), latent_dim=100, categories=50, temperature=0.5, name="sampler"
        ),
        "cgan": {
            "generator": cgan.build_generator(channels=3, num_classes=9, latent_dim=128, spectral=True, side=side),
            "discriminator": cgan.build_discriminator(channels=3, num_classes=9, class_head=False, side=side),
        },
    }


def test_at_32_pixels_networks_have_the_printed_numbers_of_weights():
    ours, printed = parts_of(32), parts_of(28)
    for kind in ours:
        for name in ours[kind].keys() - {"whole", "sampler"}:  # a plane for the label has as many as there are pixels
            assert ours[kind][name].count_params() == printed[kind][name].count_params()


def convolutions(model: keras.Model) -> list[int]:
    return [layer.filters for layer in model.layers if hasattr(layer, "filters")]


def test_each_doubling_of_32_is_one_block_more():
    deeper, printed = parts_of(128), parts_of(28)
    assert convolutions(deeper["cvae"]["encoder"]) == [16, 16, *convolutions(printed["cvae"]["encoder"])]
    for kind in ("cvae", "joint_vae"):
        assert convolutions(deeper[kind]["decoder hidden"]) == [256, 128, 64, 32, 16, 16]
        assert deeper[kind]["encoder"].output_shape == (None, 1, 1, 512)
    assert convolutions(deeper["cgan"]["generator"]) == [256, 128, 64, 32, 32, 3]
    assert convolutions(deeper["cgan"]["discriminator"]) == [32, 32, 32, 64, 8, 8, 64, 128, 256]
    assert deeper["cgan"]["generator"].output_shape == (None, 128, 128, 3)


@pytest.mark.parametrize(("name", "side"), [("cvae", 40), ("joint_vae", 16), ("cgan", 40)])
def test_a_generator_learns_from_images_of_another_size_and_makes_such(name, side):
    trained = fit(name, 16, side=side, epochs=1, batch_size=8)
    labels = np.arange(6) % 2
    images = make(name, trained.sampler, labels, side=side)
    assert images.shape == (6, side, side, 1)
    assert images.dtype == np.uint8
    assert all(np.isfinite(values).all() for values in trained.history.values())


def test_a_vae_rebuilds_images_of_another_size_as_keras_itself_computes_it():
    parts = cvae.build(image_shape=(40, 40, 1), num_classes=2, latent_dim=4)
    inputs = [torch.rand(3, 40, 40, 1) * 2 - 1, torch.tensor([0, 1, 1]), torch.randn(3, 4)]
    rebuilt, mean, _ = fuse(parts["whole"])(*inputs, training=False)
    expected, theirs, _ = parts["whole"](inputs, training=False)
    assert rebuilt.shape == (3, 40, 40, 1)
    assert torch.allclose(rebuilt, expected, atol=1e-4)
    assert torch.allclose(mean, theirs, atol=1e-4)


def test_a_squared_error_is_minimized_as_a_sum_or_mean_of_pixels_and_shown_for_each_image():
    images, rebuilt = torch.rand(3, 4, 4, 2), torch.rand(3, 4, 4, 2)
    squares = (images - rebuilt).square()
    for how, expected in (("sum", squares.sum()), ("mean", squares.mean())):
        found = squared_error(images, rebuilt, how)
        assert torch.allclose(found.to_minimize, expected)
        assert torch.allclose(found.per_image, squares.sum() / 3)


def test_the_weight_of_kl_grows_with_the_pixels_of_a_sum_alone():
    assert kl_scale(28, "sum", by_area=True) == 1
    assert kl_scale(56, "sum", by_area=True) == 4
    assert kl_scale(56, "mean", by_area=True) == 1
    assert kl_scale(56, "sum", by_area=False) == 1


@pytest.mark.parametrize("name", ["cvae", "joint_vae"])
def test_kl_by_area_changes_what_is_learnt_at_other_sizes_alone(name):
    def after(side: int, **changes: object) -> float:
        return fit(name, 16, side=side, epochs=1, batch_size=8, **changes).history["loss"][0]

    assert after(28, kl_by_area=False) == after(28)
    assert after(32, kl_by_area=False) != after(32)
    assert after(32, reconstruction="mean", kl_by_area=False) == after(32, reconstruction="mean")
    assert after(32, kl_by_area=False, kl_weight=SETTINGS[name]["kl_weight"] * (32 / 28) ** 2) == after(32)


# --- flow matching ---------------------------------------------------------------------------------


def still(x: torch.Tensor, when: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return torch.zeros_like(x)


def rng_of(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("time", ["uniform", "skewed"])
def test_a_flow_that_stands_still_errs_by_one_and_the_mean_square_of_the_images(time):
    images = torch.from_numpy(two_tones(400)[0]) / 127.5 - 1
    found = flow.error(still, images, torch.zeros(400, dtype=torch.int64), time, rng_of(0)).mean().item()
    assert found == pytest.approx(1 + images.square().mean().item(), abs=0.01)  # 313,600 draws: 0.003


def test_a_new_flow_stands_still():
    model = flow.build(image_shape=(64, 64, 3), num_classes=2, patch=2, widths=None, blocks=1, dropout=0.1)
    images, labels = torch.randn(2, 64, 64, 3), torch.tensor([0, 2])
    for what, start in (("scale", 1), ("shift", 0)):
        assert (model.get_layer(f"down1_1_{what}").bias.value == start).all()
    assert not fuse(model)(images, torch.tensor([0.0, 1.0]), labels, training=False).any()


def test_the_exact_velocity_has_no_error_at_any_time():
    """Of a single image: from any place on the way, what is left of it by the time that is left."""
    image = torch.from_numpy(two_tones(1)[0]) / 127.5 - 1
    images = image.expand(50, -1, -1, -1)

    def exact(x: torch.Tensor, when: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return (image - x) / (1 - when[:, None, None, None])

    labels = torch.zeros(50, dtype=torch.int64)
    assert flow.error(exact, images, labels, "uniform", rng_of(0)).max() < 1e-6
    made = flow.follow(exact, torch.randn(50, 28, 28, 1), labels, solver="euler", steps=7, guidance=1.0, no_class=2)
    assert torch.allclose(made, images, atol=1e-5)


@pytest.mark.parametrize(("solver", "order"), [("euler", 1), ("heun", 2)])
def test_twice_the_steps_divide_a_solvers_error_by_two_to_its_order(solver, order):
    def velocity(x: torch.Tensor, when: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return x * torch.cos(3 * when[:, None, None, None])

    start, labels = torch.ones(1, 1, 1, 1, dtype=torch.float64), torch.zeros(1, dtype=torch.int64)
    errors = []
    for steps in (80, 160):
        made = flow.follow(velocity, start, labels, solver=solver, steps=steps, guidance=1.0, no_class=2)
        errors.append(abs(made.item() - math.exp(math.sin(3) / 3)))
    assert errors[0] / errors[1] == pytest.approx(2**order, rel=0.15)


def test_guidance_goes_from_no_class_past_the_class():
    def velocity(x: torch.Tensor, when: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        return torch.where(labels == 2, 1.0, 3.0)[:, None, None, None].expand_as(x)

    zeros, labels = torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])
    for guidance, moved in ((0.0, 1.0), (0.5, 2.0), (1.0, 3.0), (3.0, 7.0)):
        made = flow.follow(velocity, zeros, labels, solver="euler", steps=4, guidance=guidance, no_class=2)
        assert made.flatten().tolist() == pytest.approx([moved, moved])


def test_classes_are_dropped_image_by_image():
    labels = torch.arange(20_000) % 3
    known = flow.with_dropped(labels, 0.1, 3, rng_of(0))
    dropped = known == 3
    assert torch.equal(known[~dropped], labels[~dropped])
    assert dropped.float().mean().item() == pytest.approx(0.1, abs=0.01)  # five standard errors
    of_batches = dropped.view(-1, 20).float().sum(1)
    assert of_batches.var().item() == pytest.approx(20 * 0.1 * 0.9, rel=0.25)  # binomial, as single draws make it
    assert torch.equal(flow.with_dropped(labels, 0.0, 3, rng_of(0)), labels)


def test_skewed_times_are_those_of_log_normal_noise():
    skewed = flow.times(20_000, "skewed", rng_of(0))
    assert 0 < skewed.min() <= skewed.max() <= 1
    logs = torch.log(1 / skewed - 1)
    assert logs.mean().item() == pytest.approx(-1.2, abs=0.05)
    assert logs.std().item() == pytest.approx(1.2, abs=0.05)


def test_the_average_of_the_weights_forgets_half_in_its_half_life():
    left = math.prod(flow.average_decay(1_000_000, 100, 0.05) for _ in range(500))  # 50,000 images
    assert left == pytest.approx(0.5)
    assert flow.average_decay(10**9, 64, 0.05) == flow.average_decay(10**8, 64, 0.05)  # 500,000 images at most
    assert flow.average_decay(64, 64, 0.05) < 1e-6  # the first steps are forgotten at once
    assert flow.average_decay(64, 64, 0.0) == 0


def test_an_image_does_not_depend_on_what_it_is_made_with():
    sampler = once("flow").sampler
    labels = np.arange(flow.CHUNK + 6) % 2
    whole = flow.sample(sampler, labels, seed=3, **EULER)
    for count in (1, 7, flow.CHUNK, flow.CHUNK + 1):
        part = flow.sample(sampler, labels[:count], seed=3, **EULER)
        assert np.abs(part.astype(int) - whole[:count]).max() <= 1  # products of other sizes may round otherwise
    assert len({image.tobytes() for image in whole}) == len(whole)


def test_heuns_method_has_converged_at_25_steps():
    sampler = once("flow").sampler
    few, many = (flow.sample(sampler, LABELS[:16], seed=3, **{**HEUN, "steps": steps}) for steps in (25, 100))
    assert np.abs(few.astype(int) - many).mean() < 1


def test_the_loop_in_the_documentation_makes_the_images_that_we_make(tmp_path, monkeypatch):
    page = (Path(__file__).parent.parent / "docs/how-to/results.md").read_text("utf-8")
    (loop,) = [code for code in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "velocity" in code]
    assert "medaug" not in loop
    assert len(loop.split("\n\n")[1].splitlines()) == 7  # after the imports
    once("flow").sampler.save(tmp_path / "sampler.keras")
    monkeypatch.chdir(tmp_path)
    found: dict[str, object] = {}
    exec(loop, found)
    noise = np.random.default_rng(0).standard_normal(found["x"].shape).astype("float32")
    call = fuse(once("flow").sampler)
    with torch.no_grad():
        made = flow.follow(
            lambda *inputs: call(*inputs, training=False),
            torch.from_numpy(noise),
            torch.from_numpy(found["asked"]),
            solver="euler",
            steps=found["steps"],
            guidance=1.0,
            no_class=2,
        )
    assert found["painted"].dtype == np.uint8
    assert np.abs(found["painted"].astype(int) - to_bytes((made + 1) * 127.5).numpy()).max() <= 1


def test_a_flow_trained_with_its_average_off_is_the_network_of_the_last_step():
    """And with it on it is another: the average is what is kept."""
    off, on = (fit("flow", 32, epochs=2, images=128, keep="last", average_half_life=part) for part in (0.0, 0.5))
    assert off.history["loss"] == on.history["loss"]
    assert off.history["val_loss"] != on.history["val_loss"]


def test_an_epoch_of_a_flow_is_a_part_of_its_images_whatever_the_training_set():
    seen = []
    result = fit("flow", 8, epochs=3, images=200, on_epoch=lambda epoch, logs: seen.append(epoch))
    assert seen == [1, 2, 3]
    assert len(result.history["loss"]) == 3


def test_a_flow_that_learns_nothing_has_the_losses_of_one_that_stands_still_and_its_average_is_itself():
    """Means over the images of each epoch, however many steps it has; on the validation images the same draws."""
    how = {"epochs": 3, "images": 128, "optimizer": {**ADAM, "learning_rate": 0.0}}  # 2, 3 and 3 steps
    off, on = (fit("flow", 32, **how, average_half_life=part) for part in (0.0, 0.5))
    expected = [1 + ((two_tones(*some)[0] / 127.5 - 1) ** 2).mean() for some in ((32,), (16, 1, 1))]
    assert on.history["loss"] == pytest.approx([expected[0]] * 3, rel=0.05)
    assert on.history["val_loss"] == pytest.approx([expected[1]] * 3, rel=0.05)
    assert len(set(on.history["val_loss"])) == 1
    for one, other in zip(off.sampler.get_weights(), on.sampler.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_no_step_of_a_flow_follows_a_gradient_that_is_longer_than_one():
    white = np.full((16, 28, 28, 1), 255, np.uint8), np.arange(16) % 2
    data = TrainingData(*white, *white, num_classes=2)
    settings = {**SETTINGS["flow"], "epochs": 1, "images": 16, "keep": "last", "average_half_life": 0.0, "warm_up": 0.0}
    weights = []
    for rate in (0.0, 0.5):
        sgd = {"kind": "sgd", "learning_rate": rate, "momentum": 0.0, "nesterov": False, "weight_decay": 0.0}
        settings["optimizer"] = sgd
        recipe, own = Recipe.split(settings)
        weights.append(flow.fit(data, recipe, on_epoch=lambda epoch, logs: None, **own).sampler.get_weights())
    moved = math.sqrt(sum(((one - other) ** 2).sum() for one, other in zip(*weights, strict=True)))
    assert moved == pytest.approx(0.5, rel=1e-3)


def test_every_weight_of_a_flow_has_a_part_in_what_it_says():
    shape = (28, 28, 1)
    model = flow.build(image_shape=shape, num_classes=2, patch=2, widths=(8, 16), blocks=1, dropout=0.1)
    assert {"attention", "classes", "time_embedding"} <= {layer.name for layer in model.layers}
    for weight in model.trainable_weights:  # new biases, and the last kernel, are 0
        weight.assign(weight + torch.randn(weight.shape, generator=rng_of(1)) / 10)
    found = fuse(model)(torch.randn(6, *shape), torch.rand(6), torch.arange(6) % 3, training=False)
    found.square().mean().backward()
    without = [weight.path for weight in model.trainable_weights if not weight.value.grad.abs().max() > 0]
    assert without == []
    assert model.get_layer("classes").embeddings.value.grad.abs().amax(1).min() > 0


def placed(count: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Images, classes by tone (dark or bright), and the side, left or right, of the disc in each."""
    rng = np.random.default_rng(seed)
    labels, sides = np.arange(count) % 2, rng.permutation(np.arange(count) // 2 % 2)
    rows, columns = np.mgrid[:28, :28]
    discs = np.exp(-((rows - 14) ** 2 + (columns - np.where(sides, 20, 8)[:, None, None]) ** 2) / 30)
    tones = np.where(labels, 150, 60)[:, None, None] + 70 * discs + rng.normal(0, 6, (count, 28, 28))
    return np.clip(tones, 0, 255).astype(np.uint8)[..., None], labels, sides


def side_of(images: np.ndarray) -> np.ndarray:
    halves = images[..., 0].astype(float).mean(1)
    return (halves[:, 14:].mean(1) > halves[:, :14].mean(1)).astype(int)


def painted(count: int, settings: dict[str, object]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Classes asked for; those painted, by the tone of real images; and sides."""
    images, labels, _ = placed(400, 0)
    real, known, sides = placed(400, 1)
    assert np.array_equal(side_of(real), sides)
    corner = real[:, :4].mean((1, 2, 3))
    threshold = (corner[known == 0].mean() + corner[known == 1].mean()) / 2
    recipe, own = Recipe.split({**SETTINGS["flow"], "epochs": 4, **settings})
    held_out = placed(40, 2)
    data = TrainingData(images, labels, held_out[0], held_out[1], num_classes=2)
    trained = flow.fit(data, recipe, on_epoch=lambda epoch, logs: None, **own)
    wanted = np.arange(count) % 2
    made = flow.sample(trained.sampler, wanted, seed=0, **EULER)
    return wanted, made[:, :4].mean((1, 2, 3)) > threshold, side_of(made)


@pytest.mark.parametrize(
    ("settings", "count"),
    [
        ({"images": 3200}, 100),
        pytest.param({"images": 24_000, "patch": 2, "widths": (16, 32)}, 400, marks=pytest.mark.slow),
    ],
)
def test_a_flow_paints_the_class_asked_for_and_keeps_the_share_of_what_no_class_says(settings, count):
    wanted, found, sides = painted(count, settings)
    assert (wanted == found).mean() >= 0.95
    for label in (0, 1):  # half of each class is left, within four standard errors
        assert abs(sides[wanted == label].mean() - 0.5) < 4 * 0.5 / math.sqrt(count / 2)


@pytest.mark.parametrize("side", [28, 64, 128])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_flow_has_a_network_for_each_of_its_sizes(side, channels):
    shape = (side, side, channels)
    model = flow.build(image_shape=shape, num_classes=3, patch=2, widths=None, blocks=1, dropout=0.1)
    assert model.output_shape == (None, *shape)
    assert fuse(model)(torch.randn(1, *shape), torch.rand(1), torch.tensor([3]), training=False).shape == (1, *shape)
    assert side in GENERATORS["flow"].sizes


def test_a_flow_of_other_widths_is_one_whose_grids_can_be_halved():
    shape, rest = (28, 28, 1), {"num_classes": 2, "blocks": 2, "dropout": 0.0}
    model = flow.build(image_shape=shape, patch=1, widths=(8, 16, 24), **rest)
    assert model.output_shape == (None, *shape)
    with pytest.raises(ValueError, match="28 pixels cannot be cut into patches of 2 and halved 2 times"):
        flow.build(image_shape=shape, patch=2, widths=(8, 16, 24), **rest)
    with pytest.raises(ValueError, match="images of 32 x 32 need widths"):
        flow.build(image_shape=(32, 32, 1), patch=2, widths=None, **rest)
