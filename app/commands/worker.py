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
    serve(LabBuilder(engine), examiner(args.lessons), requests, replies)
    return 0


def examiner(lessons: Path) -> "Callable[[str, Lab], dict[str, Any]]":
    """Return what grades a lab by the lesson of a given id, as that lesson is on disk when first needed."""
    from functools import cache

    from app.grading import grade, grade_predictions
    from app.lessons import load_course

    course = cache(lambda: load_course(lessons))

    def examine(lesson_id: str, lab: "Lab") -> dict[str, Any]:
        lesson = course().lesson(lesson_id)
        answers = lab.observe(None)["answers"]
        results = grade(lesson, lab, answers)
        return {
            "position": lab.position,
            "now_ns": lab.now_ns,
            "checks": [result.as_dict() for result in results],
            "predictions": [result.as_dict() for result in grade_predictions(lesson, answers)],
            "earned": sum(result.earned for result in results),
            "points": lesson.points,
        }

    return examine
