"""How many streams are open: each one holds a thread of the server."""

from __future__ import annotations

import threading
from collections import Counter

from app.desk.problem import Problem
from app.texts import gettext as _


class StreamCount:
    """Admission to the streams."""

    def __init__(self, most: int, most_per_student: int) -> None:
        """Allow so many streams altogether and for one student."""
        self._most = most
        self._most_per_student = most_per_student
        self._open: Counter[str] = Counter()
        self._guard = threading.Lock()

    def enter(self, student: str) -> None:
        """Count one more stream; raise a 429 or 503 Problem when there are enough."""
        with self._guard:
            if self._open[student] >= self._most_per_student:
                raise Problem(429, _("Too many tabs of VM Lab are open; close some."), retry_after=10)
            if self._open.total() >= self._most:
                raise Problem(
                    503, _("All live views of this server are taken; try again soon."), retry_after=10
                )
            self._open[student] += 1

    def leave(self, student: str) -> None:
        """Count one less."""
        with self._guard:
            self._open[student] -= 1
            if self._open[student] <= 0:
                del self._open[student]
