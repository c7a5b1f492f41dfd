"""How far a running lab may go in a slice of wall-clock time.

Two questions are kept apart. *How far should it be?* At speed s the pCPU clocks follow wall time: `s`
virtual seconds per second from an anchor; a lab that cannot keep up moves its anchor instead of sprinting
later. *How much can be run at once?* A position says little about work (idle time is free, an exit costs
Python), so the length of one call is learned from the last ones: never more than `MAX_CHUNK` cycles, aimed
at `CHUNK_SECONDS`, growing at most twofold.

The clock is injected; nothing here reads the time by itself. A lab's history does not depend on any of it,
because stopping at a position and going on changes nothing.
"""

from __future__ import annotations

from collections import deque

# Virtual seconds per second of wall time; None is "as fast as this machine can".
SPEEDS: dict[str, float | None] = {
    "1e-7": 1e-7,
    "1e-6": 1e-6,
    "1e-5": 1e-5,
    "0.001": 1e-3,
    "0.01": 1e-2,
    "0.1": 1e-1,
    "1": 1.0,
    "max": None,
}
CHUNK_SECONDS = 0.004
MAX_CHUNK = 2_000_000
MIN_CHUNK = 256
FIRST_CHUNK = 1024
MAX_LAG_SECONDS = 0.25
TICK_SECONDS = 0.02
METER_SECONDS = 1.0


class Throttle:
    """Adapt the number of cycles of one call so that it takes about CHUNK_SECONDS."""

    def __init__(self) -> None:
        """Begin carefully: the first chunk may meet the most expensive guest there is."""
        self.chunk = FIRST_CHUNK

    def learn(self, cycles: int, seconds: float) -> None:
        """Take note that `cycles` took `seconds` of wall time."""
        if cycles <= 0:
            return
        fitting = int(cycles * CHUNK_SECONDS / seconds) if seconds > 0 else MAX_CHUNK
        self.chunk = max(MIN_CHUNK, min(fitting, self.chunk * 2, MAX_CHUNK))


class Pacer:
    """Say which position a lab should have reached by now, and how fast it really goes.

    `rate` is the growth of the position in one virtual second: clock rate times pCPUs.
    """

    def __init__(self, speed: str, rate: int, wall: float, position: int) -> None:
        """Start the pace at wall time `wall` (seconds) and `position` (cycles)."""
        self.speed = speed
        self.rate = rate
        self._wall = wall
        self._position = position
        self._marks: deque[tuple[float, int]] = deque([(wall, position)])

    def due(self, wall: float, position: int) -> int | None:
        """Return the position to reach, None for "as far as you can"; forgive what was missed."""
        factor = SPEEDS[self.speed]
        if factor is None:
            return None
        due = self._position + int((wall - self._wall) * factor * self.rate)
        lag = int(MAX_LAG_SECONDS * factor * self.rate) + 1
        if due - position > lag:
            self._wall, self._position = wall, position + lag
            return position + lag
        return due

    def wait(self, wall: float, position: int) -> float:
        """Return the seconds until it is worth waking up: for a tick of cycles, and at least for one."""
        factor = SPEEDS[self.speed]
        if factor is None:
            return 0.0
        per_second = factor * self.rate
        worth = max(1.0, TICK_SECONDS * per_second)
        return max(0.0, self._wall + (position + worth - self._position) / per_second - wall)

    def mark(self, wall: float, position: int) -> None:
        """Take note of the progress, for `achieved`."""
        if wall - self._marks[-1][0] >= METER_SECONDS / 10:
            self._marks.append((wall, position))
        while len(self._marks) > 2 and wall - self._marks[1][0] >= METER_SECONDS:
            self._marks.popleft()

    def achieved(self, wall: float, position: int) -> float | None:
        """Return virtual seconds per second over about the last second; None right after the start."""
        then, was = self._marks[0]
        return (position - was) / self.rate / (wall - then) if wall - then > 0.05 else None
