"""The compiled kernels as an object with five methods.

`load_engine` writes the kernel module (`generate.py`) into a cache directory of ours, named by a hash of
everything that it depends on, and imports it; numba keeps its machine code beside it, so that only the first
start on a machine compiles.

The directory is `$VMLAB_CACHE`, else `vmlab` in the user's cache directory. With `VMLAB_JIT=0` the same
module runs as plain Python: slow, and the oracle for the compiled kernels.
"""

from __future__ import annotations

import ast
import ctypes
import hashlib
import importlib
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from importlib.metadata import version
from pathlib import Path
from types import ModuleType
from typing import Any

Progress = Callable[[str, float], None]
_PACKAGE = Path(__file__).parent.parent
_DEPENDENCIES = ("core", "state.py", "isa/encodings.py", "isa/instruction.py", "build/generate.py")
_ENTRIES = {"run": 3, "translate": 8, "flush": 1, "flush_fast": 1, "read": 4, "write": 4}
# Marks a cache directory in which everything has been compiled.
_COMPLETE = "complete"
# Functions that numba compiles for one engine; only the progress bar depends on it.
_FUNCTIONS = 160


class Engine:
    """The kernels. `hart`, `host` and `walk` are ctypes records of `emulator.state`."""

    def __init__(self, functions: dict[str, Callable[..., int]]) -> None:
        self._run = functions["run"]
        self._translate = functions["translate"]
        self._flush = functions["flush"]
        self._flush_fast = functions["flush_fast"]
        self._read = functions["read"]
        self._write = functions["write"]

    def run(self, hart: ctypes.Structure, host: ctypes.Structure, budget: int) -> int:
        """Run a hart for at most `budget` cycles; return an EXIT_* reason. `hart.retired` has the cycles."""
        return self._run(ctypes.addressof(hart), ctypes.addressof(host), budget)

    def translate(
        self,
        hart: ctypes.Structure,
        host: ctypes.Structure,
        walk: ctypes.Structure,
        va: int,
        access: int,
        priv: int,
        virt: int,
        sum_bit: int,
    ) -> int:
        """Walk the tables for one address without changing anything; `walk` receives every reference.

        Returns the host physical address, or NO_ADDRESS with `walk.cause` set.
        """
        addresses = ctypes.addressof(hart), ctypes.addressof(host), ctypes.addressof(walk)
        return self._translate(*addresses, va, access, priv, virt, sum_bit)

    def flush(self, hart: ctypes.Structure) -> None:
        """Empty a hart's TLBs and fast map."""
        self._flush(ctypes.addressof(hart))

    def flush_fast(self, hart: ctypes.Structure) -> None:
        """Empty a hart's fast map only, which changes nothing that a guest could see."""
        self._flush_fast(ctypes.addressof(hart))

    def phys_read(self, host: ctypes.Structure, hpa: int, address: int, length: int) -> None:
        """Copy `length` bytes of RAM at `hpa` to a host address. The caller has checked the range."""
        self._read(ctypes.addressof(host), hpa, address, length)

    def phys_write(self, host: ctypes.Structure, hpa: int, address: int, length: int) -> bool:
        """Copy bytes into RAM, dropping decoded code that they overwrite.

        False when the backing store is full.
        """
        return bool(self._write(ctypes.addressof(host), hpa, address, length))


def load_engine(progress: Progress | None = None) -> Engine:
    """Return the engine, compiling the kernels if this machine has not done so yet.

    `progress(text, fraction)` is called while compiling. Raises OSError when no directory can be written.
    """
    module = sys.modules.get("vmlab_kernels") or _load_module(progress)
    from emulator.core.intrinsics import JIT

    return Engine({name: _bind(module, name, count, JIT) for name, count in _ENTRIES.items()})


def kernels_cached() -> bool:
    """Tell whether the next `load_engine` finds compiled kernels; numba is not imported to find out."""
    return (cache_directory() / _fingerprint() / _COMPLETE).exists()


def cache_directory() -> Path:
    """Directory of generated and compiled kernels."""
    chosen = os.environ.get("VMLAB_CACHE")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "vmlab"


def _bind(module: ModuleType, name: str, count: int, jit: bool) -> Callable[..., int]:
    if not jit:
        return partial(_call_plain, getattr(module, f"enter_{name}"))
    prototype = ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * count)
    return prototype(getattr(module, f"c_{name}").address)


def _call_plain(function: Callable[..., Any], *arguments: int) -> int:
    import numpy

    with numpy.errstate(over="ignore"):
        return int(function(*(numpy.uint64(argument) for argument in arguments)))


def _load_module(progress: Progress | None) -> ModuleType:
    from emulator.build.generate import kernel_source

    directory = _writable(cache_directory() / _fingerprint())
    path = directory / "vmlab_kernels.py"
    if not path.exists():
        _write_atomically(path, kernel_source())
    specification = importlib.util.spec_from_file_location("vmlab_kernels", path)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    # numba names a cached function by its module, which therefore has to be known before it is complete.
    sys.modules["vmlab_kernels"] = module
    try:
        with _CompileEvents(progress):
            specification.loader.exec_module(module)
    except BaseException:
        del sys.modules["vmlab_kernels"]
        raise
    (directory / _COMPLETE).touch()
    return module


def _fingerprint() -> str:
    """Hash of the code and versions that decide the machine code; comments and docstrings do not."""
    digest = hashlib.blake2b(f"{version('numba')} {sys.version_info}".encode(), digest_size=10)
    for name in _DEPENDENCIES:
        path = _PACKAGE / name
        for source in sorted(path.rglob("*.py")) if path.is_dir() else [path]:
            digest.update(ast.dump(_without_docstrings(ast.parse(source.read_text()))).encode())
    return digest.hexdigest()


def _without_docstrings(tree: ast.Module) -> ast.Module:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.Module):
            first = node.body[0] if node.body else None
            if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant):
                node.body = node.body[1:]
    return tree


def _writable(directory: Path) -> Path:
    """The directory itself, or a copy where it may not be written (a container's read-only image)."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return directory
    except OSError:
        copy = Path(tempfile.gettempdir()) / f"vmlab-{os.getuid()}" / directory.name
        copy.mkdir(parents=True, exist_ok=True, mode=0o700)
        if directory.exists():
            shutil.copytree(directory, copy, dirs_exist_ok=True)
        return copy


def _write_atomically(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


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
            self._progress(
                "Compiling the emulator core (once per machine)", min(self._done / _FUNCTIONS, 0.99)
            )
