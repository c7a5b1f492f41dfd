"""Timer and software interrupts (RISC-V ACLINT 1.0-rc4, chapters 2 and 3; SiFive CLINT layout).

`mtime` is the machine's virtual time and cannot be written: `rdtime` must agree with it. Supervisor software
interrupts (SSWI) are left out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.machine.bus import BusFault

MSIP, MTIMECMP, MTIME = 0x0, 0x4000, 0xBFF8
MSI = 1 << 3


@dataclass
class AclintState:
    """Software interrupt bit and timer compare value of each hart."""

    msip: list[int]
    mtimecmp: list[int]


class Aclint:
    """Per-hart MSIP and MTIMECMP registers, and MTIME."""

    size = 0x10000

    def __init__(
        self,
        mtimecmp: list[int],
        now: Callable[[], int],
        set_line: Callable[[int, int, bool], None],
    ) -> None:
        """`mtimecmp` is shared with the run loop, which raises the timer interrupt; `now` is in ticks."""
        self.state = AclintState([0] * len(mtimecmp), mtimecmp)
        self._now = now
        self._set_line = set_line

    def read(self, offset: int, size: int) -> int:
        """Read a register, or half of a 64-bit one."""
        return self._register(offset) >> 8 * (offset & (7 if offset >= MTIMECMP else 3))

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register, or half of a 64-bit one."""
        harts = len(self.state.msip)
        if offset < MTIMECMP:
            if offset & 3 or size > 4 or offset >> 2 >= harts:
                raise BusFault
            self.state.msip[offset >> 2] = value & 1
            self._set_line(offset >> 2, MSI, bool(value & 1))
        elif offset < MTIME:
            index, shift = (offset - MTIMECMP) >> 3, 8 * (offset & 7)
            if index >= harts:
                raise BusFault
            mask = ((1 << 8 * size) - 1) << shift
            self.state.mtimecmp[index] = self.state.mtimecmp[index] & ~mask | value << shift & mask

    def _register(self, offset: int) -> int:
        harts = len(self.state.msip)
        if offset >= MTIME:
            return self._now()
        if offset < MTIMECMP and offset >> 2 < harts:
            return self.state.msip[offset >> 2]
        index = (offset - MTIMECMP) >> 3
        if 0 <= index < harts:
            return self.state.mtimecmp[index]
        raise BusFault
