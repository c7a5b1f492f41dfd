"""The contents of frames at one instant, held in a host's backing store beside what the frames become.

A page is 4 KiB. What nobody has changed since is the same memory as the frame's; the first store to a frame
gives that frame a slot of its own (`core/memory.py`), and the page stays.
"""

from __future__ import annotations

import ctypes
import weakref
from array import array
from collections.abc import Iterable
from typing import TYPE_CHECKING

from emulator.state import PAGE_BYTES

if TYPE_CHECKING:
    from emulator.machine.host import Host

ZERO_PAGE = bytes(PAGE_BYTES)


class Pages:
    """The contents of a list of frames at one instant, held in the backing store of a host.

    They cost memory only where a frame has changed since. Dropping the object lets go of them.
    """

    def __init__(self, host: Host, slots: array[int]) -> None:
        """Hold `slots`, whose references have been counted."""
        self.host = host
        self.slots = slots
        self._release = weakref.finalize(self, _release, host, slots)
        self._release.atexit = False

    def __len__(self) -> int:
        """Return the number of frames."""
        return len(self.slots)

    def release(self) -> None:
        """Let go now."""
        self._release()

    def take_over(self) -> array[int]:
        """Return the slots, for which the caller answers from now on."""
        self._release.detach()
        return self.slots

    def page(self, index: int) -> bytes:
        """Return the 4096 bytes of one frame."""
        slot = self.slots[index]
        if slot == 0:
            return ZERO_PAGE
        return ctypes.string_at(self.host.store_address + slot * PAGE_BYTES, PAGE_BYTES)

    def own_bytes(self) -> int:
        """Return the memory that would be free without this object: pages that nobody else has."""
        references = self.host.slot_references
        return sum(PAGE_BYTES for slot in self.slots if slot and references[slot] == 1)

    def shared_bytes(self) -> int:
        """Return the memory that others have as well: frames, or other `Pages`."""
        return sum(PAGE_BYTES for slot in self.slots if slot) - self.own_bytes()


def _release(host: Host, slots: array[int]) -> None:
    table = pairs(slots, slots)
    host.engine.release(host.record, table.buffer_info()[0], 4 * len(table))


def pairs(frames: Iterable[int], slots: array[int] | None = None) -> array[int]:
    """Return a table of (frame, slot) pairs for the kernels; without `slots`, all are the zero page."""
    numbers = frames if isinstance(frames, array) else array("I", frames)
    table = array("I", bytes(8 * len(numbers)))
    table[0::2] = numbers
    if slots is not None:
        table[1::2] = slots
    return table
