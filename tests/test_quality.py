"""Quality of synthetic images: against torchmetrics, prdc, scipy, closed forms, planted copies."""

import json
import os
import re
import sys
from pathlib import Path
from unittest import mock

import numpy as np
import prdc
import pytest
import torch
from scipy import linalg, ndimage, stats
from scipy.spatial.distance import cdist, pdist
from sklearn.metrics import roc_auc_score

from benchmarks.copying import ALTERATIONS
from medaug_keras import evaluation
from medaug_keras.evaluation import chosen, copying
from medaug_keras.evaluation.chosen import mirror
from medaug_keras.evaluation.quality import _class_measures
from medaug_keras.evaluation.similarity import draw, flat, scaled
from medaug_keras.measures import MEASURES

# torchmetrics imports torchvision for metrics of its own that are not used here.
with mock.patch.dict(sys.modules):
    for name in ("torchvision", "torchvision.models", "torchvision.transforms"):
        sys.modules[name] = mock.MagicMock()
    from torchmetrics.image.fid import _compute_fid
    from torchmetrics.image.kid import poly_mmd

MEDMNIST = Path(os.environ.get("MEDMNIST_ROOT", Path(__file__).parents[2] / "shared" / "medmnist"))


def normal(n, size, seed, shift=0.0):
    return np.random.default_rng(seed).normal(size=(n, size)) + shift


# --- Kernel and Fréchet distance


@pytest.mark.parametrize("size", [3, 40])
def test_kernel_distance_agrees_with_torchmetrics(size):
    real, synthetic = normal(60, size, 0), normal(60, size, 1, shift=0.4)
    expected = float(poly_mmd(torch.tensor(real), torch.tensor(synthetic)))
    assert evaluation.kernel_distance(real, synthetic)["value"] == pytest.approx(expected, rel=1e-9)


def test_kernel_distance_is_its_definition_for_unequal_numbers_and_in_blocks(monkeypatch):
    real, synthetic = normal(31, 4, 0), normal(17, 4, 1)
    kernel = lambda x, y: (x @ y.T / 4 + 1) ** 3  # noqa: E731
    within = [kernel(x, x)[~np.eye(len(x), dtype=bool)].mean() for x in (real, synthetic)]
    expected = sum(within) - 2 * kernel(real, synthetic).mean()
    monkeypatch.setattr("medaug_keras.evaluation.similarity._ROWS", 7)
    assert evaluation.kernel_distance(real, synthetic)["value"] == pytest.approx(expected)


def test_kernel_distance_interval_is_the_jackknife_by_leaving_images_out_one_by_one():
    real, synthetic = normal(12, 3, 0), normal(9, 3, 1, shift=0.5)
    found = evaluation.kernel_distance(real, synthetic)
    variance = 0.0
    for side in (0, 1):
        n = len((real, synthetic)[side])
        left_out = []
        for i in range(n):
            pair = [real, synthetic]
            pair[side] = np.delete(pair[side], i, axis=0)
            left_out.append(evaluation.kernel_distance(*pair)["value"])
        variance += (n - 1) * np.var(left_out)
    half = stats.t.ppf(0.975, 8) * np.sqrt(variance)
    assert (found["high"] - found["low"]) / 2 == pytest.approx(half)
    assert (found["high"] + found["low"]) / 2 == pytest.approx(found["value"])


@pytest.mark.parametrize(("real_images", "images"), [(150, 54), (300, 300)])
def test_kernel_distance_interval_covers_the_true_distance_in_95_of_100_samples(real_images, images):
    # (x.y / D + 1)^3 compares the moments of order 1, 2 and 3. For N(0, I) against N(d, I) with
    # s = |d|^2 their squared differences are s, s^2 and s^3 + 6 s^2 + (3 D + 6) s.
    size, shift = 16, 0.2
    s = size * shift**2
    truth = 3 * s / size + 3 * s**2 / size**2 + (s**3 + 6 * s**2 + (3 * size + 6) * s) / size**3
    rng, held = np.random.default_rng(0), []
    for _ in range(400):
        real, synthetic = rng.normal(size=(real_images, size)), rng.normal(size=(images, size))
        found = evaluation.kernel_distance(real, synthetic + shift)
        held.append(found["low"] <= truth <= found["high"])
    assert 0.92 <= np.mean(held) <= 0.98


def test_kernel_distance_of_one_distribution_is_0_on_average():
    values = [evaluation.kernel_distance(normal(40, 8, s), normal(25, 8, 999 + s))["value"] for s in range(300)]
    assert abs(np.mean(values)) < 3 * np.std(values) / np.sqrt(len(values))


@pytest.mark.parametrize("images", [30, 500])
def test_frechet_distance_agrees_with_torchmetrics(images):
    mix = np.random.default_rng(7).normal(size=(20, 20))
    real, synthetic = normal(images, 20, 0) @ mix, normal(images + 9, 20, 1, shift=0.3)
    moments = [torch.tensor(part) for x in (real, synthetic) for part in (x.mean(0), np.cov(x.T))]
    assert evaluation.frechet_distance(real, synthetic) == pytest.approx(float(_compute_fid(*moments)), rel=1e-6)


def test_frechet_distance_has_its_closed_form_for_one_feature():
    x, y = normal(50, 1, 0), 3 * normal(70, 1, 1) + 2
    expected = (x.mean() - y.mean()) ** 2 + (x.std(ddof=1) - y.std(ddof=1)) ** 2
    assert evaluation.frechet_distance(x, y) == pytest.approx(expected)


def test_frechet_distance_of_images_like_the_real_ones_is_its_floor_and_of_others_is_not():
    real, labels = normal(800, 16, 0), np.arange(800) % 2
    mine = np.arange(200) % 2

    def measure(synthetic):
        return evaluation.frechet_with_floor(real, labels, synthetic, mine, draws=5, limit=1000, seed=0)

    like, unlike = measure(normal(200, 16, 1)), measure(normal(200, 16, 1, shift=0.5))
    assert like["images"] == 200
    assert like["floor"] > 0.3  # far from 0: why a floor is shown at all
    assert like["value"] == pytest.approx(like["floor"], rel=0.2)
    assert unlike["floor"] == like["floor"]
    assert unlike["low"] > 3 * unlike["floor_high"]


def test_the_floor_is_of_two_real_sets_that_share_no_image():
    real, labels, mine = normal(40, 3, 0), np.repeat([0, 1], 20), np.repeat([0, 1], 15)
    found = evaluation.frechet_with_floor(real, labels, normal(30, 3, 1), mine, draws=3, limit=1000, seed=0)
    assert found["images"] == 20  # 10 of each class, twice, are all there are


def test_another_mix_of_classes_alone_does_not_make_synthetic_images_look_worse():
    labels = (np.arange(2000) % 10 == 0).astype(int)  # 10 % of class 1, which lies elsewhere
    real = normal(2000, 4, 0) + 3 * labels[:, None]
    mine = (np.arange(100) % 10 != 0).astype(int)  # 90 % of class 1
    synthetic = normal(100, 4, 1) + 3 * mine[:, None]
    found = evaluation.frechet_with_floor(real, labels, synthetic, mine, draws=5, limit=1000, seed=0)
    assert found["value"] < 2 * found["floor_high"]
    assert evaluation.frechet_distance(real, synthetic) > 10 * found["value"]


def test_scaled_keeps_proportions_and_exceeds_neither_stock_nor_limit():
    wanted, stock = np.array([42, 0, 12]), np.array([147, 5, 399])
    assert scaled(wanted, stock, 5000, largest=np.inf).tolist() == [147, 0, 42]
    assert scaled(wanted, stock, 27, largest=np.inf).tolist() == [21, 0, 6]
    assert scaled(wanted, stock, 5000, largest=1.0).tolist() == [42, 0, 12]
    assert scaled(wanted, np.array([0, 5, 9]), 5000, largest=1.0).tolist() == [0, 0, 0]
    labels = np.repeat([0, 1, 2], stock)
    taken = flat(draw(labels, np.array([147, 0, 42]), np.random.default_rng(0)))
    assert np.bincount(labels[taken]).tolist() == [147, 0, 42]
    assert len(set(taken)) == 189


# --- Precision, recall, density, coverage


@pytest.mark.parametrize(("real_images", "images", "k"), [(60, 40, 5), (9, 30, 3), (25, 7, 5)])
def test_precision_recall_density_coverage_agree_with_prdc(real_images, images, k, capsys):
    real, synthetic = normal(real_images, 4, 0), normal(images, 4, 1, shift=0.3)
    expected = prdc.compute_prdc(real, synthetic, nearest_k=k)
    capsys.readouterr()
    assert evaluation.precision_recall(real, synthetic, neighbours=k) == pytest.approx(expected)


def test_precision_recall_needs_more_images_than_neighbours():
    with pytest.raises(ValueError, match="5 neighbours need more than 5 images"):
        evaluation.precision_recall(normal(5, 2, 0), normal(9, 2, 1), neighbours=5)


def test_a_class_with_too_few_images_has_no_precision_but_a_reason():
    rows = {kind: normal(40, 2, 0) for kind in ("train", "test", "synthetic")}
    labels = {
        "train": np.repeat([0, 1], [36, 4]),
        "test": np.repeat([0, 1], [38, 2]),
        "synthetic": np.repeat([0, 1], [37, 3]),
    }
    rng = np.random.default_rng(0)
    enough, few = (_class_measures(rows, labels, c, 5, 100, rng) for c in (0, 1))
    assert enough["images"] == 37
    assert enough["reason"] is None
    assert enough["real"]["precision"] > 0.5
    assert few["precision"] is None
    assert few["real"] is None
    assert few["reason"] == ("4 train images, more than 5 are needed; 3 synthetic images, more than 5 are needed")


# --- Class consistency


def test_class_consistency_weights_its_ceiling_by_the_synthetic_classes():
    test_labels = np.array([0, 0, 0, 0, 1, 1])
    test = np.eye(2)[[0, 0, 0, 1, 1, 0]]  # recalls 3/4 and 1/2
    mine = np.array([0, 1, 1, 1])
    right, wrong = np.eye(2)[mine], np.eye(2)[1 - mine]
    found = evaluation.class_consistency(mine, [right, wrong], test_labels, [test, test])
    assert (found["value"], found["low"], found["high"]) == (0.5, 0.0, 1.0)
    assert found["ceiling"] == pytest.approx(0.25 * 0.75 + 0.75 * 0.5)
    assert found["by_class"] == [0.5, 0.5]
    assert found["ceiling_by_class"] == [0.75, 0.5]


def test_class_consistency_has_no_ceiling_where_a_class_has_no_test_image():
    labels = np.array([0, 1, 2])
    p = np.eye(3)[labels]
    found = evaluation.class_consistency(labels, [p], labels[:2], [p[:2]])
    assert found["value"] == 1
    assert found["ceiling"] is None
    assert found["ceiling_by_class"] == [1, 1, None]


# --- Features


@pytest.mark.parametrize("block", [chosen.BLOCK_BYTES, 1000])
@pytest.mark.parametrize("by", ["covariance", "products of images"])
def test_pixel_components_are_the_singular_vectors_of_the_centred_pixels(by, block, monkeypatch):
    monkeypatch.setattr(sys.modules["medaug_keras.evaluation.quality"], "BLOCK_BYTES", block)
    if by == "products of images":
        monkeypatch.setattr(sys.modules["medaug_keras.evaluation.quality"], "_SMALL", 0)
    images = np.random.default_rng(0).integers(0, 256, (60, 5, 4, 3), dtype=np.uint8)
    project = evaluation.pixel_components(images, components=6, limit=1000, seed=0)
    pixels = images.reshape(60, -1).astype(float)
    centred = pixels - pixels.mean(0)
    left, size, _ = linalg.svd(centred, full_matrices=False)
    found = project(images)
    assert found.shape == (60, 6)
    np.testing.assert_allclose(np.abs(found), np.abs(left * size)[:, :6], rtol=1e-3, atol=0.05)
    few = evaluation.pixel_components(images[:4], components=6, limit=1000, seed=0)
    assert few(images).shape == (60, 3)


def test_pixel_components_of_large_images_need_no_matrix_of_their_pixels():
    """At 224 x 224 x 3 the covariance would have 91 GB, which no machine gives for 20 images."""
    images = np.random.default_rng(1).integers(0, 256, (20, 224, 224, 3), dtype=np.uint8)
    found = evaluation.pixel_components(images, components=8, limit=1000, seed=0)(images)
    before, after = pdist(images.reshape(20, -1).astype(float)), pdist(found.astype(float))
    assert (after <= before * (1 + 1e-4)).all()  # a projection shortens
    assert after.min() > 0
    assert np.abs(found.mean(0)).max() < 1e-3 * np.abs(found).max()


def test_images_that_are_all_alike_have_components_without_a_number_that_is_none():
    alike = np.full((9, 80, 80, 1), 7, np.uint8)
    assert not evaluation.pixel_components(alike, components=4, limit=100, seed=0)(alike).any()


# --- Copying


@pytest.mark.parametrize("kind", ["pixels", "features"])
def test_nearest_is_the_smallest_distance_over_images_and_mirror_images(kind, monkeypatch):
    monkeypatch.setattr(copying, "_ROWS", 5)
    monkeypatch.setattr(copying, "_COLUMNS", 7)
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (23, 4, 3, 2), dtype=np.uint8)
    images[3] = images[20, :, ::-1]  # a mirrored copy
    images[5, :, 2] = images[5, :, 0]  # its own mirror image, which is no nearer than itself
    rows = lambda x: x.reshape(len(x), -1)  # noqa: E731
    flipped = rows(mirror(images))
    mine = rows(images)
    if kind == "features":
        mine, flipped = mine / 7 + 1e9, flipped / 7 + 1e9  # far from 0: the expanded square has few digits there
    found = copying.nearest(mine[:12], flipped[:12], mine, itself=np.arange(12))
    both = np.stack([cdist(part[:12].astype(float), mine.astype(float)) for part in (mine, flipped)])
    both[:, np.arange(12), np.arange(12)] = np.inf
    np.testing.assert_allclose(found.distance, both.min((0, 2)) / np.sqrt(24))
    np.testing.assert_array_equal(found.index, both.min(0).argmin(1))
    np.testing.assert_array_equal(found.mirrored, both[1].min(1) < both[0].min(1))
    assert found.distance[3] == 0
    assert found.index[3] == 20
    assert found.mirrored[3]


def test_the_nearest_is_found_among_bright_images_that_differ_by_single_grey_levels():
    rows = np.random.default_rng(0).integers(253, 256, (60, 784), dtype=np.uint8)
    found = copying.nearest(rows, None, rows, itself=np.arange(60))
    every = cdist(rows.astype(float), rows.astype(float))
    np.fill_diagonal(every, np.inf)
    np.testing.assert_allclose(found.distance, every.min(1) / 28)


def test_an_image_compared_with_itself_alone_has_no_nearest():
    found = copying.nearest(np.ones((1, 3)), None, np.ones((1, 3)), itself=np.array([0]))
    assert (found.distance[0], found.index[0]) == (np.inf, -1)


def test_c_t_is_mann_and_whitneys_z_pooled_over_the_classes():
    rng = np.random.default_rng(0)
    mine, theirs = rng.normal(1, 1, 50), rng.normal(size=70)
    a, b = np.arange(50) % 2, np.arange(70) % 2
    found = evaluation.data_copying(mine, a, theirs, b)
    z = []
    for cell in (0, 1):
        x, y = mine[a == cell], theirs[b == cell]
        p = stats.mannwhitneyu(x, y, alternative="greater", method="asymptotic", use_continuity=False).pvalue
        z.append(stats.norm.isf(p))
    assert found["cell_values"] == pytest.approx(z)
    assert found["value"] == pytest.approx(np.mean(z))  # as many test images in both
    assert found["value"] > 3  # farther from the training images: a poor fit, no copying
    assert evaluation.data_copying(mine - 3, a, theirs, b)["value"] < -3


def test_c_t_leaves_out_classes_with_few_images():
    mine, cells = np.arange(30.0), np.repeat([0, 1], [27, 3])
    found = evaluation.data_copying(mine, cells, mine, cells)
    assert found["cells"] == [0]
    for n, used in ((7, []), (8, [0])):  # below 8 the normal approximation of the U is poor
        assert evaluation.data_copying(mine[:n], cells[:n], mine, cells)["cells"] == used
        assert evaluation.data_copying(mine, cells, mine[:n], cells[:n])["cells"] == used
    nothing = evaluation.data_copying(mine[:3], cells[:3], mine, cells)
    assert nothing == {"value": None, "cells": [], "cell_values": []}


def test_near_twins_are_rare_among_varied_images_and_all_there_is_in_a_collapsed_set():
    rng = np.random.default_rng(0)
    real, varied = rng.integers(0, 256, (2, 300, 12), dtype=np.uint8)
    collapsed = varied[rng.integers(0, 3, 300)]
    assert evaluation.duplicates(varied, real)["near"] < 0.05
    found = evaluation.duplicates(collapsed, real)
    assert (found["identical"], found["near"]) == (300, 1.0)
    assert found["near_real"] == pytest.approx(0.01, abs=0.004)
    same = evaluation.duplicates(real, real)
    assert same["near"] == same["near_real"] > 0


def real_images(name):
    path = MEDMNIST / f"{name}.npz"
    if not path.exists():
        pytest.skip(f"no {name}.npz in {MEDMNIST}")
    with np.load(path, allow_pickle=False) as file:
        return {
            split: (file[f"{split}_images"][..., None], file[f"{split}_labels"][:, 0].astype(int))
            for split in ("train", "val", "test")
        }


def copies_of(train, test, synthetic, seed=0, space="pixels"):
    """look_for_copies() in pixels or in aligned thumbnails; each set is (images, labels)."""
    rows, find = {
        "pixels": (lambda x: x.reshape(len(x), -1), copying.nearest),
        "aligned": (copying.thumbnails, copying.nearest_aligned),
    }[space]
    sample = np.sort(np.random.default_rng(seed).permutation(len(train[0]))[:1000])
    return evaluation.look_for_copies(
        synthetic=rows(synthetic[0]),
        synthetic_mirrored=rows(mirror(synthetic[0])),
        synthetic_labels=synthetic[1],
        train=rows(train[0]),
        test=rows(test[0]),
        test_mirrored=rows(mirror(test[0])),
        test_labels=test[1],
        sample=sample,
        sample_mirrored=rows(mirror(train[0][sample])),
        find=find,
        false_alarm=copying.FALSE_ALARM,
        draws=3,
        seed=seed,
    )


def two_grey_levels(images, rng):
    return np.clip(np.rint(images + rng.normal(0, 2, images.shape)), 0, 255).astype(np.uint8)


SETS = {"breastmnist": 54, "pneumoniamnist": 470}  # as many synthetic images as the paper made


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", ["exact", "2 grey levels"])
@pytest.mark.parametrize("turn", ["as it is", "mirrored"])
@pytest.mark.parametrize("name", SETS)
def test_a_generator_that_returns_training_images_is_found(name, turn, noise, seed):
    data, rng = real_images(name), np.random.default_rng(seed)
    images, labels = data["train"]
    taken = rng.permutation(len(images))[: SETS[name]]
    copies = images[taken] if turn == "as it is" else mirror(images[taken])
    if noise != "exact":
        copies = two_grey_levels(copies, rng)
    values, arrays = copies_of(data["train"], data["test"], (copies, labels[taken]), seed)
    assert values["verdict"] == evaluation.FOUND
    assert values["c_t"]["value"] < -3
    assert values["nearer_to_train"]["value"] > 0.55
    own = arrays["train_index"] == taken
    assert own.mean() > 0.9  # near-duplicates among the training images take the rest
    assert np.median(arrays["train_mirrored"][own]) == (turn == "mirrored")
    if noise == "exact":
        assert values["identical"] == len(copies)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", SETS)
def test_a_generator_that_returns_unseen_real_images_is_not_accused(name, seed):
    data, rng = real_images(name), np.random.default_rng(seed)
    images, labels = data["train"]
    order = rng.permutation(len(images))
    known, unseen = np.array_split(order, 2)
    generators = {
        "the other half": ((images[known], labels[known]), (images[unseen], labels[unseen])),
        "validation images": (data["train"], data["val"]),
    }
    for train, synthetic in generators.values():
        values, _ = copies_of(train, data["test"], synthetic, seed)
        assert values["verdict"] == evaluation.NOT_FOUND
    values, _ = copies_of(data["train"], data["val"], data["test"], seed)
    assert values["verdict"] == evaluation.NOT_FOUND


def smooth_images(rng, n, size=28):
    """Random images without structure finer than some pixels."""
    noise = ndimage.gaussian_filter(rng.normal(size=(n, size, size, 1)), (0, 3, 3, 0))
    return np.clip(128 + 400 * noise, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", ALTERATIONS)
def test_an_altered_copy_lies_nearer_to_its_original_than_to_other_images_once_aligned(name):
    rng = np.random.default_rng(0)
    images = smooth_images(rng, 60)
    altered = ALTERATIONS[name](images[:30], images, rng)
    found = copying.nearest_aligned(
        copying.thumbnails(altered), copying.thumbnails(mirror(altered)), copying.thumbnails(images)
    )
    np.testing.assert_array_equal(found.index, np.arange(30))
    assert found.mirrored.all() == (name == "mirrored")


def test_thumbnails_do_not_know_brightness_contrast_or_size():
    images = smooth_images(np.random.default_rng(0), 5, 56)
    small = copying.thumbnails(images)
    assert small.shape == (5, copying.GRID**2)
    np.testing.assert_allclose(copying.thumbnails(images / 2 + 40), small, atol=1e-5)
    larger = copying.thumbnails(images.repeat(2, axis=1).repeat(2, axis=2))
    assert np.min(np.sum(larger * small, axis=1)) > 0.999
    assert not copying.thumbnails(np.full((1, 9, 5, 3), 7, np.uint8)).any()


def test_aligned_neighbours_are_those_of_comparing_every_move_with_every_image(monkeypatch):
    monkeypatch.setattr(copying, "_ALIGNED", 7)
    rng = np.random.default_rng(0)
    images = smooth_images(rng, 40)
    small, flipped = copying.thumbnails(images), copying.thumbnails(mirror(images))
    itself = np.arange(20)
    monkeypatch.setattr(copying, "_CANDIDATES", 40)
    found = copying.nearest_aligned(small[:20], flipped[:20], small, itself=itself)
    fits = np.stack([copying._moved(side[:20]) @ small.T for side in (small, flipped)], axis=1)  # (20, 2, moves, 40)
    fits[itself, :, :, itself] = -np.inf
    best = fits.max(axis=(1, 2))
    np.testing.assert_array_equal(found.index, best.argmax(axis=1))
    np.testing.assert_array_equal(found.mirrored, fits.max(axis=(2, 3)).argmax(axis=1) == 1)
    np.testing.assert_allclose(found.distance**2 * small.shape[1], 2 - 2 * best.max(axis=1), atol=1e-5)
    alone = copying.nearest_aligned(small[:1], None, small[:1], itself=np.array([0]))
    assert alone.distance[0] == np.inf
    assert alone.index[0] == -1


@pytest.mark.parametrize("space", ["pixels", "aligned"])
@pytest.mark.parametrize("name", ALTERATIONS)
def test_a_set_of_altered_copies_is_found_among_real_images_that_are_often_near_to_one_another(name, space):
    data, rng = real_images("breastmnist"), np.random.default_rng(0)
    images, labels = data["train"]
    taken = rng.permutation(len(images))[:100]
    values, _ = copies_of(
        data["train"], data["test"], (ALTERATIONS[name](images[taken], images, rng), labels[taken]), space=space
    )
    assert values["verdict"] == evaluation.FOUND


@pytest.mark.parametrize("name", SETS)
def test_unseen_real_images_are_not_called_copies_once_aligned(name):
    data = real_images(name)
    images, labels = data["train"]
    order = np.random.default_rng(0).permutation(len(images))[:2000]
    known, unseen = np.array_split(order, 2)
    for synthetic in ((images[unseen], labels[unseen]), data["val"]):
        values, _ = copies_of((images[known], labels[known]), data["test"], synthetic, space="aligned")
        assert values["verdict"] == evaluation.NOT_FOUND


def test_blurred_unseen_images_are_not_taken_for_copies_though_they_are_near_to_everything():
    data = real_images("pneumoniamnist")
    images, labels = data["train"]
    known, rest = images[:2000], images[2000:]
    averages = rest[: len(rest) // 8 * 8].reshape(-1, 8, 28, 28, 1).mean(axis=1).astype(np.uint8)
    for space in ("pixels", "aligned"):
        values, _ = copies_of(
            (known, labels[:2000]), data["test"], (averages, np.ones(len(averages), int)), space=space
        )
        assert values["c_t"]["value"] < -3  # which is why the verdict does not rest on C_T
        assert values["verdict"] == evaluation.NOT_FOUND


def test_one_training_image_returned_again_and_again_counts_once():
    rng = np.random.default_rng(0)
    train, test = rng.integers(0, 256, (2, 200, 6, 6, 1), dtype=np.uint8)
    zeros = np.zeros(200, int)
    again = np.repeat(two_grey_levels(train[:1], rng), 200, axis=0)
    values, _ = copies_of((train, zeros), (test, zeros), (again, zeros))
    assert values["distinct_nearest"] == 1
    assert values["levels"][0]["count"] == 1


def test_unseen_images_are_accused_no_more_often_than_is_announced_at_each_level():
    rng = np.random.default_rng(0)
    found = np.zeros(len(copying.LEVELS))
    repeats = 400
    for _ in range(repeats):
        shares, test, train = rng.random(60), rng.random(80), rng.random(100)
        for place, level in enumerate(copying.LEVELS):
            found[place] += copying._level(shares, test, train, level, copying.FALSE_ALARM)["p"] < 0.05
    assert np.all(found / repeats < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats))


def test_needed_is_the_smallest_number_of_copies_that_is_called_copying():
    rng = np.random.default_rng(0)
    test, train = 0.3 + 0.2 * rng.random((2, 150))
    needed = copying._level(np.full(50, 0.9), test, train, 0.05, copying.FALSE_ALARM)["needed"]
    for count, accused in ((needed - 1, False), (needed, True)):
        shares = np.repeat([0.1, 0.9], [count, 50 - count])
        p = copying._level(shares, test, train, 0.05, copying.FALSE_ALARM)["p"]
        assert (p * 6 < 0.001) == accused  # five levels and identical images, by Bonferroni at 0.1 %


# A small world in which the search for copies is done by hand: every pair of images, and every test written out.


def small_world(seed=0, copied=6, near=True):
    """Images of each kind with labels: near and exact copies across all of them, as they are and mirrored."""
    rng = np.random.default_rng(seed)
    train, test = (rng.integers(0, 256, (n, 4, 3, 1), dtype=np.uint8) for n in (40, 29))
    synthetic = rng.integers(0, 256, (24, 4, 3, 1), dtype=np.uint8)
    if near:
        test[0] = test[1] = train[0]  # a patient who is in both splits, once twice
        test[2] = mirror(train[2:3])[0]
        test[3:6] = two_grey_levels(mirror(train[3:6]), rng)
    train[30], test[20], test[21] = mirror(train[7:8])[0], test[22], mirror(test[23:24])[0]
    if copied:
        synthetic[:copied] = mirror(train[10 : 10 + copied])
        if near:
            synthetic[copied : 2 * copied] = two_grey_levels(train[16 : 16 + copied], rng)
        synthetic[-1] = synthetic[0]  # copied twice
    synthetic[-2] = mirror(test[9:10])[0]
    return {
        "train": (train, np.arange(40) % 2),
        "test": (test, np.arange(29) // 20),
        "synthetic": (synthetic, np.arange(24) % 2),
    }


def nearest_by_hand(queries, references, apart=()):
    """Root mean square distance to the nearest of the references, the image or its mirror image; and which it is."""
    rows = lambda x: x.reshape(len(x), -1).astype(float)  # noqa: E731
    both = np.minimum(*(cdist(rows(x), rows(references)) for x in (queries, mirror(queries))))
    for query, reference in enumerate(apart):
        both[query, reference] = np.inf
    return both.min(1) / np.sqrt(rows(references).shape[1]), both.argmin(1)


@pytest.mark.parametrize(("copied", "near"), [(6, True), (0, True), (6, False)])
def test_the_search_for_copies_is_that_of_every_pair_and_of_every_test_written_out(copied, near):
    world = small_world(copied=copied, near=near)
    train, test, synthetic = (world[kind][0] for kind in ("train", "test", "synthetic"))
    values, arrays = copies_of(world["train"], world["test"], world["synthetic"])
    sample = np.arange(40)  # all of them are few enough to be compared with the others
    to_train, which = nearest_by_hand(synthetic, train)
    to_test, _ = nearest_by_hand(synthetic, test)
    real_train, real_test = nearest_by_hand(test, train)[0], nearest_by_hand(test, test, range(29))[0]
    own_train, own_test = nearest_by_hand(train, train, sample)[0], nearest_by_hand(train, test)[0]
    np.testing.assert_allclose(arrays["train_distance"], to_train, atol=1e-9)
    np.testing.assert_allclose(arrays["test_distance"], to_test, atol=1e-9)
    np.testing.assert_allclose(arrays["real_distance"], real_train, atol=1e-9)

    def share(a, b):
        return np.where(a + b > 0, a / np.where(a + b > 0, a + b, 1), 0.5)

    first = [np.flatnonzero(which == image)[0] for image in np.unique(which)]  # each training image once
    mine, theirs, others = share(to_train, to_test)[first], share(real_train, real_test), share(own_train, own_test)
    m, n, found = len(mine), 29, []
    assert [level["level"] for level in values["levels"]] == [0.01, 0.05, 0.1, 0.25, 0.5]
    for level in values["levels"]:
        rank = max(1, int(level["level"] * 30))
        threshold = sorted(theirs)[rank - 1]
        count, known = (mine < threshold).sum(), (others < threshold).sum()
        exchangeable = stats.betabinom.sf(count - 1, m, rank, n + 1 - rank)
        fisher = stats.fisher_exact([[count, m - count], [known, 40 - known]], alternative="greater").pvalue
        found.append(max(exchangeable, fisher))
        assert (level["count"], level["threshold"]) == (count, pytest.approx(threshold))
        assert (level["found"], level["train"], level["expected"]) == pytest.approx((count / m, known / 40, rank / 30))
        assert level["p"] == pytest.approx(found[-1])
    identical, twins, own_twins = (int((d < 1e-9).sum()) for d in (to_train, real_train, own_train))
    assert (identical, twins, own_twins) == ((7 if copied else 0), 3 if near else 0, 2)
    assert (values["identical"], values["identical_test"], values["identical_train"]) == (identical, twins, own_twins)
    once = len({which[i] for i in np.flatnonzero(to_train < 1e-9)})
    table = [[once, m - once], [twins + own_twins, 69 - twins - own_twins]]
    found.append(stats.fisher_exact(table, alternative="greater").pvalue)
    assert values["identical_p"] == pytest.approx(found[-1])
    assert near or found[-1] == min(found)  # few exact copies and nothing else: what identical images alone can tell
    assert values["p"] == pytest.approx(min(1, 6 * min(found)))
    assert values["verdict"] == (evaluation.FOUND if 6 * min(found) < 0.001 else evaluation.NOT_FOUND)
    for kind, distances in (("train_distance", to_train), ("test_distance", to_test), ("real_distance", real_train)):
        expected = [distances.min(), *np.quantile(distances, [0.01, 0.5, 0.99])]
        assert list(values[kind].values()) == pytest.approx(expected)


def test_a_mirrored_image_counts_as_the_image_wherever_it_is():
    """Mirror all images of one set: nothing that is said of copying changes."""
    world = small_world()
    expected, _ = copies_of(world["train"], world["test"], world["synthetic"])
    for kind in world:
        turned = world | {kind: (mirror(world[kind][0]), world[kind][1])}
        assert copies_of(turned["train"], turned["test"], turned["synthetic"])[0] == expected, kind


def test_c_t_weighs_the_classes_by_their_test_images():
    rng = np.random.default_rng(0)
    mine, theirs = rng.normal(1, 1, 60), rng.normal(size=70)
    a, b = np.arange(60) % 2, (np.arange(70) >= 50).astype(int)
    found = evaluation.data_copying(mine, a, theirs, b)
    assert found["value"] == pytest.approx((50 * found["cell_values"][0] + 20 * found["cell_values"][1]) / 70)


def test_the_share_nearer_to_training_images_compares_as_many_of_each_and_halves_ties():
    rng = np.random.default_rng(0)
    one = rng.integers(0, 256, (50, 4, 4, 1), dtype=np.uint8)
    zeros = np.zeros(200, int)
    values, _ = copies_of((one, zeros[:50]), (one, zeros[:50]), (one[:20], zeros[:20]))
    assert values["nearer_to_train"]["value"] == 0.5  # each is as near to one set as to the other
    many, few, mine = (rng.integers(0, 256, (n, 4, 4, 1), dtype=np.uint8) for n in (200, 60, 200))
    for train, test in ((many, few), (few, many)):
        values, _ = copies_of((train, zeros[: len(train)]), (test, zeros[: len(test)]), (mine, zeros))
        assert values["nearer_to_train"]["images_each"] == 60
        assert abs(values["nearer_to_train"]["value"] - 0.5) < 4 * 0.5 / np.sqrt(200)


# --- All of it


def everything(data, synthetic, **changes):
    k = 2
    arguments = {
        "train_images": data["train"][0],
        "train_labels": data["train"][1],
        "test_images": data["test"][0],
        "test_labels": data["test"][1],
        "synthetic_images": synthetic[0],
        "synthetic_labels": synthetic[1],
        "extractors": {"classifier": lambda x: x.reshape(len(x), -1)[:, 300:420] / 255},
        "synthetic_probabilities": [np.eye(k)[synthetic[1]]],
        "test_probabilities": [np.eye(k)[data["test"][1]]],
        "components": 64,
        "neighbours": 5,
        "draws": 3,
        "limit": 4000,
        "seed": 0,
    }
    return evaluation.quality(**{**arguments, **changes})


def test_quality_of_unseen_real_images_is_at_its_ceilings_and_json_and_repeatable():
    data = real_images("breastmnist")
    values, arrays = everything(data, data["val"])
    assert json.loads(json.dumps(values, allow_nan=False)) == values
    again, arrays_again = everything(data, data["val"])
    assert values == again
    assert all(np.array_equal(arrays[key], arrays_again[key]) for key in arrays)

    assert values["verdict"] == evaluation.NOT_FOUND
    assert values["class_consistency"]["value"] == values["class_consistency"]["ceiling"] == 1
    assert list(values["spaces"]) == ["pixels", "classifier", "aligned"]
    assert list(values["spaces"].pop("aligned")) == ["copying"]
    for space in values["spaces"].values():
        assert space["kid"]["low"] < 0 < space["kid"]["high"]
        assert space["fd"]["value"] < 1.5 * space["fd"]["floor"]
        for one in space["classes"]:
            assert one["precision"] > 0.7
            assert abs(one["coverage"] - one["real"]["coverage"]) < 0.2


def test_of_one_finding_an_image_the_measures_are_those_of_one_class_and_no_image_is_without():
    data, synthetic = balanced(train=60, test=40, synthetic=(30, 14))
    vectors = {name: np.eye(2, dtype=np.int64)[data[name][1]] for name in ("train", "test")}
    look = {"classifier": lambda x: x.reshape(len(x), -1)[:, :6] / 255}
    expected, arrays = everything(data, synthetic, extractors=look)
    found, theirs = everything(
        data,
        (synthetic[0], np.eye(2, dtype=np.int64)[synthetic[1]]),
        train_labels=vectors["train"],
        test_labels=vectors["test"],
        extractors=look,
        synthetic_probabilities=[np.eye(2)[synthetic[1]]],
    )
    for name in ("pixels", "classifier"):
        last = found["spaces"][name]["classes"].pop()
        assert (last["images"], last["real_images"], last["precision"]) == (0, 0, None)
    assert found.pop("class_consistency")["value"] == 1  # an AUC
    expected.pop("class_consistency")
    assert found == expected
    assert all(np.array_equal(theirs[name], array) for name, array in arrays.items())


def test_class_by_class_are_all_images_with_a_finding_and_those_without_any():
    rng = np.random.default_rng(0)
    labels = {kind: rng.integers(0, 2, (n, 2)) for kind, n in (("train", 60), ("synthetic", 50), ("test", 40))}
    rows = {kind: rng.normal(size=(len(some), 4)) + some.sum(1)[:, None] for kind, some in labels.items()}
    for number in range(3):
        mine = {
            kind: (some[:, number] if number < 2 else some.sum(1) == 0).astype(int) for kind, some in labels.items()
        }
        measures = [
            _class_measures(rows, of, k, 3, 4000, np.random.default_rng(1)) for of, k in ((labels, number), (mine, 1))
        ]
        assert measures[0] == measures[1] | {"class": number}
        assert measures[0]["real_images"] == mine["train"].sum() > 0


def test_sets_with_findings_are_compared_in_the_mix_of_the_rarest_findings_of_training():
    """Both findings make an image bright; synthetic images are all of the first, the rarer one, and real ones drawn."""
    rng = np.random.default_rng(0)
    labels = {"train": np.repeat([[1, 1], [0, 1], [0, 0]], [30, 60, 60], axis=0)}
    labels["test"], labels["synthetic"] = labels["train"][::2], np.repeat([[1, 1]], 20, axis=0)
    images = {
        kind: (40 + 60 * some.sum(1)[:, None, None, None] + rng.integers(0, 20, (len(some), 8, 8, 1))).astype(np.uint8)
        for kind, some in labels.items()
    }
    values, _ = everything(
        {kind: (images[kind], labels[kind]) for kind in ("train", "test")},
        (images["synthetic"], labels["synthetic"]),
        extractors={},
        synthetic_probabilities=[rng.random((20, 2))],
        test_probabilities=[rng.random((75, 2))],
    )
    kid = values["spaces"]["pixels"]["kid"]
    assert kid["real_images"] == 30
    assert kid["low"] < 0 < kid["high"]
    assert values["spaces"]["pixels"]["copying"]["c_t"]["cells"] == [0]
    assert [one["real_images"] for one in values["spaces"]["pixels"]["classes"]] == [30, 90, 60]


def test_consistency_of_findings_is_scikit_learns_auc_over_those_that_both_sets_have_and_lack():
    rng = np.random.default_rng(0)
    made, test = rng.integers(0, 2, (50, 4)), rng.integers(0, 2, (40, 4))
    made[:, 1], test[:, 2] = 0, 1  # of all findings, these say nothing
    p = [np.clip(0.3 * some + rng.random((2, *some.shape)) * 0.7, 0, 1) for some in (made, test)]
    p = [list(each) for each in p]
    found = evaluation.class_consistency(made, p[0], test, p[1])
    auc = [
        [roc_auc_score(some[:, k], one[:, k]) for k in (0, 3)]
        for some, each in zip((made, test), p, strict=True)
        for one in each
    ]
    assert found["value"] == pytest.approx(np.mean(auc[:2]), abs=1e-9)
    assert found["ceiling"] == pytest.approx(np.mean(auc[2:]), abs=1e-9)
    assert (found["low"], found["high"]) == (min(map(np.mean, auc[:2])), max(map(np.mean, auc[:2])))
    assert found["by_class"][1] is None is found["ceiling_by_class"][2]
    assert found["by_class"][0] == pytest.approx(np.mean([auc[0][0], auc[1][0]]), abs=1e-9)
    none = evaluation.class_consistency(np.zeros((50, 4), int), p[0], test, p[1])
    assert none["value"] is none["ceiling"] is None


def test_quality_by_small_blocks_is_quality_at_once(monkeypatch):
    data = real_images("breastmnist")
    synthetic = tuple(array[:60] for array in data["val"])
    at_once, arrays = everything(data, synthetic, limit=90)
    monkeypatch.setattr(chosen, "BLOCK_BYTES", 10_000)  # 12 images
    monkeypatch.setattr(sys.modules["medaug_keras.evaluation.quality"], "BLOCK_BYTES", 10_000)
    by_blocks, arrays_by_blocks = everything(data, synthetic, limit=90)
    close(by_blocks, at_once)
    assert arrays.keys() == arrays_by_blocks.keys()
    for name, array in arrays.items():
        np.testing.assert_allclose(arrays_by_blocks[name], array, rtol=1e-6, err_msg=name)


def close(found, expected):
    """Whether nested values are equal to rounding."""
    if isinstance(expected, dict):
        assert found.keys() == expected.keys()
        for key, value in expected.items():
            close(found[key], value)
    elif isinstance(expected, list):
        assert len(found) == len(expected)
        for pair in zip(found, expected, strict=True):
            close(*pair)
    elif isinstance(expected, float):
        assert found == pytest.approx(expected, rel=1e-3, abs=1e-4)
    else:
        assert found == expected


def test_chosen_images_are_those_of_an_index_however_they_are_taken():
    rng = np.random.default_rng(0)
    images, places = rng.integers(0, 256, (9, 4, 5, 3), np.uint8), rng.permutation(9)[:6]
    some, few = chosen.Chosen(images, places), np.array([4, 0])
    for found, expected in ((some, images[places]), (some.mirror(), images[places][:, :, ::-1])):
        assert len(found) == 6
        assert np.array_equal(found[1:4], expected[1:4])
        assert np.array_equal(found.at(few)[:], expected[few])
        assert np.array_equal(chosen.Pixels(found)[2:], expected[2:].reshape(4, -1))
        assert np.array_equal(chosen.rows_at(chosen.Pixels(found), few)[:], expected[few].reshape(2, -1))
    assert np.array_equal(some.mirror().mirror()[:], some[:])


def test_of_chosen_images_no_more_bytes_are_taken_at_once_than_a_block_has(monkeypatch):
    monkeypatch.setattr(chosen, "BLOCK_BYTES", 250)  # two images of float64
    images, seen = np.arange(60.0).reshape(5, 3, 4, 1), []
    some = chosen.Chosen(images, np.array([4, 0, 1, 2, 3]))
    assert np.array_equal(
        some.by_block(lambda block: seen.append(len(block)) or block.sum((1, 2))), some[:].sum((1, 2))
    )
    assert seen == [2, 2, 1]
    assert some.at(np.array([], int)).by_block(lambda block: block.sum((1, 2))).shape == (0, 1)


def test_quality_sees_noise_for_what_it_is():
    data = real_images("breastmnist")
    noise = np.random.default_rng(0).integers(0, 256, (54, 28, 28, 1), dtype=np.uint8)
    values, _ = everything(data, (noise, np.repeat([0, 1], [42, 12])))
    assert values["verdict"] == evaluation.NOT_FOUND
    pixels = values["spaces"]["pixels"]
    assert pixels["kid"]["low"] > 0
    assert pixels["classes"][0]["coverage"] < 0.1
    assert pixels["copying"]["c_t"]["value"] > 3


def test_quality_shows_the_closest_pairs_with_the_images_they_are_made_of():
    data, rng = real_images("breastmnist"), np.random.default_rng(0)
    copies = two_grey_levels(mirror(data["train"][0][100:104]), rng)
    noise = rng.integers(0, 256, (50, 28, 28, 1), dtype=np.uint8)
    synthetic = np.concatenate([noise, copies])
    _, arrays = everything(data, (synthetic, np.arange(54) % 2))
    assert set(arrays["pixels_synthetic_index"][:4]) == {50, 51, 52, 53}
    np.testing.assert_array_equal(arrays["pixels_train_index"][:4], arrays["pixels_synthetic_index"][:4] + 50)
    assert arrays["pixels_train_mirrored"][:4].all()
    for key, images in (("synthetic", synthetic), ("train", data["train"][0])):
        np.testing.assert_array_equal(arrays[f"pixels_{key}"], images[arrays[f"pixels_{key}_index"]])
    assert arrays["pixels_test"].shape == (16, 28, 28, 1)
    assert np.all(np.diff(arrays["pixels_train_distance"]) >= 0)
    assert arrays["pixels_distances"].shape == (54, 2)


def test_a_map_has_copies_of_training_images_where_the_training_images_are_and_keeps_its_axes():
    rng = np.random.default_rng(0)
    rows = {"train": normal(150, 6, 0) * np.array([9, 1, 1, 4, 1, 1]), "test": normal(90, 6, 1)}
    labels = {kind: np.arange(len(some)) % 3 for kind, some in rows.items()}
    taken = rng.permutation(150)[:60]
    copies = rows | {"synthetic": rows["train"][taken]}, labels | {"synthetic": labels["train"][taken]}
    other = rows | {"synthetic": normal(300, 6, 2)}, labels | {"synthetic": np.zeros(300, int)}
    found, second = (evaluation.feature_map(*some, limit=1000, seed=4) for some in (copies, other))
    places = {(x, y, k) for x, y, k in zip(*(found["train"][key] for key in ("x", "y", "class")), strict=True)}
    assert len(places) == 150
    assert set(zip(*(found["synthetic"][key] for key in ("x", "y", "class")), strict=True)) <= places
    assert len(found["synthetic"]["x"]) == 60
    assert len(second["synthetic"]["x"]) == 200  # no more of any origin
    assert (second["train"], second["variance"]) == (found["train"], found["variance"])
    left, size, _ = linalg.svd(rows["train"] - rows["train"].mean(0), full_matrices=False)
    np.testing.assert_allclose(found["variance"], (size**2 / (size**2).sum())[:2], atol=1e-4)
    for place, key in enumerate("xy"):
        np.testing.assert_allclose(np.abs(found["train"][key]), np.abs(left * size)[:, place], atol=1e-3)


@pytest.mark.parametrize("rows", [normal(20, 1, 0), np.ones((20, 4)), np.zeros((20, 1))])
def test_a_map_of_one_feature_or_of_features_all_alike_has_zeros_for_what_is_not_there(rows):
    kinds = ("train", "test", "synthetic")
    found = evaluation.feature_map(dict.fromkeys(kinds, rows), dict.fromkeys(kinds, np.zeros(20, int)), limit=9, seed=0)
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["variance"] == [float(rows.std() > 0), 0.0]
    assert not np.any([found[kind]["y"] for kind in kinds])


@pytest.mark.parametrize("seed", range(4))
def test_a_component_of_a_map_points_to_its_largest_weight_and_every_image_keeps_its_class(seed):
    rows = {"train": normal(80, 5, seed) * (9, 1, 5, 1, 3) @ stats.ortho_group(5, seed=seed).rvs()}
    rows["synthetic"] = normal(300, 5, seed)
    found = evaluation.feature_map(rows, {kind: np.arange(len(some)) for kind, some in rows.items()}, limit=80, seed=0)
    for key in "xy":
        centered = {kind: some - rows["train"].mean(0) for kind, some in rows.items()}
        weights = linalg.lstsq(centered["train"][found["train"]["class"]], found["train"][key])[0]
        assert weights[np.abs(weights).argmax()] > 0
        for kind, some in centered.items():
            np.testing.assert_allclose(some[found[kind]["class"]] @ weights, found[kind][key], atol=2e-3)


def test_a_map_is_fitted_on_no_more_training_images_than_its_limit_and_has_no_negative_zero():
    for seed in range(20):
        rows = {"train": normal(30, 6, seed), "synthetic": normal(30, 6, seed) * 1e-5}
        found = evaluation.feature_map(rows, dict.fromkeys(rows, np.zeros(30, int)), limit=2, seed=seed)
        assert found["variance"] == [1.0, 0.0]  # two points lie on one line
        assert not re.search(r"-0\.0[],]", json.dumps(found))
    alike = {"train": np.ones((30, 4)), "synthetic": normal(30, 4, 0)}
    found = evaluation.feature_map(alike, dict.fromkeys(alike, np.zeros(30, int)), limit=30, seed=0)
    assert not np.any([found["synthetic"][key] for key in "xy"])


def test_what_a_record_says_besides_the_map_does_not_depend_on_it(monkeypatch):
    data = real_images("breastmnist")
    synthetic = tuple(array[:40] for array in data["val"])
    values, arrays = everything(data, synthetic, limit=90)
    monkeypatch.setattr(sys.modules["medaug_keras.evaluation.quality"], "feature_map", lambda *_, **__: None)
    without, same = everything(data, synthetic, limit=90)
    assert values["spaces"]["classifier"].pop("map") is not None
    assert without["spaces"]["classifier"].pop("map") is None
    assert values == without
    assert all(np.array_equal(array, same[name]) for name, array in arrays.items())
    assert "map" not in values["spaces"]["pixels"]


def test_quality_of_a_few_images_of_one_class_has_reasons_in_place_of_numbers():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (12, 5, 5, 3), dtype=np.uint8)
    labels = np.arange(12) % 2
    data = {"train": (images, labels), "test": (images[::-1], labels)}
    values, _ = everything(
        data,
        (images[:4] // 2, np.zeros(4, int)),
        extractors={},
    )
    pixels = values["spaces"]["pixels"]
    for measure in (pixels["kid"], pixels["fd"], values["duplicates"]):
        assert "at least 10 are needed" in measure["reason"]
    assert pixels["classes"][1]["reason"] == "0 synthetic images, more than 5 are needed"
    assert pixels["copying"]["c_t"]["value"] is None
    json.dumps(values, allow_nan=False)


def balanced(train=40, test=20, synthetic=(10, 10), seed=0):
    """Data of two classes that lie apart, so that the mix of classes is seen; and synthetic images of them."""
    rng = np.random.default_rng(seed)

    def images(labels):
        noise = rng.integers(0, 90, (len(labels), 4, 4, 1), dtype=np.uint8)
        return (noise + 100 * labels[:, None, None, None]).astype(np.uint8), labels

    parts = {"train": images(np.repeat([0, 1], train)), "test": images(np.repeat([0, 1], test))}
    return parts, images(np.repeat([0, 1], synthetic))


def test_distances_are_of_features_on_one_scale_to_all_training_images_in_the_mix_of_the_synthetic_ones():
    data, synthetic = balanced()
    extract = lambda x: x.reshape(len(x), -1)[:, :6].astype(float)  # noqa: E731
    values, _ = everything(data, synthetic, extractors={"corner": extract})
    train = extract(data["train"][0])
    one_scale = lambda x: (extract(x) - train.mean(0)) / np.sqrt(((train - train.mean(0)) ** 2).mean())  # noqa: E731
    space = values["spaces"]["corner"]
    real = one_scale(data["train"][0])
    for name, others in (("kid", synthetic[0]), ("kid_real", data["test"][0])):
        expected = evaluation.kernel_distance(real, one_scale(others))["value"]
        assert space[name]["value"] == pytest.approx(expected)  # the mix is the same, so no image is left out
        assert (space[name]["images"], space[name]["real_images"]) == (len(others), 80)
    data, synthetic = balanced(synthetic=(30, 10))
    space = everything(data, synthetic, extractors={"corner": extract})[0]["spaces"]["corner"]
    assert (space["kid"]["real_images"], space["kid_real"]["images"]) == (40 + 13, 20 + 6)
    assert space["kid_real"]["low"] < 0 < space["kid_real"]["high"]


def test_a_limit_holds_on_each_side_but_originals_are_looked_for_among_all_training_images():
    data, synthetic = balanced(train=100, test=80, synthetic=(70, 70))
    synthetic[0][::7] = data["train"][0][::10]
    values, arrays = everything(data, synthetic, extractors={}, limit=100)
    found = values["spaces"]["pixels"]["copying"]
    assert (found["images"], found["test_images"], found["train_sample"]) == (100, 50, 50)
    assert values["spaces"]["pixels"]["kid"]["images"] == 100
    assert values["duplicates"]["images"] <= 50
    assert found["c_t"]["cells"] == [0, 1]  # labels go with their images
    assert all(abs(one["images"] - 50) < 12 for one in values["spaces"]["pixels"]["classes"])
    index = arrays["pixels_synthetic_index"]
    np.testing.assert_array_equal(arrays["pixels_synthetic"], synthetic[0][index])
    np.testing.assert_array_equal(arrays["pixels_train"], data["train"][0][arrays["pixels_train_index"]])
    copies = np.flatnonzero(arrays["pixels_train_distance"] == 0)
    assert len(copies) > 8
    assert set(index[copies]) <= set(range(0, 140, 7))
    np.testing.assert_array_equal(arrays["pixels_train_index"][copies], index[copies] // 7 * 10)
    assert (arrays["pixels_distances"][:, 0] == 0).sum() == len(copies)
    components = evaluation.pixel_components(data["train"][0], components=16, limit=10, seed=0)
    assert components(data["test"][0]).shape == (160, 9)


def test_twins_are_counted_among_as_many_real_images_in_the_mix_of_the_synthetic_ones():
    data, synthetic = balanced()
    data["train"][0][:40] = data["train"][0][0]  # class 0 is one image again and again
    found = everything(data, synthetic, extractors={})[0]["duplicates"]
    assert (found["images"], found["identical_real"]) == (20, 10)


def test_a_class_of_just_as_many_images_as_neighbours_has_too_few():
    rows = {kind: normal(n, 2, 0) for kind, n in {"train": 40, "test": 30, "synthetic": 5}.items()}
    labels = {kind: np.zeros(len(some), int) for kind, some in rows.items()}
    found = _class_measures(rows, labels, 0, 5, 100, np.random.default_rng(0))
    assert found["reason"] == "5 synthetic images, more than 5 are needed"


def test_training_images_that_stand_in_for_unseen_ones_are_drawn_from_all_of_them():
    data, synthetic = balanced(train=100)
    data["train"][0][:50] = data["train"][0][50:100]  # the first half of them has twins
    found = everything(data, synthetic, extractors={}, limit=100)[0]["spaces"]["pixels"]["copying"]
    assert found["train_sample"] == 50
    assert 12 < found["identical_train"] < 38  # half of a random sample, within four standard deviations


def test_quality_takes_a_mirrored_image_for_the_image_in_every_set():
    def copying_of(world):
        found = everything(world, world["synthetic"], extractors={})[0]["spaces"]["pixels"]["copying"]
        return {name: value for name, value in found.items() if name != "nearer_to_train"}  # drawn by place

    world = small_world()
    expected = copying_of(world)
    for kind, (images, labels) in world.items():
        assert copying_of(world | {kind: (mirror(images), labels)}) == expected, kind


def test_copies_that_one_space_alone_shows_are_copies():
    """Negatives of training images: far from everything but in a space that knows distance from the mean alone."""
    rng = np.random.default_rng(0)
    train, test = (rng.integers(0, 120, (n, 6, 6, 1), dtype=np.uint8) for n in (150, 100))
    labels = np.arange(150) % 2
    contrast = lambda x: np.abs(x - x.mean(axis=(1, 2, 3), keepdims=True)).reshape(len(x), -1)  # noqa: E731
    data = {"train": (train, labels), "test": (test, labels[:100])}
    values, _ = everything(data, (255 - train[:60], labels[:60]), extractors={"contrast": contrast})
    verdicts = {name: space["copying"]["verdict"] for name, space in values["spaces"].items()}
    missed = dict.fromkeys(("pixels", "aligned"), evaluation.NOT_FOUND)
    assert verdicts == missed | {"contrast": evaluation.FOUND}
    assert values["verdict"] == evaluation.FOUND


def test_real_images_beside_a_class_are_as_many_as_its_synthetic_ones():
    rows = {
        kind: normal(n, 2, seed) for seed, (kind, n) in enumerate({"train": 40, "test": 30, "synthetic": 20}.items())
    }
    labels = {kind: np.zeros(len(some), int) for kind, some in rows.items()}
    found = _class_measures(rows, labels, 0, 5, 100, np.random.default_rng(0))
    assert (found["images"], found["real_images"]) == (20, 40)
    rng = np.random.default_rng(0)
    train, mine, test = (rows[kind][rng.permutation(len(rows[kind]))] for kind in ("train", "synthetic", "test"))
    assert found["real"] == pytest.approx(evaluation.precision_recall(train, test[:20], neighbours=5))
    assert found["precision"] == evaluation.precision_recall(train, mine, neighbours=5)["precision"]
    few = {**labels, "test": np.repeat([0, 1], [5, 25])}
    assert _class_measures(rows, few, 0, 5, 100, np.random.default_rng(0))["real"] is None
    fewer = {**labels, "test": np.repeat([0, 1], [12, 18])}
    assert _class_measures(rows, fewer, 0, 5, 100, np.random.default_rng(0))["images"] == 12


@pytest.mark.parametrize("name", ["pixels", "aligned"])
def test_quality_refuses_a_second_space_of_a_name_of_its_own(name):
    data = {split: (np.zeros((4, 2, 2, 1), np.uint8), np.arange(4) % 2) for split in ("train", "test")}
    with pytest.raises(ValueError, match='spaces "pixels" and "aligned" are made here'):
        everything(data, data["train"], extractors={name: lambda x: x})


# --- Words


@pytest.mark.parametrize("name", MEASURES)
def test_every_measure_has_its_meaning_direction_and_trap(name):
    measure = MEASURES[name]
    assert all(measure)
    for sentence in (measure.meaning, measure.trap):
        assert sentence[0].isupper()
        assert sentence.endswith(".")
    assert "priva" not in " ".join(measure).lower()


def test_every_value_of_a_quality_record_has_its_line_among_the_measures():
    data = real_images("breastmnist")
    values, _ = everything(data, data["val"], extractors={})
    space = values["spaces"]["pixels"]
    shown = {*values, *space, *space["classes"][0], *space["copying"]}
    named = {
        "kid", "kid_real", "fd", "precision", "recall", "density", "coverage", "c_t", "identical",
        "nearer_to_train", "class_consistency", "duplicates", "copying",
    }  # fmt: skip
    assert named <= shown
    assert named <= set(MEASURES)


@pytest.mark.parametrize(("tested", "made"), [(12, 1), (1, 1), (1, 5)])
def test_one_image_is_judged_as_far_as_it_can_be_and_the_rest_says_why_not(tested, made):
    rng = np.random.default_rng(0)
    images = {
        name: rng.integers(0, 256, (n, 28, 28, 1), np.uint8) for name, n in (("t", 30), ("v", tested), ("s", made))
    }
    values, arrays = evaluation.quality(
        train_images=images["t"],
        train_labels=np.arange(30) % 2,
        test_images=images["v"],
        test_labels=np.arange(tested) % 2,
        synthetic_images=images["s"],
        synthetic_labels=np.arange(made) % 2,
        extractors={},
        synthetic_probabilities=[np.tile([0.3, 0.7], (made, 1))],
        test_probabilities=[np.tile([0.3, 0.7], (tested, 1))],
        components=64,
        neighbours=5,
        draws=3,
        limit=4000,
        seed=0,
    )
    space = values["spaces"]["pixels"]
    for part in (values["duplicates"], space["kid"], space["fd"], space["classes"][0]):
        assert "needed" in part["reason"]
    assert all(level["needed"] is None for level in space["copying"]["levels"])  # no number of copies would be found
    assert len(arrays["pixels_synthetic"]) == made
