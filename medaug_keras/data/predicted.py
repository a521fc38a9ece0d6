"""What others' networks say of a data set's test images: a file for each of their runs.

A CSV file is as the medmnist package writes it: without a header, a line for each image, first its place from 0, then a
probability for each class or finding; of two classes, perhaps of the second alone. An .npz file has the array
`probabilities` instead, with the images in their order.

Shapes: n test images, K classes or findings.
"""

import os
import re
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from medaug_keras.data.dataset import DataError

RUN = "{run}"
DATASET = "{dataset}"
_MAX_BYTES = 2**28
_ROUNDING = 0.01  # by which printed probabilities may miss a sum of 1


def predicted_files(pattern: str, dataset: str) -> dict[str, Path]:
    """Run → its file, in the order of the names of the runs: shorter ones first, so that 2 comes before 10.

    In the pattern, {dataset} is the data set's name; in the file's name, {run} is what runs differ by, and * any text.
    Nothing is read. Raises DataError where two files are of one run, or the folder cannot be read.
    """
    whole = Path(pattern.replace(DATASET, dataset))
    marks = {RUN: "(?P<run>.+?)", "*": ".*?"}
    parts = re.split(r"(\{run\}|\*)", whole.name)
    wanted = re.compile("".join(marks.get(part, re.escape(part)) for part in parts))
    try:
        names = sorted(os.listdir(whole.parent))
    except OSError as error:
        raise DataError(f"{whole.parent} cannot be read ({error.strerror}).") from None
    found: dict[str, Path] = {}
    for name in names:
        if (match := wanted.fullmatch(name)) is None:
            continue
        if (run := match["run"]) in found:
            raise DataError(
                f"{found[run]} and {whole.parent / name} are both of run {run}; expected is one file a run."
            )
        found[run] = whole.parent / name
    return {run: found[run] for run in sorted(found, key=lambda run: (len(run), run))}


def load_predicted(path: Path, *, images: int, classes: int, several: bool) -> NDArray[np.float64]:
    """Probabilities (n, K) of one run, the images in the data set's order. Raises DataError, which says what was found.

    `several`: images have findings, whose probabilities have no sum to keep.
    """
    try:
        if not path.is_file():
            raise DataError(f"{path} is no regular file.")
        if path.stat().st_size > _MAX_BYTES:
            raise DataError(f"{path} has {path.stat().st_size:,} bytes; expected are {_MAX_BYTES:,} at the most.")
        found = _arrays(path) if path.suffix == ".npz" else _lines(path, images)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}).") from None
    if found.ndim != 2 or len(found) != images:
        shape = " x ".join(map(str, found.shape))
        raise DataError(f"{path} has probabilities of {shape}; expected is a row for each of {images:,} test images.")
    if not np.isfinite(found).all() or found.min() < 0 or found.max() > 1:
        row, column = np.argwhere(~((found >= 0) & (found <= 1)))[0]
        raise DataError(
            f"{path} gives image {row} the value {found[row, column]:g}; expected are probabilities, 0 to 1."
        )
    if found.shape[1] == 1 and classes == 2 and not several:
        found = np.concatenate([1 - found, found], axis=1)
    if found.shape[1] != classes:
        what = "findings" if several else "classes"
        raise DataError(f"{path} has {found.shape[1]} probabilities an image; the data set has {classes} {what}.")
    if not several and (off := np.abs(found.sum(1) - 1)).max() > _ROUNDING:
        row = int(off.argmax())
        raise DataError(f"{path}: the probabilities of image {row} sum to {found[row].sum():.3g}; expected is 1.")
    return found


def _lines(path: Path, images: int) -> NDArray[np.float64]:
    """Of a CSV file, its lines put in the order of their places."""
    try:
        lines = np.loadtxt(path, delimiter=",", ndmin=2, encoding="utf-8", comments=None)
    except ValueError as error:  # UnicodeDecodeError is one
        raise DataError(
            f"{path} is not as medmnist writes predictions, lines of numbers without a header: {error}"
        ) from None
    places = lines[:, 0] if lines.size else np.empty(0)
    if len(places) != images:
        raise DataError(f"{path} has {len(places):,} lines; expected is one for each of {images:,} test images.")
    if not np.array_equal(np.sort(places), np.arange(images)):
        raise DataError(
            f"{path}: the first column is not each of 0 to {images - 1} once, the places of the test images."
        )
    if lines.shape[1] < 2:
        raise DataError(f"{path} has one column, the places of the images; expected are probabilities after it.")
    return lines[np.argsort(places), 1:]


def _arrays(path: Path) -> NDArray[np.float64]:
    """Of an .npz file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if "probabilities" not in file.files:
                raise DataError(
                    f"{path} has {', '.join(file.files) or 'no array'}; expected is an array `probabilities`."
                )
            found: NDArray[np.float64] = file["probabilities"]
    except (ValueError, EOFError, zipfile.BadZipFile, AttributeError) as error:  # np.load of .npy has no `files`
        raise DataError(f"{path} is no .npz file that can be read: {error}") from None
    if found.dtype.kind not in "fiu":
        raise DataError(f"{path} has probabilities of type {found.dtype}; expected are numbers.")
    return found.astype(np.float64)
