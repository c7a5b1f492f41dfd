"""F extension: single precision, NaN-boxed in 64-bit registers (Unprivileged ISA 20240411, chapter 20).

Operands and results are register contents; `rm` is the rounding mode in effect, 0 to 4. A function of
something that may raise a flag returns `(value, flags)`.
"""

from emulator.core.bits import ONES, SIGN, sext32
from emulator.core.softfloat import (
    BOX,
    SINGLE,
    choose,
    classify,
    equal,
    float_add,
    float_divide,
    float_multiply,
    float_subtract,
    from_integer,
    from_signed,
    fused_multiply_add,
    inject_sign,
    inject_sign_negated,
    inject_sign_xor,
    less,
    square_root,
    to_integer,
    to_word,
)

SIGN_S = 1 << 31


def flw(raw):
    # "the upper bits are all ones"
    return BOX | raw


def fadd_s(a, b, rm):
    return float_add(a, b, rm, SINGLE)


def fsub_s(a, b, rm):
    return float_subtract(a, b, rm, SINGLE)


def fmul_s(a, b, rm):
    return float_multiply(a, b, rm, SINGLE)


def fdiv_s(a, b, rm):
    return float_divide(a, b, rm, SINGLE)


def fsqrt_s(a, rm):
    return square_root(a, rm, SINGLE)


def fmadd_s(a, b, c, rm):
    return fused_multiply_add(a, b, c, 0, 0, rm, SINGLE)


def fmsub_s(a, b, c, rm):
    return fused_multiply_add(a, b, c, 0, SIGN_S, rm, SINGLE)


def fnmsub_s(a, b, c, rm):
    # -(a * b) + c
    return fused_multiply_add(a, b, c, SIGN_S, 0, rm, SINGLE)


def fnmadd_s(a, b, c, rm):
    # -(a * b) - c
    return fused_multiply_add(a, b, c, SIGN_S, SIGN_S, rm, SINGLE)


def fsgnj_s(a, b):
    return inject_sign(a, b, SINGLE)


def fsgnjn_s(a, b):
    return inject_sign_negated(a, b, SINGLE)


def fsgnjx_s(a, b):
    return inject_sign_xor(a, b, SINGLE)


def fmin_s(a, b):
    return choose(a, b, 0, SINGLE)


def fmax_s(a, b):
    return choose(a, b, 1, SINGLE)


def feq_s(a, b):
    return equal(a, b, SINGLE)


def flt_s(a, b):
    return less(a, b, 0, SINGLE)


def fle_s(a, b):
    return less(a, b, 1, SINGLE)


def fclass_s(a):
    return classify(a, SINGLE)


def fcvt_w_s(a, rm):
    return to_word(a, rm, SINGLE, 0x8000_0000, 0x7FFF_FFFF)


def fcvt_wu_s(a, rm):
    return to_word(a, rm, SINGLE, 0, 0xFFFF_FFFF)


def fcvt_l_s(a, rm):
    return to_integer(a, rm, SINGLE, SIGN, SIGN - 1)


def fcvt_lu_s(a, rm):
    return to_integer(a, rm, SINGLE, 0, ONES)


def fcvt_s_w(a, rm):
    return from_signed(sext32(a), rm, SINGLE)


def fcvt_s_wu(a, rm):
    return from_integer(0, a & 0xFFFF_FFFF, rm, SINGLE)


def fcvt_s_l(a, rm):
    return from_signed(a, rm, SINGLE)


def fcvt_s_lu(a, rm):
    return from_integer(0, a, rm, SINGLE)


def fmv_x_w(a):
    return sext32(a)


def fmv_w_x(a):
    return BOX | (a & 0xFFFF_FFFF)
