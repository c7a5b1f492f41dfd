"""What a browser needs to run a lab itself: the engine's files, and the lab as it stands.

The engine is a Web Worker (static/js/engine) with Pyodide and the core as WebAssembly, both built into
`static/engine`, and an archive with the Python that runs there, which is made here from what is installed.
The worker's script has a security policy of its own: whatever Python runs in it, a student's included,
reaches the engine's files and nothing else.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import json
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Blueprint, Response, jsonify, request

from app.desk.browser import lend_record
from app.paths import assets_version, static_dir
from app.web.context import context, own_lab
from app.web.errors import not_found

blueprint = Blueprint("engine", __name__)

# What runs in the browser, below the places where packages are installed; a directory stands for all in it.
PARTS = (
    "app/__init__.py",
    "app/desk",
    "app/workers",
    "app/web/templates/_sentence.html",
    "app/web/templates/errors",
    "app/web/templates/labs",
    "jinja2",
    "markupsafe/__init__.py",
    "markupsafe/_native.py",
)
EMULATOR_LEFT_OUT = ("bench", "fuzz", "core")
# The kernels come as WebAssembly (`emulator.build.wasm`); these are names that everybody uses.
CORE_NAMES = ("emulator/core/__init__.py", "emulator/core/csr_bits.py", "emulator/core/regions.py")
SUFFIXES = (".py", ".html")
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file: its bytes and a hash of them."""

    data: bytes
    version: str


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


@cache
def python_archive() -> Archive:
    """Return the modules that run in the browser as one archive, the same for the same files."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(_modules()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return Archive(buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()[:12])


def engine_view(lesson_version: str) -> dict[str, Any] | None:
    """Return what the page needs to start the engine; None if it is not built."""
    directory = static_dir() / "engine"
    if not (directory / "worker.js").is_file():
        return None
    files = sorted(path for path in directory.rglob("*") if path.is_file() and path.suffix != ".map")
    archive = python_archive()
    return {
        "worker": f"/static/engine/worker.js?v={assets_version()}",
        "base": "/static/engine/",
        "archive": f"/engine/python.zip?v={archive.version}",
        "files": {
            f"/static/engine/{path.relative_to(directory).as_posix()}": path.stat().st_size for path in files
        },
        "archive_bytes": len(archive.data),
        "version": f"{assets_version()} {archive.version} {lesson_version}",
    }


def engine_text(lesson_version: str) -> str:
    """Return `engine_view` as the page carries it, "" if the engine is not built."""
    view = engine_view(lesson_version)
    return json.dumps(view, separators=(",", ":")) if view else ""


def _modules() -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        yield from _below(part)
    for name, path in _below("emulator"):
        if name in CORE_NAMES or name.split("/")[1] not in EMULATOR_LEFT_OUT:
            yield name, path


def _below(part: str) -> Iterator[tuple[str, Path]]:
    package, _, rest = part.partition("/")
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / rest
    found = path.rglob("*") if path.is_dir() else [path]
    for file in found:
        if file.suffix in SUFFIXES:
            yield file.relative_to(Path(spec.origin).parent.parent).as_posix(), file
