"""Looks at a lab's memory, one after the other: which frames were touched between them. No part of the lab.

Eight looks are kept for each frame as the bits of a byte, the newest on top, so that all frames move on at
once. A frame that got another owner or page begins anew.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from emulator.hypervisor.gstage import ENTRIES, PTE_A, PTE_D, PTE_V
from emulator.lab.planes import either, halved, inverted, is_same, masked, words_differ
from emulator.state import RAM_BASE

if TYPE_CHECKING:
    from emulator.hypervisor.hypervisor import Hypervisor

LOOKS = 8
NEWEST = 1 << LOOKS - 1
# Codes of the layers: FIRST is that of a frame that was found touched longest ago, or least.
FIRST = 3


class Samples:
    """What the newest looks have found."""

    def __init__(self) -> None:
        """Nobody has looked."""
        self.times: deque[int] = deque(maxlen=LOOKS)  # virtual ns, the newest last
        self._slots = self._codes = self._pages = b""
        self._seen = self._touched = b""

    def look(self, hypervisor: Hypervisor, now_ns: int) -> None:
        """Look at all frames; at the instant of the last look nothing moves on, before it all begins anew."""
        slots, codes = hypervisor.host.slots(), bytes(hypervisor.partition.codes)
        pages = hypervisor.partition.guest_pages()
        accessed = bytes(len(codes))
        if is_aging(hypervisor):
            accessed = frame_flags(hypervisor).translate(_ACCESSED)
        if not self.times or now_ns < self.times[-1] or len(codes) != len(self._codes):
            self.times.clear()
            self._seen = self._touched = accessed
        elif now_ns > self.times[-1]:
            kept = masked(is_same(codes, self._codes), inverted(words_differ(pages, self._pages)))
            written = masked(words_differ(slots, self._slots).translate(_NEWEST), kept)
            self._seen = either(masked(halved(self._seen), kept), accessed)
            self._touched = either(masked(halved(self._touched), kept), accessed, written)
        else:
            return
        self.times.append(now_ns)
        self._slots, self._codes, self._pages = slots, codes, pages

    def ages(self) -> bytes:
        """Return how long ago the A bit of each frame was last found set, as codes of the layer *age*."""
        return self._seen.translate(_AGES)

    def heat(self) -> bytes:
        """Return in how many of the looks each frame was found touched, as codes of the layer *heat*."""
        return self._touched.translate(_HEAT)


def dirty(flags: bytes, used: bytes) -> bytes:
    """Return codes of the layer *dirty*: `flags` are low bytes of leaves, `used` masks pages with a slot."""
    written = masked(flags.translate(_DIRTY), used.translate(_ONE))
    return either(written, inverted(used).translate(_TWO)).translate(_DIRT)


def frame_flags(hypervisor: Hypervisor) -> bytes:
    """Return the low byte of the G-stage leaf that leads to each host frame, 0 where none does."""
    found = bytearray(hypervisor.host.frames + 1)  # pages without a frame are written behind the last
    for vm in hypervisor.vms.values():
        if vm.gstage is not None:
            flags = vm.gstage.leaf_flags(RAM_BASE, len(vm.frames))
            for first in range(0, len(flags), ENTRIES):
                part = flags[first : first + ENTRIES]
                if any(part):
                    for hfn, flag in zip(vm.frames[first : first + ENTRIES], part, strict=True):
                        found[hfn] = flag
    return bytes(found[:-1])


def is_aging(hypervisor: Hypervisor) -> bool:
    """Return whether the host clears A bits, so that those that are set say something."""
    return "age" in hypervisor.daemon.chores


def _age(seen: int) -> int:
    """Return 3 for a frame that was found accessed in the newest look, 2 and 1 for earlier, 0 for none."""
    return 3 if seen >= NEWEST else 2 if seen >= NEWEST >> 2 else 1 if seen else 0


def _warmth(touched: int) -> int:
    looks = touched.bit_count()
    return 0 if not looks else 1 if looks <= 2 else 2 if looks <= 5 else 3


_ACCESSED = bytes(NEWEST if flags & PTE_V and flags & PTE_A else 0 for flags in range(256))
_DIRTY = bytes(1 if flags & PTE_V and flags & PTE_D else 0 for flags in range(256))
_NEWEST = bytes(NEWEST if mask else 0 for mask in range(256))
_ONE = bytes(1 if mask else 0 for mask in range(256))
_TWO = bytes(2 if mask else 0 for mask in range(256))
_AGES = bytes(FIRST + _age(seen) for seen in range(256))
_HEAT = bytes(FIRST + _warmth(touched) for touched in range(256))
_DIRT = bytes([FIRST + 1, FIRST + 2, *([FIRST] * 254)])
