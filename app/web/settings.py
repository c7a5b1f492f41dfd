"""How one server is set up."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from app.paths import lessons_dir


@dataclass(frozen=True, slots=True)
class Settings:
    """Where things are and how much of them there may be.

    `worker_command` starts one worker process that speaks app.workers.protocol on its standard streams. `now`
    gives Unix seconds: by it lessons open, and are due.
    """

    data: Path
    lessons: Path
    workers: int
    worker_command: tuple[str, ...]
    max_streams: int = 600
    max_streams_per_student: int = 12
    max_body_bytes: int = 256 << 10
    posts_per_second: float = 20.0
    posts_at_once: float = 80.0
    secure_cookies: bool = False
    gdb_ports: range = range(0)
    gdb_host: str = "127.0.0.1"
    now: Callable[[], float] = time.time

    @property
    def editions(self) -> Path:
        """Return where the versions of lessons are kept that labs began with."""
        return self.data / "editions"


def default_settings(data: Path, lessons: Path | None = None, workers: int | None = None) -> Settings:
    """Return the settings of a server on this machine: a worker per CPU."""
    where = lessons or lessons_dir()
    return Settings(
        data=data,
        lessons=where,
        workers=workers or os.cpu_count() or 1,
        worker_command=(
            sys.executable,
            "-m",
            "app.cli",
            "worker",
            "--lessons",
            str(where),
            "--editions",
            str(data / "editions"),
        ),
    )
