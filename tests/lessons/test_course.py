"""Each lesson works: nothing earns nothing, its solution everything, and wrong ones are caught."""

from pathlib import Path
from typing import Any

import pytest

from app.grading.attempt import Attempt
from app.grading.trial import try_lesson
from app.lessons import GuestMissing, Lesson
from app.lessons.course import lesson_directories
from app.lessons.lint import lint_course
from app.paths import lessons_dir
from tests.lessons.at_hand import load

DIRECTORIES = lesson_directories(lessons_dir())
SEEDS = (1, 2)  # `vmlab test-lesson lessons --seeds 20 --mutate` tries more


def solved(lesson: Lesson, engine: Any) -> Attempt:
    attempt = Attempt(lesson, engine)
    assert lesson.solution
    attempt.follow(lesson.solution)
    return attempt


def test_the_course_has_no_faults() -> None:
    faults = [error for error in lint_course(lessons_dir()) if not isinstance(error, GuestMissing)]
    assert [str(error) for error in faults] == []


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_solution_wrong_solutions_and_checks_fit_each_other(path: Path, seed: int, engine: Any) -> None:
    trial = try_lesson(load(path).drawn(seed), engine, mutate=True)
    assert trial.faults == []
    assert trial.survivors == []
    assert trial.caught == trial.wrong >= 3


@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_every_check_has_a_wrong_solution(path: Path) -> None:
    lesson = load(path)
    assert {check.id for check in lesson.checks} <= {script.caught_by for script in lesson.wrong.values()}


@pytest.mark.parametrize("path", DIRECTORIES, ids=lambda path: path.name)
def test_the_solution_gives_the_same_state_twice(path: Path, engine: Any) -> None:
    lesson = load(path)
    assert solved(lesson, engine).lab.state_hash() == solved(lesson, engine).lab.state_hash()
