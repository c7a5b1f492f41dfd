"""`vmlab warm`: compile the kernels now, so that the next start is immediate."""

import argparse
import time

from app.commands import Subparsers


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab warm`."""
    subparsers.add_parser("warm", help="compile the emulator's kernels into the cache")


def main(args: argparse.Namespace) -> int:
    """Load the engine, compiling what is not cached, and say how long it took."""
    from app.progress import ProgressLine
    from emulator.build.engine import load_engine

    started = time.perf_counter()
    progress = ProgressLine()
    load_engine(progress=progress)
    progress.finish()
    print(f"kernels ready in {time.perf_counter() - started:.1f} s")
    return 0
