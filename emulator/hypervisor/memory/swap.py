"""The swap area of a host: slots of 4 KiB on a disk that is only as real as its latency."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from typing import Any

from emulator.machine.host import ZERO_PAGE, page_digest


@dataclass
class SwapArea:
    """`size` slots; those in use hold a page, the lowest free one is taken first."""

    size: int
    slots: dict[int, bytes] = field(default_factory=dict[int, bytes])
    returned: list[int] = field(default_factory=list[int])  # a heap of slots that were in use
    untouched: int = 0  # the first slot that never was

    @property
    def free(self) -> int:
        """How many slots are free."""
        return self.size - len(self.slots)

    def store(self, page: bytes) -> int:
        """Put a page into a free slot, which there is, and return its number."""
        assert self.free
        if self.returned:
            slot = heapq.heappop(self.returned)
        else:
            slot, self.untouched = self.untouched, self.untouched + 1
        self.slots[slot] = ZERO_PAGE if page == ZERO_PAGE else page
        return slot

    def release(self, slot: int) -> None:
        """Make a slot free."""
        del self.slots[slot]
        heapq.heappush(self.returned, slot)

    def state(self) -> list[Any]:
        """Return the plain state, for the state hash."""
        return [self.size, sorted((slot, page_digest(page).hex()) for slot, page in self.slots.items())]
