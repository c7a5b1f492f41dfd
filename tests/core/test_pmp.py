"""Physical memory protection: regions, locks, priorities, page tables, and pages that are divided."""

from typing import Any

import pytest

from emulator.core.csr_bits import LOAD_ACCESS, STORE_ACCESS
from emulator.state import PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import USER, Tables

R, W, X, LOCK = 1, 2, 4, 0x80
TOR, NA4, NAPOT = 1 << 3, 2 << 3, 3 << 3
EVERYWHERE = (1 << 54) - 1
INSTRUCTION_ACCESS = 1


def napot(address: int, size: int) -> int:
    """Return the pmpaddr of a naturally aligned region."""
    return (address | (size // 2 - 1)) >> 2


@pytest.fixture
def guarded(machine: Machine) -> Machine:
    """A machine with 16 entries, all off, and a1 pointing at data."""
    machine.hart.pmp_entries = 16
    machine.hart.x[11] = DATA
    return machine


def protect(machine: Machine, *entries: tuple[int, int]) -> None:
    """Set entries (configuration, pmpaddr) from 0 on, as csrw would, and forget translations."""
    packed = sum(config << 8 * index for index, (config, _) in enumerate(entries))
    machine.hart.pmpcfg[0] = packed
    for index, (_, address) in enumerate(entries):
        machine.hart.pmpaddr[index] = address
    machine.fence()


def outcome(machine: Machine, source: str, priv: int) -> int | None:
    """Run one instruction at `priv`; return the cause of its trap to M-mode, or None."""
    machine.enter(priv)
    hart = machine.step(source)
    return hart.mcause if hart.priv == PRIV_M and hart.pc == hart.mtvec else None


def test_no_entry_matches_only_machine_mode_passes(guarded: Machine) -> None:
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_M) is None
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) == INSTRUCTION_ACCESS


@pytest.mark.parametrize(("priv"), [PRIV_S, PRIV_U])
def test_permissions_of_the_lowest_matching_entry_count(guarded: Machine, priv: int) -> None:
    protect(guarded, (NAPOT | R, napot(DATA, 4096)), (NAPOT | R | W | X, EVERYWHERE))
    assert outcome(guarded, "ld a0, 0(a1)", priv) is None
    assert outcome(guarded, "sd a0, 0(a1)", priv) == STORE_ACCESS
    assert guarded.hart.mtval == DATA


def test_machine_mode_is_bound_by_locked_entries_only(guarded: Machine) -> None:
    protect(guarded, (NAPOT, napot(DATA, 4096)))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_M) is None
    protect(guarded, (NAPOT | LOCK, napot(DATA, 4096)))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_M) == LOAD_ACCESS


def test_tor_begins_at_the_entry_below(guarded: Machine) -> None:
    protect(guarded, (0, (DATA + 0x1000) >> 2), (TOR, (DATA + 0x2000) >> 2), (NAPOT | R | W | X, EVERYWHERE))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) is None
    guarded.hart.x[11] = DATA + 0x1FF8
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) == LOAD_ACCESS
    guarded.hart.x[11] = DATA + 0x2000
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) is None


def test_four_bytes_can_be_protected_within_a_page(guarded: Machine) -> None:
    protect(guarded, (NA4, (DATA + 8) >> 2), (NAPOT | R | W | X, EVERYWHERE))
    for _ in range(2):
        assert outcome(guarded, "lw a0, 4(a1)", PRIV_S) is None
        assert outcome(guarded, "lw a0, 8(a1)", PRIV_S) == LOAD_ACCESS
        assert outcome(guarded, "lw a0, 12(a1)", PRIV_S) is None


def test_an_access_half_inside_an_entry_fails(guarded: Machine) -> None:
    protect(guarded, (NA4 | R | W, (DATA + 4) >> 2), (NAPOT | R | W | X, EVERYWHERE))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) == LOAD_ACCESS
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_M) == LOAD_ACCESS
    assert outcome(guarded, "lw a0, 4(a1)", PRIV_S) is None


def test_code_runs_up_to_the_edge_of_a_divided_page(guarded: Machine) -> None:
    guarded.code("addi t0, t0, 1\n" * 6)
    protect(guarded, (TOR | X, (CODE + 12) >> 2))
    hart = guarded.enter(PRIV_S)
    hart.pc = CODE
    guarded.run(4)
    assert (hart.x[5], hart.mcause, hart.mepc) == (3, INSTRUCTION_ACCESS, CODE + 12)


def test_branches_within_a_divided_page(guarded: Machine) -> None:
    guarded.code("1: addi t0, t0, 1\nj 1b")
    protect(guarded, (TOR | X, (CODE + 12) >> 2))
    hart = guarded.enter(PRIV_U)
    hart.pc = CODE
    guarded.run(100)
    assert (hart.x[5], hart.priv) == (50, PRIV_U)


def test_a_page_table_out_of_reach_is_an_access_fault(guarded: Machine) -> None:
    tables = Tables(guarded, TABLES)
    tables.map(CODE, CODE, USER & ~16)
    tables.map(DATA, DATA, USER & ~16)
    guarded.hart.satp = tables.register()
    protect(guarded, (NAPOT | R | W | X, EVERYWHERE))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) is None
    protect(guarded, (NAPOT, napot(tables.root, 4096)), (NAPOT | R | W | X, EVERYWHERE))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) == INSTRUCTION_ACCESS


def test_mprv_lends_the_rights_of_the_lower_mode(guarded: Machine) -> None:
    guarded.hart.mstatus |= 1 << 17
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_M) == LOAD_ACCESS


WRITES = """
    csrw pmpaddr0, a0
    csrw pmpcfg0, a1
    csrw pmpaddr0, zero
    csrr a2, pmpaddr0
    csrr a3, pmpcfg0
"""


def written(machine: Machine, address: int, config: int) -> Any:
    machine.hart.x[10], machine.hart.x[11] = address, config
    return machine.step(WRITES, 5)


def test_a_locked_entry_keeps_its_address(guarded: Machine) -> None:
    hart = written(guarded, 0x1234, LOCK | NAPOT | R)
    assert (hart.x[12], hart.x[13]) == (0x1234, LOCK | NAPOT | R)
    hart = written(guarded, 0x5678, 0)
    assert (hart.x[12], hart.x[13]) == (0x1234, LOCK | NAPOT | R)


def test_a_locked_tor_entry_locks_the_address_below(guarded: Machine) -> None:
    hart = written(guarded, 0x1234, (LOCK | TOR) << 8)
    assert hart.x[12] == 0x1234


def test_reserved_values_are_not_kept(guarded: Machine) -> None:
    hart = written(guarded, (1 << 64) - 1, 0x60 | W)
    assert hart.x[13] == 0
    guarded.hart.x[10] = (1 << 64) - 1
    assert guarded.step("csrw pmpaddr1, a0\ncsrr a2, pmpaddr1", 2).x[12] == EVERYWHERE


def test_a_write_takes_effect_at_once(guarded: Machine) -> None:
    protect(guarded, (NAPOT | R | W | X, EVERYWHERE))
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) is None
    guarded.enter(PRIV_M)
    guarded.step("csrw pmpcfg0, zero")
    assert outcome(guarded, "ld a0, 0(a1)", PRIV_S) == INSTRUCTION_ACCESS


def test_a_hart_without_entries_has_no_registers_and_no_limits(machine: Machine) -> None:
    machine.hart.x[11] = DATA
    assert outcome(machine, "ld a0, 0(a1)", PRIV_U) is None
    machine.hart.priv = PRIV_M
    assert machine.step("csrr a0, pmpcfg0").mcause == 2


def test_there_are_no_debug_triggers(machine: Machine) -> None:
    source = "li a0, -1\ncsrw tselect, a0\ncsrr a1, tselect\ncsrw tdata1, a0\ncsrr a2, tdata1\ncsrr a3, tinfo"
    hart = machine.step(source, 6)
    assert (hart.x[11], hart.x[12], hart.x[13]) == (0, 0, 1)


def test_device_lines_show_in_mip_and_stay_out_of_software_bits(machine: Machine) -> None:
    hart = machine.hart
    hart.lines = 1 << 9 | 1 << 7
    machine.step("csrr a0, mip\nli a1, 32\ncsrs mip, a1", 3)
    assert hart.x[10] == 1 << 9 | 1 << 7
    hart.lines = 0
    assert machine.step("csrr a0, mip").x[10] == 32


def test_hlvx_needs_read_and_execute(guarded: Machine) -> None:
    for rights, fine in ((R | X, True), (R, False), (X, False)):
        protect(guarded, (NAPOT | rights, napot(DATA, 4096)))
        cause = outcome(guarded, "hlvx.hu a0, (a1)", PRIV_M)
        assert (cause is None) == fine
    protect(guarded, (NAPOT | R, napot(DATA, 4096)))
    assert outcome(guarded, "hlv.h a0, (a1)", PRIV_M) is None
    assert outcome(guarded, "hsv.h a0, (a1)", PRIV_M) == STORE_ACCESS
