"""No page, view, tool or dialog breaks a rule of axe-core: light, dark, German on a phone, projector."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import PATIENCE_MS
from tests.browser.serving import Server
from tests.browser.workbench import CHROMEBOOK, PROJECTOR, Workbench

LESSON = "the-wall"
FAULT = ("TARGET, 0x80002000", "TARGET, 0x80100000")
# A view and a tool are seen at the same time.
PAIRS = {
    "time": "program",
    "ram": "policy",
    "cpu": "snapshots",
    "exits": "metrics",
    "overview": "resources",
}
# What depends on the size of window and type.
ON_DISPLAYS = ("color-contrast", "target-size", "label-content-name-mismatch", "scrollable-region-focusable")
PHONE: ViewportSize = {"width": 390, "height": 844}
DISKS = """\
host: {pcpus: 2, memory: 8 MiB}
vms:
  - {name: a, memory: 1 MiB, program: vault.s, disk: 64 KiB, network: lan}
  - {name: b, memory: 1 MiB, program: probe.s, network: lan}
"""


class Walk:
    """Somebody who looks at everything; `found` says what broke a rule, and where."""

    def __init__(self, page: Page, axe_source: str, only: Sequence[str]) -> None:
        self.page = page
        self.axe_source = axe_source
        self.only = only
        self.found: list[str] = []

    def look(self, state: str, *within: str) -> None:
        """Let axe look at the page as it stands, or at parts of it."""
        self.page.wait_for_timeout(100)  # until what was asked for is drawn
        broken = violations(self.page, self.axe_source, within, self.only)
        self.found += [f"{state}: {line}" for line in broken]

    def visit(self, path: str, state: str) -> None:
        """Look at a page by itself."""
        self.page.goto(path)
        expect(self.page.locator("h1")).to_be_visible()
        self.look(state)

    def scroll_to(self, tab: str) -> None:
        """Begin with a panel: a target half under the bar that stays in sight is not a small one."""
        self.page.locator(f"#tab-{tab}").evaluate("one => one.scrollIntoView({block: 'start'})")

    def panels(self, state: str, *tabs: str) -> None:
        """Look at a view, a tool, or both."""
        for tab in tabs:
            self.page.click(f"#tab-{tab}")
            expect(self.page.locator(f"#panel-{tab}")).to_be_visible()
        self.scroll_to(tabs[0])
        self.look(f"{state} {' '.join(tabs)}", *(f"#panel-{tab}" for tab in tabs))


@contextmanager
def walk(
    browser: Browser, server: Server, axe_source: str, only: Sequence[str] = (), **how: Any
) -> Iterator[Walk]:
    """A student of their own, who in the end has found nothing."""
    context = browser.new_context(base_url=server.url, reduced_motion="reduce", **how)
    context.set_default_timeout(PATIENCE_MS)
    one = Walk(context.new_page(), axe_source, only)
    yield one
    context.close()
    assert not one.found, "\n".join(one.found)


@pytest.mark.parametrize(
    ("theme", "only"), [("light", ()), ("dark", ("color-contrast",))], ids=["light", "dark"]
)
def test_no_page_and_no_state_breaks_a_rule_of_axe(
    browser: Browser, server: Server, axe_source: str, theme: Literal["light", "dark"], only: Sequence[str]
) -> None:
    with walk(browser, server, axe_source, only, viewport=CHROMEBOOK, color_scheme=theme) as one:
        one.visit("/", "course")
        one.page.locator("header details > summary").first.click()
        one.look("menu", "header")
        one.visit("/no-such-page", "error")
        bench = Workbench(one.page, LESSON)
        one.look("empty")
        a_fault(bench)
        one.look("fault")
        for view, tool in PAIRS.items():
            one.panels("fault", view, tool)
        an_event_and_a_byte(one)
        a_dialog(one)
        configuration(one, bench)
        one.page.locator("#check button").click()
        expect(one.page.locator("#results .results")).to_be_visible()
        one.look("results", ".lesson-column")
        one.visit(f"/lessons/{LESSON}/report", "report")


@pytest.mark.parametrize(
    ("query", "viewport"),
    [("lang=de", PHONE), ("mode=projector", PROJECTOR)],
    ids=["German on a phone", "projector"],
)
def test_no_view_breaks_a_rule_of_axe(
    browser: Browser, server: Server, axe_source: str, query: str, viewport: ViewportSize
) -> None:
    with walk(browser, server, axe_source, ON_DISPLAYS, viewport=viewport) as one:
        one.visit(f"/?{query}", "course")
        one.page.goto(f"/lessons/{LESSON}/")
        expect(one.page.locator('[data-connection="live"]')).to_be_visible()
        one.page.locator('.vm-card[data-vm="a"] .verbs > button[value=start]').click()
        expect(one.page.locator('.vm-card[data-vm="a"][data-state="running"]')).to_be_visible()
        one.page.locator("button[name=unit][value=exit]").first.click()
        one.look("lesson")
        for view, tool in (PAIRS | {"overview": "config"}).items():
            one.panels("work", view, tool)


def a_fault(bench: Workbench) -> None:
    """VM a keeps its secret, VM b crashes at the wall; something is selected, and all twins are open."""
    bench.press("a", "Run")
    bench.assemble("b", *FAULT)
    bench.wait_state("b", "running")
    bench.run_for(5)
    bench.wait_state("b", "crashed")
    bench.card("b").get_by_role("button", name="Why did it stop?").click()
    expect(bench.page.locator("#fault .fault")).to_be_visible()
    bench.card("a").locator("details.more > summary").click()
    closed = "#workbench details.twin:not([open]), #workbench details.rows"
    bench.page.locator(closed).evaluate_all("all => all.forEach(one => one.open = true)")


def an_event_and_a_byte(one: Walk) -> None:
    """An event of the timeline with its causes; a byte with its walk; what a vCPU is about to do."""
    page = one.page
    page.click("#tab-time")
    page.click("#time-all")
    page.locator("#timeline").focus()
    page.keyboard.press("Home")
    why = page.locator("#time-details").get_by_role("button", name="Why?")
    for _ in range(8):
        if not why.count():
            page.keyboard.press("n")
            page.wait_for_timeout(50)
    why.click()
    expect(page.locator("#time-details .why li").first).to_be_visible()
    page.click("#tab-host")
    page.fill("#host-line", "list")
    page.keyboard.press("Enter")
    one.scroll_to("time")
    one.look("why, host console", "#panel-time", "#panel-host")
    page.click("#tab-ram")
    page.fill("#byte-address", "0x80002000")
    page.get_by_role("button", name="Find it").click()
    expect(page.locator("#byte-where .ref").first).to_be_visible()
    page.click("#tab-consoles")
    one.scroll_to("ram")
    one.look("byte, consoles", "#panel-ram", "#panel-consoles")


def a_dialog(one: Walk) -> None:
    """A snapshot, and the question before it takes VM a back."""
    page = one.page
    page.click("#tab-snapshots")
    page.get_by_label("Name of the new snapshot of VM a").fill("first")
    page.locator('section[aria-labelledby="keep-a"]').get_by_role("button", name="Take a snapshot").click()
    page.get_by_role("button", name="Revert VM a to first").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    one.look("dialog", "dialog", "#panel-snapshots")
    page.get_by_role("dialog").get_by_role("button", name="Leave it").click()


def configuration(one: Walk, bench: Workbench) -> None:
    """A configuration with changes, with an error, as text; then disks and a network in the pictures."""
    page = one.page
    bench.open("config")
    page.locator("[name=vms-0-memory]").fill("512 KiB")
    expect(page.locator("#config-changes li").first).to_be_visible()
    closed = "#panel-config details:not([open])"
    page.locator(closed).evaluate_all("all => all.forEach(one => one.open = true)")
    one.look("config-changes", "#panel-config")
    page.locator("[name=vms-0-memory]").fill("51 KiB")
    expect(page.locator("#config-wrong")).not_to_be_empty()
    one.look("config-error", "#panel-config")
    bench.press("a", "Force shut down")
    bench.wait_state("a", "shut off")
    page.locator("#config-yaml").fill(DISKS)
    page.get_by_role("button", name="Apply the text").click()
    bench.open("resources")
    expect(page.locator("#panel-resources .chain")).to_be_visible()
    one.look("resources", "#workbench")
