"""A virtio driver in a few lines: negotiates, lays out rings in host RAM, adds requests."""

from __future__ import annotations

import struct
from typing import Any

from emulator.devices.virtio.mmio import VirtioDevice, VirtioMmio
from emulator.machine.host import Host
from emulator.state import RAM_BASE

SIZE = 8
RINGS, BUFFERS = RAM_BASE + 0x1000, RAM_BASE + 0x10000
RING_BYTES = 0x1000
ACKNOWLEDGE, DRIVER, DRIVER_OK, FEATURES_OK, NEEDS_RESET = 1, 2, 4, 8, 64


class Driver:
    """Drives one device; `level` is its interrupt line."""

    def __init__(self, host: Host, device: VirtioDevice, features: int = 0) -> None:
        """Bring the device up with all its queues."""
        self.host = host
        self.level = False
        self.mmio = VirtioMmio(device, host, self._interrupt)
        host.write(RINGS, bytes(BUFFERS - RINGS))
        self.available = [0] * device.queues
        self.next_buffer = BUFFERS
        self.start(features)

    def _interrupt(self, level: bool) -> None:
        self.level = level

    def start(self, features: int) -> None:
        """Follow section 3.1.1."""
        write = self.write
        write(0x70, 0)
        write(0x70, ACKNOWLEDGE | DRIVER)
        for word, value in enumerate((features & 0xFFFF_FFFF, features >> 32 | 1)):
            write(0x24, word)
            write(0x20, value)
        write(0x70, ACKNOWLEDGE | DRIVER | FEATURES_OK)
        for queue in range(len(self.available)):
            write(0x30, queue)
            write(0x38, SIZE)
            for register, address in zip((0x80, 0x90, 0xA0), self.rings(queue), strict=True):
                write(register, address & 0xFFFF_FFFF)
                write(register + 4, address >> 32)
            write(0x44, 1)
        write(0x70, ACKNOWLEDGE | DRIVER | FEATURES_OK | DRIVER_OK)

    def rings(self, queue: int) -> tuple[int, int, int]:
        """Return where the descriptors, available ring and used ring of a queue lie."""
        base = RINGS + queue * RING_BYTES
        return base, base + 0x400, base + 0x800

    def write(self, offset: int, value: int) -> None:
        """Write a register."""
        self.mmio.write(offset, 4, value)

    def read(self, offset: int) -> int:
        """Read a register."""
        return self.mmio.read(offset, 4)

    def describe(self, queue: int, index: int, address: int, length: int, flags: int, following: int) -> None:
        """Write a descriptor."""
        self.host.write(
            self.rings(queue)[0] + 16 * index, struct.pack("<QIHH", address, length, flags, following)
        )

    def offer(self, queue: int, head: int) -> None:
        """Put a chain on the available ring and notify."""
        ring = self.rings(queue)[1]
        self.host.write(ring + 4 + 2 * (self.available[queue] % SIZE), struct.pack("<H", head))
        self.available[queue] = (self.available[queue] + 1) & 0xFFFF
        self.host.write(ring + 2, struct.pack("<H", self.available[queue]))
        self.write(0x50, queue)

    def request(self, queue: int, sent: bytes, room: int, first: int = 0) -> int:
        """Offer a chain of one readable and one writable buffer; return the address of the writable one."""
        source, target = self.next_buffer, self.next_buffer + len(sent)
        self.next_buffer = target + room
        self.host.write(source, sent)
        if sent and room:
            self.describe(queue, first, source, len(sent), 1, first + 1)
            self.describe(queue, first + 1, target, room, 2, 0)
        else:
            self.describe(queue, first, source, len(sent) or room, 0 if sent else 2, 0)
        self.offer(queue, first)
        return target

    def used(self, queue: int) -> list[tuple[int, int]]:
        """Return what the device has put on the used ring: (head, bytes written)."""
        ring = self.rings(queue)[2]
        count = int.from_bytes(self.host.read(ring + 2, 2), "little")
        data = self.host.read(ring + 4, 8 * SIZE)
        entries: list[Any] = list(struct.iter_unpack("<II", data))
        return [entries[n % SIZE] for n in range(max(count - SIZE, 0), count)]

    @property
    def needs_reset(self) -> bool:
        """Whether the device has given up."""
        return bool(self.read(0x70) & NEEDS_RESET)
