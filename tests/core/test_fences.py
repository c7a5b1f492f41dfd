"""What a fence drops, and what stays (Privileged ISA 10.2.1, 18.3.2; Svinval).

An entry that no fence has named may be used or dropped; these tests say which of the two this hart does,
because its TLB is part of its state. What a fence names must never be used again.
"""

import pytest

from emulator.core.csr_bits import LOAD_GUEST_PAGE, LOAD_PAGE
from emulator.state import NO_ADDRESS, PRIV_S
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, USER, Tables

VA = 0x4000_0000
GUEST_TABLES, HOST_TABLES = TABLES, TABLES + 0x4_0000
OLD, NEW = 1, 2


def prepare(machine: Machine) -> None:
    machine.delegate(to_guest=True)
    for page, value in ((0, OLD), (1, NEW)):
        for offset in range(0, 4096, 512):
            machine.store(DATA + page * 4096 + offset, value)


def host_space(machine: Machine, asid: int = 5) -> Tables:
    """Let HS-mode run with VA mapped to the old page."""
    prepare(machine)
    tables = Tables(machine, GUEST_TABLES)
    tables.map(CODE, CODE)
    tables.map(VA, DATA)
    machine.enter(PRIV_S).satp = tables.register(asid)
    return tables


def guest_space(machine: Machine, asid: int = 5, vmid: int = 3) -> tuple[Tables, Tables]:
    """Let VS-mode run with VA mapped to the old page through GPA VA."""
    prepare(machine)
    guest = Tables(machine, GUEST_TABLES)
    guest.map(CODE, CODE)
    guest.map(VA, VA)
    host = Tables(machine, HOST_TABLES, stage2=True)
    host.map(CODE, CODE, USER)
    host.map(VA, DATA, USER)
    host.map(GUEST_TABLES, GUEST_TABLES, USER, pages=8)
    hart = machine.enter(PRIV_S, 1)
    hart.vsatp, hart.hgatp = guest.register(asid), host.register(vmid)
    return guest, host


def read(machine: Machine, address: int = VA) -> int:
    """Load from an address."""
    machine.hart.x[10] = address
    machine.step("ld a1, 0(a0)")
    return machine.hart.x[11]


def fence(machine: Machine, line: str, first: int = 0, second: int = 0) -> None:
    machine.hart.x[12], machine.hart.x[13] = first, second
    machine.step(line)


@pytest.mark.parametrize(
    ("line", "first", "second", "dropped"),
    [
        ("sfence.vma", 0, 0, True),
        ("sfence.vma a2", VA, 0, True),
        ("sfence.vma a2", VA + 0xFF8, 0, True),
        ("sfence.vma a2", VA + 0x1000, 0, False),
        ("sfence.vma x0, a3", 0, 5, True),
        ("sfence.vma x0, a3", 0, 6, False),
        ("sfence.vma a2, a3", VA, 5, True),
        ("sfence.vma a2, a3", VA, 6, False),
        ("sfence.vma a2, a3", VA ^ 0x1000, 5, False),
        ("sinval.vma a2, a3", VA, 5, True),
        ("hfence.vvma", 0, 0, False),
        ("hfence.gvma", 0, 0, False),
        ("fence rw, rw", 0, 0, False),
        ("fence.i", 0, 0, False),
    ],
)
def test_fence_in_hs_mode(machine: Machine, line: str, first: int, second: int, dropped: bool) -> None:
    tables = host_space(machine)
    assert read(machine) == OLD
    machine.store(tables.entry(VA), (DATA + 4096) >> 2 | LEAF)
    fence(machine, line, first, second)
    assert read(machine) == (NEW if dropped else OLD)


@pytest.mark.parametrize("asid", [0, 5, 0xFFFF])
def test_asids_keep_address_spaces_apart(machine: Machine, asid: int) -> None:
    tables = host_space(machine, asid)
    assert read(machine) == OLD
    other = Tables(machine, HOST_TABLES)
    other.map(CODE, CODE)
    other.map(VA, DATA + 4096)
    machine.hart.satp = other.register(asid ^ 1)
    assert read(machine) == NEW
    machine.hart.satp = tables.register(asid)
    assert read(machine) == OLD


@pytest.mark.parametrize("offset", [0, 0x1000, 0x10_0000, 0x1F_F000])
def test_any_address_in_a_superpage_names_it(machine: Machine, offset: int) -> None:
    tables = host_space(machine)
    other = 0x10_0000_0000
    machine.store(tables.entry(other, 1), (DATA & ~0x1F_FFFF) >> 2 | LEAF)
    assert read(machine, other + DATA % (1 << 21)) == OLD
    machine.store(tables.entry(other, 1), 0)
    fence(machine, "sfence.vma a2", other + offset)
    read(machine, other + DATA % (1 << 21))
    assert machine.hart.scause == LOAD_PAGE


@pytest.mark.parametrize("offset", [0, 0x1000, 0x1F_F000])
def test_any_address_in_a_guests_superpage_names_it_whatever_the_g_stage_maps(
    machine: Machine, offset: int
) -> None:
    guest, host = guest_space(machine)
    other = 0x10_0000_0000
    machine.store(guest.entry(other, 1), 0x4020_0000 >> 2 | LEAF)
    # The G-stage maps the middle of it with a page of 4 KiB.
    host.map(0x4020_0000 + 0x10_0000, DATA, USER)
    assert read(machine, other + 0x10_0000) == OLD
    machine.store(guest.entry(other, 1), 0)
    fence(machine, "sfence.vma a2", other + offset)
    read(machine, other + 0x10_0000)
    assert machine.hart.vscause == LOAD_PAGE


@pytest.mark.parametrize(
    ("line", "first", "second", "dropped"),
    [
        ("sfence.vma", 0, 0, True),
        ("sfence.vma a2", VA, 0, True),
        ("sfence.vma a2", VA + 0x1000, 0, False),
        ("sfence.vma x0, a3", 0, 5, True),
        ("sfence.vma x0, a3", 0, 4, False),
    ],
)
def test_fence_in_the_guest(machine: Machine, line: str, first: int, second: int, dropped: bool) -> None:
    guest, _ = guest_space(machine)
    assert read(machine) == OLD
    machine.store(guest.entry(VA), 0)
    fence(machine, line, first, second)
    read(machine)
    assert (machine.hart.vscause == LOAD_PAGE) == dropped


@pytest.mark.parametrize(
    ("line", "first", "second", "dropped"),
    [
        ("hfence.gvma", 0, 0, True),
        ("hfence.gvma a2", VA >> 2, 0, True),
        ("hfence.gvma x0, a3", 0, 3, True),
        ("hfence.gvma x0, a3", 0, 2, False),
        ("hfence.gvma a2, a3", VA >> 2, 3, True),
        ("hfence.gvma a2, a3", VA >> 2, 2, False),
        ("hinval.gvma x0, a3", 0, 3, True),
        ("hfence.vvma", 0, 0, True),
        ("hfence.vvma a2", VA, 0, True),
        ("hfence.vvma a2", VA + 0x1000, 0, False),
        ("hfence.vvma x0, a3", 0, 5, True),
        ("hfence.vvma x0, a3", 0, 4, False),
        ("hinval.vvma a2, a3", VA, 5, True),
        ("sfence.vma", 0, 0, False),
    ],
)
def test_fence_of_the_hypervisor(machine: Machine, line: str, first: int, second: int, dropped: bool) -> None:
    _, host = guest_space(machine)
    assert read(machine) == OLD
    machine.store(host.entry(VA), 0)
    machine.enter(PRIV_S)
    fence(machine, line, first, second)
    machine.enter(PRIV_S, 1)
    read(machine)
    assert (machine.hart.scause == LOAD_GUEST_PAGE) == dropped


def test_vmids_keep_guests_apart(machine: Machine) -> None:
    _, host = guest_space(machine, vmid=3)
    assert read(machine) == OLD
    second = Tables(machine, HOST_TABLES + 0x2_0000, stage2=True)
    second.map(CODE, CODE, USER)
    second.map(VA, DATA + 4096, USER)
    second.map(GUEST_TABLES, GUEST_TABLES, USER, pages=8)
    machine.hart.hgatp = second.register(4)
    assert read(machine) == NEW
    machine.hart.hgatp = host.register(3)
    assert read(machine) == OLD


def test_fence_of_one_guest_leaves_the_others_entries(machine: Machine) -> None:
    guest, host = guest_space(machine, vmid=3)
    assert read(machine) == OLD
    machine.store(guest.entry(VA), 0)
    machine.hart.hgatp = host.register(4)
    fence(machine, "sfence.vma")
    machine.hart.hgatp = host.register(3)
    assert read(machine) == OLD


def test_hfence_vvma_names_the_current_vmid_alone(machine: Machine) -> None:
    guest, host = guest_space(machine, vmid=3)
    assert read(machine) == OLD
    machine.store(guest.entry(VA), 0)
    machine.enter(PRIV_S).hgatp = host.register(4)
    fence(machine, "hfence.vvma")
    machine.enter(PRIV_S, 1).hgatp = host.register(3)
    assert read(machine) == OLD


def test_more_address_spaces_than_contexts_never_mix(machine: Machine) -> None:
    """The 63 contexts of the TLB are handed out again: no space may find another's entries."""
    prepare(machine)
    machine.enter(PRIV_S)
    spaces: list[Tables] = []
    for number in range(40):
        tables = Tables(machine, TABLES + 0x4000 * number)
        tables.map(CODE, CODE)
        tables.map(VA, DATA + 4096 * (number % 2))
        spaces.append(tables)
    for round_ in range(3):
        for asid in range(2):
            for number, tables in enumerate(spaces):
                machine.hart.satp = tables.register(asid)
                assert read(machine) == (OLD, NEW)[number % 2], (round_, asid, number)
    assert machine.hart.context_count < 64


def test_entry_is_dropped_from_the_instruction_side_too(machine: Machine) -> None:
    tables = host_space(machine)
    machine.code("li a1, 1\n jr a2", DATA)
    machine.code("li a1, 2\n jr a2", DATA + 4096)
    hart = machine.hart
    hart.x[10], hart.x[12] = VA, CODE + 4
    machine.step("jr a0", steps=2)
    assert hart.x[11] == 1
    machine.store(tables.entry(VA), (DATA + 4096) >> 2 | LEAF)
    machine.step("jr a0", steps=2)
    assert hart.x[11] == 1, "no fence yet"
    machine.step("sfence.vma a0\n jr a0", steps=3)
    assert hart.x[11] == 2


@pytest.mark.parametrize("forget_fast_map", [False, True])
def test_a_fence_drops_all_entries_of_its_address_space_and_no_other(
    machine: Machine, forget_fast_map: bool
) -> None:
    tables = host_space(machine, asid=5)
    tables.map(VA, DATA, pages=200)
    other = Tables(machine, HOST_TABLES)
    other.map(CODE, CODE)
    other.map(VA + 300 * 4096, DATA, pages=200)
    hart = machine.hart
    for asid, space, first in ((5, tables, 0), (6, other, 300)):
        hart.satp = space.register(asid)
        for page in range(first, first + 200):
            read(machine, VA + page * 4096)
    before = [tag for tag in hart.dtlb_tag if tag != NO_ADDRESS]
    if forget_fast_map:
        machine.engine.flush_fast(hart)
    fence(machine, "sfence.vma x0, a3", 0, 5)
    after = [tag for tag in hart.dtlb_tag if tag != NO_ADDRESS]
    assert len(before) == 400
    assert sorted(tag >> 12 for tag in after) == [(VA >> 12) + page for page in range(300, 500)]
    fence(machine, "sfence.vma")
    assert set(hart.dtlb_tag) == {NO_ADDRESS}
    assert NO_ADDRESS in set(hart.itlb_tag)
    assert read(machine, VA + 300 * 4096) == OLD
