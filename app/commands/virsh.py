"""`vmlab virsh`: the host console of a lesson's lab, in a terminal or for a script.

Virtual time stands still while you type; `advance 10ms` lets it pass. `define FILE` reads domain XML from a
file. `plan FILE` and `apply FILE` make the lab what a file describes, which holds what stands under `lab:` in
a lesson; applied twice, the second time does nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, cast

from app.commands import Subparsers
from emulator.errors import VmLabError

if TYPE_CHECKING:
    from emulator.lab import Lab

PROMPT = "virsh # "
MAX_ADVANCE_NS = 3600 * 1_000_000_000


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab virsh`."""
    parser = subparsers.add_parser(
        "virsh",
        help="type virsh commands at a lesson's host",
        description="Open the host console of a lesson's lab: list, start, dominfo, schedinfo, dumpxml,"
        " define FILE and the other commands of `help`; `advance TIME` lets virtual time pass, `plan FILE`"
        " and `apply FILE` make the lab what a YAML file describes. Without commands they are read line by"
        " line from standard input. Exit status 1: a command failed.",
    )
    parser.add_argument("lesson", type=Path, help="a lesson's directory")
    parser.add_argument("commands", metavar="COMMAND", nargs="*", help='like "start web" "advance 10ms" list')


def main(args: argparse.Namespace) -> int:
    """Carry out the commands in the lab of a lesson."""
    from app.grading.attempt import Attempt
    from app.lessons import load_lesson
    from emulator.build.engine import load_engine

    lab = Attempt(load_lesson(args.lesson), load_engine()).lab
    failed = False
    for line in args.commands or _typed():
        if line.strip() in ("quit", "exit"):
            break
        printed = carry_out(lab, line)
        print(printed, end="", flush=True)
        failed = failed or printed.startswith("error: ")
    return int(failed)


def _typed() -> Iterator[str]:
    """Yield lines from a person, with a prompt, or from a pipe."""
    if not sys.stdin.isatty():
        yield from sys.stdin
        return
    print("Type `help` for the commands, `advance 10ms` to let time pass, `quit` to leave.\n")
    while True:
        try:
            yield input(PROMPT)
        except EOFError:
            print()
            return


def carry_out(lab: Lab, line: str) -> str:
    """Return what a line prints."""
    from emulator.libvirt import execute

    name, _, rest = line.strip().partition(" ")
    try:
        if name == "advance":
            return _advance(lab, rest)
        if name in ("plan", "apply"):
            return _provision(lab, rest.strip(), name == "apply")
        if name == "define" and rest and not rest.lstrip().startswith("<"):
            return execute(lab, f"define {_read(rest.strip())}")
    except VmLabError as error:
        return f"error: {error}\n"
    return execute(lab, line)


def _advance(lab: Lab, text: str) -> str:
    from emulator.lab.quantities import DURATION_UNITS
    from emulator.lab.values import quantity

    ns = quantity(text.strip(), "advance", DURATION_UNITS, "10ms", 1, MAX_ADVANCE_NS)
    lab.advance(lab.position_at(lab.now_ns + ns))
    still = "" if lab.hypervisor.can_progress() else "; nothing can happen until a VM is started"
    return f"now at {lab.now_ns / 1e6:.3f} ms of virtual time{still}\n\n"


def _provision(lab: Lab, path: str, apply: bool) -> str:
    """Return what it takes to make the lab what a file describes, and do it if `apply`."""
    from app.lessons.source import TextFile
    from app.lessons.yaml import parse
    from emulator.lab.config import LabConfig
    from emulator.lab.provisioning import plan, provision

    text = _read(path)
    described: object = parse(TextFile(path, text), text).value
    table = cast("dict[str, object]", described) if isinstance(described, dict) else {}
    wanted = LabConfig.from_dict(table["lab"] if "lab" in table else cast("object", described))
    steps = provision(lab, wanted) if apply else plan(lab.config, wanted)
    lines = [f"{step.text}\n" for step in steps] or ["nothing to do: the lab is as described\n"]
    return "".join([*lines, "\n"])


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise VmLabError(f"cannot read {path}: {error}") from error
