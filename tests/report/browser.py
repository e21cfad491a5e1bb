"""A real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CHROMIUM = next((p for n in ("chromium", "chromium-browser", "google-chrome") if (p := shutil.which(n))), None)


@contextmanager
def chromium() -> Iterator[Any]:
    """The browser; skips the test where there is none."""
    if CHROMIUM is None:
        pytest.skip("no chromium on this machine: apt-get install chromium")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield browser
        finally:
            browser.close()


class Watched:
    """A page, and everything that it did which a page must not do."""

    def __init__(self, browser: Any, url: str, width: int = 1280, height: int = 900, scheme: str = "light") -> None:
        self.context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.wrong: list[str] = []
        self.page.on("console", lambda m: self.wrong.append(f"console: {m.text}"))
        self.page.on("pageerror", lambda e: self.wrong.append(f"error: {e}"))
        self.page.on("dialog", lambda d: (self.wrong.append(f"dialog: {d.message}"), d.dismiss()))
        self.page.on("request", lambda r: self._request(r.url))
        self.go(url)

    def _request(self, url: str) -> None:
        if not url.startswith(("file:", "data:")):
            self.wrong.append(f"request: {url}")

    def go(self, url: str) -> None:
        """Load it, as if the link had been given to somebody."""
        self.page.goto("about:blank")
        self.page.goto(url)
        self.page.wait_for_selector("html[data-ready]")


KEYS = ["+", "+", "ArrowRight", "+", "-", "w", "+", "+", "-", "ArrowDown", "+", "+", "-", "w", "0"]
"""What a reader of a timeline presses."""


def opened_first(page: Any) -> None:
    """The first timeline of the page, drawn."""
    page.evaluate("document.querySelectorAll('details').forEach(d => d.open = !!d.querySelector('.timeline'))")
    page.locator(".timeline canvas").first.wait_for()


def frame(page: Any) -> None:
    """Until what was asked for is drawn."""
    page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")


def expect(place: Any) -> Any:
    """Playwright's assertions, which wait."""
    from playwright.sync_api import expect as assertions

    return assertions(place)
