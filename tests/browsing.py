"""The browser of the tests, and a visitor who notes what must not happen."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
SIZES = {"desktop": {"width": 1280, "height": 850}, "phone": {"width": 390, "height": 844}}
AXE = Path(__file__).parent / "vendor" / "axe-core" / "axe.min.js"


@contextmanager
def chromium() -> Iterator[Any]:
    """A browser; the test is skipped where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="the browser tests need the package playwright")
    if not Path(CHROMIUM).exists():
        pytest.skip("no chromium on this machine (Debian: apt install chromium)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        browser.close()


class Visitor:
    """A page of the browser that notes what must not happen."""

    def __init__(self, browser, root: str, size: str = "desktop", scheme: str = "light") -> None:
        self.context = browser.new_context(viewport=SIZES[size], color_scheme=scheme)
        self.page = self.context.new_page()
        self.root, self.width, self.wrong = root, SIZES[size]["width"], []
        self.page.on("console", lambda m: self.wrong.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.wrong.append("a dialog"), dialog.dismiss()))
        self.page.on("requestfailed", self._failed)
        self.page.on("request", self._request)

    def _request(self, request) -> None:
        if not request.url.startswith((self.root, "data:", "blob:", "about:")):
            self.wrong.append(f"elsewhere: {request.url}")

    def _failed(self, request) -> None:
        if request.failure != "net::ERR_ABORTED":  # the page was left before its icon was there
            self.wrong.append(f"failed: {request.url}")

    def go(self, address: str):
        self.page.goto(f"{self.root}/{address}")
        return self.page

    def __enter__(self) -> "Visitor":
        return self

    def __exit__(self, *error) -> None:
        self.context.close()


def barriers(page) -> list:
    """What axe finds on the page's main part that keeps people out: serious or worse, with the first elements.

    Of the rows of a table that look alike (the same elements, attributes, classes, styles and verdicts, text or none),
    which are half of all that a page shows, two are looked at.
    """
    page.evaluate(AXE.read_text("utf-8"))
    return page.evaluate(
        """async () => {
          const alike = [];
          for (const body of document.querySelectorAll('main tbody')) {
            const seen = {};
            for (const row of body.rows) {
              const look = [row, ...row.querySelectorAll('*')].map(e => [
                e.tagName, e.getAttributeNames(), !e.textContent.trim(),
                ...['class', 'style', 'data-verdict', 'data-status'].map(name => e.getAttribute(name)),
              ]).join();
              seen[look] = (seen[look] || 0) + 1;
              if (seen[look] > 2) alike.push(row);
            }
          }
          for (const row of alike) row.style.display = 'none';
          const found = (await axe.run({include: [['main']]}, {resultTypes: ['violations']})).violations;
          for (const row of alike) row.style.display = '';
          return found.filter(v => ['serious', 'critical'].includes(v.impact))
            .map(v => [v.id, v.nodes.slice(0, 3).map(n => n.html.slice(0, 200))]);
        }"""
    )
