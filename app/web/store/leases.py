"""Labs that run in a browser: who has them, since when, and how their work comes back.

A lab has at most one lease that has not ended (a unique index sees to it). What is taken over comes in one
transaction with the end of the lease and the reply to the request: a crash leaves all of it or nothing.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import Connection, insert, select, update

from app.web.store import schema
from app.web.store.database import Database
from app.web.store.labs import LabRow, place
from app.web.store.logs import Reply, note_answer, read_log, write_log, write_reply
from app.workers.record import Mode, Stand
from emulator.lab import LogEntry


class LeaseChanged(Exception):
    """The lab or its lease is not as it was when the work began; nothing was written."""


@dataclass(frozen=True, slots=True)
class Lease:
    """A lab's time in a browser; `ended_at` is None while it is there. Times are Unix seconds."""

    id: str
    lab: str
    mode: Mode
    request_id: str | None
    at: float
    ended_at: float | None
    digest: str | None
    reply: dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Taken:
    """What a verified submission makes of a lab; `done` ends the lease."""

    generation: int
    log: Sequence[LogEntry]
    stand: Stand
    digest: str
    done: bool


class LeaseStore:
    """Leases in the database."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """Keep leases in `database`; `now` gives Unix seconds."""
        self._database = database
        self._now = now

    def find(self, lab: str, lease: str) -> Lease | None:
        """Return a lease of a lab by its id, ended or not."""
        return self._find(schema.lease.c.lab == lab, schema.lease.c.id == lease)

    def current(self, lab: str) -> Lease | None:
        """Return the lease of a lab that is in a browser now."""
        return self._find(schema.lease.c.lab == lab, schema.lease.c.ended_at.is_(None))

    def history(self, row: LabRow) -> tuple[tuple[LogEntry, ...], int]:
        """Return the log of a lab as it is kept here, and where the lab stands."""
        with self._database.read() as connection:
            return read_log(connection, row.id, row.generation), _position(connection, row.id)

    def lend(self, row: LabRow, stand: Stand, mode: Mode, request_id: str | None) -> Lease:
        """Give the lab to a browser, as it stands."""
        lease = Lease(secrets.token_urlsafe(16), row.id, mode, request_id, self._now(), None, None, None)
        with self._database.write() as connection:
            connection.execute(
                insert(schema.lease).values(
                    id=lease.id, lab=row.id, mode=json.dumps(mode), request_id=request_id, at=lease.at
                )
            )
            connection.execute(update(schema.lab).where(schema.lab.c.id == row.id).values(**place(stand)))
        return lease

    def end(self, lease: Lease) -> None:
        """Take the lab back without what was done in the browser."""
        columns = schema.lease.c
        with self._database.write() as connection:
            connection.execute(
                update(schema.lease)
                .where(columns.id == lease.id, columns.ended_at.is_(None))
                .values(ended_at=self._now())
            )

    def take_over(
        self, row: LabRow, lease: Lease, taken: Taken, body: dict[str, Any], reply: Reply | None
    ) -> None:
        """Let the lab be what was handed in, and answer with `body` if it is handed in again.

        Raise LeaseChanged if `row` or `lease` is not as it was any more.
        """
        with self._database.write() as connection:
            self._require_unchanged(connection, row, lease)
            if taken.generation != row.generation:
                self._keep_attempt(connection, row)
            for entry in write_log(connection, row.id, taken.generation, taken.log, self._now()):
                note_answer(connection, row.id, entry["action"], self._now())
            connection.execute(
                update(schema.lab)
                .where(schema.lab.c.id == row.id)
                .values(**place(taken.stand), generation=taken.generation)
            )
            ended_at = self._now() if taken.done else None
            connection.execute(
                update(schema.lease)
                .where(schema.lease.c.id == lease.id)
                .values(ended_at=ended_at, digest=taken.digest, reply=json.dumps(body))
            )
            write_reply(connection, row.id, reply, self._now())

    def attempts(self, lab: str) -> list[tuple[int, int]]:
        """Return the generations whose place another line took by `take_over`, with where they stood."""
        columns = schema.attempt.c
        query = (
            select(columns.generation, columns.position)
            .where(columns.lab == lab)
            .order_by(columns.generation)
        )
        with self._database.read() as connection:
            return [(row.generation, row.position) for row in connection.execute(query)]

    def _require_unchanged(self, connection: Connection, row: LabRow, lease: Lease) -> None:
        lab, columns = schema.lab.c, schema.lease.c
        generation = connection.execute(select(lab.generation).where(lab.id == row.id)).scalar_one()
        current = connection.execute(
            select(columns.id).where(columns.lab == row.id, columns.ended_at.is_(None))
        ).scalar_one_or_none()
        expected = lease.id if lease.ended_at is None else None
        if generation != row.generation or current != expected:
            raise LeaseChanged

    def _keep_attempt(self, connection: Connection, row: LabRow) -> None:
        connection.execute(
            insert(schema.attempt).values(
                lab=row.id, generation=row.generation, position=_position(connection, row.id), at=self._now()
            )
        )

    def _find(self, *conditions: Any) -> Lease | None:
        with self._database.read() as connection:
            row = connection.execute(select(schema.lease).where(*conditions)).one_or_none()
        if row is None:
            return None
        reply = None if row.reply is None else json.loads(row.reply)
        mode = cast("Mode", json.loads(row.mode))
        return Lease(row.id, row.lab, mode, row.request_id, row.at, row.ended_at, row.digest, reply)


def _position(connection: Connection, lab: str) -> int:
    return connection.execute(select(schema.lab.c.position).where(schema.lab.c.id == lab)).scalar_one()
