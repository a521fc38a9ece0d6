"""How good a set of synthetic images is: every measure, in the space of pixels and of features.

Features come without downloads: the first principal components of the training pixels, and any
function of images that the caller names, such as the penultimate layer of a classifier. The
distances are therefore our own and compare with no other paper's KID or FID.

Shapes: n images (n, H, W, C) uint8 with labels (n,) int in 0..K-1; D features an image. Of several findings an image
labels are (n, K) of 0 and 1. Where sets of images are compared in one mix of classes, an image then counts for the
rarest finding that it has, by the training images; class by class are all images that have a finding, and, as class K,
those that have none.
"""

import functools
import operator
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from medaug_keras import labels as labels_of
from medaug_keras.evaluation.chosen import BLOCK_BYTES, Chosen, Pixels, Rows
from medaug_keras.evaluation.copying import (
    FALSE_ALARM,
    FOUND,
    NOT_FOUND,
    Nearest,
    closest_pairs,
    duplicates,
    look_for_copies,
    nearest,
    nearest_aligned,
    thumbnails,
)
from medaug_keras.evaluation.maps import feature_map
from medaug_keras.evaluation.similarity import (
    LEAST_IMAGES,
    class_consistency,
    class_counts,
    draw,
    flat,
    frechet_with_floor,
    kernel_distance,
    precision_recall,
    scaled,
    too_few,
)

Extractor = Callable[[NDArray[np.uint8]], NDArray[Any]]  # (n, H, W, C) -> (n, D)

ALIGNED = "aligned"
"""The space in which only copies are looked for: thumbnails, moved and turned against each other."""

_ROWS = 1024
_ALL = slice(None)
_SMALL = 2**12  # pixels up to which their covariance matrix (67 MB) is used; at 224 x 224 x 3 it would have 91 GB


def pixel_components(train_images: NDArray[np.uint8], *, components: int, limit: int, seed: int) -> Extractor:
    """The first principal components of training pixels, as a function of images.

    Fitted on at most `limit` training images. Fewer components if there are fewer images or pixels. Pixels become
    floats a block of images, or of columns, at a time.
    """
    rng = np.random.default_rng(seed)
    chosen = np.sort(rng.permutation(len(train_images))[:limit])
    pixels = _rows(train_images)
    count, size = len(chosen), pixels.shape[1]
    columns = _blocks(size, count)
    mean = np.concatenate([pixels[:, some][chosen].mean(axis=0, dtype=np.float64) for some in columns])
    mean = mean.astype(np.float32)

    def floats(images: Any, some: slice = _ALL) -> NDArray[np.float32]:
        """Columns of the pixels at some places, less the mean."""
        part: NDArray[np.float32] = pixels[:, some][images].astype(np.float32)
        part -= mean[some]
        return part

    kept = min(components, size, max(1, count - 1))
    if size <= max(count, _SMALL):
        parts = (floats(chosen[some]) for some in _blocks(count, size))
        covariance = functools.reduce(operator.iadd, (part.T @ part for part in parts)) / count
        _, directions = linalg.eigh(covariance, subset_by_index=(size - kept, size - 1))
    else:  # the same directions from all products of two images, of which there are far fewer
        parts = (floats(chosen, some) for some in columns)
        products = functools.reduce(operator.iadd, (part @ part.T for part in parts)) / count
        _, weights = linalg.eigh(products, subset_by_index=(count - kept, count - 1))
        directions = np.concatenate([floats(chosen, some).T @ weights for some in columns])
        directions /= np.maximum(np.linalg.norm(directions, axis=0), np.finfo(np.float32).tiny)
    directions = directions[:, ::-1].astype(np.float32)

    def project(images: NDArray[np.uint8]) -> NDArray[Any]:
        rows = _rows(images)
        parts = [(rows[some].astype(np.float32) - mean) @ directions for some in _blocks(len(rows), size, most=_ROWS)]
        return np.concatenate(parts) if parts else np.zeros((0, kept), np.float32)

    return project


def _blocks(length: int, width: int, *, most: int = sys.maxsize) -> list[slice]:
    """Slices that cover `length` rows of `width` floats, each of BLOCK_BYTES at most, and of `most` rows."""
    step = max(1, min(most, BLOCK_BYTES // (4 * max(1, width))))
    return [slice(top, min(top + step, length)) for top in range(0, length, step)]


def quality(
    *,
    train_images: NDArray[np.uint8],
    train_labels: NDArray[np.int64],
    test_images: NDArray[np.uint8],
    test_labels: NDArray[np.int64],
    synthetic_images: NDArray[np.uint8],
    synthetic_labels: NDArray[np.int64],
    extractors: Mapping[str, Extractor],
    synthetic_probabilities: Sequence[NDArray[Any]],
    test_probabilities: Sequence[NDArray[Any]],
    components: int,
    neighbours: int,
    draws: int,
    limit: int,
    seed: int,
) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Every measure of one set of synthetic images: values for a record, and arrays for its files.

    The space "pixels" (all of them for copying, their first `components` principal components for
    the rest) is always there; `extractors` add others by name. Features are centred on the training
    images and divided by their root mean square there, so that spaces are on one scale. In the space
    "aligned" copies are looked for and nothing else.

    At most `limit` images enter a comparison on each side (drawn by `seed`), except that all
    training images are searched for originals. With 3,900 synthetic and 97,477 training grey images
    of 28 x 28 pixels and one extractor this takes some 50 s of one core, and 0.4 GB besides the
    arguments.

    values: {"images", "verdict", "class_consistency", "duplicates", "spaces": {name: {"features",
    "kid", "kid_real", "fd", "classes": [...], "copying"}, "aligned": {"copying"}}}; a space of
    `extractors` has a "map" too.
    arrays: for each space NAME_synthetic, NAME_train and NAME_test, the images of the closest pairs
    and beside them the nearest test image, with NAME_train_mirrored, NAME_test_mirrored (is it the
    mirror image that is near?), NAME_train_index, NAME_synthetic_index, their distances
    NAME_train_distance and NAME_test_distance; NAME_distances (m, 2) of every synthetic image to
    train and to test, NAME_real_distances (n,) of test images to train.
    """
    if {"pixels", ALIGNED} & extractors.keys():
        raise ValueError('the spaces "pixels" and "aligned" are made here: give the extractor another name')
    if len(train_images) < 2 or not len(test_images) or not len(synthetic_images):
        raise ValueError("training images are needed, at least 2, and a test and a synthetic image")
    rng = np.random.default_rng(seed)
    few = np.sort(rng.permutation(len(synthetic_images))[:limit])
    unseen = np.sort(rng.permutation(len(test_images))[: limit // 2])
    sample = np.sort(rng.permutation(len(train_images))[: limit // 2])
    train, test, synthetic = Chosen(train_images), Chosen(test_images, unseen), Chosen(synthetic_images, few)
    labels = {"synthetic": synthetic_labels[few], "train": train_labels, "test": test_labels}
    sorts = {kind: labels_of.rarest(some, among=train_labels) for kind, some in labels.items()}

    values: dict[str, Any] = {
        "images": len(synthetic_images),
        "class_consistency": class_consistency(
            synthetic_labels, synthetic_probabilities, test_labels, test_probabilities
        ),
        "duplicates": _duplicates(train, synthetic, sorts, limit // 2, seed),
        "spaces": {},
    }
    arrays: dict[str, NDArray[Any]] = {}
    principal = pixel_components(train_images, components=components, limit=limit, seed=seed)
    for name, extract in {"pixels": principal, **extractors}.items():
        rows = _one_scale(
            {
                "train": extract(train_images),
                "test": extract(test_images),
                "synthetic": synthetic.by_block(extract),
            }
        )
        values["spaces"][name] = _distances(rows, labels, sorts, neighbours, draws, limit, seed)
        if name in extractors:
            values["spaces"][name]["map"] = feature_map(rows, sorts, limit=limit, seed=seed)
    searches: dict[str, tuple[Callable[[Chosen], Rows], Callable[..., Nearest]]] = {
        "pixels": (Pixels, nearest),  # all of them, not their components
        **{name: (functools.partial(Chosen.by_block, look=extract), nearest) for name, extract in extractors.items()},
        ALIGNED: (functools.partial(Chosen.by_block, look=thumbnails), nearest_aligned),
    }
    for name, (look, find) in searches.items():
        copying, found = look_for_copies(
            synthetic=look(synthetic),
            synthetic_mirrored=look(synthetic.mirror()),
            synthetic_labels=sorts["synthetic"],
            train=look(train),
            test=look(test),
            test_mirrored=look(test.mirror()),
            test_labels=sorts["test"][unseen],
            sample=sample,
            sample_mirrored=look(train.at(sample).mirror()),
            find=find,
            false_alarm=FALSE_ALARM / len(searches),
            draws=draws,
            seed=seed,
        )
        values["spaces"].setdefault(name, {})["copying"] = copying
        nearest_pairs = closest_pairs(found)
        for kind, images in (("train", train), ("test", test)):
            index = found[f"{kind}_index"][nearest_pairs]
            arrays[f"{name}_{kind}"] = images[index]
            arrays[f"{name}_{kind}_mirrored"] = found[f"{kind}_mirrored"][nearest_pairs]
            arrays[f"{name}_{kind}_distance"] = found[f"{kind}_distance"][nearest_pairs]
        arrays[f"{name}_synthetic"] = synthetic[nearest_pairs]
        arrays[f"{name}_synthetic_index"] = few[nearest_pairs]
        arrays[f"{name}_train_index"] = found["train_index"][nearest_pairs]
        arrays[f"{name}_distances"] = np.column_stack([found["train_distance"], found["test_distance"]])
        arrays[f"{name}_real_distances"] = found["real_distance"]
    copied = any(space["copying"]["verdict"] == FOUND for space in values["spaces"].values())
    return {**values, "verdict": FOUND if copied else NOT_FOUND}, arrays


def _distances(
    rows: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.int64]],
    sorts: Mapping[str, NDArray[np.int64]],
    neighbours: int,
    draws: int,
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """The measures of one space that compare distributions; rows, labels and what they count for by "train" ... ."""
    rng = np.random.default_rng(seed)
    wanted, stock = class_counts(sorts["synthetic"], sorts["train"])
    counts = scaled(wanted, stock, limit, largest=np.inf)
    real = rows["train"][flat(draw(sorts["train"], counts, rng))]
    wanted, stock = class_counts(sorts["synthetic"], sorts["test"])
    counts = scaled(wanted, stock, limit, largest=np.inf)
    unseen = rows["test"][flat(draw(sorts["test"], counts, rng))]
    several = labels_of.several(labels["train"])
    classes = labels["train"].shape[1] + 1 if several else 1 + max(int(some.max()) for some in labels.values())
    return {
        "features": rows["train"].shape[1],
        "kid": _kid(real, rows["synthetic"]),
        "kid_real": _kid(real, unseen),
        "fd": frechet_with_floor(
            rows["train"],
            sorts["train"],
            rows["synthetic"],
            sorts["synthetic"],
            draws=draws,
            limit=limit,
            seed=seed,
        ),
        "classes": [_class_measures(rows, labels, index, neighbours, limit, rng) for index in range(classes)],
    }


def _kid(real: NDArray[Any], other: NDArray[Any]) -> dict[str, Any]:
    """`kernel_distance` with the numbers of images; None, with the reason, if they are too few."""
    sizes = {"images": len(other), "real_images": len(real)}
    least = min(sizes.values())
    if least < LEAST_IMAGES:
        return {"value": None, "low": None, "high": None, **sizes, "reason": too_few(least)}
    return {**kernel_distance(real, other), **sizes, "reason": None}


def _class_measures(
    rows: Mapping[str, NDArray[Any]],
    labels: Mapping[str, NDArray[np.int64]],
    index: int,
    neighbours: int,
    limit: int,
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Precision, recall, density, coverage of one class; under "real" those of real test images.

    All four depend on how many images there are, so as many test as synthetic images are compared
    with the same training images.
    """
    mine = {
        kind: rows[kind][rng.permutation(np.flatnonzero(labels_of.members(labels[kind], index)))[:limit]]
        for kind in ("train", "synthetic", "test")
    }
    short = [kind for kind in ("train", "synthetic") if len(mine[kind]) <= neighbours]
    result: dict[str, Any] = {"class": index, "reason": None, "real": None}
    if short:
        result["reason"] = "; ".join(
            f"{len(mine[kind])} {kind} images, more than {neighbours} are needed" for kind in short
        )
        names = ("precision", "recall", "density", "coverage")
        return {**result, **dict.fromkeys(names), "images": 0, "real_images": len(mine["train"])}
    size = len(mine["synthetic"])
    if len(mine["test"]) > neighbours:
        size = min(size, len(mine["test"]))
        result["real"] = precision_recall(mine["train"], mine["test"][:size], neighbours=neighbours)
    found = precision_recall(mine["train"], mine["synthetic"][:size], neighbours=neighbours)
    return {**result, **found, "images": size, "real_images": len(mine["train"])}


def _duplicates(
    train: Chosen,
    synthetic: Chosen,
    labels: Mapping[str, NDArray[np.int64]],
    limit: int,
    seed: int,
) -> dict[str, Any]:
    """`duplicates` among the pixels of as many real as synthetic images, in the same mix."""
    rng = np.random.default_rng(seed)
    wanted, stock = class_counts(labels["synthetic"], labels["train"])
    counts = scaled(wanted, stock, limit, largest=1.0)
    size = int(counts.sum())
    if size < LEAST_IMAGES:
        names = ("identical", "identical_real", "near", "near_real", "threshold")
        return {"images": size, **dict.fromkeys(names), "reason": too_few(size)}
    found = duplicates(
        Pixels(synthetic.at(flat(draw(labels["synthetic"], counts, rng)))),
        Pixels(train.at(flat(draw(labels["train"], counts, rng)))),
    )
    return {**found, "reason": None}


def _one_scale(rows: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[np.float64]]:
    """Features centred on the training images and divided by their root mean square there."""
    mean = rows["train"].mean(axis=0, dtype=np.float64)
    scale = float(np.sqrt(np.mean((rows["train"] - mean) ** 2)))
    if not np.isfinite(scale):
        raise ValueError("some features of training images are not finite")
    return {kind: (some - mean) / (scale or 1.0) for kind, some in rows.items()}


def _rows(images: NDArray[Any]) -> NDArray[Any]:
    """(n, H, W, C) -> (n, H*W*C)."""
    return images.reshape(len(images), -1)
