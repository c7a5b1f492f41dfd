"""The configuration form: memory, exits and devices by fields, the same as text, and errors beside fields."""

from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench


def test_a_vm_with_memory_keys_is_made_by_the_form_and_stands_in_the_text(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("config")
    page.locator("#config-memory > summary").click()
    page.locator("[name=overcommit]").fill("150 %")
    page.locator("[name=ksm]").select_option("yes")
    page.get_by_role("button", name="Add a VM").click()
    place = page.locator("#config-vms tr").count() - 1

    def field(name: str) -> str:
        return f'[name="vms-{place}-{name}"]'

    page.locator(field("name")).fill("web")
    page.locator(field("program")).select_option("hello.s")
    page.locator(field("memory")).fill("512 KiB")
    page.locator(field("memory_limit")).fill("3 KiB")
    page.locator(field("balloon")).select_option("yes")
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(page.locator("#config-wrong")).to_contain_text("must be a multiple of 4 KiB")
    expect(page.locator(field("memory_limit"))).to_have_attribute("aria-invalid", "true")

    page.locator(field("memory_limit")).fill("256 KiB")
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(bench.card("web")).to_be_visible()
    expect(page.locator(field("memory_limit"))).to_have_value("256 KiB")  # its group is still open
    page.locator("#config-text > summary").click()
    text = page.locator("#config-yaml").input_value()
    assert 'overcommit: "150 %", ksm: true' in text
    assert "balloon: true, memory_limit: 256 KiB" in text

    page.locator("#config-yaml").fill(text.replace("memory_limit: 256 KiB", "memory_limit: 128 KiB"))
    page.get_by_role("button", name="Apply the text").click()
    expect(page.locator(field("memory_limit"))).to_have_value("128 KiB")
    bench.press("web", "Run")
    bench.open("ram")
    shown = page.locator('#ram-vms [data-vm="web"]')
    expect(shown).to_contain_text("limit 128 KiB")
    expect(shown).to_contain_text("untouched")
    page.get_by_label("Ask for a balloon of (VM web)").fill("64 KiB")
    shown.get_by_role("button", name="Ask the guest").click()
    expect(shown).to_contain_text("asked for 64 KiB")
