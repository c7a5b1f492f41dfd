"""The files of one lesson, read once: everything else about a lesson follows from these bytes."""

import hashlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from app.lessons.errors import LessonError
from app.lessons.source import (
    MAXIMUM_ELF,
    MAXIMUM_TEXT,
    TextFile,
    as_text,
    display_name,
    leads_outside,
    read_bytes,
)

MAXIMUM_FILES = 100
SOLUTION = "solution/actions.yaml"
LESSON = "lesson.md"

_PROGRAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.(s|elf|c|h)")
_SCRIPT = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.yaml")


def is_text_file(name: str) -> bool:
    """Return whether a lesson has a text file of this name: "guest/hello.s"."""
    folder, _, rest = name.rpartition("/")
    if folder == "guest":
        return bool(_PROGRAM.fullmatch(rest)) and not rest.endswith(".elf")
    return name in (LESSON, SOLUTION) or (folder == "wrong" and bool(_SCRIPT.fullmatch(rest)))


@dataclass
class LessonFiles:
    """Name in the lesson's directory -> bytes, and the faults met while reading."""

    root: Path
    contents: dict[str, bytes] = field(default_factory=lambda: dict[str, bytes]())
    errors: list[LessonError] = field(default_factory=lambda: list[LessonError]())

    def shown(self, name: str) -> str:
        """Return a file's name as errors show it."""
        return display_name(self.root / name, self.root)

    def text(self, name: str) -> TextFile:
        """Return a text file; raise LessonError."""
        return as_text(self.shown(name), self.contents[name])

    def names(self, folder: str) -> list[str]:
        """Return the files of a folder in order."""
        return sorted(name for name in self.contents if name.startswith(f"{folder}/"))

    @property
    def digest(self) -> str:
        """Return a SHA-256 over the names and contents of all files, in hexadecimal."""
        digest = hashlib.sha256()
        for name, data in sorted(self.contents.items()):
            digest.update(f"{name}\0{len(data)}\0".encode() + data)
        return digest.hexdigest()


def read_files(root: Path) -> LessonFiles:
    """Read the files of a lesson's directory; faults are collected in `errors`."""
    files = LessonFiles(root)
    for name, limit in _listed(files):
        try:
            files.contents[name] = read_bytes(root / name, root, limit)
        except LessonError as error:
            files.errors.append(error)
    return files


def _listed(files: LessonFiles) -> Iterator[tuple[str, int]]:
    """Yield the files that belong to a lesson, with the size that each may have."""
    for path in _folder(files, "guest", _PROGRAM, "hello.s, hello.c or hello.elf"):
        yield f"guest/{path.name}", MAXIMUM_ELF if path.suffix == ".elf" else MAXIMUM_TEXT
    if (files.root / SOLUTION).exists():
        yield SOLUTION, MAXIMUM_TEXT
    for path in _folder(files, "wrong", _SCRIPT, "too-early.yaml"):
        yield f"wrong/{path.name}", MAXIMUM_TEXT
    yield LESSON, MAXIMUM_TEXT


def _entries(files: LessonFiles, folder: str) -> list[Path]:
    """Return what a folder of the lesson holds; one that is no folder, or not the lesson's, is an error."""
    directory = files.root / folder
    if not os.path.lexists(directory):
        return []
    message = "is not a directory; delete it, or make it one"
    if leads_outside(directory, files.root):
        message = "leads outside the lesson's directory; copy the files into it"
    elif directory.is_dir():
        try:
            return sorted(directory.iterdir())
        except OSError as error:
            message = f"cannot be read: {error.strerror}"
    files.errors.append(LessonError(files.shown(folder), 0, 0, message))
    return []


def _folder(files: LessonFiles, folder: str, pattern: re.Pattern[str], example: str) -> Iterator[Path]:
    """Yield the files of a folder in order of name; a file with another kind of name is an error."""
    paths = _entries(files, folder)
    if len(paths) > MAXIMUM_FILES:
        message = f"holds {len(paths)} files; at most {MAXIMUM_FILES} are read"
        files.errors.append(LessonError(files.shown(folder), 0, 0, message))
    for path in paths[:MAXIMUM_FILES]:
        if pattern.fullmatch(path.name):
            yield path
        else:
            message = f"cannot be used; name it like {example}, in lower case"
            files.errors.append(LessonError(files.shown(f"{folder}/{path.name}"), 0, 0, message))
