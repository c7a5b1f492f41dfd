"""Pages of 64 KiB (Svnapot) and memory types (Svpbmt), in both stages."""

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_PBMTE,
    INSTRUCTION_PAGE,
    LOAD_GUEST_PAGE,
    LOAD_PAGE,
    PTE_A,
    PTE_D,
    PTE_N,
    STORE_PAGE,
)
from emulator.isa.extensions import extension_bit
from emulator.state import PRIV_S
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, USER, Tables

LOAD, STORE, FETCH = "ld a1, (a0)", "sd a1, (a0)", "jr a0"
VA = 0x10_0000_0000
REGION = 0x1_0000
NAPOT = PTE_N | 8 << 10
PBMT = 61
TARGET = DATA & ~(REGION - 1)
assert TARGET == DATA


@pytest.fixture(params=["stage 1", "VS-stage", "G-stage"])
def tables(request: pytest.FixtureRequest, machine: Machine) -> Tables:
    """Tables of one stage in force, the code mapped, VA not."""
    hart = machine.enter(PRIV_S, 0 if request.param == "stage 1" else 1)
    made = Tables(machine, TABLES, stage2=request.param == "G-stage")
    made.map(CODE, CODE, USER if made.stage2 else LEAF)
    root = {"stage 1": "satp", "VS-stage": "vsatp", "G-stage": "hgatp"}[request.param]
    setattr(hart, root, made.register())
    return made


def flags(tables: Tables) -> int:
    return USER if tables.stage2 else LEAF


def attempt(machine: Machine, line: str, address: int) -> int | None:
    """Make one access; return the cause of its trap, or None. The mode stays."""
    hart = machine.hart
    mode = hart.priv, hart.virt
    hart.x[10], hart.mcause = address, 99
    machine.step(line, steps=2 if line == FETCH else 1)
    machine.enter(*mode)
    return None if hart.mcause == 99 else hart.mcause


def fault(tables: Tables, line: str) -> int:
    """The cause of a page fault of the stage."""
    plain = {LOAD: LOAD_PAGE, STORE: STORE_PAGE, FETCH: INSTRUCTION_PAGE}[line]
    return plain + LOAD_GUEST_PAGE - LOAD_PAGE if tables.stage2 else plain


def put(tables: Tables, entry: int, level: int = 0) -> int:
    """Write the same entry for all pages of the region, as Svnapot wants; return where the first stands."""
    place = tables.entry(VA, level)
    for number in range(16 if level == 0 else 1):
        tables.memory.store(place + 8 * number, entry)
    return place


def test_region_of_64_kib_takes_its_low_bits_from_the_address(machine: Machine, tables: Tables) -> None:
    put(tables, TARGET >> 2 | NAPOT | flags(tables))
    for page in (0, 1, 7, 8, 15):
        machine.store(DATA + page * 0x1000 + 8, 0xABC0 + page)
        assert attempt(machine, LOAD, VA + page * 0x1000 + 8) is None
        assert machine.hart.x[11] == 0xABC0 + page


@pytest.mark.parametrize("pattern", [0, 1, 4, 9, 12, 15])
@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_other_sizes_are_reserved(machine: Machine, tables: Tables, pattern: int, line: str) -> None:
    put(tables, TARGET >> 2 | PTE_N | pattern << 10 | flags(tables))
    assert attempt(machine, line, VA) == fault(tables, line)


@pytest.mark.parametrize("level", [1, 2])
def test_n_on_a_larger_page_is_reserved(machine: Machine, tables: Tables, level: int) -> None:
    # A pattern that a page of this size could have, had the extension such regions.
    put(tables, PTE_N | 8 << 10 + 9 * level | flags(tables), level)
    assert attempt(machine, LOAD, VA) == fault(tables, LOAD)


@pytest.mark.parametrize("bit", [PTE_N, 1 << PBMT, 2 << PBMT])
def test_pointer_to_a_table_has_none_of_these_bits(machine: Machine, tables: Tables, bit: int) -> None:
    machine.hart.menvcfg = machine.hart.henvcfg = ENVCFG_PBMTE
    put(tables, DATA >> 2 | flags(tables))
    assert attempt(machine, LOAD, VA) is None
    machine.fence()
    place = tables.entry(VA, 1)
    machine.store(place, machine.load(place) | bit)
    assert attempt(machine, LOAD, VA) == fault(tables, LOAD)


@pytest.mark.parametrize("bit", [1 << number for number in range(54, 61)])
def test_reserved_bits_fault_whatever_is_enabled(machine: Machine, tables: Tables, bit: int) -> None:
    machine.hart.menvcfg = machine.hart.henvcfg = ENVCFG_PBMTE
    put(tables, DATA >> 2 | flags(tables) | bit)
    assert attempt(machine, LOAD, VA) == fault(tables, LOAD)


def test_hardware_sets_a_and_d_in_the_entry_it_read(machine: Machine, tables: Tables) -> None:
    machine.hart.menvcfg = machine.hart.henvcfg = ENVCFG_ADUE
    clear = TARGET >> 2 | NAPOT | flags(tables) & ~(PTE_A | PTE_D)
    place = put(tables, clear)
    assert attempt(machine, STORE, VA + 0x3000) is None
    assert machine.load(place + 24) == clear | PTE_A | PTE_D
    assert machine.load(place) == clear


def test_fence_for_any_address_reaches_the_whole_region(machine: Machine) -> None:
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE)
    machine.enter(PRIV_S).satp = tables.register()
    place = put(tables, TARGET >> 2 | NAPOT | LEAF)
    assert attempt(machine, LOAD, VA + 0x5000) is None
    for number in range(16):
        machine.store(place + 8 * number, 0)
    machine.hart.x[12] = VA + 0xF000
    machine.step("sfence.vma a2, x0")
    assert attempt(machine, LOAD, VA + 0x5000) == LOAD_PAGE


def test_without_svnapot_n_is_reserved(machine: Machine, tables: Tables) -> None:
    machine.hart.extensions &= ~extension_bit("svnapot")
    put(tables, TARGET >> 2 | NAPOT | flags(tables))
    assert attempt(machine, LOAD, VA) == fault(tables, LOAD)


@pytest.mark.parametrize("kind", [1, 2, 3])
@pytest.mark.parametrize("line", [LOAD, STORE])
def test_memory_type_is_accepted_where_it_is_enabled(
    machine: Machine, tables: Tables, kind: int, line: str
) -> None:
    hart = machine.hart
    put(tables, DATA >> 2 | flags(tables) | kind << PBMT)
    hart.menvcfg = hart.henvcfg = ENVCFG_PBMTE
    assert attempt(machine, line, VA) == (fault(tables, line) if kind == 3 else None)
    machine.fence()
    hart.menvcfg = 0
    assert attempt(machine, line, VA) == fault(tables, line)


def test_henvcfg_decides_for_the_guests_stage_and_menvcfg_for_the_others(
    machine: Machine, tables: Tables
) -> None:
    hart = machine.hart
    put(tables, DATA >> 2 | flags(tables) | 1 << PBMT)
    hart.menvcfg, hart.henvcfg = ENVCFG_PBMTE, 0
    vs_stage = hart.vsatp != 0
    assert attempt(machine, LOAD, VA) == (LOAD_PAGE if vs_stage else None)
