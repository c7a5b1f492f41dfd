"""The desk as JavaScript sees it: texts in, texts out, so that no object is shared between two languages.

The worker script of the page (static/js/engine/python.js) calls these under Pyodide. A record is what
`LabRecord.to_message` carries, with the ELF images as base64 (`images`).
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

from app import texts
from app.desk.desk import Desk
from app.desk.requests import Request
from app.workers.protocol import Message
from app.workers.record import LabBuilder, LabRecord
from emulator.build.engine import load_engine
from emulator.policy.lines import renew, tell_lines

RENEW_SECONDS = 1.0
PublishText = Callable[[str, str], object]


class BrowserDesk:
    """A Desk for one record."""

    def __init__(self, record: str, publish: PublishText, tell_line: Callable[[int], object]) -> None:
        """Take in the lab of a record; `publish(stream, events)` gets `[[name, finished JSON], ...]`.

        `tell_line` gets the lines that policies come to. A record's `halted` is the last line that was told
        before a call of a policy that never ended, and `language` that of the page.
        """
        tell_lines(tell_line)
        self._renewed = time.monotonic()
        body = json.loads(record)
        texts.use(body.get("language", texts.SOURCE))
        self._desk = Desk(
            read_record(body),
            LabBuilder(load_engine()),
            time.monotonic,
            lambda stream, events: publish(stream, json.dumps(events)),
            body.get("halted"),
        )
        self.follow = self._desk.follow
        self.ready = self._desk.ready
        self.leave = self._desk.leave

    def work(self) -> float:
        """Do a short round of work; return the seconds until there is more."""
        now = time.monotonic()
        if now - self._renewed >= RENEW_SECONDS:
            self._renewed = now
            renew()
        return self._desk.work()

    def handle(self, request: str) -> str:
        """Answer `{method, path, query, fields, form}` with `{status, kind, text}`."""
        answer = self._desk.handle(Request(**json.loads(request)))
        return json.dumps({"status": answer.status, "kind": answer.kind, "text": answer.text})

    def has_moved(self) -> bool:
        """Tell whether a guest may have run by now."""
        return self._desk.position > 0

    def line(self, hashed: bool) -> str:
        """Return where the lab stands in its history; see Desk.line."""
        return json.dumps(self._desk.line(hashed))


def read_record(body: dict[str, Any]) -> LabRecord:
    """Return the record that the server lent."""
    images = tuple((name, base64.b64decode(data)) for name, data in body.get("images", {}).items())
    return LabRecord.from_message(Message("open", body["lab"], body=body, blobs=images))


def lend_record(record: LabRecord) -> dict[str, Any]:
    """Return a record as JSON-ready data, for `read_record`."""
    message = record.to_message()
    images = {name: base64.b64encode(data).decode() for name, data in message.blobs}
    return {"lab": record.lab, **message.body, "images": images}
