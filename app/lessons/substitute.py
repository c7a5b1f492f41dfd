"""Puts the values of parameters into the text files of a lesson, before anything else reads them.

`{{ name }}` becomes the value as people write it, `{{ name | KiB }}` the number in a unit, `{{ name | hex }}`
the number in hexadecimal. Lines stay lines and columns of errors are those of the file, so that an author
finds them. Values hold no character that means anything to YAML, Markdown, HTML or an assembler.
"""

import re
from collections.abc import Mapping

from app.lessons.errors import LessonError, nearest, shown
from app.lessons.params import ParamError, Value
from app.lessons.source import Shift, TextFile

_PLACE = re.compile(r"\{\{[ \t]*([A-Za-z_][A-Za-z0-9_]*)[ \t]*(?:\|[ \t]*([A-Za-z]*)[ \t]*)?\}\}")


def substitute(
    file: TextFile, values: Mapping[str, Value], keep: range = range(0), strict: bool = True
) -> tuple[TextFile, list[LessonError]]:
    """Return the file with values in place of names, and the faults found.

    The lines of `keep` (counted from 1) stay as they are. Where not `strict` (C, where `{{x}}` may be an
    initialiser), an unknown name stays as it is.
    """
    if "{{" not in file.text:
        return file, []
    writer = _Writer(file, values, strict)
    lines = file.text.split("\n")
    changed = [
        line if number in keep or "{{" not in line else writer.line(number, line)
        for number, line in enumerate(lines, 1)
    ]
    return TextFile(file.name, "\n".join(changed), writer.shifts), writer.errors


class _Writer:
    """Substitutes line by line and notes how columns move."""

    def __init__(self, file: TextFile, values: Mapping[str, Value], strict: bool) -> None:
        self.errors: list[LessonError] = []
        self.shifts: dict[int, tuple[Shift, ...]] = {}
        self._file = file
        self._values = values
        self._strict = strict

    def line(self, number: int, line: str) -> str:
        parts: list[str] = []
        shifts: list[Shift] = []
        at = length = 0
        for match in _PLACE.finditer(line):
            text = self._text(number, match)
            parts += [line[at : match.start()], text]
            length += match.start() - at
            at = match.end()
            shifts.append(Shift(length, length + len(text), match.start(), match.end()))
            length += len(text)
        if shifts:
            self.shifts[number] = tuple(shifts)
        return "".join([*parts, line[at:]])

    def _text(self, number: int, match: re.Match[str]) -> str:
        name, unit = match.group(1), match.group(2) or ""
        value = self._values.get(name)
        if value is None:
            if not self._strict:
                return match.group()
            known = nearest(name, self._values) or "; the lesson has no params"
            self._fault(number, match, f"there is no parameter '{shown(name)}'{known}")
            return "0"
        try:
            return value.shown(unit)
        except ParamError as error:
            self._fault(number, match, f"the parameter '{name}' {error.message}")
            return str(value.value)

    def _fault(self, number: int, match: re.Match[str], message: str) -> None:
        self.errors.append(LessonError(self._file.name, number, match.start() + 1, message))
