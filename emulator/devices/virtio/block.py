"""A disk (Virtio 1.2, section 5.2): read, write, flush, discard, write zeroes, identify.

What the guest writes is kept as changed sectors over an unchanged base, so that state is plain data; or a
`Medium` keeps it. Time is virtual: a request whose turn has not come (`limits`, injected latency) waits in
its queue, in order, and is done when `deadline_ns` is reached. With `cache: writeback` a write is
acknowledged when it is in the disk's cache, and safe once a flush has been answered; the cache is written
back in the order of the writes. Left out: several queues, topology.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from emulator.devices.virtio import discard
from emulator.devices.virtio.discard import T_DISCARD, T_WRITE_ZEROES
from emulator.devices.virtio.disk_faults import DiskFault, take_fault
from emulator.devices.virtio.disk_limits import NO_LIMITS, DiskLimits, Throttle
from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.queue import Chain, QueueBroken

SECTOR_BYTES = 512
F_SEG_MAX, F_RO, F_FLUSH = 1 << 2, 1 << 5, 1 << 9
T_IN, T_OUT, T_FLUSH, T_GET_ID = 0, 1, 4, 8
OPERATIONS = {T_IN: "read", T_OUT: "write", T_FLUSH: "flush", T_DISCARD: "write", T_WRITE_ZEROES: "write"}
S_OK, S_IOERR, S_UNSUPP = 0, 1, 2
REQUEST = struct.Struct("<IIQ")
SEGMENTS_MAX = 126
ID_BYTES = 20
CACHE_SECTORS = 2048


class MediumError(Exception):
    """What is behind a disk cannot read or write: an I/O error for the guest."""


class Medium(Protocol):
    """What is behind a disk, in sectors of 512 bytes; a range lies in its `sectors`."""

    @property
    def sectors(self) -> int:
        """How many there are now."""
        ...

    def read(self, sector: int, count: int) -> bytes:
        """Return sectors. Raises MediumError."""
        ...

    def write(self, sector: int, data: bytes) -> None:
        """Write whole sectors, all or none. Raises MediumError."""
        ...

    def reserve(self, sector: int, count: int) -> None:
        """Make sure that sectors can be written later. Raises MediumError."""
        ...

    def clear(self, sector: int, count: int) -> None:
        """Let sectors read zero, and give back the space that this saves. Raises MediumError."""
        ...


@dataclass
class BlockCounters:
    """What a disk has done. Latency is virtual time from a request's arrival to its answer."""

    reads: int = 0
    writes: int = 0
    flushes: int = 0
    errors: int = 0
    read_bytes: int = 0
    written_bytes: int = 0
    latency_ns: int = 0
    latency_max_ns: int = 0
    depth_max: int = 0
    delayed: int = 0  # requests that had to wait for their turn
    lost_sectors: int = 0  # acknowledged, never flushed, and gone with the power


@dataclass
class Head:
    """The request that is next: when it is done, and whether it fails by an injected fault."""

    due_ns: int
    fails: bool = False


@dataclass
class BlockState:
    """Sectors that differ from the base, by number, and those that are in the cache, oldest first.

    `arrivals` holds when each waiting request came.
    """

    changed: dict[int, bytes] = field(default_factory=dict[int, bytes])
    dirty: dict[int, bytes] = field(default_factory=dict[int, bytes])
    arrivals: list[int] = field(default_factory=list[int])
    head: Head | None = None
    throttle: Throttle = field(default_factory=Throttle)
    faults: list[DiskFault] = field(default_factory=list[DiskFault])
    counters: BlockCounters = field(default_factory=BlockCounters)


class VirtioBlock(VirtioDevice):
    """A disk over `base`, followed by zeros up to `size`; a rest of less than a sector is left out."""

    device_id = 2
    times_arrivals = True

    def __init__(
        self,
        base: bytes,
        read_only: bool = False,
        serial: str = "vmlab",
        size: int | None = None,
        medium: Medium | None = None,
    ) -> None:
        """`base` is never changed; `contents` gives what the guest made of it.

        A `medium` takes the place of base and size.
        """
        super().__init__()
        self.state = BlockState()
        self.limits: DiskLimits = NO_LIMITS
        self.now_ns: Callable[[], int] = lambda: 0
        self._base = base
        self._medium = medium
        self._serial = serial.encode()[:ID_BYTES]
        self._sectors = (len(base) if size is None else size) // SECTOR_BYTES
        changing = F_RO if read_only else discard.F_DISCARD | discard.F_WRITE_ZEROES
        self.features = F_FLUSH | F_SEG_MAX | changing

    @property
    def sectors(self) -> int:
        """Its size."""
        return self._sectors if self._medium is None else self._medium.sectors

    def config(self) -> bytes:
        """Return capacity, size_max and seg_max, and the limits of discard and write zeroes."""
        return struct.pack("<QII20x", self.sectors, 0, SEGMENTS_MAX) + discard.LIMITS

    def contents(self) -> bytes:
        """Return the disk as the guest sees it."""
        return self._seen(0, self.sectors)

    def reset(self) -> None:
        """Forget the requests that the driver has just dropped."""
        self.state.arrivals.clear()
        self.state.head = None

    # Requests

    @property
    def deadline_ns(self) -> int | None:
        """When the request is done that waits for its turn."""
        return self.state.head.due_ns if self.state.head else None

    def elapse(self) -> None:
        """Serve what is due. A driver that has broken its queue gets nothing, and is not waited for."""
        self.kick(0)
        head = self.state.head
        if head and head.due_ns <= self.now_ns():
            self.state.head = None

    def arrived(self, waiting: int) -> None:
        """Note the time for requests that are new."""
        state = self.state
        del state.arrivals[waiting:]
        state.arrivals.extend([self.now_ns()] * (waiting - len(state.arrivals)))
        state.counters.depth_max = max(state.counters.depth_max, waiting)

    def serve(self, queue: int, chain: Chain) -> int | None:
        """Serve one request if its time has come; its last writable byte receives the status."""
        request = chain.read()
        room = chain.writable_bytes - 1
        if len(request) < REQUEST.size or room < 0:
            raise QueueBroken("a disk request has no header or no place for its status")
        kind, _, sector = REQUEST.unpack_from(request)
        head = self.state.head or self._admit(kind, room if kind == T_IN else len(request) - REQUEST.size)
        if head.due_ns > self.now_ns():
            self.state.head = head
            return None
        self.state.head = None
        status, data = (S_IOERR, b"") if head.fails else self._perform(kind, sector, request, room)
        self._count(kind, status, len(data) or len(request) - REQUEST.size)
        chain.write(data)
        chain.write(bytes([status]), room)
        return len(data) + 1

    def _admit(self, kind: int, length: int) -> Head:
        """Say when a request that is now the first is done, and charge it to the limits."""
        state, limits, now = self.state, self.limits, self.now_ns()
        arrival = state.arrivals[0] if state.arrivals else now
        fails, delay = take_fault(state.faults, OPERATIONS.get(kind, ""))
        due = max(now, arrival + limits.latency_ns + delay)
        if kind in (T_IN, T_OUT):
            due = state.throttle.admit(limits, due, length)
        state.counters.delayed += due > now
        return Head(due, fails)

    def _count(self, kind: int, status: int, length: int) -> None:
        state, counters = self.state, self.state.counters
        if state.arrivals:
            latency = max(0, self.now_ns() - state.arrivals.pop(0))
            counters.latency_ns += latency
            counters.latency_max_ns = max(counters.latency_max_ns, latency)
        if status == S_IOERR:
            counters.errors += 1
        elif kind == T_IN:
            counters.reads += 1
            counters.read_bytes += length
        elif kind == T_OUT:
            counters.writes += 1
            counters.written_bytes += length
        elif kind == T_FLUSH:
            counters.flushes += 1

    def _perform(self, kind: int, sector: int, request: bytes, room: int) -> tuple[int, bytes]:
        if kind == T_GET_ID:
            return S_OK, self._serial.ljust(ID_BYTES, b"\0")[:room]
        if kind not in OPERATIONS:
            return S_UNSUPP, b""
        try:
            if kind == T_IN:
                return self._read(sector, room)
            if kind == T_OUT:
                return self._write(sector, request[REQUEST.size :]), b""
            if kind in (T_DISCARD, T_WRITE_ZEROES):
                return self._clear(kind, request[REQUEST.size :]), b""
            self.write_back()
        except MediumError:
            return S_IOERR, b""
        return S_OK, b""

    def _read(self, sector: int, length: int) -> tuple[int, bytes]:
        count, rest = divmod(length, SECTOR_BYTES)
        if rest or sector + count > self.sectors:
            return S_IOERR, b""
        return S_OK, self._seen(sector, count)

    def _write(self, sector: int, data: bytes) -> int:
        count, rest = divmod(len(data), SECTOR_BYTES)
        if rest or sector + count > self.sectors or self.features & F_RO:
            return S_IOERR
        if self._caches():
            self._cache(sector, count, data)
        else:
            self.write_back()  # older writes that are still in the cache must not come later
            self._store(sector, data)
        return S_OK

    def _clear(self, kind: int, data: bytes) -> int:
        """Let ranges read zero."""
        try:
            ranges = discard.segments(kind, data, self.sectors)
        except discard.UnknownFlagError:
            return S_UNSUPP
        if ranges is None or self.features & F_RO:
            return S_IOERR
        for sector, count in ranges:
            for number in range(sector, sector + count):
                self.state.dirty.pop(number, None)
            self._clear_stored(sector, count)
        return S_OK

    def _clear_stored(self, sector: int, count: int) -> None:
        if self._medium is not None:
            self._medium.clear(sector, count)
            return
        for number in range(sector, sector + count):
            if any(self._base[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES]):
                self.state.changed[number] = bytes(SECTOR_BYTES)
            else:
                self.state.changed.pop(number, None)

    # The cache

    def _caches(self) -> bool:
        # "If VIRTIO_BLK_F_FLUSH was not offered or not negotiated, the driver assumes writethrough"
        return self.limits.cache == "writeback" and bool(self.driver_features() & F_FLUSH)

    def _cache(self, sector: int, count: int, data: bytes) -> None:
        """Take a write into the cache, and write the oldest back when the cache is too large."""
        if self._medium is not None:
            self._medium.reserve(sector, count)
        dirty = self.state.dirty
        for number in range(count):
            dirty.pop(sector + number, None)
            dirty[sector + number] = data[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES]
        self.write_back(CACHE_SECTORS)

    def write_back(self, most: int = 0) -> None:
        """Write the oldest sectors of the cache back until `most` are left. Raises MediumError.

        What could not be written stays in the cache.
        """
        dirty = self.state.dirty
        while len(dirty) > most:
            first = next(iter(dirty))
            self._store(first, dirty[first])
            del dirty[first]

    def lose_power(self) -> int:
        """Forget the cache; return how many sectors were acknowledged and are lost."""
        lost = len(self.state.dirty)
        self.state.dirty.clear()
        self.state.counters.lost_sectors += lost
        self.reset()
        return lost

    # The sectors

    def _seen(self, sector: int, count: int) -> bytes:
        state = self.state
        if not state.dirty and self._medium is not None:
            return self._medium.read(sector, count)
        numbers = range(sector, sector + count)
        return b"".join(state.dirty.get(number) or self._sector(number) for number in numbers)

    def _sector(self, number: int) -> bytes:
        if self._medium is not None:
            return self._medium.read(number, 1)
        changed = self.state.changed.get(number)
        if changed is not None:
            return changed
        return self._base[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES].ljust(SECTOR_BYTES, b"\0")

    def _store(self, sector: int, data: bytes) -> None:
        fails, _ = take_fault(self.state.faults, "write-back")
        if fails:
            raise MediumError("an injected fault")
        if self._medium is not None:
            self._medium.write(sector, data)
            return
        for number in range(len(data) // SECTOR_BYTES):
            self.state.changed[sector + number] = data[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES]
