"""What students have entered for the class tournament: one for each student and scenario, the latest."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import delete, insert, select

from app.web.store import schema
from app.web.store.database import Database

MAX_SHOWN = 300


class NameTaken(Exception):
    """A class-mate is on the board of the scenario under this name."""


class EntryStore:
    """Entries of the class tournament."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """Keep entries in `database`; `now` gives Unix seconds."""
        self._database = database
        self._now = now

    def put(
        self, student: str, scenario: str, name: str, values: Mapping[str, float], text: str | None
    ) -> None:
        """Enter a run in place of the student's earlier one. Raises NameTaken."""
        table = schema.tournament_entry
        with self._database.write() as connection:
            if self._is_taken(connection, student, scenario, name):
                raise NameTaken(name)
            mine = (table.c.student == student) & (table.c.scenario == scenario)
            connection.execute(delete(table).where(mine))
            row = {"student": student, "scenario": scenario, "name": name, "text": text, "at": self._now()}
            connection.execute(insert(table).values(**row, values=json.dumps(dict(values))))

    def require_free(self, student: str, scenario: str, name: str) -> None:
        """Raise NameTaken if a class-mate has the name."""
        with self._database.read() as connection:
            if self._is_taken(connection, student, scenario, name):
                raise NameTaken(name)

    def on(self, scenario: str) -> list[dict[str, Any]]:
        """Return name, values and shared text (or None) of the entries, the newest first."""
        columns = schema.tournament_entry.c
        asked = select(columns.name, columns["values"], columns.text).where(columns.scenario == scenario)
        with self._database.read() as connection:
            rows = connection.execute(asked.order_by(columns.at.desc()).limit(MAX_SHOWN)).all()
        return [{"name": name, "values": json.loads(values), "text": text} for name, values, text in rows]

    @staticmethod
    def _is_taken(connection: Any, student: str, scenario: str, name: str) -> bool:
        columns = schema.tournament_entry.c
        asked = select(columns.student).where(columns.scenario == scenario, columns.name == name)
        return connection.execute(asked.where(columns.student != student)).first() is not None
