"""The site in a browser, opened as files and served: what a visitor sees and can do."""

import csv
import http.server
import json
import re
import threading
from functools import partial
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlparse

import numpy as np
import pytest
from browsing import Visitor, barriers
from PIL import Image
from report_records import fake_results, large_study

from medaug_keras import report
from medaug_keras.report.format import points

FEW = [("desktop", "light"), ("phone", "dark")]  # each size and each scheme once; all four are slow
ALL = [("desktop", "dark"), ("phone", "light")]
STUDY = "studies/fake"
TALLEST, SHORT = 8000, 7000
"""Pixels that a page of a study may be long, before a reader unfolds something; and that Significance may be."""


def addresses(site: Path) -> list[str]:
    """Every page but 404.html, which only a server shows; of the many runs one of each state."""
    pages = [p.relative_to(site).as_posix() for p in sorted(site.rglob("*.html")) if p.name != "404.html"]
    runs = [page for page in pages if "/runs/" in page]
    kept = {page for page in runs if page.endswith(("histology.cgan.shuffle.1.html", "histology.gda.weighted.1.html"))}
    return [page for page in pages if page not in runs or page in {*kept, runs[0], runs[-1]}]


def matrix():
    return [pytest.param(*pair, id="-".join(pair)) for pair in FEW] + [
        pytest.param(*pair, id="-".join(pair), marks=pytest.mark.slow) for pair in ALL
    ]


@pytest.mark.parametrize(("size", "scheme"), matrix())
def test_every_page_opens_from_disk_without_an_error_and_fits_the_screen(browser, site, size, scheme):
    with Visitor(browser, site.as_uri(), size, scheme) as visitor:
        pages = addresses(site)
        if (size, scheme) == ("phone", "dark"):  # pages written by hand look alike: one of them will do
            pages = [page for page in pages if page == "index.html" or page.startswith("studies/")]
        for address in pages:
            page = visitor.go(address)
            assert page.evaluate("document.documentElement.scrollWidth") <= visitor.width, address
            shown = "dark" if scheme == "dark" else "light"
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            assert (background != "rgb(255, 255, 255)") == (shown == "dark"), address
            images = page.evaluate(
                "[...document.images].map(i => [i.getAttribute('src'), i.alt, i.complete && i.naturalWidth])"
            )
            assert all(alt and width for _, alt, width in images), (address, images)
            pictures = page.evaluate(
                "[...document.querySelectorAll('.ma-figure svg')].map(s => s.getAttribute('aria-label'))"
            )
            assert all(pictures), address
            if size == "desktop":
                assert wider(page) == [], address
                assert silent(page) == [], address
            if address.startswith("studies/"):
                height = page.evaluate("document.documentElement.scrollHeight")
                assert height < TALLEST, (address, height)
            assert visitor.wrong == [], address


def test_significance_is_short_in_every_font_also_for_eight_data_sets_and_twelve_arms(
    browser, site, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)  # where no mkdocs.yml is
    study = large_study(8, 12, 2)
    plan, store = fake_results(study, tmp_path / "results")
    folder = report.render(study, plan, store, tmp_path / "docs")
    for path in folder.rglob("*.md"):
        if "significance" not in path.relative_to(folder).as_posix():
            path.unlink()  # pages take a second each to build, and are not looked at here
    report.build_site(tmp_path / "docs", tmp_path / "site")
    pages = [site / STUDY / "significance.html"]
    pages += [
        tmp_path / "site" / "studies" / "large" / f"{name}.html" for name in ("significance", "significance/set-00")
    ]
    for path in pages:
        with Visitor(browser, path.parent.as_uri()) as visitor:
            page = visitor.go(path.name)
            for font in ("", "'DejaVu Serif'", "'DejaVu Sans Mono'"):
                if font:
                    page.add_style_tag(content=f"* {{ font-family: {font} !important }}")
                height = page.evaluate("document.documentElement.scrollHeight")
                assert 800 < height < SHORT, (path, font, height)


def wider(page) -> list[str]:
    """Tables that are wider than their place on the page."""
    return page.evaluate(
        """[...document.querySelectorAll('.ma-table .ma-scroll')].filter(r => r.scrollWidth > r.clientWidth + 1)
           .map(r => r.closest('.ma-table').id)"""
    )


def silent(page) -> list[str]:
    """Tables that scroll, without a hint that says so; and hints of those that do not."""
    return page.evaluate(
        """[...document.querySelectorAll('.ma-scroll:has(> table)')].filter(r => r.offsetParent !== null).filter(r => {
             const shown = hint => hint.classList.contains('ma-more') && !hint.hidden;
             return (r.scrollWidth > r.clientWidth + 1) !== shown(r.previousElementSibling) ||
               (r.scrollHeight > r.clientHeight + 1) !== shown(r.nextElementSibling);
           }).map(r => r.getAttribute('aria-label'))"""
    )


def test_a_row_that_is_cut_fades_until_the_last_one_is_in_view(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        region = visitor.go(f"{STUDY}/runs.html").locator("#all-runs-table .ma-scroll")
        fades = "r => getComputedStyle(r).maskImage !== 'none'"
        assert region.evaluate(fades)
        region.evaluate("r => { r.scrollTop = r.scrollHeight }")
        visitor.page.wait_for_function("() => !document.querySelector('#all-runs-table .ma-goes-on')")
        assert not region.evaluate(fades)


def test_a_phone_shows_rows_of_sentences_without_scrolling_sideways_and_loses_no_word(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        names = ("arms", "checklist", "significance")
        words = """[...document.querySelectorAll('.ma-wordy tbody tr')].filter(r => r.offsetParent !== null)
          .map(r => [...r.cells].filter(c => c.offsetParent && !c.querySelector('.ma-missing'))
            .map(c => c.textContent))"""
        wide = {name: visitor.go(f"{STUDY}/{name}.html").evaluate(words) for name in names}
        visitor.page.set_viewport_size({"width": 390, "height": 844})
        for name in names:
            page = visitor.go(f"{STUDY}/{name}.html")
            assert wide[name], name
            assert page.evaluate(words) == wide[name], name
            tables = "[...document.querySelectorAll('.ma-scroll:has(> .ma-wordy)')]"
            assert page.evaluate(f"{tables}.every(r => r.scrollWidth <= r.clientWidth)"), name
            assert silent(page) == [], name
            assert barriers(page) == [], name


def test_a_table_shows_its_other_columns_on_demand_and_print_has_them_all_within_the_paper(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        for kind in ("index", "results", "significance"):
            page = visitor.go(f"{STUDY}/{kind}.html")
            page.set_viewport_size({"width": 690, "height": 1000})  # A4 without its margins
            page.emulate_media(media="print")
            hidden = (
                "[...document.querySelectorAll('.ma th, .ma td')].filter(c => getComputedStyle(c).display === 'none')"
            )
            assert page.evaluate(f"{hidden}.length") == 0
            assert page.evaluate("document.documentElement.scrollWidth") <= 690, kind
            assert wider(page) == [], kind
            page.emulate_media(media="screen")
        extra = page.locator("#tests-table thead .ma-extra").last
        assert not extra.is_visible()
        page.locator("#tests-table .ma-columns").click()
        assert extra.is_visible()
        page.reload()  # the address has it
        assert extra.is_visible()
        page.locator("#tests-table .ma-columns").click()
        assert "columns" not in page.url


def test_headings_of_a_long_table_stay_in_view(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/runs.html")
        region = page.locator("#all-runs-table .ma-scroll")
        region.evaluate("r => { r.scrollTop = 900 }")
        top, start = region.evaluate(
            "r => [r.querySelector('thead').getBoundingClientRect().top, r.getBoundingClientRect().top]"
        )
        assert region.evaluate("r => r.scrollTop") > 100
        assert top == pytest.approx(start, abs=1)


def test_no_text_of_a_figure_touches_another_in_the_font_that_stands_in_for_arial(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        for kind in ("index", "significance", "models", "against-le-roux"):
            page = visitor.go(f"{STUDY}/{kind}.html")
            page.add_style_tag(content="svg, svg text { font-family: 'DejaVu Sans', Verdana !important }")
            touching = page.evaluate(
                """() => [...document.querySelectorAll('.ma-figure svg')].flatMap(svg => {
                     const all = [...svg.querySelectorAll('text')].map(t => [t.textContent, t.getBBox()]);
                     return all.flatMap(([one, a], i) => all.slice(i + 1).filter(([, b]) =>
                       Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x) > 0.5 &&
                       Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y) > 4)
                       .map(([other]) => [one, other]))
                   })"""
            )
            assert touching == [], kind


def test_a_tap_on_a_name_of_a_figure_shows_it_whole(browser, site):
    context = browser.new_context(viewport={"width": 390, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(f"{site.as_uri()}/{STUDY}/index.html")
    tip = page.locator(".ma-tip")
    assert not tip.is_visible()
    page.locator("#differences text:has(title)").first.tap()
    assert tip.inner_text() == page.locator("#differences text title").first.text_content()
    page.locator("h1").tap()
    assert not tip.is_visible()
    context.close()


def test_every_link_and_anchor_leads_somewhere(browser, site):
    anchors: dict[str, set[str]] = {}
    links: dict[str, list[str]] = {}
    every = [p.relative_to(site).as_posix() for p in sorted(site.rglob("*.html")) if p.name != "404.html"]
    with Visitor(browser, site.as_uri()) as visitor:
        visitor.context.set_default_timeout(60_000)
        visitor.page.route("**/*.js", lambda route: route.abort())  # links are there without scripts
        for address in every:
            page = visitor.go(address)
            anchors[address] = set(page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)"))
            links[address] = page.evaluate("[...document.querySelectorAll('a[href]')].map(a => a.href)")
    for address, found in links.items():
        for link in found:
            if urlparse(link).scheme in ("http", "https"):
                continue  # a link that a reader may follow; no page loads it
            target, anchor = urldefrag(link)
            path = Path(unquote(urlparse(target).path))
            assert path.exists(), f"{address} leads to {link}"
            if anchor:
                ids = anchors[path.relative_to(site).as_posix()]
                assert unquote(anchor) in ids, f"{address} leads to {link}"


def test_a_page_of_a_study_has_one_navigation_which_leads_to_all_studies(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/runs.html")
        assert not page.locator(".md-tabs").is_visible()
        page.locator(".ma-nav a").first.click()
        assert page.url.endswith("/studies/index.html")
        assert page.locator(".md-tabs").is_visible()
        assert visitor.wrong == []


def test_an_arm_has_one_name_in_every_table(site):
    for page in sorted((site / STUDY).glob("*.html")):
        assert not re.search(r"<th[^>]*>Sampling</th>", page.read_text("utf-8")), page.name


def rows(page, table: str) -> list[list[str]]:
    """Values of the rows that are shown, in their order."""
    return page.evaluate(
        """name => [...document.querySelectorAll(`#${name}-table tbody tr`)].filter(r => !r.hidden)
           .map(r => [...r.cells].map(c => c.dataset.value))""",
        table,
    )


def test_sorting_orders_a_column_both_ways_and_keeps_every_row(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/runs.html")
        before = rows(page, "all-runs")
        heading = page.locator("#all-runs-table thead tr:last-child th").nth(5)
        for direction, sign in (("ascending", 1), ("descending", -1)):
            heading.get_by_role("button").press("Enter")
            assert heading.get_attribute("aria-sort") == direction
            after = rows(page, "all-runs")
            assert sorted(after) == sorted(before)
            values = [row[5] for row in after]
            known = [sign * float(value) for value in values if value]
            assert known == sorted(known)
            assert values[len(known) :] == [""] * (len(values) - len(known))  # missing ones stay last


def test_filters_show_the_rows_that_fit_and_count_them(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/runs.html")
        everything = rows(page, "all-runs")
        arms = page.locator("#all-runs-table select[data-filter=arm]")
        parts = []
        for arm in arms.locator("option").all_inner_texts()[1:]:
            arms.select_option(arm)
            some = rows(page, "all-runs")
            assert page.locator("#all-runs-table .ma-rows").inner_text() == f"{len(some)} of {len(everything)} rows"
            parts += some
        assert sorted(parts) == sorted(everything)
        arms.select_option("")
        page.locator("#all-runs-table input[type=search]").fill("geometric weighted histology")
        assert [row[:2] for row in rows(page, "all-runs")] == [["Phantom histology", "Geometric (weighted)"]] * 2


def test_back_reload_and_a_sent_link_show_a_table_as_it_was_sorted_and_filtered(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/runs.html")
        page.locator("#all-runs-table select[data-filter=arm]").select_option("Geometric")
        page.locator("#all-runs-table input[type=search]").fill("breast")
        heading = page.locator("#all-runs-table thead tr:last-child th").nth(5).get_by_role("button")
        heading.press("Enter")
        heading.press("Enter")
        shown, link = rows(page, "all-runs"), page.url
        assert 0 < len(shown) < 48
        page.locator("#all-runs-table tbody tr:not([hidden]) a").first.click()
        page.wait_for_url("**/runs/*")
        page.go_back()
        for again in (None, page.reload, lambda: page.goto("about:blank")):
            if again:
                again()
            if page.url == "about:blank":
                page.goto(link)
            assert rows(page, "all-runs") == shown
            assert page.locator("#all-runs-table select[data-filter=arm]").input_value() == "Geometric"
            assert page.locator("#all-runs-table input[type=search]").input_value() == "breast"
            assert page.locator("#all-runs-table [aria-sort=descending]").count() == 1
        assert visitor.wrong == []


def picked(page, arm: str) -> tuple[int, int]:
    """Rows and marks of an arm that step back, and those that do not."""
    return tuple(page.locator(f"svg [data-arm='{arm}']{which}").count() for which in (".ma-back", ":not(.ma-back)"))


def test_arms_that_are_picked_out_stay_so_on_reload_on_other_pages_and_in_a_sent_link(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/significance.html")
        assert page.locator("svg .ma-back").count() == 0
        page.locator(".ma-arms summary").click()
        page.locator(".ma-arms input[value='gda.weighted']").check()
        page.locator(".ma-arms input[value='cvae.shuffle']").check()
        assert "arms=cvae.shuffle" in unquote(page.url) or "arms=gda.weighted" in unquote(page.url)
        link = page.url
        page.locator(".ma-nav a", has_text="Class by class").click()
        for name in ("class-by-class", "significance", "learning-curves"):
            page.goto(f"{site.as_uri()}/{STUDY}/{name}.html?{urlparse(link).query}")
            for arm, back in (("gda.weighted", False), ("cvae.shuffle", False), ("cgan.shuffle", True)):
                away, stays = picked(page, arm)
                assert (away > 0, stays > 0) == (back, not back), (name, arm)
            assert page.locator(".ma-arms input:checked").count() == 2
        page.go_back()
        page.go_back()
        assert urlparse(page.url).query == urlparse(link).query
        assert picked(page, "cgan.shuffle")[0] > 0
        rows_back = page.locator("table tr.ma-back").count()
        assert 0 < rows_back < page.locator("table tbody tr").count()
        assert visitor.wrong == []


def test_back_on_a_page_shows_what_its_address_says(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/runs.html")
        everything = rows(page, "all-runs")
        page.evaluate("location.hash = 'all-runs-table'")
        page.locator("#all-runs-table select[data-filter=arm]").select_option("Geometric")
        page.locator("#all-runs-table thead tr:last-child th").nth(5).get_by_role("button").press("Enter")
        assert rows(page, "all-runs") != everything
        page.go_back()
        assert urlparse(page.url).query == ""
        assert rows(page, "all-runs") == everything
        assert page.locator("#all-runs-table [aria-sort]").count() == 0
        page.go_forward()
        assert 0 < len(rows(page, "all-runs")) < len(everything)


def test_the_arm_that_others_are_compared_with_stands_in_the_address(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/compare.html")
        page.locator("[data-baseline]").select_option("gda.shuffle")
        page.goto(page.url)
        headings = page.locator("table.ma-each").first.locator("thead th:visible")
        assert headings.count() == 2
        assert headings.nth(1).get_attribute("data-arm") == "gda.shuffle"
        page.locator("[data-baseline]").select_option("")
        assert "baseline" not in page.url
        assert headings.count() > 2
        assert visitor.wrong == []


def drawn(page) -> dict[str, list[list[str]]]:
    """Arm → the differences on each data set that the first page draws on demand: in its grid, in its forest plots."""
    found = page.evaluate(
        """() => Object.fromEntries([...document.querySelectorAll('.ma-view tbody tr')].map(row => {
             const name = row.cells[0].dataset.name;
             const parts = [...document.querySelectorAll(`.ma-view svg [data-arm="${name}"]`)];
             const values = parts.map(g => g.querySelector('[font-weight="600"]')?.textContent ?? '–');
             return [name, [[...row.cells].slice(2).map(c => c.innerText), values]];
           }))"""
    )
    number = re.compile(r"[+−]?\d+\.\d|–")
    return {arm: [[number.search(text)[0] for text in texts] for texts in both] for arm, both in found.items()}


def kept_rows(site, name: str) -> list[dict]:
    return json.loads((site / STUDY / "data" / f"{name}.json").read_bytes())["rows"]


def test_another_metric_is_drawn_with_the_values_of_its_table_and_says_that_it_is_exploratory(browser, site):
    expected = {
        (row["dataset"]["name"], row["arm"]["name"]): points(row["effect"]["value"] / 100, 1)
        for row in kept_rows(site, "exploratory")
        if row["metric"]["value"] == "AUC" and row["effect"]["value"] is not None
    }
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/index.html")
        own = [page.locator("#verdicts-table"), page.locator("#differences")]
        assert all(one.is_visible() for one in own)
        chooser, caption = (page.locator(one).bounding_box() for one in (".ma-views", "#verdicts-table caption"))
        assert chooser["y"] + chooser["height"] <= caption["y"]
        page.locator("[name=metric]").select_option("auc")
        assert "metric=auc" in page.url
        for again in (None, page.reload):
            if again:
                again()
            assert not any(one.is_visible() for one in own)
            assert "Exploratory" in page.locator(".ma-view [role=status]").inner_text()
            found = drawn(page)
            assert len(found) == len({arm for _, arm in expected})
            assert [arm.split(".")[0] for arm in found].index("duplicate") == len(
                found
            ) - 2  # a control, after the others
            for arm, (cells, marks) in found.items():
                told = [expected.get((dataset, arm), "–") for dataset in ("breastmnist", "phantom-histology")]
                assert (cells, marks) == (told, told), arm
            assert page.locator(".ma-view [class*=ma-v-better], .ma-view [class*=ma-v-worse]").count() == 0
        page.locator("[name=metric]").select_option("")
        assert all(one.is_visible() for one in own)
        assert "metric" not in page.url
        assert visitor.wrong == []


def test_another_baseline_is_drawn_with_the_values_and_verdicts_of_compare_also_on_a_phone(browser, site):
    expected = {}
    for row in kept_rows(site, "pairs"):
        dataset, first, second = (row[key]["name"] for key in ("dataset", "first", "second"))
        effect = row["effect"]["value"]
        if effect is not None:
            expected[dataset, first, second] = points(effect / 100, 1)
            expected[dataset, second, first] = points(-effect / 100, 1)
    with Visitor(browser, site.as_uri(), "phone", "dark") as visitor:
        page = visitor.go(f"{STUDY}/index.html?baseline=gda.shuffle&arms=cvae.shuffle")
        assert page.evaluate("document.documentElement.scrollWidth") <= visitor.width
        found = drawn(page)
        assert "baseline.shuffle" in found
        assert "gda.shuffle" not in found
        for arm, (cells, marks) in found.items():
            told = [expected.get((d, arm, "gda.shuffle"), "–") for d in ("breastmnist", "phantom-histology")]
            assert (cells, marks) == (told, told), arm
        assert picked(page, "cvae.shuffle")[0] == 0
        assert picked(page, "baseline.shuffle")[0] > 0
        assert visitor.wrong == []
        assert barriers(page) == []


def test_back_shows_the_metric_and_the_baseline_of_the_address(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/index.html")
        page.evaluate("location.hash = 'differences'")
        page.locator("[name=metric]").select_option("macro_f1")
        page.locator("[name=baseline]").select_option("cvae.shuffle")
        said = page.locator(".ma-view caption").inner_text()
        assert "macro F1" in said
        page.locator(".ma-nav a", has_text="Arms").click()
        page.go_back()
        assert page.locator(".ma-view caption").inner_text() == said
        page.go_back()
        assert page.locator("#verdicts-table").is_visible()
        assert page.locator("[name=metric]").input_value() == ""
        page.goto(f"{site.as_uri()}/{STUDY}/index.html?metric=luck&baseline=nobody")
        assert page.locator("#verdicts-table").is_visible()
        assert visitor.wrong == []


def test_without_scripts_the_first_page_shows_the_primary_metric_and_nothing_to_choose(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.as_uri()}/{STUDY}/index.html")
    assert page.locator("#verdicts-table tbody tr").count() == 11
    assert page.locator("#differences svg").first.is_visible()
    assert not page.locator("[name=metric]").is_visible()
    context.close()


def test_an_address_with_values_that_no_table_has_shows_every_row(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(
            f"{STUDY}/runs.html?all-runs.arm=nobody&all-runs.sort=99&all-runs.text=&other.text=x&arms=nobody,&baseline=x"
        )
        assert len(rows(page, "all-runs")) == 48
        assert visitor.wrong == []


@pytest.mark.parametrize("name", ["runs", "results", "significance", "synthetic-images"])
def test_an_arm_is_found_by_the_name_that_the_study_gives_it(browser, site, name):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/{name}.html")
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        tables = page.evaluate(
            "[...document.querySelectorAll('.ma-table:has(select[data-filter=arm])')].map(t => t.dataset.name)"
        )
        assert tables
        for table in tables:
            box = page.locator(f"#{table}-table")
            labels = [o for o in box.locator("select[data-filter=arm] option").all_inner_texts() if "GAN" in o]
            by_label = []
            for label in labels:
                box.locator("select[data-filter=arm]").select_option(label)
                by_label += rows(page, table)
            box.locator("select[data-filter=arm]").select_option("")
            box.locator("input[type=search]").fill("cgan")
            assert sorted(rows(page, table)) == sorted(by_label), table


def test_search_knows_text_and_headings_but_no_cell_of_a_table(site):
    index = json.loads((site / "search" / "search_index.json").read_bytes())["docs"]
    ours = {doc["location"]: doc["text"] for doc in index if doc["location"].startswith(STUDY)}
    text = "".join(ours.values())
    assert "Filter" not in text
    assert "shuffled" not in ours[f"{STUDY}/runs.html"]
    assert f"{STUDY}/significance.html#tests" in ours


def test_the_csv_of_every_table_holds_what_the_table_shows(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        for address in addresses(site):
            if not address.startswith(f"{STUDY}/") or "/runs/" in address:
                continue
            page = visitor.go(address)
            for name in page.evaluate("[...document.querySelectorAll('.ma-table')].map(t => t.dataset.name)"):
                content = list(csv.DictReader((site / STUDY / "data" / f"{name}.csv").open(encoding="utf-8")))
                shown = rows(page, name)
                assert len(content) == len(shown), name
                for row, cells in zip(content, shown, strict=True):
                    numbers = [value for value in row.values() if value]
                    for cell in cells:
                        assert cell == "" or _is_in(cell, numbers), (name, cell, numbers)


def _is_in(cell: str, numbers: list[str]) -> bool:
    """Whether a cell's value is among a CSV row's, where percentages are in percent."""
    if cell in numbers:
        return True
    try:
        value = float(cell)
        return any(abs(float(n) - scale * value) < 1e-9 for n in numbers if _number(n) for scale in (1, 100))
    except ValueError:
        return "'" + cell in numbers


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def test_a_number_leads_to_its_runs(browser, site):
    with Visitor(browser, site.as_uri()) as visitor:
        page = visitor.go(f"{STUDY}/results.html")
        page.locator("#without-added-images-table tbody tr").first.locator("td a").first.click()
        assert page.url.endswith(f"{STUDY}/runs.html#breastmnist.baseline.shuffle")
        named = page.locator("tr.ma-named")
        named.first.wait_for()
        assert named.count() == 2
        named.nth(1).locator("a").first.click()
        assert page.url.endswith(f"{STUDY}/runs/breastmnist.baseline.shuffle.1.html")
        assert "BreastMNIST: No augmentation, replicate 1" in page.locator("h1").inner_text()
        assert "reproduce fake breastmnist/baseline/shuffle/1" in page.locator("pre").all_inner_texts()[0]


def test_tables_scroll_in_their_own_region_and_keep_the_first_column_in_view(browser, site):
    with Visitor(browser, site.as_uri(), "phone") as visitor:
        page = visitor.go(f"{STUDY}/results.html")
        region = page.locator("#without-added-images-table .ma-scroll")
        assert region.get_attribute("tabindex") == "0"
        region.evaluate("r => { r.scrollLeft = 200 }")
        left, start = page.evaluate(
            """() => { const r = document.querySelector('#without-added-images-table .ma-scroll');
               return [r.querySelector('tbody th').getBoundingClientRect().left, r.getBoundingClientRect().left] }"""
        )
        assert left == pytest.approx(start, abs=1)


def test_tables_are_whole_without_scripts(browser, site):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(f"{site.as_uri()}/{STUDY}/runs.html")
    assert page.locator("#all-runs-table tbody tr").count() == 48
    assert not page.locator(".ma-tools").first.is_visible()
    context.close()


@pytest.mark.parametrize("served", [False, True], ids=["from disk", "served"])
def test_search_finds_a_page(browser, site, served):
    handler = partial(http.server.SimpleHTTPRequestHandler, directory=str(site))
    handler.log_message = lambda *arguments: None
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        root = f"http://127.0.0.1:{server.server_port}" if served else site.as_uri()
        with Visitor(browser, root) as visitor:
            page = visitor.go("index.html")
            page.locator(".md-search__input").click()
            page.locator(".md-search__input").press_sequentially("conditional vae")
            result = page.locator(".md-search-result__link").first
            result.wait_for(timeout=10_000)
            assert "studies/fake" in (result.get_attribute("href") or "")
            assert visitor.wrong == []
    finally:
        server.shutdown()
        server.server_close()


@pytest.mark.parametrize(("size", "scheme"), matrix())
def test_axe_finds_no_serious_barrier(browser, site, size, scheme):
    kinds = (
        "index",
        "data-sets",
        "checks",
        "models",
        "results",
        "class-by-class",
        "learning-curves",
        "images",
        "significance",
        "compare",
        "cite",
        "checklist",
        "runs",
        "runs/breastmnist.baseline.shuffle.0",
    )
    found = {}
    with Visitor(browser, site.as_uri(), size, scheme) as visitor:
        for address in ["studies/index.html", *(f"{STUDY}/{kind}.html" for kind in kinds)]:
            page = visitor.go(address)
            result = barriers(page)
            if result:
                found[address] = result
    assert found == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_is_saved_as_a_png_in_light_colors_with_all_its_panels(browser, site, scheme):
    with Visitor(browser, site.as_uri(), "phone", scheme) as visitor:
        page = visitor.go(f"{STUDY}/learning-curves.html")
        figure = page.locator(".ma-fig", has=page.locator("svg + svg")).first
        with page.expect_download() as saved:
            figure.get_by_role("button", name="Save the figure as PNG").click()
        assert saved.value.suggested_filename == f"{figure.get_attribute('id')}.png"
        picture = Image.open(saved.value.path()).convert("RGB")
        boxes = figure.evaluate(
            "f => [...f.querySelectorAll('svg')].map(s => [s.viewBox.baseVal.width, s.viewBox.baseVal.height])"
        )
        assert picture.width == pytest.approx(3 * (2 * boxes[0][0] + 2 * 8 + 16), abs=3)
        assert picture.getpixel((1, 1)) == (255, 255, 255)
        pixels = np.asarray(picture, dtype=int)
        assert (pixels.min(axis=2) > 200).mean() > 0.7  # a light ground, and lines on it
        middle = picture.width // 2
        inked = pixels.min(axis=2) < 100
        assert inked[:, :middle].sum() > 500
        assert inked[:, middle:].sum() > 500
        assert visitor.wrong == []
