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
        description="linux: a kernel and a small user land from Debian's source and packages. Needs apt, a"
        " RISC-V cross compiler, 2 GB of disk and about five minutes of CPU; says what is missing."
        " primer: the teaching system in lessons/guests/primer; takes a few seconds.",
    )
    build.add_argument("guest", choices=("linux", "primer"))
    build.add_argument("--out", type=Path, metavar="DIR", help="put the image there instead of the cache")
    build.add_argument("--jobs", type=int, default=min(DEFAULT_JOBS, os.cpu_count() or 1), metavar="N")


def main(args: argparse.Namespace) -> int:
    """Build the guest, or say that it is there."""
    from app.guests import images

    path = images.image_path(args.guest)
    target = args.out / path.name if args.out else path
    made = _build_primer(target) if args.guest == "primer" else _build_linux(target, path, args.jobs)
    print(f"{target}: {'built' if made else 'is built already'} ({target.stat().st_size >> 10} KiB)")
    if args.guest == "linux" and not _has_symbols(target):
        print(
            "It holds no symbols of its kernel, so addresses in it have no names; delete it to build it anew."
        )
    return 0


def _build_linux(target: Path, cached: Path, jobs: int) -> bool:
    from app.guests import linux
    from app.progress import ProgressLine

    progress = ProgressLine()
    made = linux.build(cached.parent / "work", target, max(1, jobs), progress)
    progress.finish()
    return made


def _has_symbols(target: Path) -> bool:
    from app.guests import linux

    return linux.has_symbols(target)


def _build_primer(target: Path) -> bool:
    from app.guests import primer
    from emulator.build.cache import write_whole

    data = primer.build()
    if target.is_file() and target.read_bytes() == data:
        return False
    write_whole(target, data)
    return True
