"""A data set in memory: uint8 images and class numbers in three splits, and where they come from."""

import hashlib
import os
import re
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medaug_keras import labels as labels_of
from medaug_keras.counts import plural

SPLITS = ("train", "validation", "test")
MAX_BYTES = 4 * 2**30  # of images in memory: twenty times the largest 28 x 28 MedMNIST set
IMAGE_SIZE = 28  # pixels a side where nothing else is said: MedMNIST's, which the paper uses
SIDES = (8, 512)  # the least and the most that images are resized to
MONTAGE = 200  # images, as in the paper's Figs. 1-8
PER_CLASS = 10  # images of each class in `examples`
MONTAGE_BYTES = 2**25  # of the montage: 200 colour images of 236 x 236
LINES = 20  # of one message; what is beyond is counted
_BLOCK = 2**20  # values that are counted at once

Fit = Literal["crop", "pad", "stretch"]
Filter = Literal["bilinear", "box", "bicubic", "lanczos"]
Origin = Literal["official", "unverified copy", "simulated", "own"]


class DataError(Exception):
    """What is wrong with some data: where, what was found, what was expected, and what to do; one line each.

    Characters of a file's name that a terminal would obey are shown by their numbers.
    """

    def __init__(self, *problems: str) -> None:
        super().__init__(*map(_visible, problems))

    def __str__(self) -> str:
        lines = [str(problem) for problem in self.args[:LINES]]
        more = len(self.args) - len(lines)
        return "\n".join(lines + [f"... and {more:,} more"] * bool(more))


def _visible(text: str) -> str:
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class Problems:
    """Collects what is wrong, so that all of it is said at once."""

    def __init__(self) -> None:
        self.found: list[str] = []

    @contextmanager
    def collected(self) -> Iterator[None]:
        """Goes on after a DataError, and keeps it."""
        try:
            yield
        except DataError as error:
            self.found += error.args

    def check(self) -> None:
        """Raises DataError where something was wrong."""
        if self.found:
            raise DataError(*self.found)


@dataclass(frozen=True, eq=False)
class Split:
    """Images (N, H, W, C) uint8 and their labels: (N,) int64 in 0..K-1, or (N, K) int64 of 0 and 1, several findings.

    N ids and groups, or none where not known.
    """

    images: np.ndarray
    labels: np.ndarray
    ids: tuple[str, ...] = ()
    """Names of the images, unique in the data set: for people, and to tell which image a prediction is of."""
    groups: tuple[str, ...] = ()
    """Names of what images belong to, such as patients; images of one group are no independent cases."""


@dataclass(frozen=True)
class Sizes:
    """What can be known of a data set without reading its images."""

    image_shape: tuple[int, int, int]
    classes: tuple[str, ...]
    train: int
    validation: int
    test: int
    several: bool = False
    """Whether images have several findings, which `classes` then names."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """A data set whose arrays have been checked. Class k, or finding k, is called `classes[k]`."""

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
    left_out: Mapping[str, int] = field(default_factory=dict)
    """What of the source is not among the images, in words → how many."""
    enlarged: int = 0
    """How many images were smaller than the size that they were resized to."""
    names_md5: str = ""
    """Of ids and groups, and of images to leave out, that come from files beside the images; empty where `md5` covers
    them, or there are none."""

    @property
    def fingerprint(self) -> str:
        """MD5 of all that was read."""
        return both_md5(self.md5, self.names_md5) if self.names_md5 else self.md5

    @property
    def whole(self) -> bool:
        """Whether all images are in `train`, to be cut into folds (`data.fold`)."""
        return not len(self.test.labels)

    @property
    def label_kind(self) -> labels_of.Kind:
        """MedMNIST's word for the kind of labels."""
        return labels_of.kind(self.train.labels, len(self.classes))

    @property
    def several(self) -> bool:
        """Whether images have several findings, which `classes` then names."""
        return labels_of.several(self.train.labels)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    def names(self, split: str) -> tuple[str, ...]:
        """What the images of a split are called: their ids, or SPLIT/PLACE."""
        some = getattr(self, split)
        return some.ids or tuple(f"{split}/{place}" for place in range(len(some.labels)))

    def without(self, gone: Mapping[str, Collection[int]]) -> "Dataset":
        """The data set without the images at these places of each split; those that stay keep their names."""
        splits: dict[str, Any] = {}
        for split in SPLITS:
            some, left = getattr(self, split), set(gone.get(split, ()))
            keep = [place for place in range(len(some.labels)) if place not in left]
            names = self.names(split)
            splits[split] = Split(
                some.images[keep],
                some.labels[keep],
                tuple(names[place] for place in keep),
                tuple(some.groups[place] for place in keep) if some.groups else (),
            )
        return replace(self, **splits)

    def per_class(self, split: str) -> list[int]:
        """Images of each class, or with each finding, in "train", "validation" or "test"."""
        return labels_of.counts(getattr(self, split).labels, len(self.classes))

    def summary(self) -> dict[str, Any]:
        """The data set as plain JSON values, without its images, their ids and groups.

        With several findings, `together` has how many images of all splits have both of two, and `none` of each split
        how many have none.
        """
        more: dict[str, Any] = {"left_out": dict(self.left_out)} if self.left_out else {}
        if self.several:
            more["together"] = labels_of.together(np.concatenate([getattr(self, split).labels for split in SPLITS]))
        if self.names_md5:
            more["fingerprint"] = self.fingerprint
        return {
            "name": self.name,
            "title": self.title,
            "source": self.source,
            "md5": self.md5,
            "official_md5": self.official_md5,
            "image_shape": list(self.image_shape),
            "classes": list(self.classes),
            "task": self.label_kind,
            "splits": {
                split: {
                    "images": len(getattr(self, split).labels),
                    "per_class": self.per_class(split),
                    **self._without_finding(split),
                }
                for split in SPLITS
            },
            "licence": self.licence,
            "homepage": self.homepage,
            "citation": self.citation,
            "description": self.description,
            **more,
        }

    def _without_finding(self, split: str) -> dict[str, int]:
        return {"none": int(np.sum(~getattr(self, split).labels.any(axis=1)))} if self.several else {}


def both_md5(one: str, other: str) -> str:
    """MD5 of two."""
    return hashlib.md5(f"{one}\n{other}".encode(), usedforsecurity=False).hexdigest()


def lookable(path: Path) -> None:
    """Refuse a path that is not there because this process's locale writes its letters otherwise than the disk."""
    encoding = sys.getfilesystemencoding()
    if encoding != "utf-8" and not str(path).isascii() and not os.path.lexists(path):
        raise DataError(
            f"{path} is not there, as far as a process can tell that takes names for {encoding}. Set PYTHONUTF8=1, or "
            "a UTF-8 locale such as LC_ALL=C.UTF-8, and run again."
        )


def examples(dataset: Dataset, *, seed: int) -> dict[str, np.ndarray]:
    """Training images to show, drawn without replacement.

    montage (M, H, W, C) uint8 with their montage_labels, M = 200, or all there are, or fewer large ones; by_class
    (K, 10, H, W, C) uint8, whose row k holds by_class_count[k] images of class k, and then zeros; of several findings,
    (K + 1, ...): of images with finding k, and last without a finding.
    """
    rng = np.random.default_rng(seed)
    images, labels = dataset.train.images, dataset.train.labels
    most = min(MONTAGE, max(PER_CLASS, MONTAGE_BYTES // images[0].nbytes))
    chosen = rng.permutation(len(labels))[:most]
    rows = len(labels_of.row_names(dataset.classes, findings=dataset.several))
    by_class = np.zeros((rows, PER_CLASS, *dataset.image_shape), np.uint8)
    count = np.zeros(rows, np.int64)
    for k in range(rows):
        members = rng.permutation(np.flatnonzero(labels_of.members(labels, k)))[:PER_CLASS]
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


def check_image_size(shape: Sequence[int], *, size: int | None, fit: Fit | None, where: str) -> None:
    """Refuse images (H, W, ...) that are not to be resized and are not 28 x 28, and those that are not square and are
    not to become so."""
    height, width = shape[:2]
    if size is None and (height, width) != (IMAGE_SIZE, IMAGE_SIZE):
        example = min(max(min(height, width), SIDES[0]), SIDES[1])
        raise DataError(
            f"{where}: the images are {height} x {width}. Say with `size` to how many pixels a side they are to be "
            f"resized: `size: {IMAGE_SIZE}`, or any size from {SIDES[0]} to {SIDES[1]}"
            + (f", such as the {example} that they have." if height == width == example else ".")
        )
    if height != width and fit is None:
        raise DataError(
            f"{where}: the images are {height} x {width}, which is not square. Say with `fit` how they become square: "
            "`fit: crop` keeps the middle, `fit: pad` adds black borders, `fit: stretch` squeezes them."
        )


def class_numbers(values: np.ndarray, *, classes: int | None, where: str) -> np.ndarray:
    """Labels (N,) of any numeric type → int64 in 0..classes-1 (any whole number from 0 if None)."""
    if values.dtype.kind == "f":
        values = values.astype(np.float64)
        odd = ~(np.isfinite(values) & (values == np.floor(values)))
        if odd.any():
            raise DataError(
                f"{where}: {odd.sum():,} of {len(values):,} labels are not whole numbers (the first is "
                f"{values[odd][0]}). Labels are the class numbers 0, 1, 2, ..."
            )
    last = 2**31 if classes is None else classes - 1
    wrong = (values < 0) | (values > last)
    if wrong.any():
        expected = f"0..{last}" if classes is not None else "0, 1, 2, ..."
        raise DataError(
            f"{where}: {wrong.sum():,} of {len(values):,} labels are outside {expected} (the first is "
            f"{_whole(values[wrong][0])}; {_found(values)}). {_renumbered(values, classes)}"
        )
    return values.astype(np.int64)


def findings(values: np.ndarray, *, where: str) -> np.ndarray:
    """Labels (N, K) of any numeric type that say which findings each image has → int64 of 0 and 1."""
    wrong = (values != 0) & (values != 1)
    if wrong.any():
        of, k = (int(part[0]) for part in np.nonzero(wrong))
        raise DataError(
            f"{where}: {wrong.sum():,} of {values.size:,} labels are neither 0 nor 1 (the first is "
            f"{_whole(values[of, k])}, of image {of} and column {k}). Labels with a column for each finding are 1 "
            "where the image has it, else 0: decide what an uncertain one is to be."
        )
    return values.astype(np.int64)


def check_not_one_hot(labels: Sequence[np.ndarray], *, where: str, mend: str) -> None:
    """Refuse labels (N, K) of 0 and 1, of all splits, of which each image has exactly one: they are classes."""
    if all((some.sum(axis=1) == 1).all() for some in labels):
        raise DataError(
            f"{where}: every image has exactly one of the {labels[0].shape[1]} columns, as classes do that are written "
            f"one-hot. {mend} A column for each is for images that may have several findings, or none."
        )


def numbered_classes(train_labels: np.ndarray, *, where: str) -> tuple[str, ...]:
    """Names "0", "1", ... for training labels that no one has named: (N,) of which each must occur, or (N, K)."""
    if labels_of.several(train_labels):
        return tuple(map(str, range(train_labels.shape[1])))
    labels = class_numbers(train_labels, classes=None, where=where)
    values = np.unique(labels)
    if values[-1] >= len(values):
        raise DataError(
            f"{where}: {_found(labels)}, but the labels of {len(values)} classes are 0 to {len(values) - 1}. "
            f"{_renumbered(labels, None)}"
        )
    return tuple(map(str, values))


def _found(labels: np.ndarray) -> str:
    """`found are 1 (20 images), 2 (1 image)`, the first values of many."""
    values, counts = np.unique(labels, return_counts=True)
    shown = ", ".join(f"{_whole(v)} ({plural(n, 'image')})" for v, n in zip(values[:6], counts[:6], strict=True))
    return f"found are {shown}" + (f" and {len(values) - 6:,} other values" if len(values) > 6 else "")


def _renumbered(labels: np.ndarray, classes: int | None) -> str:
    """What makes class numbers of these labels."""
    values = [_whole(v) for v in np.unique(labels)]
    if values == [-1, 1]:
        return "Replace -1 by 0."
    if values == [0, 255]:
        return "Divide them by 255."
    if values[0] == 1 and (values[-1] == classes if classes else values[-1] == len(values)):
        return "The labels begin at 1: subtract 1."
    if len(values) == 2 and values[0] != 0:
        return f"Write 0 in place of {values[0]} and 1 in place of {values[1]}."
    if classes is None and values[0] >= 0:
        return "Number the classes 0, 1, 2, ... without gaps, alike in all splits."
    return "Classes are numbered from 0" + (f", and there are {classes}." if classes else ", without gaps.")


def _whole(value: Any) -> int | float:
    number = float(value)
    return int(value) if number.is_integer() else number


def check_names(names: Sequence[str], *, where: str, what: str = "class") -> None:
    """Refuse fewer than two classes (or what they are), and names that cannot be used."""
    for name in names:
        if not name.strip():
            raise DataError(f"{where}: a {what} has an empty name; give every {what} one.")
        if re.search("[\ud800-\udfff]", name):
            raw = name.encode("utf-8", "surrogateescape" if re.search("[\udc80-\udcff]", name) else "surrogatepass")
            raise DataError(f"{where}: the {what} name {raw!r} is not UTF-8; rename it.")
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise DataError(
            f"{where}: two {'classes' if what == 'class' else f'{what}s'} have the same name: {', '.join(twice)}."
        )
    if len(names) < 2:
        raise DataError(
            f"{where}: there is one class only ({', '.join(names) or 'none'}); a classifier needs at least two."
        )


def check_classes(train_labels: np.ndarray, names: Sequence[str], *, where: str) -> None:
    """Refuse names that cannot be used, and classes without a training image; of several findings (N, K), those that
    no training image has, or every one."""
    if labels_of.several(train_labels):
        _check_findings(train_labels, names, where=where)
        return
    check_names(names, where=where)
    counts = np.bincount(train_labels, minlength=len(names))
    absent = [f"{k} ({name})" for k, name in enumerate(names) if counts[k] == 0]
    if absent:
        raise DataError(
            f"{where}: no training image of class {', '.join(absent[:5])}"
            f"{' and others' if len(absent) > 5 else ''}. A class that is never shown cannot be "
            "learnt: add images of it to the training split, or leave the class out everywhere."
        )


def _check_findings(train_labels: np.ndarray, names: Sequence[str], *, where: str) -> None:
    check_names(names, where=where, what="finding")
    for always, there in ((False, "no training image has"), (True, "every training image has")):
        odd = [name for name, all_ in zip(names, (train_labels == int(always)).all(axis=0), strict=True) if all_]
        if odd:
            raise DataError(
                f"{where}: {there} the finding {', '.join(odd[:5])}{' and others' if len(odd) > 5 else ''}. What "
                "never differs cannot be learnt: split the images otherwise, or leave the finding out everywhere."
            )
