"""Errors of an assembly program: where, what was found, what was expected, and the nearest right word."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from emulator.errors import VmLabError
from emulator.isa.assembly.lexer import Line, Token

PROBLEM_LIMIT = 50
_WINDOW = 100  # columns of a source line that are shown
_CANDIDATE_LIMIT = 1024
_WORD_LIMIT = 32
_QUOTE_LIMIT = 64


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


class ProblemList:
    """Collects the problems of one program, until there are enough."""

    def __init__(self, filename: str) -> None:
        self._filename = filename
        self._problems: list[Problem] = []
        self._reports = 0

    @property
    def full(self) -> bool:
        """Whether going on would be of no use."""
        return len(self._problems) >= PROBLEM_LIMIT or self._reports >= 4 * PROBLEM_LIMIT

    def report(self, mistake: Mistake, line: Line) -> None:
        """Add a mistake in a line; the same one twice (by both instructions of a pair) is added once."""
        self._reports += 1
        token = mistake.token
        width = max(1, len(token.text))
        place = (self._filename, line.number, token.column, width)
        problem = Problem(*place, mistake.message, line.text, line.context)
        if problem not in self._problems:
            self._problems.append(problem)

    def check(self) -> None:
        """Raise `AssemblyError` if there are problems."""
        if self._problems:
            raise AssemblyError(sorted(self._problems, key=lambda problem: (problem.line, problem.column)))


def did_you_mean(word: str, candidates: Iterable[str]) -> str:
    """Return `; did you mean ...?` with the candidate nearest to `word`, or an empty string."""
    if len(word) > _WORD_LIMIT:
        return ""
    limit = min(3, (len(word) + 1) // 3)
    lower = word.lower()
    nearest, best = "", (limit + 1, 0, False)
    for name in islice(candidates, _CANDIDATE_LIMIT):
        distance = 0 if name == lower else edit_distance(word, name, limit)
        rank = (distance, abs(len(word) - len(name)), word[:1] != name[:1])
        if rank < best:
            nearest, best = name, rank
    return f"; did you mean `{nearest}`?" if nearest else ""


def edit_distance(left: str, right: str, limit: int) -> int:
    """Count the letters to insert, delete, replace or swap with the next to turn one word into another.

    A result above `limit` says only that the distance is greater. The work grows with `limit` and one length.
    """
    far = limit + 1
    if abs(len(left) - len(right)) > limit:
        return far
    before: dict[int, int] = {}
    row = {j: j for j in range(min(limit, len(right)) + 1)}
    for i, letter in enumerate(left, start=1):
        before, previous, row = row, before, ({0: i} if i <= limit else {})
        for j in range(max(1, i - limit), min(len(right), i + limit) + 1):
            best = before.get(j - 1, far) + (letter != right[j - 1])
            best = min(best, before.get(j, far) + 1, row.get(j - 1, far) + 1)
            if i > 1 and j > 1 and letter == right[j - 2] and left[i - 2] == right[j - 1]:
                best = min(best, previous.get(j - 2, far) + 1)
            row[j] = best
        if min(row.values(), default=far) > limit:
            return far
    return row.get(len(right), far)


def quote(text: str) -> str:
    """Return a word of the source between backquotes, shortened if it is very long."""
    return f"`{text}`" if len(text) <= _QUOTE_LIMIT else f"`{text[:_QUOTE_LIMIT]}...`"
