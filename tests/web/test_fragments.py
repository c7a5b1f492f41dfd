"""Every view is also a fragment of HTML, made from what a real lab says."""

from collections.abc import Callable

import pytest

from tests.web.conftest import SAME_SITE, Student

FRAGMENT = {"HX-Request": "true", **SAME_SITE}
# Reads one byte below the memory that the VM has.
PROBE = "_start: li t0, 0x7fffffff\n lb t1, 0(t0)\n"


def fragment(student: Student, path: str) -> str:
    response = student.client.get(f"/labs/{student.lab}/{path}", headers=FRAGMENT)
    assert response.status_code == 200, response.text
    assert "<!doctype" not in response.text.lower()
    return response.text


@pytest.mark.parametrize(
    ("path", "shows"),
    [
        ("registers?vm=a&vcpu=0", "t0"),
        ("memory?vm=a&address=0x80000000&space=gpa&length=64", "80000000"),
        ("walk?vm=a&gva=0x80000000", "G"),
        ("frame?hfn=0", "Who maps this frame?"),
        ("where?vm=a&address=sp&access=store", "How does the MMU find it?"),
        ("where?vm=a&address=0x90000000&space=gpa", "does not allow a load there"),
        ("where?address=0x80000000&space=hpa", "lies in frame 0x0"),
        ("table?hfn=0", "512 page-table entries"),
        ("listing?vm=a", "addi"),
        ("exits", "a"),
        ("program?vm=a", "loop:"),
        ("resources", "No VM has a disk."),
        ("config", "256 KiB"),
        ("state", "running"),
    ],
)
def test_a_view_is_a_fragment(student: Student, path: str, shows: str) -> None:
    student.done("actions", verb="start", vm="a")
    student.run_to(2_000_000)
    assert shows in fragment(student, path)


def test_the_story_of_a_fault_is_a_fragment(student: Student) -> None:
    student.done("program", vm="a", source=PROBE)
    student.done("actions", verb="start", vm="a")
    student.run_to(1_000_000)
    observation = student.get("state").json
    assert observation is not None
    vm = observation["vms"][0]
    assert vm["state"] == "crashed"
    assert "0x000000007fffffff" in fragment(student, f"fault?event={vm['fault']}")
    story = fragment(student, f"exit?event={vm['fault']}")
    assert "The guest loaded 1 byte from GPA 0x7fffffff." in story
    assert "Nothing more: its VM was stopped" in story


@pytest.mark.parametrize(
    ("what", "fields", "shows"),
    [
        ("actions", {"verb": "start", "vm": "a"}, "Done"),
        ("config", {"timeslice": "2 ms"}, "2 ms"),
        ("check", {}, "0 of 1 checks passed"),
        ("answers", {"question": "how-many", "value": "2"}, "Right"),
        ("reset", {}, "Done"),
    ],
)
def test_a_post_of_the_page_is_answered_with_a_fragment(
    new_student: Callable[[], Student], what: str, fields: dict[str, str], shows: str
) -> None:
    student = new_student()
    response = student.client.post(f"/labs/{student.lab}/{what}", data=fields, headers=FRAGMENT)
    assert response.status_code == 200
    assert shows in response.text


def test_an_error_is_a_fragment_too(student: Student) -> None:
    response = student.client.post(
        f"/labs/{student.lab}/program", data={"vm": "a", "source": "bogus\n"}, headers=FRAGMENT
    )
    assert response.status_code == 422
    assert "This program does not assemble" in response.text
    assert "line 1" in response.text
