"""A table of instruction tests in the two forms of riscv-tests: `-p-`, and `-v-` in pages that come and go.

The same ELF files run on QEMU's `spike` board, whose HTIF reports how they ended.
"""

import subprocess
from pathlib import Path
from typing import Any

import pytest

from app.cli import main
from tests.conformance.conftest import ENVIRONMENTS, PROGRAMS, Build

USER_PROGRAMS = [name for name in PROGRAMS if name.startswith("u")]
CASES = [(name, "p") for name in PROGRAMS]
CASES += [(name, environment) for name in USER_PROGRAMS for environment in ENVIRONMENTS if environment != "p"]
LIMIT = "--max-instructions=30000000"
# The case at which QEMU 7.2 stops, where it is not the program that is wrong.
QEMU_FAILS = {
    "ub": 160,  # ctzw of a word of zeros is 63 there; "the result is XLEN" of the word, 32 ("Zbb")
    "ucond": 2,  # Zicond came later
    "utraps": 10,  # a misaligned AMO is a load's there; "store/AMO address misaligned" (Zaamo)
}


def run(elf: Path, *options: str) -> int:
    return main(["run", "--bare", LIMIT, *options, str(elf)])


@pytest.mark.parametrize(("program", "environment"), CASES)
def test_a_program_passes(engine: Any, build: Build, program: str, environment: str) -> None:
    assert run(build(program, environment)) == 0


@pytest.mark.parametrize("environment", ["p", "v"])
def test_a_trap_that_nobody_takes_is_the_exit_status(engine: Any, build: Build, environment: str) -> None:
    """Code 0x400 and the cause, of which an exit status keeps eight bits: an illegal instruction."""
    assert run(build("ucond", environment), "--isa=rv64gc_zba_zbb_zbs") == 2


@pytest.mark.parametrize(("environment", "bits_asked_for"), [("v", True), ("v-adue", False)])
def test_pages_come_and_go(
    engine: Any, build: Build, tmp_path: Path, environment: str, bits_asked_for: bool
) -> None:
    signature = tmp_path / "signature"
    options = [f"+signature={signature}", "+signature-granularity=8"]
    assert run(build("upaging", environment), *options) == 0
    faults, bits, evictions, written_back = (int(line, 16) for line in signature.read_text().split())
    # Hardware that sets A and D itself asks for nothing; else every page that came was asked about.
    assert (bits > 0) is bits_asked_for
    assert faults - bits == evictions > written_back > 12


@pytest.mark.slow
@pytest.mark.parametrize(("program", "environment"), [case for case in CASES if case[1] != "v-adue"])
def test_qemu_agrees(qemu_system: str, build: Build, program: str, environment: str) -> None:
    elf = str(build(program, environment))
    command = [qemu_system, "-M", "spike", "-bios", "none", "-nographic", "-kernel", elf]
    ended = subprocess.run(command, stdin=subprocess.DEVNULL, timeout=60, check=False)
    assert ended.returncode == QEMU_FAILS.get(program, 0)
