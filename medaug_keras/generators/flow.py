"""Conditional flow matching in pixels: Lipman et al. 2023, https://arxiv.org/abs/2210.02747; straight paths as in
Liu et al. 2023, https://arxiv.org/abs/2209.03003.

A network learns the velocity v(x, t, y) that carries noise x0 ~ N(0, I) along x_t = (1 - t) x0 + t x1 to an image x1 of
class y: its target is x1 - x0. Images are made by following it from t = 0 to 1. From Karras et al. 2022
(https://arxiv.org/abs/2206.00364) are the moving average of the weights, the skewed draw of times and Heun's method;
classes are dropped for guidance as in Ho & Salimans 2022 (https://arxiv.org/abs/2207.12598).

Where images have several findings, the vectors of what an image has are added up. A condition is (B, K + 1) of 0 and 1:
the findings, all 0 for an image without any, and last, alone, that it is not said what the image has.

Shapes: B batch, N images, H x W x C image in [-1, 1], K classes (K itself: no class) or findings, G side of the
network's first grid, E width of the embedding.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import torch
from keras import layers, ops
from numpy.typing import NDArray
from torch import Tensor

from medaug_keras import labels as labels_of
from medaug_keras import networks
from medaug_keras.generators import FLOW_WIDTHS
from medaug_keras.generators.fitting import (
    Images,
    Labels,
    Recipe,
    Trained,
    TrainingData,
    as_tensors,
    train_generator,
)
from medaug_keras.networks import assign_weights, copy_weights, device_of, fuse, parameters
from medaug_keras.networks.scaling import center, to_bytes, to_unit
from medaug_keras.training import (
    Checkpoint,
    OnEpoch,
    Passes,
    TrainingState,
    batches,
    numpy_rng,
    optimizer,
    recorded,
    set_learning_rate,
    silent,
    subseed,
    torch_rng,
)

GROUPS = 8  # of each group norm
HEAD = 32  # channels of an attention head
FREQUENCIES = 32  # of the sines and cosines that a time becomes
LONGEST = 500_000  # images: the moving average of the weights never looks back farther than as a half-life of these
CLIP = 1.0  # the largest norm of a step's gradient
EARLIEST = 1e-4  # skewed times are no smaller
VALIDATED = 2000  # validation images that are looked at after an epoch, at most
CHUNK = 64  # images made at once

Velocity = Callable[[Tensor, Tensor, Tensor], Tensor]
"""(images (B, H, W, C), times (B,), classes (B,) or findings (B, K + 1)) -> (B, H, W, C)."""


def build(
    *,
    image_shape: tuple[int, int, int],
    num_classes: int,
    patch: int,
    widths: Sequence[int] | None,
    blocks: int,
    dropout: float,
    several: bool = False,
) -> keras.Model:
    """The U-Net: [images (B, H, W, C), times (B,), classes (B,) in 0..K] -> velocities (B, H, W, C); first all 0.

    With `several` findings an image, (B, K + 1) takes the place of the classes.

    `patch` pixels a side become one place of the first grid. `widths` are the channels of each grid, each of half the
    side of the one before; None takes those of `FLOW_WIDTHS`. Each grid has `blocks` blocks on either way. No batch
    norm: it would mix the images of a batch, of which some have lost their class.

    Raises ValueError for a side that cannot be halved so often.
    """
    side, _, channels = image_shape
    if widths is None:
        if side not in FLOW_WIDTHS:
            known = ", ".join(map(str, FLOW_WIDTHS))
            raise ValueError(f"images of {side} x {side} need widths; there are some for {known}")
        widths = FLOW_WIDTHS[side]
    if side % (patch * 2 ** (len(widths) - 1)):
        raise ValueError(f"{side} pixels cannot be cut into patches of {patch} and halved {len(widths) - 1} times")
    image = keras.Input(image_shape, name="image")
    time = keras.Input((), name="time")
    asked, label = networks.label_input(num_classes + 1, several=several)
    embedded = _embedding(time, label, num_classes=num_classes, width=4 * widths[0])

    def block(x: Any, width: int, name: str) -> Any:
        return _block(x, embedded, width=width, dropout=dropout, name=name)

    x = layers.Conv2D(widths[0], 3 * patch, patch, "same", name="patches")(image)  # H -> G
    skipped = []
    for grid, width in enumerate(widths, 1):
        if grid > 1:
            x = layers.Conv2D(width, 3, 2, "same", name=f"halved{grid}")(x)
        for number in range(1, blocks + 1):
            x = block(x, width, f"down{grid}_{number}")
            skipped.append(x)
    x = block(x, widths[-1], "middle_1")
    x = _attention(x, name="attention")
    x = block(x, widths[-1], "middle_2")
    for grid, width in reversed(list(enumerate(widths, 1))):
        for number in range(1, blocks + 1):
            joined = layers.Concatenate(name=f"up{grid}_{number}_joined")([x, skipped.pop()])
            x = block(joined, width, f"up{grid}_{number}")
        if grid > 1:
            x = layers.UpSampling2D(2, name=f"doubled{grid}")(x)
            x = layers.Conv2D(widths[grid - 2], 3, 1, "same", name=f"doubled{grid}_conv")(x)
    x = _normed(x, "last")
    last = layers.Conv2DTranspose(channels, 3 * patch, patch, "same", kernel_initializer="zeros", name="velocity")
    return keras.Model([image, time, asked], last(x), name="flow_sampler")


def _embedding(time: Any, label: Any, *, num_classes: int, width: int) -> Any:
    """(B,) times and (B,) classes in 0..K, or (B, K + 1) findings -> (B, E): sines and cosines of 1000 t through two
    layers, plus a class's vector, or the sum of the findings'."""
    rates = 1000 * 10_000 ** -(np.arange(FREQUENCIES, dtype=np.float32) / FREQUENCIES)
    # not a layer's product: in bfloat16 that would round 1000 t
    angles = ops.multiply(layers.Reshape((1,), name="time_column")(time), rates)
    x = layers.Concatenate(name="time_waves")([ops.sin(angles), ops.cos(angles)])
    x = layers.Dense(width, activation="silu", name="time_hidden")(x)
    x = layers.Dense(width, name="time_embedding")(x)
    start = keras.initializers.RandomNormal(stddev=1.0)
    if len(label.shape) == 2:
        of_class = layers.Dense(width, use_bias=False, kernel_initializer=start, name="classes")
    else:
        of_class = layers.Embedding(num_classes + 1, width, start, name="classes")
    return layers.Activation("silu", name="embedding")(layers.Add(name="time_and_class")([x, of_class(label)]))


def _normed(x: Any, name: str) -> Any:
    return layers.Activation("silu", name=f"{name}_silu")(_norm(name)(x))


def _norm(name: str) -> layers.GroupNormalization:
    return layers.GroupNormalization(GROUPS, epsilon=1e-5, name=f"{name}_norm")


def _block(x: Any, embedded: Any, *, width: int, dropout: float, name: str) -> Any:
    """(B, G, G, .) and (B, E) -> (B, G, G, width): two convolutions beside a shortcut; the embedding scales and shifts
    what is between them."""
    h = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv1")(_normed(x, f"{name}_1"))
    h = _norm(f"{name}_2")(h)
    for what, layer, start in (("scale", layers.Multiply, "ones"), ("shift", layers.Add, "zeros")):
        by = layers.Dense(width, bias_initializer=start, name=f"{name}_{what}")(embedded)
        by = layers.Reshape((1, 1, width), name=f"{name}_{what}_map")(by)
        h = layer(name=f"{name}_{what}d" if what == "scale" else f"{name}_shifted")([h, by])
    h = layers.Activation("silu", name=f"{name}_2_silu")(h)
    if dropout:
        h = layers.Dropout(dropout, name=f"{name}_dropout")(h)
    h = layers.Conv2D(width, 3, padding="same", name=f"{name}_conv2")(h)
    if x.shape[-1] != width:
        x = layers.Conv2D(width, 1, name=f"{name}_shortcut")(x)
    return layers.Add(name=f"{name}_sum")([h, x])


def _attention(x: Any, *, name: str) -> Any:
    """(B, G, G, C) -> the same and what each place sees of all."""
    width, normed = x.shape[-1], _norm(name)(x)
    heads = max(1, width // HEAD)
    seen = layers.MultiHeadAttention(heads, width // heads, attention_axes=(1, 2), name=name)(normed, normed)
    return layers.Add(name=f"{name}_sum")([x, seen])


# --- training --------------------------------------------------------------------------------------


def fit(
    data: TrainingData,
    recipe: Recipe,
    *,
    seed: int,
    on_epoch: OnEpoch = silent,
    images: int,
    patch: int,
    widths: Sequence[int] | None,
    blocks: int,
    dropout: float,
    warm_up: float,
    time: str,
    label_drop: float,
    average_half_life: float,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train on square images; settings as in the study.

    `images` pass through the network, in whole batches; an epoch is no pass over the training images but one of
    `recipe.epochs` equal parts of all steps. With a `checkpoint`, training resumes after the epoch that it holds.

    Losses, means over images and pixels: `loss` (what is minimized) and `val_loss`, of the averaged weights, which are
    those that are kept; every epoch takes the same noise and the same times for it.
    """
    keras.utils.set_random_seed(subseed(seed, "weights"))

    def built() -> keras.Model:
        return build(
            image_shape=data.images.shape[1:],
            num_classes=data.num_classes,
            patch=patch,
            widths=widths,
            blocks=blocks,
            dropout=dropout,
            several=labels_of.several(data.labels),
        )

    model, averaged = built(), built()
    assign_weights(averaged, copy_weights(model))
    device = device_of(model)
    order_rng, noise_rng = numpy_rng(seed, "order"), torch_rng(seed, "noise", device)
    velocity, averaged_velocity = fuse(model, noise_rng), fuse(averaged)
    descent = optimizer(parameters(model), **recipe.optimizer)
    passes = Passes(labels_of.sorts(data.labels), recipe.sampling, order_rng)
    pixels, labels = as_tensors(data.images, asked_for(data.labels), device)
    chosen = numpy_rng(seed, "validation images").permutation(len(data.validation_labels))[:VALIDATED]
    held_out = as_tensors(data.validation_images[chosen], asked_for(data.validation_labels[chosen]), device)
    steps = images // recipe.batch_size
    ends = [number * steps // recipe.epochs for number in range(recipe.epochs + 1)]  # steps that are done by each epoch

    def step(index: Tensor) -> Tensor:
        known = with_dropped(labels[index], label_drop, data.num_classes, noise_rng)
        loss = error(
            lambda *inputs: velocity(*inputs, training=True), center(to_unit(pixels[index])), known, time, noise_rng
        ).mean()
        descent.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters(model), CLIP)
        descent.step()
        return loss.detach()

    train_on = recorded(step, size=recipe.batch_size, device=device, rngs=[noise_rng])

    def train_epoch(epoch: int) -> dict[str, float]:
        first, last = ends[epoch - 1], ends[epoch]
        total = torch.zeros((), device=device)
        order = passes.take((last - first) * recipe.batch_size)
        decayed = recipe.optimizer["learning_rate"] * recipe.learning_rate_decay ** (epoch - 1)
        for number, index in enumerate(batches(order, recipe.batch_size, device=device), first + 1):
            set_learning_rate(descent, decayed * min(1.0, number / max(1.0, warm_up * steps)))
            total += train_on(index)
            with torch.no_grad():
                share = 1 - average_decay(number * recipe.batch_size, recipe.batch_size, average_half_life)
                torch._foreach_lerp_(parameters(averaged), parameters(model), share)
        return {"loss": float(total) / (last - first)}

    def validate() -> dict[str, float]:
        rng = torch_rng(seed, "validation", device)  # every epoch the same draws, so that only the weights differ
        total = torch.zeros((), device=device)
        with torch.no_grad():
            for some, known in zip(*(part.split(recipe.batch_size) for part in held_out), strict=True):
                found = error(
                    lambda *inputs: averaged_velocity(*inputs, training=False), center(to_unit(some)), known, time, rng
                )
                total += found.sum()
        return {"val_loss": float(total) / len(chosen)}

    outcome = train_generator(
        averaged,
        recipe,
        train_epoch=train_epoch,
        validate=validate,
        state=TrainingState([averaged, model], [descent], [order_rng, noise_rng], others=passes.state),
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    return Trained(**vars(outcome), sampler=averaged, networks={"u-net": averaged})


def error(velocity: Velocity, images: Tensor, labels: Tensor, time: str, rng: torch.Generator) -> Tensor:
    """Mean squared error (B,) of the velocity at a random time on the straight way from noise to each image."""
    noise = torch.randn(images.shape, generator=rng, device=images.device)
    when = times(len(images), time, rng)
    way = when[:, None, None, None]
    found = velocity(torch.lerp(noise, images, way), when, labels)
    return (found - (images - noise)).square().mean((1, 2, 3))


def times(count: int, how: str, rng: torch.Generator) -> Tensor:
    """(count,) times from 0 to 1: `uniform`, or `skewed` to the end, where images are all but made.

    Skewed are those at which the ratio of noise to image is log-normal, as in Karras et al. 2022.
    """
    if how == "uniform":
        return torch.rand(count, generator=rng, device=rng.device)
    ratio = torch.exp(-1.2 + 1.2 * torch.randn(count, generator=rng, device=rng.device))
    return (1 / (1 + ratio)).clamp(EARLIEST, 1.0)


def asked_for(labels: Labels) -> Labels:
    """What the network takes: classes (N,) as they are; findings (N, K) with a last column of 0."""
    return np.pad(labels, ((0, 0), (0, 1))) if labels_of.several(labels) else labels


def nothing_said(labels: Tensor, num_classes: int) -> Tensor:
    """In the shape of `labels`, what stands for any image: the class K; of findings 1 in the last column alone."""
    if labels.ndim == 1:
        return torch.full_like(labels, num_classes)
    unsaid = torch.zeros_like(labels)
    unsaid[:, num_classes] = 1
    return unsaid


def with_dropped(labels: Tensor, probability: float, num_classes: int, rng: torch.Generator) -> Tensor:
    """Classes (B,), of which each image loses its own with this probability: K takes its place. Findings (B, K + 1)
    alike, all at once."""
    dropped = torch.rand(len(labels), generator=rng, device=labels.device) < probability
    return torch.where(dropped if labels.ndim == 1 else dropped[:, None], nothing_said(labels, num_classes), labels)


def average_decay(seen: int, batch_size: int, half_life: float) -> float:
    """What is left of the average after a step that ends with `seen` images; its half-life is a part of those."""
    images = min(LONGEST, half_life * seen)
    return math.pow(0.5, batch_size / images) if images else 0.0


# --- making images ---------------------------------------------------------------------------------


def sample(sampler: keras.Model, labels: Labels, *, seed: int, solver: str, steps: int, guidance: float) -> Images:
    """uint8 images (n, H, W, C) of the classes in `labels` (n,), or of their findings (n, K), each from noise of its
    own: see `follow`."""
    call, device, shape = fuse(sampler), device_of(sampler), sampler.output_shape[1:]
    no_class = labels.shape[1] if labels_of.several(labels) else sampler.get_layer("classes").input_dim - 1
    labels = asked_for(labels)
    made = np.empty((len(labels), *shape), np.uint8)
    for start in range(0, len(labels), CHUNK):
        wanted = torch.from_numpy(labels[start : start + CHUNK].astype(np.int64)).to(device)
        noise = torch.from_numpy(np.stack([noise_of(row, shape, seed) for row in range(start, start + len(wanted))]))
        with torch.no_grad():
            found = follow(
                lambda *inputs: call(*inputs, training=False),
                noise.to(device),
                wanted,
                solver=solver,
                steps=steps,
                guidance=guidance,
                no_class=no_class,
            )
        made[start : start + CHUNK] = to_bytes((found + 1) * 127.5).cpu().numpy()
    return made


def noise_of(number: int, shape: tuple[int, int, int], seed: int) -> NDArray[np.float32]:
    """(H, W, C): where the image of this number begins, whatever else is made."""
    return numpy_rng(seed, f"noise {number}").standard_normal(shape, dtype=np.float32)


def follow(
    velocity: Velocity, noise: Tensor, labels: Tensor, *, solver: str, steps: int, guidance: float, no_class: int
) -> Tensor:
    """Noise (B, H, W, C) -> images around [-1, 1], in `steps` steps of equal length: by Euler's method, or by Heun's,
    which takes the mean of the velocities at both ends of a step.

    With a `guidance` other than 1 the velocity is v(no class) + guidance (v(class) - v(no class)).
    """

    def at(x: Tensor, number: int) -> Tensor:
        when = torch.full((len(x),), number / steps, device=x.device)
        found = velocity(x, when, labels)
        if guidance == 1:
            return found
        without = velocity(x, when, nothing_said(labels, no_class))
        return torch.lerp(without, found, guidance)

    x = noise
    for number in range(steps):
        first = at(x, number)
        if solver == "heun":
            first = (first + at(x + first / steps, number + 1)) / 2
        x = x + first / steps
    return x
