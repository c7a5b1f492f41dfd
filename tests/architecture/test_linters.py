"""ruff, pyright, import-linter and hadolint find nothing to say."""

import subprocess
import sys
from pathlib import Path

import pytest

BIN = Path(sys.executable).parent


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([BIN / "ruff", "check", "."], id="ruff-check"),
        pytest.param([BIN / "ruff", "format", "--check", "."], id="ruff-format"),
        pytest.param([BIN / "pyright", "--pythonpath", sys.executable], id="pyright"),
        pytest.param([BIN / "lint-imports", "--no-cache"], id="import-contracts"),
        pytest.param([BIN / "hadolint", "Dockerfile"], id="dockerfile"),
    ],
)
def test_linter_is_content(command: list[str | Path], project: Path) -> None:
    done = subprocess.run(
        command, cwd=project, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"\n{done.stdout}{done.stderr}"
