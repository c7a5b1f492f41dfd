# watch.s: does the same piece of work three times, and looks at the clock each time.
#
# It also asks its hypervisor to write down, in a place in its memory, for how long it wanted to
# run and could not: the steal time.

        .equ    ROUNDS, {{ rounds }}          # of one piece of work, two instructions each
        .equ    PIECES, 3

        .equ    SBI_STEAL, 0x535441     # "STA", steal-time accounting
        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE, 0
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
took:   .ascii  "This took "
        .equ    TOOK_LENGTH, . - took
stolen: .ascii  " us, stolen were "
        .equ    STOLEN_LENGTH, . - stolen
end:    .ascii  " us.\n"
        .equ    END_LENGTH, . - end

        .text
        .globl  _start
_start:
        la      a0, record              # write it there, from now on
        li      a1, 0
        li      a2, 0
        li      a7, SBI_STEAL
        li      a6, 0
        ecall
        la      s0, record
        li      s1, PIECES

piece:
        rdtime  s2                      # the clock, in tenths of a microsecond
        ld      s3, 8(s0)               # stolen until now, in nanoseconds
        li      t0, ROUNDS
round:
        addi    t0, t0, -1
        bnez    t0, round
        rdtime  t0
        sub     s2, t0, s2
        ld      t0, 8(s0)
        sub     s3, t0, s3

        la      a1, took
        li      a0, TOOK_LENGTH
        call    print
        li      t0, 10
        divu    a0, s2, t0
        call    print_number
        la      a1, stolen
        li      a0, STOLEN_LENGTH
        call    print
        li      t0, 1000
        divu    a0, s3, t0
        call    print_number
        la      a1, end
        li      a0, END_LENGTH
        call    print
        addi    s1, s1, -1
        bnez    s1, piece

        li      a0, 0
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

print:                                  # print a0 bytes that begin at GPA a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        ret

print_number:                           # print a0 in decimal
        la      a1, digits_end
        li      t0, 10
next_digit:
        remu    t1, a0, t0
        addi    t1, t1, '0'
        addi    a1, a1, -1
        sb      t1, 0(a1)
        divu    a0, a0, t0
        bnez    a0, next_digit
        la      a0, digits_end
        sub     a0, a0, a1
        j       print

        .bss
        .balign 64
record: .skip   64                      # the hypervisor writes: sequence, flags, nanoseconds
digits: .skip   24
digits_end:
