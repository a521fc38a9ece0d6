"""Your own images in folders: PATH/train/CLASS/*.png, PATH/val/..., PATH/test/... ."""

import hashlib
import math
import os
import stat
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from medaug_keras.data import checksums, filetype, pixels, windows
from medaug_keras.data.dataset import (
    MAX_BYTES,
    SPLITS,
    DataError,
    Dataset,
    Filter,
    Fit,
    Problems,
    Sizes,
    Split,
    check_classes,
    lookable,
)
from medaug_keras.data.pixels import SUFFIXES, Colour, Conversion

_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_ALIASES = {"training": "train", "valid": "val", "dev": "val", "testing": "test"}
_LITTER = ("thumbs.db", "desktop.ini")  # and whatever begins with a dot


def folder_sizes(
    path: Path,
    *,
    size: int | None,
    colour: Colour | None,
    fit: Fit | None = None,
    window: Mapping[str, Any] | None = None,
) -> Sizes:
    """Sizes of a folder of images from its file names and the first image's header."""
    listing = _listed(path)
    first = listing.files["train"][0]
    found = pixels.header(_content(first), first.relative)
    how = Conversion(size=size, fit=fit, filter="bilinear", colour=colour, window=_ANY if window else None)
    kind = pixels.usable(found, first.relative, how)
    side = size or found.height
    counts = {split: len(files) for split, files in listing.files.items()}
    return Sizes((side, side, 1 if kind == "grey" else 3), listing.classes, **counts)


def folder_labels(path: Path) -> np.ndarray:
    """Class numbers (N,) of the training images of a folder, from the names of its files."""
    return np.array([file.label for file in _listed(path).files["train"]])


def folder_fingerprint(path: Path, *, cache: Path | None) -> str:
    """MD5 over the names, sizes and contents of the images that would be used."""
    files = _listed(path).all()
    sums = checksums.md5_of_files([file.path for file in files], cache=cache)
    return _fingerprint((file.relative, file.path.stat().st_size, md5) for file, md5 in zip(files, sums, strict=True))


def load_folder(
    path: Path,
    *,
    name: str,
    title: str,
    size: int | None,
    colour: Colour | None,
    fit: Fit | None = None,
    filter: Filter = "bilinear",
    window: Mapping[str, Any] | None = None,
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Own images from PATH/train/CLASS/*.png (or .jpg, .tif, .bmp), PATH/validation or val/..., PATH/test/....

    The folders in train name the classes, in alphabetical order. Images are 8-bit grey or RGB, all alike and all of
    one size; `colour` converts others, and `size`, `fit` and `filter` resize them (see `pixels.Conversion`). Pixels
    arrive as they are stored, or not at all. `window` says which values of 16-bit grey become 0 to 255: {low, high},
    {centre, width}, or {percentiles} of the training images.
    Raises one DataError that names everything that is wrong; a class may be absent from validation and test.
    """
    listing = _listed(path)
    files = listing.all()
    how = Conversion(size=size, fit=fit, filter=filter, colour=colour)
    if window is not None:
        how = replace(how, window=_window(window, listing.files["train"], replace(how, window=_ANY)))
    problems, seen, shapes = Problems(), [], []
    arrays: dict[str, np.ndarray] = {}
    shape: tuple[int, ...] | None = None
    for split in SPLITS:
        for i, file in enumerate(listing.files[split]):
            read = None
            with problems.collected():
                content = _content(file)
                seen.append((file.relative, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()))
                read = pixels.read(content, file.relative, how)
            if read is None:
                continue
            shapes.append((file.relative, read.shape))
            if shape is None:
                shape = read.shape
                _check_memory(len(files), shape, max_bytes, path)
            if split not in arrays:
                arrays[split] = np.empty((len(listing.files[split]), *shape), np.uint8)
            if read.shape == shape:
                arrays[split][i] = read
    problems.found += _unlike(shapes)
    problems.check()
    splits = {
        split: Split(arrays[split], np.array([f.label for f in listing.files[split]], np.int64)) for split in SPLITS
    }
    return Dataset(
        name=name,
        title=title,
        classes=listing.classes,
        source="own",
        md5=_fingerprint(seen),
        official_md5=None,
        licence=licence,
        homepage="",
        citation=citation,
        description=f"Own images, read from the folder {path.name}." + _told_window(how.window),
        **splits,
    )


_ANY = (0.0, 1.0)  # stands for a window that is not known yet, where only its presence counts


def _window(settings: Mapping[str, Any], training: list["_File"], how: Conversion) -> windows.Window:
    """What a section says, or what percentiles of the training images are. Raises DataError with all bad images."""
    found = windows.declared(settings)
    if found is not None:
        return found
    problems = Problems()

    def images() -> Iterator[np.ndarray]:
        for file in training:
            with problems.collected():
                yield pixels.values(_content(file), file.relative, how)

    low, high = settings["percentiles"]
    try:
        return windows.percentiles(images(), low, high)
    finally:
        problems.check()


def _told_window(window: windows.Window | None) -> str:
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


def _content(file: "_File") -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise DataError(f"{file.path} cannot be read ({error.strerror}). Check who may read it.") from error


def _fingerprint(files: Iterable[tuple[str, int, str]]) -> str:
    """MD5 over (relative name, size in bytes, MD5) of each file."""
    digest = hashlib.md5(usedforsecurity=False)
    for relative, size, md5 in sorted(files):
        digest.update(relative.encode("utf-8", "surrogateescape") + f"\0{size}\0{md5}\n".encode())
    return digest.hexdigest()


# --- what there is ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    path: Path
    relative: str  # to the data set's folder, with / on every system
    label: int


@dataclass(frozen=True)
class _Listing:
    classes: tuple[str, ...]
    files: Mapping[str, list[_File]]

    def all(self) -> list[_File]:
        return [file for split in SPLITS for file in self.files[split]]


def _listed(root: Path) -> _Listing:
    """The images of each split, sorted by class and name. Raises DataError with all that should not be there."""
    lookable(root)
    if not os.path.isdir(root):
        found = _what(root) if os.path.lexists(root) else "not there"
        raise DataError(
            f"{root} is {found}, but a folder of images is expected: train/CLASS/*.png and the same for val and test."
        )
    problems = Problems()
    folders = _split_folders(root)
    by_class: dict[str, dict[str, Path]] = {split: {} for split in SPLITS}
    for split, folder in folders.items():
        for entry in _entries(folder):
            if os.path.isdir(entry):
                by_class[split][_name(entry)] = entry
            else:
                problems.found.append(
                    f"{_shown(entry, root)} is {_what(entry)}, but not in a class's folder. Put it in one, as "
                    f"{folder.name}/CLASS/{_name(entry)}, or move it elsewhere."
                )
    classes = tuple(by_class["train"])
    problems.found += _twins(classes, folders["train"].name)
    files: dict[str, list[_File]] = {}
    for split, folder in folders.items():
        strangers = [name for name in by_class[split] if name not in classes]
        problems.found += [_stranger(name, classes, _shown(folder, root)) for name in strangers]
        files[split] = [
            _File(path, f"{folder.name}/{name}/{_name(path)}", classes.index(name))
            for name, place in by_class[split].items()
            if name in classes
            for path in _images(place, root, problems)
        ]
        if not files[split] and not problems.found:
            problems.found.append(
                f"{_shown(folder, root)} holds no image ({', '.join(SUFFIXES)}) in a class folder. Every split needs "
                "at least one."
            )
    problems.check()
    check_classes(np.array([file.label for file in files["train"]]), classes, where=root.name)
    return _Listing(classes, files)


def _split_folders(root: Path) -> dict[str, Path]:
    there = {_name(entry): entry for entry in _entries(root) if os.path.isdir(entry)}
    found = {split: [name for name in names if name in there] for split, names in _FOLDERS.items()}
    if all(len(names) == 1 for names in found.values()):
        return {split: there[name] for split, (name,) in found.items()}
    both = [" and ".join(names) for names in found.values() if len(names) > 1]
    if both:
        raise DataError(f"{root}: {both[0]} are both there; keep one of them.")
    wanted = {name.casefold(): name for names in _FOLDERS.values() for name in names} | _ALIASES
    renames = [f"{name} to {wanted[name.casefold()]}" for name in there if wanted.get(name.casefold(), name) != name]
    inside = {_name(entry).casefold() for folder in list(there.values())[:20] for entry in _entries(folder)}
    if renames:
        advice = f" Rename {', '.join(renames[:5])}."
    elif wanted.keys() & inside:
        advice = " The splits come first, then the classes: turn CLASS/train into train/CLASS."
    else:
        advice = ""
    listed = ", ".join(list(there)[:12]) + (f" and {len(there) - 12} more" if len(there) > 12 else "")
    missing = [" or ".join(names) for split, names in _FOLDERS.items() if not found[split]]
    raise DataError(
        f"{root}: expected are the folders train, validation (or val) and test, each with a folder for each class. "
        f"Found are {listed or 'no folders'}; missing: {', '.join(missing)}.{advice}"
    )


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, always in the same order."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}).") from error
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _LITTER]


def _images(folder: Path, root: Path, problems: Problems) -> list[Path]:
    entries: list[Path] = []
    with problems.collected():
        entries = _entries(folder)
    for entry in entries:
        if os.path.isfile(entry) and entry.suffix.lower() in SUFFIXES:
            continue
        if os.path.isdir(entry):
            advice = "Images lie in their class's folder itself: move them up."
        else:
            advice = "Convert it, or move it elsewhere: nothing in the folders is left out silently."
        problems.found.append(
            f"{_shown(entry, root)} is {_what(entry)}, not an image file ({', '.join(SUFFIXES)}). {advice}"
        )
    return entries


def _what(path: Path) -> str:
    """What there is in place of an image or a folder."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return f"a link to {os.path.realpath(path)}, which is not there"
    except OSError as error:
        return f"something that cannot be read ({error.strerror})"
    if stat.S_ISDIR(mode):
        return "a folder"
    if not stat.S_ISREG(mode):
        return "a pipe, socket or device"
    try:
        with path.open("rb") as file:
            found = filetype.what(file.read(filetype.HEAD))
    except OSError as error:
        return f"a file that cannot be read ({error.strerror})"
    return found or "a file"


def _name(path: Path) -> str:
    """The name as UTF-8, whatever the locale of this process takes it for."""
    return os.fsencode(path.name).decode("utf-8", "surrogateescape")


def _shown(path: Path, root: Path) -> str:
    relative = os.fsencode(path.relative_to(root.parent).as_posix())
    return relative.decode("utf-8", "surrogateescape")


# --- names that look alike -------------------------------------------------------------------------


def _composed(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _bare(name: str) -> str:
    """Without blanks and characters that cannot be seen."""
    return "".join(c for c in _composed(name) if not c.isspace() and unicodedata.category(c) != "Cf")


def _difference(one: str, other: str) -> str:
    if _composed(one) == _composed(other):
        return "only in how an accent is stored (Unicode's NFC and NFD)"
    if _bare(one) == _bare(other):
        return "only by a blank or a character that cannot be seen"
    return "only by capitals"


def _twins(classes: tuple[str, ...], folder: str) -> list[str]:
    """Classes of training that a reader would take for one."""
    first: dict[str, str] = {}
    found = []
    for name in classes:
        other = first.setdefault(_bare(name), name)
        if other is not name:
            found.append(
                f"{folder} has the classes {other!a} and {name!a}, which differ {_difference(other, name)}. "
                "Put their images into one folder, or give them names that can be told apart."
            )
    return found


def _stranger(name: str, classes: tuple[str, ...], folder: str) -> str:
    """A class that training has not."""
    for known in classes:
        if _bare(known).casefold() == _bare(name).casefold():
            return (
                f"{folder} has the class {name!a}, and train has {known!a}, which differs "
                f"{_difference(known, name)}. Give both folders one name."
            )
    return (
        f"{folder} has the class {name}, which train has not (it has {', '.join(classes[:12]) or 'none'}"
        f"{' and others' if len(classes) > 12 else ''}). The folders' names must agree."
    )
