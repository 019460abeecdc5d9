"""A headless Chromium that looks at Dagster's pages and keeps pictures of them under data/local/screenshots.

Belongs here: finding the browser, opening a page and waiting for its words. What a page has to show is its tests'.
"""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

NAMES = ("chromium", "chromium-browser", "google-chrome")
NEEDED = "CRM_PIPELINE_TESTS_NEED_BROWSER"
"""The variable that turns a missing browser from a skip into a failure."""
ARGUMENTS = (
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
PICTURES = Path(__file__).parents[1] / "data" / "local" / "screenshots"
SHOWN = "words => words.every(word => document.body.innerText.includes(word))"
MILLISECONDS = 30_000.0


@dataclass(frozen=True)
class Browser:
    """One tab of it, on one server."""

    page: Page
    port: int

    def open(self, path: str) -> Page:
        """Go to a page of the server."""
        self.page.goto(f"http://127.0.0.1:{self.port}{path}")
        return self.page

    def see(self, picture: str, *words: str) -> None:
        """Wait until the page shows all these words, and keep a picture of it."""
        self.page.wait_for_function(SHOWN, arg=list(words))
        self.page.wait_for_timeout(500)  # until what slides in has come to rest
        self.page.screenshot(path=PICTURES / f"{picture}.png")


def installed() -> str:
    """The browser's program; where there is none the test is skipped, or fails if one is needed."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        (pytest.fail if os.environ.get(NEEDED) else pytest.skip)(f"none of {', '.join(NAMES)} is installed")
    return found


@contextmanager
def browser(program: str, port: int) -> Iterator[Browser]:
    """A browser on this server."""
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        page = chromium.new_page(viewport={"width": 1600, "height": 1000})
        page.set_default_timeout(MILLISECONDS)
        yield Browser(page, port)
        chromium.close()
