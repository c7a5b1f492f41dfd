"""Reads a lesson's directory into a `Lesson`, and a directory of lessons into a `Course`.

lessons/NN-slug/lesson.md, guest/*.s, guest/*.elf, solution/actions.yaml, wrong/*.yaml
"""

import hashlib
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from app.guests import compiler, images
from app.guests.errors import GuestError
from app.lessons.errors import GuestMissing, LessonError, LessonErrors, nearest
from app.lessons.expression import ExpressionError
from app.lessons.expression import parse as parse_expression
from app.lessons.markdown import Body, render_body
from app.lessons.model import Check, CheckTable, FrontMatter, Lesson, Program
from app.lessons.programs import program_errors
from app.lessons.script import Script, read_script
from app.lessons.source import MAXIMUM_ELF, TextFile, display_name, read_bytes, read_text
from app.lessons.typecheck import check_expression
from app.lessons.validation import describe
from app.lessons.yaml import Document
from app.lessons.yaml import parse as parse_yaml
from emulator.lab.config import LabConfig
from emulator.lab.values import ConfigError

_SLUG = re.compile(r"([0-9]{1,3})-([a-z0-9]+(?:-[a-z0-9]+)*)")
_PROGRAM = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.(s|elf|c|h)")
_COMPILER_MESSAGE = re.compile(r"([^\s:]+):(\d+):(\d+): (?:fatal )?error: (.*)")
_SCRIPT = re.compile(r"[a-z0-9][a-z0-9_-]{0,60}\.yaml")
_MAXIMUM_FILES = 100


@dataclass(frozen=True)
class Course:
    """Lessons in order, and by slug the errors of those that could not be read."""

    lessons: tuple[Lesson, ...]
    broken: Mapping[str, LessonErrors]

    def lesson(self, name: str) -> Lesson:
        """Return a lesson by its id or slug; raise KeyError if there is none."""
        for lesson in self.lessons:
            if name in (lesson.id, lesson.slug):
                return lesson
        raise KeyError(name)


def lesson_directories(directory: Path) -> list[Path]:
    """Return the directories of a course that hold a lesson, in order; raise LessonError if there is none."""
    if not directory.is_dir():
        raise LessonError(
            str(directory), 0, 0, "is not a directory; give the directory that holds NN-slug directories"
        )
    found = [path for path in directory.iterdir() if path.is_dir() and _SLUG.fullmatch(path.name)]
    if not found:
        raise LessonError(
            str(directory), 0, 0, "holds no lesson; a lesson is a directory named like 01-first-steps"
        )
    return sorted(found, key=lambda path: (int(path.name.split("-")[0]), path.name))


def load_course(directory: Path | str) -> Course:
    """Read every lesson of a directory; a lesson with errors is put aside, not raised.

    Raise LessonError if there is no lesson at all.
    """
    lessons: dict[str, Lesson] = {}
    broken: dict[str, LessonErrors] = {}
    for path in lesson_directories(Path(directory)):
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            broken[path.name] = errors
            continue
        if lesson.id in lessons:
            message = f"id '{lesson.id}' is already that of {lessons[lesson.id].slug}; choose another"
            broken[path.name] = LessonErrors(
                [LessonError(f"{path.parent.name}/{path.name}/lesson.md", 1, 0, message)]
            )
            continue
        lessons[lesson.id] = lesson
    return Course(tuple(lessons.values()), broken)


def load_lesson(directory: Path | str) -> Lesson:
    """Read one lesson; raise LessonErrors with every fault that was found."""
    loader = _Loader(Path(directory).absolute())
    lesson = loader.load()
    if loader.errors or lesson is None:
        raise LessonErrors(loader.errors)
    return lesson


class _Loader:
    """Reads the parts of one lesson and collects the faults of all of them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.errors: list[LessonError] = []
        self._hash = hashlib.sha256()

    def load(self) -> Lesson | None:
        match = _SLUG.fullmatch(self.root.name)
        if not match or not self.root.is_dir():
            name = f"{self.root.parent.name}/{self.root.name}"
            what = (
                "is not a directory" if match else "is not named like 01-first-steps (number, hyphen, words)"
            )
            self.errors.append(LessonError(name, 0, 0, f"{what}; give a lesson's directory"))
            return None
        programs = self._programs()
        scripts = {name: self._script(path, name != "solution") for name, path in self._script_files()}
        file = self._text(self.root / "lesson.md")
        if file is None:
            return None
        self._hash.update(file.text.encode())
        return self._lesson(file, int(match[1]), programs, scripts)

    def _lesson(
        self,
        file: TextFile,
        number: int,
        programs: dict[str, Program],
        scripts: Mapping[str, Script | None],
    ) -> Lesson | None:
        sources = {
            program.name: program.source for program in programs.values() if program.source is not None
        }
        try:
            document, body_text, body_line = split_front_matter(file)
        except LessonError as error:
            self.errors.append(error)
            return None
        body = render_body(file, body_text, body_line, sources)
        self.errors += body.errors
        front = self._front_matter(document)
        config = self._config(document, programs)
        if front is None or config is None:
            return None
        vms = {vm.name for vm in config.vms}.union(
            *(script.defined_vms for script in scripts.values() if script)
        )
        checks = self._checks(document, front, vms, set(body.questions))
        self._check_scripts(front, body, scripts)
        return Lesson(
            id=front.id,
            slug=self.root.name,
            number=number,
            title=front.title,
            summary=front.summary,
            minutes=front.minutes,
            objectives=tuple(front.objectives),
            version=self._hash.hexdigest()[:16],
            steps=tuple(body.steps),
            questions=body.questions,
            lab_config=config,
            lab_text=_block_text(file, "lab"),
            programs=programs,
            checks=checks,
            solution=scripts.get("solution"),
            wrong={name: script for name, script in scripts.items() if script and name != "solution"},
        )

    def _text(self, path: Path) -> TextFile | None:
        try:
            return read_text(path, self.root)
        except LessonError as error:
            self.errors.append(error)
            return None

    def _files(self, folder: str, pattern: re.Pattern[str], example: str) -> Iterator[Path]:
        """Yield the files of a folder in order of name; a file with another kind of name is an error."""
        directory = self.root / folder
        paths = sorted(directory.iterdir()) if directory.is_dir() else []
        if len(paths) > _MAXIMUM_FILES:
            name = display_name(directory, self.root)
            self.errors.append(
                LessonError(name, 0, 0, f"holds {len(paths)} files; at most {_MAXIMUM_FILES} are read")
            )
        for path in paths[:_MAXIMUM_FILES]:
            if pattern.fullmatch(path.name):
                yield path
            else:
                name = display_name(path, self.root)
                self.errors.append(
                    LessonError(name, 0, 0, f"cannot be used; name it like {example}, in lower case")
                )

    def _programs(self) -> dict[str, Program]:
        programs: dict[str, Program] = {}
        for path in self._files("guest", _PROGRAM, "hello.s, hello.c or hello.elf"):
            if path.suffix == ".h":
                continue
            try:
                program = self._program(path)
            except LessonError as error:
                self.errors.append(error)
                continue
            programs[program.name] = program
            self.errors += program_errors(program, display_name(path, self.root))
        return programs

    def _program(self, path: Path) -> Program:
        if path.suffix == ".s":
            text = read_text(path, self.root).text
            self._hash.update(f"\0{path.name}\0{text}".encode())
            return Program(path.name, source=text)
        is_c = path.suffix == ".c"
        data = self._compiled(path) if is_c else read_bytes(path, self.root, MAXIMUM_ELF)
        self._hash.update(f"\0{path.name}\0".encode() + data)
        return Program(path.name, elf=data)

    def _compiled(self, path: Path) -> bytes:
        """Compile a C program together with the headers beside it; raise LessonError."""
        sources = {
            each.name: read_text(each, self.root).text.encode()
            for each in [path, *sorted(path.parent.glob("*.h"))]
        }
        try:
            return compiler.compile_cached(path.name, sources)
        except GuestError as error:
            found = _COMPILER_MESSAGE.search(str(error))
            if found is None:
                raise LessonError(display_name(path, self.root), 0, 0, str(error)) from error
            file, line, column, message = found.groups()
            where = display_name(path.with_name(file), self.root)
            raise LessonError(where, int(line), int(column), message) from error

    def _script_files(self) -> list[tuple[str, Path]]:
        solution = self.root / "solution" / "actions.yaml"
        scripts = [("solution", solution)] if solution.exists() else []
        wrong = self._files("wrong", _SCRIPT, "too-early.yaml")
        return scripts + [(path.stem, path) for path in wrong]

    def _script(self, path: Path, wrong: bool) -> Script | None:
        try:
            file = read_text(path, self.root)
            self._hash.update(f"\0{path.name}\0{file.text}".encode())
            return read_script(file, wrong)
        except LessonError as error:
            self.errors.append(error)
            return None

    def _front_matter(self, document: Document) -> FrontMatter | None:
        try:
            return FrontMatter.model_validate(document.value)
        except ValidationError as error:
            self.errors += describe(error, document, FrontMatter)
            return None

    def _add_guest(self, document: Document, index: int, name: str, programs: dict[str, Program]) -> None:
        """Add a guest that was built on this machine to the lesson's programs."""
        try:
            data = images.read_image(name)
        except GuestError as error:
            at = document.error(("lab", "vms", index, "program"), f"vms[{index}].program: {error}")
            self.errors.append(GuestMissing(at.file, at.line, at.column, at.message))
            return
        self._hash.update(f"\0{name}\0".encode() + data)
        programs[name] = Program(name, elf=data)
        self.errors += program_errors(programs[name], name)

    def _config(self, document: Document, programs: dict[str, Program]) -> LabConfig | None:
        lab = document.value.get("lab")
        if not isinstance(lab, dict):
            return None
        try:
            config = LabConfig.from_dict(cast(dict[str, Any], lab))
        except ConfigError as error:
            self.errors.append(document.error(("lab", *config_path(error.path)), str(error)))
            return None
        for index, vm in enumerate(config.vms):
            if vm.program in images.names() and vm.program not in programs:
                self._add_guest(document, index, vm.program, programs)
            elif vm.program not in programs:
                message = f"vms[{index}].program: guest/ has no '{vm.program}'{nearest(vm.program, programs)}"
                self.errors.append(document.error(("lab", "vms", index, "program"), message))
            elif vm.append and not programs[vm.program].is_kernel:
                message = (
                    f"vms[{index}].append: is a kernel's command line, and {vm.program} is none; drop it"
                )
                self.errors.append(document.error(("lab", "vms", index, "append"), message))
        return config

    def _checks(
        self, document: Document, front: FrontMatter, vms: set[str], questions: set[str]
    ) -> tuple[Check, ...]:
        checks: list[Check] = []
        for index, table in enumerate(front.checks):
            path = ("checks", index)
            if any(check.id == table.id for check in checks):
                self.errors.append(
                    document.error((*path, "id"), f"the id '{table.id}' is already used; choose another")
                )
            check = self._check(document, index, table, vms, questions)
            if check:
                checks.append(check)
        return tuple(checks)

    def _check(
        self, document: Document, index: int, table: CheckTable, vms: set[str], questions: set[str]
    ) -> Check | None:
        try:
            expression = parse_expression(table.expect)
            check_expression(expression, vms, questions)
        except ExpressionError as error:
            message = f"expect, character {error.column}: {error.message}"
            self.errors.append(document.error(("checks", index, "expect"), message))
            return None
        return Check(table.id, table.title, table.points, expression, table.why, table.help)

    def _check_scripts(self, front: FrontMatter, body: Body, scripts: Mapping[str, Script | None]) -> None:
        known = {check.id for check in front.checks} | set(body.questions)
        for script in scripts.values():
            if script and script.caught_by and script.caught_by not in known:
                word = script.caught_by
                message = f"caught_by: there is no check or question '{word}'{nearest(word, known)}"
                self.errors.append(LessonError(script.file, 1, 0, message))


def split_front_matter(file: TextFile) -> tuple[Document, str, int]:
    """Return the front matter, the body's text and the line it begins at; raise LessonError."""
    lines = file.text.split("\n")
    if lines[0].rstrip() != "---":
        raise file.error(1, "a lesson begins with front matter; write a line '---' first")
    end = next((number for number, line in enumerate(lines[1:], 1) if line.rstrip() == "---"), 0)
    if not end:
        raise file.error(1, "the front matter has no end; close it with a second line '---'")
    document = parse_yaml(file, "\n".join(lines[1:end]), 2)
    if not isinstance(document.value, dict):
        raise file.error(2, "the front matter must be 'key: value' lines")
    return document, "\n".join(lines[end + 1 :]), end + 2


def config_path(path: str) -> tuple[str | int, ...]:
    """Return a configuration error's path as keys and indexes: `vms[1].memory` -> ("vms", 1, "memory")."""
    parts = re.findall(r"[^.\[\]]+", path)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _block_text(file: TextFile, key: str) -> str:
    """Return what stands under a top-level key of the front matter, indented as there."""
    lines = file.text.split("\n")
    start = next(number for number, line in enumerate(lines) if line.startswith(f"{key}:"))
    end = next(number for number in range(start + 1, len(lines)) if re.match(r"[^\s#]", lines[number]))
    return "\n".join(line.removeprefix("  ") for line in lines[start + 1 : end]).rstrip() + "\n"
