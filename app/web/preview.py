"""The page of `vmlab preview`: a lesson as its author writes it, for any seed, read anew at each save.

At /edit it is written in the browser (authoring.py). It is for the author's own machine: it listens on the
loopback address only and answers no other name. Labs do not run here; `vmlab serve --lessons DIR` opens the
course with its workbench.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, render_template, request

from app.lessons import Lesson, LessonError, LessonErrors, load_lesson
from app.lessons.files import LESSON
from app.lessons.lint import advice
from app.lessons.seeds import LARGEST_SEED
from app.paths import assets_version, static_dir
from app.web.authoring import authoring
from app.web.language import add_languages

NAMES = ("localhost", "127.0.0.1", "[::1]")
LOOK_SECONDS = 0.3
BEAT_SECONDS = 15.0
MAXIMUM_FILES = 500


def create_preview(directory: Path) -> Flask:
    """Return the application that shows the lesson of a directory."""
    app = Flask("app.web", static_folder=str(static_dir()), static_url_path="/static")
    add_languages(app)

    @app.before_request
    def only_here() -> None:
        if request.host.rsplit(":", 1)[0] not in NAMES:
            abort(421)

    @app.get("/")
    def show() -> Response:
        nonce = secrets.token_urlsafe(16)
        page = render_template(
            "lessons/preview.html", nonce=nonce, version=assets_version(), **_view(directory)
        )
        response = Response(page)
        response.headers["Content-Security-Policy"] = (
            "default-src 'none'; style-src 'self'; font-src 'self'; img-src 'self'; connect-src 'self';"
            f" form-action 'self'; base-uri 'none'; frame-ancestors 'none'; script-src 'nonce-{nonce}'"
        )
        response.headers["X-Content-Type-Options"] = "nosniff"
        response.headers["Cache-Control"] = "no-store"
        return response

    @app.get("/favicon.ico")
    def no_icon() -> Response:
        return Response(status=204)

    @app.get("/changes")
    def changes() -> Response:
        seen = request.args.get("stamp", "")[:64]
        return Response(_changes(directory, seen), mimetype="text/event-stream")

    app.register_blueprint(authoring(directory, lambda: _view(directory)))
    del show, changes, only_here, no_icon  # the application has them
    return app


def _view(directory: Path) -> dict[str, Any]:
    """Return what the template shows: the lesson, or its faults."""
    seed = min(request.args.get("seed", 0, type=int), LARGEST_SEED)
    view: dict[str, Any] = {
        "seed": max(0, seed),
        "instructor": request.args.get("view") == "instructor",
        "stamp": stamp(directory),
        "lesson": None,
        "faults": [],
        "name": directory.absolute().name,
    }
    try:
        lesson = load_lesson(directory, view["seed"])
    except LessonErrors as errors:
        return {**view, "faults": errors.errors}
    private = _private(lesson, directory) if view["instructor"] else {}
    return {**view, "lesson": lesson, "params": _shown(lesson), **private}


def _shown(lesson: Lesson) -> dict[str, str]:
    return {name: value.shown() for name, value in lesson.params.items()}


def _private(lesson: Lesson, directory: Path) -> dict[str, Any]:
    """Return what only the author sees."""
    faults: list[LessonError] = advice(lesson, directory.absolute().parent.name)
    scripts = {name: data.decode() for name, data in lesson.files.items() if name.endswith(".yaml")}
    verdicts = {name: lesson.question(name) for name in lesson.questions}
    return {"faults": faults, "scripts": dict(sorted(scripts.items())), "answers": verdicts}


def stamp(directory: Path) -> str:
    """Return what changes whenever a file of a lesson does."""
    digest = hashlib.sha256()
    paths = [
        directory / LESSON,
        *(path for name in ("guest", "solution", "wrong") for path in _in(directory / name)),
    ]
    for path in paths[:MAXIMUM_FILES]:
        try:
            status = path.stat()
        except OSError:
            continue
        digest.update(f"{path.name}\0{status.st_mtime_ns}\0{status.st_size}\0".encode())
    return digest.hexdigest()


def _in(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _changes(directory: Path, seen: str) -> Iterator[str]:
    """Yield an event when the lesson is no longer as it was seen, and a sign of life now and then."""
    quiet = 0.0
    while True:
        if (now := stamp(directory)) != seen:
            yield f"event: changed\ndata: {now}\n\n"
            return
        if quiet == 0.0:
            yield ": here\n\n"
        time.sleep(LOOK_SECONDS)
        quiet = 0.0 if quiet > BEAT_SECONDS else quiet + LOOK_SECONDS
