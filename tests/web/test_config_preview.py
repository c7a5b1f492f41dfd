"""What a configuration would change is said before it is done, and comments of its text stay."""

from typing import Any

import pytest

from app.desk.comments import comment_start
from app.desk.config_text import parse_text, read_draft
from app.desk.configuration import changes, parse_fields
from app.desk.preview import preview, with_restarts
from tests.web.conftest import Student
from tests.web.test_configuration import NOW

ON = {"a": "running", "b": "shut off"}


def told(fields: dict[str, Any], states: dict[str, str] = ON) -> list[tuple[str, str]]:
    found = preview(NOW, parse_fields(fields, NOW), states, "")
    return [(change["text"], change["when"]) for change in found["changes"]]


@pytest.mark.parametrize(
    ("fields", "sentences"),
    [
        (
            {"vms-0-weight": "512", "vms-0-memory": "512 KiB"},
            [("VM a: memory 256 KiB → 512 KiB", "restart"), ("VM a: weight 256 → 512", "now")],
        ),
        ({"vms-1-memory": "512 KiB"}, [("VM b: memory 256 KiB → 512 KiB", "now")]),
        (
            {"memory": "8 MiB", "timeslice": "2 ms"},
            [("Host: memory 4 MiB → 8 MiB", "off"), ("Host: timeslice 1 ms → 2 ms", "now")],
        ),
        ({"vms-0-delete": "1"}, [("Deleted: vm a", "off")]),
        ({"vms-2-name": "c", "vms-2-program": "hello.s"}, [("New: vm c", "now")]),
        ({"vms-1-disk-size": "64 KiB"}, [("VM b: disk none → 64 KiB", "now")]),
    ],
)
def test_each_change_is_a_sentence_with_its_time(fields: dict[str, Any], sentences: list[tuple[str, str]]):
    assert told(fields) == sentences


def test_the_difference_has_the_lines_that_change_and_one_around_them():
    found = preview(NOW, parse_fields({"vms-1-weight": "512"}, NOW), ON, "")
    assert [(line["kind"], line["line"]) for line in found["diff"]] == [(" ", 3), ("-", 4), ("+", 4)]
    assert "weight: 512" in found["diff"][-1]["text"]


def test_a_restart_goes_around_what_needs_one():
    steps = changes(
        NOW, parse_fields({"vms-0-memory": "512 KiB", "vms-0-name": "z", "vms-1-memory": "512 KiB"}, NOW)
    )
    actions = [step.action for step in with_restarts(NOW, steps, ON)]
    assert [(one["verb"], one["vm"]) for one in actions] == [
        ("destroy", "a"),
        ("set_vm", "a"),
        ("start", "z"),
        ("set_vm", "b"),
    ]


TEXT = """\
# Our host
host: {pcpus: 2, memory: 4 MiB, clock: 100 MHz, timeslice: 1 ms}
vms:
  # counts
  - {name: a, program: count.s, memory: 256 KiB}  # for ever
  - name: b
    program: "hello.s"  # greets
    memory: 256 KiB
# the end
"""


def test_comments_stay_at_their_entries_when_the_form_changes_the_text():
    wanted, text, restart = read_draft({"base": TEXT, "vms-1-weight": "300", "restart": "1"}, NOW)
    assert restart
    lines = text.splitlines()
    assert (lines[0], lines[3], lines[-1]) == ("# Our host", "  # counts", "# the end")
    assert lines[4].startswith("  - {name: a, ")
    assert lines[4].endswith("}  # for ever")
    assert "weight: 300" in lines[5]
    assert lines[5].endswith("}  # greets")
    assert parse_text(text).config == wanted.config
    gone = read_draft({"base": TEXT, "vms-0-delete": "1"}, NOW)[1]
    assert "for ever" not in gone
    assert "# the end" in gone


@pytest.mark.parametrize(
    ("line", "at"), [("# x", 0), ("a: 1 # x", 5), ("a: b#c", None), ('a: "# no"', None), ("a: '#' # x", 7)]
)
def test_where_a_comment_begins(line: str, at: int | None):
    assert comment_start(line) == at


def test_a_preview_changes_nothing_and_a_text_brings_its_form(student: Student) -> None:
    text = student.get("config").get_json()["text"]
    shown = student.done("config", preview=1, text=f"# mine\n{text.replace('pcpus: 2', 'pcpus: 1')}")
    assert [change["text"] for change in shown["changes"]] == ["Host: pcpus 2 → 1"]
    assert 'id="config-form"' in shown["form"]
    assert student.get("config").get_json()["text"] == text
    student.done("actions", verb="start", vm="b")
    reply = student.done("config", base=f"# mine\n{text}", restart=1, **{"vms-1-memory": "512 KiB"})
    assert [action["verb"] for action in reply["actions"]] == ["destroy", "set_vm", "start"]
    assert reply["text"].startswith("# mine\n")
