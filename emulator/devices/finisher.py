"""SiFive's test finisher: a guest ends or restarts the machine by writing one word (`syscon-poweroff`).

Source: QEMU documentation, "virt" board, test device; the words are those of the device tree's nodes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

FAIL, PASS, RESET = 0x3333, 0x5555, 0x7777


@dataclass
class FinisherState:
    """The finisher remembers nothing."""


class Finisher:
    """One 32-bit register at offset 0."""

    size = 0x1000

    def __init__(self, stop: Callable[[int], None], reset: Callable[[], None]) -> None:
        """`stop(code)` ends the machine, `reset` restarts it."""
        self.state = FinisherState()
        self._stop = stop
        self._reset = reset

    def read(self, offset: int, size: int) -> int:
        """Return 0."""
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Pass, fail with the code in the upper half, or reset; other words do nothing."""
        if offset != 0:
            return
        command = value & 0xFFFF
        if command == PASS:
            self._stop(0)
        elif command == FAIL:
            self._stop(value >> 16 & 0xFFFF)
        elif command == RESET:
            self._reset()
