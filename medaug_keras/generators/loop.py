"""What the three generators have in common: Adam, and what comes out."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import keras
import numpy as np
import torch

from medaug_keras.networks import device_of, fuse, parameters
from medaug_keras.training import (
    Checkpoint,
    Ongoing,
    Outcome,
    Report,
    batches,
    epoch_order,
    generator,
    recorded,
    subseed,
    train,
)

Losses = tuple[torch.Tensor, dict[str, torch.Tensor]]  # what is minimised, and what is shown (means over the images)


@dataclass(frozen=True)
class Trained:
    """A trained generator.

    Attributes:
        sampler: the part that makes images, of stock Keras layers only.
        history: each loss, one value an epoch.
        best_epoch: from 1; lowest validation loss, or the last epoch where there is no validation loss.
        losses: each loss at the epoch whose weights were kept.
        networks: the networks that the paper prints, and `whole`: for tables of layers and counts.
    """

    sampler: keras.Model
    history: dict[str, list[float]]
    best_epoch: int
    losses: dict[str, float]
    networks: dict[str, keras.Model]


def adam(
    weights: list[torch.Tensor], *, kind: str, learning_rate: float, beta_1: float, beta_2: float, epsilon: float
) -> torch.optim.Optimizer:
    """Adam as one fused kernel: 3.5 ms a step for the 3.6 million weights of a VAE on one core, 9 as separate ones."""
    if kind != "adam":
        raise ValueError(f"optimizer kind is {kind!r}; expected 'adam'")
    on_gpu = weights[0].is_cuda  # there the number of steps is counted on the device, as a recorded step needs it
    return torch.optim.Adam(weights, learning_rate, (beta_1, beta_2), epsilon, fused=True, capturable=on_gpu)


def training_batches(
    labels: np.ndarray, *, batch_size: int, sampling: str, rng: np.random.Generator, device: torch.device
) -> Iterator[torch.Tensor]:
    """Indices of one epoch's batches on the device; a last batch of one image joins the one before.

    Raises ValueError for fewer than two images: batch norm of a 1 x 1 map needs two.
    """
    if len(labels) < 2:
        raise ValueError(f"a generator needs at least 2 training images, found {len(labels)}")
    order = epoch_order(labels, sampling, rng)
    sizes = [len(batch) for batch in batches(order, batch_size, merge_single=True)]
    yield from torch.from_numpy(order).to(device).split(sizes)


# --- the two VAEs ----------------------------------------------------------------------------------


class SquaredError(NamedTuple):
    """Squared error of a batch: as it is minimised, and an image."""

    to_minimise: torch.Tensor
    per_image: torch.Tensor


def squared_error(images: torch.Tensor, rebuilt: torch.Tensor, reconstruction: str) -> SquaredError:
    """Of two batches (B, H, W, C). `reconstruction`: "sum" over all pixels of all images, or their "mean"."""
    total = (images - rebuilt).square().sum()
    return SquaredError(total if reconstruction == "sum" else total / images.numel(), total / len(images))


def gaussian_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """(B, Z) each -> (B,): nats between N(mean, exp(log_variance)) and N(0, 1), summed over Z."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def train_vae(
    model: keras.Model,
    losses: Callable[[torch.Tensor, torch.Tensor, torch.Generator, bool], Losses],
    images: np.ndarray,
    labels: np.ndarray,
    validation_images: np.ndarray,
    validation_labels: np.ndarray,
    *,
    seed: int,
    report: Report,
    epochs: int,
    batch_size: int,
    sampling: str,
    patience: int | None,
    keep: str,
    optimizer: Mapping[str, Any],
    learning_rate_decay: float,
    reconstruction: str,
    checkpoint: Checkpoint | None,
    counters: Sequence[torch.Tensor] = (),
) -> Outcome:
    """Train a VAE with `losses(images in [-1, 1], labels, generator of the noise, training)`, as `train` does.

    `counters` are those that `losses` moves.
    """
    device = device_of(model)
    descent = adam(parameters(model), **optimizer)
    order = np.random.default_rng(subseed(seed, "order"))
    chance = generator(seed, "noise", device)
    held_images, held_labels = on_device(validation_images, validation_labels, device)
    real_images, real_labels = on_device(images, labels, device)

    def shown(loss: torch.Tensor, parts: dict[str, torch.Tensor], size: int) -> torch.Tensor:
        """Sums over the images of the batch, to be added up without asking the device."""
        whole = loss if reconstruction == "sum" else loss * size
        return torch.stack([whole, *(part * size for part in parts.values())]).detach()

    def means(sums: list[torch.Tensor], names: list[str], count: int) -> dict[str, float]:
        return dict(zip(names, (torch.stack(sums).sum(0) / count).tolist(), strict=True))

    names: list[str] = []

    def step(index: torch.Tensor) -> torch.Tensor:
        loss, parts = losses(in_range(real_images[index]), real_labels[index], chance, True)
        descent.zero_grad()
        loss.backward()
        descent.step()
        names[:] = ["loss", *parts]
        return shown(loss, parts, len(index))

    # a recorded step keeps its learning rate
    decays = learning_rate_decay != 1
    train_on = step if decays else recorded(step, size=batch_size, device=device, draws=[chance])

    def train_epoch() -> dict[str, float]:
        indices = training_batches(labels, batch_size=batch_size, sampling=sampling, rng=order, device=device)
        return means([train_on(index).clone() for index in indices], names, len(labels))

    @torch.no_grad()
    def validate() -> dict[str, float]:
        sums = []
        again = generator(seed, "validation", device)  # every epoch the same noise, so that only the weights differ
        for image, label in zip(held_images.split(batch_size), held_labels.split(batch_size), strict=True):
            loss, parts = losses(in_range(image), label, again, False)
            sums.append(shown(loss, parts, len(image)))
        return means(sums, ["val_loss", *(f"val_{name}" for name in parts)], len(held_images))

    return train(
        model,
        train_epoch=train_epoch,
        validate=validate,
        ongoing=Ongoing([model], [descent], [order, chance], counters),
        epochs=epochs,
        patience=patience,
        keep=keep,
        learning_rate_decay=learning_rate_decay,
        report=report,
        checkpoint=checkpoint,
    )


# --- images in and out -----------------------------------------------------------------------------


def on_device(images: np.ndarray, labels: np.ndarray, device: torch.device) -> tuple[torch.Tensor, torch.Tensor]:
    """uint8 images as they come and labels, as tensors on the device."""
    return torch.from_numpy(images).to(device), torch.from_numpy(labels.astype(np.int64)).to(device)


def in_range(images: torch.Tensor) -> torch.Tensor:
    """uint8 in 0..255 -> float32 in [-1, 1]."""
    return images.float() / 127.5 - 1


def painter(sampler: keras.Model, *, training: bool = False) -> Callable[..., np.ndarray]:
    """The function (the sampler's inputs as arrays) -> its images as uint8, by fused operations.

    With `training`, batch norm uses the batch; the sampler itself does not change.
    """
    call, device = fuse(sampler), device_of(sampler)
    statistics = [(weight.value, weight.value.clone()) for weight in sampler.non_trainable_variables]

    @torch.no_grad()
    def paint(*inputs: np.ndarray) -> np.ndarray:
        images = call(*(torch.from_numpy(given).to(device) for given in inputs), training=training)
        if training:
            for moved, before in statistics:
                moved.copy_(before)
        return images.clamp(0, 255).round().to(torch.uint8).cpu().numpy()

    return paint
