"""A study's report as one HTML file to send: its pages one after the other, with styles and figures inside.

The pages are those of the site, from the same Markdown. Nothing is fetched and no script runs: mail filters distrust
scripts, and the file has to be readable wherever it is opened. The pages of single runs and the files of tables are
left out, and links to them are plain text.
"""

import base64
import json
import os
import re
import uuid
from collections.abc import Collection, Mapping
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from posixpath import join, normpath
from urllib.parse import unquote, urldefrag, urlparse

import yaml

from medaug_keras.ownership import NotOursError, is_plain, read_note
from medaug_keras.places import STUDIES
from medaug_keras.report import palette
from medaug_keras.report.pages.templates import environment_of_templates
from medaug_keras.report.site.writing import ASSETS, LOOK, STYLES

_MARK = "<!-- One study's report, made by medaug-keras."
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
"""The browser itself refuses to fetch anything or to run a script."""
_LEFT_OUT = {"ma-nav", "ma-tools", "ma-copy", "ma-files", "ma-links", "ma-foot", "ma-paper", "headerlink"}
"""Classes of what needs a script or leads to a file beside the page, and of what every page repeats."""
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}
_NAMES_IDS = {"id", "for", "headers", "aria-labelledby", "aria-describedby", "aria-controls", "name"}
_ATTRIBUTE = re.compile(r"""\s([a-zA-Z:-]+)="([^"]*)\"""")
_MARKS = re.compile(r'<div class="ma-marks".*?</div>', re.DOTALL)
_FRONT = re.compile(r"\A---\n.*?\n---\n", re.DOTALL)


def check_single_file(file: Path, folders: Mapping[str, Path]) -> None:
    """Raises NotOursError where the file may not be written: another's file, or a place in one of these folders."""
    for said, folder in folders.items():
        if file.resolve().is_relative_to(folder.resolve()):
            raise NotOursError(
                f"--single-file {file} lies in {said} {folder}, which this program fills. Choose another."
            )
    if file.suffix.lower() not in (".html", ".htm"):
        raise NotOursError(f"--single-file {file}: expected the name of an HTML file, such as report.html.")
    if file.is_dir():
        raise NotOursError(f"--single-file {file} is a folder; expected the name of an HTML file in it.")
    if not file.parent.is_dir():
        raise NotOursError(f"--single-file {file}: there is no folder {file.parent}. Make it first.")
    if os.path.lexists(file):
        try:
            with file.open("rb") as opened:
                ours = _MARK.encode() in opened.read(200)
        except OSError:
            ours = False
        if not ours:
            raise NotOursError(f"{file} was not made by this program, so it stays as it is. Choose another name.")


def single_file(docs: Path, study: str, file: Path) -> None:
    """Write the pages of a rendered study as one HTML file. The same pages give the same bytes."""
    folder = docs / STUDIES / study
    note = read_note(folder)
    summary = json.loads((folder / "data" / "study.json").read_bytes())
    pages = {name: title for name, title in summary["pages"].items() if note and f"{name}.md" in note.files}
    sections: list[tuple[str, str]] = []
    seen: set[str] = set()
    for name in pages:
        text = (folder / f"{name}.md").read_text("utf-8")
        page = _Page(folder, name, pages)
        page.feed(_markdown(_FRONT.sub("", text, count=1)))
        page.close()
        sections.append((name, _MARKS.sub(lambda found: _once(found[0], seen), "".join(page.out))))
    template = environment_of_templates().get_template("single.html.j2")
    content = template.render(mark=_MARK, policy=_POLICY, study=summary, css=_css(), sections=sections, pages=pages)
    fresh = file.with_name(f".{file.name}.{uuid.uuid4().hex}")
    try:
        fresh.write_text(content, encoding="utf-8")
        os.replace(fresh, file)
    finally:
        fresh.unlink(missing_ok=True)


def _once(text: str, seen: set[str]) -> str:
    """The text where it is new; what one page after the other says again is left out."""
    new = text not in seen
    seen.add(text)
    return text if new else ""


def _markdown(text: str) -> str:
    """HTML of a page's Markdown, with the extensions of the site."""
    from markdown import Markdown

    names, settings = [], {}
    for entry in yaml.safe_load((LOOK / "mkdocs.yml").read_text("utf-8"))["markdown_extensions"]:
        name, options = next(iter(entry.items())) if isinstance(entry, dict) else (entry, {})
        names.append(name)
        settings[name] = options or {}
    settings["toc"] = {}  # no marks for links to headings
    html: str = Markdown(extensions=names, extension_configs=settings).convert(text)
    return html


def _css() -> str:
    """All styles: what the site's theme does for our pages, the colors, and those of the pages."""
    files = (LOOK / "single.css", *(ASSETS / name for name in STYLES))
    return palette.css_by_system() + "".join(path.read_text("utf-8") for path in files)


class _Page(HTMLParser):
    """A page's HTML as a section: headings one lower, its anchors its own, its links within the file, images inside."""

    def __init__(self, folder: Path, name: str, pages: Collection[str]) -> None:
        super().__init__(convert_charrefs=False)
        self.folder, self.name, self.pages = folder, name, pages
        self.out: list[str] = []
        self.left_out = 0
        """How many elements are open that are left out, one in the other."""
        self.links: list[bool] = []
        """Of each open link, whether it is kept."""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an element's beginning."""
        given = dict(attrs)
        classes = set((given.get("class") or "").split())
        if self.left_out or tag in ("script", "link") or classes & _LEFT_OUT:
            self.left_out += tag not in _VOID
            return
        if tag == "a":
            href = self._address(given.get("href") or "")
            self.links.append(bool(href))
            self.out.append(self._with(href=href) if href else "<span>")
        elif tag == "img":
            self.out.append(self._with(src=self._inside(given.get("src") or "")))
        elif self._is_lower(tag):
            self.out.append(f"<h{int(tag[1]) + 1}" + self._with()[3:])
        else:
            self.out.append(self._with())

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Write an element without content, as SVG has them."""
        if tag in _VOID:
            self.handle_starttag(tag, attrs)
        elif not self.left_out:
            self.out.append(self._with())

    def handle_endtag(self, tag: str) -> None:
        """Write an element's end."""
        if tag in _VOID:
            return
        if self.left_out:
            self.left_out -= 1
        elif tag == "a":
            self.out.append("</a>" if self.links.pop() else "</span>")
        else:
            self.out.append(f"</h{int(tag[1]) + 1}>" if self._is_lower(tag) else f"</{tag}>")

    def handle_data(self, data: str) -> None:
        """Text stays as it is."""
        self._text(data)

    def handle_entityref(self, name: str) -> None:
        """So do names of characters."""
        self._text(f"&{name};")

    def handle_charref(self, name: str) -> None:
        """And their numbers."""
        self._text(f"&#{name};")

    def _text(self, text: str) -> None:
        if not self.left_out:
            self.out.append(text)

    def _is_lower(self, tag: str) -> bool:
        """Whether it is a heading that is below the file's only h1."""
        return tag in ("h1", "h2", "h3", "h4", "h5") and not (tag == "h1" and self.name == "index")

    def _with(self, **changed: str) -> str:
        """The tag as it stands, with its anchors made the page's own and some attributes changed."""

        def attribute(found: re.Match[str]) -> str:
            name, value = found[1], found[2]
            if name in changed:
                return f' {name}="{escape(changed[name])}"'
            if name in _NAMES_IDS:
                return f' {name}="{" ".join(f"{self.name}.{one}" for one in value.split())}"'
            return found[0]

        return _ATTRIBUTE.sub(attribute, self.get_starttag_text() or "")

    def _address(self, href: str) -> str:
        """Where a link of the page leads in the file; empty for what is not in it."""
        if urlparse(href).scheme:
            return href
        target, anchor = urldefrag(href)
        page = normpath(join(self.name, "..", target)).removesuffix(".html") if target else self.name
        return f"#{page}.{anchor}" if anchor and page in self.pages else f"#{page}" if page in self.pages else ""

    def _inside(self, src: str) -> str:
        """A PNG of the study's folder as an address that holds it."""
        path = normpath(join(self.name, "..", unquote(src)))
        if not (src.endswith(".png") and is_plain(self.folder, path)):
            raise ValueError(f"{self.name}.md shows {src}, which is no PNG of this study")
        return f"data:image/png;base64,{base64.b64encode((self.folder / path).read_bytes()).decode()}"
