"""Your own images: one .npz file with MedMNIST's array names, or folders PATH/train/CLASS/*.png."""

import hashlib
import io
import math
import os
import struct
import warnings
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from medaug_keras.data import checksums, npz
from medaug_keras.data.dataset import (
    SPLITS,
    DataError,
    Dataset,
    Sizes,
    Split,
    check_classes,
    check_image_size,
    class_numbers,
)

if TYPE_CHECKING:  # Pillow takes longer to import than the rest of this module
    from PIL import Image

MAX_BYTES = 4 * 2**30  # of images in memory: twenty times the largest 28 x 28 MedMNIST set

Colour = Literal["grey", "rgb"]

_FOLDERS = {"train": ("train",), "validation": ("validation", "val"), "test": ("test",)}
_SUFFIXES = (".png", ".jpg", ".jpeg")
_LITTER = ("thumbs.db", "desktop.ini")  # and whatever begins with a dot
_NO_IMAGE = (OSError, SyntaxError, ValueError, EOFError, OverflowError, struct.error, zlib.error)  # of Pillow
_MODES = {"L": "grey", "RGB": "rgb"}  # Pillow's name for 8-bit pixels → ours


def npz_sizes(path: Path, *, classes: Sequence[str] | None, size: int | None, max_bytes: int = MAX_BYTES) -> Sizes:
    """Sizes of an .npz file from its headers; the training labels are read where `classes` is None."""
    with npz.opened(path) as file:
        headers = npz.read_headers(file, where=path.name, max_bytes=max_bytes)
        height, width, channels = npz.image_shape(headers)
        check_image_size((height, width), size=size, where=path.name)
        if classes is None:
            labels = npz.read_train_labels(file, where=path.name)
            classes = _numbered(labels, where=path.name)
    side = size or height
    return Sizes((side, side, channels), tuple(classes), **npz.counts(headers))


def npz_fingerprint(path: Path, *, cache: Path | None) -> str:
    """MD5 of the file."""
    return checksums.md5_of_file(path, cache=cache)


def load_npz(
    path: Path,
    *,
    name: str,
    title: str,
    classes: Sequence[str] | None,
    size: int | None,
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Own images from one .npz file.

    Arrays train_images, val_images, test_images: uint8, (N, H, W), (N, H, W, 1) or (N, H, W, 3); train_labels,
    val_labels, test_labels: (N,) or (N, 1), class numbers from 0. `classes` names them; None calls them "0", "1", ...
    `size` resizes square images of another size (Pillow's bilinear filter, which averages when it shrinks).
    Raises DataError where the file is not that; a class may be absent from validation and test.
    """
    with npz.opened(path) as file:
        md5 = checksums.md5_of_stream(file)
        arrays = npz.read_arrays(file, where=path.name, max_bytes=max_bytes)
    check_image_size(arrays["train"][0].shape[1:3], size=size, where=path.name)
    if classes is None:
        classes = _numbered(arrays["train"][1], where=path.name)
    splits = {}
    for split, (images, labels) in arrays.items():
        numbers = class_numbers(labels, classes=len(classes), where=f"{path.name}, {split} split")
        splits[split] = Split(_resized(images, size), numbers)
    check_classes(splits["train"].labels, classes, where=path.name)
    return Dataset(
        name=name,
        title=title,
        classes=tuple(classes),
        source="own",
        md5=md5,
        official_md5=None,
        licence=licence,
        homepage="",
        citation=citation,
        description=f"Own images, read from {path.name}.",
        **splits,
    )


def folder_sizes(path: Path, *, size: int | None, colour: Colour | None) -> Sizes:
    """Sizes of a folder of images from its file names and the first image's header."""
    listing = _listed(path)
    first = listing.files["train"][0]
    with _opened(_content(first), first.relative) as image:
        check_image_size((image.height, image.width), size=size, where=first.relative)
        kind = colour or _kind(image, first.relative)
        side = size or image.height
    counts = {split: len(files) for split, files in listing.files.items()}
    return Sizes((side, side, 1 if kind == "grey" else 3), listing.classes, **counts)


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
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Own images from PATH/train/CLASS/*.png (or .jpg), PATH/validation or val/..., PATH/test/....

    The folders in train name the classes, in alphabetical order. Images are 8-bit grey or RGB, all alike and all of
    one size; `colour` converts others, `size` resizes square ones (Pillow's bilinear filter, which averages when it
    shrinks). Pixels are taken as stored: a camera's note to turn the image is not followed.
    Raises DataError where the folder is not that.
    """
    listing = _listed(path)
    arrays: dict[str, np.ndarray] = {}
    seen = []
    shape: tuple[int, ...] | None = None
    total = len(listing.all())
    for split, files in listing.files.items():
        for i, file in enumerate(files):
            content = _content(file)
            seen.append((file.relative, len(content), hashlib.md5(content, usedforsecurity=False).hexdigest()))
            pixels = _pixels(content, file.relative, size=size, colour=colour)
            if shape is None:
                shape = pixels.shape
                if total * math.prod(shape) > max_bytes:
                    raise DataError(
                        f"{path.name}: {total:,} images of {shape} would take more than the limit of "
                        f"{max_bytes:,} bytes in memory. Raise the limit, or set `size: 28`."
                    )
            if pixels.shape != shape:
                raise DataError(
                    f"{file.relative} is {_told(pixels.shape)}, but {listing.files['train'][0].relative} is "
                    f"{_told(shape)}. All images must be alike: set `size: 28` for one size, and "
                    "`colour: grey` or `colour: rgb` for one kind of pixels."
                )
            if split not in arrays:
                arrays[split] = np.empty((len(files), *shape), np.uint8)
            arrays[split][i] = pixels
    splits = {
        split: Split(arrays[split], np.array([f.label for f in files], np.int64))
        for split, files in listing.files.items()
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
        description=f"Own images, read from the folder {path.name}.",
        **splits,
    )


# --- arrays ----------------------------------------------------------------------------------------


def _numbered(train_labels: np.ndarray, *, where: str) -> tuple[str, ...]:
    """Names "0", "1", ... for labels that no one has named; each must occur."""
    numbers = class_numbers(train_labels, classes=None, where=f"{where}, train split")
    count = int(numbers.max()) + 1
    if count > len(numbers):  # else a single wild label would ask for as many names
        raise DataError(
            f"{where}: the training labels go up to {count - 1}, but there are only {len(numbers)} "
            "training images. Labels are the class numbers 0, 1, 2, ... without gaps."
        )
    names = tuple(str(k) for k in range(count))
    check_classes(numbers, names, where=where)
    return names


def _resized(images: np.ndarray, size: int | None) -> np.ndarray:
    """(N, S, S, C) → (N, size, size, C)."""
    if size is None or images.shape[1] == size:
        return np.ascontiguousarray(images)
    from PIL import Image

    resized = np.empty((len(images), size, size, images.shape[3]), np.uint8)
    for i, image in enumerate(images):
        plain = np.ascontiguousarray(image[..., 0] if image.shape[2] == 1 else image)
        small = Image.fromarray(plain).resize((size, size), Image.Resampling.BILINEAR)
        resized[i] = np.asarray(small).reshape(size, size, -1)
    return resized


# --- folders ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _File:
    path: Path
    relative: str  # to the data set's folder, with / on every system
    label: int


@dataclass(frozen=True)
class _Listing:
    classes: tuple[str, ...]
    files: dict[str, list[_File]]

    def all(self) -> list[_File]:
        return [file for split in SPLITS for file in self.files[split]]


def _listed(root: Path) -> _Listing:
    """The images of each split, sorted by class and name."""
    if not os.path.isdir(root):
        found = "a file" if os.path.exists(root) else "not there"
        raise DataError(
            f"{root} is {found}, but a folder of images is expected: train/CLASS/*.png and the same for val and test."
        )
    folders = {split: _split_folder(root, split) for split in SPLITS}
    by_class = {split: _subfolders(folder, root) for split, folder in folders.items()}
    classes = tuple(by_class["train"])
    files: dict[str, list[_File]] = {}
    for split in SPLITS:
        strangers = [name for name in by_class[split] if name not in classes]
        if strangers:
            raise DataError(
                f"{root.name}/{folders[split].name} has the class {', '.join(strangers[:5])}, which "
                f"train has not (it has {', '.join(classes[:12]) or 'none'}). The folders' names must agree."
            )
        files[split] = [
            _File(path, path.relative_to(root).as_posix(), classes.index(name))
            for name, folder in by_class[split].items()
            for path in _images(folder, root)
        ]
        if not files[split]:
            raise DataError(
                f"{root.name}/{folders[split].name} holds no image ({', '.join(_SUFFIXES)}) in a "
                "class folder. Every split needs at least one."
            )
    check_classes(np.array([file.label for file in files["train"]]), classes, where=root.name)
    return _Listing(classes, files)


def _split_folder(root: Path, split: str) -> Path:
    there = [root / name for name in _FOLDERS[split] if os.path.isdir(root / name)]
    if len(there) != 1:
        found = "both are there" if there else "it is not there"
        raise DataError(
            f"{root}: expected one folder {' or '.join(_FOLDERS[split])} with a folder for each class, but {found}."
        )
    return there[0]


def _entries(folder: Path) -> list[Path]:
    try:
        entries = sorted(folder.iterdir(), key=lambda entry: os.fsencode(entry.name))
    except OSError as error:
        raise DataError(f"{folder} cannot be read ({error.strerror}).") from error
    return [e for e in entries if not e.name.startswith(".") and e.name.lower() not in _LITTER]


def _subfolders(folder: Path, root: Path) -> dict[str, Path]:
    for entry in _entries(folder):
        if not os.path.isdir(entry):
            raise DataError(
                f"{entry.relative_to(root.parent)} is not in a class's folder. Put it in one: "
                f"{folder.name}/CLASS/{entry.name}."
            )
    return {entry.name: entry for entry in _entries(folder)}


def _images(folder: Path, root: Path) -> list[Path]:
    entries = _entries(folder)
    for entry in entries:
        if not os.path.isfile(entry) or entry.suffix.lower() not in _SUFFIXES:
            raise DataError(
                f"{entry.relative_to(root.parent)} is not a .png or .jpg file. Convert it, or move it "
                "elsewhere: nothing in the folders is left out silently."
            )
    return entries


def _fingerprint(files: Iterable[tuple[str, int, str]]) -> str:
    """MD5 over (relative name, size in bytes, MD5) of each file."""
    digest = hashlib.md5(usedforsecurity=False)
    for relative, size, md5 in sorted(files):
        digest.update(os.fsencode(relative) + f"\0{size}\0{md5}\n".encode())
    return digest.hexdigest()


def _content(file: _File) -> bytes:
    try:
        return file.path.read_bytes()
    except OSError as error:
        raise DataError(f"{file.path} cannot be read ({error.strerror}). Check who may read it.") from error


def _opened(content: bytes, where: str) -> "Image.Image":
    from PIL import Image, UnidentifiedImageError

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a broken animation the first image is read, which is what we want
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return Image.open(io.BytesIO(content), formats=("PNG", "JPEG"))
        except (Image.DecompressionBombWarning, Image.DecompressionBombError) as error:
            raise DataError(
                f"{where} says that it has more than {Image.MAX_IMAGE_PIXELS:,} pixels; it is not opened."
            ) from error
        except UnidentifiedImageError:
            raise DataError(f"{where} is not a complete PNG or JPEG image. Replace or remove it.") from None
        except _NO_IMAGE as error:
            raise DataError(f"{where} is not a complete PNG or JPEG image ({error}). Replace or remove it.") from error


def _kind(image: "Image.Image", where: str) -> Colour:
    if image.mode not in _MODES:
        raise DataError(
            f"{where} has pixels of Pillow's mode {image.mode}; expected is 8-bit grey (L) or RGB. "
            "Set `colour: grey` or `colour: rgb` to have the images converted."
        )
    return "grey" if image.mode == "L" else "rgb"


def _pixels(content: bytes, where: str, *, size: int | None, colour: Colour | None) -> np.ndarray:
    """(H, W, C) uint8."""
    from PIL import Image

    with _opened(content, where) as image:
        check_image_size((image.height, image.width), size=size, where=where)
        if image.mode.startswith(("I", "F")):
            raise DataError(
                f"{where} has {image.mode} pixels, more than 8 bits each. Which range of them is to "
                "become 0 to 255 is a medical choice (window and level): make it, and save 8-bit images."
            )
        kind = colour or _kind(image, where)
        try:
            image = image.convert("L" if kind == "grey" else "RGB")
        except _NO_IMAGE as error:
            raise DataError(f"{where} is not a complete PNG or JPEG image ({error}). Replace or remove it.") from error
    if size is not None and image.height != size:
        image = image.resize((size, size), Image.Resampling.BILINEAR)
    return np.asarray(image).reshape(image.height, image.width, -1)


def _told(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} x {shape[1]} {'grey' if shape[2] == 1 else 'RGB'}"
