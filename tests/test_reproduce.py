"""A run made again: identical, or what differs by how much; and nothing of the user's is touched."""

import io
import json
import re
import shlex
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from medaug_keras import reproduction
from medaug_keras.cli import main
from medaug_keras.store import Store, _checksum, file_checksum
from studies import PHANTOM, changed, cli_here, planned, tiny, written

FLIP, COPIES = "grey/flip/shuffle/0", "grey/copies/shuffle/0"
TWO_EPOCHS = ["--set", "classifier.epochs=2"]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder whose name is to be quoted, in which a study with options was run, a copying arm included."""
    folder = tmp_path_factory.mktemp("it's my folder")
    study = tiny(arms={"baseline": {}, "copies": {"duplicate": {"amount": {"fraction": 0.25}}}})
    written(folder, changed(study, "quality.enabled", False))
    done = cli_here("tiny.yaml", "--set", "title=What's “it”; $HOME?", *TWO_EPOCHS, "--workers", "1", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, and where we are."""
    copy = tmp_path / finished.name
    shutil.copytree(finished, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr("tempfile.tempdir", None)
    (tmp_path / "tmp").mkdir()
    return copy


def everything(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def the_run(folder: Path) -> Path:
    """The folder of the only run that adds images."""
    records = [json.loads(path.read_bytes()) for path in folder.glob("results/classifier-*/record.json")]
    key = next(record["key"] for record in records if "synthesis" in record["needs"])
    return folder / "results" / f"classifier-{key[:16]}"


def seal(task: Path, **values: Any) -> None:
    """Give a task's record other values, and checksums that fit what is there: a change that no checksum shows."""
    path = task / "record.json"
    record = json.loads(path.read_bytes())
    record["values"] |= values
    record["run"]["files"] = {name: file_checksum(task / name) for name in record["run"]["files"]}
    record.pop("sha256")
    path.write_text(json.dumps(record | {"sha256": _checksum(record)}))


def page_command(folder: Path) -> list[str]:
    page = (folder / "docs/studies/tiny/runs/grey.copies.shuffle.0.md").read_text("utf-8")
    return shlex.split(re.findall(r"<code>(python -m medaug_keras reproduce .*?)</code>", page)[0])


def test_the_command_of_a_runs_page_says_identical_and_leaves_everything_as_it_was(folder, tmp_path):
    before = everything(folder)
    words = page_command(folder)
    done = subprocess.run([sys.executable, *words[1:], "--workers", "1"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("identical: ") == 3  # the data, the added images, the run
    assert done.stdout.splitlines()[-1].startswith("Identical: record, predictions and images of grey: copies")
    assert everything(folder) == before
    assert list((tmp_path / "tmp").glob("medaug-reproduce-*")) == []


def test_what_was_changed_is_named_with_its_amount(folder):
    run = the_run(folder)
    values = json.loads((run / "record.json").read_bytes())["values"]
    epoch = next(iter(values["scores"]))
    values["scores"][epoch]["test"]["accuracy"] -= 0.125
    with np.load(run / "predictions.npz") as kept:
        predictions = dict(kept)
    name = next(name for name in predictions if name.startswith("test_") and predictions[name].ndim == 2)
    predictions[name][3, 0] += 0.25
    np.savez_compressed(run / "predictions.npz", allow_pickle=False, **predictions)
    seal(run, **values)
    images = next(folder.glob("results/synthesis-*"))
    with np.load(images / "synthetic.npz") as kept:
        synthetic = dict(kept)
    synthetic["images"][2, 5, 7, 0] ^= 64
    np.savez_compressed(images / "synthetic.npz", allow_pickle=False, **synthetic)
    options = [*TWO_EPOCHS, "--workers", "1", "--quiet"]
    done = cli_here("reproduce", "tiny.yaml", COPIES, *options, cwd=folder)
    assert done.returncode == 1, done.stderr
    said = done.stdout
    assert re.search(r"identical: grey: data ", said)
    assert re.search(r"record\.json, values\.scores\.\d\.test\.accuracy: .* kept, .* made again", said)
    assert re.search(r"predictions\.npz, \w+: .* at \[3, 0\], .*; 1 of 32 numbers differ", said)
    assert re.search(r"synthetic\.npz, images: .* at \[2, 5, 7, 0\], .*; 1 of 9,408 numbers differ", said)
    assert "synthetic.npz was changed after it was written" in said
    assert re.search(r"Not identical: 2 of 3 tasks differ .* is 64 \(synthesis-\w+/synthetic\.npz, images\)", said)


def test_kept_needs_are_taken_as_they_are_and_the_named_folder_stays(folder):
    words = ["reproduce", "tiny.yaml", COPIES, *TWO_EPOCHS, "--workers", "1", "--quiet", "--keep", "../again"]
    done = cli_here(*words, "--kept-needs", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("identical: ") == 1
    assert (folder.parent / "again" / the_run(folder).name / "record.json").exists()
    done = cli_here(*words, cwd=folder)
    assert done.returncode == 2
    assert "is not empty" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["tiny.yaml", FLIP.replace("flip", "baseline"), "--results", "elsewhere"], "has no result in elsewhere"),
        (["tiny.yaml", "grey/none/shuffle/0"], "the study has no such task"),
        (["small", FLIP], "results knows no study of that name (it knows tiny)"),
        (["tiny", FLIP, "--replicates", "2"], "To change any, give its file"),
        (["tiny.yaml", COPIES, *TWO_EPOCHS, "--keep", "results/a"], "lies in --results"),
        (["tiny.yaml", COPIES, *TWO_EPOCHS, "--keep", "docs"], "lies in --docs"),
        (["gone.yaml", FLIP], "gone.yaml"),
    ],
)  # fmt: skip
def test_what_cannot_be_made_again_is_refused_in_words_and_makes_nothing(words, said, folder, capsys):
    before = everything(folder)
    assert main(["reproduce", *words]) == 2
    assert said in capsys.readouterr().err
    assert everything(folder) == before


@given(
    kind=st.sampled_from(["float32", "float64", "uint8", "int64"]),
    shape=st.lists(st.integers(1, 4), max_size=3),
    seed=st.integers(0, 2**32 - 1),
    share=st.sampled_from([0.0, 0.1, 1.0]),
)
def test_the_largest_difference_of_two_arrays_is_found(kind, shape, seed, share):
    rng = np.random.default_rng(seed)
    old = rng.integers(0, 100, shape).astype(kind)
    new = (old + rng.integers(1, 100, shape) * (rng.random(shape) < share)).astype(kind)
    apart = np.abs(old.astype(float) - new.astype(float))
    found = reproduction._of_values(old, new)
    if not apart.any():
        assert found is None
    else:
        assert found is not None
        said, amount = found
        assert amount == apart.max()
        assert old.size == 1 or f"{np.count_nonzero(apart)} of {old.size} numbers differ" in said


def test_nan_is_the_same_as_nan_and_differs_from_every_number():
    old, new = np.array([np.nan, 1.0, np.nan, 4.0]), np.array([np.nan, 1.0, 2.0, 5.0])
    assert reproduction._of_values(old, old.copy()) is None
    assert reproduction._of_values(float("nan"), float("nan")) is None
    found = reproduction._of_values(old, new)
    assert found is not None
    assert found[0] == "nan kept, 2 made again at [2], the largest difference; 2 of 4 numbers differ"
    assert np.isnan(found[1])
    assert reproduction._of_values(new, old)[0].startswith("2 kept, nan made again at [2]")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (["ab", "cd"], ["ab", "ce"], "['ab', 'cd'] kept, ['ab', 'ce'] made again"),
        (
            [True, False],
            [True, True],
            "False kept, True made again at [1], the largest difference; 1 of 2 numbers differ",
        ),
        ([1, 2], ["1", "2"], "[1, 2] kept, ['1', '2'] made again"),
    ],
    ids=str,
)
def test_arrays_of_words_and_of_truth_values_are_compared_too(old, new, said, tmp_path):
    for name, values in (("kept.npz", old), ("again.npz", new), ("same.npz", old)):
        np.savez(tmp_path / name, a=np.array(values), **({"more": np.array(0)} if name == "same.npz" else {}))
    (found,) = reproduction._of_files("a.npz", tmp_path / "kept.npz", tmp_path / "again.npz")
    assert f"{found.where}: {found.said}" == f"a.npz, a: {said}"
    (more,) = reproduction._of_files("a.npz", tmp_path / "kept.npz", tmp_path / "same.npz")
    assert more.where == "a.npz, more"


def test_names_of_images_that_an_earlier_version_did_not_keep_are_no_difference(tmp_path):
    old, new = tmp_path / "old.npz", tmp_path / "new.npz"
    np.savez(old, test_1=np.zeros(3))
    np.savez(new, test_1=np.zeros(3), test_ids=np.array(["a", "b", "c"]))
    assert list(reproduction._of_files("x", old, new)) == []
    np.savez(old, test_1=np.zeros(3), test_ids=np.array(["a", "b", "d"]))
    assert len(list(reproduction._of_files("x", old, new))) == 1
    np.savez(new, test_1=np.zeros(3), test_groups=np.zeros(3))
    assert [d.where for d in reproduction._of_files("x", old, new)] == ["x, test_groups"]


def test_a_map_of_features_that_an_earlier_version_did_not_keep_is_no_difference(tmp_path):
    def record(name: str, space: dict) -> Path:
        values = {"spaces": {"features": {"kid": 1.0, **space}}}
        head = dict.fromkeys(("kind", "version", "key", "params", "needs"), "x")
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps({**head, "values": values}))
        return tmp_path / name / "record.json"

    some, other = ({"map": {"variance": [share, 0.1], "train": {"x": [0.0]}}} for share in (0.5, 0.6))
    assert list(reproduction._of_files("x", record("a", {}), record("b", some))) == []
    (found,) = reproduction._of_files("x", tmp_path / "b" / "record.json", record("c", other))
    assert found.where == "x, values.spaces.features.map.variance"
    (found,) = reproduction._of_files("x", tmp_path / "a" / "record.json", record("d", {"more": 1}))
    assert found.where == "x, values.spaces.features.more"


def test_of_a_keras_archive_the_weights_are_compared_and_nothing_else(tmp_path):
    def archive(name: str, weights: np.ndarray, made: str) -> Path:
        buffer = io.BytesIO()
        with h5py.File(buffer, "w") as file:
            file["layers/dense/vars/0"] = weights
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            packed.writestr("metadata.json", made)
            packed.writestr("model.weights.h5", buffer.getvalue())
        return tmp_path / name

    weights = np.linspace(0, 1, 6, dtype=np.float32).reshape(2, 3)
    other = weights.copy()
    other[1, 2] += 0.5
    kept = archive("kept.keras", weights, "on Monday")
    assert list(reproduction._of_files("a.keras", kept, archive("same.keras", weights, "on Tuesday"))) == []
    (found,) = reproduction._of_files("a.keras", kept, archive("other.keras", other, "on Monday"))
    assert (found.where, found.amount) == ("a.keras, layers/dense/vars/0", 0.5)
    assert "at [1, 2], the largest difference; 1 of 6 numbers differ" in found.said


@given(st.text(max_size=90) | st.text(min_size=79, max_size=82))
def test_what_is_long_is_cut_to_80_characters(text):
    said = reproduction._short(text)
    assert len(said) <= 80
    assert said == text or (len(text) > 80 and said == text[:77] + "...")


@pytest.mark.parametrize(
    ("name", "old", "new", "said"),
    [
        ("a.json", b'{"x": {"y": 1}}', b'{"x": {"y": 1.5}}', "a.json, x.y: 1 kept, 1.5 made again"),
        ("a.json", b'{"x": [1, 2]}', b'{"x": [1, 2, 3]}', "a.json, x: numbers of shape (2,) kept, (3,) made again"),
        ("a.json", b'{"x": null}', b'{"x": 0.0}', "a.json, x: None kept, 0 made again"),
        ("a.json", b'{"x": true}', b'{"x": 1}', "a.json, x: bool kept, int64 made again"),
        (
            "a.json",
            b'{"x": [[1], [1, 2]]}',
            b'{"x": [[1], [2]]}',
            "a.json, x: [[1], [1, 2]] kept, [[1], [2]] made again",
        ),
        ("a.json", b'{"x": [{"y": "a"}]}', b'{"x": [{"y": "b"}]}', "a.json, x[0].y: a kept, b made again"),
        ("a.json", b'{"x": [{"y": "a"}, 1]}', b'{"x": [{"y": "b"}, 1]}', "a.json, x[0].y: a kept, b made again"),
        ("a.json", b'{"x": 1, "y": 2}', b'{"x": 1}', "a.json, y: is kept, and was not made again"),
        ("a.json", b'{"x": 1', b'{"x": 1}', "a.json: cannot be read (JSONDecodeError"),
        ("a.csv", b"1,2", b"1,3", "a.csv: other bytes"),
    ],
)
def test_every_kind_of_file_says_what_differs(name, old, new, said, tmp_path):
    kept, again = tmp_path / f"kept-{name}", tmp_path / f"again-{name}"
    kept.write_bytes(old)
    again.write_bytes(new)
    (found,) = reproduction._of_files(name, kept, again)
    whole = f"{found.where}: {found.said}"
    assert whole == said or ("JSONDecodeError" in said and whole.startswith(said))


def test_files_that_only_one_of_the_two_has_are_named(tmp_path):
    plan = planned(tiny(datasets={"grey": PHANTOM}))
    task = next(iter(plan.tasks.values()))
    stores = [Store(tmp_path / "kept"), Store(tmp_path / "again")]
    for store, files in zip(stores, (("both.csv", "gone.csv"), ("both.csv", "new.csv")), strict=True):
        with store.claim(task.id) as out:
            assert out is not None
            (out / "parts").mkdir()
            for name in (*files, "parts/both.csv"):
                (out / name).write_text("same")
            store.commit(task, out, {}, {})
    said = {d.where.partition("/")[2]: d.said for d in reproduction.differences(task.id, *stores)}
    assert said == {
        "gone.csv": "is kept, and was not made again",
        "new.csv": "is not there, and was made again",
    }


def test_of_a_record_all_is_compared_but_when_and_where_it_was_made(tmp_path):
    words = ("kind", "version", "key", "params", "needs", "values", "run", "files")

    def record(name: str, **changed: str) -> Path:
        (tmp_path / name).mkdir()
        (tmp_path / name / "record.json").write_text(json.dumps({**dict.fromkeys(words, "x"), **changed}))
        return tmp_path / name / "record.json"

    kept = record("kept")
    found = {word: [d.where for d in reproduction._of_files("x", kept, record(word, **{word: "y"}))] for word in words}
    assert found == {**{word: [f"x, {word}"] for word in words[:-2]}, "run": [], "files": []}


def test_a_record_comes_before_other_files_and_what_was_damaged_before_both(tmp_path):
    task = next(iter(planned(tiny(datasets={"grey": PHANTOM})).tasks.values()))
    stores = [Store(tmp_path / "kept"), Store(tmp_path / "again")]
    for store, word in zip(stores, ("one", "other"), strict=True):
        with store.claim(task.id) as out:
            assert out is not None
            (out / "a.csv").write_text(word)
            store.commit(task, out, {"score": word}, {})
    places = [f"{task.id}/record.json, values.score", f"{task.id}/a.csv"]
    assert [d.where for d in reproduction.differences(task.id, *stores)] == places
    (stores[0].folder(task.id) / "a.csv").write_text("changed")
    damaged, *rest = reproduction.differences(task.id, *stores)
    assert [d.where for d in rest] == places
    assert "a.csv" in damaged.said
    assert "--repair" not in damaged.said
    assert not damaged.said.endswith(".")
