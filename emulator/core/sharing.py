"""Slots that are held by more than the frames of the moment: what checkpoints, snapshots and clones keep.

A holder has a table of (frame, slot) pairs, u32 both, and counts as one more reference to each slot. A frame
whose slot is held is copied at the next store to it (`memory.writable_bytes`): the caller of `hold_slots` and
`adopt_slots` drops the fast maps of all harts, so that no store passes by.
"""

from emulator.core.intrinsics import load_u32, store_u32
from emulator.core.memory import forget_code
from emulator.state import PAGE_BYTES


def hold_slots(host, table, length):
    """Enter the slots of the table's frames and hold them; `length` is that of the table in bytes."""
    offset = 0
    while offset < length:
        slot = load_u32(host.frame_slot + load_u32(table + offset) * 4)
        store_u32(table + offset + 4, slot)
        add_reference(host, slot)
        offset += 8


def release_slots(host, table, length):
    """Stop holding the table's slots; those that nobody else has become free."""
    offset = 0
    while offset < length:
        drop_reference(host, load_u32(table + offset + 4))
        offset += 8


def adopt_slots(host, table, length):
    """Let the table's frames have the bytes of its slots; decoded code of a frame that changes is dropped."""
    offset = 0
    while offset < length:
        frame = load_u32(table + offset)
        old = load_u32(host.frame_slot + frame * 4)
        new = load_u32(table + offset + 4)
        if old != new:
            add_reference(host, new)
            drop_reference(host, old)
            store_u32(host.frame_slot + frame * 4, new)
            forget_code(host, frame, 0, PAGE_BYTES)
        offset += 8


def add_reference(host, slot):
    if slot != 0:
        references = load_u32(host.slot_references + slot * 4)
        store_u32(host.slot_references + slot * 4, references + 1)


def drop_reference(host, slot):
    """Forget a reference to a slot; the zero page has no count."""
    if slot == 0:
        return
    references = load_u32(host.slot_references + slot * 4) - 1
    store_u32(host.slot_references + slot * 4, references)
    if references == 0:
        store_u32(host.free_slots + host.free_count * 4, slot)
        host.free_count += 1
