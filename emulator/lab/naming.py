"""Symbols in conditions: `{"kind": "breakpoint", "vm": "a", "address": "main+8"}` becomes one with a number.

A program that moves itself when it turns paging on (a kernel, `Executable.runs_at`) has each symbol at two
addresses. A breakpoint by name is then at both, and memory is watched by its GPA, which is the same in both.
The VM may be off: names are those of its program.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from emulator.lab.conditions import number_of
from emulator.lab.errors import LabError
from emulator.lab.values import nearest
from emulator.machine.elf import Executable
from emulator.state import NO_ADDRESS

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

LONGEST = 200  # characters of a name, with what is added to it
MANY_NAMES = 1000  # of more, only those that begin alike are looked at for what was meant
SUM_OF = re.compile(r"\s*([A-Za-z_.$][\w.$]*)\s*(?:([+-])\s*(0x[0-9a-fA-F]+|[0-9]+))?\s*", re.ASCII)
AT_ADDRESS = ("breakpoint", "watch", "instruction")


def named(lab: Lab, condition: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a condition with a number where it has a symbol, which is kept beside it. Raises LabError."""
    if isinstance(condition.get("of"), list):
        return {**condition, "of": [_named_part(lab, one) for one in cast("list[object]", condition["of"])]}
    kind, text, vm = condition.get("kind"), condition.get("address"), condition.get("vm")
    if kind not in AT_ADDRESS or not isinstance(vm, str) or not isinstance(text, str) or len(text) > LONGEST:
        return condition
    matched = SUM_OF.fullmatch(text)
    if matched is None:
        return condition
    executable = lab.program(vm).executable
    at = _address(executable, vm, matched)
    if kind == "instruction":
        return {**condition, "address": hex(at)}
    # In hexadecimal: a page's numbers are exact only below 2**53.
    found = {**condition, "address": hex(at), "symbol": text.strip()}
    if kind == "watch" and executable.runs_at is not None:
        return {
            **found,
            "space": "gpa",
            "address": hex(at - executable.runs_at + executable.entry & NO_ADDRESS),
        }
    return found


def _named_part(lab: Lab, one: object) -> object:
    return named(lab, cast("Mapping[str, Any]", one)) if isinstance(one, Mapping) else one


def places(executable: Executable, condition: Mapping[str, Any]) -> list[int]:
    """Return the addresses at which a breakpoint stops: two for a symbol of a program that moves itself."""
    at = number_of(condition, "address")
    if "symbol" not in condition or executable.runs_at is None:
        return [at]
    return [at, at - executable.runs_at + executable.entry & NO_ADDRESS]


def _address(executable: Executable, vm: str, matched: re.Match[str]) -> int:
    name, sign, more = matched.groups()
    symbols = executable.symbols
    if name not in symbols:
        why = "" if symbols else f": {executable.name} has no symbols; give a number like 0x80000000"
        raise LabError(f"{vm} has no symbol {name!r}{nearest(name, alike(symbols, name))}{why}", "address")
    offset = int(more, 16 if more.startswith("0x") else 10) if more else 0
    return symbols[name] + (-offset if sign == "-" else offset) & NO_ADDRESS


def alike(symbols: Mapping[str, int], name: str) -> list[str]:
    """Return the names among which to look for what was meant."""
    return [one for one in symbols if len(symbols) <= MANY_NAMES or one[:2] == name[:2]]
