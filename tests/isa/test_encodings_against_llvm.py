"""Every row of the encodings table, with many operands: the same bytes as LLVM's assembler."""

import random
import re
from collections.abc import Callable, Iterator, Sequence

import pytest

from emulator.isa.assembler import assemble
from emulator.isa.disassembler import disassemble
from emulator.isa.encodings import COMPRESSED, HINTS, TABLE, decode, encode, value_range
from emulator.isa.instruction import FLOAT_FIELDS, REGISTER_FIELDS, Instruction
from emulator.isa.registers import ROUNDING_MODES

AssembleLines = Callable[[Sequence[str]], list[bytes]]
SAMPLES = 16
PC = 0x8000_0000

# Bits that implementations ignore and assemblers cannot write.
UNWRITABLE = {"fence": {"rd", "rs1", "fm"}, "fence.i": {"rd", "rs1", "imm"}, "c.nop": {"imm"}}
# HINTs: our decoder takes them for what they look like, LLVM's assembler refuses them.
NEVER_ZERO = {
    "c.addi": {"imm"}, "c.slli": {"imm", "rd"}, "c.srli": {"imm"}, "c.srai": {"imm"},
    "c.li": {"rd"}, "c.lui": {"rd"}, "c.mv": {"rd"}, "c.add": {"rd"},
    "fence": {"pred", "succ"},
}  # fmt: skip


def choices(row: Instruction, field: str, rng: random.Random) -> int:
    """Pick a value of a field: often an extreme one."""
    low, high = value_range(row, field)
    step = row.field_alignment(field)
    forbidden = {value for name, value in row.constraints if name == field}
    if field in NEVER_ZERO.get(row.name, ()):
        forbidden.add(0)
    if field == "rm":
        forbidden |= {5, 6}
    extremes = [low, high, 0 if low < 0 else low, -step if low < 0 else high - step]
    while True:
        value = rng.choice(
            [*extremes, rng.randrange(low, high + 1, step), rng.randrange(low, high + 1, step)]
        )
        if value not in forbidden and low <= value <= high:
            return value


def samples(row: Instruction) -> Iterator[dict[str, int]]:
    """Yield operands of a row, the same ones in every run."""
    rng = random.Random(row.name)
    for _ in range(SAMPLES if row.fields else 1):
        unwritable = UNWRITABLE.get(row.name, ())
        yield {field: 0 if field in unwritable else choices(row, field, rng) for field in row.fields}


def written(row: Instruction, operands: dict[str, int]) -> str:
    """Write an instruction from the table's syntax, with registers as numbers and jumps relative to `.`."""
    suffix = {0: "", 1: ".rl", 2: ".aq", 3: ".aqrl"}[operands.get("aq", 0) * 2 + operands.get("rl", 0)]

    def element(match: re.Match[str]) -> str:
        name = match[0]
        if name in REGISTER_FIELDS:
            return f"{'f' if name in FLOAT_FIELDS else 'x'}{operands[name]}"
        if name in ("[rm]", "[exact]"):
            return next(mode for mode, number in ROUNDING_MODES.items() if number == operands["rm"])
        if name == "target":
            return f".{operands['imm']:+}"
        if name == "upper":
            return str(operands["imm"] >> 12 & 0xFFFFF)
        if name in ("pred", "succ"):
            return "".join(c for b, c in zip((8, 4, 2, 1), "iorw", strict=True) if operands[name] & b)
        if name in ("[imm]", "sp"):
            return "sp" if name == "sp" else ""
        return str(operands["rs1" if name == "zimm" else name])

    return f"{row.name}{suffix} " + re.sub(r"\[[a-z]+\]|[a-z]+[0-9]?", element, row.syntax)


def all_samples() -> list[tuple[Instruction, dict[str, int]]]:
    return [(row, operands) for row in (*TABLE, *COMPRESSED) for operands in samples(row)]


@pytest.fixture(scope="module")
def cases() -> list[tuple[Instruction, dict[str, int]]]:
    return all_samples()


@pytest.fixture(scope="module")
def reference(cases: list[tuple[Instruction, dict[str, int]]], llvm_lines: AssembleLines) -> list[bytes]:
    return llvm_lines([written(row, operands) for row, operands in cases])


def test_every_encoding_has_the_bytes_of_llvm(
    cases: list[tuple[Instruction, dict[str, int]]], reference: list[bytes]
) -> None:
    ours = [encode(row, operands).to_bytes(row.length, "little") for row, operands in cases]
    different = [
        (written(*case), ours_bytes.hex(), llvm_bytes.hex())
        for case, ours_bytes, llvm_bytes in zip(cases, ours, reference, strict=True)
        if ours_bytes != llvm_bytes
    ]
    assert not different
    assert len(cases) > 2500


def test_assembling_the_written_form_gives_the_bytes_of_llvm(
    cases: list[tuple[Instruction, dict[str, int]]], reference: list[bytes]
) -> None:
    program = assemble("\n".join(written(*case) for case in cases))
    assert program.segments[0].data == b"".join(reference)


def test_what_llvm_assembles_decodes_to_the_operands_we_gave(
    cases: list[tuple[Instruction, dict[str, int]]], reference: list[bytes]
) -> None:
    for (row, operands), code in zip(cases, reference, strict=True):
        assert decode(int.from_bytes(code, "little")) == (row, operands)


@pytest.mark.parametrize("pseudo", [True, False])
def test_disassembly_assembles_to_the_same_word(
    cases: list[tuple[Instruction, dict[str, int]]], pseudo: bool
) -> None:
    address = PC
    lines: list[str] = []
    for row, operands in cases:
        lines.append(disassemble(encode(row, operands), address, pseudo=pseudo))
        address += row.length
    code = b"".join(encode(*case).to_bytes(case[0].length, "little") for case in cases)
    assert assemble("\n".join(lines)).segments[0].data == code


@pytest.mark.parametrize("pseudo", [True, False])
def test_llvm_reads_our_disassembly_as_the_same_word(
    cases: list[tuple[Instruction, dict[str, int]]], llvm_lines: AssembleLines, pseudo: bool
) -> None:
    words = [encode(*case) for case in cases if case[0].kind not in ("branch", "jal")]
    texts = [disassemble(word, PC, pseudo=pseudo) for word in words]
    wrong = [
        (text, code.hex(), hex(word))
        for text, word, code in zip(texts, words, llvm_lines(texts), strict=True)
        if int.from_bytes(code, "little") != word
    ]
    assert not wrong


def test_named_hints_have_the_bytes_of_llvm(llvm_lines: AssembleLines) -> None:
    cases = [(row, operands) for row in HINTS for operands in samples(row)]
    lines = [written(*case) for case in cases]
    ours = [encode(*case).to_bytes(4, "little") for case in cases]
    assert llvm_lines(lines) == ours
    assert assemble("\n".join(lines)).segments[0].data == b"".join(ours)
    shown = [disassemble(encode(*case), PC) for case in cases]
    assert [text.split()[0] for text in shown] == [row.name for row, _ in cases]
    assert assemble("\n".join(shown)).segments[0].data == b"".join(ours)
