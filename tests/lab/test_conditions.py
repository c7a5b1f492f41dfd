"""Stepping and running until something happens."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError

MakeLab = Callable[..., Lab]
FAR = 10_000_000


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    """Four running VMs on one pCPU, at position 0."""
    lab = make_lab("count", "nap", "hello", "probe", pcpus=1)
    for vm in "abcd":
        lab.apply({"verb": "start", "vm": vm})
    return lab


def retired(lab: Lab, vm: str) -> int:
    return lab.vm(vm).vcpus[0].retired


def test_step_of_one_instruction_is_one_instruction(lab: Lab) -> None:
    for expected in range(1, 40):
        assert lab.run_until({"kind": "instruction", "vm": "a"}, FAR)
        assert retired(lab, "a") == expected


def test_step_waits_for_a_vcpu_that_is_not_loaded(lab: Lab) -> None:
    assert lab.run_until({"kind": "instruction", "vm": "c", "vcpu": 0}, FAR)
    assert retired(lab, "c") == 1
    assert retired(lab, "a") > 1000


def test_step_of_whoever_runs_is_one_instruction(lab: Lab) -> None:
    for _ in range(5):
        before = [retired(lab, vm) for vm in "abcd"]
        assert lab.run_until({"kind": "instruction"}, FAR)
        assert sum(retired(lab, vm) for vm in "abcd") == sum(before) + 1


def test_breakpoint_stops_in_front_of_the_instruction(lab: Lab) -> None:
    spend = lab.program("a").executable.symbols["spend"]
    values = []
    for _ in range(3):
        assert lab.run_until({"kind": "instruction", "vm": "a", "address": hex(spend)}, FAR)
        registers = lab.registers("a", 0)
        assert int(registers["pc"], 16) == spend
        values.append(int(next(r["value"] for r in registers["general"] if r["name"] == "t0"), 16))
    assert values == [41, 42, 43]


def test_step_to_the_next_exit(lab: Lab) -> None:
    for expected in range(1, 4):
        assert lab.run_until({"kind": "exit", "vm": "c"}, FAR)
        assert lab.vm("c").exits == {"sbi": expected}
    assert lab.console("c") == "Hel"


def test_exit_of_one_reason(lab: Lab) -> None:
    assert lab.run_until({"kind": "exit", "reason": "wfi"}, FAR)
    assert lab.vm("b").exits["wfi"] == 1


def test_end_of_a_timeslice(lab: Lab) -> None:
    assert lab.run_until({"kind": "timeslice"}, FAR)
    assert lab.vm("a").exits == {"budget": 1}


def test_fault(lab: Lab) -> None:
    assert lab.run_until({"kind": "fault", "vm": "d"}, FAR)
    assert lab.vm("d").state.value == "crashed"
    views = {vm["name"]: vm for vm in lab.observe(None)["vms"]}
    assert [vcpu["state"] for vcpu in views["d"]["vcpus"]] == ["stopped"]


def test_console_text(lab: Lab) -> None:
    assert lab.run_until({"kind": "console", "vm": "c", "text": "ell"}, FAR)
    assert lab.console("c") == "Hell"
    assert lab.run_until({"kind": "console", "vm": "c"}, FAR)
    assert lab.console("c") == "Hello"


def test_console_text_that_comes_in_two_calls(lab: Lab) -> None:
    while lab.console("c") != "Hel":
        lab.advance(lab.position + 50)
    assert lab.run_until({"kind": "console", "vm": "c", "text": "ello"}, FAR)
    assert lab.console("c") == "Hello"


def test_state(lab: Lab) -> None:
    assert lab.run_until({"kind": "state", "vm": "c", "state": "shut off"}, FAR)
    position = lab.position
    assert lab.run_until({"kind": "state", "vm": "c", "state": "shut off"}, FAR)
    assert lab.position == position


def test_time(lab: Lab) -> None:
    assert lab.run_until({"kind": "time", "ns": 12_340}, FAR)
    assert lab.now_ns == 12_340


def test_limit_comes_first(lab: Lab) -> None:
    assert not lab.run_until({"kind": "fault", "vm": "a"}, 5_000)
    assert lab.position == 5_000
    assert not lab.run_until({"kind": "instruction", "vm": "d"}, 6_000)
    assert lab.position == 6_000


def test_nothing_left_to_run_ends_the_search(make_lab: MakeLab) -> None:
    lab = make_lab("wait")
    lab.apply({"verb": "start", "vm": "a"})
    assert not lab.run_until({"kind": "fault"}, FAR)
    assert not lab.run_until({"kind": "instruction"}, FAR)
    assert not lab.run_until({"kind": "instruction", "vm": "a"}, FAR)
    assert lab.position < 20_000


def test_stepping_is_no_different_from_running(make_lab: MakeLab) -> None:
    one, other = (make_lab("count", "nap", "hello") for _ in range(2))
    for lab in (one, other):
        for vm in "abc":
            lab.apply({"verb": "start", "vm": vm})
    for number in range(60):
        one.run_until({"kind": "instruction", "vm": "ab"[number % 2]}, FAR)
        if number % 7 == 0:
            one.run_until({"kind": "exit"}, FAR)
    other.advance(one.position)
    assert one.state_hash() == other.state_hash()


@pytest.mark.parametrize(
    ("condition", "path"),
    [
        ({}, "kind"),
        ({"kind": "instructions"}, "kind"),
        ({"kind": ["exit"]}, "kind"),
        ({"kind": "exit", "vm": "nobody"}, "vm"),
        ({"kind": "exit", "text": "x"}, "text"),
        ({"kind": "exit", "reason": 5}, "reason"),
        ({"kind": "exit", "vcpu": -1}, "vcpu"),
        ({"kind": "time"}, "ns"),
        ({"kind": "time", "ns": "soon"}, "ns"),
        ({"kind": "time", "ns": True}, "ns"),
        ({"kind": "state", "vm": "a"}, "state"),
        ({"kind": "state", "state": "running"}, "vm"),
        ({"kind": "console", "vm": "a", "text": ""}, "text"),
        ({"kind": "instruction", "vm": "a", "vcpu": 4}, "vcpu"),
        ({"kind": "instruction", "vm": "a", "address": "here"}, "address"),
        ({"kind": "instruction", "address": 5}, "vm"),
        ({"kind": "breakpoint", "address": 5}, "vm"),
        ({"kind": "breakpoint", "vm": "a"}, "address"),
        ({"kind": "breakpoint", "vm": "a", "vcpu": 1, "address": 0}, "vcpu"),
        ({"kind": "watch", "vm": "a"}, "address"),
        ({"kind": "watch", "vm": "a", "address": 16}, "address"),
        ({"kind": "watch", "vm": "a", "address": 16, "space": "hpa"}, "space"),
        ({"kind": "watch", "vm": "a", "address": 16, "space": ["gva"]}, "space"),
        ({"kind": "watch", "vm": "a", "address": 0x8000_0000, "access": "fetch"}, "access"),
        ({"kind": "watch", "vm": "a", "address": 0x8000_0FFC}, "length"),
        ({"kind": "watch", "vm": "a", "address": 0x8000_0000, "length": 0}, "length"),
    ],
)
def test_wrong_condition_is_named(lab: Lab, condition: dict[str, Any], path: str) -> None:
    for check in (lab.check_condition, lambda one: lab.run_until(one, FAR)):
        with pytest.raises(LabError) as caught:
            check(condition)
        assert caught.value.path == path
    assert lab.position == 0
