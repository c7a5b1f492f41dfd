"""The server dies under an open page: the page says so, waits, and finds its lab as it was."""

from pathlib import Path

from playwright.sync_api import Browser, expect

from tests.browser.accessibility import violations
from tests.browser.serving import Server
from tests.browser.workbench import CHROMEBOOK, Workbench


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
    finally:
        context.close()
        second.stop()
