"""Parameters, expressions, figures and courses written to do harm give located errors, soon."""

import time
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.lessons import LessonErrors, load_course, load_lesson
from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import ExpressionError, parse
from app.lessons.params import plain
from app.lessons.typecheck import check_expression
from tests.grading.conftest import RecordedFacts
from tests.lessons.conftest import FRONT, WriteLesson
from tests.lessons.test_params import DRAWN, TEXT

NUMBERS = "[0,1,2,3,4,5,6,7,8,9]"
DEEP_MAP = (
    f"{NUMBERS}.map(a, {NUMBERS}.map(b, {NUMBERS}.map(c, {NUMBERS}.map(d, {NUMBERS}.size()).size()).size()))"
)


def params(text: str) -> str:
    return FRONT.replace("lab:\n", f"params:\n{text}lab:\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (f"  a: {{one_of: [{','.join(map(str, range(5000)))}]}}\n", "must be at most 200 long"),
        ("  a: {token: 1000000000}\n", "token is '1000000000'"),
        ("  a: {from: 0, to: 99999999999999999999}\n", "to is 1e+20 (a number); must be a whole number"),
        ("  a: {from: -5, to: 5}\n", "from must be from 0 to 2^63"),
        ("  a: {from: 1, to: 9, step: 0}\n", "'step' at least 1"),
        ("".join(f"  p{n}: {{token: 4}}\n" for n in range(60)), "params must be 1 to 40 lines"),
        (f"  a: {{value: '{'1+' * 300}1'}}\n", "at most 500 long"),
        ("  a: {value: '" + "(" * 60 + "1" + ")" * 60 + "'}\n", "nested deeper than 25 levels"),
        (f"  a: {{value: '{DEEP_MAP}.size()'}}\n", "the check took more than 20000 steps"),
        ("  a: {value: '9223372036854775807 * 4'}\n", "a number has more than 64 bits"),
        ("  a: {value: 'console(\"a\").size()'}\n", "unknown function 'console'"),
        ("  a: {value: a + 1}\n", "unknown name 'a'"),
        (
            "  a: {one_of: ['<script>alert(1)</script>', b]}\n",
            "one_of: '<script>alert(1)</script>' cannot be put into every file",
        ),
        ("  a: {one_of: ['x\\ny', b]}\n", "one_of"),
        ("  a: &x {token: 5}\n  b: *x\n", "anchors (&name) are not allowed"),
        ("  a: !!python/name:os.system {token: 5}\n", "tags (tag:yaml.org"),
        ("  __class__: {token: 5}\n", "'__class__' is no name"),
    ],
)
def test_a_hostile_parameter_is_refused_at_its_line(
    write_lesson: WriteLesson, text: str, expected: str
) -> None:
    started = time.process_time()
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(params(text)))
    assert str(caught.value).startswith("lessons/03-mine/lesson.md:")
    assert expected in str(caught.value)
    assert time.process_time() - started < 5


def test_a_hundred_thousand_names_are_put_in_soon(write_lesson: WriteLesson) -> None:
    started = time.process_time()
    for piece in ("{{ word }} ", "{{", "{{ word | ", "}}{{", "{{word|KiB}} "):
        with suppress(LessonErrors):
            load_lesson(write_lesson(DRAWN, piece * 20_000))
    assert time.process_time() - started < 40


def test_a_figure_cannot_break_out_of_its_attributes(write_lesson: WriteLesson) -> None:
    body = (
        "```figure lanes\nalt: '\"><script>alert(1)</script>'\ncaption: '<img src=x onerror=alert(1)>'\n```\n"
    )
    html = load_lesson(write_lesson(body=body)).steps[0].html
    assert "<script" not in html
    assert "<img" not in html
    assert 'aria-label="&quot;&gt;&lt;script&gt;' in html


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("schema: 1\ntitle: &a [x]\nlessons: *a\n", "anchors (&name)"),
        ("lessons: " + "[" * 5_000, "nested deeper than 16 levels"),
        ("title: abc\u202edef\n", "U+202E (RIGHT-TO-LEFT OVERRIDE) is invisible"),
        ("schema: 1\ntitle: x\nlessons: [../../../etc/passwd]\n", "course.yaml:3:11: lessons.0"),
        ("x" * (600 * 1024), "must have at most 512 KiB"),
    ],
)
def test_a_hostile_course_is_refused(write_lesson: WriteLesson, text: str, expected: str) -> None:
    root = write_lesson().parent
    (root / "course.yaml").write_text(text)
    with pytest.raises(LessonErrors) as caught:
        load_course(root)
    assert expected in str(caught.value)
    assert "lessons/course.yaml" in str(caught.value)


def test_a_link_out_of_the_course_is_not_followed(write_lesson: WriteLesson, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("SECRET")
    root = write_lesson().parent
    (root / "course.yaml").symlink_to(tmp_path / "secret.yaml")
    with pytest.raises(LessonErrors, match="leads outside") as caught:
        load_course(root)
    assert "SECRET" not in str(caught.value)


PIECES = st.sampled_from(
    [
        *"()[],.?:+-*/%!<>=\"' ",
        *("&&", "||", "==", "in", "true", "1", "0", "2.5", "9999999999999999999", "0xff", '"a"', "KiB", "x"),
        *('exits("a")', 'console("a")', 'vms().map(x, x + "y")', ".size()", ".count", '.contains("a")'),
        *(
            'faults("b")',
            "[0]",
            ".exists(f, f.gpa > 1)",
            'cpu_share("a", last="1s")',
            "99.9",
            '"' + "é" * 9 + '"',
        ),
    ]
)


@settings(max_examples=400)
@given(st.lists(PIECES, max_size=14))
def test_any_expression_has_a_value_or_a_located_fault(pieces: list[str]) -> None:
    text = "".join(pieces)
    compared = f"({text}) == ({text})"
    try:
        expression = parse(compared).bound(plain({}))
        check_expression(expression, {"a", "b"}, set())
    except ExpressionError as error:
        column = error.column
    else:
        column = 1
        with suppress(NoValue):
            Evaluator(expression, RecordedFacts()).value(expression.root)
    assert 1 <= column <= len(compared) + 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    at=st.integers(0, 1_000),
    length=st.integers(0, 30),
    piece=st.sampled_from(
        ["", "{{", "}}", "{{ memory }}", "\n", ": ", "from", "value: 1/0", "[", "KiB", "0"]
    ),
)
def test_mutilated_parameters_never_cause_a_traceback(
    write_lesson: WriteLesson, at: int, length: int, piece: str
) -> None:
    with suppress(LessonErrors):
        load_lesson(write_lesson(DRAWN[:at] + piece + DRAWN[at + length :], TEXT))
