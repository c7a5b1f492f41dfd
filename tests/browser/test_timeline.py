"""The timeline: see who ran and waited, go close, go there, undo and come back, by keys and tables."""

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench, until

CROWDED = """\
host: {pcpus: 1, memory: 4 MiB}
vms:
  - {name: a, memory: 256 KiB, program: busy.s}
  - {name: b, memory: 256 KiB, program: busy.s}
"""


def test_the_past_is_seen_zoomed_scrubbed_and_undone(page: Page, axe_source: str) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("config")
    page.locator("#config-text > summary").click()
    page.locator("#config-yaml").fill(CROWDED)
    page.get_by_role("button", name="Apply the text").click()
    expect(bench.card("c")).to_have_count(0)
    page.click("#tab-time")
    picture, readout = page.locator("#timeline"), page.locator("#time-readout")
    expect(picture).to_be_visible()

    bench.press("a", "Run")
    bench.press("b", "Run")
    bench.run_for(20)
    far = bench.position()
    bench.press("b", "Pause")
    bench.wait_state("b", "paused")
    bench.run_for(5)
    present = bench.position()

    def said() -> str:
        return picture.get_attribute("aria-valuetext") or ""

    details = page.locator("#time-details")

    def find(end: str, way: str, text: str) -> None:
        """Walk over what was done and what happened until something says `text`."""
        picture.focus()
        page.keyboard.press("Escape")
        page.keyboard.press(end)
        for _ in range(8):
            page.keyboard.press(way)
            if text in details.inner_text():
                return
        raise AssertionError(f"nothing says {text!r}")

    # First glance: who runs, who waits and for whom.
    page.click("#time-all")
    picture.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    until(page, lambda: "vCPU 0 waits for" in said(), "one of two waits for the other")
    expect(readout).to_contain_text("pCPU 0 runs VM")

    # The next thing that was done; then just before it, and what came after is undone.
    find("End", "p", "suspend b")
    details.get_by_role("button", name="Go there").click()
    until(page, lambda: bench.position() == far, "the lab is where the pause was asked for")
    expect(page.locator("#time-present")).to_be_visible()
    page.click("#time-present")
    until(page, lambda: bench.position() == present, "the present again")

    # Down to single instructions, which say what they changed.
    picture.focus()
    page.keyboard.press("Escape")
    page.click("#time-instructions")
    until(page, lambda: ", line " in said(), "single instructions")
    at = int(picture.get_attribute("aria-valuenow") or 0)
    picture.focus()
    page.keyboard.press("ArrowLeft")
    until(page, lambda: int(picture.get_attribute("aria-valuenow") or 0) < at, "an instruction earlier")
    page.keyboard.press("Enter")
    until(page, lambda: present - 10 < bench.position() < present, "the lab is an instruction earlier")

    # Scrubbing takes the page along; what lies ahead stays to be seen.
    page.click("#time-all")
    box = picture.bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + 8)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 8, steps=4)
    page.mouse.up()
    until(page, lambda: bench.position() < far, "the line was dragged back")
    bench.wait_state("b", "running")
    page.locator("#time-twin > summary").click()
    twin = page.locator("#time-twin")
    expect(twin).to_contain_text("suspend b")
    expect(twin).to_contain_text("VM a vCPU 0")

    # Undone: the pause is no part of this line any more.
    find("End", "p", "suspend b")
    details.get_by_role("button", name="Undo from here").click()
    until(page, lambda: bench.position() == far, "just before the pause")
    bench.wait_state("b", "running")
    expect(twin).not_to_contain_text("suspend b")

    # Why did this happen?
    find("Home", "n", "was started")
    details.get_by_role("button", name="Why?").click()
    expect(page.locator("#time-details .why li").first).to_contain_text("was started")
    page.locator("#time-rows").locator("xpath=ancestor::details").locator("summary").click()
    assert violations(page, axe_source) == []
