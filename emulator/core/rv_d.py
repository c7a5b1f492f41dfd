"""D extension: double precision (Unprivileged ISA 20240411, chapter 21).

Operands and results are register contents; `rm` is the rounding mode in effect, 0 to 4. A function of
something that may raise a flag returns `(value, flags)`.
"""

from emulator.core.bits import ONES, SIGN, sext32
from emulator.core.softfloat import (
    DOUBLE,
    SINGLE,
    choose,
    classify,
    convert,
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

SIGN_D = SIGN


def fld(raw):
    return raw


def fadd_d(a, b, rm):
    return float_add(a, b, rm, DOUBLE)


def fsub_d(a, b, rm):
    return float_subtract(a, b, rm, DOUBLE)


def fmul_d(a, b, rm):
    return float_multiply(a, b, rm, DOUBLE)


def fdiv_d(a, b, rm):
    return float_divide(a, b, rm, DOUBLE)


def fsqrt_d(a, rm):
    return square_root(a, rm, DOUBLE)


def fmadd_d(a, b, c, rm):
    return fused_multiply_add(a, b, c, 0, 0, rm, DOUBLE)


def fmsub_d(a, b, c, rm):
    return fused_multiply_add(a, b, c, 0, SIGN_D, rm, DOUBLE)


def fnmsub_d(a, b, c, rm):
    # -(a * b) + c
    return fused_multiply_add(a, b, c, SIGN_D, 0, rm, DOUBLE)


def fnmadd_d(a, b, c, rm):
    # -(a * b) - c
    return fused_multiply_add(a, b, c, SIGN_D, SIGN_D, rm, DOUBLE)


def fsgnj_d(a, b):
    return inject_sign(a, b, DOUBLE)


def fsgnjn_d(a, b):
    return inject_sign_negated(a, b, DOUBLE)


def fsgnjx_d(a, b):
    return inject_sign_xor(a, b, DOUBLE)


def fmin_d(a, b):
    return choose(a, b, 0, DOUBLE)


def fmax_d(a, b):
    return choose(a, b, 1, DOUBLE)


def feq_d(a, b):
    return equal(a, b, DOUBLE)


def flt_d(a, b):
    return less(a, b, 0, DOUBLE)


def fle_d(a, b):
    return less(a, b, 1, DOUBLE)


def fclass_d(a):
    return classify(a, DOUBLE)


def fcvt_w_d(a, rm):
    return to_word(a, rm, DOUBLE, 0x8000_0000, 0x7FFF_FFFF)


def fcvt_wu_d(a, rm):
    return to_word(a, rm, DOUBLE, 0, 0xFFFF_FFFF)


def fcvt_l_d(a, rm):
    return to_integer(a, rm, DOUBLE, SIGN, SIGN - 1)


def fcvt_lu_d(a, rm):
    return to_integer(a, rm, DOUBLE, 0, ONES)


def fcvt_d_w(a, rm):
    return from_signed(sext32(a), rm, DOUBLE)


def fcvt_d_wu(a, rm):
    return from_integer(0, a & 0xFFFF_FFFF, rm, DOUBLE)


def fcvt_d_l(a, rm):
    return from_signed(a, rm, DOUBLE)


def fcvt_d_lu(a, rm):
    return from_integer(0, a, rm, DOUBLE)


def fcvt_s_d(a, rm):
    return convert(a, rm, DOUBLE, SINGLE)


def fcvt_d_s(a, rm):
    return convert(a, rm, SINGLE, DOUBLE)


def fmv_x_d(a):
    return a


def fmv_d_x(a):
    return a
