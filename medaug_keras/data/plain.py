"""Images in an .npz file that is not compressed, so that all who read them map the same pages.

Such a file is read by `np.load` like any other.
"""

import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

_BLOCK = 2**24  # bytes that are written at once
_LOCAL = 30  # bytes of a member's header in the file, before its name and what is added to that


def save_plain(path: Path, *, images: np.ndarray, labels: np.ndarray, order: np.ndarray | None = None) -> None:
    """Write images (N, H, W, C) uint8, or those at the places `order` (n,), and labels (n,)."""
    count = len(images) if order is None else len(order)
    step = max(1, _BLOCK // max(1, images[:1].nbytes))
    blocks = (images[rows if order is None else order[rows]] for rows in _cut(count, step))
    with zipfile.ZipFile(path, "w") as archive:
        with archive.open("images.npy", "w", force_zip64=True) as stream:
            header = {"descr": "|u1", "fortran_order": False, "shape": (count, *images.shape[1:])}
            np.lib.format.write_array_header_1_0(stream, header)
            for block in blocks:
                stream.write(np.ascontiguousarray(block).data)
        with archive.open("labels.npy", "w", force_zip64=True) as stream:
            np.lib.format.write_array(stream, labels, allow_pickle=False)


def _cut(count: int, step: int) -> Iterator[slice]:
    return (slice(top, top + step) for top in range(0, count, step))


def load_plain(path: Path) -> Mapping[str, np.ndarray]:
    """The arrays by their names.

    Those of bytes are mapped, and writing to one changes this process's copy alone; others, and what is compressed, are
    read. Raises OSError, ValueError or BadZipFile for a file that is no .npz.
    """
    with zipfile.ZipFile(path) as archive:
        return {info.filename.removesuffix(".npy"): _array(path, archive, info) for info in archive.infolist()}


def _array(path: Path, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        if info.compress_type == zipfile.ZIP_STORED and version == (1, 0):
            shape, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
            begin = stream.tell()
            if dtype == np.uint8 and 0 not in shape:
                return _mapped(path, info, begin, shape, fortran)
        stream.seek(0)
        return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))


def _mapped(path: Path, info: zipfile.ZipInfo, begin: int, shape: tuple[int, ...], fortran: bool) -> np.ndarray:
    """The values of a member, which begin so many bytes after its header."""
    with open(path, "rb") as file:
        file.seek(info.header_offset + _LOCAL - 4)
        name, added = (int.from_bytes(file.read(2), "little") for _ in range(2))
    offset = info.header_offset + _LOCAL + name + added + begin
    return np.asarray(np.memmap(path, np.uint8, "c", offset, shape, "F" if fortran else "C"))
