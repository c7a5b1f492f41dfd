"""Random programs that stay where they are put: loops, calls, loads and stores of every alignment, atomics.

x2 and x3 hold the address of the data, x4 is for computing addresses; nothing else writes these three. A
program is a list of atoms, groups of instructions that only run from their first one; jumps go to the start
of an atom.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

from emulator.isa.encodings import BY_NAME, COMPRESSED, TABLE, encode, expand, value_range
from emulator.isa.instruction import Instruction
from tests.differential.operands import random_operands

DATA_BYTES = 8192  # the base registers point to its middle
RESERVED = {2, 3, 4}
_ALU = [
    row for row in (*TABLE, *COMPRESSED) if row.extension in "IMC" and row.kind in {"alu", "alui", "upper"}
]
_BRANCHES = [row for row in (*TABLE, *COMPRESSED) if row.kind in {"branch", "jal"}]
_ACCESSES = [row for row in (*TABLE, *COMPRESSED) if row.kind in {"load", "store"}]
_AMOS = [row for row in TABLE if row.kind == "amo"]


@dataclass(frozen=True)
class Line:
    """One instruction; `target` is the atom that it jumps to."""

    row: Instruction
    operands: dict[str, int]
    target: int | None = None


Atom = tuple[Line, ...]


def program(chance: random.Random, atoms: int) -> bytes:
    """Return the bytes of a random program."""
    lines = [_atom(chance) for _ in range(atoms)]
    starts = [0]
    for atom in lines:
        starts.append(starts[-1] + sum(line.row.length for line in atom))
    code = bytearray()
    for atom in lines:
        for line in atom:
            code += _encoded(line, len(code), starts, chance)
    # What falls off the end goes round.
    return bytes(code) + encode(BY_NAME["jal"], {"rd": 0, "imm": -len(code)}).to_bytes(4, "little")


def _encoded(line: Line, place: int, starts: list[int], chance: random.Random) -> bytes:
    """Encode an instruction, and choose where a jump goes among the atoms within its reach."""
    operands = line.operands
    if line.row.kind in {"branch", "jal"}:
        low, high = value_range(line.row, "imm")
        # Forward three times in four: a loop is welcome, endless ones teach less.
        near = [start - place for start in starts if low <= start - place <= high]
        ahead = [offset for offset in near if offset > 0]
        operands = operands | {"imm": chance.choice(ahead if ahead and chance.randrange(4) else near)}
    return encode(line.row, operands).to_bytes(line.row.length, "little")


def _written(row: Instruction, operands: dict[str, int]) -> int:
    return expand(row, operands)[1].get("rd", 0)


def _free_operands(row: Instruction, chance: random.Random) -> dict[str, int]:
    """Return operands that write none of the reserved registers."""
    while True:
        operands = random_operands(row, chance)
        if _written(row, operands) not in RESERVED:
            return operands


def _atom(chance: random.Random) -> Atom:
    return chance.choice(
        (
            _compute,
            _compute,
            _compute,
            _jump,
            _indirect_jump,
            _access,
            _access,
            _computed_access,
            _atomic,
            _pair,
        )
    )(chance)


def _compute(chance: random.Random) -> Atom:
    row = chance.choice([row for row in _ALU if row.name != "c.addi16sp"])
    return (Line(row, _free_operands(row, chance)),)


def _jump(chance: random.Random) -> Atom:
    row = chance.choice(_BRANCHES)
    return (Line(row, _free_operands(row, chance)),)


def _indirect_jump(chance: random.Random) -> Atom:
    """A jump by register over what follows: auipc, jalr, an instruction or two that it skips."""
    over = chance.choice((0, 2, 4))
    link = chance.choice((0, 1, 5, 31))
    skipped = {
        0: (),
        2: (Line(BY_NAME["c.addi"], {"rd": 9, "imm": 5}),),
        4: (Line(BY_NAME["addi"], {"rd": 9, "rs1": 9, "imm": 5}),),
    }
    jump = Line(BY_NAME["jalr"], {"rd": link, "rs1": 4, "imm": 8 + over + chance.randrange(2)})
    return (Line(BY_NAME["auipc"], {"rd": 4, "imm": 0}), jump, *skipped[over])


def _access(chance: random.Random) -> Atom:
    """A load or store at a constant offset, of any alignment where the encoding has one."""
    row = chance.choice(_ACCESSES)
    operands = _free_operands(row, chance)
    if "rs1" not in row.fields:
        return (Line(row, operands),)
    if row.length == 2:
        prepare = Line(BY_NAME["c.mv"], {"rd": operands["rs1"], "rs2": 3})
        return (prepare, Line(row, operands))
    return (Line(row, operands | {"rs1": 3}),)


def _computed_access(chance: random.Random) -> Atom:
    """A load or store at a computed address, seldom aligned."""
    row = chance.choice([row for row in _ACCESSES if row.length == 4])
    operands = _free_operands(row, chance) | {"rs1": 4}
    return (*_address(chance, 0x7FF), Line(row, operands))


def _atomic(chance: random.Random) -> Atom:
    row = chance.choice(_AMOS)
    return (*_address(chance, 0x7F8), Line(row, _free_operands(row, chance) | {"rs1": 4}))


def _pair(chance: random.Random) -> Atom:
    """LR and SC to the same address. The value stored is not the one that was there: QEMU compares it."""
    size = chance.choice("wd")
    load = _free_operands(BY_NAME[f"lr.{size}"], chance) | {"rs1": 4}
    store = _free_operands(BY_NAME[f"sc.{size}"], chance) | {"rs1": 4}
    return (*_address(chance, 0x7F8), Line(BY_NAME[f"lr.{size}"], load), Line(BY_NAME[f"sc.{size}"], store))


def _address(chance: random.Random, mask: int) -> Atom:
    """Instructions that leave an address of the data, taken from some register, in x4."""
    source = chance.randrange(5, 32)
    return (
        Line(BY_NAME["andi"], {"rd": 4, "rs1": source, "imm": mask}),
        Line(BY_NAME["add"], {"rd": 4, "rs1": 4, "rs2": 3}),
    )
