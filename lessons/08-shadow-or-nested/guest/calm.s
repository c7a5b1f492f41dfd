# calm.s: a guest that sets up its page table once, and then only uses it.
#
# It reads one word of each of PAGES pages, ROUNDS times.  That is more than the TLB holds, so
# that each of these reads is a miss.

        .equ    PAGES, 1024
        .equ    ROUNDS, 2

        .equ    POINTER, 0x01           # flags of an entry: valid, leads to the next table
        .equ    LEAF, 0xCF              # valid, may be read, written, executed; accessed, dirty
        .equ    SV39, 8                 # three levels, 39 bits of address
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .macro  entry table, number, address
        la      t0, \table
        la      t1, \address            # an entry is a page's number times 1024, plus flags
        srli    t1, t1, 2               # (pages begin at multiples of 4096)
        ori     t1, t1, POINTER
        sd      t1, \number * 8(t0)
        .endm

        .text
        .globl  _start
_start:
        entry   root, 2, middle         # GVA 0x8000_0000: entry 2 of the root
        entry   middle, 0, leaves       # three times 2 MiB,
        entry   middle, 1, leaves + 4096
        entry   middle, 2, leaves + 8192
        la      t0, leaves
        li      t1, (0x80000000 >> 2) + LEAF
        li      t2, 3 * 512             # page by page: each GVA leads to the same GPA
next_leaf:
        sd      t1, 0(t0)
        addi    t0, t0, 8
        addi    t1, t1, 1024
        addi    t2, t2, -1
        bnez    t2, next_leaf

        la      t0, root
        srli    t0, t0, 12
        li      t1, SV39 << 60
        or      t0, t0, t1
        csrw    satp, t0                # this is our table; with shadow paging, an exit
        sfence.vma                      # and this one, too

        li      s0, ROUNDS
        li      s3, 4096
round:
        la      s1, data
        li      s2, PAGES
page:
        ld      t0, 0(s1)
        add     s1, s1, s3
        addi    s2, s2, -1
        bnez    s2, page
        addi    s0, s0, -1
        bnez    s0, round

        li      a0, 0                   # switch off
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

        .bss
        .balign 4096
root:   .skip   4096
middle: .skip   4096
leaves: .skip   3 * 4096
        .balign 8192
data:                                   # from here on: the memory behind the program
