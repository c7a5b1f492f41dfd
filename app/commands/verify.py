"""`vmlab verify`: whether a submission is what the lesson comes to with its actions, and what it earns."""

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from app.commands import Subparsers
from app.progress import ProgressLine
from emulator.errors import VmLabError

if TYPE_CHECKING:
    from app.lessons import Lesson
    from emulator.lab import Lab


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab verify`."""
    parser = subparsers.add_parser(
        "verify",
        help="repeat a submission and grade what comes of it",
        description="Repeat the actions of a submission, a file from /labs/<lab>/submission, in a lab of its"
        " lesson, and compare the state. Prints verified and what it earns, or refused and why. Exit status"
        " 0: verified, 1: refused.",
    )
    parser.add_argument("file", type=Path, help="the submission, a JSON file")
    parser.add_argument(
        "--lessons", type=Path, help="the directory of the lessons (default: those that came along)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def main(args: argparse.Namespace) -> int:
    """Verify one file."""
    from app.verify import RefusedError
    from app.workers.submission import SubmissionError

    try:
        found = _verified(args)
    except (SubmissionError, RefusedError) as error:
        found = {"verified": False, "reason": str(error)}
    print(json.dumps(found, ensure_ascii=False) if args.json else _line(found))
    return 0 if found["verified"] else 1


def _verified(args: argparse.Namespace) -> dict[str, Any]:
    from app.lessons import load_course
    from app.paths import lessons_dir
    from app.verify import check_format, verify
    from app.workers.submission import SubmissionError, read_submission
    from emulator.build.engine import load_engine

    body = _read(args.file)
    check_format(body)
    submission = read_submission(body)
    try:
        lesson = load_course(args.lessons or lessons_dir()).lesson(submission.lesson)
    except KeyError:
        raise SubmissionError("lesson", f"{submission.lesson!r} is not one of the lessons here") from None
    line = ProgressLine()
    try:
        lab = verify(submission, lesson, load_engine(line), line)
    finally:
        line.finish()
    return {"verified": True, "position": lab.position, **_grade(lesson.drawn(submission.seed), lab)}


def _grade(lesson: "Lesson", lab: "Lab") -> dict[str, Any]:
    from app.grading import grade

    results = grade(lesson, lab, lab.answers)
    return {
        "lesson": lesson.id,
        "earned": sum(result.earned for result in results),
        "points": lesson.points,
        "checks": [result.as_dict() for result in results],
    }


def _line(found: dict[str, Any]) -> str:
    if not found["verified"]:
        return f"refused: {found['reason']}"
    earned = f"{found['earned']} of {found['points']} points"
    return f"verified: {found['lesson']} at position {found['position']}, {earned}"


def _read(path: Path) -> dict[str, Any]:
    from app.workers.submission import MAX_BODY_BYTES, SubmissionError

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BODY_BYTES + 1)
    except OSError as error:
        raise VmLabError(f"{path}: {error.strerror}") from error
    if len(data) > MAX_BODY_BYTES:
        raise SubmissionError("file", f"has more than {MAX_BODY_BYTES} bytes")
    try:
        value = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise SubmissionError("file", f"is no JSON ({error})") from error
    if not isinstance(value, dict):
        raise SubmissionError("file", "is no JSON object")
    return cast("dict[str, Any]", value)
