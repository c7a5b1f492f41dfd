"""The SBI performance monitoring unit: two hardware counters and eight that count what the SBI did.

RISC-V SBI 2.0, chapter 11, "Performance Monitoring Unit Extension". Counter 0 is `cycle`, counter 1 is
`instret`, which guests read as CSRs; the others count firmware events (11.4). A hardware counter cannot be
halted: one that is stopped is put back to where it stood when it is started again. Left out: cache and raw
events, inhibiting by mode, snapshots (optional: SBI_ERR_NOT_SUPPORTED, and SBI_ERR_NO_SHMEM where one is
asked for), overflow interrupts.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulator.state import NO_ADDRESS

SUCCESS, NOT_SUPPORTED, INVALID_PARAM = 0, -2, -3
ALREADY_STARTED, ALREADY_STOPPED, NO_SHMEM = -7, -8, -9

# Firmware events (11.4, "Firmware events"); those of misaligned accesses and HFENCEs never happen here.
ACCESS_LOAD, ACCESS_STORE, ILLEGAL_INSTRUCTION, SET_TIMER = 2, 3, 4, 5
IPI_SENT, FENCE_I_SENT, SFENCE_SENT, SFENCE_ASID_SENT = 6, 8, 10, 12
RECEIVED = 1  # added to a "sent" event: the same at the other end
FIRMWARE_EVENTS = 22
FIRMWARE_TYPE = 15
CPU_CYCLES, INSTRUCTIONS = 1, 2  # general hardware events, type 0

HARDWARE = ((0xC00, "mcycle", CPU_CYCLES), (0xC02, "minstret", INSTRUCTIONS))
COUNTERS = len(HARDWARE) + 8
WIDTH_64 = 63
SKIP_MATCH, CLEAR_VALUE, AUTO_START, CONFIG_FLAGS = 1, 2, 4, 0xFF
SET_INITIAL, FROM_SNAPSHOT = 1, 2
RESET, TAKE_SNAPSHOT = 1, 2

Result = tuple[int, int]


@dataclass
class Counter:
    """`value` is what it showed when it was stopped or, while it counts events, less what it began with."""

    event: int | None = None
    started: bool = False
    value: int = 0


@dataclass
class Pmu:
    """The counters of one vCPU, and how often each firmware event has happened on it."""

    counters: list[Counter] = field(default_factory=lambda: [Counter() for _ in range(COUNTERS)])
    events: list[int] = field(default_factory=lambda: [0] * FIRMWARE_EVENTS)

    def count(self, event: int) -> None:
        """Count a firmware event."""
        self.events[event] += 1


def call(pmu: Pmu, hart: Any, function: int, arguments: tuple[int, int, int, int, int]) -> Result:
    """Serve a call of the extension; `hart` holds the caller's registers."""
    serve = _FUNCTIONS.get(function)
    return serve(pmu, hart, *arguments) if serve else (NOT_SUPPORTED, 0)


def _count_of_counters(pmu: Pmu, hart: Any, *_: int) -> Result:
    return SUCCESS, COUNTERS


def _info(pmu: Pmu, hart: Any, index: int, *_: int) -> Result:
    if index >= COUNTERS:
        return INVALID_PARAM, 0
    if index >= len(HARDWARE):
        return SUCCESS, 1 << 63 | WIDTH_64 << 12
    return SUCCESS, WIDTH_64 << 12 | HARDWARE[index][0]


def _named(base: int, mask: int) -> list[int] | None:
    """Return the counters that a set names, None if one of them does not exist."""
    if base >= COUNTERS or (mask << base).bit_length() > COUNTERS:
        return None
    return [base + bit for bit in range(mask.bit_length()) if mask >> bit & 1]


def _configure(pmu: Pmu, hart: Any, base: int, mask: int, flags: int, event: int, data: int) -> Result:
    del data  # of raw and platform events
    named = _named(base, mask)
    if not named or flags & ~CONFIG_FLAGS:
        return INVALID_PARAM, 0
    index = named[0] if flags & SKIP_MATCH else _match(pmu, named, event & 0xF_FFFF)
    if index is None:
        return NOT_SUPPORTED, 0
    counter = pmu.counters[index]
    if flags & SKIP_MATCH and counter.event is None:
        return INVALID_PARAM, 0
    if not flags & SKIP_MATCH:
        counter.event = event & 0xF_FFFF
    if flags & CLEAR_VALUE:
        _stop_counting(pmu, hart, index)
        counter.value = 0
    if flags & AUTO_START and not counter.started:
        _start_counting(pmu, hart, index)
    return SUCCESS, index


def _match(pmu: Pmu, named: list[int], event: int) -> int | None:
    """Return the first free counter that can count an event."""
    for index in named:
        if pmu.counters[index].event is None and _can_count(index, event):
            return index
    return None


def _can_count(index: int, event: int) -> bool:
    if index < len(HARDWARE):
        return event == HARDWARE[index][2]
    kind, code = event >> 16, event & 0xFFFF
    return kind == FIRMWARE_TYPE and code < FIRMWARE_EVENTS


def _start(pmu: Pmu, hart: Any, base: int, mask: int, flags: int, initial: int, _: int) -> Result:
    named = _named(base, mask)
    if named is None or flags & ~(SET_INITIAL | FROM_SNAPSHOT):
        return INVALID_PARAM, 0
    if flags & FROM_SNAPSHOT:
        return NO_SHMEM, 0
    if any(pmu.counters[index].event is None for index in named):
        return INVALID_PARAM, 0
    if any(pmu.counters[index].started for index in named):
        return ALREADY_STARTED, 0
    for index in named:
        if flags & SET_INITIAL:
            pmu.counters[index].value = initial
        _start_counting(pmu, hart, index)
    return SUCCESS, 0


def _stop(pmu: Pmu, hart: Any, base: int, mask: int, flags: int, *_: int) -> Result:
    named = _named(base, mask)
    if named is None or flags & ~(RESET | TAKE_SNAPSHOT):
        return INVALID_PARAM, 0
    if flags & TAKE_SNAPSHOT:
        return NO_SHMEM, 0
    error = SUCCESS if all(pmu.counters[index].started for index in named) else ALREADY_STOPPED
    for index in named:
        _stop_counting(pmu, hart, index)
        if flags & RESET:
            pmu.counters[index].event = None
    return error, 0


def _read_firmware(pmu: Pmu, hart: Any, index: int, *_: int) -> Result:
    if not len(HARDWARE) <= index < COUNTERS or pmu.counters[index].event is None:
        return INVALID_PARAM, 0
    counter = pmu.counters[index]
    return SUCCESS, _shown(pmu, hart, index) if counter.started else counter.value


def _read_firmware_high(pmu: Pmu, hart: Any, index: int, *_: int) -> Result:
    """The upper half is for RV32: "always return zero ... in RV64 or higher"."""
    return (_read_firmware(pmu, hart, index)[0], 0)


def _start_counting(pmu: Pmu, hart: Any, index: int) -> None:
    counter = pmu.counters[index]
    if index < len(HARDWARE):
        setattr(hart, HARDWARE[index][1], counter.value)
    else:
        counter.value -= _happened(pmu, counter)
    counter.started = True


def _stop_counting(pmu: Pmu, hart: Any, index: int) -> None:
    counter = pmu.counters[index]
    if counter.started:
        counter.value = _shown(pmu, hart, index)
        counter.started = False


def _shown(pmu: Pmu, hart: Any, index: int) -> int:
    """Return what a counter that counts stands at."""
    counter = pmu.counters[index]
    if index < len(HARDWARE):
        return getattr(hart, HARDWARE[index][1])
    return counter.value + _happened(pmu, counter) & NO_ADDRESS


def _happened(pmu: Pmu, counter: Counter) -> int:
    assert counter.event is not None
    return pmu.events[counter.event & 0xFFFF]


_FUNCTIONS: dict[int, Callable[..., Result]] = {
    0: _count_of_counters,
    1: _info,
    2: _configure,
    3: _start,
    4: _stop,
    5: _read_firmware,
    6: _read_firmware_high,
}
