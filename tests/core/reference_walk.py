"""Two-stage translation in Python's integers, written from the standard's steps (10.3.2, 18.5.1) for tests.

Without hardware updates of A and D: an entry with either bit missing where it is needed is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

V, R, W, X, U, A, D = (1 << bit for bit in (0, 1, 2, 3, 4, 6, 7))
NEEDS = {"load": R, "store": W, "fetch": X}
ReadWord = Callable[[int], "int | None"]


@dataclass(frozen=True)
class Refused(Exception):
    """The access is refused by a stage: "vs", "g" or, where a table lies outside RAM, "access"."""

    stage: str


@dataclass(frozen=True)
class Reference:
    """A hart's view of memory; `read` returns the word at a host physical address, None outside RAM."""

    read: ReadWord
    vsatp: int
    hgatp: int

    def host_physical(self, gpa: int, need: str) -> int:
        """Translate a guest physical address. Raises Refused."""
        mode = self.hgatp >> 60
        if mode == 0:
            return gpa
        if gpa >> 12 + 9 * (mode - 5) + 2:
            raise Refused("g")
        entry, level = self._leaf(self.hgatp, gpa, "g", lambda place: place)
        if not entry & U:
            raise Refused("g")
        return self._page(entry, level, gpa, need, "g")

    def translate(self, address: int, need: str, user: bool, sum_bit: bool) -> int:
        """Translate a guest virtual address to a host physical one. Raises Refused."""
        return self.host_physical(self.guest_physical(address, need, user, sum_bit), need)

    def guest_physical(self, address: int, need: str, user: bool, sum_bit: bool) -> int:
        """Translate a guest virtual address to a guest physical one. Raises Refused."""
        mode = self.vsatp >> 60
        if mode == 0:
            return address
        bits = 12 + 9 * (mode - 5)
        extended = (address & (1 << bits) - 1) - (1 << bits if address >> bits - 1 & 1 else 0)
        if extended % (1 << 64) != address:
            raise Refused("vs")
        entry, level = self._leaf(
            self.vsatp, address & (1 << bits) - 1, "vs", lambda place: self.host_physical(place, "load")
        )
        if (user and not entry & U) or (not user and entry & U and (need == "fetch" or not sum_bit)):
            raise Refused("vs")
        return self._page(entry, level, address, need, "vs")

    def _leaf(self, root: int, address: int, stage: str, place_of: Callable[[int], int]) -> tuple[int, int]:
        table = (root & (1 << 44) - 1) << 12
        for level in reversed(range((root >> 60) - 5)):
            index = address >> 12 + 9 * level
            if level < (root >> 60) - 6:
                index %= 512
            entry = self.read(place_of(table + 8 * index))
            if entry is None:
                raise Refused("access")
            if not entry & V or (entry & W and not entry & R) or entry >> 54:
                raise Refused(stage)
            if entry & (R | X):
                return entry, level
            if entry & (U | A | D):
                raise Refused(stage)
            table = (entry >> 10) << 12
        raise Refused(stage)

    def _page(self, entry: int, level: int, address: int, need: str, stage: str) -> int:
        size = 4096 << 9 * level
        base = (entry >> 10) << 12
        if not entry & NEEDS[need] or base % size or not entry & A or (need == "store" and not entry & D):
            raise Refused(stage)
        return base + address % size
