"""`vmlab screenshots`: pictures of every page, view and tool, in every display, to be looked at."""

import argparse
from pathlib import Path

from app.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab screenshots`."""
    parser = subparsers.add_parser(
        "screenshots", help="take pictures of every page, view and tool (needs Playwright and a Chromium)"
    )
    parser.add_argument("directory", type=Path, help="where the pictures go")
    parser.add_argument("--only", default="", metavar="NAME", help="displays whose name begins with this")


def main(args: argparse.Namespace) -> int:
    """Take the pictures and say how many there are."""
    from app.screenshots import take_all

    taken = take_all(args.directory, args.only)
    print(f"{taken} pictures in {args.directory}")
    return 0
