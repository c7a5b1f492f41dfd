"""The Python that travels to the browser, as one archive made from what is installed. Standard library only.

The build compiles its modules (static/bytecode.mjs), and the server sends it; only what it is made of decides
its bytes.
"""

from __future__ import annotations

import hashlib
import importlib.util
import io
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from app import texts

# What runs in the browser, below the places where packages are installed; a directory stands for all in it.
PARTS = (
    "app/__init__.py",
    "app/desk",
    *("app/lessons/__init__.py", "app/lessons/errors.py", "app/lessons/source.py", "app/lessons/yaml.py"),
    "app/texts/__init__.py",
    "app/texts/markup.py",
    "app/texts/sentences.py",
    "app/translations",
    "app/workers",
    *(f"app/web/templates/_{part}.html" for part in ("address", "numbers", "sentence")),
    "app/web/templates/errors",
    "app/web/templates/labs",
    "jinja2",
    "markupsafe/__init__.py",
    "markupsafe/_native.py",
    "ruamel/yaml",
)
EMULATOR_LEFT_OUT = ("bench", "fuzz", "core")
# The kernels come as WebAssembly (`emulator.build.wasm`); these are names that everybody uses.
CORE_NAMES = ("emulator/core/__init__.py", "emulator/core/csr_bits.py", "emulator/core/regions.py")
SUFFIXES = (".py", ".html", ".mo")
EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip file: its bytes and a hash of them."""

    data: bytes
    version: str


@cache
def python_archive() -> Archive:
    """Return the modules that run in the browser as one archive, the same for the same files."""
    for language in texts.LANGUAGES:
        if language != texts.SOURCE:
            texts.compiled(language)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, path in sorted(_modules()):
            archive.writestr(zipfile.ZipInfo(name, EPOCH), path.read_bytes(), zipfile.ZIP_DEFLATED)
    return Archive(buffer.getvalue(), hashlib.sha256(buffer.getvalue()).hexdigest()[:12])


def _modules() -> Iterator[tuple[str, Path]]:
    for part in PARTS:
        yield from _below(part)
    for name, path in _below("emulator"):
        if name in CORE_NAMES or name.split("/")[1] not in EMULATOR_LEFT_OUT:
            yield name, path


def _below(part: str) -> Iterator[tuple[str, Path]]:
    package, _, rest = part.partition("/")
    spec = importlib.util.find_spec(package)
    places = (spec.submodule_search_locations or []) if spec is not None else []
    home = next((Path(place) for place in places if (Path(place) / rest).exists()), None)
    if home is None:
        return  # a build without the page's dependencies: their modules are compiled in the browser
    path = home / rest
    found = path.rglob("*") if path.is_dir() else [path]
    for file in found:
        if file.suffix in SUFFIXES:
            yield file.relative_to(home.parent).as_posix(), file
