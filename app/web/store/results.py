"""What students achieved: the outcomes of their checks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, insert, select

from app.web.store import schema
from app.web.store.database import Database
from app.web.store.labs import LabRow

TRIES_KEPT = 200


@dataclass(frozen=True, slots=True)
class Progress:
    """The best check of a lesson so far."""

    passed: int
    total: int


class ResultStore:
    """Outcomes of checks in the database."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        """Keep results in `database`; `now` gives Unix seconds."""
        self._database = database
        self._now = now

    def save(self, row: LabRow, position: int, passed: int, total: int, results: Mapping[str, Any]) -> None:
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

    def last(self, lab: str) -> dict[str, Any] | None:
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


def _statuses(results: str) -> dict[str, str]:
    checks: list[dict[str, Any]] = json.loads(results)["checks"]
    return {check["id"]: check.get("status", "passed" if check["passed"] else "failed") for check in checks}
