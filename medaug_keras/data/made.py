"""Images that somebody else's generator made: a folder with a folder for each class, or an .npz file.

The file has the arrays `images` (N, H, W), (N, H, W, 1) or (N, H, W, 3) uint8, and `labels` (N,), whole numbers from 0.
"""

import hashlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from medaug_keras.data import npz, pixels
from medaug_keras.data.dataset import MAX_BYTES, DataError, Problems


def made_sum(path: Path) -> str:
    """SHA-256 (hex) of an .npz file, or of the names and bytes of all images in a folder. Raises DataError."""
    if not path.is_dir():
        with npz.opened(path) as file:
            file.seek(0)
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    for image in _files(path):
        content = hashlib.sha256(_content(image)).hexdigest()
        digest.update(f"{image.relative_to(path).as_posix()}\0{content}\n".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def load_made(path: Path, *, classes: Sequence[str], image_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W, C) uint8 of a data set's shape, and labels (N,) int64 in its classes.

    Square images of another size are resized; RGB is not made grey, nor grey RGB. In a folder, a class's folder is
    called as the class, or by its number from 0. Raises one DataError for all that is wrong.
    """
    how = pixels.Conversion(
        size=image_shape[0], fit=None, filter="bilinear", colour="grey" if image_shape[2] == 1 else "rgb"
    )
    if path.is_dir():
        return _of_folder(path, classes, how)
    return _of_file(path, len(classes), image_shape, how)


def _of_file(
    path: Path, classes: int, image_shape: tuple[int, ...], how: pixels.Conversion
) -> tuple[np.ndarray, np.ndarray]:
    problems = Problems()
    with npz.opened(path) as file:
        images, labels = npz.read_pair(file, "images", "labels", where=str(path), max_bytes=MAX_BYTES)
    images = images.reshape(*images.shape[:3], -1)
    if images.shape[3] != image_shape[2]:
        problems.found.append(
            f"{path}: images has {images.shape[3]} channels, and those of the data set have {image_shape[2]}."
        )
    if images.shape[1] != images.shape[2]:
        problems.found.append(f"{path}: the images are {images.shape[1]} x {images.shape[2]}, which is not square.")
    wrong = sorted(set(labels[(labels < 0) | (labels >= classes) | (labels % 1 != 0)].tolist()))
    if wrong:
        shown = ", ".join(f"{label:g}" for label in wrong[:5])
        problems.found.append(f"{path}: labels has {shown}; the data set has the classes 0 to {classes - 1}.")
    problems.check()
    return pixels.squares(images, how), labels.astype(np.int64)


def _of_folder(path: Path, classes: Sequence[str], how: pixels.Conversion) -> tuple[np.ndarray, np.ndarray]:
    problems, images, labels = Problems(), [], []
    numbers = {name: number for number, name in enumerate(classes)}
    numbers = {str(number): number for number in range(len(classes))} | numbers
    for image in _files(path):
        where = image.relative_to(path.parent).as_posix()
        name = image.relative_to(path).parts[0]
        if len(image.relative_to(path).parts) < 2 or name not in numbers:
            problems.found.append(
                f"{where} is in the folder of no class. The classes are {', '.join(classes)}; their folders are "
                f"called so, or 0 to {len(classes) - 1}."
            )
            continue
        with problems.collected():
            images.append(pixels.read(_content(image), where, how))
            labels.append(numbers[name])
    problems.check()
    if not images:
        raise DataError(f"{path} has no images ({', '.join(pixels.SUFFIXES)}).")
    return np.stack(images), np.array(labels, np.int64)


def _files(folder: Path) -> Iterator[Path]:
    """All images below a folder, always in the same order."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(pixels.SUFFIXES) and not name.startswith("."):
                yield Path(place) / name


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}). Check who may read it.") from error
