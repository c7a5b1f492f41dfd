"""What assembling gives: bytes at addresses, the symbols, and the source line of each instruction."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple


class Segment(NamedTuple):
    """Bytes to load at an address, with permissions like `r-x`."""

    address: int
    data: bytes
    permissions: str


@dataclass(frozen=True)
class Program:
    """An assembled program.

    Attributes:
        entry: Where execution begins: `_start` if it is defined, else the start of .text.
        segments: What to load, in ascending order of address, none empty.
        symbols: Every label's address.
        constants: Every `.equ` symbol's value.
        exported: Names declared with .globl.
        lines: Address of each instruction and data item to its line in `source`, counted from 1.
        sections: Section name to (address, size in bytes), in ascending order of address.
        source, filename: What was assembled.
    """

    entry: int
    segments: tuple[Segment, ...]
    symbols: Mapping[str, int]
    constants: Mapping[str, int]
    exported: frozenset[str]
    lines: Mapping[int, int]
    sections: Mapping[str, tuple[int, int]]
    source: str
    filename: str
