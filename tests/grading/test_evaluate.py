"""Expressions have CEL's values, and no expression can run for long or grow large."""

import time

import pytest

from app.lessons.evaluate import Evaluator, NoValue
from app.lessons.expression import parse
from app.lessons.typecheck import check_expression
from tests.grading.conftest import RecordedFacts


def value(text: str, facts: RecordedFacts) -> object:
    expression = parse(text)
    return Evaluator(expression, facts).value(expression.root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1 + 2 * 3 - 4", 3),
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 2", -1),
        ("7.0 / 2", 3.5),
        ("0x10 == 16 && 1_000 == 1000", True),
        ("1 < 2 || 1 / 0 == 1", True),
        ("2 < 1 && 1 / 0 == 1", False),
        ("!true", False),
        ("1 > 2 ? 3 : 4", 4),
        ('"ab" + "c" == "abc"', True),
        ('"abc".contains("b") && "abc".startsWith("a") && "abc".endsWith("c")', True),
        ('"banana".count("an")', 2),
        ('"abc".size() + [1, 2].size()', 5),
        ('"a" in ["a", "b"]', True),
        ("[1, 2, 3].exists(x, x > 2)", True),
        ("[1, 2, 3].all(x, x > 2)", False),
        ("[1, 2, 3].filter(x, x > 1).map(x, x * 10)[1]", 30),
        ("[[1], [2]].exists(x, x.exists(y, y == 2))", True),
        ('"a\\n\\"b\\""', 'a\n"b"'),
    ],
)
def test_an_expression_has_its_value(text: str, expected: object, facts: RecordedFacts) -> None:
    assert value(text, facts) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('console("a").contains("Hello")', True),
        ('state("b")', "crashed"),
        ('exits("a", "sbi")', 20),
        ('exits("a", reason="wfi")', 0),
        ('exits("a")', 21),
        ('faults("b")[0].gpa == 0x80100000', True),
        ('faults("b").exists(f, f.cause == "load guest-page fault")', True),
        ('frames("a").unchanged && frames("a").hash == frames("a").at_start', True),
        ('ran("a", "b") && !ran("a", "zz")', True),
        ("vms().map(v, state(v))", ["shut off", "crashed"]),
        ('correct("one")', True),
    ],
)
def test_facts_are_looked_up(text: str, expected: object, facts: RecordedFacts) -> None:
    assert value(text, facts) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 / 0", "divides by zero"),
        ("1 % 0", "divides by zero"),
        ('faults("a")[0].gpa', r'faults\("a"\) has 0 element\(s\), none at \[0\]'),
        ('faults("b")[-1].gpa', r"none at \[-1\]"),
        ("0x7fff_ffff_ffff_ffff * 0x7fff_ffff_ffff_ffff", "more than 64 bits"),
    ],
)
def test_what_has_no_value_says_why(text: str, message: str, facts: RecordedFacts) -> None:
    with pytest.raises(NoValue, match=message):
        value(text, facts)


TEN = "[1,2,3,4,5,6,7,8,9,10]"
NESTED = f"{TEN}.map(a,{TEN}.map(b,{TEN}.map(c,{TEN}.map(d,{TEN}.map(e,a*b*c*d*e)))))"
DOUBLING = '["x"]' + ".map(x, x + x)" * 20


@pytest.mark.parametrize("text", [NESTED, f"{DOUBLING}{'.map(x, x + x)' * 10}.size()"])
def test_an_expression_is_bounded_in_time_and_memory(text: str, facts: RecordedFacts) -> None:
    started = time.process_time()
    with pytest.raises(NoValue, match=r"steps|too long"):
        value(text, facts)
    assert time.process_time() - started < 5


def test_every_function_of_the_vocabulary_has_its_fact(facts: RecordedFacts) -> None:
    from app.lessons.facts import FUNCTIONS, RECORDS

    for function in FUNCTIONS.values():
        required = {item.name: "a" for item in function.parameters if not item.optional}
        found = getattr(facts, function.name)(**required)
        kinds = {"text": str, "int": int, "double": float, "bool": bool, "list": list}
        assert isinstance(found, kinds.get(function.result.name, dict)), function.name
        if isinstance(found, dict):
            assert set(found) == set(RECORDS[function.result.name])


def test_values_have_the_types_that_were_checked(facts: RecordedFacts) -> None:
    for text in ('faults("b")[0]', 'frames("a")'):
        record = value(text, facts)
        assert isinstance(record, dict)
        from app.lessons.facts import RECORDS

        assert set(record) == set(RECORDS["fault" if "faults" in text else "frames"])
    check_expression(parse('faults("b")[0].neighbours_unchanged'), {"b"}, set())
