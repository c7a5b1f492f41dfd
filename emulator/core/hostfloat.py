"""Arithmetic of the host's floating-point unit on register contents.

The one place where kernels meet floating point. Every function takes and returns integers. The host rounds to
nearest; it sets no flags that we look at, and the bits of its NaNs mean nothing. Under numba each function is
one machine instruction between moves; with `VMLAB_JIT=0` numpy does the same. Only multiply-add is not
everywhere: where the processor lacks it (WebAssembly does) LLVM would call the C library, so there it gives a
NaN, which sends the caller to `softfloat`.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import types
from numba.core import config
from numba.extending import intrinsic

from emulator.core.intrinsics import JIT

BOX, WORD, LONG = 0xFFFF_FFFF_0000_0000, 0xFFFF_FFFF, 0xFFFF_FFFF_FFFF_FFFF
NAN = 0xFFFF_FFFF_FFFF_FFFF  # a NaN in either format


class _Emitter:
    """Reads registers as numbers and writes numbers as registers, in LLVM's intermediate language."""

    def __init__(self, builder: Any) -> None:
        from llvmlite import ir

        self.ir = builder
        self.word, self.long = ir.IntType(32), ir.IntType(64)
        self.kinds = {"s": ir.FloatType(), "d": ir.DoubleType()}

    def read(self, register: Any, kind: str) -> Any:
        bits = self.ir.trunc(register, self.word) if kind == "s" else register
        return self.ir.bitcast(bits, self.kinds[kind])

    def write(self, number: Any, kind: str) -> Any:
        if kind == "d":
            return self.ir.bitcast(number, self.long)
        return self.ir.or_(self.ir.zext(self.ir.bitcast(number, self.word), self.long), self.long(BOX))

    def call(self, name: str, numbers: list[Any]) -> Any:
        """Call an LLVM intrinsic whose operands and result are of one type."""
        from llvmlite import ir

        kind = numbers[0].type
        signature = ir.FunctionType(kind, [kind] * len(numbers))
        return self.ir.call(self.ir.module.declare_intrinsic(name, [kind], signature), numbers)


def _intrinsic(operands: int, emit: Callable[..., Any]) -> Any:
    """Make a function of `operands` registers of what `emit(emitter, *registers)` emits."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return emit(_Emitter(builder), *args)

    def typed() -> Any:
        return types.uint64(*[types.uint64] * operands), codegen

    if operands == 1:
        return intrinsic(lambda typingctx, a: typed())
    if operands == 2:
        return intrinsic(lambda typingctx, a, b: typed())
    return intrinsic(lambda typingctx, a, b, c: typed())


def _read(register: Any, kind: str) -> Any:
    if kind == "s":
        return np.uint32(int(register) & WORD).view(np.float32)
    return np.uint64(register).view(np.float64)


def _write(number: Any, kind: str) -> Any:
    return np.uint64(BOX | int(number.view(np.uint32))) if kind == "s" else number.view(np.uint64)


def _plain(function: Callable[..., Any]) -> Callable[..., Any]:
    def host(*registers: Any) -> Any:
        with np.errstate(all="ignore"):
            return function(*registers)

    return host


def _arithmetic(operands: int, emit: Callable[..., Any], ufunc: Any, kind: str) -> Any:
    """A number of numbers of the same format."""
    if JIT:
        return _intrinsic(
            operands, lambda on, *r: on.write(emit(on, *(on.read(one, kind) for one in r)), kind)
        )
    return _plain(lambda *registers: _write(ufunc(*(_read(one, kind) for one in registers)), kind))


def _add(kind: str) -> Any:
    return _arithmetic(2, lambda on, a, b: on.ir.fadd(a, b), np.add, kind)


def _subtract(kind: str) -> Any:
    return _arithmetic(2, lambda on, a, b: on.ir.fsub(a, b), np.subtract, kind)


def _multiply(kind: str) -> Any:
    return _arithmetic(2, lambda on, a, b: on.ir.fmul(a, b), np.multiply, kind)


def _divide(kind: str) -> Any:
    return _arithmetic(2, lambda on, a, b: on.ir.fdiv(a, b), np.divide, kind)


def _square_root(kind: str) -> Any:
    return _arithmetic(1, lambda on, a: on.call("llvm.sqrt", [a]), np.sqrt, kind)


def has_multiply_add() -> bool:
    """Tell whether the processor that numba compiles for multiplies and adds in one instruction."""
    from llvmlite import binding

    machine = binding.get_default_triple().split("-")[0]
    if machine in ("aarch64", "arm64"):
        return True
    if config.CPU_FEATURES is not None:
        features = config.CPU_FEATURES.split(",")
    else:
        features = binding.get_host_cpu_features().flatten().split(",")
    if config.CPU_NAME not in (None, "host"):
        return machine == "x86_64" and config.CPU_NAME in ("x86-64-v3", "x86-64-v4")
    return machine == "x86_64" and "+fma" in features


def _multiply_add(kind: str) -> Any:
    if not JIT:
        return lambda a, b, c: np.uint64(NAN)
    if not has_multiply_add():
        return _intrinsic(3, lambda on, a, b, c: on.long(NAN))
    return _arithmetic(3, lambda on, a, b, c: on.call("llvm.fma", [a, b, c]), None, kind)


def _compare(relation: str, ufunc: Any, kind: str) -> Any:
    """1 or 0; 0 for a NaN."""

    def emit(on: _Emitter, a: Any, b: Any) -> Any:
        return on.ir.zext(on.ir.fcmp_ordered(relation, on.read(a, kind), on.read(b, kind)), on.long)

    if JIT:
        return _intrinsic(2, emit)
    return _plain(lambda a, b: np.uint64(ufunc(_read(a, kind), _read(b, kind))))


def _ordered(kind: str) -> Any:
    return _compare("ord", lambda a, b: not (np.isnan(a) or np.isnan(b)), kind)


def _to_integer(kind: str, bits: int) -> Any:
    """Toward zero, sign-extended. Anything, if the number is not in range."""

    def emit(on: _Emitter, a: Any) -> Any:
        if bits == 64:
            return on.ir.fptosi(on.read(a, kind), on.long)
        return on.ir.sext(on.ir.fptosi(on.read(a, kind), on.word), on.long)

    def plain(a: Any) -> Any:
        number = _read(a, kind)
        return np.uint64(int(number) & LONG if np.isfinite(number) else 0)

    return _intrinsic(1, emit) if JIT else plain


def _from_integer(kind: str, bits: int) -> Any:
    """From a signed integer of 32 or 64 bits."""

    def emit(on: _Emitter, a: Any) -> Any:
        integer = on.ir.trunc(a, on.word) if bits == 32 else a
        return on.write(on.ir.sitofp(integer, on.kinds[kind]), kind)

    def plain(a: Any) -> Any:
        integer = np.uint32(int(a) & WORD).view(np.int32) if bits == 32 else np.uint64(a).view(np.int64)
        return _write({"s": np.float32, "d": np.float64}[kind](integer), kind)

    return _intrinsic(1, emit) if JIT else plain


def _narrow() -> Any:
    if JIT:
        return _intrinsic(1, lambda on, a: on.write(on.ir.fptrunc(on.read(a, "d"), on.kinds["s"]), "s"))
    return _plain(lambda a: _write(np.float32(_read(a, "d")), "s"))


def _widen() -> Any:
    if JIT:
        return _intrinsic(1, lambda on, a: on.write(on.ir.fpext(on.read(a, "s"), on.kinds["d"]), "d"))
    return _plain(lambda a: _write(np.float64(_read(a, "s")), "d"))


host_fadd_s, host_fadd_d = _add("s"), _add("d")
host_fsub_s, host_fsub_d = _subtract("s"), _subtract("d")
host_fmul_s, host_fmul_d = _multiply("s"), _multiply("d")
host_fdiv_s, host_fdiv_d = _divide("s"), _divide("d")
host_fsqrt_s, host_fsqrt_d = _square_root("s"), _square_root("d")
host_fmadd_s, host_fmadd_d = _multiply_add("s"), _multiply_add("d")
host_feq_s, host_feq_d = _compare("==", np.equal, "s"), _compare("==", np.equal, "d")
host_flt_s, host_flt_d = _compare("<", np.less, "s"), _compare("<", np.less, "d")
host_fle_s, host_fle_d = _compare("<=", np.less_equal, "s"), _compare("<=", np.less_equal, "d")
host_ordered_s, host_ordered_d = _ordered("s"), _ordered("d")
host_fcvt_w_s, host_fcvt_w_d = _to_integer("s", 32), _to_integer("d", 32)
host_fcvt_l_s, host_fcvt_l_d = _to_integer("s", 64), _to_integer("d", 64)
host_fcvt_s_w, host_fcvt_d_w = _from_integer("s", 32), _from_integer("d", 32)
host_fcvt_s_l, host_fcvt_d_l = _from_integer("s", 64), _from_integer("d", 64)
host_fcvt_s_d, host_fcvt_d_s = _narrow(), _widen()
