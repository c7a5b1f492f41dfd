"""`vmlab fuzz`: random programs here and on another machine; exit status 1 at an unexplained difference."""

from __future__ import annotations

import argparse
import json
import sys
import time
from typing import TYPE_CHECKING

from app.commands import Subparsers

if TYPE_CHECKING:
    from emulator.fuzz.campaign import Report
    from emulator.fuzz.comparison import Result
    from emulator.fuzz.machines import Machine

ORACLES = ("qemu", "plain")


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab fuzz`."""
    parser = subparsers.add_parser(
        "fuzz", help="compare random programs with QEMU, or with the kernels as plain Python"
    )
    parser.add_argument(
        "--minutes", type=float, metavar="N", help="stop after this time (1, without --instructions)"
    )
    parser.add_argument(
        "--instructions", type=int, metavar="N", help="stop after so many compared instructions"
    )
    parser.add_argument("--seed", default="1", metavar="S", help="the same seed makes the same programs (1)")
    parser.add_argument("--oracle", choices=ORACLES, default="qemu", help="what to compare with (qemu)")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def main(args: argparse.Namespace) -> int:
    """Run a campaign."""
    from emulator.build.engine import load_engine
    from emulator.fuzz.campaign import BATCH, Campaign
    from emulator.fuzz.machines import Ours, Plain, Qemu

    oracle: Machine = Qemu() if args.oracle == "qemu" else Plain()
    size = BATCH if args.oracle == "qemu" else 4
    campaign = Campaign(Ours(load_engine()), oracle, args.seed, size)
    minutes = args.minutes if args.minutes or args.instructions else 1.0
    end = time.monotonic() + minutes * 60 if minutes else float("inf")

    def goes_on(total: Result) -> bool:
        return time.monotonic() < end and (not args.instructions or total.instructions < args.instructions)

    report = campaign.run(goes_on, say)
    print(file=sys.stderr)
    print(json.dumps(as_figures(report)) if args.json else "\n".join(as_text(report)))
    return 1 if report.failures else 0


def say(line: str) -> None:
    """Show progress on one line of a terminal, and as lines elsewhere."""
    print(
        f"\r{line}" if sys.stderr.isatty() else line,
        end="" if sys.stderr.isatty() else "\n",
        file=sys.stderr,
        flush=True,
    )


def as_figures(report: Report) -> dict[str, object]:
    """Return what `--json` prints."""
    total = report.total
    return {
        "seed": report.seed, "oracle": report.oracle, "instructions": total.instructions,
        "programs": total.programs, "traps": total.traps, "explained": dict(total.explained),
        "failures": report.failures,
    }  # fmt: skip


def as_text(report: Report) -> list[str]:
    """Return what is printed in the end."""
    from emulator.fuzz.campaign import progress
    from emulator.fuzz.known import REASONS

    lines = [f"seed {report.seed}, beside {report.oracle}: {progress(report)}"]
    lines += [
        f"  {count:>8} times {name}: {REASONS[name]}" for name, count in report.total.explained.most_common()
    ]
    return lines + [f"\n{failure}" for failure in report.failures]
