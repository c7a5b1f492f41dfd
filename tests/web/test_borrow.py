"""A lab goes to a browser and comes back: nothing is lost, and only what can be repeated here is taken over.

The browser is played by a lab in this process that is made of nothing but what `borrow` has sent.
"""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from app.desk.browser import read_record
from app.web.context import Context
from app.workers.record import LabBuilder, LabRecord
from app.workers.submission import log_digest
from emulator.build.engine import load_engine
from emulator.lab import Lab
from tests.web.conftest import Student


class Browser:
    """A browser that has borrowed a student's lab."""

    def __init__(self, student: Student, **fields: Any) -> None:
        self.student = student
        self.reply = student.done("borrow", **fields)
        self.record = read_record(self.reply["record"])
        self.lab = LabBuilder(load_engine())(self.record)
        for entry in self.record.log:
            self.lab.advance(entry["position"])
            self.lab.apply(entry["action"])
        self.lab.advance(self.record.position)

    def submission(self, **changes: Any) -> dict[str, Any]:
        return {
            "lease": self.reply["lease"],
            "lesson_version": self.reply["lesson_version"],
            "seed": self.record.seed,
            "generation": self.record.generation,
            "log": list(self.lab.log),
            "position": self.lab.position,
            "hash": self.lab.state_hash(),
            "mode": {"mode": "paused", "speed": "max", "condition": None, "reason": ""},
            "done": False,
            **changes,
        }

    def submit(self, **changes: Any) -> dict[str, Any]:
        """Hand in until it is verified."""
        while True:
            response = self.student.post("submit", **self.submission(**changes))
            assert response.status_code in (200, 202), response.text
            assert response.json is not None
            if response.status_code == 200:
                return response.json
            assert 0 <= response.json["verifying"] <= 1

    def refused(self, status: int = 422, **changes: Any) -> dict[str, Any]:
        response = self.student.post("submit", **self.submission(**changes))
        while response.status_code == 202:
            response = self.student.post("submit", **self.submission(**changes))
        assert response.status_code == status, response.text
        assert response.json is not None
        return response.json["error"]


@pytest.fixture
def browser(student: Student) -> Browser:
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    return Browser(student)


def work(lab: Lab) -> None:
    """Do something in the browser."""
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(lab.position + 200_000)
    lab.apply({"verb": "answer", "question": "how-many", "value": 2})
    lab.apply({"verb": "suspend", "vm": "a"})
    lab.advance(lab.position + 100_000)


def kept(server: Context, student: Student) -> LabRecord:
    record = server.labs.load(student.lab)
    assert record is not None
    return record


def looked(student: Student, what: str) -> dict[str, Any]:
    """Return what the server says of the lab, once it has rebuilt it."""
    while (response := student.get(what)).status_code == 409:
        assert "being rebuilt" in response.text
    assert response.json is not None
    return response.json


def hash_of(student: Student) -> str:
    return looked(student, "submission")["hash"]


def test_a_lab_is_lent_as_it_stands(browser: Browser) -> None:
    assert browser.lab.now_ns >= 1_000_000
    assert browser.lab.state_hash() == hash_of(browser.student)
    assert browser.reply["outdated"] is False
    state = looked(browser.student, "state")
    assert (state["position"], state["run"]["lent"]) == (browser.lab.position, True)


def test_while_it_is_lent_nothing_changes_it(browser: Browser, server: Context) -> None:
    before = kept(server, browser.student)
    for what, fields in (
        ("actions", {"verb": "start", "vm": "b"}),
        ("control", {"verb": "run"}),
        ("control", {"verb": "rewind", "position": 0}),
        ("config", {"timeslice": "2 ms"}),
        ("virsh", {"line": "start a"}),
        ("answers", {"question": "how-many", "value": "2"}),
        ("reset", {}),
        ("borrow", {}),
    ):
        response = browser.student.post(what, **fields)
        assert response.status_code == 409, (what, response.text)
        assert "runs in a browser" in response.text
    assert kept(server, browser.student) == before


def test_what_was_done_in_the_browser_is_taken_over(browser: Browser, server: Context) -> None:
    work(browser.lab)
    reply = browser.submit(done=True)
    assert reply == {**reply, "verified": True, "position": browser.lab.position, "done": True}
    record = kept(server, browser.student)
    assert (list(record.log), record.position, record.lent) == (browser.lab.log, browser.lab.position, False)
    assert server.labs.answers(browser.student.lab) == {"how-many": 2}
    assert hash_of(browser.student) == browser.lab.state_hash()
    results = browser.student.done("check")["results"]
    assert results["position"] == browser.lab.position
    assert browser.student.done("actions", verb="resume", vm="a")["seq"] == len(browser.lab.log) + 1


def test_a_lab_that_ran_runs_on_in_the_browser_and_here_again(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.done("control", verb="run", speed="1e-5")
    browser = Browser(student)
    assert (browser.record.mode["mode"], browser.record.mode["speed"]) == ("running", "1e-5")
    browser.submit(done=True, mode=browser.record.mode)
    state = looked(student, "state")
    assert (state["run"]["mode"], state["run"]["speed"]) == ("running", "1e-5")


def test_the_lease_goes_on_until_the_browser_is_done(browser: Browser, server: Context) -> None:
    work(browser.lab)
    browser.submit()
    assert kept(server, browser.student).lent
    base = list(browser.lab.log)
    browser.lab.apply({"verb": "destroy", "vm": "a"})
    suffix = browser.lab.log[len(base) :]
    browser.submit(log=suffix, base_seq=len(base), base_hash=log_digest(base), done=True)
    assert list(kept(server, browser.student).log) == browser.lab.log


@pytest.mark.parametrize("request_id", [None, "click-1"])
def test_a_submission_that_comes_again_is_harmless(
    browser: Browser, server: Context, request_id: str | None
) -> None:
    work(browser.lab)
    fields = {} if request_id is None else {"request_id": request_id}
    first = browser.submit(done=True, **fields)
    after = kept(server, browser.student)
    assert browser.submit(done=True, **fields) == first
    assert kept(server, browser.student) == after


def test_an_older_submission_that_comes_late_changes_nothing(browser: Browser, server: Context) -> None:
    late = browser.submission(request_id="one")
    assert browser.student.post("submit", **late).status_code == 200
    work(browser.lab)
    browser.submit(request_id="two")
    after = kept(server, browser.student)
    assert browser.student.post("submit", **late).status_code == 200
    assert kept(server, browser.student) == after


def test_a_borrow_whose_reply_was_lost_is_answered_again(student: Student) -> None:
    first = student.done("borrow", request_id="mine")
    assert student.done("borrow", request_id="mine") == first
    assert student.post("borrow", request_id="other").status_code == 409


def test_work_that_comes_after_the_lab_was_taken_back_is_not_lost(browser: Browser, server: Context) -> None:
    student = browser.student
    assert student.post("return").status_code == 409
    assert student.post("return", lease="nonsense").status_code == 409
    student.done("return", force=True)
    here = student.done("actions", verb="suspend", vm="a")
    work(browser.lab)
    error = browser.refused(409)
    assert error["positions"] == {"server": here["position"], "submitted": browser.lab.position}
    line = kept(server, student)
    assert list(line.log)[-1]["action"]["verb"] == "suspend"

    reply = browser.submit(replace=True)
    record = kept(server, student)
    assert (list(record.log), record.generation) == (browser.lab.log, reply["generation"])
    assert record.lent
    assert reply["generation"] == line.generation + 1


def test_a_lab_that_begins_again_in_the_browser_is_a_new_generation(
    browser: Browser, server: Context
) -> None:
    fresh = LabBuilder(load_engine())(browser.record)
    fresh.advance(5000)
    browser.lab = fresh
    browser.submit(generation=browser.record.generation + 1, done=True)
    record = kept(server, browser.student)
    assert (record.generation, record.log, record.position) == (2, (), fresh.position)


Change = Callable[[Browser], dict[str, Any]]
FORGED: dict[str, tuple[Change, str, int | None]] = {
    "hash": (lambda one: {"hash": "0" * 64}, "hash", None),
    "seed": (lambda one: {"seed": one.record.seed + 1}, "seed", None),
    "version": (lambda one: {"lesson_version": "other"}, "lesson_version", None),
    "generation": (lambda one: {"generation": 0}, "generation", None),
    "lease": (lambda one: {"lease": "other"}, "lease", None),
    "never reached": (lambda one: {"log": [], "position": 10**12}, "position", None),
    "unknown verb": (lambda one: {"log": [entry(1, 0, verb="win")], "position": 0}, "log[0].verb", 1),
    "refused there": (
        lambda one: {"log": [*one.lab.log, entry(5, one.lab.position, verb="resume", vm="b")]},
        "log[4]",
        5,
    ),
    "another lesson's program": (
        lambda one: {"log": [entry(1, 0, verb="define", vm="c", memory="256 KiB", program="secret.s")]},
        "log[0].program",
        1,
    ),
    "no such question": (
        lambda one: {"log": [entry(1, 0, verb="answer", question="other", value=1)]},
        "log[0].action",
        1,
    ),
    "no answer": (
        lambda one: {"log": [entry(1, 0, verb="answer", question="how-many", value="many")]},
        "log[0].action",
        1,
    ),
    "an archive": (
        lambda one: {"log": [entry(1, 0, verb="import_vm", archive="UEsDBA==")]},
        "log[0].archive",
        1,
    ),
    "condition": (
        lambda one: {"mode": {"mode": "until", "condition": {"kind": "victory"}}},
        "mode.condition",
        None,
    ),
}


def entry(seq: int, position: int, **action: Any) -> dict[str, Any]:
    return {"seq": seq, "position": position, "action": action}


@pytest.mark.parametrize("what", FORGED)
def test_what_cannot_be_repeated_is_refused_with_the_place(
    browser: Browser, server: Context, what: str
) -> None:
    work(browser.lab)
    before = kept(server, browser.student)
    change, where, at = FORGED[what]
    error = browser.refused(**change(browser))
    assert error["where"] == where, error
    assert error.get("entry") == at
    assert kept(server, browser.student) == before


def test_a_log_that_leaves_an_action_out_is_refused_at_the_first_that_does_not_fit(browser: Browser) -> None:
    lab = browser.lab
    work(lab)
    lab.apply({"verb": "destroy", "vm": "a"})
    lab.apply({"verb": "start", "vm": "a"})
    log = [dict(one) for one in lab.log if one["action"]["verb"] != "destroy"]
    for seq, one in enumerate(log, 1):
        one["seq"] = seq
    error = browser.refused(log=log)
    assert (error["entry"], error["where"]) == (len(log), f"log[{len(log) - 1}]")


def test_a_browser_is_told_what_its_answer_was_worth(browser: Browser, server: Context) -> None:
    lease = browser.reply["lease"]
    told = browser.student.done("answers", question="how-many", value="2", lease=lease)
    assert told["verdict"]["correct"] is True
    assert browser.student.post("answers", question="how-many", value="2", lease="other").status_code == 409
    assert server.labs.answers(browser.student.lab) == {}
    browser.submit(done=True)
    told = browser.student.done("answers", question="how-many", value="3", lease=lease)
    assert told["verdict"]["correct"] is False


def test_nothing_private_of_the_lesson_goes_to_the_browser(student: Student) -> None:
    text = student.post("borrow").text
    for secret in ("One and one", "contains", "It prints when it runs", "checks"):
        assert secret not in text


def test_a_worker_that_is_killed_meanwhile_changes_nothing(browser: Browser, server: Context) -> None:
    work(browser.lab)
    pid = server.pool.pid_of(browser.student.lab)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    response = browser.student.post("submit", **browser.submission(done=True))
    while response.status_code in (202, 503):
        response = browser.student.post("submit", **browser.submission(done=True))
    assert response.status_code == 200, response.text
    assert hash_of(browser.student) == browser.lab.state_hash()
