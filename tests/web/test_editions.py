"""An instructor edits a lesson while it is being done: open attempts keep the version they began with."""

import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask

from app.web import create_app, default_settings
from tests.web.conftest import COURSE, Student

PARAMS = "params:\n  size: {from: 128 KiB, to: 512 KiB, step: 4 KiB}\nlab:"
OUTDATED = "This lesson has changed since you began."
LEFT = "This lesson is not part of the course at the moment."


@pytest.fixture
def lessons(tmp_path: Path) -> Path:
    """Return a course of a lesson with a parameter, and another one that stays as it is."""
    root = Path(shutil.copytree(COURSE, tmp_path / "lessons"))
    shutil.copytree(root / "01-two-machines", root / "02-other")
    edit(root / "02-other" / "lesson.md", ("id: two-machines", "id: other"))
    edit(
        root / "01-two-machines" / "lesson.md",
        ("lab:", PARAMS),
        ("name: a, vcpus: 1, memory: 256 KiB", "name: a, vcpus: 1, memory: {{ size }}"),
        ("Some text.", "The first text, {{ size | B }} bytes."),
    )
    return root


def edit(file: Path, *changes: tuple[str, str]) -> None:
    text = file.read_text()
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    file.write_text(text)


def edit_everything(lessons: Path) -> None:
    """Change text, parameters, checks, questions, configuration and guests."""
    lesson = lessons / "01-two-machines"
    edit(
        lesson / "lesson.md",
        ("The first text", "The second text"),
        ("from: 128 KiB, to: 512 KiB", "from: 64 KiB, to: 124 KiB"),
        ('console("b").contains("Hello")', 'console("b").contains("Good day")'),
        ("help: Start it.", "help: Another help."),
        ("{pcpus: 2, memory: 4 MiB", "{pcpus: 1, memory: 8 MiB"),
        ("answer: 2", "answer: 3"),
        ("    - {name: b,", "    - {name: c, vcpus: 1, memory: 64 KiB, program: hello.s}\n    - {name: b,"),
    )
    edit(lesson / "guest" / "hello.s", ("Hello", "Good day"))


@contextmanager
def served(lessons: Path, data: Path) -> Iterator[Flask]:
    app = create_app(replace(default_settings(data, lessons, workers=1), posts_at_once=1e9))
    assert app.extensions["vmlab"].pool.wait_ready(300)
    try:
        yield app
    finally:
        app.extensions["vmlab"].close()


def back_in(app: Flask, student: Student) -> Student:
    """Return the same student's browser at a server that was started again."""
    again = Student.__new__(Student)
    again.client, again.lab = app.test_client(), student.lab
    cookie = student.client.get_cookie("vmlab_session")
    assert cookie is not None
    again.client.set_cookie("vmlab_session", cookie.value)
    return again


def page(student: Student) -> str:
    return student.client.get("/lessons/two-machines/").text


def text_of(student: Student) -> str:
    found = re.search(r"The \w+ text, [0-9]+ bytes", page(student))
    assert found
    return found[0]


def stands(student: Student) -> object:
    """Return the lab's state by its hash, and its configuration, once it is rebuilt."""
    while (answer := student.get("config")).status_code != 200:
        assert answer.status_code == 503, answer.text
    exported = student.get("submission").json
    assert exported is not None
    return exported["hash"], exported["lesson_version"], answer.json


def checked(student: Student) -> tuple[bool, str]:
    (check,) = student.done("check")["results"]["checks"]
    return check["passed"], check["help"]


def test_an_open_attempt_keeps_what_it_began_with(lessons: Path, tmp_path: Path) -> None:
    with served(lessons, tmp_path / "data") as app:
        student = Student(app.test_client())
        before, began = stands(student), text_of(student)
        edit_everything(lessons)  # while the server runs: nobody notices, students who begin now included
        assert (stands(student), text_of(student)) == (before, began)
        assert checked(student) == (False, "Start it.")
        assert student.done("answers", question="how-many", value=2)["verdict"]["correct"]
        assert OUTDATED not in page(student)
        newcomer = Student(app.test_client())
        assert text_of(newcomer).startswith("The first text")
        student.done("actions", verb="start", vm="b")
        student.run_to(3_000_000)
        before = stands(student)
    with served(lessons, tmp_path / "data") as app:
        again = back_in(app, student)
        assert (stands(again), text_of(again)) == (before, began)
        assert OUTDATED in page(again)
        assert "Good day" not in page(again)
        assert "Hello" in page(again)
        assert checked(again)[0]
        assert again.done("answers", question="how-many", value=2)["verdict"]["correct"]
        assert text_of(Student(app.test_client())).startswith("The second text")
        again.done("actions", verb="reset_lab")
        assert text_of(again).startswith("The second text")
        assert OUTDATED not in page(again)
        assert checked(again) == (False, "Another help.")
        assert len(again.get("state").json["vms"]) == 3  # pyright: ignore


def test_an_attempt_outlives_a_lesson_that_cannot_be_read_any_more(lessons: Path, tmp_path: Path) -> None:
    with served(lessons, tmp_path / "data") as app:
        student = Student(app.test_client())
        student.client.get("/lessons/other/")
        edit(lessons / "01-two-machines" / "lesson.md", ("checks:", "chekcs: ["))
        (lessons / "course.yaml").write_text("schema: [")  # in the middle of an edit
        assert checked(student) == (False, "Start it.")
        before, began = stands(student), text_of(student)
        (lessons / "course.yaml").unlink()
        (lessons / "02-other").rename(lessons / "03-new")
        edit(lessons / "03-new" / "lesson.md", ("id: other", "id: new"))
    with served(lessons, tmp_path / "data") as app:
        again = back_in(app, student)
        assert (stands(again), text_of(again)) == (before, began)
        assert LEFT in page(again)
        assert LEFT in again.client.get("/lessons/other/").text
        assert checked(again) == (False, "Start it.")
        assert again.client.get("/lessons/two-machines/report").status_code == 200
        home = again.client.get("/").text
        assert '<a href="/lessons/two-machines/"' in home
        assert '<a href="/lessons/other/"' in home
        assert again.post("reset").status_code == 409
        assert (stands(again), text_of(again)) == (before, began)
        stranger = app.test_client()
        assert stranger.get("/lessons/two-machines/").status_code == 404
        assert stranger.get("/lessons/two-machines/report").status_code == 404
        assert '"/lessons/two-machines/"' not in stranger.get("/").text
