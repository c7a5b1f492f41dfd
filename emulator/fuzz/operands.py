"""Random values and operands: interesting ones more often than others."""

from __future__ import annotations

import random

from emulator.isa.encodings import EncodingError, encode, value_range
from emulator.isa.instruction import REGISTER_FIELDS, Instruction

ALL_ONES = (1 << 64) - 1
INTERESTING = (
    0, 1, 2, 3, 7, 31, 32, 33, 63, 64, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFF_FFFF, 0x8000_0000,
    0x8000_0001, 0xFFFF_FFFF, 0x1_0000_0000, 0x7FFF_FFFF_FFFF_FFFF, 0x8000_0000_0000_0000,
    0x8000_0000_0000_0001, ALL_ONES, ALL_ONES - 1, 0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_7FFF_FFFF,
    0xFFFF_FFFF_0000_0000, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0x0123_4567_89AB_CDEF,
    0x00FF_00FF_00FF_00FF,
)  # fmt: skip


def value(chance: random.Random) -> int:
    """Return a 64-bit value: one with an interesting shape, a sparse one, or any."""
    kind = chance.randrange(4)
    if kind < 2:
        return chance.choice(INTERESTING)
    if kind == 2:
        return (chance.choice((1, 3, ALL_ONES)) << chance.randrange(64)) & ALL_ONES
    return chance.getrandbits(64)


def immediate(row: Instruction, chance: random.Random) -> int:
    """Return a value of the field `imm`: an end of its range, a small one, or any."""
    low, high = value_range(row, "imm")
    step = row.field_alignment("imm")
    ends = (low, high, min(step, high), max(low, -step), 0)
    picked = chance.choice(ends) if chance.randrange(3) == 0 else chance.randrange(low, high + 1, step)
    return picked - picked % step


def random_operands(row: Instruction, chance: random.Random) -> dict[str, int]:
    """Return operands that the row can encode."""
    while True:
        operands: dict[str, int] = {}
        for name in row.fields:
            low, high = value_range(row, name)
            if name == "imm":
                operands[name] = immediate(row, chance)
            elif name in REGISTER_FIELDS and low == 0:
                operands[name] = chance.choice((chance.randrange(32), chance.randrange(1, 32)))
            else:
                operands[name] = chance.randint(low, high)
        try:
            encode(row, operands)
        except EncodingError:
            continue
        return operands
