"""Going back in a recorded lab: to any position, to the last time something happened, to another line."""

import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.lab import Lab, LabError, timetravel
from tests.lab.busy import STEPS, history, play

SPACING = 100_000


@pytest.fixture
def recorded(full_lab: Callable[[], Lab]) -> Callable[[], Lab]:
    """Make a busy lab that is recorded with many checkpoints."""

    def make() -> Lab:
        lab = full_lab()
        lab.record(spacing=SPACING)
        for name in "abcd":
            lab.apply({"verb": "start", "vm": name})
        return lab

    return make


@given(steps=STEPS, share=st.floats(0, 1), data=st.data())
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rewinding_gives_the_state_that_was_there(
    recorded: Callable[[], Lab], full_lab: Callable[[], Lab], steps: list[Any], share: float, data: Any
) -> None:
    lab = recorded()
    play(lab, [300_000, *steps, 500_000])
    target = int(lab.position * share)
    log = list(lab.log)
    answers = {entry["action"]["question"] for entry in log if entry["action"]["verb"] == "answer"}
    lab.rewind(target)
    assert set(lab.answers) == answers

    fresh = full_lab()
    for entry in log:
        if entry["position"] <= target:
            fresh.advance(entry["position"])
            fresh.apply(entry["action"])
    fresh.advance(target)
    assert lab.position == fresh.position
    assert lab.state_hash() == fresh.state_hash()
    if not answers:
        assert lab.log == fresh.log
        assert history(lab) == history(fresh)


def test_what_is_run_again_after_rewinding_is_the_same(recorded: Callable[[], Lab]) -> None:
    lab = recorded()
    lab.advance(3_000_000)
    end, state, story = lab.position, lab.state_hash(), history(lab)
    for position in (2_500_000, 1_234_567, 77, 0):
        lab.rewind(position)
        lab.advance(end)
        if position < lab.log[0]["position"]:
            continue
        assert (lab.state_hash(), history(lab)) == (state, story)


@pytest.mark.parametrize(
    "condition",
    [
        {"kind": "exit"},
        {"kind": "exit", "vm": "b"},
        {"kind": "exit", "reason": "wfi"},
        {"kind": "timeslice"},
        {"kind": "fault"},
        {"kind": "console", "vm": "b"},
        {"kind": "instruction"},
        {"kind": "instruction", "vm": "a"},
    ],
)
def test_back_to_is_the_last_time_before_now(recorded: Callable[[], Lab], condition: dict[str, Any]) -> None:
    lab = recorded()
    lab.advance(900_000)
    now = lab.position
    assert lab.back_to(condition)
    found = lab.position
    assert found < now
    # Forward from there, the next time is not before where we came from.
    assert not lab.run_until(condition, now - 1) or lab.position >= now
    # And it is a time at which the condition comes to hold.
    lab.rewind(found)
    lab.rewind(max(0, found - 2_000))
    times = []
    while lab.run_until(condition, now) and lab.position < now:
        times.append(lab.position)
    assert times[-1] == found


def test_back_to_a_breakpoint_and_a_write(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("count", pcpus=1)
    lab.record(spacing=10_000)
    lab.apply({"verb": "start", "vm": "a"})
    spend = lab.program("a").executable.symbols["spend"]
    value = lab.program("a").executable.symbols["value"]
    lab.advance(50_000)
    assert lab.back_to({"kind": "breakpoint", "vm": "a", "address": spend})
    assert int(lab.registers("a", 0)["pc"], 16) == spend
    first = lab.position
    assert lab.back_to({"kind": "breakpoint", "vm": "a", "address": spend})
    assert lab.position < first
    assert lab.back_to({"kind": "watch", "vm": "a", "address": value, "access": "store"})
    assert lab.position < first


def test_going_back_over_instructions_one_by_one_is_going_forward_reversed(
    make_lab: Callable[..., Lab],
) -> None:
    lab = make_lab("count", pcpus=1)
    lab.record()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(40_000)
    step = {"kind": "instruction", "vm": "a"}
    forward = []
    for _ in range(12):
        forward.append((lab.position, lab.registers("a", 0)["pc"]))
        assert lab.run_until(step, lab.position + 100_000)
    backward = []
    for _ in range(12):
        assert lab.back_to(step)
        backward.append((lab.position, lab.registers("a", 0)["pc"]))
    assert backward == forward[::-1]


def test_an_action_in_the_past_begins_another_line_and_the_first_can_be_returned_to(
    recorded: Callable[[], Lab],
) -> None:
    lab = recorded()
    lab.advance(400_000)
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.advance(900_000)
    end, state, story = lab.position, lab.state_hash(), history(lab)
    lab.rewind(300_000)
    assert lab.vm("a").state.value == "running"
    lab.apply({"verb": "suspend", "vm": "b"})
    lab.advance(700_000)
    other = lab.state_hash()
    assert list(lab.past.branches) == ["branch 1"]
    lab.return_to("branch 1")
    assert (lab.position, lab.state_hash(), history(lab)) == (end, state, story)
    lab.return_to("branch 2")
    assert lab.state_hash() == other


def test_what_was_done_when_nothing_was_left_to_run_is_repeated(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("hello", "spin", pcpus=2)
    lab.record()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(10_000_000)
    assert lab.hypervisor.finished
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(lab.position + 500_000)
    present, state = lab.position, lab.state_hash()
    lab.rewind(0)
    lab.advance(present)
    assert (lab.position, lab.state_hash()) == (present, state)


def test_undoing_an_action_where_the_lab_stands(recorded: Callable[[], Lab]) -> None:
    lab = recorded()
    lab.advance(400_000)
    before = lab.state_hash()
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.rewind(lab.position, actions=len(lab.log) - 1)
    assert lab.state_hash() == before


@given(steps=STEPS, shares=st.lists(st.floats(0, 1), min_size=1, max_size=4))
@settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_moving_the_cursor_changes_nothing_of_the_line(
    recorded: Callable[[], Lab], steps: list[Any], shares: list[float]
) -> None:
    lab = recorded()
    play(lab, [300_000, *steps, 500_000])
    end, state, log, answers = lab.position, lab.state_hash(), list(lab.log), dict(lab.answers)
    for share in shares:
        lab.rewind(int(end * share))
        assert (lab.line, lab.past.present, lab.answers) == (log, end, answers)
        assert lab.past.behind == (lab.position < end or len(lab.log) < len(log))
    lab.advance(end)
    assert (lab.position, lab.state_hash(), lab.log) == (end, state, log)
    assert not lab.past.behind
    assert not lab.past.branches


def test_a_run_through_the_past_in_pieces_repeats_what_was_done(recorded: Callable[[], Lab]) -> None:
    lab = recorded()
    play(lab, [300_000, {"verb": "suspend", "vm": "b"}, 200_000, {"verb": "reset_lab"}, 50_000])
    play(lab, [{"verb": "start", "vm": "b"}, 300_000])
    end, state, log = lab.position, lab.state_hash(), list(lab.log)
    lab.rewind(0, 0)
    assert lab.log == []
    while lab.past.behind:
        if not lab.run_until({"kind": "exit"}, min(end, lab.position + 40_000)):
            lab.advance(min(end, lab.position + 7_777))
    assert (lab.position, lab.state_hash(), lab.log) == (end, state, log)


def test_an_answer_in_the_past_stands_at_the_end_of_the_line_and_goes_along_to_others(
    recorded: Callable[[], Lab],
) -> None:
    lab = recorded()
    play(lab, [200_000, {"verb": "answer", "question": "early", "value": 1}, 200_000])
    lab.apply({"verb": "destroy", "vm": "a"})
    end = lab.position
    lab.rewind(100_000)
    lab.apply({"verb": "answer", "question": "late", "value": 2})
    last = lab.line[-1]
    assert (last["position"], last["seq"], last["action"]["question"]) == (end, len(lab.line), "late")
    assert (lab.past.behind, lab.answers) == (True, {"early": 1, "late": 2})
    lab.apply({"verb": "suspend", "vm": "b"})
    assert not lab.past.behind
    given = {entry["action"].get("question") for entry in lab.log}
    assert {"early", "late"} <= given
    assert lab.log[-1]["action"]["verb"] == "suspend"
    assert [entry["seq"] for entry in lab.log] == list(range(1, len(lab.log) + 1))
    lab.return_to("branch 1")
    assert (lab.position, lab.vm("a").state.value) == (end, "shut off")
    assert lab.answers == {"early": 1, "late": 2}


def test_a_refused_action_in_the_past_begins_no_line(recorded: Callable[[], Lab]) -> None:
    lab = recorded()
    lab.advance(300_000)
    lab.apply({"verb": "suspend", "vm": "a"})
    lab.rewind(100_000)
    before = lab.state_hash(), lab.line
    with pytest.raises(LabError):
        lab.apply({"verb": "resume", "vm": "a"})
    assert (lab.state_hash(), lab.line) == before
    assert lab.past.behind


def test_undoing_begins_another_line_without_what_came_after(recorded: Callable[[], Lab]) -> None:
    lab = recorded()
    lab.advance(300_000)
    there, before = lab.position, lab.state_hash()
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.advance(500_000)
    lab.undo(there, len(lab.log) - 1)
    assert (lab.state_hash(), lab.past.behind) == (before, False)
    lab.advance(600_000)
    assert lab.vm("a").state.value == "running"
    lab.return_to("branch 1")
    assert lab.vm("a").state.value == "shut off"


def test_the_past_stays_within_its_memory(recorded: Callable[[], Lab]) -> None:
    lab = recorded()
    lab.past.limit = 2 << 20
    lab.advance(12_000_000)
    past = lab.past
    assert past.held_bytes <= (2 << 20) + (256 << 10)  # and what was written since the last one
    assert 3 < len(past.checkpoints) < 80
    gaps = [b.position - a.position for a, b in zip(past.checkpoints, past.checkpoints[1:], strict=False)]
    assert gaps[1] > gaps[-1]
    lab.rewind(5_000_000)
    assert lab.position >= 5_000_000


def test_what_is_no_past_is_refused(make_lab: Callable[..., Lab]) -> None:
    lab = make_lab("spin")
    with pytest.raises(LabError, match="not recorded"):
        lab.rewind(0)
    lab.record()
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(100_000)
    with pytest.raises(LabError, match="not in the past"):
        lab.rewind(100_001)
    with pytest.raises(LabError, match="no branch"):
        lab.return_to("x")
    with pytest.raises(LabError, match="no instant"):
        lab.back_to({"kind": "time", "ns": 5})
    state = lab.state_hash()
    assert not lab.back_to({"kind": "fault"})
    assert lab.state_hash() == state


def test_a_search_that_takes_too_long_says_from_where_to_search_on(
    recorded: Callable[[], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = recorded()
    lab.advance(900_000)
    first = lab.hypervisor.trace.events[-1].position  # the last fault, or an action
    lab.advance(3_000_000)
    monkeypatch.setattr(timetravel, "WORK", 1_000_000)
    before, position = lab.state_hash(), lab.position
    condition = {"kind": "console", "vm": "d", "text": "never"}
    with pytest.raises(
        LabError, match=r"no console in the last .* ms.*go back to position \d+ and"
    ) as caught:
        lab.back_to(condition)
    assert (lab.state_hash(), lab.position) == (before, position)
    there = int(re.findall(r"position (\d+)", str(caught.value))[0])
    assert first < there < position
    lab.rewind(there)
    assert lab.position == there
    monkeypatch.undo()
    assert not lab.back_to(condition)


def test_a_checkpoint_on_the_way_of_a_search_changes_nothing(
    make_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timetravel, "STONE", 200_000)
    found: list[tuple[int, str]] = []
    for spacing in (100_000, 50_000_000):  # without a stone, and with one
        lab = make_lab("nap", "spin", pcpus=1)
        lab.record(spacing=spacing)
        for name in "ab":
            lab.apply({"verb": "start", "vm": name})
        lab.advance(3_000_000)
        for _ in range(4):
            assert lab.back_to({"kind": "exit", "vm": "a"})
        found.append((lab.position, lab.state_hash()))
    assert found[0] == found[1]
