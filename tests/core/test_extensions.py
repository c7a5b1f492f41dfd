"""Harts without some extension: its instructions are illegal, its registers and fields are gone."""

from collections.abc import Iterable

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_CBCFE,
    ENVCFG_CBIE,
    ENVCFG_CBZE,
    ENVCFG_FIOM,
    ENVCFG_PBMTE,
    ENVCFG_STCE,
    FS,
    GVA,
    ILLEGAL_INSTRUCTION,
    INSTRUCTION_MISALIGNED,
    MPV,
)
from emulator.isa.encodings import COMPRESSED, TABLE
from emulator.isa.extensions import DEFAULT_ISA, NAMES, Isa, extension_bit, parse_isa
from emulator.isa.instruction import Instruction
from emulator.state import PRIV_M
from tests.core.machine import CODE, DATA, Machine

ONES = (1 << 64) - 1
FOUR_BYTES = [row for row in TABLE if row.kind not in ("branch", "jal", "jalr") and row.name != "wfi"]


def take_away(machine: Machine, *names: str) -> None:
    machine.hart.extensions &= ~sum(map(extension_bit, names))


def run_word(machine: Machine, word: int) -> int | None:
    """Execute a word with every register at DATA; return the cause of its trap, or None."""
    hart = machine.enter(PRIV_M)
    machine.store(CODE, word, 4)
    hart.pc, hart.mcause, hart.mstatus = CODE, 99, FS
    for register in range(1, 32):
        hart.x[register] = DATA
    hart.mepc = hart.sepc = DATA
    machine.run(1)
    return None if hart.mcause == 99 else hart.mcause


def example(row: Instruction) -> int:
    """A word of a row: every register field is 8 to 15, an immediate is small."""
    word = row.match
    for name, segments in row.fields.items():
        if name not in ("rd", "rs1", "rs2", "fd", "fs1", "fs2", "fs3"):
            continue
        value = 2 if row.is_compact(name) else 10
        for low, position, width in segments:
            word |= (value >> low & (1 << width) - 1) << position
    if "csr" in row.fields:
        word |= 0x340 << 20
    if row.length == 2 and "imm" in row.fields:
        low, position, _ = next(segment for segment in row.fields["imm"] if segment[0] >= 3 or row.width == 0)
        word |= 1 << position
        assert low >= 0
    return word


def illegal_rows(machine: Machine, rows: Iterable[Instruction]) -> set[str]:
    return {row.name for row in rows if run_word(machine, example(row)) == ILLEGAL_INSTRUCTION}


def test_nothing_is_illegal_on_a_hart_with_everything(machine: Machine) -> None:
    assert illegal_rows(machine, FOUR_BYTES) == set()


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("i", "zicsr", "c", "b")])
def test_instructions_go_with_their_extension(machine: Machine, name: str) -> None:
    take_away(machine, name)
    mine = {row.name for row in FOUR_BYTES if row.extension.lower() == name}
    if name == "h":
        mine |= {"hinval.vvma", "hinval.gvma"}
    if name == "f":
        # Nor is there an fcsr or FS without F.
        mine |= {row.name for row in FOUR_BYTES if row.extension == "D"} & illegal_rows(machine, FOUR_BYTES)
    assert illegal_rows(machine, FOUR_BYTES) == mine


def test_compressed_instructions_need_c_and_what_they_stand_for(machine: Machine) -> None:
    rows = [row for row in COMPRESSED if row.kind in ("load", "store", "alu", "alui", "fpload", "fpstore")]
    assert illegal_rows(machine, rows) == set()
    take_away(machine, "d", "f")
    assert illegal_rows(machine, rows) == {row.name for row in rows if row.kind.startswith("fp")}
    machine.fence()
    take_away(machine, "c")
    assert illegal_rows(machine, rows) == {row.name for row in rows}


def csr(machine: Machine, line: str) -> int | None:
    """Execute a CSR instruction in M-mode; return the cause of its trap, or None."""
    hart = machine.enter(PRIV_M)
    hart.mcause = 99
    machine.step(line)
    return None if hart.mcause == 99 else hart.mcause


@pytest.mark.parametrize(
    ("extension", "registers"),
    [
        (
            "h",
            ["hstatus", "hgatp", "vsatp", "vstimecmp", "mtinst", "mtval2", "hstateen0", "hgeip"],
        ),
        ("sstc", ["stimecmp", "vstimecmp"]),
        ("zicntr", ["cycle", "time", "instret"]),
        ("zihpm", ["hpmcounter3", "hpmcounter31"]),
        ("smstateen", ["mstateen0", "mstateen3"]),
        ("ssstateen", ["sstateen0", "sstateen3", "hstateen1"]),
    ],
)
def test_registers_go_with_their_extension(machine: Machine, extension: str, registers: list[str]) -> None:
    for register in registers:
        assert csr(machine, f"csrr a0, {register}") is None
    take_away(machine, extension)
    for register in registers:
        assert csr(machine, f"csrr a0, {register}") == ILLEGAL_INSTRUCTION


def kept(machine: Machine, register: str) -> int:
    """Return what a register keeps of all ones."""
    machine.hart.x[11] = ONES
    assert csr(machine, f"csrw {register}, a1") is None
    assert csr(machine, f"csrr a0, {register}") is None
    return machine.hart.x[10]


@pytest.mark.parametrize(
    ("extension", "fields"),
    [
        ("zicbom", ENVCFG_CBIE | ENVCFG_CBCFE),
        ("zicboz", ENVCFG_CBZE),
        ("svpbmt", ENVCFG_PBMTE),
        ("svadu", ENVCFG_ADUE),
        ("sstc", ENVCFG_STCE),
    ],
)
def test_fields_of_envcfg_go_with_their_extension(machine: Machine, extension: str, fields: int) -> None:
    everything = kept(machine, "menvcfg")
    assert everything & fields == fields
    assert everything & ENVCFG_FIOM
    take_away(machine, extension)
    assert kept(machine, "menvcfg") == everything & ~fields
    assert kept(machine, "henvcfg") == everything & ~fields
    assert kept(machine, "senvcfg") & fields == 0


def test_without_h_machine_mode_knows_no_guests(machine: Machine) -> None:
    take_away(machine, "h")
    assert kept(machine, "mstatus") & (MPV | GVA) == 0
    assert kept(machine, "medeleg") == 0xB3FF
    assert kept(machine, "mideleg") == 0x222
    assert kept(machine, "mie") == 0xAAA
    machine.enter(PRIV_M)
    assert csr(machine, "csrr a0, misa") is None
    assert not machine.hart.x[10] >> 7 & 1


def test_without_f_the_floating_point_state_is_off(machine: Machine) -> None:
    take_away(machine, "f", "d")
    assert kept(machine, "sstatus") & FS == 0
    assert csr(machine, "csrr a0, fcsr") == ILLEGAL_INSTRUCTION


def test_without_c_pc_and_epc_are_multiples_of_four(machine: Machine) -> None:
    take_away(machine, "c")
    for register in ("mepc", "sepc", "vsepc"):
        assert kept(machine, register) == ONES - 3


@pytest.mark.parametrize(
    ("line", "target"),
    [
        ("jal ra, .+6", CODE + 6),
        ("jalr ra, 2(a1)", DATA + 2),
        ("jalr ra, 3(a1)", DATA + 2),
        ("jr a0", DATA + 6),
        ("beq a0, a0, .+10", CODE + 10),
        ("bne a0, a1, .-6", CODE - 6),
        ("blt a1, a0, .+2046", CODE + 2046),
        ("bge a0, a1, .+6", CODE + 6),
        ("bltu a1, a0, .+6", CODE + 6),
        ("bgeu a0, a1, .+6", CODE + 6),
    ],
)
def test_without_c_a_jump_to_an_odd_halfword_traps_at_the_jump(
    machine: Machine, line: str, target: int
) -> None:
    take_away(machine, "c")
    hart = machine.enter(PRIV_M)
    hart.x[1], hart.x[10], hart.x[11] = 99, DATA + 6, DATA
    machine.step(line)
    assert (hart.mcause, hart.mepc, hart.mtval) == (INSTRUCTION_MISALIGNED, CODE, target)
    assert hart.x[1] == 99, "the link register is not written"


@pytest.mark.parametrize(
    ("line", "pc", "link"),
    [
        ("beq a0, a1, .+6", CODE + 4, 99),
        ("bltu a0, a1, .-6", CODE + 4, 99),
        ("bne a0, a1, .+8", CODE + 8, 99),
        ("jal ra, .+8", CODE + 8, CODE + 4),
        ("jalr ra, 4(a1)", DATA + 4, CODE + 4),
        ("jalr ra, 5(a1)", DATA + 4, CODE + 4),
        ("jalr a1, 4(a1)", DATA + 4, 99),
    ],
)
def test_without_c_other_jumps_are_as_with_it(machine: Machine, line: str, pc: int, link: int) -> None:
    machine.code("nop\n nop", DATA)
    for without in ("zba", "c"):
        take_away(machine, without)
        hart = machine.enter(PRIV_M)
        hart.x[1], hart.x[10], hart.x[11] = 99, DATA + 6, DATA
        machine.step(line)
        assert (hart.pc, hart.x[1]) == (pc, link)
        machine.fence()


@pytest.mark.parametrize("text", ["rv64i", "rv64imac", "rv64gc_zba_zbb_zbs", DEFAULT_ISA.string()])
def test_misa_is_that_of_the_string(machine: Machine, text: str) -> None:
    isa: Isa = parse_isa(text)
    machine.hart.extensions = isa.bits
    assert csr(machine, "csrr a0, misa") is None
    assert machine.hart.x[10] == isa.misa
