"""Compile the kernel module with numba and take the object code out of it.

Only this needs numba. What it returns, `native.py` loads with llvmlite alone, in a tenth of the time.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

Progress = Callable[[str, float], None]
# Functions that numba compiles for one engine; only the progress bar depends on it.
_FUNCTIONS = 160


def import_kernels(path: Path, progress: Progress | None = None) -> ModuleType:
    """Import the generated module at `path`, which compiles it (with `VMLAB_JIT=0`: nothing)."""
    specification = importlib.util.spec_from_file_location("vmlab_kernels", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # numba names a function by its module, which therefore has to be known before it is complete.
    sys.modules["vmlab_kernels"] = module
    try:
        with _CompileEvents(progress):
            specification.loader.exec_module(module)
    except BaseException:
        del sys.modules["vmlab_kernels"]
        raise
    return module


def object_code(module: ModuleType, name: str) -> tuple[str, bytes]:
    """Return the symbol and the relocatable object of one compiled entry of the module."""
    callback: Any = getattr(module, f"c_{name}")
    _, kind, (code, _) = callback._library.serialize_using_object_code()
    assert kind == "object"
    return callback._wrapper_name, code


class _CompileEvents:
    """Reports each function that numba compiles while this is entered."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress = progress
        self._done = 0
        self._events: Any = importlib.import_module("numba.core.event")
        self._listener: Any = self._events.RecordingListener()
        self._listener.on_start = self._compiled

    def __enter__(self) -> None:
        self._events.register("numba:compile", self._listener)

    def __exit__(self, *exception: object) -> None:
        self._events.unregister("numba:compile", self._listener)

    def _compiled(self, _event: object) -> None:
        self._done += 1
        if self._progress is not None:
            share = min(self._done / _FUNCTIONS, 0.99)
            self._progress("Compiling the emulator core (once per machine)", share)
