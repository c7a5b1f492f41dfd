"""Every F and D instruction against QEMU's user-mode emulator: value and flags, in every rounding mode.

One program goes through a table of cases: fcsr, three sources and the place of an instruction; for each it
notes fcsr and both registers 20. QEMU writes the notes to its standard output.
"""

import random
import struct
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emulator.isa.assembler import assemble
from emulator.isa.instruction import Instruction
from emulator.state import RAM_BASE
from tests.differential.floats import DYNAMIC, ROWS, FloatUnit, cases, modes_of, target_of, word_of
from tests.differential.operands import SEED

CODE, CASES = RAM_BASE + 0x1000, RAM_BASE + 0x1_0000
RECORD, NOTE = struct.Struct("<5Q"), struct.Struct("<3Q")
RET = 0x8067
PER_MODE, MANY_PER_MODE = 30, 1500
LOOP = """
    li s0, {cases}
    li s1, {notes}
    li s2, {end}
1:  ld t0, 0(s0)
    fscsr t0
    ld a0, 8(s0)
    fld fa0, 8(s0)
    fld fa1, 16(s0)
    fld fa2, 24(s0)
    ld t1, 32(s0)
    jalr t1
    frcsr t0
    sd t0, 0(s1)
    fsd f20, 8(s1)
    sd x20, 16(s1)
    addi s0, s0, 40
    addi s1, s1, 24
    bltu s0, s2, 1b
    li a0, 1
    li a1, {notes}
    sub a2, s1, a1
    li a7, 64       # write
    ecall
    li a0, 0
    li a7, 93       # exit
    ecall
"""


@dataclass(frozen=True)
class Case:
    """An instruction with what it starts from."""

    row: Instruction
    field: int
    fcsr: int
    registers: tuple[int, ...]


def cases_of(row: Instruction, count: int) -> Iterator[Case]:
    """Yield cases in every rounding mode, half of them dynamic, with some flags set before."""
    for rm in modes_of(row):
        chance = random.Random(f"{SEED} qemu {row.name} {rm}")
        for registers in cases(row, chance, count):
            flags = chance.choice((0, 1, chance.getrandbits(5)))
            frm, field = (rm, DYNAMIC) if chance.randrange(2) else (chance.randrange(8), rm)
            yield Case(row, field, frm << 5 | flags, registers)


def image(chosen: Sequence[Case]) -> tuple[bytes, int]:
    """Return what memory holds from RAM_BASE on, and how many bytes are for the notes behind it."""
    words = sorted({word_of(case.row, case.field) for case in chosen})
    places = {word: CODE + 8 * number for number, word in enumerate(words)}
    end = CASES + RECORD.size * len(chosen)
    loop = assemble(LOOP.format(cases=CASES, notes=end, end=end)).segments[0].data
    stubs = b"".join(struct.pack("<II", word, RET) for word in words)
    records = b"".join(
        RECORD.pack(case.fcsr, *(*case.registers, 0, 0)[:3], places[word_of(case.row, case.field)])
        for case in chosen
    )
    code = loop.ljust(CODE - RAM_BASE, b"\0") + stubs
    return code.ljust(CASES - RAM_BASE, b"\0") + records, NOTE.size * len(chosen)


def elf(data: bytes, room: int) -> bytes:
    """Return an executable of one segment with all permissions, followed by zeroed memory."""
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", b"\x7fELF\2\1\1", 2, 243, 1, RAM_BASE, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 7, 4096, RAM_BASE, RAM_BASE, len(data), len(data) + room, 4096)
    return (header + segment).ljust(4096, b"\0") + data


def run_qemu(qemu: str, directory: Path, chosen: Sequence[Case]) -> list[tuple[int, int]]:
    """Return the destination and the flags of each case."""
    program = directory / "floats.elf"
    program.write_bytes(elf(*image(chosen)))
    program.chmod(0o755)
    notes = subprocess.run([qemu, str(program)], capture_output=True, check=True).stdout
    assert len(notes) == NOTE.size * len(chosen)
    return [
        (float_register if target_of(case.row) == "fd" else register, fcsr & 0x1F)
        for case, (fcsr, float_register, register) in zip(chosen, NOTE.iter_unpack(notes), strict=True)
    ]


def check(engine: Any, qemu: str, directory: Path, count: int) -> None:
    """Run all cases on both machines."""
    unit = FloatUnit(engine)
    chosen = [case for row in ROWS for case in cases_of(row, count)]
    for case, expected in zip(chosen, run_qemu(qemu, directory, chosen), strict=True):
        found = unit.execute(case.row, case.registers, case.field, case.fcsr)
        assert found == expected, (
            f"VMLAB_SEED={SEED} {case.row.name} rm={case.field} fcsr={case.fcsr:#x} "
            f"{[hex(r) for r in case.registers]}: {found[0]:#x} {found[1]:#x}, "
            f"QEMU {expected[0]:#x} {expected[1]:#x}"
        )


def test_results_and_flags_agree_with_qemu(engine: Any, qemu_user: str, tmp_path: Path) -> None:
    check(engine, qemu_user, tmp_path, PER_MODE)


@pytest.mark.slow
def test_many_results_and_flags_agree_with_qemu(engine: Any, qemu_user: str, tmp_path: Path) -> None:
    check(engine, qemu_user, tmp_path, MANY_PER_MODE)
