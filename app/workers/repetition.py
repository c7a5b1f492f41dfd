"""A lab whose history is repeated: in a new worker, or to stand where nothing that is recorded leads to.

A lab is a pure function of its record, so every action is applied again at its position until the lab stands
where it stood. That is done in chunks, so that one worker can repeat many labs beside those that run.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace

from app.workers.pacing import Throttle
from app.workers.record import LabRecord, Mode, RunMode, Stand
from emulator.lab import Lab, LabError, LogEntry

Clock = Callable[[], float]
BuildLab = Callable[[LabRecord], Lab]


class Repetition:
    """A lab on the way to where its record says that it stood; until then `mode` is "rebuilding"."""

    def __init__(self, record: LabRecord, build: BuildLab, clock: Clock, standing: Lab | None = None) -> None:
        """Build the lab of `record`, unless it is `standing`: recorded, and there already or on the way."""
        self.id = record.lab
        self.lesson = record.lesson
        self.generation = record.generation
        self.lent = record.lent
        self.lab = standing or build(record)
        if standing is None:
            self.lab.record()
        self.mode: RunMode = "rebuilding"
        self.reason = ""
        self.revision = 1
        self._record = record
        self._build = build
        self._clock = clock
        self._throttle = Throttle()
        self._set_out(record, record.mode)

    def _set_out(self, record: LabRecord, after: Mode) -> None:
        """Have a record's history before, up to where its lab stood; go on from there as `after` says."""
        self._log: deque[LogEntry] = deque(record.log[len(self.lab.log) : record.applied])
        self._ahead: Sequence[LogEntry] = record.log[record.applied :]
        self._history, self._there = record, False
        self._goal, self._present = record.goal, record.furthest
        self._after = after

    @property
    def stand(self) -> Stand:
        """Where the lab stands on its line of history, or where it is on the way to."""
        if not self._there:
            known = self._history
            return Stand(known.goal, known.applied, known.furthest, len(known.log))
        return Stand(self.lab.position, len(self.lab.log), self.lab.past.present, len(self.line))

    @property
    def line(self) -> list[LogEntry]:
        """The log of this line of history, also while the lab is being rebuilt."""
        return self.lab.line if self._there else list(self._history.log)

    def fail(self, reason: str) -> None:
        """Stop for good: this lab cannot go on until it is reset."""
        self.mode, self.reason = "failed", reason
        self._changed()

    def _build_anew(self, line: Sequence[LogEntry], stand: Stand, after: Mode) -> None:
        """Repeat the whole history of the lab, to stand where nothing that is recorded leads to."""
        branches = self.lab.past.branches
        record = replace(
            self._record,
            log=tuple(line),
            state=b"",
            position=stand.position,
            actions=stand.actions,
            present=stand.present,
        )
        self.lab = self._build(record)
        self.lab.record().branches.update(branches)
        self._set_out(record, after)
        self.mode = "rebuilding"
        self._throttle = Throttle()
        self._changed()

    def _share(self) -> float:
        """Return how much of the way the lab has come."""
        if self.mode != "rebuilding":
            return 1.0
        return min(1.0, self.lab.position / self._goal) if self._goal > 0 else 1.0

    def _changed(self) -> None:
        self.revision += 1

    def _rebuild(self, until: float) -> None:
        """Repeat until the lab is there, or until a wall time."""
        while self._clock() < until and self.mode == "rebuilding":
            goal = self._log[0]["position"] if self._log else self._goal
            if self.lab.position < goal:
                self._rebuild_chunk(goal)
            elif self._log:
                self._repeat(self._log.popleft())
            else:
                break
        self._arrive()  # now, and not when there is time again: nothing is left to do
        self._changed()

    def _arrive(self) -> None:
        """Be there, if nothing is left to repeat."""
        if self.mode == "rebuilding" and not self._log and self.lab.position >= self._goal:
            self._rebuilt()

    def _rebuild_chunk(self, goal: int) -> None:
        position, started = self.lab.position, self._clock()
        target = min(goal, position + self._throttle.chunk)
        try:
            self.lab.advance(target)
        except LabError as error:
            self._cannot_go_on(error)
            return
        self._throttle.learn(self.lab.position - position, self._clock() - started)
        if self.lab.position < target:
            self._cannot_reach(goal)

    def _cannot_go_on(self, error: LabError) -> None:
        """End a rebuild in which something of the history is impossible while the lab runs."""
        self.fail(f"the lab's history could not be repeated ({error}); reset it to start again")

    def _cannot_reach(self, goal: int) -> None:
        """End a rebuild whose lab stops before `goal`."""
        self.fail("the lab's history could not be repeated; reset it to start again")

    def _repeat(self, entry: LogEntry) -> None:
        try:
            self.lab.apply(entry["action"])
        except LabError as error:
            self.fail(f"an action of this lab's history is refused today ({error}); reset it to start again")

    def _rebuilt(self) -> None:
        """Stand where the lab stood, with what was done later ahead."""
        self.lab.past.lies_ahead(self._ahead, self._present)
        self._there = True
        self.mode, self.reason = self._after["mode"], self._after["reason"]
        self._changed()
