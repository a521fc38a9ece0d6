"""Errors in grades: held against scikit-learn, and against leaving images and groups out one by one."""

import json

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study
from sklearn.metrics import cohen_kappa_score, mean_absolute_error

from medaug_keras.cli.request import misfits
from medaug_keras.plan import Source
from medaug_keras.report.numbers.grades import graded
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.classes import class_by_class
from medaug_keras.report.tables.grades import grades
from medaug_keras.spec import Study
from medaug_keras.stats import benjamini_hochberg, crossed, grade_values, why_no_kappa
from studies import tiny

CASES = pytest.mark.parametrize(("seed", "n", "K"), [(1, 30, 2), (2, 40, 3), (3, 60, 5)])


def drawn(seed: int, n: int, K: int) -> tuple[np.ndarray, np.ndarray]:
    """(2, n) grades named, mostly near the true ones (n,), of which every grade has three."""
    chance = np.random.default_rng(seed)
    labels = chance.permutation(np.concatenate([np.repeat(np.arange(K), 3), chance.integers(0, K, n - 3 * K)]))
    return np.clip(labels + chance.integers(-2, 3, (2, n)), 0, K - 1), labels


def kappa(labels, named, K):
    return cohen_kappa_score(labels, named, weights="quadratic", labels=range(K))


@CASES
def test_both_measures_are_those_of_scikit_learn(seed, n, K):
    named, labels = drawn(seed, n, K)
    groups = np.arange(n) // 3
    for s, row in enumerate(named):
        for how in (None, groups):
            error = grade_values("absolute_error", named, labels, K, how)[s].mean()
            assert error == pytest.approx(mean_absolute_error(labels, row))
            assert grade_values("quadratic_kappa", named, labels, K, how)[s].mean() == pytest.approx(
                kappa(labels, row, K)
            )
    assert grade_values("quadratic_kappa", labels[None], labels, K).mean() == pytest.approx(1)
    assert grade_values("absolute_error", labels[None], labels, K).max() == 0


@CASES
@pytest.mark.parametrize("size", [1, 4])
def test_kappa_leaves_each_image_or_group_out_as_one_does_by_hand(seed, n, K, size):
    named, labels = drawn(seed, n, K)
    groups = np.random.default_rng(seed).permutation(np.arange(n) // size)
    units = np.unique(groups)
    found = grade_values("quadratic_kappa", named, labels, K, None if size == 1 else groups)
    for s, row in enumerate(named):
        theta = kappa(labels, row, K)
        left = np.array([kappa(labels[groups != g], row[groups != g], K) for g in units])
        slow = theta + (len(units) - 1) * (left.mean() - left)
        expected = slow if size > 1 else slow[groups]
        np.testing.assert_allclose(found[s], expected, atol=1e-9)


def test_kappa_needs_two_grades_that_two_images_or_groups_have():
    assert why_no_kappa([0, 0, 1, 1]) is None
    assert why_no_kappa([0, 0, 1, 2]) == "it needs two grades that two test images have"
    assert why_no_kappa([0, 0, 1, 1, 2], ["a", "b", "c", "c", "d"]).endswith("two groups of test images have")
    assert why_no_kappa([0, 0, 1, 1, 2], ["a", "b", "b", "c", "d"]) is None
    with pytest.raises(ValueError, match="two grades"):
        grade_values("quadratic_kappa", [[0, 0, 1]], [0, 0, 1], 2)
    with pytest.raises(ValueError, match="expected"):
        grade_values("absolute_error", [[0, 1]], [0, 0, 1], 2)


def study(**section) -> Study:
    return Study.model_validate_json(json.dumps(tiny(datasets={"retinamnist": {"kind": "medmnist", **section}})))


def test_retinamnists_classes_are_grades_unless_it_is_said_otherwise_and_no_others_are():
    assert study().datasets["retinamnist"].grades("retinamnist")
    assert not study(ordinal=False).datasets["retinamnist"].grades("retinamnist")
    named = study(name="bloodmnist").datasets["retinamnist"]
    assert not named.grades("retinamnist")
    assert study(name="bloodmnist", ordinal=True).datasets["retinamnist"].grades("retinamnist")
    assert study(name="retinamnist").datasets["retinamnist"].grades("eyes")


def test_grades_are_refused_where_images_have_several_findings():
    source = Source("x", 40, 16, 20, 14, class_names=tuple(map(str, range(14))), several=True)
    said = misfits(study(name="chestmnist", ordinal=True), {"retinamnist": source})
    assert any("datasets.retinamnist.ordinal" in line and "findings" in line for line in said)
    assert not any("ordinal" in line for line in misfits(study(name="chestmnist"), {"retinamnist": source}))
    table = {"kind": "table", "path": "t.csv", "image": "x", "labels": ["a", "b"], "split": {"column": "s"}}
    with pytest.raises(ValueError, match="leave ordinal out"):
        Study.model_validate_json(json.dumps(tiny(datasets={"mine": {**table, "ordinal": True}})))


@pytest.fixture(scope="module", params=[False, True])
def results(request, tmp_path_factory) -> Results:
    asked = fake_study(
        datasets=("retinamnist", "breastmnist"),
        arms={name: ARMS[name] for name in ("gda", "baseline")},
        samplings=["shuffle"],
    )
    more = {"groups": lambda dataset: np.arange(156) // 2}
    return Results(asked, *fake_results(asked, tmp_path_factory.mktemp("grades"), **(more if request.param else {})))


def test_every_arm_has_both_measures_and_differences_by_the_crossed_analysis_of_its_predictions(results):
    inference = Inference(results)
    found = graded(inference)
    assert list(found) == [("retinamnist", "baseline", "shuffle"), ("retinamnist", "gda", "shuffle")]
    base, one = found.values()
    assert not base.differences
    (ours,), (theirs,) = (inference.predictions[cell] for cell in reversed(list(found)))
    K = len(results.classes("retinamnist"))
    images = None if ours.groups is None else len(ours.labels)
    for measure in ("absolute_error", "quadratic_kappa"):
        values = [grade_values(measure, of.probabilities.argmax(-1), of.labels, K, of.groups) for of in (ours, theirs)]
        expected = crossed(values[0] - values[1], images=images)
        got = one.differences[measure]
        assert (got.effect, got.low, got.high, got.images) == (
            expected.effect,
            expected.low,
            expected.high,
            expected.images,
        )
        assert one.means[measure] == pytest.approx(values[0].mean(1))
    rates = benjamini_hochberg([r.p_family for r in one.differences.values()])
    assert list(one.rates.values()) == rates
    table = grades(results, found)
    keys = [column.key for column in table.columns]
    for row, of in zip(table.rows, found.values(), strict=True):
        entries = dict(zip(keys, row.entries, strict=True))
        for measure in ("absolute_error", "quadratic_kappa"):
            assert entries[measure].value == of.estimate(measure).mean
            r = of.differences.get(measure)
            assert entries[f"{measure}_difference"].value == (None if r is None else r.effect)
            assert entries[f"{measure}_difference"].p == (None if r is None else of.rates[measure])
    assert class_by_class(Book(results))["grades"] is not None
