"""The report as one file to send: whole, alone, and never in place of somebody's own."""

import json
import re
import shutil
from pathlib import Path

import pytest
from browsing import Visitor, barriers

from medaug_keras import report
from medaug_keras.ownership import NOTE, NotOursError
from medaug_keras.report.site import single
from studies import cli_here, tiny, written

ROWS = """e => [...e.querySelectorAll("table.ma tbody tr")].map(
  r => [...r.cells].map(c => c.textContent.trim()).join(" | "))"""


@pytest.fixture(scope="module")
def attachment(site, tmp_path_factory) -> Path:
    """The file of the site's study, alone in a folder."""
    file = tmp_path_factory.mktemp("mail") / "fake.html"
    report.single_file(site.parent / "docs", "fake", file)
    return file


@pytest.mark.parametrize(("size", "scheme"), [("desktop", "dark"), ("phone", "light")])
def test_it_opens_alone_without_a_request_or_an_error_and_fits_the_screen(browser, attachment, size, scheme):
    with Visitor(browser, attachment.as_uri(), size, scheme) as visitor:
        requests: list[str] = []
        visitor.page.on("request", lambda request: requests.append(request.url))
        visitor.page.goto(attachment.as_uri())
        assert [url for url in requests if not url.startswith("data:image/png")] == [attachment.as_uri()]
        assert visitor.page.evaluate("document.documentElement.scrollWidth") <= visitor.width
        images = visitor.page.evaluate("[...document.images].map(i => Boolean(i.alt && i.complete && i.naturalWidth))")
        assert images
        assert all(images)
        background = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (background != "rgb(255, 255, 255)") == (scheme == "dark")
        # Rows of a table look alike, and axe takes a minute for thousands.
        visitor.page.evaluate("document.querySelectorAll('tbody tr:nth-child(n+3)').forEach(row => row.remove())")
        assert barriers(visitor.page) == []
        assert visitor.wrong == []


def test_every_link_leads_to_a_place_in_it_that_is_there_once(browser, attachment):
    with Visitor(browser, attachment.as_uri()) as visitor:
        visitor.page.goto(attachment.as_uri())
        ids = visitor.page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
        links = visitor.page.evaluate("[...document.querySelectorAll('[href]')].map(a => a.getAttribute('href'))")
    assert len(ids) == len(set(ids))
    inside = [link for link in links if not link.startswith("https://")]
    assert len(inside) > 50
    assert [link for link in inside if link[0] != "#" or link[1:] not in ids] == []


def test_it_has_every_row_and_figure_of_every_page_but_those_of_single_runs(browser, site, attachment):
    pages = [p for p in sorted((site / "studies" / "fake").rglob("*.html")) if "runs" not in p.parts]
    assert len(pages) > 10
    with Visitor(browser, attachment.parent.as_uri()) as visitor, Visitor(browser, site.as_uri()) as other:
        whole = visitor.go(attachment.name)
        for path in pages:
            name = path.relative_to(site / "studies" / "fake").with_suffix("").as_posix()
            section = whole.locator(f"section[id='{name}']")
            page = other.go(path.relative_to(site).as_posix()).locator("article")
            assert section.evaluate(ROWS) == page.evaluate(ROWS), name
            for what in ("figure", "h2", ".ma-figure svg"):
                there = section.locator(what.replace("h2", "h3")).count()
                assert there == page.locator(what).count(), (name, what)


def test_the_same_pages_give_the_same_bytes_and_no_script(site, attachment, tmp_path: Path):
    again = tmp_path / "again.htm"
    report.single_file(site.parent / "docs", "fake", again)
    assert again.read_bytes() == attachment.read_bytes()
    text = attachment.read_text("utf-8")
    assert "default-src 'none'" in text
    assert not re.search(r"<script|<link|<iframe|javascript:|\son[a-z]+=|url\((?!data:)", text)
    assert str(site.parent) not in text


def test_notes_that_lie_among_the_pages_are_not_in_it(site, tmp_path: Path):
    shutil.copytree(site.parent / "docs", tmp_path / "docs")
    (tmp_path / "docs" / "studies" / "fake" / "private.md").write_text("# Zsmith\n")
    report.single_file(tmp_path / "docs", "fake", tmp_path / "fake.html")
    assert "Zsmith" not in (tmp_path / "fake.html").read_text("utf-8")


def test_a_page_of_the_users_own_in_place_of_ours_is_not_in_it(site, tmp_path: Path):
    shutil.copytree(site.parent / "docs", tmp_path / "docs")
    path = tmp_path / "docs" / "studies" / "fake" / NOTE
    content = json.loads(path.read_bytes())
    del content["files"]["cite.md"]
    path.write_text(json.dumps(content))
    report.single_file(tmp_path / "docs", "fake", tmp_path / "fake.html")
    found = re.findall(r'<section[^>]* id="([a-z-]+)"', (tmp_path / "fake.html").read_text("utf-8"))
    assert "index" in found
    assert "cite" not in found


@pytest.mark.parametrize(
    ("name", "given", "expected"),
    [
        ("checks", '<h2 id="a">T</h2>', '<h3 id="checks.a">T</h3>'),
        ("checks", "<h1>T</h1><h6>t</h6>", "<h2>T</h2><h6>t</h6>"),
        ("index", "<h1>T</h1>", "<h1>T</h1>"),
        ("checks", '<div class="ma-nav">x<br><img src="y.png"><b>z</b></div>kept', "kept"),
        ("checks", '<img src="a%20b.png">', '<img src="data:image/png;base64,UE5H">'),
        ("checks", '<a href="https://e.org/?a=1&amp;b=2">x</a>', '<a href="https://e.org/?a=1&amp;b=2">x</a>'),
        ("checks", '<a href="runs/one.html">x</a>', "<span>x</span>"),
        ("checks", '<a href="index.html#t">x</a>', '<a href="#index.t">x</a>'),
        ("checks", '<a href="index.html">x</a>', '<a href="#index">x</a>'),
        ("checks", '<a href="#t">x</a>', '<a href="#checks.t">x</a>'),
    ],
)
def test_of_a_page_headings_are_one_lower_anchors_its_own_and_images_inside(name, given, expected, tmp_path: Path):
    (tmp_path / "a b.png").write_bytes(b"PNG")
    page = single._Page(tmp_path, name, ("index", "checks"))
    page.feed(given)
    page.close()
    assert "".join(page.out) == expected


def test_the_command_writes_it_over_its_own_and_over_nothing_else(tmp_path: Path):
    study = written(tmp_path, tiny())
    first = cli_here("report", study.name, "--no-site", "--single-file", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert re.search(r"^To send: tiny\.html \(\d+\.\d kB, all pages but those of single runs\)$", first.stdout, re.M)
    assert "tiny.html" in first.stdout.splitlines()[-1]
    report.check_single_file(tmp_path / "tiny.html", {})
    (tmp_path / "mine.html").write_text("<p>mine</p>")
    refused = cli_here("report", study.name, "--no-site", "--single-file", "mine.html", cwd=tmp_path)
    assert refused.returncode == 2
    assert "mine.html was not made by this program" in refused.stderr
    assert (tmp_path / "mine.html").read_text() == "<p>mine</p>"
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("docs/report.html", "lies in --docs"),
        ("site/studies/report.html", "lies in --site"),
        ("report.pdf", "expected the name of an HTML file"),
        ("folder.html", "is a folder"),
        ("nowhere/report.html", "there is no folder"),
        ("leads-nowhere.html", "was not made by this program"),
    ],
)
def test_a_place_that_cannot_be_is_refused_before_anything_is_written(tmp_path: Path, place, message):
    for folder in ("docs", "site/studies", "folder.html"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "leads-nowhere.html").symlink_to(tmp_path / "gone.html")
    folders = {f"--{name}": tmp_path / name for name in ("docs", "site")}
    with pytest.raises(NotOursError, match=message):
        report.check_single_file(tmp_path / place, folders)
