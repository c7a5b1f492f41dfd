"""Tries a lesson out for one seed: nothing, the solution, every wrong solution, and weakened checks.

An empty attempt must earn nothing, the solution everything, and each wrong solution must be caught by the
check or question that it names. Each weakened check must be noticed by an attempt of this seed: it holds
where the check itself fails. A bound twice as wide that none notices is only worth a warning.
"""

import time
from dataclasses import asdict, dataclass, field
from typing import Any

from app.grading.attempt import Attempt
from app.grading.bounds import wider
from app.grading.lab_facts import LabFacts
from app.grading.mutants import Mutant, mutants
from app.grading.results import CheckResult, grade_facts, grade_predictions
from app.lessons.errors import LessonError
from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.model import Lesson
from app.lessons.script import Script
from emulator.lab import LabError

EMPTY_NS = 20_000_000


@dataclass
class Trial:
    """What came of one seed. `faults` are sentences; no fault means that the lesson works for this seed."""

    lesson: str
    seed: int
    params: dict[str, str] = field(default_factory=lambda: dict[str, str]())
    faults: list[str] = field(default_factory=lambda: list[str]())
    wrong: int = 0
    caught: int = 0
    mutants: list[str] = field(default_factory=lambda: list[str]())
    survivors: list[str] = field(default_factory=lambda: list[str]())
    bounds: list[str] = field(default_factory=lambda: list[str]())
    loose: list[int] = field(default_factory=lambda: list[int]())
    """Which of `bounds` can be twice as wide without any attempt noticing."""
    seconds: float = 0.0

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON-ready data."""
        return asdict(self)


def try_lesson(lesson: Lesson, engine: Any, mutate: bool = False) -> Trial:
    """Try a lesson out for the seed that it is drawn for."""
    begun = time.process_time()
    shown = {name: value.shown() for name, value in lesson.params.items()}
    trial = Trial(lesson.slug, lesson.seed, shown)
    checks = lesson.checks if mutate else ()
    weakened = [mutant for check in checks for mutant in mutants(check)]
    _Trier(lesson, engine, trial, weakened, [mutant for check in checks for mutant in wider(check)]).run()
    trial.seconds = time.process_time() - begun
    return trial


class _Remembered:
    """Facts of one moment, each looked up once."""

    def __init__(self, facts: LabFacts) -> None:
        self._facts = facts
        self._known: dict[tuple[Any, ...], Any] = {}

    def __getattr__(self, name: str) -> Any:
        def look_up(**arguments: Any) -> Any:
            key = (name, *sorted(arguments.items()))
            if key not in self._known:
                self._known[key] = getattr(self._facts, name)(**arguments)
            return self._known[key]

        return look_up


class _Trier:
    """Does all attempts of one seed; a weakened check is forgotten when an attempt notices it."""

    def __init__(
        self, lesson: Lesson, engine: Any, trial: Trial, weakened: list[Mutant], bounds: list[Mutant]
    ) -> None:
        self._lesson = lesson
        self._engine = engine
        self._trial = trial
        self._weakened = weakened
        self._wider = dict(enumerate(bounds))
        trial.mutants = [_name(mutant) for mutant in weakened]
        trial.bounds = [f"{mutant.check}: {mutant.dropped}" for mutant in bounds]

    def run(self) -> None:
        self._empty()
        self._solution()
        for name, script in self._lesson.wrong.items():
            self._wrong(name, script)
        self._trial.survivors = [_name(mutant) for mutant in self._weakened]
        self._trial.loose = list(self._wider)
        for name in self._trial.survivors:
            self._fault(f"nobody notices {name}; drop it, or write a wrong solution that it alone catches")

    def _fault(self, message: str) -> None:
        self._trial.faults.append(message)

    def _graded(self, attempt: Attempt) -> list[CheckResult]:
        """Grade an attempt as it stands, and let it look at the weakened checks."""
        facts: Any = _Remembered(LabFacts(self._lesson, attempt.lab, attempt.answers))
        results = grade_facts(self._lesson, facts)
        failed = {result.id for result in results if result.status in ("failed", "partial")}
        self._weakened = [each for each in self._weakened if not _notices(each, failed, facts)]
        self._wider = {at: each for at, each in self._wider.items() if not _notices(each, failed, facts)}
        return results

    def _follow(self, script: Script, look: bool = False) -> Attempt | None:
        attempt = Attempt(self._lesson, self._engine)
        try:
            attempt.follow(script, after=lambda: self._graded(attempt) if look else None)
        except (LessonError, LabError) as error:
            self._fault(str(error))
            return None
        return attempt

    def _empty(self) -> None:
        attempt = Attempt(self._lesson, self._engine)
        attempt.run(EMPTY_NS)
        for result in self._graded(attempt):
            if result.earned:
                self._fault(f"an empty attempt earns {result.earned} points of check '{result.id}'")

    def _solution(self) -> None:
        if self._lesson.solution is None:
            self._fault("solution/actions.yaml is missing; write the steps that earn every point")
            return
        attempt = self._follow(self._lesson.solution, look=bool(self._weakened))
        if attempt is None:
            return
        for result in self._graded(attempt):
            if result.earned < result.points:
                self._fault(f"the solution fails check '{result.id}': {result.actual}")
        for prediction in grade_predictions(self._lesson, attempt.answers):
            if not prediction.correct:
                how = "answers '{}' wrongly" if prediction.answered else "does not answer '{}'"
                self._fault(f"the solution {how.format(prediction.id)}")

    def _wrong(self, name: str, script: Script) -> None:
        self._trial.wrong += 1
        attempt = self._follow(script)
        if attempt is None:
            return
        results = {result.id: result for result in self._graded(attempt)}
        caught = [found.id for found in results.values() if found.status in ("failed", "partial")]
        predictions = grade_predictions(self._lesson, attempt.answers)
        caught += [found.id for found in predictions if found.answered and not found.correct]
        if script.caught_by in caught:
            self._trial.caught += 1
            return
        by = f"; caught by {', '.join(caught)}" if caught else "; nothing catches it"
        self._fault(f"wrong/{name}.yaml is not caught by '{script.caught_by}'{by}")


def _notices(mutant: Mutant, failed: set[str], facts: object) -> bool:
    """Return whether a weakened check passes where the lesson's own fails."""
    return mutant.check in failed and _holds(mutant, facts)


def _holds(mutant: Mutant, facts: object) -> bool:
    try:
        return bool(Evaluator(mutant.expect, facts).value(mutant.expect.root))
    except NoValue:
        return False


def _name(mutant: Mutant) -> str:
    return f"{mutant.check} without {mutant.dropped}" if mutant.dropped else f"{mutant.check} always true"
