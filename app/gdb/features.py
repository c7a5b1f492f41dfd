"""The registers of a vCPU as gdb is told about them: numbers, names, groups, and the target description.

Source: Debugging with GDB (13.1), appendix "Target Descriptions", section "RISC-V Features":
`org.gnu.gdb.riscv.cpu`, `.fpu`, `.csr` and `.virtual`. The CSRs are those of the CPU view, under the names
that the guest uses.
"""

from __future__ import annotations

from emulator.isa.registers import FLOAT_REGISTERS, REGISTERS
from emulator.lab.registers import WATCHED_CSRS

GENERAL = (*REGISTERS, "pc")  # what a `g` packet holds
FLOATS = (*FLOAT_REGISTERS, "fflags", "frm", "fcsr")
CSRS = tuple(name for name in WATCHED_CSRS if name != "fcsr")
NAMES = (*GENERAL, *FLOATS, *CSRS, "priv")  # by register number
REGISTER_BYTES = {name: 4 if name in FLOATS[32:] else 8 for name in NAMES}


def target_description() -> str:
    """Return target.xml."""
    number = iter(range(len(NAMES)))

    def feature(name: str, registers: tuple[str, ...]) -> str:
        rows = "".join(
            f'<reg name="{one}" bitsize="{8 * REGISTER_BYTES[one]}" regnum="{next(number)}"{_type(one)}/>'
            for one in registers
        )
        return f'<feature name="org.gnu.gdb.riscv.{name}">{rows}</feature>'

    parts = (
        feature("cpu", GENERAL),
        feature("fpu", FLOATS),
        feature("csr", CSRS),
        feature("virtual", ("priv",)),
    )
    return (
        '<?xml version="1.0"?><!DOCTYPE target SYSTEM "gdb-target.dtd"><target version="1.0">'
        f"<architecture>riscv:rv64</architecture>{''.join(parts)}</target>"
    )


def _type(name: str) -> str:
    if name in FLOAT_REGISTERS:
        return ' type="ieee_double"'
    if name in ("sp", "gp", "tp"):
        return ' type="data_ptr"'
    if name in CSRS:
        return ' type="uint64"'
    return ' type="code_ptr"' if name in ("pc", "ra") else ' type="int"'
