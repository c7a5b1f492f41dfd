"""The workloads of scenarios, as assembly; what varies is drawn from a seed by the guests themselves."""

from __future__ import annotations

from emulator.state import PAGE_BYTES, RAM_BASE

SPIN = "1: addi s0, s0, 1\n j 1b"
FIRST_PAGE = 16  # of the area that guests touch; the program lies below
GIVEN_FROM = 64  # the first page that `balloon_driver` gives

# s1 = the next number of a linear congruential generator (Numerical Recipes, "quick and dirty").
_NEXT = """
        li t0, 1664525
        mul s1, s1, t0
        li t0, 1013904223
        add s1, s1, t0
        slli s1, s1, 32
        srli s1, s1, 32
"""


def interactive(seed: int, sleep_ticks: int, work: int) -> str:
    """Return a guest that sleeps for up to twice `sleep_ticks` (of 100 ns), then works for `work` rounds."""
    return f"""
        li s1, {seed}
        li t0, 1 << 5
        csrs sie, t0
1:      {_NEXT}
        li t0, {2 * sleep_ticks}
        remu t1, s1, t0
        rdtime a0
        add a0, a0, t1
        li a7, 0x54494d45
        li a6, 0
        ecall
        wfi
        li t0, {work}
2:      addi t0, t0, -1
        bnez t0, 2b
        addi s0, s0, 1
        j 1b
    """


def bursty(seed: int, work: int, sleep_ticks: int) -> str:
    """Return a guest that works for up to twice `work` rounds, then sleeps for `sleep_ticks`."""
    return f"""
        li s1, {seed}
        li t0, 1 << 5
        csrs sie, t0
1:      {_NEXT}
        li t0, {2 * work}
        remu t0, s1, t0
        addi t0, t0, 1
2:      addi t0, t0, -1
        bnez t0, 2b
        rdtime a0
        li t1, {sleep_ticks}
        add a0, a0, t1
        li a7, 0x54494d45
        li a6, 0
        ecall
        wfi
        j 1b
    """


def hot_and_cold(seed: int, hot: int, pages: int, every: int) -> str:
    """Return a guest that uses `hot` pages all the time and, once in `every` touches, any of `pages`."""
    return f"""
        li s1, {seed}
        li s2, {RAM_BASE + FIRST_PAGE * PAGE_BYTES}
1:      {_NEXT}
        li t2, {hot}
        srli t3, s1, 8
        li t1, {every}
        remu t1, t3, t1
        bnez t1, 2f
        li t2, {pages}
2:      srli t3, s1, 12
        remu t3, t3, t2
        slli t3, t3, 12
        add t3, t3, s2
        ld t4, (t3)
        addi t4, t4, 1
        andi t1, s1, 256
        beqz t1, 3f
        sd t4, (t3)
3:      li t0, 200
4:      addi t0, t0, -1
        bnez t0, 4b
        j 1b
    """


def circle(pages: int) -> str:
    """Return a guest that goes round its pages for ever: the worst for whoever takes the oldest."""
    return f"""
1:      li s0, {RAM_BASE + FIRST_PAGE * PAGE_BYTES}
        li s1, {pages}
2:      ld t1, (s0)
        li t0, 400
3:      addi t0, t0, -1
        bnez t0, 3b
        li t0, {PAGE_BYTES}
        add s0, s0, t0
        addi s1, s1, -1
        bnez s1, 2b
        j 1b
    """


def balloon_driver(willing: int, touched: int = 0) -> str:
    """Return a guest that follows its balloon's target, page by page, but gives at most `willing` pages.

    First it writes `touched` of those pages; it writes 7 to each page that it gets back.
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
        li s0, {RAM_BASE + GIVEN_FROM * PAGE_BYTES}
        li s1, {touched}
        li t0, {PAGE_BYTES}
1:      beqz s1, 2f
        sd s1, (s0)
        add s0, s0, t0
        addi s1, s1, -1
        j 1b
2:      li s0, 0x10005000
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


# What the policy leaves alone is an access fault, or an illegal instruction: counted, and stepped over.
_STEP_OVER = """
        la t0, 8f
        csrw stvec, t0
        j 1f
        .balign 4
8:      csrr t0, sepc
        addi t0, t0, 4
        csrw sepc, t0
        addi s11, s11, 1
        sret
"""


def reader(address: int, stride: int) -> str:
    """Return a guest that loads from a device's registers in turn, and works in between."""
    return f"""
        {_STEP_OVER}
1:      li s0, {address}
        li s1, 4
2:      ld t1, (s0)
        add s2, s2, t1
        sd s2, (s0)
        li t0, {stride}
        add s0, s0, t0
        li t0, 3000
3:      addi t0, t0, -1
        bnez t0, 3b
        addi s1, s1, -1
        bnez s1, 2b
        j 1b
    """


CSR_READER = f"""
        {_STEP_OVER}
1:      csrr s1, 0x643
        csrw 0x605, s1
        add s2, s2, s1
        li t0, 3000
2:      addi t0, t0, -1
        bnez t0, 2b
        j 1b
"""
