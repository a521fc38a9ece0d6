"""Pages on paper: A4 with margins of 12 mm leaves 703 pixels, and whatever is beyond them is lost."""

import pytest
from browsing import Visitor

PAGES = [
    "index",
    "checks",
    "data-sets",
    "models",
    "results",
    "significance",
    "synthetic-images",
    "against-le-roux",
    "runs",
]
OUTSIDE = """() => [...document.querySelectorAll('main :is(th, td, figure svg, figure img, pre)')].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && (box.left < -1 || box.right > 704 || (e.matches('th, td') && e.scrollWidth > e.clientWidth + 1));
}).slice(0, 5).map(e => [(e.closest('[id]') || e).id, e.textContent.slice(0, 40), e.getBoundingClientRect().right])"""


@pytest.fixture(scope="module")
def paper(browser, site):
    with Visitor(browser, site.as_uri(), scheme="dark") as visitor:
        visitor.page.set_viewport_size({"width": 703, "height": 1000})
        visitor.page.emulate_media(media="print")
        yield visitor


@pytest.mark.parametrize("name", PAGES)
def test_every_column_is_inside_the_page_whatever_is_in_it(paper, name):
    page = paper.go(f"studies/fake/{name}.html")
    assert page.evaluate(OUTSIDE) == []
    page.evaluate(
        "document.querySelectorAll('.ma tbody tr:first-child > *').forEach(c => c.textContent = 'W'.repeat(40))"
    )
    assert page.evaluate(OUTSIDE) == []


def test_nothing_to_be_clicked_is_printed_and_what_is_folded_is(paper):
    page = paper.go("studies/fake/index.html")
    for what in (".ma-nav", ".md-header", ".md-footer", ".ma-files", ".ma-tools"):
        assert not page.locator(what).first.is_visible(), what
    for name in PAGES:
        page = paper.go(f"studies/fake/{name}.html")
        fields = page.locator("main :is(input, select, button:not(.ma-sort))").all()
        assert [field.evaluate("e => e.outerHTML") for field in fields if field.is_visible()] == [], name
    page = paper.go("studies/fake/index.html")
    folded = "<details><summary>More</summary><p id='folded'>Text</p></details>"
    page.locator("article").evaluate("(article, html) => article.insertAdjacentHTML('beforeend', html)", folded)
    box = page.locator("#folded").bounding_box()
    assert box is not None
    assert box["height"] > 10
    ink = page.evaluate("getComputedStyle(document.body).getPropertyValue('--ma-ink')")
    assert ink == "#1f2328"  # as on light pages, though the reader has dark ones
    link = page.locator(".ma a").first.evaluate("a => [a, a.parentElement].map(e => getComputedStyle(e).color)")
    assert link[0] == link[1]


def test_each_sheet_has_the_study_the_day_of_its_results_and_its_number(paper):
    page = paper.go("studies/fake/index.html")
    sheets = page.evaluate("[...document.querySelector('.ma-paper').sheet.cssRules].map(r => r.cssText)")
    margins = [rule for rule in sheets if rule.startswith("@page")]
    assert len(margins) == 1
    assert "fake · results of 14 November 2023" in margins[0]
    assert "counter(page)" in margins[0]
