"""`vmlab worker`: a worker process, started by `vmlab serve`, answering requests on its standard streams."""

import argparse
import gc
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from app.commands import Subparsers

if TYPE_CHECKING:
    from emulator.lab import Lab


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab worker`, unlisted: nobody types it."""
    parser = subparsers.add_parser("worker")
    parser.add_argument("--lessons", type=Path, required=True)
    parser.add_argument("--editions", type=Path, help="versions of lessons that labs began with")


def main(args: argparse.Namespace) -> int:
    """Serve labs until standard input ends."""
    from app.workers.process import leave_interrupts_to_parent, serve, take_pipes
    from app.workers.record import LabBuilder
    from emulator.build.engine import load_engine

    leave_interrupts_to_parent()
    requests, replies = take_pipes()
    engine = load_engine()
    gc.collect()
    gc.freeze()  # the compiler's million objects stay for ever: walking them would stop every lab for 80 ms
    serve(LabBuilder(engine), examiner(args.lessons, args.editions), requests, replies)
    return 0


def examiner(lessons: Path, editions: Path | None = None) -> "Callable[[str, Lab, Any], dict[str, Any]]":
    """Return what grades a lab by its lesson: the version that the request names, if that was kept.

    Else by the lesson as it is on disk when first needed. What is on disk is not read before: its author may
    be in the middle of an edit.
    """
    from functools import cache

    from app.grading import after_tries, grade, grade_predictions
    from app.lessons import Lesson, load_course
    from app.lessons.editions import Editions
    from app.texts import SOURCE, use

    course = cache(lambda: load_course(lessons))
    kept = Editions(editions) if editions else None

    def find(lesson_id: str, version: str) -> Lesson:
        return (kept and kept.read(version)) or course().lesson(lesson_id)

    def examine(lesson_id: str, lab: "Lab", asked: Any) -> dict[str, Any]:
        use(str(asked.get("language", SOURCE)))
        lesson = find(lesson_id, str(asked.get("version", ""))).drawn(lab.seed)
        answers = lab.observe(None)["answers"]
        results = after_tries(lesson, grade(lesson, lab, answers), asked.get("earlier", ()), answers)
        return {
            "position": lab.position,
            "now_ns": lab.now_ns,
            "checks": [result.for_student() for result in results],
            "predictions": [result.as_dict() for result in grade_predictions(lesson, answers)],
            "earned": sum(result.earned for result in results),
            "points": lesson.points,
        }

    return examine
