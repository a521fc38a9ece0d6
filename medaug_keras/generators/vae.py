"""What the two VAEs share: parts of their losses, and how they are trained.

Shapes: B batch, H x W x C image, Z latent_dim.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import keras
import torch
from torch import Tensor

from medaug_keras import labels as labels_of
from medaug_keras.generators.fitting import Outcome, Recipe, TrainingData, as_tensors, train_generator
from medaug_keras.networks import device_of, parameters
from medaug_keras.networks.scaling import center, to_unit
from medaug_keras.training import (
    Checkpoint,
    OnEpoch,
    TrainingState,
    batches,
    epoch_order,
    numpy_rng,
    optimizer,
    recorded,
    torch_rng,
)

Losses = tuple[Tensor, dict[str, Tensor]]
"""What is minimized, and what is shown: means over the images."""


class SquaredError(NamedTuple):
    """Squared error of a batch: as it is minimized, and per image."""

    to_minimize: Tensor
    per_image: Tensor


def squared_error(images: Tensor, rebuilt: Tensor, reconstruction: str) -> SquaredError:
    """Of two batches (B, H, W, C). `reconstruction`: "sum" over all pixels of all images, or their "mean"."""
    total = (images - rebuilt).square().sum()
    return SquaredError(total if reconstruction == "sum" else total / images.numel(), total / len(images))


def kl_scale(side: int, reconstruction: str, *, by_area: bool) -> float:
    """By how much the weight of KL is larger for images of so many pixels a side than for 28 x 28, where it was chosen.

    A sum of squared errors grows with the pixels; beside it, KL weighs the same only if it does, too.
    """
    return (side / 28) ** 2 if by_area and reconstruction == "sum" else 1.0


def gaussian_kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """(B, Z) each -> (B,): nats between N(mean, exp(log_variance)) and N(0, 1), summed over Z."""
    return -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)


def train_vae(
    model: keras.Model,
    losses: Callable[[Tensor, Tensor, torch.Generator, bool], Losses],
    data: TrainingData,
    recipe: Recipe,
    *,
    reconstruction: str,
    seed: int,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None,
    counters: Sequence[Tensor] = (),
) -> Outcome:
    """Train a VAE, as `train_generator` does, with `losses(images in [-1, 1], labels, noise_rng, training)`.

    `counters` are those that `losses` moves. In the history, losses are means over the images; `loss` is what is
    minimized, divided by the images of the batch where `reconstruction` is "sum".
    """
    device = device_of(model)
    descent = optimizer(parameters(model), **recipe.optimizer)
    order_rng, noise_rng = numpy_rng(seed, "order"), torch_rng(seed, "noise", device)
    validation_images, validation_labels = as_tensors(data.validation_images, data.validation_labels, device)
    images, labels = as_tensors(data.images, data.labels, device)
    names: list[str] = []

    def summed(loss: Tensor, parts: dict[str, Tensor], size: int) -> Tensor:
        """Sums over the images of the batch, to be added up without asking the device."""
        names[:] = ["loss", *parts]
        total = loss if reconstruction == "sum" else loss * size
        return torch.stack([total, *(part * size for part in parts.values())]).detach()

    def means(sums: list[Tensor], count: int, prefix: str = "") -> dict[str, float]:
        values = (torch.stack(sums).sum(0) / count).tolist()
        return {f"{prefix}{name}": value for name, value in zip(names, values, strict=True)}

    def step(index: Tensor) -> Tensor:
        loss, parts = losses(center(to_unit(images[index])), labels[index], noise_rng, True)
        descent.zero_grad()
        loss.backward()
        descent.step()
        return summed(loss, parts, len(index))

    train_on = recorded(step, size=recipe.batch_size, device=device, rngs=[noise_rng])

    def train_epoch(epoch: int) -> dict[str, float]:
        order = epoch_order(labels_of.sorts(data.labels), recipe.sampling, order_rng)
        indices = batches(order, recipe.batch_size, device=device, merge_single=True)
        return means([train_on(index).clone() for index in indices], len(order))

    def validate() -> dict[str, float]:
        rng = torch_rng(seed, "validation", device)  # every epoch the same noise, so that only the weights differ
        batch = zip(validation_images.split(recipe.batch_size), validation_labels.split(recipe.batch_size), strict=True)
        with torch.no_grad():
            sums = [summed(*losses(center(to_unit(image)), label, rng, False), len(image)) for image, label in batch]
        return means(sums, len(validation_images), "val_")

    return train_generator(
        model,
        recipe,
        train_epoch=train_epoch,
        validate=validate,
        state=TrainingState([model], [descent], [order_rng, noise_rng], counters),
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
