"""What a student does to a lab is applied, committed and acknowledged, once."""

import os
import signal
from collections.abc import Callable, Iterator

import pytest

from app.web.context import Context
from tests.web.conftest import Student


def state_of(student: Student, vm: str) -> str:
    observation = student.get("state").json
    assert observation is not None
    return next(view["state"] for view in observation["vms"] if view["name"] == vm)


def test_starting_a_vm_is_shown_in_the_reply(student: Student) -> None:
    reply = student.done("actions", verb="start", vm="a")
    assert reply["seq"] == 1
    assert next(vm for vm in reply["state"]["vms"] if vm["name"] == "a")["state"] == "running"


def test_an_acknowledged_action_is_in_the_log(student: Student, server: Context) -> None:
    reply = student.done("actions", verb="start", vm="a")
    record = server.labs.load(student.lab)
    assert record is not None
    assert record.log == ({"seq": 1, "position": reply["position"], "action": {"verb": "start", "vm": "a"}},)


def test_a_refused_action_is_not_in_the_log(student: Student, server: Context) -> None:
    assert student.post("actions", verb="start", vm="nobody").status_code == 422
    record = server.labs.load(student.lab)
    assert record is not None
    assert record.log == ()


def test_a_retried_request_is_applied_once(student: Student, server: Context) -> None:
    first = student.done("actions", verb="start", vm="a", request_id="click-1")
    again = student.done("actions", verb="start", vm="a", request_id="click-1")
    assert (again["seq"], again["position"]) == (first["seq"], first["position"])
    record = server.labs.load(student.lab)
    assert record is not None
    assert len(record.log) == 1


def test_a_request_id_is_not_reused_for_something_else(student: Student) -> None:
    student.done("actions", verb="start", vm="a", request_id="click-1")
    assert student.post("actions", verb="start", vm="b", request_id="click-1").status_code == 422


def test_a_form_without_script_leads_back_to_the_lesson(student: Student) -> None:
    response = student.client.post(
        f"/labs/{student.lab}/actions",
        data={"verb": "start", "vm": "a"},
        headers={"Sec-Fetch-Site": "same-origin", "Accept": "text/html"},
    )
    assert (response.status_code, response.location) == (303, "/lessons/two-machines/")


def test_console_output_and_check_results_are_kept(student: Student) -> None:
    student.done("actions", verb="start", vm="b")
    assert not student.done("check")["results"]["checks"][0]["passed"]
    student.run_to(5_000_000)
    results = student.done("check")["results"]
    assert results["checks"][0]["passed"], results
    assert "1 of 1 checks passed" in student.client.get("/lessons/two-machines/").text
    assert "Look again" in student.client.get("/").text


def test_a_new_program_is_assembled_and_restarts_its_vm(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.done("program", vm="a", source="_start: j _start\n")
    assert state_of(student, "a") == "running"
    shown = student.get("program", vm="a").json
    assert shown is not None
    assert shown["source"] == "_start: j _start\n"


def test_an_assembly_error_has_its_place_and_changes_nothing(student: Student, server: Context) -> None:
    response = student.post("program", vm="a", source="_start: addd t0, t0, 1\n")
    assert response.status_code == 422
    assert response.json is not None
    error = response.json["error"]
    assert (error["diagnostics"][0]["line"], error["diagnostics"][0]["column"]) == (1, 9)
    record = server.labs.load(student.lab)
    assert record is not None
    assert record.log == ()


def test_a_reset_begins_again_but_keeps_the_answers(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    verdict = student.done("answers", question="how-many", value="2")["verdict"]
    assert verdict["correct"]
    student.done("reset")
    observation = student.get("state").json
    assert observation is not None
    assert (observation["position"], observation["answers"]) == (0, {"how-many": "2"})
    assert state_of(student, "a") == "shut off"


def test_students_cannot_see_each_others_labs(new_student: Callable[[], Student]) -> None:
    mine, other = new_student(), new_student()
    for method, path in [("GET", "state"), ("GET", "stream"), ("POST", "actions"), ("GET", "listing")]:
        response = other.client.open(
            f"/labs/{mine.lab}/{path}", method=method, headers={"Sec-Fetch-Site": "same-origin"}, json={}
        )
        assert response.status_code == 404


def test_steps_stop_after_one_instruction_and_at_the_next_exit(student: Student) -> None:
    student.done("actions", verb="start", vm="b")
    student.done("control", verb="step", unit="exit")
    before = student.get("state").json
    stepped = student.done("control", verb="step", unit="instruction", vm="b")["state"]
    assert before is not None
    retired = [view["vms"][1]["vcpus"][0]["retired"] for view in (before, stepped)]
    assert retired[1] - retired[0] == 1


@pytest.fixture
def full_disk(server: Context) -> Iterator[None]:
    """Let the database refuse every new action."""
    with server.database.write() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER full_disk BEFORE INSERT ON action_log BEGIN SELECT RAISE(ABORT, 'disk full'); END"
        )
    yield
    with server.database.write() as connection:
        connection.exec_driver_sql("DROP TRIGGER IF EXISTS full_disk")


def test_an_action_that_cannot_be_committed_is_undone(student: Student, full_disk: None) -> None:
    response = student.post("actions", verb="start", vm="a")
    assert (response.status_code, response.headers["Retry-After"]) == (503, "1")
    assert state_of(student, "a") == "shut off"


def test_an_action_goes_through_when_the_worker_is_killed_just_before(
    student: Student, server: Context
) -> None:
    student.done("actions", verb="start", vm="a")
    pid = server.pool.pid_of(student.lab)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    reply = student.done("actions", verb="start", vm="b")
    assert reply["seq"] == 2
    assert [state_of(student, vm) for vm in "ab"] == ["running", "running"]
