"""What the emulator tells comes in German to who reads German: stories, walks, frames."""

import re
from collections.abc import Iterator

import pytest

from app import texts
from tests.web.conftest import SAME_SITE, Student

GERMAN = {"HX-Request": "true", "Accept-Language": "de", **SAME_SITE}
# Prints with the SBI, writes to the UART, sets its timer and sleeps, then reads one byte below its memory.
GUEST = """
_start:
    la   t0, handler
    csrw stvec, t0
    li   a0, 65
    li   a7, 0x4442434e
    li   a6, 2
    ecall
    li   t0, 0x10000000
    li   t1, 66
    sb   t1, 0(t0)
    csrr t2, hgatp
    rdtime a0
    addi a0, a0, 100
    li   a7, 0x54494d45
    li   a6, 0
    ecall
    li   t0, 32
    csrs sie, t0
    wfi
    li   t0, 0x7fffffff
    lb   t1, 0(t0)
.align 2
handler:
    csrr t3, sepc
    addi t3, t3, 4
    csrw sepc, t3
    sret
"""


def german(student: Student, path: str) -> str:
    response = student.client.get(f"/labs/{student.lab}/{path}", headers=GERMAN)
    assert response.status_code == 200, response.text
    return response.text


@pytest.fixture(autouse=True)
def english_afterwards() -> Iterator[None]:
    """The test client answers in this thread, which goes on in the language of the last request."""
    yield
    texts.use(texts.SOURCE)


def english(html: str) -> list[str]:
    """Return what a fragment marks as English."""
    return re.findall(r'lang="en"[^>]*>([^<]*)', html)


@pytest.fixture
def told(student: Student) -> Student:
    """A lab whose VM has exited for many reasons, and crashed."""
    student.done("program", vm="a", source=GUEST)
    student.done("actions", verb="start", vm="a")
    student.run_to(20_000_000)
    return student


def test_stories_of_exits_are_german(told: Student) -> None:
    state = told.get("state").json
    assert state is not None
    exits = [event for event in state["events"] if event["kind"] == "exit"]
    reasons = {event["reason"]: event["id"] for event in exits}
    assert {"sbi", "mmio", "wfi", "virtual instruction", "guest page fault"} <= set(reasons)
    for reason, number in reasons.items():
        story = german(told, f"exit?event={number}")
        assert "Was sah der Gast?" in story
        assert english(story) == [], reason


def test_the_story_of_a_fault_is_german(told: Student) -> None:
    state = told.get("state").json
    assert state is not None
    story = german(told, f"fault?event={state['vms'][0]['fault']}")
    assert "VM a wollte Adresse 0x7fffffff lesen" in story
    assert english(story) == []


@pytest.mark.parametrize(
    "path",
    [
        "walk?vm=a&gva=0x80000000",
        "frame?hfn=0",
        "frame?hfn=64",
        "where?vm=a&address=sp&access=store",
        "where?vm=a&address=0x90000000&space=gpa",
        "where?address=0x80000000&space=hpa",
    ],
)
def test_bytes_are_found_in_german(student: Student, path: str) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    assert english(german(student, path)) == []


@pytest.mark.parametrize(
    ("what", "fields", "said"),
    [
        ("actions", {"verb": "start", "vm": "a"}, "setze sie stattdessen zurück"),
        ("actions", {"verb": "start", "vm": "nobody"}, "es gibt keine VM 'nobody'"),
        ("actions", {"verb": "resume", "vm": "a"}, "„läuft“"),
    ],
)
def test_a_refused_action_is_german(student: Student, what: str, fields: dict[str, str], said: str) -> None:
    student.done("actions", verb="start", vm="a")
    error = german_error(student, what, fields)
    assert said in error["message"]
    assert "language" not in error


def german_error(student: Student, what: str, fields: dict[str, str]) -> dict[str, str]:
    headers = {**SAME_SITE, "Accept-Language": "de"}
    response = student.client.post(f"/labs/{student.lab}/{what}", json=fields, headers=headers)
    assert response.status_code == 422, response.text
    assert isinstance(response.json, dict)
    return response.json["error"]


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("memory: 256 KiB", "memory: 7 KiB", "ist 7 KiB; muss"),
        ("on_fault", "on_fualt", "ist kein bekannter Schlüssel; meintest du"),
        ("pcpus: 2", "pcpus: many", "erwartet wird eine ganze Zahl"),
    ],
)
def test_a_refused_configuration_is_german(student: Student, old: str, new: str, said: str) -> None:
    config = student.get("config").json
    assert config is not None
    assert old in config["text"], config["text"]
    error = german_error(student, "config", {"text": config["text"].replace(old, new, 1)})
    assert said in error["message"]
    assert "language" not in error
