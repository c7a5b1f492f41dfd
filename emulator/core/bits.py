"""Signed views of unsigned registers.

Kernels know only uint64: a signed reading is spelled out here, and nowhere else.
"""

SIGN = 0x8000_0000_0000_0000
ONES = 0xFFFF_FFFF_FFFF_FFFF


def sext8(value):
    return ((value & 0xFF) ^ 0x80) - 0x80


def sext16(value):
    return ((value & 0xFFFF) ^ 0x8000) - 0x8000


def sext32(value):
    return ((value & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


def sext(value, bits):
    """Sign-extend the low `bits` bits (1..64)."""
    sign = 1 << (bits - 1)
    return ((value & ((sign << 1) - 1)) ^ sign) - sign


def signed_less(a, b):
    return (a ^ SIGN) < (b ^ SIGN)


def shift_right_arithmetic(value, amount):
    fill = SIGN >> amount
    return ((value >> amount) ^ fill) - fill


def magnitude(value):
    """Absolute value of a signed 64-bit number, as unsigned."""
    if value & SIGN:
        return 0 - value
    return value
