"""The lab report: one page to print or keep as PDF, with what a student predicted, did, found and pinned.

It is made of what the server has; the pictures that the student pinned are in their browser
(static/js/report.js).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from flask import Blueprint, redirect, render_template, url_for
from flask.typing import ResponseReturnValue

from app.lessons import Lesson, LessonError
from app.texts import ngettext
from app.web.context import context, current_student, require_released
from app.web.labs import lab_view
from app.web.lessons import begun_before
from app.web.store import LabRow
from emulator.lab import LogEntry

blueprint = Blueprint("report", __name__)

# What an action carries is shown if it is short: a program has lines, an archive bytes.
LONGEST = 80
MOST_ACTIONS = 1000


@blueprint.get("/lessons/<lesson_id>/report")
def show(lesson_id: str) -> ResponseReturnValue:
    """Show the report on the student's own lab of a lesson; who has none yet begins it."""
    try:
        lesson = context().course.lesson(lesson_id)
    except KeyError:
        row = begun_before(lesson_id)
        return render_template("lessons/report.html", **_report(row, context().work.lesson_of(row)))
    require_released(lesson.id)
    student = current_student()
    row = context().labs.of_lesson(student, lesson.id) if student else None
    if row is None:
        return redirect(url_for("lessons.show", lesson_id=lesson_id))
    return render_template("lessons/report.html", **_report(row, context().work.lesson_of(row)))


def _report(row: LabRow, lesson: Lesson) -> dict[str, Any]:
    work, labs = context().work, context().labs
    observation = work.first_look(row)
    record = labs.load(row.id)
    entries = [_action(entry) for entry in record.log] if record else []
    return {
        "lesson": lesson,
        "lab": lab_view(row),
        "observation": observation,
        "config_text": work.config(row)["text"] if observation else lesson.lab_text,
        "results": context().results.last(row.id),
        "predictions": _predictions(lesson, labs.answers(row.id)),
        "actions": entries[-MOST_ACTIONS:],
        "left_out": max(0, len(entries) - MOST_ACTIONS),
    }


def _predictions(lesson: Lesson, answers: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the questions of the lesson in their order, with what the student answered, and the verdict."""
    found: list[dict[str, Any]] = []
    for name in lesson.questions:
        question = lesson.question(name)
        if question.price is not None:
            continue
        given: dict[str, Any] = {"question": question, "answer_html": "", "answer": "", "verdict": None}
        if name in answers:
            with suppress(LessonError):
                given["verdict"] = context().work.verdict(lesson, name, answers[name])
                chosen = next((choice for choice in question.choices if choice.id == answers[name]), None)
                given["answer_html"] = chosen.html if chosen else ""
                given["answer"] = f"{answers[name]} {question.unit}".strip()
        found.append(given)
    return found


def _action(entry: LogEntry) -> dict[str, Any]:
    """Return an entry of the log as the report tells it: what was done, to what, where in the run."""
    fields: dict[str, Any] = {**entry["action"]}
    verb, vm = str(fields.pop("verb", "")), str(fields.pop("vm", ""))
    return {
        "seq": entry["seq"],
        "position": entry["position"],
        "verb": verb.replace("_", " "),
        "vm": vm,
        "more": ", ".join(
            f"{name} {_short(value)}" for name, value in fields.items() if value not in (None, "")
        ),
    }


def _short(value: object) -> str:
    text = str(value)
    lines = text.count("\n")
    if lines:
        return ngettext("(%(n)s line)", "(%(n)s lines)", lines)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"
