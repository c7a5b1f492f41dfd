"""A check result says in words what was expected, what was found, why it matters and what to do."""

import pytest

from app.grading.results import grade_check
from app.lessons.expression import parse
from app.lessons.model import Check
from tests.grading.conftest import RecordedFacts


def graded(text: str, facts: RecordedFacts):
    return grade_check(Check("x", "A title", 3, parse(text), "because", "do this"), facts)


def test_a_passed_check_earns_its_points(facts: RecordedFacts) -> None:
    result = graded('state("a") == "shut off"', facts)
    assert (result.passed, result.points, result.earned) == (True, 3, 3)
    assert result.as_dict()["title"] == "A title"


@pytest.mark.parametrize(
    ("text", "expected", "actual"),
    [
        ('state("b") == "running"', 'the state of VM b is "running"', 'the state of VM b is "crashed"'),
        (
            'exits("a", "sbi") <= 2',
            "the number of sbi exits of VM a is at most 2",
            "the number of sbi exits of VM a is 20",
        ),
        (
            'console("b").contains("Hello")',
            'the console of VM b contains "Hello"',
            "the console of VM b is empty",
        ),
        (
            'state("a") == "shut off" && exits("a") > 100',
            'the state of VM a is "shut off" and the number of exits of VM a is more than 100',
            "the number of exits of VM a is 21",
        ),
        (
            'starts("a") > 1 || starts("b") > 1',
            "the number of starts of VM a is more than 1 or the number of starts of VM b is more than 1",
            "the number of starts of VM a is 1; the number of starts of VM b is 1",
        ),
        (
            '!ran("a", "b")',
            "not: VM a and VM b ran at the same time",
            "VM a and VM b ran at the same time: yes",
        ),
        (
            'faults("b")[0].gpa == 0x80000000',
            "gpa of number 1 in the list of faults of VM b is 0x80000000",
            "gpa of number 1 in the list of faults of VM b is 0x80100000",
        ),
        (
            'faults("a").size() >= 1',
            "the length of the list of faults of VM a is at least 1",
            "the length of the list of faults of VM a is 0",
        ),
        (
            'faults("a")[0].gpa == 1',
            "gpa of number 1 in the list of faults of VM a is 1",
            'faults("a") has 0 element(s), none at [0]',
        ),
        (
            'faults("a").exists(f, f.gpa == 1)',
            "the list of faults of VM a has one where gpa is 1",
            "the list of faults of VM a is empty",
        ),
        (
            'faults("b").exists(f, f.gpa == 1)',
            "the list of faults of VM b has one where gpa is 1",
            (
                'the list of faults of VM b is cause "load guest-page fault", gpa 0x80100000, gva 0x80100000,'
                ' pc 0x80000010, instruction "lbu t1, 0(s0)", neighbours unchanged yes'
            ),
        ),
        (
            'run_ms("a") > 10',
            "the run time of VM a in ms is more than 10",
            "the run time of VM a in ms is 2.5",
        ),
    ],
)
def test_a_failed_check_speaks_in_sentences(
    text: str, expected: str, actual: str, facts: RecordedFacts
) -> None:
    result = graded(text, facts)
    assert not result.passed
    assert (result.earned, result.why, result.help) == (0, "because", "do this")
    assert (result.expected, result.actual) == (expected, actual)


def test_a_long_console_is_shortened(facts: RecordedFacts) -> None:
    facts.console = lambda vm: "x" * 100_000  # type: ignore[method-assign]
    assert len(graded('console("a").contains("Hello")', facts).actual) < 250
