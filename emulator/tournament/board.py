"""The best of a class: results that an instructor opens to everybody, or hides again.

A board is a file for each scenario. It holds only what was measured by repeating runs (`verify`), and
built-in policies to compare them with; never a text.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from emulator.tournament.contest import BUILT_IN, Trial
from emulator.tournament.scenarios import scenario

DIRECTORY = "boards"
MAX_BYTES = 1 << 20


def open_board(data: Path, name: str, trials: Sequence[Trial]) -> list[str]:
    """Write the board of a scenario; return the names on it. What was not verified stays off."""
    path = _path(data, name)
    shown = [one for one in trials if one.verified or (one.name.startswith(BUILT_IN) and not one.error)]
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_suffix(f".{os.getpid()}")
    fresh.write_text(
        json.dumps([{"name": one.name, "values": one.values} for one in shown]), encoding="utf-8"
    )
    fresh.replace(path)
    return [one.name for one in shown]


def hide_board(data: Path, name: str) -> bool:
    """Take the board of a scenario away; return whether there was one."""
    path = _path(data, name)
    found = path.is_file()
    path.unlink(missing_ok=True)
    return found


def read_board(data: Path, name: str) -> list[dict[str, Any]] | None:
    """Return name and values of each entry, None if the board is hidden. Raises TournamentError."""
    path = _path(data, name)
    if not path.is_file() or path.stat().st_size > MAX_BYTES:
        return None
    return json.loads(path.read_text(encoding="utf-8"))


def _path(data: Path, name: str) -> Path:
    return data / DIRECTORY / f"{scenario(name).name}.json"
