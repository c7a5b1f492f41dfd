"""Errors of an assembly program: where, what was found, what was expected, and the nearest right word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

from emulator.errors import VmLabError
from emulator.isa.assembly.lexer import Line, Token

PROBLEM_LIMIT = 50
_WINDOW = 100  # columns of a source line that are shown
_CANDIDATE_LIMIT = 1024
_WORD_LIMIT = 64


class Mistake(Exception):
    """A mistake in one statement; the assembler makes it a `Problem` and goes on with the next statement."""

    def __init__(self, message: str, token: Token) -> None:
        super().__init__(message)
        self.message = message
        self.token = token


@dataclass(frozen=True)
class Problem:
    """One error of a program.

    Attributes:
        filename, line, column: Where, counted from 1.
        width: Columns that are wrong, at least 1.
        message: What was found, what was expected, and the remedy.
        source: The source line.
        context: The macro call the line comes from, or an empty string.
    """

    filename: str
    line: int
    column: int
    width: int
    message: str
    source: str
    context: str = ""

    def render(self) -> str:
        """Return the message with the source line and a caret below it."""
        start = max(0, self.column - _WINDOW + 20)
        shown = self.source[start : start + _WINDOW].replace("\t", " ")
        indent = " " * (self.column - 1 - start)
        marker = "^" + "~" * (min(self.width, _WINDOW) - 1)
        context = f" ({self.context})" if self.context else ""
        location = f"{self.filename}:{self.line}:{self.column}"
        return f"{location}: {self.message}{context}\n    {shown}\n    {indent}{marker}"


class AssemblyError(VmLabError):
    """A program does not assemble; the message renders every problem found, in source order.

    Attributes:
        problems: What is wrong, at least one.
    """

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(problem.render() for problem in problems))
        self.problems = tuple(problems)


def problem_of(mistake: Mistake, line: Line, filename: str) -> Problem:
    """Locate a mistake in its source line."""
    token = mistake.token
    width = max(1, len(token.text))
    return Problem(filename, line.number, token.column, width, mistake.message, line.text, line.context)


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the candidate nearest to `word`, or an empty string."""
    if len(word) > _WORD_LIMIT:
        return ""
    pool = [name for name, _ in zip(candidates, range(_CANDIDATE_LIMIT), strict=False)]
    if word.lower() in pool:
        return f"; did you mean `{word.lower()}`?"
    similar = get_close_matches(word, pool, n=8, cutoff=0.5)
    if not similar:
        return ""
    nearest = min(similar, key=lambda name: _unlikeness(word, name))
    return f"; did you mean `{nearest}`?" if edit_distance(word, nearest) <= (len(word) + 1) // 3 else ""


def _unlikeness(word: str, name: str) -> tuple[int, int, bool]:
    """Rank a candidate: few changes first, then the same length, then the same first letter."""
    return edit_distance(word, name), abs(len(word) - len(name)), word[:1] != name[:1]


def edit_distance(left: str, right: str) -> int:
    """Count the letters to insert, delete, replace or swap with the next to turn one word into another."""
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, start=1):
        before, previous, row = row, before, [i]
        for j, b in enumerate(right, start=1):
            best = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if previous and j > 1 and a == right[j - 2] and left[i - 2] == b:
                best = min(best, previous[j - 2] + 1)
            row.append(best)
    return row[-1]


def quote(text: str) -> str:
    """Return a word of the source between backquotes, shortened if it is very long."""
    return f"`{text}`" if len(text) <= _WORD_LIMIT else f"`{text[:_WORD_LIMIT]}...`"
