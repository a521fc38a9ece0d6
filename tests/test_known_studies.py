"""What a results folder remembers of a study is recalled as it was, or not at all, and no file of others is lost."""

import dataclasses
import json
import os
from pathlib import Path

import pytest

from medaug_keras.cli import memory
from medaug_keras.plan import Plan, Source
from medaug_keras.spec import Study
from studies import PHANTOM, planned, tiny

STUDY = tiny(datasets={"small": PHANTOM, "mine": {"kind": "npz", "path": "mine.npz"}})


def study(**changes) -> Study:
    return Study.model_validate_json(json.dumps(STUDY | changes))


def made() -> Plan:
    """Of a study of two data sets, one of which cannot be read now, and never could."""
    whole = planned(tiny(datasets={"small": PHANTOM}))
    sources = {"small": Source("abc", 32, 12, 12, 2, away="not mounted"), "mine": Source("", 0, 0, 0, away="gone")}
    return dataclasses.replace(whole, sources=sources)


def remember(results: Path, **changes) -> Path:
    results.mkdir(exist_ok=True)
    memory.remember(results, study(**changes), made(), data_root="/data")
    return results / "studies" / "tiny.json"


def test_a_study_is_recalled_as_it_was_with_what_is_known_of_its_data(tmp_path):
    remember(tmp_path)
    known = memory.recall(tmp_path, "tiny")
    assert known is not None
    assert (known.study, known.data_root) == (study(), "/data")
    assert known.sources == {"small": Source("abc", 32, 12, 12, 2)}  # that it was away then is of no matter now
    assert memory.recall(tmp_path, "other") is None


def test_a_data_set_that_means_another_place_is_not_the_one_that_was_known(tmp_path):
    remember(tmp_path)
    known = memory.recall(tmp_path, "tiny")
    assert known is not None
    assert known.source(study(title="Other", seed=7), "small") == Source("abc", 32, 12, 12, 2)
    other = study(datasets={"small": PHANTOM | {"name": "phantom-histology"}, "mine": PHANTOM})
    assert known.source(other, "small") is None
    assert known.source(study(datasets={"mine": PHANTOM}), "small") is None
    assert known.source(study(), "mine") is None  # nothing was known of it
    moved = dataclasses.replace(known, sources={**known.sources, "mine": Source("def", 1, 1, 1)})
    assert moved.source(study(), "mine") == Source("def", 1, 1, 1)
    assert moved.source(study(datasets={"mine": STUDY["datasets"]["mine"] | {"path": "other.npz"}}), "mine") is None


def test_the_studies_that_are_known_are_listed_in_order(tmp_path):
    for name in ("tiny", "beta", "alpha"):
        memory.remember(tmp_path, study(name=name), made(), data_root="/data")
    (tmp_path / "studies" / ".hidden.json").write_text("{}")
    (tmp_path / "studies" / "notes.txt").write_text("mine")
    assert memory.names(tmp_path) == ["alpha", "beta", "tiny"]
    assert memory.names(tmp_path / "none") == []


def test_what_says_the_same_is_not_written_again_and_what_changed_is(tmp_path):
    path = remember(tmp_path)
    first = path.stat().st_ino
    remember(tmp_path)
    assert path.stat().st_ino == first
    remember(tmp_path, title="Größe")
    assert memory.recall(tmp_path, "tiny").study.title == "Größe"
    assert "Größe" in path.read_text("utf-8")
    assert os.listdir(path.parent) == ["tiny.json"]


@pytest.mark.parametrize("content", ["mine", "[]", "{}", '{"format": 1, "study": {}}', "[" * 100_000])
def test_somebodys_file_of_that_name_stays(tmp_path, content):
    path = tmp_path / "studies" / "tiny.json"
    path.parent.mkdir()
    path.write_text(content)
    remember(tmp_path)
    assert path.read_text() == content
    assert memory.recall(tmp_path, "tiny") is None


def test_a_link_that_leads_nowhere_stays(tmp_path):
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "tiny.json").symlink_to("nowhere")
    path = remember(tmp_path)
    assert os.readlink(path) == "nowhere"


@pytest.mark.parametrize(
    "change",
    [{"format": 2}, {"study": {}}, {"study": None}, {"sources": None}, {"sources": {"small": {"x": 1}}}],
    ids=str,
)
def test_what_another_version_wrote_or_somebody_changed_is_not_recalled(tmp_path, change):
    path = remember(tmp_path)
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change))
    assert memory.recall(tmp_path, "tiny") is None


@pytest.mark.parametrize("word", ["format", "study", "data_root", "sources"])
def test_what_lacks_a_part_is_not_recalled(tmp_path, word):
    path = remember(tmp_path)
    content = json.loads(path.read_text("utf-8"))
    del content[word]
    path.write_text(json.dumps(content))
    assert memory.recall(tmp_path, "tiny") is None


def test_a_folder_that_cannot_be_written_to_is_left_as_it_is(tmp_path, monkeypatch):
    def refuses(*_) -> None:
        raise OSError("read-only")

    monkeypatch.setattr(os, "replace", refuses)
    path = remember(tmp_path)
    assert list(path.parent.iterdir()) == []
    (tmp_path / "file").write_text("mine")
    memory.remember(tmp_path / "file", study(), made(), data_root="/data")
    assert (tmp_path / "file").read_text() == "mine"
