"""A student does lesson 3, *Three systems, one host*: types into two Linux machines and into Primer."""

import re
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.accessibility import violations
from tests.browser.workbench import Workbench, until

LESSON = "three-systems"
PROMPTS = {"primer": "$ ", "north": "~ # ", "south": "~ # "}


def type_into(bench: Workbench, vm: str, line: str) -> None:
    """Type a line at a VM's console, key by key."""
    bench.open("consoles")
    bench.page.click(f"#console-{vm}-tab")
    bench.page.locator(f"#console-{vm} .terminal-box").scroll_into_view_if_needed()
    bench.page.locator(f"#console-{vm} .xterm-helper-textarea").focus()
    bench.page.keyboard.type(line)
    bench.page.keyboard.press("Enter")


def wait_for(bench: Workbench, vm: str, text: str) -> None:
    """Wait until a console shows a text."""
    until(bench.page, lambda: text in bench.console(vm), f"{text!r} on the console of {vm}")


def look_at_packets(bench: Workbench, axe_source: str) -> None:
    """Find a ping among the packets, with its headers and its way through the switch."""
    page = bench.page
    bench.open("resources")
    page.locator("#packets-words").fill("echo request")
    rows = page.locator("#packets-list tbody tr")
    until(page, lambda: rows.count() == 2, "the two pings")
    rows.last.locator("button").click()
    packet = page.locator("#packet")
    until(page, lambda: "came in" in packet.inner_text(), "the packet")
    shown = packet.inner_text()
    assert "10.0.0.2" in shown
    assert "was last seen behind north" in shown
    assert [one for one in violations(page, axe_source) if "packet" in one.lower()] == []


def test_two_linux_machines_and_primer_run_together_and_answer(
    page: Page, screenshots: Path, axe_source: str, linux_image: bytes
) -> None:
    assert linux_image
    bench = Workbench(page, LESSON)
    for vm in PROMPTS:
        bench.press(vm, "Run")
    bench.run("max")
    for vm, prompt in PROMPTS.items():
        wait_for(bench, vm, prompt)
    bench.picture(screenshots, "three-systems-prompts")

    type_into(bench, "primer", "crash null")
    wait_for(bench, "primer", "a null pointer")
    x, y = the_sum(page)
    type_into(
        bench,
        "north",
        f"echo answer $(({x}*{y})) > /dev/vda; ifconfig eth0 10.0.0.1; hostname north; hostname",
    )
    wait_for(bench, "north", "\nnorth")
    type_into(bench, "south", "ifconfig eth0 10.0.0.2; ping -c 2 -i 0.1 10.0.0.1")
    wait_for(bench, "south", "2 packets received, 0% packet loss")
    look_at_packets(bench, axe_source)
    bench.press("north", "Reset")
    until(page, lambda: "answer" not in bench.console("north"), "north is reset")
    wait_for(bench, "north", PROMPTS["north"])
    type_into(bench, "north", "head -n 1 /dev/vda; ifconfig eth0 10.0.0.1")
    wait_for(bench, "north", f"answer {x * y}")
    bench.pause()
    assert [title for title, passed in bench.check().items() if not passed] == []
    bench.picture(screenshots, "three-systems-done")
    assert violations(page, axe_source) == []


def the_sum(page: Page) -> tuple[int, int]:
    """Return the numbers that this student's lesson asks for."""
    found = re.search(r"\$\(\((\d+)\*(\d+)\)\)", page.locator("article").inner_text())
    assert found
    return int(found[1]), int(found[2])
