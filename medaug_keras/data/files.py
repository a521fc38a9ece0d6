"""Image files with a class, in splits: what a folder or a table lists, read into a `Dataset`."""

import hashlib
import itertools
import os
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, TypeVar

import numpy as np

from medaug_keras import gpus
from medaug_keras.data import checksums, dicom, pixels, windows
from medaug_keras.data.dataset import MAX_BYTES, SPLITS, DataError, Dataset, Problems, Sizes, Split
from medaug_keras.data.pixels import Conversion
from medaug_keras.data.room import Memory, Place, Room, counting

THREADS = gpus.CORES
"""That read images at once: Pillow decodes and resizes without Python's lock."""


A = TypeVar("A")
B = TypeVar("B")


@dataclass(frozen=True)
class File:
    """One image."""

    path: Path
    relative: str
    """To the data set's folder, with / on every system: the image's id."""
    label: int | tuple[int, ...]
    """Its class; or 1 for each finding that it has, else 0."""
    group: str = ""
    """Of the images that belong together, such as a patient's; empty where that is not known."""
    frame: int | None = None
    """Which image of the file is meant, from 1; None where it holds one only."""
    values: tuple[str, ...] = ()
    """Of the columns that part images into subgroups; they are in no fingerprint of the images."""


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
    several: bool = False
    """Whether images have several findings, which `classes` then names."""

    def all(self) -> list[File]:
        """The images of all splits."""
        return [file for split in SPLITS for file in self.files[split]]

    def labels(self, split: str) -> np.ndarray:
        """Class numbers (N,) of a split, or its findings (N, K)."""
        found = np.array([file.label for file in self.files[split]], np.int64)
        return found.reshape(-1, len(self.classes)) if self.several else found


def sizes(listing: Listing, how: Conversion, window: Mapping[str, Any] | None = None) -> Sizes:
    """Sizes of a data set from its listing and the first image's header."""
    first = listing.files["train"][0]
    found = pixels.header(_content(first), first.relative, first.frame)
    how = replace(how, window=_ANY if window else None)
    kind = pixels.usable(found, first.relative, how)
    side = how.size or found.height
    counts = {split: len(files) for split, files in listing.files.items()}
    return Sizes((side, side, 1 if kind == "grey" else 3), listing.classes, **counts, several=listing.several)


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
    room: Room | None = None,
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """The images of a listing, converted as said; all must be of one shape.

    They are read by several threads, and go where `room` has places for them; without it into memory, `max_bytes` at
    most. `report` is told how the reading goes. What comes out does not depend on the number of threads.

    `window` says which values of 16-bit grey become 0 to 255: {low, high}, {centre, width}, {percentiles} of the
    training images, or {dicom}. Raises one DataError that names everything that is wrong.
    """
    with dicom.quiet():  # once around all threads, as they share what is silenced
        if window is not None:
            how = replace(how, window=_window(window, listing.files["train"], replace(how, window=_ANY)))
        count = counting(report, title, len(listing.all()))
        places, seen, enlarged = _read(listing, how, room or Memory(max_bytes), count)
    splits = {split: _split(places[split].images(), listing, split) for split in SPLITS}
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
        + windows.told(how.window),
        left_out=dict(listing.notes),
        enlarged=enlarged,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


@dataclass(frozen=True)
class _Found:
    """What became of a file."""

    image: np.ndarray | None
    """None once it is in its place, and where it cannot be read."""
    shape: tuple[int, ...] = ()
    content: tuple[int, str] = (0, "")
    """Its bytes, and their MD5."""
    problems: tuple[str, ...] = ()
    enlarged: bool = False


def _read(
    listing: Listing, how: Conversion, room: Room, count: Callable[[int], None]
) -> tuple[Mapping[str, Place], dict[Path, tuple[int, str]], int]:
    """All images in their places, size and MD5 of each file, and how many images were enlarged. Raises one DataError
    with all that is wrong.
    """
    entries = [(split, i, file) for split in SPLITS for i, file in enumerate(listing.files[split])]
    problems, shapes, enlarged = Problems(), [], 0
    seen: dict[Path, tuple[int, str]] = {}
    places: Mapping[str, Place] = {}
    shape: tuple[int, ...] = ()
    numbers = itertools.count(1)

    def read(entry: tuple[str, int, File]) -> _Found:
        split, i, file = entry
        found = _decoded(file, how)
        if found.image is None or not places or found.shape != shape:
            return found
        places[split].put(i, found.image[None])
        return replace(found, image=None)

    def note(entry: tuple[str, int, File], found: _Found) -> None:
        nonlocal enlarged
        problems.found += found.problems
        enlarged += found.enlarged
        seen[entry[2].path] = found.content
        if found.shape:
            shapes.append((entry[2].relative, found.shape))
        count(next(numbers))

    first = 0
    while not places and first < len(entries):  # the first image that can be read says the shape of all
        entry = entries[first]
        found = read(entry)
        note(entry, found)
        first += 1
        if found.image is not None:
            shape = found.shape
            height, width, channels = shape
            wanted = {split: (len(listing.files[split]), height, width, channels) for split in SPLITS}
            places = room(wanted, listing.place.name)
            places[entry[0]].put(entry[1], found.image[None])
    for entry, found in zip(entries[first:], in_turn(read, entries[first:], THREADS), strict=True):
        note(entry, found)
    problems.found += _unlike(shapes)
    problems.check()
    return places, seen, enlarged


def _decoded(file: File, how: Conversion) -> _Found:
    problems = Problems()
    image, enlarged = None, False
    known = 0, ""
    with problems.collected():
        content = _content(file)
        known = len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()
        image, enlarged = pixels.read_whole(content, file.relative, how, file.frame)
    return _Found(image, () if image is None else image.shape, known, tuple(problems.found), enlarged)


def in_turn(do: Callable[[A], B], items: Sequence[A], threads: int) -> Iterator[B]:
    """`do` of each item, in their order, by so many threads; of few items at once, so that results do not pile up."""
    if threads < 2:
        yield from map(do, items)
        return
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[B]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(do, item))
                if len(waiting) > 8 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


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

    def read(file: File) -> np.ndarray | DataError:
        try:
            return pixels.values(_content(file), file.relative, how, file.frame)
        except DataError as error:
            return error

    def images() -> Iterator[np.ndarray]:
        problems = Problems()
        for found in in_turn(read, training, THREADS):
            if isinstance(found, DataError):
                problems.found += found.args
            else:
                yield found
        problems.check()

    low, high = settings["percentiles"]
    return windows.percentiles(images, low, high)


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
            said = (split, *_label(listing, file.label), file.group) if listing.described else ()
            frame = (f"frame {file.frame}",) if file.frame is not None else ()
            yield (file.relative, str(size), md5, *said, *frame)


def _label(listing: Listing, label: int | tuple[int, ...]) -> tuple[str, ...]:
    """A class by number and name; or each finding with whether it is there."""
    if isinstance(label, tuple):
        return tuple(f"{name}={there}" for name, there in zip(listing.classes, label, strict=True))
    return f"{label:06}", listing.classes[label]


# --- where files are ---------------------------------------------------------------------------------


def is_there(path: Path) -> bool:
    """Whether a path leads to a file; also where the path cannot be one."""
    try:
        return os.path.isfile(path)
    except ValueError:  # a NUL in its name
        return False
