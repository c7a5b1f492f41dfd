"""Pictures of every page, view and tool: empty, at work and after a fault, in every display.

On a laptop, a projector and a phone, in each theme and language. For people to look at: nothing is compared.
Needs Playwright (a development tool) and a Chromium.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Generator, Iterable
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
SETTLE_MS = 250
TRIES = 12
TABS = "#view-tabs [role=tab], #dock-tabs [role=tab]"
WORKING = "first-virtual-machine"
FAULTING = "the-wall"
# What VM b tries: an address behind its memory, by a page table of its own.
FAULT = (("TARGET, 0x80002000", "TARGET, 0x80100000"), ("OWN_PAGE_TABLE, 0", "OWN_PAGE_TABLE, 1"))
SECRET = "0x80002000"


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
    whole: bool = False  # also with nothing started, and with all tables open


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
    story = _Story(context.new_page(), directory, display)
    story.pages()
    story.at_work()
    story.fault()
    story.explained()
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

    def at_work(self) -> None:
        """Two VMs that take turns: each view and each tool, before and after, and their tables."""
        self.open(WORKING)
        self.shot("lesson")
        self.views("empty")
        for vm in ("a", "b"):
            self.start(vm)
        self.run("20 ms")
        self.views("work")
        self.unfold("#panel-config details, .twin")
        self.views("tables")

    def fault(self) -> None:
        """VM b reaches for memory that is not its own, by a page table of its own: a walk of two stages."""
        self.open(FAULTING)
        self.start("a")
        self.run("2 ms")
        self.rewrite("b", FAULT)
        self.run("5 ms")
        self.top()
        self.shot("fault-cards")
        self.page.click('.vm-card[data-vm="b"] [data-why]')
        self.page.wait_for_selector("#fault .fault .walk-rows")
        self.page.locator("#fault").scroll_into_view_if_needed()
        self.shot("fault-story")
        self.page.locator("#fault .walk-view").first.scroll_into_view_if_needed()
        self.shot("fault-walk")

    def explained(self) -> None:
        """An event's causes, a byte with its walk, and a vCPU that stops at a breakpoint."""
        self.tab("time")
        self.page.click("#time-all")
        self.page.focus("#timeline")
        self.page.keyboard.press("End")
        why = self.page.locator("#time-details .acts button", has_text=re.compile("Why|Warum"))
        for _ in range(TRIES):
            if why.count():
                break
            self.page.keyboard.press("p")
            self.page.wait_for_timeout(SETTLE_MS)
        why.click()
        self.page.wait_for_selector("#time-details .why li")
        self.top("#tab-time")
        self.shot("time-why")
        self.tab("ram")
        self.page.select_option("#byte-vm", "a")
        self.page.fill("#byte-address", SECRET)
        self.page.click("#byte-form button[type=submit]")
        self.page.wait_for_selector("#byte-where .ref")
        self.top("#byte")
        self.shot("byte")
        self.page.locator("#byte-where").scroll_into_view_if_needed()
        self.shot("byte-walk")
        self.breakpoint()

    def breakpoint(self) -> None:
        """VM b starts once more, and stops a few instructions later."""
        self.start("b")
        self.tab("cpu")
        self.page.select_option("#cpu-vm", "b")
        line = self.page.locator("#code-lines tr").nth(3).locator("button").first
        line.click()
        self.page.wait_for_selector("#stops li")
        self.run("1 ms")
        self.page.wait_for_selector("#code-lines tr[aria-current]")
        self.top("#tab-cpu")
        self.shot("breakpoint")
        self.page.locator("#stops").scroll_into_view_if_needed()
        self.shot("breakpoint-stops")

    def report(self) -> None:
        self.page.locator(".lesson-foot form button").click()
        self.page.wait_for_selector("#results .results")
        self.shot("results")
        self.tab("overview")
        for pin in self.page.locator(".pin:visible").all():  # a projector shows none
            pin.click()
        self.page.goto(f"/lessons/{FAULTING}/report")
        self.shot("report")
        self.page.locator("#report-figures").scroll_into_view_if_needed()
        self.shot("report-figures")

    # What a student does; by id and value, since the words are those of a language

    def open(self, lesson: str) -> None:
        self.page.goto(f"/lessons/{lesson}/")
        self.page.wait_for_selector('[data-connection="live"]')

    def start(self, vm: str) -> None:
        self.page.click(f'.vm-card[data-vm="{vm}"] .verbs > button[value="start"]')
        self.page.wait_for_selector(
            f'.vm-card[data-vm="{vm}"]:is([data-state="running"], [data-state="idle"])'
        )

    def run(self, duration: str) -> None:
        """Let a virtual time pass, or less if a stop is met."""
        lab = self.page.locator("[data-lab]").get_attribute("data-lab")
        if not self.page.locator(".run-for[open]").count():
            self.page.click(".run-for > summary")
        self.page.fill("#run-duration", duration)
        with self.page.expect_response(re.compile("/control$")):
            self.page.click(".run-for button[value=run_for]")
        end = time.monotonic() + PATIENCE_MS / 1000
        headers = {"Accept": "application/json"}
        while self.page.request.get(f"{lab}/state", headers=headers).json()["run"]["mode"] != "paused":
            if time.monotonic() > end:
                raise ScreenshotError(f"screenshots: {duration} of virtual time did not pass")
            self.page.wait_for_timeout(50)
        if self.page.locator(".run-for[open]").count():
            self.page.click(".run-for > summary")

    def rewrite(self, vm: str, changes: Iterable[tuple[str, str]]) -> None:
        """Change a program in the editor, assemble it and start it."""
        self.tab("program")
        self.page.select_option("#program-vm", vm)
        self.page.wait_for_selector(".cm-content")
        self.page.wait_for_selector("#program-form button[type=submit]:enabled")
        self.page.wait_for_timeout(SETTLE_MS)
        source = self.page.locator("#program-source").input_value()
        for old, new in changes:
            source = source.replace(old, new)
        self.page.click(".cm-content")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        self.page.click("#program-form button[type=submit]")
        self.page.wait_for_selector(f'.vm-card[data-vm="{vm}"][data-state="running"]')

    def tab(self, name: str) -> None:
        self.page.click(f"#tab-{name}")

    def views(self, state: str) -> None:
        """Every view and every tool, one after the other, each where it begins."""
        if state != "work" and not self.display.whole:
            return
        for tab in self.page.locator(TABS).evaluate_all("tabs => tabs.map(tab => tab.id)"):
            self.page.click(f"#{tab}")
            self.top(f"#{tab}")
            self.shot(f"{state}-{tab.removeprefix('tab-')}")
        self.tab("overview")

    def unfold(self, what: str) -> None:
        self.page.locator(what).evaluate_all("all => all.forEach(one => { one.open = true; })")

    def top(self, selector: str = "#host-bar") -> None:
        self.page.locator(selector).evaluate("one => one.scrollIntoView({block: 'start'})")


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
