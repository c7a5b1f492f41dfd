"""Consoles: what was printed later where the lab went back, search, unread marks, all at once, plain text."""

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench, until


def test_a_console_follows_the_lab_back_and_on(page: Page, axe_source: str) -> None:
    bench = Workbench(page, "first-virtual-machine")
    first, second = page.locator(".vm-card").evaluate_all("cards => cards.map(card => card.dataset.vm)")[:2]
    bench.press(first, "Run")
    bench.run_for(2)
    whole = bench.console(first)
    panel = page.locator(f"#console-{first}")
    later = panel.locator(".console-later")
    expect(later).to_be_hidden()

    back = page.get_by_role("group", name="Back").get_by_role("button", name="exit")
    for _ in range(40):
        at = bench.position()
        back.click()
        until(page, lambda at=at: bench.position() < at, "a step back")
        if len(bench.console(first)) < len(whole) - 3:
            break
    early = bench.console(first)
    assert whole.startswith(early)
    expect(later).to_be_visible()
    expect(later.locator("summary")).to_contain_text("Printed later")
    rest = later.locator("pre").inner_text()
    assert (early + rest).split() == whole.split()

    find = panel.get_by_role("searchbox", name=f"Find in the console of VM {first}")
    find.fill("no such words")
    expect(panel.get_by_role("status")).to_have_text("not found")
    find.fill(early.strip()[:3])
    expect(panel.get_by_role("status")).to_have_text("")
    with page.expect_download() as download:
        panel.get_by_role("button", name="Download").click()
    assert download.value.suggested_filename == f"console-{first}.txt"
    panel.get_by_role("button", name="Clear view").click()
    expect(panel.locator(".console-text")).to_contain_text("Nothing has been printed yet.")
    assert [one for one in violations(page, axe_source) if "console" in one.lower()] == []

    page.click(f"#console-{second}-tab")
    bench.run_for(2)
    expect(page.locator(f"#console-{first}-tab .unread")).to_be_visible()
    page.get_by_role("button", name="All at once").click()
    expect(panel.locator(".xterm")).to_be_visible()
    expect(page.locator(f"#console-{second} .xterm")).to_be_visible()
    expect(later).to_be_hidden()
    page.get_by_role("button", name="All at once").click()
    page.click(f"#console-{first}-tab")
    expect(page.locator(f"#console-{first}-tab .unread")).to_be_hidden()
