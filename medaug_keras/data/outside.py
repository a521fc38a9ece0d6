"""Further test sets from elsewhere: the images on which networks are tried, and the data set beside them."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medaug_keras import labels as labels_of
from medaug_keras.data.dataset import DataError, Dataset, Split


def tried(outside: Dataset, classes: Sequence[int] | None) -> Split:
    """The test images of a further test set, or all where it is not split; its class (or finding) k is class
    `classes[k]` of the networks. Raises DataError where these are not known to be the same.
    """
    some = outside.train if outside.whole else outside.test
    if classes is None or sorted(classes) != list(range(len(outside.classes))):
        raise DataError(
            f"{outside.title}: its classes ({', '.join(outside.classes)}) are not those of the data set whose networks "
            "are tried on it. Give them the same names."
        )
    if labels_of.several(some.labels):
        return replace(some, labels=some.labels[:, np.argsort(classes)])
    return replace(some, labels=np.array(classes, np.int64)[some.labels])


def beside(dataset: Dataset, outside: Dataset, classes: Sequence[int] | None) -> Dataset:
    """The data set with those images in place of its test images, to be audited.

    A group's name is that of another group elsewhere, so no group is in both. Raises DataError where the images are
    not alike.
    """
    test = tried(outside, classes)
    if test.images.shape[1:] != dataset.train.images.shape[1:]:
        raise DataError(unlike(outside.title, test.images.shape[1:], dataset.title, dataset.train.images.shape[1:]))
    groups = tuple(f"{outside.name}: {name}" for name in test.groups)
    ids = outside.names("train" if outside.whole else "test")
    return replace(dataset, test=replace(test, ids=ids, groups=groups), left_out={}, enlarged=outside.enlarged)


def unlike(outside: str, shape: Sequence[int], own: str, wanted: Sequence[int]) -> str:
    """That images (H, W, C) are not like those of the data set whose networks are tried on them, and how to mend it."""
    one, other = (f"{h} x {w} {'gray' if c == 1 else 'color'}" for h, w, c in (shape, wanted))
    return (
        f"{outside}: its images are {one}, and those of {own} are {other}. Set `colour: "
        f"{'grey' if wanted[2] == 1 else 'rgb'}` where the kind has it, or give images that are alike."
    )
