"""VMs as archives: one to download, one to upload. What is uploaded is checked by emulator.lab.archive."""

from __future__ import annotations

import base64

from flask import Blueprint, Response, jsonify, request
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import BadRequest

from app.desk.archives import MAX_ARCHIVE_BYTES, import_action, require_room
from app.desk.problem import Problem
from app.texts import gettext as _
from app.web.context import context, own_lab
from app.web.forms import read_fields, reply_form, take_request_id

blueprint = Blueprint("archives", __name__, url_prefix="/labs/<lab>")

BODY_BYTES = 4 * MAX_ARCHIVE_BYTES // 3 + (64 << 10)  # base64, and the other fields


@blueprint.get("/export")
def export(lab: str) -> ResponseReturnValue:
    """Send a VM as an archive: a file, or base64 in JSON."""
    found = context().work.inspect(own_lab(lab), "export", request.args.to_dict())
    if reply_form(request) == "json":
        return jsonify(found)
    response = Response(base64.b64decode(found["archive"]), mimetype="application/zip")
    response.headers.set("Content-Disposition", "attachment", filename=found["file"])
    return response


@blueprint.post("/import")
def take(lab: str) -> ResponseReturnValue:
    """Add the VM of an archive that was sent as base64 in a JSON object."""
    row = own_lab(lab)
    context().posts.spend(row.student, 8)
    if not request.is_json:
        raise BadRequest(_("Send a JSON object with `archive`, in base64."))
    request.max_content_length = BODY_BYTES
    if (request.content_length or 0) > BODY_BYTES:
        raise Problem(413, _("An archive may have at most %(n)s MiB.", n=MAX_ARCHIVE_BYTES >> 20))
    fields = read_fields(request)
    request_id = take_request_id(fields)
    action = import_action(fields)
    kept = context().labs.load(row.id)
    require_room(kept.log if kept else (), action)
    return jsonify(context().work.act(row, action, request_id))
