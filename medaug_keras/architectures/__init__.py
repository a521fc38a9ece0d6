"""The networks that a study can name as its classifier.

A kind is one entry of `ARCHITECTURES`, which imports neither Keras nor Torch: its module, whose `build` makes the
network, is imported when it is needed.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from medaug_keras.architectures import arithmetic


@dataclass(frozen=True)
class Architecture:
    """What the program knows of a kind of classifier before it builds one."""

    module: str
    """Where its function is."""
    function: str = "build"
    least_size: int = 1
    """Pixels a side below which nothing is left of an image between the layers, so that no network can be built."""
    least_sizes: Mapping[str, int] = field(default_factory=dict)
    """Of those of its networks that need more, by their name."""
    multiply_adds: Callable[[int, Mapping[str, Any]], float] = lambda side, settings: float(side**2)
    """Pixels a side that the network sees, and the kind's settings -> multiplications of one image, roughly, by which
    `plan` expects how long a larger image takes. By default in proportion to the pixels."""
    dense_weights: Callable[[int], int] | None = None
    """Pixels a side -> weights of the first dense layer. None where it is as large for images of every size."""

    def least(self, name: str | None) -> int:
        """The least size of the kind's network of this name, where it has several."""
        return self.least_sizes.get(name or "", self.least_size)

    @property
    def build(self) -> Callable[..., Any]:
        """(image, *, num_outputs, settings of the kind) -> the Keras tensor that layers make of the tensor `image`: so
        many outputs, of a last layer `logits`."""
        function: Callable[..., Any] = getattr(import_module(self.module), self.function)
        return function


def _left_by_cnn(size: int) -> int:
    """Weights of the first dense layer, which takes all that convolutions and pooling leave of an image."""
    return (((size - 4) // 2 - 4) // 2) ** 2 * 64 * 128


ARCHITECTURES: dict[str, Architecture] = {
    "cnn": Architecture(
        "medaug_keras.architectures.cnn", least_size=16, multiply_adds=arithmetic.cnn, dense_weights=_left_by_cnn
    ),
    "resnet18": Architecture(
        "medaug_keras.architectures.resnet", "resnet18", multiply_adds=arithmetic.resnet((2, 2, 2, 2), bottleneck=False)
    ),
    "resnet50": Architecture(
        "medaug_keras.architectures.resnet", "resnet50", multiply_adds=arithmetic.resnet((3, 4, 6, 3), bottleneck=True)
    ),
    "applications": Architecture(
        "medaug_keras.architectures.applications",
        least_size=32,
        least_sizes={"InceptionResNetV2": 75, "InceptionV3": 75, "Xception": 71},  # as Keras has it
    ),
    "python": Architecture("medaug_keras.architectures.python"),
}


def networks_of_keras() -> list[str]:
    """Names of the networks that `keras.applications` has on Torch, read from Keras's files without importing it."""
    found = find_spec("keras")
    folder = Path(found.origin).parent if found and found.origin else Path()
    text = (folder / "applications" / "__init__.py").read_text("utf-8")
    return [name for name in re.findall(r"\b([A-Z]\w+) as \1\b", text) if name != "NASNetMobile"]  # refuses Torch


__all__ = ["ARCHITECTURES", "Architecture", "networks_of_keras"]
