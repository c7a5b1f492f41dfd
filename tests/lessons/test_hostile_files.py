"""Files of a lesson that hide what they say, lead elsewhere or grow while they are read."""

import os
import time
from pathlib import Path

import pytest

from app.lessons import LessonErrors, load_lesson
from tests.lessons.conftest import FRONT, PROGRAM, WriteLesson


def the_error(directory: Path) -> str:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(directory)
    return str(caught.value)


@pytest.mark.parametrize(
    ("front", "body", "expected"),
    [
        (FRONT.replace("My lesson", r'"abc\u202Edef"'), "x", "md:4:8: U+202E (RIGHT-TO-LEFT OVERRIDE)"),
        (FRONT.replace("My lesson", r'"abc\0def"'), "x", "md:4:8: U+0000"),
        (FRONT.replace("My lesson", r'"\e[31mred"'), "x", "md:4:8: U+001B"),
        (FRONT.replace("My lesson", "abc\u2028id: y"), "x", "md:4:11: U+2028 (LINE SEPARATOR)"),
        (FRONT.replace("minutes:", r'"min\u200Butes":'), "x", "md:6:1: U+200B (ZERO WIDTH SPACE)"),
        (FRONT, "one\n\ntwo &#x202E; three", "md:23: U+202E"),
        (FRONT, "one\n\n## two &#x2066; three\n\nfour\n", "md:23: U+2066"),
        (FRONT, "one\n\n```hint two\nthree &#x200B; four\n```\n", "md:23: U+200B"),
        (FRONT, 'one\n\n[a](https://b.example "&#x202E;c")', "md:23: U+202E"),
        (FRONT, "a\u200bb", "md:21:2: U+200B"),
        (FRONT, "a\U000e0041b", "md:21:2: U+E0041"),
    ],
)
def test_text_that_hides_what_it_says_is_refused_however_it_is_written(
    write_lesson: WriteLesson, front: str, body: str, expected: str
) -> None:
    message = the_error(write_lesson(front, body))
    assert expected in message
    assert "is invisible; delete it" in message


def test_languages_that_need_invisible_joiners_can_be_written(write_lesson: WriteLesson) -> None:
    assert load_lesson(write_lesson(body="می\u200cخواهم")).steps


@pytest.mark.parametrize(("piece", "count"), [("'", 400_000), ("[", 400_000), ("a'\n", 100_000)])
def test_a_paragraph_that_would_take_minutes_is_refused(
    write_lesson: WriteLesson, piece: str, count: int
) -> None:
    started = time.process_time()
    message = the_error(write_lesson(body="one\n\n" + piece * count))
    assert "lesson.md:23:" in message
    assert "characters in one paragraph; must be at most 20000" in message
    assert time.process_time() - started < 10


def test_listings_and_blocks_do_not_make_a_small_file_a_large_page(write_lesson: WriteLesson) -> None:
    long = PROGRAM + "# a line of a program\n" * 4_000
    body = "```listing hello.s\nx\n```\n" * 2_000
    message = the_error(write_lesson(body=body, files={"guest/hello.s": long}))
    assert "the listings show more than 1024 KiB; show fewer lines" in message
    assert "more than 200 blocks; split the lesson" in message
    assert len(message.splitlines()) == 2


@pytest.mark.parametrize(("key", "line"), [("answer", 3), ("tolerance", 4)])
def test_a_number_without_end_is_refused(write_lesson: WriteLesson, key: str, line: int) -> None:
    numbers = {"answer": "1", "tolerance": "0", key: "1e999"}
    asked = f"question: How many?\nanswer: {numbers['answer']}\ntolerance: {numbers['tolerance']}\n"
    body = f"```predict q\n{asked}unit: bytes\nexplanation: So many.\n```\n"
    assert f"lesson.md:{20 + line}:" in (found := the_error(write_lesson(body=body)))
    assert "1e999 is too large a number" in found


def test_a_link_to_itself_is_named(write_lesson: WriteLesson) -> None:
    directory = write_lesson()
    (directory / "guest" / "loop.s").symlink_to("loop.s")
    (directory / "wrong").symlink_to("wrong")
    message = the_error(directory)
    assert "03-mine/guest/loop.s: is missing" in message
    assert "03-mine/wrong: is not a directory" in message


def test_a_folder_that_leads_elsewhere_is_not_listed(write_lesson: WriteLesson, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "SECRET NAME").write_text("x")
    directory = write_lesson()
    (directory / "wrong").symlink_to(tmp_path / "elsewhere")
    message = the_error(directory)
    assert "03-mine/wrong: leads outside the lesson's directory; copy the files into it" in message
    assert "SECRET" not in message


def test_a_pipe_does_not_keep_the_reader_waiting(write_lesson: WriteLesson) -> None:
    directory = write_lesson()
    os.mkfifo(directory / "guest" / "pipe.s")
    assert "guest/pipe.s: is missing" in the_error(directory)


@pytest.mark.parametrize("name", [b"a\nb.s", b"\x1b[2Jc.s", b"\xff.s", "\u202e.s".encode()])
def test_the_name_of_a_file_cannot_command_a_terminal(write_lesson: WriteLesson, name: bytes) -> None:
    directory = write_lesson()
    with open(os.fsencode(directory / "guest") + b"/" + name, "wb"):
        message = the_error(directory)
    assert "cannot be used; name it like hello.s" in message
    assert message.isprintable()
    assert message.encode()


def test_keys_in_quotes_are_keys_or_a_fault(write_lesson: WriteLesson) -> None:
    lesson = load_lesson(write_lesson(FRONT.replace("lab:", '"lab":')))
    assert lesson.lab_text.startswith("host: {pcpus: 2")
    quoted = FRONT.replace("lab:", '"params": {n: {from: 1, to: 9}}\nlab:')
    assert "lesson.md:9:1: write 'params:' at the margin, without quotes" in the_error(write_lesson(quoted))
