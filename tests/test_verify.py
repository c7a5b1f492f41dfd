"""`vmlab verify` says whether a file is what its lesson comes to, and why not."""

import json
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from app.lessons import load_course
from app.workers.submission import FORMAT
from emulator.build.engine import load_engine
from emulator.lab import Lab

COURSE = Path(__file__).parent / "web" / "course"


@pytest.fixture(scope="module")
def honest() -> dict[str, Any]:
    """What a student's browser has exported."""
    lesson = load_course(COURSE).lesson("two-machines").drawn(7)
    lab = Lab(lesson.lab_config, dict(lesson.programs), 7, load_engine())
    lab.apply({"verb": "start", "vm": "b"})
    lab.advance(1_000_000)
    lab.apply({"verb": "answer", "question": "how-many", "value": 2.0})
    return {
        "format": FORMAT,
        "version": 1,
        "lesson": "two-machines",
        "lesson_version": lesson.version,
        "seed": 7,
        "generation": 1,
        "log": lab.log,
        "position": lab.position,
        "hash": lab.state_hash(),
    }


def verify(path: Path, text: str) -> int:
    path.write_text(text, encoding="utf-8")
    return main(["verify", str(path), "--lessons", str(COURSE)])


def test_an_honest_submission_is_verified_and_graded(
    honest: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert verify(tmp_path / "s.json", json.dumps(honest)) == 0
    assert capsys.readouterr().out.endswith("1 of 1 points\n")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"hash": "0" * 64}, "claimed was 000"),
        ({"format": "other"}, "is not vmlab-submission"),
        ({"lesson": "other"}, "not one of the lessons"),
        ({"lesson_version": "other"}, "the lesson here is"),
        ({"seed": 8}, "has the hash"),
        ({"log": []}, "never reached"),
        ({"base_seq": 1, "base_hash": "0" * 64, "log": []}, "must be 0"),
    ],
)
def test_a_forged_submission_is_refused_with_the_reason(
    honest: dict[str, Any],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changes: dict[str, Any],
    reason: str,
) -> None:
    assert verify(tmp_path / "s.json", json.dumps({**honest, **changes})) == 1
    printed = capsys.readouterr().out
    assert printed.startswith("refused: ")
    assert reason in printed


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 100_000, "\0"])
def test_what_is_no_submission_is_refused(tmp_path: Path, text: str) -> None:
    assert verify(tmp_path / "s.json", text) == 1


def test_a_file_that_is_not_there_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    assert main(["verify", str(tmp_path / "none.json")]) == 2
