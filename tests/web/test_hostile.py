"""Bad input is answered with a 4xx and a sentence, whatever it is; the server stays up."""

import json
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.desk.problem import Problem
from app.web.context import Context
from app.web.security import Limiter
from tests.web.conftest import SAME_SITE, Student

VIEWS = ("registers", "memory", "walk", "frame", "fault", "listing", "exits", "program")
POSTS = ("actions", "control", "program", "config", "reset", "check", "answers")


@pytest.fixture
def running(student: Student) -> Student:
    """A student whose VM a has run for a while."""
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    return student


def send(student: Student, what: str, body: bytes, kind: str = "application/json") -> int:
    response = student.client.post(
        f"/labs/{student.lab}/{what}", data=body, headers={**SAME_SITE, "Content-Type": kind}
    )
    if response.status_code >= 400:
        assert response.json is not None
        assert response.json["error"]["message"]
    return response.status_code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"null",
        b"{",
        b"[" * 100_000,
        b'{"a":' * 30_000,
        b'{"verb": NaN}',
        b'{"verb": 1' + b"0" * 5000 + b"}",
        b'{"verb": "\\ud800"}',
        b"\xff\xfe{}",
        b'{"verb": {"deep": 1}}',
        json.dumps({"verb": [[1]]}).encode(),
        json.dumps({f"k{n}": 1 for n in range(1000)}).encode(),
    ],
    ids=lambda body: repr(body[:20]),
)
@pytest.mark.parametrize("what", ["actions", "control", "answers"])
def test_a_body_that_is_no_flat_object_is_400(student: Student, what: str, body: bytes) -> None:
    assert send(student, what, body) == 400


@pytest.mark.parametrize("what", POSTS)
def test_a_huge_body_is_413(student: Student, what: str) -> None:
    assert send(student, what, b"x" * (300 << 10)) == 413


def test_something_that_is_neither_form_nor_json_is_415(student: Student) -> None:
    assert send(student, "actions", b"verb: start", "text/yaml") == 415


def test_another_sites_request_is_403(student: Student) -> None:
    for headers in ({"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}):
        response = student.client.post(
            f"/labs/{student.lab}/actions", json={"verb": "start"}, headers=headers
        )
        assert response.status_code == 403


def test_the_own_origin_is_enough_for_an_old_browser(student: Student) -> None:
    response = student.client.post(
        f"/labs/{student.lab}/actions",
        json={"verb": "start", "vm": "a"},
        headers={"Origin": "http://localhost", "Accept": "application/json"},
    )
    assert response.status_code == 200


@pytest.mark.parametrize(
    "query",
    [
        {"vm": "a", "address": "zz"},
        {"vm": "a", "address": "-1"},
        {"vm": "a", "address": "0x1" + "0" * 16},
        {"vm": "a", "address": "1" * 5000},
        {"vm": "a", "address": "0", "length": "1000000"},
        {"vm": "a", "address": "0", "space": "moon"},
        {"vm": "a", "vcpu": "63", "address": "0", "space": "gva"},
        {"vm": "nobody", "address": "0"},
        {"address": "0"},
    ],
    ids=str,
)
def test_a_bad_view_is_422(student: Student, query: dict[str, str]) -> None:
    assert student.get("memory", **query).status_code == 422


@pytest.mark.parametrize(
    ("view", "query"),
    [
        ("registers", {}),
        ("registers", {"vm": "a", "vcpu": "7"}),
        ("walk", {"vm": "a"}),
        ("walk", {"vm": "a", "gva": "0x80000000", "access": "dance"}),
        ("frame", {"hfn": "99999999"}),
        ("fault", {"event": "1"}),
        ("listing", {"vm": "nobody"}),
        ("program", {"vm": "nobody"}),
    ],
)
def test_views_of_what_is_not_there_are_422(student: Student, view: str, query: dict[str, str]) -> None:
    assert student.get(view, **query).status_code == 422


scalars = (
    st.none() | st.booleans() | st.integers(-(2**64) + 1, 2**64 - 1) | st.floats(allow_nan=False) | st.text()
)
verbs = st.sampled_from(
    [
        *("start", "shutdown", "destroy", "reboot", "reset", "suspend", "resume", "define", "undefine"),
        *("set_vm", "set_host", "set_program", "console_input", "answer", "reset_lab", "frobnicate"),
    ]
)
keys = st.sampled_from(
    [
        "vm",
        "memory",
        "vcpus",
        "name",
        "timeslice",
        "pcpus",
        "source",
        "text",
        "question",
        "value",
        "program",
        "x",
    ]
)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    verb=verbs,
    fields=st.dictionaries(keys, scalars | st.lists(scalars, max_size=3) | st.sampled_from(["a", "b"])),
)
def test_no_action_whatever_its_fields_is_an_internal_error(
    student: Student, verb: str, fields: dict[str, Any]
) -> None:
    assert student.post("actions", verb=verb, **fields).status_code in (200, 400, 422)


@settings(
    max_examples=100,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    verb=st.sampled_from(["run", "pause", "speed", "step", "run_until"]),
    fields=st.dictionaries(
        st.sampled_from(["speed", "unit", "kind", "vm", "vcpu", "reason", "address", "text", "ns"]),
        scalars | st.sampled_from(["1", "max", "exit", "instruction", "time", "console", "fault", "a"]),
    ),
)
def test_no_control_whatever_its_fields_is_an_internal_error(
    student: Student, verb: str, fields: dict[str, Any]
) -> None:
    assert student.post("control", verb=verb, **fields).status_code in (200, 400, 422)


@settings(
    max_examples=150,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    derandomize=True,
)
@given(
    view=st.sampled_from([*VIEWS, "state", "config"]),
    query=st.dictionaries(
        st.sampled_from(["vm", "vcpu", "address", "space", "length", "gva", "access", "hfn", "event"]),
        st.text(max_size=20)
        | st.integers(0, 2**64).map(hex)
        | st.sampled_from(["a", "0", "1", "gva", "gpa", "hpa", "load", "0x80000000", "0x8003ffff", "524288"]),
    ),
)
def test_no_view_whatever_its_arguments_is_an_internal_error(
    running: Student, view: str, query: dict[str, str]
) -> None:
    assert running.get(view, **query).status_code in (200, 404, 422)


def test_one_student_cannot_keep_the_server_busy(
    application: Flask, student: Student, server: Context, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = replace(server, posts=Limiter(rate=0.5, burst=2, clock=lambda: 0.0))
    monkeypatch.setitem(application.extensions, "vmlab", slow)
    answers = [student.post("control", verb="pause") for _ in range(3)]
    assert [answer.status_code for answer in answers] == [200, 200, 429]
    assert answers[2].headers["Retry-After"] == "2"


def test_a_limited_student_may_go_on_after_a_while() -> None:
    now = 0.0
    limiter = Limiter(rate=1, burst=2, clock=lambda: now)
    limiter.spend("a", 2)
    limiter.spend("b", 2)
    with pytest.raises(Problem):
        limiter.spend("a")
    now = 1.0
    limiter.spend("a")


def test_an_unknown_page_is_a_404_page_with_a_way_out(student: Student) -> None:
    response = student.client.get("/nowhere", headers={"Accept": "text/html"})
    assert response.status_code == 404
    assert "All lessons" in response.text


def test_every_response_carries_the_content_security_policy(student: Student) -> None:
    for path in ("/", "/nowhere", "/healthz", f"/labs/{student.lab}/state"):
        policy = student.client.get(path).headers["Content-Security-Policy"]
        assert "default-src 'self'" in policy
        assert "script-src" not in policy


def test_the_session_cookie_is_out_of_reach_of_scripts(student: Student) -> None:
    cookie = student.client.get_cookie("vmlab_session")
    assert cookie is not None
    assert cookie.http_only
    assert cookie.same_site == "Lax"


def test_the_token_itself_is_not_in_the_database(student: Student, server: Context) -> None:
    cookie = student.client.get_cookie("vmlab_session")
    assert cookie is not None
    files = (path for path in server.settings.data.rglob("*") if path.is_file())
    stored = b"".join(path.read_bytes() for path in files)
    assert cookie.value.encode() not in stored


def test_a_forged_session_is_a_stranger(student: Student) -> None:
    student.client.set_cookie("vmlab_session", "forged")
    assert student.get("state").status_code == 404
