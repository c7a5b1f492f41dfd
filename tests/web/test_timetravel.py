"""Going back in time from the page: the log that is kept is the one of the instant the lab stands at."""

import os
import signal
from typing import Any

from app.web.context import Context
from tests.web.conftest import Student


def verbs(server: Context, student: Student) -> list[str]:
    record = server.labs.load(student.lab)
    assert record is not None
    return [entry["action"]["verb"] for entry in record.log]


def state_of(body: dict[str, Any], vm: str) -> str:
    return next(one["state"] for one in body["vms"] if one["name"] == vm)


def go(student: Student, **fields: Any) -> dict[str, Any]:
    """Ask for another instant, and wait until the lab is there."""
    reply = student.done("control", **fields)
    while reply["state"]["run"]["mode"] in ("seeking", "rebuilding"):
        reply = student.done("control", verb="speed", speed="max")
    return reply


def test_the_cursor_moves_in_a_history_that_stays_and_an_action_there_begins_another_line(
    student: Student, server: Context
) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    suspended = student.done("actions", verb="suspend", vm="a")
    student.run_to(3_000_000)
    end = student.done("control", verb="pause")["position"]
    past = go(student, verb="rewind", position=suspended["position"] - 1000)
    assert past["position"] <= suspended["position"]
    run = past["state"]["run"]
    assert (run["behind"], run["present"], run["ahead"]) == (True, end, 1)
    assert verbs(server, student) == ["start", "suspend"]
    record = server.labs.load(student.lab)
    assert record is not None
    assert (record.position, record.actions, record.present) == (past["position"], 1, end)

    # Forward again: what was done is done again, up to the present.
    there = go(student, verb="seek", position=end)
    assert (there["position"], there["state"]["run"]["behind"]) == (end, False)
    assert state_of(there["state"], "a") == "paused"

    go(student, verb="seek", position=past["position"])
    student.done("actions", verb="destroy", vm="a")
    assert verbs(server, student) == ["start", "destroy"]
    state = student.done("control", verb="pause")["state"]
    assert (state["run"]["behind"], state["run"]["ahead"]) == (False, 0)
    reply = go(student, verb="return", branch=state["run"]["branches"][-1])
    assert verbs(server, student) == ["start", "suspend"]
    assert (reply["position"], state_of(reply["state"], "a")) == (end, "paused")


def test_a_lab_that_went_back_comes_back_to_its_cursor_with_what_lies_ahead(
    student: Student, server: Context
) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    student.done("actions", verb="destroy", vm="a")
    reply = go(student, verb="back", unit="exit")
    student.done("answers", question="how-many", value="2")
    pid = server.pool.pid_of(student.lab)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    observation = student.get("state").json
    assert observation is not None
    assert observation["position"] == reply["position"]
    assert state_of(observation, "a") == "running"
    run = observation["run"]
    assert (run["behind"], run["present"], run["ahead"]) == (True, reply["state"]["run"]["present"], 1)
    assert observation["answers"] == {"how-many": "2"}
    assert verbs(server, student) == ["start", "destroy", "answer"]
    beyond = go(student, verb="seek", position=run["present"] + 10_000)
    assert state_of(beyond["state"], "a") == "shut off"
    assert not beyond["state"]["run"]["behind"]


def test_undo_leaves_what_was_undone_behind(student: Student, server: Context) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    done = student.done("actions", verb="destroy", vm="a")
    undone = go(student, verb="undo", position=done["position"], actions=done["seq"] - 1)
    assert state_of(undone["state"], "a") == "running"
    assert verbs(server, student) == ["start"]
    assert undone["state"]["run"]["branches"] == ["branch 1"]


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
        {"verb": "seek"},
        {"verb": "seek", "ns": "soon"},
        {"verb": "undo", "position": 0},
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
