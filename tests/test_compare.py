"""The page Compare: every arm against every other, two studies, and what is new since the look before."""

import dataclasses
import json
import re
import shutil
from itertools import combinations, permutations
from pathlib import Path

import numpy as np
import pytest
from report_records import ARMS, fake_plan, fake_results, fake_study, hash_text

from medaug_keras import looks
from medaug_keras.report.format import points
from medaug_keras.report.numbers.inference import OTHER_IMAGES, Inference
from medaug_keras.report.numbers.results import Results, note_look
from medaug_keras.report.pages import compare
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.tables import compare as compare_tables
from medaug_keras.spec import Study
from medaug_keras.stats import crossed, holm
from medaug_keras.store import Store

THREE = {name: ARMS[name] for name in ("baseline", "gda", "duplicate")}
MIRROR = {"better": "worse", "worse": "better"}


def hits(gain: float = 0.0):
    """Of 156 test images the baseline gets 100 right, `gda` 40 more; copies as many as the baseline, nearly."""

    def right(dataset: str, arm: str, sampling: str, replicate: int) -> np.ndarray:
        rng = np.random.default_rng([hash_text(arm), replicate])
        known = {"baseline": 100, "gda": 140, "duplicate": 101}.get(arm, 100) + round(156 * gain)
        return (np.arange(156) < known) ^ (rng.random(156) < 0.02)

    return right


def small(**more) -> Study:
    return fake_study(
        **{"datasets": ("breastmnist",), "arms": THREE, "replicates": 5, "samplings": ["shuffle"], **more}
    )


def results_of(root: Path, study: Study, **how) -> Results:
    plan, store = fake_results(study, root, **{"hits": hits(), **how})
    return Results(study, plan, store)


def test_a_pair_is_tested_by_the_crossed_analysis_and_corrected_for_all_pairs_unless_the_study_declares_it(tmp_path):
    results = results_of(tmp_path, small())
    inference = Inference(results)
    found = inference.pairs("breastmnist")
    names = [(arm, "shuffle") for arm in THREE]
    assert list(found) == list(combinations(names, 2))
    by_hand = {}
    for one, other in found:
        right = hits()
        difference = [
            right("", one[0], "", s).astype(float) - right("", other[0], "", s).astype(float) for s in range(5)
        ]
        by_hand[one, other] = crossed(difference)
    for pair, corrected in zip(by_hand, holm([c.p_family for c in by_hand.values()]), strict=True):
        assert found[pair].result.effect == pytest.approx(by_hand[pair].effect)
        if pair[0][0] == "baseline":  # the study's own test, in the other direction
            own = inference.tests["breastmnist", *pair[1]]
            assert (found[pair].holm, found[pair].family) == (pytest.approx(own.holm), 2)
            assert found[pair].word == MIRROR.get(own.word, own.word)
        else:
            assert (found[pair].holm, found[pair].family) == (pytest.approx(corrected), 3)


def test_the_grid_changes_sign_and_verdict_when_an_arm_and_its_rival_change_places(tmp_path):
    (grid,) = compare.compare(Pages(results_of(tmp_path, small())))["grids"]
    assert len(grid.rows) == len(grid.labels) == 3
    for i, j in combinations(range(3), 2):
        one, other = grid.rows[i][j], grid.rows[j][i]
        assert other.verdict == MIRROR.get(one.verdict, one.verdict)
        assert float(other.text.replace("\N{MINUS SIGN}", "-")) == -float(one.text.replace("\N{MINUS SIGN}", "-"))
    assert [grid.rows[i][i].text for i in range(3)] == ["", "", ""]
    assert (grid.rows[1][0].verdict, grid.rows[1][0].mark) == ("better", "▲")  # gda less the baseline
    assert grid.rows[0][2].verdict == "not distinguishable"


def test_a_square_is_the_rows_arm_less_the_columns_with_mark_words_and_interval(tmp_path):
    results = results_of(tmp_path, small())
    inference = Inference(results)
    (grid,) = compare.compare(Pages(results))["grids"]
    arms = [pair[0] for pair in results.variants("breastmnist")]
    accuracy = {arm: results.groups["breastmnist", arm, "shuffle"].estimate(results.select, "test", "accuracy").mean
                for arm in arms}  # fmt: skip
    marks = {"better": ("▲", "the row's arm is better"), "worse": ("▼", "the row's arm is worse"),
             "not distinguishable": ("", "inconclusive")}  # fmt: skip
    pairs = inference.pairs("breastmnist")
    for i, j in permutations(range(3), 2):
        square, difference = grid.rows[i][j], accuracy[arms[i]] - accuracy[arms[j]]
        assert square.text == points(difference, 1)
        mark, words = marks[square.verdict]
        assert square.mark == mark
        known, sign = (((arms[i], "shuffle"), (arms[j], "shuffle")), 1) if i < j else (
            ((arms[j], "shuffle"), (arms[i], "shuffle")), -1
        )  # fmt: skip
        ends = sorted(sign * end for end in (pairs[known].result.low, pairs[known].result.high))
        assert square.words == f"{words}, 95 % interval {points(ends[0])} to {points(ends[1])}"


def test_a_line_of_a_pair_has_the_first_arms_score_less_the_seconds_and_the_corrected_p(tmp_path):
    results = results_of(tmp_path, small())
    found = Inference(results).pairs("breastmnist")
    table = compare_tables.pairs(results, {"breastmnist": found})
    keys = [column.key for column in table.columns]
    words = {"better": "the first is better", "worse": "the second is better"}
    for row, ((one, other), c) in zip(table.rows, found.items(), strict=True):
        cells = dict(zip(keys, row.entries, strict=True))
        assert (cells["first"].name, cells["second"].name) == (".".join(one), ".".join(other))
        assert cells["first_score"].value - cells["second_score"].value == pytest.approx(cells["effect"].value)
        assert (cells["effect"].low, cells["effect"].high) == (c.result.low, c.result.high)
        assert cells["verdict"].p == c.holm
        assert cells["verdict"].value == words.get(c.word, "inconclusive") == row.factors["verdict"]
    assert {c.word for c in found.values()} == {"better", "worse", "not distinguishable"}


def test_as_many_arms_as_the_limits_say_are_compared_and_none_where_nothing_was_run(tmp_path, monkeypatch):
    book = Pages(results_of(tmp_path / "some", small()))
    for most, across, squares, lines in ((3, 3, 9, 3), (3, 2, 0, 3), (2, 3, 0, 0)):
        monkeypatch.setattr(compare, "MOST_ARMS", most)
        monkeypatch.setattr(compare, "MOST_ACROSS", across)
        content = compare.compare(book)
        assert sum(map(len, content["grids"][0].rows)) == squares
        assert len(content["pairs"].rows) == lines
    monkeypatch.undo()
    none = compare.compare(Pages(results_of(tmp_path / "none", small(), leave_out=lambda task: True)))
    assert none["grids"][0].reason == "nothing of this data set was run yet"
    assert not none["pairs"].rows


def test_an_interval_of_a_square_holds_its_difference_in_either_direction(tmp_path):
    (grid,) = compare.compare(Pages(results_of(tmp_path, small())))["grids"]
    for row in grid.rows:
        for square in row:
            if square.text:
                low, high = re.findall(r"([+\N{MINUS SIGN}]?\d+\.\d+) to ([+\N{MINUS SIGN}]?\d+\.\d+)", square.words)[0]
                low, value, high = (float(v.replace("\N{MINUS SIGN}", "-")) for v in (low, square.text, high))
                assert low - 0.05 <= value <= high + 0.05


def test_too_many_arms_are_not_compared_with_each_other_and_the_page_says_so(tmp_path):
    zooms = {f"zoom-{n}": {"augment": [{"layer": "RandomZoom", "factor": n / 100}]} for n in range(1, 30)}

    def page(arms: int) -> dict:
        chosen = dict(list({"baseline": {}, **zooms}.items())[:arms])
        return compare.compare(Pages(results_of(tmp_path / str(arms), small(arms=chosen, replicates=2))))

    alone, wide, many = page(2), page(13), page(25)
    assert "no two arms beside the baseline" in alone["grids"][0].reason
    assert "do not fit side by side" in wide["grids"][0].reason
    assert len(wide["pairs"].rows) == 78
    assert "25 arms are too many" in many["grids"][0].reason
    assert not many["pairs"].rows


# --- two studies -----------------------------------------------------------------------------------


def test_runs_of_two_studies_with_other_seeds_are_not_paired(tmp_path):
    here = results_of(tmp_path, small())
    other_study = small(name="again", seed=7, replicates=3)
    plan, store = fake_results(other_study, tmp_path, hits=hits(-0.2), whole=fake_plan(other_study))
    there = Results(other_study, plan, store)
    found = Inference(here).beside(Inference(there))
    assert len(found) == 3
    for (_, arm, _), c in found.items():
        mine, theirs = ([np.mean(hits(g)("", arm, "", s)) for s in range(S)] for g, S in ((0, 5), (-0.2, 3)))
        assert c.result.unpaired.replicates == (5, 3)
        assert c.result.effect == pytest.approx(np.mean(mine) - np.mean(theirs))
    table = compare_tables.studies(here, there, found)
    assert any("all replicates of both, of which no two are paired" in note for note in table.notes)
    for row in table.rows:
        here_, beside, effect = row.entries[2:5]
        assert here_.value - beside.value == pytest.approx(effect.value)


def test_two_studies_are_tested_on_the_images_that_both_tested(tmp_path):
    here = results_of(tmp_path, small(datasets=("breastmnist", "phantom-ultrasound")))
    plan = fake_plan(small(classifier={"epochs": 3}))
    other_study = small(name="longer", classifier={"epochs": 3})
    _, store = fake_results(other_study, tmp_path, hits=hits(-0.2), whole=plan)
    there = Results(other_study, plan, store)
    found = Inference(here).beside(Inference(there))
    assert {cell[0] for cell in found} == {"breastmnist"}
    for (_, arm, _), c in found.items():
        mine, theirs = ([np.mean(hits(g)("", arm, "", s)) for s in range(5)] for g in (0, -0.2))
        assert c.result.effect == pytest.approx(np.mean(mine) - np.mean(theirs))
        assert c.family == 3
    assert {c.word for c in found.values()} == {"better"}
    page = Pages(here, beside=there).all()
    assert b"Beside \xe2\x80\x9c" in page["compare.md"]
    rows = json.loads(page["data/studies.json"])["rows"]
    assert len(rows) == 3
    for row in rows:
        assert row["here"]["value"] - row["beside"]["value"] == pytest.approx(row["effect"]["value"])
        assert "page" not in row["beside"]
    assert {c.result.unpaired for c in found.values()} == {None}
    turned = compare_tables.studies(there, here, Inference(there).beside(Inference(here)))
    assert {row.entries[-1].value for row in turned.rows} == {"fake is better"}
    assert b"this study is better" in page["compare.md"]


def test_the_score_of_the_study_beside_is_at_the_epoch_that_it_shows_itself(tmp_path):
    here = results_of(tmp_path / "here", small())
    plan, store = fake_results(
        study := small(name="other", classifier={"select": "last"}), tmp_path / "there", late=lambda *cell: -0.1
    )
    there = Results(study, plan, store)
    table = compare_tables.studies(here, there, Inference(here).beside(Inference(there)))
    beside = [row.entries[[column.key for column in table.columns].index("beside")].value for row in table.rows]
    cells = [("breastmnist", arm, "shuffle") for arm in THREE]
    assert beside == [there.groups[cell].estimate("last", "test", "accuracy").mean for cell in cells]
    assert beside != [there.groups[cell].estimate(here.select, "test", "accuracy").mean for cell in cells]


def test_studies_of_other_images_stand_side_by_side_without_a_test(tmp_path, monkeypatch):
    here, there = (results_of(tmp_path, small()) for _ in range(2))
    object.__setattr__(there, "plan", dataclasses.replace(there.plan, data={"breastmnist": "data-" + "0" * 16}))
    found = Inference(here).beside(Inference(there))
    assert len(found) == 3
    table = compare_tables.studies(here, there, found)
    assert {row.entries[-2].missing for row in table.rows} == {OTHER_IMAGES}
    assert {(c.result.effect, c.result.reason, c.word) for c in found.values()} == {(None, OTHER_IMAGES, "not tested")}


# --- what is new -----------------------------------------------------------------------------------


def noted(root: Path, study: Study, **how) -> str:
    """What the page says of changes, at a look that is noted."""
    results = results_of(root, study, **how)
    note_look(results, lambda: Inference(results).claims)
    assert results.looks.noted
    return " ".join(compare.changes(results, Inference(results)))


def later(replicates: int) -> dict:
    return {"leave_out": lambda task: task.kind == "classifier" and task.replicate >= replicates}


def test_a_first_look_has_no_changes_and_a_second_names_runs_and_verdicts(tmp_path):
    study = small()
    assert noted(tmp_path, study, **later(1)) == ""
    said = noted(tmp_path, study)
    assert "3 of 15 runs had a result then, 15 of 15 have one now: 12 more." in said
    assert "Now better than the baseline: Geometric on BreastMNIST." in said
    assert "No longer" not in said
    assert noted(tmp_path, study) == said  # the same results, looked at again


def test_a_look_at_other_studies_results_or_at_none_says_nothing_of_changes(tmp_path):
    noted(tmp_path, small())
    assert noted(tmp_path / "other", small()) == ""
    study = small()
    plan, store = fake_results(study, tmp_path, hits=hits())
    for run in plan.runs:
        shutil.rmtree(store.folder(run.task))
    empty = Results(study, plan, store)
    assert empty.looks.last is not None
    assert compare.changes(empty, Inference(empty)) == []


def test_the_look_before_is_the_last_look_at_a_study_of_this_name(tmp_path):
    study = small()
    noted(tmp_path, study, **later(1))
    assert noted(tmp_path, small(name="other"), **later(2)) == ""
    assert looks.note(tmp_path, looks.line("registered", study, fake_plan(study), [])) == ""
    assert "3 of 15 runs had a result then, 9 of 15 have one now" in noted(tmp_path, study, **later(3))
    assert "9 of 15 runs had a result then, 15 of 15 have one now" in noted(tmp_path, study)


def test_a_look_that_is_twice_in_the_log_is_compared_with_the_one_before_both(tmp_path):
    study = small()
    noted(tmp_path, study, **later(1))
    said = noted(tmp_path, study)
    log = tmp_path / looks.NAME
    log.write_text(log.read_text() + log.read_text().splitlines()[-1] + "\n")  # two reports made side by side
    assert noted(tmp_path, study) == said


def test_a_look_with_fewer_results_says_so_and_a_study_that_is_the_same_is_not_called_another(tmp_path):
    study = small()
    noted(tmp_path, study, **later(4))
    plan, store = fake_results(study, tmp_path, hits=hits(), **later(4))
    gone = next(run.task for run in plan.runs if run.replicate == 3)
    shutil.rmtree(store.folder(gone))
    results = Results(study, plan, store)
    said = " ".join(compare.changes(results, Inference(results)))
    assert "12 of 15 runs had a result then, 11 of 15 have one now: 1 fewer." in said
    assert "changed in between" not in said
    assert said.endswith("No verdict has changed.")


def test_a_verdict_that_turned_into_its_opposite_is_both_new_and_lost(tmp_path):
    study = small()
    noted(tmp_path, study, **later(4))
    log = tmp_path / looks.NAME
    line = json.loads(log.read_text())
    assert line["verdicts"] == {"breastmnist/gda/shuffle": "better"}
    line["verdicts"] = {"breastmnist/gda/shuffle": "worse"}
    log.write_text(json.dumps(line, sort_keys=True, separators=(",", ":")) + "\n")
    said = noted(tmp_path, study)
    assert "Now better than the baseline: Geometric on BreastMNIST." in said
    assert "No longer worse: Geometric on BreastMNIST." in said


def test_no_verdicts_are_not_verdicts_that_are_unknown(tmp_path):
    study = small(arms={name: THREE[name] for name in ("baseline", "duplicate")})
    assert noted(tmp_path, study, **later(3)) == ""
    said = noted(tmp_path, study)
    assert "is not known" not in said
    assert said.endswith("4 more. No verdict has changed.")


def test_of_many_arms_eight_are_named_and_the_rest_counted(tmp_path):
    results = results_of(tmp_path, small())
    cells = [f"breastmnist/arm-{n}/shuffle" for n in range(12)]
    assert compare._called(results, cells[:8]).endswith("arm-6/shuffle and breastmnist/arm-7/shuffle")
    assert compare._called(results, cells[:9]).endswith("arm-7/shuffle and 1 more")
    assert compare._called(results, cells).endswith("arm-7/shuffle and 4 more")


def test_verdicts_that_are_lost_are_said_with_arms_that_are_gone(tmp_path):
    noted(tmp_path, small())
    fewer = small(arms={name: THREE[name] for name in ("baseline", "duplicate")})
    said = noted(tmp_path, fewer)
    assert "changed in between: arms, over all data sets 1 gone or changed." in said
    assert "No longer better: breastmnist/gda/shuffle." in said


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"primary": "auc"}, "metric, accuracy then, AUC now; epoch, "),
        (
            {"classifier": {"select": "last"}},
            "epoch, the epoch with the best validation accuracy then, the last epoch now.",
        ),
        ({"replicates": 4}, "replicates, 5 then, 4 now."),
        ({"margin": 2.0}, "margin."),
        ({"datasets": ("breastmnist", "phantom-ultrasound")}, "data sets, baseline, or how the baseline is made."),
        ({"arms": {**THREE, "cvae": ARMS["cvae"]}}, "arms, over all data sets 1 new or changed."),
        (
            {"arms": {n: THREE[n] for n in ("baseline", "gda")}, "replicates": 3},
            "1 gone or changed; replicates, 5 then",
        ),
    ],
)
def test_what_was_changed_between_two_looks_is_named(changed, said, tmp_path):
    noted(tmp_path, small())
    assert f"The study was changed in between: {said}" in noted(tmp_path, small(**changed)) or said[0] == "1"
    assert said in noted(tmp_path, small(**changed))


def test_no_verdict_is_said_to_turn_where_an_earlier_version_kept_none(tmp_path):
    study = small()
    noted(tmp_path, study, **later(1))
    log = tmp_path / looks.NAME
    line = json.loads(log.read_text())
    del line["verdicts"]
    log.write_text(json.dumps(line) + "\n")
    said = noted(tmp_path, study)
    assert "are not known: an earlier version" in said
    assert "Now better" not in said


def test_nothing_is_tested_for_the_log_where_the_look_is_in_it(tmp_path):
    study = small()
    noted(tmp_path, study)
    results = Results(study, fake_plan(study), Store(tmp_path))
    note_look(results, lambda: pytest.fail("tested again"))


@pytest.mark.parametrize(
    "claims", [[], "better", {"a/b/shuffle": "best"}, {"<b>/b/shuffle": "better"}, {"a": "better"}]
)
def test_a_line_with_verdicts_that_no_test_gives_is_passed_over(tmp_path, claims):
    noted(tmp_path, small())
    log = tmp_path / looks.NAME
    line = json.loads(log.read_text()) | {"verdicts": claims}
    log.write_text(json.dumps(line) + "\n")
    assert looks.read(tmp_path) == ([], 1)
