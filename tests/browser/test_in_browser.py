"""A lab runs in the student's browser: offline from start to grade, and moved while it runs."""

import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from tests.browser.accessibility import violations
from tests.browser.conftest import PATIENCE_MS
from tests.browser.serving import Server
from tests.browser.test_first_lesson import LESSON, do_the_lesson
from tests.browser.workbench import CHROMEBOOK, Workbench, until

# Python starts, the lab is repeated: seconds, and more on a busy machine.
ENGINE_MS = 90_000


class Switch:
    """Where the lab runs, as the bar above the workbench shows it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.note = page.locator("#engine-note")

    def move(self, place: str) -> None:
        """Press a side of the switch and wait until the lab is there."""
        self.page.click(f"[data-place={place}]")
        self.is_in(place)

    def is_in(self, place: str) -> None:
        button = self.page.locator(f"[data-place={place}]")
        expect(button).to_have_attribute("aria-pressed", "true", timeout=ENGINE_MS)
        expect(self.page.locator("html")).to_have_attribute("data-residence", place, timeout=ENGINE_MS)
        expect(self.page.locator('[data-slot="connection"]')).to_have_text("live")

    def take_offline(self) -> None:
        self.page.click("#take-offline")
        expect(self.page.locator("#offline-note")).to_have_text("Ready offline")


def test_a_lesson_is_done_without_a_server_and_graded_when_there_is_one(
    browser: Browser, built_assets: None, tmp_path: Path, axe_source: str, screenshots: Path
) -> None:
    server = Server(tmp_path)
    context = browser.new_context(base_url=server.url, viewport=CHROMEBOOK, reduced_motion="reduce")
    context.set_default_timeout(PATIENCE_MS)
    page = context.new_page()
    switch = Switch(page)
    try:
        server.wait()
        bench = Workbench(page, LESSON)
        switch.take_offline()
    finally:
        server.kill()
    context.set_offline(True)
    page.reload()
    page.get_by_role("button", name="Go on in this browser").click()
    switch.is_in("browser")

    do_the_lesson(bench, screenshots)
    page.get_by_role("button", name="Check my work").click()
    expect(page.locator("#results")).to_contain_text("Your work will be graded when connected.")
    expect(switch.note).to_contain_text("actions not yet sent")
    assert violations(page, axe_source) == []
    bench.picture(screenshots, "offline")
    page.reload()  # what was done is kept, and done again
    switch.is_in("browser")
    expect(switch.note).to_contain_text("actions not yet sent")

    server = Server(tmp_path, port=server.port)
    try:
        server.wait()
        context.set_offline(False)
        expect(page.locator("#results .results")).to_be_visible(timeout=ENGINE_MS)
        expect(page.locator("#results")).to_contain_text("6 of 6 checks passed")
        expect(switch.note).to_have_text("Everything you did is on the server too.")
        position = bench.position()
        switch.move("server")
        until(page, lambda: bench.position() >= position, "the lab on the server")
        page.goto("/")
        expect(page.locator(".lessons > li").first).to_contain_text("6 of 6 checks")
    finally:
        context.close()
        server.stop()


def test_a_lab_moves_into_the_browser_and_back_while_it_runs(
    page: Page, axe_source: str, screenshots: Path
) -> None:
    switch, bench = Switch(page), Workbench(page, LESSON)
    told = mistake(bench)
    bench.press("b", "Run")
    bench.run("0.01")
    until(page, lambda: bench.now_ns() > 0, "the lab runs on the server")

    switch.move("browser")
    lent = bench.now_ns()
    until(page, lambda: bench.now_ns() > lent, "the lab goes on in the browser")
    expect(page.locator("#run-toggle")).to_contain_text("Pause")
    same_site = {"Sec-Fetch-Site": "same-origin"}
    start = {"verb": "start", "vm": "a"}
    refused = page.request.post(f"{lab_url(page)}/actions", data=start, headers=same_site)
    assert refused.status == 409  # nobody changes it on the server meanwhile
    expect(switch.note).to_have_text("Everything you did is on the server too.")
    assert mistake(bench) == told  # the same assembler
    edit_the_text(bench)
    assert violations(page, axe_source) == []
    bench.picture(screenshots, "in-this-browser")

    # What the browser hands in is taken only if the server comes to the same state hash.
    with page.expect_response(lambda answer: answer.url.endswith("/submit") and answer.status == 200) as done:
        switch.move("server")
    assert done.value.json()["verified"]
    handed_in = done.value.json()["position"]
    until(page, lambda: bench.position() > handed_in, "the lab goes on on the server")
    expect(page.locator("#run-toggle")).to_contain_text("Pause")
    bench.pause()


def mistake(bench: Workbench) -> str:
    """Assemble a wrong program for VM a; return what the page says about it."""
    bench.source("a")
    bench.write("_start:\n  adi a0, a0, 1\n")
    bench.page.get_by_role("button", name="Assemble & restart").click()
    errors = bench.page.locator("#program-errors")
    expect(errors).to_contain_text("line 2, column 3")
    text = errors.inner_text()
    errors.evaluate("element => element.replaceChildren()")
    return text


def edit_the_text(bench: Workbench) -> None:
    """Edit the configuration as text, first with a mistake, and apply it."""
    page = bench.page
    bench.open("config")
    page.locator("#config-text > summary").click()
    area, wrong = page.locator("#config-yaml"), page.locator("#config-text-wrong")
    text = area.input_value()
    area.fill("# mine\n" + text.replace("  - {name: b", "  - {nam: b"))
    expect(wrong).to_contain_text("vms[1].nam is not a known key", timeout=ENGINE_MS)
    line = text.splitlines().index("vms:") + 4  # behind the comment and VM a
    expect(wrong).to_contain_text(f"line {line}, column")
    area.fill("# mine\n" + text.replace("  - {name: b", "  - {weight: 300, name: b"))
    expect(page.locator('[name="vms-1-weight"]')).to_have_value("300")
    page.get_by_role("button", name="Apply the text").click()
    expect(area).to_have_value(re.compile("# mine\n.*weight: 300", re.DOTALL))
    expect(page.locator("#config-changes")).to_have_text("Applied: the lab has it now.")


def lab_url(page: Page) -> str:
    """Return the lab's address."""
    return str(page.locator("[data-lab]").get_attribute("data-lab"))
