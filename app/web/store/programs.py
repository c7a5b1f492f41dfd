"""Guest programs of labs and of shared runs; an image is kept once, however many labs hold it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Table, delete, insert, select, union_all

from app.web.store import schema
from app.workers.record import ProgramText


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
