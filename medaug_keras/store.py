"""Results on disk: one folder a task, under its key.

A folder gets its name by one atomic rename, after every file in it was written, `record.json` last. So a folder with
that name is a finished task. Nothing lists the results folder to find results: callers ask for the tasks of a plan.

    results/<kind>-<key>/record.json + files      finished
    results/failures/<kind>-<key>.json            the last attempt failed
    results/unfinished/<kind>-<key>/              being made (its .lock is held while it is)
    results/unfinished/<kind>-<key>.checkpoint    the state of its training; it outlives the process, not the task
    results/damaged/<kind>-<key>-<number>/        set aside, because something changed it after it was finished
"""

import contextlib
import errno
import fcntl
import hashlib
import json
import os
import re
import shutil
import sys
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any, Literal, get_args

from medaug_keras.ownership import file_checksum, free_name, remove_made
from medaug_keras.plan import VERSIONS, Plan, Task

FORMAT = 1

# The system's messages for a disk that no process can write to.
_DISK_TROUBLE = tuple(os.strerror(number) for number in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS))

_TASK = re.compile(rf"({'|'.join(VERSIONS)})-[0-9a-f]{{16}}")
"""The name of a task's folder. Other names are not ours."""
MADE = (
    "record.json",
    "history.json",
    "layers.json",
    "examples.npz",
    "audit.npz",
    "split.csv",
    "subgroups.npz",
    "synthetic.npz",
    "predictions.npz",
    "neighbours.npz",
    "sampler.keras",
    "classifier-*.keras",
    "medmnist/*.csv",
    "checkpoint.partial",
)
"""Patterns of the names of the files that tasks make."""

State = Literal["done", "running", "pending", "blocked", "failed", "damaged"]
STATES: tuple[State, ...] = get_args(State)
"""In the order in which they are listed: the worst last."""


class StoreError(Exception):
    """A result that cannot be trusted; the message names the folder, what is wrong, and how to mend it."""


@dataclass(frozen=True)
class Record:
    """What a task measured. `run` (times, machine, versions, checksums) is not part of the result."""

    kind: str
    version: int
    key: str
    params: Mapping[str, Any]
    needs: Mapping[str, str]
    values: Mapping[str, Any]
    run: Mapping[str, Any]
    folder: Path

    @property
    def spent(self) -> float | None:
        """Seconds that the task took, those before its training was resumed included; None where nobody noted them."""
        return self.run["seconds"] + self.run.get("earlier", 0.0) if "seconds" in self.run else None


@dataclass(frozen=True)
class Failure:
    """Why the last attempt at a task failed."""

    kind: str
    key: str
    error: str
    """One line: the error's name and message."""
    details: str
    """The last lines of the traceback, or of the output of a process that died."""
    run: Mapping[str, Any]
    again: str = ""
    """The command that runs just this task again."""


@dataclass(frozen=True)
class Outcome:
    """The state of a task, with its record or failure."""

    state: State
    record: Record | None = None
    failure: Failure | None = None
    reason: str = ""
    """Why there is no record, in words."""


class Store:
    """A results folder."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, task: str) -> Path:
        """Where a finished task's files are."""
        return self.root / task

    def checkpoint(self, task: str) -> Path:
        """The file in which whoever holds the task may keep how far it has come, for the next who does."""
        return self.root / "unfinished" / f"{task}.checkpoint"

    def is_done(self, task: str) -> bool:
        """Whether the task is finished (its record is not read)."""
        return os.path.exists(os.path.join(self.root, task, "record.json"))

    def finished(self, kind: str) -> set[str]:
        """All finished tasks of a kind that the folder has, of whatever study (their records are not read)."""
        return {folder.name for folder in self.root.glob(f"{kind}-*") if self.is_done(folder.name)}

    def record(self, task: str) -> Record:
        """The record of a finished task.

        Raises StoreError where the record is missing, unreadable, changed, or of another format.
        """
        path = os.path.join(self.root, task, "record.json")  # a Path would take longer than reading the file does
        try:
            content = _read(path)
            found = content.get("format")
            if found != FORMAT:
                raise StoreError(f"{path} has format {found}, but this version reads {FORMAT}. {self._mend(task)}")
            if content.pop("sha256", None) != _checksum(content):
                raise StoreError(f"{path} was changed after it was written. {self._mend(task)}")
            made = f"{content['kind']}-{content['key'][:16]}"
            if made != task:
                raise StoreError(f"{path} is the record of {made}. {self._mend(task)}")
            content.pop("format")
            return Record(**content, folder=self.folder(task))
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise StoreError(f"{path} cannot be read ({error}). {self._mend(task)}") from None

    def verify(self, task: str) -> Record:
        """The record of a finished task, once it and every file fit their checksums; raises StoreError."""
        record = self.record(task)
        for name, expected in record.run["files"].items():
            path = record.folder / name
            try:
                wrong = "" if file_checksum(path) == expected else "was changed after it was written"
            except OSError as error:
                wrong = f"cannot be read ({error.strerror})"
            if wrong:
                raise StoreError(f"{path} {wrong}. {self._mend(task)}")
        return record

    def _mend(self, task: str) -> str:
        return f"To make {self.folder(task)} anew, run the study with --repair."

    def failure(self, task: str) -> Failure | None:
        """The last failure of a task, if its last attempt failed."""
        path = self.root / "failures" / f"{task}.json"
        try:
            return Failure(**_read(path))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, RecursionError) as error:
            return Failure("", "", f"failed, but {path} cannot be read ({error})", "", {})

    def outcomes(self, plan: Plan, *, check_files: bool = False, values: bool = True) -> dict[str, Outcome]:
        """The outcome of every task of a plan; a task whose need failed is blocked.

        `check_files` also compares every file of a finished task with its checksum. Without `values`, records are read
        and checked as usual, but returned without their values and the checksums of their files, which would take
        hundreds of megabytes for tens of thousands of tasks.
        """
        failures, unfinished = _names(self.root / "failures"), _names(self.root / "unfinished")
        found: dict[str, Outcome] = {}
        alike: dict[str, Any] = {}
        for name, task in plan.tasks.items():  # needs come first
            if self.is_done(name):
                try:
                    record = self.verify(name) if check_files else self.record(name)
                    found[name] = Outcome("done", record=_frugal(record, task, alike, values=values))
                except StoreError as error:
                    found[name] = Outcome("damaged", reason=str(error))
                continue
            failure = self.failure(name) if f"{name}.json" in failures else None
            bad = [n for n in task.needs.values() if found[n].state in ("failed", "blocked", "damaged")]
            if f"{name}.lock" in unfinished and self.is_claimed(name):
                found[name] = Outcome("running", failure=failure, reason="being made")
            elif failure is not None:
                found[name] = Outcome("failed", failure=failure, reason=failure.error)
            elif bad:
                found[name] = Outcome("blocked", reason=f"needs {plan.tasks[bad[0]].title}, which has no result")
            else:
                found[name] = Outcome("pending", reason="not run yet")
        return found

    # --- writing ---

    @contextlib.contextmanager
    def claim(self, task: str) -> Iterator[Path | None]:
        """An empty folder to make the task in, locked against every other process; None if another holds the lock.

        The kernel releases the lock when the process ends, however it ends. Leftovers of a dead process are removed,
        except its checkpoint. The checkpoint is deleted when the task finishes or raises, so a retry starts from
        scratch; a full disk keeps it.
        """
        work = self.root / "unfinished"
        work.mkdir(parents=True, exist_ok=True)
        with open(work / f"{task}.lock", "a", opener=_no_link) as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield None
                return
            if not _same_file(lock.fileno(), lock.name):  # its last holder removed it in between
                yield None
                return
            folder = work / task
            remove_made(folder, MADE)
            folder.mkdir()
            try:
                yield folder
            except Exception as error:
                if disk_trouble(error) is None:
                    self.checkpoint(task).unlink(missing_ok=True)
                raise
            finally:
                shutil.rmtree(folder, ignore_errors=True)
                if self.is_done(task):
                    self.checkpoint(task).unlink(missing_ok=True)
                with contextlib.suppress(FileNotFoundError):
                    if os.fstat(lock.fileno()).st_size == 0:  # else it is somebody's
                        os.unlink(lock.name)

    def is_claimed(self, task: str) -> bool:
        """Whether some process is making the task now."""
        path = self.root / "unfinished" / f"{task}.lock"
        try:
            with open(path) as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    def tidy(self) -> None:
        """Remove unfinished work of killed processes, but not of processes that are running now.

        Checkpoints of unfinished tasks stay too: the task may be claimed again.

        Best effort: does nothing in a folder it cannot write to.
        """
        for pattern in ("*.lock", "*.checkpoint"):
            for left in (self.root / "unfinished").glob(pattern):
                if not _TASK.fullmatch(left.stem):
                    continue
                with contextlib.suppress(OSError), self.claim(left.stem):
                    pass

    def repair(self, task: str) -> str | None:
        """Move a damaged result into damaged/, so that it can be made again.

        Says what was wrong and where it is now; None where every checksum fits.
        """
        with self.claim(task) as folder:
            if folder is None or not self.folder(task).exists():
                return None
            try:
                self.verify(task)
            except StoreError as error:
                kept = self.root / "damaged"
                kept.mkdir(exist_ok=True)
                target = next(path for n in count(1) if not (path := kept / f"{task}-{n}").exists())
                os.rename(self.folder(task), target)
                return f"{error} It is in {target} now."
        return None

    def commit(self, task: Task, made: Path, values: Mapping[str, Any], run: Mapping[str, Any]) -> None:
        """Turn the claimed folder `made` into the finished task."""
        files = {p.relative_to(made).as_posix(): _settled(p) for p in sorted(made.rglob("*")) if p.is_file()}
        content = {
            "format": FORMAT,
            "kind": task.kind,
            "version": VERSIONS[task.kind],
            "key": task.key,
            "params": task.keyed,
            "needs": task.needs,
            "values": values,
            "run": {**run, "files": files},
        }
        content["sha256"] = _checksum(content)
        _write(made / "record.json", content)
        _sync(made)
        target = self.folder(task.id)
        if not self.is_done(task.id):
            remove_made(target, MADE)  # a folder without a record is no result
        os.rename(made, target)
        _sync(self.root)
        self.forget_failure(task.id)

    def fail(self, task: Task, failure: Failure) -> None:
        """Record a failed attempt."""
        path = self.root / "failures" / f"{task.id}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        if os.path.lexists(path) and not _is_failure(path):
            os.rename(path, free_name(path))
        partial = path.with_suffix(f".{uuid.uuid4().hex}.partial")
        try:
            _write(partial, vars(failure))
            os.replace(partial, path)
        finally:
            partial.unlink(missing_ok=True)

    def forget_failure(self, task: str) -> None:
        """Remove the failure of an earlier attempt."""
        path = self.root / "failures" / f"{task}.json"
        if _is_failure(path):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def disk_trouble(error: BaseException) -> str | None:
    """The system's message, where an error comes from a full or read-only disk; None for all other errors.

    Closing a file after such an error raises another one, so the errors before it are searched too; an error that was
    raised `from` another is taken by itself.
    """
    current: BaseException | None = error
    while current is not None:
        if isinstance(current, OSError) and any(said in str(current) for said in _DISK_TROUBLE):
            where = f"{current.filename}: " if current.filename else ""
            return f"{where}{current.strerror or current}"
        current = None if current.__suppress_context__ else current.__context__
    return None


def _settled(path: Path) -> str:
    """SHA-256 of a file, flushed to the disk first: a record must not survive a power cut without its files."""
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _names(folder: Path) -> set[str]:
    """Names in a folder, listed once for ten thousand tasks; empty where there is no folder."""
    try:
        return set(os.listdir(folder))
    except FileNotFoundError:
        return set()


def _frugal(record: Record, task: Task, alike: dict[str, Any], *, values: bool) -> Record:
    """The same record; what it has in common with its task, or with those before it (`alike`), is kept only once."""
    run = dict(record.run)
    if "packages" in run:
        run["packages"] = alike.setdefault(repr(run["packages"]), run["packages"])
    if not values:
        run.pop("files", None)
    return Record(
        kind=task.kind,
        version=record.version,
        key=task.key,
        params=task.keyed if record.params == task.keyed else record.params,
        needs=task.needs if record.needs == task.needs else record.needs,
        values=_same_words(record.values) if values else {},
        run=_same_words(run),
        folder=record.folder,
    )


def _same_words(content: Any) -> Any:
    """Content of JSON; its keys, and short texts, are not new strings in each file."""
    if isinstance(content, dict):
        return {sys.intern(word): _same_words(value) for word, value in content.items()}
    return sys.intern(content) if isinstance(content, str) and len(content) < 64 else content


def _read(path: str | Path) -> dict[str, Any]:
    with open(path, "rb") as file:
        content = json.loads(file.read())
    if not isinstance(content, dict):
        raise ValueError("not a JSON object")
    return content


_as_text = json.JSONEncoder(sort_keys=True, separators=(",", ":"), allow_nan=False).encode


def _is_failure(path: Path) -> bool:
    try:
        Failure(**_read(path))
    except (OSError, ValueError, TypeError, RecursionError):
        return False
    return True


def _no_link(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NOFOLLOW, 0o666)


def _checksum(content: Mapping[str, Any]) -> str:
    return hashlib.sha256(_as_text(content).encode()).hexdigest()


def _write(path: Path, content: Mapping[str, Any]) -> None:
    with open(path, "w", encoding="utf-8") as file:
        json.dump(content, file, indent=1, sort_keys=True, allow_nan=False)
        file.write("\n")
        file.flush()
        os.fsync(file.fileno())


def _same_file(handle: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
