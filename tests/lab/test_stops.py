"""Stops of a debugger: any of several things, each told apart, and none of it changes what happens."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError

MakeLab = Callable[..., Lab]
FAR = 10_000_000


@pytest.fixture
def lab(make_lab: MakeLab) -> Lab:
    lab = make_lab("count", "nap", "spin", pcpus=1)
    for vm in "ab":
        lab.apply({"verb": "start", "vm": vm})
    return lab


def place(lab: Lab, name: str, vm: str = "a") -> dict[str, Any]:
    return {"kind": "breakpoint", "vm": vm, "address": hex(lab.program(vm).executable.symbols[name])}


def test_the_stop_that_is_met_is_named_and_the_next_run_goes_on(lab: Lab) -> None:
    value = lab.program("a").executable.symbols["value"]
    wanted = [
        place(lab, "spend"),
        place(lab, "again"),
        {"kind": "watch", "vm": "a", "address": value, "access": "store"},
    ]
    assert [lab.run_until_any(wanted, FAR) for _ in range(6)] == [[1], [2], [0], [1], [2], [0]]
    lab.disarm()
    assert not lab.hypervisor.host.stops.breakpoints
    assert not lab.hypervisor.host.stops.watchpoints


def test_stops_change_nothing_that_happens(lab: Lab, make_lab: MakeLab) -> None:
    wanted = [place(lab, "spend"), {"kind": "csr", "vm": "b", "csr": "sip"}, {"kind": "exit", "vm": "b"}]
    while lab.position < 60_000:
        lab.run_until_any(wanted, 60_000)
    lab.advance(200_000)
    other = make_lab("count", "nap", "spin", pcpus=1)
    for vm in "ab":
        other.apply({"verb": "start", "vm": vm})
    other.advance(200_000)
    assert (lab.position, lab.state_hash()) == (other.position, other.state_hash())


def test_csr_stop_is_at_the_instruction_that_changed_it(lab: Lab) -> None:
    """The second instruction of nap sets STIE in sie."""
    assert lab.run_until_any([{"kind": "csr", "vm": "b", "csr": "sie"}], FAR) == [0]
    shown = lab.registers("b", 0)
    assert next(one["value"] for one in shown["control"] if one["name"] == "sie").endswith("20")
    assert int(shown["pc"], 16) == 0x8000_0008
    assert lab.vm("b").vcpus[0].retired == 2


def test_csr_stop_waits_for_its_value(lab: Lab) -> None:
    """sip changes to 0x20 when the timer is due, back when the next one is set."""
    for value in (0x20, 0, 0x20):
        assert lab.run_until_any([{"kind": "csr", "vm": "b", "csr": "sip", "value": value}], FAR) == [0]
        sip = next(one["value"] for one in lab.registers("b", 0)["control"] if one["name"] == "sip")
        assert int(sip, 16) == value


def test_exit_console_and_time_are_told_apart(lab: Lab) -> None:
    wanted = [
        {"kind": "console", "vm": "b", "text": "z"},
        {"kind": "exit", "vm": "b", "reason": "wfi"},
        {"kind": "time", "ns": 20_000_000},
    ]
    found: list[int] = []
    while 2 not in found:
        found += lab.run_until_any(wanted, 1 << 40)
    assert found[:4] == [1, 0, 1, 0]


def test_state_counts_when_it_becomes_so(make_lab: MakeLab) -> None:
    lab = make_lab("hello", pcpus=1)
    lab.apply({"verb": "start", "vm": "a"})
    assert lab.run_until_any([{"kind": "state", "vm": "a", "state": "running"}], 2000) == []
    assert lab.run_until_any([{"kind": "state", "vm": "a", "state": "shut off"}], FAR) == [0]


def test_stop_of_a_vm_that_is_off_or_gone_waits(lab: Lab) -> None:
    wanted = [{"kind": "breakpoint", "vm": "c", "address": 0x8000_0000}]
    assert lab.run_until_any([*wanted, {"kind": "csr", "vm": "gone", "csr": "satp"}], 1000) == []
    lab.apply({"verb": "start", "vm": "c"})
    assert lab.run_until_any(wanted, FAR) == [0]


def test_alarm_stops_at_the_sample_that_raises_it(make_lab: MakeLab) -> None:
    lab = make_lab("spin", pcpus=1)
    lab.apply({"verb": "set_rules", "rules": [{"name": "busy", "when": "cpu > 50 %"}]})
    lab.apply({"verb": "start", "vm": "a"})
    assert lab.run_until_any([{"kind": "alarm", "vm": "a"}], FAR) == [0]
    assert lab.monitor.raised() == [("busy", "a")]


def test_too_many_and_wrong_stops_are_refused(lab: Lab) -> None:
    many = [{"kind": "breakpoint", "vm": "a", "address": 4 * n} for n in range(17)]
    with pytest.raises(LabError, match="room for 16"):
        lab.run_until_any(many, 10)
    for wrong, what in (
        ({"kind": "csr", "vm": "a", "csr": "mstatus"}, "csr is 'mstatus'"),
        ({"kind": "instruction"}, "to step"),
        ({"kind": "any", "of": []}, "a list of"),
        ({"kind": "breakpoint", "vm": "a"}, "address is None"),
    ):
        with pytest.raises(LabError, match=what):
            lab.run_until_any([wrong], 10)


def test_going_back_finds_the_last_of_several(lab: Lab) -> None:
    lab.record()
    lab.run_until_any([place(lab, "spend")], FAR)
    before = lab.position
    lab.run_until_any([place(lab, "again")], FAR)
    lab.advance(lab.position + 2)
    assert lab.back_to({"kind": "any", "of": [place(lab, "spend"), {"kind": "exit", "reason": "ecall"}]})
    assert lab.position == before
