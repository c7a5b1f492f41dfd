"""Checked kernels only: every access to host memory, and every index into a record, lies where it belongs.

`build/checks.py` puts a call of one of these functions around each address and each index of the other
kernels, and says which region is meant. They return what they were given if it is sound. Otherwise the first
such access is noted in the BOUNDS record, and goes to that record's spare words, so that nothing is harmed;
`run` ends with EXIT_BOUNDS.
"""

from emulator.core.intrinsics import bounds_address, bounds_at, load_u32
from emulator.state import BOUNDS, BOUNDS_INDEX, FAST_BYTES, PAGE_BYTES, REGIONS

SPARE = BOUNDS.offset("spare")
REGION_STORE, REGION_FRESH = REGIONS.index("store"), REGIONS.index("fresh")
REGION_REFERENCES, REGION_CODE = REGIONS.index("slot_references"), REGIONS.index("code")
REGION_OWN = REGIONS.index("own")


def violated(kind, address, size, write):
    """Note a violation if it is the first, and return where the access may go instead."""
    bounds = bounds_at(bounds_address())
    if bounds.violations == 0:
        bounds.kind = kind
        bounds.address = address
        bounds.size = size
        bounds.write = write
        bounds.pc_of_violation = bounds.pc
    bounds.violations += 1
    return bounds_address() + SPARE


def bounds_broken():
    bounds = bounds_at(bounds_address())
    return bounds.violations != 0


def note_pc(pc):
    bounds = bounds_at(bounds_address())
    bounds.pc = pc


def within(region, address, size):
    bounds = bounds_at(bounds_address())
    length = bounds.length[region]
    return size <= length and address - bounds.start[region] <= length - size


def bounded(region, address, size, write):
    """An access to one of the tables."""
    if within(region, address, size):
        return address
    return violated(region, address, size, write)


def bounded_store(region, address, size, write):
    """An access to the backing store: inside one slot, which some frame has, and for a write only one frame.

    A slot that is being filled (REGION_FRESH) belongs to no frame yet. Slot 0, the shared zero page, and the
    pages of a ROM, behind all slots, are never written.
    """
    if not within(region, address, size):
        return violated(region, address, size, write)
    bounds = bounds_at(bounds_address())
    offset = address - bounds.start[region]
    slot = offset >> 12
    if (offset & 0xFFF) + size > PAGE_BYTES or (write and slot == 0):
        return violated(region, address, size, write)
    if not within(REGION_REFERENCES, bounds.start[REGION_REFERENCES] + slot * 4, 4):
        # A page of ROM.
        return violated(region, address, size, write) if write else address
    references = load_u32(bounds.start[REGION_REFERENCES] + slot * 4)
    if region == REGION_FRESH:
        sound = references == 0
    elif write:
        sound = references == 1
    else:
        sound = slot == 0 or references != 0
    if sound:
        return address
    return violated(region, address, size, write)


def bounded_code(address, size, write):
    """A decoded entry: a whole one, of some code page or of this hart's scratch entries."""
    bounds = bounds_at(bounds_address())
    if within(REGION_CODE, address, size) and ((address - bounds.start[REGION_CODE]) & 7) == 0:
        return address
    if within(REGION_OWN, address, size):
        offset = address - bounds.start[REGION_OWN]
        if offset >= FAST_BYTES and (offset & 7) == 0:
            return address
    return violated(REGION_CODE, address, size, write)


def bounded_index(index, count):
    """An index into an array of `count` fields."""
    if index < count:
        return index
    violated(BOUNDS_INDEX, index, count, 0)
    return 0
