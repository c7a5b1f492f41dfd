# report.s: adds up the orders of the day, again and again, and says how long that took.
#
# It needs NEED pages of memory, all of them in each round.  It has no balloon driver.

        .equ    NEED, {{ need }}
        .equ    WORK, 380               # turns of a loop for each page

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    PAGE, 4096

        .text
        .globl  _start
_start:
        li      s0, 0                   # s0 = number of the round
round:
        addi    s0, s0, 1
        rdtime  s5
        la      s1, data
        li      s2, NEED
        li      s3, PAGE
page:
        ld      t0, 0(s1)               # a page that has no frame: VM exit
        add     t0, t0, s2
        sd      t0, 0(s1)
        li      t1, WORK
work:
        addi    t1, t1, -1
        bnez    t1, work
        add     s1, s1, s3
        addi    s2, s2, -1
        bnez    s2, page

        rdtime  a0
        sub     s5, a0, s5
        la      a1, word
        la      a2, word_end
        call    print
        mv      a0, s0
        call    print_number
        la      a1, colon
        la      a2, colon_end
        call    print
        li      t0, 10000
        divu    a0, s5, t0              # 10,000 ticks are a millisecond
        call    print_number
        la      a1, ms
        la      a2, ms_end
        call    print
        j       round

print_number:                           # print a0 in decimal
        la      a1, digits_end
        mv      a2, a1
        li      t1, 10
next_digit:
        remu    t2, a0, t1
        addi    t2, t2, '0'
        addi    a1, a1, -1
        sb      t2, 0(a1)
        divu    a0, a0, t1
        bnez    a0, next_digit

print:                                  # print the bytes from GPA a1 up to a2
        sub     a0, a2, a1
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, 0
        ecall
        ret

        .section .rodata
word:   .ascii  "Round "
word_end:
colon:  .ascii  ": "
colon_end:
ms:     .ascii  " ms\n"
ms_end:

        .data
digits: .skip   24
digits_end:

        .bss
        .balign PAGE
data:                                   # from here on: the memory behind the program
