"""The kernels as a WebAssembly side module: the same generated text, another target.

numba translates the kernel module into LLVM's intermediate language (`NUMBA_OPT=0`: it leaves that as it
is); here it is made one module, given the data layout of wasm32, optimised for that and written as an object,
which `side_module.py` links. Addresses in records are 64-bit fields of which 32 bits count, so that LLVM
narrows the arithmetic on them. Floating point is that of `core/hostfloat.py` without multiply-add.

All of it happens in a child process (`python -m emulator.build.wasm DIRECTORY`): an input that LLVM's
WebAssembly backend does not like ends the process, and numba reads its settings when it is imported.
"""

from __future__ import annotations

import importlib
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from types import ModuleType
from typing import Any

from emulator.build.abi import ENTRIES, abi_number
from emulator.build.cache import core_directory, write_whole
from emulator.errors import VmLabError

Progress = Callable[[str, float], None]
NAME = "core.wasm"
TRIPLE = "wasm32-unknown-unknown"
# What every browser with WebAssembly has had since 2022, and Pyodide's own code needs.
FEATURES = "+bulk-memory,+bulk-memory-opt,+mutable-globals,+nontrapping-fptoint,+sign-ext"
_SETTINGS = {
    "NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": "", "NUMBA_OPT": "0", "NUMBA_DISABLE_JIT": "0",
    "NUMBA_LOOP_VECTORIZE": "0", "NUMBA_SLP_VECTORIZE": "0", "VMLAB_JIT": "1", "VMLAB_CHECKED": "0",
}  # fmt: skip

# References are counted for the owner of an array's memory. A record's arrays have none.
_RUNTIME = """
define linkonce_odr void @NRT_incref(ptr %owner) alwaysinline { ret void }
define linkonce_odr void @NRT_decref(ptr %owner) alwaysinline { ret void }
"""
# If the processor of the build has an instruction for it (`hostfloat.has_multiply_add`); wasm has none.
_NO_MULTIPLY_ADD = """
define linkonce_odr float @no_fma_f32(float %a, float %b, float %c) alwaysinline {
  ret float 0x7FF8000000000000
}
define linkonce_odr double @no_fma_f64(double %a, double %b, double %c) alwaysinline {
  ret double 0x7FF8000000000000
}
"""
# LLVM calls this for the upper half of a product (compiler-rt, `ti_int` multiplication: 128 times 128 bits).
_WIDE_MULTIPLY = """
define void @__multi3(ptr %product, i64 %a, i64 %a_high, i64 %b, i64 %b_high) {
  %a0 = and i64 %a, 4294967295
  %a1 = lshr i64 %a, 32
  %b0 = and i64 %b, 4294967295
  %b1 = lshr i64 %b, 32
  %p00 = mul i64 %a0, %b0
  %p01 = mul i64 %a0, %b1
  %p10 = mul i64 %a1, %b0
  %p11 = mul i64 %a1, %b1
  %carry = lshr i64 %p00, 32
  %middle = add i64 %p10, %carry
  %middle_low = and i64 %middle, 4294967295
  %middle_high = lshr i64 %middle, 32
  %other = add i64 %p01, %middle_low
  %other_high = lshr i64 %other, 32
  %partial = add i64 %p11, %middle_high
  %upper = add i64 %partial, %other_high
  %cross_a = mul i64 %a, %b_high
  %cross_b = mul i64 %a_high, %b
  %with_a = add i64 %upper, %cross_a
  %high = add i64 %with_a, %cross_b
  %low = mul i64 %a, %b
  store i64 %low, ptr %product
  %place = getelementptr i8, ptr %product, i32 8
  store i64 %high, ptr %place
  ret void
}
"""


class CoreBuildError(VmLabError):
    """The WebAssembly kernels could not be built; the message has the child's output."""


def core_module(progress: Progress | None = None) -> Path:
    """Return the path of the side module, building it if these sources have none (about a minute).

    Raises CoreBuildError, KernelCacheError.
    """
    path = core_directory() / NAME
    if path.exists():
        return path
    command = [sys.executable, "-m", "emulator.build.wasm", str(path.parent)]
    root = Path(__file__).resolve().parents[2]
    search = os.pathsep.join([str(root), *filter(None, [os.environ.get("PYTHONPATH")])])
    environment = {**os.environ, **_SETTINGS, "PYTHONPATH": search}
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True,
    ) as child:  # fmt: skip
        assert child.stdout is not None
        said = _follow(child.stdout, progress)
    if child.returncode or not path.exists():
        raise CoreBuildError(f"emulator/build/wasm.py ended with {child.returncode}:\n{said}".rstrip())
    return path


def _follow(lines: Iterable[str], progress: Progress | None) -> str:
    """Report the child's progress; return what else it said."""
    said: list[str] = []
    for line in lines:
        if re.fullmatch(r"\d\.\d+\n", line):
            if progress is not None:
                progress("Compiling the emulator core to WebAssembly (once per machine)", float(line))
        else:
            said.append(line)
    return "".join(said)


def build(directory: Path, progress: Progress | None = None) -> None:
    """Compile, link and write the module, in this process, whose environment has `_SETTINGS`."""
    from emulator.build.compile import import_kernels
    from emulator.build.generate import kernel_source
    from emulator.build.side_module import link

    source = directory / "vmlab_kernels.py"
    write_whole(source, kernel_source().encode())
    content = object_file(import_kernels(source, progress))
    write_whole(directory / NAME, link(content, [*ENTRIES, "abi"], "core.o"))


def object_file(module: ModuleType) -> bytes:
    """Return the compiled kernel module as a relocatable wasm32 object."""
    llvm: Any = importlib.import_module("llvmlite.binding")
    llvm.initialize_all_targets()
    llvm.initialize_all_asmprinters()
    machine = llvm.Target.from_triple(TRIPLE).create_target_machine(opt=3, reloc="pic", features=FEATURES)
    header = f'target triple = "{TRIPLE}"\ntarget datalayout = "{machine.target_data}"\n'

    def parse(text: str) -> Any:
        return llvm.parse_assembly(header + text)

    whole = parse(f"define i64 @abi() {{ ret i64 {abi_number()} }}")
    for name, count in ENTRIES.items():
        whole.link_in(parse(_entry(getattr(module, f"enter_{name}"), name, count)))
    for one in [*whole.functions, *whole.global_variables]:
        if not one.is_declaration and one.name not in (*ENTRIES, "abi"):
            one.linkage = "internal"
    _optimise(llvm, whole, machine)
    # After optimisation, which would take it for a multiplication like those that call it.
    whole.link_in(parse(_WIDE_MULTIPLY))
    whole.verify()
    return machine.emit_object(whole)


def _entry(kernel: Any, name: str, count: int) -> str:
    """The text of one entry and all that it calls, with a function that has the entry's C signature."""
    (overload,) = kernel.overloads.values()
    symbol = overload.fndesc.llvm_func_name
    text: str = overload.library.get_llvm_str()
    text = re.sub(r"^define [^\n]*@(NRT_\w+|nrt_atomic_\w+)\(.*?^}\n", "", text, flags=re.M | re.S)
    text = re.sub(r"^(target |declare [^\n]*@(NRT_\w+|llvm\.fma\.\w+)\()[^\n]*\n", "", text, flags=re.M)
    text = re.sub(r"@llvm\.fma\.(f32|f64)\(", r"@no_fma_\1(", text)
    parameters = ", ".join(f"i64 %p{number}" for number in range(count))
    return f"""{text}{_RUNTIME}{_NO_MULTIPLY_ADD}
define i64 @{name}({parameters}) {{
  %result = alloca i64
  %error = alloca ptr
  %status = call i32 @{symbol}(ptr %result, ptr %error, {parameters})
  %value = load i64, ptr %result
  ret i64 %value
}}
"""


def _optimise(llvm: Any, module: Any, machine: Any) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=3)
    # There are no vectors to be had, and unrolled loops only make the module larger.
    options.loop_vectorization = options.slp_vectorization = options.loop_unrolling = False
    builder = llvm.create_pass_builder(machine, options)
    builder.getModulePassManager().run(module, builder)


if __name__ == "__main__":
    build(Path(sys.argv[1]), lambda _, share: print(f"{share:.3f}", flush=True))
