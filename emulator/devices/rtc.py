"""Goldfish real-time clock: nanoseconds since 1970 in two words, and one alarm.

Source: Android's "Goldfish Virtual Hardware", RTC; register offsets as in Linux's `rtc-goldfish`. The time is
virtual time from an epoch that the machine's config gives.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

TIME_LOW, TIME_HIGH, ALARM_LOW, ALARM_HIGH, IRQ_ENABLED = 0x0, 0x4, 0x8, 0xC, 0x10
CLEAR_ALARM, ALARM_STATUS, CLEAR_INTERRUPT = 0x14, 0x18, 0x1C
WORD = 0xFFFF_FFFF
EPOCH_NS = 1_767_225_600_000_000_000  # 2026-01-01, when no machine's config says otherwise


@dataclass
class RtcState:
    """`offset_ns` is what the guest has set the clock ahead; `alarm_ns` is on the guest's clock."""

    offset_ns: int = 0
    latched_high: int = 0
    alarm_ns: int = 0
    alarm_high: int = 0
    armed: bool = False
    enabled: bool = False
    pending: bool = False


class Rtc:
    """A device with 32-bit registers and a deadline."""

    size = 0x1000

    def __init__(self, epoch_ns: int, now_ns: Callable[[], int], interrupt: Callable[[bool], None]) -> None:
        """The clock shows `epoch_ns` when virtual time is 0."""
        self.state = RtcState(offset_ns=epoch_ns)
        self._now_ns = now_ns
        self._interrupt = interrupt

    def deadline_ns(self) -> int | None:
        """Return the virtual time of the alarm."""
        return max(self.state.alarm_ns - self.state.offset_ns, 0) if self.state.armed else None

    def elapse(self, now_ns: int) -> None:
        """Ring."""
        self.state.armed = False
        self.state.pending = True
        self._update()

    def read(self, offset: int, size: int) -> int:
        """Read a register; TIME_LOW latches TIME_HIGH."""
        state = self.state
        if offset == TIME_LOW:
            clock = self._now_ns() + state.offset_ns
            state.latched_high = clock >> 32 & WORD
            return clock & WORD
        registers = {
            TIME_HIGH: state.latched_high,
            ALARM_LOW: state.alarm_ns & WORD,
            ALARM_HIGH: state.alarm_ns >> 32 & WORD,
            IRQ_ENABLED: int(state.enabled),
            ALARM_STATUS: int(state.armed),
        }
        return registers.get(offset, 0)

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register; ALARM_LOW arms the alarm."""
        state, value = self.state, value & WORD
        clock = self._now_ns() + state.offset_ns
        if offset == TIME_LOW:
            state.offset_ns += (clock & ~WORD | value) - clock
        elif offset == TIME_HIGH:
            state.offset_ns += (clock & WORD | value << 32) - clock
        elif offset == ALARM_LOW:
            state.alarm_ns = state.alarm_high << 32 | value
            state.armed = True
        elif offset == ALARM_HIGH:
            state.alarm_high = value
        elif offset == IRQ_ENABLED:
            state.enabled = bool(value & 1)
        elif offset == CLEAR_ALARM:
            state.armed = False
        elif offset == CLEAR_INTERRUPT:
            state.pending = False
        self._update()

    def _update(self) -> None:
        self._interrupt(self.state.enabled and self.state.pending)
