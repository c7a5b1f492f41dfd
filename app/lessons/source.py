"""Reads the text files of a lesson: bounded, UTF-8, without characters that hide what a reader sees."""

import os
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.lessons.errors import LessonError, shown

MAXIMUM_TEXT = 512 * 1024
MAXIMUM_ELF = 8 * 1024 * 1024

# Category Cf makes text read in another order than it is stored in (Unicode Standard Annex #9), has no width
# (U+200B) or is a tag (U+E0041). Some languages need ZERO WIDTH NON-JOINER and ZERO WIDTH JOINER.
_HIDING = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_ALLOWED = frozenset("\t\n\u200c\u200d")


@dataclass(frozen=True)
class Shift:
    """A value in a line: it stands at `start` to `end`, and in the file its name at `was_at` to `was_end`."""

    start: int
    end: int
    was_at: int
    was_end: int


@dataclass(frozen=True)
class TextFile:
    """A text file of a lesson: `name` as errors show it, and its text with `\\n` line ends.

    `shifts` says, by line, where values have taken the place of parameters' names.
    """

    name: str
    text: str
    shifts: Mapping[int, tuple[Shift, ...]] = field(default_factory=lambda: dict[int, tuple[Shift, ...]]())

    def error(self, line: int, message: str, column: int = 0) -> LessonError:
        """Return an error at a line of this file, and a column of its text as it is here."""
        return LessonError(self.name, line, self.column(line, column), message)

    def column(self, line: int, column: int) -> int:
        """Return where a column of this text stands in the file as the author wrote it."""
        found = column
        for shift in self.shifts.get(line, ()) if column else ():
            if column - 1 >= shift.end:
                found = column - shift.end + shift.was_end
            elif column - 1 >= shift.start:
                found = shift.was_at + 1
        return found


def display_name(path: Path, root: Path) -> str:
    """Return a path as errors show it: `lessons/01-x/lesson.md`, from the lesson directory's parent on.

    `root` is the lesson's directory; both are absolute.
    """
    return shown((Path(root.parent.name) / root.name / path.relative_to(root)).as_posix(), 300)


def leads_outside(path: Path, root: Path) -> bool:
    """Return whether a path of a lesson is, by links, one beside it."""
    return not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(root))


def hidden_character(text: str) -> tuple[int, str] | None:
    """Return where a text has its first character that hides what it says, from 0, and which it is."""
    if text.isascii() and text.isprintable():
        return None
    for at, character in enumerate(text):
        if unicodedata.category(character) in _HIDING and character not in _ALLOWED:
            what = unicodedata.name(character, "a control character")
            return at, f"U+{ord(character):04X} ({what}) is invisible"
    return None


def read_bytes(path: Path, root: Path, limit: int) -> bytes:
    """Return a file's bytes; raise LessonError if it is missing, outside the lesson, or too large."""
    name = display_name(path, root)
    if leads_outside(path, root):
        raise LessonError(name, 0, 0, "leads outside the lesson's directory; copy the file into it")
    if not path.is_file():
        raise LessonError(name, 0, 0, "is missing; a lesson needs this file")
    try:
        size = path.stat().st_size
        if size > limit:
            raise LessonError(name, 0, 0, f"has {size} bytes; must have at most {limit // 1024} KiB")
        return path.read_bytes()
    except OSError as error:
        raise LessonError(name, 0, 0, f"cannot be read: {error.strerror}") from error


def read_text(path: Path, root: Path) -> TextFile:
    """Return a text file; raise LessonError at the line where it is not plain UTF-8 text."""
    return as_text(display_name(path, root), read_bytes(path, root, MAXIMUM_TEXT))


def as_text(name: str, data: bytes) -> TextFile:
    """Return the text of a file's bytes; raise LessonError at the line where it is not plain UTF-8 text."""
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise LessonError(
            name, line, 0, f"byte 0x{data[error.start]:02x} is not UTF-8; save as UTF-8 text"
        ) from error
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    _reject_hidden_characters(name, text)
    return TextFile(name, text)


def _reject_hidden_characters(name: str, text: str) -> None:
    for number, line in enumerate(text.split("\n"), 1):
        if found := hidden_character(line):
            raise LessonError(name, number, found[0] + 1, f"{found[1]}; delete it")
