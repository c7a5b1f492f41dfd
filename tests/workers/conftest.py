"""A pool of real worker processes over a journal in memory."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.workers.pool import Pool
from app.workers.record import LabRecord, ProgramText, Stand

PROJECT = Path(__file__).resolve().parents[2]
COUNT = "_start: li t0, 0\nloop: addi t0, t0, 1\n j loop\n"
CONFIG: dict[str, Any] = {
    "host": {"pcpus": 2, "memory": "4 MiB"},
    "vms": [{"name": name, "program": "count.s", "memory": "256 KiB"} for name in ("a", "b")],
}


class MemoryJournal:
    """A journal that forgets when the test ends."""

    def __init__(self) -> None:
        self.records: dict[str, LabRecord] = {}

    def add(self, lab: str) -> None:
        programs = (ProgramText("count.s", source=COUNT),)
        self.records[lab] = LabRecord(lab, "none", CONFIG, programs, seed=1)

    def load(self, lab: str) -> LabRecord | None:
        return self.records.get(lab)

    def save_positions(self, positions: Mapping[tuple[str, int], Stand]) -> None:
        for (lab, _), stand in positions.items():
            self.records[lab] = replace(self.records[lab], position=stand.position)


@pytest.fixture
def lab(journal: MemoryJournal) -> str:
    """A new lab with two VMs that count for ever."""
    name = f"lab{len(journal.records)}"
    journal.add(name)
    return name


Act = Callable[[str, dict[str, Any]], dict[str, Any]]


@pytest.fixture(scope="session")
def journal() -> MemoryJournal:
    return MemoryJournal()


@pytest.fixture(scope="session")
def pool(journal: MemoryJournal) -> Iterator[Pool]:
    lessons = str(PROJECT / "tests" / "web" / "course")
    pool = Pool([sys.executable, "-m", "app.cli", "worker", "--lessons", lessons], 2, journal)
    pool.start()
    assert pool.wait_ready(300)
    yield pool
    pool.close()


@pytest.fixture
def act(pool: Pool, journal: MemoryJournal) -> Act:
    """Apply an action and commit it, as the page's server does."""

    def act(lab: str, action: dict[str, Any]) -> dict[str, Any]:
        with pool.lock(lab):
            reply = pool.call(lab, "apply", {"action": action})
            record = journal.records[lab]
            entry = {"seq": len(record.log) + 1, "position": reply["position"], "action": action}
            journal.records[lab] = replace(record, log=(*record.log, entry))  # pyright: ignore[reportArgumentType]
            return reply

    return act
