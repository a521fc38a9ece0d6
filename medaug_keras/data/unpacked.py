"""Data sets unpacked on disk, so that all worker processes share one copy in memory.

Images come in compressed files, so each worker would unpack them into memory of its own. A file of plain numbers can be
mapped instead: the system reads its pages once for all processes, and may drop them when memory gets short.

    FOLDER/{train,validation,test}_{images,labels}.npy    the arrays
    FOLDER/dataset.json                                   what else there is to know, and the checksums of the arrays

The folder gets its name by one rename, and its files are held against their checksums whenever a process opens them.
It can be deleted at any time: it is made again.
"""

import ctypes
import fcntl
import hashlib
import io
import json
import math
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from medaug_keras.data.dataset import SPLITS, DataError, Dataset, Split
from medaug_keras.data.room import Place, Room, Shape, total_bytes
from medaug_keras.ownership import remove_made

SAID = 10**8  # bytes of a data set from which its size is told
_WHAT = ("images", "labels")
_NAMES = ("ids", "groups")
_ARRAYS = tuple(f"{split}_{what}.npy" for split in SPLITS for what in _WHAT)
_MADE = ("dataset.json", *_ARRAYS)
_SAID = [field.name for field in fields(Dataset) if field.name not in SPLITS]


def unpacked(
    folder: Path,
    load: Callable[[Room], Dataset],
    *,
    section: Mapping[str, Any] | None = None,
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """The data set in `folder`, its arrays mapped. Where there is none, or a damaged one, `load` gives it.

    `load` is given room for the images in files; what it puts elsewhere is written. Writing to an array changes the
    process's own copy, not the file. Whoever asks while another process loads, waits for it. With a `section`, one that
    was loaded under another section is loaded anew: title and source are described there. `report` is told how much
    disk a large data set takes. What `load` raises is raised, DataError where the disk has not enough room, and OSError
    where the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = None if section is None else json.loads(json.dumps(section))
        dataset = _mapped(folder, said)
        if dataset is None:
            _write(load, folder, said, report)
            _give_back()
            dataset = _mapped(folder, said)
            if dataset is None:
                raise OSError(f"{folder} does not hold what was just written to it. Check the disk.")
    return dataset


def kept_images(folder: Path, split: str) -> np.ndarray | None:
    """The images of a split that `unpacked` keeps in `folder`, mapped; None where they are not there or were changed.

    Loads nothing: the folder may be gone, and where the data are now is not asked.
    """
    name = f"{split}_images.npy"
    try:
        return _array(folder / name, json.loads((folder / "dataset.json").read_bytes())["files"][name])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


class _Files:
    """Room in .npy files of a folder."""

    max_bytes: int | None = None

    def __init__(self, folder: Path, report: Callable[[str], None] | None) -> None:
        self.folder, self.report = folder, report
        self.made: dict[str, _File] = {}

    def __call__(self, shapes: Mapping[str, Shape], where: str) -> Mapping[str, Place]:
        needed, free = total_bytes(shapes), shutil.disk_usage(self.folder).free
        images, (_, *one) = sum(shape[0] for shape in shapes.values()), next(iter(shapes.values()))
        what = f"{where}: {images:,} images of {' x '.join(map(str, one))} take {_told(needed)}"
        place = self.folder.parent
        if needed > free:
            raise DataError(
                f"{what} of disk, unpacked for all workers to share, but only {_told(free)} are free in {place}. Free "
                "some, choose another results folder with --results, or set a smaller `size`."
            )
        if needed >= SAID and self.report is not None:
            self.report(
                f"{what} of disk in {place} ({_told(free)} are free), and as much memory where it is free, which all "
                "workers share"
            )
        self.made = {split: _File(self.folder / f"{split}_images.npy", shape) for split, shape in shapes.items()}
        return self.made


class _File:
    def __init__(self, path: Path, shape: Shape) -> None:
        self.path, self.shape = path, shape
        self.each = math.prod(shape[1:])
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, {"descr": "|u1", "fortran_order": False, "shape": shape})
        self.begin = header.tell()
        path.write_bytes(header.getvalue())
        self.file = os.open(path, os.O_RDWR)
        os.truncate(self.file, self.begin + math.prod(shape))
        self.mapped: np.ndarray | None = None

    def put(self, first: int, images: np.ndarray) -> None:
        content = _bytes(images)
        at = self.begin + first * self.each
        while content:  # one call writes 2 GB at most, and less where the disk is full
            done = os.pwrite(self.file, content, at)
            content, at = content[done:], at + done

    def images(self) -> np.ndarray:
        if self.mapped is None:
            self.mapped = np.asarray(np.load(self.path, mmap_mode="c", allow_pickle=False))
        return self.mapped

    def close(self) -> None:
        os.close(self.file)


def _told(size: int) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.0f} MB"


def _write(load: Callable[[Room], Dataset], folder: Path, section: Any, report: Callable[[str], None] | None) -> None:
    """Only for the holder of the lock."""
    part = Path(f"{folder}.part")
    for old in (part, folder):  # those that still map the old files keep them
        remove_made(old, _MADE)
    part.mkdir()
    room = _Files(part, report)
    try:
        dataset = load(room)
        for split in SPLITS:
            for what in _WHAT:
                array = getattr(getattr(dataset, split), what)
                if what == "labels" or split not in room.made or array is not room.made[split].mapped:
                    _save(part / f"{split}_{what}.npy", array)
    except BaseException:
        remove_made(part, _MADE)
        raise
    finally:
        for made in room.made.values():
            made.close()
    said = {name: getattr(dataset, name) for name in _SAID}
    names = {split: {what: getattr(getattr(dataset, split), what) for what in _NAMES} for split in SPLITS}
    sums = {name: _checksum(part / name) for name in _ARRAYS}
    content = {"dataset": said, "names": names, "files": sums, "section": section}
    (part / "dataset.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    os.rename(part, folder)


def _save(path: Path, array: np.ndarray) -> None:
    """In place of what is there, which may be mapped by the array's owner."""
    fresh = path.with_suffix(".new")
    with open(fresh, "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, np.lib.format.header_data_from_array_1_0(np.ascontiguousarray(array))
        )
        file.write(_bytes(array))  # np.save does not say that the disk is full
    os.replace(fresh, path)


def _bytes(array: np.ndarray) -> memoryview:
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8).data


def _checksum(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _give_back() -> None:
    """Return the memory of what was loaded to the system, also where the C library was asked to keep what is freed."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _mapped(folder: Path, section: Any) -> Dataset | None:
    """None where there is nothing, or something that does not fit its checksums, or the section if there is one."""
    try:
        content = json.loads((folder / "dataset.json").read_bytes())
        if section is not None and content.get("section") != section:
            return None
        said = content["dataset"]
        arrays = {name: _array(folder / name, content["files"][name]) for name in _ARRAYS}
        splits: dict[str, Any] = {
            split: Split(
                arrays[f"{split}_images.npy"],
                arrays[f"{split}_labels.npy"],
                **{what: tuple(content["names"][split][what]) for what in _NAMES},
            )
            for split in SPLITS
        }
        return Dataset(**said | {"classes": tuple(said["classes"])}, **splits)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def _array(path: Path, checksum: str) -> np.ndarray:
    """Copy on write, which needs no care: Torch warns of arrays that it must not write to."""
    if _checksum(path) != checksum:
        raise ValueError(f"{path} was changed")
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
