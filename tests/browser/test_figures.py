"""A figure in the lesson's text shows the live view that it is bound to, and its link leads there."""

from pathlib import Path

from playwright.sync_api import Page

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench, until

SAME = """() => {
  const [copy, source] = [document.querySelector("figure.live canvas"), document.getElementById("lanes")];
  if (copy.width !== source.width || copy.height !== source.height) return false;
  const pixels = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
  const [a, b] = [pixels(copy), pixels(source)];
  return a.some((value) => value) && a.every((value, index) => value === b[index]);
}"""


def test_a_figure_follows_its_live_view(page: Page, screenshots: Path, axe_source: str) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.press("b", "Run")
    bench.run_for(5)
    figure = page.locator("figure.live")
    figure.scroll_into_view_if_needed()
    until(page, lambda: page.evaluate(SAME), "the figure shows the lanes")
    bench.picture(screenshots, "figure")
    figure.get_by_role("link").click()
    assert page.evaluate("document.activeElement.id") == "lanes"
    assert violations(page, axe_source) == []
