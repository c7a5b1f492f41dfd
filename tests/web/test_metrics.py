"""What a lab measures, for other programs."""

from tests.web.conftest import Student


def test_prometheus_scrapes_a_lab(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(5_000_000)
    response = student.client.get(f"/labs/{student.lab}/metrics")
    assert response.content_type == "text/plain; version=0.0.4; charset=utf-8"
    assert 'vmlab_vm_up{vm="a"}' in response.text
    assert response.text.endswith("\n")


def test_all_samples_are_a_csv_file(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(5_000_000)
    response = student.client.get(f"/labs/{student.lab}/metrics.csv")
    assert response.content_type == "text/csv; charset=utf-8"
    assert response.text.startswith("time_ns,")
