"""The ELF loader believes nothing."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.machine.elf import ELF_HEADER, PROGRAM_HEADER, ElfError, load

CODE = b"\x13\x00\x00\x00" * 4
IDENT = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")


def header(**changes: int | bytes) -> bytes:
    """Return an ELF header with some fields changed."""
    fields: dict[str, int | bytes] = {
        "ident": IDENT, "type": 2, "machine": 243, "version": 1, "entry": 0x8000_0000, "phoff": 64,
        "shoff": 0, "flags": 0, "ehsize": 64, "phentsize": 56,
        "phnum": 1, "shentsize": 0, "shnum": 0, "shstrndx": 0,
    }  # fmt: skip
    return ELF_HEADER.pack(*(fields | changes).values())


def segment(**changes: int) -> bytes:
    """Return a program header with some fields changed."""
    fields = {
        "type": 1, "flags": 5, "offset": 120, "vaddr": 0x8000_0000, "paddr": 0x8000_0000, "filesz": 16,
        "memsz": 32, "align": 4096,
    }  # fmt: skip
    return PROGRAM_HEADER.pack(*(fields | changes).values())


def test_good_file_is_read() -> None:
    program = load(header() + segment() + CODE, "hello")
    assert program.entry == 0x8000_0000
    (only,) = program.segments
    assert (only.address, only.data, only.size, only.flags) == (0x8000_0000, CODE, 32, 5)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is not an ELF file"),
        (b"\x7fELF", "is not an ELF file"),
        (b"MZ" + bytes(100), "is not an ELF file"),
        (header(ident=IDENT[:4] + b"\x01" + IDENT[5:]) + segment(), "64-bit"),
        (header(machine=62) + segment() + CODE, "e_machine is 62"),
        (header(type=3) + segment() + CODE, "-static -no-pie"),
        (header(phentsize=32) + segment() + CODE, "e_phentsize"),
        (header(phnum=0) + segment() + CODE, "e_phnum is 0"),
        (header(phnum=65535) + segment() + CODE, "e_phnum is 65535"),
        (header(phoff=1 << 63) + segment() + CODE, "program headers end"),
        (header(phoff=(1 << 64) - 1) + segment() + CODE, "program headers end"),
        (header() + segment(filesz=64) + CODE, "p_filesz 0x40 is larger than p_memsz"),
        (header() + segment(offset=1 << 62, memsz=1 << 20) + CODE, "past the end of the file"),
        (header() + segment(filesz=1 << 40, memsz=1 << 40) + CODE, "past the end of the file"),
        (header() + segment(memsz=1 << 62) + CODE, "more than any machine"),
        (header() + segment(paddr=(1 << 64) - 1) + CODE, "more than any machine"),
        (header(entry=0x1000) + segment() + CODE, "e_entry 0x1000"),
        (header(phnum=2, phoff=64) + segment(offset=176) * 2 + CODE, "overlap"),
        (header(phnum=2) + segment(type=3) + segment(offset=176) + CODE, "dynamically linked"),
    ],
)
def test_lie_is_named(data: bytes, words: str) -> None:
    with pytest.raises(ElfError, match=words) as caught:
        load(data, "evil.elf")
    assert str(caught.value).startswith("evil.elf: ")


@given(st.data())
@settings(max_examples=300)
def test_damaged_file_is_refused_or_read_within_bounds(data: st.DataObject) -> None:
    good = bytearray(header() + segment() + CODE)
    for _ in range(data.draw(st.integers(1, 6))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        program = load(bytes(good[: data.draw(st.integers(0, len(good)))]))
    except ElfError:
        return
    for one in program.segments:
        assert len(one.data) <= one.size <= 1 << 30
        assert one.address + one.size <= 1 << 56


@given(st.binary(max_size=400))
@settings(max_examples=200)
def test_random_bytes_are_no_program(data: bytes) -> None:
    with pytest.raises(ElfError):
        load(data)


def test_program_headers_at_an_odd_offset_are_fine() -> None:
    data = header(phoff=67) + b"pad" + segment(offset=123) + CODE
    assert load(data).segments[0].data == CODE
    assert struct.calcsize("<16sHHIQQQIHHHHHH") == 64
