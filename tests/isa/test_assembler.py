"""The assembler on its own: layout, symbols, sections, macros, and the map from addresses to lines."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.isa.assembler import Program, assemble
from emulator.isa.assembly.expressions import Value, evaluate, parse_expression
from emulator.isa.assembly.lexer import Token, tokenize
from emulator.isa.disassembler import disassemble

BASE = 0x8000_0000


def listing(source: str) -> list[str]:
    """Assemble code without data and disassemble it again."""
    program = assemble(source)
    (segment,) = program.segments
    words = struct.unpack(f"<{len(segment.data) // 4}I", segment.data)
    return [disassemble(word, segment.address + 4 * number) for number, word in enumerate(words)]


def numbers(source: str, width: str = "Q") -> list[int]:
    """Assemble data into .data and read it back."""
    data = assemble(".data\n" + source).segments[0].data
    return list(struct.unpack(f"<{len(data) // struct.calcsize(width)}{width}", data))


def test_execution_begins_at_start_if_there_is_one() -> None:
    assert assemble("nop\n_start: nop").entry == BASE + 4
    assert assemble("nop\nmain: nop").entry == BASE


def test_sections_are_on_pages_of_their_own_in_a_fixed_order() -> None:
    program = assemble(
        ".bss\nb: .zero 8\n.data\nd: .word 1\n.rodata\nr: .byte 1\n.text\nt: nop\n.section .text.more\nm: nop"
    )
    assert program.symbols == {
        "t": BASE, "m": BASE + 0x1000, "r": BASE + 0x2000, "d": BASE + 0x3000, "b": BASE + 0x4000,
    }  # fmt: skip
    assert [segment.permissions for segment in program.segments] == ["r-x", "r-x", "r--", "rw-", "rw-"]
    assert program.sections[".bss"] == (BASE + 0x4000, 8)


def test_a_section_continues_where_it_was_left() -> None:
    program = assemble(".text\nnop\n.data\n.word 1\n.text\na: nop\n.data\nb: .word 2")
    assert program.symbols == {"a": BASE + 4, "b": BASE + 0x1004}


def test_flags_decide_what_a_custom_section_is() -> None:
    program = assemble(
        '.section .vectors, "ax"\nnop\n.section .shared, "aw"\n.word 1\n'
        '.section .notes, "", @progbits\n.word 2'
    )
    assert list(program.sections) == [".vectors", ".shared"]
    assert [segment.permissions for segment in program.segments] == ["r-x", "rw-"]


def test_the_base_address_moves_the_program() -> None:
    assert assemble("x: j x", base=0x1000).symbols == {"x": 0x1000}


def test_an_empty_program_has_no_segments() -> None:
    program = assemble("# nothing\n\n")
    assert program.segments == ()
    assert program.entry == BASE


def test_every_instruction_of_a_pseudo_instruction_has_its_line() -> None:
    program = assemble("nop\nla a0, x\nx: .word 1, 2\nnop")
    assert program.lines == {BASE: 1, BASE + 4: 2, BASE + 8: 2, BASE + 12: 3, BASE + 20: 4}


def test_an_instruction_of_a_macro_has_the_line_of_the_call() -> None:
    program = assemble(".macro two\nnop\nnop\n.endm\nnop\ntwo\n")
    assert program.lines == {BASE: 5, BASE + 4: 6, BASE + 8: 6}


def test_exported_names_and_constants_are_kept() -> None:
    program = assemble(".globl main\n.equ SIZE, 4 * 4\nmain: li a0, SIZE\nEND = main + SIZE")
    assert program.exported == {"main"}
    assert program.constants == {"SIZE": 16, "END": BASE + 16}


def test_predefined_symbols_can_be_used_and_are_not_listed() -> None:
    program = assemble("li a0, UART", symbols={"UART": 0x1000_0000})
    assert listing_of(program) == ["lui     a0,0x10000"]
    assert program.constants == {}


def listing_of(program: Program) -> list[str]:
    (segment,) = program.segments
    return [disassemble(word, segment.address) for (word,) in struct.iter_unpack("<I", segment.data)]


def test_local_labels_mean_the_nearest_definition() -> None:
    assert listing("1: nop\n1: j 1b\nj 1f\n1: j 1b") == [
        "nop", "j       0x80000004", "j       0x8000000c", "j       0x8000000c",
    ]  # fmt: skip


def test_a_constant_may_be_set_again() -> None:
    assert numbers(".set n, 1\n.dword n\n.set n, n + 1\n.dword n\nn = 7\n.dword n") == [1, 2, 7]


def test_a_constant_may_be_defined_after_its_use() -> None:
    assert numbers(".dword late, late - 1\n.equ late, other * 2\n.equ other, 21") == [42, 41]


def test_differences_of_labels_are_numbers() -> None:
    assert numbers("a: .zero 4\nb: .equ n, b - a\n.zero n\n.dword 0", "B")[:8] == [0] * 8
    assert listing("a: nop\nnop\nb: li a0, b - a")[2] == "li      a0,8"


def test_addresses_can_be_calculated_with() -> None:
    """Page-table entries need the page number of a label, which no linker could provide."""
    assert numbers("table: .dword (table >> 12) << 10 | 1") == [BASE >> 12 << 10 | 1]


def test_dot_is_the_place_of_each_number() -> None:
    assert numbers(".dword ., .") == [BASE, BASE + 8]


def test_alignment_pads_code_with_nops_and_data_with_zeros() -> None:
    assert listing("nop\n.balign 16\nret") == ["nop", "nop", "nop", "nop", "ret"]
    assert numbers(".byte 1\n.p2align 2\n.byte 2\n.align 1, 0xff", "B") == [1, 0, 0, 0, 2, 255]


def test_strings_have_escapes_and_are_utf_8() -> None:
    assert bytes(numbers(r'.ascii "a\n\t\0\x41\101\\\"", "€"', "B")) == b'a\n\t\0AA\\"' + "€".encode()
    assert bytes(numbers('.asciz "a"\n.string "b" "c"', "B")) == b"a\0bc\0"


def test_comments_of_all_kinds_are_ignored() -> None:
    source = 'nop # one; "\nnop // two\n/* nop\nnop */ ret /* */\n'
    assert listing(source) == ["nop", "nop", "ret"]
    assert bytes(numbers('.ascii "# // /* \\" */" # comment', "B")) == b'# // /* " */'


def test_statements_may_share_a_line() -> None:
    assert listing("a: nop; b: ret; j a") == ["nop", "ret", "j       0x80000000"]


def test_macros_take_arguments_by_position_name_and_default() -> None:
    source = r"""
    .macro move to, from=a7, offset=0
    addi \to, \from, \offset
    .endm
    move a0
    move a1, a2
    move a3, offset=8
    move offset=1+1, to=a4, from=sp
    """
    assert [line.split()[-1] for line in listing(source)] == ["a0,a7", "a1,a2", "a3,a7,8", "a4,sp,2"]


def test_macros_may_call_macros_and_number_their_labels() -> None:
    source = r"""
    .macro wait
    w\@: j w\@
    .endm
    .macro twice
    wait
    wait
    .endm
    twice
    """
    assert listing(source) == ["j       0x80000000", "j       0x80000004"]


def test_a_block_is_repeated() -> None:
    assert numbers("n = 0\n.rept 4\n.dword n * n\nn = n + 1\n.endr") == [0, 1, 4, 9]
    assert numbers(".rept 2\n.rept 2\n.byte 1\n.endr\n.byte 2\n.endr", "B") == [1, 1, 2, 1, 1, 2]


def test_directives_for_linkers_and_debuggers_are_ignored() -> None:
    assert listing(
        '.file "a.c"\n.type f, @function\n.option norvc\n.cfi_startproc\nf: ret\n.size f, .-f'
    ) == ["ret"]


def test_common_symbols_are_room_in_bss() -> None:
    program = assemble(".comm buffer, 100, 64\nla a0, buffer")
    assert program.symbols["buffer"] == BASE + 0x1000
    assert program.sections[".bss"] == (BASE + 0x1000, 100)


def test_going_to_an_offset_fills_with_zeros() -> None:
    assert numbers(".byte 1\n.org 4\n.byte 2\n.org . + 1\n.byte 3", "B") == [1, 0, 0, 0, 2, 0, 3]


def test_numbers_may_be_written_signed_or_unsigned() -> None:
    assert numbers(".byte -1, 255, -128", "B") == [255, 255, 128]
    assert listing("andi a0, a0, 0xfffffffffffffff0") == listing("andi a0, a0, -16")


def test_an_instruction_is_compressed_only_when_written_so() -> None:
    assert len(assemble("addi a0, a0, 1").segments[0].data) == 4
    assert len(assemble("c.addi a0, 1").segments[0].data) == 2


def test_the_same_source_gives_the_same_program() -> None:
    source = "a: la a0, b\n.data\nb: .dword a\n.equ X, 1\n.equ Y, 2"
    assert assemble(source) == assemble(source)


@given(
    st.recursive(
        st.integers(0, 1 << 70).map(str) | st.sampled_from(["-1", "~0", "(3)"]),
        lambda inner: st.tuples(inner, st.sampled_from(list("+-*&|^")), inner).map(
            lambda parts: f"({parts[0]} {parts[1]} {parts[2]})"
        ),
        max_leaves=12,
    ).filter(lambda text: "1180591620717411303424" not in text)
)
def test_arithmetic_agrees_with_python_modulo_2_to_the_64(text: str) -> None:
    if any(token.kind == "number" and token.value >= 1 << 64 for token in tokenize(text)):
        return
    expression, _ = parse_expression(tokenize(text))
    value = evaluate(expression, no_symbols)
    assert value.number % (1 << 64) == eval(text) % (1 << 64)


def no_symbols(token: Token) -> Value:
    raise AssertionError(token)


@pytest.mark.parametrize("source", ["lw a0, x", "sw a0, x, t0", "la a0, x", "call x", "tail x"])
def test_pairs_reach_symbols_on_both_sides(source: str) -> None:
    for distance in (0, 4, 2044, 2048, 4096, 0x7FF00, 0x10_0000):
        far = assemble(f"{source}\n.zero {distance}\n x:")
        back = assemble(f"x: .zero {distance}\n{source}")
        assert target_of(far, BASE) == far.symbols["x"]
        assert target_of(back, BASE + distance) == BASE


def target_of(program: Program, pc: int) -> int:
    """Return the address that an auipc at `pc` and the instruction after it make."""
    data = program.segments[0].data
    high, low = struct.unpack_from("<Ii", data, pc - BASE)
    immediate = low >> 20
    if low & 0x7F == 0x23:
        immediate = (low >> 25 << 5) | (low >> 7 & 31)
    return (pc + ((high & 0xFFFFF000) ^ 0x8000_0000) - 0x8000_0000 + immediate) % (1 << 64)
