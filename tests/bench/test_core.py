"""The benchmark programs as VMs, and `vmlab bench core`."""

import json
from pathlib import Path

import pytest

from app import cli
from emulator.bench import bare, core, programs, vm
from emulator.bench.core import Result
from emulator.bench.figures import figure
from emulator.bench.programs import BARE, INTEGER, PRIVILEGED, PROGRAMS, SUPERVISOR, Program
from emulator.bench.stopwatch import BenchError, Stopwatch
from emulator.build.engine import Engine
from emulator.isa.assembler import assemble
from emulator.isa.elf_writer import program_to_elf

PEER = "QEMU 7.2"


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


class NeverSeen(Stopwatch):
    """A run that was over when its console was read."""

    def elapsed(self) -> float:
        return 0.0


def ignore(text: str) -> None:
    assert text


@pytest.mark.parametrize("program", INTEGER, ids=lambda program: program.name)
def test_check_value_in_a_vm_is_the_native_one(program: Program, cache: Path, engine: Engine) -> None:
    run = vm.run(programs.build_guest(program, "s", cache), engine)
    assert run.stopwatch.check == programs.native_check(program, "s", cache)
    assert run.instructions > 100_000


@pytest.mark.parametrize("program", INTEGER, ids=lambda program: program.name)
def test_check_value_on_the_bare_machine_is_the_native_one(
    program: Program, cache: Path, engine: Engine
) -> None:
    run = bare.run(programs.build_guest(program, "s", cache, BARE), engine)
    assert run.stopwatch.check == programs.native_check(program, "s", cache)
    assert run.instructions > 100_000


STOPS_EARLY = """
    li t0, 0x10000000   # UART
    li t1, 'Z'
    sb t1, 0(t0)
    li t0, 0x100000     # finisher
    li t1, 0x5555
    sw t1, 0(t0)
"""


def test_a_bare_program_that_stops_early_shows_its_console(tmp_path: Path, engine: Engine) -> None:
    broken = tmp_path / "broken.elf"
    broken.write_bytes(program_to_elf(assemble(STOPS_EARLY)))
    with pytest.raises(BenchError, match=r"broken.elf stopped without a result; its console shows: Z"):
        bare.run(broken, engine)


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


def result(name: str, platform: programs.Platform, ours_s: float, theirs_s: float | None) -> Result:
    return Result(PROGRAMS[name], platform, 100_000_000, ours_s, theirs_s)


def test_figures_give_speed_and_time_over_the_peer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.qemu, "version", lambda: PEER)
    results = [result("synth", BARE, 0.5, 0.25), result("synth", SUPERVISOR, 0.8, None)]
    speed, ratio, in_vm = core.figures_of(results)
    assert (speed.name, speed.value, speed.peer_value, speed.ratio) == ("core.synth.mips", 200.0, 400.0, 0.5)
    assert (ratio.name, ratio.value) == ("core.synth.over_qemu", 2.0)
    assert (in_vm.name, in_vm.value, in_vm.peer_value) == ("core.vm.synth.mips", 125.0, None)


def test_a_group_has_a_mean_once_all_of_it_was_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.qemu, "version", lambda: PEER)
    results = [result("mandel", BARE, 4.0, 1.0), result("nbody", BARE, 1.0, 1.0)]
    results.append(result("mandel", SUPERVISOR, 1.0, 1.0))
    means = {row.name: row.value for row in core.figures_of(results) if "geomean" in row.name}
    assert means == {"core.float.geomean_over_qemu": 2.0}


def test_table_says_how_much_longer_we_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core.qemu, "version", lambda: PEER)
    results = [
        result("mandel", BARE, 4.0, 1.0),
        result("nbody", BARE, 1.0, 1.0),
        result("irq", SUPERVISOR, 1.0, None),
    ]
    assert core.as_table(results, figure("core.compile_s", 61.23, "s")).splitlines() == [
        "program     instructions  MIPS  QEMU 7.2  time over QEMU",
        "----------  ------------  ----  --------  --------------",
        "mandel             100 M    25       100               4",
        "nbody              100 M   100       100               1",
        "irq                100 M   100",
        "float mean                                             2",
        "first compile of the kernels: 61.2 s",
    ]


def test_privileged_programs_keep_the_short_name() -> None:
    assert result("ctxsw", SUPERVISOR, 1.0, 1.0).name == "core.ctxsw"


def test_wrong_check_value_is_an_error(cache: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(core, "native_check", lambda *_: 1)
    with pytest.raises(BenchError, match=r"synth on the emulator gave 0x.*; expected 0x0000000000000001"):
        list(core.measure(INTEGER[:1], "s", 1, cache, engine, ignore))


def test_peer_too_quick_to_be_timed_is_left_out(
    cache: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    check = programs.native_check(INTEGER[0], "s", cache)
    monkeypatch.setattr(core.qemu, "version", lambda: PEER)
    monkeypatch.setattr(core.qemu, "run", lambda *_: NeverSeen(check=check))
    results = list(core.measure(INTEGER[:1], "s", 1, cache, engine, ignore))
    assert [(result.name, result.theirs_s) for result in results] == [
        ("core.synth", None),
        ("core.vm.synth", None),
    ]


@pytest.mark.slow
def test_command_prints_json_with_the_names_that_dashboards_read(
    capsys: pytest.CaptureFixture[str],
) -> None:
    chosen = ["synth", "chase", "ctxsw"]
    assert cli.main(["bench", "core", "--programs", *chosen, "--size", "s", "--repeat", "1", "--json"]) == 0
    rows = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    names = {"core.synth.mips", "core.vm.synth.mips", "core.chase.mips", "core.ctxsw.mips", "core.compile_s"}
    assert names <= rows.keys()
    assert all(value > 0 for value in rows.values())
