"""Table functions on made-up records with known answers."""

import csv
import dataclasses
import io
import json
import math
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras import references, stats
from medaug_keras.plan import Task
from medaug_keras.report import format
from medaug_keras.report.numbers import findings
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.printed import beside_layers
from medaug_keras.report.numbers.results import Results
from medaug_keras.report.tables import arms as tables
from medaug_keras.report.tables import compare as compare_tables
from medaug_keras.report.tables import evidence as evidence_tables
from medaug_keras.report.tables import export
from medaug_keras.report.tables import quality as quality_tables
from medaug_keras.report.tables import runs as run_tables
from medaug_keras.report.tables.table import Column, Entry, Row, Table, dataset_entry
from medaug_keras.stats import Range, benjamini_hochberg
from medaug_keras.store import Store

TWO_ARMS = {name: ARMS[name] for name in ("baseline", "gda")}


def classifier(task: Task, arm: str, sampling: str, replicate: int) -> bool:
    return task.kind == "classifier" and f"{arm}, {sampling}, replicate {replicate}" in task.title


def results_of(
    root: Path, *, replicates: int = 3, arms=TWO_ARMS, datasets=("breastmnist",), study=None, **how
) -> Results:
    study = study or fake_study(datasets=datasets, arms=arms, replicates=replicates, paper=True)
    plan, store = fake_results(study, root, **how)
    return Results(study, plan, store)


def two_arms():
    return fake_study(datasets=("breastmnist",), arms=TWO_ARMS, replicates=3, samplings=["shuffle"])


def cell(table: Table, row: int, key: str) -> Entry:
    place = [column.key for column in table.columns].index(key)
    return table.rows[row].entries[place]


def test_a_mean_and_its_spread_are_those_of_the_records(tmp_path):
    right = {0: 120 / 156, 1: 123 / 156, 2: 129 / 156}
    results = results_of(tmp_path, score=lambda d, a, s, r: right[r])
    table = tables.without_added_images(results, Inference(results))
    entry = cell(table, 0, "baseline.shuffle.accuracy")
    assert entry.value == pytest.approx(124 / 156)
    assert entry.sd == pytest.approx(math.sqrt((4**2 + 1**2 + 5**2) / 2) / 156)
    assert (entry.n, entry.planned) == (3, 3)
    assert entry.printed == (("paper", pytest.approx(0.8269)),)


def test_the_highest_mean_of_a_row_is_bold_and_equal_ones_both_are(tmp_path):
    scores = {
        ("baseline", "shuffle"): 120,
        ("baseline", "weighted"): 130,
        ("gda", "shuffle"): 130,
        ("gda", "weighted"): 110,
    }
    results = results_of(tmp_path, score=lambda d, a, s, r: scores[a, s] / 156)
    table = tables.without_added_images(results, Inference(results))
    bold = {key: cell(table, 0, f"{'.'.join(key)}.accuracy").best for key in scores}
    assert bold == {key: score == 130 for key, score in scores.items()}


def test_a_single_replicate_has_no_spread_and_no_test(tmp_path):
    results = results_of(tmp_path, replicates=1)
    inference = Inference(results)
    entry = cell(tables.without_added_images(results, inference), 0, "gda.shuffle.accuracy")
    assert (entry.sd, entry.n, entry.tied) == (None, 1, False)
    assert entry.href == "runs/breastmnist.gda.shuffle.0.html"
    assert {c.word for c in inference.tests.values()} == {"not tested"}


def test_a_failed_replicate_is_in_every_denominator(tmp_path):
    """Of five planned replicates of an arm one failed: no table forgets it."""
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
    study = fake_study(datasets=("breastmnist", "phantom-histology"), arms=arms, replicates=5, samplings=["shuffle"])
    results = results_of(
        tmp_path, study=study, fails=lambda task: task.title == "breastmnist: generator cvae, replicate 4"
    )
    inference = Inference(results)
    for table in (
        evidence_tables.tests(results, inference),
        evidence_tables.controls(results, inference),
    ):
        (row,) = [r for r in table.rows if r.factors["data set"] == "BreastMNIST" and "VAE" in r.factors["arm"]]
        shown = {column.key: entry.value for column, entry in zip(table.columns, row.entries, strict=True)}
        assert (shown["replicates"], shown["planned"]) == (4, 5), table.name
    counted = {
        "with-added-images": cell(tables.with_added_images(results, inference), 0, "cvae.shuffle.accuracy"),
        "all-arms": run_tables.all_arms(results).rows[1].entries[3],
        "claims": cell(evidence_tables.claims(results, inference), 0, "effect"),
        "usefulness": cell(quality_tables.usefulness(results), 0, "consistency"),
        "similarity": cell(quality_tables.similarity(results), 0, "features.kid"),
    }
    assert {name: (entry.n, entry.planned) for name, entry in counted.items()} == dict.fromkeys(counted, (4, 5))
    assert inference.tests["breastmnist", "cvae", "shuffle"].family == 2
    assert "1 of 30 runs" in " ".join(findings.answer(results, inference))


def test_an_arm_that_could_not_be_tested_stays_in_the_family_that_is_corrected(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "gda", "duplicate")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=3, samplings=["shuffle"])
    gone = results_of(tmp_path, study=study, leave_out=lambda task: ": duplicate" in task.title)
    tests = Inference(gone).tests
    tested, untested = tests["breastmnist", "gda", "shuffle"], tests["breastmnist", "duplicate", "shuffle"]
    assert untested.word == "not tested"
    assert tested.holm == pytest.approx(min(1, 2 * tested.result.p_family))


def test_a_failed_replicate_is_counted_and_said(tmp_path):
    results = results_of(tmp_path, fails=lambda task: classifier(task, "gda", "shuffle", 1))
    entry = cell(tables.without_added_images(results, Inference(results)), 0, "gda.shuffle.accuracy")
    assert (entry.n, entry.planned) == (2, 3)
    assert entry.missing == "1 of 3 failed: ValueError: a made-up failure <b>&"


def test_a_cell_without_runs_is_a_dash_with_its_reason_and_the_row_stays(tmp_path):
    results = results_of(tmp_path, leave_out=lambda task: task.kind == "classifier" and ": gda" in task.title)
    table = tables.without_added_images(results, Inference(results))
    entry = cell(table, 0, "gda.weighted.auc")
    assert entry.value is None
    assert entry.missing == "3 of 3 pending: not run yet"
    assert entry.printed == (("paper", pytest.approx(0.8302)),)
    assert format.shown(entry.value, "percent") == format.DASH


def test_what_needs_a_failed_task_is_blocked_and_says_what_it_needs(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "cvae")}
    results = results_of(tmp_path, arms=arms, replicates=1, fails=lambda task: task.kind == "generator")
    table = run_tables.runs(results)
    states = {row.factors["arm"]: row.factors["status"] for row in table.rows}
    assert states == {"No augmentation": "done", "Conditional VAE": "blocked"}
    blocked = next(row for row in table.rows if row.factors["status"] == "blocked")
    assert "which has no result" in blocked.entries[4].missing


def test_sizes_that_differ_from_the_paper_stand_beside_it(tmp_path):
    results = results_of(tmp_path, datasets=("organcmnist",), replicates=1)
    table = tables.dataset_sizes(results)
    assert (cell(table, 0, "train").value, cell(table, 0, "train").printed) == (12975, (("paper", 13000),))
    assert (cell(table, 0, "validation").value, cell(table, 0, "validation").printed) == (2392, (("paper", 2392),))
    assert "2.2.4" in table.notes[1]


def test_sizes_of_data_not_read_yet_are_dashes(tmp_path):
    results = results_of(tmp_path, leave_out=lambda task: True)
    assert cell(tables.dataset_sizes(results), 0, "train") == Entry(printed=(("paper", 546),), missing="not run yet")


def test_the_best_model_is_chosen_on_validation_data_and_gains_are_over_the_baseline(tmp_path):
    scores = {
        ("baseline", "shuffle"): 0.5,
        ("baseline", "weighted"): 0.6,
        ("gda", "shuffle"): 0.7,
        ("gda", "weighted"): 0.55,
    }
    results = results_of(tmp_path, score=lambda d, a, s, r: scores[a, s])
    inference = Inference(results)
    table = tables.best_models(results, inference)
    assert cell(table, 0, "validation.model").value == "Geometric"
    gain = cell(table, 0, "validation.gain")
    assert gain.value == pytest.approx(round(0.7 * 156) / 156 - 78 / 156)
    test = inference.tests["breastmnist", "gda", "shuffle"]
    assert (gain.verdict, gain.p) == (test.word, test.holm) == ("better", pytest.approx(test.holm))
    assert cell(table, 0, "test.gain").printed == (("paper", "+3.21"),)
    assert cell(table, 0, "optimism").value == 0


def test_the_best_model_over_itself_gains_nothing_and_is_not_tested(tmp_path):
    results = results_of(tmp_path, score=lambda d, a, s, r: 0.8 if (a, s) == ("baseline", "weighted") else 0.5)
    table = tables.best_models(results, Inference(results))
    own, other = cell(table, 0, "validation.gain_weighted"), cell(table, 0, "validation.gain")
    assert (own.value, own.verdict, own.p, own.missing) == (0, None, None, "this is the arm itself")
    assert (other.verdict, other.p < 0.05) == ("better", True)


def test_the_optimism_of_a_single_run_is_what_choosing_by_it_pretends(tmp_path):
    right = {("baseline", "shuffle"): (120, 126), ("gda", "shuffle"): (124, 118)}  # each wins once
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=2, samplings=["shuffle"])
    results = results_of(tmp_path, study=study, score=lambda d, a, s, r: right[a, s][r] / 156)
    entry = cell(tables.best_models(results, Inference(results)), 0, "optimism_single")
    assert entry.value == pytest.approx(((124 - 118) + (126 - 120)) / 2 / 156)
    assert (entry.n, entry.planned) == (2, 2)


def test_one_run_of_each_arm_has_no_optimism_to_measure(tmp_path):
    results = results_of(tmp_path, replicates=1)
    entry = cell(tables.best_models(results, Inference(results)), 0, "optimism_single")
    assert (entry.value, entry.missing) == (None, "needs two replicates of an arm")


def test_gains_follow_the_primary_metric(tmp_path):
    study = fake_study(datasets=("breastmnist",), arms=TWO_ARMS, replicates=2, primary="auc")
    results = results_of(tmp_path, study=study)
    table = tables.best_models(results, Inference(results))
    auc = results.best["breastmnist"].estimate(results.select, "test", "auc").mean
    assert cell(table, 0, "validation.auc").value == auc


@pytest.mark.parametrize(("said", "word"), [(0.8462, "yes"), (0.8526, "no"), (0.80, "no")])
def test_a_printed_value_is_within_our_range_or_not(said, word):
    values = [130 / 156, 132 / 156]  # 83.33 to 84.62 as printed
    entries = run_tables._beside(said, values, Entry(131 / 156))
    assert entries[-1].value == word
    assert entries[2].value == pytest.approx(131 / 156 - said)


def test_one_replicate_has_no_range_to_hold_a_printed_value_against():
    entries = run_tables._beside(0.8, [0.8], Entry(0.8))
    assert entries[-1] == Entry(missing="one replicate has no range")


def test_every_printed_value_of_a_data_set_has_its_row(tmp_path):
    results = results_of(tmp_path, replicates=1)
    table = run_tables.against(results, references.load("le-roux"))
    assert len(table.rows) == 20  # ten arms, AUC and accuracy
    assert [row.entries[6].missing for row in table.rows].count("not part of this study") == 12


def test_printed_values_beside_which_we_have_a_number_stand_first_and_the_others_keep_their_order(tmp_path):
    datasets = ("breastmnist", "pneumoniamnist")
    results = results_of(tmp_path, datasets=datasets, leave_out=lambda task: task.title.startswith("breastmnist"))
    table = run_tables.against(results, references.load("le-roux"))
    ours = [cell(table, row, "ours").value for row in range(len(table.rows))]
    assert [value is None for value in ours] == [False] * 8 + [True] * 32
    names = [cell(table, row, "dataset").name for row in range(len(table.rows))]
    assert names == ["pneumoniamnist"] * 8 + ["breastmnist"] * 20 + ["pneumoniamnist"] * 12


def test_the_selection_decides_which_epoch_is_shown(tmp_path):
    last = fake_study(datasets=("breastmnist",), arms=TWO_ARMS, classifier={"select": "last"}, replicates=1)
    results = results_of(tmp_path, study=last)
    record = results.runs[0].record
    entry = cell(run_tables.all_arms(results), 0, "balanced_accuracy")
    assert entry.value == record.values["scores"]["20"]["test"]["balanced_accuracy"]


def test_runs_csv_has_the_columns_that_scripts_rely_on(tmp_path):
    results = results_of(tmp_path, replicates=1, fails=lambda task: classifier(task, "gda", "weighted", 0))
    text = export.records_csv(run_tables.RUNS_CSV, run_tables.run_records(results))
    rows = list(csv.DictReader(io.StringIO(text)))
    assert ",".join(rows[0]) == (
        "dataset,arm,sampling,replicate,status,test_auc,test_accuracy,test_balanced_accuracy,val_auc,val_accuracy,"
        "epoch,degenerate,last_test_auc,last_test_accuracy,seconds,key"
    )
    assert len(rows) == 4
    failed = next(row for row in rows if row["status"] == "failed")
    assert (failed["arm"], failed["test_auc"], failed["seconds"]) == ("gda", "", "")
    done = rows[0]
    assert float(done["test_accuracy"]) == results.runs[0].scores("best_validation_accuracy", "test")["accuracy"]


def test_every_run_and_every_arm_of_the_plan_has_a_row(tmp_path):
    results = results_of(tmp_path, leave_out=lambda task: task.replicate == 2)
    assert len(run_tables.runs(results).rows) == len(results.plan.runs) == 12
    assert len(run_tables.all_arms(results).rows) == 4


def some_table(**values) -> Table:
    columns = (Column("name", "Name"), Column("score", "Score", "percent", "Test", ("sd", "n"), printed=("A b",)))
    return Table(
        "some", "Some table.", columns, (Row((Entry(values.pop("name", "x")), Entry(**values))),), "tests.some"
    )


def test_csv_has_what_the_table_shows_unrounded():
    text = export.table_csv(some_table(value=0.123456, sd=0.01, n=3, printed=(("A b", 0.12),)))
    assert list(csv.reader(io.StringIO(text))) == [
        ["name", "score_percent", "score_sd_percent", "score_n", "score_a_b_percent"],
        ["x", "12.3456", "1.0", "3", "12.0"],
    ]


def test_latex_is_what_the_page_shows_for_booktabs():
    text = export.table_latex(some_table(name="a_b & 50%", value=0.5, sd=0.01, n=3, printed=(("A b", 0.4),), best=True))
    assert r"a\_b \& 50\% & \textbf{50.00} $\pm$ 1.00 (A b 40.00) \\" in text
    assert r" & \multicolumn{1}{c}{Test} \\" in text
    assert r"\toprule" in text


def test_latex_is_a_whole_table_with_caption_label_and_notes_whatever_is_in_it():
    text = export.table_latex(dataclasses.replace(some_table(name="}{\\end{table}%"), notes=("One {note", "50 %")))
    table = some_table()
    assert re.findall(r"\\(begin|end)\{(\w+)\}", text) == [
        ("begin", "table"), ("begin", "tabular"), ("end", "tabular"), ("end", "table")
    ]  # fmt: skip
    depth = 0
    for mark in re.findall(r"(?<!\\)[{}]", text):
        depth += 1 if mark == "{" else -1
        assert depth in (0, 1, 2)
    assert depth == 0
    assert f"\\label{{tab:{table.name}}}" in text
    assert r"\par\smallskip One \{note" in text
    assert r"\par\smallskip 50 \%" in text


WHOLE = Entry(
    0.0123456, low=-0.004, high=0.03, sd=0.01, p=0.04, verdict="better", tied=True, href="a.html#b", tags=("3 of 4",)
)


def effects(entry: Entry, kind: str = "effect", parts=("sd", "low", "high", "verdict", "p")) -> Table:
    """Two groups of columns, the second without a title, and a row of one number with all that stands beside it."""
    columns = (
        Column("arm", "Arm"),
        Column("why", "Why", "sentence"),
        Column("d", "Difference", kind, "Test", parts, printed=("A b",)),
        Column("e", "Other", "count", "Test"),
        Column("f", "Last", "count"),
    )
    row = Row((Entry("=x"), Entry(), entry, Entry(3), Entry()))
    return Table("effects", "Effects.", columns, (row,), "tests.effects")


@pytest.mark.parametrize("kind", ["effect", "points", "percent"])
def test_files_have_percentages_and_points_in_percent_and_p_as_it_is(kind):
    table = effects(dataclasses.replace(WHOLE, printed=(("A b", 0.07),)), kind)
    head, row = csv.reader(io.StringIO(export.table_csv(table)))
    found, unit = dict(zip(head, row, strict=True)), "percent" if kind == "percent" else "points"
    assert {name: found[name] for name in found if name[0] == "d"} == {
        f"d_{unit}": "1.23456", f"d_sd_{unit}": "1.0", f"d_low_{unit}": "-0.4", f"d_high_{unit}": "3.0",
        "d_verdict": "better", "d_p": "0.04", f"d_a_b_{unit}": "7.0",
    }  # fmt: skip
    assert (found["arm"], found["why"], found["e"], found["f"]) == ("'=x", "", "3", "")
    whole = json.loads(export.table_json(table))["rows"][0]["d"]
    assert whole == {
        "value": 1.23456, "sd": 1.0, "low": -0.4, "high": 3.0, "verdict": "better", "p": 0.04, "a_b": 7.0,
        "not distinguishable from the best": True, "page": "a.html#b", "tags": ["3 of 4"],
    }  # fmt: skip


def test_a_json_cell_of_fewer_replicates_has_both_its_value_and_the_reason():
    found = json.loads(export.table_json(effects(Entry(0.5, best=True, missing="1 of 3 runs failed"))))["rows"][0]["d"]
    assert (found["value"], found["missing"], found["best"]) == (50.0, "1 of 3 runs failed", True)
    assert not {"not distinguishable from the best", "page", "tags"} & found.keys()


def test_a_latex_cell_has_what_stands_beside_its_number_and_nothing_that_its_column_does_not_ask_for():
    text = export.table_latex(effects(dataclasses.replace(WHOLE, printed=(("A b", 0.07),)), "points"))
    cell = r" +1.2 $\pm$ 1.0 $\approx$ [$-$0.4, +3.0], better, p = 0.040 (A b +7.0) &"
    assert cell in text
    assert r"\begin{tabular}{llrrr}" in text
    assert r"\multicolumn{2}{c}{} & \multicolumn{2}{c}{Test} & \multicolumn{1}{c}{} \\" in text
    assert text.count("cmidrule") == 1
    assert r"\cmidrule(lr){3-4}" in text
    bare = export.table_latex(effects(WHOLE, "points", ()))
    assert r" & +1.2 $\approx$ & 3 &" in bare


def test_latex_for_a_column_has_every_arm_with_its_score_difference_interval_and_p(tmp_path):
    results = results_of(tmp_path, study=fake_study(datasets=("breastmnist",)))
    table = evidence_tables.in_column(results, Inference(results), "breastmnist")
    text = export.table_latex(table, narrow=True)
    rows = [line for line in text.splitlines() if line.endswith(r" \\")][1:]
    assert len(rows) == len(results.variants())
    number = r"\d+\.\d+"
    score = rf"{number} \$\\pm\$ {number}"
    assert re.fullmatch(rf"No augmentation & {score} & -- & -- \\\\", rows[0])
    for row in rows[1:]:
        sign = r"(?:\+|\$-\$)?"
        interval = rf"{sign}{number} \[{sign}{number}, {sign}{number}\]"
        assert re.search(rf"& {score} & {interval} & (?:\d\.\d{{3}}|\\textless\{{\}} 0\.001) \\\\$", row), row
    assert max(map(len, rows)) < 90  # of 8 points, in a column of 8.5 cm


def test_p_in_a_column_for_a_paper_is_of_a_difference_and_that_of_equivalence_has_a_column_of_its_own(tmp_path):
    study = fake_study(datasets=("breastmnist",), margin=20, replicates=5)
    inference = Inference(results_of(tmp_path, study=study))
    assert "equivalent" in {c.word for c in inference.tests.values()}
    table = evidence_tables.in_column(inference.results, inference, "breastmnist")
    assert [column.title for column in table.columns] == ["Arm", "Mean", "Difference [95 %]", "p", "p, equivalence"]
    found = [(row.entries[3].value, row.entries[4].value) for row in table.rows[1:]]
    assert found == [(c.holm, c.equivalence) for c in inference.tests.values()]
    assert "p of a difference, corrected" in table.notes[0]
    assert "true difference is 20 points or more" in table.notes[1]


def test_json_says_why_a_value_is_missing():
    content = json.loads(export.table_json(some_table(missing="not run yet")))
    assert content["rows"][0]["score"] == {
        "value": None,
        "sd": None,
        "n": None,
        "a_b": None,
        "missing": "not run yet",
    }


@pytest.mark.parametrize("formula", ["=1+1", "+cmd|x", "-2+3", "@SUM(A1)", "\t=1+1", "\u200b=1"])
def test_a_spreadsheet_takes_no_text_for_a_formula(formula):
    text = export.table_csv(some_table(name=formula))
    assert next(csv.reader(io.StringIO(text.splitlines()[1])))[0].startswith("'")


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ("percent", 0.8269, "82.69"),
        ("points", 0.0128, "+1.3"),
        ("points", -0.00001, "−0.01"),
        ("points", -0.05, "−5.0"),
        ("size", 0.0456, "4.6"),
        ("count", 34561, "34,561"),
        ("p", 0.0004, "< 0.001"),
        ("p", 0.0312, "0.031"),
        ("seconds", 75.2, "1 min 15 s"),
        ("number", 0.00012345, "0.000123"),
        ("percent", None, "–"),
    ],
)
def test_a_number_is_written_in_one_way(kind, value, text):
    assert format.shown(value, kind) == text


def test_printed_counts_stand_beside_the_layers_they_belong_to():
    ours = [
        0,
        160,
        32,
        0,
        2_320,
        32,
        0,
        0,
        9_280,
        128,
        0,
        36_928,
        128,
        0,
        36_928,
        128,
        0,
        0,
        131_200,
        0,
        16_512,
        0,
        258,
    ]
    printed = references.load("le-roux").figure("layers", classifier="cnn")
    assert printed is not None
    beside = beside_layers(printed.parameters, ours)
    assert [said for said in beside if said is not None] == list(printed.parameters)
    assert (beside[1], beside[-1]) == (448, 1_161)
    assert all(said is None for said, count in zip(beside, ours, strict=True) if count == 0)


def test_a_planted_gain_is_called_better_and_none_is_not(tmp_path):
    """Records in which an arm is right on 30 images more, the same ones in every replicate."""
    arms = {name: ARMS[name] for name in ("baseline", "gda")}
    study = fake_study(datasets=("breastmnist",), arms=arms, replicates=5, samplings=["shuffle"])
    results = results_of(tmp_path / "gain", study=study, score=lambda d, a, s, r: 0.6 if a == "baseline" else 0.95)
    (comparison,) = Inference(results).tests.values()
    assert comparison.word == "better"
    results = results_of(tmp_path / "none", study=study, score=lambda d, a, s, r: 0.8)
    (comparison,) = Inference(results).tests.values()
    assert comparison.word == "not distinguishable"


def claims_of(tmp_path, **how) -> tuple[dict[str, dict[str, Entry]], list[tuple[str, str]], Inference]:
    """The table of claims as data set and arm → its cells; the list of claims; what both were made from."""
    results = results_of(tmp_path, **how)
    inference = Inference(results)
    table = evidence_tables.claims(results, inference)
    keys = [column.key for column in table.columns]
    cells = {
        f"{row.factors['data set']} {row.factors['arm']}": dict(zip(keys, row.entries, strict=True))
        for row in table.rows
    }
    return cells, findings.claims(results, inference), inference


def test_what_can_be_said_of_an_arm_follows_its_corrected_test_and_stands_beside_the_paper(tmp_path):
    levels = {"baseline": 0.8, "gda": 0.97, "cvae": 0.68, "jvae": 0.8}  # the largest class has 0.67
    arms = {name: ARMS[name] for name in levels}
    study = fake_study(
        datasets=("breastmnist",), arms=arms, replicates=5, samplings=["shuffle"], references=["le-roux"]
    )
    cells, sentences, _ = claims_of(tmp_path, study=study, score=lambda d, a, s, r: levels[a])
    assert [(c["verdict"].value, c["verdict"].p <= 0.05) for c in cells.values()] == [
        ("better", True),
        ("worse", True),
        ("not distinguishable", False),
    ]
    gda, cvae, jvae = cells.values()
    assert gda["can"].value == "Here it raises test accuracy."
    assert cvae["can"].value == "Here it lowers test accuracy."
    assert "points: so large a true one would have been found in 4 of 5 such studies" in jvae["can"].value
    assert jvae["cannot"].value.startswith("That it helps, harms or changes nothing: ")
    assert gda["le-roux"].value == pytest.approx(0.7821 - 0.8269)
    assert "the paper's −4.5: it lies outside" in gda["cannot"].value
    assert (gda["effect"].n, gda["effect"].planned) == (5, 5)
    assert gda["effect"].low < gda["effect"].value < gda["effect"].high
    claimed = [text for kind, text in sentences if kind == "can"]
    assert len(claimed) == 2
    assert all("breastmnist" in text.lower() for text in claimed)


def test_an_interval_that_leaves_out_0_alone_is_no_claim(tmp_path):
    inference = claims_of(tmp_path, replicates=3)[2]
    c = next(iter(inference.tests.values()))
    r = dataclasses.replace(c.result, effect=0.02, low=0.001, high=0.04, p=0.03, p_family=0.04)
    alone = dataclasses.replace(c, result=r, holm=0.12, family=3)
    assert alone.word == "not distinguishable"
    text = findings.cannot_be_said(alone, None, 0.03, generated=False)
    assert text.startswith("That it helps: its own interval, +0.1 to +4.0, excludes 0, but among 3 comparisons")
    guarded = dataclasses.replace(alone, result=dataclasses.replace(r, p_family=0.08), holm=0.08, family=1)
    text = findings.cannot_be_said(guarded, None, None, generated=False)
    assert text.endswith("excludes 0, but 3 replicates say too little about the spread between runs.")


@pytest.mark.parametrize("replicates", [1, 2])
def test_few_replicates_claim_nothing_and_say_why(replicates, tmp_path):
    cells, sentences, inference = claims_of(tmp_path, replicates=replicates, score=lambda d, a, s, r: 0.8)
    words = {c["verdict"].value for c in cells.values()}
    assert words == {"not tested" if replicates == 1 else "not distinguishable"}
    assert [text for kind, text in sentences if kind == "can"] == []
    if replicates == 1:
        assert {c["can"].value for c in cells.values()} == {"Nothing."}
        assert all("one replicate" in c["cannot"].value for c in cells.values())
        assert findings.answer(inference.results, inference)[0].startswith(
            "Nothing can be told yet: every arm was trained"
        )
    else:
        widths = [c["effect"].high - c["effect"].low for c in cells.values()]
        assert min(widths) > 0.1  # two replicates know next to nothing
        blind = dataclasses.replace(next(iter(inference.tests.values())), family=1000)
        assert blind.detectable.low > 1
        assert "80 % power is reached for no difference, however large" in findings.power(inference.results, [blind])[0]
        cells = evidence_tables._detectable(blind.detectable)
        assert {entry.missing for entry in cells} == {"no difference, however large, would be found"}


def test_arms_that_were_right_on_the_same_images_make_no_number(tmp_path):
    """No power, no detectable difference and no interval of a variance of zero, on any page."""
    same = lambda d, a, s, r: np.arange(156) % 5 > 0  # noqa: E731
    cells, sentences, inference = claims_of(tmp_path, hits=same, study=two_arms())
    (c,) = inference.tests.values()
    assert (c.word, c.detectable, c.outlook, c.bootstrap) == ("not distinguishable", None, None, None)
    (said,) = cells.values()
    assert (said["effect"].low, said["effect"].high) == (None, None)
    assert said["can"].value == "Test accuracy was the same in every replicate, image by image."
    assert said["cannot"].value.startswith("That other runs would not differ: no test image told the two apart")
    assert "0.0 points" not in " ".join((*findings.answer(inference.results, inference), *(t for _, t in sentences)))
    results = inference.results
    for table in (evidence_tables.tests(results, inference), evidence_tables.planning(results, inference)):
        for key in ("detectable_low", "detectable_high"):
            entry = cell(table, 0, key)
            assert (entry.value, bool(entry.missing)) == (None, True)
    assert inference.variances("breastmnist") is None


def test_runs_that_all_differ_from_the_baseline_in_the_same_way_announce_no_power(tmp_path):
    """Every replicate the same: as of networks that all say one class. What other runs would do is not known."""
    hits = lambda d, a, s, r: np.arange(156) % (5 if a == "baseline" else 4) > 0  # noqa: E731
    _, _, inference = claims_of(tmp_path, hits=hits, study=two_arms())
    (c,) = inference.tests.values()
    assert c.result.p is not None
    assert (c.detectable, c.outlook) == (None, None)
    assert "nothing varied between runs" in findings.power(inference.results, [c])[0]
    assert cell(evidence_tables.planning(inference.results, inference), 0, "most").missing.startswith("not known")


def test_images_that_belong_together_are_tested_together_where_records_say_so(tmp_path):
    groups = lambda dataset: np.arange(156) // 4  # noqa: E731
    study = two_arms()
    apart, together = (claims_of(tmp_path / n, study=study, groups=g)[2] for n, g in (("a", None), ("t", groups)))
    (a,), (t,) = apart.tests.values(), together.tests.values()
    assert t.result.effect == pytest.approx(a.result.effect)
    assert (a.result.images, a.result.groups) == (156, None)
    assert (t.result.images, t.result.groups) == (156, 39)
    assert {c.result.groups for found in together.exploratory.values() for c in found.values()} == {39}
    (said,) = findings.units(together.results, together)
    assert "156 test images of 39 groups that belong together" in said
    (said,) = findings.units(apart.results, apart)
    assert "each was taken as a patient of its own" in said


def test_a_cross_validation_is_tested_by_its_folds_where_records_have_them(tmp_path):
    sklearn = pytest.importorskip("sklearn.metrics")
    folds = lambda dataset, replicate: (np.arange(156) + replicate) % 5  # noqa: E731
    groups = lambda dataset: np.arange(156) // 10 * 5 + np.arange(156) % 5  # noqa: E731
    _, _, inference = claims_of(tmp_path, study=two_arms(), folds=folds, groups=groups)
    results = inference.results
    [(cell, c)] = inference.exploratory["auc"].items()
    runs = {
        arm: [np.load(run.record.folder / "predictions.npz") for run in results.groups[(cell[0], arm, cell[2])].done]
        for arm in ("gda", "baseline")
    }
    epoch = results.groups[cell].done[0].selected(results.select)
    labels = runs["gda"][0]["test_labels"]
    p = {arm: np.stack([run[f"test_{epoch}"] for run in found]) for arm, found in runs.items()}
    cut = np.stack([folds("", s) for s in range(3)])

    def by_fold(arm):
        every = [(s, cut[s] == f) for s in range(3) for f in range(5)]
        return np.mean([sklearn.roc_auc_score(labels[here], p[arm][s, here, 1]) for s, here in every])

    assert c.result.effect == pytest.approx(by_fold("gda") - by_fold("baseline"))
    expected = stats.compare("auc", p["gda"], p["baseline"], labels, groups=groups(""), folds=cut)
    assert (c.result.se, c.result.p_family) == pytest.approx((expected.se, expected.p_family))
    (c,) = inference.tests.values()
    right = [p[arm].argmax(-1) == labels for arm in ("gda", "baseline")]
    expected = stats.crossed(right[0].astype(float) - right[1], groups=groups(""), folds=True)
    assert (c.result.se, c.result.p_family) == pytest.approx((expected.se, expected.p_family))
    assert "without its fold, one of 5;" in findings.units(results, inference)[-1]


def test_a_floor_of_zero_is_no_detectable_difference(tmp_path):
    results = results_of(tmp_path, study=two_arms())
    inference = Inference(results)
    (c,) = inference.tests.values()
    floor = Range(0.0, 0.02)
    inference.tests["breastmnist", "gda", "shuffle"].__dict__["outlook"] = dataclasses.replace(c.outlook, floor=floor)
    table = evidence_tables.planning(results, inference)
    assert (cell(table, 0, "floor_low").value, cell(table, 0, "floor_high").value) == (None, 0.02)
    assert cell(table, 0, "floor_low").missing.startswith("not known")


def test_a_difference_that_few_images_make_is_marked_wherever_its_interval_stands(tmp_path):
    for changed, few in ((4, True), (40, False)):
        # The arm is right on some images more, each in two of three replicates.
        def hits(dataset, arm, sampling, replicate, changed=changed):
            image = np.arange(156)
            return (image >= 60) | ((arm == "gda") & (image < changed) & (image % 3 != replicate))

        cells, sentences, inference = claims_of(tmp_path / str(changed), hits=hits, study=two_arms())
        (c,) = inference.tests.values()
        assert c.few == few
        table = evidence_tables.tests(inference.results, inference)
        assert ("few images" in cell(table, 0, "effect").tags) == few
        assert any("too narrow" in note for note in table.explained) == few
        pairs = compare_tables.pairs(inference.results, {"breastmnist": inference.pairs("breastmnist")})
        assert ("few images" in cell(pairs, 0, "effect").tags) == few
        assert any("too narrow" in note for note in pairs.explained) == few
        assert (
            "too narrow" in " ".join([next(iter(cells.values()))["cannot"].value, *(t for _, t in sentences)])
        ) == few


def test_the_other_metrics_are_one_family_and_show_one_p(tmp_path):
    study = fake_study(datasets=("breastmnist", "phantom-histology"), arms=ARMS, replicates=3)
    results = results_of(tmp_path, study=study)
    inference = Inference(results)
    table = evidence_tables.exploratory(results, inference)
    assert [column.key for column in table.columns if column.kind == "p"] == ["fdr"]
    family = [c for found in inference.exploratory.values() for c in found.values()]
    assert len(family) == len(table.rows)
    assert [c.fdr for c in family] == benjamini_hochberg([c.result.p_family for c in family])
    shown = evidence_tables.tests(results, inference)
    keys = [column.key for column in shown.columns]
    for row, c in zip(shown.rows, inference.tests.values(), strict=True):
        cells = dict(zip(keys, row.entries, strict=True))
        assert cells["p"].value == c.result.p_family  # the p that Holm and Benjamini and Hochberg correct
        assert cells["p"].value <= cells["holm"].value


def test_no_interval_is_wider_than_two_metrics_can_differ(tmp_path):
    """Two replicates that disagree: Student's t with 1 degree of freedom goes 12.7 standard errors to each side."""
    inference = claims_of(tmp_path, replicates=2, score=lambda d, a, s, r: 0.4 + 0.3 * r * (a != "baseline"))[2]
    assert max(c.result.se for c in inference.tests.values()) > 1 / 12
    edges = [edge for c in inference.tests.values() for edge in (c.result.low, c.result.high)]
    edges += [edge for one in inference.across for edge in (one.meta.low, one.meta.high) if edge is not None]
    assert (min(edges), max(edges)) == (-1.0, 1.0)


def test_a_study_that_is_not_finished_says_so_among_its_claims(tmp_path):
    _, sentences, _ = claims_of(tmp_path, leave_out=lambda task: classifier(task, "gda", "weighted", 2))
    assert any("not finished: 1 of 12 runs" in text for kind, text in sentences if kind == "cannot")


def test_claims_on_two_data_sets_say_that_each_is_corrected_by_itself(tmp_path):
    datasets = ("breastmnist", "phantom-histology")
    score = lambda d, a, s, r: 0.95 if a == "gda" and d == "breastmnist" else 0.6  # noqa: E731
    for names, expected in ((datasets, True), (datasets[:1], False)):
        _, sentences, inference = claims_of(tmp_path / str(expected), datasets=names, replicates=5, score=score)
        assert any("for each data set by itself" in text for _, text in sentences) == expected
        assert ("all arms of a data set" in " ".join(findings.answer(inference.results, inference))) == expected


def test_images_are_held_against_as_many_copies_and_not_against_fewer(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "jvae", "duplicate")}
    results = results_of(tmp_path, arms=arms)
    controls = Inference(results).controls
    assert {cell[1] for cell, c in controls.items() if c.result.effect is not None} == {"cvae"}
    assert controls["breastmnist", "jvae", "shuffle"].result.reason.startswith("no control arm adds as many copies")
    assert controls["breastmnist", "cvae", "shuffle"].family == 2  # samplings


def test_a_data_set_that_nothing_was_run_on_is_one_row_of_dashes(tmp_path):
    datasets = ("breastmnist", "phantom-histology")
    arms = {name: ARMS[name] for name in ("baseline", "cvae", "duplicate")}
    results = results_of(tmp_path, datasets=datasets, arms=arms, leave_out=lambda task: task.dataset != "breastmnist")
    inference = Inference(results)
    for table in (
        evidence_tables.claims(results, inference),
        evidence_tables.tests(results, inference),
        evidence_tables.controls(results, inference),
        evidence_tables.planning(results, inference),
        evidence_tables.exploratory(results, inference),
        quality_tables.usefulness(results),
        quality_tables.similarity(results),
        quality_tables.classes(results),
        quality_tables.copying(results),
    ):
        rows = [row for row in table.rows if row.factors["data set"] == "Phantom histology"]
        assert len(rows) == 1, table.name
        words = ("text", "sentence", "verdict")
        numbers = [e for c, e in zip(table.columns, rows[0].entries, strict=True) if c.kind not in words]
        assert {(e.value, e.missing) for e in numbers} == {(None, "nothing of this data set was run yet")}
        assert len([row for row in table.rows if row.factors["data set"] == "BreastMNIST"]) > 1, table.name


def test_a_distance_has_an_interval_over_replicates_or_over_images(tmp_path):
    arms = {name: ARMS[name] for name in ("baseline", "cvae")}
    one = results_of(tmp_path / "one", arms=arms, replicates=1)
    entry = cell(quality_tables.similarity(one), 0, "features.kid")
    assert (entry.low, entry.high, entry.n) == (0.01, 0.03, 1)
    three = results_of(tmp_path / "three", arms=arms, replicates=3)
    entry = cell(quality_tables.similarity(three), 0, "features.kid")
    half = 4.3027 * entry.sd / math.sqrt(3)  # Student's t, 2 degrees of freedom
    assert (entry.low, entry.high) == pytest.approx((entry.value - half, entry.value + half), rel=1e-4)


def test_near_copies_that_an_arm_makes_by_design_are_said_to_be_that(tmp_path):
    notes = {
        name: " ".join(quality_tables.copying(results_of(tmp_path / name, arms=arms, replicates=1)).notes)
        for name, arms in {
            "rebuilt": {n: ARMS[n] for n in ("baseline", "cvae", "jvae")},
            "drawn": {n: ARMS[n] for n in ("baseline", "cvae")},
        }.items()
    }
    assert "Joint VAE: each image is rebuilt from a training image" in notes["rebuilt"]
    assert "rebuilt" not in notes["drawn"]


def test_a_store_of_nothing_gives_every_table(tmp_path):
    study = fake_study(arms=ARMS, paper=True)
    plan, _ = fake_results(study, tmp_path, leave_out=lambda task: True)
    results = Results(study, plan, Store(tmp_path))
    inference = Inference(results)
    assert len(tables.without_added_images(results, inference).rows) == 2
    assert all(e.value is None for e in tables.with_added_images(results, inference).rows[0].entries[1:])
    assert "No run is done yet" in findings.answer(results, inference)[0]


def test_the_least_recall_is_that_of_the_class_recognized_least_beside_the_other_metrics(tmp_path):
    study = fake_study(datasets=("phantom-histology",), arms={"baseline": {}}, samplings=["shuffle"])
    results = Results(study, *fake_results(study, tmp_path))
    table = run_tables.all_arms(results)
    (row,) = table.rows
    entry = row.entries[[column.key for column in table.columns].index("least_recall")]
    least = []
    for run in results.runs:
        confusion = np.array(run.scores(results.select, "test")["confusion"])
        least.append((np.diag(confusion) / confusion.sum(axis=1)).min())
    assert entry.value == pytest.approx(np.mean(least))
    assert (entry.n, entry.sd) == (3, pytest.approx(np.std(least, ddof=1)))


def test_an_ensemble_scores_the_mean_of_the_replicates_probabilities_and_has_no_spread(tmp_path):
    study = fake_study(datasets=("phantom-histology",), arms={"baseline": {}, "gda": ARMS["gda"]}, ensemble=True)
    results = Results(study, *fake_results(study, tmp_path, leave_out=lambda task: "gda" in task.title))
    table = run_tables.ensembles(results)
    for row in table.rows:
        found = dict(zip((column.key for column in table.columns), row.entries, strict=True))
        sampling = "weighted" if row.factors["sampling"] == "weighted" else "shuffle"
        group = results.groups["phantom-histology", "baseline", sampling]
        if row.factors["arm"] != results.label("baseline"):
            assert found["accuracy"].value is None
            assert "not run" in found["accuracy"].missing or "left out" in found["accuracy"].missing
            continue
        votes = []
        for run in group.done:
            with np.load(run.record.folder / "predictions.npz") as file:
                votes.append(file[f"test_{run.selected(results.select)}"].astype(float))
                labels = file["test_labels"]
        predicted = np.mean(votes, axis=0).argmax(axis=1)
        assert found["networks"].value == 3
        assert found["accuracy"].value == pytest.approx((predicted == labels).mean())
        recalls = [(predicted[labels == c] == c).mean() for c in np.unique(labels)]
        assert found["balanced_accuracy"].value == pytest.approx(np.mean(recalls))
        assert found["least_recall"].value == pytest.approx(min(recalls))
        assert all(entry.sd is None and entry.n is None for entry in row.entries)


def test_files_have_a_verdict_in_the_words_of_the_pages():
    columns = (Column("verdict", "Verdict", "verdict"), Column("x", "X", "points", parts=("verdict",)))
    entries = (Entry("not distinguishable"), Entry(0.01, verdict="not distinguishable"))
    table = Table("t", "T.", columns, (Row(entries),), "here")
    assert export.table_csv(table).splitlines()[1] == "inconclusive,1.0,inconclusive"
    for text in (export.table_json(table), export.table_latex(table)):
        assert text.count("inconclusive") == 2
        assert "not distinguishable" not in text


def test_the_note_on_replicates_is_true_of_every_cell_that_does_not_say_its_own():
    columns = (Column("a", "A"), Column("x", "X", "percent", parts=("n",)))

    def of(*counts: tuple[int | None, int]) -> tuple[int, int] | None:
        entries = [Entry(0.5, n=n, planned=planned) for n, planned in counts]
        return Table("t", "T.", columns, tuple(Row((Entry("a"), entry)) for entry in entries), "here").usual

    assert of((3, 5), (3, 5), (5, 5)) == (3, 5)
    assert of((5, 5), (3, 3), (3, 3)) == (3, 3)
    assert of((3, 5), (5, 5), (2, 5)) == (5, 5)  # of equally many, those that have all
    assert of((None, 5)) is None


@pytest.mark.parametrize(
    ("marks", "failed", "shown"),
    [
        ([], 0, ()),
        (["simulated"], 0, ("simulated",)),
        (["a"], 1, ("a",)),
        (["a", "b"], 0, ("two warnings",)),
        (["a", "b"], 1, ("1 failed check",)),
        (["a", "b"], 3, ("3 failed checks",)),
    ],
)
def test_a_data_set_in_a_table_names_its_one_warning_or_how_many_checks_failed(marks, failed, shown):
    results = SimpleNamespace(title=str.upper, marks={"ct": marks}.__getitem__, failed_checks=lambda dataset: failed)
    entry = dataset_entry(results, "ct")
    assert (entry.value, entry.name, entry.tags) == ("CT", "ct", shown)
