"""What the hypervisor does when a guest comes out of a hart: one handler for each reason.

A hosted hart that traps to HS-mode is left as hardware would leave it: `sepc`, `scause`, `stval`, `htval`,
`htinst`, `hstatus`, V=0 (Privileged ISA 20240411, 18.6). `handle_trap` first puts pc and mode back to where
the guest was, so that handlers see the guest and may change it; entering it again is then nothing but
another run.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from emulator.core.csr_bits import (
    ECALL_VS,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_GUEST_PAGE,
    LOAD_GUEST_PAGE,
    SIE,
    SPIE,
    SPP,
    STORE_GUEST_PAGE,
    VIRTUAL_INSTRUCTION,
)
from emulator.hypervisor import emulation, faults, lifecycle, mmio, sbi, sbi_pmu, shadow
from emulator.hypervisor.memory import pager
from emulator.hypervisor.vcpu import Vcpu
from emulator.hypervisor.vm import OnFault
from emulator.isa.causes import describe
from emulator.state import NO_ADDRESS, PRIV_S, RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

# htinst of an access to an entry of the guest's own page table (Privileged ISA 20240411, 18.6.3).
PAGE_TABLE_ACCESSES = (0x3000, 0x3020)

REASONS = {
    ECALL_VS: "sbi",
    INSTRUCTION_GUEST_PAGE: "guest page fault",
    LOAD_GUEST_PAGE: "guest page fault",
    STORE_GUEST_PAGE: "guest page fault",
    VIRTUAL_INSTRUCTION: "virtual instruction",
}


def handle_trap(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any) -> str:
    """Handle a trap to HS-mode, charge for it and log it; return the exit reason."""
    cause = hart.scause
    pc = hart.pc = hart.sepc
    hart.virt = 1
    hart.priv = PRIV_S if hart.mstatus & SPP else 0
    reason = REASONS.get(cause) or describe(cause).name
    gpa, walk = 0, None
    if vcpu.vm.shadow is not None:
        reason, cause, walk = _sort_by_shadow(vcpu, hart, cause, reason)
    if reason == "guest page fault":
        gpa = faults.guest_physical_address(hart)
        if gpa >= RAM_BASE:
            reason = hypervisor.pager.kind_of_fault(vcpu.vm, gpa) or reason
        elif _is_device_access(hypervisor, vcpu, hart, cause, gpa):
            reason = "mmio"
    hypervisor.begin_exit(vcpu, reason)
    if reason == "sbi":
        text = sbi.call(hypervisor, vcpu, hart)
    elif reason == "mmio":
        text = _device_access(hypervisor, vcpu, hart, cause, gpa)
    elif reason == "guest page fault":
        text = _guest_page_fault(hypervisor, vcpu, hart, cause, gpa)
    elif reason in shadow.REASONS:
        text = _serve_shadow(vcpu, hart, reason, cause, walk)
    elif reason in pager.REASONS:
        text = hypervisor.pager.serve(vcpu, gpa)
    elif reason == "virtual instruction":
        text = emulation.csr_access(hypervisor, vcpu, hart) or _virtual_instruction(vcpu, hart)
    else:
        text = _unexpected(hypervisor, vcpu, reason)
    hypervisor.end_exit(vcpu, reason, text, pc)
    return reason


def inject_exception(hart: Any, cause: int, value: int) -> None:
    """Make the guest take an exception of its own, as the hart would have done itself."""
    status = hart.vsstatus & ~(SPP | SPIE | SIE)
    if hart.priv == PRIV_S:
        status |= SPP
    if hart.vsstatus & SIE:
        status |= SPIE
    hart.vsstatus = status
    hart.vsepc = hart.pc
    hart.vscause = cause
    hart.vstval = value
    hart.pc = hart.vstvec & ~3
    hart.priv = PRIV_S


def _virtual_instruction(vcpu: Vcpu, hart: Any) -> str:
    """Nothing is emulated: the guest gets the illegal instruction that a machine without H would raise."""
    word = hart.stval
    vcpu.pmu.count(sbi_pmu.ILLEGAL_INSTRUCTION)
    inject_exception(hart, ILLEGAL_INSTRUCTION, word)
    return f"instruction {word:#010x} is reserved for the hypervisor: illegal instruction injected"


def _sort_by_shadow(vcpu: Vcpu, hart: Any, cause: int, reason: str) -> tuple[str, int, Any]:
    """Return reason, cause and the guest's walk of a trap of a VM with shadow paging."""
    assert vcpu.vm.shadow is not None
    if cause in shadow.PAGE_FAULTS:
        kind, cause, walk = vcpu.vm.shadow.sort(vcpu, hart, cause)
        return kind or "guest page fault", cause, walk
    if cause == VIRTUAL_INSTRUCTION:
        return vcpu.vm.shadow.kind_of_instruction(hart) or reason, cause, None
    return reason, cause, None


def _serve_shadow(vcpu: Vcpu, hart: Any, reason: str, cause: int, walk: Any) -> str:
    assert vcpu.vm.shadow is not None
    if reason == shadow.MISS:
        return vcpu.vm.shadow.serve_miss(vcpu, hart, cause, walk)
    if reason == shadow.REFLECTED:
        inject_exception(hart, cause, hart.stval)
        return f"{describe(cause).name} by the guest's own table: injected"
    return vcpu.vm.shadow.serve_instruction(vcpu, hart, reason)


def _unexpected(hypervisor: Hypervisor, vcpu: Vcpu, reason: str) -> str:
    lifecycle.crash(hypervisor, vcpu.vm, f"{reason}, which no guest can cause here")
    return f"{reason}: the VM was stopped"


def _is_device_access(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any, cause: int, gpa: int) -> bool:
    """A load or store of the program itself, where a device is."""
    if cause == INSTRUCTION_GUEST_PAGE or hart.htinst in PAGE_TABLE_ACCESSES:
        return False
    board = vcpu.vm.board
    return board is not None and (board.has(gpa) or emulation.covers(hypervisor.desk, gpa))


def _device_access(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any, cause: int, gpa: int) -> str:
    if emulation.covers(hypervisor.desk, gpa):
        done = emulation.device_access(hypervisor, vcpu, hart, gpa)
        if done is not None:
            return done
    instruction = mmio.instruction_of(hypervisor.host, hart)
    assert vcpu.vm.board is not None
    done = mmio.emulate(hart, vcpu.vm.board, instruction, gpa) if instruction else None
    if done is None:
        _inject_access_fault(vcpu, hart, cause)
        return f"no device takes this access to GPA {gpa:#x}: access fault injected"
    return done


def _guest_page_fault(hypervisor: Hypervisor, vcpu: Vcpu, hart: Any, cause: int, gpa: int) -> str:
    vm = vcpu.vm
    vm.fault_count += 1
    text = f"{describe(cause).name} at GPA {gpa:#x}"
    action = _allowed_action(vm.settings.on_fault, cause)
    if vm.fault_count <= faults.STORIES_PER_START or action == "crash":
        fault = faults.capture(hypervisor, vcpu, hart, cause, action, hypervisor.trace.next_event)
        hypervisor.record_fault(fault, text)
    if action == "skip":
        # The low two bits of an instruction tell its length. It was fetched, so it can be fetched again.
        length = 4 if mmio.fetched(hypervisor.host, hart) & 3 == 3 else 2
        hart.pc = (hart.pc + length) & NO_ADDRESS
    elif action == "inject":
        _inject_access_fault(vcpu, hart, cause)
    else:
        lifecycle.crash(hypervisor, vm, text)
    return text


def _inject_access_fault(vcpu: Vcpu, hart: Any, cause: int) -> None:
    if cause != INSTRUCTION_GUEST_PAGE:
        load = cause == LOAD_GUEST_PAGE
        vcpu.pmu.count(sbi_pmu.ACCESS_LOAD if load else sbi_pmu.ACCESS_STORE)
    inject_exception(hart, faults.ACCESS_FAULTS[cause], hart.stval)


def _allowed_action(wanted: OnFault, cause: int) -> OnFault:
    """A fetch cannot be skipped: where would the next instruction be?"""
    return "crash" if wanted == "skip" and cause == INSTRUCTION_GUEST_PAGE else wanted
