"""Lessons as tests read them: one that waits for a guest that is not built here is a reason to skip."""

from pathlib import Path

from app.lessons import Lesson, LessonErrors, load_lesson
from tests.conftest import lack


def load(path: Path) -> Lesson:
    """Return a lesson; skip the test if it waits for a guest."""
    try:
        return load_lesson(path)
    except LessonErrors as errors:
        if errors.waits_for_guests:
            lack(str(errors))
        raise
