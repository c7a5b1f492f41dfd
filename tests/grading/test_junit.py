"""The JUnit report of `vmlab test-lesson` says what its other reports say, and is XML in any case."""

import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from app.cli import main
from app.grading.junit import junit
from app.grading.proof import is_faulty
from tests.lessons.conftest import WriteLesson, write_lesson
from tests.lessons.test_trial import BODY, FILES, SHOUTS

__all__ = ["write_lesson"]


def trial(seed: int, *faults: str) -> dict[str, Any]:
    return {"seed": seed, "faults": list(faults), "seconds": 0.5}


def report(name: str, **fields: Any) -> dict[str, Any]:
    given = {"errors": [], "waits": [], "faults": [], "trials": [], "wide": [], **fields}
    trials: list[dict[str, Any]] = given["trials"]
    of_seeds = [f"seed {each['seed']}: {fault}" for each in trials for fault in each["faults"]]
    return {"lesson": name, **given, "faults": given["faults"] + of_seeds, "seconds": 0.5 * len(trials)}


REPORTS = [
    report("01-good", trials=[trial(1), trial(2)], wide=["hello: x <= 3"]),
    report("02-bad", trials=[trial(1, "no \x00<b>&\ud800", "other"), trial(2)], faults=["no wrong solution"]),
    report("03-broken", errors=[{"file": "x/lesson.md", "line": 7, "column": 1, "message": "is wrong"}]),
    report("04-waits", waits=["the guest 'linux' is not built"]),
]


def test_every_lesson_is_a_suite_and_every_seed_a_case() -> None:
    root = ElementTree.fromstring(junit(REPORTS))
    counts = [
        (each.get("name"), *(each.get(key) for key in ("tests", "failures", "errors", "skipped")))
        for each in [root, *root]
    ]
    assert counts == [
        ("vmlab test-lesson", "8", "2", "1", "1"),
        ("01-good", "3", "0", "0", "0"),
        ("02-bad", "3", "2", "0", "0"),
        ("03-broken", "1", "0", "1", "0"),
        ("04-waits", "1", "0", "0", "1"),
    ]
    assert [is_faulty(each) for each in REPORTS] == [False, True, True, False]
    said = [each.get("message") for each in root.iter() if each.tag in ("failure", "error", "skipped")]
    assert said == [
        "no wrong solution",
        "no \ufffd<b>&\ufffd",
        "other",
        "x/lesson.md:7: is wrong",
        "the guest 'linux' is not built",
    ]
    assert "hello: x <= 3" in str(root[0].findtext("system-out"))
    assert [case.get("name") for case in root[0].iter("testcase")] == ["lesson", "seed 1", "seed 2"]


def test_a_report_is_written_beside_what_is_printed(
    write_lesson: WriteLesson, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = write_lesson(SHOUTS, BODY, FILES)
    file = tmp_path / "lessons.xml"
    bad = Path(shutil.copytree(good, tmp_path / "04-bad"))
    command = ["test-lesson", "--seed", "5", "--jobs", "1", "--junit"]
    assert main([*command, str(file), str(good)]) == 0
    assert ElementTree.parse(file).getroot().get("failures") == "0"
    (bad / "wrong" / "soon.yaml").write_text("caught_by: hello\nsteps:\n  - start: a\n  - run: 2 ms\n")
    assert main([*command, str(file), str(bad)]) == 1
    failure = next(ElementTree.parse(file).getroot().iter("failure"))
    assert failure.get("message") == "wrong/soon.yaml is not caught by 'hello'; nothing catches it"
    assert main([*command, str(tmp_path / "nowhere" / "x.xml"), str(good)]) == 2
    assert "its directory does not exist" in capsys.readouterr().err
