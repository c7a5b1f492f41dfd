"""What can be written as a policy, for the page, and the class tournament. Nothing of a student's runs here.

A run is entered in two steps: `POST /policies/entries` begins to repeat it, in a worker, and is answered with
its digest; `POST /policies/entries/<digest>` says how far that is, and enters it once it is verified. What
the board shows is measured from the repetition.
"""

from __future__ import annotations

import json
import re
from functools import cache
from hashlib import sha256
from typing import Any, cast

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue

from app.desk.policies import catalog
from app.desk.problem import Problem
from app.texts import gettext as _
from app.web.borrowing import read_object
from app.web.context import context, current_student
from app.web.store import NameTaken
from app.workers.contest import key_of_run
from app.workers.protocol import JsonObject
from app.workers.submission import MAX_BODY_BYTES, read_submission
from emulator.tournament import SCENARIOS, Run
from emulator.tournament.board import read_board
from emulator.tournament.contest import require_fair

CATALOG = "/policies/catalog"
_NAME = re.compile(r"[^\W_](?:[\w .'-]{0,28}[\w.])?")
blueprint = Blueprint("policies", __name__, url_prefix="/policies")


@blueprint.get("/catalog")
def show_catalog() -> Response:
    """Return interfaces with docs and starters, scenarios, and built-in policies."""
    response = Response(catalog_json(), mimetype="application/json")
    response.headers["Cache-Control"] = "private, max-age=3600"
    return response


@cache
def catalog_json() -> bytes:
    """Return the catalogue as it is sent, and kept for when there is no server."""
    return json.dumps(catalog(), separators=(",", ":")).encode()


@blueprint.get("/board/<name>")
def show_board(name: str) -> Response:
    """Return the best of the class on a scenario, `entries` null while the instructor hides them."""
    shown = read_board(context().settings.data, name) if name in SCENARIOS else None
    return jsonify(entries=None if shown is None else shown + context().entries.on(name))


@blueprint.post("/entries")
def enter() -> ResponseReturnValue:
    """Begin to verify a run that is to be entered."""
    student = _student()
    context().posts.spend(student, 4)
    request.max_content_length = MAX_BODY_BYTES
    body = read_object()
    run, name = _run(body.get("run")), _name(body.get("name"))
    _require_free(student, run.scenario, name)
    digest = sha256(json.dumps([run.to_dict(), name], sort_keys=True).encode()).hexdigest()
    entry = {"digest": digest, "run": run.to_dict(), "entry": {"name": name}}
    return _told(student, digest, context().pool.enter(key_of_run(student), entry))


@blueprint.post("/entries/<digest>")
def go_on(digest: str) -> ResponseReturnValue:
    """Say how far the verification of a run is, and enter the run when it is done."""
    student = _student()
    context().posts.spend(student)
    return _told(student, digest, context().pool.enter(key_of_run(student), {"digest": digest}))


def _told(student: str, digest: str, answer: JsonObject) -> ResponseReturnValue:
    if answer.get("unknown"):
        raise Problem(409, _("The server has stopped looking at this run."), remedy=_("Enter it again."))
    if "refused" in answer:
        refused = answer["refused"]
        raise Problem(422, refused["message"], _("This run is refused"), refused["where"])
    if not answer["verified"]:
        return jsonify(digest=digest, entered=False, share=answer["share"]), 202
    entry = answer["entry"]
    name, scenario = entry["name"], entry["scenario"]
    try:
        context().entries.put(student, scenario, name, answer["values"], entry["text"] or None)
    except NameTaken:
        raise _taken(name) from None
    shown = read_board(context().settings.data, scenario) is not None
    return jsonify(digest=digest, entered=True, name=name, values=answer["values"], shown=shown)


def _student() -> str:
    student = current_student()
    if student is None:
        raise Problem(403, _("Only who has opened a lesson can enter a run."), _("Open a lesson first"))
    return student


def _run(value: object) -> Run:
    """Return the run in a JSON value, which may come from anywhere. Raises VmLabError."""
    table = cast("dict[str, Any]", value) if isinstance(value, dict) else {}
    parts = {key: table.get(key) for key in ("log", "position", "hash")}
    read_submission({"lesson_version": "", "seed": 0, "generation": 0, **parts})  # sizes, nesting, numbers
    run = Run.from_dict(table)
    require_fair(run)
    return run


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise Problem(
            422,
            _(
                "The name on the board has 1 to 30 letters, digits, spaces or . ' - _, and begins"
                " with a letter or digit."
            ),
            where="name",
        )
    return value


def _require_free(student: str, scenario: str, name: str) -> None:
    try:
        context().entries.require_free(student, scenario, name)
    except NameTaken:
        raise _taken(name) from None


def _taken(name: str) -> Problem:
    return Problem(
        409,
        _("A class-mate is on this board as %(name)s.", name=name),
        _("Choose another name"),
        where="name",
    )
