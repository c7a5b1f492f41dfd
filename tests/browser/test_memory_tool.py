"""What stands behind a VM's memory, and what its exits cost, as the page shows it."""

from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench, digits


def test_memory_is_shown_as_a_bar_and_in_words_and_exits_with_their_time(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("ram")
    of_a = page.locator('#ram-vms [data-vm="a"]')
    expect(of_a).to_contain_text("shut off")
    bench.press("a", "Run")
    expect(of_a.locator(".ram-facts")).to_contain_text("resident")
    expect(of_a.get_by_role("img")).to_have_attribute("aria-label", "resident 100 %")
    page.locator("#ram-twin > summary").click()
    expect(page.locator("#ram-table tr")).to_have_count(page.locator(".vm-card").count())

    bench.run_for(3)
    bench.open("exits")
    row = page.locator("#exits-table tr").filter(has_text="sbi").first
    count, cycles = (digits(row.locator("td.number").nth(at).get_attribute("title")) for at in (0, 1))
    assert cycles >= 400 * count  # what an SBI call is charged at least
    expect(page.locator("#translations-table tr").first).to_contain_text("nested")
