"""The grammar of virsh commands: what a command takes is read from the line that its help prints.

`<word>` is needed, `[<word>]` may be left out, `[--flag]` is a switch and `[--name <value>]` an option. Every
word can also be given by name (`--domain web`), as in virsh.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from emulator.errors import VmLabError
from emulator.lab.values import nearest

if TYPE_CHECKING:
    from emulator.lab.lab import Lab

MAX_LINE = 64 << 10
_PART = re.compile(r"\[--([a-z-]+) <[a-z-]+>\]|\[--([a-z-]+)\]|(\[)?<([a-z-]+)>\]?")


class VirshError(VmLabError):
    """A line is no command, or cannot be carried out; the message is what virsh prints after `error: `."""


@dataclass(frozen=True, slots=True)
class Change:
    """A command that changes the lab: the action, and what to print before the error, or when it is done."""

    action: Mapping[str, Any]
    done: str
    failed: str


Arguments = Mapping[str, str]
Serve = Callable[["Lab", Arguments], "str | Change"]


@dataclass(frozen=True, slots=True)
class Command:
    """A command: its name, what it takes, what it is for, and the function that serves it."""

    name: str
    syntax: str
    summary: str
    serve: Serve
    group: str

    def parse(self, words: Sequence[str]) -> Arguments:
        """Return the arguments by name; a switch that is there is "yes". Raises VirshError."""
        options, flags, positional, needed = _grammar(self.syntax)
        found: dict[str, str] = {}
        free = list(positional)
        waiting = list(words)
        while waiting:
            word = waiting.pop(0)
            name, equals, value = word.removeprefix("--").partition("=")
            if not word.startswith("--"):
                if not free:
                    raise VirshError(f"unexpected data '{word}'; usage: {self.usage}")
                found[free.pop(0)] = word
            elif name in flags and not equals:
                found[name] = "yes"
            elif name in options or name in positional:
                found[name] = value if equals else _value(name, waiting)
                free = [one for one in free if one != name]
            else:
                raise VirshError(f"command '{self.name}' doesn't support option {word}; usage: {self.usage}")
        missing = [name for name in needed if name not in found]
        if missing:
            raise VirshError(f"command '{self.name}' requires <{missing[0]}> option; usage: {self.usage}")
        return found

    @property
    def usage(self) -> str:
        """How it is typed."""
        return f"{self.name} {self.syntax}".rstrip()


def _value(name: str, waiting: list[str]) -> str:
    if not waiting:
        raise VirshError(f"expected syntax: --{name} <value>")
    return waiting.pop(0)


def _grammar(syntax: str) -> tuple[set[str], set[str], list[str], list[str]]:
    """Return options, flags, positional words, and those of them that are needed."""
    parts = _PART.findall(syntax)
    options = {option for option, _, _, _ in parts if option}
    flags = {flag for _, flag, _, _ in parts if flag}
    positional = [word for _, _, _, word in parts if word]
    return options, flags, positional, [word for _, _, bracket, word in parts if word and not bracket]


COMMANDS: dict[str, Command] = {}


def command(name: str, syntax: str, summary: str, group: str = "Domains") -> Callable[[Serve], Serve]:
    """Register the function below as a command."""

    def register(serve: Serve) -> Serve:
        COMMANDS[name] = Command(name, syntax, summary, serve, group)
        return serve

    return register


def interpret(lab: Lab, line: str) -> str | Change:
    """Return what a line answers, or the change that it asks for. Changes nothing.

    Raises VirshError for what is no command, LabError for what the lab does not have.
    """
    if len(line) > MAX_LINE:
        raise VirshError(f"the line has {len(line)} characters; at most {MAX_LINE} are read")
    name, _, rest = line.strip().partition(" ")
    if not name:
        return ""
    found = COMMANDS.get(name)
    if found is None:
        hint = nearest(name, list(COMMANDS)) or "; `help` lists them"
        raise VirshError(f"unknown command: '{name[:40]}'{hint}")
    return found.serve(lab, found.parse(_words(found, rest)))


def _words(found: Command, rest: str) -> list[str]:
    if found.name == "define" and rest.lstrip().startswith("<"):
        return [rest.strip()]
    try:
        return shlex.split(rest)
    except ValueError as error:
        raise VirshError(f"{str(error).lower()}: close the quotation") from error


def execute(lab: Lab, line: str) -> str:
    """Carry a line out and return all that it prints, errors included."""
    try:
        answer = interpret(lab, line)
    except VmLabError as error:
        return f"error: {error}\n"
    if isinstance(answer, str):
        return answer
    try:
        lab.apply(answer.action)
    except VmLabError as error:
        return f"error: {answer.failed}\nerror: {error}\n"
    return answer.done


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table in virsh's shape: columns three spaces apart, a rule below the heads, an empty line."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    lines = [
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in [head, *rows]
    ]
    rule = "-" * (sum(widths) + 3 * len(widths))
    return "\n".join([f" {lines[0]}".rstrip(), rule, *(f" {line}".rstrip() for line in lines[1:]), ""]) + "\n"


def pairs(values: Mapping[str, object], width: int) -> str:
    """Return "Name:   value" lines, the values in one column."""
    return "".join(f"{key + ':':<{width}}{value}\n" for key, value in values.items()) + "\n"
