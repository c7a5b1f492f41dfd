"""A console (Virtio 1.2, section 5.3). Left out: size, several ports, emergency write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.queue import Chain

RECEIVE, TRANSMIT = 0, 1
INPUT_LIMIT = 1 << 16


@dataclass
class ConsoleState:
    """Input that the guest has not read."""

    received: bytes = b""


class VirtioConsole(VirtioDevice):
    """Port 0: bytes in, bytes out."""

    device_id, queues = 3, 2

    def __init__(self, send: Callable[[bytes], None], take: Callable[[int], bytes] | None = None) -> None:
        """`send` takes what the guest writes; `take(count)` gives up to `count` bytes of input.

        Without `take`, input is what `receive` is given.
        """
        super().__init__()
        self.state = ConsoleState()
        self._send = send
        self._take = take or self._take_received

    def receive(self, data: bytes) -> int:
        """Queue input for the guest; return how many bytes there was room for."""
        room = data[: INPUT_LIMIT - len(self.state.received)]
        self.state.received += room
        self.kick(RECEIVE)
        return len(room)

    def serve(self, queue: int, chain: Chain) -> int | None:
        """Send what the guest wrote, or fill its buffer with input."""
        if queue == TRANSMIT:
            self._send(chain.read())
            return 0
        room = chain.writable_bytes
        data = self._take(room) if room else b""
        if not data:
            return None if room else 0
        return chain.write(data)

    def _take_received(self, count: int) -> bytes:
        data, self.state.received = self.state.received[:count], self.state.received[count:]
        return data
