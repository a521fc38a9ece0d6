"""What the page of promises says of whole runs: data that change or cannot be had, disks and memory that end."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from medaug_keras import engine
from medaug_keras.cli import options, request
from medaug_keras.plan import Plan
from medaug_keras.store import Store
from studies import PHANTOM, PROJECT, cli, command, environment, results, start, tiny, written

RUN = ("tiny.yaml", "--no-site", "--workers", 1)


def own_images(path: Path, seed: int) -> None:
    """Small random images of two classes, as an .npz file."""
    rng = np.random.default_rng(seed)
    arrays = {}
    for split, n in (("train", 16), ("val", 8), ("test", 8)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), np.uint8)
        arrays[f"{split}_labels"] = np.arange(n) % 2
    np.savez_compressed(path, **arrays)


def own_folder(path: Path) -> None:
    """The same as a folder of images."""
    from PIL import Image

    rng = np.random.default_rng(0)
    for split in ("train", "val", "test"):
        for name in ("benign", "malignant"):
            (path / split / name).mkdir(parents=True)
            for number in range(4):
                pixels = rng.integers(0, 256, (28, 28), np.uint8)
                Image.fromarray(pixels).save(path / split / name / f"{number}.png")


def planned_here(*words: object) -> Plan:
    """The plan of a command line."""
    return request.planned(options.parser().parse_args(["plan", *map(str, words)]))[1]


def states(folder: Path, *words: object) -> dict[str, str]:
    """Title of each task → how it stands."""
    run = cli("plan", "tiny.yaml", "--json", *words, cwd=folder)
    assert run.returncode == 0, run.stderr
    return {task["title"]: task["state"] for task in json.loads(run.stdout)["plan"]}


def half_made(folder: Path) -> list[str]:
    return [path.name for path in (folder / "unfinished").iterdir()]


# --- data ------------------------------------------------------------------------------------------


def test_data_that_change_while_the_study_runs_fail_the_tasks_that_meet_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """They change after their data tasks, when what was read is gone; later they are as before, and the run goes on."""
    monkeypatch.chdir(tmp_path)
    own_images(tmp_path / "file.npz", 0)
    own_folder(tmp_path / "folder")
    sets = {
        "grey": PHANTOM,
        "file": {"kind": "npz", "path": "file.npz"},
        "folder": {"kind": "folder", "path": "folder"},
    }
    written(tmp_path, tiny(datasets=sets, arms={"baseline": {}}))
    plan, store = planned_here("tiny.yaml"), Store(tmp_path / "results")
    titles = {name: task.title for name, task in plan.tasks.items()}
    shutil.copytree(tmp_path, tmp_path / "before")

    def change(event: engine.Event) -> None:
        if (event.what, event.task.title) == ("done", "file: data"):
            own_images(tmp_path / "file.npz", 1)
        if (event.what, event.task.title) == ("done", "folder: data"):
            shutil.copy("folder/train/benign/1.png", "folder/train/benign/0.png")
        if event.what == "done" and event.task.title in ("file: data", "folder: data"):
            shutil.rmtree(tmp_path / "results" / "unpacked" / event.task.id)

    summary = engine.run(plan, store, workers=1, listen=change)
    made = {f"{name}: data" for name in sets} | {"grey: baseline, shuffle, replicate 0"}
    assert {titles[name] for name in summary.done} == made
    assert {titles[name] for name in summary.failed} == set(titles.values()) - made
    for task in summary.failed:
        failure = store.failure(task)
        assert failure is not None
        name = titles[task].partition(":")[0]
        assert failure.error.startswith(f"DataError: {name}: the data changed while the study ran (MD5 ")

    shutil.copytree(tmp_path / "before", tmp_path, dirs_exist_ok=True)
    summary = engine.run(plan, store, workers=1, listen=lambda event: None)
    assert {titles[name] for name in summary.done} == set(titles.values()) - made


def test_each_data_set_that_cannot_be_read_or_fetched_fails_its_own_task_and_the_others_go_on(tmp_path: Path):
    """A cut-off file, a folder with a damaged image, a download without a network; and a set that is right."""
    own_images(tmp_path / "cut.npz", 0)
    content = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(content[: len(content) // 2])
    own_folder(tmp_path / "images")
    (tmp_path / "images/test/benign/0.png").write_bytes(b"<html>Not found</html>")
    sets = {
        "cut": {"kind": "npz", "path": "cut.npz"},
        "images": {"kind": "folder", "path": "images"},
        "gone": {"kind": "folder", "path": "gone"},
        "breastmnist": {"kind": "medmnist"},
        "grey": PHANTOM,
    }
    written(tmp_path, tiny(datasets=sets, arms={"baseline": {}}))
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:1")
    process = subprocess.run(
        command(*RUN, "--data", "empty"),
        cwd=tmp_path,
        env=environment() | nowhere | {"no_proxy": "", "NO_PROXY": ""},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert process.returncode == 1, process.stderr
    assert "Traceback" not in process.stderr + process.stdout
    expected = {f"{name}: data": "failed" for name in sets} | {
        f"{name}: baseline, shuffle, replicate 0": "blocked" for name in sets
    }
    expected |= {"grey: data": "done", "grey: baseline, shuffle, replicate 0": "done"}
    assert states(tmp_path, "--data", "empty") == expected
    said = {path.stem: json.loads(path.read_text())["error"] for path in (tmp_path / "results/failures").iterdir()}
    for words in (
        "cut.npz is not a complete .npz file",
        "test/benign/0.png is an HTML page",
        "gone is not there, but a folder of images is expected",
        "breastmnist.npz could not be downloaded from ",
    ):
        (error,) = [error for error in said.values() if words in error]
        assert error.startswith("DataError: ")
        assert error in process.stdout
    assert (tmp_path / "docs/studies/tiny/index.md").exists()


# --- disks -----------------------------------------------------------------------------------------


@contextlib.contextmanager
def mounted(folder: Path, *words: str) -> Iterator[None]:
    """A file system of its own at a folder, where that is allowed."""
    if subprocess.run(["mount", *words, str(folder)], capture_output=True).returncode:
        pytest.skip("only root can mount a file system")
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


LONGER = tiny(arms={"baseline": {}}, classifier={"epochs": 30, "batch_size": 16})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """The results of a run that met no trouble."""
    folder = tmp_path_factory.mktemp("undisturbed")
    written(folder, LONGER)
    run = cli(*RUN, cwd=folder)
    assert run.returncode == 0, run.stderr
    return results(folder / "results")


def ended_well(run: subprocess.CompletedProcess[str], said: str) -> None:
    """A run that the disk ended says so in words, and no task is to blame."""
    assert run.returncode == 1, run.stderr
    (line,) = [line for line in run.stderr.splitlines() if line.startswith("Stopped after ")]
    assert said in line
    assert run.stderr.endswith("\nWhat is finished stays; mend this, and the same command goes on.\n")
    assert "Traceback" not in run.stderr


def filled_and_enlarged(folder: Path, sizes: list[str], undisturbed: dict[str, dict[str, Any]]) -> None:
    """Run on a disk that is too small, and on larger ones until the study is whole."""
    written(folder, LONGER)
    (folder / "results").mkdir()
    with mounted(folder / "results", "-t", "tmpfs", "-o", f"size={sizes[0]}", "tmpfs"):
        for size in sizes:
            subprocess.run(["mount", "-o", f"remount,size={size}", folder / "results"], check=True)
            run = cli(*RUN, cwd=folder)
            if run.returncode == 0:
                break
            ended_well(run, "No space left on device")
            assert not list((folder / "results").glob("failures/*"))
            assert half_made(folder / "results") == []
            found = results(folder / "results")
            assert {name: undisturbed[name] for name in found} == found
        assert run.returncode == 0, run.stderr
        assert results(folder / "results") == undisturbed


def test_a_run_goes_on_when_a_full_disk_has_room_again(undisturbed: dict[str, dict[str, Any]], tmp_path: Path):
    filled_and_enlarged(tmp_path, ["700k", "100m"], undisturbed)


@pytest.mark.slow
def test_a_run_goes_on_whatever_the_disk_had_room_for(undisturbed: dict[str, dict[str, Any]], tmp_path: Path):
    for number, size in enumerate(range(4, 1200, 92)):
        (tmp_path / str(number)).mkdir()
        filled_and_enlarged(tmp_path / str(number), [f"{size}k", f"{size + 300}k", "100m"], undisturbed)


def test_a_disk_that_goes_read_only_in_the_middle_of_a_task_ends_the_run_with_one_message(
    undisturbed: dict[str, dict[str, Any]], tmp_path: Path
):
    """As after an error of the disk: what is open for writing fails from then on. Mounted again, the run goes on."""
    if shutil.which("mkfs.ext4") is None:
        pytest.skip("there is no mkfs.ext4 to make a file system with")
    written(tmp_path, LONGER)
    with open(tmp_path / "disk", "wb") as file:
        file.truncate(32 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", "-F", tmp_path / "disk"], check=True)
    folder = tmp_path / "results"
    folder.mkdir()
    with mounted(folder, "-o", "loop", str(tmp_path / "disk")):
        process = start(*RUN, cwd=tmp_path)
        while not list(folder.glob("unfinished/classifier-*.lock")):
            assert process.poll() is None
            time.sleep(0.01)
        subprocess.run(["mount", "-o", "remount,abort", folder], check=True)
        out, said = process.communicate(timeout=300)
        ended_well(subprocess.CompletedProcess(process.args, process.returncode, out, said), "Read-only file system")
        assert [name.partition("-")[0] for name in results(folder)] == ["data"]
        assert not list(folder.glob("failures/*"))
    with mounted(folder, "-o", "loop", str(tmp_path / "disk")):
        run = cli(*RUN, cwd=tmp_path)
        assert run.returncode == 0, run.stderr
        assert results(folder) == undisturbed


def test_pages_that_a_disk_refuses_cost_no_result(tmp_path: Path):
    written(tmp_path, tiny(arms={"baseline": {}}))
    (tmp_path / "docs").mkdir()
    with mounted(tmp_path / "docs", "-t", "tmpfs", "-o", "size=40k", "tmpfs"):
        run = cli(*RUN, cwd=tmp_path)
        assert run.returncode == 1, run.stderr
        assert "2 tasks done in " in run.stdout
        assert "No space left on device. What is finished stays; mend this, and the same command goes on." in run.stderr
        assert "Traceback" not in run.stderr
        assert not (tmp_path / "docs/studies/tiny").exists()
        assert len(results(tmp_path / "results")) == 2
        subprocess.run(["mount", "-o", "remount,size=100m", tmp_path / "docs"], check=True)
        run = cli("report", "tiny.yaml", "--no-site", cwd=tmp_path)
        assert run.returncode == 0
        assert "\nPages: docs/studies/tiny\n" in run.stdout


# --- memory ----------------------------------------------------------------------------------------

ATTEMPT = """
import json, resource, sys
from pathlib import Path
from medaug_keras import engine, tasks  # before the limit: Torch alone takes gigabytes of addresses
from medaug_keras.store import Store
from test_reliability import planned_here

taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 300 * 2**20,) * 2)
store = Store(Path("results"))
for task in planned_here("tiny.yaml").tasks.values():
    what, failure = engine.attempt(task, store, lambda *words: None)
    print(json.dumps([task.title, what, failure and failure.error]))
"""


def test_a_task_that_runs_out_of_memory_fails_by_that_name_and_the_next_one_is_made(tmp_path: Path):
    """Half a gigabyte of images where there is room for 300 MB."""
    own_images(tmp_path / "large.npz", 0)
    header = b"{'descr': '|u1', 'fortran_order': False, 'shape': (700000, 28, 28), }\n"
    with zipfile.ZipFile(tmp_path / "large.npz") as small:
        members = {name: small.read(name) for name in small.namelist()}
    with zipfile.ZipFile(tmp_path / "large.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            if name == "test_images.npy":
                with archive.open(name, "w") as member:
                    member.write(b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header)
                    for _ in range(700):
                        member.write(bytes(1000 * 784))
            elif name == "test_labels.npy":
                with archive.open(name, "w") as member:
                    np.save(member, np.arange(700_000, dtype=np.uint8) % 2)
            else:
                archive.writestr(name, content)
    sets = {"large": {"kind": "npz", "path": "large.npz"}, "grey": PHANTOM}
    written(tmp_path, tiny(datasets=sets, arms={"baseline": {}}))
    run = subprocess.run(
        [sys.executable, "-c", ATTEMPT],
        cwd=tmp_path,
        env=environment() | {"PYTHONPATH": f"{PROJECT}:{PROJECT / 'tests'}"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    outcomes = {title: (what, error) for title, what, error in map(json.loads, run.stdout.splitlines())}
    assert outcomes["large: data"][0] == "failed"
    assert "MemoryError: " in outcomes["large: data"][1]
    assert outcomes["grey: data"] == ("done", None)
    assert outcomes["grey: baseline, shuffle, replicate 0"] == ("done", None)
