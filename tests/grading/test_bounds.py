"""Bounds of checks are made twice as wide, and never anything else; that never raises."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.grading.bounds import wider
from app.lessons.evaluate import Evaluator
from app.lessons.expression import Expression, parse
from app.lessons.model import Check


def widened(text: str, **names: str | int) -> list[Expression]:
    return [found.expect for found in wider(Check("x", "X", 1, parse(text).bound(names), "", ""))]


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("{} <= 10", 20, True),
        ("{} <= 10", 21, False),
        ("{} < 0.1", 0.19, True),
        ("{} < 0.1", 0.2, False),
        ("{} > 1.8", 0.95, True),
        ("{} > 1.8", 0.9, False),
        ("10 >= {}", 20, True),
        ("10 >= {}", 21, False),
        ("90 <= {}", 45, True),
        ("90 <= {}", 44, False),
        ("{} <= -4", -2, True),
        ("{} <= -4", -1, False),
        ("{} >= -4", -8, True),
        ("{} >= -4", -9, False),
        ("{} < 2 * 3", 11, True),
        ("{} < 2 * 3", 12, False),
        ("{} <= most", 14, True),
        ("{} <= most", 15, False),
    ],
)
def test_a_bound_is_moved_to_where_the_check_is_easier(text: str, value: float, holds: bool) -> None:
    sign = f"[{abs(value)}][0]" if value >= 0 else f"(0 - [{abs(value)}][0])"
    (found,) = widened(text.format(sign), most=7)
    assert Evaluator(found).value(found.root) is holds


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('exits("a") <= 3 && (steal("a", last="1s") < 0.1 || pcpus() >= 4)', 3),
        ('faults("a").exists(f, f.gpa > 4096)', 1),
        ('faults("a").filter(f, f.gpa > 4096).size() >= 2', 1),
        ('run_ms("a") > 4.4 * run_ms("b")', 1),
        ('run_ms("a") > run_ms("b") && events("exit").size() < events("fault").size()', 0),
        ('pcpus() > 2 ? exits("a") < 5 : exits("a") < 9', 2),
        ('!(exits("a") <= 3)', 0),
        ('exits("a") == 3 && exits("a") != 4', 0),
        ('starts("a") >= 1 && exits("a") > 0', 0),
        ('console("a") < "z" && console("a") < word && console("a") < console("b")', 0),
        ('exits("a") < 1 / 0', 0),
    ],
)
def test_only_bounds_are_moved(text: str, expected: int) -> None:
    assert len(widened(text, word="w")) == expected


@given(st.sampled_from(["<", "<=", ">", ">="]), st.integers(-50, 50), st.integers(-200, 200))
def test_a_wider_bound_passes_whatever_the_check_passes(operator: str, bound: int, value: int) -> None:
    text = f"[{value}][0] {operator} {bound}" if value >= 0 else f"(0 - [{-value}][0]) {operator} {bound}"
    for found in widened(text):
        assert Evaluator(found).value(found.root) or not Evaluator(found).value(parse(text).root)
