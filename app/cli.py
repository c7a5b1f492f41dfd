"""The `vmlab` command.

Each subcommand is a module of app/commands with

    add_parser(subparsers)   add its parser; no heavy imports, so that `vmlab --help` is instant
    main(args) -> int        do the work and return the exit status

A user error (VmLabError) is one line on stderr and exit status 2, as argparse does for a bad command line.
"""

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from pkgutil import iter_modules
from typing import cast

from app import commands
from emulator.errors import VmLabError

Main = Callable[[argparse.Namespace], int]


def build_parser() -> argparse.ArgumentParser:
    """Return the parser with every subcommand of app/commands."""
    parser = argparse.ArgumentParser(prog="vmlab", description="A virtualisation teaching lab.")
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    for module_info in iter_modules(commands.__path__):
        module = importlib.import_module(f"app.commands.{module_info.name}")
        before = set(subparsers.choices)
        module.add_parser(subparsers)
        for name in set(subparsers.choices) - before:
            subparsers.choices[name].set_defaults(main=module.main)
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand; return its exit status."""
    args = build_parser().parse_args(argv)
    command = cast(Main, args.main)
    try:
        return command(args)
    except VmLabError as error:
        print(f"vmlab: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 141


if __name__ == "__main__":
    sys.exit(main())
