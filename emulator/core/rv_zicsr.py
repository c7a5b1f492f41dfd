"""Zicsr: what a CSR instruction writes, from old value and operand (Unprivileged ISA 20240411, 7)."""


def csrrw(old, operand):
    return operand


def csrrs(old, operand):
    return old | operand


def csrrc(old, operand):
    return old & ~operand


def csrrwi(old, operand):
    return operand


def csrrsi(old, operand):
    return old | operand


def csrrci(old, operand):
    return old & ~operand
