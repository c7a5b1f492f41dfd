"""`vmlab lint` knows what a lesson's steps, checks and text name, without running the lab."""

import pytest

from app.cli import main
from app.lessons import load_lesson
from app.lessons.lint import advice
from app.lessons.naming import script_faults
from app.lessons.script import read_script
from app.lessons.source import TextFile
from tests.lessons.conftest import BODY, FRONT, WriteLesson

HELD = FRONT.replace(
    "  vms:\n",
    "  pools:\n    - {name: fast, capacity: 16 MiB, volumes: [{name: golden, capacity: 1 MiB}]}\n  vms:\n"
    "    - {name: desk, memory: 1 MiB, program: hello.s, disk: {volume: golden}}\n",
)
SOLUTION = "steps:\n  - start: a\n  - action: {verb: snapshot_create, vm: a, name: before}\n"


def faults_of(write_lesson: WriteLesson, *steps: str) -> list[str]:
    lesson = load_lesson(write_lesson(HELD))
    text = "steps:\n" + "".join(f"  - {step}\n" for step in steps)
    script = read_script(TextFile("x.yaml", text), wrong=False)
    return [str(fault) for fault in script_faults(lesson.lab_config, lesson.programs, script)]


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        ("start: b", "there is no VM 'b' here; known: a, desk"),
        ("action: {verb: strat, vm: a}", "there is no verb 'strat'; did you mean 'start'?"),
        ("refused: {verb: strat, vm: a}", "there is no verb 'strat'; did you mean 'start'?"),
        ("action: {verb: set_vm, vm: dsk, cap: 5}", "there is no VM 'dsk' here; did you mean 'desk'?"),
        ("action: {verb: set_vm, vm: a, cpa: 5}", "vm.cpa is not a known key; did you mean `cap`?"),
        ("action: {verb: set_vm, vm: a, program: helo.s}", "there is no program 'helo.s' here"),
        (
            "action: {verb: set_vm, vm: a, disk: {volume: gold}}",
            "no volume 'gold' here; did you mean 'golden'?",
        ),
        ("action: {verb: set_host, pcpu: 1}", "host.pcpu is not a known key; did you mean `pcpus`?"),
        (
            "action: {verb: define, name: e, memory: 7 KiB, program: hello.s}",
            "vm.memory is 7 KiB; must be a multiple",
        ),
        ("action: {verb: vol_create, volume: top, pool: fats, backing: golden}", "no pool 'fats' here"),
        ("action: {verb: vol_create, volume: top, pool: fast, backing: gold}", "no backing 'gold' here"),
        ("action: {verb: snapshot_revert, vm: a, name: before}", "there is no snapshot 'before' here"),
        (
            "action: {verb: set_rules, rules: [{name: r, when: 'redy > 10 %', then: {cap: 1}}]}",
            "did you mean",
        ),
        (
            'edit: {vm: a, old: "nothing such", new: "x"}',
            "'nothing such' occurs 0 times in the program of VM a",
        ),
        ('edit: {vm: b, old: "wfi", new: "x"}', "there is no VM 'b' here"),
    ],
)
def test_a_step_that_names_what_is_not_there_is_a_fault(
    write_lesson: WriteLesson, step: str, expected: str
) -> None:
    (fault,) = faults_of(write_lesson, "start: a", step)
    assert fault.startswith("x.yaml:3:5: ")
    assert expected in fault


def test_what_steps_make_is_there_for_the_steps_below(write_lesson: WriteLesson) -> None:
    steps = (
        "action: {verb: define, name: e, memory: 1 MiB, program: hello.s}",
        'edit: {vm: e, old: "wfi", new: "nop"}',
        'edit: {vm: e, old: "nop", new: "wfi"}',
        "action: {verb: set_vm, vm: e, name: f}",
        "start: f",
        "action: {verb: snapshot_create, vm: f, name: before}",
        "action: {verb: snapshot_revert, vm: f, name: before}",
        "action: {verb: clone, vm: desk, name: ada}",
        "action: {verb: vol_create, volume: top, pool: fast, backing: golden-ada}",
        "action: {verb: vol_commit, volume: top}",
        "action: {verb: net_undefine, network: lan}",
        "undefine: f",
        "refused: {verb: start, vm: f}",
        "action: {verb: reset_lab}",
        "start: a",
    )
    made = faults_of(write_lesson, "action: {verb: net_define, network: lan}", *steps)
    assert made == []
    assert "there is no VM 'e' here" in faults_of(write_lesson, *steps[:4], "start: e")[0]
    assert "there is no VM 'f' here" in faults_of(write_lesson, *steps[:4], "undefine: f", "start: f")[0]


@pytest.mark.parametrize(
    ("expect", "expected"),
    [
        ('"b" in vms()', "the lesson has no VM 'b'"),
        ('vms().exists(v, v == "dsk")', "the lesson has no VM 'dsk'; did you mean 'desk'?"),
        ('events("exits").size() > 0', "'exits' is never the case here; did you mean 'exit'?"),
        (
            'events("exit").exists(e, e.reason == "mimo")',
            "'mimo' is never the case here; did you mean 'mmio'?",
        ),
        ('events("action").exists(e, e.reason == "strat")', "did you mean 'start'?"),
        ('events("state").exists(e, e.vm == "b")', "the lesson has no VM 'b'"),
        ('faults("a").exists(f, f.cause == "load page-fault")', "did you mean 'load page fault'?"),
        ('volume("gold").thick', "the lesson has no volume 'gold'; did you mean 'golden'?"),
        ('volume("golden").format == "qcow3"', "did you mean 'qcow2'?"),
        ('disk("desk").volume == "gold"', "the lesson has no volume 'gold'"),
        ('"befor" in snapshots("a")', "no script makes a snapshot 'befor'; did you mean 'before'?"),
        ('paging("a") == "shdow"', "did you mean 'shadow'?"),
        ('scheduler() == "round-robbin"', "did you mean 'round-robin'?"),
        ("starts(who) == 1", "the lesson has no VM 'web"),
    ],
)
def test_a_check_that_names_what_can_never_be_is_a_fault(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], expect: str, expected: str
) -> None:
    old = 'console("a").contains("Hello") && state("a") == "shut off"'
    params = "params:\n  who: {one_of: [webb, webc]}\nlab:\n"
    front = HELD.replace(old, f"'{expect}'").replace("lab:\n", params, 1)
    directory = write_lesson(front, BODY, {"solution/actions.yaml": SOLUTION})
    assert main(["lint", str(directory)]) == 1
    said = capsys.readouterr().out
    assert "lesson.md:22:5: expect, character " in said
    assert expected in said


def test_names_that_are_there_pass(write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]) -> None:
    expects = [
        'vms().exists(v, v == "desk") && "before" in snapshots("a")',
        'events("device").exists(e, e.reason == "device broken" && e.vm in ["", "a"])',
        'volume("golden").backing == "" && disk("a").volume == ""',
        'faults("a").exists(f, f.cause == "load guest-page fault")',
    ]
    old = 'console("a").contains("Hello") && state("a") == "shut off"'
    for expect in expects:
        directory = write_lesson(HELD.replace(old, f"'{expect}'"), BODY, {"solution/actions.yaml": SOLUTION})
        assert main(["lint", str(directory)]) == 0, capsys.readouterr().out


def test_a_text_that_speaks_of_a_vm_that_is_not_there_is_marked(write_lesson: WriteLesson) -> None:
    text = (
        "Start VM a and VM b.\n\n```hint How?\nVM `web` waits. VM desc, VM that, VM desk, a VM with a.\n```\n"
    )
    found = [
        str(fault)
        for fault in advice(load_lesson(write_lesson(HELD, text)), "lessons")
        if "VM '" in str(fault)
    ]
    assert found == [
        "lessons/03-mine/lesson.md:24:19: the lesson has no VM 'b'; known: a, desk",
        "lessons/03-mine/lesson.md:27:5: the lesson has no VM 'web'; known: a, desk",
        "lessons/03-mine/lesson.md:27:20: the lesson has no VM 'desc'; did you mean 'desk'?",
    ]


def test_a_name_that_only_some_students_lack_is_said_with_a_seed(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    front = FRONT.replace("lab:\n", "params:\n  who: {one_of: [a, b]}\n  word: {token: 6}\nlab:\n")
    files = {"solution/actions.yaml": "steps:\n  - start: a # {{ word }}\n", "wrong/x.yaml": ""}
    files["wrong/x.yaml"] = "caught_by: hello\nsteps:\n  - start: {{ who }}\n"
    assert main(["lint", str(write_lesson(front, "Welcome.\n", files))]) == 1
    assert "wrong/x.yaml:3:5: there is no VM 'b' here; known: a" in capsys.readouterr().out
