"""Zicbom and Zicboz: cache-block management and zeroing, in blocks of 64 bytes.

Unprivileged ISA 20240411, "CMO". Caches are not modelled, so that inval, clean and flush only translate
their address, as a load would, and check permissions; whoever may invalidate may also flush. Outside RAM
management does nothing, zeroing is an access fault. The hints of Zicbop are `ori x0`, which does nothing
either.
"""

from emulator.core.access import refuse
from emulator.core.csr_bits import (
    ENVCFG_CBCFE,
    ENVCFG_CBIE,
    ENVCFG_CBZE,
    ILLEGAL_INSTRUCTION,
    LOAD_GUEST_PAGE,
    STORE_ACCESS,
    VIRTUAL_INSTRUCTION,
)
from emulator.core.debug import note_access
from emulator.core.intrinsics import store_u64
from emulator.core.memory import forget_code, frame_of, is_ram, writable_bytes
from emulator.core.ptw import data_privilege
from emulator.core.tlb import TLB_R, TLB_W, data_address, data_context
from emulator.core.trap import raise_exception
from emulator.state import (
    ACCESS_LOAD,
    ACCESS_STORE,
    NO_ADDRESS,
    NO_TRAP,
    PRIV_M,
    PRIV_U,
    WAIT_STORE,
    WATCH_STORE,
)

BLOCK_BYTES = 64
# A load's causes are this much less than a store's.
LOAD_TO_STORE = 2


def block_refusal(hart, enable):
    """Cause for a cache-block operation that the field `enable` of xenvcfg allows, or NO_TRAP."""
    if hart.priv == PRIV_M:
        return NO_TRAP
    by_supervisor = hart.priv != PRIV_U or (hart.senvcfg & enable) != 0
    if (hart.menvcfg & enable) == 0 or (hart.virt == 0 and not by_supervisor):
        return ILLEGAL_INSTRUCTION
    if hart.virt and ((hart.henvcfg & enable) == 0 or not by_supervisor):
        return VIRTUAL_INSTRUCTION
    return NO_TRAP


def block_address(hart, host, va, access, needed):
    """Host physical address of the block around `va`, or NO_ADDRESS with `hart.trap_*` set as for a store."""
    mode = data_privilege(hart)
    priv, virt = mode & 3, mode >> 2
    block = va & ~(BLOCK_BYTES - 1)
    hpa = data_address(hart, host, block, BLOCK_BYTES, access, needed, priv, virt, data_context(hart))
    if hpa == NO_ADDRESS:
        if access == ACCESS_LOAD and hart.trap_cause <= LOAD_GUEST_PAGE:
            hart.trap_cause += LOAD_TO_STORE
        hart.trap_tval = va
        hart.trap_gva = virt
    return hpa


def manage_block(hart, host, va, enable, pc):
    cause = block_refusal(hart, enable)
    if cause != NO_TRAP:
        raise_exception(hart, cause, 0, 0)
        return pc
    if block_address(hart, host, va, ACCESS_LOAD, TLB_R) == NO_ADDRESS:
        return pc
    return pc + 4


def cbo_inval(hart, host, a, b, by_a, by_b, pc):
    return manage_block(hart, host, a, ENVCFG_CBIE, pc)


def cbo_clean(hart, host, a, b, by_a, by_b, pc):
    return manage_block(hart, host, a, ENVCFG_CBCFE, pc)


def cbo_flush(hart, host, a, b, by_a, by_b, pc):
    return manage_block(hart, host, a, ENVCFG_CBCFE, pc)


def cbo_zero(hart, host, a, b, by_a, by_b, pc):
    cause = block_refusal(hart, ENVCFG_CBZE)
    if cause != NO_TRAP:
        raise_exception(hart, cause, 0, 0)
        return pc
    hpa = block_address(hart, host, a, ACCESS_STORE, TLB_W)
    if hpa == NO_ADDRESS:
        return pc
    if not is_ram(host, hpa):
        refuse(hart, STORE_ACCESS, a, data_privilege(hart) >> 2)
        return pc
    return pc + 4 if zero_block(hart, host, hpa) else pc


def zero_block(hart, host, hpa):
    """Zero a block of RAM. False when the store is full."""
    frame = frame_of(host, hpa)
    page = writable_bytes(host, frame)
    if page == 0:
        hart.trap_cause = WAIT_STORE
        return False
    forget_code(host, frame, hpa & 0xFFF, BLOCK_BYTES)
    done = 0
    while done < BLOCK_BYTES:
        store_u64(page + (hpa & 0xFFF) + done, 0)
        done += 8
    note_access(host, hpa, BLOCK_BYTES, WATCH_STORE)
    return True
