"""The compiled kernels as an object.

`load_engine` compiles the kernel module once on a machine (`generate.py`, `compile.py`), keeps the object
code (`cache.py`) and links it into this process (`native.py`). With `VMLAB_JIT=0` the same module runs as
plain Python: slow, and the oracle for the compiled kernels. With `VMLAB_CHECKED=1` the module has a bounds
check around every access to host memory (`checks.py`, `checked.py`); otherwise there is none in it. With
`VMLAB_ENGINE=wasmtime`, and in the browser, they are a WebAssembly module (`wasm.py`, `wasm_engine.py`).
"""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from emulator.build.abi import ENTRIES
from emulator.build.arena import Arena, guarded
from emulator.build.cache import kernel_directory, write_whole
from emulator.build.checked import checked_function

Progress = Callable[[str, float], None]
# Written last: marks a directory in which everything has been compiled.
_COMPLETE = "complete"


class Engine:
    """The kernels. `hart`, `host` and `walk` are ctypes records of `emulator.state`.

    Those of a host lie in memory that `arena` gave.
    """

    # The address by which kernels know a record.
    _at: Callable[[Any], int] = staticmethod(ctypes.addressof)

    def __init__(
        self, functions: Mapping[str, Callable[..., int]], arena: Callable[[int], Arena] = guarded
    ) -> None:
        """Call these functions; `arena(size)` returns memory that they reach."""
        self.arena = arena
        self._run = functions["run"]
        self._translate = functions["translate"]
        self._flush = functions["flush"]
        self._flush_fast = functions["flush_fast"]
        self._pending = functions["pending"]
        self._cycles_to_timer = functions["cycles_to_timer"]
        self._read = functions["read"]
        self._write = functions["write"]
        self._hold = functions["hold"]
        self._release = functions["release"]
        self._adopt = functions["adopt"]

    def run(self, hart: ctypes.Structure, host: ctypes.Structure, budget: int) -> int:
        """Run a hart for at most `budget` cycles; return an EXIT_* reason. `hart.retired` has the cycles."""
        return self._run(self._at(hart), self._at(host), budget)

    def run_of(self, hart: ctypes.Structure, host: ctypes.Structure) -> Callable[[int], int]:
        """Return `run` for these two, which stay where they are in memory, with the budget alone to give."""
        return partial(self._run, self._at(hart), self._at(host))

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
        addresses = self._at(hart), self._at(host), self._at(walk)
        return self._translate(*addresses, va, access, priv, virt, sum_bit)

    def flush(self, hart: ctypes.Structure) -> None:
        """Empty a hart's TLBs and fast map."""
        self._flush(self._at(hart))

    def flush_fast(self, hart: ctypes.Structure) -> None:
        """Empty a hart's fast map only, which changes nothing that a guest could see."""
        self._flush_fast(self._at(hart))

    def pending(self, hart: ctypes.Structure, host: ctypes.Structure) -> int:
        """Return the interrupts that are pending now, as bits of mip."""
        return self._pending(self._at(hart), self._at(host))

    def cycles_to_timer(self, hart: ctypes.Structure, host: ctypes.Structure) -> int:
        """Return the cycles until stimecmp or vstimecmp raises its interrupt; all ones if never."""
        return self._cycles_to_timer(self._at(hart), self._at(host))

    def phys_read(self, host: ctypes.Structure, hpa: int, address: int, length: int) -> None:
        """Copy `length` bytes of RAM at `hpa` to a host address. The caller has checked the range."""
        self._read(self._at(host), hpa, address, length)

    def phys_write(self, host: ctypes.Structure, hpa: int, address: int, length: int) -> bool:
        """Copy bytes into RAM, dropping decoded code that they overwrite.

        False when the backing store is full.
        """
        return bool(self._write(self._at(host), hpa, address, length))

    def hold(self, host: ctypes.Structure, table: int, length: int) -> None:
        """Enter the slots of frames into a table of (frame, slot) pairs, u32 both, and hold them."""
        self._hold(self._at(host), table, length)

    def release(self, host: ctypes.Structure, table: int, length: int) -> None:
        """Stop holding the slots of a table."""
        self._release(self._at(host), table, length)

    def adopt(self, host: ctypes.Structure, table: int, length: int) -> None:
        """Let the frames of a table have the bytes of its slots."""
        self._adopt(self._at(host), table, length)


def load_engine(progress: Progress | None = None, checked: bool | None = None) -> Engine:
    """Return the engine, compiling the kernels if this machine has not done so yet.

    `progress(text, fraction)` is called while compiling. `checked` kernels raise KernelBoundsError when they
    leave their memory; if it is not given, `VMLAB_CHECKED=1` decides. Raises KernelCacheError when compiled
    kernels cannot be kept. In the browser, and with `VMLAB_ENGINE=wasmtime`, the engine is the WebAssembly
    module, which is never checked.
    """
    if sys.platform == "emscripten" or os.environ.get("VMLAB_ENGINE") == "wasmtime":
        from emulator.build.wasm_engine import load_core

        return load_core()
    if checked is None:
        checked = os.environ.get("VMLAB_CHECKED") == "1"
    plain = os.environ.get("VMLAB_JIT") == "0"
    functions = _plain_functions(checked) if plain else _native_functions(progress, checked)
    if checked:
        functions = {name: checked_function(name, function) for name, function in functions.items()}
    return Engine(functions)


def kernels_cached() -> bool:
    """Tell whether the next `load_engine` finds compiled kernels; numba is not imported to find out."""
    return (kernel_directory() / _COMPLETE).exists()


def kernel_module(checked: bool = False) -> Path:
    """Return the path of the generated module, writing it if it is not there. Raises KernelCacheError."""
    from emulator.build.generate import kernel_source

    path = kernel_directory(checked) / "vmlab_kernels.py"
    if not path.exists():
        write_whole(path, kernel_source(checked).encode())
    return path


def _plain_functions(checked: bool) -> dict[str, Callable[..., int]]:
    from emulator.build.compile import import_kernels

    return plain_functions(import_kernels(kernel_module(checked)))


def plain_functions(module: ModuleType) -> dict[str, Callable[..., int]]:
    """Return the entries of a kernel module that was imported with `VMLAB_JIT=0`."""
    return {name: partial(_call_plain, getattr(module, f"enter_{name}")) for name in ENTRIES}


def _call_plain(function: Callable[..., Any], *arguments: int) -> int:
    import numpy

    with numpy.errstate(over="ignore"):
        return int(function(*(numpy.uint64(argument) for argument in arguments)))


@cache
def _native_functions(progress: Progress | None, checked: bool) -> dict[str, Callable[..., int]]:
    from emulator.build.native import load_objects

    directory = kernel_directory(checked)
    if not (directory / _COMPLETE).exists():
        _compile(directory, progress, checked)
    symbols = dict(line.split() for line in (directory / _COMPLETE).read_text().splitlines())
    addresses = load_objects(
        {symbol: (directory / f"{name}.o").read_bytes() for name, symbol in symbols.items()},
        directory.name,
    )
    return {name: _prototype(count)(addresses[symbols[name]]) for name, count in ENTRIES.items()}


def _prototype(count: int) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_uint64, *[ctypes.c_uint64] * count)


def _compile(directory: Path, progress: Progress | None, checked: bool) -> None:
    from emulator.build.compile import import_kernels, object_code
    from emulator.build.native import define_bounds

    if checked:
        define_bounds()
    module = import_kernels(kernel_module(checked), progress)
    symbols: list[str] = []
    for name in ENTRIES:
        symbol, code = object_code(module, name)
        write_whole(directory / f"{name}.o", code)
        symbols.append(f"{name} {symbol}")
    write_whole(directory / _COMPLETE, "\n".join(symbols).encode())
