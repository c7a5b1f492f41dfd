"""A value of any type in the place of any other of a lesson is a located fault or none, never a traceback."""

import copy
import json
import re
from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.lessons import LessonErrors, load_course, load_lesson
from app.lessons.lint import lint_lesson
from tests.lessons.conftest import WriteLesson

FRONT: dict[str, Any] = {
    "schema": 1,
    "id": "my-lesson",
    "title": "Mine",
    "summary": "One sentence.",
    "minutes": 30,
    "objectives": ["Say what a trap is."],
    "prerequisites": ["other"],
    "lab": {
        "host": {"pcpus": 2, "memory": "8 MiB"},
        "vms": [{"name": "a", "memory": "1 MiB", "program": "hello.s", "cap": 50}],
    },
    "checks": [
        {
            "id": "one",
            "title": "One",
            "points": 3,
            "expect": 'state("a") == "shut off"',
            "why": "Why.",
            "help": "Help.",
            "hidden": True,
            "tries": 5,
            "declines": {"after": 2, "by": 1, "least": 1},
            "partial": [{"expect": "vcpus('a') == 1", "points": 1, "say": "Nearly."}],
            "needs": [],
        }
    ],
}
PARAMS: dict[str, Any] = {
    "n": {"from": 1, "to": 900, "step": 1},
    "size": {"from": "1 MiB", "to": "2 MiB", "step": "4 KiB"},
    "word": {"token": 6},
    "kind": {"one_of": ["x", "y"]},
    "m": {"value": "n * 2", "as": "hex"},
}
PREDICT: dict[str, Any] = {
    "question": "How many {{ n }} {{ size }} {{ word }} {{ kind }} {{ m }}?",
    "choices": {"a": "none", "b": "one"},
    "answer": "b",
    "explanation": "One.",
    "tolerance": 0,
    "unit": "x",
}
FIGURE: dict[str, Any] = {"alt": "A picture of who runs when.", "caption": "Look."}
SCRIPT: dict[str, Any] = {
    "caught_by": "one",
    "steps": [
        {"start": "a"},
        {"at": "2 ms", "run": "1 ms"},
        {"edit": {"vm": "a", "old": "wfi", "new": "nop"}},
        {"action": {"verb": "set_vm", "vm": "a", "cap": 3}},
        {"refused": {"verb": "start", "vm": "z"}},
        {"answer": {"how": "b"}},
    ],
}
COURSE: dict[str, Any] = {
    "schema": 1,
    "title": "Mine",
    "secret": {"env": "SECRET"},
    "lessons": [{"lesson": "03-mine", "points": 3, "opens": "2026-09-07T08:00+02:00", "due": "2026-10-07"}],
}
WHOLE = {
    "front": FRONT,
    "params": PARAMS,
    "constraints": ["n > 0"],
    "predict": PREDICT,
    "figure": FIGURE,
    "script": SCRIPT,
    "course": COURSE,
}

Path = tuple[str | int, ...]


def paths(value: Any, at: Path = ()) -> list[Path]:
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path for key, each in inner for path in [(*at, key), *paths(each, (*at, key))]]


def replaced(path: Path, value: object, drop: bool) -> dict[str, Any]:
    whole: Any = copy.deepcopy(WHOLE)
    inner = whole
    for key in path[:-1]:
        inner = inner[key]
    if drop and isinstance(inner, dict):
        inner[f"{path[-1]}x"] = inner.pop(path[-1])
    else:
        inner[path[-1]] = value
    return whole


def lines(table: object) -> str:
    if not isinstance(table, dict):
        return json.dumps(table) + "\n"
    return "".join(f"{json.dumps(key)}: {json.dumps(value)}\n" for key, value in table.items())


VALUES = st.sampled_from(
    [
        *(
            None,
            True,
            0,
            -1,
            1 << 63,
            10**18,
            0.5,
            1e300,
            "",
            " ",
            "a",
            "x" * 3_000,
            "{{ n }}",
            "{{ word | KiB }}",
        ),
        *("1 MiB", "5 ms", "99999999999 s", "../../etc/passwd", "<script>alert(1)</script>", "2026-13-45"),
        *("a: b", "- a", "[", "&a", "*a", "!!x", "console('a')", "1 / 0", [], {}, [[]], [{}], {"": ""}),
        *({"a": {"b": {"c": []}}}, ["a"] * 300, [None], {"verb": 1}, {"verb": "clone"}, {"from": 1, "to": 2}),
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(path=st.sampled_from(paths(WHOLE)), value=VALUES, drop=st.booleans())
def test_any_value_anywhere_is_a_located_fault_or_none(
    write_lesson: WriteLesson, path: Path, value: object, drop: bool
) -> None:
    whole = replaced(path, value, drop and value is None)
    front = whole.get("front")
    drawn = "".join(f"{key}: {json.dumps(whole[key])}\n" for key in ("params", "constraints") if key in whole)
    blocks = "".join(
        f"```{head}\n{lines(whole.get(kind))}```\n\n"
        for kind, head in (("predict", "predict how"), ("figure", "figure lanes"))
    )
    directory = write_lesson(
        f"---\n{lines(front)}{drawn}---\n",
        f"Welcome.\n\n{blocks}",
        {"wrong/one.yaml": lines(whole.get("script")), "../course.yaml": lines(whole.get("course"))},
    )
    said = [str(fault) for fault in lint_lesson(directory)]
    for load in (load_lesson, lambda root: load_course(root.parent)):
        with suppress(LessonErrors):
            load(directory)
    for fault in said:
        assert re.match(r"lessons/03-mine/(lesson\.md|(solution|wrong)/[a-z]+\.yaml)(:\d+)*: .", fault)
        assert fault.isprintable()
        assert len(fault) < 1_000
