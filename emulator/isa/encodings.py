"""Every instruction's encoding, once: the decoder, the interpreter and the assembler derive from this.

Sources: The RISC-V Instruction Set Manual, Volume I (Unprivileged, 20240411): RV32/64G instruction set
listings, "C", "B", "CMO" and "Zicond" chapters; Volume II (Privileged, 20240411): "Machine-Level ISA",
"Supervisor-Level ISA", "Hypervisor Extension" and "Svinval".

A row reads `name  pattern | operand syntax | extension kind [bytes of memory access]`; `instruction.py`
explains patterns. A compressed row ends in `| expansion | constraints`. The *kind* says how to run it:

    alu     rd = f(rs1, rs2); an operand that the row lacks reads as zero (clz)
    alui    rd = f(rs1, imm); a shift's amount is the field imm too
    upper   rd = f(pc, imm); imm is already shifted left by 12
    branch  jal  jalr  load  store  lr  sc  amo
    csr     csrrw and friends with rs1; csri: the field rs1 holds the 5-bit immediate
    fence   fencei  system
    hload   hstore: the hypervisor's loads and stores through the guest's translation
    fpload  fd = f(memory); fpstore: memory = fs2, its low bytes
    fp3     fd, flags = f(fs1, fs2, fs3, rm); fp2 without fs3, fp1 without fs2 and fs3
    fpsign  fd = f(fs1, fs2); fpchoose: fd, flags = f(fs1, fs2); fpcompare: rd, flags = f(fs1, fs2)
    fptoint rd, flags = f(fs1, rm); fpfromint: fd, flags = f(rs1, rm)
    fpread  rd = f(fs1); fpwrite: fd = f(rs1)

The operand `[rm]` may be left out and is then the dynamic rounding mode; for conversions that never round,
`[exact]` says that it is then round-to-nearest.
"""

import re
from collections.abc import Mapping
from functools import cache

from emulator.errors import VmLabError
from emulator.isa.instruction import Instruction, extract, insert, parse_expansion, parse_pattern

_COLUMN = re.compile(r"\s\|(?:\s|$)")

KINDS = frozenset({
    "alu", "alui", "upper", "branch", "jal", "jalr", "load", "store", "lr", "sc", "amo",
    "csr", "csri", "fence", "fencei", "system", "hload", "hstore", "fpload", "fpstore", "fp3", "fp2", "fp1",
    "fpsign", "fpchoose", "fpcompare", "fptoint", "fpfromint", "fpread", "fpwrite",
})  # fmt: skip

# Append within an extension's block only at the end of the whole table: the position is the operation number.
_BASE = """
lui         imm[31:12] rd 0110111                               | rd,upper       | I upper
auipc       imm[31:12] rd 0010111                               | rd,upper       | I upper
jal         imm[20|10:1|11|19:12] rd 1101111                    | rd,target      | I jal
jalr        imm[11:0] rs1 000 rd 1100111                        | rd,imm(rs1)    | I jalr
beq         imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011        | rs1,rs2,target | I branch
bne         imm[12|10:5] rs2 rs1 001 imm[4:1|11] 1100011        | rs1,rs2,target | I branch
blt         imm[12|10:5] rs2 rs1 100 imm[4:1|11] 1100011        | rs1,rs2,target | I branch
bge         imm[12|10:5] rs2 rs1 101 imm[4:1|11] 1100011        | rs1,rs2,target | I branch
bltu        imm[12|10:5] rs2 rs1 110 imm[4:1|11] 1100011        | rs1,rs2,target | I branch
bgeu        imm[12|10:5] rs2 rs1 111 imm[4:1|11] 1100011        | rs1,rs2,target | I branch
lb          imm[11:0] rs1 000 rd 0000011                        | rd,imm(rs1)    | I load 1
lh          imm[11:0] rs1 001 rd 0000011                        | rd,imm(rs1)    | I load 2
lw          imm[11:0] rs1 010 rd 0000011                        | rd,imm(rs1)    | I load 4
ld          imm[11:0] rs1 011 rd 0000011                        | rd,imm(rs1)    | I load 8
lbu         imm[11:0] rs1 100 rd 0000011                        | rd,imm(rs1)    | I load 1
lhu         imm[11:0] rs1 101 rd 0000011                        | rd,imm(rs1)    | I load 2
lwu         imm[11:0] rs1 110 rd 0000011                        | rd,imm(rs1)    | I load 4
sb          imm[11:5] rs2 rs1 000 imm[4:0] 0100011              | rs2,imm(rs1)   | I store 1
sh          imm[11:5] rs2 rs1 001 imm[4:0] 0100011              | rs2,imm(rs1)   | I store 2
sw          imm[11:5] rs2 rs1 010 imm[4:0] 0100011              | rs2,imm(rs1)   | I store 4
sd          imm[11:5] rs2 rs1 011 imm[4:0] 0100011              | rs2,imm(rs1)   | I store 8
addi        imm[11:0] rs1 000 rd 0010011                        | rd,rs1,imm     | I alui
slti        imm[11:0] rs1 010 rd 0010011                        | rd,rs1,imm     | I alui
sltiu       imm[11:0] rs1 011 rd 0010011                        | rd,rs1,imm     | I alui
xori        imm[11:0] rs1 100 rd 0010011                        | rd,rs1,imm     | I alui
ori         imm[11:0] rs1 110 rd 0010011                        | rd,rs1,imm     | I alui
andi        imm[11:0] rs1 111 rd 0010011                        | rd,rs1,imm     | I alui
slli        000000 shamt[5:0] rs1 001 rd 0010011                | rd,rs1,imm     | I alui
srli        000000 shamt[5:0] rs1 101 rd 0010011                | rd,rs1,imm     | I alui
srai        010000 shamt[5:0] rs1 101 rd 0010011                | rd,rs1,imm     | I alui
add         0000000 rs2 rs1 000 rd 0110011                      | rd,rs1,rs2     | I alu
sub         0100000 rs2 rs1 000 rd 0110011                      | rd,rs1,rs2     | I alu
sll         0000000 rs2 rs1 001 rd 0110011                      | rd,rs1,rs2     | I alu
slt         0000000 rs2 rs1 010 rd 0110011                      | rd,rs1,rs2     | I alu
sltu        0000000 rs2 rs1 011 rd 0110011                      | rd,rs1,rs2     | I alu
xor         0000000 rs2 rs1 100 rd 0110011                      | rd,rs1,rs2     | I alu
srl         0000000 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | I alu
sra         0100000 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | I alu
or          0000000 rs2 rs1 110 rd 0110011                      | rd,rs1,rs2     | I alu
and         0000000 rs2 rs1 111 rd 0110011                      | rd,rs1,rs2     | I alu
addiw       imm[11:0] rs1 000 rd 0011011                        | rd,rs1,imm     | I alui
slliw       0000000 shamt[4:0] rs1 001 rd 0011011               | rd,rs1,imm     | I alui
srliw       0000000 shamt[4:0] rs1 101 rd 0011011               | rd,rs1,imm     | I alui
sraiw       0100000 shamt[4:0] rs1 101 rd 0011011               | rd,rs1,imm     | I alui
addw        0000000 rs2 rs1 000 rd 0111011                      | rd,rs1,rs2     | I alu
subw        0100000 rs2 rs1 000 rd 0111011                      | rd,rs1,rs2     | I alu
sllw        0000000 rs2 rs1 001 rd 0111011                      | rd,rs1,rs2     | I alu
srlw        0000000 rs2 rs1 101 rd 0111011                      | rd,rs1,rs2     | I alu
sraw        0100000 rs2 rs1 101 rd 0111011                      | rd,rs1,rs2     | I alu
fence       fm pred succ rs1 000 rd 0001111                     | pred,succ      | I fence
ecall       000000000000 00000 000 00000 1110011                |                | I system
ebreak      000000000001 00000 000 00000 1110011                |                | I system
fence.i     imm[11:0] rs1 001 rd 0001111                        |                | Zifencei fencei
csrrw       csr rs1 001 rd 1110011                              | rd,csr,rs1     | Zicsr csr
csrrs       csr rs1 010 rd 1110011                              | rd,csr,rs1     | Zicsr csr
csrrc       csr rs1 011 rd 1110011                              | rd,csr,rs1     | Zicsr csr
csrrwi      csr rs1 101 rd 1110011                              | rd,csr,zimm    | Zicsr csri
csrrsi      csr rs1 110 rd 1110011                              | rd,csr,zimm    | Zicsr csri
csrrci      csr rs1 111 rd 1110011                              | rd,csr,zimm    | Zicsr csri
mul         0000001 rs2 rs1 000 rd 0110011                      | rd,rs1,rs2     | M alu
mulh        0000001 rs2 rs1 001 rd 0110011                      | rd,rs1,rs2     | M alu
mulhsu      0000001 rs2 rs1 010 rd 0110011                      | rd,rs1,rs2     | M alu
mulhu       0000001 rs2 rs1 011 rd 0110011                      | rd,rs1,rs2     | M alu
div         0000001 rs2 rs1 100 rd 0110011                      | rd,rs1,rs2     | M alu
divu        0000001 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | M alu
rem         0000001 rs2 rs1 110 rd 0110011                      | rd,rs1,rs2     | M alu
remu        0000001 rs2 rs1 111 rd 0110011                      | rd,rs1,rs2     | M alu
mulw        0000001 rs2 rs1 000 rd 0111011                      | rd,rs1,rs2     | M alu
divw        0000001 rs2 rs1 100 rd 0111011                      | rd,rs1,rs2     | M alu
divuw       0000001 rs2 rs1 101 rd 0111011                      | rd,rs1,rs2     | M alu
remw        0000001 rs2 rs1 110 rd 0111011                      | rd,rs1,rs2     | M alu
remuw       0000001 rs2 rs1 111 rd 0111011                      | rd,rs1,rs2     | M alu
lr.w        00010 aq rl 00000 rs1 010 rd 0101111                | rd,(rs1)       | A lr 4
sc.w        00011 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A sc 4
amoswap.w   00001 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amoadd.w    00000 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amoxor.w    00100 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amoand.w    01100 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amoor.w     01000 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amomin.w    10000 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amomax.w    10100 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amominu.w   11000 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
amomaxu.w   11100 aq rl rs2 rs1 010 rd 0101111                  | rd,rs2,(rs1)   | A amo 4
lr.d        00010 aq rl 00000 rs1 011 rd 0101111                | rd,(rs1)       | A lr 8
sc.d        00011 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A sc 8
amoswap.d   00001 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amoadd.d    00000 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amoxor.d    00100 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amoand.d    01100 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amoor.d     01000 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amomin.d    10000 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amomax.d    10100 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amominu.d   11000 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
amomaxu.d   11100 aq rl rs2 rs1 011 rd 0101111                  | rd,rs2,(rs1)   | A amo 8
sret        0001000 00010 00000 000 00000 1110011               |                | S system
mret        0011000 00010 00000 000 00000 1110011               |                | M-mode system
wfi         0001000 00101 00000 000 00000 1110011               |                | S system
sfence.vma  0001001 rs2 rs1 000 00000 1110011                   | rs1,rs2        | S system
hfence.vvma 0010001 rs2 rs1 000 00000 1110011                   | rs1,rs2        | H system
hfence.gvma 0110001 rs2 rs1 000 00000 1110011                   | rs1,rs2        | H system
hlv.b       0110000 00000 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 1
hlv.bu      0110000 00001 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 1
hlv.h       0110010 00000 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 2
hlv.hu      0110010 00001 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 2
hlvx.hu     0110010 00011 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 2
hlv.w       0110100 00000 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 4
hlv.wu      0110100 00001 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 4
hlvx.wu     0110100 00011 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 4
hlv.d       0110110 00000 rs1 100 rd 1110011                    | rd,(rs1)       | H hload 8
hsv.b       0110001 rs2 rs1 100 00000 1110011                   | rs2,(rs1)      | H hstore 1
hsv.h       0110011 rs2 rs1 100 00000 1110011                   | rs2,(rs1)      | H hstore 2
hsv.w       0110101 rs2 rs1 100 00000 1110011                   | rs2,(rs1)      | H hstore 4
hsv.d       0110111 rs2 rs1 100 00000 1110011                   | rs2,(rs1)      | H hstore 8
sinval.vma  0001011 rs2 rs1 000 00000 1110011                   | rs1,rs2        | Svinval system
sfence.w.inval 0001100 00000 00000 000 00000 1110011            |                | Svinval system
sfence.inval.ir 0001100 00001 00000 000 00000 1110011           |                | Svinval system
hinval.vvma 0010011 rs2 rs1 000 00000 1110011                   | rs1,rs2        | Svinval system
hinval.gvma 0110011 rs2 rs1 000 00000 1110011                   | rs1,rs2        | Svinval system
add.uw      0000100 rs2 rs1 000 rd 0111011                      | rd,rs1,rs2     | Zba alu
sh1add      0010000 rs2 rs1 010 rd 0110011                      | rd,rs1,rs2     | Zba alu
sh2add      0010000 rs2 rs1 100 rd 0110011                      | rd,rs1,rs2     | Zba alu
sh3add      0010000 rs2 rs1 110 rd 0110011                      | rd,rs1,rs2     | Zba alu
sh1add.uw   0010000 rs2 rs1 010 rd 0111011                      | rd,rs1,rs2     | Zba alu
sh2add.uw   0010000 rs2 rs1 100 rd 0111011                      | rd,rs1,rs2     | Zba alu
sh3add.uw   0010000 rs2 rs1 110 rd 0111011                      | rd,rs1,rs2     | Zba alu
slli.uw     000010 shamt[5:0] rs1 001 rd 0011011                | rd,rs1,imm     | Zba alui
andn        0100000 rs2 rs1 111 rd 0110011                      | rd,rs1,rs2     | Zbb alu
orn         0100000 rs2 rs1 110 rd 0110011                      | rd,rs1,rs2     | Zbb alu
xnor        0100000 rs2 rs1 100 rd 0110011                      | rd,rs1,rs2     | Zbb alu
clz         0110000 00000 rs1 001 rd 0010011                    | rd,rs1         | Zbb alu
ctz         0110000 00001 rs1 001 rd 0010011                    | rd,rs1         | Zbb alu
cpop        0110000 00010 rs1 001 rd 0010011                    | rd,rs1         | Zbb alu
clzw        0110000 00000 rs1 001 rd 0011011                    | rd,rs1         | Zbb alu
ctzw        0110000 00001 rs1 001 rd 0011011                    | rd,rs1         | Zbb alu
cpopw       0110000 00010 rs1 001 rd 0011011                    | rd,rs1         | Zbb alu
max         0000101 rs2 rs1 110 rd 0110011                      | rd,rs1,rs2     | Zbb alu
maxu        0000101 rs2 rs1 111 rd 0110011                      | rd,rs1,rs2     | Zbb alu
min         0000101 rs2 rs1 100 rd 0110011                      | rd,rs1,rs2     | Zbb alu
minu        0000101 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | Zbb alu
sext.b      0110000 00100 rs1 001 rd 0010011                    | rd,rs1         | Zbb alu
sext.h      0110000 00101 rs1 001 rd 0010011                    | rd,rs1         | Zbb alu
zext.h      0000100 00000 rs1 100 rd 0111011                    | rd,rs1         | Zbb alu
rol         0110000 rs2 rs1 001 rd 0110011                      | rd,rs1,rs2     | Zbb alu
rolw        0110000 rs2 rs1 001 rd 0111011                      | rd,rs1,rs2     | Zbb alu
ror         0110000 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | Zbb alu
rori        011000 shamt[5:0] rs1 101 rd 0010011                | rd,rs1,imm     | Zbb alui
roriw       0110000 shamt[4:0] rs1 101 rd 0011011               | rd,rs1,imm     | Zbb alui
rorw        0110000 rs2 rs1 101 rd 0111011                      | rd,rs1,rs2     | Zbb alu
orc.b       0010100 00111 rs1 101 rd 0010011                    | rd,rs1         | Zbb alu
rev8        0110101 11000 rs1 101 rd 0010011                    | rd,rs1         | Zbb alu
bclr        0100100 rs2 rs1 001 rd 0110011                      | rd,rs1,rs2     | Zbs alu
bclri       010010 shamt[5:0] rs1 001 rd 0010011                | rd,rs1,imm     | Zbs alui
bext        0100100 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | Zbs alu
bexti       010010 shamt[5:0] rs1 101 rd 0010011                | rd,rs1,imm     | Zbs alui
binv        0110100 rs2 rs1 001 rd 0110011                      | rd,rs1,rs2     | Zbs alu
binvi       011010 shamt[5:0] rs1 001 rd 0010011                | rd,rs1,imm     | Zbs alui
bset        0010100 rs2 rs1 001 rd 0110011                      | rd,rs1,rs2     | Zbs alu
bseti       001010 shamt[5:0] rs1 001 rd 0010011                | rd,rs1,imm     | Zbs alui
czero.eqz   0000111 rs2 rs1 101 rd 0110011                      | rd,rs1,rs2     | Zicond alu
czero.nez   0000111 rs2 rs1 111 rd 0110011                      | rd,rs1,rs2     | Zicond alu
flw         imm[11:0] rs1 010 fd 0000111                        | fd,imm(rs1)         | F fpload 4
fsw         imm[11:5] fs2 rs1 010 imm[4:0] 0100111              | fs2,imm(rs1)        | F fpstore 4
fmadd.s     fs3 00 fs2 fs1 rm fd 1000011                        | fd,fs1,fs2,fs3,[rm] | F fp3
fmsub.s     fs3 00 fs2 fs1 rm fd 1000111                        | fd,fs1,fs2,fs3,[rm] | F fp3
fnmsub.s    fs3 00 fs2 fs1 rm fd 1001011                        | fd,fs1,fs2,fs3,[rm] | F fp3
fnmadd.s    fs3 00 fs2 fs1 rm fd 1001111                        | fd,fs1,fs2,fs3,[rm] | F fp3
fadd.s      0000000 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | F fp2
fsub.s      0000100 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | F fp2
fmul.s      0001000 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | F fp2
fdiv.s      0001100 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | F fp2
fsqrt.s     0101100 00000 fs1 rm fd 1010011                     | fd,fs1,[rm]         | F fp1
fsgnj.s     0010000 fs2 fs1 000 fd 1010011                      | fd,fs1,fs2          | F fpsign
fsgnjn.s    0010000 fs2 fs1 001 fd 1010011                      | fd,fs1,fs2          | F fpsign
fsgnjx.s    0010000 fs2 fs1 010 fd 1010011                      | fd,fs1,fs2          | F fpsign
fmin.s      0010100 fs2 fs1 000 fd 1010011                      | fd,fs1,fs2          | F fpchoose
fmax.s      0010100 fs2 fs1 001 fd 1010011                      | fd,fs1,fs2          | F fpchoose
feq.s       1010000 fs2 fs1 010 rd 1010011                      | rd,fs1,fs2          | F fpcompare
flt.s       1010000 fs2 fs1 001 rd 1010011                      | rd,fs1,fs2          | F fpcompare
fle.s       1010000 fs2 fs1 000 rd 1010011                      | rd,fs1,fs2          | F fpcompare
fclass.s    1110000 00000 fs1 001 rd 1010011                    | rd,fs1              | F fpread
fcvt.w.s    1100000 00000 fs1 rm rd 1010011                     | rd,fs1,[rm]         | F fptoint
fcvt.wu.s   1100000 00001 fs1 rm rd 1010011                     | rd,fs1,[rm]         | F fptoint
fcvt.l.s    1100000 00010 fs1 rm rd 1010011                     | rd,fs1,[rm]         | F fptoint
fcvt.lu.s   1100000 00011 fs1 rm rd 1010011                     | rd,fs1,[rm]         | F fptoint
fcvt.s.w    1101000 00000 rs1 rm fd 1010011                     | fd,rs1,[rm]         | F fpfromint
fcvt.s.wu   1101000 00001 rs1 rm fd 1010011                     | fd,rs1,[rm]         | F fpfromint
fcvt.s.l    1101000 00010 rs1 rm fd 1010011                     | fd,rs1,[rm]         | F fpfromint
fcvt.s.lu   1101000 00011 rs1 rm fd 1010011                     | fd,rs1,[rm]         | F fpfromint
fmv.x.w     1110000 00000 fs1 000 rd 1010011                    | rd,fs1              | F fpread
fmv.w.x     1111000 00000 rs1 000 fd 1010011                    | fd,rs1              | F fpwrite
fld         imm[11:0] rs1 011 fd 0000111                        | fd,imm(rs1)         | D fpload 8
fsd         imm[11:5] fs2 rs1 011 imm[4:0] 0100111              | fs2,imm(rs1)        | D fpstore 8
fmadd.d     fs3 01 fs2 fs1 rm fd 1000011                        | fd,fs1,fs2,fs3,[rm] | D fp3
fmsub.d     fs3 01 fs2 fs1 rm fd 1000111                        | fd,fs1,fs2,fs3,[rm] | D fp3
fnmsub.d    fs3 01 fs2 fs1 rm fd 1001011                        | fd,fs1,fs2,fs3,[rm] | D fp3
fnmadd.d    fs3 01 fs2 fs1 rm fd 1001111                        | fd,fs1,fs2,fs3,[rm] | D fp3
fadd.d      0000001 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | D fp2
fsub.d      0000101 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | D fp2
fmul.d      0001001 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | D fp2
fdiv.d      0001101 fs2 fs1 rm fd 1010011                       | fd,fs1,fs2,[rm]     | D fp2
fsqrt.d     0101101 00000 fs1 rm fd 1010011                     | fd,fs1,[rm]         | D fp1
fsgnj.d     0010001 fs2 fs1 000 fd 1010011                      | fd,fs1,fs2          | D fpsign
fsgnjn.d    0010001 fs2 fs1 001 fd 1010011                      | fd,fs1,fs2          | D fpsign
fsgnjx.d    0010001 fs2 fs1 010 fd 1010011                      | fd,fs1,fs2          | D fpsign
fmin.d      0010101 fs2 fs1 000 fd 1010011                      | fd,fs1,fs2          | D fpchoose
fmax.d      0010101 fs2 fs1 001 fd 1010011                      | fd,fs1,fs2          | D fpchoose
feq.d       1010001 fs2 fs1 010 rd 1010011                      | rd,fs1,fs2          | D fpcompare
flt.d       1010001 fs2 fs1 001 rd 1010011                      | rd,fs1,fs2          | D fpcompare
fle.d       1010001 fs2 fs1 000 rd 1010011                      | rd,fs1,fs2          | D fpcompare
fclass.d    1110001 00000 fs1 001 rd 1010011                    | rd,fs1              | D fpread
fcvt.w.d    1100001 00000 fs1 rm rd 1010011                     | rd,fs1,[rm]         | D fptoint
fcvt.wu.d   1100001 00001 fs1 rm rd 1010011                     | rd,fs1,[rm]         | D fptoint
fcvt.l.d    1100001 00010 fs1 rm rd 1010011                     | rd,fs1,[rm]         | D fptoint
fcvt.lu.d   1100001 00011 fs1 rm rd 1010011                     | rd,fs1,[rm]         | D fptoint
fcvt.d.w    1101001 00000 rs1 rm fd 1010011                     | fd,rs1,[exact]      | D fpfromint
fcvt.d.wu   1101001 00001 rs1 rm fd 1010011                     | fd,rs1,[exact]      | D fpfromint
fcvt.d.l    1101001 00010 rs1 rm fd 1010011                     | fd,rs1,[rm]         | D fpfromint
fcvt.d.lu   1101001 00011 rs1 rm fd 1010011                     | fd,rs1,[rm]         | D fpfromint
fcvt.s.d    0100000 00001 fs1 rm fd 1010011                     | fd,fs1,[rm]         | D fp1
fcvt.d.s    0100001 00000 fs1 rm fd 1010011                     | fd,fs1,[exact]      | D fp1
fmv.x.d     1110001 00000 fs1 000 rd 1010011                    | rd,fs1              | D fpread
fmv.d.x     1111001 00000 rs1 000 fd 1010011                    | fd,rs1              | D fpwrite
cbo.inval   000000000000 rs1 010 00000 0001111                  | (rs1)          | Zicbom system
cbo.clean   000000000001 rs1 010 00000 0001111                  | (rs1)          | Zicbom system
cbo.flush   000000000010 rs1 010 00000 0001111                  | (rs1)          | Zicbom system
cbo.zero    000000000100 rs1 010 00000 0001111                  | (rs1)          | Zicboz system
"""

# HINTs with a name: encodings of an instruction with rd = x0, as which they run, without effect.
_HINTS = """
prefetch.i  imm[11:5] 00000 rs1 110 00000 0010011       | imm(rs1)    | Zicbop alui
prefetch.r  imm[11:5] 00001 rs1 110 00000 0010011       | imm(rs1)    | Zicbop alui
prefetch.w  imm[11:5] 00011 rs1 110 00000 0010011       | imm(rs1)    | Zicbop alui
"""

# name pattern | syntax | expansion: a bare operand is the field of that name | values that are excluded.
# HINTs (rd = x0, a shift by 0) decode as what they look like, which has no effect; reserved encodings do not.
_COMPRESSED = """
c.addi4spn  000 nzuimm[5:4|9:6|2|3] rd' 00              | rd,sp,imm   | addi rd rs1=2 imm      |
c.fld       001 uimm[5:3] rs1' uimm[7:6] fd' 00         | fd,imm(rs1) | fld fd rs1 imm         |
c.lw        010 uimm[5:3] rs1' uimm[2|6] rd' 00         | rd,imm(rs1) | lw rd rs1 imm          |
c.ld        011 uimm[5:3] rs1' uimm[7:6] rd' 00         | rd,imm(rs1) | ld rd rs1 imm          |
c.fsd       101 uimm[5:3] rs1' uimm[7:6] fs2' 00        | fs2,imm(rs1) | fsd fs2 rs1 imm        |
c.sw        110 uimm[5:3] rs1' uimm[2|6] rs2' 00        | rs2,imm(rs1) | sw rs2 rs1 imm         |
c.sd        111 uimm[5:3] rs1' uimm[7:6] rs2' 00        | rs2,imm(rs1) | sd rs2 rs1 imm         |
c.nop       000 imm[5] 00000 imm[4:0] 01                | [imm]       | addi rd=0 rs1=0 imm    |
c.addi      000 imm[5] rd imm[4:0] 01                   | rd,imm      | addi rd rs1=rd imm     | rd!=0
c.addiw     001 imm[5] rd imm[4:0] 01                   | rd,imm      | addiw rd rs1=rd imm    | rd!=0
c.li        010 imm[5] rd imm[4:0] 01                   | rd,imm      | addi rd rs1=0 imm      |
c.addi16sp  011 nzimm[9] 00010 nzimm[4|6|8:7|5] 01      | sp,imm      | addi rd=2 rs1=2 imm    |
c.lui       011 nzimm[17] rd nzimm[16:12] 01            | rd,upper    | lui rd imm             | rd!=2
c.srli      100 shamt[5] 00 rd' shamt[4:0] 01           | rd,imm      | srli rd rs1=rd imm     |
c.srai      100 shamt[5] 01 rd' shamt[4:0] 01           | rd,imm      | srai rd rs1=rd imm     |
c.andi      100 imm[5] 10 rd' imm[4:0] 01               | rd,imm      | andi rd rs1=rd imm     |
c.sub       100 0 11 rd' 00 rs2' 01                     | rd,rs2      | sub rd rs1=rd rs2      |
c.xor       100 0 11 rd' 01 rs2' 01                     | rd,rs2      | xor rd rs1=rd rs2      |
c.or        100 0 11 rd' 10 rs2' 01                     | rd,rs2      | or rd rs1=rd rs2       |
c.and       100 0 11 rd' 11 rs2' 01                     | rd,rs2      | and rd rs1=rd rs2      |
c.subw      100 1 11 rd' 00 rs2' 01                     | rd,rs2      | subw rd rs1=rd rs2     |
c.addw      100 1 11 rd' 01 rs2' 01                     | rd,rs2      | addw rd rs1=rd rs2     |
c.j         101 imm[11|4|9:8|10|6|7|3:1|5] 01           | target      | jal rd=0 imm           |
c.beqz      110 imm[8|4:3] rs1' imm[7:6|2:1|5] 01       | rs1,target  | beq rs1 rs2=0 imm      |
c.bnez      111 imm[8|4:3] rs1' imm[7:6|2:1|5] 01       | rs1,target  | bne rs1 rs2=0 imm      |
c.slli      000 shamt[5] rd shamt[4:0] 10               | rd,imm      | slli rd rs1=rd imm     |
c.fldsp     001 uimm[5] fd uimm[4:3|8:6] 10             | fd,imm(sp)  | fld fd rs1=2 imm       |
c.lwsp      010 uimm[5] rd uimm[4:2|7:6] 10             | rd,imm(sp)  | lw rd rs1=2 imm        | rd!=0
c.ldsp      011 uimm[5] rd uimm[4:3|8:6] 10             | rd,imm(sp)  | ld rd rs1=2 imm        | rd!=0
c.jr        100 0 rs1 00000 10                          | rs1         | jalr rd=0 rs1 imm=0    | rs1!=0
c.mv        100 0 rd rs2 10                             | rd,rs2      | add rd rs1=0 rs2       | rs2!=0
c.ebreak    100 1 00000 00000 10                        |             | ebreak                 |
c.jalr      100 1 rs1 00000 10                          | rs1         | jalr rd=1 rs1 imm=0    | rs1!=0
c.add       100 1 rd rs2 10                             | rd,rs2      | add rd rs1=rd rs2      | rs2!=0
c.fsdsp     101 uimm[5:3|8:6] fs2 10                    | fs2,imm(sp) | fsd fs2 rs1=2 imm      |
c.swsp      110 uimm[5:2|7:6] rs2 10                    | rs2,imm(sp) | sw rs2 rs1=2 imm       |
c.sdsp      111 uimm[5:3|8:6] rs2 10                    | rs2,imm(sp) | sd rs2 rs1=2 imm       |
"""


class EncodingError(VmLabError):
    """An operand does not fit the instruction: `addi: imm is 5000; must be -2048 to 2047`."""


def _columns(row: str) -> list[str]:
    """Split a row at ` | `; the bars inside immediates have no spaces around them."""
    return [column.strip() for column in _COLUMN.split(row)]


def _parse_base(index: int, row: str) -> Instruction:
    """Read one row of `_BASE`."""
    heading, syntax, traits = _columns(row)
    name, _, bits = heading.partition(" ")
    extension, kind, *width = traits.split()
    assert kind in KINDS, row
    pattern = parse_pattern(bits, 4)
    return Instruction(
        name=name,
        index=index,
        extension=extension,
        kind=kind,
        syntax=syntax,
        mask=pattern.mask,
        match=pattern.match,
        length=4,
        width=int(width[0]) if width else 0,
        fields=pattern.fields,
        signed=pattern.signed,
    )


def _parse_compressed(row: str, base: Mapping[str, Instruction]) -> Instruction:
    """Read one row of `_COMPRESSED`; kind, index and width are those of what it expands to."""
    heading, syntax, expansion_text, excluded = _columns(row)
    name, _, bits = heading.partition(" ")
    pattern = parse_pattern(bits, 2)
    expansion = parse_expansion(expansion_text)
    target = base[expansion.name]
    constraints = [(field, int(value)) for field, value in (text.split("!=") for text in excluded.split())]
    if pattern.nonzero:
        constraints.append(("imm", 0))
    return Instruction(
        name=name,
        index=target.index,
        extension="C",
        kind=target.kind,
        syntax=syntax,
        mask=pattern.mask,
        match=pattern.match,
        length=2,
        width=target.width,
        fields=pattern.fields,
        signed=pattern.signed,
        constraints=tuple(constraints),
        expands=expansion,
    )


TABLE: tuple[Instruction, ...] = tuple(
    _parse_base(number, row) for number, row in enumerate(_BASE.strip().splitlines(), start=1)
)
_BASE_BY_NAME = {row.name: row for row in TABLE}
HINTS: tuple[Instruction, ...] = tuple(
    _parse_base(_BASE_BY_NAME["ori"].index, row) for row in _HINTS.strip().splitlines()
)
COMPRESSED: tuple[Instruction, ...] = tuple(
    _parse_compressed(row, _BASE_BY_NAME) for row in _COMPRESSED.strip().splitlines()
)
BY_NAME: Mapping[str, Instruction] = {row.name: row for row in (*TABLE, *HINTS, *COMPRESSED)}


@cache
def _candidates(word: int) -> tuple[Instruction, ...]:
    """List the rows that may match a word of which only the opcode and funct3 bits are given."""
    if word & 3 == 3:
        return tuple(row for row in TABLE if (row.match ^ word) & row.mask & 0x707F == 0)
    return tuple(row for row in COMPRESSED if (row.match ^ word) & row.mask & 0xE003 == 0)


def decode(word: int) -> tuple[Instruction, dict[str, int]] | None:
    """Return the instruction at the start of `word` and its operands, or None if it is not one we know.

    A word whose two lowest bits are not both set is a 2-byte instruction, and its upper half is ignored.
    Registers are numbers 0 to 31 (8 to 15 for 3-bit fields), `imm` is sign-extended where the manual says so.
    """
    word &= 0xFFFF_FFFF if word & 3 == 3 else 0xFFFF
    for row in _candidates(word & (0x707F if word & 3 == 3 else 0xE003)):
        if word & row.mask == row.match:
            operands = operands_of(row, word)
            if not any(operands[name] == value for name, value in row.constraints):
                return row, operands
    return None


def decode_hint(word: int) -> tuple[Instruction, dict[str, int]] | None:
    """Return the HINT with a name of its own that a word is, and its operands, or None."""
    for row in HINTS:
        if word & 0xFFFF_FFFF & row.mask == row.match:
            return row, operands_of(row, word)
    return None


def operands_of(instruction: Instruction, word: int) -> dict[str, int]:
    """Extract every operand of `instruction` from `word`, which must match it."""
    operands: dict[str, int] = {}
    for name, segments in instruction.fields.items():
        value = extract(segments, word)
        if name == "imm" and instruction.signed:
            sign = 1 << instruction.field_width(name) - 1
            value = (value ^ sign) - sign
        operands[name] = value + 8 if instruction.is_compact(name) else value
    return operands


def encode(instruction: Instruction, operands: Mapping[str, int]) -> int:
    """Return the word of an instruction; operands that are left out are zero (`aq`, `fm`, ignored fields).

    Raises:
        EncodingError: An operand does not exist, does not fit its bits, is misaligned or is excluded.
    """
    unknown = operands.keys() - instruction.fields.keys()
    if unknown:
        raise EncodingError(f"{instruction.name}: has no operand {sorted(unknown)[0]}")
    word = instruction.match
    for name, segments in instruction.fields.items():
        default = 8 if instruction.is_compact(name) else 0
        value = operands.get(name, default)
        low, high = value_range(instruction, name)
        if not low <= value <= high:
            raise EncodingError(f"{instruction.name}: {name} is {value}; must be {low} to {high}")
        if value % instruction.field_alignment(name):
            alignment = instruction.field_alignment(name)
            raise EncodingError(f"{instruction.name}: {name} is {value}; must be a multiple of {alignment}")
        if (name, value) in instruction.constraints:
            raise EncodingError(f"{instruction.name}: {name} must not be {value}")
        word |= insert(segments, value - default)
    return word


@cache
def value_range(instruction: Instruction, name: str) -> tuple[int, int]:
    """Return the lowest and the highest value of an operand."""
    width = instruction.field_width(name)
    if instruction.is_compact(name):
        return 8, 15
    if name == "imm" and instruction.signed:
        step = instruction.field_alignment(name)
        return -(1 << width - 1), (1 << width - 1) - step
    return 0, (1 << width) - instruction.field_alignment(name)


def expand(instruction: Instruction, operands: Mapping[str, int]) -> tuple[Instruction, dict[str, int]]:
    """Return the base instruction and operands a compressed one stands for; others stay as they are."""
    if instruction.expands is None:
        return instruction, dict(operands)
    name, bindings = instruction.expands
    return BY_NAME[name], {
        field: operands[source] if isinstance(source, str) else source for field, source in bindings.items()
    }
