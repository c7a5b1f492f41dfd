"""Programs as ELF files: what other tools read from them is what was assembled."""

import struct

from emulator.isa.assembler import assemble, program_to_elf
from tests.isa.conftest import section_headers

SOURCE = """
.globl _start
.equ SIZE, 64
local: nop
_start: la a0, word
.rodata
text: .asciz "hello"
.data
word: .word 7
.bss
room: .zero SIZE
"""


def program_headers(elf: bytes) -> list[tuple[int, ...]]:
    offset, count = struct.unpack_from("<Q", elf, 0x20)[0], struct.unpack_from("<H", elf, 0x38)[0]
    return [struct.unpack_from("<IIQQQQQQ", elf, offset + 56 * index) for index in range(count)]


def test_the_header_is_of_a_risc_v_executable() -> None:
    elf = program_to_elf(assemble(SOURCE))
    assert elf[:7] == b"\x7fELF\x02\x01\x01"
    assert struct.unpack_from("<HHIQ", elf, 16) == (2, 243, 1, 0x8000_0004)


def test_segments_load_what_was_assembled() -> None:
    program = assemble(SOURCE)
    elf = program_to_elf(program)
    for header, segment in zip(program_headers(elf), program.segments, strict=True):
        kind, flags, offset, virtual, physical, in_file, in_memory, alignment = header
        assert (kind, virtual, physical, in_memory) == (
            1,
            segment.address,
            segment.address,
            len(segment.data),
        )
        assert (
            "".join(letter if flags & bit else "-" for bit, letter in ((4, "r"), (2, "w"), (1, "x")))
            == segment.permissions
        )
        assert elf[offset : offset + in_file].ljust(in_memory, b"\0") == segment.data
        assert offset % alignment == virtual % alignment


def test_zeros_take_no_room_in_the_file() -> None:
    assert len(program_to_elf(assemble(".bss\n.zero 1 << 20"))) < 10_000


def test_symbols_are_named_and_the_exported_ones_global() -> None:
    elf = program_to_elf(assemble(SOURCE))
    headers = section_headers(elf)
    table = next(header for header in headers if header[1] == 2)
    names = headers[table[6]][4]
    symbols: dict[str, tuple[int, int]] = {}
    for offset in range(table[4] + 24, table[4] + table[5], 24):
        name, info, _other, _section, value, _size = struct.unpack_from("<IBBHQQ", elf, offset)
        end = elf.index(b"\0", names + name)
        symbols[elf[names + name : end].decode()] = (value, info >> 4)
    assert symbols == {
        "local": (0x8000_0000, 0),
        "_start": (0x8000_0004, 1),
        "text": (0x8000_1000, 0),
        "word": (0x8000_2000, 0),
        "room": (0x8000_3000, 0),
        "SIZE": (64, 0),
    }
    assert table[7] == 6  # the first global symbol
