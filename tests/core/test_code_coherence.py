"""Code that changes while it runs: the next fetch sees every store, with or without fence.i.

The standard promises this only after fence.i; here it holds at once, so that no cache can be seen
(DESIGN.md, section 3).
"""

from collections.abc import Callable

import pytest

from emulator.core.csr_bits import INSTRUCTION_PAGE
from emulator.isa.assembler import assemble
from emulator.state import EXIT_BUDGET, PAGE_BYTES, PRIV_S, RAM_BASE
from tests.core.machine import CODE, DATA, TABLES, Machine
from tests.core.tables import LEAF, Tables

VA = 0x10_0000_0000


def encoded(line: str) -> int:
    """Return the first word of an assembled line."""
    data = assemble(line).segments[0].data
    return int.from_bytes(data[:4].ljust(4, b"\0"), "little")


PATCH = encoded("li a0, 2")


@pytest.mark.parametrize("fence", ["nop", "fence.i"])
def test_store_just_ahead_in_the_same_page(machine: Machine, fence: str) -> None:
    machine.hart.x[11], machine.hart.x[12] = PATCH, CODE + 8
    assert machine.step(f"sw a1, (a2)\n {fence}\n li a0, 1", steps=3).x[10] == 2


def test_store_to_code_that_has_run(machine: Machine) -> None:
    hart = machine.hart
    hart.x[11], hart.x[12] = PATCH, CODE
    machine.code("1: li a0, 1\n sw a1, (a2)\n j 1b")
    assert machine.run(4) == EXIT_BUDGET
    assert hart.x[10] == 2


@pytest.mark.parametrize("size", ["sb", "sh", "sw", "sd"])
def test_store_of_any_size_to_code(machine: Machine, size: str) -> None:
    """Change the immediate of an `addi` that has run, by its upper half."""
    hart = machine.hart
    code = CODE + 0x100
    machine.code("addi a0, x0, 1\n nop\n jr ra", code)
    hart.x[1], hart.x[12] = CODE + 4, code
    machine.step("jr a2", steps=4)
    assert hart.x[10] == 1
    changed = encoded("addi a0, x0, 0x101") | encoded("nop") << 32
    address = {"sb": code + 3, "sh": code + 2}.get(size, code)
    hart.x[13], hart.x[14] = address, changed >> 8 * (address - code)
    machine.step(f"{size} a4, (a3)\n jr a2", steps=4)
    assert hart.x[10] == 0x101


def test_store_to_another_page_of_code(machine: Machine) -> None:
    hart = machine.hart
    other = CODE + 4 * PAGE_BYTES
    machine.code("li a0, 1\n jr ra", other)
    hart.x[11], hart.x[12], hart.x[1] = PATCH, other, CODE + 4
    machine.step("jalr ra, (a2)\n sw a1, (a2)\n jalr ra, (a2)", steps=6)
    assert hart.x[10] == 2


def test_store_through_another_mapping(machine: Machine) -> None:
    machine.delegate()
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE)
    tables.map(VA, CODE)
    hart = machine.enter(PRIV_S)
    hart.satp = tables.register()
    hart.x[11], hart.x[12] = PATCH, VA + 8
    assert machine.step("sw a1, (a2)\n nop\n li a0, 1", steps=3).x[10] == 2


def test_store_that_went_through_the_fast_map_before_the_page_became_code(machine: Machine) -> None:
    hart = machine.hart
    machine.code("li a0, 1\n jr ra", DATA)
    hart.x[11], hart.x[12], hart.x[1] = PATCH, DATA, CODE + 8
    # The first store makes the page writable in the fast map, then it is executed, then written again.
    machine.step("sw a1, 8(a2)\n jalr ra, (a2)\n sw a1, (a2)\n jalr ra, (a2)", steps=7)
    assert hart.x[10] == 2


def test_store_of_another_hart(make_machine: Callable[..., Machine]) -> None:
    machine = make_machine(harts=2)
    first, second = machine.host.harts
    machine.code("1: li a0, 1\n j 1b")
    machine.code("sw a1, (a2)", CODE + PAGE_BYTES)
    # Hart 1 knows the page as data before hart 0 runs it.
    second.pc, second.x[11], second.x[12] = CODE + PAGE_BYTES, encoded("li a0, 1"), CODE
    machine.run(1, hart=1)
    machine.run(10, hart=0)
    assert first.x[10] == 1
    second.pc, second.x[11] = CODE + PAGE_BYTES, PATCH
    machine.run(1, hart=1)
    machine.run(10, hart=0)
    assert first.x[10] == 2


def test_write_of_the_host(machine: Machine) -> None:
    machine.code("1: li a0, 1\n j 1b")
    machine.run(10)
    machine.store(CODE, PATCH, 4)
    machine.run(10)
    assert machine.hart.x[10] == 2


def test_atomic_to_code(machine: Machine) -> None:
    hart = machine.hart
    hart.x[11], hart.x[12] = PATCH, CODE + 8
    assert machine.step("amoswap.w x0, a1, (a2)\n nop\n li a0, 1", steps=3).x[10] == 2


def test_page_that_is_discarded_and_reused_is_decoded_anew(machine: Machine) -> None:
    machine.code("li a0, 1\n 1: j 1b", DATA)
    machine.hart.pc = DATA
    machine.run(3)
    machine.host.discard([(DATA - RAM_BASE) // PAGE_BYTES])
    machine.code("li a0, 2\n 1: j 1b", DATA)
    machine.hart.pc = DATA
    machine.run(3)
    assert machine.hart.x[10] == 2


# Instructions that straddle two pages


def straddling(machine: Machine, base: int, line: str) -> int:
    """Put a 4-byte instruction across the end of the page at `base`; return its address."""
    place = base + PAGE_BYTES - 2
    machine.store(place, encoded(line), 4)
    return place


def test_straddling_instruction_runs(machine: Machine) -> None:
    place = straddling(machine, CODE, "addi a0, x0, 77")
    machine.code("addi a0, a0, 1", place + 4)
    machine.hart.pc = place
    machine.run(2)
    assert (machine.hart.x[10], machine.hart.pc) == (78, place + 8)


def test_straddling_instruction_is_reached_from_before_it(machine: Machine) -> None:
    place = straddling(machine, CODE, "addi a0, a0, 77")
    machine.store(place - 4, encoded("li a0, 1"), 4)
    machine.hart.pc = place - 4
    machine.run(3)
    assert machine.hart.x[10] == 78


@pytest.mark.parametrize("taken", [0, 1])
def test_straddling_branch_goes_both_ways(machine: Machine, taken: int) -> None:
    place = straddling(machine, CODE, "beq a0, a1, . + 100")
    machine.hart.x[10] = 1 - taken
    machine.hart.pc = place
    machine.run(1)
    assert machine.hart.pc == place + (100 if taken else 4)


@pytest.mark.parametrize("half", [0, 1])
def test_store_to_either_half_of_a_straddling_instruction(machine: Machine, half: int) -> None:
    place = straddling(machine, CODE, "addi a0, x0, 1")
    hart = machine.hart
    hart.x[1] = CODE + 4
    machine.store(place + 4, encoded("jr ra"), 4)
    hart.x[12] = place
    machine.step("jr a2", steps=3)
    changed = encoded("addi a0, x0, 3" if half else "addi a0, x0, 1")
    if not half:
        changed = changed & ~0xF80 | 11 << 7  # a1 instead of a0: rd is in the lower half
    hart.x[13], hart.x[14] = place + 2 * half, changed >> 16 * half
    machine.step("sh a4, (a3)\n jr a2", steps=4)
    assert (hart.x[10] if half else hart.x[11]) == (3 if half else 1)


def two_pages(machine: Machine, second: int | None) -> int:
    """Map VA and, if wanted, the page after it, to frames that are not neighbours."""
    machine.delegate()
    tables = Tables(machine, TABLES)
    tables.map(CODE, CODE)
    tables.map(VA, DATA)
    if second is not None:
        tables.map(VA + PAGE_BYTES, second, LEAF)
    word = encoded("addi a0, x0, 77")
    machine.store(DATA + PAGE_BYTES - 2, word & 0xFFFF, 2)
    machine.store(DATA + 5 * PAGE_BYTES, word >> 16, 2)
    hart = machine.enter(PRIV_S)
    hart.satp = tables.register()
    hart.pc = VA + PAGE_BYTES - 2
    return tables.entry(VA + PAGE_BYTES)


def test_halves_come_from_frames_that_are_not_neighbours(machine: Machine) -> None:
    two_pages(machine, DATA + 5 * PAGE_BYTES)
    machine.run(1)
    assert machine.hart.x[10] == 77


def test_fault_on_the_second_half_names_its_address(machine: Machine) -> None:
    two_pages(machine, None)
    hart = machine.hart
    machine.run(1)
    assert (hart.scause, hart.sepc, hart.stval) == (INSTRUCTION_PAGE, VA + PAGE_BYTES - 2, VA + PAGE_BYTES)


def test_second_half_is_translated_each_time(machine: Machine) -> None:
    entry = two_pages(machine, DATA + 5 * PAGE_BYTES)
    machine.store(DATA + 6 * PAGE_BYTES, encoded("addi a0, x0, 99") >> 16, 2)
    machine.run(1)
    machine.store(entry, (DATA + 6 * PAGE_BYTES) >> 2 | LEAF)
    machine.fence()
    machine.hart.pc = VA + PAGE_BYTES - 2
    machine.run(1)
    assert machine.hart.x[10] == 99


def test_compressed_instruction_at_the_end_of_a_page_needs_no_second_page(machine: Machine) -> None:
    two_pages(machine, None)
    machine.store(DATA + PAGE_BYTES - 2, encoded("c.li a0, 5"), 2)
    machine.run(1)
    assert machine.hart.x[10] == 5
    machine.run(1)
    assert (machine.hart.scause, machine.hart.sepc) == (INSTRUCTION_PAGE, VA + PAGE_BYTES)


# More code than decoded pages


def test_code_that_does_not_fit_the_decoded_pages_runs_all_the_same(engine: object) -> None:
    """1100 pages of code with room for 1024 decoded ones: the oldest give way, again and again."""
    pages = 1100
    machine = Machine(engine, frames=pages + 64)
    start = RAM_BASE + 32 * PAGE_BYTES
    lines = ("addi a0, a0, 1", "lui t0, 1", "auipc t1, 0", "add t1, t1, t0", "jr -8(t1)")
    body = b"".join(encoded(line).to_bytes(4, "little") for line in lines)
    for page in range(pages):
        machine.host.write(start + page * PAGE_BYTES, body)
    end = start + pages * PAGE_BYTES
    machine.code("1: j 1b", end)
    for _ in range(2):
        machine.hart.x[10] = 0
        machine.hart.pc = start
        assert machine.run(5 * pages + 3) == EXIT_BUDGET
        assert (machine.hart.x[10], machine.hart.pc) == (pages, end)
