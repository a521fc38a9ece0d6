"""A large study: pages stay small, their number follows the runs that there are, and costs grow with the tasks."""

import json
import re
import time
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace

import pytest
from report_records import fake_results, large_study

from medaug_keras import report
from medaug_keras.data import phantom_fingerprint
from medaug_keras.plan import Source, plan
from medaug_keras.report.numbers.results import MANY_RUNS, Results
from medaug_keras.report.pages import book
from medaug_keras.report.pages.study import ROOM, Pages
from medaug_keras.spec import Study
from medaug_keras.store import Store

SETS, COUNT, REPLICATES = 12, 12, 6
assert SETS * COUNT * REPLICATES > MANY_RUNS


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A large study, of which some runs failed, some were not run, and two arms have no run at all on a data set."""
    root = tmp_path_factory.mktemp("large")
    study = large_study(SETS, COUNT, REPLICATES)
    whole, store = fake_results(
        study,
        root / "results",
        leave_out=lambda task: task.kind == "classifier" and ("turned-05" in task.title or task.replicate == 5),
        fails=lambda task: "set-03: turned-07" in task.title,
    )
    folder = report.render(study, whole, store, root / "docs")
    return SimpleNamespace(study=study, plan=whole, store=store, folder=folder)


def test_no_page_of_a_large_study_is_large(made: SimpleNamespace):
    sizes = {path.relative_to(made.folder).as_posix(): path.stat().st_size for path in made.folder.rglob("*.md")}
    assert {name: size for name, size in sizes.items() if size > ROOM} == {}
    assert sizes["index.md"] < 400_000


def test_an_ordinary_study_of_480_runs_has_a_small_first_page_and_no_page_above_a_megabyte(tmp_path: Path):
    study = large_study(8, 12, 5)
    whole, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, whole, store, tmp_path / "docs")
    assert (folder / "index.md").stat().st_size < 400_000
    assert max(path.stat().st_size for path in folder.rglob("*.md")) <= ROOM
    assert len(list((folder / "runs").iterdir())) == 480  # each has its page


def test_a_data_set_of_which_nothing_was_run_has_its_part_of_every_page(tmp_path: Path, monkeypatch):
    monkeypatch.setattr(book, "MANY_GROUPS", 1)
    study = large_study(2, 4, 2)
    plan, store = fake_results(study, tmp_path, leave_out=lambda task: "set-01" in task.title)
    pages = Pages(Results(study, plan, store)).all()
    assert b"not run yet" in pages["significance/set-01.md"]
    assert b"not run yet" not in pages["significance/set-00.md"]


def test_pages_of_runs_are_those_of_runs_that_were_tried(made: SimpleNamespace):
    tried = {
        f"{run.dataset}.{run.arm}.{run.sampling}"
        for run in made.plan.runs
        if made.store.is_done(run.task) or made.store.failure(run.task)
    }
    assert 0 < len(tried) < SETS * COUNT
    assert {path.stem for path in (made.folder / "runs").glob("*.*.*.md")} == tried


def test_the_page_that_replicates_share_says_of_each_what_a_page_of_its_own_would(made: SimpleNamespace):
    text = (made.folder / "runs" / "set-02.baseline.shuffle.md").read_text("utf-8")
    cells = [c for c in made.plan.runs if (c.dataset, c.arm) == ("set-02", "baseline")]
    for cell in cells:
        task = made.plan.tasks[cell.task]
        if not made.store.is_done(cell.task):
            assert task.key not in text
            continue
        record = made.store.record(cell.task)
        assert f'id="replicate-{cell.replicate}"' in text
        assert task.key in text
        assert f"<dd>{task.params['seed']}</dd>" in text
        for name, checksum in record.run["files"].items():
            assert f"{checksum}  {name}" in text
    failed = (made.folder / "runs" / "set-03.turned-07.shuffle.md").read_text("utf-8")
    assert failed.count("ValueError: a made-up failure") >= 5


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.anchors: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        told = dict(attrs)
        self.anchors |= {told["id"]} if told.get("id") else set()
        if tag in ("a", "img"):
            self.links.add(told.get("href") or told.get("src") or "")


def test_every_link_between_the_pages_of_a_large_study_leads_somewhere(made: SimpleNamespace):
    pages = {}
    for path in (made.folder.parent / "index.md", *made.folder.rglob("*.md")):  # the first: all studies
        found = _Links()
        text = path.read_text("utf-8")
        found.feed(text)
        found.anchors |= set(re.findall(r"^#+ .*\{: #([\w.-]+) \}$", text, re.MULTILINE))
        pages[path.with_suffix(".html")] = found
    lost = []
    for path, found in pages.items():
        for link in found.links - {""}:
            address, _, anchor = link.partition("#")
            target = (path.parent / address).resolve() if address else path
            if target in pages:
                if anchor and anchor not in pages[target].anchors:
                    lost.append((path.name, link))
            elif not target.exists():
                lost.append((path.name, link))
    assert lost == []


def test_parts_of_a_page_hold_every_row_of_its_tables_once(made: SimpleNamespace):
    rows = json.loads((made.folder / "data" / "tests.json").read_bytes())["rows"]
    assert len(rows) == SETS * (COUNT - 1)
    shown = 0
    for path in sorted((made.folder / "significance").iterdir()):
        table = re.search(r'<div class="ma-table" id="tests-table".*?</table>', path.read_text("utf-8"), re.DOTALL)
        assert table is not None
        found = re.findall(r'<tr id="test\.[^"]+" data-data-set="([^"]+)"', table[0])
        assert set(found) == {path.stem}
        shown += len(found)
    assert shown == len(rows)


def test_the_first_page_of_a_large_study_leads_to_every_data_set(made: SimpleNamespace):
    text = (made.folder / "index.md").read_text("utf-8")
    for dataset in made.study.datasets:
        assert f'href="significance/{dataset}.html"' in text


def test_rendering_a_large_study_twice_gives_the_same_bytes(made: SimpleNamespace, tmp_path: Path):
    again = report.render(made.study, made.plan, made.store, tmp_path / "docs")
    for path in made.folder.rglob("*"):
        if path.is_file():
            assert (again / path.relative_to(made.folder)).read_bytes() == path.read_bytes(), path


def _planning(study: Study) -> float:
    """Processor seconds of a plan and of asking how its tasks stand."""
    sources = {
        name: Source(phantom_fingerprint("phantom-ultrasound", seed=n, train=9, validation=9, test=9), 9, 9, 9)
        for n, name in enumerate(study.datasets)
    }
    before = time.process_time()
    Store(Path("nowhere")).outcomes(plan(study, sources), values=False)
    return time.process_time() - before


def test_what_a_plan_costs_grows_with_the_tasks_and_not_with_their_square():
    small, eight_times = large_study(5, 12, 10), large_study(20, 24, 10)
    _planning(small)  # what is done once
    ratio = min(_planning(eight_times) for _ in range(3)) / min(_planning(small) for _ in range(3))
    assert ratio < 30  # the square would be 64
