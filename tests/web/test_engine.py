"""What the server gives a browser to run a lab, and what it keeps from what runs there."""

import io
import json
import re
import zipfile

import pytest
from flask import Flask

from app.desk.archive import Archive, python_archive
from app.desk.browser import read_record
from app.paths import static_dir
from app.web.engine import engine_view
from app.workers.record import LabBuilder
from emulator.build.engine import load_engine
from tests.web.conftest import Student


def test_a_lab_can_be_built_from_its_record_as_it_stands(student: Student) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    stands = student.get("submission").json
    reply = student.get("record").json
    assert stands is not None
    assert reply is not None
    record = read_record(reply["record"])
    assert reply["lesson_version"] == stands["lesson_version"]
    lab = LabBuilder(load_engine())(record)
    for entry in record.log:
        lab.advance(entry["position"])
        lab.apply(entry["action"])
    lab.advance(stands["position"])
    assert lab.state_hash() == stands["hash"]


def test_what_changes_can_be_asked_for_alone(student: Student) -> None:
    reply = student.get("record", programs="no").json
    assert reply is not None
    assert set(reply["record"]) == {"lab", "seed", "generation", "log", "position", "mode"}


def test_the_lab_of_somebody_else_has_no_record(student: Student, application: Flask) -> None:
    assert application.test_client().get(f"/labs/{student.lab}/record").status_code == 404


def test_the_archive_is_the_same_for_the_same_files_and_holds_no_lesson(application: Flask) -> None:
    client = application.test_client()
    version = python_archive().version
    response = client.get(f"/engine/python.zip?v={version}")
    assert "immutable" in response.headers["Cache-Control"]
    assert "immutable" not in client.get("/engine/python.zip").headers["Cache-Control"]
    names = zipfile.ZipFile(io.BytesIO(response.data)).namelist()
    assert {"app/desk/browser.py", "emulator/lab/lab.py", "jinja2/__init__.py"} <= set(names)
    assert not [name for name in names if name.startswith(("app/grading", "app/web/store"))]
    lessons = {name for name in names if name.startswith("app/lessons/")}
    assert lessons == {f"app/lessons/{part}.py" for part in ("__init__", "errors", "source", "yaml")}


def test_what_runs_in_the_worker_reaches_the_engine_alone(application: Flask) -> None:
    if not (static_dir() / "engine/worker.js").is_file():
        pytest.fail("static/dist is not built; run `make assets`")
    client = application.test_client()
    with client.get("/static/engine/worker.js") as script:
        policy = script.headers["Content-Security-Policy"]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'"
    assert rules["connect-src"].split() == ["http://localhost/static/engine/", "http://localhost/engine/"]
    assert "unsafe-eval'" not in rules["script-src"].replace("'wasm-unsafe-eval'", "")
    with client.get("/static/service-worker.js") as worker:
        assert worker.headers["Service-Worker-Allowed"] == "/"
    page = client.get("/lessons/two-machines/")
    assert "wasm-unsafe-eval" not in page.headers["Content-Security-Policy"]
    found = re.search(r'data-engine="([^"]+)"', page.text)
    assert found
    parts = json.loads(found[1].replace("&#34;", '"'))
    assert parts["image"] in parts["files"], "the image is of other modules; run `make assets`"
    with client.get(f"{parts['base']}pyodide/pyodide.asm.wasm?v={parts['stamp']}") as file:
        assert file.mimetype == "application/wasm"  # else it is not compiled while it comes
        assert "immutable" in file.headers["Cache-Control"]  # else what was compiled is not kept
    for url in (parts["worker"], *parts["archives"], *parts["files"]):
        with client.get(url) as file:
            assert file.status_code == 200, url


def test_an_image_of_other_modules_is_not_offered(
    application: Flask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with application.app_context():
        offered = engine_view("1")
        monkeypatch.setattr("app.web.engine.python_archive", lambda: Archive(b"other", "0123456789ab"))
        other = engine_view("1")
    assert offered is not None
    assert other is not None
    assert other["image"] == ""
    assert "/engine/python.zip?v=0123456789ab" in other["archives"]
    assert other["engine_bytes"] != offered["engine_bytes"]
