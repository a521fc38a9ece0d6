"""What MkDocs does not do by itself; see `hooks` in mkdocs.yml. Sites that this program builds have it in any case.

The pages of studies are reached from the page of studies, which is made by the first study: until then a page that
says so takes its place, as does a home page where there is none. Of a study's folder only what was made there is
published. A page opened by double-click may not read search_index.json, so the same text also goes into a script. A
note in the site says that all of it was made here, so that it may be made again. While pages are rendered into docs,
`mkdocs serve` waits, and then builds them once.
"""

import tempfile
import time
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.livereload import LiveReloadServer
from mkdocs.structure.files import File, Files, InclusionLevel
from watchdog.events import FileSystemEvent, FileSystemEventHandler

from medaug_keras.ownership import Note, checksums, is_locked, write_note
from medaug_keras.places import STUDIES
from medaug_keras.report.site.writing import LOOK, is_of_others, notes_of, studies_page

_OF_THE_LOOK = {"stylesheets/site.css", "javascripts/search-from-file.js"}
_SETTLED = 1.5
"""Seconds in which the server looks at docs at least once more."""
_serving = False


def on_startup(*, command: str, dirty: bool) -> None:
    """Take note of `mkdocs serve`, which builds into a folder of its own."""
    global _serving
    _serving = command == "serve"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages and files of the look that docs does not have; leave out what is not ours in our folders."""
    docs = Path(config.docs_dir)
    notes = notes_of(docs)
    for file in list(files):
        if not file.src_uri.startswith(f"{STUDIES}/"):
            continue
        if is_of_others(docs, file.src_uri, notes):
            files.remove(file)
        elif file.src_uri.count("/") > 1 and file.inclusion.is_included():
            file.inclusion = InclusionLevel.NOT_IN_NAV
    if files.get_file_from_path(f"{STUDIES}/index.md") is None:
        _add(files, config, f"{STUDIES}/index.md", content=studies_page(docs / STUDIES))
    if not any(file.dest_uri == "index.html" for file in files):
        _add(files, config, "index.md", abs_src_path=str(LOOK / "home.md"))
    named = {*map(str, config.extra_css), *map(str, config.extra.get("polyfills", ()))}
    for name in sorted(named & _OF_THE_LOOK):
        if files.get_file_from_path(name) is None:
            _add(files, config, name, abs_src_path=str(LOOK / Path(name).name))
    return files


def _add(files: Files, config: MkDocsConfig, name: str, **source: Any) -> None:
    files.append(File.generated(config, name, **source))


def on_post_build(config: MkDocsConfig) -> None:
    """Write search_index.js, which the theme looks for when the site is opened as files, and the note."""
    site = Path(config.site_dir)
    index = site / "search" / "search_index.json"
    if index.exists():
        script = f"var __index = {index.read_text('utf-8')};\n"
        index.with_suffix(".js").write_text(script, encoding="utf-8")
    if not _serving:
        write_note(site, Note("", checksums(site)), scratch=site)


def on_serve(server: LiveReloadServer, *, config: MkDocsConfig, builder: Any) -> LiveReloadServer:
    """Watch docs, and wait for the end of a render that is under way, which is hundreds of changes.

    The server rebuilds when a file changes that stands for all of them, since it can be told so by no other means.
    """
    studies = Path(config.docs_dir, STUDIES)
    folder = tempfile.TemporaryDirectory(prefix="medaug_keras_")  # goes with the process
    changed = Path(folder.name, "changed")
    changed.touch()

    class Watcher(FileSystemEventHandler):
        kept = folder

        def on_any_event(self, event: FileSystemEvent) -> None:
            if event.is_directory:
                return
            first = time.time() - changed.stat().st_mtime > _SETTLED
            while is_locked(studies):
                first = True
                time.sleep(0.1)
            if first:
                time.sleep(_SETTLED)  # until the next look has found the rest
            changed.touch()

    server.unwatch(config.docs_dir)
    server.observer.schedule(Watcher(), config.docs_dir, recursive=True)
    server.watch(str(changed))
    return server
