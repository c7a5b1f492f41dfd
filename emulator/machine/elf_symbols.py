"""The symbol table of an ELF64 file: addresses by name, for programs that talk through named memory.

Source: System V ABI, "Symbol Table". A damaged table reads as an empty one: symbols are optional.
"""

from __future__ import annotations

import struct

SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
# e_shoff, then e_shentsize and e_shnum, of the ELF header.
SECTIONS = struct.Struct("<Q10xHH")
SHT_SYMTAB = 2
SHN_UNDEF = 0
MAX_SYMBOLS = 1 << 20


def symbols(data: bytes) -> dict[str, int]:
    """Return the addresses of the defined symbols of an ELF file that `elf.load` accepts."""
    offset, size, count = SECTIONS.unpack_from(data, 40)
    if size != SECTION_HEADER.size or offset + size * count > len(data):
        return {}
    headers = [SECTION_HEADER.unpack_from(data, offset + size * index) for index in range(count)]
    found: dict[str, int] = {}
    for header in headers:
        kind, start, length, link = (int(header[index]) for index in (1, 4, 5, 6))
        if kind == SHT_SYMTAB and start + length <= len(data) and link < count:
            names, names_length = int(headers[link][4]), int(headers[link][5])
            found |= _table(data[start : start + length], data[names : names + names_length])
    return found


def _table(table: bytes, names: bytes) -> dict[str, int]:
    found: dict[str, int] = {}
    for index in range(min(len(table) // SYMBOL.size, MAX_SYMBOLS)):
        name, _, _, section, value, _ = SYMBOL.unpack_from(table, index * SYMBOL.size)
        end = names.find(b"\0", name)
        if section != SHN_UNDEF and name and end > name:
            found[names[name:end].decode(errors="replace")] = value
    return found
