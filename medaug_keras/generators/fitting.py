"""What every generator's `fit` takes and returns, and the training run in between.

Shapes: N images, H x W x C image, K classes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import partial
from typing import Any

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from medaug_keras.networks import assign_weights, copy_weights, device_of, fuse
from medaug_keras.networks.scaling import to_bytes
from medaug_keras.training import LAST, Checkpoint, EarlyStopping, OnEpoch, TrainingState, train

Images = NDArray[np.uint8]
Labels = NDArray[np.integer]


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The images that a generator learns from.

    Raises ValueError for fewer than two training images: batch norm of a 1 x 1 map needs two.
    """

    images: Images
    """(N, H, W, C)."""
    labels: Labels
    """(N,), in 0..K-1; of several findings an image, (N, K) of 0 and 1."""
    validation_images: Images
    """(M, H, W, C)."""
    validation_labels: Labels
    """(M,) or (M, K), as those of training."""
    num_classes: int
    """K classes or findings, though some may have no image."""

    def __post_init__(self) -> None:
        if len(self.labels) < 2:
            raise ValueError(f"a generator needs at least 2 training images, found {len(self.labels)}")

    def of_class(self, label: int) -> "TrainingData":
        """The images of one class; their labels stay."""
        chosen, held_out = self.labels == label, self.validation_labels == label
        return TrainingData(
            self.images[chosen],
            self.labels[chosen],
            self.validation_images[held_out],
            self.validation_labels[held_out],
            self.num_classes,
        )


@dataclass(frozen=True)
class Recipe:
    """How a generator is trained: the settings that every kind has."""

    epochs: int
    batch_size: int
    sampling: str
    """See `epoch_order`."""
    patience: int | None
    """Epochs without a lower validation loss after which training stops; None: it never stops early."""
    keep: str
    """Whose weights the trained generator has: "best", the epoch of the lowest validation loss, or "last"."""
    optimizer: Mapping[str, Any]
    """Arguments of `training.optimizer`."""
    learning_rate_decay: float
    """The learning rate is multiplied by it after each epoch."""

    @classmethod
    def split(cls, settings: Mapping[str, Any]) -> tuple["Recipe", dict[str, Any]]:
        """A generator's settings -> the recipe, and those that are its kind's own."""
        shared = {field.name for field in fields(cls)}
        own = {name: value for name, value in settings.items() if name not in shared}
        return cls(**{name: settings[name] for name in shared}), own


@dataclass(frozen=True)
class Outcome:
    """What training a generator measured."""

    history: dict[str, list[float]]
    """Each loss, one value an epoch."""
    best_epoch: int
    """From 1: that of the lowest validation loss, or the last where there is no validation loss."""
    losses: dict[str, float]
    """Each loss at the epoch whose weights were kept."""


@dataclass(frozen=True)
class Trained(Outcome):
    """A trained generator."""

    sampler: keras.Model
    """The part that makes images, of stock Keras layers only."""
    networks: dict[str, keras.Model]
    """The networks that the paper prints, and `whole`: for tables of layers and counts."""


BEST = "best"


def train_generator(
    model: keras.Model,
    recipe: Recipe,
    *,
    train_epoch: Callable[[int], dict[str, float]],
    validate: Callable[[], dict[str, float]] | None,
    state: TrainingState,
    on_epoch: OnEpoch,
    checkpoint: Checkpoint | None,
) -> Outcome:
    """Run the epochs (see `train`) and leave the kept weights in `model`.

    `validate` returns a `val_loss`; its strict minimum is the best epoch. The kept weights are copies: the published
    code kept a reference, which later epochs overwrote. Without `validate` the last epoch is kept.

    Raises DivergedError when a loss is no longer a number.
    """
    judged = validate is not None
    restores = judged and recipe.keep == "best"
    run = train(
        state,
        epochs=recipe.epochs,
        train_epoch=train_epoch,
        validate=validate,
        rules={BEST: lambda logs: [-logs["val_loss"]]} if judged else {},
        keep=[BEST] if restores else [],
        snapshot=partial(copy_weights, model),
        early_stopping=EarlyStopping(BEST, recipe.patience) if judged and recipe.patience is not None else None,
        learning_rate_decay=recipe.learning_rate_decay,
        on_epoch=on_epoch,
        checkpoint=checkpoint,
    )
    best_epoch = run.selected[BEST if judged else LAST]
    if restores:
        assign_weights(model, run.kept[best_epoch])
    for weight in model.weights:
        # back from the memory order of `fuse`, so that the model rounds exactly as its saved file will
        weight.value.data = weight.value.data.contiguous()
    kept = best_epoch if restores else run.selected[LAST]
    return Outcome(run.history, best_epoch, {name: values[kept - 1] for name, values in run.history.items()})


def as_tensors(images: Images, labels: Labels, device: torch.device) -> tuple[Tensor, Tensor]:
    """Images (N, H, W, C), as the bytes they are, and int64 labels (N,) or (N, K), on the device."""
    return torch.from_numpy(images).to(device), torch.from_numpy(labels.astype(np.int64)).to(device)


def image_function(sampler: keras.Model, *, training: bool = False) -> Callable[..., Images]:
    """The function (the sampler's inputs as arrays) -> its images (n, H, W, C), by fused operations.

    With `training`, batch norm uses the statistics of the batch; the sampler itself does not change.
    """
    call, device = fuse(sampler), device_of(sampler)
    statistics = [(weight.value, weight.value.clone()) for weight in sampler.non_trainable_variables]

    def make(*inputs: NDArray[Any]) -> Images:
        with torch.no_grad():
            pixels = call(*(torch.from_numpy(given).to(device) for given in inputs), training=training)
            if training:
                for moved, before in statistics:
                    moved.copy_(before)
            images: Images = to_bytes(pixels).cpu().numpy()
        return images

    return make
