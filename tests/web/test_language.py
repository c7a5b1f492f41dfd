"""In which language a page comes: what the reader chose, else what the browser asks for, else English."""

import re

from flask import Flask

GERMAN = {"Accept-Language": "fr, de-AT;q=0.8, en;q=0.5"}


def language_of(text: str) -> str:
    return re.search(r'<html lang="(\w+)"', text)[1]  # pyright: ignore[reportOptionalSubscript]


def test_the_browser_asks_for_a_language(application: Flask) -> None:
    client = application.test_client()
    assert language_of(client.get("/").text) == "en"
    assert language_of(client.get("/", headers=GERMAN).text) == "de"
    assert language_of(client.get("/", headers={"Accept-Language": "fr"}).text) == "en"


def test_a_choice_is_remembered_and_wins_over_the_browser(application: Flask) -> None:
    client = application.test_client()
    assert language_of(client.get("/?lang=de").text) == "de"
    assert language_of(client.get("/").text) == "de"
    assert language_of(client.get("/?lang=xx").text) == "de"
    assert language_of(client.get("/?lang=en", headers=GERMAN).text) == "en"
    assert language_of(client.get("/", headers=GERMAN).text) == "en"


def test_what_the_scripts_say_is_kept_for_ever_under_its_hash(application: Flask) -> None:
    client = application.test_client()
    assert "data-texts" not in client.get("/").text
    found = re.search(r'data-texts="([^"]+)"', client.get("/?lang=de").text)
    assert found
    texts = client.get(found[1])
    assert isinstance(texts.json, dict)
    assert "immutable" in texts.headers["Cache-Control"]
    assert "immutable" not in client.get("/texts/de.json?v=older").headers["Cache-Control"]
    assert client.get("/texts/xx.json").status_code == 404
