"""The page-table walker, both stages (Privileged ISA 20240411, 10.3.2 and 18.5; Svnapot, Svpbmt, Svadu).

A virtual address is translated by up to two tables. `translate` walks the VS-stage (or, with V=0, the only
stage); each of its page-table entries lies at a *guest* physical address, which `translate_stage2` turns into
a host physical address first. A Sv39 walk under Sv39x4 therefore makes up to 3 * 4 + 3 = 15 references.

A walk that fails sets `hart.trap_*` and returns NO_ADDRESS. `commit` 0 leaves the A and D bits alone, so that
a walk can be explained without changing anything; then every reference is written into the WALK record.
"""

from emulator.core.bits import SIGN
from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_PBMTE,
    EXT_SVNAPOT,
    INSTRUCTION_ACCESS,
    INSTRUCTION_GUEST_PAGE,
    INSTRUCTION_PAGE,
    LOAD_ACCESS,
    LOAD_GUEST_PAGE,
    LOAD_PAGE,
    MXR,
    PTE_A,
    PTE_D,
    PTE_N,
    PTE_PBMT,
    PTE_PPN,
    PTE_R,
    PTE_RESERVED,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    STORE_ACCESS,
    STORE_GUEST_PAGE,
    STORE_PAGE,
    SUM,
)
from emulator.core.memory import is_ram, ram_read, ram_write
from emulator.core.pmp import pmp_allows
from emulator.state import (
    ACCESS_FETCH,
    ACCESS_LOAD,
    ACCESS_STORE,
    NO_ADDRESS,
    NO_TRAP,
    PAGE_BYTES,
    PRIV_M,
    PRIV_S,
    PRIV_U,
    STAGE_G,
    STAGE_VS,
    WAIT_STORE,
    WALK_REFERENCES,
)

# htinst for a guest-page fault on an implicit VS-stage access (section 18.6.3, table "pseudoinstruction
# values").
PSEUDO_READ, PSEUDO_WRITE = 0x3000, 0x3020

# Svnapot: a leaf of the lowest level with N set and this pattern in its PPN's low bits maps 64 KiB.
NAPOT_PATTERN, NAPOT_MASK = 8, 0xFFFF


def page_fault(access):
    if access == ACCESS_FETCH:
        return INSTRUCTION_PAGE
    return LOAD_PAGE if access == ACCESS_LOAD else STORE_PAGE


def guest_page_fault(access):
    if access == ACCESS_FETCH:
        return INSTRUCTION_GUEST_PAGE
    return LOAD_GUEST_PAGE if access == ACCESS_LOAD else STORE_GUEST_PAGE


def access_fault(access):
    if access == ACCESS_FETCH:
        return INSTRUCTION_ACCESS
    return LOAD_ACCESS if access == ACCESS_LOAD else STORE_ACCESS


def levels_of(mode):
    """Levels of a satp or hgatp mode: Sv39 8, Sv48 9, Sv57 10; 0 for Bare."""
    return mode - 5 if mode >= 8 else 0


def note(walk, stage, level, address, target, pte):
    """Write one page-table reference into the record."""
    n = walk.count
    if n < WALK_REFERENCES:
        walk.stage[n] = stage
        walk.level[n] = level
        walk.address[n] = address
        walk.guest_address[n] = target
        walk.pte[n] = pte
    walk.count = n + 1


def fail(hart, walk, cause):
    hart.trap_cause = cause
    walk.cause = cause
    return NO_ADDRESS


def leaf_allows(pte, access, executable_readable, by_execute):
    """Check R, W, X of a leaf. `by_execute`: HLVX needs execute permission instead of read permission."""
    if access == ACCESS_FETCH:
        return (pte & PTE_X) != 0
    if access == ACCESS_STORE:
        return (pte & PTE_W) != 0
    if by_execute:
        return (pte & PTE_X) != 0
    return (pte & PTE_R) != 0 or (executable_readable != 0 and (pte & PTE_X) != 0)


def reserved_bits(hart, settings):
    """Bits of an entry that must be zero, under the menvcfg or henvcfg in `settings`."""
    reserved = PTE_RESERVED
    if (hart.extensions & EXT_SVNAPOT) == 0:
        reserved |= PTE_N
    if (settings & ENVCFG_PBMTE) == 0:
        reserved |= PTE_PBMT
    return reserved


def malformed(pte, reserved):
    """True for an entry that no level may use: not valid, writable but not readable, or reserved bits set."""
    return (pte & PTE_V) == 0 or (pte & (PTE_R | PTE_W)) == PTE_W or (pte & reserved) != 0


def bad_pointer(pte):
    """True if an entry that points to a table has a bit that only leaves may have."""
    return (pte & (PTE_A | PTE_D | PTE_U | PTE_N | PTE_PBMT)) != 0


def update_bits(host, hpa, pte, access, commit):
    """The entry with A (and for stores D) set; written to memory when `commit`.

    NO_ADDRESS when the store is full.
    """
    fresh = pte | PTE_A
    if access == ACCESS_STORE:
        fresh |= PTE_D
    if fresh != pte and commit and not ram_write(host, hpa, fresh, 8):
        return NO_ADDRESS
    return fresh


def bad_leaf(pte, level):
    """True for a superpage that is not aligned, a region that is not of 64 KiB, or a reserved type."""
    page = (pte & PTE_PPN) >> 10
    if pte & PTE_N and (level != 0 or (page & 0xF) != NAPOT_PATTERN):
        return True
    return (page & ((1 << (9 * level)) - 1)) != 0 or (pte & PTE_PBMT) == PTE_PBMT


def leaf_mask(pte, level):
    """Bits of an address that are offsets into the leaf's page."""
    return NAPOT_MASK if pte & PTE_N else (1 << (12 + 9 * level)) - 1


def stage2_fault(hart, walk, gpa, access, pseudo):
    hart.trap_gpa = gpa
    hart.trap_inst = pseudo
    return fail(hart, walk, guest_page_fault(access))


def translate_stage2(hart, host, walk, gpa, needed, access, pseudo, by_execute, commit):
    """G-stage: translate a guest physical address to a host physical address.

    `needed` is what this reference does (a load for reading a page-table entry); `access` is what the program
    does and decides the cause; `pseudo` is the htinst value for an implicit reference, 0 for the program's
    own access.
    """
    levels = levels_of(hart.hgatp >> 60)
    if levels == 0:
        walk.page_bytes = SIGN
        walk.permissions &= PTE_R | PTE_W | PTE_X
        return gpa
    if (gpa >> (12 + 9 * levels + 2)) != 0:
        return stage2_fault(hart, walk, gpa, access, pseudo)
    reserved = reserved_bits(hart, hart.menvcfg)
    table = (hart.hgatp & 0xFFF_FFFF_FFFF) << 12
    level = levels
    while level > 0:
        level -= 1
        # The root of a G-stage table is four pages: its index has two bits more.
        index = (gpa >> (12 + 9 * level)) & (0x7FF if level == levels - 1 else 0x1FF)
        address = table + index * 8
        if not is_ram(host, address) or not pmp_allows(hart, address, 8, ACCESS_LOAD, PRIV_S):
            return fail(hart, walk, access_fault(access))
        pte = ram_read(host, address, 8)
        hart.walk_references += 1
        if not commit:
            note(walk, STAGE_G, level, address, gpa, pte)
        if malformed(pte, reserved):
            return stage2_fault(hart, walk, gpa, access, pseudo)
        if pte & (PTE_R | PTE_X):
            return stage2_leaf(
                hart, host, walk, gpa, needed, access, pseudo, by_execute, commit, pte, level, address
            )
        if bad_pointer(pte):
            return stage2_fault(hart, walk, gpa, access, pseudo)
        table = ((pte & PTE_PPN) >> 10) << 12
    return stage2_fault(hart, walk, gpa, access, pseudo)


def stage2_leaf(hart, host, walk, gpa, needed, access, pseudo, by_execute, commit, pte, level, address):
    # "all memory accesses (including those made to access data structures for VS-stage address translation)
    # are considered to be user-level accesses, as though executed in U-mode."
    # MXR concerns loads of the program, not the reading of page-table entries.
    executable_readable = hart.mstatus & MXR if pseudo == 0 else 0
    if (pte & PTE_U) == 0 or not leaf_allows(pte, needed, executable_readable, by_execute):
        return stage2_fault(hart, walk, gpa, access, pseudo)
    if bad_leaf(pte, level):
        return stage2_fault(hart, walk, gpa, access, pseudo)
    if (pte & PTE_A) == 0 or (needed == ACCESS_STORE and (pte & PTE_D) == 0):
        if (hart.menvcfg & ENVCFG_ADUE) == 0:
            return stage2_fault(hart, walk, gpa, access, pseudo)
        if not pmp_allows(hart, address, 8, ACCESS_STORE, PRIV_S):
            return fail(hart, walk, access_fault(access))
        pte = update_bits(host, address, pte, needed, commit)
        if pte == NO_ADDRESS:
            return fail(hart, walk, WAIT_STORE)
    offset_mask = leaf_mask(pte, level)
    walk.page_bytes = offset_mask + 1
    walk.permissions = granted(walk.permissions, pte)
    return ((((pte & PTE_PPN) >> 10) << 12) & ~offset_mask) | (gpa & offset_mask)


def granted(permissions, pte):
    """What both the permissions so far and this leaf allow. A store is only granted once D is set."""
    if (pte & PTE_D) == 0:
        pte &= ~PTE_W
    return permissions & pte & (PTE_R | PTE_W | PTE_X)


def translate(hart, host, walk, va, access, priv, virt, sum_bit, by_execute, commit):
    """Translate a virtual address for an access at privilege `priv`, `virt` to a host physical address.

    On failure returns NO_ADDRESS with `hart.trap_cause`, `trap_gpa`, `trap_inst` set; `trap_cause` WAIT_STORE
    means that the backing store is full. `walk.permissions` tells which accesses the entry may serve from now
    on.
    """
    hart.trap_cause = NO_TRAP
    hart.trap_gpa = 0
    hart.trap_inst = 0
    walk.cause = NO_TRAP
    walk.count = 0
    walk.gpa = NO_ADDRESS
    walk.page_bytes = SIGN
    walk.stage1_bytes = PAGE_BYTES
    walk.permissions = PTE_R | PTE_W | PTE_X
    root = hart.vsatp if virt else hart.satp
    levels = levels_of(root >> 60)
    if priv == PRIV_M and not virt:
        levels = 0
    if levels == 0:
        gpa = va
    else:
        gpa = translate_stage1(
            hart, host, walk, va, access, priv, virt, sum_bit, by_execute, commit, root, levels
        )
        if gpa == NO_ADDRESS:
            return NO_ADDRESS
        walk.stage1_bytes = walk.page_bytes
    walk.gpa = gpa
    hpa = gpa
    if virt:
        span = walk.page_bytes
        hpa = translate_stage2(hart, host, walk, gpa, access, access, 0, by_execute, commit)
        if span < walk.page_bytes:
            walk.page_bytes = span
    if hpa == NO_ADDRESS and walk.cause == NO_TRAP:
        # The very last byte, without paging: an address as good as any other, at which there is no memory.
        return fail(hart, walk, access_fault(access))
    walk.hpa = hpa
    return hpa


def translate_stage1(hart, host, walk, va, access, priv, virt, sum_bit, by_execute, commit, root, levels):
    """The VS-stage, or with V=0 the only stage: va to gpa."""
    # "bits 63-39 must all be equal to bit 38, or else a page-fault exception will occur" (and so for Sv48,
    # Sv57)
    bits = 12 + 9 * levels
    upper = va >> (bits - 1)
    if upper != 0 and upper != (NO_ADDRESS >> (bits - 1)):
        return fail(hart, walk, page_fault(access))
    # "henvcfg ... controls ... VS-stage address translation" and has no more than menvcfg allows.
    settings = hart.menvcfg & hart.henvcfg if virt else hart.menvcfg
    reserved = reserved_bits(hart, settings)
    table = (root & 0xFFF_FFFF_FFFF) << 12
    level = levels
    while level > 0:
        level -= 1
        entry_gpa = table + ((va >> (12 + 9 * level)) & 0x1FF) * 8
        address = entry_gpa
        if virt:
            permissions = walk.permissions
            address = translate_stage2(
                hart, host, walk, entry_gpa, ACCESS_LOAD, access, PSEUDO_READ, 0, commit
            )
            walk.permissions = permissions
            if address == NO_ADDRESS:
                return NO_ADDRESS
        if not is_ram(host, address) or not pmp_allows(hart, address, 8, ACCESS_LOAD, PRIV_S):
            return fail(hart, walk, access_fault(access))
        pte = ram_read(host, address, 8)
        hart.walk_references += 1
        if not commit:
            note(walk, STAGE_VS, level, address, va, pte)
        if malformed(pte, reserved):
            return fail(hart, walk, page_fault(access))
        if pte & (PTE_R | PTE_X):
            return stage1_leaf(
                hart,
                host,
                walk,
                va,
                access,
                priv,
                virt,
                sum_bit,
                by_execute,
                commit,
                pte,
                level,
                address,
                entry_gpa,
                settings,
            )
        if bad_pointer(pte):
            return fail(hart, walk, page_fault(access))
        table = ((pte & PTE_PPN) >> 10) << 12
    return fail(hart, walk, page_fault(access))


def stage1_leaf(
    hart,
    host,
    walk,
    va,
    access,
    priv,
    virt,
    sum_bit,
    by_execute,
    commit,
    pte,
    level,
    address,
    entry_gpa,
    settings,
):
    # The spec's order: permissions, superpage alignment, then A and D.
    if priv == PRIV_U:
        if (pte & PTE_U) == 0:
            return fail(hart, walk, page_fault(access))
    elif (pte & PTE_U) and (access == ACCESS_FETCH or not sum_bit):
        return fail(hart, walk, page_fault(access))
    # "MXR ... vsstatus.MXR modifies only the VS-stage; sstatus.MXR both stages"
    executable_readable = (hart.mstatus | (hart.vsstatus if virt else 0)) & MXR
    if not leaf_allows(pte, access, executable_readable, by_execute):
        return fail(hart, walk, page_fault(access))
    if bad_leaf(pte, level):
        return fail(hart, walk, page_fault(access))
    if (pte & PTE_A) == 0 or (access == ACCESS_STORE and (pte & PTE_D) == 0):
        if (settings & ENVCFG_ADUE) == 0:
            return fail(hart, walk, page_fault(access))
        if virt:
            # The update is a store to the page-table entry's guest physical address.
            permissions = walk.permissions
            writable = translate_stage2(
                hart, host, walk, entry_gpa, ACCESS_STORE, access, PSEUDO_WRITE, 0, commit
            )
            walk.permissions = permissions
            if writable == NO_ADDRESS:
                return NO_ADDRESS
        if not pmp_allows(hart, address, 8, ACCESS_STORE, PRIV_S):
            return fail(hart, walk, access_fault(access))
        pte = update_bits(host, address, pte, access, commit)
        if pte == NO_ADDRESS:
            return fail(hart, walk, WAIT_STORE)
    offset_mask = leaf_mask(pte, level)
    walk.page_bytes = offset_mask + 1
    walk.permissions = granted(walk.permissions, pte)
    return ((((pte & PTE_PPN) >> 10) << 12) & ~offset_mask) | (va & offset_mask)


def data_privilege(hart):
    """Effective privilege of loads and stores, as priv | virt << 2: MPRV lends M-mode the previous mode's."""
    if hart.priv == PRIV_M and (hart.mstatus >> 17) & 1:
        priv = (hart.mstatus >> 11) & 3
        virt = 0 if priv == PRIV_M else (hart.mstatus >> 39) & 1
        return priv | virt << 2
    return hart.priv | hart.virt << 2


def sum_of(hart, virt):
    """SUM that applies to a data access: vsstatus.SUM with V=1, else mstatus.SUM."""
    return ((hart.vsstatus if virt else hart.mstatus) & SUM) != 0


def translation_mode(hart, priv, virt, sum_bit):
    """Number of the permission class of an access: 0 machine, 1-3 S, S with SUM, U, 4-6 the same with V=1."""
    if priv == PRIV_M:
        return 0
    mode = 3
    if priv == PRIV_S:
        mode = 2 if sum_bit else 1
    return mode + 3 if virt else mode
