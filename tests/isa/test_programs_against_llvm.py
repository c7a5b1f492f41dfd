"""Pseudo-instructions, expressions and linked programs: the same bytes as LLVM's assembler and linker."""

import random
import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.isa.assembler import assemble
from emulator.isa.assembly.pseudo import load_constant
from emulator.isa.csrs import CSR_NUMBERS
from emulator.isa.encodings import decode
from tests.isa.conftest import CPU, TARGET, run_zig, section_headers

AssembleLines = Callable[[Sequence[str]], list[bytes]]

PSEUDO = """
nop
mv a0, s3
not t0, t1
neg a0, a1
negw a0, a1
sext.w a0, a1
zext.b a0, a1
zext.w a0, a1
zext.h a0, a1
sext.b a0, a1
seqz a0, a1
snez a0, a1
sltz a0, a1
sgtz a0, a1
sgt a0, a1, a2
sgtu a0, a1, a2
beqz a0, .+16
bnez a0, .-16
blez a0, .+4094
bgez a0, .-4096
bltz a0, .+2
bgtz a0, .
bgt a0, a1, .+8
ble a0, a1, .+8
bgtu a0, a1, .+8
bleu a0, a1, .+8
j .+1048574
j .-1048576
jal .+32
jal t0, .+32
jr a0
jr 8(a0)
jalr a0
jalr 8(a0)
jalr t0, a0
jalr t0, a0, 8
jalr t0, 8(a0)
ret
csrr a0, mstatus
csrw hgatp, a0
csrs vsstatus, a0
csrc sie, a0
csrwi sscratch, 31
csrsi sie, 2
csrci sie, 2
csrw sscratch, 31
csrs sie, 2
csrc sie, 2
csrrw a0, sscratch, 7
csrrs a0, 0x100, 7
csrrc a0, 0x100, 7
rdcycle a0
rdtime a0
rdinstret a0
fence
fence rw, w
fence i, o
fence.tso
fence.i
pause
unimp
ecall
ebreak
fmv.s fa0, fa1
fneg.s fa0, fa1
fabs.s fa0, fa1
fgt.s a0, fa1, fa2
fge.s a0, fa1, fa2
fmv.d ft0, ft11
fneg.d fs0, fs11
fabs.d f0, f31
fgt.d a0, fa1, fa2
fge.d a0, fa1, fa2
fmv.x.s a0, fa1
fmv.s.x fa0, a1
frcsr a0
fscsr a0, a1
fscsr a1
frrm a0
fsrm a0, a1
fsrm a1
fsrmi a0, 3
fsrmi 4
frflags a0
fsflags a0, a1
fsflags a1
fsflagsi a0, 31
fsflagsi 1
fadd.d fa0, fa1, fa2
fmadd.s fa0, fa1, fa2, fa3, rtz
fcvt.w.d a0, fa0
fcvt.w.d a0, fa0, rtz
fcvt.d.w fa0, a0
fcvt.d.s fa0, fa1
fcvt.s.w fa0, a0
fld fa0, (a1)
fsw fa0, -4(sp)
fld fa0, .+64, t0
fsw fa0, .+64, t0
sfence.vma
sfence.vma a0
sfence.vma a0, a1
hfence.vvma
hfence.gvma a0
add a0, a1, -5
addw a0, a1, -5
and a0, a1, 5
or a0, a1, 5
xor a0, a1, 5
slt a0, a1, 5
sltu a0, a1, 5
sll a0, a1, 5
srl a0, a1, 63
sra a0, a1, 5
sllw a0, a1, 31
srlw a0, a1, 5
sraw a0, a1, 5
ror a0, a1, 5
rorw a0, a1, 5
bset a0, a1, 5
bclr a0, a1, 5
binv a0, a1, 5
bext a0, a1, 5
lw a0, (a1)
lw fp, 4*4(sp)
ld a0, -8(s0)
sd a0, (a1)
lr.w a0, (a1)
lr.d.aqrl a0, 0(a1)
sc.w.rl a0, a1, (a2)
amoswap.d.aq a0, a1, 0(a2)
amoadd.w x0, a1, (a2)
hlv.wu a0, (a1)
hsv.d a0, (a1)
lui a0, %hi(0x12345fff)
addi a0, a0, %lo(0x12345fff)
lw a0, %lo(0x12345fff)(a0)
sw a0, %lo(0x12345000)(a0)
lui a0, 0xfffff
auipc a0, 0x80000
li a0, 0
li a0, -1
li a0, 2047
li a0, -2048
li a0, -0x80000000
li a0, 'A'
li a0, '\\n'
la a0, .+64
lla a0, .+64
c.nop
c.lw a0, (a1)
c.addi16sp sp, -64
""".strip().splitlines()

EXPRESSIONS = """
1 | 2 + 1
1 << 3 + 1
-1 >> 60
7 / -2
-7 / 2
-7 % 3
7 % -3
~0
~5 & 0xff
(1 + 2) * 3
1 + 2 * 3
2 * 3 - 4 * 5
0xf0 ^ 0x3c | 1
0b1011 << 4
010 + 1
'a' + 1
'\\\\' - '\\''
-(4 - 6)
- - 3
+5
10 - 3 - 2
100 / 7 / 2
1 << 63
0xffffffffffffffff
0xffffffffffffffff + 2
-9223372036854775808
6 & 3 - 1
1 - 1 | 4
~(1 << 12) & -1
""".strip().splitlines()

LINKED = """
.globl _start
.equ STACK, 0x1000
_start:
    la      sp, stack + STACK
    la      a0, message
    lla     a1, numbers
    lla     a1, . + 16
    lw      a2, counter
    ld      a3, numbers + 8
    sw      a2, counter, t0
    call    print
1:  addi    a2, a2, -1
    bnez    a2, 1b
    beqz    a2, 2f
    j       1f
1:
hi: auipc   a4, %pcrel_hi(numbers + 16)
    ld      a5, %pcrel_lo(hi)(a4)
    sd      a5, %pcrel_lo(hi)(a4)
2:  wfi
    tail    _start
    call    t0, print
    jump    print, t2
print:
    .balign 16
    ret
.rodata
message: .asciz "guest \\"A\\"\\t\\x41\\101\\n"
length = . - message
    .balign 8
table: .dword _start, print - _start, message + 2, length
.data
counter: .word 10, -1, 0xffffffff
    .half 1, -2
    .byte 1, 2, 'c', -128
    .align 3
numbers: .quad 1, 2, . , numbers
    .p2align 4
    .ascii "a", "bc"
    .fill 3, 2, 0x1234
    .skip 5, 0x55
    .4byte print - _start
    .org 128
    .2byte 7
.bss
stack: .zero STACK
"""
LINKER_SCRIPT = """
SECTIONS {
  .text 0x80000000 : { *(.text) }
  .rodata 0x80001000 : { *(.rodata) }
  .data 0x80002000 : { *(.data) }
  .bss 0x80003000 : { *(.bss) }
}
"""
MASK = (1 << 64) - 1


def ours(line: str) -> bytes:
    return assemble(line).segments[0].data


def test_pseudo_instructions_are_what_llvm_makes_of_them(llvm_lines: AssembleLines) -> None:
    mine = [(line, ours(line).hex()) for line in PSEUDO]
    assert mine == [(line, code.hex()) for line, code in zip(PSEUDO, llvm_lines(PSEUDO), strict=True)]


def test_expressions_have_the_values_of_llvm(llvm_lines: AssembleLines) -> None:
    lines = [f".dword {expression}" for expression in EXPRESSIONS]
    values = [(line, ours(line).hex()) for line in lines]
    assert values == [(line, code.hex()) for line, code in zip(lines, llvm_lines(lines), strict=True)]


def test_csr_names_have_the_numbers_of_llvm(tmp_path: Path) -> None:
    source, target, image = tmp_path / "csrs.s", tmp_path / "csrs.o", tmp_path / "csrs.bin"
    source.write_text("".join(f"csrrs x0, {name}, x0\n" for name in CSR_NUMBERS), encoding="utf-8")
    cpu = "generic_rv64+m+a+f+d+v+h+zcmt+experimental_zicfiss"
    run_zig("cc", "-target", TARGET, f"-mcpu={cpu}", "-c", str(source), "-o", str(target))
    run_zig("objcopy", "-O", "binary", str(target), str(image))
    words = struct.unpack(f"<{len(CSR_NUMBERS)}I", image.read_bytes())
    assert [word >> 20 for word in words] == list(CSR_NUMBERS.values())


def test_a_program_of_several_sections_is_what_llvm_links(tmp_path: Path) -> None:
    source, script, target = tmp_path / "program.s", tmp_path / "program.ld", tmp_path / "program.elf"
    source.write_text(".option norelax\n.option norvc\n" + LINKED, encoding="utf-8")
    script.write_text(LINKER_SCRIPT, encoding="utf-8")
    flags = ("-target", TARGET, f"-mcpu={CPU}", "-nostdlib", "-mno-relax", "-T", str(script))
    run_zig("cc", *flags, str(source), "-o", str(target))
    elf = target.read_bytes()
    linked = {
        header[3]: elf[header[4] : header[4] + header[5]]
        for header in section_headers(elf)
        if header[3] and header[1] == 1
    }
    program = assemble(LINKED)
    mine = {segment.address: segment.data for segment in program.segments[:3]}
    assert {address: data.hex() for address, data in mine.items()} == {
        address: data.hex() for address, data in linked.items()
    }
    assert program.sections[".bss"] == (0x8000_3000, 0x1000)


def run_constant(steps: list[tuple[str, int]]) -> int:
    """Compute what a `li` sequence leaves in its register."""
    value = 0
    for name, imm in steps:
        if name == "lui":
            value = imm
        elif name == "slli":
            value <<= imm
        elif name == "srli":
            value = (value & MASK) >> imm
        else:
            value += imm
            if name == "addiw":
                value = (value + (1 << 31)) % (1 << 32) - (1 << 31)
    return value & MASK


@given(
    st.one_of(
        st.integers(-(1 << 63), (1 << 63) - 1),
        st.builds(lambda s, v: v << s, st.integers(0, 52), st.integers(-2048, 2047)),
    )
)
@settings(max_examples=500)
def test_li_makes_any_64_bit_number(number: int) -> None:
    number = (number + (1 << 63)) % (1 << 64) - (1 << 63)
    steps = load_constant(number)
    assert run_constant(steps) == number & MASK
    assert len(steps) <= 8


def steps_of(code: bytes) -> list[tuple[str, int]]:
    """Decode a `li` sequence, which works in one register."""
    steps: list[tuple[str, int]] = []
    for (word,) in struct.iter_unpack("<I", code):
        decoded = decode(word)
        assert decoded is not None
        instruction, operands = decoded
        assert operands["rd"] == 9
        assert operands.get("rs1", 9) == (9 if steps else 0) or instruction.name == "lui"
        steps.append((instruction.name, operands["imm"]))
    return steps


def test_li_leaves_the_number_that_llvm_s_li_leaves(llvm_lines: AssembleLines) -> None:
    rng = random.Random(2)
    numbers = [rng.getrandbits(rng.randint(1, 64)) << rng.randint(0, 3) & MASK for _ in range(200)]
    lines = [f"li s1, {number:#x}" for number in [0x800, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, *numbers]]
    results = [run_constant(steps_of(ours(line))) for line in lines]
    assert results == [run_constant(steps_of(code)) for code in llvm_lines(lines)]
    assert results == [int(line.split()[2], 0) for line in lines]
