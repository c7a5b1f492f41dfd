"""A lab's configuration as YAML text, as it stands under `lab:` in a lesson; errors have line and column."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

from app.desk.comments import with_comments
from app.desk.configuration import TITLE, Wanted, config_text, draft, parse_fields
from app.desk.problem import Problem, said_by_lab
from app.lessons.errors import LessonError
from app.lessons.source import TextFile
from app.lessons.yaml import Document, parse
from app.texts import gettext as _
from app.workers.protocol import JsonObject
from emulator.lab.config import LabConfig
from emulator.lab.values import ConfigError

MAX_TEXT = 64 << 10
_NAME = "configuration"


def read_draft(fields: Mapping[str, Any], current: JsonObject) -> tuple[Wanted, str, bool]:
    """Return what a form or a text asks for, that as text, and whether VMs may be restarted; raise a Problem.

    A form with a `base` was made from that text and not from the lab's configuration: it keeps its comments.
    """
    own, base, restart = draft(fields)
    if "text" in own:
        return parse_text(own["text"]), str(own["text"]), restart
    if not base:
        wanted = parse_fields(own, current)
        return wanted, config_text(wanted.config.to_dict()), restart
    changed = parse_fields(own, parse_text(base).config.to_dict())
    today = {vm["name"] for vm in current["vms"]}
    wanted = Wanted(changed.config, tuple(name if name in today else None for name in changed.origins))
    return wanted, commented(base, wanted.config.to_dict()), restart


def commented(text: str, config: JsonObject) -> str:
    """Return a configuration as text with the comments of another; raise a Problem where that is no YAML."""
    return with_comments(text, _parse(text), config)


def parse_text(text: object) -> Wanted:
    """Return the configuration in a YAML text; raise a 422 Problem with line and column."""
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise Problem(
            422, _("The configuration must be a text of at most %(n)s KiB.", n=MAX_TEXT // 1024), _(TITLE)
        )
    document = _parse(text)
    value: object = document.value
    if isinstance(value, dict):
        table = cast("JsonObject", value)
        value = table["lab"] if list(table) == ["lab"] else table
    try:
        config = LabConfig.from_dict(value)
    except ConfigError as error:
        raise _located(document, error) from error
    return Wanted(config, tuple(vm.name for vm in config.vms))


def _parse(text: str) -> Document:
    try:
        return parse(TextFile(_NAME, text), text)
    except LessonError as error:
        raise _problem(error.message, error.line, error.column, "") from error


def _located(document: Document, error: ConfigError) -> Problem:
    """Return a ConfigError as a Problem at the line that it is about."""
    path = tuple(int(part) if part.isdigit() else part for part in re.findall(r"[a-z_]+|[0-9]+", error.path))
    places = [document.place(path), document.place(("lab", *path))]
    place = max(places, key=lambda found: (found.line, found.column))
    return _problem(str(error), place.line, place.column, error.path)


def _problem(message: str, line: int, column: int, where: str) -> Problem:
    said, language = said_by_lab(message)
    diagnostic = {"line": line, "column": column, "length": 1, "message": message, "hint": ""}
    text = f"{_NAME}:{line}: {said}"
    return Problem(422, text, _(TITLE), where, language=language, diagnostics=[diagnostic])
