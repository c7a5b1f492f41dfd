"""`course.yaml`: in which order lessons are taught, for how much, from when; its faults are located."""

import shutil
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.cli import main
from app.lessons import LessonErrors, load_course
from tests.lessons.conftest import FRONT, WriteLesson

COURSE = """\
schema: 1
title: Our course
secret: {env: OUR_SECRET}
lessons:
  - {lesson: 04-other, points: 7, opens: 2026-09-01T08:00+02:00}
  - 03-mine
"""


@pytest.fixture
def course(write_lesson: WriteLesson) -> Path:
    """Return a directory of two lessons."""
    root = write_lesson().parent
    shutil.copytree(root / "03-mine", root / "04-other")
    (root / "04-other" / "lesson.md").write_text(FRONT.replace("id: my-lesson", "id: other"))
    return root


def test_lessons_come_in_the_order_of_the_course(course: Path) -> None:
    assert [lesson.slug for lesson in load_course(course).lessons] == ["03-mine", "04-other"]
    (course / "course.yaml").write_text(COURSE)
    read = load_course(course)
    assert [lesson.slug for lesson in read.lessons] == ["04-other", "03-mine"]
    assert (read.title, read.secret_variable) == ("Our course", "OUR_SECRET")
    assert [read.entry(lesson).points for lesson in read.lessons] == [7, 2]


def test_a_lesson_opens_at_its_time(course: Path) -> None:
    (course / "course.yaml").write_text(COURSE)
    read = load_course(course)
    other, mine = (read.entry(lesson) for lesson in read.lessons)
    assert not other.is_open(datetime(2026, 9, 1, 5, 59, tzinfo=UTC))
    assert other.is_open(datetime(2026, 9, 1, 6, 0, tzinfo=UTC))
    assert mine.is_open(datetime(2000, 1, 1, tzinfo=UTC))


def test_days_begin_after_the_due_date_and_cost_what_the_course_says(course: Path) -> None:
    due = "due: 2026-09-08T08:00+02:00"
    late = COURSE.replace("lessons:", "late: {per_day: 30, least: 25}\nlessons:").replace("points: 7", due)
    (course / "course.yaml").write_text(
        late.replace("- 03-mine", f"- {{lesson: 03-mine, {due}, late: {{per_day: 0}}}}")
    )
    read = load_course(course)
    other, mine = (read.entry(lesson) for lesson in read.lessons)
    found = []
    for day, hour, minute in ((8, 6, 0), (8, 6, 1), (9, 6, 0), (9, 6, 1), (30, 6, 0)):
        now = datetime(2026, 9, day, hour, minute, tzinfo=UTC)
        found.append((other.late_days(now), other.share(now), mine.late_days(now), mine.share(now)))
    assert found == [(0, 1, 0, 1), (1, 0.7, 1, 1), (1, 0.7, 1, 1), (2, 0.4, 2, 1), (22, 0.25, 22, 1)]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("03-mine", "03-mina", "course.yaml:6:5: there is no lesson '03-mina'; did you mean '03-mine'?"),
        ("03-mine", "04-other", "course.yaml:6:5: '04-other' is listed twice; keep one"),
        ("03-mine", "../../etc", "course.yaml:6:5: lessons.1"),
        ("points: 7", "pionts: 7", "course.yaml:5:24: unknown key 'pionts'; did you mean 'points'?"),
        ("2026-09-01T", "2026-13-01T", "2026-13-01T08:00+02:00 is no date and time; write 2026-09-01"),
        ("+02:00}", "+02:00, due: 2026-08-01T08:00Z}", "due must come after opens"),
        ("points: 7", "late: {per_day: 101}", "lessons.0.late.per_day is '101': input should be less than"),
        ("points: 7", "late: {least: 5}", "per_day is missing"),
        ("title: Our course\n", "", "course.yaml:1:1: title is missing; add a line 'title: ...'"),
        ("schema: 1", "schema: [", "course.yaml:"),
        (COURSE, "- a", "course.yaml:1:1: this is a list; must be"),
        ("env: OUR_SECRET", "key: hunter2", "course.yaml:3:10: unknown key 'key'"),
    ],
)
def test_a_fault_is_located(course: Path, old: str, new: str, expected: str) -> None:
    (course / "course.yaml").write_text(COURSE.replace(old, new))
    with pytest.raises(LessonErrors) as caught:
        load_course(course)
    assert expected in str(caught.value)


def test_lint_names_a_lesson_that_is_not_taught(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (course / "course.yaml").write_text(COURSE.replace("  - 03-mine\n", ""))
    assert main(["lint", str(course)]) == 1
    assert "lessons/course.yaml: '03-mine' is not listed, so it is not taught" in capsys.readouterr().out
