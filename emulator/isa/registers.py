"""Integer and floating-point register names: RISC-V ABIs Specification 1.0, "Register Convention"."""

from collections.abc import Mapping

REGISTERS: tuple[str, ...] = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5",
    "a6", "a7", "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11", "t3", "t4", "t5", "t6",
)  # fmt: skip
FLOAT_REGISTERS: tuple[str, ...] = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7", "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4",
    "fa5", "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7", "fs8", "fs9", "fs10", "fs11", "ft8", "ft9",
    "ft10", "ft11",
)  # fmt: skip

# Every spelling an assembly program may use for an integer register.
REGISTER_NUMBERS: Mapping[str, int] = {
    **{name: number for number, name in enumerate(REGISTERS)},
    **{f"x{number}": number for number in range(32)},
    "fp": 8,
}
# The rounding mode of a floating-point instruction, as its text names it (Unprivileged ISA, chapter 20).
ROUNDING_MODES: Mapping[str, int] = {"rne": 0, "rtz": 1, "rdn": 2, "rup": 3, "rmm": 4, "dyn": 7}
FLOAT_REGISTER_NUMBERS: Mapping[str, int] = {
    **{name: number for number, name in enumerate(FLOAT_REGISTERS)},
    **{f"f{number}": number for number in range(32)},
}
