"""Your own images in one .npz file with MedMNIST's array names."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from medaug_keras.data import checksums, npz
from medaug_keras.data.dataset import (
    MAX_BYTES,
    DataError,
    Dataset,
    Problems,
    Sizes,
    Split,
    check_classes,
    check_image_size,
    check_names,
    class_numbers,
    numbered_classes,
)


def npz_sizes(path: Path, *, classes: Sequence[str] | None, size: int | None, max_bytes: int = MAX_BYTES) -> Sizes:
    """Sizes of an .npz file from its headers; the training labels are read where `classes` is None."""
    with npz.opened(path) as file:
        headers = npz.read_headers(file, where=path.name, max_bytes=max_bytes)
        height, width, channels = npz.image_shape(headers)
        check_image_size((height, width), size=size, where=path.name)
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
    licence: str = "",
    citation: str = "",
    max_bytes: int = MAX_BYTES,
) -> Dataset:
    """Own images from one .npz file.

    Arrays train_images, val_images, test_images: uint8, (N, H, W), (N, H, W, 1) or (N, H, W, 3); train_labels,
    val_labels, test_labels: (N,) or (N, 1), class numbers from 0. `classes` names them; None calls them "0", "1", ...
    `size` resizes square images of another size (Pillow's bilinear filter, which averages when it shrinks).
    Raises one DataError that names everything that is wrong; a class may be absent from validation and test.
    """
    with npz.opened(path) as file:
        md5 = checksums.md5_of_stream(file)
        arrays = npz.read_arrays(file, where=path.name, max_bytes=max_bytes)
    problems, numbers = Problems(), {}
    names: tuple[str, ...] = ()
    with problems.collected():
        check_image_size(arrays["train"][0].shape[1:3], size=size, where=path.name)
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
    splits = {split: Split(_resized(images, size), numbers[split]) for split, (images, _) in arrays.items()}
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
        **splits,
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
