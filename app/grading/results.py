"""Grades an attempt: every check of a lesson over the facts of its lab."""

import html
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

from app.grading.facts import Facts
from app.grading.wording import actual, expected
from app.lessons.errors import LessonError
from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.model import Check, Lesson, Partial
from app.texts import gettext as _
from app.texts import mark

Status = Literal["passed", "partial", "failed", "waiting"]
HIDDEN = mark("This check keeps to itself what it looks at.")
LONGEST_PROMPT = 120


@dataclass(frozen=True)
class CheckResult:
    """What became of one check. `actual`, and `help` for the student, say more when it failed.

    `waiting`: not looked at yet, because a check that it needs has not passed. `note` says what else
    happened to its points. `unanswered` are the texts of the open questions whose answers it would tell.
    """

    id: str
    title: str
    passed: bool
    points: int
    earned: int
    expected: str
    actual: str
    why: str
    help: str
    status: Status = "failed"
    note: str = ""
    hidden: bool = False
    unanswered: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Return the result as JSON-ready data, with everything that is known."""
        return asdict(self)

    def for_student(self) -> dict[str, Any]:
        """Return the result without what a check keeps to itself.

        A hidden one does until it has passed; one that tells answers, until its questions are answered too.
        """
        if self.passed or not (self.hidden or self.unanswered):
            return self.as_dict()
        prompts = ", ".join(f'"{text}"' for text in self.unanswered)
        first = _("This check says more when you have answered: %(questions)s", questions=prompts)
        return {
            **self.as_dict(),
            "expected": _(HIDDEN) if self.hidden else first,
            "actual": _("not yet") if self.hidden or self.status != "waiting" else self.actual,
            "why": "",
            "help": "",
            "note": "",
        }


@dataclass(frozen=True)
class PredictionResult:
    """Whether a predict-question was answered, and rightly. It earns no points: it is for thinking."""

    id: str
    answered: bool
    correct: bool

    def as_dict(self) -> dict[str, object]:
        """Return the result as JSON-ready data."""
        return asdict(self)


def withheld(
    lesson: Lesson, results: Sequence[CheckResult], answers: Mapping[str, object]
) -> list[CheckResult]:
    """Return the results with the questions that are still open, where a check would tell their answers."""
    asked = {check.id: [name for name in check.reveals if name not in answers] for check in lesson.checks}
    return [
        replace(result, unanswered=tuple(_prompt(lesson, name) for name in asked[result.id]))
        for result in results
    ]


def _prompt(lesson: Lesson, name: str) -> str:
    """Return a question's text without markup, shortened."""
    text = " ".join(html.unescape(re.sub(r"<[^>]*>", "", lesson.question(name).prompt_html)).split())
    return text if len(text) <= LONGEST_PROMPT else f"{text[: LONGEST_PROMPT - 1]}…"


def grade_facts(lesson: Lesson, facts: Facts) -> list[CheckResult]:
    """Return one result per check, in the lesson's order."""
    results: dict[str, CheckResult] = {}
    for check in lesson.checks:
        missing = [
            results[need].title for need in check.needs if need in results and not results[need].passed
        ]
        results[check.id] = _waiting(check, missing) if missing else grade_check(check, facts)
    return list(results.values())


def grade_check(check: Check, facts: Facts) -> CheckResult:
    """Evaluate one check; something that cannot be computed is a failed check that says so."""
    evaluator = Evaluator(check.expect, facts)
    try:
        passed = bool(evaluator.value(check.expect.root))
        found = expected(check.expect) if passed else actual(check.expect, evaluator)
    except NoValue as reason:
        passed, found = False, str(reason)
    part = None if passed else next((part for part in check.partial if _holds(part, facts)), None)
    earned = check.points if passed else part.points if part else 0
    status: Status = "passed" if passed else "partial" if part else "failed"
    return replace(
        _result(check),
        passed=passed,
        earned=earned,
        actual=found,
        status=status,
        note=part.say if part else "",
    )


def _holds(part: Partial, facts: Facts) -> bool:
    try:
        return bool(Evaluator(part.expect, facts).value(part.expect.root))
    except NoValue:
        return False


def _waiting(check: Check, missing: list[str]) -> CheckResult:
    first = "; ".join(f'"{title}"' for title in missing)
    return replace(
        _result(check),
        status="waiting",
        actual=_("not looked at until this has passed: %(checks)s", checks=first),
    )


def _result(check: Check) -> CheckResult:
    """Return the result of a check that has not passed."""
    return CheckResult(
        id=check.id,
        title=check.title,
        passed=False,
        points=check.points,
        earned=0,
        expected=expected(check.expect),
        actual="",
        why=check.why,
        help=check.help,
        hidden=check.hidden,
    )


def grade_predictions(lesson: Lesson, answers: Mapping[str, object]) -> list[PredictionResult]:
    """Return one result per predict-question, in the lesson's order."""
    return [_prediction(lesson, name, answers) for name, each in lesson.questions.items() if not each.price]


def _prediction(lesson: Lesson, name: str, answers: Mapping[str, object]) -> PredictionResult:
    if name not in answers:
        return PredictionResult(name, answered=False, correct=False)
    try:
        return PredictionResult(
            name, answered=True, correct=lesson.question(name).judge(answers[name]).correct
        )
    except LessonError:
        return PredictionResult(name, answered=True, correct=False)
