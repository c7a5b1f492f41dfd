"""Page tables written entry by entry, sound or not, into any memory."""

from __future__ import annotations

from typing import Protocol

from emulator.core.csr_bits import PTE_A, PTE_D, PTE_R, PTE_U, PTE_V, PTE_W, PTE_X
from emulator.state import PAGE_BYTES

SV39, SV48, SV57 = 8, 9, 10
RWX = PTE_R | PTE_W | PTE_X
# A leaf that needs no update; G-stage leaves and user pages have U too.
LEAF = PTE_V | RWX | PTE_A | PTE_D
USER = LEAF | PTE_U


class Memory(Protocol):
    """Physical memory by 64-bit words."""

    def load(self, address: int) -> int:
        """Read a word."""
        ...

    def store(self, address: int, value: int) -> None:
        """Write a word."""
        ...


class Tables:
    """Page tables of one stage. `pool` is where tables are taken from; the root lies at its start."""

    def __init__(self, memory: Memory, pool: int, mode: int = SV39, stage2: bool = False) -> None:
        """Begin with an empty root: one page, or for the G-stage four."""
        self.memory = memory
        self.mode = mode
        self.stage2 = stage2
        self.root = pool
        self.next_table = pool + (4 if stage2 else 1) * PAGE_BYTES

    def register(self, identifier: int = 0) -> int:
        """Return the value of satp, vsatp or hgatp for these tables, with this ASID or VMID."""
        return self.mode << 60 | identifier << 44 | self.root >> 12

    def entry(self, address: int, level: int = 0) -> int:
        """Return where the entry for an address stands at `level`, making the tables above it."""
        place = self.free_entry(address, level)
        assert place is not None, "a superpage is in the way"
        return place

    def free_entry(self, address: int, level: int = 0) -> int | None:
        """Return the same, or None if there is a leaf above."""
        table = self.root
        top = self.mode - 6
        for current in range(top, level, -1):
            place = table + self._index(address, current) * 8
            if not self.memory.load(place):
                self.memory.store(place, self.next_table >> 2 | PTE_V)
                self.next_table += PAGE_BYTES
            if self.memory.load(place) & RWX:
                return None
            table = (self.memory.load(place) >> 10 & (1 << 44) - 1) << 12
        return table + self._index(address, level) * 8

    def _index(self, address: int, level: int) -> int:
        width = 0x7FF if self.stage2 and level == self.mode - 6 else 0x1FF
        return address >> 12 + 9 * level & width

    def map(self, address: int, target: int, flags: int = LEAF, level: int = 0, pages: int = 1) -> None:
        """Map pages of the size of `level`."""
        size = PAGE_BYTES << 9 * level
        for number in range(pages):
            place = self.entry(address + number * size, level)
            self.memory.store(place, (target + number * size) >> 2 | flags)
