"""Scripts of actions: `solution/actions.yaml` does a lesson, each `wrong/*.yaml` does it wrong on purpose.

A script is a list of steps, each a mapping with one of the keys of `KINDS` or a VM verb:

    steps:
      - start: a                                   # any verb that takes only a VM
      - run: 20 ms                                 # this much more virtual time
      - {at: 50 ms, action: {verb: set_vm, vm: a, memory: 2 MiB}}   # at an absolute virtual time
      - edit: {vm: a, old: "li t0, 1", new: "li t0, 2"}             # edit the program, assemble & restart
      - refused: {verb: start, vm: d}              # an action that the lab must refuse; nothing changes
    - answer: {one-line: c}
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

from app.lessons.errors import LessonError, nearest, shown
from app.lessons.source import TextFile
from app.lessons.yaml import Document, Path, Place, parse
from emulator.lab.quantities import DURATION_UNITS, parse_quantity

VERBS = ("start", "shutdown", "destroy", "reboot", "reset", "suspend", "resume", "undefine")
KINDS = ("run", "action", "refused", "edit", "answer")
MAXIMUM_STEPS = 200
MAXIMUM_NS = 100_000_000_000


@dataclass(frozen=True)
class Run:
    """Let `duration_ns` of virtual time pass; with `absolute`, run until that time."""

    place: Place
    duration_ns: int
    absolute: bool = False


@dataclass(frozen=True)
class Act:
    """Apply one lab action; with `refused`, the lab must refuse it."""

    place: Place
    action: Mapping[str, Any]
    refused: bool = False


@dataclass(frozen=True)
class Edit:
    """Replace a piece of a VM's program, which must occur exactly once, then assemble & restart."""

    place: Place
    vm: str
    old: str
    new: str


@dataclass(frozen=True)
class Answer:
    """Answer a predict-question."""

    place: Place
    question: str
    value: str | int | float


ScriptStep = Run | Act | Edit | Answer


@dataclass(frozen=True)
class Script:
    """A script: its file as errors show it, what must catch it (wrong scripts only), and its steps."""

    file: str
    caught_by: str
    steps: tuple[ScriptStep, ...]

    def error(self, step: ScriptStep, message: str) -> LessonError:
        """Return an error at a step."""
        return LessonError(self.file, step.place.line, step.place.column, message)


def read_script(file: TextFile, wrong: bool) -> Script:
    """Read a script; raise LessonError. Only a wrong script has `caught_by`."""
    document = parse(file, file.text, controls=True)
    table = _table(document, (), ("caught_by", "steps") if wrong else ("steps",))
    caught_by = table.get("caught_by", "")
    if wrong and not (isinstance(caught_by, str) and caught_by):
        raise document.error(
            ("caught_by",), "caught_by is missing; name the check or question that must fail"
        )
    steps: object = table.get("steps")
    if not isinstance(steps, list) or not steps:
        raise document.error(("steps",), "steps is missing; write a list of steps")
    if len(cast(list[object], steps)) > MAXIMUM_STEPS:
        raise document.error(("steps",), f"more than {MAXIMUM_STEPS} steps")
    read: list[ScriptStep] = []
    for index in range(len(cast(list[object], steps))):
        read += _step(document, ("steps", index))
    return Script(file.name, caught_by, tuple(read))


def _value(document: Document, path: Path) -> Any:
    value = document.value
    for part in path:
        value = value[part]
    return value


def _table(document: Document, path: Path, known: tuple[str, ...]) -> dict[str, Any]:
    value = _value(document, path)
    if not isinstance(value, dict):
        raise document.error(path, f"expected a mapping with the keys {', '.join(known)}")
    table = cast(dict[str, Any], value)
    for key in table:
        if key not in known:
            raise document.error((*path, key), f"unknown key '{shown(key)}'{nearest(key, known)}")
    return table


def _step(document: Document, path: Path) -> list[ScriptStep]:
    """Read one entry of `steps`; an `at:` becomes a step of its own."""
    table = _table(document, path, ("at", *KINDS, *VERBS))
    place = document.place(path)
    steps: list[ScriptStep] = []
    if "at" in table:
        steps.append(Run(place, _duration(document, (*path, "at")), absolute=True))
    for key in table:
        if key != "at":
            steps += _do(document, (*path, key), key, place)
    return steps


def _do(document: Document, path: Path, key: str, place: Place) -> list[ScriptStep]:
    match key:
        case "run":
            return [Run(place, _duration(document, path))]
        case "action":
            return [Act(place, _action(document, path))]
        case "refused":
            return [Act(place, _action(document, path), refused=True)]
        case "edit":
            edit = _table(document, path, ("vm", "old", "new"))
            return [Edit(place, *(_text(document, path, edit, name) for name in ("vm", "old", "new")))]
        case "answer":
            return _answers(document, path)
        case _:
            return [
                Act(place, {"verb": key, "vm": _text(document, path[:-1], _value(document, path[:-1]), key)})
            ]


def _duration(document: Document, path: Path) -> int:
    try:
        nanoseconds = parse_quantity(_value(document, path), DURATION_UNITS, "20 ms")
    except ValueError as error:
        raise document.error(path, str(error)) from error
    if not 0 <= nanoseconds <= MAXIMUM_NS:
        raise document.error(path, f"must be from 0 ms to {MAXIMUM_NS // 1_000_000_000} s")
    return nanoseconds


def _action(document: Document, path: Path) -> dict[str, Any]:
    value = _value(document, path)
    if not isinstance(value, dict) or not isinstance(cast(dict[str, Any], value).get("verb"), str):
        raise document.error(
            path, "expected a mapping with a verb, e.g. {verb: set_vm, vm: a, memory: 2 MiB}"
        )
    return cast(dict[str, Any], value)


def _text(document: Document, path: Path, table: dict[str, Any], name: str) -> str:
    value = table.get(name)
    if not isinstance(value, str):
        raise document.error((*path, name), f"{name} must be text")
    return value


def _answers(document: Document, path: Path) -> list[ScriptStep]:
    value = _value(document, path)
    if not isinstance(value, dict):
        raise document.error(path, "expected question: answer pairs")
    answers = cast(dict[str, Any], value)
    for question, answer in answers.items():
        if not isinstance(answer, str | int | float):
            raise document.error((*path, question), "an answer must be a choice's key or a number")
    return [
        Answer(document.place((*path, question)), question, answer) for question, answer in answers.items()
    ]
