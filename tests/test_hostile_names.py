"""Names and labels that a page, a spreadsheet, LaTeX, a terminal or a file system might obey: they stay text."""

import csv
import functools
import html.parser
import json
import re
from collections.abc import Callable, Iterator
from itertools import zip_longest
from pathlib import Path

import markdown
import pytest
import yaml
from report_records import fake_results, fake_study

from medaug_keras import report
from medaug_keras.looks import NAME
from medaug_keras.spec import Study
from medaug_keras.store import Failure

MARK = "zyx"  # stands in every text, so that it can be found again

TEXTS = (
    *(
        f"<{tag}>{MARK}"
        for tag in ("b", "script>alert(1)</script", "img src=x onerror=alert(1)", "svg/onload=alert(1)")
    ),
    *(f"<{tag}>{MARK}" for tag in ("iframe src=//example.org", "a href=javascript:alert(1)", "style>*{display:none}")),
    *(
        f"{MARK}{text}"
        for text in ("</td></tr></table>", "--></script>", "&lt;b&gt;&#60;i&#62;", "<!-- ", "]]>", "<?php")
    ),
    *(f"{quote} onmouseover=alert(1) {MARK}={quote}" for quote in ("'", '"', "`")),
    *(
        f"{text}{MARK}"
        for text in ("# ", "- ", "1. ", "> ", "    ", "\\", "***", "~~~", "```", ":::", "!!! note ", "=== ")
    ),
    *(f"[{MARK}]({where})" for where in ("javascript:alert(1)", "//example.org", "data:text/html,<b>")),
    *(f"{MARK}{text}" for text in ("| a | b |", "{: onclick=alert(1) }", "[^1]", "[[x]]", "$$x$$", "**b** _i_ ~s~")),
    *(f"{MARK} {text}" for text in ("{{ 7 * 7 }}", "{% raw %}", "{# x #}", "${HOME}", "%(x)s {0} %n", "$(reboot)")),
    *(f"{sign}{formula}{MARK}" for sign in "=+-@" for formula in ("1+1+", 'HYPERLINK("http://example.org";"x")')),
    *(f"{start}=1+{MARK}" for start in ("\t", " ", "\u00a0", '"', "'")),
    *(f"{MARK}{text}" for text in (r"\input{/etc/passwd}", r"\write18{reboot}", "$x_1$ 50% & ~^ #1", "\\\\", "{", "}")),
    *(f"{path}{MARK}" for path in ("../../../", "/etc/", "..\\", "C:\\", "file:///", "~/", "./.", "con/nul:")),
    *(f"{MARK}{mark}abc" for mark in ("\u202e", "\u2066", "\u200f", "\ufeff", "\u200b", "\u2028", "\x85")),
    *(f"{MARK}{text}" for text in ("אבג", "العربية", "日本語", "e\u0301\u0323", "\U0001f469\u200d\u2695\ufe0f", "ǅ")),
    MARK + "x" * 490,
    (MARK + " ") * 120,
    f"{MARK}\n# two\n\n=lines",
)


def hostile(text: str) -> Study:
    """A study that says a text wherever it may say one."""
    study = fake_study(
        arms={"baseline": {"label": text}, "gda": {"augment": [{"layer": "horizontal_flip"}]}},
        replicates=1,
        samplings=["shuffle"],
        title=text,
        question=text,
        datasets=("breastmnist",),
    )
    content = json.loads(study.model_dump_json())
    own = {"kind": "npz", "path": "x.npz", "title": text, "classes": [text, "other"], "licence": text, "citation": text}
    content["datasets"] = {"own": own}
    return Study.model_validate_json(json.dumps(content))


PLACES = 8  # the seven of `hostile`, and the error of a failed task


class Tags(html.parser.HTMLParser):
    """What a page is made of: its tags, and the names of their attributes. Pictures have as many parts as they need."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[tuple[str, ...]] = []
        self.links: set[str] = set()
        self.in_picture = False
        self.feed(markdown.markdown(path.read_text("utf-8"), extensions=EXTENSIONS))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if not self.in_picture:
            self.found.append((tag, *(name for name, _ in attrs)))
            self.links |= {value or "" for name, value in attrs if name in ("href", "src")}
        self.in_picture = self.in_picture or tag == "svg"

    def handle_endtag(self, tag: str) -> None:
        self.in_picture = self.in_picture and tag != "svg"


@functools.cache
def known(path: Path) -> Tags:
    """The tags of a page that does not change."""
    return Tags(path)


def rendered(text: str, root: Path) -> Path:
    """The report of a study that says a text everywhere, and in which a task failed with it."""
    study = hostile(text)
    plan, store = fake_results(study, root / "results", leave_out=lambda task: "gda" in task.title)
    task = next(task for task in plan.tasks.values() if "gda" in task.title)
    store.fail(task, Failure(task.kind, task.key, f"ValueError: {text}", text, {"host": text, "started": 0.0}))
    before = listed(root)
    folder = report.render(study, plan, store, root / "docs")
    places = {path.relative_to(root).parts[:3] for path in listed(root.parent) - before if path.is_relative_to(root)}
    assert places == {("results", NAME), *(("docs", "studies", name) for name in ("fake", "assets", "index.md"))}
    return folder


def listed(root: Path) -> set[Path]:
    return {path for path in root.rglob("*") if not path.is_dir()}


def wrong_in(folder: Path, harmless: Path) -> Iterator[str]:
    """What a report's files hold that something might obey, beside the report of a harmless text."""
    for path in sorted(listed(folder)):
        name = path.relative_to(folder)
        if path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                cells = [cell for row in csv.reader(file) for cell in row if not re.fullmatch(r"-?[\d.e-]+", cell)]
            yield from (f"{name}: {c[:60]!r}" for c in cells if c.lstrip("\t\r\n \u00a0").startswith(tuple("=+-@")))
        elif path.suffix == ".tex":
            yield from (f"{name}: {found}" for found in re.findall(r"\\(?:input|write18)", path.read_text("utf-8")))
        elif path.suffix == ".json":
            json.loads(path.read_bytes())
        elif path.suffix == ".yaml":
            yaml.safe_load(path.read_bytes())
        elif path.suffix == ".md":
            page, model = Tags(path), known(harmless / name)
            if page.found != model.found:
                yield f"{name}: {next(pair for pair in zip_longest(page.found, model.found) if pair[0] != pair[1])}"
            yield from (f"{name}: {link}" for link in page.links - model.links)


EXTENSIONS = ["admonition", "attr_list", "def_list", "footnotes", "md_in_html", "tables", "toc"]
EXTENSIONS += ["pymdownx.details", "pymdownx.highlight", "pymdownx.superfences"]


@pytest.fixture(scope="module")
def harmless(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return rendered(MARK, tmp_path_factory.mktemp("harmless") / "0")


@pytest.mark.parametrize("part", range(4))
def test_names_and_labels_stay_text_in_every_file_and_write_nothing_elsewhere(
    part: int, harmless: Path, tmp_path: Path, counted: Callable[..., None]
) -> None:
    """Every page has the tags and links of the same page with a harmless text."""
    broken, tracebacks = [], 0
    texts = TEXTS[part::4]
    for number, text in enumerate(texts):
        try:
            folder = rendered(text, tmp_path / str(number))
        except Exception as error:
            tracebacks += 1
            broken.append(f"{text!r}: {type(error).__name__}: {error}")
        else:
            broken += [f"{text!r}: {what}" for what in wrong_in(folder, harmless)]
    counted("names and labels", len(texts) * PLACES, tracebacks)
    assert broken == []
