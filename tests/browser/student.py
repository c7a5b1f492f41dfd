"""A student who does a lesson's script through the page: buttons, fields and consoles only."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator, Page, expect

from app.desk.config_form import MAIN
from app.lessons import load_lesson
from app.lessons.model import Lesson
from app.lessons.script import Act, Answer, Edit, Run, Script, ScriptStep
from tests.browser.test_in_browser import Switch
from tests.browser.workbench import Workbench, until

VERBS = {
    "start": "Run",
    "shutdown": "Shut down",
    "destroy": "Force shut down",
    "reboot": "Reboot",
    "reset": "Reset",
    "suspend": "Pause",
    "resume": "Resume",
    "undefine": "Delete",
}


OFF = ("shut off", "crashed")
# static/js/engine/journal.js: the length of a lab's log.
KEPT_HERE = """lab => new Promise((done, refuse) => {
  const opened = indexedDB.open("vmlab", 1);
  opened.onerror = () => refuse(opened.error);
  opened.onsuccess = () => {
    const line = opened.result.transaction("lines").objectStore("lines").get(lab);
    line.onsuccess = () => { opened.result.close(); done(line.result.log.length); };
  };
})"""
JSON = {"Accept": "application/json"}


class Student(Workbench):
    """A workbench, and the lesson as it was drawn for whoever sits at it."""

    def __init__(self, page: Page, directory: Path) -> None:
        """Open a lesson."""
        self.lesson: Lesson = load_lesson(directory)
        super().__init__(page, self.lesson.id)
        self._lab = page.locator("[data-lab]").get_attribute("data-lab")
        self.lesson = self.lesson.drawn(self._seed())
        self.hurry()

    def hurry(self) -> None:
        """Let time pass as quickly as it can."""
        self.page.select_option("#speed", "max")

    def follow(self, script: Script) -> None:
        """Do every step of a script."""
        for step in script.steps:
            self._do(step)

    def run_exactly(self, duration_ns: int) -> None:
        """Let a virtual time pass with *Run for*; it ends earlier if nothing is left to run."""
        if duration_ns <= 0:
            return
        self.page.locator(".run-for > summary").click()
        self.page.fill("#run-duration", f"{duration_ns} ns")
        button = self.page.get_by_role("button", name="Run for", exact=True)
        if self._here:
            goal = self.now_ns() + duration_ns
            button.click()
            until(self.page, lambda: self.now_ns() >= goal, f"{duration_ns} ns have passed")
        else:
            with self.page.expect_response(re.compile("/control$")):
                button.click()
            until(self.page, lambda: self._run()["mode"] == "paused", f"{duration_ns} ns have passed")
        expect(self.page.locator("#run-toggle")).to_contain_text("Run")

    @property
    def _here(self) -> bool:
        """Whether the lab runs in this browser, where nothing that is asked of it is a request.

        It does so also while the page hands in the work, as it does from time to time.
        """
        return self.page.locator("html").get_attribute("data-residence") in ("browser", "sending")

    @contextmanager
    def _asked(self, path: str) -> Generator[None]:
        """Wait until what is asked of the lab meanwhile is done: answered by the server, or kept in here."""
        if not self._here:
            with self.page.expect_response(re.compile(path)):
                yield
            return
        before = self._kept_here()
        yield
        until(self.page, lambda: self._kept_here() > before, f"{path} is in this browser's journal")

    def _kept_here(self) -> int:
        """The actions in the journal of this browser, into which each goes before the page shows it."""
        count: int = self.page.evaluate(KEPT_HERE, self._lab)
        return count

    def _run(self) -> dict[str, Any]:
        state = self.page.request.get(f"{self._lab}/state", headers=JSON)
        return state.json()["run"] if state.ok else {"mode": "unknown"}  # e.g. while it is rebuilt

    def _seed(self) -> int:
        record = self.page.request.get(f"{self._lab}/record?programs=no").json()["record"]
        return int(record["seed"])

    def _do(self, step: ScriptStep) -> None:
        match step:
            case Run(duration_ns=duration, absolute=absolute):
                self.run_exactly(duration - self.now_ns() if absolute else duration)
            case Act(action=action, refused=refused):
                self._act(dict(action), refused)
            case Answer(question=question, value=value):
                self.answer(question, str(value))
            case Edit():
                # A VM that is off is started with its new program, by a request of its own.
                last = "/actions$" if self.state(step.vm) in OFF else "/program$"
                with self._asked(last):
                    self.assemble(step.vm, step.old, step.new)
                until(
                    self.page, lambda: self.state(step.vm) not in OFF, f"the card shows that {step.vm} is on"
                )

    def _act(self, action: dict[str, Any], refused: bool) -> None:
        verb = action.pop("verb")
        if verb == "start" and self.state(action["vm"]) not in OFF:  # *Assemble & restart* has started it
            return
        if verb in VERBS and self._here:
            before = self.state(action["vm"])
            self.press(action["vm"], VERBS[verb])
            until(self.page, lambda: self.state(action["vm"]) != before, f"{verb} of VM {action['vm']}")
        elif verb in VERBS:
            with self.page.expect_response(re.compile("/actions$")):
                self.press(action["vm"], VERBS[verb])
        else:
            ways: dict[str, Callable[..., None]] = {
                "define": self._define,
                "set_vm": self._set_vm,
                "set_host": self.set_host,
                "console_input": self._type,
                "snapshot_create": self._snapshot,
                "snapshot_revert": self._revert,
                "clone": self._clone,
                "set_template": self._set_template,
                "set_balloon": self._set_balloon,
                "vol_create": self._vol_create,
                "vol_delete": self._vol_delete,
                "vol_commit": self._vol_commit,
                "vol_rebase": self._vol_rebase,
                "power_loss": self._pull_the_plug,
                "set_policy": self._set_policy,
            }
            ways[verb](**action)
        if refused:
            expect(self.page.locator("#messages")).not_to_be_empty()
            self.page.locator("#messages").get_by_role("button", name="Dismiss").click()

    def _type(self, vm: str, text: str) -> None:
        self.open("consoles")
        self.page.click(f"#console-{vm}-tab")
        panel = self.page.locator(f"#console-{vm}")
        for line in text.splitlines():
            field = panel.get_by_role("textbox", name=f"Line to send to VM {vm}")
            field.fill(line)
            with self._asked("/actions$"):
                field.press("Enter")

    def _kept(self, vm: str) -> Locator:
        """The part of the tab Snapshots that is about a VM."""
        self.open("snapshots")
        return self.page.locator(f'section[aria-labelledby="keep-{vm}"]')

    def _press_in(self, part: Locator, label: str) -> None:
        with self._asked("/actions$"):
            part.get_by_role("button", name=label, exact=True).click()

    def _snapshot(self, vm: str, name: str) -> None:
        part = self._kept(vm)
        part.get_by_label(f"Name of the new snapshot of VM {vm}").fill(name)
        self._press_in(part, "Take a snapshot")
        expect(part.locator(".tree")).to_contain_text(name)

    def _revert(self, vm: str, name: str) -> None:
        self._kept(vm).get_by_role("button", name=f"Revert VM {vm} to {name}").click()
        self._press_in(self.page.get_by_role("dialog"), "Revert")

    def _clone(self, vm: str, name: str, linked: bool = True) -> None:
        part = self._kept(vm)
        part.get_by_label(f"Name of the clone of VM {vm}").fill(name)
        part.get_by_label(f"Kind of clone of VM {vm}").select_option("linked" if linked else "full")
        self._press_in(part, "Clone")
        expect(self.card(name)).to_be_visible()

    def _set_template(self, vm: str, template: bool = True) -> None:
        self._press_in(self._kept(vm), "Make it a template" if template else "Make it an ordinary VM")

    def _set_balloon(self, vm: str, target: str) -> None:
        self.open("ram")
        self.page.get_by_label(f"Ask for a balloon of (VM {vm})").fill(target)
        self._press_in(self.page.locator(f'#ram-vms [data-vm="{vm}"]'), "Ask the guest")

    def _virsh(self, line: str) -> None:
        """Type a line into the host console, which must not answer with an error."""
        self.open("host")
        with self.page.expect_response(re.compile("/virsh$")) as answer:
            self.page.fill("#host-line", line)
            self.page.press("#host-line", "Enter")
        assert not answer.value.json()["output"].startswith("error"), answer.value.json()["output"]

    def _vol_create(self, volume: str, pool: str, capacity: str, **values: Any) -> None:
        allocation = "" if values.get("preallocated") else " --allocation 0"
        backing = f" --backing-vol {values['backing']}" if values.get("backing") else ""
        size, form = capacity.replace(" ", ""), values.get("format", "qcow2")
        self._virsh(f"vol-create-as {pool} {volume} {size} --format {form}{allocation}{backing}")

    def _vol_delete(self, volume: str) -> None:
        self._virsh(f"vol-delete {volume}")

    def _vol_commit(self, volume: str) -> None:
        self._virsh(f"blockcommit {self._disk_of(volume)} vda --active")

    def _vol_rebase(self, volume: str, backing: str = "") -> None:
        self._virsh(f"blockpull {self._disk_of(volume)} vda{backing and f' --base {backing}'}")

    def _disk_of(self, volume: str) -> str:
        """The VM whose disk a volume is, as the picture says."""
        panel = self.open("resources")
        chain = panel.locator(".chain").filter(
            has=self.page.locator(".disk-layer:first-child .layer-name b", has_text=re.compile(f"^{volume}$"))
        )
        name = (chain.first.get_attribute("aria-label") or "").split()
        return name[-1]

    def _pull_the_plug(self, vm: str) -> None:
        with self.page.expect_response(re.compile("/actions$")):
            self.open("resources").get_by_role("button", name=f"Pull the plug of {vm}").click()
        self.wait_state(vm, "shut off")

    def _set_policy(self, interface: str, text: str) -> None:
        if not self._here:
            Switch(self.page).move("browser")
        self.open("policy").locator(".cm-content").wait_for()
        self.page.select_option("#policy-interface", interface)
        self.page.locator("#panel-policy .cm-content").fill(text)
        self.page.get_by_role("button", name="Use in this lab").click()
        expect(self.page.locator("#policy-said")).to_contain_text("Used in this lab from now on")

    def set_host(self, **values: Any) -> None:
        """Set fields of the host in the tab Configuration."""
        self._open_configuration()
        self._configure(values)

    def _set_vm(self, vm: str, **values: Any) -> None:
        self._open_configuration()
        names = self.page.locator('#config-vms [name$="-name"]').evaluate_all(
            "fields => fields.map(f => f.value)"
        )
        row = f"vms-{names.index(vm)}"
        self._configure({f"{row}-{key}": value for key, value in _fields(values).items()})

    def _define(self, **values: Any) -> None:
        self._open_configuration()
        self._add_vm()
        place = self.page.locator("#config-vms tr").last.get_attribute("data-index")
        self._configure({f"vms-{place}-{key}": value for key, value in _fields(values).items()})

    def _add_vm(self) -> None:
        self.page.get_by_role("button", name="Add a VM").click()

    def _open_configuration(self) -> None:
        # Each opening brings a new form; what is typed into the old one would be lost with it.
        old = "forms => forms.forEach(form => form.dataset.old = '')"
        self.page.locator("#config-form").evaluate_all(old)
        self.open("config")
        self.page.locator("#config-form:not([data-old])").wait_for()

    def _configure(self, values: Mapping[str, Any]) -> None:
        self.page.locator("#config-form details:not([open])").evaluate_all(
            "all => all.forEach(d => d.open = true)"
        )
        for key, value in values.items():
            field = self.page.locator(f'#config-form [name="{key}"]')
            text = json.dumps(value) if isinstance(value, bool) else str(value)
            if field.evaluate("field => field.tagName") == "SELECT":
                field.select_option(value=text)
            else:
                field.fill(text)
        with self._asked("/config$"):
            self.page.locator("#config-form").get_by_role("button", name="Apply", exact=True).click()


def _fields(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return values of a VM by the names of their fields: `disk: {iops: 60}` as `disk-iops`."""
    fields: dict[str, Any] = {}
    for key, value in values.items():
        parts = value if isinstance(value, Mapping) else {MAIN.get(key, ""): value}
        fields |= {f"{key}-{part}" if part else key: one for part, one in parts.items()}
    return fields
