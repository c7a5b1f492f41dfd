"""Interrupts between any two instructions: they come at their tick, and the program does not notice.

A program of all sorts of instructions runs once in single steps; that shows where it is at each cycle. Then
it runs again once for every cycle, with a timer that becomes due at this very cycle, and a handler that turns
it off. `time` counts cycles here.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from emulator.core.csr_bits import ENVCFG_STCE, FS, INTERRUPT, MIE, SIE, STI, VSTI
from emulator.isa.assembler import assemble
from emulator.machine.host import TIMEBASE_HZ, Host
from emulator.state import EXIT_BUDGET, EXIT_WFI, NO_ADDRESS, PAGE_BYTES, PRIV_M, PRIV_S, RAM_BASE
from tests.core.machine import M_TRAP, S_TRAP, VS_TRAP

CODE, DATA = RAM_BASE + 0x8FE0, RAM_BASE + 0x10000
MTI = 1 << 7
# It crosses a page, turns its interrupts off and on, calls M-mode, loops, waits.
PROGRAM = """
    li s2, 3
    la_data
again:
    addi s0, s0, 7
    sd s0, 0(s1)
    lw a2, 4(s1)
    ld a3, 1(s1)
    sh s0, 0xff(s1)
    amoadd.d a4, s0, (s1)
    lr.d a5, (s1)
    fcvt.d.l fa0, s0
    fadd.d fa1, fa1, fa0
    fsd fa1, 16(s1)
    off
    mul s0, s0, s2
    divu s3, s0, s2
    on
    ecall
    fence.i
    sfence
    c.addi s4, 5
    c.sdsp s0, 0(sp)
    j over
    .word 0
over:
    csrr a6, SCRATCH
    addi s2, s2, -1
    bnez s2, again
    wfi
    addi s5, s5, 1
end:
    j end
"""
HANDLERS = {
    "stimecmp": (
        S_TRAP,
        "csrrw t6, sscratch, t6\n li t6, -1\n csrw stimecmp, t6\n csrrw t6, sscratch, t6\n sret",
    ),
    "vstimecmp": (
        VS_TRAP,
        "csrrw t6, sscratch, t6\n li t6, -1\n csrw stimecmp, t6\n csrrw t6, sscratch, t6\n sret",
    ),
    # The device takes the line away when the handler has written its comparator; here mie is cleared.
    "mtimecmp": (
        M_TRAP,
        "csrrw t6, mscratch, t6\n li t6, 128\n csrc mie, t6\n csrrw t6, mscratch, t6\n mret",
    ),
}
WAYS = {
    "stimecmp": {
        "off": "csrci sstatus, 2",
        "on": "csrsi sstatus, 2",
        "SCRATCH": "sie",
        "sfence": "sfence.vma",
    },
    "mtimecmp": {"off": "csrci mstatus, 8", "on": "csrsi mstatus, 8", "SCRATCH": "mideleg", "sfence": "nop"},
}
WAYS["vstimecmp"] = WAYS["stimecmp"]
RETURN = (
    "csrrw t6, mscratch, t6\n csrr t6, mepc\n addi t6, t6, 4\n csrw mepc, t6\n csrrw t6, mscratch, t6\n mret"
)


@dataclass(frozen=True)
class Place:
    """Where a program is at a cycle, and whether it would take an interrupt there."""

    pc: int
    takes: bool


class Run:
    """A hart that runs the program; `timer` is one of WAYS."""

    def __init__(self, engine: Any, timer: str) -> None:
        self.host = Host(1, 64 * PAGE_BYTES, TIMEBASE_HZ, engine)
        self.timer = timer
        self.hart: Any = self.host.harts[0]
        self.due = NO_ADDRESS
        text = PROGRAM.replace("la_data", f"li s1, {DATA}\n li sp, {DATA + 64}")
        for word, line in WAYS[timer].items():
            text = text.replace(f"    {word}\n", f"    {line}\n").replace(f" {word}\n", f" {line}\n")
        if timer == "mtimecmp":
            text = text.replace("ecall", "nop")
        program = assemble(text)
        self._write(CODE, text)
        self.end = CODE + program.symbols["end"] - RAM_BASE
        place, handler = HANDLERS[timer]
        self._write(place, handler)
        if timer != "mtimecmp":
            self._write(M_TRAP, RETURN)
        self._enter()

    def _write(self, address: int, text: str) -> None:
        for segment in assemble(text).segments:
            self.host.write(address + segment.address - RAM_BASE, segment.data)

    def _enter(self) -> None:
        hart = self.hart
        hart.pc, hart.mtvec, hart.stvec, hart.vstvec = CODE, M_TRAP, S_TRAP, VS_TRAP
        hart.menvcfg = hart.henvcfg = ENVCFG_STCE
        hart.stimecmp = hart.vstimecmp = NO_ADDRESS
        hart.mcounteren = hart.hcounteren = 7
        hart.mstateen[:] = hart.hstateen[:] = [NO_ADDRESS] * 4
        hart.mideleg, hart.hideleg = 0x1666, 0x444
        hart.mstatus, hart.vsstatus = FS | SIE | MIE, FS | SIE
        hart.mie = {"mtimecmp": MTI, "stimecmp": STI, "vstimecmp": VSTI}[self.timer]
        hart.priv, hart.virt = (PRIV_M, 0) if self.timer == "mtimecmp" else (PRIV_S, 0)
        if self.timer == "vstimecmp":
            hart.virt, hart.htimedelta = 1, 500

    @property
    def takes(self) -> bool:
        """Whether the hart would take the timer's interrupt now."""
        hart = self.hart
        if self.timer == "mtimecmp":
            return bool(hart.mstatus & MIE)
        if hart.priv != PRIV_S:
            return False
        return bool((hart.vsstatus if self.timer == "vstimecmp" else hart.mstatus) & SIE)

    def arm(self, cycle: int) -> None:
        """Let the timer become due at a cycle."""
        if self.timer == "stimecmp":
            self.hart.stimecmp = cycle
        elif self.timer == "vstimecmp":
            self.hart.vstimecmp = cycle + self.hart.htimedelta
        else:
            self.due = cycle

    def go(self, cycles: int) -> None:
        """Run on by so many cycles; a wait goes on at once, as if something else had ended it."""
        end = self.hart.clock + cycles
        while self.hart.clock < end:
            # As the bare machine does: a hart stops where its mtimecmp is due, and then has the line.
            stop = self.due if self.hart.clock < self.due < end else end
            if self.hart.clock >= self.due:
                self.hart.lines |= MTI
            assert self.host.run(0, stop - self.hart.clock) in (EXIT_BUDGET, EXIT_WFI)

    def trace(self) -> list[Place]:
        """Return where the program is before each of its cycles, up to its last instruction."""
        places: list[Place] = []
        while self.hart.pc != self.end:
            places.append(Place(self.hart.pc, self.takes))
            self.go(1)
        return places

    def outcome(self) -> tuple[Any, ...]:
        """Return what the program has done."""
        x, f = list(self.hart.x)[:32], list(self.hart.f)
        return self.hart.pc, x, f, self.host.read(DATA, PAGE_BYTES)


@pytest.fixture
def start(engine: Any) -> Callable[[str], Run]:
    """Make runs of the program."""
    return lambda timer: Run(engine, timer)


def epc(run: Run) -> tuple[int, int]:
    """Return cause and place of the last interrupt, as its handler saw them."""
    hart = run.hart
    seen = {"mtimecmp": "m", "stimecmp": "s", "vstimecmp": "vs"}[run.timer]
    return getattr(hart, f"{seen}cause"), getattr(hart, f"{seen}epc")


@pytest.mark.parametrize("timer", WAYS)
def test_interrupt_at_every_cycle_comes_there_and_changes_nothing(
    start: Callable[[str], Run], timer: str
) -> None:
    quiet = start(timer)
    places = quiet.trace()
    assert len(places) > 70
    handler = len(assemble(HANDLERS[timer][1]).segments[0].data) // 2 + 2
    for cycle in range(1, len(places)):
        run = start(timer)
        run.arm(cycle)
        run.go(len(places) + handler)
        expected = next((place.pc for place in places[cycle:] if place.takes), run.end)
        assert epc(run) == (INTERRUPT | (7 if timer == "mtimecmp" else 5), expected), cycle
        assert run.hart.interrupts_taken == 1
        assert run.outcome() == quiet.outcome(), cycle


@pytest.mark.parametrize("timer", WAYS)
def test_cycles_of_a_run_do_not_depend_on_where_it_is_cut(start: Callable[[str], Run], timer: str) -> None:
    whole = start(timer)
    whole.arm(40)
    whole.go(120)
    for piece in (1, 3, 7):
        cut = start(timer)
        cut.arm(40)
        while cut.hart.clock < 120:
            cut.go(min(piece, 120 - cut.hart.clock))
        assert list(cut.host.state_parts())[1] == list(whole.host.state_parts())[1]


@pytest.mark.parametrize("due", [0, 1, 2, 3, 4, 50])
def test_wfi_ends_when_the_timer_is_due_whether_it_traps_or_not(engine: Any, due: int) -> None:
    for status in (SIE, 0):
        run = Run(engine, "stimecmp")
        run._write(CODE, "nop\n nop\n wfi\n nop\n 1: j 1b")
        run.hart.mstatus, run.hart.stimecmp = status, due
        while run.host.run(0, 4) == EXIT_WFI:
            run.hart.clock += run.host.engine.cycles_to_timer(run.hart, run.host.record)
            assert run.hart.clock == due
        taken = run.hart.interrupts_taken
        assert taken == (1 if status else 0)
        if status:
            assert run.hart.sepc == CODE + 4 * min(due, 3)
