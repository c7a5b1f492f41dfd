"""The state of the floating-point unit: fcsr, and the FS fields that say whether it may be used and was.

Sources: Unprivileged ISA 20240411, section 20.2 (fcsr); Privileged ISA 20240411, sections 3.1.6.6 (FS) and
18.2.11 (vsstatus.FS). F and D come and go together: a hart without F in misa has FS read-only zero.
"""

from emulator.core.csr_bits import EXT_F, FS, ILLEGAL_INSTRUCTION, SD
from emulator.core.softfloat import INEXACT, RMM, RNE
from emulator.state import NO_TRAP

FFLAGS, FRM, FCSR = 1, 2, 3
DYNAMIC = 7

# What an instruction may do without asking first. FP_ON: read registers. FP_DIRTY: write them too.
# FP_INEXACT: and be inexact. Bits 7:0: for each value of its rm field, may it be inexact, and does that round
# to nearest?
FP_ON, FP_DIRTY, FP_INEXACT = 1 << 8, 1 << 9, 1 << 10


def float_status(hart):
    """Some of FP_ON, FP_DIRTY and the bits above; 0 if floating point is off."""
    outer = hart.mstatus & FS
    # "When V=1, both vsstatus.FS and the HS-level sstatus.FS are in effect."
    inner = hart.vsstatus & FS if hart.virt else outer
    if outer == 0 or inner == 0:
        return 0
    if outer != FS or inner != FS:
        return FP_ON
    if (hart.fcsr & INEXACT) == 0:
        return FP_ON | FP_DIRTY
    nearest = 1 << RNE | (1 << DYNAMIC if hart.fcsr >> 5 == RNE else 0)
    return FP_ON | FP_DIRTY | FP_INEXACT | nearest


def float_is_off(hart):
    return float_status(hart) == 0


def rounding_mode(hart, rm):
    """The mode that an instruction's rm field asks for; above RMM if it is reserved."""
    return hart.fcsr >> 5 if rm == DYNAMIC else rm


def float_refusal(hart, rm):
    """Cause for a floating-point instruction here, or NO_TRAP: FS is Off or the rounding mode reserved."""
    return ILLEGAL_INSTRUCTION if float_is_off(hart) or rounding_mode(hart, rm) > RMM else NO_TRAP


def set_dirty(hart):
    """Note that floating-point state has changed.

    "Modifying ... when V=1 causes both fields to be set to 3 (Dirty)".
    """
    hart.mstatus |= FS
    if hart.virt:
        hart.vsstatus |= FS


def legal_status(hart, status):
    """mstatus, sstatus or vsstatus as written: without the F extension there is no FS."""
    return status if hart.extensions & EXT_F else status & ~FS


def visible_status(status):
    """mstatus, sstatus or vsstatus as read: SD summarises FS."""
    return status | SD if (status & FS) == FS else status


def read_float(hart, number):
    """fflags, frm or fcsr."""
    if float_is_off(hart):
        hart.trap_cause = ILLEGAL_INSTRUCTION
        return 0
    if number == FFLAGS:
        return hart.fcsr & 0x1F
    return hart.fcsr >> 5 if number == FRM else hart.fcsr


def write_float(hart, number, value):
    if number == FFLAGS:
        hart.fcsr = (hart.fcsr & 0xE0) | (value & 0x1F)
    elif number == FRM:
        hart.fcsr = (hart.fcsr & 0x1F) | (value & 7) << 5
    else:
        hart.fcsr = value & 0xFF
    set_dirty(hart)
