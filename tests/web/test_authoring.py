"""An author edits a lesson in the browser: files, faults, what students see, and trials."""

import json
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from app.cli import main
from app.web.preview import create_preview

OWN = {"Sec-Fetch-Site": "same-origin"}


@pytest.fixture
def lesson(tmp_path: Path) -> Path:
    """Return a lesson as `vmlab new lesson` writes it."""
    directory = tmp_path / "lessons" / "04-my-lesson"
    assert main(["new", "lesson", str(directory)]) == 0
    return directory


@pytest.fixture
def author(lesson: Path) -> FlaskClient:
    """The author's browser."""
    return create_preview(lesson).test_client()


def test_a_fault_is_told_with_its_place_and_goes_when_it_is_mended(author: FlaskClient, lesson: Path) -> None:
    read = author.get("/edit/files/lesson.md").get_json()
    broken = read["text"].replace("minutes: 20", "minuts: 20")
    answer = author.put(
        "/edit/files/lesson.md", json={"text": broken, "digest": read["digest"]}, headers=OWN
    ).get_json()
    assert (answer["faults"][0]["file"], answer["faults"][0]["line"]) == ("lesson.md", 6)
    assert "Nothing can be shown" in author.get("/edit/shown?seed=1").text
    mended = {"text": read["text"], "digest": answer["digest"]}
    assert author.put("/edit/files/lesson.md", json=mended, headers=OWN).get_json()["faults"] == []
    assert "<article" in author.get("/edit/shown?seed=1").text
    assert (lesson / "lesson.md").read_text() == read["text"]


def test_nothing_of_another_editor_is_lost(author: FlaskClient, lesson: Path) -> None:
    read = author.get("/edit/files/guest/hello.s").get_json()
    (lesson / "guest/hello.s").write_text("# theirs\n")
    refused = author.put("/edit/files/guest/hello.s", json={**read, "text": "# mine\n"}, headers=OWN)
    assert refused.status_code == 409
    assert "changed elsewhere" in refused.get_json()["error"]["message"]
    assert (lesson / "guest/hello.s").read_text() == "# theirs\n"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"Sec-Fetch-Site": "cross-site"}, 403), ({}, 403), ({**OWN, "Host": "evil.example"}, 421)],
)
def test_no_other_site_writes(
    author: FlaskClient, lesson: Path, headers: dict[str, str], status: int
) -> None:
    answer = author.put("/edit/files/guest/new.s", json={"text": "x", "digest": ""}, headers=headers)
    assert answer.status_code == status
    assert not (lesson / "guest/new.s").exists()


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"text": 1, "digest": ""}', "{"])
def test_what_is_no_file_is_refused_with_a_sentence(author: FlaskClient, body: str) -> None:
    answer = author.put("/edit/files/guest/new.s", data=body, headers=OWN, content_type="application/json")
    assert answer.status_code == 400
    assert answer.get_json()["error"]["message"]
    too_long = author.put(
        "/edit/files/guest/new.s", json={"text": "x" * 2_000_000, "digest": ""}, headers=OWN
    )
    assert too_long.status_code == 413


def test_a_file_is_made_and_deleted(author: FlaskClient, lesson: Path) -> None:
    made = author.put("/edit/files/wrong/new.yaml", json={"text": "", "digest": ""}, headers=OWN).get_json()
    assert "wrong/new.yaml" in made["files"]
    assert any(fault["file"] == "wrong/new.yaml" for fault in made["faults"])
    gone = author.delete(
        "/edit/files/wrong/new.yaml", json={"digest": made["digest"]}, headers=OWN
    ).get_json()
    assert "wrong/new.yaml" not in gone["files"]
    assert author.delete("/edit/files/lesson.md", json={"digest": ""}, headers=OWN).status_code == 422
    assert not (lesson / "wrong/new.yaml").exists()


def test_a_trial_tells_its_progress_and_what_it_found(author: FlaskClient) -> None:
    text = author.get("/edit/trial?seeds=2").text
    assert "event: progress" in text
    done = json.loads(text.rpartition("data: ")[2])
    assert done["lines"][-1] == "1 of 1 lessons work"
    assert "weakened checks noticed" in done["lines"][0]
