"""Recall and precision of each class: against scikit-learn, and against the primary test where they must agree."""

import dataclasses

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study
from sklearn.metrics import precision_score, recall_score

from medaug_keras.report.format import points, unsigned
from medaug_keras.report.numbers.findings import positives_found, recalls
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages import classes as page
from medaug_keras.report.pages.book import Book
from medaug_keras.report.pages.study import Pages
from medaug_keras.stats import crossed

CELL = ("breastmnist", "gda", "shuffle")
BASE = ("breastmnist", "baseline", "shuffle")


def results_of(root, **more):
    study = fake_study(
        datasets=("breastmnist",),
        arms={name: ARMS[name] for name in ("baseline", "gda", "cvae")},
        replicates=3,
        samplings=["shuffle"],
    )
    plan, store = fake_results(study, root, **more)
    return Results(study, plan, store)


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    return results_of(tmp_path_factory.mktemp("classes"))


def predictions(results, cell):
    """(S, n) predicted classes and (n,) labels, read from the files themselves."""
    found = []
    for run in results.groups[cell].runs:
        with np.load(run.record.folder / "predictions.npz") as file:
            found.append(file[f"test_{run.selected(results.select)}"].argmax(1))
            labels = file["test_labels"]
    return np.stack(found), labels


@pytest.mark.parametrize("number", [0, 1])
def test_recall_and_precision_are_those_of_scikit_learn(results, number):
    one = Inference(results).by_class[CELL, number]
    predicted, labels = predictions(results, CELL)
    for found, score in ((one.recall, recall_score), (one.precision, precision_score)):
        each = [score(labels, row, labels=[number], average=None)[0] for row in predicted]
        assert found.mean == pytest.approx(np.mean(each), abs=1e-12)
        assert found.sd == pytest.approx(np.std(each, ddof=1), abs=1e-12)


@pytest.mark.parametrize("number", [0, 1])
def test_the_difference_in_recall_is_the_crossed_analysis_of_the_images_of_the_class(results, number):
    (ours, labels), (theirs, _) = predictions(results, CELL), predictions(results, BASE)
    there = labels == number
    expected = crossed((ours[:, there] == number).astype(float) - (theirs[:, there] == number))
    one = Inference(results).by_class[CELL, number]
    assert (one.result.effect, one.result.p_family) == (expected.effect, expected.p_family)
    assert (one.result.low, one.result.high) == (expected.low, expected.high)
    assert one.images == there.sum()


def test_the_recalls_of_all_classes_weighed_by_their_images_are_the_accuracy(results):
    inference = Inference(results)
    for cell in (CELL, BASE):
        every = [inference.by_class[cell, number] for number in (0, 1)]
        whole = sum(one.recall.mean * one.images for one in every) / sum(one.images for one in every)
        assert whole == pytest.approx(results.groups[cell].estimate(results.select, "test", "accuracy").mean)


def test_a_class_that_is_never_predicted_has_no_precision_and_a_recall_of_0(tmp_path):
    # Two classes, so that what is not right is the other class.
    n, first = 156, 52
    hits = {"baseline": np.arange(n) >= first, "gda": np.arange(n) >= 0, "cvae": np.arange(n) >= first}
    results = results_of(tmp_path, hits=lambda dataset, arm, sampling, replicate: hits[arm])
    found = Inference(results).by_class
    assert found[BASE, 0].recall.mean == 0
    assert found[BASE, 0].precision.mean is None
    assert found[CELL, 0].recall.mean == 1
    assert found[CELL, 0].result.effect == 1
    assert found[CELL, 0].precision_difference is None
    page = Pages(results).all()["class-by-class.md"].decode()
    assert "no run predicts this class" in page


def test_a_panel_of_a_class_has_its_own_arms_alone_and_the_baselines_recall_in_its_title(results, monkeypatch):
    drawn = {}
    plot = page.figures.differences
    monkeypatch.setattr(
        page.figures, "differences", lambda panels, **how: drawn.update(found=panels) or plot(panels, **how)
    )
    book = Book(results)
    content = page.class_by_class(book)
    assert not content["apart"]
    found = book.inference.by_class
    assert len(drawn["found"]) == 2
    for number, (name, panel) in enumerate(zip(results.classes("breastmnist"), drawn["found"], strict=True)):
        base = found[BASE, number]
        said = f"{100 * base.recall.mean:.1f} % of {base.images} images"
        label = results.variant("baseline", "shuffle")
        assert (panel.title, panel.note) == (name, f"{label}: {said}")
        cells = [("breastmnist", arm, "shuffle") for arm in ("gda", "cvae")]
        wanted = [found[cell, number].result for cell in cells]
        assert [(e.effect, e.low, e.high) for e in panel.rows] == [(r.effect, r.low, r.high) for r in wanted]
        for row in panel.rows:
            assert np.mean(row.runs) == pytest.approx(row.effect)
            assert len(row.runs) == len(results.groups["breastmnist", row.arm, row.sampling].runs)


def test_an_arm_that_was_not_run_has_a_row_without_a_number_that_says_so(tmp_path, monkeypatch):
    drawn = []
    plot = page.figures.differences
    monkeypatch.setattr(page.figures, "differences", lambda panels, **how: drawn.extend(panels) or plot(panels, **how))
    gone = lambda task: task.kind == "classifier" and len(task.needs) > 1  # noqa: E731 - it trains on made images
    page.class_by_class(Book(results_of(tmp_path, leave_out=gone)))
    assert len(drawn) == 2
    for panel in drawn:
        assert [(row.effect is None, row.reason) for row in panel.rows] == [
            (False, "not run yet"),
            (True, "not run yet"),
        ]


def test_so_many_rows_stand_on_one_page_and_one_more_does_not(results, monkeypatch):
    for most, apart in ((6, False), (5, True)):  # two classes of three arms
        monkeypatch.setattr(page, "MANY", most)
        assert page.class_by_class(Book(results))["apart"] is apart


def test_images_that_belong_together_count_as_one_in_the_interval(tmp_path):
    apart, together = (
        Inference(results_of(tmp_path / name, groups=groups)).by_class[CELL, 1].result
        for name, groups in (
            ("apart", lambda dataset: np.arange(156)),
            ("together", lambda dataset: np.arange(156) // 8),
        )
    )
    assert apart.effect == pytest.approx(together.effect)
    assert together.groups < apart.groups


def test_p_is_corrected_over_every_class_and_arm_and_the_page_says_so(results):
    found = Inference(results).by_class
    raw = {key: one.result.p_family for key, one in found.items() if one.result is not None}
    assert len(raw) == 4
    assert all(one.fdr is None for one in found.values() if one.result is None)
    assert all(found[key].fdr >= p for key, p in raw.items())
    page = Pages(results).all()["class-by-class.md"].decode()
    assert "Exploratory" in page
    assert "Benjamini and Hochberg" in page


def test_the_first_page_says_of_each_arm_how_many_images_of_the_positive_class_its_runs_find(tmp_path, monkeypatch):
    results = results_of(tmp_path)
    inference, positive = Inference(results), results.positive("breastmnist")
    shares = {}
    for cell in results.groups:
        predicted, labels = predictions(results, cell)
        shares[results.variant(*cell[1:])] = 100 * (predicted[:, labels == positive] == positive).mean()
    base, *others = (f"{label} {share:.1f} %" for label, share in shares.items())
    name, images = results.classes("breastmnist")[positive], int((labels == positive).sum())
    head = f"Of {images} test images of {name}, runs find on average: {base}; "
    assert positives_found(results, inference) == [f"{head}{'; '.join(others)}."]
    assert others[0] in Pages(results, inference=inference).all()["index.md"].decode().replace("&#46;", ".")
    monkeypatch.setattr("medaug_keras.report.numbers.findings._ARMS_NAMED", 1)
    few, many = sorted(list(shares.values())[1:])
    assert positives_found(results, inference) == [f"{head}2 other arms {few:.1f} % to {many:.1f} %."]
    monkeypatch.setattr(Results, "positive", lambda self, dataset: None)
    assert positives_found(results, inference) == []


def found_of_class(few: float, never: tuple[str, ...] = ()):
    """Of 52 images of the first class the arm `gda` finds this part, the baseline 0.9; of the second each finds 0.8."""

    def right(dataset, arm, sampling, replicate):
        rng = np.random.default_rng([len(arm), replicate])
        first = 0.0 if arm in never else few if arm == "gda" else 0.9
        return np.where(np.arange(156) < 52, rng.random(156) < first, rng.random(156) < 0.8)

    return right


@pytest.mark.parametrize(("few", "said"), [(0.5, True), (0.85, False), (0.99, False)])
def test_the_first_page_says_which_recall_falls_by_ten_points_or_more_and_no_other(tmp_path, few, said):
    results = results_of(tmp_path, hits=found_of_class(few))
    inference = Inference(results)
    sentences = recalls(results, inference)
    assert bool(sentences) is said
    if said:
        r = inference.by_class[CELL, 0].result
        name = results.classes("breastmnist")[0]
        how = f"{name} by {unsigned(r.effect)} points ({points(r.low)} to {points(r.high)}) with Geometric."
        assert sentences[0].endswith(how)
        assert sentences[0].startswith("Exploratory: the recall of a class falls by 10 points or more")
        assert r.effect <= -0.1
        assert r.high < 0


def test_a_fall_whose_interval_holds_0_is_not_said(tmp_path):
    results = results_of(tmp_path, hits=found_of_class(0.5))
    inference = Inference(results)
    key, one = next((k, v) for k, v in inference.by_class.items() if v.result and v.result.effect <= -0.1)
    for high, number in ((-0.01, 1), (0.0, 0), (0.01, 0), (None, 0)):
        result = dataclasses.replace(one.result, high=high)
        inference.__dict__["by_class"] = {key: dataclasses.replace(one, result=result)}
        assert len(recalls(results, inference)) == number


def test_a_class_that_no_run_of_an_arm_finds_is_named_with_the_arm(tmp_path):
    results = results_of(tmp_path / "one", hits=found_of_class(0.9, never=("gda",)))
    name = results.classes("breastmnist")[0]
    said = recalls(results, Inference(results))
    assert said[-1] == f"No run of Geometric finds any of the 52 test images of {name}."
    results = results_of(tmp_path / "all", hits=found_of_class(0.9, never=("baseline", "gda", "cvae")))
    assert recalls(results, Inference(results)) == [f"No run of any arm finds any of the 52 test images of {name}."]
    late = {"leave_out": lambda task: task.kind == "classifier" and task.replicate > 1}
    results = results_of(tmp_path / "late", hits=found_of_class(0.9, never=("gda", "cvae")), **late)
    said = recalls(results, Inference(results))
    assert said[-1] == f"No run of Geometric or Conditional VAE so far finds any of the 52 test images of {name}."


def test_a_fall_is_said_together_with_the_classes_that_rise_in_the_same_arm_and_no_other(tmp_path):
    def hits(dataset, arm, sampling, replicate):
        rng = np.random.default_rng([len(arm), replicate])
        first, second = (0.5, 1.0) if arm == "gda" else (0.9, 0.7)
        return rng.random(156) < np.where(np.arange(156) < 52, first, second)

    results = results_of(tmp_path, hits=hits)
    inference = Inference(results)
    first, second = (inference.by_class[CELL, number].result for number in (0, 1))
    assert first.high < 0 < second.low
    falls = results.classes("breastmnist")[0]
    (said,) = [one for one in recalls(results, inference) if "falls" in one]
    assert f"{falls} by {unsigned(first.effect)} points" in said
    how = f"{unsigned(second.effect)} points ({points(second.low)} to {points(second.high)})."
    assert said.endswith(f" with Geometric, while that of “normal, benign” rises by {how}")
