"""Where images go while they are read: into memory, or to wherever another `Room` puts them.

Whoever reads a data set asks for places once the shapes are known, and puts images there block by block, so that memory
need not hold them all.
"""

import math
import time
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from medaug_keras.data.dataset import MAX_BYTES, DataError

Shape = tuple[int, int, int, int]
"""(N, H, W, C)."""


class Place(Protocol):
    """Where the images of one split go."""

    def put(self, first: int, images: np.ndarray) -> None:
        """Images (n, H, W, C) uint8, the first of which is number `first`; threads may put side by side."""

    def images(self) -> np.ndarray:
        """All of them (N, H, W, C), once all were put."""


class Room(Protocol):
    """Gives places for the images of a data set."""

    @property
    def max_bytes(self) -> int | None:
        """How much may be unpacked into memory; None where it goes elsewhere, which has its own limit."""

    def __call__(self, shapes: Mapping[str, Shape], where: str) -> Mapping[str, Place]:
        """Split → shape of its images, to split → place. Raises DataError, about `where`, if there is no room."""


class Memory:
    """Room in this process's memory."""

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self.max_bytes: int | None = max_bytes
        self._most = max_bytes

    def __call__(self, shapes: Mapping[str, Shape], where: str) -> dict[str, Place]:
        """Split → place."""
        total = total_bytes(shapes)
        if total > self._most:
            images, shape = sum(shape[0] for shape in shapes.values()), next(iter(shapes.values()))[1:]
            raise DataError(
                f"{where}: {images:,} images of {shape} would take {total:,} bytes in memory, more than the limit of "
                f"{self._most:,}. Set a smaller `size`, or leave images out."
            )
        return {split: _Array(shape) for split, shape in shapes.items()}


def total_bytes(shapes: Mapping[str, Shape]) -> int:
    """Of images of these shapes."""
    return sum(map(math.prod, shapes.values()))


class _Array:
    def __init__(self, shape: Shape) -> None:
        self.array = np.empty(shape, np.uint8)

    def put(self, first: int, images: np.ndarray) -> None:
        self.array[first : first + len(images)] = images

    def images(self) -> np.ndarray:
        return self.array


def counting(report: Callable[[str], None] | None, title: str, total: int) -> Callable[[int], None]:
    """A function to be called with how many images of `total` were read, which tells so: once a second at most, and 50
    times at most, as a log keeps every line."""
    last, before = time.monotonic(), 0

    def count(done: int) -> None:
        nonlocal last, before
        if report is not None and time.monotonic() - last >= 1 and done - before >= total / 50:
            last, before = time.monotonic(), done
            report(f"Reading {title}: {done:,} of {total:,} images")

    return count
