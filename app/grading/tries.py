"""What failed tries and opened hints cost: a check may allow only so many, and be worth less after some.

A try is one look at the checks. It counts for a check if the check was looked at (was not waiting for
another) and had not passed before. What was once earned is not lost by later tries.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from app.grading.results import CheckResult
from app.lessons.model import Check, Lesson
from app.texts import gettext as _

Earlier = Sequence[Mapping[str, str]]
"""For each earlier try, oldest first: check id -> status."""


def after_tries(
    lesson: Lesson,
    results: Sequence[CheckResult],
    earlier: Earlier,
    answers: Mapping[str, object] | None = None,
) -> list[CheckResult]:
    """Return the results with the points that are left after the tries before and the hints opened."""
    checks = {check.id: check for check in lesson.checks}
    left = [_left(checks[result.id], result, _failures(result.id, earlier)) for result in results]
    return [_hinted(result, _price(lesson, result.id, answers or {})) for result in left]


def _price(lesson: Lesson, check: str, answers: Mapping[str, object]) -> int:
    """Return what the opened hints of a check cost."""
    opened = (question.price for name, question in lesson.questions.items() if name in answers)
    return sum(price.points for price in opened if price and price.check == check)


def _hinted(result: CheckResult, price: int) -> CheckResult:
    if not price or not result.earned:
        return result
    return replace(
        result, earned=max(0, result.earned - price), note=_also(result, _("a hint has cost %(n)s", n=price))
    )


def _failures(check: str, earlier: Earlier) -> int:
    """Return how often a check failed before it first passed."""
    failures = 0
    for statuses in earlier:
        status = statuses.get(check, "waiting")
        if status == "passed":
            break
        failures += status != "waiting"
    return failures


def _left(check: Check, result: CheckResult, failures: int) -> CheckResult:
    if not result.earned:
        return result
    if check.tries is not None and failures >= check.tries:
        note = _("all %(n)s tries are used: no points any more", n=check.tries)
        return replace(result, earned=0, note=_also(result, note))
    if check.declines is None:
        return result
    cost = max(0, failures - check.declines.after) * check.declines.by
    earned = min(result.earned, max(check.declines.least, result.earned - cost))
    if earned == result.earned:
        return result
    return replace(
        result, earned=earned, note=_also(result, _("worth less after %(n)s failed tries", n=failures))
    )


def _also(result: CheckResult, note: str) -> str:
    return f"{result.note}; {note}" if result.note else note
