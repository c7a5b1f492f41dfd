"""A memory balloon (Virtio 1.2, section 5.5): the host asks for pages, the guest names those it gives up.

Left out: free page hints and reporting, deflate on out-of-memory.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from emulator.devices.virtio.mmio import VirtioDevice
from emulator.devices.virtio.queue import Chain

INFLATE, DEFLATE, STATISTICS = 0, 1, 2
F_MUST_TELL_HOST, F_STATS_VQ = 1, 2
ACTUAL_OFFSET = 4
PAGE_NUMBERS_MAX = 4096
STATISTIC = struct.Struct("<HQ")  # tag, value (section 5.5.6.3)
STATISTICS_MAX = 16
MEMORY_FREE, MEMORY_TOTAL, MEMORY_AVAILABLE = 4, 5, 6


@dataclass
class BalloonState:
    """Pages wanted, pages that the driver says it has given, and which they are; its statistics by tag."""

    target: int = 0
    actual: int = 0
    pages: set[int] = field(default_factory=set[int])
    statistics: dict[int, int] = field(default_factory=dict[int, int])
    asked: bool = False  # for new statistics


class VirtioBalloon(VirtioDevice):
    """`release(page_numbers)` takes the pages that the guest gives up."""

    device_id, queues = 5, 3
    features = F_MUST_TELL_HOST | F_STATS_VQ

    def __init__(self, owned: range, release: Callable[[Iterable[int]], object]) -> None:
        """Page numbers are guest physical addresses divided by 4 KiB; those outside `owned` are ignored."""
        super().__init__()
        self._owned = owned
        self.state = BalloonState()
        self._release = release

    def own(self, owned: range) -> None:
        """Take pages of these numbers from now on: the guest's memory has grown."""
        self._owned = owned

    def ask(self, pages: int) -> None:
        """Ask the guest for so many pages in all."""
        if pages != self.state.target:
            self.state.target = pages
            self.config_changed()

    def ask_for_statistics(self) -> None:
        """Give the buffer of the statistics back to the driver, which fills it anew."""
        self.state.asked = True
        self.kick(STATISTICS)

    def config(self) -> bytes:
        """Return num_pages and actual."""
        return struct.pack("<II", self.state.target, self.state.actual)

    def write_config(self, offset: int, data: bytes) -> None:
        """Take the driver's `actual`."""
        if offset == ACTUAL_OFFSET and len(data) == 4:
            self.state.actual = int.from_bytes(data, "little")

    def serve(self, queue: int, chain: Chain) -> int | None:
        """Take or give back the pages that a request lists, or read statistics."""
        if queue == STATISTICS:
            return self._take_statistics(chain)
        data = chain.read()[: 4 * PAGE_NUMBERS_MAX]
        named = (number for (number,) in struct.iter_unpack("<I", data[: len(data) & -4]))
        pages = [number for number in named if number in self._owned]
        if queue == INFLATE:
            self.state.pages.update(pages)
            self._release(pages)
        else:
            self.state.pages.difference_update(pages)
        return 0

    def _take_statistics(self, chain: Chain) -> int | None:
        """Read the buffer; it stays here until new statistics are wanted."""
        data = chain.read()[: STATISTIC.size * STATISTICS_MAX]
        whole = data[: len(data) - len(data) % STATISTIC.size]
        self.state.statistics = dict(STATISTIC.iter_unpack(whole))
        if not self.state.asked:
            return None
        self.state.asked = False
        return 0

    def reset(self) -> None:
        """A driver that starts again has all its pages."""
        self.state.pages.clear()
        self.state.statistics.clear()
        self.state.actual = 0
        self.state.asked = False
