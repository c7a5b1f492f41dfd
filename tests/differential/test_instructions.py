"""Every RV64IMAC instruction, one at a time, against unicorn: all registers, pc and the memory it touches."""

import random
from typing import Any

import pytest

from emulator.isa.encodings import BY_NAME, COMPRESSED, TABLE, encode, expand
from emulator.isa.instruction import Instruction
from emulator.state import RAM_BASE
from tests.differential.operands import SEED, immediate, random_operands, value
from tests.differential.oracle import Pair, listing

KINDS = {"alu", "alui", "upper", "branch", "jal", "jalr", "load", "store", "amo", "fence"}
ROWS = [row for row in (*TABLE, *COMPRESSED) if row.extension in "IMAC" and row.kind in KINDS]
CASES = 64
CODE = RAM_BASE + (2 << 20)
DATA = RAM_BASE + 0x4000
WINDOW = 64
MEMORY = {"load", "store", "amo"}


@pytest.fixture(scope="module")
def pair(engine: Any) -> Pair:
    """Both machines."""
    return Pair(engine)


def targets(row: Instruction, operands: dict[str, int], chance: random.Random) -> dict[int, int]:
    """Return the base register that makes the instruction's address lie in the window or in the code."""
    base, full = expand(row, operands)
    if base.kind in MEMORY:
        aligned = base.kind == "amo"
        offset = chance.randrange(8, WINDOW - 16, base.width if aligned else 1)
        address = DATA + offset
    elif base.kind == "jalr":
        address = CODE + chance.randrange(-0x8000, 0x8000)
    else:
        return {}
    return {full["rs1"]: (address - full.get("imm", 0)) % (1 << 64)}


def usable(row: Instruction, operands: dict[str, int]) -> bool:
    """Addresses cannot be made from x0."""
    base, full = expand(row, operands)
    return base.kind not in MEMORY | {"jalr"} or full["rs1"] != 0


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_instruction_agrees_with_unicorn(pair: Pair, row: Instruction) -> None:
    chance = random.Random(f"{SEED} {row.name}")
    cases: list[dict[str, int]] = []
    while len(cases) < CASES:
        operands = random_operands(row, chance)
        if usable(row, operands):
            cases.append(operands)
    codes = [encode(row, operands).to_bytes(row.length, "little") for operands in cases]
    # All are written before any runs: unicorn does not notice code that changes.
    pair.write(CODE, b"".join(code.ljust(8, b"\0") for code in codes))
    pair.forget_code()
    for number, (operands, code) in enumerate(zip(cases, codes, strict=True)):
        place = CODE + 8 * number
        registers = {number: value(chance) for number in range(1, 32)} | targets(row, operands, chance)
        pair.write(DATA, chance.randbytes(WINDOW))
        ours, theirs = pair.run(place, registers, 1, (DATA, WINDOW))
        assert not ours.stopped
        assert ours == theirs, report(code, place, registers, ours.differences(theirs))


def report(code: bytes, place: int, registers: dict[int, int], differences: list[str]) -> str:
    """Say what was executed, on what, and what differs."""
    before = ", ".join(f"x{n}={v:#x}" for n, v in registers.items())
    return "\n".join([f"VMLAB_SEED={SEED}", listing(code, place), f"before: {before}", *differences])


@pytest.mark.parametrize("suffix", ["w", "d"])
def test_store_conditional_agrees_with_unicorn(pair: Pair, suffix: str) -> None:
    chance = random.Random(f"{SEED} sc.{suffix}")
    size = 4 if suffix == "w" else 8
    for case in range(CASES):
        first, second = (DATA + chance.randrange(0, 32, size) for _ in range(2))
        second = chance.choice((first, second))
        lr = encode(BY_NAME[f"lr.{suffix}"], {"rd": 5, "rs1": 10})
        sc = encode(BY_NAME[f"sc.{suffix}"], {"rd": 6, "rs1": 11, "rs2": 12})
        # The last one finds no reservation: the one before has used it up, failed or not.
        code = b"".join(word.to_bytes(4, "little") for word in (lr, sc, sc))
        place = CODE + 0x10000 + 16 * (case + size * CASES)
        pair.write(place, code)
        pair.write(DATA, chance.randbytes(WINDOW))
        registers = {10: first, 11: second, 12: value(chance)}
        ours, theirs = pair.run(place, registers, 3, (DATA, WINDOW))
        assert not ours.stopped
        assert ours == theirs, report(code, place, registers, ours.differences(theirs))


def test_immediates_reach_both_ends() -> None:
    chance = random.Random(SEED)
    seen = {immediate(BY_NAME["addi"], chance) for _ in range(200)}
    assert {-2048, 2047, 0, 1, -1} <= seen
