"""The SQLite file: where it is, how it is opened, and its version.

WAL, so that readers never wait for the one writer; `synchronous=FULL`, so that a committed action survives
a power cut (SQLite, "Write-Ahead Logging", Performance). Writers begin IMMEDIATE: they queue at the start
of a transaction instead of failing in the middle of one.
"""

from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError

from app.web.store.schema import MIGRATIONS
from emulator.errors import VmLabError

FILE_NAME = "vmlab.sqlite3"
BUSY_MS = 5000
_PRAGMAS = (
    "PRAGMA journal_mode=WAL",
    "PRAGMA synchronous=FULL",
    "PRAGMA foreign_keys=ON",
    f"PRAGMA busy_timeout={BUSY_MS}",
)


class StoreError(VmLabError):
    """The database cannot be used; the message says which file and what to do."""


def data_directory(given: str | None = None) -> Path:
    """Return where student data lives: `given`, else $VMLAB_DATA, else the platform's place for user data."""
    chosen = given or os.environ.get("VMLAB_DATA")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share")
    return base / "vmlab"


class Database:
    """Transactions on one SQLite file."""

    def __init__(self, engine: Engine) -> None:
        """Use an engine made by `open_database`."""
        self._engine = engine
        self._writer = engine.execution_options(begin="BEGIN IMMEDIATE")

    @contextmanager
    def read(self) -> Generator[Connection]:
        """Yield a connection that sees one unchanging state."""
        with self._engine.connect() as connection:
            yield connection

    @contextmanager
    def write(self) -> Generator[Connection]:
        """Yield a connection whose changes are durable when the block ends, and undone if it raises."""
        with self._writer.begin() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


def open_database(directory: Path) -> Database:
    """Open or create the database in `directory` and bring it to this version; raise StoreError."""
    path = directory / FILE_NAME
    try:
        directory.mkdir(parents=True, exist_ok=True)
        engine = _engine(path)
        with Database(engine).write() as connection:
            _migrate(connection, path)
    except (OSError, DBAPIError) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        raise StoreError(f"{path}: {cause}; choose a writable directory with --data or VMLAB_DATA") from error
    return Database(engine)


def _engine(path: Path) -> Engine:
    engine = create_engine(
        URL.create("sqlite+pysqlite", database=str(path)),
        pool_size=8,
        max_overflow=24,
        connect_args={"isolation_level": None, "check_same_thread": False},
    )
    event.listen(engine, "connect", _prepare)
    event.listen(engine, "begin", _begin)
    return engine


def _prepare(connection: sqlite3.Connection, _record: Any) -> None:
    for pragma in _PRAGMAS:
        connection.execute(pragma)


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _migrate(connection: Connection, path: Path) -> None:
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{path} is of version {version}, this VM Lab knows versions up to {len(MIGRATIONS)};"
            " start the newer VM Lab or choose another directory with --data"
        )
    for migration in MIGRATIONS[version:]:
        migration(connection)
    connection.exec_driver_sql(f"PRAGMA user_version={len(MIGRATIONS)}")
