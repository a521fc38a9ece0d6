"""One folder and its note: what is ours is replaced and goes, what is not stays, also where we are cut short."""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import random
import shutil
import threading
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from medaug_keras import ownership
from medaug_keras.ownership import (
    LOCK,
    NOTE,
    Note,
    NotOursError,
    checksums,
    is_ours,
    locked,
    read_note,
    remove_made,
    take_in,
)

NAMES = ("index.md", "a.md", "b.md", "runs/a.md", "runs/b.md", "runs/deep/c.md", "data/x.csv", "a")


def nobody_waits(words: str) -> None:
    raise AssertionError(words)


def put(folder: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(content)


def take(folder: Path, files: dict[str, str], **about: str) -> Path | None:
    """Make files in a folder, as a report does."""
    with locked(folder, nobody_waits), ownership.staging(folder) as fresh:
        put(fresh, files)
        return take_in(folder, fresh, Note("inputs", checksums(fresh), about))


def everything(folder: Path) -> dict[str, str]:
    """Name → content of all files but the note."""
    return {
        path.relative_to(folder).as_posix(): path.read_text()
        for path in folder.rglob("*")
        if path.is_file() and path.name != NOTE
    }


def checksums_of(files: dict[str, str]) -> dict[str, str]:
    return {name: hashlib.sha256(content.encode()).hexdigest() for name, content in files.items()}


def some_files(chance: random.Random, turn: int) -> dict[str, str]:
    """Files of which none stands where another needs a folder, some of them as in every turn."""
    names = chance.sample(NAMES, chance.randint(1, len(NAMES)))
    files = {name: f"{name} of {chance.choice(('every turn', f'turn {turn}'))}" for name in names}
    return {name: content for name, content in files.items() if not in_the_way(name, files.keys() - {name})}


def in_the_way(name: str, of: Iterable[str]) -> bool:
    """Whether one of the files is to stand there, or below."""
    return any(f"{other}/".startswith(f"{name}/") for other in of)


# --- the note --------------------------------------------------------------------------------------

GOOD = {"made_from": "x", "about": {"study": "y"}, "files": {"runs/a.md": "0" * 64}, "before": {"b.md": ["1" * 64]}}


def test_a_note_says_the_same_when_it_is_read_again(tmp_path):
    for note in (Note("x", {"runs/a.md": "0"}, {"study": "y"}, {"b.md": ["1"]}), Note("", {})):
        ownership.write_note(tmp_path, note, scratch=tmp_path)
        assert read_note(tmp_path) == note
    assert sorted(os.listdir(tmp_path)) == [NOTE]


def test_a_file_is_ours_under_each_checksum_that_it_has_or_had():
    note = Note("x", {"a": "1", "b": "2"}, {}, {"a": ["1", "3"], "c": ["4"]})
    assert note.known() == {"a": {"1", "3"}, "b": {"2"}, "c": {"4"}}


@pytest.mark.parametrize(
    "change",
    [
        {"files": {"../a.md": "0"}},
        {"files": {"runs/../../a.md": "0"}},
        {"files": {"/a.md": "0"}},
        {"files": {".": "0"}},
        {"files": {"a.md": 0}},
        {"files": ["a.md"]},
        {"files": None},
        {"before": {"../a.md": ["0"]}},
        {"before": 3},
        {"about": 3},
    ],
    ids=str,
)
def test_a_note_that_names_what_we_would_never_make_is_not_ours(tmp_path, change):
    (tmp_path / NOTE).write_text(json.dumps(GOOD))
    assert read_note(tmp_path) is not None
    (tmp_path / NOTE).write_text(json.dumps(GOOD | change))
    assert read_note(tmp_path) is None


@pytest.mark.parametrize("content", ["", "null", "[]", "{}", '"note"', "[" * 100_000, '{"files": {}}', "\ud800"])
def test_another_programs_note_is_none_of_ours(tmp_path, content):
    (tmp_path / NOTE).write_bytes(content.encode("utf-8", "surrogatepass"))
    assert read_note(tmp_path) is None


def test_a_link_that_leads_nowhere_may_not_be_filled_and_a_folder_to_be_made_may(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    assert not is_ours(tmp_path / "link")
    assert is_ours(tmp_path / "new")


def test_a_link_to_a_note_is_not_one(tmp_path):
    (tmp_path / "note").write_text(json.dumps(GOOD))
    (tmp_path / NOTE).symlink_to("note")
    assert read_note(tmp_path) is None


# --- taking files in -------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(30))
def test_a_folder_then_holds_what_is_listed_and_what_is_not_ours_and_loses_nothing_else(tmp_path, seed):
    chance, folder = random.Random(seed), tmp_path / "pages"
    folder.mkdir()
    for turn in range(4):
        files, there, note = some_files(chance, turn), checksums(folder), read_note(folder)
        ours = {name for name, checksum in note.files.items() if there.get(name) == checksum} if note else set()
        foreign = {name: content for name, content in everything(folder).items() if name not in ours}
        moved = take(folder, files, turn=str(turn))
        beside = {} if moved is None else everything(moved)
        assert read_note(folder) == Note("inputs", checksums_of(files), {"turn": str(turn)})
        assert everything(folder) == {name: c for name, c in foreign.items() if name not in beside} | files
        for name, content in beside.items():
            assert foreign[name] == content
            assert in_the_way(name, files) or any(in_the_way(file, [name]) for file in files)
        for name in [*chance.sample(sorted(files), chance.randint(0, len(files))), *chance.sample(NAMES, 2)]:
            with contextlib.suppress(OSError):
                put(folder, {name: f"by hand in turn {turn}"})


@pytest.mark.parametrize("then", ["the same", "others"])
@pytest.mark.parametrize("cut", range(14))
def test_a_take_in_that_is_cut_short_anywhere_is_finished_by_the_next(tmp_path, monkeypatch, cut, then):
    """Half replaced, all files are still known as ours, so that none is taken for somebody's."""
    folder = tmp_path / "pages"
    take(folder, {"same.md": "1", "changed.md": "1", "gone.md": "1", "runs/gone.md": "1", "edited.md": "1"})
    put(folder, {"edited.md": "by hand", "new.md": "somebody's"})
    steps = iter(range(cut))

    def cut_short(work: Any) -> Any:
        def step(*args: Any, **options: Any) -> Any:
            inside = ".fresh-" in str(args[-1])  # of no matter
            if not inside and next(steps, None) is None:
                raise KeyboardInterrupt
            return work(*args, **options)

        return step

    new = {"same.md": "1", "changed.md": "2", "edited.md": "2", "new.md": "2", "runs/new.md": "2"}
    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cut_short(os.replace))
        patch.setattr(Path, "unlink", cut_short(Path.unlink))
        patch.setattr(shutil, "move", cut_short(shutil.move))
        with contextlib.suppress(KeyboardInterrupt):
            take(folder, new)
    last = new if then == "the same" else {name: f"{text}, and more" for name, text in new.items()}
    take(folder, last)
    assert everything(folder) == last
    assert read_note(folder).before == {}
    kept = {path.name: path.read_text() for path in tmp_path.glob(".pages.kept-*/**/*") if path.is_file()}
    assert kept == {"edited.md": "by hand", "new.md": "somebody's"}


def test_somebodys_file_that_has_just_the_content_to_be_made_stays_where_it_is(tmp_path):
    folder = tmp_path / "pages"
    put(folder, {"a.md": "the same"})
    there = (folder / "a.md").stat().st_ino
    assert take(folder, {"a.md": "the same"}) is None
    assert (folder / "a.md").stat().st_ino == there


def test_what_is_listed_and_was_not_made_anew_is_not_touched(tmp_path):
    folder = tmp_path / "pages"
    take(folder, {"a.md": "1", "b.md": "1", "c.md": "1"})
    note = read_note(folder)
    put(folder, {"b.md": "edited"})
    (folder / "c.md").unlink()
    with ownership.staging(folder) as fresh:
        assert take_in(folder, fresh, note) is None
    assert everything(folder) == {"a.md": "1", "b.md": "edited"}


def test_a_folder_or_a_link_where_a_file_of_ours_is_to_stand_is_moved_beside(tmp_path):
    folder, outside = tmp_path / "pages", tmp_path / "outside"
    put(outside, {"c.md": "somebody's"})
    put(folder, {"a.md/mine.txt": "mine", "runs": "mine", NOTE + "/x": "mine"})
    (folder / "deep").symlink_to(outside)
    moved = take(folder, {"a.md": "1", "runs/b.md": "1", "deep/c.md": "1"})
    assert everything(folder) == {"a.md": "1", "runs/b.md": "1", "deep/c.md": "1"}
    assert everything(outside) == {"c.md": "somebody's"}
    assert (moved / "deep").readlink() == outside
    assert {n for n in everything(moved) if not n.startswith("deep")} == {"a.md/mine.txt", "runs", f"{NOTE}/x"}


# --- removing --------------------------------------------------------------------------------------


def test_only_files_with_the_names_that_we_make_are_removed(tmp_path):
    folder = tmp_path / "task"
    put(folder, {"record.json": "1", "history.json": "1", "parts/0.npy": "1", "parts/deep/1.npy": "1"})
    assert remove_made(folder, ("*.json", "parts/*")) is None
    assert not folder.exists()
    assert remove_made(folder, ("*",)) is None
    put(folder, {"record.json": "1", "notes.txt": "mine", "parts/0.npy": "1", "mine/a.txt": "mine"})
    (folder / "link.json").symlink_to("notes.txt")
    kept = remove_made(folder, ("*.json", "parts/*"))
    assert kept == tmp_path / "task.kept-1"
    assert not folder.exists()
    assert sorted(p.relative_to(kept).as_posix() for p in kept.rglob("*")) == (
        ["link.json", "mine", "mine/a.txt", "notes.txt"]
    )


def test_a_file_or_a_link_in_place_of_a_folder_to_be_removed_is_kept(tmp_path):
    put(tmp_path, {"file": "mine", "outside/record.json": "mine"})
    (tmp_path / "link").symlink_to("outside")
    assert remove_made(tmp_path / "file", ("*",)) == tmp_path / "file.kept-1"
    assert remove_made(tmp_path / "link", ("*",)) == tmp_path / "link.kept-1"
    assert (tmp_path / "file.kept-1").read_text() == "mine"
    assert (tmp_path / "link.kept-1" / "record.json").read_text() == "mine"


# --- the lock --------------------------------------------------------------------------------------


def handles() -> list[str]:
    return sorted(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("content", ["", "somebody's"])
def test_a_lock_leaves_nothing_of_ours_behind_and_somebodys_file_of_its_name(tmp_path, content):
    if content:
        put(tmp_path, {LOCK: content})
    before = handles()
    for _ in range(2):
        with locked(tmp_path, nobody_waits):
            assert (tmp_path / LOCK).exists()
    assert handles() == before
    assert everything(tmp_path) == ({LOCK: content} if content else {})


def test_a_new_folder_into_which_nothing_came_is_gone_and_an_old_empty_one_stays(tmp_path):
    new, old = tmp_path / "a/new", tmp_path / "old"
    old.mkdir()
    for folder in (new, old):
        with locked(folder, nobody_waits):
            assert folder.is_dir()
        with ownership.staging(folder) as fresh:
            assert fresh.parent == folder
    assert (new.exists(), old.exists()) == (False, True)
    with locked(new, nobody_waits):
        put(new, {"a": "1"})
    assert everything(new) == {"a": "1"}


def test_a_second_report_waits_until_the_first_is_done_and_says_so(tmp_path):
    order: list[str] = []
    waits = threading.Event()

    def second() -> None:
        with locked(tmp_path, lambda words: (order.append(words), waits.set())):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked(tmp_path, nobody_waits):
        thread.start()
        assert waits.wait(60)
        thread.join(0.2)  # time to come in, if nothing held it up
        order.append("first")
    thread.join(60)
    assert order == [f"Another report is being made in {tmp_path}; waiting for it.", "first", "second"]


def test_who_does_not_want_to_wait_leaves_nothing_open(tmp_path):
    with locked(tmp_path, nobody_waits):
        before = handles()
        with pytest.raises(AssertionError, match="waiting for it"), locked(tmp_path, nobody_waits):
            pass
        assert handles() == before


@pytest.mark.parametrize("step", ["flock", "open"])
def test_where_a_file_system_has_no_locks_nobody_waits(tmp_path, monkeypatch, step):
    def refuses(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    before = handles()
    monkeypatch.setattr(*((fcntl, "flock") if step == "flock" else (os, "open")), refuses)
    with locked(tmp_path, nobody_waits):
        entered = True
    monkeypatch.undo()
    assert entered
    assert handles() == before


def test_a_lock_that_is_a_link_is_not_followed(tmp_path):
    (tmp_path / LOCK).symlink_to("somewhere")
    with locked(tmp_path, nobody_waits):
        pass
    assert os.listdir(tmp_path) == [LOCK]


def test_a_folder_that_another_report_removed_meanwhile_is_made_again(tmp_path):
    handle = ownership._acquired(tmp_path / "a/b", nobody_waits)
    assert handle is not None
    os.close(handle)
    assert (tmp_path / "a/b" / LOCK).exists()


def test_a_file_on_the_way_to_the_folder_is_named(tmp_path):
    put(tmp_path, {"docs": "mine"})
    with pytest.raises(NotOursError, match="docs is not a folder"), locked(tmp_path / "docs/studies", nobody_waits):
        pass


def test_what_a_killed_process_left_goes_and_what_only_looks_like_it_stays(tmp_path):
    put(tmp_path, {f".fresh-ours/{NOTE}": Note("", {}).text(), ".fresh-ours/a": "1", ".fresh-mine/a": "mine"})
    put(tmp_path, {f"outside/{NOTE}": Note("", {}).text(), "outside/a": "mine"})
    (tmp_path / ".fresh-link").symlink_to("outside")
    with ownership.staging(tmp_path) as fresh:
        assert os.listdir(fresh) == [NOTE]
    assert sorted(os.listdir(tmp_path)) == [".fresh-link", ".fresh-mine", "outside"]
    assert sorted(os.listdir(tmp_path / "outside")) == [NOTE, "a"]
