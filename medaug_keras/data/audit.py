"""What is odd about a data set and yet can be trained on, in numbers, and in words for those who judge its results.

Images count as identical where all their pixels are, after resizing. Near duplicates are not looked for.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from medaug_keras.data.dataset import SPLITS, Dataset
from medaug_keras.data.medmnist import NOTHING_NEW

_POINTS, _ERRORS = 0.05, 3  # of a difference in shares, and in its standard errors, from which it is said
_PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
_EARLIER = {"validation": ("train",), "test": ("train", "validation")}


def audit(dataset: Dataset) -> dict[str, Any]:
    """Numbers of images, as plain JSON values, for each split:

    constant: all pixels equal. dark: no pixel above 1 of 255. distinct: different images.
    conflicting: identical to one of another class, in any split.
    groups, largest_group: how many groups (patients ...) there are, and images of the largest; only where groups are
    known, as what follows. group_in_train, group_in_validation: of a group that has an image in that split.
    in_train, in_validation: identical to an image of that split; other_class of the same: none of those has its label.
    """
    digests = {split: _digests(getattr(dataset, split).images) for split in SPLITS}
    labels = {split: getattr(dataset, split).labels.tolist() for split in SPLITS}
    seen: dict[str, dict[bytes, set[int]]] = {split: {} for split in SPLITS}  # image → its classes there
    classes: dict[bytes, set[int]] = {}
    for split in SPLITS:
        for digest, label in zip(digests[split], labels[split], strict=True):
            seen[split].setdefault(digest, set()).add(label)
            classes.setdefault(digest, set()).add(label)
    found: dict[str, Any] = {}
    for split in SPLITS:
        images = getattr(dataset, split).images
        found[split] = {
            "constant": int(np.sum(_highest(images) == _lowest(images))),
            "dark": int(np.sum(_highest(images) <= 1)),
            "distinct": len(seen[split]),
            "conflicting": sum(len(classes[digest]) > 1 for digest in digests[split]),
        }
        for other in _EARLIER.get(split, ()):
            known = seen[other]
            pairs = [(known[d], k) for d, k in zip(digests[split], labels[split], strict=True) if d in known]
            found[split][f"in_{other}"] = len(pairs)
            found[split][f"in_{other}_other_class"] = sum(k not in theirs for theirs, k in pairs)
        found[split] |= _groups(dataset, split)
    return found


def _groups(dataset: Dataset, split: str) -> dict[str, int]:
    sizes = Counter(getattr(dataset, split).groups)
    if not sizes:
        return {}
    known = {other: set(getattr(dataset, other).groups) for other in _EARLIER.get(split, ())}
    return {
        "groups": len(sizes),
        "largest_group": max(sizes.values()),
        **{f"group_in_{o}": sum(n for group, n in sizes.items() if group in there) for o, there in known.items()},
    }


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on a data set's summary with its `audit`, what weighs most first; none where nothing is odd."""
    sizes = {split: summary["splits"][split]["images"] for split in SPLITS}
    found = summary["audit"]
    if not sizes["test"]:  # all images stay together, and each fold has splits of its own
        return [
            *_repeated_in_folds(found["train"], sizes["train"]),
            *_conflicting(found, sizes, ""),
            *_plain(found["train"] | {"distinct": sizes["train"]}, "", sizes["train"]),
            *_nothing_new(summary),
        ]
    return [
        *(text for split, other in _PAIRS for text in _shared(found[split], split, other, sizes[split])),
        *(text for split, other in _PAIRS for text in _parted(found[split], split, other, sizes[split])),
        *_conflicting(found, sizes, " of all splits"),
        *(text for split in SPLITS for text in _plain(found[split], split, sizes[split])),
        *(text for split in SPLITS for text in _classes(summary, split)),
        *_prevalence(summary),
        *_nothing_new(summary),
    ]


def learnt(summary: Mapping[str, Any]) -> dict[str, str]:
    """The warnings of test images that are themselves in training ("images"), or whose group is ("groups")."""
    found, size = summary["audit"]["test"], summary["splits"]["test"]["images"]
    said = {"images": _shared(found, "test", "train", size), "groups": _parted(found, "test", "train", size)}
    return {what: texts[0] for what, texts in said.items() if texts}


def _parted(found: Mapping[str, int], split: str, other: str, size: int) -> list[str]:
    count = found.get(f"group_in_{other}", 0)
    if not count:
        return []
    known = {
        ("test", "train"): "results on them say little about new groups",
        ("validation", "train"): "the best epoch is chosen with groups that were learnt",
        ("test", "validation"): "the best epoch is chosen with groups that are tested",
    }[split, other]
    there = "training" if other == "train" else other
    one = "is of a group" if count == 1 else "are of groups"
    return [f"{_part(count, size)} {split} images {one} (a patient, a lesion ...) with images in {there} too: {known}."]


def _prevalence(summary: Mapping[str, Any]) -> list[str]:
    """Classes whose share in test differs from that in training, by 5 points and by more than chance makes it."""
    counts = {split: np.array(summary["splits"][split]["per_class"]) for split in ("train", "test")}
    sizes = {split: int(found.sum()) for split, found in counts.items()}
    shares = {split: found / sizes[split] for split, found in counts.items()}
    apart = np.abs(shares["test"] - shares["train"])
    both = (counts["train"] + counts["test"]) / sum(sizes.values())
    error = np.sqrt(both * (1 - both) * (1 / sizes["train"] + 1 / sizes["test"]))
    odd = np.flatnonzero((apart >= _POINTS) & (apart > _ERRORS * error))
    if not len(odd):
        return []
    k = odd[np.argmax(apart[odd])]
    return [
        f"{100 * shares['test'][k]:.1f} % of the test images and {100 * shares['train'][k]:.1f} % of the training "
        f"images are {summary['classes'][k]}: accuracy and calibration depend on such shares."
    ]


def _repeated_in_folds(found: Mapping[str, int], size: int) -> list[str]:
    many = size - found["distinct"]
    if not many:
        return []
    repeats = "repeats" if many == 1 else "repeat"
    return [
        f"{_part(many, size)} images {repeats} another one: where such images are in different folds, one is learnt "
        "and the other tested. Give them one group, or leave all but one out with `drop`."
    ]


def _nothing_new(summary: Mapping[str, Any]) -> list[str]:
    """Of MedMNIST's set at a size above that of its source."""
    first, why = NOTHING_NEW.get(summary["name"], (0, ""))
    size = summary["image_shape"][0]
    if not first or size < first or not summary["official_md5"]:
        return []
    return [f"Images of {size} x {size} hold little or nothing that smaller ones do not: {why}."]


def _shared(found: Mapping[str, int], split: str, other: str, size: int) -> list[str]:
    count, mislabelled = found[f"in_{other}"], found[f"in_{other}_other_class"]
    if not count:
        return []
    known = {
        ("test", "train"): "results on them say nothing about new images",
        ("validation", "train"): "the best epoch is chosen with images that were learnt",
        ("test", "validation"): "the best epoch is chosen with images that are tested",
    }[split, other]
    labels = f"; {_are(mislabelled)} of another class there" if mislabelled else ""
    where = "a training image" if other == "train" else "a validation image"
    return [f"{_part(count, size)} {split} images {_is(count)} identical to {where}{labels}: {known}."]


def _conflicting(found: Mapping[str, Any], sizes: Mapping[str, int], where: str) -> list[str]:
    count = sum(found[split]["conflicting"] for split in SPLITS)
    if not count:
        return []
    return [f"{_part(count, sum(sizes.values()))} images{where} occur with different classes, of which one is wrong."]


def _plain(found: Mapping[str, int], split: str, size: int) -> list[str]:
    word = {"train": "training ", "": ""}.get(split, f"{split} ")
    said = []
    if found["dark"] == size and found["constant"] < size:
        said.append(f"The {word}images hold values of 0 and 1 only, of 0 to 255: were floats saved as uint8?")
    if found["constant"]:
        said.append(f"{_part(found['constant'], size)} {word}images {_is(found['constant'])} of one value throughout.")
    if found["distinct"] == 1 < size:
        said.append(f"All {size:,} {word}images are identical.")
    elif found["distinct"] < size:
        many = size - found["distinct"]
        said.append(f"{_part(many, size)} {word}images {'repeats' if many == 1 else 'repeat'} another one.")
    return said


def _classes(summary: Mapping[str, Any], split: str) -> list[str]:
    names, counts = summary["classes"], summary["splits"][split]["per_class"]
    absent = [name for name, count in zip(names, counts, strict=True) if not count]
    word = {"train": "training"}.get(split, split)
    if not absent:
        return []
    if len(absent) == len(names) - 1:
        only = next(name for name, count in zip(names, counts, strict=True) if count)
        return [f"All {word} images are of one class ({only}): AUC is not defined there."]
    shown = ", ".join(absent[:5]) + (f" and {len(absent) - 5} more" if len(absent) > 5 else "")
    return [f"No {word} image is of the class {shown}: AUC is not defined there."]


def _part(count: int, size: int) -> str:
    """`21 of 156 (13.5 %)`"""
    percent = 100 * count / size
    return f"{count:,} of {size:,} ({'below 0.1' if percent < 0.1 else f'{percent:.1f}'} %)"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _are(count: int) -> str:
    return f"{count:,} {_is(count)}"


def _digests(images: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]


def _highest(images: np.ndarray) -> np.ndarray:
    """(N, H, W, C) → (N,)."""
    return np.asarray(images.max(axis=(1, 2, 3)))


def _lowest(images: np.ndarray) -> np.ndarray:
    return np.asarray(images.min(axis=(1, 2, 3)))
