"""Pictures of every page, view and tool: empty, at work and after a fault, in every display.

On a laptop, a projector and a phone, in each theme and language. For people to look at: nothing is compared.
Needs Playwright (a development tool) and a Chromium.
"""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emulator.errors import VmLabError

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 300.0
PATIENCE_MS = 60_000
SETTLE_MS = 500
VIEWS = "#view-tabs [role=tab], #dock-tabs [role=tab]"
WORKING = "first-virtual-machine"
FAULTING = "the-wall"


class ScreenshotError(VmLabError):
    """Pictures cannot be taken; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Display:
    """How the page is shown: the size of the window, theme, language, and for whom."""

    name: str
    width: int
    height: int
    theme: Literal["light", "dark"] = "light"
    query: str = "lang=en"


DISPLAYS = (
    Display("1366x768", 1366, 768),
    Display("1366x768-dark", 1366, 768, theme="dark"),
    Display("1366x768-de", 1366, 768, query="lang=de"),
    Display("1920x1080-projector", 1920, 1080, query="lang=en&mode=projector"),
    Display("390x844", 390, 844),
    Display("390x844-de-dark", 390, 844, theme="dark", query="lang=de"),
)


def take_all(directory: Path, only: str = "") -> int:
    """Take the pictures of every display whose name begins with `only`; return how many there are now."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError as error:
        message = "screenshots: Playwright is not installed; expected the development tools (`make test`)"
        raise ScreenshotError(message) from error
    executable = next(filter(None, map(shutil.which, CHROMIUM)), None)
    if executable is None:
        raise ScreenshotError(f"screenshots: no Chromium on PATH; expected one of {', '.join(CHROMIUM)}")
    directory.mkdir(parents=True, exist_ok=True)
    with _served() as url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox", "--disable-gpu"]
        )
        for display in DISPLAYS:
            if display.name.startswith(only):
                _take(browser, url, display, directory)
        browser.close()
    return len(list(directory.glob("*.png")))


def _take(browser: Browser, url: str, display: Display, directory: Path) -> None:
    context = browser.new_context(
        base_url=url,
        viewport={"width": display.width, "height": display.height},
        color_scheme=display.theme,
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    story = _Story(page, directory, display)
    story.pages()
    story.empty()
    story.at_work()
    story.fault()
    story.report()
    context.close()


class _Story:
    """What a student does, with a picture of everything on the way."""

    def __init__(self, page: Page, directory: Path, display: Display) -> None:
        self.page = page
        self.directory = directory
        self.display = display

    def shot(self, name: str) -> None:
        self.page.wait_for_timeout(SETTLE_MS)
        self.page.screenshot(path=self.directory / f"{self.display.name}-{name}.png")

    def pages(self) -> None:
        self.page.goto(f"/?{self.display.query}")
        self.shot("course")
        self.page.locator(".page-menu > summary").click()
        self.shot("page-menu")
        self.page.goto("/no-such-page")
        self.shot("error")

    def open(self, lesson: str) -> None:
        self.page.goto(f"/lessons/{lesson}/")
        self.page.wait_for_selector('[data-connection="live"]')

    def empty(self) -> None:
        self.open(WORKING)
        self.shot("lesson")
        self.tools("empty")

    def at_work(self) -> None:
        for vm in ("a", "b"):
            self.page.click(f'.vm-card[data-vm="{vm}"] .verbs > button[value="start"]')
            self.page.wait_for_selector(f'.vm-card[data-vm="{vm}"]:not([data-state="shut off"])')
        self.run()
        self.tools("work")
        self.page.evaluate(
            "document.querySelectorAll('.twin, #config details').forEach(one => one.open = true)"
        )
        self.tools("tables")

    def run(self) -> None:
        self.page.select_option("#speed", "max")
        self.page.click("#run-toggle[value=run]")
        self.page.wait_for_selector("#run-toggle[value=pause]")
        self.page.wait_for_timeout(4 * SETTLE_MS)
        if self.page.locator("#run-toggle[value=pause]").count():
            self.page.click("#run-toggle[value=pause]")
        self.page.wait_for_selector("#run-toggle[value=run]")

    def tools(self, state: str) -> None:
        """Every view and every tool, one after the other, each where it begins."""
        for tab in [one.get_attribute("id") for one in self.page.locator(VIEWS).all()]:
            self.page.click(f"#{tab}")
            self.page.evaluate(f"document.getElementById('{tab}').scrollIntoView({{block: 'start'}})")
            self.shot(f"{state}-{str(tab).removeprefix('tab-')}")
        self.page.click("#tab-overview")

    def fault(self) -> None:
        self.open(FAULTING)
        for start in self.page.locator('.verbs > button[value="start"]:visible').all():
            start.click()
        self.run()
        self.page.evaluate("document.querySelector('.workbench').scrollTo(0, 0)")
        self.shot("fault-cards")
        self.page.click("#tab-exits")
        self.page.evaluate("document.getElementById('tab-exits').scrollIntoView({block: 'start'})")
        self.shot("fault-story")

    def report(self) -> None:
        self.page.click(".lesson-foot button")
        self.page.wait_for_selector("#results .results, #results .message")
        self.shot("results")
        pin = self.page.locator(".pin:visible").first
        if pin.count():
            pin.click()
        self.page.goto(f"/lessons/{FAULTING}/report")
        self.shot("report")


@contextmanager
def _served() -> Generator[str]:
    """Serve the lessons with an empty database, and yield the URL; raise ScreenshotError if that fails."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    url = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryDirectory() as data:
        options = ["--port", str(port), "--data", data, "--workers", "1"]
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve", *options], stdout=subprocess.DEVNULL, text=True
        )
        try:
            _wait(process, url)
            yield url
        finally:
            process.terminate()
            process.wait()


def _wait(process: subprocess.Popen[str], url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=5):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.2)
    raise ScreenshotError("screenshots: the server did not come up; try `vmlab serve`")
