"""A student does lesson 2, *The wall*, in the page."""

from pathlib import Path

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench

LESSON = "the-wall"


def test_the_neighbour_is_stopped_and_the_page_says_why(
    page: Page, screenshots: Path, axe_source: str
) -> None:
    bench = Workbench(page, LESSON)
    assert bench.answer("one-byte-too-far", "fault") == "Right."
    attack(bench, "TARGET, 0x80002000", "TARGET, 0x80100000")
    bench.wait_state("b", "crashed")

    bench.card("b").get_by_role("button", name="Why did it stop?").click()
    story = bench.fault()
    text = story.inner_text()
    assert "21: load guest-page fault" in text
    assert "0x80100000" in text
    assert "probe.s:" in story.locator(".instruction").inner_text()
    assert "lbu" in story.locator(".instruction").inner_text()
    steps = story.locator(".walk > li")
    assert steps.evaluate_all("all => all.map((step) => step.dataset.stage)") == ["G"] * steps.count()
    assert steps.last.get_attribute("data-outcome") == "fault"
    bench.picture(screenshots, "lesson-2-fault")
    assert violations(page, axe_source) == []


def test_a_student_earns_every_check_of_the_lesson(page: Page, screenshots: Path, axe_source: str) -> None:
    bench = Workbench(page, LESSON)
    bench.press("a", "Run")
    bench.run_for(2)
    assert "Come and get it" in bench.console("a")
    bench.press("b", "Run")
    bench.run_for(5)
    bench.wait_state("b", "shut off")
    assert "finds: Nothing here but my own " in bench.console("b")

    attack(bench, "TARGET, 0x80002000", "TARGET, 0x80100000")
    bench.wait_state("b", "crashed")
    first = digest(bench)
    attack(bench, "WRITE, 0 ", "WRITE, 1 ")
    bench.wait_state("b", "crashed")
    assert "23: store/AMO guest-page fault" in bench.fault().inner_text()
    attack(bench, "OWN_PAGE_TABLE, 0", "OWN_PAGE_TABLE, 1")
    bench.wait_state("b", "crashed")
    steps = bench.fault().locator(".walk > li")
    stages = steps.evaluate_all("all => all.map((step) => step.dataset.stage)")
    assert "VS" in stages
    assert stages[-1] == "G"
    assert digest(bench) == first
    bench.picture(screenshots, "lesson-2-two-stages")

    results = bench.check()
    assert results == dict.fromkeys(results, True)
    assert len(results) == 6
    bench.picture(screenshots, "lesson-2-done")
    assert violations(page, axe_source) == []


def attack(bench: Workbench, old: str, new: str) -> None:
    """Change VM b's program, assemble and restart it, and let the host run for a while."""
    bench.assemble("b", old, new)
    expect(bench.page.locator("#program-done")).to_contain_text("Assembled")
    bench.wait_state("b", "running")
    bench.run_for(5)


def digest(bench: Workbench) -> str | None:
    """The digest over VM a's frames right after the fault that is explained."""
    return bench.fault().locator("dt:has-text('VM a') + dd").get_attribute("title")
