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


def test_plots_ask_for_series_since_an_instant(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(35_000_000)
    found = student.get("series", signals="cpu,exits").json
    assert found is not None
    assert set(found["series"]) == {"cpu", "exits"}
    assert len(found["series"]["cpu"]["a"]) == len(found["at_ns"]) > 0
    assert student.get("series", since=found["at_ns"][-1]).json["at_ns"] == []  # pyright: ignore[reportOptionalSubscript]
    assert student.get("series", signals="colour").status_code == 422
    assert student.get("series", since="yesterday").status_code == 422
    assert "exits" in student.client.get(f"/labs/{student.lab}/series").text
