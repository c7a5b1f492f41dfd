"""menvcfg, henvcfg, senvcfg: what a hart with its extensions can keep there.

Privileged ISA 20240411, sections 3.1.18, 10.1.10 and 18.2.5; the fields of Zicbom, Zicboz, Svpbmt, Svadu
and Sstc.
"""

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_CBCFE,
    ENVCFG_CBIE,
    ENVCFG_CBZE,
    ENVCFG_FIOM,
    ENVCFG_PBMTE,
    ENVCFG_STCE,
    EXT_SSTC,
    EXT_SVADU,
    EXT_SVPBMT,
    EXT_ZICBOM,
    EXT_ZICBOZ,
)

CBIE_RESERVED = 2 << 4


def user_fields(hart):
    """The fields that senvcfg has too."""
    fields = ENVCFG_FIOM
    if hart.extensions & EXT_ZICBOM:
        fields |= ENVCFG_CBIE | ENVCFG_CBCFE
    if hart.extensions & EXT_ZICBOZ:
        fields |= ENVCFG_CBZE
    return fields


def supervisor_fields(hart):
    """The fields that only menvcfg and henvcfg have; henvcfg's are zero where menvcfg's are."""
    fields = 0
    if hart.extensions & EXT_SSTC:
        fields |= ENVCFG_STCE
    if hart.extensions & EXT_SVPBMT:
        fields |= ENVCFG_PBMTE
    if hart.extensions & EXT_SVADU:
        fields |= ENVCFG_ADUE
    return fields


def legal_envcfg(old, value, fields):
    """`value` cut down to `fields`; CBIE has a reserved value, instead of which it keeps the old one."""
    if (value & ENVCFG_CBIE) == CBIE_RESERVED:
        value = (value & ~ENVCFG_CBIE) | (old & ENVCFG_CBIE)
    return value & fields


def visible_henvcfg(hart):
    """henvcfg as read: what menvcfg does not allow is read-only zero there."""
    return hart.henvcfg & (hart.menvcfg | ~supervisor_fields(hart))


def write_menvcfg(hart, value):
    hart.menvcfg = legal_envcfg(hart.menvcfg, value, user_fields(hart) | supervisor_fields(hart))


def write_henvcfg(hart, value):
    fields = user_fields(hart) | (supervisor_fields(hart) & hart.menvcfg)
    hart.henvcfg = legal_envcfg(hart.henvcfg, value, fields)


def write_senvcfg(hart, value):
    hart.senvcfg = legal_envcfg(hart.senvcfg, value, user_fields(hart))
