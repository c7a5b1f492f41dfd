"""`vmlab lint` finds the checks that tell the answer of a question when they fail."""

import pytest

from app.cli import main
from tests.lessons.conftest import FRONT, WriteLesson

PARAMS = "params:\n  loops: {from: 10, to: 900}\nlab:\n"
OLD = 'console("a").contains("Hello") && state("a") == "shut off"'
BODY = """\
It has {{ loops }}.

```predict how-many
question: How many?
unit: exits
answer: ANSWER
explanation: So many.
```
"""
SOLUTION = "steps:\n  - start: a\n"


def said(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], front: str, answer: str = "{{ loops }}"
) -> str:
    files = {"solution/actions.yaml": SOLUTION}
    directory = write_lesson(front.replace("lab:\n", PARAMS, 1), BODY.replace("ANSWER", answer), files)
    main(["lint", str(directory)])
    return capsys.readouterr().out


@pytest.mark.parametrize(
    ("expect", "answer"),
    [
        ('exits("a") <= loops', "{{ loops }}"),
        ('exits("a") == 3 * (loops + 1) - 3 - 2 * loops', "{{ loops }}"),
        ('exits("a") > 1 && !(starts("a") == {{ loops }})', "{{ loops }}"),
        ('console("a").contains("I counted {{ loops }} words")', "{{ loops }}"),
        ('exits("a") <= 4096', "4096"),
    ],
)
def test_a_check_that_tells_an_answer_is_a_fault(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], expect: str, answer: str
) -> None:
    front = FRONT.replace(OLD, f"'{expect}'")
    message = "check 'hello' tells the answer to 'how-many' when it fails; add `reveals: [how-many]`\n"
    assert said(write_lesson, capsys, front, answer) == f"lessons/03-mine/lesson.md:16: {message}"
    revealing = front.replace("    points: 2\n", "    points: 2\n    reveals: [how-many]\n")
    assert said(write_lesson, capsys, revealing, answer) == ""
    hidden = front.replace("    points: 2\n", "    points: 2\n    hidden: true\n")
    assert said(write_lesson, capsys, hidden, answer) == ""


@pytest.mark.parametrize(
    ("expect", "answer"),
    [
        ('exits("a") <= loops + 1', "{{ loops }}"),
        ('exits("a") <= 4', "4"),
        ('exits("a") <= loops', "77"),
        ('console("a").contains("v{{ loops }}.2")', "{{ loops }}"),
    ],
)
def test_what_is_near_an_answer_or_small_is_none(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], expect: str, answer: str
) -> None:
    assert said(write_lesson, capsys, FRONT.replace(OLD, f"'{expect}'"), answer) == ""


def test_a_title_that_tells_an_answer_is_a_fault(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    front = FRONT.replace("title: VM a says hello", "title: VM a counts to {{ loops }}.")
    expected = "the title of check 'hello' tells the answer to 'how-many'; leave the number out\n"
    assert said(write_lesson, capsys, front) == f"lessons/03-mine/lesson.md:16: {expected}"


def test_only_questions_are_revealed(write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]) -> None:
    front = FRONT.replace("    points: 2\n", "    points: 2\n    reveals: [how-mny]\n")
    expected = "reveals: there is no question 'how-mny'; did you mean 'how-many'?"
    assert expected in said(write_lesson, capsys, front)
