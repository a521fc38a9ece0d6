"""Calibration and precision from probabilities, held against scikit-learn and leaving images out one by one."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import ARMS, fake_results, fake_study

from medaug_keras.evaluation import calibration
from medaug_keras.report.numbers.calibration import judged
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.calibration import calibration as page
from medaug_keras.stats import crossed


def drawn(seed: int, n: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels of which every class has three, and probabilities with ties."""
    chance = np.random.default_rng(seed)
    labels = chance.permutation(np.concatenate([np.repeat(np.arange(K), 3), chance.integers(0, K, n - 3 * K)]))
    logits = chance.normal(size=(n, K)).round(1) + 1.0 * np.eye(K)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(1, keepdims=True)


CASES = pytest.mark.parametrize(("seed", "n", "K"), [(1, 40, 2), (2, 200, 2), (3, 60, 3), (4, 150, 7)])


@CASES
def test_brier_score_log_loss_and_average_precision_are_scikit_learns(seed, n, K):
    metrics = pytest.importorskip("sklearn.metrics")
    labels, p = drawn(seed, n, K)
    one_hot = np.eye(K)[labels]
    brier = calibration.brier_values(labels, p).mean()
    if K == 2:
        assert brier == pytest.approx(metrics.brier_score_loss(labels, p[:, 1]))
        theirs = metrics.average_precision_score(labels, p[:, 1])
    else:
        assert brier == pytest.approx(((p - one_hot) ** 2).sum(1).mean())
        theirs = metrics.average_precision_score(one_hot, p, average="macro")
    assert calibration.log_loss_values(labels, p).mean() == pytest.approx(metrics.log_loss(labels, p))
    assert calibration.average_precision_values(labels, p).mean() == pytest.approx(theirs)


@CASES
def test_average_precision_leaves_each_image_out_as_one_does_by_hand(seed, n, K):
    metrics = pytest.importorskip("sklearn.metrics")
    labels, p = drawn(seed, n, K)

    def whole(keep):
        if K == 2:
            return metrics.average_precision_score(labels[keep], p[keep, 1])
        return metrics.average_precision_score(np.eye(K)[labels[keep]], p[keep], average="macro")

    theta = whole(np.arange(n))
    slow = np.array([n * theta - (n - 1) * whole(np.delete(np.arange(n), i)) for i in range(n)])
    np.testing.assert_allclose(calibration.average_precision_values(labels, p), slow - slow.mean() + theta, atol=1e-9)


@CASES
def test_the_calibration_error_is_the_mean_gap_over_bins_of_equal_size_and_its_values_the_jackknifes(seed, n, K):
    labels, p = drawn(seed, n, K)
    confidence, right, images = calibration.reliability(labels, p, bins=5)
    assert images.max() - images.min() <= 1
    error = float((images * abs(confidence - right)).sum() / n)
    values = calibration.calibration_values(labels, p, bins=5)
    assert values.mean() == pytest.approx(error)
    apart, order = p.max(1) - (p.argmax(1) == labels), np.argsort(p.max(1), kind="stable")
    parts = np.array_split(order, 5) if n % 5 == 0 else None
    if parts is not None:
        slow = []
        for i in range(n):
            sums = [apart[[j for j in part if j != i]].sum() for part in parts]
            slow.append(n * error - (n - 1) * sum(map(abs, sums)) / (n - 1))
        np.testing.assert_allclose(values, np.array(slow) - np.mean(slow) + error, atol=1e-9)


@pytest.mark.parametrize(("seed", "n"), [(1, 40), (2, 200)])
def test_reliability_is_that_of_scikit_learn_for_two_classes_where_class_one_is_predicted(seed, n):
    curve = pytest.importorskip("sklearn.calibration").calibration_curve
    chance = np.random.default_rng(seed)
    score = np.sort(chance.uniform(0.51, 1, n))
    labels = (chance.random(n) < score).astype(int)
    theirs, mean = curve(labels, score, n_bins=5, strategy="quantile")
    confidence, right, _ = calibration.reliability(labels, np.stack([1 - score, score], 1), bins=5)
    np.testing.assert_allclose(confidence, mean, atol=0.01)  # ends of bins may differ by an image
    np.testing.assert_allclose(right, theirs, atol=0.15 if n < 100 else 0.03)


@CASES
def test_curves_go_through_scikit_learns_points(seed, n, K):
    metrics = pytest.importorskip("sklearn.metrics")
    labels, p = drawn(seed, n, K)
    if K > 2:
        labels, p = (labels == 1).astype(int), np.stack([1 - p[:, 1], p[:, 1]], 1)
    false, hit, _ = metrics.roc_curve(labels, p[:, 1], drop_intermediate=False)
    np.testing.assert_allclose(
        np.trapezoid(calibration.curves(labels, p, at := np.linspace(0, 1, 4001))[0], at),
        metrics.auc(false, hit),
        atol=2e-3,
    )
    precision, recall, _ = metrics.precision_recall_curve(labels, p[:, 1])
    first = {r: precision[recall == r][-1] for r in np.unique(recall) if r > 0}
    found = calibration.curves(labels, p, np.array(sorted(first)))[1]
    np.testing.assert_allclose(found, [first[r] for r in sorted(first)])


@given(seed=st.integers(0, 500), n=st.integers(20, 80))
@settings(max_examples=20)
def test_the_order_of_images_changes_no_measure_but_by_ties_of_the_bins(seed, n):
    labels, p = drawn(seed, n, 3)
    turned = np.random.default_rng(seed).permutation(n)
    for values in (calibration.brier_values, calibration.log_loss_values, calibration.average_precision_values):
        np.testing.assert_allclose(values(labels, p)[turned], values(labels[turned], p[turned]), atol=1e-9)


def test_a_perfect_forecaster_has_no_errors_and_one_that_is_always_sure_and_wrong_all_of_them():
    labels = np.repeat([0, 1, 2], 10)
    right, wrong = np.eye(3)[labels], np.eye(3)[(labels + 1) % 3]
    assert [float(calibration.calibration_values(labels, p).mean()) for p in (right, wrong)] == [0.0, 1.0]
    assert [float(calibration.brier_values(labels, p).mean()) for p in (right, wrong)] == [0.0, 2.0]
    assert calibration.average_precision_values(labels, right).mean() == 1.0
    assert calibration.log_loss_values(labels, wrong).mean() == pytest.approx(15.94, abs=0.01)
    assert calibration.average_precision_values(np.array([0, 0, 1]), np.eye(2)[[0, 0, 1]]) is None


# --- the page ---


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    study = fake_study(
        datasets=("breastmnist", "phantom-histology"),
        arms={name: ARMS[name] for name in ("baseline", "gda", "cvae")},
        samplings=["shuffle"],
    )
    return Book(Results(study, *fake_results(study, tmp_path_factory.mktemp("calibration"))))


def test_every_arm_has_its_measures_and_differences_by_the_crossed_analysis_of_its_predictions(book):
    found = judged(book.inference)
    assert found.keys() == book.results.groups.keys()
    for (dataset, *pair), one in found.items():
        by_hand = {}
        for group in (one.group, book.results.baseline(dataset)):
            values = []
            for run in group.done:
                with np.load(run.record.folder / "predictions.npz") as file:
                    p, labels = file[f"test_{run.selected(book.results.select)}"], file["test_labels"]
                values.append(calibration.brier_values(labels.astype(int), p))
            by_hand[group.name] = np.stack(values)
        ours, base = by_hand.values() if len(by_hand) == 2 else (*by_hand.values(), None)
        assert one.estimate("brier").mean == pytest.approx(ours.mean())
        if base is None:
            assert (tuple(pair), one.differences) == (book.results.reference, {})
        else:
            expected = crossed(ours - base)
            assert (one.differences["brier"].low, one.differences["brier"].high) == (expected.low, expected.high)
            assert all(rate >= one.differences[name].p_family - 1e-12 for name, rate in one.rates.items())


def test_groups_are_the_units_of_the_differences_and_folds_have_no_average_precision(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms={n: ARMS[n] for n in ("baseline", "gda")}, samplings=["shuffle"])
    more = {
        "groups": lambda dataset: np.arange(156) // 2,
        "folds": lambda dataset, replicate: np.arange(156) % 156 // 52,
    }
    plan, store = fake_results(study, tmp_path, small=False, **more)
    inference = Book(Results(study, plan, store)).inference
    (one,) = (one for cell, one in judged(inference).items() if cell[1] == "gda")
    assert one.differences["ece"].units == 78
    assert one.estimate("pr_auc").mean is None
    assert one.differences["pr_auc"].reason.startswith("images of different folds")
    assert not one.roc


def test_the_page_draws_every_arm_in_three_panels_and_says_when_there_is_nothing(book, tmp_path):
    made = page(book)
    table = made["table"]
    assert [row.entries[1].name for row in table.rows] == [f"{a}.shuffle" for a in ("baseline", "gda", "cvae")] * 2
    for section in made["sections"]:
        svg = section["figure"].figure.svg
        for arm in ("baseline", "gda", "cvae"):
            for across in ("probability of the class named", "false positive rate", "recall"):
                assert f"{book.results.variant(arm, 'shuffle')}, {across} " in svg
    nothing = fake_study(datasets=("breastmnist",), arms={"baseline": {}}, samplings=["shuffle"])
    plan, store = fake_results(nothing, tmp_path, leave_out=lambda task: task.kind == "classifier")
    made = page(Book(Results(nothing, plan, store)))
    assert ([section["figure"] for section in made["sections"]], made["table"].rows) == ([None], ())
