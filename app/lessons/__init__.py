"""The lesson format: what a lesson is, how it is read, checked and rendered.

Lesson files are hostile input: everything here is bounded in size and depth, and every fault of a lesson
becomes a `LessonError` that names its file, line and remedy.
"""

from app.lessons.course import Course, load_course
from app.lessons.errors import GuestMissing, LessonError, LessonErrors
from app.lessons.load import load_lesson
from app.lessons.model import Block, Check, Choice, Lesson, Program, Question, Step, Verdict

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
