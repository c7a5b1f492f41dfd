"""How much memory a VM has now: a device of our own, for guests that can take more while they run.

At 0 stand the bytes of RAM from 0x8000_0000 on, at 8 the most that they can become, 64 bits each; an
interrupt (an edge) says that the first has grown. Nothing can be written, and nothing has to be acknowledged:
what is there can be used at once. Its node in a device tree is compatible with "vmlab,memory-size". Linux has
no driver for it: that would take virtio-mem (Virtio 1.2, section 5.15), which is left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.machine.bus import BusFault


@dataclass
class MemorySizeState:
    """Nothing: the sizes are the VM's."""


class MemorySize:
    """The page of the sizes."""

    size = 0x1000

    def __init__(self, sizes: Callable[[], tuple[int, int]], set_interrupt: Callable[[bool], None]) -> None:
        """`sizes()` are the bytes now and at most; `set_interrupt(level)` drives the interrupt line."""
        self.state = MemorySizeState()
        self._sizes = sizes
        self._set_interrupt = set_interrupt

    def read(self, offset: int, size: int) -> int:
        """Return bytes of the sizes; zeros behind them."""
        now, most = self._sizes()
        data = now.to_bytes(8, "little") + most.to_bytes(8, "little")
        return int.from_bytes(data[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Refuse. Raises BusFault."""
        raise BusFault

    def grown(self) -> None:
        """Tell the guest, by an edge."""
        self._set_interrupt(True)
        self._set_interrupt(False)
