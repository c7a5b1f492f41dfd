"""From a byte to all who map it, and from an exit to what the guest saw of it, by keyboard and mouse."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench


def test_a_byte_and_an_exit_tell_their_whole_story(page: Page, screenshots: Path, axe_source: str) -> None:
    bench = Workbench(page, "the-wall")
    for vm in "ab":
        bench.press(vm, "Run")
    bench.run_for(2)
    find_a_byte(bench)
    bench.picture(screenshots, "walk-of-a-byte")
    assert violations(page, axe_source) == []
    explain_an_exit(bench)
    bench.picture(screenshots, "story-of-an-exit")
    assert violations(page, axe_source) == []


def find_a_byte(bench: Workbench) -> None:
    page = bench.page
    bench.open("ram")
    page.fill("#byte-address", "_start")
    page.get_by_role("button", name="Find it").click()
    readout = page.locator("#byte-readout")
    expect(readout).to_contain_text("(_start) holds 0x")
    page.locator('#byte-hex [aria-selected="true"]').focus()
    page.keyboard.press("ArrowRight")
    expect(readout).to_contain_text("(_start+0x1) holds 0x")

    references = page.locator("#byte-where .ref")
    expect(references).to_have_count(3)
    references.first.focus()
    page.keyboard.press("End")
    expect(page.locator("#byte-where .part.lit")).to_have_count(2)  # the index, and the offset into the page
    page.keyboard.press("Enter")
    chosen = page.locator("#byte-where .walk > li.chosen")
    expect(chosen).to_contain_text("G level 0")
    chosen.get_by_role("button", name="Show this table page").click()
    expect(page.locator("#byte-where .table-page .here.leaf")).to_be_visible()
    expect(page.locator("#byte-frame")).to_contain_text("the hypervisor's table maps it here")


def explain_an_exit(bench: Workbench) -> None:
    page = bench.page
    bench.open("exits")
    page.locator('#exits-table [data-vm="b"][data-reason="sbi"]').click()
    lines = page.locator("#log .line")
    expect(lines.first).to_be_focused()
    assert set(lines.locator("b").all_inner_texts()) == {"sbi: "}
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    story = page.locator("#fault .exit-story")
    expect(story.locator(".sentence")).to_contain_text("The guest asked its hypervisor to print")
    expect(story).to_contain_text("10: environment call from VS-mode")
    expect(story).to_contain_text("it goes on with the next instruction")
    before, position = story.get_attribute("data-event"), bench.position()
    page.get_by_role("button", name="Earlier exit").click()
    expect(page.locator(f'#fault .exit-story:not([data-event="{before}"])')).to_be_visible()
    assert bench.position() == position
