"""Form and text of the configuration follow each other, with undo; sliders change the shares at once."""

import re

from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench, until

TWO = """\
# my lab
host: {pcpus: 1, memory: 4 MiB, scheduler: stride}
vms:
  - {name: a, memory: 256 KiB, program: busy.s}  # first
  - {name: b, memory: 256 KiB, program: busy.s}
"""


def test_form_and_text_follow_each_other_and_a_slider_moves_the_shares(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("config")
    page.locator("#config-text > summary").click()
    text, changes = page.locator("#config-yaml"), page.locator("#config-changes")
    text.fill(TWO)
    expect(page.locator("#config-vms tr")).to_have_count(2)  # the form follows
    expect(changes).to_contain_text("Host: pcpus 2 → 1")
    expect(changes).to_contain_text("Deleted: vm c")
    page.get_by_role("button", name="Apply the text").click()
    expect(bench.card("c")).to_have_count(0)
    bench.press("a", "Run")
    bench.press("b", "Run")
    bench.run("0.01")

    memory, name = page.locator("[name=vms-1-memory]"), page.locator("[name=vms-0-name]")
    memory.fill("512 KiB")
    expect(changes).to_contain_text("VM b: memory 256 KiB → 512 KiB needs a restart")
    expect(text).to_have_value(re.compile("512 KiB"))
    assert text.input_value().startswith("# my lab\n")
    memory.fill("51 KiB")
    expect(page.locator("#config-wrong")).to_contain_text("must be a multiple of 4 KiB")
    page.locator("#config-undo").click()
    expect(memory).to_have_value("512 KiB")
    page.locator("#config-undo").click()
    expect(memory).to_have_value("256 KiB")
    page.locator("#config-redo").click()
    expect(memory).to_have_value("512 KiB")
    changes.get_by_label("Restart the VMs that need it").check()
    page.get_by_role("button", name="Apply", exact=True).click()
    expect(bench.card("b")).to_contain_text("512 KiB")
    expect(text).to_have_value(re.compile("# first"))
    expect(name).to_have_value("a")

    weight = page.get_by_role("slider", name="Weight of VM a")
    weight.focus()
    for _ in range(16):
        page.keyboard.press("ArrowRight")
    share = page.locator(".tuning-said").first
    until(page, lambda: float(share.inner_text().split()[0]) > 70, "VM a has most of the time")
    expect(weight).to_have_attribute("aria-valuetext", "1024")
    page.get_by_role("button", name="Take back Weight of VM a").click()
    expect(weight).to_have_attribute("aria-valuetext", "256")
    bench.pause()

    text.fill("host: {pcpus: 1,\n  memry: 4 MiB}")
    page.get_by_role("button", name="line 2, column 3").click()
    expect(page.locator("#config-text-wrong")).to_contain_text("did you mean")
    expect(text).to_be_focused()
