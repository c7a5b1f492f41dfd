"""Zba, Zbb, Zbs and Zicond, which unicorn lacks, against their definitions in Python's unbounded integers.

The reference is written over bit strings and lists of bytes where the kernels shift and mask, so that both
are not wrong in the same way. Unprivileged ISA 20240411, chapters "B" and "Zicond".
"""

import random
from collections.abc import Callable
from typing import Any

import pytest

from emulator.isa.encodings import TABLE, encode
from emulator.isa.instruction import Instruction
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, PRIV_M, RAM_BASE
from tests.differential.operands import SEED, random_operands, value

M64, M32 = (1 << 64) - 1, (1 << 32) - 1
CASES = 96


def signed(a: int, bits: int = 64) -> int:
    return a - (1 << bits) if a >> bits - 1 & 1 else a


def sign_extended(a: int, bits: int) -> int:
    a &= (1 << bits) - 1
    return signed(a, bits) & M64


def bits(a: int, count: int = 64) -> str:
    return f"{a & (1 << count) - 1:0{count}b}"


def leading_zeros(a: int, count: int) -> int:
    text = bits(a, count)
    return len(text) - len(text.lstrip("0"))


def trailing_zeros(a: int, count: int) -> int:
    text = bits(a, count)
    return len(text) - len(text.rstrip("0"))


def rotated_right(a: int, amount: int, count: int) -> int:
    text = bits(a, count)
    amount %= count
    return int(text[count - amount :] + text[: count - amount], 2)


def rotated_left(a: int, amount: int, count: int) -> int:
    return rotated_right(a, -amount, count)


def bytes_of(a: int) -> bytes:
    return a.to_bytes(8, "little")


def with_bit(a: int, place: int, bit: str) -> int:
    text = list(reversed(bits(a)))
    text[place % 64] = bit
    return int("".join(reversed(text)), 2)


def bit_of(a: int, place: int) -> int:
    return int(bits(a)[63 - place % 64])


REFERENCE: dict[str, Callable[[int, int], int]] = {
    "add.uw": lambda a, b: b + a % (1 << 32),
    "sh1add": lambda a, b: b + 2 * a,
    "sh2add": lambda a, b: b + 4 * a,
    "sh3add": lambda a, b: b + 8 * a,
    "sh1add.uw": lambda a, b: b + 2 * (a % (1 << 32)),
    "sh2add.uw": lambda a, b: b + 4 * (a % (1 << 32)),
    "sh3add.uw": lambda a, b: b + 8 * (a % (1 << 32)),
    "slli.uw": lambda a, b: a % (1 << 32) * 2**b,
    "andn": lambda a, b: a - (a & b),
    "orn": lambda a, b: a | (M64 - b),
    "xnor": lambda a, b: M64 - (a ^ b),
    "clz": lambda a, _: leading_zeros(a, 64),
    "ctz": lambda a, _: trailing_zeros(a, 64),
    "cpop": lambda a, _: bits(a).count("1"),
    "clzw": lambda a, _: leading_zeros(a, 32),
    "ctzw": lambda a, _: trailing_zeros(a, 32),
    "cpopw": lambda a, _: bits(a, 32).count("1"),
    "max": lambda a, b: max(signed(a), signed(b)),
    "maxu": max,
    "min": lambda a, b: min(signed(a), signed(b)),
    "minu": min,
    "sext.b": lambda a, _: sign_extended(a, 8),
    "sext.h": lambda a, _: sign_extended(a, 16),
    "zext.h": lambda a, _: a % (1 << 16),
    "rol": lambda a, b: rotated_left(a, b % 64, 64),
    "rolw": lambda a, b: sign_extended(rotated_left(a, b % 32, 32), 32),
    "ror": lambda a, b: rotated_right(a, b % 64, 64),
    "rori": lambda a, b: rotated_right(a, b, 64),
    "rorw": lambda a, b: sign_extended(rotated_right(a, b % 32, 32), 32),
    "roriw": lambda a, b: sign_extended(rotated_right(a, b, 32), 32),
    "orc.b": lambda a, _: int.from_bytes(bytes(0xFF if byte else 0 for byte in bytes_of(a)), "little"),
    "rev8": lambda a, _: int.from_bytes(bytes_of(a), "big"),
    "bclr": lambda a, b: with_bit(a, b, "0"),
    "bclri": lambda a, b: with_bit(a, b, "0"),
    "bext": bit_of,
    "bexti": bit_of,
    "binv": lambda a, b: with_bit(a, b, "01"[1 - bit_of(a, b)]),
    "binvi": lambda a, b: with_bit(a, b, "01"[1 - bit_of(a, b)]),
    "bset": lambda a, b: with_bit(a, b, "1"),
    "bseti": lambda a, b: with_bit(a, b, "1"),
    "czero.eqz": lambda a, b: a if b else 0,
    "czero.nez": lambda a, b: 0 if b else a,
}
ROWS = [row for row in TABLE if row.extension in {"Zba", "Zbb", "Zbs", "Zicond"}]


def test_reference_covers_the_table() -> None:
    assert {row.name for row in ROWS} == REFERENCE.keys()


@pytest.fixture(scope="module")
def host(engine: Any) -> Host:
    """One hart in M-mode."""
    made = Host(1, 1 << 16, 100_000_000, engine)
    made.harts[0].priv = PRIV_M
    return made


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_instruction_agrees_with_its_definition(host: Host, row: Instruction) -> None:
    chance = random.Random(f"{SEED} {row.name}")
    hart: Any = host.harts[0]
    for _ in range(CASES):
        operands = random_operands(row, chance)
        for number in range(1, 32):
            hart.x[number] = value(chance)
        before = list(hart.x[:32])
        a = before[operands["rs1"]]
        b = operands["imm"] if "imm" in operands else before[operands.get("rs2", 0)]
        expected = before[:]
        if operands["rd"]:
            expected[operands["rd"]] = REFERENCE[row.name](a, b) & M64
        host.write(RAM_BASE, encode(row, operands).to_bytes(4, "little"))
        hart.pc = RAM_BASE
        assert host.run(0, 1) == EXIT_BUDGET
        assert list(hart.x[:32]) == expected, f"VMLAB_SEED={SEED} {row.name} {operands} of {a:#x}, {b:#x}"
