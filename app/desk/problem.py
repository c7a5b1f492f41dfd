"""What is wrong with a request, as one shape wherever the lab runs: `Error` in app/web/README.md."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from app.texts import SOURCE, mark
from app.texts import gettext as _
from app.texts.sentences import is_known, words
from app.workers.protocol import JsonObject
from app.workers.submission import SubmissionError
from emulator.errors import VmLabError

TITLES = {
    400: mark("This request cannot be read"),
    403: mark("This request came from another site"),
    404: mark("There is nothing here"),
    405: mark("This cannot be done here"),
    409: mark("Not now"),
    413: mark("This is too large"),
    415: mark("This is neither a form nor JSON"),
    422: mark("This does not work"),
    429: mark("Too fast"),
    500: mark("Something broke, and it was not you"),
    503: mark("Busy"),
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
    language: str = ""  # of the message, where it is not that of the page
    details: dict[str, Any] = field(default_factory=dict[str, Any])

    def as_dict(self) -> dict[str, Any]:
        """Return the `error` object of README.md."""
        return {
            "status": self.status,
            "title": self.title or _(TITLES.get(self.status, mark("Error"))),
            "message": self.message,
            "where": self.where,
            "remedy": self.remedy,
            "diagnostics": self.diagnostics,
            **({"language": self.language} if self.language else {}),
            **self.details,
        }


def from_user_error(error: VmLabError) -> Problem:
    """Return what a student did wrong as a Problem."""
    details = {"entry": error.entry} if isinstance(error, SubmissionError) else {}
    said, language = said_by_lab(str(error))
    return Problem(422, said, where=str(getattr(error, "path", "")), language=language, details=details)


def from_refusal(body: JsonObject) -> Problem:
    """Return the `error` reply of a SessionHost as a Problem."""
    fault = str(body.get("fault", "bug"))
    status = _FAULTS.get(fault, 500)
    said, language = said_by_lab(str(body.get("message", "")))
    return Problem(
        status,
        said,
        title=_("This program does not assemble") if body.get("diagnostics") else "",
        language=language,
        where=str(body.get("where", "")),
        remedy=str(body.get("remedy", "")),
        diagnostics=list(body.get("diagnostics", [])),
        retry_after=1 if status in (409, 503) and fault not in ("failed", "lent") else None,
    )


def said_by_lab(message: str) -> tuple[str, str]:
    """Return what a lab or a worker says, and its language where that is not the page's."""
    return words(message), "" if is_known(message) else SOURCE
