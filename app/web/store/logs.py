"""Action logs of labs, and what is kept beside them: answers, and the replies to the requests that acted.

All are parts of a transaction: what a student saw acknowledged was committed before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select
from sqlalchemy.dialects.sqlite import insert as upsert

from app.web.store import schema
from emulator.lab import LogEntry


@dataclass(frozen=True, slots=True)
class Reply:
    """A request's id, the digest of its body, and the reply it was given."""

    request_id: str
    digest: str
    body: dict[str, Any]


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


def append_entry(
    connection: Connection, lab: str, generation: int, position: int, action: Mapping[str, Any], now: float
) -> int:
    """Put an action at the end of a log; return its number."""
    log = schema.action_log
    mine = (log.c.lab == lab, log.c.generation == generation)
    seq: int = (connection.execute(select(func.max(log.c.seq)).where(*mine)).scalar_one() or 0) + 1
    connection.execute(
        insert(log).values(
            lab=lab, generation=generation, seq=seq, position=position, action=json.dumps(action), at=now
        )
    )
    return seq


def repeat_answers(connection: Connection, lab: str, now: float) -> None:
    """Begin the log of a new generation with the answers: they are about the lesson, not the run."""
    generation: int = connection.execute(
        select(schema.lab.c.generation).where(schema.lab.c.id == lab)
    ).scalar_one()
    columns = schema.answer.c
    answers = select(columns.question, columns.value).where(columns.lab == lab).order_by(columns.question)
    for row in connection.execute(answers).all():
        action = {"verb": "answer", "question": row.question, "value": json.loads(row.value)}
        append_entry(connection, lab, generation, 0, action, now)


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
