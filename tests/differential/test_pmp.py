"""Random protection entries, against QEMU's `virt` board: what they read back as, which accesses they stop.

Each case writes entries, reads them back, then loads and stores as S- and U-mode would (mstatus.MPRV).
Results are characters on the serial port, the same program on both machines.
"""

import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from emulator.devices.virt import Board, BoardConfig
from emulator.isa.assembler import assemble
from emulator.isa.elf_writer import program_to_elf
from emulator.machine.elf import Executable, Segment
from emulator.state import RAM_BASE

DATA = RAM_BASE + 0x10_0000
CASES, ENTRIES, ACCESSES = 12, 4, 12
CYCLES = 3_000_000

PROLOGUE = """
    la t0, handler
    csrw mtvec, t0
    li s0, 0x10000000
    j begin
    .balign 4
handler:
    li s2, 1
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    li t0, 0x1800
    csrs mstatus, t0
    mret
print:
    li t1, 16
1:  srli t2, a0, 60
    addi t2, t2, 65
    sb t2, 0(s0)
    slli a0, a0, 4
    addi t1, t1, -1
    bnez t1, 1b
    ret
begin:
"""
EPILOGUE = "\nli t0, 0x100000\nli t1, 0x5555\nsw t1, 0(t0)\n9: j 9b\n"


def setup(dice: random.Random) -> str:
    """Return code that writes a few entries around DATA and prints what they read back as."""
    code = "csrw pmpcfg0, zero\n"
    for entry in range(ENTRIES):
        size = 1 << dice.randrange(2, 14)
        address = (DATA + dice.randrange(0, 0x3000)) & -size | (size // 2 - 1 if dice.random() < 0.6 else 0)
        code += f"li a0, {address >> 2}\ncsrw pmpaddr{entry}, a0\ncsrr a0, pmpaddr{entry}\ncall print\n"
    # Never W without R, which is reserved; never locked, which would last into the next case.
    rights = [dice.choice([0, 1, 3, 4, 5, 7]) | dice.randrange(4) << 3 for _ in range(ENTRIES)]
    packed = sum(right << 8 * entry for entry, right in enumerate(rights))
    return code + f"li a0, {packed}\ncsrw pmpcfg0, a0\ncsrr a0, pmpcfg0\ncall print\n"


def access(dice: random.Random) -> str:
    """Return code that makes one aligned access at a lower privilege and prints whether it trapped."""
    size = dice.choice([1, 2, 4, 8])
    address = (DATA + dice.randrange(0, 0x3000)) & -size
    name = dice.choice("ls") + {1: "b", 2: "h", 4: "w", 8: "d"}[size]
    mode = dice.choice([0, 1]) << 11 | 1 << 17
    return (
        f"li s2, 0\nli a1, {address}\nli t0, 0x21800\ncsrc mstatus, t0\nli t0, {mode}\ncsrs mstatus, t0\n"
        f"{name} zero, 0(a1)\nli t0, 0x20000\ncsrc mstatus, t0\nmv a0, s2\naddi t2, a0, 48\nsb t2, 0(s0)\n"
    )


def program(seed: int) -> str:
    """Return a whole program."""
    dice = random.Random(seed)
    code = PROLOGUE
    for _ in range(CASES):
        code += setup(dice) + "".join(access(dice) for _ in range(ACCESSES))
    return code + EPILOGUE


def ours(source: str, engine: Any) -> bytes:
    """Run on our board; return what the serial port showed."""
    console = bytearray()
    board = Board(BoardConfig(), engine, console.extend)
    segments = tuple(
        Segment(each.address, each.data, len(each.data), 7) for each in assemble(source).segments
    )
    board.load(Executable(RAM_BASE, segments))
    board.start(RAM_BASE)
    board.run(CYCLES)
    assert board.machine.stop_code == 0
    return bytes(console)


@pytest.mark.parametrize("seed", range(4))
def test_entries_protect_as_in_qemu(seed: int, engine: Any, qemu_system: str, tmp_path: Path) -> None:
    source = program(seed)
    image = tmp_path / "program.elf"
    image.write_bytes(program_to_elf(assemble(source)))
    arguments = ["-M", "virt", "-bios", "none", "-display", "none", "-monitor", "none", "-serial", "stdio"]
    done = subprocess.run(
        [qemu_system, *arguments, "-kernel", str(image)], capture_output=True, timeout=60, check=True
    )
    found = ours(source, engine)
    assert len(found) == CASES * (16 * (ENTRIES + 1) + ACCESSES)
    assert found == done.stdout
    assert {*b"01"} < {*found}, "some accesses pass and some trap"
