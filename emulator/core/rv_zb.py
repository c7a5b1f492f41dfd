"""Zba, Zbb, Zbs, Zicond: addresses, bit manipulation, conditional zeroing (Unprivileged ISA 20240411).

Operations on one register get zero as their second operand.
"""

from emulator.core.bits import sext8, sext16, sext32, signed_less


def add_uw(a, b):
    return (a & 0xFFFF_FFFF) + b


def sh1add(a, b):
    return (a << 1) + b


def sh2add(a, b):
    return (a << 2) + b


def sh3add(a, b):
    return (a << 3) + b


def sh1add_uw(a, b):
    return ((a & 0xFFFF_FFFF) << 1) + b


def sh2add_uw(a, b):
    return ((a & 0xFFFF_FFFF) << 2) + b


def sh3add_uw(a, b):
    return ((a & 0xFFFF_FFFF) << 3) + b


def slli_uw(a, shamt):
    return (a & 0xFFFF_FFFF) << shamt


def andn(a, b):
    return a & ~b


def orn(a, b):
    return a | ~b


def xnor(a, b):
    return ~(a ^ b)


def cpop(a, b):
    a = a - ((a >> 1) & 0x5555_5555_5555_5555)
    a = (a & 0x3333_3333_3333_3333) + ((a >> 2) & 0x3333_3333_3333_3333)
    a = (a + (a >> 4)) & 0x0F0F_0F0F_0F0F_0F0F
    return (a * 0x0101_0101_0101_0101) >> 56


def smear(a):
    """Set every bit below the highest set bit."""
    a = a | (a >> 1)
    a = a | (a >> 2)
    a = a | (a >> 4)
    a = a | (a >> 8)
    a = a | (a >> 16)
    return a | (a >> 32)


def clz(a, b):
    return 64 - cpop(smear(a), 0)


def ctz(a, b):
    return cpop(~a & (a - 1), 0)


def clzw(a, b):
    return 32 - cpop(smear(a & 0xFFFF_FFFF), 0)


def ctzw(a, b):
    return ctz(a | 0x1_0000_0000, 0)


def cpopw(a, b):
    return cpop(a & 0xFFFF_FFFF, 0)


def max_(a, b):
    return b if signed_less(a, b) else a


def maxu(a, b):
    return b if a < b else a


def min_(a, b):
    return a if signed_less(a, b) else b


def minu(a, b):
    return a if a < b else b


def sext_b(a, b):
    return sext8(a)


def sext_h(a, b):
    return sext16(a)


def zext_h(a, b):
    return a & 0xFFFF


def rol(a, b):
    return (a << (b & 63)) | (a >> ((0 - b) & 63))


def ror(a, b):
    return (a >> (b & 63)) | (a << ((0 - b) & 63))


def rori(a, shamt):
    return ror(a, shamt)


def rolw(a, b):
    low = a & 0xFFFF_FFFF
    return sext32((low << (b & 31)) | (low >> ((0 - b) & 31)))


def rorw(a, b):
    low = a & 0xFFFF_FFFF
    return sext32((low >> (b & 31)) | (low << ((0 - b) & 31)))


def roriw(a, shamt):
    return rorw(a, shamt)


def orc_b(a, b):
    # Bit 0 of each byte: is any of its bits set? The shifts bring in the next byte's bits only above bit 0.
    nibble = (a | (a >> 1)) & 0x5555_5555_5555_5555
    pair = (nibble | (nibble >> 2)) & 0x1111_1111_1111_1111
    return ((pair | (pair >> 4)) & 0x0101_0101_0101_0101) * 0xFF


def rev8(a, b):
    a = ((a >> 8) & 0x00FF_00FF_00FF_00FF) | ((a & 0x00FF_00FF_00FF_00FF) << 8)
    a = ((a >> 16) & 0x0000_FFFF_0000_FFFF) | ((a & 0x0000_FFFF_0000_FFFF) << 16)
    return (a >> 32) | (a << 32)


def bclr(a, b):
    return a & ~(1 << (b & 63))


def bext(a, b):
    return (a >> (b & 63)) & 1


def binv(a, b):
    return a ^ (1 << (b & 63))


def bset(a, b):
    return a | (1 << (b & 63))


def bclri(a, shamt):
    return bclr(a, shamt)


def bexti(a, shamt):
    return bext(a, shamt)


def binvi(a, shamt):
    return binv(a, shamt)


def bseti(a, shamt):
    return bset(a, shamt)


def czero_eqz(a, b):
    return 0 if b == 0 else a


def czero_nez(a, b):
    return 0 if b != 0 else a
