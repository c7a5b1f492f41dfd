"""Sharing an instant of a run: a link for others, and the copy that whoever opens it gets.

`POST /labs/ID/share` keeps the run up to an instant, without the student's answers, and answers with
`/shared/TOKEN`. Who opens that gets a lab of their own there, beside their lab of the lesson: nothing in it
is graded, handed in or reported, and the lesson's text stands beside it without its questions.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from flask import Blueprint, jsonify, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from app.desk.problem import Problem
from app.texts import gettext as _
from app.web.context import context, own_lab, require_released, student_or_guest
from app.web.forms import Fields, read_fields, reply_form, take_request_id
from app.web.labs import lab_view
from app.web.lessons import find_lesson, lesson_page
from app.web.store import Beginning, LabRow, SharedRun
from app.workers.protocol import JsonObject
from app.workers.record import Stand
from app.workers.submission import MAX_ENTRIES, MAX_LOG_BYTES
from emulator.lab import LogEntry

blueprint = Blueprint("sharing", __name__)

NS_PER_SECOND = 1_000_000_000
COPY_COST = 4


@blueprint.post("/labs/<lab>/share")
def share(lab: str) -> ResponseReturnValue:
    """Keep the run up to an instant for others, and answer with its address."""
    row = own_lab(lab)
    parts = context()
    parts.posts.spend(row.student, COPY_COST)
    fields = read_fields(request)
    take_request_id(fields)  # the same instant shared again has the same address
    with parts.pool.lock(row.id):
        parts.leases.require_here(row)
        run = _run(parts.labs.find(row.id, row.student) or row, _position(fields))
    token, gone = parts.shared.keep(row.student, run)
    _forget(gone)
    answer = {"url": url_for("sharing.show", token=token), "position": run.position, "now_ns": run.now_ns}
    if reply_form(request) == "json":
        return jsonify(answer)
    address = url_for("sharing.show", token=token, _external=True)
    return render_template("lessons/share.html", lab=lab_view(row), run=run, address=address)


@blueprint.get("/shared/<token>")
def show(token: str) -> ResponseReturnValue:
    """Show a shared run to whoever has its link, in a copy of their own."""
    parts = context()
    run = parts.shared.find(token)
    if run is None:
        raise _no_run()
    lesson = find_lesson(run.beginning.lesson)
    require_released(lesson.id)
    student = student_or_guest()
    row = parts.labs.copy_of(student, token)
    if row is None:
        parts.posts.spend(student, COPY_COST)
        row, gone = parts.shared.copy(student, run)
        _forget(gone)
    return lesson_page(row, lesson, run)


def _no_run() -> Problem:
    return Problem(
        404,
        _("This link leads to no shared run, or to one that is not kept any more."),
        title=_("There is no such shared run"),
        remedy=_("Ask for a new link: only the newest ones of each student are kept."),
    )


def _position(fields: Fields) -> int | None:
    """Return the position that is asked for, None for where the lab stands; raise BadRequest."""
    value = fields.get("position")
    if value is None or value == "":
        return None
    if isinstance(value, str) and value.isascii() and value.isdecimal():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise BadRequest(_("The field %(name)r is not a position.", name="position"))
    return value


def _run(row: LabRow, position: int | None) -> SharedRun:
    """Return the run of a lab up to a position; raise a 422 Problem for one beyond its present."""
    parts = context()
    line = parts.pool.call(row.id, "line")
    state = parts.pool.call(row.id, "state")
    kept = parts.labs.load(row.id)
    assert kept is not None
    stand, log = Stand(*line["stand"]), line["log"]
    if position is None:
        position = stand.position
    if position > stand.present:
        raise Problem(
            422,
            _(
                "The run reaches to position %(present)s, not to %(wanted)s.",
                present=stand.present,
                wanted=position,
            ),
            where="position",
        )
    begins = Beginning(row.lesson, row.lesson_version, row.seed, kept.config, kept.programs)
    shared = without_answers(_until(log, stand, position))
    return SharedRun(begins, shared, position, _time_at(state, position))


def _until(log: Sequence[LogEntry], stand: Stand, position: int) -> list[LogEntry]:
    """Return the actions before an instant: where the lab stands, not those that are still to come there."""
    if position == stand.position:
        return list(log[: stand.actions])
    return [entry for entry in log if entry["position"] <= position]


def without_answers(log: Sequence[LogEntry]) -> tuple[LogEntry, ...]:
    """Return a log without the answers, which do nothing to a lab; raise a 413 Problem if it is too long."""
    kept = [entry for entry in log if entry["action"]["verb"] != "answer"]
    if len(kept) > MAX_ENTRIES or len(json.dumps(kept)) > MAX_LOG_BYTES:
        raise Problem(
            413,
            _(
                "A run can be shared with at most %(n)s actions and %(size)s MiB of them; this one has more.",
                n=MAX_ENTRIES,
                size=MAX_LOG_BYTES >> 20,
            ),
            remedy=_("Share an earlier instant, or begin again with fewer archives and programs."),
        )
    return tuple({**entry, "seq": seq} for seq, entry in enumerate(kept, 1))


def _time_at(state: JsonObject, position: int) -> int:
    """Return the virtual time at a position, told from where the lab is (ns)."""
    cycles_per_second = state["host"]["clock_hz"] * len(state["host"]["pcpus"])
    there = state["now_ns"] + (position - state["position"]) * NS_PER_SECOND // cycles_per_second
    return max(0, int(there))


def _forget(gone: Sequence[str]) -> None:
    """Drop what the workers have of labs that are no more."""
    for lab in gone:
        context().pool.drop(lab)
