"""An entropy source (Virtio 1.2, section 5.4) that is not random at all: a hash of seed and position.

A run must be repeatable; a guest that needs real secrets has no place in this machine.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.queue import Chain

BLOCK_BYTES = 64
REQUEST_MAX = 4096


@dataclass
class EntropyState:
    """The seed, and how many blocks have been given out."""

    seed: int
    blocks: int = 0


class VirtioEntropy(VirtioDevice):
    """One request queue of device-writable buffers."""

    device_id = 4

    def __init__(self, seed: int) -> None:
        """The same seed gives the same bytes."""
        super().__init__()
        self.state = EntropyState(seed)

    def serve(self, queue: int, chain: Chain) -> int | None:
        """Fill a buffer, or its first 4 KiB."""
        length = min(chain.writable_bytes, REQUEST_MAX)
        data = b"".join(self._block() for _ in range(-(-length // BLOCK_BYTES)))
        return chain.write(data[:length])

    def _block(self) -> bytes:
        self.state.blocks += 1
        return hashlib.blake2b(f"{self.state.seed} {self.state.blocks}".encode()).digest()
