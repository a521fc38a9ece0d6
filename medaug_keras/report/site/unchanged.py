"""Whether pages and site are still what would be made of their inputs, so that a finished study's second run is short.

The note beside what was made (`ownership`) has a digest of everything it was made from, and the checksum of every file.
Records count with all their files, which were held against their checksums before; times of files count for nothing.
"""

import hashlib
import sys
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib.metadata import version
from pathlib import Path

from medaug_keras.ownership import file_checksum, read_note
from medaug_keras.report.numbers.results import Results

PACKAGE = Path(__file__).parents[2]
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
    yield repr(sorted(results.study.sums.items()))
    yield repr(replace(plan, tasks={}))
    yield repr(sorted((name, said) for name, said in vars(results.looks).items() if name not in ("now", "last")))
    for task, outcome in results.outcomes.items():
        record = outcome.record and file_checksum(outcome.record.folder / "record.json")
        yield repr((plan.tasks[task], outcome.state, outcome.reason, outcome.failure, record))


def is_unchanged(folder: Path, made_from: str) -> bool:
    """Whether the folder holds what was made from these inputs: all of it, and nothing of it edited."""
    note = read_note(folder)
    if note is None or note.made_from != made_from:
        return False
    try:
        return all(file_checksum(folder / name) == checksum for name, checksum in note.files.items())
    except OSError:
        return False
