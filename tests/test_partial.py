"""A run of a part of a study speaks of what was asked for; the page says as of when it is, and how long is left."""

import re
from pathlib import Path

import pytest
from report_records import RUN, fake_plan, fake_results, fake_study

from medaug_keras import report
from medaug_keras.cli import main
from medaug_keras.plan import Task
from studies import PHANTOM, tiny, written

SETS = ("breastmnist", "pathmnist", "octmnist")


def rendered(root: Path, only: str | None, *, failing: bool = False, seconds: float | None = 5400.0) -> str:
    """The first page of a study of three data sets of which one is done."""
    study = fake_study(datasets=SETS, arms={"baseline": {}, "gda": {"augment": [{"layer": "horizontal_flip"}]}})
    plan, store = fake_results(
        study,
        root / "results",
        leave_out=lambda task: task.dataset != "breastmnist",
        fails=lambda task: failing and task.title == "breastmnist: gda, weighted, replicate 2",
    )
    asked = plan.only({"dataset": [only]}) if only else plan
    folder = report.render(
        study,
        plan,
        store,
        root / "docs",
        asked=asked,
        expected=lambda tasks, outcomes: seconds and seconds * len(tasks),
    )
    return (folder / "index.md").read_text("utf-8")


def test_a_part_that_is_done_is_said_to_be_done_and_the_rest_is_one_sentence(tmp_path):
    page = rendered(tmp_path, "breastmnist")
    assert "This run: 13 of 13 tasks done" in page
    assert "The rest of the study: 26 tasks, 26 not run yet." in page
    assert "Left of the rest: about 39 h 00 min of one process." in page
    assert page.count("PathMNIST") == 0
    assert "<dd><bdi>BreastMNIST; 2 more in the rest of the study</bdi></dd>" in page
    assert "The study is not complete: 24 of 36 runs have no result." in page


def test_a_part_that_is_not_done_says_what_is_left_of_it(tmp_path):
    page = rendered(tmp_path, "breastmnist", failing=True)
    assert "This run: 12 of 13 tasks done" in page
    assert "Left: about 1 h 30 min of one process." in page


def test_a_whole_study_speaks_of_itself(tmp_path):
    page = rendered(tmp_path, None)
    assert "This run" not in page
    assert "The rest of the study" not in page
    assert "13 of 39 tasks done" in page
    assert "Left of the study: about 39 h 00 min of one process." in page
    assert "No run is done yet on <bdi>PathMNIST and OctMNIST</bdi>" in page


def test_what_nobody_knows_is_said(tmp_path):
    page = rendered(tmp_path, None, seconds=None)
    assert "Left of the study: not known before one task of each kind is done." in page


def test_as_of_when_a_page_is_comes_from_the_records_so_that_the_same_records_give_the_same_bytes(tmp_path):
    pages = {rendered(tmp_path / str(number), "breastmnist") for number in range(2)}
    assert len(pages) == 1
    assert RUN["started"] + RUN["seconds"] == 1_700_000_012.5
    assert "As of 2023-11-14 22:13 UTC, when the newest result arrived." in pages.pop()


def test_a_page_without_a_result_has_no_time_and_nothing_to_expect(tmp_path):
    def nothing(task: Task) -> bool:
        return True

    study = fake_study(datasets=SETS[:1], arms={"baseline": {}}, replicates=1)
    plan, store = fake_results(study, tmp_path / "results", leave_out=nothing)
    folder = report.render(study, plan, store, tmp_path / "docs", expected=lambda tasks, outcomes: 1.0)
    page = (folder / "index.md").read_text("utf-8")
    assert "As of" not in page
    assert "Left" not in page
    assert plan.tasks == fake_plan(study).tasks


def test_the_command_line_tells_the_same(tmp_path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    sets = {"one": PHANTOM, "two": PHANTOM | {"seed": 1}}
    written(tmp_path, tiny(datasets=sets, arms={"baseline": {}}))
    words = ["tiny.yaml", "--only", "dataset=one", "--no-site", "--workers", "1"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert re.search(r"The rest of the study: 0 of 2 tasks done, about \S+ \w+ with 1 worker\.", out)
    page = tmp_path / "docs" / "studies" / "tiny" / "index.md"
    assert "This run: 2 of 2 tasks done" in page.read_text("utf-8")
    before = page.stat().st_ino, page.read_bytes()
    assert main(words) == 0  # nothing changed, so the report is left alone
    assert (page.stat().st_ino, page.read_bytes()) == before
    assert main(["report", "tiny.yaml", "--only", "dataset=one", "--no-site"]) == 0
    assert page.read_bytes() == before[1]
    assert main(["report", "tiny.yaml", "--no-site"]) == 0
    assert "2 of 4 tasks done" in page.read_text("utf-8")
