"""The host-target interface: two doublewords in RAM, `tohost` and `fromhost`, through which test programs
talk.

Source: riscv-isa-sim, "HTIF" (device in bits 63:56, command in 55:48, payload below). Device 0: an odd
payload ends the program with code `payload >> 1`; an even one is the address of a system call's number and
arguments, of which `exit` and `write` to standard output are served; its result replaces the number. Device
1, the console: command 1 sends a character, which is not answered; command 0 asks for one, and the answer
comes when one is typed. An answer is written to `fromhost` once that is zero. The machine looks at `tohost`
between quanta of virtual time, so that a program sees its answer a little later. Left out: block devices,
other system calls, commands that ask what a device is.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from emulator.machine.host import Host, PhysicalAddressError

PROXY, CONSOLE = 0, 1  # devices
READ, WRITE = 0, 1  # commands of the console
CHARACTER = 0x100  # beside a character that was read
SYSCALL_WRITE, SYSCALL_EXIT = 64, 93
STANDARD_OUTPUTS = (1, 2)
EBADF, EFAULT, ENOSYS = 9, 14, 38
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
        self._answers: deque[int] = deque()
        self._asked: deque[int] = deque()
        self._typed: deque[int] = deque()

    @property
    def asks(self) -> bool:
        """Whether the program has asked for a character that is not there yet."""
        return len(self._asked) > len(self._typed)

    def receive(self, data: bytes) -> None:
        """Take what was typed."""
        self._typed += data

    def poll(self) -> None:
        """Serve a request and give an answer, if there are any."""
        request = self._word(self._tohost)
        if request:
            self._host.write(self._tohost, bytes(8))
            self._serve(request)
        while self._asked and self._typed:
            self._answers.append(self._asked.popleft() | CHARACTER | self._typed.popleft())
        if self._answers and self._fromhost is not None and self._word(self._fromhost) == 0:
            self._host.write(self._fromhost, self._answers.popleft().to_bytes(8, "little"))

    def _serve(self, request: int) -> None:
        device, command, payload = request >> 56, request >> 48 & 0xFF, request & PAYLOAD
        to = request & ~PAYLOAD
        if device == PROXY and command == 0:
            if payload & 1:
                self._stop(payload >> 1)
            else:
                self._system_call(payload)
                self._answers.append(to | 1)
        elif device == CONSOLE and command == WRITE:
            self._send(bytes([payload & 0xFF]))
        elif device == CONSOLE and command == READ:
            self._asked.append(to)

    def _word(self, address: int) -> int:
        return int.from_bytes(self._host.read(address, 8), "little")

    def _system_call(self, block: int) -> None:
        """Serve the call described at `block` and put its result there; one outside RAM has none."""
        try:
            number, *arguments = (self._word(block + 8 * index) for index in range(4))
        except PhysicalAddressError:
            return
        result = -ENOSYS
        if number == SYSCALL_EXIT:
            self._stop(arguments[0] & WORD >> 1)
            result = 0
        elif number == SYSCALL_WRITE:
            result = self._write(*arguments)
        self._host.write(block, (result & WORD).to_bytes(8, "little"))

    def _write(self, file: int, address: int, length: int) -> int:
        if file not in STANDARD_OUTPUTS:
            return -EBADF
        length = min(length, MAX_WRITE)
        try:
            self._send(self._host.read(address, length))
        except PhysicalAddressError:
            return -EFAULT
        return length
