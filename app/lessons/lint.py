"""Checks lessons beyond what loading needs: everything an instructor should mend before class."""

import re
from pathlib import Path

from app.lessons.course import lesson_directories, read_course
from app.lessons.errors import LessonError, LessonErrors, nearest
from app.lessons.files import LESSON
from app.lessons.front import params_lines, split_front_matter
from app.lessons.load import load_lesson
from app.lessons.markdown import VIEWS
from app.lessons.model import Lesson
from app.lessons.naming import named_ever, script_faults
from app.lessons.prose import name_faults, prose_faults
from app.lessons.script import Answer, Script
from app.lessons.source import TextFile, as_text
from app.lessons.substitute import substitute
from app.lessons.telltales import telltales

FEWEST_DRAWS = 100
DRAWS = 400
SEEDS = 8


def lint_course(directory: Path) -> list[LessonError]:
    """Return the faults of every lesson of a directory; raise LessonError if it holds none."""
    found: list[LessonError] = []
    ids: dict[str, str] = {}
    lessons: list[Lesson] = []
    paths = lesson_directories(directory)
    try:
        table = read_course(directory.absolute(), [path.name for path in paths])
    except LessonErrors as errors:
        table = None
        found += errors.errors
    listed = {entry.lesson for entry in table.lessons} if table else set[str]()
    for path in paths:
        if table and path.name not in listed:
            message = f"'{path.name}' is not listed, so it is not taught; add it under 'lessons:' or move it"
            found.append(LessonError(f"{path.absolute().parent.name}/course.yaml", 0, 0, message))
        try:
            lesson = load_lesson(path)
        except LessonErrors as errors:
            found += errors.errors
            continue
        found += advice(lesson, path.absolute().parent.name)
        lessons.append(lesson)
        if lesson.id in ids:
            message = f"id '{lesson.id}' is already that of {ids[lesson.id]}; choose another"
            found.append(LessonError(f"{path.parent.name}/{path.name}/lesson.md", 1, 0, message))
        ids.setdefault(lesson.id, lesson.slug)
    order = [entry.lesson for entry in table.lessons] if table else [lesson.slug for lesson in lessons]
    taught = [lesson for slug in order for lesson in lessons if lesson.slug == slug]
    return found + _prerequisites(taught, directory.absolute().name)


def lint_lesson(directory: Path) -> list[LessonError]:
    """Return the faults of one lesson."""
    try:
        lesson = load_lesson(directory)
    except LessonErrors as errors:
        return list(errors.errors)
    return advice(lesson, directory.absolute().parent.name)


def advice(lesson: Lesson, course: str) -> list[LessonError]:
    """Return what is missing from a lesson that can be loaded but not yet be taught."""
    file = f"{course}/{lesson.slug}/lesson.md"
    found: list[LessonError] = []
    if not lesson.steps:
        found.append(LessonError(file, 1, 0, "has no text; write steps that begin with '## '"))
    if not lesson.checks:
        found.append(LessonError(file, 1, 0, "has no checks; add at least one under 'checks:'"))
    if lesson.solution is None:
        script = f"{course}/{lesson.slug}/solution/actions.yaml"
        found.append(LessonError(script, 0, 0, "is missing; write the steps that earn every point"))
    for script in _scripts(lesson):
        found += _unknown_answers(lesson, script)
        found += script_faults(lesson.lab_config, lesson.programs, script)
    found += _unused_files(lesson, course)
    text = as_text(file, lesson.files[LESSON])
    found += _text(lesson, text)
    found += _parameters(lesson, text)
    found += _telltales(lesson, text)
    return found


def _telltales(lesson: Lesson, file: TextFile) -> list[LessonError]:
    """Return the checks that tell the answer of a question that a student may not have answered yet."""
    try:
        drawn = [lesson, *(lesson.drawn(seed) for seed in range(1, SEEDS + 1))]
    except LessonErrors:  # said of the parameters
        return []
    found: list[LessonError] = []
    for check, question, in_title in telltales(drawn):
        message = (
            f"check '{check}' tells the answer to '{question}' when it fails; add `reveals: [{question}]`"
        )
        if in_title:
            message = f"the title of check '{check}' tells the answer to '{question}'; leave the number out"
        found.append(file.error(_line_of(file, f"  - id: {check}"), message))
    return found


def _scripts(lesson: Lesson) -> list[Script]:
    return [script for script in (lesson.solution, *lesson.wrong.values()) if script]


def _unused_files(lesson: Lesson, course: str) -> list[LessonError]:
    """Return the guest files that no other file of the lesson names."""
    found: list[LessonError] = []
    for name in lesson.files:
        short = name.removeprefix("guest/")
        named = any(short.encode() in data for other, data in lesson.files.items() if other != name)
        if short != name and not named:
            message = "is never used; name it in lesson.md or delete it"
            found.append(LessonError(f"{course}/{lesson.slug}/{name}", 0, 0, message))
    return found


def _text(lesson: Lesson, file: TextFile) -> list[LessonError]:
    """Return what to mend in the text, the questions and the figures."""
    drawn = substitute(file, lesson.params, params_lines(file))[0]
    _, body, first_line = split_front_matter(drawn)
    anchors = {element for element, _ in VIEWS.values()} | {f"step-{step.id}" for step in lesson.steps}
    found = prose_faults(file, body, first_line, anchors)
    named = named_ever(lesson.lab_config, lesson.programs, _scripts(lesson))
    found += name_faults(drawn, named["vm"])
    for question in lesson.questions.values():
        if not question.choices and not question.unit:
            line = _line_of(file, f"```predict {question.id}")
            found.append(file.error(line, f"the question '{question.id}' wants a number; add its 'unit:'"))
    return found


def _parameters(lesson: Lesson, file: TextFile) -> list[LessonError]:
    """Return what is wrong with the parameters: for some students, or for those who sit side by side."""
    parameters = lesson.parameters
    if not parameters.items:
        return []
    line = min(params_lines(file))
    found = [
        file.error(_line_of(file, f"  {name}:"), f"the parameter '{name}' is never used; use it or drop it")
        for name in parameters.items
        if not _is_used(lesson, name)
    ]
    if parameters.count < FEWEST_DRAWS:
        message = (
            f"only {parameters.count} different draws: neighbours share them; widen a range or add a token"
        )
        found.append(file.error(line, message))
    if parameters.accepted(DRAWS) < 0.02:
        found.append(file.error(line, "nearly no draw meets the constraints; derive a value instead"))
    for seed in range(1, SEEDS + 1):
        errors = _errors_for(lesson, seed)
        found += [LessonError(e.file, e.line, e.column, f"{e.message} (seed {seed})") for e in errors]
        if errors:
            break
    return found


def _errors_for(lesson: Lesson, seed: int) -> list[LessonError]:
    """Return the faults that the student with a seed meets, and not the one that the lesson is read for."""
    try:
        drawn = lesson.drawn(seed)
    except LessonErrors as errors:
        return list(errors.errors)
    known = {(e.line, e.column) for script in _scripts(lesson) for e in _script_errors(lesson, script)}
    found = [error for script in _scripts(drawn) for error in _script_errors(drawn, script)]
    return [error for error in found if (error.line, error.column) not in known]


def _script_errors(lesson: Lesson, script: Script) -> list[LessonError]:
    return script_faults(lesson.lab_config, lesson.programs, script)


def _is_used(lesson: Lesson, name: str) -> bool:
    """Return whether a name stands anywhere but where it is declared."""
    word = re.compile(rf"\b{name}\b".encode())
    declared = re.compile(rf"^ +{name}:".encode(), re.MULTILINE)
    uses = sum(len(word.findall(data)) for data in lesson.files.values())
    return uses > len(declared.findall(lesson.files[LESSON]))


def _line_of(file: TextFile, start: str) -> int:
    lines = file.text.split("\n")
    return next((number for number, line in enumerate(lines, 1) if line.startswith(start)), 1)


def _prerequisites(lessons: list[Lesson], course: str) -> list[LessonError]:
    """Return the prerequisites that are no lesson of the course, or come later in it."""
    found: list[LessonError] = []
    before: set[str] = set()
    for lesson in lessons:
        file = as_text(f"{course}/{lesson.slug}/{LESSON}", lesson.files[LESSON])
        for wanted in lesson.prerequisites:
            if wanted not in before:
                hint = nearest(wanted, before) if before else "; this is the first"
                message = f"prerequisites: no lesson before this one has the id '{wanted}'{hint}"
                found.append(file.error(_line_of(file, "prerequisites:"), message))
        before.add(lesson.id)
    return found


def _unknown_answers(lesson: Lesson, script: Script) -> list[LessonError]:
    """Return the answers of a script that no question of the lesson takes."""
    found: list[LessonError] = []
    for step in script.steps:
        if isinstance(step, Answer):
            try:
                lesson.question(step.question).judge(step.value)
            except LessonError as error:
                found.append(script.error(step, f"answer to '{step.question}': {error.message}"))
    return found
