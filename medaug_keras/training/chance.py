"""Chance with a name: seeds, random number generators, and the order of the images.

Shapes: N images.
"""

import hashlib

import keras
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


def subseed(seed: int, purpose: str) -> int:
    """A seed below 2**31 for one named purpose: equal seeds and purposes always give equal draws."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def numpy_rng(seed: int, purpose: str) -> np.random.Generator:
    """A NumPy random number generator for one purpose, so that no other draw can move it."""
    return np.random.default_rng(subseed(seed, purpose))


def torch_rng(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A Torch random number generator for one purpose, so that no other draw can move it."""
    return torch.Generator(device=device).manual_seed(subseed(seed, purpose))


def name_streams(model: keras.Model, seed: int) -> list[Tensor]:
    """Let the model's layers that draw, such as Dropout, do so from streams of their own that `seed` decides.

    Returns the states of these streams, which every draw moves: with them a training run can be resumed.
    """
    states = []
    generators = [made for layer in model._flatten_layers() for made in getattr(layer, "_seed_generators", ())]
    for number, made in enumerate(generators):
        made._initial_seed = subseed(seed, f"layer {number}")  # without one, Keras's dropout draws from Torch's stream
        made.state.assign([made._initial_seed, 0])
        states.append(made.state.value)
    return states


def epoch_order(labels: NDArray[np.integer], sampling: str, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices (N,) of one epoch; `labels` (N,) are classes, or `labels.sorts` of images with several findings.

    `shuffle`: every image once. `weighted`: N draws with replacement, every class equally likely (the
    weights are 1 / size of the image's class, as PyTorch's WeightedRandomSampler is used).

    Raises ValueError for any other `sampling`.
    """
    if sampling == "shuffle":
        return rng.permutation(len(labels))
    if sampling == "weighted":
        sizes = np.bincount(labels)
        weights = 1.0 / sizes[labels]
        return rng.choice(len(labels), len(labels), replace=True, p=weights / weights.sum())
    raise ValueError(f"sampling is {sampling!r}; expected 'shuffle' or 'weighted'")


class Passes:
    """Passes over the images, one after the other, that are cut anywhere: see `epoch_order`."""

    def __init__(self, labels: NDArray[np.integer], sampling: str, rng: np.random.Generator) -> None:
        self.labels, self.sampling, self.rng = labels, sampling, rng
        self.order = torch.zeros(len(labels), dtype=torch.int64)
        self.place = torch.tensor(len(labels))
        self.state = [self.order, self.place]
        """What is left of a pass: with it, and the state of the generator, a training run can be resumed."""

    def take(self, count: int) -> NDArray[np.int64]:
        """The next indices (count,)."""
        parts = []
        while count:
            if self.place == len(self.order):
                self.order.copy_(torch.from_numpy(epoch_order(self.labels, self.sampling, self.rng)))
                self.place.zero_()
            parts.append(self.order[int(self.place) :][:count].clone())
            self.place += len(parts[-1])
            count -= len(parts[-1])
        taken: NDArray[np.int64] = torch.cat(parts).numpy()
        return taken


def batches(
    order: NDArray[np.int64], size: int, *, device: torch.device | str = "cpu", merge_single: bool = False
) -> tuple[Tensor, ...]:
    """An epoch's indices (N,), cut into batches on a device; the last may be smaller.

    `merge_single` joins a last batch of one image to the one before: batch norm needs at least two images.
    """
    sizes = [len(order[start : start + size]) for start in range(0, len(order), size)]
    if merge_single and len(sizes) > 1 and sizes[-1] == 1:
        sizes[-2:] = [sizes[-2] + 1]
    cut: tuple[Tensor, ...] = torch.from_numpy(order).to(device).split(sizes)
    return cut
