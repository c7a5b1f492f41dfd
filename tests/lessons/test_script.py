"""Scripts of actions are read with the place of every step."""

import pytest

from app.lessons import LessonError
from app.lessons.naming import named_ever
from app.lessons.script import Act, Answer, Edit, Run, read_script
from app.lessons.source import TextFile
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program


def read(text: str, wrong: bool = False):
    return read_script(TextFile("x/solution/actions.yaml", text), wrong)


def test_every_kind_of_step_is_read_in_order() -> None:
    script = read(
        "steps:\n"
        "  - start: a\n"
        "  - run: 20 ms\n"
        "  - {at: 50 ms, action: {verb: set_vm, vm: a, memory: 2 MiB}}\n"
        "  - edit: {vm: a, old: x, new: y}\n"
        "  - answer: {one: b, two: 256}\n"
    )
    act, run, until, change, edit, one, two = script.steps
    assert isinstance(act, Act)
    assert act.action == {"verb": "start", "vm": "a"}
    assert isinstance(run, Run)
    assert (run.duration_ns, run.absolute) == (20_000_000, False)
    assert isinstance(until, Run)
    assert (until.duration_ns, until.absolute, until.place.line) == (50_000_000, True, 4)
    assert isinstance(change, Act)
    assert change.action["memory"] == "2 MiB"
    assert isinstance(edit, Edit)
    assert (edit.vm, edit.old, edit.new) == ("a", "x", "y")
    assert isinstance(one, Answer)
    assert isinstance(two, Answer)
    assert (one.value, two.value) == ("b", 256)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("steps: []", "actions.yaml:1:1: steps is missing; write a list of steps"),
        ("stesp: []", "actions.yaml:1:1: unknown key 'stesp'; did you mean 'steps'?"),
        ("steps:\n  - strat: a", "actions.yaml:2:5: unknown key 'strat'; did you mean 'start'?"),
        ("steps:\n  - start: 1", "actions.yaml:2:5: start must be text"),
        ("steps:\n  - run: soon", "actions.yaml:2:5: 'soon' is not a quantity; write it like '20 ms'"),
        ("steps:\n  - run: 1000000 s", "actions.yaml:2:5: must be from 0 ms to 100 s"),
        ("steps:\n  - action: start", "actions.yaml:2:5: expected a mapping with a verb"),
        ("steps:\n  - edit: {vm: a, odl: x, new: y}", "unknown key 'odl'; did you mean 'old'?"),
        ("steps:\n  - answer: [a]", "expected question: answer pairs"),
        ("just text", "expected a mapping with the keys steps"),
        ("steps:\n" + "  - start: a\n" * 300, "more than 200 steps"),
    ],
)
def test_a_fault_of_a_script_is_located(text: str, expected: str) -> None:
    with pytest.raises(LessonError) as caught:
        read(text)
    assert expected in str(caught.value)


def test_a_wrong_script_names_what_must_catch_it() -> None:
    assert read("caught_by: hello\nsteps:\n  - start: a\n", wrong=True).caught_by == "hello"
    with pytest.raises(LessonError, match="caught_by is missing"):
        read("steps:\n  - start: a\n", wrong=True)


def test_the_vms_that_a_script_defines_are_known() -> None:
    script = read(
        "steps:\n  - action: {verb: define, name: d, program: p.s}\n  - action: {verb: start, vm: z}\n"
    )
    named = named_ever(LabConfig(), {"p.s": Program("p.s", source="")}, [script])
    assert named == {"vm": {"d"}, "volume": set(), "snapshot": set()}
