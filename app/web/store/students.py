"""Guest students and their sessions: a random token in a cookie, its hash in the database."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable

from sqlalchemy import insert, select, update

from app.web.store import schema
from app.web.store.database import Database

TOKEN_BYTES = 32
SESSION_SECONDS = 180 * 24 * 3600
SEEN_EVERY_SECONDS = 3600


class StudentStore:
    """Students and sessions."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """Keep students in `database`; `now` gives Unix seconds."""
        self._database = database
        self._now = now

    def create_guest(self) -> tuple[str, str]:
        """Create a student without an account; return the student's id and the token of a new session."""
        student, token, now = secrets.token_hex(8), secrets.token_urlsafe(TOKEN_BYTES), self._now()
        with self._database.write() as connection:
            connection.execute(insert(schema.student).values(id=student, created_at=now))
            connection.execute(
                insert(schema.session).values(
                    token_hash=_hash(token), student=student, created_at=now, seen_at=now
                )
            )
        return student, token

    def student_of(self, token: str) -> str | None:
        """Return whose session this is, None for an unknown or expired token."""
        columns = schema.session.c
        with self._database.read() as connection:
            row = connection.execute(
                select(columns.student, columns.seen_at).where(columns.token_hash == _hash(token))
            ).one_or_none()
        now = self._now()
        if row is None or now - row.seen_at > SESSION_SECONDS:
            return None
        if now - row.seen_at > SEEN_EVERY_SECONDS:
            self._touch(token, now)
        return str(row.student)

    def _touch(self, token: str, now: float) -> None:
        with self._database.write() as connection:
            connection.execute(
                update(schema.session).where(schema.session.c.token_hash == _hash(token)).values(seen_at=now)
            )


def _hash(token: str) -> str:
    """Return what the database knows of a token. It is random, so a plain hash is enough."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
