"""`vmlab lint` prints every fault with its place and says by its exit status whether there is one."""

import json
from pathlib import Path

import pytest

from app.cli import main
from app.paths import lessons_dir
from tests.lessons.conftest import BODY, FRONT, WriteLesson

SOLUTION = "steps:\n  - start: a\n  - answer: {how-many: b}\n"


def test_a_sound_lesson_passes(write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]) -> None:
    directory = write_lesson(files={"solution/actions.yaml": SOLUTION})
    assert main(["lint", str(directory)]) == 0
    assert capsys.readouterr() == ("", "no faults found\n")


def test_every_fault_is_one_line(write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]) -> None:
    front = FRONT.replace("minutes: 30", "minuts: 30").replace("memory: 1 MiB", "memory: 7 KiB")
    directory = write_lesson(front, BODY.replace("answer: b", "answer: z"))
    assert main(["lint", str(directory)]) == 1
    output = capsys.readouterr()
    assert [line.split(": ")[0] for line in output.out.splitlines()] == [
        f"lessons/03-mine/lesson.md:{place}" for place in ("6:1", "12:17", "32:1")
    ]
    assert output.err == "3 faults found\n"


def test_faults_can_be_read_by_programs(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["lint", "--json", str(write_lesson())]) == 1
    (fault,) = json.loads(capsys.readouterr().out)
    assert fault["file"] == "lessons/03-mine/solution/actions.yaml"
    assert fault["message"] == "is missing; write the steps that earn every point"


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (
            {"solution/actions.yaml": SOLUTION.replace("how-many", "how-few")},
            "actions.yaml:3:14: answer to 'how-few'",
        ),
        (
            {"solution/actions.yaml": SOLUTION.replace(": b", ": z")},
            "this answer is not offered; choose one of a, b",
        ),
        ({"wrong/x.yaml": "caught_by: helo\nsteps:\n  - start: a\n"}, "there is no check or question 'helo'"),
        ({"wrong/x.yaml": "steps:\n  - start: a\n"}, "wrong/x.yaml:1:1: caught_by is missing"),
    ],
)
def test_faults_of_scripts_are_found(
    write_lesson: WriteLesson,
    capsys: pytest.CaptureFixture[str],
    files: dict[str, str | bytes],
    expected: str,
) -> None:
    directory = write_lesson(files={"solution/actions.yaml": SOLUTION, **files})
    assert main(["lint", str(directory)]) == 1
    assert expected in capsys.readouterr().out


def test_a_guest_that_nothing_uses_is_named(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {"solution/actions.yaml": SOLUTION, "guest/left.s": "_start: wfi\n"}
    assert main(["lint", str(write_lesson(files=files))]) == 1
    expected = "lessons/03-mine/guest/left.s: is never used; name it in lesson.md or delete it\n"
    assert capsys.readouterr().out == expected


def test_a_whole_course_is_checked(write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]) -> None:
    good = write_lesson(files={"solution/actions.yaml": SOLUTION})
    (good.parent / "04-empty").mkdir()
    assert main(["lint", str(good.parent)]) == 1
    assert "lessons/04-empty/lesson.md: is missing; a lesson needs this file" in capsys.readouterr().out


def test_a_directory_without_lessons_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lint", str(tmp_path)]) == 2
    assert "holds no lesson; a lesson is a directory named like 01-first-steps" in capsys.readouterr().err
    assert main(["lint", str(tmp_path / "nowhere")]) == 1
    assert "nowhere" in capsys.readouterr().out


def test_a_guest_that_is_not_built_is_no_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("app.guests.images.cache_directory", lambda: tmp_path)
    assert main(["lint", str(lessons_dir() / "03-three-systems")]) == 0
    shown = capsys.readouterr()
    assert "the guest 'linux' is not built on this machine; run `vmlab guests build linux`" in shown.out
    assert "no faults found; a lesson waits for a guest" in shown.err


PARAMS = "params:\n  word: {one_of: [one, two]}\n  spare: {token: 5}\nlab:\n"


@pytest.mark.parametrize(
    ("front", "body", "expected"),
    [
        (
            FRONT,
            "See [there](#step-nowhere).\n",
            "lesson.md:21: the link '#step-nowhere' leads to no step or view",
        ),
        (FRONT, "See [there](http://example.org).\n", "is not encrypted; write https://"),
        (FRONT, "See [there](notes.txt).\n", "lesson.md:21: the link 'notes.txt' leads nowhere on the page"),
        (FRONT, "It has 64 kb of memory.\n", "lesson.md:21: '64 kb': the unit is written KiB"),
        (FRONT, "A clock of\n10 Mhz ticks.\n", "'10 Mhz': the unit is written MHz"),
        (FRONT, "word " * 60 + ".\n", "a sentence has 60 words; split it (at most 50)"),
        (FRONT, "Incomprehensible formulations proliferate. " * 20, "the text is hard to read (LIX "),
        (
            FRONT,
            "```predict n\nquestion: How many?\nanswer: 2\nexplanation: Two.\n```\n",
            "lesson.md:21: the question 'n' wants a number; add its 'unit:'",
        ),
        (
            FRONT,
            "```figure lane\nalt: Lanes of two pCPUs\ncaption: Watch.\n```\n",
            "lesson.md:21: a figure shows a live view, like ```figure lanes, not 'lane'",
        ),
        (FRONT, "```figure lanes\ncaption: Watch.\n```\n", "alt is missing; add a line 'alt: ...'"),
        (
            FRONT.replace("lab:\n", PARAMS),
            "The {{ word }}.\n",
            "lesson.md:11: the parameter 'spare' is never used",
        ),
        (
            FRONT.replace("lab:\n", PARAMS.replace("  spare: {token: 5}\n", "")),
            "The {{ word }}.\n",
            "lesson.md:9: only 2 different draws: neighbours share them; widen a range or add a token",
        ),
        (
            FRONT.replace("lab:\n", "params:\n  n: {from: 0, to: 200}\nlab:\n").replace(
                "1 MiB", "{{ n }} KiB"
            ),
            "{{ n }}\n",
            "(seed ",
        ),
    ],
)
def test_what_an_editor_would_mark_is_found(
    write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str], front: str, body: str, expected: str
) -> None:
    directory = write_lesson(front, body, {"solution/actions.yaml": "steps:\n  - start: a\n"})
    assert main(["lint", str(directory)]) == 1
    assert expected in capsys.readouterr().out


def test_a_prerequisite_comes_before(write_lesson: WriteLesson, capsys: pytest.CaptureFixture[str]) -> None:
    front = FRONT.replace("objectives:", "prerequisites: [later]\nobjectives:")
    directory = write_lesson(front, files={"solution/actions.yaml": SOLUTION})
    assert main(["lint", str(directory.parent)]) == 1
    found = capsys.readouterr().out
    assert (
        "lesson.md:7: prerequisites: no lesson before this one has the id 'later'; this is the first" in found
    )
