"""Breakpoints and watched ranges of a host: the stops of `emulator.core.debug`, set from outside.

Nothing here is state of the machine: setting, meeting and clearing a stop changes no clock, no counter and no
hash.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from emulator.errors import VmLabError
from emulator.state import (
    CODE_PAGE_BYTES,
    DEBUG_BREAKPOINT,
    DEBUG_PLACES,
    DEBUG_WATCH,
    NO_ADDRESS,
    PAGE_BYTES,
    WATCH_LOAD,
    WATCH_STORE,
)


class TooManyStopsError(VmLabError):
    """All places are taken: 'this host has 16 breakpoints already; clear one first'."""


@dataclass(frozen=True)
class Breakpoint:
    """Stop before the instruction at virtual address `pc`.

    `vmid`: only in a guest of this VMID (V=1). `root`: only while `satp`, or with V=1 `vsatp`, is this value.
    """

    pc: int
    vmid: int | None = None
    root: int | None = None


@dataclass(frozen=True)
class Watchpoint:
    """Stop after an instruction that has loaded from or stored to any of `length` bytes at `hpa`."""

    hpa: int
    length: int
    kinds: int = WATCH_LOAD | WATCH_STORE


@dataclass(frozen=True)
class Stop:
    """Why a hart stopped; `address` is the pc of the breakpoint, or the HPA of the access."""

    cause: Breakpoint | Watchpoint
    address: int


class Stops:
    """What is set on one host; keeps the record that the kernels read."""

    def __init__(
        self, record: Any, harts: Sequence[Any], flush_fast: Callable[[Any], None], code: int
    ) -> None:
        """Watch over a host's record.

        `flush_fast` empties a hart's fast map; `code` is the address of the decoded pages.
        """
        self._code = code
        self._record = record
        self._harts = harts
        self._flush_fast = flush_fast
        self.breakpoints: list[Breakpoint] = []
        self.watchpoints: list[Watchpoint] = []

    def set_breakpoint(self, breakpoint: Breakpoint) -> None:
        """Set a breakpoint, once if it is set already. Raises TooManyStopsError."""
        if breakpoint in self.breakpoints:
            return
        _require_room(self.breakpoints, "breakpoints")
        self.breakpoints.append(breakpoint)
        self._write_breakpoints()
        self._forget_decoded(breakpoint.pc % PAGE_BYTES)

    def clear_breakpoint(self, breakpoint: Breakpoint) -> None:
        """Clear a breakpoint if it is set."""
        if breakpoint in self.breakpoints:
            self.breakpoints.remove(breakpoint)
            self._write_breakpoints()

    def watch(self, watchpoint: Watchpoint) -> None:
        """Watch a range of RAM, once if it is watched already. Raises TooManyStopsError."""
        if watchpoint in self.watchpoints:
            return
        _require_room(self.watchpoints, "watched ranges")
        self.watchpoints.append(watchpoint)
        self._write_watchpoints()
        for hart in self._harts:
            self._flush_fast(hart)

    def unwatch(self, watchpoint: Watchpoint) -> None:
        """Watch a range no longer, if it was watched."""
        if watchpoint in self.watchpoints:
            self.watchpoints.remove(watchpoint)
            self._write_watchpoints()

    def last(self) -> Stop:
        """Return why `run` has just come back with EXIT_DEBUG."""
        record = self._record
        number: int = record.debug_number
        if record.debug_hit == DEBUG_BREAKPOINT:
            return Stop(self.breakpoints[number], record.debug_address)
        assert record.debug_hit == DEBUG_WATCH
        return Stop(self.watchpoints[number], record.debug_address)

    def _write_breakpoints(self) -> None:
        record = self._record
        for number, one in enumerate(self.breakpoints):
            record.break_pc[number] = one.pc
            record.break_vmid[number] = NO_ADDRESS if one.vmid is None else one.vmid
            record.break_root[number] = NO_ADDRESS if one.root is None else one.root
        record.break_count = len(self.breakpoints)

    def _write_watchpoints(self) -> None:
        record = self._record
        for number, one in enumerate(self.watchpoints):
            record.watch_start[number] = one.hpa
            record.watch_end[number] = one.hpa + one.length
            record.watch_kinds[number] = one.kinds
        record.watch_count = len(self.watchpoints)

    def _forget_decoded(self, offset: int) -> None:
        """Drop what is decoded at this offset of any page, so that the decoder is asked again."""
        record = self._record
        for index in range(record.code_used):
            entry = self._code + index * CODE_PAGE_BYTES + offset // 2 * 8
            ctypes.memset(entry, 0, 8)


def _require_room(places: Sequence[object], what: str) -> None:
    if len(places) == DEBUG_PLACES:
        raise TooManyStopsError(f"this host has {DEBUG_PLACES} {what} already; clear one first")
