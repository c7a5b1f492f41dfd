"""Split virtqueues, the device's side (Virtio 1.2, section 2.7), on guest memory that may hold anything.

A driver that breaks a rule (a loop of descriptors, a buffer outside RAM, an index that runs ahead, more
bytes than any device takes) raises QueueBroken; the transport then sets DEVICE_NEEDS_RESET. Work is bounded:
no chain has more descriptors than the queue has entries, nor more than MAX_CHAIN_BYTES. Left out: packed
queues, indirect descriptors, event indices; none is offered.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Protocol

from emulator.machine.host import PhysicalAddressError

QUEUE_SIZE_MAX = 128
MAX_CHAIN_BYTES = 2 << 20
DESCRIPTOR = struct.Struct("<QIHH")
F_NEXT, F_WRITE, F_INDIRECT = 1, 2, 4
AVAIL_NO_INTERRUPT = 1


class QueueBroken(Exception):
    """The driver has broken a rule of the ring; the message says which."""


class Memory(Protocol):
    """What a device reaches by DMA."""

    def read(self, address: int, length: int, /) -> bytes:
        """Return bytes. Raises PhysicalAddressError."""
        ...

    def write(self, address: int, data: bytes, /) -> None:
        """Write bytes. Raises PhysicalAddressError."""
        ...


@dataclass
class QueueState:
    """Registers of a queue, and how far the device has come: `next_available`, `next_used` modulo 2^16."""

    size: int = 0
    ready: int = 0
    descriptors: int = 0
    available: int = 0
    used: int = 0
    next_available: int = 0
    next_used: int = 0


class Chain:
    """One request: the buffers that the device reads, then those that it writes."""

    def __init__(self, memory: Memory, head: int) -> None:
        self._memory = memory
        self.head = head
        self._readable: list[tuple[int, int]] = []
        self._writable: list[tuple[int, int]] = []

    def add(self, address: int, length: int, writable: bool) -> None:
        """Append a descriptor's buffer. Raises QueueBroken."""
        if self._writable and not writable:
            raise QueueBroken("a device-readable buffer follows a device-writable one")
        (self._writable if writable else self._readable).append((address, length))
        if self.readable_bytes + self.writable_bytes > MAX_CHAIN_BYTES:
            raise QueueBroken(f"a chain has more than {MAX_CHAIN_BYTES} bytes")

    @property
    def readable_bytes(self) -> int:
        """Bytes that the device may read."""
        return sum(length for _, length in self._readable)

    @property
    def writable_bytes(self) -> int:
        """Bytes that the device may write."""
        return sum(length for _, length in self._writable)

    def read(self) -> bytes:
        """Return all that the driver has sent. Raises QueueBroken."""
        return b"".join(_read(self._memory, address, length) for address, length in self._readable)

    def write(self, data: bytes, offset: int = 0) -> int:
        """Write into the writable buffers from `offset` on; return how many bytes fitted.

        Raises QueueBroken.
        """
        done = 0
        for address, length in self._writable:
            skip = min(offset, length)
            offset -= skip
            part = data[done : done + length - skip]
            if part:
                _write(self._memory, address + skip, part)
            done += len(part)
        return done


class Virtqueue:
    """One queue; its addresses are the driver's."""

    def __init__(self, memory: Memory) -> None:
        self.state = QueueState()
        self._memory = memory

    def waiting(self) -> int:
        """Return how many requests the device has not taken yet. Raises QueueBroken."""
        state = self.state
        if not state.ready:
            return 0
        self._check_layout()
        index = _u16(self._memory, state.available + 2)
        waiting = (index - state.next_available) & 0xFFFF
        if waiting > state.size:
            raise QueueBroken(f"the available index is {waiting} ahead of a queue of {state.size}")
        return waiting

    def next_chain(self) -> Chain | None:
        """Return the next request without taking it, None if there is none. Raises QueueBroken."""
        if not self.waiting():
            return None
        state = self.state
        return self._chain(_u16(self._memory, state.available + 4 + 2 * (state.next_available % state.size)))

    def complete(self, chain: Chain, written: int) -> bool:
        """Take the request and put it on the used ring; tell whether the driver wants an interrupt.

        Raises QueueBroken.
        """
        state = self.state
        entry = state.used + 4 + 8 * (state.next_used % state.size)
        _write(self._memory, entry, struct.pack("<II", chain.head, written))
        state.next_available = (state.next_available + 1) & 0xFFFF
        state.next_used = (state.next_used + 1) & 0xFFFF
        _write(self._memory, state.used + 2, struct.pack("<H", state.next_used))
        return not _u16(self._memory, state.available) & AVAIL_NO_INTERRUPT

    def _check_layout(self) -> None:
        state = self.state
        if not 0 < state.size <= QUEUE_SIZE_MAX or state.size & (state.size - 1):
            raise QueueBroken(f"a queue of {state.size}; must be a power of 2 up to {QUEUE_SIZE_MAX}")
        if state.descriptors % 16 or state.available % 2 or state.used % 4:
            raise QueueBroken("a part of the queue is not aligned")

    def _chain(self, head: int) -> Chain:
        chain = Chain(self._memory, head)
        index = head
        for _ in range(self.state.size):
            if index >= self.state.size:
                raise QueueBroken(f"descriptor {index} in a queue of {self.state.size}")
            data = _read(self._memory, self.state.descriptors + 16 * index, DESCRIPTOR.size)
            address, length, flags, following = DESCRIPTOR.unpack(data)
            if flags & F_INDIRECT:
                raise QueueBroken("an indirect descriptor, which was not offered")
            _read(self._memory, address, 0)
            _read(self._memory, address + length, 0)
            chain.add(address, length, bool(flags & F_WRITE))
            if not flags & F_NEXT:
                return chain
            index = following
        raise QueueBroken("a chain of descriptors that does not end")


def _read(memory: Memory, address: int, length: int) -> bytes:
    try:
        return memory.read(address, length)
    except PhysicalAddressError as error:
        raise QueueBroken(str(error)) from error


def _write(memory: Memory, address: int, data: bytes) -> None:
    try:
        memory.write(address, data)
    except PhysicalAddressError as error:
        raise QueueBroken(str(error)) from error


def _u16(memory: Memory, address: int) -> int:
    return int.from_bytes(_read(memory, address, 2), "little")
