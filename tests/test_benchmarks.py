"""The benchmarks run: each at a tiny size, so that none can rot. What they measure is not tested."""

import importlib
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parent.parent


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """A benchmark's module by its name."""
    monkeypatch.syspath_prepend(PROJECT)
    return lambda name: importlib.import_module(f"benchmarks.{name}")


def test_every_benchmark_is_run_here():
    names = {path.stem for path in (PROJECT / "benchmarks").glob("*.py") if "__main__" in path.read_text()}
    assert names - {"typical"} == SMALLEST.keys()  # it reads a finished study: tests/test_prospects.py


SMALLEST = {
    "copying": ["--sets", "1", "--unseen", "1", "--images", "20", "--shares", "1"],
    "changes": ["--steps", "1", "--repeats", "1"],
    "decoding": ["--images", "40", "--repeats", "1", "--size", "28"],
    "duplicates": ["--images", "10"],
    "generators": ["--images", "64", "--repeats", "1", "--threads", "1"],
    "memory": ["--images", "100", "--seconds", "60", "--only", "classifier"],
    "networks": ["--images", "16", "--repeats", "1", "--network", "resnet18-28"],
    "scaling": ["--images", "64", "--points", "1"],
    "statistics": ["--repeats", "2", "--small"],
    "tool": ["--tasks", "40", "--done", "40", "--repeats", "1", "--large", "2", "4", "2"],
    "training": ["--images", "64", "--repeats", "1", "--threads", "1"],
}


def columns_of(text: str) -> list[list[int]]:
    """For each Markdown table the number of cells of each row."""
    tables: list[list[int]] = [[]]
    for line in text.splitlines():
        if line.startswith("|"):
            tables[-1].append(line.count("|"))
        elif tables[-1]:
            tables.append([])
    return [table for table in tables if table]


def is_well_made(text: str) -> bool:
    tables = columns_of(text)
    return bool(tables) and all(len(table) > 2 and len(set(table)) == 1 for table in tables)


def test_the_check_of_tables_knows_a_bad_one():
    assert is_well_made("| a | b |\n|---|---|\n| 1 | 2 |\n\n| c |\n|---|\n| 3 |\n")
    assert not is_well_made("no table")
    assert not is_well_made("| a | b |\n|---|---|\n")
    assert not is_well_made("| a | b |\n|---|---|\n| 1 |\n")


@pytest.mark.parametrize("name", ["copying", "decoding", "duplicates", "generators", "networks", "training"])
def test_a_benchmark_prints_a_table(benchmark, name, monkeypatch, capsys):
    module = benchmark(name)
    monkeypatch.setattr(sys, "argv", [name, *SMALLEST[name]])
    module.main()
    assert is_well_made(capsys.readouterr().out)


def test_the_statistics_of_folds_are_a_table(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["statistics", "folds", "--repeats", "5", "--small"])
    benchmark("statistics").main()
    printed = capsys.readouterr().out
    assert is_well_made(printed)
    assert [line.split(" | ")[5] for line in printed.splitlines()[2:8]] == ["3", "5", "10"] * 2


def test_the_statistics_of_further_measures_are_a_table(benchmark, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["statistics", "measures", "--repeats", "2", "--small"])
    benchmark("statistics").main()
    printed = capsys.readouterr().out
    assert is_well_made(printed)
    assert len(printed.splitlines()[2:-2]) == 1 + 4 + 2 + 2 + 1


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALLEST)
def test_a_benchmark_as_a_command_prints_a_table(name):
    words = [sys.executable, "-m", f"benchmarks.{name}", *SMALLEST[name]]
    done = subprocess.run(words, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stderr
    assert is_well_made(done.stdout)


def test_memory_is_seen_in_every_process_that_makes_a_task(benchmark, tmp_path):
    [(name, watch, done)] = benchmark("memory").measure(100, 28, 300, ["classifier, two at once"], tmp_path)
    assert (name, done) == ("classifier, two at once", True)
    assert len(watch.resident) == len(watch.own) == 2
    assert all(share > 0 for share in watch.own)
    assert sum(watch.own) <= sum(watch.resident.values())


def test_what_takes_too_long_is_stopped_and_its_memory_is_known(benchmark, tmp_path):
    [(_, watch, done)] = benchmark("memory").measure(100, 28, 1, ["classifier"], tmp_path)
    assert not done
    assert len(watch.resident) == 1


def test_a_study_grows_by_one_thing_at_a_time_and_is_timed(benchmark, tmp_path):
    scaling = benchmark("scaling")
    for name, points in scaling.series(100, 3).items():
        sizes = [getattr(point, name) for point in points]
        assert sizes == [sizes[0] * 2**n for n in range(len(sizes))]
        others = {"images", "epochs", "runs", "workers"} - {name}
        assert len({tuple(getattr(point, other) for other in sorted(others)) for point in points}) == 1
    assert {point.size for points in scaling.series(100, 3, 64).values() for point in points} == {64}
    found = scaling.measure(scaling.Point(64, 1, 2, 1, 32), tmp_path)
    assert 0 < found.processor <= found.seconds + 1
    assert 0 < found.together <= found.memory


def test_a_slope_is_the_exponent(benchmark):
    slope = benchmark("scaling").slope
    for exponent in (-1, 0, 1, 2.5):
        assert slope([1, 2, 4, 8], [3 * n**exponent for n in (1, 2, 4, 8)]) == pytest.approx(exponent)
    assert math.isnan(slope([5], [7]))


def test_the_memory_of_a_command_is_its_own_and_not_that_of_the_process_that_started_it(benchmark, tmp_path):
    held = b"x" * 300_000_000
    seconds, memory = benchmark("tool")._cost(["-c", "pass"], tmp_path)
    assert held.endswith(b"x")
    assert 5 < memory < 150
    assert seconds > 0


def test_a_large_study_is_planned_and_reported_in_processes_whose_cost_is_known(benchmark, tmp_path):
    rows = benchmark("tool").measure_large(2, 4, 2, tmp_path)
    assert all(seconds > 0.05 and 20 < memory < 2000 for _, seconds, memory in rows)
    # The records that were made up are those that the command line asks for.
    assert len(list((tmp_path / "docs" / "studies" / "large" / "runs").iterdir())) == 2 * 4 * 2


def test_the_tools_commands_are_timed_on_studies_as_large_as_asked(benchmark, tmp_path):
    tool = benchmark("tool")
    for tasks in (30, 100):
        assert tasks <= len(tool.study_of(tasks)[1].tasks) < tasks + 40
    rows = tool.measure(30, 20, 1, tmp_path)
    assert [name for name, *_ in rows][:2] == ["check", "plan"]
    assert all(seconds[0] > 0 and torch[0] > 0 for _, _, seconds, torch in rows)
    # The records that were made up are those that the command line asks for: a second run trains nothing.
    assert not list((tmp_path / "finished" / "results" / "unfinished").iterdir())
    assert (tmp_path / "finished" / "docs" / "studies" / "fake" / "index.md").exists()
