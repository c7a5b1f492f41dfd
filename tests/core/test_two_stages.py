"""Two stages of translation: VS-stage under Sv39x4, Sv48x4, Sv57x4 (Privileged ISA 18.5, 18.6)."""

from dataclasses import dataclass
from typing import Any

import pytest

from emulator.core.csr_bits import (
    ENVCFG_ADUE,
    GVA,
    HSTATUS_GVA,
    INSTRUCTION_GUEST_PAGE,
    LOAD_ACCESS,
    LOAD_GUEST_PAGE,
    LOAD_PAGE,
    MPP_LOW,
    MPRV,
    MPV,
    MXR,
    PTE_A,
    PTE_D,
    PTE_R,
    PTE_U,
    PTE_V,
    PTE_W,
    PTE_X,
    SPV,
    SPVP,
    STORE_GUEST_PAGE,
    STORE_PAGE,
    SUM,
)
from emulator.state import NO_ADDRESS, PRIV_M, PRIV_S, PRIV_U, STAGE_G, STAGE_VS, WALK
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, SV39, SV48, SV57, USER, Tables

GUEST_TABLES, HOST_TABLES = TABLES, TABLES + 0x4_0000
GVA_PAGE, GPA_PAGE = 0x20_1234_5000, 0x7_6543_2000
MARK = 0x1122_3344_5566_0001  # its lowest halfword is c.nop
LOAD, STORE, FETCH, ADD = "ld a1, 0(a0)", "sd a1, 0(a0)", "jr a0", "amoadd.d a1, a1, (a0)"
CAUSES = {
    LOAD: LOAD_GUEST_PAGE, STORE: STORE_GUEST_PAGE, ADD: STORE_GUEST_PAGE, FETCH: INSTRUCTION_GUEST_PAGE,
}  # fmt: skip
# The same instructions in htinst: without rs1 and immediate.
TRANSFORMED = {LOAD: 0x0000_3583, STORE: 0x00B0_3023, ADD: 0x00B0_35AF, FETCH: 0}


@dataclass
class Guest:
    """A guest whose page GVA_PAGE is GPA_PAGE is DATA, and whose code and tables are mapped as they are."""

    machine: Machine
    guest: Tables
    host: Tables

    @property
    def hart(self) -> Any:
        return self.machine.hart

    def attempt(self, line: str, address: int) -> int | None:
        """Make one access; return the cause of its trap to HS-mode, or None."""
        self.hart.x[10], self.hart.x[11] = address, 0xAB
        self.hart.scause = self.hart.vscause = 99
        self.machine.step(line, steps=2 if line == FETCH else 1)
        return None if self.hart.scause == 99 else self.hart.scause


@pytest.fixture(
    params=[(SV39, SV39), (SV39, SV48), (SV48, SV57), (SV57, SV39)], ids=["39/39", "39/48", "48/57", "57/39"]
)
def guest(machine: Machine, request: pytest.FixtureRequest) -> Guest:
    """A guest in VS-mode."""
    return make(machine, *request.param)


@pytest.fixture
def plain(machine: Machine) -> Guest:
    """The same, in one pair of modes."""
    return make(machine, SV39, SV39)


def make(machine: Machine, mode: int, host_mode: int) -> Guest:
    guest = Tables(machine, GUEST_TABLES, mode)
    host = Tables(machine, HOST_TABLES, host_mode, stage2=True)
    guest.map(CODE, CODE)
    guest.map(GVA_PAGE, GPA_PAGE)
    host.map(CODE, CODE, USER)
    host.map(GPA_PAGE, DATA, USER)
    host.map(GUEST_TABLES, GUEST_TABLES, USER, pages=24)
    machine.store(DATA, MARK)
    machine.delegate()
    hart = machine.enter(PRIV_S, 1)
    hart.vsatp, hart.hgatp = guest.register(), host.register(1)
    return Guest(machine, guest, host)


def test_both_stages_lead_to_the_frame(guest: Guest) -> None:
    for _ in range(2):
        assert guest.attempt(LOAD, GVA_PAGE) is None
        assert guest.hart.x[11] == MARK
    assert guest.attempt(STORE, GVA_PAGE + 8) is None
    assert guest.machine.load(DATA + 8) == 0xAB


@pytest.mark.parametrize("line", [LOAD, STORE, FETCH, ADD])
def test_missing_guest_page_reports_the_guest_physical_address(guest: Guest, line: str) -> None:
    guest.machine.store(guest.host.entry(GPA_PAGE), 0)
    assert guest.attempt(line, GVA_PAGE + 0x128) == CAUSES[line]
    hart = guest.hart
    assert (hart.stval, hart.htval, hart.htinst) == (
        GVA_PAGE + 0x128,
        (GPA_PAGE + 0x128) >> 2,
        TRANSFORMED[line],
    )
    assert hart.hstatus & (HSTATUS_GVA | SPV | SPVP) == HSTATUS_GVA | SPV | SPVP


@pytest.mark.parametrize("line", [LOAD, STORE, FETCH, ADD])
def test_missing_page_table_reports_the_implicit_read_of_the_access(guest: Guest, line: str) -> None:
    entry = guest.guest.entry(GVA_PAGE)
    guest.machine.store(guest.host.entry(entry), 0)
    assert guest.attempt(line, GVA_PAGE) == CAUSES[line]
    hart = guest.hart
    assert (hart.stval, hart.htval, hart.htinst) == (GVA_PAGE, entry >> 2, 0x3000)


@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_update_of_a_guest_entry_on_a_read_only_page_reports_an_implicit_write(
    guest: Guest, line: str
) -> None:
    guest.hart.menvcfg = guest.hart.henvcfg = ENVCFG_ADUE
    entry = guest.guest.entry(GVA_PAGE)
    guest.machine.store(entry, GPA_PAGE >> 2 | LEAF & ~(PTE_A | PTE_D))
    guest.machine.store(guest.host.entry(entry), (entry & ~0xFFF) >> 2 | USER & ~PTE_W)
    assert guest.attempt(line, GVA_PAGE) == CAUSES[line]
    assert (guest.hart.htval, guest.hart.htinst) == (entry >> 2, 0x3020)
    assert guest.machine.load(entry) & PTE_A == 0


def test_m_mode_gets_the_same_in_its_own_registers(plain: Guest) -> None:
    plain.machine.store(plain.host.entry(GPA_PAGE), 0)
    hart = plain.hart
    hart.medeleg = 0
    plain.attempt(LOAD, GVA_PAGE)
    assert (hart.mcause, hart.mtval, hart.mtval2, hart.mtinst) == (
        LOAD_GUEST_PAGE,
        GVA_PAGE,
        GPA_PAGE >> 2,
        TRANSFORMED[LOAD],
    )
    assert hart.mstatus & (GVA | MPV) == GVA | MPV


def test_guest_page_fault_never_goes_to_the_guest(plain: Guest) -> None:
    plain.machine.delegate(to_guest=True)
    plain.machine.step("csrr x0, sstatus")
    plain.machine.store(plain.host.entry(GPA_PAGE), 0)
    assert plain.attempt(LOAD, GVA_PAGE) == LOAD_GUEST_PAGE


def test_page_fault_of_the_guest_goes_to_the_guest(plain: Guest) -> None:
    plain.machine.delegate(to_guest=True)
    plain.hart.htval = 7
    assert plain.attempt(LOAD, GVA_PAGE + 0x1000) is None
    assert (plain.hart.vscause, plain.hart.vstval) == (LOAD_PAGE, GVA_PAGE + 0x1000)
    assert plain.hart.htval == 7


@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_leaf_of_the_g_stage_without_u_faults(plain: Guest, line: str) -> None:
    plain.machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | LEAF)
    assert plain.attempt(line, GVA_PAGE) == CAUSES[line]


@pytest.mark.parametrize("stage", ["vs", "g"])
@pytest.mark.parametrize("permissions", [PTE_R, PTE_R | PTE_W, PTE_X, PTE_R | PTE_X])
@pytest.mark.parametrize("line", [LOAD, STORE, FETCH])
def test_either_stage_may_refuse(plain: Guest, stage: str, permissions: int, line: str) -> None:
    flags = PTE_V | PTE_A | PTE_D | permissions
    if stage == "vs":
        plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | flags)
    else:
        plain.machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | flags | PTE_U)
    needed = {LOAD: PTE_R, STORE: PTE_W, FETCH: PTE_X}[line]
    cause = CAUSES[line] if stage == "g" else {LOAD: 13, STORE: 15, FETCH: 12}[line]
    assert plain.attempt(line, GVA_PAGE) == (None if permissions & needed else cause)


@pytest.mark.parametrize("host_mode", [SV39, SV48, SV57])
def test_guest_physical_addresses_have_two_bits_more(machine: Machine, host_mode: int) -> None:
    bits = 12 + 9 * (host_mode - 5) + 2
    guest = make(machine, SV39, host_mode)
    guest.hart.vsatp = 0
    top = (1 << bits) - 0x1000
    guest.host.map(top, DATA, USER)
    assert guest.attempt(LOAD, top) is None
    assert guest.hart.x[11] == MARK
    for address in (1 << bits, top | 1 << 63, NO_ADDRESS - 7):
        machine.enter(PRIV_S, 1)
        assert guest.attempt(LOAD, address) == LOAD_GUEST_PAGE
        assert guest.hart.htval == address >> 2


@pytest.mark.parametrize("level", [1, 2])
def test_superpage_of_the_g_stage(plain: Guest, level: int) -> None:
    size = 4096 << 9 * level
    gpa = 0x5 << 30
    plain.machine.store(plain.host.entry(gpa, level), (DATA & ~(size - 1)) >> 2 | USER)
    plain.hart.vsatp = 0
    assert plain.attempt(LOAD, gpa + DATA % size) is None
    assert plain.hart.x[11] == MARK
    plain.machine.fence()
    plain.machine.store(plain.host.entry(gpa, level), DATA >> 2 | USER)
    assert plain.attempt(LOAD, gpa) == LOAD_GUEST_PAGE


@pytest.mark.parametrize(
    ("host_bit", "guest_bit", "readable"), [(0, 0, False), (0, MXR, True), (MXR, 0, True)]
)
def test_either_mxr_makes_a_guest_page_readable(
    plain: Guest, host_bit: int, guest_bit: int, readable: bool
) -> None:
    plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | PTE_V | PTE_X | PTE_A)
    plain.hart.mstatus, plain.hart.vsstatus = host_bit, guest_bit
    assert plain.attempt(LOAD, GVA_PAGE) == (None if readable else LOAD_PAGE)


@pytest.mark.parametrize(
    ("host_bit", "guest_bit", "readable"), [(0, 0, False), (0, MXR, False), (MXR, 0, True)]
)
def test_only_the_hosts_mxr_makes_a_g_stage_page_readable(
    plain: Guest, host_bit: int, guest_bit: int, readable: bool
) -> None:
    plain.machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | PTE_V | PTE_X | PTE_A | PTE_U)
    plain.hart.mstatus, plain.hart.vsstatus = host_bit, guest_bit
    assert plain.attempt(LOAD, GVA_PAGE) == (None if readable else LOAD_GUEST_PAGE)


def test_mxr_does_not_let_page_tables_be_execute_only(plain: Guest) -> None:
    entry = plain.guest.entry(GVA_PAGE)
    plain.machine.store(plain.host.entry(entry), (entry & ~0xFFF) >> 2 | PTE_V | PTE_X | PTE_A | PTE_U)
    plain.hart.mstatus = plain.hart.vsstatus = MXR
    assert plain.attempt(LOAD, GVA_PAGE) == LOAD_GUEST_PAGE
    assert plain.hart.htinst == 0x3000


def test_sum_of_the_guest_is_vsstatus(plain: Guest) -> None:
    plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | USER)
    plain.hart.mstatus = SUM
    assert plain.attempt(LOAD, GVA_PAGE) == LOAD_PAGE
    plain.hart.vsstatus = SUM
    plain.machine.enter(PRIV_S, 1)
    assert plain.attempt(LOAD, GVA_PAGE) is None


# Accessed and dirty bits


def test_store_dirties_both_stages_and_the_page_of_the_table(plain: Guest) -> None:
    machine = plain.machine
    plain.hart.menvcfg = plain.hart.henvcfg = ENVCFG_ADUE
    entry = plain.guest.entry(GVA_PAGE)
    clear = ~(PTE_A | PTE_D)
    machine.store(entry, GPA_PAGE >> 2 | LEAF & clear)
    machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | USER & clear)
    machine.store(plain.host.entry(entry), (entry & ~0xFFF) >> 2 | USER & clear)
    assert plain.attempt(STORE, GVA_PAGE) is None
    for place in (entry, plain.host.entry(GPA_PAGE), plain.host.entry(entry)):
        assert machine.load(place) & (PTE_A | PTE_D) == PTE_A | PTE_D


def test_load_dirties_only_the_page_of_the_table_that_it_updates(plain: Guest) -> None:
    machine = plain.machine
    plain.hart.menvcfg = plain.hart.henvcfg = ENVCFG_ADUE
    entry = plain.guest.entry(GVA_PAGE)
    clear = ~(PTE_A | PTE_D)
    machine.store(entry, GPA_PAGE >> 2 | LEAF & clear)
    machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | USER & clear)
    machine.store(plain.host.entry(entry), (entry & ~0xFFF) >> 2 | USER & clear)
    assert plain.attempt(LOAD, GVA_PAGE) is None
    assert machine.load(entry) & (PTE_A | PTE_D) == PTE_A
    assert machine.load(plain.host.entry(GPA_PAGE)) & (PTE_A | PTE_D) == PTE_A
    assert machine.load(plain.host.entry(entry)) & (PTE_A | PTE_D) == PTE_A | PTE_D


def test_store_after_a_load_finds_the_g_stage_still_clean(plain: Guest) -> None:
    plain.hart.menvcfg = plain.hart.henvcfg = ENVCFG_ADUE
    plain.machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | USER & ~PTE_D)
    assert plain.attempt(LOAD, GVA_PAGE) is None
    assert plain.attempt(STORE, GVA_PAGE) is None
    assert plain.machine.load(plain.host.entry(GPA_PAGE)) & PTE_D


@pytest.mark.parametrize(
    ("menvcfg", "henvcfg", "stage", "cause"),
    [
        (0, 0, "vs", STORE_PAGE),
        (ENVCFG_ADUE, 0, "vs", STORE_PAGE),
        (ENVCFG_ADUE, ENVCFG_ADUE, "vs", None),
        (0, 0, "g", STORE_GUEST_PAGE),
        (ENVCFG_ADUE, 0, "g", None),
    ],
)
def test_adue_of_each_level_rules_its_stage(
    plain: Guest, menvcfg: int, henvcfg: int, stage: str, cause: int | None
) -> None:
    plain.hart.menvcfg, plain.hart.henvcfg = menvcfg, henvcfg
    if stage == "vs":
        plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | LEAF & ~PTE_D)
    else:
        plain.machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | USER & ~PTE_D)
    assert plain.attempt(STORE, GVA_PAGE) == cause


# Tables in odd places


def test_guest_table_at_a_missing_guest_page_is_a_guest_page_fault(plain: Guest) -> None:
    plain.machine.store(plain.guest.entry(GVA_PAGE, 1), (3 << 30) >> 2 | PTE_V)
    assert plain.attempt(LOAD, GVA_PAGE) == LOAD_GUEST_PAGE
    assert plain.hart.htval == ((3 << 30) + (GVA_PAGE >> 12 & 511) * 8) >> 2


def test_guest_table_beyond_the_guests_physical_addresses_is_a_guest_page_fault(plain: Guest) -> None:
    plain.machine.store(plain.guest.entry(GVA_PAGE, 1), (1 << 50) >> 2 | PTE_V)
    assert plain.attempt(LOAD, GVA_PAGE) == LOAD_GUEST_PAGE
    assert plain.hart.htval == ((1 << 50) + (GVA_PAGE >> 12 & 511) * 8) >> 2


def test_guest_frame_outside_ram_is_an_access_to_a_device(plain: Guest) -> None:
    plain.machine.store(plain.host.entry(GPA_PAGE), 0x1000_0000 >> 2 | USER)
    plain.hart.x[10] = GVA_PAGE + 8
    plain.machine.code(LOAD)
    plain.hart.pc = CODE
    plain.machine.run(1)
    assert plain.hart.mmio_address == 0x1000_0008


def test_guest_table_outside_ram_is_an_access_fault(plain: Guest) -> None:
    entry = plain.guest.entry(GVA_PAGE)
    plain.machine.store(plain.host.entry(entry), (1 << 40) >> 2 | USER)
    assert plain.attempt(LOAD, GVA_PAGE) == LOAD_ACCESS
    assert plain.hart.htval == 0


def test_g_stage_table_that_points_to_itself_ends(plain: Guest) -> None:
    # Root entry 1 leads to the root again: the second page of the root is a table like any other.
    plain.machine.store(plain.host.root + 8, plain.host.root >> 2 | PTE_V)
    plain.hart.vsatp = 0
    address = 1 << 30 | 1 << 21 | 1 << 12
    assert plain.attempt(LOAD, address) == LOAD_GUEST_PAGE
    assert plain.hart.htval == address >> 2


def test_a_walk_under_sv39x4_reads_fifteen_entries(plain: Guest) -> None:
    walk: Any = plain.machine.host.translate(plain.hart, GVA_PAGE, 1, PRIV_S, 1, 0)
    assert walk.count == 15
    assert list(walk.stage[:15]) == ([STAGE_G] * 3 + [STAGE_VS]) * 3 + [STAGE_G] * 3
    assert (walk.gpa, walk.hpa, walk.cause) == (GPA_PAGE, DATA, NO_ADDRESS)


def test_asking_for_a_walk_changes_nothing(plain: Guest) -> None:
    plain.hart.menvcfg = plain.hart.henvcfg = ENVCFG_ADUE
    plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | LEAF & ~(PTE_A | PTE_D))
    before = plain.machine.digest()
    walk = WALK.struct()
    plain.machine.engine.translate(plain.hart, plain.machine.host.record, walk, GVA_PAGE, 2, PRIV_S, 1, 0)
    assert plain.machine.digest() == before


# The hypervisor's own accesses


def hypervisor(plain: Guest, priv: int) -> None:
    """Leave the guest; HLV and HSV act as in VS-mode (priv 1) or VU-mode (0)."""
    plain.machine.enter(PRIV_S)
    plain.hart.hstatus = SPVP if priv else 0


def test_hlv_reads_what_the_guest_would_read(guest: Guest) -> None:
    hypervisor(guest, PRIV_S)
    assert guest.attempt("hlv.d a1, (a0)", GVA_PAGE) is None
    assert guest.hart.x[11] == MARK


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("hlv.b", 0xFFFF_FFFF_FFFF_FF88), ("hlv.bu", 0x88), ("hlv.h", 0xFFFF_FFFF_FFFF_9988),
        ("hlv.hu", 0x9988), ("hlv.w", 0xFFFF_FFFF_BBAA_9988), ("hlv.wu", 0xBBAA_9988),
        ("hlvx.hu", 0x9988), ("hlvx.wu", 0xBBAA_9988), ("hlv.d", 0xFFEE_DDCC_BBAA_9988),
    ],
)  # fmt: skip
@pytest.mark.parametrize("offset", [0, 1, 4093])
def test_hlv_extends_what_it_reads_aligned_or_not(
    plain: Guest, line: str, expected: int, offset: int
) -> None:
    plain.guest.map(GVA_PAGE + 0x1000, GPA_PAGE + 0x1000)
    plain.host.map(GPA_PAGE + 0x1000, DATA + 0x1000, USER)
    for number, byte in enumerate((0xFFEE_DDCC_BBAA_9988).to_bytes(8, "little")):
        plain.machine.store(DATA + offset + number, byte, 1)
    hypervisor(plain, PRIV_S)
    assert plain.attempt(f"{line} a1, (a0)", GVA_PAGE + offset) is None
    assert plain.hart.x[11] == expected


@pytest.mark.parametrize(("suffix", "size"), [("b", 1), ("h", 2), ("w", 4), ("d", 8)])
@pytest.mark.parametrize("offset", [0, 3, 4092])
def test_hsv_writes_its_bytes_and_no_other(plain: Guest, suffix: str, size: int, offset: int) -> None:
    plain.guest.map(GVA_PAGE + 0x1000, GPA_PAGE + 0x1000)
    plain.host.map(GPA_PAGE + 0x1000, DATA + 0x1000, USER)
    hypervisor(plain, PRIV_S)
    before = plain.machine.host.read(DATA, 8192)
    plain.hart.x[12] = 0xFFEE_DDCC_BBAA_9988
    assert plain.attempt(f"hsv.{suffix} a2, (a0)", GVA_PAGE + offset) is None
    written = (0xFFEE_DDCC_BBAA_9988).to_bytes(8, "little")[:size]
    assert plain.machine.host.read(DATA, 8192) == before[:offset] + written + before[offset + size :]


def test_hsv_that_faults_on_its_second_page_writes_nothing(plain: Guest) -> None:
    hypervisor(plain, PRIV_S)
    before = plain.machine.host.read(DATA, 4096)
    assert plain.attempt("hsv.d a0, (a0)", GVA_PAGE + 4092) == STORE_PAGE
    assert plain.hart.stval == GVA_PAGE + 4096
    assert plain.machine.host.read(DATA, 4096) == before


def test_hlvx_wants_execute_permission_of_both_stages(plain: Guest) -> None:
    hypervisor(plain, PRIV_S)
    execute_only = PTE_V | PTE_X | PTE_A
    plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | execute_only)
    plain.machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | execute_only | PTE_U)
    assert plain.attempt("hlvx.wu a1, (a0)", GVA_PAGE) is None
    assert plain.attempt("hlv.wu a1, (a0)", GVA_PAGE) == LOAD_PAGE
    machine = plain.machine
    machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | LEAF & ~PTE_X)
    assert plain.attempt("hlvx.wu a1, (a0)", GVA_PAGE) == LOAD_PAGE
    machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | LEAF)
    machine.store(plain.host.entry(GPA_PAGE), DATA >> 2 | USER & ~PTE_X)
    assert plain.attempt("hlvx.wu a1, (a0)", GVA_PAGE) == LOAD_GUEST_PAGE


@pytest.mark.parametrize(
    ("spvp", "user", "sum_bits", "cause"),
    [
        (PRIV_S, False, 0, None),
        (PRIV_S, True, 0, LOAD_PAGE),
        (PRIV_S, True, SUM, None),
        (PRIV_U, True, 0, None),
        (PRIV_U, False, SUM, LOAD_PAGE),
    ],
)
def test_hlv_has_the_guests_privilege_and_sum(
    plain: Guest, spvp: int, user: bool, sum_bits: int, cause: int | None
) -> None:
    hypervisor(plain, spvp)
    plain.hart.mstatus, plain.hart.vsstatus = SUM ^ sum_bits, sum_bits
    plain.machine.store(plain.guest.entry(GVA_PAGE), GPA_PAGE >> 2 | (USER if user else LEAF))
    assert plain.attempt("hlv.d a1, (a0)", GVA_PAGE) == cause


def test_hlv_sees_a_changed_table_without_a_fence(plain: Guest) -> None:
    assert plain.attempt(LOAD, GVA_PAGE) is None
    hypervisor(plain, PRIV_S)
    plain.machine.store(plain.host.entry(GPA_PAGE), 0)
    assert plain.attempt("hlv.d a1, (a0)", GVA_PAGE) == LOAD_GUEST_PAGE
    assert plain.hart.hstatus & HSTATUS_GVA


@pytest.mark.parametrize(("previous", "cause"), [(PRIV_S, None), (PRIV_U, LOAD_PAGE)])
def test_mprv_with_mpv_reads_as_the_guest(plain: Guest, previous: int, cause: int | None) -> None:
    hart = plain.machine.enter(PRIV_M)
    hart.mstatus = MPRV | MPV | previous << MPP_LOW
    plain.attempt(LOAD, GVA_PAGE)
    assert (hart.mcause or None) == cause
    if cause is None:
        assert hart.x[11] == MARK
    else:
        assert hart.mstatus & GVA


def test_guest_page_fault_of_mprv_goes_to_m_mode(plain: Guest) -> None:
    plain.machine.store(plain.host.entry(GPA_PAGE), 0)
    hart = plain.machine.enter(PRIV_M)
    hart.mstatus = MPRV | MPV | PRIV_S << MPP_LOW
    plain.attempt(LOAD, GVA_PAGE)
    assert (hart.mcause, hart.mtval2) == (LOAD_GUEST_PAGE, GPA_PAGE >> 2)
    assert hart.mstatus & (GVA | MPV) == GVA
