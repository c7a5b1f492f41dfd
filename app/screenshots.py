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
from pathlib import Path
from typing import TYPE_CHECKING

from app.screenshot_story import PATIENCE_MS, Display, ScreenshotError, Story

if TYPE_CHECKING:
    from playwright.sync_api import Browser

CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
START_SECONDS = 300.0
DISPLAYS = (
    Display("1366x768", 1366, 768, whole=True),
    Display("1366x768-dark", 1366, 768, theme="dark"),
    Display("1366x768-de", 1366, 768, query="lang=de"),
    Display("1920x1080-projector", 1920, 1080, query="lang=en&mode=projector", whole=True),
    Display("390x844", 390, 844, whole=True),
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
    story = Story(context.new_page(), directory, display)
    story.pages()
    story.at_work()
    story.disks()
    story.fault()
    story.explained()
    story.report()
    context.close()


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
