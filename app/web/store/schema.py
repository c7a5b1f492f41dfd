"""The tables, and how a database of an older version becomes one of this version.

The version of a database is its `PRAGMA user_version`. `MIGRATIONS[n]` takes it from n to n + 1; a
released migration is never edited, only followed by another. Times are Unix seconds.
"""

from __future__ import annotations

import hashlib
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
    inspect,
    text,
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
# `shared`: it is a copy of that shared run, beside the student's own lab of the lesson.
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
    Column("stops", Text, nullable=False, server_default="[]"),  # of the CPU view; no part of the lab's state
    # It stands at `position` after the first `actions` of its log (null: all); its line reaches to `present`.
    Column("actions", Integer),
    Column("present", Integer, nullable=False, server_default="0"),
    Column("shared", String, ForeignKey("shared_run.token", ondelete="CASCADE"), index=True),
    Index("lab_of_student", "student", "lesson", unique=True, sqlite_where=text("shared IS NULL")),
    Index("copy_of_student", "student", "shared", unique=True, sqlite_where=text("shared IS NOT NULL")),
)

# A run up to one instant, for whoever has its token; never changed. `log` holds no answers. `digest` is over
# what determines the run: the same instant shared again is the same shared run.
shared_run = Table(
    "shared_run",
    metadata,
    Column("token", String, primary_key=True),
    Column("student", String, ForeignKey("student.id", ondelete="CASCADE"), nullable=False),
    Column("digest", String, nullable=False),
    Column("lesson", String, nullable=False),
    Column("lesson_version", String, nullable=False),
    Column("seed", Integer, nullable=False),
    Column("config", Text, nullable=False),
    Column("log", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("now_ns", Integer, nullable=False),
    Column("created_at", Float, nullable=False),
    Index("shared_run_of_student", "student", "digest", unique=True),
)

# A compiled program, kept once for all labs that hold it: an operating system has megabytes.
image = Table(
    "image",
    metadata,
    Column("digest", String, primary_key=True),  # SHA-256 of the data
    Column("data", LargeBinary, nullable=False),
)

program = Table(
    "program",
    metadata,
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("source", Text),
    Column("image", String, ForeignKey("image.digest"), index=True),
)

shared_program = Table(
    "shared_program",
    metadata,
    Column("run", String, ForeignKey("shared_run.token", ondelete="CASCADE"), primary_key=True),
    Column("name", String, primary_key=True),
    Column("source", Text),
    Column("image", String, ForeignKey("image.digest"), index=True),
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

# A lab that runs in a browser: nothing changes it here until the lease has ended. `digest` and `reply` are of
# the last submission that was taken over, so that a repeated one is answered and not taken over again.
lease = Table(
    "lease",
    metadata,
    Column("id", String, primary_key=True),
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("mode", Text, nullable=False),
    Column("request_id", String),
    Column("at", Float, nullable=False),
    Column("ended_at", Float),
    Column("digest", String),
    Column("reply", Text),
)
Index("lease_of_lab", lease.c.lab, unique=True, sqlite_where=lease.c.ended_at.is_(None))

# Where a line of a lab's history ended that another took the place of; its log stays under its generation.
attempt = Table(
    "attempt",
    metadata,
    Column("lab", String, ForeignKey("lab.id", ondelete="CASCADE"), primary_key=True),
    Column("generation", Integer, primary_key=True),
    Column("position", Integer, nullable=False),
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

# The run that a student has entered for the class tournament, one for each scenario; repeated here.
# `text` is the policy's, where its student shares it.
tournament_entry = Table(
    "tournament_entry",
    metadata,
    Column("student", String, ForeignKey("student.id", ondelete="CASCADE"), primary_key=True),
    Column("scenario", String, primary_key=True),
    Column("name", String, nullable=False),
    Column("values", Text, nullable=False),
    Column("text", Text),
    Column("at", Float, nullable=False),
    Index("name_on_board", "scenario", "name", unique=True),
)


def image_digest(data: bytes) -> str:
    """Return what an image is kept under."""
    return hashlib.sha256(data).hexdigest()


def _create_tables(connection: Connection) -> None:
    metadata.create_all(connection)


def _share_images(connection: Connection) -> None:
    """Move the images that programs of version 1 held themselves; a new database has none."""
    if "elf" not in {column["name"] for column in inspect(connection).get_columns("program")}:
        return
    image.create(connection)
    connection.exec_driver_sql("ALTER TABLE program ADD COLUMN image VARCHAR REFERENCES image (digest)")
    rows = connection.exec_driver_sql("SELECT rowid, elf FROM program WHERE elf IS NOT NULL").all()
    for rowid, data in rows:
        digest = image_digest(data)
        connection.exec_driver_sql("INSERT OR IGNORE INTO image VALUES (?, ?)", (digest, data))
        connection.exec_driver_sql("UPDATE program SET image = ? WHERE rowid = ?", (digest, rowid))
    connection.exec_driver_sql("ALTER TABLE program DROP COLUMN elf")
    connection.exec_driver_sql("CREATE INDEX ix_program_image ON program (image)")


def _add_leases(connection: Connection) -> None:
    for table in (lease, attempt):
        table.create(connection, checkfirst=True)


def _add_tournament(connection: Connection) -> None:
    tournament_entry.create(connection, checkfirst=True)


def _add_stops(connection: Connection) -> None:
    if "stops" not in {column["name"] for column in inspect(connection).get_columns("lab")}:
        connection.exec_driver_sql("ALTER TABLE lab ADD COLUMN stops TEXT NOT NULL DEFAULT '[]'")


def _add_cursor(connection: Connection) -> None:
    """Let a lab stand in the past of its line; before, it stood at the end of its log."""
    if "present" not in {column["name"] for column in inspect(connection).get_columns("lab")}:
        connection.exec_driver_sql("ALTER TABLE lab ADD COLUMN actions INTEGER")
        connection.exec_driver_sql("ALTER TABLE lab ADD COLUMN present INTEGER NOT NULL DEFAULT 0")


def _add_shared_runs(connection: Connection) -> None:
    """Let a student have copies of shared runs beside the one lab of a lesson."""
    for table in (shared_run, shared_program):
        table.create(connection, checkfirst=True)
    if "shared" in {column["name"] for column in inspect(connection).get_columns("lab")}:
        return
    reference = "REFERENCES shared_run (token) ON DELETE CASCADE"
    connection.exec_driver_sql(f"ALTER TABLE lab ADD COLUMN shared VARCHAR {reference}")
    connection.exec_driver_sql("DROP INDEX lab_of_student")
    for index in lab.indexes:
        index.create(connection, checkfirst=True)


MIGRATIONS: tuple[Callable[[Connection], None], ...] = (
    _create_tables,
    _share_images,
    _add_leases,
    _add_tournament,
    _add_stops,
    _add_cursor,
    _add_shared_runs,
)
