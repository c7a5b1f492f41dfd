"""C programs are compiled, and what they try to read of this machine they do not get."""

from pathlib import Path

import pytest

from app.guests import compiler
from app.guests.errors import GuestError
from emulator.devices.virt import Board, BoardConfig
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program
from emulator.machine import elf
from emulator.machine.engine import Engine

HELLO = b"""
#include "runtime.h"
#include "answer.h"
static int zeroed[4];
int main(void)
{
    printf("%s %d %5x|%-4d|%lu%c", "hello", ANSWER, 255, 7, 1ul << 40, 10);
    return zeroed[3];
}
"""
SOURCES = {"hello.c": HELLO, "answer.h": b"#define ANSWER 42\n"}
PRINTED = "hello 42    ff|7   |1099511627776"


def test_a_program_runs_in_a_vm(engine: Engine) -> None:
    program = Program("hello.c", elf=compiler.compile_program("hello.c", SOURCES))
    config = {"vms": [{"name": "a", "program": "hello.c", "autostart": True}]}
    lab = Lab(LabConfig.from_dict(config), {"hello.c": program}, 1, engine)
    lab.advance(1_000_000)
    assert lab.console("a").splitlines() == [PRINTED]
    assert lab.vm("a").state.value == "shut off"


def test_a_program_runs_on_the_bare_machine(engine: Engine) -> None:
    console = bytearray()
    board = Board(BoardConfig(2), engine, console.extend)
    executable = elf.load(compiler.compile_program("hello.c", SOURCES, "bare"))
    board.load(executable)
    board.start(executable.entry)
    board.run(1_000_000)
    assert console.decode().splitlines() == [PRINTED]
    assert board.machine.stop_code == 0


@pytest.mark.parametrize(
    "attempt",
    [
        b'#include "SECRET"\n',
        b'__asm__(".section .rodata; .incbin \\"SECRET\\"");\n',
        b'__asm__(".altmacro; .macro x a b; .\\\\a\\\\b \\"SECRET\\"; .endm; x inc bin");\n',
        b'const char secret[] = {\n#embed "SECRET"\n};\n',
        b'__asm__(".include \\"SECRET\\"");\n',
    ],
)
def test_a_program_cannot_read_files_of_this_machine(attempt: bytes, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b'.asciz "for nobody\'s eyes"\n')
    source = attempt.replace(b"SECRET", str(secret).encode()) + b"int main(void) { return 0; }\n"
    with pytest.raises(GuestError) as caught:
        compiler.compile_program("nosy.c", {"nosy.c": source})
    assert "nobody" not in str(caught.value)


def test_a_mistake_is_located() -> None:
    with pytest.raises(GuestError, match=r"wrong.c:2:25: error: use of undeclared identifier 'y'"):
        compiler.compile_program("wrong.c", {"wrong.c": b"\nint main(void) { return y; }\n"})


def test_endless_output_of_the_compiler_is_cut_short() -> None:
    source = b"int main(void) {" + b" y;" * 500 + b"}"
    with pytest.raises(GuestError) as caught:
        compiler.compile_program("many.c", {"many.c": source})
    assert str(caught.value).count("\n") < compiler.SHOWN_LINES


def test_endless_messages_fill_neither_memory_nor_the_page() -> None:
    source = b'__asm__(".rept 5000; .warning \\"again and again\\"; .endr; .error \\"at last\\"");'
    with pytest.raises(GuestError) as caught:
        compiler.compile_program("loud.c", {"loud.c": source})
    assert len(str(caught.value)) <= compiler.READ_CHARACTERS


def test_a_program_may_not_be_huge() -> None:
    source = b"char much[8 << 20] = {1}; int main(void) { return much[9]; }"
    with pytest.raises(GuestError, match=r"huge.c: the program has .* KiB; it may have 4 MiB"):
        compiler.compile_program("huge.c", {"huge.c": source})
