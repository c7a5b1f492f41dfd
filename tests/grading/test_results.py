"""A check result says in words what was expected, what was found, why it matters and what to do."""

from dataclasses import replace
from typing import Any

import pytest

from app.grading import after_tries
from app.grading.results import grade_check, grade_facts, grade_predictions, withheld
from app.lessons import load_lesson
from app.lessons.expression import parse
from app.lessons.model import Check, Choice, DeclineTable, Lesson, Partial, Price, Question
from app.paths import lessons_dir
from tests.grading.conftest import RecordedFacts

A_TO_B = (
    "the share of a pCPU that VM a held in the last 1s / the share of a pCPU that VM b held in the last 1s"
)


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
            'exits("a", "sbi") * 2 < 10 - 2 * 3',
            "the number of sbi exits of VM a × 2 is less than 4",
            "the number of sbi exits of VM a × 2 is 40",
        ),
        (
            '2 * (starts("a") - 3) == starts("b") + 1',
            "2 × (the number of starts of VM a − 3) is the number of starts of VM b + 1",
            "2 × (the number of starts of VM a − 3) is -4; the number of starts of VM b + 1 is 2",
        ),
        (
            'state("b") in ["running", "idle"]',
            'the state of VM b is one of "running", "idle"',
            'the state of VM b is "crashed"',
        ),
        (
            'console("b").contains("Hel" + "lo")',
            'the console of VM b contains "Hello"',
            "the console of VM b is empty",
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
            'exits("a", reason="sbi").count <= 10',
            "the number of sbi exits of VM a is at most 10",
            "the number of sbi exits of VM a is 20",
        ),
        (
            'cpu_share("a", last="1s") / cpu_share("b", last="1s") <= 2.1',
            f"{A_TO_B} is at most 2.1",
            f"{A_TO_B} is 3",
        ),
        (
            'steal("a", last="100 ms") < 0.1',
            "the steal time of VM a in the last 100 ms, as a share is less than 0.1",
            "the steal time of VM a in the last 100 ms, as a share is 0.5",
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


def a_lesson(checks: tuple[Check, ...]) -> Lesson:
    lesson = load_lesson(lessons_dir() / "02-the-wall")
    return replace(lesson, checks=checks)


def check(name: str, expect: str, points: int = 4, **more: Any) -> Check:
    return Check(name, name.title(), points, parse(expect), "because", "do this", **more)


def test_a_part_earns_a_part(facts: RecordedFacts) -> None:
    parts = (
        Partial(parse("pcpus() == 9"), 3, "three"),
        Partial(parse("pcpus() == 2"), 1, "two pCPUs at least"),
    )
    result = grade_check(check("x", "pcpus() == 4", partial=parts), facts)
    assert (result.status, result.passed, result.earned, result.note) == (
        "partial",
        False,
        1,
        "two pCPUs at least",
    )
    assert grade_check(check("x", "pcpus() == 2", partial=parts), facts).earned == 4


def test_a_check_waits_for_those_that_it_needs(facts: RecordedFacts) -> None:
    checks = (check("first", "pcpus() == 4"), check("second", "pcpus() == 2", needs=("first",)))
    first, second = grade_facts(a_lesson(checks), facts)
    assert (first.status, second.status, second.earned) == ("failed", "waiting", 0)
    assert second.actual == 'not looked at until this has passed: "First"'


def test_a_hidden_check_tells_nothing_until_it_passes(facts: RecordedFacts) -> None:
    shown = grade_check(check("x", "pcpus() == 4", hidden=True), facts).for_student()
    assert shown["title"] == "X"
    assert "pCPU" not in str(shown)
    assert "do this" not in str(shown)
    assert "pCPUs" in str(grade_check(check("x", "pcpus() == 2", hidden=True), facts).for_student())


def test_a_check_that_tells_answers_keeps_them_until_the_questions_are_answered(facts: RecordedFacts) -> None:
    question = Question("n", "<p>How <em>many</em>&nbsp;exits?</p>", (), "exits", 4, 0, "")
    telling = check("x", "pcpus() == 4", reveals=("n",), partial=(Partial(parse("pcpus() == 2"), 1, "4!"),))
    lesson = replace(a_lesson((telling, check("y", "pcpus() == 4"))), questions={"n": question})

    def shown(answers: dict[str, object]) -> list[dict[str, Any]]:
        return [each.for_student() for each in withheld(lesson, grade_facts(lesson, facts), answers)]

    before, other = shown({})
    assert before["expected"] == 'This check says more when you have answered: "How many exits?"'
    assert "4" not in f"{before['expected']}{before['actual']}{before['note']}{before['help']}{before['why']}"
    assert (before["status"], before["earned"]) == ("partial", 1)
    assert "the number of pCPUs is 4" in other["expected"]
    after = shown({"n": 7})[0]
    assert (after["expected"], after["note"]) == (other["expected"], "4!")


def test_a_check_that_passed_or_waits_says_so_whatever_it_would_tell(facts: RecordedFacts) -> None:
    question = Question("n", "How many?", (), "exits", 4, 0, "")
    checks = (
        check("x", "pcpus() == 2", reveals=("n",)),
        check("y", "pcpus() == 4"),
        check("z", "pcpus() == 4", reveals=("n",), needs=("y",)),
    )
    lesson = replace(a_lesson(checks), questions={"n": question})
    x, _, z = [each.for_student() for each in withheld(lesson, grade_facts(lesson, facts), {})]
    assert (x["passed"], x["why"]) == (True, "because")
    assert (z["status"], z["actual"]) == ("waiting", 'not looked at until this has passed: "Y"')


def test_failed_tries_cost_points_and_waiting_costs_none(facts: RecordedFacts) -> None:
    declining = check("x", "pcpus() == 2", declines=DeclineTable(after=1, by=2, least=1))
    lesson = a_lesson((declining,))
    results = grade_facts(lesson, facts)
    failed, waiting, passed = {"x": "failed"}, {"x": "waiting"}, {"x": "passed"}

    def earned(*earlier: dict[str, str]) -> int:
        return after_tries(lesson, results, earlier)[0].earned

    assert earned() == earned(failed) == earned(waiting, waiting, failed) == 4
    assert earned(failed, failed) == 2
    assert earned(*[failed] * 9) == 1
    assert earned(failed, passed, failed, failed) == 4
    assert "worth less after 2 failed tries" in after_tries(lesson, results, [failed, failed])[0].note


def test_a_check_may_be_tried_only_so_often(facts: RecordedFacts) -> None:
    lesson = a_lesson((check("x", "pcpus() == 2", tries=2),))
    results = grade_facts(lesson, facts)
    assert after_tries(lesson, results, [{"x": "failed"}])[0].earned == 4
    assert after_tries(lesson, results, [{"x": "failed"}] * 2)[0].earned == 0


def test_an_opened_hint_costs_points_of_its_check(facts: RecordedFacts) -> None:
    hint = Question("hint-1", "", (Choice("open", ""),), "", "open", 0, "text", Price("x", 3))
    lesson = replace(
        a_lesson((check("x", "pcpus() == 2"), check("y", "pcpus() == 2"))), questions={"hint-1": hint}
    )
    results = grade_facts(lesson, facts)
    assert [found.earned for found in after_tries(lesson, results, [], {})] == [4, 4]
    opened = after_tries(lesson, results, [], {"hint-1": "open"})
    assert [found.earned for found in opened] == [1, 4]
    assert opened[0].note == "a hint has cost 3"
    assert grade_predictions(lesson, {}) == []
