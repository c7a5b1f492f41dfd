"""The WebAssembly kernels (`wasm.py`) as an engine: in the browser, and in CPython through wasmtime.

In the browser Python is WebAssembly too: `ctypes.CDLL` loads the module into the memory that Python runs in,
so that an address is an address. Elsewhere the package wasmtime runs the module in a memory of its own, and
what the kernels are to work on is allotted there (`linear.py`) or copied there for the time of a call.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from emulator.build.abi import ENTRIES, abi_number
from emulator.build.arena import Arena, plain
from emulator.build.engine import Engine
from emulator.build.linear import WASM_PAGE, LinearMemory
from emulator.errors import VmLabError
from emulator.state import HART, WALK

STACK_BYTES = 1 << 18
# Where the page's worker (static/js/engine/python.js) has put the module.
IN_BROWSER = "/lib/core.wasm"
_MASK = (1 << 64) - 1


class CoreModuleError(VmLabError):
    """The module is not there or not of this version: 'core.wasm: made for other record layouts; ...'."""


class StagedEngine(Engine):
    """Kernels with a memory of their own; what else they are to look at is copied for the time of a call."""

    def __init__(self, functions: Mapping[str, Callable[..., int]], memory: LinearMemory) -> None:
        """Call these functions, which work in `memory`."""
        super().__init__(functions, memory.arena)
        self._at = memory.offset_of
        self._stage = memory.arena(HART.size + WALK.size)

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
        """Walk the tables for one address, as `Engine.translate`."""
        stage = self._staged(HART.size + WALK.size)
        ctypes.memmove(stage.address, ctypes.addressof(hart), HART.size)
        places = stage.kernel_address, self._at(host), stage.kernel_address + HART.size
        hpa = self._translate(*places, va, access, priv, virt, sum_bit)
        ctypes.memmove(ctypes.addressof(walk), stage.address + HART.size, WALK.size)
        return hpa

    def phys_read(self, host: ctypes.Structure, hpa: int, address: int, length: int) -> None:
        """Copy RAM to an address of this process."""
        stage = self._staged(length)
        self._read(self._at(host), hpa, stage.kernel_address, length)
        ctypes.memmove(address, stage.address, length)

    def phys_write(self, host: ctypes.Structure, hpa: int, address: int, length: int) -> bool:
        """Copy bytes of this process into RAM; False when the backing store is full."""
        stage = self._staged(length)
        ctypes.memmove(stage.address, address, length)
        return bool(self._write(self._at(host), hpa, stage.kernel_address, length))

    def hold(self, host: ctypes.Structure, table: int, length: int) -> None:
        """Enter the slots of frames into a table, and hold them."""
        self._with_table(self._hold, host, table, length)

    def release(self, host: ctypes.Structure, table: int, length: int) -> None:
        """Stop holding the slots of a table."""
        self._with_table(self._release, host, table, length)

    def adopt(self, host: ctypes.Structure, table: int, length: int) -> None:
        """Let the frames of a table have the bytes of its slots."""
        self._with_table(self._adopt, host, table, length)

    def _with_table(
        self, kernel: Callable[..., int], host: ctypes.Structure, table: int, length: int
    ) -> None:
        stage = self._staged(length)
        ctypes.memmove(stage.address, table, length)
        kernel(self._at(host), stage.kernel_address, length)
        ctypes.memmove(table, stage.address, length)

    def _staged(self, length: int) -> Arena:
        if length > self._stage.size:
            self._stage = self.arena(length)
        return self._stage


def load_core(path: Path | None = None) -> Engine:
    """Return the engine of a side module; raise CoreModuleError when it does not fit.

    Without `path` it is `$VMLAB_CORE`, else `IN_BROWSER` there, and elsewhere what `wasm.core_module` builds.
    """
    chosen = path or os.environ.get("VMLAB_CORE")
    if sys.platform == "emscripten":
        return _in_this_memory(Path(chosen or IN_BROWSER))
    if chosen is None:
        from emulator.build.wasm import core_module

        chosen = core_module()
    return _in_wasmtime(Path(chosen))


def _in_this_memory(path: Path) -> Engine:
    try:
        library = ctypes.CDLL(str(path))
    except OSError as error:
        raise CoreModuleError(
            f"{path}: cannot be loaded ({error}); expected the file built with this page"
        ) from error
    functions = {name: getattr(library, name) for name in (*ENTRIES, "abi")}
    for name, function in functions.items():
        function.argtypes = [ctypes.c_uint64] * ENTRIES.get(name, 0)
        function.restype = ctypes.c_uint64
    _require_same_abi(path, functions["abi"]())
    return Engine(functions, plain)


def _in_wasmtime(path: Path) -> Engine:
    try:
        wasmtime: Any = importlib.import_module("wasmtime")
    except ImportError as error:
        raise CoreModuleError(
            "VMLAB_ENGINE=wasmtime needs the package wasmtime; run `make test`, which installs it"
        ) from error
    if not path.is_file():
        raise CoreModuleError(f"{path}: no such file; expected the WebAssembly kernels")
    store = wasmtime.Store(wasmtime.Engine())
    limits = wasmtime.Limits(STACK_BYTES // WASM_PAGE + 1, None)
    memory = wasmtime.Memory(store, wasmtime.MemoryType(limits))
    kind = wasmtime.GlobalType(wasmtime.ValType.i32(), True)
    # From here the stack goes down; page 0 stays empty, so that a null pointer never hits anything.
    given = {
        "memory": memory,
        "__stack_pointer": wasmtime.Global(store, kind, wasmtime.Val.i32(STACK_BYTES + WASM_PAGE)),
    }
    module = wasmtime.Module.from_file(store.engine, str(path))
    exports = wasmtime.Instance(store, module, [given[one.name] for one in module.imports]).exports(store)
    _require_same_abi(path, exports["abi"](store) & _MASK)
    base = ctypes.addressof(memory.data_ptr(store).contents)
    linear = LinearMemory(base, memory.data_len(store), partial(memory.grow, store), (store, memory))
    return StagedEngine({name: partial(_call, exports[name], store) for name in ENTRIES}, linear)


def _call(function: Callable[..., int], store: object, *arguments: int) -> int:
    return function(store, *arguments) & _MASK


def _require_same_abi(path: Path, found: int) -> None:
    if found & _MASK != abi_number():
        raise CoreModuleError(
            f"{path}: made for other record layouts ({found & _MASK:#x}; expected {abi_number():#x}); "
            "build it again with `make assets`, and reload the page"
        )
