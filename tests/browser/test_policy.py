"""Policies are written in the page: tried in a worker, told what is wrong, used in a lab of the browser."""

from secrets import token_hex

from playwright.sync_api import Page, expect

from tests.browser.accessibility import violations
from tests.browser.test_in_browser import ENGINE_MS, Switch
from tests.browser.workbench import Workbench

ENDLESS = """\
class Mine(Scheduler):
    turns = 0

    def on_exit(self, vcpu, ran, now):
        self.turns += 1
        while self.turns > 20:
            pass

    def pick(self, runqueue, now):
        return runqueue[-1]
"""


def write(page: Page, text: str) -> None:
    """Replace the text in the editor, as by pasting."""
    page.locator("#panel-policy .cm-content").fill(text)


def test_a_policy_is_tried_mended_and_used_in_a_lab_that_the_server_then_repeats(
    page: Page, axe_source: str
) -> None:
    bench = Workbench(page, "first-virtual-machine")
    bench.open("policy")
    run = page.get_by_role("button", name="Run against it")
    results = page.locator("#policy-table tbody tr")
    wrong = page.locator("#policy-errors")
    write(page, ENDLESS)
    page.locator("#policy-beside").uncheck()
    run.click()
    expect(wrong).to_contain_text("line 6: more than 100,000 steps in one call", timeout=ENGINE_MS)
    expect(page.locator("#policy-running")).to_be_hidden(timeout=ENGINE_MS)
    page.get_by_role("button", name="Starter").click()
    page.select_option("#policy-interface", "exits")
    page.locator("#policy-beside").check()
    run.click()
    expect(results.filter(has_text="yours")).to_have_count(1, timeout=ENGINE_MS)
    expect(wrong).to_be_empty()
    expect(page.locator("#policy-running")).to_be_hidden(timeout=ENGINE_MS)
    expect(results.filter(has_text="none")).to_have_count(1)
    name = f"Ada {token_hex(3)}"  # nobody else on the board has it
    page.fill("#policy-name", name)
    page.get_by_role("button", name="Enter the class tournament").click()
    expect(page.locator("#policy-entered")).to_contain_text(f"Entered as {name}.", timeout=ENGINE_MS)
    assert violations(page, axe_source) == []
    page.select_option("#policy-interface", "placement")
    expect(page.locator("#policy-question")).to_contain_text("Used when there are several hosts")
    expect(run).to_be_disabled()
    page.select_option("#policy-interface", "scheduler")

    use, said = page.get_by_role("button", name="Use in this lab"), page.locator("#policy-said")
    use.click()
    expect(said).to_contain_text("policies run in your own browser, never on the server")
    switch = Switch(page)
    switch.move("browser")
    for vm in "ab":
        bench.press(vm, "Run")
    write(page, ENDLESS)
    use.click()
    expect(said).to_contain_text("Used in this lab from now on")
    page.select_option("#speed", "max")
    page.click("#run-toggle[value=run]")
    note = page.locator("#run-note")
    expect(note).to_contain_text("line 6: more than 100,000 steps", timeout=ENGINE_MS)
    page.get_by_role("button", name="Starter").click()
    use.click()
    expect(said).to_contain_text("Used in this lab from now on")
    bench.run_for(3)
    # Moving back makes the server repeat the log, decisions and all, and compare the hash of the state.
    switch.move("server")
