"""The networks that a study can name as its classifier.

A kind is one entry of `ARCHITECTURES`, which imports neither Keras nor Torch: its module, whose `build` makes the
network, is imported when it is needed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any


@dataclass(frozen=True)
class Architecture:
    """What the program knows of a kind of classifier before it builds one."""

    module: str
    """Where `build` is."""
    least_size: int = 1
    """Pixels a side below which nothing is left of an image between the layers, so that no network can be built."""
    dense_weights: Callable[[int], int] | None = None
    """Pixels a side -> weights of the first dense layer. None where it is as large for images of every size."""

    @property
    def build(self) -> Callable[..., Any]:
        """(*, image_shape, num_outputs) -> a Keras model of images (B, H, W, C) in [-1, 1], whose last layer, `logits`,
        has so many outputs."""
        function: Callable[..., Any] = import_module(self.module).build
        return function


def _left_by_cnn(size: int) -> int:
    """Weights of the first dense layer, which takes all that convolutions and pooling leave of an image."""
    return (((size - 4) // 2 - 4) // 2) ** 2 * 64 * 128


ARCHITECTURES: dict[str, Architecture] = {
    "cnn": Architecture("medaug_keras.architectures.cnn", least_size=16, dense_weights=_left_by_cnn),
}

__all__ = ["ARCHITECTURES", "Architecture"]
