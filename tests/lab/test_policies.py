"""A lab run by a student's policies: its log repeats it without the text, and mistakes leave it as it was."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from emulator.lab import Lab, LabError
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.policy import INTERFACES, program

STARTER = INTERFACES["scheduler"].starter
PREEMPTIVE = """\
class Mine(Scheduler):
    preemptive = True

    def pick(self, runqueue, now):
        return max(runqueue, key=lambda vcpu: vcpu.id)

    def timeslice(self, vcpu, now):
        return 20_000 + vcpu.ran % 7

    def preempts(self, vcpu, running, now):
        return vcpu.id > running.id
"""
MakeLab = Callable[..., Lab]


@pytest.fixture
def no_texts(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Forbid, from its call on, that a text runs."""

    def forbid() -> None:
        monkeypatch.setattr(program.Caller, "__call__", None)
        monkeypatch.setattr(program.Caller, "ask", None)
        monkeypatch.setattr(program.Program, "__init__", None)

    return forbid


def started(make_lab: MakeLab, recorded: bool = False, pcpus: int = 2) -> Lab:
    """Return a lab of three VMs on two pCPUs, in which texts may run."""
    lab = make_lab("spin", "nap", "spin", pcpus=pcpus)
    if recorded:
        lab.record()
    lab.policies.enable()
    for vm in "abc":
        lab.apply({"verb": "start", "vm": vm})
    lab.advance(300_000)
    return lab


def use(lab: Lab, text: str, interface: str = "scheduler") -> None:
    """Let a policy decide."""
    lab.apply({"verb": "set_policy", "interface": interface, "text": text})


def repeated(lab: Lab, fresh: Lab) -> str:
    """Return the state hash of a fresh lab after a lab's log, which has been through JSON."""
    log = json.loads(json.dumps(lab.log))
    again = Lab.replay(fresh.config_at_start, fresh.programs, 7, log, lab.position, fresh.engine)
    assert again.log == lab.log
    return again.state_hash()


@pytest.mark.parametrize("text", [STARTER, PREEMPTIVE])
def test_a_log_repeats_a_run_without_the_text(
    make_lab: MakeLab, no_texts: Callable[[], None], text: str
) -> None:
    lab = started(make_lab)
    use(lab, text)
    for _ in range(5):
        lab.advance(lab.position + 700_001)
    lab.apply({"verb": "console_input", "vm": "a", "text": "x"})
    lab.apply({"verb": "set_host", "scheduler": "credit"})
    lab.advance(lab.position + 500_000)
    use(lab, text)
    lab.advance(lab.position + 500_000)
    assert lab.log[-1]["action"]["verb"] == "decide"
    no_texts()
    assert repeated(lab, make_lab("spin", "nap", "spin", pcpus=2)) == lab.state_hash()


def test_a_run_in_pieces_and_one_in_one_piece_decide_alike(make_lab: MakeLab) -> None:
    pieces, whole = started(make_lab), started(make_lab)
    for lab in (pieces, whole):
        use(lab, PREEMPTIVE)
    for _ in range(30):
        pieces.advance(pieces.position + 33_333)
    whole.advance(pieces.position)
    assert pieces.state_hash() == whole.state_hash()
    assert len(pieces.log) == len(whole.log) == 5  # three starts, the policy, one entry of decisions


FAILING = """\
class Mine(Scheduler):
    turns = 0

    def on_exit(self, vcpu, ran, now):
        self.turns += 1
        if self.turns == 20:
            {notice}

    def pick(self, runqueue, now):
        if self.turns == 10:
            {answer}
        return runqueue[-1]
"""


@pytest.mark.parametrize(
    ("notice", "answer", "line", "sentence"),
    [
        ("while 1: pass", "pass", 7, "more than 100,000 steps in one call"),
        ("raise ValueError('odd')", "pass", 7, "ValueError: odd"),
        ("x = [0] * 200_000_000", "pass", 7, "more than 64 MiB of memory"),
        ("pass", "return 5", 9, "pick returned 5, which is not in the run queue"),
        ("pass", "x = {}[vcpu]", 11, "NameError"),
    ],
)
def test_a_mistake_is_told_with_its_line_and_leaves_the_lab_as_it_was_before_the_call(
    make_lab: MakeLab, notice: str, answer: str, line: int, sentence: str
) -> None:
    lab = started(make_lab)
    use(lab, FAILING.format(notice=notice, answer=answer))
    lab.advance(lab.position + 10_000)
    with pytest.raises(LabError) as caught:
        lab.advance(lab.position + 20_000_000)
    assert caught.value.line == line
    assert sentence in str(caught.value)
    state, position = lab.state_hash(), lab.position
    assert repeated(lab, make_lab("spin", "nap", "spin", pcpus=2)) == state
    with pytest.raises(LabError, match=f"line {line}"):
        lab.advance(lab.position + 1)  # it stays there
    assert (lab.state_hash(), lab.position) == (state, position)
    use(lab, STARTER)
    lab.advance(lab.position + 400_000)
    assert lab.position > position
    assert repeated(lab, make_lab("spin", "nap", "spin", pcpus=2)) == lab.state_hash()


def test_a_text_that_does_not_load_is_no_action(make_lab: MakeLab) -> None:
    lab = started(make_lab)
    before, entries = lab.state_hash(), len(lab.log)
    with pytest.raises(LabError, match="cannot import os") as caught:
        use(lab, f"import os\n{STARTER}")
    assert (caught.value.line, lab.state_hash(), len(lab.log)) == (1, before, entries)


def test_going_back_takes_later_decisions_out_of_the_log(make_lab: MakeLab) -> None:
    lab = started(make_lab, recorded=True)
    use(lab, STARTER)
    for _ in range(6):
        lab.advance(lab.position + 300_000)
    lab.apply({"verb": "console_input", "vm": "a", "text": "x"})
    end, state = lab.position, lab.state_hash()
    lab.rewind(end - 777_777)
    assert repeated(lab, make_lab("spin", "nap", "spin", pcpus=2)) == lab.state_hash()
    use(lab, PREEMPTIVE)
    lab.advance(lab.position + 500_000)
    assert repeated(lab, make_lab("spin", "nap", "spin", pcpus=2)) == lab.state_hash()
    lab.return_to("branch 1")
    assert (lab.position, lab.state_hash()) == (end, state)


def test_an_action_takes_out_the_decisions_that_lie_ahead_of_a_run_that_was_cut(make_lab: MakeLab) -> None:
    lab = started(make_lab, pcpus=2)
    use(lab, PREEMPTIVE)
    lab.advance(lab.position + 400_001)
    middle, state = lab.position, lab.state_hash()
    lab.advance(lab.position + 900_000)
    fresh = make_lab("spin", "nap", "spin", pcpus=2)
    log = json.loads(json.dumps(lab.log))
    copy = Lab.replay(fresh.config_at_start, fresh.programs, 7, log, middle, fresh.engine)
    assert copy.state_hash() == state
    assert copy.log[-1]["action"]["until"] > middle
    copy.record()
    copy.apply({"verb": "console_input", "vm": "a", "text": "x"})
    assert copy.log[-2]["action"]["until"] == middle
    copy.advance(middle + 2_000_000)
    assert repeated(copy, make_lab("spin", "nap", "spin", pcpus=2)) == copy.state_hash()


def test_where_texts_do_not_run_the_default_decides_and_the_policy_is_refused(make_lab: MakeLab) -> None:
    lab = make_lab("spin", "spin", pcpus=1)
    with pytest.raises(LabError, match="policies run in your own browser"):
        use(lab, STARTER)
    lab.apply({"verb": "set_host", "scheduler": "custom"})
    lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(2_000_000)
    assert all(vm.vcpus[0].run_cycles > 500_000 for vm in lab.hypervisor.vms.values())


def forged(lab: Lab, change: Callable[[dict[str, Any]], None]) -> list[Any]:
    """Return a lab's log with its last decisions changed."""
    log = json.loads(json.dumps(lab.log))
    change(next(entry["action"] for entry in reversed(log) if entry["action"]["verb"] == "decide"))
    return log


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda it: it["choices"]["scheduler"]["pick"][0].__setitem__(1, [999]), "not in the run queue"),
        (lambda it: it["choices"]["scheduler"].update(timeslice=[[9, [0]]]), "is 0 cycles"),
        (lambda it: it["choices"]["scheduler"].update(pick=[[1, [8]]]), "has no decision of pick"),
        (lambda it: it.update(until=3), "stands at"),
        (
            lambda it: it["choices"].update(balloon={"targets": [[1, [[]]]]}),
            "no policy is in use for balloon",
        ),
        (lambda it: it["choices"].update(pick=1), "interfaces are"),
    ],
)
def test_impossible_decisions_are_refused_with_the_reason(
    make_lab: MakeLab, change: Callable[[dict[str, Any]], None], sentence: str
) -> None:
    lab = started(make_lab)
    use(lab, PREEMPTIVE)
    lab.advance(lab.position + 900_000)
    fresh = make_lab("spin", "nap", "spin", pcpus=2)
    log = forged(lab, change)
    with pytest.raises(LabError, match=sentence):
        Lab.replay(fresh.config_at_start, fresh.programs, 7, log, lab.position, fresh.engine)


# Memory and exits

TOUCH = """
        li t4, 8            # rounds
3:      li t0, 0x80010000
        li t1, 0x80040000
1:      ld t2, (t0)
        addi t2, t2, 1
        sd t2, (t0)
        li t3, 4096
        add t0, t0, t3
        bltu t0, t1, 1b
        addi t4, t4, -1
        bnez t4, 3b
2:      j 2b
"""
DEVICE = """
        li s0, 0x40000000
        ld s1, (s0)
        ld s2, (s0)
        li t0, 40
        sd t0, (s0)
        ld s3, (s0)
        csrr s4, 0x643
        sw t0, 8(s0)
        lb s5, 1(s0)
1:      j 1b
"""
COUNTER = (
    INTERFACES["exits"].starter
    + """\

    def csr(self, vm, number, operation, value):
        return number if operation == "read" else None
"""
)


def memory_lab(engine: Any, source: str, **host: Any) -> Lab:
    vms = [{"name": name, "program": "x.s", "memory": "256 KiB", "on_fault": "skip"} for name in "ab"]
    config = LabConfig.from_dict({"host": {"memory": "1 MiB", "pcpus": 1, **host}, "vms": vms})
    return Lab(config, {"x.s": Program("x.s", source=source)}, 7, engine)


@pytest.mark.parametrize("text", [INTERFACES["replacement"].starter])
def test_pages_go_as_the_policy_says_and_the_log_repeats_it(
    engine: Any, no_texts: Callable[[], None], text: str
) -> None:
    host = {"overcommit": 2, "swap": "1 MiB"}
    lab = memory_lab(engine, TOUCH, **host)
    for vm in "ab":
        lab.apply({"verb": "set_vm", "vm": vm, "memory_limit": "128 KiB"})
    lab.policies.enable()
    use(lab, text, "replacement")
    for vm in "ab":
        lab.apply({"verb": "start", "vm": vm})
    lab.advance(4_000_000)
    assert sum(vm.backing.swapped_out for vm in lab.hypervisor.vms.values()) > 50
    decided = lab.log[-1]["action"]["choices"]["replacement"]["victim"]
    assert any(cleared for _, pattern in decided for _, cleared in pattern)
    no_texts()
    assert repeated(lab, memory_lab(engine, TOUCH, **host)) == lab.state_hash()


def test_a_device_and_a_csr_in_python(engine: Any, no_texts: Callable[[], None]) -> None:
    lab = memory_lab(engine, DEVICE)
    lab.policies.enable()
    use(lab, COUNTER, "exits")
    lab.apply({"verb": "start", "vm": "a"})
    lab.advance(200_000)
    registers = lab.hypervisor.registers(lab.vm("a").vcpus[0]).x
    # The byte at offset 1 is nobody's: an access fault, for which this guest has no handler.
    assert [registers[number] for number in (9, 18, 19, 20)] == [1, 2, 41, 0x643]
    no_texts()
    assert repeated(lab, memory_lab(engine, DEVICE)) == lab.state_hash()


def test_a_value_that_is_no_number_is_a_mistake_of_the_handler(engine: Any) -> None:
    lab = memory_lab(engine, DEVICE)
    lab.policies.enable()
    use(lab, "class Mine(ExitHandler):\n    def read(self, vm, offset, size):\n        return 'x'\n", "exits")
    lab.apply({"verb": "start", "vm": "a"})
    with pytest.raises(LabError, match="line 3: read returned 'x'; expected a number"):
        lab.advance(200_000)
    assert repeated(lab, memory_lab(engine, DEVICE)) == lab.state_hash()


def test_a_policy_that_never_came_back_is_off_until_it_is_changed(make_lab: MakeLab) -> None:
    lab = started(make_lab)
    use(lab, STARTER)
    lab.advance(600_000)
    lab.policies.halt(7)
    lab.policies.enable()
    before = lab.state_hash()
    with pytest.raises(LabError, match="line 7: a call did not end, and this is the last line") as wrong:
        lab.advance(700_000)
    assert (wrong.value.line, lab.state_hash()) == (7, before)
    lab.apply({"verb": "set_host", "scheduler": "credit"})
    lab.advance(700_000)  # a built-in one goes on
    assert lab.position >= 700_000
    use(lab, STARTER)
    lab.advance(800_000)
    assert lab.position >= 800_000
