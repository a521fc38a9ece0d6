"""Which generated images are taken: those whose class is recognized, and that copy no training image.

Shapes: n images (n, H, W, C) uint8 of labels (n,) in 0..K-1.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from medaug_keras.evaluation.chosen import Chosen, Pixels
from medaug_keras.evaluation.copying import nearest

Images = NDArray[np.uint8]
Labels = NDArray[np.int64]
Refuses = Callable[[Images, Labels], Mapping[str, NDArray[np.bool_]]]
"""Images and labels -> reason -> which (n,) are refused for it."""

_QUERIES = 4000
"""Training images, at most, whose nearest other one is sought: a percentile needs no more."""


def real_distance(train: Images, *, percentile: float, seed: int) -> float:
    """This percentile of the distances from training images to their nearest other one, in gray levels.

    An image and its mirror image count as one. Needs two training images.
    """
    some = np.sort(np.random.default_rng(seed).permutation(len(train))[:_QUERIES])
    queries = Chosen(train, some)
    found = nearest(Pixels(queries), Pixels(queries.mirror()), Pixels(Chosen(train)), itself=some)
    return float(np.percentile(found.distance, percentile))


def too_near(images: Images, train: Images, *, distance: float) -> NDArray[np.bool_]:
    """(n,) Which images are no farther from a training image, or its mirror image, than so many gray levels."""
    queries = Chosen(images)
    found = nearest(Pixels(queries), Pixels(queries.mirror()), Pixels(Chosen(train)))
    return np.asarray(found.distance <= distance)


@dataclass(frozen=True)
class Counts:
    """What became of the images of each class, (K,) each."""

    drawn: NDArray[np.int64]
    refused: Mapping[str, NDArray[np.int64]]
    """By the first reason that refuses an image."""


def judged(images: Images, labels: Labels, refuses: Refuses, *, num_classes: int) -> tuple[NDArray[np.bool_], Counts]:
    """(n,) which images are kept, and the counts."""
    kept, refused = np.ones(len(labels), bool), {}
    for reason, wrong in refuses(images, labels).items():
        refused[reason] = np.bincount(labels[kept & wrong], minlength=num_classes)
        kept &= ~wrong
    return kept, Counts(np.bincount(labels, minlength=num_classes), refused)


def filtered(
    labels: Labels, sample: Callable[[int], Images], refuses: Refuses, *, draws: int, num_classes: int
) -> tuple[Images, Counts]:
    """Images of these classes that are not refused, and the counts of all that were drawn.

    `sample` makes an image for each label, of the number of the draw: always all of them, because what a generator
    makes may depend on the classes that it makes together. It is called `draws` times at most.

    Raises ValueError, which names every class of which too few images are kept.
    """
    wanted = np.bincount(labels, minlength=num_classes)
    images: Images | None = None
    filled, every = np.zeros(len(labels), bool), list[Counts]()
    for number in range(draws):
        made = sample(number)
        kept, counts = judged(made, labels, refuses, num_classes=num_classes)
        every.append(counts)
        images = np.empty_like(made) if images is None else images
        for k in np.flatnonzero(wanted):
            open_places, good = (np.flatnonzero(some & (labels == k)) for some in (~filled, kept))
            taken = min(len(open_places), len(good))
            images[open_places[:taken]] = made[good[:taken]]
            filled[open_places[:taken]] = True
        if filled.all():
            break
    reasons = every[0].refused if every else {}
    whole = Counts(
        np.sum([one.drawn for one in every], axis=0),
        {reason: np.sum([one.refused[reason] for one in every], axis=0) for reason in reasons},
    )
    if images is None or not filled.all():
        short = [
            f"{whole.drawn[k] - sum(n[k] for n in whole.refused.values()):,} of {whole.drawn[k]:,} of class {k}, and "
            f"{wanted[k]:,} are asked for"
            for k in np.unique(labels[~filled])
        ]
        raise ValueError(
            f"the filter keeps too few images: {'; '.join(short)}. Lower its probability or percentile, raise its "
            "draws, or train the generator for longer"
        )
    return images, whole
