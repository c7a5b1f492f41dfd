"""A server with real worker processes over a small course, and students who use it."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from app.web import create_app, default_settings
from app.web.context import Context
from app.web.store import Database, LabStore, open_database

COURSE = Path(__file__).parent / "course"
SAME_SITE = {"Sec-Fetch-Site": "same-origin", "Accept": "application/json"}


@pytest.fixture(scope="session")
def application(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Flask]:
    settings = default_settings(tmp_path_factory.mktemp("data"), COURSE, workers=1)
    app = create_app(replace(settings, posts_at_once=1e9))
    context: Context = app.extensions["vmlab"]
    assert context.pool.wait_ready(300)
    yield app
    context.close()


@pytest.fixture
def server(application: Flask) -> Context:
    return application.extensions["vmlab"]


class Student:
    """A browser session, and the lab of the small course in it."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client
        found = re.search(r"/labs/([\w-]+)", client.get("/lessons/two-machines/").text)
        assert found
        self.lab = found[1]

    def post(self, what: str, **fields: Any) -> TestResponse:
        return self.client.post(f"/labs/{self.lab}/{what}", json=fields, headers=SAME_SITE)

    def get(self, what: str, **query: Any) -> TestResponse:
        headers = {"Accept": "application/json"}
        return self.client.get(f"/labs/{self.lab}/{what}", query_string=query, headers=headers)

    def done(self, what: str, **fields: Any) -> dict[str, Any]:
        """Post what must succeed, again for as long as the lab is rebuilt or on its way to an instant."""
        while "try again in a moment" in (response := self.post(what, **fields)).text:
            pass
        assert response.status_code == 200, response.text
        return response.json  # pyright: ignore[reportReturnType]

    def run_to(self, ns: int) -> None:
        """Run until this virtual time and wait for it."""
        state = self.done("control", verb="run_until", kind="time", ns=ns, speed="max")["state"]
        while state["run"]["mode"] == "until":
            state = self.get("state").json
            assert state is not None


@pytest.fixture
def new_student(application: Flask) -> Callable[[], Student]:
    return lambda: Student(application.test_client())


@pytest.fixture
def student(new_student: Callable[[], Student]) -> Student:
    return new_student()


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    database = open_database(tmp_path)
    yield database
    database.close()


@pytest.fixture
def labs(database: Database) -> LabStore:
    """The labs of `database`, where the time stands still."""
    return LabStore(database, lambda: 1000.0)
