"""The MMIO transport, version 2 (Virtio 1.2, section 4.2), and what a device behind it must do.

Left out: shared memory regions, queue reset, the legacy interface.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.devices.virtio.faults import DeviceFault, meet_fault
from emulator.devices.virtio.queue import QUEUE_SIZE_MAX, Chain, Memory, QueueBroken, QueueState, Virtqueue
from emulator.machine.bus import BusFault

MAGIC, VERSION, VENDOR = 0x74726976, 2, 0x4D4C_4D56
F_VERSION_1 = 1 << 32
CONFIG = 0x100
# Registers (section 4.2.2).
(DEVICE_FEATURES, DEVICE_FEATURES_SEL, DRIVER_FEATURES, DRIVER_FEATURES_SEL) = 0x10, 0x14, 0x20, 0x24
QUEUE_SEL, QUEUE_NUM_MAX, QUEUE_NUM, QUEUE_READY, QUEUE_NOTIFY = 0x30, 0x34, 0x38, 0x44, 0x50
INTERRUPT_STATUS, INTERRUPT_ACK, STATUS = 0x60, 0x64, 0x70
QUEUE_ADDRESSES = {
    0x80: ("descriptors", 0), 0x84: ("descriptors", 32), 0x90: ("available", 0), 0x94: ("available", 32),
    0xA0: ("used", 0), 0xA4: ("used", 32),
}  # fmt: skip
SHARED_MEMORY = range(0xB0, 0xC0)
CONFIG_GENERATION = 0xFC
# Device status (section 2.1).
FEATURES_OK, DRIVER_OK, NEEDS_RESET = 8, 4, 64
USED_BUFFER, CONFIG_CHANGE = 1, 2
WORD = 0xFFFF_FFFF


class VirtioDevice(ABC):
    """A device behind a transport. Subclasses set the class values and serve requests."""

    device_id: int
    queues = 1
    features = 0
    times_arrivals = False  # whether `arrived` is to be called
    state: Any

    def __init__(self) -> None:
        self.kick: Callable[[int], None] = lambda queue: None
        self.config_changed: Callable[[], None] = lambda: None
        self.driver_features: Callable[[], int] = lambda: 0

    def config(self) -> bytes:
        """Return the configuration space."""
        return b""

    def write_config(self, offset: int, data: bytes) -> None:
        """Take what the driver writes into the configuration space; nothing, unless a subclass does."""

    def arrived(self, waiting: int) -> None:
        """Take note that so many requests wait in the first queue; nothing, unless a subclass does."""

    @abstractmethod
    def serve(self, queue: int, chain: Chain) -> int | None:
        """Serve a request; return the bytes written, or None to leave it until `kick(queue)` is called.

        Raises QueueBroken.
        """

    def reset(self) -> None:
        """Forget what belongs to the driver; nothing, unless a subclass does."""


@dataclass
class MmioState:
    """Registers of the transport, of its queues, and of the device."""

    queues: list[QueueState]
    device: Any
    device_features_sel: int = 0
    driver_features_sel: int = 0
    driver_features: int = 0
    queue_sel: int = 0
    interrupt: int = 0
    status: int = 0
    generation: int = 0
    faults: list[DeviceFault] = field(default_factory=list[DeviceFault])


@dataclass
class EmptyState:
    """An empty slot remembers nothing."""


class EmptySlot:
    """A transport without a device: "DeviceID ... value zero (0x0) is used to define a ... placeholder"."""

    size = 0x1000

    def __init__(self) -> None:
        self.state = EmptyState()

    def read(self, offset: int, size: int) -> int:
        """Read the registers that tell a driver to look no further; the rest reads zero."""
        if size != 4 or offset & 3:
            raise BusFault
        return {0x0: MAGIC, 0x4: VERSION, 0xC: VENDOR}.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """Ignore."""


class VirtioMmio:
    """Transport of one device. `broken` says why the device needs a reset, if it does."""

    size = 0x1000

    def __init__(self, device: VirtioDevice, memory: Memory, interrupt: Callable[[bool], None]) -> None:
        """`memory` is what the device reaches by DMA; `interrupt` drives the line."""
        self.device = device
        self._memory = memory
        self._interrupt = interrupt
        self._queues = [Virtqueue(memory) for _ in range(device.queues)]
        self.state = MmioState([queue.state for queue in self._queues], device.state)
        self.broken = ""
        self.on_broken: Callable[[str], None] = lambda why: None
        device.kick = self.process
        device.config_changed = self._config_changed
        device.driver_features = lambda: self.state.driver_features

    def process_all(self) -> None:
        """Serve what waits in any queue, as when the machine goes on after a pause."""
        for queue in range(len(self._queues)):
            self.process(queue)

    def process(self, queue: int) -> None:
        """Serve the requests that wait in a queue."""
        state = self.state
        if not state.status & DRIVER_OK or state.status & NEEDS_RESET or queue >= len(self._queues):
            return
        try:
            self._serve(self._queues[queue], queue)
        except QueueBroken as error:
            # "The device SHOULD set DEVICE_NEEDS_RESET when it enters an error state that a reset is needed."
            self.broken = str(error)
            state.status |= NEEDS_RESET
            self._raise(CONFIG_CHANGE)
            self.on_broken(self.broken)

    def _serve(self, queue: Virtqueue, index: int) -> None:
        if self.device.times_arrivals:
            self.device.arrived(queue.waiting())
        # Requests that the driver adds while these are served wait for its next notification.
        for _ in range(QUEUE_SIZE_MAX):
            chain = queue.next_chain()
            if chain is None:
                return
            fault = meet_fault(self.state.faults) if self.state.faults else None
            if fault == "stall":
                return
            if fault == "break":
                raise QueueBroken("a fault was injected")
            written = self.device.serve(index, chain)
            if written is None:
                return
            if queue.complete(chain, written):
                self._raise(USED_BUFFER)

    def _raise(self, cause: int) -> None:
        self.state.interrupt |= cause
        self._interrupt(True)

    def _config_changed(self) -> None:
        self.state.generation = (self.state.generation + 1) & WORD
        if self.state.status & DRIVER_OK:
            self._raise(CONFIG_CHANGE)

    def read(self, offset: int, size: int) -> int:
        """Read a register, or bytes of the configuration space."""
        if offset >= CONFIG:
            return int.from_bytes(self.device.config()[offset - CONFIG : offset - CONFIG + size], "little")
        if size != 4 or offset & 3:
            raise BusFault
        if offset == INTERRUPT_STATUS:
            return self.state.interrupt
        if offset == DEVICE_FEATURES:
            return self._offered() >> 32 * self.state.device_features_sel & WORD
        if offset in SHARED_MEMORY:
            return WORD  # no shared memory region has the length -1
        return self._plain_register(offset)

    def _plain_register(self, offset: int) -> int:
        state, queue = self.state, self._selected()
        registers = {
            0x0: MAGIC,
            0x4: VERSION,
            0x8: self.device.device_id,
            0xC: VENDOR,
            QUEUE_NUM_MAX: QUEUE_SIZE_MAX if queue else 0,
            QUEUE_READY: queue.state.ready if queue else 0,
            STATUS: state.status,
            CONFIG_GENERATION: state.generation,
        }
        return registers.get(offset, 0)

    def _offered(self) -> int:
        return self.device.features | F_VERSION_1

    def _selected(self) -> Virtqueue | None:
        return self._queues[self.state.queue_sel] if self.state.queue_sel < len(self._queues) else None

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register, or bytes of the configuration space."""
        if offset >= CONFIG:
            self.device.write_config(offset - CONFIG, value.to_bytes(size, "little"))
            return
        if size != 4 or offset & 3:
            raise BusFault
        if offset in (QUEUE_NUM, QUEUE_READY) or offset in QUEUE_ADDRESSES:
            self._write_queue(offset, value)
        elif offset == QUEUE_NOTIFY:
            self.process(value)
        elif offset == INTERRUPT_ACK:
            self.state.interrupt &= ~value
            self._interrupt(self.state.interrupt != 0)
        elif offset == STATUS:
            self._write_status(value)
        else:
            self._write_selector(offset, value)

    def _write_selector(self, offset: int, value: int) -> None:
        state = self.state
        if offset == DEVICE_FEATURES_SEL:
            state.device_features_sel = value & 0xFF
        elif offset == DRIVER_FEATURES_SEL:
            state.driver_features_sel = value & 0xFF
        elif offset == QUEUE_SEL:
            state.queue_sel = value
        elif offset == DRIVER_FEATURES and not state.status & FEATURES_OK and state.driver_features_sel < 2:
            shift = 32 * state.driver_features_sel
            state.driver_features = state.driver_features & ~(WORD << shift) | value << shift

    def _write_queue(self, offset: int, value: int) -> None:
        queue = self._selected()
        if queue is None:
            return
        if offset == QUEUE_READY:
            queue.state.ready = value & 1
        elif queue.state.ready:
            return  # "The driver MUST NOT change" a queue in use
        elif offset == QUEUE_NUM:
            queue.state.size = value
        else:
            name, shift = QUEUE_ADDRESSES[offset]
            old: int = getattr(queue.state, name)
            setattr(queue.state, name, old & ~(WORD << shift) | value << shift)

    def _write_status(self, value: int) -> None:
        if value == 0:
            self._reset()
            return
        accepted = self.state.driver_features
        # "the device ... clears FEATURES_OK if it does not support this subset of features"
        if accepted & ~self._offered() or not accepted & F_VERSION_1:
            value &= ~FEATURES_OK
        self.state.status = value & 0xFF & ~NEEDS_RESET | self.state.status & NEEDS_RESET

    def _reset(self) -> None:
        for queue, fresh in zip(self._queues, (QueueState() for _ in self._queues), strict=True):
            queue.state = fresh
        self.broken = ""
        self.device.reset()
        self.state = MmioState(
            [queue.state for queue in self._queues],
            self.device.state,
            generation=self.state.generation,
            faults=self.state.faults,
        )
        self._interrupt(False)
