"""A lab on its way to another instant of its line of history, or beyond its present by running."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from app.workers.pacing import Throttle
from app.workers.record import Stand
from emulator.lab import Lab, LabError, LogEntry

TELL_SECONDS = 0.25


class Journey:
    """The way to `position`, after the first `actions` of the line (None: all that were before it)."""

    def __init__(
        self, lab: Lab, position: int, actions: int | None, reason: str, clock: Callable[[], float]
    ) -> None:
        """Set out; `reason` is what to say on arrival, `clock` the wall time."""
        self.lab, self.position, self.actions, self.reason = lab, position, actions, reason
        self._begun = lab.position
        self._clock = clock
        self._throttle = Throttle()
        self._told = clock()

    @property
    def stand(self) -> Stand:
        """Where the lab will stand."""
        count = actions_before(self.lab.line, self.position, self.actions)
        return Stand(self.position, count, max(self.lab.past.present, self.position), len(self.lab.line))

    @property
    def share(self) -> float:
        """How much of the way the lab has come."""
        whole = self.position - self._begun
        return min(1.0, (self.lab.position - self._begun) / whole) if whole > 0 else 1.0

    def go(self, until: float) -> str | None:
        """Go on until a wall time; return why the journey is over, or None if it is not."""
        lab = self.lab
        while True:
            begun, started = lab.position, self._clock()
            goal = min(self.position, begun + self._throttle.chunk)
            try:
                lab.past.follow(goal, self.actions)
            except LabError as error:
                return str(error)
            if lab.position < goal:
                return "nothing left to run before that instant"
            if goal == self.position or lab.position >= self.position:
                return self.reason
            self._throttle.learn(lab.position - begun, self._clock() - started)
            if self._clock() >= until:
                return None

    def worth_telling(self) -> bool:
        """Return whether it is time to tell again how far the lab has come."""
        if self._clock() - self._told < TELL_SECONDS:
            return False
        self._told = self._clock()
        return True


def actions_before(line: Sequence[LogEntry], position: int, actions: int | None) -> int:
    """Return how many actions of a line come before a position, at most `actions`."""
    before = sum(entry["position"] <= position for entry in line)
    return before if actions is None else min(before, actions)
