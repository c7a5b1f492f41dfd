"""Host RAM: physical address -> frame -> store slot -> bytes; copy-on-write, coherent decoded code.

A store reaches a frame's bytes only through `writable_slot`, which first gives the frame a slot of its own.
Everything that caches a host address of a frame (the fast maps) is dropped when the frame moves or gets its
first decoded code.
"""

from emulator.core.intrinsics import load_u8, load_u32, load_u64, store_u8, store_u32, store_u64
from emulator.state import (
    CODE_ENTRIES,
    CODE_PAGE_BYTES,
    DTLB_ENTRIES,
    FAST_FETCH,
    FAST_STORE,
    FAST_STRIDE,
    ITLB_ENTRIES,
    NO_ADDRESS,
    PAGE_BYTES,
)


def is_ram(host, hpa):
    return hpa >= host.ram_base and ((hpa - host.ram_base) >> 12) < host.ram_frames


def frame_of(host, hpa):
    return (hpa - host.ram_base) >> 12


def code_frame_of(host, hpa):
    """Number of the frame that instructions are fetched from, in RAM or in ROM; NO_ADDRESS elsewhere."""
    if is_ram(host, hpa):
        return frame_of(host, hpa)
    page = (hpa - host.rom_base) >> 12
    # The frames of ROM follow those of RAM.
    return host.ram_frames + page if hpa >= host.rom_base and page < host.rom_frames else NO_ADDRESS


def frame_bytes(host, frame):
    """Address of a frame's bytes, for reading."""
    return host.store + load_u32(host.frame_slot + frame * 4) * PAGE_BYTES


def writable_bytes(host, frame):
    """Address of a frame's bytes, for writing: copies a shared slot first. 0 when the store is full."""
    slot = load_u32(host.frame_slot + frame * 4)
    references = load_u32(host.slot_references + slot * 4)
    if slot != 0 and references == 1:
        return host.store + slot * PAGE_BYTES
    if host.free_count == 0:
        return 0
    host.free_count -= 1
    fresh = load_u32(host.free_slots + host.free_count * 4)
    copy_page(host.store + slot * PAGE_BYTES, host.store + fresh * PAGE_BYTES)
    store_u32(host.slot_references + fresh * 4, 1)
    if slot != 0:
        store_u32(host.slot_references + slot * 4, references - 1)
    store_u32(host.frame_slot + frame * 4, fresh)
    forget_addresses(host, host.store + slot * PAGE_BYTES)
    return host.store + fresh * PAGE_BYTES


def copy_page(source, target):
    offset = 0
    while offset < PAGE_BYTES:
        store_u64(target + offset, load_u64(source + offset))
        offset += 8


def forget_addresses(host, page):
    """Drop every fast-map entry of every hart that leads to the backing-store page at `page`."""
    hart = 0
    while hart < host.harts:
        entry = host.fast + hart * FAST_STRIDE
        end = entry + DTLB_ENTRIES * 32
        while entry < end:
            tag = load_u64(entry)
            if tag != NO_ADDRESS and (tag & 0xFFFF_FFFF_FFFF_F000) + load_u64(entry + 8) == page:
                store_u64(entry, NO_ADDRESS)
            entry += 16
        hart += 1


def forget_stores(host, page):
    """Drop the store entries to a backing-store page, so that stores to it take the slow path from now on."""
    hart = 0
    while hart < host.harts:
        entry = host.fast + hart * FAST_STRIDE + FAST_STORE
        end = entry + DTLB_ENTRIES * 16
        while entry < end:
            tag = load_u64(entry)
            if tag != NO_ADDRESS and (tag & 0xFFFF_FFFF_FFFF_F000) + load_u64(entry + 8) == page:
                store_u64(entry, NO_ADDRESS)
            entry += 16
        hart += 1


def forget_fetches(host):
    """Drop every fetch entry of every hart."""
    hart = 0
    while hart < host.harts:
        entry = host.fast + hart * FAST_STRIDE + FAST_FETCH
        end = entry + ITLB_ENTRIES * 16
        while entry < end:
            store_u64(entry, NO_ADDRESS)
            entry += 16
        hart += 1


def code_page(host, frame):
    """Address of a frame's decoded instructions, made empty if there are none yet.

    May evict another frame's.
    """
    index = load_u32(host.frame_code + frame * 4)
    if index != 0:
        return host.code + (index - 1) * CODE_PAGE_BYTES
    if host.code_used < host.code_pages:
        index = host.code_used
        host.code_used += 1
    else:
        index = host.code_hand
        host.code_hand = (host.code_hand + 1) % host.code_pages
        store_u32(host.frame_code + load_u32(host.code_frame + index * 4) * 4, 0)
        forget_fetches(host)
    store_u32(host.frame_code + frame * 4, index + 1)
    store_u32(host.code_frame + index * 4, frame)
    page = host.code + index * CODE_PAGE_BYTES
    offset = 0
    while offset < CODE_PAGE_BYTES:
        store_u64(page + offset, 0)
        offset += 8
    forget_stores(host, frame_bytes(host, frame))
    return page


def forget_code(host, frame, offset, size):
    """Drop the decoded instructions that overlap `size` bytes at `offset` of a frame, if any."""
    index = load_u32(host.frame_code + frame * 4)
    if index == 0:
        return
    page = host.code + (index - 1) * CODE_PAGE_BYTES
    first = offset >> 1
    # An instruction that begins in the halfword before may reach into these bytes.
    if first > 0:
        first -= 1
    last = (offset + size - 1) >> 1
    while first <= last and first < CODE_ENTRIES:
        store_u64(page + first * 8, 0)
        first += 1


def ram_read(host, hpa, size):
    """Read 1, 2, 4 or 8 bytes of RAM; the caller has checked that they are RAM and within one page."""
    return load_sized(frame_bytes(host, frame_of(host, hpa)) + (hpa & 0xFFF), size)


def ram_write(host, hpa, value, size):
    """Write 1, 2, 4 or 8 bytes of RAM within one page. False when the store is full."""
    frame = frame_of(host, hpa)
    page = writable_bytes(host, frame)
    if page == 0:
        return False
    forget_code(host, frame, hpa & 0xFFF, size)
    store_sized(page + (hpa & 0xFFF), value, size)
    return True


def load_sized(address, size):
    if size == 8:
        return load_u64(address)
    if size == 4:
        return load_u32(address)
    value = load_u8(address)
    if size == 2:
        value |= load_u8(address + 1) << 8
    return value


def store_sized(address, value, size):
    if size == 8:
        store_u64(address, value)
    elif size == 4:
        store_u32(address, value)
    else:
        store_u8(address, value)
        if size == 2:
            store_u8(address + 1, value >> 8)


def copy_from_ram(host, hpa, target, length):
    """Copy RAM bytes to a host address; the caller has checked the range."""
    done = 0
    while done < length:
        store_u8(
            target + done, load_u8(frame_bytes(host, frame_of(host, hpa + done)) + ((hpa + done) & 0xFFF))
        )
        done += 1


def copy_to_ram(host, hpa, source, length):
    """Copy bytes at a host address into RAM, as a device or the hypervisor writes it.

    False when the store is full.
    """
    done = 0
    while done < length:
        if not ram_write(host, hpa + done, load_u8(source + done), 1):
            return False
        done += 1
    return True
