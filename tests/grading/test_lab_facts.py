"""Facts come from what really happened in a lab."""

from typing import Any

import pytest

from app.grading import grade
from app.grading.attempt import Attempt
from app.grading.lab_facts import LabFacts
from app.lessons import Lesson, load_lesson
from app.lessons.evaluate import NoValue
from app.lessons.facts import FUNCTIONS, RECORDS, STATES
from app.paths import lessons_dir


@pytest.fixture
def wall(engine: Any) -> Attempt:
    """Lesson 2 with VM a asleep and VM b stopped at the wall."""
    lesson = load_lesson(lessons_dir() / "02-the-wall")
    attempt = Attempt(lesson, engine)
    attempt.lab.apply({"verb": "start", "vm": "a"})
    attempt.run(2_000_000)
    source = (lesson.programs["probe.s"].source or "").replace("TARGET, 0x80002000", "TARGET, 0x80100000")
    attempt.lab.apply({"verb": "set_program", "vm": "b", "source": source})
    attempt.lab.apply({"verb": "start", "vm": "b"})
    attempt.run(2_000_000)
    return attempt


def facts_of(attempt: Attempt, answers: dict[str, object] | None = None) -> LabFacts:
    return LabFacts(attempt.lesson, attempt.lab, answers or {})


def test_states_consoles_and_exits(wall: Attempt) -> None:
    facts = facts_of(wall)
    assert facts.vms() == ["a", "b"]
    assert (facts.state("a"), facts.state("b")) == ("idle", "crashed")
    assert facts.console("a").startswith("My secret lies at")
    assert facts.exits("b", "guest page fault") == 1
    assert facts.exits("b") == facts.exits("b", "sbi") + 1
    assert (facts.pcpus(), facts.timeslice_us(), facts.memory_kib("b")) == (2, 1000, 1024)


def test_a_fault_tells_cause_address_and_the_neighbours_digest(wall: Attempt) -> None:
    (fault,) = facts_of(wall).faults("b")
    assert fault["cause"] == "load guest-page fault"
    assert fault["gpa"] == fault["gva"] == 0x8010_0000
    assert fault["instruction"].startswith("lbu")
    assert fault["neighbours_unchanged"]


def test_faults_and_history_outlive_a_restart_but_the_console_does_not(wall: Attempt) -> None:
    source = wall.lesson.programs["probe.s"].source
    wall.lab.apply({"verb": "set_program", "vm": "b", "source": source})
    wall.lab.apply({"verb": "start", "vm": "b"})
    wall.run(2_000_000)
    facts = facts_of(wall)
    assert len(facts.faults("b")) == 1
    assert facts.starts("b") == 2
    assert facts.history("b").count("VM b reaches out") == 2
    assert facts.console("b").count("VM b reaches out") == 1


def test_frames_are_unchanged_until_their_owner_writes(wall: Attempt) -> None:
    before = facts_of(wall).frames("a")
    assert before["count"] == 256
    assert before["unchanged"]
    assert before["hash"] == before["at_start"] != ""
    source = (wall.lesson.programs["vault.s"].source or "").replace(
        "asleep:", "la t0, secret\n sb zero, 0(t0)\nasleep:"
    )
    wall.lab.apply({"verb": "set_program", "vm": "a", "source": source})
    wall.run(2_000_000)
    after = facts_of(wall).frames("a")
    assert not after["unchanged"]
    assert after["hash"] != after["at_start"]


def test_an_answer_is_correct_or_not(wall: Attempt) -> None:
    assert facts_of(wall, {"entries-read": "3"}).correct("entries-read")
    assert not facts_of(wall, {"entries-read": "4"}).correct("entries-read")
    assert not facts_of(wall, {"entries-read": ["nonsense"]}).correct("entries-read")
    assert not facts_of(wall).correct("entries-read")


def test_grading_changes_nothing(wall: Attempt) -> None:
    before = (wall.lab.state_hash(), wall.lab.position, len(wall.lab.log))
    first = grade(wall.lesson, wall.lab, {})
    assert grade(wall.lesson, wall.lab, {}) == first
    assert (wall.lab.state_hash(), wall.lab.position, len(wall.lab.log)) == before


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_vm_that_is_not_there_is_no_error(name: str, wall: Attempt) -> None:
    function = FUNCTIONS[name]
    chosen = {"kind": "state", "signal": "cpu", "last": "1 ms"}
    arguments = {
        item.name: chosen.get(item.name, "nobody") for item in function.parameters if not item.optional
    }
    if name == "events":
        arguments["vm"] = "nobody"
    found = getattr(facts_of(wall), name)(**arguments)
    kinds = {"text": str, "int": int, "double": float, "bool": bool, "list": list}
    assert isinstance(found, kinds.get(function.result.name, dict))
    if isinstance(found, dict):
        assert set(found) == set(RECORDS[function.result.name])
        assert not any(found.values())
    elif function.parameters:
        assert found in ("", 0, [], "undefined", False)


def test_records_have_the_fields_of_the_vocabulary(wall: Attempt) -> None:
    facts = facts_of(wall)
    assert set(facts.faults("b")[0]) == set(RECORDS["fault"])
    assert set(facts.frames("a")) == set(RECORDS["frames"])
    assert facts.state("a") in STATES


def test_checks_survive_a_lab_that_was_turned_upside_down(wall: Attempt) -> None:
    lab, lesson = wall.lab, wall.lesson
    for action in (
        {"verb": "destroy", "vm": "a"},
        {"verb": "undefine", "vm": "a"},
        {"verb": "undefine", "vm": "b"},
        {"verb": "set_host", "pcpus": 1},
    ):
        lab.apply(action)
        assert_graded(lesson, wall)
    lab.apply({"verb": "reset_lab"})
    assert_graded(lesson, wall)


def assert_graded(lesson: Lesson, attempt: Attempt) -> None:
    results = grade(lesson, attempt.lab, attempt.answers)
    assert [result.id for result in results] == [check.id for check in lesson.checks]
    assert not any(result.passed for result in results if result.id == "untouched")


SHARING = {"verb": "set_host", "pcpus": 1}


def test_windows_look_at_the_time_that_they_are_given(engine: Any) -> None:
    attempt = Attempt(load_lesson(lessons_dir() / "01-first-virtual-machine"), engine)
    lab = attempt.lab
    lab.apply(SHARING)
    lab.apply({"verb": "start", "vm": "b"})
    attempt.run(40_000_000)
    assert facts_of(attempt).cpu_share("b", "30 ms") > 0.95
    lab.apply({"verb": "define", "name": "d", "memory": "1 MiB", "program": "busy.s"})
    lab.apply({"verb": "start", "vm": "d"})
    attempt.run(60_000_000)
    facts = facts_of(attempt)
    shares = [facts.cpu_share(vm, "50 ms") for vm in ("b", "d")]
    assert all(0.4 < share < 0.55 for share in shares)
    assert 0.4 < facts.steal("b", "50 ms") < 0.6
    assert facts.cpu_share("b", "100 ms") > shares[0] + 0.1
    assert facts.idle_share("b", "50 ms") == 0
    assert facts.measured("b", "cpu", "50 ms") == pytest.approx(100 * shares[0])
    assert len(facts.samples("b", "cpu", "50 ms")) in (5, 6)
    assert 0 < facts.exits("b", "budget", last="50 ms") < facts.exits("b", "budget")
    assert facts.exit_ms("b", "budget") > 0
    assert [event["reason"] for event in facts.events("state", "d")][-1] == "running"
    with pytest.raises(
        NoValue, match="the lab has run for 100 ms of virtual time, and this looks at the last 1 s"
    ):
        facts.cpu_share("b", "1 s")


def test_what_a_vm_may_have_of_the_pcpus(wall: Attempt) -> None:
    wall.lab.apply({"verb": "destroy", "vm": "b"})
    wall.lab.apply({"verb": "set_vm", "vm": "b", "reservation": "12.5 MHz", "affinity": "1", "cap": 40})
    facts = facts_of(wall)
    assert (facts.reservation_mhz("b"), facts.affinity("b"), facts.cap("b")) == (12.5, [1], 40)
    assert (facts.reservation_mhz("a"), facts.affinity("a"), facts.cap("a")) == (0, [], 0)


def test_lines_that_a_revert_takes_back_are_remembered(engine: Any) -> None:
    attempt = Attempt(load_lesson(lessons_dir() / "16-back-in-time"), engine)
    attempt.lab.apply({"verb": "start", "vm": "shop"})
    attempt.run(2_000_000)
    attempt.lab.apply({"verb": "snapshot_create", "vm": "shop", "name": "s1"})
    attempt.lab.apply({"verb": "console_input", "vm": "shop", "text": "upgrade\n"})
    attempt.run(1_000_000)
    attempt.lab.apply({"verb": "snapshot_revert", "vm": "shop", "name": "s1"})
    facts = facts_of(attempt)
    assert "version 2" not in facts.console("shop")
    hello, upgraded = facts.events("console", "shop")
    assert (hello["text"], upgraded["text"]) == ("Open. Press Enter to buy a ticket.", "This is version 2.")
    assert 2 <= upgraded["at_ms"] < 3
    assert facts.events("console") == [hello, upgraded]
    assert facts.events("console", "golden") == []


def test_a_volume_and_what_a_power_cut_takes(engine: Any) -> None:
    attempt = Attempt(load_lesson(lessons_dir() / "15-disks-of-disks"), engine)
    attempt.lab.apply({"verb": "start", "vm": "till"})
    attempt.lab.apply({"verb": "console_input", "vm": "till", "text": "w 5 apple\n"})
    attempt.run(2_000_000)
    attempt.lab.apply({"verb": "power_loss", "vm": "till"})
    facts = facts_of(attempt)
    assert facts.volume("ledger") == {
        "format": "raw",
        "thick": True,
        "capacity_kib": 64,
        "allocation_kib": 64,
        "backing": "",
    }
    assert (facts.volume("golden")["allocation_kib"], facts.volume("none")["capacity_kib"]) == (0, 0)
    assert (facts.disk("till")["volume"], facts.disk("till")["lost_kib"]) == ("ledger", 0.5)
    assert facts.disk("ada")["volume"] == ""


def test_an_attempt_runs_the_policies_of_its_script(engine: Any) -> None:
    attempt = Attempt(load_lesson(lessons_dir() / "12-write-a-scheduler"), engine)
    last = "class Mine(Scheduler):\n    def pick(self, runqueue, now):\n        return runqueue[-1]\n"
    attempt.lab.apply({"verb": "set_policy", "interface": "scheduler", "text": last})
    attempt.lab.apply({"verb": "start", "vm": "gold"})
    attempt.lab.apply({"verb": "start", "vm": "silver"})
    attempt.run(5_000_000)
    facts = facts_of(attempt)
    assert facts.scheduler() == "custom"
    assert facts.run_ms("silver") > 2
    assert attempt.lab.log[-1]["action"]["verb"] == "decide"
