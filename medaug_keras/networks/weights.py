"""The Torch tensors behind a Keras model's weights."""

from collections.abc import Sequence

import keras
import torch
from torch import Tensor


def device_of(model: keras.Model) -> torch.device:
    """Where the model's weights live."""
    made = model.weights[0].value if model.weights else keras.ops.zeros(())  # a model may have no weights at all
    device: torch.device = made.device
    return device


def parameters(model: keras.Model) -> list[Tensor]:
    """The Torch parameters behind the model's trainable weights, in Keras's order."""
    return [weight.value for weight in model.trainable_weights]


def copy_weights(model: keras.Model) -> list[Tensor]:
    """Copies of all weights, in Keras's order, on the model's device."""
    return [weight.value.detach().clone() for weight in model.weights]


def assign_weights(model: keras.Model, values: Sequence[Tensor]) -> None:
    """Put values into all weights, in Keras's order; their memory stays where it is."""
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)
