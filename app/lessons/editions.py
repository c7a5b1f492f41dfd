"""The versions of lessons that labs began with, kept so that an old attempt goes on with its own.

A version is a directory named by it, which holds the lesson's directory as it was, like
`VERSION/NN-slug/lesson.md`.
"""

import os
import re
import shutil
import tempfile
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from app.lessons.errors import LessonErrors
from app.lessons.load import load_lesson
from app.lessons.model import Lesson

_VERSION = re.compile(r"[0-9a-f]{16}")
_LOADED = 32


class Editions:
    """Kept versions of lessons in one directory."""

    def __init__(self, directory: Path) -> None:
        """Keep them in `directory`, which is made when the first is kept."""
        self._directory = directory
        self._read = lru_cache(maxsize=_LOADED)(self._load)

    def keep(self, lesson: Lesson) -> None:
        """Keep the version of a lesson; it is there, whole, when this returns. Raise OSError."""
        target = self._directory / lesson.version
        if target.is_dir():
            return
        self._directory.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix="new-", dir=self._directory))
        try:
            for name, data in lesson.files.items():
                _write(made / lesson.slug / name, data)
            made.rename(target)
        except OSError:
            shutil.rmtree(made)
            if not target.is_dir():  # else another process was faster, and wrote the same
                raise

    def read(self, version: str) -> Lesson | None:
        """Return a kept version, None if it was not kept or cannot be read any more."""
        return self._read(version) if _VERSION.fullmatch(version) else None

    def _load(self, version: str) -> Lesson | None:
        held = self._directory / version
        for directory in held.iterdir() if held.is_dir() else ():
            try:
                return replace(load_lesson(directory), version=version)
            except LessonErrors:
                return None
        return None


def _write(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
