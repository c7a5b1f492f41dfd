"""A whole lesson with the keyboard alone; another in German, where what is typed survives a reload."""

from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Complaints
from tests.browser.keyboard import KeyboardStudent, tab_to
from tests.browser.workbench import until

LESSON = "/lessons/first-virtual-machine/?lang=de"


def test_a_whole_lesson_with_the_keyboard_alone(page: Page, project: Path) -> None:
    student = KeyboardStudent(page, project / "lessons/02-the-wall")
    assert student.lesson.solution is not None
    student.follow(student.lesson.solution)
    results = student.check()
    assert results == dict.fromkeys(results, True)
    assert len(results) == 6


def test_what_is_typed_survives_a_reload_in_german(
    context: BrowserContext, page: Page, axe_source: str
) -> None:
    page.goto("/")
    page.keyboard.press("Tab")
    expect(page.locator(".skip").first).to_be_focused()
    page.goto(LESSON)
    expect(page.locator("html")).to_have_attribute("lang", "de")
    expect(page.locator('[data-connection="live"]')).to_be_visible()

    # Predict first: a number, typed and sent.
    tab_to(page, name="value", question="question-frames-of-a")
    page.keyboard.type("256")
    page.reload()
    expect(page.locator(".restored")).to_contain_text("Dein Text ist wieder da")
    expect(page.locator("#question-frames-of-a input[name=value]")).to_have_value("256")
    page.locator("#question-frames-of-a input[name=value]").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#verdict-frames-of-a")).to_contain_text("Richtig")

    # To the workbench by its skip link; start VM a, let time pass, stop it.
    page.locator("a.skip").nth(1).focus()
    page.keyboard.press("Enter")
    tab_to(page, value="start", vm="a")
    page.keyboard.press("Enter")
    expect(page.locator('.vm-card[data-vm="a"]:not([data-state="shut off"])')).to_be_visible()
    tab_to(page, id="run-toggle", key="Shift+Tab")
    page.keyboard.press("Enter")
    expect(page.locator('.vm-card[data-vm="a"][data-state="shut off"]')).to_be_visible()
    page.locator("#run-toggle").focus()
    if page.locator("#run-toggle[value=pause]").count():
        page.keyboard.press("Enter")

    # Arrow keys go over the tabs of the views and of the tools.
    tab_to(page, id="tab-overview")
    for _ in range(page.locator("#view-tabs [role=tab]").count() - 1):
        page.keyboard.press("ArrowRight")
    expect(page.locator("#tab-exits")).to_be_focused()
    expect(page.locator("#exits-table")).to_contain_text("sbi")

    # What is typed into the program comes back after a reload, and can be discarded.
    page.locator("#tab-consoles").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".cm-content")).to_be_visible()
    expect(page.locator("#program-form button[type=submit]")).to_be_enabled()
    page.locator(".cm-content").focus()
    page.keyboard.type("# mine ")
    page.reload()
    page.locator("#tab-program").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#program-done")).to_contain_text("wieder da")
    until(page, lambda: "# mine" in page.locator("#program-source").input_value(), "the text is back")
    page.locator("#program-revert").focus()
    page.keyboard.press("Enter")
    until(page, lambda: "# mine" not in page.locator("#program-source").input_value(), "it is discarded")

    # Ask what was reached, and read it in the report, on paper and in a second tab.
    page.locator(".lesson-foot form button").focus()
    page.keyboard.press("Enter")
    expect(page.locator("#results .results")).to_be_visible()
    assert violations(page, axe_source) == []
    tab = context.new_page()
    complaints = Complaints()
    complaints.watch(tab)
    tab.goto("/lessons/first-virtual-machine/report?mode=projector")
    expect(tab.locator("main")).to_contain_text("256")
    expect(tab.locator("html")).to_have_attribute("data-mode", "projector")
    assert violations(tab, axe_source) == []
    assert complaints == []
