"""Lesson files written to do harm give located errors, soon, and nothing harmful reaches the page."""

import random
import time
from contextlib import suppress
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.lessons import LessonError, LessonErrors, load_lesson
from app.lessons.source import TextFile
from app.lessons.yaml import parse
from tests.lessons.conftest import BODY, FRONT, WriteLesson


def the_error(directory: Path) -> str:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(directory)
    return str(caught.value)


@pytest.mark.parametrize(
    ("yaml", "expected"),
    [
        ("lab: " + "[" * 100_000, "nested deeper than 16 levels"),
        ("lab: " + "{a: " * 5_000, "nested deeper than 16 levels"),
        ("\n".join(" " * depth + "- " for depth in range(0, 400, 2)), "nested deeper than 16 levels"),
        ("a: &a [x]\nb: *a", "anchors (&name) are not allowed"),
        ("a: *nobody", "aliases (*name) are not allowed"),
        ("a: !!python/object/apply:os.system [id]", "tags (tag:yaml.org,2002:python"),
        ("? [a, b]\n: c", "a key must be plain text"),
        ("a: [" + "1," * 30_000 + "1]", "more than 20000 values"),
        ("a: 'never closed", "not valid YAML"),
        ("a: \tb: c", "not valid YAML"),
        ("%YAML 9.9\n--- {}", "not valid YAML"),
    ],
)
def test_hostile_yaml_is_refused_at_its_line(write_lesson: WriteLesson, yaml: str, expected: str) -> None:
    message = the_error(write_lesson(f"---\n{yaml}\n---\n"))
    assert expected in message
    assert message.startswith("lessons/03-mine/lesson.md:")


def test_billion_laughs_do_not_grow(write_lesson: WriteLesson) -> None:
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    message = the_error(write_lesson("---\n" + "\n".join(lines) + "\n---\n"))
    assert message.startswith("lessons/03-mine/lesson.md:2:5: anchors (&name) are not allowed")


def test_a_huge_file_is_refused_before_it_is_read(write_lesson: WriteLesson) -> None:
    message = the_error(write_lesson(body="x" * (600 * 1024)))
    assert "lesson.md: has" in message
    assert "must have at most 512 KiB" in message


def test_binary_garbage_is_named_with_its_line(write_lesson: WriteLesson) -> None:
    message = the_error(write_lesson(files={"lesson.md": b"---\nid: x\n\xff\xfe\x00"}))
    assert "lesson.md:3: byte 0xff is not UTF-8; save as UTF-8 text" in message


def test_characters_that_hide_text_are_refused(write_lesson: WriteLesson) -> None:
    assert "U+202E (RIGHT-TO-LEFT OVERRIDE) is invisible" in the_error(write_lesson(body="abc\u202edef"))
    assert "U+0000 (a control character) is invisible" in the_error(write_lesson(body="abc\0def"))


@pytest.mark.parametrize(
    "name", ["../../../etc/passwd", "/etc/passwd", "guest/../../secret.s", "..", "%2e%2e/x.s"]
)
def test_a_path_out_of_the_lesson_is_refused(write_lesson: WriteLesson, name: str) -> None:
    message = the_error(write_lesson(FRONT.replace("program: hello.s", f"program: '{name}'")))
    assert "lesson.md:12" in message
    message = the_error(write_lesson(body=f"```listing {name}\n```\n"))
    assert "has no program" in message
    assert "root:" not in message


def test_a_link_out_of_the_lesson_is_refused(write_lesson: WriteLesson, tmp_path: Path) -> None:
    secret = tmp_path / "secret.s"
    secret.write_text("# SECRET")
    directory = write_lesson()
    (directory / "guest" / "linked.s").symlink_to(secret)
    message = the_error(directory)
    assert "guest/linked.s: leads outside the lesson's directory" in message
    assert "SECRET" not in message


def test_a_directory_in_place_of_a_file_is_named(write_lesson: WriteLesson) -> None:
    directory = write_lesson()
    (directory / "guest" / "folder.s").mkdir()
    assert "guest/folder.s: is missing; a lesson needs this file" in the_error(directory)


class Tags(HTMLParser):
    """The tags and attributes of a page, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += attrs


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "[click](javascript:alert(1))",
        "[click](data:text/html;base64,PHNjcmlwdD4=)",
        "<iframe src='//evil'></iframe>",
        '<a href="#" onclick="alert(1)">x</a>',
        "~~~\n<script>alert(1)</script>\n~~~",
        "| a |\n|---|\n| <svg onload=alert(1)> |",
        "Term\n: <style>*{display:none}</style>",
    ],
)
def test_scripts_never_reach_the_page(write_lesson: WriteLesson, attack: str) -> None:
    quoted = attack.replace("\n", " ").replace("'", "''")
    asked = f"question: '{quoted}'\nchoices: {{a: '{quoted}'}}\nanswer: a\nexplanation: '{quoted}'"
    title = attack.split("\n")[0]
    program = f"# {title}\n_start: wfi\n"
    hint = f"```hint {title}\n{attack}\n```"
    listing = f"```listing hello.s\n{title}\n```"
    body = f"{attack}\n\n## {title}\n\n{hint}\n\n```predict q\n{asked}\n```\n\n{listing}\n"
    lesson = load_lesson(write_lesson(body=body, files={"guest/hello.s": program}))
    page = "".join(step.html for step in lesson.steps) + lesson.question("q").explanation_html
    seen = Tags()
    seen.feed(page)
    assert not seen.tags & {"script", "img", "iframe", "svg", "style", "object", "form"}
    assert not [name for name, _ in seen.attributes if name.startswith("on")]
    assert all(
        (value or "").startswith(("https:", "http:")) for name, value in seen.attributes if name == "href"
    )


def test_markdown_that_is_slow_elsewhere_is_not_slow_here(write_lesson: WriteLesson) -> None:
    started = time.process_time()
    for piece in ("*a **a ", "[a](", "`" * 3 + "x ", "> " * 30 + "\n", "![[[[", "<a b=", "| a "):
        load_or_fail(write_lesson(body=piece * 3_000))
    assert time.process_time() - started < 60


def load_or_fail(directory: Path) -> None:
    """Load a lesson; only LessonErrors may come out."""
    with suppress(LessonErrors):
        load_lesson(directory)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(seed=st.integers(0, 1 << 32), cuts=st.integers(1, 8))
def test_mutilated_lessons_never_cause_a_traceback(write_lesson: WriteLesson, seed: int, cuts: int) -> None:
    randomness = random.Random(seed)
    text = FRONT + BODY
    for _ in range(cuts):
        at, length = randomness.randrange(len(text)), randomness.randrange(12)
        piece = randomness.choice(
            ["", "\n", "---\n", ": ", "- ", "{", "]", '"', "&a ", "```", "\t", "é", "0x", "null"]
        )
        text = text[:at] + piece + text[at + length :]
    load_or_fail(write_lesson(files={"lesson.md": text}))


@settings(max_examples=200)
@given(st.text(max_size=200))
def test_any_text_is_yaml_or_a_located_error(text: str) -> None:
    with suppress(LessonError):
        assert parse(TextFile("x.yaml", text), text).place(("nowhere",)).line >= 1
