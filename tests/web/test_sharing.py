"""A run is shared up to an instant: whoever has the link works on a copy of it, and on nothing else."""

import re
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.web import create_app, default_settings
from app.web.context import Context
from app.web.security import Limiter
from app.web.sharing import COPY_COST
from app.web.store import Database, LabStore, StudentStore, open_database
from app.web.store.labs import Beginning, LabRow
from app.web.store.sharing import COPIES_KEPT, RUNS_KEPT, SharedRun, SharedStore
from app.workers.pool import CallFailed
from app.workers.record import LabBuilder, LabRecord, ProgramText
from emulator.build.engine import load_engine
from emulator.policy import INTERFACES
from tests.web.conftest import COURSE, Student
from tests.web.test_timetravel import go

BANNER = "A copy of a shared run"


class Viewer(Student):
    """A student at the copy of a shared run; never was at the lesson."""

    def __init__(self, client: FlaskClient, url: str) -> None:
        self.client = client
        self.page = client.get(url)
        found = re.search(r'data-lab="/labs/([\w-]+)"', self.page.text)
        assert found, self.page.text
        self.lab = found[1]


@pytest.fixture
def open_shared(application: Flask) -> Callable[[str], Viewer]:
    return lambda url: Viewer(application.test_client(), url)


def record_of(server: Context, lab: str) -> LabRecord:
    record = server.labs.load(lab)
    assert record is not None
    return record


def verbs(server: Context, lab: str) -> list[str]:
    return [entry["action"]["verb"] for entry in record_of(server, lab).log]


def hash_of(server: Context, lab: str) -> dict[str, Any]:
    while True:
        try:
            return server.pool.call(lab, "hash")
        except CallFailed as failure:
            if failure.fault != "rebuilding":
                raise


def work(student: Student) -> None:
    """Do something, answer, stand behind the present, two actions at one instant of which one lies ahead."""
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    student.done("answers", question="how-many", value="2")
    student.done("program", vm="b", source="nop\nebreak\n")
    suspended = student.done("actions", verb="suspend", vm="a")["position"]
    student.done("actions", verb="resume", vm="a")
    student.run_to(2_000_000)
    go(student, verb="rewind", position=suspended, actions=4)


def refused(response: TestResponse, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.json is not None
    return response.json["error"]


def test_a_copy_stands_exactly_where_the_run_was_shared_without_its_answers(
    student: Student, server: Context, open_shared: Callable[[str], Viewer]
) -> None:
    work(student)
    shared = student.done("share")
    viewer = open_shared(shared["url"])
    here, there = hash_of(server, student.lab), hash_of(server, viewer.lab)
    assert there == {**here, "actions": 3, "present": here["position"]}
    assert there["position"] == shared["position"]
    assert verbs(server, viewer.lab) == ["start", "set_program", "suspend"]
    assert [entry["seq"] for entry in record_of(server, viewer.lab).log] == [1, 2, 3]
    assert server.labs.answers(viewer.lab) == {}
    state = viewer.get("state").json
    assert state is not None
    assert (state["answers"], state["now_ns"], state["run"]["behind"]) == ({}, shared["now_ns"], False)

    # Any other instant of the line, too; the same one again has the same address.
    middle = student.done("share", position=150_000)
    assert student.done("share", position="150000") == middle
    copy = hash_of(server, open_shared(middle["url"]).lab)
    assert (copy["position"], copy["actions"]) == (150_000, 1)
    assert go(student, verb="seek", position=150_000)["now_ns"] == middle["now_ns"]
    assert hash_of(server, student.lab)["hash"] == copy["hash"]
    assert student.done("share")["url"] == middle["url"]


def test_a_copy_is_the_viewers_own_and_leaves_all_other_labs_alone(
    new_student: Callable[[], Student], server: Context, open_shared: Callable[[str], Viewer]
) -> None:
    author, reader = new_student(), new_student()
    author.done("actions", verb="start", vm="a")
    author.run_to(300_000)
    reader.done("answers", question="how-many", value="3")
    reader.done("check")
    mine, results = record_of(server, reader.lab), server.results.last(reader.lab)
    url = author.done("share")["url"]
    before, author_lab = record_of(server, author.lab), author.lab
    viewer, other = Viewer(reader.client, url), open_shared(url)
    assert len({author.lab, reader.lab, viewer.lab, other.lab}) == 4
    assert Viewer(reader.client, url).lab == viewer.lab

    viewer.done("actions", verb="suspend", vm="a")
    assert verbs(server, viewer.lab) == ["start", "suspend"]
    assert verbs(server, other.lab) == ["start"]
    assert record_of(server, author.lab) == before
    assert (record_of(server, reader.lab), server.results.last(reader.lab)) == (mine, results)
    assert server.labs.answers(reader.lab) == {"how-many": "3"}
    row = server.labs.find(reader.lab, owner(server, reader.lab))
    assert row is not None
    assert server.labs.of_lesson(row.student, row.lesson) == row
    assert f"/labs/{reader.lab}" in reader.client.get("/lessons/two-machines/").text

    # Nobody else gets in, its author neither.
    for stranger in (author, other):
        stranger.lab = viewer.lab
        assert stranger.get("state").status_code == 404
        assert stranger.post("actions", verb="resume", vm="a").status_code == 404

    again = viewer.done("reset")
    assert (again["seq"], again["position"]) == (1, before.position)
    assert verbs(server, viewer.lab) == ["start"]
    assert hash_of(server, viewer.lab) == hash_of(server, author_lab)
    form = viewer.client.post(f"/labs/{viewer.lab}/reset", headers={"Sec-Fetch-Site": "same-origin"})
    assert (form.status_code, form.headers["Location"]) == (303, url)


def owner(server: Context, lab: str) -> str:
    with server.database.read() as connection:
        return connection.exec_driver_sql("SELECT student FROM lab WHERE id = ?", (lab,)).scalar_one()


def test_a_run_in_which_a_policy_decided_goes_on_from_any_instant(
    student: Student, server: Context, open_shared: Callable[[str], Viewer]
) -> None:
    """The decisions on record reach beyond the instant that was shared."""
    record = record_of(server, student.lab)
    lab = LabBuilder(load_engine())(record)
    lab.policies.enable()
    lab.apply({"verb": "start", "vm": "a"})
    lab.apply({"verb": "set_policy", "interface": "scheduler", "text": INTERFACES["scheduler"].starter})
    lab.advance(700_000)
    lab.record()
    instant, middle, now_ns = lab.state_hash(), lab.position, lab.now_ns
    lab.advance(2_000_000)
    begins = Beginning(record.lesson, "", record.seed, record.config, record.programs)
    token, _ = server.shared.keep(
        owner(server, student.lab), SharedRun(begins, tuple(lab.log), middle, now_ns)
    )
    viewer = open_shared(f"/shared/{token}")
    assert "A policy of its author decided in it." in viewer.page.text
    assert hash_of(server, viewer.lab)["hash"] == instant
    viewer.run_to(1_000_000)
    viewer.done("actions", verb="start", vm="b")  # here the copy leaves what was decided
    viewer.run_to(3_000_000)
    kept = record_of(server, viewer.lab).log
    assert [entry["action"]["verb"] for entry in kept] == ["start", "set_policy", "decide", "start"]
    assert kept[2]["action"]["until"] == kept[3]["position"]
    gone_on = hash_of(server, viewer.lab)
    server.pool.discard(viewer.lab)  # it is repeated from its log
    assert hash_of(server, viewer.lab) == gone_on


def test_nothing_of_a_copy_is_graded_and_its_page_says_what_it_is(
    student: Student, server: Context, open_shared: Callable[[str], Viewer]
) -> None:
    viewer = open_shared(student.done("share")["url"])
    text = viewer.page.text
    for said in (BANNER, "Begin the copy again", 'href="/lessons/two-machines/"', "Run them"):
        assert said in text
    for graded in ("How many machines", "/answers", "/check", "/report", "Policy in Python", "engine-bar"):
        assert graded not in text
    for what, fields in (
        ("check", {}),
        ("answers", {"question": "how-many", "value": "2"}),
        ("borrow", {}),
        ("submit", {}),
        ("return", {"force": True}),
    ):
        error = refused(viewer.post(what, **fields), 403)
        assert error["title"] == "This is only a copy", what
    assert viewer.get("submission").status_code == 403
    assert viewer.post("actions", verb="answer", question="how-many", value=2).status_code == 400
    assert server.results.progress(owner(server, viewer.lab)) == {}
    report = viewer.client.get("/lessons/two-machines/report")
    assert (report.status_code, report.headers["Location"]) == (302, "/lessons/two-machines/")
    # What is done in a copy can be shared again, as a run of its own.
    viewer.done("actions", verb="start", vm="b")
    assert open_shared(viewer.done("share")["url"]).page.status_code == 200


def test_without_script_the_address_is_shown_on_a_page(student: Student) -> None:
    form = {"headers": {"Sec-Fetch-Site": "same-origin"}, "data": {}}
    page = student.client.post(f"/labs/{student.lab}/share", **form)
    assert page.status_code == 200
    assert re.search(r'value="http://localhost/shared/[\w-]{20,}"', page.text)


def test_what_cannot_be_shared_says_why(
    student: Student, new_student: Callable[[], Student], server: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "reaches to position 0" in refused(student.post("share", position=10), 422)["message"]
    for wrong in (-1, 1.5, True, "x", "-1", [1, 2]):
        assert refused(student.post("share", position=wrong), 400)["message"]
    stranger = new_student()
    stranger.lab = student.lab
    assert stranger.post("share").status_code == 404
    missing = student.client.get("/shared/nobody-made-this")
    assert missing.status_code == 404
    assert "There is no such shared run" in missing.text
    student.done("actions", verb="start", vm="a")
    monkeypatch.setattr("app.web.sharing.MAX_LOG_BYTES", 20)
    assert "at most" in refused(student.post("share"), 413)["message"]
    monkeypatch.undo()
    student.done("borrow")
    assert refused(student.post("share"), 409)["title"] == "This lab runs in a browser"


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    return Path(shutil.copytree(COURSE, tmp_path / "lessons"))


def serve(lessons: Path, data: Path) -> Flask:
    app = create_app(replace(default_settings(data, lessons, workers=1), posts_at_once=1e9))
    assert app.extensions["vmlab"].pool.wait_ready(300)
    return app


def test_links_and_copies_outlive_the_server_and_a_closed_lesson_stays_closed(
    lessons: Path, tmp_path: Path
) -> None:
    app = serve(lessons, tmp_path / "data")
    author = Student(app.test_client())
    author.done("actions", verb="start", vm="a")
    author.run_to(400_000)
    url = author.done("share")["url"]
    viewer = Viewer(app.test_client(), url)
    stood = hash_of(app.extensions["vmlab"], viewer.lab)
    app.extensions["vmlab"].close()

    closed = "schema: 1\ntitle: Ours\nlessons:\n  - {lesson: 01-two-machines, opens: 2199-01-01T00:00Z}\n"
    (lessons / "course.yaml").write_text(closed)
    app = serve(lessons, tmp_path / "data")
    assert hash_of(app.extensions["vmlab"], viewer.lab) == stood
    late, back = app.test_client(), app.test_client()
    session = viewer.client.get_cookie("vmlab_session")
    assert session is not None
    back.set_cookie("vmlab_session", session.value)
    assert back.get(f"/labs/{viewer.lab}/config").status_code == 403
    for client in (late, back):
        page = client.get(url)
        assert (page.status_code, BANNER in page.text) == (403, False)
        assert "opens on" in page.text
    app.extensions["vmlab"].close()


def test_sharing_costs_what_other_large_requests_cost(
    application: Flask, student: Student, server: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    student.done("actions", verb="start", vm="a")
    still = replace(server, posts=Limiter(rate=1.0, burst=2.5 * COPY_COST, clock=lambda: 0.0))
    monkeypatch.setitem(application.extensions, "vmlab", still)
    assert [student.post("share").status_code for _ in range(3)] == [200, 200, 429]


# The store


@pytest.fixture
def shared(database: Database, labs: LabStore) -> SharedStore:
    ticks = iter(range(1, 1000))
    return SharedStore(database, labs, lambda: float(next(ticks)))


def guest(database: Database) -> str:
    return StudentStore(database, lambda: 1000.0).create_guest()[0]


def run_at(position: int, image: bytes = b"\x7fELF\0") -> SharedRun:
    begins = Beginning("l", "v1", 1, {"vms": []}, (ProgramText("k.elf", elf=image),))
    log = ({"seq": 1, "position": 0, "action": {"verb": "start", "vm": "a"}},)
    return SharedRun(begins, log, position, 10 * position)  # pyright: ignore[reportArgumentType]


def count(database: Database, table: str) -> int:
    with database.read() as connection:
        return connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one()


def test_the_oldest_run_of_a_student_goes_with_its_copies_and_its_image(
    database: Database, labs: LabStore, shared: SharedStore
) -> None:
    author, viewer = guest(database), guest(database)
    first, gone = shared.keep(author, run_at(0, b"\x7fELF\1"))
    assert gone == []
    found = shared.find(first)
    assert found == replace(run_at(0, b"\x7fELF\1"), token=first)
    assert found is not None
    copy, _ = shared.copy(viewer, found)
    assert shared.copy(viewer, found) == (copy, [])
    own = labs.create(viewer, run_at(0).beginning)
    for position in range(1, RUNS_KEPT):
        assert shared.keep(author, run_at(position))[1] == []
    assert shared.keep(guest(database), run_at(0))[1] == []
    assert shared.keep(author, run_at(RUNS_KEPT))[1] == [copy.id]
    assert shared.find(first) is None
    assert labs.find(copy.id, viewer) is None
    assert labs.find(own.id, viewer) == own
    assert (count(database, "shared_run"), count(database, "image")) == (RUNS_KEPT + 1, 1)


def test_the_oldest_copy_of_a_viewer_goes(database: Database, labs: LabStore, shared: SharedStore) -> None:
    author, viewer = guest(database), guest(database)
    own = labs.create(viewer, run_at(0).beginning)
    copies: list[LabRow] = []
    for position in range(COPIES_KEPT + 1):
        run = shared.find(shared.keep([author, own.student][position % 2], run_at(position))[0])
        assert run is not None
        row, gone = shared.copy(viewer, run)
        copies.append(row)
        assert gone == ([copies[0].id] if position == COPIES_KEPT else [])
    assert count(database, "lab") == COPIES_KEPT + 1
    assert labs.of_lesson(viewer, "l") == own
    assert labs.newest_seeds("l", 9) == [own.seed]


def test_with_a_student_go_shared_runs_and_copies(database: Database, shared: SharedStore) -> None:
    author, viewer = guest(database), guest(database)
    run = shared.find(shared.keep(author, run_at(3))[0])
    assert run is not None
    shared.copy(viewer, run)
    with database.write() as connection:
        connection.exec_driver_sql("DELETE FROM student WHERE id = ?", (author,))
    tables = ("shared_run", "shared_program", "lab", "action_log")
    assert [count(database, name) for name in tables] == [0, 0, 0, 0]


# The labs of version 6 of a database, and what came after it.
VERSION_6 = (
    "DROP TABLE lab",
    "DROP TABLE shared_program",
    "DROP TABLE shared_run",
    """CREATE TABLE lab (id VARCHAR NOT NULL PRIMARY KEY, student VARCHAR NOT NULL, lesson VARCHAR NOT NULL,
    lesson_version VARCHAR NOT NULL, seed INTEGER NOT NULL, config TEXT NOT NULL, generation INTEGER NOT NULL,
    position INTEGER NOT NULL, created_at FLOAT NOT NULL, stops TEXT NOT NULL DEFAULT '[]', actions INTEGER,
    present INTEGER NOT NULL DEFAULT 0, FOREIGN KEY (student) REFERENCES student (id) ON DELETE CASCADE)""",
    "CREATE UNIQUE INDEX lab_of_student ON lab (student, lesson)",
    "INSERT INTO student VALUES ('s', 1.0)",
    "INSERT INTO lab VALUES ('i', 's', 'l', 'v1', 1, '{}', 1, 5, 1.0, '[]', NULL, 5)",
    "PRAGMA user_version=6",
)


def test_a_database_from_before_sharing_keeps_its_labs(tmp_path: Path) -> None:
    database = open_database(tmp_path)
    with database.write() as connection:
        for statement in VERSION_6:
            connection.exec_driver_sql(statement)
    database.close()
    database = open_database(tmp_path)
    labs = LabStore(database, lambda: 1000.0)
    row = LabRow("i", "s", "l", "v1", 1, 1)
    assert labs.of_lesson("s", "l") == row
    assert labs.create("s", run_at(0).beginning) == row
    store = SharedStore(database, labs, lambda: 1000.0)
    run = store.find(store.keep("s", run_at(1))[0])
    assert run is not None
    assert store.copy("s", run)[0] != row
    database.close()
