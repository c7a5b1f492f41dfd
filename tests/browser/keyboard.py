"""A student without a mouse: Tab, arrows, Enter, keys of the page, typing; the focus is always in sight."""

import re
from collections.abc import Mapping
from typing import Any

from playwright.sync_api import Locator, Page, expect

from tests.browser.student import VERBS, Student
from tests.browser.workbench import until

# What has the focus, whether it shows that, and whether anything lies over it: over the middle of what
# the window and all that scrolls or cuts leave of its box, or of one of its boxes if it is a link that wraps.
FOCUS = """() => {
  const one = document.activeElement, covers = [];
  const ownsWhatIsSeenOf = (box) => {
    let [left, right, top, bottom] = [box.left, box.right, box.top, box.bottom];
    const cut = (by) => {
      [left, right] = [Math.max(left, by.left), Math.min(right, by.right)];
      [top, bottom] = [Math.max(top, by.top), Math.min(bottom, by.bottom)];
    };
    cut({left: 0, right: innerWidth, top: 0, bottom: innerHeight});
    for (let up = one.parentElement; up && up !== document.body; up = up.parentElement)
      if (getComputedStyle(up).overflow !== "visible") cut(up.getBoundingClientRect());
    if (left >= right || top >= bottom) return false;
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2);
    const mine = [one, ...(one.labels ?? [])].some((each) => each.contains(hit)) || hit?.contains(one);
    if (!mine) covers.push(`${hit?.tagName} ${hit?.id} ${hit?.className}`);
    return mine;
  };
  const seen = [...one.getClientRects()].some(ownsWhatIsSeenOf);
  const look = (each) => getComputedStyle(each);
  const isMarked = (each) => look(each).outlineStyle !== "none" || look(each).boxShadow !== "none";
  let marked = false;
  for (let each = one, up = 0; each && up < 4; each = each.parentElement, up++) marked ||= isMarked(each);
  return {id: one.id, name: one.name ?? "", value: one.value ?? "", text: (one.innerText ?? "").slice(0, 40),
    tag: one.tagName, role: one.getAttribute("role") ?? "", href: one.getAttribute("href") ?? "",
    classes: one.className, form: one.form?.id ?? "", type: one.type ?? "",
    vm: one.closest("[data-vm]")?.dataset.vm ?? "", question: one.closest(".predict")?.id ?? "",
    inside: one.parentElement?.className ?? "", seen, covers, marked};
}"""


def focus(page: Page) -> dict[str, Any]:
    """What has the focus; fail if it cannot be seen, lies outside the window, or is covered."""
    found = page.evaluate(FOCUS)
    assert found["seen"], f"the focus is covered or out of sight: {found}"
    assert found["marked"], f"nothing shows the focus: {found}"
    return found


def tab_to(page: Page, key: str = "Tab", most: int = 120, **wanted: str) -> None:
    """Press Tab until what has the focus is what is wanted."""
    for _ in range(most):
        page.keyboard.press(key)
        found = focus(page)
        if all(str(found[name]).strip() == value for name, value in wanted.items()):
            return
    raise AssertionError(f"{wanted} was not reached with {most} times {key}")


class KeyboardStudent(Student):
    """Does what a student does, but with keys, and in any language of the page."""

    def enter(self, lesson: str) -> None:
        """Find a lesson in the course, and open it."""
        tab_to(self.page, href=f"/lessons/{lesson}/")
        self.page.keyboard.press("Enter")

    def hurry(self) -> None:
        """The speed as it is will do."""

    def state(self, vm: str) -> str:
        """The state that the card shows, as the lab calls it."""
        return self.card(vm).get_attribute("data-state") or ""

    def go(self, place: str) -> None:
        """Jump to the lesson (L), the workbench (W), the views (V) or the tools (D)."""
        self.page.keyboard.press(f"Alt+Shift+{place}")
        focus(self.page)

    def open(self, tool: str) -> Locator:
        """Bring up a tool by its tab."""
        self.go("D")
        if focus(self.page)["id"] == f"tab-{tool}":
            self.page.keyboard.press("ArrowLeft")
        while focus(self.page)["id"] != f"tab-{tool}":
            self.page.keyboard.press("ArrowRight")
        return self.page.locator(f"#panel-{tool}")

    def press(self, vm: str, label: str) -> None:
        """Press a button of a card, in its menu if it is there."""
        verb = next(verb for verb, one in VERBS.items() if one == label)
        button = self.card(vm).locator(f'button[value="{verb}"]').locator("visible=true")
        self.go("W")
        if not button.count():
            tab_to(self.page, tag="SUMMARY", vm=vm)
            self.page.keyboard.press("Enter")
        tab_to(self.page, vm=vm, value=verb)
        self.page.keyboard.press("Enter")

    def run_exactly(self, duration_ns: int) -> None:
        """Let a virtual time pass with *Run for*."""
        self.go("W")
        tab_to(self.page, tag="SUMMARY", inside="more run-for")
        if not self.page.locator(".run-for[open]").count():
            self.page.keyboard.press("Enter")
        tab_to(self.page, id="run-duration")
        self._type_over(f"{duration_ns} ns")
        with self.page.expect_response(re.compile("/control$")):
            self.page.keyboard.press("Enter")
        until(self.page, lambda: self._run()["mode"] == "paused", f"{duration_ns} ns have passed")
        expect(self.page.locator("#run-toggle[value=run]")).to_be_visible()

    def answer(self, question: str, value: str) -> str:
        """Go to a question and answer it."""
        box = self.page.locator(f"#question-{question}")
        self.go("L")
        tab_to(self.page, question=f"question-{question}", name="value")
        values = box.locator("input[type=radio]").evaluate_all("all => all.map(one => one.value)")
        if values:
            self.page.keyboard.press("Space")
            for _ in range(values.index(value)):
                self.page.keyboard.press("ArrowDown")
            assert focus(self.page)["value"] == value
        else:
            self.page.keyboard.type(value)
        self.page.keyboard.press("Enter")
        verdict = box.locator(".verdict > p").first
        expect(verdict).to_be_visible()
        return verdict.inner_text()

    def assemble(self, vm: str, old: str, new: str) -> None:
        """Find a text in a VM's program, type another, assemble and restart."""
        page = self.page
        self.open("program")
        tab_to(page, id="program-vm")
        page.keyboard.type(vm)
        expect(page.locator("#program-vm")).to_have_value(vm)
        until(page, lambda: old in page.locator("#program-source").input_value(), f"the program of VM {vm}")
        tab_to(page, classes="cm-content")
        page.keyboard.press("Control+f")
        page.keyboard.type(old)
        page.keyboard.press("Enter")
        page.keyboard.press("Escape")
        page.keyboard.type(new)
        tab_to(page, key="Shift+Tab", form="program-form", type="submit")
        page.keyboard.press("Enter")

    def type_line(self, vm: str, line: str) -> None:
        """Choose a console, and type a line into it."""
        self.open("consoles")
        tab_to(self.page, role="tab")
        while focus(self.page)["id"] != f"console-{vm}-tab":
            self.page.keyboard.press("ArrowRight")
        tab_to(self.page, vm=vm, tag="INPUT", type="text")
        self.page.keyboard.type(line)
        with self.page.expect_response(re.compile("/actions$")):
            self.page.keyboard.press("Enter")

    def check(self) -> dict[str, bool]:
        """Check my work: title -> passed."""
        self.go("L")
        tab_to(self.page, form="check", type="submit")
        self.page.keyboard.press("Enter")
        expect(self.page.locator("#results .results")).to_be_visible()
        rows = self.page.locator("#results .results > li").all()
        return {
            row.locator("h3 > [lang]").inner_text(): row.locator(".sign").inner_text() == "✓" for row in rows
        }

    def _type_over(self, text: str) -> None:
        self.page.keyboard.press("Control+a")
        self.page.keyboard.type(text)

    def _add_vm(self) -> None:
        tab_to(self.page, id="config-add")
        self.page.keyboard.press("Enter")

    def _configure(self, values: Mapping[str, Any]) -> None:
        names = "fields => fields.map(field => field.name)"
        order: list[str] = self.page.locator("#config-form [name]").evaluate_all(names)
        assert set(values) <= set(order)
        for name in sorted(values, key=order.index):
            if focus(self.page)["name"] != name:
                tab_to(self.page, name=name)
            is_choice = focus(self.page)["tag"] == "SELECT"
            (self.page.keyboard.type if is_choice else self._type_over)(str(values[name]))
        tab_to(self.page, form="config-form", type="submit")
        with self.page.expect_response(re.compile("/config$")):
            self.page.keyboard.press("Enter")
