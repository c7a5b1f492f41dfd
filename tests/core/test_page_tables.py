"""One stage of translation: Sv39, Sv48, Sv57 (Privileged ISA 10.3 to 10.6)."""

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    INSTRUCTION_ACCESS,
    INSTRUCTION_PAGE,
    LOAD_ACCESS,
    LOAD_PAGE,
    MPP_LOW,
    MPRV,
    MXR,
    PTE_A,
    PTE_D,
    PTE_G,
    PTE_R,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STORE_PAGE,
    SUM,
)
from emulator.state import PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, SV39, SV48, SV57, USER, Tables

VA = 0x12_3456_7000
MARK = 0x1122_3344_5566_0001  # its lowest halfword is c.nop
LOAD, STORE = "ld a1, 0(a0)", "sd a1, 0(a0)"
FETCH = "jr a0"
CAUSES = {LOAD: LOAD_PAGE, STORE: STORE_PAGE, FETCH: INSTRUCTION_PAGE}


def paged(machine: Machine, mode: int = SV39, priv: int = PRIV_S) -> Tables:
    """Turn on translation with the code mapped as it is, traps going to HS-mode."""
    machine.delegate()
    tables = Tables(machine, TABLES, mode)
    tables.map(CODE, CODE, LEAF if priv == PRIV_S else USER)
    hart = machine.enter(priv)
    hart.satp = tables.register()
    machine.store(DATA, MARK)
    return tables


def attempt(machine: Machine, line: str, address: int) -> int | None:
    """Make one access; return the cause of its trap, or None."""
    hart = machine.hart
    hart.x[10], hart.x[11], hart.scause = address, 0xAB, 99
    machine.step(line, steps=2 if line == FETCH else 1)
    return None if hart.scause == 99 else hart.scause


@pytest.mark.parametrize("mode", [SV39, SV48, SV57])
@pytest.mark.parametrize("level", range(5))
def test_leaf_at_every_level_maps_its_page(machine: Machine, mode: int, level: int) -> None:
    if level > mode - 6:
        return
    tables = paged(machine, mode)
    # A page of this size that holds DATA at the same offset: only offset bits differ between VA and PA.
    size = 4096 << 9 * level
    base = 1 << 12 + 9 * (mode - 5) - 2
    tables.map(base - base % size, DATA - DATA % size, level=level)
    assert attempt(machine, LOAD, base - base % size + DATA % size) is None
    assert machine.hart.x[11] == MARK


@pytest.mark.parametrize("mode", [SV39, SV48, SV57])
@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_address_that_is_not_sign_extended_faults(machine: Machine, mode: int, line: str) -> None:
    tables = paged(machine, mode)
    bits = 12 + 9 * (mode - 5)
    top = (1 << 64) - (1 << bits - 1)
    tables.map(top, DATA)
    assert attempt(machine, LOAD, top) is None
    for wrong in (top & (1 << bits) - 1, top ^ 1 << 63, top ^ 1 << bits, VA | 1 << 63):
        assert attempt(machine, line, wrong) == CAUSES[line]
        assert machine.hart.stval == wrong


@pytest.mark.parametrize(
    ("flags", "level"),
    [
        (0, 0),
        (LEAF & ~PTE_V, 0),
        (PTE_V | PTE_W | PTE_A | PTE_D, 0),
        (PTE_V | PTE_W | PTE_X | PTE_A | PTE_D, 0),
        (PTE_V, 0),
        (PTE_V | PTE_A, 1),
        (PTE_V | PTE_D, 1),
        (PTE_V | PTE_U, 1),
        *[(LEAF | 1 << bit, 0) for bit in range(54, 64)],
        (PTE_V | 1 << 58, 1),
    ],
)
@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_malformed_entry_faults(machine: Machine, flags: int, level: int, line: str) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, LEAF)
    place = tables.entry(VA, level)
    target = DATA if level == 0 else machine.load(place) >> 10 << 12
    machine.store(place, target >> 2 | flags)
    assert attempt(machine, line, VA) == CAUSES[line]
    assert machine.hart.stval == VA


@pytest.mark.parametrize("level", [1, 2])
def test_misaligned_superpage_faults(machine: Machine, level: int) -> None:
    tables = paged(machine, SV48)
    size = 4096 << 9 * level
    tables.map(0, DATA & ~0x1F_FFFF, level=level)
    if level == 1:
        assert attempt(machine, LOAD, DATA % size) is None
    machine.fence()
    machine.store(tables.entry(0, level), DATA >> 2 | LEAF)
    assert attempt(machine, LOAD, 0) == LOAD_PAGE


@pytest.mark.parametrize(
    ("priv", "user", "sum_bit", "allowed"),
    [
        (PRIV_S, False, False, {LOAD, STORE, FETCH}),
        (PRIV_S, True, False, set()),
        (PRIV_S, True, True, {LOAD, STORE}),
        (PRIV_U, True, False, {LOAD, STORE, FETCH}),
        (PRIV_U, False, False, set()),
        (PRIV_U, False, True, set()),
    ],
)
@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_u_bit_and_sum_decide(
    machine: Machine, priv: int, user: bool, sum_bit: bool, allowed: set[str], line: str
) -> None:
    tables = paged(machine, priv=priv)
    tables.map(VA, DATA, USER if user else LEAF)
    machine.hart.mstatus = SUM if sum_bit else 0
    assert attempt(machine, line, VA) == (None if line in allowed else CAUSES[line])


@pytest.mark.parametrize("permissions", [PTE_R, PTE_R | PTE_W, PTE_X, PTE_R | PTE_X])
@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_permissions_decide(machine: Machine, permissions: int, line: str) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, PTE_V | PTE_A | PTE_D | permissions)
    needed = {LOAD: PTE_R, STORE: PTE_W, FETCH: PTE_X}[line]
    assert attempt(machine, line, VA) == (None if permissions & needed else CAUSES[line])


def test_load_that_mxr_allowed_is_refused_once_mxr_is_clear(machine: Machine) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, PTE_V | PTE_X | PTE_A)
    machine.hart.mstatus = MXR
    assert attempt(machine, LOAD, VA) is None
    assert attempt(machine, LOAD, VA) is None
    assert attempt(machine, f"lui t0, 0x80\n csrc sstatus, t0\n {LOAD}", VA) is None
    machine.run(2)
    assert machine.hart.scause == LOAD_PAGE


def test_mxr_makes_nothing_writable(machine: Machine) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, PTE_V | PTE_X | PTE_A | PTE_D)
    machine.hart.mstatus = MXR
    assert attempt(machine, STORE, VA) == STORE_PAGE


def test_sum_that_is_cleared_takes_user_pages_away(machine: Machine) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, USER)
    machine.hart.mstatus = SUM
    for line in (LOAD, STORE):
        assert attempt(machine, line, VA) is None
    machine.hart.mstatus = 0
    for line in (LOAD, STORE):
        assert attempt(machine, line, VA) == CAUSES[line]


# Accessed and dirty bits


@pytest.mark.parametrize("line", [LOAD, FETCH])
def test_hardware_sets_a_for_a_read_and_leaves_d(machine: Machine, line: str) -> None:
    tables = paged(machine)
    machine.hart.menvcfg = ENVCFG_ADUE
    tables.map(VA, DATA, LEAF & ~(PTE_A | PTE_D))
    assert attempt(machine, line, VA) is None
    assert machine.load(tables.entry(VA)) & (PTE_A | PTE_D) == PTE_A


def test_hardware_sets_a_and_d_for_a_store(machine: Machine) -> None:
    tables = paged(machine)
    machine.hart.menvcfg = ENVCFG_ADUE
    tables.map(VA, DATA, LEAF & ~(PTE_A | PTE_D))
    assert attempt(machine, STORE, VA) is None
    assert machine.load(tables.entry(VA)) & (PTE_A | PTE_D) == PTE_A | PTE_D


def test_store_after_a_load_sets_d(machine: Machine) -> None:
    tables = paged(machine)
    machine.hart.menvcfg = ENVCFG_ADUE
    tables.map(VA, DATA, LEAF & ~(PTE_A | PTE_D))
    assert attempt(machine, LOAD, VA) is None
    assert attempt(machine, STORE, VA) is None
    assert machine.load(tables.entry(VA)) & PTE_D
    assert machine.load(DATA) == 0xAB


def test_refused_access_sets_no_bit(machine: Machine) -> None:
    tables = paged(machine)
    machine.hart.menvcfg = ENVCFG_ADUE
    tables.map(VA, DATA, PTE_V | PTE_R)
    assert attempt(machine, STORE, VA) == STORE_PAGE
    assert machine.load(tables.entry(VA)) & (PTE_A | PTE_D) == 0


@pytest.mark.parametrize(
    ("missing", "line", "faults"),
    [
        (PTE_A, LOAD, True),
        (PTE_A, STORE, True),
        (PTE_A, FETCH, True),
        (PTE_D, STORE, True),
        (PTE_D, LOAD, False),
        (PTE_D, FETCH, False),
    ],
)
def test_without_adue_a_clear_bit_faults(machine: Machine, missing: int, line: str, faults: bool) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, LEAF & ~missing)
    entry = machine.load(tables.entry(VA))
    assert attempt(machine, line, VA) == (CAUSES[line] if faults else None)
    assert machine.load(tables.entry(VA)) == entry


def test_entry_on_a_code_page_is_updated_coherently(machine: Machine) -> None:
    """A table that lies where code runs: setting A changes the instruction that the entry also is."""
    tables = paged(machine)
    machine.hart.menvcfg = ENVCFG_ADUE
    place = tables.entry(VA)
    page = place & ~0xFFF
    tables.map(page, page, LEAF)
    # The entry reads as an instruction: `c.addi` and the like; run it first, so that it is decoded.
    machine.store(place, DATA >> 2 | PTE_V | PTE_R)
    before = machine.load(place, 2)
    machine.hart.pc = place
    machine.run(1)
    machine.enter(PRIV_S)
    assert attempt(machine, LOAD, VA) is None
    assert machine.load(place, 2) == before | PTE_A
    assert attempt(machine, LOAD, VA) is None


# Tables in odd places


@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_table_outside_ram_is_an_access_fault(machine: Machine, line: str) -> None:
    tables = paged(machine)
    machine.store(tables.entry(VA, 1), (1 << 40) >> 2 | PTE_V)
    fault = {LOAD: LOAD_ACCESS, STORE: LOAD_ACCESS + 2, FETCH: INSTRUCTION_ACCESS}[line]
    assert attempt(machine, line, VA) == fault
    assert machine.hart.stval == VA


def test_root_outside_ram_is_an_access_fault(machine: Machine) -> None:
    paged(machine)
    machine.hart.satp = SV39 << 60 | 1
    machine.hart.pc = CODE
    machine.run(1)
    assert machine.hart.scause == INSTRUCTION_ACCESS


def test_page_outside_ram_asks_a_device_at_the_physical_address(machine: Machine) -> None:
    tables = paged(machine)
    tables.map(VA, 0x1000_0000)
    machine.hart.x[10] = VA + 0x28
    machine.code(LOAD)
    machine.hart.pc = CODE
    machine.run(1)
    assert machine.hart.mmio_address == 0x1000_0028


@pytest.mark.parametrize("mode", [SV39, SV48, SV57])
def test_table_that_points_to_itself_maps_itself(machine: Machine, mode: int) -> None:
    tables = paged(machine, mode)
    # Entry 1 of the root is a pointer to the root: walking through it again and again ends at the root's
    # page.
    root_entry = tables.root + 8
    machine.store(root_entry, tables.root >> 2 | PTE_V)
    address = sum(1 << 12 + 9 * level for level in range(mode - 5))
    # As the last level is reached, the pointer is not a leaf.
    assert attempt(machine, LOAD, address) == LOAD_PAGE
    # A leaf beside it, seen through the pointer, maps the root.
    machine.store(tables.root + 16, tables.root >> 2 | LEAF)
    assert attempt(machine, LOAD, address + (1 << 12) + 8) is None
    assert machine.hart.x[11] == tables.root >> 2 | PTE_V


def test_guest_that_rewrites_its_own_tables_sees_the_change_after_a_fence(machine: Machine) -> None:
    tables = paged(machine)
    tables.map(VA, DATA)
    tables.map(TABLES, TABLES, LEAF, pages=8)
    machine.store(DATA + 0x1000, 7)
    assert attempt(machine, LOAD, VA) is None
    hart = machine.hart
    hart.x[12], hart.x[13] = tables.entry(VA), (DATA + 0x1000) >> 2 | LEAF
    machine.step(f"sd a3, 0(a2)\n sfence.vma\n {LOAD}", steps=3)
    assert hart.x[11] == 7


def test_global_bit_changes_no_permission(machine: Machine) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, PTE_V | PTE_R | PTE_A | PTE_G)
    assert attempt(machine, LOAD, VA) is None
    assert attempt(machine, STORE, VA) == STORE_PAGE


# MPRV


@pytest.mark.parametrize(("previous", "user"), [(PRIV_S, False), (PRIV_U, True)])
def test_mprv_translates_loads_of_m_mode_and_not_fetches(machine: Machine, previous: int, user: bool) -> None:
    tables = paged(machine)
    tables.map(VA, DATA, USER if user else LEAF)
    machine.enter(PRIV_M).mstatus = MPRV | previous << MPP_LOW
    assert machine.hart.mcause == 0
    attempt(machine, LOAD, VA)
    assert machine.hart.x[11] == MARK
    assert machine.hart.mcause == 0


def test_mprv_with_mpp_m_translates_nothing(machine: Machine) -> None:
    paged(machine)
    machine.enter(PRIV_M).mstatus = MPRV | PRIV_M << MPP_LOW
    attempt(machine, LOAD, DATA)
    assert machine.hart.x[11] == MARK


def test_mprv_fault_is_reported_as_of_m_mode(machine: Machine) -> None:
    paged(machine)
    machine.enter(PRIV_M).mstatus = MPRV | PRIV_S << MPP_LOW
    attempt(machine, LOAD, VA)
    assert (machine.hart.mcause, machine.hart.mtval, machine.hart.mstatus >> MPP_LOW & 3) == (
        LOAD_PAGE,
        VA,
        PRIV_M,
    )
