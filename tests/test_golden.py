"""Pages of a finished study, as a reader reads them: words and numbers, a line for each row, paragraph and fact.

Records are made up, so pages do not change unless the report does. `UPDATE_GOLDEN=1 pytest tests/test_golden.py` renews
the golden files; read the diff before you accept it.
"""

import os
from html.parser import HTMLParser
from pathlib import Path

import pytest
from report_records import ARMS, fake_results, fake_study

from medaug_keras.report.numbers.results import Results
from medaug_keras.report.pages.study import Pages

GOLDEN = Path(__file__).parent / "golden" / "finished"
SHARES = {"baseline": 0.75, "gda": 0.86, "cvae": 0.7, "duplicate": 0.76}
"""Arm → share of the test images that it gets right, give or take what replicates differ by."""
ENDS_AT = {
    "index": "## State of the study",  # clocks and versions follow
    "results": "## All metrics",
    "best-models": None,
    "significance": "## Other metrics",
    "synthetic-images": "## Class by class",
}
"""Page → the heading at which its golden file ends."""


class Reader(HTMLParser):
    """What a page says, without its navigation, drawings and tooltips."""

    LINES = frozenset({"p", "li", "tr", "dt", "caption", "figcaption", "summary", "div", "ol", "table"})
    CELLS = frozenset({"td", "th", "dd", "small"})
    SILENT = frozenset({"svg", "style", "nav", "script", "option", "select", "label", "output", "button"})
    HIDDEN = frozenset({"ma-by", "ma-hidden", "ma-files", "ma-jump", "ma-foot"})

    def __init__(self) -> None:
        super().__init__()
        self.lines, self.inside, self.inside_of = [""], 0, ""

    def handle_starttag(self, tag, attrs):
        if self.inside:
            self.inside += tag == self.inside_of
        elif tag in self.SILENT or dict(attrs).get("class") in self.HIDDEN:
            self.inside, self.inside_of = 1, tag
        elif tag in self.LINES:
            self.lines.append("")
        elif tag in self.CELLS and self.lines[-1].strip():
            self.lines[-1] += " | " if tag != "small" else " ~ "

    def handle_endtag(self, tag):
        if self.inside:
            self.inside -= tag == self.inside_of
        elif tag in self.LINES:
            self.lines.append("")

    def handle_data(self, data):
        for part in [] if self.inside else data.split("\n"):
            self.lines[-1] += part
            if part.startswith("#"):
                self.lines.append("")


def read(page: str) -> str:
    reader = Reader()
    reader.feed(page.partition("---\n\n")[2])
    lines = (" ".join(line.split()) for line in reader.lines)
    return "".join(f"\n{line}\n" if line.startswith("#") else f"{line}\n" for line in lines if line)


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    study = fake_study(
        datasets=("breastmnist",),
        arms={name: ARMS[name] for name in SHARES},
        replicates=3,
        samplings=["shuffle"],
        references=["le-roux"],
    )
    root = tmp_path_factory.mktemp("finished")
    plan, store = fake_results(study, root, score=lambda d, arm, s, replicate: SHARES[arm] + 0.01 * replicate)
    made = Pages(Results(study, plan, store)).all()
    texts = {page: made[f"{page}.md"].decode() for page in ENDS_AT}
    return {page: read(text.partition(ENDS_AT[page] or "\0")[0]) for page, text in texts.items()}


@pytest.mark.parametrize("page", ENDS_AT)
def test_a_page_of_a_finished_study_reads_as_it_was_read_before(pages: dict[str, str], page: str):
    path = GOLDEN / f"{page}.txt"
    if os.environ.get("UPDATE_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(pages[page], encoding="utf-8")
    assert pages[page] == path.read_text("utf-8")


def test_no_golden_page_is_kept_of_a_page_that_is_not_made():
    assert {path.stem for path in GOLDEN.iterdir()} == set(ENDS_AT)
