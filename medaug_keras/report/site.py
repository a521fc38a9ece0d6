"""Pages on disk: a study's folder is swapped in whole, and MkDocs makes the site."""

import contextlib
import hashlib
import json
import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from medaug_keras.plan import Plan
from medaug_keras.spec import Study
from medaug_keras.store import Store

from . import palette, unchanged
from .circumstances import Expected
from .pages import Pages, environment_of_templates
from .results import Results, note_look

ASSETS = Path(__file__).parent / "assets"

ABANDONED = 3600.0  # seconds after which nobody can still be rendering into a folder beside the one it will become


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
) -> Path:
    """Write the pages of a study to docs/studies/NAME and list it in docs/studies/index.md; returns its folder.

    `beside` is another study and its plan, whose numbers stand beside this one's where both have them. Every result is
    held against its checksums. Pages that are there and are what would be made are not made again, unless `anew`.
    `asked` is the part of the plan that the first page speaks of first, and `expected` says how long tasks take.
    `show_host` names on a run's page the machine that made it.

    A look at results that are new to it, or by a study that is, is noted in the results folder's log, unless `look` is
    False, as for pages that are made while a study runs.

    The same records give the same bytes. The folder is made beside its place and then moved there, so a server that
    watches `docs` never sees half of it; files that did not change keep their time.
    """
    results = Results(study, plan, store)
    if look:
        note_look(results)
    other = None if beside is None else Results(*beside, store)
    studies = docs / "studies"
    target = studies / study.name
    settings = repr((show_host, expected is not None, asked and list(asked.tasks)))
    made_from = unchanged.digest(
        [unchanged.of_program(), settings, *(unchanged.of_results(r) for r in (results, other) if r is not None)]
    )
    if anew or not unchanged.is_unchanged(target, made_from):
        pages = Pages(results, beside=other, asked=asked, expected=expected, show_host=show_host)
        _swap_in(_with_note(pages.each(), made_from), target)
    write_if_changed(studies / "assets" / "report.css", palette.css() + (ASSETS / "report.css").read_text("utf-8"))
    write_if_changed(studies / "assets" / "report.js", (ASSETS / "report.js").read_text("utf-8"))
    write_if_changed(studies / "index.md", studies_page(studies))
    return target


def build_site(docs: Path, site: Path, *, anew: bool = False) -> None:
    """Build the site of `docs` with MkDocs, as mkdocs.yml says. Raises MkDocs's own errors.

    A site that is there and is what would be built of the same `docs` is not built again, unless `anew`, which is the
    way where an mkdocs.yml of one's own takes in files from elsewhere.
    """
    configuration = _configuration()
    made_from = unchanged.digest(
        [unchanged.of_program(), configuration.read_text("utf-8"), json.dumps(unchanged.checksums(docs))]
    )
    if not anew and unchanged.is_unchanged(site, made_from):
        return
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "true")  # the theme's announcement; it is no warning about our pages
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # or the sitemap says when it was built
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(configuration), docs_dir=str(docs.resolve()), site_dir=str(site.resolve()))
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    finally:
        config.plugins.on_shutdown()
    write_if_changed(site / unchanged.NOTE, unchanged.note(made_from, unchanged.checksums(site)))


def _configuration() -> Path:
    """mkdocs.yml of this folder or, where there is none, of the repository this package lies in."""
    here = Path("mkdocs.yml")
    return here if here.exists() else Path(__file__).parents[2] / "mkdocs.yml"


def studies_page(studies: Path) -> str:
    """The page that lists every rendered study."""
    found = [json.loads(path.read_bytes()) for path in sorted(studies.glob("*/data/study.json"))]
    return environment_of_templates().get_template("studies.md.j2").render(studies=found)


def write_if_changed(path: Path, text: str) -> None:
    """Write a file whole or not at all, and leave it alone if it says the same already."""
    content = text.encode()
    if path.exists() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _beside(path, "partial")
    partial.write_bytes(content)
    os.replace(partial, path)


def _beside(path: Path, role: str) -> Path:
    """A free name for what will become `path`, or was; what renders that were killed left under such names is removed.

    MkDocs passes over names with a dot.
    """
    own = path.with_name(f".{path.name}.{os.getpid()}.{role}")
    for left in path.parent.glob(f".{path.name}.*.{role}"):
        with contextlib.suppress(OSError):  # another render removes it too, or it is another user's
            if left == own or time.time() - left.stat().st_ctime > ABANDONED:
                shutil.rmtree(left) if left.is_dir() else left.unlink()
    return own


def _take_over(before: Path, path: Path) -> None:
    """The same file under another name, with its time; a copy where the file system has no hard links."""
    try:
        os.link(before, path)
    except OSError:
        shutil.copy2(before, path)


def _with_note(files: Iterable[tuple[str, bytes]], made_from: str) -> Iterator[tuple[str, bytes]]:
    """The files one after the other, none of which has to be kept in memory; at the end the note on all of them."""
    made: dict[str, str] = {}
    for name, content in files:
        if name not in made:  # two pages may show the same figure
            made[name] = hashlib.sha256(content).hexdigest()
            yield name, content
    listed = {name: made[name] for name in sorted(made, key=Path)}
    yield unchanged.NOTE, unchanged.note(made_from, listed).encode()


def _swap_in(files: Iterable[tuple[str, bytes]], target: Path) -> None:
    fresh, old = _beside(target, "fresh"), _beside(target, "old")
    for name, content in files:
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        before = target / name
        if before.is_file() and before.read_bytes() == content:
            _take_over(before, path)
        else:
            path.write_bytes(content)
    if target.exists():
        os.rename(target, old)
    os.rename(fresh, target)
    shutil.rmtree(old, ignore_errors=True)
