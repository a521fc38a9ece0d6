"""From records to verdicts and sentences: what is corrected with what, which epoch counts, and what may be said."""

import copy
import dataclasses
import itertools
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras import references, stats
from medaug_keras.report.format import unsigned
from medaug_keras.report.numbers import findings
from medaug_keras.report.numbers.inference import Comparison, Inference
from medaug_keras.report.numbers.results import Group, Results
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.evidence import synthetic_images
from medaug_keras.report.tables import arms as tables
from medaug_keras.report.tables import evidence as evidence_tables
from medaug_keras.report.tables import quality as quality_tables
from medaug_keras.report.tables.table import Entry, Table
from medaug_keras.report.tables.verdicts import verdicts

SETS = ("breastmnist", "phantom-ultrasound", "third")
MIRROR = {"better": "worse", "worse": "better"}
LEVELS = {"baseline": 0.60, "gda": 0.62, "cvae": 0.80, "cgan": 0.45, "duplicate": 0.64}


def results_of(root: Path, study, **how) -> Results:
    plan, store = fake_results(study, root, **how)
    return Results(study, plan, store)


def cell(table: Table, row: int, key: str) -> Entry:
    return table.rows[row].entries[[column.key for column in table.columns].index(key)]


def random_hits(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """Images that an arm is right on: more where it is better, some of them the same in every replicate."""
    image = np.random.default_rng(SETS.index(dataset)).random(156)
    run = np.random.default_rng([SETS.index(dataset), list(LEVELS).index(arm), replicate]).random(156)
    return 0.5 * image + 0.5 * run < LEVELS[arm]


@pytest.fixture(scope="module")
def inference(tmp_path_factory) -> Inference:
    """Five arms on three data sets, four replicates each: one helps, one harms."""
    datasets = {name: {"kind": "npz", "path": f"{name}.npz"} for name in SETS}
    arms = {name: ARMS[name] for name in LEVELS}
    study = fake_study(datasets=SETS[:1], arms=arms, replicates=4, samplings=["shuffle"])
    study = type(study).model_validate({**study.model_dump(), "datasets": datasets})
    return Inference(results_of(tmp_path_factory.mktemp("results"), study, hits=random_hits))


def corrected(p, method):
    multitest = pytest.importorskip("statsmodels.stats.multitest")
    return multitest.multipletests(p, method=method)[1]


# --- what is corrected together ----------------------------------------------------------------------


def test_holm_corrects_the_guarded_p_over_the_arms_of_a_data_set(inference):
    for dataset in SETS:
        here = [c for (name, *_), c in inference.tests.items() if name == dataset]
        p = [c.result.p_family for c in here]
        assert [c.family for c in here] == [4] * 4
        np.testing.assert_allclose([c.holm for c in here], corrected(p, "holm"))
        assert any(c.result.p_family > 1.05 * c.result.p for c in here)  # so that the other p would be noticed


def test_benjamini_hochberg_corrects_the_guarded_p_over_all_data_sets_and_the_other_metrics_together(inference):
    others = [c for found in inference.exploratory.values() for c in found.values()]
    for family, size in ((list(inference.tests.values()), 12), (others, 36)):
        p = [c.result.p_family for c in family]
        assert len(p) == size
        np.testing.assert_allclose([c.fdr for c in family], corrected(p, "fdr_bh"))


def test_the_p_over_data_sets_is_corrected_over_the_arms(inference):
    p = [one.meta.p for one in inference.across]
    assert len(p) == 4
    np.testing.assert_allclose([one.holm for one in inference.across], corrected(p, "holm"))
    assert any(one.holm > 1.05 * one.meta.p for one in inference.across)


def test_an_arm_over_data_sets_is_the_mean_of_its_own_differences(inference):
    for one in inference.across:
        effects = [c.result.effect for (_, arm, _), c in inference.tests.items() if arm == one.arm]
        assert min(effects) <= one.meta.effect <= max(effects)
        assert (one.meta.datasets, one.meta.planned) == (3, 3)


def test_an_arm_over_data_sets_is_that_of_its_own_sampling(tmp_path):
    levels = {
        ("baseline", "shuffle"): 78,
        ("baseline", "weighted"): 90,
        ("gda", "shuffle"): 84,
        ("gda", "weighted"): 100,
    }
    reference = ("baseline", "shuffle")
    arms, sets = {name: ARMS[name] for name in ("baseline", "gda")}, ("breastmnist", "phantom-ultrasound")
    study = fake_study(datasets=sets, arms=arms, replicates=2)

    def score(dataset, arm, sampling, replicate):
        more = 0 if (arm, sampling) == reference else replicate + 2 * sets.index(dataset)  # so that something varies
        return (levels[arm, sampling] + more) / 156

    found = Inference(results_of(tmp_path, study, score=score)).across
    expected = {pair: (level + 1.5 - 78) / 156 for pair, level in levels.items() if pair != reference}
    assert {(one.arm, one.sampling): one.meta.effect for one in found} == pytest.approx(expected)


def test_generated_images_are_corrected_over_the_arms_that_are_held_against_copies(inference):
    for dataset in SETS:
        here = [c for (name, *_), c in inference.controls.items() if name == dataset]
        assert [c.group.arm for c in here] == ["cvae", "cgan"]
        assert {c.base.arm for c in here} == {"duplicate"}
        np.testing.assert_allclose([c.holm for c in here], corrected([c.result.p_family for c in here], "holm"))


def test_what_the_verdict_could_have_found_counts_the_comparisons_that_it_is_corrected_over(inference):
    for c in inference.tests.values():
        r, limits = c.result, stats.variance_limits(c.result)
        for today, ever in ((1, 1), (4, 4), (40, 40), (4, 40)):
            family, found = max(today, ever), dataclasses.replace(c, family=today, family_ever=ever).detectable
            for size, v in zip((found.low, found.high), limits, strict=True):
                expected = stats.detectable_difference(v, r.replicates, r.images, tests=family)
                assert size == pytest.approx(expected)
        assert c.detectable.low > c.outlook.detectable.low
        assert c.detectable.high > c.outlook.detectable.high


def test_an_effect_is_the_arm_less_the_baseline_on_the_images_of_its_data_set(inference):
    for (dataset, arm, sampling), c in inference.tests.items():
        hits = [[random_hits(dataset, a, sampling, r) for r in range(4)] for a in (arm, "baseline")]
        expected = stats.crossed(np.subtract(*np.asarray(hits, float)))
        assert (c.result.effect, c.result.p) == pytest.approx((expected.effect, expected.p))
        assert c.chance == stats.chance_to_beat(*np.mean(hits, axis=2))


def test_arms_that_share_the_first_place_are_those_within_5_percent_by_the_corrected_test(inference):
    judged = 0
    for dataset in SETS:
        for names in itertools.combinations(LEVELS, 3):
            arms = {a: {r: random_hits(dataset, a, "shuffle", r) for r in range(4)} for a in names}
            found = stats.best_arms(arms)
            expected = {(a, "shuffle") for a, p in found.p.items() if p > 0.05}
            for c in (*inference.tests.values(), *inference.controls.values()):  # these have their own verdict
                arms = {c.group.arm, c.base.arm}
                if c.group.dataset == dataset and found.best in arms and arms <= {*names}:
                    other = {(arm, "shuffle") for arm in arms - {found.best}}
                    expected = expected | other if c.word == "not distinguishable" else expected - other
            assert inference.leaders(dataset, [(a, "shuffle") for a in names], "accuracy") == expected
            judged += any(0.05 < p < 0.5 for p in found.p.values())
    assert judged > 3


def test_the_best_of_some_arms_is_held_against_another_corrected_for_having_been_chosen(inference):
    pairs = [(arm, "shuffle") for arm in ("gda", "cvae", "cgan")]
    for dataset in SETS:
        found = inference.best_over(dataset, pairs, ("duplicate", "shuffle"))
        assert (found.group.arm, found.base.arm) == ("cvae", "duplicate")
        others = [(arm, "shuffle") for arm in LEVELS if arm != "duplicate"]
        alone = {p: inference.compare(inference.results.groups[dataset, *p], found.base, "accuracy") for p in others}
        by_hand = corrected([c.result.p_family for c in alone.values()], "holm")
        assert found.p == pytest.approx(dict(zip(alone, by_hand, strict=True))["cvae", "shuffle"])


def test_an_arm_against_the_baseline_has_one_verdict_and_one_p_wherever_it_is_shown(inference):
    """Also where the log has more arms than today's, among which the difference is not clear."""
    mine = copy.copy(inference)
    mine.__dict__ = {name: value for name, value in vars(inference).items() if name not in ("_declared", "by_effect")}
    mine.tests = {cell: dataclasses.replace(c, holm_ever=min(1.0, 20 * c.holm)) for cell, c in inference.tests.items()}
    assert any(c.word != c.today for c in mine.tests.values())
    results = mine.results

    def shown(entry: Entry) -> tuple[str | None, float | None]:
        return (entry.verdict or str(entry.value)), entry.p

    seen = 0
    for place, dataset in enumerate(SETS):
        own = {cell[1]: (c.word, c.p) for cell, c in mine.tests.items() if cell[0] == dataset}
        best = mine.best_over(dataset, [("cvae", "shuffle"), ("cgan", "shuffle")], results.reference)
        assert shown(cell(tables.with_added_images(results, mine), place, "over.baseline")) == own[best.group.arm]
        gain = cell(tables.best_models(results, mine), place, "validation.gain")
        assert shown(gain) == own[results.best[dataset].arm]
        for (one, other), c in mine.pairs(dataset).items():
            if one == results.reference:
                assert (MIRROR.get(c.word, c.word), c.p) == own[other[0]]
        for row in numbers(verdicts(results, mine, lambda name: name)):
            assert shown(row[dataset]) == own[row["arm"].name.partition(".")[0]]
        for row in numbers(evidence_tables.claims(results, mine)):
            if row["dataset"].name == dataset:
                assert shown(row["verdict"]) == own[row["arm"].name.partition(".")[0]]
                seen += 1
        for row in numbers(evidence_tables.tests(results, mine)):
            if row["dataset"].name == dataset:
                assert row["verdict"].value == own[row["arm"].name.partition(".")[0]][0]
    assert seen == len(mine.tests)


def test_wins_are_counted_over_the_data_sets_and_corrected_for_the_arms_beside_the_baseline(inference):
    assert (inference.reach.pairs, inference.reach.tests) == (3, 4)


@pytest.mark.parametrize(
    ("copies", "more", "found"),
    [({}, {}, True), ({"amount": {"fraction": 0.2}}, {}, False), ({}, {"augment": [{"layer": "hue"}]}, False)],
    ids=["as many", "more copies", "other steps"],
)
def test_a_control_adds_as_many_copies_and_does_nothing_else(copies, more, found, tmp_path):
    arms = {"baseline": {}, "cvae": {"add": {"generator": "cvae"}, **more}, "copies": {"duplicate": copies}}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=1)
    results = results_of(tmp_path, study, leave_out=lambda task: True)
    assert results.control("cvae") == ("copies" if found else None)


def test_a_result_that_was_changed_reaches_no_table(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=2, samplings=["shuffle"])
    plan, store = fake_results(study, tmp_path)
    changed = next(c.task for c in plan.runs if (c.arm, c.replicate) == ("gda", 1))
    (store.folder(changed) / "history.json").write_text("[]")
    results = Results(study, plan, store)
    assert [run.name for run in results.runs if not run.done] == ["breastmnist.gda.shuffle.1"]
    (test,) = Inference(results).tests.values()
    assert (test.result.replicates, test.result.planned) == (1, 2)


@pytest.mark.parametrize(
    ("column", "pair"),
    [
        ("baseline", ("baseline", "shuffle")),
        ("wrs", ("baseline", "weighted")),
        ("gda", ("gda", "shuffle")),
        ("wrs_gda", ("gda", "weighted")),
    ],
)
def test_what_the_paper_printed_is_read_from_the_column_of_its_arm_and_sampling(column, pair):
    paper = references.load("le-roux")
    table = paper.table("without-added-images")
    assert table is not None
    for dataset, row in table.scores.items():
        for metric in ("accuracy", "auc"):
            assert paper.score(dataset, *pair, metric) == pytest.approx(row[column][metric] / 100)
    assert paper.score("breastmnist", *pair, "macro_f1") is None


# --- which epoch, and chosen on what -----------------------------------------------------------------


@pytest.mark.parametrize("select", ["last", "best_validation_accuracy"])
def test_every_number_is_of_the_epoch_that_the_studys_rule_chooses(select, tmp_path):
    """At the last epoch the arm is right on a quarter more of the images."""
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    how = {"arms": arms, "replicates": 2, "samplings": ["shuffle"], "classifier": {"select": select}}
    study = fake_study(datasets=("breastmnist",), **how)
    late = 0.25 if select == "last" else 0.0
    results = results_of(tmp_path, study, score=lambda *c: 0.5, late=lambda d, arm, s, r: 0.25 if arm == "gda" else 0.0)
    inference = Inference(results)
    (test,) = inference.tests.values()
    assert test.result.effect == pytest.approx(late)
    assert cell(tables.without_added_images(results, inference), 0, "gda.shuffle.accuracy").value == 0.5 + late
    best = tables.best_models(results, inference)
    assert cell(best, 0, "validation.model").value == ("Geometric" if late else "No augmentation")
    assert cell(best, 0, "validation.accuracy").value == 0.5 + late
    _, ranks = inference.ranks
    assert ranks.datasets == 1


def test_the_best_model_is_chosen_on_validation_images_and_what_the_test_images_would_choose_stands_beside(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "gda", "duplicate")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=2, samplings=["shuffle"])
    on_test, held_out = {"baseline": 0.5, "gda": 0.6, "duplicate": 0.7}, {"baseline": 0.5, "gda": 0.9, "duplicate": 0.6}
    results = results_of(
        tmp_path, study, score=lambda d, arm, s, r: on_test[arm], held_out=lambda d, arm, s, r: held_out[arm]
    )
    assert results.best["breastmnist"].arm == "gda"
    assert results.best_on_test["breastmnist"].arm == "duplicate"
    table = tables.best_models(results, Inference(results))
    right = {arm: round(level * 156) / 156 for arm, level in on_test.items()}
    for choice, arm in (("validation", "gda"), ("test", "duplicate")):
        assert cell(table, 0, f"{choice}.model").value == results.variant(arm, "shuffle")
        assert cell(table, 0, f"{choice}.accuracy").value == pytest.approx(right[arm])
        assert cell(table, 0, f"{choice}.gain").value == pytest.approx(right[arm] - right["baseline"])
    assert cell(table, 0, "optimism").value == pytest.approx(right["duplicate"] - right["gda"])


# --- what may be said ----------------------------------------------------------------------------------


def made_up(word: str, *, effect: float = 0.03, low: float | None = None, high: float | None = None) -> Comparison:
    """A comparison with this verdict, and an interval that fits it unless one is given."""
    sign = {"better": 1, "worse": -1}.get(word, 1)
    effect = sign * abs(effect)
    result = stats.crossed(effect + 0.05 * np.random.default_rng(0).normal(size=(4, 50)), planned=4)
    width = 0.05 if word == "not distinguishable" else 0.01
    low, high = effect - width if low is None else low, effect + width if high is None else high
    result = dataclasses.replace(result, effect=effect, low=low, high=high)
    holm = {"better": 0.01, "worse": 0.01, "not distinguishable": 0.4}.get(word)
    if word == "not tested":
        result = stats.Crossed(effect, 1, 4, 50, reason="one replicate: no test")
    group = Group("breastmnist", "gda", "shuffle", ())
    comparison = Comparison(group, group, "accuracy", result, holm=holm, family=4)
    assert comparison.word == word
    return comparison


WORDS = ("better", "worse", "not distinguishable", "not tested")


@pytest.mark.parametrize("control", [None, *WORDS])
@pytest.mark.parametrize("word", WORDS)
def test_more_than_copies_is_said_only_where_both_comparisons_say_so_and_denied_where_they_do_not(word, control):
    beside = None if control is None else made_up(control)
    can = findings.can_be_said(made_up(word), beside)
    cannot = findings.cannot_be_said(made_up(word), beside, (), generated=True)
    both = word == control == "better"
    assert ("copies" in can) == both
    assert ("copies" in cannot) == (word == "better" and not both)
    assert "copies" not in findings.cannot_be_said(made_up(word), beside, (), generated=False)


def test_an_arm_raises_lowers_or_leaves_the_metric_as_its_verdict_says():
    said = {word: findings.can_be_said(made_up(word), None) for word in WORDS}
    assert {word: ("raises" in text, "lowers" in text) for word, text in said.items()} == {
        "better": (True, False),
        "worse": (False, True),
        "not distinguishable": (False, False),
        "not tested": (False, False),
    }
    for word in WORDS:  # where there is a verdict, "helps or harms" is not among what cannot be said
        text = findings.cannot_be_said(made_up(word), None, (), generated=False)
        assert ("harms" in text) == (word in ("not distinguishable", "not tested"))


@pytest.mark.parametrize(("low", "high", "word"), [(0.001, 0.05, "helps"), (-0.05, -0.001, "harms")])
def test_an_interval_that_leaves_out_0_alone_is_denied_with_its_own_sign(low, high, word):
    comparison = made_up("not distinguishable", effect=(low + high) / 2, low=low, high=high)
    text = findings.cannot_be_said(comparison, None, (), generated=False)
    assert text.startswith(f"That it {word}: ")
    assert "4 comparisons" in text


@pytest.mark.parametrize("word", ["better", "not distinguishable"])
def test_the_papers_difference_is_denied_only_where_it_lies_outside_the_interval(word):
    comparison = made_up(word, low=-0.005 if word != "better" else 0.02, high=0.04)
    edges = comparison.result.low, comparison.result.high
    for said, inside in ((edges[0], True), (edges[1], True), (edges[0] - 0.001, False), (edges[1] + 0.001, False)):
        text = findings.cannot_be_said(comparison, None, [("the paper", said)], generated=False)
        assert ("outside" in text or "does not" in text) == (not inside)


def test_the_conclusion_names_arms_that_differ_with_what_their_tests_say_and_no_other(inference):
    results, text = inference.results, " ".join(findings.conclusion(inference.results, inference))
    words = [c.word for c in inference.tests.values()]
    left = 0
    for one in inference.by_effect:
        own = [c.word for (_, arm, _), c in inference.tests.items() if arm == one.arm]
        label, sides = results.variant(one.arm, one.sampling), set(own) & {"better", "worse"}
        said = re.findall(rf"(?:^|(?<=\. )){re.escape(label)}: (.*?)\.(?: |$)", text)
        if said:
            for word in sides:
                here = [c for (_, arm, _), c in inference.tests.items() if arm == one.arm and c.word == word]
                few = len(here) <= findings._NAMED
                assert f"{word} on {results.title(here[0].group.dataset) if few else len(here)}" in said[0]
                assert all(results.title(c.group.dataset) in said[0] for c in here) == few
                assert all(findings.points(c.result.effect, 1) in said[0] for c in here if few)
            average = (one.effect, one.low, one.high)
            shown = one.word in ("better", "worse")
            assert all(findings.points(value, 1) in said[0] for value in average) or not shown
            assert ("inconclusive on average" in said[0]) == (not shown)
        left += not said and bool(sides)
        assert sides or not said
    assert f"Other arms: {left} better." in text
    named = {word: words.count(word) for word in ("better", "worse")}
    assert (
        "12 comparisons (4 arms on each of 3 data sets), corrected for all arms of a data set: "
        f"{named['better']} better, {named['worse']} worse" in text
    )
    assert f"{12 - sum(named.values())} inconclusive" in text


def test_arms_stand_in_the_order_of_their_effect_and_those_without_one_last(inference):
    assert [one.arm for one in inference.by_effect] == ["cvae", "gda", "cgan", "duplicate"]  # copies are a control
    effects = [one.effect for one in inference.by_effect if one.arm != "duplicate"]
    assert effects == sorted(effects, reverse=True)
    assert effects[1] < inference.by_effect[-1].effect
    other = Inference.__new__(Inference)
    across = [dataclasses.replace(one, meta=dataclasses.replace(one.meta, effect=None)) for one in inference.across[:2]]
    tests = {cell: c for cell, c in inference.tests.items() if cell[1] != across[0].arm}
    other.__dict__.update(inference.__dict__, across=[*across, *inference.across[2:]], tests=tests)
    del other.__dict__["by_effect"]
    last = next(one for one in reversed(other.by_effect) if one.arm != "duplicate")
    assert (last.arm, last.effect, last.word) == (across[0].arm, None, "not tested")
    (mean,) = (one for one in other.by_effect if one.arm == across[1].arm)
    own = [c.result.effect for (_, arm, _), c in tests.items() if arm == mean.arm]
    assert (mean.effect, mean.low, mean.word) == (pytest.approx(np.mean(own)), None, "not tested")


def test_the_statistical_power_that_is_said_is_the_median_arms_and_no_more_than_the_metric_can_rise(inference):
    results = inference.results
    here = [c for c in inference.tests.values() if c.group.dataset == SETS[0]]
    above = 1 - np.mean(here[0].base.values(results.select, "test", "accuracy"))

    def said(*highs: float) -> str:
        found = [dataclasses.replace(c) for c in here]
        for c, high in zip(found, highs, strict=False):
            c.__dict__["detectable"] = stats.Range(0.001, high)
        (text,) = findings.power(results, found[: len(highs)])
        assert (", median arm)" in text) == (len(highs) > 1)
        claimed = any(c.word in ("better", "worse") for c in found[: len(highs)])
        assert text.endswith(" Arms that vary less show smaller ones.") == (len(highs) > 1 and claimed)
        assert text.startswith("Smallest detectable difference, upper limit (80 % power, ")
        return text

    for highs, median in (((0.05,), 5), ((0.06, 0.02, 0.9), 6), ((0.9, 0.04, 0.03, 0.07), 4)):
        text = said(*highs).removesuffix(" Arms that vary less show smaller ones.")
        assert text.endswith(f"): on BreastMNIST {median}.0 points.")
    gain = f"even the largest possible gain in test accuracy ({100 * above:.1f} points)"
    assert f"{gain} is missed in more than 1 of 5" in said(above + 0.01)
    assert "no gain" not in said(above - 0.01)
    assert "any difference, however large, is missed in more than 1 of 5" in said(1.0)


def test_the_power_of_several_data_sets_names_two_and_gives_the_range_of_more(inference):
    found = {}
    for cell, c in inference.tests.items():
        found[cell] = dataclasses.replace(c)
        found[cell].__dict__["detectable"] = stats.Range(0.001, {SETS[0]: 0.02, SETS[1]: 0.05}.get(cell[0], 0.03))
    (said,) = findings.power(inference.results, list(found.values()))
    assert "on 3 data sets 2.0 to 5.0 points." in said
    (said,) = findings.power(inference.results, [c for (d, *_), c in found.items() if d != SETS[2]])
    assert "on BreastMNIST and Phantom ultrasound 2.0 and 5.0 points." in said


def with_ends(c: Comparison, low: float, high: float) -> Comparison:
    """The same comparison, inconclusive, with this interval."""
    result = dataclasses.replace(c.result, effect=(low + high) / 2, low=low, high=high)
    return dataclasses.replace(c, result=result, holm=0.4, holm_ever=0.4)


def test_what_is_left_open_reaches_from_the_lowest_to_the_highest_end_of_what_is_inconclusive_and_no_further(inference):
    tests = list(inference.tests.values())
    clear = [c for c in tests if c.word == "better"]
    ends = (-0.02, 0.01), (-0.031, 0.004), (0.001, 0.06)
    unclear = [with_ends(c, *both) for c, both in zip(tests, ends, strict=False)]
    assert {c.word for c in unclear} == {"not distinguishable"}
    head = "Inconclusive: neither gain, loss nor equivalence is shown"
    said = f"{head}; 95 % intervals of single comparisons reach from −3.1 to +6.0 points."
    assert findings._left_open(unclear) == findings._left_open([*clear, *unclear]) == [said]
    (alone,) = findings._left_open(unclear[:1])
    assert alone.endswith("; the 95 % interval reaches from −2.0 to +1.0 points.")
    assert findings._left_open(clear) == []
    assert findings._left_open(unclear[2:]) == findings._left_open([with_ends(tests[0], -0.06, -0.001)]) == [f"{head}."]


def test_comparisons_are_counted_as_arms_on_each_data_set_only_where_every_arm_is_on_each(inference):
    tests = list(inference.tests.values())
    whole, *_ = findings._counted(inference.results, tests, tests)
    fewer, *_ = findings._counted(inference.results, tests[1:], tests[1:])
    here = [c for c in tests if c.group.dataset == SETS[0]]
    one, *_ = findings._counted(inference.results, here, here)
    for said, of in ((whole, "4 arms on each of 3"), (fewer, "4 arms on 3"), (one, "4 arms on 1")):
        assert f"({of} data set{'' if said is one else 's'}), corrected for all arms of a data set: " in said


def test_of_arms_that_harm_the_worst_is_named_first_and_a_control_last(inference):
    levels = {"cvae": -0.1, "gda": -0.2, "cgan": -0.05, "duplicate": -0.3}
    other = Inference.__new__(Inference)
    arms = [
        dataclasses.replace(one, effect=levels[one.arm], word="worse", counts={"worse": 3})
        for one in inference.by_effect
    ]
    tests = {
        cell: dataclasses.replace(
            c, result=dataclasses.replace(c.result, effect=levels[cell[1]]), holm=0.01, holm_ever=0.01
        )
        for cell, c in inference.tests.items()
    }
    other.__dict__.update(inference.__dict__, by_effect=arms, tests=tests)
    text = " ".join(findings.conclusion(inference.results, other))
    assert text.index("Geometric: worse") < text.index("Conditional VAE: worse")
    assert "control): worse" not in text


def test_the_conclusion_says_how_many_test_images_training_knows_the_largest_share_first(inference, monkeypatch):
    results = inference.results
    assert findings.known_images(results) == []
    for dataset, known, size in zip(SETS, (80, 60, 0), (1000, 156, 156), strict=True):
        values = results.data(dataset).record.values
        monkeypatch.setitem(values["splits"]["test"], "images", size)
        found = {"in_train": known // 2, "near_in_train": known - known // 2}
        monkeypatch.setitem(values, "audit", {"test": found})
    monkeypatch.setitem(results.__dict__, "leaks", lambda dataset: {"known": ""} if dataset != SETS[2] else {})
    said = (
        "Test images known from training: Phantom ultrasound 60 of 156 (38.5 %: 30 identical and 30 nearly identical) "
        "and BreastMNIST 80 of 1,000 (8.0 %: 40 identical and 40 nearly identical). Scores count them, and so say less "
        "about new images."
    )
    assert findings.known_images(results) == [said]
    assert said in findings.conclusion(results, inference)
    monkeypatch.setattr(findings, "_KNOWN", 2)
    assert findings.known_images(results) == [said]
    monkeypatch.setattr(findings, "_KNOWN", 1)
    (short,) = findings.known_images(results)
    assert "(38.5 %: 30 identical and 30 nearly identical) and some of 1 more data set. Scores" in short


def test_without_a_test_the_distance_between_arms_is_said_as_it_is(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=1, samplings=["shuffle"])
    results = results_of(tmp_path, study, score=lambda d, arm, s, r: (90 if arm == "gda" else 78) / 156)
    said = " ".join(findings.answer(results, Inference(results)))
    assert "every arm was trained once" in said
    assert "BreastMNIST +7.7" in said


@pytest.mark.parametrize("holm", [0.01, 0.2])
def test_claims_over_data_sets_have_the_sign_of_the_mean_and_only_those_that_hold_after_correction(holm, inference):
    other = Inference.__new__(Inference)
    found = [dataclasses.replace(one, holm=holm, holm_ever=None) for one in inference.across]
    other.__dict__.update(inference.__dict__, across=found)
    over = [text for kind, text in findings.claims(inference.results, other) if kind == "can" and text[:5] == "Over "]
    assert len(over) == (4 if holm <= 0.05 else 0)
    assert {one.meta.effect > 0 for one in found} == {True, False}
    for text, one in zip(over, found, strict=False):
        verb = "raises" if one.meta.effect > 0 else "lowers"
        assert f"{inference.results.variant(one.arm, one.sampling)} {verb} test" in text
        assert f"by {unsigned(one.meta.effect)} points" in text


def test_that_images_do_more_than_copies_is_claimed_of_those_that_do(inference):
    over = [c for c in inference.controls.values() if c.word == "better"]
    assert {c.group.arm for c in over} == {"cvae"}
    (text,) = [t for kind, t in findings.claims(inference.results, inference) if "copies of real images do" in t]
    assert text.count("Conditional VAE") == len(over)
    assert "GAN" not in text
    none = {key: dataclasses.replace(c, holm=0.5) for key, c in inference.controls.items()}
    other = Inference.__new__(Inference)
    other.__dict__.update(inference.__dict__, controls=none)
    kinds = [kind for kind, t in findings.claims(inference.results, other) if "as many copies of real images" in t]
    assert kinds == ["cannot"]


def test_differences_that_are_claimed_stand_with_the_sign_and_interval_of_their_test(inference):
    said = [text for kind, text in findings.claims(inference.results, inference) if kind == "can" and text[:3] == "On "]
    differ = [c for word in ("better", "worse") for c in inference.tests.values() if c.word == word]
    assert len(said) == len(differ)
    for text, c in zip(said, differ, strict=True):
        assert f" is {c.word} than " in text
        for number in (c.result.effect, c.result.low, c.result.high):
            assert findings.points(number) in text
        assert findings.p_text(c.holm) in text


def test_the_table_of_tests_shows_each_number_under_its_own_name(inference):
    table = evidence_tables.tests(inference.results, inference)
    keys = [column.key for column in table.columns]
    for row, c in zip(table.rows, inference.tests.values(), strict=True):
        shown = dict(zip(keys, (entry.value for entry in row.entries), strict=True))
        r = c.result
        expected = {
            "verdict": c.word,
            "effect": r.effect,
            "low": r.low,
            "high": r.high,
            "p": r.p_family,
            "holm": c.holm,
        }
        size = c.detectable
        expected |= {"fdr": c.fdr, "detectable_low": size.low, "detectable_high": size.high if size.high < 1 else None}
        expected |= {"chance": c.chance, "boot_low": c.bootstrap[0], "boot_high": c.bootstrap[1]}
        expected |= {"replicates": r.replicates, "planned": 4}
        assert {key: shown[key] for key in expected} == expected


def numbers(table: Table) -> list[dict[str, Entry]]:
    """The rows of a table as column → entry."""
    keys = [column.key for column in table.columns]
    return [dict(zip(keys, row.entries, strict=True)) for row in table.rows]


def test_the_table_of_claims_shows_the_corrected_p_the_interval_and_what_its_sentences_say(inference):
    rows = numbers(evidence_tables.claims(inference.results, inference))
    for row, ((dataset, arm, sampling), c) in zip(rows, inference.tests.items(), strict=True):
        assert (row["verdict"].value, row["verdict"].p) == (c.word, c.holm)
        effect, r = row["effect"], c.result
        assert (effect.value, effect.low, effect.high, effect.n, effect.planned) == (r.effect, r.low, r.high, 4, 4)
        control, generated = inference.controls.get((dataset, arm, sampling)), arm in ("cvae", "cgan")
        beside, room = findings.caution(inference.results, inference, c), findings.room(inference.results, c)
        assert row["can"].value == findings.can_be_said(c, control, beside, room)
        assert row["cannot"].value == findings.cannot_be_said(c, control, (), generated=generated)


def test_the_table_over_data_sets_shows_each_number_under_its_own_name(inference):
    rows = numbers(evidence_tables.across(inference.results, inference))
    for row, one in zip(rows, inference.across, strict=True):
        shown = {name: row[name].value for name in ("effect", "low", "high", "p", "prediction_low", "prediction_high")}
        assert shown == {name: getattr(one.meta, name) for name in shown}
        assert (row["holm"].value, row["tau"].value, row["datasets"].value) == (one.holm, one.meta.tau, 3)


def test_bold_is_the_highest_mean_of_a_row_and_those_that_a_test_does_not_tell_from_it_are_marked(inference):
    pairs = [(arm, "shuffle") for arm in ("cvae", "cgan", "duplicate")]
    rows = numbers(tables.with_added_images(inference.results, inference))
    for dataset, row in zip(SETS, rows, strict=True):
        tied = inference.leaders(dataset, pairs, "accuracy")
        marks = {pair: row[f"{pair[0]}.shuffle.accuracy"] for pair in pairs}
        assert [pair[0] for pair, entry in marks.items() if entry.best] == ["cvae"]
        assert {pair for pair, entry in marks.items() if entry.tied} == tied
        best = inference.best_over(dataset, pairs[:2], ("baseline", "shuffle"))
        assert (row["over.baseline"].value, row["over.baseline"].p) == (best.word, best.holm)


def test_the_best_of_the_generators_is_a_generators_even_where_copies_do_better(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
    levels = {"baseline": 0.9, "cvae": 0.5, "duplicate": 0.95}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=3, samplings=["shuffle"])
    results = results_of(tmp_path, study, score=lambda d, arm, s, r: levels[arm])
    (row,) = numbers(tables.with_added_images(results, Inference(results)))
    assert row["over.baseline"].value == "worse"


def test_an_arm_whose_images_an_earlier_version_judged_has_no_map_and_the_page_says_how_to_get_one(
    inference, monkeypatch
):
    record = next(o.record for _, o in inference.results.makings("quality", "breastmnist", "cvae") if o.record)

    def page():
        book = Book(inference.results, inference=inference)
        found = synthetic_images(book)
        assert len(found["maps"]) == len(found["pairs"])
        return next(one for one in found["maps"] if "figure" in one or one["reason"]), book.files

    found, files = page()
    assert "two numbers" in found["figure"].caption
    assert "(50 % and 20 %)" in found["figure"].caption
    assert found["figure"].file in files
    monkeypatch.delitem(record.values["spaces"]["features"], "map")
    found, files = page()
    assert f"delete {record.folder.name} from the results folder" in found["reason"]
    assert not [name for name in files if "map-breastmnist-cvae" in name]


def test_a_network_of_synthetic_images_that_names_one_class_is_marked_as_other_runs_are(inference, monkeypatch):
    results = inference.results
    records = [o.record for _, o in results.makings("usefulness", "breastmnist", "cvae") if o.record]
    assert numbers(quality_tables.usefulness(results))[0]["synthetic_to_real"].tags == ()
    for record, confusion in zip(records, ([[0, 52], [0, 104]], [[30, 22], [30, 74]]), strict=False):
        monkeypatch.setitem(record.values["scores"]["3"]["test"], "confusion", confusion)
    table = quality_tables.usefulness(results)
    assert numbers(table)[0]["synthetic_to_real"].tags == (f"one class 1/{len(records)}",)
    assert any(note.startswith("Tags count the runs") for note in table.notes)


def test_the_tables_of_synthetic_images_show_each_number_under_its_own_name(inference):
    results = inference.results
    record = next(o.record for _, o in results.makings("quality", "breastmnist", "cvae") if o.record)
    values, spaces = record.values, record.values["spaces"]
    row = numbers(quality_tables.usefulness(results))[0]
    assert row["consistency"].value == pytest.approx(values["class_consistency"]["value"])
    assert row["ceiling"].value == pytest.approx(values["class_consistency"]["ceiling"])
    assert row["near"].value == pytest.approx(values["duplicates"]["near"])
    assert row["near_real"].value == pytest.approx(values["duplicates"]["near_real"])
    row = numbers(quality_tables.shortcut(results))[0]
    assert [row[key].value for key in ("told_apart", "told_apart_test", "class_told")] == pytest.approx(
        [0.7, 0.5, 0.07]
    )
    row = numbers(quality_tables.copying(results))[0]
    found = next(iter(spaces.values()))["copying"]
    for key, expected in (
        ("verdict", found["verdict"]),
        ("identical", found["identical"]),
        ("identical_test", found["identical_test"]),
        ("train", found["train_distance"]["median"]),
        ("test", found["test_distance"]["median"]),
    ):
        assert row[key].value == expected, key
    rows = [row for row in numbers(quality_tables.classes(results)) if row["precision"].value is not None]
    one = spaces["features"]["classes"][1]
    for name in ("precision", "recall", "density", "coverage"):
        assert rows[0][name].value == pytest.approx(one[name])
        assert rows[0][f"real_{name}"].value == pytest.approx(one["real"][name])


def test_a_distance_over_replicates_has_students_interval_of_their_values(inference):
    results = inference.results
    outcomes = [outcome for _, outcome in results.makings("quality", "breastmnist", "cvae")]
    distances = [outcome.record.values["spaces"]["features"]["kid"]["value"] for outcome in outcomes]
    entry, expected = numbers(quality_tables.similarity(results))[0]["features.kid"], stats.estimate(distances)
    assert (entry.value, entry.n) == (pytest.approx(expected.mean), 4)
    half = pytest.approx(expected.half_width)
    assert (entry.high - entry.value, entry.value - entry.low) == (half, half)


def test_usefulness_is_of_the_epoch_that_the_study_selects_and_copies_have_none(tmp_path, monkeypatch):
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
    study = fake_study(datasets=("breastmnist",), arms=arms, samplings=["shuffle"], replicates=1)
    results = results_of(tmp_path, study)
    ((_, outcome),) = results.makings("usefulness", "breastmnist", "cvae")
    scores = outcome.record.values["scores"]
    last = {"test": {**scores["3"]["test"], "accuracy": 0.1}}
    monkeypatch.setitem(outcome.record.values, "scores", {**scores, "9": last})
    monkeypatch.setitem(outcome.record.values, "selected", {**outcome.record.values["selected"], "last": 9})
    added, copied = numbers(quality_tables.usefulness(results))
    assert added["synthetic_to_real"].value == 0.7
    assert copied["synthetic_to_real"].value is None
    assert copied["synthetic_to_real"].missing == "copies of real images"
    assert [row["arm"].name for row in numbers(quality_tables.shortcut(results))] == ["cvae"]


@pytest.mark.parametrize(
    ("auc", "told", "warned"),
    [(0.9, 0.2, True), (0.8, 0.05, True), (0.79, 0.2, False), (0.9, 0.04, False), (None, 0.2, False)],
)
def test_the_first_page_warns_of_a_shortcut_where_images_are_told_apart_and_tell_the_class(
    tmp_path, monkeypatch, auc, told, warned
):
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
    study = fake_study(datasets=("breastmnist",), arms=arms, samplings=["shuffle"])
    results = results_of(tmp_path, study)
    for _, outcome in results.makings("quality", "breastmnist", "cvae"):
        monkeypatch.setitem(outcome.record.values, "shortcut", {"auc": auc, "auc_test": 0.5, "class_told": told})
    every = findings.caveats(results, Inference(results))
    said = [sentence for sentence in every if "can be told from real training images" in sentence]
    assert bool(said) is warned
    if warned:
        measured = f"AUC {100 * auc:.1f} % (real test images: 50.0 %), {100 * told:.0f} % of the class"
        assert f"(BreastMNIST: {measured}, n = {len(results.makings('quality', 'breastmnist', 'cvae'))})" in said[0]


@pytest.mark.parametrize(("level", "replicates", "said"), [(0.5, 3, True), (0.5, 2, False), (0.9, 4, False)])
def test_the_answer_says_where_no_arm_is_shown_to_have_an_auc_above_that_of_chance(tmp_path, level, replicates, said):
    def hits(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
        number = np.random.default_rng([list(ARMS).index(arm), replicate]).random(156)
        return number < (level if arm == "gda" else 0.5)

    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=replicates, samplings=["shuffle"])
    results = results_of(tmp_path, study, hits=hits)
    inference = Inference(results)
    found = [text for text in findings.conclusion(results, inference) if "above that of chance" in text]
    assert bool(found) is said
    for group in results.groups.values():
        effect = inference.level(group, "auc").effect
        assert effect == pytest.approx(np.mean(list(inference.of_runs(group, "auc").values())), abs=1e-9)
    if said:
        groups = {results.variant(g.arm, g.sampling): inference.level(g, "auc") for g in results.groups.values()}
        label, one = max(groups.items(), key=lambda item: item[1].effect)
        assert all(g.low < 0.5 for g in groups.values())
        middle, low, high = (f"{100 * value:.1f}" for value in (one.effect, one.low, one.high))
        assert f"BreastMNIST (highest: {label}, {middle} % (95 % interval {low} to {high}))" in found[0]


def test_of_findings_a_shortcut_tells_something_of_the_findings_and_not_of_a_class(tmp_path, monkeypatch):
    arms = {name: ARMS[name] for name in ("baseline", "cvae")}
    study = fake_study(datasets=("chestmnist",), arms=arms, samplings=["shuffle"], primary="auc")
    results = results_of(tmp_path, study)
    for _, outcome in results.makings("quality", "chestmnist", "cvae"):
        monkeypatch.setitem(outcome.record.values, "shortcut", {"auc": 0.9, "auc_test": 0.5, "class_told": 0.2})
    (said,) = findings.shortcuts(results)
    assert "and that tells something of the findings (ChestMNIST: AUC 90.0 %" in said
    assert "20 % of the rarest finding, n = 3)" in said
    assert "class" not in said


@pytest.mark.parametrize("number", [3, 4])
def test_more_than_three_arms_with_a_possible_shortcut_share_a_sentence(tmp_path, monkeypatch, number):
    names = [f"cvae-{place}" for place in range(number)]
    added = {
        name: {**ARMS["cvae"], "label": name, "add": {"generator": "cvae", "amount": {"images": 50 + place}}}
        for place, name in enumerate(names)
    }
    study = fake_study(
        datasets=("breastmnist",), arms={"baseline": ARMS["baseline"], **added}, samplings=["shuffle"], replicates=1
    )
    results = results_of(tmp_path, study)
    for name in names:
        for _, outcome in results.makings("quality", "breastmnist", name):
            shortcut = {"auc": 0.9, "auc_test": 0.5, "class_told": 0.2}
            monkeypatch.setitem(outcome.record.values, "shortcut", shortcut)
    said = findings.shortcuts(results)
    assert len(said) == (3 if number == 3 else 1)
    assert all(name in " ".join(said) for name in names)
    assert ("Images of 4 arms (cvae-0; cvae-1; cvae-2; cvae-3) can be told" in said[0]) is (number == 4)


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        (
            lambda title: "gda" in title and "replicate 2" in title,
            r"no result: 2 arms \(Geometric, with and without weighting\) have 2 of 3 replicates\.$",
        ),
        (
            lambda title: "gda" in title and "histology" in title,
            r"no result: 2 arms \(Geometric, with and without weighting\) have 0 of 3 replicates on some data set\.$",
        ),
        (
            lambda title: ("gda" in title or "cvae" in title) and "replicate 2" in title,
            r"no result: 4 arms \(Geometric and Conditional VAE, each with and without weighting\) have 2 of 3 rep",
        ),
        (
            lambda title: "gda, weighted" in title and "replicate 2" in title,
            r"no result: Geometric \(weighted\) has 2 of 3 replicates\.$",
        ),
        (lambda title: "replicate 2" in title, r"no result\.$"),
    ],
)
def test_arms_with_fewer_replicates_than_others_are_named(tmp_path: Path, missing: Callable[[str], bool], said: str):
    study = fake_study(replicates=3)
    plan, store = fake_results(
        study, tmp_path, leave_out=lambda task: task.kind == "classifier" and missing(task.title)
    )
    (sentence,) = findings._unfinished(Results(study, plan, store))
    assert re.search(said, sentence), sentence
