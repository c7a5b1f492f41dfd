"""Which frame of host RAM belongs to whom: to nobody, to the hypervisor, or to one VM, never to two.

The owner of a frame is one byte, its *code*, so that the whole map can be sent as it is: 0 free, 1
hypervisor, 2 + 2i RAM of the VM with index i, 3 + 2i a frame of that VM's G-stage table, 255 one that
VMs share because their pages hold the same (`memory.ksm` knows whose it is). Frames are handed out in short
runs that are scattered over the host, as they would be on a host that has been up for a while; the order is
fixed.
"""

from __future__ import annotations

import itertools
from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from math import gcd

from emulator.errors import VmLabError
from emulator.hypervisor.trace import Revision
from emulator.state import PAGE_BYTES, RAM_BASE

FREE, HYPERVISOR, SHARED = 0, 1, 255
RUN_FRAMES = 16
ROOT_FRAMES = 4  # a G-stage root is 16 KiB, naturally aligned
CHANGES_KEPT = 4096


class OutOfFramesError(VmLabError):
    """The host has too few free frames; the message says how many are needed and how many are free."""


def ram_code(vm_index: int) -> int:
    """Return the code of a VM's RAM frames."""
    return 2 + 2 * vm_index


def table_code(vm_index: int) -> int:
    """Return the code of the frames of a VM's G-stage table."""
    return 3 + 2 * vm_index


@dataclass(frozen=True)
class _Order:
    """The fixed order in which frames are handed out: frames by rank, and ranks by frame.

    `numbers` are 0, 1, 2, ... as 32-bit words, to compare with.
    """

    frames: array[int]
    ranks: array[int]
    numbers: bytes

    def words(self, first: int, count: int) -> array[int]:
        """Return `count` adjacent numbers from `first` on."""
        if (first + count) * 4 <= len(self.numbers):
            return array("I", self.numbers[first * 4 : (first + count) * 4])
        return array("I", range(first, first + count))

    def stretches(self, numbers: Iterable[int]) -> list[tuple[int, int]]:
        """Return `(first, count)` of adjacent numbers that follow each other, in the order given.

        Frames come in runs, so a whole run is compared at once before numbers are looked at one by one.
        """
        found: list[tuple[int, int]] = []
        words = array("I", numbers)
        at, end, run, given = 0, len(words), RUN_FRAMES, words.tobytes()
        while at < end:
            first, start = words[at], at
            number = first
            while at < end and words[at] == number:
                whole = given[at * 4 : (at + run) * 4] == self.numbers[number * 4 : (number + run) * 4]
                length = min(run, end - at) if whole else 1
                at, number = at + length, number + length
            found.append((first, at - start))
        return found


class Partition:
    """The frame allocator."""

    def __init__(self, frames: int, revision: Revision) -> None:
        """All `frames` are free."""
        self.codes = bytearray(frames)
        self.free_count = frames
        self._revision = revision
        self._guest_page = array("I", bytes(4 * frames))  # which page of guest RAM a frame is, plus 1
        self._order = _order_of(frames)
        self._free = bytearray(b"\1" * frames)  # by rank
        self._lowest = 0  # no rank below it is free
        self._changes: deque[tuple[int, int, int, int]] = deque(maxlen=CHANGES_KEPT)
        self._forgotten = 0

    def take(self, count: int, code: int, gpa: int | None = None) -> list[int]:
        """Return `count` frames, now owned by `code`, which a guest sees from `gpa` on, if given.

        Raises OutOfFramesError, then nothing has changed.
        """
        if count > self.free_count:
            raise OutOfFramesError(f"{count} frames are needed and {self.free_count} are free")
        frames: list[int] = []
        free, first = self._free, self._lowest
        while len(frames) < count:
            first = free.find(1, first)
            end = free.find(0, first, first + count - len(frames))
            if end < 0:
                end = min(len(free), first + count - len(frames))
            frames += self._order.frames[first:end]
            free[first:end] = bytes(end - first)
            first = end
        self._lowest = first
        self.free_count -= count
        stretches = self._order.stretches(frames)
        if gpa is not None:
            self._place(stretches, gpa)
        self._own(stretches, code)
        return frames

    def _take_here(self, first: int, count: int, code: int) -> list[int]:
        """Return adjacent frames, which are free."""
        frames = list(range(first, first + count))
        for hfn in frames:
            self._free[self._order.ranks[hfn]] = 0
        self.free_count -= count
        self._own([(first, count)], code)
        return frames

    def place(self, frames: Sequence[int], gpa: int) -> None:
        """Take note that a guest sees these frames, in this order, from a GPA on."""
        self._place(self._order.stretches(frames), gpa)

    def _place(self, stretches: list[tuple[int, int]], gpa: int) -> None:
        mark = (gpa - RAM_BASE) // PAGE_BYTES + 1
        for first, count in stretches:
            self._guest_page[first : first + count] = self._order.words(mark, count)
            mark += count

    def gpa(self, hfn: int) -> int | None:
        """Return where a guest sees a frame of its RAM; None for any other frame or number."""
        if not 0 <= hfn < len(self._guest_page) or not self._guest_page[hfn]:
            return None
        return RAM_BASE + (self._guest_page[hfn] - 1) * PAGE_BYTES

    def guest_pages(self) -> bytes:
        """Return which page of guest RAM each frame is, plus 1 (0: none), as 32-bit words."""
        return self._guest_page.tobytes()

    def take_root(self, code: int) -> list[int]:
        """Return 4 adjacent frames aligned to 16 KiB, from the top of RAM. Raises OutOfFramesError."""
        for first in range(len(self.codes) // ROOT_FRAMES * ROOT_FRAMES - ROOT_FRAMES, -1, -ROOT_FRAMES):
            if not any(self.codes[first : first + ROOT_FRAMES]):
                return self._take_here(first, ROOT_FRAMES, code)
        raise OutOfFramesError(
            "a G-stage root needs 4 adjacent free frames at a multiple of 16 KiB and there are none"
        )

    def take_block(self, count: int, code: int) -> list[int]:
        """Return the lowest `count` adjacent free frames from a multiple of `count` on, or []."""
        for first in range(0, len(self.codes) - count + 1, count):
            if not any(self.codes[first : first + count]):
                return self._take_here(first, count, code)
        return []

    def give_back(self, frames: Iterable[int]) -> None:
        """Make frames free; their contents have been zeroed by the caller."""
        frames = list(frames)
        stretches = self._order.stretches(frames)
        for first, count in stretches:
            assert self.codes.find(FREE, first, first + count) < 0
            self._guest_page[first : first + count] = array("I", bytes(4 * count))
        returned = sorted(map(self._order.ranks.__getitem__, frames))
        for first, count in self._order.stretches(returned):
            self._free[first : first + count] = b"\1" * count
        self._lowest = min([self._lowest, *returned[:1]])
        self.free_count += len(frames)
        self._own(stretches, FREE)

    def hand_over(self, frames: list[int], code: int) -> None:
        """Give frames that are owned another owner, with what they hold."""
        stretches = self._order.stretches(frames)
        for first, count in stretches:
            assert self.codes.find(FREE, first, first + count) < 0
            self._guest_page[first : first + count] = array("I", bytes(4 * count))
        self._own(stretches, code)

    def changes_since(self, revision: int) -> list[tuple[int, int, int]] | None:
        """Return `(first HFN, count, code)` runs changed since a revision; None if that is too long ago."""
        if revision < self._forgotten:
            return None
        newer = itertools.takewhile(lambda change: change[0] > revision, reversed(self._changes))
        return [change[1:] for change in newer][::-1]

    def _own(self, stretches: list[tuple[int, int]], code: int) -> None:
        """Set the owner of frames, and note that it changed."""
        number = self._revision.advance()
        for first, count in _joined(sorted(stretches)):
            self.codes[first : first + count] = bytes([code]) * count
            if len(self._changes) == CHANGES_KEPT:
                self._forgotten = self._changes[0][0]
            self._changes.append((number, first, count, code))


def _order_of(frames: int) -> _Order:
    """Return the order of allocation: runs of 16, each about 0.618 of the host after the last."""
    runs = -(-frames // RUN_FRAMES)
    stride = max(1, round(runs * 0.618))
    while gcd(stride, runs) != 1:
        stride += 1
    firsts = (index * stride % runs * RUN_FRAMES for index in range(runs))
    order = array("I", (hfn for at in firsts for hfn in range(at, min(at + RUN_FRAMES, frames))))
    ranks = array("I", bytes(4 * frames))
    for rank, hfn in enumerate(order):
        ranks[hfn] = rank
    return _Order(order, ranks, array("I", range(frames + 1)).tobytes())


def _joined(stretches: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield stretches in order, those that touch as one."""
    first = after = -1
    for start, count in stretches:
        if start != after:
            if first >= 0:
                yield first, after - first
            first = start
        after = start + count
    if first >= 0:
        yield first, after - first
