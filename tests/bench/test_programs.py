"""The benchmark programs build, and give on QEMU what they give natively."""

from pathlib import Path

import pytest

from emulator.bench import programs, qemu
from emulator.bench.programs import BARE, FLOAT, INTEGER, PRIVILEGED, Program
from emulator.bench.stopwatch import BenchError

COMPUTING = (*INTEGER, *FLOAT)


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


@pytest.mark.parametrize("program", COMPUTING, ids=lambda program: program.name)
def test_check_value_on_qemu_is_the_native_one(program: Program, cache: Path, qemu_system: str) -> None:
    assert qemu_system
    stopwatch = qemu.run(programs.build_guest(program, "s", cache))
    assert stopwatch.check == programs.native_check(program, "s", cache)


@pytest.mark.parametrize("program", COMPUTING, ids=lambda program: program.name)
def test_check_value_on_qemu_without_firmware_is_the_native_one(
    program: Program, cache: Path, qemu_system: str
) -> None:
    assert qemu_system
    stopwatch = qemu.run(programs.build_guest(program, "s", cache, BARE), bare=True)
    assert stopwatch.check == programs.native_check(program, "s", cache)


def test_a_privileged_program_has_no_bare_run(cache: Path) -> None:
    with pytest.raises(BenchError, match="ecall measures a supervisor; it has no bare run"):
        programs.build_guest(PRIVILEGED[0], "s", cache, BARE)


@pytest.mark.parametrize("program", PRIVILEGED, ids=lambda program: program.name)
def test_privileged_program_finishes_on_qemu(program: Program, cache: Path, qemu_system: str) -> None:
    assert qemu_system
    assert qemu.run(programs.build_guest(program, "s", cache)).finished


def test_second_build_compiles_nothing(cache: Path) -> None:
    first = programs.build_guest(INTEGER[1], "s", cache)
    stamp = first.stat().st_mtime_ns
    assert programs.build_guest(INTEGER[1], "s", cache) == first
    assert first.stat().st_mtime_ns == stamp


def test_unknown_program_is_named_with_the_known_ones() -> None:
    with pytest.raises(BenchError, match="no program 'siev'; expected one of synth, sieve"):
        programs.find("siev")
