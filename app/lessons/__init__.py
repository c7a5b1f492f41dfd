"""The lesson format: what a lesson is, how it is read, checked and rendered.

Lesson files are hostile input: everything here is bounded in size and depth, and every fault of a lesson
becomes a `LessonError` that names its file, line and remedy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from app.lessons.course import Course, load_course
    from app.lessons.errors import GuestMissing, LessonError, LessonErrors
    from app.lessons.load import load_lesson
    from app.lessons.model import Block, Check, Choice, Lesson, Program, Question, Step, Verdict

# Imported when they are asked for: the browser has no more of this package than what reads YAML.
_PLACES = {
    **dict.fromkeys(("Course", "load_course"), "course"),
    **dict.fromkeys(("GuestMissing", "LessonError", "LessonErrors"), "errors"),
    "load_lesson": "load",
    **dict.fromkeys(("Block", "Check", "Choice", "Lesson"), "model"),
    **dict.fromkeys(("Program", "Question", "Step", "Verdict"), "model"),
}

__all__ = [
    "Block",
    "Check",
    "Choice",
    "Course",
    "GuestMissing",
    "Lesson",
    "LessonError",
    "LessonErrors",
    "Program",
    "Question",
    "Step",
    "Verdict",
    "load_course",
    "load_lesson",
]


def __getattr__(name: str) -> Any:
    """Return a name of the package from the module that has it."""
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_PLACES[name]}"), name)
