"""Your own images in one .npz file with MedMNIST's array names."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from medaug_keras import labels as labels_of
from medaug_keras.data import checksums, npz, windows
from medaug_keras.data.dataset import (
    MAX_BYTES,
    DataError,
    Dataset,
    Filter,
    Fit,
    Problems,
    Sizes,
    Split,
    check_classes,
    check_image_size,
    check_names,
    check_not_one_hot,
    class_numbers,
    findings,
    numbered_classes,
)
from medaug_keras.data.pixels import Conversion, is_enlarged, squares
from medaug_keras.data.room import Memory, Room, counting


def npz_sizes(
    path: Path,
    *,
    classes: Sequence[str] | None,
    size: int | None,
    fit: Fit | None = None,
    window: Mapping[str, Any] | None = None,
    max_bytes: int | None = None,
) -> Sizes:
    """Sizes of an .npz file from its headers; the training labels are read where `classes` is None."""
    _check_window(window, path.name)
    with npz.opened(path) as file:
        headers = npz.read_headers(file, where=path.name, max_bytes=max_bytes, windowed=window is not None)
        height, width, channels = npz.image_shape(headers)
        check_image_size((height, width), size=size, fit=fit, where=path.name)
        if classes is None:
            labels = npz.read_train_labels(file, where=path.name)
            classes = numbered_classes(labels, where=f"{path.name}, train split")
    side = size or height
    several = npz.findings(headers) > 0
    return Sizes((side, side, channels), tuple(classes), **npz.counts(headers), several=several)


def npz_fingerprint(path: Path, *, cache: Path | None) -> str:
    """MD5 of the file."""
    with npz.opened(path):  # says what stands in its place
        pass
    return checksums.md5_of_file(path, cache=cache)


def load_npz(
    path: Path,
    *,
    name: str,
    title: str,
    classes: Sequence[str] | None,
    size: int | None,
    fit: Fit | None = None,
    filter: Filter = "bilinear",
    window: Mapping[str, Any] | None = None,
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
    room: Room | None = None,
    report: Callable[[str], None] | None = None,
) -> Dataset:
    """Own images from one .npz file.

    Arrays train_images, val_images, test_images: uint8, (N, H, W), (N, H, W, 1) or (N, H, W, 3); train_labels,
    val_labels, test_labels: (N,) or (N, 1), class numbers from 0, or (N, K), 1 for each of K findings that an image
    has, else 0. Grey images may be of other numbers where `window`
    says which of them become 0 to 255: {low, high}, {centre, width}, or {percentiles} of the training images.
    `classes` names the labels; None calls them "0", "1", ... `size`, `fit` and `filter` resize the images; see
    `pixels.Conversion`. They go where `room` has places for them; without it into memory, `max_bytes` at most. `report`
    is told how the reading goes.
    Raises one DataError that names everything that is wrong; a class may be absent from validation and test.
    """
    _check_window(window, path.name)
    room = room or Memory(max_bytes)
    with npz.opened(path) as file:
        md5 = checksums.md5_of_stream(file)
        headers = npz.read_headers(file, where=path.name, max_bytes=room.max_bytes, windowed=window is not None)
        labels = npz.read_labels(file, where=path.name)
        height, width, channels = npz.image_shape(headers)
        problems, numbers = Problems(), {}
        names: tuple[str, ...] = ()
        with problems.collected():
            check_image_size((height, width), size=size, fit=fit, where=path.name)
        with problems.collected():
            where = f"{path.name}, train split"
            names = numbered_classes(labels["train"], where=where) if classes is None else tuple(classes)
            several = labels_of.several(labels["train"])
            check_names(names, where=path.name, what="finding" if several else "class")
            for split, some in labels.items():
                with problems.collected():
                    said = f"{path.name}, {split} split"
                    numbers[split] = (
                        findings(some, where=said) if several else class_numbers(some, classes=len(names), where=said)
                    )
            if len(numbers) == len(labels):
                _check_fit(names, numbers, where=path.name)
        problems.check()
        found = _window(window, file, path.name)
        how = Conversion(size=size, fit=fit, filter=filter, colour=None, window=found)
        side = size or height
        shapes = {split: (count, side, side, channels) for split, count in npz.counts(headers).items()}
        places = room(shapes, path.name)
        count = counting(report, title, sum(shape[0] for shape in shapes.values()))
        npz.read_images(
            file, places, where=path.name, change=lambda some: squares(_bytes(some, found), how), count=count
        )
    splits = {split: Split(places[split].images(), numbers[split]) for split in places}
    return Dataset(
        name=name,
        title=title,
        classes=names,
        source="own",
        md5=md5,
        official_md5=None,
        licence=licence,
        homepage="",
        citation=citation,
        description=f"Own images, read from {path.name}." + windows.told(found),
        enlarged=is_enlarged((height, width, channels), how) * sum(map(len, numbers.values())),
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


def _check_window(window: Mapping[str, Any] | None, where: str) -> None:
    if window is not None and windows.declared(window) == "dicom":
        raise DataError(f"{where} is no DICOM file, so it names no window. Give `window` a low and a high.")


def _window(settings: Mapping[str, Any] | None, file: BinaryIO, where: str) -> windows.Window | None:
    """What a section says, or what percentiles of the training images are."""
    found = windows.declared(settings) if settings is not None else None
    if settings is None or isinstance(found, tuple):
        return found if isinstance(found, tuple) else None
    low, high = settings["percentiles"]
    return windows.percentiles(lambda: (some for _, some in npz.blocks(file, "train", where=where)), low, high)


def _bytes(images: np.ndarray, window: windows.Window | None) -> np.ndarray:
    return images if window is None else windows.windowed(images, window)


def _check_fit(classes: Sequence[str], labels: Mapping[str, np.ndarray], *, where: str) -> None:
    """Refuse names that do not fit the labels of the splits, (N,) or (N, K)."""
    if labels_of.several(labels["train"]):
        columns = labels["train"].shape[1]
        if len(classes) != columns:
            raise DataError(
                f"{where}: `classes` has {len(classes)} names, but the labels have {columns} columns. Give one name "
                "for each finding, in their order."
            )
        check_not_one_hot(list(labels.values()), where=where, mend="Save their numbers: labels.argmax(axis=1).")
        check_classes(labels["train"], classes, where=where)
        return
    found = 1 + max(int(numbers.max()) for numbers in labels.values())
    shown = ", ".join(classes[:6]) + ", ..." * (len(classes) > 6)
    if len(classes) > found > 1:
        raise DataError(
            f"{where}: `classes` has {len(classes)} names ({shown}), but "
            f"the labels are 0 to {found - 1}. Give one name for each label, in their order."
        )
    check_classes(labels["train"], classes, where=where)
