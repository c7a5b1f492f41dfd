"""An instructor writes a lesson in the browser: edit, see the fault, mend it, test it."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

from app.cli import main
from app.web.preview import create_preview
from tests.browser.accessibility import violations
from tests.browser.workbench import CHROMEBOOK


@pytest.fixture
def preview(tmp_path: Path) -> Iterator[str]:
    """The address of `vmlab preview` of a new lesson."""
    directory = tmp_path / "lessons" / "04-my-lesson"
    assert main(["new", "lesson", str(directory), "--title", "Mine"]) == 0
    server = make_server("127.0.0.1", 0, create_preview(directory), threaded=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.port}"
    server.shutdown()


def test_a_lesson_is_written_mended_and_proved(
    browser: Browser, preview: str, built_assets: None, axe_source: str, screenshots: Path
) -> None:
    page = browser.new_page(viewport=CHROMEBOOK)
    page.goto(f"{preview}/edit")
    expect(page.get_by_role("heading", name="Mine")).to_be_visible()
    page.get_by_role("tab", name="wrong/never-started.yaml").click()
    text = page.locator(".file:not([hidden]) .cm-content")
    expect(text).to_contain_text("caught_by")
    text.click()
    page.keyboard.press("Control+End")
    page.keyboard.insert_text("caught: nobody\n")
    fault = page.locator("#faults").get_by_role("button", name="unknown key 'caught'")
    expect(fault).to_be_visible()
    expect(page.locator("#shown")).to_contain_text("Nothing can be shown")
    page.screenshot(path=screenshots / "author-fault-1366x768.png")
    assert violations(page, axe_source) == []
    fault.click()
    page.keyboard.press("Control+z")
    expect(page.locator("#faults")).to_contain_text("Nothing: the lesson can be read")
    page.get_by_label("with answers and checks").check()
    expect(page.locator("#shown")).to_contain_text("What is checked?")
    page.get_by_label("students").fill("2")
    page.get_by_role("button", name="Test it for").click()
    expect(page.locator("#trial")).to_contain_text("1 of 1 lessons work", timeout=60_000)
    page.screenshot(path=screenshots / "author-1366x768.png")
    page.close()
