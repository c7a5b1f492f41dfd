"""What the assembler says to a student whose program is wrong, and to one who means harm."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.errors import VmLabError
from emulator.isa.assembler import AssemblyError, assemble
from emulator.isa.assembly.problems import PROBLEM_LIMIT, edit_distance
from emulator.isa.encodings import BY_NAME


def error_of(source: str) -> AssemblyError:
    with pytest.raises(AssemblyError) as raised:
        assemble(source, filename="guest.s")
    return raised.value


MESSAGES = [
    ("adid a0, a0, 1", 1, "there is no instruction `adid`; did you mean `addi`?"),
    ("ADDI a0, a0, 1", 1, "there is no instruction `ADDI`; did you mean `addi`?"),
    ("xyzzy a0", 1, "there is no instruction `xyzzy`"),
    ("addi a0, a1", 12, "addi takes a register, a register, a number (`addi a0, a1, 4`), found 2 operands"),
    ("ret a0", 5, "ret takes no operands (`ret`), found 1 operand"),
    (
        "add a0, a1, a2, a3",
        17,
        "add takes a register, a register, a register (`add a0, a1, a2`), found 4 operands",
    ),
    ("addi a0, a9, 1", 10, "expected a register (x0 to x31, or a name like a0), found `a9`"),
    ("addi a0, a1, a2", 14, "expected a number, found the register `a2`"),
    (
        "addi a0, a1, 5000",
        14,
        "5000 does not fit addi; must be -2048 to 2047 (load it into a register with li first)",
    ),
    ("slli a0, a1, 64", 14, "64 does not fit slli; must be 0 to 63"),
    ("lw a0, 4(q0)", 10, "expected a register (x0 to x31, or a name like a0), found `q0`"),
    ("lw a0, 2048(sp)", 8, "2048 does not fit lw; must be -2048 to 2047"),
    ("lw a0, a1", 8, "expected an address like 8(sp), found `a1`"),
    ("amoadd.w a0, a1, 8(a2)", 18, "amoadd.w takes no offset; write only the register: (a0)"),
    ("lui a0, 0x80000000", 9, "2147483648 does not fit the upper 20 bits; must be 0 to 0xfffff"),
    ("csrr a0, sstauts", 10, "the symbol `sstauts` is not defined; did you mean `sstatus`?"),
    ("csrwi sstatus, 32", 16, "32 does not fit csrrwi; must be 0 to 31"),
    ("fence wr, rw", 7, "expected letters of `iorw`, in that order, found `wr`"),
    ("beq a0, a1, nowhere", 13, "the symbol `nowhere` is not defined"),
    (
        "beq a0, a1, .+4096",
        13,
        "the target is +4096 bytes away, beq reaches -4096 to +4094; use the opposite branch",
    ),
    ("j .+0x200000", 3, "the target is +2097152 bytes away, jal reaches -1048576 to +1048574; use `call`"),
    ("j .+1", 3, "the target is an odd address"),
    ("j 1f", 3, "`1f` finds no label `1:` below this line"),
    ("j 1b", 3, "`1b` finds no label `1:` above this line"),
    ("la a0, a1", 8, "expected a symbol, found the register `a1`"),
    ("la a0, 1 << 40", 8, "0x10000000000 is not within 2 GiB of this instruction"),
    ("lui a0, %hi(1 << 31)", 9, "%hi reaches -0x80000000 to 0x7fffffff, found 0x80000000; use la or li"),
    ("addi a0 a0 1", 9, "expected `,` after a0, found `a0`"),
    (
        "nop ; do nothing",
        7,
        "there is no instruction `do`; `;` begins another statement, a comment begins with `#`",
    ),
    ("again", 1, "there is no instruction `again`; if it is a label, write `again:`"),
    ("mov a0, a1", 1, "there is no instruction `mov`; did you mean `mv`?"),
    ("word 5", 1, "there is no instruction `word`; did you mean `.word`?"),
    (
        "addi $a0, a0, 1",
        6,
        "expected a register (x0 to x31, or a name like a0), found `$a0`; did you mean `a0`?",
    ),
    (
        "addi a0, a0, %low(4)",
        15,
        "expected %hi, %lo, %pcrel_hi or %pcrel_lo, found `low`; did you mean `lo`?",
    ),
    ("x: addi a0, a0, %pcrel_lo(x)", 27, "%pcrel_lo takes the label of the auipc that has %pcrel_hi"),
    ("x: li a0, x", 11, "li takes a number; to load the address of a label, use la"),
    ("li a0, later\n.equ later, 1", 8, "`later` is needed here already; define it above this line"),
    ("li a0", 6, "li takes 2 operands (`li a0, 42`), found 1"),
    ("c.lw a0, 4(a7)", 10, "c.lw can use only the registers s0, s1 and a0 to a5, found a7"),
    ("c.lwsp zero, 0(sp)", 8, "c.lwsp does not exist with zero here"),
    ("c.lw a0, 2(a1)", 10, "2 does not fit c.lw; must be a multiple of 4"),
    (".byte 1\nnop", 1, "instructions are at even addresses; put `.balign 4` before this line"),
    (".byte 256", 7, "256 does not fit 1 byte; must be -128 to 255"),
    (".wrod 3", 1, "the directive `.wrod` is not known; did you mean `.word`?"),
    (".word", 6, ".word takes one number or more, found 0 operands"),
    (".word 1,", 9, "expected an operand before the end"),
    (".word ,1", 7, "expected an operand before `,`"),
    (".word 1 2", 9, "expected `,` or the end of the line, found `2`"),
    (".word (1 + 2", 7, "this `(` is not closed; expected `)` before the end of the line"),
    (".word 1 +", 10, "expected a number or a symbol, found the end of the line"),
    (".word 1 / 0", 9, "division by zero"),
    (".word 1 << 64", 9, "shift by 64; must be 0 to 63"),
    (".word 12ab", 7, "`12ab` is not a number; write 123, 0x7b, 0b1111011 or, in octal, 0173"),
    (".word 089", 7, "`089` is not a number"),
    (".dword 0x1ffffffffffffffff", 8, "`0x1ffffffffffffffff` needs more than 64 bits"),
    ('.ascii "abc', 8, 'a string is not closed with "'),
    (".ascii abc", 8, 'expected a string like "text", found `abc`'),
    ("nop $ nop", 5, "nop takes no operands (`nop`), found 1 operand"),
    ("nop ?", 5, "the character '?' has no meaning here"),
    ("nop\n/* never closed", 1, "this comment is never closed with `*/`"),
    ("42", 1, "expected an instruction, a directive or a label, found `42`"),
    ("x: nop\nx: nop", 1, "`x` is already defined, in line 1"),
    ("x: nop\n.equ x, 1", 6, "`x` is already a label, in line 1"),
    ("a0: nop", 1, "`a0` is the name of a register"),
    (".equ a, b\n.equ b, a\n", 9, "`a`, defined in line 1: `a` is defined by itself"),
    (".bss\n.word 1", 7, ".bss holds only zeros; put this into .data"),
    (".balign 3", 9, "3 is not a power of two"),
    ("nop\n.org 2", 6, ".org cannot go back: .text already has 4 bytes"),
    ('.incbin "/etc/passwd"', 1, ".incbin is refused: a program may not read files"),
    ('.include "/etc/passwd"', 1, ".include is refused: a program may not read files"),
    (".macro m\nnop", 1, "this .macro has no .endm"),
    (".endr", 1, ".endr without .rept"),
    (".macro m a\nnop\n.endm\nm 1, 2", 6, "the macro m takes 1 operands"),
]


@pytest.mark.parametrize(("source", "column", "message"), MESSAGES, ids=[source for source, _, _ in MESSAGES])
def test_an_error_says_what_and_where(source: str, column: int, message: str) -> None:
    problem = error_of(source).problems[0]
    assert problem.message.startswith(message)
    assert problem.column == column
    assert problem.filename == "guest.s"


def test_the_message_shows_the_line_with_a_caret() -> None:
    assert str(error_of("nop\n  addi a0, a1, fooo\nfoo:")) == (
        "guest.s:2:16: the symbol `fooo` is not defined; did you mean `foo`?\n"
        "      addi a0, a1, fooo\n"
        "                   ^~~~"
    )


def test_an_error_in_a_long_line_shows_the_place_of_it() -> None:
    shown = str(error_of(".word " + "1, " * 1000 + "x, 2")).splitlines()
    assert len(shown[1]) < 130
    assert shown[1][shown[2].index("^")] == "x"


def test_all_errors_of_a_program_are_reported_in_order() -> None:
    error = error_of("j nowhere\nadid a0\nnop\n.word 1 +\nla a0, nothing; foo\n")
    assert [(problem.line, problem.column) for problem in error.problems] == [
        (1, 3),
        (2, 1),
        (4, 10),
        (5, 8),
        (5, 17),
    ]
    assert isinstance(error, VmLabError)


def test_an_error_in_a_macro_names_the_call() -> None:
    error = error_of(".macro load r\nlw \\r, 4(q)\n.endm\nnop\nload a0")
    assert error.problems[0].line == 2
    assert "(in macro load, called in line 5)" in str(error)


def test_there_is_an_end_to_the_errors() -> None:
    assert len(error_of("adid\n" * 1000).problems) == PROBLEM_LIMIT


def test_the_words_of_a_good_program_are_not_blamed_for_a_bad_line() -> None:
    error = error_of("start: adid a0\nj start\nbeq a0, a1, start")
    assert len(error.problems) == 1


HOSTILE = [
    (".zero 1 << 40", "out of range"),
    (".fill 1 << 24, 8, 1", "more than the limit of 16 MiB"),
    (".zero 1 << 23\n" * 3, "would exceed 16 MiB"),
    (".org 1 << 62", "more than the limit"),
    (".align 63", "out of range"),
    (".rept 1 << 30\nnop\n.endr", "out of range"),
    (".rept 1 << 20\nnop\n.endr", "more than 60000 lines"),
    (".rept 1000\n" * 20 + "\n" + ".endr\n" * 20, "more than 60000 lines"),
    (".macro a\na\n.endm\na", "nested more than 64 deep"),
    ("".join(f".macro m{i} x\nm{i + 1} \\x\\x\n.endm\n" for i in range(60)) + "m0 aaaa", "longer than 1024"),
    (".word " + "(" * 60000, "nested more than 64 deep"),
    (".word " + "-" * 60000 + "1", "nested more than 64 deep"),
    (".word " + "1+" * 30000 + "1", "more than 4096 terms"),
    ("".join(f".equ a{i}, a{i + 1}\n" for i in range(1000)), "through too many others"),
    ((".text;" * 10_000 + "\n") * 5, "more than 40000 statements"),
    ("#" + "x" * 70000, "line is longer than 65536"),
    ("nop\n" * 300_000, "the program is longer than 1 MiB"),
    ("/* " * 20000, "never closed"),
    ('"' * 60001, "not closed"),
    ("a" * 60000 + " a0", "there is no instruction"),
    ("\0", "has no meaning"),
    (".word " + "9" * 60000, "is not a number"),
]


@pytest.mark.parametrize(("source", "message"), HOSTILE, ids=[message for _, message in HOSTILE])
def test_a_program_that_asks_for_too_much_is_refused(source: str, message: str) -> None:
    assert any(message in problem.message for problem in error_of(source).problems)


def test_a_tree_of_constants_costs_no_more_than_its_size() -> None:
    source = "".join(f".equ k{i}, k{i + 1} + k{i + 1}\n" for i in range(40))
    source += ".equ k40, x - x\nx: .word k0"
    assert assemble(source).constants["k0"] == 0


WORDS = st.sampled_from([
    *BY_NAME, "li", "la", "call", ".word", ".ascii", ".macro", ".endm", ".rept", ".endr", ".equ", ".set",
    ".org", ".section", ".zero", ".align", "a0", "sp", "x", "1f", "1b", "1:", "x:", "=", ",", "(", ")", "%lo",
    "%", "+", "-", "~", "/", "<<", '"s"', "'c'", "0", "7", "-1", "0x7fffffffffffffff", ".", ";", "\n", "#",
    "/*", "*/", "\\x",
])  # fmt: skip


@given(st.lists(WORDS, max_size=40).map(" ".join) | st.text(max_size=80))
@settings(max_examples=400)
def test_any_text_assembles_or_gives_located_errors(source: str) -> None:
    try:
        assemble(source)
    except AssemblyError as error:
        lines = source.split("\n")
        for problem in error.problems:
            assert 1 <= problem.line <= len(lines)
            assert 1 <= problem.column <= len(problem.source) + 1
            assert problem.render()


@pytest.mark.parametrize(
    ("left", "right", "distance"),
    [
        ("addi", "addi", 0),
        ("adid", "addi", 1),
        ("sstauts", "sstatus", 1),
        ("ad", "addi", 2),
        ("lw", "sfence", 4),
        ("", "a", 1),
    ],
)
def test_the_distance_of_words_counts_letters_and_swaps(left: str, right: str, distance: int) -> None:
    assert edit_distance(left, right, 3) == distance
