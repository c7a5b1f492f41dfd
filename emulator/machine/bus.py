"""The bus beside RAM: which device answers at which physical address.

An access that no device takes is an access fault, as on QEMU's `virt` board. Devices hold their state in a
plain dataclass, `state`, so that a snapshot is a copy of it.
"""

from __future__ import annotations

import dataclasses
from bisect import bisect_right
from collections.abc import Iterator
from typing import Any, Protocol

from emulator.state import MMIO_ANSWERED, MMIO_REFUSED

WORD = 0xFFFF_FFFF_FFFF_FFFF


class BusFault(Exception):
    """A device refuses an access: the hart takes a load or store access fault."""


class Device(Protocol):
    """Registers at offsets below `size`.

    `state` is a dataclass of integers, bytes and lists: all that a snapshot must hold.
    """

    @property
    def size(self) -> int:
        """Bytes of address space."""
        ...

    @property
    def state(self) -> Any:
        """The device's registers."""
        ...

    def read(self, offset: int, size: int) -> int:
        """Return the 1, 2, 4 or 8 bytes at `offset`. Raises BusFault."""
        ...

    def write(self, offset: int, size: int, value: int) -> None:
        """Write 1, 2, 4 or 8 bytes at `offset`. Raises BusFault."""
        ...


class Bus:
    """Devices by base address; their ranges do not overlap."""

    def __init__(self) -> None:
        self.devices: dict[int, Device] = {}
        self.accesses = 0
        self._bases: list[int] = []
        self._last = range(0)  # the addresses of the device that answered last

    def attach(self, base: int, device: Device) -> None:
        """Put a device at physical address `base`."""
        for other, existing in self.devices.items():
            assert base + device.size <= other or other + existing.size <= base, f"{base:#x} overlaps"
        self.devices[base] = device
        self._bases = sorted(self.devices)

    def answer(self, hart: Any) -> None:
        """Complete the access that a hart waits for (EXIT_MMIO)."""
        self.accesses += 1
        try:
            value = self.access(hart.mmio_address, hart.mmio_size, hart.mmio_write, hart.mmio_value)
        except BusFault:
            hart.mmio_state = MMIO_REFUSED
        else:
            hart.mmio_value = value & WORD
            hart.mmio_state = MMIO_ANSWERED

    def base_of(self, address: int) -> int | None:
        """Return where the device begins in whose range `address` lies, None if there is none."""
        last = self._last
        if last.start <= address < last.stop:
            return last.start
        place = bisect_right(self._bases, address)
        if place == 0:
            return None
        base = self._bases[place - 1]
        found = range(base, base + self.devices[base].size)
        if address >= found.stop:
            return None
        self._last = found
        return base

    def access(self, address: int, size: int, write: int, value: int) -> int:
        """Write the low `size` bytes of `value`, or return the bytes read. Raises BusFault."""
        base = self.base_of(address)
        if base is None:
            raise BusFault
        device, offset = self.devices[base], address - base
        if offset + size > device.size:
            raise BusFault
        if write:
            device.write(offset, size, value & (1 << 8 * size) - 1)
            return 0
        return device.read(offset, size) & (1 << 8 * size) - 1

    def state_parts(self) -> Iterator[bytes]:
        """Yield the state of every device, in the order of their addresses."""
        for base in sorted(self.devices):
            yield repr((base, dataclasses.astuple(self.devices[base].state))).encode()
