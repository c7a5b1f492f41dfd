"""Every error a student can meet, as one shape in three forms: fragment, JSON or whole page.

A `Problem` is raised where something is found wrong; what other layers raise is turned into one here. Only
a bug of ours is a 500.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, Response, current_app, jsonify, make_response, render_template, request
from sqlalchemy.exc import DBAPIError
from werkzeug.exceptions import HTTPException

from app.desk.problem import TITLES, Problem, from_refusal, from_user_error
from app.texts import gettext as _
from app.texts import mark
from app.web.forms import reply_form
from app.workers.connection import WorkerLost
from app.workers.pool import CallFailed, LabUnknown, Overloaded
from emulator.errors import VmLabError


def add_error_handlers(app: Flask) -> None:
    """Turn everything that can go wrong into a Problem, and show it in the form that was asked for."""
    app.register_error_handler(Problem, show)
    app.register_error_handler(HTTPException, lambda error: show(_from_http(error)))
    app.register_error_handler(VmLabError, lambda error: show(from_user_error(error)))
    app.register_error_handler(CallFailed, lambda error: show(from_refusal(error.body)))
    app.register_error_handler(LabUnknown, lambda _error: show(not_found()))
    app.register_error_handler(WorkerLost, lambda error: show(_restarting(error)))
    app.register_error_handler(DBAPIError, _database_failed)
    app.register_error_handler(Overloaded, lambda error: show(busy(f"{error}.")))


def _restarting(_error: WorkerLost) -> Problem:
    return busy(_("The worker of this lab is being restarted."))


def not_found() -> Problem:
    """Return the answer for what does not exist and for what is somebody else's."""
    return Problem(
        404, _("This page or lab does not exist, or is not yours. Start from the list of lessons.")
    )


def busy(message: str) -> Problem:
    """Return the answer for what will work in a moment."""
    return Problem(503, _("%(what)s Nothing was lost; try again in a moment.", what=message), retry_after=1)


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
    return show(busy(_("The server cannot write to its database.")))


def _from_http(error: HTTPException) -> Problem:
    status = error.code or 500
    if status == 404:
        return not_found()
    return Problem(status, error.description or _(TITLES.get(status, mark("Error"))))
