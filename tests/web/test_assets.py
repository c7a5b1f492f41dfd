"""Built assets are sent squeezed to whoever can read that."""

import gzip
import json
from pathlib import Path

import pytest
from flask import Flask

from app.web import assets
from tests.web.conftest import Student


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(assets, "static_dir", lambda: tmp_path)
    (tmp_path / "main.js").write_text("plain")
    (tmp_path / "main.js.gz").write_bytes(gzip.compress(b"plain"))
    (tmp_path / "main.js.br").write_bytes(b"as Brotli")
    (tmp_path / "only.css").write_text("plain")
    return tmp_path


@pytest.mark.parametrize(
    ("accepted", "encoding", "body"),
    [
        ("gzip, deflate, br", "br", b"as Brotli"),
        ("gzip", "gzip", gzip.compress(b"plain")),
        ("br;q=0, identity", None, b"plain"),
        ("", None, b"plain"),
    ],
    ids=["Brotli", "gzip", "neither", "nothing said"],
)
def test_a_script_comes_as_its_reader_wants_it(
    application: Flask, built: Path, accepted: str, encoding: str | None, body: bytes
) -> None:
    del built
    with application.test_client() as client:
        got = client.get("/static/main.js?v=1", headers={"Accept-Encoding": accepted}, buffered=True)
    assert got.data[10:] == body[10:] if encoding == "gzip" else got.data == body
    assert got.headers.get("Content-Encoding") == encoding
    assert got.mimetype == "text/javascript"
    assert "Accept-Encoding" in got.headers["Vary"]
    assert "immutable" in got.headers["Cache-Control"]


def test_what_has_no_squeezed_form_comes_plain(application: Flask, built: Path) -> None:
    del built
    with application.test_client() as client:
        got = client.get("/static/only.css", headers={"Accept-Encoding": "br"}, buffered=True)
        missing = client.get("/static/nothing.css", headers={"Accept-Encoding": "br"}, buffered=True)
        outside = client.get("/static/../pyproject.toml", headers={"Accept-Encoding": "br"}, buffered=True)
    assert (got.data, got.headers.get("Content-Encoding")) == (b"plain", None)
    assert (missing.status_code, outside.status_code) == (404, 404)


def test_long_answers_are_squeezed_for_who_can_read_that(student: Student) -> None:
    url = f"/labs/{student.lab}/state"
    headers = {"Accept": "application/json"}
    plain = student.client.get(url, headers=headers)
    squeezed = student.client.get(url, headers=headers | {"Accept-Encoding": "gzip"})
    assert squeezed.headers["Content-Encoding"] == "gzip"
    assert "Content-Encoding" not in plain.headers
    assert json.loads(gzip.decompress(squeezed.data)).keys() == json.loads(plain.data).keys()
    assert len(squeezed.data) < len(plain.data) / 3
