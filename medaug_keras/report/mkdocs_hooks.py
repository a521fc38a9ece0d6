"""Two things that MkDocs does not do by itself; see `hooks` in mkdocs.yml.

The page of studies belongs to the navigation but is made by the first study: until then a page that says so takes its
place. And a page opened by double-click may not read search_index.json, so the same text also goes into a script.
"""

from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from medaug_keras.report.site import studies_page

PAGE = "studies/index.md"


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the page of studies where no study was rendered."""
    if files.get_file_from_path(PAGE) is None:
        files.append(File.generated(config, PAGE, content=studies_page(Path(config.docs_dir) / "studies")))
    return files


def on_post_build(config: MkDocsConfig) -> None:
    """Write search_index.js, which the theme looks for when the site is opened as files."""
    folder = Path(config.site_dir) / "search"
    index = folder / "search_index.json"
    if index.exists():
        (folder / "search_index.js").write_text(f"var __index = {index.read_text('utf-8')};\n", encoding="utf-8")
