"""Every F and D instruction against exact rational arithmetic: value and flags, in every rounding mode.

Each case runs with no flag set before, which is the exact way, and with the inexact flag set, which lets the
core use the host's arithmetic (`core/fastfloat.py`).
"""

import random
from collections.abc import Iterator
from typing import Any

import pytest

from emulator.isa.instruction import Instruction
from tests.differential import exact_floats
from tests.differential.exact_floats import NX, RMM, RNE
from tests.differential.floats import ROWS, FloatUnit, random_register, sources_of, special
from tests.differential.operands import SEED

DYNAMIC = 7
MODES = range(RNE, RMM + 1)
CASES = 60
MANY_CASES = 4000
# No instruction of two operands has more pairs of interesting ones.
ALL_PAIRS = 90 * 90


@pytest.fixture(scope="module")
def unit(engine: Any) -> FloatUnit:
    """A hart that executes single instructions."""
    return FloatUnit(engine)


def interesting(row: Instruction, chance: random.Random) -> tuple[int, ...]:
    """Return interesting contents of all sources."""
    return tuple(chance.choice(special(row, source)) for source in sources_of(row))


def anything(row: Instruction, chance: random.Random) -> tuple[int, ...]:
    """Return any contents of all sources; they may nearly cancel each other."""
    first, *rest = sources_of(row)
    values = [random_register(row, first, chance)]
    return (*values, *(random_register(row, source, chance, values[0]) for source in rest))


def cases(row: Instruction, chance: random.Random, count: int) -> Iterator[tuple[int, ...]]:
    """Yield contents of the sources: all interesting ones if there is one source, else some; then any."""
    sources = sources_of(row)
    if len(sources) == 1:
        yield from ((value,) for value in special(row, sources[0]))
    else:
        yield from (interesting(row, chance) for _ in range(count))
    yield from (anything(row, chance) for _ in range(count))


def check(unit: FloatUnit, row: Instruction, registers: tuple[int, ...], rm: int, *, dynamic: bool) -> None:
    """Execute once the exact way and once the quick way."""
    value, flags = exact_floats.result(row.name, registers, rm)
    field, frm = (DYNAMIC, rm << 5) if dynamic else (rm, 0)
    for before in (0, NX):
        found = unit.execute(row, registers, field, frm | before)
        assert found == (value, flags | before), (
            f"VMLAB_SEED={SEED} {row.name} rm={rm} {[hex(r) for r in registers]} flags before {before}: "
            f"{found[0]:#x} {found[1]:#x}, expected {value:#x} {flags | before:#x}"
        )


def modes_of(row: Instruction) -> range:
    """Return the rounding modes that make a difference to an instruction."""
    return MODES if "rm" in row.fields else range(RNE, RNE + 1)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_result_and_flags_are_exact(unit: FloatUnit, row: Instruction) -> None:
    for rm in modes_of(row):
        chance = random.Random(f"{SEED} {row.name} {rm}")
        for registers in cases(row, chance, CASES):
            check(unit, row, registers, rm, dynamic=chance.randrange(2) == 0)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_many_results_and_flags_are_exact(unit: FloatUnit, row: Instruction) -> None:
    for rm in modes_of(row):
        chance = random.Random(f"{SEED} many {row.name} {rm}")
        for registers in cases(row, chance, MANY_CASES):
            check(unit, row, registers, rm, dynamic=chance.randrange(2) == 0)
