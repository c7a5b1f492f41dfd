"""Flat memory of this process for the records and arrays that the kernels work on.

Before and after each piece lies a guard page, which no access survives: a kernel that ran off an array would
end the process rather than change what lies there. Where memory cannot be protected (WebAssembly) the pages
are there without effect.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache
from typing import Any

GUARD_BYTES = mmap.PAGESIZE
_PROT_NONE = 0
# Linux counts such a mapping only as it is written (mmap(2)); Python names the flag from 3.13 on.
_UNRESERVED = 0x4000 if sys.platform == "linux" else 0


class Arena:
    """One anonymous mapping between guard pages, zero at first.

    The kernel of the real host gives it pages as they are written.
    """

    def __init__(self, size: int) -> None:
        """Map `size` bytes, rounded up to whole pages (at least one)."""
        inside = -(-max(size, 1) // mmap.PAGESIZE) * mmap.PAGESIZE
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _UNRESERVED
        self._map = mmap.mmap(-1, inside + 2 * GUARD_BYTES, flags=flags)
        self._pin = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(self._pin) + GUARD_BYTES
        self.size = size
        _guard(self.address - GUARD_BYTES)
        _guard(self.address + inside)

    def u32(self, count: int) -> Any:
        """Return the first `count` words as a ctypes array that shares the memory."""
        return (ctypes.c_uint32 * count).from_buffer(self._map, GUARD_BYTES)

    def record(self, struct: type[ctypes.Structure], offset: int = 0) -> Any:
        """Return a ctypes record that shares the memory at `offset`."""
        return struct.from_buffer(self._map, GUARD_BYTES + offset)


@cache
def _mprotect() -> Any:
    """The C library's mprotect, or None where there is none."""
    try:
        function: Any = ctypes.CDLL(None).mprotect
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def _guard(address: int) -> None:
    """Forbid all access to a page."""
    protect = _mprotect()
    if protect is not None:
        # Where it fails (too many mappings) there is one safeguard less, and nothing else changes.
        protect(address, GUARD_BYTES, _PROT_NONE)
