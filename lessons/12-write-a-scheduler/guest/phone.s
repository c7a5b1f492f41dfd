# phone.s: a guest that speaks on the telephone.
#
# Every {{ period }} it has to say a word.  It sets an alarm, sleeps, and measures by how much it is late when
# it is really awake: that is how long it had to wait for a pCPU.

        .equ    PERIOD, {{ period_ticks }}          # in ticks of the 10 MHz clock
        .equ    WORDS, 8                # words in a line on the console
        .equ    WORK, 1000              # rounds of work for one word

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
        rdtime  s0                      # s0 = when the next word is due
line:
        li      s1, 0                   # s1 = the longest wait, in ticks
        li      s2, WORDS
word:
        li      t0, PERIOD
        add     s0, s0, t0
        mv      a0, s0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
sleep:
        wfi
        rdtime  t0
        bltu    t0, s0, sleep           # something else has woken us
        sub     t0, t0, s0              # late by so many ticks
        bleu    t0, s1, speak
        mv      s1, t0
speak:
        li      t0, WORK
work:
        addi    t0, t0, -1
        bnez    t0, work
        addi    s2, s2, -1
        bnez    s2, word

        la      a1, digits_end          # write the wait in us in front of its unit
        li      t1, 10
        divu    a0, s1, t1
digit:
        remu    t0, a0, t1
        divu    a0, a0, t1
        addi    t0, t0, '0'
        addi    a1, a1, -1
        sb      t0, 0(a1)
        bnez    a0, digit
        la      a0, unit_end
        sub     a0, a0, a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 0
        ecall
        j       line

        .data
digits: .skip   12
digits_end: .ascii " us was the longest wait\n"
unit_end:
