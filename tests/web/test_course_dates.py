"""A lesson is closed on every route until it opens, and what comes after its due date is marked late."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.desk.requests import PAGES
from app.web import create_app, default_settings
from app.web.context import Context
from tests.web.conftest import COURSE, SAME_SITE, Student

OPENS = datetime(2026, 9, 7, 6, 0, tzinfo=UTC).timestamp()
DUE = datetime(2026, 9, 21, 21, 59, tzinfo=UTC).timestamp()
DAY = 24 * 3600.0
TABLE = """\
schema: 1
title: Ours
late: {per_day: 20, least: 50}
lessons:
  - {lesson: 01-two-machines, points: 10, opens: 2026-09-07T08:00+02:00, due: 2026-09-21T23:59+02:00}
  - {lesson: 02-again, opens: 2026-09-07T08:00+02:00, late: {per_day: 0}, due: 2026-09-21T23:59+02:00}
"""


class Clock:
    """The time of the server, which tests set."""

    now = OPENS

    def __call__(self) -> float:
        return self.now


@pytest.fixture(scope="module")
def clock() -> Clock:
    return Clock()


@pytest.fixture(scope="module")
def application(tmp_path_factory: pytest.TempPathFactory, clock: Clock) -> Iterator[Flask]:
    course = tmp_path_factory.mktemp("lessons") / "course"
    shutil.copytree(COURSE, course)
    shutil.copytree(course / "01-two-machines", course / "02-again")
    text = course / "02-again" / "lesson.md"
    text.write_text(text.read_text().replace("id: two-machines", "id: again"))
    (course / "course.yaml").write_text(TABLE)
    settings = default_settings(tmp_path_factory.mktemp("data"), course, workers=1)
    app = create_app(replace(settings, posts_at_once=1e9, now=clock))
    context: Context = app.extensions["vmlab"]
    assert context.pool.wait_ready(300)
    yield app
    context.close()


@pytest.fixture
def begun(application: Flask, clock: Clock) -> Student:
    clock.now = OPENS
    return Student(application.test_client())


def refused(client: FlaskClient, method: str, path: str, body: dict[str, Any] | None = None) -> bool:
    answer = client.open(path, method=method, json=body, headers=SAME_SITE)
    return answer.status_code == 403 and "opens on 7 September 2026, 08:00 UTC+02:00" in answer.text


def test_a_lesson_that_is_not_open_is_closed_on_every_route(
    application: Flask, begun: Student, clock: Clock
) -> None:
    shared = begun.done("share", position=0)["url"]
    lab, client = f"/labs/{begun.lab}", begun.client
    clock.now = OPENS - 1
    routes = {
        str(rule)
        for rule in application.url_map.iter_rules()
        if "<lab>" in str(rule) and ">:view" not in str(rule) and ":view>" not in str(rule)
    }
    assert len(routes) > 15
    for rule in application.url_map.iter_rules():
        for method in rule.methods & {"GET", "POST"} if str(rule) in routes and rule.methods else ():
            path = str(rule).replace("/labs/<lab>", lab)
            assert refused(client, method, path, {} if method == "POST" else None), (method, path)
    for view in PAGES:
        assert refused(client, "GET", f"{lab}/{view}"), view
    newcomer = application.test_client()
    for anybody in (client, newcomer):
        for path in (
            "/lessons/two-machines/",
            "/lessons/01-two-machines/",
            "/lessons/two-machines/report",
            shared,
        ):
            assert refused(anybody, "GET", path), path
    assert 'href="/lessons/two-machines/"' not in newcomer.get("/").text
    assert "Run them" not in newcomer.get("/").text


def test_the_first_second_of_the_opening_is_open(begun: Student, clock: Clock) -> None:
    assert begun.client.get("/lessons/two-machines/").status_code == 200
    assert 'href="/lessons/two-machines/"' in begun.client.get("/").text
    assert "Due 21 September 2026, 23:59 UTC+02:00." in begun.client.get("/lessons/two-machines/").text


def course_of(student: Student) -> dict[str, Any]:
    return student.done("check")["results"]["course"]


def test_what_comes_late_is_marked_and_counts_less_but_the_best_stays(begun: Student, clock: Clock) -> None:
    begun.done("actions", verb="start", vm="b")
    begun.run_to(3_000_000)
    clock.now = DUE
    first = course_of(begun)
    assert (first["counts"], first["late_days"], first["percent"], first["best"]) == (10, 0, 100, 10)
    assert first["said"] == "In the course that is 10 of 10 points."
    found = []
    for late in (1, DAY, DAY + 1, 9 * DAY):
        clock.now = DUE + late
        one = course_of(begun)
        found.append((one["late_days"], one["percent"], one["counts"], one["best"]))
    assert found == [(1, 80, 8, 10), (1, 80, 8, 10), (2, 60, 6, 10), (9, 50, 5, 10)]
    page = begun.client.get("/lessons/two-machines/").text
    assert "Late by up to 9 days: it was due 21 September 2026, 23:59 UTC+02:00. It counts 50 % now." in page
    assert "Your best so far, 10 points, stays." in page
    assert (
        "This was due 21 September 2026, 23:59 UTC+02:00.</strong> What you hand in now is marked late."
        in page
    )
    assert "Late by up to 9 days" in begun.client.get("/lessons/two-machines/report").text


def test_without_a_cost_late_work_is_only_marked(application: Flask, clock: Clock) -> None:
    clock.now = DUE + 1
    client = application.test_client()
    found = re.search(r"/labs/([\w-]+)", client.get("/lessons/again/").text)
    assert found
    answer = client.post(f"/labs/{found[1]}/check", json={}, headers=SAME_SITE)
    course = (answer.json or {})["results"]["course"]
    assert (course["late_days"], course["percent"], course["counts"]) == (1, 100, 0)
    assert "was due 21 September 2026" in client.get("/").text
