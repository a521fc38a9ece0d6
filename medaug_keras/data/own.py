"""Your own images in one .npz file with MedMNIST's array names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medaug_keras.data import checksums, npz
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
    class_numbers,
    numbered_classes,
)
from medaug_keras.data.pixels import Conversion, is_enlarged, squares


def npz_sizes(
    path: Path,
    *,
    classes: Sequence[str] | None,
    size: int | None,
    fit: Fit | None = None,
    max_bytes: int = MAX_BYTES,
) -> Sizes:
    """Sizes of an .npz file from its headers; the training labels are read where `classes` is None."""
    with npz.opened(path) as file:
        headers = npz.read_headers(file, where=path.name, max_bytes=max_bytes)
        height, width, channels = npz.image_shape(headers)
        check_image_size((height, width), size=size, fit=fit, where=path.name)
        if classes is None:
            labels = npz.read_train_labels(file, where=path.name)
            classes = numbered_classes(labels, where=f"{path.name}, train split")
    side = size or height
    return Sizes((side, side, channels), tuple(classes), **npz.counts(headers))


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
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Own images from one .npz file.

    Arrays train_images, val_images, test_images: uint8, (N, H, W), (N, H, W, 1) or (N, H, W, 3); train_labels,
    val_labels, test_labels: (N,) or (N, 1), class numbers from 0. `classes` names them; None calls them "0", "1", ...
    `size`, `fit` and `filter` resize them; see `pixels.Conversion`.
    Raises one DataError that names everything that is wrong; a class may be absent from validation and test.
    """
    with npz.opened(path) as file:
        md5 = checksums.md5_of_stream(file)
        arrays = npz.read_arrays(file, where=path.name, max_bytes=max_bytes)
    problems, numbers = Problems(), {}
    names: tuple[str, ...] = ()
    with problems.collected():
        check_image_size(arrays["train"][0].shape[1:3], size=size, fit=fit, where=path.name)
    with problems.collected():
        where = f"{path.name}, train split"
        names = numbered_classes(arrays["train"][1], where=where) if classes is None else tuple(classes)
        check_names(names, where=path.name)
        for split, (_, labels) in arrays.items():
            with problems.collected():
                numbers[split] = class_numbers(labels, classes=len(names), where=f"{path.name}, {split} split")
        if len(numbers) == len(arrays):
            _check_fit(names, numbers, where=path.name)
    problems.check()
    how = Conversion(size=size, fit=fit, filter=filter, colour=None)
    splits = {
        split: Split(np.ascontiguousarray(squares(images, how)), numbers[split])
        for split, (images, _) in arrays.items()
    }
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
        description=f"Own images, read from {path.name}.",
        enlarged=sum(len(images) * is_enlarged(images.shape[1:], how) for images, _ in arrays.values()),
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
    )


def _check_fit(classes: Sequence[str], labels: Mapping[str, np.ndarray], *, where: str) -> None:
    """Refuse names that do not fit the labels (N,) of the splits."""
    found = 1 + max(int(numbers.max()) for numbers in labels.values())
    shown = ", ".join(classes[:6]) + ", ..." * (len(classes) > 6)
    if len(classes) > found > 1:
        raise DataError(
            f"{where}: `classes` has {len(classes)} names ({shown}), but "
            f"the labels are 0 to {found - 1}. Give one name for each label, in their order."
        )
    check_classes(labels["train"], classes, where=where)
