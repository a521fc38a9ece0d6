"""What `plan --power` and the first page of an unfinished study announce, before there is a result."""

import importlib
import json
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study, hash_text

from medaug_keras import report
from medaug_keras.cli import main
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.prospects import TYPICAL, prospects
from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.stats import replicates_needed, variance_limits
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


def test_the_first_page_has_it_until_the_study_is_finished(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms={n: ARMS[n] for n in ("baseline", "gda")}, replicates=2)
    plan, store = fake_results(study, tmp_path / "r", hits=hits, leave_out=lambda t: t.kind == "classifier")
    page = report.render(study, plan, store, tmp_path / "docs") / "index.md"
    assert "What this study could show in test accuracy." in page.read_text("utf-8")
    plan, store = fake_results(study, tmp_path / "r", hits=hits)
    page = report.render(study, plan, store, tmp_path / "docs") / "index.md"
    assert "What this study could show" not in page.read_text("utf-8")


def test_plan_says_it_in_the_terminal_and_refuses_a_difference_without_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    study = written(tmp_path, tiny(replicates=3))
    assert main(["plan", str(study), "--power", "--difference", "2.5"]) == 0
    out = capsys.readouterr().out
    assert "replicates for 2.5 points" in out
    assert "(shipped)" in out
    assert main(["plan", str(study), "--difference", "2"]) == 2
    assert "add --power" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="2"):
        main(["plan", str(study), "--power", "--difference", "0"])
