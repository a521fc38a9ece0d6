"""How many training images each class has, told without reading an image, and whether a class is rare."""

from collections.abc import Collection, Sequence
from pathlib import Path

import numpy as np

from medaug_keras.data import npz
from medaug_keras.data.folders import AS_THEY_ARE, Division, folder_labels

RARE = 0.2
"""Share of the training images below which a class is rare."""


def npz_class_counts(path: Path, left_out: Collection[int] = ()) -> list[int]:
    """Training images of each class number of an .npz file, from its labels alone; empty of several findings. Raises
    DataError.

    Places that are left out are not counted.
    """
    with npz.opened(path) as file:
        npz.read_headers(file, where=path.name, max_bytes=2**63, windowed=None)
        labels = npz.read_train_labels(file, where=path.name)
    if labels.ndim > 1:  # several findings, which are no parts of a whole
        return []
    return _counts(np.delete(labels, [place for place in left_out if place < len(labels)]))


def folder_class_counts(path: Path, division: Division = AS_THEY_ARE) -> list[int]:
    """Training images of each class of a folder, from the names of its files. Raises DataError."""
    return _counts(folder_labels(path, division))


def _counts(labels: np.ndarray) -> list[int]:
    return [int(n) for n in np.unique(labels, return_counts=True)[1]]  # labels may be wrong still


def rarest_share(counts: Sequence[int], images: int | None = None) -> float | None:
    """Share of the rarest class, where it is rare; None elsewhere. Of several findings, `images` is how many have them.

    Rare is a class below a fifth of the images that has fewer than half as many as the largest class: many classes of
    one size have small shares too, and none of them can be left out at a small price.
    """
    share = min(counts) / (images or sum(counts))
    return share if share < RARE and 2 * min(counts) < max(counts) else None
