"""Operating points: thresholds against scikit-learn, intervals against brute force and statsmodels, and the page."""

import html
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from report_records import ARMS, fake_plan, fake_results, fake_study
from sklearn.metrics import precision_score, recall_score, roc_curve
from statsmodels.stats.proportion import proportion_confint

from medaug_keras import stats
from medaug_keras.cli.request import misfits
from medaug_keras.evaluation.thresholds import rates, resampled, thresholds
from medaug_keras.plan import Source
from medaug_keras.reading import StudyError, read
from medaug_keras.report.numbers.calibration import judged
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.numbers.thresholds import MEASURES, operating_points, prevalence
from medaug_keras.report.pages.study import Pages
from medaug_keras.spec import MedMnistData, Study

POINTS = [{"sensitivity": 0.95}, {"specificity": 0.9}, "youden"]
OF_PAPERS = [("sensitivity", 0.95), ("specificity", 0.9), "youden"]


def drawn(seed: int, n: int = 40) -> tuple[np.ndarray, np.ndarray]:
    """Which images are positive, of both classes, and scores with ties."""
    chance = np.random.default_rng(seed)
    positive = chance.permutation(np.arange(n) < chance.integers(1, n))
    return positive, (chance.normal(size=n) + positive).round(1)


@given(seed=st.integers(0, 10_000), least=st.sampled_from([0.1, 0.5, 0.9, 0.95, 1.0]))
@settings(max_examples=60)
def test_thresholds_are_those_of_scikit_learns_roc_curve(seed, least):
    positive, scores = drawn(seed)
    misses, hits, at = roc_curve(positive, scores, drop_intermediate=False)
    points = [("sensitivity", least), ("specificity", least), "youden"]
    found = thresholds(positive, scores[None], points)[:, 0, 0]
    assert found[0] == at[hits >= least - 1e-9][0]
    assert found[1] == at[1 - misses >= least - 1e-9][-1]
    assert found[2] == at[np.argmax((hits - misses).round(9))]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_a_draw_chooses_as_its_images_would_one_by_one(seed):
    positive, scores = drawn(seed)
    weights = resampled(positive, None, draws=5, seed=seed)
    found = thresholds(positive, scores[None], OF_PAPERS, weights)
    for b, of_draw in enumerate(weights):
        there = np.repeat(np.arange(len(positive)), of_draw)
        alone = thresholds(positive[there], scores[None, there], OF_PAPERS)
        np.testing.assert_array_equal(found[:, 0, b], alone[:, 0, 0])


def test_draws_take_whole_groups_and_have_both_classes():
    positive = np.array([True] * 2 + [False] * 18)
    groups = np.arange(20) // 2
    weights = resampled(positive, groups, draws=50, seed=0)
    assert (weights[:, ::2] == weights[:, 1::2]).all()
    assert (weights.sum(-1) == 20).all()
    assert (weights[:, positive].sum(-1) > 0).all()
    with pytest.raises(ValueError, match="both classes"):
        thresholds(np.ones(3, bool), np.ones((1, 3)), ["youden"])


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30)
def test_sensitivity_and_specificity_at_a_threshold_are_scikit_learns_recalls(seed):
    positive, scores = drawn(seed)
    at = np.array([[scores.min(), np.median(scores), np.inf]])
    hit, passed = rates(positive, scores[None], at)
    for b, t in enumerate(at[0]):
        called = scores >= t
        assert hit[0, b] == pytest.approx(recall_score(positive, called, zero_division=0))
        assert passed[0, b] == pytest.approx(recall_score(~positive, ~called, zero_division=0))


def test_the_mean_of_a_shares_values_is_the_share_whatever_counts_and_whichever_images_belong_together():
    chance = np.random.default_rng(1)
    hit, counted = chance.random((3, 60)) < 0.8, chance.random((3, 60)) < 0.5
    share = (hit & counted).sum(-1) / counted.sum(-1)
    for groups in (None, chance.integers(0, 9, 60)):
        np.testing.assert_allclose(stats.share_values(hit, counted, groups).mean(-1), share)
    every = np.ones((3, 60), bool)
    np.testing.assert_allclose(stats.share_values(hit, every), hit)
    even = np.arange(60) // 6
    np.testing.assert_allclose(stats.share_values(hit, every, even), stats.group_sums(hit, even))


def test_the_variance_of_a_ratio_is_that_of_leaving_groups_out_one_by_one():
    """Linearization and jackknife agree but for terms that vanish with many groups."""
    chance = np.random.default_rng(2)
    groups = np.repeat(np.arange(300), chance.integers(1, 6, 300))
    counted = chance.random((1, len(groups))) < 0.4
    hit = chance.random((1, len(groups))) < 0.8
    values = stats.share_values(hit, counted, groups)[0]
    G = 300
    left = np.array([(hit & counted)[0, groups != g].sum() / counted[0, groups != g].sum() for g in range(G)])
    jackknife = (G - 1) / G * ((left - left.mean()) ** 2).sum()
    assert values.var(ddof=1) / G == pytest.approx(jackknife, rel=0.02)


@pytest.mark.parametrize("hits", [0, 7, 38, 40])
def test_of_runs_that_are_all_the_same_the_interval_is_clopper_and_pearsons(hits):
    values = np.tile(np.arange(40) < hits, (5, 1)).astype(float)
    found = stats.share_interval(stats.crossed(stats.share_values(values > 0, True)))
    np.testing.assert_allclose(found, proportion_confint(hits, 40, method="beta"), atol=4e-3)  # n - 1 in place of n


@given(seed=st.integers(0, 1000), S=st.integers(2, 8), n=st.integers(5, 60), share=st.floats(0.5, 1))
@settings(max_examples=40)
def test_an_interval_of_a_share_is_within_0_and_1_around_it_and_no_narrower_than_its_images_allow(seed, S, n, share):
    right = np.random.default_rng(seed).random((S, n)) < share
    found = stats.crossed(stats.share_values(right, True))
    low, high = stats.share_interval(found)
    assert 0 <= low <= found.effect <= high <= 1
    hits = found.effect * n
    exact = proportion_confint(hits, n, method="beta")
    assert high - low >= exact[1] - exact[0] - 1e-9


def test_one_run_has_no_interval():
    assert stats.share_interval(stats.crossed(stats.share_values(np.ones((1, 9), bool), True))) is None


def test_what_draws_do_to_all_runs_alike_is_their_variance_and_what_they_do_to_one_alone_is_none():
    chance = np.random.default_rng(0)
    together = np.tile(chance.normal(0, 0.1, 4000), (6, 1))
    assert stats.shared_variance(together) == pytest.approx(0.01, rel=0.1)
    assert stats.shared_variance(chance.normal(0, 0.1, (6, 4000))) < 5e-4
    both = together + chance.normal(0, 0.3, (6, 4000))
    assert stats.shared_variance(both) == pytest.approx(0.01, rel=0.25)
    assert stats.shared_variance(together[:1]) == 0
    assert stats.shared_variance(together[:, :1]) == 0


def test_a_variance_beside_the_runs_widens_every_part_of_a_result_and_none_changes_nothing():
    D = np.random.default_rng(3).normal(0.02, 0.2, (5, 80))
    for runs in (D, D[:2]):
        plain, none, more = (
            stats.crossed(runs, **how) for how in ({}, {"besides": (0.0, 1.0)}, {"besides": (4e-4, 20)})
        )
        assert plain == none
        assert more.se == pytest.approx(np.sqrt(plain.se**2 + 4e-4))
        assert more.effect == plain.effect
        assert more.low < plain.low < plain.high < more.high
        assert more.p > plain.p
        assert more.p_family > plain.p_family


# --- the page ---


def study_of(**more) -> Study:
    arms = {name: ARMS[name] for name in ("baseline", "gda", "cvae")}
    return fake_study(**{"arms": arms, "samplings": ["shuffle"], "operating_points": POINTS} | more)


def inference_of(root, *, study=None, **more) -> Inference:
    study = study or study_of()
    return Inference(Results(study, *fake_results(study, root, **more)))


@pytest.fixture(scope="module")
def inference(tmp_path_factory) -> Inference:
    return inference_of(tmp_path_factory.mktemp("points"))


def test_every_arm_is_judged_at_thresholds_of_its_own_validation_images_as_scikit_learn_would(inference):
    """BreastMNIST, whose positive class is the first: malignant."""
    found = operating_points(inference)
    assert {cell[0] for cell, _ in found} == {"breastmnist"}  # the other set has four classes
    assert len(found) == 3 * 3
    for (cell, place), one in found.items():
        by_hand = {name: [] for name in MEASURES}
        for run in inference.results.groups[cell].done:
            with np.load(run.record.folder / "predictions.npz") as file:
                epoch = run.selected(inference.results.select)
                held, known = file["validation_labels"] == 0, file[f"validation_{epoch}"][:, 0]
                test, scores = file["test_labels"] == 0, file[f"test_{epoch}"][:, 0]
            at = thresholds(held, known[None], [OF_PAPERS[place]])[0, 0, 0]
            called = scores >= at
            by_hand["sensitivity"].append(recall_score(test, called))
            by_hand["specificity"].append(recall_score(~test, ~called))
            by_hand["ppv"].append(precision_score(test, called))
            by_hand["npv"].append(precision_score(~test, ~called))
        for measure, values in by_hand.items():
            assert one.means[measure] == pytest.approx(values)
            low, high = one.intervals[measure]
            assert low <= np.mean(values) <= high
        base = found[("breastmnist", "baseline", "shuffle"), place]
        for measure, result in one.differences.items():
            assert result.effect == pytest.approx(np.mean(one.means[measure]) - np.mean(base.means[measure]))
            assert one.rates[measure] >= result.p_family - 1e-12
        assert bool(one.differences) is (cell[1] != "baseline")


def test_the_interval_of_a_difference_has_the_choice_of_validation_images_in_it(tmp_path):
    """Of runs that all say the same of validation images, another choice of these would move all thresholds at once."""
    found = inference_of(tmp_path, study=study_of(datasets=("breastmnist",)))
    for of in (batches[0] for batches in found.predictions.values()):
        of.validation[0].probabilities[1:] = of.validation[0].probabilities[0]
    one = operating_points(found)[("breastmnist", "gda", "shuffle"), 0]
    for measure, result in one.differences.items():
        runs = result.mean_squares
        own = max(runs.replicate + runs.image - runs.residual, runs.residual) / (result.replicates * result.units)
        assert result.images == {"sensitivity": 52, "specificity": 104}.get(measure, 156)
        assert result.se**2 > own * 1.01


def test_groups_are_the_units_and_the_images_of_a_group_that_are_of_one_class_count_as_one(tmp_path):
    found = inference_of(tmp_path, groups=lambda dataset: np.arange(156 if dataset == "breastmnist" else 200) // 2)
    one = operating_points(found)[("breastmnist", "gda", "shuffle"), 0]
    assert one.differences["sensitivity"].units == 26
    assert one.differences["ppv"].units == 78
    assert one.shares["specificity"].units == 52


def test_a_class_that_is_looked_for_turns_the_curves_and_pr_auc_to_it(tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    scored = {}
    for positive in (0, 1):
        study = study_of(datasets=("breastmnist",), operating_points=[])
        data = study.datasets["breastmnist"].model_copy(update={"positive": positive})
        found = inference_of(tmp_path, study=study.model_copy(update={"datasets": {"breastmnist": data}}))
        one = judged(found)["breastmnist", "baseline", "shuffle"]
        scored[positive] = one.estimate("pr_auc").mean
        (of,) = found.predictions["breastmnist", "baseline", "shuffle"]
        by_hand = [metrics.average_precision_score(of.labels == positive, p[:, positive]) for p in of.probabilities]
        assert scored[positive] == pytest.approx(np.mean(by_hand))
    assert scored[0] != scored[1]


def test_prevalences_that_chance_explains_are_not_said_to_differ(inference):
    found = prevalence(inference, "breastmnist")
    assert (found.validation, found.test, found.differ) == ((26, 78), (52, 156), False)
    assert prevalence(inference, "phantom-histology") is None


def test_another_share_of_positive_images_in_the_test_set_is_said(tmp_path):
    found = inference_of(tmp_path, study=study_of(datasets=("breastmnist",)))
    for of in (batches[0] for batches in found.predictions.values()):
        of.validation[0].labels[:] = np.arange(78) >= 60
    assert prevalence(found, "breastmnist").differ
    page = Pages(found.results, inference=found).all()["operating-points.md"].decode()
    assert "differs between validation" in page


def test_points_are_on_a_page_of_their_own_and_in_rings_on_the_curves_and_without_them_there_is_no_page(
    tmp_path, inference
):
    files = Pages(inference.results, inference=inference).all()
    page = html.unescape(files["operating-points.md"].decode())
    assert "Positive: malignant" in page
    assert "78 validation images, 26 of them positive" in page
    assert "of more than two classes" in page
    reached = {
        sought: [one.estimate(sought).mean for (_, at), one in operating_points(inference).items() if at == place]
        for place, sought in enumerate(("sensitivity", "specificity"))
    }
    ends = [f"{100 * min(means):.1f} % to {100 * max(means):.1f} %" for means in reached.values()]
    assert (
        f"On test images, thresholds reach {ends[0]} where sensitivity of 95 % was sought and {ends[1]} where "
        "specificity of 90 % was sought: read sensitivity and specificity together."
    ) in page
    first = html.unescape(files["index.md"].decode())
    assert "at thresholds for <bdi>sensitivity of 95 %, specificity of 90 % and Youden’s index</bdi>: <a" in first
    for said in ("sensitivity of 95 %", "specificity of 90 %", "Youden’s index"):
        assert said in files["figures/calibration-breastmnist.svg"].decode()
        assert said in files["data/operating-points.csv"].decode()
    study = study_of(operating_points=[])
    assert fake_plan(study).tasks == inference.results.plan.tasks
    none = Pages(Results(study, *fake_results(study, tmp_path))).all()
    assert "operating-points.md" not in none
    assert b"operating-points" not in none["index.md"]
    assert "ring" not in none["calibration.md"].decode()


# --- what a study may say ---


@pytest.mark.parametrize(
    ("asked", "name", "classes", "number"),
    [
        (None, "breastmnist", ["malignant", "normal, benign"], 0),
        (None, "pneumoniamnist", ["normal", "pneumonia"], 1),
        ("normal", "pneumoniamnist", ["normal", "pneumonia"], 0),
        (1, "breastmnist", ["malignant", "normal, benign"], 1),
        (1, "mine", ["1", "2"], 0),  # a name before a number
        (2, "mine", ["1", "2"], 1),
        ("other", "mine", ["a", "b"], None),
        (None, "mine", ["a", "b"], None),
        ("a", "mine", ["a", "b", "c"], None),
    ],
)
def test_the_class_that_is_looked_for_is_found_by_name_then_by_number(asked, name, classes, number):
    assert MedMnistData(positive=asked).positive_class(name, classes) == number


def asked(tmp_path, points: str, data: str = "breastmnist: {kind: medmnist}"):
    path = tmp_path / "study.yaml"
    text = (
        f"name: a\ntitle: A\nquestion: A?\ndatasets:\n  {data}\narms: {{baseline: {{}}}}\noperating_points: {points}\n"
    )
    path.write_text(text, encoding="utf-8")
    return read(path)


@pytest.mark.parametrize(
    ("points", "said"),
    [
        ("[youdn]", "operating_points.0: Input should be 'youden', got 'youdn'; did you mean youden?"),
        ("[{sensitvity: 0.9}]", "operating_points.0.sensitvity: not a setting; did you mean sensitivity?"),
        ("[{sensitivity: 95}]", "operating_points.0.sensitivity: Input should be less than or equal to 1, got 95"),
        ("[{sensitivity: 0.9, specificity: 0.9}]", "takes sensitivity or specificity, such as {sensitivity: 0.95}"),
        ("[youden, youden]", "operating_points: names a point twice; keep one"),
    ],
)
def test_a_mistake_in_a_point_is_said_once_with_its_line(tmp_path, points, said):
    with pytest.raises(StudyError, match=re.escape(said)) as error:
        asked(tmp_path, points)
    assert str(error.value).count("study.yaml:7: ") == 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (
            "retinamnist: {kind: medmnist}",
            "operating_points: are for two classes",
        ),
        ("retinamnist: {kind: medmnist, positive: 1}", "positive: is for two classes, and retinamnist has more"),
        ("own: {kind: npz, path: a, classes: [ill, well], positive: il}", "no class is called il; did you mean ill?"),
        (
            "own: {kind: table, path: a, image: f, label: c, split: {column: s}, classes: [a, b, mel], positive: mel}",
            "positive: is for two classes, and own has more: to tell mel from all others, give the table a column that "
            "says mel or other, and name that with label; else leave positive out",
        ),
    ],
)
def test_a_positive_class_that_cannot_be_is_said_before_anything_is_read(tmp_path, data, said):
    with pytest.raises(StudyError, match=re.escape(said)):
        asked(tmp_path, "[youden]", data)


@pytest.mark.parametrize(
    ("data", "classes", "said"),
    [
        (
            "{kind: npz, path: a}",
            ("a", "b"),
            "positive: is missing; operating_points need",
        ),
        ("{kind: npz, path: a, positive: c}", ("a", "b"), "positive: no class is called c; choose from a, b"),
        (
            "{kind: npz, path: a, positive: a}",
            ("a", "b", "c"),
            "positive: is for two classes, and own has 3: leave it out",
        ),
        (
            "{kind: table, path: a, image: f, label: c, split: {column: s}, positive: mel}",
            ("a", "b", "mel"),
            "positive: is for two classes, and own has 3: to tell mel from all others, give the table a column",
        ),
        (  # either may be the slip, so it waits for the column
            "{kind: table, path: a, image: f, label: c, split: {column: s}, positive: il, classes: [ill, well]}",
            ("ill", "well"),
            "positive: no class is called il; did you mean ill?",
        ),
        ("{kind: npz, path: a, positive: a}", ("a", "b"), None),
        ("{kind: npz, path: a}", ("a", "b", "c"), None),
        ("{kind: npz, path: a}", (), None),  # not known
    ],
)
def test_a_positive_class_is_held_against_the_classes_that_are_there(tmp_path, data, classes, said):
    study = asked(tmp_path, "[youden]", f"own: {data}")
    found = misfits(study, {"own": Source("x", 9, 9, 9, len(classes), class_names=classes)})
    assert [line for line in found if said is None or said not in line] == []
    assert len(found) == (said is not None)
