"""A network card (Virtio 1.2, section 5.1), and a link between cards.

A frame that finds no room is lost, as on a wire. Left out: offloads, the control queue, several queue pairs.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.queue import Chain

RECEIVE, TRANSMIT = 0, 1
F_MAC, F_STATUS = 1 << 5, 1 << 16
LINK_UP = 1
HEADER_BYTES = 12
FRAME_MIN, FRAME_MAX = 14, 1518  # an Ethernet header; with the largest payload and a VLAN tag
WAITING_MAX = 256


@dataclass
class NetworkState:
    """Frames that the guest has not read, and counts of those that passed or were lost."""

    waiting: list[bytes] = field(default_factory=list[bytes])
    sent: int = 0
    received: int = 0
    lost: int = 0


class VirtioNetwork(VirtioDevice):
    """One queue pair; `send` is where frames go."""

    device_id, queues = 1, 2
    features = F_MAC | F_STATUS

    def __init__(self, mac: bytes, send: Callable[[bytes], None]) -> None:
        """`mac` has six bytes."""
        super().__init__()
        assert len(mac) == 6
        self.state = NetworkState()
        self._mac = mac
        self._send = send
        self.link_up: Callable[[], bool] = lambda: True

    def config(self) -> bytes:
        """Return MAC address and link status."""
        return self._mac + struct.pack("<H", LINK_UP if self.link_up() else 0)

    def receive(self, frame: bytes, awake: bool = True) -> None:
        """Take a frame from the wire; it waits while the machine is not `awake`."""
        if len(self.state.waiting) >= WAITING_MAX or not FRAME_MIN <= len(frame) <= FRAME_MAX:
            self.state.lost += 1
            return
        self.state.waiting.append(frame)
        if awake:
            self.kick(RECEIVE)

    def serve(self, queue: int, chain: Chain) -> int | None:
        """Send a frame, or put a received one into a buffer."""
        return self._transmit(chain) if queue == TRANSMIT else self._deliver(chain)

    def _transmit(self, chain: Chain) -> int:
        frame = chain.read()[HEADER_BYTES:]
        if FRAME_MIN <= len(frame) <= FRAME_MAX:
            self.state.sent += 1
            self._send(frame)
        else:
            self.state.lost += 1
        return 0

    def _deliver(self, chain: Chain) -> int | None:
        if not self.state.waiting:
            return None
        frame = self.state.waiting.pop(0)
        # num_buffers is 1: buffers are not merged.
        data = struct.pack("<10xH", 1) + frame
        if chain.writable_bytes < len(data):
            self.state.lost += 1
            return 0
        self.state.received += 1
        return chain.write(data)


class Link:
    """A wire with any number of ends: a frame reaches every other end at once."""

    def __init__(self) -> None:
        self._ends: list[VirtioNetwork] = []

    def card(self, mac: bytes) -> VirtioNetwork:
        """Return a new card on this wire."""
        number = len(self._ends)
        card = VirtioNetwork(mac, lambda frame: self._carry(number, frame))
        self._ends.append(card)
        return card

    def _carry(self, sender: int, frame: bytes) -> None:
        for number, card in enumerate(self._ends):
            if number != sender:
                card.receive(frame)
