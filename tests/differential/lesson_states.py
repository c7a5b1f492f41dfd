"""States of the lab of a lesson.

`python -m tests.differential.lesson_states LESSON` prints the hash early in the lesson, where plain Python
can come, with the kernels that the environment chooses; the action log is read from standard input.
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

EARLY = 15_000  # cycles


def solved(lesson: Lesson, engine: Any) -> tuple[Attempt, tuple[str, int, list[bool]]]:
    """Do a lesson's solution; return it with the hash, the position, and which checks it passes."""
    attempt = Attempt(lesson, engine)
    assert lesson.solution
    attempt.follow(lesson.solution)
    passed = [result.passed for result in grade(lesson, attempt.lab, attempt.answers)]
    return attempt, (attempt.lab.state_hash(), attempt.lab.position, passed)


def early(lesson: Lesson, log: list[Any], engine: Any) -> str:
    """Return the hash of the lab after its first cycles, with the actions that belong there."""
    actions = [entry for entry in log if entry["position"] < EARLY]
    lab = Lab.replay(lesson.lab_config, dict(lesson.programs), lesson.seed, actions, EARLY, engine)
    return lab.state_hash()


if __name__ == "__main__":
    print(early(load_lesson(Path(sys.argv[1])), json.load(sys.stdin), load_engine()))
