"""Whether pages and site are still what would be made of their inputs, so that a finished study's second run is short.

Beside what was made lies a note: a digest of everything it was made from, and the checksum of every file that was
made. Records count with all their files, which were held against their checksums before; times of files count for
nothing.
"""

import hashlib
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from medaug_keras.store import file_checksum

from .results import Results

NOTE = ".made-from.json"
"""Name of the note; MkDocs passes over names with a dot."""
PACKAGE = Path(__file__).parents[1]
LIBRARIES = ("numpy", "scipy", "jinja2", "pyyaml", "pillow", "mkdocs", "mkdocs-material", "markdown")


def digest(parts: Iterable[str]) -> str:
    """SHA-256 of texts, hex; where one ends and the next begins counts."""
    found = hashlib.sha256()
    for part in parts:
        content = part.encode()
        found.update(f"{len(content)}:".encode() + content)
    return found.hexdigest()


@cache
def of_program() -> str:
    """Digest of this package's own files and of the versions of what draws and lays out."""
    files = sorted(p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    versions = [sys.version, *(version(name) for name in LIBRARIES)]
    return digest([*versions, *(f"{p.relative_to(PACKAGE)} {file_checksum(p)}" for p in files)])


def of_results(results: Results) -> str:
    """Digest of a study, its plan, and how every task of it stands."""
    return digest(_parts(results))


def _parts(results: Results) -> Iterator[str]:
    """What the pages of these results are made of; one after the other, because all of it is large."""
    plan = results.plan
    yield results.study.model_dump_json()
    yield repr(replace(plan, tasks={}))
    looks = results.looks
    yield repr((looks.before, looks.noted, sorted(looks.largest.items()), looks.registered, looks.unreadable))
    for task, outcome in results.outcomes.items():
        record = outcome.record and file_checksum(outcome.record.folder / "record.json")
        yield repr((plan.tasks[task], outcome.state, outcome.reason, outcome.failure, record))


def checksums(folder: Path) -> dict[str, str]:
    """Name → SHA-256 of every file below a folder, in order; without names that begin with a dot."""
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if not any(part.startswith(".") for part in name.parts) and path.is_file():
            found[name.as_posix()] = file_checksum(path)
    return found


def note(made_from: str, files: dict[str, str]) -> str:
    """The text to lie beside files with these checksums."""
    return json.dumps({"made_from": made_from, "files": files}, indent=1) + "\n"


def is_unchanged(folder: Path, made_from: str) -> bool:
    """Whether the folder holds what was made from these inputs: all of it, nothing else, nothing edited."""
    try:
        text = (folder / NOTE).read_text("utf-8")
    except (OSError, UnicodeDecodeError):
        return False
    return text == note(made_from, checksums(folder))
