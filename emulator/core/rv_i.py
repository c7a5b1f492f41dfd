"""RV64I: what each base integer instruction computes (Unprivileged ISA 20240411, chapters 2 and 4).

Every function is pure: operands in, value out. Control flow and memory are in `run`.
"""

from emulator.core.bits import sext8, sext16, sext32, shift_right_arithmetic, signed_less


def lui(pc, imm):
    return imm


def auipc(pc, imm):
    return pc + imm


def addi(a, imm):
    return a + imm


def slti(a, imm):
    return 1 if signed_less(a, imm) else 0


def sltiu(a, imm):
    return 1 if a < imm else 0


def xori(a, imm):
    return a ^ imm


def ori(a, imm):
    return a | imm


def andi(a, imm):
    return a & imm


def slli(a, shamt):
    return a << shamt


def srli(a, shamt):
    return a >> shamt


def srai(a, shamt):
    return shift_right_arithmetic(a, shamt)


def addiw(a, imm):
    return sext32(a + imm)


def slliw(a, shamt):
    return sext32(a << shamt)


def srliw(a, shamt):
    return sext32((a & 0xFFFF_FFFF) >> shamt)


def sraiw(a, shamt):
    return shift_right_arithmetic(sext32(a), shamt)


def add(a, b):
    return a + b


def sub(a, b):
    return a - b


def sll(a, b):
    return a << (b & 63)


def slt(a, b):
    return 1 if signed_less(a, b) else 0


def sltu(a, b):
    return 1 if a < b else 0


def xor(a, b):
    return a ^ b


def srl(a, b):
    return a >> (b & 63)


def sra(a, b):
    return shift_right_arithmetic(a, b & 63)


def or_(a, b):
    return a | b


def and_(a, b):
    return a & b


def addw(a, b):
    return sext32(a + b)


def subw(a, b):
    return sext32(a - b)


def sllw(a, b):
    return sext32(a << (b & 31))


def srlw(a, b):
    return sext32((a & 0xFFFF_FFFF) >> (b & 31))


def sraw(a, b):
    return shift_right_arithmetic(sext32(a), b & 31)


def beq(a, b):
    return a == b


def bne(a, b):
    return a != b


def blt(a, b):
    return signed_less(a, b)


def bge(a, b):
    return not signed_less(a, b)


def bltu(a, b):
    return a < b


def bgeu(a, b):
    return a >= b


def lb(raw):
    return sext8(raw)


def lh(raw):
    return sext16(raw)


def lw(raw):
    return sext32(raw)


def ld(raw):
    return raw


def lbu(raw):
    return raw


def lhu(raw):
    return raw


def lwu(raw):
    return raw
