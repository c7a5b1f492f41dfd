"""`vmlab warm`: compile the kernels now, so that the next start is immediate."""

import argparse
import sys
import time


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add `vmlab warm`."""
    subparsers.add_parser("warm", help="compile the emulator's kernels into the cache")


def show_progress(text: str, fraction: float) -> None:
    """Print one line of progress; `fraction` runs from 0 to 1."""
    print(f"{fraction:4.0%} {text}", file=sys.stderr, flush=True)


def main(args: argparse.Namespace) -> int:
    """Load the engine, compiling what is not cached, and say how long it took."""
    del args
    from emulator.build.engine import load_engine

    started = time.perf_counter()
    load_engine(progress=show_progress)
    print(f"kernels ready in {time.perf_counter() - started:.1f} s")
    return 0
