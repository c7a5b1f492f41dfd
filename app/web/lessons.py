"""The course page and the lesson pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from app.lessons import Lesson, LessonError
from app.texts import mark
from app.web.context import context, current_student, require_released, student_or_guest
from app.web.dates import at, moment
from app.web.engine import engine_text
from app.web.errors import not_found
from app.web.labs import lab_view
from app.web.store import LabRow, Progress, SharedRun
from app.web.work import LabWork
from app.workers.control import UNITS
from app.workers.pacing import SPEEDS

blueprint = Blueprint("lessons", __name__)

# What one second of wall time shows, and the same in words.
_SPEED_LABELS = {
    "1e-7": (mark("100 ns/s"), mark("100 ns of virtual time per second: about ten instructions at 100 MHz")),
    "1e-6": (
        mark("1 µs/s"),
        mark("1 µs of virtual time per second: about a hundred instructions at 100 MHz"),
    ),
    "1e-5": (
        mark("10 µs/s"),
        mark("10 µs of virtual time per second: about a thousand instructions at 100 MHz"),
    ),
    "0.001": (mark("1 ms/s"), mark("1 ms of virtual time per second")),
    "0.01": (mark("10 ms/s"), mark("10 ms of virtual time per second")),
    "0.1": (mark("100 ms/s"), mark("100 ms of virtual time per second")),
    "1": (mark("real time"), mark("one second of virtual time per second, if this server is fast enough")),
    "max": (mark("maximum"), mark("as fast as this server can")),
}


@blueprint.get("/")
def index() -> str:
    """Show the lessons and how far the student is in each."""
    student, course = current_student(), context().course
    progress = context().results.progress(student) if student else {}
    now = at(context().settings.now())
    entries = [
        {
            "lesson": lesson,
            "place": course.entry(lesson),
            "is_open": course.entry(lesson).is_open(now),
            "is_late": course.entry(lesson).late_days(now) > 0,
            "progress": _progress(lesson, lesson.id in progress, progress.get(lesson.id)),
        }
        for lesson in course.lessons
    ]
    put_aside = context().course.broken.items()
    return render_template(
        "lessons/index.html",
        entries=entries,
        title=course.title,
        moment=moment,
        left=_left(progress.keys() - {lesson.id for lesson in course.lessons}),
        broken={slug: errors for slug, errors in put_aside if not errors.waits_for_guests},
        waiting={slug: errors for slug, errors in put_aside if errors.waits_for_guests},
    )


@blueprint.get("/lessons/<lesson_id>/")
def show(lesson_id: str) -> ResponseReturnValue:
    """Show a lesson beside its workbench; to who has begun it, also when the course has it no more."""
    try:
        lesson = context().course.lesson(lesson_id)
    except KeyError:
        row = begun_before(lesson_id)
        return lesson_page(row, context().work.lesson_of(row))
    require_released(lesson.id)
    return lesson_page(context().work.lab_of(student_or_guest(), lesson), lesson)


def lesson_page(row: LabRow, lesson: Lesson, shared: SharedRun | None = None) -> str:
    """Return the page of a lesson beside a lab of it; of a copy of a shared run, without what is graded."""
    work, labs = context().work, context().labs
    place = context().course.entry(lesson)
    taught = {each.id for each in context().course.lessons}
    newest, lesson = lesson.version, work.lesson_of(row)
    observation = work.first_look(row)
    return render_template(
        "lessons/lesson.html",
        lesson=lesson,
        lab={
            **lab_view(row),
            "config_text": lesson.lab_text,
            "outdated": shared is None and row.lesson_version != newest,
            "left": shared is None and lesson.id not in taught,
            "lent_since": context().leases.status(row)["since"],
            "programs": work.programs(row, lesson),
        },
        observation=observation,
        results=context().results.last(row.id),
        answers=_still_answers(work, lesson, labs.answers(row.id)),
        choices=choices(),
        place=place,
        is_late=place.late_days(at(context().settings.now())) > 0,
        moment=moment,
        following=_following(lesson),
        engine="" if shared else engine_text(row.lesson_version),
        shared=shared,
    )


def _following(lesson: Lesson) -> Lesson | None:
    """Return the lesson that the course has after this one, if it is open."""
    course = context().course
    later = [other.id for other in course.lessons]
    if lesson.id not in later or lesson.id == later[-1]:
        return None
    found = course.lessons[later.index(lesson.id) + 1]
    return found if course.entry(found).is_open(at(context().settings.now())) else None


def begun_before(lesson_id: str) -> LabRow:
    """Return the student's lab of a lesson that left the course or cannot be read; raise a 404 Problem."""
    row = _kept_lab(lesson_id)
    if row is None:
        raise not_found()
    return row


def _kept_lab(lesson_id: str) -> LabRow | None:
    student = current_student()
    row = context().labs.of_lesson(student, lesson_id) if student else None
    return row if row and context().editions.read(row.lesson_version) else None


def find_lesson(lesson_id: str) -> Lesson:
    """Return a lesson by id or slug; raise a 404 Problem."""
    try:
        return context().course.lesson(lesson_id)
    except KeyError:
        raise not_found() from None


def choices() -> dict[str, object]:
    """Return the speeds and units that a control may name."""
    return {
        "speeds": [
            {"value": value, "label": _SPEED_LABELS[value][0], "title": _SPEED_LABELS[value][1]}
            for value in SPEEDS
        ],
        "units": list(UNITS),
    }


def _still_answers(work: LabWork, lesson: Lesson, answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers to questions that the lesson still asks in that way, each with its verdict."""
    kept: dict[str, Any] = {}
    for question, value in answers.items():
        with suppress(LessonError):
            kept[question] = {"value": value, "verdict": work.verdict(lesson, question, value)}
    return kept


def _left(lessons: Iterable[str]) -> list[Lesson]:
    """Return what the student has begun and the course has no more, as it was then."""
    kept = [row for lesson in sorted(lessons) if (row := _kept_lab(lesson))]
    return [context().work.lesson_of(row) for row in kept]


def _progress(lesson: Lesson, started: bool, best: Progress | None) -> dict[str, object]:
    passed, total = (best.passed, best.total) if best else (0, len(lesson.checks))
    return {
        "started": started,
        "done": best is not None and passed == total,
        "passed": passed,
        "total": total,
    }
