"""A SessionHost in this process, with a clock of ours: who runs, who waits, who is stopped."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from app.workers.host import MAX_LABS, SessionHost
from app.workers.protocol import Message
from app.workers.publishing import PERIOD_SECONDS
from app.workers.record import LabBuilder, LabRecord, ProgramText
from emulator.build.engine import Engine
from emulator.lab import Lab
from tests.workers.conftest import CONFIG, COUNT

# Legacy SBI: read a character; print it if there was one.
ECHO = "_start:\n li a7, 2\n ecall\n bltz a0, _start\n li a7, 1\n ecall\n j _start\n"


class Bench:
    """A host whose clock moves a little whenever it is read, and everything it has sent."""

    def __init__(self, build: Callable[[LabRecord], Lab], memory: int = 1 << 30) -> None:
        self.now = 0.0
        self.tick = 0.0005
        self.sent: list[Message] = []
        self.host = SessionHost(build, self.examine, self.clock, self.sent.append, memory)

    def clock(self) -> float:
        self.now += self.tick
        return self.now

    def examine(self, lesson: str, lab: Lab, asked: Any) -> dict[str, Any]:
        del asked
        if lesson == "broken":
            raise ZeroDivisionError
        return {"position": lab.position}

    def ask(self, request: str, lab: str = "lab", **body: Any) -> Message:
        self.host.handle(Message(request, lab, call=1, body=body))
        return [message for message in self.sent if message.kind in ("reply", "error")][-1]

    def open(self, record: LabRecord) -> None:
        self.host.handle(record.to_message())

    def start(self, record: LabRecord, *vms: str) -> None:
        self.open(record)
        for vm in vms:
            assert self.ask("apply", record.lab, action={"verb": "start", "vm": vm}).kind == "reply"

    def run(self, lab: str = "lab", speed: str = "max") -> None:
        assert self.ask("control", lab, verb="run", speed=speed).kind == "reply"

    def state(self, lab: str = "lab") -> dict[str, Any]:
        return self.ask("state", lab).body

    def work(self, rounds: int) -> None:
        for _ in range(rounds):
            self.host.work()

    def messages(self, kind: str) -> list[Message]:
        return [message for message in self.sent if message.kind == kind]


@pytest.fixture
def bench(engine: Engine) -> Bench:
    return Bench(LabBuilder(engine))


def record(lab: str = "lab", lesson: str = "none", source: str = COUNT) -> LabRecord:
    return LabRecord(lab, lesson, CONFIG, (ProgramText("count.s", source=source),), seed=1)


def test_a_lab_that_is_not_there_is_missing(bench: Bench) -> None:
    assert bench.ask("observe").body["fault"] == "missing"


def test_running_labs_take_turns(bench: Bench) -> None:
    for lab in ("one", "two", "three"):
        bench.start(record(lab), "a")
        bench.run(lab)
    bench.work(3)
    assert all(bench.state(lab)["position"] > 0 for lab in ("one", "two", "three"))


def test_a_lab_without_work_does_not_keep_the_worker_awake(bench: Bench) -> None:
    bench.start(record(), "a")
    assert bench.host.work() > 1


def test_a_running_lab_that_nobody_watches_is_paused_and_says_so(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.run(speed="0.001")
    bench.now += 61
    bench.work(2)
    run = bench.state()["run"]
    assert run["mode"] == "paused"
    assert "nobody was watching" in run["reason"]


def test_a_watched_lab_runs_on(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.ask("subscribe", stream="s")
    bench.run(speed="0.001")
    bench.now += 61
    bench.work(2)
    assert bench.state()["run"]["mode"] == "running"


def test_nothing_left_to_run_waits_for_the_next_action(bench: Bench) -> None:
    bench.start(record())
    bench.run()
    bench.work(2)
    assert bench.state()["run"]["waiting"]
    assert bench.host.work() > 1
    bench.ask("apply", action={"verb": "start", "vm": "a"})
    bench.work(1)
    assert bench.state()["position"] > 0


def test_a_reader_is_not_sent_more_before_it_is_ready(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.ask("subscribe", stream="s")
    bench.run()
    for _ in range(20):
        bench.now += 0.2
        bench.work(1)
    assert len(bench.messages("publish")) == 1
    bench.ask("ready", stream="s")
    bench.now += 0.2
    bench.work(1)
    assert len(bench.messages("publish")) == 2


def test_readers_are_served_ten_times_a_second_at_most(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.ask("subscribe", stream="s")
    bench.run()
    bench.work(1)
    bench.ask("ready", stream="s")
    bench.host.work()
    assert len(bench.messages("publish")) == 1


def test_what_is_typed_is_echoed_without_waiting_for_the_next_tenth_of_a_second(bench: Bench) -> None:
    bench.start(record(source=ECHO), "a")
    bench.ask("subscribe", stream="s")
    bench.run()
    bench.work(2)
    bench.ask("ready", stream="s")
    bench.ask("apply", action={"verb": "console_input", "vm": "a", "text": "x"})
    typed_at = bench.now
    while len(bench.messages("publish")) < 2:
        bench.host.work()
    assert bench.now - typed_at < PERIOD_SECONDS / 2
    assert b'"text":"x"' in dict(bench.messages("publish")[1].blobs)["console"]


def test_the_state_comes_last_and_is_whole(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.ask("subscribe", stream="s")
    bench.work(1)
    names = [name for name, _ in bench.messages("publish")[0].blobs]
    state = json.loads(bench.messages("publish")[0].blobs[-1][1])
    assert names == ["frames", "lanes", "console", "events", "state"]
    assert {"host", "vms", "position", "now_ns", "run"} <= state.keys()
    assert not {"frames", "lanes", "consoles", "events"} & state.keys()


def test_positions_are_reported_once_a_second_and_when_the_lab_stops(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.run()
    bench.sent.clear()
    bench.work(5)
    assert bench.messages("progress") == []
    bench.now += 1.0
    bench.work(1)
    assert len(bench.messages("progress")) == 1
    bench.ask("control", verb="pause")
    assert bench.messages("progress")[-1].body["stand"][0] == bench.state()["position"]


def test_a_lab_is_rebuilt_in_slices_from_its_log(bench: Bench) -> None:
    bench.tick = 0.002
    bench.start(record(), "a")
    bench.ask("control", verb="run_until", kind="time", ns=200_000_000, speed="max")
    while bench.state()["run"]["mode"] == "until":
        bench.work(1)
    then = bench.state()
    log = ({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},)
    bench.open(replace(record("again"), log=log, position=then["position"]))  # pyright: ignore[reportArgumentType]
    assert bench.ask("observe", "again").body["fault"] == "rebuilding"
    while bench.state("again")["run"]["mode"] == "rebuilding":
        bench.work(1)
    now = bench.state("again")
    assert (now["position"], now["vms"]) == (then["position"], then["vms"])


def test_a_log_that_cannot_be_repeated_stops_the_lab_and_says_why(bench: Bench) -> None:
    log = ({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "nobody"}},)
    bench.open(replace(record(), log=log))  # pyright: ignore[reportArgumentType]
    bench.work(1)
    refused = bench.ask("apply", action={"verb": "start", "vm": "a"})
    assert refused.body["fault"] == "failed"
    assert "reset" in refused.body["message"]


def test_a_lab_that_cannot_be_opened_says_so_until_it_is_reset(bench: Bench) -> None:
    bench.open(replace(record(), config={"host": {"memory": "7 KiB"}}))
    refused = bench.ask("observe").body
    assert refused["fault"] == "failed"
    assert "multiple of 4 KiB" in refused["message"]
    assert "reset" in refused["message"]
    bench.ask("subscribe", stream="s")
    assert bench.messages("publish")[0].blobs[0][0] == "gone"
    bench.ask("close")
    bench.open(record())
    assert bench.ask("observe").kind == "reply"


def test_a_bug_while_grading_is_reported_and_the_lab_goes_on(
    bench: Bench, capsys: pytest.CaptureFixture[str]
) -> None:
    bench.start(record(lesson="broken"), "a")
    assert bench.ask("examine").body["fault"] == "bug"
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert bench.state()["run"]["mode"] == "paused"


def test_a_bug_in_one_lab_leaves_the_others_alone(engine: Engine, capsys: pytest.CaptureFixture[str]) -> None:
    class Broken(Lab):
        def advance(self, position: int) -> None:
            raise ZeroDivisionError(position)

    def build(wanted: LabRecord) -> Lab:
        lab = LabBuilder(engine)(wanted)
        if wanted.lesson == "broken":
            lab.__class__ = Broken
        return lab

    bench = Bench(build)
    bench.start(record("bad", "broken"), "a")
    bench.start(record("good"), "a")
    for lab in ("bad", "good"):
        bench.run(lab)
    bench.work(4)
    assert "ZeroDivisionError" in capsys.readouterr().err
    assert bench.state("bad")["run"]["mode"] == "failed"
    assert bench.state("good")["position"] > 0


def test_an_endless_guest_does_not_hold_up_a_step(bench: Bench) -> None:
    bench.start(record(source="_start: j _start\n"), "a")
    reply = bench.ask("control", verb="step", unit="exit").body
    assert reply["state"]["run"]["mode"] in ("until", "paused")
    reply = bench.ask("control", verb="run_until", kind="console", text="never", speed="max").body
    assert reply["state"]["run"]["mode"] == "until"


@pytest.mark.parametrize("duration", ["", "soon", "0 ms", "2 h", "3601 s"])
def test_a_time_to_run_that_is_none_is_refused(bench: Bench, duration: str) -> None:
    bench.start(record(), "a")
    refused = bench.ask("control", verb="run_for", duration=duration).body
    assert refused["where"] == "duration"


def test_a_lab_runs_for_a_time_and_stops(bench: Bench) -> None:
    bench.start(record(source="_start: j _start\n"), "a")
    bench.ask("control", verb="run_for", duration="1.5 ms", speed="max")
    while bench.state()["run"]["mode"] == "until":
        bench.work(1)
    assert bench.state()["now_ns"] == 1_500_000
    assert bench.state()["run"]["reason"] == "condition met: time"


def test_a_condition_whose_vm_goes_away_ends_in_a_pause(bench: Bench) -> None:
    bench.tick = 0.003
    bench.start(record(), "a", "b")
    bench.ask("control", verb="run_until", kind="instruction", vm="a", address="0xdead0000", speed="max")
    bench.ask("apply", action={"verb": "destroy", "vm": "a"})
    bench.work(2)
    run = bench.state()["run"]
    assert run["mode"] == "paused"
    assert "shut off" in run["reason"]


def test_a_search_for_an_access_goes_on_over_many_rounds(bench: Bench) -> None:
    source = "_start: li t0, 3000000\n1: addi t0, t0, -1\n bnez t0, 1b\n li t1, 0x80030000\n sd t1, (t1)\n"
    bench.tick = 0.002
    bench.start(record(source=source + "2: j 2b\n"), "a")
    wanted = {"kind": "watch", "address": "0x80030000", "length": "8", "access": "store"}
    bench.ask("control", verb="run_until", vm="a", speed="max", **wanted)
    assert bench.state()["run"]["mode"] == "until"
    rounds = 0
    while bench.state()["run"]["mode"] == "until":
        bench.work(1)
        rounds += 1
    assert rounds > 1
    assert bench.state()["run"]["reason"] == "condition met: watch"


def test_stepping_leaves_the_chosen_speed_alone(bench: Bench) -> None:
    bench.start(record(), "a")
    bench.ask("control", verb="speed", speed="1e-6")
    bench.ask("control", verb="step", unit="instruction")
    assert bench.state()["run"]["speed"] == "1e-6"


def test_labs_with_the_same_image_hold_it_once(engine: Engine) -> None:
    build = LabBuilder(engine)
    first, second, other = (
        build(replace(record(name), programs=(ProgramText("count.s", elf=bytes([*b"\x7fELF", kind])),)))
        for name, kind in (("one", 1), ("two", 1), ("three", 2))
    )
    assert first.programs["count.s"] is second.programs["count.s"]
    assert other.programs["count.s"].elf == b"\x7fELF\2"


def test_labs_that_nobody_uses_make_room(bench: Bench) -> None:
    for number in range(MAX_LABS + 5):
        bench.open(record(f"lab{number}"))
    assert bench.ask("ping").body["labs"] <= MAX_LABS
    assert bench.ask("state", "lab0").body["fault"] == "missing"


def test_memory_is_taken_from_unused_labs_first_and_then_the_largest_is_paused(engine: Engine) -> None:
    def start_all(memory: int) -> Bench:
        bench = Bench(LabBuilder(engine), memory)
        bench.start(record("unused"), "a", "b")
        bench.start(record("small"), "a")
        bench.start(record("large"), "a", "b")
        return bench

    roomy = start_all(1 << 30)
    sizes = [roomy.state(lab)["host"]["store_used_bytes"] for lab in ("small", "large")]
    assert sizes[0] < sizes[1]
    bench = start_all(sum(sizes) - 1)
    bench.run("small")
    bench.run("large")
    bench.now += 2
    bench.work(1)
    assert bench.ask("state", "unused").body["fault"] == "missing"
    assert bench.state("small")["run"]["mode"] == "running"
    assert "memory" in bench.state("large")["run"]["reason"]
