"""What this program made, and so may replace or remove. Everything else on a disk is somebody's, and stays.

A folder that we fill has a note, `.made-from.json`: the name and SHA-256 of every file that was made in it. A file is
ours if it stands there with the checksum that it has now. A file that is not ours is never removed or overwritten:
beside ours it stays where it is; where ours is to stand, or where ours was edited, it is moved into a folder beside.

Folders whose files have known names (half-made tasks, unpacked arrays) need no note: `remove_made` takes these names.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import stat
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from itertools import count
from pathlib import Path, PurePosixPath
from typing import Any

NOTE = ".made-from.json"
"""Name of the note; MkDocs passes over names with a dot."""
LOCK = ".medaug-keras.lock"
_STAGING = ".fresh-"


class NotOursError(Exception):
    """What is asked would cost a file that this program did not make; the message names it and says what to do."""


@dataclass(frozen=True)
class Note:
    """What was made in a folder, and of what."""

    made_from: str
    """Digest of all inputs."""
    files: Mapping[str, str]
    """Name from the folder, with /, → SHA-256."""
    about: Mapping[str, str] = field(default_factory=dict)
    before: Mapping[str, list[str]] = field(default_factory=dict)
    """While files are being replaced: the checksums of those that may still be there."""

    def text(self) -> str:
        """As it lies in the folder."""
        content: dict[str, Any] = {"made_from": self.made_from, **({"about": self.about} if self.about else {})}
        content |= {"files": self.files} | ({"before": self.before} if self.before else {})
        return json.dumps(content, indent=1) + "\n"

    def known(self) -> dict[str, set[str]]:
        """Name → checksums under which the file is ours."""
        found = {name: {checksum} for name, checksum in self.files.items()}
        for name, checksums in self.before.items():
            found.setdefault(name, set()).update(checksums)
        return found


def read_note(folder: Path) -> Note | None:
    """The note in a folder; None where there is none, or another program's."""
    if not is_plain(folder, NOTE):
        return None
    try:
        content = json.loads((folder / NOTE).read_bytes())
        note = Note(
            content["made_from"], dict(content["files"]), dict(content.get("about", {})), content.get("before", {})
        )
        named = {**note.files, **note.before}
        return note if all(map(_inside, named)) and all(isinstance(s, str) for s in note.files.values()) else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def write_note(folder: Path, note: Note, *, scratch: Path) -> None:
    """Whole or not at all, by way of the folder `scratch`."""
    partial = scratch / f"{NOTE}.partial"
    partial.write_text(note.text(), encoding="utf-8")
    os.replace(partial, folder / NOTE)


def is_ours(folder: Path) -> bool:
    """Whether a folder may be filled: it has our note, or is empty but for names with a dot, or is not there yet."""
    if read_note(folder) is not None:
        return True
    try:
        return all(name.startswith(".") for name in os.listdir(folder))
    except FileNotFoundError:
        return not folder.is_symlink()  # a link that leads nowhere is somebody's


def file_checksum(path: Path) -> str:
    """SHA-256 of a file, hex."""
    found = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:  # twice as fast as `hashlib.file_digest` where files are small
        while part := file.read(1 << 18):
            found.update(part)
    return found.hexdigest()


def checksums(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of every file below a folder, in order; without names that begin with a dot."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not any(part.startswith(".") for part in name.parts) and path.is_file():
            found[name.as_posix()] = file_checksum(path)
    return found


@contextlib.contextmanager
def locked(folder: Path, say: Callable[[str], None]) -> Iterator[None]:
    """Waits until no other process fills the folder, which is made where it is missing.

    The lock is the kernel's and ends with the process. Where the file system has no locks, or nothing can be written,
    nobody waits.
    """
    new = _made_folder(folder)
    handle = _acquired(folder, say)
    try:
        yield
    finally:
        if handle is not None:
            with contextlib.suppress(OSError):
                if os.fstat(handle).st_size == 0:  # else it is somebody's
                    os.unlink(folder / LOCK)
            os.close(handle)
        _unmade(folder, new)


def is_locked(folder: Path) -> bool:
    """Whether a process fills the folder now."""
    try:
        handle = os.open(folder / LOCK, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(handle)
    return False


def _made_folder(folder: Path) -> bool:
    """Make a folder where there is none; returns whether it is new."""
    for place in (folder, *folder.parents):
        if os.path.lexists(place) and not place.is_dir():
            raise NotOursError(f"{place} is not a folder, but one is to be made here. Move it, or name another folder.")
    new = not folder.exists()
    folder.mkdir(parents=True, exist_ok=True)
    return new


def _unmade(folder: Path, new: bool) -> None:
    """Remove a new folder again if nothing came into it."""
    if new:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _acquired(folder: Path, say: Callable[[str], None]) -> int | None:
    while True:
        try:
            handle = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
        except FileNotFoundError:  # another process found the folder empty and removed it
            folder.mkdir(parents=True, exist_ok=True)
            continue
        except OSError:
            return None
        try:
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                say(f"Another report is being made in {folder}; waiting for it.")
                fcntl.flock(handle, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(handle), os.stat(folder / LOCK)):
                return handle
        except FileNotFoundError:  # its last holder removed it in between
            pass
        except OSError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


@contextlib.contextmanager
def staging(folder: Path) -> Iterator[Path]:
    """An empty folder, in the folder that its files are for, to make them in. It is gone at the end.

    Only for the holder of the lock, who removes those that killed processes left.
    """
    new = _made_folder(folder)
    for left in folder.glob(f"{_STAGING}*"):
        if not left.is_symlink() and read_note(left) is not None:
            shutil.rmtree(left, ignore_errors=True)
    fresh = folder / f"{_STAGING}{uuid.uuid4().hex}"
    try:
        fresh.mkdir()
        write_note(fresh, Note("", {}), scratch=fresh)  # so that one of a killed process is known
        yield fresh
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        _unmade(folder, new)


def take_in(folder: Path, fresh: Path, note: Note) -> Path | None:
    """Give a folder the files that the note lists: those in `fresh`; the others are there already.

    Files of ours that are not listed go. What is not ours and stands in the way is moved into a folder beside, which is
    returned. The note always says what is there, whenever this is cut short.
    """
    old = read_note(folder)
    known = old.known() if old else {}
    way = _Aside(folder)
    if old is None and os.path.lexists(folder / NOTE):
        way.move(NOTE)
    before = {name: sorted(sums) for name, sums in known.items()}
    write_note(folder, Note("", note.files, note.about, before), scratch=fresh)
    for name, checksum in note.files.items():
        made, path = fresh / name, folder / name
        if not made.exists():
            continue
        way.clear_parents(name)
        if os.path.lexists(path):
            there = file_checksum(path) if is_plain(folder, name) else ""
            if there == checksum:
                continue
            if there not in known.get(name, ()):
                way.move(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        os.replace(made, path)
    for name in known.keys() - note.files.keys():
        _remove(folder, name, known[name])
    write_note(folder, note, scratch=fresh)
    return way.place


class _Aside:
    """Moves what is not ours out of the way, into a folder beside."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place: Path | None = None

    def clear_parents(self, name: str) -> None:
        for parent in reversed(PurePosixPath(name).parents[:-1]):
            path = self.folder / parent
            if os.path.lexists(path) and (path.is_symlink() or not path.is_dir()):  # behind a link lie somebody's files
                self.move(str(parent))
                return

    def move(self, name: str) -> None:
        if self.place is None:
            self.place = free_name(self.folder.with_name(f".{self.folder.name}.kept"))
        target = self.place / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.move(self.folder / name, target)


def free_name(path: Path) -> Path:
    """A name with a number that nothing has."""
    return next(free for n in count(1) if not os.path.lexists(free := path.with_name(f"{path.name}-{n}")))


def _remove(folder: Path, name: str, checksums: Collection[str]) -> None:
    """Remove a file of ours, and the folders that it leaves empty."""
    path = folder / name
    if not is_plain(folder, name) or file_checksum(path) not in checksums:
        return
    path.unlink()
    with contextlib.suppress(OSError):  # something is in it
        for parent in PurePosixPath(name).parents[:-1]:
            (folder / parent).rmdir()


def remove_made(folder: Path, names: Collection[str]) -> Path | None:
    """Remove from a folder, and with it, the files that have these names (as patterns).

    Where anything else is in it, the rest is moved to a free name beside, which is returned.
    """
    if not os.path.lexists(folder):
        return None
    if not folder.is_symlink() and folder.is_dir():
        for path in sorted(folder.rglob("*"), reverse=True):
            name = path.relative_to(folder).as_posix()
            if path.is_dir() and not path.is_symlink():
                with contextlib.suppress(OSError):
                    path.rmdir()
            elif is_plain(folder, name) and any(fnmatchcase(name, pattern) for pattern in names):
                path.unlink()
        with contextlib.suppress(OSError):
            folder.rmdir()
            return None
    kept = free_name(folder.with_name(f"{folder.name}.kept"))
    os.rename(folder, kept)
    return kept


def is_plain(folder: Path, name: str) -> bool:
    """Whether a name below a folder is a file, with no link on the way from the folder to it."""
    if any((folder / parent).is_symlink() for parent in PurePosixPath(name).parents[:-1]):
        return False
    try:
        return stat.S_ISREG((folder / name).lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return False


def _inside(name: Any) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and bool(path.parts)
