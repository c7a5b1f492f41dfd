"""`vmlab guests`: build the operating systems that lessons run, from Debian's packages."""

import argparse
import os
from pathlib import Path

from app.commands import Subparsers

DEFAULT_JOBS = 2


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab guests build`."""
    parser = subparsers.add_parser("guests", help="build the operating systems that lessons run")
    actions = parser.add_subparsers(metavar="ACTION", required=True)
    build = actions.add_parser(
        "build",
        help="download, compile and keep a guest",
        description="Build Linux and a small user land from Debian's source and packages. Needs apt, a RISC-V"
        " cross compiler, 2 GB of disk and about five minutes of CPU; says what is missing.",
    )
    build.add_argument("guest", choices=("linux",))
    build.add_argument("--out", type=Path, metavar="DIR", help="put the image there instead of the cache")
    build.add_argument("--jobs", type=int, default=min(DEFAULT_JOBS, os.cpu_count() or 1), metavar="N")


def main(args: argparse.Namespace) -> int:
    """Build the guest, or say that it is there."""
    from app.guests import images, linux
    from app.progress import ProgressLine

    path = images.image_path(args.guest)
    target = args.out / path.name if args.out else path
    progress = ProgressLine()
    made = linux.build(path.parent / "work", target, max(1, args.jobs), progress)
    progress.finish()
    print(f"{target}: {'built' if made else 'is built already'} ({target.stat().st_size >> 10} KiB)")
    return 0
