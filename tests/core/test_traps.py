"""Traps: which mode takes them, what its registers say, the way back (Privileged ISA 3.1, 10.1, 18.6)."""

import pytest

from emulator.core.csr_bits import (
    BREAKPOINT,
    ECALL_M,
    ECALL_S,
    ECALL_U,
    ECALL_VS,
    GVA,
    HSTATUS_GVA,
    ILLEGAL_INSTRUCTION,
    LOAD_ACCESS,
    LOAD_PAGE,
    MIE,
    MPIE,
    MPP_LOW,
    MPRV,
    MPV,
    SIE,
    SPIE,
    SPP,
    SPV,
    SPVP,
    TSR,
    TVM,
    TW,
    VIRTUAL_INSTRUCTION,
    VTSR,
    VTVM,
    VTW,
)
from emulator.state import EXIT_BUDGET, EXIT_TRAP, MMIO_REFUSED, PRIV_M, PRIV_S, PRIV_U
from tests.core.machine import CODE, DATA, M_TRAP, S_TRAP, TABLES, VS_TRAP, Machine
from tests.core.tables import LEAF, USER, Tables

MODES = {"M": (PRIV_M, 0), "S": (PRIV_S, 0), "U": (PRIV_U, 0), "VS": (PRIV_S, 1), "VU": (PRIV_U, 1)}
ECALL_CAUSES = {"M": ECALL_M, "S": ECALL_S, "U": ECALL_U, "VS": ECALL_VS, "VU": ECALL_U}


@pytest.mark.parametrize("mode", MODES)
def test_ecall_reaches_m_mode_with_the_cause_of_its_mode(machine: Machine, mode: str) -> None:
    hart = machine.enter(*MODES[mode])
    machine.step("ecall")
    assert (hart.priv, hart.virt, hart.pc) == (PRIV_M, 0, M_TRAP)
    assert hart.mcause == ECALL_CAUSES[mode]
    assert (hart.mepc, hart.mtval) == (CODE, 0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("enabled", [0, MIE])
def test_m_mode_finds_the_mode_that_trapped_in_mstatus(machine: Machine, mode: str, enabled: int) -> None:
    priv, virt = MODES[mode]
    hart = machine.enter(priv, virt)
    hart.mstatus = enabled
    machine.step("ecall")
    assert hart.mstatus >> MPP_LOW & 3 == priv
    assert bool(hart.mstatus & MPV) == bool(virt)
    assert hart.mstatus & MIE == 0
    assert bool(hart.mstatus & MPIE) == bool(enabled)


@pytest.mark.parametrize("mode", MODES)
def test_mret_returns_to_the_mode_that_trapped(machine: Machine, mode: str) -> None:
    hart = machine.enter(*MODES[mode])
    hart.mstatus = MIE
    machine.step("ecall")
    machine.step("mret", address=M_TRAP)
    assert (hart.priv, hart.virt, hart.pc) == (*MODES[mode], CODE)
    assert hart.mstatus & (MIE | MPIE) == MIE | MPIE
    assert hart.mstatus & MPV == 0
    assert hart.mstatus >> MPP_LOW & 3 == PRIV_U


def test_mret_to_m_mode_ignores_mpv(machine: Machine) -> None:
    machine.hart.mstatus, machine.hart.mepc = PRIV_M << MPP_LOW | MPV, DATA
    hart = machine.step("mret")
    assert (hart.priv, hart.virt) == (PRIV_M, 0)


@pytest.mark.parametrize(("previous", "left"), [(PRIV_M, MPRV), (PRIV_S, 0), (PRIV_U, 0)])
def test_mret_clears_mprv_unless_it_stays_in_m_mode(machine: Machine, previous: int, left: int) -> None:
    machine.hart.mstatus = previous << MPP_LOW | MPRV
    assert machine.step("mret").mstatus & MPRV == left


@pytest.mark.parametrize("mode", ["S", "U", "VS", "VU"])
def test_delegated_exception_goes_to_hs_mode(machine: Machine, mode: str) -> None:
    priv, virt = MODES[mode]
    machine.delegate()
    hart = machine.enter(priv, virt)
    hart.mstatus, hart.vsstatus = SIE, SIE
    machine.step("ebreak")
    assert (hart.priv, hart.virt, hart.pc) == (PRIV_S, 0, S_TRAP)
    assert (hart.scause, hart.sepc, hart.stval) == (BREAKPOINT, CODE, CODE)
    assert bool(hart.hstatus & SPV) == bool(virt)
    assert bool(hart.mstatus & SPP) == (priv == PRIV_S)
    assert hart.mstatus & (SIE | SPIE) == SPIE
    assert hart.vsstatus == SIE, "the guest's own registers stay"


@pytest.mark.parametrize("priv", [PRIV_U, PRIV_S])
def test_spvp_tells_the_guest_mode_and_stays_for_a_trap_of_the_host(machine: Machine, priv: int) -> None:
    machine.delegate()
    hart = machine.enter(priv, 1)
    machine.step("ebreak")
    assert bool(hart.hstatus & SPVP) == (priv == PRIV_S)
    before = hart.hstatus & SPVP
    machine.enter(PRIV_U)
    machine.step("ebreak")
    assert hart.hstatus & (SPVP | SPV) == before


def test_delegation_does_not_take_a_trap_out_of_m_mode(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    hart = machine.step("ebreak")
    assert (hart.priv, hart.pc) == (PRIV_M, M_TRAP)


@pytest.mark.parametrize("priv", [PRIV_U, PRIV_S])
def test_hedeleg_hands_an_exception_on_to_the_guest(machine: Machine, priv: int) -> None:
    machine.delegate(to_guest=True)
    hart = machine.enter(priv, 1)
    hart.vsstatus = SIE
    machine.step(".word 0")
    assert (hart.priv, hart.virt, hart.pc) == (PRIV_S, 1, VS_TRAP)
    assert (hart.vscause, hart.vsepc) == (ILLEGAL_INSTRUCTION, CODE)
    assert hart.vsstatus & (SPIE | SIE) == SPIE
    assert bool(hart.vsstatus & SPP) == (priv == PRIV_S)
    assert (hart.scause, hart.hstatus, hart.mstatus) == (0, 0, 0)


def test_hedeleg_does_not_touch_a_trap_with_virtualisation_off(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    hart = machine.enter(PRIV_U)
    machine.step("ebreak")
    assert (hart.virt, hart.pc) == (0, S_TRAP)


def test_hedeleg_without_medeleg_leaves_the_trap_in_m_mode(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    machine.hart.medeleg = 0
    hart = machine.enter(PRIV_S, 1)
    machine.step("ebreak")
    assert hart.pc == M_TRAP


def test_sret_from_hs_mode_enters_the_guest(machine: Machine) -> None:
    hart = machine.enter(PRIV_S)
    hart.hstatus, hart.mstatus, hart.sepc = SPV | SPVP, SPP | SPIE | MPRV, DATA
    machine.step("sret")
    assert (hart.priv, hart.virt, hart.pc) == (PRIV_S, 1, DATA)
    assert hart.hstatus == SPVP
    assert hart.mstatus == SIE | SPIE


def test_sret_in_the_guest_uses_the_guests_registers(machine: Machine) -> None:
    hart = machine.enter(PRIV_S, 1)
    hart.vsstatus, hart.vsepc, hart.mstatus, hart.hstatus = SPIE, DATA, SPP, SPV
    machine.step("sret")
    assert (hart.priv, hart.virt, hart.pc) == (PRIV_U, 1, DATA)
    assert hart.vsstatus == SIE | SPIE
    assert (hart.mstatus, hart.hstatus) == (SPP, SPV)


# Instruction, mode, what forbids it, and the cause; None means that it runs (18.6.1, 3.1.6.6).
REFUSALS = [
    ("mret", "S", {}, ILLEGAL_INSTRUCTION),
    ("mret", "VS", {}, ILLEGAL_INSTRUCTION),
    ("mret", "VU", {}, ILLEGAL_INSTRUCTION),
    ("sret", "U", {}, ILLEGAL_INSTRUCTION),
    ("sret", "S", {"mstatus": TSR}, ILLEGAL_INSTRUCTION),
    ("sret", "M", {"mstatus": TSR}, None),
    ("sret", "VU", {}, VIRTUAL_INSTRUCTION),
    ("sret", "VS", {"hstatus": VTSR}, VIRTUAL_INSTRUCTION),
    ("sret", "VS", {"mstatus": TSR}, None),
    ("wfi", "U", {}, ILLEGAL_INSTRUCTION),
    ("wfi", "S", {"mstatus": TW}, ILLEGAL_INSTRUCTION),
    ("wfi", "VS", {"mstatus": TW, "hstatus": VTW}, ILLEGAL_INSTRUCTION),
    ("wfi", "VS", {"hstatus": VTW}, VIRTUAL_INSTRUCTION),
    ("wfi", "VU", {}, VIRTUAL_INSTRUCTION),
    ("sfence.vma", "U", {}, ILLEGAL_INSTRUCTION),
    ("sfence.vma", "S", {"mstatus": TVM}, ILLEGAL_INSTRUCTION),
    ("sfence.vma", "VS", {"hstatus": VTVM}, VIRTUAL_INSTRUCTION),
    ("sfence.vma", "VS", {"mstatus": TVM}, None),
    ("sfence.vma", "VU", {}, VIRTUAL_INSTRUCTION),
    ("sinval.vma x0, x0", "VS", {"hstatus": VTVM}, VIRTUAL_INSTRUCTION),
    ("sfence.w.inval", "U", {}, ILLEGAL_INSTRUCTION),
    ("sfence.w.inval", "VU", {}, VIRTUAL_INSTRUCTION),
    ("sfence.inval.ir", "VS", {"hstatus": VTVM}, None),
    ("hfence.gvma", "S", {}, None),
    ("hfence.gvma", "S", {"mstatus": TVM}, ILLEGAL_INSTRUCTION),
    ("hfence.gvma", "M", {"mstatus": TVM}, None),
    ("hfence.vvma", "S", {"mstatus": TVM}, None),
    ("hfence.vvma", "U", {}, ILLEGAL_INSTRUCTION),
    ("hfence.vvma", "VS", {}, VIRTUAL_INSTRUCTION),
    ("hfence.gvma", "VU", {}, VIRTUAL_INSTRUCTION),
    ("hlv.w a0, (a1)", "U", {}, ILLEGAL_INSTRUCTION),
    ("hlv.w a0, (a1)", "VS", {}, VIRTUAL_INSTRUCTION),
    ("hsv.w a0, (a1)", "VU", {}, VIRTUAL_INSTRUCTION),
    (".word 0", "VU", {}, ILLEGAL_INSTRUCTION),
]


@pytest.mark.parametrize(("line", "mode", "bits", "cause"), REFUSALS)
def test_instruction_is_refused_where_the_standard_says_so(
    machine: Machine, line: str, mode: str, bits: dict[str, int], cause: int | None
) -> None:
    hart = machine.enter(*MODES[mode])
    for name, value in bits.items():
        setattr(hart, name, value)
    hart.sepc = hart.vsepc = DATA
    hart.mcause = 99
    machine.step(line)
    assert hart.mcause == (99 if cause is None else cause)
    if cause is not None:
        assert hart.mepc == CODE
        assert hart.mtval == machine.load(CODE, 4), "the instruction's bits"
        assert hart.mstatus & GVA == 0


def test_compressed_illegal_instruction_leaves_its_halfword_in_mtval(machine: Machine) -> None:
    machine.store(CODE, 0x8000_0000, 4)
    machine.store(CODE + 2, 0x9C41, 2)
    machine.hart.pc = CODE + 2
    machine.run(1)
    assert (machine.hart.mcause, machine.hart.mtval) == (ILLEGAL_INSTRUCTION, 0x9C41)


@pytest.mark.parametrize("delegated", [False, True])
def test_gva_is_set_for_a_guests_address_only(machine: Machine, delegated: bool) -> None:
    if delegated:
        machine.delegate()
    hart = machine.enter(PRIV_S, 1)
    machine.step("ebreak")
    assert (hart.hstatus & HSTATUS_GVA if delegated else hart.mstatus & GVA) != 0
    machine.enter(PRIV_S, 1)
    machine.step(".word 0")
    assert hart.hstatus & HSTATUS_GVA == 0
    assert hart.mstatus & GVA == 0


@pytest.mark.parametrize("line", ["hlv.d a0, (a1)", "hsv.d a0, (a1)", "hlvx.wu a0, (a1)"])
@pytest.mark.parametrize("width", [1, 8])
def test_refused_hypervisor_access_leaves_sepc_at_itself(machine: Machine, line: str, width: int) -> None:
    machine.delegate()
    guest = Tables(machine, TABLES)
    hart = machine.enter(PRIV_S)
    hart.vsatp = guest.register()
    hart.x[11] = 0x4000_0000 + (0 if width == 8 else 4092)
    machine.step(line)
    assert (hart.sepc, hart.stval) == (CODE, hart.x[11])
    assert hart.scause in (LOAD_PAGE, LOAD_PAGE + 2)
    assert hart.hstatus & HSTATUS_GVA
    assert hart.hstatus & SPV == 0


def test_vectored_mode_moves_interrupts_only(machine: Machine) -> None:
    machine.delegate()
    hart = machine.enter(PRIV_U)
    hart.stvec = S_TRAP | 1
    machine.step("ebreak")
    assert hart.pc == S_TRAP
    machine.enter(PRIV_U)
    hart.mip = hart.mie = 1 << 9
    machine.run(1)
    assert hart.pc == S_TRAP + 4 * 9


def test_access_fault_has_no_guest_physical_address(machine: Machine) -> None:
    nested = Tables(machine, TABLES, stage2=True)
    nested.map(CODE, CODE, USER)
    # A pointer to a table outside RAM.
    machine.store(nested.entry(1 << 30, 2), (1 << 50) >> 2 | 1)
    machine.delegate()
    hart = machine.enter(PRIV_S, 1)
    hart.hgatp, hart.htval = nested.register(), 5
    hart.x[10] = 1 << 30
    machine.step("ld a1, (a0)")
    assert (hart.scause, hart.htval, hart.stval) == (LOAD_ACCESS, 0, 1 << 30)


@pytest.mark.parametrize("mode", MODES)
def test_endless_trap_loop_ends_with_the_budget(machine: Machine, mode: str) -> None:
    hart = machine.enter(*MODES[mode])
    # No memory there: each trap traps again.
    hart.mtvec = hart.stvec = hart.vstvec = 0
    machine.delegate(to_guest=True)
    hart.pc = 0
    assert machine.run(1000) == EXIT_BUDGET
    assert hart.retired == 1000
    assert hart.minstret == 0
    assert hart.mcycle == hart.clock == 1000


def test_hosted_hart_stops_when_its_guest_traps_to_the_host(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    hart = machine.enter(PRIV_U, 1)
    hart.hosted = 1
    machine.code("ebreak\n nop", CODE)
    machine.code("ecall\n nop", VS_TRAP)
    hart.pc = CODE
    assert machine.run(100) == EXIT_TRAP
    # ebreak to VS-mode (one cycle), ecall to HS-mode (one more), nothing of the handler.
    assert (hart.scause, hart.vscause, hart.retired, hart.pc) == (ECALL_VS, BREAKPOINT, 2, S_TRAP)


def test_refused_device_access_is_an_access_fault(machine: Machine) -> None:
    machine.delegate()
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE, LEAF)
    tables.map(DATA, 0x1000_0000, LEAF)
    hart = machine.enter(PRIV_S)
    hart.satp = tables.register()
    hart.x[10] = DATA + 4
    machine.code("lw a1, (a0)")
    hart.pc = CODE
    machine.run(5)
    assert hart.mmio_address == 0x1000_0004
    hart.mmio_state = MMIO_REFUSED
    machine.run(1)
    assert (hart.scause, hart.stval, hart.sepc) == (LOAD_ACCESS, DATA + 4, CODE)
