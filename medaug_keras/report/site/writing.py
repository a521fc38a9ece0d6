"""The pages of studies on disk. What others put beside them stays (`ownership`)."""

import gc
import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache, partial
from pathlib import Path, PurePosixPath

from medaug_keras.counts import first_of
from medaug_keras.ownership import (
    Note,
    file_checksum,
    is_plain,
    locked,
    read_note,
    staging,
    take_in,
)
from medaug_keras.places import MOVED, STUDIES, check_study
from medaug_keras.plan import Plan
from medaug_keras.report import palette
from medaug_keras.report.numbers.circumstances import Expected
from medaug_keras.report.numbers.inference import Inference
from medaug_keras.report.numbers.results import Results, note_look
from medaug_keras.report.pages.study import Pages
from medaug_keras.report.pages.templates import environment_of_templates
from medaug_keras.report.site import unchanged
from medaug_keras.spec import Study
from medaug_keras.store import Store

ASSETS = Path(__file__).parents[1] / "assets"
STYLES = ("report.css", "print.css")
"""What the style sheet of all studies is made of, in this order, after the colors."""
LOOK = Path(__file__).parents[1] / "look"
"""Settings, home page and styles of a site where the current folder has no mkdocs.yml."""

Say = Callable[[str], None]


def silent(text: str) -> None:
    """Say nothing."""


def render(
    study: Study,
    plan: Plan,
    store: Store,
    docs: Path,
    *,
    beside: tuple[Study, Plan] | None = None,
    asked: Plan | None = None,
    expected: Expected | None = None,
    anew: bool = False,
    show_host: bool = False,
    look: bool = True,
    file: Path | None = None,
    say: Say = silent,
) -> Path:
    """Write the pages of a study to docs/studies/NAME and list it in docs/studies/index.md; returns its folder.

    `beside` is another study and its plan, whose numbers stand beside this one's where both have them. Every result is
    held against its checksums. Pages that are up to date are not made again, unless `anew`.
    `asked` is the part of the plan that the first page speaks of first, and `expected` says how long tasks take.
    `show_host` names on a run's page the machine that made it.

    A look at results that are new to it, or by a study that is, is noted in the results folder's log, unless `look` is
    False, as for pages that are made while a study runs.

    The same records give the same bytes, and files that did not change keep their time. `file` is the study's:
    another file's study of the same name raises NotOursError. Several processes may render into one `docs`: one after
    the other. `say` reports files of others, and where they are now.
    """
    studies = docs / STUDIES
    target = studies / study.name
    with locked(studies, say), _short_searches_for_cycles() as all_of_this_stays:
        about = check_study(study, file, docs)
        results = Results(study, plan, store)
        all_of_this_stays()
        inference = cache(partial(Inference, results))  # only where it is needed: it reads every prediction
        if look:
            note_look(results, lambda: inference().claims)
        other = None if beside is None else Results(*beside, store)
        settings = repr((show_host, expected is not None, asked and list(asked.tasks)))
        made_from = unchanged.digest(
            [unchanged.of_program(), settings, *(unchanged.of_results(r) for r in (results, other) if r is not None)]
        )
        if anew or not unchanged.is_unchanged(target, made_from):
            pages = Pages(
                results,
                beside=other,
                asked=asked,
                expected=expected,
                show_host=show_host,
                inference=inference(),
            )
            all_of_this_stays()
            _fill(target, pages.each(), made_from, about, say)
        left_out = _others(docs, study.name)
        if left_out:
            say(f"Not made by this program, so kept and not published: {several(docs, left_out)}.")
        _shared(studies, say)
    return target


@contextmanager
def _short_searches_for_cycles() -> Iterator[Callable[[], None]]:
    """Python looks for garbage in cycles among all objects, again and again. Of those that are there when the function
    is called, millions in a large study, none is garbage before the last page: they are left out from then on."""
    searches, left_out = gc.isenabled(), gc.get_freeze_count() > 0
    gc.disable()  # until the first call

    def all_of_this_stays() -> None:
        gc.freeze()
        gc.enable()

    try:
        yield all_of_this_stays
    finally:
        if not left_out:
            gc.unfreeze()
        (gc.enable if searches else gc.disable)()


def _fill(folder: Path, files: Iterable[tuple[str, bytes]], made_from: str, about: Mapping[str, str], say: Say) -> None:
    """Take in the files one after the other, none of which has to be kept in memory."""
    made: dict[str, str] = {}
    with staging(folder) as fresh:
        for name, content in files:
            if name in made:  # two pages may show the same figure
                continue
            made[name] = hashlib.sha256(content).hexdigest()
            if is_plain(folder, name) and (folder / name).read_bytes() == content:
                continue
            path = fresh / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        listed = {name: made[name] for name in sorted(made, key=Path)}
        say_kept(folder, take_in(folder, fresh, Note(made_from, listed, about)), say)


def say_kept(folder: Path, kept: Path | None, say: Say) -> None:
    """Say which files of others were moved out of a folder, and where they are now."""
    if kept is not None:
        names = [p.relative_to(kept).as_posix() for p in sorted(kept.rglob("*")) if not p.is_dir()]
        say(f"{MOVED}, so moved to {kept}: {several(folder, names)}.")


def several(folder: Path, names: list[str], most: int = 5) -> str:
    """Paths of some files, in one line."""
    return first_of([str(folder / name) for name in names], most)


def _shared(studies: Path, say: Say) -> None:
    """What all studies share: styles, script, and the list of studies unless that is the user's own by now."""
    css = palette.css() + "".join((ASSETS / name).read_text("utf-8") for name in STYLES)
    script = (ASSETS / "report.js").read_bytes()
    folder, index = studies / "assets", studies / "index.md"
    note = read_note(folder)
    page = studies_page(studies).encode()
    now = hashlib.sha256(page).hexdigest()
    there = file_checksum(index) if index.is_file() and not index.is_symlink() else None
    ours = {now, note.about.get("index") if note else None, note.about.get("index_before") if note else None}
    about = {"index": now}
    if os.path.lexists(index) and there not in ours:
        say(f"{index} was not made by this program, so it stays as it is. Delete it to have the list of studies there.")
        about = {}
    elif there is not None:
        about["index_before"] = there
    files = {"report.css": css.encode(), "report.js": script}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in files.items()}
    if note != Note("", sums, about) or not unchanged.is_unchanged(folder, ""):
        _fill(folder, files.items(), "", about, say)
    if about and there != now:
        with staging(studies) as fresh:
            (fresh / "index.md").write_bytes(page)
            os.replace(fresh / "index.md", index)


def studies_page(studies: Path) -> str:
    """The page that lists every rendered study."""
    found = []
    for path in sorted(studies.glob("*/data/study.json")):
        note = read_note(path.parents[1])
        if note is not None and note.files.get("data/study.json") == file_checksum(path):
            found.append(json.loads(path.read_bytes()))
    return environment_of_templates().get_template("studies.md.j2").render(studies=found)


def notes_of(docs: Path) -> dict[str, Note]:
    """Folder of docs/studies → its note, of those that have one."""
    found = {folder.name: read_note(folder) for folder in sorted((docs / STUDIES).glob("*"))}
    return {name: note for name, note in found.items() if note is not None}


def is_of_others(docs: Path, name: str, notes: Mapping[str, Note]) -> bool:
    """Whether a file of `docs` lies in a folder of ours, but was not made by this program."""
    parts = PurePosixPath(name).parts
    if len(parts) < 3 or parts[0] != STUDIES or parts[1] not in notes:
        return False
    inside = "/".join(parts[2:])
    return not (inside in notes[parts[1]].files and is_plain(docs / STUDIES / parts[1], inside))


def _others(docs: Path, name: str) -> list[str]:
    """Files in docs/studies/NAME, or links to folders, that this program did not make."""
    found = []
    notes = notes_of(docs)
    for place, folders, files in os.walk(docs / STUDIES / name):
        folders[:] = [folder for folder in sorted(folders) if not folder.startswith(".")]
        here = Path(place).relative_to(docs)
        linked = [folder for folder in folders if (Path(place) / folder).is_symlink()]
        names = [(here / file).as_posix() for file in [*sorted(files), *linked] if not file.startswith(".")]
        found += [name for name in names if is_of_others(docs, name, notes)]
    return found
