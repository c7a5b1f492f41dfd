"""Runs of policies are entered for the class when the server has repeated them, and not before."""

import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask

from app.web.context import Context
from emulator.build.engine import load_engine
from emulator.policy import INTERFACES
from emulator.tournament import Entrant, Run, compete
from emulator.tournament.board import hide_board, open_board
from tests.web.conftest import Student

TEXT = INTERFACES["exits"].starter


@pytest.fixture(scope="module")
def run() -> Run:
    (trial,) = compete("device", [Entrant("mine", TEXT)], load_engine())
    assert trial.run is not None
    return trial.run


def enter(student: Student, run: Any, name: str = "Ada") -> tuple[int, dict[str, Any]]:
    """Enter a run as the page does; return the last answer."""
    client = student.client
    origin = {"Sec-Fetch-Site": "same-origin"}
    answer = client.post("/policies/entries", json={"run": run, "name": name}, headers=origin)
    for _ in range(600):
        if answer.status_code != 202:
            break
        time.sleep(0.05)
        digest = (answer.json or {})["digest"]
        answer = client.post(f"/policies/entries/{digest}", json={}, headers=origin)
    return answer.status_code, answer.json or {}


def board(application: Flask) -> list[dict[str, Any]]:
    answer = application.test_client().get("/policies/board/device").json
    assert answer is not None
    return answer["entries"]


def test_a_run_is_on_the_board_when_it_is_verified_and_the_board_is_open(
    application: Flask, new_student: Callable[[], Student], run: Run
) -> None:
    context: Context = application.extensions["vmlab"]
    ada, eve = new_student(), new_student()
    private = run.without_text()
    assert "class Mine" not in json.dumps(private.to_dict())
    status, answer = enter(ada, private.to_dict())
    assert (status, answer["entered"], answer["shown"]) == (200, True, False)
    assert application.test_client().get("/policies/board/device").json == {"entries": None}
    open_board(context.settings.data, "device", [])
    assert [(one["name"], one["text"]) for one in board(application)] == [("Ada", None)]
    assert board(application)[0]["values"]["handled"] > 100

    status, answer = enter(eve, run.to_dict())
    assert status == 409
    assert "A class-mate is on this board as Ada" in answer["error"]["message"]
    assert enter(eve, run.to_dict(), "Eve")[0] == 200
    assert enter(ada, run.to_dict(), "Ada L.")[0] == 200  # the latest counts
    assert {one["name"]: one["text"] for one in board(application)} == {"Eve": TEXT, "Ada L.": TEXT}
    hide_board(context.settings.data, "device")


def changed(run: Run, **changes: Any) -> dict[str, Any]:
    return {**run.to_dict(), **changes}


def test_what_cannot_have_been_is_refused_with_the_entry_and_the_reason(
    application: Flask, student: Student, run: Run
) -> None:
    context: Context = application.extensions["vmlab"]
    decided = json.loads(json.dumps(run.to_dict()["log"]))
    decided[1]["action"]["choices"] = {"exits": {"read": [[1, [7]]]}}
    foreign = json.loads(json.dumps(run.to_dict()["log"]))
    foreign[0]["action"]["interface"] = "scheduler"
    for wrong, sentence in (
        (changed(run, hash="0" * 64), "the state at the end: has the hash"),
        (changed(run, position=run.position * 9), "and the scenario ends at"),
        (changed(run, position=run.position - 1), "the state at the end"),
        (changed(run, log=decided), "action 2 of the log: the log has no decision of"),
        (changed(run, log=foreign), "entry 1 of the log: a policy for 'scheduler'"),
        (changed(run, log=run.to_dict()["log"][1:]), "action 1 of the log"),
        (changed(run, scenario="nowhere"), "there is no scenario"),
        ([], "expected a whole number"),
    ):
        status, answer = enter(student, wrong, "Mallory")
        assert (status, sentence in answer["error"]["message"]) == (422, True), answer
    for name in ("", "builtin:fair", "<b>", " x", "x" * 31, None, 3):
        assert enter(student, run.to_dict(), name)[0] == 422  # type: ignore[arg-type]
    assert all(one["name"] != "Mallory" for one in context.entries.on("device"))
    answer = application.test_client().post(
        "/policies/entries", json={}, headers={"Sec-Fetch-Site": "same-origin"}
    )
    assert answer.status_code == 403
