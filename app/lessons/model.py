"""What a lesson is: the keys of its front matter and blocks (pydantic), and the loaded lesson."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, StringConstraints

from app.lessons.errors import LessonError, nearest, shown
from app.lessons.expression import Expression
from app.lessons.params import Name, Parameters, ParamTable, Value
from app.lessons.script import Script
from app.lessons.table import Table
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

IDENTIFIER = r"^[a-z0-9]+(-[a-z0-9]+)*$"

Identifier = Annotated[str, StringConstraints(pattern=IDENTIFIER, max_length=60)]
Line = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Prose = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=8_000)]


def _as_text(value: object) -> object:
    """Let `a: 256` be a choice that reads 256."""
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else value


ChoiceText = Annotated[Line, BeforeValidator(_as_text)]
Condition = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
Points = Annotated[int, Field(ge=1, le=100)]


class PartialTable(Table):
    """What earns a part of a check's points when its `expect` does not hold."""

    expect: Condition
    points: Points
    say: Line


class DeclineTable(Table):
    """How a check loses worth: after so many failed tries each further one costs `by`, down to `least`."""

    after: Annotated[int, Field(ge=1, le=100)]
    by: Points = 1
    least: Annotated[int, Field(ge=0, le=100)] = 1


class CheckTable(Table):
    """One entry of `checks:`."""

    id: Identifier
    title: Line
    points: Points = 1
    expect: Condition
    partial: list[PartialTable] = Field(default_factory=list[PartialTable], max_length=5)
    needs: list[Identifier] = Field(default_factory=list[Identifier], max_length=10)
    hidden: bool = False
    reveals: list[Identifier] = Field(default_factory=list[Identifier], max_length=10)
    tries: Annotated[int, Field(ge=1, le=1_000)] | None = None
    declines: DeclineTable | None = None
    why: Prose
    help: Prose


class FrontMatter(Table):
    """The keys between the two `---` lines of lesson.md. `lab` is read by `emulator.lab.config`."""

    schema_version: Annotated[Literal[1], Field(alias="schema")]
    id: Identifier
    title: Line
    summary: Line
    minutes: Annotated[int, Field(ge=1, le=600)]
    objectives: Annotated[list[Line], Field(min_length=1, max_length=12)]
    prerequisites: list[Identifier] = Field(default_factory=list[Identifier], max_length=12)
    params: dict[Name, ParamTable] = Field(default_factory=dict[Name, ParamTable], max_length=40)
    constraints: list[Condition] = Field(default_factory=list[Condition], max_length=20)
    lab: dict[str, object]
    checks: list[CheckTable] = Field(default_factory=list[CheckTable], max_length=50)


class PredictTable(Table):
    """The keys of a `predict` block. With `choices` the answer is one of their keys, else a number."""

    question: Prose
    choices: dict[str, ChoiceText] = Field(default_factory=dict[str, ChoiceText], max_length=10)
    unit: Annotated[str, StringConstraints(max_length=30)] = ""
    answer: str | int | float
    tolerance: Annotated[float, Field(ge=0, strict=False)] = 0
    explanation: Prose


View = Literal[
    "frames", "lanes", "timeline", "exits", "cpu", "memory", "consoles", "program", "resources", "snapshots"
]  # fmt: skip


class FigureTable(Table):
    """The keys of a `figure` block, whose first line names a view of the workbench."""

    alt: Annotated[str, StringConstraints(strip_whitespace=True, min_length=10, max_length=300)]
    caption: Prose


@dataclass(frozen=True)
class Choice:
    """One of the answers offered by a question."""

    id: str
    html: str


@dataclass(frozen=True)
class Verdict:
    """What an answer was worth. Private until the student has answered."""

    correct: bool
    answer: str
    explanation_html: str
    is_hint: bool = False


@dataclass(frozen=True)
class Price:
    """What opening a hint costs: points of a check."""

    check: str
    points: int


@dataclass(frozen=True)
class Question:
    """A predict-question. `answer`, `tolerance` and `explanation_html` are private.

    One with a `price` is a hint that is opened by its only answer, and then explained; it is no prediction.

    With `choices` the answer is a choice's id; without, it is a number in `unit`.
    """

    id: str
    prompt_html: str
    choices: tuple[Choice, ...]
    unit: str
    answer: str | int | float
    tolerance: float
    explanation_html: str
    price: Price | None = None

    def judge(self, value: object) -> Verdict:
        """Return the verdict on a student's answer; raise LessonError if it is no answer to this question."""
        answer = self._choice(value) if self.choices else self._number(value)
        return Verdict(
            self._is_right(answer), str(self.answer), self.explanation_html, self.price is not None
        )

    def _is_right(self, answer: str | float) -> bool:
        if isinstance(answer, str) or isinstance(self.answer, str):
            return answer == self.answer
        return abs(answer - self.answer) <= self.tolerance

    def _choice(self, value: object) -> str:
        known = [choice.id for choice in self.choices]
        if value not in known:
            raise LessonError(self.id, 0, 0, f"this answer is not offered; choose one of {', '.join(known)}")
        return str(value)

    def _number(self, value: object) -> float:
        try:
            number = float(str(value).strip()[:40].replace("_", ""))
        except ValueError:
            number = float("nan")
        if not abs(number) < 1e30:
            raise LessonError(
                self.id, 0, 0, f"the answer must be a number{f' of {self.unit}' if self.unit else ''}"
            )
        return number


@dataclass(frozen=True)
class Block:
    """A piece of a step, in reading order. `html` is safe to print; only kind `predict` has a `question`.

    `notes` are for who teaches: no page for students holds them.
    """

    kind: Literal["text", "hint", "listing", "predict", "figure", "notes"]
    html: str
    question: Question | None = None


@dataclass(frozen=True)
class Step:
    """A part of the lesson under one heading; the introduction has the id `introduction`."""

    id: str
    title: str
    blocks: tuple[Block, ...]

    @property
    def html(self) -> str:
        """Return the whole step as HTML, its questions as plain fieldsets."""
        return "".join(block.html for block in self.blocks if block.kind != "notes")


@dataclass(frozen=True)
class Partial:
    """What earns a part of a check's points, and what is said then."""

    expect: Expression
    points: int
    say: str


@dataclass(frozen=True)
class Check:
    """Something that must be true of the lab's state or history, and what to say when it is not.

    It is looked at when the checks that it `needs` have passed. Of a `hidden` one only the title is shown
    until it passes, and also of one that `reveals` the answers of questions, until these are answered.
    `tries` and `declines` say how often it may fail, and what that costs.
    """

    id: str
    title: str
    points: int
    expect: Expression
    why: str
    help: str
    partial: tuple[Partial, ...] = ()
    needs: tuple[str, ...] = ()
    hidden: bool = False
    tries: int | None = None
    declines: DeclineTable | None = None
    reveals: tuple[str, ...] = ()


@dataclass(frozen=True)
class Lesson:
    """A loaded lesson, drawn for one seed. `solution`, `wrong`, `checks` and `files` are private."""

    id: str
    slug: str
    number: int
    title: str
    summary: str
    minutes: int
    objectives: tuple[str, ...]
    version: str
    steps: tuple[Step, ...]
    questions: Mapping[str, Question]
    lab_config: LabConfig
    lab_text: str
    programs: Mapping[str, Program]
    checks: tuple[Check, ...]
    solution: Script | None
    wrong: Mapping[str, Script]
    prerequisites: tuple[str, ...] = ()
    parameters: Parameters = field(default_factory=lambda: Parameters({}))
    params: Mapping[str, Value] = field(default_factory=lambda: dict[str, Value]())
    seed: int = 0
    files: Mapping[str, bytes] = field(default_factory=lambda: dict[str, bytes]())
    redraw: "Callable[[int], Lesson] | None" = field(default=None, compare=False, repr=False)

    def drawn(self, seed: int) -> "Lesson":
        """Return this version of the lesson as the student with a seed has it; raise LessonErrors."""
        if seed == self.seed:
            return self
        if self.redraw is None or not self.parameters.items:
            return replace(self, seed=seed)
        return self.redraw(seed)

    def question(self, question_id: str) -> Question:
        """Return a question; raise LessonError if the lesson has none of that id."""
        if question_id not in self.questions:
            message = f"there is no question '{shown(question_id)}'{nearest(question_id, self.questions)}"
            raise LessonError(self.slug, 0, 0, message)
        return self.questions[question_id]

    @property
    def points(self) -> int:
        """Return the points that can be earned."""
        return sum(check.points for check in self.checks)
