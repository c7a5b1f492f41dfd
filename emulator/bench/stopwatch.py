"""Times a benchmark program from outside, by the two lines it prints (guests/platform/bench.h).

The clock is whatever the caller passes: seconds of the host to measure, instructions of the guest to count.
"""

import re
from dataclasses import dataclass, field

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


@dataclass
class Timed:
    """A run here: seconds of CPU time, and instructions that the guest retired meanwhile."""

    stopwatch: Stopwatch = field(default_factory=Stopwatch)
    counter: Stopwatch = field(default_factory=Stopwatch)

    @property
    def instructions(self) -> int:
        """Guest instructions retired between START and BENCH."""
        return int(self.counter.elapsed())

    def feed(self, text: str, seconds: float, instructions: int) -> None:
        """Take `text`, which the console showed at this time."""
        self.stopwatch.feed(text, seconds)
        self.counter.feed(text, instructions)
