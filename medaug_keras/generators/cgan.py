"""Conditional GAN: Mirza & Osindero 2014, https://arxiv.org/abs/1411.1784; layers of the paper's Figs. 25 and 26.

The networks are TorchFusion's (https://github.com/johnolafenwa/TorchFusion): class-conditional batch norm in the
generator, a projection discriminator (Miyato & Koyama 2018, https://arxiv.org/abs/1802.05637) with self-attention,
spectral normalization in both. Losses: relativistic GAN, Jolicoeur-Martineau 2019, https://arxiv.org/abs/1807.00734.
They work on 32 x 32 images, to and from which 28 x 28 images are resized, bilinearly and without antialiasing. For
larger images, which the paper has not, they work at the next 32 x 2^k: one block deeper for each doubling.

Where images have several findings, scale, shift and projection are sums of what each finding adds, and fake images are
asked for the findings of the real ones of their batch, so that both have the same.

Shapes: B batch, N images, H x W x C image, G the side that the networks work at, K classes or findings, Z latent_dim.
"""

from typing import Any

import keras
import numpy as np
import torch
import torch.nn.functional as F
from keras import layers
from torch import Tensor

from medaug_keras import labels as labels_of
from medaug_keras import networks
from medaug_keras.generators.fitting import (
    Images,
    Labels,
    Recipe,
    Trained,
    TrainingData,
    as_tensors,
    image_function,
    train_generator,
)
from medaug_keras.networks import device_of, fuse, parameters
from medaug_keras.networks.scaling import center, to_pixels_layer, to_unit
from medaug_keras.training import (
    Checkpoint,
    OnEpoch,
    TrainingState,
    batches,
    epoch_order,
    numpy_rng,
    optimizer,
    recorded,
    silent,
    subseed,
    torch_rng,
)

DEEPER = 32  # channels of the blocks that larger images add
CHUNK = 256  # images made at once
SPECTRAL_INIT = {"kernel_initializer": "glorot_uniform", "bias_initializer": "zeros"}


def build_generator(
    *, channels: int, num_classes: int, latent_dim: int, spectral: bool, side: int = 28, several: bool = False
) -> keras.Model:
    """[noise (B, Z), labels (B,)] -> (B, G, G, channels) in [-1, 1], for images of so many pixels a `side`.

    1,191,235 parameters for 9 classes in color and Z = 128, at G = 32. `spectral=False` is the same with plain layers.
    With `several` findings an image, labels are (B, K) of 0 and 1.
    """
    transposed = networks.SpectralConv2DTranspose if spectral else layers.Conv2DTranspose
    noise = keras.Input((latent_dim,), name="noise")
    asked, label = networks.label_input(num_classes, several=several)
    x = layers.Reshape((1, 1, latent_dim), name="noise_map")(noise)
    widths = (256, 128, 64) + (DEEPER,) * networks.doublings(side)
    for number, filters in enumerate(widths, 1):  # 4, 8, 16 ...
        strides, padding = (1, "valid") if number == 1 else (2, "same")
        x = transposed(filters, 4, strides, padding, name=f"transposed{number}", **SPECTRAL_INIT)(x)
        x = networks.conditional_batch_norm(x, label, num_classes=num_classes, name=f"norm{number}")
        x = layers.LeakyReLU(networks.GAN_SLOPE, name=f"leaky{number}")(x)
    x = transposed(channels, 4, 2, "same", name=f"transposed{len(widths) + 1}", **SPECTRAL_INIT)(x)
    return keras.Model([noise, asked], layers.Activation("tanh", name="tanh")(x), name="generator")


def build_discriminator(
    *, channels: int, num_classes: int, class_head: bool, side: int = 28, several: bool = False
) -> keras.Model:
    """[(B, G, G, channels) in [-1, 1], labels (B,)] -> logit (B, 1), with `class_head` also class logits (B, K).

    logit = w . phi + b + e_label . phi, phi the 4096 features. At G = 32, 735,553 parameters for 9 classes in color and
    one, gamma, that Fig. 25 does not count; with the class head 36,873 more. With `several` findings an image, labels
    are (B, K) of 0 and 1, and e the sum over the findings.
    """
    grid, more = networks.grid_side(side), networks.doublings(side)

    def block(x: Any, number: int, filters: int, kernel: int, stride: int) -> Any:
        conv = networks.SpectralConv2D(filters, kernel, stride, "same", name=f"conv{number}", **SPECTRAL_INIT)
        return layers.LeakyReLU(networks.GAN_SLOPE, name=f"leaky{number}")(conv(x))

    image = keras.Input((grid, grid, channels), name="image")
    given, label = networks.label_input(num_classes, several=several)
    x = block(image, 1, 32, 3, 1)
    for number in range(2, 2 + more):
        x = block(x, number, DEEPER, 4, 2)
    x = block(x, 2 + more, 64, 4, 2)  # 16
    parts = []
    for name, width in [("query", 8), ("key", 8), ("value", 64)]:
        kaiming = keras.initializers.VarianceScaling(2, "fan_in", "untruncated_normal")  # HeNormal is truncated
        parts.append(layers.Conv2D(width, 1, use_bias=False, kernel_initializer=kaiming, name=name)(x))
    x = networks.SelfAttention(name="attention")([x, *parts])
    x = block(block(x, 3 + more, 128, 4, 2), 4 + more, 256, 4, 2)  # 8, 4
    features = layers.Flatten(name="features")(x)
    score = networks.SpectralDense(1, name="score", **SPECTRAL_INIT)(features)
    if several:
        embedding = networks.SpectralDense(4096, use_bias=False, kernel_initializer="glorot_uniform", name="projection")
    else:
        embedding = networks.SpectralEmbedding(num_classes, 4096, "glorot_uniform", name="projection")
    logit = layers.Add(name="logit")([score, layers.Dot(axes=1, name="match")([embedding(label), features])])
    if not class_head:
        return keras.Model([image, given], logit, name="discriminator")
    head = layers.Dense(num_classes, **networks.torch_init(4096), name="class_head")(features)
    return keras.Model([image, given], [logit, head], name="discriminator")


def build_sampler(trained: keras.Model, side: int) -> keras.Model:
    """[noise (B, Z), labels (B,)] -> (B, side, side, C) in 0..255: the generator, W / sigma folded into its kernels."""
    several = len(trained.inputs[1].shape) == 2
    if several:
        num_classes = trained.inputs[1].shape[1]
    else:
        num_classes = next(layer for layer in trained.layers if isinstance(layer, layers.Embedding)).input_dim
    plain = build_generator(
        channels=trained.output_shape[-1],
        num_classes=num_classes,
        latent_dim=trained.inputs[0].shape[-1],
        spectral=False,
        side=side,
        several=several,
    )
    for source, target in zip(trained.layers, plain.layers, strict=True):
        if isinstance(source, networks.SpectralConv2DTranspose):
            target.set_weights([keras.ops.convert_to_numpy(source.normalized(False)), source.bias.numpy()])
        else:
            target.set_weights(source.get_weights())
    pixels = to_pixels_layer()(networks.resized(plain.output, side, "resize"))
    return keras.Model(plain.inputs, pixels, name="cgan_sampler")


def discriminator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """Logits (B, 1) of real and fake images -> nats: is real more real than fake?"""
    if loss == "relativistic_pairwise":
        return F.softplus(fake - real).mean()
    # binary cross-entropy of logit x is softplus(-x) against "real" and softplus(x) against "fake"
    return (F.softplus(fake.mean() - real).mean() + F.softplus(fake - real.mean()).mean()) / 2


def generator_loss(real: Tensor, fake: Tensor, loss: str) -> Tensor:
    """Logits (B, 1) of real and fake images -> nats: is fake more real than real?"""
    return discriminator_loss(fake, real, loss)


def fit(
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch = silent,
    latent_dim: int,
    loss: str,
    class_head: bool,
    class_head_weight: float,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on square images; settings as in the study.

    With a `checkpoint`, training resumes after the epoch that it holds.

    Losses: `discriminator_loss` and `generator_loss` (nats, means over the images). A GAN's loss does not say which
    epoch is best, so the last is kept, and the validation images are not used.
    """
    keras.utils.set_random_seed(subseed(seed, "weights"))
    side, channels, num_classes = data.images.shape[1], data.images.shape[-1], data.num_classes
    grid, several = networks.grid_side(side), labels_of.several(data.labels)
    generator = build_generator(
        channels=channels, num_classes=num_classes, latent_dim=latent_dim, spectral=True, side=side, several=several
    )
    discriminator = build_discriminator(
        channels=channels, num_classes=num_classes, class_head=class_head, side=side, several=several
    )
    generate, discriminate, device = fuse(generator), fuse(discriminator), device_of(generator)
    generator_optimizer = optimizer(parameters(generator), **recipe.optimizer)
    discriminator_optimizer = optimizer(parameters(discriminator), **recipe.optimizer)
    order_rng, noise_rng = numpy_rng(seed, "order"), torch_rng(seed, "noise", device)
    images, labels = as_tensors(data.images, data.labels, device)

    def fakes(label: Tensor) -> tuple[Tensor, Tensor]:
        size = len(label)
        wanted = label if several else torch.randint(num_classes, (size,), generator=noise_rng, device=device)
        noise = torch.randn(size, latent_dim, generator=noise_rng, device=device)
        return generate(noise, wanted, training=True), wanted

    def logits(image: Tensor, label: Tensor) -> tuple[Tensor, Tensor]:
        """The logit, and the class head's part of the loss."""
        if not class_head:
            return discriminate(image, label, training=True), torch.zeros((), device=device)
        logit, head = discriminate(image, label, training=True)
        if several:
            return logit, class_head_weight * F.binary_cross_entropy_with_logits(head, label.float())
        return logit, class_head_weight * F.cross_entropy(head, label)

    def step(index: Tensor) -> Tensor:
        image, label = resized(center(to_unit(images[index])), grid), labels[index]
        with torch.no_grad():
            fake, wanted = fakes(label)
        real_logit, real_class = logits(image, label)
        d_loss = discriminator_loss(real_logit, logits(fake, wanted)[0], loss) + real_class
        discriminator_optimizer.zero_grad()
        d_loss.backward()
        discriminator_optimizer.step()

        fake, wanted = fakes(label)
        with torch.no_grad():
            real_logit, _ = logits(image, label)
        for weight in parameters(discriminator):
            weight.requires_grad_(False)  # the generator's step needs no gradient of them
        fake_logit, fake_class = logits(fake, wanted)
        g_loss = generator_loss(real_logit, fake_logit, loss) + fake_class
        generator_optimizer.zero_grad()
        g_loss.backward()
        generator_optimizer.step()
        for weight in parameters(discriminator):
            weight.requires_grad_(True)
        return torch.stack([d_loss, g_loss]).detach() * len(index)

    train_on = recorded(step, size=recipe.batch_size, device=device, rngs=[noise_rng])

    def train_epoch(epoch: int) -> dict[str, float]:
        sums = torch.zeros(2, device=device)
        order = epoch_order(labels_of.sorts(data.labels), recipe.sampling, order_rng)
        for index in batches(order, recipe.batch_size, device=device, merge_single=True):
            sums += train_on(index)
        d_mean, g_mean = (sums / len(order)).tolist()
        return {"discriminator_loss": d_mean, "generator_loss": g_mean}

    optimizers = [discriminator_optimizer, generator_optimizer]
    outcome = train_generator(
        generator,
        recipe,
        train_epoch=train_epoch,
        validate=None,
        state=TrainingState([generator, discriminator], optimizers, [order_rng, noise_rng]),
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    both = {"generator": generator, "discriminator": discriminator}
    return Trained(**vars(outcome), sampler=build_sampler(generator, side), networks=both)


def resized(images: Tensor, side: int) -> Tensor:
    """(B, H, W, C) -> (B, side, side, C), bilinear."""
    if images.shape[1] == side:
        return images
    other = F.interpolate(images.permute(0, 3, 1, 2), (side, side), mode="bilinear", align_corners=False)
    return other.permute(0, 2, 3, 1)


def sample(sampler: keras.Model, labels: Labels, *, seed: int) -> Images:
    """uint8 images (n, S, S, C) of the classes in `labels` (n,), or of their findings (n, K); z ~ N(0, 1)."""
    rng = numpy_rng(seed, "noise")
    noise = rng.standard_normal((len(labels), sampler.inputs[0].shape[-1]), dtype=np.float32)
    make = image_function(sampler)
    made = np.empty((len(labels), *sampler.output_shape[1:]), np.uint8)
    for start in range(0, len(labels), CHUNK):
        rows = slice(start, start + CHUNK)
        made[rows] = make(noise[rows], labels[rows].astype(np.int64))
    return made
