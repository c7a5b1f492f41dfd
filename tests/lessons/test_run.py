"""`vmlab run` runs a lesson's lab without a page and prints consoles, exits by reason and check results."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.paths import lessons_dir
from tests.lab.frame_sender import SENDER
from tests.lessons.conftest import FRONT, WriteLesson

FIRST = str(lessons_dir() / "01-first-virtual-machine")

HELLO = """\
_start: li a7, 0x4442434E
        li a6, 2
        li a0, 'H'
        ecall
        li a7, 0x53525354
        li a6, 0
        li a0, 0
        li a1, 0
        ecall
"""


def printed(capsys: pytest.CaptureFixture[str], *arguments: str, status: int = 0) -> str:
    assert main(["run", *arguments]) == status
    return capsys.readouterr().out


def test_consoles_exits_and_checks_are_printed(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, FIRST, "--until", "5 ms")
    assert "VM a: shut off\n  | Hello from inside!\n" in text
    table = [line.split() for line in text.splitlines() if line.startswith("sbi")]
    assert table[0][1] == "20"
    assert "[x] VM a says hello and switches itself off (2/2)" in text
    assert "      found:    the number of sbi exits of VM a is 20" in text
    assert "of 10 points" in text


def test_json_has_the_same_facts(capsys: pytest.CaptureFixture[str]) -> None:
    found: dict[str, Any] = json.loads(printed(capsys, FIRST, "--until", "5ms", "--json"))
    (vm,) = [vm for vm in found["vms"] if vm["name"] == "a"]
    assert (vm["state"], vm["console"], vm["exits"]["sbi"]) == ("shut off", "Hello from inside!\n", 20)
    assert found["now_ns"] == 5_000_000
    assert [check["id"] for check in found["checks"] if check["passed"]] == ["hello"]


def test_cpu_time_is_configured_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("host.scheduler=stride", "host.pcpus=1", "b.cap=30", "a.affinity=0")
    options = [word for setting in settings for word in ("--set", setting)]
    found: dict[str, Any] = json.loads(printed(capsys, FIRST, "--until", "50ms", "--json", *options))
    assert found["scheduler"] == "stride"
    (busy,) = [vm["cpu"][0] for vm in found["vms"] if vm["name"] == "b"]
    assert 0.27 * 5_000_000 < busy["run_cycles"] + busy["hypervisor_cycles"] <= 0.3 * 5_000_000
    assert sum(busy.values()) == 5_000_000
    table = printed(capsys, FIRST, "--until", "50ms", *options)
    assert "CPU time in ms (stride)" in table
    assert any(line.startswith("b.0") for line in table.splitlines())


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("b.cap", "'b.cap' is not WHERE=VALUE"),
        ("b.cpa=3", "did you mean `cap`?"),
        ("x.cap=3", "there is no VM 'x'"),
        ("b.reservation=30MHz", "choose the scheduler edf"),
    ],
)
def test_a_wrong_setting_is_refused(capsys: pytest.CaptureFixture[str], setting: str, words: str) -> None:
    assert main(["run", FIRST, "--set", setting]) == 2
    assert words in capsys.readouterr().err


def test_two_runs_have_the_same_state_hash(capsys: pytest.CaptureFixture[str]) -> None:
    hashes = {
        json.loads(printed(capsys, FIRST, "--until", "20 ms", "--json"))["state_hash"] for _ in range(2)
    }
    assert len(hashes) == 1


def test_the_solution_earns_every_point(capsys: pytest.CaptureFixture[str]) -> None:
    assert "10 of 10 points" in printed(capsys, FIRST, "--solution")


def test_a_solution_that_misses_a_check_fails(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_lesson(files={"solution/actions.yaml": "steps:\n  - start: a\n  - run: 1 ms\n"})
    assert "0 of 2 points" in printed(capsys, str(directory), "--solution", status=1)


def test_the_frames_of_a_network_go_to_a_file(
    write_lesson: WriteLesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    front = FRONT.replace("program: hello.s}", "program: hello.s, network: lan}")
    directory = write_lesson(front=front, files={"guest/hello.s": SENDER})
    file = tmp_path / "lan.pcap"
    printed(capsys, str(directory), "--until", "5 ms", "--pcap", f"lan={file}")
    assert file.read_bytes()[:4] == b"\x4d\x3c\xb2\xa1"
    assert (len(file.read_bytes()) - 24) // 116 > 50
    assert main(["run", str(directory), "--pcap", "wan=x"]) == 2
    assert "there is no network 'wan'" in capsys.readouterr().err
    assert main(["run", str(directory), "--pcap", "lan"]) == 2
    assert "--pcap: 'lan' is not NET=FILE" in capsys.readouterr().err


def test_an_endless_loop_ends_with_the_time_that_was_given(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    directory = write_lesson(files={"guest/hello.s": "_start: j _start\n"})
    text = printed(capsys, str(directory), "--until", "50 ms")
    assert "50.000 ms of virtual time" in text
    assert "VM a: running" in text


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ("  - strat: a", "actions.yaml:2:5: unknown key 'strat'; did you mean 'start'?"),
        ("  - start: zz", "actions.yaml:2:5: there is no VM 'zz'"),
        ("  - resume: a", "actions.yaml:2:5: cannot resume a: it is shut off"),
        ("  - action: {verb: set_vm, vm: a, memory: 3 KiB}", "actions.yaml:2:5: vm.memory is 3 KiB; must be"),
        (
            "  - edit: {vm: a, old: nowhere, new: x}",
            "actions.yaml:2:5: 'nowhere' occurs 0 times in the program of VM a",
        ),
        ("  - edit: {vm: a, old: ecall, new: x}", "actions.yaml:2:5: 'ecall' occurs 2 times"),
        ("  - edit: {vm: a, old: \"a0, 'H'\", new: \"a9, 'H'\"}", "actions.yaml:2:5: hello.s:3"),
        (
            "  - edit: {vm: q, old: a, new: b}",
            "actions.yaml:2:5: there is no VM 'q' whose program could be edited",
        ),
    ],
)
def test_a_step_that_cannot_be_done_is_located(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], script: str, expected: str
) -> None:
    files: dict[str, str | bytes] = {"guest/hello.s": HELLO, "solution/actions.yaml": f"steps:\n{script}\n"}
    assert main(["run", str(write_lesson(files=files)), "--solution"]) == 2
    assert expected in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((FIRST, "--until", "soon"), "--until: 'soon' is not a quantity; write it like '2s'"),
        ((FIRST, "--until", "5 minutes"), "--until: '5 minutes' has the unknown unit 'minutes'"),
        (("nowhere/01-x",), "nowhere/01-x: is not a directory"),
    ],
)
def test_a_wrong_command_line_says_what_is_right(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], expected: str
) -> None:
    assert main(["run", *arguments]) == 2
    assert expected in capsys.readouterr().err


def test_a_lesson_without_a_solution_says_so(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", str(write_lesson()), "--solution"]) == 2
    assert "03-mine has no solution/actions.yaml" in capsys.readouterr().err


def test_every_fault_of_a_broken_lesson_is_printed(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    del tmp_path
    front = FRONT.replace("memory: 1 MiB", "memory: 7 KiB").replace("minutes: 30", "minuts: 30")
    assert main(["run", str(write_lesson(front))]) == 2
    error = capsys.readouterr().err
    assert "lesson.md:6:1: unknown key 'minuts'" in error
    assert "lesson.md:12:17: vms[0].memory is 7 KiB" in error


def test_a_seed_and_a_wrong_solution_are_run_as_the_trial_had_them(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    front = FRONT.replace("lab:\n", "params:\n  letter: {one_of: [H, J, K, L]}\nlab:\n")
    wrong = (
        "caught_by: hello\nsteps:\n"
        "  - edit: {vm: a, old: \"'{{ letter }}'\", new: \"'x'\"}\n  - start: a\n  - run: 2 ms\n"
    )
    files: dict[str, str | bytes] = {
        "guest/hello.s": HELLO.replace("'H'", "'{{ letter }}'"),
        "wrong/x.yaml": wrong,
    }
    directory = str(write_lesson(front, files=files))
    consoles = {printed(capsys, directory, "--until", "2 ms", "--seed", seed) for seed in "01234567"}
    assert len(consoles) > 1
    assert "  | x\n" in printed(capsys, directory, "--wrong", "x", "--seed", "5")
    assert main(["run", directory, "--wrong", "y"]) == 2
    assert "--wrong: 03-mine has no wrong/y.yaml; there are: x" in capsys.readouterr().err
