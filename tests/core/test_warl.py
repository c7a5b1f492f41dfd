"""Every CSR: what it keeps of any value that is written (WARL), on a hart with every extension.

Privileged ISA 20240411, chapters 3, 10 and 18; Sstc, Smstateen, Svadu, Svpbmt, CMO. A row tells which bits
can be written and which are always one; all others are always zero. Registers with rules of their own (roots,
PMP, CBIE, MPP) have tests of their own; here only legal values are written to them.
"""

import random

import pytest

from emulator.isa.csrs import CSR_NAMES, CSR_NUMBERS, is_read_only
from emulator.state import PRIV_M
from tests.core.machine import Machine

ONES = (1 << 64) - 1
EVEN = ONES - 1
CAUSES, GUEST_CAUSES = 0xF0_B7FF, 0xB1FF
STATUS = 1 << 1 | 1 << 5 | 1 << 8 | 3 << 13 | 1 << 18 | 1 << 19
ENVCFG = 0xF1
WIDE_ENVCFG = ENVCFG | 7 << 61
ENABLES, FIRST_ENABLES = 1 << 63, 3 << 62
SXL_UXL = 0xA << 32

# name: bits that can be written, bits that are always one.
REGISTERS: dict[str, tuple[int, int]] = {
    "fflags": (0x1F, 0), "frm": (7, 0), "fcsr": (0xFF, 0),
    "mstatus": (STATUS | 1 << 3 | 1 << 7 | 3 << 11 | 1 << 17 | 7 << 20 | 3 << 38, SXL_UXL),
    "misa": (0, 2 << 62 | sum(1 << ord(letter) - ord("A") for letter in "ABCDFHIMSU")),
    "medeleg": (CAUSES, 0), "mideleg": (0x222, 0x1444), "mie": (0x1EEE, 0), "mtvec": (ONES - 2, 0),
    "mcounteren": (0xFFFF_FFFF, 0), "mcountinhibit": (0, 0), "menvcfg": (WIDE_ENVCFG, 0),
    "mscratch": (ONES, 0), "mepc": (EVEN, 0), "mcause": (ONES, 0), "mtval": (ONES, 0),
    "mtval2": (ONES, 0), "mtinst": (ONES, 0), "mip": (0x226, 0),
    "mstateen0": (FIRST_ENABLES, 0), "mstateen1": (ENABLES, 0), "mstateen2": (ENABLES, 0),
    "mstateen3": (ENABLES, 0), "mvendorid": (0, 0), "marchid": (0, 0), "mimpid": (0, 0), "mhartid": (0, 0),
    "mconfigptr": (0, 0), "tselect": (0, 0), "tdata1": (0, 0), "tdata2": (0, 0), "tdata3": (0, 0),
    "tinfo": (0, 1),
    "sstatus": (STATUS, 2 << 32), "sie": (0x222, 0), "stvec": (ONES - 2, 0), "scounteren": (0xFFFF_FFFF, 0),
    "senvcfg": (ENVCFG, 0), "sscratch": (ONES, 0), "sepc": (EVEN, 0), "scause": (ONES, 0),
    "stval": (ONES, 0), "sip": (2, 0), "stimecmp": (ONES, 0),
    **{f"sstateen{n}": (0, 0) for n in range(4)},
    "hstatus": (1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 7 << 20, 2 << 32), "hedeleg": (GUEST_CAUSES, 0),
    "hideleg": (0x444, 0), "hie": (0x1444, 0), "htimedelta": (ONES, 0), "hcounteren": (0xFFFF_FFFF, 0),
    "hgeie": (0, 0), "hgeip": (0, 0), "henvcfg": (WIDE_ENVCFG, 0), "htval": (ONES, 0), "hip": (4, 0),
    "hvip": (0x444, 0), "htinst": (ONES, 0),
    "hstateen0": (FIRST_ENABLES, 0), "hstateen1": (ENABLES, 0), "hstateen2": (ENABLES, 0),
    "hstateen3": (ENABLES, 0),
    "vsstatus": (STATUS, 2 << 32), "vsie": (0x222, 0), "vstvec": (ONES - 2, 0), "vsscratch": (ONES, 0),
    "vsepc": (EVEN, 0), "vscause": (ONES, 0), "vstval": (ONES, 0), "vsip": (2, 0), "vstimecmp": (ONES, 0),
    "satp": (0xF << 60 | (1 << 60) - 1, 0), "vsatp": (0xF << 60 | (1 << 60) - 1, 0),
    "hgatp": (0xF << 60 | 0x3FFF << 44 | (1 << 44) - 4, 0),
    **{f"pmpaddr{n}": ((1 << 54) - 1, 0) for n in range(16)},
    "pmpcfg0": (0x1F1F_1F1F_1F1F_1F1F, 0), "pmpcfg2": (0x1F1F_1F1F_1F1F_1F1F, 0),
    **{f"mhpmcounter{n}": (0, 0) for n in range(3, 32)},
    **{f"mhpmevent{n}": (0, 0) for n in range(3, 32)},
    **{f"hpmcounter{n}": (0, 0) for n in range(3, 32)},
}  # fmt: skip
# They count.
COUNTERS = {"mcycle", "minstret", "cycle", "time", "instret"}


def legal(name: str, value: int) -> int:
    """Turn a value into one that the register's own rules allow."""
    if name in ("satp", "vsatp", "hgatp"):
        return value & (1 << 60) - 1 | (0, 8, 9, 10)[value >> 60 & 3] << 60
    if name.endswith("envcfg") and value & 0x30 == 0x20:
        return value | 0x10
    if name == "mstatus":
        # MPP 2 is no mode; MPRV would send the test's own accesses elsewhere, of which there are none.
        return value | 1 << 11 if value >> 11 & 3 == 2 else value
    if name.startswith("pmpcfg"):
        # No locks; writable means readable.
        value &= 0x7F7F_7F7F_7F7F_7F7F
        return value | (value & 0x0202_0202_0202_0202) >> 1
    return value


def values(name: str) -> list[int]:
    """All zeros, all ones, every second bit, each bit alone, some at random."""
    chance = random.Random(name)
    plain = [0, ONES, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0]
    single = [1 << bit for bit in range(64)]
    return [legal(name, value) for value in (*plain, *single, *(chance.getrandbits(64) for _ in range(8)))]


def summarised(name: str, value: int) -> int:
    """mstatus and its views: SD says that FS is Dirty."""
    return (
        value | 1 << 63 if name.endswith("status") and name != "hstatus" and value >> 13 & 3 == 3 else value
    )


def prepare(machine: Machine) -> None:
    """Let nothing but the register itself decide what it keeps."""
    hart = machine.enter(PRIV_M)
    hart.mideleg, hart.hideleg, hart.menvcfg = 0x1666, 0x444, 7 << 61
    hart.mstateen[:] = hart.hstateen[:] = [ONES] * 4
    hart.pmp_entries = 16


@pytest.mark.parametrize("name", REGISTERS)
def test_register_keeps_what_its_row_says(machine: Machine, name: str) -> None:
    writable, ones = REGISTERS[name]
    hart = machine.hart
    for value in values(name):
        prepare(machine)
        hart.mstatus = 3 << 13 if name in ("fflags", "frm", "fcsr") else 0
        if name in ("mip", "sip", "vsip", "hip"):
            # With STCE the timer's bit is the comparator's.
            hart.menvcfg, hart.hvip, hart.mip = 0, 0, 0
        if not is_read_only(CSR_NUMBERS[name]):
            hart.x[11] = value
            machine.step(f"csrw {name}, a1")
            assert hart.priv == PRIV_M
        machine.step(f"csrr a0, {name}")
        assert hart.x[10] == summarised(name, value & writable | ones), hex(value)


def test_every_register_has_a_row(machine: Machine) -> None:
    """Reading any other number in M-mode is an illegal instruction."""
    exist: set[str] = set()
    machine.hart.mstatus = 3 << 13
    machine.hart.pmp_entries = 16
    for number in range(1 << 12):
        hart = machine.enter(PRIV_M)
        hart.mcause, hart.mstatus = 99, 3 << 13
        machine.step(f"csrrs a0, {number:#x}, x0")
        if hart.mcause == 99:
            exist.add(CSR_NAMES[number])
    assert exist == REGISTERS.keys() | COUNTERS


@pytest.mark.parametrize("register", ["menvcfg", "henvcfg", "senvcfg"])
def test_reserved_cbie_leaves_the_field(machine: Machine, register: str) -> None:
    hart = machine.hart
    for before in (0, 1, 3):
        hart.x[11], hart.x[12] = before << 4, 2 << 4 | 1
        machine.step(f"csrw {register}, a1\n csrw {register}, a2\n csrr a0, {register}", steps=3)
        assert hart.x[10] == before << 4 | 1
