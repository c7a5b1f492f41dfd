"""WFI: where it is refused, what it waits for, and what ends it (Privileged ISA 3.3.3, 3.1.6.5, 18.2.1)."""

import pytest

from emulator.core.csr_bits import (
    ILLEGAL_INSTRUCTION,
    MEI,
    MTI,
    S_INTERRUPTS,
    SEI,
    SIE,
    SSI,
    STI,
    TW,
    VIRTUAL_INSTRUCTION,
    VS_INTERRUPTS,
    VSEI,
    VSSI,
    VTW,
)
from emulator.state import EXIT_BUDGET, EXIT_WFI, PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, Machine

MODES = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}
WAITS = None


def ready(machine: Machine, mode: str) -> None:
    machine.code("wfi\n nop\n nop")
    machine.hart.medeleg, machine.hart.mideleg = 0, S_INTERRUPTS | VS_INTERRUPTS
    machine.hart.hideleg = VS_INTERRUPTS
    machine.enter(*MODES[mode])


@pytest.mark.parametrize(
    ("mode", "tw", "vtw", "outcome"),
    [
        ("M", 0, 0, WAITS),
        ("M", 1, 1, WAITS),
        ("S", 0, 0, WAITS),
        ("S", 0, 1, WAITS),
        ("S", 1, 0, ILLEGAL_INSTRUCTION),
        ("U", 0, 0, ILLEGAL_INSTRUCTION),
        ("U", 1, 1, ILLEGAL_INSTRUCTION),
        ("VS", 0, 0, WAITS),
        ("VS", 0, 1, VIRTUAL_INSTRUCTION),
        ("VS", 1, 0, ILLEGAL_INSTRUCTION),
        ("VS", 1, 1, ILLEGAL_INSTRUCTION),
        ("VU", 0, 0, VIRTUAL_INSTRUCTION),
        ("VU", 0, 1, VIRTUAL_INSTRUCTION),
        ("VU", 1, 0, ILLEGAL_INSTRUCTION),
    ],
)
def test_tw_and_vtw_say_where_a_hart_may_wait(
    machine: Machine, mode: str, tw: int, vtw: int, outcome: int | None
) -> None:
    ready(machine, mode)
    hart = machine.hart
    hart.mstatus, hart.hstatus, hart.mcause = TW * tw, VTW * vtw, 99
    reason = machine.run(1)
    if outcome is WAITS:
        assert (reason, hart.pc, hart.mcause) == (EXIT_WFI, CODE + 4, 99)
    else:
        assert (reason, hart.mepc, hart.mcause) == (EXIT_BUDGET, CODE, outcome)
        assert hart.mtval == 0x1050_0073


@pytest.mark.parametrize("mode", ["S", "VS"])
def test_a_refused_wait_is_refused_although_an_interrupt_would_end_it(machine: Machine, mode: str) -> None:
    """The time limit of TW is zero here, so that whether WFI traps does not depend on what is pending."""
    ready(machine, mode)
    machine.hart.mstatus, machine.hart.mcause = TW, 99
    machine.hart.mie = machine.hart.hvip = VSSI
    machine.run(1)
    assert machine.hart.mcause == ILLEGAL_INSTRUCTION


@pytest.mark.parametrize(
    ("mode", "pending"),
    [
        ("M", MTI),
        ("M", MEI),
        ("M", SSI),  # delegated: M-mode never takes it, and goes on all the same
        ("M", VSSI),
        ("S", STI),
        ("S", SEI),
        ("S", VSEI),
        ("VS", VSSI),
        ("VS", VSEI),
    ],
)
def test_an_interrupt_that_is_enabled_but_masked_ends_the_wait(
    machine: Machine, mode: str, pending: int
) -> None:
    """mstatus.MIE, SIE and vsstatus.SIE are clear: nothing is taken, and the next instruction runs."""
    ready(machine, mode)
    hart = machine.hart
    hart.mie = pending
    hart.mip = pending & ~VS_INTERRUPTS
    hart.hvip = pending & VS_INTERRUPTS
    assert machine.run(3) == EXIT_BUDGET
    assert (hart.pc, hart.traps_taken) == (CODE + 12, 0)


@pytest.mark.parametrize(
    ("mode", "pending", "enabled"),
    [("M", MTI, MEI), ("M", SSI, STI), ("S", SEI, SSI), ("VS", VSSI, VSEI), ("VS", VSEI, 0)],
)
def test_an_interrupt_that_is_not_enabled_ends_no_wait(
    machine: Machine, mode: str, pending: int, enabled: int
) -> None:
    ready(machine, mode)
    hart = machine.hart
    hart.mie, hart.mip, hart.hvip = enabled, pending & ~VS_INTERRUPTS, pending & VS_INTERRUPTS
    hart.mstatus = hart.vsstatus = SIE
    assert machine.run(3) == EXIT_WFI
    assert hart.pc == CODE + 4


def test_an_interrupt_that_ends_the_wait_and_is_taken_returns_behind_it(machine: Machine) -> None:
    ready(machine, "S")
    hart = machine.hart
    assert machine.run(3) == EXIT_WFI
    hart.mip = hart.mie = SEI
    hart.mstatus = SIE
    machine.run(1)
    assert (hart.sepc, hart.pc) == (CODE + 4, hart.stvec)
