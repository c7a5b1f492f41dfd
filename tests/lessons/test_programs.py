"""A guest program that cannot be assembled or loaded is a fault of its lesson, at its line and column."""

import struct
from pathlib import Path

import pytest

from app.lessons import LessonErrors, load_lesson
from emulator.machine.linux import bundle
from tests.lessons.conftest import FRONT, PROGRAM, WriteLesson

KERNEL = struct.pack("<IIQQQIIQ8s4sI", 0x6F, 0, 0x20_0000, 0x1000, 0, 2, 0, 0, b"RISCV", b"RSC\5", 0)


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
    assert "guest/NOTES.txt: cannot be used; name it like hello.s, hello.c or hello.elf" in str(caught.value)


def test_a_guest_that_is_not_built_is_named_with_the_command_that_builds_it(
    write_lesson: WriteLesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMLAB_CACHE", str(tmp_path))
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(FRONT.replace("program: hello.s", "program: linux")))
    error = str(caught.value.errors[0])
    assert error.startswith("lessons/03-mine/lesson.md:")
    assert "the guest 'linux' is not built on this machine; run `vmlab guests build linux" in error


def test_a_built_guest_is_a_program_of_the_lesson(
    write_lesson: WriteLesson, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VMLAB_CACHE", str(tmp_path))
    (tmp_path / "guests").mkdir()
    (tmp_path / "guests/linux.itb").write_bytes(bundle(KERNEL, b"files", "a test"))
    lesson = load_lesson(write_lesson(FRONT.replace("program: hello.s", "program: linux")))
    assert lesson.programs["linux"].executable.initrd == b"files"


def test_a_command_line_beside_a_program_that_is_no_kernel_is_located(write_lesson: WriteLesson) -> None:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(write_lesson(FRONT.replace("program: hello.s", "program: hello.s, append: quiet")))
    assert "vms[0].append: is a kernel's command line, and hello.s is none" in str(caught.value)


def test_a_c_program_is_compiled_with_the_headers_beside_it(write_lesson: WriteLesson) -> None:
    files = {
        "guest/count.c": '#include "runtime.h"\n#include "limit.h"\nint main(void) { return LIMIT; }\n',
        "guest/limit.h": "#define LIMIT 0\n",
    }
    lesson = load_lesson(write_lesson(files=files))
    assert lesson.programs["count.c"].executable.entry == 0x8000_0000
    assert "limit.h" not in lesson.programs


def test_a_fault_in_a_c_program_is_located(write_lesson: WriteLesson) -> None:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(
            write_lesson(files={"guest/bad.c": "int main(void) { return; }\nint f(void) { return x; }\n"})
        )
    assert "guest/bad.c:" in str(caught.value)


def test_a_c_program_cannot_include_a_file_of_the_machine(write_lesson: WriteLesson) -> None:
    with pytest.raises(LessonErrors) as caught:
        load_lesson(
            write_lesson(files={"guest/nosy.c": '#include "/etc/passwd"\nint main(void) { return 0; }\n'})
        )
    assert "guest/nosy.c:1:10: cannot open file '/etc/passwd': Permission denied" in str(caught.value)
    assert "root" not in str(caught.value)
