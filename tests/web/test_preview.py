"""`vmlab preview` shows a lesson for any seed, to its author only, and notices each save."""

import os
import re
from pathlib import Path

import pytest

from app.cli import main
from app.web.preview import create_preview, stamp


@pytest.fixture
def lesson(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Return a lesson as `vmlab new lesson` writes it."""
    directory = tmp_path / "lessons" / "04-my-lesson"
    assert main(["new", "lesson", str(directory), "--title", "My first lesson"]) == 0
    assert "Next: vmlab preview" in capsys.readouterr().out
    return directory


def test_a_new_lesson_has_no_faults_and_is_never_overwritten(
    lesson: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lint", str(lesson)]) == 0
    text = (lesson / "lesson.md").read_text()
    assert "id: my-lesson\ntitle: My first lesson\n" in text
    assert main(["new", "lesson", str(lesson)]) == 2
    assert "exists already; choose another name" in capsys.readouterr().err
    assert main(["new", "lesson", str(lesson.parent / "My Lesson")]) == 2
    assert "is not named like 04-my-lesson" in capsys.readouterr().err


def test_students_see_no_answers_and_instructors_do(lesson: Path) -> None:
    client = create_preview(lesson).test_client()
    student = client.get("/?seed=7").text
    instructor = client.get("/?seed=7&view=instructor").text
    assert "My first lesson" in student
    for private in ("caught_by", "console(&#34;a&#34;)", "The program makes a call for each letter"):
        assert private not in student
        assert private in instructor
    words = [
        re.findall(r"<td>(\w{6})</td>", client.get(f"/?seed={seed}&view=instructor").text) for seed in (7, 8)
    ]
    assert words[0] != words[1]
    assert client.get("/?seed=99999999999999999999&view=x").status_code == 200
    assert client.get("/?seed=-4").status_code == 200
    assert client.get("/?seed=<b>").status_code == 200


def test_a_broken_lesson_is_shown_as_its_faults(lesson: Path) -> None:
    file = lesson / "lesson.md"
    file.write_text(file.read_text().replace("minutes: 20", "minuts: <script>"))
    page = create_preview(lesson).test_client().get("/").text
    assert "lesson.md:6:1: unknown key &#39;minuts&#39;" in page
    assert "<script>" not in page


def test_a_save_is_noticed(lesson: Path) -> None:
    client = create_preview(lesson).test_client()
    before = stamp(lesson)
    os.utime(lesson / "guest" / "hello.s", ns=(1, 1))
    assert stamp(lesson) != before
    reply = client.get(f"/changes?stamp={before}")
    assert reply.mimetype == "text/event-stream"
    assert reply.text == f"event: changed\ndata: {stamp(lesson)}\n\n"


def test_only_this_machine_is_answered(lesson: Path) -> None:
    client = create_preview(lesson).test_client()
    assert client.get("/", headers={"Host": "evil.example:8010"}).status_code == 421
    reply = client.get("/", headers={"Host": "localhost:8010"})
    assert reply.status_code == 200
    assert "default-src 'none'" in reply.headers["Content-Security-Policy"]
