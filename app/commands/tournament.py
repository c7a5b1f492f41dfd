"""`vmlab tournament`: policies beside each other on the same seeded work.

Texts run in this very process, on your own computer, with your rights: run only your own, or look at them
first. Runs of others (`--runs`) are repeated from their logs, and nothing of their text is run.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, cast

from app.commands import Subparsers
from emulator.errors import VmLabError

if TYPE_CHECKING:
    from emulator.tournament import Entrant, Run, Scenario, Trial


def add_parser(subparsers: Subparsers) -> None:
    """Add `vmlab tournament`."""
    parser = subparsers.add_parser(
        "tournament",
        help="compare policies written in Python on the same seeded work",
        description="Compare policies. Python files run here, with your rights: only run those you trust.",
    )
    parser.add_argument(
        "entrants",
        nargs="*",
        metavar="POLICY",
        help="a Python file, or builtin:NAME; all built-in ones if none",
    )
    add = parser.add_argument
    add("--scenario", metavar="NAME", help="what they compete on (see --list)")
    add("--list", action="store_true", help="show scenarios and built-in policies")
    add("--docs", metavar="INTERFACE", help="print the reference of an interface, and a starter")
    add("--runs", nargs="+", default=[], metavar="FILE", help="runs of others: repeated and verified")
    add("--save", metavar="FILE", help="write the run of the only Python file, to hand it in")
    add("--svg", metavar="FILE", help="write plots")
    add(
        "--open-board",
        metavar="DATA",
        help="show built-in and verified results to the class of `serve --data DATA`",
    )
    add("--hide-board", metavar="DATA", help="hide the board of the scenario again")
    add("--json", action="store_true", help="print results as JSON")


def main(args: argparse.Namespace) -> int:
    """Hold a tournament; return 1 if a policy has made a mistake."""
    if args.docs:
        return _docs(args.docs)
    if args.list or not args.scenario:
        return _list()
    from emulator.tournament import scenario

    chosen = scenario(args.scenario)
    if args.hide_board:
        return _hide(args.hide_board, chosen.name)
    trials = _compete(chosen, args)
    _keep(chosen, trials, args)
    return int(any(one.error for one in trials))


def _compete(chosen: "Scenario", args: argparse.Namespace) -> "list[Trial]":
    """Measure what is entered, and repeat the runs that were handed in."""
    from emulator.build.engine import load_engine
    from emulator.tournament import Entrant, Run, built_ins, compete, verify

    names: list[str] = args.entrants or [f"builtin:{name}" for name in built_ins(chosen.interface)]
    entrants = [Entrant(name) if name.startswith("builtin:") else _read(name) for name in names]
    runs = [Run.from_dict(_json_of(path)) for path in cast("list[str]", args.runs)]
    if any(one.text is not None for one in entrants):
        _say("policies in files run here, on this computer, with your rights")
    engine = load_engine()
    trials = compete(chosen.name, entrants, engine)
    for run in runs:
        if run.scenario != chosen.name:
            raise VmLabError(f"the run of {run.title} is one of {run.scenario}, not of {chosen.name}")
        trials.append(verify(run, engine))
    return trials


def _keep(chosen: "Scenario", trials: "list[Trial]", args: argparse.Namespace) -> None:
    """Write results where the arguments say, and print them."""
    from emulator.tournament.report import as_svg, as_table

    if args.save:
        _save(
            args.save,
            [one.run for one in trials if one.run and not one.verified and "builtin:" not in one.name],
        )
    if args.open_board:
        from emulator.tournament.board import open_board

        _say(f"the board shows {', '.join(open_board(Path(args.open_board), chosen.name, trials))}")
    if args.svg:
        Path(args.svg).write_text(as_svg(chosen, trials), encoding="utf-8")
    if args.json:
        print(json.dumps([one.to_dict() for one in trials], indent=2, ensure_ascii=False))
    else:
        print(f"{chosen.title}: {chosen.question}\n\n{as_table(chosen, trials)}")


def _hide(data: str, name: str) -> int:
    from emulator.tournament.board import hide_board

    _say("the board is hidden" if hide_board(Path(data), name) else "the board was hidden already")
    return 0


def _list() -> int:
    from emulator.policy import INTERFACES
    from emulator.tournament import SCENARIOS, built_ins

    for one in SCENARIOS.values():
        print(f"{one.name:12} {INTERFACES[one.interface].title}: {one.title}. {one.question}")
    for interface in INTERFACES:
        names = ", ".join(f"builtin:{name}" for name in built_ins(interface))
        print(f"{interface + ':':12} {names or 'used by datacentres'}")
    return 0


def _docs(interface: str) -> int:
    from emulator.policy import INTERFACES
    from emulator.policy.reference import as_text

    if interface not in INTERFACES:
        raise VmLabError(f"there is no interface {interface!r}; interfaces are {', '.join(INTERFACES)}")
    print(as_text(INTERFACES[interface]))
    return 0


def _read(name: str) -> "Entrant":
    from emulator.tournament import Entrant

    try:
        return Entrant(Path(name).name, Path(name).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise VmLabError(f"{name} cannot be read: {error}") from error


def _json_of(path: str) -> object:
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise VmLabError(f"{path} is no run of a policy: {error}") from error


def _save(path: str, runs: "list[Run]") -> None:
    if len(runs) != 1:
        raise VmLabError("--save writes one run: name one Python file, and one that makes no mistake")
    Path(path).write_text(json.dumps(runs[0].to_dict(), separators=(",", ":")), encoding="utf-8")


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
