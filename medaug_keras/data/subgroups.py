"""Subgroups of images that a table lists: the values of columns such as sex, or bands of numbers such as age."""

import hashlib
import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from medaug_keras.data.dataset import SPLITS, DataError, Problems
from medaug_keras.data.rows import is_missing

MOST = 20
"""Values of a column without bands, at most: beyond, it is taken for names of people or images, or for a number."""
NEARLY_ALL = 0.9
"""Part of the test images in one band from which on other bands are advised."""
FEW_IMAGES = 30
"""Test images (or groups of them) with fewer than which a subgroup is marked as small."""


@dataclass(frozen=True)
class By:
    """A column that parts images into subgroups: by its values, or by bands of its numbers."""

    column: str
    at: tuple[float, ...] | None = None
    """Where one band ends and the next, which has the number itself, begins."""


@dataclass(frozen=True)
class Subgroups:
    """The subgroups of N images, by each of C columns."""

    columns: tuple[str, ...]
    names: tuple[tuple[str, ...], ...]
    """Of each column's subgroups."""
    ids: tuple[str, ...]
    """Of the images."""
    places: np.ndarray
    """(C, N) int64: which subgroup of the column an image is in; -1 where it has no value."""
    tested: np.ndarray
    """(N,) bool: whether it is a test image; with folds, and of a further test set that is not split, all are."""
    numbers: tuple[tuple[float, ...], ...]
    """Of each column with bands, those of the test images, rising; empty of other columns."""
    groups: tuple[str, ...] = ()
    """What the images belong to, such as patients; empty where that is not known."""

    @property
    def md5(self) -> str:
        """Of what is said of which image."""
        digest = hashlib.md5(usedforsecurity=False)
        for column, names in zip(self.columns, self.names, strict=True):
            digest.update("\0".join([column, *names]).encode("utf-8", "surrogateescape") + b"\n")
        for name, places in sorted(zip(self.ids, self.places.T.tolist(), strict=True)):
            digest.update("\0".join([name, *map(str, places)]).encode("utf-8", "surrogateescape") + b"\n")
        return digest.hexdigest()

    def counts(self) -> list[dict[str, Any]]:
        """Of each column, its subgroups with their test images and groups of them, and how many have no value."""
        groups, found = np.array(self.groups), list[dict[str, Any]]()
        for column, names, places in zip(self.columns, self.names, self.places, strict=True):
            there = [self.tested & (places == k) for k in range(len(names))]
            found.append(
                {
                    "column": column,
                    "subgroups": list(names),
                    "images": [int(of.sum()) for of in there],
                    "groups": [len(np.unique(groups[of])) for of in there] if self.groups else None,
                    "missing": int((self.tested & (places < 0)).sum()),
                }
            )
        return found


def odd_subgroups(found: Subgroups) -> list[str]:
    """Sentences on images without a value, on bands with nearly all, and on subgroups with few test images."""
    said = []
    for of, numbers in zip(found.counts(), found.numbers, strict=True):
        column, missing = of["column"], of["missing"]
        if missing:
            said.append(
                f"{missing:,} of {int(found.tested.sum()):,} test images have no value of {column}, and are "
                "in no subgroup of it."
            )
        largest = max(of["images"])
        if numbers and largest >= NEARLY_ALL * len(numbers):
            band, edges = (
                of["subgroups"][of["images"].index(largest)],
                ", ".join(f"{edge:g}" for edge in thirds(numbers)),
            )
            other = f"at: [{edges}] parts them more evenly" if edges else "nearly all have the same number"
            said.append(
                f"{largest:,} of {len(numbers):,} test images with a value of {column} are in one band ({band}), which "
                f"leaves little to compare: {other}."
            )
        units, what = (of["images"], "test images") if of["groups"] is None else (of["groups"], "groups of test images")
        few = [f"{name} ({n})" for name, n in zip(of["subgroups"], units, strict=True) if n < FEW_IMAGES]
        if few:
            said.append(
                f"fewer than {FEW_IMAGES} {what} are in these subgroups of {column}, and intervals of so few "
                f"say little: {', '.join(few)}."
            )
    return said


def thirds(numbers: Sequence[float]) -> list[float]:
    """Where bands end that part rising numbers into thirds, as nearly as equal ones allow; none where nearly all are in
    one band all the same."""
    edges = sorted({numbers[len(numbers) * part // 3] for part in (1, 2)} - {numbers[0]})
    largest = np.bincount(np.searchsorted(edges, numbers, "right")).max()
    return edges if largest < NEARLY_ALL * len(numbers) else []


def subgroups_of(
    values: Mapping[str, Mapping[str, Sequence[str]]],
    ids: Mapping[str, Sequence[str]],
    groups: Mapping[str, Sequence[str]],
    by: Sequence[By],
    *,
    where: str,
    all_tested: bool,
) -> Subgroups:
    """Subgroups from the text of each column in each split. Raises one DataError with all that is wrong.

    values: split → column → one value an image; ids and groups: split → of its images; where: what the table is called;
    all_tested: whether images of every split are test images.
    """
    problems, names, places = Problems(), list[tuple[str, ...]](), list[list[int]]()
    tested = np.array([all_tested or split == "test" for split in SPLITS for _ in ids[split]])
    numbers = list[tuple[float, ...]]()
    for one in by:
        column = [value for split in SPLITS for value in values[split][one.column]]
        with problems.collected():
            known, of = _banded(column, one, where) if one.at is not None else _valued(column, one, where)
            names.append(known)
            places.append(of)
            told = [_number(value) for value, is_test in zip(column, tested, strict=True) if is_test and one.at]
            numbers.append(tuple(sorted(number for number in told if number is not None)))
    problems.check()
    return Subgroups(
        tuple(one.column for one in by),
        tuple(names),
        tuple(name for split in SPLITS for name in ids[split]),
        np.array(places, np.int64),
        tested,
        tuple(numbers),
        tuple(group for split in SPLITS for group in groups[split]),
    )


def _valued(column: Sequence[str], by: By, where: str) -> tuple[tuple[str, ...], list[int]]:
    counts = Counter(value for value in column if not is_missing(value))
    _several(len(counts), by, where)
    if len(counts) > MOST or len(counts) > max(2, len(column) / 2):
        raise DataError(
            f"{where}: {by.column} has {len(counts):,} different values in {len(column):,} images, too many for "
            f"subgroups of at most {MOST}. If it is a number, give its bands: {{column: {by.column}, at: [40, 60]}}. "
            "If it names people or images, leave it out: the values of such columns are published."
        )
    whole = all(re.fullmatch(r"[+-]?\d+", name) for name in counts)
    known = tuple(sorted(counts, key=(lambda name: (int(name), name)) if whole else (lambda name: (0, name))))
    return known, [known.index(value) if value in counts else -1 for value in column]


def _banded(column: Sequence[str], by: By, where: str) -> tuple[tuple[str, ...], list[int]]:
    assert by.at is not None
    numbers = [None if is_missing(value) else _number(value) for value in column]
    odd = [value for value, number in zip(column, numbers, strict=True) if number is None and not is_missing(value)]
    if odd:
        raise DataError(
            f"{where}: {by.column} of {len(odd):,} images is no number (the first is {odd[0]!r}), but `subgroups` "
            "gives its bands with `at`. Correct it, or leave `at` out."
        )
    edges = [f"{edge:g}" for edge in by.at]
    names = (
        f"below {edges[0]}",
        *(f"{low} to below {high}" for low, high in itertools.pairwise(edges)),
        f"{edges[-1]} and above",
    )
    of = [-1 if number is None else int(np.searchsorted(by.at, number, "right")) for number in numbers]
    _several(len(set(of) - {-1}), by, where)
    return names, of


def _several(number: int, by: By, where: str) -> None:
    if number < 2:
        raise DataError(
            f"{where}: all images with a value of {by.column} are in one subgroup, or none has a value; there is "
            "nothing to compare. Leave the column out of `subgroups`, or give other bands."
        )


def _number(value: str) -> float | None:
    try:
        number = float(value)
    except ValueError:
        return None
    return number if np.isfinite(number) else None


def save_subgroups(path: Path, found: Subgroups) -> None:
    """An .npz file with the subgroups of every image, without pickles."""
    np.savez_compressed(
        path,
        allow_pickle=False,
        ids=np.array(found.ids),
        **{f"places_{number}": places for number, places in enumerate(found.places)},
    )
