"""Physical memory protection (Privileged ISA 20240411, section 3.7): 16 entries, granularity 4 bytes.

`hart.pmp_entries` is 16 on a bare machine. It is 0 on a hosted hart, whose machine-mode software is not
emulated: there every access is allowed. A TLB entry holds an answer only if it is the same for its whole
page; an access to any other page is checked each time.
"""

from emulator.core.csr_bits import PTE_R, PTE_W, PTE_X
from emulator.state import ACCESS_FETCH, ACCESS_STORE, PAGE_BYTES, PRIV_M

PMP_RWX = 14
# Not a permission: some bytes of the range match the deciding entry and some do not.
PMP_MIXED = 1
PMP_LOCK = 0x80
PMP_NA4, PMP_TOR = 2, 1


def pmp_config(hart, entry):
    return (hart.pmpcfg[entry >> 3] >> ((entry & 7) * 8)) & 0xFF


def pmp_low(hart, entry, mode):
    """First address of an entry."""
    address = hart.pmpaddr[entry]
    if mode == PMP_TOR:
        return hart.pmpaddr[entry - 1] << 2 if entry > 0 else 0
    if mode == PMP_NA4:
        return address << 2
    return (address & (address + 1)) << 2


def pmp_high(hart, entry, mode):
    """First address after an entry. In NAPOT the lowest clear bit of the address tells the size."""
    address = hart.pmpaddr[entry]
    if mode == PMP_TOR:
        return address << 2
    if mode == PMP_NA4:
        return (address + 1) << 2
    return ((address | (address + 1)) + 1) << 2


def pmp_permissions(hart, address, size, priv):
    """What `priv` may do with these bytes: bits 2 R, 4 W, 8 X as in a page-table entry, or PMP_MIXED."""
    entry = 0
    while entry < hart.pmp_entries:
        config = pmp_config(hart, entry)
        mode = (config >> 3) & 3
        if mode != 0:
            low = pmp_low(hart, entry, mode)
            high = pmp_high(hart, entry, mode)
            if low < high and address < high and low < address + size:
                # "The matching PMP entry must match all bytes of an access, or the access fails"
                if address < low or address + size > high:
                    return PMP_MIXED
                if priv == PRIV_M and (config & PMP_LOCK) == 0:
                    return PMP_RWX
                return (config & 7) << 1
        entry += 1
    # "If no PMP entry matches an M-mode access, the access succeeds. If no PMP entry matches an S-mode or
    # U-mode access, but at least one PMP entry is implemented, the access fails."
    if priv == PRIV_M or hart.pmp_entries == 0:
        return PMP_RWX
    return 0


def pmp_page(hart, address, priv):
    """`pmp_permissions` of the whole page around an address."""
    if hart.pmp_entries == 0:
        return PMP_RWX
    return pmp_permissions(hart, address & ~(PAGE_BYTES - 1), PAGE_BYTES, priv)


def pmp_allows(hart, address, size, access, priv):
    """May `priv` make this access?"""
    if hart.pmp_entries == 0:
        return True
    needed = PTE_R
    if access == ACCESS_STORE:
        needed = PTE_W
    elif access == ACCESS_FETCH:
        needed = PTE_X
    return (pmp_permissions(hart, address, size, priv) & needed) != 0


def pmp_locked(hart, entry):
    return (pmp_config(hart, entry) & PMP_LOCK) != 0


def write_pmpcfg(hart, register, value):
    """Write eight configuration bytes; a locked one stays, W without R is reserved and loses W."""
    entry = 0
    while entry < 8:
        if not pmp_locked(hart, register * 8 + entry):
            fresh = (value >> (entry * 8)) & 0x9F
            if (fresh & 3) == 2:
                fresh &= ~2
            hart.pmpcfg[register] = (hart.pmpcfg[register] & ~(0xFF << (entry * 8))) | fresh << (entry * 8)
        entry += 1


def write_pmpaddr(hart, entry, value):
    """Write bits 55:2 of an address, unless it is locked or the bottom of a locked TOR range."""
    if pmp_locked(hart, entry):
        return
    if entry < 15 and (pmp_config(hart, entry + 1) & (PMP_LOCK | 3 << 3)) == (PMP_LOCK | PMP_TOR << 3):
        return
    hart.pmpaddr[entry] = value & 0x3F_FFFF_FFFF_FFFF
