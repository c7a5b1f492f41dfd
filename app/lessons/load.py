"""Reads a lesson's directory into a `Lesson`.

lessons/NN-slug/lesson.md, guest/*.s, guest/*.c, guest/*.elf, solution/actions.yaml, wrong/*.yaml
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from pydantic import ValidationError

from app.guests import images
from app.guests.errors import GuestError
from app.lessons.errors import GuestMissing, LessonError, LessonErrors, nearest
from app.lessons.expression import Expression, ExpressionError
from app.lessons.expression import parse as parse_expression
from app.lessons.files import LESSON, SOLUTION, LessonFiles, read_files
from app.lessons.front import params_lines, read_parameters, split_front_matter
from app.lessons.markdown import Body, render_body
from app.lessons.model import Check, CheckTable, FrontMatter, Lesson, Partial, Program
from app.lessons.naming import named_ever
from app.lessons.params import ParamError, Parameters, Value, plain
from app.lessons.programs import Programs, program_errors
from app.lessons.script import Script, read_script
from app.lessons.source import TextFile, display_name
from app.lessons.substitute import substitute
from app.lessons.typecheck import check_expression
from app.lessons.validation import describe
from app.lessons.yaml import Document
from emulator.lab.config import LabConfig
from emulator.lab.values import ConfigError

SLUG = re.compile(r"([0-9]{1,3})-([a-z0-9]+(?:-[a-z0-9]+)*)")
DRAWS_KEPT = 64


def load_lesson(directory: Path | str, seed: int = 0) -> Lesson:
    """Read one lesson, drawn for a seed; raise LessonErrors with every fault that was found."""
    root = Path(directory).absolute()
    match = SLUG.fullmatch(root.name)
    if not match or not root.is_dir():
        what = "is not a directory" if match else "is not named like 01-first-steps (number, hyphen, words)"
        name = display_name(root, root)
        raise LessonErrors([LessonError(name, 0, 0, f"{what}; give a lesson's directory")])
    files = read_files(root)
    programs = Programs(files)

    @lru_cache(maxsize=DRAWS_KEPT)
    def draw(other: int) -> Lesson:
        return _Builder(files, programs, other, draw).build()

    return draw(seed)


class _Builder:
    """Makes a lesson of its files for one seed, and collects the faults of all parts."""

    def __init__(self, files: LessonFiles, programs: Programs, seed: int, redraw: Any) -> None:
        self.errors = list(files.errors)
        self._files = files
        self._programs = programs
        self._seed = seed
        self._redraw = redraw
        self._parameters = Parameters({})
        self._values: dict[str, Value] = {}
        self._images = b""

    def build(self) -> Lesson:
        """Return the lesson; raise LessonErrors."""
        file = self._text(LESSON) if LESSON in self._files.contents else None
        if file is not None:
            self._draw(file)
            if not self._drawn:
                raise LessonErrors(self.errors)
        programs, found = self._programs.drawn(self._values)
        self.errors += found
        scripts = {name: self._script(path) for name, path in self._script_files()}
        lesson = self._lesson(file, programs, scripts) if file is not None else None
        if self.errors or lesson is None:
            raise LessonErrors(self.errors)
        return lesson

    def _draw(self, file: TextFile) -> None:
        """Draw the parameters' values; the rest of the lesson is read with them."""
        self._parameters, found = read_parameters(file)
        self._drawn = not found
        self.errors += found
        try:
            self._values = self._parameters.draw(self._seed) if self._drawn else {}
        except ParamError as error:
            self._drawn = False
            line = min(params_lines(file), default=1)
            self.errors.append(file.error(line, f"params: {error.message}"))

    def _substituted(self, file: TextFile, keep: range = range(0)) -> TextFile:
        changed, found = substitute(file, self._values, keep)
        self.errors += found
        return changed

    def _lesson(
        self,
        file: TextFile,
        programs: dict[str, Program],
        scripts: Mapping[str, Script | None],
    ) -> Lesson | None:
        sources = {
            program.name: program.source for program in programs.values() if program.source is not None
        }
        file = self._substituted(file, params_lines(file))
        try:
            document, body_text, body_line = split_front_matter(file)
        except LessonError as error:
            self.errors.append(error)
            return None
        body = render_body(file, body_text, body_line, sources)
        self.errors += body.errors
        self._check_params(document)
        front = self._front_matter(document)
        config = self._config(document, programs)
        if front is None or config is None:
            return None
        named = named_ever(config, programs, [script for script in scripts.values() if script])
        checks = self._checks(document, front, {**named, "question": set(body.questions)})
        self._check_scripts(front, body, scripts)
        self._check_prices(file, front, body)
        return Lesson(
            id=front.id,
            slug=self._files.root.name,
            number=int(self._files.root.name.split("-")[0]),
            title=front.title,
            summary=front.summary,
            minutes=front.minutes,
            objectives=tuple(front.objectives),
            version=self._version(),
            steps=tuple(body.steps),
            questions=body.questions,
            lab_config=config,
            lab_text=_block_text(file, document.place(("lab",)).line),
            programs=programs,
            checks=checks,
            solution=scripts.get("solution"),
            wrong={name: script for name, script in scripts.items() if script and name != "solution"},
            prerequisites=tuple(front.prerequisites),
            parameters=self._parameters,
            params=self._values,
            seed=self._seed,
            files=self._files.contents,
            redraw=self._redraw,
        )

    def _check_params(self, document: Document) -> None:
        """Note parameters that are written so that nothing was drawn for them."""
        if params_lines(self._files.text(LESSON)):
            return
        for key in {"params", "constraints"} & document.value.keys():
            self.errors.append(document.error((key,), f"write '{key}:' at the margin, without quotes"))

    def _text(self, name: str) -> TextFile | None:
        try:
            return self._files.text(name)
        except LessonError as error:
            self.errors.append(error)
            return None

    def _script_files(self) -> list[tuple[str, str]]:
        solution = [("solution", SOLUTION)] if SOLUTION in self._files.contents else []
        return solution + [(Path(name).stem, name) for name in self._files.names("wrong")]

    def _script(self, name: str) -> Script | None:
        file = self._text(name)
        if file is None:
            return None
        try:
            return read_script(self._substituted(file), name != SOLUTION)
        except LessonError as error:
            self.errors.append(error)
            return None

    def _front_matter(self, document: Document) -> FrontMatter | None:
        try:
            table = {
                key: value for key, value in document.value.items() if key not in ("params", "constraints")
            }
            return FrontMatter.model_validate(table)
        except ValidationError as error:
            self.errors += describe(error, document, FrontMatter)
            return None

    def _add_guest(self, document: Document, index: int, name: str, programs: dict[str, Program]) -> None:
        """Add a guest that was built on this machine to the lesson's programs."""
        try:
            program, digest = self._programs.guest(name)
        except GuestError as error:
            at = document.error(("lab", "vms", index, "program"), f"vms[{index}].program: {error}")
            self.errors.append(GuestMissing(at.file, at.line, at.column, at.message))
            return
        self._images += digest
        programs[name] = program
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
        self, document: Document, front: FrontMatter, known: Mapping[str, set[str]]
    ) -> tuple[Check, ...]:
        checks: list[Check] = []
        for index, table in enumerate(front.checks):
            path = ("checks", index)
            if any(check.id == table.id for check in checks):
                self.errors.append(
                    document.error((*path, "id"), f"the id '{table.id}' is already used; choose another")
                )
            check = self._check(document, index, table, known)
            if check:
                checks.append(check)
        self._check_relations(document, front)
        self._check_reveals(document, front, known["question"])
        return tuple(checks)

    def _version(self) -> str:
        """Return what names this version of the lesson: its files, and the guests built on this machine."""
        return hashlib.sha256(self._files.digest.encode() + self._images).hexdigest()[:16]

    def _check(
        self, document: Document, index: int, table: CheckTable, known: Mapping[str, set[str]]
    ) -> Check | None:
        expression = self._expression(document, ("checks", index, "expect"), table.expect, known)
        partial = [
            Partial(found, part.points, part.say)
            for number, part in enumerate(table.partial)
            if (
                found := self._expression(
                    document, ("checks", index, "partial", number, "expect"), part.expect, known
                )
            )
        ]
        if expression is None:
            return None
        return Check(
            table.id,
            table.title,
            table.points,
            expression,
            table.why,
            table.help,
            tuple(partial),
            tuple(table.needs),
            table.hidden,
            table.tries,
            table.declines,
            tuple(table.reveals),
        )

    def _expression(
        self, document: Document, path: tuple[str | int, ...], text: str, known: Mapping[str, set[str]]
    ) -> Expression | None:
        """Parse and type-check one condition, with the values of the parameters as its names."""
        try:
            expression = parse_expression(text).bound(plain(self._values))
            check_expression(expression, known["vm"], known["question"], known)
        except ExpressionError as error:
            message = f"expect, character {error.column}: {error.message}"
            self.errors.append(document.error(path, message))
            return None
        return expression

    def _check_relations(self, document: Document, front: FrontMatter) -> None:
        """Note checks that need an unknown or later check, and parts that earn no less than the whole."""
        above: list[str] = []
        for index, table in enumerate(front.checks):
            for number, need in enumerate(table.needs):
                if need not in above:
                    hint = nearest(need, above) if above else "; this is the first"
                    message = f"needs: there is no check '{need}' above this one{hint}"
                    self.errors.append(document.error(("checks", index, "needs", number), message))
            for number, part in enumerate(table.partial):
                if part.points >= table.points:
                    message = f"partial: {part.points} points; must be fewer than the check's {table.points}"
                    path = ("checks", index, "partial", number, "points")
                    self.errors.append(document.error(path, message))
            above.append(table.id)

    def _check_reveals(self, document: Document, front: FrontMatter, questions: set[str]) -> None:
        for index, table in enumerate(front.checks):
            for number, name in enumerate(table.reveals):
                if name not in questions:
                    message = f"reveals: there is no question '{name}'{nearest(name, questions)}"
                    self.errors.append(document.error(("checks", index, "reveals", number), message))

    def _check_prices(self, file: TextFile, front: FrontMatter, body: Body) -> None:
        known = [check.id for check in front.checks]
        for line, check in body.prices:
            if check not in known:
                message = f"the hint costs points of '{check}', which is no check{nearest(check, known)}"
                self.errors.append(file.error(line, message))

    def _check_scripts(self, front: FrontMatter, body: Body, scripts: Mapping[str, Script | None]) -> None:
        known = {check.id for check in front.checks} | set(body.questions)
        for script in scripts.values():
            if script and script.caught_by and script.caught_by not in known:
                word = script.caught_by
                message = f"caught_by: there is no check or question '{word}'{nearest(word, known)}"
                self.errors.append(LessonError(script.file, 1, 0, message))


def config_path(path: str) -> tuple[str | int, ...]:
    """Return a configuration error's path as keys and indexes: `vms[1].memory` -> ("vms", 1, "memory")."""
    parts = re.findall(r"[^.\[\]]+", path)
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _block_text(file: TextFile, start: int) -> str:
    """Return what stands under the front matter's top-level key in a line, indented as there."""
    lines = file.text.split("\n")
    end = next(number for number in range(start, len(lines)) if re.match(r"[^\s#]", lines[number]))
    return "\n".join(line.removeprefix("  ") for line in lines[start:end]).rstrip() + "\n"
