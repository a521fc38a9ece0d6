"""What is odd about a data set: counted right, said with numbers, on stderr and on the pages."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_duplicates import encoded, mirrored, moved, phantoms

from medaug_keras import data
from medaug_keras.cli.check import odd
from medaug_keras.data.audit import LEVELS, to_leave_out
from medaug_keras.data.dataset import SPLITS
from medaug_keras.data.duplicates import NONE
from medaug_keras.data.medmnist import NOTHING_NEW

REAL = Path(__file__).parents[2] / "shared" / "medmnist"


def dataset(**splits) -> data.Dataset:
    """A data set of two classes; a split is its images (N, 28, 28, 1) and labels, random ones where it is not given."""
    rng = np.random.default_rng(0)
    made = {}
    for split, n in {"train": 12, "validation": 6, "test": 8}.items():
        images, labels = splits.get(split, (None, None))
        made[split] = data.Split(
            rng.integers(0, 256, (n, 28, 28, 1), np.uint8) if images is None else np.asarray(images, np.uint8),
            np.arange(n) % 2 if labels is None else np.asarray(labels),
        )
    words = dict.fromkeys(("licence", "homepage", "citation", "description", "md5"), "")
    return data.Dataset(name="m", title="M", classes=("a", "b"), source="own", official_md5=None, **words, **made)


def said(some: data.Dataset) -> list[str]:
    return data.warnings(some.summary() | {"audit": data.audit(some)})


def flat(values) -> np.ndarray:
    return np.zeros((len(values), 28, 28, 1), np.uint8) + np.asarray(values, np.uint8)[:, None, None, None]


def test_of_a_good_data_set_nothing_is_said():
    assert said(dataset()) == []


@settings(max_examples=50)
@given(
    train=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=12),
    validation=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=6),
    test=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 1)), min_size=1, max_size=6),
)
def test_identical_images_are_counted_as_by_comparing_each_with_each(**splits):
    images = np.random.default_rng(1).integers(0, 256, (10, 28, 28, 1), np.uint8)
    some = dataset(**{split: (images[[i for i, _ in rows]], [k for _, k in rows]) for split, rows in splits.items()})
    found = data.audit(some)
    everything = [row for rows in splits.values() for row in rows]
    for split, rows in splits.items():
        assert found[split]["distinct"] == len({i for i, _ in rows})
        assert found[split]["conflicting"] == sum(any(j == i and m != k for j, m in everything) for i, k in rows)
        assert found[split]["constant"] == found[split]["dark"] == 0
    for split, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
        twins = [[m for j, m in splits[other] if j == i] for i, _ in splits[split]]
        assert found[split][f"in_{other}"] == sum(bool(known) for known in twins)
        wrong = sum(bool(known) and k not in known for known, (_, k) in zip(twins, splits[split], strict=True))
        assert found[split][f"in_{other}_other_class"] == wrong


def copied(split: str, other: str, count: int, turn: int = 0) -> data.Dataset:
    """`count` images of a split are those of another, their labels turned by `turn`."""
    some = dataset()
    theirs, mine = getattr(some, other), getattr(some, split)
    images, labels = mine.images.copy(), mine.labels.copy()
    images[:count], labels[:count] = theirs.images[:count], (theirs.labels[:count] + turn) % 2
    return dataset(**{split: (images, labels)})


CASES = {
    "test images learnt": (
        copied("test", "train", 3),
        "3 of 8 (37.5 %) test images are identical to a training",
    ),
    "one test image learnt": (
        copied("test", "train", 1),
        "1 of 8 (12.5 %) test images is identical to a training image",
    ),
    "learnt with the other label": (copied("test", "train", 2, turn=1), "; 2 are of another class there: results on"),
    "validation images learnt": (copied("validation", "train", 6), "6 of 6 (100.0 %) validation images are identical"),
    "test images chosen by": (copied("test", "validation", 4), "4 of 8 (50.0 %) test images are identical to a valid"),
    "a file copied into another class": (
        dataset(train=(flat([1, 1, 3, 4]) * 50, [0, 1, 0, 1])),
        "2 of 18 (11.1 %) images of all splits occur with different classes",
    ),
    "images of 0 and 1": (
        dataset(train=(np.random.default_rng(0).integers(0, 2, (9, 28, 28, 1)), np.arange(9) % 2)),
        "The training images hold values of 0 and 1 only",
    ),
    "black test images": (
        dataset(test=(flat([0] * 5), [0, 1, 0, 1, 0])),
        "5 of 5 (100.0 %) test images are of one",
    ),
    "equal training images": (
        dataset(train=(np.tile(np.arange(28, dtype=np.uint8), (7, 28, 1))[..., None], np.arange(7) % 2)),
        "All 7 training images are identical.",
    ),
    "one constant image": (
        dataset(validation=(np.concatenate([flat([9]), dataset().validation.images]), np.arange(7) % 2)),
        "1 of 7 (14.3 %) validation images is of one value throughout",
    ),
    "repeated images": (
        dataset(train=(np.repeat(dataset().train.images, 2, axis=0), np.repeat(np.arange(12) % 2, 2))),
        "12 of 24 (50.0 %) training images repeat another one.",
    ),
    "a validation set of one class": (
        dataset(validation=(dataset().validation.images, [1] * 6)),
        "All validation images are of one class (b): AUC is not defined there.",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_is_odd_is_said_with_its_numbers(case):
    some, words = CASES[case]
    assert any(words in sentence for sentence in said(some)), said(some)


def test_a_learnt_test_image_is_said_first():
    some = copied("test", "train", 1)
    spoilt = dataset(
        train=(np.concatenate([some.train.images, flat([7, 7])]), np.arange(14) % 2),
        test=(some.test.images, [0] * 8),
        validation=(flat([0] * 6), [0] * 6),
    )
    assert len(said(spoilt)) > 3
    assert said(spoilt)[0].startswith("1 of 8 (12.5 %) test images is identical to a training image")


def test_an_absent_class_is_named():
    three = data.load_phantom("phantom-histology", train=40, validation=8, test=8, seed=0)
    kept = three.test.labels != 2
    summary = data.Dataset(
        **{
            **{name: getattr(three, name) for name in three.__dataclass_fields__},
            "test": data.Split(three.test.images[kept], three.test.labels[kept]),
        }
    )
    assert said(summary) == [f"No test image is of the class {three.classes[2]}: AUC is not defined there."]


@pytest.mark.parametrize(("classes", "words"), [(7, "2, 3, 4, 5, 6:"), (8, "2, 3, 4, 5, 6 and 1 more:")])
def test_at_most_five_absent_classes_are_named(classes: int, words: str):
    some = dataclasses.replace(dataset(), classes=tuple(map(str, range(classes))))
    assert said(some)[0] == f"No training image is of the class {words} AUC is not defined there."


def test_a_split_is_not_called_what_it_is_only_in_form():
    """Black images are not said to hold 0 and 1, nor is a single image said to be identical to itself."""
    black = said(dataset(test=(flat([0] * 4), [0, 1, 0, 1])))
    assert not [sentence for sentence in black if "values of 0 and 1" in sentence]
    single = said(dataset(test=(dataset().test.images[:1], [0])))
    assert single == ["All test images are of one class (a): AUC is not defined there."]


@pytest.mark.parametrize("name", data.PHANTOM_NAMES)
def test_phantoms_are_not_odd(name):
    assert said(data.load_phantom(name, train=200, validation=40, test=40, seed=0)) == []


@pytest.mark.skipif(not REAL.exists(), reason=f"no MedMNIST files at {REAL}")
def test_real_sets_have_the_twins_that_comparing_each_with_each_finds():
    for name in ("breastmnist", "pneumoniamnist"):
        some = data.load_medmnist(name, root=REAL, accept_unverified=True, report=None)
        rows = {split: getattr(some, split).images.reshape(-1, 784).astype(np.float32) for split in SPLITS}
        lengths = {split: np.sum(row**2, axis=1) for split, row in rows.items()}
        found = data.audit(some)
        for split, other in (("validation", "train"), ("test", "train"), ("test", "validation")):
            squares = lengths[split][:, None] + lengths[other] - 2 * rows[split] @ rows[other].T
            close = np.argwhere(squares < 50)  # float32 may be a little off
            twins = {int(i) for i, j in close if np.array_equal(rows[split][i], rows[other][j])}
            assert found[split][f"in_{other}"] == len(twins)
    breast = data.load_medmnist("breastmnist", root=REAL, accept_unverified=True, report=None)
    assert data.audit(breast)["test"]["in_train"] == data.audit(breast)["test"]["in_train_other_class"] == 1


# --- groups --------------------------------------------------------------------------------------------


def grouped(**groups: str) -> data.Dataset:
    """The data set above, a letter of a word for each image's group."""
    some = dataset()
    parts = {split: dataclasses.replace(getattr(some, split), groups=tuple(word)) for split, word in groups.items()}
    return dataclasses.replace(some, **parts)


def test_images_of_groups_in_two_splits_are_counted_and_said():
    some = grouped(train="aaabbbcccddd", validation="aeefgh", test="aabehijj")
    found = data.audit(some)
    assert [found[split]["groups"] for split in SPLITS] == [4, 5, 6]
    assert [found[split]["largest_group"] for split in SPLITS] == [3, 2, 2]
    assert found["validation"]["group_in_train"] == 1
    assert (found["test"]["group_in_train"], found["test"]["group_in_validation"]) == (3, 4)
    (test, validation, both) = said(some)
    assert test.startswith("3 of 8 (37.5 %) test images are of groups (a patient, a lesion ...) with images in train")
    assert validation.startswith("1 of 6 (16.7 %) validation images is of a group")
    assert both.startswith("4 of 8 (50.0 %) test images are of groups")


def test_nothing_is_said_of_groups_that_are_not_parted_or_not_known():
    assert said(grouped(train="aaabbbcccddd", validation="eeefff", test="gghhiijj")) == []
    assert "groups" not in data.audit(dataset())["train"]


def test_a_class_whose_share_differs_by_more_than_chance_is_said():
    def with_shares(train: int, test: int, n: int) -> list[str]:
        values = {"train": train, "validation": n // 2, "test": test}
        labels = {split: (np.arange(n) < ones).astype(int) for split, ones in values.items()}
        rng = np.random.default_rng(0)
        parts = {split: (rng.integers(0, 256, (n, 28, 28, 1), np.uint8), labels[split]) for split in SPLITS}
        return said(dataset(**parts))

    (text,) = with_shares(300, 250, 400)
    assert text.startswith("37.5 % of the test images and 25.0 % of the training images are of class a: ")
    assert with_shares(300, 290, 400) == []  # 2.5 points
    assert with_shares(15, 12, 20) == []  # 15 points, of 20 images


@pytest.mark.skipif(not (REAL / "dermamnist_ids.csv").is_file(), reason=f"no ids in {REAL}")
def test_ids_show_that_a_third_of_dermamnists_test_images_have_their_lesion_in_training(monkeypatch):
    monkeypatch.setattr(
        sys.modules["medaug_keras.data.audit"], "near_duplicates", lambda *_: NONE
    )  # which takes its time
    ids = data.Ids(path=REAL / "dermamnist_ids.csv", group="lesion_id", image="image_id")
    some = data.named(data.load_medmnist("dermamnist", root=REAL, accept_unverified=True, report=None), ids)
    found = data.audit(some)
    assert (found["test"]["group_in_train"], found["validation"]["group_in_train"]) == (693, 348)
    assert "693 of 2,005 (34.6 %) test images are of groups" in "\n".join(said(some))


# --- images that are nearly the same -------------------------------------------------------------------

VIEWS = phantoms(count=120)


def of_views(train, validation, test) -> data.Dataset:
    """Splits of (view, how it is altered, class, group) each."""
    how = {
        "": lambda image: image,
        "moved": moved(1, -1),
        "encoded": lambda image: encoded(image),
        "mirrored": mirrored,
    }
    made = {}
    for split, rows in zip(SPLITS, (train, validation, test), strict=True):
        images = np.stack([how[alteration](VIEWS[view]) for view, alteration, _, _ in rows])
        groups = tuple(group for *_, group in rows)
        made[split] = data.Split(images, np.array([k for _, _, k, _ in rows]), (), groups if any(groups) else ())
    return dataclasses.replace(dataset(), **made)


def plain(start: int, count: int, group: str = "") -> list[tuple[int, str, int, str]]:
    return [(view, "", view % 2, f"{group}{view}" if group else "") for view in range(start, start + count)]


def test_images_that_are_nearly_the_same_are_counted_by_split_and_class():
    some = of_views(
        plain(0, 60),
        [*plain(60, 20), (3, "moved", 1, "")],
        [*plain(80, 20), (1, "encoded", 1, ""), (2, "mirrored", 1, ""), (61, "moved", 1, ""), (80, "moved", 0, "")],
    )
    found = data.audit(some)
    assert (found["near_pairs"], found["near_mirrored"]) == (5, 1)
    assert (found["validation"]["near_in_train"], found["validation"]["near_in_train_other_class"]) == (1, 0)
    assert (found["test"]["near_in_train"], found["test"]["near_in_train_other_class"]) == (2, 1)
    assert (found["test"]["near_in_validation"], found["test"]["near_in_validation_other_class"]) == (1, 0)
    assert [found[split]["near_within"] for split in SPLITS] == [0, 0, 2]
    assert [found[split]["near_conflicting"] for split in SPLITS] == [1, 0, 1]
    first = said(some)[0]
    assert first.startswith(
        "2 of 24 (8.3 %) test images are nearly the same as a training image; 1 is of another class"
    )
    assert any(
        "2 of 105 (1.9 %) images of all splits are nearly the same as one of another class" in text
        for text in said(some)
    )


row = st.tuples(st.integers(0, 25), st.sampled_from(["", "", "", "moved", "encoded"]), st.integers(0, 1))


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (("", ""), "of another class: is one of them wrong?"),
        (("p", "q"), "of another class, none of them as one of its own group: is one"),
        (("p", "p"), "of another class, all of them as one of their own group (a patient, a lesion ...), as images of"),
    ],
)
def test_of_images_with_nearly_the_same_one_of_another_class_it_is_said_how_many_are_of_one_group(groups, words):
    rest = plain(10, 40, "t" if groups[0] else "")
    pair = [(5, "", 1, groups[0]), (5, "moved", 0, groups[1])]
    parts = plain(60, 10, groups[0] and "v"), plain(80, 10, groups[0] and "e")
    some = of_views([*pair, *rest], *parts)
    assert any(f"2 of 62 (3.2 %) images of all splits are nearly the same as one {words}" in one for one in said(some))
    relations = data.related(some)
    (found,) = data.of_two_classes(relations)
    assert (found.place, found.of, found.how) == (0, 1, "nearly the same")
    assert found.same_group is (groups[0] == groups[1] if groups[0] else None)
    assert ("near_conflicting_in_group" in data.audit(some)["train"]) == bool(groups[0])
    of_one_class = of_views([(5, "", 1, groups[0]), (5, "moved", 1, groups[1]), *rest], *parts)
    assert data.of_two_classes(data.related(of_one_class)) == []
    assert not any("of another class" in one for one in said(of_one_class))


def test_of_pairs_of_two_classes_some_are_of_one_group_and_some_are_not():
    rows = [(5, "", 1, "p"), (5, "moved", 0, "p"), (6, "", 1, "q"), (6, "encoded", 0, "r"), *plain(10, 40, "t")]
    some = of_views(rows, plain(60, 10, "v"), plain(80, 10, "e"))
    assert any("4 of 64 (6.2 %)" in one and "another class, 2 of them as one of their own" in one for one in said(some))
    assert [one.same_group for one in data.of_two_classes(data.related(some))] == [True, False]


@settings(max_examples=15)
@given(st.data())
def test_every_image_that_is_counted_as_of_two_classes_is_in_a_pair_of_them_and_no_other(draw):
    rows = [draw.draw(st.lists(row, min_size=n, max_size=12)) for n in (1, 0, 0)]
    fill = [plain(30, 20), plain(60, 10), plain(80, 10)]
    some = of_views(*[[*((*one, "") for one in drawn), *rest] for drawn, rest in zip(rows, fill, strict=True)])
    relations = data.related(some)
    pairs = data.of_two_classes(relations)
    members, near = relations.members(), {frozenset(pair) for pair in relations.near.places.tolist()}
    everywhere = range(len(relations.split))
    wanted = {
        a
        for a in everywhere
        for b in everywhere
        if relations.label[a] != relations.label[b]
        and (
            relations.first[a] == relations.first[b]
            or frozenset((int(relations.first[a]), int(relations.first[b]))) in near
        )
    }
    assert {place for one in pairs for place in (one.place, one.of)} == wanted
    assert all(relations.label[one.place] != relations.label[one.of] for one in pairs)
    assert all((one.how == "identical") == (relations.first[one.place] == relations.first[one.of]) for one in pairs)
    assert len({(one.place, one.of) for one in pairs}) == len(pairs) <= max(len(wanted), 0)
    assert sum(map(len, members.values())) == len(relations.split)


def test_checks_come_with_the_worst_first_and_check_says_them_in_that_order():
    some = dataset(test=(flat([3, 9, 9, 9]), [0, 1, 0, 1]))
    summary = some.summary() | {"audit": data.audit(some)}
    levels = [LEVELS.index(check.level) for check in data.checks(summary)]
    assert levels == sorted(levels)
    assert len(set(levels)) > 2
    told = [f"datasets.m: {text}" for check in data.checks(summary) for text in (one.text for one in check.found)]
    remarks = [str(one).replace("fail: ", "").replace("warning: ", "") for one in odd("m", summary)]
    assert remarks == [text for text in told if text in remarks]
    assert len(remarks) > 2


def test_views_of_one_group_in_one_split_are_no_repetition():
    group = [(5, "", 1, "p"), (5, "moved", 1, "p")]
    some = of_views([*group, *plain(10, 40, "t")], plain(60, 10, "v"), plain(80, 10, "e"))
    assert data.audit(some)["train"]["near_within"] == 0
    other = of_views([group[0], (*group[1][:3], "q"), *plain(10, 40, "t")], plain(60, 10, "v"), plain(80, 10, "e"))
    assert data.audit(other)["train"]["near_within"] == 2


@settings(max_examples=15)
@given(st.lists(row, max_size=12), st.lists(row, max_size=6), st.lists(row, max_size=6), st.booleans())
def test_without_the_images_that_are_to_be_left_out_no_split_knows_another(train, validation, test, grouped_too):
    def rows(some, start):
        return [
            *((*one, f"g{i % 5}" if grouped_too else "") for i, one in enumerate(some)),
            *plain(start, 10, "x" if grouped_too else ""),
        ]

    some = of_views(rows(train, 30), rows(validation, 60), rows(test, 90))
    gone: dict[str, list[int]] = {}
    relations = data.related(some)
    healed = data.heal(relations)
    assert [one for one in healed if not one.later] == to_leave_out(relations)
    for one in healed:
        split, index = relations.within(one.place)
        gone.setdefault(split, []).append(index)
    found = data.audit(some.without(gone))
    leaks = [
        count for split in SPLITS for what, count in found[split].items() if "in_train" in what or "in_val" in what
    ]
    assert sum(leaks) == sum(found[split]["conflicting"] for split in SPLITS) == 0
    kept = len(some.test.labels) - len(gone.get("test", []))
    conflicting = data.audit(some)["test"]["conflicting"]
    assert kept == len(some.test.labels) - conflicting  # the test set stays whole, but for wrong classes


def test_pairs_are_kept_to_be_shown_the_worst_first():
    some = of_views(
        [*plain(0, 40), *((view, "moved", view % 2, "") for view in range(20))],
        [*plain(60, 10), (1, "", 1, "")],
        [*plain(80, 10), (2, "moved", 1, ""), (7, "", 1, ""), (8, "", 1, "")],
    )
    shown = data.pairs_to_show(data.related(some))
    assert {name.partition("_")[0] for name in shown} == {"identical", "near", "labels", "repeats"}
    assert shown["identical_splits"].tolist() == [[0, 2], [0, 2], [0, 2], [0, 1]]
    assert [one != other for one, other in shown["identical_labels"]] == [True, True, False, False]
    assert shown["repeats_images"].shape == (12, 2, 28, 28, 1)
    for a, b in shown["identical_images"]:
        assert np.array_equal(a, b)


def test_images_of_a_group_are_shown_where_they_are_in_two_splits():
    shown = data.pairs_to_show(data.related(grouped(train="aaabbbcccddd", validation="eefggh", test="abijklmm")))
    assert shown["groups_splits"].tolist() == [[0, 2]] * len(shown["groups_splits"])


def test_an_image_with_two_classes_is_left_out_for_one_of_the_other_class():
    some = dataset(train=(flat([1, 1, 1, 5, 6, 7]) + dataset().train.images[:1] // 2, [0, 0, 1, 0, 1, 0]))
    gone = to_leave_out(data.related(some))
    assert [one.place for one in gone] == [0, 1, 2]
    assert {one.reason for one in gone} == {"identical, of another class"}
    assert [some.train.labels[one.place] != some.train.labels[one.of] for one in gone] == [True] * 3


# --- checks ------------------------------------------------------------------------------------------


def levels(some: data.Dataset) -> dict[str, str]:
    return {check.name: check.level for check in data.checks(some.summary() | {"audit": data.audit(some)})}


def test_every_check_has_a_level_and_a_sentence_and_what_is_odd_has_an_advice():
    for some in (dataset(), *(some for some, _ in CASES.values()), grouped(train="aaabbbcccddd", test="aabehijj")):
        for check in data.checks(some.summary() | {"audit": data.audit(some)}):
            assert check.level in LEVELS
            assert check.found
            assert bool(check.advice) or check.level not in ("fail", "warn")


def test_only_what_is_wrong_with_the_test_images_fails():
    assert levels(copied("test", "train", 1))["identical"] == "fail"
    assert levels(copied("validation", "train", 1))["identical"] == "warn"
    assert levels(copied("test", "validation", 1))["identical"] == "warn"
    assert levels(copied("test", "train", 1, turn=1))["labels"] == "fail"
    assert levels(copied("validation", "train", 1, turn=1))["labels"] == "warn"
    assert levels(grouped(train="aaabbbcccddd", test="aefghijk"))["groups"] == "fail"
    assert levels(grouped(train="aaabbbcccddd", validation="aefghi"))["groups"] == "warn"
    assert levels(CASES["images of 0 and 1"][0])["pixels"] == "fail"
    assert levels(CASES["one constant image"][0])["pixels"] == "warn"
    both = dataset(test=(flat([9]), [0]), validation=(flat([9]), [0]), train=(flat([9, 8]), [0, 1]))
    assert levels(both)["identical"] == "fail"  # the worst of what was found
    good = levels(dataset())
    assert good.pop("groups") == good.pop("largest") == "not known"
    assert set(good.values()) == {"pass"}


def test_an_image_with_two_classes_fails_where_folds_test_every_image():
    none = data.Split(dataset().test.images[:0], np.zeros(0, int))
    twice = dataset(train=(np.repeat(dataset().train.images ^ 255, 2, axis=0), np.arange(24) % 2))
    assert levels(dataclasses.replace(twice, validation=none, test=none))["labels"] == "fail"
    assert levels(twice)["labels"] == "warn"  # of training images alone


@pytest.mark.parametrize("name", NOTHING_NEW)
def test_medmnist_enlarged_beyond_its_source_is_said_of_its_own_files_only(name: str):
    size, why = NOTHING_NEW[name]

    def enlarged(size: int, md5: str | None) -> str:
        some = dataclasses.replace(dataset(), name=name, official_md5=md5)
        summary = some.summary() | {"audit": data.audit(some), "image_shape": [size, size, 1]}
        return next(check.level for check in data.checks(summary) if check.name == "enlarged")

    assert why
    assert [enlarged(size, "0" * 32), enlarged(size - 1, "0" * 32), enlarged(size, None)] == ["warn", "pass", "pass"]


def test_a_record_of_an_earlier_version_says_what_was_not_looked_for():
    summary = dataset().summary() | {"audit": data.audit(dataset())}
    old = {split: {k: n for k, n in summary["audit"][split].items() if "near" not in k} for split in SPLITS}
    found = {check.name: check.level for check in data.checks(summary | {"audit": old})}
    assert {name for name, level in found.items() if level == "not looked for"} == {"near", "enlarged"}
    assert data.warnings(summary | {"audit": old}) == []


def test_images_that_were_enlarged_are_counted(tmp_path):
    images = {f"{split}_images": np.random.default_rng(0).integers(0, 256, (9, 20, 30), np.uint8) for split in PARTS}
    np.savez(tmp_path / "a.npz", **images, **{f"{split}_labels": np.arange(9) % 2 for split in PARTS})
    for size, fit, count in ((20, "crop", 0), (21, "crop", 27), (21, "stretch", 27), (30, "pad", 0), (31, "pad", 27)):
        some = data.load_npz(tmp_path / "a.npz", name="a", title="A", classes=None, size=size, fit=fit)
        assert data.audit(some)["enlarged"] == count, (size, fit)
    assert "27 of 27 (100.0 %) images were smaller and are enlarged to 31 x 31" in "".join(said(some))


PARTS = ("train", "val", "test")


def test_a_large_group_and_a_rare_class_are_said():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (60, 28, 28, 1), np.uint8)
    labels = (np.arange(60) < 3).astype(int)
    groups = tuple("a" * 10) + tuple(map(str, range(50)))
    learnt = (np.arange(60) < 6).astype(int)
    some = dataclasses.replace(dataset(train=(images, learnt)), test=data.Split(images[::-1] ^ 255, labels, (), groups))
    words = said(some)
    assert "10 of 60 (16.7 %) test images are of one group (a patient, a lesion ...)." in words
    assert (
        "The rarest class, b, has 6 of 60 (10.0 %) training images, 3 validation and 3 test images: one image changes "
        "its recall by 33 points." in words
    )
