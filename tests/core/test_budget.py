"""The instruction budget is exact, and how a run is cut into pieces cannot be seen.

Every state that a program passes through is reached by one call or by many, with the caches of addresses
dropped between them or not.
"""

import random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulator.core.csr_bits import ENVCFG_STCE, SIE, SPIE, SPP, SPV, SPVP
from emulator.state import EXIT_BUDGET, EXIT_MMIO, EXIT_WFI, MMIO_ANSWERED, PRIV_S
from tests.core.machine import CODE, DATA, TABLES, VS_TRAP, Machine
from tests.core.tables import LEAF, USER, Tables
from tests.differential.operands import value
from tests.differential.programs import DATA_BYTES, program

TOTAL = 400
CHUNKS = st.lists(st.integers(0, 60), max_size=30)
QUICK = settings(
    max_examples=30,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)

# A guest with its own page tables, a timer that interrupts it again and again, traps, self-modifying code,
# fences, a device, reservations and WFI.
KERNEL = """
    la t0, handler
    csrw stvec, t0
    li t0, 0x222
    csrw sie, t0
    csrsi sstatus, 2
again:
    csrr t0, time
    addi t0, t0, 3
    csrw stimecmp, t0
    lr.d t1, (s0)
    addi t1, t1, 1
    sc.d t2, t1, (s0)
    amoadd.w t2, t1, (s0)
    sw t1, 8(s0)
    li t3, 4093
    add t3, t3, s0
    lw t3, (t3)
    .word 0
    la t4, patched
    lw t5, (t4)
    addi t6, t5, 0
    sw t6, (t4)
patched:
    addi a5, a5, 1
    lw a6, (s1)
    sw a6, 4(s1)
    sfence.vma
    wfi
    csrr a7, instret
    j again
handler:
    csrr a0, scause
    bltz a0, 1f
    csrr a1, sepc
    addi a1, a1, 4
    csrw sepc, a1
    sret
1:  csrr a1, time
    addi a1, a1, 4
    csrw stimecmp, a1
    addi a2, a2, 1
    sret
"""


def guest(engine: Any) -> Machine:
    """Make the guest and stand before its first instruction, in HS-mode, about to enter it."""
    machine = Machine(engine)
    machine.delegate(to_guest=True)
    nested = Tables(machine, TABLES + 0x4_0000, stage2=True)
    tables = Tables(machine, TABLES)
    for page in (CODE, VS_TRAP, DATA, DATA + 0x1000):
        tables.map(page, page, LEAF)
        nested.map(page, page, USER)
    tables.map(DATA + 0x2000, DATA + 0x2000)
    nested.map(DATA + 0x2000, 0x1000_0000, USER)
    nested.map(TABLES, TABLES, USER, pages=8)
    hart = machine.enter(PRIV_S)
    hart.vsatp, hart.hgatp = tables.register(1), nested.register(2)
    hart.menvcfg = hart.henvcfg = ENVCFG_STCE
    hart.mcounteren = hart.hcounteren = 7
    hart.stimecmp = hart.vstimecmp = (1 << 64) - 1
    hart.htimedelta = 12345
    hart.hstatus, hart.mstatus = SPV | SPVP, SPP | SPIE | SIE
    hart.sepc = CODE
    hart.x[8], hart.x[9] = DATA, DATA + 0x2000
    machine.code(KERNEL)
    machine.code("sret", DATA + 0x8000)
    hart.pc = DATA + 0x8000
    return machine


class Runner:
    """Runs a guest: answers its device, sleeps through its WFI."""

    def __init__(self, engine: Any) -> None:
        """Stand before the first instruction."""
        self.machine = guest(engine)
        self.asleep = False

    def advance(self, cycles: int) -> None:
        """Run for exactly `cycles`."""
        hart = self.machine.hart
        end = hart.clock + cycles
        while hart.clock < end:
            if self.asleep:
                self.sleep(end)
            else:
                self.run(end)

    def sleep(self, end: int) -> None:
        """Let time pass until the timer wakes the hart, or to `end`."""
        hart, record = self.machine.hart, self.machine.host.record
        if self.machine.engine.pending(hart, record) & hart.mie:
            self.asleep = False
        else:
            hart.clock += min(self.machine.engine.cycles_to_timer(hart, record), end - hart.clock)

    def run(self, end: int) -> None:
        """Run until something happens, or to `end`."""
        hart = self.machine.hart
        before = hart.clock
        reason = self.machine.run(end - before)
        assert hart.clock - before == hart.retired <= end - before
        if reason == EXIT_MMIO:
            assert hart.mmio_address >> 12 == 0x1000_0000 >> 12
            hart.mmio_value, hart.mmio_state = hart.mmio_address & 0xFF, MMIO_ANSWERED
        elif reason == EXIT_WFI:
            self.asleep = True
        else:
            assert (reason, hart.clock) == (EXIT_BUDGET, end)


@given(chunks=CHUNKS, forget=st.booleans())
@QUICK
def test_guest_with_timers_and_traps_does_not_see_its_pieces(
    engine: Any, chunks: list[int], forget: bool
) -> None:
    whole, pieces = Runner(engine), Runner(engine)
    whole.advance(2000)
    done = 0
    for chunk in [*chunks, *([37] * 100)]:
        step = min(chunk, 2000 - done)
        pieces.advance(step)
        done += step
        if forget:
            engine.flush_fast(pieces.machine.hart)
    assert done == 2000
    assert pieces.machine.digest() == whole.machine.digest()
    assert whole.machine.hart.x[12] > 3, "the timer interrupted it"
    assert whole.machine.hart.x[15] > 3, "the patched instruction ran"


@given(seed=st.integers(0, 1000), chunks=CHUNKS)
@QUICK
def test_random_program_does_not_see_its_pieces(engine: Any, seed: int, chunks: list[int]) -> None:
    def prepared() -> Machine:
        chance = random.Random(seed)
        machine = Machine(engine)
        machine.host.write(CODE, program(chance, 40))
        machine.host.write(DATA, chance.randbytes(DATA_BYTES))
        for number in range(1, 32):
            machine.hart.x[number] = value(chance)
        machine.hart.x[2] = machine.hart.x[3] = DATA + DATA_BYTES // 2
        return machine

    whole, pieces = prepared(), prepared()
    assert whole.run(TOTAL) == EXIT_BUDGET
    done = 0
    for chunk in [*chunks, TOTAL]:
        step = min(chunk, TOTAL - done)
        assert pieces.run(step) == EXIT_BUDGET
        assert pieces.hart.retired == step
        done += step
    assert pieces.digest() == whole.digest()


@pytest.mark.parametrize("budget", [0, 1, 2, 3, 7, 100])
def test_run_uses_exactly_its_budget(machine: Machine, budget: int) -> None:
    machine.code("1: addi a0, a0, 1\n j 1b")
    assert machine.run(budget) == EXIT_BUDGET
    hart = machine.hart
    assert (hart.retired, hart.clock, hart.mcycle, hart.minstret) == (budget,) * 4
    assert hart.x[10] == (budget + 1) // 2


def test_a_trap_costs_a_cycle_and_retires_nothing(machine: Machine) -> None:
    hart = machine.step("ecall", steps=4)
    assert (hart.clock, hart.mcycle, hart.minstret, hart.trapped) == (4, 4, 3, 1)


def test_counters_read_inside_a_run_are_exact(machine: Machine) -> None:
    machine.hart.clock = 95
    machine.code("csrr a0, mcycle\n csrr a1, minstret\n csrr a2, time\n csrr a3, time\n csrr a4, time")
    machine.run(3)
    machine.run(2)
    hart = machine.hart
    assert (hart.x[10], hart.x[11]) == (0, 1)
    assert (hart.x[12], hart.x[13], hart.x[14]) == (9, 9, 9)
    machine.step("csrr a2, time")
    assert hart.x[12] == 10
