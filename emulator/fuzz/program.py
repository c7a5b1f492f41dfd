"""A random program: atoms, which are groups of instructions that make sense together, and jumps between them.

Jumps go forward; loops count down a register of their own, so that every program ends. Encoding chooses the
distance: a jump to an atom that is gone, or too far, goes to the next one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from emulator.fuzz.layout import CODE, CODE_BYTES, END, GLOBAL
from emulator.fuzz.worlds import Context
from emulator.isa.disassembler import disassemble
from emulator.isa.encodings import BY_NAME, encode, value_range
from emulator.isa.instruction import Instruction


@dataclass(frozen=True, slots=True)
class Line:
    """One instruction, or raw bits; `target` is the label of the atom that it jumps to."""

    row: Instruction | None
    operands: tuple[tuple[str, int], ...] = ()
    target: int | None = None
    word: int = 0

    @property
    def length(self) -> int:
        """Bytes of the instruction."""
        return self.row.length if self.row else 4 if self.word & 3 == 3 else 2


def line(name: str, **operands: int) -> Line:
    """Return an instruction by name."""
    return Line(BY_NAME[name], tuple(operands.items()))


@dataclass(frozen=True, slots=True)
class Atom:
    """Instructions that run from the first one; labels rise in a program."""

    label: int
    lines: tuple[Line, ...]


ENDING = (line("addi", rd=GLOBAL, rs1=0, imm=END), line("ecall"))


@dataclass(frozen=True)
class Program:
    """All that a program begins from, but its world's memory."""

    name: str
    atoms: tuple[Atom, ...]
    contexts: tuple[Context, ...]
    registers: tuple[int, ...]
    floats: tuple[int, ...] = ()

    @cached_property
    def code(self) -> bytes:
        """The program, encoded."""
        return b"".join(word.to_bytes(length, "little") for word, length in encoded(self.atoms))

    def listing(self) -> list[str]:
        """Disassemble the program."""
        shown: list[str] = []
        place = CODE
        for word, length in encoded(self.atoms):
            shown.append(f"{place - CODE:#06x}: {word:0{2 * length}x}  {disassemble(word, pc=place - CODE)}")
            place += length
        return shown


def encoded(atoms: Sequence[Atom]) -> list[tuple[int, int]]:
    """Return word and length of each instruction, the ending included."""
    starts: list[tuple[int, int]] = []
    place = 0
    for atom in atoms:
        starts.append((atom.label, place))
        place += sum(each.length for each in atom.lines)
    starts.append((1 << 30, place))
    assert place + 8 <= CODE_BYTES, "programs fit their page"
    found: list[tuple[int, int]] = []
    place = 0
    for number, atom in enumerate(atoms):
        for each in atom.lines:
            found.append((_word(each, place, starts, number), each.length))
            place += each.length
    for each in ENDING:
        assert each.row is not None
        found.append((encode(each.row, dict(each.operands)), each.length))
    return found


def _word(each: Line, place: int, starts: list[tuple[int, int]], number: int) -> int:
    if each.row is None:
        return each.word
    operands = dict(each.operands)
    if each.target is not None:
        low, high = value_range(each.row, "imm")
        # The atom of that label or the first one behind it; the next one if that is out of reach.
        goal = next(start for label, start in starts if label >= each.target) - place
        operands["imm"] = goal if low <= goal <= high else starts[number + 1][1] - place
    return encode(each.row, operands)
