# sly.s: a guest that wants more than its part.
#
# It works nearly all the time.  But shortly before its turn would be over it takes a very short nap, so that it
# always looks like somebody who has just woken up.

        .equ    WORK, 6000            # rounds of two instructions: shorter than a turn
        .equ    NAP, 2000            # in ticks of the 10 MHz clock

        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
again:
        li      t0, WORK
work:
        addi    t0, t0, -1
        bnez    t0, work
        rdtime  a0                      # just a little nap
        li      t0, NAP
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
        wfi
        j       again
