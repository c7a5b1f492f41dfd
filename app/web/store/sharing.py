"""Shared runs: a lab up to one instant under a random token, and the copies of it that others work on.

A shared run is never changed. A student keeps the newest `RUNS_KEPT` of them and works on at most
`COPIES_KEPT` copies; what is older goes. With a shared run go its copies, and with a student both.
"""

from __future__ import annotations

import hashlib
import json
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, update

from app.web.store import schema
from app.web.store.database import Database
from app.web.store.labs import Beginning, LabRow, LabStore, first_place, place
from app.web.store.logs import Reply, write_log, write_reply
from app.web.store.programs import drop_unused_images, read_programs, write_programs
from app.workers.record import Stand
from emulator.lab import LogEntry

TOKEN_BYTES = 18
RUNS_KEPT = 20
COPIES_KEPT = 20


@dataclass(frozen=True, slots=True)
class SharedRun:
    """A run as it is shared: what it begins from, its actions without answers, and the instant."""

    beginning: Beginning
    log: tuple[LogEntry, ...]
    position: int
    now_ns: int
    token: str = ""  # "" before it is kept

    @property
    def decided(self) -> bool:
        """Whether policies of the student decided in it."""
        return any(entry["action"]["verb"] == "decide" for entry in self.log)

    @property
    def stand(self) -> Stand:
        """Where a copy begins: at the end of what is shared."""
        return Stand(self.position, len(self.log), self.position, len(self.log))


class SharedStore:
    """Shared runs in the database."""

    def __init__(self, database: Database, labs: LabStore, now: Callable[[], float]) -> None:
        """Keep runs in `database` beside `labs`; `now` gives Unix seconds."""
        self._database = database
        self._labs = labs
        self._now = now

    def keep(self, student: str, run: SharedRun) -> tuple[str, list[str]]:
        """Keep a run that a student shares; return its token, and the copies that went with the oldest."""
        columns, digest = schema.shared_run.c, _digest(run)
        with self._database.write() as connection:
            known = select(columns.token).where(columns.student == student, columns.digest == digest)
            token = connection.execute(known).scalar_one_or_none()
            if token is not None:
                return str(token), []
            token = secrets.token_urlsafe(TOKEN_BYTES)
            self._insert(connection, token, student, digest, run)
            return token, self._drop_oldest(connection, student)

    def find(self, token: str) -> SharedRun | None:
        """Return the run of a token."""
        columns = schema.shared_run.c
        with self._database.read() as connection:
            row = connection.execute(select(schema.shared_run).where(columns.token == token)).one_or_none()
            if row is None:
                return None
            programs = read_programs(connection, token, schema.shared_program)
        begins = Beginning(row.lesson, row.lesson_version, row.seed, json.loads(row.config), programs)
        return SharedRun(begins, tuple(json.loads(row.log)), row.position, row.now_ns, token)

    def copy(self, student: str, run: SharedRun) -> tuple[LabRow, list[str]]:
        """Return the student's copy of a run, made now if there is none; and the copies that had to go."""
        lab, gone = secrets.token_urlsafe(16), list[str]()
        with self._database.write() as connection:
            if _copy_of(connection, student, run.token) is None:
                connection.execute(
                    insert(schema.lab).values(
                        id=lab,
                        student=student,
                        shared=run.token,
                        generation=1,
                        created_at=self._now(),
                        **first_place(run.beginning),
                    )
                )
                self._fill(connection, lab, 1, run)
                gone = _drop_copies(connection, student)
        row = self._labs.copy_of(student, run.token)
        assert row is not None
        return row, gone

    def restart(self, row: LabRow, run: SharedRun, reply: Reply | None) -> None:
        """Let a copy be again what it was at first, as a new generation."""
        with self._database.write() as connection:
            connection.execute(
                update(schema.lab)
                .where(schema.lab.c.id == row.id)
                .values(generation=row.generation + 1, **first_place(run.beginning))
            )
            connection.execute(delete(schema.program).where(schema.program.c.lab == row.id))
            self._fill(connection, row.id, row.generation + 1, run)
            write_reply(connection, row.id, reply, self._now())

    # Parts of transactions

    def _insert(self, connection: Connection, token: str, student: str, digest: str, run: SharedRun) -> None:
        begins = run.beginning
        connection.execute(
            insert(schema.shared_run).values(
                token=token,
                student=student,
                digest=digest,
                lesson=begins.lesson,
                lesson_version=begins.lesson_version,
                seed=begins.seed,
                config=json.dumps(begins.config),
                log=json.dumps(run.log),
                position=run.position,
                now_ns=run.now_ns,
                created_at=self._now(),
            )
        )
        write_programs(connection, token, begins.programs, schema.shared_program)

    def _fill(self, connection: Connection, lab: str, generation: int, run: SharedRun) -> None:
        """Write programs and log of a copy, and where it stands."""
        write_programs(connection, lab, run.beginning.programs)
        write_log(connection, lab, generation, run.log, self._now())
        connection.execute(update(schema.lab).where(schema.lab.c.id == lab).values(**place(run.stand)))

    def _drop_oldest(self, connection: Connection, student: str) -> list[str]:
        """Drop the oldest shared runs of a student beyond those that are kept; return their copies."""
        columns = schema.shared_run.c
        old = _beyond(connection, schema.shared_run, [columns.student == student], RUNS_KEPT)
        if not old:
            return []
        copies = connection.execute(select(schema.lab.c.id).where(schema.lab.c.shared.in_(old))).scalars()
        gone = list(copies)
        connection.execute(delete(schema.shared_run).where(columns.token.in_(old)))
        drop_unused_images(connection)
        return gone


def _drop_copies(connection: Connection, student: str) -> list[str]:
    """Drop the oldest copies of a student beyond those that are kept; return them."""
    columns = schema.lab.c
    mine = [columns.student == student, columns.shared.is_not(None)]
    gone = _beyond(connection, schema.lab, mine, COPIES_KEPT)
    if gone:
        connection.execute(delete(schema.lab).where(columns.id.in_(gone)))
    return gone


def _beyond(connection: Connection, table: Table, conditions: Sequence[Any], kept: int) -> list[str]:
    """Return the keys of the rows beyond the newest `kept`."""
    key = table.primary_key.columns[0]
    newest_first = (table.c.created_at.desc(), key)
    rows = connection.execute(select(key).where(*conditions).order_by(*newest_first).offset(kept))
    return list(rows.scalars())


def _copy_of(connection: Connection, student: str, token: str) -> str | None:
    columns = schema.lab.c
    mine = select(columns.id).where(columns.student == student, columns.shared == token)
    return connection.execute(mine).scalar_one_or_none()


def _digest(run: SharedRun) -> str:
    """Return a digest of what determines a run."""
    begins = run.beginning
    programs = [
        [one.name, one.source, None if one.elf is None else schema.image_digest(one.elf)]
        for one in begins.programs
    ]
    parts = [
        begins.lesson,
        begins.lesson_version,
        begins.seed,
        begins.config,
        programs,
        run.log,
        run.position,
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()
