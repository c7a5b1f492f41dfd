"""What a browser needs to run a lab itself: the engine's files, and the lab as it stands.

The engine is a Web Worker (static/js/engine) with Pyodide and the core as WebAssembly, both built into
`static/engine`, and an archive with the Python that runs there (app/desk/archive.py), or an image of a Python
that has imported just that (static/image.mjs).
The worker's script has a security policy of its own: whatever Python runs in it, a student's included,
reaches the engine's files and nothing else.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.desk.archive import python_archive
from app.desk.browser import lend_record
from app.paths import assets_version, static_dir
from app.texts import language
from app.texts.compiling import script_texts
from app.web.assets import ENCODINGS
from app.web.context import context, own_lab
from app.web.errors import not_found
from app.web.language import script_texts_url
from app.web.policies import CATALOG, catalog_json

blueprint = Blueprint("engine", __name__)

BYTECODE = "/static/engine/bytecode.zip"
NOT_ASKED_FOR = (".map", ".txt", *ENCODINGS.values())
IMAGE = "/static/engine/python-{archive}.image?v={assets}"


@blueprint.get("/engine/python.zip")
def python() -> Response:
    """Send the archive of Python modules."""
    response = Response(python_archive().data, mimetype="application/zip")
    if request.args.get("v") == python_archive().version:
        response.headers["Cache-Control"] = "public, max-age=31536000, immutable"
    return response


@blueprint.get("/labs/<lab>/record")
def record(lab: str) -> Response:
    """Return the lab's beginning, log and position, to go on from should the connection be lost.

    With `programs=no` only what changes: the log and the position.
    """
    row = own_lab(lab)
    found = context().labs.load(row.id)
    if found is None:
        raise not_found()
    kept = lend_record(found)
    if request.args.get("programs") == "no":
        kept = {key: kept[key] for key in ("lab", "seed", "generation", "log", "position", "mode")}
    return jsonify(lesson_version=row.lesson_version, record=kept)


def engine_view(lesson_version: str) -> dict[str, Any] | None:
    """Return what the page needs to start the engine; None if it is not built."""
    if not (static_dir() / "engine" / "worker.js").is_file():
        return None
    assets, archive = assets_version(), python_archive()
    path = f"/engine/python.zip?v={archive.version}"
    files = {path: len(archive.data), CATALOG: len(catalog_json()), **_texts_file(), **_static_files()}
    archives = [path, BYTECODE]
    # Made from these very modules, or it is not offered: then Python starts and imports them.
    image = IMAGE.format(archive=archive.version, assets=assets)
    unused = archives if image in files else []
    counted = [
        size
        for url, size in files.items()
        if url.startswith(("/engine/", "/static/engine/"))
        and not url.partition("?")[0].endswith("js")
        and url not in unused
    ]
    return {
        "worker": f"/static/engine/worker.js?v={assets}",
        "base": "/static/engine/",
        "stamp": assets,
        "archives": [url for url in archives if url in files],
        "image": image if image in files else "",
        "files": files,
        "engine_bytes": sum(counted),
        "version": f"{assets} {archive.version} {lesson_version}",
    }


def _texts_file() -> dict[str, int]:
    """Return the URL of what the page's scripts say, if it is not written in them, and its bytes."""
    url = script_texts_url()
    return {url: len(script_texts(language()))} if url else {}


@cache
def _static_files() -> dict[str, int]:
    """Return the URL of every built file as a page asks for it, and its bytes."""
    directory, version = static_dir(), assets_version()
    files = [path for path in directory.rglob("*") if path.is_file() and path.suffix not in NOT_ASKED_FOR]
    names = {path.relative_to(directory).as_posix(): path.stat().st_size for path in sorted(files)}
    versioned = ("main.js", "main.css", "engine/worker.js", "engine/policy-worker.js", "img/icon.svg")
    return {
        f"/static/{name}?v={version}"
        if name in versioned or name.endswith(".image")
        else f"/static/{name}": size
        for name, size in names.items()
        if name != "stamp"
    }


def engine_text(lesson_version: str) -> str:
    """Return `engine_view` as the page carries it, "" if the engine is not built."""
    view = engine_view(lesson_version)
    return json.dumps(view, separators=(",", ":")) if view else ""
