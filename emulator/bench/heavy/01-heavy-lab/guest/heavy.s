# heavy.s: four vCPUs that give a page as much to show as four vCPUs can.
#
# vCPU 0 reads one new page after the other, so that frames are given all the time; vCPU 1 writes to pages
# at random, so that they become dirty, are swapped out and come back; vCPU 2 prints and sleeps until a
# timer wakes it; vCPU 3 computes, with a call of the hypervisor now and then.

        .equ    FIRST, 0x80100000       # the pages from here on
        .equ    PAGES, 0x9B00           # so many of them: 155 MiB
        .equ    WRITTEN, 0xFFF          # of these the first 4096 are written to

        .equ    SBI_CONSOLE, 0x4442434E # "DBCN"
        .equ    CONSOLE_WRITE_BYTE, 2
        .equ    SBI_HART, 0x48534D      # "HSM"
        .equ    HART_START, 0
        .equ    SBI_TIME, 0x54494D45    # "TIME"
        .equ    SBI_BASE, 0x10
        .equ    SLEEP, 2000             # ticks of 100 ns

        .text
        .globl  _start
_start:
        li      s1, 3
start_next:
        mv      a0, s1
        la      a1, begin
        mv      a2, s1
        li      a7, SBI_HART
        li      a6, HART_START
        ecall
        addi    s1, s1, -1
        bnez    s1, start_next
        mv      a0, zero
begin:                                  # a0 = the number of this vCPU
        li      s0, FIRST
        li      s2, PAGES
        li      t0, 1
        beq     a0, t0, writer
        li      t0, 2
        beq     a0, t0, sleeper
        li      t0, 3
        beq     a0, t0, caller

reader:
        mv      s1, zero
read_next:
        slli    t0, s1, 12
        add     t0, t0, s0
        ld      t1, 0(t0)
        li      t2, 400
read_wait:
        addi    t2, t2, -1
        bnez    t2, read_wait
        addi    s1, s1, 1
        bltu    s1, s2, read_next
        j       reader

writer:
        li      s1, 12345
        li      s3, 1103515245
        li      s4, WRITTEN
write_next:
        mul     s1, s1, s3
        addi    s1, s1, 1231
        srli    t0, s1, 16
        and     t0, t0, s4
        slli    t0, t0, 12
        add     t0, t0, s0
        sd      s1, 8(t0)
        li      t2, 300
write_wait:
        addi    t2, t2, -1
        bnez    t2, write_wait
        j       write_next

sleeper:
        li      a0, '.'
        li      a7, SBI_CONSOLE
        li      a6, CONSOLE_WRITE_BYTE
        ecall
        li      t0, 0x20                # sie.STIE: the timer may wake this vCPU
        csrs    sie, t0
        rdtime  a0
        li      t0, SLEEP
        add     a0, a0, t0
        li      a7, SBI_TIME
        li      a6, 0
        ecall
        wfi
        j       sleeper

caller:
        li      t2, 3000
compute:
        addi    t2, t2, -1
        bnez    t2, compute
        li      a7, SBI_BASE
        li      a6, 0
        ecall
        j       caller
