"""One instruction's encoding, and the reader of the rows in `encodings.py`.

A row is a line of the instruction listings of the Unprivileged and Privileged ISA manuals (20240411), most
significant bit first: literal bits, register names, and immediates with the positions of their bits,
`imm[12|10:5]`. A primed register (`rd'`) is the 3-bit form that holds x8 to x15. Floating-point registers are
`fd fs1 fs2 fs3`, so that the name of an operand tells its register file.
"""

import keyword
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

FIELD_WIDTHS = {
    "rd": 5, "rs1": 5, "rs2": 5, "rs3": 5, "rd'": 3, "rs1'": 3, "rs2'": 3,
    "fd": 5, "fs1": 5, "fs2": 5, "fs3": 5, "fd'": 3, "fs2'": 3,
    "csr": 12, "aq": 1, "rl": 1, "fm": 4, "pred": 4, "succ": 4, "rm": 3,
}  # fmt: skip
FLOAT_FIELDS = frozenset({"fd", "fs1", "fs2", "fs3"})
REGISTER_FIELDS = frozenset({"rd", "rs1", "rs2"}) | FLOAT_FIELDS
SIGNED_IMMEDIATES = frozenset({"imm", "nzimm"})
UNSIGNED_IMMEDIATES = frozenset({"uimm", "nzuimm", "shamt"})

_TOKEN = re.compile(
    r"(?P<name>[a-z]+[123]?'?)\[(?P<bits>[0-9:|]+)\]|(?P<literal>[01]+)|(?P<field>[a-z]+[123]?'?)"
)
_INTEGER = re.compile(r"-?(0x[0-9a-f]+|[0-9]+)")


class Segment(NamedTuple):
    """A run of an operand's bits: `width` of them, from `value_low` in the value, `insn_low` in the word."""

    value_low: int
    insn_low: int
    width: int


class Expansion(NamedTuple):
    """What a compressed instruction stands for: a base instruction and its operands.

    An operand is a constant, or the name of the compressed instruction's field that supplies it.
    """

    name: str
    operands: Mapping[str, int | str]


@dataclass(frozen=True, eq=False)
class Instruction:
    """One row of the table.

    Attributes:
        name: As assembled, `amoadd.w`.
        index: Operation number, 1 upwards in table order; 0 means undecoded. A compressed row has that of
            its expansion.
        extension: `I`, `M`, `A`, `Zicsr`, `H`, `C`, ...
        kind: How the interpreter runs it; the list is in `encodings.py`.
        syntax: Operands as the assembler writes them, `rd,imm(rs1)`.
        mask, match: A word `w` is this instruction when `w & mask == match` and no constraint forbids it.
        length: Bytes of the instruction, 4 or 2.
        width: Bytes of its memory access, 0 if it makes none.
        fields: Operand name to the segments that hold it. A register field of 3 bits holds x8 to x15.
        signed: Whether the field `imm` is sign-extended.
        constraints: (field, value) pairs that belong to another instruction or are reserved.
        expands: For a compressed row, the base instruction it stands for.
    """

    name: str
    index: int
    extension: str
    kind: str
    syntax: str
    mask: int
    match: int
    length: int
    width: int
    fields: Mapping[str, tuple[Segment, ...]] = field(repr=False)
    signed: bool = False
    constraints: tuple[tuple[str, int], ...] = ()
    expands: Expansion | None = None

    @property
    def function(self) -> str:
        """Name the Python function that gives this instruction its meaning: `amoadd_w`, `and_`."""
        name = self.name.replace(".", "_")
        return name + "_" if keyword.iskeyword(name) else name

    def field_width(self, name: str) -> int:
        """Count the bits of an operand's value, from bit 0 to the highest one that the word holds."""
        return max(segment.value_low + segment.width for segment in self.fields[name])

    def field_alignment(self, name: str) -> int:
        """Return the power of two that every value of an operand is a multiple of."""
        return 1 << min(segment.value_low for segment in self.fields[name])

    def is_compact(self, name: str) -> bool:
        """Tell whether an operand is a 3-bit register field, which holds x8 to x15."""
        return name in REGISTER_FIELDS and self.field_width(name) == 3


class Pattern(NamedTuple):
    """The bits of one row: what is fixed, where the operands stand and which values are excluded."""

    mask: int
    match: int
    fields: dict[str, tuple[Segment, ...]]
    signed: bool
    nonzero: bool


def parse_pattern(text: str, length: int) -> Pattern:
    """Read a pattern of `length` bytes in the manual's notation; a malformed row is our bug and asserts."""
    mask = match = 0
    fields: dict[str, tuple[Segment, ...]] = {}
    signed = nonzero = False
    position = length * 8
    for token in text.split():
        parts = _TOKEN.fullmatch(token)
        assert parts is not None, f"pattern token {token!r}"
        literal, name, plain = parts["literal"], parts["name"], parts["field"]
        if literal is not None:
            position -= len(literal)
            mask |= ((1 << len(literal)) - 1) << position
            match |= int(literal, 2) << position
        elif name is not None:
            segments = tuple(_scatter(parts["bits"], position))
            position = segments[-1].insn_low
            fields["imm"] = fields.get("imm", ()) + segments
            assert name in SIGNED_IMMEDIATES | UNSIGNED_IMMEDIATES, token
            signed = signed or name in SIGNED_IMMEDIATES
            nonzero = nonzero or name.startswith("nz")
        else:
            width = FIELD_WIDTHS[plain]
            position -= width
            fields[plain.rstrip("'")] = (Segment(0, position, width),)
    assert position == 0, f"pattern {text!r} is {length * 8 - position} bits long"
    return Pattern(mask, match, fields, signed, nonzero)


def _scatter(bits: str, position: int) -> Iterator[Segment]:
    """Yield the segments of `12|10:5`, which fill the word downwards from bit `position` (exclusive)."""
    for part in bits.split("|"):
        high, _, low = part.partition(":")
        value_low = int(low or high)
        width = int(high) - value_low + 1
        position -= width
        yield Segment(value_low, position, width)


def parse_expansion(text: str) -> Expansion:
    """Read `addi rd rs1=2 imm`: an instruction and its operands; a bare name is the field of that name."""
    name, *bindings = text.split()
    operands: dict[str, int | str] = {}
    for binding in bindings:
        field, _, source = binding.partition("=")
        operands[field] = int(source, 0) if _INTEGER.fullmatch(source) else source or field
    return Expansion(name, operands)


def insert(segments: tuple[Segment, ...], value: int) -> int:
    """Return the bits of a word that hold `value`."""
    word = 0
    for value_low, insn_low, width in segments:
        word |= (value >> value_low & (1 << width) - 1) << insn_low
    return word


def extract(segments: tuple[Segment, ...], word: int) -> int:
    """Return the operand that `word` holds, not sign-extended."""
    value = 0
    for value_low, insn_low, width in segments:
        value |= (word >> insn_low & (1 << width) - 1) << value_low
    return value
