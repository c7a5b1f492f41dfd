"""The server dies under open pages, or answers late: they find their lab as it was, and what was typed."""

import time
from pathlib import Path

from playwright.sync_api import Browser, Locator, Page, Route, expect

from tests.browser.accessibility import violations
from tests.browser.serving import Server
from tests.browser.workbench import CHROMEBOOK, Workbench, until


def test_a_page_outlives_its_server(
    browser: Browser, built_assets: None, tmp_path: Path, axe_source: str, screenshots: Path
) -> None:
    first = Server(tmp_path)
    context = browser.new_context(base_url=first.url, viewport=CHROMEBOOK)
    page = context.new_page()
    connection = page.locator('[data-slot="connection"]')
    try:
        first.wait()
        bench = Workbench(page, "first-virtual-machine")
        bench.press("a", "Run")
        bench.run_for(5)
        bench.wait_state("a", "shut off")
        printed, exits = bench.console("a"), bench.exits("a")
        follower = Workbench(context.new_page(), "first-virtual-machine")
        shows_the_same(follower, bench)
        bench.press("b", "Run")
        follower.wait_state("b", "running")
        page.get_by_role("group", name="Step", exact=True).get_by_role("button", name="exit").click()
        until(page, lambda: bench.exits("b") == 1, "the first exit of VM b")
        shows_the_same(follower, bench)
        follower.page.close()
        position = bench.position()
        type_everywhere(bench)
        there_and_back(bench)
        is_still_typed(bench)
    finally:
        first.kill()
    expect(connection).to_have_text("connection lost, retrying")
    assert violations(page, axe_source) == []
    page.screenshot(path=screenshots / "connection-lost-1366x768.png")

    second = Server(tmp_path, port=first.port)
    try:
        second.wait()
        expect(connection).to_have_text("live", timeout=30_000)
        bench.wait_state("a", "shut off")
        assert (bench.console("a"), bench.exits("a")) == (printed, exits)
        assert bench.position() == position
        is_still_typed(bench)
        page.reload()
        expect(connection).to_have_text("live")
        until(page, lambda: bench.position() == position, "the same instant after a reload")
        is_still_typed(bench)
        for place in ("#question-frames-of-a", "#panel-program", "#panel-consoles", "#panel-config"):
            expect(page.locator(place)).to_contain_text("Your unsaved text is back.")
    finally:
        context.close()
        second.stop()


def shows_the_same(other: Workbench, bench: Workbench) -> None:
    """Wait until another tab stands at the same instant."""
    until(other.page, lambda: other.position() == bench.position(), "the other tab is at the same position")
    assert (other.now_ns(), other.exits("b")) == (bench.now_ns(), bench.exits("b"))


def type_everywhere(bench: Workbench) -> None:
    """Begin an answer, a program, a policy, a line for a console and a configuration; send none."""
    page = bench.page
    page.fill("#question-frames-of-a input[name=value]", "256")
    bench.source("a")
    page.locator("#panel-program .cm-content").click()
    page.keyboard.type("# mine ")
    bench.open("policy")
    page.locator("#panel-policy .cm-content").fill("# my policy")
    bench.open("consoles")
    line(page).fill("not sent yet")
    bench.open("config")
    page.locator("[name=vms-0-memory]").fill("512 KiB")
    expect(page.locator("#config-changes")).to_contain_text("512 KiB")


def there_and_back(bench: Workbench) -> None:
    """Go to an instant before the last action, and return."""
    page, present = bench.page, bench.position()
    for _ in range(2):
        before = bench.position()
        page.get_by_role("group", name="Back", exact=True).get_by_role("button", name="exit").click()
        until(page, lambda before=before: bench.position() < before, "the exit before")
    bench.wait_state("b", "shut off")
    page.get_by_role("button", name="Back to the present").click()
    until(page, lambda: bench.position() == present, "the present")


def is_still_typed(bench: Workbench) -> None:
    """Check that all of it is there."""
    page = bench.page
    expect(page.locator("#question-frames-of-a input[name=value]")).to_have_value("256")
    bench.open("config")
    expect(page.locator("[name=vms-0-memory]")).to_have_value("512 KiB")
    expect(page.locator("#config-changes")).to_contain_text("512 KiB")
    assert "# mine " in bench.source("a")
    bench.open("policy")
    expect(page.locator("#panel-policy .cm-content")).to_have_text("# my policy")
    bench.open("consoles")
    expect(line(page)).to_have_value("not sent yet")


def line(page: Page) -> Locator:
    """The field for a line to VM b."""
    page.click("#console-b-tab")
    return page.locator("#console-b").get_by_role("textbox", name="Line to send to VM b")


def test_an_answer_that_comes_late_does_not_hide_what_came_since(page: Page) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.press("a", "Run")
    bench.wait_state("a", "running")
    bench.press("a", "Pause")
    bench.wait_state("a", "paused")

    def late(route: Route) -> None:
        answer = route.fetch()
        assert not answer.json()["state"]["run"]["waiting"]
        time.sleep(0.5)
        route.fulfill(response=answer)

    page.route("**/control", late)
    with page.expect_response("**/control"):
        page.click("#run-toggle[value=run]")
    page.wait_for_timeout(300)
    expect(page.locator('[data-slot="note"]')).to_contain_text("every vCPU is off, paused")
