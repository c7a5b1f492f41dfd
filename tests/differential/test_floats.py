"""Every F and D instruction against exact rational arithmetic: value and flags, in every rounding mode.

Each case runs with no flag set before, which is the exact way, and with the inexact flag set, which lets the
core use the host's arithmetic (`core/fastfloat.py`).
"""

import random
from typing import Any

import pytest

from emulator.isa.instruction import Instruction
from tests.differential import exact_floats
from tests.differential.exact_floats import NX
from tests.differential.floats import DYNAMIC, ROWS, FloatUnit, cases, modes_of
from tests.differential.operands import SEED

CASES = 60
MANY_CASES = 4000


@pytest.fixture(scope="module")
def unit(engine: Any) -> FloatUnit:
    """A hart that executes single instructions."""
    return FloatUnit(engine)


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
