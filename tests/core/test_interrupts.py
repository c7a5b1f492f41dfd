"""Interrupts: order, levels, WFI and the timers of Sstc (Privileged ISA 3.1.9, 10.1.3, 18.6; Sstc)."""

import pytest

from emulator.core.csr_bits import ENVCFG_STCE, INTERRUPT, MIE, SIE, VS_INTERRUPTS
from emulator.state import EXIT_BUDGET, EXIT_WFI, NO_ADDRESS, PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, M_TRAP, S_TRAP, VS_TRAP, Machine

# "Multiple simultaneous interrupts destined for M-mode are handled in the following decreasing priority
# order: MEI, MSI, MTI, SEI, SSI, STI", and with the hypervisor extension then SGEI, VSEI, VSSI, VSTI.
ORDER = [11, 3, 7, 9, 1, 5, 12, 10, 2, 6]
S_LEVEL = 0x222


def raise_all(machine: Machine, bits: int) -> None:
    """Make interrupts pending and enabled."""
    hart = machine.hart
    hart.mip, hart.mie, hart.hvip = bits & ~VS_INTERRUPTS, bits, bits & VS_INTERRUPTS


# With the H extension all below these six are always delegated (3.1.8).
@pytest.mark.parametrize("first", range(6))
def test_m_mode_takes_the_highest_of_what_is_pending(machine: Machine, first: int) -> None:
    raise_all(machine, sum(1 << code for code in ORDER[first:]))
    hart = machine.enter(PRIV_U)
    machine.step("nop")
    assert (hart.mcause, hart.mepc, hart.pc) == (INTERRUPT | ORDER[first], CODE, M_TRAP)


@pytest.mark.parametrize("first", range(7))
def test_hs_mode_takes_the_highest_of_what_is_delegated(machine: Machine, first: int) -> None:
    order = [9, 1, 5, 12, 10, 2, 6]
    machine.delegate()
    raise_all(machine, sum(1 << code for code in order[first:]))
    hart = machine.enter(PRIV_S, 1)
    machine.step("nop")
    assert (hart.scause, hart.pc) == (INTERRUPT | order[first], S_TRAP)


@pytest.mark.parametrize("first", range(3))
def test_guest_takes_the_highest_of_its_own_under_supervisor_numbers(machine: Machine, first: int) -> None:
    order = [10, 2, 6]
    machine.delegate(to_guest=True)
    raise_all(machine, sum(1 << code for code in order[first:]))
    hart = machine.enter(PRIV_S, 1)
    hart.vsstatus = SIE
    machine.step("nop")
    assert (hart.vscause, hart.pc, hart.virt) == (INTERRUPT | order[first] - 1, VS_TRAP, 1)


def test_an_interrupt_for_m_mode_goes_before_all_others(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    raise_all(machine, 0x1FFF & ~(1 << 7 | 1 << 11) & ~0x111)
    hart = machine.enter(PRIV_S, 1)
    hart.vsstatus, hart.mstatus = SIE, SIE
    machine.step("nop")
    assert hart.mcause == INTERRUPT | 3


@pytest.mark.parametrize(
    ("priv", "virt", "status", "taken"),
    [
        (PRIV_M, 0, SIE, False),
        (PRIV_S, 0, 0, False),
        (PRIV_S, 0, SIE, True),
        (PRIV_U, 0, 0, True),
        (PRIV_S, 1, 0, True),
        (PRIV_U, 1, 0, True),
    ],
)
def test_sie_masks_a_delegated_interrupt_in_hs_mode_alone(
    machine: Machine, priv: int, virt: int, status: int, taken: bool
) -> None:
    machine.delegate()
    raise_all(machine, 1 << 9)
    hart = machine.enter(priv, virt)
    hart.mstatus = status
    machine.step("nop")
    assert (hart.pc == S_TRAP) == taken


@pytest.mark.parametrize(
    ("priv", "virt", "status", "taken"),
    [
        (PRIV_S, 0, SIE, False),
        (PRIV_U, 0, SIE, False),
        (PRIV_S, 1, 0, False),
        (PRIV_S, 1, SIE, True),
        (PRIV_U, 1, 0, True),
    ],
)
def test_guests_interrupt_waits_for_the_guest(
    machine: Machine, priv: int, virt: int, status: int, taken: bool
) -> None:
    machine.delegate(to_guest=True)
    raise_all(machine, 1 << 10)
    hart = machine.enter(priv, virt)
    hart.vsstatus, hart.mstatus = status, SIE
    machine.step("nop")
    assert (hart.pc == VS_TRAP) == taken


@pytest.mark.parametrize(("status", "taken"), [(0, False), (MIE, True)])
def test_mie_masks_interrupts_in_m_mode(machine: Machine, status: int, taken: bool) -> None:
    raise_all(machine, 1 << 7)
    machine.hart.mstatus = status
    assert (machine.step("nop").pc == M_TRAP) == taken


def test_csr_write_that_enables_an_interrupt_takes_it_at_once(machine: Machine) -> None:
    raise_all(machine, 1 << 3)
    machine.code("csrsi mstatus, 8\n nop")
    machine.run(2)
    assert machine.hart.mepc == CODE + 4


def test_sret_that_enables_an_interrupt_takes_it_before_the_next_instruction(machine: Machine) -> None:
    machine.delegate()
    raise_all(machine, 1 << 5)
    hart = machine.enter(PRIV_S)
    hart.sepc = CODE + 0x100
    machine.step("sret", steps=2)
    assert (hart.scause, hart.sepc) == (INTERRUPT | 5, CODE + 0x100)


# WFI


def test_wfi_leaves_with_nothing_pending(machine: Machine) -> None:
    machine.code("wfi\n nop")
    assert machine.run(10) == EXIT_WFI
    assert (machine.hart.pc, machine.hart.retired) == (CODE + 4, 1)


def test_wfi_goes_on_when_an_enabled_interrupt_is_pending_but_masked(machine: Machine) -> None:
    raise_all(machine, 1 << 7)
    machine.code("wfi\n nop\n nop")
    assert machine.run(3) == EXIT_BUDGET
    assert machine.hart.pc == CODE + 12


def test_wfi_goes_on_after_the_host_has_slept(machine: Machine) -> None:
    machine.code("wfi\n nop\n nop")
    assert machine.run(10) == EXIT_WFI
    machine.hart.clock += 1000
    assert machine.run(2) == EXIT_BUDGET
    assert machine.hart.pc == CODE + 12


def test_wfi_with_a_pending_interrupt_that_is_not_enabled_waits(machine: Machine) -> None:
    machine.hart.mip, machine.hart.mie = 1 << 7, 1 << 3
    machine.code("wfi")
    assert machine.run(10) == EXIT_WFI


def test_wfi_in_the_guest_returns_to_the_trap_handler(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    raise_all(machine, 1 << 10)
    hart = machine.enter(PRIV_S, 1)
    machine.step("csrsi sstatus, 2\n wfi\n nop", steps=2)
    assert hart.vsepc == CODE + 4


# Timers: the clock ticks every 10 cycles.


@pytest.mark.parametrize("line", ["nop", "csrr t0, scause", "csrw sscratch, t0"])
@pytest.mark.parametrize("compare", [1, 2, 7])
def test_stimecmp_interrupts_on_the_very_cycle(machine: Machine, compare: int, line: str) -> None:
    machine.delegate()
    hart = machine.enter(PRIV_S)
    hart.menvcfg, hart.mstatus, hart.mie, hart.stimecmp = ENVCFG_STCE, SIE, 1 << 5, compare
    machine.code("\n".join([line] * 100))
    hart.clock = 3
    hart.pc = CODE
    machine.run(10 * compare - 3)
    assert hart.pc == CODE + 4 * hart.retired, "not yet: the counter reaches it with the last of these"
    machine.run(1)
    assert (hart.scause, hart.sepc) == (INTERRUPT | 5, CODE + 4 * (10 * compare - 3))


def test_vstimecmp_counts_the_guests_time(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    hart = machine.enter(PRIV_S, 1)
    hart.menvcfg = hart.henvcfg = ENVCFG_STCE
    hart.stimecmp, hart.vstimecmp, hart.htimedelta = NO_ADDRESS, 1005, 1000
    hart.vsstatus, hart.mie = SIE, 1 << 6
    machine.code("1: j 1b")
    hart.pc = CODE
    machine.run(50)
    assert hart.pc == CODE
    machine.run(1)
    assert (hart.vscause, hart.pc) == (INTERRUPT | 5, VS_TRAP)


@pytest.mark.parametrize(("menvcfg", "henvcfg"), [(0, ENVCFG_STCE), (ENVCFG_STCE, 0)])
def test_vstimecmp_is_silent_unless_both_levels_enable_it(
    machine: Machine, menvcfg: int, henvcfg: int
) -> None:
    machine.delegate(to_guest=True)
    hart = machine.enter(PRIV_S, 1)
    hart.menvcfg, hart.henvcfg, hart.vstimecmp, hart.stimecmp = menvcfg, henvcfg, 0, NO_ADDRESS
    hart.vsstatus, hart.mie = SIE, 1 << 6
    machine.step("nop")
    assert hart.pc == CODE + 4


def test_writing_stimecmp_into_the_future_takes_the_interrupt_away(machine: Machine) -> None:
    machine.delegate()
    hart = machine.enter(PRIV_S)
    hart.menvcfg, hart.mcounteren, hart.stimecmp = ENVCFG_STCE, 7, 0
    machine.step("csrr a0, sip\n li a1, -1\n csrw stimecmp, a1\n csrr a2, sip", steps=4)
    assert (hart.x[10], hart.x[12]) == (1 << 5, 0)


def test_stip_cannot_be_written_while_the_comparator_drives_it(machine: Machine) -> None:
    hart = machine.hart
    hart.menvcfg, hart.stimecmp = ENVCFG_STCE, NO_ADDRESS
    machine.step("li a0, 0x20\n csrs mip, a0\n csrr a1, mip", steps=3)
    assert hart.x[11] == 0
    hart.menvcfg = 0
    machine.step("csrr a1, mip")
    assert hart.x[11] == 0, "nothing was left behind"


def test_csr_instruction_on_mip_does_not_make_hvip_pending_for_ever(machine: Machine) -> None:
    hart = machine.hart
    hart.hvip = 0x444
    machine.step("csrsi mip, 2")
    hart.hvip = 0
    machine.step("csrr a1, mip")
    assert hart.x[11] == 2
