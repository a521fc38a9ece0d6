"""Conditional GAN: Mirza & Osindero 2014, https://arxiv.org/abs/1411.1784; layers of the paper's Figs. 25 and 26.

The networks are TorchFusion's (https://github.com/johnolafenwa/TorchFusion): class-conditional batch norm in the
generator, a projection discriminator (Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637) with self-attention,
spectral normalisation in both. Losses: relativistic GAN, Jolicoeur-Martineau 2019, https://arxiv.org/abs/1807.00734.
They work on 32 x 32 images; bilinear resizing without antialiasing leads there and back.

Shapes: B batch, N images, H x W x C image, K classes, Z latent_dim.
"""

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers

from medaug_keras import networks
from medaug_keras.generators.loop import Trained, adam, in_range, on_device, painter, training_batches
from medaug_keras.networks import device_of, fuse, parameters
from medaug_keras.training import Checkpoint, Ongoing, Report, generator, recorded, subseed, train

SIDE = 32
TOGETHER = 256  # images made at once
SPECTRAL_INIT = {"kernel_initializer": "glorot_uniform", "bias_initializer": "zeros"}


def build_generator(*, channels: int, num_classes: int, latent_dim: int, spectral: bool) -> keras.Model:
    """[noise (B, Z), labels (B,)] -> (B, 32, 32, channels) in [-1, 1].

    1,191,235 parameters for 9 classes in colour and Z = 128. `spectral=False` is the same with plain layers.
    """
    transposed = networks.SpectralConv2DTranspose if spectral else layers.Conv2DTranspose
    noise = keras.Input((latent_dim,), name="noise")
    label = keras.Input((), dtype="int32", name="label")
    x = layers.Reshape((1, 1, latent_dim), name="noise_map")(noise)
    for number, (filters, strides, padding) in enumerate([(256, 1, "valid"), (128, 2, "same"), (64, 2, "same")], 1):
        x = transposed(filters, 4, strides, padding, name=f"transposed{number}", **SPECTRAL_INIT)(x)  # 4, 8, 16
        x = networks.conditional_batch_norm(x, label, num_classes=num_classes, name=f"norm{number}")
        x = layers.LeakyReLU(networks.GAN_SLOPE, name=f"leaky{number}")(x)
    x = transposed(channels, 4, 2, "same", name="transposed4", **SPECTRAL_INIT)(x)
    return keras.Model([noise, label], layers.Activation("tanh", name="tanh")(x), name="generator")


def build_discriminator(*, channels: int, num_classes: int, class_head: bool) -> keras.Model:
    """[(B, 32, 32, channels) in [-1, 1], labels (B,)] -> logit (B, 1), with `class_head` also class logits (B, K).

    logit = w . phi + b + e_label . phi, phi the 4096 features. 735,553 parameters for 9 classes in colour and one,
    gamma, that Fig. 25 does not count; with the class head 36,873 more.
    """

    def block(x: Any, number: int, filters: int, kernel: int, stride: int) -> Any:
        conv = networks.SpectralConv2D(filters, kernel, stride, "same", name=f"conv{number}", **SPECTRAL_INIT)
        return layers.LeakyReLU(networks.GAN_SLOPE, name=f"leaky{number}")(conv(x))

    image = keras.Input((SIDE, SIDE, channels), name="image")
    label = keras.Input((), dtype="int32", name="label")
    x = block(block(image, 1, 32, 3, 1), 2, 64, 4, 2)  # 32, 16
    parts = []
    for name, width in [("query", 8), ("key", 8), ("value", 64)]:
        kaiming = keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal")  # HeNormal is truncated
        parts.append(layers.Conv2D(width, 1, use_bias=False, kernel_initializer=kaiming, name=name)(x))
    x = networks.SelfAttention(name="attention")([x, *parts])
    x = block(block(x, 3, 128, 4, 2), 4, 256, 4, 2)  # 8, 4
    features = layers.Flatten(name="features")(x)
    score = networks.SpectralDense(1, name="score", **SPECTRAL_INIT)(features)
    projection = networks.SpectralEmbedding(num_classes, 4096, "glorot_uniform", name="projection")(label)
    logit = layers.Add(name="logit")([score, layers.Dot(axes=1, name="match")([projection, features])])
    if not class_head:
        return keras.Model([image, label], logit, name="discriminator")
    head = layers.Dense(num_classes, **networks.torch_init(4096), name="class_head")(features)
    return keras.Model([image, label], [logit, head], name="discriminator")


def build_sampler(trained: keras.Model) -> keras.Model:
    """[noise (B, Z), labels (B,)] -> (B, 28, 28, C) in 0..255: the generator, W / sigma folded into plain kernels."""
    embedding = next(layer for layer in trained.layers if isinstance(layer, layers.Embedding))
    plain = build_generator(
        channels=trained.output_shape[-1],
        num_classes=embedding.input_dim,
        latent_dim=trained.inputs[0].shape[-1],
        spectral=False,
    )
    for source, target in zip(trained.layers, plain.layers, strict=True):
        if isinstance(source, networks.SpectralConv2DTranspose):
            target.set_weights([keras.ops.convert_to_numpy(source.normalised(False)), source.bias.numpy()])
        else:
            target.set_weights(source.get_weights())
    x = layers.Resizing(28, 28, interpolation="bilinear", antialias=False, name="resize")(plain.output)
    pixels = layers.Rescaling(127.5, offset=127.5, name="pixels")(x)
    return keras.Model(plain.inputs, pixels, name="cgan_sampler")


def discriminator_loss(real: torch.Tensor, fake: torch.Tensor, loss: str) -> torch.Tensor:
    """Logits (B, 1) of real and fake images -> nats: is real more real than fake?"""
    if loss == "relativistic_pairwise":
        return F.softplus(fake - real).mean()
    # binary cross-entropy of logit x is softplus(-x) against "real" and softplus(x) against "fake"
    return (F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()) / 2


def generator_loss(real: torch.Tensor, fake: torch.Tensor, loss: str) -> torch.Tensor:
    """Logits (B, 1) of real and fake images -> nats: is fake more real than real?"""
    return discriminator_loss(fake, real, loss)


def fit(
    images: np.ndarray,
    labels: np.ndarray,
    validation_images: np.ndarray,
    validation_labels: np.ndarray,
    *,
    num_classes: int,
    seed: int,
    report: Report,
    latent_dim: int,
    epochs: int,
    batch_size: int,
    sampling: str,
    patience: None,
    keep: str,
    optimizer: Mapping[str, Any],
    learning_rate_decay: float,
    loss: str,
    class_head: bool,
    class_head_weight: float,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on uint8 images (N, 28, 28, C) and labels (N,); settings as in the study.

    With a `checkpoint`, training goes on after the epoch that it keeps.

    Losses: `discriminator_loss` and `generator_loss` (nats, means over the images). A GAN's loss does not say which
    epoch is best, so the last is kept, and the validation images are not used: they are arguments because those of
    every generator are.
    """
    keras.utils.set_random_seed(subseed(seed, "weights"))
    channels = images.shape[-1]
    maker = build_generator(channels=channels, num_classes=num_classes, latent_dim=latent_dim, spectral=True)
    judge = build_discriminator(channels=channels, num_classes=num_classes, class_head=class_head)
    make, judged, device = fuse(maker), fuse(judge), device_of(maker)
    maker_descent = adam(parameters(maker), **optimizer)
    judge_descent = adam(parameters(judge), **optimizer)
    order = np.random.default_rng(subseed(seed, "order"))
    chance = generator(seed, "noise", device)
    real_images, real_labels = on_device(images, labels, device)

    def fakes(size: int) -> tuple[torch.Tensor, torch.Tensor]:
        wanted = torch.randint(num_classes, (size,), generator=chance, device=device)
        return make(torch.randn(size, latent_dim, generator=chance, device=device), wanted, training=True), wanted

    def logits(image: torch.Tensor, label: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The logit, and the class head's part of the loss."""
        if not class_head:
            return judged(image, label, training=True), torch.zeros((), device=device)
        logit, head = judged(image, label, training=True)
        return logit, class_head_weight * F.cross_entropy(head, label)

    def step(index: torch.Tensor) -> torch.Tensor:
        image, label = upscaled(in_range(real_images[index])), real_labels[index]
        with torch.no_grad():
            fake, wanted = fakes(len(index))
        real_logit, real_class = logits(image, label)
        judge_loss = discriminator_loss(real_logit, logits(fake, wanted)[0], loss) + real_class
        judge_descent.zero_grad()
        judge_loss.backward()
        judge_descent.step()

        fake, wanted = fakes(len(index))
        with torch.no_grad():
            real_logit, _ = logits(image, label)
        for weight in parameters(judge):
            weight.requires_grad_(False)  # the generator's step needs no gradient of them
        fake_logit, fake_class = logits(fake, wanted)
        maker_loss = generator_loss(real_logit, fake_logit, loss) + fake_class
        maker_descent.zero_grad()
        maker_loss.backward()
        maker_descent.step()
        for weight in parameters(judge):
            weight.requires_grad_(True)
        return torch.stack([judge_loss, maker_loss]).detach() * len(index)

    # a recorded step keeps its learning rate
    decays = learning_rate_decay != 1
    train_on = step if decays else recorded(step, size=batch_size, device=device, draws=[chance])

    def train_epoch() -> dict[str, float]:
        sums = torch.zeros(2, device=device)
        for index in training_batches(labels, batch_size=batch_size, sampling=sampling, rng=order, device=device):
            sums += train_on(index)
        judge_mean, maker_mean = (sums / len(labels)).tolist()
        return {"discriminator_loss": judge_mean, "generator_loss": maker_mean}

    history, best_epoch, kept = train(
        maker,
        train_epoch=train_epoch,
        validate=None,
        ongoing=Ongoing([maker, judge], [judge_descent, maker_descent], [order, chance]),
        epochs=epochs,
        patience=patience,
        keep=keep,
        learning_rate_decay=learning_rate_decay,
        report=report,
        checkpoint=checkpoint,
    )
    return Trained(build_sampler(maker), history, best_epoch, kept, {"generator": maker, "discriminator": judge})


def upscaled(images: torch.Tensor) -> torch.Tensor:
    """(B, 28, 28, C) -> (B, 32, 32, C), bilinear."""
    larger = F.interpolate(images.permute(0, 3, 1, 2), (SIDE, SIDE), mode="bilinear", align_corners=False)
    return larger.permute(0, 2, 3, 1)


def sample(sampler: keras.Model, labels: np.ndarray, *, seed: int) -> np.ndarray:
    """uint8 images (n, 28, 28, C) of the classes in `labels` (n,); z ~ N(0, 1)."""
    rng = np.random.default_rng(subseed(seed, "noise"))
    noise = rng.standard_normal((len(labels), sampler.inputs[0].shape[-1]), dtype=np.float32)
    paint = painter(sampler)
    made = np.empty((len(labels), *sampler.output_shape[1:]), np.uint8)
    for start in range(0, len(labels), TOGETHER):
        rows = slice(start, start + TOGETHER)
        made[rows] = paint(noise[rows], labels[rows].astype(np.int64))
    return made
