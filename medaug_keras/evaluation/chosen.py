"""Some images of an array, of which no copy is made but of a block at a time.

Shapes: n images of an array (N, H, W, C) uint8, D = H * W * C numbers each.
"""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

BLOCK_BYTES = 2**26
"""Of images, or of floats that are made of them, at once."""

Places = NDArray[np.int64]


def mirror(images: NDArray[Any]) -> NDArray[Any]:
    """(n, H, W, C) -> the same, left and right exchanged."""
    return images[:, :, ::-1]


class Chosen:
    """The images at some places of an array, mirrored or not. Indexed, they are an array (n, H, W, C)."""

    def __init__(self, images: NDArray[Any], places: Places | None = None, *, mirrored: bool = False) -> None:
        self._images, self._mirrored = images, mirrored
        self._places = np.arange(len(images)) if places is None else places
        self.size = math.prod(images.shape[1:])
        """Numbers of an image, D."""
        self.dtype = images.dtype

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, which: slice | Places) -> NDArray[Any]:
        some = self._images[self._places[which]]
        return mirror(some) if self._mirrored else some

    def at(self, places: Places) -> "Chosen":
        """Some of them."""
        return Chosen(self._images, self._places[places], mirrored=self._mirrored)

    def mirror(self) -> "Chosen":
        """The same, left and right exchanged."""
        return Chosen(self._images, self._places, mirrored=not self._mirrored)

    def by_block(self, look: Callable[[NDArray[Any]], NDArray[Any]]) -> NDArray[Any]:
        """What a function makes of them, (n, ...): it is given a block at a time."""
        step = max(1, BLOCK_BYTES // (self.size * self.dtype.itemsize))
        return np.concatenate([look(self[top : top + step]) for top in range(0, max(1, len(self)), step)])


class Pixels:
    """The pixels of chosen images: rows (n, D). Indexed, they are an array."""

    def __init__(self, images: Chosen) -> None:
        self._images = images
        self.shape, self.dtype = (len(images), images.size), images.dtype

    def __len__(self) -> int:
        return len(self._images)

    def __getitem__(self, which: slice | Places) -> NDArray[Any]:
        some = self._images[which]
        return some.reshape(len(some), self._images.size)

    def at(self, places: Places) -> "Pixels":
        """Some rows."""
        return Pixels(self._images.at(places))


Rows = NDArray[Any] | Pixels
"""(n, D)."""


def rows_at(rows: Rows, places: Places) -> Rows:
    """Some rows; of pixels no copy is made."""
    return rows.at(places) if isinstance(rows, Pixels) else rows[places]
