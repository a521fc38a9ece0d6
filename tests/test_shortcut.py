"""Whether added images can be told from real ones, and what that tells of the class: laws, and cases that are plain."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaug_keras import evaluation
from medaug_keras.evaluation import shortcut

RNG = np.random.default_rng(0)


def images(n: int, *, low: int = 40, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(low, low + 100, (n, 16, 16, 1)).astype(np.uint8)


def measured(real, added, test, *, labels=None, rebuilt=False, groups=None, limit=400):
    """The shortcut of images of two classes, half of each unless `labels` says otherwise."""
    labels = labels or [np.arange(len(some)) % 2 for some in (real, added, test)]
    return evaluation.source_shortcut(
        train_images=real,
        train_labels=labels[0],
        train_groups=groups,
        added_images=added,
        added_labels=labels[1],
        test_images=test,
        test_labels=labels[2],
        rebuilt=rebuilt,
        looks=[lambda some: some.reshape(len(some), -1)[:, :20] / 255],
        limit=limit,
        seed=0,
    )


def test_images_of_one_source_cannot_be_told_apart():
    found = measured(images(200), images(200, seed=1), images(200, seed=2))
    assert found["auc"] == pytest.approx(0.5, abs=0.1)
    assert found["auc_test"] == pytest.approx(0.5, abs=0.1)
    assert found["class_told"] == 0


def test_images_without_fine_detail_are_told_apart_though_they_are_as_bright_everywhere():
    smooth = images(200, seed=1).astype(float)
    smooth = np.mean([np.roll(smooth, shift, axis) for axis in (1, 2) for shift in (-1, 0, 1)], axis=0)
    smooth = (smooth - smooth.mean()) * images(200).std() / smooth.std() + images(200).mean()
    found = measured(images(200), np.clip(smooth, 0, 255).astype(np.uint8), images(200, seed=2))
    assert found["auc"] > 0.95


def test_reconstructions_that_change_nothing_are_not_told_apart_and_stay_with_their_originals():
    real = images(100)
    assert measured(real, real, images(50, seed=2), rebuilt=True)["auc"] == pytest.approx(0.5, abs=0.02)


def test_of_one_finding_an_image_it_is_that_of_one_class_and_of_more_that_of_the_rarest():
    labels = [np.repeat([0, 1], [60, 40]), np.repeat([0, 1], [30, 30]), np.repeat([0, 1], [30, 20])]
    sets = images(100), images(60, low=50, seed=1), images(50, seed=2)
    expected = measured(*sets, labels=labels)
    assert measured(*sets, labels=[np.eye(2, dtype=np.int64)[some] for some in labels]) == expected
    both = [np.array([[1, 0], [1, 1]])[some] for some in labels]  # the second is the rarer one
    assert measured(*sets, labels=both) == expected
    none = [np.array([[1], [0]])[some] for some in labels]  # of one finding: with it and without
    assert measured(*sets, labels=none) == expected


def test_images_of_a_group_are_in_one_fold():
    groups = np.repeat(np.arange(20), 5)
    folds = shortcut._folds(groups, -1 - np.arange(40), seed=3)
    for group in range(20):
        assert len(set(folds[:100][groups == group])) == 1
    assert np.bincount(folds[:100]).tolist() == [20] * 5
    assert np.bincount(folds[100:]).tolist() == [8] * 5


def test_another_seed_parts_them_otherwise():
    groups = np.arange(30), -1 - np.arange(30)
    first, again, other = (shortcut._folds(*groups, seed=seed).tolist() for seed in (1, 1, 2))
    assert first == again != other
    assert shortcut.FOLDS == len(set(first)) == 5


def test_scores_are_those_of_a_ridge_regression_of_standardized_rows():
    linear = pytest.importorskip("sklearn.linear_model")
    pipeline, scaled = pytest.importorskip("sklearn.pipeline"), pytest.importorskip("sklearn.preprocessing")
    rows, source, others = RNG.normal(3, 2, (40, 60)), np.arange(40) % 3 == 0, RNG.normal(3, 2, (7, 60))
    theirs = pipeline.make_pipeline(scaled.StandardScaler(), linear.Ridge(alpha=0.1 * 40)).fit(rows, source)
    ours = shortcut._fitted(rows, source.astype(float), others)
    np.testing.assert_allclose(ours + source.mean(), theirs.predict(others), atol=1e-9)
    rows[:, 0], others[:, 0] = 1e6 / 3, 1e9
    np.testing.assert_allclose(
        shortcut._fitted(rows, source.astype(float), others),
        shortcut._fitted(rows[:, 1:], source.astype(float), others[:, 1:]),
        atol=1e-9,
        err_msg="what does not vary tells nothing",
    )


def test_the_whole_is_the_mean_over_classes_by_all_of_their_added_images():
    labels = [np.repeat([0, 1], [100, 100]), np.repeat([0, 1], [150, 30]), np.repeat([0, 1], [100, 100])]
    added = np.concatenate([images(150, low=50, seed=1), images(30, seed=2)])
    found = measured(images(200), added, images(200, low=45, seed=3), labels=labels, limit=80)
    first, second = found["by_class"]
    assert (first["added"], second["added"]) == (150, 30)
    for name in ("auc", "auc_test"):
        assert found[name] == pytest.approx((150 * first[name] + 30 * second[name]) / 180)
    assert first["auc"] != second["auc"]
    assert found["auc"] != found["auc_test"]


def test_of_each_class_and_source_a_part_of_the_limit_is_looked_at():
    seen = []
    evaluation.source_shortcut(
        train_images=images(300),
        train_labels=np.arange(300) % 3,
        train_groups=None,
        added_images=images(90),
        added_labels=np.arange(90) % 3,
        test_images=images(60),
        test_labels=np.arange(60) % 3,
        rebuilt=False,
        looks=[lambda some: seen.append(len(some)) or some.reshape(len(some), -1)[:, :4]],
        limit=150,
        seed=0,
    )
    assert seen == [25, 25, 20] * 3


def test_a_class_with_few_images_says_so_and_does_not_count():
    labels = [np.repeat([0, 1], [100, 100]), np.repeat([0, 1], [60, 3]), np.repeat([0, 1], [50, 50])]
    found = measured(images(200), images(63, low=120, seed=1), images(100, seed=2), labels=labels)
    first, second = found["by_class"]
    assert (second["auc"], second["added"]) == (None, 3)
    assert "3" in second["reason"]
    assert found["auc"] == first["auc"] > 0.95


def test_no_class_with_enough_images_is_no_number():
    found = measured(images(40), images(8, seed=1), images(40, seed=2))
    assert found["auc"] is found["auc_test"] is None


counts = st.lists(st.integers(0, 50), min_size=2, max_size=5)


@given(counts, st.integers(1, 4))
def test_added_images_in_the_mix_of_the_real_ones_tell_nothing_of_the_class(real, times):
    labels = np.repeat(np.arange(len(real)), real)
    if len(labels):
        assert shortcut.class_told(labels, np.repeat(labels, times)) == pytest.approx(0, abs=1e-9)


@given(counts, counts)
def test_what_the_source_tells_of_the_class_is_a_part_of_it(real, added):
    labels = [np.repeat(np.arange(len(some)), some) for some in (real, added)]
    if all(map(len, labels)):
        assert 0 <= shortcut.class_told(*labels) <= 1


def test_where_each_class_has_one_source_it_tells_all():
    assert shortcut.class_told(np.zeros(30, int), np.ones(50, int)) == pytest.approx(1)


def test_what_deficit_tells_on_breastmnist_is_a_fourteenth_of_the_class():
    """147 and 399 images, and 54 more of which 42 are of the rare class: entropies in bits by hand."""

    def bits(share: float) -> float:
        return -share * np.log2(share) - (1 - share) * np.log2(1 - share)

    whole, within = bits(189 / 600), 546 / 600 * bits(147 / 546) + 54 / 600 * bits(42 / 54)
    told = shortcut.class_told(np.repeat([0, 1], [147, 399]), np.repeat([0, 1], [42, 12]))
    assert told == pytest.approx((whole - within) / whole)
    assert told == pytest.approx(1 / 14, abs=0.002)


def test_the_spectrum_has_the_power_of_a_wave_in_its_band():
    x = np.arange(16)
    bands = []
    for waves in (1, 4, 8):
        image = 128 + 100 * np.cos(2 * np.pi * waves * x / 16)[None, None, :, None] * np.ones((1, 16, 1, 1))
        bands.append(int(shortcut.spectrum(image.astype(np.uint8))[0].argmax()))
    assert bands == sorted(set(bands))


def test_the_same_images_give_the_same_numbers():
    some = images(60), images(60, seed=1), images(60, seed=2)
    assert measured(*some) == measured(*some)
