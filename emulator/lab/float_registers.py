"""A vCPU's floating-point registers: names, values, and what the bits mean as numbers.

Unprivileged ISA 20240411, chapters 20 and 21 ("NaN Boxing of Narrower Values"): a register whose upper half
is all ones holds a single-precision number, any other a double.
"""

from __future__ import annotations

import struct
from typing import Any

from emulator.core.csr_bits import FS
from emulator.isa.registers import FLOAT_REGISTERS, ROUNDING_MODES

BOXED = 0xFFFF_FFFF
FLAGS = ("NX", "UF", "OF", "DZ", "NV")
FCSR = "fcsr"


def float_values(record: Any) -> dict[str, int]:
    """Return the registers of a HART record by name; none while the guest has floating point off."""
    if not record.vsstatus & FS:
        return {}
    return {**dict(zip(FLOAT_REGISTERS, record.f, strict=True)), FCSR: record.fcsr}


def float_meaning(name: str, value: int) -> str:
    """Return what a register's bits mean."""
    if name == FCSR:
        return _control(value)
    if value >> 32 == BOXED:
        return f"single {struct.unpack('<f', struct.pack('<I', value & BOXED))[0]:.9g}"
    return f"double {struct.unpack('<d', struct.pack('<Q', value))[0]:.17g}"


def _control(value: int) -> str:
    modes = {number: name for name, number in ROUNDING_MODES.items() if name != "dyn"}
    raised = [flag for bit, flag in enumerate(FLAGS) if value >> bit & 1]
    return f"rounds {modes.get(value >> 5 & 7, 'in no valid mode')}, raised: {' '.join(raised) or 'none'}"
