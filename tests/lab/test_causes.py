"""Why things happened: every event knows what led to it, back to what the student did."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.machine.engine import Engine
from tests.scenarios.desk import Desk
from tests.scenarios.test_7_time_travel import PROGRAMS

PING = {
    # One vCPU calls the other, which sleeps.
    "pair": """
        la t0, other
        li a0, 1
        mv a1, t0
        li a2, 0
        li a7, 0x48534d
        li a6, 0
        ecall
        li t0, 100000
1:      addi t0, t0, -1
        bnez t0, 1b
        li a0, 2
        li a1, 0
        li a7, 0x735049
        li a6, 0
        ecall
2:      j 2b
other:  csrwi sie, 2
3:      wfi
        j 3b
    """
}


def desk(programs: dict[str, str], *names: str, **vm: Any) -> Desk:
    vms = [{"name": name, "program": name, "memory": "64 KiB", **vm} for name in names]
    desk = Desk(programs, vms, {"memory": "2 MiB", "pcpus": 1})
    desk.lab.record()
    for name in names:
        desk.do("start", name)
    return desk


def told(lab: Lab, event: int) -> list[tuple[str, str, str | None]]:
    chain = [link["event"] for link in lab.why(event)["chain"]]
    return [(one["kind"], one["reason"], one["vm"]) for one in chain]


def last(lab: Lab, kind: str, reason: str, vm: str) -> int:
    events = lab.hypervisor.trace.all_events()
    return [e.id for e in events if (e.kind, e.reason, e.vm) == (kind, reason, vm)][-1]


def test_a_crash_leads_back_to_the_students_action() -> None:
    lab = desk(PROGRAMS, "nap", "stray").lab
    lab.advance(1_300_000)
    crash = last(lab, "state", "crashed", "stray")
    assert told(lab, crash) == [
        ("state", "crashed", "stray"),
        ("fault", "load guest-page fault", "stray"),
        ("exit", "guest page fault", "stray"),
        ("schedule", "woke", "stray"),
        ("action", "start", "stray"),
    ]
    view = lab.why(crash)
    assert view["end"] == "That was done by hand."
    assert view["chain"][0]["sentence"].startswith("Stray crashed: load guest-page fault")
    assert all(link["sentence"].startswith("Because ") for link in view["chain"][1:])


def test_a_turn_leads_back_to_the_timer_and_the_exit_that_set_it_and_says_that_it_goes_round() -> None:
    lab = desk(PROGRAMS, "nap", "stray").lab
    lab.advance(1_300_000)
    waits = last(lab, "exit", "wfi", "nap")
    chain = [("exit", "wfi", "nap"), ("schedule", "woke", "nap"), ("exit", "sbi", "nap")]
    assert told(lab, waits) == chain
    assert "round and round" in lab.why(waits)["end"]
    assert "nap: start was asked for" in lab.why(waits)["end"]


def test_a_vcpu_that_another_calls_leads_back_to_the_call() -> None:
    lab = desk(PING, "pair", vcpus=2).lab
    lab.advance(1_000_000)
    woke = last(lab, "schedule", "woke", "pair")
    chain = told(lab, woke)
    assert chain[:2] == [("schedule", "woke", "pair"), ("exit", "sbi", "pair")]
    events = [link["event"] for link in lab.why(woke)["chain"]]
    assert (events[0]["vcpu"], events[1]["vcpu"]) == (1, 0)


def test_a_printed_line_leads_back_to_its_exit_and_typing_is_an_action(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("hello")
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    line = last(lab, "console", "line", "a")
    assert told(lab, line)[:2] == [("console", "line", "a"), ("exit", "sbi", "a")]
    assert lab.why(line)["chain"][0]["sentence"] == "A prints: Hello."


def test_what_a_rule_does_follows_from_its_alarm() -> None:
    rule = {"name": "share", "when": "ready > 1 %", "for": "1 ms", "then": {"weight": 512}}
    lab = desk(PROGRAMS, "nap", "stray").lab
    lab.apply({"verb": "set_rules", "rules": [rule], "sampling": "1 ms"})
    lab.advance(lab.position + 1_000_000)
    events = lab.hypervisor.trace.events
    acted = next(one for one in events if (one.kind, one.reason) == ("alarm", "acted"))
    changed = next(one for one in events if (one.kind, one.reason) == ("action", "set_vm"))
    assert changed.cause == acted.id


def test_a_refused_action_takes_no_number_and_an_unknown_event_is_refused(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab("hello")
    before = lab.hypervisor.trace.next_event
    with pytest.raises(LabError):
        lab.apply({"verb": "resume", "vm": "a"})
    lab.apply({"verb": "answer", "question": "q", "value": 1})
    assert lab.hypervisor.trace.next_event == before
    with pytest.raises(LabError, match="no event 999"):
        lab.why(999)


def test_causes_are_the_same_after_going_back(engine: Engine) -> None:
    lab = desk(PROGRAMS, "nap", "stray").lab
    lab.advance(900_000)
    causes = {one.id: one.cause for one in lab.hypervisor.trace.all_events()}
    lab.rewind(300_000)
    lab.advance(900_000)
    assert {one.id: one.cause for one in lab.hypervisor.trace.all_events()} == causes
    assert all(cause < number for number, cause in causes.items())
