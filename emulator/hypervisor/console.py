"""A VM's console.

A stream of bytes out, a queue of bytes in. The SBI debug console is its only user so far.
"""

from __future__ import annotations

import codecs
from collections import deque
from dataclasses import dataclass

from emulator.hypervisor.plain import Plain, PlainError, decode

OUTPUT_KEPT = 256 << 10  # characters
INPUT_KEPT = 4 << 10  # bytes


@dataclass(frozen=True)
class ConsoleText:
    """A console as data; `rest` is the undecoded end of the output, and flags of the decoder."""

    earlier: str
    text: str
    length: int
    input: bytes
    rest: tuple[bytes, int]


class Console:
    """Output is decoded as UTF-8 as it comes. Of each start, and of earlier ones, the newest part is kept."""

    def __init__(self) -> None:
        """Begin empty."""
        self.earlier = ""  # output of earlier starts
        self.input: deque[int] = deque()
        self._begin()

    def _begin(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._parts: list[str] = []
        self._kept = 0
        self.length = 0  # characters written since the start

    def restart(self) -> None:
        """Begin again with an empty screen, as when the machine it belongs to is started."""
        self.earlier = self.history()[-OUTPUT_KEPT:]
        self.input.clear()
        self._begin()

    def write(self, data: bytes) -> str:
        """Take bytes that the guest wrote; return what they say, without characters that are not complete."""
        text = self._decoder.decode(data)
        if text:
            self._parts.append(text)
            self._kept += len(text)
            self.length += len(text)
            if self._kept > 2 * OUTPUT_KEPT:
                self._compact()
        return text

    def read(self, count: int) -> bytes:
        """Remove and return up to `count` bytes of input."""
        return bytes(self.input.popleft() for _ in range(min(count, len(self.input))))

    def type(self, text: str) -> int:
        """Append input; return how many bytes were dropped because the guest does not read."""
        data = text.encode(errors="replace")
        room = INPUT_KEPT - len(self.input)
        self.input.extend(data[:room])
        return max(0, len(data) - room)

    def text(self) -> str:
        """Return the output since the start, as far as it is kept."""
        if len(self._parts) > 1 or self._kept > OUTPUT_KEPT:
            self._compact()
        return self._parts[0] if self._parts else ""

    def tail(self, characters: int) -> str:
        """Return the end of the output since the start."""
        last = ""
        for part in reversed(self._parts):
            last = part + last
            if len(last) >= characters:
                break
        return last[-characters:]

    def history(self) -> str:
        """Return the output of all starts, as far as it is kept."""
        return self.earlier + self.text()

    def since(self, position: int) -> tuple[int, str]:
        """Return where the kept output from a character position on begins, and that output."""
        text = self.text()
        first = max(position, self.length - len(text))
        return first, text[len(text) - (self.length - first) :] if first < self.length else ""

    def to_plain(self) -> Plain:
        """Return everything as plain data."""
        rest, flags = self._decoder.getstate()
        return {
            "earlier": self.earlier,
            "text": self.text(),
            "length": self.length,
            "input": bytes(self.input),
            "rest": [rest, flags],
        }

    def put_plain(self, plain: Plain) -> None:
        """Take over what `to_plain` gave. Raises PlainError."""
        kept = decode(plain, ConsoleText, "console")
        if len(kept.text) > OUTPUT_KEPT or len(kept.earlier) > OUTPUT_KEPT or len(kept.rest[0]) > 4:
            raise PlainError("console holds more than a console keeps")
        self.restart()
        self.earlier, self.length = kept.earlier, max(kept.length, len(kept.text))
        self.input.extend(kept.input[:INPUT_KEPT])
        self._parts, self._kept = [kept.text], len(kept.text)
        self._decoder.setstate((kept.rest[0], 0))

    def state_bytes(self) -> bytes:
        """Return output, undecoded rest and input, for the state hash."""
        rest, flags = self._decoder.getstate()
        return b"\0".join([self.text().encode(), rest, str((self.length, flags)).encode(), bytes(self.input)])

    def _compact(self) -> None:
        text = "".join(self._parts)[-OUTPUT_KEPT:]
        self._parts = [text]
        self._kept = len(text)
