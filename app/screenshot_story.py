"""What the pictures of `vmlab screenshots` show: the way of a student, with something to see everywhere.

By id and value only, since the words on the page are those of a language.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from emulator.errors import VmLabError

if TYPE_CHECKING:
    from playwright.sync_api import Page

PATIENCE_MS = 60_000
SETTLE_MS = 250
TRIES = 12
NAMES = "cards => cards.map(one => one.dataset.vm)"
TABS = "#view-tabs [role=tab], #dock-tabs [role=tab]"
# Five VMs on two pCPUs: some compute, some print, one has two vCPUs and a lock.
WORKING = "stolen-time"
HOST_COMMANDS = ("list --all", "domstats smp")
FAULTING = "the-wall"
# What VM b tries: an address behind its memory, by a page table of its own.
FAULT = (("TARGET, 0x80002000", "TARGET, 0x80100000"), ("OWN_PAGE_TABLE, 0", "OWN_PAGE_TABLE, 1"))
SECRET = "0x80002000"
# The first table or list that was unfolded in the tool or view that is shown.
FIRST_TABLE = """() => [...document.querySelectorAll('[role=tabpanel]:not([hidden]) details[open]')]
    .filter(one => one.closest('[role=tabpanel]').id === document.activeElement.getAttribute('aria-controls'))
    [0]?.scrollIntoView({block: 'start'})"""
# A disk image, and another that holds only what differs from it.
LAYERED = "disks-of-disks"
WORDS, MORE_WORDS = "f 6 january", "f 3 monday"
LAYERS = (
    "destroy maker",
    "vol-create-as shelf desk-ada 256KiB --format qcow2 --backing-vol golden",
)


class ScreenshotError(VmLabError):
    """Pictures cannot be taken; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Display:
    """How the page is shown: the size of the window, theme, language, and for whom."""

    name: str
    width: int
    height: int
    theme: Literal["light", "dark"] = "light"
    query: str = "lang=en"
    whole: bool = False  # also with nothing started, and with all tables open


class Story:
    """What a student does, with a picture of everything on the way."""

    def __init__(self, page: Page, directory: Path, display: Display) -> None:
        self.page = page
        self.directory = directory
        self.display = display

    def shot(self, name: str) -> None:
        self.page.wait_for_timeout(SETTLE_MS)
        self.page.screenshot(path=self.directory / f"{self.display.name}-{name}.png")

    def pages(self) -> None:
        self.page.goto(f"/?{self.display.query}")
        self.shot("course")
        self.page.locator(".page-menu > summary").click()
        self.shot("page-menu")
        self.page.goto("/no-such-page")
        self.shot("error")

    def at_work(self) -> None:
        """VMs that take turns: each view and each tool, before and after, and their tables."""
        self.open(WORKING)
        self.shot("lesson")
        self.views("empty")
        for vm in self.page.locator(".vm-card[data-vm]").evaluate_all(
            "cards => cards.map(one => one.dataset.vm)"
        ):
            self.start(vm)
        self.run("20 ms")
        self.virsh(HOST_COMMANDS)
        self.keep()
        self.views("work")
        self.unfold("#panel-config details, .twin")
        self.views("tables")

    def fault(self) -> None:
        """VM b reaches for memory that is not its own, by a page table of its own: a walk of two stages."""
        self.open(FAULTING)
        self.start("a")
        self.run("2 ms")
        self.rewrite("b", FAULT)
        self.run("5 ms")
        self.top()
        self.shot("fault-cards")
        self.page.click('.vm-card[data-vm="b"] [data-why]')
        self.page.wait_for_selector("#fault .fault .walk-rows")
        self.page.locator("#fault").scroll_into_view_if_needed()
        self.shot("fault-story")
        self.page.locator("#fault .walk-view").first.scroll_into_view_if_needed()
        self.shot("fault-walk")

    def keep(self) -> None:
        """A snapshot, and the question before it is deleted."""
        self.tab("snapshots")
        self.page.locator("#snapshots [data-verb=snapshot_create]").first.click()
        self.page.locator("#snapshots [data-verb=snapshot_delete]").first.click()
        self.page.wait_for_selector("dialog[open]")
        self.shot("dialog")
        self.page.keyboard.press("Escape")

    def disks(self) -> None:
        """A disk of two layers, and what a change of the configuration would change."""
        self.open(LAYERED)
        self.start("maker")
        self.type("maker", WORDS)
        self.run("10 ms")
        self.virsh(LAYERS)
        self.configure("vms-1-disk-volume", "desk-ada")
        self.start("ada")
        self.type("ada", MORE_WORDS)
        self.run("10 ms")
        self.tab("resources")
        self.page.wait_for_selector("#resources .disk-layer + .disk-layer")
        self.top("#tab-resources")
        self.shot("disks")

    def explained(self) -> None:
        """An event's causes, a byte with its walk, and a vCPU that stops at a breakpoint."""
        self.tab("time")
        self.page.click("#time-all")
        self.page.focus("#timeline")
        self.page.keyboard.press("End")
        why = self.page.locator("#time-details .acts button", has_text=re.compile("Why|Warum"))
        for _ in range(TRIES):
            if why.count():
                break
            self.page.keyboard.press("p")
            self.page.wait_for_timeout(SETTLE_MS)
        why.click()
        self.page.wait_for_selector("#time-details .why li")
        self.top("#tab-time")
        self.shot("time-why")
        self.tab("ram")
        self.page.select_option("#byte-vm", "a")
        self.page.fill("#byte-address", SECRET)
        self.page.click("#byte-form button[type=submit]")
        self.page.wait_for_selector("#byte-where .ref")
        self.top("#byte")
        self.shot("byte")
        self.page.locator("#byte-where").scroll_into_view_if_needed()
        self.shot("byte-walk")
        self.breakpoint()

    def breakpoint(self) -> None:
        """VM b starts once more, and stops a few instructions later."""
        self.start("b")
        self.tab("cpu")
        self.page.select_option("#cpu-vm", "b")
        line = self.page.locator("#code-lines tr").nth(3).locator("button").first
        line.click()
        self.page.wait_for_selector("#stops li")
        self.run("1 ms")
        self.page.wait_for_selector("#code-lines tr[aria-current]")
        self.top("#tab-cpu")
        self.shot("breakpoint")
        self.page.locator("#stops").scroll_into_view_if_needed()
        self.shot("breakpoint-stops")

    def report(self) -> None:
        self.page.locator(".lesson-foot form button").click()
        self.page.wait_for_selector("#results .results")
        self.shot("results")
        self.tab("overview")
        for pin in self.page.locator(".pin:visible").all():  # a projector shows none
            pin.click()
        self.page.goto(f"/lessons/{FAULTING}/report")
        self.shot("report")
        self.page.locator("#report-figures").scroll_into_view_if_needed()
        self.shot("report-figures")

    # What a student does; by id and value, since the words are those of a language

    def open(self, lesson: str) -> None:
        self.page.goto(f"/lessons/{lesson}/")
        self.page.wait_for_selector('[data-connection="live"]')

    def start(self, vm: str) -> None:
        self.page.click(f'.vm-card[data-vm="{vm}"] .verbs > button[value="start"]')
        self.page.wait_for_selector(
            f'.vm-card[data-vm="{vm}"]:is([data-state="running"], [data-state="idle"])'
        )

    def run(self, duration: str) -> None:
        """Let a virtual time pass, or less if a stop is met."""
        lab = self.page.locator("[data-lab]").get_attribute("data-lab")
        if not self.page.locator(".run-for[open]").count():
            self.page.click(".run-for > summary")
        self.page.fill("#run-duration", duration)
        with self.page.expect_response(re.compile("/control$")):
            self.page.click(".run-for button[value=run_for]")
        end = time.monotonic() + PATIENCE_MS / 1000
        headers = {"Accept": "application/json"}
        while self.page.request.get(f"{lab}/state", headers=headers).json()["run"]["mode"] != "paused":
            if time.monotonic() > end:
                raise ScreenshotError(f"screenshots: {duration} of virtual time did not pass")
            self.page.wait_for_timeout(50)
        if self.page.locator(".run-for[open]").count():
            self.page.click(".run-for > summary")

    def virsh(self, lines: Iterable[str]) -> None:
        """Type lines into the host console; raise ScreenshotError if one is refused."""
        self.tab("host")
        for line in lines:
            with self.page.expect_response(re.compile("/virsh$")) as answer:
                self.page.fill("#host-line", line)
                self.page.press("#host-line", "Enter")
            output = answer.value.json()["output"]
            if output.startswith("error"):
                raise ScreenshotError(f"screenshots: the host console refused {line!r}: {output}")

    def type(self, vm: str, line: str) -> None:
        """Type a line into a VM's console."""
        self.tab("consoles")
        self.page.click(f"#console-{vm}-tab")
        field = self.page.locator(f"#console-{vm} .console-input input")
        field.fill(line)
        with self.page.expect_response(re.compile("/actions$")):
            field.press("Enter")

    def configure(self, field: str, value: str) -> None:
        """Change a field of the configuration, with a picture of what that would change, and apply it."""
        self.tab("config")
        self.page.wait_for_selector("#config-form", state="attached")
        self.unfold("#config-form details")
        self.page.fill(f'#config-form [name="{field}"]', value)
        self.page.wait_for_selector("#config-changes li")
        self.page.locator("#config-changes").scroll_into_view_if_needed()
        self.shot("config-changes")
        with self.page.expect_response(re.compile("/config$")):
            self.page.click("#config-form button.primary[type=submit]")

    def rewrite(self, vm: str, changes: Iterable[tuple[str, str]]) -> None:
        """Change a program in the editor, assemble it and start it."""
        self.tab("program")
        self.page.select_option("#program-vm", vm)
        self.page.wait_for_selector(".cm-content")
        self.page.wait_for_selector("#program-form button[type=submit]:enabled")
        self.page.wait_for_timeout(SETTLE_MS)
        source = self.page.locator("#program-source").input_value()
        for old, new in changes:
            source = source.replace(old, new)
        self.page.click(".cm-content")
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(source)
        self.page.click("#program-form button[type=submit]")
        self.page.wait_for_selector(f'.vm-card[data-vm="{vm}"][data-state="running"]')

    def tab(self, name: str) -> None:
        self.page.click(f"#tab-{name}")

    def views(self, state: str) -> None:
        """Every view and every tool, one after the other, each where it begins."""
        if state != "work" and not self.display.whole:
            return
        for tab in self.page.locator(TABS).evaluate_all("tabs => tabs.map(tab => tab.id)"):
            self.page.click(f"#{tab}")
            self.top(f"#{tab}")
            if state == "tables":
                self.page.evaluate(FIRST_TABLE)
            self.shot(f"{state}-{tab.removeprefix('tab-')}")
        self.tab("overview")

    def unfold(self, what: str) -> None:
        self.page.locator(what).evaluate_all("all => all.forEach(one => { one.open = true; })")

    def top(self, selector: str = "#host-bar") -> None:
        self.page.locator(selector).evaluate("one => one.scrollIntoView({block: 'start'})")
