"""CSRs: who may touch which, what they keep, which are views of others (Privileged ISA 2.1; Sstc).

What QEMU can confirm is in tests/differential; here are the rules that it breaks or lacks, and the views.
"""

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    ENVCFG_STCE,
    ILLEGAL_INSTRUCTION,
    MPP_LOW,
    TVM,
    VIRTUAL_INSTRUCTION,
    VTVM,
)
from emulator.state import PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import Machine

MODES = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}
ONES = (1 << 64) - 1
SUPERVISOR = [
    "sstatus", "sie", "stvec", "scounteren", "senvcfg", "sscratch", "sepc", "scause", "stval", "sip", "satp",
]  # fmt: skip
HYPERVISOR = [
    "hstatus", "hedeleg", "hideleg", "hie", "htimedelta", "hcounteren", "hgeie", "henvcfg", "htval", "hip",
    "hvip", "htinst", "hgatp", "vsstatus", "vsie", "vstvec", "vsscratch", "vsepc", "vscause", "vstval",
    "vsip", "vsatp",
]  # fmt: skip
MACHINE = [
    "mstatus",
    "misa",
    "medeleg",
    "mie",
    "mtvec",
    "mcounteren",
    "menvcfg",
    "mscratch",
    "mepc",
    "mip",
    "mcycle",
]


def outcome(machine: Machine, mode: str, line: str) -> int | None:
    """Execute a line in a mode; return the cause of its trap, or None."""
    hart = machine.enter(*MODES[mode])
    hart.mcause = 99
    machine.step(line)
    return None if hart.mcause == 99 else hart.mcause


def read(machine: Machine, name: str) -> int:
    """Read a CSR in M-mode."""
    assert outcome(machine, "M", f"csrr a0, {name}") is None
    return machine.hart.x[10]


def write(machine: Machine, name: str, value: int, mode: str = "M") -> None:
    """Write a CSR."""
    machine.hart.x[11] = value
    assert outcome(machine, mode, f"csrw {name}, a1") is None


@pytest.mark.parametrize(
    ("names", "mode", "cause"),
    [
        (SUPERVISOR, "M", None),
        (SUPERVISOR, "S", None),
        (SUPERVISOR, "U", ILLEGAL_INSTRUCTION),
        (SUPERVISOR, "VS", None),
        (SUPERVISOR, "VU", VIRTUAL_INSTRUCTION),
        (HYPERVISOR, "M", None),
        (HYPERVISOR, "S", None),
        (HYPERVISOR, "U", ILLEGAL_INSTRUCTION),
        (HYPERVISOR, "VS", VIRTUAL_INSTRUCTION),
        (HYPERVISOR, "VU", VIRTUAL_INSTRUCTION),
        (MACHINE, "S", ILLEGAL_INSTRUCTION),
        (MACHINE, "VS", ILLEGAL_INSTRUCTION),
        (MACHINE, "VU", ILLEGAL_INSTRUCTION),
    ],
)
def test_each_level_is_for_those_above_it(
    machine: Machine, names: list[str], mode: str, cause: int | None
) -> None:
    for name in names:
        assert outcome(machine, mode, f"csrr a0, {name}") == cause, name


@pytest.mark.parametrize("mode", ["VS", "VU", "S", "M"])
def test_register_that_does_not_exist_is_illegal_for_all(machine: Machine, mode: str) -> None:
    for number in (0x1FF, 0x2FF, 0x5C0, 0x6FF, 0x9C0, 0xDC0):
        assert outcome(machine, mode, f"csrr a0, {number}") == ILLEGAL_INSTRUCTION


def test_a_read_only_register_may_be_read_by_any_form_that_does_not_write(machine: Machine) -> None:
    for line in (
        "csrrs a0, mhartid, x0",
        "csrrc a0, mhartid, x0",
        "csrrsi a0, mhartid, 0",
        "csrrci a0, mhartid, 0",
    ):
        assert outcome(machine, "M", line) is None
    for line in (
        "csrrw x0, mhartid, x0",
        "csrrwi x0, mhartid, 0",
        "csrrs a0, mhartid, a1",
        "csrrci a0, mhartid, 1",
    ):
        assert outcome(machine, "M", line) == ILLEGAL_INSTRUCTION


def test_writing_a_read_only_hypervisor_register_is_illegal_even_for_a_guest(machine: Machine) -> None:
    """Virtual instruction is for what would be allowed in HS-mode (18.6.1)."""
    assert outcome(machine, "VS", "csrr a0, hgeip") == VIRTUAL_INSTRUCTION
    assert outcome(machine, "VS", "csrw hgeip, a0") == ILLEGAL_INSTRUCTION


def test_csrrs_of_zero_bits_writes_if_the_register_is_not_x0(machine: Machine) -> None:
    machine.hart.x[11] = 0
    assert outcome(machine, "M", "csrrs a0, mhartid, a1") == ILLEGAL_INSTRUCTION


@pytest.mark.parametrize(
    ("mode", "register", "bits", "cause"),
    [
        ("S", "satp", {"mstatus": TVM}, ILLEGAL_INSTRUCTION),
        ("M", "satp", {"mstatus": TVM}, None),
        ("VS", "satp", {"mstatus": TVM}, None),
        ("VS", "satp", {"hstatus": VTVM}, VIRTUAL_INSTRUCTION),
        ("S", "satp", {"hstatus": VTVM}, None),
        ("S", "vsatp", {"mstatus": TVM, "hstatus": VTVM}, None),
        ("S", "hgatp", {"mstatus": TVM}, ILLEGAL_INSTRUCTION),
        ("M", "hgatp", {"mstatus": TVM}, None),
        ("VU", "satp", {"mstatus": TVM, "hstatus": VTVM}, VIRTUAL_INSTRUCTION),
    ],
)
def test_tvm_and_vtvm_guard_the_roots(
    machine: Machine, mode: str, register: str, bits: dict[str, int], cause: int | None
) -> None:
    for name, value in bits.items():
        setattr(machine.hart, name, value)
    assert outcome(machine, mode, f"csrr a0, {register}") == cause


# Counters


@pytest.mark.parametrize(("name", "bit"), [("cycle", 1), ("time", 2), ("instret", 4), ("hpmcounter3", 8)])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("allowed", range(8))
def test_counter_needs_every_level_above(
    machine: Machine, name: str, bit: int, mode: str, allowed: int
) -> None:
    by_machine, by_host, by_supervisor = allowed & 1, allowed & 2, allowed & 4
    hart = machine.hart
    hart.mcounteren, hart.hcounteren, hart.scounteren = (
        bit if a else ~bit & 15 for a in (by_machine, by_host, by_supervisor)
    )
    expected = None
    if mode != "M" and not by_machine:
        expected = ILLEGAL_INSTRUCTION
    elif mode in ("VS", "VU") and not by_host:
        expected = VIRTUAL_INSTRUCTION
    elif mode in ("U", "VU") and not by_supervisor:
        expected = VIRTUAL_INSTRUCTION if mode == "VU" else ILLEGAL_INSTRUCTION
    assert outcome(machine, mode, f"csrr a0, {name}") == expected


def test_guest_reads_its_own_time(machine: Machine) -> None:
    hart = machine.hart
    hart.mcounteren = hart.hcounteren = 7
    hart.clock, hart.htimedelta = 12340, (-1000) % (1 << 64)
    for mode, expected in (("M", 1234), ("S", 1234), ("VS", 234)):
        assert outcome(machine, mode, "csrr a0, time") is None
        assert hart.x[10] == expected


def test_written_counter_counts_on_from_there(machine: Machine) -> None:
    hart = machine.hart
    hart.x[11] = 1000
    machine.step(
        "csrw mcycle, a1\n csrr a0, mcycle\n csrw minstret, a1\n csrr a2, minstret\n nop\n csrr a3, instret",
        6,
    )
    assert (hart.x[10], hart.x[12], hart.x[13]) == (1000, 1000, 1002)


def test_counters_that_cannot_be_stopped_say_so(machine: Machine) -> None:
    write(machine, "mcountinhibit", ONES)
    assert read(machine, "mcountinhibit") == 0


# Sstc


@pytest.mark.parametrize(
    ("mode", "register", "menvcfg", "mcounteren", "henvcfg", "hcounteren", "cause"),
    [
        ("M", "stimecmp", 0, 0, 0, 0, None),
        ("S", "stimecmp", 0, 2, 0, 0, ILLEGAL_INSTRUCTION),
        ("S", "stimecmp", 1, 0, 0, 0, ILLEGAL_INSTRUCTION),
        ("S", "stimecmp", 1, 2, 0, 0, None),
        ("S", "vstimecmp", 1, 2, 0, 0, None),
        ("S", "vstimecmp", 0, 2, 0, 0, ILLEGAL_INSTRUCTION),
        ("U", "stimecmp", 1, 2, 0, 0, ILLEGAL_INSTRUCTION),
        ("VS", "stimecmp", 0, 2, 1, 2, ILLEGAL_INSTRUCTION),
        ("VS", "stimecmp", 1, 0, 1, 2, ILLEGAL_INSTRUCTION),
        ("VS", "stimecmp", 1, 2, 0, 2, VIRTUAL_INSTRUCTION),
        ("VS", "stimecmp", 1, 2, 1, 0, VIRTUAL_INSTRUCTION),
        ("VS", "stimecmp", 1, 2, 1, 2, None),
        ("VS", "vstimecmp", 1, 2, 1, 2, VIRTUAL_INSTRUCTION),
        ("VS", "vstimecmp", 0, 2, 1, 2, ILLEGAL_INSTRUCTION),
        ("VU", "stimecmp", 1, 2, 1, 2, VIRTUAL_INSTRUCTION),
    ],
)
def test_timer_comparators_are_guarded(
    machine: Machine,
    mode: str,
    register: str,
    menvcfg: int,
    mcounteren: int,
    henvcfg: int,
    hcounteren: int,
    cause: int | None,
) -> None:
    hart = machine.hart
    hart.menvcfg, hart.henvcfg = menvcfg * ENVCFG_STCE, henvcfg * ENVCFG_STCE
    hart.mcounteren, hart.hcounteren = mcounteren, hcounteren
    assert outcome(machine, mode, f"csrr a0, {register}") == cause


def test_stimecmp_in_the_guest_is_vstimecmp(machine: Machine) -> None:
    hart = machine.hart
    hart.menvcfg = hart.henvcfg = ENVCFG_STCE
    hart.mcounteren = hart.hcounteren = 7
    write(machine, "stimecmp", 55, mode="VS")
    assert (hart.vstimecmp, hart.stimecmp) == (55, 0)


@pytest.mark.parametrize("bit", [ENVCFG_STCE, ENVCFG_ADUE])
def test_henvcfg_grants_only_what_menvcfg_grants(machine: Machine, bit: int) -> None:
    write(machine, "henvcfg", ONES)
    assert read(machine, "henvcfg") & bit == 0
    machine.hart.menvcfg = bit
    assert read(machine, "henvcfg") & bit == 0, "it was not kept either"
    write(machine, "henvcfg", ONES)
    assert read(machine, "henvcfg") & bit == bit
    machine.hart.menvcfg = 0
    assert read(machine, "henvcfg") & bit == 0


# Views


@pytest.mark.parametrize(
    ("seen", "kept"),
    [
        ("sstatus", "vsstatus"), ("stvec", "vstvec"), ("sscratch", "vsscratch"), ("sepc", "vsepc"),
        ("scause", "vscause"), ("stval", "vstval"), ("satp", "vsatp"),
    ],
)  # fmt: skip
def test_guest_reaches_its_own_register(machine: Machine, seen: str, kept: str) -> None:
    value = {"sstatus": 0x122, "satp": 8 << 60 | 5}.get(seen, 0x1234)
    before = read(machine, seen)
    write(machine, seen, value, mode="VS")
    assert read(machine, seen) == before
    assert read(machine, kept) & 0xF000_0000_FFFF_FFFF == value


def test_guests_without_a_copy_share_the_register(machine: Machine) -> None:
    write(machine, "scounteren", 5, mode="VS")
    assert read(machine, "scounteren") == 5


@pytest.mark.parametrize("delegated", [0, 0x444, 0x40, 0x404])
def test_vsie_is_hie_shifted_where_delegated(machine: Machine, delegated: int) -> None:
    hart = machine.hart
    hart.hideleg = delegated
    write(machine, "vsie", ONES)
    assert hart.mie == delegated
    assert read(machine, "vsie") == delegated >> 1
    hart.hideleg, hart.mie = 0x444, 0x444 | 0x222
    write(machine, "sie", 0, mode="VS")
    assert hart.mie == 0x222


@pytest.mark.parametrize("delegated", [0, 0x444, 0x40, 0x404])
def test_vsip_is_hvip_shifted_where_delegated(machine: Machine, delegated: int) -> None:
    hart = machine.hart
    hart.hideleg, hart.hvip = delegated, 0x444
    assert read(machine, "vsip") == delegated >> 1
    write(machine, "vsip", 0)
    assert hart.hvip == 0x444 & ~(delegated & 4), "only the software interrupt is the guest's to clear"


def test_sie_and_sip_show_what_is_delegated(machine: Machine) -> None:
    hart = machine.hart
    hart.mie = hart.mip = 0xAAA
    for delegated in (0, 0x222, 0x20):
        hart.mideleg = delegated | 0x444
        assert read(machine, "sie") == delegated
        assert read(machine, "sip") == delegated
    hart.mideleg, hart.mie = 0x20, 0xAAA
    write(machine, "sie", 0)
    assert hart.mie == 0xAAA & ~0x20
    write(machine, "sip", 0)
    assert hart.mip == 0xAAA, "SSIP is not delegated; STIP and SEIP are not S-mode's to write"


def test_hvip_shows_in_hip_and_mip(machine: Machine) -> None:
    write(machine, "hvip", ONES)
    assert (machine.hart.hvip, read(machine, "hip"), read(machine, "mip")) == (0x444, 0x444, 0x444)
    write(machine, "hip", 0)
    assert machine.hart.hvip == 0x440, "hip writes VSSIP alone"
    write(machine, "mip", 4)
    assert machine.hart.hvip == 0x444


def test_sstatus_is_a_view_of_mstatus(machine: Machine) -> None:
    write(machine, "mstatus", ONES & ~(1 << 17))
    status = read(machine, "sstatus")
    assert status & 0xC_6122 == 0xC_6122
    assert status & (1 << 3 | 1 << 7 | 3 << MPP_LOW | 1 << 22) == 0
    before = machine.hart.mstatus
    write(machine, "sstatus", 0, mode="M")
    assert before & ~machine.hart.mstatus == 0xC_6122


# Values that are kept


@pytest.mark.parametrize("register", ["satp", "vsatp"])
@pytest.mark.parametrize("mode", range(16))
def test_unsupported_mode_leaves_a_root_unchanged(machine: Machine, register: str, mode: int) -> None:
    old, new = 9 << 60 | 3 << 44 | 7, mode << 60 | 0xFFFF << 44 | 0xFFF_FFFF_FFFF
    write(machine, register, old)
    write(machine, register, new)
    assert read(machine, register) == (new if mode in (0, 8, 9, 10) else old)


def test_hgatp_keeps_a_root_of_16_kib_and_14_bits_of_vmid(machine: Machine) -> None:
    write(machine, "hgatp", 8 << 60 | (1 << 60) - 1)
    assert read(machine, "hgatp") == 8 << 60 | 0x3FFF << 44 | 0xFFF_FFFF_FFFC
    write(machine, "hgatp", 5 << 60)
    assert read(machine, "hgatp") >> 60 in (0, 8, 9, 10)


@pytest.mark.parametrize("mode", [0, 1, 3])
def test_mpp_holds_modes_that_exist(machine: Machine, mode: int) -> None:
    write(machine, "mstatus", mode << MPP_LOW)
    write(machine, "mstatus", 2 << MPP_LOW)
    assert read(machine, "mstatus") >> MPP_LOW & 3 == mode


@pytest.mark.parametrize("register", ["mepc", "sepc", "vsepc"])
def test_exception_pc_is_even(machine: Machine, register: str) -> None:
    write(machine, register, ONES)
    assert read(machine, register) == ONES - 1


@pytest.mark.parametrize("register", ["mtvec", "stvec", "vstvec"])
def test_vector_is_direct_or_vectored(machine: Machine, register: str) -> None:
    write(machine, register, ONES)
    assert read(machine, register) == ONES - 2


def test_delegation_of_what_must_stay_is_refused(machine: Machine) -> None:
    write(machine, "medeleg", ONES)
    assert read(machine, "medeleg") & (1 << 11 | 1 << 14) == 0
    write(machine, "hedeleg", ONES)
    assert read(machine, "hedeleg") & (7 << 9 | 0xF << 20) == 0
    write(machine, "mideleg", 0)
    assert read(machine, "mideleg") & 0x444 == 0x444
    write(machine, "hideleg", ONES)
    assert read(machine, "hideleg") == 0x444


def test_misa_says_what_this_hart_is(machine: Machine) -> None:
    letters = {chr(ord("A") + bit) for bit in range(26) if read(machine, "misa") >> bit & 1}
    assert letters == set("ABCDFHIMSU")
    write(machine, "misa", 0)
    assert read(machine, "misa") >> 62 == 2


def test_csr_instruction_reads_before_it_writes(machine: Machine) -> None:
    hart = machine.hart
    hart.mscratch, hart.x[10] = 0x11, 0x22
    machine.step("csrrw a0, mscratch, a0")
    assert (hart.x[10], hart.mscratch) == (0x11, 0x22)
