"""The lab report tells what the student predicted, did and found."""

from flask import Flask

from tests.web.conftest import Student


def test_a_report_needs_a_lab_of_ones_own(application: Flask) -> None:
    client = application.test_client()
    assert client.get("/lessons/two-machines/report").headers["Location"].endswith("/lessons/two-machines/")
    assert client.get("/lessons/no-such/report").status_code == 404


def test_the_report_holds_results_actions_and_configuration(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.done("program", vm="a", source="nop\nnop\nebreak\n")
    student.run_to(200_000)
    student.done("check")
    page = student.client.get("/lessons/two-machines/report?lang=de").text
    assert "Laborbericht" in page
    assert "(3 Zeilen)" in page
    assert "set program" in page
    assert "von 1" in page or "Punkten" in page
    assert "memory:" in page
    english = student.client.get("/lessons/two-machines/report?lang=en").text
    assert "Which VMs were there?" in english
