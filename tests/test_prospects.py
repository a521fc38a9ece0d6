"""What `plan --power` and the first page of an unfinished study announce, before there is a result."""

import argparse
import importlib
import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study, hash_text

from medaug_keras import report
from medaug_keras.cli import main, memory
from medaug_keras.cli import power as terminal
from medaug_keras.durations import Durations, duration, per_replicate
from medaug_keras.plan import Source, plan
from medaug_keras.report.format import DASH
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.prospects import TYPICAL, Precedent, Prospect, prospects
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.report.tables import prospects as tables
from medaug_keras.spec import Study
from medaug_keras.stats import Components, Crossed, Range, replicates_needed, variance_limits
from medaug_keras.store import Store
from studies import tiny, written

ROOT = Path(__file__).parents[1]


def hits(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """Hard images are hard for every arm; runs and arms differ on the others."""
    hard = np.random.default_rng(hash_text(dataset)).random(156)
    return hard + np.random.default_rng([hash_text(arm), replicate]).normal(0, 0.3, 156) < 0.8


def inference_of(root, *, arms=("baseline", "gda"), replicates=4, leave_out=lambda task: False, **more) -> Inference:
    study = fake_study(
        datasets=("breastmnist",),
        arms={name: ARMS[name] for name in arms},
        replicates=replicates,
        samplings=["shuffle"],
        **more,
    )
    return Inference(Results(study, *fake_results(study, root, hits=hits, leave_out=leave_out)))


def test_of_a_studys_own_runs_it_is_what_the_table_of_tests_says(tmp_path):
    inference = inference_of(tmp_path)
    (one,) = prospects(inference.results, inference, difference=0.05)
    (c,) = inference.tests.values()
    assert (one.detectable.low, one.detectable.high) == pytest.approx((c.detectable.low, c.detectable.high))
    needed = [replicates_needed(0.05, v, 156) for v in variance_limits(c.result)]
    assert {one.fewest, one.most} == set(needed)
    assert one.source == "this study's first 4 replicates"


def test_the_first_replicates_say_what_more_of_them_would_show(tmp_path):
    started = inference_of(tmp_path, replicates=9, leave_out=lambda t: t.kind == "classifier" and t.replicate > 2)
    whole = inference_of(tmp_path / "three", replicates=3)
    (nine,), (three,) = (prospects(one.results, one) for one in (started, whole))
    assert nine.source == three.source == "this study's first 3 replicates"
    assert nine.detectable.high < three.detectable.high


def test_what_is_not_known_comes_from_another_study_of_the_same_images_and_else_from_the_shipped_ones(tmp_path):
    nothing = inference_of(tmp_path / "none", leave_out=lambda task: task.kind == "classifier")
    other = inference_of(tmp_path / "other", name="earlier")
    (known,) = prospects(nothing.results, nothing, [other])
    (own,) = prospects(other.results, other)
    assert known.source == "the study earlier, 4 replicates"
    assert known.detectable == own.detectable
    (shipped,) = prospects(nothing.results, nothing)
    assert shipped.source == "BreastMNIST (shipped)"
    assert 0 < shipped.detectable.low < shipped.detectable.high


def test_own_runs_go_before_those_of_others_and_all_others_of_the_same_images_count(tmp_path):
    nothing = inference_of(tmp_path / "none", leave_out=lambda task: task.kind == "classifier")
    others = [inference_of(tmp_path / name, name=name, replicates=n) for name, n in (("first", 4), ("second", 3))]
    alone = [prospects(nothing.results, nothing, [other])[0] for other in others]
    (both,) = prospects(nothing.results, nothing, others)
    assert both.source == "the study first, 4 replicates and the study second, 3 replicates"
    assert both.detectable.low == min(one.detectable.low for one in alone)
    assert both.detectable.high == max(one.detectable.high for one in alone)
    assert both.fewest == min(one.fewest for one in alone)
    assert alone[0].detectable != alone[1].detectable
    (turned,) = prospects(nothing.results, nothing, others[::-1])
    assert (turned.detectable, turned.fewest, turned.most) == (both.detectable, both.fewest, both.most)
    own = others[0]
    assert prospects(own.results, own, [others[1]]) == prospects(own.results, own)


def test_variances_of_another_study_are_of_the_metric_that_this_study_tests(tmp_path):
    nothing = inference_of(tmp_path / "none", leave_out=lambda task: task.kind == "classifier")
    one, other = (inference_of(tmp_path / "other", name="earlier", primary=metric) for metric in ("accuracy", "auc"))
    assert prospects(nothing.results, nothing, [one]) == prospects(nothing.results, nothing, [other])


def test_shipped_variances_are_of_the_named_set_and_metric_and_else_of_all_sets(tmp_path):
    shipped = json.loads(TYPICAL.read_text())["datasets"]

    def precedents(section, primary):
        study = fake_study(
            datasets=("breastmnist",), arms={n: ARMS[n] for n in ("baseline", "gda")}, samplings=["shuffle"]
        )
        content = json.loads(study.model_dump_json(by_alias=True)) | {"datasets": {"mine": section}, "primary": primary}
        study = Study.model_validate_json(json.dumps(content))
        results = Results(study, fake_plan(study), Store(tmp_path))
        (found,) = prospects(results, Inference(results))
        return [vars(one.result.mean_squares) for one in found.precedents]

    for metric in METRICS:
        every = [values["mean_squares"][metric] for values in shipped.values()]
        assert precedents({"kind": "medmnist", "name": "retinamnist"}, metric) == [
            shipped["retinamnist"]["mean_squares"][metric]
        ]
        assert precedents({"kind": "phantom", "name": "phantom-ultrasound"}, metric) == every
    folds = {"kind": "folder", "path": "x", "split": {"folds": 5}}
    twice = [
        one | {"image": 2 * one["image"] - one["residual"]}
        for one in (values["mean_squares"]["accuracy"] for values in shipped.values())
    ]
    assert precedents(folds, "accuracy") == twice


def test_with_folds_every_image_is_a_test_image(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    folds = {"kind": "folder", "path": "x", "split": {"folds": 5}}
    study = Study.model_validate_json(json.dumps(tiny(arms=arms, datasets={"mine": folds})))
    results = Results(study, plan(study, {"mine": Source("bytes", 40, 8, 12)}), Store(tmp_path))
    assert [one.images for one in prospects(results, Inference(results))] == [60]


def test_replicates_needed_are_corrected_for_the_arms_and_one_replicate_detects_nothing(tmp_path):
    inference = inference_of(tmp_path / "two", arms=("baseline", "gda", "duplicate"))
    (one,) = prospects(inference.results, inference, difference=0.08)
    needed = [replicates_needed(0.08, v, 156, tests=2) for v in one.precedents[0].limits]
    assert None not in needed
    assert (one.fewest, one.most) == (min(needed), max(needed))
    assert needed != [replicates_needed(0.08, v, 156) for v in one.precedents[0].limits]
    single = inference_of(tmp_path / "one", replicates=1)
    (one,) = prospects(single.results, single, difference=0.08)
    assert one.detectable is None
    assert one.fewest is not None


def test_variances_are_of_the_comparisons_that_have_the_most_replicates(tmp_path):
    def gone(task):
        return task.kind == "classifier" and task.replicate > 1 and bool(task.params["augment"])

    inference = inference_of(tmp_path, arms=("baseline", "gda", "duplicate"), leave_out=gone)
    (one,) = prospects(inference.results, inference)
    best = inference.tests["breastmnist", "duplicate", "shuffle"].result
    assert inference.tests["breastmnist", "gda", "shuffle"].result.replicates == 2
    assert one.source == "this study's first 4 replicates"
    assert one.precedents[0].result.mean_squares == best.mean_squares
    assert one.precedents[0].limits == variance_limits(best)


def test_more_arms_need_more_and_the_margin_is_the_wanted_difference(tmp_path):
    few = inference_of(tmp_path, margin=3.0)
    many = inference_of(tmp_path / "many", arms=("baseline", "gda", "duplicate"))
    (two,), (three,) = (prospects(one.results, one) for one in (few, many))
    assert (two.arms, three.arms) == (1, 2)
    assert (two.difference, three.difference) == (0.03, 0.01)


def test_shipped_variances_are_of_a_named_study_and_have_every_metric():
    shipped = json.loads(TYPICAL.read_text())
    assert shipped["study"] == "benchmarks/typical.yaml"
    for values in shipped["datasets"].values():
        assert values["replicates"] >= 2
        assert set(values["mean_squares"]) == set(METRICS)
        assert all(min(parts.values()) > 0 for parts in values["mean_squares"].values())


def test_what_is_shipped_is_the_mean_of_a_finished_studys_comparisons(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT)
    inference = inference_of(tmp_path, arms=("baseline", "gda", "duplicate"))
    (found,) = importlib.import_module("benchmarks.typical").typical(inference).values()
    assert (found["replicates"], found["images"]) == (4, 156)
    tests = [c.result.mean_squares for c in inference.tests.values()]
    for name, value in found["mean_squares"]["accuracy"].items():
        assert value == pytest.approx(np.mean([getattr(squares, name) for squares in tests]), rel=1e-3)


# --- as it is shown ---


UNKNOWN = Prospect("breastmnist", (), 156, 3, 1, None, 0.01, None, None)
KNOWN = replace(
    UNKNOWN,
    precedents=(Precedent("shipped ones", Crossed(None, 2, 2, 156)),),
    detectable=Range(0.021, 0.0456),
    fewest=3,
    most=40,
)


VARIES = Precedent("shipped ones", Crossed(None, 2, 2, 156, mean_squares=Components(1e-3, 1e-3, 1e-3)))


def shown(inference, one, seconds=60.0):
    table = tables.prospects(inference.results, [one], {"breastmnist": seconds})
    return dict(zip([column.key for column in table.columns], table.rows[0].entries, strict=True))


def test_the_table_has_both_ends_of_differences_replicates_and_times(tmp_path):
    inference = inference_of(tmp_path)
    ends = ("low", "high", "fewest", "most", "time_low", "time_high")
    assert [shown(inference, KNOWN)[end].value for end in ends] == [0.021, 0.0456, 3, 40, 180.0, 2400.0]
    blind = shown(inference, replace(KNOWN, detectable=Range(0.2, 1.2), most=None), None)
    assert [blind[end].value for end in ends] == [0.2, None, 3, None, None, None]
    assert blind["high"].missing == "no difference, however large, would be found"
    assert blind["most"].missing == blind["time_high"].missing == tables.NEVER
    assert blind["time_low"].missing == "no task of each kind is done, so times are not known"
    nothing = shown(inference, UNKNOWN)
    assert nothing["low"].missing == "nothing is known of the variances"
    assert shown(inference, replace(UNKNOWN, replicates=1))["low"].missing == "one replicate: there is no test"
    assert shown(inference, replace(UNKNOWN, replicates=2))["low"].missing == nothing["low"].missing


def test_a_row_of_the_terminal_says_what_is_known_and_what_is_not():
    dash, never = DASH, replace(KNOWN, fewest=None, most=None)
    for one, words in (
        (KNOWN, ("2.1 to 4.6", "3 to 40", "90 s to 20 min")),
        (replace(KNOWN, detectable=Range(0.2, 1.2), most=None), ("20.0 at best", "3 at best", "90 s")),
        (replace(never, detectable=Range(1.0, 1.5)), ("none", "too few images", dash)),
        (UNKNOWN, (dash, dash, dash)),
    ):
        assert (terminal._sizes(one), terminal._needed(one), terminal._time(one, 60.0, 2)) == words
    assert terminal._time(KNOWN, None, 2) == "not known"
    assert terminal._time(UNKNOWN, None, 2) == dash


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, "with 3 replicates a true difference of 4.6 points is found, of 2.1 at best, and smaller"),
        ({}, "less often. To find 1 point takes 40 replicates, at best 3."),
        ({"difference": 0.025}, "To find 2.5 points takes 40 replicates, at best 3."),
        ({"most": None}, "To find 1 point takes 3 replicates at best, and perhaps more test images than 156."),
        ({"fewest": None, "most": None}, "No number of replicates finds 1 point with 156 test images: "),
        ({"detectable": Range(0.2, 1.2)}, "a true difference of 20.0 points is found at best, and perhaps none, how"),
        ({"detectable": Range(0.2, 1.0)}, "a true difference of 20.0 points is found at best, and perhaps none, how"),
        ({"detectable": Range(1.0, 1.2)}, "with 3 replicates no difference is found, however large. To find 1 point"),
        (
            {"detectable": None, "replicates": 1, "precedents": (VARIES,)},
            "with 1 replicate there is no test. To find 1 point takes 40",
        ),
        ({"detectable": None}, "how much runs vary is not known. Run two"),
        ({"precedents": (), "detectable": None, "replicates": 1}, "how much runs vary is not known. Run two"),
    ],
)
def test_below_the_table_words_say_what_a_row_means_for_who_decides(change, said):
    text = terminal._meaning(replace(KNOWN, **change))
    assert said in text
    assert ("--difference" in text) == (change.get("fewest", 3) is None)


def test_the_terminal_learns_variances_and_times_from_other_studies_of_the_results_folder(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms={n: ARMS[n] for n in ("baseline", "gda")}, name="earlier")
    whole, _ = fake_results(study, tmp_path, hits=hits)
    memory.remember(tmp_path, study, whole, data_root=".")
    for broken in ("a", "z"):
        (tmp_path / "studies" / f"{broken}.json").write_text("{}")
    sets = ("breastmnist", "octmnist")
    more = {"classifier": {"epochs": 30}, "samplings": ["shuffle"]}
    arms = {name: ARMS[name] for name in ("baseline", "gda", "duplicate")}
    other = fake_study(datasets=sets, arms=arms, name="planned", **more)
    options = argparse.Namespace(results=tmp_path, difference=None, workers=2)

    def said(study, durations):
        return terminal.power(options, study, fake_plan(study), durations)

    text = said(other, durations := Durations())
    assert "the study earlier, 3 replicates" in text
    assert "(shipped)" in text
    assert "corrected for 2 arms" in text
    assert "Shipped ones are a first guess" in text
    assert "equivalence" not in text
    assert "What equivalence within 2.5 points takes is not known here." in said(
        other.model_copy(update={"margin": 2.5}), Durations()
    )
    assert durations.seen["classifier cnn"]
    options.difference = 9.0
    plain = fake_study(datasets=sets, arms={n: ARMS[n] for n in ("baseline", "gda")}, name="planned", **more)
    lines = said(plain, durations := Durations()).splitlines()
    for name in ("breastmnist", "octmnist"):
        row = next(line for line in lines if line.lower().startswith(name))
        ends = [int(n) for n in re.search(r"(\d+) to (\d+)  ", row).groups()]
        each = per_replicate(durations, fake_plan(plain), name)
        assert row.endswith(" to ".join(dict.fromkeys(duration(n * each / 2) for n in ends))), row
    one = fake_study(datasets=sets[:1], arms=arms, name="planned", **more)
    assert "Shipped" not in said(one, Durations())
    alone = fake_study(datasets=sets[:1], arms={"baseline": {}}, name="planned", **more)
    assert said(alone, Durations()) == "Power: the study has no arm beside its baseline."
    changed = fake_study(datasets=sets[:1], arms=arms, name="earlier", **more)
    assert "the study earlier" not in said(changed, Durations()), "what it was before it was changed is no other study"


def test_one_replicate_of_a_data_set_takes_as_long_as_its_own_tasks_of_that_replicate():
    study = fake_study(datasets=("breastmnist", "pneumoniamnist"), arms={"baseline": {}}, replicates=3)
    whole, durations = fake_plan(study), Durations()
    for task in whole.tasks.values():
        durations.learn(task, {"data": 5.0}.get(task.kind, 100.0 if task.dataset == "breastmnist" else 700.0))
    first, second = (per_replicate(durations, whole, name) for name in study.datasets)
    assert first == pytest.approx(5 + 2 * 100)
    assert second == pytest.approx(5 + 2 * 700)


def test_the_first_page_has_it_until_the_study_is_finished(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms={n: ARMS[n] for n in ("baseline", "gda")}, replicates=2)
    plan, store = fake_results(study, tmp_path / "r", hits=hits, leave_out=lambda t: t.kind == "classifier")
    page = report.render(study, plan, store, tmp_path / "docs") / "index.md"
    assert "What all 2 replicates could show in test accuracy." in page.read_text("utf-8")
    plan, store = fake_results(study, tmp_path / "r", hits=hits)
    page = report.render(study, plan, store, tmp_path / "docs") / "index.md"
    assert "replicates could show" not in page.read_text("utf-8")


def test_plan_says_it_in_the_terminal_and_refuses_a_difference_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = written(tmp_path, tiny(replicates=3))
    assert main(["plan", str(study), "--power", "--difference", "2.5"]) == 0
    out = capsys.readouterr().out
    assert "replicates for 2.5 points" in out
    assert re.search(r"^  \S.*: with 3 replicates .* 2\.5 points ", out, re.MULTILINE), out
    assert "(shipped)" in out
    assert main(["plan", str(study), "--difference", "2"]) == 2
    assert "add --power" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["plan", str(study), "--power", "--difference", "0"])
