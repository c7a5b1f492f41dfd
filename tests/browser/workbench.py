"""The workbench as a student uses it: press buttons, read what the page shows."""

import re
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any

from playwright.sync_api import Locator, Page, ViewportSize, expect

CHROMEBOOK = ViewportSize(width=1366, height=768)
PROJECTOR = ViewportSize(width=1920, height=1080)
PATIENCE = 60.0


def until(page: Page, condition: Callable[[], Any], what: str) -> None:
    """Poll until `condition` holds. (`wait_for_function` needs an `eval` that the page's policy forbids.)"""
    end = monotonic() + PATIENCE
    while not condition():
        assert monotonic() < end, f"waited {PATIENCE:.0f} s for: {what}"
        page.wait_for_timeout(50)


class Workbench:
    """A lesson page with its workbench."""

    def __init__(self, page: Page, lesson: str, address: str = "") -> None:
        self.page = page
        if address:
            page.goto(address)
        else:
            self.enter(lesson)
        expect(page.locator('[data-connection="live"]')).to_be_visible()
        expect(page.locator('[data-slot="time"]')).not_to_have_text("–")

    def enter(self, lesson: str) -> None:
        """Open a lesson."""
        self.page.goto(f"/lessons/{lesson}/")

    # VMs

    def card(self, vm: str) -> Locator:
        """The card of a VM."""
        return self.page.locator(f'.vm-card[data-vm="{vm}"]')

    def state(self, vm: str) -> str:
        """The state that the card shows."""
        return self.card(vm).locator('[data-slot="state"]').inner_text()

    def press(self, vm: str, label: str) -> None:
        """Press a button of a card, opening its menu if the button is there."""
        card = self.card(vm)
        shown = card.locator(".verbs > button", has_text=label).locator("visible=true")
        if not shown.count():
            card.locator("details.more > summary").click()
            shown = card.locator(".more button", has_text=label).locator("visible=true")
        shown.first.click()

    def wait_state(self, vm: str, state: str) -> None:
        """Wait until the card shows `state`."""
        until(self.page, lambda: self.state(vm) == state, f"VM {vm} is {state} (it is {self.state(vm)})")

    def exits(self, vm: str) -> int:
        """The number of exits, exactly."""
        return digits(self.card(vm).locator('[data-slot="exits"]').get_attribute("title"))

    # The host bar

    def run(self, speed: str = "max") -> None:
        """Let time pass."""
        self.page.select_option("#speed", speed)
        self.page.click("#run-toggle[value=run]")
        expect(self.page.locator("#run-toggle")).to_contain_text("Pause")

    def pause(self) -> None:
        """Stop time, if it runs."""
        if "Pause" in self.page.locator("#run-toggle").inner_text():
            self.page.click("#run-toggle")
        expect(self.page.locator("#run-toggle")).to_contain_text("Run")

    def run_for(self, milliseconds: float, speed: str = "max") -> None:
        """Run until at least so much virtual time has passed or nothing is left to run, then pause."""
        goal = self.now_ns() + milliseconds * 1e6
        self.run(speed)
        note = self.page.locator('[data-slot="note"]')
        until(
            self.page,
            lambda: self.now_ns() >= goal or note.inner_text().startswith("Nothing is left to run"),
            f"{milliseconds} ms of virtual time",
        )
        self.pause()

    def now_ns(self) -> int:
        """The virtual time, exactly."""
        return digits(self._said("time").get_attribute("title"))

    def position(self) -> int:
        """The position, exactly."""
        return digits(self._said("position").inner_text())

    def _said(self, slot: str) -> Locator:
        """A fact of the host bar; a page that was just loaded does not know it at once."""
        place = self.page.locator(f'[data-slot="{slot}"]')
        expect(place).not_to_have_text("–")
        return place

    # The views, and the tools below them

    def open(self, tool: str) -> Locator:
        """Bring up a view or a tool: overview, exits, consoles, program, config, ..."""
        self.page.click(f"#tab-{tool}")
        panel = self.page.locator(f"#panel-{tool}")
        expect(panel).to_be_visible()
        return panel

    def console(self, vm: str) -> str:
        """The text of a console."""
        self.open("consoles")
        self.page.click(f"#console-{vm}-tab")
        panel = self.page.locator(f"#console-{vm}")
        if not panel.locator("details.twin[open]").count():
            panel.locator("details.twin > summary").click()
        text = panel.locator(".console-text")  # filled once the twin has opened
        expect(text).not_to_be_empty()
        return text.inner_text()

    def source(self, vm: str) -> str:
        """The program of a VM, as the editor has it."""
        self.open("program")
        self.page.select_option("#program-vm", vm)
        expect(self.page.locator("#panel-program .cm-content")).to_be_visible()
        expect(self.page.get_by_role("button", name="Assemble & restart")).to_be_enabled()
        return self.page.locator("#program-source").input_value()

    def write(self, text: str) -> None:
        """Replace the text in the editor."""
        content = self.page.locator("#panel-program .cm-content")
        content.click()
        self.page.keyboard.press("Control+a")
        self.page.keyboard.insert_text(text)

    def assemble(self, vm: str, old: str, new: str) -> None:
        """Change one line of a VM's program, and assemble and restart."""
        source = self.source(vm)
        assert source.count(old) == 1, f"{old!r} in the program of VM {vm}"
        self.write(source.replace(old, new))
        self.page.get_by_role("button", name="Assemble & restart").click()

    def reasons(self, vm: str) -> dict[str, int]:
        """Exits by reason, from the table."""
        self.open("exits")
        rows = self.page.locator("#exits-table tr").all()
        cells = [[cell.strip() for cell in row.locator("td, th").all_inner_texts()] for row in rows]
        exact = [digits(row.locator("td.number").first.get_attribute("title")) for row in rows]
        return {line[1]: count for line, count in zip(cells, exact, strict=True) if line[0].split()[-1] == vm}

    def fault(self) -> Locator:
        """The story of the fault that is explained."""
        self.open("exits")
        story = self.page.locator("#fault .fault")
        expect(story).to_be_visible()
        return story

    def owners(self) -> dict[str, int]:
        """Frames by owner and role, from the map's table."""
        self.open("overview")
        twin = self.page.locator("#frame-table").locator("xpath=ancestor::details")
        if twin.get_attribute("open") is None:
            twin.locator("summary").click()
        sums: dict[str, int] = {}
        # All rows at once: the table is drawn anew while the lab runs.
        texts = "rows => rows.map(row => [...row.cells].map(cell => cell.innerText.trim()))"
        for _, number, _, owner, role in self.page.locator("#frame-table tr").evaluate_all(texts):
            key = f"{owner.split(' ', 1)[-1]} {role}".strip()
            sums[key] = sums.get(key, 0) + int(number)
        twin.locator("summary").click()
        return sums

    # The lesson

    def answer(self, question: str, value: str) -> str:
        """Answer a prediction; return the first line of the verdict."""
        box = self.page.locator(f"#question-{question}")
        radio = box.locator(f'input[type=radio][value="{value}"]')
        if radio.count():
            radio.check()
        else:
            box.locator("input[name=value]").fill(value)
        box.locator("button").click()
        verdict = box.locator(".verdict > p").first
        expect(verdict).to_be_visible()
        return verdict.inner_text()

    def check(self) -> dict[str, bool]:
        """Check my work: title -> passed."""
        self.page.locator("#results").evaluate("element => element.replaceChildren()")
        self.page.get_by_role("button", name="Check my work").click()
        return self.results()

    def results(self) -> dict[str, bool]:
        """What was checked: title -> passed."""
        expect(self.page.locator("#results .results")).to_be_visible()
        rows = self.page.locator("#results .results > li").all()
        titles = [row.locator("h3").inner_text() for row in rows]
        return {title.rpartition(":")[0]: title.endswith(": passed") for title in titles}

    def picture(self, screenshots: Path, name: str) -> None:
        """Leave screenshots of this moment, on a Chromebook and on a projector."""
        self.page.screenshot(path=screenshots / f"{name}-1366x768.png")
        self.page.set_viewport_size(PROJECTOR)
        self.page.wait_for_timeout(300)
        self.page.screenshot(path=screenshots / f"{name}-1920x1080.png")
        self.page.set_viewport_size(CHROMEBOOK)
        self.page.wait_for_timeout(100)


def digits(text: str | None) -> int:
    """Return the number that begins a text such as "12 345 ns"."""
    match = re.match(r"[0-9\u202f]+", text or "")
    assert match, f"{text!r} does not begin with a number"
    return int(match[0].replace("\u202f", ""))
