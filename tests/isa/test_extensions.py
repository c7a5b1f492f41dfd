"""ISA strings: what they name, what follows from it, and where they are wrong."""

import pytest

from emulator.isa.extensions import (
    DEFAULT_ISA,
    MEANINGS,
    NAMES,
    IsaError,
    extension_bit,
    make_isa,
    parse_isa,
)


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("rv64i", "rv64i_zicsr"),
        ("RV64IMAC", "rv64imac_zicsr"),
        ("rv64gc", "rv64imafdc_zicsr_zifencei"),
        ("rv64gc_zicsr_zba", "rv64imafdc_zicsr_zifencei_zba"),
        ("rv64id", "rv64ifd_zicsr"),
        ("rv64ih_sstc_zba", "rv64ih_zicsr_zba_sstc"),
        ("rv64imaczicond_svinval", "rv64imac_zicond_zicsr_svinval"),
        ("rv64imacsstc", "rv64imac_zicsr_sstc"),
        ("rv64ib", "rv64i_zicsr_zba_zbb_zbs"),
        ("rv64i_smstateen", "rv64i_zicsr_smstateen_ssstateen"),
    ],
)
def test_string_names_a_set(text: str, canonical: str) -> None:
    isa = parse_isa(text)
    assert isa.string() == canonical
    assert parse_isa(canonical) == isa


def test_default_is_everything() -> None:
    assert all(name in DEFAULT_ISA for name in NAMES)
    assert parse_isa(DEFAULT_ISA.string()) == DEFAULT_ISA
    assert all(MEANINGS[name] for name in NAMES)


def test_misa_shows_the_letters_and_the_modes() -> None:
    def letters(misa: int) -> str:
        return "".join(chr(ord("a") + bit) for bit in range(26) if misa >> bit & 1)

    assert letters(parse_isa("rv64imac").misa) == "acimsu"
    assert letters(DEFAULT_ISA.misa) == "abcdfhimsu"
    assert letters(parse_isa("rv64i_zba_zbb").misa) == "isu"
    assert letters(parse_isa("rv64i_zba_zbb_zbs").misa) == "bisu", "B is its three parts"
    assert DEFAULT_ISA.misa >> 62 == 2


def test_bits_are_distinct() -> None:
    bits = [extension_bit(name) for name in NAMES]
    assert sum(bits) == DEFAULT_ISA.bits
    assert all(bit.bit_count() == 1 for bit in bits)
    with pytest.raises(KeyError):
        extension_bit("q")


def test_names_are_those_of_the_string() -> None:
    assert make_isa("imab").names() == ["i", "m", "a", "zicsr", "zba", "zbb", "zbs"]


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must begin with rv64"),
        ("rv32imac", "must begin with rv64"),
        ("rv64", "comes the base"),
        ("rv64mac", "comes the base"),
        ("rv64emac", "16 registers"),
        ("rv64imaq", "q at column 8 is no extension of these harts; they have i m a"),
        ("rv64imam", "m at column 8 is there already; write it once"),
        ("rv64i_zbx", "zbx at column 7 is no extension of these harts; did you mean `zba`?"),
        ("rv64i_zba_zba", "zba at column 11 is there already"),
        ("rv64g_f", "f at column 7 is there already"),
        ("rv64i__zba", "nothing at column 7"),
        ("rv64i_zba_", "nothing at column 11"),
        ("rv64i2p1", "2 at column 6"),
        ("rv64i\x1b[2J", "'rv64i\\x1b[2J'"),
        ("rv64i_" + "z" * 500, "'rv64i_zzz"),
    ],
)
def test_wrong_string_says_where(text: str, part: str) -> None:
    with pytest.raises(IsaError) as error:
        parse_isa(text)
    assert part in str(error.value)
    assert len(str(error.value)) < 500
