"""The one BOUNDS record of this process, which checked kernels look at and `build/checked.py` fills in.

Compiled kernels know it as a symbol that the linker resolves.
"""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from emulator.state import BOUNDS

BOUNDS_SYMBOL = "vmlab_bounds"


@cache
def process_bounds() -> Any:
    """Return the record."""
    return BOUNDS.struct()


def bounds_location() -> int:
    """Return the address of the record."""
    return ctypes.addressof(process_bounds())
