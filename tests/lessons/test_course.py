"""Each lesson works: an empty attempt earns nothing, its solution everything, each wrong one is caught."""

from pathlib import Path
from typing import Any

import pytest

from app.grading import grade, grade_predictions
from app.grading.attempt import Attempt
from app.lessons import GuestMissing, Lesson, LessonErrors, load_lesson
from app.lessons.course import lesson_directories
from app.lessons.lint import lint_course
from app.paths import lessons_dir
from tests.conftest import lack

DIRECTORIES = lesson_directories(lessons_dir())
WRONG = [(path, script.stem) for path in DIRECTORIES for script in sorted((path / "wrong").glob("*.yaml"))]


@pytest.fixture(scope="module")
def engine() -> Any:
    from emulator.build.engine import load_engine

    return load_engine()


def load(path: Path) -> Lesson:
    """Return a lesson; skip the test if it waits for a guest."""
    try:
        return load_lesson(path)
    except LessonErrors as errors:
        if errors.waits_for_guests:
            lack(str(errors))
        raise


def follow(lesson: Lesson, name: str | None, engine: Any) -> Attempt:
    attempt = Attempt(lesson, engine)
    script = lesson.solution if name is None else lesson.wrong[name]
    assert script
    attempt.follow(script)
    return attempt


def test_the_course_has_no_faults() -> None:
    faults = [error for error in lint_course(lessons_dir()) if not isinstance(error, GuestMissing)]
    assert [str(error) for error in faults] == []


@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_an_empty_attempt_earns_nothing(path: Path, engine: Any) -> None:
    lesson = load(path)
    results = grade(lesson, Attempt(lesson, engine).lab, {})
    assert [result.id for result in results if result.passed] == []
    assert all(result.actual and result.help for result in results)


@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_the_solution_earns_every_point(path: Path, engine: Any) -> None:
    lesson = load(path)
    attempt = follow(lesson, None, engine)
    results = grade(lesson, attempt.lab, attempt.answers)
    assert [(result.id, result.actual) for result in results if not result.passed] == []
    predictions = grade_predictions(lesson, attempt.answers)
    assert [prediction.id for prediction in predictions if not prediction.correct] == []


@pytest.mark.parametrize(("path", "name"), WRONG, ids=[f"{path.name}-{name}" for path, name in WRONG])
def test_a_wrong_solution_is_caught_by_its_check(path: Path, name: str, engine: Any) -> None:
    lesson = load(path)
    attempt = follow(lesson, name, engine)
    failed = {result.id for result in grade(lesson, attempt.lab, attempt.answers) if not result.passed}
    failed |= {
        item.id for item in grade_predictions(lesson, attempt.answers) if item.answered and not item.correct
    }
    assert lesson.wrong[name].caught_by in failed


@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_every_check_has_a_wrong_solution(path: Path) -> None:
    lesson = load(path)
    assert {check.id for check in lesson.checks} <= {script.caught_by for script in lesson.wrong.values()}


@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_the_solution_gives_the_same_state_twice(path: Path, engine: Any) -> None:
    lesson = load(path)
    assert follow(lesson, None, engine).lab.state_hash() == follow(lesson, None, engine).lab.state_hash()
