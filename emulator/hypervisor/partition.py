"""Which frame of host RAM belongs to whom: to nobody, to the hypervisor, or to one VM, never to two.

The owner of a frame is one byte, its *code*, so that the whole map can be sent as it is: 0 free, 1
hypervisor, 2 + 2i RAM of the VM with index i, 3 + 2i a frame of that VM's G-stage table, 255 one that
VMs share because their pages hold the same (`memory.ksm` knows whose it is). Frames are handed out in short
runs that are scattered over the host, as they would be on a host that has been up for a while; the order is
fixed.
"""

from __future__ import annotations

import heapq
from array import array
from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from math import gcd

from emulator.errors import VmLabError
from emulator.hypervisor.trace import Revision
from emulator.state import PAGE_BYTES

FREE, HYPERVISOR, SHARED = 0, 1, 255
RUN_FRAMES = 16
ROOT_FRAMES = 4  # a G-stage root is 16 KiB, naturally aligned
CHANGES_KEPT = 4096
MANY_FRAMES = 64


class OutOfFramesError(VmLabError):
    """The host has too few free frames; the message says how many are needed and how many are free."""


def ram_code(vm_index: int) -> int:
    """Return the code of a VM's RAM frames."""
    return 2 + 2 * vm_index


def table_code(vm_index: int) -> int:
    """Return the code of the frames of a VM's G-stage table."""
    return 3 + 2 * vm_index


class Partition:
    """The frame allocator."""

    def __init__(self, frames: int, revision: Revision) -> None:
        """All `frames` are free."""
        self.codes = bytearray(frames)
        self.free_count = frames
        self._revision = revision
        self._guest_page = array("Q", bytes(8 * frames))  # GPA of a guest RAM frame, plus 1
        # Ranks are places in the order of allocation. A rank may be offered twice, or be that of a frame
        # taken as part of a root; only the frame's code says whether it is free.
        self._order = _scattered(frames)
        self._rank = array("I", bytes(4 * frames))
        for rank, hfn in enumerate(self._order):
            self._rank[hfn] = rank
        self._untouched = 0  # the first rank that was never handed out
        self._returned: list[int] = []  # a heap of ranks
        self._changes: deque[tuple[int, int, int, int]] = deque(maxlen=CHANGES_KEPT)
        self._forgotten = 0

    def take(self, count: int, code: int) -> list[int]:
        """Return `count` frames, now owned by `code`. Raises OutOfFramesError, then nothing has changed."""
        if count > self.free_count:
            raise OutOfFramesError(f"{count} frames are needed and {self.free_count} are free")
        frames: list[int] = self._take_many(count, code) if count >= MANY_FRAMES else []
        while len(frames) < count:
            hfn = self._order[self._next_rank()]
            if self.codes[hfn] == FREE:
                self.codes[hfn] = code
                frames.append(hfn)
        self.free_count -= count
        self._note(frames)
        return frames

    def _take_many(self, count: int, code: int) -> list[int]:
        """Take frames as one by one and in the same order, as far as that goes without looking twice."""
        returned = sorted(self._returned)  # which is a heap, too
        below = bisect_left(returned, self._untouched)
        order, codes = self._order, self.codes
        offered = dict.fromkeys(map(order.__getitem__, returned[:below]))
        frames = [hfn for hfn in offered if not codes[hfn]][:count]
        full = len(frames) == count
        self._returned = returned[bisect_right(returned, self._rank[frames[-1]]) if full else below :]
        fresh = order[self._untouched : self._untouched + count - len(frames)]
        self._untouched += len(fresh)
        frames += [hfn for hfn in fresh if not codes[hfn]]
        for hfn in frames:
            codes[hfn] = code
        return frames

    def _next_rank(self) -> int:
        """Remove and return the lowest rank that may be free."""
        if self._returned and self._returned[0] < self._untouched:
            return heapq.heappop(self._returned)
        self._untouched += 1
        return self._untouched - 1

    def place(self, frames: Sequence[int], gpa: int) -> None:
        """Take note that a guest sees these frames, in this order, from a GPA on."""
        guest_page, mark = self._guest_page, gpa + 1
        for hfn in frames:
            guest_page[hfn] = mark
            mark += PAGE_BYTES

    def gpa(self, hfn: int) -> int | None:
        """Return where a guest sees a frame of its RAM; None for any other frame or number."""
        if not 0 <= hfn < len(self._guest_page) or not self._guest_page[hfn]:
            return None
        return self._guest_page[hfn] - 1

    def take_root(self, code: int) -> list[int]:
        """Return 4 adjacent frames aligned to 16 KiB, from the top of RAM. Raises OutOfFramesError."""
        for first in range(len(self.codes) // ROOT_FRAMES * ROOT_FRAMES - ROOT_FRAMES, -1, -ROOT_FRAMES):
            if not any(self.codes[first : first + ROOT_FRAMES]):
                frames = list(range(first, first + ROOT_FRAMES))
                for hfn in frames:
                    self.codes[hfn] = code
                self.free_count -= ROOT_FRAMES
                self._note(frames)
                return frames
        raise OutOfFramesError(
            "a G-stage root needs 4 adjacent free frames at a multiple of 16 KiB and there are none"
        )

    def take_block(self, count: int, code: int) -> list[int]:
        """Return the lowest `count` adjacent free frames from a multiple of `count` on, or []."""
        for first in range(0, len(self.codes) - count + 1, count):
            if not any(self.codes[first : first + count]):
                frames = list(range(first, first + count))
                for hfn in frames:
                    self.codes[hfn] = code
                self.free_count -= count
                self._note(frames)
                return frames
        return []

    def give_back(self, frames: Iterable[int]) -> None:
        """Make frames free; their contents have been zeroed by the caller."""
        frames = list(frames)
        for hfn in frames:
            assert self.codes[hfn] != FREE
            self.codes[hfn] = FREE
            self._guest_page[hfn] = 0
            heapq.heappush(self._returned, self._rank[hfn])
        self.free_count += len(frames)
        self._note(frames)

    def hand_over(self, frames: list[int], code: int) -> None:
        """Give frames that are owned another owner, with what they hold."""
        for hfn in frames:
            assert self.codes[hfn] != FREE
            self.codes[hfn] = code
            self._guest_page[hfn] = 0
        self._note(frames)

    def owned_by(self, code: int) -> list[int]:
        """Return the frames with a code, in order of HFN."""
        return [hfn for hfn, owner in enumerate(self.codes) if owner == code]

    def changes_since(self, revision: int) -> list[tuple[int, int, int]] | None:
        """Return `(first HFN, count, code)` runs changed since a revision; None if that is too long ago."""
        if revision < self._forgotten:
            return None
        return [(first, count, code) for number, first, count, code in self._changes if number > revision]

    def _note(self, frames: list[int]) -> None:
        number = self._revision.advance()
        for first, count in _runs(sorted(frames)):
            if len(self._changes) == CHANGES_KEPT:
                self._forgotten = self._changes[0][0]
            self._changes.append((number, first, count, self.codes[first]))


def _scattered(frames: int) -> array[int]:
    """Return all HFNs in the order of allocation: runs of 16, each about 0.618 of the host after the last."""
    runs = -(-frames // RUN_FRAMES)
    stride = max(1, round(runs * 0.618))
    while gcd(stride, runs) != 1:
        stride += 1
    order = (index * stride % runs * RUN_FRAMES for index in range(runs))
    return array("I", (hfn for first in order for hfn in range(first, min(first + RUN_FRAMES, frames))))


def _runs(frames: list[int]) -> Iterator[tuple[int, int]]:
    """Yield `(first, count)` for each run of adjacent numbers."""
    first = after = -1
    for hfn in frames:
        if hfn != after:
            if first >= 0:
                yield first, after - first
            first = hfn
        after = hfn + 1
    if first >= 0:
        yield first, after - first
