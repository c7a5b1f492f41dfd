"""A 16550A serial port (National Semiconductor PC16550D data sheet, section 8).

Sending is immediate. Modem lines read as connected; in loop-back mode they show MCR, as drivers that look
for the chip expect. Left out: baud rate, framing errors, FIFO trigger levels (one byte is enough).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR = range(8)
IER_RECEIVED, IER_EMPTY = 1, 2
LCR_DLAB = 0x80
MCR_LOOP = 0x10
LSR_READY, LSR_EMPTY = 0x01, 0x60
MSR_CONNECTED = 0xB0  # DCD, DSR, CTS
IIR_NONE, IIR_EMPTY, IIR_RECEIVED, IIR_FIFOS = 1, 2, 4, 0xC0
INPUT_LIMIT = 1 << 16


@dataclass
class UartState:
    """Registers and the bytes that wait to be read; `empty` is the pending transmitter interrupt."""

    ier: int = 0
    fcr: int = 0
    lcr: int = 0
    mcr: int = 0
    scr: int = 0
    divisor: int = 0
    empty: bool = False
    received: deque[int] = field(default_factory=deque[int])


class Uart:
    """Eight one-byte registers."""

    size = 0x100

    def __init__(
        self,
        send: Callable[[bytes], None],
        interrupt: Callable[[bool], None],
        waiting: deque[int] | None = None,
    ) -> None:
        """`send` takes what the guest writes; `interrupt` drives the line.

        `waiting` is input that others may take too: it waits outside of the chip, where clearing the FIFO
        does not reach it. Call `input_changed` when something was added.
        """
        self.state = UartState() if waiting is None else UartState(received=waiting)
        self._shared = waiting is not None
        self._send = send
        self._interrupt = interrupt

    def receive(self, data: bytes) -> int:
        """Queue input for the guest; return how many bytes there was room for."""
        room = data[: INPUT_LIMIT - len(self.state.received)]
        self.state.received.extend(room)
        self._update()
        return len(room)

    def input_changed(self) -> None:
        """Look at the input again."""
        self._update()

    def read(self, offset: int, size: int) -> int:
        """Read a register."""
        value = self._read(offset)
        self._update()
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """Write a register."""
        self._write(offset, value & 0xFF)
        self._update()

    def _read(self, offset: int) -> int:
        state = self.state
        if state.lcr & LCR_DLAB and offset in (RBR_THR, IER):
            return state.divisor >> 8 * offset & 0xFF
        if offset == RBR_THR:
            return state.received.popleft() if state.received else 0
        if offset == IIR_FCR:
            return self._identify()
        if offset == LSR:
            return LSR_EMPTY | (LSR_READY if state.received else 0)
        if offset == MSR:
            return self._modem()
        return {IER: state.ier, LCR: state.lcr, MCR: state.mcr, SCR: state.scr}.get(offset, 0)

    def _identify(self) -> int:
        fifos = IIR_FIFOS if self.state.fcr & 1 else 0
        if self._has_input():
            return fifos | IIR_RECEIVED
        if self._is_empty():
            self.state.empty = False
            return fifos | IIR_EMPTY
        return fifos | IIR_NONE

    def _modem(self) -> int:
        if not self.state.mcr & MCR_LOOP:
            return MSR_CONNECTED
        mcr = self.state.mcr
        return (mcr & 2) << 3 | (mcr & 1) << 5 | (mcr & 4) << 4 | (mcr & 8) << 4

    def _write(self, offset: int, value: int) -> None:
        state = self.state
        if state.lcr & LCR_DLAB and offset in (RBR_THR, IER):
            shift = 8 * offset
            state.divisor = state.divisor & ~(0xFF << shift) | value << shift
        elif offset == RBR_THR:
            self._transmit(value)
        elif offset == IER:
            # Enabling the transmitter interrupt while the transmitter is empty raises it.
            state.empty = state.empty or bool(value & IER_EMPTY & ~state.ier)
            state.ier = value & 0xF
        elif offset == IIR_FCR:
            state.fcr = value & 0xC9
            if value & 2 and not self._shared:
                state.received.clear()
        elif offset == LCR:
            state.lcr = value
        elif offset == MCR:
            state.mcr = value & 0x1F
        elif offset == SCR:
            state.scr = value

    def _transmit(self, value: int) -> None:
        self.state.empty = True
        if self.state.mcr & MCR_LOOP:
            if len(self.state.received) < INPUT_LIMIT:
                self.state.received.append(value)
        else:
            self._send(bytes([value]))

    def _has_input(self) -> bool:
        return bool(self.state.ier & IER_RECEIVED and self.state.received)

    def _is_empty(self) -> bool:
        return bool(self.state.ier & IER_EMPTY and self.state.empty)

    def _update(self) -> None:
        self._interrupt(self._has_input() or self._is_empty())
