"""Pages on disk, and the site that MkDocs makes of them. What others put beside them stays (`ownership`)."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

from medaug_keras.ownership import (
    Note,
    checksums,
    file_checksum,
    is_plain,
    locked,
    read_note,
    staging,
    take_in,
)
from medaug_keras.places import MOVED, STUDIES, address, check_site, check_study
from medaug_keras.plan import Plan
from medaug_keras.spec import Study
from medaug_keras.store import Store

from . import palette, unchanged
from .circumstances import Expected
from .pages import Pages, environment_of_templates
from .results import Results, note_look

ASSETS = Path(__file__).parent / "assets"
LOOK = Path(__file__).parent / "look"
"""Settings, home page and styles of a site where the current folder has no mkdocs.yml."""

Say = Callable[[str], None]


def _silent(text: str) -> None:
    """Nobody is told."""


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
    say: Say = _silent,
) -> Path:
    """Write the pages of a study to docs/studies/NAME and list it in docs/studies/index.md; returns its folder.

    `beside` is another study and its plan, whose numbers stand beside this one's where both have them. Every result is
    held against its checksums. Pages that are there and are what would be made are not made again, unless `anew`.
    `asked` is the part of the plan that the first page speaks of first, and `expected` says how long tasks take.
    `show_host` names on a run's page the machine that made it.

    A look at results that are new to it, or by a study that is, is noted in the results folder's log, unless `look` is
    False, as for pages that are made while a study runs.

    The same records give the same bytes, and files that did not change keep their time. `file` is the study's:
    another file's study of the same name raises NotOursError. Several processes may render into one `docs`: one after
    the other. `say` is told what was found that is not ours, and where it is now.
    """
    studies = docs / STUDIES
    target = studies / study.name
    with locked(studies, say):
        about = check_study(study, file, docs)
        results = Results(study, plan, store)
        if look:
            note_look(results)
        other = None if beside is None else Results(*beside, store)
        settings = repr((show_host, expected is not None, asked and list(asked.tasks)))
        made_from = unchanged.digest(
            [unchanged.of_program(), settings, *(unchanged.of_results(r) for r in (results, other) if r is not None)]
        )
        if anew or not unchanged.is_unchanged(target, made_from):
            pages = Pages(results, beside=other, asked=asked, expected=expected, show_host=show_host)
            _fill(target, pages.each(), made_from, about, say)
        left_out = _others(docs, study.name)
        if left_out:
            say(f"Not made by this program, so kept and not published: {_several(docs, left_out)}.")
        _shared(studies, say)
    return target


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
        _say_kept(folder, take_in(folder, fresh, Note(made_from, listed, about)), say)


def _say_kept(folder: Path, kept: Path | None, say: Say) -> None:
    if kept is not None:
        names = [p.relative_to(kept).as_posix() for p in sorted(kept.rglob("*")) if not p.is_dir()]
        say(f"{MOVED}, so moved to {kept}: {_several(folder, names)}.")


def _several(folder: Path, names: list[str], most: int = 5) -> str:
    shown = ", ".join(str(folder / name) for name in names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _shared(studies: Path, say: Say) -> None:
    """What all studies share: styles, script, and the list of studies unless that is the user's own by now."""
    css = palette.css() + (ASSETS / "report.css").read_text("utf-8")
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


def build_site(docs: Path, site: Path, *, anew: bool = False, say: Say = _silent) -> None:
    """Build the site of `docs` with MkDocs. Raises MkDocs's own errors, and NotOursError where others' files would go.

    Where the current folder has an mkdocs.yml, the site is what that says, with what the pages of studies need; `say`
    is told what it lacks. Elsewhere the site has a look of ours, and of `docs` only what this program made. It is built
    in a folder of its own first, so that a site which is being looked at is never half there.

    A site that is there and is what would be built of the same `docs` is not built again, unless `anew`, which is the
    way where an mkdocs.yml of one's own takes in files from elsewhere.
    """
    own = own_configuration()
    configuration = own or LOOK / "mkdocs.yml"
    check_site(docs, site)
    with locked(docs / STUDIES, say), locked(site, say):
        made_from = unchanged.digest(
            [unchanged.of_program(), configuration.read_text("utf-8"), json.dumps(checksums(docs))]
        )
        if not anew and unchanged.is_unchanged(site, made_from):
            return
        with staging(site) as fresh:
            _build(configuration, docs, fresh.resolve(), say, whole=own is not None)
            note = Note(made_from, checksums(fresh), {"docs": address(docs, site)})
            _say_kept(site, take_in(site, fresh, note), say)


def own_configuration() -> Path | None:
    """mkdocs.yml of the current folder, if it has one."""
    return next((path for path in map(Path, ("mkdocs.yml", "mkdocs.yaml")) if path.exists()), None)


def _build(configuration: Path, docs: Path, site: Path, say: Say, *, whole: bool) -> None:
    """`whole`: all of `docs`, as an mkdocs.yml of one's own says; otherwise only what this program made."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "true")  # the theme's announcement; it is no warning about our pages
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # or the sitemap says when it was built
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    from . import mkdocs_hooks

    config: Any = load_config(
        str(configuration), docs_dir=str(docs.resolve()), site_dir=str(site), use_directory_urls=False
    )
    kept_out: list[str] = []
    if whole:
        _complete(config, configuration, docs, say)
    else:
        config.plugins["medaug-keras: only what was made"] = SimpleNamespace(
            on_files=lambda files, config: _only_made(files, docs, kept_out)
        )
    if not any(str(name).endswith("mkdocs_hooks.py") for name in config.hooks):
        config.plugins["medaug-keras"] = mkdocs_hooks
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    finally:
        config.plugins.on_shutdown()
    if kept_out:
        say(
            f"Not made by this program, so not in the site: {_several(docs, kept_out)}. An mkdocs.yml of your own in "
            "the current folder publishes them."
        )


def _only_made(files: Any, docs: Path, kept_out: list[str]) -> Any:
    """MkDocs's files without those of `docs` that this program did not make; their names go to `kept_out`."""
    notes = notes_of(docs)
    index = docs / STUDIES / "index.md"
    for file in list(files):
        if file.src_dir is None or Path(file.src_dir) != docs.resolve():
            continue  # of the theme
        name = PurePosixPath(file.src_uri)
        if name == PurePosixPath(STUDIES, "index.md"):
            known = notes["assets"].about.get("index") if "assets" in notes else None
            ours = is_plain(docs, str(name)) and file_checksum(index) == known
        elif len(name.parts) > 2 and name.parts[0] == STUDIES:
            ours = name.parts[1] in notes and not is_of_others(docs, str(name), notes)
        else:
            ours = False
        if not ours:
            files.remove(file)
            if file.inclusion.is_included() and not is_of_others(docs, str(name), notes):  # `render` named those
                kept_out.append(str(name))
    return files


def _complete(config: Any, configuration: Path, docs: Path, say: Say) -> None:
    """Give MkDocs's settings of one's own what our pages need, and say what they lack."""
    from mkdocs.utils.yaml import yaml_load

    with configuration.open("rb") as file:
        said = yaml_load(file)
    lacks = [] if said.get("use_directory_urls") is False else ["`use_directory_urls: false`"]
    if "attr_list" not in config.markdown_extensions:
        config.markdown_extensions.append("attr_list")
        lacks.append("`attr_list` among its markdown_extensions")
    if lacks:
        say(
            f"{configuration} lacks {' and '.join(lacks)}, which the pages of studies need. This site was built as if "
            "it said so; `mkdocs serve` and `mkdocs build` need it there."
        )
    if said.get("nav") and f"{STUDIES}/index.md" not in str(said["nav"]):
        say(f"{configuration} has no page of studies in its nav: add `- Studies: {STUDIES}/index.md`.")
    named = Path(said.get("docs_dir") or "docs")
    if named.resolve() != docs.resolve():
        say(
            f"{configuration} names {named} as its docs_dir, but the pages are in {docs}. For one site: --docs {named}."
        )
    if config.theme.name != "material":
        say(f"{configuration} names the theme {config.theme.name}; the pages of studies are laid out for `material`.")
