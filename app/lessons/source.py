"""Reads the text files of a lesson: bounded, UTF-8, without characters that hide what a reader sees."""

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.lessons.errors import LessonError

MAXIMUM_TEXT = 512 * 1024
MAXIMUM_ELF = 8 * 1024 * 1024

# Unicode Standard Annex #9: controls that make text read in another order than the one it is stored in.
_BIDIRECTIONAL = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


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
    return (Path(root.parent.name) / root.name / path.relative_to(root)).as_posix()


def read_bytes(path: Path, root: Path, limit: int) -> bytes:
    """Return a file's bytes; raise LessonError if it is missing, outside the lesson, or too large."""
    name = display_name(path, root)
    if not path.resolve().is_relative_to(root.resolve()):
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
        if line.isascii() and line.isprintable():
            continue
        for column, character in enumerate(line, 1):
            control = unicodedata.category(character) == "Cc" and character != "\t"
            if control or character in _BIDIRECTIONAL:
                what = unicodedata.name(character, "a control character")
                raise LessonError(
                    name, number, column, f"U+{ord(character):04X} ({what}) is invisible; delete it"
                )
