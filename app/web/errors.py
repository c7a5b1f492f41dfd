"""Every error a student can meet, as one shape in three forms: fragment, JSON or whole page.

A `Problem` is raised where something is found wrong; what other layers raise is turned into one here. Only
a bug of ours is a 500.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from flask import Flask, Response, current_app, jsonify, make_response, render_template, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from app.web.forms import reply_form
from app.workers.connection import WorkerLost
from app.workers.pool import CallFailed, LabUnknown, Overloaded
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
_FAULTS = {"user": 422, "rebuilding": 409, "failed": 409, "missing": 503, "bug": 500}


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

    def as_dict(self) -> dict[str, Any]:
        """Return the `error` object of README.md."""
        return {
            "status": self.status,
            "title": self.title or TITLES.get(self.status, "Error"),
            "message": self.message,
            "where": self.where,
            "remedy": self.remedy,
            "diagnostics": self.diagnostics,
        }


def add_error_handlers(app: Flask) -> None:
    """Turn everything that can go wrong into a Problem, and show it in the form that was asked for."""
    app.register_error_handler(Problem, show)
    app.register_error_handler(HTTPException, lambda error: show(_from_http(error)))
    app.register_error_handler(VmLabError, lambda error: show(_from_user_error(error)))
    app.register_error_handler(CallFailed, lambda error: show(_from_refusal(error)))
    app.register_error_handler(LabUnknown, lambda _: show(not_found()))
    app.register_error_handler(WorkerLost, lambda _: show(busy("The worker of this lab is being restarted.")))
    app.register_error_handler(DBAPIError, _database_failed)
    app.register_error_handler(Overloaded, lambda error: show(busy(f"{error}.")))


def not_found() -> Problem:
    """Return the answer for what does not exist and for what is somebody else's."""
    return Problem(404, "This page or lab does not exist, or is not yours. Start from the list of lessons.")


def busy(message: str) -> Problem:
    """Return the answer for what will work in a moment."""
    return Problem(503, f"{message} Nothing was lost; try again in a moment.", retry_after=1)


def show(problem: Problem) -> Response:
    """Return the response for a problem."""
    form, error = reply_form(request), problem.as_dict()
    if form == "fragment":
        body: Any = render_template("errors/_error.html", error=error)
    elif form == "json":
        body = jsonify(error=error)
    else:
        body = render_template("errors/page.html", error=error)
    response = make_response(body, problem.status)
    if problem.retry_after is not None:
        response.headers["Retry-After"] = str(problem.retry_after)
    return response


def _database_failed(error: DBAPIError) -> Response:
    current_app.logger.error("the database failed: %s", error)
    return show(busy("The server cannot write to its database."))


def _from_http(error: HTTPException) -> Problem:
    status = error.code or 500
    if status == 404:
        return not_found()
    return Problem(status, error.description or TITLES.get(status, "Error"))


def _from_user_error(error: VmLabError) -> Problem:
    return Problem(422, str(error), where=str(getattr(error, "path", "")))


def _from_refusal(error: CallFailed) -> Problem:
    status = _FAULTS.get(error.fault, 500)
    body = error.body
    return Problem(
        status,
        str(body.get("message", "")),
        title="This program does not assemble" if body.get("diagnostics") else "",
        where=str(body.get("where", "")),
        remedy=str(body.get("remedy", "")),
        diagnostics=list(body.get("diagnostics", [])),
        retry_after=1 if status in (409, 503) and error.fault != "failed" else None,
    )
