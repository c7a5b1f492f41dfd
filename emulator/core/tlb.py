"""The translation lookaside buffers of a hart, and the fast map derived from them.

A tag is the virtual page ORed with a context number: bits 6-11 the address space (one satp, or one vsatp
under one hgatp), bits 3-5 the permission class of `translation_mode`, bits 0-2 zero, so that one comparison
of `address & ~(0xFFF ^ (size - 1)) | context` with the tag also finds misaligned addresses.

What hardware software may see (ASIDs, VMIDs, fences) is in `flush`; an entry may be dropped at any time, so
global mappings are treated like others and a full table of address spaces simply empties the TLBs.
"""

from emulator.core.debug import watch_at
from emulator.core.intrinsics import leading_zeros, load_u32, store_u64, walk_at
from emulator.core.memory import code_page, frame_of
from emulator.core.pmp import PMP_MIXED, PMP_RWX, pmp_allows, pmp_page
from emulator.core.ptw import access_fault, data_privilege, sum_of, translate, translation_mode
from emulator.state import (
    ACCESS_FETCH,
    DTLB_ENTRIES,
    FAST_BYTES,
    FAST_FETCH,
    FAST_LOAD,
    FAST_STORE,
    ITLB_ENTRIES,
    NO_ADDRESS,
    NO_TRAP,
    PAGE_BYTES,
    TLB_CONTEXTS,
    TLB_SUPER,
    WATCH_LOAD,
    WATCH_STORE,
)

PAGE_MASK = 0xFFFF_FFFF_FFFF_F000
TLB_R, TLB_W, TLB_X = 2, 4, 8


def data_index(va):
    """Place of a page in the data TLB.

    Bits from 21 up are folded in, so that arrays a power of two apart do not share their places.
    """
    return ((va >> 12) ^ (va >> 21)) & (DTLB_ENTRIES - 1)


def address_space(hart, virt):
    """Number of the current address space, allotted at its first use."""
    stage1 = hart.vsatp if virt else hart.satp
    stage2 = hart.hgatp if virt else NO_ADDRESS
    number = 0
    while number < hart.context_count:
        if hart.context_stage1[number] == stage1 and hart.context_stage2[number] == stage2:
            return number
        number += 1
    if number == TLB_CONTEXTS:
        flush_all(hart)
        number = 0
    hart.context_stage1[number] = stage1
    hart.context_stage2[number] = stage2
    hart.context_count = number + 1
    return number


def context_of(hart, priv, virt, sum_bit):
    """The context bits of a tag for accesses at this privilege."""
    mode = translation_mode(hart, priv, virt, sum_bit)
    if mode == 0:
        return 0
    return address_space(hart, virt) << 6 | mode << 3


def data_context(hart):
    """The context bits of loads and stores as the hart stands."""
    mode = data_privilege(hart)
    return context_of(hart, mode & 3, mode >> 2, sum_of(hart, mode >> 2))


def flush_all(hart):
    """Empty both TLBs and forget all address spaces."""
    i = 0
    while i < DTLB_ENTRIES:
        hart.dtlb_tag[i] = NO_ADDRESS
        i += 1
    i = 0
    while i < ITLB_ENTRIES:
        hart.itlb_tag[i] = NO_ADDRESS
        i += 1
    hart.context_count = 0
    hart.tlb_super = 0
    flush_fast(hart)


def flush_fast(hart):
    """Empty the fast map; it fills again from the TLBs, of which nothing is taken for known."""
    entry = hart.fast
    end = entry + FAST_BYTES
    while entry < end:
        store_u64(entry, NO_ADDRESS)
        entry += 16
    group = 0
    while group < DTLB_ENTRIES // 64:
        hart.dtlb_live[group] = NO_ADDRESS
        group += 1
    group = 0
    while group < ITLB_ENTRIES // 64:
        hart.itlb_live[group] = NO_ADDRESS
        group += 1


def named_spaces(hart, virt, by_asid, asid, by_vmid, vmid):
    """Bit n says whether a fence with these operands names address space n."""
    named = 0
    space = 0
    while space < hart.context_count:
        stage1 = hart.context_stage1[space]
        stage2 = hart.context_stage2[space]
        if (
            (stage2 != NO_ADDRESS) == (virt != 0)
            and (by_asid == 0 or ((stage1 >> 44) & 0xFFFF) == (asid & 0xFFFF))
            and (by_vmid == 0 or ((stage2 >> 44) & 0x3FFF) == (vmid & 0x3FFF))
        ):
            named |= 1 << space
        space += 1
    return named


def lowest_bit(bits):
    """Number of the lowest bit that is set."""
    return 63 - leading_zeros(bits & (~bits + 1))


def flush(hart, virt, by_address, va, by_asid, asid, by_vmid, vmid):
    """Drop the entries that a fence names: of V=`virt`, and where given of this page, ASID and VMID."""
    named = named_spaces(hart, virt, by_asid, asid, by_vmid, vmid)
    if by_address and not hart.tlb_super:
        i = data_index(va)
        drop_data(hart, i >> 6, hart.dtlb_live[i >> 6] & 1 << (i & 63), named, 1, va)
        i = (va >> 12) & (ITLB_ENTRIES - 1)
        drop_fetch(hart, i >> 6, hart.itlb_live[i >> 6] & 1 << (i & 63), named, 1, va)
        return
    group = 0
    while group < DTLB_ENTRIES // 64:
        drop_data(hart, group, hart.dtlb_live[group], named, by_address, va)
        group += 1
    group = 0
    while group < ITLB_ENTRIES // 64:
        drop_fetch(hart, group, hart.itlb_live[group], named, by_address, va)
        group += 1


def fence_names(tag, page, named, by_address, va):
    """Does a fence of these address spaces, and where given of this page, name an entry that is not empty?"""
    if (tag & 0xFF8) == 0 or ((named >> ((tag >> 6) & 63)) & 1) == 0:
        return False
    # Any address inside a larger page names all of that page: its parts carry TLB_SUPER and always match.
    return by_address == 0 or (tag & PAGE_MASK) == (va & PAGE_MASK) or (page & TLB_SUPER) != 0


def drop_data(hart, group, live, named, by_address, va):
    """Drop those of the entries `live` of a group of 64 that a fence names."""
    gone = 0
    while live != 0:
        bit = lowest_bit(live)
        live &= live - 1
        i = group << 6 | bit
        if hart.dtlb_tag[i] == NO_ADDRESS:
            gone |= 1 << bit
        elif fence_names(hart.dtlb_tag[i], hart.dtlb_page[i], named, by_address, va):
            gone |= 1 << bit
            hart.dtlb_tag[i] = NO_ADDRESS
            store_u64(hart.fast + i * 16, NO_ADDRESS)
            store_u64(hart.fast + FAST_STORE + i * 16, NO_ADDRESS)
    hart.dtlb_live[group] &= ~gone


def drop_fetch(hart, group, live, named, by_address, va):
    """The same for instructions."""
    gone = 0
    while live != 0:
        bit = lowest_bit(live)
        live &= live - 1
        i = group << 6 | bit
        if hart.itlb_tag[i] == NO_ADDRESS:
            gone |= 1 << bit
        elif fence_names(hart.itlb_tag[i], hart.itlb_page[i], named, by_address, va):
            gone |= 1 << bit
            hart.itlb_tag[i] = NO_ADDRESS
            store_u64(hart.fast + FAST_FETCH + i * 16, NO_ADDRESS)
    hart.itlb_live[group] &= ~gone


def entry_for(hart, walk, hpa):
    """The TLB entry for a finished walk. Fences by address name virtual pages, whatever the G-stage maps."""
    entry = (hpa & PAGE_MASK) | walk.permissions
    if walk.stage1_bytes > PAGE_BYTES:
        entry |= TLB_SUPER
        hart.tlb_super = 1
    return entry


def data_address(hart, host, va, size, access, needed, priv, virt, context):
    """Host physical address of a data access, through the TLB. NO_ADDRESS with `hart.trap_*` set on a fault.

    `needed` is TLB_R or TLB_W; the access does not cross a page.
    """
    i = data_index(va)
    tag = (va & PAGE_MASK) | context
    hart.trap_cause = NO_TRAP
    if hart.dtlb_tag[i] == tag and (hart.dtlb_page[i] & needed):
        return (hart.dtlb_page[i] & PAGE_MASK) | (va & 0xFFF)
    hart.dtlb_misses += 1
    walk = walk_at(host.walk)
    hpa = translate(hart, host, walk, va, access, priv, virt, sum_of(hart, virt), 0, 1)
    if hpa == NO_ADDRESS:
        return NO_ADDRESS
    allowed = pmp_page(hart, hpa, priv)
    if allowed != PMP_RWX:
        if not pmp_allows(hart, hpa, size, access, priv):
            hart.trap_cause = access_fault(access)
            return NO_ADDRESS
        if allowed == PMP_MIXED:
            return hpa
        walk.permissions &= allowed
    hart.dtlb_tag[i] = tag
    hart.dtlb_page[i] = entry_for(hart, walk, hpa)
    hart.dtlb_live[i >> 6] |= 1 << (i & 63)
    store_u64(hart.fast + i * 16, NO_ADDRESS)
    store_u64(hart.fast + FAST_STORE + i * 16, NO_ADDRESS)
    return hpa


def remember_data(hart, host, va, hpa, context, section, page):
    """Enter a RAM page at host address `page` into the load or store section of the fast map.

    Only what the TLB holds may be there.
    """
    if hart.dtlb_tag[data_index(va)] != (va & PAGE_MASK) | context:
        return
    if section == FAST_LOAD and (hart.dtlb_page[data_index(va)] & TLB_R) == 0:
        # Readable by MXR only, which the tag does not know.
        return
    entry = hart.fast + section + data_index(va) * 16
    if section == FAST_STORE and load_u32(host.frame_code + frame_of(host, hpa) * 4) != 0:
        return
    kinds = WATCH_STORE if section == FAST_STORE else WATCH_LOAD
    if host.watch_count != 0 and watch_at(host, hpa & PAGE_MASK, PAGE_BYTES, kinds) != NO_ADDRESS:
        return
    store_u64(entry, (va & PAGE_MASK) | context)
    store_u64(entry + 8, page - (va & PAGE_MASK))


def fetch_address(hart, host, va, context):
    """Host physical address of an instruction fetch, through the TLB.

    NO_ADDRESS with `hart.trap_*` set on a fault.
    """
    i = (va >> 12) & (ITLB_ENTRIES - 1)
    tag = (va & PAGE_MASK) | context
    hart.trap_cause = NO_TRAP
    if hart.itlb_tag[i] == tag:
        return (hart.itlb_page[i] & PAGE_MASK) | (va & 0xFFF)
    hart.itlb_misses += 1
    walk = walk_at(host.walk)
    hpa = translate(hart, host, walk, va, ACCESS_FETCH, hart.priv, hart.virt, 0, 0, 1)
    if hpa == NO_ADDRESS:
        return NO_ADDRESS
    allowed = pmp_page(hart, hpa, hart.priv)
    if allowed != PMP_RWX:
        if not pmp_allows(hart, hpa, 2, ACCESS_FETCH, hart.priv):
            hart.trap_cause = access_fault(ACCESS_FETCH)
            return NO_ADDRESS
        if allowed == PMP_MIXED:
            return hpa
    hart.itlb_tag[i] = tag
    hart.itlb_page[i] = entry_for(hart, walk, hpa)
    hart.itlb_live[i >> 6] |= 1 << (i & 63)
    store_u64(hart.fast + FAST_FETCH + i * 16, NO_ADDRESS)
    return hpa


def remember_fetch(hart, host, va, frame, context):
    """Address of the decoded page that holds `va`, in `frame`; in the fast map if the TLB holds the page.

    Else an address at which the hart's scratch entry, made empty, stands for `va`: the instruction is decoded
    and checked each time.
    """
    if hart.itlb_tag[(va >> 12) & (ITLB_ENTRIES - 1)] != (va & PAGE_MASK) | context:
        scratch = hart.fast + FAST_BYTES
        store_u64(scratch, 0)
        return scratch - (va & 0xFFF) * 4
    code = code_page(host, frame)
    entry = hart.fast + FAST_FETCH + ((va >> 12) & (ITLB_ENTRIES - 1)) * 16
    store_u64(entry, (va & PAGE_MASK) | context)
    store_u64(entry + 8, code)
    return code
