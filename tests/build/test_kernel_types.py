"""Every value in every kernel is an unsigned 64-bit integer, a truth value or a record.

numba makes float64 of uint64 with int64, and a wrong comparison of two integers of different signs, without a
word. Both begin with one signed value, so there must be none.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Compiles the kernels once more, with as little optimisation as can be: the stored object code has no types.
PROGRAM = """
import re
from numba.core import types
from numba.core.registry import CPUDispatcher
from emulator.build.compile import import_kernels
from emulator.build.engine import kernel_module

ALLOWED = (types.Boolean, types.Record, types.NestedArray, types.Function, types.Dispatcher, types.NoneType,
           types.BooleanLiteral)

def allowed(type):
    if isinstance(type, types.BaseTuple):
        return all(map(allowed, type))
    return type == types.uint64 or isinstance(type, ALLOWED)

module = import_kernels(kernel_module())
dispatchers = {name: value for name, value in vars(module).items() if isinstance(value, CPUDispatcher)}
print("kernels", len(dispatchers))
for name, dispatcher in dispatchers.items():
    for signature, result in dispatcher.overloads.items():
        for variable, type in result.type_annotation.typemap.items():
            if not allowed(type):
                print("wrong", name, variable, type)
"""


@pytest.mark.slow
def test_every_kernel_value_is_unsigned(project: Path) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        cwd=project,
        env={**os.environ, "NUMBA_OPT": "0", "VMLAB_JIT": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    heading, *wrong = run.stdout.splitlines()
    assert int(heading.split()[1]) > 100
    assert not wrong, "\n".join(wrong)
