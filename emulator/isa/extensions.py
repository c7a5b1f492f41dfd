"""Which extensions a hart has: their names, what they need, and ISA strings like `rv64imac_zicsr_sstc`.

Sources: The RISC-V Instruction Set Manual, Volume I (Unprivileged, 20240411), "ISA Extension Naming
Conventions"; Volume II (Privileged, 20240411), "Machine ISA (misa) Register". A set of extensions is one
number: the single letters at their place in misa, the longer names from bit 26 up. M-, S- and U-mode and
Zicsr are always there. Left out: RV32 and RV128, RV32E, versions in a string (`i2p1`), extensions that
nothing here implements.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property

from emulator.errors import VmLabError
from emulator.isa.assembly.problems import did_you_mean

# name | what it needs too | what it adds. In the canonical order.
_LISTING = """
i         |                   | base integer instructions, 64 bits
m         |                   | multiplication and division
a         |                   | atomic instructions
f         |                   | single-precision floating point
d         | f                 | double-precision floating point
c         |                   | compressed instructions
b         | zba zbb zbs       | bit manipulation
h         |                   | hypervisor
zicbom    |                   | cache-block management
zicbop    |                   | cache-block prefetch hints
zicboz    |                   | zeroing of cache blocks
zicntr    |                   | the counters cycle, time and instret
zicond    |                   | conditional zero
zicsr     |                   | control and status registers
zifencei  |                   | instruction-fetch fence
zihpm     |                   | hardware performance counters
zba       |                   | address generation
zbb       |                   | basic bit manipulation
zbs       |                   | single-bit instructions
smstateen | ssstateen         | state enables, machine level
ssstateen |                   | state enables, supervisor level
sstc      |                   | timer compare registers of S- and VS-mode
svade     |                   | page faults where A or D must be set
svadu     |                   | hardware updating of A and D
svinval   |                   | fine-grained invalidation of translations
svnapot   |                   | pages of 64 KiB
svpbmt    |                   | memory types in page-table entries
"""
PREFIX = "rv64"
ALWAYS = ("i", "zicsr")
_GENERAL = "imafd"  # with Zicsr and Zifencei, what `g` stands for
# Bits of misa that are no extension here: S-mode and U-mode.
_MODES = 1 << ord("s") - ord("a") | 1 << ord("u") - ord("a")
_LETTERS = 26
_LETTERS_FIRST = re.compile("[^sz_]*")

_ROWS = [[column.strip() for column in row.split("|")] for row in _LISTING.strip().splitlines()]
NAMES: tuple[str, ...] = tuple(row[0] for row in _ROWS)
MEANINGS = {name: meaning for name, _, meaning in _ROWS}
_NEEDS = {name: needs.split() for name, needs, _ in _ROWS}
_LONGER = [name for name in NAMES if len(name) > 1]


class IsaError(VmLabError):
    """An ISA string cannot be a hart's: `rv64imaq: q is no extension of this machine; ...`."""


def extension_bit(name: str) -> int:
    """Return the bit of an extension in a set of extensions. Raises KeyError for an unknown name."""
    if name not in _NEEDS:
        raise KeyError(name)
    return 1 << (ord(name) - ord("a") if len(name) == 1 else _LETTERS + _LONGER.index(name))


@dataclass(frozen=True)
class Isa:
    """A set of extensions, as `bits`."""

    bits: int

    def __contains__(self, name: str) -> bool:
        """Tell whether the hart has an extension."""
        return bool(self.bits & extension_bit(name))

    @cached_property
    def misa(self) -> int:
        """The value of misa: MXL 64 bits, the letters, S and U."""
        return 2 << 62 | _MODES | self.bits & (1 << _LETTERS) - 1

    def names(self) -> list[str]:
        """Return the extensions in the canonical order; `b` as its parts."""
        return [name for name in NAMES if name in self and name != "b"]

    def string(self) -> str:
        """Return the canonical ISA string, as a device tree's `riscv,isa` spells it."""
        names = self.names()
        single = "".join(name for name in names if len(name) == 1)
        return "_".join([PREFIX + single, *(name for name in names if len(name) > 1)])


def make_isa(names: Iterable[str]) -> Isa:
    """Return the set of these extensions and of all that they need."""
    todo, found = [*ALWAYS, *names], set[str]()
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += _NEEDS[name]
    if found.issuperset(_NEEDS["b"]):
        found.add("b")
    return Isa(sum(map(extension_bit, found)))


DEFAULT_ISA = make_isa(NAMES)


def parse_isa(text: str) -> Isa:
    """Read an ISA string; upper and lower case are the same, and longer names are divided by underscores.

    Raises:
        IsaError: It says where it is wrong: another XLEN, no base, an unknown or a repeated extension.
    """
    lower = text.lower()
    if not lower.startswith(PREFIX):
        raise IsaError(f"{_shown(text)}: must begin with {PREFIX}, the only width of these harts")
    base = lower[len(PREFIX) : len(PREFIX) + 1]
    if base not in ("i", "g"):
        hint = "; e, the base with 16 registers, is none of these harts'" if base == "e" else ""
        raise IsaError(f"{_shown(text)}: after {PREFIX} comes the base, {PREFIX}i... or {PREFIX}g...{hint}")
    names: list[str] = []
    implied: list[str] = []
    for place, name in _split(lower):
        if name == "g" and place == len(PREFIX):
            names += _GENERAL
            implied += ("zicsr", "zifencei")
        elif name not in _NEEDS:
            what = (
                f"{_shown(name) if name else 'nothing'} at column {place + 1} is no extension of these harts"
            )
            hint = did_you_mean(name, NAMES) or f"; they have {' '.join(NAMES)}"
            raise IsaError(f"{_shown(text)}: {what}{hint}")
        elif name in names:
            raise IsaError(f"{_shown(text)}: {name} at column {place + 1} is there already; write it once")
        else:
            names.append(name)
    return make_isa([*names, *implied])


def _split(lower: str) -> Iterator[tuple[int, str]]:
    """Yield place and name of each extension: letters up to the first s, z or underscore, then names."""
    match = _LETTERS_FIRST.match(lower, len(PREFIX))
    assert match is not None
    yield from enumerate(match.group(), start=len(PREFIX))
    place = match.end()
    if place == len(lower):
        return
    place += lower[place] == "_"
    for name in lower[place:].split("_"):
        yield place, name
        place += len(name) + 1


def _shown(text: str) -> str:
    """Return a user's text for a message: shortened, and harmless on a terminal."""
    return text if 0 < len(text) <= 80 and text.isprintable() else ascii(text[:80])
