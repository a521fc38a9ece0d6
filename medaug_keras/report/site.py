"""Pages on disk: a study's folder is swapped in whole, and MkDocs makes the site."""

import json
import os
import shutil
from pathlib import Path

from medaug_keras.plan import Plan
from medaug_keras.spec import Study
from medaug_keras.store import Store

from . import palette
from .pages import Pages, environment_of_templates
from .results import Results

ASSETS = Path(__file__).parent / "assets"


def render(study: Study, plan: Plan, store: Store, docs: Path, *, beside: tuple[Study, Plan] | None = None) -> Path:
    """Write the pages of a study to docs/studies/NAME and list it in docs/studies/index.md; returns its folder.

    `beside` is another study and its plan, whose numbers stand beside this one's where both have them.

    The same records give the same bytes. The folder is made beside its place and then moved there, so a server that
    watches `docs` never sees half of it; files that did not change keep their time.
    """
    other = None if beside is None else Results(*beside, store)
    files = Pages(Results(study, plan, store), beside=other).all()
    studies = docs / "studies"
    target = studies / study.name
    _swap_in(files, target)
    write_if_changed(studies / "assets" / "report.css", palette.css() + (ASSETS / "report.css").read_text("utf-8"))
    write_if_changed(studies / "assets" / "report.js", (ASSETS / "report.js").read_text("utf-8"))
    write_if_changed(studies / "index.md", studies_page(studies))
    return target


def build_site(docs: Path, site: Path) -> None:
    """Build the site of `docs` with MkDocs, as mkdocs.yml says. Raises MkDocs's own errors."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "true")  # the theme's announcement; it is no warning about our pages
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # or the sitemap says when it was built
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    config = load_config(str(_configuration()), docs_dir=str(docs.resolve()), site_dir=str(site.resolve()))
    config.plugins.on_startup(command="build", dirty=False)
    try:
        build(config)
    finally:
        config.plugins.on_shutdown()


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
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_bytes(content)
    os.replace(partial, path)


def _swap_in(files: dict[str, bytes], target: Path) -> None:
    fresh = target.with_name(f".{target.name}.{os.getpid()}.fresh")  # MkDocs passes over names with a dot
    old = target.with_name(f".{target.name}.{os.getpid()}.old")
    for folder in (fresh, old):
        shutil.rmtree(folder, ignore_errors=True)
    for name, content in files.items():
        path = fresh / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        before = target / name
        if before.is_file() and before.read_bytes() == content:
            shutil.copystat(before, path)
    if target.exists():
        os.rename(target, old)
    os.rename(fresh, target)
    shutil.rmtree(old, ignore_errors=True)
