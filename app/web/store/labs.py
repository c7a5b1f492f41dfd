"""Labs, their action logs and what students achieved in them.

`LabStore` is the `Journal` that the worker pool rebuilds labs from. The rule of the house: what a student
saw acknowledged was committed here before.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select, text, union_all, update
from sqlalchemy.dialects.sqlite import insert as upsert

from app.web.store import schema
from app.web.store.database import Database
from app.workers.record import PAUSED, LabRecord, Mode, ProgramText, Stand
from app.workers.stops import StopRecord
from emulator.lab import LogEntry

TRIES_KEPT = 200


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


@dataclass(frozen=True, slots=True)
class Reply:
    """A request's id, the digest of its body, and the reply it was given."""

    request_id: str
    digest: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Progress:
    """The best check of a lesson so far."""

    passed: int
    total: int


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
            self._repeat_answers(connection, lab)
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
        log = schema.action_log
        with self._database.write() as connection:
            last = connection.execute(
                select(func.max(log.c.seq)).where(log.c.lab == row.id, log.c.generation == row.generation)
            ).scalar_one()
            seq = (last or 0) + 1
            connection.execute(
                insert(log).values(
                    lab=row.id,
                    generation=row.generation,
                    seq=seq,
                    position=position,
                    action=json.dumps(action),
                    at=self._now(),
                )
            )
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

    # Answers and results

    def answers(self, lab: str) -> dict[str, Any]:
        """Return the latest answer to every question."""
        columns = schema.answer.c
        with self._database.read() as connection:
            rows = connection.execute(select(columns.question, columns.value).where(columns.lab == lab)).all()
        return {row.question: json.loads(row.value) for row in rows}

    def save_results(
        self, row: LabRow, position: int, passed: int, total: int, results: Mapping[str, Any]
    ) -> None:
        """Keep the outcome of a check."""
        with self._database.write() as connection:
            connection.execute(
                insert(schema.check_result).values(
                    lab=row.id,
                    generation=row.generation,
                    position=position,
                    passed=passed,
                    total=total,
                    results=json.dumps(results),
                    at=self._now(),
                )
            )

    def earlier_tries(self, lab: str) -> list[dict[str, str]]:
        """Return check id -> status for each look at the checks, oldest first, the newest 200 at most.

        Looking twice at the same instant is one try.
        """
        columns = schema.check_result.c
        query = select(columns.generation, columns.position, columns.results).where(columns.lab == lab)
        with self._database.read() as connection:
            rows = connection.execute(query.order_by(columns.id.desc()).limit(TRIES_KEPT)).all()
        tries = {(row.generation, row.position): _statuses(row.results) for row in reversed(rows)}
        return list(tries.values())

    def last_results(self, lab: str) -> dict[str, Any] | None:
        """Return the outcome of the latest check."""
        columns = schema.check_result.c
        query = select(columns.results).where(columns.lab == lab).order_by(columns.id.desc()).limit(1)
        with self._database.read() as connection:
            text = connection.execute(query).scalar_one_or_none()
        return None if text is None else json.loads(text)

    def progress(self, student: str) -> dict[str, Progress | None]:
        """Return, for every lesson the student has opened, the best check so far (None: not checked yet)."""
        lab, result = schema.lab.c, schema.check_result.c
        query = (
            select(lab.lesson, func.max(result.passed).label("passed"), result.total)
            .select_from(schema.lab.outerjoin(schema.check_result))
            .where(lab.student == student, lab.shared.is_(None))
            .group_by(lab.lesson)
        )
        with self._database.read() as connection:
            rows = connection.execute(query).all()
        return {
            row.lesson: None if row.total is None else Progress(int(row.passed), int(row.total))
            for row in rows
        }

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

    def _repeat_answers(self, connection: Connection, lab: str) -> None:
        """Begin the log of a new generation with the answers: they are about the lesson, not the run."""
        generation = connection.execute(
            select(schema.lab.c.generation).where(schema.lab.c.id == lab)
        ).scalar_one()
        answers = connection.execute(
            select(schema.answer.c.question, schema.answer.c.value)
            .where(schema.answer.c.lab == lab)
            .order_by(schema.answer.c.question)
        ).all()
        for seq, row in enumerate(answers, 1):
            action = {"verb": "answer", "question": row.question, "value": json.loads(row.value)}
            connection.execute(
                insert(schema.action_log).values(
                    lab=lab,
                    generation=generation,
                    seq=seq,
                    position=0,
                    action=json.dumps(action),
                    at=self._now(),
                )
            )


def _statuses(results: str) -> dict[str, str]:
    checks: list[dict[str, Any]] = json.loads(results)["checks"]
    return {check["id"]: check.get("status", "passed" if check["passed"] else "failed") for check in checks}


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


def write_programs(
    connection: Connection, owner: str, programs: Sequence[ProgramText], table: Table = schema.program
) -> None:
    """Keep the programs of a lab, or of whatever `table` keeps programs of."""
    key = table.primary_key.columns[0].name
    rows: list[dict[str, Any]] = []
    for one in programs:
        digest = None if one.elf is None else _keep_image(connection, one.elf)
        rows.append({key: owner, "name": one.name, "source": one.source, "image": digest})
    if rows:
        connection.execute(insert(table), rows)


def _wanted(connection: Connection, lab: str, stops: str) -> dict[str, Any]:
    """Return what a record says of a lab's mode, and of whether it runs in a browser."""
    mode: Mode = {**PAUSED, "stops": json.loads(stops)}
    columns = schema.lease.c
    lease = connection.execute(select(columns.id).where(columns.lab == lab, columns.ended_at.is_(None)))
    if lease.one_or_none() is None:
        return {"mode": mode}
    return {"lent": True, "mode": {**mode, "reason": "this lab runs in a browser"}}


def _keep_image(connection: Connection, data: bytes) -> str:
    """Keep an image unless it is known; return its digest."""
    digest = schema.image_digest(data)
    known = select(schema.image.c.digest).where(schema.image.c.digest == digest)
    if connection.execute(known).one_or_none() is None:
        connection.execute(insert(schema.image).values(digest=digest, data=data))
    return digest


def drop_unused_images(connection: Connection) -> None:
    """Drop the images that no lab and no shared run holds."""
    held = [
        select(table.c.image).where(table.c.image.is_not(None))
        for table in (schema.program, schema.shared_program)
    ]
    connection.execute(delete(schema.image).where(schema.image.c.digest.not_in(union_all(*held))))


def read_programs(
    connection: Connection, owner: str, table: Table = schema.program
) -> tuple[ProgramText, ...]:
    """Return the programs of a lab, or of whatever `table` keeps programs of."""
    program, image = table.c, schema.image.c
    rows = connection.execute(
        select(program.name, program.source, image.data)
        .select_from(table.outerjoin(schema.image))
        .where(table.primary_key.columns[0] == owner)
        .order_by(program.name)
    )
    return tuple(ProgramText(row.name, row.source, row.data) for row in rows)


def read_log(connection: Connection, lab: str, generation: int) -> tuple[LogEntry, ...]:
    """Return the log of a generation of a lab."""
    columns = schema.action_log.c
    rows = connection.execute(
        select(columns.seq, columns.position, columns.action)
        .where(columns.lab == lab, columns.generation == generation)
        .order_by(columns.seq)
    )
    return tuple({"seq": row.seq, "position": row.position, "action": json.loads(row.action)} for row in rows)


def write_log(
    connection: Connection, lab: str, generation: int, log: Sequence[LogEntry], now: float
) -> tuple[LogEntry, ...]:
    """Let a generation of a lab have this log; return the entries that are new."""
    columns = schema.action_log.c
    mine = (columns.lab == lab, columns.generation == generation)
    old = read_log(connection, lab, generation)
    same = next((n for n, (a, b) in enumerate(zip(old, log, strict=False)) if a != b), None)
    same = min(len(old), len(log)) if same is None else same
    connection.execute(delete(schema.action_log).where(*mine, columns.seq > same))
    rows = [
        {**entry, "action": json.dumps(entry["action"]), "lab": lab, "generation": generation, "at": now}
        for entry in log[same:]
    ]
    if rows:
        connection.execute(insert(schema.action_log), rows)
    return tuple(log[same:])


def note_answer(connection: Connection, lab: str, action: Mapping[str, Any], now: float) -> None:
    """Keep an answer beside the log, if the action is one."""
    if action.get("verb") != "answer":
        return
    values = {"value": json.dumps(action["value"]), "at": now}
    connection.execute(
        upsert(schema.answer)
        .values(lab=lab, question=action["question"], **values)
        .on_conflict_do_update(index_elements=["lab", "question"], set_=values)
    )


def write_reply(connection: Connection, lab: str, reply: Reply | None, now: float) -> None:
    """Keep the reply to a request, if it may come again."""
    if reply is not None:
        connection.execute(
            insert(schema.request).values(
                lab=lab,
                request_id=reply.request_id,
                digest=reply.digest,
                reply=json.dumps(reply.body),
                at=now,
            )
        )
