# Prints Hello with one SBI call (DBCN) and switches itself off (SRST).
        .globl  _start
_start: li      a7, 0x4442434e
        li      a6, 0
        li      a0, 6
        la      a1, text
        li      a2, 0
        ecall
        li      a7, 0x53525354
        li      a6, 0
        li      a0, 0
        li      a1, 0
        ecall
stop:   wfi
        j       stop
text:   .ascii  "Hello\n"
