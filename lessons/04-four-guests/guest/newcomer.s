# newcomer.s: moves in, and looks whether the tenant before has left something behind.
#
# It reads its memory from behind its own program to the end, eight bytes at a time, and counts
# the words that are not zero.  It must be told how much memory it has.

        .equ    MEMORY_KIB, 1024        # as in the tab Configuration

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE, 0
        .equ    CONSOLE_WRITE_BYTE, 2

        .section .rodata
searched: .ascii "Searched "
        .equ    SEARCHED_LENGTH, . - searched
found:  .ascii  " KiB. Words left behind: "
        .equ    FOUND_LENGTH, . - found
newline: .ascii "\n"

        .text
        .globl  _start
_start:
        la      s0, behind              # s0 = the word to look at
        li      s1, 0x80000000 + MEMORY_KIB * 1024      # s1 = the end of memory
        li      s2, 0                   # s2 = how many were not empty
look:
        ld      t0, 0(s0)
        beqz    t0, empty
        addi    s2, s2, 1
empty:
        addi    s0, s0, 8
        bltu    s0, s1, look

        la      a1, searched
        li      a0, SEARCHED_LENGTH
        call    print
        li      a0, MEMORY_KIB
        call    print_number
        la      a1, found
        li      a0, FOUND_LENGTH
        call    print
        mv      a0, s2
        call    print_number
        la      a1, newline
        li      a0, 1
        call    print
rest:
        wfi                             # stay: a machine that is off has no memory
        j       rest

print:                                  # print a0 bytes that begin at GPA a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        ret

print_number:                           # print a0 in decimal
        la      t0, digits_end
        li      t1, 10
next_digit:
        remu    t2, a0, t1
        addi    t2, t2, '0'
        addi    t0, t0, -1
        sb      t2, 0(t0)
        divu    a0, a0, t1
        bnez    a0, next_digit
        mv      a1, t0
        la      a0, digits_end
        sub     a0, a0, a1
        j       print

        .data
digits: .skip   24
digits_end:
        .balign 4096
behind:
