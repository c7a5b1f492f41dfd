"""Time travel: a cursor in a recorded line of history, as in a debugger that records and replays.

A line of history is the log of all actions and how far the lab has run: its *present*. The lab stands at a
cursor: at a position, after so many actions. Moving the cursor changes neither. Behind the present the lab
repeats what was done (`Recorder.future`) at its positions, whoever lets it run; from the present on it goes
on live. Any earlier instant is the nearest checkpoint plus such a repetition (`emulator.lab.recording`).

An action applied behind the present begins another line there; the line that was left is kept as a `Branch`,
if something was done on it alone, and the lab can return to it. Answers to questions are about the lesson
and not about the run: they hold at every cursor, stand at the end of the line, and begin no other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, TypeVar

from emulator.lab import conditions
from emulator.lab.checkpoint import Checkpoint
from emulator.lab.errors import LabError
from emulator.lab.recording import DEFAULT_BYTES, SPACING, Recording, is_on

if TYPE_CHECKING:
    from emulator.lab.lab import Lab, LogEntry

T = TypeVar("T")
BRANCHES_KEPT = 8
FIRST_WINDOW, WINDOW_GROWTH = 64, 16
REACH = 100_000_000  # how far `back_to` looks
STEPS_REACH = 100_000  # how far it looks where every instruction is a step of its own
WORK = 250_000_000  # how much it does: positions, and for each exit EXIT_WORK more; about a second
EXIT_WORK = 2_000
STONE = 4_000_000  # positions before now at which a checkpoint helps all short windows
BACK_KINDS = ("instruction", "exit", "timeslice", "fault", "console", "breakpoint", "watch", "csr", "any")


class NotRecorded(LabError):
    """An instant of this line of history that no checkpoint leads to: the lab has to be built anew for it."""


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of history that was left: its actions, and how far it had come."""

    name: str
    log: tuple[LogEntry, ...]
    position: int
    now_ns: int | None = None


class Recorder(Recording):
    """The history of one lab: where it stands on its line, what lies ahead, and its other lines."""

    def __init__(self, lab: Lab, limit: int = DEFAULT_BYTES, spacing: int = SPACING) -> None:
        """Record from here on, in about `limit` bytes."""
        super().__init__(lab, limit, spacing)
        self.future: list[LogEntry] = []  # what was done on this line after where the lab stands
        self.branches: dict[str, Branch] = {}
        self._present = 0  # how far this line had come when the lab went back
        self._present_ns: int | None = None
        self._number = 0
        self._repeating = False

    # The line

    @property
    def line(self) -> list[LogEntry]:
        """The log of the whole line, what lies ahead included."""
        return [*self.lab.log, *self.future]

    @property
    def present(self) -> int:
        """The furthest position of this line."""
        return max(self._present, self.lab.position)

    @property
    def present_ns(self) -> int:
        """The virtual time there."""
        lab = self.lab
        if lab.position >= self._present:
            return lab.now_ns
        if self._present_ns is not None:
            return self._present_ns
        return lab.now_ns + lab.to_ns(self._present - lab.position) // len(lab.hypervisor.pcpus)

    @property
    def behind(self) -> bool:
        """Whether the lab stands in the past of its line."""
        return bool(self.future) or self.lab.position < self._present

    @property
    def repeats(self) -> bool:
        """Whether what the lab does now has been done before: decided, and in the log, already."""
        return self.paused or self.behind

    def lies_ahead(self, future: Sequence[LogEntry], present: int) -> None:
        """Take note of what was done after where the lab stands, and how far it had come."""
        self.future = list(future)
        self._present, self._present_ns = present, None
        for entry in self.future:
            if entry["action"]["verb"] == "answer":
                self.lab.answers[entry["action"]["question"]] = entry["action"]["value"]

    def follow(self, position: int, actions: int | None = None) -> None:
        """Go on along the line to a position, with the actions up to there, or the line's first `actions`.

        Beyond the present the lab goes on live. Comes back early where a watch stops it.
        """
        lab = self.lab
        while self.behind:
            due = self.future[0]["position"] if self.future else None
            goal = min(position, self._present if due is None else due)
            if lab.position < goal:
                lab.go_on(goal)
                if lab.hypervisor.stopped:
                    return
            if due is not None and due <= goal:
                if actions is not None and len(lab.log) >= actions:
                    break
                self._repeat()
            elif goal == position:
                break
        lab.go_on(lab.position if self.behind else position)

    def in_pieces(self, run: Callable[[int], T], limit: int) -> T:
        """Let `run` look for something up to `limit`: from one of the actions that lie ahead to the next."""
        while self.future and not self.paused and (due := self.future[0]["position"]) <= limit:
            if self.lab.position >= due:
                self._repeat()
                continue
            found = run(due)
            if found or self.lab.position < due:
                return found
        return run(limit)

    def _repeat(self) -> None:
        """Do again what was done here."""
        lab, answers = self.lab, dict(self.lab.answers)
        self._repeating = True
        try:
            lab.apply(self.future[0]["action"])
        finally:
            self._repeating = False
        del self.future[0]
        _put(lab.answers, answers)

    def note(self, action: dict[str, Any], position: int) -> None:
        """Take an action that was applied at a position into the log; in the past, it begins another line.

        Decisions may be on record beyond the present, in a run that was shared: an action takes them out.
        """
        lab = self.lab
        new = self.behind and not (self.paused or self._repeating)
        if new and action["verb"] == "answer":
            seq = len(lab.log) + len(self.future) + 1
            self.future.append({"seq": seq, "position": self._present, "action": action})
            return
        if new:
            self._begin_line(position)
        elif action["verb"] not in ("answer", "decide") and not (self.paused or self._repeating):
            lab.policies.cut()
        lab.log.append({"seq": len(lab.log) + 1, "position": position, "action": action})

    def _begin_line(self, position: int) -> None:
        """Leave what lies ahead: the line goes on from where the lab stands."""
        lab, old = self.lab, self._as_branch()
        lab.policies.cut()
        self.future = []
        self._present, self._present_ns = 0, None
        self._keep(old, lab.log)
        lab.log.extend(self._missing_answers(lab.log, position))

    def _missing_answers(self, line: Sequence[LogEntry], position: int) -> list[LogEntry]:
        """Return entries for the answers that are not in the log of a line."""
        given = {
            entry["action"]["question"]: entry["action"]["value"]
            for entry in line
            if entry["action"]["verb"] == "answer"
        }
        missing = {key: one for key, one in self.lab.answers.items() if key not in given or given[key] != one}
        return [
            {
                "seq": seq,
                "position": position,
                "action": {"verb": "answer", "question": question, "value": value},
            }
            for seq, (question, value) in enumerate(missing.items(), len(line) + 1)
        ]

    def _as_branch(self) -> Branch:
        self._number += 1
        return Branch(f"branch {self._number}", tuple(self.line), self.present, self.present_ns)

    def _keep(self, old: Branch, line: Sequence[LogEntry]) -> None:
        """Keep a line that was left for `line` as a branch, if something was done on it alone."""
        self.keep_only(line)
        same = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old.log, line, strict=False)))
        if all(entry["action"]["verb"] == "answer" for entry in old.log[same:]):
            self._number -= 1
            return
        self.branches[old.name] = old
        if len(self.branches) > BRANCHES_KEPT:
            del self.branches[next(iter(self.branches))]

    # Moving the cursor

    def go_to(self, position: int, actions: int | None = None) -> None:
        """Move the cursor to a position of this line, after the actions up to it, or the first `actions`.

        Raises LabError for a position that is not in its history.
        """
        self.jump(position, actions)
        self.follow(position, actions)

    def jump(self, position: int, actions: int | None = None) -> None:
        """Begin to move the cursor: stand at or before its goal, then `follow`. Raises LabError."""
        lab, line = self.lab, self._leave_present()
        if not 0 <= position <= self.present:
            raise LabError(f"{position} is not in the past: this line reaches to {self.present}", "position")
        before = sum(entry["position"] <= position for entry in line)
        count = before if actions is None else min(before, actions)
        if count < before and line[count]["position"] < position:
            at = line[count]["position"]
            raise LabError(
                f"this line of history has action {count + 1} at position {at}, before {position}", "actions"
            )
        found = [one for one in self.checkpoints if one.position <= position and one.actions <= count]
        if lab.position <= position and len(lab.log) <= count:
            found = [one for one in found if one.position > lab.position]
            if not found:
                return
        if not found:
            raise NotRecorded("that instant is not recorded any more", "position")
        self._restore(found[-1], line)

    def undo(self, position: int, actions: int) -> None:
        """Go back to a cursor and begin another line there, without what came after. Raises LabError."""
        self.go_to(position, actions)
        if self.behind:
            self._begin_line(self.lab.position)

    def return_to(self, name: str) -> None:
        """Go to where a branch was left. Raises LabError if there is none of this name."""
        self.switch_to(name)
        self.follow(self.present)

    def switch_to(self, name: str) -> None:
        """Take up the line of a branch: stand on it, at or before its present. Raises LabError."""
        branch = self.branch(name)
        self._leave_present()
        nearest = self._nearest(branch.log, branch.position)
        old, log = self._as_branch(), list(branch.log)
        del self.branches[name]
        log.extend(self._missing_answers(log, branch.position))
        self._restore(nearest, log)
        self._present, self._present_ns = branch.position, branch.now_ns
        self._keep(old, log)

    def leave_for(self, name: str) -> list[LogEntry]:
        """Keep this line for a branch, on which the lab is built anew; return its log. Raises LabError."""
        branch = self.branch(name)
        old, log = self._as_branch(), list(branch.log)
        del self.branches[name]
        log.extend(self._missing_answers(log, branch.position))
        self._keep(old, log)
        return log

    def branch(self, name: str) -> Branch:
        """Return a branch. Raises LabError if there is none of this name."""
        branch = self.branches.get(name)
        if branch is None:
            known = ", ".join(self.branches) or "none"
            raise LabError(f"there is no branch {name!r}; branches here: {known}", "branch")
        return branch

    def _leave_present(self) -> list[LogEntry]:
        """Remember how far this line has come; return its log."""
        lab = self.lab
        if not self.behind:
            lab.policies.close()
            lab.policies.seal()
            self._present, self._present_ns = lab.position, lab.now_ns
            lab.ahead.keep(lab)
        return self.line

    def _restore(self, checkpoint: Checkpoint, line: Sequence[LogEntry]) -> None:
        """Take the lab to a checkpoint of a line."""
        lab, answers = self.lab, dict(self.lab.answers)
        lab.policies.forget_safe()
        lab.restore(checkpoint)
        _put(lab.answers, answers)
        self.future = list(line[checkpoint.actions :])
        self.go_on_recording()

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
        line, answers = self._leave_present(), dict(self.lab.answers)
        log, now = list(self.lab.log), self.lab.position
        self.lab.policies.forget_safe()
        found, end = None, 0
        try:
            found, end = self._search(condition, log, now)
        finally:
            self._go(log, now if found is None else found)
            self.future = line[len(self.lab.log) :]
            _put(self.lab.answers, answers)
        if found is None and end:
            ms = (now - end) * 1000 / self.lab.host_config.clock / self.lab.host_config.pcpus
            raise LabError(
                f"no {condition['kind']} in the last {ms:.3g} ms, and to look further back takes too long;"
                f" go back to position {end} and search on from there",
                "kind",
            )
        return found is not None

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
        valid = [one for one in self.checkpoints if is_on(one, log, position)]
        if not valid:
            raise NotRecorded("that instant is not recorded any more", "position")
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


def _put(answers: dict[str, Any], kept: Mapping[str, Any]) -> None:
    answers.clear()
    answers.update(kept)
