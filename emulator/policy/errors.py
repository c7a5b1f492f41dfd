"""What can be wrong with a policy."""

from __future__ import annotations

from emulator.errors import VmLabError


class PolicyError(VmLabError):
    """A policy's text or one of its calls is wrong: 'line 12: more than 100,000 steps in one call'.

    `line` counts from 1; 0 if no line can be named. `column` too.
    """

    def __init__(self, problem: str, line: int = 0, column: int = 0) -> None:
        """Keep the place apart from the sentence."""
        super().__init__(f"line {line}: {problem}" if line else problem)
        self.problem = problem
        self.line = line
        self.column = column


class LimitReached(BaseException):
    """A call has used up what it may use. No `except Exception` of a policy's text catches it."""
