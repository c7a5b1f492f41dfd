"""Running until something happens. Nothing here is an action: a condition only chooses a position to stop at.

Kinds, with their fields, and when they hold:

- instruction (vm, vcpu, address): the vCPU has retired an instruction or left its hart; with `address`,
  its pc is there.
- breakpoint (vm, vcpu, address): the vCPU is about to execute the instruction at the GVA `address`, which
  need not be mapped yet, in any address space of the VM. At full speed. Without `vcpu`, any vCPU of the
  VM. Where a run has stopped for it, the next one goes on.
- watch (vm, vcpu, address, space, length, access): the vCPU, or any of the VM, has retired an instruction
  that touched the range. `space` is "gva" (the default) or "gpa"; `length` (8) stays within a page;
  `access` is "load", "store" or "any" (the default). A GVA is translated once, with the tables of the
  vCPU (the first if none is named) as they are when the search begins. Walks, fetches, devices and the
  hypervisor do not count.
- exit (vm, vcpu, reason): a vCPU has left its hart.
- timeslice (vm): a timeslice has ended.
- fault (vm): a guest page fault has happened.
- console (vm, text): the VM has printed (something that ends with `text`).
- state (vm, state): the VM's state has become this one.
- csr (vm, vcpu, csr, value): a CSR of the vCPU, or of any of the VM, has changed, to `value` if one is
  given. The vCPUs run one instruction at a time meanwhile (see `emulator.lab.stops`).
- alarm (vm): a rule of the monitor has raised an alarm.
- any (of): any of the conditions in the list `of`, none of which is an `instruction` or an `any`.
- time (ns): the virtual time is at least this.

All fields but `ns`, `of`, `state`, the `vm` of a state, and `vm` with `address` or `csr` of a breakpoint, a
watch or a csr are optional: without them, anything of the kind counts. An `instruction` with neither `vm`
nor `address` is one of whoever's turn it is. A `symbol` beside an `address` is what that was made from
(`emulator.lab.naming`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast, get_args

from emulator.hypervisor.vcpu import Vcpu, VcpuState
from emulator.hypervisor.vm import ACTIVE, HOLDS_MEMORY
from emulator.lab import debugging
from emulator.lab.errors import LabError
from emulator.lab.observation import VmState
from emulator.lab.registers import WATCHED_CSRS
from emulator.lab.values import nearest
from emulator.machine.debug import Watchpoint

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

FIELDS: Mapping[str, tuple[str, ...]] = {
    "instruction": ("vm", "vcpu", "address"),
    "breakpoint": ("vm", "vcpu", "address", "symbol"),
    "watch": ("vm", "vcpu", "address", "symbol", "space", "length", "access"),
    "exit": ("vm", "vcpu", "reason"),
    "timeslice": ("vm", "vcpu"),
    "fault": ("vm", "vcpu"),
    "console": ("vm", "text"),
    "state": ("vm", "state"),
    "csr": ("vm", "vcpu", "csr", "value"),
    "alarm": ("vm",),
    "any": ("of",),
    "time": ("ns",),
}
OF_VCPU = ("breakpoint", "watch", "csr")  # these name a VM
MAX_TEXT = 200
WATCHED_BYTES = 8
MOST_PARTS = 64
SPACES = ("gva", "gpa")
Condition = Mapping[str, Any]
Watch = Callable[[Vcpu, str], bool]


def check(lab: Lab, condition: Condition, past: bool = False, asleep: bool = False) -> None:
    """Raise LabError if `condition` is none, or names a VM that does not exist.

    Unless it is about the `past`, a VM that has to execute something must be on its way; with `asleep` it
    may be off, and comes later.
    """
    kind = condition.get("kind")
    if not isinstance(kind, str) or kind not in FIELDS:
        hint = nearest(str(kind), list(FIELDS)) or f"; kinds are {', '.join(FIELDS)}"
        raise LabError(f"there is no condition {kind!r}{hint}", "kind")
    for key in condition:
        if key != "kind" and key not in FIELDS[kind]:
            raise LabError(
                f"{key!r} is no field of the condition {kind!r}; known: {', '.join(FIELDS[kind])}", str(key)
            )
    if kind == "any":
        for one in parts(condition):
            check(lab, one, past, asleep)
    if "vm" in condition or kind in ("state", *OF_VCPU):
        lab.vm(condition.get("vm"))
    _check_fields(kind, condition)
    if not asleep and (
        kind in OF_VCPU or (kind == "instruction" and ("vm" in condition or "address" in condition))
    ):
        _vcpu(lab, condition, past)
    if not asleep and kind == "watch":
        watchpoint_of(lab, settled(lab, condition, past), past)


def _check_fields(kind: str, condition: Condition) -> None:
    required = {"time": "ns", "breakpoint": "address", "watch": "address"}.get(kind)
    for key in ("address", "vcpu", "ns", "value", "length"):
        if key in condition or key == required:
            number_of(condition, key)
    for key in ("text", "reason", "symbol"):
        if key in condition and not (isinstance(condition[key], str) and 0 < len(condition[key]) <= MAX_TEXT):
            raise LabError(f"{key} must be a text of 1 to {MAX_TEXT} characters", key)
    if kind == "state":
        _one_of(condition, "state", get_args(VmState))
    if kind == "csr":
        _one_of(condition, "csr", WATCHED_CSRS)
    if kind == "watch":
        _choice(condition, "space", SPACES)
        _choice(condition, "access", tuple(debugging.KINDS))


def _one_of(condition: Condition, key: str, known: Sequence[str]) -> None:
    if condition.get(key) not in known:
        raise LabError(f"{key} is {condition.get(key)!r}; must be one of {', '.join(known)}", key)


def parts(condition: Condition) -> list[Condition]:
    """Return the conditions of an `any`. Raises LabError."""
    of: object = condition.get("of")
    if not isinstance(of, list) or not 0 < len(cast("list[object]", of)) <= MOST_PARTS:
        raise LabError(f"of must be a list of 1 to {MOST_PARTS} conditions", "of")
    for one in cast("list[object]", of):
        if not isinstance(one, Mapping) or cast("Condition", one).get("kind") in ("any", "instruction"):
            raise LabError("of must hold conditions other than `any` and `instruction`", "of")
    return cast("list[Condition]", of)


def run_until(lab: Lab, condition: Condition, limit: int) -> bool:
    """Run until the condition holds, at most to position `limit`; return whether it holds."""
    check(lab, condition)
    kind = condition["kind"]
    if kind == "time":
        target = lab.position_at(number_of(condition, "ns"))
        lab.advance(min(limit, target))
        return lab.position >= target
    if holds(lab, condition):
        return True
    if kind == "instruction":
        return _until_instruction(lab, condition, limit)
    if kind in ("any", *OF_VCPU, "alarm"):
        return _until_stop(lab, condition, limit)
    return _until_exit(lab, watch_for(lab, condition), limit)


def holds(lab: Lab, condition: Condition) -> bool:
    """Return whether nothing has to happen for a condition to hold: a VM's state is the wanted one."""
    return condition["kind"] == "state" and lab.vm(condition["vm"]).state.value == condition["state"]


def settled(lab: Lab, condition: Condition, past: bool = False) -> Condition:
    """Return a condition that means the same at every later position: a watched GVA becomes a GPA.

    Raises LabError if the vCPU does not map it.
    """
    if condition.get("kind") == "any":
        return {**condition, "of": [settled(lab, one, past) for one in parts(condition)]}
    if condition.get("kind") != "watch" or _choice(condition, "space", SPACES) != "gva":
        return condition
    gpa = debugging.guest_physical(lab, _vcpu(lab, condition, past), number_of(condition, "address"))
    return {**condition, "space": "gpa", "address": gpa}


def watchpoint_of(lab: Lab, condition: Condition, past: bool = False) -> Watchpoint:
    vm = _vcpu(lab, condition, past).vm
    length = number_of(condition, "length") if "length" in condition else WATCHED_BYTES
    kinds = debugging.KINDS[_choice(condition, "access", tuple(debugging.KINDS))]
    return debugging.range_of(vm, number_of(condition, "address"), length, kinds)


def _choice(condition: Condition, key: str, choices: tuple[str, ...]) -> str:
    """Return one of the choices, the first if there is none."""
    value = condition.get(key, choices[0])
    if value not in choices:
        raise LabError(f"{key} is {value!r}; must be one of {', '.join(choices)}", key)
    return value


def _until_stop(lab: Lab, condition: Condition, limit: int) -> bool:
    try:
        wanted = parts(condition) if condition["kind"] == "any" else [settled(lab, condition)]
        return bool(lab.run_until_any(wanted, limit))
    finally:
        lab.disarm()


def number_of(condition: Condition, key: str) -> int:
    """Return a whole number, which a form may have sent as text."""
    value = condition.get(key)
    if isinstance(value, str) and len(value) <= 40:
        try:
            return number_of({key: int(value, 0)}, key)
        except ValueError:
            pass
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 1 << 64:
        return value
    raise LabError(f"{key} is {value!r}; expected a number, e.g. 0x8000_0000", key)


def _vcpu(lab: Lab, condition: Condition, past: bool = False) -> Vcpu:
    """Return the vCPU that a condition names, the first of its VM if it says none."""
    vm = lab.vm(condition.get("vm"))
    index = number_of(condition, "vcpu") if "vcpu" in condition else 0
    if vm.lifecycle not in (HOLDS_MEMORY if past else ACTIVE):
        raise LabError(f"{vm.name} is {vm.state.value}: it executes no instructions", "vm")
    if index >= len(vm.vcpus):
        raise LabError(f"{vm.name} has {len(vm.vcpus)} vCPU(s), numbered from 0; there is no {index}", "vcpu")
    return vm.vcpus[index]


def watch_for(lab: Lab, condition: Condition) -> Watch:
    """Return what decides after each exit whether the condition holds."""
    kind, vm, reason = condition["kind"], condition.get("vm"), condition.get("reason")
    number = number_of(condition, "vcpu") if "vcpu" in condition else None
    reason = {"timeslice": "budget", "fault": "guest page fault"}.get(kind, reason)
    if kind == "console":
        return _console_watch(lab, condition)
    if kind == "state":
        return lambda _vcpu, _reason: lab.vm(vm).state.value == condition["state"]
    return lambda vcpu, happened: (
        (vm is None or vcpu.vm.name == vm)
        and (number is None or vcpu.index == number)
        and (reason is None or happened == reason)
    )


def _console_watch(lab: Lab, condition: Condition) -> Watch:
    names = [condition["vm"]] if "vm" in condition else list(lab.hypervisor.vms)
    text = condition.get("text", "")
    seen = {name: (lab.vm(name).starts, lab.vm(name).console.length) for name in names}

    def printed(vcpu: Vcpu, _reason: str) -> bool:
        vm = vcpu.vm
        if vm.name not in seen:
            return False
        starts, length = seen[vm.name]
        if starts != vm.starts:
            length = 0
        if vm.console.length == length:
            return False
        return text in vm.console.since(max(0, length - len(text) + 1 if text else length))[1]

    return printed


def _until_exit(lab: Lab, watch: Watch, limit: int) -> bool:
    hypervisor = lab.hypervisor
    hypervisor.exit_watch = watch
    try:
        lab.advance(limit)
    finally:
        hypervisor.exit_watch = None
    return hypervisor.stopped and not hypervisor.finished


def _until_instruction(lab: Lab, condition: Condition, limit: int) -> bool:
    if "vm" not in condition and "address" not in condition:
        return _step_anyone(lab, limit)
    address = number_of(condition, "address") if "address" in condition else None
    while lab.position < limit:
        vcpu = _vcpu(lab, condition)
        if not _step(lab, vcpu, limit):
            return False
        if address is None or lab.hypervisor.registers(vcpu).pc == address:
            return True
    return False


def _step_anyone(lab: Lab, limit: int) -> bool:
    """Run until any vCPU has retired an instruction."""
    hypervisor = lab.hypervisor
    while lab.position < limit:
        pcpu = hypervisor.pcpus[hypervisor.turn]
        current = pcpu.current
        if current is not None:
            return _step(lab, current, limit)
        hypervisor.dispatch_watch = lambda _vcpu: True
        try:
            lab.advance(limit)
        finally:
            hypervisor.dispatch_watch = None
        if hypervisor.finished:
            return False
    return False


def _step(lab: Lab, vcpu: Vcpu, limit: int) -> bool:
    """Run until a vCPU has retired an instruction or exited. False at the limit, or when it never will."""
    hypervisor = lab.hypervisor
    before = (vcpu.retired, vcpu.exits)
    while (vcpu.retired, vcpu.exits) == before:
        if lab.position >= limit or vcpu.state is VcpuState.STOPPED:
            return False
        pcpu = hypervisor.pcpus[hypervisor.turn]
        ours = pcpu.current is vcpu
        rest = 1 if ours else hypervisor.quantum_end - pcpu.hart.clock
        hypervisor.dispatch_watch = lambda loaded: loaded is vcpu
        try:
            lab.advance(min(limit, lab.position + max(1, rest)))
        finally:
            hypervisor.dispatch_watch = None
        if hypervisor.finished:
            return False
    return True
