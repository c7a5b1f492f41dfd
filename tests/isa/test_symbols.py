"""Symbols are found by name, by address, and from an address behind them."""

from emulator.isa.disassembler import disassemble
from emulator.isa.symbols import REACH, Symbols

SYMBOLS = Symbols([("start", 0x100), ("_text", 0x100), ("reset", 0x140), ("reset", 0x180), ("end", 0x200)])


def test_an_address_is_named_by_the_symbol_before_it() -> None:
    assert SYMBOLS.name_of(0x100) == "start", "of two names the one without underscores"
    assert SYMBOLS.name_of(0x13C) == "start+0x3c"
    assert SYMBOLS.name_of(0xFF) == ""
    assert SYMBOLS.name_of(0x200 + REACH) == "", "too far behind the last"


def test_functions_with_one_name_keep_their_own_addresses() -> None:
    assert SYMBOLS.name_of(0x144) == "reset+0x4"
    assert SYMBOLS.name_of(0x184) == "reset+0x4"
    assert SYMBOLS["reset"] == 0x140
    assert SYMBOLS.between(0x101, 0x200) == [0x140, 0x180]


def test_moved_symbols_are_the_same_elsewhere() -> None:
    high = SYMBOLS.moved(0xFFFF_FFFF_0000_0000)
    assert high["_text"] == 0xFFFF_FFFF_0000_0100
    assert high.at(0xFFFF_FFFF_0000_0180) == "reset"
    assert high.at(0x180) is None
    assert high.name_of(0xFFFF_FFFF_0000_0204) == "end+0x4"
    assert SYMBOLS.at(0x180) == "reset", "the first are where they were"


def test_a_jump_names_its_target_from_many_symbols_as_from_few() -> None:
    assert disassemble(0x0040_006F, 0x13C, SYMBOLS) == "j       0x140 <reset>"
    assert disassemble(0x0040_006F, 0x13C, {"a": 0x10}) == "j       0x140 <a+0x130>"
