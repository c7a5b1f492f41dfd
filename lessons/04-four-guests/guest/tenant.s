# tenant.s: a guest that keeps what you type.
#
# Type a line on its console and press Enter.  It stores the bytes in its memory, from GPA
# 0x8000_2000 on, and shows what it has stored.  As long as nobody types, it writes nothing.

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE, 0
        .equ    CONSOLE_READ, 1
        .equ    SBI_TIME, 0x54494D45    # "TIME", the alarm clock
        .equ    TIMER_INTERRUPT, 1 << 5
        .equ    PATIENCE, 10000         # 1 ms, in ticks of the 10 MHz clock

        .section .rodata
hello:  .ascii  "Up. What you type I keep at GPA 0x80002000.\n"
        .equ    HELLO_LENGTH, . - hello
kept:   .ascii  "I keep: "
        .equ    KEPT_LENGTH, . - kept

        .text
        .globl  _start
_start:
        li      t0, TIMER_INTERRUPT     # the alarm may wake us
        csrs    sie, t0
        la      a1, hello
        li      a0, HELLO_LENGTH
        call    print
        la      s0, note                # s0 = where the next byte goes

listen:
        li      a0, 64                  # at most so many bytes,
        mv      a1, s0                  # to this address: the hypervisor puts them there
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_READ
        ecall                           # VM exit: "has anybody typed?"
        beqz    a1, sleep               # a1 = how many bytes there were
        add     s0, s0, a1
        lbu     t0, -1(s0)
        li      t1, '\n'
        bne     t0, t1, listen          # the line goes on

        la      a1, kept                # the line is complete: show it
        li      a0, KEPT_LENGTH
        call    print
        la      a1, note
        sub     a0, s0, a1
        call    print
        la      s0, note                # the next line takes the place of this one
        j       listen

sleep:
        rdtime  a0
        li      t0, PATIENCE
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall                           # VM exit: "wake me in a millisecond"
        wfi                             # VM exit: "nothing to do until then"
        j       listen

print:                                  # print a0 bytes that begin at GPA a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        ret

        .data                           # code, constants, data: this is the third page
note:   .skip   4096
