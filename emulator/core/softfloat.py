"""IEEE 754 arithmetic on integers: exact in all five rounding modes, with flags.

Source: Unprivileged ISA 20240411, chapters 20 (F) and 21 (D), and IEEE 754-2019.

An operand or result is the content of a floating-point register; `p`, the precision, says how to read it:
SINGLE (24 bits, NaN-boxed in the low half) or DOUBLE (53 bits). Operations return `(value, flags)`. The exact
result is rounded once, by `round_pack`: "tininess is detected after rounding", NaNs are canonical, and what
an overflow gives depends on the rounding mode.

Unpacked, a finite number is significand * 2^(exponent - ORIGIN - 62): the leading one of the significand
stands at bit 62. Its lowest bit is *sticky*: it is also set when something that is not zero was cut off to
its right.
"""

from emulator.core.bits import SIGN, sext32
from emulator.core.intrinsics import leading_zeros
from emulator.core.rv_m import mulhu

SINGLE, DOUBLE = 24, 53
RNE, RTZ, RDN, RUP, RMM = 0, 1, 2, 3, 4
INEXACT, UNDERFLOW, OVERFLOW, DIVIDE_BY_ZERO, INVALID = 1, 2, 4, 8, 16
ZERO, FINITE, INFINITE, QUIET, SIGNALLING = 0, 1, 2, 3, 4

# The exponent of 1.0 when unpacked: large enough that no exponent of a sum, product or quotient is negative.
ORIGIN = 0x8000
BOX = 0xFFFF_FFFF_0000_0000
NAN_S, NAN_D = 0xFFFF_FFFF_7FC0_0000, 0x7FF8_0000_0000_0000


def top_exponent(p):
    """The exponent field of infinities and NaNs."""
    return 0x7FF if p == DOUBLE else 0xFF


def bias_of(p):
    return 0x3FF if p == DOUBLE else 0x7F


def sign_shift(p):
    return 63 if p == DOUBLE else 31


def canonical_nan(p):
    return NAN_D if p == DOUBLE else NAN_S


def as_register(sign, bits, p):
    """A register that holds the number with this sign and these exponent and fraction fields."""
    return (sign << 63) | bits if p == DOUBLE else BOX | (sign << 31) | bits


def operand(a, p):
    """The number in a register: a single that is not NaN-boxed counts as the canonical NaN."""
    return NAN_S if p == SINGLE and (a & BOX) != BOX else a


def sign_of(a, p):
    return (a >> sign_shift(p)) & 1


def magnitude_bits(a, p):
    return a & ((1 << sign_shift(p)) - 1)


def is_nan(a, p):
    return magnitude_bits(a, p) > top_exponent(p) << (p - 1)


def is_signalling(a, p):
    return is_nan(a, p) and (a >> (p - 2)) & 1 == 0


def unpack(a, p):
    """Class, exponent and significand of a number; a zero has the lowest exponent."""
    top, bias = top_exponent(p), bias_of(p)
    fraction = a & ((1 << (p - 1)) - 1)
    exponent = (a >> (p - 1)) & top
    if exponent == top:
        if fraction == 0:
            return INFINITE, exponent, fraction
        return QUIET if fraction >> (p - 2) else SIGNALLING, exponent, fraction
    if exponent == 0:
        if fraction == 0:
            return ZERO, exponent, fraction
        shift = leading_zeros(fraction) - 1
        return FINITE, ORIGIN + 64 - bias - p - shift, fraction << shift
    return FINITE, exponent + ORIGIN - bias, (fraction | 1 << (p - 1)) << (63 - p)


def shift_right_sticky(value, amount):
    if amount > 63:
        return 1 if value else 0
    return (value >> amount) | (1 if value & ((1 << amount) - 1) else 0)


def round_to_infinity(sign, rm):
    """Does an overflow give infinity (and not the largest finite number) in this mode?"""
    return rm == RNE or rm == RMM or rm == RUP - sign


def rounding_term(significand, cut, rm, sign):
    """What to add to a significand so that cutting off its lowest `cut` bits (1..63) rounds it."""
    if rm == RNE:
        return (1 << (cut - 1)) - 1 + ((significand >> cut) & 1)
    if rm == RMM:
        return 1 << (cut - 1)
    # Away from zero: up for a positive number, down for a negative one.
    return (1 << cut) - 1 if rm == RUP - sign else 0


def round_pack(sign, exponent, significand, rm, p):
    """Round a finite number that is not zero to precision `p`. Returns the register's value and the flags."""
    cut = 63 - p
    least = ORIGIN + 1 - bias_of(p)
    flags = 0
    tiny = 0
    if exponent < least:
        rounded = significand + rounding_term(significand, cut, rm, sign)
        # Not tiny after all, if rounding with an unbounded exponent reaches the least normal number.
        tiny = 0 if exponent + 1 == least and rounded >> 63 else UNDERFLOW
        significand = shift_right_sticky(significand, least - exponent)
        exponent = least
    if significand & ((1 << cut) - 1):
        flags = INEXACT | tiny
    top = top_exponent(p)
    steps = top if exponent - least > top else exponent - least
    # The leading one, where there is one, adds itself to the exponent field.
    bits = (steps << (p - 1)) + ((significand + rounding_term(significand, cut, rm, sign)) >> cut)
    infinity = top << (p - 1)
    if bits >= infinity:
        flags = OVERFLOW | INEXACT
        bits = infinity if round_to_infinity(sign, rm) else infinity - 1
    return as_register(sign, bits, p), flags


def exact_zero(sign_a, sign_b, rm, p):
    """A sum of exactly zero: -0 of two negative operands and, rounding down, of operands of unlike signs."""
    sign = sign_a if sign_a == sign_b else (1 if rm == RDN else 0)
    return as_register(sign, 0, p), 0


def invalid(p):
    return canonical_nan(p), INVALID


def nan_of(kind_a, kind_b, p):
    """The result when an operand is a NaN: a signalling one raises the invalid flag."""
    return canonical_nan(p), (INVALID if kind_a == SIGNALLING or kind_b == SIGNALLING else 0)


def float_add(a, b, rm, p):
    a, b = operand(a, p), operand(b, p)
    kind_a, exponent_a, significand_a = unpack(a, p)
    kind_b, exponent_b, significand_b = unpack(b, p)
    sign_a, sign_b = sign_of(a, p), sign_of(b, p)
    if kind_a >= QUIET or kind_b >= QUIET:
        return nan_of(kind_a, kind_b, p)
    if kind_a == INFINITE:
        return invalid(p) if kind_b == INFINITE and sign_a != sign_b else (a, 0)
    if kind_b == INFINITE:
        return b, 0
    if exponent_a < exponent_b or (exponent_a == exponent_b and significand_a < significand_b):
        exponent_a, exponent_b = exponent_b, exponent_a
        significand_a, significand_b = significand_b, significand_a
        sign_a, sign_b = sign_b, sign_a
    significand_b = shift_right_sticky(significand_b, exponent_a - exponent_b)
    if sign_a == sign_b:
        total = significand_a + significand_b
        if total >> 63:
            return round_pack(sign_a, exponent_a + 1, shift_right_sticky(total, 1), rm, p)
    else:
        total = significand_a - significand_b
    if total == 0:
        return exact_zero(sign_a, sign_b, rm, p)
    shift = leading_zeros(total) - 1
    return round_pack(sign_a, exponent_a - shift, total << shift, rm, p)


def float_subtract(a, b, rm, p):
    # A single that is not NaN-boxed must stay so: only the sign of a boxed one may change.
    return float_add(a, operand(b, p) ^ (1 << sign_shift(p)), rm, p)


def float_multiply(a, b, rm, p):
    a, b = operand(a, p), operand(b, p)
    kind_a, exponent_a, significand_a = unpack(a, p)
    kind_b, exponent_b, significand_b = unpack(b, p)
    sign = sign_of(a ^ b, p)
    if kind_a >= QUIET or kind_b >= QUIET:
        return nan_of(kind_a, kind_b, p)
    if kind_a == INFINITE or kind_b == INFINITE:
        if kind_a == ZERO or kind_b == ZERO:
            return invalid(p)
        return as_register(sign, top_exponent(p) << (p - 1), p), 0
    if kind_a == ZERO or kind_b == ZERO:
        return as_register(sign, 0, p), 0
    # 2^62 <= a, b < 2^63: twice the product has its leading one at bit 61 or 62 of the upper half.
    product = mulhu(significand_a << 1, significand_b) | (1 if (significand_a << 1) * significand_b else 0)
    if product >> 62:
        return round_pack(sign, exponent_a + exponent_b + 1 - ORIGIN, product, rm, p)
    return round_pack(sign, exponent_a + exponent_b - ORIGIN, product << 1, rm, p)


def float_divide(a, b, rm, p):
    a, b = operand(a, p), operand(b, p)
    kind_a, exponent_a, significand_a = unpack(a, p)
    kind_b, exponent_b, significand_b = unpack(b, p)
    sign = sign_of(a ^ b, p)
    if kind_a >= QUIET or kind_b >= QUIET:
        return nan_of(kind_a, kind_b, p)
    if kind_a == kind_b and kind_a != FINITE:
        return invalid(p)
    if kind_a == INFINITE or kind_b == ZERO:
        infinity = as_register(sign, top_exponent(p) << (p - 1), p)
        return infinity, (0 if kind_a == INFINITE else DIVIDE_BY_ZERO)
    if kind_a == ZERO or kind_b == INFINITE:
        return as_register(sign, 0, p), 0
    exponent = exponent_a + ORIGIN - exponent_b
    # As integers of 53 bits (the lowest ten are zero). a is doubled if need be: then the quotient begins with
    # a one.
    remainder, divisor = significand_a >> 10, significand_b >> 10
    if remainder < divisor:
        remainder <<= 1
        exponent -= 1
    remainder -= divisor
    quotient = 1
    digits = 0
    while digits < 5:
        remainder <<= 11
        quotient = (quotient << 11) | (remainder // divisor)
        remainder %= divisor
        digits += 1
    return round_pack(sign, exponent, (quotient << 7) | (1 if remainder else 0), rm, p)


def square_root(a, rm, p):
    a = operand(a, p)
    kind, exponent, significand = unpack(a, p)
    if kind >= QUIET:
        return nan_of(kind, kind, p)
    if kind == ZERO:
        return a, 0
    if sign_of(a, p):
        return invalid(p)
    if kind == INFINITE:
        return a, 0
    # The root has half the exponent; an odd one doubles the significand. Two bits of the radicand make one of
    # the root.
    radicand = significand << 1 if exponent & 1 else significand
    root = 0
    remainder = 0
    step = 0
    while step < 56:
        remainder = (remainder << 2) | (radicand >> 62)
        radicand <<= 2
        root <<= 1
        if remainder > root << 1:
            remainder -= (root << 1) | 1
            root |= 1
        step += 1
    return round_pack(0, (exponent + ORIGIN) >> 1, (root << 7) | (1 if remainder else 0), rm, p)


def fused_special(kind_a, kind_b, kind_c, sign, sign_c, c, p):
    """Multiply-add with an infinity or NaN among the operands."""
    # "must set the invalid operation exception flag when the multiplicands are infinity and zero, even when
    # the addend is a quiet NaN"
    if (kind_a == INFINITE and kind_b == ZERO) or (kind_a == ZERO and kind_b == INFINITE):
        return invalid(p)
    if kind_a >= QUIET or kind_b >= QUIET or kind_c >= QUIET:
        return nan_of(kind_c, SIGNALLING if kind_a == SIGNALLING else kind_b, p)
    if kind_a == INFINITE or kind_b == INFINITE:
        if kind_c == INFINITE and sign != sign_c:
            return invalid(p)
        return as_register(sign, top_exponent(p) << (p - 1), p), 0
    return c, 0


def fused_multiply_add(a, b, c, negate_product, negate_c, rm, p):
    """a * b + c, rounded once; the product, the addend or both may be negated first (0 or 1 << sign)."""
    a, b, c = operand(a, p) ^ negate_product, operand(b, p), operand(c, p) ^ negate_c
    kind_a, exponent_a, significand_a = unpack(a, p)
    kind_b, exponent_b, significand_b = unpack(b, p)
    kind_c, exponent_c, low_c = unpack(c, p)
    sign, sign_c = sign_of(a ^ b, p), sign_of(c, p)
    if kind_a >= INFINITE or kind_b >= INFINITE or kind_c >= INFINITE:
        return fused_special(kind_a, kind_b, kind_c, sign, sign_c, c, p)
    if kind_a == ZERO or kind_b == ZERO:
        return exact_zero(sign, sign_c, rm, p) if kind_c == ZERO else (c, 0)
    # The exact product and the addend as 128-bit numbers. Bit 126 is the addend's leading one, the product's
    # or above.
    high = mulhu(significand_a << 1, significand_b)
    low = (significand_a << 1) * significand_b
    exponent = exponent_a + exponent_b + 1 - ORIGIN
    high_c, low_c = low_c, 0
    if exponent < exponent_c:
        high, low = shift_pair_sticky(high, low, exponent_c - exponent)
        exponent = exponent_c
    else:
        high_c, low_c = shift_pair_sticky(high_c, low_c, exponent - exponent_c)
    if sign == sign_c:
        low += low_c
        high += high_c + (1 if low < low_c else 0)
    elif high > high_c or (high == high_c and low >= low_c):
        high -= high_c + (1 if low < low_c else 0)
        low -= low_c
    else:
        high = high_c - high - (1 if low_c < low else 0)
        low = low_c - low
        sign = sign_c
    return round_pair(sign, exponent, high, low, rm, p)


def shift_pair_sticky(high, low, amount):
    """Shift a 128-bit number right."""
    if amount == 0:
        return high, low
    if amount > 63:
        lost = 1 if low else 0
        return 0, shift_right_sticky(high, amount - 64) | lost
    lost = 1 if low << (64 - amount) else 0
    return high >> amount, (high << (64 - amount)) | (low >> amount) | lost


def round_pair(sign, exponent, high, low, rm, p):
    """Round a 128-bit significand whose unit is bit 126."""
    if high == 0:
        if low == 0:
            return exact_zero(0, 1, rm, p)
        high = low
        low = 0
        exponent -= 64
    if high >> 63:
        return round_pack(sign, exponent + 1, shift_right_sticky(high, 1) | (1 if low else 0), rm, p)
    shift = leading_zeros(high) - 1
    if shift:
        high = (high << shift) | (low >> (64 - shift))
        low <<= shift
        exponent -= shift
    return round_pack(sign, exponent, high | (1 if low else 0), rm, p)


def convert(a, rm, source, target):
    """A number of one precision in another."""
    a = operand(a, source)
    kind, exponent, significand = unpack(a, source)
    sign = sign_of(a, source)
    if kind >= QUIET:
        return nan_of(kind, kind, target)
    if kind == FINITE:
        return round_pack(sign, exponent, significand, rm, target)
    return as_register(sign, top_exponent(target) << (target - 1) if kind == INFINITE else 0, target), 0


def from_integer(sign, magnitude, rm, p):
    """A sign and a 64-bit magnitude as a floating-point number."""
    if magnitude == 0:
        return as_register(0, 0, p), 0
    shift = leading_zeros(magnitude)
    if shift == 0:
        return round_pack(sign, ORIGIN + 63, shift_right_sticky(magnitude, 1), rm, p)
    return round_pack(sign, ORIGIN + 63 - shift, magnitude << (shift - 1), rm, p)


def from_signed(a, rm, p):
    return from_integer(1, 0 - a, rm, p) if a & SIGN else from_integer(0, a, rm, p)


def to_integer(a, rm, p, least, most):
    """Round to an integer from -`least` to `most`, in two's complement.

    Outside this range the result is its nearest end, with the invalid flag; a NaN counts as larger than any
    number.
    """
    a = operand(a, p)
    kind, exponent, significand = unpack(a, p)
    sign = 0 if kind >= QUIET else sign_of(a, p)
    limit = least if sign else most
    result = 0 - limit if sign else limit
    if kind >= INFINITE or exponent > ORIGIN + 63:
        return result, INVALID
    flags = 0
    if exponent >= ORIGIN + 62:
        magnitude = significand << (exponent - ORIGIN - 62)
    else:
        cut = ORIGIN + 62 - exponent
        if cut > 63:
            # Less than a half: what it is exactly makes no difference.
            significand = 1 if significand else 0
            cut = 63
        magnitude = (significand + rounding_term(significand, cut, rm, sign)) >> cut
        flags = INEXACT if significand & ((1 << cut) - 1) else 0
    if magnitude > limit:
        return result, INVALID
    return 0 - magnitude if sign else magnitude, flags


def to_word(a, rm, p, least, most):
    """The same for a 32-bit integer, which a register holds sign-extended (unsigned ones too)."""
    value, flags = to_integer(a, rm, p, least, most)
    return sext32(value), flags


def ordered(a, p):
    """A number that is no NaN as an integer that compares as the number does; the two zeros are equal."""
    bits = magnitude_bits(a, p)
    return SIGN - bits if sign_of(a, p) else SIGN + bits


def equal(a, b, p):
    """ "FEQ performs a quiet comparison": only a signalling NaN raises the invalid flag."""
    a, b = operand(a, p), operand(b, p)
    if is_nan(a, p) or is_nan(b, p):
        return 0, (INVALID if is_signalling(a, p) or is_signalling(b, p) else 0)
    return (1 if ordered(a, p) == ordered(b, p) else 0), 0


def less(a, b, margin, p):
    """a < b, or with a margin of 1, a <= b. "signaling comparisons": any NaN raises the invalid flag."""
    a, b = operand(a, p), operand(b, p)
    if is_nan(a, p) or is_nan(b, p):
        return 0, INVALID
    return (1 if ordered(a, p) < ordered(b, p) + margin else 0), 0


def choose(a, b, larger, p):
    """minimumNumber or, with `larger` = 1, maximumNumber: a number beats a NaN, and -0 is less than +0."""
    a, b = operand(a, p), operand(b, p)
    flags = INVALID if is_signalling(a, p) or is_signalling(b, p) else 0
    if is_nan(a, p):
        return canonical_nan(p) if is_nan(b, p) else b, flags
    if is_nan(b, p):
        return a, flags
    if ordered(a, p) == ordered(b, p):
        # Equal numbers differ at most in the sign of zero.
        return (b if sign_of(a, p) == larger else a), flags
    return (a if (ordered(a, p) < ordered(b, p)) == (larger == 0) else b), flags


def inject_sign(a, sign, p):
    """The magnitude of one number and the sign bit of another."""
    bit = 1 << sign_shift(p)
    return (operand(a, p) & ~bit) | (operand(sign, p) & bit)


def inject_sign_negated(a, sign, p):
    return inject_sign(a, operand(sign, p) ^ (1 << sign_shift(p)), p)


def inject_sign_xor(a, sign, p):
    return operand(a, p) ^ (operand(sign, p) & (1 << sign_shift(p)))


def classify(a, p):
    """The bit of "FCLASS": from 0 for minus infinity to 9 for a quiet NaN."""
    a = operand(a, p)
    if is_nan(a, p):
        return 1 << (8 if is_signalling(a, p) else 9)
    exponent = magnitude_bits(a, p) >> (p - 1)
    place = 6
    if exponent == top_exponent(p):
        place = 7
    elif exponent == 0:
        place = 5 if magnitude_bits(a, p) else 4
    return 1 << (7 - place if sign_of(a, p) else place)
