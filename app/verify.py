"""Verifies a submission against a lesson, as the server does: what its log comes to here, and whether that is
what it claims.

The same verification as in a worker (app/workers/verification.py), without a server and its database.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from app.lessons import Lesson, LessonError
from app.workers.record import PAUSED, LabBuilder, LabRecord, ProgramText
from app.workers.submission import FORMAT, VERSION, Submission, SubmissionError, digest_of
from app.workers.verification import Verification
from emulator.errors import VmLabError
from emulator.lab import Lab, LogEntry
from emulator.machine.engine import Engine

SLICE_SECONDS = 0.1
Progress = Callable[[str, float], None]


class RefusedError(VmLabError):
    """A submission is well-formed, and not true: 'action 3 of the log: ...'."""


def check_format(body: Mapping[str, Any]) -> None:
    """Raise SubmissionError for a file that is not an exported submission of this version."""
    if body.get("format") != FORMAT or body.get("version") != VERSION:
        raise SubmissionError("format", f"is not {FORMAT} of version {VERSION}")


def check_answers(lesson: Lesson, known: Mapping[str, Any], log: Sequence[LogEntry]) -> None:
    """Raise SubmissionError for an answer that the lesson's questions do not take, unless it is `known`."""
    for entry in log:
        action = entry["action"]
        question, value = action.get("question"), action.get("value")
        if action["verb"] != "answer" or (isinstance(question, str) and known.get(question) == value):
            continue
        try:
            lesson.question(str(question)).judge(value)
        except LessonError as error:
            raise SubmissionError(f"log[{entry['seq'] - 1}].action", str(error), entry["seq"]) from error


def verify(submission: Submission, lesson: Lesson, engine: Engine, progress: Progress) -> Lab:
    """Return the lab of a lesson as a submission says it stands; raise SubmissionError or RefusedError.

    `lesson` is as it was written; its numbers are drawn here, by the submission's seed.
    """
    if submission.base_seq:
        raise SubmissionError("base_seq", "must be 0: nothing is known of the actions before")
    if submission.lesson_version != lesson.version:
        found = submission.lesson_version[:40]
        raise SubmissionError("lesson_version", f"is {found!r}; the lesson here is {lesson.version!r}")
    drawn = lesson.drawn(submission.seed)
    check_answers(drawn, {}, submission.log)
    claim = {"digest": digest_of(submission), "hash": submission.hash, "mode": submission.mode}
    record = _beginning(drawn, submission)
    verification = Verification(record, claim, LabBuilder(engine), time.monotonic, seconds=float("inf"))
    while verification.mode == "rebuilding":
        verification.work(SLICE_SECONDS)
        progress(f"repeating {lesson.slug}", verification.answer.get("share", 1.0))
    if verification.refusal is not None:
        raise RefusedError(str(verification.refusal["message"]))
    return verification.lab


def _beginning(lesson: Lesson, submission: Submission) -> LabRecord:
    programs = tuple(ProgramText(one.name, one.source, one.elf) for one in lesson.programs.values())
    return LabRecord(
        lab="submission",
        lesson=lesson.id,
        config=lesson.lab_config.to_dict(),
        programs=programs,
        seed=submission.seed,
        generation=submission.generation,
        log=submission.log,
        position=submission.position,
        actions=submission.actions,
        present=submission.present,
        mode=PAUSED,
    )
