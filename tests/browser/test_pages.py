"""The pages: readable in both themes and on small screens, led by the keyboard."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench, until

LESSON = "first-virtual-machine"


def test_home_lists_the_lessons_in_order(page: Page, screenshots: Path) -> None:
    page.goto("/")
    titles = page.locator(".lessons h3").all_inner_texts()
    assert titles[:2] == ["Your first virtual machine", "The wall"]
    page.screenshot(path=screenshots / "home-1366x768.png")
    page.get_by_role("link", name="Start: Your first virtual machine").click()
    expect(page.locator("h1")).to_have_text("Your first virtual machine")


def test_an_unknown_address_is_a_friendly_page(page: Page) -> None:
    response = page.goto("/no-such-page")
    assert response is not None
    assert response.status == 404
    page.get_by_role("link", name="All lessons").click()
    expect(page.locator("h1")).to_have_text("A datacentre you can see through")


@pytest.mark.parametrize("size", [(683, 384), (400, 800)], ids=["200 % zoom", "phone"])
def test_small_screens_scroll_only_down(page: Page, size: tuple[int, int]) -> None:
    page.set_viewport_size({"width": size[0], "height": size[1]})
    Workbench(page, LESSON)
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]


def test_the_theme_button_is_remembered_by_the_server(page: Page) -> None:
    page.goto("/")
    before = page.evaluate("getComputedStyle(document.body).color")
    page.get_by_role("button", name="Use the dark theme").click()
    until(page, lambda: page.evaluate("getComputedStyle(document.body).color") != before, "another colour")
    page.reload()
    assert page.locator("html").get_attribute("data-theme") == "dark"


def test_arrow_keys_walk_over_the_frame_map(page: Page) -> None:
    bench = Workbench(page, LESSON)
    bench.press("a", "Run")
    bench.wait_state("a", "running")
    picture = page.locator("#frame-map")
    picture.focus()
    first = int(picture.get_attribute("aria-valuenow") or "0")
    page.keyboard.press("ArrowRight")
    assert int(picture.get_attribute("aria-valuenow") or "0") == first + 1
    page.keyboard.press("Home")
    while "VM a, guest RAM" not in (picture.get_attribute("aria-valuetext") or ""):
        page.keyboard.press("PageDown")
    expect(page.locator("#frame-readout")).to_contain_text("permissions RWX")


def test_arrow_keys_walk_over_the_lanes(page: Page) -> None:
    bench = Workbench(page, LESSON)
    bench.press("b", "Run")
    bench.run_for(3)
    picture = page.locator("#lanes")
    picture.focus()
    page.keyboard.press("ArrowLeft")
    text = picture.get_attribute("aria-valuetext") or ""
    assert text.startswith("At ")
    assert "pCPU 0" in text
    assert "pCPU 1" in text


def test_step_buttons_move_by_one_instruction_and_to_the_next_exit(page: Page) -> None:
    bench = Workbench(page, LESSON)
    bench.press("a", "Run")
    bench.wait_state("a", "running")
    steps = page.get_by_role("group", name="Step", exact=True)
    steps.get_by_role("button", name="exit").click()
    expect(bench.card("a").locator('[data-slot="exits"]')).not_to_have_text("0")
    exits = bench.exits("a")
    position = bench.position()
    steps.get_by_role("button", name="instruction").click()
    expect(page.locator('[data-slot="position"]')).not_to_have_text(str(position))
    assert bench.position() > position
    assert bench.exits("a") == exits
    expect(page.locator('[data-slot="note"]')).to_contain_text("Next: VM a, hello.s line")
