"""A guest program that cannot be assembled or loaded is a fault of its lesson, at its line and column."""

import pytest

from app.lessons import LessonErrors, load_lesson
from tests.lessons.conftest import FRONT, PROGRAM, WriteLesson


def test_every_assembly_error_is_located_in_its_file(write_lesson: WriteLesson) -> None:
    source = PROGRAM.replace("wfi", "wfy") + "        adid a0, a0, 1\n"
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(files={"guest/hello.s": source}))
    first, second = caught.value.errors
    assert str(first).startswith("lessons/03-mine/guest/hello.s:3:9: ")
    assert "wfi" in str(first)
    assert str(second).startswith("lessons/03-mine/guest/hello.s:8:9: ")


@pytest.mark.parametrize("garbage", [b"", b"\x7fELF", b"\x7fELF" + b"\xff" * 200, b"MZ" + bytes(100)])
def test_a_broken_elf_file_is_named(write_lesson: WriteLesson, garbage: bytes) -> None:
    front = FRONT.replace("program: hello.s", "program: image.elf")
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(front, files={"guest/image.elf": garbage}))
    assert "lessons/03-mine/guest/image.elf: " in str(caught.value)


def test_a_file_of_another_kind_has_no_place_among_the_programs(write_lesson: WriteLesson) -> None:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(files={"guest/NOTES.txt": "x"}))
    assert "guest/NOTES.txt: cannot be used; name it like hello.s or hello.elf" in str(caught.value)
