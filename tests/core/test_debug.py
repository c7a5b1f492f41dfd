"""Breakpoints and watched ranges: where harts stop, and that stopping changes nothing."""

from collections.abc import Callable

import pytest

from emulator.core.csr_bits import LOAD_PAGE
from emulator.machine.debug import Breakpoint, Stop, TooManyStopsError, Watchpoint
from emulator.machine.host import PhysicalAddressError
from emulator.state import (
    DEBUG_PLACES,
    EXIT_BUDGET,
    EXIT_DEBUG,
    PAGE_BYTES,
    PRIV_S,
    WATCH_LOAD,
    WATCH_STORE,
)
from tests.core.machine import CODE, DATA, M_TRAP, TABLES, Machine
from tests.core.tables import LEAF, Tables

MakeMachine = Callable[..., Machine]
VA = 0x10_0000_0000
LOOP = """
1:  addi a0, a0, 1
    sd a0, 8(a2)
    ld a1, 16(a2)
    j 1b
"""


def looping(machine: Machine) -> Machine:
    machine.code(LOOP)
    machine.hart.x[12] = DATA
    return machine


# Breakpoints


def test_hart_stops_before_the_instruction(machine: Machine) -> None:
    looping(machine)
    here = Breakpoint(CODE + 4)
    machine.host.set_breakpoint(here)
    assert machine.run(100) == EXIT_DEBUG
    assert (machine.hart.pc, machine.hart.retired, machine.load(DATA + 8)) == (CODE + 4, 1, 0)
    assert machine.host.stopped_for() == Stop(here, CODE + 4)


def test_hart_goes_on_from_a_breakpoint_and_meets_it_again(machine: Machine) -> None:
    looping(machine)
    machine.host.set_breakpoint(Breakpoint(CODE + 4))
    machine.run(100)
    for turn in range(1, 5):
        assert machine.run(100) == EXIT_DEBUG
        assert (machine.hart.pc, machine.hart.retired, machine.load(DATA + 8)) == (CODE + 4, 4, turn)


def test_first_instruction_at_power_on_can_have_a_breakpoint(machine: Machine) -> None:
    looping(machine)
    machine.host.set_breakpoint(Breakpoint(CODE))
    assert machine.run(100) == EXIT_DEBUG
    assert (machine.hart.pc, machine.hart.clock) == (CODE, 0)


def test_code_that_has_run_before_stops_too(machine: Machine) -> None:
    looping(machine)
    assert machine.run(40) == EXIT_BUDGET
    machine.host.set_breakpoint(Breakpoint(CODE + 8))
    assert machine.run(100) == EXIT_DEBUG
    assert machine.hart.pc == CODE + 8


def test_cleared_breakpoint_is_none(machine: Machine) -> None:
    looping(machine)
    machine.host.set_breakpoint(Breakpoint(CODE + 8))
    assert machine.run(100) == EXIT_DEBUG
    machine.host.clear_breakpoint(Breakpoint(CODE + 8))
    assert machine.run(100) == EXIT_BUDGET
    assert machine.hart.retired == 100


def test_end_of_the_budget_comes_before_a_breakpoint(machine: Machine) -> None:
    looping(machine)
    machine.host.set_breakpoint(Breakpoint(CODE + 4))
    assert machine.run(1) == EXIT_BUDGET
    assert machine.run(1) == EXIT_DEBUG
    assert machine.hart.retired == 0
    assert machine.run(1) == EXIT_BUDGET
    assert machine.hart.pc == CODE + 8


def test_jump_to_another_page_meets_a_breakpoint(machine: Machine) -> None:
    machine.code("jr a2")
    machine.code("1: j 1b", DATA)
    machine.hart.x[12] = DATA
    machine.host.set_breakpoint(Breakpoint(DATA))
    assert machine.run(100) == EXIT_DEBUG
    assert (machine.hart.pc, machine.hart.retired) == (DATA, 1)


def test_trap_handler_can_have_a_breakpoint(machine: Machine) -> None:
    machine.code("nop\n ecall")
    machine.host.set_breakpoint(Breakpoint(M_TRAP))
    assert machine.run(100) == EXIT_DEBUG
    assert (machine.hart.pc, machine.hart.mepc) == (M_TRAP, CODE + 4)


def test_instruction_that_straddles_two_pages_can_have_a_breakpoint(machine: Machine) -> None:
    place = CODE + PAGE_BYTES - 2
    machine.code("addi a0, a0, 77", place)
    machine.code("jr a2", place + 4)
    machine.hart.pc = machine.hart.x[12] = place
    machine.run(8)
    assert machine.hart.x[10] == 4 * 77
    machine.host.set_breakpoint(Breakpoint(place))
    for turn in (4, 5):
        assert machine.run(100) == EXIT_DEBUG
        assert (machine.hart.pc, machine.hart.x[10]) == (place, turn * 77)


def test_code_written_over_a_breakpoint_keeps_it(machine: Machine) -> None:
    looping(machine)
    machine.host.set_breakpoint(Breakpoint(CODE + 4))
    machine.run(100)
    machine.code("nop", CODE + 4)
    assert machine.run(100) == EXIT_DEBUG
    assert (machine.hart.pc, machine.load(DATA + 8)) == (CODE + 4, 0)


def mapped(machine: Machine, va: int, number: int = 0) -> int:
    """Map CODE at `va` as well as at its own address; return the register's value."""
    machine.delegate()
    tables = Tables(machine, TABLES + number * 0x10000)
    for page in (CODE, DATA):
        tables.map(page, page)
    tables.map(va, CODE)
    return tables.register()


def test_breakpoint_is_at_a_virtual_address(machine: Machine) -> None:
    """The same code under another address passes, whatever is decoded for it."""
    looping(machine)
    root = mapped(machine, VA)
    hart = machine.enter(PRIV_S)
    hart.satp = root
    machine.host.set_breakpoint(Breakpoint(VA + 4))
    assert machine.run(100) == EXIT_BUDGET
    hart.pc = VA
    assert machine.run(100) == EXIT_DEBUG
    assert hart.pc == VA + 4


def test_breakpoint_of_one_address_space(machine: Machine) -> None:
    looping(machine)
    first, second = mapped(machine, VA), mapped(machine, VA, 1)
    hart = machine.enter(PRIV_S)
    machine.host.set_breakpoint(Breakpoint(CODE + 4, root=second))
    hart.satp = first
    assert machine.run(100) == EXIT_BUDGET
    hart.satp = second
    assert machine.run(100) == EXIT_DEBUG


def test_breakpoint_of_one_vm(machine: Machine) -> None:
    looping(machine)
    machine.delegate()
    machine.host.set_breakpoint(Breakpoint(CODE + 4, vmid=5))
    hart = machine.enter(PRIV_S)
    assert machine.run(100) == EXIT_BUDGET
    machine.enter(PRIV_S, virt=1)
    hart.hgatp = 4 << 44
    assert machine.run(100) == EXIT_BUDGET
    hart.hgatp = 5 << 44
    assert machine.run(100) == EXIT_DEBUG


def test_breakpoint_comes_before_the_page_fault_of_its_fetch(machine: Machine) -> None:
    looping(machine)
    root = mapped(machine, VA)
    hart = machine.enter(PRIV_S)
    hart.satp = root
    hart.pc = VA + PAGE_BYTES
    machine.host.set_breakpoint(Breakpoint(hart.pc))
    assert machine.run(100) == EXIT_DEBUG
    assert (hart.pc, hart.retired, hart.itlb_misses) == (VA + PAGE_BYTES, 0, 0)


def test_breakpoints_are_of_every_hart(make_machine: MakeMachine) -> None:
    machine = looping(make_machine(harts=2))
    machine.host.set_breakpoint(Breakpoint(CODE + 4))
    assert machine.run(100) == EXIT_DEBUG
    assert machine.run(100, hart=1) == EXIT_DEBUG


# Watched ranges


@pytest.mark.parametrize(
    ("line", "kinds", "stops"),
    [
        ("ld a0, (a2)", WATCH_LOAD, True),
        ("ld a0, (a2)", WATCH_STORE, False),
        ("sd a0, (a2)", WATCH_STORE, True),
        ("sd a0, (a2)", WATCH_LOAD, False),
        ("lbu a0, 7(a2)", WATCH_LOAD, True),
        ("lbu a0, 8(a2)", WATCH_LOAD, False),
        ("sb a0, -1(a2)", WATCH_STORE, False),
        ("sd a0, -7(a2)", WATCH_STORE, True),
        ("ld a0, 7(a2)", WATCH_LOAD, True),
        ("ld a0, 9(a2)", WATCH_LOAD, False),
        ("lr.d a0, (a2)", WATCH_LOAD, True),
        ("sc.d a0, a1, (a2)", WATCH_STORE, False),
        ("amoadd.w a0, a1, (a2)", WATCH_LOAD, True),
        ("amoadd.w a0, a1, (a2)", WATCH_STORE, True),
        ("cbo.zero (a2)", WATCH_STORE, True),
        ("hsv.d a1, (a2)", WATCH_STORE, True),
        ("hlv.d a1, (a2)", WATCH_LOAD, True),
        ("fld fa0, (a2)", WATCH_LOAD, True),
        ("fsd fa0, (a2)", WATCH_STORE, True),
        ("c.sd a0, 0(a2)", WATCH_STORE, True),
    ],
)
def test_access_to_a_watched_range_stops_after_it(
    machine: Machine, line: str, kinds: int, stops: bool
) -> None:
    machine.code(f"{line}\n nop\n nop\n nop")
    machine.hart.x[12] = DATA
    machine.hart.mstatus |= 3 << 13
    machine.hart.menvcfg = 1 << 7
    watched = Watchpoint(DATA, 8, kinds)
    machine.host.watch(watched)
    assert machine.run(2) == (EXIT_DEBUG if stops else EXIT_BUDGET)
    assert machine.hart.retired == (1 if stops else 2)
    if stops:
        assert machine.host.stopped_for().cause == watched


def test_pages_known_to_the_fast_map_are_watched_too(machine: Machine) -> None:
    looping(machine)
    assert machine.run(40) == EXIT_BUDGET
    machine.host.watch(Watchpoint(DATA + 8, 1, WATCH_STORE))
    for turn in range(11, 15):
        assert machine.run(100) == EXIT_DEBUG
        assert (machine.hart.pc, machine.load(DATA + 8)) == (CODE + 8, turn)
        assert machine.host.stopped_for().address == DATA + 8


def test_range_that_is_watched_no_longer(machine: Machine) -> None:
    looping(machine)
    watched = Watchpoint(DATA + 8, 8)
    machine.host.watch(watched)
    assert machine.run(100) == EXIT_DEBUG
    machine.host.unwatch(watched)
    assert machine.run(100) == EXIT_BUDGET


def test_access_through_another_mapping_is_seen(machine: Machine) -> None:
    root = mapped(machine, VA)
    machine.code("sd a0, (a2)\n 1: j 1b")
    hart = machine.enter(PRIV_S)
    hart.satp, hart.x[12] = root, VA + 0x100
    machine.host.watch(Watchpoint(CODE + 0x100, 8))
    assert machine.run(100) == EXIT_DEBUG


def test_access_that_ends_in_a_fault_is_none(machine: Machine) -> None:
    """A misaligned load whose first bytes are watched and whose last are not mapped."""
    machine.delegate()
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE)
    tables.map(VA, DATA, LEAF)
    machine.code("ld a0, (a2)\n nop")
    hart = machine.enter(PRIV_S)
    hart.satp, hart.x[12] = tables.register(), VA + PAGE_BYTES - 3
    machine.host.watch(Watchpoint(DATA, PAGE_BYTES))
    assert machine.run(1) == EXIT_BUDGET
    assert hart.scause == LOAD_PAGE


def test_watched_range_must_be_ram(machine: Machine) -> None:
    with pytest.raises(PhysicalAddressError):
        machine.host.watch(Watchpoint(0x1000, 8))


def test_number_of_stops_has_a_limit(machine: Machine) -> None:
    for number in range(DEBUG_PLACES):
        machine.host.set_breakpoint(Breakpoint(number * 2))
        machine.host.watch(Watchpoint(DATA + number, 1))
    machine.host.set_breakpoint(Breakpoint(0))
    with pytest.raises(TooManyStopsError):
        machine.host.set_breakpoint(Breakpoint(CODE))
    with pytest.raises(TooManyStopsError):
        machine.host.watch(Watchpoint(DATA, 8))


# History

BUSY = """
1:  addi a0, a0, 1
    sd a0, 8(a2)
    ld a1, 9(a2)
    amoadd.d a3, a0, (a2)
    call 2f
    ecall
    j 1b
    .balign 4096
2:  ld a4, (a5)
    add a5, a5, a6
    ret
"""


def busy(machine: Machine) -> Machine:
    """Code on two pages, under a page table, that touches eight pages and traps to itself."""
    machine.delegate()
    tables = Tables(machine, TABLES)
    for page in range(CODE, DATA + 40 * PAGE_BYTES, PAGE_BYTES):
        tables.map(page, page)
    machine.code(BUSY)
    machine.code("csrr t0, sepc\n addi t0, t0, 4\n csrw sepc, t0\n sret", CODE + 0x800)
    hart = machine.enter(PRIV_S)
    hart.satp, hart.stvec = tables.register(), CODE + 0x800
    hart.x[12], hart.x[15], hart.x[16] = DATA, DATA, 0x408
    return machine


def test_state_at_every_stop_is_the_state_of_a_run_without_stops(make_machine: MakeMachine) -> None:
    stopping, plain = busy(make_machine()), busy(make_machine())
    stopping.host.set_breakpoint(Breakpoint(CODE + PAGE_BYTES))
    stopping.host.set_breakpoint(Breakpoint(CODE + 0x800))
    stopping.host.watch(Watchpoint(DATA, 12))
    stops = 0
    while stopping.hart.clock < 300:
        reason = stopping.run(300 - stopping.hart.clock)
        if stopping.hart.clock > plain.hart.clock:
            assert plain.run(stopping.hart.clock - plain.hart.clock) == EXIT_BUDGET
        assert stopping.digest() == plain.digest()
        stops += reason == EXIT_DEBUG
    assert stops > 60


def test_hart_that_stops_at_once_takes_no_reservation_from_another(make_machine: MakeMachine) -> None:
    machine = make_machine(harts=2)
    machine.code("lr.d a0, (a2)\n sc.d a0, a1, (a2)\n nop")
    machine.hart.x[12] = DATA
    machine.run(1)
    before = machine.digest()
    machine.host.set_breakpoint(Breakpoint(CODE))
    assert machine.run(1, hart=1) == EXIT_DEBUG
    assert machine.digest() == before
    machine.run(1)
    assert machine.hart.x[10] == 0


def test_stops_that_come_and_go_leave_no_trace(make_machine: MakeMachine) -> None:
    stopping, plain = busy(make_machine()), busy(make_machine())
    for turn in range(20):
        here, there = Breakpoint(CODE + 4 * (turn % 6)), Watchpoint(DATA + 16 * turn, 8)
        stopping.host.set_breakpoint(here)
        stopping.host.watch(there)
        stopping.run(37)
        stopping.host.clear_breakpoint(here)
        stopping.host.unwatch(there)
        stopping.run(11)
    plain.run(stopping.hart.clock)
    assert plain.hart.clock == stopping.hart.clock
    assert plain.digest() == stopping.digest()
