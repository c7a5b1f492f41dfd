"""Plots of what is measured in virtual time: lines, keyboard, tables, alarms."""

from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench, until

CROWDED = """\
host: {pcpus: 1, memory: 4 MiB}
vms:
  - {name: a, memory: 256 KiB, program: busy.s}
  - {name: b, memory: 256 KiB, program: busy.s}
rules:
  - {name: starved, when: "ready > 10 %", for: 20 ms}
"""


def test_plots_follow_the_lab_and_say_their_values_by_keys_and_as_tables(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("config")
    page.locator("#config-text > summary").click()
    page.locator("#config-yaml").fill(CROWDED)
    page.get_by_role("button", name="Apply the text").click()
    expect(bench.card("c")).to_have_count(0)
    bench.open("metrics")
    expect(page.locator("#no-metrics")).to_be_visible()
    expect(page.locator("#metrics-alarms")).to_contain_text("starved (ready > 10 %)")
    bench.press("a", "Run")
    bench.press("b", "Run")
    bench.run_for(100)

    waits = page.locator("#plot-ready")
    expect(waits).to_be_visible()

    def newest() -> str:
        """What the time shown has as its last sample; the page may show a pause before the instant of it."""
        return f"{bench.now_ns() // 10_000_000 * 10} ms"

    until(
        page, lambda: f"At {newest()}" in (waits.get_attribute("aria-valuetext") or ""), "the newest sample"
    )
    said = waits.get_attribute("aria-valuetext") or ""
    assert "VM a" in said
    assert "VM b" in said
    expect(waits.locator("canvas")).to_be_visible()
    waits.focus()
    page.keyboard.press("ArrowLeft")
    expect(waits).to_have_attribute("aria-valuenow", str(int(waits.get_attribute("aria-valuemax") or 0) - 1))
    expect(page.locator("#metrics-alarms")).to_contain_text("Alarm starved (ready > 10 %) is up")

    plot = page.locator("section.plot").filter(has=waits)
    plot.locator("summary").click()
    expect(plot.locator("tbody tr").first).to_contain_text(newest())
    page.locator("#metrics-choice > summary").click()
    page.get_by_label("instructions", exact=True).check()
    expect(page.locator("#plot-instructions canvas")).to_be_visible()
