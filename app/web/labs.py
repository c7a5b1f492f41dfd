"""Everything a page asks of a lab, but for the stream."""

from __future__ import annotations

import gzip
from typing import Any

from flask import Blueprint, Response, jsonify, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from app.desk.config_fields import MOST, form_context
from app.desk.requests import PAGES, with_numbers
from app.texts import gettext as _
from app.web.context import context, graded_lab, own_lab
from app.web.forms import MAX_FIELDS, Fields, read_fields, reply_form, take_request_id, text_field
from app.web.store import LabRow

blueprint = Blueprint("labs", __name__, url_prefix="/labs/<lab>")

SQUEEZED_BYTES = 2048

blueprint.context_processor(form_context)


@blueprint.post("/actions")
def act(lab: str) -> ResponseReturnValue:
    """Apply one action."""
    row, fields, request_id = _receive(lab)
    text_field(fields, "verb")
    if fields["verb"] == "answer":
        raise BadRequest(_("Send answers to /labs/<lab>/answers."))
    return _done(row, context().work.act(row, with_numbers(fields), request_id))


@blueprint.post("/control")
def control(lab: str) -> ResponseReturnValue:
    """Run, pause, step, change the speed."""
    row, fields, _ = _receive(lab)
    return _done(row, context().work.control(row, with_numbers(fields)))


@blueprint.post("/program")
def assemble(lab: str) -> ResponseReturnValue:
    """Assemble a program and restart its VM with it."""
    row, fields, request_id = _receive(lab, cost=4)
    source = text_field(fields, "source").replace("\r\n", "\n")
    action = {"verb": "set_program", "vm": text_field(fields, "vm"), "source": source}
    return _done(row, context().work.act(row, action, request_id))


@blueprint.post("/virsh")
def virsh(lab: str) -> ResponseReturnValue:
    """Carry out a line of the host console."""
    row, fields, request_id = _receive(lab)
    printed = context().work.virsh(row, text_field(fields, "line"), request_id)
    return _done(row, printed, "labs/_virsh.html", "printed")


@blueprint.post("/config")
def configure(lab: str) -> ResponseReturnValue:
    """Change the configuration."""
    row, fields, request_id = _receive(lab, cost=4, most=MOST)
    if "preview" in fields:
        return _previewed(row, fields)
    changed = context().work.configure(row, fields, request_id)
    return _done(row, changed, "labs/_config.html", "config")


def _previewed(row: LabRow, fields: Fields) -> ResponseReturnValue:
    """Return what would change; after an edit of the text also the form for it."""
    found = context().work.preview(row, fields)
    wanted = {**found.pop("wanted"), "text": found["text"]}
    if "text" in fields:
        found["form"] = render_template("labs/_config.html", lab=lab_view(row), config=wanted)
    return jsonify(found)


@blueprint.get("/config")
def config(lab: str) -> ResponseReturnValue:
    """Show the configuration as it is now."""
    row = own_lab(lab)
    return _show(row, "labs/_config.html", "config", context().work.config(row))


@blueprint.post("/reset")
def reset(lab: str) -> ResponseReturnValue:
    """Begin the lab again."""
    row, _, request_id = _receive(lab, cost=4)
    return _done(row, context().work.reset(row, request_id))


@blueprint.post("/gdb")
def gdb(lab: str) -> ResponseReturnValue:
    """Open a port for a debugger of one VM, or close it (`close`)."""
    row, fields, _ = _receive(lab, cost=4)
    if fields.get("close"):
        context().doors.close(row.id)
        return _done(row, {"closed": True})
    return _done(row, context().doors.open(row, text_field(fields, "vm")))


@blueprint.post("/check")
def check(lab: str) -> ResponseReturnValue:
    """Grade the lab as it stands."""
    graded_lab(lab)
    row, _, _ = _receive(lab, cost=4)
    results = context().work.check(row)
    return _done(row, {"results": results}, "labs/_results.html", "results", results)


@blueprint.post("/answers")
def answer(lab: str) -> ResponseReturnValue:
    """Record the answer to a question."""
    graded_lab(lab)
    row, fields, request_id = _receive(lab)
    question, value = text_field(fields, "question"), fields.get("value")
    if not isinstance(value, str | int | float):
        raise BadRequest(_("The field 'value' is missing or not a single answer."))
    if "lease" in fields:  # the answer itself is in the log of the browser
        context().leases.require(row, fields["lease"])
        given = {"question": question, "value": value, "verdict": context().work.judge(row, question, value)}
        return _done(row, given, "labs/_answer.html", "answer")
    given = context().work.answer(row, question, value, request_id)
    return _done(row, given, "labs/_answer.html", "answer")


@blueprint.get("/metrics")
def metrics(lab: str) -> ResponseReturnValue:
    """Return what the lab measures now, for Prometheus."""
    return _text(lab, "prometheus", "text/plain; version=0.0.4; charset=utf-8")


@blueprint.get("/metrics.csv")
def metrics_csv(lab: str) -> ResponseReturnValue:
    """Return all samples that are kept."""
    return _text(lab, "csv", "text/csv; charset=utf-8")


def _text(lab: str, form: str, kind: str) -> ResponseReturnValue:
    text = context().work.inspect(own_lab(lab), "metrics", {"format": form})["text"]
    return Response(text, content_type=kind)


@blueprint.get("/pcap")
def packets_as_pcap(lab: str) -> ResponseReturnValue:
    """Return the packets that are kept of a network, for Wireshark: a pcap file in base64."""
    return jsonify(context().work.inspect(own_lab(lab), "pcap", request.args.to_dict()))


@blueprint.get("/state")
def state(lab: str) -> ResponseReturnValue:
    """Show the whole observation once."""
    row = own_lab(lab)
    return _show(row, "labs/_state.html", "observation", context().work.observe(row))


@blueprint.get("/<any(" + ", ".join(PAGES) + "):view>")
def inspect(lab: str, view: str) -> ResponseReturnValue:
    """Show registers, memory, a walk, a frame, a fault, a listing or the exits."""
    row = own_lab(lab)
    return _show(row, f"labs/_{view}.html", view, context().work.inspect(row, view, request.args.to_dict()))


def _receive(lab: str, cost: float = 1.0, most: int = MAX_FIELDS) -> tuple[LabRow, Fields, str | None]:
    """Return the lab, the fields of the body, and its request_id."""
    row = own_lab(lab)
    context().posts.spend(row.student, cost)
    fields = read_fields(request, most)
    return row, fields, take_request_id(fields)


def _show(row: LabRow, template: str, name: str, value: Any) -> ResponseReturnValue:
    """Return what a GET asked for: JSON, or a fragment (it has no page of its own)."""
    if reply_form(request) == "json":
        return _squeezed(jsonify(value))
    return render_template(template, lab=lab_view(row), **{name: value})


def _squeezed(response: Response) -> Response:
    """Return an answer that is large as gzip, if the page takes that."""
    response.headers["Vary"] = "Accept-Encoding"
    data = response.get_data()
    if len(data) >= SQUEEZED_BYTES and request.accept_encodings["gzip"]:
        response.set_data(gzip.compress(data, 1))
        response.headers["Content-Encoding"] = "gzip"
    return response


def _done(
    row: LabRow, body: Any, template: str = "labs/_done.html", name: str = "outcome", shown: Any = None
) -> ResponseReturnValue:
    """Return the answer to a POST: a fragment, JSON, or back to the lesson."""
    form = reply_form(request)
    if form == "fragment":
        return render_template(template, lab=lab_view(row), **{name: body if shown is None else shown})
    if form == "json":
        return jsonify(body)
    if row.shared is not None:
        return redirect(url_for("sharing.show", token=row.shared), 303)
    return redirect(url_for("lessons.show", lesson_id=row.lesson), 303)


def lab_view(row: LabRow) -> dict[str, str]:
    """Return what every template may know of a lab."""
    return {"id": row.id, "lesson": row.lesson, "url": f"/labs/{row.id}", "shared": row.shared or ""}
