"""The linear memory of a WebAssembly instance, as this process sees it, and its allocation.

For an instance that lives beside Python (`wasm_engine.py`, through wasmtime). Records, RAM and arrays of
every host lie there; the kernels know each by its offset.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import deque
from collections.abc import Callable

from emulator.build.arena import Arena
from emulator.errors import VmLabError

WASM_PAGE = 1 << 16
LIMIT = 1 << 32
_ALIGNMENT = 4096


class OutOfLinearMemoryError(VmLabError):
    """A lab does not fit: '8589934592 bytes do not fit into the 4294967296 that WebAssembly addresses'."""


class LinearMemory:
    """Gives out pieces of a memory that grows and never moves; first fit."""

    def __init__(self, base: int, size: int, grow: Callable[[int], object], owner: object) -> None:
        """Give out what lies above the first `size` bytes at `base`.

        `grow(pages)` adds pages of 64 KiB behind them; `owner` is what the memory lives by.
        """
        self.base = base
        self._size = size
        self._grow = grow
        self._owner = owner
        self._free: list[tuple[int, int]] = []  # start and end, sorted
        # Filled wherever the garbage collector runs, so only looked at between allocations.
        self._returned: deque[tuple[int, int]] = deque()

    def arena(self, size: int) -> Arena:
        """Return zeroed memory, free again when nothing refers to it. Raises OutOfLinearMemoryError."""
        length = -(-max(size, 1) // _ALIGNMENT) * _ALIGNMENT
        start = self._take(length)
        memory = (ctypes.c_char * length).from_address(self.base + start)
        memory.owner = self._owner  # pyright: ignore[reportAttributeAccessIssue]
        weakref.finalize(memory, self._returned.append, (start, start + length)).atexit = False
        return Arena(memory, 0, size, self.base + start, start)

    def offset_of(self, record: ctypes.Structure) -> int:
        """Return the offset of a record. It has to lie in this memory."""
        offset = ctypes.addressof(record) - self.base
        assert 0 < offset < self._size, f"{record!r} is not in the kernels' memory"
        return offset

    def _take(self, length: int) -> int:
        self._collect()
        for number, (start, end) in enumerate(self._free):
            if end - start >= length:
                self._free[number : number + 1] = [(start + length, end)] if end - start > length else []
                ctypes.memset(self.base + start, 0, length)
                return start
        start = self._size
        pages = -(-length // WASM_PAGE)
        if start + pages * WASM_PAGE > LIMIT:
            raise OutOfLinearMemoryError(
                f"{length} bytes do not fit into the {LIMIT} that WebAssembly addresses"
            )
        self._grow(pages)
        self._size += pages * WASM_PAGE
        if self._size > start + length:
            self._returned.append((start + length, self._size))
        return start

    def _collect(self) -> None:
        """Put what has been returned among the free pieces, joining neighbours."""
        pieces = self._free
        while self._returned:
            pieces.append(self._returned.popleft())
        pieces.sort()
        joined: list[tuple[int, int]] = []
        for start, end in pieces:
            if joined and joined[-1][1] == start:
                joined[-1] = joined[-1][0], end
            else:
                joined.append((start, end))
        self._free = joined
