"""Your own images in folders: PATH/train/CLASS/*.png, PATH/val/..., PATH/test/... ."""

import os
import stat
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from medaug_keras.counts import first_of
from medaug_keras.data import files, filetype
from medaug_keras.data.dataset import (
    MAX_BYTES,
    SPLITS,
    DataError,
    Dataset,
    Filter,
    Fit,
    Problems,
    Sizes,
    check_classes,
    lookable,
)
from medaug_keras.data.files import File, Listing
from medaug_keras.data.folds import check_folds
from medaug_keras.data.ids import LEFT_OUT
from medaug_keras.data.pixels import SUFFIXES, Colour, Conversion
from medaug_keras.data.room import Room
from medaug_keras.data.splits import Folds, Parts, dropped, placed

_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_ALIASES = {"training": "train", "valid": "val", "dev": "val", "testing": "test"}
_MOST_PROBLEMS = 1000  # then nothing more is looked at: it may be the whole disk
_LITTER = ("thumbs.db", "desktop.ini")  # and whatever begins with a dot


@dataclass(frozen=True, kw_only=True)
class Division:
    """How the images of a folder come into splits and groups, and which are left out."""

    split: Parts | None = None
    """None takes the folders train, validation (or val) and test; else PATH/CLASS/*.png is split."""
    group: Literal["folder"] | None = None
    """folder takes the images of one folder below a class for one group, as PATH/CLASS/PATIENT/*.png."""
    drop: Path | None = None
    """A table whose column `image` names images to leave out."""
    frame: int | None = None
    """Which image of each file is meant, from 1; None takes files of one image only."""


AS_THEY_ARE = Division()


def folder_sizes(
    path: Path,
    *,
    size: int | None,
    colour: Colour | None,
    fit: Fit | None = None,
    window: Mapping[str, Any] | None = None,
    division: Division = AS_THEY_ARE,
) -> Sizes:
    """Sizes of a folder of images from its file names and the first image's header."""
    how = Conversion(size=size, fit=fit, filter="bilinear", colour=colour)
    return files.sizes(listed(path, division), how, window)


def folder_labels(path: Path, division: Division = AS_THEY_ARE) -> np.ndarray:
    """Class numbers (N,) of the training images of a folder, from the names of its files."""
    return listed(path, division).labels("train")


def folder_fingerprint(path: Path, *, cache: Path | None, division: Division = AS_THEY_ARE) -> str:
    """MD5 over the names, sizes and contents of the images that would be used; over splits and groups that the names
    do not tell, too."""
    return files.fingerprint(listed(path, division), cache=cache)


def load_folder(
    path: Path,
    *,
    division: Division = AS_THEY_ARE,
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
    room: Room | None = None,
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """Own images from PATH/train/CLASS/*.png (or .jpg, .tif, .bmp), PATH/validation or val/..., PATH/test/....
    With a split in `division`, from PATH/CLASS/*.png. Folders below a class are looked into.

    The folders in train name the classes, in alphabetical order, and images are sorted by class and name.
    Images are 8-bit grey or RGB, all alike and all of one size; `colour` converts others, and `size`, `fit` and
    `filter` resize them (see `pixels.Conversion`). Pixels arrive as they are stored, or not at all. `window` says which
    values of 16-bit grey become 0 to 255: {low, high}, {centre, width}, or {percentiles} of the training images.
    The images go where `room` has places for them; without it into memory, `max_bytes` at most. `report` is told how
    the reading goes. Raises one DataError that names everything that is wrong; a class may be absent from validation
    and test.
    """
    how = Conversion(size=size, fit=fit, filter=filter, colour=colour)
    said = {"name": name, "title": title, "licence": licence, "citation": citation}
    return files.load(listed(path, division), how, window=window, **said, max_bytes=max_bytes, room=room, report=report)


# --- what there is ---------------------------------------------------------------------------------


def listed(root: Path, division: Division = AS_THEY_ARE) -> Listing:
    """The images of each split, sorted by class and name. Raises DataError with all that should not be there."""
    lookable(root)
    if not os.path.isdir(root):
        found = _what(root) if os.path.lexists(root) else "not there"
        raise DataError(
            f"{root} is {found}, but a folder of images is expected: train/CLASS/*.png and the same for val and test."
        )
    problems = Problems()
    folders = _split_folders(root) if division.split is None else {"train": _unsplit(root)}
    by_class: dict[str, dict[str, Path]] = {split: {} for split in folders}
    for split, folder in folders.items():
        for entry in _entries(folder):
            if os.path.isdir(entry):
                by_class[split][_name(entry)] = entry
            else:
                below = f"{folder.name}/" if folder != root else ""
                problems.found.append(
                    f"{_shown(entry, root)} is {_what(entry)}, but not in a class's folder. Put it in one, as "
                    f"{below}CLASS/{_name(entry)}, or move it elsewhere."
                )
    classes = tuple(by_class["train"])
    problems.found += _twins(classes, folders["train"].name)
    there: dict[str, list[File]] = {}
    for split, folder in folders.items():
        strangers = [name for name in by_class[split] if name not in classes]
        problems.found += [_stranger(name, classes, _shown(folder, root)) for name in strangers]
        there[split] = [
            _file(path, place, f"{folder.name}/{name}" if folder != root else name, classes.index(name), division)
            for name, place in by_class[split].items()
            if name in classes
            for path in _images(place, root, problems)
        ]
        if not there[split] and not problems.found:
            problems.found.append(
                f"{_shown(folder, root)} holds no image ({', '.join(SUFFIXES)}) in a class folder. Every split needs "
                "at least one."
            )
    if division.group is not None:
        loose = [file.relative for some in there.values() for file in some if not file.group]
        if loose:
            problems.found.append(
                f"{root.name}: {len(loose):,} images lie in a class's folder itself (the first is {loose[0]}), so "
                "`group: folder` does not say to which group they belong. Expected is CLASS/GROUP/*.png."
            )
    problems.check()
    notes: dict[str, int] = {}
    drawn = division.split is not None and division.split.fractions is not None
    if drawn and division.split is not None:  # before some are left out, so that the others stay in their split
        there = _divided(there["train"], division.split)
    if division.drop is not None:
        gone = dropped(division.drop, [file.relative for some in there.values() for file in some])
        there = {split: [file for file in some if file.relative not in gone] for split, some in there.items()}
        notes[LEFT_OUT] = len(gone)
    if not drawn and division.split is not None:
        there = _divided(there["train"], division.split)
    empty = [split for split in SPLITS if not there[split]]
    if division.split is not None and division.split.folds is not None and there["train"]:
        _check_folds(there["train"], division.split.folds, classes, root.name)
    elif empty and not (division.split is not None and division.split.whole):
        raise DataError(f"{root.name}: no image is in {' and '.join(empty)}. Every split needs at least one.")
    check_classes(np.array([file.label for file in there["train"]]), classes, where=root.name)
    told = division.split is not None or division.group is not None
    return Listing(root, classes, there, described=told, notes=notes)


def _file(path: Path, place: Path, before: str, label: int, division: Division) -> File:
    """A file below the folder `place` of its class."""
    below = os.fsencode(path.relative_to(place).as_posix()).decode("utf-8", "surrogateescape")
    group = below.partition("/")[0] if division.group is not None and "/" in below else ""
    return File(path, f"{before}/{below}", label, group, division.frame)


def _divided(some: list[File], parts: Parts) -> dict[str, list[File]]:
    if not some:
        return {split: [] for split in SPLITS}
    groups = [file.group for file in some] if some[0].group else []
    places = placed(parts, [file.relative for file in some], np.array([file.label for file in some]), groups)
    return {
        split: [file for file, place in zip(some, places, strict=True) if place == i] for i, split in enumerate(SPLITS)
    }


def _check_folds(some: list[File], folds: Folds, classes: tuple[str, ...], where: str) -> None:
    labels = np.array([file.label for file in some])
    groups = [file.group for file in some] if some[0].group else []
    check_folds([file.relative for file in some], labels, groups, folds, classes=classes, where=where)


def is_split(root: Path) -> bool:
    """Whether a folder holds folders of splits, and no others. Raises DataError where it cannot be read."""
    words = [name for names in _FOLDERS.values() for name in names] + list(_ALIASES)
    there = [_name(entry) for entry in _entries(root) if os.path.isdir(entry)]
    return bool(there) and all(name.casefold() in words for name in there)


def _unsplit(root: Path) -> Path:
    """A folder of classes; DataError where it is one of splits."""
    there = [_name(entry) for entry in _entries(root) if os.path.isdir(entry)]
    if is_split(root):
        raise DataError(
            f"{root} has the folders {', '.join(there)}, so its images are split already. Leave `split` out, or put "
            "the images into one folder for each class."
        )
    return root


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
        advice = (
            " Or set `split: {train: 0.7, validation: 0.15, test: 0.15}`, which takes folders for classes, to have the "
            "images split."
        )
    missing = [" or ".join(names) for split, names in _FOLDERS.items() if not found[split]]
    raise DataError(
        f"{root}: expected are the folders train, validation (or val) and test, each with a folder for each class. "
        f"Found are {first_of(list(there), 12) or 'no folders'}; missing: {', '.join(missing)}.{advice}"
    )


def _entries(folder: Path) -> list[Path]:
    """What is in a folder, always in the same order."""
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}).") from error
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _LITTER]


def _images(folder: Path, root: Path, problems: Problems) -> list[Path]:
    """The files in a class's folder and those below it, sorted by name."""
    found: list[Path] = []
    linked = any(os.path.islink(place) for place in (folder, folder.parent) if place != root)
    waiting = [folder]
    while waiting and len(problems.found) < _MOST_PROBLEMS:
        entries: list[Path] = []
        with problems.collected():
            entries = _entries(waiting.pop())
        for entry in entries:
            if os.path.isdir(entry) and not linked and not os.path.islink(entry):
                waiting.append(entry)
            elif os.path.isdir(entry):  # a link may lead to anything, to where it lies too
                problems.found.append(
                    f"{_shown(entry, root)} is a folder behind a link, which is not looked into. Put the images there "
                    "themselves."
                )
            elif os.path.isfile(entry) and entry.suffix.lower() in SUFFIXES:
                found.append(entry)
            else:
                problems.found.append(
                    f"{_shown(entry, root)} is {_what(entry)}, not an image file ({', '.join(SUFFIXES)}). Convert it, "
                    "or move it elsewhere: nothing in the folders is left out silently."
                )
                found.append(entry)
    return sorted(found, key=lambda path: os.fsencode(path.relative_to(folder).as_posix()))


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


def bare(name: str) -> str:
    """Without blanks and characters that cannot be seen."""
    return "".join(c for c in _composed(name) if not c.isspace() and unicodedata.category(c) != "Cf")


def difference(one: str, other: str) -> str:
    """In words, of names that look alike."""
    if _composed(one) == _composed(other):
        return "only in how an accent is stored (Unicode's NFC and NFD)"
    if bare(one) == bare(other):
        return "only by a blank or a character that cannot be seen"
    return "only by capitals"


def _twins(classes: tuple[str, ...], folder: str) -> list[str]:
    """Classes of training that a reader would take for one."""
    first: dict[str, str] = {}
    found = []
    for name in classes:
        other = first.setdefault(bare(name), name)
        if other is not name:
            found.append(
                f"{folder} has the classes {other!a} and {name!a}, which differ {difference(other, name)}. "
                "Put their images into one folder, or give them names that can be told apart."
            )
    return found


def _stranger(name: str, classes: tuple[str, ...], folder: str) -> str:
    """A class that training has not."""
    for known in classes:
        if bare(known).casefold() == bare(name).casefold():
            return (
                f"{folder} has the class {name!a}, and train has {known!a}, which differs "
                f"{difference(known, name)}. Give both folders one name."
            )
    return (
        f"{folder} has the class {name}, which train has not (it has {', '.join(classes[:12]) or 'none'}"
        f"{' and others' if len(classes) > 12 else ''}). The folders' names must agree."
    )
