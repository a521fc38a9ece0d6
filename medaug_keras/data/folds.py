"""Cross-validation: every image is tested once, by a network that saw nothing of its group.

The images of a data set with folds stay together (`Dataset.whole`). A fold of them is a data set like any other, with
the splits of that fold. Every replicate cuts anew, and the same images are cut alike in whatever order they come.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from medaug_keras.counts import plural
from medaug_keras.data.dataset import SPLITS, DataError, Dataset, Problems, Split
from medaug_keras.data.splits import Folds, divided


def fold_of(ids: Sequence[str], labels: np.ndarray, groups: Sequence[str], folds: Folds, *, seed: int) -> np.ndarray:
    """The fold (N,) that tests each image: parts of one size, as alike in classes as groups allow.

    `seed` is the replicate's.
    """
    shares = [1 / folds.number] * folds.number
    return divided(ids, labels, groups, shares=shares, seed=f"{folds.seed}/{seed}/test", evenly=True)


def fold(dataset: Dataset, folds: Folds, *, seed: int, number: int) -> Dataset:
    """Fold `number`, from 0, of a data set whose images are all in `train`: with its own train, validation and test.

    `seed` is the replicate's. Raises DataError where a class has no image to train or to test.
    """
    images = dataset.train
    tests = fold_of(images.ids, images.labels, images.groups, folds, seed=seed)
    places = _places(images, folds, seed=seed, number=number, tests=tests)
    problem = _lacking(_counts(dataset, places), dataset.classes)
    if problem:
        raise DataError(f"{dataset.name}: fold {number} of {folds.number} {problem}.")
    train, validation, test = (_part(images, places == i) for i in range(len(SPLITS)))
    return replace(dataset, train=train, validation=validation, test=test)


def examined(dataset: Dataset, folds: Folds, *, seeds: Sequence[int]) -> dict[str, list[int]]:
    """Split → the fewest images of each class that it has in any fold of the replicates of these seeds.

    Raises one DataError with all that `fold` would refuse.
    """
    images, found, wrong = dataset.train, [], Problems()
    for replicate, seed in enumerate(seeds):
        tests = fold_of(images.ids, images.labels, images.groups, folds, seed=seed)
        for number in range(folds.number):
            counts = _counts(dataset, _places(images, folds, seed=seed, number=number, tests=tests))
            found.append(counts)
            problem = _lacking(counts, dataset.classes)
            if problem:
                wrong.found.append(f"fold {number} of replicate {replicate} {problem}.")
    wrong.check()
    return {split: [int(n) for n in np.min(found, axis=0)[i]] for i, split in enumerate(SPLITS)}


def check_folds(
    ids: Sequence[str],
    labels: np.ndarray,
    groups: Sequence[str],
    folds: Folds,
    *,
    classes: Sequence[str],
    where: str,
) -> None:
    """Refuse more folds than the rarest class has groups, since each is to test it."""
    names = np.array(groups or ids, dtype=object).astype(str)
    units = [len(np.unique(names[labels == k])) for k in range(len(classes))]
    rarest = int(np.argmin(units))
    most = units[rarest]
    if folds.number <= most:
        return
    has = plural(most, "group" if groups else "image")
    raise DataError(
        f"{where}: class {classes[rarest]} has {has}, too few for {folds.number} folds that each test every "
        f"class. {f'At most {most} folds are possible' if most > 1 else 'Folds are not possible'} with these classes."
    )


def sparse(dataset: Dataset, folds: Folds) -> str:
    """What to say of a class of which some fold tests a single group, or image; empty where there is none."""
    images = dataset.train
    names = np.array(images.groups or images.ids, dtype=object).astype(str)
    units = [len(np.unique(names[images.labels == k])) for k in range(len(dataset.classes))]
    rarest = int(np.argmin(units))
    if units[rarest] >= 2 * folds.number:
        return ""
    what = "group" if images.groups else "image"
    better = f". With at most {units[rarest] // 2} folds, each can have two" if units[rarest] >= 4 else ""
    return (
        f"class {dataset.classes[rarest]} has {units[rarest]} {what}s for {folds.number} folds, so some folds test it "
        f"by one {what} alone, which says little{better}"
    )


def _places(images: Split, folds: Folds, *, seed: int, number: int, tests: np.ndarray) -> np.ndarray:
    """Places in SPLITS (N,) of the images in one fold, from the folds that test them."""
    places = np.full(len(tests), SPLITS.index("test"))
    rest = np.flatnonzero(tests != number)
    if not len(rest):
        return places
    share = folds.validation / (1 - 1 / folds.number)  # of the rest
    places[rest] = divided(
        [images.ids[i] for i in rest],
        images.labels[rest],
        [images.groups[i] for i in rest] if images.groups else [],
        shares=[1 - share, share],  # in the order of SPLITS
        seed=f"{folds.seed}/{seed}/{number}",
        evenly=True,
    )
    return places


def _counts(dataset: Dataset, places: np.ndarray) -> np.ndarray:
    """(splits, classes) images."""
    counts = np.zeros((len(SPLITS), len(dataset.classes)), np.int64)
    np.add.at(counts, (places, dataset.train.labels), 1)
    return counts


def _lacking(counts: np.ndarray, classes: Sequence[str]) -> str:
    """What a fold lacks, in words, of (splits, classes) images; empty where it lacks nothing."""
    advice = "Ask for fewer folds, or set another `seed` in `split`"
    train, validation, test = counts
    for word, some in (("training", train), ("test", test)):
        if not some.all():
            return f"has no {word} image of class {classes[int(np.argmin(some))]}. {advice}"
    return "" if validation.any() else f"has no validation image. {advice}"


def _part(images: Split, there: np.ndarray) -> Split:
    which = np.flatnonzero(there)
    return Split(
        images.images[which],
        images.labels[which],
        tuple(images.ids[i] for i in which),
        tuple(images.groups[i] for i in which) if images.groups else (),
    )
