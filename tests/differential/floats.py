"""Floating-point operands, and single floating-point instructions on our machine."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterator, Sequence
from typing import Any

from emulator.core.csr_bits import FS
from emulator.isa.encodings import TABLE, encode
from emulator.isa.instruction import Instruction
from emulator.machine.host import Host
from emulator.state import EXIT_BUDGET, PRIV_M, RAM_BASE
from tests.differential.exact_floats import RMM, RNE

BOX = 0xFFFF_FFFF << 32
ROWS = tuple(row for row in TABLE if row.kind.startswith("fp") and row.kind not in ("fpload", "fpstore"))
DYNAMIC = 7
MODES = range(RNE, RMM + 1)
SOURCES = ("fs1", "fs2", "fs3", "rs1")


def _special(exponent_bits: int, fraction_bits: int) -> tuple[int, ...]:
    """Return interesting encodings of a format, both signs."""
    top, bias, ones = (1 << exponent_bits) - 1, (1 << exponent_bits - 1) - 1, (1 << fraction_bits) - 1
    quiet = 1 << fraction_bits - 1
    shapes = [
        (0, 0), (0, 1), (0, 2), (0, quiet), (0, ones - 1), (0, ones), (1, 0), (1, 1), (1, ones), (2, 0),
        (fraction_bits, 0), (bias - fraction_bits - 2, 1), (bias - fraction_bits - 1, 0), (bias - 2, ones),
        (bias - 1, 0), (bias - 1, 1), (bias - 1, ones), (bias, 0), (bias, 1), (bias, quiet), (bias, ones),
        (bias + 1, 0), (bias + 1, quiet >> 1), (bias + fraction_bits, ones), (bias + 30, ones),
        (bias + 31, 0), (bias + 31, ones), (bias + 32, 0), (bias + 62, ones), (bias + 63, 0),
        (bias + 63, ones), (bias + 64, 0), (top - 2, ones), (top - 1, 0), (top - 1, ones), (top, 0),
        (top, quiet), (top, quiet | 1), (top, 1), (top, ones >> 1),
    ]  # fmt: skip
    plus = [exponent << fraction_bits | fraction for exponent, fraction in shapes]
    return tuple(plus + [value | 1 << exponent_bits + fraction_bits for value in plus])


SPECIAL_D = _special(11, 52)
# Singles, and what a single instruction must take for a NaN.
SPECIAL_S = (*(BOX | value for value in _special(8, 23)), 0x3F80_0000, 0xFFFF_FFFE_3F80_0000, 0x3FF0 << 48)
SPECIAL_X = (
    0, 1, 2, (1 << 24) - 1, (1 << 24) + 1, (1 << 25) + 2, (1 << 31) - 1, 1 << 31, (1 << 31) + 1,
    (1 << 32) - 1, 1 << 32, (1 << 53) - 1, (1 << 53) + 1, (1 << 54) + 2, (1 << 54) + 6, (1 << 62) + 1,
    (1 << 63) - 1, (1 << 63) - 513, 1 << 63, (1 << 63) + 1, (1 << 63) + 1024, (1 << 64) - 1,
    (1 << 64) - (1 << 31), (1 << 64) - 1024, (1 << 64) - 1025, 0x8000_0040_0000_0001,
)  # fmt: skip


def sources_of(row: Instruction) -> list[str]:
    """Return the source registers of an instruction, in the order in which its text has them."""
    return [name for name in SOURCES if name in row.fields]


def special(row: Instruction, source: str) -> tuple[int, ...]:
    """Return interesting contents of a source register of an instruction."""
    if source == "rs1":
        return SPECIAL_X
    return SPECIAL_S if _source_format(row) == "s" else SPECIAL_D


def _source_format(row: Instruction) -> str:
    """Return `s` or `d`: what the floating-point sources of an instruction are."""
    last = row.name.split(".")[-1]
    return {"w": "s", "x": row.name.split(".")[1]}.get(last, last)


def random_register(row: Instruction, source: str, chance: random.Random, near: int | None = None) -> int:
    """Return any register content: all bits random, or of a middling size, or close to `near`."""
    if source == "rs1":
        return chance.getrandbits(64) >> chance.randrange(64)
    single = _source_format(row) == "s"
    width, fraction_bits, bias = (32, 23, 127) if single else (64, 52, 1023)
    kind = chance.randrange(5)
    if kind == 0:
        value = chance.getrandbits(width)
    elif kind == 1 and near is not None:
        value = (near ^ (1 << width - 1)) + chance.randrange(-3, 4)
    else:
        # Around one, or where a product or (near zero) a quotient is about to underflow.
        middle = chance.choice((bias, bias, bias // 2, 20))
        exponent = max(middle + chance.randrange(-70, 70) * middle // bias, 0)
        sparse = chance.getrandbits(fraction_bits) & -(1 << chance.randrange(fraction_bits))
        value = chance.getrandbits(1) << width - 1 | exponent << fraction_bits | sparse
    value &= (1 << width) - 1
    return BOX | value if single else value


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


def modes_of(row: Instruction) -> range:
    """Return the rounding modes that make a difference to an instruction."""
    return MODES if "rm" in row.fields else range(RNE, RNE + 1)


def word_of(row: Instruction, rm: int) -> int:
    """Encode an instruction from registers 10, 11 and 12 to register 20."""
    operands = {name: 10 + number for number, name in enumerate(sources_of(row))}
    operands |= {"rm": rm} if "rm" in row.fields else {}
    return encode(row, operands | {target_of(row): 20})


def target_of(row: Instruction) -> str:
    """Return the field of the destination."""
    return "fd" if "fd" in row.fields else "rd"


class FloatUnit:
    """One hart in M-mode that executes single floating-point instructions."""

    def __init__(self, engine: Any) -> None:
        """Make the hart; floating point is on and dirty."""
        self.host = Host(1, 64 << 10, 100_000_000, engine)
        self.hart: Any = self.host.harts[0]
        self.hart.priv = PRIV_M
        self.hart.mstatus |= FS
        self._places: dict[int, int] = {}

    def execute(self, row: Instruction, registers: Sequence[int], rm: int, fcsr: int = 0) -> tuple[int, int]:
        """Execute an instruction; return the content of its destination and the flags afterwards.

        Args:
            registers: Contents of its sources, in the order fs1, fs2, fs3, or of rs1.
            rm: The field of that name, where the instruction has one.
            fcsr: The rounding mode and flags before.
        """
        hart = self.hart
        sources = sources_of(row)
        for number, value in enumerate(registers):
            (hart.x if sources[number] == "rs1" else hart.f)[10 + number] = value
        hart.fcsr = fcsr
        pc = hart.pc = self._place(word_of(row, rm))
        assert self.host.run(0, 1) == EXIT_BUDGET
        assert hart.pc == pc + 4, f"{row.name} trapped: cause {hart.mcause}"
        assert hart.fcsr >> 5 == fcsr >> 5
        return (hart.f if target_of(row) == "fd" else hart.x)[20], hart.fcsr & 0x1F

    def _place(self, word: int) -> int:
        """Return where an instruction stands in memory."""
        if word not in self._places:
            self._places[word] = RAM_BASE + 4 * len(self._places)
            self.host.write(self._places[word], struct.pack("<I", word))
        return self._places[word]
