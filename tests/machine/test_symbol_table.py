"""A kernel's symbols come back from the image that they were bundled in; damaged ones are none."""

import zlib

import pytest

from emulator.machine import linux, symbol_table
from tests.machine.test_linux import image

RUNS_AT = 0xFFFF_FFFF_8000_0000
SYMBOLS = [("_start", RUNS_AT), ("twice", RUNS_AT + 0x40), ("twice", RUNS_AT + 0x80), ("low", 0x1000)]


def test_a_bundled_kernel_has_its_symbols_before_and_after_it_turns_paging_on() -> None:
    bundled = linux.bundle(image(), b"files", "a test", symbol_table.pack(RUNS_AT, SYMBOLS))
    loaded = linux.load_bundle(bundled, "linux")
    assert loaded.runs_at == RUNS_AT
    assert loaded.symbols_under(0).name_of(0x8020_0084) == "twice+0x4"
    assert loaded.symbols_under(8 << 60 | 0x8_0201).name_of(RUNS_AT + 0x44) == "twice+0x4"
    assert loaded.symbols_under(8 << 60 | 0x8_0201).name_of(0x8020_0084) == "", "that is a program's own page"
    assert "low" not in loaded.symbols, "constants are no addresses"


def test_symbols_can_be_added_to_an_image_and_taken_from_it() -> None:
    plain = linux.bundle(image(), b"files", "a test")
    table = symbol_table.pack(RUNS_AT, SYMBOLS)
    named = linux.with_symbols(plain, "linux", table)
    assert linux.kept_symbols(named, "linux") == table
    assert linux.with_symbols(named, "linux", b"") == plain
    assert linux.load_bundle(plain, "linux").symbols_under(0).name_of(0x8020_0000) == ""


@pytest.mark.parametrize(
    "damaged",
    [
        b"",
        b"no zlib",
        symbol_table.pack(RUNS_AT, SYMBOLS)[:-3],
        zlib.compress(b"nonsense"),
        zlib.compress(b"80000000\nzz name"),
        zlib.compress(b"80000000\n4 na\x1bme"),
        zlib.compress(b"ffffffff80000000\nffffffffffffffff far"),
        zlib.compress(b"80000000\n" + bytes(symbol_table.MAX_TEXT_BYTES)),
        zlib.compress("80000000\n4 ä".encode()),
    ],
    ids=["empty", "raw", "cut", "no number", "no distance", "control", "beyond", "bomb", "not ascii"],
)
def test_a_damaged_table_is_an_empty_one(damaged: bytes) -> None:
    assert symbol_table.unpack(damaged) == (0, [])
    bundled = linux.bundle(image(), b"files", "a test", damaged)
    assert not linux.load_bundle(bundled, "linux").symbols
