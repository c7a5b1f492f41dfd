"""Labs in browsers: lending one, taking over what was done there, taking it back.

While a lab is lent, nothing changes it here. What a browser hands in is repeated by the lab's worker
(app/workers/verification.py) from the server's own lesson; only what that comes to is taken over, in one
transaction. The reply to a submission that was taken over is kept, so that it may be sent again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from app.desk.browser import lend_record
from app.desk.problem import Problem
from app.lessons import Course, Lesson
from app.texts import gettext as _
from app.verify import check_answers
from app.web.store import LabRow, LabStore, Lease, LeaseChanged, LeaseStore, Reply, Taken
from app.workers.pool import Pool
from app.workers.protocol import JsonObject
from app.workers.record import PAUSED, LabRecord, Stand
from app.workers.submission import FORMAT, VERSION, Submission, SubmissionError, digest_of, log_digest
from emulator.lab import LogEntry

WAIT_SECONDS = 1.0
FIRST_POLL_SECONDS, POLL_SECONDS = 0.005, 0.1
CHANGED = "The lab changed meanwhile; nothing was taken over. Send it again."


class LabLeases:
    """What the page can do with a lab that runs in a browser."""

    def __init__(self, course: Course, labs: LabStore, leases: LeaseStore, pool: Pool) -> None:
        """Lend the labs of `labs`, which run on `pool` otherwise."""
        self._course = course
        self._labs = labs
        self._leases = leases
        self._pool = pool

    def status(self, row: LabRow) -> JsonObject:
        """Return whether the lab runs in a browser, and since when."""
        lease = self._leases.current(row.id)
        return {"lent": lease is not None, "since": None if lease is None else lease.at}

    def require_here(self, row: LabRow) -> None:
        """Raise a 409 Problem if the lab runs in a browser."""
        lease = self._leases.current(row.id)
        if lease is not None:
            raise lent(lease)

    def require(self, row: LabRow, lease: object) -> None:
        """Raise a 409 Problem unless this lease is, or was, one of the lab."""
        if not isinstance(lease, str) or self._leases.find(row.id, lease) is None:
            raise Problem(409, _("This lease is not one of this lab. Borrow the lab first."), where="lease")

    def outdated(self, row: LabRow) -> bool:
        """Return whether the lesson was edited since the lab began, which keeps the lab as it was."""
        try:
            return self._course.lesson(row.lesson).version != row.lesson_version
        except KeyError:
            return True

    def borrow(self, row: LabRow, request_id: str | None) -> JsonObject:
        """Stop the lab here and return all that a browser needs to go on; the same again for a request_id."""
        with self._pool.lock(row.id):
            now = self._labs.find(row.id, row.student) or row
            lease, state = self._leases.current(row.id), ""
            if lease is None:
                lease, state = self._lend(now, request_id)
            elif request_id is None or lease.request_id != request_id:
                raise lent(lease)
            record = self._labs.load(row.id)
            assert record is not None
            return {
                "lease": lease.id,
                "since": lease.at,
                "lesson_version": now.lesson_version,
                "outdated": self.outdated(now),
                "record": {**lend_record(replace(record, mode=lease.mode, lent=False)), "state": state},
            }

    def give_back(self, row: LabRow, lease: str | None, force: bool) -> JsonObject:
        """End a lease without the browser's work; with `force`, whoever has it."""
        with self._pool.lock(row.id):
            current = self._leases.current(row.id)
            if current is not None and current.id != lease and not force:
                raise lent(current)
            if current is not None:
                self._leases.end(current)
                self._pool.discard(row.id)
            now = self._labs.find(row.id, row.student) or row
            return {"generation": now.generation, "position": self._leases.history(now)[1]}

    def submit(
        self,
        row: LabRow,
        lesson: Lesson,
        submission: Submission,
        options: Mapping[str, Any],
        request_id: str | None,
    ) -> tuple[int, JsonObject]:
        """Verify what a browser did and take it over; return (202, how far) or (200, what came of it).

        `lesson` is the lab's own version of it. `options`: `lease`, `done`, `replace`. Raise a Problem, or
        SubmissionError for what cannot be true.
        """
        lease_id, done = str(options.get("lease")), options.get("done") is True
        digest = digest_of(submission, lease_id, done)
        with self._pool.lock(row.id):
            now, lease = self._unsettled(row, lease_id)
            known = self._known_reply(now, lease, digest, request_id)
            if known is not None:
                return 200, known
            check_answers(lesson, self._labs.answers(row.id), submission.log)
            record = self._claimed(now, lease, submission, options.get("replace") is True)
        claim = {"digest": digest, "hash": submission.hash, "mode": submission.mode}
        answer = self._repeat(record, claim)
        if "refused" in answer:
            raise _refused(answer["refused"])
        if not answer["verified"]:
            return 202, {"verifying": answer["share"]}
        stand = Stand(record.goal, record.applied, record.furthest, len(record.log))
        taken = Taken(record.generation, record.log, stand, digest, done)
        return 200, self._take_over(now, lease, taken, submission, request_id)

    def export(self, row: LabRow) -> JsonObject:
        """Return the lab as a submission, which `vmlab verify` reads."""
        with self._pool.lock(row.id):
            stands = self._pool.call(row.id, "hash")
            now = self._labs.find(row.id, row.student) or row
            record = self._labs.load(row.id)
            assert record is not None
            return {
                "format": FORMAT,
                "version": VERSION,
                "lesson": now.lesson,
                "lesson_version": now.lesson_version,
                "seed": record.seed,
                "generation": record.generation,
                "log": list(record.log),
                **stands,
            }

    # Lending

    def _lend(self, row: LabRow, request_id: str | None) -> tuple[Lease, str]:
        """Stop the lab and keep that it is lent; the worker's copy is closed. Return its state, too."""
        stands = self._pool.call(row.id, "lend")
        self._pool.flush_positions()
        try:
            stand = Stand(stands["position"], stands["actions"], stands["present"], 0)
            lease = self._leases.lend(row, stand, stands["mode"], request_id)
            return lease, str(stands["state"])
        finally:
            self._pool.discard(row.id)

    # Taking over

    def _unsettled(self, row: LabRow, lease_id: str) -> tuple[LabRow, Lease]:
        lease = self._leases.find(row.id, lease_id)
        if lease is None:
            raise Problem(422, _("This lease is not one of this lab. Borrow the lab first."), where="lease")
        return self._labs.find(row.id, row.student) or row, lease

    def _known_reply(
        self, row: LabRow, lease: Lease, digest: str, request_id: str | None
    ) -> JsonObject | None:
        """Return what this submission was answered before."""
        kept = self._labs.reply_to(row.id, request_id) if request_id else None
        if kept is not None:
            if kept.digest != digest:
                raise Problem(422, _("This request_id was used for another request; use a new one."))
            return kept.body
        return lease.reply if lease.digest == digest else None

    def _claimed(self, row: LabRow, lease: Lease, submission: Submission, replaces: bool) -> LabRecord:
        """Return the lab as it should stand after a submission, if that can be taken over at all."""
        record = self._labs.load(row.id)
        assert record is not None
        if submission.lesson_version != row.lesson_version:
            raise SubmissionError(
                "lesson_version",
                f"is {submission.lesson_version[:60]!r}; this lab began with {row.lesson_version!r}",
            )
        if submission.seed != record.seed:
            raise SubmissionError("seed", f"is {submission.seed}; this lab's is {record.seed}")
        log = self._whole_log(record, lease, submission)
        if lease.ended_at is not None and not replaces:
            raise self._ended(row, record, lease, submission)
        generation = self._generation(row, lease, submission)
        at = {"position": submission.position, "actions": submission.actions, "present": submission.present}
        return replace(record, log=log, **at, generation=generation, mode=PAUSED, lent=True)

    def _generation(self, row: LabRow, lease: Lease, submission: Submission) -> int:
        """Return the generation that a submission becomes: a newer one keeps the log that is here."""
        if lease.ended_at is None:
            if submission.generation < row.generation:
                raise SubmissionError(
                    "generation", f"is {submission.generation}; the lab is at {row.generation}"
                )
            return submission.generation
        current = self._leases.current(row.id)
        if current is not None:
            raise lent(current)
        return max(row.generation + 1, submission.generation)

    def _whole_log(self, record: LabRecord, lease: Lease, submission: Submission) -> tuple[LogEntry, ...]:
        if not submission.base_seq:
            return submission.log
        base = record.log[: submission.base_seq]
        same = submission.generation == record.generation and lease.ended_at is None
        if not same or len(base) < submission.base_seq or log_digest(base) != submission.base_hash:
            raise SubmissionError(
                "base_hash",
                f"is not that of the first {submission.base_seq} actions kept here; send the whole log",
            )
        if submission.log and base[-1]["position"] > submission.log[0]["position"]:
            raise SubmissionError(
                "log", "begins before the actions that are kept here", submission.log[0]["seq"]
            )
        return base + submission.log

    def _ended(self, row: LabRow, record: LabRecord, lease: Lease, submission: Submission) -> Problem:
        return Problem(
            409,
            _(
                "This lab was taken back. Here it stands at position %(here)s after %(n)s actions,"
                " in the browser at %(there)s after %(m)s.",
                here=record.position,
                n=len(record.log),
                there=submission.position,
                m=submission.base_seq + len(submission.log),
            ),
            title=_("Two lines of work"),
            where="lease",
            remedy=_("Send it again with replace: true to go on with the browser's line; this one is kept."),
            details={
                "positions": {"server": record.position, "submitted": submission.position},
                "generation": row.generation,
                "ended_at": lease.ended_at,
            },
        )

    def _repeat(self, record: LabRecord, claim: JsonObject) -> JsonObject:
        """Let the worker repeat the log; return its answer, or after a while how far it is."""
        until = time.monotonic() + WAIT_SECONDS
        pause = FIRST_POLL_SECONDS
        while True:
            answer = self._pool.verify(record, claim)
            if "refused" in answer or answer["verified"] or time.monotonic() + pause > until:
                return answer
            time.sleep(pause)
            pause = min(POLL_SECONDS, 2 * pause)

    def _take_over(
        self, row: LabRow, lease: Lease, taken: Taken, submission: Submission, request_id: str | None
    ) -> JsonObject:
        """Commit what was verified, and let the lab go on from there."""
        body: JsonObject = {
            "verified": True,
            "position": taken.stand.position,
            "generation": taken.generation,
            "seq": len(taken.log),
            "done": taken.done,
        }
        reply = None if request_id is None else Reply(request_id, taken.digest, body)
        with self._pool.lock(row.id):
            again = self._unsettled(row, lease.id)[1]
            if again.digest == taken.digest and again.reply is not None:
                return again.reply  # the same submission, sent twice at once
            if lease.ended_at is not None:
                self._pool.call(row.id, "lend")  # it may run here; it stops, and stays as an attempt
                self._pool.flush_positions()
            try:
                self._leases.take_over(row, lease, taken, body, reply)
            except LeaseChanged:
                raise Problem(409, CHANGED, retry_after=1) from None
            if taken.done:
                self._pool.go_on(row.id, taken.generation, submission.mode)
            self._pool.discard(row.id)
        return body


def lent(lease: Lease) -> Problem:
    """Return the answer to whoever wants to change a lab that runs in a browser."""
    since = datetime.fromtimestamp(lease.at, UTC)
    return Problem(
        409,
        _(
            "This lab runs in a browser (since %(when)s); take it back to go on here.",
            when=f"{since:%Y-%m-%d %H:%M} UTC",
        ),
        title=_("This lab runs in a browser"),
        where="lease",
        remedy=_("Go on in that browser, or take the lab back. What is done there can be handed in later."),
        details={"since": lease.at},
    )


def _refused(refusal: JsonObject) -> Problem:
    return Problem(
        422,
        str(refusal["message"]),
        title=_("This work could not be repeated"),
        where=str(refusal["where"]),
        details={"entry": refusal["entry"]},
    )
