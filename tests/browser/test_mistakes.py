"""What a student gets wrong is answered where it was done, and the lab goes on."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench

LESSON = "first-virtual-machine"


def test_an_assembly_error_is_shown_at_its_line_and_column(
    page: Page, screenshots: Path, axe_source: str
) -> None:
    bench = Workbench(page, LESSON)
    bench.assemble("a", "addi    s0, s0, 1", "addy    s0, s0, 1")
    errors = page.locator("#program-errors")
    expect(errors).to_contain_text("addy")
    source = page.locator("#program-source").input_value().split("\n")
    line = next(number for number, text in enumerate(source, 1) if "addy" in text)
    button = errors.locator("button").first
    assert button.inner_text().startswith(f"line {line}, column {source[line - 1].index('addy') + 1}")
    button.click()
    expect(page.locator(".cm-content")).to_be_focused()
    bench.picture(screenshots, "mistake-assembly")
    assert violations(page, axe_source) == []
    assert bench.state("a") == "shut off"


def test_an_impossible_memory_size_is_refused_in_the_form(
    page: Page, screenshots: Path, axe_source: str
) -> None:
    bench = Workbench(page, LESSON)
    panel = bench.open("config")
    panel.locator("[name=vms-0-memory]").fill("7 KiB")
    panel.get_by_role("button", name="Apply").click()
    expect(panel.locator("#config-error")).to_contain_text("vms[0].memory")
    expect(panel.locator("#config-error")).to_contain_text("4 KiB")
    assert panel.locator("[aria-invalid=true]").get_attribute("name") == "vms-0-memory"
    bench.picture(screenshots, "mistake-configuration")
    assert violations(page, axe_source) == []


def test_a_vm_that_does_not_fit_says_so_and_the_message_can_be_dismissed(page: Page) -> None:
    bench = Workbench(page, LESSON)
    panel = bench.open("config")
    panel.locator("[name=vms-0-memory]").fill("16 MiB")
    panel.get_by_role("button", name="Apply").click()
    expect(bench.card("a").locator('[data-slot="memory"]')).to_have_text("16 MiB")
    bench.press("a", "Run")
    message = page.locator("#messages .message")
    expect(message).to_contain_text("memory")
    message.get_by_role("button", name="Dismiss").click()
    expect(message).to_have_count(0)
    assert bench.state("a") == "shut off"


def test_an_endless_loop_can_be_paused_and_shut_down_by_force(page: Page) -> None:
    bench = Workbench(page, LESSON)
    bench.assemble("a", "_start:", "_start: j _start\nunused:")
    expect(page.locator("#program-done")).to_contain_text("Assembled")
    bench.run_for(3)
    assert bench.state("a") == "running"
    bench.press("a", "Force shut down")
    bench.wait_state("a", "shut off")
