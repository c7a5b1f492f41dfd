"""Floating-point state: when it may be used, what makes it dirty, and the CSRs that show it."""

from typing import Any

import pytest

from emulator.core.csr_bits import EXT_F, FS, ILLEGAL_INSTRUCTION, LOAD_ACCESS, SD
from emulator.isa.assembler import assemble
from emulator.isa.encodings import BY_NAME
from emulator.state import EXIT_BUDGET, EXIT_MMIO, MMIO_ANSWERED, PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, Machine

OFF, INITIAL, CLEAN, DIRTY = (level << 13 for level in range(4))
LEVELS = (OFF, INITIAL, CLEAN, DIRTY)
MODES = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}
ONES = (1 << 64) - 1
ONE = 0x3FF0_0000_0000_0000
SIGNALLING = 0x7FF0_0000_0000_0001
READS = ("fsd fa0, (a0)", "fsw fa0, (a0)", "fmv.x.d a1, fa0", "fmv.x.w a1, fa0", "fclass.d a1, fa0",
         "feq.d a1, fa0, fa0", "frcsr a1", "frrm a1", "frflags a1", "fcvt.w.d a1, fa0")  # fmt: skip
WRITES = ("fld fa0, (a0)", "flw fa0, (a0)", "fmv.d.x fa0, a0", "fmv.w.x fa0, a0", "fadd.d fa0, fa0, fa0",
          "fsgnj.d fa0, fa0, fa1", "fcvt.d.w fa0, a0", "fmadd.d fa0, fa0, fa0, fa0", "fsqrt.d fa0, fa0",
          "fmin.d fa0, fa0, fa1", "fscsr a1", "fsrm a1", "fsflags a1", "fsflagsi 0", "fsrmi 1",
          "csrs fcsr, a1", "fcvt.s.d fa0, fa0", "c.fld fa0, (a0)")  # fmt: skip
RAISES = ("fdiv.d fa0, fa0, fa1", "fcvt.w.d a1, fa2", "flt.d a1, fa3, fa3")


def prepare(machine: Machine, mode: str, outer: int, inner: int) -> Any:
    """Enter a mode with these FS fields; fa0 is 1, fa2 is 1.5 and fa3 a signalling NaN."""
    hart = machine.enter(*MODES[mode])
    hart.mstatus = hart.mstatus & ~FS | outer
    hart.vsstatus = hart.vsstatus & ~FS | inner
    hart.x[10], hart.x[11] = DATA, 0
    hart.f[10], hart.f[12], hart.f[13] = ONE, ONE | 1 << 51, SIGNALLING
    hart.fcsr = 0
    return hart


def levels(hart: Any) -> tuple[int, int]:
    """Return mstatus.FS and vsstatus.FS."""
    return hart.mstatus & FS, hart.vsstatus & FS


def execute(machine: Machine, line: str) -> int | None:
    """Execute a line; return the cause of its trap, or None."""
    machine.hart.mcause = 99
    machine.step(line)
    return None if machine.hart.mcause == 99 else machine.hart.mcause


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("line", READS + WRITES)
def test_where_either_level_is_off_every_instruction_is_illegal(
    machine: Machine, mode: str, line: str
) -> None:
    virtual = MODES[mode][1]
    for outer, inner in [(OFF, DIRTY), (OFF, OFF)] + [(level, OFF) for level in LEVELS if virtual]:
        hart = prepare(machine, mode, outer, inner)
        before = list(hart.f), hart.fcsr, levels(hart), hart.x[11]
        assert execute(machine, line) == ILLEGAL_INSTRUCTION, (outer, inner)
        word = assemble(f".section .text\n{line}").segments[0].data
        assert hart.mtval == int.from_bytes(word[:4], "little")
        assert (list(hart.f), hart.fcsr, levels(hart), hart.x[11]) == before


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("line", WRITES)
def test_writing_makes_both_levels_dirty(machine: Machine, mode: str, line: str) -> None:
    for outer in (INITIAL, CLEAN, DIRTY):
        for inner in (INITIAL, CLEAN, DIRTY):
            hart = prepare(machine, mode, outer, inner)
            assert execute(machine, line) is None
            assert levels(hart) == (DIRTY, DIRTY if MODES[mode][1] else inner)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("line", READS)
def test_reading_leaves_both_levels(machine: Machine, mode: str, line: str) -> None:
    for level in (INITIAL, CLEAN, DIRTY):
        hart = prepare(machine, mode, level, level)
        assert execute(machine, line) is None
        assert levels(hart) == (level, level)


@pytest.mark.parametrize("line", RAISES)
def test_raising_a_flag_makes_dirty(machine: Machine, line: str) -> None:
    hart = prepare(machine, "S", CLEAN, CLEAN)
    assert execute(machine, line) is None
    assert hart.fcsr != 0
    assert levels(hart) == (DIRTY, CLEAN)


def test_faulting_load_changes_nothing(machine: Machine) -> None:
    hart = prepare(machine, "S", CLEAN, OFF)
    hart.x[10] = 1  # misaligned, and no RAM
    assert execute(machine, "fld fa0, (a0)") == LOAD_ACCESS
    assert (hart.f[10], levels(hart)) == (ONE, (CLEAN, OFF))


@pytest.mark.parametrize("level", LEVELS)
def test_status_registers_hold_the_level_and_summarize_it(machine: Machine, level: int) -> None:
    hart = prepare(machine, "M", DIRTY - level, DIRTY - level)
    hart.x[12] = ONES & ~FS | level
    machine.step("csrw mstatus, a2\n csrr a3, mstatus\n csrr a4, sstatus\n csrw mstatus, zero", steps=4)
    machine.step("csrw vsstatus, a2\n csrr a5, vsstatus", steps=2)
    for number in (13, 14, 15):
        assert hart.x[number] & (FS | SD) == (level | SD if level == DIRTY else level)


@pytest.mark.parametrize("register", ["mstatus", "sstatus", "vsstatus"])
def test_hart_without_f_has_no_level(machine: Machine, register: str) -> None:
    hart = prepare(machine, "M", OFF, OFF)
    hart.extensions &= ~EXT_F
    hart.x[12] = FS
    machine.step(f"csrs {register}, a2\n csrr a3, {register}", steps=2)
    assert hart.x[13] & (FS | SD) == 0
    assert execute(machine, "fmv.d.x fa0, a0") == ILLEGAL_INSTRUCTION


def test_csr_zero_does_not_exist(machine: Machine) -> None:
    prepare(machine, "M", DIRTY, DIRTY)
    assert execute(machine, "csrr a1, 0") == ILLEGAL_INSTRUCTION


def test_three_csrs_show_one_register(machine: Machine) -> None:
    hart = prepare(machine, "U", DIRTY, DIRTY)
    hart.x[11], hart.x[12], hart.x[13] = ONES, 2, 0b10101
    machine.step("fscsr a1\n frcsr a4\n frrm a5\n frflags a6\n fsrm a2\n fsflags a3\n frcsr a7", steps=7)
    assert list(hart.x[14:18]) == [0xFF, 7, 0x1F, 2 << 5 | 0b10101]


@pytest.mark.parametrize("line", ["fadd.d fa0, fa0, fa0", "fcvt.d.w fa0, a0, dyn", "fsqrt.s fa0, fa0"])
@pytest.mark.parametrize("frm", range(8))
def test_reserved_dynamic_rounding_modes_are_illegal(machine: Machine, line: str, frm: int) -> None:
    hart = prepare(machine, "U", DIRTY, DIRTY)
    hart.fcsr = frm << 5
    assert execute(machine, line) == (ILLEGAL_INSTRUCTION if frm > 4 else None)


@pytest.mark.parametrize("name", ["fadd.s", "fmadd.d", "fcvt.w.d", "fcvt.d.w", "fsqrt.d", "fcvt.d.s"])
@pytest.mark.parametrize("rm", [5, 6])
def test_reserved_static_rounding_modes_are_illegal(machine: Machine, name: str, rm: int) -> None:
    hart = prepare(machine, "U", DIRTY, DIRTY)
    row = BY_NAME[name]
    machine.store(CODE, row.match | rm << 12, 4)
    hart.pc, hart.mcause = CODE, 99
    machine.run(1)
    assert hart.mcause == ILLEGAL_INSTRUCTION


def test_instructions_that_do_not_round_ignore_a_reserved_mode(machine: Machine) -> None:
    hart = prepare(machine, "U", DIRTY, DIRTY)
    hart.fcsr = 7 << 5
    for line in ("fmin.d fa0, fa0, fa0", "feq.d a1, fa0, fa0", "fsgnj.s fa0, fa0, fa0", "fclass.s a1, fa0"):
        assert execute(machine, line) is None


def test_single_loads_are_boxed_and_single_stores_take_the_low_half(machine: Machine) -> None:
    hart = prepare(machine, "M", DIRTY, DIRTY)
    machine.store(DATA, 0x1122_3344_5566_7788)
    machine.step("flw fa0, (a0)\n fld fa1, (a0)\n fsw fa1, 12(a0)\n fsd fa0, 16(a0)", steps=4)
    assert list(hart.f[10:12]) == [0xFFFF_FFFF_5566_7788, 0x1122_3344_5566_7788]
    assert machine.load(DATA + 8) == 0x5566_7788 << 32
    assert machine.load(DATA + 16) == 0xFFFF_FFFF_5566_7788


@pytest.mark.parametrize("offset", [1, 4, 0xFFD])
def test_misaligned_accesses_reach_memory(machine: Machine, offset: int) -> None:
    hart = prepare(machine, "M", DIRTY, DIRTY)
    hart.x[10] = DATA + offset
    machine.step("fsd fa2, (a0)\n fld fa4, (a0)\n flw fa5, (a0)", steps=3)
    assert machine.load(DATA + offset) == hart.f[12] == hart.f[14]
    assert hart.f[15] == hart.f[12] & 0xFFFF_FFFF | ONES << 32 & ONES


def test_device_answers_a_load(machine: Machine) -> None:
    hart = prepare(machine, "M", CLEAN, CLEAN)
    hart.x[10] = 0x1000_0000
    machine.code("fld fa0, (a0)")
    hart.pc = CODE
    assert machine.run(1) == EXIT_MMIO
    assert levels(hart) == (CLEAN, CLEAN)
    hart.mmio_value, hart.mmio_state = 5, MMIO_ANSWERED
    assert machine.run(1) == EXIT_BUDGET
    assert (hart.f[10], hart.mstatus & FS) == (5, DIRTY)
