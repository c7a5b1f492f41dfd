"""The disassembler's text, and that it never fails."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.isa.assembler import assemble
from emulator.isa.disassembler import disassemble, instruction_length

PC = 0x8000_0010
SYMBOLS = {"start": 0x8000_0000, "loop": 0x8000_0008, "end": 0x8000_0020}


@pytest.mark.parametrize(
    ("word", "text", "plain"),
    [
        (0x00A58533, "add     a0,a1,a0", "add     a0,a1,a0"),
        (0x01010513, "addi    a0,sp,16", "addi    a0,sp,16"),
        (0x00058513, "mv      a0,a1", "addi    a0,a1,0"),
        (0x00000013, "nop", "addi    zero,zero,0"),
        (0x00500513, "li      a0,5", "addi    a0,zero,5"),
        (0x00008067, "ret", "jalr    zero,0(ra)"),
        (0xFE0508E3, "beqz    a0,0x80000000 <start>", "beq     a0,zero,0x80000000 <start>"),
        (0xFFDFF06F, "j       0x8000000c <loop+0x4>", "jal     zero,0x8000000c <loop+0x4>"),
        (0x0100006F, "j       0x80000020 <end>", "jal     zero,0x80000020 <end>"),
        (0x12345537, "lui     a0,0x12345", "lui     a0,0x12345"),
        (0x80000517, "auipc   a0,0x80000", "auipc   a0,0x80000"),
        (0xFF853503, "ld      a0,-8(a0)", "ld      a0,-8(a0)"),
        (0x00A13423, "sd      a0,8(sp)", "sd      a0,8(sp)"),
        (0x68002573, "csrr    a0,hgatp", "csrrs   a0,hgatp,zero"),
        (0x8FF02573, "csrr    a0,0x8ff", "csrrs   a0,0x8ff,zero"),
        (0x10015073, "csrwi   sstatus,2", "csrrwi  zero,sstatus,2"),
        (0x0E65252F, "amoswap.w.aqrl a0,t1,(a0)", "amoswap.w.aqrl a0,t1,(a0)"),
        (0x1005252F, "lr.w    a0,(a0)", "lr.w    a0,(a0)"),
        (0x6835C573, "hlvx.wu a0,(a1)", "hlvx.wu a0,(a1)"),
        (0x62000073, "hfence.gvma", "hfence.gvma zero,zero"),
        (0x0FF0000F, "fence", "fence   iorw,iorw"),
        (0x8330000F, "fence.tso", "fence.tso"),
        (0x00000073, "ecall", "ecall"),
        (0x00008082, "c.jr    ra", "c.jr    ra"),
        (0x00004505, "c.li    a0,1", "c.li    a0,1"),
        (0x00000001, "c.nop", "c.nop"),
        (0xFFFFFFFF, ".word   0xffffffff", ".word   0xffffffff"),
        (0x00000000, ".half   0x0000", ".half   0x0000"),
        (0x0000100F, "fence.i", "fence.i"),
    ],
)  # fmt: skip
def test_instructions_are_written_in_the_style_of_gnu(word: int, text: str, plain: str) -> None:
    assert disassemble(word, PC, SYMBOLS) == text
    assert disassemble(word, PC, SYMBOLS, pseudo=False) == plain


@given(st.integers(0, (1 << 32) - 1), st.integers(0, (1 << 63) - 1).map(lambda pc: pc * 2), st.booleans())
@settings(max_examples=1000)
def test_any_word_becomes_text_that_assembles_to_it(word: int, pc: int, pseudo: bool) -> None:
    length = instruction_length(word)
    base = pc & ((1 << 63) - 1) & ~0xFFF
    text = disassemble(word, base, pseudo=pseudo)
    data = assemble(text, base=base).segments[0].data
    assert data == struct.pack("<I", word)[:length]
