"""M extension: integer multiplication and division (Unprivileged ISA 20240411, chapter 13)."""

from emulator.core.bits import ONES, SIGN, magnitude, sext32


def mul(a, b):
    return a * b


def mulhu(a, b):
    low_a, high_a = a & 0xFFFF_FFFF, a >> 32
    low_b, high_b = b & 0xFFFF_FFFF, b >> 32
    middle = high_a * low_b + ((low_a * low_b) >> 32)
    cross = low_a * high_b + (middle & 0xFFFF_FFFF)
    return high_a * high_b + (middle >> 32) + (cross >> 32)


def mulhsu(a, b):
    # A negative a counts as a - 2^64: the high half loses one b.
    return mulhu(a, b) - (b if a & SIGN else 0)


def mulh(a, b):
    return mulhu(a, b) - (b if a & SIGN else 0) - (a if b & SIGN else 0)


def divu(a, b):
    # "The quotient of division by zero has all bits set."
    if b == 0:
        return ONES
    return a // b


def remu(a, b):
    # "The remainder of division by zero equals the dividend."
    if b == 0:
        return a
    return a % b


def div(a, b):
    if b == 0:
        return ONES
    quotient = magnitude(a) // magnitude(b)
    # Signed overflow (-2^63 / -1) needs no case of its own: the magnitude is 2^63, which is the required
    # result.
    return 0 - quotient if (a ^ b) & SIGN else quotient


def rem(a, b):
    if b == 0:
        return a
    remainder = magnitude(a) % magnitude(b)
    return 0 - remainder if a & SIGN else remainder


def mulw(a, b):
    return sext32(a * b)


def divw(a, b):
    return sext32(div(sext32(a), sext32(b)))


def divuw(a, b):
    return sext32(divu(a & 0xFFFF_FFFF, b & 0xFFFF_FFFF))


def remw(a, b):
    return sext32(rem(sext32(a), sext32(b)))


def remuw(a, b):
    return sext32(remu(a & 0xFFFF_FFFF, b & 0xFFFF_FFFF))
