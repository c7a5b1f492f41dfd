"""Grading: checks over what happened in a lab. Side-effect free, bounded, and never an internal error."""

from collections.abc import Mapping

from app.grading.lab_facts import LabFacts
from app.grading.results import CheckResult, PredictionResult, grade_facts, grade_predictions, withheld
from app.grading.tries import after_tries
from app.lessons.model import Lesson
from emulator.lab import Lab

__all__ = ["CheckResult", "PredictionResult", "after_tries", "grade", "grade_predictions"]


def grade(lesson: Lesson, lab: Lab, answers: Mapping[str, object]) -> list[CheckResult]:
    """Return one result per check of a lesson, in its order, for a lab as it stands now.

    `answers` are those to predict-questions; they count only for checks that ask `correct(...)`, and open
    what checks would tell of those that are not answered yet.
    """
    return withheld(lesson, grade_facts(lesson, LabFacts(lesson, lab, answers)), answers)
