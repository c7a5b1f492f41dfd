"""Loads, stores, atomics: alignment, page borders, reservations, devices, copy-on-write."""

import ctypes
from collections.abc import Callable
from typing import Any

import pytest

from emulator.core.csr_bits import (
    LOAD_ACCESS,
    LOAD_MISALIGNED,
    LOAD_PAGE,
    PTE_W,
    STORE_ACCESS,
    STORE_MISALIGNED,
    STORE_PAGE,
)
from emulator.state import (
    EXIT_BUDGET,
    EXIT_MMIO,
    EXIT_STORE_FULL,
    MMIO_ANSWERED,
    MMIO_NONE,
    MMIO_REFUSED,
    MMIO_WAITING,
    PAGE_BYTES,
    PRIV_S,
    RAM_BASE,
)
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, Tables

VA = 0x10_0000_0000
PATTERN = bytes(range(0x80, 0x90))
DEVICE = 0x1000_0000


def paged(machine: Machine, second: int = LEAF) -> Tables:
    """Map VA to DATA and the page after it to another frame, three further on."""
    machine.delegate()
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE)
    tables.map(VA, DATA)
    if second:
        tables.map(VA + PAGE_BYTES, DATA + 3 * PAGE_BYTES, second)
    machine.enter(PRIV_S).satp = tables.register()
    return tables


def run_with(machine: Machine, line: str, address: int, value: int = 0) -> Any:
    """Execute one line with an address in a0 and a value in a1."""
    machine.hart.x[10], machine.hart.x[11], machine.hart.scause = address, value, 99
    return machine.step(line)


# Misaligned accesses


@pytest.mark.parametrize(("line", "size"), [("lhu", 2), ("lwu", 4), ("ld", 8)])
@pytest.mark.parametrize("back", range(1, 8))
def test_load_may_touch_two_pages(machine: Machine, line: str, size: int, back: int) -> None:
    paged(machine)
    machine.host.write(DATA + PAGE_BYTES - 8, PATTERN[:8])
    machine.host.write(DATA + 3 * PAGE_BYTES, PATTERN[8:])
    hart = run_with(machine, f"{line} a1, (a0)", VA + PAGE_BYTES - back)
    assert hart.x[11] == int.from_bytes(PATTERN[8 - back : 8 - back + size], "little")


@pytest.mark.parametrize(("line", "size"), [("sh", 2), ("sw", 4), ("sd", 8)])
@pytest.mark.parametrize("back", range(1, 8))
def test_store_may_touch_two_pages(machine: Machine, line: str, size: int, back: int) -> None:
    paged(machine)
    run_with(machine, f"{line} a1, (a0)", VA + PAGE_BYTES - back, 0x8877_6655_4433_2211)
    seen = machine.host.read(DATA + PAGE_BYTES - 8, 8) + machine.host.read(DATA + 3 * PAGE_BYTES, 8)
    expected = bytearray(16)
    expected[8 - back : 8 - back + size] = (0x8877_6655_4433_2211).to_bytes(8, "little")[:size]
    assert seen == expected
    assert machine.host.read(DATA + PAGE_BYTES, 16) == bytes(16), "the next frame is not the next page"


@pytest.mark.parametrize(("line", "cause"), [("ld a1, (a0)", LOAD_PAGE), ("sd a1, (a0)", STORE_PAGE)])
def test_fault_on_the_second_page_names_its_first_byte(machine: Machine, line: str, cause: int) -> None:
    paged(machine, second=0)
    hart = run_with(machine, line, VA + PAGE_BYTES - 3, 0x1234)
    assert (hart.scause, hart.stval, hart.sepc) == (cause, VA + PAGE_BYTES, CODE)
    assert hart.x[11] == 0x1234
    assert machine.host.read(DATA + PAGE_BYTES - 8, 8) == bytes(8), "a store happens wholly or not at all"


def test_store_to_a_read_only_second_page_writes_nothing(machine: Machine) -> None:
    paged(machine, second=LEAF & ~PTE_W)
    hart = run_with(machine, "sd a1, (a0)", VA + PAGE_BYTES - 1, 0xFFFF_FFFF_FFFF_FFFF)
    assert (hart.scause, hart.stval) == (STORE_PAGE, VA + PAGE_BYTES)
    assert machine.host.read(DATA + PAGE_BYTES - 1, 1) == b"\0"


@pytest.mark.parametrize(("line", "cause"), [("lw a1, (a0)", LOAD_ACCESS), ("sw a1, (a0)", STORE_ACCESS)])
def test_misaligned_access_to_a_device_is_an_access_fault(machine: Machine, line: str, cause: int) -> None:
    hart = run_with(machine, line, DEVICE + 1)
    assert (hart.mcause, hart.mtval, hart.mmio_state) == (cause, DEVICE + 1, MMIO_NONE)


def test_access_that_leaves_ram_is_an_access_fault(machine: Machine) -> None:
    end = RAM_BASE + machine.host.memory_bytes
    hart = run_with(machine, "ld a1, (a0)", end - 4)
    assert (hart.mcause, hart.mtval) == (LOAD_ACCESS, end), "the portion that caused the fault"
    assert hart.mtinst >> 15 & 31 == 4
    hart = run_with(machine, "sd a1, (a0)", end - 4, 1)
    assert (hart.mcause, hart.mtval) == (STORE_ACCESS, end)
    assert machine.load(end - 8) == 0


@pytest.mark.parametrize(
    ("line", "cause"),
    [("lbu a0, (a1)", LOAD_ACCESS), ("sb a0, (a1)", STORE_ACCESS), ("lh a0, (a1)", LOAD_ACCESS)],
)
def test_very_last_byte_is_no_memory(machine: Machine, line: str, cause: int) -> None:
    machine.hart.x[10], machine.hart.x[11] = 7, (1 << 64) - 1
    hart = machine.step(line)
    assert (hart.mcause, hart.mtval, hart.x[10]) == (cause, (1 << 64) - 1, 7)


def test_access_that_wraps_around_the_address_space_is_an_access_fault(machine: Machine) -> None:
    assert run_with(machine, "ld a1, (a0)", (1 << 64) - 4).mcause == LOAD_ACCESS


@pytest.mark.parametrize(
    "line", ["lr.w a1, (a0)", "lr.d a1, (a0)", "sc.w a2, a1, (a0)", "amoadd.d a2, a1, (a0)"]
)
def test_misaligned_atomic_is_refused(machine: Machine, line: str) -> None:
    hart = run_with(machine, line, DATA + 2, 5)
    assert hart.mcause == (LOAD_MISALIGNED if line.startswith("lr") else STORE_MISALIGNED)
    assert hart.mtval == DATA + 2
    assert machine.load(DATA) == 0


@pytest.mark.parametrize("line", ["lr.w a1, (a0)", "sc.w a2, a1, (a0)", "amoswap.w a2, a1, (a0)"])
def test_atomic_on_a_device_is_an_access_fault(machine: Machine, line: str) -> None:
    hart = run_with(machine, line, DEVICE)
    assert hart.mcause == (LOAD_ACCESS if line.startswith("lr") else STORE_ACCESS)
    assert hart.mmio_state == MMIO_NONE


def test_amo_on_a_read_only_page_is_a_store_fault(machine: Machine) -> None:
    paged(machine, second=LEAF & ~PTE_W)
    assert run_with(machine, "amoor.w a2, a1, (a0)", VA + PAGE_BYTES).scause == STORE_PAGE
    assert run_with(machine, "sc.w a2, a1, (a0)", VA + PAGE_BYTES).scause == STORE_PAGE
    assert run_with(machine, "lr.w a2, (a0)", VA + PAGE_BYTES).scause == 99


# Reservations

LOCK = "lr.w a2, (a0)\n addi a2, a2, 1\n sc.w a3, a2, (a0)\n sc.w a4, a2, (a0)"


def test_sc_succeeds_once_after_lr(machine: Machine) -> None:
    machine.hart.x[10] = DATA
    hart = machine.step(LOCK, steps=4)
    assert (hart.x[13], hart.x[14], machine.load(DATA, 4)) == (0, 1, 1)


def test_sc_elsewhere_fails_and_uses_up_the_reservation(machine: Machine) -> None:
    hart = machine.hart
    hart.x[10], hart.x[15] = DATA, DATA + 64
    machine.step("lr.w a2, (a0)\n sc.w a3, a2, (a5)\n sc.w a4, a2, (a0)", steps=3)
    assert (hart.x[13], hart.x[14]) == (1, 1)


def test_sc_fails_after_intervening_store(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(harts=2)
    first, second = machine.host.harts
    first.x[10] = second.x[10] = DATA
    machine.code(LOCK)
    machine.code("li a1, 9\n sw a1, (a0)", CODE + 0x1000)
    second.pc = CODE + 0x1000
    assert machine.run(2, hart=0) == EXIT_BUDGET
    assert machine.run(2, hart=1) == EXIT_BUDGET
    assert machine.run(1, hart=0) == EXIT_BUDGET
    assert first.x[13] == 1
    assert machine.load(DATA, 4) == 9


def test_sc_fails_after_intervening_store_of_the_same_value(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(harts=2)
    first, second = machine.host.harts
    first.x[10] = second.x[10] = DATA
    machine.code(LOCK)
    machine.code("sw x0, (a0)", CODE + 0x1000)
    second.pc = CODE + 0x1000
    machine.run(2, hart=0)
    machine.run(1, hart=1)
    machine.run(1, hart=0)
    assert first.x[13] == 1


def test_sc_fails_after_a_write_of_the_host(machine: Machine) -> None:
    machine.hart.x[10] = DATA
    machine.step(LOCK, steps=2)
    machine.store(DATA, 7)
    machine.run(1)
    assert machine.hart.x[13] == 1


def test_each_hart_has_its_own_reservation(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(harts=2)
    machine.code(LOCK)
    for hart in machine.host.harts:
        hart.x[10] = DATA
    machine.run(2, hart=0)
    machine.run(4, hart=1)
    machine.run(2, hart=0)
    first, second = machine.host.harts
    assert (second.x[13], first.x[13], machine.load(DATA, 4)) == (0, 1, 1)


def test_harts_count_together_with_lr_and_sc(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(harts=3)
    machine.code(
        "1: lr.d a2, (a0)\n addi a2, a2, 1\n sc.d a3, a2, (a0)\n bnez a3, 1b\n addi a4, a4, 1\n j 1b"
    )
    for hart in machine.host.harts:
        hart.x[10] = DATA
    for turn in range(600):
        machine.run(turn % 7 + 1, hart=turn % 3)
    for number, hart in enumerate(machine.host.harts):
        while hart.pc not in (CODE, CODE + 4, CODE + 8, CODE + 20):
            machine.run(1, hart=number)
    assert machine.load(DATA) == sum(hart.x[14] for hart in machine.host.harts) > 20


# Devices


@pytest.mark.parametrize(("line", "size"), [("lb", 1), ("lhu", 2), ("lw", 4), ("ld", 8)])
def test_device_load_waits_for_the_answer_and_extends_it(machine: Machine, line: str, size: int) -> None:
    hart = machine.hart
    hart.x[10] = DEVICE + 8
    machine.code(f"{line} a1, (a0)\n nop")
    assert machine.run(10) == EXIT_MMIO
    assert (hart.mmio_state, hart.mmio_address, hart.mmio_size, hart.mmio_write) == (
        MMIO_WAITING,
        DEVICE + 8,
        size,
        0,
    )
    assert (hart.pc, hart.retired) == (CODE, 0)
    hart.mmio_value, hart.mmio_state = (1 << 8 * size) - 2, MMIO_ANSWERED
    assert machine.run(1) == EXIT_BUDGET
    assert (hart.pc, hart.mmio_state) == (CODE + 4, MMIO_NONE)
    assert hart.x[11] == ((1 << 64) - 2 if line in ("lb", "lw") else (1 << 8 * size) - 2)


@pytest.mark.parametrize(("line", "size"), [("sb", 1), ("sh", 2), ("sw", 4), ("sd", 8)])
def test_device_store_carries_its_value_and_happens_once(machine: Machine, line: str, size: int) -> None:
    hart = machine.hart
    hart.x[10], hart.x[11] = DEVICE, 0x8877_6655_4433_2211
    machine.code(f"{line} a1, (a0)\n 1: j 1b")
    assert machine.run(10) == EXIT_MMIO
    mask = (1 << 8 * size) - 1
    assert (hart.mmio_write, hart.mmio_size, hart.mmio_value & mask) == (
        1,
        size,
        0x8877_6655_4433_2211 & mask,
    )
    hart.mmio_state = MMIO_ANSWERED
    assert machine.run(10) == EXIT_BUDGET
    assert hart.retired == 10


def test_waiting_access_that_is_not_answered_asks_again(machine: Machine) -> None:
    hart = machine.hart
    hart.x[10] = DEVICE
    machine.code("lw a1, (a0)")
    for _ in range(3):
        assert machine.run(10) == EXIT_MMIO
        assert (hart.mmio_state, hart.retired, hart.clock) == (MMIO_WAITING, 0, 0)


@pytest.mark.parametrize(("line", "cause"), [("lw a1, (a0)", LOAD_ACCESS), ("sw a1, (a0)", STORE_ACCESS)])
def test_refused_access_traps_and_leaves_the_register(machine: Machine, line: str, cause: int) -> None:
    hart = machine.hart
    hart.x[10], hart.x[11] = DEVICE, 77
    machine.code(line)
    machine.run(1)
    hart.mmio_state, hart.mmio_value = MMIO_REFUSED, 5
    machine.run(1)
    assert (hart.mcause, hart.mtval, hart.mepc, hart.x[11], hart.mmio_state) == (
        cause,
        DEVICE,
        CODE,
        77,
        MMIO_NONE,
    )


def test_interrupt_does_not_come_between_a_request_and_its_answer(machine: Machine) -> None:
    hart = machine.hart
    hart.x[10] = DEVICE
    machine.code("lw a1, (a0)\n nop")
    assert machine.run(5) == EXIT_MMIO
    hart.mip = hart.mie = 1 << 7
    hart.mstatus = 8
    hart.mmio_state, hart.mmio_value = MMIO_ANSWERED, 3
    machine.run(2)
    assert (hart.x[11], hart.mepc) == (3, CODE + 4)


# Copy-on-write


def share(machine: Machine, first: int, second: int) -> None:
    """Let two frames stand on one slot, as after a checkpoint or a clone."""
    host = machine.host
    slots = (ctypes.c_uint32 * host.frames).from_address(host._arenas["frame_slot"].address)
    references = (ctypes.c_uint32 * host.record.store_slots).from_address(
        host._arenas["slot_references"].address
    )
    a, b = ((address - RAM_BASE) // PAGE_BYTES for address in (first, second))
    assert slots[b] == 0, "the second frame was never written"
    slots[b] = slots[a]
    references[slots[a]] += 1
    machine.engine.flush_fast(machine.hart)


@pytest.mark.parametrize("line", ["sb a1, (a0)", "sd a1, (a0)", "sd a1, 3(a0)", "amoswap.d a2, a1, (a0)"])
@pytest.mark.parametrize("writer", [0, 1])
def test_store_to_a_shared_slot_leaves_the_other_frame_alone(
    machine: Machine, line: str, writer: int
) -> None:
    other = DATA + 8 * PAGE_BYTES
    machine.host.write(DATA, PATTERN * 4)
    machine.code("nop")
    share(machine, DATA, other)
    free = machine.host.record.free_count
    # Both pages are in the fast map for loads before the store.
    for page in (DATA, other):
        assert run_with(machine, "ld a1, (a0)", page).x[11] == int.from_bytes(PATTERN[:8], "little")
    target, kept = ((DATA, other), (other, DATA))[writer]
    run_with(machine, line, target, 0x1111_1111_1111_1111)
    assert machine.host.read(kept, 64) == PATTERN * 4
    assert machine.host.read(target, 64) != PATTERN * 4
    for page in (DATA, other):
        expected = machine.load(page)
        assert run_with(machine, "ld a1, (a0)", page).x[11] == expected
    assert machine.host.record.free_count == free - 1
    run_with(machine, line, kept, 5)
    assert machine.host.record.free_count == free - 1, "the last frame on a slot writes in place"


def test_frames_that_were_never_written_share_the_zero_page(machine: Machine) -> None:
    free = machine.host.record.free_count
    pages = [DATA + number * PAGE_BYTES for number in range(4)]
    for page in pages:
        assert run_with(machine, "ld a1, (a0)", page).x[11] == 0
    used = free - machine.host.record.free_count
    run_with(machine, "sd a1, (a0)", pages[1], 7)
    assert [run_with(machine, "ld a1, (a0)", page).x[11] for page in pages] == [0, 7, 0, 0]
    assert free - machine.host.record.free_count == used + 1


@pytest.mark.parametrize("line", ["sd a1, (a0)", "sd a1, 1(a0)", "amoadd.d a2, a1, (a0)"])
def test_full_backing_store_stops_the_store_and_lets_it_happen_later(machine: Machine, line: str) -> None:
    machine.code(f"{line}\n 1: j 1b")
    hart, record = machine.hart, machine.host.record
    hart.x[10], hart.x[11] = DATA, 0x55
    free, record.free_count = record.free_count, 0
    assert machine.run(10) == EXIT_STORE_FULL
    assert (hart.pc, hart.retired) == (CODE, 0)
    assert machine.load(DATA) == 0
    record.free_count = free
    assert machine.run(10) == EXIT_BUDGET
    assert machine.load(DATA) in (0x55, 0x5500)


def test_full_backing_store_keeps_a_reservation(machine: Machine) -> None:
    machine.hart.x[10] = DATA
    machine.step(LOCK, steps=2)
    record = machine.host.record
    free, record.free_count = record.free_count, 0
    assert machine.run(1) == EXIT_STORE_FULL
    record.free_count = free
    machine.run(1)
    assert machine.hart.x[13] == 0
