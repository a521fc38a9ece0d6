"""Nothing private is published: no path, user, machine, environment, or name of a file, whatever went wrong."""

import dataclasses
import gzip
import json
import os
import platform
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from report_records import fake_plan, fake_study

from medaug_keras.plan import Plan
from medaug_keras.report.numbers import published
from medaug_keras.spec import Study
from medaug_keras.store import Failure, Outcome, Store
from studies import PHANTOM, PROJECT, command, tiny

TELLING = "zsmith"
"""Part of every name below that must not be published, and of nothing else."""

SAID = [  # what other people's code may say when it fails
    "OSError: [Errno 5] Input/output error: '{home}/PatientZsmith.png'",
    "RuntimeError: {home}/scans/Zsmith John.png is upside down",
    "KeyError: 'Zsmith'",
    "ValueError: zsmith.png and Zsmith_MRI.nii.gz differ in size",
    "PermissionError: C:\\Users\\zsmith\\scans refused",
    "RuntimeError: no answer of host zsmith-station, user zsmith",
    "ValueError: token zsmith-secret-0123456789 refused",
    "UnicodeDecodeError: zsmith",
    "zsmith",
    "Zsmith: no",
    "Zsmith said: no",
    "WorkerDied: the process ended with signal 9, 2 times; the machine may have run out of memory",
]


@pytest.fixture(scope="module")
def published_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[Path, bytes]]:
    """A study of every kind of data in which most went wrong, all its names telling; what is under docs and site."""
    root = tmp_path_factory.mktemp("Zsmith-cwd")
    names = {word: root / f"Zsmith_{word}" for word in ("results", "home", "npz", "folder", "bad", "medmnist")}
    for folder in names.values():
        folder.mkdir()
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", 32), ("val", 12), ("test", 12)):
        arrays[f"{split}_images"] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        arrays[f"{split}_labels"] = (np.arange(n) % 2).reshape(n, 1)
    np.savez(names["npz"] / "Zsmith.npz", **arrays)
    for folder in ("folder", "bad"):
        for split in ("train", "validation", "test"):
            for label in ("benign", "malignant"):
                (names[folder] / split / label).mkdir(parents=True)
                for number in range(6):
                    image = Image.fromarray(rng.integers(0, 256, (28, 28), dtype=np.uint8))
                    image.save(names[folder] / split / label / f"Zsmith {number}.png")
    spoilt = names["bad"] / "train" / "benign" / "Zsmith 3.png"
    spoilt.write_bytes(spoilt.read_bytes()[:90])
    (names["medmnist"] / "breastmnist.npz").write_bytes(b"<html>zsmith</html>")
    scans = sorted(names["folder"].rglob("*.png"))
    rows = [f"{p.relative_to(names['folder'])},{p.parent.name},Zsmith {i // 3}\n" for i, p in enumerate(scans)]
    (root / "Zsmith_table.csv").write_text("file,class,who\n" + "".join(rows))
    (root / "Zsmith_drop.csv").write_text(f"image\nZsmith_folder/{scans[0].relative_to(names['folder'])}\n")
    study = tiny(
        name="private",
        quality={"enabled": False},
        datasets={
            "arrays": {"kind": "npz", "path": str(names["npz"] / "Zsmith.npz")},
            "scans": {"kind": "folder", "path": "Zsmith_folder", "colour": "grey"},
            "listed": {
                "kind": "table",
                "path": "Zsmith_table.csv",
                "image": "Zsmith_folder/{file}",
                "label": "class",
                "group": "who",
                "split": {"train": 0.5, "validation": 0.25, "test": 0.25},
                "drop": "Zsmith_drop.csv",
            },
            "spoilt": {"kind": "folder", "path": "Zsmith_bad", "colour": "grey"},
            "breastmnist": {"kind": "medmnist", "accept_unverified": True},
            **{f"grey{number}": PHANTOM | {"seed": number} for number in range(len(SAID) + 1)},
        },
        beside="Zsmith-beside.yaml",
        paper=True,
    )
    for file, content in (("Zsmith-study.yaml", study), ("Zsmith-beside.yaml", study | {"name": "b", "beside": None})):
        (root / file).write_text(yaml.safe_dump(content))
    env = os.environ | {
        "HOME": str(names["home"]),
        "USER": "zsmith",
        "LOGNAME": "zsmith",
        "HOSTNAME": "zsmith-station",
        "API_TOKEN": "zsmith-secret-0123456789",
        "PYTHONPATH": str(PROJECT),
    }
    words = ["Zsmith-study.yaml", "--results", names["results"], "--docs", "Zsmith_docs", "--data", names["medmnist"]]
    env.pop("MEDAUG_DEBUG")

    def run(*more: str) -> None:
        done = subprocess.run(command(*more, *words), cwd=root, env=env, capture_output=True, text=True, timeout=300)
        assert done.returncode == (1 if more[0] == "run" else 0), done.stderr

    run(
        "run",
        "--workers",
        "1",
        "--no-site",
        *(f"--only=dataset={name}" for name in ("arrays", "scans", "listed", "spoilt")),
    )
    planned = subprocess.run(command("plan", "--json", *words), cwd=root, env=env, capture_output=True, text=True)
    tasks = {task["title"]: task["task"] for task in json.loads(planned.stdout)["plan"]}
    for number, said in enumerate(SAID):
        name = tasks[f"grey{number}: flip, shuffle, replicate 0"]
        details = f'Traceback\n  File "{root}/medaug_keras/tasks.py", line 7, in make\n    zsmith\n{said}'
        failure = Failure(
            "classifier", name, said.format(home=names["home"]), details, {"host": "zsmith-station"}, "zsmith"
        )
        (names["results"] / "failures" / f"{name}.json").write_text(json.dumps(vars(failure)))
    damaged = names["results"] / tasks["arrays: flip, shuffle, replicate 0"] / "history.json"
    damaged.write_text(damaged.read_text() + " ")
    (names["npz"] / "Zsmith.npz").unlink()  # and it is away
    run("report")
    everything = [*root.glob("Zsmith_docs/**/*"), *root.glob("site/**/*")]
    return root, {path: path.read_bytes() for path in everything if path.is_file()}


def texts(files: dict[Path, bytes]) -> Iterator[tuple[str, bytes]]:
    for path, content in files.items():
        yield path.name, gzip.decompress(content) if path.suffix == ".gz" else content


def test_nothing_under_docs_and_site_names_a_path_a_user_a_machine_or_a_file_of_the_user(published_files):
    root, files = published_files
    assert {path.relative_to(root).parts[0] for path in files} == {"Zsmith_docs", "site"}
    failures = "".join(path.read_text() for path in root.glob("Zsmith_results/failures/*.json"))
    assert failures.lower().count(TELLING) > len(SAID)  # it is there to be published
    found = {name: content for name, content in texts(files) if TELLING.encode() in content.lower()}
    assert {n: c[max(0, c.lower().index(TELLING.encode()) - 60) :][:120] for n, c in found.items()} == {}
    host = platform.node().encode()
    words = [(name, content) for name, content in texts(files) if not name.endswith(".png")]  # pixels spell anything
    assert [name for name, content in words if host in content] == []


def test_what_names_nothing_is_published_and_the_rest_says_where_it_is(published_files):
    root, _ = published_files
    page = (root / "Zsmith_docs/studies/private/index.md").read_text()
    assert "WorkerDied: the process ended with signal 9, 2 times; the machine may have run out of memory" in page
    assert "KeyError. Its words may name files or people, so they are not on this page but in failures/" in page
    assert "DataError. Its words may name files or people" in page
    assert "results/classifier-" in page  # the damaged one
    assert "medaug_keras/tasks.py, line 7, in make" in page
    assert "cannot be read now" in page


def test_the_published_study_is_whole_but_for_where_its_images_are(published_files):
    root, _ = published_files
    published_study = yaml.safe_load((root / "Zsmith_docs/studies/private/data/study.yaml").read_text())
    assert published_study["datasets"]["arrays"]["path"] == "arrays.npz"
    assert published_study["datasets"]["scans"]["path"] == "scans"
    assert published_study["beside"] is None
    assert published_study["question"] == "Does it run?"


def test_the_host_is_named_only_where_it_is_asked_for(tmp_path):
    from report_records import fake_results

    from medaug_keras import report

    study = fake_study(datasets=("breastmnist",), arms={"baseline": {}}, replicates=1)
    plan, store = fake_results(study, tmp_path / "results")
    for show, count in ((False, 0), (True, 1)):
        folder = report.render(study, plan, store, tmp_path / "docs", show_host=show)
        assert (folder / "runs/breastmnist.baseline.shuffle.0.md").read_text().count("fake-host") == count
        rest = [p for p in folder.rglob("*") if p.is_file() and p.parent.name != "runs"]
        assert not any(b"fake-host" in path.read_bytes() for path in rest)


PLAN: Plan = fake_plan(fake_study(datasets=("breastmnist",), arms={"baseline": {}}, replicates=1))
WORDS = st.text("abc é-_0", max_size=6)


@given(
    kind=st.sampled_from(["OSError", "ValueError", "RuntimeError", "DataError", "E", "no error", ""]),
    before=WORDS,
    name=st.sampled_from(["/{}/x", "{}.png", "'{}'", '"{}"', "~/{}", "C:\\{}", "{}@host", "“{}”", "a/{} b/c d.png"]),
    after=WORDS,
)
def test_a_name_in_the_form_of_a_path_a_file_or_a_quotation_is_never_published(kind, before, name, after):
    task = next(iter(PLAN.tasks.values()))
    said = f"{kind}: {before} {name.format('Zsmith')} {after}"
    details = f'  File "/home/zsmith/x.py", line 3, in zsmith\n{said}'
    failure = Failure(task.kind, task.key, said, details, {"host": "zsmith"}, f"python {said}")
    for state in ("failed", "running"):
        found = published.outcome(Outcome(state, failure=failure, reason=said), task, Path("results"))
        assert "zsmith" not in repr(found).lower() or state == "running"
        assert "zsmith" not in repr(found.failure).lower()


def shown(said: str, *, host: str = "", details: str = "", **local: Any) -> str | None:
    """What is published of what a failed task said."""
    task = dataclasses.replace(next(iter(PLAN.tasks.values())), local=local)
    failure = Failure(task.kind, task.key, said, details, {"host": host})
    found = published.outcome(Outcome("failed", failure=failure, reason=said), task, Path("results"))
    assert found.failure is not None
    assert found.reason == found.failure.error
    return found.failure.error if not details else found.failure.details


@pytest.mark.parametrize(
    "said",
    ["ValueError: the loss is not a number", "MemoryError", "WorkerDied: signal 9, 2 times", "ValueError: no data"],
)
def test_what_names_nothing_is_published_as_it_was_said(said, monkeypatch):
    """Also where a name of three letters, or a setting of seven, happens to be in it."""
    monkeypatch.setenv("MODE", "loss is")
    published._of_this_machine.cache_clear()
    found = shown(said, path="/data/results/ign/train", host="los")
    published._of_this_machine.cache_clear()
    assert found == said


@pytest.mark.parametrize(
    ("said", "about"),
    [
        ("ValueError: smith is upside down", {"path": "/data/Smith/scans"}),
        ("ValueError: SMITH is upside down", {"root": "smith"}),
        ("ValueError: no answer of station", {"host": "station"}),
        ("ValueError: a token secret-0 is wrong", {}),
        ("OSError: out of room", {}),
        ("DataError: out of room", {}),
        ("StoreError: out of room", {}),
        ("out of room", {}),
    ],
)
def test_what_may_name_a_file_a_person_or_a_machine_is_told_to_be_elsewhere(said, about, monkeypatch):
    monkeypatch.setenv("API_TOKEN", "secret-0")  # of eight letters
    published._of_this_machine.cache_clear()
    kind = said.partition(":")[0] if ":" in said else "An error"
    found = shown(said, **about)
    published._of_this_machine.cache_clear()
    assert found is not None
    assert found.startswith(
        f"{kind}. Its words may name files or people, so they are not on this page but in failures/"
    )


def test_of_a_traceback_only_the_places_in_this_package_are_published():
    details = (
        'File "/home/smith/medaug_keras/tasks.py", line 7, in make\n  File "/home/smith/x.py", line 3, in run\n'
        'File "medaug_keras/data/npz.py", line 12'
    )
    assert shown("ValueError: no", details=details) == (
        "medaug_keras/tasks.py, line 7, in make\nmedaug_keras/data/npz.py, line 12"
    )


def test_only_files_and_folders_of_the_users_own_get_other_names_in_a_published_study():
    own = {"mine": {"kind": "npz", "path": "/x/smith.npz"}, "scans": {"kind": "folder", "path": "/x/smith"}}
    whole = Study.model_validate_json(json.dumps(tiny(datasets={"grey": PHANTOM, **own}, beside="/x/smith.yaml")))
    found = published.study(whole)
    assert found.datasets["grey"] == whole.datasets["grey"]
    assert (found.datasets["mine"].path, found.datasets["scans"].path) == ("mine.npz", "scans")
    assert found.beside is None


def test_of_a_table_only_the_columns_of_its_pattern_are_published_and_other_files_by_their_place_in_the_study():
    table = {"kind": "table", "path": "/x/smith.csv", "image": "/x/smith/{site}/{file}.png", "label": "dx"}
    whole = Study.model_validate_json(json.dumps(tiny(datasets={"own": {**table, "split": {"file": "/y/smith.csv"}}})))
    found = published.study(whole).datasets["own"]
    assert (found.path, found.image, found.split.file) == ("own.csv", "{site}/{file}", "own-split.csv")


def test_a_file_of_weights_is_published_by_its_name_alone():
    of_task = {"kind": "cnn", "weights": {"file": "/x/smith/best.keras", "sha256": "0"}}
    assert published.settings(of_task) == {**of_task, "weights": {"file": "best.keras", "sha256": "0"}}
    assert published.settings({"kind": "cnn", "weights": None}) == {"kind": "cnn", "weights": None}


def test_a_task_that_goes_on_keeps_its_reason():
    task = next(iter(PLAN.tasks.values()))
    failure = Failure(task.kind, task.key, "ValueError: no", "", {})
    assert (
        published.outcome(Outcome("running", failure=failure, reason="since noon"), task, Path()).reason == "since noon"
    )


def test_a_damaged_result_is_said_without_where_the_results_are(tmp_path):
    task = next(iter(PLAN.tasks.values()))
    for root in (Path("Zsmith"), tmp_path / "Zsmith" / "results"):
        (root if root.is_absolute() else tmp_path / root).mkdir(parents=True)
        store = Store(root)
        reason = f"{store.folder(task.id)}/record.json was changed. To make {store.folder(task.id)} anew, run."
        found = published.outcome(Outcome("damaged", reason=reason), task, root)
        assert found.reason == f"results/{task.id}/record.json was changed. To make results/{task.id} anew, run."
