"""Native and WebAssembly kernels take every lesson to the same state and grade; plain Python some of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.lessons.course import lesson_directories
from app.paths import lessons_dir
from emulator.build.wasm_engine import load_core
from tests.differential import lesson_states
from tests.differential.lesson_states import CYCLES, hash_after, solved, stand_at
from tests.lessons.at_hand import load

# Between them: faults, every exit, shadow tables, devices, two vCPUs, and a real operating system.
WITH_PLAIN = (
    "01-first-virtual-machine",
    "02-the-wall",
    "03-three-systems",
    "08-shadow-or-nested",
    "11-stolen-time",
)


@pytest.fixture(scope="module")
def wasm() -> Any:
    """The WebAssembly kernels."""
    return load_core()


def plain_hash(path: Path, state: Path, log: list[Any], project: Path) -> str:
    """Return what `hash_after` gives in a process without compiled kernels."""
    done = subprocess.run(
        [sys.executable, "-m", lesson_states.__name__, str(path), str(state)],
        cwd=project,
        env={**os.environ, "VMLAB_JIT": "0"},
        input=json.dumps(log),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


@pytest.mark.parametrize(
    "path",
    [path for path in lesson_directories(lessons_dir()) if path.name not in WITH_PLAIN],
    ids=lambda path: path.name,
)
def test_webassembly_does_the_lesson_as_native_code_does(path: Path, engine: Any, wasm: Any) -> None:
    lesson = load(path)
    assert solved(lesson, wasm)[1] == solved(lesson, engine)[1]


@pytest.mark.parametrize("path", [lessons_dir() / name for name in WITH_PLAIN], ids=lambda path: path.name)
def test_every_engine_does_the_lesson_alike(
    path: Path, engine: Any, wasm: Any, project: Path, tmp_path: Path
) -> None:
    lesson = load(path)
    attempt, found = solved(lesson, engine)
    assert solved(lesson, wasm)[1] == found
    log, end = list(attempt.lab.log), attempt.lab.position
    # Plain Python comes 10,000 times less far: so it begins where there is something to do.
    for position in (end // 50, end // 2):
        lab = stand_at(lesson, log, position, engine)
        state = tmp_path / "lab.state"
        state.write_bytes(lab.save())
        past = list(lab.log)
        lab.advance(lab.position + CYCLES)
        expected = lab.state_hash()
        assert hash_after(lesson, state.read_bytes(), past, wasm) == expected
        assert plain_hash(path, state, past, project) == expected
