"""Floating-point instructions by the host's own arithmetic, where that gives the architectural result.

`quick_*` gives an instruction's result, or REFUSED. The caller has seen to it that the instruction rounds to
nearest (a conversion to an integer: toward zero) and that the inexact flag is set already or cannot be
raised. What is left to find out from the operands and the host's result is that nothing else happened: no
NaN, infinity, overflow or underflow, no single that is not NaN-boxed. `softfloat` does everything that is
refused, and gives the same result wherever it is not.
"""

from emulator.core.hostfloat import (
    host_fadd_d,
    host_fadd_s,
    host_fcvt_d_l,
    host_fcvt_d_s,
    host_fcvt_d_w,
    host_fcvt_l_d,
    host_fcvt_l_s,
    host_fcvt_s_d,
    host_fcvt_s_l,
    host_fcvt_s_w,
    host_fcvt_w_d,
    host_fcvt_w_s,
    host_fdiv_d,
    host_fdiv_s,
    host_feq_d,
    host_feq_s,
    host_fle_d,
    host_fle_s,
    host_flt_d,
    host_flt_s,
    host_fmadd_d,
    host_fmadd_s,
    host_fmul_d,
    host_fmul_s,
    host_fsqrt_d,
    host_fsqrt_s,
    host_fsub_d,
    host_fsub_s,
    host_ordered_d,
    host_ordered_s,
)
from emulator.core.softfloat import BOX

# A result that no quick way needs to give: as a number, a subnormal.
REFUSED = 0x8000_0000_0000_0002
INFINITY_S, INFINITY_D = 0x7F80_0000, 0x7FF0_0000_0000_0000
MAGNITUDE_S, MAGNITUDE_D = 0x7FFF_FFFF, 0x7FFF_FFFF_FFFF_FFFF
SIGN_BIT_S, SIGN_BIT_D = 1 << 31, 1 << 63
# 2^31 and 2^63
TWO_31_S, TWO_31_D = 0x4F00_0000, 0x41E0_0000_0000_0000
TWO_63_S, TWO_63_D = 0x5F00_0000, 0x43E0_0000_0000_0000


def finite_s(value):
    """For sums and square roots, which cannot underflow: what is tiny is exact."""
    return value if (value & INFINITY_S) != INFINITY_S else REFUSED


def finite_d(value):
    return value if (value & INFINITY_D) != INFINITY_D else REFUSED


def clear_s(value):
    """Normal, and not the least normal number: a tiny one may have been rounded up to that."""
    return value if ((value >> 23) & 0xFF) - 2 < 0xFD else REFUSED


def clear_d(value):
    return value if ((value >> 52) & 0x7FF) - 2 < 0x7FD else REFUSED


def boxed(operands, value):
    """`operands` is the bitwise and of all of them."""
    return value if operands >= BOX else REFUSED


def below(magnitude, limit, value):
    return value if magnitude < limit else REFUSED


def quick_fadd_s(a, b):
    return boxed(a & b, finite_s(host_fadd_s(a, b)))


def quick_fsub_s(a, b):
    return boxed(a & b, finite_s(host_fsub_s(a, b)))


def quick_fmul_s(a, b):
    return boxed(a & b, clear_s(host_fmul_s(a, b)))


def quick_fdiv_s(a, b):
    return boxed(a & b, clear_s(host_fdiv_s(a, b)))


def quick_fsqrt_s(a):
    return boxed(a, finite_s(host_fsqrt_s(a)))


def quick_fmadd_s(a, b, c):
    return boxed(a & b & c, clear_s(host_fmadd_s(a, b, c)))


def quick_fmsub_s(a, b, c):
    return boxed(a & b & c, clear_s(host_fmadd_s(a, b, c ^ SIGN_BIT_S)))


def quick_fnmsub_s(a, b, c):
    return boxed(a & b & c, clear_s(host_fmadd_s(a ^ SIGN_BIT_S, b, c)))


def quick_fnmadd_s(a, b, c):
    return boxed(a & b & c, clear_s(host_fmadd_s(a ^ SIGN_BIT_S, b, c ^ SIGN_BIT_S)))


def quick_feq_s(a, b):
    return boxed(a & b, host_feq_s(a, b)) if host_ordered_s(a, b) else REFUSED


def quick_flt_s(a, b):
    return boxed(a & b, host_flt_s(a, b)) if host_ordered_s(a, b) else REFUSED


def quick_fle_s(a, b):
    return boxed(a & b, host_fle_s(a, b)) if host_ordered_s(a, b) else REFUSED


def quick_fcvt_w_s(a):
    return boxed(a, below(a & MAGNITUDE_S, TWO_31_S, host_fcvt_w_s(a)))


def quick_fcvt_l_s(a):
    return boxed(a, below(a & MAGNITUDE_S, TWO_63_S, host_fcvt_l_s(a)))


def quick_fcvt_s_w(integer):
    return host_fcvt_s_w(integer)


def quick_fcvt_s_l(integer):
    return host_fcvt_s_l(integer)


def quick_fcvt_d_s(a):
    return boxed(a, finite_d(host_fcvt_d_s(a)))


def quick_fadd_d(a, b):
    return finite_d(host_fadd_d(a, b))


def quick_fsub_d(a, b):
    return finite_d(host_fsub_d(a, b))


def quick_fmul_d(a, b):
    return clear_d(host_fmul_d(a, b))


def quick_fdiv_d(a, b):
    return clear_d(host_fdiv_d(a, b))


def quick_fsqrt_d(a):
    return finite_d(host_fsqrt_d(a))


def quick_fmadd_d(a, b, c):
    return clear_d(host_fmadd_d(a, b, c))


def quick_fmsub_d(a, b, c):
    return clear_d(host_fmadd_d(a, b, c ^ SIGN_BIT_D))


def quick_fnmsub_d(a, b, c):
    return clear_d(host_fmadd_d(a ^ SIGN_BIT_D, b, c))


def quick_fnmadd_d(a, b, c):
    return clear_d(host_fmadd_d(a ^ SIGN_BIT_D, b, c ^ SIGN_BIT_D))


def quick_feq_d(a, b):
    return host_feq_d(a, b) if host_ordered_d(a, b) else REFUSED


def quick_flt_d(a, b):
    return host_flt_d(a, b) if host_ordered_d(a, b) else REFUSED


def quick_fle_d(a, b):
    return host_fle_d(a, b) if host_ordered_d(a, b) else REFUSED


def quick_fcvt_w_d(a):
    return below(a & MAGNITUDE_D, TWO_31_D, host_fcvt_w_d(a))


def quick_fcvt_l_d(a):
    return below(a & MAGNITUDE_D, TWO_63_D, host_fcvt_l_d(a))


def quick_fcvt_d_w(integer):
    return host_fcvt_d_w(integer)


def quick_fcvt_d_l(integer):
    return host_fcvt_d_l(integer)


def quick_fcvt_s_d(a):
    return clear_s(host_fcvt_s_d(a))
