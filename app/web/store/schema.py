"""The tables, and how a database of an older version becomes one of this version.

The version of a database is its `PRAGMA user_version`. `MIGRATIONS[n]` takes it from n to n + 1; a
released migration is never edited, only followed by another. Times are Unix seconds.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import (
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

student = Table(
    "student",
    metadata,
    Column("id", String, primary_key=True),
    Column("created_at", Float, nullable=False),
)

# Only the SHA-256 of the cookie's token is kept, so a stolen database opens nobody's session.
session = Table(
    "session",
    metadata,
    Column("token_hash", String, primary_key=True),
    Column("student", String, ForeignKey("student.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Float, nullable=False),
    Column("seen_at", Float, nullable=False),
)

# A lab holds its own copy of configuration and programs: it must be rebuilt exactly even after the lesson
# was edited.
# `generation` counts resets; the log of the current generation alone determines the lab.
lab = Table(
    "lab",
    metadata,
    Column("id", String, primary_key=True),
    Column("student", String, ForeignKey("student.id", ondelete="CASCADE"), nullable=False),
    Column("lesson", String, nullable=False),
    Column("lesson_version", String, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("config", Text, nullable=False),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("lab_of_student", "student", "lesson", unique=True),
)

program = Table(
    "program",
    metadata,
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("source", Text),
    Column("elf", LargeBinary),
)

action_log = Table(
    "action_log",
    metadata,
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("position", Integer, nullable=False),
    Column("action", Text, nullable=False),
    Column("at", Float, nullable=False),
)

# The reply to a request that carried a request_id, so that a retry is answered and not applied again.
request = Table(
    "request",
    metadata,
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), primary_key=True),
    Column("request_id", String, primary_key=True),
    Column("digest", String, nullable=False),
    Column("reply", Text, nullable=False),
    Column("at", Float, nullable=False),
)

answer = Table(
    "answer",
    metadata,
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), primary_key=True),
    Column("question", String, primary_key=True),
    Column("value", Text, nullable=False),
    Column("at", Float, nullable=False),
)

check_result = Table(
    "check_result",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("passed", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("results", Text, nullable=False),
    Column("at", Float, nullable=False),
)


def _create_tables(connection: Connection) -> None:
    metadata.create_all(connection)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (_create_tables,)
