"""The front matter of lesson.md: where it is, and what it says about parameters."""

import re
from typing import Any, cast

from pydantic import ValidationError

from app.lessons.errors import LessonError, shown
from app.lessons.params import (
    MAXIMUM_PARAMETERS,
    TABLES,
    ParamError,
    Parameter,
    Parameters,
    read_constraint,
    read_parameter,
)
from app.lessons.source import TextFile
from app.lessons.validation import describe
from app.lessons.yaml import Document
from app.lessons.yaml import parse as parse_yaml

_NAME = re.compile(r"[a-z][a-z0-9_]{0,30}")


def split_front_matter(file: TextFile) -> tuple[Document, str, int]:
    """Return the front matter, the body's text and the line it begins at; raise LessonError."""
    lines = file.text.split("\n")
    if lines[0].rstrip() != "---":
        raise file.error(1, "a lesson begins with front matter; write a line '---' first")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    if not end:
        raise file.error(1, "the front matter has no end; close it with a second line '---'")
    document = parse_yaml(file, "\n".join(lines[1:end]), 2)
    if not isinstance(document.value, dict):
        raise file.error(2, "the front matter must be 'key: value' lines")
    return document, "\n".join(lines[end + 1 :]), end + 2


def params_lines(file: TextFile) -> range:
    """Return the numbers of the lines of `params:` and `constraints:`, in which no value is put.

    They must follow each other, so that this is one range.
    """
    found = [*_block(file, "params"), *_block(file, "constraints")]
    return range(min(found), max(found) + 1) if found else range(0)


def _block(file: TextFile, key: str) -> range:
    """Return the line numbers of a top-level key of the front matter."""
    lines = file.text.split("\n")
    end = next((n for n, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    start = next((n for n, line in enumerate(lines[:end]) if line.startswith(f"{key}:")), 0)
    if not start:
        return range(0)
    stop = next(n for n in range(start + 1, end + 1) if n == end or re.match(r"[^\s#]", lines[n]))
    return range(start + 1, stop + 1)


def read_parameters(file: TextFile) -> tuple[Parameters, list[LessonError]]:
    """Return the parameters of a lesson and every fault found in them."""
    lines = params_lines(file)
    if not lines:
        return Parameters({}), []
    text = "\n".join(file.text.split("\n")[lines.start - 1 : lines.stop - 1])
    try:
        document = parse_yaml(file, text, lines.start)
    except LessonError as error:
        return Parameters({}), [error]
    return _Reader(document).read()


class _Reader:
    """Reads `params` and `constraints` from the document that holds only them."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._items: dict[str, Parameter] = {}
        self._errors: list[LessonError] = []

    def read(self) -> tuple[Parameters, list[LessonError]]:
        table = cast(dict[str, Any], self._document.value)
        for key in table.keys() - {"params", "constraints"}:
            self._fault((key,), "stands between params and constraints; move it above or below both")
        params: object = table.get("params")
        if not isinstance(params, dict) or len(cast(dict[str, Any], params)) > MAXIMUM_PARAMETERS:
            self._fault(("params",), f"params must be 1 to {MAXIMUM_PARAMETERS} lines 'name: {{...}}'")
            return Parameters({}), self._errors
        for name, value in cast(dict[str, Any], params).items():
            self._parameter(name, value)
        constraints = self._constraints(table.get("constraints", []))
        return Parameters(self._items, constraints), self._errors

    def _fault(self, path: tuple[str | int, ...], message: str) -> None:
        self._errors.append(self._document.error(path, message))

    def _parameter(self, name: str, value: object) -> None:
        path = ("params", name)
        if not _NAME.fullmatch(name):
            self._fault(
                path, f"'{shown(name)}' is no name; use lower-case letters, digits and _, like nap_ms"
            )
            return
        keys = [key for key in TABLES if isinstance(value, dict) and key in value]
        if len(keys) != 1:
            known = "{from: 1, to: 9}, {one_of: [a, b]}, {token: 8} or {value: other * 2}"
            self._fault(path, f"{name} must be one of {known}")
            return
        if keys == ["value"] and self._errors:
            return  # it may only fail for want of one that is at fault itself
        try:
            table = TABLES[keys[0]].model_validate(value)
            self._items[name] = read_parameter(name, table, self._items)
        except ValidationError as error:
            self._errors += describe(error, self._document, TABLES[keys[0]], path)
        except ParamError as error:
            self._fault((*path, error.key) if error.key else path, error.message)

    def _constraints(self, value: object) -> "tuple[Any, ...]":
        if not isinstance(value, list):
            self._fault(("constraints",), "constraints must be a list, one '- ' per line")
            return ()
        found: list[Any] = []
        if self._errors:
            return ()
        for index, text in enumerate(cast(list[object], value)):
            try:
                found.append(read_constraint(str(text), self._items))
            except ParamError as error:
                self._fault(("constraints", index), error.message)
        return tuple(found)
