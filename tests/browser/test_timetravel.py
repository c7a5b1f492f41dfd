"""Going back in the page: by button and by keys, and returning to what was done later."""

from playwright.sync_api import Page, expect

from tests.browser.workbench import Workbench, until


def test_stepping_back_by_button_and_by_keys_and_returning(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    names = page.locator(".vm-card").evaluate_all("cards => cards.map(card => card.dataset.vm)")
    bench.press(names[0], "Run")
    step, back = (page.get_by_role("group", name=name) for name in ("Step", "Back"))
    for _ in range(3):
        before = bench.position()
        step.get_by_role("button", name="exit").click()
        until(page, lambda before=before: bench.position() > before, "a step to the next exit")
    far = bench.position()
    back.get_by_role("button", name="exit").click()
    until(page, lambda: bench.position() < far, "a step back")
    near = bench.position()
    expect(page.locator('[data-slot="note"]')).to_contain_text("Back at the previous VM exit")
    page.keyboard.press("Alt+Shift+Period")
    until(page, lambda: bench.position() == far, "the same exit again, by keys")
    page.keyboard.press("Alt+Shift+Comma")
    until(page, lambda: bench.position() == near, "and back, by keys")

    bench.press(names[0], "Pause")
    bench.wait_state(names[0], "paused")
    page.keyboard.press("Alt+Comma")
    bench.wait_state(names[0], "running")
    expect(page.locator('[data-slot="note"]')).to_contain_text("with 1 action to come")
    page.get_by_role("button", name="Back to the present").click()
    bench.wait_state(names[0], "paused")
    assert bench.position() == near
    expect(page.get_by_role("button", name="Back to the present")).to_be_hidden()

    # A link to the instant before, in the same lab; then one to an instant that there is not.
    page.goto(f"/lessons/first-virtual-machine/?at={near - 1}")
    until(page, lambda: bench.position() <= near and "?at" not in page.url, "the instant of the link")
    there = bench.position()
    page.reload()
    until(page, lambda: bench.position() == there, "the same instant after a reload")
    page.goto("/lessons/first-virtual-machine/?at=9007199254740000")
    expect(page.locator("#messages")).to_contain_text("This instant does not exist here")
    assert bench.position() == there
