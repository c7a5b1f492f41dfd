"""Guests that touch memory in a known way."""

from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.vm import Vm
from emulator.state import PAGE_BYTES, RAM_BASE
from emulator.tournament.guests import GIVEN_FROM as GIVEN_FROM
from emulator.tournament.guests import balloon_driver as balloon_driver

FIRST_PAGE = 16  # of the area that guests touch; the program lies below
CHUNK = 64 << 10


def touch(pages: int, then: str = "9: wfi\n j 9b") -> str:
    """Return a guest that numbers so many pages, then adds up the numbers in s2."""
    return f"""
        li t0, {PAGE_BYTES}
        li s0, {RAM_BASE + FIRST_PAGE * PAGE_BYTES}
        li s1, {pages}
1:      sd s1, 0(s0)
        add s0, s0, t0
        addi s1, s1, -1
        bnez s1, 1b
        li s0, {RAM_BASE + FIRST_PAGE * PAGE_BYTES}
        li s1, {pages}
        li s2, 0
2:      ld t1, 0(s0)
        add s2, s2, t1
        add s0, s0, t0
        addi s1, s1, -1
        bnez s1, 2b
        {then}
    """


def numbers(pages: int) -> int:
    """Return what `touch` adds up to."""
    return pages * (pages + 1) // 2


def resident(vm: Vm) -> int:
    """Return how many pages of a VM have a frame, counted one by one."""
    return sum(hfn != ABSENT for hfn in vm.frames)


def churn(pages: int) -> str:
    """Return a guest that counts in each of so many pages for ever, and crashes at a wrong number."""
    return f"""
        li t0, {PAGE_BYTES}
        li s2, 0
5:      li s0, {RAM_BASE + FIRST_PAGE * PAGE_BYTES}
        li s1, {pages}
6:      ld t1, 0(s0)
        bne t1, s2, wrong
        addi t1, t1, 1
        sd t1, 0(s0)
        add s0, s0, t0
        addi s1, s1, -1
        bnez s1, 6b
        addi s2, s2, 1
        j 5b
wrong:  ld t1, 0(zero)
    """
