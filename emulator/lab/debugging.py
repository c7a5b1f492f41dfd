"""Running to a breakpoint or to an access, at full speed: the machine's debug stops, set for one search.

The stops are the machine's own (`emulator.machine.debug`): the guest cannot see them, and the run goes
through the same states as one without them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.faults import walk_guest
from emulator.hypervisor.shadow import as_nested
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import Vm
from emulator.isa.causes import describe
from emulator.lab.errors import LabError
from emulator.machine.debug import Breakpoint, Stop, Watchpoint
from emulator.state import ACCESS_LOAD, NO_ADDRESS, PAGE_BYTES, WATCH_LOAD, WATCH_STORE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

KINDS = {"any": WATCH_LOAD | WATCH_STORE, "load": WATCH_LOAD, "store": WATCH_STORE}


def until_breakpoint(lab: Lab, vm: Vm, index: int | None, address: int, limit: int) -> bool:
    """Run until a vCPU of a VM (any, or number `index`) is about to execute the instruction at a GVA."""
    host = lab.hypervisor.host
    breakpoint = Breakpoint(address, vmid=vm.tag)
    host.set_breakpoint(breakpoint)
    try:
        return _until_stop(lab, breakpoint, vm, index, limit)
    finally:
        host.clear_breakpoint(breakpoint)


def until_access(lab: Lab, vm: Vm, index: int | None, watchpoint: Watchpoint, limit: int) -> bool:
    """Run until a vCPU of a VM (any, or number `index`) has touched a range of memory."""
    host = lab.hypervisor.host
    host.watch(watchpoint)
    try:
        return _until_stop(lab, watchpoint, vm, index, limit)
    finally:
        host.unwatch(watchpoint)


def _until_stop(lab: Lab, cause: Breakpoint | Watchpoint, vm: Vm, index: int | None, limit: int) -> bool:
    hypervisor = lab.hypervisor

    def is_wanted(vcpu: Vcpu, stop: Stop) -> bool:
        return stop.cause == cause and vcpu.vm is vm and (index is None or vcpu.index == index)

    hypervisor.debug_watch = is_wanted
    try:
        lab.advance(limit)
    finally:
        hypervisor.debug_watch = None
    return hypervisor.stopped and not hypervisor.finished


def guest_physical(lab: Lab, vcpu: Vcpu, gva: int) -> int:
    """Return where a vCPU's tables map a GVA now. Raises LabError if they do not."""
    walk = walk_guest(lab.hypervisor.host, as_nested(vcpu, lab.hypervisor.registers(vcpu)), gva, ACCESS_LOAD)
    if walk.gpa == NO_ADDRESS:
        raise LabError(
            f"{vcpu.vm.name} does not map {gva:#x} now ({describe(walk.cause).name});"
            ' run until it does, or give a GPA with space "gpa"',
            "address",
        )
    return walk.gpa


def range_of(vm: Vm, gpa: int, length: int, kinds: int) -> Watchpoint:
    """Return what to watch for a range of a VM's memory, within a page. Raises LabError."""
    if not 1 <= length <= PAGE_BYTES - gpa % PAGE_BYTES:
        most = PAGE_BYTES - gpa % PAGE_BYTES
        raise LabError(f"length is {length}; a watched range is within a page: 1 to {most} here", "length")
    if not vm.contains(gpa, length):
        raise LabError(f"GPA {gpa:#x} is not in the memory of {vm.name}", "address")
    return Watchpoint(vm.hpa(gpa), length, kinds)
