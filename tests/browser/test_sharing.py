"""One student shares an instant by keyboard; another opens the link and sees the same run, in a copy."""

from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import Complaints
from tests.browser.serving import Server
from tests.browser.workbench import CHROMEBOOK, Workbench, until

LESSON = "first-virtual-machine"


def test_an_instant_is_shared_by_keyboard_and_opened_by_another_student(
    page: Page, browser: Browser, server: Server, axe_source: str
) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    bench = Workbench(page, LESSON)
    names = page.locator(".vm-card").evaluate_all("cards => cards.map(card => card.dataset.vm)")
    bench.press(names[0], "Run")
    bench.run_for(3)
    printed, position = bench.console(names[0]), bench.position()

    menu = page.locator("#link-menu > summary")
    menu.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Link for me")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Link for others")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#announcer")).to_contain_text("Copied. It leads to")
    link = page.get_by_label("Address to give away").input_value()
    assert page.evaluate("navigator.clipboard.readText()") == link
    assert link.startswith(f"{server.url}/shared/")
    assert violations(page, axe_source) == []
    page.keyboard.press("Escape")
    expect(menu).to_be_focused()

    context = browser.new_context(base_url=server.url, viewport=CHROMEBOOK, reduced_motion="reduce")
    other = context.new_page()
    complaints = Complaints()
    complaints.watch(other)
    copy = Workbench(other, LESSON, link)
    expect(other.get_by_role("heading", name="A copy of a shared run, at")).to_be_visible()
    until(other, lambda: copy.position() == position, "the instant that was shared")
    assert violations(other, axe_source) == []
    assert copy.console(names[0]) == printed
    for missing in ("#engine-bar", "#did-it-work", ".predict", "#tab-policy"):
        expect(other.locator(missing)).to_have_count(0)

    # What the other student does there stays there, and is taken back by beginning again.
    assert copy.state(names[1]) == "shut off"
    copy.press(names[1], "Run")
    copy.wait_state(names[1], "running")
    assert bench.state(names[1]) == "shut off"
    other.locator("#shared-run").get_by_role("button", name="Begin the copy again").click()
    copy.wait_state(names[1], "shut off")
    until(other, lambda: copy.position() == position, "the copy as it was")
    other.get_by_role("link", name="My own lab of this lesson").click()
    expect(other.get_by_role("button", name="Check my work")).to_be_visible()
    assert complaints == []
    context.close()
