# walker.s: walks through its memory, page by page, so that the MMU has something to do.
#
# It reads one word of each of WORKING_SET pages, ROUNDS times, and switches itself off.

        .equ    MODE, 0                 # 0: no page table   1: pages of 4 KiB   2: pages of 2 MiB
        .equ    WORKING_SET, {{ pages }}         # pages of 4 KiB that it reads
        .equ    ROUNDS, {{ rounds }}              # how often it reads each of them
        .equ    BLOCK, WORKING_SET      # pages that it reads in turn, all rounds, before the next block

        .equ    POINTER, 0x01           # valid: leads to the next table
        .equ    LEAF, 0xCF              # valid, may be read, written, executed; accessed, dirty
        .equ    SV39, 8                 # three levels, 39 bits of address
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .macro  entry table, number, address, flags
        la      t0, \table
        la      t1, \address            # an entry is a page's number times 1024, plus flags
        srli    t1, t1, 2               # (pages begin at multiples of 4096)
        ori     t1, t1, \flags
        sd      t1, \number * 8(t0)
        .endm

        .text
        .globl  _start
_start:
        li      t0, MODE
        beqz    t0, walk                # no table: a GVA is a GPA

build_page_table:
        entry   root, 2, middle, POINTER        # GVA 0x8000_0000: entry 2 of the root
        li      t0, MODE
        li      t1, 2
        beq     t0, t1, large_pages

        entry   middle, 0, leaves, POINTER      # the first 2 MiB
        entry   middle, 1, more_leaves, POINTER # the second 2 MiB
        la      t0, leaves
        li      t1, (0x80000000 >> 2) + LEAF
        li      t2, 1024                # one entry for each page of 4 MiB
next_leaf:
        sd      t1, 0(t0)
        addi    t0, t0, 8
        addi    t1, t1, 1024            # the next page
        addi    t2, t2, -1
        bnez    t2, next_leaf
        j       switch_on

large_pages:                            # two entries, and we are done
        la      t0, middle
        li      t1, (0x80000000 >> 2) + LEAF
        sd      t1, 0(t0)
        li      t1, (0x80200000 >> 2) + LEAF
        sd      t1, 8(t0)

switch_on:
        la      t0, root
        srli    t0, t0, 12
        li      t1, SV39 << 60
        or      t0, t0, t1
        csrw    satp, t0
        sfence.vma

walk:
        la      s0, data                # s0 = the block's first page
        li      s1, WORKING_SET         # s1 = pages that are left
        li      s4, 4096
block:
        li      s2, BLOCK               # s2 = pages of this block
        bleu    s2, s1, begin
        mv      s2, s1
begin:
        li      s3, ROUNDS
round:
        mv      t0, s0
        mv      t1, s2
page:
        ld      t2, 0(t0)               # one word of each page
        add     t0, t0, s4
        addi    t1, t1, -1
        bnez    t1, page
        addi    s3, s3, -1
        bnez    s3, round

        slli    t0, s2, 12
        add     s0, s0, t0
        sub     s1, s1, s2
        bnez    s1, block

        li      a0, 0                   # switch off
        li      a1, 0
        li      a7, SBI_RESET
        li      a6, 0
        ecall

        .bss
        .balign 4096
root:   .skip   4096
middle: .skip   4096
leaves: .skip   4096
more_leaves: .skip 4096
        .balign 8192
data:                                   # from here on: the memory behind the program
