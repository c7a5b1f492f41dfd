"""`vmlab bench hypervisor`: its guests leave as often as they say, and its figures have the agreed names."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from app import cli
from emulator.bench import hypervisor, qemu, vm
from emulator.bench.hypervisor import KINDS, Measurement, exit_program
from emulator.bench.programs import build_guest
from emulator.build.engine import Engine

COUNT = 300


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("bench")


def silent(text: str) -> None:
    assert text


@pytest.mark.parametrize("kind", KINDS)
def test_each_guest_leaves_as_often_as_it_is_told(kind: str, cache: Path, engine: Engine) -> None:
    program = replace(exit_program(kind), sizes={"s": COUNT})
    exits = vm.run(build_guest(program, "s", cache), engine, "skip").exits.elapsed()
    expected = 2 * COUNT if kind == "timer" else COUNT
    # The host's timer ends timeslices meanwhile, and the line that ends the run is printed by exits too.
    assert expected <= exits < expected + COUNT / 2


def test_two_vms_that_compute_take_turns(
    cache: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hypervisor, "SWITCH_CYCLES", {"s": 100_000})
    (found,) = hypervisor.measure_switches(Measurement(engine, "s", 1, cache, silent, cache / "none"))
    assert found.name == "hypervisor.world_switches_per_s"
    assert found.value > 0


@pytest.mark.slow
def test_figures_have_the_agreed_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(qemu, "version", lambda: None)
    assert cli.main(["bench", "hypervisor", "--size", "s", "--repeat", "1", "--json"]) == 0
    found = {row["name"]: row["value"] for row in json.loads(capsys.readouterr().out)}
    assert {f"hypervisor.exits_per_s.{kind}" for kind in KINDS} < set(found)
    assert "hypervisor.recording_overhead" in found
    assert all(value > 0 for name, value in found.items() if "recording_overhead" not in name)
