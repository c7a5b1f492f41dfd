"""Times a benchmark program from outside, by the two lines it prints (guests/platform/bench.h).

The clock is whatever the caller passes: seconds of the host to measure, instructions of the guest to count.
"""

import re
from dataclasses import dataclass

from emulator.errors import VmLabError

START = re.compile(r"^START \w+\r?\n", re.MULTILINE)
RESULT = re.compile(r"^BENCH (?P<name>\w+) n=(?P<n>\d+) check=(?P<check>[0-9a-f]{16})", re.MULTILINE)


class BenchError(VmLabError):
    """A benchmark could not be built or run."""


@dataclass
class Stopwatch:
    """Watches one console; `seconds` is valid once `finished`."""

    text: str = ""
    started: float | None = None
    ended: float | None = None
    check: int | None = None

    def feed(self, text: str, now: float) -> None:
        """Take `text`, which the console showed at `now`."""
        self.text += text
        if self.started is None and START.search(self.text):
            self.started = now
        if self.ended is None and re.search(r"^BENCH", self.text, re.MULTILINE):
            self.ended = now
        if self.check is None and (result := RESULT.search(self.text)):
            self.check = int(result["check"], 16)

    @property
    def finished(self) -> bool:
        """Whether the program has printed its result."""
        return self.check is not None

    def elapsed(self) -> float:
        """Return the time from START to BENCH; raise BenchError when the program never got there."""
        if self.started is None or self.ended is None or self.check is None:
            shown = self.text[-300:].strip() or "nothing"
            raise BenchError(f"bench: the program ended without a result; its console shows: {shown}")
        return self.ended - self.started
