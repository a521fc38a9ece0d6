"""Splits: no group is parted, sizes and classes are near what was asked, and the order of images does not matter."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from medaug_keras.data.dataset import SPLITS, DataError
from medaug_keras.data.splits import Parts, by_file, by_fractions, divided, dropped, placed

ASKED = {"train": 0.7, "validation": 0.15, "test": 0.15}
FRACTIONS = st.tuples(*[st.integers(1, 9)] * 3).map(
    lambda parts: {split: part / sum(parts) for split, part in zip(SPLITS, parts, strict=True)}
)


@st.composite
def tables(draw) -> tuple[list[str], np.ndarray, list[str]]:
    """Ids, labels and groups of up to 300 images: of few and many classes and groups, of like and unlike sizes."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    n = draw(st.integers(1, 300))
    groups = rng.integers(0, draw(st.integers(1, 200)), n)
    if draw(st.booleans()):
        groups = groups // draw(st.integers(1, 50)) ** rng.integers(0, 2, n)
    labels = rng.integers(0, draw(st.integers(1, 6)), n)
    if draw(st.booleans()):  # of one class a group
        labels = groups % draw(st.integers(1, 6))
    return [f"{i:03}.png" for i in range(n)], labels, [f"p{group}" for group in groups]


@settings(max_examples=300)
@given(tables(), FRACTIONS, st.integers(0, 9))
def test_no_group_is_ever_in_two_splits(table, fractions, seed):
    ids, labels, groups = table
    places = by_fractions(ids, labels, groups, fractions=fractions, seed=seed)
    assert len(places) == len(ids)
    assert len(set(zip(groups, places.tolist(), strict=True))) == len(set(groups))


@settings(max_examples=100)
@given(tables(), FRACTIONS, st.randoms(use_true_random=False))
def test_the_order_of_images_does_not_matter(table, fractions, chance):
    ids, labels, groups = table
    order = list(range(len(ids)))
    chance.shuffle(order)
    places = by_fractions(ids, labels, groups, fractions=fractions, seed=0)
    turned = by_fractions(
        [ids[i] for i in order], labels[order], [groups[i] for i in order], fractions=fractions, seed=0
    )
    assert turned.tolist() == places[order].tolist()


@settings(max_examples=100)
@given(tables(), FRACTIONS, st.integers(0, 9))
def test_every_split_has_as_many_images_of_every_class_as_asked_within_the_largest_groups(table, fractions, seed):
    """Alone, an image is parted from no other, so a class is off by a few images; else by what groups hold of it."""
    ids, labels, groups = table
    for some in (groups, []):
        places = by_fractions(ids, labels, some, fractions=fractions, seed=seed)
        largest = max(groups.count(group) for group in set(groups)) if some else 1
        kinds = 1 if not some else len(set(labels.tolist()))
        for k in set(labels.tolist()):
            for i, split in enumerate(SPLITS):
                off = abs(np.sum((labels == k) & (places == i)) - fractions[split] * np.sum(labels == k))
                assert off <= 2 * largest * kinds


def one_group_after_the_other(table, shares: Sequence[float], seed: str, *, evenly: bool) -> list[int]:
    """What `divided` says that it does, in fractions where parts are of one size, so that equal distances are equal."""
    _, labels, groups = table
    held = {name: Counter(labels[[i for i, g in enumerate(groups) if g == name]].tolist()) for name in set(groups)}
    number = Fraction if evenly else float
    asked = []
    for share in shares:
        most = {
            k: max(share * n, n / sum(k in some for some in held.values())) for k, n in Counter(labels.tolist()).items()
        }
        asked.append({k: number(n) for k, n in most.items()})
    filled: list[Counter[int]] = [Counter() for _ in shares]

    def further(part: int, name: str) -> object:
        """By how much chi-squared grows."""
        some = sorted(held[name].items())
        return sum(n * (2 * (filled[part][k] - asked[part][k]) + n) / asked[part][k] for k, n in some)

    def turn(name: str) -> tuple[int, bytes]:
        size = held[name].total()
        return -(size.bit_length() if evenly else size), hashlib.sha256(f"{seed}/{name}".encode()).digest()

    place = {}
    for name in sorted(held, key=turn):
        far = [further(part, name) for part in range(len(shares))]
        near = [part for part, distance in enumerate(far) if distance == min(far)]
        place[name] = min(near, key=lambda part: filled[part].total()) if evenly else near[0]
        filled[place[name]].update(held[name])
    return [place[name] for name in groups]


@settings(max_examples=60)
@given(tables(), FRACTIONS)
def test_each_group_goes_where_the_classes_then_are_nearest_to_what_is_asked(table, fractions):
    expected = one_group_after_the_other(table, list(fractions.values()), "0", evenly=False)
    assert by_fractions(*table, fractions=fractions, seed=0).tolist() == expected


@settings(max_examples=60)
@given(tables(), st.integers(2, 7))
def test_of_parts_that_are_as_near_the_emptiest_takes_a_group(table, parts):
    shares = [1 / parts] * parts
    expected = one_group_after_the_other(table, shares, "s", evenly=True)
    assert divided(*table, shares=shares, seed="s", evenly=True).tolist() == expected


def test_sizes_and_prevalence_are_within_a_point_where_groups_are_small():
    rng = np.random.default_rng(0)
    groups = np.sort(rng.integers(0, 700, 2000))
    labels = np.where(rng.random(2000) < 0.9, groups % 10 == 0, rng.random(2000) < 0.5).astype(int)
    ids, names = [str(i) for i in range(2000)], [str(g) for g in groups]
    for seed in range(5):
        places = by_fractions(ids, labels, names, fractions=ASKED, seed=seed)
        for i, split in enumerate(SPLITS):
            assert abs(np.mean(places == i) - ASKED[split]) < 0.01
            assert abs(labels[places == i].mean() - labels.mean()) < 0.01


def test_another_seed_draws_another_split_and_the_same_seed_the_same():
    ids, labels = [str(i) for i in range(100)], np.arange(100) % 2
    one, again, other = (by_fractions(ids, labels, [], fractions=ASKED, seed=seed).tolist() for seed in (0, 0, 1))
    assert one == again
    assert one != other


def test_a_class_of_three_groups_is_in_every_split():
    labels = np.array([0] * 300 + [1] * 3)
    for seed in range(20):
        places = by_fractions([str(i) for i in range(303)], labels, [], fractions=ASKED, seed=seed)
        assert set(places[300:].tolist()) == {0, 1, 2}


WRONG_FILES = {
    "image,split\na,train\n": "1 of 2 images of the data set have no row .the first is b",
    "image,split\na,train\nb,tset\n": "'tset' in row 3",
    "image,split\na,train\na,test\nb,test\n": "row 3 name an image that another row names too",
    "file,split\na,train\n": "no column 'image'",
    "image\na\n": "no column 'split'",
}


@pytest.mark.parametrize("content", WRONG_FILES)
def test_a_wrong_file_of_splits_is_one_message(tmp_path, content):
    (tmp_path / "splits.csv").write_text(content)
    with pytest.raises(DataError, match=WRONG_FILES[content]):
        by_file(tmp_path / "splits.csv", ["a", "b"])


def test_words_for_a_split_are_known_in_capitals_too(tmp_path):
    (tmp_path / "splits.csv").write_text("image,split\na,TRAIN\nb,Val\nc,Testing\nd,dev\n")
    assert by_file(tmp_path / "splits.csv", list("abcd")).tolist() == [0, 1, 2, 1]


def test_fractions_split_by_the_seed_that_a_study_says():
    ids, labels = [f"{i}.png" for i in range(60)], np.arange(60) % 2
    for seed in (0, 7):
        expected = by_fractions(ids, labels, [], fractions=ASKED, seed=seed).tolist()
        assert placed(Parts(fractions=ASKED, seed=seed), ids, labels, []).tolist() == expected
    assert len({placed(Parts(fractions=ASKED, seed=seed), ids, labels, []).tobytes() for seed in (0, 7)}) == 2


def test_an_empty_cell_of_a_list_to_leave_out_names_no_image(tmp_path):
    (tmp_path / "drop.csv").write_text("image,why\na,blurred\n,\nNA,\nc,twice\n")
    assert dropped(tmp_path / "drop.csv", list("abc")) == {"a", "c"}
