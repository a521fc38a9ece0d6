"""The statistics: laws first, then agreement with independent sources, then simulation."""

import importlib.util
import subprocess
import sys
from itertools import combinations, pairwise, permutations, product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy import integrate
from scipy import stats as scipy_stats

from medaug_keras import stats
from medaug_keras.stats import planning
from medaug_keras.stats.crossed import family_half_width, standard_error

ROOT = Path(__file__).parents[1]
METRICS = ("accuracy", "auc", "balanced_accuracy", "macro_f1")
SHUFFLED = ("auc", "balanced_accuracy", "macro_f1")


def crossed_data(seed=0, S=4, n=60, effect=0.02):
    chance = np.random.default_rng(seed)
    by_replicate, by_image = 0.05 * chance.normal(size=(S, 1)), 0.2 * chance.normal(size=(1, n))
    return effect + by_replicate + by_image + 0.4 * chance.normal(size=(S, n))


def predictions(seed=0, S=3, n=90, K=3, skill=1.0):
    """Probabilities (S, n, K) with ties and labels (n,) in which every class occurs."""
    chance = np.random.default_rng(seed)
    labels = np.arange(n) % K
    logits = chance.normal(size=(S, n, K)) + skill * np.eye(K)[labels]
    p = np.exp(logits)
    return np.round(p / p.sum(-1, keepdims=True), 2), labels


def numbers(result):
    return np.array([result.effect, result.se, result.t, result.df, result.p, result.p_family, result.low, result.high])


def near(rate, expected, repeats):
    """Within three standard errors of a rate over this many independent studies."""
    return abs(rate - expected) <= 3 * np.sqrt(expected * (1 - expected) / repeats)


# ---- the crossed analysis: laws


@given(seed=st.integers(0, 1000))
@settings(max_examples=25)
def test_order_of_images_and_replicates_does_not_matter(seed):
    D = crossed_data(seed)
    chance = np.random.default_rng(seed + 1)
    shuffled = D[chance.permutation(len(D))][:, chance.permutation(D.shape[1])]
    np.testing.assert_allclose(numbers(stats.crossed(shuffled)), numbers(stats.crossed(D)), rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_swapping_arm_and_baseline_turns_only_the_sign(metric):
    (arm, labels), (baseline, _) = predictions(1), predictions(2, skill=1.4)
    ours, theirs = stats.compare(metric, arm, baseline, labels), stats.compare(metric, baseline, arm, labels)
    assert ours.effect == pytest.approx(-theirs.effect)
    assert (ours.low, ours.high) == pytest.approx((-theirs.high, -theirs.low))
    assert (ours.se, ours.df, ours.p, ours.p_family) == pytest.approx((theirs.se, theirs.df, theirs.p, theirs.p_family))


@given(factor=st.floats(1e-3, 1e3))
@settings(max_examples=20)
def test_a_change_of_unit_scales_effect_and_interval_and_leaves_p(factor):
    one, other = stats.crossed(crossed_data()), stats.crossed(factor * crossed_data())
    assert (other.effect, other.se, other.low, other.high) == pytest.approx(
        tuple(factor * x for x in (one.effect, one.se, one.low, one.high))
    )
    assert (other.t, other.df, other.p, other.p_family) == pytest.approx((one.t, one.df, one.p, one.p_family))


@given(seed=st.integers(0, 1000), S=st.integers(2, 6), n=st.integers(2, 30))
@settings(max_examples=50)
def test_p_and_interval_agree_and_the_family_p_is_never_smaller(seed, S, n):
    result = stats.crossed(crossed_data(seed, S, n, effect=0.3))
    assert (result.p < 0.05) == (result.low > 0 or result.high < 0)
    assert 0 <= result.p <= result.p_family <= 1
    assert result.se**2 >= result.mean_squares.residual / (S * n) * (1 - 1e-12)
    assert min(result.variances.replicate, result.variances.image, result.variances.residual) >= 0


@given(seed=st.integers(0, 1000), S=st.integers(2, 6), n=st.integers(2, 30))
@settings(max_examples=50)
def test_the_squared_standard_error_is_the_sum_of_what_replicates_images_and_residual_add_to_it(seed, S, n):
    """Var(mean of D) = var_replicate / S + var_image / n + var_residual / (S n), floored at its last term."""
    result = stats.crossed(crossed_data(seed, S, n))
    v = result.raw_variances
    expected = v.replicate / S + v.image / n + v.residual / (S * n)
    assert result.se**2 == pytest.approx(max(expected, v.residual / (S * n)))


def test_the_squared_standard_error_is_on_average_the_variance_of_the_effect():
    chance, S, n = np.random.default_rng(1), 4, 40
    found = []
    for _ in range(1500):
        rows, columns = 0.1 * chance.normal(size=(S, 1)), 0.5 * chance.normal(size=(1, n))
        result = stats.crossed(rows + columns + 0.5 * chance.normal(size=(S, n)))
        found.append((result.effect, result.se**2))
    effects, squares = np.array(found).T
    assert squares.mean() == pytest.approx(0.1**2 / S + 0.5**2 / n + 0.5**2 / (S * n), rel=0.05)
    assert squares.mean() == pytest.approx(effects.var(), rel=0.12)


@pytest.mark.parametrize("squares", [(9.0, 4.0, 3.0), (5.0, 5.0, 4.0), (2.0, 9.0, 4.0), (9.0, 1.0, 5.0)])
@pytest.mark.parametrize(("S", "n"), [(2, 3), (3, 4), (5, 40)])
def test_degrees_of_freedom_are_those_of_a_chi_squared_variable_of_the_same_mean_and_variance(squares, S, n):
    """Satterthwaite's: each mean square is a chi-squared variable, and their sum with signs is taken for another.

    Not below those of the replicates, or of fewer images: in the last case the formula has 0.3, 0.6 and 1.2 of them.
    """
    sizes = (S - 1, n - 1, (S - 1) * (n - 1))
    spread = sum(scipy_stats.chi2.var(df, scale=square / df) for square, df in zip(squares, sizes, strict=True))
    total = squares[0] + squares[1] - squares[2]
    se, df = stats.standard_error(*squares, S, n)
    assert float(se) == pytest.approx(np.sqrt(total / (S * n)))
    expected = max(2 * total**2 / spread, min(S, n) - 1)  # a chi-squared variable of df has mean df, variance 2 df
    assert float(df) == pytest.approx(expected)


def test_an_interval_is_not_wider_than_students_over_replicates_only_because_images_vary_less_than_the_residual():
    rng, seen = np.random.default_rng(11), 0
    for _ in range(200):
        D = rng.normal(size=(3, 1)) / 3 + rng.normal(size=(3, 40))
        found = stats.crossed(D)
        if found.raw_variances.image < 0 and found.se <= D.mean(1).std(ddof=1) / 3**0.5:
            low, high = scipy_stats.ttest_1samp(D.mean(1), 0).confidence_interval()
            assert found.high - found.low <= (high - low) * (1 + 1e-9)
            seen += 1
    assert seen > 20


@given(seed=st.integers(0, 1000), S=st.integers(3, 5), n=st.integers(3, 40), confidence=st.sampled_from([0.9, 0.95]))
@settings(max_examples=25)
def test_p_and_interval_are_students_with_the_degrees_of_freedom_that_are_named(seed, S, n, confidence):
    result = stats.crossed(crossed_data(seed, S, n), confidence=confidence)
    assert result.t == pytest.approx(result.effect / result.se)
    assert result.p == pytest.approx(2 * scipy_stats.t.sf(abs(result.t), result.df))
    half = scipy_stats.t.ppf((1 + confidence) / 2, result.df) * result.se
    assert (result.low, result.high) == pytest.approx((result.effect - half, result.effect + half))


@pytest.mark.parametrize(("S", "n"), [(2, 30), (3, 156), (5, 624), (10, 40)])
@pytest.mark.parametrize("squares", [(0.5, 0.3, 0.2), (0.2, 0.9, 0.2), (0.2, 0.1, 0.3)])
def test_the_family_p_is_students_averaged_over_what_the_variance_between_runs_may_be(squares, S, n):
    (replicate, image, residual), effect = squares, 2.2 * np.sqrt(0.6 / (S * n))

    def given_chi(chi):
        variance = max((S - 1) * replicate / chi + image - residual, residual) / (S * n)
        return 2 * scipy_stats.t.sf(effect / np.sqrt(variance), n - 1) * scipy_stats.chi2.pdf(chi, S - 1)

    edges = [0, *scipy_stats.chi2.ppf([0.01, 0.1, 0.5, 0.9, 0.99], S - 1), np.inf]
    expected = sum(integrate.quad(given_chi, low, high)[0] for low, high in pairwise(edges))
    assert float(stats.family_p(effect, *squares, S, n)) == pytest.approx(expected, rel=2e-3)


def test_images_alike_in_every_respect_leave_the_t_test_over_replicates():
    by_replicate = np.array([0.01, 0.05, 0.02, 0.09])
    noise = np.array([1e-9, -1e-9] * 50)  # images and residual as good as constant
    result = stats.crossed(by_replicate[:, None] + noise)
    t = scipy_stats.ttest_1samp(by_replicate, 0)
    assert (result.t, result.df, result.p) == pytest.approx((t.statistic, 3, t.pvalue), rel=1e-6)


def test_replicates_that_agree_exactly_leave_the_t_test_over_images():
    by_image = np.random.default_rng(0).normal(0.2, 1, size=80)
    result = stats.crossed(np.stack([by_image] * 5))
    t = scipy_stats.ttest_1samp(by_image, 0)
    assert (result.t, result.df, result.p) == pytest.approx((t.statistic, 79, t.pvalue))
    assert result.p_family == pytest.approx(t.pvalue)


@pytest.mark.parametrize("S", [2, 3, 5, 10])
@pytest.mark.parametrize("t", [0.5, 3.0, 30.0])
def test_family_p_without_image_variance_is_students_t_over_replicates(S, t):
    n, replicate = 10**6, 1.0  # residual far smaller than the variance between replicates
    p = stats.family_p(t * np.sqrt(replicate / (S * n)), replicate, 1e-12, 1e-12, S, n)
    assert float(p) == pytest.approx(2 * scipy_stats.t.sf(t, S - 1), rel=1e-3)


@pytest.mark.parametrize("S", range(2, 31))
def test_family_p_of_no_difference_is_one_and_not_a_rounding_error_more(S):
    p = stats.family_p(0.0, 0.05, 0.2, 0.15, S, 156)
    assert p <= 1
    assert float(p) == pytest.approx(1)
    assert stats.holm([float(p), 0.5]) == [1, 1]


def test_one_replicate_gives_the_difference_and_no_test_and_says_why():
    result = stats.crossed([[0, 1, 0, 1]], planned=3)
    assert (result.effect, result.p, result.low, result.replicates, result.planned) == (0.5, None, None, 1, 3)
    assert result.reason.startswith("one replicate")


def test_arms_that_agree_everywhere_differ_by_nothing():
    result = stats.crossed(np.zeros((3, 10)))
    assert (result.effect, result.p, result.p_family) == (0, 1, 1)
    assert stats.verdict(result.effect, result.p) == "not distinguishable"


def test_no_number_is_made_of_zero_variance():
    agree, alike = stats.crossed(np.zeros((3, 10))), stats.crossed(np.stack([np.arange(10.0)] * 3))
    assert (agree.se, agree.low, agree.high, agree.variances) == (None, None, None, None)
    assert "no variance to make an interval of" in agree.reason
    for result in (agree, alike, stats.crossed(np.ones((3, 10))), stats.crossed(np.zeros((1, 10)))):
        assert stats.outlook(result) is stats.detectable_range(result) is stats.variance_limits(result) is None
    none = stats.Components(0.0, 0.0, 0.0)
    for say in (lambda: stats.power_to_detect(0.01, none, 3, 10), lambda: stats.detectable_difference(none, 3, 10)):
        with pytest.raises(ValueError, match="variance of zero"):
            say()
    assert stats.two_level_bootstrap(np.zeros((3, 10)), seed=0) is None
    assert stats.estimate([0.8, 0.8, 0.8]) == stats.Estimate(pytest.approx(0.8), 0.0, None, 3, 3)
    assert stats.mean_over_datasets(np.full((3, 2), 0.01), [0.1, 0.1]).p is None


def test_a_constant_difference_has_nothing_to_be_tested_against():
    result = stats.crossed(np.ones((3, 10)))
    assert result.p is None
    assert "no variance" in result.reason


@pytest.mark.parametrize("bad", [np.zeros(5), np.zeros((2, 3, 4))])
def test_a_difference_of_another_shape_is_an_error(bad):
    with pytest.raises(ValueError, match="expected \\(replicates, images\\)"):
        stats.crossed(bad)


def test_a_failed_replicate_passed_as_nan_is_an_error_not_a_nan():
    with pytest.raises(ValueError, match="leave failed replicates out"):
        stats.crossed([[0.0, np.nan], [1.0, 0.0]])


def test_pairing_keeps_the_replicates_that_both_arms_have():
    D = stats.paired({0: [1, 1], 2: [1, 0], 3: [0, 0]}, {3: [0, 1], 0: [0, 1], 1: [1, 1]})
    assert D.tolist() == [[1, 0], [0, -1]]
    nothing = stats.crossed(stats.paired({0: [1]}, {1: [1]}), planned=2)
    assert (nothing.effect, nothing.p, nothing.replicates, nothing.planned) == (None, None, 0, 2)
    assert nothing.reason == "no replicate that both arms have finished"


# ---- the crossed analysis: independent sources


def test_mean_squares_are_those_of_a_balanced_two_way_anova():
    pandas = pytest.importorskip("pandas")
    formula, anova = (pytest.importorskip(f"statsmodels.{m}") for m in ("formula.api", "stats.anova"))
    D = crossed_data(3, S=4, n=12)
    s, i = np.indices(D.shape)
    frame = pandas.DataFrame({"d": D.ravel(), "s": s.ravel(), "i": i.ravel()})
    table = anova.anova_lm(formula.ols("d ~ C(s) + C(i)", frame).fit())
    found = stats.crossed(D).mean_squares
    expected = table["mean_sq"][["C(s)", "C(i)", "Residual"]].to_numpy()
    np.testing.assert_allclose([found.replicate, found.image, found.residual], expected)


def test_variance_components_come_back_from_planted_ones():
    chance = np.random.default_rng(0)
    raw = []
    for _ in range(300):
        D = 0.1 * chance.normal(size=(6, 1)) + 0.3 * chance.normal(size=(1, 50)) + 0.5 * chance.normal(size=(6, 50))
        v = stats.crossed(D).raw_variances
        raw.append([v.replicate, v.image, v.residual])
    np.testing.assert_allclose(np.mean(raw, 0), [0.01, 0.09, 0.25], rtol=0.1)


def delong_variance(a, b, positive):
    """Variance of AUC(a) - AUC(b) from the kernel of DeLong et al. (1988), all pairs written out."""

    def components(x):
        wins = (x[positive][:, None] > x[~positive]) + 0.5 * (x[positive][:, None] == x[~positive])
        return wins.mean(1), wins.mean(0)

    (a10, a01), (b10, b01) = components(a), components(b)
    return (a10 - b10).var(ddof=1) / positive.sum() + (a01 - b01).var(ddof=1) / (~positive).sum()


@pytest.mark.parametrize("n", [60, 600])
def test_pseudo_values_over_images_have_the_standard_error_of_delong(n):
    (arm, labels), (baseline, _) = predictions(5, S=1, n=n, K=2), predictions(6, S=1, n=n, K=2, skill=2.0)
    D = (stats.pseudo_values("auc", arm, labels) - stats.pseudo_values("auc", baseline, labels))[0]
    jackknife = D.var(ddof=1) / n
    delong = delong_variance(arm[0, :, 1], baseline[0, :, 1], labels == 1)
    # exactly: the jackknife divides by n_k - 1 where DeLong divides by n_k, and n_k is n / 2 here
    assert jackknife == pytest.approx(delong * (n - 1) / n * (n / 2) / (n / 2 - 1), rel=1e-9)
    assert jackknife == pytest.approx(delong, rel=2 / n)


def test_delongs_variance_is_that_of_a_public_implementation():
    """The numbers are what github.com/yandexdataschool/roc_comparison (compare_auc_delong_xu.py, 8f60117) prints."""
    i = np.arange(60)
    labels = (i % 10 < 3).astype(int)  # 18 and 42, with ties among the scores
    one, other = np.round((i * 37 % 61) / 61 + 0.25 * labels, 1), np.round((i * 23 % 61) / 61 + 0.4 * labels, 1)
    theirs = 0.0059215169556731655 + 0.0035949565011189665 - 2 * 0.00031182301285464505
    assert delong_variance(one, other, labels == 1) == pytest.approx(theirs, rel=1e-12)
    ours = [stats.pseudo_values("auc", np.stack([1 - x, x], -1)[None], labels)[0] for x in (one, other)]
    assert [y.mean() for y in ours] == pytest.approx([0.6402116402116401, 0.7976190476190476])
    assert (ours[0] - ours[1]).var(ddof=1) / 60 == pytest.approx(theirs, rel=1 / 18)  # n_k - 1 for n_k, at the worst


def metric_of(name, p, labels):
    metrics = pytest.importorskip("sklearn.metrics")
    if name == "auc":
        K = p.shape[1]
        return np.mean([metrics.roc_auc_score(labels == k, p[:, k]) for k in ([1] if K == 2 else range(K))])
    score = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "macro_f1": lambda y, guess: metrics.f1_score(y, guess, average="macro"),
    }[name]
    return score(labels, p.argmax(1))


@pytest.mark.parametrize(("metric", "K"), list(product(METRICS, (2, 3))))
def test_pseudo_values_are_the_jackknife_done_the_slow_way(metric, K):
    p, labels = predictions(7, S=2, n=40, K=K)
    found = stats.pseudo_values(metric, p, labels)
    for row, probabilities in zip(found, p, strict=True):
        theta = metric_of(metric, probabilities, labels)
        without = [metric_of(metric, np.delete(probabilities, i, 0), np.delete(labels, i)) for i in range(40)]
        slow = 40 * theta - 39 * np.array(without)
        np.testing.assert_allclose(row, slow + theta - slow.mean(), atol=1e-9)
        assert row.mean() == pytest.approx(theta)


@pytest.mark.parametrize("metric", SHUFFLED)
def test_pseudo_values_go_with_their_images(metric):
    p, labels = predictions(8)
    order = np.random.default_rng(0).permutation(len(labels))
    np.testing.assert_allclose(
        stats.pseudo_values(metric, p[:, order], labels[order]), stats.pseudo_values(metric, p, labels)[:, order]
    )


@pytest.mark.parametrize("metric", SHUFFLED)
def test_a_class_with_one_image_leaves_the_metric_undefined_and_says_which(metric):
    p, _ = predictions(0, n=5)
    labels = np.array([0, 0, 1, 2, 2])
    result = stats.compare(metric, p, p, labels, planned=4)
    assert (result.effect, result.p, result.planned) == (None, None, 4)
    assert result.reason.endswith("class 1 has fewer")
    assert stats.compare("accuracy", p, p, labels).p == 1
    with pytest.raises(ValueError, match="class 1 has fewer"):
        stats.pseudo_values(metric, p, labels)


def test_predictions_that_are_not_finite_are_an_error():
    p, labels = predictions()
    p[0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        stats.pseudo_values("auc", p, labels)


def test_a_misspelt_metric_is_an_error_that_lists_the_metrics():
    p, labels = predictions()
    with pytest.raises(ValueError, match="'acuracy' is not a metric; expected one of"):
        stats.compare("acuracy", p, p, labels)


# ---- images that belong together


def sorted_into(groups, n=90, seed=0):
    """Labels (n,) of this many groups of different sizes, none empty, in no order."""
    chance = np.random.default_rng(seed)
    return chance.permutation(
        np.concatenate([np.arange(groups), chance.integers(0, groups, n - groups) ** 2 // groups])
    )


@pytest.mark.parametrize("metric", METRICS)
def test_groups_of_one_image_change_nothing(metric):
    (arm, labels), (baseline, _) = predictions(1), predictions(2)
    alone = stats.compare(metric, arm, baseline, labels)
    each = stats.compare(metric, arm, baseline, labels, groups=[f"patient {i}" for i in range(len(labels))])
    np.testing.assert_allclose(numbers(each), numbers(alone), rtol=1e-9)
    assert (alone.images, alone.groups, alone.units) == (90, None, 90)
    assert (each.images, each.groups, each.units) == (90, 90, 90)


@pytest.mark.parametrize("metric", METRICS)
def test_groups_leave_the_effect_and_their_names_and_order_do_not_matter(metric):
    (arm, labels), (baseline, _) = predictions(1), predictions(2)
    groups = sorted_into(20)
    found = stats.compare(metric, arm, baseline, labels, groups=groups)
    assert found.effect == pytest.approx(stats.compare(metric, arm, baseline, labels).effect)
    assert (found.images, found.groups) == (90, 20)
    order = np.random.default_rng(3).permutation(90)
    names = np.array([f"scan {37 * g % 101}" for g in groups])
    shuffled = stats.compare(metric, arm[:, order], baseline[:, order], labels[order], groups=names[order])
    np.testing.assert_allclose(numbers(shuffled), numbers(found), rtol=1e-9)


@pytest.mark.parametrize("metric", METRICS)
def test_every_image_twice_as_one_patient_tells_no_more_than_every_image_once(metric):
    (arm, labels), (baseline, _) = predictions(1), predictions(2)
    once = stats.compare(metric, arm, baseline, labels)
    arm, baseline, labels = np.repeat(arm, 2, 1), np.repeat(baseline, 2, 1), np.repeat(labels, 2)
    twice = stats.compare(metric, arm, baseline, labels, groups=np.arange(180) // 2)
    np.testing.assert_allclose(numbers(twice), numbers(once), rtol=1e-9)
    assert stats.compare(metric, arm, baseline, labels).se < twice.se


@pytest.mark.parametrize(("metric", "K"), list(product(METRICS, (2, 3))))
def test_pseudo_values_of_groups_are_the_jackknife_done_the_slow_way(metric, K):
    p, labels = predictions(7, S=2, n=60, K=K)
    groups = sorted_into(15, 60)
    found = stats.pseudo_values(metric, p, labels, groups)
    assert found.shape == (2, 15)
    for row, probabilities in zip(found, p, strict=True):
        theta = metric_of(metric, probabilities, labels)
        assert row.mean() == pytest.approx(theta)
        if metric == "accuracy":
            right = probabilities.argmax(1) == labels
            np.testing.assert_allclose(row, [right[groups == g].sum() * 15 / 60 for g in range(15)])
            continue
        without = [metric_of(metric, probabilities[groups != g], labels[groups != g]) for g in range(15)]
        slow = 15 * theta - 14 * np.array(without)
        np.testing.assert_allclose(row, slow + theta - slow.mean(), atol=1e-9)


def test_the_crossed_analysis_of_groups_is_that_of_their_sums():
    D, groups = crossed_data(S=4, n=90), sorted_into(20)
    sums = np.stack([D[:, groups == g].sum(1) for g in range(20)], 1) * 20 / 90
    found = stats.crossed(D, groups=groups)
    np.testing.assert_allclose(numbers(found), numbers(stats.crossed(sums)), rtol=1e-9)
    assert found == stats.crossed(stats.group_sums(D, groups), images=90)
    drawn = [stats.two_level_bootstrap(D, seed=1, groups=groups), stats.two_level_bootstrap(sums, seed=1)]
    assert drawn[0] == pytest.approx(drawn[1])
    ranges = [vars(stats.detectable_range(result)) for result in (found, stats.crossed(sums))]
    assert ranges[0] == pytest.approx(ranges[1])
    equivalent = [stats.equivalence_p(result, 0.1) for result in (found, stats.crossed(sums))]
    assert equivalent[0] == pytest.approx(equivalent[1], rel=1e-9)


def test_a_class_of_one_patient_leaves_the_metric_undefined_and_says_which():
    p, labels = predictions(0, n=9)
    groups = np.where(labels == 1, 0, np.arange(9) + 1)
    result = stats.compare("auc", p, p, labels, groups=groups)
    assert (result.effect, result.p, result.images, result.groups) == (None, None, 9, 7)
    assert "two groups" in result.reason
    assert result.reason.endswith("class 1 has fewer")
    with pytest.raises(ValueError, match="class 1 has fewer"):
        stats.pseudo_values("macro_f1", p, labels, groups)


# ---- folds: every image tested by the network that was trained without its fold


def cut(S=3, n=90, k=5, seed=0, groups=None):
    """Folds (S, n), a cut for each replicate: of whole groups, else of images in threes, one of each class."""
    chance = np.random.default_rng(seed)
    if groups is None:
        return np.stack([np.repeat(chance.permutation(np.arange(n // 3) % k), 3) for _ in range(S)])
    return np.stack([chance.permutation(np.arange(groups.max() + 1) % k)[groups] for _ in range(S)])


@pytest.mark.parametrize("metric", METRICS)
def test_a_single_fold_changes_nothing(metric):
    (arm, labels), (baseline, _) = predictions(1), predictions(2)
    without = stats.compare(metric, arm, baseline, labels)
    within = stats.compare(metric, arm, baseline, labels, folds=np.zeros((3, 90), int))
    np.testing.assert_allclose(numbers(within), numbers(without), rtol=1e-9)


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "macro_f1"])
def test_metrics_that_count_right_images_are_over_all_images_whatever_their_folds(metric):
    p, labels = predictions(1)
    found = stats.pseudo_values(metric, p, labels, folds=cut())
    np.testing.assert_array_equal(found, stats.pseudo_values(metric, p, labels))


@pytest.mark.parametrize(("K", "together"), list(product((2, 3), (False, True))))
def test_pseudo_values_of_folds_are_the_jackknife_of_the_mean_over_folds_done_the_slow_way(K, together):
    n = 60
    p, labels = predictions(7, S=2, n=n, K=K)
    groups = np.arange(n) // 4 if together else None
    folds = cut(2, n, 3, groups=groups)
    units = np.arange(n) if groups is None else groups

    def over_folds(s, kept):
        of = [kept & (folds[s] == f) for f in range(3)]
        return np.mean([metric_of("auc", p[s][here], labels[here]) for here in of])

    found = stats.pseudo_values("auc", p, labels, groups, folds)
    G = units.max() + 1
    assert found.shape == (2, G)
    for s, row in enumerate(found):
        theta = over_folds(s, np.full(n, True))
        assert row.mean() == pytest.approx(theta)
        slow = G * theta - (G - 1) * np.array([over_folds(s, units != g) for g in range(G)])
        np.testing.assert_allclose(row, slow + theta - slow.mean(), atol=1e-9)


def test_folds_change_with_neither_their_names_nor_the_order_of_images():
    (arm, labels), (baseline, _) = predictions(1), predictions(2)
    folds, groups = cut(groups=np.arange(90) // 3), np.arange(90) // 3
    found = stats.compare("auc", arm, baseline, labels, groups=groups, folds=folds)
    order = np.random.default_rng(3).permutation(90)
    turned = stats.compare(
        "auc", arm[:, order], baseline[:, order], labels[order], groups=groups[order], folds=(7 * folds + 3)[:, order]
    )
    np.testing.assert_allclose(numbers(turned), numbers(found), rtol=1e-9)
    assert (found.images, found.groups) == (90, 30)


def test_each_folds_network_may_have_a_scale_of_its_own():
    """The rank within a fold is all that AUC by fold sees; one AUC over all images pays for every shift."""
    p, labels = predictions(3, n=300, K=2)
    folds = cut(n=300)
    shift = np.linspace(0.5, 1.5, 5)[folds]
    moved = p[..., 1] * shift / 2
    shifted = np.stack([1 - moved, moved], -1)
    np.testing.assert_allclose(
        stats.pseudo_values("auc", shifted, labels, folds=folds), stats.pseudo_values("auc", p, labels, folds=folds)
    )
    assert (stats.pseudo_values("auc", shifted, labels).mean(1) < stats.pseudo_values("auc", p, labels).mean(1)).all()


def test_pooled_over_folds_auc_falls_below_a_half_where_nothing_can_be_learned_and_by_fold_it_does_not():
    """Of networks that know only how frequent classes are: fewer positives in a fold leave more to train on."""
    chance, pooled, by_fold = np.random.default_rng(0), [], []
    for _ in range(100):
        labels = chance.permutation(np.arange(60) % 2)
        folds = chance.permutation(np.arange(60) % 5)
        prior = np.array([labels[folds != f].mean() for f in range(5)])[folds]
        p = np.stack([1 - prior, prior], -1)[None] + 1e-6 * chance.normal(size=(1, 60, 2))
        pooled.append(stats.pseudo_values("auc", p, labels).mean())
        by_fold.append(stats.pseudo_values("auc", p, labels, folds=folds[None]).mean())
    assert np.mean(pooled) < 0.4
    assert abs(np.mean(by_fold) - 0.5) < 4 * np.std(by_fold) / 10


@given(seed=st.integers(0, 1000), S=st.integers(2, 6), n=st.integers(2, 30))
@settings(max_examples=50)
def test_of_folds_the_variance_between_images_counts_twice_and_nothing_else_moves(seed, S, n):
    D = crossed_data(seed, S, n)
    alone, within = stats.crossed(D), stats.crossed(D, folds=True)
    assert (within.effect, within.replicates, within.images) == (pytest.approx(alone.effect), S, n)
    assert within.variances.image == pytest.approx(2 * alone.variances.image, abs=1e-12)
    assert within.variances.replicate == pytest.approx(alone.variances.replicate, abs=1e-12)
    assert within.variances.residual == pytest.approx(alone.variances.residual)
    assert within.carried_by == pytest.approx(alone.carried_by)
    v = alone.raw_variances
    expected = v.replicate / S + (v.image + max(v.image, 0)) / n + v.residual / (S * n)
    assert within.se**2 == pytest.approx(max(expected, v.residual / (S * n)))


@pytest.mark.parametrize("S", [3, 10])
def test_of_folds_the_standard_error_is_that_of_images_that_act_on_one_another(S):
    """What j in training does to i, i in training does to j: the mean square of images alone sees half of it."""
    chance, n = np.random.default_rng(2), 60
    found = []
    for _ in range(2000):
        ties = np.triu(chance.normal(size=(n, n)), 1)
        by_image = (ties + ties.T).sum(1) / np.sqrt(n)
        D = by_image + chance.normal(size=(S, 1)) / 4 + chance.normal(size=(S, n))
        found.append((D.mean(), stats.crossed(D, folds=True).se ** 2, stats.crossed(D).se ** 2))
    effects, within, alone = np.array(found).T
    assert within.mean() == pytest.approx(effects.var(), rel=0.12)
    assert alone.mean() < 0.75 * effects.var()


def test_everything_that_compares_counts_the_images_of_folds_alike():
    (arm, labels), (baseline, _) = predictions(1), predictions(2)
    arm, baseline = ((p + 3 * p[:1]) / 4 for p in (arm, baseline))  # replicates that agree on images
    D = stats.pseudo_values("accuracy", arm, labels) - stats.pseudo_values("accuracy", baseline, labels)
    found = stats.compare("accuracy", arm, baseline, labels, folds=cut())
    assert found == stats.crossed(D, folds=True)
    runs = {"arm": dict(enumerate(D)), "baseline": dict(enumerate(np.zeros_like(D)))}
    [p] = stats.best_arms(runs, folds=True).p.values()
    assert p == pytest.approx(found.p_family)
    assert p > stats.crossed(D).p_family
    drawn, plain = stats.two_level_bootstrap(D, seed=1, folds=True), stats.two_level_bootstrap(D, seed=1)
    assert drawn[1] - drawn[0] > plain[1] - plain[0]


def test_a_fold_without_two_images_of_a_class_leaves_auc_undefined_and_says_which():
    p, labels = predictions(0)
    folds = cut()
    folds[1] = np.where(labels == 2, 0, folds[1])
    result = stats.compare("auc", p, p, labels, folds=folds)
    assert result.effect is None
    assert result.reason == "auc needs two test images of every class in every fold; class 2 has fewer in some fold"
    with pytest.raises(ValueError, match="class 2 has fewer in some fold"):
        stats.pseudo_values("auc", p, labels, folds=folds)
    assert stats.compare("balanced_accuracy", p, p, labels, folds=folds).p == 1


@pytest.mark.parametrize("metric", METRICS)
def test_a_group_in_two_folds_is_an_error(metric):
    p, labels = predictions(0)
    with pytest.raises(ValueError, match="a group has images in two folds of replicate 0"):
        stats.pseudo_values(metric, p, labels, np.arange(90) // 10, cut())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("shape", [(90,), (2, 90), (3, 89)])
def test_folds_that_are_not_one_for_each_replicate_and_image_are_an_error(metric, shape):
    p, labels = predictions(0)
    with pytest.raises(ValueError, match="folds have shape"):
        stats.pseudo_values(metric, p, labels, folds=np.zeros(shape, int))


@pytest.mark.parametrize(
    "say", [lambda g: stats.crossed(np.zeros((2, 5)), groups=g), lambda g: stats.group_sums(np.ones((2, 5)), g)]
)
def test_groups_that_are_not_one_label_an_image_are_an_error(say):
    with pytest.raises(ValueError, match="one label for each of 5 images"):
        say([0, 0, 1])


# ---- two replicates


@given(seed=st.integers(0, 1000), n=st.integers(2, 200))
@settings(max_examples=30)
def test_with_two_replicates_p_is_the_guarded_one_and_the_interval_agrees_with_it(seed, n):
    result = stats.crossed(crossed_data(seed, 2, n))
    assert result.p == result.p_family
    half = (result.high - result.low) / 2
    there = stats.crossed(crossed_data(seed, 2, n) - result.effect + half)
    assert there.p == pytest.approx(0.05, rel=1e-4)


def test_the_half_width_of_the_guarded_interval_is_where_its_p_is_the_level():
    for S, n, level in product((2, 3, 10), (12, 7180), (0.05, 0.05 / 11)):
        for mean_squares in ((0.1, 0.1, 0.1), (2, 0.1, 0.08), (0.001, 0.3, 0.1), (0.0, 0.3, 0.0)):
            half = stats.family_half_width(*mean_squares, S, n, level)
            assert float(stats.family_p(half, *mean_squares, S, n)) == pytest.approx(level, rel=1e-5)


# ---- runs that share nothing


def two_sides(seed=0, S=3, T=4, n=60, effect=0.0, sds=(0.2, 0.1)):
    """Values (S, n) and (T, n) of the same images, by runs that share nothing."""
    chance = np.random.default_rng(seed)
    images = chance.normal(size=n)
    of = [
        images + 0.3 * chance.normal(size=n) + sd * chance.normal(size=(runs, 1)) + 0.5 * chance.normal(size=(runs, n))
        for runs, sd in zip((S, T), sds, strict=True)
    ]
    return of[0] + effect, of[1]


@given(seed=st.integers(0, 1000), S=st.integers(2, 5), T=st.integers(2, 5), n=st.integers(2, 40))
@settings(max_examples=30)
def test_the_order_of_runs_that_share_nothing_changes_no_bit_and_the_order_of_sides_only_the_sign(seed, S, T, n):
    A, B = two_sides(seed, S, T, n, effect=0.2)
    found, chance = stats.unpaired(A, B), np.random.default_rng(seed)
    for _ in range(3):
        assert repr(stats.unpaired(chance.permutation(A), chance.permutation(B))) == repr(found)
    turned = stats.unpaired(B, A)
    assert turned.effect == pytest.approx(-found.effect)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low))
    assert (turned.se, turned.df, turned.p, turned.p_family, turned.carried_by) == pytest.approx(
        (found.se, found.df, found.p, found.p_family, found.carried_by)
    )


@given(seed=st.integers(0, 1000), S=st.integers(2, 5), T=st.integers(2, 5), n=st.integers(3, 40))
@example(seed=95, S=3, T=5, n=3)  # averaged over both variances p would be half of that of the test
@settings(max_examples=30)
def test_of_runs_that_share_nothing_p_and_interval_agree_and_the_family_p_is_never_smaller(seed, S, T, n):
    found = stats.unpaired(*two_sides(seed, S, T, n, effect=0.4))
    assert (found.p < 0.05) == (found.low > 0 or found.high < 0)
    assert 0 <= found.p <= found.p_family <= 1
    assert found.effect == pytest.approx((found.low + found.high) / 2)
    assert found.p == found.p_family or min(S, T) > 2


def test_the_standard_error_of_runs_that_share_nothing_is_that_of_the_difference():
    """On average, of sides that vary unlike and have other numbers of runs; a pair of runs would see neither."""
    found = []
    for seed in range(2000):
        result = stats.unpaired(*two_sides(seed, 3, 6, 25, sds=(0.4, 0.1)))
        found.append((result.effect, result.se**2))
    effects, squares = np.array(found).T
    truth = 0.4**2 / 3 + 0.1**2 / 6 + 2 * 0.3**2 / 25 + 0.5**2 / (3 * 25) + 0.5**2 / (6 * 25)
    assert squares.mean() == pytest.approx(truth, rel=0.05)
    assert effects.var() == pytest.approx(truth, rel=0.1)


def test_mean_squares_of_all_pairings_are_on_average_those_of_runs_that_share_nothing():
    """The mean of MS_replicate over the pairings of as many runs is the sum of the two sides' own."""
    A, B = two_sides(5, 3, 3)
    parts = stats.unpaired_parts(A, B)
    over = [stats.mean_squares(A - B[list(order)]) for order in permutations(range(3))]
    assert np.mean([of[1] for of in over]) / A.size == pytest.approx(sum(parts.runs))
    assert np.mean([of[3] for of in over]) / A.size == pytest.approx(sum(parts.residual))
    assert [of[2] / A.size for of in over] == pytest.approx([float(parts.image)] * 6)


def test_without_variance_between_images_runs_that_share_nothing_are_welchs_t_test():
    chance = np.random.default_rng(2)
    runs = chance.normal(0.1, 0.2, 4), chance.normal(0, 0.5, 7)
    found = stats.unpaired(*(np.repeat(of[:, None], 3, axis=1) for of in runs))
    welch = scipy_stats.ttest_ind(*runs, equal_var=False)
    assert (found.effect, found.t, found.df, found.p) == pytest.approx(
        (runs[0].mean() - runs[1].mean(), welch.statistic, welch.df, welch.pvalue)
    )
    interval = welch.confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((interval.low, interval.high))


def test_runs_that_agree_leave_the_paired_t_test_over_images():
    a, b = np.random.default_rng(3).normal(size=(2, 30))
    found = stats.unpaired(np.stack([a] * 3), np.stack([b] * 4))
    paired = scipy_stats.ttest_rel(a, b)
    assert (found.t, found.df, found.p, found.p_family) == pytest.approx((paired.statistic, 29, *[paired.pvalue] * 2))


def test_the_guarded_p_of_runs_that_share_nothing_is_students_over_what_both_variances_may_be():
    """By drawing both chi-squared variables."""
    A, B = two_sides(7, 3, 5, effect=0.3)
    parts, n = stats.unpaired_parts(A, B), A.shape[1]
    chance = np.random.default_rng(1)
    runs = sum(
        (len(of) - 1) * run / chance.chisquare(len(of) - 1, 400_000) for of, run in zip((A, B), parts.runs, strict=True)
    )
    floor = sum(parts.residual)
    se = np.sqrt(np.maximum(runs + parts.image - floor, floor))
    slow = (2 * scipy_stats.t.sf(0.3 / se, n - 1)).mean()
    assert float(parts.family_p(0.3)) == pytest.approx(slow, rel=0.01)
    half = parts.family_half_width(0.05)
    assert float(parts.family_p(half)) == pytest.approx(0.05, rel=1e-5)


def test_equivalence_of_runs_that_share_nothing_is_two_one_sided_tests_at_the_margins():
    A, B = two_sides(4, 3, 5, effect=0.05)

    def one_sided(shift, direction):
        found = stats.unpaired(A + shift, B)
        return found.p_family / 2 if found.effect * direction > 0 else 1 - found.p_family / 2

    for margin in (0.05, 0.3, 1.0):
        slow = max(one_sided(margin, 1), one_sided(-margin, -1))
        assert stats.equivalence_p(stats.unpaired(A, B), margin) == pytest.approx(slow, rel=1e-6)


def test_one_run_no_run_and_no_variance_of_either_side_make_no_test():
    A, B = two_sides()
    for of in ((A[:1], B), (A, B[:1])):
        found = stats.unpaired(*of)
        assert (found.p, found.low) == (None, None)
        assert found.effect == pytest.approx(of[0].mean() - of[1].mean())
        assert found.reason.startswith("one run")
    for of in ((A, np.empty((0, 0))), (np.empty((0, 0)), B)):
        assert stats.unpaired(*of).reason == "one of the two has no run that can be compared"
    assert stats.unpaired(A[:, :1], B[:, :1]).reason.startswith("one test image")
    same = stats.unpaired(np.stack([A[0]] * 3), np.stack([A[0]] * 2))
    assert (same.effect, same.p, same.se) == (0, 1, None)
    shifted = stats.unpaired(np.ones((3, 9)), np.zeros((2, 9)))
    assert (shifted.effect, shifted.p, shifted.se) == (1, None, None)
    with pytest.raises(ValueError, match="expected"):
        stats.unpaired(A, B[:, 1:])
    with pytest.raises(ValueError, match="not finite"):
        stats.unpaired(A, np.full_like(B, np.nan))
    assert stats.unpaired(A, B, images=90, planned=5).images == 90


# ---- corrections and verdicts


@pytest.mark.parametrize(("ours", "theirs"), [(stats.holm, "holm"), (stats.benjamini_hochberg, "fdr_bh")])
@given(p=st.lists(st.floats(0, 1), min_size=1, max_size=12))
@settings(max_examples=40)
def test_corrections_agree_with_statsmodels(ours, theirs, p):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    np.testing.assert_allclose(ours(p), multitest.multipletests(p, method=theirs)[1], atol=1e-12)


def test_holm_counts_what_was_declared_and_benjamini_hochberg_what_was_tested():
    assert stats.holm([None, 0.01, None, 0.04]) == [None, 0.01 * 4, None, pytest.approx(0.04 * 3)]
    assert stats.benjamini_hochberg([None, 0.01, None, 0.04]) == [None, 0.02, None, 0.04]


@given(p=st.lists(st.floats(0, 1) | st.sampled_from([0.0, 0.01, 0.04, 1.0]), max_size=30))
def test_benjamini_hochberg_is_scipys_to_the_bit(p):
    from scipy.stats import false_discovery_control

    assert stats.benjamini_hochberg(p) == (false_discovery_control(p).tolist() if p else [])


@given(p=st.lists(st.floats(0, 1), min_size=2, max_size=12), left=st.data())
@settings(max_examples=40)
def test_a_claim_does_not_weaken_when_missing_arms_arrive(p, left):
    missing = left.draw(st.sets(st.integers(0, len(p) - 1)))
    before = stats.holm([None if i in missing else value for i, value in enumerate(p)])
    after = stats.holm(p)
    assert all(b is None or b >= a - 1e-12 for a, b in zip(after, before, strict=True))


@pytest.mark.parametrize("correct", [stats.holm, stats.benjamini_hochberg])
def test_untested_cells_keep_their_place(correct):
    assert [value is None for value in correct([None, 0.01, None, 0.04])] == [True, False, True, False]
    assert correct([None, None]) == [None, None]
    assert correct([]) == []
    with pytest.raises(ValueError, match="must lie in"):
        correct([0.2, 1.2])


def test_verdicts_follow_sign_and_corrected_p():
    assert stats.verdict(0.02, 0.01) == "better"
    assert stats.verdict(-0.02, 0.01) == "worse"
    assert stats.verdict(0.02, 0.06) == "not distinguishable"
    assert stats.verdict(0.02, None) == stats.verdict(None, None) == "not tested"


def test_what_is_shown_to_be_within_the_margin_is_equivalent_whether_or_not_it_differs():
    assert stats.verdict(0.002, 0.6, equivalent=0.04) == stats.verdict(0.002, 0.01, equivalent=0.04) == "equivalent"
    assert stats.verdict(0.002, 0.01, equivalent=0.06) == "better"
    assert stats.verdict(0.002, 0.6, equivalent=None) == "not distinguishable"
    assert stats.verdict(0.0, None, equivalent=None) == "not tested"


# ---- equivalence


@pytest.mark.parametrize("margin", [0.01, 0.05, 0.2])
def test_of_one_value_a_group_equivalence_is_statsmodels_tost_of_pairs(margin):
    """Replicates that agree exactly leave Student's t over images, as statsmodels has it."""
    weightstats = pytest.importorskip("statsmodels.stats.weightstats")
    chance = np.random.default_rng(5)
    arm, base = chance.normal(0.01, 0.1, 40), chance.normal(0, 0.1, 40)
    theirs, *_ = weightstats.ttost_paired(arm, base, -margin, margin)
    ours = stats.equivalence_p(stats.crossed(np.stack([arm - base] * 5)), margin)
    assert ours == pytest.approx(theirs, rel=1e-6)


@given(seed=st.integers(0, 1000), S=st.integers(2, 10), n=st.integers(5, 200), margin=st.floats(0.001, 0.5))
@settings(max_examples=30)
def test_equivalence_is_the_larger_of_two_one_sided_tests_at_the_margins(seed, S, n, margin):
    """Each is half the guarded two-sided p of the differences less -margin or +margin, or the rest of it."""
    D = crossed_data(seed, S, n)

    def one_sided(shifted, direction):
        found = stats.crossed(shifted)
        return found.p_family / 2 if found.effect * direction > 0 else 1 - found.p_family / 2

    slow = max(one_sided(D + margin, 1), one_sided(D - margin, -1))
    assert stats.equivalence_p(stats.crossed(D), margin) == pytest.approx(slow, rel=1e-6)


@given(seed=st.integers(0, 1000), S=st.integers(2, 6))
@settings(max_examples=20)
def test_a_wider_margin_never_makes_equivalence_less_likely_and_signs_do_not_matter(seed, S):
    D = crossed_data(seed, S, 60)
    p = [stats.equivalence_p(stats.crossed(D), margin) for margin in (0.01, 0.03, 0.1, 0.3)]
    assert p == sorted(p, reverse=True)
    assert p == pytest.approx([stats.equivalence_p(stats.crossed(-D), m) for m in (0.01, 0.03, 0.1, 0.3)])


def test_what_was_shown_by_no_variance_is_not_called_equivalent():
    for D in (np.zeros((3, 20)), np.full((3, 20), 0.01), np.ones((1, 20)), np.empty((0, 0))):
        assert stats.equivalence_p(stats.crossed(D), 0.5) is None
    with pytest.raises(ValueError, match="above 0"):
        stats.equivalence_p(stats.crossed(np.eye(4)), 0.0)


def runs(level, seed, S=5, n=400):
    chance = np.random.default_rng(seed)
    return {s: (chance.random(n) < level).astype(float) for s in range(S)}


def test_the_best_arm_is_shared_by_those_it_cannot_be_told_from():
    arms = {"poor": runs(0.5, 1), "good": runs(0.9, 2), "also good": runs(0.9, 3), "single": {0: runs(0.6, 4)[0]}}
    found = stats.best_arms(arms)
    assert {found.best, *found.not_distinguishable} == {"good", "also good"}
    assert found.untested == ("single",)
    assert found.p["poor"] < 0.05
    assert found.p["single"] is None


def test_the_first_place_is_shared_by_those_whose_p_corrected_over_all_pairs_is_above_the_level():
    """Against statsmodels' Holm over all six pairs; one p lies between 5 and 50 %, so that the level decides."""
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    arms = {"best": runs(0.90, 0), "near": runs(0.872, 1), "far": runs(0.80, 2), "poor": runs(0.5, 3)}
    pairs = list(combinations(arms, 2))
    p = [stats.crossed(stats.paired(arms[a], arms[b])).p_family for a, b in pairs]
    corrected = dict(zip(pairs, multitest.multipletests(p, method="holm")[1], strict=True))
    found = stats.best_arms(arms)
    assert found.best == "best"
    assert found.p == pytest.approx({name: corrected["best", name] for name in ("near", "far", "poor")})
    assert 0.05 < found.p["near"] < 0.5
    assert found.not_distinguishable == ("near",)
    assert stats.best_arms(arms, alpha=0.5).not_distinguishable == ()


def test_the_best_arm_does_not_depend_on_the_order_of_the_arms():
    arms = {name: runs(0.8, seed) for seed, name in enumerate("abcd")}
    one, other = stats.best_arms(arms), stats.best_arms(dict(reversed(arms.items())))
    assert one.best == other.best
    assert set(one.not_distinguishable) == set(other.not_distinguishable)
    assert one.p == other.p


# ---- what a design can show


@pytest.mark.parametrize("tests", [1, 9])
def test_the_detectable_difference_is_detected_with_the_power_it_names(tests):
    v = stats.Components(1e-4, 2e-3, 0.08)
    for S, n, power in product((2, 3, 5, 10), (156, 7180), (0.5, 0.8, 0.95)):
        found = stats.detectable_difference(v, S, n, power=power, tests=tests)
        assert float(stats.power_to_detect(found, v, S, n, tests=tests)) == pytest.approx(power, abs=1e-6)


@pytest.mark.parametrize(("S", "tests"), list(product((3, 5, 10), (1, 9))))
def test_power_is_what_the_test_has_when_its_model_holds(S, tests):
    v, n, chance = stats.Components(2e-4, 2e-3, 0.08), 200, np.random.default_rng(S)
    gain = stats.detectable_difference(v, S, n, power=0.7, tests=tests)
    found = []
    for _ in range(300):
        rows, columns = np.sqrt(v.replicate) * chance.normal(size=(S, 1)), np.sqrt(v.image) * chance.normal(size=n)
        result = stats.crossed(gain + rows + columns + np.sqrt(v.residual) * chance.normal(size=(S, n)))
        found.append((result.p if tests == 1 else result.p_family) <= 0.05 / tests)
    assert near(np.mean(found), 0.7, 300)


def test_power_at_no_difference_is_the_level_and_it_never_falls():
    v = stats.Components(1e-4, 2e-3, 0.08)
    power = stats.power_to_detect(np.linspace(0, 0.5, 200), v, 3, 7180)
    assert power[0] == pytest.approx(0.05, abs=0.02)
    assert (np.diff(power) >= -1e-9).all()
    assert np.isfinite(power).all()


@pytest.mark.parametrize("tests", [1, 11])
def test_more_replicates_detect_less_down_to_the_floor_of_the_images(tests):
    v = stats.Components(2e-4, 5e-3, 0.1)
    found = [stats.detectable_difference(v, S, 624, tests=tests) for S in range(2, 40)]
    assert (np.diff(found) < 0).all()
    floor = stats.image_floor(v, 624, tests=tests)
    assert stats.detectable_difference(v, 10**6, 624, tests=tests) == pytest.approx(floor, rel=1e-3)
    few = stats.image_floor(v, 40, tests=tests)  # so few that n and n - 1 images are told apart
    assert stats.detectable_difference(v, 10**7, 40, tests=tests) == pytest.approx(few, rel=2e-3)
    assert stats.replicates_needed(floor * 0.999, v, 624, tests=tests) is None


def test_what_can_be_detected_grows_with_the_tests_and_the_power_and_with_a_stricter_level():
    v, strict = stats.Components(2e-4, 5e-3, 0.1), [{"tests": 2}, {"tests": 11}, {"power": 0.9}, {"alpha": 0.01}]
    measures = [
        lambda **how: stats.detectable_difference(v, 5, 624, **how),
        lambda **how: stats.image_floor(v, 624, **how),
        lambda **how: stats.replicates_needed(0.04, v, 624, **how),
        lambda **how: -float(stats.power_to_detect(0.04, v, 5, 624, **how)),
    ]
    for measure in measures:
        for how in strict:
            if "power" in how and measure is measures[3]:
                continue
            assert measure(**how) > measure(), how


def test_an_outlook_is_of_as_many_tests_and_of_the_power_that_are_asked_for():
    result, how = stats.crossed(crossed_data(S=4, n=200)), {"power": 0.9, "alpha": 0.02, "tests": 5}
    found, limits = stats.outlook(result, difference=0.2, **how), stats.variance_limits(result)
    for S, both in ((4, found.detectable), (5, found.with_one_more)):
        one_by_one = [stats.detectable_difference(v, S, 200, **how) for v in limits]
        assert [both.low, both.high] == pytest.approx(one_by_one, rel=1e-9)
    assert found.floor == stats.Range(*(stats.image_floor(v, 200, **how) for v in limits))
    assert (found.fewest, found.most) == tuple(stats.replicates_needed(0.2, v, 200, **how) for v in limits)
    assert found.difference == 0.2


@given(difference=st.floats(0.01, 0.3), replicate=st.floats(0, 1e-3), residual=st.floats(1e-3, 0.2))
@settings(max_examples=40)
def test_the_replicates_needed_are_the_fewest_that_do(difference, replicate, residual):
    v = stats.Components(replicate, 1e-4, residual)
    needed = stats.replicates_needed(difference, v, 200)
    assert stats.detectable_difference(v, needed, 200) <= difference
    assert needed == 2 or stats.detectable_difference(v, needed - 1, 200) > difference


def test_the_outlook_of_a_cell_follows_from_the_limits_of_its_variances():
    result = stats.crossed(crossed_data(S=5, n=200))
    found = stats.outlook(result, difference=0.1)
    limits = stats.variance_limits(result)
    assert found.detectable == stats.detectable_range(result)
    assert found.detectable == stats.Range(*(stats.detectable_difference(v, 5, 200) for v in limits))
    assert found.detectable.low < stats.detectable_difference(result.variances, 5, 200) < found.detectable.high
    for end in ("low", "high"):
        assert getattr(found.floor, end) < getattr(found.with_one_more, end) < getattr(found.detectable, end)
    assert (found.fewest, found.most) == tuple(stats.replicates_needed(0.1, v, 200) for v in limits)
    assert stats.outlook(stats.crossed(np.zeros((1, 9)))) is None


@given(seed=st.integers(0, 1000), factor=st.floats(1e-6, 1e3))
@settings(max_examples=20)
def test_limits_of_variances_are_in_the_square_of_the_differences_unit(seed, factor):
    D = crossed_data(seed, 4, 50)
    plain, scaled = (stats.variance_limits(stats.crossed(found)) for found in (D, factor * D))
    for one, other in zip(plain, scaled, strict=True):
        assert vars(other) == pytest.approx({name: factor**2 * value for name, value in vars(one).items()}, rel=1e-6)


@pytest.mark.parametrize(("S", "tests"), [(2, 1), (2, 11), (3, 2), (5, 11)])
def test_a_significant_effect_is_what_both_the_plain_test_and_the_guard_for_families_reject(S, tests):
    """The guard is computed at few mean squares and joined smoothly; here at all of them."""
    for v in (stats.Components(1e-4, 2e-3, 0.08), stats.Components(0.0, 0.1, 0.01)):
        (found,), (sd,) = planning._critical([v], S, 156, 0.05, tests)
        values, *_ = planning._quantiles(S - 1)
        middle = scipy_stats.chi2.ppf((np.arange(64) + 0.5) / 64, S - 1) / (S - 1)
        np.testing.assert_allclose(values[::-1], middle, rtol=1e-9, err_msg="equally likely values")
        assert sd**2 == pytest.approx(v.replicate / S + v.image / 156 + v.residual / (156 * S))
        squares = (156 * v.replicate + v.residual) * values
        image, level = S * v.image + v.residual, 0.05 / tests
        se, df = standard_error(squares, image, v.residual, S, 156)
        plain = scipy_stats.t.isf(level / 2, df) * se
        guard = family_half_width(squares, image, v.residual, S, 156, level)
        np.testing.assert_allclose(found, np.maximum(plain, guard), rtol=0.03)


@pytest.mark.parametrize("S", [2, 3, 5, 10])
def test_the_limits_of_the_variances_hold_the_truth_as_often_as_they_say(S):
    chance, n, truth = np.random.default_rng(S), 80, 0.01
    below, above = [], []
    for _ in range(400):
        D = np.sqrt(truth) * chance.normal(size=(S, 1)) + 0.3 * chance.normal(size=(1, n))
        low, high = stats.variance_limits(stats.crossed(D + 0.4 * chance.normal(size=(S, n))))
        below.append((low.replicate <= truth, low.image <= 0.09))
        above.append((high.replicate >= truth, high.image >= 0.09))
    for share in (*np.mean(below, axis=0), *np.mean(above, axis=0)):
        assert near(share, 0.9, 400)


# ---- replicates


def test_an_estimate_has_students_interval():
    found = stats.estimate([0.70, 0.72, 0.74], planned=5)
    assert (found.mean, found.sd, found.half_width) == pytest.approx((0.72, 0.02, 0.0497), abs=5e-5)
    assert (found.n, found.planned) == (3, 5)
    assert stats.estimate([-0.0131] * 6 + [-0.0131 - 1e-17]).sd == 0  # rounding is no spread
    assert stats.estimate([0.7]) == stats.Estimate(0.7, None, None, 1, 1)
    assert stats.estimate([], planned=2) == stats.Estimate(None, None, None, 0, 2)


def test_the_two_level_bootstrap_has_the_spread_that_theory_gives_it():
    S, n = 6, 300
    D = crossed_data(4, S, n)
    _, replicate, image, residual = stats.mean_squares(D)
    # resampling k things shrinks their variance by (k - 1) / k; the residual enters thrice
    rows, columns = replicate * (S - 1) / S, image * (n - 1) / n
    both = residual * (S - 1) * (n - 1) / (S * n)
    spread = np.sqrt((rows + columns + both) / (S * n))
    low, high = stats.two_level_bootstrap(D, seed=1, draws=8000)
    assert (high - low) / (2 * 1.96 * spread) == pytest.approx(1, abs=0.06)
    assert (high + low) / 2 == pytest.approx(D.mean(), abs=0.1 * spread)
    assert stats.two_level_bootstrap(D, seed=1) == stats.two_level_bootstrap(D, seed=1)
    assert stats.two_level_bootstrap(D[:1], seed=1) is None


@pytest.mark.parametrize("at_once", [1, 10**4, 10**9])
def test_how_many_draws_fit_into_memory_at_once_changes_no_bootstrap(at_once, monkeypatch):
    D = np.random.default_rng(0).normal(size=(3, 50))
    expected = stats.two_level_bootstrap(D, seed=1, draws=500)
    monkeypatch.setattr("medaug_keras.stats.replicates._DRAWN_AT_ONCE", at_once)
    assert stats.two_level_bootstrap(D, seed=1, draws=500) == pytest.approx(expected)


def test_an_arm_and_a_baseline_of_different_shapes_are_refused():
    labels = np.arange(10) % 2
    one, two = np.full((1, 10, 2), 0.5), np.full((2, 10, 2), 0.5)
    with pytest.raises(ValueError, match=r"arm has shape \(1, 10, 2\), baseline \(2, 10, 2\); expected the same"):
        stats.compare("accuracy", one, two, labels)


def test_the_chance_to_beat_counts_all_pairs_and_halves_ties():
    assert stats.chance_to_beat([0.9, 0.8], [0.8, 0.7]) == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert stats.chance_to_beat([0.9], [0.9, 0.9, 0.9]) == 0.5
    assert stats.chance_to_beat([], [0.9]) is None


@given(a=st.lists(st.sampled_from([0.1, 0.2, 0.3]), min_size=1), b=st.lists(st.sampled_from([0.1, 0.2]), min_size=1))
@settings(max_examples=30)
def test_the_chances_to_beat_each_other_add_up_to_one(a, b):
    assert stats.chance_to_beat(a, b) + stats.chance_to_beat(b, a) == pytest.approx(1)


def test_selection_on_the_test_set_is_never_worse_on_the_test_set():
    validation = [[0.80, 0.82], [0.78, 0.79], [np.nan, np.nan]]
    test = [[0.70, 0.72], [0.75, 0.71], [np.nan, np.nan]]
    found = stats.selection(validation, test)
    assert (found.by_validation, found.by_test) == (0, 1)
    assert (found.validation_choice, found.test_choice) == pytest.approx((0.71, 0.73))
    assert found.optimism == pytest.approx(0.02)
    # replicate 0 picks arm 1 (0.75, elsewhere 0.71); replicate 1 picks arm 0 (0.72, elsewhere 0.70)
    assert (found.single_run.mean, found.single_run.n) == (pytest.approx((0.04 + 0.02) / 2), 2)
    assert stats.selection([[0.8]], [[0.7]]).single_run.mean is None
    assert stats.selection([[np.nan]], [[0.7]]) is None
    with pytest.raises(ValueError, match=r"validation \(1, 2\) and test \(1, 1\); expected the same"):
        stats.selection([[0.8, 0.8]], [[0.7]])


def test_runs_that_failed_and_arms_without_any_do_not_count_in_a_selection():
    validation, test = np.random.default_rng(3).uniform(0.2, 0.9, (2, 5, 4))
    validation[1, 2] = test[3, 0] = np.nan
    validation[4] = np.nan
    there = np.isfinite(validation) & np.isfinite(test)
    means = [np.where(there, values, np.nan)[:4] for values in (validation, test)]
    by_validation, by_test = (np.nanmean(values, axis=1) for values in means)
    with np.errstate(all="raise"):
        found = stats.selection(validation, test)
    assert (found.by_validation, found.by_test) == (by_validation.argmax(), by_test.argmax())
    assert found.test_choice == pytest.approx(by_test.max())
    assert found.validation_choice == pytest.approx(by_test[by_validation.argmax()])


def test_choosing_among_equal_arms_by_one_run_pretends_the_expected_maximum():
    chance = np.random.default_rng(0)
    found = [stats.selection(*chance.normal(0.8, 0.01, size=(2, 10, 3))).single_run.mean for _ in range(2000)]
    assert np.mean(found) == pytest.approx(0.01 * 1.5388, rel=0.03)  # expected maximum of 10 normals


# ---- across data sets

EFFECTS, ERRORS = [0.02, -0.01, 0.05, 0.03, 0.00, 0.08], [0.01, 0.012, 0.02, 0.008, 0.01, 0.03]


def over_datasets(effects=EFFECTS, S=4, seed=0, sd=0.01):
    """Differences (S, m) of replicates whose means over replicates are these effects."""
    noise = sd * np.random.default_rng(seed).normal(size=(S, len(effects)))
    return np.array(effects) + noise - noise.mean(0)


def test_the_mean_over_data_sets_is_the_crossed_analysis_with_data_sets_for_images():
    Y = over_datasets()
    found, theirs = stats.mean_over_datasets(Y, ERRORS), stats.crossed(Y)
    assert (found.effect, found.se, found.low, found.high) == (theirs.effect, theirs.se, theirs.low, theirs.high)
    assert (found.p, found.replicates, found.datasets) == (theirs.p_family, 4, 6)
    assert found.effect == pytest.approx(np.mean(EFFECTS))
    assert found.tau**2 == pytest.approx(np.var(EFFECTS, ddof=1) - np.mean(np.square(ERRORS)))


def test_replicates_that_agree_on_every_data_set_leave_students_t_over_data_sets():
    found, t = stats.mean_over_datasets([EFFECTS] * 3, ERRORS), scipy_stats.ttest_1samp(EFFECTS, 0)
    assert found.p == pytest.approx(t.pvalue)


def test_the_mean_over_data_sets_that_all_move_with_the_replicate_is_as_unsure_as_its_replicates():
    runs = np.array([0.01, 0.05, 0.02, 0.09])
    Y = runs[:, None] + 1e-9 * np.random.default_rng(0).normal(size=(4, 6))
    assert stats.mean_over_datasets(Y, [0.01] * 6).p >= scipy_stats.ttest_1samp(runs, 0).pvalue


def test_standard_errors_describe_the_mean_over_data_sets_and_do_not_weigh_it():
    known, unknown = (stats.mean_over_datasets(over_datasets(), errors) for errors in (ERRORS, [None] * 6))
    assert (known.effect, known.p, known.low) == (unknown.effect, unknown.p, unknown.low)
    assert (unknown.tau, unknown.prediction_low) == (None, None)
    assert stats.mean_over_datasets(over_datasets([0.0, 0.05]), [0.1, 0.1]).prediction_low is None


@pytest.mark.parametrize("effects", [EFFECTS, [0.02, 0.021, 0.02, 0.019]], ids=["spread", "no spread"])
def test_one_more_data_set_is_predicted_with_the_spread_between_them_and_the_error_of_the_mean(effects):
    """Higgins, Thompson & Spiegelhalter 2009: mean +- t_{m-2} sqrt(tau^2 + SE^2), also where tau is 0."""
    found = stats.mean_over_datasets(over_datasets(effects), [0.01] * len(effects))
    half = scipy_stats.t.ppf(0.975, len(effects) - 2) * np.hypot(found.tau, found.se)
    assert (found.prediction_low, found.prediction_high) == pytest.approx((found.effect - half, found.effect + half))


@pytest.mark.parametrize(
    ("differences", "reason"),
    [
        (np.zeros((3, 1)), "1 data set: nothing"),
        (np.zeros((0, 0)), "0 data sets"),
        (np.zeros((3, 2)), "no variance"),
        (np.ones((3, 2)), "no variance"),
        (np.ones((1, 2)), "no two replicates in common"),
    ],
)
def test_a_mean_over_data_sets_that_cannot_be_says_why(differences, reason):
    found = stats.mean_over_datasets(differences, [0.1] * differences.shape[1], planned=8)
    assert (found.effect, found.p, found.planned) == (None, None, 8)
    assert reason in found.reason


DEMSAR_Q = {2: 1.960, 3: 2.343, 4: 2.569, 5: 2.728, 6: 2.850, 7: 2.949, 8: 3.031, 9: 3.102, 10: 3.164}


@pytest.mark.parametrize("k", DEMSAR_Q)
def test_critical_differences_are_demsars(k):
    for m in (5, 14):
        expected = DEMSAR_Q[k] * np.sqrt(k * (k + 1) / (6 * m))
        assert stats.critical_difference(k, m) == pytest.approx(expected, rel=6e-4)


def test_friedmans_statistic_is_scipys_with_ties():
    scores = np.random.default_rng(0).integers(0, 5, size=(9, 4)) / 10
    found = stats.friedman(scores)
    assert found.statistic == pytest.approx(scipy_stats.friedmanchisquare(*scores.T).statistic)
    np.testing.assert_allclose(found.average_ranks, scipy_stats.rankdata(-scores, axis=1).mean(0))
    F = 8 * found.statistic / (9 * 3 - found.statistic)
    assert found.p == pytest.approx(scipy_stats.f.sf(F, 3, 24))


def test_friedman_leaves_out_and_counts_incomplete_data_sets():
    scores = np.random.default_rng(0).random((6, 3))
    broken = np.vstack([scores, [0.5, np.nan, 0.6]])
    ours, complete = stats.friedman(broken), stats.friedman(scores)
    assert ours.average_ranks == complete.average_ranks
    assert (ours.datasets, ours.planned) == (6, 7)
    assert "here are 1 and 3" in stats.friedman(scores[:1]).reason


def test_unanimous_ranks_do_not_give_a_p_of_zero():
    found = stats.friedman(np.tile([0.1, 0.2, 0.3], (3, 1)))
    assert found.p == pytest.approx(1 / 36)
    assert stats.friedman(np.full((4, 3), 0.5)).p > 0.999


def test_groups_are_maximal_and_hold_exactly_the_pairs_within_the_difference():
    chance = np.random.default_rng(0)
    for _ in range(200):
        ranks, cd = chance.uniform(1, 8, size=7), chance.uniform(0.2, 4)
        groups = stats.rank_groups(ranks, cd)
        together = {frozenset((a, b)) for g in groups for a in g for b in g if a != b}
        near = {frozenset((a, b)) for a in range(7) for b in range(a) if abs(ranks[a] - ranks[b]) < cd}
        assert together == near
        assert not any(set(g) < set(h) for g in groups for h in groups)
    assert stats.rank_groups([1.0, 2.0, 3.0], 0.5) == stats.rank_groups([], 1.0) == ()
    assert stats.rank_groups([1.5, 2.25, 3.0, 3.25], 1.5) == ((0, 1), (1, 2, 3))  # 1.5 and 3.0 differ by exactly 1.5
    assert stats.rank_groups([1.0, 2.0, 3.0, 10.0, 11.0], 2.5) == ((0, 1, 2), (3, 4))
    assert stats.rank_groups([3.0, 1.0, 2.0], 1.5) == ((1, 2), (2, 0))


def test_a_design_too_small_for_its_critical_difference_says_so():
    scores = np.random.default_rng(0).random((2, 10))
    assert not stats.friedman(scores).reachable
    assert stats.friedman(np.random.default_rng(0).random((8, 10))).reachable


def test_an_arm_that_wins_on_all_eight_data_sets_cannot_be_significant_among_nine():
    found = stats.reach(8, tests=9)
    assert found.smallest_p == pytest.approx(scipy_stats.wilcoxon(np.arange(1, 9)).pvalue)
    assert (found.corrected, found.reachable) == (pytest.approx(0.0703125), False)
    assert found.pairs_needed == 9
    assert stats.reach(9, tests=9).reachable
    assert [stats.reach(S).smallest_p for S in (3, 5, 10)] == [0.25, 0.0625, 2 / 1024]


# ---- cost, and simulation


def test_importing_the_statistics_loads_nothing_heavy():
    code = "import sys, medaug_keras.stats; print([m for m in ('scipy.stats', 'keras', 'torch') if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert found.stdout.strip() == "[]"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("statistics_benchmark", ROOT / "benchmarks" / "statistics.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("metric", ["accuracy", "auc"])
def test_the_crossed_test_is_honest_where_tests_of_one_run_are_not(benchmark, metric):
    repeats = 200
    row = benchmark.simulate(metric, True, 624, 5, repeats=repeats, seed=1)
    assert near(row.crossed, 0.05, repeats)
    assert near(row.coverage, 0.95, repeats)
    assert row.one_run > 0.08
    assert row.holm < 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)


def test_a_planted_gain_of_3_points_is_found_at_the_power_announced(benchmark):
    for S in (5, 10):
        row = benchmark.simulate("accuracy", True, 624, S, repeats=200, seed=S)
        assert near(row.power, row.announced, 200)
        assert row.announced > 0.6


def test_few_replicates_need_the_guarded_p_for_their_families(benchmark):
    row = benchmark.simulate("accuracy", False, 7180, 3, repeats=150, seed=2)
    assert row.holm < 0.1 < row.holm_plain + 0.04
    assert row.images_only > 0.3


def test_of_two_replicates_plain_p_claims_more_than_the_guarded_one(benchmark):
    row = benchmark.two("accuracy", False, 7180, repeats=100, seed=2)
    assert row.crossed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 900) < row.plain
    assert row.holm <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100) < row.holm_plain
    assert row.crossed < row.power < 0.4


def test_two_replicates_are_honest_alone_too(benchmark):
    row = benchmark.simulate("accuracy", True, 624, 2, repeats=150, seed=3)
    assert row.crossed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 150)
    assert row.coverage >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 150)


@pytest.mark.parametrize(("S", "T"), [(2, 2), (3, 3), (10, 10), (3, 10)])
def test_runs_that_share_nothing_are_tested_at_their_level(benchmark, S, T):
    repeats = 150
    row = benchmark.unpaired_runs("accuracy", True, 156, S, T, repeats=repeats, seed=S + T)
    assert row.family <= row.crossed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert row.coverage >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert row.power > row.family
    assert (row.paired is None) == (S != T)


def test_networks_that_vary_little_are_called_equivalent_on_few_images_and_not_more_often_where_they_differ(benchmark):
    repeats = 120
    little, usual = (benchmark.equivalence("auc", "–", 156, 3, 0.02, own, repeats=repeats, seed=3) for own in (0.2, 1))
    assert little.alone <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)
    assert little.one_null > 0.3 > 0.05 > usual.one_null


def test_what_arms_and_runs_have_of_their_own_leaves_the_level_and_lets_images_be_alike(benchmark):
    for metric, own in product(benchmark.VALUES, (0.2, 1.0)):
        chance = np.random.default_rng(3)
        base, arm = benchmark.VALUES[metric](chance, 60, 3, 200, 0.5, (0.0,), own)
        assert base.mean() == pytest.approx(benchmark.LEVEL, abs=0.015)
        assert arm.mean() == pytest.approx(benchmark.LEVEL, abs=0.015)
        spread = np.mean([stats.crossed(D).se for D in arm - base])
        assert (spread < 0.015) == (own < 1)


def test_the_mean_of_random_effects_is_statsmodels_with_paule_and_mandels_variance(benchmark):
    meta = pytest.importorskip("statsmodels.stats.meta_analysis")
    chance = np.random.default_rng(2)
    effects, variances = chance.normal(0.01, 0.03, (5, 8)), chance.uniform(1e-4, 9e-4, (5, 8))
    for effect, variance, p in zip(effects, variances, benchmark._random_effects(effects, variances), strict=True):
        found = meta.combine_effects(effect, variance, method_re="iterated", use_t=True)
        t = found.mean_effect_re / found.sd_eff_w_re_hksj
        assert p == pytest.approx(2 * scipy_stats.t.sf(abs(t), 7), rel=1e-4)


def test_equivalence_of_many_simulated_studies_is_that_of_each(benchmark):
    D = np.stack([crossed_data(seed, 4, 30, effect=0.2) for seed in range(6)])
    many = benchmark._equal(*stats.mean_squares(D), 4, 30, 0.4)
    assert many == pytest.approx([stats.equivalence_p(stats.crossed(one), 0.4) for one in D])


@pytest.mark.parametrize(("sizes", "n", "S"), [("–", 624, 2), ("–", 624, 5), ("20", 1200, 3), ("20", 1200, 10)])
def test_arms_that_differ_by_the_margin_are_seldom_called_equivalent(benchmark, sizes, n, S):
    repeats = 160
    row = benchmark.equivalence("accuracy", sizes, n, S, 0.05, repeats=repeats, seed=S)
    assert row.alone <= 0.05 + 2 * np.sqrt(0.05 * 0.95 / repeats)
    assert row.holm <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / repeats)
    assert row.one_null > 2 * row.alone


def test_arms_that_are_alike_seldom_differ_in_calibration_or_pr_auc(benchmark):
    row = benchmark.forecast(156, 5, repeats=100, seed=4)
    for rate in (row.ece, row.brier, row.log_loss, row.pr_auc):
        assert rate <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)


def test_arms_that_are_alike_seldom_differ_at_thresholds_of_the_same_validation_images(benchmark):
    row = benchmark.chosen(("sensitivity", 0.95), 4, 312, 312, 5, repeats=60, seed=4)
    for called, covers in (
        (row.sensitivity_called, row.sensitivity_covers),
        (row.specificity_called, row.specificity_covers),
    ):
        assert called <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
        assert covers >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / 60)
    assert row.specificity_fixed > row.specificity_called  # what it would be without the chance of that choice


@pytest.mark.parametrize("model", ["findings", "calibration", "grades", "operating", "in_subgroups"])
def test_further_measures_of_arms_that_are_alike_seldom_differ_by_group_and_true_differences_are_covered(
    benchmark, model
):
    rows = list(benchmark.measured(getattr(benchmark, model), "1 to 4", 3, repeats=60, seed=6))
    assert len(rows) == {"calibration": 4, "findings": 1, "in_subgroups": 1}.get(model, 2)
    for row in rows:
        assert row.crossed <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 60)
        assert row.family <= row.crossed
        assert row.coverage >= 0.93 - 3 * np.sqrt(0.07 * 0.93 / 60)


def test_a_simulated_arm_that_is_better_is_so_in_every_measure_but_the_one_that_its_threshold_holds(benchmark):
    true = {
        row.measure: row.true
        for model in benchmark.MODELS
        for row in benchmark.measured(model, "–", 3, repeats=20, seed=7)
    }
    assert abs(true.pop("sensitivity at 90 % sensitivity")) < 0.03
    assert true.pop("AUC in a subgroup less that in the others") == pytest.approx(0.03, abs=0.02)
    assert true.pop("mean AUC of 4 findings") == pytest.approx(0.03, abs=0.01)
    less = {"calibration error", "Brier score", "log loss", "error in grades"}
    assert {measure for measure, difference in true.items() if difference < -0.005} == less
    assert {measure for measure, difference in true.items() if difference > 0.03} == true.keys() - less


@pytest.mark.parametrize(("metric", "sizes"), [("accuracy", "20"), ("auc", "1 to 4"), ("accuracy", "66 of 181")])
def test_images_that_belong_together_make_no_false_claims_by_group(benchmark, metric, sizes):
    row = benchmark.grouped(metric, sizes, True, 5, repeats=200, seed=5)
    noise = 3 * np.sqrt(0.05 * 0.95 / 200)
    assert row.by_group <= 0.05 + noise
    assert row.coverage >= (0.91 if sizes == "66 of 181" else 0.95) - noise
    assert row.by_image > row.by_group
    assert row.by_image > 0.15 or sizes == "1 to 4"


@pytest.mark.parametrize(("S", "tau", "together"), [(2, 0.0, 0.0), (2, 0.01, 1.0), (3, 0.0, 0.5), (5, 0.01, 0.1)])
def test_no_arm_is_claimed_over_data_sets_that_does_nothing(benchmark, S, tau, together):
    row = benchmark.over_sets(S, tau, together, repeats=400, seed=S)
    assert row.holm <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 400)
    assert row.coverage >= 0.95 - 3 * np.sqrt(0.05 * 0.95 / 400)
    if together >= 0.5:  # where replicates move data sets together, data sets alone do not know it
        assert row.independent_holm > 0.2


@pytest.mark.parametrize(("S", "tests"), [(3, 9), (5, 1)])
def test_nine_of_ten_studies_find_what_they_announce_as_the_upper_end(benchmark, S, tests):
    row = benchmark.announced("accuracy", True, 624, S, tests, repeats=200, seed=S)
    assert near(row.kept, 0.9, 200)
    assert row.low < row.estimated < row.high


def test_intervals_that_few_images_make_are_marked_and_others_are_not(benchmark):
    few, many = (benchmark.rare(*of, repeats=100, seed=1) for of in ((156, 10, 0.95, 10), (400, 120, 0.85, 5)))
    assert few.equal <= 0.05 < few.equal_marked
    assert many.equal <= many.equal_marked <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / 100)
    assert (few.warned > 0.9, many.warned < 0.1) == (True, True)
    assert few.coverage < 0.93 < many.coverage


@given(k=st.integers(2, 30), n=st.integers(30, 60), scale=st.floats(0.01, 10))
@settings(max_examples=20)
def test_the_effective_number_of_images_is_how_many_deviate_alike(k, n, scale):
    D = np.zeros((3, n))
    D[:, :k], D[:, k : 2 * k] = scale, -scale
    if 2 * k <= n:
        assert float(stats.effective_number(D)) == pytest.approx(2 * k)
    assert 1 <= float(stats.effective_number(D + crossed_data(k, 3, n))) <= n


@pytest.mark.parametrize("together", [False, True])
def test_arms_that_are_worth_the_same_are_not_called_different_in_a_cross_validation(benchmark, together):
    noise = 3 * np.sqrt(0.05 * 0.95 / 80)
    for row in benchmark.folded(100, 12, 5, together=together, repeats=80, seed=1):
        assert max(row.alike, row.unlike) < 0.05 + noise
        assert row.unlike <= row.once
        assert min(row.coverage, row.here) > 0.95 - noise
        if row.replicates == 10:
            assert row.paired_t > 0.2
            assert row.once > 0.05


def test_a_simulated_classifier_is_blind_to_the_images_of_its_fold(benchmark):
    chance = np.random.default_rng(0)
    labels, shift = np.arange(40) % 2, np.full(3, 0.7)
    images = chance.normal(size=(1, 40, 3)) + labels[:, None] * shift
    folds = benchmark._cuts(chance, 1, 2, labels, 5)
    assert all((np.bincount(row[labels == c], minlength=5) == 4).all() for row in folds[0] for c in (0, 1))

    def scores(x, y):
        return benchmark._discriminants(np.random.default_rng(1), x, y, folds, 5, shift, 0.1)[0][0]

    other = images.copy()
    other[0, 7] += 9
    for s, fold in enumerate(folds[0]):
        beside = (fold == fold[7]) & (np.arange(40) != 7)
        before, after = scores(images, labels)[s], scores(other, labels)[s]
        np.testing.assert_array_equal(after[beside], before[beside])
        assert (after[fold != fold[7]] != before[fold != fold[7]]).all()


def test_simulated_cross_validations_estimate_what_their_classifiers_do_on_new_images(benchmark):
    chance = np.random.default_rng(3)
    drawn = [list(benchmark._folded(chance, 20, np.arange(100), 12, 5, False)) for _ in range(4)]
    for parts in zip(*drawn, strict=True):
        found = np.concatenate([D.mean((1, 2)) for _, _, D, _, _ in parts])
        true = np.concatenate([truth for _, _, _, truth, _ in parts])
        assert abs((found - true).mean()) < 4 * (found - true).std() / np.sqrt(len(found))


@pytest.mark.slow
@pytest.mark.parametrize(("moved", "n", "S"), list(product((False, True), (156, 624, 7180), (3, 5, 10))))
def test_error_rates_at_every_size(benchmark, moved, n, S):
    row = benchmark.simulate("accuracy", moved, n, S, repeats=500, seed=n + S)
    noise = 3 * np.sqrt(0.05 * 0.95 / 500)
    assert row.crossed < 0.07 + noise
    assert row.family < 0.05 + noise
    assert row.coverage > 0.93 - noise
    assert row.holm < 0.05 + noise


@given(seed=st.integers(0, 10**6), images=st.integers(1, 40), replicates=st.integers(1, 5))
@settings(max_examples=40)
def test_every_pair_of_arms_has_the_p_that_it_has_alone(seed, images, replicates):
    chance = np.random.default_rng(seed)
    arms = {
        name: {
            s: (chance.random(images) < 0.7).astype(float) for s in range(replicates) if s == 0 or chance.random() < 0.8
        }
        for name in "abcde"
    }
    arms["same as a"] = dict(arms["a"])
    arms["a and a half"] = {s: values + 0.5 for s, values in arms["a"].items()}
    pairs = list(combinations(arms, 2))
    alone = [stats.crossed(stats.paired(arms[one], arms[other])).p_family for one, other in pairs]
    holm = dict(zip(pairs, stats.holm(alone), strict=True))
    found = stats.best_arms(arms)
    for other, p in found.p.items():
        expected = holm[(other, found.best) if (other, found.best) in holm else (found.best, other)]
        assert p == pytest.approx(expected, rel=1e-9) if expected is not None else p is None
