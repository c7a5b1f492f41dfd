"""Grades an attempt: every check of a lesson over the facts of its lab."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from app.grading.facts import Facts
from app.grading.wording import actual, expected
from app.lessons.errors import LessonError
from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.model import Check, Lesson


@dataclass(frozen=True)
class CheckResult:
    """What became of one check. `actual`, and `help` for the student, say more when it failed."""

    id: str
    title: str
    passed: bool
    points: int
    earned: int
    expected: str
    actual: str
    why: str
    help: str

    def as_dict(self) -> dict[str, object]:
        """Return the result as JSON-ready data."""
        return asdict(self)


@dataclass(frozen=True)
class PredictionResult:
    """Whether a predict-question was answered, and rightly. It earns no points: it is for thinking."""

    id: str
    answered: bool
    correct: bool

    def as_dict(self) -> dict[str, object]:
        """Return the result as JSON-ready data."""
        return asdict(self)


def grade_facts(lesson: Lesson, facts: Facts) -> list[CheckResult]:
    """Return one result per check, in the lesson's order."""
    return [grade_check(check, facts) for check in lesson.checks]


def grade_check(check: Check, facts: Facts) -> CheckResult:
    """Evaluate one check; something that cannot be computed is a failed check that says so."""
    evaluator = Evaluator(check.expect, facts)
    try:
        passed = bool(evaluator.value(check.expect.root))
        found = expected(check.expect) if passed else actual(check.expect, evaluator)
    except NoValue as reason:
        passed, found = False, str(reason)
    return CheckResult(
        id=check.id,
        title=check.title,
        passed=passed,
        points=check.points,
        earned=check.points if passed else 0,
        expected=expected(check.expect),
        actual=found,
        why=check.why,
        help=check.help,
    )


def grade_predictions(lesson: Lesson, answers: Mapping[str, object]) -> list[PredictionResult]:
    """Return one result per predict-question, in the lesson's order."""
    return [_prediction(lesson, name, answers) for name in lesson.questions]


def _prediction(lesson: Lesson, name: str, answers: Mapping[str, object]) -> PredictionResult:
    if name not in answers:
        return PredictionResult(name, answered=False, correct=False)
    try:
        return PredictionResult(
            name, answered=True, correct=lesson.question(name).judge(answers[name]).correct
        )
    except LessonError:
        return PredictionResult(name, answered=True, correct=False)
