"""Faults of virtio devices as actions: `device_fault` and `device_heal`, for any device of a VM that is on.

A disk has faults of its own beside these (`storage_actions`), which its driver sees as failed requests.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast, get_args

from emulator.devices.virtio.faults import DeviceFault, FaultKind
from emulator.devices.virtio.mmio import VirtioMmio
from emulator.hypervisor.vm import ACTIVE, ON, SLOT_NAMES, Vm
from emulator.lab.errors import LabError
from emulator.lab.values import one_of, table_of, whole_number

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

Result = dict[str, Any]
MAX_FAULTS = 16


def _device(lab: Lab, arguments: Result) -> tuple[Vm, str, VirtioMmio]:
    """Return the device that an action names. Raises LabError."""
    vm = lab.vm(arguments.get("vm"))
    name = one_of(arguments.get("device"), "device", SLOT_NAMES)
    if vm.lifecycle not in ON or vm.board is None:
        raise LabError(f"{vm.name} is {vm.state.value}: its devices have no power; start it first", "vm")
    transport = vm.board.virtio.get(SLOT_NAMES.index(name))
    if transport is None:
        raise LabError(f"{vm.name} has no virtio {name}; add one while it is shut off", "device")
    return vm, name, transport


def _fault(lab: Lab, arguments: Result) -> Result:
    """Let a device hang or break after `skip` more requests."""
    table_of(arguments, "device_fault", ("vm", "device", "kind", "skip"))
    vm, name, transport = _device(lab, arguments)
    kinds = cast("tuple[FaultKind, ...]", get_args(FaultKind))
    kind = one_of(arguments.get("kind", "stall"), "kind", kinds)
    skip = whole_number(arguments.get("skip", 0), "skip", 0, 1_000_000)
    faults = transport.state.faults
    if len(faults) >= MAX_FAULTS:
        raise LabError(f"the {name} of {vm.name} has {MAX_FAULTS} faults already; heal it first", "vm")
    faults.append(DeviceFault(kind, skip))
    _note(lab, "device_fault", f"a fault was put into the {name} of {vm.name}: {kind}", vm)
    return {"vm": vm.name, "device": name, "faults": len(faults)}


def _heal(lab: Lab, arguments: Result) -> Result:
    """Take all faults out of a device; it serves what waits."""
    table_of(arguments, "device_heal", ("vm", "device"))
    vm, name, transport = _device(lab, arguments)
    transport.state.faults.clear()
    if vm.lifecycle in ACTIVE:
        transport.process_all()
    _note(lab, "device_heal", f"the {name} of {vm.name} has no faults any more", vm)
    return {"vm": vm.name, "device": name}


def _note(lab: Lab, verb: str, text: str, vm: Vm) -> None:
    lab.hypervisor.trace.log("action", verb, text, lab.position, lab.hypervisor.now, vm.name)


DEVICE_FAULT_VERBS: dict[str, Callable[[Lab, Result], Result]] = {
    "device_fault": _fault,
    "device_heal": _heal,
}
