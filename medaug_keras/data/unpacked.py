"""Data sets unpacked on disk, so that all worker processes share one copy in memory.

MedMNIST's files are compressed, so each worker would unpack them into memory of its own. A file of plain numbers can be
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
import os
from collections.abc import Callable
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from medaug_keras.data.dataset import SPLITS, Dataset, Split
from medaug_keras.ownership import remove_made

_WHAT = ("images", "labels")
_NAMES = ("ids", "groups")
_MADE = ("dataset.json", *(f"{split}_{what}.npy" for split in SPLITS for what in _WHAT))
_SAID = [field.name for field in fields(Dataset) if field.name not in SPLITS]


def unpacked(folder: Path, load: Callable[[], Dataset]) -> Dataset:
    """The data set in `folder`, its arrays mapped. Where there is none, or a damaged one, `load` gives it.

    Writing to an array changes the process's own copy, not the file. Whoever asks while another process loads, waits
    for it. What `load` raises is raised, and OSError where the folder cannot be written.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with open(f"{folder}.lock", "a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        dataset = _mapped(folder)
        if dataset is None:
            _write(load(), folder)
            _give_back()
            dataset = _mapped(folder)
            if dataset is None:
                raise OSError(f"{folder} does not hold what was just written to it. Check the disk.")
    return dataset


def _write(dataset: Dataset, folder: Path) -> None:
    """Only for the holder of the lock."""
    part = Path(f"{folder}.part")
    for old in (part, folder):  # those that still map the old files keep them
        remove_made(old, _MADE)
    part.mkdir()
    sums = {}
    for name, array in _arrays(dataset).items():
        header = io.BytesIO()
        np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(array))
        digest = hashlib.sha256()
        with open(part / name, "wb") as file:
            content = array.reshape(-1).view(np.uint8).data
            for piece in (header.getvalue(), content):  # np.save does not say that the disk is full
                file.write(piece)
                digest.update(piece)
        sums[name] = digest.hexdigest()
    said = {name: getattr(dataset, name) for name in _SAID}
    names = {split: {what: getattr(getattr(dataset, split), what) for what in _NAMES} for split in SPLITS}
    (part / "dataset.json").write_text(
        json.dumps({"dataset": said, "names": names, "files": sums}, indent=1) + "\n", encoding="utf-8"
    )
    os.rename(part, folder)


def _give_back() -> None:
    """Return the memory of what was loaded to the system, also where the C library was asked to keep what is freed."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # glibc's
    if trim is not None:
        trim(0)


def _arrays(dataset: Dataset) -> dict[str, np.ndarray]:
    """File name → array."""
    return {
        f"{split}_{what}.npy": np.ascontiguousarray(getattr(getattr(dataset, split), what))
        for split in SPLITS
        for what in _WHAT
    }


def _mapped(folder: Path) -> Dataset | None:
    """None where there is nothing, or something that does not fit its checksums."""
    try:
        content = json.loads((folder / "dataset.json").read_bytes())
        said = content["dataset"]
        arrays = {name: _array(folder / name, content["files"][name]) for name in _MADE[1:]}
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
    with open(path, "rb") as file:
        if hashlib.file_digest(file, "sha256").hexdigest() != checksum:
            raise ValueError(f"{path} was changed")
    return np.asarray(np.load(path, mmap_mode="c", allow_pickle=False))
