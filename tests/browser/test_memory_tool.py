"""What stands behind a VM's memory, and what its exits cost, as the page shows it."""

import re

from playwright.sync_api import Page, expect

from app.paths import lessons_dir
from tests.browser.student import Student
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


def test_the_map_shows_each_layer_of_the_host_and_of_a_vm_by_keyboard(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("ram")
    bench.open("exits")  # what comes while another view is shown must be said when it is looked for
    bench.press("b", "Run")
    bench.run_for(3)
    bench.open("overview")
    expect(page.locator("#frame-readout")).to_contain_text("1.02 MiB")
    bench.open("ram")
    canvas, legend = page.locator("#memory-map"), page.locator("#memory-map-legend")
    readout, note = page.locator("#memory-map-readout"), page.locator("#memory-map-note")
    expect(legend).to_contain_text("RAM of VM b")
    page.get_by_label("shown by").select_option("dirty")
    expect(legend).to_contain_text("dirty: written (D bit)")
    canvas.focus()
    for key in ("+", "Home", "PageDown", "ArrowRight"):
        page.keyboard.press(key)
    expect(canvas).to_have_attribute("aria-valuetext", re.compile("Frame 0x1?"))
    expect(readout).to_contain_text("HPA")
    page.get_by_label("shown by").select_option("age")
    expect(note).to_contain_text("does not clear A bits")

    page.get_by_label("Memory of", exact=True).select_option("b")
    page.get_by_label("shown by").select_option("backing")
    expect(legend).to_contain_text("has a frame of its own")
    page.locator("#memory-map-twin > summary").click()
    expect(page.locator("#memory-map-table tr").first).to_contain_text("0x80000000")
    canvas.focus()
    page.keyboard.press("Home")
    expect(canvas).to_have_attribute("aria-valuetext", "Page 0x80000000 of VM b: has a frame of its own")
    expect(readout).to_contain_text("behind it: frame")


def test_what_ksm_has_merged_is_told_when_it_is_off_again(page: Page) -> None:
    student = Student(page, lessons_dir() / "01-first-virtual-machine")
    student.press("b", "Run")
    student.set_host(ksm=True)
    student.run_exactly(60_000_000)
    student.open("ram")
    host = page.locator("#ram-host")
    expect(host).to_contain_text("saved by KSM, 1 shared frame")
    student.set_host(ksm=False)
    student.open("ram")
    expect(host).to_contain_text("saved by KSM, which is off now: 1 shared frame")
