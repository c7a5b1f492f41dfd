"""One vCPU led by the keyboard: steps, breakpoints, changed registers, fields of CSRs, stops that stay."""

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench, until


def test_a_vcpu_is_stepped_and_stopped_with_the_keyboard_alone(page: Page, axe_source: str) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("cpu")
    expect(page.locator("#cpu-off")).to_be_visible()
    bench.press("a", "Run")
    here = page.locator("#code-lines tr[aria-current]")
    expect(here).to_contain_text("0x80000000")
    expect(page.locator("#code-lines .label").first).to_have_text("_start:")

    here.locator("button").focus()
    for pc in ("0x80000004", "0x80000008", "0x8000000c"):
        page.keyboard.press("s")
        expect(here).to_contain_text(pc)
    expect(page.locator('[data-register="s0"]')).to_contain_text("changed")
    page.keyboard.press("p")
    expect(here).to_contain_text("0x80000008")

    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("c")
    expect(here).to_contain_text("0x80000010")
    page.keyboard.press("b")
    expect(here.locator("button")).to_have_attribute("aria-pressed", "true")
    expect(page.locator("#stops li")).to_contain_text("breakpoint at 0x80000010 in a")
    page.locator("#run-toggle").press("Enter")
    expect(page.locator("#stops li")).to_contain_text("met once")
    expect(page.locator('[data-slot="note"]')).to_contain_text("stop 1: breakpoint at 0x80000010 in a")

    page.get_by_role("combobox", name="Stop at").select_option("exit")
    page.locator("#stop-form [name=reason]").press("Enter")
    expect(page.locator("#stops li")).to_have_count(2)
    page.locator("#stops input").first.uncheck()
    page.locator("#run-toggle").press("Enter")
    expect(page.locator("#stops li").nth(1)).to_contain_text("stopped here")

    page.locator('[data-csr="hgatp"] summary').press("Enter")
    expect(page.locator('[data-csr="hgatp"] table')).to_contain_text("Sv39x4")
    page.locator('[data-register="s0"]').click()
    until(page, lambda: "ello" in page.locator("#strip").inner_text(), "the text that s0 points into")
    assert violations(page, axe_source) == []

    page.reload()
    bench.open("cpu")
    expect(page.locator("#stops li")).to_have_count(2)
    expect(page.locator("#stops input").first).not_to_be_checked()
