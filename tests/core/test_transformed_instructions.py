"""mtinst and htinst: the trapping load, store or atomic as the standard transforms it (18.6.3)."""

import pytest

from emulator.core.csr_bits import (
    LOAD_ACCESS,
    LOAD_GUEST_PAGE,
    LOAD_PAGE,
    STORE_ACCESS,
    STORE_GUEST_PAGE,
    STORE_MISALIGNED,
    STORE_PAGE,
)
from emulator.isa.encodings import BY_NAME, decode, encode, expand
from emulator.state import PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, USER, Tables

NOWHERE = 0x30_0000_0000
# a0 (x10) holds the address; the operand registers are such that a mixed-up field shows.
LINES = [
    *(f"{name} s11, 40(a0)" for name in ("lb", "lh", "lw", "ld", "lbu", "lhu", "lwu")),
    *(f"{name} s11, -40(a0)" for name in ("sb", "sh", "sw", "sd")),
    *(f"{name} a3, (a0)" for name in ("lr.w", "lr.d.aq", "lr.d.aqrl")),
    *(f"{name} a3, s10, (a0)" for name in ("sc.w", "sc.d.rl", "amoswap.w", "amoadd.d.aq", "amomaxu.d.aqrl")),
    "flw fs11, 40(a0)", "fld fs11, 40(a0)", "fsw fs11, -40(a0)", "fsd fs11, -40(a0)",
]  # fmt: skip
COMPRESSED = [
    "c.lw a3, 64(a0)", "c.ld a3, 64(a0)", "c.sw a3, 64(a0)", "c.sd a3, 64(a0)", "c.fld fa3, 64(a0)",
    "c.fsd fa3, 64(a0)", "c.lwsp s11, 64(sp)", "c.ldsp s11, 64(sp)", "c.swsp s11, 64(sp)",
    "c.sdsp s11, 64(sp)", "c.fldsp fs11, 64(sp)", "c.fsdsp fs11, 64(sp)",
]  # fmt: skip


def transformed(word: int, offset: int = 0) -> int:
    """Transform by encoding the instruction again without address and immediate."""
    decoded = decode(word)
    assert decoded is not None
    row, operands = decoded
    base, full = expand(row, operands)
    kept = {name: value for name, value in full.items() if name not in ("rs1", "imm")}
    result = encode(base, kept | {"rs1": offset})
    return result & ~2 if row.length == 2 else result


def guest(machine: Machine) -> None:
    """A guest without a VS-stage, most of whose memory is missing."""
    host = Tables(machine, TABLES, stage2=True)
    host.map(CODE, CODE, USER)
    machine.delegate()
    hart = machine.enter(PRIV_S, 1)
    hart.hgatp = host.register()
    hart.mstatus = hart.vsstatus = 3 << 13
    hart.x[10] = hart.x[2] = NOWHERE


@pytest.mark.parametrize("line", [*LINES, *COMPRESSED])
def test_guest_page_fault_of_an_explicit_access(machine: Machine, line: str) -> None:
    guest(machine)
    hart = machine.hart
    machine.step(line)
    word = machine.load(CODE, 4)
    assert hart.scause in (LOAD_GUEST_PAGE, STORE_GUEST_PAGE)
    assert hart.htinst == transformed(word if word & 3 == 3 else word & 0xFFFF)
    assert hart.htval == hart.stval >> 2


@pytest.mark.parametrize("line", LINES)
def test_page_fault_of_a_user(machine: Machine, line: str) -> None:
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE, USER)
    hart = machine.enter(PRIV_U)
    hart.satp, hart.mstatus, hart.x[10] = tables.register(), 3 << 13, NOWHERE
    machine.step(line)
    assert hart.mcause in (LOAD_PAGE, STORE_PAGE)
    assert (hart.mtinst, hart.mtval2) == (transformed(machine.load(CODE, 4)), 0)


@pytest.mark.parametrize(
    "line", ["hlv.bu s11, (a0)", "hlvx.wu s11, (a0)", "hlv.d s11, (a0)", "hsv.w s11, (a0)"]
)
def test_hypervisor_load_and_store(machine: Machine, line: str) -> None:
    guest(machine)
    hart = machine.enter(PRIV_S)
    machine.step(line)
    assert hart.scause in (LOAD_GUEST_PAGE, STORE_GUEST_PAGE)
    assert hart.htinst == transformed(machine.load(CODE, 4))


@pytest.mark.parametrize(("line", "size"), [("ld s11, (a0)", 8), ("sw s11, (a0)", 4), ("hlv.d s11, (a0)", 8)])
@pytest.mark.parametrize("before", [1, 2, 3])
def test_misaligned_access_says_how_far_it_got(machine: Machine, line: str, size: int, before: int) -> None:
    guest(machine)
    host = Tables(machine, TABLES, stage2=True)
    host.map(CODE, CODE, USER)
    host.map(NOWHERE, DATA, USER)
    hart = machine.enter(PRIV_S, 0 if line.startswith("h") else 1)
    hart.x[10] = NOWHERE + 0x1000 - before
    for _ in range(2):
        machine.step(line)
        assert hart.htinst == transformed(machine.load(CODE, 4), before)
        assert hart.stval == NOWHERE + 0x1000
        machine.enter(PRIV_S, 0 if line.startswith("h") else 1)
    # The next fault knows nothing of it.
    hart.x[10] = NOWHERE + 0x1000
    machine.step(line)
    assert hart.htinst == transformed(machine.load(CODE, 4), 0)
    assert size > before


def test_access_fault_and_misaligned_atomic(machine: Machine) -> None:
    hart = machine.hart
    hart.x[10] = DATA + 2
    machine.step("amoadd.d a3, s10, (a0)")
    assert (hart.mcause, hart.mtinst) == (STORE_MISALIGNED, transformed(machine.load(CODE, 4)))
    hart.x[10] = 0x5000
    for line, cause in (("lr.w a3, (a0)", LOAD_ACCESS), ("sc.w a3, a4, (a0)", STORE_ACCESS)):
        machine.step(line)
        assert (hart.mcause, hart.mtinst) == (cause, transformed(machine.load(CODE, 4)))


@pytest.mark.parametrize("line", ["ebreak", "ecall", ".word 0", "jr a0"])
def test_other_exceptions_leave_zero(machine: Machine, line: str) -> None:
    guest(machine)
    machine.hart.htinst = 7
    machine.step(line, steps=2 if line == "jr a0" else 1)
    assert machine.hart.htinst == 0


def test_interrupt_leaves_zero(machine: Machine) -> None:
    machine.delegate()
    hart = machine.enter(PRIV_U)
    hart.htinst, hart.htval, hart.mip, hart.mie = 7, 7, 2, 2
    machine.step("nop")
    assert (hart.htinst, hart.htval, hart.stval) == (0, 0, 0)


def test_instruction_that_straddles_pages_is_read_from_both(machine: Machine) -> None:
    guest(machine)
    host = Tables(machine, TABLES, stage2=True)
    host.map(CODE, CODE, USER, pages=2)
    address = CODE + 0xFFE
    machine.step("lw s11, 8(a0)", address=address)
    assert machine.hart.htinst == transformed(machine.load(address, 4))


def test_page_fault_of_a_guest_leaves_the_hosts_register_alone(machine: Machine) -> None:
    guest(machine)
    machine.delegate(to_guest=True)
    tables = Tables(machine, TABLES + 0x4_0000)
    tables.map(CODE, CODE, LEAF)
    machine.hart.hgatp, machine.hart.vsatp, machine.hart.htinst = 0, tables.register(), 7
    machine.step("lw s11, 8(a0)")
    assert (machine.hart.vscause, machine.hart.htinst) == (LOAD_PAGE, 7)


def test_table_of_transformations_covers_every_access() -> None:
    names = {line.split()[0].removesuffix(".aqrl").removesuffix(".aq").removesuffix(".rl") for line in LINES}
    kinds = {row.kind for row in BY_NAME.values() if row.width} - {"hload", "hstore"}
    assert {BY_NAME[name].kind for name in names} == kinds
