"""Labs: whose they are, where they began, and what was done in them since.

`LabStore` is the `Journal` that the worker pool rebuilds labs from. The rule of the house: what a student
saw acknowledged was committed here before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select, text, update
from sqlalchemy.dialects.sqlite import insert as upsert

from app.web.store import schema
from app.web.store.database import Database
from app.web.store.logs import (
    Reply,
    append_entry,
    note_answer,
    read_log,
    repeat_answers,
    write_log,
    write_reply,
)
from app.web.store.programs import drop_unused_images, read_programs, write_programs
from app.workers.record import PAUSED, LabRecord, Mode, ProgramText, Stand
from app.workers.stops import StopRecord
from emulator.lab import LogEntry


@dataclass(frozen=True, slots=True)
class LabRow:
    """Whose lab it is and where it comes from."""

    id: str
    student: str
    lesson: str
    lesson_version: str
    generation: int
    seed: int
    shared: str | None = None  # the token of the shared run that it is a copy of


@dataclass(frozen=True, slots=True)
class Beginning:
    """What a lab starts from."""

    lesson: str
    lesson_version: str
    seed: int
    config: dict[str, Any]
    programs: tuple[ProgramText, ...]


class LabStore:
    """Labs in the database."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """Keep labs in `database`; `now` gives Unix seconds."""
        self._database = database
        self._now = now

    # Labs

    def find(self, lab: str, student: str) -> LabRow | None:
        """Return the lab if it exists and is this student's."""
        return self._find(schema.lab.c.id == lab, schema.lab.c.student == student)

    def of_lesson(self, student: str, lesson: str) -> LabRow | None:
        """Return the student's own lab for a lesson."""
        columns = schema.lab.c
        return self._find(columns.lesson == lesson, columns.student == student, columns.shared.is_(None))

    def copy_of(self, student: str, token: str) -> LabRow | None:
        """Return the student's copy of a shared run."""
        return self._find(schema.lab.c.shared == token, schema.lab.c.student == student)

    def newest_seeds(self, lesson: str, count: int) -> list[int]:
        """Return the seeds of the labs of a lesson that were begun last."""
        columns = schema.lab.c
        newest = select(columns.seed).where(columns.lesson == lesson, columns.shared.is_(None))
        with self._database.read() as connection:
            rows = connection.execute(newest.order_by(columns.created_at.desc()).limit(count)).scalars()
            return list(rows)

    def create(self, student: str, beginning: Beginning) -> LabRow:
        """Return the student's lab for a lesson, created now unless another request was faster."""
        lab = secrets.token_urlsafe(16)
        with self._database.write() as connection:
            done = connection.execute(
                upsert(schema.lab)
                .values(
                    id=lab, student=student, generation=1, created_at=self._now(), **first_place(beginning)
                )
                .on_conflict_do_nothing(
                    index_elements=["student", "lesson"], index_where=text("shared IS NULL")
                )
            )
            if done.rowcount:
                write_programs(connection, lab, beginning.programs)
        row = self.of_lesson(student, beginning.lesson)
        assert row is not None
        return row

    def restart(self, lab: str, beginning: Beginning, reply: Reply | None) -> None:
        """Begin the lab again: a new generation, whose log holds only the answers that were given so far."""
        columns = schema.lab.c
        with self._database.write() as connection:
            connection.execute(
                update(schema.lab)
                .where(columns.id == lab)
                .values(generation=columns.generation + 1, **first_place(beginning))
            )
            connection.execute(delete(schema.program).where(schema.program.c.lab == lab))
            write_programs(connection, lab, beginning.programs)
            drop_unused_images(connection)
            repeat_answers(connection, lab, self._now())
            write_reply(connection, lab, reply, self._now())

    # The journal of the worker pool

    def load(self, lab: str) -> LabRecord | None:
        """Return everything that determines the lab."""
        with self._database.read() as connection:
            row = connection.execute(select(schema.lab).where(schema.lab.c.id == lab)).one_or_none()
            if row is None:
                return None
            return LabRecord(
                lab=lab,
                lesson=row.lesson,
                generation=row.generation,
                config=json.loads(row.config),
                programs=read_programs(connection, lab),
                seed=row.seed,
                log=read_log(connection, lab, row.generation),
                position=row.position,
                actions=row.actions,
                present=row.present,
                **_wanted(connection, lab, row.stops),
            )

    def save_positions(self, positions: Mapping[tuple[str, int], Stand]) -> None:
        """Keep where labs stand: (lab, generation) -> the place on its line of history.

        A lab that was restarted or lent meanwhile is left alone, and one whose log is another by now: what is
        committed with an action says where the lab stands.
        """
        columns = schema.lab.c
        lent = select(schema.lease.c.lab).where(schema.lease.c.ended_at.is_(None))
        with self._database.write() as connection:
            for (lab, generation), stand in positions.items():
                mine = (columns.id == lab, columns.generation == generation, columns.id.not_in(lent))
                total = select(func.count()).where(
                    schema.action_log.c.lab == lab, schema.action_log.c.generation == generation
                )
                connection.execute(
                    update(schema.lab)
                    .where(*mine, total.scalar_subquery() == stand.total)
                    .values(**place(stand))
                )

    def save_stops(self, lab: str, stops: Sequence[StopRecord]) -> None:
        """Keep what a lab is to stop at."""
        columns = schema.lab.c
        with self._database.write() as connection:
            connection.execute(update(schema.lab).where(columns.id == lab).values(stops=json.dumps(stops)))

    # Actions

    def append(
        self,
        row: LabRow,
        position: int,
        action: Mapping[str, Any],
        make_reply: Callable[[int], Reply | None],
        stand: Stand | None = None,
    ) -> int:
        """Commit an action, where the lab stands after it, and the reply to its request; return its seq."""
        with self._database.write() as connection:
            seq = append_entry(connection, row.id, row.generation, position, action, self._now())
            if stand is not None:
                self._put(connection, row, stand)
            note_answer(connection, row.id, action, self._now())
            write_reply(connection, row.id, make_reply(seq), self._now())
        return seq

    def replace_log(
        self, row: LabRow, log: Sequence[LogEntry], stand: Stand, reply: Reply | None = None
    ) -> None:
        """Commit that the lab is on another line of history: its log, where the lab stands, and a reply."""
        with self._database.write() as connection:
            write_log(connection, row.id, row.generation, log, self._now())
            self._put(connection, row, stand)
            write_reply(connection, row.id, reply, self._now())

    def _put(self, connection: Connection, row: LabRow, stand: Stand) -> None:
        connection.execute(update(schema.lab).where(schema.lab.c.id == row.id).values(**place(stand)))

    def reply_to(self, lab: str, request_id: str) -> Reply | None:
        """Return the reply that was committed for a request."""
        columns = schema.request.c
        with self._database.read() as connection:
            row = connection.execute(
                select(columns.digest, columns.reply).where(
                    columns.lab == lab, columns.request_id == request_id
                )
            ).one_or_none()
        return None if row is None else Reply(request_id, row.digest, json.loads(row.reply))

    def keep_reply(self, lab: str, reply: Reply | None) -> None:
        """Commit the reply to a request that made no action."""
        with self._database.write() as connection:
            write_reply(connection, lab, reply, self._now())

    def forget_replies(self, older_than: float) -> None:
        """Drop the replies to requests that nobody will retry any more; `older_than` is in seconds."""
        with self._database.write() as connection:
            connection.execute(delete(schema.request).where(schema.request.c.at < self._now() - older_than))

    # Answers

    def answers(self, lab: str) -> dict[str, Any]:
        """Return the latest answer to every question."""
        columns = schema.answer.c
        with self._database.read() as connection:
            rows = connection.execute(select(columns.question, columns.value).where(columns.lab == lab)).all()
        return {row.question: json.loads(row.value) for row in rows}

    # Parts of transactions

    def _find(self, *conditions: Any) -> LabRow | None:
        columns = schema.lab.c
        query = select(
            columns.id,
            columns.student,
            columns.lesson,
            columns.lesson_version,
            columns.generation,
            columns.seed,
            columns.shared,
        ).where(*conditions)
        with self._database.read() as connection:
            row = connection.execute(query).one_or_none()
        return None if row is None else LabRow(*row)


def first_place(beginning: Beginning) -> dict[str, Any]:
    """Return the columns of a lab that stands where it begins."""
    return {
        "lesson": beginning.lesson,
        "lesson_version": beginning.lesson_version,
        "seed": beginning.seed,
        "config": json.dumps(beginning.config),
        "position": 0,
        "actions": None,
        "present": 0,
    }


def place(stand: Stand) -> dict[str, int]:
    """Return the columns of a lab that say where it stands."""
    return {"position": stand.position, "actions": stand.actions, "present": stand.present}


def _wanted(connection: Connection, lab: str, stops: str) -> dict[str, Any]:
    """Return what a record says of a lab's mode, and of whether it runs in a browser."""
    mode: Mode = {**PAUSED, "stops": json.loads(stops)}
    columns = schema.lease.c
    lease = connection.execute(select(columns.id).where(columns.lab == lab, columns.ended_at.is_(None)))
    if lease.one_or_none() is None:
        return {"mode": mode}
    return {"lent": True, "mode": {**mode, "reason": "this lab runs in a browser"}}
