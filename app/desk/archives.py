"""What is sent to import a VM, and how much of that a lab's action log takes.

An archive stays in the log, from which the lab is rebuilt; so the log's size limits how many there can be.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from app.desk.problem import Problem
from app.desk.requests import Fields
from app.texts import gettext as _
from app.workers.protocol import JsonObject

MAX_ARCHIVE_BYTES = 8 << 20
# Of base64 in one lab; a log travels in one message (protocol.MAX_HEADER_BYTES).
MAX_LOGGED_CHARACTERS = 12 << 20


def import_action(fields: Fields) -> JsonObject:
    """Return the action of a request; raise Problem."""
    archive, name = fields.get("archive"), fields.get("name")
    if not isinstance(archive, str) or set(fields) - {"archive", "name"}:
        raise Problem(400, _("Expected `archive`, a file in base64, and `name`."))
    if len(archive) > 4 * MAX_ARCHIVE_BYTES // 3 + 4:
        raise Problem(413, _("An archive may have at most %(n)s MiB.", n=MAX_ARCHIVE_BYTES >> 20))
    named = {"name": name} if name not in (None, "") else {}
    return {"verb": "import_vm", "archive": archive, **named}


def require_room(log: Iterable[Mapping[str, Any]], action: JsonObject) -> None:
    """Raise Problem if the archives of a lab would be too much together."""
    sizes = [len(str(entry["action"].get("archive", ""))) for entry in log]
    if sum(sizes) + len(action["archive"]) > MAX_LOGGED_CHARACTERS:
        raise Problem(
            413,
            _("This lab has taken in as many archives as it can keep."),
            remedy=_("Clone a VM instead, or start the lab over."),
        )
