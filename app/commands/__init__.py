"""One module per subcommand of `vmlab`; each has `add_parser(subparsers)` and `main(args) -> int`."""

import argparse
from typing import TypeAlias

# What `add_subparsers` returns; argparse gives it no public name.
Subparsers: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"  # pyright: ignore[reportPrivateUsage]
