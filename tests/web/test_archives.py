"""Snapshots as a page sees them, and VMs that leave as archives and come back."""

import base64
import io
import zipfile

import pytest

from app.desk.archives import MAX_LOGGED_CHARACTERS, require_room
from app.desk.problem import Problem
from tests.web.conftest import Student


def archive_of(student: Student) -> str:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    response = student.get("export", vm="a")
    assert response.status_code == 200
    return response.json["archive"]  # pyright: ignore[reportOptionalSubscript]


def test_a_vm_is_exported_and_imported_under_another_name(student: Student) -> None:
    archive = archive_of(student)
    reply = student.done("import", archive=archive, name="again")
    assert reply["result"]["vm"] == "again"
    assert [vm["state"] for vm in reply["state"]["vms"] if vm["name"] == "again"] == ["running"]
    download = student.client.get(f"/labs/{student.lab}/export?vm=a")
    assert download.headers["Content-Disposition"] == "attachment; filename=a.vmlab.zip"
    assert zipfile.ZipFile(io.BytesIO(download.data)).testzip() is None


def test_an_archive_may_be_larger_than_other_bodies_and_not_larger_than_its_limit(student: Student) -> None:
    beyond_a_body = base64.b64encode(bytes(600 << 10)).decode()
    assert student.post("import", archive=beyond_a_body).status_code == 422
    assert student.post("actions", verb="import_vm", archive=beyond_a_body).status_code == 413
    response = student.post("import", archive=base64.b64encode(bytes(9 << 20)).decode())
    assert response.status_code == 413
    assert "8 MiB" in response.text


def test_a_hostile_archive_is_refused_with_a_sentence(student: Student) -> None:
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as made:
        made.writestr("manifest.json", "{}")
        for name in ("config.json", "program", "state.json", "clusters.bin"):
            made.writestr(name, "{}")
        made.writestr("ram.bin", bytes(200 << 20))
    cases = {"no zip": (b"hello", "no sound zip"), "bomb": (bomb.getvalue(), "unpacks to 200 MiB")}
    for data, words in cases.values():
        response = student.post("import", archive=base64.b64encode(data).decode())
        assert response.status_code == 422
        assert words in response.text
    assert student.post("import", archive="@@@").status_code == 422
    assert student.post("import", name="a").status_code == 400
    assert student.post("import", archive="", verb="destroy").status_code == 400


def test_the_archives_of_a_lab_have_to_fit_its_log() -> None:
    entry = {"action": {"verb": "import_vm", "archive": "x" * (MAX_LOGGED_CHARACTERS - 10)}}
    require_room([entry], {"archive": "x" * 10})
    with pytest.raises(Problem, match="as many archives"):
        require_room([entry], {"archive": "x" * 11})


def test_snapshots_are_listed_as_a_tree_and_as_html(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    for name in ("s1", "s2"):
        student.done("actions", verb="snapshot_create", vm="a", name=name)
    found = student.get("snapshots").json["vms"][0]  # pyright: ignore[reportOptionalSubscript]
    assert [(one["name"], one["parent"], one["current"]) for one in found["snapshots"]] == [
        ("s1", "", False),
        ("s2", "s1", True),
    ]
    page = student.client.get(f"/labs/{student.lab}/snapshots", headers={"HX-Request": "true"})
    assert "s2" in page.text
