"""The VM generation ID: 16 bytes that change when a VM goes on from an instant that is not its own last one.

Microsoft, "Virtual Machine Generation ID" (2012), as the device tree binding `microsoft,vmgenid` of Linux
describes it: a page whose first 16 bytes are the ID, and an interrupt that says that it has changed. A guest
that keeps a copy can tell that it was cloned or taken back, and must not use its old random numbers again.

Here the page is a device's, so that each read is an exit; it cannot be written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.machine.bus import BusFault

ID_BYTES = 16


@dataclass
class VmGenIdState:
    """What the guest reads."""

    generation: bytes


class VmGenId:
    """The page of the ID."""

    size = 0x1000

    def __init__(self, generation: bytes, set_interrupt: Callable[[bool], None]) -> None:
        """Show an ID of 16 bytes; `set_interrupt(level)` drives the interrupt line."""
        assert len(generation) == ID_BYTES
        self.state = VmGenIdState(generation)
        self._set_interrupt = set_interrupt

    def read(self, offset: int, size: int) -> int:
        """Return bytes of the ID, as they stand in memory; zeros behind it."""
        return int.from_bytes(self.state.generation[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Refuse. Raises BusFault."""
        raise BusFault

    def change(self, generation: bytes) -> None:
        """Show another ID and tell the guest, by an edge."""
        assert len(generation) == ID_BYTES
        self.state.generation = generation
        self._set_interrupt(True)
        self._set_interrupt(False)
