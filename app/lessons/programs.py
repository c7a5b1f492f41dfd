"""Guest programs are assembled or loaded while a lesson is read, so that their faults are lesson errors."""

import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

from app.guests import compiler, images
from app.guests.errors import GuestError
from app.lessons.errors import LessonError
from app.lessons.files import LessonFiles
from app.lessons.params import Value
from app.lessons.substitute import substitute
from emulator.lab.errors import LabError
from emulator.lab.programs import Program

_COMPILER_MESSAGE = re.compile(r"(<[a-z ]+>|[^\s:]+):(\d+):(\d+): (?:fatal )?error: (.*)")


def program_errors(program: Program, name: str) -> list[LessonError]:
    """Return the faults of a program, located in the file `name`."""
    try:
        _ = program.executable
    except LabError as error:
        found = [LessonError(name, each.line, each.column, each.message) for each in error.diagnostics]
        return found or [LessonError(name, 0, 0, str(error))]
    return []


class Programs:
    """The programs of `guest/`, for any draw; those that have the same text share one program."""

    def __init__(self, files: LessonFiles) -> None:
        """Make programs of a lesson's files."""
        self._files = files
        self._made: dict[tuple[str, bytes], Program] = {}
        self._guests: dict[str, tuple[Program, bytes]] = {}

    def guest(self, name: str) -> tuple[Program, bytes]:
        """Return a guest that was built on this machine, and a SHA-256 of what runs; all draws share it.

        Raise GuestError if it was not built.
        """
        if name not in self._guests:
            data = images.read_image(name)
            self._guests[name] = (Program(name, elf=data), hashlib.sha256(images.what_runs(data)).digest())
        return self._guests[name]

    def drawn(self, values: Mapping[str, Value]) -> tuple[dict[str, Program], list[LessonError]]:
        """Return every program by name, with values in place of parameters, and the faults found."""
        programs: dict[str, Program] = {}
        errors: list[LessonError] = []
        for name in self._files.names("guest"):
            if name.endswith(".h"):
                continue
            try:
                program = self._program(name, values, errors)
            except LessonError as error:
                errors.append(error)
                continue
            programs[program.name] = program
            errors += program_errors(program, self._files.shown(name))
        return programs, errors

    def _program(self, name: str, values: Mapping[str, Value], errors: list[LessonError]) -> Program:
        suffix = Path(name).suffix
        if suffix == ".elf":
            data = self._files.contents[name]
        elif suffix == ".s":
            data = self._text(name, values, errors, strict=True).encode()
        else:
            data = self._compiled(name, values, errors)
        short = Path(name).name
        program = Program(short, data.decode()) if suffix == ".s" else Program(short, elf=data)
        if len(self._made) > 200:
            self._made.clear()
        return self._made.setdefault((short, data), program)

    def _text(self, name: str, values: Mapping[str, Value], errors: list[LessonError], strict: bool) -> str:
        file, found = substitute(self._files.text(name), values, strict=strict)
        errors += found
        return file.text

    def _compiled(self, name: str, values: Mapping[str, Value], errors: list[LessonError]) -> bytes:
        """Compile a C program together with the headers beside it; raise LessonError."""
        headers = [each for each in self._files.names("guest") if each.endswith(".h")]
        sources = {
            Path(each).name: self._text(each, values, errors, strict=False).encode()
            for each in [name, *headers]
        }
        try:
            return compiler.compile_cached(Path(name).name, sources)
        except GuestError as error:
            found = _COMPILER_MESSAGE.search(str(error))
            if found is None:
                raise LessonError(self._files.shown(name), 0, 0, str(error)) from error
            file, line, column, message = found.groups()
            if file not in sources:  # <inline asm>, whose lines are none of a file
                raise LessonError(self._files.shown(name), 0, 0, f"in {file}: {message}") from error
            raise LessonError(self._files.shown(f"guest/{file}"), int(line), int(column), message) from error
