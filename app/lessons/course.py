"""A directory of lessons, in the order in which they are taught."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from app.lessons.errors import LessonError, LessonErrors
from app.lessons.load import SLUG, load_lesson
from app.lessons.model import Lesson


@dataclass(frozen=True)
class Course:
    """Lessons in order, and by slug the errors of those that could not be read."""

    lessons: tuple[Lesson, ...]
    broken: Mapping[str, LessonErrors]

    def lesson(self, name: str) -> Lesson:
        """Return a lesson by its id or slug; raise KeyError if there is none."""
        for lesson in self.lessons:
            if name in (lesson.id, lesson.slug):
                return lesson
        raise KeyError(name)


def lesson_directories(directory: Path) -> list[Path]:
    """Return the directories of a course that hold a lesson, in order; raise LessonError if there is none."""
    if not directory.is_dir():
        raise LessonError(
            str(directory), 0, 0, "is not a directory; give the directory that holds NN-slug directories"
        )
    found = [path for path in directory.iterdir() if path.is_dir() and SLUG.fullmatch(path.name)]
    if not found:
        raise LessonError(
            str(directory), 0, 0, "holds no lesson; a lesson is a directory named like 01-first-steps"
        )
    return sorted(found, key=lambda path: (int(path.name.split("-")[0]), path.name))


def load_course(directory: Path | str) -> Course:
    """Read every lesson of a directory; a lesson with errors is put aside, not raised.

    Raise LessonError if there is no lesson at all.
    """
    lessons: dict[str, Lesson] = {}
    broken: dict[str, LessonErrors] = {}
    for path in lesson_directories(Path(directory)):
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            broken[path.name] = errors
            continue
        if lesson.id in lessons:
            message = f"id '{lesson.id}' is already that of {lessons[lesson.id].slug}; choose another"
            broken[path.name] = LessonErrors(
                [LessonError(f"{path.parent.name}/{path.name}/lesson.md", 1, 0, message)]
            )
            continue
        lessons[lesson.id] = lesson
    return Course(tuple(lessons.values()), broken)
