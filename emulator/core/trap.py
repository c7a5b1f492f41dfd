"""Traps: which interrupt is due, where a trap goes, what it writes, and the way back.

Privileged ISA 20240411, sections 3.1, 10.1 and 18.6.
"""

from emulator.core.csr import pending
from emulator.core.csr_bits import (
    GVA,
    HSTATUS_GVA,
    INTERRUPT,
    MIE,
    MPIE,
    MPP,
    MPP_LOW,
    MPRV,
    MPV,
    SIE,
    SPIE,
    SPP,
    SPV,
    SPVP,
)
from emulator.core.intrinsics import store_u64
from emulator.core.tinst import note_instruction
from emulator.state import EVENT_TRAP, NO_TRAP, PRIV_M, PRIV_S, PRIV_U

EVENT_BYTES = 64


def due_interrupt(hart, host):
    """Cause of the interrupt to take now (bit 63 set), or NO_TRAP."""
    waiting = pending(hart, host) & hart.mie
    if waiting == 0:
        return NO_TRAP
    machine = waiting & ~hart.mideleg
    if machine and (hart.priv < PRIV_M or (hart.mstatus & MIE)):
        return INTERRUPT | first_interrupt(machine)
    if hart.priv == PRIV_M:
        return NO_TRAP
    hypervisor = waiting & hart.mideleg & ~hart.hideleg
    if hypervisor and (hart.virt or hart.priv < PRIV_S or (hart.mstatus & SIE)):
        return INTERRUPT | first_interrupt(hypervisor)
    guest = waiting & hart.hideleg
    if guest and hart.virt and (hart.priv < PRIV_S or (hart.vsstatus & SIE)):
        return INTERRUPT | first_interrupt(guest)
    return NO_TRAP


def first_interrupt(bits):
    """The interrupt that goes first: "MEI, MSI, MTI, SEI, SSI, STI, SGEI, VSEI, VSSI, VSTI"."""
    if bits & (1 << 11):
        return 11
    if bits & (1 << 3):
        return 3
    if bits & (1 << 7):
        return 7
    if bits & (1 << 9):
        return 9
    if bits & (1 << 1):
        return 1
    if bits & (1 << 5):
        return 5
    if bits & (1 << 12):
        return 12
    if bits & (1 << 10):
        return 10
    if bits & (1 << 2):
        return 2
    return 6


def take_trap(hart, host, cause, pc):
    """Deliver a trap: write the target mode's CSRs and enter it. Returns the new pc.

    `hart.trap_tval`, `trap_gpa`, `trap_inst`, `trap_gva` describe an exception; an interrupt has none of
    them.
    """
    code = cause & 0x3F
    is_interrupt = cause >> 63
    if is_interrupt:
        hart.trap_tval = 0
        hart.trap_gpa = 0
        hart.trap_inst = 0
        hart.trap_gva = 0
        hart.interrupts_taken += 1
    hart.traps_taken += 1
    lower = hart.mideleg if is_interrupt else hart.medeleg
    guest = hart.hideleg if is_interrupt else hart.hedeleg
    to_machine = hart.priv == PRIV_M or ((lower >> code) & 1) == 0
    if not to_machine and hart.virt and ((guest >> code) & 1):
        target = enter_guest(hart, cause, code, is_interrupt, pc)
    else:
        note_instruction(hart, host, cause, pc)
        target = enter_machine(hart, cause, pc) if to_machine else enter_hypervisor(hart, cause, pc)
    hart.trap_offset = 0
    record_trap(hart, host, cause, pc)
    return target


def vectored(tvec, code, is_interrupt):
    base = tvec & ~3
    return base + 4 * code if is_interrupt and (tvec & 1) else base


def enter_machine(hart, cause, pc):
    status = hart.mstatus & ~(MPP | MPV | GVA | MPIE)
    status |= hart.priv << MPP_LOW
    if hart.virt:
        status |= MPV
    if hart.trap_gva:
        status |= GVA
    if hart.mstatus & MIE:
        status |= MPIE
    hart.mstatus = status & ~MIE
    hart.mepc = pc
    hart.mcause = cause
    hart.mtval = hart.trap_tval
    hart.mtval2 = hart.trap_gpa >> 2
    hart.mtinst = hart.trap_inst
    hart.priv = PRIV_M
    hart.virt = 0
    return vectored(hart.mtvec, cause & 0x3F, cause >> 63)


def enter_hypervisor(hart, cause, pc):
    status = hart.hstatus & ~(SPV | HSTATUS_GVA)
    if hart.virt:
        # "SPVP is left unchanged" when the trap comes from V=0.
        status = (status & ~SPVP) | SPV | (SPVP if hart.priv == PRIV_S else 0)
    if hart.trap_gva:
        status |= HSTATUS_GVA
    hart.hstatus = status
    hart.mstatus = trapped_status(hart.mstatus, hart.priv)
    hart.sepc = pc
    hart.scause = cause
    hart.stval = hart.trap_tval
    hart.htval = hart.trap_gpa >> 2
    hart.htinst = hart.trap_inst
    hart.priv = PRIV_S
    hart.virt = 0
    return vectored(hart.stvec, cause & 0x3F, cause >> 63)


def enter_guest(hart, cause, code, is_interrupt, pc):
    # "VS-level interrupts ... cause codes 2, 6, 10 appear to the guest as supervisor interrupts 1, 5, 9"
    seen = code - 1 if is_interrupt else code
    hart.vsstatus = trapped_status(hart.vsstatus, hart.priv)
    hart.vsepc = pc
    hart.vscause = (cause & INTERRUPT) | seen
    hart.vstval = hart.trap_tval
    hart.priv = PRIV_S
    return vectored(hart.vstvec, seen, is_interrupt)


def trapped_status(status, priv):
    """sstatus or vsstatus after a trap: SPP and SPIE remember, SIE is off."""
    fresh = status & ~(SPP | SPIE | SIE)
    if priv == PRIV_S:
        fresh |= SPP
    if status & SIE:
        fresh |= SPIE
    return fresh


def returned_status(status):
    """sstatus or vsstatus after SRET."""
    fresh = (status & ~(SPP | SIE)) | SPIE
    if status & SPIE:
        fresh |= SIE
    return fresh


def return_from_machine(hart):
    status = hart.mstatus
    hart.priv = (status & MPP) >> MPP_LOW
    hart.virt = 1 if (status & MPV) and hart.priv != PRIV_M else 0
    fresh = (status & ~(MPP | MPV | MIE)) | MPIE
    if status & MPIE:
        fresh |= MIE
    if hart.priv != PRIV_M:
        fresh &= ~MPRV
    hart.mstatus = fresh
    return hart.mepc


def return_from_hypervisor(hart):
    hart.virt = 1 if hart.hstatus & SPV else 0
    hart.priv = PRIV_S if hart.mstatus & SPP else PRIV_U
    hart.hstatus &= ~SPV
    hart.mstatus = returned_status(hart.mstatus) & ~MPRV
    return hart.sepc


def return_from_guest(hart):
    hart.priv = PRIV_S if hart.vsstatus & SPP else PRIV_U
    hart.vsstatus = returned_status(hart.vsstatus)
    return hart.vsepc


def record_trap(hart, host, cause, pc):
    """Append the trap to the host's event ring; old events are overwritten."""
    event = host.events + (host.event_count % host.event_capacity) * EVENT_BYTES
    store_u64(event, hart.clock + hart.retired)
    store_u64(event + 8, EVENT_TRAP)
    store_u64(event + 16, hart.hart_id)
    store_u64(event + 24, cause)
    store_u64(event + 32, pc)
    store_u64(event + 40, hart.trap_tval)
    store_u64(event + 48, hart.virt << 2 | hart.priv)
    store_u64(event + 56, hart.trap_gpa)
    host.event_count += 1


def raise_exception(hart, cause, tval, gva):
    """Note an exception that is not about memory translation."""
    hart.trap_cause = cause
    hart.trap_tval = tval
    hart.trap_gpa = 0
    hart.trap_inst = 0
    hart.trap_gva = gva
