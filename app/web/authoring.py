"""The author's page of `vmlab preview`: files beside the lesson that they make, faults and trials.

Only mounted by `create_preview`, which answers the author's own machine alone. Requests and answers are JSON;
`shown` is HTML, `trial` a stream of server-sent events (`progress`, then `done`).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any, cast

from flask import Blueprint, Response, jsonify, render_template, request
from werkzeug.exceptions import BadRequest, HTTPException

from app.desk.problem import Problem
from app.grading.proof import lines, prove
from app.lessons.errors import LessonError
from app.lessons.lint import lint_lesson
from app.lessons.source import MAXIMUM_TEXT
from app.lessons.workspace import FileChanged, Workspace
from app.paths import assets_version
from app.web.security import POLICY, refuse_cross_site
from emulator.errors import VmLabError

SEEDS = 5
MOST_SEEDS = 50


def authoring(directory: Path, view: Callable[[], dict[str, Any]]) -> Blueprint:
    """Return the routes below /edit for a lesson's directory; `view` makes what the preview shows."""
    blueprint = Blueprint("author", __name__, url_prefix="/edit")
    work = Workspace(directory)
    trial = Lock()

    @blueprint.before_request
    def guard() -> None:
        refuse_cross_site()
        request.max_content_length = 2 * MAXIMUM_TEXT

    @blueprint.errorhandler(VmLabError)
    def wrong(error: VmLabError) -> tuple[Response, int]:
        return jsonify(error={"message": str(error)}), 409 if isinstance(error, FileChanged) else 422

    @blueprint.errorhandler(Problem)
    def refused(problem: Problem) -> tuple[Response, int]:
        return jsonify(error=problem.as_dict()), problem.status

    @blueprint.errorhandler(HTTPException)
    def failed(error: HTTPException) -> tuple[Response, int]:
        return jsonify(error={"message": error.description}), error.code or 500

    @blueprint.get("")
    def page() -> Response:
        response = Response(
            render_template("lessons/author.html", version=assets_version(), name=directory.name, seeds=SEEDS)
        )
        response.headers["Content-Security-Policy"] = POLICY
        return response

    @blueprint.get("/files")
    def files() -> Response:
        return jsonify(files=work.names(), faults=_faults(directory))

    @blueprint.get("/files/<path:name>")
    def read(name: str) -> Response:
        version = work.read(name)
        return jsonify(text=version.text, digest=version.digest)

    @blueprint.put("/files/<path:name>")
    def write(name: str) -> Response:
        digest = work.write(name, _text("text"), _text("digest"))
        return jsonify(digest=digest, files=work.names(), faults=_faults(directory))

    @blueprint.delete("/files/<path:name>")
    def delete(name: str) -> Response:
        work.delete(name, _text("digest"))
        return jsonify(files=work.names(), faults=_faults(directory))

    @blueprint.get("/shown")
    def shown() -> str:
        return render_template("lessons/_preview.html", **{**view(), "faults": []})

    @blueprint.get("/trial")
    def try_out() -> Response:
        seeds = min(max(2, request.args.get("seeds", SEEDS, type=int)), MOST_SEEDS)
        if not trial.acquire(blocking=False):
            return Response(
                _event("done", lines=["Another trial is still going on; wait for it."]), mimetype=EVENTS
            )
        response = Response(_trial(directory, seeds), mimetype=EVENTS)
        response.call_on_close(trial.release)
        return response

    del (
        guard,
        wrong,
        refused,
        failed,
        page,
        files,
        read,
        write,
        delete,
        shown,
        try_out,
    )  # the blueprint has them
    return blueprint


EVENTS = "text/event-stream"


def _text(key: str) -> str:
    fields: Any = request.get_json()
    value: object = cast("dict[str, object]", fields).get(key) if isinstance(fields, dict) else None
    if not isinstance(value, str):
        raise BadRequest(f"Send JSON with '{key}', a text.")
    return value


def _faults(directory: Path) -> list[dict[str, object]]:
    return [_placed(fault, directory.absolute()) for fault in lint_lesson(directory)]


def _placed(fault: LessonError, directory: Path) -> dict[str, object]:
    """Return a fault with the file's name as the workspace knows it."""
    prefix = f"{directory.parent.name}/{directory.name}/"
    return {**fault.as_dict(), "file": fault.file.removeprefix(prefix)}


def _trial(directory: Path, seeds: int) -> Iterator[str]:
    """Yield how far the trial is, then what it found. It runs on until its end if nobody listens any more."""
    said: SimpleQueue[str | None] = SimpleQueue()

    def progress(text: str, share: float) -> None:
        said.put(_event("progress", text=text, share=share))

    def run() -> None:
        try:
            found = lines(prove([directory], seeds, mutate=True, jobs=2, progress=progress))
            said.put(_event("done", lines=list(found)))
        finally:
            said.put(None)

    Thread(target=run, daemon=True).start()
    yield from iter(said.get, None)


def _event(name: str, **data: object) -> str:
    return f"event: {name}\ndata: {json.dumps(data)}\n\n"
