"""Which image is in which split: by fractions, or as a table says. Groups are never parted by fractions or folds.

The same images get the same splits, in whatever order they come.
"""

import csv
import hashlib
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from medaug_keras import labels as labels_of
from medaug_keras.data.dataset import SPLITS, DataError, Dataset
from medaug_keras.data.rows import Rows, did_you_mean, is_missing, read_rows

NAMES = {
    **{split: split for split in SPLITS},
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "dev": "validation",
    "testing": "test",
}
"""Word for a split, in small letters → split."""
_NEAR = 1e-9  # distances that differ by less are equal


@dataclass(frozen=True, kw_only=True)
class Folds:
    """How images are cut into folds (`folds.fold`)."""

    number: int
    validation: float
    """Part of all images that each fold chooses its epoch by."""
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Parts:
    """How images are split: by fractions of them, by folds, by a column of their own table, or by another file."""

    fractions: Mapping[str, float] | None = None
    """Split → its part of all images."""
    seed: int = 0
    folds: Folds | None = None
    """All images stay together, and each fold of each replicate has splits of its own."""
    column: str | None = None
    file: Path | None = None
    whole: bool = False
    """All images stay together: nothing is trained on them."""

    @property
    def uncut(self) -> bool:
        """Whether all images stay together, in the first split."""
        return self.whole or self.folds is not None


def by_fractions(
    ids: Sequence[str], labels: np.ndarray, groups: Sequence[str], *, fractions: Mapping[str, float], seed: int
) -> np.ndarray:
    """Places in SPLITS (N,) of images with `labels` (N,) or (N, K), of which no group is parted; see `divided`."""
    return divided(ids, labels, groups, shares=[fractions[split] for split in SPLITS], seed=str(seed))


def divided(
    ids: Sequence[str],
    labels: np.ndarray,
    groups: Sequence[str],
    *,
    shares: Sequence[float],
    seed: str,
    evenly: bool = False,
) -> np.ndarray:
    """The part (N,), from 0, of images with `labels` (N,) or (N, K), of which none of one group is parted.

    Every class (or finding, and the images without any) is divided as the shares say, as nearly as groups allow: the
    groups, those of most images first and those of one size in an order that the seed gives, each go where the classes'
    numbers then are nearest to the asked ones (by chi-squared). Without `groups` every image is one of its own.
    scikit-learn's StratifiedGroupKFold does the same for parts of one size only.

    `evenly`, for folds: sizes of less than double count as one, so that another seed divides otherwise even where no
    two groups are of one size; and of parts that are as near, the one with the fewest images takes a group.
    """
    names, member = np.unique(np.array(groups or ids, dtype=object).astype(str), return_inverse=True)
    columns = labels_of.columns(labels)
    counts = np.zeros((len(names), columns.shape[1]))
    np.add.at(counts, member, columns)
    counts = counts[:, counts.any(axis=0)]
    sizes = [int(size).bit_length() if evenly else int(size) for size in np.bincount(member)]
    chance = [hashlib.sha256(f"{seed}/{name}".encode("utf-8", "surrogateescape")).digest() for name in names]
    order = sorted(range(len(names)), key=lambda g: (-sizes[g], chance[g]))
    asked = np.array(shares)[:, None] * counts.sum(axis=0)  # (parts, classes)
    asked = np.maximum(asked, counts.sum(axis=0) / (counts > 0).sum(axis=0))  # a rare class: a group for every part
    # Lists, as most groups have one class, and arrays of so few numbers are ten times as slow.
    filled, wanted = np.zeros_like(asked).T.tolist(), asked.T.tolist()  # class → part → images
    totals, room = [0.0] * len(asked), asked.sum(axis=1).tolist()
    held: list[list[tuple[int, float]]] = [[] for _ in names]  # the classes of each group, and how many images
    for group, k in np.argwhere(counts).tolist():
        held[group].append((k, float(counts[group, k])))
    place = [0] * len(names)
    for group in order:
        if len(held[group]) == 1:
            ((k, n),) = held[group]
            far = [n * (2 * (has - a) + n) / a for has, a in zip(filled[k], wanted[k], strict=True)]  # that it grows by
        else:
            there = np.ascontiguousarray(np.transpose(filled))
            far = (counts[group] * (2 * (there - asked) + counts[group]) / asked).sum(axis=1).tolist()
        if evenly:
            near = min(far) + _NEAR
            far = [has / of if d <= near else np.inf for d, has, of in zip(far, totals, room, strict=True)]
        part = place[group] = far.index(min(far))
        for k, n in held[group]:
            filled[k][part] += n
            totals[part] += n
    return np.array(place)[member]


def by_words(rows: Rows, values: Sequence[str], setting: str) -> np.ndarray:
    """Places in SPLITS (N,) of a column's values. Raises DataError."""
    odd: dict[str, list[int]] = {}
    for i, value in enumerate(values):
        if value.casefold() not in NAMES:
            odd.setdefault(value, []).append(i)
    if odd:
        shown = "; ".join(f"{value!r} in {rows.told(which)}" for value, which in list(odd.items())[:5])
        raise DataError(
            f"{rows.name}: `{setting}` holds {shown}{' and other words' if len(odd) > 5 else ''}, but a split is "
            "train, validation (or val) or test."
        )
    return np.array([SPLITS.index(NAMES[value.casefold()]) for value in values], np.int64)


def by_file(path: Path, ids: Sequence[str]) -> np.ndarray:
    """Places in SPLITS (N,) of images, from a table with the columns `image` and `split`. Raises DataError."""
    rows = read_rows(path)
    images = rows.column("image", "split.file")
    places = by_words(rows, rows.column("split", "split.file"), "split")
    twice = repeated(images)
    if twice:
        raise DataError(f"{path.name}: {rows.told(twice)} name an image that another row names too.")
    known = dict(zip(images, places.tolist(), strict=True))
    absent = [name for name in ids if name not in known]
    if absent:
        raise DataError(
            f"{path.name}: {len(absent):,} of {len(ids):,} images of the data set have no row (the first is "
            f"{absent[0]}{did_you_mean(absent[0], images[:2000])}). Its column `image` holds their names as the data "
            "set has them."
        )
    return np.array([known[name] for name in ids], np.int64)


def split_csv(dataset: Dataset) -> bytes:
    """The image, group, split and class (or findings) of every image, as a table that `by_file` reads."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["image", "group", "split", "class"])
    for name in SPLITS:
        split = getattr(dataset, name)
        groups = split.groups or [""] * len(split.ids)
        classes = labels_of.words(split.labels, dataset.classes)
        writer.writerows(zip(split.ids, groups, [name] * len(split.ids), classes, strict=True))
    return file.getvalue().encode("utf-8", "surrogateescape")


def repeated(values: Sequence[str]) -> list[int]:
    """Places of values that stand at an earlier place too."""
    seen: set[str] = set()
    found = []
    for i, value in enumerate(values):
        if value in seen:
            found.append(i)
        seen.add(value)
    return found


def to_drop(path: Path) -> list[str]:
    """The images that a table's column `image` says to leave out, whether they are there or not. Raises DataError."""
    return [image for image in read_rows(path).column("image", "drop") if not is_missing(image)]


def dropped(path: Path, ids: Sequence[str]) -> set[str]:
    """The images that a table's column `image` says to leave out. Raises DataError where one is not there."""
    rows = read_rows(path)
    images = rows.column("image", "drop")
    known = set(ids)
    strangers = [i for i, image in enumerate(images) if image not in known and not is_missing(image)]
    if strangers:
        name = images[strangers[0]]
        raise DataError(
            f"{path.name}: {rows.told(strangers)} {'names an image' if len(strangers) == 1 else 'name images'} that "
            f"the data set has not (the first is {name}{did_you_mean(name, ids[:2000])})."
        )
    return set(images) & known


def placed(parts: Parts, ids: Sequence[str], labels: np.ndarray, groups: Sequence[str]) -> np.ndarray:
    """Places in SPLITS (N,) of images, by fractions or by a file; all in the first where they stay together.

    Raises DataError.
    """
    if parts.uncut:
        return np.zeros(len(ids), np.int64)
    if parts.file is not None:
        return by_file(parts.file, ids)
    if parts.fractions is None:
        raise DataError("A folder has no column that says the split: give fractions, folds or a file.")
    return by_fractions(ids, labels, groups, fractions=parts.fractions, seed=parts.seed)
