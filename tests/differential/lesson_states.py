"""States of the lab of a lesson.

`python -m tests.differential.lesson_states LESSON STATE` goes on from a saved state, as far as plain Python
can come, with the kernels that the environment chooses, and prints the hash there; the action log up to the
state is read from standard input.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from app.grading import grade
from app.grading.attempt import Attempt
from app.lessons import Lesson, load_lesson
from emulator.build.engine import load_engine
from emulator.lab import Lab

CYCLES = 30_000


def solved(lesson: Lesson, engine: Any) -> tuple[Attempt, tuple[str, int, list[bool]]]:
    """Do a lesson's solution; return it with the hash, the position, and which checks it passes."""
    attempt = Attempt(lesson, engine)
    assert lesson.solution
    attempt.follow(lesson.solution)
    passed = [result.passed for result in grade(lesson, attempt.lab, attempt.answers)]
    return attempt, (attempt.lab.state_hash(), attempt.lab.position, passed)


def stand_at(lesson: Lesson, log: list[Any], position: int, engine: Any) -> Lab:
    """Return the lab as it stood at a position of its history."""
    actions = [entry for entry in log if entry["position"] <= position]
    return Lab.replay(lesson.lab_config, dict(lesson.programs), lesson.seed, actions, position, engine)


def hash_after(lesson: Lesson, state: bytes, log: list[Any], engine: Any) -> str:
    """Return the hash of a lab that has gone on from a saved state."""
    lab = Lab.load(state, lesson.lab_config, dict(lesson.programs), lesson.seed, log, engine)
    lab.advance(lab.position + CYCLES)
    return lab.state_hash()


if __name__ == "__main__":
    saved = Path(sys.argv[2]).read_bytes()
    print(hash_after(load_lesson(Path(sys.argv[1])), saved, json.load(sys.stdin), load_engine()))
