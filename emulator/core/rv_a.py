"""A extension: what each atomic memory operation writes back (Unprivileged ISA 20240411, chapter 14).

`old` is the value in memory, sign-extended from the operation's width; `b` is rs2. LR and SC are in `run`:
they move values and reservations, and compute nothing.
"""

from emulator.core.bits import sext32, signed_less


def amoswap_w(old, b):
    return b


def amoswap_d(old, b):
    return b


def amoadd_w(old, b):
    return old + b


def amoadd_d(old, b):
    return old + b


def amoxor_w(old, b):
    return old ^ b


def amoxor_d(old, b):
    return old ^ b


def amoand_w(old, b):
    return old & b


def amoand_d(old, b):
    return old & b


def amoor_w(old, b):
    return old | b


def amoor_d(old, b):
    return old | b


def amomin_w(old, b):
    return old if signed_less(old, sext32(b)) else b


def amomin_d(old, b):
    return old if signed_less(old, b) else b


def amomax_w(old, b):
    return old if signed_less(sext32(b), old) else b


def amomax_d(old, b):
    return old if signed_less(b, old) else b


def amominu_w(old, b):
    return old if (old & 0xFFFF_FFFF) < (b & 0xFFFF_FFFF) else b


def amominu_d(old, b):
    return old if old < b else b


def amomaxu_w(old, b):
    return old if (b & 0xFFFF_FFFF) < (old & 0xFFFF_FFFF) else b


def amomaxu_d(old, b):
    return old if b < old else b
