"""Time travel: checkpoints are taken while a lab runs; any earlier instant is the nearest one plus replay.

Checkpoints lie close together near the present and ever further apart behind (each gap is at most an eighth
of its age), so that their number grows with the logarithm of the time. How often they are taken depends on
virtual time and on how many pages the last stretch has written, never on the wall clock.

Going back ends a line of history: the actions that came after are no part of the lab any more. They are kept
as a `Branch`, to which the lab can return. Lines of history differ in their action logs alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any

from emulator.lab import conditions
from emulator.lab.checkpoint import Checkpoint
from emulator.lab.errors import LabError
from emulator.lab.memento import Aside

if TYPE_CHECKING:
    from emulator.lab.lab import Lab, LogEntry

SPACING = 50_000_000  # positions between checkpoints at least
PAGE_POSITIONS = 20_000  # for each page that had to be copied or was written first, at least
DENSITY = 8  # a gap may be so many times smaller than its age
DEFAULT_BYTES = 64 << 20
BRANCHES_KEPT = 8
FIRST_WINDOW, WINDOW_GROWTH = 64, 16
REACH = 100_000_000  # how far `back_to` looks
STEPS_REACH = 100_000  # how far it looks where every instruction is a step of its own
WORK = 250_000_000  # how much it does: positions, and for each exit EXIT_WORK more; about a second
EXIT_WORK = 2_000
STONE = 4_000_000  # positions before now at which a checkpoint helps all short windows
BACK_KINDS = ("instruction", "exit", "timeslice", "fault", "console", "breakpoint", "watch", "csr", "any")


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of history that was left: its actions, and where the lab stood."""

    name: str
    log: tuple[LogEntry, ...]
    position: int


class Recorder(Aside):
    """The past of one lab, and its other lines. No part of its state."""

    def __init__(self, lab: Lab, limit: int = DEFAULT_BYTES, spacing: int = SPACING) -> None:
        """Record from here on, in about `limit` bytes."""
        self.lab = lab
        self.limit = limit
        self.spacing = spacing
        self.checkpoints: list[Checkpoint] = []
        self.branches: dict[str, Branch] = {}
        self.paused = False
        self._number = 0
        self._pages = 0  # in use when the last checkpoint was taken
        self.next_position = lab.position

    # Recording

    def run_to(self, position: int) -> None:
        """Run the lab to a position as its hypervisor does, and record on the way."""
        hypervisor = self.lab.hypervisor
        while True:
            hypervisor.run_to(position if self.paused else min(position, self.next_position))
            self.record()
            if hypervisor.stopped or hypervisor.position >= position:
                return

    def record(self) -> None:
        """Take a checkpoint if one is due."""
        lab = self.lab
        if self.paused or lab.position < self.next_position:
            return
        written = lab.hypervisor.host.pages_in_use - self._pages
        due = self.checkpoints[-1].position + written * PAGE_POSITIONS if self.checkpoints else 0
        if due > lab.position:
            self.next_position = due
            return
        self._make_room()
        if lab.hypervisor.host.can_hold:
            self._take()
        self._thin()
        self._pages = lab.hypervisor.host.pages_in_use
        self.next_position = lab.position + self.spacing

    def _take(self) -> None:
        """Take a checkpoint; where this process has no memory for it, do without, and with fewer others."""
        previous = self.checkpoints[-1] if self.checkpoints else None
        try:
            self.checkpoints.append(self.lab.checkpoint(previous))
        except MemoryError:
            for _ in range(len(self.checkpoints) // 2):
                self._drop(1 if len(self.checkpoints) > 1 else 0)

    def forget(self) -> None:
        """Let go of all checkpoints: something else needs the room."""
        while self.checkpoints:
            self._drop(0)

    def _make_room(self) -> None:
        while self.checkpoints and not self.lab.hypervisor.host.can_hold:
            self._drop(0)

    def _thin(self) -> None:
        """Drop what is closer to its neighbours than its age asks for, and what there is no memory for."""
        index = len(self.checkpoints) - 2
        while index > 0:
            if self._gap(index) <= self._age(index) // DENSITY:
                self._drop(index)
            index -= 1
        while len(self.checkpoints) > 2 and self.held_bytes > self.limit:
            self._drop(min(range(1, len(self.checkpoints) - 1), key=self._worth))

    def _gap(self, index: int) -> int:
        """Return the gap that would be left without a checkpoint."""
        return self.checkpoints[index + 1].position - self.checkpoints[index - 1].position

    def _age(self, index: int) -> int:
        return self.lab.position - self.checkpoints[index + 1].position

    def _worth(self, index: int) -> float:
        return self._gap(index) / (1 + self._age(index))

    def _drop(self, index: int) -> None:
        self.checkpoints.pop(index).release()

    @property
    def held_bytes(self) -> int:
        """The memory that the past takes beyond the present."""
        now = self.lab.hypervisor.host
        hosts = {id(one.host): one.host for one in self.checkpoints}
        pages = sum(host.store_bytes for host in hosts.values())
        if id(now) in hosts:
            pages -= now.store_used_bytes
        return pages + sum(one.own_bytes for one in self.checkpoints)

    # Going

    def rewind(self, position: int, actions: int | None = None) -> None:
        """Go back to a position, with the actions up to it, or the first `actions` of them.

        Raises LabError for a position that is not in the past.
        """
        log = self._log()
        if not 0 <= position <= self.lab.position:
            raise LabError(
                f"{position} is not in the past: the lab stands at {self.lab.position}", "position"
            )
        if actions is None:
            actions = sum(entry["position"] <= position for entry in log)
        self._travel([entry for entry in log[:actions] if entry["position"] <= position], position)

    def return_to(self, name: str) -> None:
        """Go to where a branch was left. Raises LabError if there is none of this name."""
        branch = self.branches.get(name)
        if branch is None:
            known = ", ".join(self.branches) or "none"
            raise LabError(f"there is no branch {name!r}; branches here: {known}", "branch")
        self._travel(branch.log, branch.position)
        del self.branches[name]

    def back_to(self, condition: Mapping[str, Any]) -> bool:
        """Go back to the last earlier position at which a condition held; False, and stay, if there is none.

        The conditions are those of `run_until` that are instants; it looks back by at most REACH. Raises
        LabError, also where that would take too long; the lab then stays where it is.
        """
        conditions.check(self.lab, condition, past=True)
        for one in conditions.parts(condition) if condition["kind"] == "any" else [condition]:
            if one["kind"] not in BACK_KINDS:
                raise LabError(f"{one['kind']} is no instant; kinds are {', '.join(BACK_KINDS)}", "kind")
        condition = conditions.settled(self.lab, condition, past=True)
        log, now = self._log(), self.lab.position
        found, end = self._search(condition, log, now)
        self._go(log, now)
        if found is None and end:
            ms = (now - end) * 1000 / self.lab.host_config.clock / self.lab.host_config.pcpus
            raise LabError(
                f"no {condition['kind']} in the last {ms:.3g} ms, and to look further back takes too long;"
                f" go back to position {end} and search on from there",
                "kind",
            )
        if found is not None:
            self._travel([entry for entry in log if entry["position"] <= found], found)
        return found is not None

    def _travel(self, log: Sequence[LogEntry], position: int) -> None:
        """Leave this line of history for a position on another, or for an earlier one on the same.

        Answers to questions are about the lesson and not about the run: they stay.
        """
        self._nearest(log, position)
        answers = dict(self.lab.answers)
        self._leave(log)
        self._go(log, position)
        self.lab.policies.cut()
        for question, value in answers.items():
            if self.lab.answers.get(question) != value:
                self.lab.apply({"verb": "answer", "question": question, "value": value})

    def _search(
        self, condition: Mapping[str, Any], log: Sequence[LogEntry], now: int
    ) -> tuple[int | None, int]:
        """Return the last position before `now` at which a condition held; leaves the lab anywhere.

        If there is none, return how far back was looked where that was given up, else 0.
        """
        first = self.checkpoints[0].position if self.checkpoints else now
        reach = STEPS_REACH if condition["kind"] in ("instruction", "csr") else REACH
        window, end, left = FIRST_WINDOW, now, WORK
        left -= self._lay_stone(log, now - STONE)
        while end > first and end > now - reach:
            start = max(first, now - window)
            if (end - self._nearest(log, start).position) > left:
                return None, end
            left -= self._work_to(log, start)
            begun, exits = self.lab.position, self._exits()
            found = [at for at in self._moments(condition, log, end) if at < now]
            if found:
                return found[-1], 0
            left -= self.lab.position - begun + EXIT_WORK * (self._exits() - exits)
            if left < 0:
                return None, start
            end, window = start, window * WINDOW_GROWTH
        return None, 0

    def _exits(self) -> int:
        return self.lab.hypervisor.trace.next_event

    def _work_to(self, log: Sequence[LogEntry], position: int) -> int:
        """Go to a position; return how much work that was."""
        nearest = self._nearest(log, position)
        self._go(log, nearest.position)
        exits = self._exits()
        self._go(log, position)
        return position - nearest.position + EXIT_WORK * (self._exits() - exits)

    def _lay_stone(self, log: Sequence[LogEntry], position: int) -> int:
        """Take a checkpoint a little before now, if the nearest is far from there; return the work."""
        if not self.checkpoints or position < self.checkpoints[0].position:
            return 0
        nearest = self._nearest(log, position)
        if position - nearest.position < STONE or not self.lab.hypervisor.host.can_hold:
            return 0
        work = self._work_to(log, position)
        place = self.checkpoints.index(nearest)
        self.checkpoints.insert(place + 1, self.lab.checkpoint(nearest))
        return work

    def _moments(self, condition: Mapping[str, Any], log: Sequence[LogEntry], end: int) -> Iterator[int]:
        """Yield the positions at which a condition holds between here and `end`, as the log goes on."""
        lab = self.lab
        with self:
            for entry in [*log[len(lab.log) :], None]:
                goal = end if entry is None else min(end, entry["position"])
                yield from self._moments_until(condition, goal)
                if entry is None or entry["position"] > end or lab.position > entry["position"]:
                    return
                lab.advance(entry["position"])
                lab.apply(entry["action"])

    def _moments_until(self, condition: Mapping[str, Any], goal: int) -> Iterator[int]:
        lab = self.lab
        while lab.position < goal:
            try:
                held = lab.run_until(condition, goal)
            except LabError:  # its VM is not on (yet)
                lab.advance(goal)
                return
            if not held:
                return
            yield lab.position

    def _nearest(self, log: Sequence[LogEntry], position: int) -> Checkpoint:
        """Return the last checkpoint before a position. Raises LabError."""
        valid = [one for one in self.checkpoints if _is_on(one, log, position)]
        if not valid:
            raise LabError("that instant is not recorded any more", "position")
        return valid[-1]

    def _go(self, log: Sequence[LogEntry], position: int) -> None:
        """Take the lab to a position on the line of history that `log` describes. Raises LabError."""
        nearest = self._nearest(log, position)
        with self:
            self.lab.restore(nearest)
            for entry in log[nearest.actions :]:
                if entry["position"] > position:
                    break
                self.lab.advance(entry["position"])
                self.lab.apply(entry["action"])
            self.lab.advance(position)

    def _leave(self, goal: Sequence[LogEntry]) -> None:
        """Keep the line of history that ends here as a branch, if something was done on it alone."""
        log = self._log()
        for index in range(len(self.checkpoints) - 1, -1, -1):
            if not _is_on(self.checkpoints[index], goal, self.checkpoints[index].position):
                self._drop(index)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(log, goal, strict=False)))
        if any(entry["action"]["verb"] != "answer" for entry in log[same:]):
            self._number += 1
            name = f"branch {self._number}"
            self.branches[name] = Branch(name, tuple(log), self.lab.position)
            if len(self.branches) > BRANCHES_KEPT:
                del self.branches[next(iter(self.branches))]

    def _log(self) -> list[LogEntry]:
        return list(self.lab.log)

    def __enter__(self) -> None:
        self.paused = True

    def __exit__(self, *_: object) -> None:
        self.paused = False
        last = self.checkpoints[-1].position if self.checkpoints else self.lab.position
        self.next_position = last + self.spacing


def _is_on(checkpoint: Checkpoint, log: Sequence[LogEntry], position: int) -> bool:
    """Return whether a checkpoint lies on a line of history, not behind `position`."""
    count = checkpoint.actions
    return (
        checkpoint.position <= position
        and count <= len(log)
        and (count == len(log) or log[count]["position"] >= checkpoint.position)
        and list(log[:count]) == checkpoint.log
    )
