"""Pseudo-instructions that stand for one instruction, and other ways to write it.

Source: RISC-V Assembly Programmer's Manual, "Pseudo Instructions" and "Pseudoinstructions for accessing
CSRs". Those that stand for several instructions (`li`, `la`, `call`) are in `assembly/pseudo.py`.
"""

from collections.abc import Mapping
from functools import cache
from typing import NamedTuple

from emulator.isa.instruction import Expansion, parse_expansion


class Alias(NamedTuple):
    """A name and operands that stand for one instruction.

    Attributes:
        name, syntax: As in `Instruction`; `rs` and `rt` are registers too.
        expands: The instruction, and which operand of the alias gives each of its fields.
        printed: Whether the disassembler prefers this form.
    """

    name: str
    syntax: str
    expands: Expansion
    printed: bool


# name | operands | instruction | * if the disassembler prints it. Of several that fit, the first is printed.
_ALIASES = """
nop         |               | addi rd=0 rs1=0 imm=0      | *
mv          | rd,rs         | addi rd rs1=rs imm=0       | *
not         | rd,rs         | xori rd rs1=rs imm=-1      | *
neg         | rd,rs         | sub rd rs1=0 rs2=rs        | *
negw        | rd,rs         | subw rd rs1=0 rs2=rs       | *
sext.w      | rd,rs         | addiw rd rs1=rs imm=0      | *
zext.b      | rd,rs         | andi rd rs1=rs imm=255     | *
zext.w      | rd,rs         | add.uw rd rs1=rs rs2=0     | *
seqz        | rd,rs         | sltiu rd rs1=rs imm=1      | *
snez        | rd,rs         | sltu rd rs1=0 rs2=rs       | *
sltz        | rd,rs         | slt rd rs1=rs rs2=0        | *
sgtz        | rd,rs         | slt rd rs1=0 rs2=rs        | *
sgt         | rd,rs,rt      | slt rd rs1=rt rs2=rs       |
sgtu        | rd,rs,rt      | sltu rd rs1=rt rs2=rs      |
beqz        | rs,target     | beq rs1=rs rs2=0 imm       | *
bnez        | rs,target     | bne rs1=rs rs2=0 imm       | *
blez        | rs,target     | bge rs1=0 rs2=rs imm       | *
bgez        | rs,target     | bge rs1=rs rs2=0 imm       | *
bltz        | rs,target     | blt rs1=rs rs2=0 imm       | *
bgtz        | rs,target     | blt rs1=0 rs2=rs imm       | *
bgt         | rs,rt,target  | blt rs1=rt rs2=rs imm      |
ble         | rs,rt,target  | bge rs1=rt rs2=rs imm      |
bgtu        | rs,rt,target  | bltu rs1=rt rs2=rs imm     |
bleu        | rs,rt,target  | bgeu rs1=rt rs2=rs imm     |
j           | target        | jal rd=0 imm               | *
jal         | target        | jal rd=1 imm               | *
ret         |               | jalr rd=0 rs1=1 imm=0      | *
jr          | rs            | jalr rd=0 rs1=rs imm=0     | *
jr          | imm(rs1)      | jalr rd=0 rs1 imm          | *
jalr        | rs            | jalr rd=1 rs1=rs imm=0     | *
jalr        | imm(rs1)      | jalr rd=1 rs1 imm          | *
jalr        | rd,rs         | jalr rd rs1=rs imm=0       |
jalr        | rd,rs,imm     | jalr rd rs1=rs imm         |
rdcycle     | rd            | csrrs rd csr=0xc00 rs1=0   | *
rdtime      | rd            | csrrs rd csr=0xc01 rs1=0   | *
rdinstret   | rd            | csrrs rd csr=0xc02 rs1=0   | *
unimp       |               | csrrw rd=0 csr=0xc00 rs1=0 | *
csrr        | rd,csr        | csrrs rd csr rs1=0         | *
csrw        | csr,rs        | csrrw rd=0 csr rs1=rs      | *
csrs        | csr,rs        | csrrs rd=0 csr rs1=rs      | *
csrc        | csr,rs        | csrrc rd=0 csr rs1=rs      | *
csrwi       | csr,zimm      | csrrwi rd=0 csr rs1=zimm   | *
csrsi       | csr,zimm      | csrrsi rd=0 csr rs1=zimm   | *
csrci       | csr,zimm      | csrrci rd=0 csr rs1=zimm   | *
csrw        | csr,zimm      | csrrwi rd=0 csr rs1=zimm   |
csrs        | csr,zimm      | csrrsi rd=0 csr rs1=zimm   |
csrc        | csr,zimm      | csrrci rd=0 csr rs1=zimm   |
csrrw       | rd,csr,zimm   | csrrwi rd csr rs1=zimm     |
csrrs       | rd,csr,zimm   | csrrsi rd csr rs1=zimm     |
csrrc       | rd,csr,zimm   | csrrci rd csr rs1=zimm     |
fence       |               | fence pred=15 succ=15      | *
fence.tso   |               | fence fm=8 pred=3 succ=3   | *
pause       |               | fence pred=1 succ=0        | *
fmv.s       | fd,fs         | fsgnj.s fd fs1=fs fs2=fs   | *
fneg.s      | fd,fs         | fsgnjn.s fd fs1=fs fs2=fs  | *
fabs.s      | fd,fs         | fsgnjx.s fd fs1=fs fs2=fs  | *
fgt.s       | rd,fs,ft      | flt.s rd fs1=ft fs2=fs     |
fge.s       | rd,fs,ft      | fle.s rd fs1=ft fs2=fs     |
fmv.d       | fd,fs         | fsgnj.d fd fs1=fs fs2=fs   | *
fneg.d      | fd,fs         | fsgnjn.d fd fs1=fs fs2=fs  | *
fabs.d      | fd,fs         | fsgnjx.d fd fs1=fs fs2=fs  | *
fgt.d       | rd,fs,ft      | flt.d rd fs1=ft fs2=fs     |
fge.d       | rd,fs,ft      | fle.d rd fs1=ft fs2=fs     |
fmv.x.s     | rd,fs         | fmv.x.w rd fs1=fs          |
fmv.s.x     | fd,rs         | fmv.w.x fd rs1=rs          |
frcsr       | rd            | csrrs rd csr=3 rs1=0       |
fscsr       | rd,rs         | csrrw rd csr=3 rs1=rs      |
fscsr       | rs            | csrrw rd=0 csr=3 rs1=rs    |
frrm        | rd            | csrrs rd csr=2 rs1=0       |
fsrm        | rd,rs         | csrrw rd csr=2 rs1=rs      |
fsrm        | rs            | csrrw rd=0 csr=2 rs1=rs    |
fsrmi       | rd,zimm       | csrrwi rd csr=2 rs1=zimm   |
fsrmi       | zimm          | csrrwi rd=0 csr=2 rs1=zimm |
frflags     | rd            | csrrs rd csr=1 rs1=0       |
fsflags     | rd,rs         | csrrw rd csr=1 rs1=rs      |
fsflags     | rs            | csrrw rd=0 csr=1 rs1=rs    |
fsflagsi    | rd,zimm       | csrrwi rd csr=1 rs1=zimm   |
fsflagsi    | zimm          | csrrwi rd=0 csr=1 rs1=zimm |
sfence.vma  |               | sfence.vma rs1=0 rs2=0     | *
sfence.vma  | rs            | sfence.vma rs1=rs rs2=0    | *
hfence.vvma |               | hfence.vvma rs1=0 rs2=0    | *
hfence.vvma | rs            | hfence.vvma rs1=rs rs2=0   | *
hfence.gvma |               | hfence.gvma rs1=0 rs2=0    | *
hfence.gvma | rs            | hfence.gvma rs1=rs rs2=0   | *
add         | rd,rs1,imm    | addi rd rs1 imm            |
slt         | rd,rs1,imm    | slti rd rs1 imm            |
sltu        | rd,rs1,imm    | sltiu rd rs1 imm           |
xor         | rd,rs1,imm    | xori rd rs1 imm            |
or          | rd,rs1,imm    | ori rd rs1 imm             |
and         | rd,rs1,imm    | andi rd rs1 imm            |
sll         | rd,rs1,imm    | slli rd rs1 imm            |
srl         | rd,rs1,imm    | srli rd rs1 imm            |
sra         | rd,rs1,imm    | srai rd rs1 imm            |
addw        | rd,rs1,imm    | addiw rd rs1 imm           |
sllw        | rd,rs1,imm    | slliw rd rs1 imm           |
srlw        | rd,rs1,imm    | srliw rd rs1 imm           |
sraw        | rd,rs1,imm    | sraiw rd rs1 imm           |
ror         | rd,rs1,imm    | rori rd rs1 imm            |
rorw        | rd,rs1,imm    | roriw rd rs1 imm           |
bclr        | rd,rs1,imm    | bclri rd rs1 imm           |
bext        | rd,rs1,imm    | bexti rd rs1 imm           |
binv        | rd,rs1,imm    | binvi rd rs1 imm           |
bset        | rd,rs1,imm    | bseti rd rs1 imm           |
"""


def _parse(row: str) -> Alias:
    name, syntax, expansion, printed = (column.strip() for column in row.split("|"))
    return Alias(name, syntax, parse_expansion(expansion), printed == "*")


ALIASES: tuple[Alias, ...] = tuple(map(_parse, _ALIASES.strip().splitlines()))
ALIAS_NAMES: tuple[str, ...] = tuple({alias.name: None for alias in ALIASES})


@cache
def aliases_by_name() -> Mapping[str, tuple[Alias, ...]]:
    """Group the aliases by their own name, as the assembler looks them up."""
    return {name: tuple(alias for alias in ALIASES if alias.name == name) for name in ALIAS_NAMES}


@cache
def aliases_by_instruction() -> Mapping[str, tuple[Alias, ...]]:
    """Group the aliases that the disassembler prints by their instruction, in order of preference."""
    printed = [alias for alias in ALIASES if alias.printed]
    names = {alias.expands.name for alias in printed}
    return {name: tuple(alias for alias in printed if alias.expands.name == name) for name in names}
