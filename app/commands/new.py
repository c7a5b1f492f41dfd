"""`vmlab new lesson`: a small lesson that works, to change."""

import argparse
from pathlib import Path

from app.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab new`."""
    parser = subparsers.add_parser("new", help="begin a lesson: a small one that works, to change")
    kinds = parser.add_subparsers(metavar="KIND", required=True)
    lesson = kinds.add_parser("lesson", help="write a new lesson's directory")
    lesson.add_argument("directory", type=Path, metavar="DIR", help="like lessons/04-my-lesson")
    lesson.add_argument("--title", default="", help="what the course page calls it (default: from the name)")


def main(args: argparse.Namespace) -> int:
    """Write the lesson and say what to do next."""
    from app.lessons.starter import write_lesson
    from app.paths import lessons_dir

    for path in write_lesson(args.directory, args.title, lessons_dir() / "FORMAT.md"):
        print(path)
    print(f"Next: vmlab preview {args.directory}, and vmlab test-lesson {args.directory} --mutate")
    return 0
