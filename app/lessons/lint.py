"""Checks lessons beyond what loading needs: everything an instructor should mend before class."""

from pathlib import Path

from app.lessons.course import lesson_directories, read_course
from app.lessons.errors import LessonError, LessonErrors
from app.lessons.load import load_lesson
from app.lessons.model import Lesson
from app.lessons.script import Answer, Script


def lint_course(directory: Path) -> list[LessonError]:
    """Return the faults of every lesson of a directory; raise LessonError if it holds none."""
    found: list[LessonError] = []
    ids: dict[str, str] = {}
    paths = lesson_directories(directory)
    try:
        table = read_course(directory.absolute(), [path.name for path in paths])
    except LessonErrors as errors:
        table = None
        found += errors.errors
    listed = {entry.lesson for entry in table.lessons} if table else set[str]()
    for path in paths:
        if table and path.name not in listed:
            message = f"'{path.name}' is not listed, so it is not taught; add it under 'lessons:' or move it"
            found.append(LessonError(f"{path.absolute().parent.name}/course.yaml", 0, 0, message))
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            found += errors.errors
            continue
        found += advice(lesson, path.parent.name)
        if lesson.id in ids:
            message = f"id '{lesson.id}' is already that of {ids[lesson.id]}; choose another"
            found.append(LessonError(f"{path.parent.name}/{path.name}/lesson.md", 1, 0, message))
        ids.setdefault(lesson.id, lesson.slug)
    return found


def lint_lesson(directory: Path) -> list[LessonError]:
    """Return the faults of one lesson."""
    try:
        lesson = load_lesson(directory)
    except LessonErrors as errors:
        return list(errors.errors)
    return advice(lesson, directory.absolute().parent.name)


def advice(lesson: Lesson, course: str) -> list[LessonError]:
    """Return what is missing from a lesson that can be loaded but not yet be taught."""
    file = f"{course}/{lesson.slug}/lesson.md"
    found: list[LessonError] = []
    if not lesson.steps:
        found.append(LessonError(file, 1, 0, "has no text; write steps that begin with '## '"))
    if not lesson.checks:
        found.append(LessonError(file, 1, 0, "has no checks; add at least one under 'checks:'"))
    if lesson.solution is None:
        script = f"{course}/{lesson.slug}/solution/actions.yaml"
        found.append(LessonError(script, 0, 0, "is missing; write the steps that earn every point"))
    for script in (lesson.solution, *lesson.wrong.values()):
        found += _unknown_answers(lesson, script) if script else []
    return found


def _unknown_answers(lesson: Lesson, script: Script) -> list[LessonError]:
    """Return the answers of a script that no question of the lesson takes."""
    found: list[LessonError] = []
    for step in script.steps:
        if isinstance(step, Answer):
            try:
                lesson.question(step.question).judge(step.value)
            except LessonError as error:
                found.append(script.error(step, f"answer to '{step.question}': {error.message}"))
    return found
