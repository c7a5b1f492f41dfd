"""The host console in the page: typed like a shell, with the effect on the whole workbench."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench


def test_a_vm_is_started_and_looked_at_by_typing(page: Page, screenshots: Path) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("host")
    line, log = page.locator("#host-line"), page.locator("#host-log")
    expect(line).to_be_focused()
    for typed, printed in (
        ("list --all", "shut off"),
        ("start a", "Domain 'a' started"),
        ("strat b", "did you mean `start`?"),
        ("dominfo a", "Max memory:"),
    ):
        page.keyboard.type(typed)
        page.keyboard.press("Enter")
        expect(log.locator("pre").last).to_contain_text(printed)
    bench.wait_state("a", "running")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    expect(line).to_have_value("strat b")
    log.scroll_into_view_if_needed()
    page.screenshot(path=screenshots / "host-console-1366x768.png")
