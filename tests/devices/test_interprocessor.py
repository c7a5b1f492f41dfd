"""Two harts that ring each other: no ring is lost, none comes twice; delegated or not, asleep or busy."""

from collections.abc import Callable
from typing import Any

import pytest

from emulator.devices.virt import Board
from emulator.state import RAM_BASE
from tests.core.machine import MASK

ROUNDS = 24
MSIP = 0x0200_0000
# Hart n waits for its ball, counts it and rings hart 1 - n; hart 0 begins. s1 is what a hart does between.
PROGRAM = """
    csrr s0, mhartid
    xori t1, s0, 1
    slli t1, t1, 2
    li s2, {msip}
    add s3, s2, t1
    slli t1, s0, 2
    add s2, s2, t1
    li s5, {rounds}
    la t0, machine
    csrw mtvec, t0
    la t0, supervisor
    csrw stvec, t0
    li t0, 8
    csrw mie, t0
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 31
    csrw pmpcfg0, t0
    {enter}
start:
    bnez s0, 1f
    li t0, 1
    sw t0, 0(s3)
1:  {idle}
    j 1b
    .balign 4
machine:
    sw zero, 0(s2)
    {forward}
    .balign 4
supervisor:
    csrci sip, 2
    addi s4, s4, 1
    jal tp, ring
    sret
ring:
    bltu s5, s4, done
    li t0, 1
    sw t0, 0(s3)
    jr tp
done:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
2:  j 2b
"""
DIRECT = {"enter": "csrsi mstatus, 8", "forward": "addi s4, s4, 1\n jal tp, ring\n mret"}
# M-mode passes the interrupt on as a supervisor's software interrupt.
DELEGATED = {
    "enter": "\n".join(
        [
            "li t0, 2",
            "csrw mideleg, t0",
            "csrs mie, t0",
            "li t0, 0x802",
            "csrw mstatus, t0",
            "la t0, start",
            "csrw mepc, t0",
            "mret",
        ]
    ),
    "forward": "csrsi mip, 2\n mret",
}


@pytest.mark.parametrize("idle", ["wfi", "addi s6, s6, 1", "csrr s6, cycle", "amoadd.w s6, s6, (sp)"])
@pytest.mark.parametrize("way", [DIRECT, DELEGATED], ids=["to M-mode", "delegated"])
def test_every_ring_is_heard_once(start: Callable[..., Any], idle: str, way: dict[str, str]) -> None:
    running = start(PROGRAM.format(msip=MSIP, rounds=ROUNDS, idle=idle, **way), harts=2)
    board: Board = running.board
    for hart in running.harts:
        hart.x[2] = RAM_BASE + 0x10_0000
        hart.mcounteren = 7
    board.run(100_000_000)
    assert board.machine.stop_code == 0
    counts = [hart.x[20] & MASK for hart in running.harts]
    assert sorted(counts) == [ROUNDS, ROUNDS + 1]
