"""Error messages for the user, exit codes, and the file that a crash leaves."""

import argparse
import errno
import os
import platform
import shlex
import tempfile
import traceback
from collections.abc import Sequence
from pathlib import Path

from medaug_keras import __version__
from medaug_keras.ownership import free_name
from medaug_keras.store import disk_trouble

DONE, SOME_FAILED, WRONG_REQUEST, INTERRUPTED = 0, 1, 2, 130


class RequestError(Exception):
    """The request cannot be carried out; the message says why and what to do instead."""


class ReportError(Exception):
    """The report could not be made from results that are there; the message says how to go on. Its cause is why."""


class SiteError(Exception):
    """MkDocs does not build the site, because of its settings; the pages are there."""


_NO_PLACE = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)


def refusal(error: BaseException) -> str | None:
    """The system's message where a disk or a path refused; None for all other errors."""
    trouble = disk_trouble(error)
    if trouble is None and isinstance(error, OSError) and error.errno in _NO_PLACE:
        return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
    return trouble


def apology(error: Exception, words: Sequence[str], options: argparse.Namespace) -> str:
    """The message for a bug in this program; its traceback goes to a file."""
    said, name = f"The program failed: {named(error)}\nWhat is finished stays.", getattr(options, "verb", "command")
    cause: BaseException = error
    if isinstance(error, ReportError):
        said, name, cause = str(error), "report", error.__cause__ or error
    content = (
        f"{shlex.join(['python', '-m', 'medaug_keras', *words])}\n"
        f"medaug-keras {__version__}, Python {platform.python_version()}, {platform.platform()}\n\n"
        + "".join(traceback.format_exception(cause))
    )
    report = "This is a mistake in medaug-keras, not in your study. Please report it"
    try:
        results: Path | None = getattr(options, "results", None)
        if results is not None and results.is_dir():
            path = results / "failures" / f"{name}.txt"
            path.parent.mkdir(exist_ok=True)
            if os.path.lexists(path) and not is_crash(path):
                path = free_name(path)
        else:
            handle, kept = tempfile.mkstemp(prefix="medaug-", suffix=".txt")
            os.close(handle)
            path = Path(kept)
        path.write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError:
        return f"{said}\n{report}:\n\n{content}"
    return f"{said}\n{report} with the file {path}, which says where it happened."


def is_crash(path: Path) -> bool:
    """Whether a file is what `apology` wrote."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            return file.readline().startswith("python -m medaug_keras") and file.readline().startswith("medaug-keras ")
    except OSError:
        return False


def named(error: BaseException) -> str:
    """The error's name and message, on one line."""
    said = " ".join(str(error).split())
    return f"{type(error).__name__}: {said[:300]}" if said else type(error).__name__
