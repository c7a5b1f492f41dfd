"""Load compiled kernels: relocatable objects into this process, by LLVM's linker."""

from __future__ import annotations

import ctypes
import importlib
import os
from collections.abc import Mapping
from functools import cache
from typing import Any

from emulator.core.regions import BOUNDS_SYMBOL, bounds_location

# numba's wrappers refer to its run-time library for exceptions and reference counts. Kernels raise nothing
# and allocate nothing, so none of these is ever called.
_UNREACHABLE = (
    "NRT_Free", "NRT_MemInfo_call_dtor", "numba_do_raise", "numba_gil_ensure", "numba_gil_release",
    "numba_runtime_build_excinfo_struct", "numba_unpickle",
)  # fmt: skip


@ctypes.CFUNCTYPE(None)
def _unreachable() -> None:
    os.abort()


def define_bounds() -> None:
    """Tell LLVM where the record is that checked kernels name."""
    llvm: Any = importlib.import_module("llvmlite.binding")
    llvm.add_symbol(BOUNDS_SYMBOL, bounds_location())


@cache
def _execution_engine(kind: str) -> Any:
    """The linker that holds the code; it lives as long as the process, as the code has to.

    Each kind of kernels has its own, because their symbols have the same names.
    """
    llvm: Any = importlib.import_module("llvmlite.binding")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    for name in _UNREACHABLE:
        llvm.add_symbol(name, ctypes.cast(_unreachable, ctypes.c_void_p).value)
    define_bounds()
    machine = llvm.Target.from_default_triple().create_target_machine(jit=True)
    return llvm.create_mcjit_compiler(llvm.parse_assembly(""), machine)


def load_objects(objects: Mapping[str, bytes], kind: str) -> dict[str, int]:
    """Link the objects of one kind of kernels into this process; return the address of each symbol."""
    llvm: Any = importlib.import_module("llvmlite.binding")
    engine = _execution_engine(kind)
    for code in objects.values():
        engine.add_object_file(llvm.ObjectFileRef.from_data(code))
    engine.finalize_object()
    addresses = {symbol: engine.get_function_address(symbol) for symbol in objects}
    assert all(addresses.values())
    return addresses
