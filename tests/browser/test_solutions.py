"""Every lesson's solution, done through the page by a student, earns every point."""

from pathlib import Path

import pytest
from playwright.sync_api import Page

from app.lessons.course import lesson_directories
from tests.browser.student import Student
from tests.browser.test_in_browser import Switch

# One lesson with consoles, programs and fields is done where the lab runs in the browser.
IN_THIS_BROWSER = ("14-same-pages",)
LESSONS = lesson_directories(Path(__file__).resolve().parents[2] / "lessons")


@pytest.mark.slow
@pytest.mark.parametrize("directory", LESSONS, ids=[path.name for path in LESSONS])
def test_the_solution_earns_every_point(page: Page, directory: Path, screenshots: Path) -> None:
    student = Student(page, directory)
    if directory.name in IN_THIS_BROWSER:
        Switch(page).move("browser")
    assert student.lesson.solution is not None
    student.follow(student.lesson.solution)
    assert [title for title, passed in student.check().items() if not passed] == []
    page.screenshot(path=screenshots / f"solved-{directory.name}-1366x768.png")
