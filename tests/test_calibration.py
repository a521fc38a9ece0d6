"""Calibration and precision from probabilities, held against scikit-learn and leaving images out one by one."""

import importlib
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import ARMS, fake_results, fake_study

from medaug_keras.evaluation import calibration
from medaug_keras.report import figures
from medaug_keras.report.numbers import calibration as numbers
from medaug_keras.report.numbers.calibration import MEASURES, NO_VALIDATION, judged, scaled
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.calibration import calibration as page
from medaug_keras.report.tables import calibration as tables
from medaug_keras.stats import benjamini_hochberg, crossed, group_sums


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


def test_there_are_ten_bins_or_as_many_as_there_are_images():
    labels, p = drawn(1, 40, 2)
    assert calibration.reliability(labels, p)[2].tolist() == [4] * 10
    assert calibration.reliability(labels[:4], p[:4])[2].tolist() == [1] * 4
    assert calibration.calibration_values(labels[:4], p[:4]).mean() == pytest.approx(
        np.abs(p[:4].max(1) - (p[:4].argmax(1) == labels[:4])).mean()
    )


def test_a_class_without_any_image_leaves_the_average_precision_undefined():
    labels, p = drawn(3, 60, 3)
    assert calibration.average_precision_values(labels[labels < 2], p[labels < 2]) is None


@CASES
@pytest.mark.parametrize("sure", [0.4, 1.0, 3.0])
def test_the_temperature_is_the_one_that_a_search_by_brute_force_finds(seed, n, K, sure):
    from scipy.special import softmax

    chance = np.random.default_rng(seed)
    logits = chance.normal(0, 0.7, (n, K))  # no probability so small that it counts as another
    labels = (logits + chance.gumbel(size=(n, K))).argmax(1)
    p = softmax(sure * logits, axis=1)

    def loss(t):
        return -np.log(softmax(sure * logits / t, axis=1)[np.arange(n), labels]).mean()

    at = np.exp(np.linspace(*np.log(calibration.TEMPERATURES), 4001))
    best = at[np.argmin([loss(t) for t in at])]
    found = calibration.temperature(labels, p)
    assert found == pytest.approx(best, rel=2e-3)
    np.testing.assert_allclose(calibration.scaled(p, found), softmax(sure * logits / found, axis=1), atol=1e-6)
    scaled_loss = calibration.log_loss_values(labels, calibration.scaled(p, found)).mean()
    assert scaled_loss <= calibration.log_loss_values(labels, p).mean() + 1e-12


def test_a_temperature_of_1_changes_nothing_and_any_keeps_sums_and_the_class_that_is_named():
    _, p = drawn(4, 50, 3)
    np.testing.assert_allclose(calibration.scaled(p, 1.0), p, atol=1e-6)
    for at in (0.05, 0.5, 2.0, 20.0):
        found = calibration.scaled(np.stack([p, p[::-1]]), at)
        np.testing.assert_allclose(found.sum(-1), 1)
        np.testing.assert_array_equal(found.argmax(-1), np.stack([p, p[::-1]]).argmax(-1))
        assert (found.max(-1) > np.stack([p, p[::-1]]).max(-1)).all() == (at < 1)


def test_a_temperature_of_probabilities_that_are_always_right_or_always_wrong_is_at_an_end():
    labels = np.repeat([0, 1], 10)
    p = np.where(np.eye(2)[labels] > 0, 0.7, 0.3)
    assert calibration.temperature(labels, p) == pytest.approx(calibration.TEMPERATURES[0])
    assert calibration.temperature(1 - labels, p) == pytest.approx(calibration.TEMPERATURES[1])
    assert calibration.at_limit(calibration.temperature(labels, p))
    assert calibration.at_limit(calibration.temperature(1 - labels, p))
    p[0] = p[-1]  # one of twenty is wrong: the least is between
    assert not calibration.at_limit(calibration.temperature(labels, p))


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
    sums = {
        arm: [
            group_sums(calibration.brier_values(of.labels, of.probabilities), of.groups)[0]
            for of in inference.predictions["breastmnist", arm, "shuffle"]
        ]
        for arm in ("gda", "baseline")
    }
    expected = crossed(np.subtract(sums["gda"], sums["baseline"]), folds=True, images=156)
    assert (one.differences["brier"].low, one.differences["brier"].high) == pytest.approx((expected.low, expected.high))
    assert one.differences["ece"].units == 78
    assert one.differences["ece"].images == 156
    assert one.estimate("pr_auc").mean is None
    assert one.differences["pr_auc"].reason.startswith("images of different folds")
    assert not one.roc


def inference_of(root, arms=("baseline", "gda"), **more):
    study = fake_study(datasets=("breastmnist",), arms={n: ARMS[n] for n in arms}, samplings=["shuffle"])
    return Book(Results(study, *fake_results(study, root, **more))).inference


def brier_of(inference, arm):
    """Replicate → (n,) squared errors of an arm's images."""
    (found,) = inference.predictions["breastmnist", arm, "shuffle"]
    values = calibration.brier_values(found.labels, found.probabilities)
    return dict(zip(found.replicates, values, strict=True))


def test_differences_are_to_the_baseline_wherever_it_stands_and_pair_replicates_of_one_number(tmp_path):
    def gone(task):
        return task.kind == "classifier" and task.replicate == 0 and bool(task.params["augment"])

    inference = inference_of(tmp_path, ("gda", "baseline"), leave_out=gone)
    (one,) = (one for cell, one in judged(inference).items() if cell[1] == "gda")
    ours, base = (brier_of(inference, arm) for arm in ("gda", "baseline"))
    assert (sorted(ours), sorted(base)) == ([1, 2], [0, 1, 2])
    found, expected = one.differences["brier"], crossed(np.stack([ours[s] - base[s] for s in (1, 2)]), planned=3)
    assert (found.effect, found.replicates, found.planned) == pytest.approx((expected.effect, 2, 3))
    assert found.p == pytest.approx(expected.p)
    (of,) = inference.predictions["breastmnist", "gda", "shuffle"]
    for s, probabilities in zip(of.replicates, of.probabilities, strict=True):
        said = inference.tested["breastmnist", "gda", "shuffle"][s]
        np.testing.assert_array_equal(said.likely, probabilities[np.arange(156), of.labels])
        np.testing.assert_array_equal(said.predicted, probabilities.argmax(1))
    test = inference.tests["breastmnist", "gda", "shuffle"].result
    right = {
        arm: [runs[s].predicted == inference.labels["breastmnist"] for s in (1, 2)]
        for (_, arm, _), runs in inference.tested.items()
    }
    assert (test.effect, test.replicates) == (
        pytest.approx(np.subtract(*np.mean([right["gda"], right["baseline"]], (1, 2)))),
        2,
    )
    assert test.p == pytest.approx(crossed(np.subtract(right["gda"], right["baseline"], dtype=float)).p)


@pytest.mark.parametrize("part", ["all", "test_groups"])
def test_a_run_that_tested_its_images_in_another_order_or_groups_is_judged_by_its_own(tmp_path, part):
    more = {"small": False, "groups": lambda dataset: np.repeat(np.arange(52), 3)}
    before = inference_of(tmp_path, **(more if part == "test_groups" else {}))
    cell = "breastmnist", "gda", "shuffle"
    path = before.results.groups[cell].done[1].record.folder / "predictions.npz"
    with np.load(path) as file:
        kept = dict(file)
    np.savez(path, **{name: array[::-1] if part in ("all", name) else array for name, array in kept.items()})
    after = Inference(before.results)
    first, second = after.predictions[cell]
    assert (first.replicates, second.replicates) == ((0, 2), (1,))
    if part == "test_groups":
        np.testing.assert_array_equal(second.groups, kept[part][::-1])
        np.testing.assert_array_equal(first.groups, kept[part])
    one, other = (judged(inference)[cell].means["brier"] for inference in (before, after))
    assert sorted(one) == pytest.approx(sorted(other))


def test_a_class_with_one_test_image_has_no_average_precision_and_says_why(tmp_path, monkeypatch):
    inference = inference_of(tmp_path)
    for cell, (found,) in inference.predictions.items():
        rare = np.where(np.arange(len(found.labels)) == 0, 0, 1)
        monkeypatch.setitem(inference.predictions, cell, [replace(found, labels=rare)])
    for one in judged(inference).values():
        assert one.means["pr_auc"] == one.roc == []
        assert one.reasons == {"pr_auc": "it needs two test images of every class"}
        assert len(one.means["ece"]) == 3
    assert one.differences["pr_auc"].reason == one.reasons["pr_auc"]


def test_p_of_calibration_is_that_of_families_corrected_by_benjamini_and_hochberg_over_everything(book):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    found = [(one, name) for one in judged(book.inference).values() for name in one.differences]
    assert len(found) == 2 * 2 * 4, "data sets, arms and measures"
    expected = multitest.multipletests([one.differences[name].p_family for one, name in found], method="fdr_bh")[1]
    assert [one.rates[name] for one, name in found] == pytest.approx(list(expected))


def test_the_table_of_calibration_has_the_means_intervals_and_corrected_p_of_every_measure(book):
    found = judged(book.inference)
    table = tables.calibration(book.results, found)
    kinds = {column.key: column.kind for column in table.columns}
    assert {kinds[name] for name in ("auc", "ece", "pr_auc")} == {"percent"}
    assert {kinds[name] for name in ("brier", "log_loss")} == {"number"}
    for row, one in zip(table.rows, found.values(), strict=True):
        cells = dict(zip(kinds, row.entries, strict=True))
        assert cells["auc"].value == one.group.estimate(book.results.select, "test", "auc").mean
        for name in MEASURES:
            runs, cell = one.means[name], cells[f"{name}_difference"]
            assert (cells[name].value, cells[name].sd) == pytest.approx((np.mean(runs), np.std(runs, ddof=1)))
            if (r := one.differences.get(name)) is not None:
                assert (cell.value, cell.low, cell.high, cell.p) == (r.effect, r.low, r.high, one.rates[name])
                assert cell.low < cell.value < cell.high


def test_lines_are_means_of_the_replicates_between_the_lowest_and_the_highest_the_baseline_first(
    book, tmp_path, monkeypatch
):
    calls = []
    forecasts = figures.forecasts
    monkeypatch.setattr(
        figures, "forecasts", lambda found, *more, **how: calls.append(found) or forecasts(found, *more, **how)
    )
    study = fake_study(
        datasets=("breastmnist",), arms={n: ARMS[n] for n in ("gda", "baseline")}, samplings=["shuffle"], replicates=4
    )

    def gone(task):
        return task.kind == "classifier" and task.replicate > 1

    made = Book(Results(study, *fake_results(study, tmp_path, leave_out=gone)))
    page(made)
    (base, gda), after = calls
    assert [line.arm for line in after] == ["baseline", "gda"]
    assert (base.arm, gda.arm, base.replicates) == ("baseline", "gda", 2)
    one = judged(made.inference)["breastmnist", "gda", "shuffle"]
    curves = {
        "reliability": ([r[1] for r in one.reliability], np.mean([r[0] for r in one.reliability], axis=0)),
        "roc": (one.roc, np.linspace(0, 1, 51)),
        "precision": (one.precision, np.linspace(0, 1, 51)),
    }
    for name, (runs, across) in curves.items():
        columns = across, np.mean(runs, axis=0), np.min(runs, axis=0), np.max(runs, axis=0)
        np.testing.assert_allclose(gda.lines[name], np.transpose(columns))
    (confidence, right) = one.reliability[0]
    found = made.inference.predictions["breastmnist", "gda", "shuffle"][0]
    expected = calibration.reliability(found.labels, found.probabilities[0])
    np.testing.assert_allclose((confidence, right), expected[:2])


def test_means_over_classes_are_named_where_there_are_more_than_two_and_many_data_sets_have_pages_of_their_own(
    book, monkeypatch
):
    said = "ROC and precision are means over classes"
    made = page(book)
    captions = {section["name"]: section["figure"].caption for section in made["sections"]}
    assert {name: said in words for name, words in captions.items()} == {
        "breastmnist": False,
        "phantom-histology": True,
    }
    assert not made["apart"]
    pages = importlib.import_module("medaug_keras.report.pages.calibration")
    for most, apart in ((2, False), (1, True)):
        monkeypatch.setattr(pages, "MANY", most)
        assert page(book)["apart"] is apart


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


# --- after temperature scaling ---


def scaled_by_hand(run, select):
    """Temperature of a run by its own validation images, its test labels, and test probabilities after it."""
    with np.load(run.record.folder / "predictions.npz") as file:
        epoch = run.selected(select)
        at = calibration.temperature(file["validation_labels"].astype(int), file[f"validation_{epoch}"])
        return at, file["test_labels"].astype(int), calibration.scaled(file[f"test_{epoch}"], at)


def test_every_run_is_scaled_by_its_own_validation_images_and_differences_are_between_scaled_arms(book):
    found, select = scaled(book.inference), book.results.select
    assert found.keys() == book.results.groups.keys()
    measures = {
        "ece": calibration.calibration_values,
        "brier": calibration.brier_values,
        "log_loss": calibration.log_loss_values,
    }
    for cell, one in found.items():
        every = [scaled_by_hand(run, select) for run in one.group.done]
        assert one.temperatures == pytest.approx([at for at, _, _ in every])
        base = [scaled_by_hand(run, select) for run in book.results.baseline(cell[0]).done]
        for name, of in measures.items():
            ours = np.stack([of(labels, p) for _, labels, p in every])
            assert one.means[name] == pytest.approx(ours.mean(1))
            if cell[1:] == book.results.reference:
                assert not one.differences
            else:
                expected = crossed(ours - np.stack([of(labels, p) for _, labels, p in base]))
                got = one.differences[name]
                assert (got.effect, got.low, got.high) == pytest.approx((expected.effect, expected.low, expected.high))
    rates = benjamini_hochberg([r.p_family for one in found.values() for r in one.differences.values()])
    assert [rate for one in found.values() for rate in one.rates.values()] == rates


def test_a_temperature_at_an_end_of_those_that_are_looked_for_is_marked_and_explained(book):
    before, after = judged(book.inference), scaled(book.inference)
    cell = next(iter(after))
    ends = {**after, cell: replace(after[cell], fitted={0: [20.0], 1: [1.5], 2: [1.0, 0.05]})}
    for found, tags, explained in ((after, (), False), (ends, ("at a limit 2/3",), True)):
        table = tables.temperature(book.results, before, found)
        assert table.rows[0].entries[2].tags == tags
        head = "At a limit: temperatures are looked for from 0.05 to 20."
        assert any(note.startswith(head) for note in table.notes) == explained


def test_the_table_has_both_before_and_after_and_the_page_a_figure_of_each(book, monkeypatch):
    before, after = judged(book.inference), scaled(book.inference)
    table = tables.temperature(book.results, before, after)
    keys = [column.key for column in table.columns]
    assert len(table.rows) == len(after)
    for row, (cell, one) in zip(table.rows, after.items(), strict=True):
        entries = dict(zip(keys, row.entries, strict=True))
        assert entries["temperature"].value == pytest.approx(np.mean(one.temperatures))
        for name in ("ece", "brier", "log_loss"):
            assert entries[f"{name}_before"].value == before[cell].estimate(name).mean
            assert entries[f"{name}_after"].value == one.estimate(name).mean
            r = one.differences.get(name)
            assert entries[f"{name}_difference"].value == (None if r is None else r.effect)
    seen, plot = [], figures.forecasts
    monkeypatch.setattr(figures, "forecasts", lambda *some, **how: seen.append(some) or plot(*some, **how))
    page(book)
    assert [len(panels) for _, panels in seen] == [3, 1, 3, 1]
    lines = seen[1][0]
    here = [one for cell, one in after.items() if cell[0] == "breastmnist"]
    assert len(lines) == len(here)
    assert [y for _, y, *_ in lines[0].lines["reliability"]] == pytest.approx(
        np.mean([r[1] for r in here[0].reliability], axis=0)
    )


def test_with_folds_each_part_is_scaled_by_its_own_classifier_and_without_them_nothing_is(book, monkeypatch):
    (of,) = book.inference.predictions["breastmnist", "gda", "shuffle"]
    group = book.results.groups["breastmnist", "gda", "shuffle"]
    folds = np.arange(of.probabilities.shape[1]) % 2
    known = [drawn(5, 60, 2), drawn(6, 80, 2)]
    monkeypatch.setattr(numbers, "held_out", lambda run, select: known)
    one, values = numbers._scaled(group, [replace(of, folds=folds[None])], numbers._fitted(group, "last"))
    at = [calibration.temperature(*some) for some in known]
    assert one.temperatures == pytest.approx([np.mean(at)] * len(of.replicates))
    expected = np.where(
        folds[:, None] == 0,
        calibration.scaled(of.probabilities[0], at[0]),
        calibration.scaled(of.probabilities[0], at[1]),
    )
    got = values["brier"][of.replicates[0]]
    expected = calibration.brier_values(of.labels, expected)
    assert got == pytest.approx(expected if of.groups is None else group_sums(expected, of.groups))
    monkeypatch.setattr(numbers, "held_out", lambda run, select: [])
    one, _ = numbers._scaled(group, [replace(of, folds=folds[None])], numbers._fitted(group, "last"))
    assert (one.temperatures, one.reason) == ([], NO_VALIDATION)
