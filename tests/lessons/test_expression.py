"""Check expressions are parsed and type-checked; each fault has its column and a remedy."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.lessons.expression import MAXIMUM_LENGTH, ExpressionError, parse
from app.lessons.typecheck import check_expression


def check(text: str) -> None:
    check_expression(parse(text), {"a", "b"}, {"how-many"})


@pytest.mark.parametrize(
    "text",
    [
        'console("a").contains("Hello")',
        'state("a") == "shut off"',
        'state("a") in ["shut off", "crashed"]',
        'exits("a", "sbi") >= 3',
        'exits("a", reason="sbi") >= 3 && exits("a") < 100',
        'faults("b").size() >= 1',
        'faults("b").exists(f, f.gpa >= 0x80100000 && f.cause.startsWith("load"))',
        'faults("b")[0].gpa % 4096 == 0',
        'frames("a").unchanged',
        'frames("a").hash == frames("a").at_start',
        'ran("a", "b")',
        "vms().all(v, vcpus(v) == 1)",
        'run_ms("a") / ready_ms("a") > 0.9',
        'time_ms() > 5 ? state("a") == "running" : true',
        'correct("how-many")',
        '!(state("a") == "crashed") || -1 < 2 * 3 - 4',
        '["a", "b"].map(v, exits(v)).filter(n, n > 3).size() == 2',
    ],
)
def test_a_sound_expression_is_accepted(text: str) -> None:
    check(text)


@pytest.mark.parametrize(
    ("text", "column", "message"),
    [
        ("", 1, "expected a value, found the end"),
        ('state("a") = "x"', 12, "expected an operator or the end, found '='; write == to compare"),
        ('state("a" == "x"', 17, "expected ')', found the end"),
        ('state("a) == 1', 7, "a text ends with the same quote on the same line"),
        ("true & false", 6, "write && or ||"),
        ("1 2", 3, "expected an operator or the end, found '2'"),
        ('state("a").', 12, "expected a field or method name, found the end"),
        ('"\\q" == ""', 2, "unknown escape \\q"),
        ("0x1_0000_0000_0000_0000 == 1", 1, "the number has more than 64 bits"),
        ('sate("a") == "x"', 1, "unknown function 'sate'; did you mean 'state'?"),
        ("state == 1", 1, "unknown name 'state'; write state(...)"),
        ('state("c") == "running"', 7, "the lesson has no VM 'c'; known: a, b"),
        ('correct("how-mny")', 9, "the lesson has no question 'how-mny'; did you mean 'how-many'?"),
        ('state("a") == "runing"', 15, "'runing' is never the case here; did you mean 'running'?"),
        ('exits("a", "mimo") > 1', 12, "'mimo' is never the case here; did you mean 'mmio'?"),
        ('exits("a", raeson="sbi") > 1', 19, "exits() has no argument 'raeson'; did you mean 'reason'?"),
        ('exits("a", reason="sbi", "x") > 1', 26, "expected a named argument after a named one"),
        ("exits() > 1", 1, "exits() needs the argument 'vm'"),
        ('exits("a", "sbi", "1s", 1) > 1', 1, "exits() takes at most 3 argument(s)"),
        ("exits(1) > 1", 7, "expected a text, found an int"),
        ('exits("a")', 1, "gives an int; a check must be true or false"),
        ('exits("a") > "x"', 1, "cannot compare an int with a text"),
        ('exits("a") && true', 1, "expected a bool, found an int"),
        ("true < false", 1, "'<' does not order values of type bool"),
        ('frames("a").hsah == ""', 1, "a frames has no field 'hsah'; did you mean 'hash'?"),
        ('console("a").contain("x")', 1, "a text has no method 'contain'; did you mean 'contains'?"),
        ('console("a").size > 1', 1, "a text has no field 'size'; write .size()"),
        ('console("a").contains(1)', 23, "expected a text, found an int"),
        ('faults("a").exists(f)', 1, "write it as LIST.exists(x, EXPRESSION WITH x)"),
        ('faults("a").exists(f, g.gpa == 1)', 23, "unknown name 'g'"),
        ('faults("a")["x"].gpa == 1', 13, "expected an int, found a text"),
        ('"a"[0] == ""', 1, "[ ] needs a list, found a text"),
        ("[] == []", 1, "an empty list has no use here"),
        ('1 in "a"', 6, "'in' needs a list on its right, found a text"),
        ('"a" - "b" == ""', 1, "'-' needs a number on its left, found a text"),
    ],
)
def test_a_fault_has_its_column_and_a_remedy(text: str, column: int, message: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        check(text)
    assert message in caught.value.message
    assert caught.value.column == column


@pytest.mark.parametrize(
    "bomb",
    [
        "(" * 1_000 + "1" + ")" * 1_000,
        "!" * 1_500 + "true",
        "-" * 1_500 + "1 == 1",
        "+".join(["1"] * 900) + " == 1",
        "[" * 900 + "1" + "]" * 900,
        "true ? " * 200 + "true" + " : true" * 200,
        '"a"' + ".size()" * 250,
        "x" * (MAXIMUM_LENGTH + 1),
        "[[1]]" + "[0]" * 500,
    ],
)
def test_an_expression_bomb_is_refused(bomb: str) -> None:
    with pytest.raises(ExpressionError):
        check(bomb)


@settings(max_examples=300)
@given(st.text(alphabet="ab01\"'.,()[]&|!=<>+-*/%?: \\nx_f", max_size=60))
def test_any_text_is_an_expression_or_a_located_error(text: str) -> None:
    column = 1
    try:
        check(text)
    except ExpressionError as error:
        column = error.column
    assert 1 <= column <= len(text) + 1


def test_a_stretch_of_time_is_written_out() -> None:
    for text, expected in (
        ('steal("a", last="soon") < 1.0', "'soon' is not a quantity; write it like '500 ms'"),
        ('steal("a", last="0 ms") < 1.0', 'write the time out, like "500 ms"'),
        ('steal("a", last="1 m") < 1.0', "unknown unit 'm'"),
        ('steal("a", last=console("a")) < 1.0', 'write the time out, like "500 ms"'),
        ('measured("a", "cpus", last="1 s") < 1.0', "did you mean 'cpu'?"),
    ):
        with pytest.raises(ExpressionError) as caught:
            check_expression(parse(text), {"a"}, set())
        assert expected in caught.value.message
