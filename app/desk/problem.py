"""What is wrong with a request, as one shape wherever the lab runs: `Error` in app/web/README.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.workers.protocol import JsonObject
from app.workers.submission import SubmissionError
from emulator.errors import VmLabError

TITLES = {
    400: "This request cannot be read",
    403: "This request came from another site",
    404: "There is nothing here",
    405: "This cannot be done here",
    409: "Not now",
    413: "This is too large",
    415: "This is neither a form nor JSON",
    422: "This does not work",
    429: "Too fast",
    500: "Something broke, and it was not you",
    503: "Busy",
}
_FAULTS = {"user": 422, "rebuilding": 409, "failed": 409, "lent": 409, "missing": 503, "bug": 500}


@dataclass(slots=True, eq=False)
class Problem(Exception):
    """Something is wrong with a request: what, where, and what to do about it."""

    status: int
    message: str
    title: str = ""
    where: str = ""
    remedy: str = ""
    diagnostics: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    retry_after: int | None = None
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """Return the `error` object of README.md."""
        return {
            "status": self.status,
            "title": self.title or TITLES.get(self.status, "Error"),
            "message": self.message,
            "where": self.where,
            "remedy": self.remedy,
            "diagnostics": self.diagnostics,
            **self.details,
        }


def from_user_error(error: VmLabError) -> Problem:
    """Return what a student did wrong as a Problem."""
    details = {"entry": error.entry} if isinstance(error, SubmissionError) else {}
    return Problem(422, str(error), where=str(getattr(error, "path", "")), details=details)


def from_refusal(body: JsonObject) -> Problem:
    """Return the `error` reply of a SessionHost as a Problem."""
    fault = str(body.get("fault", "bug"))
    status = _FAULTS.get(fault, 500)
    return Problem(
        status,
        str(body.get("message", "")),
        title="This program does not assemble" if body.get("diagnostics") else "",
        where=str(body.get("where", "")),
        remedy=str(body.get("remedy", "")),
        diagnostics=list(body.get("diagnostics", [])),
        retry_after=1 if status in (409, 503) and fault not in ("failed", "lent") else None,
    )
