"""The kernels as plain Python, with no compiler in between, do what the compiled ones do."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.build.corpus import PIECES, digests


@pytest.mark.parametrize("piece", PIECES)
def test_plain_kernels_reach_the_same_states(engine: Any, piece: str, project: Path) -> None:
    command = [sys.executable, "-m", "tests.build.corpus", piece]
    plain = subprocess.run(
        command,
        cwd=project,
        env={**os.environ, "VMLAB_JIT": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert plain.returncode == 0, plain.stderr
    _, *found = plain.stdout.split()
    expected = digests(engine, (piece,))[piece]
    assert len(found) == len(expected)
    different = [
        number for number, pair in enumerate(zip(found, expected, strict=True)) if pair[0] != pair[1]
    ]
    assert not different, f"{piece}: digests {different} differ"
