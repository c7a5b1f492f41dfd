"""`vmlab test-lesson` finds lessons whose checks catch too little, too much, or nothing."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.grading.mutants import mutants
from app.lessons.expression import parse
from app.lessons.model import Check
from tests.lessons.conftest import FRONT, WriteLesson
from tests.lessons.test_run import HELLO

SHOUTS = FRONT.replace('contains("Hello")', "contains(letter)").replace(
    "lab:\n", "params:\n  letter: {one_of: [H, J, K, L]}\nlab:\n"
)
BODY = "Welcome.\n"
SOLUTION = "steps:\n  - start: a\n  - run: 2 ms\n"
FILES: dict[str, str | bytes] = {
    "guest/hello.s": HELLO.replace("'H'", "'{{ letter }}'"),
    "solution/actions.yaml": SOLUTION,
    "wrong/other.yaml": "caught_by: hello\nsteps:\n"
    "  - edit: {vm: a, old: \"'{{ letter }}'\", new: \"'x'\"}\n  - start: a\n  - run: 2 ms\n",
    "wrong/soon.yaml": "caught_by: hello\nsteps:\n  - start: a\n  - run: 3 us\n",
}


def tried(
    capsys: pytest.CaptureFixture[str], directory: Path, *options: str, status: int = 0
) -> dict[str, Any]:
    assert main(["test-lesson", str(directory), "--json", "--jobs", "1", *options]) == status
    (report,) = json.loads(capsys.readouterr().out)
    return report


def test_a_lesson_that_works_passes_for_every_seed(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tried(capsys, write_lesson(SHOUTS, BODY, FILES), "--seeds", "6", "--mutate")
    assert (report["faults"], report["wrong"], report["caught"]) == ([], 12, 12)
    assert (report["mutants"], report["noticed"]) == (3, 3)
    assert len({trial["params"]["letter"] for trial in report["trials"]}) > 1


FAULTY = [
    (
        {"solution/actions.yaml": "steps:\n  - start: a\n"},
        "the solution fails check 'hello': the console of VM a is empty",
    ),
    (
        {"wrong/other.yaml": "caught_by: hello\nsteps:\n  - start: a\n  - run: 9 ms\n"},
        "wrong/other.yaml is not caught by 'hello'; nothing catches it",
    ),
    ({"wrong/soon.yaml": "caught_by: hello\nsteps:\n  - start: z\n"}, "soon.yaml:3:5: there is no VM 'z'"),
    (
        {"solution/actions.yaml": SOLUTION + "  - refused: {verb: start, vm: a}\n"},
        "actions.yaml:4:5: the lab does not refuse this 'start'",
    ),
    (
        {"lesson.md": SHOUTS.replace(".contains(letter)", ' == ""') + BODY},
        "an empty attempt earns 2 points of check 'hello'",
    ),
]


@pytest.mark.parametrize(("changes", "expected"), FAULTY)
def test_what_is_wrong_with_a_lesson_is_said_with_its_seed(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], changes: dict[str, str], expected: str
) -> None:
    report = tried(capsys, write_lesson(SHOUTS, BODY, {**FILES, **changes}), "--seed", "5", status=1)
    assert any(fault.startswith("seed 5: ") and expected in fault for fault in report["faults"])


def test_a_fault_of_many_seeds_is_said_once_with_how_to_look_at_it(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_lesson(SHOUTS, BODY, {**FILES, "solution/actions.yaml": "steps:\n  - start: a\n"})
    assert main(["test-lesson", str(directory), "--seeds", "5", "--jobs", "1"]) == 1
    said = capsys.readouterr().out
    assert said.count("the solution fails check 'hello'") == 1
    assert "  5 of 5 seeds: the solution fails check 'hello': the console of VM a is empty (" in said
    assert "look: vmlab run 03-mine --seed " in said


def test_a_script_can_say_that_an_action_is_refused(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = {"solution/actions.yaml": SOLUTION + "  - refused: {verb: start, vm: z}\n"}
    assert tried(capsys, write_lesson(SHOUTS, BODY, {**FILES, **refused}))["faults"] == []


def test_a_condition_that_nobody_needs_is_named(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    front = SHOUTS.replace("contains(letter) &&", 'contains(letter) && vcpus("a") == 1 &&')
    report = tried(capsys, write_lesson(front, BODY, FILES), "--mutate", status=1)
    assert len(report["faults"]) == 3  # one for each seed
    assert 'nobody notices hello without vcpus("a") == 1; drop it, or write' in report["faults"][0]
    assert (report["mutants"], report["noticed"]) == (4, 3)


def test_several_processes_come_to_the_same(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_lesson(SHOUTS, BODY, FILES)
    alone = tried(capsys, directory, "--seeds", "2")
    assert main(["test-lesson", str(directory), "--json", "--jobs", "2", "--seeds", "2"]) == 0
    (both,) = json.loads(capsys.readouterr().out)
    for report in (alone, both):
        report.pop("seconds")
        for trial in report["trials"]:
            trial.pop("seconds")
    assert both == alone


def test_every_condition_is_weakened_alone() -> None:
    text = 'pcpus() == 1 && vms().exists(v, v == "a" && v != "b" && true) && !(pcpus() == 2 && pcpus() == 3)'
    found = [mutant.dropped for mutant in mutants(Check("x", "X", 1, parse(text), "", ""))]
    assert found[0] == ""
    assert set(found) >= {"pcpus() == 1", 'v == "a"', 'v != "b"', "true"}
    assert not {"pcpus() == 2", "pcpus() == 3"} & set(found)
    assert len(found) == 7, found


@pytest.mark.parametrize(("calls", "warnings"), [(2, 0), (5, 1)])
def test_a_bound_that_no_attempt_comes_near_is_a_warning(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], calls: int, warnings: int
) -> None:
    front = SHOUTS.replace("contains(letter) &&", 'contains(letter) && exits("a", "sbi") <= 2 &&')
    once = "li a0, '{{ letter }}'\\n        ecall"
    often = once + "\\n        ecall" * (calls - 1)
    script = f'caught_by: hello\nsteps:\n  - edit: {{vm: a, old: "{once}", new: "{often}"}}\n'
    files = {**FILES, "wrong/chatty.yaml": script + "  - start: a\n  - run: 2 ms\n"}
    report = tried(capsys, write_lesson(front, BODY, files), "--mutate", "--seeds", "2")
    assert (report["faults"], report["wide"]) == ([], ['hello: exits("a", "sbi") <= 2'] * warnings)
