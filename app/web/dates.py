"""Release and due dates of a course: what is not open yet is refused, what comes late is marked."""

from __future__ import annotations

from datetime import UTC, datetime

from flask_babel import format_datetime  # pyright: ignore[reportMissingTypeStubs, reportUnknownVariableType]

from app.desk.problem import Problem
from app.lessons import Course
from app.lessons.course import Entry
from app.texts import gettext as _
from app.texts import ngettext
from app.workers.protocol import JsonObject


def moment(when: datetime | None) -> str:
    """Return a date and time as people read it, like "1 September 2026, 08:00 UTC+02:00"."""
    if when is None:
        return ""
    return f"{format_datetime(when, 'd MMMM yyyy, HH:mm', rebase=False)} {when:%Z}"


def at(seconds: float) -> datetime:
    """Return an instant that is given in Unix seconds."""
    return datetime.fromtimestamp(seconds, UTC)


def require_open(course: Course, lesson: str, now: datetime) -> None:
    """Raise a 403 Problem before the course opens a lesson; what is no part of it any more is not closed."""
    try:
        place = course.entry(course.lesson(lesson))
    except KeyError:
        return
    if not place.is_open(now):
        raise Problem(403, _("This lesson opens on %(when)s.", when=moment(place.opens)))


def counted(place: Entry, results: JsonObject, now: datetime, before: JsonObject | None) -> JsonObject:
    """Return what a look at the checks counts for in the course.

    `counts` of `points`, `late_days` after the due date, and `best` of all looks so far, this one included;
    `before` is the result of the look before.
    """
    share, days = place.share(now), place.late_days(now)
    earned = results["earned"] / results["points"] if results["points"] else 0
    counts = round(earned * place.points * share, 2)
    best = max(counts, float((before or {}).get("course", {}).get("best", 0)))
    return {
        "points": place.points,
        "counts": counts,
        "best": best,
        "due": place.due.isoformat() if place.due else "",
        "late_days": days,
        "percent": round(100 * share),
        "said": _said(place, counts, best, days, share),
    }


def _said(place: Entry, counts: float, best: float, days: int, share: float) -> str:
    """Return the same in a sentence for the student; "" if there is nothing to say."""
    sentences: list[str] = []
    if days:
        late = ngettext(
            "Late by up to %(n)s day: it was due %(when)s.",
            "Late by up to %(n)s days: it was due %(when)s.",
            days,
            when=moment(place.due),
        )
        sentences.append(late)
    if days and share < 1:
        sentences.append(_("It counts %(percent)s %% now.", percent=round(100 * share)))
    if days or place.points != place.lesson.points:
        sentences.append(
            _(
                "In the course that is %(counts)s of %(points)s points.",
                counts=f"{counts:g}",
                points=place.points,
            )
        )
    if best > counts:
        sentences.append(_("Your best so far, %(best)s points, stays.", best=f"{best:g}"))
    return " ".join(sentences)
