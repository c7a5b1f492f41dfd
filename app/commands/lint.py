"""`vmlab lint`: every fault of the lessons, each with its file, line and remedy."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from app.commands import Subparsers

if TYPE_CHECKING:
    from app.lessons.errors import LessonError


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab lint`."""
    parser = subparsers.add_parser(
        "lint",
        help="check lessons and print every fault with its line",
        description="Check lessons; print every fault as file:line:column: message. Exits 1 if there is one.",
    )
    parser.add_argument(
        "lessons", nargs="*", type=Path, metavar="LESSON", help="lesson directories (default: all)"
    )
    parser.add_argument("--json", action="store_true", help="print the faults as a JSON list")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of lessons, for editors")


def main(args: argparse.Namespace) -> int:
    """Check the given lessons, or the whole course."""
    if args.schema:
        return _print_schema()
    from app.lessons.errors import GuestMissing, LessonError
    from app.lessons.lint import lint_course, lint_lesson
    from app.paths import lessons_dir

    paths = cast(list[Path], args.lessons)
    errors: list[LessonError] = []
    for path in paths:
        errors += (
            lint_lesson(path) if (path / "lesson.md").exists() or not path.is_dir() else lint_course(path)
        )
    if not paths:
        errors = lint_course(lessons_dir())
    _report(errors, as_json=bool(args.json))
    return 1 if any(not isinstance(error, GuestMissing) for error in errors) else 0


def _print_schema() -> int:
    import json

    from app.lessons.schema import json_schema

    print(json.dumps(json_schema(), indent=2, ensure_ascii=False))
    return 0


def _report(errors: "list[LessonError]", as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps([error.as_dict() for error in errors], indent=2, ensure_ascii=False))
        return
    from app.lessons.errors import GuestMissing

    for error in errors:
        print(error)
    faults = sum(not isinstance(error, GuestMissing) for error in errors)
    waits = "; a lesson waits for a guest" if len(errors) > faults else ""
    found = f"{faults} fault{'s' if faults > 1 else ''}" if faults else "no faults"
    print(f"{found} found{waits}", file=sys.stderr)
