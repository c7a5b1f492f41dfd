"""Errors of lesson files: each names the file, the line, what is wrong and the remedy."""

import difflib
from collections.abc import Iterable, Sequence

from emulator.errors import VmLabError


class LessonError(VmLabError):
    """One fault of a lesson, at `file:line:column` (lines and columns count from 1; 0 is unknown)."""

    def __init__(self, file: str, line: int, column: int, message: str) -> None:
        self.file = file
        self.line = line
        self.column = column
        self.message = message
        place = ":".join([file, *(str(number) for number in (line, column) if number)])
        super().__init__(f"{place}: {message}")

    def as_dict(self) -> dict[str, object]:
        """Return the error as JSON-ready data."""
        return {"file": self.file, "line": self.line, "column": self.column, "message": self.message}


class GuestMissing(LessonError):
    """A lesson has no fault here, but it names a guest that has not been built on this machine."""


class LessonErrors(VmLabError):
    """All faults found in one lesson or course, in the order of files and lines; `errors` is never empty."""

    def __init__(self, errors: Sequence[LessonError]) -> None:
        self.errors = tuple(sorted(errors, key=lambda error: (error.file, error.line, error.column)))
        super().__init__("\n".join(str(error) for error in self.errors))

    @property
    def waits_for_guests(self) -> bool:
        """Whether nothing is wrong with the lesson but that guests are not built."""
        return all(isinstance(error, GuestMissing) for error in self.errors)


def nearest(word: str, known: Iterable[str]) -> str:
    """Return "; did you mean 'x'?" for the known word nearest to `word`, else "; known: a, b, c"."""
    words = sorted(known)
    found = difflib.get_close_matches(word[:100], words, n=1, cutoff=0.6)
    if found:
        return f"; did you mean '{found[0]}'?"
    return f"; known: {', '.join(words)}" if words else ""


def shown(value: object, limit: int = 60) -> str:
    """Return a value of a lesson file as one short printable piece of text."""
    text = " ".join(str(value).split())
    text = "".join(
        character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in text
    )
    return text if len(text) <= limit else text[: limit - 1] + "…"
