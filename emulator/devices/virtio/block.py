"""A disk (Virtio 1.2, section 5.2): read, write, flush, identify.

What the guest writes is kept as changed sectors over an unchanged base, so that state is plain data. Left
out: discard, write zeroes, several queues, topology.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.queue import Chain, QueueBroken

SECTOR_BYTES = 512
F_SEG_MAX, F_RO, F_FLUSH = 1 << 2, 1 << 5, 1 << 9
T_IN, T_OUT, T_FLUSH, T_GET_ID = 0, 1, 4, 8
S_OK, S_IOERR, S_UNSUPP = 0, 1, 2
REQUEST = struct.Struct("<IIQ")
SEGMENTS_MAX = 126
ID_BYTES = 20


@dataclass
class BlockState:
    """Sectors that differ from the base, by number."""

    changed: dict[int, bytes] = field(default_factory=dict[int, bytes])


class VirtioBlock(VirtioDevice):
    """A disk over `base`, followed by zeros up to `size`; a rest of less than a sector is left out."""

    device_id = 2

    def __init__(
        self, base: bytes, read_only: bool = False, serial: str = "vmlab", size: int | None = None
    ) -> None:
        """`base` is never changed; `contents` gives what the guest made of it."""
        super().__init__()
        self.state = BlockState()
        self._base = base
        self._serial = serial.encode()[:ID_BYTES]
        self.sectors = (len(base) if size is None else size) // SECTOR_BYTES
        self.features = F_FLUSH | F_SEG_MAX | (F_RO if read_only else 0)

    def config(self) -> bytes:
        """Return capacity, size_max and seg_max."""
        return struct.pack("<QII", self.sectors, 0, SEGMENTS_MAX)

    def contents(self) -> bytes:
        """Return the disk as the guest sees it."""
        size = self.sectors * SECTOR_BYTES
        data = bytearray(self._base[:size].ljust(size, b"\0"))
        for sector, content in self.state.changed.items():
            data[sector * SECTOR_BYTES : (sector + 1) * SECTOR_BYTES] = content
        return bytes(data)

    def serve(self, queue: int, chain: Chain) -> int | None:
        """Serve one request; its last writable byte receives the status."""
        request = chain.read()
        room = chain.writable_bytes - 1
        if len(request) < REQUEST.size or room < 0:
            raise QueueBroken("a disk request has no header or no place for its status")
        kind, _, sector = REQUEST.unpack_from(request)
        status, data = self._perform(kind, sector, request[REQUEST.size :], room)
        chain.write(data)
        chain.write(bytes([status]), room)
        return len(data) + 1

    def _perform(self, kind: int, sector: int, sent: bytes, room: int) -> tuple[int, bytes]:
        if kind == T_IN:
            return self._read(sector, room)
        if kind == T_OUT:
            return self._write(sector, sent), b""
        if kind == T_FLUSH:
            return S_OK, b""
        if kind == T_GET_ID:
            return S_OK, self._serial.ljust(ID_BYTES, b"\0")[:room]
        return S_UNSUPP, b""

    def _read(self, sector: int, length: int) -> tuple[int, bytes]:
        count, rest = divmod(length, SECTOR_BYTES)
        if rest or sector + count > self.sectors:
            return S_IOERR, b""
        return S_OK, b"".join(self._sector(number) for number in range(sector, sector + count))

    def _sector(self, number: int) -> bytes:
        changed = self.state.changed.get(number)
        if changed is not None:
            return changed
        return self._base[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES].ljust(SECTOR_BYTES, b"\0")

    def _write(self, sector: int, data: bytes) -> int:
        count, rest = divmod(len(data), SECTOR_BYTES)
        if rest or sector + count > self.sectors or self.features & F_RO:
            return S_IOERR
        for number in range(count):
            self.state.changed[sector + number] = data[number * SECTOR_BYTES : (number + 1) * SECTOR_BYTES]
        return S_OK
