"""YAML with a place for every value, safe for hostile input.

Reads YAML 1.2 (core schema: null, booleans, integers, floats, text) from ruamel.yaml's event stream, so that
depth is known before anything is built. Left out on purpose: anchors, aliases, tags, merge keys and several
documents; no lesson needs them, and the first three are how YAML files blow up or run code.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import isfinite
from typing import Any, cast

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from app.lessons.errors import LessonError, shown
from app.lessons.source import TextFile, hidden_character

Path = tuple[str | int, ...]
"""Where a value stands in a document: keys and list indexes from the top."""

MAXIMUM_DEPTH = 16
MAXIMUM_VALUES = 20_000

_INTEGER = re.compile(r"[-+]?[0-9]{1,19}|0x[0-9a-fA-F]{1,16}|0o[0-7]{1,21}")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_REMEDIES = {
    "mapping values are not allowed": "put a text that holds ': ' in quotes",
    "could not find expected ':'": "write 'key: value'",
    "cannot start any token": "indent with spaces and put the text in quotes",
    "expected <block end>": "indent all keys of one mapping alike",
    "did not find expected": "check brackets, quotes and commas before this place",
}
_CONSTANTS: Mapping[str, bool | None] = {
    "": None,
    **dict.fromkeys(("~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


@dataclass(frozen=True)
class Place:
    """A line and column of a file, both counted from 1."""

    line: int
    column: int


@dataclass
class Document:
    """A YAML value and the place of each of its parts.

    `places` maps a path to the place of its key (an entry of a mapping) or of its value (an entry of a list).
    """

    file: TextFile
    value: Any = None
    places: dict[Path, Place] = field(default_factory=lambda: dict[Path, Place]())

    def place(self, path: Path) -> Place:
        """Return the place of a path, or of its nearest parent that was written down."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, Place(1, 1))

    def error(self, path: Path, message: str) -> LessonError:
        """Return an error at the place of a path."""
        place = self.place(path)
        return LessonError(self.file.name, place.line, place.column, message)


def parse(file: TextFile, text: str, first_line: int = 1, controls: bool = False) -> Document:
    """Parse YAML `text` that begins at line `first_line` of `file`; raise LessonError at the first fault.

    With `controls` a text may hold characters that hide it, written as escapes: what is typed at a console.
    """
    reader = _Reader(Document(file), first_line, controls)
    try:
        reader.read(cast(Any, YAML(typ="safe", pure=True)).parse(text))
    except MarkedYAMLError as error:
        mark = cast(Any, error).problem_mark or cast(Any, error).context_mark
        line, column = (mark.line + first_line, mark.column + 1) if mark else (first_line, 0)
        problem: object = cast(Any, error).problem or "not YAML"
        raise file.error(line, f"not valid YAML: {_explain(problem)}", column) from error
    except YAMLError as error:
        raise LessonError(file.name, first_line, 0, f"not valid YAML: {shown(error, 120)}") from error
    return reader.document


class _Reader:
    """Builds the values of one document from parser events, with an explicit stack."""

    def __init__(self, document: Document, first_line: int, controls: bool) -> None:
        self.document = document
        self._first_line = first_line
        self._controls = controls
        self._stack: list[tuple[Path, dict[str, Any] | list[Any]]] = []
        self._key: list[str | None] = []
        self._values = 0
        self._documents = 0

    def read(self, events: Iterator[Any]) -> None:
        for event in events:
            kind = type(event).__name__
            if kind == "DocumentStartEvent":
                self._documents += 1
                if self._documents > 1:
                    raise self._error(event, "a second YAML document begins here; keep one, without '---'")
            elif kind == "ScalarEvent":
                self._scalar(event)
            elif kind in ("MappingStartEvent", "SequenceStartEvent"):
                self._open(event, {} if kind == "MappingStartEvent" else [])
            elif kind in ("MappingEndEvent", "SequenceEndEvent"):
                self._stack.pop()
                self._key.pop()
            elif kind == "AliasEvent":
                raise self._error(event, "aliases (*name) are not allowed; write the value again")

    def _error(self, event: Any, message: str) -> LessonError:
        mark = event.start_mark
        return self.document.file.error(mark.line + self._first_line, message, mark.column + 1)

    def _reject_extras(self, event: Any) -> None:
        if event.anchor is not None:
            raise self._error(
                event, "anchors (&name) are not allowed; write the value again where it is needed"
            )
        if event.tag is not None and str(event.tag) not in ("", "!"):
            raise self._error(event, f"tags ({shown(event.tag)}) are not allowed; write a plain value")
        self._values += 1
        if self._values > MAXIMUM_VALUES:
            raise self._error(event, f"more than {MAXIMUM_VALUES} values; split the lesson")

    def _open(self, event: Any, container: dict[str, Any] | list[Any]) -> None:
        self._reject_extras(event)
        if len(self._stack) >= MAXIMUM_DEPTH:
            raise self._error(event, f"nested deeper than {MAXIMUM_DEPTH} levels; flatten it")
        if self._stack and isinstance(self._stack[-1][1], dict) and self._key[-1] is None:
            raise self._error(event, "a key must be plain text")
        path = self._add(event, container)
        self._stack.append((path, container))
        self._key.append(None)

    def _scalar(self, event: Any) -> None:
        self._reject_extras(event)
        if not self._controls and (hidden := hidden_character(str(event.value))):
            raise self._error(event, f"{hidden[1]}; delete it")
        if self._stack and isinstance(self._stack[-1][1], dict) and self._key[-1] is None:
            self._open_entry(event)
        else:
            value = _scalar_value(event)
            if isinstance(value, float) and not isfinite(value):
                raise self._error(event, f"{shown(event.value)} is too large a number; must be below 1e308")
            self._add(event, value)

    def _open_entry(self, event: Any) -> None:
        path, container = self._stack[-1]
        if event.value in container:
            first = self.document.places[(*path, event.value)]
            raise self._error(
                event, f"'{shown(event.value)}' is already given in line {first.line}; keep one of them"
            )
        self._key[-1] = event.value
        self._note((*path, event.value), event)

    def _add(self, event: Any, value: Any) -> Path:
        """Put a value into the open container and return its path."""
        if not self._stack:
            self.document.value = value
            self._note((), event)
            return ()
        path, container = self._stack[-1]
        if isinstance(container, list):
            path = (*path, len(container))
            self._note(path, event)
            container.append(value)
            return path
        key = cast(str, self._key[-1])
        self._key[-1] = None
        container[key] = value
        return (*path, key)

    def _note(self, path: Path, event: Any) -> None:
        mark = event.start_mark
        line = mark.line + self._first_line
        self.document.places[path] = Place(line, self.document.file.column(line, mark.column + 1))


def _explain(problem: object) -> str:
    text = shown(problem, 120)
    remedy = next((advice for words, advice in _REMEDIES.items() if words in text), "")
    return f"{text}; {remedy}" if remedy else text


def _scalar_value(event: Any) -> str | int | float | bool | None:
    text = str(event.value)
    if not event.implicit[0]:
        return text
    if text in _CONSTANTS:
        return _CONSTANTS[text]
    if _INTEGER.fullmatch(text):
        return int(text, 0) if text[:2] in ("0x", "0o") else int(text)
    return float(text) if _FLOAT.fullmatch(text) else text
