"""A lab as a whole: actions, time, replay, reset."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

MakeLab = Callable[..., Lab]


def act(lab: Lab, verb: str, vm: str = "a", **more: Any) -> dict[str, Any]:
    """Apply an action on a VM."""
    return lab.apply({"verb": verb, "vm": vm, **more})


def test_started_vm_prints_when_time_passes(make_lab: MakeLab) -> None:
    lab = make_lab("hello")
    assert act(lab, "start") == {"vm": "a", "state": "running"}
    assert lab.console("a") == ""
    lab.advance(lab.position_at(1_000_000))
    assert lab.console("a") == "Hello\n"
    assert lab.vm("a").state.value == "shut off"


def test_host_without_the_h_extension_starts_no_vm(make_lab: MakeLab) -> None:
    lab = make_lab("hello", isa="rv64imac")
    with pytest.raises(LabError, match=r"no H extension, on which VMs run; add h to host\.isa"):
        act(lab, "start")


def test_guest_has_the_extensions_of_its_host(make_lab: MakeLab) -> None:
    lab = make_lab("hello", isa="rv64imah_zba")
    act(lab, "start")
    lab.advance(lab.position_at(1_000_000))
    assert lab.console("a") == "Hello\n"
    assert all(hart.extensions == lab.host_config.isa.bits for hart in lab.hypervisor.host.harts)


def test_time_passes_only_while_something_can_happen(make_lab: MakeLab) -> None:
    lab = make_lab("wait")
    lab.advance(10_000_000)
    assert lab.position == 0
    act(lab, "start")
    lab.advance(10_000_000)
    assert 0 < lab.position < 20_000


def test_autostart_vm_runs_from_the_beginning(engine: Any) -> None:
    config = LabConfig.from_dict({"vms": [{"name": "a", "program": "p.s", "autostart": True}]})
    lab = Lab(config, {"p.s": Program("p.s", source="1: j 1b")}, 1, engine)
    assert lab.vm("a").state.value == "running"
    assert lab.log == []


def test_missing_program_is_located(engine: Any) -> None:
    config = LabConfig.from_dict({"vms": [{"name": "a", "program": "helo.s"}]})
    with pytest.raises(LabError, match=r"no program 'helo.s'; did you mean `hello.s`") as caught:
        Lab(config, {"hello.s": Program("hello.s", source="nop")}, 1, engine)
    assert caught.value.path == "vms[0].program"


def test_a_command_line_for_a_program_that_is_no_kernel_is_refused(engine: Any) -> None:
    config = LabConfig.from_dict({"vms": [{"name": "a", "program": "p.s", "append": "quiet"}]})
    with pytest.raises(LabError, match=r"append is a kernel's command line, and p.s is none; drop it"):
        Lab(config, {"p.s": Program("p.s", source="nop")}, 1, engine)


def test_replay_reaches_the_same_state(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "spin", "nap", "probe")
    for vm in "abcd":
        act(lab, "start", vm)
    lab.advance(300_000)
    act(lab, "suspend", "b")
    lab.advance(500_000)
    act(lab, "set_program", "a", source="1: addi s0, s0, 7\n j 1b")
    act(lab, "start", "a")
    act(lab, "resume", "b")
    lab.run_until({"kind": "exit", "vm": "c"}, lab.position + 1_000_000)
    lab.apply({"verb": "set_host", "timeslice": "200 us"})
    act(lab, "destroy", "c")
    lab.advance(lab.position + 777)
    again = Lab.replay(lab.config_at_start, lab.programs, lab.seed, lab.log, lab.position, lab.engine)
    assert again.position == lab.position
    assert again.state_hash() == lab.state_hash()
    assert again.log == lab.log
    for name in "abcd":
        assert again.console(name) == lab.console(name)


def test_replay_of_a_foreign_log_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab("hello")
    log: Any = [{"seq": 1, "position": 500, "action": {"verb": "start", "vm": "a"}}]
    with pytest.raises(LabError, match="belongs to another lab"):
        Lab.replay(lab.config, lab.programs, 7, log, 1000, lab.engine)


def test_reset_lab_is_a_new_lab_at_a_later_position(make_lab: MakeLab) -> None:
    lab, fresh = make_lab("hello", "spin"), make_lab("hello", "spin")
    act(lab, "start", "b")
    act(lab, "set_program", "a", source="nop")
    lab.advance(123_456)
    lab.apply({"verb": "reset_lab"})
    assert lab.position == 123_456
    assert lab.now_ns == 0
    assert lab.state_hash() == fresh.state_hash()
    for one in (lab, fresh):
        act(one, "start", "a")
        one.advance(one.position + 50_000)
    assert lab.state_hash() == fresh.state_hash()


def test_failed_action_changes_nothing(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "spin")
    act(lab, "start", "b")
    lab.advance(1000)
    before, log = lab.state_hash(), list(lab.log)
    bad: list[dict[str, Any]] = [
        {},
        {"verb": 3},
        {"verb": "strat", "vm": "a"},
        {"verb": "start"},
        {"verb": "start", "vm": "nobody"},
        {"verb": "start", "vm": ["a"]},
        {"verb": "start", "vm": "b"},
        {"verb": "start", "vm": "a", "now": True},
        {"verb": "resume", "vm": "b"},
        {"verb": "undefine", "vm": "b"},
        {"verb": "define", "vm": "a", "program": "hello.s"},
        {"verb": "define", "vm": {"name": "c"}},
        {"verb": "define", "vm": {"name": "c", "program": "none.s"}},
        {"verb": "set_vm", "vm": "b", "memory": "1 MiB"},
        {"verb": "set_vm", "vm": "a"},
        {"verb": "set_vm", "vm": "a", "memory": "7 KiB"},
        {"verb": "set_vm", "vm": "a", "name": "b"},
        {"verb": "set_vm", "vm": "a", "colour": "red"},
        {"verb": "set_host"},
        {"verb": "set_host", "pcpus": 1},
        {"verb": "set_host", "timeslice": "soon"},
        {"verb": "set_host", "clock": "200 MHz"},
        {"verb": "set_program", "vm": "b", "source": "frobnicate"},
        {"verb": "set_program", "vm": "b", "source": None},
        {"verb": "set_program", "vm": "b", "source": ".org 0x90000000\n nop"},
        {"verb": "set_program", "vm": "b", "source": ".space 0x20000\n nop"},
        {"verb": "console_input", "vm": "a", "text": "x"},
        {"verb": "console_input", "vm": "b", "text": 5},
        {"verb": "console_input", "vm": "b", "text": "x" * 5000},
        {"verb": "answer", "question": "", "value": 1},
        {"verb": "answer", "question": "q"},
        {"verb": "answer", "question": "q", "value": {"a": 1}},
        {"verb": "answer", "question": "q", "value": float("nan")},
        {"verb": "reset_lab", "really": True},
    ]
    for action in bad:
        with pytest.raises(LabError) as caught:
            lab.apply(action)
        assert str(caught.value), action
        assert lab.state_hash() == before, action
        assert lab.log == log
        assert lab.answers == {}


def test_program_that_does_not_assemble_is_located(make_lab: MakeLab) -> None:
    lab = make_lab("hello")
    with pytest.raises(LabError) as caught:
        act(lab, "set_program", source="nop\n  addd a0, a0, 1\n")
    assert (caught.value.line, caught.value.column) == (2, 3)
    assert "hello.s:2:3" in str(caught.value)
    assert "did you mean `add" in str(caught.value)


def test_changed_program_restarts_a_running_vm_at_once(make_lab: MakeLab) -> None:
    lab = make_lab("spin")
    act(lab, "start")
    lab.advance(10_000)
    result = act(lab, "set_program", source="li a0, 'n'\n li a7, 1\n ecall\n 1: j 1b")
    assert result == {"vm": "a", "restarted": True, "state": "running"}
    lab.advance(20_000)
    assert lab.console("a") == "n"


def test_changed_program_is_this_vms_alone(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "hello")
    act(lab, "set_program", "a", source="nop")
    assert lab.program("a").source == "nop"
    assert lab.program("b").source != "nop"
    act(lab, "set_vm", "a", name="z")
    assert lab.program("z").source == "nop"
    act(lab, "set_vm", "z", program="spin.s")
    assert lab.program("z").source != "nop"


def test_start_that_does_not_fit_says_how_many_frames(make_lab: MakeLab) -> None:
    lab = make_lab("hello", memory="1 MiB")
    act(lab, "set_vm", memory="1 MiB")
    with pytest.raises(LabError, match=r"needs 262 host frames \(256 for .* and 6 .*\) and 256 are free"):
        act(lab, "start")


def test_program_that_does_not_fit_says_where(make_lab: MakeLab) -> None:
    lab = make_lab("hello")
    act(lab, "set_program", source=".data\n.skip 0x20000\n")
    with pytest.raises(LabError, match="program wants 0x20000 bytes"):
        act(lab, "start")
    assert lab.hypervisor.partition.free_count == 512


def test_power_button_reaches_a_guest_that_listens(make_lab: MakeLab) -> None:
    lab = make_lab("polite", "spin")
    for name, state in (("a", "shut off"), ("b", "shutting down")):
        act(lab, "start", name)
        lab.advance(lab.position + 10_000)
        act(lab, "shutdown", name)
        lab.advance(lab.position + 100_000)
        assert lab.vm(name).state.value == state


def test_rebooted_guest_comes_back(make_lab: MakeLab) -> None:
    lab = make_lab("polite")
    act(lab, "start")
    lab.advance(10_000)
    act(lab, "reboot")
    lab.advance(100_000)
    assert lab.vm("a").starts == 2
    assert lab.vm("a").state.value == "idle"


def test_paused_vm_does_not_run_and_its_time_stands_still(make_lab: MakeLab) -> None:
    lab = make_lab("nap", "spin")
    act(lab, "start", "a")
    act(lab, "start", "b")
    lab.advance(lab.position_at(1_250_000))
    act(lab, "suspend", "a")
    retired = lab.vm("a").vcpus[0].retired
    lab.advance(lab.position_at(21_000_000))
    assert lab.vm("a").vcpus[0].retired == retired
    assert len(lab.console("a")) == 2
    act(lab, "resume", "a")
    lab.advance(lab.position_at(21_200_000))
    assert len(lab.console("a")) == 2, "the alarm is late by the length of the pause"
    lab.advance(lab.position_at(21_500_000))
    assert len(lab.console("a")) == 3


def test_timeslice_can_change_while_the_host_runs(make_lab: MakeLab) -> None:
    lab = make_lab("spin", "spin", pcpus=1)
    act(lab, "start", "a")
    act(lab, "start", "b")
    lab.advance(lab.position_at(10_000_000))
    slow = lab.vm("a").exits["budget"]
    lab.apply({"verb": "set_host", "timeslice": "100 us"})
    lab.advance(lab.position_at(20_000_000))
    assert lab.vm("a").exits["budget"] - slow > 5 * slow


def test_new_host_keeps_time_vms_and_history(make_lab: MakeLab) -> None:
    lab = make_lab("hello", "spin")
    act(lab, "start", "a")
    lab.advance(100_000)
    position, now = lab.position, lab.now_ns
    lab.apply({"verb": "set_host", "pcpus": 4, "memory": "4 MiB"})
    assert lab.position == position
    assert lab.now_ns >= now
    assert lab.console("a") == "Hello\n"
    assert lab.config.host.pcpus == 4
    act(lab, "start", "b")
    lab.advance(lab.position + 1_000_000)
    assert lab.vm("b").vcpus[0].retired > 200_000
    assert [event["reason"] for event in lab.observe()["events"] if event["kind"] == "action"] == [
        "start",
        "set_host",
        "start",
    ]


def test_typed_text_reaches_the_guest(make_lab: MakeLab) -> None:
    lab = make_lab("echo")
    act(lab, "start")
    lab.advance(5_000)
    act(lab, "console_input", text="höy\n")
    lab.advance(100_000)
    assert lab.console("a") == "höy\n"


def test_log_says_where_each_action_was_applied(make_lab: MakeLab) -> None:
    lab = make_lab("spin")
    act(lab, "start")
    lab.advance(4_321)
    act(lab, "suspend")
    assert lab.log == [
        {"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},
        {"seq": 2, "position": 4_321, "action": {"verb": "suspend", "vm": "a"}},
    ]


def test_logged_action_does_not_change_with_the_callers_data(make_lab: MakeLab) -> None:
    lab = make_lab("spin")
    action: dict[str, Any] = {"verb": "answer", "question": "q", "value": ["a"]}
    lab.apply(action)
    action["value"].append("b")
    assert lab.log[0]["action"]["value"] == ["a"]
    assert lab.answers == {"q": ["a"]}
