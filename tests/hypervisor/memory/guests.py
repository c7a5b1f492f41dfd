"""Guests that touch memory in a known way."""

from emulator.hypervisor.memory.backing import ABSENT
from emulator.hypervisor.vm import Vm
from emulator.state import PAGE_BYTES, RAM_BASE

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


GIVEN_FROM = 64  # the first page that `balloon_driver` gives


def balloon_driver(willing: int) -> str:
    """Return a guest that follows its balloon's target, page by page, but gives at most `willing` pages.

    It writes 7 to each page that it gets back.
    """
    return f"""
        .macro put register, value
            li t1, \\value
            sw t1, \\register(s0)
        .endm
        .macro queue number, area
            put 0x30, \\number
            put 0x38, 8
            la t2, \\area
            sw t2, 0x80(s0)
            addi t3, t2, 128
            sw t3, 0x90(s0)
            addi t3, t2, 256
            sw t3, 0xa0(s0)
            put 0x44, 1
        .endm
        li s0, 0x10005000
        put 0x70, 0
        put 0x70, 3
        put 0x24, 1
        put 0x20, 1
        put 0x70, 11
        queue 0, inflate
        queue 1, deflate
        put 0x70, 15
        li s1, 0
        li s2, {(RAM_BASE >> 12) + GIVEN_FROM}
poll:   lw t0, 0x100(s0)
        beq t0, s1, poll
        bltu t0, s1, back
        li t1, {willing}
        bgeu s1, t1, poll
        li a1, 0
        la a2, inflate
        add a3, s2, s1
        call name
        addi s1, s1, 1
        sw s1, 0x104(s0)
        j poll
back:   addi s1, s1, -1
        li a1, 1
        la a2, deflate
        add a3, s2, s1
        call name
        sw s1, 0x104(s0)
        slli a3, a3, 12
        li t0, 7
        sd t0, 0(a3)
        j poll
name:   la t2, number           # queue a1, rings a2, page number a3
        sw a3, 0(t2)
        sd t2, 0(a2)
        li t3, 4
        sw t3, 8(a2)
        sw zero, 12(a2)
        lhu t4, 130(a2)
        andi t5, t4, 7
        slli t5, t5, 1
        add t5, t5, a2
        sh zero, 132(t5)
        addi t4, t4, 1
        sh t4, 130(a2)
        sw a1, 0x50(s0)
        ret
        .data
        .balign 4096
inflate: .zero 1024
deflate: .zero 1024
number:  .word 0
    """


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
