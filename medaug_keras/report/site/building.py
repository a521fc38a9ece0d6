"""The site that MkDocs makes of the pages."""

import json
import os
from pathlib import Path, PurePosixPath
from types import SimpleNamespace
from typing import Any

from medaug_keras.ownership import Note, checksums, file_checksum, is_plain, locked, staging, take_in
from medaug_keras.places import STUDIES, address, check_site
from medaug_keras.report.site import unchanged
from medaug_keras.report.site.writing import LOOK, Say, is_of_others, notes_of, say_kept, several, silent


def build_site(docs: Path, site: Path, *, anew: bool = False, say: Say = silent) -> None:
    """Build the site of `docs` with MkDocs. Raises MkDocs's own errors, and NotOursError where others' files would go.

    If the current folder has an mkdocs.yml, the site follows it, with what the pages of studies need; `say` reports
    what it lacks. Otherwise the site has our look, and contains only what this program made. It is built in a temporary
    folder first, so a site that is open in a browser is never half built.

    A site that is up to date is not built again, unless `anew`: pass it if your mkdocs.yml includes files from outside
    `docs`.
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
            say_kept(site, take_in(site, fresh, note), say)


def own_configuration() -> Path | None:
    """mkdocs.yml of the current folder, if it has one."""
    return next((path for path in map(Path, ("mkdocs.yml", "mkdocs.yaml")) if path.exists()), None)


def _build(configuration: Path, docs: Path, site: Path, say: Say, *, whole: bool) -> None:
    """`whole`: all of `docs`, as an mkdocs.yml of one's own says; otherwise only what this program made."""
    os.environ.setdefault("NO_MKDOCS_2_WARNING", "true")  # the theme's announcement; it is no warning about our pages
    os.environ.setdefault("SOURCE_DATE_EPOCH", "0")  # or the sitemap says when it was built
    from mkdocs.commands.build import build
    from mkdocs.config import load_config

    from medaug_keras.report.site import mkdocs_hooks

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
            f"Not made by this program, so not in the site: {several(docs, kept_out)}. An mkdocs.yml of your own in "
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
        settings = yaml_load(file)
    lacks = [] if settings.get("use_directory_urls") is False else ["`use_directory_urls: false`"]
    if "attr_list" not in config.markdown_extensions:
        config.markdown_extensions.append("attr_list")
        lacks.append("`attr_list` among its markdown_extensions")
    if lacks:
        say(
            f"{configuration} lacks {' and '.join(lacks)}, which the pages of studies need. This site was built as if "
            "it said so; `mkdocs serve` and `mkdocs build` need it there."
        )
    if settings.get("nav") and f"{STUDIES}/index.md" not in str(settings["nav"]):
        say(f"{configuration} has no page of studies in its nav: add `- Studies: {STUDIES}/index.md`.")
    named = Path(settings.get("docs_dir") or "docs")
    if named.resolve() != docs.resolve():
        say(
            f"{configuration} names {named} as its docs_dir, but the pages are in {docs}. For one site: --docs {named}."
        )
    if config.theme.name != "material":
        say(f"{configuration} names the theme {config.theme.name}; the pages of studies are laid out for `material`.")
