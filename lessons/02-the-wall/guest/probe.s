# probe.s: VM b reaches for memory that is not its own.
#
# It touches one address, TARGET.  If that works, it shows the 32 bytes it finds there and
# switches itself off.  Change the three lines below, press Assemble & restart, and see how far
# it gets.  The machine owns the guest-physical addresses 0x8000_0000 to 0x800F_FFFF.

        .equ    TARGET, 0x80002000      # the address to reach for
        .equ    WRITE, 0                # 0: only read there      1: write an X there first
        .equ    OWN_PAGE_TABLE, 0       # 0: go there directly    1: through a page table of our own

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN", the debug console
        .equ    CONSOLE_WRITE, 0
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    SBI_RESET, 0x53525354   # "SRST"

        .section .rodata
hello:
        .ascii  "VM b reaches out ... "
        .equ    HELLO_LENGTH, . - hello
success:
        .ascii  "and finds: "
        .equ    SUCCESS_LENGTH, . - success
newline:
        .ascii  "\n"

        .text
        .globl  _start
_start:
        la      a1, hello
        li      a0, HELLO_LENGTH
        call    print

        li      s0, TARGET              # s0 = the address that the program will use
        li      t0, OWN_PAGE_TABLE
        beqz    t0, reach
        call    build_page_table

# Here it happens: one load, or one store, of one byte.

reach:
        li      t0, WRITE
        beqz    t0, read
        li      t1, 'X'
        sb      t1, 0(s0)               # if TARGET is not ours, we never get past this line
read:
        lbu     t1, 0(s0)               # nor past this one

# Still alive: the address is ours.  Show what is there, with a dot for what is no character.

        la      a1, success
        li      a0, SUCCESS_LENGTH
        call    print
        addi    s1, s0, 32              # s1 = where to stop
show:
        lbu     a0, 0(s0)
        addi    t0, a0, -' '            # visible characters are 32 (a space) to 126 (~)
        li      t1, 95
        bltu    t0, t1, visible
        li      a0, '.'
visible:
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall
        addi    s0, s0, 1
        bltu    s0, s1, show
        la      a1, newline
        li      a0, 1
        call    print

        li      a0, 0                   # shut down, for no special reason
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

# A guest is the master of its own page table.  Ours has two entries, each for a whole GiB:
#
#       GVA 0x8000_0000 ...  ->  GPA 0x8000_0000 ...    so that this program goes on running
#       GVA 0x4000_0000 ...  ->  the GiB that TARGET lies in
#
# An entry is a page's number times 1024, plus flags; a GiB goes by the number of its first page.

        .equ    FLAGS, 0xCF             # dirty, accessed, executable, writable, readable, valid
        .equ    GIB, 1 << 30
        .equ    SV39, 8                 # the kind of page table: three levels, 39 bits of address

build_page_table:
        la      t0, page_table
        li      t1, (0x80000000 >> 12) * 1024 + FLAGS
        sd      t1, 16(t0)              # entry 2: the third GiB
        li      t1, ((TARGET / GIB * GIB) >> 12) * 1024 + FLAGS
        sd      t1, 8(t0)               # entry 1: the second GiB
        srli    t0, t0, 12              # satp = the table's page number, and its kind on top
        li      t1, SV39 << 60
        or      t0, t0, t1
        csrw    satp, t0
        sfence.vma                      # forget older translations; from now on all are ours
        li      s0, 0x40000000 + TARGET % GIB
        ret

# Code, read-only data, data: this is the third page, GPA 0x8000_2000.  Exactly where VM a keeps
# its secret.

        .data
mine:
        .ascii  "Nothing here but my own {{ mark }}. "

        .bss
        .balign 4096
page_table:
        .skip   4096
