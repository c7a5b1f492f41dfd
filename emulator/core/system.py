"""System instructions: one function each (Privileged ISA 20240411, 3.3, 10.2, 18.3; "Svinval").

Every function takes `(hart, host, a, b, by_a, by_b, pc)`: the operands rs1 and rs2, whether each is a
register other than x0, and the address of the instruction. It returns the next pc, or notes an exception in
`hart.trap_cause`.
"""

from emulator.core.csr_bits import (
    BREAKPOINT,
    ECALL_M,
    ECALL_S,
    ECALL_U,
    ECALL_VS,
    HU,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_MISALIGNED,
    TSR,
    TVM,
    TW,
    VIRTUAL_INSTRUCTION,
    VTSR,
    VTVM,
    VTW,
)
from emulator.core.tlb import flush
from emulator.core.trap import raise_exception, return_from_guest, return_from_hypervisor, return_from_machine
from emulator.state import NO_TRAP, PRIV_M, PRIV_S, PRIV_U, WAIT_INTERRUPT


def refuse_instruction(hart, cause, pc):
    """Illegal or virtual instruction; `run` puts the instruction's bits into tval."""
    raise_exception(hart, cause, 0, 0)
    return pc


def aligned_target(hart, target, pc):
    """Where a jump goes on a hart without compressed instructions: nowhere if to an odd halfword.

    "The exception is reported on the branch or jump instruction, not on the target instruction."
    """
    if target & 2:
        raise_exception(hart, INSTRUCTION_MISALIGNED, target, hart.virt)
        return pc
    return target


def ecall(hart, host, a, b, by_a, by_b, pc):
    cause = ECALL_U
    if hart.priv == PRIV_M:
        cause = ECALL_M
    elif hart.priv == PRIV_S:
        cause = ECALL_VS if hart.virt else ECALL_S
    raise_exception(hart, cause, 0, 0)
    return pc


def ebreak(hart, host, a, b, by_a, by_b, pc):
    raise_exception(hart, BREAKPOINT, pc, hart.virt)
    return pc


def mret(hart, host, a, b, by_a, by_b, pc):
    if hart.priv != PRIV_M:
        return refuse_instruction(hart, ILLEGAL_INSTRUCTION, pc)
    return return_from_machine(hart)


def sret(hart, host, a, b, by_a, by_b, pc):
    if hart.virt:
        if hart.priv == PRIV_U or (hart.hstatus & VTSR):
            return refuse_instruction(hart, VIRTUAL_INSTRUCTION, pc)
        return return_from_guest(hart)
    if hart.priv == PRIV_U or (hart.priv == PRIV_S and (hart.mstatus & TSR)):
        return refuse_instruction(hart, ILLEGAL_INSTRUCTION, pc)
    return return_from_hypervisor(hart)


def wfi(hart, host, a, b, by_a, by_b, pc):
    if hart.priv != PRIV_M and (hart.mstatus & TW):
        return refuse_instruction(hart, ILLEGAL_INSTRUCTION, pc)
    if hart.virt and (hart.priv == PRIV_U or (hart.hstatus & VTW)):
        return refuse_instruction(hart, VIRTUAL_INSTRUCTION, pc)
    if hart.priv == PRIV_U:
        return refuse_instruction(hart, ILLEGAL_INSTRUCTION, pc)
    hart.trap_cause = WAIT_INTERRUPT
    return pc + 4


def fence_refusal(hart):
    """Cause for an SFENCE.VMA or SINVAL.VMA here, or NO_TRAP."""
    if hart.virt:
        return VIRTUAL_INSTRUCTION if hart.priv == PRIV_U or (hart.hstatus & VTVM) else NO_TRAP
    if hart.priv == PRIV_U or (hart.priv == PRIV_S and (hart.mstatus & TVM)):
        return ILLEGAL_INSTRUCTION
    return NO_TRAP


def hypervisor_refusal(hart):
    """Cause for a hypervisor instruction here, or NO_TRAP."""
    if hart.virt:
        return VIRTUAL_INSTRUCTION
    return ILLEGAL_INSTRUCTION if hart.priv == PRIV_U else NO_TRAP


def sfence_vma(hart, host, a, b, by_a, by_b, pc):
    cause = fence_refusal(hart)
    if cause != NO_TRAP:
        return refuse_instruction(hart, cause, pc)
    # In VS-mode a fence reaches the translations of the current VMID only.
    flush(hart, hart.virt, by_a, a, by_b, b, hart.virt, hart.hgatp >> 44)
    return pc + 4


def sinval_vma(hart, host, a, b, by_a, by_b, pc):
    return sfence_vma(hart, host, a, b, by_a, by_b, pc)


def hfence_vvma(hart, host, a, b, by_a, by_b, pc):
    cause = hypervisor_refusal(hart)
    if cause != NO_TRAP:
        return refuse_instruction(hart, cause, pc)
    flush(hart, 1, by_a, a, by_b, b, 1, hart.hgatp >> 44)
    return pc + 4


def hinval_vvma(hart, host, a, b, by_a, by_b, pc):
    return hfence_vvma(hart, host, a, b, by_a, by_b, pc)


def hfence_gvma(hart, host, a, b, by_a, by_b, pc):
    cause = hypervisor_refusal(hart)
    if cause == NO_TRAP and hart.priv == PRIV_S and (hart.mstatus & TVM):
        cause = ILLEGAL_INSTRUCTION
    if cause != NO_TRAP:
        return refuse_instruction(hart, cause, pc)
    # Entries are tagged by guest virtual page, so a guest physical address cannot pick among them: all of the
    # VMID go.
    flush(hart, 1, 0, 0, 0, 0, by_b, b)
    return pc + 4


def hinval_gvma(hart, host, a, b, by_a, by_b, pc):
    return hfence_gvma(hart, host, a, b, by_a, by_b, pc)


def inval_order_refusal(hart):
    """SFENCE.W.INVAL and SFENCE.INVAL.IR need S- or VS-mode; they order, which all is here anyway."""
    if hart.priv != PRIV_U:
        return NO_TRAP
    return VIRTUAL_INSTRUCTION if hart.virt else ILLEGAL_INSTRUCTION


def sfence_w_inval(hart, host, a, b, by_a, by_b, pc):
    cause = inval_order_refusal(hart)
    if cause != NO_TRAP:
        return refuse_instruction(hart, cause, pc)
    return pc + 4


def sfence_inval_ir(hart, host, a, b, by_a, by_b, pc):
    return sfence_w_inval(hart, host, a, b, by_a, by_b, pc)


def guest_access_refusal(hart):
    """Cause for HLV, HLVX or HSV here, or NO_TRAP. hstatus.HU lends them to U-mode."""
    if hart.virt:
        return VIRTUAL_INSTRUCTION
    if hart.priv == PRIV_U and (hart.hstatus & HU) == 0:
        return ILLEGAL_INSTRUCTION
    return NO_TRAP
