"""The whole story of a guest page fault, taken down at the moment it happens.

A fault is an access to a GPA for which the VM's G-stage table has no entry that allows it. What is kept
here is raw: numbers, registers and the walk that the MMU made. Turning it into sentences is the lab's
business.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import (
    INSTRUCTION_ACCESS,
    INSTRUCTION_GUEST_PAGE,
    LOAD_ACCESS,
    LOAD_GUEST_PAGE,
    STORE_ACCESS,
    STORE_GUEST_PAGE,
    SUM,
)
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import HOLDS_MEMORY, OnFault, Vm
from emulator.machine.elf import Executable
from emulator.machine.host import Host, Trap
from emulator.state import (
    ACCESS_FETCH,
    ACCESS_LOAD,
    ACCESS_STORE,
    HART,
    NO_ADDRESS,
    PAGE_BYTES,
    RAM_BASE,
    WALK_REFERENCES,
)

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

ACCESSES = {
    INSTRUCTION_GUEST_PAGE: ACCESS_FETCH,
    LOAD_GUEST_PAGE: ACCESS_LOAD,
    STORE_GUEST_PAGE: ACCESS_STORE,
}
ACCESS_FAULTS = {
    INSTRUCTION_GUEST_PAGE: INSTRUCTION_ACCESS,
    LOAD_GUEST_PAGE: LOAD_ACCESS,
    STORE_GUEST_PAGE: STORE_ACCESS,
}
TO_GUEST = 4  # of Trap.mode: V=1
STORIES_KEPT = 64  # the newest of a lab
STORIES_PER_START = 16  # of a VM that goes on after its faults: the first ones, and the one that stops it
KEPT_BYTES = HART.offset("reservation")
PROVED_FAULTS = 8  # for so many faults after a start the neighbours' frames are digested


@dataclass(slots=True)
class Proof:
    """Digests over a neighbour's RAM frames, just before and just after the access was tried again."""

    vm: str
    before: str
    after: str


@dataclass(slots=True)
class Fault:
    """One guest page fault. `registers` is a HART record up to its TLBs, `walk` a WALK record."""

    id: int
    position: int
    clock: int
    vm: Vm
    vm_name: str
    vcpu: int
    pcpu: int
    cause: int
    access: int
    pc: int
    registers: bytes
    stval: int
    htval: int
    htinst: int
    gva: int
    gpa: int
    instruction: int | None
    walk: Any
    action: OnFault
    original: tuple[int, int, int] | None
    traps: list[Trap]  # the guest's own, before this one, since it was loaded
    proofs: list[Proof]
    memory: int  # bytes of RAM the VM had
    executable: Executable  # what the VM ran then
    table_gpas: dict[int, int]  # HFN -> GPA of the frames that hold the entries of `walk`


def fetch_instruction(host: Host, registers: Any, pc: int) -> int | None:
    """Return the 2 or 4 bytes of the instruction at a guest's pc as a number.

    None if it cannot be fetched.
    """
    low = fetch_halfword(host, registers, pc)
    if low < 0 or low & 3 != 3:
        return None if low < 0 else low
    high = fetch_halfword(host, registers, (pc + 2) & NO_ADDRESS)
    return None if high < 0 else high << 16 | low


def walk_guest(host: Host, registers: Any, gva: int, access: int) -> Any:
    """Return the WALK that the MMU makes for a guest's access; `registers` is a hart or a vCPU's context."""
    sum_bit = int(bool(registers.vsstatus & SUM))
    return host.translate(registers, gva, access, registers.priv, 1, sum_bit)


def fetch_halfword(host: Host, registers: Any, pc: int) -> int:
    """Return the 2 bytes at a guest's pc as a number, -1 if they cannot be fetched."""
    walk = walk_guest(host, registers, pc, ACCESS_FETCH)
    if walk.cause != NO_ADDRESS:
        return -1
    return int.from_bytes(host.read(walk.hpa, 2), "little")


def original_trap(hart: Any, cause: int) -> tuple[int, int, int] | None:
    """Return cause, pc and value of the guest's own trap if this fault is only its missing trap handler.

    A guest that never set stvec and takes a trap jumps to address 0, where no VM has memory.
    """
    handler = hart.vstvec & ~3
    if cause != INSTRUCTION_GUEST_PAGE or hart.pc != handler or not (hart.vscause or hart.vsepc):
        return None
    return hart.vscause, hart.vsepc, hart.vstval


def neighbours_of(hypervisor: Hypervisor, vm: Vm) -> list[Vm]:
    """Return the other VMs that have frames."""
    return [other for other in hypervisor.vms.values() if other is not vm and other.lifecycle in HOLDS_MEMORY]


def prove(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any) -> list[Proof]:
    """Try the faulting access once more, between two digests of every neighbour's frames.

    `hart` stands before the faulting instruction. Its state is put back afterwards, so that the second try
    leaves no trace.
    """
    host = hypervisor.host
    neighbours = neighbours_of(hypervisor, vcpu.vm)
    before = [hypervisor.pager.digest(other) for other in neighbours]
    saved = bytes(hart)[: HART.state_bytes]
    host.run(hart.hart_id, 1)
    ctypes.memmove(ctypes.addressof(hart), saved, len(saved))
    host.engine.flush_fast(hart)
    after = [hypervisor.pager.digest(other) for other in neighbours]
    return [Proof(other.name, one, two) for other, one, two in zip(neighbours, before, after, strict=True)]


def capture(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any, cause: int, action: OnFault, number: int) -> Fault:
    """Take down the story of the guest page fault that `hart` has just reported, as event `number`."""
    assert vcpu.pcpu is not None
    vm, host = vcpu.vm, hypervisor.host
    registers = HART.struct.from_buffer_copy(bytes(hart)[:KEPT_BYTES].ljust(HART.size, b"\0"))
    if vm.shadow is not None and vm.gstage is not None:
        # The story is told with the two tables that the shadow stands for.
        registers.vsatp, registers.hgatp = vcpu.satp, vm.gstage.hgatp(vm.vmid)
    gva, access = hart.stval, ACCESSES[cause]
    walk = walk_guest(host, registers, gva, access)
    return Fault(
        id=number,
        position=hypervisor.position,
        clock=hart.clock,
        vm=vm,
        vm_name=vm.name,
        vcpu=vcpu.index,
        pcpu=vcpu.pcpu,
        cause=cause,
        access=access,
        pc=hart.pc,
        registers=bytes(registers)[:KEPT_BYTES],
        stval=hart.stval,
        htval=hart.htval,
        htinst=hart.htinst,
        gva=gva,
        gpa=guest_physical_address(hart),
        instruction=fetch_instruction(host, registers, hart.pc),
        walk=walk,
        action=action,
        original=original_trap(hart, cause),
        traps=_traps_before(hypervisor, vcpu),
        memory=vm.settings.memory,
        executable=vm.settings.executable,
        table_gpas=_table_gpas(hypervisor, walk),
        proofs=prove(hypervisor, vcpu, hart) if vm.fault_count <= PROVED_FAULTS else [],
    )


def _traps_before(hypervisor: Hypervisor, vcpu: Vcpu) -> list[Trap]:
    """Return the traps of a vCPU since it was loaded, without this one and shadow misses on the way."""
    assert vcpu.pcpu is not None
    traps = hypervisor.host.traps(vcpu.pcpu, hypervisor.pcpus[vcpu.pcpu].loaded_at)[:-1]
    return [trap for trap in traps if vcpu.vm.shadow is None or trap.mode & TO_GUEST]


def _table_gpas(hypervisor: Hypervisor, walk: Any) -> dict[int, int]:
    """Return the GPAs of the frames that hold the entries of a walk, as far as a guest can see them."""
    count = min(walk.count, WALK_REFERENCES)
    frames = [(walk.address[index] - RAM_BASE) // PAGE_BYTES for index in range(count)]
    placed = ((hfn, hypervisor.partition.gpa(hfn)) for hfn in frames)
    return {hfn: gpa for hfn, gpa in placed if gpa is not None}


def guest_physical_address(hart: Any) -> int:
    """Return the GPA of a guest page fault: htval holds it shifted right by 2, stval its low bits."""
    return hart.htval << 2 | hart.stval & 3
