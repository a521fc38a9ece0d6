"""The first page's table: an arm's difference on every data set and on average, and which verdict stands beside it."""

import dataclasses

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study, hash_text

from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.cells import cells
from medaug_keras.report.tables.table import Row, Table
from medaug_keras.report.tables.verdicts import verdicts

LEVELS = {"baseline": 0.7, "gda": 0.9, "cvae": 0.72, "jvae": 0.5, "duplicate": 0.8}
SIZES = {"breastmnist": 156, "phantom-ultrasound": 156, "phantom-histology": 200, "pneumoniamnist": 400}


def hits(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
    """Images that an arm is right on: as many more than the baseline as its level says, on every data set alike."""
    rng = np.random.default_rng([hash_text(dataset + arm), replicate])
    return rng.random(SIZES[dataset]) < LEVELS[arm]


def inference_of(root, datasets, *, replicates=4, levels=tuple(LEVELS)[:4], leave_out=lambda task: False) -> Inference:
    arms = {name: ARMS[name] for name in levels}
    study = fake_study(datasets=datasets, arms=arms, replicates=replicates, samplings=["shuffle"])
    return Inference(Results(study, *fake_results(study, root, hits=hits, leave_out=leave_out)))


def table_of(inference: Inference) -> Table:
    return verdicts(inference.results, inference, lambda dataset: f"tests/{dataset}.html")


def arm_of(row: Row) -> str:
    return (row.entries[0].name or "").removesuffix(".shuffle")


@pytest.fixture(scope="module")
def several(tmp_path_factory) -> Inference:
    """Four data sets, of the last of which no run was done."""
    return inference_of(
        tmp_path_factory.mktemp("several"),
        ("breastmnist", "phantom-ultrasound", "phantom-histology", "pneumoniamnist"),
        leave_out=lambda task: task.dataset == "pneumoniamnist",
    )


@pytest.fixture(scope="module")
def single(tmp_path_factory) -> Inference:
    return inference_of(tmp_path_factory.mktemp("single"), ("breastmnist",))


def test_each_difference_is_that_of_its_own_test_with_the_ends_and_the_corrected_p(several):
    table = table_of(several)
    assert [column.key for column in table.columns] == [
        "arm", "mean", "breastmnist", "phantom-ultrasound", "phantom-histology"
    ]  # fmt: skip
    assert [arm_of(row) for row in table.rows] == ["gda", "cvae", "jvae"]
    for row in table.rows:
        for column, found in zip(table.columns[2:], row.entries[2:], strict=True):
            c = several.tests[column.key, arm_of(row), "shuffle"]
            assert (found.value, found.low, found.high) == (c.result.effect, c.result.low, c.result.high)
            assert (found.p, found.verdict) == (c.p, c.word)
            assert found.href.startswith(f"tests/{column.key}.html#")


def test_a_mean_counts_the_data_sets_that_it_has_and_its_head_counts_all(several):
    table = table_of(several)
    assert table.columns[1].title == "Mean of 4 data sets"
    for row, one in zip(table.rows, several.by_effect, strict=True):
        mean = row.entries[1]
        assert (mean.value, mean.low, mean.high, mean.verdict) == (one.effect, one.low, one.high, one.word)
        assert mean.tags == ("3 of 4",)
        assert mean.href == "significance.html#across"


def test_a_mean_of_all_data_sets_has_no_count_and_neither_has_one_of_none(tmp_path):
    sets = ("breastmnist", "phantom-ultrasound")
    whole = inference_of(tmp_path / "whole", sets, levels=("baseline", "gda"))
    assert table_of(whole).rows[0].entries[1].tags == ()
    none = inference_of(tmp_path / "none", sets, leave_out=lambda task: True)
    table = table_of(none)
    assert len(table.columns) == 4  # all data sets, where nothing of any was run
    for row in table.rows:
        assert (row.entries[1].value, row.entries[1].tags, row.entries[1].href) == (None, (), "")
        assert [(found.value, found.href) for found in row.entries[2:]] == [(None, "")] * 2
        assert all(found.missing for found in row.entries[1:])


def test_a_mean_counts_only_the_data_sets_whose_differences_have_an_error(tmp_path):
    sets = ("breastmnist", "phantom-ultrasound", "phantom-histology")
    alone = lambda task: task.dataset == sets[2] and task.kind == "classifier" and task.replicate > 0  # noqa: E731
    inference = inference_of(tmp_path, sets, levels=("baseline", "gda"), leave_out=alone)
    (row,) = table_of(inference).rows
    assert all(found.value is not None for found in row.entries[1:])
    assert row.entries[1].tags == ("2 of 3",)
    assert row.entries[1].value == pytest.approx(np.mean([found.value for found in row.entries[2:4]]))


def test_arms_that_are_asked_about_stand_before_controls_which_are_named_as_such(tmp_path):
    levels = ("baseline", "gda", "cvae", "duplicate")
    inference = inference_of(tmp_path / "several", ("breastmnist", "phantom-ultrasound"), levels=levels)
    table = table_of(inference)
    assert [arm_of(row) for row in table.rows] == ["gda", "cvae", "duplicate"]
    assert table.rows[1].entries[1].value < table.rows[2].entries[1].value
    assert "The largest mean first, controls last." in table.notes
    assert [row.entries[0].tags for row in table.rows] == [()] * 3  # its label says it: Duplicates (control)
    arms = {name: ARMS[name] for name in levels} | {"duplicate": {**ARMS["duplicate"], "label": "Twice"}}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=4, samplings=["shuffle"])
    results = Results(study, *fake_results(study, tmp_path / "single", hits=hits))
    table = table_of(Inference(results))
    assert [arm_of(row) for row in table.rows] == ["baseline", "gda", "cvae", "duplicate"]
    assert [row.entries[0].tags for row in table.rows] == [(), (), (), ("control",)]
    assert "The largest difference first, controls last." in table.notes


def test_the_caption_says_where_intervals_are(several, monkeypatch):
    assert table_of(several).caption.endswith("in points, with 95 % intervals (uncorrected; verdicts are corrected).")
    assert "The largest mean first." in table_of(several).notes
    monkeypatch.setattr("medaug_keras.report.tables.verdicts.MOST_WITH_INTERVALS", 2)
    assert table_of(several).caption.endswith(
        "in points, means with 95 % intervals (uncorrected; verdicts are corrected)."
    )
    (note,) = [note for note in table_of(several).notes if note.startswith("In a mean each data set counts the same")]
    assert "how the differences vary between data sets and between replicates" in note


def test_arms_stand_across_only_where_data_sets_do_not_fit_and_arms_are_fewer(several, monkeypatch):
    down = {arm_of(row): row.entries for row in table_of(several).rows}
    for most, turned in ((3, False), (2, False), (0, False)):  # three data sets and three arms
        monkeypatch.setattr("medaug_keras.report.tables.verdicts.MOST_ACROSS", most)
        assert (table_of(several).columns[0].key == "dataset") is turned
    monkeypatch.setitem(several.__dict__, "by_effect", several.by_effect[:1])
    table = table_of(several)
    assert [column.key for column in table.columns] == ["dataset", "gda.shuffle"]
    assert [row.entries[1] for row in table.rows] == list(down["gda"][1:])
    monkeypatch.setattr("medaug_keras.report.tables.verdicts.MOST_ACROSS", 3)
    assert table_of(several).columns[0].key == "arm"


def test_a_study_of_one_data_set_has_a_line_an_arm_after_the_baselines_with_interval_verdict_and_score(single):
    table, results = table_of(single), single.results
    assert [arm_of(row) for row in table.rows] == ["baseline", "gda", "cvae", "jvae"]
    for row in table.rows:
        group = results.groups["breastmnist", arm_of(row), "shuffle"]
        assert row.entries[3].value == group.estimate(results.select, "test", "accuracy").mean
    for row, word in zip(table.rows[1:], ("better", "not distinguishable", "worse"), strict=True):
        c = single.tests["breastmnist", arm_of(row), "shuffle"]
        _, effect, verdict, _ = row.entries
        assert (effect.value, effect.low, effect.high) == (c.result.effect, c.result.low, c.result.high)
        assert (verdict.value, verdict.p) == (word, c.holm)
    assert table.rows[0].entries[2].value == "baseline"


def test_a_verdict_is_that_of_the_largest_family_that_was_ever_looked_at(tmp_path):
    """A difference that is clear among two comparisons and not among hundreds."""
    inference = inference_of(tmp_path, ("breastmnist",), levels=("baseline", "gda"))
    (cell,) = inference.tests
    found = dataclasses.replace(inference.tests[cell], holm_ever=0.4, family_ever=400)
    assert (found.today, found.word, found.p) == ("better", "not distinguishable", 0.4)
    inference.__dict__["tests"] = {cell: found}
    inference.__dict__.pop("by_effect", None)
    assert inference.by_effect[0].word == "not distinguishable"
    assert inference.by_effect[0].counts == {"not distinguishable": 1}
    row = table_of(inference).rows[1].entries
    assert (row[1].verdict, row[2].value) == ("not distinguishable", "not distinguishable")


def test_an_arm_with_fewer_replicates_says_of_how_many_its_difference_and_its_mean_are(tmp_path):
    sets = ("breastmnist", "phantom-ultrasound")
    late = inference_of(tmp_path, sets, leave_out=lambda task: "cvae" in task.title and task.replicate == 3)
    table = table_of(late)
    assert table.usual == (4, 4)
    for row in table.rows:
        for found in row.entries[1:]:
            assert (found.n, found.planned) == (3 if arm_of(row) == "cvae" else 4, 4)
    html = {arm_of(row): cells(row, table, (), "", table.usual) for row in table.rows}
    assert html["cvae"].count("n = 3 of 4") == 3
    assert "n = " not in html["gda"]
    (note,) = [note for note in table.notes if "replicates" in note and "both have" in note]
    assert note == "Differences are over the replicates that the arm and the baseline both have."


def test_replicates_are_named_once_where_every_difference_has_as_many_of_those_planned(tmp_path):
    table = table_of(inference_of(tmp_path, ("breastmnist",), leave_out=lambda task: (task.replicate or 0) > 1))
    assert table.usual == (2, 4)
    assert not any("n = " in cells(row, table, (), "", table.usual) for row in table.rows)
