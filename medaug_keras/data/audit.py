"""What is odd about a data set and yet can be trained on: relations between its images, their numbers, and checks.

Images count as identical where all their pixels are, after resizing; what counts as nearly the same, `duplicates` says.
A relation between images of two splits is a leak: what is tested, or chosen with, was learnt.

Levels: *fail* where results on the test images are not what they seem, or where nothing can be learnt; *warn* where
they may not be, or a reader should know. No level stops anything.
"""

import hashlib
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

import numpy as np

from medaug_keras import labels as labels_of
from medaug_keras.counts import first_of
from medaug_keras.data.balance import rarest_share
from medaug_keras.data.dataset import SPLITS, Dataset
from medaug_keras.data.duplicates import Pairs, near_duplicates
from medaug_keras.data.medmnist import NOTHING_NEW

SHOWN = 12
"""Pairs of images that are kept of one check, to be shown."""
_POINTS, _ERRORS = 0.05, 3  # of a difference in shares, and in its standard errors, from which it is said
_FEW = 5  # test images of a rare class, below which its numbers say little
_LARGE = 0.1  # share of a group in its split, from which it is said
_MANY = 50  # images of a split, from which either is said: in smaller ones every class and group is
_PAIRS = (("test", "train"), ("validation", "train"), ("test", "validation"))
_EARLIER = {"validation": ("train",), "test": ("train", "validation")}
_WORDS = {"train": "training", "validation": "validation", "test": "test"}

Level = Literal["fail", "warn", "pass", "not looked for", "not known"]
LEVELS: tuple[Level, ...] = get_args(Level)
"""The worst first."""


# --- relations ---------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Relations:
    """Which images of a data set are related. Places count through the three splits, in the order of SPLITS."""

    dataset: Dataset
    split: np.ndarray
    """(N,): the place in SPLITS of each image's split."""
    label: np.ndarray
    """(N,): a number that is equal where images have one class, or the same findings."""
    words: tuple[str, ...]
    """What each such number is called."""
    first: np.ndarray
    """(N,): the first place of an image that is identical to it; its own where there is none before."""
    group: tuple[str, ...]
    """N names; none where no split knows them."""
    near: Pairs
    """Pairs of images that are nearly the same, each image at its `first` place."""

    def image(self, place: int) -> np.ndarray:
        """(H, W, C)."""
        split, index = self.within(place)
        return np.asarray(getattr(self.dataset, split).images[index])

    def within(self, place: int) -> tuple[str, int]:
        """The split of an image, and its place there."""
        split = int(self.split[place])
        return SPLITS[split], place - int(np.searchsorted(self.split, split))

    def members(self) -> dict[int, list[int]]:
        """First place → all places of the identical images, in order."""
        found: dict[int, list[int]] = {}
        for place, first in enumerate(self.first.tolist()):
            found.setdefault(first, []).append(place)
        return found


def related(dataset: Dataset) -> Relations:
    """Compares each image with each: some 15 seconds for 10,000 images, and the square of that for more."""
    parts = [getattr(dataset, split) for split in SPLITS]
    starts = np.cumsum([0, *(len(part.labels) for part in parts)])
    known: dict[bytes, int] = {}
    first = np.empty(starts[-1], np.int64)
    for start, part in zip(starts, parts, strict=False):
        for place, digest in enumerate(_digests(part.images), start):
            first[place] = known.setdefault(digest, place)
    once = np.flatnonzero(first == np.arange(len(first)))

    def blocks(begin: int, end: int) -> np.ndarray:
        some = once[begin:end]
        found = []
        for start, part in zip(starts, parts, strict=False):
            here = some[(some >= start) & (some < start + len(part.labels))] - start
            found.append(part.images[here])
        return np.concatenate(found)

    near = near_duplicates(blocks, len(once))
    labels = np.concatenate([part.labels for part in parts])
    numbers, words = labels_of.codes(labels), dataset.classes
    if dataset.several:
        _, places = np.unique(numbers, return_index=True)
        words = tuple(labels_of.words(labels[places], dataset.classes))
    groups = [part.groups or ("",) * len(part.labels) for part in parts]
    return Relations(
        dataset,
        np.repeat(np.arange(len(SPLITS)), np.diff(starts)),
        numbers,
        words,
        first,
        tuple(name for some in groups for name in some) if any(part.groups for part in parts) else (),
        replace(near, places=np.sort(once[near.places], axis=1)),
    )


# --- numbers -----------------------------------------------------------------------------------------


def audit(dataset: Dataset, relations: Relations | None = None) -> dict[str, Any]:
    """Numbers of images, as plain JSON values. `enlarged`: smaller than the size that they were resized to.
    `near_pairs`: pairs of images that are nearly the same, `near_mirrored`: of these where one is mirrored. Each split:

    constant: all pixels equal. dark: no pixel above 1 of 255. distinct: different images.
    conflicting: identical to one of another class, or with other findings, in any split. So is every other class here.
    groups, largest_group: how many groups (patients ...) there are, and images of the largest; only where groups are
    known, as what follows. group_in_train, group_in_validation: of a group that has an image in that split.
    in_train, in_validation: identical to an image of that split; other_class of the same: none of those has its label.
    near_in_train, near_in_validation, with other_class: the same of images that are nearly the same, and not identical.
    near_within: nearly the same as another image of the split, which is not of the same group.
    near_conflicting: nearly the same as one of another class, in any split; of these, near_conflicting_in_group, where
    groups are known, as one of its own group.
    """
    relations = relations or related(dataset)
    members = relations.members()
    classes = {first: {int(relations.label[place]) for place in some} for first, some in members.items()}
    there = {(first, int(relations.split[place])) for first, some in members.items() for place in some}
    seen: dict[tuple[int, int], set[int]] = {}  # image and split → its classes there
    for place, first in enumerate(relations.first.tolist()):
        seen.setdefault((first, int(relations.split[place])), set()).add(int(relations.label[place]))
    alike = _alike(relations)
    found: dict[str, Any] = {
        "enlarged": dataset.enlarged,
        "near_pairs": len(relations.near),
        "near_mirrored": int(relations.near.mirrored.sum()),
    }
    for s, split in enumerate(SPLITS):
        images = getattr(dataset, split).images
        places = np.flatnonzero(relations.split == s).tolist()
        rows = [(int(relations.first[place]), int(relations.label[place]), place) for place in places]
        highest, lowest = images.max(axis=(1, 2, 3)), images.min(axis=(1, 2, 3))
        found[split] = {
            "constant": int(np.sum(highest == lowest)),
            "dark": int(np.sum(highest <= 1)),
            "distinct": len({first for first, _, _ in rows}),
            "conflicting": sum(len(classes[first]) > 1 for first, _, _ in rows),
            "near_within": sum(_near_here(relations, members, alike, place) for _, _, place in rows),
            "near_conflicting": sum(any(classes[b] != {k} for b in alike.get(first, ())) for first, k, _ in rows),
        }
        for other in _EARLIER.get(split, ()):
            o = SPLITS.index(other)
            pairs = [(seen[first, o], k) for first, k, _ in rows if (first, o) in there]
            found[split][f"in_{other}"] = len(pairs)
            found[split][f"in_{other}_other_class"] = sum(k not in theirs for theirs, k in pairs)
            near = [
                (set().union(*(seen.get((b, o), ()) for b in alike[first])), k)
                for first, k, _ in rows
                if first in alike and (first, o) not in there
            ]
            found[split][f"near_in_{other}"] = sum(bool(theirs) for theirs, _ in near)
            found[split][f"near_in_{other}_other_class"] = sum(bool(theirs) and k not in theirs for theirs, k in near)
        if relations.group:
            found[split]["near_conflicting_in_group"] = sum(
                any(
                    relations.label[other] != k and _same_group(relations, place, other)
                    for b in alike.get(first, ())
                    if classes[b] != {k}
                    for other in members[b]
                )
                for first, k, place in rows
            )
        found[split] |= _groups(dataset, split)
    return found


def _alike(relations: Relations) -> dict[int, list[int]]:
    """First place → the first places of images that are nearly the same."""
    alike: dict[int, list[int]] = {}
    for a, b in relations.near.places.tolist():
        alike.setdefault(a, []).append(b)
        alike.setdefault(b, []).append(a)
    return alike


def _near_here(
    relations: Relations, members: Mapping[int, list[int]], alike: Mapping[int, list[int]], place: int
) -> bool:
    """Whether an image has nearly the same one in its split that is not of its group."""
    for b in alike.get(int(relations.first[place]), ()):
        for other in members[b]:
            if relations.split[other] == relations.split[place] and not _same_group(relations, place, other):
                return True
    return False


def _same_group(relations: Relations, a: int, b: int) -> bool:
    return bool(relations.group) and relations.group[a] == relations.group[b] != ""


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


def _digests(images: np.ndarray) -> list[bytes]:
    return [hashlib.blake2b(image.tobytes(), digest_size=16).digest() for image in images]


# --- images to show ----------------------------------------------------------------------------------


def pairs_to_show(relations: Relations, *, split: str | None = None) -> dict[str, np.ndarray]:
    """Of each check of relations, CHECK_images (P, 2, H, W, C) uint8, CHECK_splits (P, 2) places in SPLITS,
    CHECK_labels (P, 2) and CHECK_mirrored (P,); P is at most SHOWN, and a check without pairs is left out. Of images
    with several findings, CHECK_words (P, 2) says them.

    Pairs of a test and a training image come first; with `split`, only those with an image of it are kept.
    """
    found: dict[str, np.ndarray] = {}
    for check, pairs in _of_checks(relations).items():
        if split is not None:
            pairs = [pair for pair in pairs if any(relations.within(place)[0] == split for place in pair[:2])]
        order = sorted(range(len(pairs)), key=lambda i: -_weight(relations, *pairs[i][:2]))[:SHOWN]
        if not order:
            continue
        places = np.array([pairs[i][:2] for i in order])
        places = np.take_along_axis(places, np.argsort(relations.split[places], axis=1, kind="stable"), axis=1)
        found |= {
            f"{check}_images": np.array([[relations.image(int(place)) for place in pair] for pair in places]),
            f"{check}_splits": relations.split[places],
            f"{check}_labels": relations.label[places],
            f"{check}_mirrored": np.array([pairs[i][2] for i in order]),
        }
        if relations.dataset.several:
            found[f"{check}_words"] = np.array(relations.words)[relations.label[places]]
    return found


def _of_checks(relations: Relations) -> dict[str, list[tuple[int, int, bool]]]:
    """Check → its pairs of images, and whether one is mirrored."""
    members, split, label = relations.members(), relations.split, relations.label
    same = [(a, b, False) for some in members.values() for a, b in _neighbors(some)]
    near = [
        (_nearest(relations, members[a], b), b if len(members[b]) == 1 else _nearest(relations, members[b], a), flip)
        for (a, b), flip in zip(relations.near.places.tolist(), relations.near.mirrored.tolist(), strict=True)
    ]
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(relations.group):
        if name:
            groups.setdefault(name, []).append(place)
    parted = [(a, b, False) for some in groups.values() for a, b in _neighbors(some) if split[a] != split[b]]
    return {
        "identical": [pair for pair in same if split[pair[0]] != split[pair[1]]],
        "near": [pair for pair in near if split[pair[0]] != split[pair[1]]],
        "groups": parted,
        "labels": [pair for pair in [*same, *near] if label[pair[0]] != label[pair[1]]],
        "repeats": [
            (a, b, flip)
            for a, b, flip in [*same, *near]
            if split[a] == split[b] and (relations.first[a] == relations.first[b] or not _same_group(relations, a, b))
        ],
    }


def _neighbors(places: list[int]) -> Iterator[tuple[int, int]]:
    """The first with the last, which may be in another split, and each with the next."""
    if len(places) > 1:
        yield places[0], places[-1]
    if len(places) > 2:
        yield from itertools.pairwise(places)


def _nearest(relations: Relations, places: list[int], other: int) -> int:
    """Of identical images, the one that makes the weightiest pair with another image."""
    return max(places, key=lambda place: _weight(relations, place, other))


def _weight(relations: Relations, a: int, b: int) -> int:
    """What weighs most: a test and a training image, then any of two splits; of these, those of two classes."""
    splits = {int(relations.split[a]), int(relations.split[b])}
    weight = {frozenset({0, 2}): 3, frozenset({0, 1}): 2, frozenset({1, 2}): 2}.get(frozenset(splits), 1)
    return 2 * weight + int(relations.label[a] != relations.label[b])


# --- images to leave out -----------------------------------------------------------------------------


NEARLY = "nearly the same"


@dataclass(frozen=True)
class LeftOut:
    """An image to leave out, and the image that it is related to."""

    place: int
    reason: str
    of: int
    later: bool = False
    """Whether it was found only when others were gone: how alike counts as nearly the same depends on all images."""


def to_leave_out(relations: Relations) -> list[LeftOut]:
    """The images without which no image of a split is related to one of another, in the order of their places.

    Of related images in two splits, that of the split that is learnt from goes: the training image of a test or
    validation image, the validation image of a test image. So the test set stays whole, except that of identical images
    with different classes all go, as nobody knows which class is right. Where images are cut into folds, all but the
    first of related images go, unless they are of one group, which no fold parts.
    """
    gone: dict[int, LeftOut] = {}
    label = relations.label
    members = relations.members()
    for some in members.values():
        if len({int(label[place]) for place in some}) > 1:
            for place in some:
                other = next(b for b in some if label[b] != label[place])
                gone[place] = LeftOut(place, "identical, of another class", other)

    whole = relations.dataset.whole

    def part(places: list[int], reason: str) -> None:
        kept = [place for place in places if place not in gone]
        if not kept:
            return
        last = kept[0] if whole else max(kept, key=lambda place: int(relations.split[place]))
        for place in kept:
            known = place != last and not _same_group(relations, place, last) if whole else False
            if known or relations.split[place] < relations.split[last]:
                gone[place] = LeftOut(place, reason, last)

    for some in members.values():
        part(some, "identical")
    for a, b in relations.near.places.tolist():
        part([*members[a], *members[b]], NEARLY)
    groups: dict[str, list[int]] = {}
    for place, name in enumerate(relations.group):
        if name:
            groups.setdefault(name, []).append(place)
    for some in groups.values():
        part(some, "of the same group")
    return [gone[place] for place in sorted(gone)]


def heal(relations: Relations) -> list[LeftOut]:
    """`to_leave_out`, and what is to be left out then, until no image of a split is related to one of another."""
    places = np.arange(len(relations.split))  # of the images that are left
    gone: list[LeftOut] = []
    while found := to_leave_out(relations):
        later = bool(gone)
        gone += [LeftOut(int(places[one.place]), one.reason, int(places[one.of]), later) for one in found]
        here: dict[str, list[int]] = {}
        for one in found:
            split, index = relations.within(one.place)
            here.setdefault(split, []).append(index)
        places = np.delete(places, [one.place for one in found])
        relations = related(relations.dataset.without(here))
    return sorted(gone, key=lambda one: one.place)


def known_to_training(relations: Relations) -> list[LeftOut]:
    """The test images that are a training or validation image, or nearly: what to leave out of a further test set."""
    members, alike, found = relations.members(), _alike(relations), []
    for place in np.flatnonzero(relations.split == SPLITS.index("test")).tolist():
        first = int(relations.first[place])
        for reason, firsts in (("identical", [first]), (NEARLY, alike.get(first, []))):
            others = [b for one in firsts for b in members[one] if relations.within(b)[0] != "test"]
            if others:
                found.append(LeftOut(place, reason, min(others)))
                break
    return found


# --- images of two classes ---------------------------------------------------------------------------


@dataclass(frozen=True)
class TwoClasses:
    """Two images that are the same, or nearly, and of different classes, or with different findings."""

    place: int
    of: int
    how: str
    same_group: bool | None
    """None where no group is known of one of them."""


def of_two_classes(relations: Relations, gone: Iterable[LeftOut] = ()) -> list[TwoClasses]:
    """For each image that is the same as one of another class, or nearly, in any split, the pair with one of those, in
    the order of their places; a pair is there once. With those of `gone` that were found later and are such a pair."""
    members, label, group = relations.members(), relations.label, relations.group
    related_places: list[tuple[list[int], list[int], str]] = [(some, some, "identical") for some in members.values()]
    for (a, b), flip in zip(relations.near.places.tolist(), relations.near.mirrored.tolist(), strict=True):
        how = f"{NEARLY}, mirrored" if flip else NEARLY
        related_places += [(members[a], members[b], how), (members[b], members[a], how)]
    found: dict[tuple[int, int], str] = {}
    for here, there, how in related_places:
        of_class: dict[int, int] = {}  # class → its first place
        for b in there:
            of_class.setdefault(int(label[b]), b)
        for a in here:
            b = next((b for k, b in of_class.items() if k != label[a]), None)
            if b is not None:
                found.setdefault((min(a, b), max(a, b)), how)
    for one in gone:
        if one.later and one.reason == NEARLY and label[one.place] != label[one.of]:
            found.setdefault((min(one.place, one.of), max(one.place, one.of)), NEARLY)
    return [
        TwoClasses(a, b, how, group[a] == group[b] if group and group[a] and group[b] else None)
        for (a, b), how in sorted(found.items())
    ]


# --- checks ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What a check found: a sentence with numbers."""

    level: Level
    text: str


@dataclass(frozen=True)
class Check:
    """One thing that was looked for, what was found, and what can be done."""

    name: str
    title: str
    found: tuple[Found, ...]
    """Of a check that passes, one."""
    advice: str = ""

    @property
    def level(self) -> Level:
        """The worst of what was found."""
        return min((one.level for one in self.found), key=LEVELS.index)


def _check(name: str, title: str, said: Sequence[Found], *, nothing: str, advice: str = "") -> Check:
    """A check that passes where nothing is said; then `nothing` says it, with numbers."""
    return Check(name, title, tuple(said) or (Found("pass", nothing),), advice if said else "")


def checks(summary: Mapping[str, Any]) -> list[Check]:
    """All checks of a data set's summary with its `audit`: the worst level first, and of one level what weighs most."""
    return sorted(_checks(summary), key=lambda check: LEVELS.index(check.level))


def _checks(summary: Mapping[str, Any]) -> list[Check]:
    sizes = {split: summary["splits"][split]["images"] for split in SPLITS}
    found = summary["audit"]
    if not sizes["test"]:  # all images stay together, and each fold has splits of its own
        return [
            _in_folds(found["train"], sizes["train"]),
            _conflicting(found, sizes, where=""),
            _plain(found, sizes, {"train": ""}),
            _rarest(summary, {"train": ""}),
            _largest(found, sizes, {"train": "all"}),
            _enlarged(summary, sizes),
        ]
    related = [
        _identical(found, sizes),
        _near(found, sizes),
        _parted(found, sizes),
        _conflicting(found, sizes, where=" of all splits"),
    ]
    return [
        *(map(_of_findings, related) if _several(summary) else related),
        _repeats(found, sizes),
        _plain(found, sizes, _WORDS),
        _absent(summary),
        _prevalence(summary),
        _rarest(summary, _WORDS),
        _largest(found, sizes, _WORDS),
        _enlarged(summary, sizes),
    ]


def checks_outside(summary: Mapping[str, Any]) -> list[Check]:
    """All checks of a further test set from elsewhere, the worst level first: of the summary, with its `audit`, of the
    data set with these images in place of its test images."""
    size, found = summary["splits"]["test"]["images"], summary["audit"]["test"]
    sizes, test = {"test": size}, {"test": found}
    labels = _conflicting({**_NO_CONFLICT, **test}, {**_NO_SIZES, **sizes}, where="")
    labels = replace(labels, advice=_LOOK if labels.advice else "")
    largest = _largest(test, sizes, {"test": "test"})
    repeats, plain = _repeated(found, "test", size), _plain(test, sizes, {"test": "test"})
    found_there = [
        check_known(summary),
        _of_findings(labels) if _several(summary) else labels,
        _check(
            "repeats",
            "Repeated images",
            _warned(repeats),
            nothing="No image is there twice, or nearly so.",
            advice="Keep one of each: the others count again, in the scores and in the intervals.",
        ),
        plain,
        _prevalence(summary),
        replace(largest, found=tuple(replace(one, text=one.text.replace(_OF_SPLITS, ": ")) for one in largest.found)),
        _enlarged_outside(summary),
    ]
    return sorted(found_there, key=lambda check: LEVELS.index(check.level))


def check_known(summary: Mapping[str, Any]) -> Check:
    """Whether training knows images of a further test set from elsewhere; the first of its checks."""
    size, found = summary["splits"]["test"]["images"], summary["audit"]["test"]
    shared = [
        Found("fail" if other == "train" else "warn", text)
        for other in ("train", "validation")
        for tell in (_shared, _nearly)
        for text in tell(found, "test", other, size)
    ]
    nothing = f"None of {size:,} images is, or nearly, a training or validation image."
    advice = f"{_DROP} With them it is no other test set."
    known = _check("known", "Images that training knows", shared, nothing=nothing, advice=advice)
    return _of_findings(known) if _several(summary) else known


def _enlarged_outside(summary: Mapping[str, Any]) -> Check:
    size, count = summary["image_shape"][0], summary["audit"]["enlarged"]
    to = f"{size} x {size}"
    said = [f"{count:,} of its images {'was' if count == 1 else 'were'} smaller than {to} and {_is(count)} enlarged."]
    nothing, advice = (
        f"No image was smaller than {to}.",
        "What is enlarged has less detail than the networks learned from.",
    )
    return _check("enlarged", "Enlarged images", _warned(said if count else []), nothing=nothing, advice=advice)


_OF_SPLITS = " of each split: test: "
_NO_CONFLICT = {split: {"conflicting": 0} for split in ("train", "validation")}
_NO_SIZES = dict.fromkeys(_NO_CONFLICT, 0)


def warnings(summary: Mapping[str, Any]) -> list[str]:
    """Sentences on what is odd in a data set's summary with its `audit`, what weighs most first."""
    return [one.text for check in checks(summary) for one in check.found if one.level in ("fail", "warn")]


def learnt(summary: Mapping[str, Any]) -> dict[str, str]:
    """The warnings of test images that are themselves in training ("images"), nearly so ("near"), or whose group is
    ("groups")."""
    found, size = summary["audit"]["test"], summary["splits"]["test"]["images"]
    said = {
        "images": _shared(found, "test", "train", size),
        "near": _nearly(found, "test", "train", size),
        "groups": _parts(found, "test", "train", size),
    }
    change = _in_findings if _several(summary) else str
    return {what: change(texts[0]) for what, texts in said.items() if texts}


def _of_findings(check: Check) -> Check:
    """A check of classes in the words of several findings."""
    found = tuple(replace(one, text=_in_findings(one.text)) for one in check.found)
    return replace(check, title=_in_findings(check.title), found=found, advice=_in_findings(check.advice))


def _in_findings(text: str) -> str:
    for one, other in _FINDINGS.items():
        text = text.replace(one, other)
    return text


_FINDINGS = {
    "of another class": "with other findings",
    "with different classes": "with different findings",
    "with two classes": "with different findings",
    "One image, two classes": "One image, different findings",
    "Correct the class": "Correct the findings",
    "correct the class": "correct the findings",
}
"""Words of classes → of findings."""
_EARLIER_VERSION = Found("not looked for", "Made by an earlier version; check looks.")
_LIST = "check with --audit writes the list."
_LOOK = f"Look at them, and correct the class: {_LIST}"
_DROP = f"Leave them out: {_LIST}"


def _of_pairs(
    tell: Callable[[Mapping[str, int], str, str, int], list[str]], found: Mapping[str, Any], sizes: Mapping[str, int]
) -> list[Found]:
    """What is to be told of each pair of splits: a fail where the test images were learnt."""
    return [
        Found("fail" if (split, other) == ("test", "train") else "warn", text)
        for split, other in _PAIRS
        for text in tell(found[split], split, other, sizes[split])
    ]


def _identical(found: Mapping[str, Any], sizes: Mapping[str, int]) -> Check:
    said = _of_pairs(_shared, found, sizes)
    nothing = f"None of {sum(sizes.values()):,} images is in two splits."
    return _check("identical", "Identical images in two splits", said, nothing=nothing, advice=_DROP)


def _in_folds(found: Mapping[str, int], size: int) -> Check:
    said = []
    many, near = size - found["distinct"], found.get("near_within", 0)
    parted = "where such images are in different folds, one is learnt and the other tested."
    if many:
        repeats = "repeats" if many == 1 else "repeat"
        said.append(Found("fail", f"{_part(many, size)} images {repeats} another one: {parted}"))
    if near:
        said.append(Found("fail", f"{_part(near, size)} images {_is(near)} nearly the same as another one: {parted}"))
    nothing = "No image is there twice" + (", or nearly so." if "near_within" in found else ".")
    advice = f"Look at them, and give them one group or leave all but one out: {_LIST}"
    return _check("repeats", "Images that folds may part", said, nothing=nothing, advice=advice)


def _shared(found: Mapping[str, int], split: str, other: str, size: int) -> list[str]:
    count, mislabelled = found[f"in_{other}"], found[f"in_{other}_other_class"]
    if not count:
        return []
    known = {
        ("test", "train"): "results on them say nothing about new images",
        ("validation", "train"): "the choice of the best epoch rewards memorizing",
        ("test", "validation"): "the best epoch is chosen on test images",
    }[split, other]
    labels = f"; {_are(mislabelled)} of another class there" if mislabelled else ""
    where = f"a {_WORDS[other]} image"
    return [f"{_part(count, size)} {split} images {_is(count)} identical to {where}{labels}: {known}."]


def _near(found: Mapping[str, Any], sizes: Mapping[str, int]) -> Check:
    title = "Nearly the same images in two splits"
    if "near_pairs" not in found:
        return Check("near", title, (_EARLIER_VERSION,))
    nothing = f"None of {sum(sizes.values()):,} images is nearly the same as one of another split."
    advice = f"They were found by comparing pixels: look at them first. {_DROP}"
    return _check("near", title, _of_pairs(_nearly, found, sizes), nothing=nothing, advice=advice)


def _nearly(found: Mapping[str, int], split: str, other: str, size: int) -> list[str]:
    count, mislabelled = found.get(f"near_in_{other}", 0), found.get(f"near_in_{other}_other_class", 0)
    if not count:
        return []
    known = {
        ("test", "train"): "results on them say little about new images",
        ("validation", "train"): "the choice of the best epoch rewards memorizing",
        ("test", "validation"): "the best epoch is chosen on images like those tested",
    }[split, other]
    labels = f"; {_are(mislabelled)} of another class there" if mislabelled else ""
    return [
        f"{_part(count, size)} {split} images {_is(count)} nearly the same as a {_WORDS[other]} image{labels}: {known}."
    ]


def _parted(found: Mapping[str, Any], sizes: Mapping[str, int]) -> Check:
    title = "Groups in two splits"
    if not any("groups" in found[split] for split in SPLITS):
        text = "Which images belong together (to a patient, a lesion ...) is not said."
        return Check("groups", title, (Found("not known", text),), "Say it with group, or with ids for arrays.")
    nothing = f"None of {sum(found[split].get('groups', 0) for split in SPLITS):,} groups is in two splits."
    advice = f"Where split may draw by fractions (tables, folders), let it: it parts no group. {_DROP}"
    return _check("groups", title, _of_pairs(_parts, found, sizes), nothing=nothing, advice=advice)


def _parts(found: Mapping[str, int], split: str, other: str, size: int) -> list[str]:
    count = found.get(f"group_in_{other}", 0)
    if not count:
        return []
    known = {
        ("test", "train"): "results on them say little about new groups",
        ("validation", "train"): "the choice of the best epoch rewards memorizing",
        ("test", "validation"): "the best epoch is chosen on groups that are tested",
    }[split, other]
    one = "is of a group" if count == 1 else "are of groups"
    return [
        f"{_part(count, size)} {split} images {one} (a patient, a lesion ...) with images in {_WORDS[other]} too: "
        f"{known}."
    ]


def _conflicting(found: Mapping[str, Any], sizes: Mapping[str, int], *, where: str) -> Check:
    size = sum(sizes.values())
    count = sum(found[split]["conflicting"] for split in SPLITS)
    near = sum(found[split].get("near_conflicting", 0) for split in SPLITS)
    said = []
    if count:
        text = f"{_part(count, size)} images{where} occur with different classes, of which one is wrong."
        said.append(Found("fail" if found["test"]["conflicting"] or not sizes["test"] else "warn", text))
    if near:
        as_one = f"{_is(near)} nearly the same as one"
        text = f"{_part(near, size)} images{where} {as_one} of another class{_in_group(found, near)}: "
        text += "is one of them wrong?"
        said.append(Found("warn", text))
    advice = f"Correct the class, or leave them out: {_LIST}" if count else _LOOK
    return _check("labels", "One image, two classes", said, nothing="No image occurs with two classes.", advice=advice)


def _in_group(found: Mapping[str, Any], near: int) -> str:
    """How many images that are nearly the same as one of another class are so within their group; empty where groups
    are not known."""
    counts = [
        found[split]["near_conflicting_in_group"] for split in SPLITS if "near_conflicting_in_group" in found[split]
    ]
    if not counts:
        return ""
    many = sum(counts)
    if not many:
        return ", none of them as one of its own group"
    which = "" if near == 1 else "all of them " if many == near else f"{many:,} of them "
    whose = "its" if many == 1 else "their"
    return f", {which}as one of {whose} own group (a patient, a lesion ...), as images of two days can be"


def _repeats(found: Mapping[str, Any], sizes: Mapping[str, int]) -> Check:
    said = []
    for split in SPLITS:
        said += _repeated(found[split], split, sizes[split])
    nothing = "No split holds an image twice" + (", or nearly so." if "near_pairs" in found else ".")
    advice = "Keep one of each: the others count again, in the loss, in the scores and in the intervals."
    return _check("repeats", "Repeated images", _warned(said), nothing=nothing, advice=advice)


def _repeated(found: Mapping[str, int], split: str, size: int) -> list[str]:
    word, distinct, said = _WORDS[split], found["distinct"], []
    if distinct == 1 < size:
        said.append(f"All {size:,} {word} images are identical.")
    elif distinct < size:
        many = size - distinct
        said.append(f"{_part(many, size)} {word} images {'repeats' if many == 1 else 'repeat'} another one.")
    near = found.get("near_within", 0)
    if near:
        said.append(f"{_part(near, size)} {word} images {_is(near)} nearly the same as another one.")
    return said


def _plain(found: Mapping[str, Any], sizes: Mapping[str, int], words: Mapping[str, str]) -> Check:
    said = []
    for split, name in words.items():
        word, size, here = f"{name} ".lstrip(), sizes[split], found[split]
        if here["dark"] == size and here["constant"] < size:
            text = f"The {word}images hold values of 0 and 1 only, of 0 to 255: were floats saved as uint8?"
            said.append(Found("fail", text))
        if here["constant"]:
            count = here["constant"]
            said += _warned([f"{_part(count, size)} {word}images {_is(count)} of one value throughout."])
    nothing = "No image is of one value throughout."
    return _check("pixels", "Empty images", said, nothing=nothing, advice="Look at how the images were saved.")


def _several(summary: Mapping[str, Any]) -> bool:
    """Whether images have several findings."""
    return bool(summary["task"] == labels_of.SEVERAL)


def _absent_findings(summary: Mapping[str, Any]) -> Check:
    said = []
    for split in SPLITS:
        word, here = _WORDS[split], summary["splits"][split]
        both = list(zip(summary["classes"], here["per_class"], strict=True))
        for all_, count in ((f"No {word} image has", 0), (f"Every {word} image has", here["images"])):
            odd = [name for name, there in both if there == count]
            if odd:
                shown = first_of(odd, 5)
                said.append(f"{all_} the finding {shown}: AUC is not defined there, and left out of the mean.")
    nothing = f"In every split, some images have each of {len(summary['classes'])} findings, and some have not."
    advice = "Split anew, so that every split has every finding, or leave the finding out."
    return _check("classes", "Findings without images", _warned(said), nothing=nothing, advice=advice)


def _absent(summary: Mapping[str, Any]) -> Check:
    if _several(summary):
        return _absent_findings(summary)
    names, said = summary["classes"], []
    for split in SPLITS:
        word, counts = _WORDS[split], summary["splits"][split]["per_class"]
        absent = [name for name, count in zip(names, counts, strict=True) if not count]
        if len(absent) == len(names) - 1:
            only = next(name for name, count in zip(names, counts, strict=True) if count)
            said.append(f"All {word} images are of one class ({only}): AUC is not defined there.")
        elif absent:
            said.append(f"No {word} image is of the class {first_of(absent, 5)}: AUC is not defined there.")
    nothing = f"Every split has images of all {len(names)} classes."
    advice = "Split anew, so that every split has every class, or leave the class out."
    return _check("classes", "Classes without images", _warned(said), nothing=nothing, advice=advice)


def _prevalence(summary: Mapping[str, Any]) -> Check:
    """Classes whose share in test differs from that in training, by 5 points and by more than chance makes it."""
    counts = {split: np.array(summary["splits"][split]["per_class"]) for split in ("train", "test")}
    sizes = {split: int(summary["splits"][split]["images"]) for split in counts}
    shares = {split: found / sizes[split] for split, found in counts.items()}
    apart = np.abs(shares["test"] - shares["train"])
    both = (counts["train"] + counts["test"]) / sum(sizes.values())
    error = np.sqrt(both * (1 - both) * (1 / sizes["train"] + 1 / sizes["test"]))
    odd = np.flatnonzero((apart >= _POINTS) & (apart > _ERRORS * error))
    k = int(odd[np.argmax(apart[odd])]) if len(odd) else int(np.argmax(apart))
    several = _several(summary)
    of, what = ("have", "finding") if several else ("are of", "class")
    said = (
        f"{100 * shares['test'][k]:.1f} % of the test images and {100 * shares['train'][k]:.1f} % of the training "
        f"images {of} {'the finding' if several else 'class'} {summary['classes'][k]}"
    )
    warned = _warned([f"{said}: accuracy and calibration depend on such shares."] if len(odd) else [])
    advice = "Compare arms by AUC or balanced accuracy, which do not depend on them."
    nothing = f"{said}; no {what} differs more."
    title = "Shares of the findings" if several else "Shares of the classes"
    return _check("prevalence", title, warned, nothing=nothing, advice=advice)


def _rarest(summary: Mapping[str, Any], words: Mapping[str, str]) -> Check:
    counts, images = ({split: summary["splits"][split][of] for split in SPLITS} for of in ("per_class", "images"))
    what = "finding" if _several(summary) else "class"
    k = min(range(len(summary["classes"])), key=lambda k: counts["train"][k])
    said = f"The rarest {what}, {summary['classes'][k]}, has {_part(counts['train'][k], images['train'])} images"
    if len(words) > 1:
        said = f"{said.removesuffix(' images')} training images, {counts['validation'][k]:,} validation and "
        said += f"{counts['test'][k]:,} test images"
    uneven = rarest_share(counts["train"], images["train"]) is not None
    rare = uneven and 0 < counts["test"][k] < _FEW and images["test"] >= _MANY
    warned = _warned([f"{said}: one image changes its recall by {100 / counts['test'][k]:.0f} points."] if rare else [])
    advice = f"Do not read numbers of this {what} alone."
    return _check("rarest", f"Rarest {what}", warned, nothing=f"{said}.", advice=advice)


def _largest(found: Mapping[str, Any], sizes: Mapping[str, int], words: Mapping[str, str]) -> Check:
    title = "Largest group"
    known = [split for split in words if "groups" in found[split]]
    if not known:
        return Check("largest", title, (Found("not known", "Which images belong together is not said."),))
    told = "; ".join(
        f"{words[s]}: {found[s]['largest_group']:,} of {sizes[s]:,} images, {found[s]['groups']:,} groups"
        for s in known
    )
    large = [s for s in known if sizes[s] >= _MANY and found[s]["largest_group"] > _LARGE * sizes[s]]
    said = [
        f"{_part(found[s]['largest_group'], sizes[s])} {words[s]} images are of one group (a patient, a lesion ...)."
        for s in large
    ]
    nothing = f"The largest group of each split: {told}."
    advice = "Keep in mind that results are to a large part those of this group."
    return _check("largest", title, _warned(said), nothing=nothing, advice=advice)


def _enlarged(summary: Mapping[str, Any], sizes: Mapping[str, int]) -> Check:
    """Also of MedMNIST's set at a size above that of its source."""
    title, size, said = "Enlarged images", summary["image_shape"][0], []
    first, why = NOTHING_NEW.get(summary["name"], (0, ""))
    if first and size >= first and summary["official_md5"]:
        said.append(f"Images of {size} x {size} hold little or nothing that smaller ones do not: {why}.")
    count = summary["audit"].get("enlarged")
    if count:
        was = "was smaller and is" if count == 1 else "were smaller and are"
        said.append(
            f"{_part(count, sum(sizes.values()))} images {was} enlarged to {size} x {size}: that adds no detail."
        )
    if count is None and not said:
        return Check("enlarged", title, (_EARLIER_VERSION,))
    nothing, advice = (
        f"No image was smaller than {size} x {size}.",
        "Set a smaller size: it is faster, and loses little.",
    )
    return _check("enlarged", title, _warned(said), nothing=nothing, advice=advice)


def _warned(said: Sequence[str]) -> list[Found]:
    return [Found("warn", text) for text in said]


def _part(count: int, size: int) -> str:
    """`21 of 156 (13.5 %)`"""
    percent = 100 * count / size
    return f"{count:,} of {size:,} ({'below 0.1' if percent < 0.1 else f'{percent:.1f}'} %)"


def _is(count: int) -> str:
    return "is" if count == 1 else "are"


def _are(count: int) -> str:
    return f"{count:,} {_is(count)}"
