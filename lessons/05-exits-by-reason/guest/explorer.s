# explorer.s: looks for devices, as an operating system does when it boots.
#
# It reads a word at {{ probes }} addresses where a device might be.  Where none is, it expects what
# every CPU gives it there: an exception, which its handler counts.

        .equ    FIRST, 0x40000000
        .equ    STEP, 0x100000
        .equ    PROBES, {{ probes }}

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE, 0
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
says:   .ascii  "Devices found: "
        .equ    SAYS_LENGTH, . - says

        .text
        .globl  _start
_start:
        la      t0, nobody_there
        csrw    stvec, t0               # exceptions go to the handler below
        li      s0, FIRST
        li      s1, PROBES
        li      s2, PROBES              # s2 = how many have answered
probe:
        lw      t0, 0(s0)
        li      t0, STEP
        add     s0, s0, t0
        addi    s1, s1, -1
        bnez    s1, probe

        li      a0, SAYS_LENGTH
        la      a1, says
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        li      t0, 10                  # s2 has two digits at most
        divu    a0, s2, t0
        call    digit
        li      t0, 10
        remu    a0, s2, t0
        call    digit
        li      a0, '\n' - '0'
        call    digit

        li      a0, 0
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

digit:
        addi    a0, a0, '0'
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall
        ret

        .balign 4
nobody_there:
        addi    s2, s2, -1              # one fewer
        csrr    t0, sepc
        addi    t0, t0, 4               # go on behind the load
        csrw    sepc, t0
        sret
