"""Properties of the encodings table that no assembler is needed to check."""

from collections.abc import Mapping
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.isa.encodings import (
    BY_NAME,
    COMPRESSED,
    HINTS,
    KINDS,
    TABLE,
    EncodingError,
    decode,
    decode_hint,
    encode,
    expand,
    value_range,
)
from emulator.isa.instruction import Instruction, extract, insert, parse_pattern

EVERY_ROW = (*TABLE, *COMPRESSED)


@st.composite
def instructions(draw: st.DrawFn) -> tuple[Instruction, dict[str, int]]:
    """Any instruction with any operands that it may have."""
    row = draw(st.sampled_from(EVERY_ROW))
    operands: dict[str, int] = {}
    for name in row.fields:
        low, high = value_range(row, name)
        step = row.field_alignment(name)
        excluded = {value for field, value in row.constraints if field == name}
        values = st.integers(low // step, high // step).map(lambda value, step=step: value * step)
        operands[name] = draw(values.filter(lambda value, excluded=excluded: value not in excluded))
    return row, operands


@given(instructions())
def test_decoding_gives_back_what_was_encoded(case: tuple[Instruction, dict[str, int]]) -> None:
    assert decode(encode(*case)) == case


@given(st.integers(0, (1 << 32) - 1))
def test_encoding_gives_back_what_was_decoded(word: int) -> None:
    decoded = decode(word)
    if decoded is not None:
        assert encode(*decoded) == word & ((1 << 8 * decoded[0].length) - 1)


def test_every_halfword_that_is_an_instruction_encodes_to_itself() -> None:
    decoded = {word: decode(word) for word in range(1 << 16) if word & 3 != 3}
    valid = {word: found for word, found in decoded.items() if found is not None}
    assert all(encode(*found) == word for word, found in valid.items())
    assert 0 not in valid
    assert {found[0] for found in valid.values()} == set(COMPRESSED)


def test_no_two_rows_claim_one_word() -> None:
    overlapping = [
        (a.name, b.name) for a, b in combinations(TABLE, 2) if (a.match ^ b.match) & a.mask & b.mask == 0
    ]
    assert overlapping == []


def test_no_two_compressed_rows_claim_one_halfword() -> None:
    def claims(row: Instruction, word: int) -> bool:
        if word & row.mask != row.match:
            return False
        return not any(field_value(row, name, word) == value for name, value in row.constraints)

    for word in range(1 << 16):
        assert sum(claims(row, word) for row in COMPRESSED) <= 1


def field_value(row: Instruction, name: str, word: int) -> int:
    return extract(row.fields[name], word) + (8 if row.is_compact(name) else 0)


def test_operation_numbers_are_the_positions_of_the_table() -> None:
    assert [row.index for row in TABLE] == list(range(1, len(TABLE) + 1))
    assert all(row.index == BY_NAME[row.expands.name].index for row in COMPRESSED if row.expands)


def test_names_are_unique_and_functions_are_python_names() -> None:
    assert len(BY_NAME) == len(EVERY_ROW) + len(HINTS)
    assert all(row.function.isidentifier() for row in EVERY_ROW)
    assert (BY_NAME["and"].function, BY_NAME["amoadd.w"].function) == ("and_", "amoadd_w")


def test_hint_with_a_name_is_an_instruction_without_effect() -> None:
    for row in HINTS:
        word = encode(row, {"rs1": 10, "imm": -32})
        assert decode_hint(word) == (row, {"rs1": 10, "imm": -32})
        found = decode(word)
        assert found is not None
        assert (found[0].name, found[1]["rd"]) == ("ori", 0)
    assert decode_hint(encode(BY_NAME["ori"], {"rd": 1})) is None


def test_every_kind_is_documented_and_used() -> None:
    assert {row.kind for row in EVERY_ROW} == KINDS


def test_accesses_to_memory_have_a_width() -> None:
    with_access = {"load", "store", "lr", "sc", "amo", "hload", "hstore", "fpload", "fpstore"}
    assert all((row.width > 0) == (row.kind in with_access) for row in EVERY_ROW)


@given(instructions())
def test_an_expansion_is_an_instruction_of_the_same_kind(case: tuple[Instruction, dict[str, int]]) -> None:
    base, operands = expand(*case)
    assert base.length == 4
    assert base.kind == case[0].kind
    assert decode(encode(base, operands)) == (base, {**dict.fromkeys(base.fields, 0), **operands})


@pytest.mark.parametrize(
    ("halfword", "name", "operands"),
    [
        (0x4505, "addi", {"rd": 10, "rs1": 0, "imm": 1}),
        (0x1141, "addi", {"rd": 2, "rs1": 2, "imm": -16}),
        (0x7179, "addi", {"rd": 2, "rs1": 2, "imm": -48}),
        (0x8082, "jalr", {"rd": 0, "rs1": 1, "imm": 0}),
        (0x852E, "add", {"rd": 10, "rs1": 0, "rs2": 11}),
        (0xE406, "sd", {"rs2": 1, "rs1": 2, "imm": 8}),
        (0x60A2, "ld", {"rd": 1, "rs1": 2, "imm": 8}),
        (0x9002, "ebreak", {}),
        (0x0001, "addi", {"rd": 0, "rs1": 0, "imm": 0}),
    ],
)
def test_known_compressed_instructions_expand(halfword: int, name: str, operands: Mapping[str, int]) -> None:
    decoded = decode(halfword)
    assert decoded is not None
    base, found = expand(*decoded)
    assert (base.name, found) == (name, operands)


@pytest.mark.parametrize(
    "word",
    [
        pytest.param(0x0000, id="all zeros is illegal by definition"),
        pytest.param(0xFFFF_FFFF, id="all ones is illegal by definition"),
        pytest.param(0x2001, id="c.addiw with rd=x0 is reserved"),
        pytest.param(0x6101, id="c.addi16sp of 0 is reserved"),
        pytest.param(0x4002, id="c.lwsp with rd=x0 is reserved"),
        pytest.param(0x8002, id="c.jr x0 is reserved"),
        pytest.param(0x9C41, id="reserved in the CA format"),
        pytest.param(0x0400_0053, id="half precision is not in the table"),
    ],
)
def test_reserved_words_do_not_decode(word: int) -> None:
    assert decode(word) is None


@pytest.mark.parametrize(
    ("name", "operands", "message"),
    [
        ("addi", {"imm": 2048}, "addi: imm is 2048; must be -2048 to 2047"),
        ("beq", {"imm": 3}, "beq: imm is 3; must be a multiple of 2"),
        ("add", {"rs3": 1}, "add: has no operand rs3"),
        ("add", {"rd": 32}, "add: rd is 32; must be 0 to 31"),
        ("c.lw", {"rd": 7}, "c.lw: rd is 7; must be 8 to 15"),
        ("c.lui", {"rd": 2, "imm": 4096}, "c.lui: rd must not be 2"),
    ],
)
def test_operands_that_do_not_fit_are_refused(name: str, operands: Mapping[str, int], message: str) -> None:
    with pytest.raises(EncodingError) as error:
        encode(BY_NAME[name], operands)
    assert str(error.value) == message


def test_a_scrambled_immediate_is_put_where_the_manual_says() -> None:
    pattern = parse_pattern("imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011", 4)
    assert insert(pattern.fields["imm"], 1 << 12) == 1 << 31
    assert insert(pattern.fields["imm"], 1 << 11) == 1 << 7
    assert insert(pattern.fields["imm"], 0b11110) == 0b1111 << 8
