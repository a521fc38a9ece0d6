"""Data that are away keep their finished results, and good pages are not replaced by emptier ones."""

import csv
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from medaug_keras import data
from medaug_keras.cli import main
from studies import cli_here, tiny, written

STUDY = tiny(
    name="three",
    arms={"baseline": {}},
    paper=True,
    datasets={
        "ct": {"kind": "npz", "path": "data/ct.npz"},
        "lesions": {"kind": "folder", "path": "data/lesions", "colour": "grey"},
        "breastmnist": {"kind": "medmnist", "accept_unverified": True},
    },
)
ONE = STUDY | {"name": "one", "datasets": {"ct": STUDY["datasets"]["ct"]}}
SIZES = {"train": 32, "val": 12, "test": 12}


def npz(path: Path, sizes: dict[str, int]) -> None:
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in sizes.items():
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).reshape(n, 1).astype(np.uint8)
    np.savez(path, **arrays)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of three kinds of data was run, and another of the first alone."""
    folder = tmp_path_factory.mktemp("away")
    (folder / "data").mkdir()
    (folder / "medmnist").mkdir()
    npz(folder / "data" / "ct.npz", SIZES)
    sizes = data.medmnist_sizes("breastmnist")
    npz(folder / "medmnist" / "breastmnist.npz", {"train": sizes.train, "val": sizes.validation, "test": sizes.test})
    rng = np.random.default_rng(1)
    for split in ("train", "validation", "test"):
        for name in ("benign", "malignant"):
            (folder / "data" / "lesions" / split / name).mkdir(parents=True)
            for number in range(8):
                pixels = rng.integers(0, 256, (28, 28), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / "data" / "lesions" / split / name / f"{number}.png")
    for study in (STUDY, ONE):
        written(folder, study)
        done = cli_here(f"{study['name']}.yaml", "--data", "medmnist", "--no-site", "--workers", 1, cwd=folder)
        assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The same, put back afterwards, and where we are."""
    monkeypatch.chdir(finished)
    monkeypatch.delenv("MEDMNIST_ROOT", raising=False)
    saved = tmp_path / "saved"
    shutil.copytree(finished, saved, symlinks=True)
    yield finished
    shutil.rmtree(finished)
    shutil.copytree(saved, finished, symlinks=True)


def pages(folder: Path, study: str) -> dict[str, bytes]:
    root = folder / "docs" / "studies" / study
    return {str(p.relative_to(root)): p.read_bytes() for p in sorted(root.rglob("*")) if p.is_file()}


def statuses(folder: Path, study: str = "three") -> dict[str, str]:
    with open(folder / "docs" / "studies" / study / "data" / "runs.csv", newline="") as file:
        return {row["dataset"]: row["status"] for row in csv.DictReader(file)}


def move(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).rename(folder / "moved")


def unmount(folder: Path) -> None:
    shutil.rmtree(folder / "data" / "lesions")
    (folder / "data" / "lesions").mkdir()


def cut(folder: Path) -> None:
    path = folder / "data" / "ct.npz"
    path.write_bytes(path.read_bytes()[:1000])


AWAY: dict[str, tuple[Callable[[Path], None], str, set[str]]] = {
    "a file that was moved": (move("data/ct.npz"), "medmnist", {"ct"}),
    "a folder that was moved": (move("data/lesions"), "medmnist", {"lesions"}),
    "a folder that is empty, as one where nothing is mounted": (unmount, "medmnist", {"lesions"}),
    "a file that was cut": (cut, "medmnist", {"ct"}),
    "everything": (move("data"), "medmnist", {"ct", "lesions"}),
    "an unverified copy that was moved": (move("medmnist/breastmnist.npz"), "medmnist", {"breastmnist"}),
    "--data that was forgotten": (lambda folder: None, "", {"breastmnist"}),
}


@pytest.mark.parametrize("what", AWAY)
def test_data_that_are_away_keep_their_finished_results_and_it_is_said(what, folder, capsys):
    happens, root, away = AWAY[what]
    before = pages(folder, "three")
    happens(folder)
    options = ["--data", root] if root else []
    assert main(["report", "three.yaml", "--no-site", *options]) == 0
    err = capsys.readouterr().err
    after = pages(folder, "three")
    assert set(statuses(folder).values()) == {"done"}
    for name in (n for n in before if n.endswith(".csv")):
        assert after[name] == before[name], name
    for name in STUDY["datasets"]:
        said = f"three.yaml: datasets.{name} cannot be read now: "
        assert (said in err) == (name in away)
    assert err.count("1 finished result is shown from the last known fingerprint") == len(away)
    page = after["index.md"].decode()
    remark = "</strong>: cannot be read now; its finished result is shown from the last known fingerprint"
    lines = [re.sub("<[^>]*>", "", line.split("</strong>")[0]) for line in page.splitlines() if remark in line]
    named = [name.lower() for line in lines for name in line.split(", ")]  # alike remarks share a line
    assert sorted(named) == sorted(away)


def test_where_the_only_data_are_away_there_is_a_report(folder, capsys):
    before = pages(folder, "one")
    (folder / "data").rename(folder / "moved")
    assert main(["report", "one.yaml", "--data", "medmnist", "--no-site"]) == 0
    assert "cannot be read now" in capsys.readouterr().err
    assert statuses(folder, "one") == {"ct": "done"}
    (folder / "moved").rename(folder / "data")
    assert main(["report", "one.yaml", "--data", "medmnist", "--no-site"]) == 0
    assert pages(folder, "one") == before


def test_a_run_whose_work_is_done_needs_no_data(folder, capsys):
    (folder / "data").rename(folder / "moved")
    assert main(["three.yaml", "--data", "medmnist", "--no-site"]) == 0
    assert set(statuses(folder).values()) == {"done"}
    assert main(["check", "three.yaml", "--data", "medmnist"]) == 1  # which is about the data that are there


def test_a_study_that_means_another_place_is_not_given_the_results_of_this_one(folder, capsys):
    before = pages(folder, "one")
    written(folder, ONE | {"datasets": {"ct": {"kind": "npz", "path": "data/other.npz"}}})
    assert main(["report", "one.yaml", "--no-site"]) == 2
    assert "data/other.npz" in capsys.readouterr().err
    assert pages(folder, "one") == before


EMPTIER = {
    "--results that was forgotten": (["--results", "elsewhere"], "elsewhere has 0"),
    "--set that was forgotten": (["--set", "classifier.epochs=3"], "results has 0"),
    "an arm less": (["--set", "datasets.ct=null"], "results has 2"),
}


@pytest.mark.parametrize("what", EMPTIER)
def test_pages_with_more_finished_runs_are_replaced_only_when_asked(what, folder, capsys):
    words, said = EMPTIER[what]
    before = pages(folder, "three")
    assert main(["report", "three.yaml", "--data", "medmnist", "--no-site", *words]) == 2
    err = capsys.readouterr().err
    assert "docs/studies/three show 3 finished runs" in err
    assert said in err
    assert pages(folder, "three") == before
    assert main(["report", "three.yaml", "--data", "medmnist", "--no-site", "--replace", *words]) == 0
    assert pages(folder, "three") != before


def test_results_that_are_gone_leave_the_pages(folder, capsys):
    before = pages(folder, "three")
    for path in folder.glob("results/classifier-*"):
        shutil.rmtree(path)
    shutil.rmtree(folder / "results" / "studies")
    (folder / "data").rename(folder / "moved")
    assert main(["report", "three.yaml", "--data", "medmnist", "--no-site"]) == 2
    assert "results knows nothing of it, so none of its runs has a result" in capsys.readouterr().err
    assert pages(folder, "three") == before


def test_a_changed_result_is_no_missing_one_and_the_pages_say_damaged(folder, capsys):
    record = next(folder.glob("results/classifier-*/record.json"))
    record.write_text(record.read_text().replace("accuracy", "acuracy"))
    assert main(["report", "three.yaml", "--data", "medmnist", "--no-site"]) == 0
    assert sorted(statuses(folder).values()) == ["damaged", "done", "done"]


def test_a_run_that_ends_with_fewer_leaves_the_pages_and_says_so(folder, capsys):
    before = pages(folder, "three")
    words = ["three.yaml", "--data", "medmnist", "--results", "elsewhere", "--no-site", "--workers", "1", "--quiet"]
    assert main([*words, "--only", "dataset=ct"]) == 1
    assert not (folder / "elsewhere" / "studies" / "three.json").exists()  # that is the study of the pages
    err = capsys.readouterr().err
    assert "elsewhere has 0. They stay as they are until this run has as many" in err
    assert (
        "elsewhere has 1. They are left as they are. To replace them: python -m medaug_keras report three.yaml" in err
    )
    assert pages(folder, "three") == before


def test_a_study_beside_whose_data_are_away_keeps_its_numbers_and_it_is_said(folder, capsys):
    study = yaml.safe_load((folder / "three.yaml").read_text())
    study |= {"name": "beside", "beside": "one.yaml", "datasets": {"breastmnist": study["datasets"]["breastmnist"]}}
    written(folder, study)
    (folder / "data").rename(folder / "moved")
    assert main(["report", "beside.yaml", "--data", "medmnist", "--no-site"]) == 0
    assert "one.yaml: datasets.ct cannot be read now" in capsys.readouterr().err
    page = pages(folder, "beside")["against-le-roux.md"].decode()
    assert "of one" in page
    assert "cannot be read now; its finished result is shown from the last known fingerprint" in page
    before = pages(folder, "beside")
    (folder / "one.yaml").unlink()
    assert main(["report", "beside.yaml", "--data", "medmnist", "--no-site"]) == 2
    assert "one.yaml" in capsys.readouterr().err
    assert pages(folder, "beside") == before
