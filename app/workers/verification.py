"""Repeating what a browser says it did: the server's own lab of a lesson, run by the log that was handed in.

A verification is a session that only rebuilds itself: it runs in slices beside the labs of others and takes
one turn like each of them. It ends when the log is used up and the state has the hash that was claimed, or at
the first entry that cannot be. It costs at most `MAX_SECONDS` of the worker's time, and nothing when nobody
has asked for `UNASKED_SECONDS` how far it is.

The lab at its end is kept for a while, so that neither the session that goes on from there nor the next
submission has to repeat it all.
"""

from __future__ import annotations

from app.workers.protocol import JsonObject
from app.workers.record import LabRecord, Mode
from app.workers.repetition import BuildLab, Clock
from app.workers.session import Session
from emulator.lab import Lab, LabError, LogEntry
from emulator.lab.policies import ImpossibleDecision

MAX_SECONDS = 1800.0
UNASKED_SECONDS = 60.0
HASH_ENTRY = "the state at the end"


class Verification(Session):
    """The repetition of one submission.

    Args:
        record: The lab at its beginning, with the log and the position that were handed in.
        claim: `digest` names the submission, `hash` is the state's, `mode` says how the lab is to go on.
        before: The verification of an earlier submission that this one goes on from, if there is one.
        seconds: Wall time that it may take in all.
    """

    def __init__(
        self,
        record: LabRecord,
        claim: JsonObject,
        build: BuildLab,
        clock: Clock,
        before: Verification | None = None,
        seconds: float = MAX_SECONDS,
    ) -> None:
        """Begin; `work` does the rest."""
        self.digest = str(claim["digest"])
        self.record = record
        self.refusal: JsonObject | None = None
        self.verified = False
        self._hash = str(claim["hash"])
        self._wanted: Mode = claim["mode"]
        self._seconds = seconds
        self._current: LogEntry | None = None
        self._came_by = False
        super().__init__(record, build, clock, before and before.lab)
        self.lent = True  # nothing of it is saved as the lab's own progress

    @property
    def answer(self) -> JsonObject:
        """What there is to say about it so far."""
        if self.refusal is not None:
            return {"refused": self.refusal}
        return {"verified": self.verified, "share": self._share()}

    def leads_to(self, record: LabRecord) -> bool:
        """Return whether `record` is this lab, later."""
        mine, count = self.record, len(self.record.log)
        beginning = (mine.lab, mine.generation, mine.seed, mine.config, mine.programs)
        rest = record.log[count:]
        return (
            self.verified
            and not self.lab.past.behind
            and record.applied >= count
            and beginning == (record.lab, record.generation, record.seed, record.config, record.programs)
            and mine.log == record.log[:count]
            and mine.position <= (rest[0]["position"] if rest else record.position)
        )

    def proves(self, record: LabRecord) -> Lab | None:
        """Return the lab at the end if that is where `record` stands too."""
        mine = self.record
        places = [(one.lab, one.generation, one.goal, one.applied) for one in (mine, record)]
        same = places[0] == places[1] and mine.furthest == record.furthest and mine.log == record.log
        return self.lab if self.verified and same else None

    def busy(self) -> bool:
        """Return whether there is something to repeat, and somebody who asks for it."""
        return super().busy() and self._clock() - self.used_at < UNASKED_SECONDS

    def work(self, seconds: float) -> None:
        """Repeat for about `seconds` of wall time."""
        began = self._clock()
        super().work(seconds)
        self._seconds -= self._clock() - began
        if self._seconds < 0 and self.mode == "rebuilding":
            self._refuse("takes longer to repeat than this server gives to one submission; submit earlier")

    def fail(self, reason: str) -> None:
        """Refuse the submission at the entry that was being repeated."""
        self._refuse(reason)

    def _share(self) -> float:
        if self.mode != "rebuilding":
            return 1.0
        return min(1.0, self.lab.position / self._goal) if self._goal else 0.0

    def _rebuild_chunk(self, goal: int) -> None:
        self._current = self._log[0] if self._log else None
        super()._rebuild_chunk(goal)

    def _cannot_go_on(self, error: LabError) -> None:
        self._blame(error)
        self._refuse(str(error), error.path)

    def _blame(self, error: LabError) -> None:
        """Name the entry that holds an impossible decision, which is an earlier one than the next."""
        if isinstance(error, ImpossibleDecision):
            self._current = self.record.log[error.entry - 1] if error.entry else None

    def _cannot_reach(self, goal: int) -> None:
        self._refuse(
            f"position {goal} is never reached: nothing happens any more after {self.lab.position}",
            "position",
        )

    def _repeat(self, entry: LogEntry) -> None:
        self._current = entry
        if not self._stands_at(entry["position"]):
            return
        try:
            self.lab.apply(entry["action"])
        except LabError as error:
            verb = entry["action"]["verb"]
            self._blame(error)
            self._refuse(f"{verb!r} is refused at position {entry['position']}: {error}", error.path)

    def _rebuilt(self) -> None:
        self._current = None
        if self._came_by:
            self._return()
            return
        if not self._stands_at(self.record.position):
            return
        if self._wanted["condition"] is not None:
            try:
                self.lab.check_condition(self._wanted["condition"])
            except LabError as error:
                self._refuse(str(error), "mode.condition")
                return
        found = self.lab.state_hash()
        if found != self._hash:
            self._refuse(
                f"has the hash {found} at position {self.lab.position}; claimed was {self._hash}", "hash"
            )
            return
        if self._is_good():
            self._came_by = True
            self._log.extend(self._ahead)
            self._goal = self._present
            if not self._log and self.lab.position >= self._goal:
                self._return()

    def _return(self) -> None:
        """End, where the lab stands again at its place in the history that has been repeated to its end."""
        if not self._stands_at(self.record.furthest):
            return
        try:
            self.lab.rewind(self.record.position, self.record.applied)
        except LabError as error:
            self._refuse(str(error), "actions")
            return
        self.verified = True
        super()._rebuilt()

    def _is_good(self) -> bool:
        """Return whether the lab at its end is all that was claimed; refuse it if not."""
        return True

    def _stands_at(self, position: int) -> bool:
        """Refuse a position at which the lab cannot stop, as a step leads over it."""
        if self.lab.position != position:
            self._refuse(
                f"the lab never stands at position {position}, but at {self.lab.position}", "position"
            )
        return self.refusal is None

    def _refuse(self, reason: str, path: str = "") -> None:
        entry = self._current
        place = HASH_ENTRY if entry is None else f"action {entry['seq']} of the log"
        where = path if entry is None else f"log[{entry['seq'] - 1}]" + (f".{path}" if path else "")
        self.refusal = {
            "message": f"{place}: {reason}",
            "where": where,
            "entry": None if entry is None else entry["seq"],
        }
        super().fail(reason)
        self._log.clear()


def key_of(lab: str) -> str:
    """Return under which name a lab's verification takes its turns."""
    return f"{lab} (verification)"
