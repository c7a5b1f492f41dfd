# shop.s: an honest customer.  It works off orders and notes each of them in its ledger.
#
# The ledger has 160 pages.  They get their frames when the first note is made in them.

        .equ    PAGES, 160
        .equ    WORK, 1250              # rounds of work for one order

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE_BYTE, 2

        .text
        .globl  _start
_start:
        li      s2, 0                   # s2 = orders so far
        li      s3, 4096
open_ledger:
        la      s0, ledger              # s0 = where the next note goes
        li      s1, PAGES               # s1 = pages until the end
order:
        li      t0, WORK
work:
        addi    t0, t0, -1
        bnez    t0, work
        addi    s2, s2, 1
        sd      s2, 0(s0)               # the note
        add     s0, s0, s3
        andi    t0, s2, 15
        bnez    t0, next
        li      a0, '.'                 # sixteen orders are done
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall
next:
        addi    s1, s1, -1
        bnez    s1, order
        j       open_ledger             # it is full: begin at the first page again

        .data
        .balign 4096
ledger:
