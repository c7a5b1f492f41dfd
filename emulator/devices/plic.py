"""The platform-level interrupt controller (RISC-V PLIC 1.0.0), with the register map of QEMU's `virt` board.

Each hart has two contexts, M-mode then S-mode. All sources are level-triggered: a gateway forwards one
request and waits for its completion. Left out: edge-triggered gateways.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from emulator.machine.bus import BusFault

SOURCES = 96
PRIORITY, PENDING, ENABLE, CONTEXT = 0x0, 0x1000, 0x2000, 0x20_0000
ENABLE_STRIDE, CONTEXT_STRIDE = 0x80, 0x1000
MAX_PRIORITY = 7
MEI, SEI = 1 << 11, 1 << 9


@dataclass
class PlicState:
    """Bit n of `levels`, `pending`, `claimed` and of a context's `enabled` is source n; source 0 is none."""

    priority: list[int]
    enabled: list[int]
    threshold: list[int]
    levels: int = 0
    pending: int = 0
    claimed: int = 0


class Plic:
    """Sources 1 to 95, two contexts for each hart."""

    size = 0x60_0000

    def __init__(self, harts: int, set_line: Callable[[int, int, bool], None]) -> None:
        """`set_line(hart, bit, level)` drives the external interrupt lines MEI and SEI of the harts."""
        self.state = PlicState([0] * SOURCES, [0] * 2 * harts, [0] * 2 * harts)
        self._set_line = set_line

    def set_level(self, source: int, level: bool) -> None:
        """Raise or lower a device's interrupt."""
        state = self.state
        levels = state.levels | 1 << source if level else state.levels & ~(1 << source)
        if levels != state.levels:
            state.levels = levels
            self.drive_lines()

    def source(self, number: int) -> Callable[[bool], None]:
        """Return the function with which a device drives its interrupt."""
        return lambda level: self.set_level(number, level)

    def read(self, offset: int, size: int) -> int:
        """Read a 32-bit register; reading CLAIM claims."""
        if size != 4 or offset & 3:
            raise BusFault
        state = self.state
        if offset < PENDING:
            return state.priority[offset >> 2] if offset >> 2 < SOURCES else 0
        if offset < ENABLE:
            return state.pending >> 8 * (offset - PENDING) & 0xFFFF_FFFF
        if offset < CONTEXT:
            context, word = divmod(offset - ENABLE, ENABLE_STRIDE)
            return state.enabled[self._known(context)] >> 8 * word & 0xFFFF_FFFF
        context, register = divmod(offset - CONTEXT, CONTEXT_STRIDE)
        if register == 0:
            return state.threshold[self._known(context)]
        return self._claim(self._known(context)) if register == 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a 32-bit register; writing CLAIM completes."""
        if size != 4 or offset & 3:
            raise BusFault
        state = self.state
        if offset < PENDING:
            if 0 < offset >> 2 < SOURCES:
                state.priority[offset >> 2] = value & MAX_PRIORITY
        elif ENABLE <= offset < CONTEXT:
            context, word = divmod(offset - ENABLE, ENABLE_STRIDE)
            known, shift = self._known(context), 8 * word
            enabled = state.enabled[known] & ~(0xFFFF_FFFF << shift) | value << shift
            state.enabled[known] = enabled & (1 << SOURCES) - 2
        elif offset >= CONTEXT:
            context, register = divmod(offset - CONTEXT, CONTEXT_STRIDE)
            if register == 0:
                state.threshold[self._known(context)] = value & MAX_PRIORITY
            elif register == 4:
                self._complete(self._known(context), value)
        self.drive_lines()

    def _known(self, context: int) -> int:
        if context >= len(self.state.enabled):
            raise BusFault
        return context

    def _best(self, context: int) -> int:
        """Return the pending, enabled source of the highest priority (the lowest number of equals), or 0."""
        state = self.state
        waiting = state.pending & state.enabled[context]
        best = 0
        while waiting:
            source = (waiting & -waiting).bit_length() - 1
            waiting &= waiting - 1
            if state.priority[source] > state.priority[best]:
                best = source
        return best

    def _claim(self, context: int) -> int:
        # "The PLIC ... a claim is not affected by the setting of the priority threshold register."
        source = self._best(context)
        if source:
            self.state.pending &= ~(1 << source)
            self.state.claimed |= 1 << source
            self.drive_lines()
        return source

    def _complete(self, context: int, source: int) -> None:
        # "If the completion ID does not match an interrupt source that is currently enabled for the target,
        # the completion is silently ignored."
        if source < SOURCES and self.state.enabled[context] >> source & 1:
            self.state.claimed &= ~(1 << source)

    def drive_lines(self) -> None:
        """Set the line of every context to what the registers say."""
        state = self.state
        pending = state.pending = state.pending | state.levels & ~state.claimed
        for context, enabled in enumerate(state.enabled):
            raised = (
                bool(pending & enabled) and state.priority[self._best(context)] > state.threshold[context]
            )
            self._set_line(context >> 1, SEI if context & 1 else MEI, raised)
