"""Raw memory and record access: the only places where a kernel turns an integer into an address.

Under numba these are single machine instructions; with `VMLAB_JIT=0` they are ctypes calls with the same
meaning, so that the un-jitted kernels are the oracle for the compiled ones. Alignment of an address never
matters.
"""

import ctypes
import os
from typing import Any

import numpy as np
from numba import types
from numba.extending import intrinsic
from numba.np import numpy_support

from emulator.core.regions import BOUNDS_SYMBOL, bounds_location
from emulator.state import BOUNDS, HART, HOST, WALK, Layout

JIT = os.environ.get("VMLAB_JIT", "1") != "0"


def _jit_load(bits: int):
    @intrinsic
    def load(typingctx, address):
        def codegen(context, builder, signature, args):
            from llvmlite import ir

            pointer = builder.inttoptr(args[0], ir.IntType(bits).as_pointer())
            value = builder.load(pointer)
            value.align = 1
            return builder.zext(value, ir.IntType(64)) if bits < 64 else value

        return types.uint64(types.uint64), codegen

    return load


def _jit_store(bits: int):
    @intrinsic
    def store(typingctx, address, value):
        def codegen(context, builder, signature, args):
            from llvmlite import ir

            pointer = builder.inttoptr(args[0], ir.IntType(bits).as_pointer())
            word = builder.trunc(args[1], ir.IntType(bits)) if bits < 64 else args[1]
            builder.store(word, pointer).align = 1
            return context.get_dummy_value()

        return types.void(types.uint64, types.uint64), codegen

    return store


def _jit_record(layout: Layout):
    record = numpy_support.from_dtype(layout.dtype)

    @intrinsic
    def record_at(typingctx, address):
        def codegen(context, builder, signature, args):
            return builder.inttoptr(args[0], context.get_value_type(record))

        return record(types.uint64), codegen

    return record_at


@intrinsic
def _jit_leading_zeros(typingctx, value):
    """`llvm.ctlz`: one instruction on every target, 64 for zero."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir

        return builder.ctlz(args[0], ir.Constant(ir.IntType(1), 0))

    return types.uint64(types.uint64), codegen


@intrinsic
def _jit_bounds_address(typingctx):
    """The address of the process's BOUNDS record, which the linker fills in (checked kernels only)."""

    def codegen(context, builder, signature, args):
        from llvmlite import ir

        module = builder.module
        record = module.globals.get(BOUNDS_SYMBOL)
        if record is None:
            record = ir.GlobalVariable(module, ir.IntType(64), BOUNDS_SYMBOL)
        return builder.ptrtoint(record, ir.IntType(64))

    return types.uint64(), codegen


def _plain_bounds_address() -> Any:
    return np.uint64(bounds_location())


def _plain_leading_zeros(value: Any) -> Any:
    return np.uint64(64 - int(value).bit_length())


def _plain_load(bits: int):
    cell = {8: ctypes.c_uint8, 16: ctypes.c_uint16, 32: ctypes.c_uint32, 64: ctypes.c_uint64}[bits]

    def load(address: Any) -> Any:
        return np.uint64(cell.from_address(int(address)).value)

    return load


def _plain_store(bits: int):
    cell = {8: ctypes.c_uint8, 16: ctypes.c_uint16, 32: ctypes.c_uint32, 64: ctypes.c_uint64}[bits]

    def store(address: Any, value: Any) -> None:
        cell.from_address(int(address)).value = int(value)

    return store


def _plain_record(layout: Layout):
    def record_at(address: Any) -> Any:
        memory = (ctypes.c_char * layout.size).from_address(int(address))
        return np.frombuffer(memory, layout.dtype).view(np.recarray)[0]

    return record_at


_load, _store, _record = (
    (_jit_load, _jit_store, _jit_record) if JIT else (_plain_load, _plain_store, _plain_record)
)

load_u8, load_u16, load_u32, load_u64 = _load(8), _load(16), _load(32), _load(64)
store_u8, store_u16, store_u32, store_u64 = _store(8), _store(16), _store(32), _store(64)
leading_zeros = _jit_leading_zeros if JIT else _plain_leading_zeros
hart_at, host_at, walk_at = _record(HART), _record(HOST), _record(WALK)
bounds_at = _record(BOUNDS)
bounds_address = _jit_bounds_address if JIT else _plain_bounds_address
