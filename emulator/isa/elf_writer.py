"""Writes an assembled program as an ELF64 executable, for our loader and for other tools (objdump, QEMU).

Source: System V ABI, "Object Files"; RISC-V ELF psABI 1.0. Left out: relocations, debugging information.
"""

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from emulator.isa.assembly.program import Program, Segment

EM_RISCV, ET_EXEC, PT_LOAD = 243, 2, 1
SHT_PROGBITS, SHT_SYMTAB, SHT_STRTAB, SHT_NOBITS = 1, 2, 3, 8
SHF_WRITE, SHF_ALLOC, SHF_EXECINSTR = 1, 2, 4
STB_LOCAL, STB_GLOBAL = 0, 1
SHN_ABS = 0xFFF1

_FILE_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_PROGRAM_HEADER = struct.Struct("<IIQQQQQQ")
_SECTION_HEADER = struct.Struct("<IIQQQQIIQQ")
_SYMBOL = struct.Struct("<IBBHQQ")
_IDENT = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)  # 64-bit, little-endian, version 1, System V
_ALIGNMENT = 4096


@dataclass(frozen=True)
class _Section:
    """A section header in the making; `data` is what the file holds of it."""

    name: str
    kind: int
    data: bytes
    flags: int = 0
    address: int = 0
    size: int = 0
    link: int = 0
    info: int = 0
    entry_size: int = 0


def program_to_elf(program: Program) -> bytes:
    """Return a program as an ELF64 executable with one segment per section and a symbol table.

    Segments of zeros only take no room in the file.
    """
    loaded = [
        _loaded_section(name, segment)
        for name, segment in zip(program.sections, program.segments, strict=True)
    ]
    symbols, names, first_global = _symbol_table(program)
    link = len(loaded) + 2
    sections = [
        _Section("", 0, b""),
        *loaded,
        _Section(".symtab", SHT_SYMTAB, symbols, 0, 0, len(symbols), link, first_global, _SYMBOL.size),
        _Section(".strtab", SHT_STRTAB, names, 0, 0, len(names)),
    ]
    titles, title_offsets = _string_table([*(section.name for section in sections), ".shstrtab"])
    sections.append(_Section(".shstrtab", SHT_STRTAB, titles, 0, 0, len(titles)))
    return _layout(program.entry, sections, title_offsets, len(loaded))


def symbols_to_elf(entry: int, areas: Sequence[tuple[int, int]], symbols: Iterable[tuple[str, int]]) -> bytes:
    """Return an ELF64 file that holds symbols only, for a debugger: all global, of no type and size.

    `areas` are addresses and sizes of the memory that they are about; each becomes a section of code that
    takes no room in the file.
    """
    flags = SHF_ALLOC | SHF_EXECINSTR
    loaded = [_Section(f".area{n}", SHT_NOBITS, b"", flags, at, size) for n, (at, size) in enumerate(areas)]
    named = list(symbols)
    names, offsets = _string_table(["", *dict.fromkeys(name for name, _ in named)])
    place = dict(zip(dict.fromkeys(name for name, _ in named), offsets[1:], strict=True))
    table = bytearray(_SYMBOL.size)
    for name, value in named:
        section = next((n for n, (at, size) in enumerate(areas, 1) if at <= value <= at + size), SHN_ABS)
        table += _SYMBOL.pack(place[name], STB_GLOBAL << 4, 0, section, value % (1 << 64), 0)
    sections = [
        _Section("", 0, b""),
        *loaded,
        _Section(".symtab", SHT_SYMTAB, bytes(table), 0, 0, len(table), len(loaded) + 2, 1, _SYMBOL.size),
        _Section(".strtab", SHT_STRTAB, names, 0, 0, len(names)),
    ]
    titles, title_offsets = _string_table([*(section.name for section in sections), ".shstrtab"])
    sections.append(_Section(".shstrtab", SHT_STRTAB, titles, 0, 0, len(titles)))
    return _layout(entry, sections, title_offsets, len(loaded))


def _loaded_section(name: str, segment: Segment) -> _Section:
    """Describe a section that is loaded into memory."""
    flags = SHF_ALLOC
    flags |= SHF_WRITE if "w" in segment.permissions else 0
    flags |= SHF_EXECINSTR if "x" in segment.permissions else 0
    zeros = not any(segment.data)
    kind = SHT_NOBITS if zeros else SHT_PROGBITS
    return _Section(name, kind, b"" if zeros else segment.data, flags, segment.address, len(segment.data))


def _symbol_table(program: Program) -> tuple[bytes, bytes, int]:
    """Return the symbol table, its strings, and the index of the first global symbol: locals come first."""
    labels = [(name, value, True) for name, value in program.symbols.items()]
    constants = [(name, value, False) for name, value in program.constants.items()]
    ordered = sorted((*labels, *constants), key=lambda symbol: symbol[0] in program.exported)
    names, offsets = _string_table(["", *(name for name, _, _ in ordered)])
    table = bytearray(_SYMBOL.size)
    for (name, value, is_label), offset in zip(ordered, offsets[1:], strict=True):
        binding = STB_GLOBAL if name in program.exported else STB_LOCAL
        section = _section_index(program, value) if is_label else SHN_ABS
        table += _SYMBOL.pack(offset, binding << 4, 0, section, value % (1 << 64), 0)
    locals_count = sum(name not in program.exported for name, _, _ in ordered)
    return bytes(table), names, locals_count + 1


def _section_index(program: Program, address: int) -> int:
    """Return the number of the section that an address is in or at the end of."""
    for number, (start, size) in enumerate(program.sections.values(), start=1):
        if start <= address <= start + size:
            return number
    return SHN_ABS


def _string_table(names: Sequence[str]) -> tuple[bytes, list[int]]:
    """Return strings, each with a terminating zero, and the offset of each."""
    encoded = [name.encode() + b"\0" for name in names]
    return b"".join(encoded), [0, *accumulate(map(len, encoded))][:-1]


def _layout(entry: int, sections: Sequence[_Section], title_offsets: Sequence[int], loaded: int) -> bytes:
    """Put headers and contents into one file; loaded contents are at offsets congruent to their address."""
    body = bytearray(_FILE_HEADER.size + loaded * _PROGRAM_HEADER.size)
    section_headers = bytearray()
    program_headers = bytearray()
    for section, title in zip(sections, title_offsets, strict=True):
        body += bytes(-len(body) % (_ALIGNMENT if section.flags else 8))
        section_headers += _section_header(section, title, len(body))
        if section.flags:
            program_headers += _program_header(section, len(body))
        body += section.data
    body += bytes(-len(body) % 8)
    counts = (_SECTION_HEADER.size, len(sections), len(sections) - 1)
    header = _FILE_HEADER.pack(
        _IDENT, ET_EXEC, EM_RISCV, 1, entry, _FILE_HEADER.size, len(body), 0,
        _FILE_HEADER.size, _PROGRAM_HEADER.size, loaded, *counts,
    )  # fmt: skip
    body[: len(header) + len(program_headers)] = header + program_headers
    return bytes(body + section_headers)


def _section_header(section: _Section, title: int, offset: int) -> bytes:
    return _SECTION_HEADER.pack(
        title, section.kind, section.flags, section.address, offset if section.kind else 0, section.size,
        section.link, section.info, (_ALIGNMENT if section.flags else 8) if section.kind else 0,
        section.entry_size,
    )  # fmt: skip


def _program_header(section: _Section, offset: int) -> bytes:
    readable, writable, executable = (
        4,
        2 * bool(section.flags & SHF_WRITE),
        bool(section.flags & SHF_EXECINSTR),
    )
    return _PROGRAM_HEADER.pack(
        PT_LOAD, readable | writable | executable, offset, section.address, section.address,
        len(section.data), section.size, _ALIGNMENT,
    )  # fmt: skip
