"""What a configuration would change, before it is applied: in sentences, as a difference of texts, and when.

Some keys change while a VM runs, some only while it is shut off: those can be applied with a restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from typing import Any, Literal, cast

from app.desk.configuration import Wanted, changes, config_text, flow
from app.texts import gettext as _
from app.workers.protocol import JsonObject
from emulator.lab.config import LIVE_VM_KEYS, LabConfig, VmConfig
from emulator.lab.provisioning import Step

OFF = "shut off"
HOST_KEYS_OFF = ("pcpus", "memory", "overcommit", "swap")
AROUND = 1  # lines of the text that are shown around what changes

When = Literal["now", "restart", "off"]
States = Mapping[str, str]  # VM -> its state


def states_of(state: JsonObject | None) -> dict[str, str]:
    """Return the states of the VMs in an observation."""
    return {vm["name"]: vm["state"] for vm in (state or {}).get("vms", ())}


def preview(current: JsonObject, wanted: Wanted, states: States, text: str) -> JsonObject:
    """Return what would change, and `text`, the configuration's own; raise a 422 Problem."""
    now = LabConfig.from_dict(current)
    steps = changes(current, wanted)
    told = [one for step in steps for one in _told(step, now, states)]
    before, after = (config_text(config.to_dict()) for config in (now, wanted.config))
    return {"text": text, "changes": told, "diff": list(_difference(before, after))}


def with_restarts(current: JsonObject, steps: Sequence[Step], states: States) -> list[Step]:
    """Return the steps with a restart around each that a VM which is on refuses otherwise."""
    now = {vm.name: vm for vm in LabConfig.from_dict(current).vms}
    result: list[Step] = []
    for step in steps:
        vm = str(step.action.get("vm"))
        if step.action["verb"] == "set_vm" and _needs_restart(step.action, now[vm], states):
            name = step.action.get("name", vm)
            result += [
                Step(step.path, {"verb": "destroy", "vm": vm}, f"~ vm {vm}: off"),
                step,
                Step(step.path, {"verb": "start", "vm": name}, f"~ vm {name}: on"),
            ]
        else:
            result.append(step)
    return result


def _needs_restart(action: JsonObject, old: VmConfig, states: States) -> bool:
    return any(_when(key, value, old, states) == "restart" for key, value in _keys(action))


def _keys(action: JsonObject) -> Iterator[tuple[str, Any]]:
    return ((key, value) for key, value in action.items() if key not in ("verb", "vm"))


def _when(key: str, value: object, old: VmConfig, states: States) -> When:
    """Return when a key of a VM can change."""
    state = states.get(old.name, OFF)
    if state == OFF:
        return "now"
    if key not in LIVE_VM_KEYS or state == "crashed":
        return "restart"
    if key == "memory":
        grown = VmConfig.from_dict({**old.to_dict(), "memory": value}, "vm").memory
        return "now" if old.memory <= grown <= old.ram.most else "restart"
    return "now"


def _told(step: Step, now: LabConfig, states: States) -> Iterator[JsonObject]:
    """Yield the changes of a step, each a sentence with `when`, and the VM that it is about."""
    action = step.action
    if action["verb"] == "set_vm":
        old = next(vm for vm in now.vms if vm.name == action["vm"])
        before = old.full_dict()
        for key, value in _keys(action):
            yield _change(
                _("VM %(vm)s: %(change)s", vm=old.name, change=_from_to(key, before.get(key), value)),
                _when(key, value, old, states),
                old.name,
            )
    elif action["verb"] == "set_host":
        before = now.host.full_dict()
        busy = any(state != OFF for state in states.values())
        for key, value in _keys(action):
            when: When = "off" if busy and key in HOST_KEYS_OFF else "now"
            yield _change(_("Host: %(change)s", change=_from_to(key, before.get(key), value)), when)
    else:
        yield _change(_sentence(step), _when_whole(action, states), action.get("vm"))


def _when_whole(action: JsonObject, states: States) -> When:
    gone = action["verb"] == "undefine" and states.get(str(action["vm"]), OFF) != OFF
    return "off" if gone else "now"


def _change(text: str, when: When, vm: object = None) -> JsonObject:
    return {"text": text, "when": when, "vm": vm if isinstance(vm, str) else None}


def _from_to(key: str, before: Any, after: Any) -> str:
    name = key.replace("_", " ")
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return f"{name} {_shown(before)} \u2192 {_shown(after)}"
    old, new = cast("JsonObject", before), cast("JsonObject", after)
    parts = [
        f"{name} {inner.replace('_', ' ')} {_shown(old.get(inner))} \u2192 {_shown(new.get(inner))}"
        for inner in {**old, **new}
        if old.get(inner) != new.get(inner)
    ]
    return ", ".join(parts)


def _shown(value: Any) -> str:
    return _("none") if value in (None, "", "none", [], {}) else flow(value)


def _sentence(step: Step) -> str:
    """Return a plan's line as a sentence: `+ vm web` is new, `- vm web` goes."""
    sign, what = step.text[:1], step.text[2:]
    return {
        "+": _("New: %(what)s", what=what),
        "-": _("Deleted: %(what)s", what=what),
    }.get(sign, what)


def _difference(before: str, after: str) -> Iterator[JsonObject]:
    """Yield the lines of the difference; `line` is its number in the new text, of a deleted one the old."""
    old, new = before.splitlines(), after.splitlines()
    for group in SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(AROUND):
        for tag, a, b, c, d in group:
            if tag == "equal":
                yield from ({"kind": " ", "line": c + 1 + at, "text": new[c + at]} for at in range(d - c))
                continue
            yield from ({"kind": "-", "line": a + 1 + at, "text": old[a + at]} for at in range(b - a))
            yield from ({"kind": "+", "line": c + 1 + at, "text": new[c + at]} for at in range(d - c))
