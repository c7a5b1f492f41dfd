"""Sections: where bytes collect while a program is read, and how sections get their addresses.

Sections are placed in ascending order: code, read-only data, data, bss; those of one class in the order in
which the program first names them. Each begins on a page of its own, so that each page has one set of
permissions.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from emulator.isa.assembly.lexer import Token
from emulator.isa.assembly.problems import Mistake

OUTPUT_LIMIT = 16 << 20
PAGE_SIZE = 4096

_NOP = (0x0000_0013).to_bytes(4, "little")
_COMPRESSED_NOP = (0x0001).to_bytes(2, "little")
_PERMISSIONS = {
    ".text": "r-x", ".init": "r-x", ".rodata": "r--", ".srodata": "r--",
    ".data": "rw-", ".sdata": "rw-", ".bss": "rw-", ".sbss": "rw-",
}  # fmt: skip


@dataclass(eq=False)
class Section:
    """A section being filled.

    Attributes:
        name: As in the source, `.text`.
        permissions: `r-x`, `r--`, `rw-` or `rwx`; empty if the section is not loaded (`.comment`).
        zeros: Whether the section holds only zeros (.bss).
        data: Its bytes so far.
        alignment: Power of two that its address must be a multiple of.
        lines: Offset of each instruction or data item to its source line.
        address: Decided by `place`.
    """

    name: str
    permissions: str
    zeros: bool
    data: bytearray = field(default_factory=bytearray)
    alignment: int = 1
    lines: dict[int, int] = field(default_factory=dict[int, int])
    address: int = 0

    @property
    def rank(self) -> int:
        """Order of placement: code, read-only data, data, bss."""
        return 3 if self.zeros else ("r-x", "r--", "rw-", "rwx").index(self.permissions) % 3

    def padding(self, alignment: int) -> bytes:
        """Return what fills the section up to a multiple of `alignment`: nops in code, else zeros."""
        missing = -len(self.data) % alignment
        if "x" not in self.permissions:
            return bytes(missing)
        odd, rest = bytes(missing % 2), missing // 2 * 2
        return odd + _COMPRESSED_NOP * (rest % 4 // 2) + _NOP * (rest // 4)


def new_section(name: str, flags: str | None, nobits: bool) -> Section:
    """Create a section; flags like `"ax"` decide what it is, or else its name does (`.text.boot` is code).

    Args:
        flags: The letters of the `.section` directive; None if it has none.
        nobits: Whether the directive says `@nobits`.
    """
    family = "." + name.lstrip(".").partition(".")[0]
    zeros = nobits or (flags is None and family in (".bss", ".sbss"))
    if flags is None:
        return Section(name, _PERMISSIONS.get(family, "rw-"), zeros)
    if "a" not in flags:
        return Section(name, "", zeros)
    writable, executable = "w" in flags, "x" in flags
    return Section(name, f"r{'w' if writable else '-'}{'x' if executable else '-'}", zeros)


def place(sections: Iterable[Section], base: int, page_size: int) -> list[Section]:
    """Give every loaded section its address, from `base` upwards; return them in that order."""
    loaded = (section for section in sections if section.permissions)
    ordered = sorted(loaded, key=lambda section: section.rank)
    address = base
    for section in ordered:
        alignment = max(section.alignment, page_size)
        section.address = (address + alignment - 1) // alignment * alignment
        address = section.address + len(section.data)
    return ordered


class Sections:
    """All sections of a program and the one being filled."""

    def __init__(self) -> None:
        self._by_name: dict[str, Section] = {}
        self.current = self.select(".text")
        self._size = 0

    def __iter__(self) -> Iterator[Section]:
        return iter(self._by_name.values())

    def __getitem__(self, name: str) -> Section:
        return self._by_name[name]

    def select(self, name: str, flags: str | None = None, nobits: bool = False) -> Section:
        """Make a section the current one, creating it at its first mention."""
        if name not in self._by_name:
            self._by_name[name] = new_section(name, flags, nobits)
        self.current = self._by_name[name]
        return self.current

    def reserve(self, size: int, token: Token) -> None:
        """Check that `size` more bytes fit the program; call it before making them."""
        if self._size + size > OUTPUT_LIMIT:
            raise Mistake(
                f"the program would exceed {OUTPUT_LIMIT >> 20} MiB; it needs {size} bytes here", token
            )
        self._size += size

    def append(self, data: bytes, token: Token) -> None:
        """Add bytes to the current section."""
        if self.current.zeros and any(data):
            raise Mistake(f"{self.current.name} holds only zeros; put this into .data", token)
        self.reserve(len(data), token)
        self.current.data += data
