"""What does the tool itself cost? Seconds of each command, beside an import of Torch in the same run.

    python -m benchmarks.tool [--tasks N] [--done N] [--repeats N] [--large SETS ARMS REPLICATES]

`check` and `plan` are asked of a study of at least `--tasks` tasks of which none is done; `plan` and a second run, of a
study of at least `--done` tasks that all are: its records are made up, so nothing is trained here. Each command runs in
a process of its own. The commands take turns with an import of Torch, because machines are shared and noisy: the ratio
says more than the seconds.

`--large` adds `plan` and `report` of a study of so many data sets, arms and replicates whose tasks are all done: their
processor seconds, their largest memory, and how many and how large the pages are.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from unittest import mock

import yaml

from benchmarks.machine import machine
from medaug_keras.data import phantom_fingerprint
from medaug_keras.plan import Plan, Source, plan
from medaug_keras.spec import Study
from tests import report_records

PROJECT = Path(__file__).parent.parent
DATASETS = ("phantom-ultrasound", "phantom-histology")


def study_of(tasks: int) -> tuple[Study, Plan]:
    """A study with every kind of arm and at least so many tasks, and its plan as the command line makes it."""
    one = report_records.fake_study(datasets=DATASETS, replicates=1)
    sources = sources_of(one)
    single = len(plan(one, sources).tasks) - len(DATASETS)  # all but the data is made in each replicate
    study = one.model_copy(update={"replicates": -(-(tasks - len(DATASETS)) // single)})
    return study, plan(study, sources)


def written(study: Study, folder: Path) -> None:
    """The study as folder/study.yaml, with an empty results folder beside it."""
    (folder / "results").mkdir(parents=True)
    content = json.loads(study.model_dump_json(exclude_unset=True)) | {"replicates": study.replicates}
    (folder / "study.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")


def sources_of(study: Study) -> dict[str, Source]:
    """What the command line finds out of a study's phantoms."""
    sources = {}
    for name, section in study.datasets.items():
        counts = {split: getattr(section, split) for split in ("train", "validation", "test")}
        own = getattr(section, "name", None) or name
        sources[name] = Source(phantom_fingerprint(own, seed=section.seed, **counts), **counts)
    return sources


def measure_large(sets: int, arms: int, replicates: int, folder: Path) -> list[tuple[str, float, float]]:
    """Rows: the command, its processor seconds, and the most memory that it needed, in MB. Leaves the pages in docs."""
    study = report_records.large_study(sets, arms, replicates)
    whole = plan(study, sources_of(study))
    written(study, folder)
    with mock.patch.object(report_records, "fake_plan", return_value=whole):
        report_records.fake_results(study, folder / "results")
    return [
        (name, *_cost(["-m", "medaug_keras", *words], folder))
        for name, words in (
            ("plan, all done", ["plan", "study.yaml"]),
            ("report, without the site", ["report", "study.yaml", "--no-site"]),
        )
    ]


# Linux counts into a process's peak what its parent held when it was started: a small process in between keeps the
# parent's gigabytes out of the figure.
_BETWEEN = """
import os, subprocess, sys
process = subprocess.Popen(sys.argv[1:], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
_, status, usage = os.wait4(process.pid, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)
"""


def _cost(words: list[str], folder: Path) -> tuple[float, float]:
    """Processor seconds and MB of a Python process."""
    answer = subprocess.run(
        [sys.executable, "-S", "-c", _BETWEEN, sys.executable, *words],
        cwd=folder,
        env=_environment(),
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    if answer[0] != "0":
        raise RuntimeError(f"{' '.join(words)} ended with {answer[0]}")
    return float(answer[1]), float(answer[2])


def measure(tasks: int, done: int, repeats: int, folder: Path) -> list[tuple[str, int, list[float], list[float]]]:
    """Rows: the command, the study's tasks, and for each repeat its seconds and those of an import of Torch."""
    todo, todo_plan = study_of(tasks)
    written(todo, folder / "todo")
    finished, finished_plan = study_of(done)
    written(finished, folder / "finished")
    with mock.patch.object(report_records, "fake_plan", return_value=finished_plan):
        report_records.fake_results(finished, folder / "finished" / "results")
    run = ["run", "study.yaml"]
    _seconds(
        ["-m", "medaug_keras", *run], folder / "finished"
    )  # makes report and site; a second run is what is measured
    asked: list[tuple[str, Plan, Path, list[str]]] = [
        ("check", todo_plan, folder / "todo", ["check", "study.yaml"]),
        ("plan", todo_plan, folder / "todo", ["plan", "study.yaml"]),
        ("plan, all done", finished_plan, folder / "finished", ["plan", "study.yaml"]),
        ("run again, pages only", finished_plan, folder / "finished", [*run, "--no-site"]),
        ("run again, with the site", finished_plan, folder / "finished", run),
    ]
    rows: list[tuple[str, int, list[float], list[float]]] = [(name, len(p.tasks), [], []) for name, p, *_ in asked]
    for _ in range(repeats):
        for (_, _, seconds, torch), (_, _, where, words) in zip(rows, asked, strict=True):
            torch.append(_seconds(["-c", "import torch"], where))
            seconds.append(_seconds(["-m", "medaug_keras", *words], where))
    return rows


def _seconds(words: list[str], folder: Path) -> float:
    """Of a Python process, from its start to its end."""
    start = time.perf_counter()
    subprocess.run([sys.executable, *words], cwd=folder, env=_environment(), capture_output=True, check=True)
    return time.perf_counter() - start


def _environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", type=int, default=10_000)
    parser.add_argument("--done", type=int, default=1_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", type=int, nargs=3, metavar=("SETS", "ARMS", "REPLICATES"))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        rows = measure(options.tasks, options.done, options.repeats, Path(folder))
    print(f"{machine()}\n")
    print("| command | tasks | seconds (median) | range | ratio to an import of Torch (median) |")
    print("|---|---|---|---|---|")
    for name, count, seconds, torch in rows:
        ratio = statistics.median(mine / theirs for mine, theirs in zip(seconds, torch, strict=True))
        span = f"{min(seconds):.2f} to {max(seconds):.2f}"
        print(f"| {name} | {count:,} | {statistics.median(seconds):.2f} | {span} | {ratio:.2f} |")
    imports = [second for *_, torch in rows for second in torch]
    span = f"{min(imports):.2f} to {max(imports):.2f}"
    print(f"| import torch | | {statistics.median(imports):.2f} | {span} | 1 |")
    if options.large:
        with tempfile.TemporaryDirectory() as folder:
            _say_large(*options.large, Path(folder))


def _say_large(sets: int, arms: int, replicates: int, folder: Path) -> None:
    print(f"\n{sets} data sets x {arms} arms x {replicates} replicates\n")
    print("| command | processor seconds | memory, MB |")
    print("|---|---|---|")
    for name, seconds, memory in measure_large(sets, arms, replicates, folder):
        print(f"| {name} | {seconds:.1f} | {memory:.0f} |")
    pages = {path: path.stat().st_size for path in (folder / "docs").rglob("*.md")}
    whole = sum(path.stat().st_size for path in (folder / "docs").rglob("*") if path.is_file())
    first = next(size for path, size in pages.items() if path.match("studies/large/index.md"))
    print("\n| pages | largest, kB | first page, kB | all files, MB |")
    print("|---|---|---|---|")
    print(f"| {len(pages):,} | {max(pages.values()) / 1e3:.0f} | {first / 1e3:.0f} | {whole / 1e6:.0f} |")


if __name__ == "__main__":
    main()
