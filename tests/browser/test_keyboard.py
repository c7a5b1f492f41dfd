"""A whole lesson with the keyboard alone, in German; what is typed survives a reload."""

from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Complaints
from tests.browser.keyboard import KeyboardStudent, tab_to
from tests.browser.workbench import until

LESSON = "/lessons/first-virtual-machine/?lang=de"


def test_a_whole_lesson_in_german_with_the_keyboard_alone(page: Page, project: Path) -> None:
    page.goto("/?lang=de")
    student = KeyboardStudent(page, project / "lessons/01-first-virtual-machine")
    expect(page.locator("html")).to_have_attribute("lang", "de")
    assert student.lesson.solution is not None
    student.follow(student.lesson.solution)
    student.type_line("c", "are you awake?")
    results = student.check()
    assert results == dict.fromkeys(results, True)
    assert len(results) == len(student.lesson.checks)


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
    tab.goto("/lessons/first-virtual-machine/?mode=projector")
    tab.locator("#tab-overview").focus()
    tab.keyboard.press("Enter")
    tab.locator("#panel-overview .pin").first.focus()
    tab.keyboard.press("Enter")
    expect(tab.locator("#announcer")).to_contain_text("Bericht")  # a projector's pictures can be pinned, too
    tab.goto("/lessons/first-virtual-machine/report?mode=projector")
    expect(tab.locator("#report-pictures figure")).to_have_count(1)
    expect(tab.locator("main")).to_contain_text("256")
    expect(tab.locator("html")).to_have_attribute("data-mode", "projector")
    assert violations(tab, axe_source) == []
    assert complaints == []
