"""The documentation of the format is true: its example is a sound lesson, its tables are complete."""

import re
from pathlib import Path

from app.lessons.facts import FUNCTIONS, METHODS, RECORDS
from app.lessons.lint import lint_lesson
from app.lessons.load import load_lesson
from tests.lessons.conftest import WriteLesson

PROJECT = Path(__file__).resolve().parents[2]
FORMAT = (PROJECT / "app" / "lessons" / "README.md").read_text()
CHECKS = (PROJECT / "app" / "grading" / "README.md").read_text()

HELLO = "_start: wfi\n\n        li t0, 1\nnext_character:\n        j next_character\n"


def between(start: str, end: str) -> str:
    begun = FORMAT.index(start) + len(start)
    return FORMAT[begun : FORMAT.index(end, begun)]


def test_the_example_is_a_sound_lesson(write_lesson: WriteLesson) -> None:
    script = re.sub(r"caught_by:.*\n", "", between("```yaml\n", "```\n"))
    files: dict[str, str | bytes] = {
        "lesson.md": between("````markdown\n", "````\n"),
        "guest/hello.s": HELLO,
        "solution/actions.yaml": script,
    }
    directory = write_lesson(files=files)
    assert [str(error) for error in lint_lesson(directory)] == []
    lesson = load_lesson(directory)
    assert {block.kind for step in lesson.steps for block in step.blocks} == {
        "text",
        "hint",
        "listing",
        "predict",
    }


def test_every_function_field_and_method_is_documented() -> None:
    table = "\n".join(line for line in CHECKS.splitlines() if line.startswith("| `"))
    assert set(re.findall(r"`(\w+)\(", table)) == set(FUNCTIONS)
    for name in (*RECORDS["fault"], *RECORDS["frames"]):
        assert f"`{name}`" in CHECKS
    for _, name in METHODS:
        assert name in FORMAT
