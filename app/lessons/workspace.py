"""The files of one lesson that its author writes: read, written whole, and never anything beside them.

Whoever writes a file says which version it was made from (`digest`), so that two editors do not undo each
other.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from app.lessons.errors import LessonError
from app.lessons.files import LESSON, SOLUTION, is_text_file
from app.lessons.source import MAXIMUM_TEXT, as_text, display_name, leads_outside, read_bytes
from emulator.errors import VmLabError

FOLDERS = ("guest", "solution", "wrong")
MAXIMUM_FILES = 300


class WorkspaceError(VmLabError):
    """A file cannot be read or written; the sentence says why and what would do."""


class FileChanged(WorkspaceError):
    """The file is not the one that was read: somebody else has written it."""


@dataclass(frozen=True, slots=True)
class Version:
    """A file's text, with `\\n` line ends, and the SHA-256 of its bytes in hexadecimal."""

    text: str
    digest: str


class Workspace:
    """The text files of the lesson in a directory."""

    def __init__(self, root: Path) -> None:
        """Work in `root`, a lesson's directory."""
        self._root = root.absolute()

    def names(self) -> list[str]:
        """Return the files in the order in which they are written: the text first."""
        found = [f"{folder}/{path.name}" for folder in FOLDERS for path in _in(self._root / folder)]
        return [LESSON, *(name for name in found[:MAXIMUM_FILES] if is_text_file(name))]

    def read(self, name: str) -> Version:
        """Return a file; raise WorkspaceError if it cannot be read as text."""
        path = self._path(name)
        try:
            data = read_bytes(path, self._root, MAXIMUM_TEXT)
            return Version(as_text(display_name(path, self._root), data).text, _digest(data))
        except LessonError as error:
            raise WorkspaceError(str(error)) from error

    def write(self, name: str, text: str, digest: str) -> str:
        """Write a file whole, and return its new digest; `digest` "" makes a new one.

        Raises FileChanged where the file is not the version `digest`, else WorkspaceError.
        """
        path = self._path(name)
        data = text.encode("utf-8", "surrogatepass")
        if len(data) > MAXIMUM_TEXT:
            raise WorkspaceError(
                f"{name} would have {len(data)} bytes; at most {MAXIMUM_TEXT // 1024} KiB are read"
            )
        try:
            as_text(name, data)
        except LessonError as error:
            raise WorkspaceError(str(error)) from error
        self._expect(path, name, digest)
        path.parent.mkdir(exist_ok=True)
        part = path.with_name(f".{path.name}.part")
        part.write_bytes(data)
        os.replace(part, path)
        return _digest(data)

    def delete(self, name: str, digest: str) -> None:
        """Delete a file but the lesson's text. Raises as `write` does."""
        if name == LESSON:
            raise WorkspaceError(f"{LESSON} is the lesson; it cannot be deleted")
        path = self._path(name)
        self._expect(path, name, digest)
        path.unlink()

    def _path(self, name: str) -> Path:
        if not is_text_file(name):
            raise WorkspaceError(
                f"'{name}' is no file of a lesson;"
                f" write {LESSON}, {SOLUTION}, guest/hello.s or wrong/too-early.yaml"
            )
        path = self._root / name
        if leads_outside(path, self._root):
            raise WorkspaceError(f"{name} leads outside the lesson's directory")
        return path

    def _expect(self, path: Path, name: str, digest: str) -> None:
        """Raise FileChanged unless the file is the version `digest`, or missing where that is ""."""
        found = _digest(path.read_bytes()) if path.is_file() else ""
        if found == digest:
            return
        if not digest:
            raise FileChanged(f"{name} exists already; choose another name")
        raise FileChanged(f"{name} was {'changed' if found else 'deleted'} elsewhere since you opened it")


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _in(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []
