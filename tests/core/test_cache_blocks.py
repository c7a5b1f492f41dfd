"""Cache-block operations: who may, what they touch, how they fault (Unprivileged ISA 20240411, "CMO")."""

from itertools import product

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_CBCFE,
    ENVCFG_CBIE,
    ENVCFG_CBZE,
    ILLEGAL_INSTRUCTION,
    MXR,
    PTE_A,
    PTE_D,
    PTE_R,
    PTE_V,
    PTE_X,
    STORE_ACCESS,
    STORE_GUEST_PAGE,
    STORE_PAGE,
    VIRTUAL_INSTRUCTION,
)
from emulator.state import PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, USER, Tables

MODES = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}
ENABLES = {
    "cbo.inval (a0)": ENVCFG_CBIE,
    "cbo.clean (a0)": ENVCFG_CBCFE,
    "cbo.flush (a0)": ENVCFG_CBCFE,
    "cbo.zero (a0)": ENVCFG_CBZE,
}
MANAGEMENT, ZERO = "cbo.flush (a0)", "cbo.zero (a0)"
PATTERN = 0x0123_4567_89AB_CDEF
VA = 0x10_0000_0000


def fill(machine: Machine) -> None:
    for offset in range(-64, 192, 8):
        machine.store(DATA + 128 + offset, PATTERN)


def zeroed(machine: Machine) -> list[int]:
    return [offset for offset in range(-64, 192, 8) if machine.load(DATA + 128 + offset) == 0]


def cause_of(machine: Machine, line: str, address: int) -> int | None:
    """Execute a line; return the cause of its trap to M-mode, or None."""
    machine.hart.mcause = 99
    machine.hart.x[10] = address
    machine.step(line)
    return None if machine.hart.mcause == 99 else machine.hart.mcause


def expected(mode: str, m: bool, h: bool, s: bool) -> int | None:
    """The rule of the standard, "Control and Status Register State"."""
    if (mode != "M" and not m) or (mode == "U" and not s):
        return ILLEGAL_INSTRUCTION
    if (mode in ("VS", "VU") and not h) or (mode == "VU" and not s):
        return VIRTUAL_INSTRUCTION
    return None


@pytest.mark.parametrize("line", ENABLES)
@pytest.mark.parametrize("mode", MODES)
def test_each_level_above_must_allow_it(machine: Machine, line: str, mode: str) -> None:
    hart, bit = machine.hart, ENABLES[line]
    for m, h, s in product((False, True), repeat=3):
        for name, on in (("menvcfg", m), ("henvcfg", h), ("senvcfg", s)):
            # Everything else is the other way round.
            setattr(hart, name, bit if on else (ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE) & ~bit)
        machine.enter(*MODES[mode])
        assert cause_of(machine, line, DATA) == expected(mode, m, h, s), (m, h, s)


@pytest.mark.parametrize("line", ["cbo.inval (a0)"])
def test_invalidation_as_flush_is_enough(machine: Machine, line: str) -> None:
    machine.hart.menvcfg = 1 << 4
    machine.enter(PRIV_S)
    assert cause_of(machine, line, DATA) is None


@pytest.mark.parametrize("offset", [0, 1, 7, 63])
def test_zero_clears_the_block_around_the_address(machine: Machine, offset: int) -> None:
    fill(machine)
    assert cause_of(machine, ZERO, DATA + 128 + offset) is None
    assert zeroed(machine) == list(range(0, 64, 8))
    assert machine.hart.minstret == 1


@pytest.mark.parametrize("line", [line for line in ENABLES if line != ZERO])
def test_management_changes_no_data(machine: Machine, line: str) -> None:
    fill(machine)
    assert cause_of(machine, line, DATA + 128) is None
    assert zeroed(machine) == []


def test_zeroing_code_is_seen_by_the_next_fetch(machine: Machine) -> None:
    machine.code("li a1, 5", DATA)
    machine.step("jr a0\n", steps=1)
    machine.hart.x[10] = DATA
    machine.step("jalr ra, (a0)", steps=2)
    assert machine.hart.x[11] == 5
    machine.step(ZERO)
    machine.hart.mcause = 99
    machine.step("jalr ra, (a0)", steps=2)
    assert machine.hart.mcause == ILLEGAL_INSTRUCTION


def paged(machine: Machine, flags: int) -> Tables:
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE)
    tables.map(VA, DATA, flags)
    hart = machine.enter(PRIV_S)
    hart.satp = tables.register()
    hart.menvcfg |= ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE
    return tables


READ_ONLY, EXECUTE_ONLY = PTE_V | PTE_R | PTE_A | PTE_D, PTE_V | PTE_X | PTE_A | PTE_D


@pytest.mark.parametrize(
    ("line", "flags", "status", "cause"),
    [
        (MANAGEMENT, 0, 0, STORE_PAGE),
        (ZERO, 0, 0, STORE_PAGE),
        (MANAGEMENT, USER, 0, STORE_PAGE),
        (MANAGEMENT, LEAF, 0, None),
        (MANAGEMENT, READ_ONLY, 0, None),
        (ZERO, READ_ONLY, 0, STORE_PAGE),
        (MANAGEMENT, EXECUTE_ONLY, 0, STORE_PAGE),
        (MANAGEMENT, EXECUTE_ONLY, MXR, None),
        (ZERO, EXECUTE_ONLY, MXR, STORE_PAGE),
        # Management checks A, not D; zeroing checks both.
        (MANAGEMENT, LEAF & ~PTE_A, 0, STORE_PAGE),
        (MANAGEMENT, LEAF & ~PTE_D, 0, None),
        (ZERO, LEAF & ~PTE_A, 0, STORE_PAGE),
        (ZERO, LEAF & ~PTE_D, 0, STORE_PAGE),
        (ZERO, LEAF, 0, None),
    ],
)
def test_permissions_are_a_loads_or_a_stores_and_faults_a_stores(
    machine: Machine, line: str, flags: int, status: int, cause: int | None
) -> None:
    paged(machine, flags)
    machine.hart.mstatus = status
    assert cause_of(machine, line, VA + 129) == cause
    if cause is not None:
        assert machine.hart.mtval == VA + 129, "rs1, not the block"


@pytest.mark.parametrize(("line", "bits"), [(MANAGEMENT, PTE_A), (ZERO, PTE_A | PTE_D)])
def test_hardware_sets_a_and_for_zeroing_d(machine: Machine, line: str, bits: int) -> None:
    machine.hart.menvcfg = ENVCFG_ADUE
    tables = paged(machine, LEAF & ~(PTE_A | PTE_D))
    assert cause_of(machine, line, VA) is None
    assert machine.load(tables.entry(VA)) & (PTE_A | PTE_D) == bits


@pytest.mark.parametrize("line", [MANAGEMENT, ZERO])
def test_guest_page_fault_is_a_stores_with_the_transformed_instruction(machine: Machine, line: str) -> None:
    host = Tables(machine, TABLES, stage2=True)
    host.map(CODE, CODE, USER)
    hart = machine.enter(PRIV_S, 1)
    hart.hgatp = host.register()
    hart.menvcfg = hart.henvcfg = ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE
    assert cause_of(machine, line, 0x9000_0044) == STORE_GUEST_PAGE
    assert (hart.mtval, hart.mtval2) == (0x9000_0044, 0x9000_0040 >> 2)
    word = machine.load(CODE, 4)
    assert hart.mtinst == word & ~(31 << 15)


@pytest.mark.parametrize(("line", "cause"), [(MANAGEMENT, None), (ZERO, STORE_ACCESS)])
def test_outside_ram_management_does_nothing_and_zeroing_faults(
    machine: Machine, line: str, cause: int | None
) -> None:
    assert cause_of(machine, line, 0x1000_0000) == cause
    if cause:
        assert machine.hart.mtval == 0x1000_0000


@pytest.mark.parametrize("line", [MANAGEMENT, ZERO])
def test_protected_memory_is_an_access_fault(machine: Machine, line: str) -> None:
    hart = machine.enter(PRIV_S)
    hart.menvcfg = ENVCFG_CBIE | ENVCFG_CBCFE | ENVCFG_CBZE
    hart.pmp_entries = 16
    # The code may be executed, the data not even read.
    hart.pmpaddr[0], hart.pmpaddr[1] = CODE >> 2 | 0x1FF, DATA >> 2 | 0x1FF
    hart.pmpcfg[0] = 0x18 << 8 | 0x1F
    assert cause_of(machine, line, DATA + 8) == STORE_ACCESS


@pytest.mark.parametrize("line", ["prefetch.i 64(a0)", "prefetch.r -32(a0)", "prefetch.w 0(a0)"])
def test_prefetch_has_no_effect_wherever_it_points(machine: Machine, line: str) -> None:
    machine.enter(PRIV_U)
    before = [machine.hart.x[number] for number in range(1, 10)]
    assert cause_of(machine, line, 0xDEAD_BEEF_0000) is None
    assert [machine.hart.x[number] for number in range(1, 10)] == before
