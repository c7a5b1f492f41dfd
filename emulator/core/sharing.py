"""Slots that are held by more than the frames of the moment: what checkpoints, snapshots and clones keep.

A holder has a list of slots, one for each of a list of frames (u32 both), and counts as one more reference to
each. A frame whose slot is held is copied at the next store to it (`memory.writable_bytes`): the caller of
`hold_slots` and `adopt_slots` drops the fast maps of all harts, so that no store passes by.
"""

from emulator.core.intrinsics import load_u32, store_u32
from emulator.core.memory import forget_code
from emulator.state import PAGE_BYTES


def hold_slots(host, frames, count, slots):
    """Write the slots of `count` frames to `slots` and hold them."""
    i = 0
    while i < count:
        slot = load_u32(host.frame_slot + load_u32(frames + i * 4) * 4)
        store_u32(slots + i * 4, slot)
        add_reference(host, slot)
        i += 1


def release_slots(host, slots, count):
    """Stop holding slots; those that nobody else has become free."""
    i = 0
    while i < count:
        drop_reference(host, load_u32(slots + i * 4))
        i += 1


def adopt_slots(host, frames, count, slots):
    """Let frames have the bytes of held slots; decoded code of a frame that changes is dropped."""
    i = 0
    while i < count:
        frame = load_u32(frames + i * 4)
        old = load_u32(host.frame_slot + frame * 4)
        new = load_u32(slots + i * 4)
        if old != new:
            add_reference(host, new)
            drop_reference(host, old)
            store_u32(host.frame_slot + frame * 4, new)
            forget_code(host, frame, 0, PAGE_BYTES)
        i += 1


def add_reference(host, slot):
    if slot != 0:
        address = host.slot_references + slot * 4
        store_u32(address, load_u32(address) + 1)


def drop_reference(host, slot):
    """Forget a reference to a slot; the zero page has no count."""
    if slot == 0:
        return
    address = host.slot_references + slot * 4
    references = load_u32(address) - 1
    store_u32(address, references)
    if references == 0:
        store_u32(host.free_slots + host.free_count * 4, slot)
        host.free_count += 1
