"""A physical host: RAM in 4 KiB frames, harts, and the ring of events that the kernels fill.

RAM lies at host physical address (HPA) 0x8000_0000; a frame's number (HFN) is its index from there. Behind
a frame stands a slot of backing store; frames that were never written share slot 0, which is zero. The
layout of every record and array is in `emulator.state`. A ROM's pages are frames behind those of RAM, from
which instructions are fetched; what else is at its addresses, and all other devices, is the bus's.
"""

from __future__ import annotations

import ctypes
import hashlib
from array import array
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from emulator.build.arena import Arena
from emulator.core.csr_bits import EXT_H, HS_ONLY_INTERRUPTS
from emulator.errors import VmLabError
from emulator.isa.extensions import DEFAULT_ISA, Isa
from emulator.machine.debug import Breakpoint, Stop, Stops, Watchpoint
from emulator.machine.engine import Engine
from emulator.machine.pages import ZERO_PAGE, Pages, pairs
from emulator.state import (
    CODE_PAGE_BYTES,
    EVENT,
    FAST_STRIDE,
    HART,
    HOST,
    NO_ADDRESS,
    PAGE_BYTES,
    RAM_BASE,
    ROM_BASE,
    WALK,
)

TIMEBASE_HZ = 10_000_000
EVENT_CAPACITY = 256
MAX_CODE_PAGES = 1024
# Pages of backing store for each frame: one of its own, the others for what `Pages` hold beside.
SLOTS_PER_FRAME = 4


def page_digest(content: bytes) -> bytes:
    """Return the digest of one frame's content, 16 bytes."""
    return hashlib.blake2b(content, digest_size=16).digest()


ZERO_DIGEST = page_digest(ZERO_PAGE)


class Trap(NamedTuple):
    """A trap from the kernels' event ring: cause, pc and value as in `scause`, `sepc`, `stval`.

    `mode` is where it went: privilege, plus 4 for V=1.
    """

    clock: int
    cause: int
    pc: int
    value: int
    mode: int


class PhysicalAddressError(VmLabError):
    """An address is not in host RAM: '0x1000 (8 bytes) is not in RAM, which is 0x80000000 to 0x807fffff'."""


class HostMemento(NamedTuple):
    """What a host was at one instant, beside its harts."""

    pages: Pages
    reservation_hart: int
    event_count: int
    events: bytes


class Host:
    """The machine under the hypervisor.

    `harts[i]` is the state of pCPU i, a record whose fields are plain ints.
    """

    def __init__(
        self,
        pcpus: int,
        memory_bytes: int,
        clock_hz: int,
        engine: Engine,
        isa: Isa = DEFAULT_ISA,
        rom_pages: int = 0,
    ) -> None:
        """Power on with zeroed RAM; `clock_hz` is a multiple of 10 MHz, the rate of the `time` counter.

        `rom_pages` is the size of the ROM at ROM_BASE, which `write_rom` fills.
        """
        assert memory_bytes % PAGE_BYTES == 0
        assert clock_hz % TIMEBASE_HZ == 0
        self.engine = engine
        self.isa = isa
        self.memory_bytes = memory_bytes
        self.clock_hz = clock_hz
        self.frames = memory_bytes // PAGE_BYTES
        self._all_frames = array("I", range(self.frames))
        self._record_arena = engine.arena(HOST.size)
        self.record: Any = self._record_arena.record(HOST.struct)
        self._lay_out_memory(pcpus, rom_pages)
        self._hart_arena = engine.arena(HART.size * pcpus)
        self.harts: list[Any] = [
            self._hart_arena.record(HART.struct, index * HART.size) for index in range(pcpus)
        ]
        for index, hart in enumerate(self.harts):
            self._reset_hart(index, hart)
        self._runs = [engine.run_of(hart, self.record) for hart in self.harts]
        self.stops = Stops(self.record, self.harts, engine.flush_fast, self._arenas["code"].address)

    def _lay_out_memory(self, pcpus: int, rom_pages: int) -> None:
        record, frames = self.record, self.frames
        slots = SLOTS_PER_FRAME * frames + 1
        mapped = frames + rom_pages
        code_pages = min(frames, MAX_CODE_PAGES)
        arena = self.engine.arena
        self._arenas: dict[str, Arena] = {
            "store": arena((slots + rom_pages) * PAGE_BYTES),
            "frame_slot": arena(mapped * 4),
            "slot_references": arena(slots * 4),
            "free_slots": arena(slots * 4),
            "code": arena(code_pages * CODE_PAGE_BYTES),
            "frame_code": arena(mapped * 4),
            "code_frame": arena(code_pages * 4),
            "fast": arena(pcpus * FAST_STRIDE),
            "events": arena(EVENT_CAPACITY * EVENT.size),
            "walk": arena(WALK.size),
        }
        for name, piece in self._arenas.items():
            setattr(record, name, piece.kernel_address)
        self.store_address: int = self._arenas["store"].address
        record.ram_base, record.ram_frames, record.harts = RAM_BASE, frames, pcpus
        record.rom_base, record.rom_frames = ROM_BASE, rom_pages
        record.cycles_per_tick = self.clock_hz // TIMEBASE_HZ
        record.reservation_hart = NO_ADDRESS
        record.store_slots, record.code_pages, record.event_capacity = slots, code_pages, EVENT_CAPACITY
        self._frame_slot = self._arenas["frame_slot"].u32(mapped)
        self._frame_slot[frames:] = list(range(slots, slots + rom_pages))
        self.slot_references = self._arenas["slot_references"].u32(slots)
        self.slot_references[0] = frames
        # A stack: the lowest slot is taken first, so that a small lab touches little memory.
        free = array("I", range(slots - 1, 0, -1))
        ctypes.memmove(self._arenas["free_slots"].address, free.buffer_info()[0], len(free) * 4)
        self._free_slots = self._arenas["free_slots"].u32(slots)
        record.free_count = slots - 1

    def _reset_hart(self, index: int, hart: Any) -> None:
        hart.hart_id = index
        hart.extensions = self.isa.bits
        hart.mideleg = HS_ONLY_INTERRUPTS if self.isa.bits & EXT_H else 0
        hart.reservation = NO_ADDRESS
        hart.fast = self.record.fast + index * FAST_STRIDE
        self.engine.flush(hart)

    @property
    def pages_in_use(self) -> int:
        """Pages of backing store in use: behind frames that were written, and held beside them."""
        return self.record.store_slots - 1 - self.record.free_count

    @property
    def store_bytes(self) -> int:
        """The same in bytes."""
        return self.pages_in_use * PAGE_BYTES

    @property
    def store_used_bytes(self) -> int:
        """Backing store behind frames that were written."""
        slots = set(array("I", self.slots()))
        return (len(slots) - (0 in slots)) * PAGE_BYTES

    def slots(self) -> bytes:
        """Return the slot of backing store behind each frame as 32-bit words; 0 is the page of zeros."""
        return ctypes.string_at(self._arenas["frame_slot"].address, self.frames * 4)

    def run(self, pcpu: int, budget: int) -> int:
        """Run pCPU `pcpu` for at most `budget` instructions; return one of `state.EXIT_*`."""
        return self._runs[pcpu](budget)

    def set_breakpoint(self, breakpoint: Breakpoint) -> None:
        """Stop harts before an instruction: `run` returns EXIT_DEBUG. Raises TooManyStopsError."""
        self.stops.set_breakpoint(breakpoint)

    def clear_breakpoint(self, breakpoint: Breakpoint) -> None:
        """Clear a breakpoint if it is set."""
        self.stops.clear_breakpoint(breakpoint)

    def watch(self, watchpoint: Watchpoint) -> None:
        """Stop harts after they have touched a range of RAM.

        `run` returns EXIT_DEBUG. Raises PhysicalAddressError, TooManyStopsError.
        """
        self._require_ram(watchpoint.hpa, watchpoint.length)
        self.stops.watch(watchpoint)

    def unwatch(self, watchpoint: Watchpoint) -> None:
        """Watch a range no longer, if it was watched."""
        self.stops.unwatch(watchpoint)

    def stopped_for(self) -> Stop:
        """Return why `run` has just come back with EXIT_DEBUG."""
        return self.stops.last()

    def read(self, hpa: int, length: int) -> bytes:
        """Return `length` bytes of RAM from `hpa`. Raises PhysicalAddressError."""
        self._require_ram(hpa, length)
        offset = hpa % PAGE_BYTES
        if 0 < length <= PAGE_BYTES - offset:
            slot = self._frame_slot[(hpa - RAM_BASE) // PAGE_BYTES]
            return ctypes.string_at(self.store_address + slot * PAGE_BYTES + offset, length)
        buffer = ctypes.create_string_buffer(max(length, 1))
        self.engine.phys_read(self.record, hpa, ctypes.addressof(buffer), length)
        return buffer.raw[:length]

    def write(self, hpa: int, data: bytes) -> None:
        """Write `data` to RAM at `hpa`. Raises PhysicalAddressError."""
        self._require_ram(hpa, len(data))
        buffer = ctypes.create_string_buffer(data, max(len(data), 1))
        stored = self.engine.phys_write(self.record, hpa, ctypes.addressof(buffer), len(data))
        assert stored, "every frame has a slot of backing store"

    def write_rom(self, content: bytes) -> None:
        """Fill the ROM from its start, before a hart has run."""
        record = self.record
        assert len(content) <= record.rom_frames * PAGE_BYTES
        ctypes.memmove(self.store_address + record.store_slots * PAGE_BYTES, content, len(content))

    def read_rom(self, offset: int, length: int) -> bytes:
        """Return bytes of the ROM; fewer where it ends."""
        record = self.record
        length = max(0, min(length, record.rom_frames * PAGE_BYTES - offset))
        return ctypes.string_at(self.store_address + record.store_slots * PAGE_BYTES + offset, length)

    def frame_is_zero(self, hfn: int) -> bool:
        """Return whether every byte of a frame is zero."""
        return self._frame_slot[hfn] == 0 or self.read_frame(hfn) == ZERO_PAGE

    def read_frame(self, hfn: int) -> bytes:
        """Return the 4096 bytes of a frame."""
        slot = self._frame_slot[hfn]
        return ctypes.string_at(self.store_address + slot * PAGE_BYTES, PAGE_BYTES) if slot else ZERO_PAGE

    def traps(self, hart: int, since: int, most: int = 8) -> list[Trap]:
        """Return the newest traps that a hart has taken since its clock showed `since`, oldest first."""
        record = self.record
        found: list[Trap] = []
        for number in range(record.event_count - 1, -1, -1):
            if len(found) == most or record.event_count - number > record.event_capacity:
                break
            offset = number % record.event_capacity * EVENT.size
            event = self._arenas["events"].record(EVENT.struct, offset)
            if event.hart == hart:
                if event.clock < since:
                    break
                found.append(Trap(event.clock, event.a, event.b, event.c, event.d))
        return found[::-1]

    def discard(self, frames: Iterable[int]) -> None:
        """Zero frames and give their backing store back; every hart forgets all translations."""
        table = pairs(frames)
        self.engine.adopt(self.record, table.buffer_info()[0], 4 * len(table))
        self.flush_all()

    def hold(self, frames: Iterable[int]) -> Pages:
        """Keep what frames hold now, in this order; what is stored to them from now on goes beside it."""
        table = pairs(frames)
        self.engine.hold(self.record, table.buffer_info()[0], 4 * len(table))
        self.flush_fast()
        try:
            return Pages(self, table[1::2])
        except MemoryError:
            self.engine.release(self.record, table.buffer_info()[0], 4 * len(table))
            raise

    def adopt(self, frames: Iterable[int], slots: array[int]) -> None:
        """Let frames have the contents of held slots, in this order, without copying them."""
        table = pairs(frames, slots)
        self.engine.adopt(self.record, table.buffer_info()[0], 4 * len(table))
        self.flush_fast()

    def keep(self, content: bytes) -> int:
        """Return a slot with the content of one page, held once; there is one."""
        record = self.record
        assert record.free_count
        assert len(content) == PAGE_BYTES
        record.free_count -= 1
        slot = self._free_slots[record.free_count]
        self.slot_references[slot] = 1
        ctypes.memmove(self.store_address + slot * PAGE_BYTES, content, PAGE_BYTES)
        return slot

    def memento(self) -> HostMemento:
        """Return what the host is beside its harts: RAM, the reservation, and the ring of events."""
        events = ctypes.string_at(self._arenas["events"].address, EVENT_CAPACITY * EVENT.size)
        return HostMemento(
            self.hold(self._all_frames), self.record.reservation_hart, self.record.event_count, events
        )

    def put_back(self, memento: HostMemento) -> None:
        """Take RAM, reservation and events back to where they were."""
        self.adopt(self._all_frames, memento.pages.slots)
        record = self.record
        record.reservation_hart, record.event_count = memento.reservation_hart, memento.event_count
        ctypes.memmove(self._arenas["events"].address, memento.events, len(memento.events))

    @property
    def can_hold(self) -> bool:
        """Whether everything may be held once more and every frame could still get a slot of its own."""
        return self.record.free_count >= self.frames

    def flush_fast(self) -> None:
        """Drop the fast maps of all harts, which no guest can see."""
        for hart in self.harts:
            self.engine.flush_fast(hart)

    def flush_all(self) -> None:
        """Drop every TLB entry of every hart, as after a change of address spaces on all of them."""
        for hart in self.harts:
            self.engine.flush(hart)

    def translate(self, hart: Any, va: int, access: int, priv: int, virt: int, sum_bit: int) -> Any:
        """Return a WALK record of every page-table entry that the MMU would read with these registers.

        Works on a copy of `hart` (any HART record), so that asking changes nothing, not even a counter.
        """
        walk = WALK.struct()
        copy = HART.struct.from_buffer_copy(hart)
        self.engine.translate(copy, self.record, walk, va, access, priv, virt, sum_bit)
        return walk

    def digest_frames(self, frames: Iterable[int]) -> str:
        """Return a digest over the contents of frames, in the order given: the digest of their digests."""
        digest = hashlib.blake2b(digest_size=16)
        for hfn in frames:
            digest.update(self.frame_digest(hfn))
        return digest.hexdigest()

    def frame_digest(self, hfn: int) -> bytes:
        """Return the digest of one frame's content."""
        return page_digest(self.read_frame(hfn)) if self._frame_slot[hfn] else ZERO_DIGEST

    def state_parts(self) -> Iterator[bytes]:
        """Yield the architectural state.

        Records without derived fields, then non-zero frames with their numbers.
        """
        yield bytes(self.record)[: HOST.state_bytes]
        for hart in self.harts:
            yield bytes(hart)[: HART.state_bytes]
        for hfn in range(self.frames):
            if self._frame_slot[hfn]:
                content = self.read_frame(hfn)
                if content != ZERO_PAGE:
                    yield hfn.to_bytes(8, "little") + content

    def _require_ram(self, hpa: int, length: int) -> None:
        if hpa < RAM_BASE or length < 0 or hpa + length > RAM_BASE + self.memory_bytes:
            end = RAM_BASE + self.memory_bytes - 1
            raise PhysicalAddressError(
                f"{hpa:#x} ({length} bytes) is not in RAM, which is {RAM_BASE:#x} to {end:#x}"
            )
