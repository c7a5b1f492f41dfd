"""A directory of lessons, and `course.yaml`: in which order they are taught, for how much, and from when.

Without course.yaml all lessons of the directory are taught, in the order of their numbers.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, cast

from pydantic import Field, StringConstraints, ValidationError

from app.lessons.errors import LessonError, LessonErrors, nearest
from app.lessons.load import SLUG, load_lesson
from app.lessons.model import Lesson, Line
from app.lessons.source import read_text
from app.lessons.table import Table
from app.lessons.validation import describe
from app.lessons.yaml import Document, parse

COURSE = "course.yaml"
_DAY = timedelta(days=1)
Moment = Annotated[str, StringConstraints(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)$")]
Variable = Annotated[str, StringConstraints(pattern=r"^[A-Z][A-Z0-9_]{2,60}$")]
Folder = Annotated[str, StringConstraints(pattern=r"^[0-9]{1,3}-[a-z0-9]+(-[a-z0-9]+)*$", max_length=80)]


class SecretTable(Table):
    """Where the course's secret is, never the secret itself: it does not belong into a repository."""

    env: Variable


class LateTable(Table):
    """What work after the due date costs: a percentage for each begun day, down to `least` per cent."""

    per_day: Annotated[int, Field(ge=0, le=100)]
    least: Annotated[int, Field(ge=0, le=100)] = 0


class EntryTable(Table):
    """One lesson of the course, by the name of its directory."""

    lesson: Folder
    points: Annotated[int, Field(ge=0, le=1_000)] | None = None
    opens: Moment | None = None
    due: Moment | None = None
    late: LateTable | None = None


class CourseTable(Table):
    """The keys of course.yaml."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    title: Line
    secret: SecretTable | None = None
    late: LateTable | None = None
    lessons: list[EntryTable] = Field(min_length=1, max_length=200)


@dataclass(frozen=True)
class Entry:
    """A lesson's place in the course; without `points` it is worth what its checks are.

    Work after `due` is accepted and marked late; with `late` it counts less.
    """

    lesson: Lesson
    points: int
    opens: datetime | None = None
    due: datetime | None = None
    late: LateTable | None = None

    def is_open(self, now: datetime) -> bool:
        """Return whether students may begin."""
        return self.opens is None or now >= self.opens

    def late_days(self, now: datetime) -> int:
        """Return how many days after the due date have begun, 0 if it is not over."""
        return 0 if self.due is None or now <= self.due else -((self.due - now) // _DAY)

    def share(self, now: datetime) -> float:
        """Return the part of its points that work counts for, from 0 to 1."""
        days = self.late_days(now)
        if self.late is None or not days:
            return 1.0
        return max(self.late.least, 100 - self.late.per_day * days) / 100


@dataclass(frozen=True)
class Course:
    """Lessons in order, and by slug the errors of those that could not be read.

    `secret_variable` is the environment variable that holds the secret, empty if none is named.
    """

    lessons: tuple[Lesson, ...]
    broken: Mapping[str, LessonErrors]
    title: str = ""
    secret_variable: str = ""
    entries: Mapping[str, Entry] = field(default_factory=lambda: dict[str, Entry]())

    def lesson(self, name: str) -> Lesson:
        """Return a lesson by its id or slug; raise KeyError if there is none."""
        for lesson in self.lessons:
            if name in (lesson.id, lesson.slug):
                return lesson
        raise KeyError(name)

    def entry(self, lesson: Lesson) -> Entry:
        """Return a lesson's place in the course."""
        return self.entries.get(lesson.slug) or Entry(lesson, lesson.points)


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
    """Read every lesson of a course; a lesson with errors is put aside, not raised.

    Raise LessonError if there is no lesson at all, LessonErrors if course.yaml has faults.
    """
    root = Path(directory)
    paths = lesson_directories(root)
    table = read_course(root.absolute(), [path.name for path in paths])
    if table:
        paths = [root / entry.lesson for entry in table.lessons]
    lessons, broken = _load(paths)
    if table is None:
        return Course(tuple(lessons.values()), broken)
    by_slug = {lesson.slug: lesson for lesson in lessons.values()}
    entries = {
        entry.lesson: _entry(entry, by_slug[entry.lesson], table.late)
        for entry in table.lessons
        if entry.lesson in by_slug
    }
    variable = table.secret.env if table.secret else ""
    return Course(tuple(lessons.values()), broken, table.title, variable, entries)


def _load(paths: list[Path]) -> tuple[dict[str, Lesson], dict[str, LessonErrors]]:
    lessons: dict[str, Lesson] = {}
    broken: dict[str, LessonErrors] = {}
    for path in paths:
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            broken[path.name] = errors
            continue
        if lesson.id in lessons:
            message = f"id '{lesson.id}' is already that of {lessons[lesson.id].slug}; choose another"
            name = f"{path.absolute().parent.name}/{path.name}/lesson.md"
            broken[path.name] = LessonErrors([LessonError(name, 1, 0, message)])
            continue
        lessons[lesson.id] = lesson
    return lessons, broken


def _entry(table: EntryTable, lesson: Lesson, late: LateTable | None) -> Entry:
    points = lesson.points if table.points is None else table.points
    opens, due = (datetime.fromisoformat(text) if text else None for text in (table.opens, table.due))
    return Entry(lesson, points, opens, due, table.late or late)


def read_course(root: Path, slugs: list[str]) -> CourseTable | None:
    """Return course.yaml of a directory with these lessons, None if it has none; raise LessonErrors."""
    if not (root / COURSE).exists():
        return None
    try:
        file = read_text(root / COURSE, root)
        document = parse(file, file.text)
    except LessonError as error:
        raise LessonErrors([error]) from error
    try:
        table = CourseTable.model_validate(_with_tables(document.value))
    except ValidationError as error:
        raise LessonErrors(describe(error, document, CourseTable)) from error
    faults = list(_faults(document, table, slugs))
    if faults:
        raise LessonErrors(faults)
    return table


def _with_tables(value: object) -> object:
    """Return the keys of course.yaml with each lesson that is only named as a mapping."""
    if not isinstance(value, dict):
        return value
    value = cast(dict[str, Any], value)
    lessons: object = value.get("lessons")
    if not isinstance(lessons, list):
        return value
    entries = [{"lesson": each} if isinstance(each, str) else each for each in cast(list[object], lessons)]
    return {**value, "lessons": entries}


def _faults(document: Document, table: CourseTable, slugs: list[str]) -> list[LessonError]:
    found: list[LessonError] = []
    seen: set[str] = set()
    for index, entry in enumerate(table.lessons):
        path = ("lessons", index)
        if entry.lesson not in slugs:
            message = f"there is no lesson '{entry.lesson}'{nearest(entry.lesson, slugs)}"
            found.append(document.error(path, message))
        if entry.lesson in seen:
            found.append(document.error(path, f"'{entry.lesson}' is listed twice; keep one"))
        seen.add(entry.lesson)
        found += _wrong_times(document, path, entry)
    return found


def _wrong_times(document: Document, path: tuple[str | int, ...], entry: EntryTable) -> list[LessonError]:
    times: list[datetime] = []
    for key, text in (("opens", entry.opens), ("due", entry.due)):
        try:
            times += [datetime.fromisoformat(text)] if text else []
        except ValueError:
            return [document.error((*path, key), f"{text} is no date and time; write 2026-09-01T08:00+02:00")]
    if len(times) == 2 and times[0] >= times[1]:
        return [document.error((*path, "due"), "due must come after opens")]
    return []
