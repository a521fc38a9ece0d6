"""Image files with a class, in splits: what a folder or a table lists, read into a `Dataset`."""

import hashlib
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medaug_keras.data import checksums, pixels, windows
from medaug_keras.data.dataset import MAX_BYTES, SPLITS, DataError, Dataset, Problems, Sizes, Split
from medaug_keras.data.pixels import Conversion


@dataclass(frozen=True)
class File:
    """One image."""

    path: Path
    relative: str
    """To the data set's folder, with / on every system: the image's id."""
    label: int
    group: str = ""
    """Of the images that belong together, such as a patient's; empty where that is not known."""
    frame: int | None = None
    """Which image of the file is meant, from 1; None where it holds one only."""


@dataclass(frozen=True)
class Listing:
    """The images of each split, in the order in which they are used."""

    place: Path
    """The folder or table that lists them."""
    classes: tuple[str, ...]
    files: Mapping[str, list[File]]
    described: bool = False
    """Whether class, split and group are said elsewhere than in the files' names, so that the fingerprint adds them."""
    notes: Mapping[str, int] = field(default_factory=dict)
    """What was left out, in words → how many."""

    def all(self) -> list[File]:
        """The images of all splits."""
        return [file for split in SPLITS for file in self.files[split]]

    def labels(self, split: str) -> np.ndarray:
        """Class numbers (N,) of a split."""
        return np.array([file.label for file in self.files[split]], np.int64)


def sizes(listing: Listing, how: Conversion, window: Mapping[str, Any] | None = None) -> Sizes:
    """Sizes of a data set from its listing and the first image's header."""
    first = listing.files["train"][0]
    found = pixels.header(_content(first), first.relative, first.frame)
    how = replace(how, window=_ANY if window else None)
    kind = pixels.usable(found, first.relative, how)
    side = how.size or found.height
    counts = {split: len(files) for split, files in listing.files.items()}
    return Sizes((side, side, 1 if kind == "grey" else 3), listing.classes, **counts)


def fingerprint(listing: Listing, *, cache: Path | None) -> str:
    """MD5 over the names, sizes and contents of the images that would be used, and over what is said of them."""
    files = listing.all()
    sums = checksums.md5_of_files([file.path for file in files], cache=cache)
    found = {file.path: (file.path.stat().st_size, md5) for file, md5 in zip(files, sums, strict=True)}
    return _fingerprint(listing, found)


def load(
    listing: Listing,
    how: Conversion,
    *,
    window: Mapping[str, Any] | None = None,
    name: str,
    title: str,
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """The images of a listing, converted as said; all must be of one shape.

    `window` says which values of 16-bit grey become 0 to 255: {low, high}, {centre, width}, {percentiles} of the
    training images, or {dicom}. Raises one DataError that names everything that is wrong.
    """
    files = listing.all()
    if window is not None:
        how = replace(how, window=_window(window, listing.files["train"], replace(how, window=_ANY)))
    problems, shapes, enlarged = Problems(), [], 0
    seen: dict[Path, tuple[int, str]] = {}
    arrays: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] | None = None
    for split in SPLITS:
        for i, file in enumerate(listing.files[split]):
            found = None
            with problems.collected():
                content = _content(file)
                seen[file.path] = len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()
                found, larger = pixels.read_whole(content, file.relative, how, file.frame)
                enlarged += larger
            if found is None:
                continue
            shapes.append((file.relative, found.shape))
            if shape is None:
                shape = found.shape
                _check_memory(len(files), shape, max_bytes, listing.place)
            if split not in arrays:
                arrays[split] = np.empty((len(listing.files[split]), *shape), np.uint8)
            if found.shape == shape:
                arrays[split][i] = found
    problems.found += _unlike(shapes)
    problems.check()
    for split in SPLITS:  # with folds, all images are in the first
        arrays.setdefault(split, np.empty((0, *(shape or ())), np.uint8))
    splits = {split: _split(arrays[split], listing, split) for split in SPLITS}
    return Dataset(
        name=name,
        title=title,
        classes=listing.classes,
        source="own",
        md5=_fingerprint(listing, seen),
        official_md5=None,
        licence=licence,
        homepage="",
        citation=citation,
        description=f"Own images, read from {'' if listing.described else 'the folder '}{listing.place.name}."
        + _told_window(how.window),
        left_out=dict(listing.notes),
        enlarged=enlarged,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


def _split(images: np.ndarray, listing: Listing, split: str) -> Split:
    files = listing.files[split]
    groups = tuple(file.group for file in files) if files and files[0].group else ()
    return Split(images, listing.labels(split), tuple(file.relative for file in files), groups)


_ANY = (0.0, 1.0)  # stands for a window that is not known yet, where only its presence counts


def _window(settings: Mapping[str, Any], training: list[File], how: Conversion) -> windows.Window | Literal["dicom"]:
    """What a section says, or what percentiles of the training images are. Raises DataError with all bad images."""
    found = windows.declared(settings)
    if found is not None:
        return found
    problems = Problems()

    def images() -> Iterator[np.ndarray]:
        for file in training:
            with problems.collected():
                yield pixels.values(_content(file), file.relative, how, file.frame)

    low, high = settings["percentiles"]
    try:
        return windows.percentiles(images(), low, high)
    finally:
        problems.check()


def _told_window(window: windows.Window | Literal["dicom"] | None) -> str:
    if window == "dicom":
        return " Values became 0 to 255 as each file says of its own display."
    return f" Values from {window[0]:g} to {window[1]:g} became 0 to 255 (window)." if window else ""


def _check_memory(images: int, shape: tuple[int, ...], max_bytes: int, path: Path) -> None:
    total = images * math.prod(shape)
    if total > max_bytes:
        raise DataError(
            f"{path.name}: {images:,} images of {shape} would take {total:,} bytes in memory, more than the limit of "
            f"{max_bytes:,}. Set a smaller `size`, or leave images out."
        )


def _unlike(shapes: list[tuple[str, tuple[int, ...]]]) -> list[str]:
    """The images whose shape (H, W, C) is not the commonest, each in a line."""
    counts = Counter(shape for _, shape in shapes)
    if len(counts) < 2:
        return []
    (common, times), *_ = counts.most_common(1)
    return [
        f"{name} is {_told(shape)}, but {times:,} of {len(shapes):,} images are {_told(common)}. All must be alike: "
        "set `size` for one size, and `colour: grey` or `colour: rgb` for one kind of pixels."
        for name, shape in shapes
        if shape != common
    ]


def _told(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} {'grey' if shape[2] == 1 else 'RGB'}"


def _content(file: File) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise DataError(f"{file.path} cannot be read ({error.strerror}). Check who may read it.") from error


def _fingerprint(listing: Listing, files: Mapping[Path, tuple[int, str]]) -> str:
    """MD5 over name, size in bytes and MD5 of each file, and what is said of it elsewhere than in its name."""
    digest = hashlib.md5(usedforsecurity=False)
    for line in sorted(_lines(listing, files)):
        digest.update("\0".join(line).encode("utf-8", "surrogateescape") + b"\n")
    return digest.hexdigest()


def _lines(listing: Listing, files: Mapping[Path, tuple[int, str]]) -> Iterator[tuple[str, ...]]:
    for split in SPLITS:
        for file in listing.files[split]:
            size, md5 = files[file.path]
            said = (split, f"{file.label:06}", listing.classes[file.label], file.group) if listing.described else ()
            frame = (f"frame {file.frame}",) if file.frame is not None else ()
            yield (file.relative, str(size), md5, *said, *frame)


# --- where files are ---------------------------------------------------------------------------------


def is_there(path: Path) -> bool:
    """Whether a path leads to a file; also where the path cannot be one."""
    try:
        return os.path.isfile(path)
    except ValueError:  # a NUL in its name
        return False
