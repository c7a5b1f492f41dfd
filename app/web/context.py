"""What every request can reach: the course, the database, the workers, and the student who asks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import cast

from flask import Response, current_app, g, request

from app.desk.problem import Problem
from app.lessons import Course, load_course
from app.lessons.editions import Editions
from app.texts import gettext as _
from app.web.course_secret import course_secret
from app.web.dates import at, require_open
from app.web.errors import not_found
from app.web.gdb import Doors
from app.web.leases import LabLeases
from app.web.security import Limiter
from app.web.settings import Settings
from app.web.store import (
    Database,
    EntryStore,
    LabRow,
    LabStore,
    LeaseStore,
    ResultStore,
    SharedStore,
    StudentStore,
    open_database,
)
from app.web.stream_count import StreamCount
from app.web.work import LabWork
from app.workers.pool import Pool

COOKIE = "vmlab_session"
REPLIES_SECONDS = 7 * 24 * 3600
COOKIE_SECONDS = 180 * 24 * 3600


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of a running server."""

    settings: Settings
    course: Course
    database: Database
    students: StudentStore
    labs: LabStore
    results: ResultStore
    pool: Pool
    leases: LabLeases
    entries: EntryStore
    shared: SharedStore
    work: LabWork
    editions: Editions
    posts: Limiter
    guests: Limiter
    streams: StreamCount
    doors: Doors

    def close(self) -> None:
        """Stop the workers and close the database."""
        self.doors.close_all()
        self.pool.close()
        self.database.close()


def build_context(settings: Settings) -> Context:
    """Open the database, read the lessons and start the workers; raise StoreError or LessonErrors."""
    course = load_course(settings.lessons)
    database = open_database(settings.data)
    labs = LabStore(database, time.time)
    labs.forget_replies(REPLIES_SECONDS)
    pool = Pool(settings.worker_command, settings.workers, labs)
    pool.start()
    leases = LabLeases(course, labs, LeaseStore(database, time.time), pool)
    results = ResultStore(database, time.time)
    shared = SharedStore(database, labs, time.time)
    editions = Editions(settings.editions)
    work = LabWork(
        course,
        labs,
        results,
        shared,
        leases,
        pool,
        editions,
        course_secret(settings.data, course.secret_variable),
        settings.now,
    )
    return Context(
        settings=settings,
        course=course,
        database=database,
        students=StudentStore(database, time.time),
        labs=labs,
        results=results,
        pool=pool,
        leases=leases,
        entries=EntryStore(database, time.time),
        shared=shared,
        work=work,
        editions=editions,
        posts=Limiter(settings.posts_per_second, settings.posts_at_once, time.monotonic),
        guests=Limiter(rate=5, burst=400, clock=time.monotonic),
        streams=StreamCount(settings.max_streams, settings.max_streams_per_student),
        doors=Doors(work, settings.gdb_ports, settings.gdb_host),
    )


def context() -> Context:
    """Return the parts of the server that handles this request."""
    return cast("Context", current_app.extensions["vmlab"])


def current_student() -> str | None:
    """Return the student whose session the request carries."""
    if "student" not in g:
        token = request.cookies.get(COOKIE)
        g.student = context().students.student_of(token) if token else None
    return g.student


def student_or_guest() -> str:
    """Return the student, becoming a guest student if there is no session yet."""
    student = current_student()
    if student is None:
        context().guests.spend(request.remote_addr or "")
        student, g.new_token = context().students.create_guest()
        g.student = student
    return student


def own_lab(lab: str) -> LabRow:
    """Return the student's lab.

    Raise a 404 Problem for an unknown lab and for somebody else's alike, and a 403 Problem for one of a
    lesson that is not open (any more, because its date was changed).
    """
    student = current_student()
    row = context().labs.find(lab, student) if student else None
    if row is None:
        raise not_found()
    require_released(row.lesson)
    return row


def require_released(lesson: str) -> None:
    """Raise a 403 Problem before the course opens a lesson."""
    parts = context()
    require_open(parts.course, lesson, at(parts.settings.now()))


def graded_lab(lab: str) -> LabRow:
    """Return the student's own lab of a lesson; raise a 403 Problem for a copy of a shared run."""
    row = own_lab(lab)
    if row.shared is not None:
        raise Problem(
            403,
            _("This lab is a copy of a shared run: nothing in it is checked, answered or handed in."),
            title=_("This is only a copy"),
            remedy=_("Open your own lab of this lesson and do it there."),
        )
    return row


def set_session_cookie(response: Response) -> Response:
    """Give a new guest the cookie of the session that was created in this request."""
    token = g.pop("new_token", None)
    if token is not None:
        response.set_cookie(
            COOKIE,
            token,
            max_age=COOKIE_SECONDS,
            httponly=True,
            samesite="Lax",
            secure=context().settings.secure_cookies or request.is_secure,
        )
    return response
