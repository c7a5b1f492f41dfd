"""A student does lesson 1, *Your first virtual machine*, in the page."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench, until

LESSON = "first-virtual-machine"
CHARACTERS = len("Hello from inside!\n")


def test_starting_a_vm_gives_it_frames_and_printing_costs_an_exit_per_character(
    page: Page, screenshots: Path
) -> None:
    bench = Workbench(page, LESSON)
    assert bench.answer("frames-of-a", "256") == "Right."
    assert "a guest RAM" not in " ".join(bench.owners())

    bench.press("a", "Run")
    bench.wait_state("a", "running")
    until(page, lambda: bench.owners().get("VM a guest RAM") == 256, "256 frames of VM a")
    owners = bench.owners()
    assert owners["VM a G-stage table"] > 0
    assert sum(owners.values()) == 2048
    assert bench.now_ns() == 0

    bench.run_for(5)
    bench.wait_state("a", "shut off")
    assert bench.console("a") == "Hello from inside!\n"
    assert bench.reasons("a")["sbi"] == CHARACTERS + 1
    bench.picture(screenshots, "lesson-1-hello")


def test_the_clever_program_prints_with_one_call(page: Page) -> None:
    bench = Workbench(page, LESSON)
    bench.assemble("a", "WHOLE_LINE, 0", "WHOLE_LINE, 1")
    expect(page.locator("#program-done")).to_contain_text("Assembled")
    bench.run_for(5)
    bench.wait_state("a", "shut off")
    assert bench.reasons("a")["sbi"] == 2


def test_a_student_earns_every_check_of_the_lesson(page: Page, screenshots: Path, axe_source: str) -> None:
    bench = Workbench(page, LESSON)
    assert not any(bench.check().values())

    do_the_lesson(bench, screenshots)
    results = bench.check()
    assert results == dict.fromkeys(results, True)
    assert len(results) == 6
    bench.picture(screenshots, "lesson-1-done")
    assert violations(page, axe_source) == []

    page.goto("/")
    expect(page.locator(".lessons > li").first).to_contain_text("6 of 6 checks")


def do_the_lesson(bench: Workbench, screenshots: Path) -> None:
    """Do what the lesson asks for, up to the check."""
    bench.assemble("a", "WHOLE_LINE, 0", "WHOLE_LINE, 1")
    expect(bench.page.locator("#program-done")).to_contain_text("Assembled")
    bench.run_for(5)
    define_vm(bench, "d", "1 MiB", "busy.s")
    for vm in ("b", "d"):
        bench.press(vm, "Run")
    bench.run_for(10)
    bench.picture(screenshots, "lesson-1-two-pcpus")
    for vm in ("b", "d"):
        bench.press(vm, "Force shut down")
        bench.wait_state(vm, "shut off")
    configure(bench, "pcpus", "1")
    for vm in ("b", "d"):
        bench.press(vm, "Run")
    bench.run_for(20)
    configure(bench, "timeslice", "100 us")
    bench.press("c", "Run")
    bench.run_for(30)
    bench.picture(screenshots, "lesson-1-one-pcpu")


def define_vm(bench: Workbench, name: str, memory: str, program: str) -> None:
    """Add a VM in the configuration form."""
    panel = bench.open("config")
    panel.locator("#config-add").click()
    row = panel.locator("#config-vms tr").last
    row.locator("[name$=-name]").fill(name)
    row.locator("[name$=-memory]").fill(memory)
    row.locator("[name$=-program]").select_option(program)
    panel.get_by_role("button", name="Apply").click()
    expect(bench.card(name)).to_be_visible()


def configure(bench: Workbench, field: str, value: str) -> None:
    """Change one field of the host in the configuration form."""
    panel = bench.open("config")
    expect(panel.locator(".htmx-request")).to_have_count(0)  # the form as it is when the panel opens
    panel.locator(f"[name={field}]").fill(value)
    panel.locator("#config-form").evaluate("form => form.dataset.sent = 'yes'")
    panel.get_by_role("button", name="Apply").click()
    expect(panel.locator("#config-form[data-sent]")).to_have_count(0)  # the form as it is after the change
    expect(panel.locator("#config-error")).to_be_empty()
    expect(panel.locator(f"[name={field}]")).to_have_value(value)
