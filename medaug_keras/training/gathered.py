"""Images of several arrays, indexed as if they were one, so that nobody makes a copy of all of them.

Shapes: N images, B of them in a batch, H x W x C image.
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Gathered:
    """The images of arrays (N_i, H, W, C), one array after the other: (N, H, W, C), of which no copy is made.

    Raises ValueError where the arrays' images differ in shape or type.
    """

    def __init__(self, *parts: NDArray[np.uint8]) -> None:
        if len({(part.shape[1:], part.dtype) for part in parts}) != 1:
            raise ValueError(f"expected images of one shape and type, found {[(p.shape, str(p.dtype)) for p in parts]}")
        self.parts = parts
        self.dtype = parts[0].dtype
        self.shape = (sum(map(len, parts)), *parts[0].shape[1:])

    def __len__(self) -> int:
        return int(self.shape[0])

    def __getitem__(self, index: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Images (B, H, W, C) at the places (B,)."""
        picked: NDArray[np.uint8] = _picked(self._tensors(), torch.from_numpy(np.asarray(index))).numpy()
        return picked

    def _tensors(self) -> list[Tensor]:
        return [torch.from_numpy(part) for part in self.parts]


Images = NDArray[np.uint8] | Gathered
"""(N, H, W, C) uint8."""


def by_index(images: Images, device: torch.device) -> Callable[[Tensor], Tensor]:
    """A function (indices (B,) on the device) -> images (B, H, W, C) there.

    On a GPU all images lie in its memory, once; elsewhere they stay where they are, and each batch is a copy.
    """
    tensors = images._tensors() if isinstance(images, Gathered) else [torch.from_numpy(images)]
    if len(tensors) > 1 and device.type != "cpu":
        whole = torch.empty(images.shape, dtype=tensors[0].dtype, device=device)
        for place, part in zip(whole.split([len(part) for part in tensors]), tensors, strict=True):
            place.copy_(part)
        tensors = [whole]
    tensors = [tensor.to(device) for tensor in tensors]
    return lambda index: _picked(tensors, index)


def _picked(parts: Sequence[Tensor], index: Tensor) -> Tensor:
    if len(parts) == 1:
        return parts[0][index]
    picked = parts[0].new_empty((len(index), *parts[0].shape[1:]))
    first = 0
    for part in parts:
        here = ((index >= first) & (index < first + len(part))).nonzero()[:, 0]
        picked[here] = part[index[here] - first]
        first += len(part)
    return picked
