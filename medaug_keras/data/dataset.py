"""A data set in memory: uint8 images and class numbers in three splits, and where they come from."""

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

SPLITS = ("train", "validation", "test")
IMAGE_SIZE = 28  # pixels: the network of the paper's Fig. 9 takes 28 x 28 images
MONTAGE = 200  # images, as in the paper's Figs. 1-8
PER_CLASS = 10  # images of each class in `examples`
_BLOCK = 2**20  # values that are counted at once

Task = Literal["binary-class", "multi-class"]
Origin = Literal["official", "unverified copy", "simulated", "own"]


class DataError(Exception):
    """What is wrong with some data: where, what was found, what was expected, and what to do; one line.

    Characters of a file's name that a terminal would obey are shown by their numbers.
    """

    def __init__(self, message: str) -> None:
        super().__init__("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message))


@dataclass(frozen=True, eq=False)
class Split:
    """Images (N, H, W, C) uint8 and their labels (N,) int64 in 0..K-1."""

    images: np.ndarray
    labels: np.ndarray


@dataclass(frozen=True)
class Sizes:
    """What can be known of a data set without reading its images."""

    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A data set whose arrays have been checked. Class k is called `classes[k]`."""

    name: str
    title: str
    classes: tuple[str, ...]
    source: Origin
    md5: str
    """Of the bytes that were read; of the generator's version and settings for simulated images."""
    official_md5: str | None
    licence: str
    homepage: str
    citation: str
    """BibTeX entries, or what the owner of the data says."""
    description: str
    train: Split
    validation: Split
    test: Split

    @property
    def task(self) -> Task:
        """MedMNIST's word for the kind of labels."""
        return "binary-class" if len(self.classes) == 2 else "multi-class"

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def per_class(self, split: str) -> list[int]:
        """Images of each class in "train", "validation" or "test"."""
        labels = getattr(self, split).labels
        return [int(n) for n in np.bincount(labels, minlength=len(self.classes))]

    def summary(self) -> dict[str, Any]:
        """The data set as plain JSON values, without its images."""
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "md5": self.md5,
            "official_md5": self.official_md5,
            "image_shape": list(self.image_shape),
            "classes": list(self.classes),
            "task": self.task,
            "splits": {
                split: {
                    "images": len(getattr(self, split).labels),
                    "per_class": self.per_class(split),
                }
                for split in SPLITS
            },
            "licence": self.licence,
            "homepage": self.homepage,
            "citation": self.citation,
            "description": self.description,
        }


def examples(dataset: Dataset, *, seed: int) -> dict[str, np.ndarray]:
    """Training images to show, drawn without replacement.

    montage (M, H, W, C) uint8 with montage_labels (M,) int64, M = 200 or all there are; by_class
    (K, 10, H, W, C) uint8, whose row k holds by_class_count[k] images of class k and then zeros.
    """
    rng = np.random.default_rng(seed)
    images, labels = dataset.train.images, dataset.train.labels
    chosen = rng.permutation(len(labels))[:MONTAGE]
    by_class = np.zeros((len(dataset.classes), PER_CLASS, *dataset.image_shape), np.uint8)
    count = np.zeros(len(dataset.classes), np.int64)
    for k in range(len(dataset.classes)):
        members = rng.permutation(np.flatnonzero(labels == k))[:PER_CLASS]
        by_class[k, : len(members)] = images[members]
        count[k] = len(members)
    return {
        "montage": images[chosen],
        "montage_labels": labels[chosen],
        "by_class": by_class,
        "by_class_count": count,
    }


def pixel_std(images: np.ndarray) -> float:
    """Standard deviation of all values of uint8 images (N, ...), in 0..127.5.

    From how often each value occurs: `images.std()` makes a float64 copy, eight times as large.
    """
    counts = np.zeros(256, np.int64)
    for block in np.array_split(images, max(1, images.size // _BLOCK)):
        counts += np.bincount(block.reshape(-1), minlength=256)
    values = np.arange(256)
    mean = counts @ values / counts.sum()
    return float(np.sqrt(counts @ (values - mean) ** 2 / counts.sum()))


def check_image_size(shape: Sequence[int], *, size: int | None, where: str) -> None:
    """Refuse images (H, W, ...) that are not 28 x 28, or not square when they are to be resized."""
    height, width = shape[:2]
    if size is None and (height, width) != (IMAGE_SIZE, IMAGE_SIZE):
        raise DataError(
            f"{where}: the images are {height} x {width}, but the network takes "
            f"{IMAGE_SIZE} x {IMAGE_SIZE}. Set `size: {IMAGE_SIZE}` to have them resized."
        )
    if height != width:
        raise DataError(
            f"{where}: the images are {height} x {width}; only square images are resized, because "
            "others would be squeezed. Crop or pad them to squares first."
        )


def class_numbers(values: np.ndarray, *, classes: int | None, where: str) -> np.ndarray:
    """Labels (N,) of any numeric type → int64 in 0..classes-1 (any whole number from 0 if None)."""
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
        odd = ~(np.isfinite(values) & (values == np.floor(values)))
        if odd.any():
            raise DataError(
                f"{where}: {odd.sum()} of {len(values)} labels are not whole numbers (the first is "
                f"{values[odd][0]}). Labels are the class numbers 0, 1, 2, ..."
            )
    last = 2**31 if classes is None else classes - 1
    wrong = (values < 0) | (values > last)
    if wrong.any():
        raise DataError(
            f"{where}: {wrong.sum()} of {len(values)} labels are outside 0..{last} (the first is "
            f"{values[wrong][0]}). Classes are numbered from 0" + (f", and {classes} have names." if classes else ".")
        )
    return values.astype(np.int64)


def check_classes(train_labels: np.ndarray, names: Sequence[str], *, where: str) -> None:
    """Refuse fewer than two classes, unusable names, and classes without a training image."""
    for name in names:
        if not name.strip():
            raise DataError(f"{where}: a class has an empty name; give every class one.")
        if re.search("[\ud800-\udfff]", name):
            raise DataError(f"{where}: the class name {os.fsencode(name)!r} is not UTF-8; rename it.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(f"{where}: two classes have the same name: {', '.join(twice)}.")
    if len(names) < 2:
        raise DataError(
            f"{where}: there is one class only ({', '.join(names) or 'none'}); a classifier needs at least two."
        )
    counts = np.bincount(train_labels, minlength=len(names))
    absent = [f"{k} ({name})" for k, name in enumerate(names) if counts[k] == 0]
    if absent:
        raise DataError(
            f"{where}: no training image of class {', '.join(absent[:5])}"
            f"{' and others' if len(absent) > 5 else ''}. A class that is never shown cannot be "
            "learnt: add images of it to the training split, or leave the class out everywhere."
        )
