"""Going back in time from the page: the log that is kept is the one of the instant the lab stands at."""

import os
import signal

from app.web.context import Context
from tests.web.conftest import Student


def verbs(server: Context, student: Student) -> list[str]:
    record = server.labs.load(student.lab)
    assert record is not None
    return [entry["action"]["verb"] for entry in record.log]


def test_going_back_drops_later_actions_and_returning_takes_them_up(
    student: Student, server: Context
) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    suspended = student.done("actions", verb="suspend", vm="a")
    student.run_to(3_000_000)
    reply = student.done("control", verb="rewind", position=suspended["position"] - 1000)
    assert reply["position"] <= suspended["position"]
    assert verbs(server, student) == ["start"]
    record = server.labs.load(student.lab)
    assert record is not None
    assert record.position == reply["position"]

    branch = reply["state"]["run"]["branches"][-1]
    reply = student.done("control", verb="return", branch=branch)
    assert verbs(server, student) == ["start", "suspend"]
    assert next(vm for vm in reply["state"]["vms"] if vm["name"] == "a")["state"] == "paused"


def test_a_lab_that_went_back_is_rebuilt_there(student: Student, server: Context) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    student.done("actions", verb="destroy", vm="a")
    reply = student.done("control", verb="back", unit="exit")
    pid = server.pool.pid_of(student.lab)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    observation = student.get("state").json
    assert observation is not None
    assert observation["position"] == reply["position"]
    assert next(vm for vm in observation["vms"] if vm["name"] == "a")["state"] == "running"
    assert verbs(server, student) == ["start"]


def test_what_is_no_instant_of_the_past_is_refused(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    for fields in (
        {"verb": "rewind"},
        {"verb": "rewind", "position": -1},
        {"verb": "rewind", "position": 1 << 63},
        {"verb": "rewind", "position": "1e99"},
        {"verb": "rewind", "position": 1 << 60},
        {"verb": "rewind", "position": 0, "actions": -1},
        {"verb": "back"},
        {"verb": "back", "unit": "hour"},
        {"verb": "back", "unit": "fault"},
        {"verb": "return", "branch": "nowhere"},
    ):
        assert student.post("control", **fields).status_code == 422, fields
    assert student.done("actions", verb="destroy", vm="a")["seq"] == 2


def test_stops_are_kept_by_the_server_and_outlive_the_worker(student: Student, server: Context) -> None:
    student.done("actions", verb="start", vm="a")
    reply = student.done("control", verb="stop_add", kind="exit", vm="a")
    assert [stop["text"] for stop in reply["state"]["run"]["stops"]] == ["any exit in a"]
    record = server.labs.load(student.lab)
    assert record is not None
    assert [stop["condition"] for stop in record.mode.get("stops", [])] == [{"kind": "exit", "vm": "a"}]
    server.pool.discard(student.lab)
    reply = student.done("control", verb="stop_set", stop=1, enabled="false")
    assert [stop["enabled"] for stop in reply["state"]["run"]["stops"]] == [False]
    assert verbs(server, student) == ["start"]
