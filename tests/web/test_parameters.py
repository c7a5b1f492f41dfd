"""Each student has numbers of their own, and is graded by them."""

import re
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app.web import create_app, default_settings
from app.web.context import Context
from tests.web.conftest import COURSE, Student

PARAMS = """\
params:
  size: {from: 128 KiB, to: 512 KiB, step: 4 KiB}
lab:"""


def serve(lessons: Path, data: Path) -> Flask:
    app = create_app(replace(default_settings(data, lessons, workers=1), posts_at_once=1e9))
    context: Context = app.extensions["vmlab"]
    assert context.pool.wait_ready(300)
    return app


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Return a course whose lesson has a parameter, and a second lesson that opens one day."""
    root = tmp_path / "lessons"
    shutil.copytree(COURSE, root)
    file = root / "01-two-machines" / "lesson.md"
    text = file.read_text().replace("lab:", PARAMS, 1).replace("memory: 256 KiB", "memory: {{ size }}", 1)
    file.write_text(text + "\n\nVersion one, {{ size | B }} bytes.\n")
    shutil.copytree(file.parent, root / "02-later")
    later = root / "02-later" / "lesson.md"
    later.write_text(re.sub(r"(?m)^id: .*$", "id: later", later.read_text(), count=1))
    (root / "course.yaml").write_text(
        "schema: 1\ntitle: Ours\nlessons:\n  - {lesson: 01-two-machines, points: 42}\n"
        "  - {lesson: 02-later, opens: 2199-01-01T00:00Z}\n"
    )
    return root


@pytest.fixture
def app(lessons: Path, tmp_path: Path) -> Iterator[Flask]:
    app = serve(lessons, tmp_path / "data")
    yield app
    app.extensions["vmlab"].close()


def bytes_shown(student: Student) -> str:
    found = re.search(r"(Version \w+, [0-9]+) bytes", student.client.get("/lessons/two-machines/").text)
    assert found
    return found[1]


def test_neighbours_have_other_numbers_and_their_labs_have_them(app: Flask) -> None:
    students = [Student(app.test_client()) for _ in range(6)]
    shown = [bytes_shown(student) for student in students]
    assert len(set(shown)) == len(students)
    for student, text in zip(students, shown, strict=True):
        (size,) = {vm["memory_bytes"] for vm in student.get("state").json["vms"] if vm["name"] == "a"}  # pyright: ignore
        assert text == f"Version one, {size}"
    context: Context = app.extensions["vmlab"]
    assert (context.settings.data / "course-secret").stat().st_mode & 0o777 == 0o600


def test_a_lesson_is_closed_until_it_opens(app: Flask) -> None:
    home = app.test_client().get("/").text
    assert "42 points" in home
    assert "opens 1 January 2199, 00:00 UTC" in home
    assert 'href="/lessons/later/"' not in home
    closed = app.test_client().get("/lessons/later/")
    assert closed.status_code == 403
    assert "This lesson opens on 1 January 2199, 00:00 UTC." in closed.text


def test_looking_at_the_checks_again_is_remembered(app: Flask) -> None:
    student = Student(app.test_client())
    student.done("check")
    student.done("check")
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    student.done("check")
    context: Context = app.extensions["vmlab"]
    tries = context.results.earlier_tries(student.lab)
    assert len(tries) == 2
    assert set(tries[0].values()) <= {"failed", "waiting", "passed", "partial"}
