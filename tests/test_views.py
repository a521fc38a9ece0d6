"""The numbers from which the first page draws another metric or baseline: the tests' own, to the last digit shown."""

import json
import re

import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras.report.numbers.results import METRICS, Results
from medaug_keras.report.pages import views as module
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.pages.templates import script_json

ROUNDED = 0.002  # points: a difference of two rounded numbers, against a rounded one


@pytest.fixture(scope="module")
def results(tmp_path_factory) -> Results:
    """Two data sets, of the second of which an arm's runs were not all done, and a baseline that is not the first."""
    study = fake_study(arms=ARMS, margin=1.0, baseline={"arm": "gda", "sampling": "shuffle"})
    root = tmp_path_factory.mktemp("views")
    late = lambda task: "histology: cvae, weighted, replicate" in task.title  # noqa: E731
    return Results(study, *fake_results(study, root, leave_out=late))


@pytest.fixture(scope="module")
def book(results) -> Book:
    return Pages(results)


@pytest.fixture(scope="module")
def found(book) -> dict:
    return module.views(book, book.results.datasets)


def shown(found: dict, metric: str, dataset: int, arm: int, base: int) -> tuple:
    """Effect, ends and verdict as the page's script reads them: kept once for two arms."""
    numbers = next(one for one in found["metrics"] if one["key"] == metric)
    tests, sign = numbers["tests"][dataset], 1
    if f"{arm}.{base}" not in tests:
        sign, arm, base = -1, base, arm
    low, high, *word = tests[f"{arm}.{base}"]
    runs = [a - b for a, b in zip(*(numbers["runs"][dataset][one] for one in (arm, base)), strict=True)]
    low, high = (low, high) if sign == 1 else (-high, -low)
    words = [{"better": "worse", "worse": "better"}.get(word[0], word[0]) if sign == -1 else word[0]] if word else []
    return sign * sum(runs) / len(runs), low, high, *words


def test_every_metric_against_the_declared_baseline_is_that_of_its_test(results, book, found):
    arms, inference = results.variants(), book.inference
    compared = 0
    for metric in METRICS:
        tests = inference.tests if metric == results.study.primary else inference.exploratory[metric]
        for (dataset, *arm), c in tests.items():
            place = results.datasets.index(dataset), arms.index(tuple(arm)), found["base"]
            if c.result.effect is None:
                continue
            effect, low, high, *word = shown(found, metric, *place)
            r = c.result
            assert (effect, low, high) == pytest.approx((100 * r.effect, 100 * r.low, 100 * r.high), abs=ROUNDED)
            assert word == ([c.word] if metric == results.study.primary else [])
            compared += 1
    assert compared == len(METRICS) * (2 * len(arms) - 3)


def test_every_two_arms_are_compared_as_the_page_compare_has_them_whichever_is_the_baseline(results, book, found):
    arms = results.variants()
    for dataset, name in enumerate(results.datasets):
        for (one, other), c in book.inference.pairs(name).items():
            if c.result.effect is None:
                continue
            places = arms.index(one), arms.index(other)
            effect, low, high, word = shown(found, results.study.primary, dataset, *places)
            r = c.result
            assert (effect, low, high) == pytest.approx((100 * r.effect, 100 * r.low, 100 * r.high), abs=ROUNDED)
            assert word == c.word
            back = shown(found, results.study.primary, dataset, *places[::-1])
            assert back[:3] == pytest.approx((-effect, -high, -low), abs=ROUNDED)


def test_means_over_data_sets_are_those_of_the_table_and_exist_for_every_other_baseline(results, book, found):
    arms, primary = results.variants(), found["metrics"][0]
    assert primary["key"] == results.study.primary
    for one in book.inference.across:
        kept = primary["means"].get(f"{arms.index((one.arm, one.sampling))}.{found['base']}")
        if one.meta.effect is None:
            assert kept is None
        else:
            m = one.meta
            assert kept == pytest.approx([100 * m.effect, 100 * m.low, 100 * m.high, m.datasets], abs=ROUNDED)
    assert len(primary["means"]) == (len(arms) - 1) * (len(arms) - 2) / 2  # all but those of the arm without runs


def test_every_difference_and_run_lies_on_the_axis_of_its_view(found):
    for metric in found["metrics"]:
        assert [int(base) for base in metric["axes"]] == found["bases"]
        for base, axis in metric["axes"].items():
            for runs in metric["runs"]:
                for arm in runs:
                    both = zip(arm, runs[int(base)], strict=True)
                    dots = [a - b for a, b in both if a is not None and b is not None]
                    assert all(axis["low"] - ROUNDED <= dot <= axis["high"] + ROUNDED for dot in dots)
            assert axis["start"] < axis["end"] < axis["values"] < 360


def test_a_study_of_very_many_arms_has_other_metrics_and_no_other_baseline(book, monkeypatch):
    monkeypatch.setattr(module, "MOST_ARMS", 3)
    few = module.views(book, book.results.datasets)
    assert few["bases"] == [few["base"]]
    assert len(few["metrics"]) == len(METRICS)
    assert all(set(metric["axes"]) == {few["base"]} for metric in few["metrics"])


def test_a_study_without_a_second_arm_has_nothing_to_choose(tmp_path):
    study = fake_study(arms={"baseline": {}}, samplings=["shuffle"])
    page = Pages(Results(study, *fake_results(study, tmp_path)))
    assert module.views(page, page.results.datasets) is None
    assert b'name="metric"' not in page.all()["index.md"]


@pytest.mark.parametrize("text", ["</script><script>x", "<!--", "a & b", "\n\n# x", "\u2028", '"\\'])
def test_no_text_ends_the_numbers_of_a_page_or_is_changed_by_them(text):
    written = str(script_json({"label": text}))
    assert not re.search(r"[<>&\n]", written)
    assert json.loads(written) == {"label": text}
