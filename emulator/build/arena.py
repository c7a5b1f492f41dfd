"""Flat memory for the records and arrays that the kernels work on.

Native kernels take addresses of this process. Before and after each piece lies a guard page, which no access
survives: a kernel that ran off an array would end the process rather than change what lies there.
WebAssembly kernels have a memory of their own: what Python finds at `address`, they call `kernel_address`. In
the browser Python itself runs in that memory, so that both are the same again.
"""

from __future__ import annotations

import ctypes
import sys
from functools import cache
from typing import Any

from emulator.errors import VmLabError

_PROT_NONE = 0
# Linux counts such a mapping only as it is written (mmap(2)); Python names the flag from 3.13 on.
_UNRESERVED = 0x4000 if sys.platform == "linux" else 0


class OutOfMemoryError(VmLabError):
    """There is no room: '2147483648 bytes of memory are not to be had here; use less memory, or ...'."""


class Arena:
    """A piece of memory, zero at first: `size` bytes at `address` of this process."""

    def __init__(self, memory: Any, start: int, size: int, address: int, kernel_address: int) -> None:
        """Use `size` bytes from `start` of `memory`, a writable buffer, which stays alive with this."""
        self._memory = memory
        self._start = start
        self.size = size
        self.address = address
        self.kernel_address = kernel_address

    def u32(self, count: int) -> Any:
        """Return the first `count` words as a ctypes array that shares the memory."""
        return (ctypes.c_uint32 * count).from_buffer(self._memory, self._start)

    def record(self, struct: type[ctypes.Structure], offset: int = 0) -> Any:
        """Return a ctypes record that shares the memory at `offset`."""
        return struct.from_buffer(self._memory, self._start + offset)


def guarded(size: int) -> Arena:
    """Map `size` bytes, rounded up to whole pages (at least one), between guard pages.

    The kernel of the real host gives it memory as it is written.
    """
    import mmap

    page = mmap.PAGESIZE
    inside = -(-max(size, 1) // page) * page
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _UNRESERVED
    memory = mmap.mmap(-1, inside + 2 * page, flags=flags)
    address = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    _guard(address, page)
    _guard(address + page + inside, page)
    return Arena(memory, page, size, address + page, address + page)


def plain(size: int) -> Arena:
    """Take `size` bytes of ordinary memory; in Emscripten all code shares it."""
    try:
        memory = (ctypes.c_char * max(size, 1))()
    except MemoryError as error:
        raise OutOfMemoryError(
            f"{size} bytes of memory are not to be had here; use less memory, or run the lab on the server"
        ) from error
    address = ctypes.addressof(memory)
    return Arena(memory, 0, size, address, address)


@cache
def _mprotect() -> Any:
    """The C library's mprotect, or None where there is none."""
    try:
        function: Any = ctypes.CDLL(None).mprotect
    except (AttributeError, OSError, TypeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    return function


def _guard(address: int, length: int) -> None:
    """Forbid all access to a page."""
    protect = _mprotect()
    if protect is not None:
        # Where it fails (too many mappings) there is one safeguard less, and nothing else changes.
        protect(address, length, _PROT_NONE)
