"""A lesson with errors is left out and named on the home page; the others work."""

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from app.paths import lessons_dir
from app.web import create_app, default_settings
from tests.web.conftest import COURSE


def test_a_broken_lesson_is_explained_and_the_others_open(tmp_path: Path) -> None:
    lessons = tmp_path / "lessons"
    shutil.copytree(COURSE, lessons)
    good = next(path for path in lessons.iterdir() if (path / "lesson.md").is_file())
    broken = lessons / "77-broken"
    shutil.copytree(good, broken)
    text = (broken / "lesson.md").read_text().replace("minutes:", "minuts: <b>", 1)
    (broken / "lesson.md").write_text(text)
    app = create_app(replace(default_settings(tmp_path / "data", lessons, workers=1), posts_at_once=1e9))
    try:
        home = app.test_client().get("/")
        assert home.status_code == 200
        assert "lessons/77-broken/lesson.md:" in home.text
        assert "unknown key" in home.text
        assert "did you mean" in home.text
        assert "<b>" not in home.text
        assert app.test_client().get("/lessons/77-broken/").status_code == 404
        assert app.test_client().get("/healthz").status_code in (200, 503)
    finally:
        app.extensions["vmlab"].close()


def test_a_lesson_that_waits_for_a_guest_says_what_to_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.guests.images.cache_directory", lambda: tmp_path)
    app = create_app(
        replace(default_settings(tmp_path / "data", lessons_dir(), workers=1), posts_at_once=1e9)
    )
    try:
        home = app.test_client().get("/").text
        assert "Which lessons wait for a guest?" in home
        assert "run `vmlab guests build linux`" in home
        assert "What keeps other lessons from opening?" not in home
    finally:
        app.extensions["vmlab"].close()
