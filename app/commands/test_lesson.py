"""`vmlab test-lesson`: does a lesson work, for many students?"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from app.commands import Subparsers
from emulator.errors import VmLabError


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab test-lesson`."""
    parser = subparsers.add_parser(
        "test-lesson",
        help="do a lesson's solution and wrong solutions for many students",
        description="For each of N students' seeds: an empty attempt must earn nothing, solution/"
        " everything, and each of wrong/ must be caught by the check it names. Exits 0 if all lessons"
        " work, 1 if one does not, 2 if they cannot be tried at all.",
    )
    parser.add_argument(
        "lessons", nargs="+", type=Path, metavar="DIR", help="a lesson, or a directory of lessons"
    )
    parser.add_argument("--seeds", type=_count, default=3, metavar="N", help="how many students (default 3)")
    parser.add_argument("--seed", type=int, help="only this seed, as a fault names it")
    parser.add_argument(
        "--mutate", action="store_true", help="weaken checks one at a time: an attempt must notice each"
    )
    parser.add_argument(
        "--jobs", type=_count, default=os.cpu_count() or 1, help="processes (default: one per CPU)"
    )
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write a JUnit report, for your CI")
    parser.add_argument("--json", action="store_true", help="print one JSON object per lesson, as a list")


def main(args: argparse.Namespace) -> int:
    """Try the lessons; return 1 if one has a fault."""
    from app.grading.proof import is_faulty, lines, prove
    from app.progress import ProgressLine

    if args.junit is not None and not args.junit.absolute().parent.is_dir():
        raise VmLabError(f"the report cannot be written to {args.junit}: its directory does not exist")
    progress = ProgressLine()
    seeds = args.seeds if args.seed is None else [args.seed]
    reports = prove(args.lessons, seeds, bool(args.mutate), args.jobs, progress)
    progress.finish()
    if args.junit is not None:
        _write(args.junit, reports)
    print(json.dumps(reports, indent=2, ensure_ascii=False) if args.json else "\n".join(lines(reports)))
    return int(any(map(is_faulty, reports)))


def _write(file: Path, reports: list[dict[str, Any]]) -> None:
    from app.grading.junit import junit

    try:
        file.write_bytes(junit(reports))
    except OSError as error:
        raise VmLabError(f"the report cannot be written to {file}: {error.strerror}") from error


def _count(text: str) -> int:
    number = int(text)
    if not 0 < number <= 100_000:
        raise argparse.ArgumentTypeError(f"{text} is not a number of these; expected 1 to 100000")
    return number
