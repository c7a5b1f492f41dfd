"""The kernels as WebAssembly, run by wasmtime, do what the native ones do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from emulator.build.wasm import core_module
from emulator.build.wasm_engine import CoreModuleError, load_core
from emulator.state import ACCESS_LOAD, PRIV_S, RAM_BASE
from tests.build.corpus import PIECES, digests
from tests.build.wild import Wild, outcome
from tests.core.machine import DATA, Machine
from tests.core.tables import LEAF, Tables

PORTABLE = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        root = name.partition(".")[0]
        if root not in sys.stdlib_module_names and root not in ("emulator", "app", "wasmtime"):
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Refuse())
import app.workers.host
from emulator.build.engine import load_engine
from emulator.lab import Lab
from emulator.lab.config import LabConfig
from emulator.lab.programs import Program

SOURCE = "_start: li a7, 1\\n li a0, 'H'\\n ecall\\n wfi\\n"
config = LabConfig.from_dict(
    {"host": {"pcpus": 1, "memory": "4 MiB"}, "vms": [{"name": "a", "memory": "1 MiB", "program": "hello.s"}]}
)
lab = Lab(config, {"hello.s": Program("hello.s", source=SOURCE)}, 1, load_engine())
lab.apply({"verb": "start", "vm": "a"})
lab.advance(100_000)
print(lab.console("a"))
"""


@pytest.fixture(scope="module")
def wasm() -> Any:
    """The WebAssembly kernels, built if need be."""
    return load_core()


@pytest.mark.parametrize("piece", PIECES)
def test_wasm_kernels_reach_the_same_states(engine: Any, wasm: Any, piece: str) -> None:
    assert digests(wasm, (piece,)) == digests(engine, (piece,))


def test_wild_programs_reach_the_same_states_in_wasm(engine: Any, wasm: Any) -> None:
    for seed in range(100):
        assert outcome(wasm, Wild(seed)) == outcome(engine, Wild(seed)), f"Wild({seed})"


def test_module_is_small(wasm: Any) -> None:
    assert core_module().stat().st_size < 300_000


def test_module_made_for_other_layouts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emulator.build.wasm_engine.abi_number", lambda: 1)
    with pytest.raises(CoreModuleError, match="other record layouts"):
        load_core()


def test_missing_module_is_named(tmp_path: Path) -> None:
    with pytest.raises(CoreModuleError, match=r"absent\.wasm: no such file"):
        load_core(tmp_path / "absent.wasm")


def test_tables_are_walked_without_changing_the_hart(engine: Any, wasm: Any) -> None:
    seen: list[object] = []
    for kernels in (engine, wasm):
        machine = Machine(kernels)
        tables = Tables(machine, RAM_BASE + 0x80000)
        tables.map(DATA, DATA + 0x3000, LEAF)
        hart = machine.enter(PRIV_S)
        hart.satp = tables.register()
        before = bytes(hart)
        walk = machine.host.translate(hart, DATA + 5, ACCESS_LOAD, PRIV_S, 0, 0)
        assert bytes(hart) == before
        seen.append(bytes(walk))
        assert walk.hpa == DATA + 0x3005
    assert seen[0] == seen[1]


def test_lab_runs_without_numpy(project: Path) -> None:
    environment = {**os.environ, "VMLAB_ENGINE": "wasmtime", "VMLAB_CORE": str(core_module())}
    done = subprocess.run(
        [sys.executable, "-c", PORTABLE],
        cwd=project,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "H\n"
