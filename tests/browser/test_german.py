"""The page in German: what the emulator tells is German, in the log, in stories and in what led to them."""

from playwright.sync_api import Locator, Page, expect

from tests.browser.workbench import Workbench


def english(place: Locator) -> list[str]:
    """Return what a part of the page marks as English."""
    return place.locator('[lang="en"]:not(:empty)').all_inner_texts()


def test_what_happened_is_told_in_german(page: Page) -> None:
    bench = Workbench(page, "", "/lessons/first-virtual-machine/?lang=de")
    for vm in "ab":
        bench.press(vm, "Starten")
        expect(bench.card(vm)).not_to_have_attribute("data-state", "shut off")
    bench.open("exits")
    page.click("#run-toggle[value=run]")
    expect(page.locator("#log .line", has_text="gibt ein Byte aus").first).to_be_visible()
    page.click("#run-toggle[value=pause]")
    expect(page.locator("#log")).to_contain_text("a wurde gestartet")
    assert english(page.locator("#exits-table")) == []
    assert english(page.locator("#log")) == []

    page.locator("#log .line", has_text="gibt ein Byte aus").first.click()
    story = page.locator("#fault")
    expect(story.locator(".sentence")).to_contain_text(
        "Der Gast bat seinen Hypervisor darum, ein Byte auszugeben"
    )
    assert english(story) == []
    page.click("#story-why")
    expect(story.locator(".why li").nth(1)).to_contain_text("Grund: ")
    assert english(story) == []

    bench.open("cpu")
    page.locator('[data-csr="hgatp"] summary').press("Enter")
    expect(page.locator('[data-csr="hgatp"] table')).to_contain_text("Übersetzung von GPA zu HPA")
    assert english(page.locator("#csrs-hypervisor")) == []
