"""What a watched range of a VM's memory is for the machine's debug stops (`emulator.machine.debug`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from emulator.hypervisor.faults import walk_guest
from emulator.hypervisor.shadow import as_nested
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import Vm
from emulator.isa.causes import describe
from emulator.lab.errors import LabError
from emulator.machine.debug import Watchpoint
from emulator.state import ACCESS_LOAD, NO_ADDRESS, PAGE_BYTES, WATCH_LOAD, WATCH_STORE

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

KINDS = {"any": WATCH_LOAD | WATCH_STORE, "load": WATCH_LOAD, "store": WATCH_STORE}


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
