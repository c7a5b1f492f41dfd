# busy.s: a guest that changes its page table all the time, as a system with many programs does.
#
# Each change lets the page `window` show another page: now white, now black.  After a change it
# fences, looks through the window, and uses PAGES other pages.  In the end it says how many
# changes it has seen.

        .equ    CHANGES, {{ changes }}
        .equ    PAGES, {{ busy_pages }}
        .equ    FENCE, 2                # 0: none   1: for the window's page only   2: for all pages

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE, 0
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    POINTER, 0x01           # flags of an entry: valid, leads to the next table
        .equ    LEAF, 0xCF              # valid, may be read, written, executed; accessed, dirty
        .equ    SV39, 8                 # three levels, 39 bits of address
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
seen:   .ascii  "Changes seen: "
        .equ    SEEN_LENGTH, . - seen

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

        li      t0, 1                   # what is in the black page
        la      t1, black
        sd      t0, 0(t1)
        li      s0, CHANGES
        li      s4, 0                   # s4 = changes that we have seen
        la      s5, window
        slli    t0, s5, 34              # s6 = where the window's entry lies: its page's number
        srli    t0, t0, 46              # without the 2 GiB, times 8, in the leaves
        slli    t0, t0, 3
        la      s6, leaves
        add     s6, s6, t0

change:
        andi    s7, s0, 1               # s7 = what we shall see: 1 is black
        la      t0, white
        beqz    s7, change_entry
        la      t0, black
change_entry:
        srli    t0, t0, 2
        ori     t0, t0, LEAF
        sd      t0, 0(s6)               # the window shows another page from now on

        li      t0, FENCE               # tell the CPU that it must forget what it knows
        li      t1, 1
        beqz    t0, look
        beq     t0, t1, fence_one
        sfence.vma
        j       look
fence_one:
        sfence.vma s5
look:
        ld      t0, 0(s5)
        bne     t0, s7, work            # we see what was there before
        addi    s4, s4, 1

work:
        la      s1, data
        li      s2, PAGES
        li      s3, 4096
page:
        ld      t0, 0(s1)
        add     s1, s1, s3
        addi    s2, s2, -1
        bnez    s2, page
        addi    s0, s0, -1
        bnez    s0, change

        li      a0, SEEN_LENGTH
        la      a1, seen
        li      a2, 0
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE
        ecall
        li      t0, 10                  # two digits
        divu    a0, s4, t0
        call    digit
        li      t0, 10
        remu    a0, s4, t0
        call    digit

        li      a0, 0                   # switch off
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

        .bss
        .balign 4096
root:   .skip   4096
middle: .skip   4096
leaves: .skip   3 * 4096
white:  .skip   4096
black:  .skip   4096
window: .skip   4096
data:                                   # from here on: the memory behind the program
