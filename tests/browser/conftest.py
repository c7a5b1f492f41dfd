"""A real server, a real Chromium: the fixtures of the browser tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.serving import Server
from tests.browser.workbench import CHROMEBOOK
from tests.conftest import lack

# The machine may be busy; nothing here waits longer than it must.
PATIENCE_MS = 30_000
SCREENSHOTS = Path(__file__).with_name("screenshots")


@pytest.fixture(scope="session")
def built_assets(project: Path, chromium_path: str) -> None:
    """Skip without static/dist; asks for Chromium first, because without one no server needs to start."""
    del chromium_path
    if not (project / "static/dist/main.js").is_file():
        lack("static/dist is not built; run `make assets`")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, built_assets: None) -> Iterator[Server]:
    """The server with the lessons of the project and an empty database."""
    running = Server(tmp_path_factory.mktemp("data"))
    try:
        running.wait()
        yield running
    finally:
        running.stop()


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> Iterator[Browser]:
    """One Chromium with a profile of its own."""
    arguments = ["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
    expect.set_options(timeout=PATIENCE_MS)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=chromium_path, args=arguments)
        yield chromium
        chromium.close()


class Complaints(list[str]):
    """What a page complained about in its console: scripts that failed, what the security policy refused."""

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.append(str(error)))
        page.on("console", lambda message: self._take(message.type, message.text))

    def _take(self, kind: str, text: str) -> None:
        # A refused action is an answer with status 4xx, which Chromium also logs.
        if (
            kind == "error"
            and "the server responded with a status of 4" not in text
            and "ERR_INTERNET" not in text
        ):
            self.append(text)


@pytest.fixture
def context(browser: Browser, server: Server) -> Iterator[BrowserContext]:
    """A new student on a Chromebook: no cookies, a window of 1366 x 768."""
    student = browser.new_context(base_url=server.url, viewport=CHROMEBOOK, reduced_motion="reduce")
    student.set_default_timeout(PATIENCE_MS)
    yield student
    student.close()


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A tab of that student; at the end it must not have complained about anything."""
    tab = context.new_page()
    complaints = Complaints()
    complaints.watch(tab)
    yield tab
    assert complaints == []


@pytest.fixture(scope="session")
def screenshots() -> Path:
    """The directory for pictures to be looked at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    return SCREENSHOTS
