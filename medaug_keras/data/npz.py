"""Reads image arrays from .npz files that may be damaged or hostile.

The names are MedMNIST's: {train,val,test}_images and {train,val,test}_labels. Nothing is unpickled, and nothing is
decompressed before the sizes in the headers have been checked against a limit and against each other.
"""

import math
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO

import numpy as np

from medaug_keras.counts import first_of
from medaug_keras.data import filetype
from medaug_keras.data.dataset import MAX_BYTES, SPLITS, DataError, Problems, lookable
from medaug_keras.data.room import Place

_PREFIX = {"train": "train", "validation": "val", "test": "test"}
_NAMES = [f"{_PREFIX[split]}_{what}" for split in SPLITS for what in ("images", "labels")]

# The text before an array's bytes, as NumPy writes it. NumPy's own reader accepts more, evaluates it as a Python
# literal, and lets the tokenizer's errors, deep recursion and warnings through.
_HEADER = re.compile(
    rb"\{'descr': '([<>|=]?[?biufcmMOSUV]\d{0,9}(?:\[\w{1,9}\])?)', 'fortran_order': (?:True|False), "
    rb"'shape': \(((?:\d{1,18}(?:, ?|(?=\))))*)\),? ?\} *\n"
)
_LONGEST_HEADER = 1000  # bytes
_BLOCK = 2**24  # bytes of images that are unpacked at once
_LOOKED_AT = 2**20  # values of an array of a wrong type, to say how it can be mended

# What zipfile and numpy raise on bytes that are no zip file or no array.
_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    NotImplementedError,  # a compression, or a version of the format, that zipfile does not know
    OSError,
    OverflowError,
    ValueError,
)


_SAVE = "Save the six arrays with np.savez_compressed."
_ADVICE = {
    "an HDF5 file": _SAVE,
    "a MATLAB file": _SAVE,
    "one NumPy array (.npy)": _SAVE,
    "a Python pickle": _SAVE,
    "a NIfTI volume (.nii)": f"Choose the slices that are to be images. {_SAVE}",
    "a NIfTI volume (.nii.gz)": f"Choose the slices that are to be images. {_SAVE}",
    "a DICOM file": f"Its pixels need a window first. {_SAVE}",
}
_OTHERWISE = "Put the right file there."


@dataclass(frozen=True)
class Header:
    """What an array's header says: enough to plan with, and to refuse it unread."""

    shape: tuple[int, ...]
    dtype: np.dtype


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """The file, open for reading; what keeps it from being read is a DataError, and so is another kind of file."""
    lookable(path)
    if os.path.isdir(path):
        raise DataError(f"{path} is a folder, but an .npz file is expected there.")
    if os.path.exists(path) and not os.path.isfile(path):
        raise DataError(f"{path} is a pipe, socket or device, but an .npz file is expected there.")
    try:
        file = path.open("rb")
    except FileNotFoundError:
        if os.path.islink(path):
            raise DataError(f"{path} is a link to {os.path.realpath(path)}, which is not there.") from None
        raise DataError(f"{path} does not exist. Check the path, or put the file there.") from None
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read ({error}). Check the path and who may read it.") from error
    with file:
        found = filetype.what(file.read(filetype.HEAD))
        if found != "a zip file" and found is not None:
            raise DataError(f"{path} is {found}, but an .npz file is expected there. {_ADVICE.get(found, _OTHERWISE)}")
        yield file


def read_headers(
    file: BinaryIO, *, where: str, max_bytes: int | None, windowed: bool | None = False
) -> dict[str, Header]:
    """The six arrays' headers, checked: names, types, shapes, counts, and the size they would have in memory, that of
    the labels alone where `max_bytes` is None.

    Images are uint8; where a window says what of their values is used, `windowed`, they are grey and of other numbers;
    with None of either kind.
    """
    with _reading(file, where) as archive:
        present = set(archive.namelist())
        missing = [name for name in _NAMES if f"{name}.npy" not in present]
        if missing:
            raise DataError(
                f"{where} has no array {', '.join(missing)}; it has {_listed(present)}. Expected are "
                f"{', '.join(_NAMES)}, as in MedMNIST's files."
            )
        headers = {name: _read_header(archive, name, where) for name in _NAMES}
        sizes = {name: math.prod(h.shape) * h.dtype.itemsize for name, h in headers.items()}
        total = sum(size for name, size in sizes.items() if max_bytes is not None or name.endswith("labels"))
        most = MAX_BYTES if max_bytes is None else max_bytes
        if total > most:
            raise DataError(
                f"{where} would take {total:,} bytes in memory, more than the limit of {most:,}. "
                "If the file is what you think it is, raise the limit; otherwise do not trust it."
            )
        _check(headers, where, archive, windowed)
    return headers


def read_labels(file: BinaryIO, *, where: str) -> dict[str, np.ndarray]:
    """Split → labels (N,) of some numeric type, or (N, K) of several findings, of a file whose headers were read
    before."""
    with _reading(file, where) as archive:
        return {split: _labels(_read_array(archive, f"{prefix}_labels")) for split, prefix in _PREFIX.items()}


def _labels(array: np.ndarray) -> np.ndarray:
    """(N,) or (N, 1) → (N,); several columns stay."""
    return array if array.shape[1:] > (1,) else array.reshape(-1)


def read_images(
    file: BinaryIO,
    places: Mapping[str, Place],
    *,
    where: str,
    change: Callable[[np.ndarray], np.ndarray],
    count: Callable[[int], None],
) -> None:
    """Put the images of all splits (N, H, W, C) into their places, as `change` makes them uint8 of blocks (n, H, W, C).

    Of a file whose headers were read before; `count` is told how many images were read.
    """
    done = 0
    for split, place in places.items():
        for first, block in blocks(file, split, where=where):
            place.put(first, change(block))
            done += len(block)
            count(done)


def read_pair(file: BinaryIO, images: str, labels: str, *, where: str, max_bytes: int) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of these names: images (N, H, W[, C]) uint8 and labels (N,), checked before they are read."""
    with _reading(file, where) as archive:
        present = set(archive.namelist())
        if missing := [name for name in (images, labels) if f"{name}.npy" not in present]:
            raise DataError(f"{where} has no array {' and '.join(missing)}; it has {_listed(present)}.")
        headers = {name: _read_header(archive, name, where) for name in (images, labels)}
        total = sum(math.prod(one.shape) * one.dtype.itemsize for one in headers.values())
        if total > max_bytes:
            raise DataError(f"{where} would take {total:,} bytes in memory, more than the limit of {max_bytes:,}.")
        problems = Problems()
        with problems.collected():
            _check_images(images, headers[images], where, archive, windowed=False)
        with problems.collected():
            _check_labels(labels, headers[labels], where, several=False)
            if headers[images].shape[:1] != headers[labels].shape[:1]:
                raise DataError(f"{where}: {images} and {labels} are not as many. Every image needs one label.")
        problems.check()
        return _read_array(archive, images), _read_array(archive, labels).reshape(-1)


def blocks(file: BinaryIO, split: str, *, where: str) -> Iterator[tuple[int, np.ndarray]]:
    """The images of a split (n, H, W, C), some at a time, each time with the number of the first.

    Of a file whose headers were read before. Raises DataError, also where a number is none.
    """
    name = f"{_PREFIX[split]}_images"
    with _reading(file, where) as archive:
        for first, block in _blocks(archive, name):
            if block.dtype.kind == "f" and not np.isfinite(block).all():
                axes = tuple(range(1, block.ndim))
                odd = first + int(np.flatnonzero(~np.isfinite(block).all(axis=axes))[0])
                raise DataError(
                    f"{where}: {name} holds values that are no numbers (NaN or infinite), first in image {odd:,}. "
                    "Decide what they are to be, and save them so."
                )
            yield first, block[..., None] if block.ndim == 3 else block


def _blocks(archive: zipfile.ZipFile, name: str) -> Iterator[tuple[int, np.ndarray]]:
    """The rows of an array, some at a time, each with the number of the first."""
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
        if fortran and len(shape) > 1:  # its rows are spread over all of it
            yield 0, _read_array(archive, name)
            return
        each = math.prod(shape[1:]) * dtype.itemsize
        step = max(1, _BLOCK // each)
        for first in range(0, shape[0], step):
            count = min(step, shape[0] - first)
            content = stream.read(count * each)
            if len(content) < count * each:
                raise EOFError(f"{name} ends too early")
            yield first, np.frombuffer(content, dtype).reshape(count, *shape[1:])
        stream.read(1)  # zipfile compares the checksum when it reaches the end


def read_train_labels(file: BinaryIO, *, where: str) -> np.ndarray:
    """The training labels (N,) alone, or (N, K), of a file whose headers were read before."""
    with _reading(file, where) as archive:
        return _labels(_read_array(archive, "train_labels"))


def image_shape(headers: dict[str, Header]) -> tuple[int, int, int]:
    """(H, W, C) of the images."""
    _, height, width, *channels = headers["train_images"].shape
    return height, width, channels[0] if channels else 1


def findings(headers: dict[str, Header]) -> int:
    """How many findings the labels have a column for; 0 where images have one class each."""
    shape = headers["train_labels"].shape[1:]
    return shape[0] if shape > (1,) else 0


def counts(headers: dict[str, Header]) -> dict[str, int]:
    """Split → number of images."""
    return {split: headers[f"{prefix}_images"].shape[0] for split, prefix in _PREFIX.items()}


@contextmanager
def _reading(file: BinaryIO, where: str) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(file) as archive:
            yield archive
    except _DAMAGED as error:
        raise DataError(
            f"{where} is not a complete .npz file ({str(error)[:200] or type(error).__name__}). It may "
            "have been cut off on its way: copy or download it again."
        ) from error


def _read_header(archive: zipfile.ZipFile, name: str, where: str) -> Header:
    info = archive.getinfo(f"{name}.npy")
    if info.flag_bits & 1:
        raise DataError(f"{where}: {name} is encrypted; save the arrays with np.savez_compressed.")
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise DataError(
            f"{where}: {name} is packed by a method that NumPy does not write; save the arrays with "
            "np.savez_compressed."
        )
    with archive.open(info) as stream:
        version = np.lib.format.read_magic(stream)
        length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")
        found = _HEADER.fullmatch(stream.read(min(length, _LONGEST_HEADER)))
        if found is None:
            raise ValueError(f"{name} does not begin as a plain NumPy array does")
        start = stream.tell()
    try:
        dtype = np.dtype(found[1].decode())
    except TypeError as error:
        raise ValueError(f"{name}: {error}") from error
    shape = tuple(int(length) for length in re.findall(rb"\d+", found[2]))
    if dtype.hasobject:
        raise DataError(
            f"{where}: {name} holds Python objects. Reading those can run a stranger's code, so they "
            "are never read. Save plain arrays: images as uint8, labels as integers."
        )
    declared, there = math.prod(shape) * dtype.itemsize, info.file_size - start
    if declared != there:
        raise ValueError(f"{name} should have {declared:,} bytes, but has {there:,}")
    return Header(shape, dtype)


def _read_array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}.npy") as stream:
        array: np.ndarray = np.lib.format.read_array(stream, allow_pickle=False)
        stream.read(1)  # zipfile compares the checksum when it reaches the end
    return array


def _check(headers: dict[str, Header], where: str, archive: zipfile.ZipFile, windowed: bool | None) -> None:
    """Raises one DataError that names everything that does not fit."""
    problems, shapes = Problems(), {}
    for prefix in _PREFIX.values():
        images, labels = headers[f"{prefix}_images"], headers[f"{prefix}_labels"]
        with problems.collected():
            _check_images(f"{prefix}_images", images, where, archive, windowed)
            shapes[f"{prefix}_images"] = (*images.shape[1:3], *(images.shape[3:] or (1,)))
        with problems.collected():
            _check_labels(f"{prefix}_labels", labels, where, several=True)
            if images.shape[:1] != labels.shape[:1]:
                raise DataError(
                    f"{where}: {prefix}_images holds {images.shape[0] if images.shape else 0} images, but "
                    f"{prefix}_labels {labels.shape[0]} labels. Every image needs one label."
                )
    if len(set(shapes.values())) > 1:
        found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        problems.found.append(f"{where}: the splits' images differ in shape: {found}. All must have one (H, W, C).")
    columns = {f"{prefix}_labels": headers[f"{prefix}_labels"].shape[1:] for prefix in _PREFIX.values()}
    if not problems.found and len({shape if shape > (1,) else () for shape in columns.values()}) > 1:
        found = ", ".join(f"{name} {shape[0] if shape else 1}" for name, shape in columns.items())
        problems.found.append(f"{where}: the splits' labels differ in columns: {found}. All must have as many.")
    problems.check()


def _check_images(name: str, images: Header, where: str, archive: zipfile.ZipFile, windowed: bool | None) -> None:
    deep = images.dtype != np.uint8 and images.dtype.kind in "iuf"
    if windowed and images.dtype == np.uint8:
        raise DataError(
            f"{where}: {name} has 8 bits a value, so the range of `window` does not mean its values. Leave it out."
        )
    if windowed and deep and images.shape[3:] not in ((), (1,)):
        raise DataError(
            f"{where}: {name} has type {images.dtype} and the shape {images.shape}; `window` is for grey images, "
            "(N, H, W) or (N, H, W, 1). Save colour as uint8."
        )
    if images.dtype != np.uint8 and not (deep and windowed is not False):
        raise DataError(
            f"{where}: {name} has type {images.dtype}, but images are uint8, 0 to 255. "
            f"{_as_uint8(archive, name, images)}"
        )
    if len(images.shape) not in (3, 4) or (len(images.shape) == 4 and images.shape[3] not in (1, 3)):
        first = len(images.shape) == 4 and images.shape[1] in (1, 3)
        raise DataError(
            f"{where}: {name} has the shape {images.shape}, but images are (N, H, W), (N, H, W, 1) or (N, H, W, 3)."
            + (" Move the channels to the end: images.transpose(0, 2, 3, 1)." if first else "")
        )
    if 0 in images.shape:
        raise DataError(
            f"{where}: {name} has the shape {images.shape}: it holds no image. Every split needs at least one."
        )


def _as_uint8(archive: zipfile.ZipFile, name: str, images: Header) -> str:
    """How to make 8 bits of values of another type, which depends on their range."""
    if images.dtype == bool:
        return "If they are black and white, save images.astype(np.uint8) * 255."
    if images.dtype.kind not in "iuf" or 0 in images.shape:
        return "Save plain numbers."
    low, high = _range(archive, name, images)
    seen = f"The first values go from {low:g} to {high:g}"
    if images.dtype.kind == "f" and low >= 0 and high <= 1:
        return f"{seen}: if 1 is white, save np.round(images * 255).astype(np.uint8)."
    if images.dtype.kind == "f" and -1 <= low < 0 and high <= 1:
        return f"{seen}: if -1 is black and 1 white, save np.round((images + 1) * 127.5).astype(np.uint8)."
    if low >= 0 and high <= 255:
        return (
            f"{seen}: if all lie in 0 to 255, save "
            f"{'images' if images.dtype.kind in 'iu' else 'np.round(images)'}.astype(np.uint8), which changes none."
        )
    return (
        f"{seen}. Which range of them is to become 0 to 255 is a medical choice (window and level): say it with "
        "`window`, such as `window: {low: 0, high: 4095}`, or make it, and save uint8."
    )


def _range(archive: zipfile.ZipFile, name: str, images: Header) -> tuple[float, float]:
    """Least and greatest of the array's first values, some megabytes of them; NaN counts as 0."""
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        stream.read(int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little"))
        count = min(math.prod(images.shape), _LOOKED_AT)
        with np.errstate(all="ignore"):  # of wild values, which are shown as they come
            values = np.frombuffer(stream.read(count * images.dtype.itemsize), images.dtype).astype(np.float64)
    values = np.nan_to_num(values)
    return float(values.min()), float(values.max())


def _check_labels(name: str, labels: Header, where: str, *, several: bool) -> None:
    if labels.dtype.kind not in "biuf":
        raise DataError(
            f"{where}: {name} has type {labels.dtype}, but labels are the class numbers 0, 1, 2, ... as integers."
        )
    if labels.shape[1:] in ((), (1,)) and labels.shape:
        return
    if not several:
        raise DataError(
            f"{where}: {name} has the shape {labels.shape}, but these labels are (N,) or (N, 1): one class number an "
            "image."
        )
    if len(labels.shape) != 2 or not labels.shape[1]:
        raise DataError(
            f"{where}: {name} has the shape {labels.shape}, but labels are (N,) or (N, 1), one class number an image, "
            "or (N, K), 1 for each of K findings that the image has, else 0."
        )


def _listed(present: set[str]) -> str:
    return first_of(sorted(name.removesuffix(".npy")[:60] for name in present), 12) or "nothing"
