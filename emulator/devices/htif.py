"""The host-target interface: two doublewords in RAM, `tohost` and `fromhost`, through which test programs
talk.

Source: riscv-isa-sim, "HTIF" (device in bits 63:56, command in 55:48, payload below). Device 0: an odd
payload ends the program with code `payload >> 1`; an even one is the address of a system call's number and
arguments, of which `write` is served. Device 1: characters. The machine looks at `tohost` between quanta of
virtual time, so that a program sees its answer a little later. Left out: block devices, other system calls.
"""

from __future__ import annotations

from collections.abc import Callable

from emulator.machine.host import Host, PhysicalAddressError

SYSCALL_WRITE = 64
ENOSYS = 38
MAX_WRITE = 1 << 16
PAYLOAD = (1 << 48) - 1
WORD = (1 << 64) - 1


class Htif:
    """Polls `tohost` of one program."""

    def __init__(
        self, host: Host, tohost: int, fromhost: int | None, send: Callable[[bytes], None],
        stop: Callable[[int], None],
    ) -> None:  # fmt: skip
        """`tohost` and `fromhost` are physical addresses; `send` takes characters, `stop` an exit code."""
        self._host, self._tohost, self._fromhost = host, tohost, fromhost
        self._send, self._stop = send, stop

    def poll(self) -> None:
        """Serve a request, if there is one. Raises PhysicalAddressError if `tohost` is not in RAM."""
        request = self._word(self._tohost)
        if request == 0:
            return
        self._host.write(self._tohost, bytes(8))
        device, command, payload = request >> 56, request >> 48 & 0xFF, request & PAYLOAD
        if device == 0 and payload & 1:
            self._stop(payload >> 1)
        elif device == 0:
            self._answer(request & 0xFFFF_0000_0000_0000 | 1, self._system_call(payload))
        elif device == 1 and command == 1:
            self._send(bytes([payload & 0xFF]))
            self._answer(request & 0xFFFF_0000_0000_0000, None)

    def _word(self, address: int) -> int:
        return int.from_bytes(self._host.read(address, 8), "little")

    def _answer(self, response: int, result: tuple[int, int] | None) -> None:
        if result is not None:
            address, value = result
            self._host.write(address, (value & WORD).to_bytes(8, "little"))
        if self._fromhost is not None:
            self._host.write(self._fromhost, response.to_bytes(8, "little"))

    def _system_call(self, block: int) -> tuple[int, int] | None:
        """Serve the call described at `block`; return where its result goes and what it is."""
        try:
            number, _, address, length = (self._word(block + 8 * index) for index in range(4))
            if number != SYSCALL_WRITE:
                return block, -ENOSYS
            length = min(length, MAX_WRITE)
            self._send(self._host.read(address, length))
        except PhysicalAddressError:
            return None
        return block, length
