"""The benchmark programs as VMs, and `vmlab bench core`."""

import json
from pathlib import Path

import pytest

from app import cli
from emulator.bench import core, programs, vm
from emulator.bench.programs import INTEGER, PRIVILEGED, Program
from emulator.bench.stopwatch import BenchError, Stopwatch
from emulator.build.engine import Engine, load_engine

QUICK = [program for program in INTEGER if program.name != "coldcode"]


@pytest.fixture(scope="session")
def engine() -> Engine:
    return load_engine()


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


class NeverSeen(Stopwatch):
    """A run that was over when its console was read."""

    def elapsed(self) -> float:
        return 0.0


def ignore(text: str) -> None:
    assert text


@pytest.mark.parametrize("program", QUICK, ids=lambda program: program.name)
def test_check_value_in_a_vm_is_the_native_one(program: Program, cache: Path, engine: Engine) -> None:
    run = vm.run(programs.build_guest(program, "s", cache), engine)
    assert run.stopwatch.check == programs.native_check(program, "s", cache)
    assert run.instructions > 100_000


@pytest.mark.parametrize("program", PRIVILEGED, ids=lambda program: program.name)
def test_privileged_program_gives_in_a_vm_what_it_gives_on_qemu(
    program: Program, cache: Path, engine: Engine, qemu_system: str
) -> None:
    assert qemu_system
    elf = programs.build_guest(program, "s", cache)
    assert vm.run(elf, engine).stopwatch.check == core.qemu.run(elf).check


def test_instructions_are_counted_the_same_in_every_run(cache: Path, engine: Engine) -> None:
    elf = programs.build_guest(INTEGER[0], "s", cache)
    assert vm.run(elf, engine).instructions == vm.run(elf, engine).instructions


def test_figures_end_with_the_geometric_mean(cache: Path, engine: Engine) -> None:
    figures = list(core.measure(QUICK[:2], "s", 1, cache, engine, ignore))
    assert [row.name for row in figures] == ["core.synth.mips", "core.sieve.mips", "core.geomean.mips"]
    assert figures[2].value == pytest.approx((figures[0].value * figures[1].value) ** 0.5)


def test_wrong_check_value_is_an_error(cache: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "native_check", lambda *_: 1)
    with pytest.raises(BenchError, match=r"synth on the emulator gave 0x.*; expected 0x0000000000000001"):
        list(core.measure(QUICK[:1], "s", 1, cache, engine, ignore))


def test_peer_too_quick_to_be_timed_is_left_out(
    cache: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    elf = programs.build_guest(QUICK[0], "s", cache)
    check = vm.run(elf, engine).stopwatch.check
    monkeypatch.setattr(core.qemu, "version", lambda: "QEMU")
    monkeypatch.setattr(core.qemu, "run", lambda _: NeverSeen(check=check))
    program, mean = core.measure(QUICK[:1], "s", 1, cache, engine, ignore)
    assert (program.peer_value, mean.peer_value) == (None, None)


@pytest.mark.slow
def test_command_prints_json_with_the_names_that_dashboards_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert cli.main(["bench", "core", "--size", "s", "--repeat", "1", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    expected = [f"core.{program.name}.mips" for program in INTEGER]
    assert [row["name"] for row in rows] == [*expected, "core.geomean.mips", "core.compile.s"]
    assert all(row["value"] > 0 for row in rows)
