"""Chance with a name: seeds, random number generators, and the order of the images.

Shapes: N images.
"""

import hashlib
from collections.abc import Iterator

import numpy as np
import torch


def subseed(seed: int, purpose: str) -> int:
    """A seed below 2**31 for one named purpose: equal seeds and purposes always give equal draws."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def generator(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """A Torch generator of its own for one purpose, so that no other draw can move it."""
    return torch.Generator(device=device).manual_seed(subseed(seed, purpose))


def epoch_order(labels: np.ndarray, sampling: str, rng: np.random.Generator) -> np.ndarray:
    """Indices (N,) of one epoch.

    `shuffle`: every image once. `weighted`: N draws with replacement, every class equally likely (the
    weights are 1 / size of the image's class, as PyTorch's WeightedRandomSampler is used).
    """
    if sampling == "shuffle":
        return rng.permutation(len(labels))
    if sampling == "weighted":
        sizes = np.bincount(labels)
        weights = 1.0 / sizes[labels]
        return rng.choice(len(labels), len(labels), replace=True, p=weights / weights.sum())
    raise ValueError(f"sampling is {sampling!r}; expected 'shuffle' or 'weighted'")


def batches(order: np.ndarray, size: int, *, merge_single: bool = False) -> Iterator[np.ndarray]:
    """Cut an order into batches; the last may be smaller.

    `merge_single` joins a last batch of one image to the one before: batch statistics of one image do not exist.
    """
    stops = list(range(size, len(order), size))
    if merge_single and stops and len(order) - stops[-1] == 1:
        stops.pop()
    yield from np.split(order, stops)
