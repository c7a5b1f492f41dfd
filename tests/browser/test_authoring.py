"""An instructor writes a lesson in the browser: edit, see the fault, mend it, test it."""

import re
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect
from werkzeug.serving import make_server

from app.cli import main
from app.lessons.lint import lint_lesson
from app.web.preview import create_preview
from tests.browser.accessibility import violations
from tests.browser.workbench import CHROMEBOOK

ATTACKS = (
    "<script>window.ran = 1</script>",
    "<img src=x onerror='window.ran = 2'>",
    '"><svg onload=window.ran=3>',
    "</textarea></script><script>window.ran=4</script>",
)


@pytest.fixture
def preview(tmp_path: Path) -> Iterator[str]:
    """The address of `vmlab preview` of a new lesson."""
    yield from served(new_lesson(tmp_path))


def new_lesson(folder: Path) -> Path:
    directory = folder / "lessons" / "04-my-lesson"
    assert main(["new", "lesson", str(directory), "--title", "Mine"]) == 0
    return directory


def served(directory: Path) -> Iterator[str]:
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


def test_nothing_that_a_lesson_holds_runs_in_the_browser(
    browser: Browser, tmp_path: Path, built_assets: None
) -> None:
    directory = new_lesson(tmp_path)
    text = (directory / "lesson.md").read_text()
    attack = " ".join(ATTACKS)
    quoted = "'" + attack.replace("'", "''") + "'"
    for key in ("title", "summary", "why", "help", "explanation", "question", "caption", "alt", "say", "one"):
        text = re.sub(rf"(?m)^(\s*(?:- )?{key}): (?!WHOLE).*$", lambda found: f"{found[1]}: {quoted}", text)
    text = text.replace("  - Count the exits that a print costs.", f"  - {quoted}")
    text = re.sub(r"say: [^}]*}", lambda _: f"say: {quoted}}}", text)
    text += f"\n{attack}\n\n## {attack}\n\n[a](javascript:window.ran=5) {attack}\n"
    text += f"\n```notes {attack}\n{attack}\n```\n"
    (directory / "lesson.md").write_text(text)
    program = directory / "guest" / "hello.s"
    program.write_text("print:  # " + attack + "\n" + program.read_text().replace("print:", "again:", 1))
    assert lint_lesson(directory) == []
    # Without the pages' security policy: what they hold must be harmless by itself.
    context = browser.new_context(viewport=CHROMEBOOK, bypass_csp=True)
    page = context.new_page()
    for url in served(directory):
        page.goto(f"{url}/?view=instructor")
        expect(page.get_by_role("heading", level=1)).to_contain_text("<script>window.ran = 1</script>")
        assert page.evaluate("window.ran") is None
        page.goto(f"{url}/edit")
        page.get_by_label("with answers and checks").check()
        expect(page.locator("#shown")).to_contain_text("What is checked?")
        (directory / "lesson.md").write_text(text.replace("id: cheap", f"id: {quoted}"))
        page.goto(f"{url}/edit")
        expect(page.locator("#faults")).to_contain_text("checks.1.id")
        assert page.evaluate("window.ran") is None
        page.goto(f"{url}/?seed=<script>window.ran=6</script>&view=<script>window.ran=7</script>")
        expect(page.locator("main")).to_contain_text("checks.1.id")
        assert page.evaluate("window.ran") is None
    context.close()
