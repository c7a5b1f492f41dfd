"""What a page asks about a lab that runs in its browser: borrow, submit, return, export."""

from __future__ import annotations

import json
from typing import Any, NoReturn, cast

from flask import Blueprint, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest, UnsupportedMediaType

from app.texts import gettext as _
from app.web.context import context, graded_lab
from app.web.forms import read_fields, take_request_id
from app.workers.submission import MAX_BODY_BYTES, read_submission

blueprint = Blueprint("borrowing", __name__, url_prefix="/labs/<lab>")


@blueprint.get("/lease")
def lease(lab: str) -> ResponseReturnValue:
    """Say whether the lab runs in a browser."""
    return jsonify(context().leases.status(graded_lab(lab)))


@blueprint.post("/borrow")
def borrow(lab: str) -> ResponseReturnValue:
    """Lend the lab to the browser that asks."""
    row = graded_lab(lab)
    context().posts.spend(row.student, 4)
    return jsonify(context().leases.borrow(row, take_request_id(read_fields(request))))


@blueprint.post("/return")
def give_back(lab: str) -> ResponseReturnValue:
    """Take the lab back without what was done in the browser."""
    row = graded_lab(lab)
    context().posts.spend(row.student)
    fields = read_fields(request)
    force = fields.get("force") in (True, "true", "1")
    return jsonify(context().leases.give_back(row, fields.get("lease"), force))


@blueprint.post("/submit")
def submit(lab: str) -> ResponseReturnValue:
    """Verify what was done in the browser, and take it over."""
    row = graded_lab(lab)
    context().posts.spend(row.student)
    request.max_content_length = MAX_BODY_BYTES
    body = read_object()
    request_id = take_request_id(body)
    lesson = context().work.lesson_of(row)
    status, reply = context().leases.submit(row, lesson, read_submission(body), body, request_id)
    return jsonify(reply), status


@blueprint.get("/submission")
def submission(lab: str) -> ResponseReturnValue:
    """Return the lab as a submission, to be kept or verified elsewhere."""
    row = graded_lab(lab)
    response = jsonify(context().leases.export(row))
    response.headers["Content-Disposition"] = f'attachment; filename="{row.lesson}.json"'
    return response


def read_object() -> dict[str, Any]:
    """Return the JSON object in the body, which may be nested; its parts are checked by who reads them."""
    if not request.is_json:
        raise UnsupportedMediaType(_("Send a JSON object (Content-Type: application/json)."))
    try:
        value = json.loads(request.get_data(), parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadRequest(_("The body is not valid JSON, or nested too deeply.")) from error
    if not isinstance(value, dict):
        raise BadRequest(_("The body must be a JSON object."))
    return cast("dict[str, Any]", value)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
