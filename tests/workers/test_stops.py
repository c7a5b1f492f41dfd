"""Stops of a lab in a worker: added, met, counted, switched off, kept; and steps over calls."""

from typing import Any

import pytest

from app.workers.control import parse_control, steer
from app.workers.record import LabBuilder, LabRecord, ProgramText
from app.workers.session import Session
from app.workers.stops import describe, read_stops
from emulator.build.engine import load_engine
from emulator.lab import LabError

CALLS = """
_start: li t0, 0
again:  call twice
        j again
twice:  addi t0, t0, 1
        addi t0, t0, 1
        csrw sscratch, t0
        ret
"""
CONFIG: dict[str, Any] = {
    "host": {"pcpus": 1, "memory": "4 MiB"},
    "vms": [{"name": "a", "program": "calls.s", "memory": "256 KiB"}],
}
RECORD = LabRecord("one", "none", CONFIG, (ProgramText("calls.s", source=CALLS),), seed=1)


class Clock:
    """Time that passes a little whenever somebody looks."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.0001
        return self.now


def new_session(record: LabRecord = RECORD) -> Session:
    session = Session(record, LabBuilder(load_engine()), Clock())
    session.speed = "max"
    return session


@pytest.fixture
def session() -> Session:
    session = new_session()
    session.apply({"verb": "start", "vm": "a"})
    return session


def ask(session: Session, **fields: Any) -> dict[str, Any]:
    steer(session, parse_control(fields))
    for _ in range(100):
        if not session.busy():
            break
        session.work(0.01)
    return session.run_view()


def symbol(session: Session, name: str) -> int:
    return session.lab.program("a").executable.symbols[name]


def pc(session: Session) -> int:
    return int(session.lab.registers("a", 0)["pc"], 16)


def test_a_lab_that_runs_stops_where_it_was_told_to(session: Session) -> None:
    twice = symbol(session, "twice")
    ask(session, verb="stop_add", kind="breakpoint", vm="a", address=hex(twice))
    ask(session, verb="stop_add", kind="csr", vm="a", csr="sscratch")
    run = ask(session, verb="run")
    assert (run["mode"], run["hit"], run["reason"]) == (
        "paused",
        [1],
        f"stop 1: breakpoint at {twice:#x} in a",
    )
    assert pc(session) == twice
    run = ask(session, verb="run")
    assert (run["hit"], run["reason"]) == ([2], "stop 2: sscratch changes in a")
    assert [stop["hits"] for stop in run["stops"]] == [1, 1]
    ask(session, verb="stop_set", stop=2, enabled=False)
    assert ask(session, verb="run")["hit"] == [1]
    ask(session, verb="stop_remove", stop=1)
    assert [stop["id"] for stop in session.run_view()["stops"]] == [2]


def test_stops_are_kept_with_the_mode_and_not_in_the_state(session: Session) -> None:
    before = session.lab.state_hash()
    ask(session, verb="stop_add", kind="exit", vm="a", reason="wfi")
    ask(session, verb="stop_add", stop=1, kind="exit", vm="a", reason="ecall")
    assert session.lab.state_hash() == before
    kept = session.wanted
    again = new_session(LabRecord("one", "none", CONFIG, RECORD.programs, seed=1, mode=kept))
    assert again.run_view()["stops"] == session.run_view()["stops"]
    assert again.run_view()["stops"][0]["text"] == "exit ecall in a"


def test_step_over_runs_a_call_and_steps_anything_else(session: Session) -> None:
    again, twice = symbol(session, "again"), symbol(session, "twice")
    ask(session, verb="step", unit="over", vm="a", vcpu=0)
    assert pc(session) == again
    ask(session, verb="step", unit="over", vm="a", vcpu=0)  # the auipc of the call
    ask(session, verb="step", unit="over", vm="a", vcpu=0)
    assert pc(session) == twice - 4
    ask(session, verb="run_until", kind="breakpoint", vm="a", vcpu=0, address=twice, speed="max")
    assert ask(session, verb="step", unit="over", vm="a", vcpu=0)["mode"] == "paused"
    assert pc(session) == twice + 4


def test_going_back_to_the_last_stop(session: Session) -> None:
    ask(session, verb="stop_add", kind="breakpoint", vm="a", address=symbol(session, "twice"))
    ask(session, verb="run")
    met = session.lab.position
    ask(session, verb="step", unit="instruction", vm="a")
    assert ask(session, verb="back", unit="stop")["mode"] == "paused"
    assert session.lab.position == met


def test_wrong_stops_are_refused(session: Session) -> None:
    for fields, what in (
        ({"verb": "stop_add", "kind": "instruction"}, "step instead"),
        ({"verb": "stop_add", "kind": "csr", "vm": "a", "csr": "mstatus"}, "csr is"),
        ({"verb": "stop_add", "kind": "breakpoint", "vm": "b", "address": 0}, "no VM"),
        ({"verb": "stop_remove", "stop": 9}, "no stop 9"),
        ({"verb": "stop_set", "stop": 9, "enabled": True}, "no stop 9"),
        ({"verb": "step", "unit": "over", "vm": "a", "vcpu": "x"}, "vcpu is"),
    ):
        with pytest.raises(LabError, match=what):
            ask(session, **fields)
    for _ in range(32):
        ask(session, verb="stop_add", kind="exit")
    with pytest.raises(LabError, match="at most 32"):
        ask(session, verb="stop_add", kind="exit")


def test_stops_from_outside_keep_only_what_is_one() -> None:
    good = {"id": 3, "enabled": True, "hits": 2, "condition": {"kind": "exit"}}
    wild = [
        good,
        None,
        5,
        {},
        {"id": -1, "hits": 0, "condition": {}},
        {"id": 1, "hits": "x", "condition": {}},
    ]
    assert read_stops([*wild, {"id": 4, "hits": 0, "condition": {"kind": "exit", "vm": [[]]}}]) == [
        good,
        {"id": 4, "enabled": False, "hits": 0, "condition": {"kind": "exit"}},
    ]
    assert read_stops("x") == []


def test_conditions_are_put_into_words() -> None:
    assert describe({"kind": "watch", "vm": "a", "address": 16, "access": "store", "space": "gpa"}) == (
        "store to 8 bytes at GPA 0x10 in a"
    )
    assert describe({"kind": "csr", "vm": "a", "vcpu": 1, "csr": "satp", "value": 0}) == (
        "satp changes to 0x0 in a, vCPU 1"
    )
    assert describe({"kind": "state", "vm": "a", "state": "crashed"}) == "VM a becomes crashed"
    assert describe({"kind": "console"}) == "console output"
