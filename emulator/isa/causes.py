"""Why a hart trapped: the numbers of `scause`, `mcause`, `vscause`, their names, and a student's sentence.

Source: The RISC-V Instruction Set Manual, Volume II (Privileged, 20240411), "Machine Cause (mcause) Register"
and "Hypervisor Extension", table of trap cause codes. Left out: codes designated for custom use.
"""

from collections.abc import Mapping
from typing import NamedTuple

INTERRUPT_BIT = 1 << 63


class Cause(NamedTuple):
    """A trap cause: its code without the interrupt bit, the specification's name, and what it means."""

    code: int
    name: str
    explanation: str


_EXCEPTIONS = (
    (0, "instruction address misaligned", "A jump or branch went to an address that is not even."),
    (
        1,
        "instruction access fault",
        "An instruction was fetched from a physical address where there is no memory.",
    ),
    (
        2,
        "illegal instruction",
        "The word at pc is no instruction, or this privilege level may not execute it.",
    ),
    (3, "breakpoint", "The program executed ebreak, which asks a debugger to take over."),
    (
        4,
        "load address misaligned",
        "A load's address is not a multiple of its size, and this access must be.",
    ),
    (5, "load access fault", "A load went to a physical address where there is no memory."),
    (6, "store/AMO address misaligned", "A store's or atomic's address is not a multiple of its size."),
    (7, "store/AMO access fault", "A store or atomic went to a physical address where there is no memory."),
    (
        8,
        "environment call from U-mode or VU-mode",
        "A user program executed ecall to ask its kernel for a service.",
    ),
    (
        9,
        "environment call from HS-mode",
        "A kernel or hypervisor executed ecall to ask the firmware for a service.",
    ),
    (10, "environment call from VS-mode", "A guest kernel executed ecall: a hypercall to its hypervisor."),
    (11, "environment call from M-mode", "Machine-mode firmware executed ecall."),
    (12, "instruction page fault", "The program's page table has no executable page at pc."),
    (13, "load page fault", "The page table has no readable page at the address of this load."),
    (
        15,
        "store/AMO page fault",
        "The page table has no writable page at the address of this store or atomic.",
    ),
    (16, "double trap", "A trap happened while another one was being handled and none could be taken."),
    (18, "software check", "A control-flow integrity check failed."),
    (19, "hardware error", "The hardware found an uncorrectable error, such as a broken memory cell."),
    (
        20,
        "instruction guest-page fault",
        "The hypervisor's G-stage table maps no executable page for this fetch.",
    ),
    (
        21,
        "load guest-page fault",
        "The hypervisor's G-stage table maps no readable page for this guest load.",
    ),
    (
        22,
        "virtual instruction",
        "A guest executed an instruction that only its hypervisor may execute for it.",
    ),
    (
        23,
        "store/AMO guest-page fault",
        "The hypervisor's G-stage table maps no writable page for this guest store.",
    ),
)
_INTERRUPTS = (
    (1, "supervisor software interrupt", "Another hart, or the firmware, sent the supervisor a signal."),
    (2, "virtual supervisor software interrupt", "The hypervisor sends this guest's vCPU a signal (an IPI)."),
    (3, "machine software interrupt", "Another hart sent machine mode a signal."),
    (5, "supervisor timer interrupt", "The time the supervisor asked for has come."),
    (6, "virtual supervisor timer interrupt", "The time the guest asked for has come."),
    (7, "machine timer interrupt", "The machine timer has reached its compare value."),
    (9, "supervisor external interrupt", "A device wants the supervisor's attention."),
    (10, "virtual supervisor external interrupt", "A device wants the guest's attention."),
    (11, "machine external interrupt", "A device wants machine mode's attention."),
    (12, "supervisor guest external interrupt", "A device assigned to a guest wants attention."),
    (13, "local counter overflow interrupt", "A performance counter of this hart has overflowed."),
)

EXCEPTIONS: Mapping[int, Cause] = {code: Cause(code, *text) for code, *text in _EXCEPTIONS}
INTERRUPTS: Mapping[int, Cause] = {code: Cause(code, *text) for code, *text in _INTERRUPTS}


def describe(cause: int) -> Cause:
    """Return what a value of `scause`, `mcause` or `vscause` means; reserved codes get a name that says so.

    Args:
        cause: The 64-bit register; bit 63 set means an interrupt.
    """
    code = cause & INTERRUPT_BIT - 1
    known, sort = (INTERRUPTS, "interrupt") if cause & INTERRUPT_BIT else (EXCEPTIONS, "exception")
    return known.get(code) or Cause(
        code, f"reserved {sort} {code}", "The specification gives this code no meaning."
    )
