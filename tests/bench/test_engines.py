"""`vmlab bench engines`: what its figures say, and one run in a real Chromium."""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from emulator.bench.chromium import Places, chromium, own_archive
from emulator.bench.engines import Result, as_table, figures_of
from emulator.bench.figures import figure
from emulator.bench.programs import FLOAT, INTEGER, Program, build_x86, find
from emulator.bench.stopwatch import BenchError
from tests.conftest import lack


def result(program: Program, **seconds: float) -> Result:
    return Result(program, 1_000_000, dict(seconds))


def test_speeds_are_native_time_over_the_engines() -> None:
    results = [
        result(INTEGER[0], native=1.0, wasmtime=4.0, wasm=2.0, v86=1.0),
        result(FLOAT[0], native=1.0, wasmtime=1.0, wasm=8.0, v86=1.0),
    ]
    found = {row.name: row.value for row in figures_of(results, [figure("engines.module_kB", 81.0, "kB")])}
    assert found[f"engines.{INTEGER[0].name}.wasm_over_native"] == 0.5
    assert found["engines.wasm_over_native"] == pytest.approx(0.25)
    assert found["engines.integer.wasm_over_native"] == pytest.approx(0.5)
    assert found["engines.wasmtime_over_native"] == pytest.approx(0.5)
    assert found["engines.v86_over_native"] == 1.0
    assert found["engines.module_kB"] == 81.0


def test_peer_that_was_left_out_has_no_figures() -> None:
    results = [result(INTEGER[0], native=1.0, wasmtime=4.0, wasm=2.0)]
    assert not [row for row in figures_of(results, []) if "v86" in row.name]
    assert INTEGER[0].name in as_table(results, [])


def test_best_time_counts() -> None:
    one = Result(INTEGER[0])
    for seconds in (3.0, 1.0, 2.0):
        one.note("wasm", seconds)
    assert one.seconds == {"wasm": 1.0}


def test_archive_has_what_the_page_imports() -> None:
    with zipfile.ZipFile(io.BytesIO(own_archive())) as file:
        assert {"emulator/bench/__init__.py", "emulator/bench/bare.py"} <= {*file.namelist()}


def test_assets_that_are_not_built_are_named(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="make assets"), chromium(Places(tmp_path, tmp_path, ())):
        pass


def test_supervisor_has_no_x86_run(tmp_path: Path) -> None:
    with pytest.raises(BenchError, match="no x86 run"):
        build_x86(find("ecall"), "s", tmp_path)


@pytest.mark.slow
def test_guest_runs_in_chromium_and_gives_the_native_check_value(chromium_path: str, project: Path) -> None:
    assert chromium_path
    if not (project / "static/dist/engine/core.wasm").is_file():
        lack("static/dist is not built; run `make assets`")
    # In a process of its own: the browser tests have the only Playwright that this one can have.
    command = [sys.executable, "-m", "app.cli", "bench", "engines", "--programs", "fib", "--size", "s"]
    done = subprocess.run(
        [*command, "--repeat", "1", "--no-v86", "--json"],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = {row["name"]: row["value"] for row in json.loads(done.stdout)}
    assert found["engines.wasm_over_native"] > 0
    assert found["engines.wasmtime_over_native"] > 0
    assert 0 < found["engines.module_kB"] < 300
    assert found["engines.warm_s"] > 0
    assert found["engines.cold_s"] > 0
