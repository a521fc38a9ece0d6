"""One class an image, or several findings: drawing, loss, metrics and tests, against what others compute."""

import itertools

import keras
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score, roc_auc_score
from sklearn.utils.class_weight import compute_class_weight

from medaug_keras import augmentation, classifiers, evaluation, labels, stats
from medaug_keras.data.medmnist_package import part
from medaug_keras.data.splits import by_fractions
from medaug_keras.training import balanced_weights, classification_loss, epoch_order
from studies import recipe

CLASSES = np.array([2, 0, 1, 1, 2])
FINDINGS = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 0], [1, 0, 1], [0, 1, 1], [1, 0, 0], [0, 0, 0]])
K = 3


def drawn(n=60, k=4, seed=0, rate=0.3):
    """(n, k) findings that images may have together, and (2, n, k) probabilities that say something of them."""
    rng = np.random.default_rng(seed)
    found = (rng.random((n, k)) < rate).astype(np.int64)
    return found, np.clip(0.3 * found + rng.random((2, n, k)) * 0.7, 0, 1).astype(np.float32)


# --- what labels are ---


def test_labels_of_one_class_are_drawn_and_told_as_they_are():
    assert labels.sorts(CLASSES) is CLASSES
    assert labels.codes(CLASSES) is CLASSES
    assert labels.counts(CLASSES, 4) == [1, 2, 2, 0]
    assert labels.words(CLASSES, ["a", "b", "c"]) == ["c", "a", "b", "b", "c"]
    assert labels.head(CLASSES, "softmax") == "softmax"
    np.testing.assert_array_equal(labels.targets(CLASSES, 3), np.eye(3)[CLASSES])
    np.testing.assert_array_equal(labels.columns(CLASSES), np.eye(3)[CLASSES])
    assert [labels.kind(CLASSES, k) for k in (2, 3)] == ["binary-class", "multi-class"]


def test_an_image_counts_for_its_rarest_finding_and_images_without_one_for_a_sort_of_their_own():
    # findings 1 and 2 are of two images each, finding 0 of four: of equally rare ones the first
    np.testing.assert_array_equal(labels.sorts(FINDINGS), [0, 1, 3, 2, 1, 0, 3])


def test_a_finding_that_is_the_rarest_of_no_image_is_no_sort():
    found = np.array([[1, 1], [1, 1], [1, 0], [1, 1]])
    np.testing.assert_array_equal(labels.sorts(found), [1, 1, 0, 1])
    np.testing.assert_array_equal(labels.sorts(found[[0, 1, 3]]), [0, 0, 0])  # equally rare: the first


def test_what_images_are_compared_by_is_their_rarest_finding_among_the_given_or_that_they_have_none():
    assert labels.rarest(CLASSES, among=CLASSES) is CLASSES
    np.testing.assert_array_equal(labels.rarest(FINDINGS, among=FINDINGS), [0, 1, 3, 2, 1, 0, 3])
    others = np.array([[1, 0, 0], [0, 1, 0], [0, 1, 0], [0, 1, 1], [0, 0, 1]])  # finding 0 is rarest here, then 2
    np.testing.assert_array_equal(labels.rarest(FINDINGS, among=others), [0, 0, 3, 0, 2, 0, 3])
    np.testing.assert_array_equal(labels.rarest(FINDINGS[2:3], among=others), [3])


def test_images_are_shown_by_every_finding_that_they_have_or_by_none():
    assert labels.row_names(["a", "b"], findings=False) == ["a", "b"]
    assert labels.row_names(["a", "b", "c"], findings=True) == ["a", "b", "c", "no finding"]
    shown = np.stack([labels.members(FINDINGS, k) for k in range(K + 1)], axis=1)
    np.testing.assert_array_equal(shown, labels.columns(FINDINGS) == 1)
    np.testing.assert_array_equal(labels.members(CLASSES, 2), [True, False, False, False, True])


def test_what_is_known_of_several_findings_is_told():
    assert labels.counts(FINDINGS, K) == [4, 2, 2]
    assert labels.together(FINDINGS) == [[4, 1, 1], [1, 2, 1], [1, 1, 2]]
    assert labels.words(FINDINGS[1:3], ["x", "y", "z"]) == ["x, y", "no finding"]
    assert labels.head(FINDINGS, "softmax") == "findings"
    assert labels.kind(FINDINGS, 2) == "multi-label, binary-class"
    np.testing.assert_array_equal(labels.columns(FINDINGS).sum(axis=0), [4, 2, 2, 2])
    codes = labels.codes(FINDINGS)
    for a, b in itertools.combinations(range(len(FINDINGS)), 2):
        assert (codes[a] == codes[b]) == (FINDINGS[a] == FINDINGS[b]).all()


# --- drawing and copying ---


def test_weighted_draws_take_every_sort_alike():
    sorts = labels.sorts(np.repeat(FINDINGS, 100, axis=0))
    counts = np.bincount(sorts[epoch_order(sorts, "weighted", np.random.default_rng(0))])
    np.testing.assert_allclose(counts / counts.sum(), 1 / 4, atol=0.06)


def test_copies_are_of_the_sorts_that_are_asked_for():
    sorts = labels.sorts(FINDINGS)
    wanted = augmentation.labels_to_make(
        sorts, 4, total=8, shares="uniform", class_order="numerical", draw="largest_remainder", seed=0
    )
    np.testing.assert_array_equal(np.bincount(wanted), [2, 2, 2, 2])
    np.testing.assert_array_equal(sorts[augmentation.copies(sorts, wanted, seed=0)], wanted)


def test_fractions_share_out_every_finding_and_part_no_group():
    found, _ = drawn(n=600, rate=0.15)
    ids = [f"i{n:03}" for n in range(600)]
    groups = [f"g{n // 3:03}" for n in range(600)]
    shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
    places = by_fractions(ids, found, groups, fractions=shares, seed=0)
    assert all(len(set(places[start : start + 3])) == 1 for start in range(0, 600, 3))
    for column in labels.columns(found).T.astype(bool):
        np.testing.assert_allclose(np.bincount(places[column]) / column.sum(), [0.6, 0.2, 0.2], atol=0.04)
    order = np.random.default_rng(1).permutation(600)
    again = by_fractions([ids[i] for i in order], found[order], [groups[i] for i in order], fractions=shares, seed=0)
    np.testing.assert_array_equal(again, places[order])


# --- the loss ---


def made(weights=None, smoothing=0.0, gamma=0.0):
    return classification_loss(head="findings", class_weights=weights, label_smoothing=smoothing, focal_gamma=gamma)


def batch(mixed):
    rng = torch.Generator().manual_seed(0)
    targets = (torch.rand(32, K, generator=rng) < 0.3).float()
    if mixed:  # as MixUp and CutMix make them
        part = torch.rand(32, 1, generator=rng)
        targets = part * targets + (1 - part) * targets.flip(0)
    return 3 * torch.randn(32, K, generator=rng), targets


@pytest.mark.parametrize("mixed", [False, True])
def test_the_loss_of_findings_is_torchs_binary_cross_entropy(mixed):
    logits, targets = batch(mixed)
    expected = F.binary_cross_entropy_with_logits(logits, targets)
    torch.testing.assert_close(made()(logits, targets), expected)
    torch.testing.assert_close(made(weights=torch.ones(K, 2))(logits, targets), expected)


@pytest.mark.parametrize("mixed", [False, True])
@pytest.mark.parametrize(("smoothing", "gamma"), [(0.2, 0.0), (0.0, 2.0), (0.0, 0.5)])
def test_label_smoothing_and_focal_are_kerass_of_each_finding(smoothing, gamma, mixed):
    logits, targets = batch(mixed)
    expected = (
        keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=smoothing)(targets, logits)
        if smoothing
        else (1 - torch.sigmoid(logits)).pow(gamma).mul(targets).mul(F.softplus(-logits)).mean()
        + torch.sigmoid(logits).pow(gamma).mul(1 - targets).mul(F.softplus(logits)).mean()
    )
    torch.testing.assert_close(made(smoothing=smoothing, gamma=gamma)(logits, targets), expected, rtol=1e-4, atol=1e-5)


def test_balanced_weights_are_scikit_learns_of_each_finding_and_weigh_it_with_and_without():
    found, _ = drawn()
    weights = balanced_weights(found, 4)
    for own, column in zip(weights, found.T, strict=True):
        np.testing.assert_allclose(own, compute_class_weight("balanced", classes=np.array([0, 1]), y=column), rtol=1e-6)
    logits = torch.randn(len(found), 4, generator=torch.Generator().manual_seed(1))
    each = F.binary_cross_entropy_with_logits(logits, torch.from_numpy(found).float(), reduction="none")
    expected = (each * torch.where(torch.from_numpy(found) == 1, weights[:, 1], weights[:, 0])).mean()
    torch.testing.assert_close(made(weights=weights)(logits, torch.from_numpy(found).float()), expected)


def stripes(n=64, seed=0):
    """Images whose left half is bright where they have the first finding, and the lower half where the second."""
    rng = np.random.default_rng(seed)
    found = rng.integers(0, 2, (n, 2))
    images = rng.integers(0, 60, (n, 28, 28, 1))
    images[:, :, :14] += 120 * found[:, 0, None, None, None]
    images[:, 14:] += 70 * found[:, 1, None, None, None]
    return images.astype(np.uint8), found.astype(np.int64)


def trained(augment=(), **settings):
    model = classifiers.build("cnn", image_shape=(28, 28, 1), num_classes=2, head="findings", seed=0)
    return classifiers.fit(
        model,
        stripes(),
        {"validation": stripes(32, 1), "test": stripes(32, 2)},
        num_classes=2,
        augment=list(augment),
        seed=0,
        on_epoch=lambda epoch, logs: None,
        sampling="weighted",
        **recipe(epochs=12, batch_size=16, **settings) | {"head": "findings"},
    )


@pytest.mark.parametrize("augment", [(), ({"layer": "MixUp", "alpha": 0.2},), ({"layer": "CutMix", "factor": 1.0},)])
def test_a_network_learns_two_findings_for_themselves(augment):
    found = trained(augment, optimizer={"kind": "adam", "learning_rate": 0.003})
    probabilities = found.chosen("best_validation_auc")["test"]
    assert found.model.output_shape == (None, 2)
    assert not np.allclose(probabilities.sum(axis=1), 1)
    assert evaluation.auc(stripes(32, 2)[1], probabilities) > 0.9
    epoch = found.selected["best_validation_auc"]
    kept = found.kept[epoch].probabilities["validation"].astype(np.float64)
    there = stripes(32, 1)[1]
    expected = -np.log(np.where(there == 1, kept, 1 - kept)).mean()
    assert found.history["val_loss"][epoch - 1] == pytest.approx(expected, rel=1e-5)
    assert found.history["val_auc"][epoch - 1] == pytest.approx(roc_auc_score(there, kept), abs=1e-9)


# --- metrics ---


def test_auc_and_accuracy_of_findings_are_medmnists_and_the_others_scikit_learns():
    found, (p, _) = drawn()
    named = (p > 0.5).astype(int)
    scores = evaluation.scores(found, p)
    ours = part("evaluator")
    assert scores["auc"] == pytest.approx(ours.getAUC(found, p, labels.SEVERAL), abs=1e-12)
    assert scores["accuracy"] == pytest.approx(ours.getACC(found, p, labels.SEVERAL), abs=1e-12)
    assert scores["macro_f1"] == pytest.approx(f1_score(found, named, average="macro"), abs=1e-12)
    assert scores["recall"] == pytest.approx(recall_score(found, named, average=None), abs=1e-12)
    each = [balanced_accuracy_score(found[:, k], named[:, k]) for k in range(4)]
    assert scores["balanced_accuracy"] == pytest.approx(np.mean(each), abs=1e-12)
    assert scores["auc_by_finding"] == pytest.approx([roc_auc_score(found[:, k], p[:, k]) for k in range(4)])


@pytest.mark.parametrize("always", [0, 1])
def test_a_finding_that_no_image_has_or_every_one_is_left_out_of_the_mean(always):
    found, (p, _) = drawn()
    odd = found.copy()
    odd[:, 2] = always
    rest = [0, 1, 3]
    scores = evaluation.scores(odd, p)
    assert scores["auc_by_finding"][2] is None
    assert scores["auc"] == pytest.approx(roc_auc_score(found[:, rest], p[:, rest]), abs=1e-12)
    assert scores["balanced_accuracy"] == evaluation.balanced_accuracy(found[:, rest], p[:, rest])
    assert scores["recall"][2] == (None if always == 0 else pytest.approx((p[:, 2] > 0.5).mean()))
    assert evaluation.accuracy(odd, p) == pytest.approx(np.mean((p > 0.5) == odd))


def test_without_a_finding_that_is_defined_there_is_no_auc_and_chance_stands_for_the_rest():
    found, p = np.zeros((5, 3), int), np.full((5, 3), 0.2)
    scores = evaluation.scores(found, p)
    assert (scores["auc"], scores["balanced_accuracy"], scores["macro_f1"]) == (None, 0.5, 0.0)
    assert scores["accuracy"] == 1


def test_a_probability_of_one_half_names_no_finding():
    found = np.array([[1, 0], [0, 1], [1, 1]])
    assert evaluation.accuracy(found, np.full((3, 2), 0.5)) == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("found", "p", "message"),
    [
        (np.zeros((3, 2)), np.zeros((3, 3)), "got shapes"),
        (np.zeros((1, 2)), np.zeros((1, 2)), "at least 2 images"),
        (np.full((3, 2), 2), np.zeros((3, 2)), "0 or 1"),
        (np.zeros((3, 2)), np.full((3, 2), np.nan), "not finite"),
    ],
)
def test_what_is_no_prediction_of_findings_is_refused(found, p, message):
    with pytest.raises(ValueError, match=message):
        evaluation.scores(found, p)


# --- tests of differences ---

METRIC = {
    "auc": lambda found, p: np.mean([roc_auc_score(found[:, k], p[:, k]) for k in range(found.shape[1])]),
    "accuracy": lambda found, p: np.mean((p > 0.5) == found),
    "balanced_accuracy": lambda found, p: np.mean(
        [balanced_accuracy_score(found[:, k], p[:, k] > 0.5) for k in range(found.shape[1])]
    ),
    "macro_f1": lambda found, p: f1_score(found, p > 0.5, average="macro"),
}


@pytest.mark.parametrize("grouped", [False, True])
@pytest.mark.parametrize("metric", METRIC)
def test_pseudo_values_are_the_jackknife_written_out(metric, grouped):
    found, p = drawn(n=40, k=3)
    p = p.round(1)  # ties
    place = np.arange(40) // 3 if grouped else np.arange(40)
    values = stats.pseudo_values(metric, p, found, place if grouped else None)
    units = int(place.max()) + 1
    for own, row in zip(values, p, strict=True):
        whole = METRIC[metric](found, row)
        if metric == "accuracy" and grouped:  # a mean: sums over groups
            right = ((row > 0.5) == found).mean(axis=1)
            expected = np.bincount(place, right) * units / 40
        else:
            without = np.array([METRIC[metric](found[place != g], row[place != g]) for g in range(units)])
            expected = whole + (units - 1) * (without.mean() - without)
        np.testing.assert_allclose(own, expected, atol=1e-10)
        assert own.mean() == pytest.approx(whole, abs=1e-10)


def test_findings_of_fewer_than_two_groups_are_left_out_of_every_test_of_a_mean():
    found, p = drawn(n=40, k=3)
    place = np.arange(40) // 4
    found[:, 1] = (place == 3).astype(int)  # one group has it
    assert stats.findings_left_out(found) == []
    assert stats.findings_left_out(found, place) == [1]
    rest = [0, 2]
    np.testing.assert_allclose(
        stats.pseudo_values("auc", p, found, place), stats.pseudo_values("auc", p[..., rest], found[:, rest], place)
    )
    assert stats.findings_left_out(1 - found, place) == [1]


def test_the_effect_on_findings_is_the_difference_of_the_means_and_its_test_is_that_of_pseudo_values():
    found, p = drawn(n=60)
    other = np.clip(p - 0.2 * found, 0, 1)
    result = stats.compare("auc", p, other, found)
    means = [np.mean([METRIC["auc"](found, row) for row in arm]) for arm in (p, other)]
    assert result.effect == pytest.approx(means[0] - means[1], abs=1e-12)
    values = [stats.pseudo_values("auc", arm, found) for arm in (p, other)]
    assert result.p == stats.crossed(values[0] - values[1]).p


def test_without_a_finding_to_test_the_reason_says_so():
    found = np.zeros((10, 2), int)
    found[0] = 1
    p = np.full((2, 10, 2), 0.3)
    assert "there is none" in stats.compare("auc", p, p, found).reason
    assert "groups of test images" in stats.why_undefined("auc", found, 2, np.arange(10))
    assert stats.why_undefined("accuracy", found, 2) is None
    with pytest.raises(ValueError, match="there is none"):
        stats.pseudo_values("macro_f1", p, found)
    with pytest.raises(ValueError, match="not cut into folds"):
        stats.pseudo_values("auc", p, found, folds=np.zeros((2, 10)))
    with pytest.raises(ValueError, match="expected"):
        stats.pseudo_values("auc", p, np.zeros((9, 2)))
