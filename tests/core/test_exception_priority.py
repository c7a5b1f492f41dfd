"""Several exceptions at one instruction: the one that is taken is the first of the standard's order.

Privileged ISA 20240411, section 3.1.15, "Synchronous exception priority in decreasing priority order", and
18.6.1 for guests. What is first of an address translation is what its algorithm meets first. Misaligned
atomics come before their translation here, which the standard leaves open. There are no debug triggers, so
no address breakpoints.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import pytest

from emulator.core.csr_bits import (
    BREAKPOINT,
    ECALL_U,
    ECALL_VS,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_ACCESS,
    INSTRUCTION_GUEST_PAGE,
    INSTRUCTION_MISALIGNED,
    INSTRUCTION_PAGE,
    INTERRUPT,
    LOAD_MISALIGNED,
    PTE_V,
    STORE_ACCESS,
    STORE_GUEST_PAGE,
    STORE_MISALIGNED,
    STORE_PAGE,
    VIRTUAL_INSTRUCTION,
)
from emulator.isa.extensions import extension_bit
from emulator.state import PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import USER, Tables

GUEST_TABLES, HOST_TABLES = TABLES, TABLES + 0x4_0000
# Pages of code and data are GiBs apart, so that each has tables of its own.
CODE_VA, DATA_VA = 0x1_4000_0000, 0x2_8000_0000
CODE_GPA, DATA_GPA = 0x3_0000_0000, 0x5_0000_0000
NOWHERE = 0x4000_0000
ATOMIC = "amoadd.d a1, a1, (a0)"
NAPOT_RWX, NAPOT_NONE = 0x1F, 0x18
EVERYWHERE = (1 << 54) - 1


@dataclass
class World:
    """U-mode under Sv39, or VS-mode under Sv39 and Sv39x4; every trap goes to HS-mode."""

    machine: Machine
    pages: Tables
    stage2: Tables | None

    @property
    def hart(self) -> Any:
        return self.machine.hart

    def table_of(self, va: int) -> int:
        """Return the page of the last table of a walk."""
        return self.pages.entry(va) & ~0xFFF

    def clear(self, tables: Tables | None, address: int) -> None:
        assert tables is not None
        self.machine.store(tables.entry(address), 0)

    def misplace_table(self, va: int) -> None:
        self.machine.store(self.pages.entry(va, 1), NOWHERE >> 2 | PTE_V)

    def protect(self, entry: int) -> None:
        self.hart.pmpcfg[0] &= ~(0xFF << 8 * entry)
        self.hart.pmpcfg[0] |= NAPOT_NONE << 8 * entry


def make(machine: Machine, virt: int) -> World:
    pages = Tables(machine, GUEST_TABLES)
    code, data = (CODE_GPA, DATA_GPA) if virt else (CODE, DATA)
    flags = USER & ~0x10 if virt else USER
    pages.map(CODE_VA, code, flags)
    pages.map(DATA_VA, data, flags)
    stage2 = Tables(machine, HOST_TABLES, stage2=True) if virt else None
    if stage2:
        stage2.map(CODE_GPA, CODE, USER)
        stage2.map(DATA_GPA, DATA, USER)
        stage2.map(GUEST_TABLES, GUEST_TABLES, USER, pages=16)
    machine.delegate()
    hart = machine.enter(PRIV_S if virt else PRIV_U, virt)
    hart.satp = hart.vsatp = pages.register()
    hart.hgatp = stage2.register(1) if stage2 else 0
    hart.pmp_entries = 16
    for entry, address in enumerate((CODE >> 2 | 0x1FF, DATA >> 2 | 0x1FF, EVERYWHERE)):
        hart.pmpcfg[0] |= NAPOT_RWX << 8 * entry
        hart.pmpaddr[entry] = address
    hart.pc, hart.x[10], hart.x[11] = CODE_VA, DATA_VA, 1
    machine.code(ATOMIC, CODE)
    return World(machine, pages, stage2)


def taken(world: World) -> tuple[int, int]:
    """Execute one instruction; return cause and guest-physical address of its trap."""
    world.machine.fence()
    world.hart.scause = 99
    world.machine.run(1)
    return world.hart.scause, world.hart.htval << 2


@dataclass(frozen=True)
class Fault:
    """What is wrong, and what is reported of it: the cause, and for a guest-page fault the address."""

    name: str
    cause: int
    inject: Callable[[World], object]
    gpa: Callable[[World], int] = lambda _world: 0


def misalign(world: World) -> None:
    world.hart.x[10] += 4


ILLEGAL = Fault("illegal", ILLEGAL_INSTRUCTION, lambda world: world.machine.store(CODE, 0xFFFF_FFFF, 4))
MISALIGNED = Fault("misaligned", STORE_MISALIGNED, misalign)

# Each list is in decreasing priority: translation of the fetch, the fetch, the instruction, its operand.
ONE_STAGE = [
    Fault("fetch: no table", INSTRUCTION_ACCESS, lambda world: world.misplace_table(CODE_VA)),
    Fault("fetch: no page", INSTRUCTION_PAGE, lambda world: world.clear(world.pages, CODE_VA)),
    Fault("fetch: protected", INSTRUCTION_ACCESS, lambda world: world.protect(0)),
    ILLEGAL,
    MISALIGNED,
    Fault("data: no table", STORE_ACCESS, lambda world: world.misplace_table(DATA_VA)),
    Fault("data: no page", STORE_PAGE, lambda world: world.clear(world.pages, DATA_VA)),
    Fault("data: protected", STORE_ACCESS, lambda world: world.protect(1)),
]
TWO_STAGES = [
    Fault(
        "fetch: the table's page is missing",
        INSTRUCTION_GUEST_PAGE,
        lambda world: world.clear(world.stage2, world.table_of(CODE_VA)),
        lambda world: world.pages.entry(CODE_VA),
    ),
    Fault("fetch: no page", INSTRUCTION_PAGE, lambda world: world.clear(world.pages, CODE_VA)),
    Fault(
        "fetch: no guest page",
        INSTRUCTION_GUEST_PAGE,
        lambda world: world.clear(world.stage2, CODE_GPA),
        lambda _world: CODE_GPA,
    ),
    Fault("fetch: protected", INSTRUCTION_ACCESS, lambda world: world.protect(0)),
    ILLEGAL,
    MISALIGNED,
    Fault(
        "data: the table's page is missing",
        STORE_GUEST_PAGE,
        lambda world: world.clear(world.stage2, world.table_of(DATA_VA)),
        lambda world: world.pages.entry(DATA_VA),
    ),
    Fault("data: no page", STORE_PAGE, lambda world: world.clear(world.pages, DATA_VA)),
    Fault(
        "data: no guest page",
        STORE_GUEST_PAGE,
        lambda world: world.clear(world.stage2, DATA_GPA),
        lambda world: DATA_GPA | world.hart.x[10] & 0xFFF,
    ),
    Fault("data: protected", STORE_ACCESS, lambda world: world.protect(1)),
]
PAIRS = [(0, *pair) for pair in combinations(ONE_STAGE, 2)] + [
    (1, *pair) for pair in combinations(TWO_STAGES, 2)
]


@pytest.mark.parametrize(
    ("virt", "first", "second"),
    [pytest.param(*case, id=f"{case[0]}: {case[1].name} before {case[2].name}") for case in PAIRS],
)
def test_the_first_of_two_exceptions_is_taken(
    machine: Machine, virt: int, first: Fault, second: Fault
) -> None:
    world = make(machine, virt)
    expected = first.cause, first.gpa(world)
    second.inject(world)
    first.inject(world)
    assert taken(world) == expected


@pytest.mark.parametrize(("virt", "faults"), [(0, ONE_STAGE), (1, TWO_STAGES)])
def test_without_any_of_them_the_instruction_retires(
    make_machine: Callable[..., Machine], virt: int, faults: list[Fault]
) -> None:
    assert taken(make(make_machine(), virt))[0] == 99
    for fault in faults:
        world = make(make_machine(), virt)
        expected = fault.cause, fault.gpa(world)
        fault.inject(world)
        assert taken(world) == expected


@pytest.mark.parametrize(
    ("virt", "line", "cause"),
    [
        (0, "ecall", ECALL_U),
        (1, "ecall", ECALL_VS),
        (0, "ebreak", BREAKPOINT),
        (1, "ebreak", BREAKPOINT),
        (0, "fld fa0, 0(a0)", ILLEGAL_INSTRUCTION),
        (1, "fld fa0, 0(a0)", ILLEGAL_INSTRUCTION),
        (0, "csrr a1, mscratch", ILLEGAL_INSTRUCTION),
        (1, "csrr a1, hgatp", VIRTUAL_INSTRUCTION),
        (0, "hlv.d a1, (a0)", ILLEGAL_INSTRUCTION),
        (1, "hlv.d a1, (a0)", VIRTUAL_INSTRUCTION),
        (1, "hsv.d a1, (a0)", VIRTUAL_INSTRUCTION),
    ],
)
def test_what_the_instruction_is_comes_between_its_fetch_and_its_operand(
    machine: Machine, virt: int, line: str, cause: int
) -> None:
    faults = TWO_STAGES if virt else ONE_STAGE
    world = make(machine, virt)
    machine.code(line, CODE)
    for fault in reversed(faults[faults.index(MISALIGNED) :]):
        fault.inject(world)
    assert taken(world)[0] == cause
    fetch = faults[1]
    fetch.inject(world)
    world.hart.priv, world.hart.virt, world.hart.pc = (PRIV_S if virt else PRIV_U), virt, CODE_VA
    assert taken(world)[0] == fetch.cause


def test_a_misaligned_lr_is_a_loads_exception(machine: Machine) -> None:
    world = make(machine, 0)
    machine.code("lr.d a1, (a0)", CODE)
    misalign(world)
    world.clear(world.pages, DATA_VA)
    assert taken(world)[0] == LOAD_MISALIGNED


def test_a_misaligned_target_comes_before_its_translation(machine: Machine) -> None:
    """The jump is the instruction at fault, so that its target is never fetched."""
    world = make(machine, 0)
    world.hart.extensions &= ~extension_bit("c")
    machine.code("jalr zero, 2(a0)", CODE)
    world.clear(world.pages, DATA_VA)
    assert taken(world)[0] == INSTRUCTION_MISALIGNED
    assert world.hart.sepc == CODE_VA


def test_the_half_that_is_fetched_first_faults_first(machine: Machine) -> None:
    """The second half of an instruction across two pages has its own fault, at its own address."""
    world = make(machine, 0)
    machine.store(CODE + 0xFFE, 0xFFFF, 2)
    world.hart.pc = CODE_VA + 0xFFE
    assert taken(world)[0] == INSTRUCTION_PAGE
    assert (world.hart.sepc, world.hart.stval) == (CODE_VA + 0xFFE, CODE_VA + 0x1000)
    world.clear(world.pages, CODE_VA)
    world.hart.priv, world.hart.pc = PRIV_U, CODE_VA + 0xFFE
    taken(world)
    assert world.hart.stval == CODE_VA + 0xFFE


def test_an_interrupt_goes_before_every_exception(machine: Machine) -> None:
    world = make(machine, 0)
    for fault in reversed(ONE_STAGE):
        fault.inject(world)
    world.hart.mip = world.hart.mie = 1 << 9
    assert taken(world)[0] == INTERRUPT | 9
