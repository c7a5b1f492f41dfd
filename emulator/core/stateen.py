"""Smstateen and Ssstateen: which state of extensions lower levels may reach (Smstateen/Ssstateen, version
1.0).

Of the state that these registers guard there are here senvcfg and henvcfg, and the registers themselves.
Custom state, fcsr of Zfinx, jvt, AIA, contexts and the like do not exist: their bits, and so all of
sstateen0 to 3, are read-only zero.
"""

from emulator.core.csr_bits import (
    EXT_SMSTATEEN,
    EXT_SSTATEEN,
    STATEEN_ENVCFG,
    STATEEN_SE,
)
from emulator.state import PRIV_M

SSTATEEN0, MSTATEEN0, HSTATEEN0 = 0x10C, 0x30C, 0x60C


def guarding_bit(number):
    """The bit of a state-enable register that guards CSR `number`; 0 if none does."""
    if number == 0x10A or number == 0x60A:
        return STATEEN_ENVCFG
    first = number & ~3
    return STATEEN_SE if first == SSTATEEN0 or first == HSTATEEN0 else 0


def guarding_register(number):
    """Which of the four registers has that bit."""
    return number & 3 if guarding_bit(number) == STATEEN_SE else 0


def state_is_closed(hart, number):
    """True if M-mode does not let lower levels reach CSR `number`: an illegal instruction for all of them."""
    if hart.priv == PRIV_M or (hart.extensions & EXT_SMSTATEEN) == 0:
        return False
    bit = guarding_bit(number)
    return bit != 0 and (hart.mstateen[guarding_register(number)] & bit) == 0


def state_is_closed_to_guest(hart, number):
    """True if HS-mode does not let a guest reach CSR `number`: a virtual instruction."""
    if hart.virt == 0 or (hart.extensions & EXT_SSTATEEN) == 0:
        return False
    bit = guarding_bit(number)
    return bit != 0 and (read_hstateen(hart, guarding_register(number)) & bit) == 0


def enables(index):
    """The bits that mstateen or hstateen number `index` can keep."""
    return STATEEN_SE | STATEEN_ENVCFG if index == 0 else STATEEN_SE


def read_hstateen(hart, index):
    """hstateen as read: a bit that is zero in mstateen is read-only zero in it."""
    value = hart.hstateen[index]
    return value & hart.mstateen[index] if hart.extensions & EXT_SMSTATEEN else value


def write_mstateen(hart, index, value):
    hart.mstateen[index] = value & enables(index)


def write_hstateen(hart, index, value):
    hart.hstateen[index] = value & enables(index)
    hart.hstateen[index] = read_hstateen(hart, index)
