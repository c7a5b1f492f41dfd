"""The host console of the page: lines of virsh, whose changes are actions like any other."""

from app.web.context import Context
from tests.web.conftest import Student


def test_a_question_changes_nothing(student: Student, server: Context) -> None:
    reply = student.done("virsh", line="list --all")
    assert "shut off" in reply["output"]
    record = server.labs.load(student.lab)
    assert record is not None
    assert record.log == ()


def test_a_change_is_committed_as_an_action(student: Student, server: Context) -> None:
    reply = student.done("virsh", line="start a")
    assert reply["output"] == "Domain 'a' started\n\n"
    assert next(vm for vm in reply["state"]["vms"] if vm["name"] == "a")["state"] == "running"
    record = server.labs.load(student.lab)
    assert record is not None
    assert [entry["action"] for entry in record.log] == [{"verb": "start", "vm": "a"}]


def test_a_retried_line_is_carried_out_once(student: Student, server: Context) -> None:
    first = student.done("virsh", line="undefine a", request_id="line-1")
    again = student.done("virsh", line="undefine a", request_id="line-1")
    assert first["output"] == again["output"] == "Domain 'a' has been undefined\n\n"
    record = server.labs.load(student.lab)
    assert record is not None
    assert len(record.log) == 1


def test_what_virsh_or_the_lab_refuses_is_printed(student: Student) -> None:
    assert student.done("virsh", line="strat a")["output"].startswith("error: unknown command: 'strat'")
    answer = student.done("virsh", line="resume a")["output"]
    assert answer.startswith("error: Failed to resume domain 'a'\nerror: ")


def test_output_is_text_and_never_markup(student: Student) -> None:
    response = student.client.post(
        f"/labs/{student.lab}/virsh",
        data={"line": "domid <b>x</b>"},
        headers={"Sec-Fetch-Site": "same-origin", "HX-Request": "true"},
    )
    assert "&lt;b&gt;x&lt;/b&gt;" in response.text
    assert "<b>" not in response.text


def test_a_line_has_to_be_a_line(student: Student) -> None:
    assert student.post("virsh").status_code == 400
    assert student.post("virsh", line="x" * 70_000).status_code in (200, 413)
