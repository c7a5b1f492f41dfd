"""Flat memory of this process for the records and arrays that the kernels work on."""

from __future__ import annotations

import ctypes
import mmap
from typing import Any


class Arena:
    """One anonymous mapping, zero at first.

    The kernel of the real host gives it pages as they are written.
    """

    def __init__(self, size: int) -> None:
        """Map `size` bytes (at least one page)."""
        self._map = mmap.mmap(-1, max(size, mmap.PAGESIZE), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pin = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(self._pin)
        self.size = size

    def u32(self, count: int) -> Any:
        """Return the first `count` words as a ctypes array that shares the memory."""
        return (ctypes.c_uint32 * count).from_buffer(self._map)

    def record(self, struct: type[ctypes.Structure], offset: int = 0) -> Any:
        """Return a ctypes record that shares the memory at `offset`."""
        return struct.from_buffer(self._map, offset)
