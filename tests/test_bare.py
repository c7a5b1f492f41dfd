"""`vmlab run --bare`: exit status, signature, firmware options, and what it says about mistakes."""

from pathlib import Path

import pytest

from app.cli import main
from emulator.isa.assembler import assemble
from emulator.isa.elf_writer import program_to_elf

# The shape of riscv-tests: the test number in gp, the result through tohost.
CHECK = """
    .globl tohost
    li gp, {number}
    li a0, {value}
    la t1, begin_signature
    sw a0, 0(t1)
    li t2, 42
    bne a0, t2, fail
    li a1, 1
    j report
fail:
    slli a1, gp, 1
    ori a1, a1, 1
report:
    la t0, tohost
    sd a1, 0(t0)
    j report
    .data
    .balign 64
tohost: .dword 0
    .balign 16
begin_signature:
    .dword 0
    .dword 0x0123456789abcdef
end_signature:
"""


@pytest.fixture
def program(tmp_path: Path) -> Path:
    """A test program that passes."""
    return elf(tmp_path, CHECK.format(number=2, value=42))


def elf(directory: Path, source: str) -> Path:
    path = directory / "program.elf"
    path.write_bytes(program_to_elf(assemble(source)))
    return path


def run(*arguments: str | Path) -> int:
    return main(["run", "--bare", *map(str, arguments)])


def test_a_passing_program_exits_with_zero(program: Path) -> None:
    assert run(program) == 0


def test_a_failing_program_exits_with_its_test_number(tmp_path: Path) -> None:
    assert run(elf(tmp_path, CHECK.format(number=5, value=41))) == 5


@pytest.mark.parametrize(
    ("granularity", "lines"),
    [
        (4, ["0000002a", "00000000", "89abcdef", "01234567"]),
        (8, ["000000000000002a", "0123456789abcdef"]),
        (16, ["0123456789abcdef000000000000002a"]),
    ],
)
@pytest.mark.parametrize("spelling", ["--", "+"])
def test_the_signature_is_written(program: Path, spelling: str, granularity: int, lines: list[str]) -> None:
    signature = program.with_suffix(".signature")
    options = [f"{spelling}signature={signature}", f"{spelling}signature-granularity={granularity}"]
    assert run(*options, program) == 0
    assert signature.read_text().split() == lines


def test_the_options_of_spike_are_understood(program: Path) -> None:
    signature = program.with_suffix(".signature")
    options = ["--isa=rv64imafdczicsr_zifencei", "-m16", "-p1", "--misaligned", f"+signature={signature}"]
    assert run(*options, program) == 0
    assert signature.read_text().split() == ["0123456789abcdef000000000000002a"]
    assert run("-m0x80000000:0x200000", program) == 0


def test_the_last_line_of_a_signature_is_filled_with_zeros(tmp_path: Path) -> None:
    program = elf(
        tmp_path, CHECK.format(number=2, value=42).replace("end_signature", ".word 7\nend_signature")
    )
    assert run(program, "--signature", tmp_path / "s") == 0
    assert (tmp_path / "s").read_text().split()[1] == "00000000000000000000000000000007"


def test_an_endless_program_ends_with_its_limit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(elf(tmp_path, "1: j 1b"), "--max-instructions", "100000") == 124
    assert "--max-instructions are used up" in capsys.readouterr().err


def test_a_program_that_sleeps_for_ever_ends(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(elf(tmp_path, "1: wfi\nj 1b")) == 3
    assert "every hart waits for an interrupt that cannot come" in capsys.readouterr().err


def test_the_console_is_standard_output(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    source = (
        "li t0, 0x10000000\nli t1, 'A'\nsb t1, 0(t0)\nli t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\n1: j 1b"
    )
    assert run(elf(tmp_path, source)) == 0
    assert capfdbinary.readouterr().out == b"A"


def test_a_raw_kernel_runs_without_firmware(tmp_path: Path) -> None:
    kernel = tmp_path / "Image"
    code = assemble("li t0, 0x100000\nli t1, 0x00093333\nsw t1, 0(t0)\n1: j 1b")
    kernel.write_bytes(b"".join(segment.data for segment in code.segments))
    assert run("--kernel", kernel, "--harts", "2", "--memory", "64MiB") == 9


def test_extensions_can_be_taken_away(tmp_path: Path) -> None:
    # Without H reading hgatp is illegal.
    source = """
    la t0, handler
    csrw mtvec, t0
    csrr t1, hgatp
    li t2, 0x3333 | 1 << 16
finish:
    li t0, 0x100000
    sw t2, 0(t0)
1:  j 1b
    .balign 4
handler:
    li t2, 0x3333 | 7 << 16
    j finish
"""
    assert run(elf(tmp_path, source)) == 1
    assert run(elf(tmp_path, source), "--isa", "rv64imac") == 7


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "--bare needs one program: an ELF file, or --bios and --kernel"),
        (["absent.elf"], "absent.elf: No such file or directory"),
        (["--kernel", "absent"], "absent: No such file or directory"),
        (["x.elf", "--memory", "lots"], "--memory: 'lots' is not a quantity"),
        (["x.elf", "--harts", "99"], "harts is 99; must be from 1 to 8"),
        (["x.elf", "--isa", "rv64imaq"], "--isa: rv64imaq: q at column 8 is no extension of these harts"),
    ],
)
def test_mistakes_are_named(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(*arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize("size", ["0x1000:64", "much", "0x80000000:much"])
def test_a_memory_that_is_not_this_machines_is_named(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        run("x.elf", "-m", size)
    assert f"argument -m: {size!r} is not MiB, like 128, nor 0x80000000:BYTES" in capsys.readouterr().err


def test_a_program_without_signature_symbols_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = "la t0, tohost\nli t1, 1\nsd t1, 0(t0)\n1: j 1b\n.data\ntohost: .dword 0"
    assert run(elf(tmp_path, source), "--signature", tmp_path / "s") == 2
    assert "the program has no symbol begin_signature and no end_signature" in capsys.readouterr().err


def test_a_lesson_or_bare_must_be_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run"]) == 2
    assert "name a lesson's directory, or use --bare" in capsys.readouterr().err


def test_a_reset_starts_the_program_again(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    source = (
        "li t0, 0x10000000\nli t1, 'A'\nsb t1, 0(t0)\nli t0, 0x100000\nli t1, 0x7777\nsw t1, 0(t0)\n1: j 1b"
    )
    assert run(elf(tmp_path, source), "--max-instructions", "5000000") == 124
    assert capfdbinary.readouterr().out.startswith(b"AA")


def test_a_disk_keeps_what_was_written_only(program: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    disk.write_bytes(b"unchanged" * 100)
    assert run(program, "--disk", disk) == 0
    assert disk.read_bytes() == b"unchanged" * 100
