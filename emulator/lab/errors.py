"""What a student or a lesson can do wrong with a lab."""

from __future__ import annotations

from dataclasses import dataclass

from emulator.errors import VmLabError


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """A mistake in a program's text. Lines and columns count from 1."""

    line: int
    column: int
    length: int
    message: str


class LabError(VmLabError):
    """An action or a question does not make sense here; nothing has changed.

    `path` names the part of the action that is wrong ("memory"), or is empty. For a program that does not
    assemble, `diagnostics` has its mistakes, and `line` and `column` are those of the first.
    """

    def __init__(self, message: str, path: str = "", diagnostics: list[Diagnostic] | None = None) -> None:
        """Keep the place apart from the sentence."""
        super().__init__(message)
        self.path = path
        self.diagnostics: list[Diagnostic] = diagnostics or []
        self.line = self.diagnostics[0].line if self.diagnostics else None
        self.column = self.diagnostics[0].column if self.diagnostics else None
